"""Evaluation: a formula and its derivatives as operations on floats, arrays or other numbers."""

from downslope.formulas.evaluation._algebra import ARRAYS, FLOATS, Algebra
from downslope.formulas.evaluation._limits import limited, with_limits
from downslope.formulas.evaluation._numeric import NumericFormula
from downslope.formulas.evaluation._operations import Operation, evaluate, operations
from downslope.formulas.evaluation._stable_forms import stable

__all__ = [
    "ARRAYS",
    "FLOATS",
    "Algebra",
    "NumericFormula",
    "Operation",
    "evaluate",
    "limited",
    "operations",
    "stable",
    "with_limits",
]
