"""--input by name and in several sizes, and factories that return (network, example)."""

import json

import network_inputs
import numpy as np
import paddle
import pytest
from command_line import one_line_error
from exported_networks import write_two_inputs

from spconvify import save
from spconvify.zoo import custom

FACTORIES = (
    "detector detector_with_example stereo with_words nested classes last_and_scaled only_keywords clip "
    "one_tensor"
).split()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def of(factory):
        made = getattr(network_inputs, factory)()
        save(made[0] if isinstance(made, tuple) else made, tmp_path / "w.pdparams")
        return ("w.pdparams", "--arch", f"network_inputs:{factory}")

    return of


@pytest.fixture
def pictures(tmp_path):
    images = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        images.fromarray(pixels).save(folder / f"{number}.png")
    return folder


NAMED = {
    "detector": ["image=1,3,16,16", "im_shape=1,2", "scale_factor=1,2"],
    "only_keywords": ["scale=1,8", "image=1,3,16,16"],
    "nested_alone": ["image=1,3,16,16", "meta.scale=1,8"],
    "clip": ["clip=1,2,3,16,16"],
    "words_alone": ["image=1,3,16,16", "ids=1,4:int64"],
}


def inputs_of(*shapes):
    return [part for shape in shapes for part in ("--input", shape)]


@pytest.mark.parametrize("factory", NAMED)
def test_report_takes_inputs_by_name(run, factory):
    source = ("report", f"network_inputs:{factory}", "--no-latency", "--format", "json")
    code, out, error = run(*source, *inputs_of(*NAMED[factory]))
    assert code == 0, error
    found = json.loads(out)
    assert found["before"]["macs"] > found["after"]["macs"] > 0
    if factory == "clip":
        assert found["input_shape"] == [1, 2, 3, 16, 16]
    else:
        assert set(found["inputs"]) == {text.partition("=")[0] for text in NAMED[factory]}


def test_five_axes_without_a_name(run):
    arguments = ("report", "network_inputs:clip", "--no-latency", "--input", "1,2,3,16,16")
    assert "input 1x2x3x16x16" in run(*arguments)[1]


@pytest.mark.parametrize(
    ("factory", "shapes", "message"),
    [
        ("classes", ["picture=1,3,16,16"], "has no input 'picture'; it takes 'image', 'scale'"),
        ("only_keywords", ["image=1,3,16,16"], "takes 'scale' too; give --input scale=… as well"),
        ("detector", ["image=1,3,16,16"], "asks for the input 'im_shape' too; give --input im_shape=…"),
        ("clip", ["1,3,16"], "--input '1,3,16' isn't a shape; write it like 1,3,224,224"),
        ("clip", ["clip=1,3,a"], "--input 'clip=1,3,a' isn't a shape; write it like image="),
        ("clip", ["clip=1,3,4,5,6:string"], "'string' is none of float32, int32"),
        ("clip", ["=1,3,4,5,6"], "names no input"),
        ("clip", ["clip=1,3,4,5,6", "clip=1,3,4,5,6"], "--input clip= is given twice"),
        ("clip", ["clip=1,3,4,5,6", "1,3,16,16"], "has no name, and --input clip=1,3,4,5,6 has one"),
        ("one_tensor", ["1,3,16,16", "1,3,32,32"], "several sizes in --input are for latency"),
    ],
)
def test_other_inputs_are_refused(run, factory, shapes, message):
    arguments = ("report", f"network_inputs:{factory}", "--no-latency", *inputs_of(*shapes))
    assert message in one_line_error(run(*arguments), 2)


@pytest.mark.parametrize("command", ["export", "recover"])
def test_one_size_is_all_that_these_take(run, weights, command):
    arguments = inputs_of("1,3,16,16", "1,3,32,32")
    if command == "recover":
        arguments += ["--teacher", "w.pdparams", "--data", "images.npy"]
    error = one_line_error(run(command, *weights("one_tensor"), *arguments), 2)
    assert f"{command} takes one size, and --input gives 2; give one --input" in error


def test_several_sizes_are_timed(run):
    shapes = inputs_of("1,3,16,16", "1,3,24,16")
    source = ("report", "network_inputs:one_tensor", "--engine", "eager", *shapes, "--batch", "1")
    code, out, error = run(*source, "--format", "json")
    assert code == 0, error
    found = json.loads(out)
    assert [timing["input_shape"] for timing in found["timings"]] == [[1, 3, 16, 16], [1, 3, 24, 16]]
    assert found["input_shape"] == [1, 3, 16, 16]
    assert "--batch 2 contradicts --input" in run(*source[:-1], "2")[2]


@pytest.mark.parametrize("factory", ["detector_with_example", "classes", "last_and_scaled"])
def test_a_folder_of_pictures_fills_the_picture(run, weights, pictures, factory):
    arguments = ("--calibration", pictures, "--mean", "0.5", "--std", "0.5", "--include", "conv")
    source = (*weights(factory), "--out", "sp.pdparams", "--format", "json")
    code, out, error = run("convert", *source, *arguments)
    assert code == 0, error
    assert "random numbers" not in error
    found = json.loads(out)
    assert found["agreement"]["images"] == 5
    assert found["sites"][1]["error"] < 0.6


