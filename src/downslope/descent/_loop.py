"""The loop: a whole descent, or a chunk of one, as a single compiled program that writes its own record.

One row is written for the point stood at, then the step is taken; after the last step one more row is written for the
point reached. Learning rate, settings, tolerance and the number of steps are arguments of the compiled program, so that
changing them compiles nothing; what is compiled anew is named in `Recipe`.

Two kinds of record:

  - *whole* (points of up to 16 numbers, every step): value, coordinates and gradient of each row. Norms, angles and decreases
    follow from them later, off the hot path. Gradient descent runs four steps between two looks at whether to stop;
    rows past the stop are cut off afterwards, which costs 9 ns a step where a look at each costs 19.
  - *summary* (larger points, or every k-th step): the numbers themselves, with the norms by part.

The carry holds numbers one by one where the point does, which XLA keeps in registers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from downslope._engine import jax
from downslope._types import Point
from downslope.descent._method import Method
from downslope.descent._objective import Objective
from downslope.descent._rules import Rule, Step, rule_of
from downslope.descent._schedule import Schedule

UNROLLED = 4  # more than 8 makes compilation take seconds and the loop slower


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a compiled program is made for; anything else is an argument of it.

    Args:
        objective: what to go down.
        method: how to step; its settings other than `memory` are arguments.
        schedule: how the rate changes; likewise.
        clips: whether gradients are clipped (by norm, by value).
        capacity: rows of the record.
        every: steps from one row to the next.
        whole: whether coordinates and gradients are recorded.
        curvature: whether gᵀHg / gᵀg is recorded.
        hessian: whether the Hessian at both ends is returned.
    """

    objective: Objective
    method: Method
    schedule: Schedule
    clips: tuple[bool, bool]
    capacity: int
    every: int
    whole: bool
    curvature: bool
    hessian: bool

    @property
    def key(self) -> tuple[Any, ...]:
        """What two recipes must share to share a program."""
        return (
            id(self.objective),
            self.method.name,
            id(self.method.transformation),
            self.method.settings.get("memory"),
            self.schedule.name,
            id(self.schedule.function),
            self.clips,
            self.capacity,
            self.every,
            self.whole,
            self.curvature,
            self.hessian,
        )

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.key == other.key


class Given(NamedTuple):
    """The traced arguments: what may change from call to call without compiling."""

    data: Any
    rate: Any
    settings: Any
    course: Any
    budget: Any
    tolerance: Any
    clip_norm: Any
    clip_value: Any


class State(NamedTuple):
    """Where the descent stands: enough to go on from."""

    step: Any
    point: Any
    value: Any
    gradient: Any
    rule: Any
    update: Any


class Flags(NamedTuple):
    """Why to go on: all three hold while there is something to do."""

    finite: Any
    steep: Any
    moving: Any


class Chunk(NamedTuple):
    """What a compiled call returns.

    Args:
        state: the state at the end, the last finite one.
        rows: how many rows hold something, the end's included.
        flags: which of the reasons to go on held at the end.
        bad_part: index of the part that was not finite, 0 for the value itself; only if `flags.finite` is false.
        columns: the record, an array a name.
        hessians: Hessian at the start and at the end, or None.
        preconditioner: the rule's scale at the end, or None.
    """

    state: State
    rows: Any
    flags: Flags
    bad_part: Any
    columns: dict[str, Any]
    hessians: Any
    preconditioner: Any


class _Carry(NamedTuple):
    state: State
    row: Any
    flags: Flags
    bad_part: Any
    columns: dict[str, Any]


@functools.lru_cache(maxsize=64)
def program(recipe: Recipe) -> tuple[Callable[..., Chunk], Callable[..., Chunk]]:
    """Return the compiled programs of a recipe: `begin(point, steps, given)` and `go_on(state, steps, given)`.

    `steps` is how many to take at most, no more than the capacity holds.
    """
    loop = _Loop(recipe, rule_of(recipe.method))
    return jax().jit(loop.begin), jax().jit(loop.go_on)


