"""What gets which SPConv."""

import networks as nets
import pytest
from paddle import nn

from spconvify import ArgumentError, NoEffectWarning, Plan, convert, plan, slim
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.changes import Replace
from spconvify.surgery.planning import plan_of


def test_takes_every_eligible_site():
    made = plan(nets.PlainNet(), 0.25, 4, fusion="sum")
    assert list(made.sites) == ["conv1", "conv2"]
    assert made.sites["conv1"].ratio == 0.25
    assert made.skipped == {
        "stem": "stem: 3 input channels are too few to split",
        "point": "kernel 1x1",
    }


def test_globs():
    model = nets.PlainNet()
    assert list(plan(model, include="conv*").sites) == ["conv1", "conv2"]
    assert list(plan(model, exclude=["conv1"]).sites) == ["conv2"]
    assert plan(model, exclude=["conv1"]).skipped["conv1"] == "excluded"
    assert plan(model, include=["conv1"]).skipped["conv2"] == "not included"
    made = plan(model, ratios={"*": 0.75, "conv2": 0.25})
    assert [s.ratio for s in made.sites.values()] == [0.75, 0.25]
    assert list(plan(nets.SharedConvNet(), include="block.*").sites) == ["first"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"include": ["nope*"]},
            "include 'nope*' matches no convolution of this network; it has 'stem', ",
        ),
        ({"exclude": "nope"}, "exclude 'nope' matches no convolution"),
        ({"ratios": {"nope": 0.5}}, "ratio-for 'nope' matches no convolution"),
        ({"ratios": {"conv1": 1.5}}, "ratio 1.5 isn't inside (0, 1)"),
        ({"ratio": 1.0}, "ratio 1 isn't inside (0, 1)"),
        ({"groups": 0}, "groups 0 is less than 1"),
        ({"groups": 64}, "groups 64 fits no convolution of this network; 'conv1': 12 output channels"),
        ({"fusion": "x"}, "fusion 'x' is unknown"),
    ],
)
def test_refuses_what_cannot_be(arguments, message):
    with pytest.raises(ArgumentError) as error:
        plan(nets.PlainNet(), **arguments)
    assert message in str(error.value)


def test_a_converted_network_whose_last_layer_cannot_be_split_is_left_as_it_is():
    pictures = nn.Sequential(  # three channels come out
        nn.Conv2D(4, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1), nn.Conv2D(8, 3, 3, padding=1)
    )
    converted = convert(pictures, input_shape=(1, 4, 8, 8))
    before = list(converted.state_dict())
    with pytest.warns(NoEffectWarning):
        convert(converted, inplace=True)
    assert list(converted.state_dict()) == before


def test_skips_only_the_sites_whose_channels_do_not_fit():
    made = plan(nets.PlainNet(), groups=8)  # conv1: 8 in, 12 out; conv2: 12 in, 16 out
    assert list(made.sites) == ["conv2"]
    assert made.skipped["conv1"] == "12 output channels can't be split into 8 groups"


