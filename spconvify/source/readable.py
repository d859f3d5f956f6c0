"""Whether a checkpoint can be loaded again: its keys have to tell where replaced convolutions are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from spconvify.errors import ArgumentError, CheckpointError
from spconvify.operators.recognised import Shapes
from spconvify.operators.registry import operator_of, recognised

if TYPE_CHECKING:
    from paddle import nn


def check_readable(model: nn.Layer, shapes: Shapes) -> None:
    """Refuse a network whose keys tell something else than what it is.

    Args:
        model: the network.
        shapes: key -> shape of its parameters and buffers.

    Raises:
        CheckpointError: names the layer.
    """
    from spconvify.surgery.sites import check_model, find_sites

    try:
        check_model(model)
    except ArgumentError:  # a wrapper, whose keys aren't those of its layers
        return
    try:
        found = set(recognised(shapes))
    except CheckpointError as error:
        raise _unreadable(str(error).rpartition(";")[0]) from error  # without its question
    replaced = [site for site in find_sites(model) if operator_of(site.layer) is not None]
    for site in replaced:
        if not found.intersection((site.name, *site.aliases)):
            raise _unreadable(f"its keys don't tell that {site.name!r} was replaced")
    # Names in them may have dots of their own, so that they don't all lead to their layers.
    for name in found.difference(*((site.name, *site.aliases) for site in replaced)):
        if operator_of(_layer_at(model, name.split(".") if name else ())) is None:
            raise _unreadable(
                f"its layer {name!r} has parts that are called like those of a replaced one"
            )


def tells_architecture(model: nn.Layer) -> bool:
    """Whether the names and shapes of a network's parameters alone tell what it is."""
    from spconvify.zoo.identification import identify

    try:
        identify({key: tuple(value.shape) for key, value in model.state_dict().items()})
    except CheckpointError:
        return False
    return True


def _layer_at(model: Any, names: Iterable[str]) -> Any:
    for name in names:
        model = getattr(model, "_sub_layers", {}).get(name)  # None has none
    return model


def _unreadable(why: Any) -> CheckpointError:
    return CheckpointError(
        "nothing was saved, since nobody could load it again: ",
        why,
        "; rename that layer in the network",
    )