class _Loop:
    """The functions that are traced into one program; it exists while they are traced."""

    def __init__(self, recipe: Recipe, rule: Rule) -> None:
        self.recipe = recipe
        self.rule = rule
        ahead = recipe.whole and recipe.every == 1 and rule.stateless and recipe.capacity >= 4096
        self.unroll = UNROLLED if ahead else 1
        self.exact = recipe.every > 1 or not recipe.whole

    def begin(self, point: Point, steps: Any, given: Given) -> Chunk:
        """Start at a point and take up to `steps` steps."""
        numpy = jax().numpy
        value, gradient = self._value_and_gradient(point, given)
        state = State(
            step=numpy.zeros((), int),
            point=point,
            value=value,
            gradient=gradient,
            rule=self.rule.init(point, given.settings),
            update=jax().tree.map(numpy.zeros_like, point) if self.exact else None,
        )
        return self.go_on(state, steps, given)

    def go_on(self, state: State, steps: Any, given: Given) -> Chunk:
        """Take up to `steps` more steps from a state."""
        numpy = jax().numpy
        last = state.step + steps
        first = state.point
        squared = _sum_of_squares(state.gradient)
        finite = numpy.isfinite(state.value) & numpy.isfinite(squared)
        carry = _Carry(
            state=state,
            row=numpy.zeros((), int),
            flags=Flags(finite, squared > given.tolerance**2, numpy.array(True)),
            bad_part=self._bad_part(state.value, state.gradient),
            columns=self._empty_columns(state),
        )
        carry = jax().lax.while_loop(
            lambda carry: _all(carry.flags) & (carry.state.step < last),
            lambda carry: self._block(carry, last, given),
            carry,
        )
        carry = self._write(carry, given, None)
        if not self.exact:
            carry = self._cut(carry, last, given)
        return Chunk(
            carry.state,
            carry.row + 1,
            carry.flags,
            carry.bad_part,
            carry.columns,
            self._hessians(first, carry.state.point, given) if self.recipe.hessian else None,
            self.rule.preconditioner(carry.state.rule, given.settings) if self.rule.preconditioner else None,
        )

    def _block(self, carry: _Carry, last: Any, given: Given) -> _Carry:
        """Take one recorded step (four, when running ahead), then the unrecorded ones before the next row."""
        for _ in range(self.unroll):
            carry = self._recorded_step(carry, given)
        if self.recipe.every == 1:
            return carry
        stop = jax().numpy.minimum(last, carry.state.step + self.recipe.every - 1)
        return jax().lax.while_loop(
            lambda carry: _all(carry.flags) & (carry.state.step < stop),
            lambda carry: self._advance(carry, *self._update(carry.state, given), given),
            carry,
        )

    def _recorded_step(self, carry: _Carry, given: Given) -> _Carry:
        """Write the row of the point stood at, take the step that leaves it, and write what that did."""
        update, rule = self._update(carry.state, given)
        carry = self._write(carry, given, update)
        before = carry.state.value
        carry = self._advance(carry, update, rule, given)
        if self.exact:
            carry = carry._replace(
                columns=_put(carry.columns, carry.row, {"actual_decrease": before - carry.state.value})
            )
        return carry._replace(row=carry.row + 1)

    def _update(self, state: State, given: Given) -> tuple[Point, Any]:
        """Return the update that the rule makes of the gradient here, and the rule's next state."""
        rate = self.recipe.schedule.rate(state.step, given.rate, given.budget, given.course, jax().numpy)
        step = Step(
            state.point,
            state.value,
            self._clipped(state.gradient, given),
            rate,
            given.settings,
            lambda point: self._value(point, given),
        )
        update, rule = self.rule.update(step, state.rule)
        return jax().tree.map(lambda change, leaf: change.astype(leaf.dtype), update, state.point), rule

    def _advance(self, carry: _Carry, update: Point, rule: Any, given: Given) -> _Carry:
        """Move by the update, look at the point reached, and stay where it was last finite if that can be told now."""
        numpy, tree = jax().numpy, jax().tree
        old = carry.state
        point = tree.map(lambda leaf, change: leaf + change, old.point, update)
        value, gradient = self._value_and_gradient(point, given)
        squared = _sum_of_squares(gradient)
        moved = functools.reduce(
            numpy.logical_or, [numpy.any(a != b) for a, b in zip(tree.leaves(point), tree.leaves(old.point), strict=True)]
        )
        finite = numpy.isfinite(value) & numpy.isfinite(squared)
        flags = Flags(carry.flags.finite & finite, carry.flags.steep & (squared > given.tolerance**2), moved)
        if self.recipe.method.name == "custom":
            flags = flags._replace(moving=numpy.array(True))  # a schedule inside may start from a rate of zero
        state = State(old.step + 1, point, value, gradient, rule, update if self.exact else None)
        if not self.exact:
            return carry._replace(state=state, flags=flags._replace(moving=carry.flags.moving & flags.moving))
        state = tree.map(lambda new, kept: numpy.where(finite, new, kept), state, old)
        return carry._replace(state=state, flags=flags, bad_part=self._bad_part(value, gradient))

    def _cut(self, carry: _Carry, last: Any, given: Given) -> _Carry:
        """Cut off the rows that were run ahead past the stop, and stand at the row that is left as the last.

        At most `unroll` steps were taken since the last look, so the stop is among the last `unroll` + 1 rows.
        """
        numpy, lax = jax().numpy, jax().lax
        span = self.unroll + 1
        begin = numpy.maximum(carry.row - self.unroll, 0)
        window = {name: lax.dynamic_slice_in_dim(column, begin, span) for name, column in carry.columns.items()}
        index = begin + numpy.arange(span)
        first_step = carry.state.step - carry.row
        squared = numpy.sum(window["gradients"] ** 2, axis=1)
        finite = numpy.isfinite(window["value"]) & numpy.isfinite(squared)
        still = numpy.all(window["coordinates"][1:] == window["coordinates"][:-1], axis=1)
        still = numpy.concatenate([numpy.array([False]), still]) & carry.flags.finite & ~carry.flags.moving
        flat = finite & (squared <= given.tolerance**2)
        stops = ~finite | flat | still | (first_step + index >= last) | (index >= carry.row)
        place = numpy.argmax(stops & (index <= carry.row))
        row = numpy.maximum(index[place] - ~finite[place], 0)
        kept = numpy.maximum(place - ~finite[place], 0)
        like = carry.state.point
        state = State(
            first_step + row,
            _from_row(window["coordinates"][kept], like),
            window["value"][kept],
            _from_row(window["gradients"][kept], like),
            carry.state.rule,
            None,
        )
        flags = Flags(finite[place], ~flat[place], ~still[place])
        bad = self._bad_part(window["value"][place], _from_row(window["gradients"][place], like))
        return carry._replace(state=state, row=row, flags=flags, bad_part=bad)

    def _write(self, carry: _Carry, given: Given, update: Point | None) -> _Carry:
        """Write the row of the point stood at; `update` is the step that leaves it, None at the end."""
        numpy, tree = jax().numpy, jax().tree
        state, row = carry.state, carry.row
        entries: dict[str, Any] = {"value": state.value}
        if self.recipe.whole:
            entries |= {"coordinates": tree.leaves(state.point), "gradients": tree.leaves(state.gradient)}
        if self.recipe.curvature:
            along = _sum_of_products(state.gradient, self._bend(state.point, state.gradient, given))
            entries["curvature"] = along / _sum_of_squares(state.gradient)
            if not self.rule.parallel:
                entries["update_curvature"] = (
                    numpy.nan if update is None else _sum_of_products(update, self._bend(state.point, update, given))
                )
        if self.exact:
            entries |= self._summary(state, update)
        return carry._replace(columns=_put(carry.columns, row, entries))

    def _summary(self, state: State, update: Point | None) -> dict[str, Any]:
        """Return the norms and angles of a row, which cannot be derived where rows or coordinates are missing."""
        numpy, tree = jax().numpy, jax().tree
        leaving = tree.map(lambda leaf: numpy.full_like(leaf, numpy.nan), state.point) if update is None else update
        length = numpy.sqrt(_sum_of_squares(leaving))
        cosine = _sum_of_products(leaving, state.update) / (length * numpy.sqrt(_sum_of_squares(state.update)))
        summary = {
            "step": state.step,
            "gradient_norm": numpy.sqrt(_sum_of_squares(state.gradient)),
            "update_norm": length,
            "cosine": cosine,
            "actual_decrease": numpy.nan,
            "first_order_decrease": -_sum_of_products(state.gradient, leaving),
        }
        if not self.recipe.whole:
            summary |= {
                "parts/parameter_norm": _norms_by_part(state.point),
                "parts/gradient_norm": _norms_by_part(state.gradient),
                "parts/update_norm": _norms_by_part(leaving),
            }
        return summary

    def _empty_columns(self, state: State) -> dict[str, Any]:
        """Return room for the record, shaped like one row of it."""
        columns = jax().eval_shape(
            lambda state: self._row_shapes(state),
            state,
        )
        rows = self.recipe.capacity + self.unroll + 1
        return {name: jax().lax.empty((rows, *like.shape), like.dtype) for name, like in columns.items()}

    def _row_shapes(self, state: State) -> dict[str, Any]:
        """Return one row's entries as arrays, for their shapes alone."""
        numpy, tree = jax().numpy, jax().tree
        number = state.value
        row: dict[str, Any] = {"value": number}
        if self.recipe.whole:
            flat = numpy.concatenate([numpy.ravel(leaf) for leaf in tree.leaves(state.point)])
            row |= {"coordinates": flat, "gradients": flat}
        if self.recipe.curvature:
            row |= {"curvature": number} | ({} if self.rule.parallel else {"update_curvature": number})
        if self.exact:
            row |= self._summary(state, None)
        return row

    def _value(self, point: Point, given: Given) -> Any:
        return self.recipe.objective.function(point, given.data)

    def _value_and_gradient(self, point: Point, given: Given) -> tuple[Any, Point]:
        return jax().value_and_grad(self._value)(point, given)

    def _bend(self, point: Point, along: Point, given: Given) -> Point:
        """Return the Hessian times a vector: the derivative of the gradient along it."""
        return jax().jvp(lambda at: jax().grad(self._value)(at, given), (point,), (along,))[1]

    def _hessians(self, start: Point, end: Point, given: Given) -> Any:
        """Return the Hessian at both points, shape (2, size, size)."""
        ravel = jax().flatten_util.ravel_pytree
        flat, unravel = ravel(start)
        hessian = jax().hessian(lambda coordinates: self._value(unravel(coordinates), given))
        return jax().lax.map(hessian, jax().numpy.stack([flat, ravel(end)[0]]))

    def _bad_part(self, value: Any, gradient: Point) -> Any:
        """Return 0 if the value is not finite, else 1 + the index of the first part whose gradient is not."""
        numpy = jax().numpy
        finite = [numpy.isfinite(value)] + [numpy.isfinite(numpy.sum(g * g)) for g in jax().tree.leaves(gradient)]
        return numpy.argmin(numpy.stack(finite))

    def _clipped(self, gradient: Point, given: Given) -> Point:
        """Return the gradient, its entries cut and then its norm, as the plan says."""
        numpy, tree = jax().numpy, jax().tree
        by_norm, by_value = self.recipe.clips
        if by_value:
            gradient = tree.map(lambda g: numpy.clip(g, -given.clip_value, given.clip_value), gradient)
        if by_norm:
            norm = numpy.sqrt(_sum_of_squares(gradient))
            shrink = numpy.where(norm > given.clip_norm, given.clip_norm / norm, 1.0)
            gradient = tree.map(lambda g: g * shrink, gradient)
        return gradient


