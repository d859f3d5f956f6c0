"""What reaches stdout and stderr: results alone, in any encoding, and a lost output is no crash."""

import io
import json
import os
import subprocess
import sys

import pytest

from spconvify.cli.streams import Stream

CHATTY = """
import atexit, ctypes, os, sys
print("import"); atexit.register(print, "bye")
from paddle import nn
class N(nn.Layer):
    def __init__(self):
        super().__init__()
        print("build"); sys.__stdout__.write("kept back"); ctypes.CDLL(None).puts(b"from C")
        self.a, self.b = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
    def forward(self, x):
        print("forward"); os.write(1, b"past Python"); sys.stdout.buffer.write(b"bytes")
        return self.b(self.a(x))
"""
MAIN = [sys.executable, "-m", "spconvify"]
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")


def shell(line, folder, **variables):
    """Run a line of sh, in which `spconvify` is this one."""
    line = f"spconvify() {{ '{sys.executable}' -m spconvify \"$@\"; }}; {line}"
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env={**os.environ, **variables}, capture_output=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small checkpoint `model.pdparams`."""
    from spconvify import save, zoo

    folder = tmp_path_factory.mktemp("folder")
    save(zoo.find("resnet20", 10, 1).build(), folder / "model.pdparams")
    (folder / "chatty.py").write_text(CHATTY)
    return folder


CONVERT = "spconvify convert model.pdparams -f --out sp.pdparams"


def test_what_a_network_prints_is_no_result(folder):
    done = shell("spconvify report chatty:N --input 1,3,8,8 --no-latency --format json", folder)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for said in (
        b"import",
        b"build",
        b"forward",
        b"past Python",
        b"bytes",
        b"kept back",
        b"from C",
        b"bye",
    ):
        assert said in done.stderr, said


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow), "gbk"])
def test_any_encoding(folder, encoding):
    done = shell("spconvify report resnet20 --no-latency", folder, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert " %" in text
    assert "?" not in text
    assert any(f"{minus}6" in text for minus in "-−")  # of the parameters there are 6x % less


@pytest.mark.parametrize("redirection", [">&-", "| true", pytest.param("> /dev/full", marks=needs_full)])
def test_a_checkpoint_that_was_saved_is_a_success(folder, redirection):
    done = shell(f"rm -f sp.pdparams; ({CONVERT}; echo $? > code) {redirection}", folder)
    assert (folder / "code").read_text() == "0\n", done.stderr
    assert (folder / "sp.pdparams").exists()
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert (b"warning: can't print the result: No space left" in done.stderr) == ("full" in redirection)


@pytest.mark.parametrize("redirection", ["2>&-", "2>&1 >/dev/null | true"])
def test_nobody_has_to_hear_the_notes(folder, redirection):
    shell(f"rm -f sp.pdparams; ({CONVERT}; echo $? > code) {redirection}", folder)
    assert (folder / "code").read_text() == "0\n"
    assert (folder / "sp.pdparams").exists()


@needs_full
def test_a_result_that_is_lost_is_said(folder):
    done = shell("spconvify inspect resnet20 > /dev/full", folder)
    assert done.returncode == 1
    assert done.stderr == b"spconvify: error: can't print the result: No space left on device\n"
    done = shell("(spconvify inspect resnet20 --format csv; echo $? > code) | true", folder)
    assert (done.stderr, (folder / "code").read_text()) == (b"", "0\n")


def test_help_and_version(folder):
    for option in ("--help", "recover --help", "--version"):
        done = shell(f"(spconvify {option}; echo $? > code) | true", folder)
        assert (done.stderr, (folder / "code").read_text()) == (b"", "0\n")
    assert b"Usage" in shell("spconvify recover --help", folder, PYTHONIOENCODING="ascii").stdout
    assert shell("spconvify --version", folder).stdout.startswith(b"spconvify ")


def test_a_current_folder_that_was_deleted(run, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    said = "spconvify: error: the current folder isn't there any more; go to another one\n"
    assert run("inspect", "resnet20") == (1, "", said)


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error, self.tries = error, 0

    def write(self, text):
        self.tries += 1
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "full"), ValueError("closed"), BrokenPipeError()])
def test_a_stream_that_is_gone_is_tried_once(error):
    file = Broken(error)
    stream = Stream(file)
    print("a", "b", file=stream)
    stream.flush()
    assert file.tries == 1
    assert stream.lost is (None if isinstance(error, BrokenPipeError) else error)


def test_names_on_stderr(run, tmp_path):
    evil = "a\x1b]0;PWNED\x1b[2J[/b]:smile:\u202ex\nspconvify: error: fake"
    for arguments in (
        ("verify", f"{evil}.pdparams"),
        ("inspect", evil),
        (evil,),
        ("inspect", "resnet20", f"--{evil}"),
        ("inspect", "resnet20", "--format", evil),
        ("report", "resnet20", "--threads", evil),
        ("report", "resnet20", "--engine", evil),
        ("convert", tmp_path / "x.pdparams", "--ratio-for", evil),
    ):
        code, out, err = run(*arguments)
        assert code
        assert out == ""
        assert err.count("\n") == 1, arguments
        assert err.startswith("spconvify: error: ")
        assert not {"\x1b", "\u202e"} & set(err)


def test_a_traceback_steers_nothing(run, tmp_path):
    err = run("verify", tmp_path / "a\x1b[2J.pdparams", "--debug")[2]
    assert "Traceback" in err
    assert "\x1b" not in err


def test_names_with_markup_on_a_terminal(monkeypatch):
    from rich.console import Console

    from spconvify.cli import output

    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=200)
    monkeypatch.setattr(output, "stderr", console)
    evil = "m[/v2]:boom:\x1b[2J.pdparams"
    with output.working(f"reading {evil}"), output.progress_bar(f"fitting {evil}") as move:
        move(1, 2, f"fitting {evil}")
    output.note(f"saved {evil}")
    output.error(f"can't read {evil}")
    text = file.getvalue()
    assert "\x1b[2J" not in text
    assert text.count("m[/v2]:boom:\\x1b[2J.pdparams") >= 3
