"""What is made is complete or not there, and what killed processes left goes."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spconvify.errors import SpconvifyError
from spconvify.files import scratch
from spconvify.files.placing import put_folder
from spconvify.files.scratch import atomic, scratch_folder, sweep, try_out

# Makes a file and a folder, says so, and waits to be killed.
MAKES = """
import sys, time
from pathlib import Path
from spconvify.files.scratch import atomic, scratch_folder
with atomic(Path("x.bin")) as file, scratch_folder(Path("out")) as folder:
    file.write(b"half"); file.flush()
    (folder / "part").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def maker(tmp_path):
    root = Path(__file__).parents[2]
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
        put_folder(folder, tmp_path / "out")
    assert names(tmp_path) == ["out", "x.bin"]
    assert (tmp_path / "x.bin").read_bytes() == b"whole"
    assert (tmp_path / "out" / "part").read_text() == "whole"


def test_only_what_carries_the_mark_and_is_a_file_or_folder_of_this_user_is_swept(tmp_path):
    """Other programs name their files as `tempfile` does, too."""
    kept = [
        ".x.bin.tmp", ".x.bin.backup.tmp", ".y.bin.abcdefgh.tmp", "x.bin.abcdefgh.tmp",
        ".x.bin.abcdefgh.tmp", ".y.bin.spconvify-abcdefgh.tmp", ".xxbin.spconvify-abcdefgh.tmp",
        ".x.bin.spconvify-unlocked-abcdefgh.tmp", ".x.bin.spconvify-abcdefgh.old",
        ".x.bin.spconvify-abcdefgh.tmp.txt",
    ]  # fmt: skip
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / ".x.bin.ABCDEFGH.tmp").mkdir()
    (tmp_path / ".x.bin.spconvify-aalinkaa.tmp").symlink_to(tmp_path / ".x.bin.tmp")
    os.mkfifo(tmp_path / ".x.bin.spconvify-aafifoaa.tmp")
    before = names(tmp_path)
    (tmp_path / ".x.bin.spconvify-leftover.tmp").touch()
    (tmp_path / ".x.bin.spconvify-folder__.tmp" / "in").mkdir(parents=True)
    sweep(tmp_path / "x.bin")
    assert names(tmp_path) == before


def test_what_belongs_to_another_user_is_not_swept(tmp_path, monkeypatch):
    left = tmp_path / ".x.bin.spconvify-leftover.tmp"
    left.touch()
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)
    sweep(tmp_path / "x.bin")
    assert left.exists()


@pytest.mark.parametrize("name", ["[x]*?.bin", "x" * 250, "ü" * 120, ".x", "a b\n.bin"])
def test_any_name_is_swept_and_no_other(tmp_path, name):
    with atomic(tmp_path / name) as file:
        file.write(b"whole")
        (made,) = tmp_path.iterdir()
    other = tmp_path / made.name.replace("spconvify-", "x-spconvify-")
    for left in (made, other):
        left.touch()
    sweep(tmp_path / name)
    assert names(tmp_path) == sorted([name, other.name])


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """As Lustre without -o flock: what a living process makes can't be told from what was left."""

    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(scratch.fcntl, "flock", no_locks)
    with atomic(tmp_path / "x.bin") as first, scratch_folder(tmp_path / "out") as folder:
        monkeypatch.undo()  # another process may well have them
        made = names(tmp_path)
        sweep(tmp_path / "x.bin")
        sweep(tmp_path / "out")
        assert names(tmp_path) == made
        first.write(b"whole")
        (folder / "part").touch()
        put_folder(folder, tmp_path / "out")
    assert names(tmp_path) == ["out", "x.bin"]


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "x.bin"
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(FileExistsError))
        stack.enter_context(atomic(path, overwrite=False)).write(b"ours")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["x.bin"]


def test_a_file_and_its_folder_are_on_the_disk_at_the_end(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(descriptor):
        synced.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with atomic(tmp_path / "x.bin") as file:
        file.write(b"whole")
    assert synced == [stat.S_IFREG, stat.S_IFDIR]


def test_trying_a_place_out_leaves_nothing(tmp_path, monkeypatch):
    try_out(tmp_path / "x.bin")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        try_out(tmp_path / "x.bin")
    assert names(tmp_path) == []


def test_a_second_ctrl_c_leaves_nothing_either(tmp_path, monkeypatch):
    rmtree, calls = shutil.rmtree, []

    def interrupted(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path / "out") as folder:
        (folder / "part").touch()
    assert names(tmp_path) == []


def test_no_place_for_temporary_files(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(SpconvifyError, match="name a folder in TMPDIR"), scratch_folder():
        pass


def test_no_room_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    full = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space"), scratch_folder():  # something else is full
        raise full
    with pytest.raises(OSError, match="No space"), scratch_folder(tmp_path / "out"):
        raise full
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(full))
    said = "can't write temporary files into .*: No space left on device; make room there"
    with pytest.raises(SpconvifyError, match=said), scratch_folder():
        raise full
    assert names(tmp_path) == []


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


def test_of_many_writers_that_replace_nothing_one_wins(tmp_path):
    path, won, lost = tmp_path / "x.bin", [], []

    def write(number):
        try:
            with atomic(path, overwrite=False) as file:
                file.write(b"%d" % number * 1000)
            won.append(number)
        except FileExistsError:
            lost.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 7
    assert path.read_bytes() == b"%d" % won[0] * 1000
    assert names(tmp_path) == ["x.bin"]
