"""What a program is run on when nobody gives anything."""

import numpy as np
import pytest

from spconvify.source.programs.feeds import usual_shape, usual_values
from spconvify.source.programs.program import Feed


def of(*shape, name="x", dtype="float32"):
    return Feed(name, "1", shape, dtype)


@pytest.mark.parametrize(
    ("shape", "usual", "other"),
    [
        ((-1, 3, -1, -1), (1, 3, 224, 224), (2, 3, 160, 96)),
        ((1, 3, 64, 32), (1, 3, 64, 32), (1, 3, 64, 32)),
        ((-1, 3, 48, -1), (1, 3, 48, 320), (2, 3, 48, 160)),
        ((-1, 3, 32, -1), (1, 3, 32, 320), (2, 3, 32, 160)),
        ((-1, 7), (1, 7), (2, 7)),
        ((-1, -1), (1, 224), (2, 224)),
        ((-1,), (1,), (2,)),
        ((), (), ()),
    ],
)
def test_shapes(shape, usual, other):
    assert usual_shape(of(*shape)) == usual
    assert usual_shape(of(*shape), 2, True) == other


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "bool", "uint8"])
def test_dtypes(dtype):
    (values,) = usual_values([of(2, 3, dtype=dtype)])
    assert values.dtype == dtype
    assert values.shape == (2, 3)
    if "int" in dtype:
        assert set(values.reshape(-1)) <= {0, 1}


def test_what_detectors_take_beside_the_picture():
    feeds = [of(-1, 2, name="im_shape"), of(-1, 3, -1, -1, name="image"), of(-1, 2, name="scale_factor")]
    shape, image, factor = usual_values(feeds, 2, True)
    np.testing.assert_array_equal(shape, [[160, 96]] * 2)
    assert image.shape == (2, 3, 160, 96)
    np.testing.assert_array_equal(factor, np.ones((2, 2)))


def test_inputs_differ_and_are_the_same_again():
    feeds = [of(2, 3), of(2, 3, name="z")]
    first, second = usual_values(feeds), usual_values(feeds)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(*first)
