"""The plan: everything that decides a descent, validated, and described as plain data."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np

from downslope import _tree
from downslope._choices import LARGEST_COUNT, checked, defaults, door
from downslope._copies import check_functions, fields_alone
from downslope._errors import SettingError, whole
from downslope._types import Plain, Point
from downslope.descent._choices import PlanChoices
from downslope.descent._objective import Objective, check_point
from downslope.descent._objective import objective as objective_of
from downslope.descent._work import EngineName, engine_of
from downslope.descent.batches._batched import Batches
from downslope.formulas import Formula
from downslope.methods import (
    SCHEDULE_SETTINGS,
    Method,
    MethodSpec,
    Schedule,
    is_known,
    method,
    schedule,
    spec_named,
)

# A plan written as the call of `descend` that makes the same steps.


_MOST = 30  # numbers of an array that are written out
_ALWAYS = ("learning_rate", "steps")


def as_python(plan: Plan) -> str:
    """Return the call of `descend`; values that cannot be written out appear by name."""
    choices = [f"{name}={_written(value, name)}" for name, value in explicit_choices_of(plan).items()]
    return f"ds.descend({', '.join([_objective_text(plan), _start(plan.start), *choices])})"


def explicit_choices_of(plan: Plan) -> dict[str, Any]:
    """Return the choices to write: rate and steps always, the others where they differ from the defaults."""
    usual = {**defaults(PlanChoices), **_usual_settings(plan)}
    chosen = {name: value for name, value in plan.choices.items() if name not in ("start", "batches")}
    chosen["record"] = plan.record if plan.record != Record(plan.record.every) else plan.record.every
    if plan.record == Record():
        chosen["record"] = None
    if plan.objective.data:
        chosen["data"] = plan.objective.file or plan.objective.data
        chosen["table"] = dict(plan.objective.table) or None
    if plan.objective.formula is not None and plan.objective.units:
        chosen["units"] = dict(plan.objective.units)
    return {
        name: value
        for name, value in chosen.items()
        if value is not None and (name in _ALWAYS or not (name in usual and usual[name] == value))
    }


def _usual_settings(plan: Plan) -> dict[str, Any]:
    """Return the default settings of the method and of the schedule."""
    how, course = plan.method, plan.schedule
    return how.spec.defaults | ({} if course.function is not None else dict(schedule(course.name, plan.steps).settings))


def _objective_text(plan: Plan) -> str:
    """Return the formula's text, or the function's name."""
    return json.dumps(plan.objective.read_as, ensure_ascii=False) if plan.objective.formula else plan.objective.read_as


def _start(start: Point) -> str:
    """Return a point: a mapping of names to numbers and small arrays, or its name."""
    if isinstance(start, Mapping) and all(isinstance(name, str) for name in start):
        return "{" + ", ".join(f'"{name}": {_written(leaf, "start")}' for name, leaf in start.items()) + "}"
    return _written(start, "start")


def _written(value: Any, name: str) -> str:
    """Return a value as Python source, or a name if it is too long to write out."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return repr(float(value))  # NumPy's own are floats as well, and print their type
    if isinstance(value, Record):
        return f"ds.{value}"
    if isinstance(value, Mapping) and all(isinstance(entry, str) for entry in (*value, *value.values())):
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, np.ndarray | np.generic) and np.size(value) <= _MOST and np.all(np.isfinite(value)):
        numbers = np.asarray(value)
        value = numbers.tolist()
        if numbers.dtype == np.float32:  # as few digits as tell it from its neighbours
            value = np.reshape([float(str(number)) for number in numbers.ravel()], numbers.shape).tolist()
        return repr(value) if np.ndim(value) < 2 else f"np.array({value!r})"
    return name


def choices_of(plan: Plan) -> dict[str, Any]:
    """Return the arguments of `plan` that make this plan of its objective."""
    how, course = plan.method, plan.schedule
    named = course.function is None
    return {
        "start": plan.start,
        "method": _name_or_object(how),
        **how.settings,
        "learning_rate": None if math.isnan(plan.learning_rate) else plan.learning_rate,
        "schedule": (None if course.name == "constant" else course.name) if named else course.function,
        **(course.settings if named else {}),
        "steps": plan.steps,
        "tolerance": plan.tolerance,
        "clip_norm": plan.clip_norm,
        "clip_value": plan.clip_value,
        "record": plan.record,
        "seed": plan.seed,
        "engine": plan.engine,
        "batches": plan.batches,
    }


