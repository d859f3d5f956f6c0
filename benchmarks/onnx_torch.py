"""Run an ONNX file with PyTorch: the dozen operators that exported image networks are made of.

A weight whose data isn't there (external data that was left behind) gets random values of a usual
scale: enough to time a network without carrying its weights to the machine that times it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn


class OnnxNetwork(nn.Module):
    """The network of an ONNX file with one input (N, C, H, W); returns its first output.

    Args:
        path: the .onnx file, of fixed shapes.
        seed: of the weights that aren't in the file.

    Raises:
        NotImplementedError: if an operator isn't one of those below; it names them all.
    """

    def __init__(self, path: Path, seed: int = 0):
        super().__init__()
        graph = onnx.load(str(path), load_external_data=False).graph
        unknown = sorted({node.op_type for node in graph.node} - set(_OPERATORS) - {"Constant"})
        if unknown:
            raise NotImplementedError(f"{path}: no translation of {', '.join(unknown)}")
        self.constants: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        random = np.random.default_rng(seed)
        for initializer in graph.initializer:
            self._add(initializer.name, _array(initializer, random))
        self.steps: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                self._add(node.output[0], numpy_helper.to_array(attributes["value"]))
            else:
                self.steps.append((node.op_type, list(node.input), list(node.output), attributes))
        known = {tensor.name for tensor in graph.initializer}
        (source,) = [tensor for tensor in graph.input if tensor.name not in known]
        self.input, self.output = source.name, graph.output[0].name
        self.input_shape = tuple(d.dim_value for d in source.type.tensor_type.shape.dim)

    def _add(self, name: str, array: np.ndarray) -> None:
        """Floats become parameters, which ``.to()`` reaches; integers stay numbers."""
        if array.dtype.kind == "f":
            self._names[name] = f"weight{len(self._names)}"
            values = torch.from_numpy(np.array(array, "float32"))
            self.register_parameter(self._names[name], nn.Parameter(values, requires_grad=False))
        else:
            self.constants[name] = array.tolist()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the first output."""
        values: dict[str, Any] = {self.input: image, **self.constants, "": None}
        values.update({name: getattr(self, own) for name, own in self._names.items()})
        for kind, inputs, outputs, attributes in self.steps:
            results = _OPERATORS[kind](*(values[name] for name in inputs), **attributes)
            values.update(zip(outputs, results if isinstance(results, (tuple, list)) else [results]))
        return values[self.output]


def _array(tensor: Any, random: np.random.Generator) -> np.ndarray:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    shape = tuple(tensor.dims)
    spread = (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
    return random.standard_normal(shape, dtype="float32") * np.float32(spread)


def _pair_of(pads: list[int] | None, dims: int = 2) -> tuple[int, ...]:
    pads = list(pads or [0] * 2 * dims)
    if pads[:dims] != pads[dims:]:
        raise NotImplementedError(f"padding {pads} differs between the two sides")
    return tuple(pads[:dims])


def _conv(x, weight, bias=None, *, strides=(1, 1), pads=None, dilations=(1, 1), group=1, **_):
    return F.conv2d(x, weight, bias, tuple(strides), _pair_of(pads), tuple(dilations), group)


def _average_pool(x, *, kernel_shape, strides, pads=None, ceil_mode=0, count_include_pad=0, **_):
    include = bool(count_include_pad)
    return F.avg_pool2d(x, kernel_shape, strides, _pair_of(pads), bool(ceil_mode), include)


def _max_pool(x, *, kernel_shape, strides, pads=None, ceil_mode=0, **_):
    return F.max_pool2d(x, kernel_shape, strides, _pair_of(pads), ceil_mode=bool(ceil_mode))


def _gemm(a, b, c=None, *, transA=0, transB=0, alpha=1.0, beta=1.0):
    product = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return product if c is None else product + beta * c


def _reduce_mean(x, axes=None, *, keepdims=1, **attributes):
    axes = attributes.get("axes", axes)
    return x.mean(tuple(axes) if axes else tuple(range(x.ndim)), keepdim=bool(keepdims))


def _split(x, sizes=None, *, axis=0, split=None, **_):
    return torch.split(x, list(sizes or split), axis)


def _slice(x, starts, ends, axes=None, steps=None):
    index = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(starts)):
        index[axis] = slice(start, min(end, x.shape[axis]), step)
    return x[tuple(index)]


def _gather(x, indices, *, axis=0):
    return torch.index_select(x, axis, torch.as_tensor(indices, device=x.device))


def _reshape(x, shape, **_):
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, b: a + b,
    "AveragePool": _average_pool,
    "Clip": lambda x, low=None, high=None, **_: x.clamp(low, high),
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": _conv,
    "Div": lambda a, b: a / b,
    "Dropout": lambda x, *_, **__: x,
    "Flatten": lambda x, axis=1: x.flatten(axis),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Identity": lambda x: x,
    "MatMul": lambda a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda a, b: a * b,
    "ReduceMean": _reduce_mean,
    "Relu": F.relu,
    "Reshape": _reshape,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Split": _split,
    "Squeeze": lambda x, axes=None, **kw: x.squeeze(tuple(kw.get("axes", axes))),
    "Sub": lambda a, b: a - b,
    "Transpose": lambda x, perm: x.permute(*perm),
    "Unsqueeze": lambda x, axes=None, **kw: x.reshape(_unsqueezed(x, kw.get("axes", axes))),
}


def _unsqueezed(x, axes) -> list[int]:
    shape = list(x.shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return shape
