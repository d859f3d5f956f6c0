"""An engine from outside the package: registered, measured, fused for, exported, found by a child."""

import importlib
import sys

import networks as nets
import pytest

from spconvify import ArgumentError, EngineError, compare, convert, export, fuse
from spconvify.deploy import tune
from spconvify.deploy.export import read_manifest
from spconvify.deploy.times_cache import TimesCache
from spconvify.deploy.tune import choose_forms
from spconvify.engines import Latency, check_engine, describe, measure, registry, usable_engines
from spconvify.engines.process import Worker
from spconvify.report.exported import export_lines

SHAPE = (1, 3, 16, 16)
AN_HOUR = Latency.of([3.6e6])
# All that an engine needs: its own module, written by somebody else.
TOY = """
import pathlib
import paddle
from spconvify.engines import Engine, register

CALLS = pathlib.Path(__file__).with_name("calls")


class Toy(Engine):
    name, label, exports = "toy", "A toy", True

    def check_installed(self):
        import toy_helper

    def version(self):
        return "7.0"

    def preferred_forms(self, spatial_scattered, pointwise_scattered):
        return ("no-such-form", "three-parts+split", "three-parts")

    def runs_form(self, form):
        return not form.endswith("+split")

    def write(self, network, folder, input_shape):
        network.eval()
        spec = [paddle.static.InputSpec(list(input_shape), "float32")]
        paddle.jit.save(network, str(folder / "model"), input_spec=spec)

    def load(self, folder, values, threads=1, device="cpu"):
        import toy_helper

        network, x = paddle.jit.load(str(folder / "model")), paddle.to_tensor(values)

        def run():
            with CALLS.open("a") as file:
                file.write("called ")
            with paddle.no_grad():
                return toy_helper.listed(network(x))

        return run

    def load_hint(self, folder, files, how):
        return [f'paddle.jit.load("{folder}/model")']


register(Toy())
"""
HELPER = "def listed(output):\n    return output if isinstance(output, list) else [output]\n"
CANARY = "raise SystemError('a file of the current folder was run')\n"


@pytest.fixture(autouse=True)
def only_own(monkeypatch):
    """Whatever a test registers is forgotten after it."""
    for attribute in ("_registered", "_homes"):
        monkeypatch.setattr(registry, attribute, {})


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of the toy's modules; the current folder has others of the same names."""
    folder, current = tmp_path / "toys", tmp_path / "current"
    for place, texts in ((folder, (TOY, HELPER)), (current, (CANARY, CANARY))):
        place.mkdir()
        for name, text in zip(("toy_engine", "toy_helper"), texts):
            (place / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(current)
    for name in ("toy_engine", "toy_helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.import_module("toy_engine")
    yield folder
    for name in ("toy_engine", "toy_helper"):
        sys.modules.pop(name, None)


@pytest.fixture
def model():
    return nets.trained(convert(nets.PlainNet(), fusion="sum"))


def test_it_is_listed_wherever_engines_are(toy):
    assert registry.names()[-1] == registry.exporting()[-1] == usable_engines("cpu")[-1] == "toy"
    with pytest.raises(ArgumentError, match=r"'toyy' is unknown; did you mean 'toy'.*tensorrt, toy$"):
        check_engine("toyy")
    with pytest.raises(ArgumentError, match=r"'eager' has no files to export; use .* or toy$"):
        export(nets.PlainNet(), toy / "out", SHAPE, "eager")
    assert describe("toy")["version"] == "7.0"


def test_it_is_measured_in_processes_that_find_it_where_this_one_has(toy):
    latency = measure({"it": nets.trained(nets.PlainNet())}, SHAPE, engine="toy", seconds=0.01)["it"]
    assert latency.median > 0
    assert len((toy / "calls").read_text().split()) > latency.runs


def test_a_module_that_its_module_imported_late_is_found_too(toy):
    """Only what this process has loaded comes from the folders that it was found in."""
    check_engine("toy")
    assert "toy_helper" in sys.modules
    sys.path.remove(str(toy))
    assert measure({"it": nets.trained(nets.PlainNet())}, SHAPE, engine="toy", seconds=0.01)


def test_forms_are_chosen_for_it(toy, model, tmp_path, monkeypatch):
    fused = fuse(model, engine="toy", input_shape=SHAPE)
    assert {fused.conv1.form, fused.conv2.form} == {"three-parts"}
    gap = fuse(convert(nets.trained(nets.PlainNet()), fusion="gap"), engine="toy", input_shape=SHAPE)
    assert gap.conv1.form == "two-parts"  # the usual one: it has said nothing of those
    monkeypatch.setattr(tune, "measure", lambda networks, *_, **__: dict.fromkeys(networks, AN_HOUR))
    cache = TimesCache(tmp_path / "forms.json")
    choice = choose_forms(model, SHAPE, "toy", choices=cache)
    assert choice.times.keys() == {"conv1", "conv2"}
    assert not any(form.endswith("+split") for times in choice.times.values() for form in times)
    assert all(key.startswith("toy 7.0, ") for key in cache._content["layers"])


def test_a_report_calls_it_by_its_label(toy, model):
    comparison = compare(nets.trained(nets.PlainNet()), model, SHAPE, "toy")
    (timing,) = comparison.timings
    assert (timing.engine, timing.forms["conv1"]) == ("toy", "three-parts")
    assert "A toy 7.0" in " ".join(str(comparison).split())


def test_it_exports(toy, model, tmp_path):
    folder = export(model, tmp_path / "out", SHAPE, "toy", tune=False)
    manifest = read_manifest(folder)
    assert (manifest.engine, manifest.facts["version"]) == ("toy", "7.0")
    assert manifest.error <= 1e-4
    lines = list(export_lines(folder, manifest))
    assert lines[0].endswith("A toy 7.0, input 1x3x16x16")
    assert lines[-1].split() == ["load", f'paddle.jit.load("{folder}/model")']
    export(model, folder, SHAPE, "toy", tune=False, overwrite=True)


def test_what_another_process_can_not_find_is_refused_with_the_reason(toy, monkeypatch, tmp_path):
    job = {"engine": "toy", "folder": str(tmp_path), "input_shape": SHAPE, "threads": 1, "device": "cpu"}
    monkeypatch.setitem(registry._homes, "toy", "__main__")
    with pytest.raises(EngineError, match="'toy' is registered in the main script; do that in a module"):
        Worker(job, "it")
    monkeypatch.setitem(registry._homes, "toy", "toy_helper")
    with Worker(job, "it") as worker:
        with pytest.raises(EngineError, match="'toy' isn't registered when its module 'toy_hel"):
            worker.wait_until_loaded()


def test_an_own_name_is_not_given_away(toy):
    engine = registry.engine("toy")
    for name in registry.names()[:-1]:
        engine.__class__.name = name
        with pytest.raises(ArgumentError, match=f"'{name}' is spconvify's own; choose another name"):
            registry.register(engine)


def test_every_own_engine_is_in_the_module_of_its_name():
    for name in registry.names():
        engine = registry.engine(name)
        assert engine.name == name
        assert engine.label
        assert registry.home(name) is None


def test_an_unknown_engine_is_refused_by_fuse():
    with pytest.raises(ArgumentError, match="engine 'onnx' is unknown; did you mean 'onnxruntime'"):
        fuse(nets.trained(nets.PlainNet()), engine="onnx")
