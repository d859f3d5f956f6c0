"""Shared fixtures. zlib comes first: on Paddle 2.6 a later import of it can crash."""

import zlib  # noqa: F401

import paddle
import pytest


@pytest.fixture(autouse=True)
def _fixed_seed():
    paddle.seed(0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """What was tuned on this machine before must not decide what a test sees."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
