"""Forms: equal ways to lay out one folded SPConv, because engines differ in what they do fast.

What decides in Paddle Inference is the layout of the tensors, not the arithmetic. oneDNN runs 1x1
convolutions channels-last (`acdb`) and 3x3 group convolutions with 16 channels a group in blocks
(`aBcd16b`), and an elementwise operator on two layouts falls to a reference implementation that is a
hundred times slower. An addition behind a convolution becomes part of the convolution, so in most forms
a 1x1 comes last and takes in what came before.
"""

from __future__ import annotations

from collections.abc import Mapping

import paddle

from spconvify.operators.spconv.folded import Folded
from spconvify.operators.spconv.gap_forms import GatedDifference, TwoMeans, TwoParts
from spconvify.operators.spconv.parts import VARIANTS, FusedSPConv2D, is_range
from spconvify.operators.spconv.sum_forms import DenseKernel, PointwiseLast, ThreeParts

FORMS: Mapping[str, type[FusedSPConv2D]] = {
    form.name: form
    for form in (PointwiseLast, ThreeParts, DenseKernel, GatedDifference, TwoParts, TwoMeans)
}
# What is fastest in most layers; `tune` finds the exceptions.
_DEFAULTS = {
    "inference": {"sum": "pointwise-last", "gap": "two-parts"},
    "openvino": {"sum": "three-parts", "gap": "two-means"},
    "onnxruntime": {"sum": "pointwise-last", "gap": "two-parts"},
    "eager": {"sum": "pointwise-last", "gap": "two-parts"},
}
# Paddle 2.6 runs a group convolution in blocks, whatever its neighbours have.
_SPLIT_BY_DEFAULT = paddle.__version__.startswith("2.")


def default_form(folded: Folded, engine: str) -> str:
    """The form to take for an engine without having measured."""
    form = _DEFAULTS.get(engine, _DEFAULTS["inference"])[folded.layer.fusion]
    if engine == "openvino" and form == ThreeParts.name and _is_scattered(folded):
        return PointwiseLast.name  # one gather, and not two
    if engine != "inference":
        return form
    if _SPLIT_BY_DEFAULT:
        varied = f"{form}+split"
    else:  # a gather leaves oneDNN's layout
        varied = form if is_range(folded.representative) else f"{form}+select"
    return varied if varied in candidates(folded) else form


def build(folded: Folded, form: str) -> FusedSPConv2D:
    """The layer in the form of that name ("NAME" or "NAME+VARIANT")."""
    name, _, variant = form.partition("+")
    return FORMS[name](folded, variant)


def candidates(folded: Folded, engine: str = "") -> list[str]:
    """Names of all forms that can express the layer, and that `engine` can run."""
    # OpenVINO joins the groups' convolutions again, and then refuses some.
    split = folded.layer.groups > 1 and engine != "openvino"
    useful = {"": True, "split": split, "select": _is_scattered(folded)}
    return [
        f"{name}+{variant}" if variant else name
        for variant in VARIANTS
        for name, form in FORMS.items()
        if useful[variant] and variant in form.variants and form.fits(folded)
    ]


def _is_scattered(folded: Folded) -> bool:
    return not (is_range(folded.representative) and is_range(folded.rest))
