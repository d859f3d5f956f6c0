"""convert: plan, replace, initialise and verify, in one call."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.caution import warn
from spconvify.errors import AgreementWarning, ArgumentError, ConversionError, NoEffectWarning
from spconvify.evaluation.agreement import Agreement, agreement, check_output_kinds
from spconvify.evaluation.kinds import Kinds, check_kinds
from spconvify.input_check.check import check_inputs
from spconvify.network.copying import copied, faithful_copy
from spconvify.network.examples import form_of, given_inputs
from spconvify.network.finite import check_finite
from spconvify.network.inputs import Inputs
from spconvify.operators import inits, registry
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_RATIO
from spconvify.progress import Progress, Wanted, nothing, showing
from spconvify.surgery.apply import apply_plan, planned_sites
from spconvify.surgery.calibrate import calibrate
from spconvify.surgery.copies_judged import Original, warn_of_copies
from spconvify.surgery.fit_report import FitReport
from spconvify.surgery.planning import Plan, check_is_plan
from spconvify.surgery.planning import plan as make_plan
from spconvify.surgery.reach import reached_part
from spconvify.surgery.sites import check_model

POOR_ADVICE = (
    "Its outputs are hardly the original's any more: a higher ratio, more calibration images or "
    "`recover` help"
)


def convert(
    model: nn.Layer,
    ratio: float = DEFAULT_RATIO,
    groups: int = DEFAULT_GROUPS,
    *,
    fusion: str = DEFAULT_FUSION,
    init: str = DEFAULT_INIT,
    calibration: Iterable[Any] | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    ratios: Mapping[str, float] | None = None,
    plan: Plan | None = None,
    inplace: bool = False,
    input_shape: Any = None,
    example: Any = None,
    seed: int = 0,
    kinds: Kinds = None,
    progress: Wanted = None,
) -> nn.Layer:
    """Replace the dense 3x3 convolutions of a trained network with SPConv.

    Everything else stays: shared layers, training mode, dtype, place, frozen parameters and
    ParamAttr settings. One forward before and one after check that the new layers are really used;
    if they aren't, the network comes back as it was. Converting a second time changes nothing.

    An optimizer made before the conversion holds the old parameters and would never train the new
    ones, without an error: make the optimizer afterwards.

    Args:
        model: the network; its input is (N, C, H, W), or (N, H, W, C) for NHWC networks.
        ratio: share of the input channels that keep a 3x3, in (0, 1).
        groups: groups of that 3x3.
        fusion: "sum" (one linear layer; faster to deploy) or "gap" (the paper's gate).
        init: "copy" keeps the kernels that stay 3x3 and sums the taps of the others; "lstsq" fits each
            layer to what the original one does on the calibration images, which keeps most of the
            accuracy without training; "none" is Paddle's random initialiser, for training from
            scratch.
        calibration: image batches for "lstsq": any iterable of arrays or tensors (N, C, H, W), or of
            (image, label) pairs, as a ``paddle.io.DataLoader`` gives; labels are ignored. They are the
            network's input: floats, scaled and normalised as in training; nothing is done to them, and
            integers, which would be pixels, are refused. A few hundred images do. A quarter of four or
            more (drawn by `seed`) is left out of the fit, to compare the outputs of both networks on;
            see Warns. Of a network with several inputs dictionaries or tuples of all of them; pictures
            alone go to its one input that takes some, and `example` gives the rest.
        include: globs over structured names; only what matches is converted.
        exclude: globs; what matches is left alone.
        ratios: glob -> ratio, for some of the sites.
        plan: a ready plan; it replaces all the settings above but `init`.
        inplace: change `model` instead of a copy. A model that is itself a Conv2D can't be changed in
            place: use what is returned.
        input_shape: an input for the check, (N, C, H, W); of a network with several inputs a list or a
            dictionary of shapes or arrays, as `spconvify.cost` takes them. None tries usual image sizes.
        example: an input with its values, for the same and in place of it: a tensor or an array, or a
            tuple or dictionary of such, as the network's forward takes them.
        seed: of "lstsq"'s sample of positions on large maps, and of the images left out.
        kinds: what the outputs are, where the comparison judges them wrongly, as for `spconvify.slim`.
        progress: called with (done, total, text) while "lstsq" fits; None shows a bar on a terminal and
            in a notebook, and False nothing.

    Raises:
        ArgumentError: for a setting that can't be, or a glob that matches nothing.
        ConversionError: if a layer can't be replaced safely; the message names it.

    Warns:
        NoEffectWarning: if the network has nothing to convert.
        NotCheckedWarning: if the network runs on no usual image, and no `input_shape` is given.
        UnreachedWarning: for layers that are left alone, since eval mode never runs them.
        MergeFirstWarning: for blocks whose branches should be merged beforehand.
        CalibrationWarning: for layers that keep the copied weights, since a fit would do worse on
            positions that it hasn't seen, or since there was nothing to fit.
        AgreementWarning: if the outputs of the converted network are far from the original's: on the
            images left out of the fit, or, with copied weights, on the example or on random numbers;
            or if there is no output to compare.
    """
    check_model(model)
    inits.check(init, calibration)
    check_kinds(kinds)
    if kinds is not None and calibration is None:
        raise ArgumentError("kinds say how outputs are compared: give calibration= for it")
    if plan is None:
        plan = make_plan(
            model, ratio, groups, fusion=fusion, include=include, exclude=exclude, ratios=ratios
        )
    check_is_plan(plan)
    if not plan.changes:
        warnings.warn(nothing_to_convert(plan), NoEffectWarning, stacklevel=2)
        return model if inplace else copied(model)
    inputs = input_shape if example is None else given_inputs(input_shape, example, model)
    with showing(progress, "converting", calibration is not None) as report:
        converted, _ = carry_out(
            model,
            plan,
            init=init,
            calibration=calibration,
            inplace=inplace,
            input_shape=inputs,
            seed=seed,
            progress=report,
            kinds=kinds,
        )
    return converted


def carry_out(
    model: nn.Layer,
    plan: Plan,
    *,
    init: str,
    calibration: Any = None,
    inplace: bool = False,
    input_shape: Any = None,
    seed: int = 0,
    progress: Progress = nothing,
    kinds: Kinds = None,
    judge_copies: bool = True,
    warns: bool = True,
) -> tuple[nn.Layer, FitReport]:
    """`convert` for a ready plan; also says what the fit ("lstsq") gave, layer by layer and at the end.

    `judge_copies` False leaves out the comparison without images, of weights that are only copied;
    `warns` False the warning of a poor fit, for who goes on with it and calls `warn_of` at the end.

    Raises:
        ConversionError: also if the network's own weights aren't finite.
    """
    planned_sites(model, plan)
    check_finite(model, ConversionError, "so there is nothing to convert; is the checkpoint damaged?")
    report = FitReport()
    images = None
    if inits.find(init).needs_images:
        images = CalibrationImages.of(calibration, model, form_of(input_shape, model))
    if images is not None and input_shape is None:
        input_shape = images.beside or images.first().shape
    plan = reached_part(model, plan, input_shape, images)
    if not plan.changes:
        warn(nothing_to_convert(plan), NoEffectWarning)
        return model if inplace else copied(model), report
    if images is None:
        wanted = judge_copies and inits.find(init).keeps_weights
        before = Original.of(model, input_shape, inplace) if wanted else None

        def judge(converted: nn.Layer, _: dict[str, nn.Layer]) -> None:
            report.agreement = before.agreement(converted) if before else None

        converted = apply_plan(
            model, plan, init=init, inplace=inplace, input_shape=input_shape, fit=judge
        )
        if report.agreement is not None:
            warn_of_copies(report.agreement)
        return converted, report
    original = model
    if inplace:
        original = faithful_copy(model, images.beside or Inputs.of(tuple(images.first().shape), model))
    check_output_kinds(original, images.first(2), kinds)
    to_fit, left_out = images.split(seed)
    where = "that the weights were fitted to" if left_out is None else "left out of the fit"

    def fit(converted: nn.Layer, new: dict[str, nn.Layer]) -> None:
        check_inputs(original, images.pictures, beside=images.beside)
        found = calibrate(
            original,
            plan.fitted(new),
            converted,
            to_fit,
            init=init,
            seed=seed,
            progress=progress,
            kept=plan.kept,
        )
        report.update(found)
        report.copied = found.copied
        report.agreement = agreement(original, converted, left_out or to_fit, where, kinds)
        if warns:
            warn_of(report.agreement)

    converted = apply_plan(
        model,
        plan.with_settings(lambda _, settings: registry.of_settings(settings).with_room(settings)),
        init=init,
        inplace=inplace,
        input_shape=input_shape,
        fit=fit,
    )
    return converted, report


def warn_of(found: Agreement) -> None:
    """Say aloud that a fitted network is far from the original, or that nobody can tell."""
    text = "; ".join(found.lines)
    if found.poor:
        advice = "" if found.varies else f". {POOR_ADVICE}"
        warn(f"{text}{advice}", AgreementWarning)
    elif found.unknown:
        warn(text, AgreementWarning)


def nothing_to_convert(plan: Plan) -> str:
    """Why a plan is empty, in one line."""
    if not plan.skipped:
        return "nothing to convert: the network has no Conv2D"
    reasons = Counter(plan.skipped.values())
    common = "; ".join(f"{count}x {reason}" for reason, count in reasons.most_common(3))
    return f"nothing to convert: none of the {len(plan.skipped)} convolutions is eligible ({common})"
