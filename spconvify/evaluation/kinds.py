"""What the outputs of a network are to a comparison: told by their shapes and values, or by the user."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Union

import numpy as np

from spconvify.errors import ArgumentError

if TYPE_CHECKING:
    from spconvify.network.outputs import Frame

# By the name that a user gives; what is shown beside the figures.
KINDS = {
    "classes": "scores of classes",
    "steps": "classes of steps",
    "map": "class map",
    "mask": "mask",
    "image": "image",
    "values": "values",
    "labels": "whole numbers",
}
Kinds = Union[str, Mapping[str, str], None]  # of every output, or by an output's name; None: by itself
_SMALLEST = 8  # times smaller than the input, a map is of features or boxes, rather than of classes


def check_kinds(kinds: Kinds) -> None:
    """Refuse kinds that there aren't.

    Raises:
        ArgumentError: names the kind, and those that there are.
    """
    if kinds is not None and not isinstance(kinds, (str, Mapping)):
        raise ArgumentError(f"kinds is a {type(kinds).__name__}; give a kind, or output name -> kind")
    for kind in _said(kinds):
        if kind not in KINDS:
            raise ArgumentError(f"kind {kind!r} is unknown; use {', '.join(KINDS)}")


def _said(kinds: Kinds) -> Iterable[str]:
    return kinds.values() if isinstance(kinds, Mapping) else [kinds] if kinds is not None else []


def said_kinds(
    kinds: Kinds, outputs: Mapping[str, np.ndarray], images: int, left_out: Collection[str] = ()
) -> dict[str, str]:
    """What the user said of each output: name -> kind.

    Args:
        kinds: the same as the user said it.
        outputs: those that are compared.
        images: how many they are of.
        left_out: names of those that aren't compared, since the images decide their size.

    Raises:
        ArgumentError: for a name that is no output's, and a kind that an output can't be.
    """
    check_kinds(kinds)
    if kinds is None:
        return {}
    named = dict.fromkeys(outputs, kinds) if isinstance(kinds, str) else dict(kinds)
    for name, kind in named.items():
        if name in left_out:
            raise ArgumentError(
                f"kinds: the images decide how large the output {name!r} is, so it isn't compared; "
                f"{', '.join(map(repr, outputs))} is"
            )
        if name not in outputs:
            there = f"it gives {', '.join(map(repr, outputs)) or 'nothing'}"
            if list(outputs) == [""]:
                there = "its only one has no name: give the kind alone"
            raise ArgumentError(f"kinds: the network has no output {name!r}; {there}")
        problem = _impossible(kind, outputs[name], images)
        if problem:
            called = f"output {name!r}" if name else "the output"
            raise ArgumentError(f"kinds: {called} can't be {kind!r}: {problem}")
    return named


def _impossible(kind: str, value: np.ndarray, images: int) -> str:
    """Why values of so many images can't be of this kind; empty if they can."""
    dimensions = {"classes": (2,), "steps": (3,), "map": (3, 4, 5)}.get(kind)
    if dimensions and value.ndim not in dimensions:
        return f"its shape is {value.shape}"
    if dimensions and kind != "steps" and len(value) != images:
        return f"its shape is {value.shape} for {images} images"
    if value.dtype.kind != "f" and (dimensions or kind == "mask"):
        return f"its numbers are {value.dtype}, and no scores"
    if kind == "mask" and not probabilities(value):
        return "its values aren't all between 0 and 1"
    return ""


def probabilities(value: np.ndarray) -> bool:
    """Whether all numbers are between 0 and 1."""
    return bool(((value >= 0) & (value <= 1)).all())


def shared_out(value: np.ndarray, axis: int) -> bool:
    """Whether the numbers along an axis are shares of one, as behind a softmax."""
    if value.shape[axis] < 2 or not value.size or not probabilities(value):
        return False
    return bool((np.abs(value.sum(axis) - 1.0) < 1e-2).all())


def possible_kinds(value: np.ndarray, frame: Frame, pyramid: bool = False) -> list[str]:
    """What an output can be, the likeliest first: each but the last has to prove it by its values.

    Scores of classes for each pixel and images can have the same shapes. An output with the input's own
    few channels and its size, or a multiple of it, is taken for an image, unless its values are shares
    of one. Other maps are of classes. Not those more than eight times smaller than the input, nor those
    of several sizes, as detectors have: these are values. One channel is a mask where its values are
    probabilities that mostly are near 0 or near 1, else an image.

    What has no row for each image is values: nothing says what of it belongs to which one.

    Args:
        value: the original's output, of one batch or more.
        frame: the input.
        pyramid: whether there are such maps of several sizes.
    """
    shape = value.shape
    if value.dtype.kind != "f":
        return ["values" if value.dtype.kind == "c" else "labels"]
    if not has_rows(shape, frame):
        return ["values"]
    if len(shape) == 3:
        return ["steps", "mask", "values"] if _of_pixels(shape, frame) else ["steps", "values"]
    kind = frame.kind_of(shape)
    if len(shape) != 4:
        return [kind]
    axis = frame.class_axis(shape)
    if shape[axis] == 1:
        return ["mask", "image"]
    height, width = _sizes(shape, axis)
    if len(frame.shape) != 4 or (height, width) == (1, 1):
        return [kind]
    own = _sizes(frame.shape, 1 if frame.layout == "NCHW" else 3)
    if kind == "image" and not (height % own[0] or width % own[1]):
        return ["map", "image"]
    small = height * _SMALLEST < own[0] or width * _SMALLEST < own[1]
    return ["map", "mask", "values"] if pyramid or small else ["mask", "map"]


def has_rows(shape: Sequence[int], frame: Frame) -> bool:
    """Whether an output has a row for each image; (steps, N, K) has it in the second axis."""
    return frame.shape[0] in (shape[:2] if len(shape) == 3 else shape[:1])


def is_pyramid(outputs: Iterable[np.ndarray], frame: Frame) -> bool:
    """Whether there are maps (N, K, H, W), K > 1, of several sizes."""
    maps = (v.shape for v in outputs if v.ndim == 4 and v.dtype.kind == "f")
    sizes = {_sizes(s, frame.class_axis(s)) for s in maps if s[frame.class_axis(s)] > 1}
    return len(sizes) > 1


def _sizes(shape: Sequence[int], channels: int) -> tuple[int, int]:
    return (shape[2], shape[3]) if channels == 1 else (shape[1], shape[2])


def _of_pixels(shape: Sequence[int], frame: Frame) -> bool:
    """Whether (N, H, W) has the input's height and width."""
    own = _sizes(frame.shape, 1 if frame.layout == "NCHW" else 3) if len(frame.shape) == 4 else ()
    return tuple(shape[1:]) == tuple(own)
