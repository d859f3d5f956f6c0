"""Labels: what can be one, and how the first that can't is named."""

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.evaluation.labels import check_labels


@pytest.mark.parametrize(
    "labels", [[0, 2, 1], np.float32([0, 2, 1]), np.uint8([[0], [2], [1]]), np.int32([0, 2, 1])]
)
def test_whole_numbers_are_taken(labels):
    found = check_labels(labels, 3, "data", 3)
    assert found.tolist() == [0, 2, 1]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "dog", "cat"], "data: labels of dtype <U3 aren't numbers"),
        ([True, False, True], "data: labels of dtype bool aren't numbers"),
        ([0, None, 1], "data: labels of dtype object aren't numbers"),
        ([0, np.nan, 1], "data: label 11 is nan, which isn't a whole number"),
        ([0, np.inf, 1], "data: label 11 is inf, which isn't a whole number"),
        ([0, 1, 1.5], r"data: label 12 is 1\.5, which isn't a whole number"),
        ([0, 1, -1], "data: label 12 is -1, which is negative"),
        ([3, 0, 1], r"data: label 10 is 3, which is beyond the network's 3 classes \(0 to 2\)"),
        (np.uint64([0, 2**64 - 1, 0]), "label 11 is 18446744073709551615, which is beyond"),
        (np.ma.array([0, 1, 2], mask=[0, 1, 0]), "data: labels are masked; leave those images out"),
        ([0, 1], "the labels are 2 for 3 images"),
        (np.eye(3), "the labels are 3x3 for 3 images"),
        (np.zeros((1, 3)), "the labels are 1x3 for 3 images"),
        (0, "the labels are a scalar for 3 images"),
        ([[1], [2, 0], [1]], "data: labels are lists of several lengths"),
    ],
)
def test_what_cannot_be_a_label_is_named_with_its_place(labels, message):
    with pytest.raises(ArgumentError, match=message):
        check_labels(labels, 3, "data", 3, first=10)


@pytest.mark.parametrize("label", [2**31, np.uint64(2**64 - 1), 1e300])
def test_what_fits_no_integer_is_no_class(label):
    with pytest.raises(ArgumentError, match=r"label 1 is .*, which is the number of no class"):
        check_labels(np.array([0, label]), 2, "data")
