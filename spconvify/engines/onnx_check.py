"""A rewritten ONNX file takes the place of the one that worked only when it computes the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.engines.feeds import Values, by_name, random_feeds, shapes_of
from spconvify.engines.onnx_parts import divide

_BATCH = 2  # that a file which takes any is tried with
_TOLERANCE = 1e-4  # of each output's scale


def divide_file(path: Path, input_shape: Any) -> str:
    """`divide` the network in an ONNX file, which is written again if that changes it.

    The new file is checked by ONNX's own checker, loaded in ONNX Runtime, and run on an input of
    `input_shape` (N, C, H, W; N may be -1; of several see `described`) beside the old one.

    Returns:
        Why the file is as it was though there is something to divide; "" otherwise.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        plain = model.SerializeToString()
        feeds = random_feeds(input_shape, _BATCH)
        if not divide(model, shapes_of(feeds) if _is_free(model) else ()):
            return ""
        onnx.checker.check_model(model)
        divided = model.SerializeToString()
        _compare(plain, divided, feeds)
    except Exception as error:  # whatever a strange graph brings about: it works as it is
        text = str(error).strip() or type(error).__name__
        return f"dividing its splits failed ({' '.join(text.split())[:200]})"
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(divided)
    os.replace(new, path)
    return ""


def _is_free(model: Any) -> bool:
    """Whether pictures may have any height and width."""
    return any(
        dim.dim_value <= 0 for value in model.graph.input for dim in value.type.tensor_type.shape.dim[1:]
    )


def _compare(plain: bytes, divided: bytes, values: Values) -> None:
    for old, new in zip(_run(plain, values), _run(divided, values)):
        finite = np.abs(old[np.isfinite(old)], dtype="float64") if old.dtype.kind in "fc" else old
        scale = float(np.max(np.abs(finite), initial=0.0))
        if not np.allclose(new, old, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True):
            raise ValueError("its outputs would differ")


def _run(model: bytes, values: Values) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # constants that are left over
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, by_name(values, [tensor.name for tensor in session.get_inputs()]))
