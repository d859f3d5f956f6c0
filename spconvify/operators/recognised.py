"""What the keys and shapes of a state dict say of one replaced convolution. Needs no Paddle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Shapes = Mapping[str, tuple[int, ...]]  # structured name -> shape of every parameter and buffer


class Recognised(Protocol):
    """One replaced convolution in a state dict."""

    @property
    def in_channels(self) -> int:
        """C of the convolution."""

    @property
    def out_channels(self) -> int:
        """L."""

    @property
    def keys(self) -> frozenset[str]:
        """Its keys, without the name of the site."""

    @property
    def settings(self) -> Any:
        """The operator's settings, as far as keys and shapes tell."""

    @property
    def permutations(self) -> frozenset[str]:
        """Those of its keys that hold a permutation."""


def join(site: str, key: str) -> str:
    """The structured name of `key` in the layer `site`."""
    return f"{site}.{key}" if site else key
