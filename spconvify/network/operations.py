"""See every operator and layer that a forward pass runs, by watching Paddle's dygraph entry points."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable

import paddle
from paddle import nn
from paddle.base import core

from spconvify.network.entry_points import Door, everywhere, in_layer
from spconvify.network.holders import everything
from spconvify.network.static_functions import as_written
from spconvify.network.structure import ends

_COUNTING = "FLAGS_low_precision_op_list"
# Operators made of multiply-accumulates.
MAC_OPERATORS = frozenset(
    {
        "addmm",
        "baddbmm",
        "bilinear",
        "bmm",
        "conv2d",
        "conv2d_transpose",
        "conv2d_transpose_bias",
        "conv3d",
        "conv3d_transpose",
        "deformable_conv",
        "depthwise_conv2d",
        "depthwise_conv2d_bias",
        "depthwise_conv2d_transpose",
        "dot",
        "einsum",
        "linear",
        "linear_v2",
        "matmul",
        "mv",
        "rnn",
    }
)


@dataclass(frozen=True)
class Operation:
    """One call of an operator, as it returns."""

    name: str
    args: tuple
    kwargs: dict
    result: Any
    layers: tuple[nn.Layer, ...]  # the layers it ran in, outermost first


@contextlib.contextmanager
def watching(
    on_operation: Callable[[Operation], None],
    missed: set[str] | None = None,
    names: Collection[str] | None = None,
) -> Iterator[dict[int, nn.Layer]]:
    """Call `on_operation` after every operator that runs inside the block.

    What is seen is told in `spconvify.network.entry_points`; operators that `on_operation` runs itself
    are not. Yields the layers that were called, by id. Nested blocks each see everything. Not for use
    from several threads: the entry points are patched for the whole process and restored at the end.

    Args:
        on_operation: gets the operation; its arguments are those of the operator.
        missed: is given the names (Paddle's internal ones) of operators that ran unseen.
        names: of the operators to see; with a few of them it opens and closes much faster.
    """
    called: dict[int, nn.Layer] = {}
    stack: list[nn.Layer] = []
    count = _Count(missed)
    busy = False  # with a watched operator, or with reporting it
    opened: list[Door] = []

    def watched(door: Door) -> Callable[..., Any]:
        function, name, reflected = door.function, door.name, door.reflected

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal busy
            if busy:
                return function(*args, **kwargs)
            count.look()
            busy = True
            try:
                result = function(*args, **kwargs)
                ordered = args[::-1] if reflected else args
                on_operation(Operation(name, ordered, kwargs, result, tuple(stack)))
            finally:
                busy = False
                count.forget()
            return result

        return call

    def call_layer(layer: nn.Layer, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in called:
            called[id(layer)] = layer
            open_all(in_layer(layer))
        stack.append(layer)
        try:
            return layer_call(layer, *args, **kwargs)
        finally:
            stack.pop()

    def open_all(doors: Iterable[Door]) -> None:
        for door in doors:
            if names is None or door.name in names:
                door.open(watched(door))
                opened.append(door)

    layer_call = nn.Layer.__call__
    try:
        open_all(everywhere(names))
        nn.Layer.__call__ = call_layer
        with as_written(), count:
            yield called
    finally:
        nn.Layer.__call__ = layer_call
        for door in reversed(opened):
            door.close()


@contextlib.contextmanager
def following(
    layers: Iterable[nn.Layer],
    after: Callable[[nn.Layer, Any, Any], None] | None = None,
    before: Callable[[nn.Layer, Any], None] | None = None,
) -> Iterator[None]:
    """Call ``before(layer, input)`` and ``after(layer, input, output)`` at every call of `layers`.

    As hooks do, but Paddle's hooks aren't given what is handed over by keyword, nor run where a network
    calls the layer's ``forward`` itself. `input` is the first argument, None if there is none.
    """
    wanted = {id(layer): layer for layer in layers}
    inside: list[int] = []  # ids of the wanted layers that are running
    layer_call = nn.Layer.__call__

    def note(layer: nn.Layer, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = next(iter((*args, *kwargs.values())), None)
        if before is not None:
            before(layer, given)
        inside.append(id(layer))
        try:
            output = run(*args, **kwargs)
        finally:
            inside.pop()
        if after is not None:
            after(layer, given, output)
        return output

    def call(layer: nn.Layer, *args: Any, **kwargs: Any) -> Any:
        run = partial(layer_call, layer)
        return note(layer, run, *args, **kwargs) if id(layer) in wanted else run(*args, **kwargs)

    def direct(layer: nn.Layer, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs) if id(layer) in inside else note(layer, run, *args, **kwargs)

    own = [(vars(layer), vars(layer).get("forward")) for layer in wanted.values()]
    try:
        nn.Layer.__call__ = call
        for layer in wanted.values():
            vars(layer)["forward"] = partial(direct, layer, layer.forward)
        yield
    finally:
        nn.Layer.__call__ = layer_call
        for attributes, forward in own:
            attributes.pop("forward", None)
            if forward is not None:
                attributes["forward"] = forward


class _Count:
    """Paddle's own count of the operators that run, to find those that ran unseen.

    It is what ``paddle.amp.debugging`` shows; where the user has turned that on, nothing is looked at.
    """

    def __init__(self, missed: set[str] | None):
        self._missed = missed
        self._on = missed is not None and not paddle.get_flags(_COUNTING)[_COUNTING]

    def __enter__(self) -> None:
        if self._on:
            core.clear_low_precision_op_list()
            paddle.set_flags({_COUNTING: 1})

    def __exit__(self, *_: object) -> None:
        if self._on:
            self.look()
            paddle.set_flags({_COUNTING: 0})
            core.clear_low_precision_op_list()

    def look(self) -> None:
        """Note what ran since `forget`: nothing of it was seen."""
        if self._on and self._missed is not None:
            self._missed.update(core.get_low_precision_op_list())

    def forget(self) -> None:
        """What has run till now has been seen."""
        if self._on:
            core.clear_low_precision_op_list()


def tensors_in(value: Any) -> Iterator[paddle.Tensor]:
    """Every tensor that `value` holds, however deep: see `spconvify.network.holders`."""
    found = ends(value, lambda item: isinstance(item, paddle.Tensor), parts=everything())
    return (tensor for _, tensor in found)
