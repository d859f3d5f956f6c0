"""The loss of a student against its teacher, by PaddleSlim's `Distill`. Only this file imports it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import SpconvifyError
from spconvify.recovery.recipe import Recipe
from spconvify.verify import evaluating

_INSTALL = (
    "recovery needs PaddleSlim, which isn't installed: pip install 'spconvify[slim]' "
    "(it needs numpy below 2)"
)


class Distillation:
    """Loss of a batch: KL divergence of the logits, and the distance of chosen layers' outputs.

    The logits' part is ``T^2 x KL(softmax(teacher / T) || softmax(student / T))``, the mean over the
    images (Hinton et al., "Distilling the knowledge in a neural network", 2015). A layer's part is the
    mean squared distance, as a share of the variance of the teacher's output; the mean over the layers
    counts `feature_weight` times. Make it inside `distilling`.

    Args:
        student: the network that learns.
        teacher: the network that it learns from.
        layers: names under which both have a layer whose outputs should be alike.
        recipe: temperature and feature weight.
        images: (N, C, H, W), one batch; tells the variances.
    """

    def __init__(
        self,
        student: nn.Layer,
        teacher: nn.Layer,
        layers: Sequence[str],
        recipe: Recipe,
        images: np.ndarray,
    ):
        batch = paddle.to_tensor(images)
        features = []
        if recipe.feature_weight and layers:
            share = recipe.feature_weight / len(layers)
            variances = _variances(teacher, layers, batch)
            features = [
                _config(f"network.{name}", "MSELoss", share / variances[name])
                for name in layers
                if variances.get(name)
            ]
        squared = recipe.temperature**2
        logits = _config(
            "logits", "KLLoss", squared, temperature=recipe.temperature, reduction="batchmean"
        )
        wrapped = _WithLogits(student), _WithLogits(teacher, learns=False)
        self._distill = _paddleslim()(
            [logits, *features], students=[wrapped[0]], teachers=[wrapped[1]], convert_fn=False
        )
        # Its first call runs the student twice: here, that leaves no trace in the BatchNorms.
        with evaluating(student), paddle.no_grad():
            self._distill(batch)

    def __call__(self, images: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """The loss, and the student's logits."""
        loss, student, _ = self._distill(images)
        return loss, student[0]


class _WithLogits(nn.Layer):
    """A network whose first output passes a layer with a name: PaddleSlim can't name the root."""

    def __init__(self, network: nn.Layer, learns: bool = True):
        super().__init__()
        self.network, self.logits, self._learns = network, nn.Identity(), learns

    def forward(self, x):
        if self._learns:
            return [self.logits(_first(self.network(x)))]
        with paddle.no_grad():  # PaddleSlim would give the teacher gradients
            return [self.logits(_first(self.network(x)))]


@contextlib.contextmanager
def distilling(student: nn.Layer, teacher: nn.Layer) -> Iterator[None]:
    """The student in training mode, the teacher in eval mode; afterwards both are as they were.

    PaddleSlim leaves its hooks on the layers: they are taken off.
    """
    layers = [*student.sublayers(include_self=True), *teacher.sublayers(include_self=True)]
    before = [(layer, layer.training, set(layer._forward_post_hooks)) for layer in layers]
    try:
        student.train()
        teacher.eval()
        yield
    finally:
        for layer, training, hooks in before:
            layer.training = training
            for key in set(layer._forward_post_hooks) - hooks:
                del layer._forward_post_hooks[key]


def check_installed() -> None:
    """Refuse to start without PaddleSlim.

    Raises:
        SpconvifyError: with the command that installs it.
    """
    _paddleslim()


def _paddleslim() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from paddleslim.dygraph.dist import Distill
    except ImportError as error:
        raise SpconvifyError(f"{_INSTALL}; the import said: {error}") from error
    return Distill


def _config(layer: str, loss: str, weight: float, **more: Any) -> dict[str, Any]:
    """What PaddleSlim calls a config; it changes the one that it is given, so each is a new one."""
    own = {"layers_name": [layer, layer], "loss_function": loss, "weight": weight, **more}
    return {"model_name_pairs": [["student_0", "teacher_0"]], "layers": [own]}


def _variances(teacher: nn.Layer, layers: Sequence[str], batch: paddle.Tensor) -> dict[str, float]:
    """Variance of every layer's output on a batch; a layer that isn't reached is left out."""
    found: dict[str, float] = {}

    def observe(name: str) -> Any:
        return lambda layer, inputs, output: found.__setitem__(
            name, float((output - output.mean()).square().mean())
        )

    named = dict(teacher.named_sublayers())
    hooks = [named[name].register_forward_post_hook(observe(name)) for name in layers]
    try:
        with evaluating(teacher), paddle.no_grad():
            teacher(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, (list, tuple)) else output
