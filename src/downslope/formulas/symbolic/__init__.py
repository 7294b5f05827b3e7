"""Symbolic computation on expression trees: simplification and differentiation, without SymPy."""

from downslope.formulas.symbolic._differentiate import check_constants, differentiate, exact_number, taylor_polynomial
from downslope.formulas.symbolic._products import terms_of
from downslope.formulas.symbolic._rules import DerivationStep, Differentiator
from downslope.formulas.symbolic._simplify import simplifier
from downslope.formulas.symbolic._terms import TooLargeError
from downslope.formulas.symbolic._textbook import Textbook

__all__ = [
    "DerivationStep",
    "Differentiator",
    "Textbook",
    "TooLargeError",
    "check_constants",
    "differentiate",
    "exact_number",
    "simplifier",
    "taylor_polynomial",
    "terms_of",
]
