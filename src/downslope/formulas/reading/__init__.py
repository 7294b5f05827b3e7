"""Reading: from the text of a formula or an equation to its tree."""

from downslope.formulas.reading._parser import Equation, equation, formula

__all__ = [
    "Equation",
    "equation",
    "formula",
]
