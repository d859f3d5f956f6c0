"""Whether student and teacher belong together, and which of their layers correspond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paddle import nn

from spconvify.checkpoint.narrowed import Pair, channels_gone
from spconvify.errors import ArgumentError
from spconvify.network.finite import not_finite
from spconvify.network.replacement import Replacement
from spconvify.surgery.sites import check_model, find_sites


def replaced_layers(student: nn.Layer, teacher: nn.Layer, as_wide: bool = True) -> list[str]:
    """Names of the teacher's convolutions that were replaced in the student.

    With `as_wide` those alone that give as many channels: a narrowed layer's can't be compared.
    """
    dense: dict[str, Any] = {
        site.name: site.layer for site in find_sites(teacher) if not isinstance(site.layer, Replacement)
    }
    slim: dict[str, Any] = {
        site.name: site.layer for site in find_sites(student) if isinstance(site.layer, Replacement)
    }
    return [
        name
        for name, layer in slim.items()
        if name in dense and (not as_wide or layer.out_channels == dense[name]._out_channels)
    ]


def check_networks(student: nn.Layer, teacher: nn.Layer, same: bool) -> None:
    """Refuse what is no sound network; with `same` also a student of another one, as `check_pair`.

    Raises:
        ArgumentError: says what is wrong with which one.
    """
    for name, network in (("student", student), ("teacher", teacher)):
        check_model(network)
        bad = not_finite(network)
        if bad:
            raise ArgumentError(f"the {name}'s {bad[0]!r} holds NaN or infinity; give sound weights")
    if same:
        check_pair(student, teacher)


def check_pair(student: nn.Layer, teacher: nn.Layer) -> None:
    """Refuse a student that wasn't made from a network like the teacher.

    Raises:
        ArgumentError: names the first difference.
    """
    check_model(student)
    check_model(teacher)
    if student is teacher:
        raise ArgumentError("student and teacher are the same network; give the original as the teacher")
    difference = next(_differences(student, teacher), None)
    if difference is not None:
        raise ArgumentError(
            f"student and teacher don't belong together: {difference}; "
            "the teacher is the network that was converted"
        )


def _differences(student: nn.Layer, teacher: nn.Layer) -> Iterator[str]:
    replaced = set()
    narrower: dict[str, Pair] = {}  # what may be so because channels between convolutions are gone
    teachers = {site.name: site.layer for site in find_sites(teacher)}
    for site in find_sites(student):
        if not isinstance(site.layer, Replacement):
            continue
        replaced.add(site.name)
        yield from _other_site(site.name, site.layer, teachers.get(site.name), narrower)
    ours, theirs = (_shapes(network, replaced) for network in (student, teacher))
    for key, shape in ours.items():
        if key not in theirs:
            yield f"only the student has {key!r}"
        elif theirs[key] != shape:
            text = f"{key!r} is {_text(shape)} in the student and {_text(theirs[key])} in the teacher"
            narrower[text] = shape, theirs[key]
    for key in theirs:
        if key not in ours:
            yield f"only the teacher has {key!r}"
    if not channels_gone(narrower.values()):
        yield from narrower


def _other_site(name: str, spconv: Any, layer: Any, narrower: dict[str, Pair]) -> Iterator[str]:
    if layer is None:
        yield f"the teacher has no convolution {name!r}"
    elif isinstance(layer, Replacement):
        yield f"the teacher's {name!r} is {layer.called} already"
    else:
        own = (spconv.in_channels, spconv.out_channels, spconv.stride)
        dense = (layer._in_channels, layer._out_channels, layer._stride[0])
        if own != dense:
            ours, theirs = (f"{i} channels to {o} at stride {s}" for i, o, s in (own, dense))
            text = f"{name!r} takes {ours} in the student and {theirs} in the teacher"
            if own[2] != dense[2]:
                yield text
            else:
                narrower[text] = (own[1], own[0], 3, 3), (dense[1], dense[0], 3, 3)


def _shapes(network: nn.Layer, without: set[str]) -> dict[str, tuple[int, ...]]:
    """Key -> shape of what was left alone."""
    prefixes = tuple(f"{name}." for name in without if name)
    if "" in without:
        return {}
    return {
        key: tuple(tensor.shape)
        for key, tensor in network.state_dict().items()
        if not key.startswith(prefixes)
    }


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
