"""A plan written as the call of `descend` that makes the same steps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._choices import defaults
from downslope._types import Point
from downslope.descent._choices import PlanChoices
from downslope.methods import Method, is_known, schedule

if TYPE_CHECKING:
    from downslope.descent._plan import Plan

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
    chosen["record"] = None if plan.record.every == 1 else plan.record.every
    if plan.objective.data:
        chosen["data"] = plan.objective.data
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
    """Return a thing as it is written in Python, or a name for one that is too long to be."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return repr(value)
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
        "batches": plan.batches,
    }


def _name_or_object(how: Method) -> Any:
    """Return a method's name; the record or transformation itself where a name does not say which it is."""
    if how.transformation is not None:
        return how.transformation
    return how.name if is_known(how.spec) else how.spec
