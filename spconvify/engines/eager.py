"""Engine "eager": the network as Python runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from spconvify.engines.base import Engine
from spconvify.engines.devices import gpu_index
from spconvify.engines.feeds import Shapes, Values

if TYPE_CHECKING:
    from paddle import nn


class Eager(Engine):
    """Paddle without an engine: it runs whatever runs in Python, in any dtype, and exports nothing."""

    name, label = "eager", "Paddle eager"
    runs_float64 = True

    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Pickle it; an eager network takes any shapes."""
        from spconvify.engines.pickled import write
        from spconvify.network.flat_inputs import TakesList
        from spconvify.network.inputs import Inputs

        inputs = Inputs.of(input_shape, network)
        write(network if inputs.is_plain else TakesList(network, inputs), folder)

    def load(
        self, folder: Path, values: Values, threads: int = 1, device: str = "cpu"
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
        x: Any = (
            [paddle.to_tensor(array) for array in values.values()]
            if isinstance(values, Mapping)
            else paddle.to_tensor(values)
        )

        def run() -> list[Any]:
            with paddle.no_grad():
                outputs = network(x)
            if on_gpu:
                paddle.device.cuda.synchronize(gpu_index(device))
            return list(tensors_in(outputs))

        return run


ENGINE = Eager()