def test_numbers_that_nobody_gave_are_said(run, weights, pictures):
    arguments = (*inputs_of(*NAMED["only_keywords"]), "--include", "conv", "--out", "sp.pdparams")
    code, _, error = run("convert", *weights("only_keywords"), "--calibration", pictures, *arguments)
    assert code == 0, error
    assert "random numbers are given for scale" in error


def test_two_pictures_need_batches_of_both(run, weights, pictures):
    arguments = ("--calibration", pictures, "--out", "sp.pdparams")
    error = one_line_error(run("convert", *weights("stereo"), *arguments), 2)
    assert "pictures could go to 'left' and 'right' alike" in error


@pytest.mark.parametrize("factory", ["detector_with_example", "stereo", "with_words", "nested"])
def test_export_of_an_example(run, weights, factory, tmp_path):
    arguments = ("--out", "deploy", "--no-tune", "--format", "json")
    code, out, error = run("export", *weights(factory), *arguments)
    assert code == 0, error
    assert json.loads(out)["input_shape"] == [1, 3, 16, 16]  # the picture's, whatever comes first
    assert set(json.loads(out)["inputs"]) == set(
        custom.build_custom(f"network_inputs:{factory}").usual_inputs().tensors
    )


def test_export_by_name(run, weights):
    arguments = (*inputs_of(*NAMED["detector"]), "--out", "deploy", "--no-tune", "--format", "json")
    code, out, error = run("export", *weights("detector"), *arguments)
    assert code == 0, error
    assert json.loads(out)["inputs"]["image"] == [1, 3, 16, 16]


def test_recover_on_a_folder(run, weights, pictures):
    source = weights("classes")
    assert run("convert", *source, "--out", "sp.pdparams", "--include", "conv")[0] == 0
    labels = np.arange(8) % 8
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    np.savez("eval.npz", images=images, labels=labels)
    arguments = ("--data", pictures, "--steps", 2, "--batch-size", 4, "--out", "tuned.pdparams")
    more = ("--teacher", "w.pdparams", "--eval", "eval.npz", *source[1:])
    code, out, error = run("recover", "sp.pdparams", *more, *arguments)
    assert code == 0, error
    assert "2 steps" in out
    assert "top-1" in out
    assert paddle.load("tuned.pdparams")


def test_a_factory_with_something_else_behind_the_network(run):
    error = one_line_error(run("report", "network_inputs:no_example", "--no-latency"), 2)
    assert "an example of its input: a tensor or an array" in error


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            "shape",
            "its example is the shape (1, 3, 16, 16); return the values in its place, such as pad",
        ),
        (
            "nan",
            "'network_inputs:nan_for_example': the example holds NaN; give numbers that the network",
        ),
        ("grey", "; this is the example that its factory returned with it; let it return another one"),
        ("number", "doesn't run on an input of a single number: "),
    ],
)
def test_examples_that_can_not_be(run, factory, message):
    error = one_line_error(run("report", f"network_inputs:{factory}_for_example", "--no-latency"), 2)
    assert message in error
    assert "--input" not in error


def test_inspect_runs_it_on_an_input(run):
    source = ("inspect", "network_inputs:with_a_head", "--format", "json")
    verdicts = {site["name"]: site["eligible"] for site in json.loads(run(*source)[1])["sites"]}
    assert verdicts["head"]
    code, out, error = run(*source, "--input", "image=1,3,16,16", "--input", "scale=1,8")
    assert code == 0, error
    sites = {site["name"]: site for site in json.loads(out)["sites"]}
    assert sites["conv"]["eligible"]
    assert "never run in eval mode" in sites["head"]["reason"]
    error = one_line_error(run(*source, "--input", "image=1,4,16,16", "--input", "scale=1,8"), 2)
    assert "doesn't run on inputs of image 1x4x16x16, scale 1x8" in error
    error = one_line_error(run(*source, "--input", "1,3,8,8", "--input", "1,3,9,9"), 2)
    assert "inspect takes one size" in error


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_two_inputs(tmp_path / "net" / "inference")
    return "net"


def test_a_program_s_inputs_by_name(run, program, pictures):
    source = ("report", program, "--no-latency", "--format", "json", "--input")
    code, out, error = run(*source, "image=2,3,24,16")
    assert code == 0, error
    assert json.loads(out)["inputs"] == {"ids": [2, 7], "image": [2, 3, 24, 16]}
    assert json.loads(run(*source, "ids=1,7")[1])["inputs"]["ids"] == [1, 7]
    assert "no input 'x'; it takes 'ids', 'image'" in one_line_error(run(*source, "x=1,3,8,8"), 2)
    arguments = ("--input", "image=1,3,16,16", "--calibration", pictures, "--out", "slim")
    code, out, error = run("convert", program, *arguments)
    assert code == 0, error
    assert "Agreement with the original: " in out
    assert "on 5 images left out" in out
