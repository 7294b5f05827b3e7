"""Which names a formula is linear in, the others held: what least squares solves in one step."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from downslope.formulas._evaluation import constant_value
from downslope.formulas._expression import (
    Call,
    Expression,
    Name,
    Negative,
    Power,
    Product,
    Quotient,
    Sum,
    children,
    names_in,
)

_ADDITIVE = {"mean", "sum"}


def linear_names(tree: Expression, names: Sequence[str]) -> tuple[str, ...]:
    """Return names that the tree is linear in, all of them together: a + Σ pᵢ·bᵢ with a and b free of them.

    Args:
        tree: the expression.
        names: the names to choose from, the first ones preferred.

    >>> from downslope.formulas import formula
    >>> linear_names(formula("y = a e^(-k x) + c", columns=["x"]).body, ["a", "k", "c"])
    ('a', 'c')
    """
    chosen: tuple[str, ...] = ()
    for name in names:
        if _is_linear(tree, {*chosen, name}):
            chosen += (name,)
    return chosen


def _is_linear(tree: Expression, names: Collection[str]) -> bool:
    """Tell whether a tree is at most linear in names together."""
    if not _holds(tree, names):
        return True
    match tree:
        case Name():
            return True
        case Negative() | Sum():
            return all(_is_linear(child, names) for child in children(tree))
        case Product(factors):
            holding = [factor for factor in factors if _holds(factor, names)]
            return len(holding) == 1 and _is_linear(holding[0], names)
        case Quotient(numerator, denominator):
            return not _holds(denominator, names) and _is_linear(numerator, names)
        case Power(base, exponent):
            return constant_value(exponent) == 1 and _is_linear(base, names)
        case Call(function, arguments):
            return function in _ADDITIVE and _is_linear(arguments[0], names)
        case _:
            return False


def _holds(tree: Expression, names: Collection[str]) -> bool:
    """Tell whether one of the names occurs in a tree."""
    return any(name in names for name in names_in(tree))
