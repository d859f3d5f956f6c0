"""From a name, a factory or a checkpoint to a network, and from a network to a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spconvify.checkpoint import SUFFIXES, write_state
from spconvify.checkpoint.channels import check_channels
from spconvify.checkpoint.formats import is_prefix
from spconvify.checkpoint.narrowed import channels_gone
from spconvify.errors import ArgumentError, CheckpointError, Option
from spconvify.operators.recognised import Shapes
from spconvify.operators.registry import recognised
from spconvify.source.parts import identify_part, read_part, shapes_of, take_part
from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.files import program_files
from spconvify.source.readable import check_readable
from spconvify.zoo import (
    Architecture,
    CustomArchitecture,
    PaddleClasArchitecture,
    names,
    resolve,
)
from spconvify.zoo.paddleclas import PREFIX

if TYPE_CHECKING:
    import numpy as np
    from paddle import nn


@dataclass
class Source:
    """Where a network comes from: an architecture, and the weights if there is a checkpoint."""

    name: str
    architecture: Architecture | PaddleClasArchitecture | CustomArchitecture | ProgramArchitecture
    state: dict[str, np.ndarray] | None = None

    @property
    def converted(self) -> bool:
        """Whether the checkpoint is that of a converted network: other layers, or fewer channels."""
        if self.state is None:
            return False
        shapes = shapes_of(self.state)
        told: bool | None = True if recognised(shapes) else getattr(self.architecture, "narrowed", None)
        return self._is_narrowed(shapes) if told is None else told

    def _is_narrowed(self, shapes: Shapes) -> bool:
        """Whether the network as it is built has more channels; only the building tells."""
        before = self.architecture.build(lazy=True).state_dict()
        pairs = [(shapes[key], tuple(value.shape)) for key, value in before.items() if key in shapes]
        return channels_gone(pair for pair in pairs if pair[0] != pair[1]) > 0

    @property
    def is_random(self) -> bool:
        """Whether only the name of a network was given, whose weights nothing tells; a factory or a
        program may bring its own."""
        named = isinstance(self.architecture, (Architecture, PaddleClasArchitecture))
        return named and self.state is None

    def build(self) -> nn.Layer:
        """The network with its weights, which are handed over: call it once.

        Raises:
            CheckpointError: if the weights don't fit the architecture; it names the first keys.
        """
        if self.state is None:
            return self.architecture.build()
        model = self.architecture.build(lazy=True)
        state, self.state = self.state, None
        return fill(model, state, self.name)

    def build_dense(self) -> nn.Layer:
        """The architecture before any conversion, with random weights."""
        return self.architecture.build()


def open_source(
    source: str,
    arch: str | None = None,
    *,
    weights: str | None = None,
    ignore: Iterable[str] | str = (),
) -> Source:
    """Find out what a command was given: a checkpoint, a program, a name, or ``module:factory``.

    `weights` and `ignore` pick a part of a checkpoint, see `load`.

    Raises:
        ArgumentError: for a name that is none of these.
        CheckpointError: if the file can't be read, or no architecture has its keys and no `arch` is
            given.
    """
    program = find_program(source)
    if program is not None or not is_checkpoint(source):
        for name, value in (("arch", arch), ("weights", weights), ("ignore", ignore)):
            if value:
                raise ArgumentError(Option(name), f" goes with a checkpoint, and {source!r} isn't one")
        return Source(program.name, program) if program else Source(source, resolve(source))
    state = read_part(source, weights, ignore)
    architecture: Any = None if arch is None else find_program(arch)
    if architecture is None:
        known = arch is None or ":" not in arch or arch.startswith(PREFIX)
        architecture = identify_part(state, source, arch) if known else resolve(str(arch))
    return Source(f"{Path(source).name} ({architecture.name})", architecture, state)


def find_program(source: str) -> ProgramArchitecture | None:
    """The exported program that `source` names: a file, their prefix or their folder; None if none.

    Raises:
        CheckpointError: if a folder holds several, or a part of it is missing.
    """
    files = None if source in names() else program_files(source)
    return None if files is None else ProgramArchitecture(files)


def is_checkpoint(source: str) -> bool:
    """Whether `source` is meant to be a file: by its suffix, or because it is there.

    A folder and the prefix of a program's files count too, so that they are called what they are; but
    not where they are called like a network.
    """
    path = Path(source)
    if path.suffix in SUFFIXES or os.path.isfile(path) or (path.suffix != "" and ":" not in source):
        return True
    return source not in names() and (os.path.isdir(path) or is_prefix(path))


def fill(model: nn.Layer, state: dict[str, Any], source: str) -> nn.Layer:
    """Give `model` the weights of `state`, after the surgery that the state's keys tell of.

    `state` is emptied as it goes, so that no second copy of the weights stays alive.

    Raises:
        CheckpointError: if they don't fit.
    """
    hint = take_part(state, model, source)
    try:
        check_channels(state, source)
        return _filled(model, state, source)
    except CheckpointError as error:
        raise CheckpointError(error, f"; {hint}") if hint else error from None


def _filled(model: nn.Layer, state: dict[str, Any], source: str) -> nn.Layer:
    from spconvify.checkpoint.apply import apply_state
    from spconvify.operators.registry import operator_of
    from spconvify.surgery.apply import apply_plan
    from spconvify.surgery.planning import Plan
    from spconvify.surgery.sites import find_sites
    from spconvify.surgery.take_widths import take_widths

    model = take_widths(model, shapes_of(state))
    sites = find_sites(model)
    already = {site.name for site in sites if operator_of(site.layer)}
    aliases = {alias for site in sites for alias in site.aliases}  # of a layer at several places
    plan = Plan.of_checkpoint(shapes_of(state)).without(already | aliases)
    if plan.changes:
        try:
            model = apply_plan(model, plan, init="none", inplace=True, verify=False)
        except ArgumentError as error:
            raise CheckpointError(f"{source} doesn't fit this network: ", error) from error
    apply_state(model, state, source)
    return model


def load(
    path: str | os.PathLike[str],
    model_or_arch: nn.Layer | str | None = None,
    *,
    weights: str | None = None,
    ignore: Iterable[str] | str = (),
) -> nn.Layer:
    """Load a checkpoint or an exported program into a network that is ready to run.

    A checkpoint may hold more than the network: the network's keys may have a prefix (``Student.``,
    ``module.``, or the keys of dictionaries around the state dict), and moving averages, an optimizer's
    state or auxiliary heads may lie beside them. What is unambiguous is left out, with a warning.

    An exported program (``inference.json`` or ``.pdmodel`` with ``.pdiparams``) becomes a network with
    layers, in eval mode: its outputs are compared with those of Paddle's own predictor first.

    Args:
        path: a ``.pdparams`` or ``.safetensors`` file; or an exported program, by one of its files,
            their prefix or their folder. It is read without executing anything in it.
        model_or_arch: the network to fill (dense or converted; it is changed in place), the name of
            an architecture of ``spconvify.zoo``, ``"package.module:factory"``, or the exported program
            that a checkpoint came from. None identifies the architecture from the keys and shapes.
        weights: take the keys with this prefix alone.
        ignore: globs; leave out the keys that match, or begin so.

    Returns:
        The network; where a given model is itself a Conv2D, its replacement.

    Raises:
        CheckpointError: if the file is damaged, isn't a checkpoint, doesn't fit the network, or holds
            several parts that do.
        ArgumentError: if there is no such architecture, what is given is no network, or `weights` or
            `ignore` matches no key.

    Warns:
        CheckpointWarning: if only a part of the checkpoint was taken.
        NotCheckedWarning: if Paddle can't run the program here, so that nothing was compared.
    """
    if model_or_arch is None or isinstance(model_or_arch, str):
        return open_source(os.fspath(path), model_or_arch, weights=weights, ignore=ignore).build()
    from spconvify.surgery.sites import check_is_layer

    check_is_layer(model_or_arch)
    if find_program(os.fspath(path)) is not None:
        raise ArgumentError(f"{path} is an exported program, a network itself; leave out the other one")
    return fill(model_or_arch, read_part(path, weights, ignore), str(path))


def save(model: nn.Layer, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write the weights of `model`, atomically: the file is complete or not there.

    Args:
        model: the network, converted or not.
        path: ends in ``.pdparams`` (read by ``paddle.load`` too) or ``.safetensors``.
        overwrite: replace an existing file.

    Raises:
        ArgumentError: if the suffix is another one, or `model` isn't a network.
        CheckpointError: if the file can't be written, or exists and `overwrite` is off, if weights
            aren't finite, or if its layers are called so that it couldn't be loaded again; an old one is
            then as it was.
    """
    save_at(model, path, None, overwrite)
    return Path(path)


def save_at(model: nn.Layer, path: str | os.PathLike[str], place: Path | None, overwrite: bool) -> None:
    """`save`, with `path` found out before the work: see `spconvify.files.places.place_to_fill`."""
    from spconvify.checkpoint.apply import state_of
    from spconvify.network.finite import check_finite
    from spconvify.surgery.sites import check_is_layer

    check_is_layer(model)
    check_finite(model, CheckpointError, "so nothing was saved")
    state, bfloat16 = state_of(model)
    check_readable(model, shapes_of(state))
    write_state(path, state, bfloat16=bfloat16, overwrite=overwrite, place=place)
