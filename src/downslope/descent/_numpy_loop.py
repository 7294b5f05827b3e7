"""The loop without compilation: a Python loop over NumPy vectors, for descents that are faster than compiling.

It takes the same steps by the same rules (`methods`, in the array interface) and writes the same record as the compiled
loop of `_loop`. A formula is evaluated on plain floats, or on the columns of a table; its derivatives are our own.
Curvatures along the way are measured when a chunk has ended, at all of its rows together.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from downslope._arrays import NUMPY_ARRAYS
from downslope._types import Columns, Point
from downslope.descent._recipe import (
    Arguments,
    Chunk,
    LoopProgram,
    LoopState,
    Recipe,
    Status,
    clipped,
    layout,
)
from downslope.formulas import ARRAYS, FLOATS, Formula, NumericFormula
from downslope.methods import Rule, RuleInput, rule_of

_MOST_NUMBERS = 1 << 20  # of an intermediate result over rows of the record and rows of the table


class NumericObjective:
    """A formula as a function of the vector of its variables.

    Args:
        formula: the formula.
        data: the table's columns, or none.
        names: the variables in the order of a vector; None for that in which a point's parts stand.
    """

    def __init__(self, formula: Formula, data: Columns, names: Sequence[str] | None = None) -> None:
        self.names = tuple(sorted(formula.variables)) if names is None else tuple(names)
        self._data = data
        self._formula = formula
        self._single = NumericFormula(formula, ARRAYS if data else FLOATS, data)
        # Where each variable stands in the vector, and where each part of the vector stands among the variables.
        self._taken = [self.names.index(name) for name in formula.variables]
        self._returned = [formula.variables.index(name) for name in self.names]
        self._in_order = self._taken == self._returned == list(range(len(self.names)))

    def __call__(self, vector: np.ndarray) -> np.float64:
        """Return the value at a vector."""
        return np.float64(self._single.value(self._values(vector)))

    def values_and_gradients(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and gradients at many vectors, shape (rows, size) → (rows,), (rows, size)."""
        value, gradient = self._many.value_and_gradient(self._points(vectors))
        values, gradients = np.empty(len(vectors)), np.empty(vectors.shape)
        values[:] = np.ravel(value)
        for column, index in enumerate(self._returned):
            gradients[:, column] = np.ravel(gradient[index])
        return values, gradients

    def second_order(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return values, gradients and Hessians at many vectors, shapes (rows,), (rows, size), (rows, size, size)."""
        count, size = vectors.shape
        values, gradients, hessians = np.empty(count), np.empty((count, size)), np.empty((count, size, size))
        for piece in self._blocks(count):
            value, gradient, matrix = self._many.value_gradient_hessian(self._points(vectors[piece]))
            values[piece] = np.ravel(value)
            for row, index in enumerate(self._returned):
                gradients[piece, row] = np.ravel(gradient[index])
                for column, other in enumerate(self._returned):
                    hessians[piece, row, column] = np.ravel(matrix[index][other])
        return values, gradients, hessians

    def value_and_gradient(self, vector: np.ndarray) -> tuple[np.float64, np.ndarray]:
        """Return the value and the gradient at a vector."""
        value, gradient = self._single.value_and_gradient(self._values(vector))
        return np.float64(value), self._vector(gradient)

    def hessian(self, vector: np.ndarray) -> np.ndarray:
        """Return the Hessian at a vector, shape (size, size)."""
        matrix = np.array(self._single.hessian(self._values(vector)), dtype=float)
        return matrix[np.ix_(self._returned, self._returned)]

    def bends(self, vectors: np.ndarray, along: np.ndarray) -> np.ndarray:
        """Return uᵀHu at many vectors for a direction u each, shapes (rows, size), (rows, size) → (rows,)."""
        return np.concatenate([self._bends(vectors[piece], along[piece]) for piece in self._blocks(len(vectors))])

    def _blocks(self, count: int) -> list[slice]:
        """Return the parts of many vectors whose intermediate results fit into memory."""
        table = next(iter(self._data.values()), None)
        block = max(1, _MOST_NUMBERS // (1 if table is None else len(table)))
        return [slice(first, first + block) for first in range(0, count, block)]

    def _bends(self, vectors: np.ndarray, along: np.ndarray) -> np.ndarray:
        point, direction = self._points(vectors), self._points(along)
        product = self._many.hessian_times(point, direction)
        terms = [np.broadcast_to(entry, direction[0].shape) * u for entry, u in zip(product, direction, strict=True)]
        return sum(terms[1:], terms[0]).reshape(-1)

    @functools.cached_property
    def _many(self) -> NumericFormula:
        return NumericFormula(self._formula, ARRAYS, self._data)

    def _points(self, vectors: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of each variable; beside the rows of a table, points have an axis of their own."""
        columns = [vectors[:, index] for index in self._taken]
        return [column[:, None] for column in columns] if self._data else columns

    def _values(self, vector: np.ndarray) -> Sequence[Any]:
        # NumPy's own numbers where the table's columns are NumPy's too: a quotient of Python's raises an error at 0.
        values: Sequence[Any] = list(vector) if self._data else vector.tolist()
        return values if self._in_order else [values[index] for index in self._taken]

    def _vector(self, entries: Sequence[Any]) -> np.ndarray:
        return np.array(entries if self._in_order else [entries[index] for index in self._returned], dtype=float)


def numpy_program(recipe: Recipe) -> LoopProgram:
    """Return the functions of a recipe that take its steps in NumPy."""
    loop = _NumpyLoop(recipe, rule_of(recipe.method, NUMPY_ARRAYS))
    return LoopProgram(loop.begin, loop.go_on, loop.layout, False)


class _RecordedStep(NamedTuple):
    """A row of the record: the current point, and the step from it, NaN at the end."""

    state: LoopState
    update: np.ndarray


def _columns(rows: list[_RecordedStep], decreases: list[Any]) -> dict[str, np.ndarray]:
    """Return rows as columns."""
    return {
        "value": np.array([row.state.value for row in rows], dtype=float),
        "points": np.array([row.state.point for row in rows]),
        "gradients": np.array([row.state.gradient for row in rows]),
        "updates": np.array([row.update for row in rows]),
        "arrivals": np.array([row.state.update for row in rows]),
        "actual_decrease": np.array(decreases, dtype=float),
    }


class _NumpyLoop:
    """The functions of one recipe."""

    def __init__(self, recipe: Recipe, rule: Rule) -> None:
        self.recipe = recipe
        self.rule = rule
        self.layout = layout(recipe, rule)
        # An objective over no table is made once; tables are not kept alive.
        self._plain = NumericObjective(recipe.formula, {}) if not recipe.formula.columns else None

    def begin(self, point: Point, first: Any, steps: Any, arguments: Arguments) -> Chunk:
        """Start at a point, which is that of step `first`, and take up to `steps` steps."""
        with np.errstate(all="ignore"):
            goal = self._goal(arguments)
            vector = np.array([point[name] for name in goal.names], dtype=float)
            value, gradient = goal.value_and_gradient(vector)
            rule = self.rule.init(vector, arguments.settings)
            state = LoopState(int(first), vector, value, gradient, rule, np.zeros_like(vector))
            return self._run(goal, state, int(steps), arguments)

    def go_on(self, state: LoopState, steps: Any, arguments: Arguments) -> Chunk:
        """Take up to `steps` more steps from a state."""
        with np.errstate(all="ignore"):
            goal = self._goal(arguments)
            vector = np.array([state.point[name] for name in goal.names], dtype=float)
            return self._run(goal, state._replace(point=vector), int(steps), arguments)

    def _goal(self, arguments: Arguments) -> NumericObjective:
        return self._plain or NumericObjective(self.recipe.formula, arguments.data)

    def _run(self, goal: NumericObjective, state: LoopState, steps: int, arguments: Arguments) -> Chunk:
        """Take the steps of a chunk; at each, the same conditions to go on as in the compiled loop."""
        start, first, last, every = state.point, state.step, state.step + steps, self.recipe.every
        limit = float(arguments.tolerance) ** 2
        finite, square = _finite_and_square(state.value, state.gradient)
        steep, moving, bad_part, leads = square > limit, True, _bad_part(state.value, state.gradient), True
        rows: list[_RecordedStep] = []
        decreases: list[Any] = []
        while finite and steep and moving and state.step < last:
            update, rule = self._update(goal, state, arguments)
            leads = (state.step - first) % every != 0
            if not leads:
                rows.append(_RecordedStep(state, update))
            point = state.point + update
            value, gradient = goal.value_and_gradient(point)
            finite, square = _finite_and_square(value, gradient)
            steep, moving = steep and square > limit, point.tolist() != state.point.tolist()
            if not finite:
                bad_part = _bad_part(value, gradient)
                break
            if not leads:
                decreases.append(state.value - value)
            state = LoopState(state.step + 1, point, value, gradient, rule, update)
        if not finite and not leads:
            rows.pop()  # its step leads nowhere: the point is the last
        rows.append(_RecordedStep(state, np.full_like(state.point, np.nan)))
        decreases.append(np.nan)
        status = Status(len(rows), state.step, int(finite), int(steep), int(moving), bad_part)
        hessians = np.stack([goal.hessian(start), goal.hessian(state.point)]) if self.recipe.hessian else None
        return Chunk(
            np.array(status),
            state._replace(point=dict(zip(goal.names, state.point, strict=True))),
            record_of(self.recipe, self.rule, goal, _columns(rows, decreases)),
            hessians,
            self._preconditioner(goal, state, arguments),
        )

    def _update(self, goal: NumericObjective, state: LoopState, arguments: Arguments) -> tuple[np.ndarray, Any]:
        """Return the update that the rule makes of the gradient here, and the rule's next state."""
        rate = self.recipe.schedule.rate(state.step, arguments.rate, arguments.budget, arguments.course, np)
        gradient = clipped(NUMPY_ARRAYS, state.gradient, self.recipe.clips, arguments)
        step = RuleInput(state.point, state.value, gradient, rate, arguments.settings, goal)
        return self.rule.update(step, state.rule)

    def _preconditioner(self, goal: NumericObjective, state: LoopState, arguments: Arguments) -> Any:
        """Return the rule's scale by name, or None."""
        if self.rule.preconditioner is None:
            return None
        scale = self.rule.preconditioner(state.rule, arguments.settings)
        return dict(zip(goal.names, scale, strict=True))


def record_of(recipe: Recipe, rule: Rule, goal: NumericObjective, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Return a record as the compiled loop writes it, shape (entries, rows).

    Args:
        recipe: what is recorded.
        rule: the rule of its method.
        goal: the objective.
        columns: by row: "value", shape (rows,); "points", "gradients" and "updates", shape (rows, size); for a recipe
            that tests every step also "arrivals", the update that led to the row, and "actual_decrease".
    """
    points, gradients, updates = columns["points"], columns["gradients"], columns["updates"]
    record: dict[str, Any] = {"value": columns["value"]}
    if recipe.whole:
        record |= {"coordinates": points.T, "gradients": gradients.T}
    if recipe.curvature:
        record["curvature"] = goal.bends(points, gradients) / squares(gradients)
        if not rule.parallel:
            record["update_curvature"] = goal.bends(points, updates)
    if recipe.exact:
        record |= _summary(recipe, columns)
    return np.concatenate([np.atleast_2d(record[name]) for name in layout(recipe, rule)])


def _summary(recipe: Recipe, columns: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return the norms and angles of the rows, as the compiled loop's `_summary`."""
    points, gradients, updates = columns["points"], columns["gradients"], columns["updates"]
    lengths, arrivals = np.sqrt(squares(updates)), columns["arrivals"]
    summary = {
        "gradient_norm": np.sqrt(squares(gradients)),
        "update_norm": lengths,
        "cosine": np.sum(updates * arrivals, axis=1) / (lengths * np.sqrt(squares(arrivals))),
        "actual_decrease": columns["actual_decrease"],
        "first_order_decrease": -np.sum(gradients * updates, axis=1),
    }
    if recipe.whole:
        return summary
    of_parts = {"parameter_norm": points, "gradient_norm": gradients, "update_norm": updates}
    return summary | {f"parts/{name}": np.abs(vectors).T for name, vectors in of_parts.items()}


def _finite_and_square(value: Any, gradient: np.ndarray) -> tuple[bool, float]:
    """Return whether the value and every entry of the gradient are finite, and the square of its norm."""
    square = float(gradient @ gradient)
    # A square that is finite needs no look at the entries, of which ∞ or NaN would have made it the same.
    return math.isfinite(value) and (math.isfinite(square) or bool(np.isfinite(gradient).all())), square


def _bad_part(value: Any, gradient: np.ndarray) -> int:
    """Return 0 if the value is not finite, else 1 + the index of the first part whose gradient is not."""
    finite = np.isfinite(gradient)
    return 0 if finite.all() or not math.isfinite(value) else 1 + int(np.argmin(finite))


def squares(vectors: np.ndarray) -> np.ndarray:
    """Return the squared length of each row."""
    return np.sum(vectors * vectors, axis=1)