def test_json_round_trip():
    made = plan(nets.PlainNet(), 0.25, fusion="gap", exclude="conv1")
    assert Plan.from_json(made.to_json()) == made
    assert "conv2: ratio 0.25, groups 2, gap" in str(made)
    assert "conv1: skipped, excluded" in str(made)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "other"}', '{"format": "spconvify-plan-1", "sites": {"a": {"b": 1}}}'],
)
def test_refuses_other_json(text):
    with pytest.raises(ArgumentError, match=r"plan"):
        Plan.from_json(text)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('"ratio": "0.5"', "ratio '0.5' isn't a number"),
        ('"ratio": [1]', r"ratio \[1\] isn't a number"),
        ('"ratio": true', "ratio True isn't a number"),
        ('"ratio": NaN', r"ratio nan isn't inside \(0, 1\)"),
        (f'"ratio": 1{"0" * 400}', r"ratio 10+ isn't inside \(0, 1\)"),
        ('"groups": null', "groups None isn't a whole number"),
        ('"groups": 2.0', r"groups 2\.0 isn't a whole number"),
        ('"groups": true', "groups True isn't a whole number"),
        ('"groups": 1e999', "groups inf isn't a whole number"),
        (f'"groups": 1{"0" * 400}', r"groups 10+ is more than 1048576"),
        ('"fusion": ["sum"]', r"fusion \['sum'\] is unknown"),
        ('"bias": "no"', "bias 'no' isn't true, false or null"),
        ('"bias": 1', "bias 1 isn't true, false or null"),
        ('"reorder": "false"', "reorder 'false' isn't true or false"),
        ('"reorder": null', "reorder None isn't true or false"),
        ('"ratio": 0.5, "ratio": 0.9', "'ratio' is there twice"),
    ],
)
@pytest.mark.parametrize("former", [False, True])
def test_refuses_settings_of_another_type(setting, message, former):
    if former:
        text = f'{{"format": "spconvify-plan-1", "sites": {{"a": {{{setting}}}}}, "skipped": {{}}}}'
    else:
        change = f'{{"change": "replace", "site": "a", {setting}}}'
        text = f'{{"format": "spconvify-plan-2", "changes": [{change}], "skipped": {{}}}}'
    with pytest.raises(ArgumentError, match=message):
        Plan.from_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"sites": {"a": {}, "a": {}}, "skipped": {}', "'a' is there twice"),
        ('"sites": {}, "skipped": {"b": "x", "b": "y"}', "'b' is there twice"),
        ('"sites": {}, "skipped": {"b": 3}', "isn't a plan"),
        ('"sites": {}, "skipped": [["b", "x"]]', "isn't a plan"),
        (f'"sites": {"[" * 100000}', "isn't a plan"),
    ],
)
def test_refuses_what_would_be_lost(text, message):
    with pytest.raises(ArgumentError, match=message):
        Plan.from_json('{"format": "spconvify-plan-1", ' + text + "}")


def test_a_site_twice_is_no_plan():
    changes = [Replace("conv1", SPConvSettings(ratio)) for ratio in (0.5, 0.25)]
    with pytest.raises(ArgumentError, match="the plan has site 'conv1' twice"):
        convert(nets.PlainNet(), plan=Plan(changes))


def test_reads_the_former_format():
    text = """{"format": "spconvify-plan-1", "skipped": {"stem": "excluded"},
               "sites": {"conv1": {"ratio": 0.25, "groups": 2, "fusion": "gap", "bias": null}}}"""
    assert Plan.from_json(text) == Plan({"conv1": SPConvSettings(0.25, 2, "gap")}, {"stem": "excluded"})


def test_refuses_json_with_settings_out_of_range():
    text = plan(nets.PlainNet()).to_json().replace("0.5", "1.5", 1)
    with pytest.raises(ArgumentError, match=r"ratio 1\.5"):
        Plan.from_json(text)


def test_is_read_off_a_converted_network():
    model = nets.PlainNet()
    made = plan(model, 0.25, fusion="gap")
    read = plan_of(convert(model, plan=made))
    assert {n: (s.groups, s.fusion) for n, s in read.sites.items()} == {
        n: (s.groups, s.fusion) for n, s in made.sites.items()
    }
    assert plan_of(convert(model, plan=read)).sites == read.sites


def test_what_is_no_plan_or_no_ratios():
    model = nets.PlainNet()
    for wrong in ("plan.json", {}, plan(model).to_json()):
        for call in (convert, slim):
            with pytest.raises(ArgumentError, match=r"plan is a (str|dict); give what spconvify.plan"):
                call(model, plan=wrong)
    with pytest.raises(ArgumentError, match="ratios is a list; give a dictionary"):
        plan(model, ratios=["conv1=0.5"])


@pytest.mark.parametrize(
    "arguments", [{"include": [1]}, {"exclude": 5}, {"ratios": {1: 0.5}}, {"include": [None]}]
)
def test_globs_that_are_no_text(arguments):
    with pytest.raises(ArgumentError, match=f"{next(iter(arguments))}: .* is no glob"):
        plan(nets.PlainNet(), **arguments)


@pytest.mark.parametrize("include", [[], (), iter([])])
def test_an_empty_include_is_no_wish_for_all(include):
    with pytest.raises(ArgumentError, match="include holds no glob, so nothing would be converted"):
        convert(nets.PlainNet(), include=include)
