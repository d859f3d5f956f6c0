"""The command line on real files: results, exit codes, one-line errors, nothing half-written."""

import csv
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import networks as nets
import numpy as np
import paddle
import pytest
from command_line import one_line_error

from spconvify import SPConv2D, convert, load, save, zoo


@pytest.fixture
def checkpoint(tmp_path):
    return save(zoo.find("resnet20", 37, 1).build(), tmp_path / "model.pdparams")


def test_convert(run, checkpoint, tmp_path):
    out = tmp_path / "sp.safetensors"
    code, text, notes = run("convert", checkpoint, "--ratio", 0.25, "--out", out)
    assert code == 0
    assert "18 of 21 convolutions converted" in text
    assert "ratio 0.25, 2 groups, sum fusion" in text
    assert notes == f"saved {out}\n"
    model = load(out)
    assert isinstance(model.layer1[0].conv1, SPConv2D)
    assert model.layer3[1].conv1.representative == 16
    assert model.fc.weight.shape == [64, 37]


def test_convert_names_its_output_itself(run, checkpoint):
    assert run("convert", checkpoint, "-q")[2] == ""
    assert (checkpoint.parent / "model-spconv.pdparams").exists()


def test_convert_again_fails_and_writes_nothing(run, checkpoint, tmp_path):
    run("convert", checkpoint, "--out", tmp_path / "sp.pdparams")
    result = run("convert", tmp_path / "sp.pdparams", "--out", tmp_path / "twice.pdparams")
    assert "nothing to convert" in one_line_error(result, 1)
    assert "18x already an SPConv2D" in result[2]
    assert not (tmp_path / "twice.pdparams").exists()


def test_dry_run_writes_nothing(run, checkpoint):
    before = sorted(os.listdir(checkpoint.parent))
    code, text, notes = run("convert", checkpoint, "--dry-run", "--per-layer")
    assert code == 0
    assert "layer3.2.conv2" in text
    assert "nothing was written" in notes
    assert sorted(os.listdir(checkpoint.parent)) == before


def test_json_has_every_promised_key(run, checkpoint, tmp_path):
    code, text, _ = run(
        "convert", checkpoint, "--out", tmp_path / "s.pdparams", "--format", "json",
        "--exclude", "layer1.*", "--ratio-for", "layer3.*=0.25", "--fusion", "gap",
    )  # fmt: skip
    data = json.loads(text)
    assert code == 0
    assert data["input_shape"] == [1, 1, 32, 32]
    assert (data["ratio"], data["groups"], data["fusion"]) == (None, 2, "gap")  # ratios are the sites'
    assert data["engine"] is data["threads"] is data["speedup"] is None
    assert data["batch"] == 1
    for side in ("before", "after"):
        assert {"params", "macs", "latency_ms", "bytes"} <= set(data[side])
        assert data[side]["latency_ms"] is None
    assert data["after"]["params"] < data["before"]["params"]
    assert set(data["sites"][0]) == {
        "name", "eligible", "reason", "in_channels", "out_channels", "stride", "effective_ratio",
        "groups", "params_before", "params_after", "macs_before", "macs_after", "error", "kept_copy",
        "form", "in_channels_after", "out_channels_after",
    }  # fmt: skip
    sites = {site["name"]: site for site in data["sites"]}
    assert sites["layer1.0.conv1"]["reason"] == "excluded"
    assert sites["layer3.1.conv1"]["effective_ratio"] == 0.25
    assert sites["layer2.1.conv1"]["effective_ratio"] == 0.5
    assert "relu" in data["uncounted"]


def test_report_of_resnet50_is_the_papers(run):
    asked = ("report", "resnet50", "--fusion", "gap", "--no-latency", "--format", "json")
    data = json.loads(run(*asked)[1])
    assert data["fusion"] == "gap"
    assert f"{data['before']['params'] / 1e6:.2f}" == "25.56"
    assert f"{data['after']['params'] / 1e6:.2f}" == "18.34"
    assert 100 * (1 - data["after"]["macs"] / data["before"]["macs"]) == pytest.approx(28.3, abs=0.5)


def test_report_times_both_networks(run, checkpoint):
    code, text, _ = run("report", checkpoint, "--format", "json", "--batch", 2, "--threads", 1)
    (timing,) = json.loads(text)["timings"]
    assert code == 0
    expected = {"engine": "inference", "threads": 1, "batch": 2, "device": "cpu"}
    assert {key: timing[key] for key in expected} == expected
    for side in ("before_ms", "after_ms", "fused_ms"):
        assert 0 < timing[side]["p10"] <= timing[side]["median"] <= timing[side]["p90"]
    data = json.loads(text)
    assert data["before"]["latency_ms"] == timing["before_ms"]
    assert data["after"]["latency_ms"] == timing["fused_ms"]
    assert {form.split("+")[0] for form in timing["forms"].values()} == {"pointwise-last"}


def test_several_engines_are_timed_one_after_the_other(run, checkpoint):
    code, text, _ = run("report", checkpoint, "--format", "json", "--engine", "eager, inference,eager")
    assert code == 0
    assert [timing["engine"] for timing in json.loads(text)["timings"]] == ["eager", "inference"]


