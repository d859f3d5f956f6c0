"""Time a network before and after conversion as they would be deployed."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.deploy.checking import check_dtype
from spconvify.deploy.fuse import fused_copy
from spconvify.deploy.half_precision import naming_half_precision
from spconvify.deploy.latencies import Timing
from spconvify.deploy.tune import FormChoice, choose_forms
from spconvify.engines import describe, measure
from spconvify.engines.registry import EngineName
from spconvify.network.batches import shape_of
from spconvify.network.inputs import Inputs
from spconvify.network.replacement import FusedReplacement
from spconvify.progress import Progress, nothing
from spconvify.settings import DEFAULT_ENGINE


def time_networks(
    before: nn.Layer,
    after: nn.Layer,
    input_shape: Any,
    engine: EngineName = DEFAULT_ENGINE,
    threads: int = 1,
    device: str = "cpu",
    *,
    tune: bool = False,
    progress: Progress = nothing,
) -> Timing:
    """Measure the original network fused, the converted one as it is, and the converted one fused.

    Args:
        before: the original network; comes back unchanged, as `after` does.
        after: the converted one.
        input_shape: (N, C, H, W), or `Inputs`.
        engine: what runs them, by name; see `spconvify.engines.registry`.
        threads: CPU threads.
        device: "cpu" or "gpu:0".
        tune: measure which form of each layer is fastest; without it, earlier choices for the same
            engine, processor and shapes are used, and defaults where there are none.
        progress: called with (done, total, text).

    Raises:
        ArgumentError: if a network doesn't run on the input, or the engine is unknown.
        EngineError: if the engine isn't there or can't run a network.
    """
    inputs = Inputs.of(input_shape, before)
    check_dtype(before, engine)
    choice = choose_forms(after, inputs, engine, threads, device, measure_them=tune, progress=progress)
    fused = fuse_for_deployment(after, inputs, engine, choice)
    networks = {"before": fuse_for_deployment(before, inputs, engine), "after": after, "fused": fused}

    def turn(done: int, total: int) -> None:
        progress(done, total, f"timing in {engine}")

    with naming_half_precision(before, inputs):
        latency = measure(
            networks, inputs.brief, engine=engine, threads=threads, device=device, progress=turn
        )
    forms = {
        name: layer.form
        for name, layer in fused.named_sublayers()
        if isinstance(layer, FusedReplacement)
    }
    return Timing(
        engine=engine,
        threads=threads,
        batch=shape_of(inputs)[0],
        device=device,
        before=latency["before"],
        after=latency["after"],
        fused=latency["fused"],
        forms=forms,
        slower=choice.slower,
        facts=describe(engine, device),
        input_shape=shape_of(inputs),
    )


def fuse_for_deployment(
    model: nn.Layer,
    input_shape: Any,
    engine: EngineName,
    choice: FormChoice | None = None,
    example: Any = None,
) -> nn.Layer:
    """A fused copy, whatever mode `model` is in."""
    from spconvify.network.run import evaluating

    with evaluating(model):
        forms = choice.forms if choice else None
        return fused_copy(model, engine, forms, input_shape, example)[0]
