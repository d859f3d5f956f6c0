"""Which backbone of PaddleClas a state dict belongs to; needs neither Paddle nor PaddleClas.

``python -m spconvify.zoo.paddleclas_table`` writes the table, paddleclas.json; to be run for another
version of PaddleClas. A backbone's record is a checksum of the names and shapes that neither classes nor
input channels change, and the names of those that they do.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spconvify.operators.recognised import Shapes
from spconvify.operators.registry import dense_shapes
from spconvify.zoo.paddleclas import PREFIX, PaddleClasArchitecture, import_backbones

PATH = Path(__file__).with_name("paddleclas.json")
_CLASSES, _CHANNELS = (1009, 1013), (5, 7)  # no dimension of any backbone


def identify_paddleclas(shapes: Shapes, name: str | None = None) -> PaddleClasArchitecture | None:
    """The backbone that has these parameters, with its classes and input channels; None if none has.

    Args:
        shapes: structured name -> shape of every parameter and buffer; converted or not.
        name: take no other than this one.
    """
    dense = dense_shapes(shapes)
    checksum = functools.lru_cache(maxsize=None)(lambda free: _checksum(dense, free))
    fitting = []
    for known, (expected, heads, stem) in _table().items():
        free = (*heads, stem)
        if all(key in dense for key in free) and checksum(free) == expected:
            classes = {_classes(dense[key]) for key in heads}
            if len(classes) == 1:
                fitting.append(PaddleClasArchitecture(known, classes.pop(), dense[stem][1]))
    for found in fitting:
        if name in (None, found.name):
            return replace(found, ambiguous_with=tuple(o.name for o in fitting if o is not found))
    return None


def of_name(shapes: Shapes, name: str) -> PaddleClasArchitecture:
    """The backbone of this name, with the classes and input channels that the shapes tell.

    For shapes that aren't the backbone's own, as those of a narrowed one, which a checksum can't tell.
    """
    dense = dense_shapes(shapes)
    _, heads, stem = _table().get(name, ("", [], ""))
    classes = {_classes(dense[key]) for key in heads if key in dense}
    usual = PaddleClasArchitecture(name)
    return replace(
        usual,
        num_classes=classes.pop() if len(classes) == 1 else usual.num_classes,
        in_channels=dense[stem][1] if stem in dense else usual.in_channels,
    )


def stems() -> set[str]:
    """The key of every backbone's stem."""
    return {stem for _, _, stem in _table().values()}


def _classes(head: tuple[int, ...]) -> int:
    """How many classes a head has: its weight is (C, N), or (N, C, 1, 1) of a convolution."""
    return head[0] if len(head) == 4 else head[-1]


@functools.lru_cache(maxsize=1)
def _table() -> dict[str, tuple[str, list[str], str]]:
    """Name -> checksum, names of the head's weights, name of the stem's weight."""
    return {PREFIX + name: record for name, record in json.loads(PATH.read_text("utf-8")).items()}


def _checksum(shapes: Shapes, free: Iterable[str]) -> str:
    """Of all but biases (a converted convolution doesn't tell whether it had one) and what is free."""
    fixed = sorted(
        f"{key}:{'x'.join(map(str, shape))}"
        for key, shape in shapes.items()
        if key not in free and key.rpartition(".")[2] != "bias"
    )
    return hashlib.sha256("\n".join(fixed).encode()).hexdigest()[:16]


def record(name: str) -> tuple[str, list[str], str] | None:
    """A backbone's record; None if it has no head of so many classes, or no one stem."""
    one, other = (_shapes(name, classes, channels) for classes, channels in zip(_CLASSES, _CHANNELS))
    differing = [key for key, shape in one.items() if shape != other[key]]
    heads = [key for key in differing if _classes(one[key]) == _CLASSES[0] and not key.endswith("bias")]
    stems = [key for key in differing if one[key][1:2] == (_CHANNELS[0],)]
    others = {key for key in differing if not key.endswith("bias")} - {*heads, *stems}
    if not heads or len(stems) != 1 or others:
        return None
    return _checksum(one, (*heads, *stems)), heads, stems[0]


def _shapes(name: str, classes: int, channels: int) -> dict[str, tuple[int, ...]]:
    import paddle

    backbone = PaddleClasArchitecture(PREFIX + name, classes, channels)
    try:
        with paddle.LazyGuard():
            network = backbone.build()
    except Exception:  # it computes with its weights
        network = backbone.build()
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def main() -> None:
    """Write the table into the package."""
    backbones, table = import_backbones("the table"), {}
    for name in sorted(vars(backbones)):
        if not name[0].isupper() or isinstance(getattr(backbones, name), type):
            continue
        try:
            found: Any = record(name)
        except Exception as error:
            found = None
            print(
                f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:100]}", file=sys.stderr
            )
        if found:
            table[name] = found
    lines = (f"{json.dumps(name)}: {json.dumps(table[name])}" for name in table)
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{PATH}: {len(table)} backbones")


if __name__ == "__main__":
    main()
