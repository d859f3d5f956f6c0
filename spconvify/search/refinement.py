"""Refine a fitted network as a whole, on the same few images that its layers were fitted to.

It isn't `recover`, which trains on as many images as there are: here there are a few hundred, without
labels, so they are mirrored, shifted and mixed, and the result only stays if it is nearer to the
original on images that were left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.network.batches import size_of
from spconvify.network.inputs import Inputs, forward
from spconvify.network.outputs import flatten
from spconvify.network.run import evaluating
from spconvify.network.untouched import untouched
from spconvify.progress import Progress, nothing
from spconvify.search.augmentation import augmented
from spconvify.search.judge import Judge

STEPS, MORE_STEPS = 250, 500  # twice as many where they don't take long: they keep more
BATCH = 64
LEARNING_RATE = 1e-3
NEAR = 0.02  # distance from the original; below, a few hundred images bring it hardly nearer
_WARM_UP = 20  # steps
# Multiply-accumulates of the original on all images of all steps. More takes some ten minutes on two
# cores, so that it is only done where it is asked for.
_CHEAP = 3e12
_VERY_CHEAP = 7e11


def steps_for(macs: int) -> int:
    """How many steps pay; `macs` are the original's for an image."""
    return MORE_STEPS if macs * STEPS * BATCH <= _VERY_CHEAP else STEPS


def takes_long(macs: int) -> bool:
    """Whether a refinement takes more than some ten minutes; `macs` are the original's for an image."""
    return macs * STEPS * BATCH > _CHEAP


def refine(
    original: nn.Layer,
    network: nn.Layer,
    images: CalibrationImages,
    judge: Judge,
    *,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress = nothing,
) -> tuple[float, float]:
    """Train `network` to give the original's outputs, with Adam; BatchNorms keep their statistics.

    Frozen parameters stay as they are. Deterministic for a seed.

    Args:
        original: the teacher.
        network: changed in place; as it was if nothing was gained.
        images: pictures alone, (N, C, H, W) or (N, H, W, C).
        judge: of images that are none of these.
        steps: batches to train on.
        seed: of the batches and of what is done to them.
        progress: called with (done, total, text).

    Returns:
        The distance from the original before and after; the same where nothing was gained.
    """
    parameters = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
    before = judge.distance(network)
    if not parameters or before == 0:
        return before, before
    pictures = np.concatenate([_pictures(batch) for batch in images])
    start = {key: value.clone() for key, value in network.state_dict().items()}
    random = np.random.default_rng(seed)
    optimizer = paddle.optimizer.Adam(LEARNING_RATE, parameters=parameters)
    size = min(BATCH, len(pictures))
    order = np.zeros(0, np.intp)
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    with untouched(original), evaluating(original), evaluating(network):
        for step in range(steps):
            progress(step, steps, "refining")
            if len(order) < size:
                order = random.permutation(len(pictures))
            chosen, order = order[:size], order[size:]
            optimizer.set_lr(_rate(step, steps))
            _step(original, network, augmented(pictures[chosen], random), optimizer)
    progress(steps, steps, "refined")
    for name, value in network.named_buffers():  # a network may count its own runs
        value.set_value(buffers[name])
    after = judge.distance(network)
    if not after < before:  # NaN too
        network.set_state_dict(start)
        return before, before
    return before, after


def can_refine(images: CalibrationImages) -> bool:
    """Whether these are pictures alone, all of one size: others can't be mixed."""
    batches = [batch for batch in images if size_of(batch)]
    return all(isinstance(batch, np.ndarray) and batch.ndim == 4 for batch in batches) and (
        len({batch.shape[1:] for batch in batches}) == 1
    )


def _pictures(batch: Any) -> np.ndarray:
    assert isinstance(batch, np.ndarray), "asked by can_refine"
    return batch


def _step(original: nn.Layer, network: nn.Layer, pictures: np.ndarray, optimizer: Any) -> None:
    inputs = Inputs.of(pictures)
    with paddle.no_grad():
        wanted = flatten(forward(original, inputs.sample(original)))
    given = flatten(forward(network, inputs.sample(network)))
    losses = [
        _loss(given[name], target.detach())
        for name, target in wanted.items()
        if name in given and given[name].shape == target.shape and _is_trained(given[name])
    ]
    if not losses:
        return
    total = losses[0] if len(losses) == 1 else paddle.add_n(losses)
    total.backward()
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)


def _loss(given: paddle.Tensor, wanted: paddle.Tensor) -> paddle.Tensor:
    """Squared error, in parts of what the original's output varies by."""
    given, wanted = given.astype("float32"), wanted.astype("float32")
    scale = paddle.mean(paddle.square(wanted - paddle.mean(wanted, axis=0, keepdim=True)))
    return paddle.mean(paddle.square(given - wanted)) / paddle.clip(scale, min=1e-12)


def _is_trained(tensor: Any) -> bool:
    return paddle.is_floating_point(tensor) and not tensor.stop_gradient


def _rate(step: int, steps: int) -> float:
    """A short rise, then half a cosine down to nothing."""
    return LEARNING_RATE * min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
