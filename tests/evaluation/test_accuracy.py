"""Top-1 accuracy: of which output, and of which labels."""

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError
from spconvify.evaluation.accuracy import top1
from spconvify.evaluation.scores import AccuracyWarning


class Scores(nn.Layer):
    """Each image (N, 3, 1, 1) holds its scores; `pack` makes of them what the network gives."""

    def __init__(self, pack=lambda scores: scores):
        super().__init__()
        self._pack = pack

    def forward(self, x):
        return self._pack(x.flatten(1))


IMAGES = np.eye(3, dtype="float32")[[0, 1, 2, 2], :, None, None]
LABELS = [0, 1, 2, 0]


def features(scores, count=4):
    """(N, count), whose largest is never that of the scores."""
    return paddle.concat([scores * 0, 1 + scores[:, :1].tile([1, count - 3]) * 0], axis=1)


@pytest.mark.parametrize(
    ("pack", "counts"),
    [
        (lambda s: {"features": features(s), "logits": s}, "logits"),
        (lambda s: {"z_logits": s, "embedding": features(s, 9)}, "z_logits"),  # as many as the labels
        (lambda s: {"head": {"out": s}, "a": features(s)}, "head.out"),
        (lambda s: {"a": features(s), "pred_class": s, "bits": s[:, :2]}, "pred_class"),
        (lambda s: (features(s), s), "1"),
        (lambda s: [s, -s, -s], "0"),  # heads that help in training come behind
    ],
)
def test_of_several_outputs_the_one_counts_that_fits(pack, counts):
    with pytest.warns(
        AccuracyWarning, match=f"top-1 accuracy is of the output '{counts}'; the network "
    ):
        assert top1(Scores(pack), IMAGES, LABELS, batch_size=1) == 75.0


def test_of_outputs_that_fit_alike_none_counts():
    for pack in (
        lambda s: {"a": s, "b": -s},
        lambda s: {"logits": s, "scores": s},
        lambda s: (features(s), features(s, 5)),
    ):
        with pytest.raises(ArgumentError, match="needs one output with the scores of the classes"):
            top1(Scores(pack), IMAGES, LABELS)
    with pytest.raises(ArgumentError, match=r"gives 'a' \[4, 4\], 'b' \[4, 5\]; give a network"):
        top1(Scores(lambda s: {"a": features(s), "b": features(s, 5)}), IMAGES, LABELS)


def test_scores_that_are_no_numbers_count_as_wrong():
    pack = lambda s: paddle.where(s[:, :1] == 1, s * np.nan, s)  # noqa: E731
    with pytest.warns(
        AccuracyWarning, match="the scores of 1 of 4 images hold NaN; these count as wrong"
    ):
        assert top1(Scores(pack), IMAGES, LABELS) == 50.0


def test_a_network_runs_in_its_own_dtype():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 3)).to(dtype="float64")
    found = model(paddle.to_tensor(IMAGES).astype("float64")).numpy().argmax(1)
    assert top1(model, IMAGES, found) == 100.0


@pytest.mark.parametrize(
    "pack",
    [
        lambda scores: scores,
        lambda scores: [scores, -scores],
        lambda scores: {"scores": scores},
        lambda scores: {"a": scores.argmax(1), "maps": scores[:, :, None, None], "scores": scores},
    ],
)
def test_the_output_of_scores_counts(pack):
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
