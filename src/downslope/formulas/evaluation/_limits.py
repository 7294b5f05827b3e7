"""Powers, roots and x·ln x at a column value of 0: their limits, in the value and in every derivative.

(x/T)^b is 0 at x = 0 whatever T is, so its slopes are 0 as well. The chain rule computes ∞·0 there, as the outer slope
b·(x/T)^(b−1) is infinite for b < 1; of x·ln(x/k) even the value is 0·∞. Such a term becomes piecewise: itself where the
column is not 0, its limit where it is. Both engines differentiate pieces without the NaN of the one not in force.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import Any

from downslope.formulas.evaluation._operations import evaluate
from downslope.formulas.expressions import (
    UNITY,
    ZERO,
    Call,
    Combination,
    Comparison,
    Condition,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    children,
    constant_value,
    map_children,
    names_in,
    numpy_functions,
    walk,
)

_LOGARITHMS = ("ln", "log10", "log2")
_ROOTS = ("sqrt", "cbrt", "root")
_ZERO_AT_ZERO = frozenset(
    ("abs", "sqrt", "cbrt", "root", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf", "relu")
)
_ONE_AT_ZERO = frozenset(("exp", "cos", "cosh", "sec", "sech", "erfc"))


@functools.lru_cache(maxsize=256)
def with_limits(tree: Expression, columns: frozenset[str]) -> Expression:
    """Return a tree whose powers, roots and products with logarithms have their limits where columns are 0.

    Args:
        tree: the expression.
        columns: names of columns; all other names are parameters.

    >>> from downslope.formulas import formula
    >>> from downslope.formulas.expressions import book
    >>> book(with_limits(formula("(x/T)^0.5", columns=["x"]).body, frozenset(["x"])))
    '{(x/T)^0.5 if x ≠ 0, 0 otherwise}'
    """
    if not set(names_in(tree)) - columns:
        return tree
    zeros = tuple(_zeros(tree, columns))
    inner = map_children(tree, lambda child: with_limits(child, columns))
    if not zeros:
        return inner
    apart: Condition = Comparison(zeros[0], "≠", ZERO)
    if len(zeros) > 1:
        apart = Combination("and", tuple(Comparison(zero, "≠", ZERO) for zero in zeros))
    if isinstance(tree, Power) and constant_value(tree.exponent) is None:
        # 0^b is 0, 1 or infinite as b is above, at or below 0, and never depends on the base's parameters.
        above = Comparison(tree.exponent, ">", ZERO)
        return Piecewise((inner, ZERO, Power(ZERO, tree.exponent)), (apart, above))
    return Piecewise((inner, ZERO), (apart,))


def limited(tree: Expression, data: Mapping[str, Any]) -> Expression:
    """Return a tree with limits where a table needs them.

    Args:
        tree: the expression.
        data: columns by name; all other names are parameters.
    """
    points = _limit_points(tree, frozenset(data)) if data else ()
    if not points:
        return tree
    import numpy as np

    with np.errstate(all="ignore"):
        needed = any(np.any(evaluate(point, data, numpy_functions()) == 0) for point in points)
    return with_limits(tree, frozenset(data)) if needed else tree


@functools.lru_cache(maxsize=256)
def _limit_points(tree: Expression, columns: frozenset[str]) -> tuple[Expression, ...]:
    """Return the expressions of columns at whose zeros `with_limits` changes a tree: x of (x/T)^b."""
    return tuple(dict.fromkeys(zero for node in walk(tree) for zero in _zeros(node, columns)))


def _zeros(tree: Expression, columns: frozenset[str]) -> Iterator[Expression]:
    """Yield the expressions of columns at whose zeros a tree has the limit 0 but no slope by the chain rule."""
    if not set(names_in(tree)) - columns:
        return
    for atom in _atoms(tree, columns):
        match tree:
            case Power(MathConstant("e"), _):
                return
            case Power(base, exponent) if set(names_in(base)) - columns:
                power = constant_value(exponent)
                smooth = power is not None and (power <= 0 or power.denominator == 1)
                if not smooth and _at_zero(base, atom) == ZERO:
                    yield atom
            case Call(function, (base, *_)) if function in _ROOTS:
                if _at_zero(base, atom) == ZERO:
                    yield atom
            case Product(factors):
                vanishes = any(_at_zero(factor, atom) == ZERO for factor in factors)
                if vanishes and any(_has_pole(factor, atom) for factor in factors):
                    yield atom


def _atoms(tree: Expression, columns: Collection[str]) -> list[Expression]:
    """Return the columns in a tree, and the largest sums of columns alone: x, and x - 5 of (x - 5)/T."""
    atoms: dict[Expression, None] = {}

    def collect(node: Expression) -> None:
        names = names_in(node)
        if isinstance(node, Name | Sum) and names and all(name in columns for name in names):
            atoms.setdefault(node)
            return
        for child in children(node):
            collect(child)

    collect(tree)
    return list(atoms)


def _has_pole(tree: Expression, atom: Expression) -> bool:
    """Return whether a factor grows at most as a power of a logarithm where an expression is 0."""
    logarithms = [
        node
        for node in walk(tree)
        if isinstance(node, Call) and node.function in _LOGARITHMS and _at_zero(node.arguments[0], atom) == ZERO
    ]
    return bool(logarithms) and _is_polynomial_in(tree, logarithms)


def _is_polynomial_in(tree: Expression, terms: list[Call]) -> bool:
    """Return whether a tree is a polynomial in some terms."""
    if tree in terms:
        return True
    match tree:
        case Negative() | Sum() | Product():
            return all(_is_polynomial_in(child, terms) for child in children(tree))
        case Quotient(numerator, denominator):
            return _is_polynomial_in(numerator, terms) and _is_free_of(denominator, terms)
        case Power(base, exponent):
            power = constant_value(exponent)
            if power is not None and power >= 0:
                return _is_polynomial_in(base, terms)
    return _is_free_of(tree, terms)


def _is_free_of(tree: Expression, terms: list[Call]) -> bool:
    return not any(node in terms for node in walk(tree))


def _at_zero(tree: Expression, atom: Expression) -> Expression:
    """Return a tree where an expression of columns is 0, folded as far as it no longer depends on anything."""
    if tree == atom:
        return ZERO
    tree = map_children(tree, lambda child: _at_zero(child, atom)) if not isinstance(tree, Piecewise) else tree
    match tree:
        case Negative(operand) if operand == ZERO:
            return ZERO
        case Sum(terms):
            return _folded_sum(terms)
        case Product(factors) if ZERO in factors:
            return ZERO
        case Product(factors):
            rest = tuple(factor for factor in factors if factor != UNITY)
            return rest[0] if len(rest) == 1 else Product(rest) if rest else UNITY
        case Quotient(numerator, _) if numerator == ZERO:
            return ZERO
        case Power(base, exponent):
            return _folded_power(tree, base, exponent)
        case Call(function, (argument, *_)) if argument == ZERO and function in _ZERO_AT_ZERO:
            return ZERO
        case Call(function, (argument,)) if argument == ZERO and function in _ONE_AT_ZERO:
            return UNITY
        case Call(function, (argument,)) if argument == UNITY and function in _LOGARITHMS:
            return ZERO
    return tree


def _folded_sum(terms: tuple[Expression, ...]) -> Expression:
    """Return a sum with its numbers added and opposite terms cancelled."""
    total, rest = Fraction(0), list[Expression]()
    for term in terms:
        value = constant_value(term)
        opposite = term.operand if isinstance(term, Negative) else Negative(term)
        if value is not None:
            total += value
        elif opposite in rest:
            rest.remove(opposite)
        else:
            rest.append(term)
    if total or not rest:
        rest.append(Number(total) if total >= 0 else Negative(Number(-total)))
    return rest[0] if len(rest) == 1 else Sum(tuple(rest))


def _folded_power(tree: Expression, base: Expression, exponent: Expression) -> Expression:
    power = constant_value(exponent)
    if power == 0 or base == UNITY:
        return UNITY
    # A parameter as exponent counts as positive: where it is not, the piece for the zero says so.
    return ZERO if base == ZERO and (power is None or power > 0) else tree
