"""A smooth piece of a formula of several variables: where it is in force, and the equations of its critical points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.formulas._roughness import exponential_factor
from downslope.formulas.critical._survey import Enclosure
from downslope.formulas.critical._zeros import EquationSystem
from downslope.formulas.expressions import Expression


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
        gradient = whole.gradient(point)
        return not all(part.is_finite() for part in gradient) and whole.slope_is_away_from_zero(point)

    if factors is None:

        def jacobian(point: Sequence[Any]) -> Any:
            _, gradient, hessian = whole.with_hessian(point)
            return gradient, hessian

        return EquationSystem(whole.gradient, jacobian, excludes, is_singular, whole.in_floats)
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
    doubt = len(matrix) * (float(np.max(radius)) + 1e-14 * float(np.max(np.abs(matrix))))
    if np.any(np.abs(curvatures) <= doubt):
        return ""
    if curvatures[0] > 0:
        return "minimum"
    return "maximum" if curvatures[-1] < 0 else "saddle"
