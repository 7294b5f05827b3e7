"""Every point in a box where the gradient of a formula is zero, and what kind each is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from downslope._errors import FormulaError, PointError, nearest
from downslope.formulas._formula import Formula
from downslope.formulas._reading import formula as read
from downslope.formulas._stationary_search import Found, Ground, search

_HIGHEST_DEGREE = 12
_MOST_VARIABLES = 8


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient is zero.

    Args:
        point: its coordinates by name.
        value: the formula there.
        kind: "minimum", "maximum", "saddle", or "degenerate" where the Hessian is singular.
        eigenvalues: of the Hessian there, ascending.
        gradient_norm: what is left of the gradient at these coordinates.
        exact: the coordinates in book notation, where they were solved for exactly; else None.
        note: a sentence where the kind needs one, else "".
    """

    point: Mapping[str, float]
    value: float
    kind: str
    eigenvalues: tuple[float, ...]
    gradient_norm: float
    exact: Mapping[str, str] | None = None
    note: str = ""

    def __str__(self) -> str:
        shown = self.exact or {name: f"{value:.10g}" for name, value in self.point.items()}
        place = ", ".join(f"{name} = {value}" for name, value in shown.items())
        return f"{self.kind} at {place}, value {self.value:.10g}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class CriticalPoints(Sequence[CriticalPoint]):
    """The critical points of a formula in a box, the lowest first.

    Args:
        points: the points.
        method: "symbolic" where the equations were solved exactly, else "numeric".
        sentence: how they were found, and what that promises.
    """

    points: tuple[CriticalPoint, ...]
    method: str
    sentence: str

    @overload
    def __getitem__(self, place: int) -> CriticalPoint: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[CriticalPoint, ...]: ...
    def __getitem__(self, place: int | slice) -> CriticalPoint | tuple[CriticalPoint, ...]:
        """Return a point, or several."""
        return self.points[place]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[CriticalPoint]:
        return iter(self.points)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.points), self.sentence])


def critical_points(thing: str | Formula, within: Mapping[str, tuple[float, float]]) -> CriticalPoints:
    """Find every point in a box where the gradient of a formula is zero.

    Args:
        thing: the formula or its text.
        within: for every variable the range to look in, both ends included.

    Returns:
        The points, each with its kind by the eigenvalues of the Hessian, the lowest first; and how they were found.

    Raises:
        FormulaError: for text that cannot be read, or more than eight variables.
        PointError: for a variable without a range, or a range that is none.

    >>> for point in critical_points("x⁴ - 2x²", {"x": (-3, 3)}):
    ...     print(point)
    minimum at x = -1, value -1
    minimum at x = 1, value -1
    maximum at x = 0, value 0
    """
    formula = read(thing)
    box = _box(formula, within)
    ground = Ground(formula)
    exact = _solved(formula, box)
    if exact is not None:
        founds = [Found(np.array([float(value) for value in values]), "") for values in exact]
        points = [_point(formula, ground, found, values) for found, values in zip(founds, exact, strict=True)]
        sentence = "The equations ∇f = 0 were solved exactly: these are all of them."
        return CriticalPoints(_in_order(points), "symbolic", sentence)
    points = [_point(formula, ground, found, None) for found in search(ground, box)]
    sentence = "Found by a numeric search of the box, which can miss points that lie closer together than its grid."
    return CriticalPoints(_in_order(points), "numeric", sentence)


