"""Simplify piecewise expressions: one case distinction around the whole, each piece under its condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import (
    UNITY,
    ZERO,
    Call,
    Combination,
    Comparison,
    Condition,
    Expression,
    Name,
    Negative,
    Number,
    Piecewise,
    Quotient,
    Sum,
    combined,
    comparisons,
    map_children,
    names_in,
    numpy_functions,
    terminates,
    walk,
)
from downslope.formulas.symbolic._products import terms_of
from downslope.formulas.symbolic._terms import Terms, TooLargeError, oriented

_MEET = 1e-12  # share by which two pieces may differ at a border where they meet
_MOST_PIECES = 6
_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}


def simplified_pieces(
    tree: Expression, simplified: Callable[[Expression], Expression], *, decimals: bool = False
) -> Expression:
    """Return a tree that contains piecewise expressions with its pieces and conditions simplified.

    Args:
        tree: the expression.
        simplified: the function that simplifies expressions without pieces.
        decimals: whether bounds with a finite decimal expansion print as decimals.
    """
    first = next(node for node in walk(tree) if isinstance(node, Piecewise))
    pieces = [node for node in walk(tree) if isinstance(node, Piecewise)]
    # Case distinctions by different conditions would multiply: each combination would be a piece of its own.
    if len(first.values) <= _MOST_PIECES and all(node.conditions == first.conditions for node in pieces):
        conditions = tuple(_solved(condition, decimals) for condition in first.conditions)
        values = []
        for index in range(len(first.values)):
            value = _chosen(tree, first.conditions, index)
            known = first.conditions[index] if index < len(first.conditions) else None
            values.append(simplified(value if known is None else _known(value, known)))
        return Piecewise(tuple(values), conditions)
    return map_children(tree, lambda child: simplified(child) if _has_pieces(child) else child)


def _has_pieces(tree: Expression) -> bool:
    """Return whether a tree contains a piecewise expression."""
    return any(isinstance(node, Piecewise) for node in walk(tree))


def _chosen(tree: Expression, conditions: tuple[Condition, ...], index: int) -> Expression:
    """Return a tree with every case distinction by these conditions replaced by one of its pieces."""
    if isinstance(tree, Piecewise) and tree.conditions == conditions:
        return tree.values[index]
    return map_children(tree, lambda child: _chosen(child, conditions, index))


def _known(tree: Expression, condition: Condition) -> Expression:
    """Return a tree in which max, min, |u|, sign(u) and their kin are what they are under a condition."""
    for larger, smaller in _orders(condition):
        ahead = _difference(larger, smaller)
        if ahead is not None:
            tree = _resolved(tree, ahead)
    return tree


def _orders(condition: Condition) -> Iterator[tuple[Expression, Expression]]:
    """Yield pairs of which the first is larger, by a condition."""
    if isinstance(condition, Combination):
        # Of an "or", neither part need hold.
        if condition.word == "and":
            for part in condition.conditions:
                yield from _orders(part)
    # = and ≠ put nothing in order.
    elif condition.sign in "<≤":
        yield condition.right, condition.left
    elif condition.sign in ">≥":
        yield condition.left, condition.right


def _difference(first: Expression, second: Expression) -> Terms | None:
    """Return a difference as terms, None if it is a number or too large."""
    try:
        terms = terms_of(Sum((first, Negative(second))))
    except TooLargeError:
        return None
    return terms if terms.constant() is None else None


def _resolved(tree: Expression, ahead: Terms) -> Expression:
    """Return a tree with the functions resolved that depend on the sign of `ahead`, which is positive."""
    # Inner calls first: max(|u|, 0) is decided once |u| is known to be u.
    tree = map_children(tree, lambda child: _resolved(child, ahead))
    match tree:
        case Call("max" | "min" as function, (first, second)):
            sign = _sign(_difference(first, second), ahead)
            return tree if not sign else first if (sign > 0) == (function == "max") else second
        case Call("abs" | "sign" | "relu" | "step" as function, (inside,)):
            sign = _sign(_difference(inside, ZERO), ahead)
            if not sign:
                return tree
            if function == "abs":
                return inside if sign > 0 else Negative(inside)
            if function == "sign":
                return UNITY if sign > 0 else Negative(UNITY)
            return ZERO if sign < 0 else inside if function == "relu" else UNITY
        case _:
            return tree


def _sign(terms: Terms | None, positive: Terms) -> int:
    """Return the sign of a multiple of a positive sum; 0 if it is none."""
    if terms is None:
        return 0
    # Multiples of one sum have the same direction, once the factor in front is taken out.
    (factor, direction), (other, reference) = oriented(terms), oriented(positive)
    return 0 if direction != reference else 1 if (factor > 0) == (other > 0) else -1


def _solved(condition: Condition, decimals: bool) -> Condition:
    """Return a condition with linear inequalities of one variable solved: x > 1/2 for x > 1 - x."""
    if isinstance(condition, Combination):
        parts = [_solved(part, decimals) for part in condition.conditions]
        # Of comparisons that say the same, the first stays where it is.
        return combined(condition.word, list({_meaning(part): part for part in reversed(parts)}.values())[::-1])
    terms = _difference(condition.left, condition.right)
    if terms is None:
        return condition
    linear = [(powers, c) for powers, c in terms.coefficients.items() if powers]
    if len(linear) != 1:
        return condition
    (powers, slope), *_ = linear
    if len(powers) != 1 or powers[0][0].kind != "name" or powers[0][1] != 1:
        return condition
    bound = -terms.coefficients.get((), Fraction(0)) / slope
    # Division by a negative slope turns the sign around.
    sign = condition.sign if slope > 0 else _FLIPPED[condition.sign]
    return Comparison(Name(powers[0][0].key), sign, _number(bound, decimals))


def _meaning(condition: Condition) -> object:
    """Return a key that is equal for comparisons that say the same: x < 1 and 1 > x."""
    if isinstance(condition, Combination):
        return condition
    terms = _difference(condition.left, condition.right)
    if terms is None:
        return condition
    factor, direction = oriented(terms)
    return direction, condition.sign if factor > 0 else _FLIPPED[condition.sign]


def _number(value: Fraction, decimals: bool) -> Expression:
    """Return a number as a tree."""
    if value < 0:
        return Negative(_number(-value, decimals))
    if value.denominator == 1 or (decimals and terminates(value)):
        return Number(value, decimal=value.denominator != 1)
    return Quotient(Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))


def with_joined_borders(
    tree: Piecewise, variable: str, pieces: Sequence[tuple[Expression, Condition]], slopes: Sequence[Expression]
) -> list[Condition]:
    """Return the conditions of a derivative's pieces, with the borders at which values and slopes of two pieces meet.

    Args:
        tree: the piecewise formula, of one variable.
        variable: the variable.
        pieces: its pieces, with the conditions of their insides.
        slopes: the derivative of each piece.
    """
    conditions = [condition for _, condition in pieces]
    if names_in(tree) != (variable,):
        return conditions
    inside = [comparison for condition in conditions for comparison in comparisons(condition)]
    borders = {border for each in inside if (border := _border(each, variable)) is not None}
    numbers = Piecewise(tuple(Number(Fraction(index)) for index in range(len(tree.values))), tree.conditions)
    for border in borders:
        width = 1e-9 * max(1.0, abs(border))
        behind, here, ahead = (_at(numbers, variable, border + shift) for shift in (-width, 0.0, width))
        if not all(map(math.isfinite, (behind, here, ahead))) or here not in (behind, ahead):
            continue
        both = [tree.values[int(index)] for index in (behind, ahead)]
        rows = [next((row for row, (value, _) in enumerate(pieces) if value is each), None) for each in both]
        own = rows[0] if here == behind else rows[1]
        if behind == ahead or None in rows or own is None:
            continue
        if _meet(both, variable, border) and _meet([slopes[row] for row in rows if row is not None], variable, border):
            conditions[own] = _closed_at(conditions[own], variable, border)
    return conditions


def _at(tree: Expression, variable: str, x: float) -> float:
    """Return the value of a tree at a number; NaN where it has none."""
    import numpy as np

    with np.errstate(all="ignore"):
        return float(evaluate(tree, {variable: np.float64(x)}, numpy_functions()))


def _meet(pair: Sequence[Expression], variable: str, x: float) -> bool:
    """Tell whether two trees have the same value at a number."""
    first, second = (_at(tree, variable, x) for tree in pair)
    return bool(abs(first - second) <= _MEET * max(1.0, abs(first)))


def _border(comparison: Comparison, variable: str) -> float | None:
    """Return where both sides of a comparison are equal, if they are linear in the variable."""
    difference = Sum((comparison.left, Negative(comparison.right)))
    first = _at(difference, variable, 0.0)
    slope = _at(difference, variable, 1.0) - first
    errors = [abs(_at(difference, variable, x) - first - slope * x) for x in (-3.0, -1.0, 2.5)]
    return -first / slope + 0.0 if slope != 0 and all(error <= _MEET * abs(slope) for error in errors) else None


def _closed_at(condition: Condition, variable: str, border: float) -> Condition:
    """Return a condition that holds at a border as well."""
    if isinstance(condition, Combination):
        return combined(condition.word, [_closed_at(part, variable, border) for part in condition.conditions])
    sign = {"<": "≤", ">": "≥"}.get(condition.sign)
    if sign is None or _border(condition, variable) != border:
        return condition
    return Comparison(condition.left, sign, condition.right)
