"""Channel pruning of residual blocks: by PaddleSlim's filter pruners, and by least squares.

All remove inner channels: outputs of a block's first 3x3 convolution, with the BatchNorm behind it and
the inputs of the second. The MACs are really gone, and the network stays dense.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.vision.models.resnet import BasicBlock

from spconvify.calibration.capture import capture
from spconvify.calibration.moments import Geometry, Moments, MomentsAccumulator
from spconvify.calibration.observations import Observations
from spconvify.calibration.trace import trace
from spconvify.network.run import evaluating
from spconvify.operators.spconv.channels import Problem, choose_channels
from spconvify.operators.spconv.refine import GroupRefinement
from spconvify.operators.spconv.solve import Ridge, usual_ridge
from spconvify.recovery.statistics import average_statistics

_CHOICE_RIDGE, _ROUNDS = 1e-4, 8  # as `spconvify.operators.spconv` has them


def by_filters(model: nn.Layer, method: str, share: float, images: np.ndarray) -> nn.Layer:
    """Keep `share` of the inner channels, as PaddleSlim's pruner `method` ranks them ("l1" or "fpgm").

    Afterwards the BatchNorms' statistics are estimated anew on the images.
    """
    pruned = copy.deepcopy(model)
    pruned.eval()
    with _paddleslim() as pruners:
        pruner = pruners[method](pruned, [1, *images.shape[1:]])
        names = {
            block.conv1.weight.name: 1.0 - share
            for block in pruned.sublayers()
            if isinstance(block, BasicBlock)
        }
        pruner.prune_vars(names, axis=0)
    _estimate_statistics(pruned, images)
    return pruned


@contextlib.contextmanager
def _paddleslim() -> Iterator[dict[str, Any]]:
    """PaddleSlim 2.6.0's pruners: on Paddle 3 they need the old IR, and an old name of a function."""
    base = paddle.base.dygraph.base
    old_name, new_name = "_to_static_mode_guard_", "to_static_mode_guard"
    if not hasattr(base, old_name):
        setattr(base, old_name, getattr(base, new_name))
    utilities = getattr(paddle, "pir_utils", None)
    old_ir = getattr(utilities, "DygraphOldIrGuard", contextlib.nullcontext)
    with warnings.catch_warnings(), old_ir():
        warnings.simplefilter("ignore")
        from paddleslim.dygraph import FPGMFilterPruner, L1NormFilterPruner

        yield {"l1": L1NormFilterPruner, "fpgm": FPGMFilterPruner}


def _estimate_statistics(model: nn.Layer, images: np.ndarray) -> None:
    model.train()
    average_statistics(model, [paddle.to_tensor(images)])
    model.eval()


def by_least_squares(model: nn.Layer, share: float, images: np.ndarray) -> nn.Layer:
    """Keep `share` of the inner channels: those from which the second convolution's output is best
    rebuilt, with weights that are fitted anew (He et al., "Channel pruning for accelerating very deep
    neural networks", ICCV 2017; the set is found by the local search that `spconvify` uses).

    The shortcut's drift and the ReLU are taken into account as in `spconvify`.
    """
    model.eval()
    pruned = copy.deepcopy(model)
    blocks = [n for n, layer in model.named_sublayers() if isinstance(layer, BasicBlock)]
    originals, copies = dict(model.named_sublayers()), dict(pruned.named_sublayers())
    batch = paddle.to_tensor(images)
    with evaluating(pruned), paddle.no_grad():
        uses = trace(model, {name: originals[name].conv2 for name in blocks}, batch[:1])
        for name, calls in uses.items():
            old, block = originals[name].conv2, copies[name]
            wanted = capture(model, old, calls, batch, False)[0]
            current = capture(pruned, block.conv2, calls, batch, False)[0]
            path = calls.tail.path(old._out_channels)
            observations = Observations(Geometry(), len(images), path)
            observations.add([wanted], [current])
            kept, weight, bias = _fitted(observations, max(1, round(share * old._in_channels)))
            _shrink(block, kept, weight, bias)
    return pruned


def _fitted(observations: Observations, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The channels to keep, and the kernel (L, count, 3, 3) and bias (L,) for them."""
    moments = _moments(observations)
    blocks = _blocks(moments)
    columns = blocks.ravel()
    gram = moments.gram[np.ix_(columns, columns)]
    gram[np.diag_indices_from(gram)] += _CHOICE_RIDGE * np.mean(np.diag(gram))
    weighted = moments.cross[columns] * observations.path.gain
    kept = sorted(choose_channels(Problem(gram, [weighted], 9), count)[0])
    columns = blocks[kept].ravel()
    part = moments.part(columns, slice(None))
    nothing = np.zeros_like(part.cross)
    refinement = GroupRefinement(
        observations.select(columns, slice(None)),
        part,
        Ridge(usual_ridge(part, nothing), nothing),
        observations.path,
        None,
    )
    best = refinement.best(_ROUNDS)
    kernel = best.weights.reshape(count, 9, -1).transpose(2, 0, 1).reshape(-1, count, 3, 3)
    return kept, kernel, best.bias


def _moments(observations: Observations) -> Moments:
    accumulator = MomentsAccumulator(observations.channels)
    for part in observations.parts:
        accumulator.add(part.features, observations.path.inward(part.wanted, part.shortcut))
    return accumulator.result()


def _blocks(moments: Moments) -> np.ndarray:
    """(C, 9): where a channel's nine taps are; at stride 1 the centre is the pooled feature."""
    rest = moments.tap_columns(range(moments.channels)).reshape(moments.channels, 8)
    centre = np.arange(moments.channels)[:, None] + moments.channels * 8
    return np.hstack([rest[:, :4], centre, rest[:, 4:]])


def _shrink(block: Any, kept: list[int], weight: np.ndarray, bias: np.ndarray) -> None:
    """Take the other inner channels out of a BasicBlock."""
    first, norm, second = block.conv1, block.bn1, block.conv2
    block.conv1 = nn.Conv2D(
        first._in_channels, len(kept), 3, stride=first._stride, padding=1, bias_attr=False
    )
    block.conv1.weight.set_value(first.weight.numpy()[kept])
    block.bn1 = nn.BatchNorm2D(len(kept))
    for name in ("weight", "bias", "_mean", "_variance"):
        getattr(block.bn1, name).set_value(getattr(norm, name).numpy()[kept])
    block.conv2 = nn.Conv2D(len(kept), second._out_channels, 3, padding=1)
    block.conv2.weight.set_value(weight.astype(np.float32))
    block.conv2.bias.set_value(bias.astype(np.float32))
    block.eval()
