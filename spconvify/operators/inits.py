"""How new weights start: the inits by name. Needs no Paddle.

To add one: an `Init` (in a module, anywhere), and a line in `_INITS` or a call of `register`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spconvify.errors import ArgumentError
from spconvify.operators.base import Operator

if TYPE_CHECKING:
    from spconvify.calibration.task import LayerFit, Task

DEFAULT_INIT = "copy"


class Init:
    """One way to start the weights of new layers.

    Attributes:
        name: what ``init=`` and ``--init`` take.
        needs_images: whether the layers are fitted to calibration images, one after the other.
        keeps_weights: whether the converted network is meant to do what the original one does.
    """

    name = ""
    needs_images = False
    keeps_weights = True

    def start(self, operator: Operator, layer: Any, conv: Any) -> None:
        """Give the new `layer` its first weights, from the convolution whose place it takes."""
        operator.copy(layer, conv)

    def fit(self, operator: Operator, task: Task) -> LayerFit:
        """Where `needs_images`: fit one layer that has its first weights.

        Raises:
            Unfitted: if it has to keep those.
        """
        return operator.fit(task)


class Copy(Init):
    """What the operator makes of the convolution's own weights."""

    name = "copy"


class LeastSquares(Init):
    """Copied, then fitted to what the original convolution does on the calibration images."""

    name, needs_images = "lstsq", True


class Untouched(Init):
    """Paddle's random weights, for training from scratch."""

    name, keeps_weights = "none", False

    def start(self, operator: Operator, layer: Any, conv: Any) -> None:
        """Leave them as they are."""


_INITS: dict[str, Init] = {init.name: init for init in (Copy(), LeastSquares(), Untouched())}


def register(init: Init) -> Init:
    """Make an init known under its name."""
    _INITS[init.name] = init
    return init


def names() -> tuple[str, ...]:
    """All of them."""
    return tuple(_INITS)


def find(name: str) -> Init:
    """The init of that name.

    Raises:
        ArgumentError: names those that there are.
    """
    if name not in _INITS:
        raise ArgumentError(f"init {name!r} is unknown; use one of: {', '.join(_INITS)}")
    return _INITS[name]


def check(name: str, calibration: Any) -> Init:
    """The init, unless it lacks its images, or would leave those that are given unused.

    Raises:
        ArgumentError: with the known names, or the init to use.
    """
    init = find(name)
    if init.needs_images and calibration is None:
        raise ArgumentError(f'init "{name}" needs calibration images; give calibration=batches')
    if not init.needs_images and calibration is not None:
        raise ArgumentError(f'init {name!r} uses no calibration images; use init "lstsq" with them')
    return init
