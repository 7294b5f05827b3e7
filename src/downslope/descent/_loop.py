"""The loop: a whole descent, or a chunk of one, as a single compiled program that writes its own record.

One row is written for the point stood at, then the step is taken; after the last step one more row is written for the
point reached. Learning rate, settings, tolerance and the number of steps are arguments of the compiled program, so that
changing them compiles nothing; what is compiled anew is named in `Recipe`.

Two kinds of record:

  - *whole* (points of up to 16 numbers, every step): value, coordinates and gradient of each row. Norms, angles and
    decreases follow from them later, off the hot path. Gradient descent runs four steps between two looks at whether
    to stop; the host cuts off the rows past the stop. That is 10 ns a step, where a look at each step costs 19.
  - *summary* (larger points, or every k-th step): the numbers themselves, with the norms by part.

The carry holds numbers one by one where the point does, which XLA keeps in registers.
"""

from __future__ import annotations

import functools
import operator
from typing import Any, NamedTuple

from downslope._arrays import JAX_ARRAYS, norms_by_part, sum_of_products, sum_of_squares
from downslope._engine import jax
from downslope._types import Point
from downslope.descent._recipe import (
    UNROLLED,
    Arguments,
    Chunk,
    Flags,
    LoopProgram,
    LoopState,
    Recipe,
    clipped,
    layout,
)
from downslope.methods import Rule, RuleInput, rule_of

_LONG = 4096  # rows from which on the shorter loop pays for the longer compilation


class _LoopCarry(NamedTuple):
    state: LoopState
    row: Any
    flags: Flags
    bad_part: Any
    record: Any


def program(recipe: Recipe) -> LoopProgram:
    """Return the programs of a recipe, not yet compiled; the steps to take must fit into the capacity."""
    loop = _Loop(recipe, rule_of(recipe.method))
    return LoopProgram(jax().jit(loop.begin), jax().jit(loop.go_on), loop.layout, not loop.exact)


