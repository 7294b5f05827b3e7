"""All zeros of a system of equations in a box, proved: branch and bound with Krawczyk's test on balls.

A box is dropped if a component of the system is certainly not zero on it. With the midpoint m, an approximate inverse Y
of the Jacobian at m, and the Jacobian's enclosure J on the box X,

    K(X) = m − Y·F(m) + (I − Y·J)(X − m)

contains every zero in X. Where K(X) and X are disjoint there is none; where K(X) lies inside X there is exactly one.
Boxes are slightly larger than their share of the whole, so that a zero on a common face lies inside of one. What
neither test decides is bisected; what is left at the end is returned as cells, in which nothing is proved.

References: Krawczyk, "Newton-Algorithmen zur Bestimmung von Nullstellen mit Fehlerschranken", 1969; Neumaier, Interval
Methods for Systems of Equations, 1990, chapter 5.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from downslope.formulas.critical._balls import PRECISION

if TYPE_CHECKING:
    from flint import arb

_INFLATION = 1 / 64  # of a box's width, on each side
_SPLIT = 0.4863  # off the middle: textbook zeros lie at halves and quarters of a box
_SHRUNK = 0.6  # of the width: Krawczyk's box is taken up without bisection if it is smaller than this
_NARROWEST = {1: 2.0**-42, 2: 2.0**-18}  # shares of the box at which a box becomes a cell
_NARROWEST_OF_MANY = 2.0**-14
_CROWD = 160  # boxes of one level from which on a curve of zeros is suspected
_PROBES = 12
_THINNEST = 2.0**-50  # share of the whole box
_NEWTON_STEPS = 20

Balls = Sequence["arb"]


@dataclass(frozen=True)
class EquationSystem:
    """Equations in as many unknowns.

    Args:
        values: the components at balls.
        jacobian: the components and the rows of their derivatives at balls.
        excludes: whether the balls lie outside of the domain, or a component certainly does not vanish on them although
            it is not finite there.
        is_singular: whether the Jacobian at a point, in floats, is singular where Newton's steps from it lead; tells a
            curve of zeros from a crowd of single ones. None where that is not known.
        approximate: components and Jacobian of equations with the same zeros, in floats; None to take the
            middles of balls, at several times the cost.
    """

    values: Callable[[Balls], Sequence[arb]]
    jacobian: Callable[[Balls], tuple[Sequence[arb], Sequence[Sequence[arb]]]]
    excludes: Callable[[Balls], bool]
    is_singular: Callable[[np.ndarray], bool] | None = None
    approximate: Callable[[Sequence[float]], tuple[Sequence[float], Sequence[Sequence[float]]]] | None = None


@dataclass
class Zeros:
    """The zeros of a system in a box.

    Args:
        certified: balls, each with exactly one zero in it.
        cells: boxes, shape (variables, 2), in which nothing is proved.
        flat: boxes on which every component is zero.
        boxes: how many boxes were looked at.
        is_complete: whether the budget sufficed.
    """

    certified: list[list[arb]] = field(default_factory=list)
    cells: list[np.ndarray] = field(default_factory=list)
    flat: list[np.ndarray] = field(default_factory=list)
    boxes: int = 0
    is_complete: bool = True

    def points(self) -> list[np.ndarray]:
        """Return the certified zeros as floats."""
        return [np.array([float(ball.mid()) for ball in zero]) for zero in self.certified]


def zeros(system: EquationSystem, box: np.ndarray, *, seconds: float = 1.0) -> Zeros:
    """Return all zeros of a system in a box.

    Args:
        system: the equations.
        box: shape (variables, 2).
        seconds: of the CPU; boxes that are left then are returned as cells.
    """
    from flint import ctx

    with ctx.workprec(PRECISION):
        return _Bisection(system, np.asarray(box, float), seconds).run()


class _Bisection:
    """Branch and bound, one level of bisections after another."""

    def __init__(self, system: EquationSystem, box: np.ndarray, seconds: float) -> None:
        self.system = system
        self.box = box
        self.span = box[:, 1] - box[:, 0]
        self.zeros = Zeros()
        self.middles: list[np.ndarray] = []
        self.regions = np.empty((0, len(box), 2))  # boxes with exactly one zero, which is known
        self.until = time.thread_time() + seconds
        self.narrowest = _NARROWEST.get(len(box), _NARROWEST_OF_MANY) * np.maximum(
            self.span, 2.0**-8 * np.max(np.abs(box), axis=1)
        )

    def run(self) -> Zeros:
        """Return the zeros."""
        zeros = self._searched()
        zeros.cells = [cell for cell in zeros.cells if not self._is_settled(cell)]
        return zeros

    def _is_settled(self, box: np.ndarray) -> bool:
        """Tell whether a box lies inside of one with a single zero, which is known."""
        inside = (self.regions[:, :, 0] <= box[:, 0]) & (box[:, 1] <= self.regions[:, :, 1])
        return bool(np.any(np.all(inside, axis=1)))

    def _searched(self) -> Zeros:
        """Return the zeros and all cells."""
        active, earlier = [self.box], 0
        while active:
            following: list[np.ndarray] = []
            for index, box in enumerate(active):
                if time.thread_time() > self.until:
                    self.zeros.cells += following + active[index:]
                    self.zeros.is_complete = False
                    return self.zeros
                following += self._visited(box)
            if len(following) > max(_CROWD, earlier) and self._is_along_curve(following):
                self.zeros.cells += following
                return self.zeros
            earlier = max(earlier, 2 * len(following)) if len(following) > _CROWD else earlier
            active = following
        return self.zeros

    def _visited(self, box: np.ndarray) -> list[np.ndarray]:
        """Decide a box, or return the boxes that are left of it."""
        if len(self.regions) and self._is_settled(box):
            return []
        self.zeros.boxes += 1
        width = box[:, 1] - box[:, 0]
        balls = [
            ball_of(low - _INFLATION * w, high + _INFLATION * w) for (low, high), w in zip(box, width, strict=True)
        ]
        # Most boxes are dropped by the values alone, which cost a third of the derivatives.
        values = self.system.values(balls)
        finite = [value.is_finite() for value in values]
        if any(is_finite and not value.contains(0) for is_finite, value in zip(finite, values, strict=True)):
            return []
        if self.system.excludes(balls):
            return []
        if not all(finite):
            return self._halves(box)
        if all(value.is_zero() for value in values):
            self.zeros.flat.append(box)
            return []
        left = box
        _, rows = self.system.jacobian(balls)
        if all(entry.is_finite() for row in rows for entry in row):
            contracted = self._contracted(box, balls, rows)
            if contracted is None:
                return []
            left = contracted
            if np.all(left[:, 1] - left[:, 0] <= _SHRUNK * width):
                return [left]
        return self._halves(left)

    def _halves(self, box: np.ndarray) -> list[np.ndarray]:
        """Return two halves of a box, or none where it becomes a cell."""
        width = box[:, 1] - box[:, 0]
        if np.all(width <= self.narrowest):
            self.zeros.cells.append(box)
            return []
        axis = int(np.argmax(width / np.maximum(self.narrowest, 1e-300)))
        middle = box[axis, 0] + _SPLIT * width[axis]
        first, second = box.copy(), box.copy()
        first[axis, 1] = second[axis, 0] = middle
        return [first, second]

    def _contracted(self, box: np.ndarray, balls: list[arb], rows: Sequence[Sequence[arb]]) -> np.ndarray | None:
        """Return the part of a box that Krawczyk's test leaves; None if it decides the box."""
        middles = [ball.mid() for ball in balls]
        values = self.system.values(middles)
        if not all(value.is_finite() for value in values):
            return box
        away = [ball - middle for ball, middle in zip(balls, middles, strict=True)]
        # The mean value form F(m) + J·(X − m) of each component.
        for value, row in zip(values, rows, strict=True):
            if not sum((entry * part for entry, part in zip(row, away, strict=True)), value).contains(0):
                return None
        inverse = _inverse(rows)
        if inverse is None:
            return box
        image = _image(middles, away, values, rows, inverse)
        left = box.copy()
        for axis, (ball, new) in enumerate(zip(balls, image, strict=True)):
            if not new.is_finite():
                return box
            if not new.overlaps(ball):
                return None
            low, high = float(new.lower()), float(new.upper())
            # Outward, since the ends were rounded to floats, and a box without width has no inside.
            low, high = low - _THINNEST * self.span[axis], high + _THINNEST * self.span[axis]
            left[axis] = max(box[axis, 0], low), min(box[axis, 1], high)
            if left[axis, 0] > left[axis, 1]:
                # The zero, if there is one, lies in the margin, which belongs to a neighbour or lies outside.
                left[axis] = (box[axis, 0],) * 2 if high < box[axis, 0] else (box[axis, 1],) * 2
        if all(ball.contains_interior(new) for ball, new in zip(balls, image, strict=True)):
            return None if self._keep(balls, image) else left
        return left

    def _keep(self, balls: Sequence[arb], image: list[arb]) -> bool:
        """Add the only zero of a box, narrowed down; tell whether that succeeded.

        Newton's steps from the middle lead to a point, and Krawczyk's test proves the zero in a tiny box around it.
        """
        from flint import arb

        scale = [max(abs(float(at.mid())), 2.0**-10 * span) for at, span in zip(image, self.span, strict=True)]
        point = self._approached([float(ball.mid()) for ball in image], scale)
        if point is None:
            return False
        tiny = [at + arb(0, 2.0**-44 * size) for at, size in zip(point, scale, strict=True)]
        if not all(ball.contains(small) for ball, small in zip(balls, tiny, strict=True)):
            return False
        _, rows = self.system.jacobian(tiny)
        inverse = _inverse(rows)
        values = self.system.values(point)
        if inverse is None or not all(value.is_finite() for value in values):
            return False
        away = [ball - at for ball, at in zip(tiny, point, strict=True)]
        zero = _image(point, away, values, rows, inverse)
        if not all(old.contains_interior(new) for old, new in zip(tiny, zero, strict=True)):
            return False
        # A zero in the margin may lie outside of the whole box, or be one that a neighbouring box has found.
        middle = np.array([float(ball.mid()) for ball in zero])
        outside = any(ball < low or ball > high for (low, high), ball in zip(self.box, zero, strict=True))
        if not outside and not self._is_known(zero, middle):
            self.zeros.certified.append(zero)
            self.middles.append(middle)
        ends = [(np.nextafter(float(b.lower()), np.inf), np.nextafter(float(b.upper()), -np.inf)) for b in balls]
        self.regions = np.concatenate([self.regions, np.array([ends])])
        return True

    def _approached(self, start: list[float], scale: list[float]) -> list[arb] | None:
        """Return where Newton's steps lead from a point; None where they end."""
        from flint import arb

        point, approximate = np.array(start), self.system.approximate
        for _ in range(_NEWTON_STEPS):
            if approximate is not None:
                values, rows = approximate(point.tolist())
            else:
                balls = [arb(float(x)) for x in point]
                enclosed, enclosed_rows = self.system.jacobian(balls)
                values = [float(value.mid()) for value in enclosed]
                rows = [[float(entry.mid()) for entry in row] for row in enclosed_rows]
            inverse = _inverse_of(rows)
            if inverse is None or not np.all(np.isfinite(values)):
                return None
            step = inverse @ values
            point = point - step
            if np.all(np.abs(step) <= 2.0**-48 * np.array(scale)):
                break
        return [arb(float(x)) for x in point]

    def _is_known(self, zero: list[arb], middle: np.ndarray) -> bool:
        """Tell whether a zero is among those found before."""
        if not self.middles:
            return False
        near = np.flatnonzero(np.all(np.abs(np.array(self.middles) - middle) <= 1e-9 * self.span, axis=1))
        known = (self.zeros.certified[index] for index in near)
        return any(all(new.overlaps(old) for new, old in zip(zero, other, strict=True)) for other in known)

    def _is_along_curve(self, boxes: list[np.ndarray]) -> bool:
        """Tell whether boxes in growing number lie along a curve of zeros."""
        if self.system.is_singular is None:
            return False
        picked = np.linspace(0, len(boxes) - 1, _PROBES).astype(int)
        singular = [self.system.is_singular(boxes[index].mean(axis=1)) for index in picked]
        return sum(singular) > _PROBES // 2


