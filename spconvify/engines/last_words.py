"""Of all that a process has printed: the lines that may tell why it failed."""

from __future__ import annotations

from collections.abc import Iterable

# What is printed when packages are imported, and ends nothing: of NumPy for an extension that was built
# for another one, as an older OpenCV.
_HARMLESS = ("module compiled against ABI version",)


def telling(lines: Iterable[str]) -> list[str]:
    """The lines that name an error, in their order; the last one, as a rule, is what ended the process.

    Where the system ended it, Paddle's own handler has said so, and nothing else counts.
    """
    found = [line.strip() for line in lines if "rror" in line and not any(h in line for h in _HARMLESS)]
    return [line for line in found if line.startswith("FatalError")] or found
