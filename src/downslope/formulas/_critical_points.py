"""The verb `critical_points`: every point in a box where a formula's gradient vanishes, classified by the Hessian."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from downslope._errors import FormulaError, PointError, described, nearest
from downslope._numbers import real
from downslope.formulas._formula import Formula
from downslope.formulas._parser import formula as read_formula
from downslope.formulas._printing import book
from downslope.formulas._stationary_search import Derivatives, StationaryPoint, search
from downslope.formulas._symbolic import from_sympy, symbol, to_sympy

# Isolating the real roots of a polynomial is exact at any degree, but its cost grows quickly.
_HIGHEST_DEGREE = 12
_MOST_VARIABLES = 8


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes.

    Args:
        point: the coordinates by name.
        value: the formula's value.
        kind: "minimum", "maximum", "saddle", or "degenerate" if the Hessian is singular.
        eigenvalues: the eigenvalues of the Hessian, ascending.
        gradient_norm: the norm of the gradient at these coordinates, zero up to rounding.
        exact: the coordinates in textbook notation if the equations were solved exactly; else None.
        note: a remark on a degenerate point, else "".
        units: units of the coordinates by name, as far as they are known.
        unit: the unit of the value, or None.
    """

    point: Mapping[str, float]
    value: float
    kind: str
    eigenvalues: tuple[float, ...]
    gradient_norm: float
    exact: Mapping[str, str] | None = None
    note: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None

    def __str__(self) -> str:
        shown = self.exact or {name: f"{value:.10g}" for name, value in self.point.items()}
        coordinates = ", ".join(
            _with_unit(f"{name} = {coordinate}", self.units.get(name)) for name, coordinate in shown.items()
        )
        value = _with_unit(f"{self.value:.10g}", self.unit)
        return f"{self.kind} at {coordinates}, value {value}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class CriticalPoints(Sequence[CriticalPoint]):
    """The critical points of a formula in a box, the lowest first.

    Args:
        points: the points.
        method: "symbolic" if the equations were solved exactly, else "numeric".
        sentence: how the points were computed, and whether the list is complete.
    """

    points: tuple[CriticalPoint, ...]
    method: str
    sentence: str

    @overload
    def __getitem__(self, index: int) -> CriticalPoint: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CriticalPoint, ...]: ...
    def __getitem__(self, index: int | slice) -> CriticalPoint | tuple[CriticalPoint, ...]:
        """Return a point, or a tuple of points for a slice."""
        return self.points[index]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[CriticalPoint]:
        return iter(self.points)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.points), self.sentence])


def critical_points(
    formula: str | Formula,
    bounds: Mapping[str, tuple[float, float]],
    *,
    units: Mapping[str, str] | None = None,
) -> CriticalPoints:
    """Find every point in a box where the gradient of a formula is zero.

    Args:
        formula: the formula or its text.
        bounds: the closed range of each variable, as (low, high).
        units: units by name; the points then print with them.

    Returns:
        The points in order of their values, each classified by the eigenvalues of its Hessian; and how they were
        computed.

    Raises:
        FormulaError: for text that cannot be parsed, more than eight variables, or a formula of data columns.
        PointError: for a variable without bounds, or bounds that are not two increasing finite numbers.
        UnitError: for unknown units, or units of names that do not occur.

    >>> for point in critical_points("x⁴ - 2x²", {"x": (-3, 3)}):
    ...     print(point)
    minimum at x = -1, value -1
    minimum at x = 1, value -1
    maximum at x = 0, value 0
    """
    read = read_formula(formula, units=units)
    box = _box(read, bounds)
    derivatives = Derivatives(read)
    exact = _solved(read, box)
    if exact is not None:
        zeros = [StationaryPoint(np.array([float(value) for value in values]), "") for values in exact]
        points = [_point(read, derivatives, zero, values) for zero, values in zip(zeros, exact, strict=True)]
        sentence = "The equations ∇f = 0 were solved exactly: these are all of them."
        return CriticalPoints(_in_order(points), "symbolic", sentence)
    points = [_point(read, derivatives, zero, None) for zero in search(derivatives, box)]
    sentence = "Found by a numeric search of the box, which can miss points that lie closer together than its grid."
    return CriticalPoints(_in_order(points), "numeric", sentence)


