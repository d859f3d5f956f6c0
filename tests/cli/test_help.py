"""The options and their help texts are a promise: a change of them is a change of tests/cli/help.txt.

To take a change over: ``OVERWRITE=1 pytest tests/cli/test_help.py``.
"""

import os
from pathlib import Path

import typer
from rich.text import Text

from spconvify.cli import app

GOLDEN = Path(__file__).with_name("help.txt")


def described():
    """Every command with its arguments and options, as Typer has them; how it draws them isn't ours."""
    for name, command in typer.main.get_command(app).commands.items():
        yield f"spconvify {name}: {' '.join((command.help or '').split())}"
        for parameter in command.params:
            if parameter.name == "help":
                continue
            default = parameter.default
            shown = (
                f" [{default}]"
                if isinstance(default, (str, int, float)) and default is not False
                else ""
            )
            names = "/".join([*parameter.opts, *parameter.secondary_opts])
            yield f"  {names}{shown}: {' '.join((getattr(parameter, 'help', None) or '').split())}"
        yield f"  examples: {' | '.join((command.epilog or '').split(chr(10) * 2)[1:])}".replace(
            "\n", ""
        )
        yield ""


def test_rich_prints_every_help_text_whole():
    """It takes words in square brackets for its own markup, and drops them."""
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            text = getattr(parameter, "help", None) or ""
            assert Text.from_markup(text).plain == text, f"{name} --{parameter.name}"


def test_help_is_as_promised():
    text = "\n".join(described())
    if os.environ.get("OVERWRITE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_every_command_prints_its_help(run):
    for name in typer.main.get_command(app).commands:
        code, text, _ = run(name, "--help")
        assert code == 0
        assert "Examples" in text
        assert "--debug" in text
