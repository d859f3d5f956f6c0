"""The table of fingerprints, fingerprints.json: keys and shapes of every architecture."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

PATH = Path(__file__).with_name("fingerprints.json")
NUM_CLASSES, IN_CHANNELS, WIDTH = "N", "C", "W"

# A shape whose dimensions are numbers, "N" for the number of classes, "C" for the input channels, or "W"
# for the channels of the first stage, and "2W" for twice as many.
SymbolicShape = tuple[Union[int, str], ...]


@dataclass(frozen=True)
class Fingerprint:
    """What identifies an architecture.

    Attributes:
        shapes: structured name -> shape of every parameter and buffer.
        head: those names that aren't there if it is built without a head (0 classes).
    """

    shapes: Mapping[str, SymbolicShape]
    head: frozenset[str]


def multiple(symbol: str) -> tuple[int, str]:
    """ "2W" -> (2, "W"), "N" -> (1, "N")."""
    name = symbol.lstrip("0123456789")
    return int(symbol[: -len(name)] or 1), name


@functools.lru_cache(maxsize=1)
def load() -> dict[str, Fingerprint]:
    """The shipped table, name -> fingerprint."""
    return {name: decode(record) for name, record in json.loads(PATH.read_text("utf-8")).items()}


def encode(fingerprint: Fingerprint) -> dict[str, Any]:
    """A compact record for JSON: layers with the same parameters are listed together.

    Every parameter has to be in a sub-layer, none at the root.

    ``{"layers": {"bias:10 weight:512x10": "fc", ...}, "head": "fc"}``
    """
    parameters: dict[str, dict[str, str]] = {}
    for key, shape in fingerprint.shapes.items():
        layer, _, parameter = key.rpartition(".")
        parameters.setdefault(layer, {})[parameter] = "x".join(map(str, shape))
    layers: dict[str, list[str]] = {}
    for layer, own in parameters.items():
        signature = " ".join(f"{parameter}:{own[parameter]}" for parameter in sorted(own))
        layers.setdefault(signature, []).append(layer)
    head = {key.rpartition(".")[0] for key in fingerprint.head}
    return {
        "head": " ".join(sorted(head)),
        "layers": {signature: " ".join(sorted(own)) for signature, own in layers.items()},
    }


def decode(record: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint that `encode` made the record of."""
    head = set(record["head"].split())
    shapes: dict[str, SymbolicShape] = {}
    head_keys = []
    for signature, layers in record["layers"].items():
        own = dict(parameter.split(":") for parameter in signature.split())
        for layer in layers.split():
            shapes.update({f"{layer}.{parameter}": _shape(text) for parameter, text in own.items()})
            if layer in head:
                head_keys += [f"{layer}.{parameter}" for parameter in own]
    return Fingerprint(shapes, frozenset(head_keys))


def _shape(text: str) -> SymbolicShape:
    return tuple(int(size) if size.isdigit() else size for size in text.split("x"))
