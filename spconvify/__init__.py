"""spconvify: make a trained Paddle network slim with SPConv, and see what that gives.

The names below are imported when they are first used, so that ``import spconvify`` and
``spconvify --help`` don't wait for Paddle.
"""

# Nothing else is imported here: with `python -m` it would come from the current folder, see __main__.
from importlib import import_module

TYPE_CHECKING = False  # type checkers know better
if TYPE_CHECKING:
    from typing import Any

    from spconvify.comparison import Comparison
    from spconvify.conversion import convert
    from spconvify.counting import Cost, cost
    from spconvify.deploy.export import export
    from spconvify.deploy.fuse import fuse
    from spconvify.errors import (
        AgreementWarning,
        ArgumentError,
        CheckpointError,
        CheckpointWarning,
        ConversionError,
        EngineError,
        InputWarning,
        NoEffectWarning,
        NotCheckedWarning,
        PlainFileWarning,
        RecoveryError,
        SpconvifyError,
    )
    from spconvify.loading import load, save
    from spconvify.planning import Plan, plan
    from spconvify.reach import MergeFirstWarning, UnreachedWarning
    from spconvify.recovery.run import recover
    from spconvify.sites import Site, find_sites
    from spconvify.spconv import SPConv2D
    from spconvify.weights.calibrate import CalibrationWarning
    from spconvify.workflow.compare import compare
    from spconvify.workflow.slim import Slimmed, slim

__version__ = "0.1.0"

_HOME = {
    "AgreementWarning": "errors",
    "ArgumentError": "errors",
    "CalibrationWarning": "weights.calibrate",
    "CheckpointError": "errors",
    "CheckpointWarning": "errors",
    "Comparison": "comparison",
    "ConversionError": "errors",
    "Cost": "counting",
    "EngineError": "errors",
    "InputWarning": "errors",
    "MergeFirstWarning": "reach",
    "NoEffectWarning": "errors",
    "NotCheckedWarning": "errors",
    "PlainFileWarning": "errors",
    "Plan": "planning",
    "RecoveryError": "errors",
    "SPConv2D": "spconv",
    "Site": "sites",
    "Slimmed": "workflow.slim",
    "SpconvifyError": "errors",
    "UnreachedWarning": "reach",
    "compare": "workflow.compare",
    "convert": "conversion",
    "cost": "counting",
    "export": "deploy.export",
    "find_sites": "sites",
    "fuse": "deploy.fuse",
    "load": "loading",
    "plan": "planning",
    "recover": "recovery.run",
    "save": "loading",
    "slim": "workflow.slim",
}

__all__ = [
    "AgreementWarning",
    "ArgumentError",
    "CalibrationWarning",
    "CheckpointError",
    "CheckpointWarning",
    "Comparison",
    "ConversionError",
    "Cost",
    "EngineError",
    "InputWarning",
    "MergeFirstWarning",
    "NoEffectWarning",
    "NotCheckedWarning",
    "PlainFileWarning",
    "Plan",
    "RecoveryError",
    "SPConv2D",
    "Site",
    "Slimmed",
    "SpconvifyError",
    "UnreachedWarning",
    "__version__",
    "compare",
    "convert",
    "cost",
    "export",
    "find_sites",
    "fuse",
    "load",
    "plan",
    "recover",
    "save",
    "slim",
    "zoo",
]


def __getattr__(name: str) -> "Any":
    if name == "zoo":
        return import_module("spconvify.zoo")
    if name not in _HOME:
        raise AttributeError(f"module 'spconvify' has no attribute {name!r}")
    value = getattr(import_module(f"spconvify.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
