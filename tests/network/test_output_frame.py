"""Where an output has its classes, and what it is, from its shape beside the input's."""

import pytest

from spconvify.network.outputs import Frame


@pytest.mark.parametrize(
    ("layout", "given", "shape", "axis"),
    [
        ("NCHW", (2, 3, 12, 20), (2, 5, 12, 20), 1),
        ("NCHW", (2, 3, 12, 20), (2, 12, 20, 5), 3),  # turned around at the end
        ("NCHW", (2, 3, 12, 20), (2, 7, 3, 5), 1),
        ("NCHW", (2, 3, 12, 20), (2, 24, 40, 7), 3),
        ("NCHW", (2, 3, 15, 17), (2, 9, 8, 9), 1),  # sizes are rounded
        ("NCHW", (2, 3, 16, 16), (2, 16, 16, 16), 1),
        ("NCHW", (2, 3, 16, 16), (2, 16, 16, 5), 3),
        ("NCHW", (2, 3, 12, 20), (2, 6, 1, 1), 1),
        ("NCHW", (2, 3, 4, 4), (2, 5, 8, 6), 1),  # in proportion in no way
        ("NHWC", (2, 12, 20, 3), (2, 12, 20, 5), 3),
        ("NHWC", (2, 12, 20, 3), (2, 5, 12, 20), 1),
        ("NHWC", (2, 12, 20, 3), (2, 24, 40, 5), 3),
        ("NHWC", (2, 12, 20, 3), (2, 3, 5, 7), 3),
        ("NHWC", (2, 16, 16, 3), (2, 16, 16, 16), 3),
        ("NHWC", (2, 16, 16, 3), (2, 1, 1, 6), 3),
        ("NHWC", (2, 16, 16, 3), (2, 6), 1),
        ("NHWC", (2, 16, 16, 3), (2, 6, 9), 2),
        ("NCHW", (2, 3, 16, 16), (2, 6, 9), 1),
        ("NCHW", (2, 7), (2, 6, 9, 9), 1),
    ],
)
def test_the_class_axis(layout, given, shape, axis):
    assert Frame(given, layout).class_axis(shape) == axis


@pytest.mark.parametrize(
    ("layout", "given", "shape", "kind"),
    [
        ("NCHW", (2, 3, 16, 16), (2, 5), "classes"),
        ("NCHW", (2, 3, 16, 16), (2, 1), "values"),
        ("NCHW", (2, 3, 16, 16), (2,), "values"),
        ("NCHW", (2, 3, 16, 16), (2, 5, 7), "values"),
        ("NCHW", (2, 3, 16, 16), (2, 5, 16, 16), "map"),
        ("NCHW", (2, 3, 16, 16), (2, 3, 32, 32), "image"),
        ("NCHW", (2, 3, 16, 16), (2, 1, 16, 16), "image"),
        ("NCHW", (2, 8, 16, 16), (2, 8, 16, 16), "map"),
        ("NHWC", (2, 12, 20, 3), (2, 12, 20, 3), "image"),
        ("NHWC", (2, 12, 20, 3), (2, 12, 20, 12), "map"),
        ("NHWC", (2, 12, 20, 3), (2, 12, 20, 1), "image"),
        ("NCHW", (2, 3, 12, 20), (2, 12, 20, 3), "image"),
    ],
)
def test_what_an_output_is(layout, given, shape, kind):
    assert Frame(given, layout).kind_of(shape) == kind
