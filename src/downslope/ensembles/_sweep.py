"""Sweep: one descent per learning rate, from one start.

The rate is an argument of the compiled descent, so the descent is compiled once and called once per rate. Running all
rates as lanes of one program would be slower: every lane would wait for the longest descent.
"""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np

from downslope._choices import checked, door, schema
from downslope._copies import fields_alone
from downslope._errors import SettingError
from downslope._numbers import evenly_spread, reals
from downslope._text import aligned, html_table, number
from downslope._types import Point, plain
from downslope.descent import (
    Objective,
    Plan,
    RateDescents,
    Record,
    descend,
    descend_at_best_rate,
    descend_at_rates,
    end_value,
    make_plan,
    settings_of_own,
    steps_to_rest,
)
from downslope.diagnosis import Diagnosis, diagnose
from downslope.ensembles._choices import SweepChoices
from downslope.ensembles._lanes import count
from downslope.executors import Crew, ExecutorLike
from downslope.formulas import Formula
from downslope.trace import Spectrum, Trace

_MOST_ROWS = 17  # of a table: fewer than a screen has
_POSITIONAL = ("objective", "start")
_PER_OCTAVE = 4
_BELOW, _ABOVE = 40, 6  # quarter octaves below and above the largest stable rate: a thousandth to 2.8 times of it
_FREE_RATES = np.geomspace(1e-4, 10.0, 41)  # for methods without a stability bound by curvature alone
_LOOK = 4.0 ** np.arange(-6, 3)  # rates of a first coarse sweep, in units of the largest stable one at the start
_MOST_RATES = 1000
_TIP = 1e-3  # of the rates before: a largest stable rate below it is that of a tip


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of a sweep over learning rates.

    Args:
        rates: ascending, shape (rates,).
        traces: the descent at each.
        largest_stable_rate: the method's stability bound divided by the highest curvature at the end of the best
            descent; None if unknown.
        best: index of the best rate: the one that reached the tolerance in the fewest steps or, if none did, the one
            that ended lowest.
        objective: the objective.
        tolerance: the gradient norm at which a descent counts as converged.
    """

    rates: np.ndarray
    traces: RateDescents
    largest_stable_rate: float | None
    best: int
    objective: Objective = field(repr=False)
    tolerance: float

    __getstate__ = fields_alone

    @property
    def best_rate(self) -> float:
        """The best of the rates."""
        return float(self.rates[self.best])

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """The number of steps to the tolerance at each rate, shape (rates,); ∞ where it was not reached."""
        return self.traces.steps

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The value at the end of each descent, shape (rates,); ∞ where it was not finite."""
        return self.traces.values

    @functools.cached_property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The diagnosis of each descent."""
        return tuple(map(diagnose, self.traces))

    @functools.cached_property
    def verdicts(self) -> tuple[str, ...]:
        """The first finding of each descent, by symptom."""
        return tuple(diagnosis[0].symptom for diagnosis in self.diagnoses)

    @property
    def lanes(self) -> Mapping[str, Trace]:
        """Up to three descents to draw side by side: a rate too small, the best one, and one too large."""
        lanes = {}
        small = np.flatnonzero((self.rates < self.best_rate) & ~np.isfinite(self.steps))
        if not len(small):
            small = np.flatnonzero(self.rates <= self.best_rate / 16)
        if len(small):
            lanes[f"too small, α = {number(float(self.rates[small[0]]), 3)}"] = self.traces[small[0]]
        lanes[f"just right, α = {number(self.best_rate, 3)}"] = self.traces[self.best]
        bound = self.largest_stable_rate or np.inf
        large = np.flatnonzero((self.rates > max(bound, self.best_rate)) & ~np.isfinite(self.steps))
        if len(large):
            lanes[f"too large, α = {number(float(self.rates[large[0]]), 3)}"] = self.traces[large[0]]
        return lanes

    @property
    def sentence(self) -> str:
        """The result in a sentence or two."""
        return sweep_sentence(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON."""
        return plain(
            {
                "read_as": self.objective.read_as,
                "method": self.traces[0].plan["method"],
                "best_rate": self.best_rate,
                "largest_stable_rate": self.largest_stable_rate,
                "tolerance": self.tolerance,
                "rates": [
                    {
                        "learning_rate": float(rate),
                        "steps": None if math.isinf(steps) else int(steps),
                        "value": None if math.isinf(value) else float(value),
                        "verdict": verdict,
                    }
                    for rate, steps, value, verdict in zip(
                        self.rates, self.steps, self.values, self.verdicts, strict=True
                    )
                ],
                "sentence": self.sentence,
            }
        )

    def __str__(self) -> str:
        return sweep_as_text(self)

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.rates)} rates, best {self.best_rate:.6g}>"

    def _repr_html_(self) -> str:
        return sweep_as_html(self)


