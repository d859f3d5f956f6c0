"""What somebody has set on a single layer, and a network's forward may read there: it goes along."""

from __future__ import annotations

from typing import Any

from spconvify.network.replacement import Replacement

# Attributes without a "_" that Paddle's own layers have on each instance.
_PADDLES = frozenset(("training", "forward", "output_padding"))
_CARRIED = "_spconvify_carried"


def carry_attributes(old: Any, new: Any) -> None:
    """Give the layer `new`, which takes the place of `old`, what somebody has set on that one.

    Networks that are built from a list number their layers so (``layer.i``, ``layer.f``), and read it
    when they run. What a layer was given in this way is known when it is replaced again.

    Args:
        old: a layer of Paddle's, or one that such attributes were given to.
        new: an attribute that it has already stays.
    """
    found, own = vars(old).get(_CARRIED, {}), vars(new)
    if not isinstance(old, Replacement):
        found = {name: value for name, value in vars(old).items() if _is_somebodys(name)}
    own[_CARRIED] = {name: value for name, value in found.items() if name not in own}
    own.update(own[_CARRIED])


def parts_of_its_own(conv: Any) -> list[str]:
    """Names of the layers, parameters and buffers that somebody has added to a Conv2D."""
    return sorted({*conv._sub_layers, *conv._parameters, *conv._buffers} - {"weight", "bias"})


def _is_somebodys(name: str) -> bool:
    return not name.startswith("_") and name not in _PADDLES
