"""A figure that the user computes: a function of the network, on the original and the converted one."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.caution import warn
from spconvify.errors import ArgumentError
from spconvify.network.run import evaluating
from spconvify.network.untouched import untouched
from spconvify.printable import said

Figures = dict[str, float]  # by name
_SHOWN = 3  # of the weights that were changed


class MetricWarning(UserWarning):
    """A metric was computed, and may not be what it seems."""


def is_metric(data: Any) -> bool:
    """Whether `eval_data` is a function of the network; a DataLoader can be called, too."""
    return callable(data) and not isinstance(data, nn.Layer) and not hasattr(data, "__iter__")


@dataclass(frozen=True)
class Metric:
    """A function of a network that gives a number, or several by name, such as mIoU, mAP or CER.

    Attributes:
        function: called with the network in eval mode, without gradients.
        name: of the only number; of the function in messages.
    """

    function: Callable[[nn.Layer], Any]
    name: str

    @classmethod
    def of(cls, function: Callable[[nn.Layer], Any]) -> Metric:
        """By the function's own name."""
        return cls(function, getattr(function, "__name__", None) or type(function).__name__)

    def of_network(self, network: nn.Layer, which: str) -> Figures:
        """What the function says of a network, which comes back in its mode and as it was.

        Args:
            network: the network.
            which: names it in messages: "the original".

        Raises:
            ArgumentError: if the function fails, gives something else than finite numbers, or changes
                the network's weights.

        Warns:
            MetricWarning: if it leaves the network in training mode.
        """
        before = _checksums(network)
        with untouched(network), evaluating(network), paddle.no_grad():
            given = self._called(network, which)
            left_training = any(layer.training for layer in network.sublayers(include_self=True))
            self._check_weights(before, _checksums(network), which)
        if left_training:
            warn(
                f"metric {self.name!r} left {which} in training mode; it has to compute in eval mode, "
                "which the network is in when it is called",
                MetricWarning,
            )
        return self._figures(given)

    def _called(self, network: nn.Layer, which: str) -> Any:
        try:
            return self.function(network)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit of a script that ends itself, for one
            lines = said(error).strip().splitlines()
            text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
            raise ArgumentError(f"metric {self.name!r} failed on {which}: {text}") from error

    def _check_weights(self, before: Mapping[str, int], after: Mapping[str, int], which: str) -> None:
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise ArgumentError(
                f"metric {self.name!r} changes {which}: {', '.join(map(repr, names[:_SHOWN]))}{more}; a "
                "metric has to leave weights and statistics as they are, and the network in eval mode"
            )

    def _figures(self, given: Any) -> Figures:
        named = given if isinstance(given, Mapping) else {self.name.rpartition(":")[2]: given}
        if not named:
            raise ArgumentError(f"metric {self.name!r} gives no number; return one, or a dict of some")
        return {self._key(key): self._number(value, key) for key, value in named.items()}

    def _key(self, key: Any) -> str:
        if not isinstance(key, str) or not key.strip():
            raise ArgumentError(
                f"metric {self.name!r} gives a number called {key!r}; return a dict of texts to numbers"
            )
        return key.strip()

    def _number(self, value: Any, key: str) -> float:
        if isinstance(value, (paddle.Tensor, np.ndarray, np.generic)) and value.size == 1:
            value = value.item()
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ArgumentError(
                f"metric {self.name!r} gives {type(value).__name__} for {key!r}; return a number, or a "
                "dict of texts to numbers"
            )
        try:
            number = float(value)
        except (OverflowError, ValueError) as error:  # a whole number that no float is as large as
            raise ArgumentError(
                f"metric {self.name!r} gives a number for {key!r} that is too large for a float"
            ) from error
        if not math.isfinite(number):
            raise ArgumentError(f"metric {self.name!r} gives {value} for {key!r}, which isn't finite")
        return number


def _checksums(network: nn.Layer) -> dict[str, int]:
    """Of every parameter and buffer."""
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    return {
        name: zlib.crc32(tensor.numpy().tobytes())
        for name, tensor in tensors.items()
        if tensor._is_initialized()
    }
