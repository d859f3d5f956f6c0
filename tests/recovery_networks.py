"""A teacher, its converted student, and images: small enough to train in a test."""

from __future__ import annotations

import numpy as np
import paddle
from networks import PlainNet, trained

import spconvify


def pair(seed=0, **options):
    """(student, teacher): a copy of the teacher with two SPConv layers; no class is the favourite."""
    teacher = trained(PlainNet(), seed)
    with paddle.no_grad():
        logits = teacher(paddle.to_tensor(images()))
        teacher.head.bias.set_value(teacher.head.bias - logits.mean(0))
    return spconvify.convert(teacher, fusion="sum", **options), teacher


def images(count=32, size=10, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, size, size), dtype="float32")


def weights(network):
    return {key: tensor.numpy().copy() for key, tensor in network.state_dict().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
