"""What --input says: sizes, or shapes by the names of the network's inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spconvify.errors import ArgumentError

if TYPE_CHECKING:
    from spconvify.network.inputs import Inputs

Shape = tuple[int, ...]
_MOST_AXIS, _MOST_ELEMENTS, _MOST_AXES = 1 << 16, (1 << 31) - 1, 9
_DTYPES = ("float32", "int32", "int64", "bool", "uint8")
_AXES = (4, 5)  # of a shape without a name: pictures, or clips of them


@dataclass(frozen=True)
class Given:
    """`sizes` are shapes without a name; `named` are (shape, dtype) by name, dtype None for floats."""

    sizes: tuple[Shape, ...] = ()
    named: dict[str, tuple[Shape, str | None]] = field(default_factory=dict)
    batch: int | None = None

    def __bool__(self) -> bool:
        return bool(self.sizes or self.named)

    def one(self, command: str) -> Given:
        """The same, for a command that has no use for several sizes.

        Raises:
            ArgumentError: if there are some.
        """
        if len(self.sizes) > 1:
            raise ArgumentError(
                f"{command} takes one size, and --input gives {len(self.sizes)}; give one --input, or "
                "one for each input of the network as NAME=SHAPE"
            )
        return self

    def inputs(self, model: Any, usual: Shape) -> list[Any]:
        """What to run the network on, one for every size: a shape, or `Inputs` where it needs more.

        Args:
            model: the network.
            usual: the shape that its architecture says.

        Raises:
            ArgumentError: for a name that the network doesn't have.
        """
        from spconvify.network.batches import with_picture_shape
        from spconvify.network.examples import example_of
        from spconvify.network.run import usual_input

        example = example_of(model)
        if self.named:
            return [self._with_batch(self._by_name(model, usual, example))]
        if example is None:
            return list(self.sizes) or [usual_input(model, self._with_batch(usual))]
        if self.sizes:
            return [with_picture_shape(example, size) for size in self.sizes]
        return [self._with_batch(example)]

    def _by_name(self, model: Any, usual: Shape, example: Inputs | None) -> Inputs:
        from spconvify.network.input_names import named_inputs
        from spconvify.network.input_tensor import InputTensor
        from spconvify.network.inputs import Inputs

        knows = callable(getattr(model, "completed", None))  # a program knows its other inputs
        base = Inputs.of(usual, model) if knows else example
        given = {name: InputTensor(shape, dtype) for name, (shape, dtype) in self.named.items()}
        return named_inputs(given, model, base)

    def _with_batch(self, inputs: Any) -> Any:
        if self.batch is None:
            return inputs
        return (self.batch, *inputs[1:]) if isinstance(inputs, tuple) else inputs.with_batch(self.batch)


def parse_inputs(texts: Sequence[str] | None, batch: int | None = None) -> Given:
    """``["image=1,3,640,640", "ids=1,16:int64"]``, or sizes alone: ``["1,3,224,224"]``.

    Raises:
        ArgumentError: if a text has another form, only some have a name, or one contradicts --batch.
    """
    texts = list(texts or ())
    named = [text for text in texts if "=" in text]
    if named and len(named) < len(texts):
        plain = next(text for text in texts if "=" not in text)
        raise ArgumentError(
            f"--input {plain} has no name, and --input {named[0]} has one; give all of them a name"
        )
    if not named:
        sizes = tuple(dict.fromkeys(_shape(text, text, _AXES) for text in texts))
        for text in texts:
            _check_batch(text, _shape(text, text, _AXES), batch)
        return Given(sizes, batch=batch)
    found: dict[str, tuple[Shape, str | None]] = {}
    for text in named:
        name, shape, dtype = _named(text)
        if name in found:
            raise ArgumentError(f"--input {name}= is given twice; give it once")
        found[name] = shape, dtype
    if batch is not None and len({shape[:1] for shape, _ in found.values()}) == 1:
        _check_batch(named[0], next(iter(found.values()))[0], batch)
    return Given((), found, batch)


def _named(text: str) -> tuple[str, Shape, str | None]:
    name, _, rest = (part.strip() for part in text.partition("="))
    sizes, colon, dtype = (part.strip() for part in rest.partition(":"))
    if not name:
        raise ArgumentError(f"--input {text!r} names no input; write it like image=1,3,640,640")
    if colon and dtype not in _DTYPES:
        raise ArgumentError(f"--input {text!r}: {dtype!r} is none of {', '.join(_DTYPES)}")
    return name, _shape(text, sizes), None if dtype in ("", "float32") else dtype


def _shape(text: str, sizes: str, axes: Sequence[int] = range(1, _MOST_AXES + 1)) -> Shape:
    try:
        shape = tuple(int(number) for number in sizes.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if len(shape) not in axes or min(shape) < 1:
        like = "image=1,3,224,224" if "=" in text else "1,3,224,224"
        raise ArgumentError(f"--input {text!r} isn't a shape; write it like {like}")
    if max(shape) > _MOST_AXIS or math.prod(shape) > _MOST_ELEMENTS:
        raise ArgumentError(f"--input {text!r} is too large: no memory holds what it takes")
    return shape


def _check_batch(text: str, shape: Shape, batch: int | None) -> None:
    if batch is not None and batch != shape[0]:
        raise ArgumentError(f"--batch {batch} contradicts --input {text}; give one of them")
