"""Plans as files: what was converted, and how, to be read, changed and carried out again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.files.places import Inputs, check_file, place_to_fill
from spconvify.files.regular import NotRegularError, open_regular
from spconvify.files.scratch import atomic

_LARGEST = 1 << 24  # bytes


def read_plan(path: Path, model: Any) -> Any:
    """The plan in a file, which must be one for `model`.

    Raises:
        ArgumentError: if it can't be read, is no plan, or names a site that the network hasn't.
    """
    from spconvify.surgery.apply import planned_sites
    from spconvify.surgery.planning import Plan

    text = _text(path)
    try:
        plan = Plan.from_json(text)
        if not plan.changes:
            raise ArgumentError("it has no changes, so there is nothing to convert")
        planned_sites(model, plan)
    except ArgumentError as error:
        raise ArgumentError(f"plan {path}: ", error) from error
    return plan


def _text(path: Path) -> str:
    """A file's text; with or without the mark that Windows' editors put before it."""
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ArgumentError(f"plan {path} has more than {_LARGEST >> 20} MiB; it can't be a plan")
        return content.decode("utf-8-sig")
    except NotRegularError as error:
        raise ArgumentError(f"plan {path} can't be read: {error}") from error
    except OSError as error:
        raise ArgumentError(f"plan {path} can't be read: {error.strerror or error}") from error
    except UnicodeError as error:
        raise ArgumentError(f"plan {path} isn't text in UTF-8") from error


@dataclass(frozen=True)
class PlanOutput:
    """A file to write a plan into: its name, and where that was when it was checked."""

    path: Path
    place: Path
    force: bool

    @classmethod
    def of(cls, path: Path, force: bool, inputs: Inputs) -> PlanOutput:
        """Find out, before any work, whether `path` can be written.

        Raises:
            ArgumentError: if it can't, is an input or another output, or exists and `force` is off.
        """
        what = f"plan {path}"
        try:
            check_file(path, what, force, inputs, in_folders=True)
        except OSError as error:  # a name that is too long, for one
            raise ArgumentError(f"{what} can't be written: {error.strerror or error}") from error
        return cls(path, place_to_fill(path, force), force)

    def write(self, plan: Any) -> None:
        """Write the plan; the file is complete or not there.

        Raises:
            SpconvifyError: if that fails; an old file is then as it was.
        """
        try:
            with atomic(self.place, self.force) as file:
                file.write((plan.to_json() + "\n").encode("utf-8"))
        except FileExistsError as error:
            raise SpconvifyError(
                f"plan {self.path} exists and is as it was; choose another name"
            ) from error
        except OSError as error:
            raise SpconvifyError(f"can't write plan {self.path}: {error.strerror or error}") from error
