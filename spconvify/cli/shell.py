"""spconvify --install-completion: what a user keeps in a file like .bashrc stays whole.

Typer's own writes such a file anew from its beginning: a full disk cuts it off, a FIFO keeps it waiting,
and it must be UTF-8.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from spconvify.cli.output import result_line
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.files.places import check_file, place_to_fill
from spconvify.files.regular import open_regular
from spconvify.files.scratch import atomic

_PROGRAM, _VARIABLE = "spconvify", "_SPCONVIFY_COMPLETE"
_LARGEST = 1 << 24  # bytes of a file that a shell reads when it starts


@dataclass(frozen=True)
class Shell:
    """Where a shell looks: `script` for ours, `starts` for what it reads first, and the line there.

    Both lie in the home folder; in `line`, {script} is the script's place, quoted.
    """

    script: str
    starts: str = ""
    line: str = ""


SHELLS = {
    "bash": Shell(f".bash_completions/{_PROGRAM}.sh", ".bashrc", "source {script}"),
    "fish": Shell(f".config/fish/completions/{_PROGRAM}.fish"),
    "zsh": Shell(f".zfunc/_{_PROGRAM}", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
}


class Program(TyperGroup):
    """The command line, with a `--install-completion` of our own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; Typer has added its option by now."""
        for parameter in self.params:
            if parameter.name == "install_completion":
                parameter.callback = _install
        return super().parse_args(ctx, args)


def _install(ctx: Any, _: Any, value: Any) -> Any:
    if not value or ctx.resilient_parsing:
        return value
    name = str(getattr(value, "value", value)) if isinstance(value, str) else _this_shell()
    result_line(f"{name} completion installed in {install(name)}")
    result_line("Completion will take effect once you restart the terminal")
    raise typer.Exit


def _this_shell() -> str:
    """The one that has started this program; "" if that can't be told."""
    try:
        import shellingham

        return str(shellingham.detect_shell()[0])
    except Exception:  # it isn't installed, or looks into what isn't there
        return ""


def install(name: str) -> Path:
    """Have the shell `name` complete our command line, from its next start on; the script's place.

    Raises:
        ArgumentError: for another shell, or a place where no file can be written.
        SpconvifyError: if writing fails; what was there is as it was.
    """
    from typer.completion import get_completion_script

    if name not in SHELLS:
        known = f"{', '.join(sorted(SHELLS))} alone"
        raise ArgumentError(
            f"completion is installed for {known}, and this shell is "
            f"{repr(name) if name else 'none that can be told'}; see what --show-completion prints"
        )
    shell, home = SHELLS[name], _home()
    script = home / shell.script
    try:
        script.parent.mkdir(parents=True, exist_ok=True)
        check_file(script, str(script), True, {})
        text = get_completion_script(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=name)
        _write(script, f"{text}\n".encode())
        if shell.starts:  # afterwards, as it leads to the script
            _add(home / shell.starts, os.fsencode(shell.line.format(script=_quoted(script))))
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise SpconvifyError(f"can't install the completion: {problem}") from error
    return script


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise SpconvifyError("there is no home folder to install the completion in") from error


def _add(path: Path, line: bytes) -> None:
    """Add a line to a file, unless it has it; it is the old one or the new one at every moment."""
    if path.exists():
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    else:
        content = b""
    if line in content.splitlines():
        return
    if len(content) > _LARGEST:
        raise SpconvifyError(f"{path} is too large to add a line to; add this one: {os.fsdecode(line)}")
    check_file(path, str(path), True, {})
    _write(
        path, b"".join((content, b"\n" if content and not content.endswith(b"\n") else b"", line, b"\n"))
    )


def _write(path: Path, content: bytes) -> None:
    try:
        with atomic(place_to_fill(path, True)) as file:
            file.write(content)
    except OSError as error:
        raise SpconvifyError(f"can't write {path}: {error.strerror or error}") from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\"'\"'") + "'"
