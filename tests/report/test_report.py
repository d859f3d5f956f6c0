"""What the tables say, literally, and that columns add up."""

import csv
import io
import json
from dataclasses import replace

import networks as nets
import numpy as np
import pytest
from rich.console import Console

from spconvify import compare, convert
from spconvify.deploy.latencies import Timing
from spconvify.engines import Latency
from spconvify.evaluation.agreement import Agreement, OutputAgreement
from spconvify.report import (
    agreement_lines,
    inspect_table,
    print_table,
    to_csv,
    to_json,
    to_markdown,
)
from spconvify.report.comparison import Comparison
from spconvify.report.rows import captions, summary
from spconvify.report.side import Side
from spconvify.report.sites import SiteComparison
from spconvify.report.units import change, factor, interval, median, metric_figures, quantity
from spconvify.surgery.fit_report import FitReport


def sample(before=(33.0, 32.0, 34.0), after=(16.5, 16.0, 17.0)):
    return Comparison(
        "net", (1, 3, 32, 32),
        Side(25557032, 4111412224, 102440608, 0),
        Side(18341672, 2944179264, 73600000, 14512192),
        0.5, 2, "gap",
        [SiteComparison("conv1", False, "kernel 7x7", 3, 64, 2),
         SiteComparison("conv2", True, "", 64, 64, 1, 0.5, 2, 36864, 13312, 1000, 400)],
        ["relu"], [timing(before, after)],
    )  # fmt: skip


def timing(before, fused, after=(40.0, 39.0, 41.0), **changes):
    facts = {"version": "3.3.1", "processor": "a processor", "dtype": "float32"}
    latencies = [Latency(*values, 80) for values in (before, after, fused)]
    made = Timing("inference", 1, 1, "cpu", *latencies, {"conv2": "pointwise-last"}, ["conv9"], facts)
    return replace(made, **changes)


def printed(comparison, width=80, **options):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_table(console, comparison, **options)
    return console.file.getvalue()


def test_table_fits_80_columns_and_says_everything():
    text = printed(sample())
    assert max(map(len, text.splitlines())) <= 80
    assert "of these SPConv's own¹" in text
    assert "…" not in text
    for part in (
        "SPConv: ratio 0.5, 2 groups, gap fusion, 1 of 2 convolutions converted",
        "25.56 M", "18.34 M", "−28.2 %", "4.11 G", "2.94 G", "14.51 M", "102.4 MB",
        "33.0 ms", "32.0–34.0", "2.00x faster", "16.0–17.0 1.88–2.12x", "Operators not counted: relu.",
        "not fused 40.0 ms +21.2 % 1.21x slower", "share of bound³ 143 %", "BatchNorm is folded on both",
        "The dense convolution is faster at conv9; --only-faster",
    ):  # fmt: skip
        assert part in " ".join(text.split()), part


def test_nothing_is_called_faster_when_the_intervals_overlap():
    comparison = sample(after=(31.0, 29.0, 33.0))
    assert comparison.speedup is None
    for text in (printed(comparison, 120), to_markdown(comparison)):
        assert "x faster" not in text
        assert "no difference can be claimed" in " ".join(text.split())
    assert json.loads(to_json(comparison))["speedup"] is None
    assert "1.50x slower" in printed(sample(after=(49.5, 49.0, 50.0)), 120)


def test_a_grid_is_a_table_of_its_own():
    comparison = sample()
    comparison.add(timing((20.0, 19.0, 21.0), (5.0, 4.0, 6.0), engine="eager", threads=2, batch=8))
    interval = {"table": "", "md": "3.17–5.25x "}
    for name, text in (("table", printed(comparison, 120)), ("md", to_markdown(comparison))):
        cells = " ".join(text.replace("|", " ").split())
        assert f"Paddle eager 8 2 20.0 ms 40.0 ms 5.00 ms 4.00x faster {interval[name]}286 %" in cells
        assert "3.17–5.25x" in cells
        assert "Paddle Inference 1 1 33.0 ms 40.0 ms 16.5 ms 2.00x faster" in cells
        assert "share of bound" not in text
    assert [entry["batch"] for entry in comparison.to_dict()["timings"]] == [1, 8]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("several_sizes", [False, True])
