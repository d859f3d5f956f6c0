"""Forms: equal ways to lay out one folded layer, because engines differ in what they do fast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from paddle import nn

from spconvify.network.replacement import FusedReplacement


class RunsForms(Protocol):
    """What decides between forms: what an engine says of them, see `spconvify.engines.base.Engine`."""

    def preferred_forms(self, spatial_scattered: bool, pointwise_scattered: bool) -> Sequence[str]:
        """The names of those that are fastest there in most layers, the best first."""

    def runs_form(self, form: str) -> bool:
        """Whether it can run layers in the form of that name."""


class Forms(ABC):
    """How an operator's layers are deployed.

    A folded layer is whatever `fold` gives: the layer's arrays with every BatchNorm in them.
    """

    @abstractmethod
    def fold(self, layer: Any, norm: Any = None) -> Any:
        """Fold the layer's own BatchNorms, and `norm` behind it if there is one."""

    @abstractmethod
    def check(self, form: str) -> None:
        """Refuse a form that no layer has.

        Raises:
            ArgumentError: with the names of all forms.
        """

    @abstractmethod
    def candidates(self, folded: Any, engine: RunsForms | None = None) -> list[str]:
        """Names of all forms that can express the layer, and that `engine` can run."""

    @abstractmethod
    def default(self, folded: Any, engine: RunsForms) -> str:
        """The form to take for an engine without having measured."""

    @abstractmethod
    def build(self, folded: Any, form: str) -> FusedReplacement:
        """The layer in the form of that name."""

    @abstractmethod
    def dense(self, layer: Any) -> nn.Conv2D:
        """The convolution that the layer took the place of, with a bias as folding gives it one."""

    @abstractmethod
    def timing_key(self, layer: Any) -> str:
        """Everything about the layer that decides how long its forms take, but the size of its input."""

    def is_scattered(self, layer: Any) -> bool:
        """Whether the layer takes its input channels in an order of its own."""
        return False

    def wanted_order(self, layer: Any) -> np.ndarray:
        """(C,) the order of the input channels in which nothing has to be gathered."""
        return np.arange(layer.in_channels)

    def take_in_order(self, layer: Any, order: np.ndarray) -> None:
        """Change the layer itself, for inputs whose channels come in `order` from now on."""
        raise NotImplementedError

    def outputs(self, layer: Any) -> Sequence[Any] | None:
        """Everything in the layer with an entry for every output channel; None if those can't change
        their order."""
        return None
