"""Inputs and outputs of the compiled loop: its static recipe, its arguments, its state and its results."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope import __version__
from downslope._arrays import Arrays
from downslope._engine import jax
from downslope._types import Columns, Point
from downslope.descent._plan import Plan
from downslope.formulas import Formula
from downslope.methods import Method, Rule, Schedule

UNROLLED = 4  # more than 8 makes compilation take seconds and the loop slower


@dataclass(frozen=True, eq=False)
class Recipe:
    """The structure that a program is compiled for; everything else is an argument of it.

    Args:
        function: the value of a point given the data.
        method: how to step; its settings but for the structural ones are arguments.
        schedule: how the rate changes; likewise.
        clips: whether gradients are clipped (by norm, by value).
        capacity: rows of the record.
        every: steps from one row to the next.
        whole: whether coordinates and gradients are recorded.
        curvature: whether gᵀHg / gᵀg is recorded.
        hessian: whether the Hessian at both ends is returned.
        size: how many numbers a point has.
        parts: how many leaves a point has.
        engine: what runs it: "numpy" or "jax".
    """

    function: Callable[[Point, Columns], Any]
    method: Method
    schedule: Schedule
    clips: tuple[bool, bool]
    capacity: int
    every: int
    whole: bool
    curvature: bool
    hessian: bool
    size: int
    parts: int
    engine: str = "jax"

    @property
    def formula(self) -> Formula:
        """The formula that `function` is the value of; of a recipe for NumPy alone."""
        return self.function.formula  # pyright: ignore[reportFunctionMemberAccess] - functions of arrays run in JAX

    @property
    def exact(self) -> bool:
        """Whether the stop is tested after every step and the last finite point is kept.

        Otherwise the compiled loop may run past the stop, and the host finds it in the record: for small points the
        test costs as much as the step.
        """
        return self.every > 1 or not self.whole

    @property
    def key(self) -> tuple[Any, ...]:
        """The values that two recipes of one objective must share to share a program."""
        return (
            way_of(self.method, self.schedule),
            self.clips,
            self.capacity,
            self.every,
            self.whole,
            self.curvature,
            self.hessian,
            self.size,
            self.parts,
            self.engine,
        )


def way_of(method: Method, schedule: Schedule) -> tuple[Any, ...]:
    """Return the part of a method and its schedule that forces recompilation; their numbers are arguments."""
    return (method.structure, schedule.name, id(schedule.function))


class Arguments(NamedTuple):
    """The traced arguments of the compiled loop, which may change from call to call without recompilation."""

    data: Any
    rate: Any
    settings: Any
    course: Any
    budget: Any
    tolerance: Any
    clip_norm: Any
    clip_value: Any


class LoopState(NamedTuple):
    """The state of the loop between two steps, from which it can continue."""

    step: Any
    point: Any
    value: Any
    gradient: Any
    rule: Any
    update: Any


class Flags(NamedTuple):
    """The conditions to go on; the loop runs while all three hold."""

    finite: Any
    steep: Any
    moving: Any


class Chunk(NamedTuple):
    """The result of a compiled call.

    Args:
        status: whole numbers in one array, as `Status` names them.
        state: the state at the end; None where the record's last row says it all.
        record: shape (entries, capacity), a column of it a row of the record; only the first `rows` hold something.
        hessians: Hessian at the start and at the end, shape (2, size, size), or None.
        preconditioner: the rule's scale at the end, or None.
    """

    status: Any
    state: LoopState | None
    record: Any
    hessians: Any
    preconditioner: Any


class Status(NamedTuple):
    """The reason why a chunk ended.

    Args:
        rows: how many rows hold something, the end's included.
        step: the step of the last row.
        finite, steep, moving: the flags.
        bad_part: index of the part that was not finite, 0 for the value itself; only if `finite` is 0.
    """

    rows: int
    step: int
    finite: int
    steep: int
    moving: int
    bad_part: int


def layout(recipe: Recipe, rule: Rule) -> dict[str, tuple[int, int]]:
    """Return the position of each quantity in a row of the record: its first entry and its length."""
    widths = {"value": 1}
    if recipe.whole:
        widths |= {"coordinates": recipe.size, "gradients": recipe.size}
    if recipe.curvature:
        widths |= {"curvature": 1} if rule.parallel else {"curvature": 1, "update_curvature": 1}
    if recipe.exact:
        widths |= dict.fromkeys(
            ("gradient_norm", "update_norm", "cosine", "actual_decrease", "first_order_decrease"), 1
        )
        if not recipe.whole:
            widths |= dict.fromkeys(("parts/parameter_norm", "parts/gradient_norm", "parts/update_norm"), recipe.parts)
    starts = itertools.accumulate(widths.values(), initial=0)
    return {name: (index, width) for (name, width), index in zip(widths.items(), starts, strict=False)}


def clipped(arrays: Arrays, gradient: Point, clips: tuple[bool, bool], arguments: Arguments) -> Point:
    """Return the gradient, its entries cut and then its norm, where a recipe clips (by norm, by value)."""
    numpy, (by_norm, by_value) = arrays.numpy, clips
    if by_value:
        gradient = arrays.map(lambda g: numpy.clip(g, -arguments.clip_value, arguments.clip_value), gradient)
    if by_norm:
        norm = numpy.sqrt(arrays.inner(gradient, gradient))
        # The quotient may be NaN at a norm of 0, where it is not selected; nothing is differentiated through it.
        shrink = numpy.where(norm > arguments.clip_norm, arguments.clip_norm / norm, 1.0)
        gradient = arrays.map(lambda g: g * shrink, gradient)
    return gradient


class LoopProgram(NamedTuple):
    """The compiled programs of a recipe.

    Args:
        begin: `begin(point, first, steps, arguments)` starts at a point, which is that of step `first`.
        go_on: `go_on(state, steps, arguments)` goes on from a state.
        layout: where each quantity stands in the record, by name: its first entry and how many it has.
        ahead: whether it may run a few steps past the stop.
    """

    begin: Callable[..., Chunk]
    go_on: Callable[..., Chunk]
    layout: Mapping[str, tuple[int, int]]
    ahead: bool


# Convert a plan to the compiled loop's arguments and to the trace's metadata.


def arguments_of(plan: Plan) -> Arguments:
    """Return the traced arguments."""
    structural = {setting.name for setting in plan.method.spec.settings if setting.structural}
    settings = {name: np.float64(number) for name, number in plan.method.settings.items() if name not in structural}
    return Arguments(
        data=plan.objective.data,
        rate=np.float64(plan.learning_rate),
        settings=settings | {"seed": np.uint32(plan.seed)},
        course={name: np.float64(number) for name, number in plan.schedule.settings.items()},
        budget=np.float64(max(plan.steps, 1)),
        tolerance=np.float64(plan.tolerance),
        clip_norm=np.float64(plan.clip_norm or 0),
        clip_value=np.float64(plan.clip_value or 0),
    )


def rates_of(plan: Plan, step: np.ndarray) -> np.ndarray:
    """Return the learning rate of the step that leaves each row; a single number where it never changes."""
    if plan.schedule.name == "constant":
        return np.asarray(plan.learning_rate)
    if plan.schedule.function is not None:
        rates = jax().vmap(plan.schedule.function)(step)
    else:
        rates = plan.schedule.rate(step, plan.learning_rate, max(plan.steps, 1), plan.schedule.settings, np)
    return np.append(np.asarray(rates, dtype=float)[:-1], np.nan)


@functools.cache
def versions(engine: str = "jax") -> dict[str, str]:
    """Return the versions of what computed the trace; asked of the modules, as package metadata is slow to import."""
    python = ".".join(map(str, sys.version_info[:3]))
    compiler = {"jax": jax().__version__} if engine == "jax" else {}
    return {"python": python, "downslope": __version__, **compiler, "numpy": np.__version__}