def test_a_grid_is_whole_on_any_terminal(width, several_sizes):
    comparison = sample()
    large = (1, 3, 640, 640) if several_sizes else (1, 3, 32, 32)
    comparison.timings = [
        timing((298.4, 290, 301), (101.4, 99, 104), engine="openvino", input_shape=(1, 3, 32, 32)),
        timing((0.95, 0.9, 1), (0.93, 0.9, 0.98), engine="inference", batch=8, input_shape=large),
        timing((33, 32, 34), (31, 29, 33), engine="eager", threads=16, input_shape=large),
    ]
    text = printed(comparison, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    parts = [
        "2.94x faster",
        "2.79–3.04x",
        "too small",
        "0.92–1.11x",
        "1.06x, noisy",
        "fused",
        "298.4 ms",
    ]
    if width == 80:
        parts += ["batch 8, 1 thread ", "batch 1, 16 threads"]
    if several_sizes:
        parts += ["1x3x32x32 ", "1x3x640x640 "]
    for part in parts:
        assert part in text, part


WORDS = [
    ((33, 32, 34), (16.5, 16, 17), "faster", "2.00x faster", "1.88–2.12x"),
    ((16.5, 16, 17), (33, 32, 34), "slower", "2.00x slower", "1.88–2.12x"),
    ((33, 32, 34), (31, 29, 33), "noisy", "1.06x, noisy", "0.97–1.17x"),
    ((33, 32.5, 33.5), (33.2, 32.6, 33.6), "no difference", "no difference", "0.97–1.03x"),
    ((0.95, 0.9, 1.0), (0.93, 0.9, 0.98), "too small to gain", "too small", "0.92–1.11x"),
    ((1.45, 1.3, 1.6), (1.6, 1.4, 1.8), "noisy", "0.91x, noisy", "0.72–1.14x"),
    ((0.95, 0.9, 1.0), (1.9, 1.8, 2.0), "slower", "2.00x slower", "1.80–2.22x"),
    ((0.95, 0.94, 0.96), (0.5, 0.49, 0.51), "faster", "1.90x faster", "1.84–1.96x"),
]


@pytest.mark.parametrize(("before", "after", "verdict", "shown", "interval"), WORDS)
def test_what_two_latencies_say(before, after, verdict, shown, interval):
    comparison = sample(before, after)
    assert comparison.timings[0].verdict == verdict
    rows = {name.strip(): last for name, *_, last in summary(comparison)}
    assert (rows["latency²"], rows["p10–p90"]) == (shown, interval)
    data = comparison.to_dict()["timings"][0]
    assert data["verdict"] == verdict
    least, most = data["speedup_interval"]
    assert least <= data["before_ms"]["median"] / data["fused_ms"]["median"] <= most
    assert (data["speedup"] is None) == (verdict not in ("faster", "slower"))


def test_a_small_network_is_told_that_it_cannot_gain():
    said = "Too small to gain: 0.95 ms is mostly operators"
    for after in ((0.93, 0.9, 0.98), (1.9, 1.8, 2.0)):
        comparison = sample((0.95, 0.9, 1.0), after)
        for text in (printed(comparison), to_markdown(comparison)):
            assert said in " ".join(text.split())
            assert "no difference" not in text
    for faster in (((0.95, 0.94, 0.96), (0.5, 0.49, 0.51)), ((33, 32, 34), (31, 29, 33))):
        assert "Too small" not in printed(sample(*faster))
    several = sample((0.95, 0.9, 1.0), (0.93, 0.9, 0.98))
    several.add(timing((1.2, 1.1, 1.3), (1.2, 1.1, 1.3)))
    several.add(timing((33.0, 32.0, 34.0), (16.5, 16.0, 17.0)))
    assert "Too small to gain: 1.20 ms is mostly operators" in printed(several)


def test_only_what_is_faster_is_green():
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system="standard")
    colours = {"faster": "\x1b[1;32m2.00x faster", "slower": "\x1b[1;31m2.00x slower"}
    for before, after, verdict, shown, _ in WORDS[:5]:
        print_table(console, sample(before, after))
        text = console.file.getvalue()
        console.file.truncate(0)
        assert f"\x1b[1;32m{shown}" not in text or verdict == "faster"
        assert colours.get(verdict, shown) in text


def test_a_timing_names_the_sites_forms():
    comparison = sample()
    comparison.timings.clear()
    comparison.add(timing((2, 2, 2), (1, 1, 1)))
    assert [site.form for site in comparison.sites] == [None, "pointwise-last"]
    assert "groups 2, pointwise-last" in " ".join(printed(comparison, 140, per_layer=True).split())


def test_per_layer_has_every_site():
    text = printed(sample(), 120, per_layer=True)
    assert "kernel 7x7" in text
    assert "36.86 k → 13.31 k" in text


