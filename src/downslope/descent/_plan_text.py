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


def as_python(made: Plan) -> str:
    """Return the call of `descend`; what cannot be written down stands there by its name."""
    choices = [f"{name}={_written(told, name)}" for name, told in _told(made).items()]
    return f"ds.descend({', '.join([_thing(made), _start(made.start), *choices])})"


def _told(made: Plan) -> dict[str, Any]:
    """Return the choices that are to be written: rate and steps always, the others where they are not the defaults."""
    usual = {**defaults(PlanChoices), **_usual_settings(made)}
    asked = {name: told for name, told in made.choices.items() if name not in ("start", "batches")}
    asked["record"] = None if made.record.every == 1 else made.record.every
    if made.objective.data:
        asked["data"] = made.objective.data
    return {
        name: told
        for name, told in asked.items()
        if told is not None and (name in _ALWAYS or not (name in usual and usual[name] == told))
    }


def _usual_settings(made: Plan) -> dict[str, Any]:
    """Return the settings of the method and of the schedule that need not be said."""
    how, course = made.method, made.schedule
    return how.spec.defaults | ({} if course.function is not None else dict(schedule(course.name, made.steps).settings))


def _thing(made: Plan) -> str:
    """Return the formula's text, or the function's name."""
    return json.dumps(made.objective.read_as, ensure_ascii=False) if made.objective.formula else made.objective.read_as


def _start(start: Point) -> str:
    """Return a point: a mapping of names to numbers and small arrays, or its name."""
    if isinstance(start, Mapping) and all(isinstance(name, str) for name in start):
        return "{" + ", ".join(f'"{name}": {_written(leaf, "start")}' for name, leaf in start.items()) + "}"
    return _written(start, "start")


def _written(thing: Any, name: str) -> str:
    """Return a thing as it is written in Python, or a name for one that is too long to be."""
    if isinstance(thing, str):
        return json.dumps(thing, ensure_ascii=False)
    if isinstance(thing, bool | int | float):
        return repr(thing)
    if isinstance(thing, np.ndarray | np.generic) and np.size(thing) <= _MOST and np.all(np.isfinite(thing)):
        numbers = np.asarray(thing)
        told = numbers.tolist()
        if numbers.dtype == np.float32:  # as few digits as tell it from its neighbours
            told = np.reshape([float(str(number)) for number in numbers.ravel()], numbers.shape).tolist()
        return repr(told) if np.ndim(thing) < 2 else f"np.array({told!r})"
    return name


def choices_of(made: Plan) -> dict[str, Any]:
    """Return the arguments of `plan` that make this plan of its objective."""
    how, course = made.method, made.schedule
    named = course.function is None
    return {
        "start": made.start,
        "method": _name_or_object(how),
        **how.settings,
        "learning_rate": None if math.isnan(made.learning_rate) else made.learning_rate,
        "schedule": (None if course.name == "constant" else course.name) if named else course.function,
        **(course.settings if named else {}),
        "steps": made.steps,
        "tolerance": made.tolerance,
        "clip_norm": made.clip_norm,
        "clip_value": made.clip_value,
        "record": made.record,
        "seed": made.seed,
        "batches": made.batches,
    }


def _name_or_object(how: Method) -> Any:
    """Return a method's name; the record or transformation itself where a name does not say which it is."""
    if how.transformation is not None:
        return how.transformation
    return how.name if is_known(how.spec) else how.spec
