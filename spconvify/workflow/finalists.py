"""Which of several fitted networks is kept: the nearest to the original, as a refinement shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.progress import Progress
from spconvify.search.judge import Judge
from spconvify.search.refinement import refine, steps_for
from spconvify.workflow.refining import why_not_refined

_REFINED = 3  # networks at most that are refined a little before one is taken
_SHARE = 8  # of the steps of a whole refinement is what that takes
_NEARLY = 1.25  # times the best one's distance: the few images that are left out tell no more


@dataclass(frozen=True)
class Finalist:
    """A fitted network, and the distance that quick fits gave its plan."""

    network: nn.Layer
    quick: float


def nearest(
    original: nn.Layer,
    finalists: Sequence[Finalist],
    images: CalibrationImages,
    macs: int,
    wanted: bool | None,
    seed: int,
    progress: Progress,
) -> int:
    """The place of the one to keep.

    What counts is the distance on the images that are left out of the fit, times that of quick fits on
    the others: the few that are left out are too few alone. Networks with and without SPConv gain
    differently from a refinement; where there will be one, the best are refined for a few steps first,
    in place.

    Args:
        original: the network.
        finalists: what was made of it.
        images: all of the calibration images.
        macs: multiply-accumulates of the original for an image.
        wanted: whether to refine; None for where it pays.
        seed: by which images were left out of the fit.
        progress: called with (done, total, text).
    """
    if len(finalists) == 1:
        return 0
    to_fit, left_out = images.split(seed)
    assert left_out is not None, "a search leaves some out"
    judge = Judge(original, left_out)
    scores = [judge.distance(one.network) * one.quick for one in finalists]
    order = sorted(range(len(finalists)), key=scores.__getitem__)
    close = [place for place in order if scores[place] <= _NEARLY**2 * scores[order[0]]][:_REFINED]
    best = finalists[order[0]].network
    if len(close) == 1 or why_not_refined(original, best, images, macs, wanted, seed) is not None:
        return order[0]
    for place in close:
        one = finalists[place]
        steps = steps_for(macs) // _SHARE
        _, after = refine(
            original, one.network, to_fit, judge, steps=steps, seed=seed, progress=progress
        )
        scores[place] = after * one.quick
    return min(close, key=scores.__getitem__)
