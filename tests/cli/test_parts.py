"""Checkpoints as people have them: prefixes, nesting, copies and extras beside the network's weights."""

import networks as nets
import numpy as np
import paddle
import pytest
from command_line import one_line_error

from spconvify import (
    ArgumentError,
    CheckpointError,
    CheckpointWarning,
    SPConv2D,
    convert,
    load,
    save,
    zoo,
)
from spconvify.checkpoint import write_state

NETWORKS = "networks:PlainNet"


def arrays(model):
    return {key: value.numpy() for key, value in model.state_dict().items()}


def under(prefix, state):
    return {f"{prefix}{key}": value for key, value in state.items()}


def other(state):
    return {key: value + 1 for key, value in state.items()}


def assert_same(model, expected):
    actual = arrays(model)
    assert list(actual) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(actual[key], value)


@pytest.fixture
def state():
    return arrays(nets.trained(nets.PlainNet()))


def write(tmp_path, content):
    path = tmp_path / "w.pdparams"
    write_state(path, content)
    return path


@pytest.mark.parametrize(
    "prefix",
    ["Student.", "Student2.", "module.", "_layers.", "model.", "backbone.", "network.", "ema.",
     "_layers.module.", "state_dict.net._layers.", "any.thing."],
)  # fmt: skip
def test_one_prefix_is_unwrapped_and_said(tmp_path, state, prefix):
    path = write(tmp_path, under(prefix, state))
    with pytest.warns(CheckpointWarning, match=f"keys under the prefix '{prefix}'"):
        model = load(path, nets.PlainNet())
    assert_same(model, state)


@pytest.mark.parametrize(
    ("extras", "left_out"),
    [
        ({"aux.weight": np.ones(2)}, "aux.weight"),
        ({"aux_head.conv.weight": np.ones((2, 2))}, "aux_head.conv.weight"),
        ({"bn.num_batches_tracked": np.ones(1)}, "bn.num_batches_tracked"),
        ({"optimizer.conv_moment1": np.ones(2)}, "optimizer.conv_moment1"),
        ({"lr_scheduler.last": np.ones(2)}, "lr_scheduler.last"),
        ({"Teacher.backbone.conv.weight": np.ones(2)}, "Teacher.backbone.conv.weight"),
    ],
)
def test_extras_that_are_no_part_of_a_network_are_left_out(tmp_path, state, extras, left_out):
    for prefix in ("", "model."):
        path = write(tmp_path, {**extras, **under(prefix, state)})
        with pytest.warns(CheckpointWarning, match=f"left out '{left_out}'"):
            assert_same(load(path, nets.PlainNet()), state)


@pytest.mark.parametrize(
    "extras", [{"neck.weight": np.ones(2)}, {"conv1.scale": np.ones(2)}, {"head.fc.weight": np.ones(2)}]
)
def test_parts_that_a_network_may_need_are_never_left_out_silently(tmp_path, state, extras):
    path = write(tmp_path, {**state, **extras})
    with pytest.raises(CheckpointError, match=r"1 unexpected.*leave them out with ignore="):
        load(path, nets.PlainNet())
    assert_same(load(path, nets.PlainNet(), ignore=next(iter(extras))), state)
    path = write(tmp_path, {**under("backbone.", state), **extras})
    with pytest.raises(CheckpointError) as error:
        load(path, nets.PlainNet())
    assert "more than this network" in str(error.value)
    assert "weights='backbone.'" in str(error.value)
    assert_same(load(path, nets.PlainNet(), weights="backbone"), state)


def test_copies_are_ambiguous_and_the_options_that_pick_are_named(tmp_path, state):
    path = write(tmp_path, {**under("Student.", other(state)), **under("Teacher.", state)})
    with pytest.raises(CheckpointError) as error:
        load(path, nets.PlainNet())
    assert "prefixes 'Student.' and 'Teacher.'; pick some with weights='Student.'" in str(error.value)
    assert_same(load(path, nets.PlainNet(), weights="Teacher."), state)
    assert_same(load(path, nets.PlainNet(), weights="Student"), other(state))


def test_a_moving_average_beside_the_weights(tmp_path, state):
    path = write(tmp_path, {**state, **under("ema.", other(state))})
    with pytest.raises(CheckpointError) as error:
        load(path, nets.PlainNet())
    assert "weights='ema.', or leave those out with ignore='ema.*'" in str(error.value)
    assert_same(load(path, nets.PlainNet(), weights="ema"), other(state))
    assert_same(load(path, nets.PlainNet(), ignore="ema.*"), state)


@pytest.mark.parametrize("version", ["state_dict", "model", "params", "net"])
def test_nested_as_paddle_saves_it(tmp_path, state, version):
    model = nets.PlainNet()
    model.set_state_dict(state)
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    path = str(tmp_path / "w.pdparams")
    paddle.save(
        {
            version: model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "best": [0.5, None],
        },
        path,
    )
    with pytest.warns(CheckpointWarning, match=f"under the prefix '{version}\\.'"):
        assert_same(load(path, nets.PlainNet()), state)


def test_nested_twice_with_two_that_fit(tmp_path, state):
    model = nets.PlainNet()
    path = str(tmp_path / "w.pdparams")
    paddle.save({"ckpt": {"model": model.state_dict(), "ema": nets.PlainNet().state_dict()}}, path)
    with pytest.raises(CheckpointError, match=r"prefixes 'ckpt\.model\.' and 'ckpt\.ema\.'"):
        load(path, nets.PlainNet())
    assert_same(load(path, nets.PlainNet(), weights="ckpt.model"), arrays(model))


