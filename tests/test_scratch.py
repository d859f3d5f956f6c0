"""What is made is complete or not there, and what killed processes left goes."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spconvify import scratch
from spconvify.scratch import atomic, put_in_place, scratch_folder, sweep

# Makes a file and a folder, says so, and waits to be killed.
MAKES = """
import sys, time
from pathlib import Path
from spconvify.scratch import atomic, scratch_folder
with atomic(Path("x.bin")) as file, scratch_folder(Path("out")) as folder:
    file.write(b"half"); file.flush()
    (folder / "part").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def maker(tmp_path):
    root = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", MAKES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_makes_is_not(maker, tmp_path):
    made = names(tmp_path)
    assert len(made) == 2
    sweep(tmp_path / "x.bin")
    sweep(tmp_path / "out")
    assert names(tmp_path) == made
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    with atomic(tmp_path / "x.bin") as file:
        file.write(b"whole")
    assert len(names(tmp_path)) == 2  # the folder is not this file's
    with scratch_folder(tmp_path / "out") as folder:
        (folder / "part").write_text("whole")
        put_in_place(folder, tmp_path / "out")
    assert names(tmp_path) == ["out", "x.bin"]
    assert (tmp_path / "x.bin").read_bytes() == b"whole"
    assert (tmp_path / "out" / "part").read_text() == "whole"


def test_other_files_are_not_swept(tmp_path):
    others = [".x.bin.tmp", ".x.bin.backup.tmp", ".y.bin.abcdefgh.tmp", "x.bin.abcdefgh.tmp"]
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".x.bin.ijklmnop.tmp").symlink_to(tmp_path / ".x.bin.tmp")
    sweep(tmp_path / "x.bin")
    assert set(others) <= set(names(tmp_path))


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(scratch, "_exchanged", lambda *_: False)
    for text in ("old", "new"):
        with scratch_folder(tmp_path / "out") as folder:
            (folder / text).write_text(text)
            put_in_place(folder, tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["new"]
    os.umask(mask := os.umask(0))
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~mask


def test_a_folder_that_can_not_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_exchanged", lambda *_: False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    replace, calls = os.replace, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(OSError, match="No space left"), scratch_folder(tmp_path / "out") as folder:
        put_in_place(folder, tmp_path / "out")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["old"]


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path):
    path, errors = tmp_path / "x.bin", []

    def write(letter):
        try:
            for _ in range(30):
                with atomic(path) as file:
                    file.write(letter * 1000)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert path.read_bytes() in (b"a" * 1000, b"b" * 1000, b"c" * 1000)
    assert names(tmp_path) == ["x.bin"]
