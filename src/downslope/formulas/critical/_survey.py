"""The result of a search for critical points: candidates, flat regions, poles, and unproved boxes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from downslope.formulas._formula import Formula
from downslope.formulas.critical._balls import Ratio, balls, ratios
from downslope.formulas.critical._zeros import EquationSystem
from downslope.formulas.evaluation import FLOATS, Algebra, NumericFormula
from downslope.formulas.expressions import Expression

ROUNDING = 1e-13  # share of the box within which two proved zeros are the same one, found twice
_SIMPLE = 10_000  # the largest denominator of a coordinate that is taken to be meant exactly


@dataclass(frozen=True)
class Candidate:
    """A point that may be critical.

    Args:
        point: shape (variables,).
        certified: whether it is proved that there is exactly one such point here, and no other close by.
        is_smooth: whether it lies inside of a smooth piece; None for a border, where the judge decides.
        kind: the kind, if it was proved; else "". "pole" for a pole, "slope" for a gap in a slope.
        limit: the limit of the value in a gap; None elsewhere.
        curve: whether it stands for a curve or region of critical points.
        blur: how well the point is known, as a share of the box.
        region: the flat interval of one variable that it stands for; None for a point.
    """

    point: np.ndarray
    certified: bool = False
    is_smooth: bool | None = True
    kind: str = ""
    limit: float | None = None
    curve: bool = False
    blur: float = 0.0
    region: tuple[float, float] | None = None


@dataclass
class Survey:
    """The candidates of a box.

    Args:
        candidates: in no order.
        unproved: boxes, shape (variables, 2), in which other zeros of the gradient are not excluded.
        is_complete: whether the search ended within its budget.
        rough: borders along which kinks were looked for numerically alone.
    """

    candidates: list[Candidate] = field(default_factory=list)
    unproved: list[np.ndarray] = field(default_factory=list)
    is_complete: bool = True
    rough: tuple[Expression, ...] = ()


class Enclosure:
    """An expression and its derivatives on balls.

    Args:
        tree: the expression.
        variables: the names, in the order of coordinates.
    """

    def __init__(self, tree: Expression, variables: tuple[str, ...]) -> None:
        self.formula = Formula(name=None, variables=variables, body=tree)
        # Setting the precision costs as much as an operation, so that callers set it once for many balls.
        self._balls = NumericFormula(self.formula, replace(balls(), context=None))
        self.tree = tree

    def value(self, point: Sequence[Any]) -> Any:
        """Return the value."""
        return self._balls.value(point)

    def gradient(self, point: Sequence[Any]) -> Sequence[Any]:
        """Return the gradient."""
        return self._balls.value_and_gradient(point)[1]

    def with_gradient(self, point: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        """Return value and gradient."""
        return self._balls.value_and_gradient(point)

    def with_hessian(self, point: Sequence[Any]) -> tuple[Any, Sequence[Any], list[list[Any]]]:
        """Return value, gradient and Hessian."""
        return self._balls.value_gradient_hessian(point)

    def slope_is_away_from_zero(self, point: Sequence[Any]) -> bool:
        """Tell whether a derivative that is not finite, as around a pole, still certainly does not vanish."""
        quotients = NumericFormula(self.formula, ratios()).value_and_gradient([Ratio(ball) for ball in point])[1]
        return any(q.above.is_finite() and not q.above.contains(0) for q in quotients)

    def in_floats(self, point: Sequence[float]) -> tuple[Sequence[float], Sequence[Sequence[float]]]:
        """Return gradient and Hessian at a point of floats."""
        _, gradient, hessian = self._floats.value_gradient_hessian(point)
        return gradient, hessian

    @functools.cached_property
    def _floats(self) -> NumericFormula:
        return NumericFormula(self.formula, FLOATS)

    def in_algebra(self, algebra: Algebra) -> NumericFormula:
        """Return the expression in another algebra."""
        return NumericFormula(self.formula, algebra)


def equation(tree: Expression, variable: str) -> EquationSystem:
    """Return the system of one equation, an expression equal to zero."""
    enclosure = Enclosure(tree, (variable,))

    def jacobian(point: Sequence[Any]) -> Any:
        value, gradient = enclosure.with_gradient(point)
        return [value], [list(gradient)]

    return EquationSystem(lambda point: [enclosure.value(point)], jacobian, lambda point: False)


def simplest(low: float, high: float) -> float | None:
    """Return the number with the smallest denominator in an interval, if that is small; None otherwise.

    >>> simplest(0.333333333333, 0.333333333334), simplest(-1e-9, 2e-9), simplest(1.4142135623, 1.4142135624)
    (0.3333333333333333, 0.0, None)
    """
    if low <= 0 <= high:
        return 0.0
    if high < 0:
        mirrored = simplest(-high, -low)
        return None if mirrored is None else -mirrored
    lower, upper = Fraction(low), Fraction(high)
    # Stern and Brocot: the continued fraction of both ends, as far as it is the same.
    result = _simplest_between(lower, upper)
    return float(result) if result.denominator <= _SIMPLE else None


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction with the smallest denominator between two positive ones."""
    whole = low.numerator // low.denominator
    if whole == low:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    inner = _simplest_between(1 / (high - whole), 1 / (low - whole))
    return whole + 1 / inner


def hull(boxes: Iterable[np.ndarray]) -> np.ndarray:
    """Return the smallest box around boxes."""
    stack = np.stack(list(boxes))
    return np.stack([stack[:, :, 0].min(axis=0), stack[:, :, 1].max(axis=0)], axis=1)
