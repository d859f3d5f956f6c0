"""What every fit of a layer checks before and afterwards, whatever stands in the convolution's place."""

from __future__ import annotations

from collections.abc import Callable

from paddle import nn

from spconvify.calibration.observations import Observations
from spconvify.calibration.task import Unfitted
from spconvify.network.finite import not_finite


def check_usable(observations: Observations) -> None:
    """Refuse what nothing can be fitted to.

    Raises:
        Unfitted: says why.
    """
    if not observations.finite:
        raise Unfitted("what goes through it on the calibration images isn't finite")
    if not observations.varies:
        raise Unfitted("its input never changes on the calibration images")


def write_finite(layer: nn.Layer, write: Callable[[], None]) -> None:
    """Have the weights of `layer` written; what isn't finite in its own dtype is taken back.

    Raises:
        Unfitted: if something wasn't.
    """
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    write()
    bad = not_finite(layer)
    if bad:
        layer.set_state_dict(before)
        raise Unfitted(f"its fitted {bad[0]!r} would not be finite")
