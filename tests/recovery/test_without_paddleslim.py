"""What is said where PaddleSlim isn't installed."""

import sys

import pytest
from recovery_networks import images, pair

from spconvify import SpconvifyError, recover


def test_missing_paddleslim_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "paddleslim.dygraph.dist", None)
    monkeypatch.setitem(sys.modules, "paddleslim", None)
    with pytest.raises(SpconvifyError, match=r"pip install 'spconvify\[slim\]'"):
        recover(*pair(), images(), steps=1)
