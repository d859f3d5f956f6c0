"""The command line: parse, call, print. `main` is the program's entry point."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import typer

from spconvify.cli import convert, export, inspect, recover, report, verify
from spconvify.cli.idle import Command
from spconvify.cli.output import error, note
from spconvify.cli.signals import end_in_order
from spconvify.cli.wording import worded
from spconvify.errors import ArgumentError, SpconvifyError

app = typer.Typer(
    name="spconvify",
    help="Make a trained PaddlePaddle network slim with SPConv, and see what that gives.",
    epilog="spconvify COMMAND --help shows each command's options and examples.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command(cls=Command, epilog=convert.EPILOG)(convert.convert)
app.command(cls=Command, epilog=report.EPILOG)(report.report)
app.command(cls=Command, epilog=recover.EPILOG)(recover.recover)
app.command(cls=Command, epilog=export.EPILOG)(export.export)
app.command(cls=Command, epilog=inspect.EPILOG)(inspect.inspect)
app.command(cls=Command, epilog=verify.EPILOG)(verify.verify)

# Newer versions of Typer bring their own click: find its base class through Typer.
_ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
_INTERRUPTED = 130
_INSTALL = "PaddlePaddle isn't installed: pip install 'spconvify[cpu]' (or 'spconvify[gpu]', never both)"


def _version(value: bool) -> None:
    if value:
        from spconvify import __version__

        print(f"spconvify {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a job that failed, 2 a wrong call."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    end_in_order()
    try:
        code = app(arguments, standalone_mode=False)
        if code == _INTERRUPTED:  # newer versions of Typer make this of a Ctrl-C, and say nothing
            error("interrupted")
    except Exception as problem:
        if "--debug" in arguments:
            traceback.print_exc()
        code = _explain(problem)
    except KeyboardInterrupt:
        error("interrupted")
        code = _INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    note(f"warning: {' '.join(str(message).split())}")


def _explain(problem: Exception) -> int:
    """One line on stderr that says what is wrong and what to do; returns the exit code."""
    if isinstance(problem, ArgumentError):
        error(worded(problem))
        return 2
    if isinstance(problem, SpconvifyError):
        error(worded(problem))
        return 1
    if isinstance(problem, _ClickException):
        message = problem.format_message()  # type: ignore[attr-defined]
        if message:  # no_args_is_help raises with an empty one, after the help
            error(f"{message.rstrip('.')}; see spconvify --help")
        return 2
    if isinstance(problem, ImportError) and (problem.name or "").split(".")[0] == "paddle":
        error(_INSTALL)
        return 1
    if type(problem).__name__ == "Abort":
        error("interrupted")
        return _INTERRUPTED
    if isinstance(problem, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    error(f"{type(problem).__name__}: {problem} (run again with --debug for the traceback)")
    return 1