@door(SweepChoices)
def sweep(
    objective: str | Formula | Objective | Callable[..., Any],
    start: Point = None,
    learning_rates: Sequence[float] | np.ndarray | None = None,
    **choices: Unpack[SweepChoices],
) -> Sweep:
    """Descend at many learning rates from one start.

    Args:
        objective: a formula's text, a Formula, a JAX function of a point, or an Objective.
        start: the point at step 0.
        learning_rates: the rates to try; None for a range around the largest stable one, four to an octave, from a
            thousandth of it to 2.8 times, and the rate that theory calls best. Adam and its kin, whose steps do not
            grow with the slope, get eight to a decade from 0.0001 to 10.
        **choices: as in `SweepChoices`.

    Returns:
        Each rate's descent, steps, end value and verdict, the stable range and the best rate.

    Raises:
        SettingError: for invalid rates, or a method without a learning rate.
        DownslopeError: as `descend`.

    >>> result = sweep("f(x) = x²", {"x": 10})
    >>> result.largest_stable_rate, result.best_rate
    (1.0, 0.5)
    """
    if "learning_rate" in choices:
        raise SettingError("a sweep tries many rates", hint="learning_rates=[0.01, 0.1, 1] says which")
    passed = checked(SweepChoices, choices, also=(*_POSITIONAL, "learning_rates"), settings=settings_of_own(choices))
    executor = passed.pop("executor", None)
    base = make_plan(objective, start, {"steps": schema(SweepChoices)["steps"].default, **passed})
    rates = None if learning_rates is None else _checked(learning_rates)
    with crew_of(executor, base) as crew:
        return sweep_of(base, rates, crew)


def crew_of(executor: ExecutorLike, plan: Plan) -> Crew:
    """Return the crew for descents like that of a plan; NumPy's hold the interpreter, so that threads gain nothing."""
    return Crew(executor, threads=count if plan.runs_in == "jax" else 1)


def sweep_of(base: Plan, rates: np.ndarray | None = None, crew: Crew | None = None) -> Sweep:
    """Return the sweep of a plan over some rates, ascending; None for those around the largest stable one."""
    base = _swept(base)
    rates = _default_rates(base, crew) if rates is None else rates
    traces = descend_at_rates(_trying_no_rates(base), rates, crew)
    best = traces.best
    stable = _stable(base, _spectrum(base, traces[best], float(rates[best])))
    if stable is not None and (_is_kinked(traces[best]) or stable < _TIP * rates[0]):
        stable = None
    return Sweep(
        rates=rates,
        traces=traces,
        largest_stable_rate=stable,
        best=best,
        objective=base.objective,
        tolerance=base.tolerance,
    )


def at_best_rate(base: Plan) -> Trace:
    """Return the descent at the best of the rates that a sweep tries."""
    base = _swept(base)
    return descend_at_best_rate(_trying_no_rates(base), _default_rates(base))


def _swept(base: Plan) -> Plan:
    """Return a plan as its descents at many rates have it: a large one records no curvature.

    Raises:
        SettingError: for one whose rate is not fixed.
    """
    if base.schedule.function is not None:
        raise SettingError("a sweep needs fixed rates; a schedule changes them", hint="leave the schedule out")
    if math.isnan(base.learning_rate):
        raise SettingError(
            f"{base.method.name} takes no fixed learning rate to sweep", hint="compare methods with ds.compare"
        )
    if base.is_small:
        return base
    return replace(base, record=Record(base.record.every, curvature=False, spectrum=False))


