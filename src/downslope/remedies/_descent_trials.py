"""Trials of remedies of a descent: the same steps from nearby starts, with a remedy and without.

A descent knows no chance, so pairs are made by moving the start: every coordinate by a normal share of itself, of
standard deviation 1 %, the same for the changed run and the control. At a saddle the moves leave out the way that leads
out of it, and on a maximum there are none: a descent that stays only because it began on the line that leads there
would be mended by the move itself.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from downslope._errors import ExecutorError, ObjectiveError, PointError, SettingError
from downslope.descent import Plan, Show, descend, progress_bar
from downslope.diagnosis import Diagnosis, diagnose, measure
from downslope.ensembles import crew_of, even, search
from downslope.executors import Crew, ExecutorLike, Unit
from downslope.remedies._descent_remedies import (
    NEED_A_SEARCH,
    NEED_OTHER_STARTS,
    is_quick,
    is_unfinished,
    proposals,
)
from downslope.remedies._inquiry import inquire
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import DescentCase, OtherStart, Remedy, same
from downslope.remedies._start_points import along, at, at_start, coordinates
from downslope.remedies._trial import VALUE, TrialJob, TrialRun
from downslope.trace import Outcome, Trace

T = TypeVar("T")
_BUDGET = 400  # descents
_FEWEST = 100  # steps that a descent counts as in this
_JITTER = 0.01
_MATTERS = 1e-4  # of the most that was gained; a hundredth of the way in a bowl
_LEAST = 1e-8  # of all there was to gain, below which nothing matters
_STARTS = 16  # other starts that tell whether there is a lower valley
_MORE_STARTS = 48  # further ones where that is what is wrong
_SHARE = 0.125  # of the budget, at most, for each of the two and for a search
_SECONDS = 5.0  # for a search
_FAR = 3.0  # times the size of the start: where a search looks
_NOTE = "A run that ended above its start, or not at a number, counts as if it had stayed there."


def of_plan(
    plan: Plan,
    trace: Trace | None,
    seeds: int,
    descents: int | None,
    progress: bool | Show | None,
    executor: ExecutorLike = None,
) -> Prescription:
    """Return the prescription for a descent.

    Args:
        plan: its plan.
        trace: its trace; None to descend here.
        seeds: pairs of runs to prove a remedy with.
        descents: the most to spend in all, in descents of so many steps, or of 100; 400 if None.
        progress: as for `descend`.
        executor: where the descents take place.

    Raises:
        SettingError: for a plan over batches, which a training makes.
    """
    if plan.objective.batched is not None:
        raise SettingError(
            "this is the plan of a training, which is judged on rows held back",
            hint="pass what `train` returned",
        )
    most = (_BUDGET if descents is None else descents) * max(plan.steps, _FEWEST)
    with progress_bar(progress, most) as show, crew_of(executor, plan) as crew:
        runner = Descents(most, show, crew)
        own = trace or descend(plan, progress=False)
        if own.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        diagnosis = diagnose(own)
        others = from_other_starts(plan, runner, _STARTS)
        # Only a descent that has ended can be compared with where others ended.
        if "still_descending" not in diagnosis:  # which may yet go as low as they did
            diagnosis = diagnose(own, [other for _, other in others])
        case = DescentCase(plan, own, _starts(others))
        subject = _Descended(case, diagnosis, runner)
        if (diagnosis.ok and not is_unfinished(case, diagnosis)) or not math.isfinite(subject.worst):
            spent = {"steps": runner.spent, "seconds": runner.seconds, "interrupted": runner.interrupted}
            return Prescription(plan, VALUE, diagnosis, subject.own, **spent)
        prescription = inquire(subject, diagnosis, seeds)
        note = " ".join(filter(None, (_NOTE if subject.levelled else "", runner.note)))
        return dataclasses.replace(prescription, note=note)


class Descents:
    """Makes descents, and counts what they cost: a formula's take microseconds a step.

    Args:
        budget: the most steps to spend.
        show: called with (steps spent, budget, lowest value) after each.
        crew: makes them; None for one after another.
    """

    def __init__(self, budget: float, show: Callable[[int, int, float], None], crew: Crew | None = None) -> None:
        self.budget, self._show, self.crew = budget, show, crew or Crew()
        self.spent, self.seconds, self.lowest = 0, 0.0, math.inf
        self.interrupted = False
        self.note = ""

    def affords(self, plans: Iterable[Plan]) -> bool:
        """Tell whether the budget still bears a descent of each plan."""
        return self.spent + sum(plan.steps for plan in plans) <= self.budget

    def results(self, plans: Sequence[Plan], look: Callable[..., T], *arguments: Any) -> list[T | None]:
        """Return what is seen of the trace of each plan; None where Ctrl-C interrupted it, and after that.

        Args:
            plans: the plans.
            look: a function, at the top of a module, of a trace, of when it began, and of one of each of the arguments.
            *arguments: sequences as long as that of the plans.
        """
        results: list[T | None] = [None] * len(plans)
        if self.interrupted:
            return results
        units = [Unit(_descended, plan, (look, *each)) for plan, *each in zip(plans, *arguments, strict=True)]
        try:
            for number, descended in self.crew.each(units):
                self._count(descended)
                if self.interrupted:
                    break
                results[number] = descended.result
        except KeyboardInterrupt:
            self.interrupted = True
        except ExecutorError as error:
            self.interrupted, self.note = True, f"{error.message[0].upper()}{error.message[1:]}."
        return results

    def _count(self, descended: _DescentCost) -> None:
        self.spent += descended.steps
        self.seconds += descended.seconds
        self.interrupted = self.interrupted or descended.interrupted
        if math.isfinite(descended.value):
            self.lowest = min(self.lowest, descended.value)
        self._show(self.spent, int(min(self.budget, 2**62)), self.lowest)


class _DescentCost(NamedTuple):
    """What a descent took, and what was seen of it."""

    steps: int
    seconds: float
    value: float
    interrupted: bool
    result: Any


def _descended(plan: Plan, look: Callable[..., Any], *arguments: Any) -> _DescentCost:
    """Descend, and return what is seen of the trace."""
    began = time.perf_counter()
    # Its own remedies are what is tried here, so that a diagnosis need not try rates as well.
    trace = descend(
        dataclasses.replace(plan, record=dataclasses.replace(plan.record, tries_rates=False)), progress=False
    )
    interrupted = trace.outcome is Outcome.INTERRUPTED
    result = None if interrupted else look(trace, began, *arguments)
    return _DescentCost(trace.last_step, time.perf_counter() - began, trace.value, interrupted, result)


class _Descended:
    """A descent that is to be mended.

    Args:
        case: its plan and trace.
        diagnosis: its diagnosis.
        runner: makes the descents.
    """

    yardstick = VALUE
    looked_at = ("arrived",)
    proves = 3

    def __init__(self, case: DescentCase, diagnosis: Diagnosis, runner: Descents) -> None:
        self.specification, self.seed, self.cost = case.plan, case.plan.seed, runner
        self.levelled = False
        self._case, self._kept = case, _kept_in_trap(case, diagnosis)
        self._wants_lowest = bool(NEED_OTHER_STARTS & set(diagnosis.symptoms))

    @functools.cached_property
    def worst(self) -> float:
        """The value at the start: the end value of runs that ended higher, or at no finite number."""
        first = float(self._case.trace.columns["value"][0])
        known = [first] if math.isfinite(first) else [other.value for other in self._case.others]
        return max(known, default=math.nan)

    @property
    def own(self) -> float:
        """Its score."""
        return self._score(_end_of(self._case.trace, 0.0, ()))

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield first what the compiled program can do, then one by one what needs a program of its own."""
        if self._wants_lowest:
            self._case = dataclasses.replace(self._case, others=(*self._case.others, *self._more()))
        offered = proposals(self._case, diagnosis)
        quick = [remedy for remedy in offered if is_quick(self._case, remedy)]
        yield quick
        yield from ([remedy] for remedy in offered if not any(remedy is other for other in quick))
        for symptom in NEED_A_SEARCH & set(diagnosis.symptoms):
            yield self._searched(symptom)

    def _searched(self, symptom: str) -> list[Remedy]:
        """Return a start in the lowest valley that a search finds about the plan's own, if any."""
        plan, row = self.specification, coordinates(self.specification.start)
        if not plan.is_small:
            return []
        spread = _FAR * max(1.0, float(np.max(np.abs(row))))
        most = max(int(_SHARE * self.cost.budget), 1)
        try:
            lowest = search(
                plan.objective,
                spread=spread,
                centre=plan.start,
                evaluations=most,
                seconds=_SECONDS,
                seed=plan.seed,
            )
        except ObjectiveError:
            return []
        self.cost.spent += lowest.evaluations
        start = at(plan.start, np.array([float(f"{value:.6g}") for value in coordinates(lowest.point)]))
        why = "The lowest point found by a search that hops from valley to valley (Wales and Doye 1997)."
        return [dataclasses.replace(at_start(self._case, start, why), symptom=symptom)]

    def _more(self) -> tuple[OtherStart, ...]:
        """Return the ends of descents from further starts."""
        return _starts(from_other_starts(self.specification, self.cost, _MORE_STARTS, seed=1))

    def changed(self, changes: Mapping[str, Any]) -> Plan | None:
        """Return the plan with changes; None where it cannot be built."""
        try:
            return self.specification.changed(**changes)
        except (SettingError, PointError):
            return None

    def alike(self, first: Plan, second: Plan) -> bool:
        """Tell whether two plans take the same steps."""
        return same(first.choices, second.choices)

    def affords(self, specifications: Sequence[Plan]) -> bool:
        """Tell whether the budget bears a descent of each plan."""
        return self.cost.affords(specifications)

    def run(self, jobs: Sequence[TrialJob[Plan]]) -> list[TrialRun | None]:
        """Return the result of each descent."""
        plans = [
            job.specification if job.seed == self.seed else self._jittered(job.specification, job.seed) for job in jobs
        ]
        ends = self.cost.results(plans, _end_of, [job.quantities for job in jobs])
        return [None if end is None else self._run_of(end) for end in ends]

    def matters(self, scores: Sequence[float]) -> float:
        """Return a share of the most that was gained."""
        best = max([self.own, *scores])
        return max(_MATTERS * (best - self.own), _LEAST * (best + self.worst))

    def falls_short(self, best: TrialRun) -> bool:
        """Tell whether the best run does not rest at a minimum, or one that is not the lowest where that was wrong."""
        if best.moved["arrived"] != 1 or not self._wants_lowest:
            return best.moved["arrived"] != 1
        lowest = min([other.value for other in self._case.others], default=math.inf)
        return -best.score > lowest + self.matters([best.score, -lowest])

    def _run_of(self, end: _End) -> TrialRun:
        return TrialRun(self._score(end), end.moved, end.steps, end.seconds)

    def _score(self, end: _End) -> float:
        """Return the negative of the value at the end, as bad as that of the start at worst."""
        level = max(self.worst, end.first) if math.isfinite(end.first) else self.worst
        if end.outcome is Outcome.NOT_FINITE or not end.value <= level:
            self.levelled = True
            return -level
        return -end.value

    def _jittered(self, plan: Plan, seed: int) -> Plan:
        """Return a plan that begins close by, with a seed of its own for noise in the gradient."""
        row = coordinates(plan.start)
        # A share of each coordinate, so that coordinates at 0, such as those on a ridge, stay there.
        shift = self._kept(row * np.random.default_rng(seed).normal(scale=_JITTER, size=len(row)))
        return dataclasses.replace(plan, start=at(plan.start, row + shift), seed=seed)


