"""The converter's side: `children.run` has it write a program of Paddle's as an ONNX file.

In a process of its own, since Paddle's converter prints past Python, and a crash of its is not ours.
"""

from __future__ import annotations

import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from typing import Any


def main(job: dict[str, Any]) -> None:
    """Convert the job's "program" and "parameters" to "target", with the operators of "opset"."""
    import paddle2onnx

    paddle2onnx.export(job["program"], job["parameters"], job["target"], opset_version=job["opset"])
    from spconvify.engines.onnx_parts import divide_file

    divide_file(job["target"])