def _is_kinked(trace: Trace) -> bool:
    """Tell whether a descent is held by a kink, at which no fixed rate settles."""
    return "kink" in diagnose(trace)


def _trying_no_rates(base: Plan) -> Plan:
    """Return a plan for whose descents no other rates are tried, since the sweep does that."""
    return replace(base, record=replace(base.record, tries_rates=False))


def _checked(rates: Sequence[float] | np.ndarray) -> np.ndarray:
    """Check learning rates and return them in ascending order without duplicates."""
    ascending = np.unique(reals("the learning rates", rates, SettingError))
    if ascending.ndim != 1 or not 1 <= len(ascending) <= _MOST_RATES:
        raise SettingError(f"a sweep has from 1 to {_MOST_RATES} rates")
    if not np.all(np.isfinite(ascending) & (ascending > 0)):
        raise SettingError("learning rates are finite and above 0")
    return ascending


def _default_rates(base: Plan, crew: Crew | None = None) -> np.ndarray:
    """Return rates around the largest stable one, including it and the optimum of theory where it is known."""
    if not base.method.facts.by_curvature:
        return _FREE_RATES
    at_start = _stable_rate_at_start(base)
    if at_start is None:
        return _FREE_RATES
    # The bound at the start says little where the curvature varies. A coarse sweep shows where descents end; the bound
    # there is the centre of the fine one.
    best = descend_at_best_rate(_trying_no_rates(base), at_start * _LOOK, crew)
    spectrum = _spectrum(base, best, float(best.plan["learning_rate"]))
    centre = _stable(base, spectrum) or at_start
    # Close to a kink or a tip the curvature grows without bound, and gives no rate.
    if _is_kinked(best) or centre < _TIP * at_start:
        spectrum, centre = None, at_start
    rates = centre * 2.0 ** (np.arange(-_BELOW, _ABOVE + 1) / _PER_OCTAVE)
    if spectrum is not None and spectrum.lowest > 0:
        theory = base.method.facts.best_rate(spectrum.lowest, spectrum.highest)
        if theory is not None and np.min(np.abs(rates / theory - 1)) > 1e-9:
            rates = np.sort(np.append(rates, theory))
    return rates


def _stable_rate_at_start(base: Plan) -> float | None:
    """Return the largest stable rate by the curvature at the start; None if there is no curvature or no bound."""
    # A descent at a rate of nearly 0 stays at the start and records the curvature there. Compiled, it has as many steps
    # as the others, whose program it shares.
    steps = 0 if base.runs_in == "numpy" else base.steps
    still = replace(base, learning_rate=1e-12, steps=steps, record=_with_spectrum(base))
    trace = descend(still, progress=False)
    spectrum = trace.spectra[0] if trace.spectra else None
    if spectrum is None or not np.all(np.isfinite(spectrum.eigenvalues)):
        return None
    bound = base.method.facts.bound
    size = max(abs(spectrum.lowest), abs(spectrum.highest))
    return bound / size if bound is not None and size > 0 else None


def _with_spectrum(base: Plan) -> Record:
    """Return the plan's record specification with the spectra at both ends."""
    return replace(base.record, spectrum=True)


def _spectrum(base: Plan, trace: Trace, rate: float) -> Spectrum | None:
    """Return the spectrum at the end of a descent, repeating the descent if it was not recorded; None if not finite."""
    if end_value(trace) == math.inf:
        return None
    if not base.record.spectrum:
        trace = descend(replace(base, learning_rate=rate, record=_with_spectrum(base)), progress=False)
    spectrum = trace.end_spectrum
    return spectrum if spectrum is not None and np.all(np.isfinite(spectrum.eigenvalues)) else None