def _box(formula: Formula, bounds: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return the bounds as an array of shape (variables, 2)."""
    example = 'for example bounds={"x": (-3, 3)}'
    if len(formula.variables) > _MOST_VARIABLES:
        raise FormulaError(f"critical points of {len(formula.variables)} variables are too many to search for")
    if not formula.variables:
        raise FormulaError(f"{formula.read_as} has no variable")
    if formula.columns:
        raise FormulaError("critical_points takes formulas without data columns")
    if not isinstance(bounds, Mapping):
        raise PointError(f"bounds is a mapping of variables to ranges, not {type(bounds).__name__}", hint=example)
    for name in bounds:
        if name not in formula.variables:
            close = nearest(str(name), formula.variables)
            raise PointError(f"{formula.read_as} has no {name!r}", hint=f"did you mean {close}?" if close else None)
    rows = []
    for name in formula.variables:
        if name not in bounds:
            raise PointError(f"there are no bounds for {name}", hint=f"give a range for every variable, {example}")
        low, high = _range(name, bounds[name])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise PointError(f"the bounds of {name}, {low} and {high}, are not two increasing finite numbers")
        rows.append((low, high))
    return np.array(rows)


def _range(name: str, bounds: object) -> tuple[float, float]:
    """Return a variable's bounds as two floats."""
    try:
        low, high = map(real, bounds)  # type: ignore[arg-type]  # whatever fails here is the caller's mistake
    except (TypeError, ValueError, OverflowError):
        raise PointError(
            f"the bounds of {name} are two numbers, not {described(bounds)}", hint=f'"{name}": (-3, 3)'
        ) from None
    return low, high


def _solved(formula: Formula, box: np.ndarray) -> list[tuple[Any, ...]] | None:
    """Return the exact solutions of ∇f = 0 for the cases that SymPy always solves, else None.

    These are polynomials of one variable and systems of linear equations with rational coefficients.
    """
    import sympy

    symbols = [symbol(name) for name in formula.variables]
    expression = to_sympy(formula.body)
    if not expression.is_polynomial(*symbols):
        return None
    gradient = [sympy.Poly(expression.diff(variable), *symbols) for variable in symbols]
    # With π or √2 in a coefficient, SymPy's root isolation and its test of a zero determinant are no longer decided.
    if any(not part.domain.is_QQ and not part.domain.is_ZZ for part in gradient):
        return None
    solutions: list[tuple[Any, ...]]
    if len(symbols) == 1:
        (part,) = gradient
        if part.is_zero or part.degree() > _HIGHEST_DEGREE:
            return None
        roots: Any = part.real_roots()
        solutions = [(root,) for root in sorted(set(roots), key=float)]
    else:
        if any(part.total_degree() > 1 for part in gradient):
            return None
        matrix, right = sympy.linear_eq_to_matrix([part.as_expr() for part in gradient], symbols)
        # A singular system has no solution or a whole line: the numeric search reports either.
        if matrix.det() == 0:
            return None
        solution: Any = matrix.LUsolve(right)
        solutions = [tuple(solution)]
    return [
        values
        for values in solutions
        if all(low <= float(v) <= high for v, (low, high) in zip(values, box, strict=True))
    ]


def _point(
    formula: Formula, derivatives: Derivatives, zero: StationaryPoint, exact: tuple[Any, ...] | None
) -> CriticalPoint:
    """Return a zero of the gradient with its value and classification."""
    values = zero.coordinates
    hessian = derivatives.hessian(values[None])[0]
    eigenvalues = np.linalg.eigvalsh(hessian) if np.all(np.isfinite(hessian)) else np.full(len(values), np.nan)
    kind = _kind(eigenvalues)
    note = zero.note or (_look_around(derivatives, values) if kind == "degenerate" else "")
    return CriticalPoint(
        point={name: float(value) + 0.0 for name, value in zip(formula.variables, values, strict=True)},
        value=float(derivatives.value(values[None])[0]) + 0.0,
        kind=kind,
        eigenvalues=tuple(float(value) for value in eigenvalues),
        gradient_norm=float(np.linalg.norm(derivatives.gradient(values[None])[0])),
        exact=None if exact is None else _exact(formula, exact),
        note=note,
        units={name: unit for name in formula.variables if (unit := formula.unit_of(name))},
        unit=formula.unit,
    )


def _with_unit(text: str, unit: str | None) -> str:
    """Return a text followed by its unit."""
    return f"{text} {unit}" if unit else text


def _kind(eigenvalues: np.ndarray) -> str:
    """Classify by the signs of the Hessian's eigenvalues; "degenerate" if it is singular up to rounding."""
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    if not np.all(np.isfinite(eigenvalues)) or np.any(np.abs(eigenvalues) <= max(1e-7 * largest, 1e-12)):
        return "degenerate"
    if eigenvalues[0] > 0:
        return "minimum"
    return "maximum" if eigenvalues[-1] < 0 else "saddle"


def _look_around(derivatives: Derivatives, point: np.ndarray) -> str:
    """Describe a degenerate point by the values on a small sphere around it."""
    rng = np.random.default_rng(0)
    # Normalised Gaussian vectors are uniform on the sphere. Degenerate directions are often axes.
    rays = rng.normal(size=(200, len(point)))
    rays = np.concatenate([rays, np.eye(len(point)), -np.eye(len(point))])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    around = point + 1e-2 * max(1.0, float(np.max(np.abs(point)))) * rays
    change = derivatives.value(around) - derivatives.value(point[None])[0]
    change = change[np.isfinite(change)]
    # Differences below rounding are no evidence.
    floor = 1e-14 * max(1e-300, abs(float(derivatives.value(point[None])[0])))
    if np.any(change > floor) and np.any(change < -floor):
        return "values around are higher and lower: a flat saddle"
    if np.any(change > floor):
        return "values around are higher: a flat minimum"
    return "values around are lower: a flat maximum" if np.any(change < -floor) else "values around are the same"


def _exact(formula: Formula, values: tuple[Any, ...]) -> dict[str, str] | None:
    """Return exact coordinates in textbook notation, or None if they have no short form with roots."""
    if any("RootOf" in str(value) or value.count_ops() > 12 for value in values):
        return None
    shown = (book(from_sympy(value, decimals=formula.has_decimals)) for value in values)
    return dict(zip(formula.variables, shown, strict=True))


def _in_order(points: list[CriticalPoint]) -> tuple[CriticalPoint, ...]:
    """Return points in order of value, then of coordinates."""
    return tuple(sorted(points, key=lambda point: (round(point.value, 9), tuple(point.point.values()))))
