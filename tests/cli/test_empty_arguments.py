"""Arguments without a text, and folders without a name: refused in a line that says which it is."""

import pytest


@pytest.fixture
def checkpoint(tmp_path, network):
    (tmp_path / "net.pdparams").write_bytes(network)
    return str(tmp_path / "net.pdparams")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["convert", ""], "an argument"),
        (["convert", "{}", "--calibration", ""], "--calibration"),
        (["convert", "{}", "--calibration="], "--calibration"),
        (["convert", "{}", "-o", ""], "-o"),
        (["convert", "{}", "--kind", "main=map", ""], "an argument"),
        (["recover", "{}", "--teacher", "", "--data", "x"], "--teacher"),
        (["report", "{}", "--arch", ""], "--arch"),
        (["verify", ""], "an argument"),
    ],
)
def test_what_is_empty_is_named(run, checkpoint, arguments, what):
    code, out, err = run(*(text.format(checkpoint) for text in arguments))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith(f"error: {what} is empty; is a variable of the shell not set?")


def test_an_empty_option_reads_no_pictures_of_the_current_folder(run, checkpoint, monkeypatch):
    monkeypatch.setattr("spconvify.data.reading.read_images", None)
    assert run("convert", checkpoint, "--dry-run", "--calibration", "")[0] == 2


@pytest.mark.parametrize("folder", [".", "./", "/"])
@pytest.mark.parametrize("command", ["convert", "recover"])
def test_a_folder_without_a_name_of_its_own(run, checkpoint, tmp_path, monkeypatch, command, folder):
    monkeypatch.chdir(tmp_path)
    more = ["--teacher", checkpoint, "--data", checkpoint] if command == "recover" else []
    code, _, err = run(command, folder, *more)
    assert code == 1
    assert f"can't read {folder.rstrip('/') or '/'}: it is a folder; name a .pdparams" in err


def test_nothing_hidden_is_meant(run, tmp_path):
    (tmp_path / ".weigths.pdparams.spconvify-lock").write_bytes(b"")
    assert run("verify", tmp_path / "weights.pdparams")[2].strip().endswith("there is no such file")
