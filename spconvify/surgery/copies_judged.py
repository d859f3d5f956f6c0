"""Weights that were copied and not fitted: what the network's outputs are worth then, said aloud."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from paddle import nn

from spconvify.caution import warn
from spconvify.errors import AgreementWarning, ArgumentError, SpconvifyError
from spconvify.evaluation.agreement import Agreement
from spconvify.evaluation.without_images import agreement_without_images
from spconvify.network.copying import faithful_copy
from spconvify.network.inputs import Inputs
from spconvify.network.run import run_usual, trying

_ADVICE = "calibrate it with a few hundred images, or train it"


@dataclass
class Original:
    """A network as it was before the conversion, and what it is run on."""

    network: nn.Layer
    inputs: Inputs

    @classmethod
    def of(cls, model: nn.Layer, input_shape: Any, inplace: bool) -> Original | None:
        """A copy where the network itself is changed.

        None where it can't be copied, or runs on no usual input: then nothing can be compared.
        """
        with contextlib.suppress(SpconvifyError):
            with trying(model):
                inputs, _ = run_usual(model, Inputs.given(input_shape, model))
            return cls(faithful_copy(model, inputs) if inplace else model, inputs)
        return None

    def agreement(self, converted: nn.Layer) -> Agreement | None:
        """Of both networks' outputs; None where one doesn't run on all of the random numbers."""
        with contextlib.suppress(ArgumentError):
            return agreement_without_images(self.network, converted, self.inputs)
        return None


def warn_of_copies(found: Agreement) -> None:
    """Say that a network whose weights were copied doesn't do any more what it did.

    Warns:
        AgreementWarning: where that is so.
    """
    if not found.poor:
        return
    of_a_constant = " (that of a constant is 1)" if _has_error(found) else ""
    warn(
        "the network's outputs are no longer the original's: "
        f"{'; '.join(found.figures)}{of_a_constant}; {_ADVICE}",
        AgreementWarning,
    )


def _has_error(found: Agreement) -> bool:
    return any(output.error is not None for output in found.outputs)