def test_report_of_a_converted_checkpoint_compares_with_its_original(run, checkpoint, tmp_path):
    out = tmp_path / "sp.pdparams"
    error = run("convert", checkpoint, "--out", out, "--ratio", 0.25, "--fusion", "gap")[2]
    assert "saved" in error
    assert "--arch" not in error
    data = json.loads(run("report", tmp_path / "sp.pdparams", "--no-latency", "--format", "json")[1])
    assert (data["ratio"], data["fusion"]) == (0.25, "gap")
    assert data["before"]["params"] > 2 * data["after"]["params"]


def test_markdown_and_csv(run):
    markdown = run("report", "resnet20", "--no-latency", "--format", "md", "--per-layer")[1]
    assert "| parameters |" in markdown
    assert "| layer1.0.conv1 | 16 | 16 |" in markdown
    rows = list(csv.DictReader(io.StringIO(run("inspect", "resnet20", "--format", "csv")[1])))
    assert len(rows) == 21
    assert rows[0]["eligible"] == "False"


def test_inspect(run):
    code, text, _ = run("inspect", "resnet18")
    assert code == 0
    assert "resnet18: 16 of 20 convolutions are eligible" in text
    assert "kernel 7x7" in text
    assert json.loads(run("inspect", "resnet18", "--format", "json")[1])["sites"][0]["name"] == "conv1"


def test_arch_of_the_users_own(run, tmp_path, monkeypatch):
    path = save(nets.PlainNet(), tmp_path / "w.pdparams")
    result = run("convert", path)
    assert "--arch package.module:factory" in one_line_error(result, 1)
    code, _, _ = run(
        "convert", path, "--arch", "networks:PlainNet", "--out", tmp_path / "sp.pdparams",
        "--input", "1,3,64,64",
    )  # fmt: skip
    assert code == 0
    assert isinstance(load(tmp_path / "sp.pdparams", "networks:PlainNet").conv1, SPConv2D)