def _box(formula: Formula, within: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Return the box, shape (variables, 2)."""
    if len(formula.variables) > _MOST_VARIABLES:
        raise FormulaError(f"critical points of {len(formula.variables)} variables are too many to search for")
    if not formula.variables:
        raise FormulaError(f"{formula.read_as} has no variable")
    if formula.columns:
        raise FormulaError("critical points are found for formulas without data columns")
    for name in within:
        if name not in formula.variables:
            close = nearest(name, formula.variables)
            raise PointError(f"{formula.read_as} has no {name!r}", hint=f"did you mean {close}?" if close else None)
    example = '{"x": (-3, 3)}'
    rows = []
    for name in formula.variables:
        if name not in within:
            raise PointError(f"no range is given for {name}", hint=f"give one for every variable: within={example}")
        low, high = map(float, within[name])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise PointError(f"the range of {name} goes from {low} to {high}, which is none")
        rows.append((low, high))
    return np.array(rows)


def _solved(formula: Formula, box: np.ndarray) -> list[tuple[Any, ...]] | None:
    """Return the exact solutions, where SymPy is sure to answer: linear equations, polynomials of one variable."""
    import sympy

    from downslope.formulas._symbolic import symbol, to_sympy

    symbols = [symbol(name) for name in formula.variables]
    expression = to_sympy(formula.body)
    if not expression.is_polynomial(*symbols):
        return None
    gradient = [sympy.Poly(expression.diff(one), *symbols) for one in symbols]
    if any(not part.domain.is_QQ and not part.domain.is_ZZ for part in gradient):
        return None
    found: list[tuple[Any, ...]]
    if len(symbols) == 1:
        (part,) = gradient
        if part.is_zero or part.degree() > _HIGHEST_DEGREE:
            return None
        roots: Any = part.real_roots()
        found = [(root,) for root in sorted(set(roots), key=float)]
    else:
        if any(part.total_degree() > 1 for part in gradient):
            return None
        matrix, right = sympy.linear_eq_to_matrix([part.as_expr() for part in gradient], symbols)
        if matrix.det() == 0:
            return None
        solution: Any = matrix.LUsolve(right)
        found = [tuple(solution)]
    return [
        values for values in found if all(low <= float(v) <= high for v, (low, high) in zip(values, box, strict=True))
    ]


def _point(formula: Formula, ground: Ground, found: Found, exact: tuple[Any, ...] | None) -> CriticalPoint:
    """Return a found point with its value and its kind."""
    values = found.coordinates
    hessian = ground.hessian(values[None])[0]
    eigenvalues = np.linalg.eigvalsh(hessian) if np.all(np.isfinite(hessian)) else np.full(len(values), np.nan)
    kind = _kind(eigenvalues)
    note = found.note or (_look_around(ground, values) if kind == "degenerate" else "")
    return CriticalPoint(
        point={name: float(value) + 0.0 for name, value in zip(formula.variables, values, strict=True)},
        value=float(ground.value(values[None])[0]) + 0.0,
        kind=kind,
        eigenvalues=tuple(float(value) for value in eigenvalues),
        gradient_norm=float(np.linalg.norm(ground.gradient(values[None])[0])),
        exact=None if exact is None else _exact(formula, exact),
        note=note,
    )


def _kind(eigenvalues: np.ndarray) -> str:
    """Return the kind that the Hessian decides; one that is singular but for rounding decides nothing."""
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    if not np.all(np.isfinite(eigenvalues)) or np.any(np.abs(eigenvalues) <= max(1e-7 * largest, 1e-12)):
        return "degenerate"
    if eigenvalues[0] > 0:
        return "minimum"
    return "maximum" if eigenvalues[-1] < 0 else "saddle"


def _look_around(ground: Ground, point: np.ndarray) -> str:
    """Return what the values around a degenerate point say."""
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(200, len(point)))
    rays = np.concatenate([rays, np.eye(len(point)), -np.eye(len(point))])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    around = point + 1e-2 * max(1.0, float(np.max(np.abs(point)))) * rays
    change = ground.value(around) - ground.value(point[None])[0]
    change = change[np.isfinite(change)]
    floor = 1e-14 * max(1e-300, abs(float(ground.value(point[None])[0])))
    if np.any(change > floor) and np.any(change < -floor):
        return "values around are higher and lower: a flat saddle"
    if np.any(change > floor):
        return "values around are higher: a flat minimum"
    return "values around are lower: a flat maximum" if np.any(change < -floor) else "values around are the same"


def _exact(formula: Formula, values: tuple[Any, ...]) -> dict[str, str] | None:
    """Return exact coordinates in book notation, where they can be written with roots."""
    from downslope.formulas._printing import book
    from downslope.formulas._symbolic import from_sympy

    if any("RootOf" in str(value) or value.count_ops() > 12 for value in values):
        return None
    shown = (book(from_sympy(value, decimals=formula.has_decimals)) for value in values)
    return dict(zip(formula.variables, shown, strict=True))


def _in_order(points: list[CriticalPoint]) -> tuple[CriticalPoint, ...]:
    """Return points by value, those of one value by their coordinates."""
    return tuple(sorted(points, key=lambda one: (round(one.value, 9), tuple(one.point.values()))))
