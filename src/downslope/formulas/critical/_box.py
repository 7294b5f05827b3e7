"""The critical points of a formula of several variables, proved where its gradient is smooth.

For each choice of signs of the borders, |u| is u or −u, and the formula one smooth piece, whose zeros of the gradient
are proved by Krawczyk's test as far as they lie where the borders have these signs. On u = 0 a kink can be critical
only where f₀, the formula as it is on one side, is stationary along the border. In two variables ∇f₀ and ∇u are
parallel there, two equations that are solved by the same test. Of more variables, a border that is a plane is solved
for a variable, and f₀ searched with one variable less; along curved ones, and where several meet, points are sought
numerically.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from downslope._numbers import median
from downslope.formulas._formula import Formula
from downslope.formulas._roughness import RoughPart, rough_parts, smooth_piece
from downslope.formulas.critical._balls import PRECISION, NotEnclosedError
from downslope.formulas.critical._creases import solved_for_variable, stationary_on, value_on_border
from downslope.formulas.critical._equations import Piece, certain_kind, gradient_system, never, parallel
from downslope.formulas.critical._stationary_search import Derivatives, polished, scaled_curvatures
from downslope.formulas.critical._survey import ROUNDING, Candidate, Enclosure, Survey, hull, simplest
from downslope.formulas.critical._zeros import EquationSystem, Zeros, ball_of, groups, zeros
from downslope.formulas.evaluation import evaluate
from downslope.formulas.expressions import (
    ZERO,
    Expression,
    names_in,
    numpy_functions,
    replaced,
    with_trees,
)

_MOST_BORDERS = 6  # borders with two sides: each doubles the pieces
_SINGULAR = 1e-6  # scaled curvature below which a zero may belong to a curve of zeros
_WIDE = 1 / 24  # share of the box over which a curve of zeros extends at least
_SAME = 1e-7  # share of the box within which two candidates are one
_STEPS_ALONG = 200
_STEPS_ONTO = 6
_PROBES_IN_GROUP = 24
_CLOSE_BY = 0.05  # share of the box that Newton's steps onto a curve may take
_MOST_GROUPS = 8
_MOST_CORNERS = 40
_PROBES_ALONG = 7
_FINE = 2.0**-12  # share of the box below which a cell is not searched again

Signs = Mapping[Expression, int]


def survey_box(
    tree: Expression, variables: tuple[str, ...], box: np.ndarray, derivatives: Derivatives, seconds: float
) -> Survey:
    """Return the candidates of a box.

    Args:
        tree: the formula.
        variables: the names of the coordinates, all of which occur.
        box: shape (variables, 2).
        derivatives: of the formula, in floats.
        seconds: of the CPU for all pieces together.

    Raises:
        NotEnclosedError: for functions without an enclosure, or too many borders.
    """
    return _BoxSurvey(tree, variables, box, derivatives, seconds).survey()


class _BoxSurvey:
    """A formula over a box."""

    def __init__(
        self, tree: Expression, variables: tuple[str, ...], box: np.ndarray, derivatives: Derivatives, seconds: float
    ) -> None:
        self.tree = tree
        self.variables = variables
        self.box = box
        self.span = box[:, 1] - box[:, 0]
        self.derivatives = derivatives
        self.seconds = seconds
        self.parts = rough_parts(tree)
        self.result = Survey()
        self.until = time.thread_time() + seconds

    def survey(self) -> Survey:
        """Return the candidates."""
        pieces = list(self._pieces())
        for piece in pieces:
            self._search(piece, self.seconds / len(pieces))
        self._search_kinks()
        self.result.rough = tuple(part.border for part in self.parts if part.has_two_sides)
        return self.result

    def _pieces(self) -> Iterable[Piece]:
        """Yield the smooth pieces that may be in force somewhere in the box."""
        if any(part.kind == "steps" for part in self.parts):
            raise NotEnclosedError("a function with steps")
        two_sided = [part for part in self.parts if part.has_two_sides]
        if len(two_sided) > _MOST_BORDERS:
            raise NotEnclosedError("too many borders")
        edges = [part for part in self.parts if part.kind == "edge"]
        borders = list(dict.fromkeys(part.border for part in two_sided))
        for choice in itertools.product((1, -1), repeat=len(borders)):
            signs = dict(zip(borders, choice, strict=True)) | {part.border: 1 for part in edges}
            sign = self._sign(signs)
            trees = [(Enclosure(smooth_piece(border, sign), self.variables), s) for border, s in signs.items()]
            piece = Piece(smooth_piece(self.tree, sign), tuple(trees))
            if not self._is_empty(piece):
                yield piece

    def _sign(self, signs: Signs) -> Callable[[Expression], int]:
        """Return the function from a border to its sign."""

        def sign(border: Expression) -> int:
            if border in signs:
                return signs[border]
            values = dict.fromkeys(self.variables, np.float64(1.0))  # it has no variable
            with np.errstate(all="ignore"):
                return 1 if float(evaluate(border, values, numpy_functions())) >= 0 else -1

        return sign

    def _is_empty(self, piece: Piece) -> bool:
        from flint import ctx

        with ctx.workprec(PRECISION):
            return piece.is_out_of_force([ball_of(low, high) for low, high in self.box])

    # Zeros of the gradient

    def _search(self, piece: Piece, seconds: float, box: np.ndarray | None = None, depth: int = 0) -> None:
        """Add the zeros of a piece's gradient where it is in force."""
        from flint import ctx

        box = self.box if box is None else box
        names = names_in(piece.tree)
        if not names:
            self._add_region(piece, box)
            return
        system = gradient_system(piece, self.variables, self._is_singular)
        result = zeros(system, box, seconds=seconds)
        self.result.is_complete &= result.is_complete
        enclosure = Enclosure(piece.tree, self.variables)
        with ctx.workprec(PRECISION):
            for zero in result.certified:
                if piece.is_out_of_force(zero):
                    continue
                if piece.touches_border(zero):
                    self._add(Candidate(_middle(zero), False, None))
                    continue
                kind = certain_kind(enclosure.with_hessian(zero)[2])
                self._add(Candidate(self._nice(zero), True, True, kind))
        if result.flat:
            self._add_region(piece, hull(result.flat))
        self._settle(piece, result, seconds, depth)

    def _add_region(self, piece: Piece, box: np.ndarray) -> None:
        """Add the middle of a region on which a piece is constant."""
        from flint import arb, ctx

        rng = np.random.default_rng(0)
        points = np.concatenate([box.mean(axis=1)[None], box[:, 0] + rng.random((200, len(box))) * np.ptp(box, axis=1)])
        with ctx.workprec(PRECISION):
            inside = (p for p in points if not piece.is_out_of_force([arb(float(x)) for x in p]))
            point = next(inside, None)
        if point is not None:
            self._add(Candidate(point, True, None, curve=True))

    def _nice(self, zero: Sequence[Any]) -> np.ndarray:
        """Return a zero with each coordinate as the simplest number next to it, if the gradient is zero there."""
        middle = _middle(zero)
        margin = 1e-13 * self.span
        near = [simplest(x - m, x + m) for x, m in zip(middle, margin, strict=True)]
        rounded = np.array([x if close is None else close for x, close in zip(middle, near, strict=True)])
        if np.all(rounded == middle):
            return rounded + 0.0
        gradient = self.derivatives.gradient(rounded[None])[0]
        smaller = np.linalg.norm(gradient) <= np.linalg.norm(self.derivatives.gradient(middle[None])[0])
        return rounded + 0.0 if smaller else middle

    def _is_singular(self, point: np.ndarray) -> bool:
        """Tell whether Newton's steps from a point lead to a zero with a singular Hessian."""
        settled = polished(self.derivatives, point[None], self.span)[0]
        return float(np.min(np.abs(scaled_curvatures(self.derivatives, settled, self.span)))) < _SINGULAR

    def _settle(self, piece: Piece, result: Zeros, seconds: float, depth: int) -> None:
        """Decide the cells that bisection left, group by group: curves of zeros, degenerate zeros, single ones."""
        if not result.is_complete:
            self.result.unproved.append(hull(result.cells))  # a numeric search takes over
            return
        if not result.cells:
            return
        cells = [cell for cell in result.cells if not self._cell_is_out(piece, cell)]
        width = max((float(np.max(np.ptp(cell, axis=1) / self.span)) for cell in cells), default=0.0)
        # Newton's steps end up to a thousandth of the box from a degenerate zero, whose cells lie scattered.
        gap = 0.02 * width if width > _FINE else 2e-3
        for group in groups(cells, gap * self.span):
            around = hull(group)
            extent = float(np.max(np.ptp(around, axis=1) / self.span))
            start = self._nearest_to_centre(group)
            point = polished(self.derivatives, start[None], self.span)[0]
            if not np.all(np.isfinite(point)):
                point = start
            near = bool(np.all(np.abs(point - start) <= np.maximum(2 * np.ptp(around, axis=1), 1e-4 * self.span)))
            singular = float(np.min(np.abs(scaled_curvatures(self.derivatives, point, self.span)))) < _SINGULAR
            fills = singular and near and self._continues(point)
            beside = [] if fills or extent <= _WIDE else list(self._on_curves_of(group))
            for other in beside:
                self._add(Candidate(other, False, True, curve=True))
            if extent > _WIDE and singular and near and not beside:
                self._add(Candidate(self._along_curve(point), False, True, curve=True))
                self.result.unproved.append(around)
                continue
            left = min(seconds / 2, self.until - time.thread_time())
            coarse = width > _FINE and depth < 1 and left > 0
            if coarse:
                self._search(piece, left, _inflated(around, 0.3, self.box), depth + 1)
                continue
            self.result.unproved.append(around)
            if near and self._is_zero(point):
                self._add(Candidate(self._rounded(point, around), False, True, blur=_SAME))

    def _on_curves_of(self, group: list[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield a point of each curve of zeros, told by its value, in a group of cells."""
        levels: list[float] = []
        for index in np.linspace(0, len(group) - 1, min(len(group), _PROBES_IN_GROUP)).astype(int):
            start = group[index].mean(axis=1)
            point = polished(self.derivatives, start[None], self.span)[0]
            if np.any(np.abs(point - start) > _CLOSE_BY * self.span) or not self._is_zero(point):
                continue
            level = float(self.derivatives.value(point[None])[0])
            if not any(np.isclose(level, other, rtol=1e-6, atol=1e-9) for other in levels) and self._continues(point):
                levels.append(level)
                yield self._rounded(np.clip(point, *self.box.T), np.stack([point, point], axis=1))

    def _continues(self, point: np.ndarray) -> bool:
        """Tell whether there are other zeros beside a zero, where the Hessian is singular."""
        hessian = self.derivatives.hessian(point[None])[0]
        if not np.all(np.isfinite(hessian)):
            return False
        curvatures, directions = np.linalg.eigh(hessian)
        ways = directions[:, np.abs(curvatures) <= 1e-6 * np.max(np.abs(curvatures))].T
        moved = [polished(self.derivatives, (point + 0.03 * self.span * way)[None], self.span)[0] for way in ways]
        return any(np.max(np.abs(end - point) / self.span) > 0.01 and self._is_zero(end) for end in moved)

    def _cell_is_out(self, piece: Piece, cell: np.ndarray) -> bool:
        from flint import ctx

        with ctx.workprec(PRECISION):
            return piece.is_out_of_force([ball_of(low, high) for low, high in cell])

    def _nearest_to_centre(self, group: list[np.ndarray]) -> np.ndarray:
        """Return the middle of the cell that lies nearest to the centre of the box."""
        middles = np.stack([cell.mean(axis=1) for cell in group])
        away = np.sum(((middles - self.box.mean(axis=1)) / self.span) ** 2, axis=1)
        return middles[np.argmin(away)]

    def _is_zero(self, point: np.ndarray) -> bool:
        """Tell whether the gradient at a point is zero within rounding."""
        here = np.abs(self.derivatives.gradient(point[None])[0])
        typical = np.abs(
            self.derivatives.gradient(
                point
                + 0.03 * self.span * np.concatenate([np.eye(len(point)), -np.eye(len(point)), np.ones((1, len(point)))])
            )
        )
        largest = np.max(np.where(np.isfinite(typical), typical, 0.0), axis=1)
        # The median, since next to a pole one of them is as large as any number.
        return bool(np.all(here <= 1e-7 * max(float(median(largest)), 1e-300)))

    def _rounded(self, point: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return the simplest point next to a degenerate zero at which the gradient is no larger."""
        margin = np.maximum(np.ptp(around, axis=1), 1e-6 * self.span)
        for slack in (4.0, 1.0, 0.01):
            near = [simplest(x - slack * m, x + slack * m) for x, m in zip(point, margin, strict=True)]
            rounded = np.array([x if close is None else close for x, close in zip(point, near, strict=True)])
            there, here = (np.linalg.norm(self.derivatives.gradient(p[None])[0]) for p in (rounded, point))
            if there <= here:
                return np.clip(rounded, self.box[:, 0], self.box[:, 1]) + 0.0
        return point

    def _along_curve(self, point: np.ndarray) -> np.ndarray:
        """Return the point of a curve of zeros nearest to the centre of the box."""
        centre = self.box.mean(axis=1)
        for _ in range(_STEPS_ALONG):
            hessian = self.derivatives.hessian(point[None])[0]
            if not np.all(np.isfinite(hessian)):
                break
            curvatures, directions = np.linalg.eigh(hessian)
            # The null space of the Hessian is tangent to the curve.
            along = directions[:, np.abs(curvatures) <= 1e-6 * max(float(np.max(np.abs(curvatures))), 1e-300)]
            moved = polished(self.derivatives, (point + along @ (along.T @ (centre - point)) * 0.5)[None], self.span)[0]
            if not self._is_zero(moved) or np.max(np.abs(moved - point) / self.span) < 1e-12:
                break
            point = moved
        return self._rounded(np.clip(point, self.box[:, 0], self.box[:, 1]), np.stack([point, point], axis=1))

    def _add(self, candidate: Candidate) -> None:
        """Add a candidate, unless there is one at its place; two proved zeros are two, however close together."""
        if self.result.candidates:
            points = np.array([other.point for other in self.result.candidates])
            proved = np.array([other.certified for other in self.result.candidates])
            share = np.where(proved & candidate.certified, ROUNDING, _SAME)[:, None]
            near = np.flatnonzero(np.all(np.abs(points - candidate.point) <= share * self.span, axis=1))
            if len(near):
                other = self.result.candidates[near[0]]
                if candidate.certified and not other.certified and other.is_smooth:
                    self.result.candidates[near[0]] = candidate
                return
        self.result.candidates.append(candidate)

    # Kinks

    def _search_kinks(self) -> None:
        """Add points where a kink can be critical: stationary along borders, corners and tips."""
        sided = [part for part in self.parts if part.has_two_sides]
        size = len(self.variables)
        until = time.thread_time() + self.seconds / 2
        for count in range(1, size + 1):
            for parts in itertools.islice(itertools.combinations(sided, count), _MOST_CORNERS):
                if count == 1 and size > 2 and self._add_on_plane(parts[0]):
                    continue
                for borders, body in self._on(parts):
                    if time.thread_time() > until:
                        self.result.is_complete = False
                        return
                    self._add_along(borders, body)
        for part in self.parts:
            if part.kind in ("edge", "kink", "root", "divisor"):
                self._add_tips(part)

    def _on(self, parts: Sequence[RoughPart]) -> Iterator[tuple[tuple[Expression, ...], Expression]]:
        """Yield borders and the formula on their common zeros, a pair for each choice of signs of the other borders."""
        tree = self.tree
        for part in parts:
            if part.kind == "root":  # whose slope is not finite where it is zero
                tree = replaced(tree, part.node, ZERO)
        signs = {part.border: 1 for part in self.parts if part.kind == "edge"} | {part.border: 1 for part in parts}
        others = [part.border for part in self.parts if part.has_two_sides and part.border not in signs]
        seen = set()
        for choice in itertools.product((1, -1), repeat=len(others)):
            sign = self._sign(signs | dict(zip(others, choice, strict=True)))
            pair = tuple(smooth_piece(part.border, sign) for part in parts), smooth_piece(tree, sign)
            if pair not in seen:
                seen.add(pair)
                yield pair

    def _add_along(self, borders: tuple[Expression, ...], body: Expression) -> None:
        """Add the points at which a smooth formula is stationary along borders, or at which as many as axes meet."""
        if len(borders) == len(self.variables):
            self._add_kinks(self._corner(borders))
        elif len(self.variables) == 2:
            u = Enclosure(borders[0], self.variables)
            self._add_kinks(parallel(u, Enclosure(body, self.variables)), u)
        else:
            formulas = [Formula(None, self.variables, tree) for tree in (*borders, body)]
            *met, along = map(Derivatives, formulas)
            points, curve = stationary_on(met, along, self.box)
            for point in points:
                self._add(Candidate(self._simplest(point), False, None, curve=curve))

    def _simplest(self, point: np.ndarray) -> np.ndarray:
        """Return a point with each coordinate as the simplest number next to it."""
        near = [simplest(x - m, x + m) for x, m in zip(point, 1e-12 * self.span, strict=True)]
        return np.array([x if close is None else close for x, close in zip(point, near, strict=True)]) + 0.0

    def _add_kinks(self, system: EquationSystem, border: Enclosure | None = None) -> None:
        """Add the zeros of a system, which the judge decides; where they fill a border, a few of them."""
        result = zeros(system, self.box, seconds=self.seconds / 4)
        for point in result.points():
            self._add(Candidate(self._rounded(point, np.stack([point, point], axis=1)), True, None))
        width = max((float(np.max(np.ptp(cell, axis=1) / self.span)) for cell in result.cells), default=0.0)
        for group in groups(result.cells, max(0.02 * width, 1e-6) * self.span)[:_MOST_GROUPS]:
            around = hull(group)
            if np.max(np.ptp(around, axis=1) / self.span) < _WIDE:
                near = [simplest(low - 1e-9, high + 1e-9) for low, high in around]
                middle = around.mean(axis=1)
                point = np.array([m if n is None else n for m, n in zip(middle, near, strict=True)])
                self._add(Candidate(point, False, None))
            elif border is not None:
                # The value is the same all along a stretch of the border: judge a few points, from the centre out.
                middles = np.stack([cell.mean(axis=1) for cell in group])
                away = np.sum(((middles - self.box.mean(axis=1)) / self.span) ** 2, axis=1)
                for index in np.argsort(away)[np.linspace(0, len(group) - 1, _PROBES_ALONG).astype(int)]:
                    point = self._onto(border, middles[index])
                    self._add(Candidate(self._simplest(point), False, None, curve=True))

    def _add_on_plane(self, part: RoughPart) -> bool:
        """Add the points at which the formula is stationary on a border that is a plane; tell whether it is one."""
        on_border, solved = value_on_border(part.node), solved_for_variable(part.border)
        if on_border is None or solved is None:
            return False
        variable, solution = solved
        body = with_trees(replaced(self.tree, part.node, on_border), {variable: solution})
        names = names_in(body)
        axes = [axis for axis, name in enumerate(self.variables) if name in names]
        others = tuple(self.variables[axis] for axis in axes)
        if not axes:
            return True
        derivatives = Derivatives(Formula(name=None, variables=others, body=body))
        try:
            below = survey_box(body, others, self.box[axes], derivatives, self.seconds / 4)
        except NotEnclosedError:
            return False
        level = len(axes) < len(self.variables) - 1  # the value does not change along some axis of the plane
        for candidate in below.candidates:
            point = self.box.mean(axis=1)
            point[axes] = candidate.point
            values = dict(zip(self.variables, map(np.float64, point), strict=True))
            point[self.variables.index(variable)] = float(evaluate(solution, values, numpy_functions()))
            if np.all((point >= self.box[:, 0]) & (point <= self.box[:, 1])):
                self._add(Candidate(point + 0.0, False, None, curve=candidate.curve or level))
        return True

    def _onto(self, border: Enclosure, point: np.ndarray) -> np.ndarray:
        """Return a point moved onto the zeros of a border by Newton's steps along its gradient."""
        from flint import arb, ctx

        with ctx.workprec(PRECISION):
            for _ in range(_STEPS_ONTO):
                value, gradient = border.with_gradient([arb(float(x)) for x in point])
                slope = np.array([float(part.mid()) for part in gradient])
                square = float(slope @ slope)
                if not np.isfinite(square) or square == 0:
                    break
                point = point - float(value.mid()) / square * slope
        return point

    def _sign_at_centre(self) -> Callable[[Expression], int]:
        values = {
            name: np.float64(x)
            for name, x in zip(self.variables, self.box.mean(axis=1) + 1e-3 * self.span, strict=True)
        }

        def sign(border: Expression) -> int:
            with np.errstate(all="ignore"):
                return 1 if float(evaluate(border, values, numpy_functions())) >= 0 else -1

        return sign

    def _corner(self, borders: Sequence[Expression]) -> EquationSystem:
        """Return the equations u = 0, v = 0, … of as many borders as there are variables."""
        parts = [Enclosure(border, self.variables) for border in borders]

        def jacobian(point: Sequence[Any]) -> Any:
            rows = [part.with_gradient(point) for part in parts]
            return [value for value, _ in rows], [list(gradient) for _, gradient in rows]

        return EquationSystem(lambda point: [part.value(point) for part in parts], jacobian, lambda point: False, never)

    def _add_tips(self, part: RoughPart) -> None:
        """Add the points at which a border touches zero, as x² + y² does: tips of cones, poles and gaps."""
        border = smooth_piece(part.border, self._sign_at_centre())
        if len(names_in(border)) < 2:
            return
        piece = Piece(border, ())
        result = zeros(gradient_system(piece, self.variables, None), self.box, seconds=self.seconds / 4)
        for point in result.points():
            rounded = self._rounded(point, np.stack([point, point], axis=1))
            values = {name: np.float64(x) for name, x in zip(self.variables, rounded, strict=True)}
            with np.errstate(all="ignore"):
                value = float(evaluate(border, values, numpy_functions()))
            if abs(value) <= 1e-12:
                self._add(Candidate(rounded, True, None))


def _middle(zero: Sequence[Any]) -> np.ndarray:
    return np.array([float(ball.mid()) for ball in zero])


def _inflated(box: np.ndarray, share: float, limits: np.ndarray) -> np.ndarray:
    """Return a box with a margin, within limits."""
    margin = share * np.ptp(box, axis=1, keepdims=True)
    wide = np.concatenate([box[:, :1] - margin, box[:, 1:] + margin], axis=1)
    return np.clip(wide, limits[:, :1], limits[:, 1:])
