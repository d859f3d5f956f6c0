"""An entry of the operators' table: from an operator's arguments to the call that does the same."""

from __future__ import annotations

from typing import Any, Callable

from spconvify.source.programs.arguments import Arguments

Call = tuple[Callable[..., Any], list[Any], dict[str, Any]]
Entry = Callable[[Arguments], Call]


def of_tensors(function: Callable[..., Any], **attributes: str) -> Entry:
    """For a function of the inputs; `attributes` maps its keywords to the operator's attributes."""

    def entry(n: Arguments) -> Call:
        return function, n.all(), {keyword: n[name] for keyword, name in attributes.items()}

    return entry


def dtype_of(value: Any) -> str | None:
    """A dtype as Paddle's functions take it; None where the operator leaves it open."""
    if value is None:
        return None
    name = str(value).rpartition(".")[2].lower()
    return None if not name or name.startswith("undefined") else name  # "undefined(all_dtype)"


def layout_of(n: Arguments) -> str:
    """ "NCHW" or "NHWC"."""
    layout = n.either("data_format", "data_layout")
    return "NCHW" if layout in (None, "AnyLayout", "ANYLAYOUT") else layout
