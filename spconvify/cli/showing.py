"""Output: the options that say how a comparison is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spconvify.cli.output import note, result, stdout
from spconvify.cli.values import check_format
from spconvify.cli.wording import as_flag
from spconvify.files.places import Inputs, place_to_fill
from spconvify.report import FORMATS
from spconvify.report.comparison import Comparison
from spconvify.report.frontier import Frontier
from spconvify.report.frontier_table import FRONTIER_FORMATS
from spconvify.report.plot import check_plot, save_plot


@dataclass
class Output:
    """How to show the result."""

    format: str
    per_layer: bool
    plot: Path | None
    quiet: bool
    force: bool = False
    place: Path | None = None  # of the plot

    def check(self, inputs: Inputs | None = None) -> None:
        """Find wrong values before Paddle is loaded.

        Args:
            inputs: what a plot must not replace, by the option's name.

        Raises:
            ArgumentError: names the value and what would do.
            EngineError: if a plot is wanted and matplotlib isn't installed.
        """
        check_format(self.format, FORMATS)
        if self.plot is not None:
            check_plot(self.plot, self.force, inputs)
            self.place = place_to_fill(self.plot, self.force)

    def show(self, comparison: Comparison) -> None:
        """Print the comparison."""
        comparison.write = as_flag
        text = FORMATS[self.format].comparison(stdout(), comparison, self.per_layer)
        if text is not None:
            result(text)

    def draw(self, comparison: Comparison) -> None:
        """Draw the plot, if one is wanted.

        Raises:
            SpconvifyError: if that fails.
        """
        if self.plot is not None:
            save_plot(comparison, self.plot, self.force, self.place)
            note(f"drew {self.plot}", self.quiet)


def show_frontier(frontier: Frontier, format: str) -> None:
    """Print several networks in one of `FRONTIER_FORMATS`."""
    for point in frontier.points:
        point.comparison.write = as_flag
    text = FRONTIER_FORMATS[format](stdout(), frontier)
    if text is not None:
        result(text)
