"""What settled layers gave in an earlier pass, so that not every fit runs the network from its start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.network.graph import channels_of, data_format_of
from spconvify.network.replacement import Replacement

# Bytes of outputs that are kept. A ResNet-18 gives 10 MiB for an image of 224x224, a VGG-16 50 MiB.
KEPT = 2**30
_PROBES = 512  # values of an input that are compared with the earlier ones


@dataclass(frozen=True)
class _Kept:
    """One call: where the input was looked at, what was there, and what the layer gave."""

    shape: list[int]
    probe: np.ndarray
    output: paddle.Tensor


class SettledOutputs:
    """Keeps what the dearest layers of a network give, batch by batch, as soon as that is final.

    It is where the layer's weights are (a plain convolution, or a layer that was fitted), and it runs
    before the layer that is fitted now: whatever comes before that is the same in every later pass. A
    call with another input than in the pass before runs as ever. Where there is no room for all, those
    with the most arithmetic for a value are kept. Hooks and the rest of the network run in every pass.

    Args:
        model: the network, in eval mode; its plain convolutions never change.
        to_fit: the layers whose weights aren't what they will be.
        most: bytes to keep, `KEPT` if it isn't said.
    """

    def __init__(self, model: nn.Layer, to_fit: Iterable[nn.Layer] = (), most: int | None = None):
        self._most, self._used, self._open = KEPT if most is None else most, 0, False
        self._layers: dict[int, nn.Layer] = {}
        self._kept: dict[int, dict[tuple[int, int], _Kept]] = {}
        self._to_fit = {id(layer): layer for layer in to_fit}
        for layer in _outside_replacements(model):
            if (type(layer) is nn.Conv2D or isinstance(layer, Replacement)) and (
                id(layer) not in self._to_fit
            ):
                self.settle(layer)

    def settle(self, layer: nn.Layer) -> None:
        """From now on `layer` has the weights that it keeps."""
        self._layers[id(layer)] = layer
        self._to_fit.pop(id(layer), None)

    @contextlib.contextmanager
    def passing(
        self, batch: int, fitted: nn.Layer, size: tuple[int, int, int] | None = None
    ) -> Iterator[None]:
        """Inside, a pass of `batch` (its number) recalls; it keeps up to the first layer to fit.

        With the `size` (images, height, width) of its output, `fitted` isn't run in that call: it gives
        zeros, which is enough where nobody asks for what it gives.
        """
        layers = {**self._layers, **self._to_fit, id(fitted): fitted}.values()
        before = [(layer, vars(layer).get("forward")) for layer in layers]
        self._open = True
        try:
            for layer, _ in before:
                to_fit = layer is fitted or id(layer) in self._to_fit
                closing = self._closing(layer, size if layer is fitted else None)
                vars(layer)["forward"] = closing if to_fit else _Recall(self, layer, batch).forward
            yield
        finally:
            self._open = False
            for layer, forward in before:
                vars(layer).pop("forward", None)
                if forward is not None:
                    vars(layer)["forward"] = forward

    def _closing(self, fitted: Any, size: tuple[int, int, int] | None) -> Any:
        forward = fitted.forward

        def close(*args: Any, **kwargs: Any) -> Any:
            first, self._open = self._open, False
            given = next(iter((*args, *kwargs.values())), None)
            if size is None or not first or not isinstance(given, paddle.Tensor):
                return forward(*args, **kwargs)
            count, *area = size
            _, outputs = channels_of(fitted)
            shape = [outputs, *area] if data_format_of(fitted) == "NCHW" else [*area, outputs]
            return paddle.zeros([count, *shape], given.dtype)

        return close

    def find(self, layer: nn.Layer, place: tuple[int, int], given: paddle.Tensor) -> Any:
        """The output of an earlier pass at the same place (batch, call) for the same input, or None."""
        kept = self._kept.get(id(layer), {}).get(place)
        if kept is None or kept.shape != given.shape or not np.array_equal(kept.probe, _probe(given)):
            return None
        return kept.output.clone()  # the network may change it in place

    def keep(
        self, layer: nn.Layer, place: tuple[int, int], given: paddle.Tensor, output: paddle.Tensor
    ) -> None:
        """Keep a copy of an output, if it is final and there is room, or can be made."""
        if not self._open or not isinstance(output, paddle.Tensor):
            return
        self._forget(layer, place)
        size = _bytes(output)
        cheaper = sorted(
            (k for k in self._kept if self._price(k) < self._price(id(layer))), key=self._price
        )
        while self._used + size > self._most and cheaper:
            self._drop(cheaper.pop(0))
        if self._used + size <= self._most:
            self._kept.setdefault(id(layer), {})[place] = _Kept(
                given.shape, _probe(given), output.clone()
            )
            self._used += size

    def _forget(self, layer: nn.Layer, place: tuple[int, int]) -> None:
        old = self._kept.get(id(layer), {}).pop(place, None)
        self._used -= _bytes(old.output) if old else 0

    def _drop(self, key: int) -> None:
        self._used -= sum(_bytes(kept.output) for kept in self._kept.pop(key).values())

    def _price(self, key: int) -> float:
        """Multiply-accumulates for a value, nearly: weights for a channel."""
        layer = self._layers[key]
        return sum(weight.size for weight in layer.parameters()) / channels_of(layer)[1]


class _Recall:
    """Stands in for the forward of one layer in one pass."""

    def __init__(self, outputs: SettledOutputs, layer: nn.Layer, batch: int):
        self._outputs, self._layer, self._batch, self._calls = outputs, layer, batch, 0
        self._forward = layer.forward

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer gives."""
        given = next(iter((*args, *kwargs.values())), None)
        if len(args) + len(kwargs) != 1 or not isinstance(given, paddle.Tensor):
            return self._forward(*args, **kwargs)
        place = (self._batch, self._calls)
        self._calls += 1
        output = self._outputs.find(self._layer, place, given)
        if output is None:
            output = self._forward(*args, **kwargs)
            self._outputs.keep(self._layer, place, given, output)
        return output


def _outside_replacements(model: nn.Layer) -> Iterator[nn.Layer]:
    """The layers of a network; what is inside of a replacement isn't looked at."""
    waiting = [model]
    seen: set[int] = set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        if not isinstance(layer, Replacement):
            waiting += layer.children()


def _probe(tensor: paddle.Tensor) -> np.ndarray:
    flat = paddle.flatten(tensor)
    return flat[:: max(1, flat.shape[0] // _PROBES)].astype("float32").numpy()


def _bytes(tensor: paddle.Tensor) -> int:
    return tensor.size * tensor.element_size()
