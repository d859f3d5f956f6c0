"""A sample is spread over all images, and the same for the same seed."""

import numpy as np
import pytest

from spconvify.data.sample import in_turns, sample_rows


@pytest.mark.parametrize(("total", "count"), [(10, None), (10, 10), (10, 11), (1, 5)])
def test_all(total, count):
    assert sample_rows(total, count).tolist() == list(range(total))


def test_rows_of_every_class_whether_they_are_sorted_or_come_in_turns():
    rows = sample_rows(1000, 100, seed=3)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(rows // 100, minlength=10).tolist() == [10] * 10
    assert np.bincount(rows % 10, minlength=10).min() > 0
    assert rows.tolist() == sample_rows(1000, 100, seed=3).tolist() != sample_rows(1000, 100).tolist()


def test_in_turns_gives_one_of_each_group_first():
    items = [
        f"{group}{number}" for group, size in (("a", 50), ("b", 2), ("c", 50)) for number in range(size)
    ]
    taken = in_turns(items, lambda item: item[0], seed=1)
    assert sorted(taken) == sorted(items)
    assert sorted(item[0] for item in taken[:6]) == list("aabbcc")
    assert sorted(item[0] for item in taken[6:26]) == ["a"] * 10 + ["c"] * 10
    assert taken == in_turns(items, lambda item: item[0], seed=1)
    assert taken != in_turns(items, lambda item: item[0], seed=2)
    assert set(taken[:2]) != {"a0", "b0"}
