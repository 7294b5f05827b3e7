"""What goes into the compiled loop and what comes out of it, as plain nouns."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope import __version__
from downslope._engine import jax
from downslope._types import Columns, Point
from downslope.descent._plan import Plan
from downslope.methods import Method, Schedule

UNROLLED = 4  # more than 8 makes compilation take seconds and the loop slower


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a compiled program is made for; anything else is an argument of it.

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

    @property
    def key(self) -> tuple[Any, ...]:
        """What two recipes of one objective must share to share a program."""
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
        )


def way_of(method: Method, schedule: Schedule) -> tuple[Any, ...]:
    """Return what of a method and its schedule is compiled; the numbers of both are arguments of the program."""
    return (method.structure, schedule.name, id(schedule.function))


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
        status: whole numbers in one array, as `Status` names them.
        state: the state at the end; None where the record's last row says it all.
        record: shape (entries, capacity), a column of it a row of the record; only the first `rows` hold something.
        hessians: Hessian at the start and at the end, shape (2, size, size), or None.
        preconditioner: the rule's scale at the end, or None.
    """

    status: Any
    state: State | None
    record: Any
    hessians: Any
    preconditioner: Any


class Status(NamedTuple):
    """Where a chunk ended.

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


class Program(NamedTuple):
    """The compiled programs of a recipe.

    Args:
        begin: `begin(point, first, steps, given)` starts at a point, which is that of step `first`.
        go_on: `go_on(state, steps, given)` goes on from a state.
        layout: where each quantity stands in the record, by name: its first entry and how many it has.
        ahead: whether it may run a few steps past the stop.
    """

    begin: Callable[..., Chunk]
    go_on: Callable[..., Chunk]
    layout: Mapping[str, tuple[int, int]]
    ahead: bool


# What the compiled loops are given of a plan, and what a trace tells of it besides.


def given_of(made: Plan) -> Given:
    """Return the traced arguments."""
    settings = {name: np.float64(number) for name, number in made.method.settings.items() if name != "memory"}
    return Given(
        data=made.objective.data,
        rate=np.float64(made.learning_rate),
        settings=settings | {"seed": np.uint32(made.seed)},
        course={name: np.float64(number) for name, number in made.schedule.settings.items()},
        budget=np.float64(max(made.steps, 1)),
        tolerance=np.float64(made.tolerance),
        clip_norm=np.float64(made.clip_norm or 0),
        clip_value=np.float64(made.clip_value or 0),
    )


def rates_of(made: Plan, step: np.ndarray) -> np.ndarray:
    """Return the learning rate of the step that leaves each row; a single number where it never changes."""
    if made.schedule.name == "constant":
        return np.asarray(made.learning_rate)
    if made.schedule.function is not None:
        rates = jax().vmap(made.schedule.function)(step)
    else:
        rates = made.schedule.rate(step, made.learning_rate, max(made.steps, 1), made.schedule.settings, np)
    return np.append(np.asarray(rates, dtype=float)[:-1], np.nan)


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of what computed the trace; asked of the modules, as package metadata is slow to import."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "downslope": __version__, "jax": jax().__version__, "numpy": np.__version__}
