"""Free a program of the number of images that is written into its reshapes, if nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import paddle

from spconvify.deploy.equality import differences
from spconvify.network.outputs import arrays
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.network import ProgramNetwork
from spconvify.source.programs.steps import Step

_TOLERANCE = 1e-4  # of an output's scale: other numbers of images take kernels that round differently


def free_batch(network: ProgramNetwork) -> None:
    """Let a program that runs on one number of images only run on any.

    A network that reshapes to ``[1, 256]``, or that was exported with its sizes known, can't be given
    several images. Where such a reshape leaves the first size as it is, or can compute it, it does so
    from then on: for the number that was written in, that is the same. It stays so only if two batches
    in one give what each of them gives; otherwise the network is as it was before.

    Args:
        network: of the program; its steps are changed.
    """
    bound = [step for step in network.steps if _is_bound(step)]
    if not bound:
        return
    first, second = usual_values(network.feeds), usual_values(network.feeds, pixels=True)
    both = [np.concatenate(pair) if pair[0].ndim else pair[0] for pair in zip(first, second)]
    if _outputs(network, both) is not None:
        return
    shapes = _shapes(network, bound, first)
    before = [step.args for step in bound]
    expected = _outputs(network, first), _outputs(network, second)
    for step in bound:
        step.args = [step.args[0], _freed(step.args[1], shapes.get(id(step), ())), *step.args[2:]]
    if not _is_joined(_outputs(network, both), *expected):
        for step, args in zip(bound, before):
            step.args = args


def _is_bound(step: Step) -> bool:
    """Whether it is a reshape to a first size that is written in."""
    sizes = step.args[1] if step.op == "reshape" and len(step.args) > 1 else None
    return isinstance(sizes, list) and bool(sizes) and isinstance(sizes[0], int) and sizes[0] > 0


def _freed(sizes: list[Any], given: Sequence[int]) -> list[Any]:
    """Another way to say the same sizes, for something of this shape."""
    if given and given[0] == sizes[0]:
        return [0, *sizes[1:]]  # as many as it is given
    return sizes if -1 in sizes else [-1, *sizes[1:]]


def _outputs(network: ProgramNetwork, values: Sequence[np.ndarray]) -> Mapping[str, np.ndarray] | None:
    """None if it doesn't run on these."""
    try:
        with paddle.no_grad():
            return arrays(network(*map(paddle.to_tensor, values)))
    except Exception:  # Paddle's, of any kind
        return None


def _shapes(
    network: ProgramNetwork, steps: Sequence[Step], values: Sequence[np.ndarray]
) -> dict[int, list[int]]:
    """Of what each of the steps is given, by its id."""
    found: dict[int, list[int]] = {}

    def noting(step: Step, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(x: Any, *args: Any) -> Any:
            found[id(step)] = list(x.shape)
            return call(x, *args)

        return noted

    calls = [step.call for step in steps]
    for step, call in zip(steps, calls):
        assert callable(call), "a reshape is no layer"
        step.call = noting(step, call)
    try:
        _outputs(network, values)
    finally:
        for step, call in zip(steps, calls):
            step.call = call
    return found


def _is_joined(
    found: Mapping[str, np.ndarray] | None,
    first: Mapping[str, np.ndarray] | None,
    second: Mapping[str, np.ndarray] | None,
) -> bool:
    """Whether outputs are those of two batches, one behind the other."""
    if found is None or first is None or second is None or any(not old.ndim for old in first.values()):
        return False
    wanted = {name: np.concatenate([old, second[name]]) for name, old in first.items()}
    return max(differences(wanted, found).values(), default=np.inf) <= _TOLERANCE
