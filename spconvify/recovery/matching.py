"""Which outputs of student and teacher can be compared: named, of the same shape, and learnable."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.batches import Batch, as_given, feed, size_of, taken
from spconvify.network.heads import heads
from spconvify.network.outputs import flatten
from spconvify.network.run import evaluating, run

Outputs = dict[str, paddle.Tensor]
_VARIES = "depends on what the images show"
_APART = "student and teacher don't belong together"


def check_outputs(student: nn.Layer, teacher: nn.Layer, images: Batch) -> dict[str, str]:
    """Refuse images that don't fit, and outputs that can't be compared; both networks in eval mode.

    Args:
        student: the converted network.
        teacher: the original one.
        images: (N, C, H, W); the first two are looked at.

    Returns:
        The teacher's outputs that nothing is learnt from: name -> why.

    Raises:
        ArgumentError: if a network doesn't run on the images, the two give outputs of other names or
            shapes, the teacher's aren't finite, or nothing is left to learn from (where the images
            decide an output's size, that remains to be seen: `maps_to_learn`).
    """
    ignored, theirs = _incomparable(teacher, images)
    with evaluating(student), paddle.no_grad():
        ours = _run(student, taken(images, slice(1)))
    if theirs.keys() != ours.keys():
        raise ArgumentError(
            f"{_APART}: the teacher gives {_listed(theirs)}, the student {_listed(ours)}"
        )
    for name in theirs.keys() - ignored.keys():
        if theirs[name].shape != ours[name].shape:
            raise ArgumentError(
                f"{_APART}: the teacher's output{_named(name)} is {list(theirs[name].shape)} for one "
                f"image, the student's {list(ours[name].shape)}"
            )
    if not _varies(ignored):
        check_some_left(theirs.keys() - ignored.keys(), [], ignored)
    return ignored


def match_outputs(
    student: nn.Layer, teacher: nn.Layer, images: Batch, ignored: dict[str, str]
) -> dict[str, str]:
    """Where the teacher's outputs are among those of the student in training mode, by name.

    A network may give more, or the same in a list, when it trains. The trial leaves no trace in the
    student's statistics. Outputs that no trainable parameter moves are added to `ignored`.

    Raises:
        ArgumentError: if one isn't there, or has another shape.
    """
    with evaluating(teacher), paddle.no_grad():
        theirs = {k: v for k, v in _run(teacher, taken(images, slice(2))).items() if k not in ignored}
    ours = _run(student, taken(images, slice(2)))
    names = {name: _counterpart(name, theirs, ours) for name in theirs}
    for name, own in names.items():
        if own is None or ours[own].shape != theirs[name].shape:
            raise ArgumentError(
                f"the teacher gives {_listed(theirs)}, and the student in training mode "
                f"{_listed(ours)}; put the layers that make the difference in eval mode "
                "(student.train(), then their eval()): they stay so"
            )
        if ours[own].stop_gradient:
            ignored[name] = "no trainable parameter of the student moves it"
    found = {name: own for name, own in names.items() if own is not None and name not in ignored}
    if not _varies(ignored):
        check_some_left(found, [], ignored)
    return found


def _incomparable(teacher: nn.Layer, images: Batch) -> tuple[dict[str, str], Outputs]:
    """Which of the teacher's outputs can't be compared, and what all of them are for one image."""
    with evaluating(teacher), paddle.no_grad():
        one = _run(teacher, taken(images, slice(1)))
        other, two = one, {}
        if size_of(images) > 1:
            other, two = (
                _run(teacher, taken(images, slice(1, 2))),
                _run(teacher, taken(images, slice(2))),
            )
    ignored = {}
    for name, tensor in one.items():
        more = two.get(name)
        if name in other and list(other[name].shape) != list(tensor.shape):
            ignored[name] = f"its shape {list(tensor.shape)} {_VARIES}"
        elif not int(tensor.size):
            ignored[name] = f"it is empty, of shape {list(tensor.shape)}"
        elif "float" not in str(tensor.dtype):
            ignored[name] = f"it is of {_dtype(tensor)}, which has no gradient"
        elif not _follows(tensor, other.get(name), more if two else None):
            ignored[name] = f"its shape {list(tensor.shape)} doesn't follow the images"
        elif not bool(paddle.isfinite(tensor.astype("float32")).all()):
            raise ArgumentError(
                f"the teacher's output{_named(name)} isn't finite on the training data; is that "
                "normalised as the network needs it?"
            )
    return ignored, one


def _follows(one: Any, other: Any, two: Any) -> bool:
    """Whether an output has a part for each image, and no dimension that depends on what they show."""
    if other is None or not one.shape or list(one.shape) != list(other.shape):
        return False
    if two is None:
        return True
    return list(two.shape) == [2 * one.shape[0], *one.shape[1:]]


def _counterpart(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str | None:
    if name in ours:
        return name
    alike = [own for own, tensor in ours.items() if tensor.shape == theirs[name].shape]
    if len(theirs) > 1 or not alike:
        return None
    # Heads that help in training come behind the network's own output.
    return alike[0] if len(alike) == 1 or alike[0] == next(iter(ours)) == "0" else None


def maps_to_learn(
    student: nn.Layer, teacher: nn.Layer, images: Batch, ignored: Mapping[str, str]
) -> list[str]:
    """The layers whose outputs are learnt where the images decide the size of an output itself.

    These are the maps that a detector chooses its boxes from: `spconvify.network.heads`. None where
    every output follows the images, or student and teacher have no such layers in common.
    """
    if not _varies(ignored):
        return []
    own = dict(student.named_sublayers())
    with contextlib.suppress(Exception), unchanged(teacher):  # operators may have no gradient
        return [name for name in heads(teacher, feed(teacher, taken(images, slice(1)))) if name in own]
    return []


def _varies(ignored: Mapping[str, str]) -> bool:
    """Whether the images decide an output's size."""
    return any(reason.endswith(_VARIES) for reason in ignored.values())


def check_some_left(outputs: Collection[str], maps: Sequence[str], ignored: Mapping[str, str]) -> None:
    """Refuse to learn from nothing.

    Raises:
        ArgumentError: says why each output can't be learnt.
    """
    if not outputs and not maps:
        why = "; ".join(f"output{_named(name)}: {reason}" for name, reason in ignored.items())
        raise ArgumentError(
            f"the networks give nothing to learn from: {why or 'no tensor'}; give networks that end "
            "before such a step"
        )


def _run(network: nn.Layer, images: Batch) -> Outputs:
    with unchanged(network):
        return flatten(run_batch(network, images))


def run_batch(network: nn.Layer, images: Batch) -> Any:
    """What the network returns; raises ArgumentError if it doesn't run on such data."""
    remedy = ["the training data must be like the network's own"]
    return run(network, as_given(network, images), remedy=remedy)


@contextlib.contextmanager
def unchanged(network: nn.Layer) -> Iterator[None]:
    """What a run changes is put back: buffers, new ones too, and the random numbers to come."""
    random = paddle.get_rng_state()
    tables = [(layer._buffers, dict(layer._buffers)) for layer in network.sublayers(include_self=True)]
    # A BatchNorm's statistics are parameters without a gradient.
    tensors = [*network.buffers(), *(p for p in network.parameters() if p.stop_gradient)]
    values = [(tensor, tensor.clone()) for tensor in tensors]
    try:
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)
        with paddle.no_grad():
            for tensor, value in values:
                paddle.assign(value, tensor)
        paddle.set_rng_state(random)


def _named(name: str) -> str:
    return f" {name!r}" if name else ""


def _dtype(tensor: paddle.Tensor) -> str:
    return str(tensor.dtype).rsplit(".", 1)[-1]


def _listed(outputs: Mapping[str, Any]) -> str:
    if not outputs:
        return "no tensor"
    return ", ".join(f"{_named(name) or ' one'} {list(t.shape)}".strip() for name, t in outputs.items())
