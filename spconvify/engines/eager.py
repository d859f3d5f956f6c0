"""Engine "eager": the network as Python runs it, handed to its process as a pickle of our own."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.engines.support import gpu_index
from spconvify.errors import EngineError
from spconvify.verify import first_line

_FILE = "network.pickle"


class _Pickler(pickle.Pickler):
    """Pickles layers: tensors as arrays, places and dtypes by name."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, paddle.Tensor):
            is_parameter = isinstance(obj, type(paddle.create_parameter([1], "float32")))
            dtype = str(obj.dtype).rsplit(".", 1)[-1]
            array = obj.astype("float32").numpy() if dtype == "bfloat16" else obj.numpy()
            return _tensor, (array, dtype, is_parameter, obj.stop_gradient)
        if isinstance(obj, paddle.dtype):
            return _dtype, (str(obj).rsplit(".", 1)[-1],)
        if type(obj).__name__ in ("Place", "CPUPlace", "CUDAPlace"):
            return _place, ()
        return NotImplemented


def _tensor(array: np.ndarray, dtype: str, is_parameter: bool, stop_gradient: bool) -> paddle.Tensor:
    if is_parameter:
        tensor = paddle.create_parameter(list(array.shape), dtype)
        tensor.set_value(paddle.to_tensor(array).astype(dtype))
    else:
        tensor = paddle.to_tensor(array).astype(dtype)
    tensor.stop_gradient = stop_gradient
    return tensor


def _dtype(name: str) -> Any:
    return getattr(paddle, name)


def _place() -> Any:
    return paddle.CPUPlace()


def write(network: nn.Layer, folder: Path, input_shape: Sequence[int]) -> None:
    """Pickle `network` for the worker.

    Raises:
        EngineError: if something in it can't be pickled.
    """
    del input_shape  # an eager network takes any
    try:
        with open(folder / _FILE, "wb") as file:
            _Pickler(file).dump(network)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{type(network).__name__} can't be handed to a process of its own: {first_line(error)}; "
            "try --engine inference"
        ) from error


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], None]:
    """The pickled network, as a function that runs it once on the device."""
    on_gpu = job["device"] != "cpu"
    paddle.set_device(job["device"])
    with open(Path(job["folder"]) / _FILE, "rb") as file:
        network = pickle.load(file)  # written by our own parent process a moment ago
    if on_gpu:
        network.to(device=job["device"])
    network.eval()
    x = paddle.to_tensor(values)

    def run() -> None:
        with paddle.no_grad():
            network(x)
        if on_gpu:
            paddle.device.cuda.synchronize(gpu_index(job["device"]))

    return run
