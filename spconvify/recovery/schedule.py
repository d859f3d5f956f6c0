"""When a recovery looks at the accuracy and writes checkpoints, and where those go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from spconvify.checkpoint import check_output
from spconvify.errors import ArgumentError
from spconvify.files.places import check_folder_to_fill, check_is_in_none, place_to_fill


@dataclass(frozen=True)
class Schedule:
    """After how many steps each thing happens (None: a few times in a run), and where it goes.

    `place` is where the checkpoint was when it was checked: no link that comes there later is followed.
    """

    eval_every: Optional[int] = None
    checkpoint_every: Optional[int] = None
    checkpoint: Optional[Path] = None
    log_dir: Optional[Path] = None
    place: Optional[Path] = None

    def check(self) -> None:
        """Refuse what can't be, before any work is done.

        Raises:
            ArgumentError: names the value and what would do.
        """
        for name in ("eval_every", "checkpoint_every"):
            every = getattr(self, name)
            if every is not None and every < 1:
                raise ArgumentError(f"{name} {every} is less than 1")
        if self.checkpoint is not None:
            if self.checkpoint.suffix != ".safetensors":
                raise ArgumentError(f"checkpoint {self.checkpoint} must end in .safetensors")
            check_output(self.checkpoint, force=True)
        if self.log_dir is not None:
            check_is_in_none(self.log_dir, f"log_dir {self.log_dir}", {"checkpoint": self.checkpoint})
            check_folder_to_fill(self.log_dir, f"log_dir {self.log_dir}")

    def absolute(self) -> Schedule:
        """With places that stay where they are, should a network change the current folder."""
        place = self.place or (self.checkpoint and place_to_fill(self.checkpoint, overwrite=True))
        paths = {name: getattr(self, name) for name in ("checkpoint", "log_dir")}
        paths = {name: path and path.absolute() for name, path in paths.items()}
        return replace(self, **paths, place=place)