@pytest.mark.parametrize("fusion", ["gap", "sum"])
def test_converted_checkpoints_too(tmp_path, fusion):
    model = convert(nets.PlainNet(), fusion=fusion)
    path = write(tmp_path, {**under("Student.", arrays(model)), "Teacher.other": np.ones(3)})
    with pytest.warns(CheckpointWarning, match=r"'Student\.'"):
        loaded = load(path, nets.PlainNet())
    assert isinstance(loaded.conv1, SPConv2D)
    assert_same(loaded, arrays(model))


@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("prefix", ["Student.", "state_dict.module."])
def test_a_known_network_is_identified_under_a_prefix(tmp_path, prefix, converted):
    model = zoo.find("resnet20", 7, 1).build()
    model = convert(model, fusion="sum") if converted else model
    extras = {"Teacher.x": np.ones(2), "aux.fc.weight": np.ones(2)}
    path = write(tmp_path, {**extras, **under(prefix, arrays(model))})
    with pytest.warns(CheckpointWarning, match=prefix):
        assert_same(load(path), arrays(model))
    with pytest.warns(CheckpointWarning, match=prefix):
        assert_same(load(path, "resnet20"), arrays(model))


def test_a_detector_is_not_taken_for_its_backbone(tmp_path):
    backbone = arrays(zoo.find("resnet18", 0).build())
    path = write(tmp_path, {**under("backbone.", backbone), "neck.conv.weight": np.ones((4, 4, 1, 1))})
    with pytest.raises(CheckpointError, match=r"more than this network.*'neck\.conv\.weight'"):
        load(path)
    assert_same(load(path, weights="backbone."), backbone)


def test_an_average_by_its_ending_names_the_option(run, tmp_path):
    model = arrays(zoo.find("resnet20", 7, 1).build())
    path = write(tmp_path, {**model, **{f"{key}_ema": value for key, value in model.items()}})
    error = one_line_error(run("inspect", path), 1)
    assert "leave them out with --ignore" in error
    assert run("inspect", path, "--ignore", "*_ema")[0] == 0


def test_what_matches_nothing_is_refused(tmp_path, state):
    path = write(tmp_path, under("module.", state))
    with pytest.raises(
        ArgumentError, match=r"weights='ema' leaves no key; the checkpoint has 'module\."
    ):
        load(path, nets.PlainNet(), weights="ema")
    with pytest.raises(ArgumentError, match="ignore='aux' matches no key"):
        load(path, nets.PlainNet(), ignore="aux")


def test_a_misfit_says_what_the_prefixes_tell(tmp_path, state):
    del state["conv1.weight"]
    path = write(tmp_path, under("Student.", state))
    with pytest.raises(CheckpointError, match=r"all of its keys have the prefix 'Student\.'"):
        load(path, nets.PlainNet())


def test_names_of_pytorch_are_called_that(tmp_path, state):
    renamed = {key.replace("_mean", "running_mean"): value for key, value in state.items()}
    path = write(tmp_path, renamed)
    for into in (nets.PlainNet(), None):
        with pytest.raises(CheckpointError, match="its keys are PyTorch's"):
            load(path, into)


@pytest.mark.filterwarnings("always::spconvify.CheckpointWarning")
def test_the_command_line(run, tmp_path, state):
    path = write(tmp_path, {**under("Student.", other(state)), **under("Teacher.", state)})
    arch = ("--arch", NETWORKS, "--input", "1,3,32,32", "--out", tmp_path / "sp.pdparams")
    result = run("convert", path, *arch)
    assert "pick some with --weights 'Student.'" in one_line_error(result, 1)
    assert run("convert", path, *arch, "--weights", "Student.")[0] == 0
    result = run("report", path, *arch[:4], "--no-latency", "--ignore", "Student.*")
    assert result[0] == 0, result
    assert "warning: " in result[2]
    assert "took the" in result[2]
    assert "goes with a checkpoint" in one_line_error(run("report", "resnet20", "--weights", "x"), 2)
    assert run("verify", path, "--weights", "Teacher")[0] == 0
    assert run("inspect", path, "--arch", NETWORKS, "--weights", "Teacher")[0] == 0


@pytest.mark.parametrize(
    "command",
    ["convert {}", "report {} --no-latency", "inspect {}", "export {}",
     "recover sp.pdparams --teacher {} --data images"],
)  # fmt: skip
@pytest.mark.parametrize("what", ["deploy", "deploy/model.json", "deploy/model"])
def test_a_damaged_program_is_called_that_by_every_command(run, tmp_path, monkeypatch, command, what):
    if command.startswith("convert") and paddle.__version__.startswith("2."):
        pytest.skip("Paddle 2 writes no such program, which is found out first")
    monkeypatch.chdir(tmp_path)
    some_files(tmp_path)
    error = one_line_error(run(*command.format(what).split()), 1)
    assert "can't read deploy/model.json: it is damaged" in error
    assert not (tmp_path / "deploy-spconv").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [("verify deploy", 2), ("recover deploy --teacher w.pdparams --data images", 2)],
)
def test_a_program_where_a_checkpoint_is_wanted(run, tmp_path, monkeypatch, command, code):
    monkeypatch.chdir(tmp_path)
    some_files(tmp_path)
    assert "exported program" in one_line_error(run(*command.split()), code)


def some_files(folder):
    (folder / "images").mkdir()
    model = zoo.find("resnet20", 7, 1).build()
    save(model, "w.pdparams")
    save(convert(model), "sp.pdparams")
    (folder / "deploy").mkdir()
    (folder / "deploy" / "model.json").write_text('{"base_code": {"magic": "pir"}, "program": {}}')
    (folder / "deploy" / "model.pdiparams").write_bytes(b"\0" * 64)
