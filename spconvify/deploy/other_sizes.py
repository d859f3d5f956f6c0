"""The other heights and widths that a network takes: what files for any size are checked on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.failures import first_line
from spconvify.network.inputs import Inputs, forward
from spconvify.network.outputs import flatten
from spconvify.network.run import trying
from spconvify.network.sizes import of_size, picture_size

_STEPS = (1, 2, 4, 8, 16, 32, 64, 128)  # networks with a way down and up want multiples of one of these
_LEAVE_OUT = ("; leave out ", Option("dynamic_size", True))

Shapes = Mapping[str, tuple[int, ...]]


def other_sizes(model: nn.Layer, inputs: Inputs) -> list[Inputs]:
    """Two other sizes that the network runs on; of the first, height and width are as odd as it takes.

    Args:
        model: the original network; comes back unchanged.
        inputs: what it is known to run on.

    Raises:
        ArgumentError: if it takes no other sizes, or its outputs keep the size that its input had; says
            what it raises.
    """
    first = picture_size(inputs)
    if first is None:
        raise ArgumentError(
            f"the input {inputs.said} has no height and width that could be free", *_LEAVE_OUT
        )
    problem: Exception | None = None
    tried = inputs
    shapes = _shapes(model, inputs)
    for step in _STEPS:
        found: list[Inputs] = []
        for height, width in _candidates(*first, step):
            tried = of_size(inputs, height, width)
            try:
                _check_follows(shapes, _shapes(model, tried), inputs, tried)
            except ArgumentError:
                raise
            except Exception as error:  # whatever the user's network raises
                problem = problem or error
                if not found:  # coarser steps may do
                    break
                continue
            found.append(tried)
            if len(found) == 2:
                return found
    assert problem is not None
    raise ArgumentError(
        f"{type(model).__name__} doesn't run on other heights and widths than {_text(first)}: "
        f"{first_line(problem)}",
        *_LEAVE_OUT,
    ) from problem


def _candidates(height: int, width: int, step: int) -> Iterator[tuple[int, int]]:
    """Odd multiples of `step`, never square: a larger size, a smaller one, and larger ones again."""

    def odd(size: int) -> int:
        return (max(size // step, 1) | 1) * step

    yield odd(height + step), odd(width + step) + 2 * step
    yield odd(height // 2), odd(width // 2) + 2 * step
    yield odd(height + step) + 4 * step, odd(width + step)
    yield odd(2 * height), odd(2 * width) + 2 * step


def _shapes(model: nn.Layer, inputs: Inputs) -> Shapes:
    with trying(model):
        outputs = flatten(forward(model, inputs.sample(model)))
    return {name: tuple(tensor.shape) for name, tensor in outputs.items()}


def _check_follows(old: Shapes, new: Shapes, inputs: Inputs, others: Inputs) -> None:
    """Refuse maps that are as large as the one input, and stay so for another."""
    size, other = picture_size(inputs), picture_size(others)
    for name, shape in old.items():
        at = [axes for axes in ((2, 3), (1, 2)) if len(shape) == 4 and _at(shape, axes) == size]
        if at and size != other and new.get(name) == shape:
            output = f"output {name!r}" if name else "output"
            raise ArgumentError(
                f"the network's {output} is {_text(size)} for an input of {_text(size)}, and for one of "
                f"{_text(other)} too: a size is written into the network",
                *_LEAVE_OUT,
            )


def _at(shape: tuple[int, ...], axes: tuple[int, int]) -> tuple[int, int]:
    return shape[axes[0]], shape[axes[1]]


def _text(size: Any) -> str:
    return "x".join(map(str, size))
