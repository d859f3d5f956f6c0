"""A trial fit: a strong ridge where there are few rows, the usual one where there are many."""

from __future__ import annotations

import numpy as np
import pytest

from spconvify.calibration.observations import Part
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.spconv.reconstruct import Reconstruction
from spconvify.operators.spconv.refine import Score
from spconvify.operators.spconv.solve import Fit
from spconvify.operators.spconv.trial import Trial, trial

FEATURES, OUTPUTS = 60, 4
PATH = OutputPath(np.ones(OUTPUTS, "float32"), np.zeros(OUTPUTS, "float32"))


def parts(rows, noise=1.0, seed=0):
    """Rows of which a quarter is left out: a known solution, and noise."""
    random = np.random.default_rng(seed)
    truth = random.standard_normal((FEATURES, OUTPUTS)).astype("float32") / 8
    result = []
    for count, left_out in ((rows - rows // 4, False), (rows // 4, True)):
        x = random.standard_normal((count, FEATURES)).astype("float32")
        y = x @ truth + noise * random.standard_normal((count, OUTPUTS)).astype("float32")
        result.append(Part(x, y, None, np.arange(count), left_out=left_out))
    return result, truth


@pytest.mark.parametrize(("rows", "usual"), [(40, False), (20_000, True)])
def test_the_ridge_grows_where_rows_are_few(rows, usual):
    given, _ = parts(rows)
    found = trial(given, PATH, np.zeros((FEATURES, OUTPUTS)))
    assert (found.strength is None) == usual
    assert found.left_out.error < (1.2 if rows < 100 else found.fitted.error * 1.1)


def test_the_ridge_pulls_to_the_prior():
    """With a prior that is right few rows do: a strong ridge wins, and only the noise is missed."""
    given, truth = parts(30, noise=0.3)
    blind, told = (trial(given, PATH, prior) for prior in (np.zeros_like(truth), truth))
    assert told.left_out.error < 0.5 * blind.left_out.error
    assert told.strength > 1


def test_rounds_are_kept_only_where_they_pay():
    clipped = OutputPath(PATH.gain, PATH.offset, (0.0, np.inf))
    nothing = np.zeros((FEATURES, OUTPUTS))
    assert trial(parts(20_000)[0], clipped, nothing, rounds=8).rounds == 8
    kept = set()
    for seed in range(8):
        few, _ = parts(80, seed=seed)
        refined, plain = (trial(few, clipped, nothing, rounds=rounds) for rounds in (8, 0))
        assert refined.left_out.missed <= plain.left_out.missed
        kept.add(refined.rounds)
    assert kept == {0, 8}


def test_the_error_to_expect_is_that_of_rows_left_out():
    fit = Fit([0], *np.zeros((4, 1)), error=0.1)
    worse = Trial(None, 0, fitted=Score(1.0, 10.0), left_out=Score(4.0, 10.0))
    better = Trial(None, 0, fitted=Score(2.0, 10.0), left_out=Score(1.0, 10.0))
    assert Reconstruction(fit, None, [worse]).error == pytest.approx(0.4)
    assert Reconstruction(fit, None, [worse, better]).error == pytest.approx(0.2)
    assert Reconstruction(fit, None, [better]).error == 0.1


def test_without_rows_left_out_there_is_no_trial():
    given, _ = parts(40)
    assert trial(given[:1], PATH, np.zeros((FEATURES, OUTPUTS))) is None


def test_scores_add_up():
    total = Score.total([Score(1.0, 4.0), Score(2.0, 2.0)])
    assert (total, total.error) == (Score(3.0, 6.0), 0.5)
    assert Score(1.0, 0.0).error == 0.0
