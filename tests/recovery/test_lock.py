"""One run at a time for a file: whoever comes second is told so, and nothing is left behind."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from recovery_networks import images, pair

from spconvify import ArgumentError, recover
from spconvify.files import locked
from spconvify.recovery.lock import only_run

pytest.importorskip("fcntl", reason="there are no such locks on Windows")
RUN = {"steps": 3, "batch_size": 8}


def test_the_second_is_refused_while_the_first_lives(tmp_path):
    path = tmp_path / "run.safetensors"
    with only_run(path):
        with pytest.raises(ArgumentError, match=r"another recover is at work on .*run\.safetensors"):
            with only_run(path):
                pass
        with only_run(tmp_path / "other.safetensors"):
            pass
        assert os.listdir(tmp_path) == [".run.safetensors.spconvify-lock"]
    with only_run(path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_link_and_another_spelling_are_the_same_file(tmp_path):
    (tmp_path / "link.safetensors").symlink_to("run.safetensors")
    (tmp_path / "folder").mkdir()
    with only_run(tmp_path / "run.safetensors"):
        for other in ("link.safetensors", "folder/../run.safetensors"):
            with pytest.raises(ArgumentError, match="another recover"):
                with only_run(tmp_path / other):
                    pass


def test_a_recovery_holds_its_checkpoint(tmp_path):
    path, student_and_teacher = tmp_path / "run.safetensors", pair()

    def second(now):
        if now.step == 2:
            with pytest.raises(ArgumentError, match="another recover is at work"):
                recover(*pair(), images(), **RUN, seed=2, checkpoint=path)

    recover(*student_and_teacher, images(), **RUN, checkpoint=path, progress=second)
    assert os.listdir(tmp_path) == ["run.safetensors"]


def test_what_a_killed_run_left_is_taken_over(tmp_path):
    path = tmp_path / "run.safetensors"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom spconvify.recovery.lock import only_run\n"
        "with only_run(Path(sys.argv[1])):\n    time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment) as process:
        while not os.listdir(tmp_path):
            time.sleep(0.01)
        time.sleep(0.1)
        with pytest.raises(ArgumentError):
            with only_run(path):
                pass
        process.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == [".run.safetensors.spconvify-lock"]
    with only_run(path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_that_is_taken_away_meanwhile_counts_for_nothing(tmp_path, monkeypatch):
    """Between the opening and the locking of the file, its owner ends and removes it."""
    path, real, seen = tmp_path / "run", locked.fcntl.flock, []

    def flock(descriptor, operation):
        if not seen:
            os.unlink(tmp_path / ".run.spconvify-lock")
        seen.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(locked.fcntl, "flock", flock)
    with only_run(path):
        assert len(seen) == 2
        assert os.listdir(tmp_path) == [".run.spconvify-lock"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_goes_on_without(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locked.fcntl, "flock", flock)
    with only_run(tmp_path / "run"):
        assert os.listdir(tmp_path) == []
    monkeypatch.setattr(locked, "fcntl", None)
    with only_run(tmp_path / "run"):
        assert os.listdir(tmp_path) == []


def test_what_is_no_lock_is_left_alone(tmp_path):
    place = tmp_path / ".run.spconvify-lock"

    def refused():
        with pytest.raises(ArgumentError, match=r"\.run\.spconvify-lock .*; move it elsewhere"):
            with only_run(tmp_path / "run"):
                pass

    place.write_text("somebody's")
    refused()
    assert place.read_text() == "somebody's"
    place.unlink()
    (tmp_path / "target").write_text("")
    place.symlink_to("target")
    refused()
    place.unlink()
    os.mkfifo(place)
    refused()
    place.unlink()
    place.mkdir()
    refused()


def test_the_other_processes_of_a_parallel_run_take_no_lock(tmp_path, monkeypatch):
    monkeypatch.setattr("spconvify.recovery.lock.first_process", lambda: False)
    with only_run(tmp_path / "run"), only_run(tmp_path / "run"), only_run(None):
        assert os.listdir(tmp_path) == []


def test_a_long_name_has_a_short_lock(tmp_path):
    with only_run(tmp_path / ("n" * 240 + ".safetensors")):
        assert len(os.listdir(tmp_path)) == 1
