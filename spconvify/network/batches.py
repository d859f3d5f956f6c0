"""Batches of a network's input: pictures alone, or with what else it takes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Union

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs, Sample
from spconvify.network.placement import as_input

Batch = Union[np.ndarray, Inputs]  # pictures (N, C, H, W), or `Inputs` whose every tensor has an example

_CHANNELS = (1, 3)  # of pictures as they lie in files
# What Paddle's detectors take beside the picture: its size before, and how it was scaled.
SIZES, FACTORS = ("im_shape", "im_size"), ("scale_factor",)


def pictures_of(inputs: Inputs) -> InputTensor:
    """The input that pictures go to: the one float tensor of 4 dimensions.

    Of several it is the one with 1 or 3 channels; of a network with a single input that one, whatever
    its shape.

    Raises:
        ArgumentError: if there is none, or several could be; it names them.
    """
    if inputs.is_plain:
        return inputs.first
    images = [t for t in inputs.tensors.values() if len(t.shape) == 4 and t.dtype is None]
    if len(images) > 1:
        images = [t for t in images if _channels(t) in _CHANNELS] or images
    if len(images) == 1:
        return images[0]
    if not images:
        raise ArgumentError(
            f"no input of the network takes pictures, (N, C, H, W) of floats: it has "
            f"{listed(inputs)}; give batches that hold all of them, from Python"
        )
    names = " and ".join(repr(tensor.name) for tensor in images)
    raise ArgumentError(
        f"pictures could go to {names} alike; give batches that hold both, from Python, as a "
        "DataLoader of dictionaries does"
    )


def with_pictures(inputs: Inputs, pictures: np.ndarray) -> Inputs:
    """`inputs` with these pictures, and everything else repeated to as many.

    What has no example is a random number, the same one for every picture.

    Raises:
        ArgumentError: if no input, or more than one, takes pictures.
    """
    sized = with_picture_shape(inputs, tuple(pictures.shape))
    own, seeds = pictures_of(inputs), inputs._seeds(0)

    def filled(tensor: InputTensor) -> InputTensor:
        if tensor.name == own.name:
            return replace(tensor, example=pictures)
        if tensor.example is None:
            one = replace(tensor, shape=(1, *tensor.shape[1:])) if tensor.shape else tensor
            return replace(tensor, example=one.values(seeds[tensor.name]))
        return tensor

    return sized.changed(filled)


def with_picture_shape(inputs: Inputs, shape: tuple[int, ...]) -> Inputs:
    """`inputs` with pictures of another shape, and as many rows of everything else.

    The pictures are random ones, unless the example has that shape already. An example that says how
    large its picture is, as ``im_shape`` does, says it of the new one.

    Raises:
        ArgumentError: if no input, or more than one, takes pictures.
    """
    own, inputs = pictures_of(inputs), with_shared(inputs)
    same = own.sizes[1:] == tuple(shape[1:])

    def resized(tensor: InputTensor) -> InputTensor:
        if tensor.name == own.name:
            return replace(tensor, shape=shape, example=tensor.example if same else None)
        if tensor.shape and not tensor.shared:  # a row for each picture
            tensor = replace(tensor, shape=(shape[0], *tensor.shape[1:]))
        stale = not same and _says_size(tensor, own)
        return replace(tensor, example=None) if stale else tensor

    return with_usual(inputs.changed(resized))


def with_shared(inputs: Inputs) -> Inputs:
    """`inputs`, in which the tensors are marked that have no row for each picture.

    As many rows as a batch happens to have pictures must not be taken for that: a network may be given
    eight anchors, and eight pictures.
    """
    count = size_of(inputs)

    def marked(tensor: InputTensor) -> InputTensor:
        return replace(tensor, shared=True) if tensor.sizes[:1] not in ((), (count,)) else tensor

    return inputs.changed(marked)


def with_usual(inputs: Inputs) -> Inputs:
    """What detectors take beside the picture gets numbers that can be: its size, and a factor of 1.

    Only what has no example; as it is, where nothing tells which input is the picture.
    """
    try:
        own = pictures_of(inputs)
    except ArgumentError:
        return inputs

    def usual(tensor: InputTensor) -> InputTensor:
        values = None if tensor.example is not None else _usual(tensor, own)
        return tensor if values is None else replace(tensor, example=values)

    return inputs.changed(usual)


def without_example(inputs: Inputs) -> list[str]:
    """The names of what is no picture and would be random numbers."""
    names = [name for name, tensor in inputs.tensors.items() if tensor.example is None]
    try:
        own = pictures_of(inputs).name
    except ArgumentError:
        return names
    return [name for name in names if name != own]


def _usual(tensor: InputTensor, picture: InputTensor) -> np.ndarray | None:
    name, shape, dtype = tensor.name.rpartition(".")[2], tensor.sizes, tensor.dtype or "float32"
    if name in FACTORS:
        return np.ones(shape, dtype)
    if name in SIZES and shape[-1:] == (2,) and len(picture.shape) == 4:
        return np.broadcast_to(np.array(sizes_of(picture), dtype), shape).copy()
    return None


def _says_size(tensor: InputTensor, picture: InputTensor) -> bool:
    values = None if tensor.example is None else _usual(tensor, picture)
    own = tensor.name.rpartition(".")[2] in SIZES
    return own and values is not None and bool((tensor.array() == values).all())


def sizes_of(tensor: InputTensor) -> tuple[int, int]:
    """Height and width of a picture's tensor."""
    sizes = tensor.sizes
    return (sizes[1], sizes[2]) if tensor.layout == "NHWC" else (sizes[2], sizes[3])


