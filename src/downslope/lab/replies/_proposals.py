"""Equations that often suit a column over another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import downslope as ds
from downslope.fitting._model import model_of

_SHAPES = (
    ("a line", "{y} = {0}·{x} + {1}"),
    ("a parabola", "{y} = {0}·{x}² + {1}·{x} + {2}"),
    ("exponential, to a level", "{y} = {0} + {1}·e^(-{2}·{x})"),
    ("exponential", "{y} = {0}·e^({1}·{x})"),
    ("a power", "{y} = {0}·{x}^{1}"),
    ("a logarithm", "{y} = {0} + {1}·ln({x})"),
    ("logistic", "{y} = {0}/(1 + e^(-{1}·({x} - {2})))"),
    ("saturation", "{y} = {0}·{x}/({1} + {x})"),
    ("a bump", "{y} = {0} + {1}·e^(-(({x} - {2})/{3})²)"),
    ("a wave", "{y} = {0} + {1}·sin({2}·{x} + {3})"),
)
_LETTERS = ("a", "b", "c", "d", "k", "m", "p", "q")


@dataclass(frozen=True)
class Proposal:
    """An equation to choose.

    Args:
        title: what its curve is called.
        formula: its text.
    """

    title: str
    formula: str


def proposals(x: str, y: str) -> list[Proposal]:
    """Return equations of a column over another, as they are typed; none where a name cannot be typed.

    >>> proposals("size", "price")[0].formula
    'price = a·size + b'
    """
    letters = [letter for letter in _LETTERS if letter not in (x, y)]
    made = [Proposal(title, shape.format(*letters, x=x, y=y)) for title, shape in _SHAPES]
    try:
        model_of(made[0].formula, {x: np.zeros(1), y: np.zeros(1)}, None, ())
    except ds.FormulaError:
        return []
    return made