def _name_or_object(how: Method) -> Any:
    """Return a method's name; the record or transformation itself where a name does not say which it is."""
    if how.transformation is not None:
        return how.transformation
    return how.name if is_known(how.spec) else how.spec


_SMALL = 16  # points of up to so many numbers are recorded whole, with every eigenvalue of the Hessian at both ends


@dataclass(frozen=True)
class Record:
    """The specification of what a descent records.

    Args:
        every: record every k-th step, 1 for all; the start and the end are always there.
        curvature: whether to record gᵀHg / gᵀg at every recorded step, which costs about one more gradient there; None
            for points of up to 16 numbers only.
        spectrum: whether to measure the Hessian's eigenvalues at the start and the end.
        layers_every: for an objective over batches, steps between records of the layers; 0 for none.
        tries_rates: whether a rate that a diagnosis of this descent would advise is tried first; for formulas of up to
            16 numbers and up to 20 000 steps.
    """

    every: int = 1
    curvature: bool | None = None
    spectrum: bool = True
    layers_every: int = 10
    tries_rates: bool = True

    def __post_init__(self) -> None:
        whole("every", self.every, most=LARGEST_COUNT)
        whole("layers_every", self.layers_every, least=0, most=LARGEST_COUNT)


@dataclass(frozen=True, eq=False)
class Beginning:
    """Different choices for the first steps of a training.

    Args:
        plan: the plan of these steps: the same objective, start and order of examples.
        steps: their number.
        change: a function that changes the point after them, `change(point, memory)`; None for no change.
    """

    plan: Plan
    steps: int
    change: Callable[[Point, Any], Point] | None = None

    def as_plain(self) -> Plain:
        """Return the choices as plain data."""
        return {"plan": self.plan.description, "steps": self.steps, "changes_point": self.change is not None}


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that decides a descent.

    Args:
        objective: the objective.
        start: the point at step 0.
        method: the update rule.
        learning_rate: the rate α, which the schedule multiplies; NaN if the method takes none.
        schedule: how the rate changes.
        steps: the maximum number of steps.
        tolerance: stop when the norm of the gradient falls to this.
        clip_norm: the norm to which longer gradients are scaled down, or None.
        clip_value: the bound to which the gradient's entries are clipped, or None.
        record: what to record.
        seed: seed of the noise, for methods that have any, and of the order of examples.
        batches: the batch schedule, for an objective over batches; else None.
        facts: further facts for the trace, plain data by name.
        beginning: for an objective over batches, other choices for the first steps; None for none.
        engine: "numpy", "jax", or "auto" to choose by the amount of work.
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
    engine: EngineName = "auto"

    def __getstate__(self) -> dict[str, Any]:
        check_functions("the plan", self.schedule.function, *(self.method.transformation or ()))
        return fields_alone(self)

    @property
    def first_step(self) -> int:
        """The step that it begins with."""
        return 0 if self.beginning is None else self.beginning.steps

    @property
    def is_small(self) -> bool:
        """Whether the point is recorded whole."""
        return _tree.size(self.start) <= _SMALL

    @property
    def clips(self) -> tuple[bool, bool]:
        """Whether gradients are clipped, by norm and by value."""
        return self.clip_norm is not None, self.clip_value is not None

    @functools.cached_property
    def runs_in(self) -> str:
        """The engine that runs it: "numpy" or "jax"."""
        return engine_of(self)

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
            "engine": self.runs_in,
            **({} if self.batches is None else {"batches": dataclasses.asdict(self.batches)}),
            **({} if self.beginning is None else {"beginning": self.beginning.as_plain()}),
        }

    @property
    def choices(self) -> dict[str, Any]:
        """The arguments of `plan` that make this plan of its objective."""
        return choices_of(self)

    @property
    def explicit_choices(self) -> dict[str, Any]:
        """The choices that are not the defaults; rate and steps always."""
        return explicit_choices_of(self)

    def changed(self, start: Point = None, **changes: Unpack[PlanChoices]) -> Plan:
        """Return a plan with other choices, checked like the first.

        A new method or schedule replaces the settings of the old one too, and a method that searches for the length of
        its steps drops rate and schedule.

        Args:
            start: another start; None for the same.
            **changes: arguments of `plan`; None restores a default.

        >>> plan("x²", 1.0, method="momentum", momentum=0.5).changed(method="newton").method.settings
        {}
        """
        gone = set(SCHEDULE_SETTINGS) if "schedule" in changes else set()
        if "method" in changes:
            gone |= set(self.method.settings)
            if not method(changes["method"]).takes_rate:
                gone |= {"learning_rate", "schedule", *SCHEDULE_SETTINGS}
        kept = {name: choice for name, choice in self.choices.items() if name not in gone}
        choices = {name: choice for name, choice in {**kept, **changes}.items() if choice is not None}
        first = choices.pop("start")
        return make_plan(self.objective, first if start is None else start, choices)

    def as_python(self) -> str:
        """Return the call of `descend` that takes the same steps.

        >>> plan("f(x) = x²", 1.0, learning_rate=0.3).as_python()
        'ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.3, steps=100)'
        """
        return as_python(self)


