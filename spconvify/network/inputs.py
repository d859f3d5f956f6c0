"""Inputs: what a network is run on, one tensor or several; samples, feeds and specs come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.arguments import positional_names, spread
from spconvify.network.first_convolution import input_layout, usual_shapes
from spconvify.network.input_tensor import InputTensor, fill, is_spec, named, specified
from spconvify.network.placement import input_dtype
from spconvify.network.structure import ends, mapped

_ONLY = "x"  # what files call a network's only input


@dataclass(frozen=True, eq=False)
class Sample:
    """Tensors for one run of a network, as it takes them."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def astype(self, dtype: Any) -> Sample:
        """The same with every floating tensor in another dtype."""
        return self.changed(lambda tensor: tensor.astype(dtype))

    def changed(self, change: Callable[[paddle.Tensor], paddle.Tensor]) -> Sample:
        """The same with every floating tensor as `change` makes it."""

        def floats(tensor: paddle.Tensor) -> paddle.Tensor:
            return change(tensor) if paddle.is_floating_point(tensor) else tensor

        return Sample(*mapped((self.args, self.kwargs), _is_tensor, floats))


def forward(model: nn.Layer, given: Sample | paddle.Tensor) -> Any:
    """Run `model` on a sample, or on one tensor."""
    return model(*given.args, **given.kwargs) if isinstance(given, Sample) else model(given)