def _stable(base: Plan, spectrum: Spectrum | None) -> float | None:
    """Return the largest stable rate for a spectrum, None if unknown."""
    facts = base.method.facts
    if spectrum is None or facts.bound is None or facts.scaled or spectrum.highest <= 0:
        return None
    return facts.bound / spectrum.highest


def sweep_sentence(result: Sweep) -> str:
    """Return the result of a sweep in a sentence or two."""
    rate, steps, bound = result.best_rate, result.steps[result.best], result.largest_stable_rate
    why = why_none_is_best(result.traces[result.best], result.diagnoses[result.best])
    if why:
        ends = result.values[result.best]
        fell = f" Of {len(result.rates)} rates, α = {number(rate)} led to the lowest value, {number(ends)}."
        return f"{why}: no rate is best.{fell if math.isfinite(ends) and steps else ''}"
    if math.isfinite(steps):
        did = f"after {_counted(steps)} the gradient is below {number(result.tolerance)}"
    else:
        did = (
            f"the value is {number(result.values[result.best])} after {_counted(result.traces[result.best].last_step)}"
        )
    if _is_kinked(result.traces[result.best]):
        return f"No fixed rate settles, since the steps cross a kink; at the best of {len(result.rates)}, α = " + (
            f"{number(rate)}, {did}."
        )
    best = f"The best of {len(result.rates)} rates is α = {number(rate)}: {did}."
    if bound is None:
        return best
    return f"{best} The largest stable rate is {number(bound)}, from the curvature where it ended."


def why_none_is_best(trace: Trace, diagnosis: Diagnosis) -> str:
    """Return why the descent that ended first or lowest is no better than others; "" where it is."""
    if not trace.last_step and steps_to_rest(trace) == 0:
        return "The start meets the tolerance already"
    if "unbounded" in diagnosis:
        return "The objective is unbounded below"
    return "The descent meets a pole, where the value has no bound" if "pole" in diagnosis else ""


def sweep_as_text(result: Sweep) -> str:
    """Format a sweep as aligned text, with at most about 17 of its rates."""
    rows = sweep_rows(result)
    return as_text(
        f"Read as  {result.objective.read_as}\nMethod   {result.traces[0].plan['method']}", rows, result.sentence
    )


def sweep_as_html(result: Sweep) -> str:
    """Format a sweep as an HTML table."""
    return as_html(result.objective.read_as, sweep_rows(result), result.sentence)


def sweep_rows(result: Sweep) -> list[tuple[str, ...]]:
    """Return rates, steps, end values and verdicts as rows of text, headings first; best and bound are marked."""
    count = len(result.rates)
    shown = set(evenly_spread(count, _MOST_ROWS).tolist())
    bound = result.largest_stable_rate
    at_bound = None
    if bound is not None:
        near = int(np.argmin(np.abs(result.rates - bound)))
        at_bound = near if abs(result.rates[near] / bound - 1) < 1e-9 else None
    shown |= {result.best} | ({at_bound} if at_bound is not None else set())
    none_is_best = why_none_is_best(result.traces[result.best], result.diagnoses[result.best])
    rows = [("learning rate", "steps", result.objective.name + " at the end", "verdict", "")]
    for index in sorted(shown):
        best = index == result.best and not none_is_best
        mark = "◀ best" if best else "◀ largest stable" if index == at_bound else ""
        rows.append(
            (
                number(float(result.rates[index])),
                reached(float(result.steps[index])),
                reached(float(result.values[index])),
                result.verdicts[index].replace("_", " "),
                mark,
            )
        )
    return rows


def as_text(head: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Format a head, a table and a sentence as text."""
    words = {column for column, heading in enumerate(rows[0]) if heading in ("method", "verdict", "")}
    return "\n".join([head, "", *aligned(rows, words), "", sentence])


def as_html(caption: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Format a table and a sentence as HTML."""
    return f"{html_table(rows, caption)}<p>{html.escape(sentence)}</p>"


def reached(value: float) -> str:
    """Format a number of steps or a value; a dash for one that was not reached."""
    return number(value) if math.isfinite(value) else "–"


def _counted(steps: float) -> str:
    return "1 step" if steps == 1 else f"{int(steps)} steps"
