"""Inputs that are given by name: put together as the network takes them, or refused with its names."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.arguments import parameters_of
from spconvify.network.batches import pictures_of, with_picture_shape, with_usual
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs
from spconvify.network.run import trying

_INPUT = Option("input_shape")


def named_inputs(given: Mapping[str, InputTensor], model: nn.Layer, base: Inputs | None) -> Inputs:
    """The network's inputs, with the shapes that were given for some of them.

    Names are those of forward's arguments; where it takes one dictionary, its keys. ``a.b`` is the key
    b of the dictionary a. Sizes and scales that detectors take get usual numbers, see
    `spconvify.network.batches`.

    Args:
        given: shape and dtype by name.
        model: the network.
        base: its inputs as far as they are known without these, as from an example.

    Raises:
        ArgumentError: for a name that the network doesn't have, or one that is missing; it says which
            inputs there are.
    """
    if base is not None:
        return _replaced(given, base)
    nested = _nested(given)
    parameters = parameters_of(model)
    if parameters is not None:
        _check_parameters(nested, parameters, model)
    if len(given) == 1 and parameters is not None and list(nested) == _all_of(parameters)[:1]:
        return Inputs.of(next(iter(given.values())), model)
    return with_usual(Inputs.of(nested, model))


def _replaced(given: Mapping[str, InputTensor], base: Inputs) -> Inputs:
    known = base.tensors
    for name in given:
        if name not in known:
            raise _unknown(name, known)
    with contextlib.suppress(ArgumentError):  # several may be pictures: then nothing follows one
        own = pictures_of(base).name
        base = with_picture_shape(base, given[own].shape) if own in given else base

    def change(tensor: InputTensor) -> InputTensor:
        new = given.get(tensor.name)
        if new is None:
            return tensor
        same = new.shape == tensor.sizes
        dtype = new.dtype or tensor.dtype
        return replace(tensor, shape=new.shape, dtype=dtype, example=tensor.example if same else None)

    return with_usual(base.changed(change))


def _nested(given: Mapping[str, InputTensor]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, tensor in given.items():
        *way, last = name.split(".")
        at = found
        for key in way:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise ArgumentError(f"input {name!r}: {key!r} is given as a tensor, and as a dictionary")
        if last in at:
            raise ArgumentError(f"input {name!r} is given as a tensor, and as a dictionary")
        at[last] = tensor
    return found


def _check_parameters(given: Mapping[str, Any], parameters: inspect.Signature, model: nn.Layer) -> None:
    names, needed = _all_of(parameters), _needed(parameters)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.parameters.values()):
        return
    if len(needed) <= 1 and not set(given) & set(names):
        _check_dictionary(given, model, names)
        return
    for name in given:
        if name not in names:
            raise _unknown(name, names)
    missing = [name for name in needed if name not in given]
    if missing:
        raise ArgumentError(
            f"the network takes {_quoted(missing)} too; give ", _INPUT, f" {missing[0]}=… as well"
        )


class _Read(dict):
    """A dictionary that remembers which of its keys were asked for."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__(values)
        self.asked: dict[str, None] = {}

    def __getitem__(self, key: Any) -> Any:
        self.asked[key] = None
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """As a dictionary's own."""
        if key in self:
            self.asked[key] = None
        return super().get(key, default)

    def all_asked(self) -> None:
        """Somebody goes through all of them."""
        self.asked.update(dict.fromkeys(self))

    def items(self) -> Any:
        """As a dictionary's own."""
        self.all_asked()
        return super().items()

    def values(self) -> Any:
        """As a dictionary's own."""
        self.all_asked()
        return super().values()

    def __iter__(self) -> Any:
        self.all_asked()
        return super().__iter__()

    def pop(self, key: Any, *default: Any) -> Any:
        """As a dictionary's own."""
        self.asked[key] = None
        return super().pop(key, *default)


def _check_dictionary(given: Mapping[str, Any], model: nn.Layer, names: list[str]) -> None:
    """Run a network whose forward takes one dictionary, perhaps, and see which keys it asks for."""
    sample = with_usual(Inputs.of(dict(given), model)).sample(model)
    if not sample.args:
        return
    read, problem = _Read(sample.args[0]), None
    read.asked.clear()
    try:
        with trying(model):
            model(read)
    except Exception as error:  # of anything but a name, the real run says more
        problem = error
    if isinstance(problem, KeyError) and problem.args and problem.args[0] not in given:
        key = problem.args[0]
        raise ArgumentError(
            f"the network asks for the input {key!r} too; give ", _INPUT, f" {key}=… as well"
        )
    if problem is not None and not read.asked:
        raise _unknown(next(iter(given)), names)
    unread = [name for name in given if name not in read.asked]
    if problem is None and unread:
        raise _unknown(unread[0], read.asked)


def _unknown(name: str, names: Iterable[str]) -> ArgumentError:
    has = _quoted(names)
    return ArgumentError(f"the network has no input {name!r}; it takes {has or 'none by name'}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _all_of(parameters: inspect.Signature) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in parameters.parameters.items() if p.kind in kinds]


def _needed(parameters: inspect.Signature) -> list[str]:
    named = _all_of(parameters)
    return [n for n in named if parameters.parameters[n].default is inspect.Parameter.empty]
