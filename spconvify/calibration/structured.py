"""Calibration batches of networks with several inputs: as a loader gives them, in the network's form."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from spconvify.data.inputs import check_unmasked
from spconvify.errors import ArgumentError
from spconvify.network.arguments import parameters_of, positional_names
from spconvify.network.batches import listed, pictures_in, with_pictures, with_shared
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs
from spconvify.network.structure import ends

Arrays = (np.ndarray, paddle.Tensor)
_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def in_form(batch: Any, model: Any, like: Inputs | None, where: str) -> Inputs | None:
    """A batch that holds more than pictures, as the network takes it; None for pictures alone.

    Of a dictionary for a network that takes pictures alone it is these.

    Args:
        batch: a dictionary of arrays or tensors, alone or with labels behind it; or a tuple or list of
            as many as the network has inputs.
        model: the network; None knows of no dictionaries.
        like: its inputs, as far as they are known.
        where: names the batch, for messages.

    Raises:
        ArgumentError: if it lacks an input, or one has another shape.
    """
    if isinstance(batch, (tuple, list)) and len(batch) and isinstance(batch[0], (Mapping, Inputs)):
        batch = batch[0]  # what follows are labels
    if isinstance(batch, Inputs):
        return batch
    if like is None or like.is_plain:
        if model is None or not isinstance(batch, Mapping):
            return None
        found = _of_mapping(batch, model, where)
        return found if like is None else _alone(found, where)
    if isinstance(batch, Mapping):
        return _filled(like, _by_name(batch, like, where), where)
    if isinstance(batch, (tuple, list)):
        parts = _in_order(batch, like, model)
        if parts is None:
            _check_labels_follow(batch, like, where)
        return None if parts is None else _filled(like, parts, where)
    return None


def labels_behind(batch: Any, whole: Inputs | None) -> Any:
    """The labels in a batch that `in_form` has read as `whole`; None where there are none."""
    if not isinstance(batch, (tuple, list)) or not len(batch):
        return None
    alone = whole is None or isinstance(batch[0], (Mapping, Inputs))
    inputs = 1 if whole is None or alone else len(whole.tensors)
    return batch[inputs] if len(batch) > inputs else None


def around(pictures: np.ndarray, like: Inputs | None, where: str) -> Any:
    """Pictures with the rest of the example beside them; alone where the network takes no more.

    Raises:
        ArgumentError: if it can't be told which input they are.
    """
    if like is None or like.is_plain:
        return pictures
    try:
        return with_pictures(like, pictures)
    except ArgumentError as error:
        raise ArgumentError(f"{where} holds pictures alone: ", error) from error


def _alone(batch: Inputs, where: str) -> Inputs:
    try:
        return Inputs.of(pictures_in(batch))
    except ArgumentError as error:
        raise ArgumentError(f"{where}: ", error) from error


def _of_mapping(batch: Mapping[Any, Any], model: Any, where: str) -> Inputs:
    """Nothing is known but the batch itself: as forward's arguments if it has such, else as one."""
    found = {key: _kept(value) for key, value in batch.items()}
    found = {key: value for key, value in found.items() if value is not None}
    parameters = parameters_of(model)
    if parameters is not None:
        names = parameters.parameters
        needed = [n for n, p in names.items() if p.default is p.empty and p.kind not in _SEVERAL]
        if needed and all(name in found for name in needed):  # a loader gives labels and the like too
            found = {name: value for name, value in found.items() if name in names}
    if not found:
        raise ArgumentError(f"{where} is a dictionary without an array; give the inputs by name")
    return _checked(Inputs.of(found, model), where)


def _kept(value: Any) -> Any:
    """Arrays, and dictionaries and lists of them; nothing else of what loaders collect."""
    if isinstance(value, Arrays):
        return value if "str" not in str(value.dtype) and "object" not in str(value.dtype) else None
    if isinstance(value, (Mapping, list, tuple)) and any(True for _ in ends(value, _is_array)):
        return value
    return None


def _by_name(batch: Mapping[Any, Any], like: Inputs, where: str) -> dict[str, Any]:
    given = dict(ends(batch, _is_array))
    found = {}
    for name in like.tensors:
        if name not in given:
            raise ArgumentError(
                f"{where} has no {name!r}, which the network takes; it has "
                + ", ".join(map(repr, given))
            )
        found[name] = given[name]
    return found


