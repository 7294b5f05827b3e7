"""The plan: everything that decides a descent, checked at the door, describing itself as plain data."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from downslope import _tree
from downslope._errors import SettingError, whole
from downslope._types import Plain, Point
from downslope.descent._objective import Objective, check_point, objective
from downslope.descent._plan_text import as_python, choices_of
from downslope.descent.batches._batched import Batches
from downslope.methods import SCHEDULE_SETTINGS, Method, Schedule, is_known, method, schedule

_SMALL = 16  # points of up to so many numbers are recorded whole, with every eigenvalue of the Hessian at both ends


@dataclass(frozen=True)
class Record:
    """What a descent writes down.

    Args:
        every: record every k-th step, 1 for all; the start and the end are always there.
        curvature: whether to record gᵀHg / gᵀg at every recorded step, which costs about one more gradient there; None
            for points of up to 16 numbers only.
        spectrum: whether to measure the Hessian's eigenvalues at the start and the end.
        layers_every: for an objective over batches, steps from one look inside the layers to the next; 0 for none.
    """

    every: int = 1
    curvature: bool | None = None
    spectrum: bool = True
    layers_every: int = 10

    def __post_init__(self) -> None:
        whole("every", self.every)
        whole("layers_every", self.layers_every, least=0)


@dataclass(frozen=True, eq=False)
class Beginning:
    """First steps that are taken otherwise than the rest.

    Args:
        plan: what they are taken by: the same objective from the same start in the same order of examples.
        steps: how many.
        change: what is made of the point after them, `change(point, memory)`; None for nothing.
    """

    plan: Plan
    steps: int
    change: Callable[[Point, Any], Point] | None = None

    def as_plain(self) -> Plain:
        """Return it as plain data."""
        return {"plan": self.plan.description, "steps": self.steps, "changes_point": self.change is not None}


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that decides a descent.

    Args:
        objective: what to go down.
        start: the point at step 0.
        method: how to step.
        learning_rate: the rate α that the schedule's factor applies to; NaN where the method knows none.
        schedule: how the rate changes along the way.
        steps: the most steps to take.
        tolerance: stop when the norm of the gradient falls to this.
        clip_norm: longest gradient that is stepped along, or None; longer ones are shortened to it.
        clip_value: largest entry of the gradient that is stepped along, or None.
        record: what to write down.
        seed: seed of the noise, for methods that have any, and of the order of examples.
        batches: how examples are taken, for an objective over batches; else None.
        facts: what the trace is to tell besides, plain data by name.
        beginning: for an objective over batches, first steps that another plan takes; None for none.
    """

    objective: Objective
    start: Point
    method: Method
    learning_rate: float
    schedule: Schedule
    steps: int
    tolerance: float
    clip_norm: float | None = None
    clip_value: float | None = None
    record: Record = field(default_factory=Record)
    seed: int = 0
    batches: Batches | None = None
    facts: Plain = field(default_factory=dict)
    beginning: Beginning | None = None

    @property
    def first_step(self) -> int:
        """The step that it begins with."""
        return 0 if self.beginning is None else self.beginning.steps

    @property
    def is_small(self) -> bool:
        """Whether the point is recorded whole."""
        return _tree.size(self.start) <= _SMALL

    @functools.cached_property
    def description(self) -> Plain:
        """The plan as plain data, which is what a trace keeps of it."""
        return {
            "objective": self.objective.describe(),
            "read_as": self.objective.read_as,
            "names": list(_tree.coordinate_names(self.start)) if self.is_small else None,
            "units": dict(self.objective.units),
            "method": self.method.name,
            "settings": dict(self.method.settings),
            **({} if is_known(self.method.spec) else {"theory": self.method.facts.as_plain()}),
            "learning_rate": None if math.isnan(self.learning_rate) else self.learning_rate,
            "schedule": self.schedule.name,
            "schedule_settings": dict(self.schedule.settings),
            "steps": self.steps,
            "tolerance": self.tolerance,
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "every": self.record.every,
            "seed": self.seed,
            **({} if self.batches is None else {"batches": dataclasses.asdict(self.batches)}),
            **({} if self.beginning is None else {"beginning": self.beginning.as_plain()}),
        }

    @property
    def choices(self) -> dict[str, Any]:
        """The arguments of `plan` that make this plan of its objective."""
        return choices_of(self)

    def changed(self, **changes: Any) -> Plan:
        """Return a plan with other choices, checked like the first.

        Args:
            changes: arguments of `plan`; None takes one away. A new method or schedule takes the settings of the old
                one along, and a method that searches for its steps takes rate and schedule along.

        >>> plan("x²", 1.0, method="momentum", momentum=0.5).changed(method="newton").method.settings
        {}
        """
        gone = set(SCHEDULE_SETTINGS) if "schedule" in changes else set()
        if "method" in changes:
            gone |= set(self.method.settings)
            if not method(changes["method"]).takes_rate:
                gone |= {"learning_rate", "schedule", *SCHEDULE_SETTINGS}
        kept = {name: told for name, told in self.choices.items() if name not in gone}
        asked = {**kept, **changes}
        return plan(self.objective, **{name: told for name, told in asked.items() if told is not None})

    def as_python(self) -> str:
        """Return the call of `descend` that takes the same steps.

        >>> plan("f(x) = x²", 1.0, learning_rate=0.3).as_python()
        'ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.3, steps=100)'
        """
        return as_python(self)


