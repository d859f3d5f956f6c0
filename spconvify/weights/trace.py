"""What happens to a convolution's output: found from the operators that a forward pass runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.ops import Operation, watching
from spconvify.weights.output_path import OutputPath

# Between these bounds the activation is the identity, outside it is constant.
_CLIPS = {"relu": (0.0, math.inf), "relu_": (0.0, math.inf), "relu6": (0.0, 6.0)}


@dataclass(frozen=True, eq=False)
class Tail:
    """The operators behind a convolution, as far as each takes the result of the one before alone.

    A BatchNorm in eval mode, then the addition of another tensor of the same shape (a shortcut),
    then an activation that clips; each may be missing.
    """

    norm: nn.Layer | None = None
    adds: bool = False
    clip: tuple[float, float] | None = None

    def path(self, outputs: int) -> OutputPath:
        """The same as numbers, for a convolution with `outputs` channels."""
        norm: Any = self.norm
        clip = self.clip or (-math.inf, math.inf)
        if norm is None:
            return OutputPath(np.ones(outputs, np.float32), np.zeros(outputs, np.float32), clip)
        mean, variance = (t.astype("float32").numpy() for t in (norm._mean, norm._variance))
        gain = 1.0 / np.sqrt(variance + norm._epsilon)
        if norm.weight is not None:
            gain = gain * norm.weight.astype("float32").numpy()
        offset = -mean * gain
        if norm.bias is not None:
            offset = offset + norm.bias.astype("float32").numpy()
        return OutputPath(gain.astype(np.float32), offset.astype(np.float32), clip)


@dataclass(frozen=True, eq=False)
class Calls:
    """How a layer is used in one forward pass."""

    number: int
    tail: Tail


def trace(model: nn.Layer, layers: Mapping[str, nn.Layer], image: paddle.Tensor) -> dict[str, Calls]:
    """Run `model` once; give the layers that were called, in the order of their first calls.

    A layer whose calls have different tails gets an empty one.
    """
    operations: list[Operation] = []  # keeps every tensor alive, so ids stay unique
    outputs: dict[str, list[paddle.Tensor]] = {}

    def remember(name: str) -> Any:
        return lambda layer, inputs, output: outputs.setdefault(name, []).append(output)

    hooks = [layer.register_forward_post_hook(remember(name)) for name, layer in layers.items()]
    try:
        with watching(operations.append):
            result = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    consumers: dict[int, list[Operation]] = {}
    for operation in operations:
        for tensor in _tensors((operation.args, operation.kwargs)):
            consumers.setdefault(id(tensor), []).append(operation)
    returned = {id(tensor) for tensor in _tensors(result)}
    calls = {}
    for name, tensors in outputs.items():
        tails = [_tail(tensor, consumers, returned) for tensor in tensors]
        same = all(
            (t.norm, t.adds, t.clip) == (tails[0].norm, tails[0].adds, tails[0].clip) for t in tails
        )
        calls[name] = Calls(len(tensors), tails[0] if same else Tail())
    return calls


def _tail(tensor: Any, consumers: Mapping[int, list[Operation]], returned: set[int]) -> Tail:
    norm, adds = None, False
    while id(tensor) not in returned and len(consumers.get(id(tensor), ())) == 1:
        operation = consumers[id(tensor)][0]
        if operation.name in _CLIPS:
            return Tail(norm, adds, _CLIPS[operation.name])
        if operation.name == "batch_norm" and norm is None and not adds and _is_plain(operation):
            norm, tensor = operation.layers[-1], operation.result[0]
        elif operation.name == "add" and not adds and addend(operation, tensor) is not None:
            adds, tensor = True, operation.result
        else:
            break
    return Tail(norm, adds)


def _is_plain(operation: Operation) -> bool:
    """Whether a BatchNorm uses its statistics, as it does in eval mode."""
    norm: Any = operation.layers[-1] if operation.layers else None
    if not hasattr(norm, "_variance") or norm.training:
        return False
    return getattr(norm, "_use_global_stats", None) is not False


def addend(operation: Operation, tensor: Any) -> Any:
    """What an addition adds to `tensor`; None unless it is another tensor of the same shape."""
    if len(operation.args) < 2:
        return None
    first, second = operation.args[:2]
    other = second if first is tensor else first
    if other is tensor or not isinstance(other, paddle.Tensor) or other.shape != tensor.shape:
        return None
    return other


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, paddle.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
