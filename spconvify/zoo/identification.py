"""Which architecture a state dict belongs to, from its keys and shapes. Needs no Paddle."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from spconvify.checkpoint.narrowed import channels_gone
from spconvify.errors import CheckpointError, Option
from spconvify.operators.recognised import Shapes, join
from spconvify.operators.registry import dense_shapes, recognised
from spconvify.zoo.architecture import Architecture
from spconvify.zoo.catalogue import USE_ARCH, entry, names
from spconvify.zoo.difference import Difference, difference
from spconvify.zoo.fingerprint_table import IN_CHANNELS, NUM_CLASSES, WIDTH, load
from spconvify.zoo.paddleclas import PREFIX, PaddleClasArchitecture
from spconvify.zoo.paddleclas_table import identify_paddleclas, of_name, stems

_LEAVE_OUT = ("if they are no part of it, leave them out with ", Option("ignore"), "; ")
_PROGRAM_KEY = re.compile(r"[a-z]\w*_\d+\.")  # conv2d_0.weight: layers of Paddle 3's programs
_USE_PROGRAM = (
    "its keys are those of an exported program, whose folder is to be named: ",
    Option("model_or_arch", "PROGRAM"),
)


def identify(shapes: Shapes, name: str | None = None) -> Architecture | PaddleClasArchitecture:
    """The architecture that has these parameters, with its number of classes and input channels.

    Dense and converted state dicts are identified, and those of a trunk without its head
    (``num_classes`` 0); the backbones of PaddleClas too, where the catalogue has nothing that fits.

    Args:
        shapes: structured name -> shape of every parameter and buffer.
        name: take no other architecture than this one.

    Raises:
        ArgumentError: if `name` is unknown.
        CheckpointError: if nothing fits; it tells what comes nearest and which keys differ. Also if
            the keys of a replaced convolution are incomplete, see `recognised`.
    """
    if not shapes:
        raise CheckpointError("the checkpoint holds no parameters, so there is no network to identify")
    if name is not None and name.startswith(PREFIX):
        return identify_paddleclas(shapes, name) or of_name(shapes, name)
    if name is not None:
        entry(name)
    differences = _differences(shapes)
    fitting = [found for found in map(_fitting, differences, differences.values()) if found]
    fitting = fitting or _narrowed(differences)
    for found in fitting:
        if name in (None, found.name):
            others = tuple(other.name for other in fitting if other is not found)
            return replace(found, ambiguous_with=others + _like(found))
    found_elsewhere = identify_paddleclas(shapes) if name is None else None
    if found_elsewhere is not None:
        return found_elsewhere
    raise _misfit(name, differences[name], fitting) if name else _unknown(differences, shapes)


def anchors() -> list[str]:
    """A key of every architecture that a checkpoint can be identified as, its head's left out."""
    own = [
        next(key for key in known.shapes if key.endswith(".weight") and key not in known.head)
        for known in load().values()
    ]
    return [*own, *stems()]


def _differences(shapes: Shapes) -> dict[str, Difference]:
    # A converted convolution doesn't tell whether it had a bias, so no such bias is missing.
    biases = frozenset(join(site, "bias") for site in recognised(shapes))
    dense = {key: tuple(shape) for key, shape in dense_shapes(shapes).items()}
    table = load()
    return {name: difference(table[name].shapes, dense, biases) for name in names()}


def _fitting(name: str, differing: Difference) -> Architecture | None:
    if differing.unexpected or differing.misshaped or IN_CHANNELS not in differing.symbols:
        return None
    if differing.missing and load()[name].head != set(differing.missing):
        return None
    symbols = differing.symbols
    return Architecture(
        name, symbols.get(NUM_CLASSES, 0), symbols[IN_CHANNELS], width=symbols.get(WIDTH)
    )


def _narrowed(differences: dict[str, Difference]) -> list[Architecture]:
    """Architectures that have fewer channels between their convolutions here; the nearest ones first."""
    found = []
    for name, differing in differences.items():
        gone = channels_gone(differing.misshaped.values())  # type: ignore[arg-type]
        same = replace(differing, misshaped={})
        architecture = _fitting(name, same) if gone else None
        if architecture is not None:
            found.append((gone, replace(architecture, narrowed=True)))
    return [architecture for _, architecture in sorted(found, key=lambda pair: pair[0])]


def _like(found: Architecture) -> tuple[str, ...]:
    """Networks that people make of known ones, and whose shapes don't tell them from `found`."""
    if found.name == "resnet18_small" and found.width == 64:
        return ("a resnet18 that got a 3x3 stem",)  # which may have its stride, or its pooling
    return ()


def _misfit(name: str, differing: Difference, fitting: list[Architecture]) -> CheckpointError:
    remedy: Any = (f"it fits {fitting[0].name}",) if fitting else USE_ARCH
    return CheckpointError(f"the checkpoint doesn't fit {name}: {differing.describe()}; ", *remedy)


def _unknown(differences: dict[str, Difference], shapes: Shapes) -> CheckpointError:
    nearest = max(differences, key=lambda name: differences[name].likeness)
    differing = differences[nearest]
    if not differing.common:
        remedy: Any = _USE_PROGRAM if all(map(_PROGRAM_KEY.match, shapes)) else USE_ARCH
        return CheckpointError(
            "the checkpoint has no key in common with any known architecture "
            f"({differing.describe_unexpected()}); ",
            *remedy,
        )
    only_more = differing.unexpected and not differing.missing and not differing.misshaped
    return CheckpointError(
        f"the checkpoint fits no known architecture; most like {nearest} "
        f"({_percent(differing.share)} of the keys in common), with {differing.describe()}; ",
        *(_LEAVE_OUT if only_more else ()),
        *USE_ARCH,
    )


def _percent(share: float) -> str:
    # Rounded down: 100 % means that the keys are the same.
    return f"{int(share * 100)} %"
