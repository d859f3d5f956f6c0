"""Steps: what a rebuilt network does, one after the other; each calls a function or a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Union


@dataclass(frozen=True)
class Ref:
    """In a step's arguments: a value that an earlier step gave, an input, or a parameter."""

    id: str


@dataclass
class Step:
    """One call.

    Attributes:
        call: a function, or the name of a sub-layer: by name, so that whatever stands there runs.
        args, kwargs: may hold `Ref`s, in lists too.
        outputs: ids of its results.
        release: ids of values that nothing takes any more.
        op: the operator that it was, for messages.
    """

    call: Union[str, Callable[..., Any]]
    args: list[Any]
    kwargs: dict[str, Any]
    outputs: list[str]
    release: list[str] = field(default_factory=list)
    op: str = ""


def refs(value: Any) -> Iterator[str]:
    """The ids of every `Ref` in there."""
    if isinstance(value, Ref):
        yield value.id
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs(item)


def pruned(steps: Sequence[Step], wanted: Sequence[str]) -> list[Step]:
    """The steps whose results somebody takes; each knows what is no longer needed behind it."""
    needed, kept = set(wanted), []
    for step in reversed(steps):
        if not needed.intersection(step.outputs):
            continue
        used = set(refs([step.args, step.kwargs]))
        step.release = [i for i in (*sorted(used), *step.outputs) if i not in needed]
        needed |= used
        kept.append(step)
    return kept[::-1]
