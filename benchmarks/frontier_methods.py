"""The methods that the frontier compares: name -> how a network is made slim."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable

import layerwise
import numpy as np
import paddle
import pruning
from paddle import nn
from slim_operators import GhostSettings, HetSettings, OctSettings

import spconvify
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.task import Task
from spconvify.calibration.trace import trace
from spconvify.network.run import evaluating
from spconvify.operators.spconv.fitter import Fitter
from spconvify.surgery.apply import apply_plan

SHARES = {"0.5": 0.5, "0.375": 0.375, "0.25": 0.25}


@dataclass(frozen=True)
class Method:
    """`family` is what a plot joins with a line; `build` takes the original network and images."""

    family: str
    build: Callable[[nn.Layer, np.ndarray], nn.Layer]


def spconv(fusion: str, ratio: float, groups: int = 2):
    def build(model: nn.Layer, images: np.ndarray) -> nn.Layer:
        return spconvify.convert(model, ratio, groups, fusion=fusion, init="lstsq", calibration=[images])

    return build


def half_pruned_then_spconv(ratio: float):
    """Second convolutions are fitted to the original network, first ones to the pruned one: there the
    original has other channels."""

    def build(model: nn.Layer, images: np.ndarray) -> nn.Layer:
        pruned = pruning.by_least_squares(model, 0.5, images)
        plan = spconvify.plan(pruned, ratio, fusion="sum")
        plan = plan.with_settings(lambda _, settings: replace(settings, reorder=True, bias=True))
        batches = CalibrationImages([images])

        def fit(converted: nn.Layer, new: dict[str, Any]) -> None:
            seen = {id(source): _calls(source, new, images) for source in (model, pruned)}
            for name in seen[id(model)]:
                source = model if name.endswith("conv2") else pruned
                layer, calls = seen[id(source)][name]
                with evaluating(converted), paddle.no_grad():
                    Fitter(Task(source, converted, layer, new[name], calls, batches)).fit()

        return apply_plan(pruned, plan, fit=fit, input_shape=images[:1].shape)

    return build


def _calls(network: nn.Layer, names, images: np.ndarray) -> dict[str, tuple]:
    """Name -> (layer, what happens to its output), in the order of the calls."""
    network.eval()
    layers = {name: layer for name, layer in network.named_sublayers() if name in names}
    with paddle.no_grad():
        found = trace(network, layers, paddle.to_tensor(images[:1]))
    return {name: (layers[name], calls) for name, calls in found.items()}


def replaced(choose: Callable[[Any], Any]):
    return lambda model, images: layerwise.replaced(model, choose, images)


def ghost(share: int):
    return replaced(lambda _: GhostSettings(share))


def het(parts: int):
    return replaced(lambda _: HetSettings(parts))


def octave(low: float):
    """Stride 2 stays dense: an octave convolution has no form of its own for it."""
    return replaced(lambda conv: OctSettings(low) if conv._stride[0] == 1 else None)


METHODS: dict[str, Method] = {}
for _ratio in (0.75, 0.5, 0.25):
    METHODS[f"spconv-sum-{_ratio}"] = Method("SPConv, sum", spconv("sum", _ratio))
METHODS["spconv-sum-0.5-g4"] = Method("SPConv, sum", spconv("sum", 0.5, 4))
for _ratio in (0.75, 0.5, 0.25):
    METHODS[f"spconv-gap-{_ratio}"] = Method("SPConv, gap", spconv("gap", _ratio))
for _name, _share in {**SHARES, "0.1875": 0.1875}.items():
    METHODS[f"ls-{_name}"] = Method(
        "least-squares pruning",
        lambda model, images, share=_share: pruning.by_least_squares(model, share, images),
    )
for _ratio in (0.75, 0.5, 0.25):
    METHODS[f"half+spconv-{_ratio}"] = Method("pruned by half, SPConv", half_pruned_then_spconv(_ratio))
for _kind, _family in (("l1", "L1 pruning"), ("fpgm", "FPGM pruning")):
    for _name, _share in SHARES.items():
        METHODS[f"{_kind}-{_name}"] = Method(
            _family,
            lambda model, images, kind=_kind, share=_share: pruning.by_filters(
                model, kind, share, images
            ),
        )
METHODS["het-2"] = Method("HetConv", het(2))
METHODS["het-4"] = Method("HetConv", het(4))
METHODS["het-8"] = Method("HetConv", het(8))
METHODS["oct-0.5"] = Method("OctConv", octave(0.5))
METHODS["oct-0.75"] = Method("OctConv", octave(0.75))
METHODS["ghost-2"] = Method("GhostConv", ghost(2))
METHODS["ghost-4"] = Method("GhostConv", ghost(4))
