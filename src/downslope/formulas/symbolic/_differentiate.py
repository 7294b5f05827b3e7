"""Derivatives of a tree, simplified, and Taylor polynomials with exact coefficients."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from fractions import Fraction

from downslope._errors import FormulaError
from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import (
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
    book,
    children,
    names_in,
    numpy_functions,
    replaced,
    sum_of,
)
from downslope.formulas.symbolic._products import multiplied, terms_of
from downslope.formulas.symbolic._rules import Differentiator
from downslope.formulas.symbolic._simplify import gathered, simplifier
from downslope.formulas.symbolic._terms import TooLargeError, scaled
from downslope.formulas.symbolic._textbook import Textbook


def differentiate(
    tree: Expression, variable: str, *, decimals: bool = False, columns: Collection[str] = ()
) -> Expression:
    """Return the derivative of a tree by a variable, simplified.

    Args:
        tree: the expression.
        variable: the variable of differentiation.
        decimals: whether numbers with a finite decimal expansion print as decimals.
        columns: the names in the tree that are data columns.

    Raises:
        FormulaError: if the formula is nested too deep, or a constant part of it has no value.
    """
    textbook = Textbook([tree], decimals=decimals)

    check_constants(tree)
    try:
        raw = Differentiator(variable, lambda part: gathered(part, textbook), columns).step(tree).after
        return simplifier([tree], decimals=decimals, columns=columns)(raw)
    except RecursionError:
        raise FormulaError("the formula is nested too deep to be differentiated") from None


def check_constants(tree: Expression) -> None:
    """Check that the parts of a tree without names have values.

    Raises:
        FormulaError: for a division by zero, and for roots and logarithms of negative numbers.
    """
    stack = [tree]
    while stack:
        node = stack.pop()
        stack += children(node)
        by_zero = isinstance(node, Quotient) and not names_in(node.denominator) and _value(node.denominator) == 0
        # A number that is too large for a float is one all the same.
        if by_zero or (children(node) and not names_in(node) and math.isnan(_value(node))):
            raise FormulaError(f"{book(node)} has no value, so the formula has no derivative")


def _value(tree: Expression) -> float:
    """Return the value of a tree without names, NaN where it has none."""
    if isinstance(tree, Number):
        return 1.0 if tree.value else 0.0  # all that matters, and no overflow
    import numpy as np

    with np.errstate(all="ignore"):
        return float(evaluate(tree, {}, numpy_functions()))


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
