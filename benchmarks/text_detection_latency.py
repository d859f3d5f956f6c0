"""The latency part of `text_detection.py`: original and slim detector, alternating, in every engine."""

from __future__ import annotations

import os
from pathlib import Path

from results import Results


def add_latencies(results: Results, detector: Path, shape: tuple[int, ...], ratio: float) -> None:
    """A result for every engine that there is; one that can't run the detector says why.

    The weights change no latency: the slim one's are copied.
    """
    import spconvify
    from spconvify.deploy.timing import time_networks
    from spconvify.engines import usable_engines
    from spconvify.engines.registry import exporting

    before = spconvify.load(detector)
    after = spconvify.convert(before, ratio=ratio, fusion="sum", init="copy", input_shape=shape)
    for engine in (name for name in usable_engines("cpu") if name in exporting()):
        name = f"{detector.name} {ratio:g}, {engine}"
        try:
            result = time_networks(before, after, shape, engine).to_dict()
        except spconvify.EngineError as error:
            result = {"failed": str(error)}
        result["load"] = os.getloadavg()[0]  # more than one process: of a busy machine
        results.add(name, result)
        print(name, result, flush=True)
