"""The critical points of a formula of one variable, proved.

The range is cut at the borders of the rough parts: zeros of |·|'s argument, of radicands, of divisors. On each interval
between two cuts the formula is one smooth piece, and the zeros of its slope are proved by Krawczyk's test. A multiple
zero is counted by a higher derivative that does not vanish around it. The cuts are candidates themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.formulas._formula import Formula
from downslope.formulas._roughness import (
    RoughPart,
    as_quotient,
    rough_parts,
    smooth_piece,
)
from downslope.formulas.critical._balls import PRECISION, NotEnclosedError
from downslope.formulas.critical._equations import SlopeEquation, power_series, slope_equation
from downslope.formulas.critical._survey import Candidate, Enclosure, Survey, equation, simplest
from downslope.formulas.critical._zeros import Zeros, ball_of, clusters, zeros
from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import Call, Expression, names_in, numpy_functions

if TYPE_CHECKING:
    from flint import arb

_SAME = 1e-9  # share of the range within which two cuts are one
_NEAR = 1e-6  # share of the range around a cut within which what is unproved is said of the cut
_POLE = 1e8  # size from which a function at the float next to its pole is taken to be infinite
_MOST_CUTS = 400
_SECONDS = 0.5  # of the CPU for the zeros of one expression
_SECONDS_TOGETHER = 1.2  # of the CPU for those of all
_SECONDS_LEAST = 0.01  # for each expression when the time is up
_SHARES = (0.45, 0.2, 0.1, 0.05, 0.02, 0.01, 0.003, 0.001)  # of an interval, to be settled at a pole or a gap
_INSIDE = (0.5, 0.381966, 0.763932, 0.07, 0.93)  # where a piece is looked at to see which it is


@dataclass(frozen=True)
class Cut:
    """A zero of a border.

    Args:
        x: where.
        part: the rough part.
        is_exact: whether it is proved that there is exactly one zero here.
    """

    x: float
    part: RoughPart
    is_exact: bool


def survey_line(tree: Expression, variable: str, low: float, high: float) -> tuple[Survey, list[Cut]]:
    """Return the candidates of a range, and its cuts.

    Raises:
        NotEnclosedError: for functions without an enclosure.
    """
    line = _LineSurvey(tree, variable, low, high)
    line.cut()
    line.search()
    return line.survey, line.cuts


def slope_sign(formula: Formula, x: float) -> int:
    """Return the certain sign of the slope of a formula of one variable; 0 where it is not certain."""
    from flint import arb, ctx

    (variable,) = formula.variables
    line = _LineSurvey(formula.body, variable, x - 1.0, x + 1.0)
    piece = line.piece(formula.body, x, x)
    if piece is None:
        return 0
    with ctx.workprec(PRECISION), contextlib.suppress(NotEnclosedError):
        (slope,) = Enclosure(piece, (variable,)).gradient([arb(x)])
        return 1 if slope > 0 else -1 if slope < 0 else 0
    return 0


class _LineSurvey:
    """A formula over a range."""

    def __init__(self, tree: Expression, variable: str, low: float, high: float) -> None:
        self.tree = tree
        self.variable = variable
        self.low, self.high = low, high
        self.span = high - low
        self.cuts: list[Cut] = []
        self.survey = Survey()
        self.until = time.thread_time() + _SECONDS_TOGETHER

    def value(self, tree: Expression, x: float) -> float:
        """Return an expression at a number."""
        with np.errstate(all="ignore"):
            return float(evaluate(tree, {self.variable: np.float64(x)}, numpy_functions()))

    def piece(self, tree: Expression, first: float, last: float) -> Expression | None:
        """Return the smooth piece that a tree is between two cuts; None where it is not defined."""
        for share in _INSIDE:
            x = first + share * (last - first)
            if not np.isfinite(self.value(tree, x)):
                continue

            def sign(border: Expression, x: float = x) -> int:
                return 1 if self.value(border, x) >= 0 else -1

            def whole(call: Expression, x: float = x) -> int:
                return int(self.value(call, x))

            return smooth_piece(tree, sign, whole)
        return None

    def seconds(self) -> float:
        """Return the time that one expression may take."""
        return min(_SECONDS, max(self.until - time.thread_time(), _SECONDS_LEAST))

    def intervals(self) -> list[tuple[float, float]]:
        """Return the intervals between the cuts."""
        ends = [self.low, *sorted({cut.x for cut in self.cuts}), self.high]
        return [(a, b) for a, b in itertools.pairwise(ends) if b - a > _SAME * self.span]

    def cut(self) -> None:
        """Cut the range at the zeros of all borders, those of inner parts first."""
        for part in rough_parts(self.tree):
            new: list[Cut] = []
            for first, last in self.intervals():
                piece = self.piece(part.border, first, last)
                if piece is None or self.variable not in names_in(piece):
                    continue
                new += self._zeros_of_border(piece, part, first, last)
            for cut in new:
                if self._is_passed(cut):
                    continue
                if all(abs(cut.x - other.x) > _SAME * self.span for other in self.cuts):
                    self.cuts.append(cut)
            if len(self.cuts) > _MOST_CUTS:
                raise NotEnclosedError("too many borders")

    def _is_passed(self, cut: Cut) -> bool:
        """Tell whether a function is defined at a cut all the same: Γ has poles at 0, −1, −2, … but none at 1."""
        node = cut.part.node
        return cut.part.kind == "divisor" and isinstance(node, Call) and abs(self.value(node, cut.x)) < _POLE

    def _zeros_of_border(self, piece: Expression, part: RoughPart, first: float, last: float) -> list[Cut]:
        """Return the cuts that a border makes in an interval."""
        result = zeros(equation(piece, self.variable), np.array([[first, last]]), seconds=self.seconds())
        self.survey.is_complete &= result.is_complete
        cuts = [Cut(self._rounded(point[0], part.border), part, True) for point in result.points()]
        for a, b in (box[0] for box in clusters(result.cells, np.array([_SAME * self.span]))):
            if b - a > _NEAR * self.span:
                # A border that vanishes all along, as that of |x − x|, cuts nothing.
                continue
            at = simplest(a, b)
            _, is_single, _ = _counted(power_series(piece, self.variable), float(a), float(b), at)
            cuts.append(Cut(float((a + b) / 2 if at is None else at), part, is_single))
        return cuts

    def _rounded(self, x: float, border: Expression) -> float:
        """Return the simplest number next to a zero at which the border is zero exactly, else the zero."""
        close = simplest(x - 1e-13 * self.span, x + 1e-13 * self.span)
        return close if close is not None and self.value(border, close) == 0 else x + 0.0

    def search(self) -> None:
        """Search each interval for zeros of the slope, and add the cuts."""
        cuts = {cut.x for cut in self.cuts}
        for first, last in self.intervals():
            piece = self.piece(self.tree, first, last)
            if piece is None:
                continue
            if self.variable not in names_in(piece):
                self._add_flat(first, last)
                continue
            self._search_interval(piece, first, last, cuts)
        for cut in self.cuts:
            self.survey.candidates.append(self._candidate(cut))

    def _candidate(self, cut: Cut) -> Candidate:
        """Return a cut as a candidate; poles and gaps with what their power series prove."""
        at = np.array([cut.x])
        if cut.part.kind == "divisor" and sum(abs(cut.x - other.x) <= _SAME * self.span for other in self.cuts) == 1:
            margin = 1e-3 * self.span
            piece = self.piece(self.tree, cut.x - margin, cut.x + margin)
            proved = None if piece is None else _at_divisor(piece, self.variable, cut.x)
            if proved is not None:
                kind, limit = proved
                return Candidate(at, cut.is_exact, None, kind, limit)
        return Candidate(at, cut.is_exact, None)

    def _add_flat(self, first: float, last: float) -> None:
        middle = np.array([(first + last) / 2])
        self.survey.candidates.append(Candidate(middle, True, True, curve=True, region=(first, last)))

    def _search_interval(self, piece: Expression, first: float, last: float, cuts: set[float]) -> None:
        """Add the zeros of the slope of a smooth piece in an interval."""
        slope = slope_equation(piece, self.variable, self._touches_pole(first, last))
        if slope.divisor is not None:
            first, last = self._without_ends(slope, first, last)
        result = zeros(slope.system, np.array([[first, last]]), seconds=self.seconds())
        self.survey.is_complete &= result.is_complete
        for box in result.flat:
            self._add_flat(*map(float, box[0]))
        for zero in result.certified:
            x = float(zero[0].mid())
            if any(abs(x - cut) <= _SAME * self.span for cut in cuts) or self._vanishes(slope.divisor, zero):
                continue
            _, ((bend,),) = slope.system.jacobian(zero)
            kind = "minimum" if bend > 0 else "maximum" if bend < 0 else ""
            self.survey.candidates.append(Candidate(np.array([self._nice(x, slope)]), True, True, kind))
        self._settle_cells(slope, result, cuts)

    def _without_ends(self, slope: SlopeEquation, first: float, last: float) -> tuple[float, float]:
        """Return an interval without the surroundings of poles and gaps at its ends, in which there is no other zero.

        Where the first m coefficients of the power series at the end p are exactly zero, the slope's numerator is
        (x − p)^m times a value of the m-th coefficient on the way, which is not zero.
        """
        from flint import arb, ctx

        divisors = {cut.x for cut in self.cuts if cut.part.kind == "divisor"}
        width = last - first
        moved = [first, last]
        with ctx.workprec(PRECISION), contextlib.suppress(NotEnclosedError, ValueError, ZeroDivisionError):
            for index, (end, sign) in enumerate(((first, 1), (last, -1))):
                if end not in divisors:
                    continue
                here = list(slope.coefficients(arb(end)).coeffs())
                order = next((m for m, c in enumerate(here) if not c.is_zero()), len(here))
                for share in _SHARES:
                    far = end + sign * share * width
                    around = list(slope.coefficients(ball_of(min(end, far), max(end, far))).coeffs())
                    if order < len(around) and around[order].is_finite() and not around[order].contains(0):
                        moved[index] = far
                        break
        return (moved[0], moved[1]) if moved[0] < moved[1] else (first, last)

    def _touches_pole(self, first: float, last: float) -> bool:
        """Tell whether an interval ends at a zero of a divisor."""
        near = _SAME * self.span
        return any(cut.part.kind == "divisor" and first - near <= cut.x <= last + near for cut in self.cuts)

    def _vanishes(self, divisor: Enclosure | None, zero: Sequence[arb]) -> bool:
        """Tell whether the divisor vanishes at a zero: a pole of even order, not a critical point."""
        return divisor is not None and divisor.value(zero).contains(0)

    def _nice(self, x: float, slope: SlopeEquation) -> float:
        """Return the simplest number next to a zero of the slope, if the slope is zero there exactly."""
        from flint import arb, ctx

        close = simplest(x - 1e-13 * self.span, x + 1e-13 * self.span)
        if close is None or close == x:
            return x + 0.0
        with ctx.workprec(PRECISION):
            return close if slope.system.values([arb(close)])[0].contains(0) else x

    def _settle_cells(self, slope: SlopeEquation, result: Zeros, cuts: set[float]) -> None:
        """Decide the cells that bisection left: multiple zeros, and the surroundings of cuts."""
        for a, b in (box[0] for box in clusters(result.cells, np.array([_SAME * self.span]))):
            near = [cut for cut in cuts if a - _NEAR * self.span <= cut <= b + _NEAR * self.span]
            if b - a > 1e-3 * self.span:
                if self._is_level(float(a), float(b)):
                    self._add_flat(float(a), float(b))
                self.survey.unproved.append(np.array([[a, b]]))
                continue
            if not result.is_complete and b - a > _NEAR * self.span:
                self.survey.unproved.append(np.array([[a, b]]))  # boxes that were not looked at
                continue
            exact = simplest(a, b)
            count, order_proved, sign = _counted(slope.coefficients, float(a), float(b), exact)
            if near:
                # Every zero in the cell lies at the cut itself.
                if not (
                    order_proved and exact is not None and any(abs(exact - cut) <= _SAME * self.span for cut in near)
                ):
                    self.survey.unproved.append(np.array([[a, b]]))
                continue
            x = (a + b) / 2 if exact is None else exact
            kind = "" if not order_proved else "inflection" if count % 2 == 0 else "minimum" if sign > 0 else "maximum"
            if not order_proved:
                kind = self._kind_across(slope, float(a), float(b), count)
                self.survey.unproved.append(np.array([[a, b]]))
            self.survey.candidates.append(Candidate(np.array([float(x)]), order_proved, True, kind))

    def _is_level(self, a: float, b: float) -> bool:
        """Tell whether the value is the same within rounding all along, as that of sin² + cos²."""
        values = np.array([self.value(self.tree, x) for x in np.linspace(a, b, 33)])
        return bool(np.all(np.isfinite(values)) and np.ptp(values) <= 1e-13 * np.max(np.abs(values)))

    def _kind_across(self, slope: SlopeEquation, a: float, b: float, count: int) -> str:
        """Return the kind that the signs of the slope on both sides of a cell prove, if its zeros count as one."""
        from flint import arb, ctx

        if count == 0:
            return ""
        with ctx.workprec(PRECISION):
            margin = max(b - a, 1e-12 * self.span)
            before = slope.system.values([arb(a - margin)])[0]
            after = slope.system.values([arb(b + margin)])[0]
        if before < 0 < after:
            return "minimum"
        if after < 0 < before:
            return "maximum"
        same = (before > 0 and after > 0) or (before < 0 and after < 0)
        return "inflection" if same else ""


def _counted(coefficients: Callable[[arb], Any], a: float, b: float, exact: float | None) -> tuple[int, bool, int]:
    """Return the multiplicity of a zero, whether it is proved to be the only one in a cell, and the sign above it.

    If the m-th derivative vanishes nowhere in the cell, there are at most m zeros, counted with their multiplicity; if
    the first m derivatives vanish exactly at one point, these are all of them.
    """
    from flint import arb, ctx

    # A series has no quotient by one that may vanish, and some functions have no series.
    with ctx.workprec(PRECISION), contextlib.suppress(NotEnclosedError, ValueError, ZeroDivisionError):
        margin = b - a
        around = list(coefficients(ball_of(a - margin, b + margin)).coeffs())
        count = next((m for m, c in enumerate(around) if c.is_finite() and not c.contains(0)), 0)
        if count == 0:
            return 0, False, 0
        sign = 1 if around[count] > 0 else -1
        if exact is None:
            return count, False, sign
        here = list(coefficients(arb(exact)).coeffs())
        return count, all(c.is_zero() for c in here[:count]), sign
    return 0, False, 0


def _at_divisor(tree: Expression, variable: str, x: float) -> tuple[str, float | None] | None:
    """Return the kind of a zero of a divisor and the limit there, from the series of N and D; None if unknown.

    With N = n·hᵖ + … and D = d·h^q + … there is a pole if p < q, and else a gap. The slope (N′D − ND′)/D² begins with
    the power m − 2q of h, m the order of its numerator.
    """
    from flint import arb, ctx

    parts = as_quotient(tree)
    if parts is None:
        return None
    with ctx.workprec(PRECISION), contextlib.suppress(NotEnclosedError, ValueError, ZeroDivisionError):
        above, below = (power_series(part, variable)(arb(x)) for part in parts)
        (p, n), (q, d) = _leading(above), _leading(below)
        m, c = _leading(above.derivative() * below - above * below.derivative())
        if q is None or d is None or p is None or n is None or q == 0:
            return None
        if p < q:
            return "pole", None
        limit = float((n / d).mid()) if p == q else 0.0
        if m is None or c is None:
            return None
        order = m - 2 * q
        if order % 2 == 0:
            return ("slope" if order == 0 else "inflection"), limit
        return ("minimum" if c > 0 else "maximum"), limit
    return None


def _leading(powers: Any) -> tuple[int | None, Any]:
    """Return order and coefficient of a series' first term; None where it is not certain which that is."""
    for order, coefficient in enumerate(powers.coeffs()):
        if not coefficient.is_zero():
            return (order, coefficient) if coefficient.is_finite() and not coefficient.contains(0) else (None, None)
    return None, None