def _put(columns: dict[str, Any], row: Any, entries: dict[str, Any]) -> dict[str, Any]:
    """Return the columns with a row's entries written; a list is written number by number, which stays in registers."""
    lax, numpy = jax().lax, jax().numpy
    columns = dict(columns)
    for name, entry in entries.items():
        column = columns[name]
        if not isinstance(entry, list):
            columns[name] = lax.dynamic_update_index_in_dim(column, numpy.asarray(entry, column.dtype), row, 0)
            continue
        place = 0
        for leaf in entry:
            piece = numpy.reshape(leaf, (1, -1))
            column = lax.dynamic_update_slice(column, piece.astype(column.dtype), (row, place))
            place += piece.shape[1]
        columns[name] = column
    return columns


def _from_row(row: Any, like: Point) -> Point:
    """Return the point whose numbers, leaf after leaf, are those of a row."""
    leaves, shape = jax().tree.flatten(like)
    numbers, place = [], 0
    for leaf in leaves:
        numbers.append(jax().numpy.reshape(row[place : place + leaf.size], leaf.shape).astype(leaf.dtype))
        place += leaf.size
    return jax().tree.unflatten(shape, numbers)


def _all(flags: Flags) -> Any:
    """Return whether every reason to go on holds."""
    return flags.finite & flags.steep & flags.moving


def _sum_of_products(one: Point, other: Point) -> Any:
    """Return the inner product of two trees of one shape."""
    tree, numpy = jax().tree, jax().numpy
    return sum(numpy.sum(a * b) for a, b in zip(tree.leaves(one), tree.leaves(other), strict=True))


def _sum_of_squares(point: Point) -> Any:
    """Return the squared norm of a tree."""
    return _sum_of_products(point, point)


def _norms_by_part(point: Point) -> Any:
    """Return the norm of each leaf, shape (parts,)."""
    numpy = jax().numpy
    return numpy.stack([numpy.sqrt(numpy.sum(leaf * leaf)) for leaf in jax().tree.leaves(point)])
