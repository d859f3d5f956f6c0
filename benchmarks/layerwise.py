"""Fit replacements to the layers that they replace: least squares with calibration images, in order.

What `spconvify.convert(init="lstsq")` does for SPConv, for the other layers of the comparison: inputs
from the network as far as it is replaced, targets from the original one, a shortcut that is added
behind and a ReLU taken into account, channels chosen on the same images.
"""

from __future__ import annotations

import copy
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn
from slim_layers import GhostConv, HetConv, OctConv

from spconvify.calibration.capture import Call, capture
from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.output_path import OutputPath
from spconvify.calibration.trace import Calls, trace
from spconvify.network.run import evaluating
from spconvify.operators.spconv.reconstruct import Request, reconstruct
from spconvify.surgery.planning import plan
from spconvify.surgery.sites import find_sites

ROUNDS, ITERATIONS = 2, 30  # of the moving targets, and of the conjugate gradients in each

Build = Callable[[Any], "nn.Layer | None"]  # a Conv2D -> what takes its place, or None


def replaced(model: nn.Layer, build: Build, images: np.ndarray) -> nn.Layer:
    """A copy of `model` with every eligible 3x3 replaced by what `build` makes of it, and fitted."""
    model.eval()
    new = copy.deepcopy(model)
    names = list(plan(model).sites)
    originals = {site.name: site.layer for site in find_sites(model) if site.name in names}
    copies = {site.name: site.layer for site in find_sites(new)}
    batch = paddle.to_tensor(images)
    with evaluating(new), paddle.no_grad():
        uses = trace(model, originals, batch[:1])
        for name, calls in uses.items():
            layer = build(originals[name])
            if layer is None:
                continue
            wanted = capture(model, originals[name], calls, batch, False)[0]
            current = capture(new, copies[name], calls, batch, False)[0]
            layer.eval()
            fit(layer, originals[name], wanted, current, calls)
            parent, key = _place(new, name)
            parent._sub_layers[key] = layer
    return new


def fit(layer: nn.Layer, conv: Any, wanted: Call, current: Call, calls: Calls) -> None:
    """Give `layer` the weights that come nearest to what `conv` did."""
    if isinstance(layer, HetConv):
        _fit_het(layer, wanted, current, calls)
        return
    path = calls.tail.path(conv._out_channels)
    if isinstance(layer, GhostConv):
        _start_ghost(layer, conv, wanted, path)
        solves = [[layer.cheap], [layer.primary]]
    else:
        assert isinstance(layer, OctConv)
        _choose_octaves(layer, wanted, current, path)
        solves = [[layer]]
    problem = _Problem(layer, wanted, current, path)
    for _ in range(ROUNDS):
        for parts in solves:
            problem.solve([p for part in parts for p in part.parameters()], ITERATIONS)
        problem.move_target()


