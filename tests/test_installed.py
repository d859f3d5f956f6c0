"""The installed package is found from wherever somebody starts Python."""

import subprocess
import sys
from importlib import metadata

import spconvify


def test_a_folder_of_the_same_name_doesnt_hide_it(tmp_path):
    """Such as a clone that is called spconvify, beside a script or a notebook."""
    (tmp_path / "spconvify" / "spconvify").mkdir(parents=True)
    (tmp_path / "spconvify" / "README.md").touch()
    script = tmp_path / "script.py"
    script.write_text("import spconvify\nprint(spconvify.load, spconvify.__version__)\n")
    commands = ([str(script)], ["-c", script.read_text()])
    for arguments in commands:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith(f"{spconvify.__version__}\n")


def test_the_version_stands_in_one_place():
    assert metadata.version("spconvify") == spconvify.__version__
