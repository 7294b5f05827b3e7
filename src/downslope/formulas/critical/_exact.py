"""Coordinates of critical points in closed form, where SymPy always solves the equations in bounded time."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from downslope.formulas._formula import Formula
from downslope.formulas.expressions import (
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
    constant_value,
    names_in,
    terminates,
)

_HIGHEST_DEGREE = 12  # isolating the roots of a polynomial is exact at any degree, but its cost grows quickly
_MOST_OPERATIONS = 12  # in one coordinate: longer closed forms say less than their decimals
_LARGEST_DENOMINATOR = 1000
_SAME = 1e-9


def exact_coordinates(formula: Formula, point: Mapping[str, float]) -> dict[str, str] | None:
    """Return a critical point's coordinates in textbook notation; None where there is no short closed form.

    Args:
        formula: the formula.
        point: the coordinates, which are zeros of the gradient.
    """
    if not _is_rational_polynomial(formula.body):
        return None
    fractions = {name: Fraction(value).limit_denominator(_LARGEST_DENOMINATOR) for name, value in point.items()}
    if all(abs(float(fractions[name]) - value) <= 1e-15 * max(abs(value), 1.0) for name, value in point.items()):
        # Without SymPy, whose import takes a second: a rational zero of the gradient is one in exact arithmetic.
        if len(point) == 1 or _degree(formula.body) <= 2:
            return {name: book(_rational(value, formula.has_decimals)) for name, value in fractions.items()}
        return None
    for solution in _solutions(formula):
        if all(abs(float(solution[name]) - value) <= _SAME * max(abs(value), 1.0) for name, value in point.items()):
            return _shown(formula, solution)
    return None


def _rational(value: Fraction, decimals: bool) -> Expression:
    """Return a fraction as a tree, printed as the formula's own numbers are."""
    if value < 0:
        return Negative(_rational(-value, decimals))
    if value.denominator == 1 or (decimals and terminates(value)):
        return Number(value, value.denominator != 1)
    return Quotient(Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))


def _is_rational_polynomial(tree: Expression) -> bool:
    """Tell whether a tree is a polynomial with rational coefficients, as written."""
    match tree:
        case Number() | Name():
            return True
        case Negative() | Sum() | Product():
            return all(map(_is_rational_polynomial, children(tree)))
        case Quotient(numerator, denominator):
            return _is_rational_polynomial(numerator) and constant_value(denominator) not in (None, 0)
        case Power(base, exponent):
            known = constant_value(exponent)
            whole = known is not None and known.denominator == 1 and 0 <= known <= _HIGHEST_DEGREE + 1
            return whole and _is_rational_polynomial(base)
        case _:
            return False


def _degree(tree: Expression) -> int:
    """Return the total degree of a polynomial, before terms cancel."""
    match tree:
        case Name():
            return 1
        case Product(factors):
            return sum(map(_degree, factors))
        case Power(base, exponent):
            known = constant_value(exponent)
            return _degree(base) * int(known or 0)
        case _:
            return max(map(_degree, children(tree)), default=0)


@functools.lru_cache(maxsize=64)
def _solutions(formula: Formula) -> tuple[Mapping[str, Any], ...]:
    """Return the exact solutions of ∇f = 0: of polynomials of one variable, and of linear equations."""
    import sympy

    from downslope.formulas._sympy import symbol, to_sympy

    names = [name for name in formula.variables if name in names_in(formula.body)]
    symbols = [symbol(name) for name in names]
    gradient = [sympy.Poly(to_sympy(formula.body).diff(variable), *symbols) for variable in symbols]
    if len(symbols) == 1:
        (part,) = gradient
        if part.is_zero or part.degree() > _HIGHEST_DEGREE:
            return ()
        roots: Any = part.real_roots()
        return tuple({names[0]: root} for root in sorted(set(roots), key=float))
    if any(part.total_degree() > 1 for part in gradient):
        return ()
    matrix, right = sympy.linear_eq_to_matrix([part.as_expr() for part in gradient], symbols)
    if matrix.det() == 0:
        return ()
    return (dict(zip(names, matrix.LUsolve(right), strict=True)),)


def _shown(formula: Formula, solution: Mapping[str, Any]) -> dict[str, str] | None:
    """Return exact coordinates in textbook notation, or None if they have no short form with roots."""
    from downslope.formulas._sympy import from_sympy

    if any("RootOf" in str(value) or value.count_ops() > _MOST_OPERATIONS for value in solution.values()):
        return None
    return {name: book(from_sympy(value, decimals=formula.has_decimals)) for name, value in solution.items()}
