"""Which sites of a plan a network really runs; what is better merged beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from paddle import nn

from spconvify.caution import warn
from spconvify.errors import ArgumentError
from spconvify.network.batches import Batch, taken
from spconvify.network.edges import walk
from spconvify.network.inputs import Inputs
from spconvify.network.operations import Operation, watching
from spconvify.network.run import run, trying
from spconvify.surgery.planning import Plan
from spconvify.surgery.sites import find_sites

UNREACHED = "never run in eval mode (as an auxiliary head is)"
_BATCHES = 4  # of calibration images
_LARGE = 224  # a network may have paths that it takes only with images of a usual size
# What blocks call the method that makes one convolution of their branches (RepVGG, PP-YOLOE, PP-LCNet…).
_MERGING = (
    "convert_to_deploy", "switch_to_deploy", "re_parameterize", "reparameterize", "rep",
    "merge_branches", "fuse_repvgg_block", "get_equivalent_kernel_bias",
)  # fmt: skip


class UnreachedWarning(UserWarning):
    """Layers are left alone since the network never runs them in eval mode."""


class MergeFirstWarning(UserWarning):
    """A block can't merge its branches any more once its convolutions are converted."""


def reached_part(
    model: nn.Layer, plan: Plan, input_shape: Any = None, images: Iterable[Batch] | None = None
) -> Plan:
    """The plan without the sites that the network never runs in eval mode: nothing could check them.

    Args:
        model: the network before the conversion; comes back as it was.
        plan: its plan; it isn't changed.
        input_shape: (N, C, H, W) of the trial run, or `Inputs`; None tries usual sizes.
        images: batches of calibration images, of which a few are tried too: what a network runs may
            depend on what it sees.

    Returns:
        The plan with these sites among the skipped ones; `plan` itself if all are run, or if the network
        runs on no usual input.

    Warns:
        UnreachedWarning: names the sites that are left alone.
        MergeFirstWarning: names the first block with branches that should be merged beforehand.
    """
    planned = {name for change in plan.changes for name in change.sites}
    layers = {site.name: site.layer for site in find_sites(model) if site.name in planned}
    few = islice(images or (), _BATCHES)
    called = _called(model, list(layers.values()), Inputs.given(input_shape, model), few)
    if called is None:
        return plan
    left = [name for name, layer in layers.items() if id(layer) not in called]
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        names = ", ".join(map(repr, left[:3])) + more
        warn(f"left alone, since eval mode never runs them: {names}", UnreachedWarning)
    kept = plan.without(left, UNREACHED)
    converted = [layer for name, layer in layers.items() if name not in left]
    for name, block, method in list(_blocks_to_merge(model, converted, called))[:1]:
        warn(
            f"layer {name!r} ({type(block).__name__}) has a method {method}(), which seems to make one "
            "convolution of its branches: it can't once they are converted; merge first, then convert",
            MergeFirstWarning,
        )
    return kept if left else plan


def _called(
    model: nn.Layer, wanted: Sequence[Any], given: Inputs | None, images: Iterable[Batch]
) -> set[int] | None:
    """Ids of the layers that run on one input, or on others where some of `wanted` don't.

    None if the network runs on none. A layer whose weight is used without it being called counts: that
    is for the check after the surgery to judge.
    """
    by_weight = {id(layer.weight): id(layer) for layer in wanted}
    called: set[int] = set()
    runs = False

    def note(operation: Operation) -> None:
        arguments = (*operation.args, *operation.kwargs.values())
        called.update(by_weight[id(item)] for item in arguments if id(item) in by_weight)

    def runs_on(inputs: Inputs) -> bool:
        try:
            with trying(model), watching(note) as ran:
                run(model, inputs)
        except ArgumentError:  # the next may fit
            return False
        called.update(ran)
        return True

    for inputs in Inputs.usual(model) if given is None else [given]:
        is_large = any(_LARGE in tensor.sizes for tensor in inputs.tensors.values())
        if runs and not is_large:
            continue
        if runs_on(inputs):
            runs = True
            if all(id(layer) in called for layer in wanted) or is_large:
                break
    for batch in images:
        if all(id(layer) in called for layer in wanted):
            break
        runs |= runs_on(Inputs.of(taken(batch, slice(2))))
    return called if runs else None


def _blocks_to_merge(
    model: nn.Layer, convs: Sequence[nn.Layer], called: set[int]
) -> Iterator[tuple[str, nn.Layer, str]]:
    """(name, block, method) of blocks that have a merging method and still run several branches."""
    planned = {id(conv) for conv in convs}
    for edge in walk(model):
        block: Any = edge.layer
        method = next((name for name in _MERGING if callable(getattr(type(block), name, None))), None)
        children = [child for child in block.children() if id(child) in called]
        inner = [layer for child in children for layer in (child, *child.children())]
        if method and len(children) > 1 and any(id(layer) in planned for layer in inner):
            yield edge.name, block, method
