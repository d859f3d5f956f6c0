"""Names that the shell completes."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("convert x.pdparams --init l", {"lstsq"}),
        ("convert x.pdparams --fusion ", {"gap", "sum"}),
        ("report resnet18 --engine open", {"openvino"}),
        ("export x.pdparams --engine ", {"inference", "openvino", "onnxruntime"}),
        ("report resnet18 --format ", {"table", "json", "csv", "md"}),
        ("inspect x.pdparams --arch mobilenet_v3", {"mobilenet_v3_large", "mobilenet_v3_small"}),
    ],
)
def test_names_of_the_registries_are_offered(typed, offered):
    words = f"spconvify {typed}"
    env = {
        **os.environ,
        "_SPCONVIFY_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    code = "import sys; from spconvify.__main__ import main; sys.argv = ['spconvify']; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert set(done.stdout.split()) == offered
    assert (done.returncode, done.stderr) == (0, "")
