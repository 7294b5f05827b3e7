"""Trials: the runs with a remedy, compared seed by seed with unchanged runs and with re-seeded ones."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from downslope._errors import ExecutorError
from downslope._text import number
from downslope._types import Plain
from downslope.descent import Plan
from downslope.diagnosis import has_moved, measure, quantity
from downslope.executors import Crew, Unit, shared
from downslope.networks import Setup
from downslope.remedies._remedy import Remedy
from downslope.trace import Outcome, Trace

S = TypeVar("S", Plan, Setup)
_SURE = 0.95


@dataclass(frozen=True)
class Effect:
    """A mean difference between runs, with its interval by Student's t.

    Args:
        mean: the mean difference.
        low, high: the ends of its interval; −∞ and ∞ for a single pair.
        pairs: the number of pairs; without pairs the smaller number of runs.
        wins: the pairs in which the changed run was the better.
    """

    mean: float
    low: float
    high: float
    pairs: int
    wins: int = 0

    @classmethod
    def of(cls, treated: Sequence[float], control: Sequence[float]) -> Effect:
        """Return the effect of a change, from runs of one seed each."""
        from scipy import special

        differences = np.subtract(treated, control)
        pairs, mean, wins = len(differences), float(differences.mean()), int(np.sum(differences > 0))
        if pairs < 2:
            return cls(mean, -math.inf, math.inf, pairs, wins)
        # Student's t for the mean of paired differences: luck that both runs of a pair share cancels.
        reach = _squared_error(differences) ** 0.5 * float(special.stdtrit(pairs - 1, (1 + _SURE) / 2))
        return cls(mean, mean - reach, mean + reach, pairs, wins)

    @classmethod
    def apart(
        cls, treated: Sequence[float], control: Sequence[float], *, sure: float = _SURE, least: float = 0.0
    ) -> Effect:
        """Return the effect of a change from runs that are no pairs.

        Args:
            treated: scores of the changed runs.
            control: scores of the unchanged runs; the first of them have the seeds of the changed ones, if any has.
            sure: the share of such intervals that hold the true difference.
            least: the smallest standard deviation of a score; runs that happen to be equal are not free of luck.

        References: Welch, "The generalization of 'Student's' problem when several different population variances are
        involved", 1947.
        """
        from scipy import special

        counts = len(treated), len(control)
        mean = float(np.mean(treated) - np.mean(control))
        wins = sum(first > second for first, second in zip(treated, control, strict=False))
        if min(counts) < 2:
            return cls(mean, -math.inf, math.inf, min(counts), wins)
        parts = [max(_squared_error(scores), least**2 / len(scores)) for scores in (treated, control)]
        squared = sum(parts)
        if squared == 0:
            return cls(mean, mean, mean, min(counts), wins)
        # Welch–Satterthwaite degrees of freedom, since the two spreads may differ.
        freedom = squared**2 / sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
        reach = squared**0.5 * float(special.stdtrit(freedom, (1 + sure) / 2))
        return cls(mean, mean - reach, mean + reach, min(counts), wins)

    def within(self, lowest: float, highest: float) -> Effect:
        """Return the effect with its interval cut to possible values."""
        return replace(self, low=max(self.low, lowest), high=min(self.high, highest))


@dataclass(frozen=True)
class Trial:
    """A remedy that was tried.

    Args:
        remedy: the change.
        scores: of the changed runs, one a seed.
        effect: compared with the unchanged runs of the same seeds.
        net: compared with all unchanged runs, including other seeds: the improvement beyond chance.
        before, after: the quantity that the remedy should change, median over the seeds; None if unknown.
        steps: the cost of the trial.
    """

    remedy: Remedy
    scores: tuple[float, ...]
    effect: Effect
    net: Effect
    before: float | None
    after: float | None
    steps: int

    @property
    def moved(self) -> bool | None:
        """Whether the quantity changed as it should; None if unknown."""
        return has_moved(self.remedy.moves, self.before, self.after)

    @property
    def helped(self) -> bool:
        """Whether the score rose significantly, by more than between seeds, with the quantity changed or unknown."""
        return self.effect.low > 0 and self.net.low > 0 and self.moved is not False


def _squared_error(numbers: Sequence[float] | np.ndarray) -> float:
    """Return the square of a mean's standard error."""
    with np.errstate(over="ignore"):  # of values on their way to −∞
        return float(np.var(numbers, ddof=1)) / len(numbers)