def plan(
    thing: Any,
    start: Point,
    *,
    data: Any = None,
    method: str | Method | Any = "gradient descent",
    learning_rate: float | Callable[[Any], Any] | None = None,
    schedule: str | Callable[[Any], Any] | Schedule | None = None,
    steps: int = 100,
    tolerance: float = 1e-10,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    record: Record | int | None = None,
    seed: int = 0,
    batches: Batches | None = None,
    facts: Plain | None = None,
    **settings: float,
) -> Plan:
    """Return a plan, every part of it checked.

    Args:
        thing: a formula's text, a Formula, a JAX function of a point, or an Objective.
        start: the point at step 0: a mapping of names to numbers for a formula, any pytree of arrays for a function.
        data: the table of a formula's data columns: a file's path, a mapping of arrays, a Polars or pandas frame.
        method: a name of `method_names()` or an Optax transformation.
        learning_rate: the rate α, above 0; or an Optax schedule. Default 0.1 (0.01 for RMSprop and Lion); Newton, BFGS
            and L-BFGS search for the length of their steps and take none.
        schedule: "constant", "step", "exponential", "cosine", "warm-up", or an Optax schedule.
        steps: the most steps to take, from 0 up.
        tolerance: stop when the norm of the gradient falls to this; 0 to go on until nothing moves.
        clip_norm: shorten longer gradients to this norm, above 0.
        clip_value: cut the gradient's entries to ± this, above 0.
        record: what to write down; a whole number k for every k-th step.
        seed: seed of the noise and of the order of examples.
        batches: how examples are taken, for an objective over batches.
        facts: what the trace of a training is to tell besides, plain data by name.
        settings: settings of the method (`momentum`, `beta1`, …) and of the schedule (`factor`, `every`, `warm_up`).

    Raises:
        SettingError: for a method, rate, schedule, budget or setting that makes no sense.
        PointError: for a start that does not match the objective.
        ObjectiveError: for something that is not a differentiable scalar.
        FormulaError: for text that cannot be read.
    """
    goal = objective(thing, data)
    steps = whole("steps", steps, least=0)
    of_schedule = {key: settings.pop(key) for key in SCHEDULE_SETTINGS if key in settings}
    how = _method(method, settings)
    rate, course = _rate(how, learning_rate, schedule, steps, of_schedule)
    return Plan(
        objective=goal,
        start=check_point(goal, start),
        method=how,
        learning_rate=rate,
        schedule=course,
        steps=steps,
        tolerance=_number("tolerance", tolerance, zero=True),
        clip_norm=None if clip_norm is None else _number("clip_norm", clip_norm),
        clip_value=None if clip_value is None else _number("clip_value", clip_value),
        record=Record(record) if isinstance(record, int) else record or Record(),
        seed=whole("seed", seed, least=0),
        batches=(batches or Batches()) if goal.batched is not None else None,
        facts=facts or {},
    )


def _method(thing: Any, settings: Mapping[str, float]) -> Method:
    """Return the method; a function of its own, as `plan` has a parameter of that name."""
    return method(thing, **settings)


def _rate(
    how: Method, learning_rate: Any, course: Any, steps: int, settings: Mapping[str, float]
) -> tuple[float, Schedule]:
    """Return the learning rate and its schedule, from all the ways in which they may be given."""
    if callable(learning_rate):
        if course is not None:
            raise SettingError("the learning rate is a schedule already; give one of the two")
        learning_rate, course = None, learning_rate
    if not how.takes_rate:
        if learning_rate is not None or course is not None:
            why = "searches for the length of each step" if how.searches_line else "holds its own learning rate"
            raise SettingError(f"{how.name} {why}: give no learning rate or schedule")
        return math.nan, Schedule()
    chosen = schedule(course, steps, **settings)
    if chosen.function is not None:
        return math.nan, chosen
    return how.default_rate if learning_rate is None else _number("learning rate", learning_rate), chosen


def _number(name: str, number: Any, *, zero: bool = False) -> float:
    """Return a finite number above 0 (or from 0 up), or raise."""
    try:
        found = float(number)
    except (TypeError, ValueError):
        raise SettingError(f"{name} must be a number, not {number!r}") from None
    if not math.isfinite(found) or found < 0 or (found == 0 and not zero):
        raise SettingError(
            f"{name} must be {'0 or more' if zero else 'above 0'}, not {number}", hint=_hint(name, found)
        )
    return found


def _hint(name: str, number: float) -> str | None:
    """Return what to do instead of a learning rate below zero."""
    if name == "learning rate" and number < 0:
        return "the step already goes against the gradient; to climb, descend the negative of it"
    return None
