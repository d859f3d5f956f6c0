"""Write the table of fingerprints: ``python -m spconvify.zoo.fingerprints``.

To be run when the catalogue or a network of ours has changed.
Builds every architecture twice, with different numbers of classes and input channels, and of another
width where it has any, to see which dimensions follow them, and once without a head. Paddle 2.6 and 3.3
give the same table.
"""

from __future__ import annotations

import json
from dataclasses import replace

from spconvify.zoo.architecture import find
from spconvify.zoo.catalogue import entry, names
from spconvify.zoo.fingerprint_table import (
    IN_CHANNELS,
    NUM_CLASSES,
    PATH,
    WIDTH,
    Fingerprint,
    SymbolicShape,
    encode,
)

# Prime numbers that are no dimension of any network.
_MARKERS = ((NUM_CLASSES, 1009, 1013), (IN_CHANNELS, 5, 7))
_WIDTHS = (11, 13)  # nor are their multiples


def fingerprint(name: str) -> Fingerprint:
    """The fingerprint of an architecture, from networks built for the purpose."""
    (_, classes, other_classes), (_, channels, other_channels) = _MARKERS
    width, other_width = _WIDTHS if entry(name).width else (None, None)
    one = _shapes(name, classes, channels, width)
    other = _shapes(name, other_classes, other_channels, other_width)
    trunk = _shapes(name, 0, channels, width) if entry(name).headless else one
    head = frozenset(one) - frozenset(trunk)
    return Fingerprint({key: _symbolic(shape, other[key]) for key, shape in one.items()}, head)


def _shapes(
    name: str, num_classes: int, in_channels: int, width: int | None
) -> dict[str, tuple[int, ...]]:
    network = replace(find(name, num_classes, in_channels), width=width).build(lazy=True)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


def _symbolic(shape: tuple[int, ...], other: tuple[int, ...]) -> SymbolicShape:
    symbols = {(size, other_size): symbol for symbol, size, other_size in _MARKERS}
    return tuple(symbols.get(sizes) or _of_width(*sizes) for sizes in zip(shape, other))


def _of_width(size: int, other_size: int) -> int | str:
    times, rest = divmod(size, _WIDTHS[0])
    if rest or not times or other_size != times * _WIDTHS[1]:
        return size
    return f"{times}{WIDTH}" if times > 1 else WIDTH


def dumps(records: dict[str, dict]) -> str:
    """The table as JSON, sorted, one line per signature, so that a change of it can be read."""
    return json.dumps(records, indent=0, sort_keys=True) + "\n"


def main() -> None:
    """Write the table into the package."""
    text = dumps({name: encode(fingerprint(name)) for name in names()})
    PATH.write_text(text, "utf-8")
    print(f"{PATH}: {len(names())} architectures, {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
