"""Differentiate, descend, record, explain: from a textbook formula to a neural network.

    text ─▶ Formula ─▶ Objective ─▶ Plan ─▶ Trace ─▶ Finding
                                             └─▶ tables, pictures, files

`import downslope as ds` loads nothing heavy: each name below is fetched from its folder when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from downslope import draw, lab
    from downslope._choices import Choice, choices
    from downslope._engine import clear_caches
    from downslope._errors import (
        DataError,
        DownslopeError,
        FormulaError,
        MissingExtraError,
        ObjectiveError,
        PointError,
        SettingError,
        TraceError,
        UnitError,
    )
    from downslope.backpropagation import Backpropagation, backprop
    from downslope.descent import Objective, Plan, Record, Slope, descend, objective, plan, slope
    from downslope.diagnosis import Diagnosis, Finding, Severity, diagnose
    from downslope.ensembles import (
        Basin,
        Entry,
        Multistart,
        Race,
        Search,
        Sweep,
        compare,
        multistart,
        search,
        sweep,
    )
    from downslope.fitting import EquationModel, Fit, Parameter, Prediction, equation, fit
    from downslope.formulas import (
        CriticalPoint,
        CriticalPoints,
        Derivation,
        Formula,
        chain,
        critical_points,
        derive,
        formula,
    )
    from downslope.methods import (
        Method,
        MethodSpec,
        NoTheory,
        Schedule,
        Setting,
        Theory,
        method,
        method_names,
        schedule,
    )
    from downslope.networks import (
        Activate,
        Convolution,
        Dense,
        Dropout,
        Encoding,
        Examples,
        Flatten,
        ForwardContext,
        Layer,
        MaxPool,
        Network,
        Setup,
        Training,
        UnitPass,
        activation_names,
        examples,
        loss_names,
        network,
        predict,
        sample_names,
        train,
        unit_pass,
    )
    from downslope.remedies import (
        Effect,
        Prescription,
        RateCheck,
        RateFinding,
        Remedy,
        Trial,
        find_learning_rate,
        prescribe,
    )
    from downslope.reports import Summary, as_command, report, summary
    from downslope.tables import Table, read_cells, read_table, table_suffixes, write_table
    from downslope.trace import Outcome, Spectrum, Trace, export, load, save

__version__ = "0.1.0"

__all__ = [
    "Activate",
    "Backpropagation",
    "Basin",
    "Choice",
    "Convolution",
    "CriticalPoint",
    "CriticalPoints",
    "DataError",
    "Dense",
    "Derivation",
    "Diagnosis",
    "DownslopeError",
    "Dropout",
    "Effect",
    "Encoding",
    "Entry",
    "EquationModel",
    "Examples",
    "Finding",
    "Fit",
    "Flatten",
    "Formula",
    "FormulaError",
    "ForwardContext",
    "Layer",
    "MaxPool",
    "Method",
    "MethodSpec",
    "MissingExtraError",
    "Multistart",
    "Network",
    "NoTheory",
    "Objective",
    "ObjectiveError",
    "Outcome",
    "Parameter",
    "Plan",
    "PointError",
    "Prediction",
    "Prescription",
    "Race",
    "RateCheck",
    "RateFinding",
    "Record",
    "Remedy",
    "Schedule",
    "Search",
    "Setting",
    "SettingError",
    "Setup",
    "Severity",
    "Slope",
    "Spectrum",
    "Summary",
    "Sweep",
    "Table",
    "Theory",
    "Trace",
    "TraceError",
    "Training",
    "Trial",
    "UnitError",
    "UnitPass",
    "activation_names",
    "as_command",
    "backprop",
    "chain",
    "choices",
    "clear_caches",
    "compare",
    "critical_points",
    "derive",
    "descend",
    "diagnose",
    "draw",
    "equation",
    "examples",
    "export",
    "find_learning_rate",
    "fit",
    "formula",
    "lab",
    "load",
    "loss_names",
    "method",
    "method_names",
    "multistart",
    "network",
    "objective",
    "plan",
    "predict",
    "prescribe",
    "read_cells",
    "read_table",
    "report",
    "sample_names",
    "save",
    "schedule",
    "search",
    "slope",
    "summary",
    "sweep",
    "table_suffixes",
    "train",
    "unit_pass",
    "write_table",
]

_HOMES = {
    "downslope._choices": ("Choice", "choices"),
    "downslope.backpropagation": ("Backpropagation", "backprop"),
    "downslope.descent": ("Objective", "Plan", "Record", "Slope", "descend", "objective", "plan", "slope"),
    "downslope.diagnosis": ("Diagnosis", "Finding", "Severity", "diagnose"),
    "downslope.ensembles": (
        "Basin",
        "Entry",
        "Multistart",
        "Race",
        "Search",
        "Sweep",
        "compare",
        "multistart",
        "search",
        "sweep",
    ),
    "downslope.fitting": (
        "EquationModel",
        "Fit",
        "Parameter",
        "Prediction",
        "equation",
        "fit",
    ),
    "downslope.formulas": (
        "CriticalPoint",
        "CriticalPoints",
        "Derivation",
        "Formula",
        "chain",
        "critical_points",
        "derive",
        "formula",
    ),
    "downslope.networks": (
        "Activate",
        "Convolution",
        "Dense",
        "Dropout",
        "Encoding",
        "Examples",
        "Flatten",
        "ForwardContext",
        "Layer",
        "MaxPool",
        "Network",
        "Setup",
        "Training",
        "UnitPass",
        "activation_names",
        "examples",
        "loss_names",
        "network",
        "predict",
        "sample_names",
        "train",
        "unit_pass",
    ),
    "downslope.methods": (
        "Method",
        "MethodSpec",
        "NoTheory",
        "Schedule",
        "Setting",
        "Theory",
        "method",
        "method_names",
        "schedule",
    ),
    "downslope.remedies": (
        "Effect",
        "Prescription",
        "RateCheck",
        "RateFinding",
        "Remedy",
        "Trial",
        "find_learning_rate",
        "prescribe",
        "report",
    ),
    "downslope._engine": ("clear_caches",),
    "downslope.tables": ("Table", "read_cells", "read_table", "table_suffixes", "write_table"),
    "downslope.reports": ("Summary", "as_command", "report", "summary"),
    "downslope.trace": ("Outcome", "Spectrum", "Trace", "export", "load", "save"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its folder when it is first used."""
    if name in ("draw", "lab"):
        found: Any = importlib.import_module(f"downslope.{name}")
    elif name in _HOME_OF:
        found = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name in __all__:
        found = getattr(importlib.import_module("downslope._errors"), name)
    else:
        raise AttributeError(f"module 'downslope' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
