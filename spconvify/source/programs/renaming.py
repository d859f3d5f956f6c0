"""Give the outputs of a program that was just traced the names that the original's have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spconvify.source.programs.pdmodel import read_pdmodel
from spconvify.source.programs.wire import encode, fields

_STRING = None  # of the paths below: a name
# Where a .pdmodel has names of variables: field numbers from the program on.
_NAMES: Mapping[int, Any] = {1: {3: {1: _STRING}, 4: {1: {2: _STRING}, 2: {2: _STRING}}}}


def rename_outputs(program: Path, names: Sequence[str]) -> None:
    """Change the names of the outputs in the file `program`, in their order.

    Raises:
        ValueError: if it has another number of outputs.
    """
    data = program.read_bytes()
    change = _in_pir if program.suffix == ".json" else _in_pdmodel
    program.write_bytes(change(data, names))


def _in_pir(data: bytes, names: Sequence[str]) -> bytes:
    file = json.loads(data)
    for operator in file["program"]["regions"][0]["blocks"][0]["ops"]:
        if operator["#"] == "1.fetch":
            attrs = {item["N"]: item["AT"] for item in operator["A"]}
            attrs["name"]["D"] = names[attrs["col"]["D"]]
    return json.dumps(file, separators=(",", ":")).encode()


def _in_pdmodel(data: bytes, names: Sequence[str]) -> bytes:
    old = [fetch.name for fetch in read_pdmodel(data).fetches]
    if len(old) != len(names):
        raise ValueError(f"{len(old)} outputs for {len(names)} names")
    # Somebody else may have one of these names: it gets a new one.
    known = {name.decode() for name in _names(data, _NAMES)} | set(names)
    others = {name: _free(name, known) for name in names if name not in old}
    mapping = {**others, **dict(zip(old, names))}
    return _renamed(data, _NAMES, {old.encode(): new.encode() for old, new in mapping.items()})


def _names(data: bytes, places: Any) -> Iterator[bytes]:
    """All that stand in `places` of a message."""
    if places is _STRING:
        yield data
        return
    for number, _, value in fields(data):
        if number in places:
            yield from _names(value, places[number])


def _free(name: str, known: set[str]) -> str:
    while name in known:
        name += ".other"
    known.add(name)
    return name


def _renamed(data: bytes, places: Any, mapping: Mapping[bytes, bytes]) -> bytes:
    if places is _STRING:
        return mapping.get(data, data)
    return encode(
        (number, wire, _renamed(value, places[number], mapping) if number in places else value)
        for number, wire, value in fields(data)
    )
