"""Names of layers and networks as they are: no markup, formula, Markdown or mathematics."""

import csv
import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from spconvify.errors import EngineError, SpconvifyError
from spconvify.report import inspect_table, print_table, sites_to_markdown, to_csv, to_markdown
from spconvify.report.comparison import Comparison
from spconvify.report.side import Side
from spconvify.report.sites import SiteComparison

NAMES = (
    "[/x]",
    "[red]a[/red]",
    ":smile:",
    "x\x1b[2Jy",
    "a\nspconvify: error: b",
    "\u202eabc",
    "a|b",
    "$x_$",
)


def comparison(names=NAMES):
    sites = [SiteComparison(n, True, "", 64, 64, 1, 0.5, 2, 36864, 13312, 1000, 400, 0.9) for n in names]
    sites += [SiteComparison(n, False, f"shares {n}", 3, 64, 2) for n in names]
    side = Side(1000, 2000, 4000, 0)
    return Comparison(f"net {names[0]}", (1, 3, 8, 8), side, side, 0.5, 2, "sum", sites, [], [])


def printed(show):
    # As Rich is by default: nothing depends on how the command line makes its console.
    console = Console(file=io.StringIO(), width=400, force_terminal=True, color_system=None)
    show(console)
    return console.file.getvalue()


@pytest.mark.parametrize("table", [
    lambda console: print_table(console, comparison(), per_layer=True),
    lambda console: inspect_table(console, f"net {NAMES[0]}", comparison().sites),
])  # fmt: skip
def test_tables(table):
    text = printed(table)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "net [/x]" in text
    for name in (
        "[/x]",
        "[red]a[/red]",
        ":smile:",
        "x\\x1b[2Jy",
        "a\\nspconvify: error: b",
        "\\u202eabc",
    ):
        assert text.count(name) >= 2, name


def test_markdown():
    text = to_markdown(comparison(), per_layer=True)
    assert "**net \\[/x\\] · input 1x3x8x8**" in text
    assert "| a\\|b | 64 |" in text
    assert "a\\\\nspconvify: error: b" in text
    assert not {"\x1b", "\u202e"} & set(text)
    for name in ("<img src=x>", "*a*", "__init__", "`a`", "[a](http://b)", "&lt;"):
        (row,) = sites_to_markdown(comparison([name]).sites[:1]).splitlines()[2:]
        cell = row.split(" | ")[0][2:]
        assert cell != name
        assert cell.replace("\\", "") == name
    assert "layer1_conv" in sites_to_markdown(comparison(["layer1_conv"]).sites)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "\n=1", "＝1"])
def test_a_formula_is_text_in_csv(name):
    (row, _) = csv.DictReader(io.StringIO(to_csv(comparison([name]).sites)))
    assert row["name"].startswith("'")
    assert row["in_channels"] == "64"
    (row, _) = csv.DictReader(io.StringIO(to_csv(comparison(['a,"b\x1b']).sites)))
    assert row["name"] == 'a,"b\\x1b'


def test_plot(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from spconvify.report.plot import save_plot

    save_plot(comparison(), tmp_path / "p.svg")
    assert "\x1b" not in (tmp_path / "p.svg").read_text()
    save_plot(comparison(["x"] * 2000), tmp_path / "p.png")  # as wide as a picture can be
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_a_plot_takes_no_settings_from_the_current_folder(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    os.mkfifo(tmp_path / "matplotlibrc")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_names import comparison; from pathlib import Path\n"
        "from spconvify.report.plot import save_plot; save_plot(comparison(), Path('p.png'))"
    )
    command = [sys.executable, "-c", code, os.path.dirname(__file__)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p.png").exists()


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense", "qtagg"])
def test_a_plot_takes_no_backend_from_the_environment(tmp_path, backend):
    """Jupyter sets one for the programs that it starts."""
    pytest.importorskip("matplotlib")
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_names import comparison; from pathlib import Path\n"
        "from spconvify.report.plot import check_plot, save_plot\n"
        "check_plot(Path('p.png')); save_plot(comparison(), Path('p.png'))\n"
        "print(os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)], cwd=tmp_path, capture_output=True,
        text=True, timeout=120, env={**os.environ, "MPLBACKEND": backend},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{backend}\n"
    assert (tmp_path / "p.png").exists()


def test_what_matplotlib_raises_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from spconvify.report import plot

    def broken(*_):
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(plot, "empty_figure", broken)
    with pytest.raises(EngineError, match="a plot can't be drawn: matplotlib says no font"):
        plot.check_plot(tmp_path / "p.png")
    with pytest.raises(SpconvifyError, match=r"can't draw .*p\.png: matplotlib says no font"):
        plot.save_plot(comparison(), tmp_path / "p.png")
    assert not list(tmp_path.iterdir())
