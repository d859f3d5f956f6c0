"""Labels that can be: whole numbers, one for each image, of classes that the network has."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.errors import ArgumentError

_MOST_CLASSES = 2**31  # as many as no network has; the integers behind it needn't fit into int64


def check_labels(
    labels: Any, images: int, where: str, classes: int | None = None, first: int = 0
) -> np.ndarray:
    """The labels as int64 (N,); floats that are whole numbers are taken.

    Args:
        labels: (N,) or (N, 1).
        images: N, how many there must be.
        where: names them in the error, as "eval_data: batch 3".
        classes: how many the network tells apart, if that is known.
        first: the number of the first label, where these are a part of more.

    Raises:
        ArgumentError: for masked ones, text, NaN, 1.5, a negative label, one beyond the classes, or
            another number of them; it names the value and its place.
    """
    if np.ma.is_masked(labels):
        raise ArgumentError(f"{where}: labels are masked; leave those images out, or fill them")
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ArgumentError(
            f"{where}: labels are lists of several lengths; give one whole number for each image"
        ) from error
    if array.dtype.kind not in "iuf":
        raise ArgumentError(
            f"{where}: labels of dtype {array.dtype} aren't numbers; give each class a number from 0 on"
        )
    if array.size != images or (array.ndim > 1 and array.shape[0] != images):
        shape = "x".join(map(str, array.shape)) or "a scalar"
        raise ArgumentError(
            f"{where}: the labels are {shape} for {images} images; give one whole number for each image"
        )
    flat = array.reshape(-1)
    bad = ~np.isfinite(flat) | (flat != np.floor(flat)) if flat.dtype.kind == "f" else flat != flat
    problem = "isn't a whole number"
    if not bad.any():
        bad, problem = flat < 0, "is negative; leave such images out"
        if not bad.any() and classes is None:
            bad, problem = flat >= _MOST_CLASSES, "is the number of no class"
        if not bad.any() and classes is not None:
            bad, problem = (
                flat >= classes,
                f"is beyond the network's {classes} classes (0 to {classes - 1})",
            )
    if bad.any():
        place = int(np.argmax(bad))
        raise ArgumentError(f"{where}: label {first + place} is {flat[place].item()!r}, which {problem}")
    return flat.astype(np.int64)
