"""Where Paddle 3.3's oneDNN refuses a network (Paddle #79749): the fastest remedy that is right.

It refuses some operators of the newer representation: every resize to the nearest or between neighbours,
so all networks with a UNet's or an FPN's way up, and some layer norms. There are two remedies, and which
is faster differs by network: to leave out the pass that hands single operators to oneDNN, or the program
in the older representation. There oneDNN does run a resize to the nearest, but takes other pixels than
Paddle unless the factor is a whole number: so the remedies are compared first.

It doesn't load a network either where an activation follows convolutions that are concatenated, unless a
pass is left out; and a leaky ReLU behind a convolution crashes it: without that pass (`passes_left_out`)
the older program may be faster.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np

from spconvify.engines.feeds import Values
from spconvify.engines.predictor import LEAKY, MANY_CONVOLUTIONS, Loaded, Way, load_way
from spconvify.engines.program_files import OLDER, program_files

# Operators that oneDNN may refuse; the pass is what hands it all that aren't fused with a convolution.
_REFUSED = (b'"1.nearest_interp"', b'"1.bilinear_interp"', b'"1.layer_norm"')
_PLACEMENT_PASS = "onednn_placement_pass"
_CONCAT_PASS = "conv_concat_activation_onednn_fuse_pass"
_NEAREST = _REFUSED[0]  # which oneDNN computes in a way of its own, where it does
_TRIAL_SECONDS, _TRIAL_RUNS = 0.2, 3  # of each remedy
_TOLERANCE = 1e-2  # of an output's scale: other pixels make more, and rounding less


def may_be_refused(program: bytes) -> bool:
    """Whether a remedy may be needed; the older representation loads very large networks too slowly."""
    is_large = program.count(b'conv2d"') >= MANY_CONVOLUTIONS
    return not is_large and any(operator in program for operator in (*_REFUSED, LEAKY))


def load_fastest(usual: Way, values: Values, threads: int) -> Loaded:
    """The program of Paddle 3 on the CPU, in the usual way or in the best of the remedies."""
    remedies = [_without(usual, _PLACEMENT_PASS)]
    if (usual.folder / OLDER).exists():
        remedies.append(Way(usual.folder / OLDER))
    try:
        loaded = load_way(usual, values, threads, "cpu")
        loaded()  # some operators are refused when they run first
        if not any(operator in _program(usual.folder) for operator in (_NEAREST, LEAKY)):
            return loaded
        remedies.append(usual)
    except Exception:  # whatever Paddle raises
        joined = [_without(usual, _CONCAT_PASS), _without(usual, _PLACEMENT_PASS, _CONCAT_PASS)]
        best = _fastest(remedies, values, threads) or _fastest(joined, values, threads)
        if best is None:
            raise
        return best
    return _fastest(remedies, values, threads) or loaded


def _without(way: Way, *passes: str) -> Way:
    return Way(way.folder, (*way.deleted_passes, *passes))


def _program(folder: Path) -> bytes:
    return program_files(folder)[0].read_bytes()


def _fastest(ways: Sequence[Way], values: Values, threads: int) -> Loaded | None:
    """The fastest of those that run at all, and that compute what the first of these does."""
    expected, best, best_time = None, None, np.inf
    for way in ways:
        with contextlib.suppress(Exception):  # whatever Paddle raises: the next may do
            loaded = load_way(way, values, threads, "cpu")
            outputs = loaded()
            expected = expected or outputs
            if not _same(expected, outputs):
                continue
            found = _trial(loaded)
            if found < best_time:
                best, best_time = loaded, found
    return best


def _same(expected: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> bool:
    """Whether outputs are equal but for rounding."""
    for old, new in zip(expected, outputs):
        if old.shape != new.shape:
            return False
        if old.dtype.kind not in "fc":
            if np.mean(old != new) > _TOLERANCE:
                return False
            continue
        scale = np.abs(old[np.isfinite(old)]).max(initial=0.0)
        if not np.allclose(new, old, rtol=0.0, atol=_TOLERANCE * float(scale), equal_nan=True):
            return False
    return True


def _trial(run: Callable[[], Any]) -> float:
    """The seconds of the fastest of a few runs, after one that warms it up."""
    run()
    times: list[float] = []
    while len(times) < _TRIAL_RUNS or sum(times) < _TRIAL_SECONDS:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
