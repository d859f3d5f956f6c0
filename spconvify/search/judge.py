"""How far a network's outputs are from the original's, on images that no fit has seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError
from spconvify.evaluation.comparable import Comparable
from spconvify.network.copying import copied
from spconvify.network.edges import walk
from spconvify.network.norms import set_value
from spconvify.network.run import trying

# Of the softmax: at 4 the divergence ranks networks as their accuracy does (rank correlation .98 over
# 27 networks), at 1 the few images that are wrong anyway decide.
TEMPERATURE = 4.0


class Judge:
    """Compares with the original on some images.

    Args:
        original: the network.
        images: those that are left out of every fit.
    """

    def __init__(self, original: nn.Layer, images: CalibrationImages):
        self._original, self._images = original, images
        self._probe: nn.Layer | None = None

    def distance(self, network: nn.Layer) -> float:
        """The divergence of (N, K) scores of classes; the relative squared error of other outputs; of
        whole numbers, as the classes of an argmax, the share that isn't the same.

        Of several outputs the mean. Infinite where a network's output isn't a number and the
        original's is.

        Raises:
            ArgumentError: if the original has no output that could be compared.
        """
        comparable = Comparable(self._original, network)
        sums: dict[str, _Sum] = {}
        with trying(self._original), trying(network):
            for batch in self._images:
                before, after = comparable(batch)
                for name, wanted in before.items():
                    if name in after and after[name].shape == wanted.shape:
                        sums.setdefault(name, _Sum()).add(wanted, after[name])
        found = [one.distance for one in sums.values() if one.is_known]
        if not found:
            raise ArgumentError(
                "networks are compared by their outputs, and this one has none that could be: no "
                "tensor, an empty one, or nothing that is a number"
            )
        mean = float(np.mean(found))
        return mean if mean == mean else math.inf

    def with_kernel(self, name: str, kernel: np.ndarray, bias: np.ndarray) -> float:
        """The distance of the original with another kernel (L, C, H, W) and bias (L,) in one layer."""
        if self._probe is None:
            self._probe = copied(self._original)
        layers = {edge.name: edge.layer for edge in walk(self._probe)}
        conv: Any = layers[name]
        weight = conv.weight.clone()
        own = None if conv.bias is None else conv.bias.clone()
        with paddle.no_grad():
            set_value(conv.weight, kernel)
            if conv.bias is not None:
                set_value(conv.bias, bias)
        handle = None
        if conv.bias is None:
            shift = _as_map(bias, conv)
            handle = conv.register_forward_post_hook(lambda _, __, output: output + shift)
        try:
            return self.distance(self._probe)
        finally:
            if handle is not None:
                handle.remove()
            conv.weight.set_value(weight)
            if own is not None:
                conv.bias.set_value(own)


class _Sum:
    """What is summed up over the images of one output."""

    def __init__(self) -> None:
        self._divergence = self._missed = self._square = 0.0
        self._total: Any = 0.0
        self._rows, self._numbers, self._is_scores = 0, 0, True
        self._unequal: int | None = None  # of whole numbers

    def add(self, wanted: np.ndarray, given: np.ndarray) -> None:
        """Take in a batch of both networks' outputs; what isn't finite in the original's has no say."""
        if wanted.dtype.kind != "f":
            self._unequal = (self._unequal or 0) + int((wanted != given).sum())
            self._numbers += wanted.size
            return
        finite = np.isfinite(wanted)
        self._numbers += int(finite.sum())
        self._is_scores &= wanted.ndim == 2 and wanted.shape[1] > 1
        with np.errstate(invalid="ignore", over="ignore"):  # of networks that are broken
            if self._is_scores:
                first, second = _log_softmax(wanted), _log_softmax(given)
                share = np.exp(first)
                terms = np.where(share > 0, share * (first - second), 0.0)
                self._divergence += float(terms.sum()) * TEMPERATURE**2
            wanted, given = np.where(finite, wanted, 0.0), np.where(finite, given, 0.0)
            self._missed += float(np.square(wanted - given).sum())
            self._square += float(np.square(wanted).sum())
            self._total = self._total + wanted.sum(0)
        self._rows += len(wanted)

    @property
    def is_known(self) -> bool:
        """Whether there was anything to compare."""
        return self._numbers > 0

    @property
    def distance(self) -> float:
        """Of all of them."""
        if self._unequal is not None:
            return self._unequal / self._numbers
        if self._is_scores:
            return self._divergence / max(1, self._rows)
        power = self._square - float(np.square(self._total).sum()) / max(1, self._rows)
        return self._missed / max(power, 1e-30)


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """Of scores, or of probabilities, which are a softmax of scores already."""
    scores = np.where(np.isnan(scores), -np.inf, scores)
    if (scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-3):
        scores = np.log(np.maximum(scores, 1e-12))
    scores = scores / TEMPERATURE
    scores = scores - scores.max(1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def _as_map(bias: np.ndarray, conv: Any) -> paddle.Tensor:
    shape = [1, -1, 1, 1] if conv._data_format == "NCHW" else [1, 1, 1, -1]
    return paddle.to_tensor(bias, dtype="float64").astype(conv.weight.dtype).reshape(shape)
