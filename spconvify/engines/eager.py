"""Engine "eager": the network as Python runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from spconvify.engines.base import Engine
from spconvify.engines.devices import gpu_index

if TYPE_CHECKING:
    import numpy as np
    from paddle import nn


class Eager(Engine):
    """Paddle without an engine: it runs whatever runs in Python, in any dtype, and exports nothing."""

    name, label = "eager", "Paddle eager"
    runs_float64 = True

    def write(self, network: nn.Layer, folder: Path, input_shape: Sequence[int]) -> None:
        """Pickle it; an eager network takes any `input_shape`."""
        from spconvify.engines.pickled import write

        write(network, folder)

    def load(
        self, folder: Path, values: np.ndarray, threads: int = 1, device: str = "cpu"
    ) -> Callable[[], list[Any]]:
        """The pickled network, on the device."""
        import paddle

        from spconvify.engines.pickled import read
        from spconvify.network.graph import tensors_in

        on_gpu = device != "cpu"
        paddle.set_device(device)
        network = read(folder)
        if on_gpu:
            network.to(device=device)
        network.eval()
        x = paddle.to_tensor(values)

        def run() -> list[Any]:
            with paddle.no_grad():
                outputs = network(x)
            if on_gpu:
                paddle.device.cuda.synchronize(gpu_index(device))
            return list(tensors_in(outputs))

        return run


ENGINE = Eager()