def _in_order(batch: Iterable[Any], like: Inputs, model: Any) -> dict[str, Any] | None:
    """Arrays by the inputs' names; None where they aren't these, as pictures with labels."""
    parts, tensors = list(batch), like.tensors
    if len(like.args) + len(like.kwargs) != len(tensors) or len(parts) < len(tensors):
        return None
    order = positional_names(model, len(tensors)) if like.kwargs else [t.name for t in like.args]
    if set(order) != set(tensors):
        return None
    fits = all(_fits(part, tensors[name]) for part, name in zip(parts, order))
    return dict(zip(order, parts)) if fits else None


def _check_labels_follow(batch: Sequence[Any], like: Inputs, where: str) -> None:
    """Refuse what stands behind the pictures if it seems to be one of the other inputs.

    Raises:
        ArgumentError: for numbers that are no labels, or that fit where the order isn't known.
    """
    behind = batch[1] if len(batch) > 1 else None
    others = [tensor for tensor in like.tensors.values() if len(tensor.shape) < 4]
    if isinstance(behind, (list, tuple)) and not any(isinstance(part, Arrays) for part in behind):
        with contextlib.suppress(ValueError):  # boxes, of which each picture has its own number
            behind = np.asarray(behind)
    is_batch = isinstance(batch[0], Arrays) and len(batch[0].shape) == 4
    if not (others and is_batch and isinstance(behind, Arrays)) or len(behind.shape) > 3:
        return
    array = _array(behind)
    by_name_only = len(batch) >= len(like.tensors) and any(_fits(behind, other) for other in others)
    are_no_labels = array.dtype.kind == "f" and not np.array_equal(array, np.floor(array))
    if are_no_labels or by_name_only:
        raise ArgumentError(
            f"{where} is a tuple, and what stands behind its pictures, {array.dtype} "
            f"{'x'.join(map(str, array.shape))}, is neither labels nor what the network takes in this "
            f"order, {listed(like)}; give a dictionary of the inputs by name, and labels behind it"
        )


def _fits(part: Any, tensor: InputTensor) -> bool:
    if not isinstance(part, Arrays) or len(part.shape) != len(tensor.shape):
        return False
    is_float = "float" in str(part.dtype)
    if isinstance(part, np.ndarray) and part.dtype.kind not in "biuf":
        return False  # names
    alike = is_float == (tensor.dtype is None or "float" in tensor.dtype)
    return alike and (len(tensor.shape) == 4 or tuple(part.shape[1:]) == tensor.sizes[1:])


def _filled(like: Inputs, values: Mapping[str, Any], where: str) -> Inputs:
    def fill(tensor: InputTensor) -> InputTensor:
        array = _array(values[tensor.name])
        if array.ndim != len(tensor.shape):
            raise ArgumentError(
                f"{where}: {tensor.name!r} has the shape {list(array.shape)}, and the network takes one "
                f"like {list(tensor.sizes)}"
            )
        shared = tensor.shared and array.shape[:1] == tensor.sizes[:1]
        return replace(tensor, shape=tuple(array.shape), example=array, shared=shared)

    return _checked(with_shared(like).changed(fill), where)


def _checked(inputs: Inputs, where: str) -> Inputs:
    """With arrays that are finite, and as many rows of each as there are pictures."""

    def as_array(tensor: InputTensor) -> InputTensor:
        if tensor.example is None:
            return tensor
        check_unmasked(tensor.example, f"{where}: {tensor.name!r}")
        array = _array(tensor.example)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ArgumentError(
                f"{where}: {tensor.name!r} holds NaN or infinity; leave those images out"
            )
        return replace(tensor, example=array)

    found = inputs.changed(as_array)
    count = next((t.sizes[0] for t in found.tensors.values() if len(t.shape) == 4), None)
    for name, tensor in found.tensors.items():
        if count is None or not tensor.shape or tensor.shared:
            continue
        if tensor.sizes[0] not in (count, 1):
            raise ArgumentError(f"{where}: {name!r} has {tensor.sizes[0]} rows for {count} images")
    return found


def _array(value: Any) -> np.ndarray:
    if isinstance(value, paddle.Tensor):
        return (value.astype("float32") if "float" in str(value.dtype) else value).numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _is_array(value: Any) -> bool:
    return isinstance(value, Arrays)
