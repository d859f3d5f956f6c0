"""Every known network converts, trains, round-trips, fuses and exports; see `matrix.check`."""

import importlib.util

import matrix
import pytest

QUICK = ("resnet18", "squeezenet1_1", "inception_v3", "mobilenet_v3_small", "LeNet", "resnet20")
EXPORTED = ("squeezenet1_1",)  # in the quick suite
# 1x1, grouped and depthwise convolutions only, but for the stem.
NOTHING_TO_CONVERT = ("mobilenet", "shufflenet", "resnext", "LeNet")
CASES = [
    pytest.param(name, fusion, marks=[] if name in QUICK else pytest.mark.slow)
    for name in matrix.names()
    for fusion in ("gap", "sum")
]


@pytest.mark.parametrize(("name", "fusion"), CASES)
def test_everything(name, fusion, tmp_path):
    if name.startswith("paddleclas:") and importlib.util.find_spec("paddleclas") is None:
        pytest.skip("PaddleClas isn't installed")
    row = matrix.check(name, tmp_path, fusion, exports=name in EXPORTED or name not in QUICK)
    if not name.startswith("paddleclas:"):
        assert bool(row["eligible"]) == (not name.startswith(NOTHING_TO_CONVERT))
    if row["eligible"]:
        assert row["macs_after"] < row["macs"]
        assert row["params_after"] < row["params"]
