"""Whether a network gives the same for the same: what doesn't can't be compared with its fused form."""

from __future__ import annotations

import paddle
from paddle import nn

from spconvify.copying import copied
from spconvify.deploy.equality import Outputs, arrays, differences
from spconvify.errors import ConversionError

_SAME = 1e-5  # of an output's scale: threads may add in another order


def check_deterministic(model: nn.Layer, image: paddle.Tensor, expected: Outputs) -> None:
    """Refuse a network whose next runs give something else than `expected`, its outputs for `image`.

    Raises:
        ConversionError: if so; fusing or the engine isn't to blame then.
    """
    model = copied(model)  # each run may change what it keeps
    runs = [expected, *(arrays(model(image)) for _ in range(2))]
    error = max(max(differences(runs[0], run).values(), default=0.0) for run in runs[1:])
    if not error <= _SAME:
        raise ConversionError(
            "the network isn't deterministic: its outputs for one input differ from run to run by "
            f"{error:.1e} of their scale, so nothing can be compared with them; in eval mode leave out "
            "dropout (training=True), random operators, and what each run changes"
        )