def pictures_in(batch: Batch) -> np.ndarray:
    """The pictures of a batch."""
    return batch if isinstance(batch, np.ndarray) else pictures_of(batch).array()


def shape_of(batch: Batch) -> tuple[int, ...]:
    """That of its pictures; of what may be some, or comes first, where nothing tells which ones are."""
    if isinstance(batch, np.ndarray):
        return tuple(batch.shape)
    try:
        return pictures_of(batch).sizes
    except ArgumentError:
        alike = (tensor.sizes for tensor in batch.tensors.values() if len(tensor.shape) == 4)
        return next(alike, batch.first.sizes)


def size_of(batch: Batch) -> int:
    """How many images are in it."""
    return shape_of(batch)[0]


def taken(batch: Batch, rows: Any) -> Batch:
    """Some images of a batch, by a slice or an array that says which; with what belongs to them."""
    if isinstance(batch, np.ndarray):
        return batch[rows]
    count = size_of(batch)

    def some(tensor: InputTensor) -> InputTensor:
        values = tensor.array()
        if tensor.shared or not values.shape or len(values) != count:
            return tensor
        values = values[rows]
        return replace(tensor, shape=tuple(values.shape), example=values)

    return batch.changed(some)


def feed(model: nn.Layer, batch: Any) -> Sample:
    """What `model` is called with on a batch, in its dtype; a tensor will do for pictures too."""
    if isinstance(batch, Inputs):
        return batch.sample(model)
    return Sample((as_input(model, batch),), {})


def as_given(model: nn.Layer, batch: Batch) -> Any:
    """A batch as `spconvify.network.run.run` takes it: pictures alone in the model's dtype."""
    return batch if isinstance(batch, Inputs) else as_input(model, batch)


def joined(batches: Iterable[Batch]) -> Batch:
    """One batch of all of them; the pictures of all have one size.

    Raises:
        ArgumentError: if something that has no row for each picture is another one in each batch.
    """
    first, *others = batches
    if not others:
        return first
    if isinstance(first, np.ndarray):
        return np.concatenate([first, *(pictures_in(batch) for batch in others)])
    every = [batch for batch in (first, *others) if isinstance(batch, Inputs)]
    return first.changed(lambda tensor: _together(tensor.name, every))


def _together(name: str, batches: Sequence[Inputs]) -> InputTensor:
    """A tensor of all batches; a row that a whole batch has in common is repeated."""
    tensors = [batch.tensors[name] for batch in batches]
    arrays, counts = [tensor.array() for tensor in tensors], [size_of(batch) for batch in batches]
    first = tensors[0]
    is_common = first.shared or {array.shape[:1] for array in arrays} <= {(), (1,)}
    if is_common and all(np.array_equal(array, arrays[0]) for array in arrays):
        return first
    if not all(array.shape[:1] in ((count,), (1,)) for array, count in zip(arrays, counts)):
        raise ArgumentError(
            f"{name!r} is another one in each batch, and has no row for each picture; give all pictures "
            "in one batch"
        )
    rows = [array.repeat(count // len(array), 0) for array, count in zip(arrays, counts)]
    values = np.concatenate(rows)
    return replace(first, shape=tuple(values.shape), example=values)


def listed(inputs: Inputs) -> str:
    """The inputs with their shapes, for messages."""
    return ", ".join(
        f"{name!r} {'x'.join(map(str, tensor.sizes))}" for name, tensor in inputs.tensors.items()
    )


def _channels(tensor: InputTensor) -> int:
    return tensor.sizes[3 if tensor.layout == "NHWC" else 1]
