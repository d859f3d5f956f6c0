"""One default fusion, wherever a fusion can be said; the paper's operator has to be asked for."""

import inspect

import networks as nets
import pytest

import spconvify
from spconvify import Plan, SPConv2D
from spconvify.cli.convert import convert as convert_command
from spconvify.cli.report import report as report_command
from spconvify.cli.selection import Selection
from spconvify.operators.spconv.settings import DEFAULT_FUSION, FUSIONS, SPConvSettings


def test_it_is_the_sum():
    assert DEFAULT_FUSION == "sum"
    assert FUSIONS == ("sum", "gap")
    assert spconvify.convert(nets.PlainNet()).conv1.fusion == "sum"
    assert spconvify.convert(nets.PlainNet(), fusion="gap").conv1.fusion == "gap"


@pytest.mark.parametrize(
    "call",
    [
        SPConv2D,
        SPConvSettings,
        Selection,
        convert_command,
        report_command,
        spconvify.convert,
        spconvify.plan,
        spconvify.slim,
    ],
)
def test_it_is_the_same_everywhere(call):
    assert inspect.signature(call).parameters["fusion"].default == DEFAULT_FUSION


def test_a_plan_that_names_none_has_it_too():
    text = (
        '{"format": "spconvify-plan-2", "changes": [{"change": "replace", "site": "a"}], "skipped": {}}'
    )
    assert Plan.from_json(text).sites["a"].fusion == DEFAULT_FUSION
