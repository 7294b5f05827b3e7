"""Taylor polynomials with exact coefficients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from downslope.formulas._expression import (
    UNITY,
    ZERO,
    Expression,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    replaced,
    sum_of,
)
from downslope.formulas._functions import numpy_functions
from downslope.formulas._operations import evaluate
from downslope.formulas._products import multiplied, terms_of
from downslope.formulas._terms import TooLargeError, scaled
from downslope.formulas._textbook import Textbook


def taylor_polynomial(
    derivatives: Sequence[Expression], name: str, at: Expression, *, decimals: bool = False
) -> Expression | None:
    """Return f(a) + f'(a)·(x - a) + f''(a)·(x - a)²/2 + …; None where a derivative has no value.

    Args:
        derivatives: the function and its derivatives, in order.
        name: its variable.
        at: the number a.
        decimals: whether numbers with a finite decimal expansion print as decimals.
    """
    import numpy as np

    textbook = Textbook(decimals=decimals)
    shift = Name(name) if at == ZERO else Sum((Name(name), _negated(at)))
    parts: list[Expression] = []
    try:
        for degree, body in enumerate(derivatives):
            exact = scaled(terms_of(replaced(body, Name(name), at)), Fraction(1, math.factorial(degree)))
            coefficient = textbook.tree(exact)
            with np.errstate(all="ignore"):
                if not math.isfinite(evaluate(coefficient, {}, numpy_functions())):
                    return None
            if not exact.coefficients:
                continue
            raised = shift if degree == 1 else Power(shift, Number(Fraction(degree)))
            if degree and at != ZERO:
                parts.append(_times(coefficient, raised))
            else:
                parts.append(textbook.tree(multiplied(exact, terms_of(raised))))
    except TooLargeError:
        return None
    return sum_of(parts) if parts else ZERO


def exact_number(value: float) -> Expression:
    """Return a number as a tree, its sign in front."""
    exact = Fraction(repr(float(value)))
    tree = Number(abs(exact), exact.denominator != 1)
    return Negative(tree) if value < 0 else tree


def _times(coefficient: Expression, factor: Expression) -> Expression:
    """Return a product with its sign in front and its denominator below, without a factor 1."""
    if isinstance(coefficient, Negative):
        return Negative(_times(coefficient.operand, factor))
    if isinstance(coefficient, Quotient):
        return Quotient(_times(coefficient.numerator, factor), coefficient.denominator)
    return factor if coefficient == UNITY else Product((coefficient, factor))


def _negated(tree: Expression) -> Expression:
    """Return a number with the other sign."""
    return tree.operand if isinstance(tree, Negative) else Negative(tree)
