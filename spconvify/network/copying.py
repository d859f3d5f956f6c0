"""Copy a network, or say which of its attributes can't be copied."""

from __future__ import annotations

import copy

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.failures import first_line

_INTERNALS = frozenset(nn.Layer().__dict__)


def copied(model: nn.Layer) -> nn.Layer:
    """A deep copy.

    Raises:
        ArgumentError: names the layer and the attribute that can't be copied: a lock, an open file, a
            generator.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever an object's own __deepcopy__ or __reduce_ex__ raises
        raise ArgumentError(
            f"the network can't be copied: {_culprit(model)}{first_line(error)}; take it off the "
            "network meanwhile, or give its class a __deepcopy__"
        ) from error


def _culprit(model: nn.Layer) -> str:
    """ "layer '0', attribute 'guard' is a lock: " for the first that can't be copied by itself."""
    for name, layer in model.named_sublayers(include_self=True):
        for attribute, value in vars(layer).items():
            if attribute in _INTERNALS:
                continue
            try:
                copy.deepcopy(value)
            except Exception:
                where = f"layer {name!r}, attribute" if name else "its attribute"
                return f"{where} {attribute!r} is a {type(value).__name__}: "
    return ""