def test_plot(run, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("report", "resnet20", "--no-latency", "--plot", tmp_path / "p.png")[0] == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("old.png", 2, "exists; replace it with --force"),
        ("p.xyz", 2, "unknown suffix '.xyz'; use .png"),
        ("no/p.png", 2, "isn't a file in an existing folder"),
        ("p.png", 1, "needs matplotlib: pip install 'spconvify[plot]'"),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_written(
    run, checkpoint, tmp_path, monkeypatch, name, code, message
):
    monkeypatch.setattr("spconvify.report.plot.find_spec", lambda name: None)
    (tmp_path / "old.png").write_text("precious")
    before = sorted(os.listdir(tmp_path))
    options = ("--out", tmp_path / "sp.pdparams", "--plot", tmp_path / name)
    assert message in one_line_error(run("convert", checkpoint, *options), code)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "old.png").read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ratio", "1.5"], "ratio 1.5 isn't inside (0, 1)"),
        (["--ratio", "0"], "ratio 0 isn't inside (0, 1)"),
        (["--ratio", "half"], "Invalid value for '--ratio'"),
        (["--groups", "0"], "groups 0 is less than 1"),
        (["--groups", "4096"], "groups 4096 fits no convolution of this network"),
        (["--fusion", "add"], "fusion 'add' is unknown; use one of: sum, gap"),
        (["--init", "magic"], "init 'magic' is unknown"),
        (["--include", "layer9.*"], "include 'layer9.*' matches no convolution of this network"),
        (["--exclude", "nope"], "exclude 'nope' matches no convolution"),
        (["--ratio-for", "layer1.*"], "--ratio-for 'layer1.*' isn't GLOB=R"),
        (["--ratio-for", "layer1.*=2"], "ratio 2 isn't inside (0, 1)"),
        (["--input", "3,224"], "--input '3,224' isn't a shape"),
        (["--input", "1,3,32,32"], "doesn't run on an input of 1x3x32x32"),
        (["--format", "xml"], "--format 'xml' is unknown; use one of: table, json, csv, md"),
        (["--out", "x.pt"], "unknown suffix '.pt'"),
        (["--out", "."], "unknown suffix"),
        (["--out", "no/where.pdparams"], "doesn't exist; create it first"),
        (["--arch", "resnet21"], "resnet20"),
        (["--latency", "--engine", "tvm"], "engine 'tvm' is unknown"),
        (["--latency", "--engine", "inference,tvm"], "engine 'tvm' is unknown"),
        (["--latency", "--engine", "inference,"], "engine '' is unknown"),
        (["--latency", "--device", "cuda:0"], "device 'cuda:0' is unknown"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_calls(run, checkpoint, monkeypatch, options, message):
    monkeypatch.chdir(checkpoint.parent)
    before = sorted(os.listdir())
    error = one_line_error(run("convert", checkpoint, *options), 2)
    assert message in error
    assert sorted(os.listdir()) == before


def test_gpu_that_is_not_there(run, checkpoint):
    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle has CUDA")
    error = one_line_error(run("report", checkpoint, "--device", "gpu:0"), 1)
    assert "built for the CPU" in error


def test_existing_output_needs_force(run, checkpoint, tmp_path):
    out = tmp_path / "old.pdparams"
    out.write_text("precious")
    assert "exists; replace it with --force" in one_line_error(
        run("convert", checkpoint, "--out", out), 2
    )
    assert out.read_text() == "precious"
    assert run("convert", checkpoint, "--out", out, "--force")[0] == 0
    assert load(out).layer1[0].conv1.representative == 8


def test_files_that_are_no_checkpoints(run, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'canary'}",)

    (tmp_path / "bomb.pdparams").write_bytes(pickle.dumps({"w": Bomb()}, 4))
    (tmp_path / "empty.pdparams").write_bytes(b"")
    (tmp_path / "text.pdparams").write_text("hello")
    (tmp_path / "cut.pdparams").write_bytes(pickle.dumps({"w": np.zeros(9)}, 4)[:-20])
    for name, message in (
        ("bomb.pdparams", "refers to posix.system"),
        ("empty.pdparams", "the file is empty"),
        ("text.pdparams", "neither a .pdparams nor a .safetensors"),
        ("cut.pdparams", "truncated"),
        ("missing.pdparams", "no such file"),
    ):
        before = sorted(os.listdir(tmp_path))
        assert message in one_line_error(run("convert", tmp_path / name), 1)
        assert sorted(os.listdir(tmp_path)) == before


def test_nothing_eligible(run, tmp_path):
    path = save(zoo.find("mobilenet_v1").build(lazy=False), tmp_path / "m.pdparams")
    assert "nothing to convert: none of the 27" in one_line_error(run("convert", path), 1)
    assert os.listdir(tmp_path) == ["m.pdparams"]


def test_unknown_network_gives_the_nearest(run):
    assert "resnet18" in one_line_error(run("report", "resnet81"), 2)
    assert "spconvify report" in one_line_error(run("convert", "resnet18"), 2)


def test_checkpoint_and_arch_that_do_not_fit(run, checkpoint):
    assert "resnet20" in one_line_error(run("convert", checkpoint, "--arch", "resnet18"), 1)


def test_debug_shows_the_traceback(run, checkpoint):
    code, _, errors = run("convert", checkpoint, "--ratio", 2, "--debug")
    assert code == 2
    assert "Traceback" in errors


def test_layer_that_cannot_be_replaced_is_named(run, tmp_path):
    path = save(nets.ParentReadsWeight(), tmp_path / "w.pdparams")
    options = ("--arch", "networks:ParentReadsWeight", "--input", "1,8,16,16")
    error = one_line_error(run("convert", path, *options, "--out", tmp_path / "o.pdparams"), 1)
    assert "layer 'conv': the network reads its 'weight'" in error
    assert os.listdir(tmp_path) == ["w.pdparams"]


def fresh(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "spconvify", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_help_loads_no_paddle_and_works_without_it(tmp_path):
    (tmp_path / "paddle.py").write_text("raise ModuleNotFoundError('No paddle', name='paddle')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for command in ((), ("convert",), ("report",), ("inspect",)):
        result = fresh(*command, "--help", PYTHONPATH=path)
        assert result.returncode == 0, result.stderr
        assert "Examples" in result.stdout or not command
    for command in (("report", "resnet18"), ("inspect", "resnet18")):
        result = fresh(*command, PYTHONPATH=path)
        assert result.returncode == 1
        assert "pip install 'spconvify[cpu]'" in result.stderr
        assert result.stderr.count("\n") == 1


def test_piped_output_has_no_colours():
    result = fresh("inspect", "resnet18", FORCE_COLOR="")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout + result.stderr


def test_python_api_matches_the_command_line(run, checkpoint, tmp_path):
    run("convert", checkpoint, "--out", tmp_path / "sp.pdparams")
    from_python = convert(load(checkpoint))
    from_file = load(tmp_path / "sp.pdparams")
    for key, value in from_python.state_dict().items():
        np.testing.assert_array_equal(from_file.state_dict()[key].numpy(), value.numpy())


def test_shipped_network_converts(run, tmp_path):
    shipped = Path(__file__).parents[2] / "examples" / "resnet20_fashion_mnist.pdparams"
    assert run("convert", shipped, "--ratio", 0.5, "--out", tmp_path / "sp.pdparams")[0] == 0


def test_copied_weights_are_said_aloud_where_they_are_written(tmp_path):
    shipped = Path(__file__).parents[2] / "examples" / "resnet20_fashion_mnist.pdparams"
    done = fresh("convert", shipped, "--out", tmp_path / "sp.pdparams", "-q", FORCE_COLOR="1")
    assert done.returncode == 0
    assert (
        "\x1b[1;31mwarning: the network's outputs are no longer the original's: relative" in done.stderr
    )
    assert "on 4 images of random numbers" in done.stdout
    done = fresh("report", shipped, "--no-latency")
    assert "no longer" not in done.stderr  # no weights are kept
    assert "random numbers" not in done.stdout
