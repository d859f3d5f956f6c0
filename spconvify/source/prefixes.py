"""Which of a checkpoint's keys are a network's: under a prefix, without extras. Needs no Paddle.

People's checkpoints hold more than a state dict: ``Student.`` and ``Teacher.`` of a distillation,
``module.`` or ``_layers.`` of a wrapper, weights in ``{"state_dict": …}`` (read as a prefix too), moving
averages, auxiliary heads. What is unambiguous is taken, and said; otherwise the user picks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Callable

from spconvify.errors import ArgumentError, CheckpointError, Option
from spconvify.operators.recognised import Shapes, join
from spconvify.operators.registry import recognised

# What may be left out for a network to fit, from what never matters to what is another network's.
# Counts of batches say nothing to Paddle, and auxiliary heads serve training alone.
_COUNTS = re.compile(r"(.*\.)?num_batches_tracked$")
_AUXILIARY = re.compile(r"[^.]*aux[^.]*\.", re.IGNORECASE)
_COMPANION = re.compile(
    r"((student|teacher)\d*|(model_)?ema\w*|optim\w*|opt|lr|\w*scheduler|scaler|loss\w*|criterion)\.",
    re.IGNORECASE,
)
_IGNORABLE = (_COUNTS, _AUXILIARY, _COMPANION)
_SHOWN = 3


@dataclass(frozen=True)
class Pick:
    """The keys that are a network's: its own name of each -> the checkpoint's, and what says how."""

    prefix: str
    keys: dict[str, str]
    left_out: tuple[str, ...]
    found: Any  # what `fits` gave for them

    def describe(self) -> str:
        """What was taken and what was left out, for a note."""
        where = f"under the prefix {self.prefix!r}" if self.prefix else "of the network"
        text = f"took the {len(self.keys)} keys {where}"
        return text + (f"; left out {some(self.left_out)}" if self.left_out else "")


def pick(shapes: Shapes, anchors: Iterable[str], fits: Callable[[Shapes], Any]) -> Pick | None:
    """Find the part of a checkpoint that is the network; None if no part is.

    Args:
        shapes: key -> shape of all that the checkpoint holds.
        anchors: some keys of the networks that it may be, to find prefixes by.
        fits: what a network is found to be by its shapes without a prefix; None or False for none.

    Raises:
        CheckpointError: if several parts are one, or one that may be a part of a larger network; it
            names the option that picks.
    """
    found = []
    for prefix in prefixes(shapes, anchors):
        part = _part(shapes, prefix, fits)
        if part is not None and not part.left_out:
            return part
        found += [part] if part is not None else []
    if not found:
        return None
    if len(found) > 1:
        raise _ambiguous(found)
    (only,) = found
    others = [key for key in only.left_out if not _is_companion(key, only.prefix)]
    if others:
        raise CheckpointError(
            f"it holds more than this network, whose keys have the prefix {only.prefix!r}: "
            f"{some(others)}; take those under the prefix alone with ",
            Option("weights", only.prefix),
        )
    return only


def prefixes(shapes: Shapes, anchors: Iterable[str]) -> list[str]:
    """The prefixes that come before one of the `anchors` in the keys before the conversion; "" first."""
    owners = _owners(shapes)
    found = dict.fromkeys([""])
    endings = tuple(f".{anchor}" for anchor in set(anchors))
    for key in dict.fromkeys(owners.get(key, key) for key in shapes):
        if key.endswith(endings):
            found.update((key[: 1 - len(end)], None) for end in endings if key.endswith(end))
    return list(found)


def select(keys: Iterable[str], weights: str | None, ignore: Sequence[str]) -> dict[str, str]:
    """The keys that the user picked, by their names without the prefix.

    Args:
        keys: all of the checkpoint's.
        weights: the prefix to take, with or without its dot; None takes all.
        ignore: globs of keys to leave out.

    Raises:
        ArgumentError: if the prefix or a glob matches no key, or nothing is left.
    """
    every = list(keys)
    for glob in ignore:
        if not any(_matches(key, glob) for key in every):
            raise ArgumentError(Option("ignore", glob), f" matches no key; {_tops(every)}")
    left = [key for key in every if not any(_matches(key, glob) for glob in ignore)]
    prefix = f"{weights.rstrip('.')}." if weights else ""
    picked = {key[len(prefix) :]: key for key in left if key.startswith(prefix)}
    if not picked:
        option: Any = Option("weights", weights) if weights else Option("ignore")
        raise ArgumentError(option, f" leaves no key; {_tops(every)}")
    return picked


def some(keys: Sequence[str]) -> str:
    """A few of many keys, in one line."""
    rest = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(repr(key[:120]) for key in keys[:_SHOWN]) + rest


def _part(shapes: Shapes, prefix: str, fits: Callable[[Shapes], Any]) -> Pick | None:
    """What lies under `prefix`, if it fits as it is or without what can be ignored."""
    under = {key[len(prefix) :]: key for key in shapes if key.startswith(prefix)}
    for ignorable in (_IGNORABLE[:number] for number in range(len(_IGNORABLE) + 1)):
        own = {name: key for name, key in under.items() if not any(p.match(name) for p in ignorable)}
        if own and (found := fits({name: shapes[key] for name, key in own.items()})):
            taken = set(own.values())
            return Pick(prefix, own, tuple(key for key in shapes if key not in taken), found)
    return None


def _ambiguous(found: Sequence[Pick]) -> CheckpointError:
    named = " and ".join(repr(part.prefix) if part.prefix else "none" for part in found)
    prefix = next(part.prefix for part in found if part.prefix)
    choices: list[Any] = [Option("weights", prefix)]
    if not found[0].prefix:
        choices += [", or leave those out with ", Option("ignore", f"{prefix}*")]
    return CheckpointError(
        f"it holds this network's weights several times, with the prefixes {named}; pick some with ",
        *choices,
    )


def _is_companion(key: str, prefix: str) -> bool:
    """Whether a key that isn't the network's is known to be none of its parts."""
    if key.startswith(prefix):
        return True  # it was left out as ignorable
    parts = key.split(".")
    for mine, other in zip(list(parts), prefix.split(".")):
        if mine != other:
            break
        parts.pop(0)
    return any(pattern.match(".".join(parts)) for pattern in _IGNORABLE)


def _owners(shapes: Shapes) -> dict[str, str]:
    """Key of a replaced convolution -> that of the convolution's weight before the conversion."""
    return {
        join(site, key): join(site, "weight")
        for site, keys in recognised(shapes).items()
        for key in keys.keys
    }


def _matches(key: str, glob: str) -> bool:
    return fnmatchcase(key, glob) or key.startswith(f"{glob.rstrip('.')}.")


def _tops(keys: Sequence[str]) -> str:
    tops = list(dict.fromkeys(f"{key.partition('.')[0]}.*" if "." in key else key for key in keys))
    return f"the checkpoint has {some(tops)}"
