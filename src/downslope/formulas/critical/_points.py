"""The verb `critical_points`: every point of a box where the gradient is zero or does not exist, with its kind."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from downslope._copies import fields_alone
from downslope._errors import FormulaError, PointError, described, unknown_variable
from downslope._numbers import real
from downslope._text import listed, own_names, printed, with_unit
from downslope._types import plain
from downslope.formulas._formula import Formula
from downslope.formulas.critical._exact import exact_coordinates
from downslope.formulas.critical._kinds import JudgedPoint, Landscape, landscape
from downslope.formulas.expressions import Expression, book, book_name
from downslope.formulas.reading import formula as read_formula

_MOST_VARIABLES = 8
_MOST_LISTED = 8
_COMPLETE_OUTSIDE = "Proved: outside of the curves and regions listed, no other point of the box has a zero gradient"


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient vanishes or does not exist.

    Args:
        point: the coordinates by name.
        value: the formula's value; in a removable gap, its limit.
        kind: "minimum", "maximum", "saddle", "inflection" (a horizontal one, of one variable), "kink" (where the slope
            jumps without a minimum or maximum), "level" (the value is constant around the point), or "degenerate"
            where neither curvature nor the values around decide.
        eigenvalues: the eigenvalues of the Hessian, ascending; NaN where there is none.
        gradient_norm: the norm of the gradient at these coordinates, zero up to rounding; NaN where there is none.
        smooth: whether the gradient exists.
        isolated: whether no other critical point lies close by; None where that is not known.
        certified: whether it is proved that exactly one critical point lies here.
        note: a remark, else "".
        units: units of the coordinates by name, as far as they are known.
        unit: the unit of the value, or None.
        formula: the formula, from which `exact` is derived.
    """

    point: Mapping[str, float]
    value: float
    kind: str
    eigenvalues: tuple[float, ...]
    gradient_norm: float
    smooth: bool = True
    isolated: bool | None = True
    certified: bool = False
    note: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    formula: Formula | None = field(default=None, repr=False, compare=False)

    __getstate__ = fields_alone

    @functools.cached_property
    def exact(self) -> Mapping[str, str] | None:
        """The coordinates in textbook notation if they have a short closed form; else None."""
        is_proper = all(map(math.isfinite, self.point.values()))
        if self.formula is None or not self.smooth or not self.isolated or not is_proper:
            return None
        return exact_coordinates(self.formula, self.point)

    def as_dict(self) -> dict[str, Any]:
        """Return the point as plain data, for JSON; None stands for numbers that do not exist."""
        return plain(
            {
                "point": dict(self.point),
                "value": self.value,
                "kind": self.kind,
                "smooth": self.smooth,
                "isolated": self.isolated,
                "certified": self.certified,
                "note": self.note,
                "eigenvalues": list(self.eigenvalues),
                "gradient_norm": self.gradient_norm,
            }
        )

    def __str__(self) -> str:
        shown = self.exact or {name: printed(value, 10) for name, value in self.point.items()}
        coordinates = ", ".join(
            with_unit(f"{name} = {coordinate}", self.units.get(name)) for name, coordinate in shown.items()
        )
        value = with_unit(printed(self.value, 10), self.unit)
        return f"{self.kind} at {coordinates}, value {value}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class CriticalPoints(Sequence[CriticalPoint]):
    """The critical points of a formula in a box, the lowest first.

    Args:
        points: the points.
        method: "proved" if it is proved that there are no others, "partly proved" where boxes are left in which nothing
            is proved, "numeric" where a numeric search was needed.
        sentence: what was proved, and what else there is in the box: curves of critical points, poles, gaps.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the points as plain data, for JSON."""
        return {"points": [point.as_dict() for point in self.points], "method": self.method, "sentence": self.sentence}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.points), self.sentence])


