"""Top-1 accuracy: of which output, and of which labels."""

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError
from spconvify.evaluation.accuracy import top1


class Scores(nn.Layer):
    """Each image (N, 3, 1, 1) holds its scores; `pack` makes of them what the network gives."""

    def __init__(self, pack=lambda scores: scores):
        super().__init__()
        self._pack = pack

    def forward(self, x):
        return self._pack(x.flatten(1))


IMAGES = np.eye(3, dtype="float32")[[0, 1, 2, 2], :, None, None]
LABELS = [0, 1, 2, 0]


@pytest.mark.parametrize(
    "pack",
    [
        lambda scores: scores,
        lambda scores: [scores, -scores],
        lambda scores: {"scores": scores},
        lambda scores: {"a": scores.argmax(1), "maps": scores[:, :, None, None], "scores": scores},
    ],
)
def test_the_first_output_of_scores_counts(pack):
    assert top1(Scores(pack), IMAGES, LABELS, batch_size=3) == 75.0


@pytest.mark.parametrize(
    "pack",
    [lambda scores: scores[:, :, None, None], lambda scores: scores[:, :1], lambda scores: "text"],
)
def test_a_network_without_scores_is_refused(pack):
    with pytest.raises(ArgumentError, match=r"needs scores of classes \(N, K\), and the network gives"):
        top1(Scores(pack), IMAGES, LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 3], "labels: label 3 is 3, which is beyond the network's 3 classes"),
        ([0, 1, -1, 0], "labels: label 2 is -1, which is negative"),
        ([0, 1, 2], "the labels are 3 for 4 images"),
        (["a", "b", "c", "a"], "aren't numbers"),
        (np.zeros((4, 5, 5)), "the labels are 4x5x5 for 4 images"),
    ],
)
def test_labels_that_cannot_be(labels, message):
    with pytest.raises(ArgumentError, match=message):
        top1(Scores(), IMAGES, labels, batch_size=3)
    assert paddle.is_grad_enabled()
