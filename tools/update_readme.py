"""Put the tables of benchmarks/results into the README: the text between their marks.

    python tools/update_readme.py            # or --check: only tell whether all is up to date

A mark is ``<!-- table: benchmarks/results/NAME.md -->``; the table ends at ``<!-- end of table -->``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def updated(text: str) -> str:
    """The README's text with the tables as they are in the files."""
    return _MARK.sub(lambda mark: mark[1] + (ROOT / mark[2]).read_text() + mark[3], text)


def main() -> None:
    readme = ROOT / "README.md"
    before = readme.read_text()
    after = updated(before)
    if "--check" in sys.argv[1:]:
        raise SystemExit(None if after == before else "the README's tables are out of date")
    readme.write_text(after)


if __name__ == "__main__":
    main()
