"""What goes into the compiled loop and what comes out of it, as plain nouns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from downslope.descent._method import Method
from downslope.descent._objective import Objective
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
        size: how many numbers a point has.
        parts: how many leaves a point has.
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
    size: int
    parts: int

    @property
    def key(self) -> tuple[Any, ...]:
        """What two recipes must share to share a program."""
        return (
            id(self.objective),
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

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.key == other.key


def way_of(method: Method, schedule: Schedule) -> tuple[Any, ...]:
    """Return what of a method and its schedule is compiled; the numbers of both are arguments of the program."""
    name, memory, transformation, decays = method.compiled
    return (name, memory, id(transformation), decays, schedule.name, id(schedule.function))


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