@door(PlanChoices)
def plan(
    objective: str | Formula | Objective | Callable[..., Any], start: Point = None, **choices: Unpack[PlanChoices]
) -> Plan:
    """Return a validated plan.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        start: the point at step 0: a mapping of names to numbers for a formula, any pytree of arrays for a function.
        **choices: as in `PlanChoices`.

    Raises:
        SettingError: for an unknown argument, or an invalid method, rate, schedule, budget or setting.
        PointError: for a start that does not match the objective.
        ObjectiveError: for anything but a differentiable scalar function.
        FormulaError: for text that cannot be read.
    """
    return make_plan(objective, start, choices)


def make_plan(
    objective: Any,
    start: Point,
    choices: Mapping[str, Any],
    *,
    also: Iterable[str] = (),
) -> Plan:
    """Return the plan of choices by name.

    Args:
        objective: as for `plan`.
        start: as for `plan`.
        choices: arguments of `plan`.
        also: further arguments of the caller, to suggest where a name is misspelt.
    """
    passed = checked(PlanChoices, choices, also=("objective", "start", *also), settings=settings_of_own(choices))
    goal = objective_of(
        objective, passed.pop("data", None), units=passed.pop("units", None), table=passed.pop("table", None)
    )
    chosen = {**defaults(PlanChoices), **passed}
    settings = {name: value for name, value in passed.items() if name not in defaults(PlanChoices)}
    of_schedule = {name: settings.pop(name) for name in SCHEDULE_SETTINGS if name in settings}
    steps = chosen["steps"]
    how = method(chosen["method"], **settings)
    rate, course = _rate(how, chosen["learning_rate"], chosen["schedule"], steps, of_schedule)
    if chosen["batches"] is not None and goal.batched is None:
        raise SettingError("this objective is not averaged over batches", hint="leave batches out")
    planned = Plan(
        objective=goal,
        start=check_point(goal, start),
        method=how,
        learning_rate=rate,
        schedule=course,
        steps=steps,
        tolerance=chosen["tolerance"],
        clip_norm=chosen["clip_norm"],
        clip_value=chosen["clip_value"],
        record=_record(chosen["record"]),
        seed=chosen["seed"],
        batches=(chosen["batches"] or Batches()) if goal.batched is not None else None,
        engine=chosen["engine"],
    )
    if planned.engine != "auto":
        engine_of(planned)  # which raises for another name, and if NumPy cannot run it
    return planned


def settings_of_own(choices: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the settings of the method among some choices, which may be the caller's own."""
    chosen = choices.get("method")
    spec = chosen.spec if isinstance(chosen, Method) else spec_named(chosen) if isinstance(chosen, str) else chosen
    return tuple(setting.name for setting in spec.settings) if isinstance(spec, MethodSpec) else ()


def _record(record: Record | int | None) -> Record:
    """Return the specification of the record."""
    if record is None or isinstance(record, Record):
        return record or Record()
    return Record(whole("record", record))


def _rate(
    how: Method, learning_rate: Any, course: Any, steps: int, settings: Mapping[str, float]
) -> tuple[float, Schedule]:
    """Return the learning rate and its schedule, from all the ways to specify them."""
    if callable(learning_rate):
        if course is not None:
            raise SettingError("the learning rate is already a schedule; give only one of the two")
        learning_rate, course = None, learning_rate
    if not how.takes_rate:
        if learning_rate is not None or course is not None or settings:
            why = "searches for the length of each step" if how.searches_line else "holds its own learning rate"
            raise SettingError(f"{how.name} {why}: give no learning rate or schedule")
        return math.nan, Schedule()
    chosen = schedule(course, steps, **settings)
    if chosen.function is not None:
        if learning_rate is not None:
            raise SettingError("the schedule already sets the learning rate; give only one of the two")
        return math.nan, chosen
    return how.default_rate if learning_rate is None else learning_rate, chosen
