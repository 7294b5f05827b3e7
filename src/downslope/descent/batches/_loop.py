"""The loop over batches: a chunk of steps as one compiled program that writes its own record.

Every step writes the batch's loss and the gradient's norm. Every k-th step is a recording one and writes norms by part
and the layers' statistics as well; the k − 1 steps between run in a loop of their own, since a condition
inside one loop would copy all that is carried. The number of steps, the rate and the settings are arguments.

A step whose loss or gradient is not finite ends the chunk. The state that comes back then holds NaN, and the host runs
the same steps again up to the one before: a guard in the loop would copy the whole state in each step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from downslope._arrays import JAX_ARRAYS, norms_by_part, sum_of_products, sum_of_squares
from downslope._copies import has_name
from downslope._engine import jax
from downslope._types import Point
from downslope.descent._recipe import Arguments, clipped, way_of
from downslope.descent.batches._batched import GRADIENT_COLUMN, LAYER_COLUMNS, PART_COLUMNS, BatchFunctions
from downslope.descent.batches._layout import DeviceLayout
from downslope.methods import Method, Rule, RuleInput, Schedule, rule_of


@dataclass(frozen=True, eq=False)
class BatchRecipe:
    """The structure that a program is compiled for; everything else is an argument of it.

    Args:
        functions: the loss of a batch, and the look into the layers.
        method, schedule: how to step, and how the rate changes; their numbers are arguments.
        clips: whether gradients are clipped (by norm, by value).
        capacity: the most steps of a chunk.
        every: steps from one recording step to the next; 0 for none at all, which halves the program.
        accumulate: batches averaged for one step.
        whole: whether every step sees all the examples.
        parts: how many leaves a point has.
        layout: the devices that each take a part of every batch.
    """

    functions: BatchFunctions
    method: Method
    schedule: Schedule
    clips: tuple[bool, bool]
    capacity: int
    every: int
    accumulate: int
    whole: bool
    parts: int
    layout: DeviceLayout = field(default_factory=DeviceLayout)

    @property
    def key(self) -> tuple[Any, ...]:
        """The values that two recipes of one objective must share to share a program."""
        numbers = (self.clips, self.capacity, self.every, self.accumulate, self.whole, self.parts)
        return (way_of(self.method, self.schedule), numbers, self.layout.mesh, self.layout.divides_state)

    @property
    def is_own(self) -> bool:
        """Whether neither method nor schedule closes over anything, which may be changed from call to call.

        A function with a name in a module closes over nothing, and a copy of what has it has the same one.
        """
        return all(map(has_name, (self.schedule.function or has_name, *(self.method.transformation or ()))))

    @property
    def widths(self) -> dict[str, int]:
        """The numbers of a recorded step, by name."""
        layers = len(self.functions.layers) if self.functions.seen is not None else 0
        by_part = dict.fromkeys(PART_COLUMNS, self.parts)
        by_layer = dict.fromkeys((*LAYER_COLUMNS, GRADIENT_COLUMN), layers)
        return {"first_order_decrease": 1} | by_part | {f"layer/{name}": width for name, width in by_layer.items()}


class BatchState(NamedTuple):
    """The state of a training between two steps, from which it can continue."""

    step: Any
    point: Any
    memory: Any
    rule: Any


class BatchChunk(NamedTuple):
    """The result of a compiled call.

    Args:
        state: the state after the last step.
        taken: steps taken; the one after the last finite step is not counted.
        finite: whether all of them were finite.
        every_step: shape (2, capacity): loss and gradient norm.
        recorded: shape (recording steps, entries), laid out as `BatchRecipe.widths` says.
    """

    state: BatchState
    taken: Any
    finite: Any
    every_step: Any
    recorded: Any


class BatchProgram(NamedTuple):
    """The compiled programs of a recipe.

    Args:
        begin: `begin(point, memory, settings)` returns the state before the first step.
        run: `run(state, count, examples, order, arguments)` takes up to `count` steps.
        slope: `slope(state, batch, settings)` returns loss and gradient of the state's step.
        scale: `scale(rule state, settings)` returns what the rule divides each coordinate by; None if it does not.
    """

    begin: Callable[..., BatchState]
    run: Callable[..., BatchChunk]
    slope: Callable[..., tuple[Any, Any]]
    scale: Callable[..., Any] | None


class _BatchCarry(NamedTuple):
    state: BatchState
    index: Any
    finite: Any
    every_step: Any
    recorded: Any


def batch_program(recipe: BatchRecipe) -> BatchProgram:
    """Return the programs of a recipe."""
    rule = rule_of(recipe.method)
    loop = _BatchLoop(recipe, rule)
    jit, scale, layout = jax().jit, rule.preconditioner, recipe.layout
    if layout.mesh is None:
        return BatchProgram(jit(loop.begin), jit(loop.run), jit(loop.slope), None if scale is None else jit(scale))
    # What comes back is the same on each device, so that every process reads it; but for a state that is divided.
    same = layout.sharding()
    state: Any = BatchState(same, same, same, None) if layout.divides_state else same
    run = jit(loop.run, out_shardings=BatchChunk(state, same, same, same, same))
    if not layout.divides_state:
        return BatchProgram(jit(loop.begin), run, jit(loop.slope), None if scale is None else jit(scale))
    begin = jit(loop.begin, out_shardings=state)
    return BatchProgram(begin, run, jit(loop.slope), None if scale is None else jit(scale, out_shardings=same))


class _BatchLoop:
    """The functions that are traced into one program; it exists while they are traced."""

    def __init__(self, recipe: BatchRecipe, rule: Rule) -> None:
        self.recipe = recipe
        self.functions = recipe.functions
        self.rule = rule

    def begin(self, point: Point, memory: Any, settings: Any) -> BatchState:
        """Return the state before the first step."""
        rule = self.recipe.layout.kept_divided(self.rule.init(point, settings))
        return BatchState(jax().numpy.zeros((), "int32"), point, memory, rule)

    def run(self, state: BatchState, count: Any, examples: Any, order: Any, arguments: Arguments) -> BatchChunk:
        """Take up to `count` steps.

        Args:
            state: where to begin; its step is one to record.
            count: steps to take, at most the capacity.
            examples: all of them, or, without an order, the chunk's batches one after another.
            order: the examples of each step, shape (capacity, batch); None for a stream or whole batches.
            arguments: rate, settings and the rest.
        """
        numpy, lax, recipe = jax().numpy, jax().lax, self.recipe
        count = numpy.asarray(count, "int32")
        # A row for the first step of each stretch of `every` steps; the last stretch may be shorter.
        rows = -(-recipe.capacity // recipe.every) if recipe.every else 0
        carry = _BatchCarry(
            state=state,
            index=numpy.zeros((), "int32"),
            finite=numpy.array(True),
            every_step=numpy.zeros((2, recipe.capacity), "float32"),
            recorded=numpy.zeros((rows, sum(recipe.widths.values())), "float32"),
        )

        # The first step of a stretch is recorded in the outer loop, so that the program of all other steps has neither
        # the look into the layers nor a test for it.
        def plain(carry: _BatchCarry, stop: Any) -> _BatchCarry:
            return lax.while_loop(
                lambda inner: inner.finite & (inner.index < stop),
                lambda inner: self._step(inner, self._batch(inner.index, examples, order), arguments, recording=False),
                carry,
            )

        def block(carry: _BatchCarry) -> _BatchCarry:
            carry = self._step(carry, self._batch(carry.index, examples, order), arguments, recording=True)
            stop = numpy.minimum(count, carry.index - 1 + recipe.every)
            return carry if recipe.every == 1 else plain(carry, stop)

        if recipe.every:
            carry = lax.while_loop(lambda outer: outer.finite & (outer.index < count), block, carry)
        else:
            carry = plain(carry, count)
        # The index counts the step that met NaN or ∞ as well; the host runs the chunk again up to the one before.
        taken = carry.index - (~carry.finite).astype("int32")
        return BatchChunk(carry.state, taken, carry.finite, carry.every_step, carry.recorded)

    def slope(self, state: BatchState, batch: Any, settings: Any) -> tuple[Any, Any]:
        """Return loss and gradient of a batch at the state's step."""
        value, _, gradient, _ = self._slope(state, batch, step_key(settings, state.step), recording=False)
        return value, gradient

    def _batch(self, index: Any, examples: Any, order: Any) -> Any:
        """Return the batch of the chunk's `index`-th step."""
        if not self.recipe.whole:
            # A stream's batches lie one after another; rows of a table are gathered in the host's shuffled order.
            chosen = index if order is None else order[index]
            examples = jax().tree.map(lambda leaf: leaf[chosen], examples)
        return self.recipe.layout.spread(examples, self.recipe.accumulate)

    def _step(self, carry: _BatchCarry, batch: Any, arguments: Arguments, *, recording: bool) -> _BatchCarry:
        """Take one step, writing what is recorded of it."""
        lax, tree, state = jax().lax, jax().tree, carry.state
        key = step_key(arguments.settings, state.step)
        value, memory, gradient, layers = self._slope(state, batch, key, recording and self.functions.seen is not None)
        # One number stands for all of the gradient: its square is finite only if every entry is.
        square = sum_of_squares(gradient)
        finite = lax.is_finite(value) & lax.is_finite(square)
        update, rule = self._update(state, batch, key, value, gradient, arguments)
        rule = self.recipe.layout.kept_divided(rule)
        column = jax().numpy.stack([value.astype("float32"), jax().numpy.sqrt(square).astype("float32")])[:, None]
        every_step = lax.dynamic_update_slice(carry.every_step, column, (0, carry.index))
        recorded = carry.recorded
        if recording:
            row = self._row(state.point, gradient, update, layers)[None]
            recorded = lax.dynamic_update_slice(recorded, row, (carry.index // self.recipe.every, 0))
        point = tree.map(lambda leaf, change: leaf + change, state.point, update)
        return _BatchCarry(
            BatchState(state.step + 1, point, memory, rule),
            carry.index + 1,
            finite,
            every_step,
            recorded,
        )

    def _slope(self, state: BatchState, batch: Any, key: Any, recording: bool) -> tuple[Any, Any, Point, Any]:
        """Return loss, memory, gradient, and what was seen in the layers, averaged over the accumulated batches."""
        accumulate, lax, tree = self.recipe.accumulate, jax().lax, jax().tree
        if accumulate == 1:
            return self._slope_of_batch(state.point, state.memory, batch, key, recording)
        # A scan, not a vmap: accumulating is for batches that do not fit into memory side by side.
        pieces = tree.map(lambda leaf: leaf.reshape(accumulate, -1, *leaf.shape[1:]), batch)

        def slope_of_batch(memory: Any, numbered: Any) -> tuple[Any, Any]:
            number, piece = numbered
            chance = jax().random.fold_in(key, number)
            value, memory, gradient, layers = self._slope_of_batch(state.point, memory, piece, chance, recording)
            return memory, (value, gradient, layers)

        memory, slopes = lax.scan(slope_of_batch, state.memory, (jax().numpy.arange(accumulate), pieces))
        value, gradient, layers = tree.map(lambda leaf: leaf.mean(0), slopes)
        return value, memory, gradient, layers

    def _slope_of_batch(
        self, point: Point, memory: Any, batch: Any, key: Any, recording: bool
    ) -> tuple[Any, Any, Point, Any]:
        """Return loss, memory, gradient, and what was seen in the layers, shape (columns, layers), or None."""
        functions, numpy = self.functions, jax().numpy
        if not recording:
            (value, memory), gradient = jax().value_and_grad(functions.loss, has_aux=True)(point, memory, batch, key)
            return value, memory, gradient, None
        assert functions.seen is not None
        assert functions.nudges is not None
        # The gradient by an addend of zero is the gradient by the activation itself, at no cost to other steps.
        slope = jax().value_and_grad(functions.seen, argnums=(0, 4), has_aux=True)
        (value, (memory, seen)), (gradient, inward) = slope(point, memory, batch, key, functions.nudges(batch))
        lengths = norms_by_part(jax().tree.map(lambda leaf: leaf.astype("float32"), inward))
        return value, memory, gradient, numpy.concatenate([seen, lengths[None]])

    def _update(
        self, state: BatchState, batch: Any, key: Any, value: Any, gradient: Point, arguments: Arguments
    ) -> Any:
        """Return the update that the rule makes of the gradient, and the rule's next state."""
        rate = self.recipe.schedule.rate(state.step, arguments.rate, arguments.budget, arguments.course, jax().numpy)
        step = RuleInput(
            state.point,
            value,
            clipped(JAX_ARRAYS, gradient, self.recipe.clips, arguments),
            rate,
            arguments.settings,
            lambda point: self.functions.loss(point, state.memory, batch, key)[0],
        )
        update, rule = self.rule.update(step, state.rule)
        return jax().tree.map(lambda change, leaf: change.astype(leaf.dtype), update, state.point), rule

    def _row(self, point: Point, gradient: Point, update: Point, layers: Any) -> Any:
        """Return the numbers of a recorded step, in the order of `BatchRecipe.widths`."""
        numpy = jax().numpy
        entries = [
            -sum_of_products(gradient, update)[None],
            norms_by_part(point),
            norms_by_part(gradient),
            norms_by_part(update),
        ]
        if layers is not None:
            entries.append(layers.reshape(-1))
        return numpy.concatenate([numbers.astype("float32") for numbers in entries])


def step_key(settings: Any, step: Any) -> Any:
    """Return the random key of a step."""
    # From the seed and the step alone, so that a run that was resumed draws what it would have drawn.
    return jax().random.fold_in(jax().random.key(settings["seed"]), step)
