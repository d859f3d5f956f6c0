"""The training that the small networks of examples/garment_networks.py have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
from paddle import nn


def train(
    network: nn.Layer,
    loss_of: Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor],
    inputs: np.ndarray,
    targets: np.ndarray,
    out: Path,
    steps: int,
    batch_size: int = 24,
    learning_rate: float = 4e-3,
    crop: int | None = None,
    seed: int = 0,
) -> None:
    """Train with AdamW, one cycle of the learning rate and flips; every 200 steps leave a checkpoint.

    Args:
        network: in training mode, new.
        loss_of: (its output, the targets) -> a scalar.
        inputs: float32 (N, C, H, W).
        targets: (N, …, H', W').
        out: the checkpoint to write.
        steps: batches.
        batch_size: pictures in one.
        learning_rate: the cycle's peak.
        crop: height and width of the part of a picture that a step sees; None takes all of it. Inputs
            and targets must be of one size then.
        seed: of the order and the flips.
    """
    random = np.random.default_rng(seed)
    schedule = paddle.optimizer.lr.OneCycleLR(learning_rate, steps + 1)
    optimizer = paddle.optimizer.AdamW(
        schedule, parameters=network.parameters(), weight_decay=1e-4,
        grad_clip=nn.ClipGradByGlobalNorm(1.0),
    )  # fmt: skip
    start, losses = time.monotonic(), []
    for step in range(1, steps + 1):
        rows = random.integers(len(inputs), size=batch_size)
        turn = slice(None, None, -1 if random.random() < 0.5 else 1)
        parts = [a[rows] for a in (inputs, targets)]
        if crop is not None:
            top, left = random.integers(0, inputs.shape[-1] + 1 - crop, 2)
            parts = [part[..., top : top + crop, left : left + crop] for part in parts]
        x, y = (paddle.to_tensor(np.ascontiguousarray(part[..., turn])) for part in parts)
        loss = loss_of(network(x), y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        schedule.step()
        losses.append(float(loss))
        if step % 50 == 0 or step == steps:
            print(
                f"step {step}/{steps}, loss {np.mean(losses[-50:]):.5f}, "
                f"{time.monotonic() - start:.0f} s",
                file=sys.stderr, flush=True,
            )  # fmt: skip
        if step % 200 == 0 or step == steps:
            paddle.save(network.state_dict(), str(out))
