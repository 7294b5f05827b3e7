"""The slope: what is true at one point."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope import _tree
from downslope._engine import jax, kept, precision
from downslope._types import Columns, Point, plain
from downslope.descent._curvature import hessian_ends, signed, split
from downslope.descent._objective import Objective, check_point
from downslope.descent._objective import objective as objective_of

# What kind of point it is: a slope, a minimum, a maximum, a saddle, or degenerate.


_FLAT = 1e-9  # share of the largest eigenvalue below which one counts as zero: its rounding is some 1e-12
_NEAR = 1e-7  # share of the point's size by which the Newton step may miss: √ε and a digit
_RADII = (1e-4, 1e-3, 1e-2)  # of the point's size: where higher terms are looked for


class Kind(NamedTuple):
    """The kind of a point, and a sentence where it needs one."""

    name: str
    note: str


def kind_of_point(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    gradient: np.ndarray,
    hessian: np.ndarray | None,
) -> Kind:
    """Return the kind of a point.

    Args:
        values: the objective at many points, shape (points, size) to (points,).
        point: the coordinates, shape (size,).
        value: the objective there.
        gradient: shape (size,).
        hessian: shape (size, size); None if it is too large, which only a slope can do without.
    """
    if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
        return Kind("not finite", "the value or the gradient is not a finite number here")
    if hessian is None or not np.all(np.isfinite(hessian)):
        flat = bool(np.all(gradient == 0))
        return Kind("degenerate" if flat else "slope", "the curvature was not computed" if flat else "")
    eigenvalues, directions = np.linalg.eigh((hessian + hessian.T) / 2)
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    size = np.maximum(np.abs(point), 1.0)
    zero = np.abs(eigenvalues) <= _FLAT * largest
    if not _is_stationary(eigenvalues, directions, gradient, zero, value, float(np.max(size))):
        return Kind("slope", "")
    if not zero.any():
        return _by_signs(eigenvalues)
    if eigenvalues[0] < 0 < eigenvalues[-1] and not (zero[0] or zero[-1]):
        return Kind("saddle", "")
    return _by_looking(values, point, value, eigenvalues, directions, zero, float(np.max(size)))


def _is_stationary(
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    gradient: np.ndarray,
    zero: np.ndarray,
    value: float,
    size: float,
) -> bool:
    """Tell whether the gradient is zero but for rounding."""
    along = directions.T @ gradient
    if not np.any(along):
        return True
    bent = ~zero
    steps = np.abs(along[bent] / eigenvalues[bent])
    near = bool(np.all(steps <= _NEAR * size))
    drowned = bool(np.sum(steps * np.abs(along[bent])) <= 1e-14 * abs(value)) and bool(np.all(steps <= 1e-4 * size))
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    rest = np.abs(along[zero]) <= max(_FLAT * largest * size, 1e-12 * abs(value), 1e-14)
    return (near or drowned) and bool(np.all(rest))


def _by_signs(eigenvalues: np.ndarray) -> Kind:
    """Return the kind that the signs of the eigenvalues decide."""
    if eigenvalues[0] > 0:
        return Kind("minimum", "")
    return Kind("maximum", "") if eigenvalues[-1] < 0 else Kind("saddle", "")


def _by_looking(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    zero: np.ndarray,
    size: float,
) -> Kind:
    """Return the kind where the Hessian is singular, from the values along the directions in which it is flat."""
    flat = directions[:, zero]
    rng = np.random.default_rng(0)
    mixed = flat @ rng.normal(size=(flat.shape[1], 24))
    rays = np.concatenate([flat, mixed / np.linalg.norm(mixed, axis=0)], axis=1).T
    rays = np.concatenate([rays, -rays])
    rows = np.concatenate([point + radius * size * rays for radius in _RADII])
    change = values(rows) - value
    floor = 1e-14 * max(abs(value), 1e-300)
    change = change.reshape(len(_RADII), -1)
    rises, falls = bool(np.any(change > floor)), bool(np.any(change < -floor))
    curves_up, curves_down = eigenvalues[-1] > 0 and not zero[-1], eigenvalues[0] < 0 and not zero[0]
    constant = bool(np.any(np.all(np.abs(change) <= floor, axis=0)))
    if falls and (rises or curves_up):
        return Kind("saddle", "the Hessian is singular; values around rise one way and fall another")
    if constant or not (rises or falls):
        return Kind(
            "degenerate", "the Hessian is singular and the value does not change along a line through the point"
        )
    if rises and not curves_down:
        return Kind("minimum", "a flat one: the Hessian is singular, and higher terms make the value rise all around")
    if falls and not curves_up:
        return Kind("maximum", "a flat one: the Hessian is singular, and higher terms make the value fall all around")
    return Kind("saddle", "the Hessian is singular; values around rise one way and fall another")


_MOST_DENSE = 64  # numbers in a point up to which the whole Hessian is computed


@dataclass(frozen=True, eq=False)
class Slope:
    """What is true at one point.

    Args:
        read_as: how the objective was read.
        name: what the objective is called.
        point: where, an array by part.
        value: the objective there.
        gradient: ∇f, an array by part.
        steepness: ‖∇f‖.
        uphill: the unit direction of the gradient, by part; zeros where it vanishes.
        downhill: its opposite.
        hessian: shape (size, size), for points of up to 64 numbers; else None.
        eigenvalues: of the Hessian, ascending: all of them, or the lowest and the highest where `hessian` is None.
        lowest_direction: unit eigenvector of the lowest eigenvalue, by part.
        highest_direction: unit eigenvector of the highest eigenvalue, by part.
        kind: "slope" where the ground is steep, else "minimum", "maximum", "saddle" or "degenerate".
        note: a sentence where the kind needs one, else "".
        agreement: relative difference between the gradient and central differences.
        units: units by name, the objective's own under its name.
    """

    read_as: str
    name: str
    point: Columns
    value: float
    gradient: Columns
    steepness: float
    uphill: Columns
    downhill: Columns
    hessian: np.ndarray | None
    eigenvalues: np.ndarray
    lowest_direction: Columns
    highest_direction: Columns
    kind: str
    note: str
    agreement: float
    units: Mapping[str, str]

    @property
    def largest_stable_rate(self) -> float | None:
        """2/λ_max, above which gradient descent jumps further out at every step; None where no direction curves up."""
        highest = float(self.eigenvalues[-1])
        return 2 / highest if highest > 0 else None

    @property
    def best_rate(self) -> float | None:
        """2/(λ_max + λ_min), the fixed rate that shrinks the slowest direction fastest; None where one curves down."""
        lowest, highest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        return 2 / (highest + lowest) if lowest > 0 else None

    @property
    def condition_number(self) -> float | None:
        """λ_max/λ_min; None where a direction does not curve up."""
        lowest, highest = float(self.eigenvalues[0]), float(self.eigenvalues[-1])
        return highest / lowest if lowest > 0 else None

    def tangent(self, at: Point) -> float:
        """Return the value of the tangent line or plane at another point: f(x₀) + ∇f·(x − x₀).

        Args:
            at: a point of the same parts.
        """
        names = list(self.point)
        other = dict(zip(names, _tree.leaves(at), strict=True))
        return self.value + sum(float(np.sum(self.gradient[n] * (np.asarray(other[n]) - self.point[n]))) for n in names)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return {
            "at": plain(self.point),
            "value": self.value,
            "gradient": plain(self.gradient),
            "steepness": self.steepness,
            "uphill": plain(self.uphill),
            "downhill": plain(self.downhill),
            "kind": self.kind,
            "note": self.note,
            "hessian": None if self.hessian is None else self.hessian.tolist(),
            "eigenvalues": self.eigenvalues.tolist(),
            "condition_number": self.condition_number,
            "largest_stable_rate": self.largest_stable_rate,
            "best_rate": self.best_rate,
            "central_differences_agree_to": self.agreement,
        }

    def __str__(self) -> str:
        from downslope.descent._slope_report import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from downslope.descent._slope_report import as_html

        return as_html(self)


def slope(objective: Any, at: Point, *, data: Any = None, units: Mapping[str, str] | None = None) -> Slope:
    """Return what is true at one point: value, gradient, curvature, kind, rates.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        at: the point: a mapping of names to numbers for a formula, any pytree of arrays for a function.
        data: the table of a formula's data columns.
        units: units by name, for a formula.

    Raises:
        DownslopeError: for text, a point or a function that cannot be used.

    >>> slope("h(x, y) = 100 - x² - 2y²", at={"x": 3, "y": 1}).steepness
    7.211102550927978
    """
    goal = objective_of(objective, data, units=units)
    at = check_point(goal, at)
    dense = _tree.size(at) <= _MOST_DENSE
    with precision(goal.precision):
        arrays = jax().tree.map(lambda leaf: np.asarray(leaf, np.dtype(goal.precision)), at)
        result = _look(goal, dense)(arrays, goal.data)
        value, gradient, differences = float(result[0]), np.asarray(result[1], float), np.asarray(result[2], float)
        hessian = np.asarray(result[3], float) if dense else None
        flat = np.asarray(result[4], float)
        kind = kind_of_point(functools.partial(_values, goal, arrays), flat, value, gradient, hessian)
    return _assemble(goal, at, value, gradient, differences, hessian, kind)


def _assemble(
    goal: Objective,
    at: Point,
    value: float,
    gradient: np.ndarray,
    differences: np.ndarray,
    hessian: np.ndarray | None,
    kind: Kind,
) -> Slope:
    """Return the slope of what was computed."""
    steepness = float(np.linalg.norm(gradient))
    uphill = gradient / steepness if steepness > 0 else np.zeros_like(gradient)
    if hessian is None:
        ends = hessian_ends(goal, at)
        eigenvalues = np.array([ends.lowest, ends.highest])
        low, high = ends.lowest_direction, ends.highest_direction
    elif np.all(np.isfinite(hessian)):
        eigenvalues, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        low, high = split(signed(vectors[:, 0]), at), split(signed(vectors[:, -1]), at)
    else:
        eigenvalues = np.full(len(gradient), np.nan)
        low = high = split(np.full(len(gradient), np.nan), at)
    scale = max(steepness, float(np.linalg.norm(differences)), np.finfo(float).tiny)
    return Slope(
        read_as=goal.read_as,
        name=goal.name,
        point={name: np.asarray(leaf) for name, leaf in zip(_tree.part_names(at), _tree.leaves(at), strict=True)},
        value=value,
        gradient=split(gradient, at),
        steepness=steepness,
        uphill=split(uphill, at),
        downhill=split(-uphill + 0.0, at),
        hessian=hessian,
        eigenvalues=eigenvalues,
        lowest_direction=low,
        highest_direction=high,
        kind=kind.name,
        note=kind.note,
        agreement=0.0 if steepness == 0 else float(np.linalg.norm(differences - gradient)) / scale,
        units=goal.units,
    )


def _look(goal: Objective, dense: bool) -> Any:
    """Return the compiled program that looks at a point: value, gradient, central differences, Hessian, coordinates."""
    return kept(goal.owner, ("look", dense), lambda: _compiled_look(goal.function, dense))


def _compiled_look(function: Callable[[Point, Columns], Any], dense: bool) -> Any:

    def look(point: Point, data: Any) -> Any:
        numpy = jax().numpy
        flat, unravel = jax().flatten_util.ravel_pytree(point)

        def value(coordinates: Any) -> Any:
            return function(unravel(coordinates), data)

        result, gradient = jax().value_and_grad(value)(flat)
        # ε^(1/3) balances the error of the formula, h², against rounding, ε/h
        step = numpy.cbrt(numpy.finfo(flat.dtype).eps) * numpy.maximum(numpy.abs(flat), 1.0)
        if dense:
            shifts = numpy.diag(step)
            ahead, behind = jax().lax.map(value, flat + shifts), jax().lax.map(value, flat - shifts)
            differences = (ahead - behind) / (2 * step)
            return result, gradient, differences, jax().hessian(value)(flat), flat
        along = gradient / numpy.maximum(numpy.linalg.norm(gradient), numpy.finfo(flat.dtype).tiny)
        reach = numpy.max(step)
        rate = (value(flat + reach * along) - value(flat - reach * along)) / (2 * reach)
        return result, gradient, rate * along, None, flat

    return jax().jit(look)


def _value_program(goal: Objective) -> Any:
    """Return the compiled value at many points, given as rows of coordinates."""
    return kept(goal.owner, "values of rows", lambda: _compiled_values(goal.function))


def _compiled_values(function: Callable[[Point, Columns], Any]) -> Any:

    def values(rows: Any, like: Point, data: Any) -> Any:
        _, unravel = jax().flatten_util.ravel_pytree(like)
        return jax().lax.map(lambda row: function(unravel(row), data), rows)

    return jax().jit(values)


def _values(goal: Objective, like: Point, rows: np.ndarray) -> np.ndarray:
    """Return the objective at many points.

    Args:
        goal: the objective.
        like: a point of it.
        rows: shape (points, size).
    """
    with precision(goal.precision):
        return np.asarray(_value_program(goal)(rows, like, goal.data), float)
