"""--eval module:function and --kind: the user's own figures, and what the outputs are."""

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import one_line_error

from spconvify import convert, load, save

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
IMAGES = EXAMPLES / "fashion_mnist_calibration.npz"
ONE_LAYER = ("--include", "layer3.2.conv2", "--fusion", "sum")
MODULE = """
import later, paddle

def figures(network):
    print("the user's own words")
    parameters = sum(int(p.size) for p in network.parameters())
    return {"kilo": parameters / 1000, "_CER_": later.number(network)}

def total(network):
    return float(paddle.abs(network(paddle.ones([1, 1, 28, 28]))).sum())

def fails(network):
    return 1 / 0

def tunes(network):
    network.conv1.weight.set_value(network.conv1.weight * 2)
    return 1.0

def nothing(network):
    pass

constant = 3
"""


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    """A folder with a module of metrics, which is the current one."""
    name = f"figures_{tmp_path.name}".replace("-", "_")
    later = f"later_{name}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("later", later))
    (tmp_path / f"{later}.py").write_text("def number(network):\n    return 0.25\n")
    monkeypatch.chdir(tmp_path)
    return name


def of(run, metrics, function, *options):
    return run("convert", SHIPPED, *ONE_LAYER, "--dry-run", "--eval", f"{metrics}:{function}", *options)


def test_the_figures_are_in_every_format(run, metrics):
    code, text, notes = of(run, metrics, "figures", "--format", "json")
    assert code == 0, notes
    assert "the user's own words" in notes
    found = json.loads(text)["metrics"]
    kilo = found["kilo"]
    assert kilo["before"] == pytest.approx(273.754)
    assert kilo["after"] < kilo["before"]
    assert kilo["difference"] == pytest.approx(kilo["after"] - kilo["before"])
    assert found["_CER_"] == {"before": 0.25, "after": 0.25, "difference": 0.0}
    _, text, _ = of(run, metrics, "figures")
    (line,) = (line.split() for line in text.splitlines() if "_CER_" in line)
    assert line == ["_CER_", "0.2500", "0.2500", "+0.0000"]
    _, text, _ = of(run, metrics, "figures", "--format", "md")
    assert "_CER\\_ | 0.2500 | 0.2500 | +0.0000 |" in text
    _, text, _ = of(run, metrics, "figures", "--format", "csv")
    column = {row["metrics"] for row in csv.DictReader(io.StringIO(text))}
    assert len(column) == 1
    assert "_CER_: 0.2500 → 0.2500 (+0.0000)" in column.pop()


def test_a_number_is_called_like_its_function(run, metrics):
    code, text, notes = of(run, metrics, "total", "--format", "json")
    assert code == 0, notes
    assert list(json.loads(text)["metrics"]) == ["total"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("{}:fails", "metric '{}:fails' failed on the original: ZeroDivisionError: division by zero"),
        ("{}:tunes", "metric '{}:tunes' changes the original: 'conv1.weight'; a metric has to leave"),
        ("{}:nothing", "metric '{}:nothing' gives NoneType for 'nothing'; return a number"),
        ("{}:constant", "metric '{}:constant': 'constant' is an int, not something to call; name a fun"),
        ("{}:figure", "has no 'figure'; did you mean figures?"),
        (
            "nowhere_here:f",
            "metric 'nowhere_here:f': there is no module 'nowhere_here', neither",
        ),
        ("{}.py:fails", "--eval '{}.py:fails' names a file; write it as {}:fails"),
        ("{}:", "metric '{}:' names no module and function; write it as package.module:function"),
    ],
)
def test_errors_are_one_line(run, metrics, named, message):
    options = ("--dry-run", "--eval", named.replace("{}", metrics))
    result = run("convert", SHIPPED, *ONE_LAYER, *options)
    assert message.replace("{}", metrics) in one_line_error(result, 2)


def test_the_traceback_is_there_with_debug(run, metrics):
    _, _, notes = of(run, metrics, "fails", "--debug")
    assert "in fails" in notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resize", "28"], "--resize does nothing here: no images are read without --calibration or "),
        (["--kind", "map"], "--kind does nothing here"),
        (["--kind", "pixels"], "does nothing here"),
        (["--calibration", IMAGES, "--kind", "pixels"], "--kind 'pixels': 'pixels' is unknown; use cla"),
        (
            ["--calibration", IMAGES, "--kind", "a=map", "--kind", "map"],
            "'map' is for all outputs",
        ),
        (["--calibration", IMAGES, "--kind", "main=map"], "the network has no output 'main'; its only"),
    ],
)
def test_options_that_can_not_act(run, metrics, options, message):
    assert message in one_line_error(of(run, metrics, "fails", *options, "--quiet"), 2)


def test_the_module_is_not_written_over(run, metrics):
    options = ("--eval", f"{metrics}:total", "--save-plan", f"{metrics}.py", "--force")
    assert "is the same file as the module" in one_line_error(run("convert", SHIPPED, *options), 2)


def test_a_kind_is_what_is_judged(run, metrics):
    options = ("--calibration", IMAGES, "--calibration-count", 16, "--kind", "values")
    code, text, notes = of(run, metrics, "total", *options)
    assert code == 0, notes
    assert "Agreement with the original: relative error " in text
    assert "dB (values) on 4 images left out of the fit" in text


def test_recover_shows_all_three_networks(run, metrics, tmp_path):
    save(convert(load(SHIPPED), fusion="sum", include="layer3.2.*"), tmp_path / "sp.pdparams")
    arguments = (
        "recover", tmp_path / "sp.pdparams", "--teacher", SHIPPED, "--data", IMAGES, "--steps", 2,
        "--batch-size", 8, "--out", tmp_path / "tuned.pdparams", "--force", "--eval", f"{metrics}:",
    )  # fmt: skip
    code, text, notes = run(*arguments[:-1], f"{metrics}:total", "--format", "json")
    assert code == 0, notes
    found = json.loads(text)["metrics"]["total"]
    assert list(found) == ["original", "converted", "recovered"]
    assert found["converted"] != found["recovered"]
    code, text, notes = run(*arguments[:-1], f"{metrics}:figures")
    assert "_CER_: original 0.25, converted 0.25, recovered 0.25" in text
    assert "metric" in one_line_error(run(*arguments[:-1], f"{metrics}:fails", "--quiet"), 2)
