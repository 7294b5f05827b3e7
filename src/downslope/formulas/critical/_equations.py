"""The equations of the critical points of a smooth piece: its slope's for one variable, its gradient's for several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.formulas._roughness import as_quotient, exponential_factor
from downslope.formulas.critical._balls import PRECISION, series
from downslope.formulas.critical._survey import Enclosure
from downslope.formulas.critical._zeros import EquationSystem
from downslope.formulas.expressions import Expression

if TYPE_CHECKING:
    from flint import arb


@dataclass(frozen=True)
class Piece:
    """A smooth piece of a formula: a tree, and where it is in force.

    Args:
        tree: the piece.
        signs: each border with its sign, as smooth expressions on balls.
    """

    tree: Expression
    signs: tuple[tuple[Enclosure, int], ...]

    def is_out_of_force(self, balls: Sequence[Any]) -> bool:
        """Tell whether a border certainly has the other sign."""
        for border, sign in self.signs:
            value = border.value(balls)
            if (value < 0 and sign > 0) or (value > 0 and sign < 0):
                return True
        return False

    def touches_border(self, balls: Sequence[Any]) -> bool:
        """Tell whether a border may be zero."""
        return any(not (border.value(balls) > 0 or border.value(balls) < 0) for border, _ in self.signs)


def gradient_system(
    piece: Piece, variables: tuple[str, ...], is_singular: Callable[[np.ndarray], bool] | None
) -> EquationSystem:
    """Return the equations ∇f = 0 of a piece where it is in force."""
    factors = exponential_factor(piece.tree)
    whole = Enclosure(piece.tree, variables)

    def excludes(point: Sequence[Any]) -> bool:
        if piece.is_out_of_force(point):
            return True
        # Numerator and divisor apart may still tell that a gradient is not zero where its ball is not finite.
        gradient = whole.gradient(point)
        return not all(part.is_finite() for part in gradient) and whole.slope_is_away_from_zero(point)

    if factors is None:

        def jacobian(point: Sequence[Any]) -> Any:
            _, gradient, hessian = whole.with_hessian(point)
            return gradient, hessian

        return EquationSystem(whole.gradient, jacobian, excludes, is_singular, whole.in_floats)
    # f = w·e^u is stationary where ∇w + w·∇u = 0, of which balls keep the sign far out.
    front, exponent = (Enclosure(part, variables) for part in factors)
    size = range(len(variables))

    def values(point: Sequence[Any]) -> list[Any]:
        w, w1 = front.with_gradient(point)
        _, u1 = exponent.with_gradient(point)
        return [w1[i] + w * u1[i] for i in size]

    def factored(point: Sequence[Any]) -> Any:
        w, w1, w2 = front.with_hessian(point)
        _, u1, u2 = exponent.with_hessian(point)
        rows = [[w2[i][j] + w1[j] * u1[i] + w * u2[i][j] for j in size] for i in size]
        return [w1[i] + w * u1[i] for i in size], rows

    return EquationSystem(values, factored, excludes, is_singular, whole.in_floats)


def certain_kind(hessian: Sequence[Sequence[Any]]) -> str:
    """Return the kind that the enclosure of a Hessian proves; "" where it does not.

    The eigenvalues of matrices that differ by less than their entries' radii differ by at most n times these.
    """
    matrix = np.array([[float(entry.mid()) for entry in row] for row in hessian])
    radius = np.array([[float(entry.rad()) for entry in row] for row in hessian])
    # Congruence keeps the signs of eigenvalues: measure each variable in its own unit of curvature.
    size = np.sqrt(np.maximum(np.max(np.abs(matrix), axis=1), 1e-300))
    matrix, radius = matrix / np.outer(size, size), radius / np.outer(size, size)
    curvatures = np.linalg.eigvalsh(matrix)
    # The last term is the rounding of the eigenvalues themselves.
    doubt = len(matrix) * (float(np.max(radius)) + 1e-14 * float(np.max(np.abs(matrix))))
    if np.any(np.abs(curvatures) <= doubt):
        return ""
    if curvatures[0] > 0:
        return "minimum"
    return "maximum" if curvatures[-1] < 0 else "saddle"


@dataclass(frozen=True)
class SlopeEquation:
    """An expression that vanishes where a slope does, with the same sign but for a positive factor.

    Args:
        system: its value and derivative on balls.
        coefficients: its power series at a ball.
        divisor: what it must not vanish together with; None if there is no such expression.
    """

    system: EquationSystem
    coefficients: Callable[[arb], Any]
    divisor: Enclosure | None


def slope_equation(tree: Expression, variable: str, has_pole: bool) -> SlopeEquation:
    """Return the equation for the zeros of a smooth piece's slope.

    Around a pole or a gap the slope of N/D is finite only as N′D − ND′ over D².
    """
    parts = as_quotient(tree) if has_pole else None
    if parts is not None:
        above, below = (Enclosure(part, (variable,)) for part in parts)
        return _combined(above, below, variable, divides=True)
    factors = exponential_factor(tree)
    if factors is not None:
        front, exponent = (Enclosure(part, (variable,)) for part in factors)
        return _combined(front, exponent, variable, divides=False)
    enclosure = Enclosure(tree, (variable,))

    def jacobian(point: Sequence[Any]) -> Any:
        _, gradient, hessian = enclosure.with_hessian(point)
        return gradient, hessian

    def excludes(point: Sequence[Any]) -> bool:
        return not enclosure.gradient(point)[0].is_finite() and enclosure.slope_is_away_from_zero(point)

    system = EquationSystem(enclosure.gradient, jacobian, excludes)
    coefficients = power_series(tree, variable)
    return SlopeEquation(system, lambda at: coefficients(at).derivative(), None)


def power_series(tree: Expression, variable: str) -> Callable[[arb], Any]:
    """Return the power series of an expression at a ball."""
    powers = Enclosure(tree, (variable,)).in_algebra(series())
    return lambda at: powers.value([_variable_at(at)])


def _combined(u: Enclosure, v: Enclosure, variable: str, divides: bool) -> SlopeEquation:
    """Return the equation u′v − uv′ = 0 of the quotient u/v, or u′ + uv′ = 0 of the product u·e^v."""
    from flint import ctx

    def values(point: Sequence[Any]) -> list[Any]:
        a, (a1,) = u.with_gradient(point)
        b, (b1,) = v.with_gradient(point)
        return [a1 * b - a * b1 if divides else a1 + a * b1]

    def jacobian(point: Sequence[Any]) -> Any:
        a, (a1,), ((a2,),) = u.with_hessian(point)
        b, (b1,), ((b2,),) = v.with_hessian(point)
        if divides:
            return [a1 * b - a * b1], [[a2 * b - a * b2]]
        return [a1 + a * b1], [[a2 + a1 * b1 + a * b2]]

    first, second = u.in_algebra(series()), v.in_algebra(series())

    def coefficients(at: arb) -> Any:
        x = _variable_at(at)
        a, b = first.value([x]), second.value([x])
        if divides:
            return a.derivative() * b - a * b.derivative()
        return a.derivative() + a * b.derivative()

    def within(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        # Sums and products are rounded to the precision that is set, as the balls themselves are.
        def run(point: Any) -> Any:
            with ctx.workprec(PRECISION):
                return function(point)

        return run

    # Nothing is excluded: where the divisor vanishes too, the cells of the bisection are decided one by one.
    system = EquationSystem(within(values), within(jacobian), lambda point: False)
    return SlopeEquation(system, within(coefficients), v if divides else None)


def _variable_at(at: arb) -> Any:
    """Return the power series of the variable itself around a ball."""
    from flint import arb_series

    return arb_series([at, 1])


def parallel(u: Enclosure, f: Enclosure) -> EquationSystem:
    """Return the equations u = 0 and f_x·u_y − f_y·u_x = 0."""

    def values(point: Sequence[Any]) -> list[Any]:
        a, (ax, ay) = u.with_gradient(point)
        fx, fy = f.gradient(point)
        return [a, fx * ay - fy * ax]

    def jacobian(point: Sequence[Any]) -> Any:
        a, (ax, ay), a2 = u.with_hessian(point)
        _, (fx, fy), f2 = f.with_hessian(point)
        row = [f2[0][k] * ay + fx * a2[1][k] - f2[1][k] * ax - fy * a2[0][k] for k in (0, 1)]
        return [a, fx * ay - fy * ax], [[ax, ay], row]

    return EquationSystem(values, jacobian, lambda point: False, never)


def never(point: np.ndarray) -> bool:
    """A crowd of boxes of kinks is a curve of them, of which no proof is wanted."""
    return True
