"""Text that any terminal, file and parser takes: names of files and layers may hold anything."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

# Characters that are "printable" to Python and yet show nothing: Unicode's Default_Ignorable_Code_Point
# outside of the categories that str.isprintable leaves out, and the blank of Braille.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")  # not line breaks, nothing of no width
# What our own texts use beyond ASCII, for an output that can't show it.
_PLAIN = str.maketrans({
    "−": "-", "–": "-", "→": "->", "·": "|", "×": "x", "¹": "(1)", "²": "(2)", "³": "(3)", "…": "...",
})  # fmt: skip
PLAIN_ERRORS = "spconvify.plain"  # for `errors=` of a text file
_LONGEST = 4000


def printable(text: str) -> str:
    """One line of text with everything escaped that steers a terminal, hides, or turns its direction.

    Control characters, line breaks, marks of direction and of no width become what Python writes for
    them, such as ``\\x1b``; a very long text loses its middle.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if _shows(letter) else _escaped(letter) for letter in text)


def _shows(letter: str) -> bool:
    if letter.isprintable():
        return not _INVISIBLE.match(letter)
    return bool(_SPACES.match(letter))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")


def said(error: BaseException) -> str:
    """An error's text; none if its own ``__str__`` fails."""
    try:
        return str(error)
    except Exception:
        return ""


def one_line(text: str) -> str:
    """`printable`, with the text's own line breaks as spaces."""
    return printable(" ".join(text.split()))


def json_text(data: Any, indent: int | None = 2, **options: Any) -> str:
    """JSON that every parser takes: numbers that aren't finite are null, and ASCII only."""
    return json.dumps(_for_json(data), indent=indent, allow_nan=False, **options)


def _for_json(data: Any) -> Any:
    if isinstance(data, str):  # half of a surrogate pair, as undecodable file names have, is no JSON
        return data.encode("utf-8", "backslashreplace").decode()
    if isinstance(data, Mapping):
        return {_for_json(str(key)): _for_json(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_for_json(value) for value in data]
    if isinstance(data, PathLike):
        return _for_json(fspath(data))
    if hasattr(data, "tolist"):  # NumPy's numbers and arrays
        return _for_json(data.tolist())
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def _plain(error: UnicodeError) -> tuple[str, int]:
    """For `PLAIN_ERRORS`: our own signs as ASCII, others escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(PLAIN_ERRORS, _plain)
