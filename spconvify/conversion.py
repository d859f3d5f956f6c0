"""convert: plan, replace, initialise and verify, in one call."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError, NoEffectWarning
from spconvify.planning import Plan
from spconvify.planning import plan as make_plan
from spconvify.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_INIT, DEFAULT_RATIO, INITS
from spconvify.sites import check_model
from spconvify.surgery import apply_plan


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
    input_shape: Sequence[int] | None = None,
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
        fusion: "gap" (the paper's gate) or "sum" (one linear layer; faster to deploy).
        init: "copy" keeps the kernels that stay 3x3 and sums the taps of the others; "none" is
            Paddle's random initialiser, for training from scratch.
        calibration: image batches, for inits that fit the weights to data.
        include: globs over structured names; only what matches is converted.
        exclude: globs; what matches is left alone.
        ratios: glob -> ratio, for some of the sites.
        plan: a ready plan; it replaces all the settings above but `init`.
        inplace: change `model` instead of a copy. A model that is itself a Conv2D can't be changed in
            place: use what is returned.
        input_shape: an input for the check; None tries usual image sizes.

    Raises:
        ArgumentError: for a setting that can't be, or a glob that matches nothing.
        ConversionError: if a layer can't be replaced safely; the message names it.

    Warns:
        NoEffectWarning: if the network has nothing to convert.
    """
    check_model(model)
    check_init(init, calibration)
    if plan is None:
        plan = make_plan(
            model, ratio, groups, fusion=fusion, include=include, exclude=exclude, ratios=ratios
        )
    if not plan.sites:
        warnings.warn(nothing_to_convert(plan), NoEffectWarning, stacklevel=2)
        return model if inplace else copy.deepcopy(model)
    return apply_plan(model, plan, init=init, inplace=inplace, input_shape=input_shape)


def check_init(init: str, calibration: Any) -> None:
    """Refuse an unknown init, and calibration data that would go unused.

    Raises:
        ArgumentError: with the known names, or the init to use.
    """
    if init not in INITS:
        raise ArgumentError(f"init {init!r} is unknown; use one of: {', '.join(INITS)}")
    if calibration is not None:
        raise ArgumentError(f"init {init!r} uses no calibration images; leave calibration out")


def nothing_to_convert(plan: Plan) -> str:
    """Why a plan is empty, in one line."""
    if not plan.skipped:
        return "nothing to convert: the network has no Conv2D"
    reasons = Counter(plan.skipped.values())
    common = "; ".join(f"{count}x {reason}" for reason, count in reasons.most_common(3))
    return f"nothing to convert: none of the {len(plan.skipped)} convolutions is eligible ({common})"
