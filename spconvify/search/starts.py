"""Where a search starts: the tables taken at their word, pruning alone, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spconvify.search.choice import Choice, Problem
from spconvify.search.options import DENSE, SETTINGS, fits, options
from spconvify.search.structure import Structure, counts
from spconvify.search.table import Table

# How much worse an error of an SPConv is than one of the same size elsewhere: later layers repair less.
BIASES = (1.0, 3.0)
PRUNING_ALONE = 1e9
UNIFORM = ("narrowed", "replaced")  # what can be had everywhere


@dataclass(frozen=True)
class Weights:
    """What the damages of a table are multiplied by: by slot, and what isn't dense by `bias`."""

    by_slot: dict[str, float]
    bias: float


def weighted_starts(table: Table, structure: Structure) -> list[Weights]:
    """Errors by what they do to the outputs, and all alike; with several biases."""
    spconv = any(len(options(slot)) > 1 for slot in structure.slots.values())
    prune = bool(structure.widths)
    biases = [*BIASES, *([PRUNING_ALONE] if prune else [])] if spconv else [1.0]
    mean = float(np.mean([entry.sensitivity for entry in table.entries.values()])) or 1.0
    alike = {name: mean / max(entry.sensitivity, 1e-9) for name, entry in table.entries.items()}
    return [Weights(by_slot, bias) for by_slot in ({}, alike) for bias in biases]


def uniform(structure: Structure, problem: Problem, budget: float, kind: str) -> Choice | None:
    """The same wherever it can be, as mild as the budget allows: one of `UNIFORM`; None if it can't."""
    if kind == "narrowed":
        if not structure.widths:
            return None
        share = _mildest(lambda share: _narrowed(structure, share), problem, structure, budget)
        return None if share is None else _narrowed(structure, share)
    for settings in SETTINGS:
        choice = _replaced(structure, settings)
        if any(choice.options.values()) and cost_of(choice, structure, problem) <= budget:
            return choice
    return None


def cost_of(choice: Choice, structure: Structure, problem: Problem) -> float:
    """What a choice costs."""
    places = []
    for chain in structure.chains:
        chosen, before = [], 0
        for index, slot in enumerate(chain.slots):
            after = 0
            if index < len(chain.widths):
                after = counts(slot.channels[1]).index(choice.outputs[slot.name])
            chosen.append((before, after, options(slot).index(choice.options[slot.name])))
            before = after
        places.append(chosen)
    return problem.cost(places)


def _mildest(
    made: Callable[[float], Choice], problem: Problem, structure: Structure, budget: float
) -> float | None:
    for share in np.linspace(0.97, 0.05, 93):
        if cost_of(made(float(share)), structure, problem) <= budget:
            return float(share)
    return None


def _narrowed(structure: Structure, share: float) -> Choice:
    producers = {width.producer for width in structure.widths}
    outputs = {}
    for name, slot in structure.slots.items():
        channels = slot.channels[1]
        outputs[name] = channels
        if name in producers:
            outputs[name] = min(counts(channels), key=lambda count: abs(count - share * channels))
    return Choice(dict.fromkeys(structure.slots, DENSE), outputs)


def _replaced(structure: Structure, settings: Any) -> Choice:
    chosen = {
        name: settings if settings in options(slot) and fits(settings, *slot.channels) else DENSE
        for name, slot in structure.slots.items()
    }
    return Choice(chosen, {name: slot.channels[1] for name, slot in structure.slots.items()})