def _image(
    middles: Sequence[arb],
    away: Sequence[arb],
    values: Sequence[arb],
    rows: Sequence[Sequence[arb]],
    inverse: np.ndarray,
) -> list[arb]:
    """Return K(X): the middle, less a Newton step, plus what Y·J differs from I by times X − m."""
    size = range(len(middles))
    image = []
    for i in size:
        y = [float(inverse[i, j]) for j in size]
        total = middles[i]
        for j in size:
            total -= y[j] * values[j]
        for k in size:
            entry = -y[0] * rows[0][k]
            for j in size[1:]:
                entry -= y[j] * rows[j][k]
            total += (entry + 1 if i == k else entry) * away[k]
        image.append(total)
    return image


def ball_of(low: float, high: float) -> arb:
    """Return a ball that contains an interval."""
    from flint import arb

    middle = low + (high - low) / 2
    radius = max(high - middle, middle - low)
    return arb(middle, radius * (1 + 1e-15))


def _inverse(rows: Sequence[Sequence[arb]]) -> np.ndarray | None:
    """Return the inverse of a Jacobian's midpoint, in floats; None if it is singular."""
    return _inverse_of([[float(entry.mid()) for entry in row] for row in rows])


def _inverse_of(rows: Sequence[Sequence[float]]) -> np.ndarray | None:
    """Return the inverse of a matrix; None if it is singular."""
    if len(rows) <= 2:
        return _small_inverse(rows)
    matrix = np.array(rows)
    if not np.all(np.isfinite(matrix)):
        return None
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    return inverse if np.all(np.isfinite(inverse)) else None


