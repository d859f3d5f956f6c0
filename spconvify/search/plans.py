"""From a choice to the plan that carries it out."""

from __future__ import annotations

from collections.abc import Mapping

from spconvify.search.choice import Choice
from spconvify.search.options import DENSE
from spconvify.search.structure import Structure
from spconvify.surgery.changes import Change, Narrow, Refit, Replace
from spconvify.surgery.planning import Plan


def plan_for(choice: Choice, structure: Structure, orders: Mapping[str, list[int]]) -> Plan:
    """The changes of a choice, and every dense layer behind the first of them fitted anew.

    Args:
        choice: what becomes of every slot.
        structure: that it is of.
        orders: by slot its inputs, those that are worth most first.
    """
    changes: list[Change] = []
    drifted = False
    narrowed = {
        width.consumer: Narrow(
            width.producer,
            width.consumer,
            tuple(sorted(orders[width.consumer][: choice.outputs[width.producer]])),
            width.norms,
        )
        for width in structure.widths
        if choice.outputs[width.producer] < width.channels
    }
    changes += narrowed.values()
    for name in structure.slots:
        option = choice.options[name]
        if option is not DENSE:
            changes.append(Replace(name, option))
        elif drifted and name not in narrowed:
            changes.append(Refit(name))
        drifted |= option is not DENSE or name in narrowed
    return Plan(changes)
