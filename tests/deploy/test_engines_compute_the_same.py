"""Every form in the engines that deploy it: exported = eager, and nothing falls to slow code."""

import os
import subprocess
import sys
import warnings

import networks as nets
import paddle
import pytest
from paddle import nn

from spconvify import SPConv2D, convert, export
from spconvify.deploy.export import read_manifest
from spconvify.deploy.fuse import fuse
from spconvify.engines import registry, usable_engines
from spconvify.errors import PlainFileWarning
from spconvify.operators.spconv.folded import fold
from spconvify.operators.spconv.forms import FORMS
from spconvify.report.exported import export_lines

CHANNELS = [5, 9, 0, 15, 3, 2, 8, 1, 4, 6, 7, 10, 11, 12, 13, 14]


class Branches(nn.Layer):
    """Each layer on the same input; gives all of their outputs."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.LayerList(layers)

    def forward(self, x):
        return [layer(x) for layer in self.layers]


def every_form(fusion, groups, **options):
    for stride in (1, 2):
        for ratio in (0.125, 0.25, 0.5, 0.75):
            layer = SPConv2D(16, 8, stride, ratio=ratio, groups=groups, fusion=fusion, **options)
            nets.trained(layer, seed=stride)
            folded = fold(layer, nets.trained(nn.BatchNorm2D(8)))
            yield layer
            yield from (FORMS.build(folded, name) for name in FORMS.candidates(folded))


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize(
    "groups", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("engine", ["inference", "openvino", "onnxruntime"])
@pytest.mark.parametrize("channels", [None, pytest.param(CHANNELS, marks=pytest.mark.slow)])
def test_every_form_is_exported_right(tmp_path, fusion, groups, engine, channels):
    if engine not in usable_engines("cpu"):
        pytest.skip(f"{engine} isn't here")
    model = Branches(every_form(fusion, groups, channels=channels))
    model.eval()
    for batch in (1, 3):  # export checks every output against eager
        export(model, tmp_path / f"out{batch}", (batch, 16, 7, 9), engine, tune=False)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize(
    "groups", [2, pytest.param(1, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_every_form_is_divided_right(tmp_path, fusion, groups):
    """Maps so large that their splits are divided, behind a convolution that makes them."""
    if "onnxruntime" not in usable_engines("cpu"):
        pytest.skip("onnxruntime isn't here")
    forms = []
    for stride in (1, 2):
        layer = nets.trained(SPConv2D(128, 64, stride, groups=groups, fusion=fusion), seed=stride)
        folded = fold(layer, nets.trained(nn.BatchNorm2D(64)))
        for form in FORMS.candidates(folded, registry.engine("onnxruntime")):
            forms.append(nn.Sequential(nets.conv(3, 128), nn.ReLU(), FORMS.build(folded, form)))
    model = Branches(forms)
    model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlainFileWarning)
        export(model, tmp_path / "out", (1, 3, 36, 36), "onnxruntime", tune=False)


def test_the_line_that_loads_an_export_names_the_program(tmp_path):
    if "openvino" not in usable_engines("cpu"):
        pytest.skip("this Paddle brings no OpenVINO")
    model = nets.trained(convert(nets.PlainNet()))
    folder = export(model, tmp_path / "out", (1, 3, 16, 16), "openvino", tune=False)
    last = list(export_lines(folder, read_manifest(folder)))[-1]
    assert f'Config("{folder}/model.pdmodel", "{folder}/model.pdiparams"), with enable_openvino' in last


VERBOSE = """
import pathlib, sys, zlib
import numpy as np
from spconvify.engines.inference import ENGINE
run = ENGINE.load(pathlib.Path(sys.argv[1]), np.zeros((1, 3, 224, 224), np.float32))
run()
print("second run", flush=True)
run()
"""


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_no_primitive_of_resnet18_is_a_reference_implementation(tmp_path, fusion):
    model = convert(paddle.vision.models.resnet18(), fusion=fusion, init="none")
    model.eval()
    registry.engine("inference").write(fuse(model), tmp_path, (1, 3, 224, 224))
    done = subprocess.run(
        [sys.executable, "-c", VERBOSE, str(tmp_path)],
        env={**os.environ, "ONEDNN_VERBOSE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.rpartition("second run")[2].splitlines()
    primitives = [line for line in lines if ",exec," in line]
    assert len([line for line in primitives if ",convolution," in line]) >= 36
    assert [line for line in primitives if "ref:any" in line] == []
