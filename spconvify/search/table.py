"""What every option would do to its layer alone: from moments of what the original network feeds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from spconvify.calibration.effort import Effort
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.moments import Geometry, Moments
from spconvify.calibration.observations import Observations
from spconvify.calibration.output_path import OutputPath
from spconvify.calibration.settled import SettledOutputs
from spconvify.calibration.targets import Targets
from spconvify.calibration.task import Task
from spconvify.calibration.trace import Calls, trace
from spconvify.calibration.windows import Windows
from spconvify.network.inputs import Inputs
from spconvify.network.run import run, trying
from spconvify.operators.spconv.channels import CHOICE_RIDGE, choose_channels, reduce_problem
from spconvify.operators.spconv.cholesky import solve_spd
from spconvify.operators.spconv.eligibility import padding_of
from spconvify.operators.spconv.settings import representative_channels
from spconvify.operators.spconv.solve import fit_split, loaded, relative_error
from spconvify.operators.spconv.trial import moments_of
from spconvify.progress import Progress, nothing
from spconvify.search.costs import states
from spconvify.search.inputs_by_worth import dense_columns, greedy_order
from spconvify.search.journal import Journal
from spconvify.search.judge import Judge
from spconvify.search.options import options
from spconvify.search.structure import Chain, Slot, Structure, counts

EFFORT = Effort(rows_per_channel=128, fewest_per_image=32)
_SENSITIVITY_SHARE = 0.5  # of a slot's inputs, without which the network's outputs are looked at


@dataclass(frozen=True)
class Entry:
    """Of one slot: relative errors by option and by the number of inputs left, and what they do.

    Attributes:
        by_option: the share of its outputs' variance that the option misses, in the order of `options`.
        by_inputs: the same by the number of inputs that are left.
        order: its inputs, those that are worth most first.
        sensitivity: distance of the network's outputs (see `Judge`) for an error of 1.
    """

    by_option: list[float]
    by_inputs: dict[int, float]
    order: list[int]
    sensitivity: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "by_inputs": {str(k): v for k, v in self.by_inputs.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Entry:
        """From what `to_dict` gave."""
        by_inputs = {int(key): float(value) for key, value in values["by_inputs"].items()}
        by_option, order = map(float, values["by_option"]), map(int, values["order"])
        return cls(list(by_option), by_inputs, list(order), float(values["sensitivity"]))


class Table:
    """The entries of all slots.

    Args:
        model: the original network.
        structure: of it.
        images: what is looked at.
        journal: where entries are kept.
        seed: of the sample of positions.
        progress: called with (done, total, text).
    """

    def __init__(
        self,
        model: nn.Layer,
        structure: Structure,
        images: CalibrationImages,
        journal: Journal,
        seed: int = 0,
        progress: Progress = nothing,
    ):
        self._structure = structure
        self.entries: dict[str, Entry] = {}
        maker: _Maker | None = None
        for done, (name, slot) in enumerate(structure.slots.items()):
            progress(done, len(structure.slots), f"looking at {name}")

            def made(slot: Slot = slot) -> dict[str, Any]:
                nonlocal maker
                maker = maker or _Maker(model, structure, images, seed)
                return maker.entry(slot).to_dict()

            self.entries[name] = journal.get(f"table {name}", made, Entry.from_dict)

    def damages(self, weights: Mapping[str, float], bias: float) -> list[list[np.ndarray]]:
        """By chain and slot (inputs, outputs, options): what each choice does, by the layers alone.

        Args:
            weights: by slot.
            bias: of what isn't dense: later layers make up for less of its errors.
        """
        return [
            [self._damage(slot, chain, index, weights, bias) for index, slot in enumerate(chain.slots)]
            for chain in self._structure.chains
        ]

    def _damage(
        self, slot: Slot, chain: Chain, index: int, weights: Mapping[str, float], bias: float
    ) -> np.ndarray:
        entry, scale = self.entries[slot.name], weights.get(slot.name, 1.0)
        inputs, outputs = states(chain, index)
        narrowed = np.array([entry.by_inputs.get(count, 0.0) for count in inputs])
        replaced = np.array(entry.by_option)
        replaced[1:] *= bias
        found = (narrowed[:, None, None] + replaced[None, None, :]) * entry.sensitivity * scale
        return np.broadcast_to(found, (len(inputs), len(outputs), len(replaced))).copy()


class _Maker:
    """Looks at one slot after the other."""

    def __init__(
        self,
        model: nn.Layer,
        structure: Structure,
        images: CalibrationImages,
        seed: int,
    ):
        self._model, self._images, self._seed = model, images, seed
        self._judge = Judge(model, images)
        layers = {name: slot.conv for name, slot in structure.slots.items()}
        with trying(model):
            self._calls: dict[str, Calls] = run(
                model, Inputs.of(images.first(2)), act=lambda sample: trace(model, layers, sample)
            )
        self._targets = Targets(model, layers, self._calls, images, seed, EFFORT)
        self._settled = SettledOutputs(model)

    def entry(self, slot: Slot) -> Entry:
        """Its errors, and what one of them does to the network's outputs."""
        with trying(self._model), np.errstate(all="ignore"):
            task = self._task(slot)
            by_option = [0.0]
            if len(options(slot)) > 1:
                geometry = _geometry(slot.conv)
                moments = self._moments(task, geometry, slot)
                by_option += _by_option(slot, moments, geometry, task.path)
                dense = moments.part(dense_columns(slot.channels[0], geometry), slice(None))
                del moments
            else:
                dense = self._moments(task, Windows.of(slot.conv), slot)
            order, curve = greedy_order(dense, slot.taps, task.path.gain)
            by_inputs = {count: curve[count] for count in counts(slot.channels[0])}
            sensitivity = self._sensitivity(slot, dense, order, task.path)
        return Entry(by_option, by_inputs, order, sensitivity)

    def _task(self, slot: Slot) -> Task:
        """What the original itself feeds the slot, and has there."""
        return Task(
            self._model,
            self._model,
            slot.conv,
            slot.conv,
            self._calls[slot.name],
            self._images,
            self._seed,
            slot.name,
            self._targets,
            self._settled,
            effort=EFFORT,
        )

    def _moments(self, task: Task, geometry: Geometry | Windows, slot: Slot) -> Moments:
        observations = Observations(geometry, self._images.count, task.path)
        for wanted, current in task.rows_by_batch():
            observations.take(wanted, current)
        return moments_of(observations.parts, task.path, slot.channels[0])

    def _sensitivity(self, slot: Slot, dense: Moments, order: list[int], path: OutputPath) -> float:
        """What it does to the outputs if the convolution makes the best of half of its inputs."""
        kept = sorted(order[: max(1, round(len(order) * _SENSITIVITY_SHARE))])
        if len(kept) == len(order):
            return 1.0
        columns = (np.array(kept)[:, None] * slot.taps + np.arange(slot.taps)).ravel()
        gram = loaded(dense.gram[np.ix_(columns, columns)], dense, CHOICE_RIDGE)
        weights = np.zeros((len(dense.gram), len(dense.power)))
        weights[columns] = solve_spd(gram, dense.cross[columns])
        bias = dense.target_mean - dense.feature_mean @ weights
        error = relative_error(dense, weights, np.abs(path.gain))
        kernel = weights.T.reshape(slot.conv.weight.shape)
        distance = self._judge.with_kernel(slot.name, kernel, bias)
        return distance / max(error, 1e-6)


def _geometry(conv: Any) -> Geometry:
    padding = padding_of(conv)
    assert padding is not None, "a slot that can be replaced has a padding that SPConv has"
    return Geometry(conv._stride[0], padding, conv._dilation[0], conv._padding_mode)


def _by_option(slot: Slot, moments: Moments, geometry: Geometry, path: OutputPath) -> list[float]:
    """Relative errors of what may take the slot's place."""
    gain, found = np.abs(path.gain), []
    for option in options(slot)[1:]:
        kept = representative_channels(slot.channels[0], option.ratio, option.groups)
        problem = reduce_problem(moments, option.groups, gain)
        groups = choose_channels(problem, kept // option.groups, 0)
        found.append(fit_split(moments, geometry, groups, gain=gain, ridge=CHOICE_RIDGE).error)
    return found
