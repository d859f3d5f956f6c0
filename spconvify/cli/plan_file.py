"""Plans as files: what was converted, and how, to be read, changed and carried out again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spconvify.cli.values import check_has_name
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.files.places import Inputs, check_file, check_place, place_to_fill
from spconvify.files.regular import NotRegularError, open_regular
from spconvify.files.scratch import atomic
from spconvify.source.loading import find_program

if TYPE_CHECKING:
    from spconvify.workflow.budget import Budget

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


@dataclass(frozen=True)
class PlanFolder:
    """A folder to write several plans into: its name, and where that was when it was checked."""

    path: Path
    place: Path
    force: bool

    @classmethod
    def of(
        cls, folder: Path | None, source: str, names: Iterable[str], force: bool, inputs: Inputs
    ) -> PlanFolder:
        """Find out, before any work, whether plans can be written there.

        Args:
            folder: None for NAME-frontier beside the source.
            source: the checkpoint, or the program.
            names: of the plans that there may be.
            force: plans of these names may be replaced.
            inputs: what the command reads, by the option's name.

        Raises:
            ArgumentError: if it can't be, or one of them is there already and `force` is off.
        """
        if folder is None:
            found = find_program(source)
            if found is None:
                check_has_name(Path(source))
            own = Path(source) if found is None else found.files.program.absolute().parent
            folder = own.with_name(f"{own.stem if found is None else own.name}-frontier")
        what = f"folder {folder}"
        if not folder.resolve().name:
            raise ArgumentError(f"{what} has no name; name one in it")
        try:
            if os.path.lexists(folder) and not folder.is_dir():
                raise ArgumentError(f"{what} is something else; choose another name")
            if folder.is_dir():
                for name in names:
                    PlanOutput.of(folder / f"{name}.json", force, inputs)
            else:
                check_place(folder.resolve(), what)
        except OSError as error:
            raise ArgumentError(f"{what} can't be written: {error.strerror or error}") from error
        return cls(folder, folder.resolve(), force)

    def with_journal(self, budget: Budget) -> Budget:
        """The budget, with a place beside the folder for what a killed search has found out."""
        return replace(budget, journal=self.place.with_name(f".{self.place.name}.search"))

    def write(self, plans: Mapping[str, Any]) -> None:
        """Write plans by their names; each file is complete or not there.

        Raises:
            SpconvifyError: if that fails.
        """
        try:
            self.place.mkdir(exist_ok=True)
        except OSError as error:
            raise SpconvifyError(f"can't make {self.path}: {error.strerror or error}") from error
        for name, plan in plans.items():
            file = f"{name}.json"
            place = place_to_fill(self.place / file, self.force)
            PlanOutput(self.path / file, place, self.force).write(plan)
