"""Check a surgery with one forward before and one after: nothing stale, nothing left out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from paddle import nn

from spconvify.caution import warn
from spconvify.errors import ConversionError, NotCheckedWarning, Option
from spconvify.network.copying import are_same
from spconvify.network.failures import first_line
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.operations import Operation, watching
from spconvify.network.outputs import arrays
from spconvify.network.replacement import ReplacedConvError, Replacement
from spconvify.network.run import NoUsualInputError, run_usual, trying


@dataclass(frozen=True)
class _Run:
    """What one forward did."""

    shapes: list[tuple[int, ...]]  # of the outputs
    finite: bool  # whether every output is
    used: set[int]  # which of the watched weights took part in an operator
    called: set[int]  # ids of the layers that were called
    outputs: Mapping[str, np.ndarray]


class Expectation:
    """What a network did before the surgery, to hold the converted one to.

    Args:
        model: the network before the surgery.
        convs: the convolutions that are going to be replaced, each with the one that it's a copy of
            (a closure of a copied network may still hold that one).
        input_shape: (N, C, H, W), or `Inputs`; None tries usual sizes, and gives up the check if none
            runs.

    Raises:
        ArgumentError: if `input_shape` is given and the network doesn't run on it.

    Warns:
        NotCheckedWarning: if the network runs on no usual input.
    """

    def __init__(
        self,
        model: nn.Layer,
        convs: Sequence[tuple[Any, Any]],
        input_shape: Any,
    ):
        self._convs = [conv for conv, _ in convs]
        self._weights = {id(conv.weight): index for index, pair in enumerate(convs) for conv in pair}
        self.samples: list[Sample] = []  # that the network ran on
        self._before: _Run | None = None
        self._varying: set[tuple[int, int]] = set()  # (output, axis) whose size the values decide
        if not convs:
            return
        try:
            inputs, found = run_usual(
                model, Inputs.given(input_shape, model), act=partial(self._first, model)
            )
        except NoUsualInputError as error:
            _warn_of(error.problem)
            return
        self._sample, self._before = found
        self.samples = [self._sample, inputs.sample(model, seed=1)]
        with contextlib.suppress(Exception):  # whatever it raises on other values
            others = self._run(model, self.samples[1])
            self._varying = _differences(self._before.shapes, others.shapes)

    def _first(self, model: nn.Layer, sample: Sample) -> tuple[Sample, _Run]:
        return sample, self._run(model, sample)

    def _run(self, model: nn.Layer, sample: Sample, new: Iterable[nn.Layer] = ()) -> _Run:
        """One run; of the `new` layers, one whose ``forward`` was called directly counts as called."""
        used: set[int] = set()
        owners = {id(weight): id(layer) for layer in new for weight in layer.parameters()}
        forwarded: set[int] = set()

        def note(operation: Operation) -> None:
            for argument in (*operation.args, *operation.kwargs.values()):
                if id(argument) in self._weights:
                    used.add(self._weights[id(argument)])
                if id(argument) in owners:
                    forwarded.add(owners[id(argument)])

        with trying(model), watching(note) as called:
            outputs = arrays(forward(model, sample))
        shapes = [array.shape for array in outputs.values()]
        finite = all(map(_is_finite, outputs.values()))
        return _Run(shapes, finite, used, {*called, *forwarded}, outputs)

    def check(self, converted: nn.Layer, replacements: Mapping[str, Replacement]) -> None:
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
            after = self._run(converted, self._sample, replacements.values())
        except ReplacedConvError as error:
            name = next((n for n, layer in replacements.items() if layer is error.layer), "?")
            raise ConversionError(
                f"layer {name!r}: the network reads its {error.attribute!r}, which "
                f"{error.layer.called} hasn't; exclude it with ",
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
        self._check_surroundings(converted, list(replacements.values()), before.outputs)

    def _check_surroundings(
        self, converted: nn.Layer, new: Sequence[Replacement], expected: Mapping[str, np.ndarray]
    ) -> None:
        """With the old layers' outputs in the new ones' place, all must be as it was before.

        It isn't where a network asks which class a layer has, or for an attribute that not all have.
        """
        try:
            with trying(converted), _standing_in(zip(self._convs, new)):
                found, again = (arrays(forward(converted, self._sample)) for _ in range(2))
        except Exception as error:
            raise ConversionError(f"the converted network doesn't run: {first_line(error)}") from error
        if are_same(expected, found) or not are_same(found, again):  # or its outputs are never the same
            return
        raise ConversionError(
            "the network treats a new layer otherwise than the convolution before it: it computes "
            "something else even where both give the same. Its code may ask whether a layer is a "
            "Conv2D, or for an attribute that it had; exclude such layers with ",
            Option("exclude", "NAME"),
        )

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


def _warn_of(problem: Exception | None) -> None:
    why = f": {first_line(problem)}" if problem else ""
    warn(
        f"the conversion isn't checked, since the network runs on no usual input{why}; give "
        "input_shape=(N, C, H, W) for a check that every new layer is really used",
        NotCheckedWarning,
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


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


@contextlib.contextmanager
def _standing_in(pairs: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """Inside, every new layer computes what the old one does."""
    pairs = list(pairs)
    try:
        for conv, layer in pairs:
            vars(layer)["forward"] = conv.forward
        yield
    finally:
        for _, layer in pairs:
            vars(layer).pop("forward", None)