class _Loop:
    """The functions that are traced into one program; it exists while they are traced."""

    def __init__(self, recipe: Recipe, rule: Rule) -> None:
        self.recipe = recipe
        self.rule = rule
        self.exact = recipe.exact
        self.forgets = not self.exact and rule.stateless
        self.unroll = UNROLLED if self.forgets and recipe.capacity >= _LONG else 1
        self.layout = layout(recipe, rule)

    def begin(self, point: Point, first: Any, steps: Any, arguments: Arguments) -> Chunk:
        """Start at a point, which is that of step `first`, and take up to `steps` steps."""
        numpy = jax().numpy
        value, gradient = self._value_and_gradient(point, arguments)
        state = LoopState(
            step=numpy.asarray(first, int),
            point=point,
            value=value,
            gradient=gradient,
            rule=self.rule.init(point, arguments.settings),
            update=jax().tree.map(numpy.zeros_like, point) if self.exact else None,
        )
        return self.go_on(state, steps, arguments)

    def go_on(self, state: LoopState, steps: Any, arguments: Arguments) -> Chunk:
        """Take up to `steps` more steps from a state."""
        numpy = jax().numpy
        last = state.step + steps
        first = state.point
        # Squares are compared, as a square root in the condition of the loop would cost more than a small step.
        steep = sum_of_squares(state.gradient) > arguments.tolerance**2
        carry = _LoopCarry(
            state=state,
            row=numpy.zeros((), int),
            flags=Flags(_finite(state.value, state.gradient), steep, numpy.array(True)),
            bad_part=self._bad_part(state.value, state.gradient),
            record=self._empty_record(state),
        )
        carry = jax().lax.while_loop(
            lambda carry: _all(carry.flags) & (carry.state.step < last),
            lambda carry: self._block(carry, last, arguments),
            carry,
        )
        carry = self._write(carry, arguments, None)
        status = (carry.row + 1, carry.state.step, *carry.flags, carry.bad_part)
        return Chunk(
            jax().numpy.stack([numpy.asarray(number, int) for number in status]),
            None if self.forgets else carry.state,
            carry.record,
            self._hessians(first, carry.state.point, arguments) if self.recipe.hessian else None,
            self.rule.preconditioner(carry.state.rule, arguments.settings) if self.rule.preconditioner else None,
        )

    def _block(self, carry: _LoopCarry, last: Any, arguments: Arguments) -> _LoopCarry:
        """Take one recorded step (four, when running ahead), then the unrecorded ones before the next row."""
        # Unrolled, one test for the end serves four steps; a rule without state can be run on past the end unharmed.
        for _ in range(self.unroll):
            before = carry.state
            carry = self._recorded_step(carry, arguments)
        if not self.exact:
            return self._looked(carry, before, arguments)
        if self.recipe.every == 1:
            return carry
        stop = jax().numpy.minimum(last, carry.state.step + self.recipe.every - 1)
        return jax().lax.while_loop(
            lambda carry: _all(carry.flags) & (carry.state.step < stop),
            lambda carry: self._stepped(carry, *self._update(carry.state, arguments), arguments),
            carry,
        )

    def _recorded_step(self, carry: _LoopCarry, arguments: Arguments) -> _LoopCarry:
        """Write the row of the current point, take the step from it, and write the result of the step."""
        update, rule = self._update(carry.state, arguments)
        # The row is written before the step, so that it holds the point together with the step that leaves it.
        carry = self._write(carry, arguments, update)
        before = carry.state.value
        carry = self._stepped(carry, update, rule, arguments)
        if self.exact:
            carry = carry._replace(record=self._put(carry, {"actual_decrease": before - carry.state.value}))
        # A step that leads nowhere is no step: the row of the point that it left becomes the last.
        return carry._replace(row=carry.row + (carry.flags.finite.astype(int) if self.exact else 1))

    def _update(self, state: LoopState, arguments: Arguments) -> tuple[Point, Any]:
        """Return the update that the rule makes of the gradient here, and the rule's next state."""
        rate = self.recipe.schedule.rate(state.step, arguments.rate, arguments.budget, arguments.course, jax().numpy)
        step = RuleInput(
            state.point,
            state.value,
            clipped(JAX_ARRAYS, state.gradient, self.recipe.clips, arguments),
            rate,
            arguments.settings,
            lambda point: self._value(point, arguments),
        )
        update, rule = self.rule.update(step, state.rule)
        return jax().tree.map(lambda change, leaf: change.astype(leaf.dtype), update, state.point), rule

    def _stepped(self, carry: _LoopCarry, update: Point, rule: Any, arguments: Arguments) -> _LoopCarry:
        """Move by the update; if every step is tested, stay at the last finite point."""
        tree, old = jax().tree, carry.state
        point = tree.map(lambda leaf, change: leaf + change, old.point, update)
        value, gradient = self._value_and_gradient(point, arguments)
        new = LoopState(old.step + 1, point, value, gradient, rule, update if self.exact else None)
        steep = carry.flags.steep & (sum_of_squares(gradient) > arguments.tolerance**2)
        carry = carry._replace(state=new, flags=carry.flags._replace(steep=steep))
        if not self.exact:
            return carry
        carry = self._looked(carry, old, arguments)
        finite = carry.flags.finite
        # A select over the whole state, not a `cond`: under XLA a branch would copy everything that is carried.
        kept = tree.map(lambda reached, left: jax().numpy.where(finite, reached, left), new, old)
        return carry._replace(state=kept, bad_part=self._bad_part(value, gradient))

    def _looked(self, carry: _LoopCarry, before: LoopState, arguments: Arguments) -> _LoopCarry:
        """Record whether the new point is finite, and whether the last step moved at all."""
        numpy, tree = jax().numpy, jax().tree
        state = carry.state
        # Nothing moved at all: the update is below the rounding of every coordinate, and will be in every later step.
        pairs = zip(tree.leaves(state.point), tree.leaves(before.point), strict=True)
        moved = ~functools.reduce(operator.and_, [_every(a == b) for a, b in pairs])
        if self.recipe.method.transformation is not None:
            moved = numpy.array(True)  # a schedule inside may start from a rate of zero
        return carry._replace(flags=Flags(_finite(state.value, state.gradient), carry.flags.steep, moved))

    def _write(self, carry: _LoopCarry, arguments: Arguments, update: Point | None) -> _LoopCarry:
        """Write the row of the current point; `update` is the step from it, None at the end."""
        numpy, tree = jax().numpy, jax().tree
        state = carry.state
        entries: dict[str, Any] = {"value": state.value}
        if self.recipe.whole:
            entries |= {"coordinates": tree.leaves(state.point), "gradients": tree.leaves(state.gradient)}
        if self.recipe.curvature:
            along = sum_of_products(state.gradient, self._bend(state.point, state.gradient, arguments))
            entries["curvature"] = along / sum_of_squares(state.gradient)
            if not self.rule.parallel:
                entries["update_curvature"] = (
                    numpy.nan if update is None else sum_of_products(update, self._bend(state.point, update, arguments))
                )
        if self.exact:
            entries |= self._summary(state, update)
        return carry._replace(record=self._put(carry, entries))

    def _summary(self, state: LoopState, update: Point | None) -> dict[str, Any]:
        """Return the norms and angles of a row, which cannot be derived where rows or coordinates are missing."""
        numpy, tree = jax().numpy, jax().tree
        # The end point has no step that leaves it: its row says NaN.
        leaving = tree.map(lambda leaf: numpy.full_like(leaf, numpy.nan), state.point) if update is None else update
        length = numpy.sqrt(sum_of_squares(leaving))
        cosine = sum_of_products(leaving, state.update) / (length * numpy.sqrt(sum_of_squares(state.update)))
        summary = {
            "gradient_norm": numpy.sqrt(sum_of_squares(state.gradient)),
            "update_norm": length,
            "cosine": cosine,
            "actual_decrease": numpy.nan,
            "first_order_decrease": -sum_of_products(state.gradient, leaving),
        }
        if not self.recipe.whole:
            summary |= {
                "parts/parameter_norm": norms_by_part(state.point),
                "parts/gradient_norm": norms_by_part(state.gradient),
                "parts/update_norm": norms_by_part(leaving),
            }
        return summary

    def _empty_record(self, state: LoopState) -> Any:
        """Return room for the record, a row of it along the first axis so that each quantity lies together."""
        entries = sum(width for _, width in self.layout.values())
        # Uninitialised, since every row that counts is written; `unroll` rows of room for steps past the stop, and one.
        return jax().lax.empty((entries, self.recipe.capacity + self.unroll + 1), state.value.dtype)

    def _put(self, carry: _LoopCarry, entries: dict[str, Any]) -> Any:
        """Return the record with entries of a row written; a list is written leaf by leaf, which stays in registers."""
        numpy, record = jax().numpy, carry.record
        for name, entry in entries.items():
            index, _ = self.layout[name]
            for leaf in entry if isinstance(entry, list) else [entry]:
                column = numpy.reshape(numpy.asarray(leaf, record.dtype), (-1, 1))
                record = jax().lax.dynamic_update_slice(record, column, (index, carry.row))
                index += len(column)
        return record

    def _value(self, point: Point, arguments: Arguments) -> Any:
        return self.recipe.function(point, arguments.data)

    def _value_and_gradient(self, point: Point, arguments: Arguments) -> tuple[Any, Point]:
        return jax().value_and_grad(self._value)(point, arguments)

    def _bend(self, point: Point, along: Point, arguments: Arguments) -> Point:
        """Return the Hessian times a vector: the derivative of the gradient along it."""
        # Forward over reverse: one gradient's memory and about twice its time, whatever the size (Pearlmutter 1994).
        return jax().jvp(lambda at: jax().grad(self._value)(at, arguments), (point,), (along,))[1]

    def _hessians(self, start: Point, end: Point, arguments: Arguments) -> Any:
        """Return the Hessian at both points, shape (2, size, size)."""
        ravel = jax().flatten_util.ravel_pytree
        flat, unravel = ravel(start)
        hessian = jax().hessian(lambda coordinates: self._value(unravel(coordinates), arguments))
        return jax().lax.map(hessian, jax().numpy.stack([flat, ravel(end)[0]]))

    def _bad_part(self, value: Any, gradient: Point) -> Any:
        """Return 0 if the value is not finite, else 1 + the index of the first part whose gradient is not."""
        numpy = jax().numpy
        # Backwards, so that the first of several wins; a select for each leaf needs no search on the device.
        bad = numpy.zeros((), int)
        for index, leaf in reversed(list(enumerate((value, *jax().tree.leaves(gradient))))):
            bad = jax().lax.select(_every(jax().lax.is_finite(leaf)), bad, numpy.full((), index))
        return bad


def _all(flags: Flags) -> Any:
    """Return whether all conditions to continue hold."""
    return flags.finite & flags.steep & flags.moving


def _finite(value: Any, gradient: Point) -> Any:
    """Return whether the value and every entry of the gradient are finite."""
    finite = [_every(jax().lax.is_finite(leaf)) for leaf in (value, *jax().tree.leaves(gradient))]
    return functools.reduce(operator.and_, finite)


def _every(leaf: Any) -> Any:
    """Return whether all of an array holds; a plain truth value is its own."""
    return leaf if leaf.ndim == 0 else jax().numpy.all(leaf)
