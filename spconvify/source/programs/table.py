"""What every operator is in Paddle's public functions; those with parameters are in `sublayers`."""

from __future__ import annotations

from spconvify.source.programs import boxes, elementwise, making, pictures, reducing, shaping
from spconvify.source.programs.entries import Entry

FUNCTIONS: dict[str, Entry] = {
    **elementwise.FUNCTIONS,
    **shaping.FUNCTIONS,
    **reducing.FUNCTIONS,
    **making.FUNCTIONS,
    **pictures.FUNCTIONS,
    **boxes.FUNCTIONS,
}
