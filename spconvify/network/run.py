"""Run a network for our own purposes, in eval mode and as if nothing had been, or say why it doesn't."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.examples import example_of
from spconvify.network.failures import depends_on_input, does_not_run, first_line
from spconvify.network.first_convolution import convolves_channels_last
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.static_functions import as_written
from spconvify.network.untouched import untouched

Act = Callable[[Any], Any]  # what is done with a sample; by default the network runs on it


class NoUsualInputError(ArgumentError):
    """The network runs on none of the usual inputs; `problem` is what it raised on the last of them."""

    problem: Exception | None = None


def run(
    model: nn.Layer,
    inputs: Inputs | paddle.Tensor,
    *,
    remedy: Sequence[Any] = (),
    act: Act | None = None,
) -> Any:
    """What the network returns, or the error that says why it doesn't run, and what would help.

    Args:
        model: the network, in whatever mode and surroundings the caller wants it.
        inputs: what it is run on; a tensor as it is, whatever the network's dtype.
        remedy: what to do where the input is to blame; another input if nothing is given.
        act: does something with the sample that runs the network, and gives what is returned.

    Raises:
        ArgumentError: if the network, or `act`, raises anything.
    """
    try:
        sample = inputs.sample(model) if isinstance(inputs, Inputs) else Sample((inputs,), {})
        return (act or partial(forward, model))(sample)
    except Exception as error:  # whatever the user's network raises
        said = inputs.said if isinstance(inputs, Inputs) else inputs.shape
        raise does_not_run(said, error, *(remedy or _another_example(model, inputs))) from error


def _another_example(model: nn.Layer, inputs: Inputs | paddle.Tensor) -> Sequence[Any]:
    """What to do about the example that a network came with; nothing where it isn't run on that."""
    if inputs is not example_of(model):
        return ()
    return ("this is the example that its factory returned with it; let it return another one",)


def run_usual(
    model: nn.Layer, inputs: Inputs | None = None, *, act: Act | None = None
) -> tuple[Inputs, Any]:
    """`run` on the inputs, or if there are none on the first usual ones that the network takes.

    Returns:
        The inputs, and what `run` gives.

    Raises:
        ArgumentError: if it doesn't run on the inputs that are given.
        NoUsualInputError: if it runs on no usual ones.
    """
    if inputs is not None:
        return inputs, run(model, inputs, act=act)
    problem: ArgumentError | None = None
    for usual in Inputs.usual(model):
        try:
            return usual, run(model, usual, act=act)
        except ArgumentError as error:  # the next may fit
            problem = error
    raise _no_usual_input(problem) from (problem and problem.__cause__)


def _no_usual_input(problem: ArgumentError | None) -> NoUsualInputError:
    cause = None if problem is None else problem.__cause__
    text = f": {first_line(cause)}" if cause else ""
    error = NoUsualInputError(f"the network runs on no usual input{text}; give ", Option("input_shape"))
    if problem is not None and cause is not None and not depends_on_input(cause):
        error = NoUsualInputError(problem)
    error.problem = cause if isinstance(cause, Exception) else None
    return error


def usual_input(model: nn.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A guessed (N, C, H, W), or (N, H, W, C) where only that runs: for networks with channels last."""
    if len(shape) != 4 or not convolves_channels_last(model):
        return shape
    batch, channels, height, width = shape
    for candidate in (shape, (batch, height, width, channels)):
        with trying(model), contextlib.suppress(ArgumentError):
            run(model, Inputs.of(candidate))
            return candidate
    return shape


@contextlib.contextmanager
def evaluating(model: nn.Layer) -> Iterator[None]:
    """Eval mode for the block, every layer's own mode afterwards; without ``paddle.jit.to_static``."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    try:
        for layer, _ in modes:
            layer.training = False
        with as_written():
            yield
    finally:
        for layer, training in modes:
            layer.training = training


@contextlib.contextmanager
def trying(model: nn.Layer) -> Iterator[None]:
    """For runs of our own: eval mode, no gradients, and nothing of them is left on the network."""
    with untouched(model), evaluating(model), paddle.no_grad():
        yield
