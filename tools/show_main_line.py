"""Run the `spconvify convert` lines of the README that have a table behind them, and keep the output.

python tools/show_main_line.py                # writes the files that the marks name
python tools/show_main_line.py convert.md     # only that one
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LINE = re.compile(
    r"^(?:pip install .*&& )?(spconvify convert .*)\n```\n\n<!-- table: (\S+) -->$", re.MULTILINE
)


def main(names: list[str]) -> None:
    for line, place in _LINE.findall((ROOT / "README.md").read_text()):
        if not names or Path(place).name in names:
            (ROOT / place).write_text(printed(line) + "\n")


def printed(line: str) -> str:
    """What a command prints at 80 columns, as a block of text."""
    with tempfile.TemporaryDirectory() as folder:
        command = shlex.split(line)
        out = command.index("--out") + 1
        command[out] = f"{folder}/{command[out]}"
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True
        )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    notes = [text for text in done.stderr.decode().splitlines() if " images of " in text]
    table = [text.rstrip() for text in done.stdout.decode().strip().splitlines()]
    return "\n".join(["```text", *notes, "", *table, "```"])


if __name__ == "__main__":
    main(sys.argv[1:])
