"""The loss of a student against its teacher: a term for every output, and for chosen layers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.batches import Batch, feed, shape_of
from spconvify.network.inputs import forward
from spconvify.network.outputs import Frame, flatten
from spconvify.network.run import evaluating
from spconvify.recovery.own_loss import OwnLoss
from spconvify.recovery.recipe import Recipe

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Term:
    """How much an output counts, and how it is compared: "kl" over `axis`, or "mse"."""

    output: str  # its name in the student's result
    loss: str
    axis: int
    weight: float
    classes: int | None  # how many an output (N, K) tells apart


class Distillation:
    """Loss of a batch: every output's distance to the teacher's, and that of chosen layers' outputs.

    Scores of classes, for an image (N, K) or for each of its pixels (N, K, H, W), count with
    ``T^2 x KL(softmax(teacher / T) || softmax(student / T))``: softmax over the classes, see
    `spconvify.network.outputs.Frame`; the mean over images and pixels (Hinton et al., "Distilling the
    knowledge in a neural network", 2015).
    Pictures and other values count with their mean squared distance, as a share of the variance of the
    teacher's. A recipe with a function as its loss has that one term in place of these. A layer's output
    counts as pictures do; the mean over the layers counts `feature_weight` times. Make it inside
    `distilling`.

    Args:
        student: the network that learns.
        teacher: the network that it learns from.
        layers: names under which both have a layer whose outputs should be alike.
        recipe: temperature, feature weight, and the loss where it isn't chosen by the kind of output.
        images: (N, C, H, W), one batch, or `Inputs`; tells the variances.
        outputs: the teacher's outputs to learn -> the student's; None takes all under their own names.
        maps: layers whose outputs count like one of the network's each, by the mean squared distance.
    """

    def __init__(
        self,
        student: nn.Layer,
        teacher: nn.Layer,
        layers: Sequence[str],
        recipe: Recipe,
        images: Batch,
        outputs: Mapping[str, str] | None = None,
        maps: Sequence[str] = (),
    ):
        self._networks, self._temperature = (student, teacher), recipe.temperature
        chosen = [*maps, *(layers if recipe.feature_weight else [])]
        self._own = OwnLoss(recipe.loss) if callable(recipe.loss) else None
        with evaluating(teacher), self._watching(teacher, chosen) as features:
            found = self._taught(images)
        self.terms = {} if self._own else _terms(flatten(found), recipe, teacher, images, outputs)
        share = recipe.feature_weight / max(1, len(layers))
        scales = {name: _variance(value) for name, value in features.items()}
        shares = {name: share * (name in layers) + (name in maps) for name in scales}
        self._features = {name: shares[name] / scale for name, scale in scales.items() if scale}

    def __call__(self, images: Batch) -> tuple[paddle.Tensor, Tensors]:
        """The loss, and the student's outputs by name."""
        student, teacher = self._networks
        with self._watching(teacher, self._features) as features:
            taught = self._taught(images)
        with self._watching(student, self._features) as own:
            given = forward(student, feed(student, images))
        outputs = flatten(given)
        parts = [self._own(given, taught)] if self._own else self._distances(outputs, flatten(taught))
        for name, weight in self._features.items():
            _check_alike(name, own[name], features[name])
            parts.append(F.mse_loss(own[name], features[name]) * weight)
        return paddle.add_n(parts), outputs

    def _taught(self, images: Batch) -> Any:
        with paddle.no_grad():
            teacher = self._networks[1]
            return forward(teacher, feed(teacher, images))

    def _distances(self, own: Tensors, taught: Tensors) -> list[paddle.Tensor]:
        return [
            self._distance(term, own[term.output], taught[name]) * term.weight
            for name, term in self.terms.items()
        ]

    def _distance(self, term: Term, own: paddle.Tensor, taught: paddle.Tensor) -> paddle.Tensor:
        if term.loss == "mse":
            return F.mse_loss(own, taught)
        own, taught = own / self._temperature, taught / self._temperature
        log_own, taught = F.log_softmax(own, axis=term.axis), F.softmax(taught, axis=term.axis)
        total = F.kl_div(log_own, taught, reduction="sum")
        return total * (own.shape[term.axis] / int(own.size))

    @contextlib.contextmanager
    def _watching(self, network: nn.Layer, layers: Any) -> Iterator[Tensors]:
        """What the layers of these names give during the block."""
        found: Tensors = {}

        def observe(name: str) -> Callable[..., None]:
            return lambda layer, inputs, output: found.__setitem__(name, output)

        named = dict(network.named_sublayers(include_self=True)) if layers else {}
        hooks = [named[name].register_forward_post_hook(observe(name)) for name in layers]
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()


@contextlib.contextmanager
def distilling(student: nn.Layer, teacher: nn.Layer) -> Iterator[None]:
    """The student in training mode, the teacher in eval mode; afterwards both are as they were.

    In a student that is in training mode already, layers that are in eval mode stay so: their owner
    has frozen their statistics.
    """
    layers = [*student.sublayers(include_self=True), *teacher.sublayers(include_self=True)]
    before = [(layer, layer.training) for layer in layers]
    try:
        if not student.training:
            student.train()
        teacher.eval()
        yield
    finally:
        for layer, training in before:
            layer.training = training


def _terms(
    found: Tensors,
    recipe: Recipe,
    teacher: nn.Layer,
    images: Batch,
    outputs: Mapping[str, str] | None,
) -> dict[str, Term]:
    """By the name of the teacher's output."""
    floats = {name: name for name, value in found.items() if "float" in str(value.dtype)}
    names = floats if outputs is None else outputs
    frame = Frame.of(teacher, shape_of(images))
    terms = {name: _term(name, own, found[name], recipe, frame) for name, own in names.items()}
    if recipe.axis is not None and all(term.loss != "kl" for term in terms.values()):
        raise ArgumentError(
            f"axis {recipe.axis}: no output looks like scores of classes; give loss='kl' too, or leave "
            "the axis out"
        )
    return terms


def _term(name: str, own: str, taught: paddle.Tensor, recipe: Recipe, frame: Frame) -> Term:
    shape, kind = list(taught.shape), frame.kind_of(taught.shape)
    loss = str(recipe.loss or ("kl" if kind in ("classes", "map") else "mse"))
    axis = frame.class_axis(shape) if recipe.axis is None else recipe.axis
    if loss == "kl" and recipe.axis is not None and not -len(shape) < axis < len(shape):
        raise ArgumentError(
            f"axis {axis}: the output {name!r} is {shape}, which has no such axis beside the images'"
        )
    if loss == "kl" and (len(shape) < 2 or shape[axis] < 2):
        raise ArgumentError(
            f"loss 'kl': the output {name!r} is {shape}, without classes in axis {axis}; use loss='mse'"
        )
    weight = recipe.temperature**2 if loss == "kl" else 1.0 / _scale(taught)
    return Term(own, loss, axis, weight, shape[axis] if kind == "classes" else None)


def _check_alike(name: str, own: paddle.Tensor, taught: paddle.Tensor) -> None:
    if own.shape != taught.shape:
        raise ArgumentError(
            f"layer {name!r} gives {list(own.shape)} in the student and {list(taught.shape)} in the "
            "teacher, which can't be compared; leave feature_weight 0"
        )


def _variance(value: paddle.Tensor) -> float:
    with paddle.no_grad():
        return float((value - value.mean()).square().mean())


def _scale(value: paddle.Tensor) -> float:
    """The variance; of values that are all but the same, a small part of their square."""
    with paddle.no_grad():
        return max(_variance(value), 1e-6 * float(value.square().mean())) or 1.0
