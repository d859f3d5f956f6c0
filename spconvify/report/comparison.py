"""Before and after in one plain object: what every table, file and plot is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spconvify.deploy.latencies import Timing
from spconvify.errors import Option, SpconvifyError
from spconvify.report.side import Side
from spconvify.report.sites import SiteComparison, fill_costs, mark_narrowed

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.evaluation.agreement import Agreement
    from spconvify.network.counting import Cost
    from spconvify.surgery.fit_report import FitReport
    from spconvify.surgery.planning import Plan


@dataclass
class Comparison:
    """Two networks side by side, and how they were measured."""

    model: str
    input_shape: tuple[int, ...]
    before: Side
    after: Side
    ratio: float | None = None
    groups: int | None = None
    fusion: str | None = None
    sites: list[SiteComparison] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    failures: list[SpconvifyError] = field(default_factory=list)  # engines without a latency, and why
    write: Callable[[Option], str] = str  # how an option is named in them
    agreement: Agreement | None = None  # of the outputs, where there were images to compare them on
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)  # by name, where there are several
    notes: list[str] = field(
        default_factory=list
    )  # how the plan was found, and what was done at the end

    @property
    def narrowed(self) -> list[SiteComparison]:
        """The sites that have fewer channels than before."""
        return [site for site in self.sites if site.kept is not None]

    @property
    def converted(self) -> list[SiteComparison]:
        """The sites that were replaced."""
        return [site for site in self.sites if site.eligible]

    def add_fit(self, report: FitReport) -> None:
        """Take in what a fit to images gave."""
        self.agreement = report.agreement
        for site in self.sites:
            site.error = report.get(site.name)
            site.kept_copy = report.copied.get(site.name, "")

    def add(self, timing: Timing) -> None:
        """Take in a timing; the first one's forms are the sites'."""
        self.timings.append(timing)
        for site in self.sites:
            site.form = site.form or timing.forms.get(site.name)

    @property
    def speedup(self) -> float | None:
        """Median latency before / after fusing of the first timing; None if there is none, or if the
        p10-p90 intervals overlap."""
        return self.timings[0].speedup if self.timings else None

    @property
    def macs_ratio(self) -> float:
        """MACs before / after: no speed-up can be expected to go past it."""
        return self.before.macs / self.after.macs

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """The user's own figures by name: before, after and their difference; None where one isn't."""
        before, after = self.before.metrics, self.after.metrics
        return {
            name: {
                "before": before.get(name),
                "after": after.get(name),
                "difference": after[name] - before[name] if name in before and name in after else None,
            }
            for name in {**before, **after}
        }

    def __str__(self) -> str:
        """The table, as the command line prints it."""
        from spconvify.report import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """The table, for a notebook."""
        from spconvify.report import as_html

        return as_html(self)

    @property
    def untimed(self) -> list[str]:
        """Engines that gave no latency, and why."""
        return [failure.text(self.write) for failure in self.failures]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it.

        `engine` to `batch`, `latency_ms` and `speedup` are the first timing's; `after` is fused there.
        """
        first = self.timings[0] if self.timings else None
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            **({"inputs": {k: list(v) for k, v in self.inputs.items()}} if self.inputs else {}),
            "ratio": self.ratio,
            "groups": self.groups,
            "fusion": self.fusion,
            "engine": first and first.engine,
            "threads": first and first.threads,
            "batch": first.batch if first else self.input_shape[0],
            "before": {**self.before.to_dict(), "latency_ms": first and first.before.to_dict()},
            "after": {**self.after.to_dict(), "latency_ms": first and first.fused.to_dict()},
            "macs_ratio": self.macs_ratio,
            "agreement": self.agreement and self.agreement.to_dict(),
            "metrics": self.metrics,
            "speedup": self.speedup,
            "timings": [
                {**timing.to_dict(), "share_of_bound": timing.ratio / self.macs_ratio}
                for timing in self.timings
            ],
            "sites": [vars(site) for site in self.sites],
            "uncounted": self.uncounted,
            "untimed": self.untimed,
            "notes": self.notes,
        }


def compared(
    name: str,
    input_shape: Any,
    cost_before: Cost,
    after: nn.Layer,
    sites: list[SiteComparison],
    settings: Mapping[str, Any],
) -> Comparison:
    """Both networks' cost side by side, site by site; `settings` as `common_settings` gives them."""
    from spconvify.network.batches import shape_of
    from spconvify.network.counting import cost
    from spconvify.network.inputs import Inputs

    inputs = Inputs.of(input_shape)
    cost_after = cost(after, input_shape)
    fill_costs(sites, cost_before, cost_after)
    mark_narrowed(sites, after)
    sides = Side.of(cost_before), Side.of(cost_after)
    uncounted = list(cost_after.uncounted)
    comparison = Comparison(name, shape_of(inputs), *sides, **settings, sites=sites, uncounted=uncounted)
    if not inputs.is_plain:
        comparison.inputs = dict(inputs.said)
    return comparison


def common_settings(plan: Plan) -> dict[str, Any]:
    """ratio, groups and fusion of a plan, each where all of its sites agree, else None."""
    values = {}
    for key in ("ratio", "groups", "fusion"):
        different = {getattr(settings, key, None) for settings in plan.sites.values()}
        values[key] = different.pop() if len(different) == 1 else None
    return values
