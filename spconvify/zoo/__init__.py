"""Architectures by name, and which one a state dict belongs to."""

from __future__ import annotations

from spconvify.operators.registry import dense_shapes
from spconvify.operators.spconv.keys import SPConvKeys, spconv_sites
from spconvify.zoo.architecture import Architecture, find
from spconvify.zoo.catalogue import names
from spconvify.zoo.custom import CustomArchitecture, build_custom, resolve
from spconvify.zoo.identification import anchors, identify
from spconvify.zoo.paddleclas import PaddleClasArchitecture

__all__ = [
    "Architecture",
    "CustomArchitecture",
    "PaddleClasArchitecture",
    "SPConvKeys",
    "anchors",
    "build_custom",
    "dense_shapes",
    "find",
    "identify",
    "names",
    "resolve",
    "spconv_sites",
]
