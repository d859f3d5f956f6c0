"""Between a network and a dict of arrays: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.caution import warn
from spconvify.errors import CheckpointError, CheckpointWarning, Option

_SHOWN = 3  # keys of each kind in an error message
_REMEDY = ("is it the right ", Option("model_or_arch"), "?")
_REMEDY_OF_MORE = ("if the network doesn't need them, leave them out with ", Option("ignore"))


def state_of(model: nn.Layer) -> tuple[dict[str, np.ndarray], set[str]]:
    """The state dict as arrays, and which keys are bfloat16 (held as uint16)."""
    state, bfloat16 = {}, set()
    for key, tensor in model.state_dict().items():
        if _dtype_of(tensor) == "bfloat16":
            bfloat16.add(key)
        state[key] = tensor.numpy()
    return state, bfloat16


def apply_state(model: nn.Layer, state: dict[str, np.ndarray], source: str) -> None:
    """Give every parameter and buffer of `model` its array; `state` is emptied on the way.

    A parameter takes on the floating dtype of its array, so that no precision is lost. Half precision
    becomes the network's own where the network runs on a CPU, which can't compute in it.

    Args:
        model: may be built under ``paddle.LazyGuard``.
        state: key -> array; an array is let go of as soon as the network has it.
        source: the file's name, for error messages.

    Raises:
        CheckpointError: if a key is missing, unexpected, or has another shape or kind of dtype. The
            model is then as it was.

    Warns:
        CheckpointWarning: if weights in half precision became wider.
    """
    targets = model.state_dict()
    _check(targets, state, source)
    changed, half = {}, set[str]()
    for key in list(state):
        array = state.pop(key)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)  # from a big-endian machine
        target = targets[key]
        if _is_half(array) and _dtype_of(target) in ("float32", "float64") and _on_cpu():
            half.add("bfloat16" if array.dtype == np.uint16 else array.dtype.name)
            array = _widened(array).astype(_dtype_of(target))
        if not _floating(target):
            array = array.astype(_dtype_of(target), copy=False)
        elif array.dtype.name != _storage_dtype(target):
            changed[key] = _tensor(array)
            continue
        target.set_value(array)
    if changed:
        _replace(model, changed)
    if half:
        warn(
            f"{source} has weights in {' and '.join(sorted(half))}: they are computed with in float32, "
            "and what is saved of them is float32",
            CheckpointWarning,
        )


def _check(targets: Mapping[str, Any], state: Mapping[str, np.ndarray], source: str) -> None:
    missing = [key for key in targets if key not in state]
    unexpected = [key for key in state if key not in targets]
    common = [key for key in targets if key in state]
    shapes = [
        f"{key} is {_text(state[key].shape)} and not {_text(targets[key].shape)}"
        for key in common
        if tuple(state[key].shape) != tuple(targets[key].shape)
    ]
    dtypes = [
        f"{key} is {state[key].dtype} and not {_dtype_of(targets[key])}"
        for key in common
        if not _compatible(state[key], targets[key])
    ]
    problems = [
        f"{len(found)} {kind} ({', '.join(found[:_SHOWN])}{', …' if len(found) > _SHOWN else ''})"
        for kind, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
            ("of another dtype", dtypes),
        )
        if found
    ]
    if problems:
        remedy = _REMEDY if missing or shapes or dtypes else _REMEDY_OF_MORE
        raise CheckpointError(f"{source} doesn't fit this network: {'; '.join(problems)}; ", *remedy)


def _compatible(array: np.ndarray, target: Any) -> bool:
    """Whether a network can hold the array: both floating, or the same integers, as floats too."""
    if _floating(target):
        return array.dtype.kind == "f" or array.dtype == np.uint16  # the bits of bfloat16
    if array.dtype.kind == "f":  # a state dict that was cast as a whole
        return bool((np.rint(array) == array).all())
    return array.dtype.name == _dtype_of(target)


def _replace(model: nn.Layer, values: Mapping[str, paddle.Tensor]) -> None:
    """Give parameters and buffers another floating dtype, which ``set_value`` can't."""
    for name, layer in model.named_sublayers(include_self=True):
        for table in (layer._parameters, layer._buffers):
            for key, tensor in list(table.items()):
                full = f"{name}.{key}" if name else key
                if tensor is None or full not in values:
                    continue
                value = values[full]
                if table is layer._parameters:
                    value = parameter_like(tensor, value)
                table[key] = value


def parameter_like(old: Any, value: paddle.Tensor) -> Any:
    """A parameter with another value, and the settings of an old one."""
    zero = nn.initializer.Constant(0.0)  # the default one knows no bfloat16
    new = paddle.create_parameter(value.shape, _dtype_of(value), default_initializer=zero)
    new.set_value(value)
    new.name = old.name
    new.trainable = old.trainable
    new.optimize_attr, new.regularizer, new.need_clip = old.optimize_attr, old.regularizer, old.need_clip
    return new


def _tensor(array: np.ndarray) -> paddle.Tensor:
    """Of the array's dtype; bfloat16 where it holds the bits of that."""
    if array.dtype != np.uint16:
        return paddle.to_tensor(array)
    return paddle.to_tensor(_widened(array)).astype("bfloat16")


def _is_half(array: np.ndarray) -> bool:
    return array.dtype in (np.float16, np.uint16)  # the latter has the bits of bfloat16


def _widened(array: np.ndarray) -> np.ndarray:
    """Half precision as float32, which has every value of it."""
    if array.dtype != np.uint16:
        return array.astype(np.float32)
    return (array.astype(np.uint32) << 16).view(np.float32)


def _on_cpu() -> bool:
    """Where Paddle has no convolution in half precision."""
    return paddle.get_device() == "cpu"


def _floating(tensor: Any) -> bool:
    return "float" in _dtype_of(tensor)


def _dtype_of(tensor: Any) -> str:
    return str(tensor.dtype).rsplit(".", 1)[-1]


def _storage_dtype(tensor: Any) -> str:
    name = _dtype_of(tensor)
    return "uint16" if name == "bfloat16" else name


def _text(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