class Inputs:
    """What a network is given in one run: the arguments of its forward, with an `InputTensor` for each.

    Args:
        args: shapes (N, C, H, W), arrays, tensors, `InputTensor`s or ``paddle.static.InputSpec``s, and
            lists, tuples or dictionaries of them; numbers and texts in these are handed on as they are.
        kwargs: the same by keyword.

    Raises:
        ArgumentError: if there is no tensor among them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        given = tuple(specified(value) for value in args)
        by_name = {name: specified(value) for name, value in kwargs.items()}
        self._set(given, by_name, positional_names(None, len(args)))

    def _set(self, args: Any, kwargs: dict[str, Any], names: list[str]) -> None:
        tensors = dict(named(args, kwargs, names))
        if not tensors:
            raise ArgumentError("this holds no shape and no array: give ", Option("input_shape"))
        # One tensor, and nothing else.
        self.is_plain = len(tensors) == 1 and args == tuple(tensors.values()) and not kwargs
        names_by_id = {id(t): _ONLY if self.is_plain else name for name, t in tensors.items()}
        self.args, self.kwargs = mapped(
            (args, kwargs), is_spec, lambda tensor: replace(tensor, name=names_by_id[id(tensor)])
        )

    @classmethod
    def of(cls, value: Any, model: Any = None) -> Inputs:
        """What people have as `Inputs`, in the way that the network's forward takes it.

        Args:
            value: a shape, an array or tensor, a list, tuple or dictionary of such, or `Inputs`.
            model: the network; without one a list is several arguments, and a dictionary is one.

        Raises:
            ArgumentError: if there is neither a shape nor an array in it.
        """
        if isinstance(value, Inputs):
            return value
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu":
            value = value.tolist()  # a shape
        found = specified(value)
        if isinstance(found, InputTensor):
            # Integers of a single picture are its pixels.
            found = replace(found, dtype=None) if len(found.shape) == 4 and _is_array(value) else found
            complete = getattr(model, "completed", None)  # of a network that knows its other inputs
            found = complete(found) if callable(complete) else found
        arguments = ((found,), {}) if isinstance(found, InputTensor) else spread(found, model)
        inputs = cls.__new__(cls)
        inputs._set(*arguments, positional_names(model, len(arguments[0])))
        return inputs._placed(model) if isinstance(model, nn.Layer) else inputs

    @classmethod
    def given(cls, value: Any, model: Any = None) -> Inputs | None:
        """`of`; None where nothing is given."""
        empty = value is None or (isinstance(value, (list, tuple, dict)) and not value)
        return None if empty else cls.of(value, model)

    @classmethod
    def holding(cls, example: Any, model: Any = None) -> Inputs:
        """Inputs with these values: an array, a tensor, nested lists of numbers, or several of such."""
        if isinstance(example, Inputs):
            return example
        if not any(True for _ in ends(example, _is_array)):
            example = np.asarray(example)
        if isinstance(example, np.ndarray) and example.ndim == 1:
            example = specified(example)
        return cls.of(example, model)

    @classmethod
    def usual(cls, model: nn.Layer) -> Iterator[Inputs]:
        """What the network says that it takes (its `usual_inputs`), or pictures of usual sizes.

        None for a network that says nothing and has no convolution.
        """
        says = getattr(model, "usual_inputs", None)
        own = [says()] if callable(says) else []
        return (cls.of(shape, model) for shape in (*own, *usual_shapes(model)))

    @property
    def tensors(self) -> dict[str, InputTensor]:
        """Every tensor by its name, in the order of an exported program."""
        return {tensor.name: tensor for _, tensor in ends((self.args, self.kwargs), is_spec)}

    @property
    def first(self) -> InputTensor:
        """The first tensor, and the only one of most networks."""
        return next(iter(self.tensors.values()))

    @property
    def batch(self) -> int:
        """N of the first tensor."""
        return self.first.sizes[0]

    @property
    def brief(self) -> Any:
        """The shape of the only tensor, where floats of that shape are all; otherwise these inputs."""
        is_all = self.is_plain and self.first.dtype is None and not self.first.usual
        return self.first.shape if is_all else self

    @property
    def said(self) -> Any:
        """The shape of the only tensor, or those of several by name; for messages."""
        sizes = {name: tensor.sizes for name, tensor in self.tensors.items()}
        return sizes[_ONLY] if self.is_plain else sizes

    def sample(self, model: nn.Layer, seed: int = 0) -> Sample:
        """Tensors to run `model` on, in its dtype: the examples, or random numbers of this seed."""
        dtype, seeds = input_dtype(model), self._seeds(seed)

        def drawn(tensor: InputTensor) -> paddle.Tensor:
            return tensor.tensor(dtype, seeds[tensor.name])

        return Sample(*mapped((self.args, self.kwargs), is_spec, drawn))

    def feeds(self, seed: int = 0) -> dict[str, np.ndarray]:
        """The same numbers for an engine: arrays by name."""
        seeds = self._seeds(seed)
        return {name: tensor.array(seeds[name]) for name, tensor in self.tensors.items()}

    def values(self, seed: int = 0) -> Any:
        """`feeds`; of a plain input the array alone."""
        feeds = self.feeds(seed)
        return feeds[_ONLY] if self.is_plain else feeds

    def specs(self) -> list[paddle.static.InputSpec]:
        """What Paddle traces the network with: one for every tensor, in the order of `tensors`."""
        return [
            paddle.static.InputSpec(list(tensor.shape), tensor.dtype or "float32", name)
            for name, tensor in self.tensors.items()
        ]

    def with_batch(self, batch: int) -> Inputs:
        """The same with another N; -1 stands for any. A number without axes stays."""

        def resized(tensor: InputTensor) -> InputTensor:
            return replace(tensor, shape=(batch, *tensor.shape[1:])) if tensor.shape else tensor

        return self.changed(resized)

    def of_another_size(self) -> Inputs:
        """Random numbers for pictures of half the size, or twice where they are small."""

        def resized(tensor: InputTensor) -> InputTensor:
            if not tensor.spatial_axes:
                return tensor
            sizes = list(tensor.sizes)
            for axis in tensor.spatial_axes:
                sizes[axis] = sizes[axis] // 2 if sizes[axis] >= 96 else 2 * sizes[axis]
            return replace(tensor, shape=tuple(sizes), example=None)

        return self.changed(resized)

    def filled(self, example: Any) -> Inputs:
        """The same shapes with an example's values, again from its first row if they are too few.

        Raises:
            ArgumentError: if the example has other tensors, or one has another shape.
        """
        if example is None:
            return self
        values = {_ONLY: example}
        if not self.is_plain:
            held = Inputs.holding(example)
            ours, theirs = self.tensors, held.tensors
            if len(ours) != len(theirs):
                raise ArgumentError(f"the example holds {len(theirs)} arrays; the input has {len(ours)}")
            values = {name: tensor.example for name, tensor in zip(ours, theirs.values())}
        return self.changed(lambda tensor: fill(tensor, values[tensor.name]))

    def _seeds(self, seed: int) -> dict[str, Any]:
        """Several tensors get different numbers."""
        return {name: (seed, index) if index else seed for index, name in enumerate(self.tensors)}

    def _placed(self, model: nn.Layer) -> Inputs:
        """With the layout that the network wants for what may be pictures."""

        def place(tensor: InputTensor) -> InputTensor:
            if len(tensor.shape) != 4 or tensor.layout is not None:
                return tensor
            return replace(tensor, layout=input_layout(model, tensor.shape))

        return self.changed(place)

    def changed(self, change: Callable[[InputTensor], InputTensor]) -> Inputs:
        """The same with every tensor as `change` makes it."""
        other = type(self).__new__(type(self))
        other.args, other.kwargs = mapped((self.args, self.kwargs), is_spec, change)
        other.is_plain = self.is_plain
        return other


def _is_tensor(value: Any) -> bool:
    return isinstance(value, paddle.Tensor)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, paddle.Tensor))
