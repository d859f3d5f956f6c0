"""What `convert` writes: a checkpoint, or an exported program again where it was given one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spconvify.checkpoint import SUFFIXES, check_output
from spconvify.checkpoint.formats import refuse_folder
from spconvify.cli.measurement import Measurement
from spconvify.cli.output import note, progress_bar
from spconvify.cli.paddle_setup import load_paddle
from spconvify.cli.values import check_has_name, parse_file
from spconvify.engines.program_files import PARAMETERS, PROGRAM_SUFFIXES
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.files.places import Inputs, place_to_fill
from spconvify.source.loading import find_program
from spconvify.source.programs.files import ProgramFiles

if TYPE_CHECKING:
    from paddle import nn


@dataclass(frozen=True)
class ConversionOutput:
    """Where a converted network goes.

    Attributes:
        path: of the checkpoint, or of the program's folder.
        force: what an earlier call wrote may be replaced.
        program: the program that it is a new one of; None for a checkpoint.
        place: `path` as it was when the command began: a network may change the current folder.
    """

    path: Path
    force: bool
    program: ProgramFiles | None
    place: Path

    @classmethod
    def of(cls, source: str, out: str | None, force: bool) -> ConversionOutput:
        """Of the command's arguments: the source, --out and --force.

        Raises:
            BadParameter: for a folder's name where a file is written.
        """
        found = find_program(source)
        if out is None:
            if found is None:
                check_has_name(Path(source))
            path = _default(Path(source), found.files if found else None)
        else:  # the slash at its end says what is meant
            path = (
                Path(out)
                if out and found and Path(out).suffix not in SUFFIXES
                else parse_file(out, "--out")
            )
        if found is None and path.suffix not in SUFFIXES:
            _check_is_no_program(source)
        program = _absolute(found.files) if found and path.suffix not in SUFFIXES else None
        place = path.absolute() if program else place_to_fill(path, force)
        return cls(path, force, program, place)

    def check(self, inputs: Inputs) -> None:
        """Refuse a place where nothing can be written, or where something would be lost.

        Raises:
            ArgumentError: names what is there, and what to do.
            EngineError: for a program in a format that this Paddle doesn't write.
        """
        if self.program is None:
            check_output(self.path, self.force, inputs)
            return
        load_paddle()
        from spconvify.deploy.folder import check_folder
        from spconvify.source.programs.companions import read_companions
        from spconvify.source.programs.writing import check_format

        if self.path.suffix in (*PROGRAM_SUFFIXES, PARAMETERS) and not self.path.exists():
            raise ArgumentError(
                f"{self.path} is called like a file of a program, which becomes a folder; name a "
                "folder, or a FILE.pdparams"
            )
        folder = self.program.program.parent
        if self.path.exists() and folder.exists() and self.path.samefile(folder):
            raise ArgumentError(f"{self.path} holds the program itself; choose another name")
        check_folder(self.path, self.force, inputs)
        check_format(self.program)
        read_companions(self.program)  # says what can't be carried over while nothing is done yet

    def write(
        self, network: nn.Layer, measurement: Measurement, quiet: bool, arch: str | None = None
    ) -> None:
        """Write it, and say so; what was there before stays until it is complete.

        `arch` is the architecture as it was named; without one a checkpoint should tell it, and a note
        says where it doesn't, as that of a narrowed network that is known by a checksum alone.
        """
        if self.program is None:
            from spconvify.source.loading import save_at
            from spconvify.source.readable import tells_architecture

            save_at(network, self.path, self.place, self.force)
            note(f"saved {self.path}", quiet)  # at once: what follows may fail
            if arch is None and not tells_architecture(network):
                note("its shapes alone don't tell which network it is: load it with --arch", quiet)
            return
        from spconvify.source.programs.writing import write_program

        with progress_bar("writing the program", quiet) as progress:
            write_program(
                network,
                self.program,
                self.place,
                overwrite=self.force,
                tune=measurement.tune,
                threads=measurement.settings[0].threads if measurement.settings else 1,
                progress=progress,
            )
        note(f"saved {self.path}", quiet)


def _check_is_no_program(source: str) -> None:
    """Refuse a program that isn't there: its folder becomes a folder, and no suffix is wrong in that.

    Raises:
        CheckpointError: says what is missing.
    """
    if Path(source).is_dir():
        try:
            refuse_folder(Path(source))
        except CheckpointError as error:
            raise CheckpointError(f"can't read {source}: ", error) from error
    if Path(source).suffix in (*PROGRAM_SUFFIXES, PARAMETERS):
        missing = "has no parameters beside it" if Path(source).exists() else "isn't there"
        raise CheckpointError(f"can't read {source}: it {missing}")


def _absolute(files: ProgramFiles) -> ProgramFiles:
    """They are read again when all is done, and a metric may change the current folder."""
    return ProgramFiles(files.program.absolute(), files.parameters.absolute())


def _default(source: Path, program: ProgramFiles | None) -> Path:
    """Beside the source: NAME-spconv.SUFFIX, or the folder NAME-spconv for a program's folder."""
    if program is not None:
        folder = program.program.absolute().parent
        return folder.with_name(f"{folder.name}-spconv")
    suffix = source.suffix if source.suffix in SUFFIXES else SUFFIXES[0]
    return source.with_name(f"{source.stem}-spconv{suffix}")
