"""Quick fits tell networks apart also where layers see few positions for the weights that they have."""

import paddle
import pytest
from calibration_networks import images, settled
from paddle import nn

from spconvify.calibration.effort import QUICK, Effort
from spconvify.calibration.images import CalibrationImages
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.search.judge import Judge
from spconvify.search.quick_fits import fit_quickly
from spconvify.surgery.changes import Narrow, Replace
from spconvify.surgery.planning import Plan
from spconvify.surgery.refit import Refit


class Deep(nn.Layer):
    """Its second half sees 2x2 maps: with 80 images 320 positions for 48 x 9 weights of an output."""

    def __init__(self):
        super().__init__()
        layers = []
        for before, after, stride in ((3, 16, 4), (16, 48, 2), (48, 48, 1), (48, 48, 1), (48, 48, 1)):
            layers += [
                nn.Conv2D(before, after, 3, stride, 1, bias_attr=False),
                nn.BatchNorm2D(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.body(x).mean(axis=[2, 3]))


REFITS = [Refit(f"body.{index}") for index in (3, 6, 9, 12)]
PLANS = {
    "fitted anew": REFITS,
    "narrowed": [Narrow("body.6", "body.9", tuple(range(36)), ("body.7",)), *REFITS],
    "replaced": [Replace(f"body.{index}", SPConvSettings(0.75, 1)) for index in (6, 9, 12)],
}


@pytest.fixture(scope="module")
def batch():
    return images(160, 3, 16)


@pytest.fixture(scope="module")
def model(batch):
    paddle.seed(0)
    return settled(Deep(), batch)


@pytest.mark.parametrize("kind", PLANS)
def test_few_positions_do_not_spoil_it(kind, model, batch, monkeypatch):
    to_fit, others = CalibrationImages([batch[:80]]), CalibrationImages([batch[80:]])
    plan, judge = Plan(PLANS[kind]), Judge(model, others)
    found = judge.distance(fit_quickly(model, plan, to_fit, 0))
    monkeypatch.setattr(Effort, "tries", lambda self, rows, unknowns: self.trial)
    without = judge.distance(fit_quickly(model, plan, to_fit, 0))
    assert found < 0.2 * without


@pytest.mark.parametrize(("rows", "tried"), [(3999, True), (4000, False)])
def test_a_trial_is_for_few_positions(rows, tried):
    assert QUICK.tries(rows, 1000) == tried
    assert Effort().tries(rows, 1000)
