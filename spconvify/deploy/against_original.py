"""Time a converted network, as it is exported, by turns with the one that it was before."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.deploy.folding import forms_of
from spconvify.deploy.latencies import AgainstOriginal
from spconvify.engines import measure
from spconvify.engines.registry import EngineName
from spconvify.errors import SpconvifyError
from spconvify.network.copying import copied
from spconvify.network.edges import replaceable
from spconvify.network.inputs import Inputs
from spconvify.network.replacement import FusedReplacement, Replacement
from spconvify.progress import Progress, nothing


def against_original(
    model: nn.Layer,
    fused: nn.Layer,
    inputs: Inputs,
    engine: EngineName,
    threads: int = 1,
    progress: Progress = nothing,
) -> AgainstOriginal | None:
    """The latencies of both; None where nothing was converted, or the original can't be had or run.

    Args:
        model: a converted network; comes back unchanged, as `fused` does.
        fused: the same fused.
        inputs: what both are run on.
        engine: what runs them, by name.
        threads: CPU threads.
        progress: called with (done, total, text).
    """

    def turn(done: int, total: int) -> None:
        progress(done, total, "timing the original")

    try:
        original = with_dense_layers(model, fused)
        if original is None:
            return None
        networks = {"original": original, "exported": fused}
        found = measure(networks, inputs.brief, engine=engine, threads=threads, progress=turn)
    except SpconvifyError:  # the files are right all the same
        return None
    return AgainstOriginal(found["original"], found["exported"])


def with_dense_layers(model: nn.Layer, fused: nn.Layer) -> nn.Layer | None:
    """`fused` with the convolutions that were there before: with random weights, which cost the same.

    None if nothing was converted, or if it isn't known of every layer what it was.
    """
    converted = {
        name: layer
        for name, layer in model.named_sublayers(include_self=True)
        if isinstance(layer, Replacement)
    }
    new = copied(fused)
    dense: dict[int, nn.Layer] = {}
    for name, layer in new.named_sublayers(include_self=True):
        if isinstance(layer, Replacement):
            forms = forms_of(converted[name]) if name in converted else None
            if forms is None or not isinstance(layer, FusedReplacement):
                return None
            dense[id(layer)] = _of_eval_mode(forms.dense(converted[name]))
    for edge in replaceable(new):
        if id(edge.layer) in dense:
            edge.put(dense[id(edge.layer)])
    return dense.get(id(new), new) if dense else None


def _of_eval_mode(layer: Any) -> nn.Layer:
    layer.eval()
    return layer
