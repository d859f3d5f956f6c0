"""Options that would do nothing in a call are refused: the table of them, and who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from spconvify.cli.values import parse_eval
from spconvify.errors import ArgumentError

Values = Mapping[str, Any]  # of a call's parameters by name, and what else is known by then


@dataclass(frozen=True)
class Idle:
    """Parameters by name, the values of others with which they do nothing, and why."""

    options: str
    when: Callable[[Values], bool]
    because: str


_MEASURING = "engine threads batch device tune"
_BUDGETS = ("target_macs", "target_speedup", "max_drop")
_PER_LAYER = Idle(
    "per_layer", lambda v: v["format"] in ("json", "csv"), "json and csv list every layer anyway"
)
_PLANNED = Idle(
    "ratio groups fusion include exclude ratio_for",
    lambda v: v["plan"] is not None,
    "--plan says what is converted, and how",
)
RULES: Mapping[str, tuple[Idle, ...]] = {
    "convert": (
        Idle(
            _MEASURING,
            lambda v: not v["latency"] and not v["only_faster"] and v["target_speedup"] is None,
            "nothing is timed without --latency or --only-faster, or a --target-speedup",
        ),
        Idle(
            "ratio groups fusion ratio_for",
            lambda v: any(v[name] is not None for name in _BUDGETS),
            "a budget decides what becomes of every layer",
        ),
        Idle(
            "calibration_count seed refine",
            lambda v: v["calibration"] is None,
            "nothing is fitted without --calibration",
        ),
        Idle(
            "resize mean std normalize bgr kind",
            lambda v: v["calibration"] is None and parse_eval(v["eval"])[0] is None,
            "no images are read without --calibration or --eval F.npz",
        ),
        _PLANNED,
        Idle("plot", lambda v: v["dry_run"], "--dry-run writes nothing"),
        Idle(
            "force",
            lambda v: v["dry_run"] and v["out"] is None and v["save_plan"] is None,
            "--dry-run writes nothing",
        ),
        _PER_LAYER,
    ),
    "frontier": (
        Idle(
            "engine threads batch device",
            lambda v: not v["latency"] and v["target_speedup"] is None,
            "nothing is timed without --latency or a --target-speedup",
        ),
    ),
    "report": (
        Idle(_MEASURING, lambda v: not v["latency"], "nothing is timed with --no-latency"),
        _PLANNED,
        Idle("force", lambda v: v["plot"] is None, "nothing is written without --plot"),
        Idle(
            "ratio groups fusion include exclude ratio_for plan only_faster",
            lambda v: v.get("converted", False),
            "the checkpoint is converted already, and is shown as it is",
        ),
        _PER_LAYER,
    ),
}


class Command(TyperCommand):
    """A command that looks at the table before it starts."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            ArgumentError: for an option that would do nothing.
        """
        refuse_idle(ctx)
        return super().invoke(ctx)


def refuse_idle(context: typer.Context, **facts: Any) -> None:
    """Refuse options that were given and do nothing; `facts` are what came out since the call.

    Raises:
        ArgumentError: names the first one, and why.
    """
    values = {**context.params, **facts}
    for rule in RULES.get(context.info_name or "", ()):
        for name in rule.options.split():
            if _given(context, name) and rule.when(values):
                raise ArgumentError(f"{_flag(context, name)} does nothing here: {rule.because}")


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _flag(context: typer.Context, name: str) -> str:
    (parameter,) = (one for one in context.command.params if one.name == name)
    return max(parameter.opts, key=len)
