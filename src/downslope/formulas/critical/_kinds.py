"""The candidates for critical points of a formula over a box, each with its kind."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from downslope._judge import judge
from downslope._judgement import Judgement
from downslope._numbers import median
from downslope.formulas._formula import Formula
from downslope.formulas._roughness import RoughPart, rough_parts
from downslope.formulas.critical._balls import NotEnclosedError
from downslope.formulas.critical._box import survey_box
from downslope.formulas.critical._line import slope_sign, survey_line
from downslope.formulas.critical._stationary_search import Derivatives, polished, search
from downslope.formulas.critical._surface import surface
from downslope.formulas.critical._survey import ROUNDING, Candidate, Survey
from downslope.formulas.expressions import Expression, names_in

_SECONDS = 1.1  # of the CPU for a proof
_SECONDS_NUMERIC = 0.2  # of the CPU for the search where a proof is not complete
_SAME = 1e-6  # share of the box within which two points are one
_BORDER = 1e-9  # share of the range within which nothing is said of what is not proved around a cut
_AROUND = 1e-3  # share of the box within which what is not proved is said of a point
_MOST_OF_A_CURVE = 3  # points that a numeric search lists of curves of one value
_STEP_ASIDE = 0.03  # share of the box over which other zeros beside a zero are looked for
_SINGULAR = 1e-6  # curvature, in units of the gradient over the box, below which a zero may belong to a curve of zeros
_LEVEL = 1e-12  # of a typical gradient: below it, that beside a zero of order 10 is still larger
_MOST_PROVED = 4  # variables: with more, boxes are too many


@dataclass(frozen=True)
class JudgedPoint:
    """A critical point.

    Args:
        point: shape (variables,).
        value: the value, or the limit in a gap.
        kind: as `CriticalPoint` has it.
        is_smooth: whether the gradient exists.
        isolated: whether no other critical point lies close by; None where that is not known.
        certified: whether it is proved that exactly one critical point lies here.
        note: a remark, else "".
        eigenvalues: of the Hessian, ascending.
        gradient_norm: the norm of the gradient.
    """

    point: np.ndarray
    value: float
    kind: str
    is_smooth: bool
    isolated: bool | None
    certified: bool
    note: str
    eigenvalues: tuple[float, ...]
    gradient_norm: float


@dataclass
class Landscape:
    """The critical points and other features of a box.

    Args:
        points: the critical points.
        poles: where the value grows without bound, of one variable.
        gaps: removable gaps that are not critical, of one variable, with their limits.
        jumps: where the value jumps, of one variable.
        edges: where the domain ends, of one variable.
        absent: variables that do not occur, by name.
        borders: expressions along whose zeros kinks may lie, of several variables.
        divisors: expressions at whose zeros poles or gaps may lie, of several variables.
        unproved: middles and half-widths of boxes in which zeros of the gradient are not excluded.
        margins: cuts of one variable with the distance within which nothing is proved: too small to hold a point.
        is_enclosed: whether a proof was attempted.
        is_complete: whether it ended within its budget.
        scale: the size of the values in the box.
        is_defined: whether there is a value anywhere in the box.
    """

    points: list[JudgedPoint] = field(default_factory=list)
    poles: list[float] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)
    absent: tuple[str, ...] = ()
    borders: tuple[Expression, ...] = ()
    divisors: tuple[Expression, ...] = ()
    unproved: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    margins: list[tuple[float, float]] = field(default_factory=list)
    is_enclosed: bool = True
    is_complete: bool = True
    scale: float = 1.0
    is_defined: bool = True

    @property
    def method(self) -> str:
        """The method that decided that the gradient has no other zeros."""
        if not (self.is_enclosed and self.is_complete):
            return "numeric"
        return "partly proved" if self.unproved else "proved"


def landscape(formula: Formula, box: np.ndarray) -> Landscape:
    """Return the critical points and other features of a box, shape (variables, 2)."""
    names = set(names_in(formula.body))
    present = [index for index, name in enumerate(formula.variables) if name in names]
    if len(present) == len(formula.variables):
        return _BoxJudge(formula, box).landscape()
    centre = box.mean(axis=1)
    absent = tuple(name for name in formula.variables if name not in names)
    if not present:
        return _constant(formula, centre, absent)
    inner = Formula(name=None, variables=tuple(formula.variables[index] for index in present), body=formula.body)
    result = _BoxJudge(inner, box[present]).landscape()
    result.absent = absent
    result.points = [_extended(point, present, centre) for point in result.points]
    result.unproved = []
    return result


def _constant(formula: Formula, centre: np.ndarray, absent: tuple[str, ...]) -> Landscape:
    """Return the landscape of a formula of no variable."""
    values = dict(zip(formula.variables, centre, strict=True))
    value = float(formula(values))
    result = Landscape(absent=absent, scale=abs(value), is_defined=bool(np.isfinite(value)))
    if result.is_defined:
        note = "the formula is constant: every point is critical"
        size = len(centre)
        result.points = [JudgedPoint(centre, value, "level", True, False, True, note, (0.0,) * size, 0.0)]
    return result


def _extended(point: JudgedPoint, present: list[int], centre: np.ndarray) -> JudgedPoint:
    """Return a point of the variables that occur as one of all, at the centre of the others."""
    full = centre.copy()
    full[present] = point.point
    eigenvalues = tuple(sorted([*point.eigenvalues, *(0.0,) * (len(full) - len(present))]))
    note = "; ".join(filter(None, [point.note, "one of a line or plane of critical points"]))
    return JudgedPoint(
        full, point.value, point.kind, point.is_smooth, False, point.certified, note, eigenvalues, point.gradient_norm
    )


class _BoxJudge:
    """A formula over a box, all of whose variables occur."""

    def __init__(self, formula: Formula, box: np.ndarray) -> None:
        self.formula = formula
        self.box = box
        self.span = box[:, 1] - box[:, 0]
        self.derivatives = Derivatives(formula)
        self.result = Landscape()
        self.places: list[float] = []

    def landscape(self) -> Landscape:
        """Return the critical points and other features of the box."""
        values = self.derivatives.value(self._sample())
        values = values[np.isfinite(values)]
        self.result.is_defined = len(values) > 0
        size = np.abs(values)
        # The median alone is zero where the values underflow in most of the box.
        self.result.scale = max(float(median(size)), 1e-3 * float(np.max(size))) if len(values) else 1.0
        survey, parts = self._survey()
        self.places = [float(candidate.point[0]) for candidate in survey.candidates]
        for candidate in survey.candidates:
            self._judge(candidate, parts.get(float(candidate.point[0])) if len(self.span) == 1 else None)
        self._drop_ends_of_regions(survey)
        self._say_unproved(survey)
        return self.result

    def _sample(self) -> np.ndarray:
        shares = np.random.default_rng(0).random((256, len(self.span)))
        return self.box[:, 0] + shares * self.span

    def _survey(self) -> tuple[Survey, dict[float, RoughPart]]:
        """Return the candidates, and the part that each cut comes from, of one variable."""
        parts: dict[float, RoughPart] = {}
        size = len(self.span)
        rough = rough_parts(self.formula.body)
        try:
            if size == 1:
                survey, cuts = survey_line(self.formula.body, self.formula.variables[0], *map(float, self.box[0]))
                parts = {cut.x: cut.part for cut in cuts}
            elif size <= _MOST_PROVED:
                survey = survey_box(self.formula.body, self.formula.variables, self.box, self.derivatives, _SECONDS)
            else:
                raise NotEnclosedError("too many variables")
        except NotEnclosedError:
            self.result.is_enclosed = False
            survey = Survey()
        if not self.result.is_enclosed or not survey.is_complete:
            self._add_numeric(survey)
        self.result.is_complete = survey.is_complete
        if size > 1:
            self.result.borders = tuple(part.border for part in rough if part.has_two_sides)
            self.result.divisors = tuple(part.border for part in rough if part.kind == "divisor")
        return survey, parts

    def _add_numeric(self, survey: Survey) -> None:
        """Add what a numeric search finds; of curves of one value, a few points."""
        smooth = not any(part.has_two_sides for part in rough_parts(self.formula.body))
        typical = np.linalg.norm(self.derivatives.gradient(self._sample()) * self.span, axis=1)
        unit = float(median(typical[np.isfinite(typical)])) if np.any(np.isfinite(typical)) else 0.0
        levels: list[float] = []  # the values of points on curves
        for point in search(self.derivatives, self.box, _SECONDS_NUMERIC):
            if self._is_spoilt(point.coordinates, survey) or not self._has_settled(point.coordinates):
                continue
            if _is_near(point.coordinates, [other.point for other in survey.candidates], 1e-5 * self.span):
                continue
            near, curve = self._rounder(point.coordinates), False
            if point.note or self._is_singular(near, unit):
                value = float(self.derivatives.value(near[None])[0])
                if sum(abs(value - level) <= 1e-9 * self.result.scale for level in levels) >= _MOST_OF_A_CURVE:
                    continue
                curve = bool(point.note) or self._lies_on_curve(near, unit)
                levels += [value] * curve
            survey.candidates.append(Candidate(near, False, smooth or None, curve=curve, blur=1e-4))

    def _is_singular(self, point: np.ndarray, unit: float) -> bool:
        """Tell whether the curvature vanishes in some direction of several, against the gradient elsewhere."""
        hessian = self.derivatives.hessian(point[None])[0] * np.outer(self.span, self.span)
        if len(point) == 1 or not np.all(np.isfinite(hessian)):
            return False
        return float(np.min(np.abs(np.linalg.eigvalsh(hessian)))) <= _SINGULAR * unit

    def _lies_on_curve(self, point: np.ndarray, unit: float) -> bool:
        """Tell whether other zeros of the gradient lie beside a zero, along an axis, as around (0, 0) on x³y³."""
        ways = _STEP_ASIDE * self.span * np.concatenate([np.eye(len(point)), -np.eye(len(point))])
        ends = polished(self.derivatives, point + ways, self.span)
        slopes = np.linalg.norm(self.derivatives.gradient(ends) * self.span, axis=1)
        away = np.max(np.abs(ends - point) / self.span, axis=1) > _STEP_ASIDE / 2
        return bool(np.any(away & (slopes <= _LEVEL * unit)))

    def _rounder(self, point: np.ndarray) -> np.ndarray:
        """Return rounder coordinates, if the gradient is no larger there: flat zeros have few exact digits."""
        digits = 5 - math.floor(math.log10(float(np.max(self.span))))
        rounded = np.round(point, digits) + 0.0
        there, here = (float(np.linalg.norm(self.derivatives.gradient(x[None])[0])) for x in (rounded, point))
        return rounded if there <= here else point

    def _is_spoilt(self, point: np.ndarray, survey: Survey) -> bool:
        """Tell whether a point of one variable lies next to a gap or pole, where rounding makes up zeros."""
        if len(point) > 1:
            return False
        cuts = [candidate.point[0] for candidate in survey.candidates if candidate.is_smooth is None]
        near = [box[0] for box in survey.unproved if box[0, 0] <= point[0] <= box[0, 1]]
        return any(low - 1e-6 * self.span[0] <= cut <= high + 1e-6 * self.span[0] for low, high in near for cut in cuts)

    def _has_settled(self, point: np.ndarray) -> bool:
        """Tell whether the gradient at a point of a numeric search is zero against the curvature, or against others."""
        slope = float(np.max(np.abs(self.derivatives.gradient(point[None])[0]) * self.span))
        bend = float(np.max(np.abs(self.derivatives.hessian(point[None])[0]) * np.outer(self.span, self.span)))
        typical = np.linalg.norm(self.derivatives.gradient(self._sample()) * self.span, axis=1)
        typical = float(median(typical[np.isfinite(typical)])) if np.any(np.isfinite(typical)) else 0.0
        return slope <= 1e-7 * max(bend, typical)

    # Kinds

    def _judge(self, candidate: Candidate, part: RoughPart | None) -> None:
        """Add a candidate to what it is: a point, a pole, a gap, an edge; or to nothing."""
        if candidate.region is not None:
            self._add_region(candidate)
            return
        if candidate.kind and candidate.is_smooth and not candidate.curve:
            self._add(candidate, candidate.kind, True, True, "")
            return
        if candidate.kind == "pole":
            self.result.poles.append(float(candidate.point[0]))
            return
        if candidate.limit is not None:
            self._add_gap(candidate, candidate.kind, True, candidate.limit)
            return
        judgement = self._judgement(candidate, part is not None and part.kind == "divisor")
        x = float(candidate.point[0])
        if judgement.smoothness in ("pole", "undefined", "edge", "jump"):
            named = {"pole": self.result.poles, "edge": self.result.edges, "jump": self.result.jumps}
            if len(self.span) == 1 and judgement.smoothness in named:
                named[judgement.smoothness].append(x)
            return
        if judgement.smoothness == "gap":
            self._add_gap(candidate, judgement.kind, judgement.isolated, judgement.value)
            return
        kind, note = judgement.kind, ""
        if judgement.smoothness in ("kink", "cusp"):
            if kind == "slope" and len(self.span) > 1:
                return  # passed by on the slope, like all other points of the border
            if candidate.curve and any(
                p.kind == kind and not p.is_smooth and not p.isolated for p in self.result.points
            ):
                return  # one of each kind stands for the curve
            note = _note_of_sides(judgement)
            kind = "kink" if kind == "slope" else kind
        elif kind == "slope":
            return
        elif kind != "degenerate" and judgement.by == "values":
            note = _note_of_values(judgement, len(self.span))
        elif kind == "degenerate":
            note = "degenerate (not decided): the values around do not decide the kind"
        isolated = False if candidate.curve else judgement.isolated
        if isolated is False:
            note = "; ".join(filter(None, [note, "one of a curve or region of critical points"]))
        self._add(candidate, kind, judgement.is_smooth, isolated, note)

    def _judgement(self, candidate: Candidate, is_missing: bool) -> Judgement:
        """Return the classification of a candidate."""
        is_smooth = True if candidate.is_smooth else None
        at_rest = True if candidate.is_smooth else None
        lengths = 0.5 * self.span
        ground = surface(self.formula, is_smooth=is_smooth)
        blur = 2 * candidate.blur
        judgement = judge(ground, candidate.point, lengths=lengths, blur=blur, at_rest=at_rest, is_missing=is_missing)
        if judgement.kind == "degenerate" and not is_missing:
            exact = surface(self.formula, exactly=True, is_smooth=is_smooth)
            judgement = judge(exact, candidate.point, lengths=lengths, blur=blur, at_rest=at_rest)
        elif judgement.smoothness == "smooth" and judgement.by == "values" and not is_missing:
            with np.errstate(all="ignore"):
                has_gradient = bool(np.all(np.isfinite(ground.gradients(candidate.point[None]))))
            if not has_gradient:  # rounding may hide a kink, as that of √(1 − cos x) at 0
                exact = judge(surface(self.formula, exactly=True), candidate.point, lengths=lengths, blur=blur)
                judgement = exact if exact.smoothness in ("kink", "cusp") else judgement
        has_limit = judgement.smoothness not in ("pole", "undefined", "edge", "jump")
        if len(self.span) == 1 and has_limit and judgement.kind in ("degenerate", "level") and not candidate.curve:
            kind = self._kind_by_slopes(float(candidate.point[0]))
            judgement = replace(judgement, kind=kind, isolated=True) if kind else judgement
        return judgement

    def _kind_by_slopes(self, x: float) -> str:
        """Return the kind of a point of one variable by the certain signs of the slope on both sides; "" if unknown.

        Between a point and its neighbours in the list the slope has no zero, so that it keeps its sign.
        """
        others = [float(point) for point in self.places if abs(point - x) > _SAME * self.span[0]]
        left = max([self.box[0, 0], *(other for other in others if other < x)])
        right = min([self.box[0, 1], *(other for other in others if other > x)])
        before, after = (slope_sign(self.formula, x + (end - x) / 2) for end in (left, right))
        if 0 in (before, after):
            return ""
        return "inflection" if before == after else "minimum" if before < 0 else "maximum"

    def _add_gap(self, candidate: Candidate, kind: str, isolated: bool | None, limit: float) -> None:
        """Add a removable gap: a point if the values around make it one."""
        if kind in ("slope", "level"):
            if len(self.span) == 1:
                self.result.gaps.append((float(candidate.point[0]), limit))
            return
        self._add(candidate, kind, True, isolated, "a removable gap: the value there is the limit", limit)

    def _add_region(self, candidate: Candidate) -> None:
        """Add an interval on which the formula is constant."""
        assert candidate.region is not None
        low, high = candidate.region
        margin = 1e-3 * self.span[0]
        ends = self.derivatives.value(np.array([[low - margin], [high + margin]]))
        value = float(self.derivatives.value(candidate.point[None])[0])
        outside = [end > self.box[0, 0] if side == 0 else end < self.box[0, 1] for side, end in enumerate((low, high))]
        changes = [end - value for end, is_inside in zip(ends, outside, strict=True) if is_inside and np.isfinite(end)]
        tolerance = 1e-12 * max(self.result.scale, abs(value))
        up, down = any(c > tolerance for c in changes), any(c < -tolerance for c in changes)
        kind = "level" if up == down else "minimum" if up else "maximum"
        whole = low <= self.box[0, 0] and high >= self.box[0, 1]
        note = "the formula is constant" if whole else f"constant from {low:.10g} to {high:.10g}"
        self._add(candidate, kind, True, False, f"{note}: every point there is critical", value)

    def _add(
        self,
        candidate: Candidate,
        kind: str,
        is_smooth: bool,
        isolated: bool | None,
        note: str,
        value: float | None = None,
    ) -> None:
        """Add a critical point."""
        point = candidate.point
        if value is None:
            value = float(self.derivatives.value(point[None])[0])
        if not np.isfinite(value) or self._is_known(candidate):
            return
        value = 0.0 if self._is_rounding(point, value) else value
        gradient = self.derivatives.gradient(point[None])[0]
        hessian = self.derivatives.hessian(point[None])[0]
        finite = is_smooth and bool(np.all(np.isfinite(hessian)))
        eigenvalues = np.linalg.eigvalsh(hessian) if finite else np.full(len(point), np.nan)
        norm = float(np.linalg.norm(gradient)) if is_smooth else float("nan")
        self.result.points.append(
            JudgedPoint(
                point,
                value,
                kind,
                is_smooth,
                isolated,
                candidate.certified,
                note,
                tuple(map(float, eigenvalues)),
                norm,
            )
        )

    def _is_rounding(self, point: np.ndarray, value: float) -> bool:
        """Tell whether a value is 0 but for rounding: no larger than its changes to the floats next to the point."""
        if not abs(value) <= 1e-15 * self.result.scale:
            return False
        steps = np.outer(np.arange(-3, 4), np.finfo(float).eps * np.maximum(np.abs(point), 2.0**-8 * self.span))
        changes = np.abs(self.derivatives.value(point + steps) - value)
        return bool(abs(value) <= 4 * np.nanmax(changes))

    def _is_known(self, candidate: Candidate) -> bool:
        """Tell whether a point is listed; two that are proved are two, however close together they lie."""
        proved = [other.point for other in self.result.points if other.certified]
        others = [other.point for other in self.result.points if not other.certified]
        distance = ROUNDING if candidate.certified else _SAME
        near = _is_near(candidate.point, proved, distance * self.span)
        return near or _is_near(candidate.point, others, _SAME * self.span)

    def _drop_ends_of_regions(self, survey: Survey) -> None:
        """Drop the ends of constant intervals, which are no points of their own."""
        ends = [end for candidate in survey.candidates if candidate.region for end in candidate.region]
        if not ends:
            return

        def is_end(point: JudgedPoint) -> bool:
            near = any(abs(float(point.point[0]) - end) <= _SAME * self.span[0] for end in ends)
            return near and point.isolated is False and "every point" not in point.note

        self.result.points = [point for point in self.result.points if not is_end(point)]

    def _say_unproved(self, survey: Survey) -> None:
        """Keep the boxes in which nothing is proved, but for the width of rounding around a cut of one variable."""
        cuts = [candidate.point[0] for candidate in survey.candidates if candidate.is_smooth is None]
        for box in _joined(survey.unproved, _AROUND * self.span):
            middle, half = box.mean(axis=1), np.ptp(box, axis=1) / 2
            if len(self.span) == 1:
                near = [float(cut) for cut in cuts if abs(middle[0] - cut) <= 1e-6 * self.span[0]]
                if near and half[0] <= _BORDER * self.span[0]:
                    self.result.margins.append((near[0], 2 * float(half[0])))
                    continue
            self.result.unproved.append((middle, half))


def _is_near(point: np.ndarray, others: list[np.ndarray], distance: np.ndarray) -> bool:
    """Tell whether any of other points lies within a distance."""
    return bool(others) and bool(np.any(np.all(np.abs(np.array(others) - point) <= distance, axis=1)))


def _joined(boxes: Iterable[np.ndarray], gap: np.ndarray) -> list[np.ndarray]:
    """Return the hulls of boxes that lie close together."""
    from downslope.formulas.critical._zeros import clusters

    return clusters(list(boxes), gap)


def _note_of_sides(judgement: Judgement) -> str:
    """Return the one-sided slopes of a point of one variable; the word for others."""
    if len(judgement.sides) != 2:
        return "not smooth: the gradient does not exist"
    right, left = judgement.sides[0].slope, 0.0 - judgement.sides[1].slope
    if judgement.smoothness == "kink":
        return f"a kink: slope {left:.6g} to the left, {right:.6g} to the right"
    word = "a vertical tangent" if left == right else "a cusp"
    return f"{word}: the slope grows without bound"


def _note_of_values(judgement: Judgement, size: int) -> str:
    """Return why a point with a singular Hessian has its kind."""
    if judgement.kind == "inflection" or judgement.isolated is False:
        return ""
    word = {"minimum": "higher", "maximum": "lower", "saddle": "higher and lower"}.get(judgement.kind)
    what = "second derivative is zero" if size == 1 else "Hessian is singular"
    return f"a flat one: the {what}, values around are {word}" if word else ""
