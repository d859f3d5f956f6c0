"""Selection: the options that say which network, and how it is converted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spconvify.cli.output import note, working
from spconvify.cli.paddle_setup import load_paddle
from spconvify.cli.values import parse_ratios
from spconvify.operators import inits
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import (
    DEFAULT_FUSION,
    DEFAULT_GROUPS,
    DEFAULT_RATIO,
    SPConvSettings,
)
from spconvify.source.loading import Source, open_source


@dataclass
class Selection:
    """Which network, and how to convert it."""

    source: str
    arch: str | None
    ratio: float
    groups: int
    fusion: str = DEFAULT_FUSION
    init: str = DEFAULT_INIT
    include: list[str] | None = None
    exclude: list[str] | None = None
    ratio_for: list[str] | None = None
    weights: str | None = None
    ignore: list[str] | None = None
    plan_file: Path | None = None

    @classmethod
    def for_search(
        cls,
        source: str,
        arch: str | None,
        include: list[str] | None,
        exclude: list[str] | None,
        weights: str | None,
        ignore: list[str] | None,
    ) -> Selection:
        """For a budget, which decides what becomes of every layer that may change."""
        return cls(
            source,
            arch,
            DEFAULT_RATIO,
            DEFAULT_GROUPS,
            init="lstsq",
            include=include,
            exclude=exclude,
            weights=weights,
            ignore=ignore,
        )

    def check(self) -> None:
        """Find wrong values before Paddle is loaded.

        Raises:
            ArgumentError: names the value and what would do.
        """
        for ratio in (self.ratio, *parse_ratios(self.ratio_for).values()):
            SPConvSettings(ratio, self.groups, self.fusion).check()
        inits.find(self.init)

    def open(self, quiet: bool) -> Source:
        """Read the source and load Paddle."""
        with working(f"reading {self.source}", quiet):
            source = open_source(self.source, self.arch, weights=self.weights, ignore=self.ignore or ())
        with working("loading Paddle", quiet):
            load_paddle()
        ambiguous = getattr(source.architecture, "ambiguous_with", ())
        if ambiguous and source.state is not None:
            note(f"the same keys also fit {', '.join(ambiguous)}; name it with --arch", quiet)
        return source

    def plan(self, model: Any) -> Any:
        """Plan the conversion of `model`, or take the plan of a file."""
        from spconvify.cli.plan_file import read_plan
        from spconvify.surgery.planning import plan

        if self.plan_file is not None:
            return read_plan(self.plan_file, model)
        return plan(
            model,
            self.ratio,
            self.groups,
            fusion=self.fusion,
            include=self.include or None,
            exclude=self.exclude,
            ratios=parse_ratios(self.ratio_for),
        )

    def chosen(self, model: Any) -> set[str] | None:
        """Names of the sites that a budget may change; None for all."""
        from spconvify.surgery.globs import chosen_sites

        return chosen_sites(model, self.include or None, self.exclude)
