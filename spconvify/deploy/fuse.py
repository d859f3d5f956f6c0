"""fuse: the deployable network, with every BatchNorm folded and every replacement in its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import paddle
from paddle import nn

from spconvify.deploy.boxes import WHY, has_other_numbers
from spconvify.deploy.channel_order import put_side_by_side
from spconvify.deploy.determinism import check_deterministic
from spconvify.deploy.equality import (
    TOLERANCE,
    TOLERANCE_FLOAT64,
    Outputs,
    are_equal,
    differences,
    in_float64,
    largest_error,
    what_differs,
)
from spconvify.deploy.evidence import Evidence
from spconvify.deploy.folding import fold_into_convolution
from spconvify.deploy.fusible import Fusible, find_fusible
from spconvify.deploy.trials import Trial, find_trials
from spconvify.engines import registry
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, ConversionError
from spconvify.network.copying import check_copy, copied
from spconvify.network.edges import replaceable
from spconvify.network.examples import checked_numbers
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.norms import without_normalising
from spconvify.network.outputs import arrays
from spconvify.network.own_attributes import carry_attributes
from spconvify.network.static_functions import as_written
from spconvify.network.untouched import untouched
from spconvify.operators.forms import Forms
from spconvify.settings import DEFAULT_ENGINE
from spconvify.surgery.sites import check_model


def fuse(
    model: nn.Layer,
    inplace: bool = False,
    *,
    engine: EngineName = DEFAULT_ENGINE,
    forms: Mapping[str, str] | None = None,
    input_shape: Any = None,
    example: Any = None,
) -> nn.Layer:
    """Make a network for deployment: equal outputs, fewer and faster operators, no more training.

    Every BatchNorm that alone takes a convolution's output is folded into it, those inside a replaced
    convolution too, and each of these becomes one fused layer in the form that suits the engine. Where a
    convolution alone feeds one, it gives the channels in the order that is wanted there. A network
    without replaced convolutions is fused by the same rules.

    Args:
        model: the network, in eval mode.
        inplace: change `model` instead of a copy (one that is itself a replacement comes back as a new
            layer).
        engine: what will run the network, by name: which form a replacement gets by default.
        forms: the form of single layers, by name; see `spconvify.operators.spconv.forms`.
        input_shape: (N, C, H, W) of the check's input, or shapes as `spconvify.cost` takes them; None
            tries usual sizes.
        example: the check's input itself, an array or a tensor (N, C, H, W): a few calibration images,
            prepared as the network wants them; for several inputs a list or dictionary of
            such. Random numbers by default, on which some networks' outputs are all but constant.

    Raises:
        ArgumentError: if the network is in training mode, doesn't run on the input, or a form or its
            layer is unknown.
        ConversionError: if the network isn't deterministic, the fused network's outputs differ (see
            `spconvify.deploy.equality`), or their sizes depend on the values; `model` is as it was.

    Warns:
        NotCheckedWarning: if an output is empty on all that was tried, as a detector's boxes may be.
    """
    found, evidence = fused_copy(model, engine, forms, input_shape, example)
    evidence.warn("the fused network")
    if inplace and type(found) is type(model):
        vars(model).update(vars(found))
        return model
    return found


def fused_copy(
    model: nn.Layer,
    engine: EngineName,
    forms: Mapping[str, str] | None = None,
    input_shape: Any = None,
    example: Any = None,
) -> tuple[nn.Layer, Evidence]:
    """`fuse`, out of place, and what its check was on."""
    check_model(model)
    _check_eval(model)
    registry.engine(engine)  # or it is refused, before anything is done
    with paddle.no_grad(), as_written():
        trials = find_trials(model, _inputs(model, input_shape, example), example is not None)
        check_deterministic(model, trials[0].sample)
        fused = copied(model)
        check_copy(model, fused, [trial.sample for trial in trials[:2]])
        fused = _fused(fused, [trial.sample for trial in trials], engine, forms or {})
        wrong = _what_is_wrong(trials, model, fused, engine, forms or {})
        if wrong:
            raise ConversionError(
                f"the fused network's {wrong}. A layer may be used in a way "
                "that folding can't see; deploy it unfused with paddle.jit.save, and report it"
            )
    return fused, Evidence(trial.expected for trial in trials)


def _fused(
    model: nn.Layer, samples: Sequence[Sample], engine: str, forms: Mapping[str, str]
) -> nn.Layer:
    """Fuse `model` itself."""
    put_side_by_side(model, *samples)
    folds = find_fusible(model, *samples)
    _check_forms(forms, folds)
    model = _carry_out(model, folds, engine, forms)
    for layer in model.sublayers(include_self=True):
        layer.training = False  # of the new ones
    return model


def _what_is_wrong(
    trials: Sequence[Trial], model: nn.Layer, fused: nn.Layer, engine: str, forms: Mapping[str, str]
) -> str:
    """How the fused network is off on the first trial on which it is wrong; "" if it is right.

    A network without training, whose statistics fit nothing, can blow a rounding error up to the scale
    of its outputs, and one whose outputs are all but constant gives little else. In float64 it is then
    still right.
    """
    double: tuple[nn.Layer, nn.Layer] | None = None
    unknown, is_compared = "", False
    for trial in trials:
        with untouched(fused, random_states=False):
            found = arrays(forward(fused, trial.sample))
        if trial is not trials[0] and _shapes(found) != _shapes(trial.expected):
            continue  # values decide the sizes, as a detector's number of boxes
        if max(differences(trial.expected, found).values(), default=0.0) <= TOLERANCE:
            is_compared = True
            continue
        try:
            if double is None:
                samples = [other.sample.astype("float64") for other in trials]
                double = in_float64(model), _fused(in_float64(model), samples, engine, forms)
            exact, again = (forward(one, trial.sample.astype("float64")) for one in double)
            right = largest_error(exact, again) <= TOLERANCE_FLOAT64
        except Exception:  # of a network that makes float32 tensors of its own
            right = are_equal(trial.expected, found, None, TOLERANCE)
        if not right and has_other_numbers(model, trial.sample, trial.expected, found):
            unknown = f"{what_differs(trial.expected, found)}: {WHY}"  # another input may tell
        elif not right:
            return what_differs(trial.expected, found)
        is_compared |= right
    return "" if is_compared else unknown


def _shapes(outputs: Outputs) -> list[tuple[int, ...]]:
    return [array.shape for array in outputs.values()]


def _carry_out(
    model: nn.Layer, folds: Sequence[Fusible], engine: str, forms: Mapping[str, str]
) -> nn.Layer:
    replacements: dict[int, nn.Layer] = {}
    for item in folds:
        if item.forms is not None:
            form = forms.get(item.name) or item.forms.default(item.folded, registry.engine(engine))
            laid_out = _build(item.name, item.forms, item.folded, form)
            carry_attributes(item.layer, laid_out)
            replacements[id(item.layer)] = laid_out
        else:
            fold_into_convolution(item.layer, item.norm)
        if item.norm is not None:
            replacements[id(item.norm)] = without_normalising(item.norm)
            carry_attributes(item.norm, replacements[id(item.norm)])
    for edge in replaceable(model):
        if id(edge.layer) in replacements:
            edge.put(replacements[id(edge.layer)])
    return replacements.get(id(model), model)


def _build(name: str, forms: Forms, folded: Any, form: str) -> nn.Layer:
    candidates = forms.candidates(folded)
    if form not in candidates:
        raise ArgumentError(
            f"layer {name!r} can't have the form {form!r}; use one of: {', '.join(candidates)}"
        )
    return forms.build(folded, form)


def _check_forms(forms: Mapping[str, str], folds: Sequence[Fusible]) -> None:
    by_name = {item.name: item.forms for item in folds if item.forms is not None}
    for name, form in forms.items():
        if name not in by_name:
            raise ArgumentError(f"forms names {name!r}, which isn't an SPConv2D of this network")
        by_name[name].check(form)


def _check_eval(model: nn.Layer) -> None:
    for name, layer in model.named_sublayers(include_self=True):
        if layer.training:
            what = f"its layer {name!r}" if name else "the network"
            raise ArgumentError(f"{what} is in training mode; call network.eval() before fusing")


def _inputs(model: nn.Layer, input_shape: Any, example: Any) -> Inputs | None:
    if example is not None:
        return checked_numbers(Inputs.holding(example, model))
    return Inputs.given(input_shape, model)
