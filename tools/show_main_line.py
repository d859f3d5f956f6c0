"""Run the README's first `spconvify convert` in this folder's parent and keep what it prints.

python tools/show_main_line.py        # writes benchmarks/results/convert.md
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    readme = (ROOT / "README.md").read_text()
    line = re.search(r"^pip install .*&& (spconvify convert .*)$", readme, re.MULTILINE)[1]
    with tempfile.TemporaryDirectory() as folder:
        command = shlex.split(line.replace("--out sp.pdparams", f"--out {folder}/sp.pdparams"))
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True
        )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    notes = [text for text in done.stderr.decode().splitlines() if "images" in text]
    table = [text.rstrip() for text in done.stdout.decode().strip().splitlines()]
    text = "\n".join(["```text", *notes, "", *table, "```"])
    (ROOT / "benchmarks" / "results" / "convert.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
