"""The command line: parse, call, print. `main` is the program's entry point."""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, Callable

import typer

from spconvify.cli import convert, export, frontier, inspect, recover, report, verify
from spconvify.cli.idle import Command
from spconvify.cli.output import error, note, use
from spconvify.cli.shell import Program
from spconvify.cli.signals import end_in_order, over, signal_that_came
from spconvify.cli.streams import Streams, outputs
from spconvify.cli.values import check_none_is_empty
from spconvify.cli.wording import worded
from spconvify.errors import AgreementWarning, ArgumentError, SpconvifyError
from spconvify.files.placing import keep_umask
from spconvify.held_signals import deaf_threads
from spconvify.printable import printable, said

app = typer.Typer(
    name="spconvify",
    cls=Program,
    help="Make a trained PaddlePaddle network slim with SPConv, and see what that gives.",
    epilog="spconvify COMMAND --help shows each command's options and examples.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
_streams: Streams | None = None  # of the call of `main` that runs


def _add(function: Callable[..., None], epilog: str, saves: bool = False) -> None:
    """Make a command of `function`: what it calls prints on stderr, only results go to stdout."""

    @functools.wraps(function)
    def command(**options: Any) -> None:
        if _streams is not None:
            _streams.keep_for_results()
        with deaf_threads():
            import numpy  # noqa: F401 - whose algebra starts some
        function(**options)
        if _streams is not None and saves and not options.get("dry_run"):
            _streams.saved = True

    app.command(cls=Command, epilog=epilog)(command)


_add(convert.convert, convert.EPILOG, saves=True)
_add(report.report, report.EPILOG)
_add(frontier.frontier, frontier.EPILOG, saves=True)
_add(recover.recover, recover.EPILOG, saves=True)
_add(export.export, export.EPILOG, saves=True)
_add(inspect.inspect, inspect.EPILOG)
_add(verify.verify, verify.EPILOG)

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
    """Run the command line and exit: 0 done, 1 a job that failed, 2 a wrong call.

    Called without arguments this is the program: then what is printed at its very end, by what a network
    has registered, doesn't get among the results either.
    """
    global _streams
    is_program = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    end_in_order()
    keep_umask()
    with outputs(for_good=is_program) as _streams:
        use(_streams)
        try:
            code = _run(arguments) or _lost(_streams)
        finally:
            use(None)
            _streams = None
    if is_program:
        over()
        _leave_threads_behind(code)
    sys.exit(code)


def _leave_threads_behind(code: int) -> None:
    """End at once if a network has started threads, for which Python would wait: perhaps for ever."""
    main_thread = threading.main_thread()
    if any(thread is not main_thread and not thread.daemon for thread in threading.enumerate()):
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        check_none_is_empty(arguments)
        code = app(arguments, standalone_mode=False)
        if code == _INTERRUPTED:  # newer versions of Typer make this of a Ctrl-C, and say nothing
            return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except BaseException as problem:  # a network may raise anything, SystemExit too
        if signal_that_came() is not None:  # whatever the network, or Paddle, has made of it
            return _interrupted()
        if "--debug" in arguments:
            for line in traceback.format_exc().splitlines():
                print(printable(line), file=sys.stderr)
        return _explain(problem)
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    came = signal_that_came()
    if came not in (None, signal.SIGINT):
        return 128 + int(came or 0)
    error("interrupted")
    return _INTERRUPTED


def _lost(streams: Streams) -> int:
    """What it means that a result couldn't be printed; a file that was made is there nevertheless."""
    streams.results.flush()
    problem = streams.results.lost
    if problem is None:
        return 0
    text = f"can't print the result: {getattr(problem, 'strerror', None) or problem}"
    if streams.saved:
        note(f"warning: {text}")
        return 0
    error(text)
    return 1


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    style = "bold red" if issubclass(category, AgreementWarning) else "dim"
    note(f"warning: {' '.join(str(message).split())}", style=style)


def _explain(problem: BaseException) -> int:
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
    if isinstance(problem, SystemExit):
        if _streams is not None and not _streams.kept_for_results and isinstance(problem.code, int):
            return problem.code  # Typer's, which has answered the shell; no command has begun
        asked = "" if problem.code is None else repr(problem.code)
        what = "the network, or a module or function that goes with it,"  # a loss of one's own
        error(f"{what} called sys.exit({asked}); the work isn't done")
        return 1
    error(f"{type(problem).__name__}: {said(problem)} (run again with --debug for the traceback)")
    return 1
