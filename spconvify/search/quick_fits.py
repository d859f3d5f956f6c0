"""Quick fits of whole networks, and how far they are from the original, to compare choices by."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from paddle import nn

from spconvify.calibration.effort import QUICK
from spconvify.calibration.images import CalibrationImages
from spconvify.operators import registry
from spconvify.search.journal import Journal
from spconvify.search.judge import Judge
from spconvify.surgery.apply import apply_plan
from spconvify.surgery.calibrate import calibrate
from spconvify.surgery.planning import Plan

_FEW = 64  # images; with fewer the strength of the ridge has to be tried


class QuickFits:
    """Judges plans of one network: fitted to each half of the images, and judged on the other one.

    Args:
        model: the original network.
        images: all of them.
        journal: where results are kept.
        seed: of the halves, and of the fits' samples.

    Attributes:
        looked_at: keys of the choices that were judged.
    """

    def __init__(self, model: nn.Layer, images: CalibrationImages, journal: Journal, seed: int):
        self._model, self._journal, self._seed = model, journal, seed
        halves = images.halves(seed)
        self._folds = [(first, Judge(model, second)) for first, second in (halves, halves[::-1])]
        self.looked_at: set[str] = set()

    def distance(self, key: str, plan: Plan, hopeless: float = np.inf) -> tuple[float, float]:
        """Distance from the original on all images, and on the first half of them alone.

        Args:
            key: what the journal calls the plan.
            plan: the changes.
            hopeless: where the first half's is above that, the second one isn't looked at, and the
                distance on all is infinite.
        """
        key = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.looked_at.add(key)
        distances: list[float] = []
        for fold in range(len(self._folds)):
            made = partial(self._fitted, plan, fold)
            distances.append(self._journal.get(f"distance {key} {fold}", made, float))
            if distances[0] > hopeless:
                return np.inf, distances[0]
        return sum(distances) / len(distances), distances[0]

    def _fitted(self, plan: Plan, fold: int) -> float:
        if not plan.changes:
            return 0.0
        images, judge = self._folds[fold]
        return judge.distance(fit_quickly(self._model, plan, images, self._seed))


def fit_quickly(model: nn.Layer, plan: Plan, images: CalibrationImages, seed: int) -> nn.Layer:
    """The network of a plan, fitted as well as a comparison with others needs.

    What it would warn of is said by the fit at the end.
    """
    plan = plan.with_settings(lambda _, settings: registry.of_settings(settings).with_room(settings))

    def fit(network: nn.Layer, layers: dict[str, nn.Layer]) -> None:
        to_fit = plan.fitted(layers)
        effort = replace(QUICK, trial=images.count < _FEW)
        calibrate(model, to_fit, network, images, seed=seed, kept=plan.kept, effort=effort)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return apply_plan(model, plan, fit=fit, verify=False)
