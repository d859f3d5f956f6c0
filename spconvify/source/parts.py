"""The part of a checkpoint that is a network: picked by the user, or found and said."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Callable

from spconvify.checkpoint import read_state
from spconvify.errors import CheckpointError, CheckpointWarning
from spconvify.operators.registry import dense_shapes, recognised
from spconvify.operators.spconv.keys import Shapes, join
from spconvify.source.prefixes import pick, select
from spconvify.zoo import anchors, identify


def read_part(path: Any, weights: str | None = None, ignore: Iterable[str] | str = ()) -> dict[str, Any]:
    """The arrays of a checkpoint by key: all, or what the user picked.

    Raises:
        ArgumentError: if `weights` or `ignore` matches no key.
        CheckpointError: if the file can't be read.
    """
    state = read_state(path)
    pick_part(state, weights, ignore)
    return state


def pick_part(state: dict[str, Any], weights: str | None, ignore: Iterable[str] | str) -> None:
    """Leave in `state` what the user picked.

    Raises:
        ArgumentError: if `weights` or `ignore` matches no key.
    """
    globs = [ignore] if isinstance(ignore, str) else list(ignore)
    if weights or globs:
        _keep(state, select(state, weights, globs))


def shapes_of(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Key -> shape of every tensor."""
    return {key: tuple(array.shape) for key, array in state.items()}


def identify_part(state: dict[str, Any], source: str, arch: str | None = None) -> Any:
    """The architecture of the known network that `state` is, or holds; `state` is then that part alone.

    Raises:
        CheckpointError: if there is none, or several are.
        ArgumentError: if `arch` is unknown.

    Warns:
        CheckpointWarning: if only a part was taken.
    """
    shapes = shapes_of(state)
    try:
        return identify(shapes, arch)
    except CheckpointError as error:
        unknown = error

    def fits(part: Shapes) -> Any:
        try:
            return identify(part, arch)
        except CheckpointError:
            return None

    found = _take(state, source, anchors(), fits)
    if found is None:
        foreign = _foreign(state)
        raise CheckpointError(unknown, f"; {foreign}") if foreign else unknown
    return found


def take_part(state: dict[str, Any], model: Any, source: str) -> str:
    """Leave in `state` what is `model`'s; nothing changes where no part fits.

    Returns:
        What may be wrong with the keys, where none fits; else "".

    Raises:
        CheckpointError: if several parts fit.

    Warns:
        CheckpointWarning: if only a part was taken.
    """
    expected = dense_shapes(shapes_of(model.state_dict()))

    def fits(part: Shapes) -> bool:
        dense = dense_shapes(part)
        optional = {join(site, "bias") for site in recognised(part)}
        missing = expected.keys() - dense.keys() - optional
        return not missing and all(expected.get(key) == shape for key, shape in dense.items())

    weights = sorted((key for key in expected if key.rpartition(".")[2] == "weight"), key=len)
    if _take(state, source, weights[-1:], fits):
        return ""
    return _hint(list(state), list(expected))


def _take(
    state: dict[str, Any], source: str, anchoring: Iterable[str], fits: Callable[[Shapes], Any]
) -> Any:
    try:
        part = pick(shapes_of(state), anchoring, fits)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: ", error) from error
    if part is None:
        return None
    if len(part.keys) < len(state) or part.prefix:
        warnings.warn(f"{source}: {part.describe()}", CheckpointWarning, stacklevel=4)
    _keep(state, part.keys)
    return part.found


def _keep(state: dict[str, Any], keys: Mapping[str, str]) -> None:
    """Change `state` itself: whoever holds it shall not keep the other arrays alive."""
    kept = {name: state[key] for name, key in keys.items()}
    state.clear()
    state.update(kept)


def _foreign(keys: Iterable[str]) -> str:
    if any(key.rpartition(".")[2] == "running_mean" for key in keys):
        return "its keys are PyTorch's (running_mean): bring the weights over to Paddle's names first"
    return ""


def _hint(keys: list[str], expected: list[str]) -> str:
    """What the keys tell where nothing fits."""
    if foreign := _foreign(keys):
        return foreign
    theirs, ours = ({key.partition(".")[0] for key in some} for some in (keys, expected))
    if len(theirs) == 1 and not theirs <= ours:
        return f"all of its keys have the prefix {f'{theirs.pop()}.'!r}"
    if len(ours) == 1 and not ours <= theirs:
        return f"the network's keys have the prefix {f'{ours.pop()}.'!r}, and the checkpoint's haven't"
    return ""
