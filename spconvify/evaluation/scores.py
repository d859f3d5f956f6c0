"""Which output of a network holds the scores of the classes that labels name: the only one that can."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import paddle

from spconvify.caution import warn
from spconvify.errors import ArgumentError

# What people call the scores, where the outputs have names.
_NAMES = re.compile(r"(logits?|out(puts?)?|pred.*|cls.*|class.*|scores?.*|probs?.*)$", re.IGNORECASE)


class AccuracyWarning(UserWarning):
    """What somebody who reads a top-1 accuracy should know."""


class Scores:
    """Finds the scores among a network's outputs, the same ones in every batch.

    Args:
        largest: the largest label of all images, not of a batch alone.
    """

    def __init__(self, largest: int):
        self._largest = largest
        self._name: str | None = None

    def of(self, outputs: Mapping[str, paddle.Tensor], images: int) -> np.ndarray:
        """Scores of classes (N, K) for so many images.

        Raises:
            ArgumentError: if no output can be some, or several can and nothing tells them apart.

        Warns:
            AccuracyWarning: says which output counts, where several could.
        """
        found = {name: tensor for name, tensor in outputs.items() if _can_be(tensor, images)}
        if not found:
            raise ArgumentError(
                "top-1 accuracy needs scores of classes (N, K), and the network gives "
                f"{_listed(outputs) or 'no tensor'}; leave the labelled images out"
            )
        if self._name not in found:
            self._name = self._choose(found)
        return found[self._name].astype("float32").numpy()

    def _choose(self, found: Mapping[str, paddle.Tensor]) -> str:
        if len(found) == 1:
            return next(iter(found))
        names = self._likely({name: tensor.shape[1] for name, tensor in found.items()})
        if len(names) != 1:
            raise ArgumentError(
                "top-1 accuracy needs one output with the scores of the classes (N, K), and the network "
                f"gives {_listed(found)}; give a network that returns the scores alone, or leave the "
                "labelled images out"
            )
        warn(
            f"top-1 accuracy is of the output {names[0]!r}; the network gives {_listed(found)}",
            AccuracyWarning,
        )
        return names[0]

    def _likely(self, classes: Mapping[str, int]) -> list[str]:
        """Those that are left after the labels, the names and the order have been asked."""
        names = [name for name in classes if classes[name] > self._largest] or list(classes)
        for fits in (
            lambda name: _NAMES.match(name.rsplit(".", 1)[-1]),
            lambda name: classes[name] == self._largest + 1,
        ):
            names = list(filter(fits, names)) or names
            if len(names) == 1:
                return names
        in_order = all(name.isdecimal() for name in names)
        if in_order and len({classes[name] for name in names}) == 1:
            return names[:1]  # as the heads that only help in training come behind the network's own
        return names


def _can_be(tensor: paddle.Tensor, images: int) -> bool:
    shape = list(tensor.shape)
    return len(shape) == 2 and shape[0] == images and shape[1] > 1 and "float" in str(tensor.dtype)


def _listed(outputs: Mapping[str, paddle.Tensor]) -> str:
    named = ((f"{name!r} " if name else "", list(tensor.shape)) for name, tensor in outputs.items())
    return ", ".join(f"{name}{shape}" for name, shape in named)
