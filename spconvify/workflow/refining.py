"""Whether a fitted network is refined on its calibration images, and what there is to say of that."""

from __future__ import annotations

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.progress import Progress
from spconvify.search.judge import Judge
from spconvify.search.refinement import NEAR, can_refine, refine, steps_for, takes_long


def refined(
    original: nn.Layer,
    network: nn.Layer,
    images: CalibrationImages,
    macs: int,
    wanted: bool | None,
    seed: int,
    progress: Progress,
) -> list[str]:
    """Train a network on the images that it was fitted to, if that is wanted and can be.

    Args:
        original: the teacher.
        network: changed in place.
        images: all of the calibration images; those that were left out of the fit judge.
        macs: multiply-accumulates of the original for an image.
        wanted: None for where it takes no more than some ten minutes, and there is something to gain.
        seed: by which images were left out of the fit.
        progress: called with (done, total, text).

    Returns:
        What was done, for the report.
    """
    reason = why_not_refined(original, network, images, macs, wanted, seed)
    if reason is not None:
        return [reason] if reason else []
    to_fit, left_out = images.split(seed)
    assert left_out is not None, "else there is a reason"
    before, after = refine(
        original,
        network,
        to_fit,
        Judge(original, left_out),
        steps=steps_for(macs),
        seed=seed,
        progress=progress,
    )
    if after < before:
        return [f"refined on the calibration images: distance {before:.3g} → {after:.3g}"]
    return ["a refinement on the calibration images brought nothing"]


def why_not_refined(
    original: nn.Layer,
    network: nn.Layer,
    images: CalibrationImages,
    macs: int,
    wanted: bool | None,
    seed: int,
) -> str | None:
    """Why a network isn't refined, for the report: empty where nobody asks; None if it is."""
    if wanted is False:
        return ""
    to_fit, left_out = images.split(seed)
    if left_out is None:
        return "not refined: there are too few calibration images to see what it brings"
    if not can_refine(to_fit):
        return "not refined: the calibration images aren't pictures alone, all of one size"
    if wanted is None and takes_long(macs):
        return "not refined, since it would take over ten minutes and wasn't asked for"
    if wanted is None and Judge(original, left_out).distance(network) < NEAR:
        return ""
    return None