# --- what runs are judged by ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Yardstick:
    """The measure of runs. Inside a larger score is always better; outside it is written as people know it.

    Args:
        words: what is measured, in a sentence.
        heading: the same as the heading of a column.
        effect_heading: the heading of a column of improvements.
        pairs: what makes two runs a pair.
        sign: −1 where less is better, and runs are judged by its negative.
        difference: how an improvement is written.
        lead: what stands before it in a sentence.
        luck: what the second control differs by, which nothing was changed in.
    """

    words: str
    heading: str
    effect_heading: str
    pairs: str
    sign: int
    difference: Callable[[float], str]
    lead: str
    luck: str

    def shown(self, scores: Sequence[float]) -> str:
        """Return the mean of some scores as text."""
        return number(self.sign * float(np.mean(scores)), 3)

    def improvement(self, effect: Effect) -> str:
        """Return an improvement with its interval."""
        mean, low, high = map(self.difference, (effect.mean, effect.low, effect.high))
        # An interval without width would claim what no few runs can show.
        return f"{mean} ({low} to {high})" if low != high else f"{mean} ({effect.wins} of {effect.pairs} {self.pairs})"


def _signed(step: float) -> str:
    return f"{step:+.3f}"


def _short(step: float) -> str:
    return number(step, 3)


HELD_BACK = Yardstick(
    words="score on rows held back",
    heading="score",
    effect_heading="effect (95 %)",
    pairs="seeds",
    sign=1,
    difference=_signed,
    lead="",
    luck="other seeds",
)
VALUE = Yardstick(
    words="value",
    heading="value",
    effect_heading="lower by (95 %)",
    pairs="starts",
    sign=-1,
    difference=_short,
    lead="lower by ",
    luck="starts close by",
)


# --- many runs over every core --------------------------------------------------------------------------------------

_LOOKS = 10  # evaluations of a run that is tried


@dataclass(frozen=True)
class TrialRun:
    """The result of one run.

    Args:
        score: accuracy or R² at the end on the rows held back; 0 for one that was not finite or predicts worse than
            the mean does.
        moved: the requested quantities, by name; None where one is not known.
        steps: steps taken.
        seconds: how long it took.
        trace: its trace, where the job keeps it.
        finite: whether it stayed finite.
        promise: how far a short run promises to get; see `promise_of`.
    """

    score: float
    moved: dict[str, float | None]
    steps: int
    seconds: float
    trace: Trace | None = None
    finite: bool = True
    promise: float = 0.0


class Cost(Protocol):
    """The cost of the runs so far."""

    spent: int
    seconds: float
    interrupted: bool


class TrialJob(NamedTuple, Generic[S]):
    """A run to make.

    Args:
        specification: the setup or plan.
        seed: of weights and order, or of the jitter of the start; the subject's own for the run as it was.
        quantities: what to measure of its trace.
        traced: whether to keep its trace, with all that a trace holds.
    """

    specification: S
    seed: int
    quantities: tuple[str, ...] = ()
    traced: bool = False


