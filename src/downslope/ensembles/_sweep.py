"""Sweep: the verb from an objective and a start to how every learning rate does.

Every rate is an argument of one compiled descent: it is compiled once and called once for each.
"""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from downslope._errors import SettingError
from downslope._text import aligned, html_table, number
from downslope._types import Point
from downslope.descent import Objective, Plan, Record, descend, plan
from downslope.diagnosis import Diagnosis, diagnose
from downslope.trace import Outcome, Spectrum, Trace

# A sweep as a short report, in text and in HTML.


_MOST_ROWS = 17


def sweep_sentence(found: Sweep) -> str:
    """Return what a sweep found, in a sentence or two."""
    rate, steps, bound = found.best_rate, found.steps[found.best], found.largest_stable_rate
    if math.isfinite(steps):
        did = f"after {_counted(steps)} the gradient is below {found.tolerance:g}"
    else:
        did = f"the value is {number(found.values[found.best])} after {_counted(found.traces[found.best].last_step)}"
    best = f"The best of {len(found.rates)} rates is α = {rate:.6g}: {did}."
    if bound is None:
        return best
    return f"{best} The largest stable rate is {bound:.6g}, from the curvature where it ended."


def sweep_as_text(found: Sweep) -> str:
    """Return a sweep as aligned lines, a middle choice of its rates."""
    rows = sweep_rows(found)
    return as_text(
        f"Read as  {found.objective.read_as}\nMethod   {found.traces[0].plan['method']}", rows, found.sentence
    )


def sweep_as_html(found: Sweep) -> str:
    """Return a sweep as an HTML table."""
    return as_html(found.objective.read_as, sweep_rows(found), found.sentence)


def sweep_rows(found: Sweep) -> list[tuple[str, ...]]:
    """Return rates, steps, end values and verdicts as rows of text, the headings first; best and bound are marked."""
    count = len(found.rates)
    shown = set(np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).round().astype(int)))
    bound = found.largest_stable_rate
    at_bound = None
    if bound is not None:
        near = int(np.argmin(np.abs(found.rates - bound)))
        at_bound = near if abs(found.rates[near] / bound - 1) < 1e-9 else None
    shown |= {found.best} | ({at_bound} if at_bound is not None else set())
    rows = [("learning rate", "steps", found.objective.name + " at the end", "verdict", "")]
    for place in sorted(shown):
        mark = "◀ best" if place == found.best else "◀ largest stable" if place == at_bound else ""
        rows.append(
            (
                f"{found.rates[place]:.6g}",
                reached(float(found.steps[place])),
                reached(float(found.values[place])),
                found.verdicts[place].replace("_", " "),
                mark,
            )
        )
    return rows


