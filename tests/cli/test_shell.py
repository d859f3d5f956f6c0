"""--install-completion and --show-completion: a user's own files stay whole."""

import os
import resource
import subprocess
import sys

import pytest

from spconvify import SpconvifyError
from spconvify.cli import shell as module

CODE = "import sys; from spconvify.__main__ import main; sys.argv[0] = 'spconvify'; main()"
LINE = "source '{}/.bash_completions/spconvify.sh'\n"


def completed(home, *arguments, **more):
    """The program, which is told the name of the shell."""
    env = {**os.environ, "HOME": str(home), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, **more)


@pytest.mark.parametrize("name", module.SHELLS)
def test_it_is_shown_and_installed(tmp_path, name):
    shown = completed(tmp_path, "--show-completion", name)
    assert (shown.returncode, shown.stderr) == (0, "")
    done = completed(tmp_path, "--install-completion", name)
    assert (done.returncode, done.stderr) == (0, "")
    script = tmp_path / module.SHELLS[name].script
    assert done.stdout.startswith(f"{name} completion installed in {script}\n")
    assert script.read_text().strip() == shown.stdout.strip()


def test_a_line_is_added_once_and_the_rest_stays(tmp_path):
    own = b"export A=caf\xe9\r\nalias x=y"  # not UTF-8, and not ended
    (tmp_path / "dotfiles").write_bytes(own)
    (tmp_path / "dotfiles").chmod(0o600)
    (tmp_path / ".bashrc").symlink_to("dotfiles")
    for _ in range(2):
        assert completed(tmp_path, "--install-completion", "bash").returncode == 0
        assert (tmp_path / ".bashrc").is_symlink()
        assert (tmp_path / "dotfiles").read_bytes() == own + b"\n" + LINE.format(tmp_path).encode()
    assert (tmp_path / "dotfiles").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_takes_nothing_away(tmp_path):
    own = "# mine\n" * 3000
    (tmp_path / ".bashrc").write_text(own)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    done = completed(tmp_path, "--install-completion", "bash", preexec_fn=limit)
    assert done.returncode == 1
    assert done.stderr == f"spconvify: error: can't write {tmp_path}/.bashrc: File too large\n"
    assert (tmp_path / ".bashrc").read_text() == own


@pytest.mark.parametrize("name", [".bashrc", ".bash_completions/spconvify.sh"])
def test_what_is_no_file_is_left(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    done = completed(tmp_path, "--install-completion", "bash")
    assert done.returncode in (1, 2)
    assert "isn't a regular file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_where_a_folder_should_be_is_named(tmp_path, monkeypatch):
    (tmp_path / ".zfunc").write_text("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SpconvifyError, match=r"\.zfunc: File exists"):
        module.install("zsh")
    assert os.listdir(tmp_path) == [".zfunc"]


def test_another_shell_is_told_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="for bash, fish, zsh alone, and this shell is 'tcsh'; see"):
        module.install("tcsh")
    with pytest.raises(ValueError, match="none that can be told"):
        module.install("")


def test_a_home_with_a_quote(tmp_path, monkeypatch):
    home = tmp_path / "it's"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    script = module.install("bash")
    script.write_text("echo read")
    said = subprocess.run(["bash", str(home / ".bashrc")], capture_output=True, text=True)
    assert said.stdout == "read\n"