class _End(NamedTuple):
    """The facts on the end of a descent that a trial needs."""

    first: float
    value: float
    outcome: Outcome
    moved: dict[str, float | None]
    steps: int
    seconds: float


def _end_of(trace: Trace, began: float, quantities: Sequence[str]) -> _End:
    first, moved = float(trace.columns["value"][0]), {name: measure(name, trace) for name in quantities}
    return _End(first, trace.value, trace.outcome, moved, trace.last_step, time.perf_counter() - began)


def _kept_in_trap(case: DescentCase, diagnosis: Diagnosis) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes out of a shift of the start all that would lead away from a saddle or a maximum.

    Only the two end directions of the curvature are known: where several lead out, the shift keeps to the one that
    leads up if there is but one, and is nothing otherwise.
    """
    spectrum = case.evidence.end.spectrum
    if not {"saddle_point", "maximum"} & set(diagnosis.symptoms) or spectrum is None:
        return lambda shift: shift
    if spectrum.lowest_direction is None or spectrum.highest_direction is None:
        return np.zeros_like
    low, high = along(spectrum.lowest_direction), along(spectrum.highest_direction)
    # With exactly one direction down, removing it keeps the trap; with all but one down, only the one that leads up is
    # safe.
    down = int(np.sum(spectrum.eigenvalues < 0))
    if spectrum.complete and down == 1 < len(low):
        return lambda shift: shift - (shift @ low) * low
    if spectrum.complete and down == len(low) - 1:
        return lambda shift: (shift @ high) * high
    return np.zeros_like


def from_other_starts(plan: Plan, runner: Descents, most: int, seed: int = 0) -> list[tuple[Plan, Trace]]:
    """Return descents that went well from starts about as far from the plan's own as that is from 0."""
    if not plan.is_small:
        return []
    most = min(most, int(_SHARE * runner.budget / max(plan.steps, 1)))
    row = coordinates(plan.start)
    spread = max(1.0, float(np.max(np.abs(row))))
    plans = [
        dataclasses.replace(plan, start=at(plan.start, _short(row + shift)))
        for shift in spread * _scattered(most, len(row), seed)
    ]
    traces = runner.results(plans, _if_well)
    return [(other, trace) for other, trace in zip(plans, traces, strict=True) if trace is not None]


def _if_well(trace: Trace, _: float) -> Trace | None:
    """Return the trace of a descent that went well."""
    return trace if trace.outcome is not Outcome.NOT_FINITE and diagnose(trace).ok else None


def _scattered(most: int, size: int, seed: int) -> np.ndarray:
    """Return rows of normal numbers that are evenly spread, shape (most, size), by the sequence of `Space.drawn`."""
    from scipy import special

    return special.ndtri(np.clip(even(most, size, seed), 1e-6, 1 - 1e-6))


def _short(row: np.ndarray) -> np.ndarray:
    """Return numbers with three digits, as a person would type a start."""
    return np.array([float(f"{value:.3g}") for value in row])


def _starts(descents: Sequence[tuple[Plan, Trace]]) -> tuple[OtherStart, ...]:
    """Return the starts of descents with the values at their ends."""
    return tuple(OtherStart(plan.start, trace.value) for plan, trace in descents)
