"""What a run's checkpoint remembers of its data and networks, so that it isn't taken up with others."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.checkpoint.apply import state_of
from spconvify.files.regular import open_regular
from spconvify.network.inputs import Inputs
from spconvify.recovery.arrays import length_of

_ROWS = 256  # of an array at a time: one that is mapped from a disk needn't fit into memory
_ITEMS, _TWICE = 1000, 64  # of a dataset: read, and read again to see whether chance is at work
_WHOLE = 2 << 30  # bytes of a folder's files that are read; of more, a part of each file
_PART = 1 << 14


def checksum(value: Any, start: int = 0) -> int:
    """Of arrays, tensors and plain values, alone or in lists, tuples and dictionaries: all of them."""
    if isinstance(value, paddle.Tensor):
        value = value.astype("float32").numpy() if "bfloat16" in str(value.dtype) else value.numpy()
    if isinstance(value, Inputs):
        value = {name: tensor.array() for name, tensor in value.tensors.items()}
    if isinstance(value, Mapping):
        value = [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)):
        start = zlib.crc32(f"{len(value)} parts".encode(), start)
        for part in value:
            start = checksum(part, start)
        return start
    array = np.asarray(value)
    if array.dtype.hasobject:
        return zlib.crc32(repr(type(value)).encode(), start)
    start = zlib.crc32(f"{array.dtype.str}{array.shape}".encode(), start)
    rows = array.reshape(1, -1) if array.ndim < 2 else array
    for first in range(0, len(rows), _ROWS):
        start = zlib.crc32(np.ascontiguousarray(rows[first : first + _ROWS]).tobytes(), start)
    return start


def of_dataset(dataset: Any) -> str:
    """A map-style dataset: its own `fingerprint()`, or a thousand items that lie evenly in it.

    Items that chance changes, so that they are others when they are read again, can't be compared.
    """
    text = f"a {type(dataset).__name__} of {len(dataset)} images"
    own = getattr(dataset, "fingerprint", None)
    if callable(own):
        return f"{text} ({own()})"
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), _ITEMS)).astype(int)).tolist()
    found = [checksum(dataset[row]) for row in rows]
    again = range(0, len(rows), max(1, len(rows) // _TWICE))
    if any(checksum(dataset[rows[index]]) != found[index] for index in again):
        return text
    return f"{text} ({checksum(found):08x})"


def of_batches(batches: Any) -> str:
    """What is gone through as it comes: a list's arrays, a loader's dataset, or else the first batch."""
    length = length_of(batches)
    count = "" if length is None else f"{length} "
    if isinstance(batches, (list, tuple)):
        return f"{count}batches ({checksum(batches):08x})"
    text = f"a {type(batches).__name__} of {count}batches"
    dataset: Any = getattr(batches, "dataset", None)
    if hasattr(dataset, "__getitem__") and length_of(dataset):
        return f"{text} from {of_dataset(dataset)}"
    first, second = ([checksum(batch) for batch, _ in zip(batches, range(1))] for _ in range(2))
    return f"{text} ({checksum(first):08x})" if first == second else text


def of_augment(augment: Callable[..., Any] | None, shape: Sequence[int], seed: int) -> str:
    """A function of images: what it does to noise; its name, if it does something else each time."""
    if augment is None:
        return "none"
    noise = np.random.default_rng(0).random((8, *shape[1:]), dtype="float32")
    first, second = (augment(noise.copy(), np.random.default_rng(seed)) for _ in range(2))
    if checksum(first) == checksum(second):
        return f"{checksum(first):08x}"
    return getattr(augment, "__qualname__", type(augment).__name__)


def of_files(files: Iterable[Path], folder: Path) -> int:
    """Names, sizes and contents; of a folder of many gigabytes, a start, middle and end of each file."""
    files = list(files)
    sizes = [file.stat().st_size for file in files]
    whole, value = sum(sizes) <= _WHOLE, 0
    for file, size in zip(files, sizes):
        value = checksum([str(file.relative_to(folder)), size], value)
        with open_regular(file) as content:
            if whole:
                value = zlib.crc32(content.read(), value)
                continue
            for place in (0, size // 2, max(0, size - _PART)):
                content.seek(place)
                value = zlib.crc32(content.read(_PART), value)
    return value


def of_network(network: nn.Layer, weights: Mapping[str, np.ndarray] | None = None) -> int:
    """The weights and buffers of a network, or `weights` in their place."""
    return checksum(sorted((state_of(network)[0] if weights is None else weights).items()))


def of_training(network: nn.Layer) -> int:
    """What of it is frozen, and which layers are in training mode."""
    modes = [(name, layer.training) for name, layer in network.named_sublayers(include_self=True)]
    frozen = [key for key, parameter in network.named_parameters() if parameter.stop_gradient]
    return checksum([modes, frozen])
