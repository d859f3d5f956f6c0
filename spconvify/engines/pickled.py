"""A network handed to a process of its own as a pickle of ours."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.base.framework import EagerParamBase

from spconvify.engines.children import become_like_parent
from spconvify.errors import EngineError, Option
from spconvify.network.failures import first_line
from spconvify.settings import DEFAULT_ENGINE

_FILE = "network.pickle"


class _Pickler(pickle.Pickler):
    """Pickles layers: tensors as arrays, places and dtypes by name."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, paddle.Tensor):
            # bfloat16 comes as uint16, and becomes bfloat16 again.
            return _tensor, (obj.numpy(), _name(obj.dtype), isinstance(obj, EagerParamBase))
        if isinstance(obj, paddle.dtype):
            return _dtype, (_name(obj),)
        if type(obj).__name__ in ("Place", "CPUPlace", "CUDAPlace"):
            return paddle.CPUPlace, ()
        if getattr(obj, "__module__", None) == "__main__" and hasattr(obj, "__qualname__"):
            # Another process has another __main__.
            raise pickle.PicklingError(
                f"{obj.__qualname__!r} is defined in the main script; move it into a module"
            )
        return NotImplemented


def _name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def _dtype(name: str) -> Any:
    return getattr(paddle, name)


def _tensor(array: np.ndarray, dtype: str, is_parameter: bool) -> paddle.Tensor:
    tensor = paddle.to_tensor(array).astype(dtype)
    return EagerParamBase.from_tensor(tensor, trainable=False) if is_parameter else tensor


def write(network: nn.Layer, folder: Path) -> None:
    """Pickle `network` for `read`.

    Raises:
        EngineError: if something in it can't be pickled; names the attribute.
    """
    try:
        with open(folder / _FILE, "wb") as file:
            _Pickler(file).dump(network)
    except Exception as error:  # an object's own __reduce__ or __getstate__ may raise anything
        raise EngineError(
            f"{type(network).__name__} can't be handed to a process of its own: {_culprit(network)}"
            f"{first_line(error)}; try ",
            Option("engine", DEFAULT_ENGINE),
        ) from error


def _culprit(network: nn.Layer) -> str:
    """ "layer '0', attribute 'act': " for the first that can't be pickled by itself."""
    for name, layer in network.named_sublayers(include_self=True):
        for attribute, value in vars(layer).items():
            if attribute != "_sub_layers" and not _can_be_pickled(value):
                return f"layer {name!r}, attribute {attribute!r}: "
    return ""


def _can_be_pickled(value: Any) -> bool:
    try:
        _Pickler(io.BytesIO()).dump(value)
    except Exception:
        return False
    return True


def read(folder: Path) -> nn.Layer:
    """In a process of our own: the network that its parent has written there."""
    become_like_parent()  # the network's own modules may come from anywhere
    with open(folder / _FILE, "rb") as file:
        return pickle.load(file)  # written by our own parent process a moment ago
