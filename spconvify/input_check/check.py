"""Whether images look like what a network was trained on: told without labels, before the long work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from paddle import nn

from spconvify.caution import warn
from spconvify.data.images import in_batches
from spconvify.errors import ArgumentError, InputWarning
from spconvify.input_check.corrections import likely_cause, scaling_cause
from spconvify.input_check.norm_statistics import NormProbe, first_norms
from spconvify.network.batches import Batch, pictures_in, size_of
from spconvify.network.inputs import Inputs

FEW = 16  # images; with fewer the statistics say little
SAMPLE = 64  # images that are looked at
TRIED = 16  # of them that every correction is tried on
FAR = 0.15  # distance at the first BatchNorm; of right images, 16 or more, it is below 0.05
DEEPER = 0.4  # at those behind it, which tell noise from pictures
SUSPICIOUS = 0.015  # of `SAMPLE` images, already far enough to ask whether a mistake explains it
USUAL_LARGEST = 16.0  # of a network's input, where no BatchNorm tells more
USUAL_SMALLEST = 0.02
_BATCH = 8


def check_inputs(
    model: nn.Layer,
    batches: Iterable[np.ndarray],
    what: str = "calibration",
    beside: Inputs | None = None,
) -> None:
    """Warn of images that don't look like what the network was trained on.

    The mean and variance of what reaches the first BatchNorms are held against their running
    statistics; where they are far apart, usual mistakes are tried out: values of 0..255, another mean
    and std, BGR in place of RGB. Without a trained BatchNorm the range of the values has to do.

    Args:
        model: the original network.
        batches: float batches (N, C, H, W), as the network takes them.
        what: whose images these are, for the message.
        beside: what the network takes with a picture, if it takes more than that.

    Warns:
        InputWarning: says what is wrong, and what would explain it.
    """
    sample, count = _sample(batches)
    if sample is None:  # of networks of several inputs that nothing tells apart
        return
    for problem in problems(model, sample, count, beside):
        warn(f"the {what} images {problem}", InputWarning)


def check_batch(model: nn.Layer, images: Batch, what: str) -> None:
    """`check_inputs` for images that needn't be many: fewer than `FEW` aren't judged.

    Nor are those of networks of several inputs that nothing tells apart.

    Warns:
        InputWarning: as `check_inputs` does.
    """
    if size_of(images) < FEW:
        return
    beside = images if isinstance(images, Inputs) else None
    with contextlib.suppress(ArgumentError):
        check_inputs(model, [pictures_in(images)], what, beside)


def problems(
    model: nn.Layer, images: np.ndarray, count: int, beside: Inputs | None = None
) -> Iterator[str]:
    """What is wrong with images of which `images` (N, C, H, W) are a sample of `count`."""
    if count < FEW:
        yield f"are too few ({count}) to say much of others; give a few hundred"
    flat = _flat(images)
    if flat:
        yield flat
        return
    try:
        probes = first_norms(model, images[:1], beside)
    except Exception:  # whatever the user's network raises: the work that follows says it better
        return
    text = _by_norms(probes, images, count) if probes else _by_range(images)
    if text:
        yield text


def _flat(images: np.ndarray) -> str:
    """Whether there is nothing in them."""
    spread = images.reshape(len(images), -1)
    single = int((spread.max(1) == spread.min(1)).sum())
    if single == len(images):
        return "are all of a single colour: nothing can be learned from them"
    if len(images) > 1 and (images == images[:1]).all():
        return "are all the same one: nothing can be learned from them"
    if 2 * single > len(images):
        return f"are mostly of a single colour ({single} of {len(images)} looked at)"
    return ""


def _by_norms(probes: Sequence[NormProbe], images: np.ndarray, count: int) -> str:
    every = max(1, len(images) // TRIED)
    batches, few = in_batches(images, _BATCH), in_batches(images[::every], _BATCH)
    first, *deeper = [probe.distance(batches) for probe in probes]
    slack = max(1.0, FEW / count)  # few images differ from the mean of many
    axis = 1 if images.shape[1] <= images.shape[-1] else images.ndim - 1
    far = first.median > FAR * slack or any(one.median > DEEPER * slack for one in deeper)
    if not far and max(first.median, first.mean) < SUSPICIOUS * max(1.0, SAMPLE / count):
        return ""
    cause = likely_cause(probes[0], few, axis)
    if cause is None:
        cause = scaling_cause(probes[0], few, axis)
    if cause is None and not far:
        return ""
    text = "aren't what the network was trained on, by the statistics of its first BatchNorms; "
    if cause is not None:
        other = "" if far else "; or they are pictures of one kind only, where it was trained on more"
        return text + f"what would explain it: {cause.text}{other}"
    return text + "no usual mistake explains it: are they pictures of the same kind?"


def _by_range(images: np.ndarray) -> str:
    largest = float(np.abs(images).max())
    guess = ""
    if largest > USUAL_LARGEST:
        guess = "are they pixels of 0..255 that should be scaled?"
    elif largest < USUAL_SMALLEST:
        guess = "were they divided by 255 twice?"
    if not guess:
        return ""
    values = f"have values {float(images.min()):.3g} to {float(images.max()):.3g}"
    return f"{values}, where about -3..3 is usual, and no BatchNorm of the network tells more: {guess}"


def _sample(batches: Iterable[np.ndarray]) -> tuple[np.ndarray | None, int]:
    """At most `SAMPLE` images, evenly spread, of one shape; and how many there are."""
    kept: list[np.ndarray] = []
    count, step = 0, 1
    for batch in batches:
        for image in batch:
            if count % step == 0 and (not kept or image.shape == kept[0].shape):
                kept.append(np.array(image, dtype=np.float32))
                if len(kept) == 2 * SAMPLE:  # every other one, and twice the distance from now on
                    kept, step = kept[::2], 2 * step
            count += 1
    every = -(-len(kept) // SAMPLE)
    return (np.stack(kept[::every]) if kept else None), count