def _fit_het(layer: HetConv, wanted: Call, current: Call, calls: Calls) -> None:
    """HetConv is what SPConv is when every channel is representative: the same solver does it."""
    outputs = wanted.output.shape[3]
    geometry, path = Geometry(layer.stride), calls.tail.path(outputs)
    observations = Observations(geometry, len(wanted.output), path)
    observations.add([wanted], [current])
    groups = layer.grouped._groups
    result = reconstruct(observations, Request(groups, len(layer.order) // groups)).fit
    layer.order.set_value(np.array(result.channels, np.int64))
    layer.grouped.weight.set_value(result.gwc.astype(np.float32))
    layer.pointwise.weight.set_value(result.pwc.astype(np.float32))
    layer.pointwise.bias.set_value(result.bias.astype(np.float32))


def _start_ghost(layer: GhostConv, conv: Any, wanted: Call, path: OutputPath) -> None:
    """Choose which outputs are dense, and which others each of them serves: greedily, by correlation."""
    outputs = wanted.output.reshape(-1, wanted.output.shape[3]) * path.gain
    covariance = np.cov(outputs.T)
    deviation = np.sqrt(np.diag(covariance)) + 1e-9
    # energy of output o that the centre tap of output p explains
    explained = np.square(covariance / deviation[:, None])
    dense = layer.primary._out_channels
    per_dense = len(covariance) // dense - 1
    primaries, followers, free = [], [], set(range(len(covariance)))
    for _ in range(dense):
        best: tuple[float, int, list[int]] = (-1.0, 0, [])
        for p in free:
            others = sorted(free - {p}, key=lambda o, p=p: -explained[p, o])[:per_dense]
            gain = float(explained[p, p] + explained[p, others].sum())
            best = max(best, (gain, p, others))
        primaries.append(best[1])
        followers += best[2]
        free -= {best[1], *best[2]}
    order = np.argsort([*primaries, *followers])
    layer.order.set_value(order.astype(np.int64))
    layer.primary.weight.set_value(conv.weight.numpy()[primaries])
    bias = np.zeros(dense) if conv.bias is None else conv.bias.numpy()[primaries]
    layer.primary.bias.set_value(bias.astype(np.float32))


def _choose_octaves(layer: OctConv, wanted: Call, current: Call, path: OutputPath) -> None:
    """The channels that lose least by averaging go to the low resolution."""
    for buffer, array, gain in (
        (layer.order_in, current.input, 1.0),
        (layer.order_out, wanted.output, path.gain),
    ):
        mean = Geometry(2).pooled(array)
        rough = mean.repeat(2, axis=1).repeat(2, axis=2)[:, : array.shape[1], : array.shape[2]]
        lost = np.square((array - rough) * gain).mean((0, 1, 2))
        order = np.argsort(-lost, kind="stable")
        buffer.set_value((order if buffer is layer.order_in else np.argsort(order)).astype(np.int64))


class _Problem:
    """Least squares of a layer's output against a target, outputs weighted by what follows them."""

    def __init__(self, layer: nn.Layer, wanted: Call, current: Call, path: OutputPath):
        self._layer, self._path = layer, path
        self._input = paddle.to_tensor(np.ascontiguousarray(current.input.transpose(0, 3, 1, 2)))
        with_shortcut = wanted.addend is not None and current.addend is not None
        self._shortcut = current.addend if with_shortcut else None
        self._wanted = path.outward(wanted.output, wanted.addend if with_shortcut else None)
        self._gain = paddle.to_tensor(np.abs(path.gain).reshape(1, -1, 1, 1))
        self._target = self._as_target(self._wanted)

    def move_target(self) -> None:
        """Where the activation cuts off the wanted and the present value, the present one will do."""
        output = self._layer(self._input).numpy().transpose(0, 2, 3, 1)
        value = self._path.outward(output, self._shortcut)
        self._target = self._as_target(self._path.good_enough(self._wanted, value))

    def _as_target(self, value: np.ndarray) -> paddle.Tensor:
        array = self._path.inward(value, self._shortcut)
        return paddle.to_tensor(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))

    def solve(self, parameters: list[paddle.Tensor], iterations: int) -> None:
        """Conjugate gradients from the present weights; in `parameters` the layer must be linear."""
        residual = [-g for g in self._gradient(parameters, self._target)]
        direction, energy = residual, _dot(residual, residual)
        zero = paddle.zeros_like(self._target)
        start = [p.clone() for p in parameters]
        # The Hessian times a direction: gradients at the weights "direction", less those at 0.
        at_zero = self._gradient_at(parameters, [paddle.zeros_like(p) for p in parameters], zero)
        for _ in range(iterations):
            if energy <= 1e-12:
                break
            at_direction = self._gradient_at(parameters, direction, zero)
            curved = [a - b for a, b in zip(at_direction, at_zero)]
            step = energy / max(_dot(direction, curved), 1e-30)
            start = [w + step * d for w, d in zip(start, direction)]
            residual = [r - step * c for r, c in zip(residual, curved)]
            new = _dot(residual, residual)
            direction = [r + (new / energy) * d for r, d in zip(residual, direction)]
            energy = new
        _assign(parameters, start)

    def _gradient_at(self, parameters, values, target) -> list[paddle.Tensor]:
        _assign(parameters, values)
        return self._gradient(parameters, target)

    def _gradient(self, parameters, target) -> list[paddle.Tensor]:
        with paddle.enable_grad():
            error = (self._layer(self._input) - target) * self._gain
            return paddle.grad(error.square().sum() * 0.5, parameters)


def _assign(parameters, values) -> None:
    for parameter, value in zip(parameters, values):
        parameter.set_value(value)


def _dot(first, second) -> float:
    return float(sum((a * b).sum() for a, b in zip(first, second)))


def _place(model: nn.Layer, name: str) -> tuple[nn.Layer, str]:
    """The parent of a layer and its key there."""
    *path, key = name.split(".")
    parent = model
    for part in path:
        parent = parent._sub_layers[part]
    return parent, key
