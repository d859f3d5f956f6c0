"""tune: measure which form of each SPConv is fastest in an engine, and confirm it on the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.deploy.channel_order import has_scattered_channels, put_side_by_side
from spconvify.deploy.fuse import Fold, find_folds, fuse
from spconvify.deploy.surroundings import Surroundings, dense_convolution, input_shape
from spconvify.deploy.times_cache import Choices, Times
from spconvify.engines import describe, measure
from spconvify.network.copying import copied
from spconvify.network.failures import does_not_run
from spconvify.network.placement import input_dtype
from spconvify.network.run import evaluating, random_input
from spconvify.operators.spconv.folded import fold
from spconvify.operators.spconv.forms import build, candidates, default_form
from spconvify.operators.spconv.layer import SPConv2D

DENSE = "original"  # the time of the dense convolution, beside the forms'
# A form must be this much faster than the default one: less is within what repeated timings differ.
_GAIN = 1.03
_BLOCK_SECONDS = 0.06


@dataclass
class Choice:
    """The form of every SPConv2D by name, and the layers whose dense convolution would be faster."""

    forms: dict[str, str] = field(default_factory=dict)
    slower: list[str] = field(default_factory=list)
    times: dict[str, Times] = field(default_factory=dict)  # by layer; ms in its surroundings


@dataclass(frozen=True)
class _Setting:
    engine: str
    threads: int
    device: str

    def key(self) -> str:
        facts = describe(self.engine, self.device)
        return f"{self.engine} {facts['version']}, {facts['processor']}, {self.threads} threads"


def choose_forms(
    model: nn.Layer,
    shape: Sequence[int],
    engine: str = "inference",
    threads: int = 1,
    device: str = "cpu",
    *,
    measure_them: bool = True,
    choices: Choices | None = None,
    progress: Callable[..., None] | None = None,
) -> Choice:
    """Find the fastest form of every SPConv2D of `model`, and where none beats the dense convolution.

    Each distinct layer shape is timed in small surroundings, in all forms and as the dense
    convolution; then the network with the fastest forms is timed against the one with the default
    forms, which stay if they are faster. Times are remembered by engine, version, processor, threads
    and shape, and not measured again.

    Args:
        model: a converted network; comes back unchanged.
        shape: (N, C, H, W) of its input.
        engine: see `spconvify.engines`.
        threads: CPU threads.
        device: "cpu" or "gpu:0".
        measure_them: False uses what is remembered and measures nothing.
        choices: where times are remembered; the user's cache folder by default.
        progress: called with (done, total, message).

    Raises:
        ArgumentError: if the network doesn't run on the input.
        EngineError: if the engine isn't there or can't run a form.
    """
    setting = _Setting(engine, threads, device)
    choices = choices or Choices()
    folds = _spconvs(model, shape)
    keys = {item.name: f"{setting.key()}, {_shape_key(item, engine)}" for item in folds}
    times = {
        keys[item.name]: choices.times(keys[item.name], {*_forms(item, engine), DENSE}) for item in folds
    }
    missing = [key for key, known in times.items() if known is None]
    if measure_them:
        for done, key in enumerate(missing):
            if progress is not None:
                progress(done, len(missing) + 1, f"timing forms of layer {done + 1} of {len(missing)}")
            item = next(item for item in folds if keys[item.name] == key)
            times[key] = _time_forms(item, setting)
        choices.remember({key: times[key] for key in missing}, {})  # type: ignore[misc]
    choice = Choice()
    for item in folds:
        known = times[keys[item.name]]
        if known is not None:
            choice.times[item.name] = known
            best = _best(known, default_form(fold(item.layer, item.norm), engine))
            choice.forms[item.name] = best
            if known[DENSE] < known[best]:
                choice.slower.append(item.name)
    network = hashlib.sha256("\n".join(keys.values()).encode()).hexdigest()
    confirmed = choices.confirmed(network)
    if confirmed is None and measure_them:
        confirmed = _confirm(model, shape, setting, choice, folds)
        choices.remember({}, {network: confirmed})
    if confirmed is False:
        choice.forms = {}
    return choice


def _spconvs(model: nn.Layer, shape: Sequence[int]) -> list[Fold]:
    with evaluating(model), paddle.no_grad():
        dtype = input_dtype(model)
        image = random_input(shape, dtype)
        if has_scattered_channels(model):
            model = copied(model)  # put in order, as `fuse` will see it
        try:
            put_side_by_side(model, image)
            folds = find_folds(model, image)
        except Exception as error:  # whatever the user's network raises
            raise does_not_run(shape, error) from error
    return [item for item in folds if isinstance(item.layer, SPConv2D)]


def _forms(item: Fold, engine: str) -> dict[str, None]:
    """The forms that one can have, in the order of `candidates`."""
    return dict.fromkeys(candidates(fold(item.layer, item.norm), engine))


def _shape_key(item: Fold, engine: str) -> str:
    """Everything that decides how long a layer takes."""
    layer: Any = item.layer
    forms = "/".join(_forms(item, engine))
    return (
        f"{'x'.join(map(str, item.input_shape))} -> {layer.out_channels}, stride {layer.stride}, "
        f"dilation {layer.dilation}, padding {layer.padding} {layer.gwc._padding_mode}, "
        f"{layer.representative} representative, {layer.groups} groups, {layer.data_format}, "
        f"{layer.gwc.weight.dtype}, norm {item.norm is not None}, {forms}"
    )


def _time_forms(item: Fold, setting: _Setting) -> Times:
    layer: Any = item.layer
    folded = fold(layer, item.norm)
    inner = {name: build(folded, name) for name in candidates(folded, setting.engine)}
    networks = {name: Surroundings(form, layer) for name, form in inner.items()}
    networks[DENSE] = Surroundings(dense_convolution(layer), layer)
    found = measure(
        networks,
        input_shape(layer, item.input_shape),
        engine=setting.engine,
        threads=setting.threads,
        device=setting.device,
        seconds=_BLOCK_SECONDS,
    )
    return {name: latency.median for name, latency in found.items()}


def _best(times: Times, default: str) -> str:
    forms = {name: time for name, time in times.items() if name != DENSE}
    best = min(forms, key=lambda name: (forms[name], name))
    return best if default not in forms or forms[best] * _GAIN < forms[default] else default


def _confirm(
    model: nn.Layer, shape: Sequence[int], setting: _Setting, choice: Choice, folds: Sequence[Fold]
) -> bool:
    """Whether the chosen forms are at least as fast as the default ones in the whole network."""
    defaults = {item.name: default_form(fold(item.layer, item.norm), setting.engine) for item in folds}
    if choice.forms == defaults:
        return True
    with evaluating(model):
        networks: Mapping[str, nn.Layer] = {
            name: fuse(model, engine=setting.engine, forms=forms, input_shape=shape)
            for name, forms in (("default", defaults), ("chosen", choice.forms))
        }
    found = measure(
        networks, shape, engine=setting.engine, threads=setting.threads, device=setting.device
    )
    return found["chosen"].median <= found["default"].median
