"""Data parallel training: who am I, and the few things that all processes do together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist

from spconvify.network.batches import size_of, taken
from spconvify.recovery.launched import launched


class Processes:
    """The processes that ``python -m paddle.distributed.launch`` started, or this one alone.

    `rank` 0 is the one that writes files and prints; `count` is how many there are.
    """

    def __init__(self) -> None:
        self.rank, self.count = launched()
        if self.count > 1 and not dist.is_initialized():
            dist.init_parallel_env()

    def share(self, batch: Any) -> Any:
        """This process's part of a batch; one with fewer rows than processes goes to all."""
        if batch is None or not 1 < self.count <= size_of(batch):
            return batch
        return taken(batch, slice(self.rank, None, self.count))

    def mean(self, tensors: Sequence[Any]) -> None:
        """Give every process the mean of the tensors, in place; one message carries all of them."""
        if self.count == 1 or not tensors:
            return
        flat = paddle.concat([tensor.detach().astype("float32").reshape([-1]) for tensor in tensors])
        dist.all_reduce(flat)
        parts = paddle.split(flat / self.count, [int(tensor.size) for tensor in tensors])
        with paddle.no_grad():
            for tensor, part in zip(tensors, parts):
                paddle.assign(part.reshape(tensor.shape).astype(tensor.dtype), tensor)

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element-wise sums over all processes."""
        if self.count == 1:
            return list(values)
        total = paddle.to_tensor(np.asarray(values, np.float64))
        dist.all_reduce(total)
        return [float(value) for value in total.numpy()]

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()
