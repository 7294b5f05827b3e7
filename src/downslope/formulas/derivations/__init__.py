"""Derivations: derivatives step by step, as a textbook writes them."""

from downslope.formulas.derivations._chain import Chain, chain
from downslope.formulas.derivations._derivation import Derivation, derive

__all__ = [
    "Chain",
    "Derivation",
    "chain",
    "derive",
]
