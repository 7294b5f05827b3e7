"""Many runs over every core: each a setup with a seed, and of each what a judge needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope.diagnosis import measure, quantity
from downslope.networks import Setup
from downslope.trace import Outcome, Trace

_LOOKS = 10  # evaluations of a run that is tried


@dataclass(frozen=True)
class Run:
    """What came of one run.

    Args:
        score: accuracy or R² at the end on the rows held back; 0 for one that was not finite or predicts worse than
            the mean does.
        moved: the quantities that were asked for, by name; None where one is not known.
        steps: steps taken.
        seconds: how long it took.
        trace: what it left behind, where that was asked for.
    """

    score: float
    moved: dict[str, float | None]
    steps: int
    seconds: float
    trace: Trace | None = None


class Job(NamedTuple):
    """A run to make.

    Args:
        thing: the setup or plan.
        seed: of weights and order, or of the jitter of the start; the subject's own for the run as it was asked for.
        quantities: what to measure of its trace.
        traced: whether to keep its trace, with all that a trace holds.
    """

    thing: Any
    seed: int
    quantities: tuple[str, ...] = ()
    traced: bool = False


class Runner:
    """Makes runs side by side, and counts what they cost.

    Args:
        workers: how many at a time.
        budget: the most steps to spend.
        show: called with (steps spent, budget, best score) after each run.
    """

    def __init__(self, workers: int, budget: float, show: Callable[[int, int, float], None]) -> None:
        self._workers, self._show = workers, show
        self.budget = budget
        self.spent, self.seconds, self.best = 0, 0.0, math.nan
        self.interrupted = False

    def affords(self, setups: Iterable[Setup]) -> bool:
        """Tell whether the budget still bears a run of each setup."""
        return self.spent + sum(int(setup.choices["steps"]) for setup in setups) <= self.budget

    def run(self, jobs: Sequence[Job]) -> list[Run | None]:
        """Return what came of each job; None for those that Ctrl-C kept from being made."""
        if self.interrupted:
            return [None] * len(jobs)
        for job in jobs:
            _ = job.thing.task  # read and built here, once, and not by two threads at a time
        made: list[Run | None] = [None] * len(jobs)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="downslope-trial") as pool:
            waiting = [pool.submit(_made, job) for job in jobs]
            try:
                for place, one in enumerate(waiting):
                    made[place] = self._counted(one)
            except KeyboardInterrupt:
                self.interrupted = True
                for one in waiting:
                    one.cancel()
        return made

    def _counted(self, waiting: Future[Run]) -> Run:
        """Return a run when it is done, its cost added."""
        one = waiting.result()
        self.spent += one.steps
        self.seconds += one.seconds
        self.best = one.score if math.isnan(self.best) else max(self.best, one.score)
        self._show(self.spent, int(min(self.budget, 2**62)), self.best)
        return one


def _made(job: Job) -> Run:
    """Make a run."""
    began = time.perf_counter()
    setup = job.thing if job.traced else _lean(job.thing, job.quantities)
    trace = setup.train(job.seed, progress=False).trace
    moved = {name: measure(name, trace) for name in job.quantities}
    seconds = time.perf_counter() - began
    return Run(score_of(trace), moved, trace.last_step, seconds, trace if job.traced else None)


def _lean(setup: Setup, quantities: Sequence[str]) -> Setup:
    """Return a setup that looks at no more than what is to be measured: its program compiles in half the time."""
    needed = {quantity(name).needs for name in quantities}
    evaluate_every = max(-(-int(setup.choices["steps"]) // _LOOKS), 1)
    unseen = {
        name: 0 for name, what in (("probe_every", "curvature"), ("layers_every", "layers")) if what not in needed
    }
    return setup.changed(evaluate_every=evaluate_every, **unseen)


def score_of(trace: Trace) -> float:
    """Return accuracy or R² at the end on the rows held back, from 0 up; 0 for a run that was not finite."""
    metric = trace.facts["network"]["metric"]
    told: Any = trace.metrics.get(f"validation_{metric}", ())
    if trace.outcome is Outcome.NOT_FINITE or not len(told) or not np.isfinite(told[-1]):
        return 0.0
    return max(float(told[-1]), 0.0)
