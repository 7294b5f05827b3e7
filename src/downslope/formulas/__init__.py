"""Formulas: parsing and evaluation, derivatives with their steps, critical points, units.

Derivations, critical points and operations are imported on first use, since a descent does not need them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from downslope.formulas._equation import Equation, equation
from downslope.formulas._expression import names_in, weighted_sum, with_numbers, with_trees
from downslope.formulas._formula import Formula
from downslope.formulas._functions import jax_functions, numpy_functions
from downslope.formulas._operations import evaluate
from downslope.formulas._parameters import divisors, interchangeable, linear_names
from downslope.formulas._parser import formula
from downslope.formulas._printing import book, book_name
from downslope.formulas._units import check_units, checked_units, dimensions, unit_of_powers, unit_ratio

if TYPE_CHECKING:
    from downslope.formulas._algebra import ARRAYS, FLOATS, Algebra
    from downslope.formulas._chain import Chain, chain
    from downslope.formulas._critical_points import CriticalPoint, CriticalPoints, critical_points
    from downslope.formulas._derivation import Derivation, DerivationStep, derive
    from downslope.formulas._numeric import NumericFormula
    from downslope.formulas._operations import Operation, operations
    from downslope.formulas._surface import surface

__all__ = [
    "ARRAYS",
    "FLOATS",
    "Algebra",
    "Chain",
    "CriticalPoint",
    "CriticalPoints",
    "Derivation",
    "DerivationStep",
    "Equation",
    "Formula",
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
    "jax_functions",
    "linear_names",
    "names_in",
    "numpy_functions",
    "operations",
    "surface",
    "unit_of_powers",
    "unit_ratio",
    "weighted_sum",
    "with_numbers",
    "with_trees",
]

_LATER = {
    **dict.fromkeys(("CriticalPoint", "CriticalPoints", "critical_points"), "_critical_points"),
    **dict.fromkeys(("Chain", "chain"), "_chain"),
    **dict.fromkeys(("Derivation", "DerivationStep", "derive"), "_derivation"),
    **dict.fromkeys(("ARRAYS", "FLOATS", "Algebra"), "_algebra"),
    "NumericFormula": "_numeric",
    "surface": "_surface",
    **dict.fromkeys(("Operation", "operations"), "_operations"),
}


def __getattr__(name: str) -> Any:
    """Import a lazily loaded name from its module."""
    if name not in _LATER:
        raise AttributeError(f"module 'downslope.formulas' has no attribute {name!r}")
    return getattr(importlib.import_module(f"downslope.formulas.{_LATER[name]}"), name)
