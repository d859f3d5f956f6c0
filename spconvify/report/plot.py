"""MACs of every converted layer before and after, and how well it was fitted, as a picture."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable

from spconvify.errors import ArgumentError, EngineError, SpconvifyError
from spconvify.files.places import Inputs, check_file, place_to_fill
from spconvify.files.scratch import atomic
from spconvify.printable import one_line, printable, said
from spconvify.report.comparison import Comparison
from spconvify.report.rows import settings, title

_WIDEST = 400.0  # inches: a picture has at most 65535 dots
SUFFIXES = (".png", ".svg", ".pdf", ".jpg", ".jpeg")


def check_plot(path: Path, force: bool = False, inputs: Inputs | None = None) -> None:
    """Find out, before anything is computed or written, whether a plot can be drawn into `path`.

    Args:
        path: of the picture.
        force: an existing file may be replaced.
        inputs: what the command reads, by the option's name: never replaced, whatever `force` says.

    Raises:
        ArgumentError: if it isn't a picture's name in a folder that can be written to, is an input, or
            exists and `force` is off.
        EngineError: if matplotlib isn't installed, or can't be imported.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"plot {path}: unknown suffix {path.suffix!r}; use {', '.join(SUFFIXES)}")
    try:
        if path.is_dir() or not path.resolve().parent.is_dir():
            raise ArgumentError(f"plot {path} isn't a file in an existing folder")
        check_file(path, f"plot {path}", force, inputs or {}, in_folders=True)
    except OSError as error:  # a name that is too long, for one
        raise ArgumentError(f"plot {path} can't be written: {error.strerror or error}") from error
    if find_spec("matplotlib") is None:
        raise EngineError("a plot needs matplotlib: pip install 'spconvify[plot]'")
    try:
        with _plain_settings():
            empty_figure(6.0)
    except Exception as error:  # a broken installation, its settings, what surrounds it
        raise EngineError(f"a plot can't be drawn: matplotlib says {_said(error)}") from error


@contextlib.contextmanager
def _plain_settings() -> Iterator[None]:
    """matplotlib as it is without anybody's settings, and texts that are no formulas.

    When it is imported it reads a file `matplotlibrc` of the current folder, which can have it run a
    program to write texts, and the backend that it should show windows with, which Jupyter sets for the
    programs that it starts too.
    """
    if "matplotlib" not in sys.modules:
        spec = find_spec("matplotlib")
        folder = os.path.dirname(spec.origin) if spec and spec.origin else os.sep
        with _in_folder(folder), _without_variable("MPLBACKEND"):
            importlib.import_module("matplotlib")
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font hasn't
        matplotlib.rcdefaults()
        matplotlib.rcParams["text.parse_math"] = False
        yield


@contextlib.contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    try:
        before = os.getcwd()
    except OSError:  # it was deleted: there is nothing to go back to
        before = folder
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _without_variable(name: str) -> Iterator[None]:
    before = os.environ.pop(name, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before


def _said(error: Exception) -> str:
    return one_line(said(error)) or type(error).__name__


def save_plot(
    comparison: Comparison, path: Path, overwrite: bool = True, place: Path | None = None
) -> None:
    """Draw MACs before and after for each converted layer, and its reconstruction error if there is one.

    See `save_figure`.
    """
    save_figure(lambda: _drawn(comparison), path, overwrite, place)


def save_figure(
    drawn: Callable[[], Any], path: Path, overwrite: bool = True, place: Path | None = None
) -> None:
    """Write the figure that `drawn` makes.

    The file's suffix decides the format. It is complete or not there. `place` is where `path` was when
    it was checked.

    Raises:
        ImportError: if matplotlib isn't installed; `check_plot` tells in time.
        SpconvifyError: if it can't be drawn, or the file can't be written, or exists and `overwrite` is
            off; an old one is then as it was.
    """
    try:
        with _plain_settings():
            figure = drawn()
            with atomic(place or place_to_fill(path, overwrite), overwrite) as file:
                figure.savefig(file, dpi=150, format=path.suffix[1:].lower())
    except ImportError:
        raise
    except FileExistsError as error:
        raise SpconvifyError(f"{path} exists and is as it was; choose another name") from error
    except OSError as error:
        raise SpconvifyError(f"can't write {path}: {error.strerror or error}") from error
    except Exception as error:  # whatever matplotlib raises
        raise SpconvifyError(f"can't draw {path}: matplotlib says {_said(error)}") from error


def empty_figure(width: float) -> Any:
    """A figure that no window shows; `width` is in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _drawn(comparison: Comparison) -> Any:
    sites = comparison.converted
    figure = empty_figure(min(max(6.0, 1.5 + 0.28 * len(sites)), _WIDEST))
    axes = figure.add_subplot()
    places = range(len(sites))
    for offset, label, colour, hatch, values in (
        (-0.2, "before", "0.75", "", [site.macs_before / 1e6 for site in sites]),
        (+0.2, "after", "#1f5fa8", "//", [site.macs_after / 1e6 for site in sites]),
    ):
        left = [place + offset for place in places]
        axes.bar(left, values, 0.4, label=label, color=colour, hatch=hatch, edgecolor="black", lw=0.4)
    names = [printable(site.name or "(root)") for site in sites]
    axes.set_xticks(list(places), names, rotation=90, fontsize=7)
    axes.set_ylabel("million MACs")
    axes.set_title(f"{printable(title(comparison))}\n{settings(comparison)}", fontsize=9)
    axes.margins(x=0.01)
    axes.legend(frameon=False, loc="upper left")
    if any(site.error is not None for site in sites):
        right = axes.twinx()
        errors = [float("nan") if site.error is None else site.error for site in sites]
        right.plot(list(places), errors, "k.--", lw=0.8, label="reconstruction error")
        right.set_ylabel("relative reconstruction error")
        right.set_ylim(bottom=0)
        right.legend(frameon=False, loc="upper right")
    axes.set_ylim(top=1.2 * axes.get_ylim()[1])  # room for the legends
    return figure
