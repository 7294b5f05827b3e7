"""Steps of the derivatives of y on a curve F(x, y) = 0, and those of a derivative by one variable, which they use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from downslope._errors import FormulaError, PointError
from downslope._text import number
from downslope.formulas._formula import Formula
from downslope.formulas.expressions import (
    ZERO,
    Expression,
    Negative,
    Number,
    Product,
    Quotient,
    Sum,
    book_name,
    constant_value,
    map_children,
    names_in,
    size,
)
from downslope.formulas.reading import formula as read_formula
from downslope.formulas.symbolic import DerivationStep, Differentiator, simplifier

# Each node may become a step that is simplified.
_MOST_NODES = 1500
_EXPONENTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_OFF_THE_CURVE = 1e-9  # relative difference of both sides of an equation at a point that is not on its curve
_LARGEST_DIVISOR = 1000  # of the factor between an expression and a side of the equation


@dataclass(frozen=True)
class Curve:
    """The points at which an equation holds.

    Args:
        read: the left side minus the right side, F.
        side: an expression that has the same value all along the curve.
        level: that value: 25 for x² + y².
    """

    read: Formula
    side: Expression
    level: Fraction


def read_curve(text: str | Formula) -> Curve:
    """Parse an equation; a formula without an equality sign equals 0."""
    left, right = _sides(text)
    read = Formula(
        None,
        tuple(dict.fromkeys((*left.variables, *right.variables))),
        left.body if right.body == ZERO else Sum((*_terms(left.body), Negative(right.body))),
        text=f"{left.read_as} = {right.read_as}",
        notes=(*left.notes, *right.notes),
    )
    level = constant_value(right.body)
    return Curve(read, read.body, Fraction(0)) if level is None else Curve(read, left.body, level)


def derivative_steps(read: Formula, by: str, tree: Expression) -> DerivationStep:
    """Return the steps of the derivative of a tree."""
    if size(tree) > _MOST_NODES:
        raise FormulaError(
            f"the formula has {size(tree)} parts, too many to show each step",
            hint="compute the derivative only: formula(…).derivative(…)",
        )
    tidy = simplifier([tree], decimals=read.has_decimals, columns=read.columns)
    return Differentiator(by, tidy, read.columns).step(tree)


def slope_of_curve(curve: Curve, x: str, y: str) -> DerivationStep:
    """Return the step that finds dy/dx on a curve: -F_x/F_y."""
    read = curve.read
    by_x, by_y = derivative_steps(read, x, read.body), derivative_steps(read, y, read.body)
    if by_y.after == ZERO:
        raise FormulaError(f"the equation does not determine {y}: its derivative by {y} is 0")
    worked = Negative(Quotient(by_x.after, by_y.after))
    tidy = simplifier([read.body], decimals=read.has_decimals)
    return DerivationStep(
        "implicit",
        read.body,
        tidy(worked),
        x,
        f"d{y}/d{x} = -F_{x}/F_{y}",
        f"F is the left side minus the right side. Along the curve F stays 0: F_{x} + F_{y}·d{y}/d{x} = 0.",
        {"F": read.body},
        (by_x, by_y),
        (worked,),
    )


def along_curve(curve: Curve, lower: DerivationStep, first: DerivationStep, y: str, order: int) -> DerivationStep:
    """Return the step that finds the next derivative on a curve: ∂g/∂x + ∂g/∂y·dy/dx, where g is the one before.

    Args:
        curve: the curve.
        lower: the step that finds g.
        first: the step that finds dy/dx.
        y: the variable that depends on the other.
        order: the order of the derivative.
    """
    read, x, before = curve.read, lower.variable, lower.after
    by_x, by_y = derivative_steps(read, x, before), derivative_steps(read, y, before)
    worked = Sum((by_x.after, Product((by_y.after, first.after))))
    tidy = simplifier([read.body, before], decimals=read.has_decimals)
    derivative = tidy(worked)
    on_curve = tidy(_with_level(derivative, curve, tidy))
    exponent = str(order).translate(_EXPONENTS)
    return DerivationStep(
        "implicit",
        before,
        on_curve,
        x,
        f"d{exponent}{y}/d{x}{exponent} = ∂g/∂{x} + ∂g/∂{y}·d{y}/d{x}",
        f"g is the derivative of the order below. Along the curve {y} changes with {x}: the chain rule.",
        {"g": before},
        (by_x, by_y),
        (worked,) if on_curve == derivative else (worked, derivative),
    )


def _with_level(tree: Expression, curve: Curve, tidy: Callable[[Expression], Expression]) -> Expression:
    """Return a tree with numbers for the sums that are constant on a curve: 25 for x² + y²."""
    if isinstance(tree, Sum):
        factor = _multiple(tree, curve.side)
        rest = constant_value(tidy(Sum((tree, Product((_signed(-factor), curve.side)))))) if factor else None
        if rest is not None:
            return _signed(rest + factor * curve.level)
    return map_children(tree, lambda child: _with_level(child, curve, tidy))


def _multiple(tree: Expression, side: Expression) -> Fraction:
    """Return the factor k for which tree − k·side may be constant, from the values at two points; 0 for none."""
    names = tuple(dict.fromkeys((*names_in(tree), *names_in(side))))
    points = ({name: start + 0.3 * index for index, name in enumerate(names)} for start in (0.5, 0.7))
    first, second = ([Formula(None, names, each)(point) for each in (tree, side)] for point in points)
    change, unit = second[0] - first[0], second[1] - first[1]
    if not (math.isfinite(change) and math.isfinite(unit) and unit):
        return Fraction(0)
    return Fraction(change / unit).limit_denominator(_LARGEST_DIVISOR)


def _signed(value: Fraction) -> Expression:
    """Return a number as a tree."""
    return Negative(Number(-value)) if value < 0 else Number(value)


def check_on_the_curve(read: Formula, point: Mapping[str, float]) -> None:
    """Check that an equation, written as F = 0, holds at a point."""
    sizes = [abs(Formula(None, read.variables, term)(point)) for term in _terms(read.body)]
    if not abs(read(point)) <= _OFF_THE_CURVE * (1 + sum(sizes)):
        shown = ", ".join(f"{book_name(name)} = {number(value)}" for name, value in point.items())
        raise PointError(f"{shown} is not on the curve {read.text}: its sides differ by {number(read(point))}")


def _sides(text: str | Formula) -> tuple[Formula, Formula]:
    """Return both sides of an equation; a formula without an equality sign equals 0."""
    if isinstance(text, Formula):
        return text, Formula(None, (), ZERO)
    if not isinstance(text, str):
        raise FormulaError(f"an equation is text, not {type(text).__name__}", hint="for example x² + y² = 25")
    left, equals, right = text.partition("=")
    return read_formula(left), read_formula(right) if equals else Formula(None, (), ZERO)


def _terms(tree: Expression) -> tuple[Expression, ...]:
    """Return the terms of a sum, a single one for any other tree."""
    return tree.terms if isinstance(tree, Sum) else (tree,)
