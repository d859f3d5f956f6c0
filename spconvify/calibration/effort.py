"""How much a fit looks at, and how long it goes on: all that pays, or as much as a quick look needs."""

from __future__ import annotations

from dataclasses import dataclass

_PLENTY = 4  # positions for a weight; with fewer the usual ridge may be too weak by far


@dataclass(frozen=True)
class Effort:
    """What decides how long the fit of a layer takes.

    Attributes:
        rows_per_channel: positions for an input channel, of all images. More than these tell nothing
            new, as neighbours are alike; an output has at most 9 unknowns for an input channel.
        fewest_per_image: positions that an image gives at least, if it has so many.
        proposals: exchanges that the search of the channels tries.
        rounds: of the refinement to what the activation lets through.
        trial: whether a trial fit decides how strong the ridge is, however many positions there are.
    """

    rows_per_channel: int = 384
    fewest_per_image: int = 128
    proposals: int = 300
    rounds: int = 8
    trial: bool = True

    def tries(self, rows: int, unknowns: int) -> bool:
        """Whether a trial fit decides how strong the ridge is; without it the usual one is taken.

        Args:
            rows: positions that are fitted to.
            unknowns: weights of an output.
        """
        return self.trial or rows < _PLENTY * unknowns


FULL = Effort()
QUICK = Effort(rows_per_channel=96, fewest_per_image=32, proposals=0, rounds=1, trial=False)