class TrialSubject(Protocol[S]):
    """A run to be repaired: what both searches for a remedy need of it."""

    @property
    def specification(self) -> S:
        """The plan or setup of the run."""
        ...

    @property
    def yardstick(self) -> Yardstick:
        """The score by which its runs are judged."""
        ...

    @property
    def own(self) -> float:
        """Its score."""
        ...

    @property
    def seed(self) -> int:
        """Its seed."""
        ...

    @property
    def cost(self) -> Cost:
        """The cost of all runs so far."""
        ...

    def changed(self, changes: Mapping[str, Any]) -> S | None:
        """Return the specification with changes; None where it cannot be built."""
        ...

    def alike(self, first: S, second: S) -> bool:
        """Tell whether two specifications run the same."""
        ...

    def affords(self, specifications: Sequence[S]) -> bool:
        """Tell whether the budget allows a run of each specification."""
        ...

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts, given the scores that were seen."""
        ...


class Runner:
    """Runs jobs in parallel, and counts their cost.

    Args:
        crew: makes them.
        budget: the most steps to spend.
        show: called with (steps spent, budget, best score) after each run.
    """

    def __init__(self, crew: Crew, budget: float, show: Callable[[int, int, float], None]) -> None:
        self._crew, self._show = crew, show
        self.budget = budget
        self.spent, self.seconds, self.best = 0, 0.0, math.nan
        self.interrupted = False
        self.note = ""
        self._units: dict[TrialJob[Setup], Unit] = {}  # so that the crew knows again what it has begun ahead

    def affords(self, setups: Iterable[Setup]) -> bool:
        """Tell whether the budget still bears a run of each setup."""
        return self.spent + sum(int(setup.choices["steps"]) for setup in setups) <= self.budget

    def run(self, jobs: Sequence[TrialJob[Setup]], likely: Iterable[TrialJob[Setup]] = ()) -> list[TrialRun | None]:
        """Return the result of each job; None for those that Ctrl-C, or the end of the executor, prevented.

        Args:
            jobs: the runs to make.
            likely: runs that may be needed next, the likeliest first. Idle workers begin them beside the others, and
                nothing waits for them. They cost, and change, nothing until they are jobs themselves.
        """
        if self.interrupted:
            return [None] * len(jobs)
        for job in jobs if self._crew.in_this_process else ():
            _ = job.specification.task  # read and built here, once, and not by two threads at a time
        # The longest first: what began last would else be waited for alone.
        making = sorted(dict.fromkeys(jobs), key=lambda job: -_length_of(job.specification))
        known: dict[TrialJob[Setup], TrialRun] = {}
        guesses = (self._unit(job) for job in likely if job not in making)
        try:
            for number, run in self._crew.each([self._unit(job) for job in making], guesses):
                known[making[number]] = self._counted(run)
        except KeyboardInterrupt:
            self.interrupted = True
        except ExecutorError as error:
            self.interrupted, self.note = True, f"{error.message[0].upper()}{error.message[1:]}."
        return [known.get(job) for job in jobs]

    def _unit(self, job: TrialJob[Setup]) -> Unit:
        """Return the unit of work that makes a run, the same one each time."""
        if job not in self._units:
            self._units[job] = unit_of(job)
        return self._units[job]

    def _counted(self, run: TrialRun) -> TrialRun:
        """Return a run, its cost added."""
        self.spent += run.steps
        self.seconds += run.seconds
        self.best = run.score if math.isnan(self.best) else max(self.best, run.score)
        self._show(self.spent, int(min(self.budget, 2**62)), self.best)
        return run


def _length_of(setup: Setup) -> int:
    """Return about how long a run takes, as steps times rows times parameters; only the order of runs depends on it."""
    batched = setup.task.objective.batched
    facts: Plain = {} if batched is None else batched.facts
    rows = setup.task.batch or facts.get("data", {}).get("rows") or 1
    parameters = facts.get("network", {}).get("parameters") or 1
    return int(setup.choices["steps"]) * int(setup.choices["accumulate"]) * rows * parameters


def unit_of(job: TrialJob[Setup]) -> Unit:
    """Return the unit of work that makes a run; those of one structure and one record compile the same program."""
    alike = job.specification.structure, job.quantities, job.traced
    return Unit(_run, job.specification, (job.seed, job.quantities, job.traced), alike)


def _run(setup: Setup, seed: int, quantities: tuple[str, ...], traced: bool) -> TrialRun:
    """Make a run."""
    began = time.perf_counter()
    with_task_of_this_process(setup)
    # Looks into layers and curvature make a program that compiles twice as long.
    setup = setup if traced else _lean(setup, quantities)
    trace = setup.train(seed, progress=False).trace
    moved = {name: measure(name, trace) for name in quantities}
    seconds = time.perf_counter() - began
    finite = trace.outcome is not Outcome.NOT_FINITE
    kept = trace if traced else None
    return TrialRun(score_of(trace), moved, trace.last_step, seconds, kept, finite, promise_of(trace))


def with_task_of_this_process(setup: Setup) -> Setup:
    """Return a setup that has come to a worker, with the data and the network of one that came before it, if any."""
    if "task" not in setup.__dict__:
        first = shared(("setup", setup.structure), setup)
        with _BUILDING:
            setup.__dict__.setdefault("task", first.task)
    return setup


_BUILDING = threading.Lock()  # of two threads of a worker, one reads and builds


def _lean(setup: Setup, quantities: Sequence[str]) -> Setup:
    """Return a setup that records only what is to be measured: its program compiles in half the time."""
    needed = {quantity(name).needs for name in quantities}
    steps = int(setup.choices["steps"])
    evaluate_every = steps if steps <= _LOOKS else -(-steps // _LOOKS)
    unseen: dict[str, Any] = {
        name: 0 for name, what in (("probe_every", "curvature"), ("layers_every", "layers")) if what not in needed
    }
    return setup.changed(evaluate_every=evaluate_every, **unseen)


def score_of(trace: Trace) -> float:
    """Return accuracy or R² at the end on the rows held back, from 0 up; 0 for a run that was not finite."""
    metric = trace.facts["network"]["metric"]
    score = trace.at_end(f"validation_{metric}")
    if trace.outcome is Outcome.NOT_FINITE or not math.isfinite(score):
        return 0.0
    # Below 0 an R² says no more than that the mean predicts better; far below, it would dominate every average.
    return max(score, 0.0)


def promise_of(trace: Trace) -> float:
    """Return how far a short run promises to get: its score, and among equals how much of its loss is gone."""
    if trace.outcome is Outcome.NOT_FINITE:
        return -math.inf
    losses = np.asarray(trace.columns["value"], float)
    size = max(len(losses) // 10, 1)
    first, last = float(losses[:size].mean()), float(losses[-size:].mean())
    gone = 1 - last / first if first > 0 and math.isfinite(first) else 0.0
    return score_of(trace) + _TIE * gone


_TIE = 0.05
