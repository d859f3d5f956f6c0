"""Arguments of one operator, as the table's entries ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spconvify.source.programs.program import Node, unsupported
from spconvify.source.programs.steps import Ref

_MOST_NUMBERS = 1024  # axes, sizes, paddings; a tensor isn't taken for one


class Arguments:
    """A node's inputs and attributes.

    Args:
        node: the operator.
        constants: values that are known without running anything, by id.
        origins: the node that gives a value, by its id.
    """

    def __init__(self, node: Node, constants: Mapping[str, np.ndarray], origins: Mapping[str, Node]):
        self.node, self._constants, self._origins = node, constants, origins

    def __getitem__(self, name: str) -> Any:
        """An attribute. Never a default for one that isn't there: versions of Paddle differ in which are
        attributes and which are inputs, and a default would be silently wrong."""
        return self.node.attrs[name]

    def either(self, *names: str) -> Any:
        """An attribute that has several names in different versions."""
        return next((self.node.attrs[name] for name in names if name in self.node.attrs), None)

    def value(self) -> np.ndarray:
        """What an operator that makes a constant gives."""
        return self._constants[self.node.outputs[0]]

    def has(self, index: int) -> bool:
        """Whether there is such an input."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def x(self, index: int = 0) -> Any:
        """An input as a `Ref`, a list of them, or None."""
        return _ref(self.node.inputs[index]) if self.has(index) else None

    def all(self) -> list[Any]:
        """Every input."""
        return [_ref(source) for source in self.node.inputs]

    def static(self, index: int) -> Any:
        """A number or a list of numbers; a `Ref`, or a list with some, where it depends on the input."""
        source = self.node.inputs[index]
        if isinstance(source, list):
            return [self._number(item) for item in source]
        if source in self._constants:
            return self._listed(self._constants[source])
        origin = self._origins.get(source)
        if origin is not None and origin.op == "stack" and isinstance(origin.inputs[0], list):
            # Keeps known sizes known, as tracing wants it, and Paddle 2 in a reshape.
            return [self._number(item) for item in origin.inputs[0]]
        return Ref(source)

    def attribute_or_input(self, name: str, index: int) -> Any:
        """An argument that is an attribute in some versions of Paddle, and an input in others."""
        return self.node.attrs[name] if name in self.node.attrs else self.static(index)

    def number(self, index: int) -> Any:
        """One number, or a `Ref` where it depends on the input."""
        return self._number(self.node.inputs[index])

    def dtype(self, index: int) -> str | None:
        """The dtype of an input that is a constant."""
        constant = self._constants.get(self.node.inputs[index])
        return None if constant is None else str(constant.dtype)

    @staticmethod
    def _listed(constant: np.ndarray) -> Any:
        if constant.size > _MOST_NUMBERS:
            raise unsupported(f"a list of {constant.size} numbers")
        return constant.tolist()

    def _number(self, source: str) -> Any:
        constant = self._constants.get(source)
        return Ref(source) if constant is None else constant.reshape(-1)[0].item()


def _ref(source: Any) -> Any:
    if isinstance(source, list):
        return [_ref(item) for item in source]
    return None if source is None else Ref(source)
