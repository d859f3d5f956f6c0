"""What every network of the matrices has to pass; for tools/matrix.py and tools/foreign.py."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import paddle

import spconvify
from spconvify import EngineError, NoEffectWarning, SPConv2D, UnreachedWarning
from spconvify.deploy.equality import TOLERANCE_FLOAT64, in_float64, largest_error
from spconvify.network.graph import tensors_in
from spconvify.network.inputs import Inputs, forward
from spconvify.network.outputs import arrays
from spconvify.network.run import evaluating
from spconvify.network.untouched import untouched

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from latency import scatter_channels  # noqa: E402

TOLERANCE = 1e-4  # of the outputs' scale


def outputs(model: Any, given: Any) -> dict[str, np.ndarray]:
    """What the network gives in eval mode, by name, on random numbers of these shapes or arrays."""
    with evaluating(model), paddle.no_grad():
        return arrays(forward(model, Inputs.of(given, model).sample(model)))


def runs(model: Any, given: Any) -> bool:
    """Whether the network runs on these shapes, and gives something."""
    try:
        return bool(outputs(model, given))
    except Exception:
        return False


def shapes(found: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in found.items()}


def check_runs(model: Any, converted: Any, given: Iterable[Any]) -> None:
    """The converted network's outputs have the original's names and shapes."""
    for inputs in given:
        expected, found = shapes(outputs(model, inputs)), shapes(outputs(converted, inputs))
        assert found == expected, f"outputs are {found} instead of {expected}"


def check_unchanged_by_converting(converted: Any) -> None:
    """Converting a second time changes nothing, and says so."""
    before = {key: value.numpy() for key, value in converted.state_dict().items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert spconvify.convert(converted, inplace=True) is converted
    categories = {warning.category for warning in caught}
    assert categories & {NoEffectWarning, UnreachedWarning}, "no word that nothing is converted"
    for key, value in converted.state_dict().items():
        assert np.array_equal(value.numpy(), before[key], equal_nan=True), f"{key} changed"


def lacking_gradients(model: Any, given: Any, training: bool = True) -> set[str]:
    """Trainable parameters that a step gives no gradient; its BatchNorms' statistics stay."""
    with untouched(model):
        model.train() if training else model.eval()
        results = tensors_in(forward(model, Inputs.of(given, model).sample(model, 1)))
        trainable = [x for x in results if paddle.is_floating_point(x) and not x.stop_gradient]
        assert trainable, "no output has a gradient"
        sum(x.square().mean() for x in trainable).backward()
        lacking = {key for key, p in model.named_parameters() if p.trainable and p.grad is None}
        model.clear_gradients()
    model.eval()
    return lacking


def scattered(converted: Any) -> Any:
    """A copy whose representative channels lie all over the map, as after a calibration."""
    other = copy.deepcopy(converted)
    scatter_channels(other)
    return other


def check_same_bits(loaded: Any, model: Any, given: Any) -> None:
    """Two networks have the same keys in the same order, the same values and the same outputs."""
    state = loaded.state_dict()
    assert list(state) == list(model.state_dict()), "order of the keys"
    for key, value in model.state_dict().items():
        assert np.array_equal(state[key].numpy(), value.numpy()), f"{key} differs"
    expected, found = outputs(model, given), outputs(loaded, given)
    assert list(found) == list(expected), "names of the outputs"
    for name, array in expected.items():
        assert np.array_equal(found[name], array, equal_nan=True), f"output {name!r} differs"


def check_fused(model: Any, given: Iterable[Any]) -> None:
    """Fused, it computes the same.

    In float32, or in float64 where the untrained network makes too much of float32's rounding.
    """
    model.eval()
    for inputs in given:
        fused = spconvify.fuse(model, input_shape=inputs)
        assert not any(isinstance(layer, SPConv2D) for layer in fused.sublayers())
        if largest_error(outputs(model, inputs), outputs(fused, inputs)) > TOLERANCE:
            double = in_float64(model)
            fused = spconvify.fuse(double, input_shape=inputs)
            error = largest_error(*(outputs(net, inputs) for net in (double, fused)))
            assert error <= TOLERANCE_FLOAT64, f"fused, at {inputs}: off by {error:.1e}"


def refusal_of_original(
    converted: Any, model: Any, folder: Path, given: Any, engine: Any = "inference"
) -> str:
    """Why the engine doesn't run the original either; "" if it runs the converted network as it should.

    Raises:
        EngineError: if it runs the original alone.
    """
    try:
        spconvify.export(converted, folder / f"{engine}_converted", given, engine, tune=False)
    except EngineError as problem:
        try:
            spconvify.export(model, folder / f"{engine}_original", given, engine, tune=False)
        except EngineError as reason:
            return str(reason)
        raise problem
    return ""