def as_text(head: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Return a head, a table and a sentence as text."""
    words = {place for place, heading in enumerate(rows[0]) if heading in ("method", "verdict", "")}
    return "\n".join([head, "", *aligned(rows, words), "", sentence])


def as_html(caption: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Return a table and a sentence as HTML."""
    return f"{html_table(rows, caption)}<p>{html.escape(sentence)}</p>"


def reached(value: float) -> str:
    """Return what a descent came to, a dash for what it never did."""
    return number(value) if math.isfinite(value) else "–"


def _counted(steps: float) -> str:
    return "1 step" if steps == 1 else f"{int(steps)} steps"


_STEPS = 1000
_PER_OCTAVE = 4
_BELOW, _ABOVE = 40, 6  # quarter octaves below and above the largest stable rate: a thousandth to 2.8 times of it
_FREE_RATES = np.geomspace(1e-4, 10.0, 41)  # for methods whose steps do not depend on the ground's curvature alone
_LOOK = 4.0 ** np.arange(-6, 3)  # rates of a first look, in units of the largest that is stable at the start
_MOST_RATES = 1000


@dataclass(frozen=True, eq=False)
class Sweep:
    """How every learning rate did.

    Args:
        rates: ascending, shape (rates,).
        traces: the descent at each.
        diagnoses: what each shows.
        largest_stable_rate: the method's bound over the highest curvature at the lowest end point; None where that is
            not known.
        best: the place of the best rate: the one that came to the tolerance in the fewest steps, or the lowest if none
            did.
        objective: what was descended.
        tolerance: the norm of the gradient at which a descent has come to rest.
    """

    rates: np.ndarray
    traces: tuple[Trace, ...]
    diagnoses: tuple[Diagnosis, ...]
    largest_stable_rate: float | None
    best: int
    objective: Objective = field(repr=False)
    tolerance: float

    @property
    def best_rate(self) -> float:
        """The best of the rates."""
        return float(self.rates[self.best])

    @functools.cached_property
    def steps(self) -> np.ndarray:
        """The steps that each rate needed to the tolerance, shape (rates,); ∞ where it did not come to it."""
        return np.array([steps_to_rest(trace) for trace in self.traces])

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The value at the end of each descent, shape (rates,); ∞ where it was not finite."""
        return np.array([end_value(trace) for trace in self.traces])

    @functools.cached_property
    def verdicts(self) -> tuple[str, ...]:
        """The first finding of each descent, by symptom."""
        return tuple(diagnosis[0].symptom for diagnosis in self.diagnoses)

    @property
    def lanes(self) -> Mapping[str, Trace]:
        """Three descents to draw side by side, those there are of: too small, just right, too large."""
        found = {}
        small = np.flatnonzero((self.rates < self.best_rate) & ~np.isfinite(self.steps))
        if not len(small):
            small = np.flatnonzero(self.rates <= self.best_rate / 16)
        if len(small):
            found[f"too small, α = {self.rates[small[0]]:.3g}"] = self.traces[small[0]]
        found[f"just right, α = {self.best_rate:.3g}"] = self.traces[self.best]
        bound = self.largest_stable_rate or np.inf
        large = np.flatnonzero((self.rates > max(bound, self.best_rate)) & ~np.isfinite(self.steps))
        if len(large):
            found[f"too large, α = {self.rates[large[0]]:.3g}"] = self.traces[large[0]]
        return found

    @property
    def sentence(self) -> str:
        """What was found, in a sentence or two."""
        return sweep_sentence(self)

    def as_dict(self) -> dict[str, Any]:
        """Return what was found as plain data, for JSON."""
        return {
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
                for rate, steps, value, verdict in zip(self.rates, self.steps, self.values, self.verdicts, strict=True)
            ],
            "sentence": self.sentence,
        }

    def __str__(self) -> str:
        return sweep_as_text(self)

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.rates)} rates, best {self.best_rate:.6g}>"

    def _repr_html_(self) -> str:
        return sweep_as_html(self)


def sweep(
    thing: Any,
    start: Point,
    learning_rates: Sequence[float] | None = None,
    *,
    steps: int = _STEPS,
    **choices: Any,
) -> Sweep:
    """Descend at many learning rates from one start.

    Args:
        thing: a formula's text, a Formula, a JAX function of a point, or an Objective.
        start: the point at step 0.
        learning_rates: the rates to try; None for a range around the largest stable one, four to an octave, from a
            thousandth of it to 2.8 times, and the rate that theory calls best. Adam and its kin, whose steps do not
            grow with the slope, get eight to a decade from 0.0001 to 10.
        steps: the most steps of each.
        choices: `method`, `tolerance`, `data`, … as for `descend`.

    Returns:
        Each rate's descent, steps, end value and verdict, the stable range and the best rate.

    Raises:
        SettingError: for rates that make no sense, or a method that takes none.
        DownslopeError: as `descend`.

    >>> found = sweep("f(x) = x²", {"x": 10})
    >>> found.largest_stable_rate, found.best_rate
    (1.0, 0.5)
    """
    if "learning_rate" in choices:
        raise SettingError("a sweep tries many rates", hint="learning_rates=[0.01, 0.1, 1] says which")
    made = plan(thing, start, steps=steps, **choices)
    if made.schedule.function is not None:
        raise SettingError("a sweep is of fixed rates; a schedule changes them", hint="leave the schedule out")
    if math.isnan(made.learning_rate):
        raise SettingError(
            f"{made.method.name} takes no fixed learning rate to sweep", hint="compare methods with ds.compare"
        )
    if not made.is_small:
        made = replace(made, record=Record(made.record.every, curvature=False, spectrum=False))
    rates = _default_rates(made) if learning_rates is None else _checked(learning_rates)
    traces = tuple(_at(made, rate) for rate in rates)
    best = _best(traces)
    return Sweep(
        rates=rates,
        traces=traces,
        diagnoses=tuple(map(diagnose, traces)),
        largest_stable_rate=_stable(made, _spectrum(made, traces[best], float(rates[best]))),
        best=best,
        objective=made.objective,
        tolerance=made.tolerance,
    )


def steps_to_rest(trace: Trace) -> float:
    """Return the steps that a descent needed to its tolerance, ∞ if it did not come to it."""
    rested = trace.outcome is Outcome.CONVERGED
    still = trace.outcome is Outcome.STALLED and trace.columns["gradient_norm"][-1] <= trace.plan["tolerance"]
    return float(trace.last_step) if rested or still else math.inf


def end_value(trace: Trace) -> float:
    """Return the value at the end of a descent, ∞ if it ran away."""
    return trace.value if trace.outcome is not Outcome.NOT_FINITE and math.isfinite(trace.value) else math.inf


def standing(trace: Trace) -> tuple[float, float]:
    """Return what descents are ranked by: steps to the tolerance, then the value at the end."""
    return steps_to_rest(trace), end_value(trace)


def _at(made: Plan, rate: float) -> Trace:
    """Return the descent at a rate."""
    return descend(replace(made, learning_rate=float(rate)), progress=False)


def _best(traces: Sequence[Trace]) -> int:
    """Return the place of the best descent."""
    return min(range(len(traces)), key=lambda place: standing(traces[place]))


def _checked(rates: Sequence[float]) -> np.ndarray:
    """Return the rates that were asked for, ascending and each once."""
    try:
        found = np.unique(np.asarray(rates, dtype=float))
    except (TypeError, ValueError):
        raise SettingError(f"learning rates are numbers, not {rates!r}") from None
    if found.ndim != 1 or not 1 <= len(found) <= _MOST_RATES:
        raise SettingError(f"a sweep has from 1 to {_MOST_RATES} rates")
    if not np.all(np.isfinite(found) & (found > 0)):
        raise SettingError("learning rates are finite and above 0")
    return found


def _default_rates(made: Plan) -> np.ndarray:
    """Return rates around the largest stable one, that one among them."""
    if not made.method.facts.by_curvature:
        return _FREE_RATES
    at_start = _look_at_start(made)
    if at_start is None:
        return _FREE_RATES
    traces = [_at(made, rate) for rate in at_start * _LOOK]
    best = _best(traces)
    spectrum = _spectrum(made, traces[best], float(at_start * _LOOK[best]))
    centre = _stable(made, spectrum) or at_start
    rates = centre * 2.0 ** (np.arange(-_BELOW, _ABOVE + 1) / _PER_OCTAVE)
    if spectrum is not None and spectrum.lowest > 0:
        theory = made.method.facts.best_rate(spectrum.lowest, spectrum.highest)
        if theory is not None and np.min(np.abs(rates / theory - 1)) > 1e-9:
            rates = np.sort(np.append(rates, theory))
    return rates


def _look_at_start(made: Plan) -> float | None:
    """Return the largest rate that is stable where the descent starts, None where nothing curves."""
    trace = descend(replace(made, learning_rate=1e-12, record=_with_spectrum(made)), progress=False)
    spectrum = trace.spectra[0] if trace.spectra else None
    if spectrum is None or not np.all(np.isfinite(spectrum.eigenvalues)):
        return None
    bound = made.method.facts.bound
    size = max(abs(spectrum.lowest), abs(spectrum.highest))
    return bound / size if bound is not None and size > 0 else None


def _with_spectrum(made: Plan) -> Record:
    """Return the plan's record, the curvature at both ends among it."""
    return replace(made.record, spectrum=True)


def _spectrum(made: Plan, trace: Trace, rate: float) -> Spectrum | None:
    """Return the curvature where a descent ended; one that did not record it is taken again."""
    if end_value(trace) == math.inf:
        return None
    if not made.record.spectrum:
        trace = descend(replace(made, learning_rate=rate, record=_with_spectrum(made)), progress=False)
    spectrum = trace.end_spectrum
    return spectrum if spectrum is not None and np.all(np.isfinite(spectrum.eigenvalues)) else None


def _stable(made: Plan, spectrum: Spectrum | None) -> float | None:
    """Return the largest stable rate on the ground of a spectrum, None where it is not known."""
    facts = made.method.facts
    if spectrum is None or facts.bound is None or facts.scaled or spectrum.highest <= 0:
        return None
    return facts.bound / spectrum.highest
