"""Whether a network gives the same for the same: what doesn't can't be compared with its fused form."""

from __future__ import annotations

import paddle
from paddle import nn

from spconvify.deploy.equality import TOLERANCE, differences
from spconvify.errors import ConversionError
from spconvify.network.inputs import Sample, forward
from spconvify.network.outputs import arrays
from spconvify.network.untouched import untouched


def check_deterministic(model: nn.Layer, image: Sample | paddle.Tensor) -> None:
    """Refuse a network whose second run on an input gives something else than its first.

    The two are one after the other, each from where the last one left the random numbers and whatever
    the network keeps; afterwards all of that is as it was.

    Raises:
        ConversionError: if they differ; neither fusing nor an engine is to blame then.
    """
    with untouched(model):
        first, second = (arrays(forward(model, image)) for _ in range(2))
    error = max(differences(first, second).values(), default=0.0)
    if not error <= TOLERANCE:
        raise ConversionError(
            "the network isn't deterministic: its outputs for one input differ from run to run by "
            f"{error:.1e} of their scale, so nothing can be compared with them; in eval mode leave out "
            "dropout (training=True), random operators, and what each run changes"
        )
