"""Check a surgery with one forward before and one after: nothing stale, nothing left out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import paddle
from paddle import nn

from spconvify.caution import warn
from spconvify.errors import ConversionError, NotCheckedWarning, Option
from spconvify.failures import does_not_run, first_line
from spconvify.graph import tensors_in
from spconvify.ops import Operation, watching
from spconvify.spconv import ReplacedConvError, SPConv2D
from spconvify.static_functions import as_written
from spconvify.untouched import untouched

# Small first: they're cheap; fixed-size networks only take their own.
USUAL_SIZES = (64, 32, 28, 224, 299, 128, 256, 96, 384)


@dataclass(frozen=True)
class _Run:
    """What one forward did."""

    shapes: list[tuple[int, ...]]  # of the outputs
    finite: bool  # whether every output is
    used: set[int]  # which of the watched weights took part in an operator
    called: set[int]  # ids of the layers that were called


class Expectation:
    """What a network did before the surgery, to hold the converted one to.

    Args:
        model: the network before the surgery.
        convs: the convolutions that are going to be replaced, each with the one that it's a copy of
            (a closure of a copied network may still hold that one).
        input_shape: (N, C, H, W); None tries usual sizes, and gives up the check if none runs.

    Raises:
        ArgumentError: if `input_shape` is given and the network doesn't run on it.

    Warns:
        NotCheckedWarning: if the network runs on no usual input.
    """

    def __init__(
        self,
        model: nn.Layer,
        convs: Sequence[tuple[Any, Any]],
        input_shape: Sequence[int] | None,
    ):
        self._weights = {id(conv.weight): index for index, pair in enumerate(convs) for conv in pair}
        self._before: _Run | None = None
        self._varying: set[tuple[int, int]] = set()  # (output, axis) whose size the values decide
        if not convs:
            return
        problem: Exception | None = None
        shapes = [tuple(input_shape)] if input_shape else list(guess_input_shapes(model))
        for shape in shapes:
            dtype = convs[0][0].weight.dtype
            self._input = random_input(shape, dtype)
            try:
                self._before = self._run(model, self._input)
            except Exception as error:  # whatever the user's network raises: try the next size
                if input_shape:
                    raise does_not_run(shape, error) from error
                problem = error
                continue
            with contextlib.suppress(Exception):  # whatever it raises on other values
                self._varying = _differences(
                    self._before.shapes, self._run(model, random_input(shape, dtype, seed=1)).shapes
                )
            return
        why = f": {first_line(problem)}" if problem else ""
        warn(
            f"the conversion isn't checked, since the network runs on no usual input{why}; give "
            "input_shape=(N, C, H, W) for a check that every new layer is really used",
            NotCheckedWarning,
        )

    def _run(self, model: nn.Layer, image: paddle.Tensor) -> _Run:
        used: set[int] = set()

        def note(operation: Operation) -> None:
            for argument in (*operation.args, *operation.kwargs.values()):
                if id(argument) in self._weights:
                    used.add(self._weights[id(argument)])

        with trying(model), watching(note) as called:
            outputs = list(tensors_in(model(image)))
        shapes = [tuple(tensor.shape) for tensor in outputs]
        return _Run(shapes, all(map(_is_finite, outputs)), used, set(called))

    def check(self, converted: nn.Layer, replacements: Mapping[str, SPConv2D]) -> None:
        """Run the converted network; `replacements` by site name, in the order of `convs`.

        Raises:
            ConversionError: if a new layer isn't called though the old one was, an old weight is still
                used, an output's shape changed or isn't finite any more, or the network reads the
                weight of a convolution that is gone.
        """
        before = self._before
        if before is None:
            return
        try:
            after = self._run(converted, self._input)
        except ReplacedConvError as error:
            name = next((n for n, layer in replacements.items() if layer is error.layer), "?")
            raise ConversionError(
                f"layer {name!r}: the network reads its {error.attribute!r}, which an SPConv2D hasn't; "
                "exclude it with ",
                Option("exclude", name),
            ) from error
        except Exception as error:
            raise ConversionError(f"the converted network doesn't run: {first_line(error)}") from error
        for index, (name, layer) in enumerate(replacements.items()):
            if index in after.used or (index in before.used and id(layer) not in after.called):
                raise ConversionError(
                    f"layer {name!r}: the network still runs the old convolution, held outside of its "
                    "sub-layers; exclude it with ",
                    Option("exclude", name),
                )
        self._check_shapes(before.shapes, after.shapes)
        if before.finite and not after.finite:
            raise ConversionError("the converted network's output isn't finite")

    def _check_shapes(self, before: list[tuple[int, ...]], after: list[tuple[int, ...]]) -> None:
        """Sizes that depend on the input's values, as a detector's number of boxes, may change."""
        if [len(shape) for shape in before] != [len(shape) for shape in after]:
            raise ConversionError(
                f"the output's shape changed from {before} to {after}; if hooks or "
                "closures collect the network's outputs, convert it in place (inplace=True): a copy "
                "keeps those of the original"
            )
        if _differences(before, after) - self._varying:
            raise ConversionError(
                f"the output's shape changed from {before} to {after}, and other values of the input "
                "don't change it; an operator that a convolution's own sizes decide can't be kept"
            )


def _differences(
    first: Sequence[tuple[int, ...]], second: Sequence[tuple[int, ...]]
) -> set[tuple[int, int]]:
    """(output, axis) where sizes of the same number of axes differ; an empty axis tells nothing."""
    return {
        (index, axis)
        for index, (one, other) in enumerate(zip(first, second))
        for axis, sizes in enumerate(zip(one, other))
        if sizes[0] != sizes[1]
    }


def guess_input_shapes(model: nn.Layer) -> Iterator[tuple[int, ...]]:
    """Inputs that an image network might take, from the channels of its first convolution."""
    first = _first_convolution(model)
    if first is None:
        return
    channels, layout = first
    for size in USUAL_SIZES:
        yield (1, channels, size, size) if layout == "NCHW" else (1, size, size, channels)


def input_layout(model: nn.Layer, shape: Sequence[int]) -> Literal["NCHW", "NHWC"]:
    """Where the channels are in an input of 4 axes: as the first convolution has them, if they fit."""
    first = _first_convolution(model)
    if first is None or len(shape) != 4:
        return "NCHW"
    channels, layout = first
    # A network may turn its input around before a convolution that works on channels last.
    fits = [place for place, axis in (("NCHW", 1), ("NHWC", 3)) if shape[axis] == channels]
    return "NHWC" if (fits or [layout]) == ["NHWC"] or (layout == "NHWC" and len(fits) == 2) else "NCHW"


def usual_input(model: nn.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A guessed (N, C, H, W), or (N, H, W, C) where only that runs: for networks with channels last."""
    first = _first_convolution(model)
    if first is None or first[1] == "NCHW" or len(shape) != 4:
        return shape
    batch, channels, height, width = shape
    for candidate in (shape, (batch, height, width, channels)):
        with trying(model), contextlib.suppress(Exception):
            model(random_input(candidate))
            return candidate
    return shape


def _first_convolution(model: nn.Layer) -> tuple[int, str] | None:
    """The input channels and the layout of the first convolution."""
    first: Any = next((m for m in model.sublayers(True) if isinstance(m, (nn.Conv2D, SPConv2D))), None)
    if first is None:
        return None
    if isinstance(first, SPConv2D):
        return first.in_channels, first.data_format
    return first._in_channels, first._data_format


def random_input(shape: Sequence[int], dtype: Any = "float32", seed: int = 0) -> paddle.Tensor:
    """A standard normal input; leaves Paddle's own random state alone."""
    values = np.random.default_rng(seed).standard_normal(tuple(shape), dtype="float32")
    return paddle.to_tensor(values).astype(dtype)


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


def _is_finite(tensor: paddle.Tensor) -> bool:
    return "float" not in str(tensor.dtype) or bool(paddle.isfinite(tensor).all())
