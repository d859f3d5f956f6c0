"""How many multiply-accumulates an operator does, from the shapes of its arguments."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
import paddle

from spconvify.network.operations import Operation, tensors_in

# Operators that only move, make or rename data: nothing to count and not worth a line.
NO_ARITHMETIC = frozenset(
    """_copy_to _local_value _new_shared_tensor _set_impl _share_buffer_to _share_memory
    _share_underline_tensor_to assign assign_ assign_out_ assign_value_ bernoulli cast
    channel_shuffle concat contiguous copy_ data detach detach_ dropout empty expand expand_as flatten
    flip full full_ full_like gather gather_nd gaussian get_tensor getitem index_elementwise_get
    index_select masked_select numel numpy one_hot ones ones_like pad pad3d pixel_shuffle
    pixel_unshuffle reshape reshape_ roll set_value set_value_ set_value_with_tensor
    set_value_with_tensor_ setitem shadow_output shape shape64 shuffle_channel slice split
    split_with_num squeeze squeeze_ stack strided_slice tile transpose transpose_ unbind uniform
    unsqueeze unsqueeze_ unstack view_dtype view_shape view_slice zeros zeros_like""".split()
)


def macs_of(operation: Operation) -> int | None:
    """MACs of one operator call; None for an operator that this file has no formula for.

    A convolution does ``output elements x (input channels / groups) x kernel area``, a matrix product
    ``output elements x inner size``, a normalisation two an element (standardise, then scale and
    shift), as thop and paddle.flops count it. Biases are not counted.
    """
    formula = _FORMULAS.get(operation.name)
    return None if formula is None else formula(operation)


def elements(operation: Operation) -> int:
    """How many elements an element-wise or pooling operator works on: the larger of input and output."""
    tensors = [*_arguments(operation), operation.result]
    return max((_size(t) for t in tensors if isinstance(t, paddle.Tensor)), default=0)


def _arguments(operation: Operation) -> list[Any]:
    return [*operation.args, *operation.kwargs.values()]


def _size(tensor: Any) -> int:
    return int(np.prod(tensor.shape))


def _convolution(filter_index: int) -> Callable[[Operation], int]:
    def macs(operation: Operation) -> int:
        weight = _arguments(operation)[filter_index]  # (L, C / groups, *kernel)
        return _size(operation.result) * int(np.prod(weight.shape[1:]))

    return macs


def _transposed_convolution(operation: Operation) -> int:
    x, weight = _arguments(operation)[:2]  # weight: (C, L / groups, *kernel)
    return _size(x) * int(np.prod(weight.shape[1:]))


def _matmul(operation: Operation) -> int:
    shape = list(_arguments(operation)[0].shape)
    third = operation.args[2] if len(operation.args) > 2 else None  # a linear layer has its bias there
    transposed = operation.kwargs.get("transpose_x", third) is True and len(shape) > 1
    inner = shape[-2] if transposed else shape[-1]
    return _size(operation.result) * int(inner)


def _addmm(operation: Operation) -> int:
    return _size(operation.result) * int(_arguments(operation)[1].shape[-1])


def _normalisation(operation: Operation) -> int:
    return 2 * _size(_arguments(operation)[0])


def _einsum(operation: Operation) -> int:
    """Every combination of the labels is one; a label of one operand alone is summed up before."""
    operands, equation = _arguments(operation)[:2]
    inputs, _, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) < 2:
        return 0
    sizes: dict[str, int] = {}
    labels = [_labels(term, len(operand.shape)) for term, operand in zip(terms, operands)]
    for term, operand in zip(labels, operands):
        for label, size in zip(term, operand.shape):
            sizes[label] = max(int(size), sizes.get(label, 1))  # of size 1 where it is broadcast
    result: Any = next(tensors_in(operation.result))
    kept = set(_labels(output, len(result.shape)))
    shared = [label for label in sizes if label in kept or sum(label in term for term in labels) > 1]
    return math.prod(sizes[label] for label in shared)


def _labels(term: str, axes: int) -> list[str]:
    """A label for every axis; those of an ellipsis count from its end: ".1", ".0"."""
    before, dots, after = term.partition("...")
    hidden = axes - len(before) - len(after) if dots else 0
    return [*before, *(f".{index}" for index in reversed(range(hidden))), *after]


def _bilinear(operation: Operation) -> int:
    weight = _arguments(operation)[2]  # (L, I, J)
    return _size(operation.result) * int(np.prod(weight.shape[1:]))


def _recurrent(operation: Operation) -> int:
    """Every step multiplies by every matrix once: those of all layers, directions and gates."""
    x = _arguments(operation)[0]  # (steps, N, C)
    weights = [t for t in tensors_in(operation.args[1:]) if len(t.shape) == 2]
    return int(np.prod(x.shape[:2])) * sum(map(_size, weights))


_FORMULAS: dict[str, Callable[[Operation], int]] = {
    "conv2d": _convolution(1),
    "conv3d": _convolution(1),
    "depthwise_conv2d": _convolution(1),
    "depthwise_conv2d_bias": _convolution(1),
    "deformable_conv": _convolution(2),
    "conv2d_transpose": _transposed_convolution,
    "conv3d_transpose": _transposed_convolution,
    "depthwise_conv2d_transpose": _transposed_convolution,
    "linear": _matmul,
    "matmul": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": lambda operation: _size(_arguments(operation)[0]),
    "addmm": _addmm,
    "baddbmm": _addmm,
    "linear_v2": _matmul,
    "conv2d_transpose_bias": _transposed_convolution,
    "einsum": _einsum,
    "bilinear": _bilinear,
    "rnn": _recurrent,
    "batch_norm": _normalisation,
    "group_norm": _normalisation,
    "instance_norm": _normalisation,
    "layer_norm": _normalisation,
}
