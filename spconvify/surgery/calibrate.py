"""init="lstsq": fit every new layer to calibration images, one after the other, without training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import paddle
from paddle import nn

from spconvify.calibration.effort import FULL, Effort
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.settled import SettledOutputs
from spconvify.calibration.targets import REMEDY, Targets
from spconvify.calibration.task import Kept, Task, Unfitted
from spconvify.calibration.trace import Calls, trace
from spconvify.caution import warn
from spconvify.network.edges import walk
from spconvify.network.inputs import Inputs
from spconvify.network.run import evaluating, run
from spconvify.operators import inits, registry
from spconvify.operators.dense import fit_dense
from spconvify.progress import Progress, nothing
from spconvify.surgery.fit_report import FitReport
from spconvify.surgery.sites import find_sites


class CalibrationWarning(UserWarning):
    """The calibration went on, but not everywhere as well as it could."""


def calibrate(
    original: nn.Layer,
    to_fit: Mapping[str, nn.Layer],
    converted: nn.Layer,
    batches: Iterable[Any],
    *,
    init: str = "lstsq",
    seed: int = 0,
    progress: Progress = nothing,
    kept: Mapping[str, Kept] | None = None,
    effort: Effort = FULL,
) -> FitReport:
    """Give the new layers of a converted network the weights that reproduce the original best.

    Sequential: each layer is fitted on what the already converted network feeds it, to what the
    original network has there, so that it makes up for the errors before it. A shortcut that is added
    behind the layer's BatchNorm is found from the operators that run, and the layer is fitted to
    the sum, less the drifted shortcut. A ReLU behind it is taken into account: negative values only
    have to stay negative. An SPConv's channels are chosen anew. A dense convolution among the layers is
    fitted in the same way, from where it is. With fusion "gap" the same fit sets both BatchNorms so that
    the gate's mean is 1/2, and its rounds take back what the gate does. The original network runs once
    over the images, the converted one once for every layer, only as far as that, and with what its
    convolutions gave before. Deterministic for a seed.

    Args:
        original: the dense network.
        to_fit: site name -> the layer, already in place in `converted`.
        converted: the network to fit, changed in place.
        batches: images, see `CalibrationImages`.
        init: the init that fits, by name.
        seed: of the sample of positions on large maps.
        progress: called with (done, total, text) before every layer, and at the end.
        kept: site name -> which of its channels are left, where some are gone.
        effort: how much is looked at, and how long every fit goes on.

    Returns:
        The relative reconstruction error of every layer that was fitted: the share of the variance
        of what the original network has there (behind BatchNorm, shortcut and ReLU) that is missed.

    Raises:
        ArgumentError: if the images can't be used, or the network doesn't run on them.

    Warns:
        CalibrationWarning: for layers that were never reached, or whose input never changes (both keep
            the weights they have), and where the images are too few to determine the weights.
    """
    images = CalibrationImages.of(batches)
    layers = {site.name: site.layer for site in find_sites(original) if site.name in to_fit}
    norms = _norms(original, converted)
    errors, few = FitReport(), dict[str, str]()
    with evaluating(original), evaluating(converted), paddle.no_grad():
        calls = _trace(
            original, layers, Inputs.of(images.first(2))
        )  # in one alone, what is added to all would be a shortcut
        targets = Targets(original, layers, calls, images, seed, effort)
        settled = SettledOutputs(converted, to_fit.values())
        for done, (name, use) in enumerate(calls.items()):
            progress(done, len(calls), f"fitting {name}")
            layer = to_fit[name]
            operator = registry.operator_of(layer)
            task = Task(
                original,
                converted,
                layers[name],
                layer,
                use,
                images,
                seed,
                name,
                targets,
                settled,
                (kept or {}).get(name, Kept()),
                effort,
                None if use.tail.shared else norms.get(id(use.tail.norm)),
            )
            try:
                found = inits.find(init).fit(operator, task) if operator else fit_dense(task)
                errors[name], too_few = found.error, found.few
            except Unfitted as reason:
                too_few = reason.few
                is_refit = operator is None and task.kept == Kept()  # it is as good as it was
                if not is_refit:
                    errors.copied[name] = str(reason)
                if reason.error is not None:
                    errors[name] = reason.error
                if not is_refit:
                    _warn(f"layer {name!r}: {reason}; so it keeps the copied weights")
            settled.settle(layer)
            if too_few:
                few[name] = too_few
    progress(len(calls), len(calls), "fitted")
    if few:
        name, text = next(iter(few.items()))
        others = f" and {len(few) - 1} others" if len(few) > 1 else ""
        _warn(f"layer {name!r}{others}: {text}; give more calibration images")
    missing = [name for name in to_fit if name not in calls]
    if missing:
        _warn(f"never reached by the calibration images, so not fitted: {', '.join(map(repr, missing))}")
        errors.copied.update(dict.fromkeys(missing, "never reached by the calibration images"))
    return errors


def _norms(original: nn.Layer, converted: nn.Layer) -> dict[int, nn.Layer]:
    """The converted network's layers, by the id of the original's that stand at one place alone."""
    names: dict[int, list[str]] = {}
    for edge in walk(original):
        names.setdefault(id(edge.layer), []).append(edge.name)
    present = {edge.name: edge.layer for edge in walk(converted)}
    return {key: present[own[0]] for key, own in names.items() if len(own) == 1 and own[0] in present}


def _trace(original: nn.Layer, layers: Mapping[str, nn.Layer], inputs: Inputs) -> dict[str, Calls]:
    return run(original, inputs, remedy=REMEDY, act=lambda image: trace(original, layers, image))


def _warn(message: str) -> None:
    warn(message, CalibrationWarning)
