"""ProgramNetwork: an exported program as a network with layers, to convert, train, and export again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.batches import FACTORS, SIZES, pictures_of
from spconvify.network.input_tensor import InputTensor, dtype_name
from spconvify.network.inputs import Inputs
from spconvify.source.programs.feeds import picture_of, usual_shape, usual_values, values_beside
from spconvify.source.programs.program import Feed
from spconvify.source.programs.steps import Ref, Step


class ProgramNetwork(nn.Layer):
    """Runs a program's steps in order. A step finds its layer by name, so that surgery is seen.

    Attributes:
        feeds: the program's inputs, in the order of `forward`'s arguments.
        output_names: of what `forward` gives: a tensor, or a list of several.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feeds: Sequence[Feed] = ()
        self.output_names: Sequence[str] = ()
        self.steps: Sequence[Step] = ()
        self._fetched: Sequence[str] = ()
        self._loose: dict[str, tuple[str, str]] = {}  # id -> layer and name of any other parameter

    # Named arguments, since tracing takes no others; and nothing here is for Paddle to rewrite.
    @paddle.jit.not_to_static
    def forward(self, x0, x1=None, x2=None, x3=None, x4=None, x5=None, x6=None, x7=None):
        """The outputs for the inputs, in the program's order."""
        values = dict(zip((feed.id for feed in self.feeds), (x0, x1, x2, x3, x4, x5, x6, x7)))
        for step in self.steps:
            call = self.find(step.call) if isinstance(step.call, str) else step.call
            args = [self._resolved(argument, values) for argument in step.args]
            kwargs = {key: self._resolved(argument, values) for key, argument in step.kwargs.items()}
            result = call(*args, **kwargs)
            results = result if isinstance(result, (list, tuple)) else [result]
            values.update(zip(step.outputs, results))
            for id_ in step.release:
                values.pop(id_, None)
        outputs = [self._resolved(Ref(id_), values) for id_ in self._fetched]
        return outputs[0] if len(outputs) == 1 else outputs

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """By position, or by the names that the program has for its inputs.

        A single tensor is the picture: what else the program takes is then what it usually gets, see
        `completed`.

        Raises:
            TypeError: if there are more than it has.
            ArgumentError: for floats where it takes whole numbers, or the other way round: what it
                computes of these would be right, and of something else. For one picture where it
                takes several.
        """
        if len(inputs) > len(self.feeds):
            some = f"{len(self.feeds)} input{'s' * (len(self.feeds) > 1)}"
            raise TypeError(f"the program takes {some}, and got {len(inputs)}")
        if len(inputs) == 1 and not named and len(self.feeds) > 1:
            return self(**self._with_the_usual(inputs[0]))
        positions = {feed.name: f"x{index}" for index, feed in enumerate(self.feeds)}
        given = {**dict(zip(self.input_names, inputs)), **named}
        for feed in self.feeds:
            _check_kind(feed, given.get(feed.name))
        return super().__call__(*inputs, **{positions.get(name, name): x for name, x in named.items()})

    @property
    def input_names(self) -> list[str]:
        """What the program calls its inputs."""
        return [feed.name for feed in self.feeds]

    def usual_inputs(self) -> Any:
        """Something to run it on: a shape, or arrays by name where there are several inputs."""
        if len(self.feeds) == 1 and "float" in self.feeds[0].dtype:
            return usual_shape(self.feeds[0])
        return dict(zip((feed.name for feed in self.feeds), usual_values(self.feeds)))

    def completed(self, picture: InputTensor) -> Any:
        """`picture`, with the program's other inputs by name: sizes and scales that go with it.

        Of the rest nothing is known but the shape.
        """
        own = picture_of(self.feeds)
        if own is None or len(self.feeds) == 1:
            return picture
        given = {
            name: InputTensor(
                array.shape,
                None if array.dtype == "float32" else str(array.dtype),
                example=array if name in (*FACTORS, *SIZES) else None,
            )
            for name, array in values_beside(self.feeds, picture.sizes).items()
        }
        return {feed.name: picture if feed is own else given[feed.name] for feed in self.feeds}

    def _with_the_usual(self, picture: Any) -> dict[str, Any]:
        own = picture_of(self.feeds)
        if own is None:
            return {self.feeds[0].name: picture}
        pictures_of(Inputs.of(self.usual_inputs(), self))  # or there would be noise in another's place
        beside = values_beside(self.feeds, picture.shape)
        return {own.name: picture, **{name: paddle.to_tensor(array) for name, array in beside.items()}}

    def find(self, name: str) -> Any:
        """The layer of that name.

        Raises:
            KeyError: if there is none.
        """
        at: Any = self
        for key in name.split("."):
            at = at._sub_layers[key]
        return at

    def _resolved(self, argument: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(argument, Ref):
            if argument.id in values:
                return values[argument.id]
            layer, name = self._loose[argument.id]
            # As an attribute, since there Paddle's tracer gives its own in a parameter's place.
            return getattr(self.find(layer), name)
        if isinstance(argument, list):
            return [self._resolved(item, values) for item in argument]
        return argument


def _check_kind(feed: Feed, given: Any) -> None:
    """Pixels that were scaled and normalised are no pixels of 0..255."""
    dtype = dtype_name(getattr(given, "dtype", feed.dtype))
    if ("float" in dtype) != ("float" in feed.dtype):
        raise ArgumentError(
            f"the program takes {feed.name!r} as {feed.dtype}, and got {dtype}: images that are scaled "
            "or normalised aren't for it; convert it without images, or export it without that step"
        )
