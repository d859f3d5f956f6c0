"""Shared fixtures. zlib comes first: on Paddle 2.6 a later import of it can crash."""

import zlib  # noqa: F401

import paddle
import pytest


@pytest.fixture(autouse=True)
def _fixed_seed():
    paddle.seed(0)
