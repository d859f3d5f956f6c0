"""frontier: what a network can keep, budget by budget, with the same changes everywhere beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from paddle import nn

from spconvify.engines.registry import EngineName
from spconvify.errors import SpconvifyError
from spconvify.evaluation.kinds import Kinds
from spconvify.network.copying import faithful_copy
from spconvify.network.inputs import Inputs
from spconvify.progress import Progress, Wanted, showing
from spconvify.report.frontier import SEARCHED, UNIFORM, Frontier, Point
from spconvify.workflow.budget import PREFIXES, Budget, budgets_of, point_name
from spconvify.workflow.job import Job, Slimmed, measured
from spconvify.workflow.main_line import carry_out_best, carry_out_plan, lost, search_for
from spconvify.workflow.slim import check_budget, job_of

_EVERYWHERE = {"narrowed": f"pruned {UNIFORM}", "replaced": f"SPConv {UNIFORM}"}


def frontier(
    model: nn.Layer,
    target_macs: Sequence[float] | None = None,
    *,
    target_speedup: Sequence[float] | None = None,
    calibration: Iterable[Any] | None = None,
    eval_data: tuple[Any, Any] | Callable[[nn.Layer], Any] | None = None,
    kinds: Kinds = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    input_shape: Any = None,
    example: Any = None,
    engine: EngineName | None = None,
    threads: int = 1,
    device: str = "cpu",
    allow: Iterable[str] | str | None = None,
    refine: bool = False,
    seed: int = 0,
    name: str | None = None,
    progress: Wanted = None,
) -> Frontier:
    """Search for a network within each of several budgets, and compare all of them with the original.

    What the layers alone tell is found out once for all budgets. Beside every network that was searched
    for there is one that is pruned the same everywhere, and those whose layers all become the same
    SPConv. The model comes back unchanged.

    Args:
        model: the network.
        target_macs: shares of its multiply-accumulates, each in (0, 1); 0.6, 0.5, 0.4, 0.3 and 0.25 if
            nothing is said.
        target_speedup: the same as factors, measured in `engine`.
        calibration: images, as for `spconvify.slim`; a quarter is left out of every fit.
        eval_data: as for `spconvify.slim`; so are `kinds`, `include`, `exclude`, `input_shape`,
            `example`, `threads`, `device`, `allow`, `seed`, `name` and `progress`.
        engine: what times every network; None leaves the latency out.
        refine: train every network on the calibration images at the end.

    Returns:
        The networks' comparisons and plans; ``spconvify.slim(model, plan=point.plan, calibration=...)``
        makes one of them.

    Raises:
        ArgumentError, SpconvifyError: as `spconvify.slim`, or if none of the budgets can be had.
    """
    budgets = budgets_of(target_macs, target_speedup, allow)
    check_budget(budgets[0], {}, calibration, None, engine)
    job = job_of(
        model,
        name=name,
        calibration=calibration,
        eval_data=eval_data,
        kinds=kinds,
        include=include,
        exclude=exclude,
        input_shape=input_shape,
        example=example,
        engine=engine,
        threads=threads,
        device=device,
        seed=seed,
        budget=budgets[0],
        refine=refine,
    )
    with showing(progress, "searching") as report:
        return frontier_of(model, budgets, job, report)


def frontier_of(model: nn.Layer, budgets: Sequence[Budget], job: Job, progress: Progress) -> Frontier:
    """The frontier of a job, whose own budget says what may be done, and where results are kept.

    Raises:
        SpconvifyError: if none of the budgets can be had.
    """
    original = measured(model, job, progress)
    found = Frontier(job.name)
    with search_for(model, job, original, progress) as search:
        losing = partial(lost, model, original, search.left_out, job, progress)
        for budget in budgets:
            try:
                plans = search.find(losing, budget)
            except SpconvifyError as problem:
                found.missed.append(str(problem))
                continue
            best = carry_out_best(model, plans, job, original, progress)
            found.points.append(_point(budget, SEARCHED, best))
            for kind, how in _EVERYWHERE.items():
                plan = search.uniform(budget, kind)
                known = [point.plan.to_json() for point in found.points]
                if plan is None or not plan.changes or plan.to_json() in known:
                    continue
                own = faithful_copy(model, Inputs.of(original.shape, model))
                uniform = carry_out_plan(own, plan, job, original, progress)
                found.points.append(_point(budget, how, uniform))
        if not found.points:
            raise SpconvifyError("; ".join(found.missed))
    return found


def _point(budget: Budget, how: str, slimmed: Slimmed) -> Point:
    prefix = PREFIXES[(SEARCHED, *_EVERYWHERE.values()).index(how)]
    return Point(point_name(budget, prefix), how, slimmed.plan, slimmed.comparison)
