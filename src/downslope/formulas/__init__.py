"""Text in, Formula out; and its derivatives, with the rules used."""

from downslope.formulas._critical_points import CriticalPoint, CriticalPoints, critical_points
from downslope.formulas._derivation import Chain, Derivation, chain, derive
from downslope.formulas._evaluation import evaluate
from downslope.formulas._expression import names_in
from downslope.formulas._formula import Formula
from downslope.formulas._functions import jax_functions, numpy_functions
from downslope.formulas._reading import formula
from downslope.formulas._units import unit_ratio

__all__ = [
    "Chain",
    "CriticalPoint",
    "CriticalPoints",
    "Derivation",
    "Formula",
    "chain",
    "critical_points",
    "derive",
    "evaluate",
    "formula",
    "jax_functions",
    "names_in",
    "numpy_functions",
    "unit_ratio",
]
