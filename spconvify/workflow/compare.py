"""compare: two networks side by side, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.deploy.timing import time_networks
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError
from spconvify.evaluation.agreement import agreement
from spconvify.evaluation.kinds import Kinds, check_kinds
from spconvify.network.counting import cost
from spconvify.network.examples import form_of, needed_inputs
from spconvify.progress import Wanted, showing
from spconvify.report.comparison import Comparison, common_settings, compared
from spconvify.report.sites import site_table
from spconvify.settings import DEFAULT_ENGINE
from spconvify.surgery.planning import Plan, plan_of
from spconvify.workflow.judging import Judge


def compare(
    before: nn.Layer,
    after: nn.Layer,
    input_shape: Any = None,
    engine: EngineName | None = DEFAULT_ENGINE,
    threads: int = 1,
    *,
    device: str = "cpu",
    name: str | None = None,
    plan: Plan | None = None,
    tune: bool = False,
    images: Any = None,
    eval_data: tuple[Any, Any] | Callable[[nn.Layer], Any] | None = None,
    kinds: Kinds = None,
    example: Any = None,
    progress: Wanted = None,
) -> Comparison:
    """Put a network and its converted twin side by side: parameters, MACs and latency.

    The latencies are those of the original with its BatchNorms folded, of the converted network as it
    is, and of the converted one fused (see `Timing`). The networks come back unchanged.

    Args:
        before: the original network.
        after: the converted one.
        input_shape: (N, C, H, W); N is the batch of the latency. Of a network with several inputs a list
            or a dictionary of shapes, as `spconvify.cost` takes them.
        engine: what runs them for the latency, each in a process of its own and alternately; None
            leaves the latency out.
        threads: CPU threads of the engine.
        device: "cpu" or "gpu:0".
        name: what to call the network; its class by default.
        plan: the plan that `after` was made with, for the reasons of what was left alone.
        tune: measure which form of each layer is fastest first.
        images: batches (N, C, H, W), as `convert` takes them for calibration, on which to compare the
            outputs of both networks; better not those that the weights were fitted to.
        eval_data: labelled images or your own metric, as for `slim`.
        kinds: what the outputs are, where the agreement judges them wrongly, as for `slim`.
        example: an input with its values, for the same and in place of it: a tensor or an array, or a
            tuple or dictionary of such, as the network's forward takes them.
        progress: called with (done, total, text) while latency is measured; None shows a bar on a
            terminal and in a notebook, and False nothing.

    Raises:
        ArgumentError: if a network doesn't run on the input, or the engine or device is unknown.
        EngineError: if the engine isn't there or can't run a network.
    """
    inputs = needed_inputs(input_shape, example, before)
    form = form_of(inputs.brief, before)
    judge = Judge.of(eval_data, before, form)
    check_kinds(kinds)
    if kinds is not None and images is None:
        raise ArgumentError("kinds say how outputs are compared: give images= for it")
    plan = plan or plan_of(after)
    called, sites = name or type(before).__name__, site_table(before, plan)
    comparison = compared(called, inputs, cost(before, inputs), after, sites, common_settings(plan))
    if images is not None:
        batches = CalibrationImages(images, before, form)
        comparison.agreement = agreement(before, after, batches, kinds=kinds)
    with showing(progress, "judging", eval_data is not None) as report:
        comparison.before.take(judge.figures(before, "before", report))
        comparison.after.take(judge.figures(after, "after", report))
    if engine is not None:
        with showing(progress, f"timing in {engine}") as report:
            where = engine, threads, device
            comparison.add(time_networks(before, after, inputs, *where, tune=tune, progress=report))
    return comparison