def critical_points(
    formula: str | Formula,
    bounds: Mapping[str, tuple[float, float]],
    *,
    units: Mapping[str, str] | None = None,
) -> CriticalPoints:
    """Find every point of a box where the gradient of a formula is zero or does not exist.

    The box is searched by branch and bound with interval arithmetic, which proves where the gradient is not zero and
    where it is zero exactly once. Poles are named and are no points.

    Args:
        formula: the formula or its text.
        bounds: the closed range of each variable, as (low, high).
        units: units by name; the points then print with them.

    Returns:
        The points in order of their values, each with its kind, and a sentence on what was proved.

    Raises:
        FormulaError: for text that cannot be parsed, more than eight variables, or a formula of data columns.
        PointError: for a variable without bounds, or bounds that are not two increasing finite numbers.
        UnitError: for unknown units, or units of names that do not occur.

    >>> print(critical_points("x⁴ - 2x²", {"x": (-3, 3)}))
    minimum at x = -1, value -1
    minimum at x = 1, value -1
    maximum at x = 0, value 0
    Exactly these 3, proved: no other point of the box has a zero gradient.
    """
    read = read_formula(formula, units=units)
    box = _box(read, bounds)
    judged = landscape(read, box)
    points = [_point(read, point) for point in judged.points]
    return CriticalPoints(_in_order(points, judged), judged.method, _closing_sentence(read, judged))


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
    bounds = own_names(bounds, formula.variables)
    for name in bounds:
        if name not in formula.variables:
            raise unknown_variable(formula.read_as, name, formula.variables)
    rows = []
    for name in formula.variables:
        if name not in bounds:
            raise PointError(f"there are no bounds for {name}", hint=f"give a range for every variable, {example}")
        low, high = _range(name, bounds[name])
        if not (math.isfinite(low) and math.isfinite(high)):
            raise PointError(f"the bounds of {name} must be finite numbers, not {low:g} and {high:g}")
        if low >= high:
            raise PointError(f"the range of {name} is empty: {low:g} is not below {high:g}")
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


def _point(formula: Formula, judged: JudgedPoint) -> CriticalPoint:
    """Return a judged point with names and units."""
    return CriticalPoint(
        point={name: float(x) + 0.0 for name, x in zip(formula.variables, judged.point, strict=True)},
        value=judged.value + 0.0,
        kind=judged.kind,
        eigenvalues=judged.eigenvalues,
        gradient_norm=judged.gradient_norm,
        smooth=judged.is_smooth,
        isolated=judged.isolated,
        certified=judged.certified,
        note=judged.note,
        units={name: unit for name in formula.variables if (unit := formula.unit_of(name))},
        unit=formula.unit,
        formula=formula,
    )


def _in_order(points: list[CriticalPoint], judged: Landscape) -> tuple[CriticalPoint, ...]:
    """Return points in order of value, then of coordinates; values that differ by rounding count as equal."""
    unit = max(1e-9 * judged.scale, 1e-300)
    return tuple(sorted(points, key=lambda point: (_ranked(point.value / unit), tuple(point.point.values()))))


def _ranked(value: float) -> float:
    """Return a value rounded to whole numbers, as far as floats tell these apart."""
    return round(value) if abs(value) < 2**52 else value


def _closing_sentence(formula: Formula, landscape: Landscape) -> str:
    """Return what was proved of the box, and what else there is in it."""
    parts = [_on_completeness(landscape), *_on_the_rest(formula, landscape)]
    return " ".join(filter(None, parts))


def _on_completeness(landscape: Landscape) -> str:
    """Return whether the list is complete, and how that is known."""
    if not landscape.is_defined:
        return "The formula has no value in the box."
    count = len(landscape.points)
    curves = sum(point.isolated is False for point in landscape.points)
    if not landscape.is_enclosed:
        return "Found by a numeric search of the box, which can miss points that lie closer together than its grid."
    if not landscape.is_complete:
        return (
            "The proof did not end in time; the list is that of a numeric search as well, which can miss points that "
            "lie closer together than its grid."
        )
    if landscape.unproved:
        return _on_unproved(landscape)
    # Of several variables, all points of a border lack a gradient, which the next sentence says.
    alone = not landscape.borders and any(not point.is_smooth for point in landscape.points)
    lack = " or lacks one" if alone else ""
    if 0 < curves < count:
        return f"{_COMPLETE_OUTSIDE}{_on_margins(landscape)}."
    if count == 0 and landscape.borders:
        return f"No point of the box has a zero gradient, proved{_on_margins(landscape)}."
    if count == 0:
        return f"No critical point, proved: no point of the box has a zero gradient{lack}{_on_margins(landscape)}."
    if curves == count:
        return ""
    if landscape.borders and len(landscape.points[0].point) > 2:
        return f"No other point of the box has a zero gradient, proved{_on_margins(landscape)}."
    these = "Exactly this one" if count == 1 else f"Exactly these {count}"
    return f"{these}, proved: no other point of the box has a zero gradient{lack}{_on_margins(landscape)}."