def _small_inverse(matrix: Sequence[Sequence[float]]) -> np.ndarray | None:
    """Return the inverse of one or two rows, at a tenth of the cost of LAPACK's."""
    if len(matrix) == 1:
        ((a,),) = matrix
        return np.array([[1 / a]]) if math.isfinite(a) and abs(a) > 1e-300 else None
    (a, b), (c, d) = matrix
    determinant = a * d - b * c
    if not math.isfinite(determinant) or abs(determinant) < 1e-300:
        return None
    return np.array([[d, -b], [-c, a]]) / determinant


def clusters(cells: Sequence[np.ndarray], gap: np.ndarray) -> list[np.ndarray]:
    """Return the hulls of cells that touch, or nearly do.

    Args:
        cells: boxes, each of shape (variables, 2).
        gap: the distance by variable up to which two cells count as touching.
    """
    hulls: list[np.ndarray] = []
    for group in groups(cells, gap):
        stack = np.stack(group)
        hulls.append(np.stack([stack[:, :, 0].min(axis=0), stack[:, :, 1].max(axis=0)], axis=1))
    return hulls


def groups(cells: Sequence[np.ndarray], gap: np.ndarray) -> list[list[np.ndarray]]:
    """Return cells in groups that touch, or nearly do."""
    if not cells:
        return []
    lows = np.stack([cell[:, 0] for cell in cells]) - gap / 2
    highs = np.stack([cell[:, 1] for cell in cells]) + gap / 2
    if lows.shape[1] == 1:
        return _runs(cells, lows[:, 0], highs[:, 0])
    joined: list[list[np.ndarray]] = []
    unseen = np.ones(len(cells), bool)
    while unseen.any():
        first = int(np.argmax(unseen))
        unseen[first] = False
        group, frontier = [first], [first]
        while frontier:
            index = frontier.pop()
            near = unseen & np.all((lows <= highs[index]) & (highs >= lows[index]), axis=1)
            unseen &= ~near
            members = [int(member) for member in np.flatnonzero(near)]
            group += members
            frontier += members
        joined.append([cells[index] for index in group])
    return joined


def _runs(cells: Sequence[np.ndarray], lows: np.ndarray, highs: np.ndarray) -> list[list[np.ndarray]]:
    """Return intervals in groups that touch, in one pass: there may be thousands, where the time was up."""
    runs: list[list[np.ndarray]] = []
    reach = -np.inf
    for index in np.argsort(lows):
        if not runs or lows[index] > reach:
            runs.append([])
        runs[-1].append(cells[index])
        reach = max(reach, highs[index])
    return runs
