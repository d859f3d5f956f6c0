"""Outputs that are empty, or one number, on all that is tried: that they are equal proves nothing."""

import json

import numpy as np
import paddle
import pytest
from networks import PlainNet, trained

import spconvify
from spconvify.deploy.evidence import Evidence
from spconvify.deploy.export import read_manifest
from spconvify.errors import NotCheckedWarning
from spconvify.report import export_lines

SHAPE = (2, 3, 10, 10)


class Finds(paddle.nn.Layer):
    """The rows that are above a threshold; with `scores` all of them, too."""

    def __init__(self, threshold, scores=False):
        super().__init__()
        self.body, self.threshold, self.scores = PlainNet(), threshold, scores

    def forward(self, x):
        y = self.body(x)
        boxes = paddle.gather(y, paddle.nonzero(y[:, 0] > self.threshold).flatten())
        return {"boxes": boxes, "scores": y} if self.scores else boxes


class Above(Finds):
    """Whether they are."""

    def forward(self, x):
        return self.body(x) > self.threshold


NOTHING = {"boxes": Finds, "yes or no": Above}


@pytest.mark.parametrize("kind", NOTHING.values(), ids=NOTHING)
def test_an_export_of_which_nothing_was_compared_says_so(tmp_path, kind):
    model = trained(kind(1e4))
    with pytest.warns(NotCheckedWarning, match=r"what is exported isn't checked.*give an example on wh"):
        folder = spconvify.export(model, tmp_path / "out", SHAPE, tune=False)
    assert json.loads((folder / "manifest.json").read_text())["max_relative_error"] is None
    assert any("not compared" in line for line in export_lines(folder, read_manifest(folder)))


def test_an_output_that_is_always_empty_is_named(tmp_path, recwarn):
    model = trained(Finds(1e4, scores=True))
    folder = spconvify.export(model, tmp_path / "out", SHAPE, tune=False)
    (found,) = [w for w in recwarn if w.category is NotCheckedWarning]
    assert "in its output 'boxes', which is empty" in str(found.message)
    assert read_manifest(folder).error < 1e-4


def test_with_an_example_on_which_it_finds_something_nothing_is_said(tmp_path, recwarn):
    example = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    model = trained(Finds(-1e4))
    assert (
        read_manifest(spconvify.export(model, tmp_path / "out", example=example, tune=False)).error
        < 1e-4
    )
    assert not [w for w in recwarn if w.category is NotCheckedWarning]


def test_fuse():
    with pytest.warns(NotCheckedWarning, match="the fused network isn't checked: on every input"):
        spconvify.fuse(trained(Finds(1e4)), input_shape=SHAPE)


@pytest.mark.parametrize(
    ("trials", "is_none"),
    [
        ([[1.0, 1.0], [1.0]], True),
        ([[1.0], [2.0]], False),
        ([[3.0]], False),
        ([[], []], True),
        ([[], [1.0, 2.0]], False),
        ([[np.nan, 1.0], [1.0]], True),
        ([[True, True]], True),
        ([[1j, 2j]], False),
    ],
)
def test_what_proves_something(trials, is_none):
    assert Evidence({"": np.array(values)} for values in trials).is_none == is_none
    with_another = Evidence({"": np.array(values), "y": np.arange(3)} for values in trials)
    assert not with_another.is_none