def test_per_layer_keeps_names_whole_on_a_narrow_terminal():
    comparison = sample()
    comparison.sites[0].name, comparison.sites[1].name = "layer2.0.downsample.0", "layer2.0.conv1"
    wide, narrow = (printed(comparison, width=width, per_layer=True) for width in (120, 80))
    assert "36.86 k → 13.31 k" in wide
    for part in (" layer2.0.downsample.0 ", " layer2.0.conv1 ", "36.86 k →", "13.31 k", "groups 2"):
        assert part in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_csv_has_a_line_per_site():
    lines = to_csv(sample().sites).splitlines()
    assert lines[0].startswith("name,eligible,reason,in_channels,out_channels,stride,effective_ratio")
    assert lines[2] == "conv2,True,,64,64,1,0.5,2,36864,13312,1000,400,,,,,"


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (0.75321, 0.75198, ("0.7532", "0.7520", "−0.0012")),
        (91.404, 92.0, ("91.40", "92.00", "+0.60")),
        (123456.0, 123450.0, ("123456", "123450", "−6")),
        (-0.00123, 0.0, ("−0.001230", "0.000000", "+0.001230")),
        (1e-12, 2e-12, ("1.000e−12", "2.000e−12", "+1.000e−12")),
        (0.0, 0.0, ("0.0000", "0.0000", "+0.0000")),
        (None, 2.5, ("–", "2.500", "")),
    ],
)
def test_figures_of_a_metric_have_four_digits(before, after, shown):
    assert metric_figures(before, after) == shown


def test_agreement_is_in_every_format():
    comparison = sample()
    assert comparison.to_dict()["agreement"] is None
    outputs = [
        OutputAgreement("main", "classes", same=91.40625),
        OutputAgreement("aux", "map", same=80.0),
    ]
    comparison.agreement = Agreement(outputs, 64, "left out of the fit")
    line = "main: 91.41 % same top-1 on 64 images left out of the fit"
    table, markdown = printed(comparison, 120), to_markdown(comparison)
    rows = list(csv.DictReader(to_csv(comparison.sites, agreement_lines(comparison)).splitlines()))
    for text in (table, markdown, rows[0]["agreement"]):
        assert f"Agreement with the original: {line}" in text
        assert "aux: 80.00 % same class of a pixel (class map) on 64 images" in text
    found = json.loads(to_json(comparison))["agreement"]
    assert (found["images"], found["outputs"][0]["same"]) == (64, 91.40625)
    assert "Agreement" not in printed(sample(), 120)


def test_layers_that_keep_the_copied_weights_are_named():
    comparison = sample()
    report = FitReport()
    report["conv2"], report.copied["conv2"] = 0.9, "a fit would do worse"
    comparison.add_fit(report)
    text = " ".join(printed(comparison, 160, per_layer=True).split())
    assert "error 0.900, weights copied" in text
    assert "Not fitted, so with copied weights: conv2." in text
    assert comparison.to_dict()["sites"][1]["kept_copy"] == "a fit would do worse"


def test_compare_on_images():
    model = nets.PlainNet()
    images = np.random.default_rng(0).standard_normal((6, 3, 16, 16)).astype("float32")
    comparison = compare(model, model, (1, 3, 16, 16), engine=None, images=[images[:4], images[4:]])
    assert comparison.agreement.lines == ["Agreement with the original: 100.00 % same top-1 on 6 images"]


def test_inspect_table_names_the_split():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    inspect_table(console, "net", sample().sites)
    assert "eligible: 32 + 32 channels" in console.file.getvalue()


def test_compare_of_two_networks():
    model = nets.PlainNet()
    comparison = compare(model, convert(model, fusion="sum"), (2, 3, 16, 16), engine=None)
    assert (comparison.model, comparison.fusion) == ("PlainNet", "sum")
    assert [site.name for site in comparison.converted] == ["conv1", "conv2"]
    saved = comparison.before.macs - comparison.after.macs
    assert saved == sum(site.macs_before - site.macs_after for site in comparison.sites)
    saved = comparison.before.params - comparison.after.params
    assert saved == sum(site.params_before - site.params_after for site in comparison.sites)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (896, "896"), (999.6, "1.00 k"), (25557032, "25.56 M"),
     (123456789, "123.5 M"), (2e9, "2.00 G")],
)  # fmt: skip
def test_quantities(value, text):
    assert quantity(value) == text


def test_changes():
    assert change(200, 150) == "−25.0 %"
    assert change(100, 110) == "+10.0 %"
    assert change(0, 5) == factor(0, 5) == ""
    assert factor(300, 200) == "1.50x"
    assert median(Latency(3.14159, 3, 4, 9)) == "3.14 ms"
    assert interval(Latency(33.14159, 30, 40.25, 9)) == "30.0–40.2"


def test_products_without_a_formula_are_told_apart():
    comparison = Comparison("net", (1, 3, 8, 8), Side(1, 1, 1), Side(1, 1, 1))
    comparison.uncounted = ["relu", "multi_dot", "bilinear_interp", "flash_attn"]
    lines = list(captions(comparison))
    assert "Products not counted, so MACs are more than said: multi_dot, flash_attn." in lines
    assert "Operators not counted: relu, bilinear_interp." in lines
