"""Warnings point at the line of the user, not at one of spconvify's."""

import warnings

import numpy as np
from networks import PlainNet, trained

from spconvify import convert
from spconvify.errors import InputWarning


def test_a_warning_from_deep_inside_names_the_callers_file():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = np.random.default_rng(0).standard_normal((5, 3, 16, 16)).astype("float32")
        convert(trained(PlainNet()), init="lstsq", calibration=[images])
    told = [warning for warning in caught if warning.category is InputWarning]
    assert "too few (5)" in str(told[0].message)
    assert all(warning.filename == __file__ for warning in told)
