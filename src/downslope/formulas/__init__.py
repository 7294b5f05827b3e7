"""Formulas: parsing and evaluation, derivatives with their steps, critical points, units.

Derivations and critical points are imported on first use, since a descent does not need them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from downslope.formulas._formula import Formula
from downslope.formulas._parameters import divisors, interchangeable, linear_names, wave_arguments
from downslope.formulas._roughness import rough_parts
from downslope.formulas._units import check_units, checked_units, dimensions, unit_of_powers, unit_ratio
from downslope.formulas._voigt import VOIGT
from downslope.formulas.evaluation import (
    ARRAYS,
    FLOATS,
    Algebra,
    NumericFormula,
    Operation,
    evaluate,
    operations,
    stable,
    with_limits,
)
from downslope.formulas.expressions import (
    Call,
    Condition,
    Expression,
    ForeignFunction,
    Name,
    book,
    book_name,
    jax_functions,
    latex_name,
    names_in,
    numpy_functions,
    product_of,
    sum_of,
    way_of,
    weighted_sum,
    with_numbers,
    with_trees,
)
from downslope.formulas.reading import Equation, equation, formula

if TYPE_CHECKING:
    from downslope.formulas.critical import (
        CriticalPoint,
        CriticalPoints,
        critical_points,
        is_within_borders,
        lengths_within_borders,
        overflows,
        surface,
    )
    from downslope.formulas.derivations import Chain, Derivation, chain, derive
    from downslope.formulas.symbolic import DerivationStep

__all__ = [
    "ARRAYS",
    "FLOATS",
    "VOIGT",
    "Algebra",
    "Call",
    "Chain",
    "Condition",
    "CriticalPoint",
    "CriticalPoints",
    "Derivation",
    "DerivationStep",
    "Equation",
    "Expression",
    "ForeignFunction",
    "Formula",
    "Name",
    "NumericFormula",
    "Operation",
    "book",
    "book_name",
    "chain",
    "check_units",
    "checked_units",
    "critical_points",
    "derive",
    "dimensions",
    "divisors",
    "equation",
    "evaluate",
    "formula",
    "interchangeable",
    "is_within_borders",
    "jax_functions",
    "latex_name",
    "lengths_within_borders",
    "linear_names",
    "names_in",
    "numpy_functions",
    "operations",
    "overflows",
    "product_of",
    "rough_parts",
    "stable",
    "sum_of",
    "surface",
    "unit_of_powers",
    "unit_ratio",
    "wave_arguments",
    "way_of",
    "weighted_sum",
    "with_limits",
    "with_numbers",
    "with_trees",
]

_LATER = {
    **dict.fromkeys(
        (
            "CriticalPoint",
            "CriticalPoints",
            "critical_points",
            "is_within_borders",
            "lengths_within_borders",
            "overflows",
            "surface",
        ),
        "critical",
    ),
    **dict.fromkeys(("Chain", "Derivation", "chain", "derive"), "derivations"),
    "DerivationStep": "symbolic",
}


def __getattr__(name: str) -> Any:
    """Import a name from its folder on first use."""
    if name not in _LATER:
        raise AttributeError(f"module 'downslope.formulas' has no attribute {name!r}")
    return getattr(importlib.import_module(f"downslope.formulas.{_LATER[name]}"), name)