def _on_unproved(landscape: Landscape) -> str:
    """Return the sentence on the boxes in which nothing is proved."""
    curves = [point for point in landscape.points if point.isolated is False]
    if curves:
        return f"{_COMPLETE_OUTSIDE}."
    texts = [_around(middle, half) for middle, half in landscape.unproved[:_MOST_LISTED]]
    certified = sum(point.certified for point in landscape.points)
    isolated = len(landscape.points)
    head = f"{certified} of these {isolated} are proved to be single. " if 0 < certified < isolated else ""
    more = "" if len(landscape.unproved) <= _MOST_LISTED else f", and {len(landscape.unproved) - _MOST_LISTED} more"
    return (
        f"{head}No other point of the box has a zero gradient, proved but for the neighbourhood of multiple zeros: "
        f"{'; '.join(texts)}{more}."
    )


def _on_margins(landscape: Landscape) -> str:
    """Return the cuts next to which nothing is proved."""
    if not landscape.margins:
        return ""
    cuts = sorted({cut for cut, _ in landscape.margins})
    distance = max(distance for _, distance in landscape.margins)
    return f" (not proved: closer than {distance:.0e} to {_numbers(cuts)})".replace("e-0", "e-")


def _around(middle: np.ndarray, half: np.ndarray) -> str:
    """Return a small box as a point and a distance."""
    distance = float(f"{max(float(np.max(half)), 1e-300):.1g}")
    digits = 6
    at = ", ".join(f"{x:.{digits}g}" for x in np.where(np.abs(middle) <= 2 * distance, 0.0, middle))
    return f"within {distance:g} of {at if len(middle) == 1 else f'({at})'}"


def _on_the_rest(formula: Formula, landscape: Landscape) -> list[str]:
    """Return what else there is: absent variables, curves, poles, gaps, edges, jumps, borders."""
    texts = []
    if landscape.absent and landscape.is_defined:
        names = listed([book_name(name) for name in landscape.absent])
        does = "do" if len(landscape.absent) > 1 else "does"
        if len(landscape.absent) == len(formula.variables):
            texts.append("The formula is constant: the gradient is zero everywhere.")
        else:
            texts.append(f"{names} {does} not occur in the formula: critical points are not isolated, they fill lines.")
    elif any(point.isolated is False for point in landscape.points):
        texts.append("Critical points that are not isolated fill a curve or a region; one of each is listed.")
    if landscape.poles:
        texts.append(_named("Pole", landscape.poles, "no critical point", "no critical points"))
    for x, limit in landscape.gaps[:_MOST_LISTED]:
        texts.append(f"Removable gap at {x:.6g}, limit {limit:.6g}.")
    if landscape.jumps:
        texts.append(_named("Jump", landscape.jumps))
    if landscape.edges:
        texts.append(f"The domain ends at {_numbers(landscape.edges)}.")
    if landscape.borders:
        texts.append(_on_borders(landscape.borders, len(formula.variables)))
    if landscape.divisors:
        texts.append(f"There is no value where {_equations(landscape.divisors)}.")
    return texts


def _on_borders(borders: Sequence[Expression], size: int) -> str:
    """Return where the gradient does not exist, and which points of these are listed."""
    where = f"The gradient may not exist where {_equations(borders)}"
    if size == 2:
        return (
            f"{where}; points there are listed if the value is stationary along the border, or where two borders meet."
        )
    return f"{where}; of more than two variables, points there are sought numerically, but for planes."


def _equations(borders: Sequence[Expression]) -> str:
    """Return borders as equations."""
    shown = [f"{book(border)} = 0" for border in borders[:_MOST_LISTED]]
    return " or ".join(shown)


def _named(word: str, xs: Sequence[float], singular: str = "", plural: str = "") -> str:
    """Return points of one variable with a noun."""
    tail = "" if not singular else f": {singular if len(xs) == 1 else plural}"
    return f"{word}{'s' if len(xs) > 1 else ''} at {_numbers(xs)}{tail}."


def _numbers(xs: Sequence[float]) -> str:
    """Return numbers in ascending order as a list."""
    shown = [f"{x:.6g}" for x in sorted(xs)]
    if len(shown) > _MOST_LISTED:
        shown = [*shown[:_MOST_LISTED], f"{len(shown) - _MOST_LISTED} more"]
    return listed(shown)
