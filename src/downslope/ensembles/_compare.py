"""Compare: one descent per method, each at its own best rate, and momentum at its own best β, from one start."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Unpack

import numpy as np

from downslope._choices import checked, door, schema
from downslope._errors import SettingError, described
from downslope._text import number
from downslope._types import Point, plain
from downslope.descent import Objective, Plan, descend, end_value, make_plan, standing, steps_to_rest
from downslope.descent import objective as objective_of
from downslope.diagnosis import Diagnosis, diagnose
from downslope.ensembles._choices import CompareChoices
from downslope.ensembles._sweep import (
    Sweep,
    as_html,
    as_text,
    at_best_rate,
    crew_of,
    reached,
    sweep_of,
    why_none_is_best,
)
from downslope.executors import Unit
from downslope.formulas import Formula
from downslope.methods import METHODS, Method, MethodName, MethodSpec, method
from downslope.trace import Trace

_MOMENTUM = "momentum"  # the setting β of momentum and Nesterov
_SYMBOLS = {_MOMENTUM: "β"}
_OTHER_BETA = 0.5
_BETAS = tuple(round(beta, 2) for beta in np.arange(0.0, 1.0, 0.02).tolist())


@dataclass(frozen=True, eq=False)
class Entry:
    """A method in a race.

    Args:
        name: the method's name.
        learning_rate: its rate, None for a method that takes none.
        trace: its descent.
        diagnosis: the diagnosis of that descent.
        swept: the plan of the sweep that its rate is the best of; None if the rate was an argument or the method takes
            none.
        settings: the settings that were chosen with the rate, by name: β of momentum. Empty for none.
    """

    name: str
    learning_rate: float | None
    trace: Trace
    diagnosis: Diagnosis
    swept: Plan | None = field(default=None, repr=False)
    settings: Mapping[str, float] = field(default_factory=dict)

    @functools.cached_property
    def sweep(self) -> Sweep | None:
        """The sweep that its rate is the best of, made when it is first used; None where there is none."""
        return None if self.swept is None else sweep_of(self.swept)

    @property
    def tuned(self) -> str:
        """The chosen rate and settings as text: `α = 0.33, β = 0.52`; "" for a method without a rate."""
        if self.learning_rate is None:
            return ""
        chosen = [f"{_SYMBOLS.get(name, name)} = {number(value, 4)}" for name, value in self.settings.items()]
        return ", ".join([f"α = {number(self.learning_rate, 4)}", *chosen])

    @property
    def steps(self) -> float:
        """The number of steps to the tolerance, ∞ if it was not reached."""
        return steps_to_rest(self.trace)

    @property
    def value(self) -> float:
        """The value at the end, ∞ if it was not finite."""
        return end_value(self.trace)


@dataclass(frozen=True, eq=False)
class Race:
    """The result of a comparison of methods.

    Args:
        entries: the methods, the best first: by steps to the tolerance, then by the value at the end.
        objective: the objective.
        tolerance: the gradient norm at which a descent counts as converged.
    """

    entries: tuple[Entry, ...]
    objective: Objective = field(repr=False)
    tolerance: float

    @property
    def winner(self) -> Entry:
        """The best."""
        return self.entries[0]

    @property
    def lanes(self) -> Mapping[str, Trace]:
        """The descents by the names of their methods, to draw them together."""
        return {entry.name: entry.trace for entry in self.entries}

    def __getitem__(self, name: str) -> Trace:
        """Return the descent of a method."""
        return self.lanes[name if name in self.lanes else method(name).name]

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        best = self.winner
        rate = f" at {best.tuned}" if best.tuned else ""
        swept = " Momentum's β was swept with α." if any(entry.settings for entry in self.entries) else ""
        why = why_none_is_best(best.trace, best.diagnosis)
        if why:
            fell = f"; {best.name}{rate} ended lowest" if math.isfinite(best.value) and best.steps else ""
            first = f"{why}: no method is best{fell}."
        elif math.isfinite(best.steps):
            counted = "1 step" if best.steps == 1 else f"{best.steps:.0f} steps"
            first = f"{best.name}{rate} was first to a gradient below {number(self.tolerance)}, in {counted}."
        else:
            first = f"No method reached a gradient below {number(self.tolerance)}; {best.name}{rate} ended lowest."
        return first + swept

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return plain(
            {
                "read_as": self.objective.read_as,
                "winner": self.winner.name,
                "tolerance": self.tolerance,
                "methods": [
                    {
                        "name": entry.name,
                        "learning_rate": entry.learning_rate,
                        "settings": dict(entry.settings),
                        "steps": None if math.isinf(entry.steps) else int(entry.steps),
                        "value": None if math.isinf(entry.value) else entry.value,
                        "verdict": entry.diagnosis[0].symptom,
                    }
                    for entry in self.entries
                ],
                "sentence": self.sentence,
            }
        )

    def __str__(self) -> str:
        return as_text(f"Read as  {self.objective.read_as}", race_rows(self), self.sentence)

    def __repr__(self) -> str:
        return f"<Race of {len(self.entries)} methods, {self.winner.name} first>"

    def _repr_html_(self) -> str:
        return as_html(self.objective.read_as, race_rows(self), self.sentence)


@door(CompareChoices)
def compare(
    objective: str | Formula | Objective | Callable[..., Any],
    start: Point = None,
    methods: MethodName | Method | MethodSpec | Sequence[MethodName | Method | MethodSpec | Any] | None = None,
    **choices: Unpack[CompareChoices],
) -> Race:
    """Race methods from one start, each at its own best rate; momentum and Nesterov at their own best β as well.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        start: the point at step 0.
        methods: names of methods, methods with settings, records of your own, Optax transformations; None for the usual
            ones.
        **choices: as in `CompareChoices`.

    Returns:
        The methods, the best first, with their descents. A step of a method that searches along a line evaluates the
        objective more than once.

    Raises:
        SettingError: for an unknown method, or a rate for a method that is not compared.

    >>> compare("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, ["gradient descent", "bfgs"]).winner.name
    'bfgs'
    """
    if "learning_rate" in choices:
        raise SettingError("each method has its own rate", hint="learning_rates={'adam': 0.1} sets one")
    passed = checked(CompareChoices, choices, also=("objective", "start", "methods"))
    learning_rates = _rates_by_name(passed.pop("learning_rates", None))
    steps = passed.pop("steps", schema(CompareChoices)["steps"].default)
    # By label, so that one method races twice with different settings but not twice with the same.
    racers = {_label(racer): racer for racer in map(method, _racers(methods))}
    if not racers:
        raise SettingError("a race needs at least one method")
    rates = {_label(method(name)): rate for name, rate in learning_rates.items()}
    strangers = [name for name in rates if name not in racers]
    if strangers:
        raise SettingError(f"learning_rates names {strangers[0]}, which is not among the methods")
    goal = objective_of(
        objective, passed.pop("data", None), units=passed.pop("units", None), table=passed.pop("table", None)
    )
    executor = passed.pop("executor", None)
    course = _Course(goal, start, {"steps": steps, **passed})
    units = [Unit(_entered, course, (racer, rates.get(name))) for name, racer in racers.items()]
    with crew_of(executor, course.plan(next(iter(racers.values())))) as crew:
        ended = crew.results(units)
    entries = [
        _entry(course, *racer, rates.get(racer[0]), end) for racer, end in zip(racers.items(), ended, strict=True)
    ]
    entries.sort(key=lambda entry: standing(entry.trace))
    return Race(tuple(entries), goal, float(entries[0].trace.plan["tolerance"]))


def _rates_by_name(rates: Any) -> Mapping[str, float]:
    """Return rates by a method's name.

    Raises:
        SettingError: if they are no mapping.
    """
    if rates is not None and not isinstance(rates, Mapping):
        raise SettingError(
            f"learning_rates are rates by a method's name, not {described(rates)}", hint="for example {'adam': 0.1}"
        )
    return rates or {}


def race_rows(race: Race) -> list[tuple[str, ...]]:
    """Return methods, rates, steps, end values and verdicts as rows of text, headings first, then the best."""
    betas = any(lane.settings for lane in race.entries)
    rows = [("method", "learning rate", *(["β"] * betas), "steps", race.objective.name + " at the end", "verdict")]
    for lane in race.entries:
        rate = "" if lane.learning_rate is None else number(lane.learning_rate, 4)
        beta = [", ".join(number(value, 4) for value in lane.settings.values())] * betas
        verdict = lane.diagnosis[0].symptom.replace("_", " ")
        rows.append((lane.name, rate, *beta, reached(lane.steps), reached(lane.value), verdict))
    return rows


def _racers(methods: Any) -> Sequence[Any]:
    """Return the methods to race; a single name is a race of one."""
    if methods is None:
        return [spec for spec in METHODS if spec.in_races]
    return methods if isinstance(methods, Sequence) and not isinstance(methods, str) else [methods]


def _label(racer: Method) -> str:
    """Return the label of a method in a race: its name, with the settings that differ from the defaults."""
    defaults = racer.spec.defaults
    changed = [f"{name} {number(value)}" for name, value in racer.settings.items() if defaults.get(name) != value]
    return f"{racer.name} ({', '.join(changed)})" if changed else racer.name


class _Course(NamedTuple):
    """The choices that the methods of a race share.

    Args:
        goal: the objective.
        start: the point at step 0.
        choices: the other arguments of `plan`.
    """

    goal: Objective
    start: Point
    choices: Mapping[str, Any]

    def plan(self, how: Method, rate: float | None = None) -> Plan:
        """Return the plan of a method, at a rate or at its default."""
        arguments = {} if rate is None else {"learning_rate": rate}
        return make_plan(self.goal, self.start, {**self.choices, "method": how, **arguments})


def _entered(course: _Course, how: Method, rate: float | None) -> tuple[Trace, Method | None]:
    """Run a method at its rate or, without one, at the best rate of a sweep; return how it was tuned then."""
    if rate is None and how.takes_rate:
        return _tuned(course, how)
    return descend(course.plan(how, rate), progress=False), None


def _entry(course: _Course, name: str, how: Method, rate: float | None, ended: tuple[Trace, Method | None]) -> Entry:
    """Return the entry of a method that has run."""
    trace, tuned = ended
    if tuned is None:
        return Entry(name, rate, trace, diagnose(trace))
    settings = {_MOMENTUM: float(tuned.settings[_MOMENTUM])} if _tunes(how) else {}
    return Entry(name, float(trace.plan["learning_rate"]), trace, diagnose(trace), course.plan(tuned), settings)


def _tunes(how: Method) -> bool:
    """Tell whether a method has a β that was left to the race."""
    return _MOMENTUM in how.settings and dict(how.settings) == dict(how.spec.defaults)


def _tuned(course: _Course, how: Method) -> tuple[Trace, Method]:
    """Return the descent of a method at the best of many rates and, with momentum, of some β; and it with that β."""
    runs = [(at_best_rate(course.plan(how)), how)]
    if not _tunes(how):
        return runs[0]
    # The best β of a bowl follows from its condition number; ½ is tried besides, as most ground is no bowl.
    for beta in {_best_beta(how, runs[0][0]), _OTHER_BETA} - {None, float(how.settings[_MOMENTUM])}:
        other = method(how.spec, **{_MOMENTUM: beta})
        runs.append((at_best_rate(course.plan(other)), other))
    return min(runs, key=lambda run: standing(run[0]))


def _best_beta(how: Method, best: Trace) -> float | None:
    """Return the β that, with the rate that suits it, contracts the slowest error of the bowl at the end the most."""
    spectrum = best.end_spectrum
    if spectrum is None or not np.all(np.isfinite(spectrum.eigenvalues)) or not spectrum.lowest > 0:
        return None
    curvatures = np.array([spectrum.lowest, spectrum.highest])

    def slowest(beta: float) -> float:
        facts = how.spec.facts({_MOMENTUM: beta})
        rate = facts.best_rate(*curvatures.tolist())
        factors = None if rate is None else facts.contraction(rate * curvatures)
        return math.inf if factors is None else float(np.max(factors))

    return min(_BETAS, key=slowest)
