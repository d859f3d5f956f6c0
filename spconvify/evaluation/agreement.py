"""How far a converted network still does what the original one does: their outputs, without labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.comparable import VARIES, Comparable, varies
from spconvify.evaluation.kinds import Kinds, is_pyramid, possible_kinds, said_kinds, shared_out
from spconvify.evaluation.output_agreement import EMPTY, NO_TENSOR, OutputAgreement
from spconvify.evaluation.tallies import Distance, Equal, LargestClass, Masks
from spconvify.network.batches import Batch, shape_of, size_of
from spconvify.network.outputs import Frame
from spconvify.network.run import trying


@dataclass
class Agreement:
    """Every output of two networks compared on `images` images; `where` says which these are.

    `varies` says that the original gives something else each time, so that it is far from itself too; it
    is found out only where the agreement is poor.
    """

    outputs: list[OutputAgreement]
    images: int
    where: str
    varies: bool = False

    @property
    def poor(self) -> bool:
        """Whether an output is no longer what it was."""
        return any(output.poor for output in self.outputs)

    @property
    def unknown(self) -> bool:
        """Whether nothing at all could be compared."""
        return all(output.unknown for output in self.outputs)

    @property
    def points_lost(self) -> float:
        """Of the output that lost most, in per cent: answers or overlap that aren't the original's any
        more, or the error. 100 where an output isn't finite, 0 where nothing could be compared."""
        return max((output.points_lost for output in self.outputs), default=0.0)

    @property
    def kept(self) -> float | None:
        """In per cent, what isn't lost; None where nothing could be compared."""
        return None if self.unknown else 100.0 - self.points_lost

    @property
    def figures(self) -> list[str]:
        """What was found of every output, and on how many images."""
        count = f"{self.images} image" + ("s" if self.images != 1 else "")
        return [f"{output.text} on {count} {self.where}".rstrip() for output in self.outputs]

    @property
    def lines(self) -> list[str]:
        """A line for every output, and one on the original where it varies."""
        lines = [f"Agreement with the original: {text}" for text in self.figures]
        return [*lines, VARIES] if self.varies else lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "images": self.images,
            "where": self.where,
            "varies": self.varies,
            "outputs": [output.to_dict() for output in self.outputs],
        }


def agreement(
    original: nn.Layer,
    converted: nn.Layer,
    batches: Iterable[Batch],
    where: str = "",
    kinds: Kinds = None,
) -> Agreement:
    """Run both networks, in eval mode, on the same images and compare their outputs.

    Where the images decide how many rows an output has, as of a detector's boxes, the maps that these
    are chosen from count in its place: see `spconvify.network.heads`.

    Args:
        original: the network before the conversion.
        converted: the network after it.
        batches: float arrays (N, C, H, W); of several inputs `Inputs`.
        where: which images these are, for the text: "left out of the fit".
        kinds: what the outputs are: one of `KINDS` for all, or by name; the others tell it themselves.

    Raises:
        ArgumentError: if a network doesn't run on the images, there is none, or an output can't be what
            it is said to be.
    """
    tallies: dict[str, _Tally] = {}
    images, outputs, last = 0, Comparable(original, converted), None
    with trying(original), trying(converted):
        for batch in filter(size_of, batches):
            left_out = outputs.left_out
            before, after = outputs(batch)
            if outputs.left_out is not left_out:  # what was counted so far is of other outputs
                tallies, images = {}, 0
            images, last = images + size_of(batch), batch
            new = {name: value for name, value in before.items() if name not in tallies}
            if new or not tallies:
                frame = Frame.of(original, shape_of(batch))
                tallies.update(_tallies(new, frame, None if tallies else kinds, outputs.maps))
            for name, value in before.items():
                tallies[name].add(value, after.get(name))
    if not images:
        raise ArgumentError("there are no images to compare the networks on")
    nothing = [OutputAgreement("", "values", problem=NO_TENSOR)]
    found = Agreement([tally.result() for tally in tallies.values()] or nothing, images, where)
    found.varies = last is not None and found.poor and varies(original, last)
    return found


def check_output_kinds(original: nn.Layer, images: Batch, kinds: Kinds) -> None:
    """Refuse kinds that the outputs of a network can't be, before anything long begins.

    Raises:
        ArgumentError: as `agreement`.
    """
    if kinds is not None:
        outputs = Comparable(original, original)
        with trying(original):
            found, _ = outputs(images)
        said_kinds(kinds, found, size_of(images), outputs.left_out)


def _tallies(
    outputs: dict[str, np.ndarray], frame: Frame, kinds: Kinds, maps: Collection[str]
) -> dict[str, _Tally]:
    said, pyramid = said_kinds(kinds, outputs, frame.shape[0]), is_pyramid(outputs.values(), frame)

    def possible(name: str, value: np.ndarray) -> Sequence[str]:
        if name in said:
            return [said[name]]
        return ["values"] if name in maps else possible_kinds(value, frame, pyramid)

    return {name: _Tally(name, value, possible(name, value), frame) for name, value in outputs.items()}


class _Tally:
    """One output, compared as each of the kinds that it can be, until it is known which one it is."""

    def __init__(self, name: str, value: np.ndarray, kinds: Sequence[str], frame: Frame):
        self._name = name
        self._counts = [(kind, _count(kind, value, frame)) for kind in kinds]
        self._compared = False
        self._problem = ""

    def add(self, before: np.ndarray, after: np.ndarray | None) -> None:
        """Take a batch of the output of both networks in."""
        if after is None:
            self._problem = self._problem or "the converted network doesn't return it"
        elif before.shape != after.shape:
            self._problem = self._problem or f"its shape is {after.shape} instead of {before.shape}"
        if after is None or self._problem or not before.size:
            return
        self._compared = True
        for _, count in self._counts:
            count.add(before, after)

    def result(self) -> OutputAgreement:
        """The figures of the first kind that the values don't contradict."""
        kind, count = next((found for found in self._counts if found[1].proven), self._counts[-1])
        if self._problem or not self._compared:
            return OutputAgreement(self._name, kind, problem=self._problem or EMPTY)
        return OutputAgreement(self._name, kind, **vars(count.figures()))


def _count(kind: str, value: np.ndarray, frame: Frame) -> Any:
    if kind in ("image", "values"):
        return Distance()
    if kind == "labels":
        return Equal()
    axis = frame.class_axis(value.shape)
    if kind == "steps":
        axis = 1 if shared_out(value, 1) and not shared_out(value, 2) else 2
    if kind == "mask":
        return Masks(axis if value.ndim == 4 and value.shape[axis] > 1 else None)
    return LargestClass(axis, with_iou=kind == "map")
