"""Fit replacements to the layers that they replace: least squares with calibration images, in order.

What `spconvify.convert(init="lstsq")` does for SPConv, for the other layers of the comparison: inputs
from the network as far as it is replaced, targets from the original one, a shortcut that is added
behind and a ReLU taken into account, channels chosen on the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn
from slim_layers import GhostConv, HetConv, OctConv

from spconvify.calibration.capture import Call
from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.output_path import OutputPath
from spconvify.calibration.task import Task
from spconvify.calibration.trace import Calls
from spconvify.operators.spconv.reconstruct import Request, reconstruct
from spconvify.surgery.apply import apply_plan
from spconvify.surgery.calibrate import calibrate
from spconvify.surgery.planning import Plan
from spconvify.surgery.sites import find_sites

ROUNDS, ITERATIONS = 2, 30  # of the moving targets, and of the conjugate gradients in each


def replaced(model: nn.Layer, choose: Callable[[Any], Any], images: np.ndarray) -> nn.Layer:
    """A copy of `model` with eligible convolutions replaced, and fitted to all of the images.

    `choose` gives an operator's settings for a Conv2D, or None to leave it alone.
    """
    model.eval()
    chosen = {site.name: choose(site.layer) for site in find_sites(model) if site.eligible}
    plan = Plan({name: settings for name, settings in chosen.items() if settings is not None})

    def calibrated(new: nn.Layer, layers: dict[str, Any]) -> None:
        calibrate(model, layers, new, [images])

    return apply_plan(model, plan, fit=calibrated, input_shape=images[:1].shape)


def fit(task: Task) -> float:
    """Give the task's layer the weights that come nearest to the convolution; returns the error left."""
    layer, conv, calls = task.layer, task.conv, task.calls
    wanted, current = (_joined(side) for side in zip(*task.calls_by_batch()))
    layer.eval()
    if isinstance(layer, HetConv):
        return _fit_het(layer, wanted, current, calls)
    path = calls.tail.path(layer.out_channels)
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
    return problem.error()


def _joined(batches: Sequence[Sequence[Call]]) -> Call:
    """The first calls of all batches as one."""
    calls = [batch[0] for batch in batches]
    addends = [call.addend for call in calls if call.addend is not None]
    return Call(
        np.concatenate([call.input for call in calls]),
        np.concatenate([call.output for call in calls]),
        np.concatenate(addends) if len(addends) == len(calls) else None,
    )


def _fit_het(layer: HetConv, wanted: Call, current: Call, calls: Calls) -> float:
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
    return result.error


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

    def error(self) -> float:
        """The share of the wanted variance that is missed."""
        value = self._path.outward(
            self._layer(self._input).numpy().transpose(0, 2, 3, 1), self._shortcut
        )
        missed, power = np.square(value - self._wanted).sum(), np.square(self._wanted).sum()
        return float(missed / max(power, 1e-30))

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
