"""spconvify: make a trained Paddle network slim with SPConv, and see what that gives.

The names below are imported when they are first used, so that ``import spconvify`` and
``spconvify --help`` don't wait for Paddle.
"""

# Nothing else is imported here: with `python -m` it would come from the current folder, see __main__.
from importlib import import_module

TYPE_CHECKING = False  # type checkers know better
if TYPE_CHECKING:
    from typing import Any

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
        SlowerWarning,
        SpconvifyError,
    )
    from spconvify.network.counting import Cost, cost
    from spconvify.operators.spconv.layer import SPConv2D
    from spconvify.recovery.run import recover
    from spconvify.report.comparison import Comparison
    from spconvify.report.frontier import Frontier
    from spconvify.source.loading import load, save
    from spconvify.surgery.calibrate import CalibrationWarning
    from spconvify.surgery.convert import convert
    from spconvify.surgery.planning import Plan, plan
    from spconvify.surgery.reach import MergeFirstWarning, UnreachedWarning
    from spconvify.surgery.sites import Site, find_sites
    from spconvify.workflow.compare import compare
    from spconvify.workflow.frontier import frontier
    from spconvify.workflow.job import Slimmed
    from spconvify.workflow.slim import slim

__version__ = "0.1.0"

_HOME = {
    "AgreementWarning": "errors",
    "ArgumentError": "errors",
    "CalibrationWarning": "surgery.calibrate",
    "CheckpointError": "errors",
    "CheckpointWarning": "errors",
    "Comparison": "report.comparison",
    "ConversionError": "errors",
    "Cost": "network.counting",
    "EngineError": "errors",
    "Frontier": "report.frontier",
    "InputWarning": "errors",
    "MergeFirstWarning": "surgery.reach",
    "NoEffectWarning": "errors",
    "NotCheckedWarning": "errors",
    "PlainFileWarning": "errors",
    "Plan": "surgery.planning",
    "RecoveryError": "errors",
    "SPConv2D": "operators.spconv.layer",
    "Site": "surgery.sites",
    "Slimmed": "workflow.job",
    "SlowerWarning": "errors",
    "SpconvifyError": "errors",
    "UnreachedWarning": "surgery.reach",
    "compare": "workflow.compare",
    "convert": "surgery.convert",
    "cost": "network.counting",
    "export": "deploy.export",
    "find_sites": "surgery.sites",
    "frontier": "workflow.frontier",
    "fuse": "deploy.fuse",
    "load": "source.loading",
    "plan": "surgery.planning",
    "recover": "recovery.run",
    "save": "source.loading",
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
    "Frontier",
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
    "SlowerWarning",
    "SpconvifyError",
    "UnreachedWarning",
    "__version__",
    "compare",
    "convert",
    "cost",
    "export",
    "find_sites",
    "frontier",
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
