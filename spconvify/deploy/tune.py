"""tune: measure which form of each SPConv is fastest in an engine, and confirm it on the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import paddle
from paddle import nn

from spconvify.deploy.channel_order import has_scattered_channels, put_side_by_side
from spconvify.deploy.fuse import fused_copy
from spconvify.deploy.fusible import Fusible, find_fusible
from spconvify.deploy.setting import Setting
from spconvify.deploy.surroundings import Ends, Surroundings
from spconvify.deploy.times_cache import Times, TimesCache
from spconvify.engines import measure, registry
from spconvify.engines.registry import EngineName
from spconvify.network.copying import copied
from spconvify.network.inputs import Inputs, Sample
from spconvify.network.run import evaluating, run
from spconvify.operators.forms import Forms
from spconvify.progress import Progress, nothing
from spconvify.settings import DEFAULT_ENGINE

DENSE = "original"  # the time of the dense convolution, beside the forms'
# A form must be this much faster than the default one: less is within what repeated timings differ.
_GAIN = 1.03
_BLOCK_SECONDS = 0.06


@dataclass
class FormChoice:
    """The form of every replacement by name, and the layers whose dense convolution would be faster."""

    forms: dict[str, str] = field(default_factory=dict)
    slower: list[str] = field(default_factory=list)
    times: dict[str, Times] = field(default_factory=dict)  # by layer; ms in its surroundings


def choose_forms(
    model: nn.Layer,
    shape: Any,
    engine: EngineName = DEFAULT_ENGINE,
    threads: int = 1,
    device: str = "cpu",
    *,
    measure_them: bool = True,
    choices: TimesCache | None = None,
    progress: Progress = nothing,
) -> FormChoice:
    """Find the fastest form of every replacement in `model`, and where none beats the dense convolution.

    Each distinct layer shape is timed in small surroundings, in all forms and as the dense
    convolution; then the network with the fastest forms is timed against the one with the default
    forms, which stay if they are faster. Times are remembered by engine, version, processor, threads
    and shape, and not measured again.

    Args:
        model: a converted network; comes back unchanged.
        shape: (N, C, H, W) of its input.
        engine: what runs it, by name; see `spconvify.engines.registry`.
        threads: CPU threads.
        device: "cpu" or "gpu:0".
        measure_them: False uses what is remembered and measures nothing.
        choices: where times are remembered; the user's cache folder by default.
        progress: called with (done, total, text).

    Raises:
        ArgumentError: if the network doesn't run on the input.
        EngineError: if the engine isn't there or can't run a form.
    """
    setting, inputs = Setting(engine, threads, device), Inputs.of(shape, model)
    choices = choices or TimesCache()
    folds = _with_forms(model, inputs)
    keys = {item.name: f"{setting.key()}, {_shape_key(item, engine)}" for item in folds}
    times = {
        keys[item.name]: choices.times(keys[item.name], {*_forms(item, engine), DENSE}) for item in folds
    }
    missing = [key for key, known in times.items() if known is None]
    if measure_them:
        for done, key in enumerate(missing):
            progress(done, len(missing) + 1, f"timing forms of layer {done + 1} of {len(missing)}")
            item = next(item for item in folds if keys[item.name] == key)
            times[key] = _time_forms(item, setting)
        choices.remember({key: times[key] for key in missing}, {})  # type: ignore[misc]
    choice = FormChoice()
    for item in folds:
        known = times[keys[item.name]]
        if known is not None:
            choice.times[item.name] = known
            best = _best(known, _forms_of(item).default(item.folded, registry.engine(engine)))
            choice.forms[item.name] = best
            if known[DENSE] < known[best]:
                choice.slower.append(item.name)
    network = hashlib.sha256("\n".join(keys.values()).encode()).hexdigest()
    confirmed = choices.confirmed(network)
    if confirmed is None and measure_them:
        confirmed = _confirm(model, inputs, setting, choice, folds)
        choices.remember({}, {network: confirmed})
    if confirmed is False:
        choice.forms = {}
    return choice


def _with_forms(model: nn.Layer, inputs: Inputs) -> list[Fusible]:
    with evaluating(model), paddle.no_grad():
        # Put in order, as `fuse` will see it.
        own = copied(model) if has_scattered_channels(model) else model

        def found(image: Sample) -> list[Fusible]:
            put_side_by_side(own, image)
            return find_fusible(own, image)

        folds = run(own, inputs, act=found)
    return [item for item in folds if item.forms is not None]


def _forms(item: Fusible, engine: EngineName) -> dict[str, None]:
    """The forms that one can have, in the order of `candidates`."""
    return dict.fromkeys(_forms_of(item).candidates(item.folded, registry.engine(engine)))


def _forms_of(item: Fusible) -> Forms:
    assert item.forms is not None
    return item.forms


def _shape_key(item: Fusible, engine: EngineName) -> str:
    """Everything that decides how long a layer takes."""
    return (
        f"{'x'.join(map(str, item.input_shape))} -> {_forms_of(item).timing_key(item.layer)}, "
        f"norm {item.norm is not None}, {'/'.join(_forms(item, engine))}"
    )


def _time_forms(item: Fusible, setting: Setting) -> Times:
    layer: Any = item.layer
    forms = _forms_of(item)
    inner = {name: forms.build(item.folded, name) for name in _forms(item, setting.engine)}
    ends = Ends.of(layer)
    networks = {name: Surroundings(form, ends) for name, form in inner.items()}
    networks[DENSE] = Surroundings(forms.dense(layer), ends)
    found = measure(
        networks,
        ends.input_shape(item.input_shape),
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
    model: nn.Layer,
    inputs: Inputs,
    setting: Setting,
    choice: FormChoice,
    folds: Sequence[Fusible],
) -> bool:
    """Whether the chosen forms are at least as fast as the default ones in the whole network."""
    engine = registry.engine(setting.engine)
    defaults = {item.name: _forms_of(item).default(item.folded, engine) for item in folds}
    if choice.forms == defaults:
        return True
    with evaluating(model):
        networks: Mapping[str, nn.Layer] = {
            name: fused_copy(model, setting.engine, forms, inputs)[0]
            for name, forms in (("default", defaults), ("chosen", choice.forms))
        }
    found = measure(
        networks, inputs.brief, engine=setting.engine, threads=setting.threads, device=setting.device
    )
    return found["chosen"].median <= found["default"].median
