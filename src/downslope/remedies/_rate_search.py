"""`find_learning_rate`: two estimates of a rate, and short runs that check them.

The range test lets the rate grow from step to step, from far too small to far too large, and takes the one at which the
loss falls fastest. The curvature bounds stable rates: 2 / λ_max for gradient descent, by as much more or less as
`_stability` says for other methods, with λ_max that of P⁻¹H where a method divides by a scale P. Half of the bound is
the other estimate, for head-room. Both can mislead, the one since each of its rates goes on from where the others led,
the other since it looks at one point; so neither is offered unchecked. Candidates around both run from the start, as
the plan itself would, and the rate is taken from those that descend.

References: Smith, "Cyclical learning rates for training neural networks", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from downslope._choices import checked, door
from downslope._errors import SettingError
from downslope._tree import leaves
from downslope._types import Point
from downslope.descent import (
    Objective,
    Plan,
    ShortRun,
    checked_progress,
    descend,
    make_plan,
    progress_bar,
    range_test,
    settings_of_own,
    sharpness,
    short_run,
)
from downslope.diagnosis import diagnose
from downslope.ensembles import crew_of
from downslope.executors import Crew, Unit, check_executor
from downslope.formulas import Formula
from downslope.networks import Setup, Training
from downslope.remedies._choices import RateSearchChoices
from downslope.remedies._rate_finding import RateCheck, RateFinding
from downslope.remedies._trial import with_task_of_this_process
from downslope.trace import Spectrum

_WITHOUT_MINIMUM = ("unbounded", "pole", "kink")  # symptoms of an objective on which no fixed rate comes to rest
_TESTED = 100  # steps of the range test
_BELOW, _ABOVE = 1e-4, 1e2  # its ends, in units of the bound at the start
_FREE = (1e-6, 10.0)  # its ends for methods whose steps are about as long as the rate, in units of the point's size
_QUIET = 10  # steps of the range test at rates that change nothing, which show how batches differ
_EXPLODED = 10.0  # times as far above the start as it ever was below
_FIRST_STEPS, _STEPS_TO_SCALE = 10, 100  # before the second look at the curvature; P is a mean that takes its time
_HEADROOM = 0.5
_SPREAD = 4.0  # from one candidate to the next, before the best is closed in on
_MOST_APART = 7  # candidates to begin with
_LONGEST_WAY = 6  # further ones to either side, as long as the outermost does best
_EQUAL, _EQUAL_OF_BATCHES = 1e-4, 2e-3  # of the best decrease; less of a difference is none
_NEARLY_AS_FAST = 1.5
_WINDOW = 5  # the last fifth of the steps is averaged over batches
_CHECKED = 12  # candidates, as a rule


@dataclass(frozen=True)
class _Bound:
    """The largest stable rate by curvature, or why it is not known."""

    rate: float | None
    missing: str = ""


class RateSearch:
    """Looks for the learning rate of one plan.

    Args:
        subject: the plan, or the setup that it is of.
        plan: the plan.
        budget: steps of each check.
        show: called with the steps taken, those expected, and the lowest loss, after each run.
        crew: makes the checks.
    """

    def __init__(
        self, subject: Plan | Setup, plan: Plan, budget: int, show: Callable[[int, int, float], None], crew: Crew
    ) -> None:
        self.subject, self.plan, self.budget, self.show, self.crew = subject, plan, budget, show, crew
        self.batched = plan.objective.batched is not None
        self.runs: dict[float, ShortRun] = {}
        self.steps = 0
        self.control: np.ndarray | None = None

    @staticmethod
    def expected(budget: int) -> int:
        """Return the steps that a search takes, as a rule."""
        return 2 * _TESTED + _CHECKED * budget

    def finding(self) -> RateFinding:
        """Return the range test, the bound, the checks and the rate to take."""
        at_start = sharpness(self.plan, 1.0, 0)
        rates = self._tested_rates(at_start)
        losses = self._paired(range_test(self.plan, rates.tolist(), _has_exploded))
        # The test stops when the loss has exploded, so that fewer losses than rates may have come.
        rates = rates[: max(len(losses) - 1, 0)]
        self._spent(len(rates))
        steepest = _steepest(rates, losses, smooth=self.batched)
        bound = self._bound(at_start, steepest)
        half = None if bound.rate is None else _HEADROOM * bound.rate
        estimates = [rate for rate in (steepest, half) if rate is not None]
        # Both estimates can mislead; they only say where to look.
        self._try_around(estimates or [self.plan.method.default_rate])
        checks = self._checks()
        index = _picked(checks, self._equal)
        return RateFinding(
            specification=self.subject,
            read_as=self.plan.objective.read_as,
            method=self.plan.method.name,
            test_rates=rates,
            test_losses=losses[1:],
            steepest=steepest,
            stable_bound=bound.rate,
            bound_missing=bound.missing,
            checks=checks,
            picked=index,
            budget=self.budget,
            steps=self.steps,
            caution="" if index is None else self._caution(checks[index].rate),
        )

    def _caution(self, rate: float) -> str:
        """Return why no fixed rate leads to a minimum, as a descent at the best of them shows; else ""."""
        if self.plan.objective.formula is None:
            return ""
        diagnosis = diagnose(descend(replace(self.plan, learning_rate=rate, steps=self.budget)))
        return next((finding.sentence for finding in diagnosis if finding.symptom in _WITHOUT_MINIMUM), "")

    @property
    def _equal(self) -> float:
        return _EQUAL_OF_BATCHES if self.batched else _EQUAL

    def _spent(self, steps: int) -> None:
        """Count steps, and report progress."""
        self.steps += steps
        lowest = min((float(run.values[-1]) for run in self.runs.values() if run.finite), default=math.nan)
        self.show(self.steps, max(self.steps, self.expected(self.budget)), lowest)

    # --- the two estimates --------------------------------------------------------------------------------------------

    def _tested_rates(self, at_start: tuple[Spectrum, ...]) -> np.ndarray:
        """Return the rates of the range test, around the bound at the start where there is run."""
        facts = self.plan.method.facts
        bound = facts.bound
        curved = max((float(np.abs(look.eigenvalues).max()) for look in at_start), default=math.nan)
        if bound is not None and not facts.scaled and math.isfinite(curved) and curved > 0:
            return bound / curved * np.geomspace(_BELOW, _ABOVE, _TESTED)
        sizes = [float(np.abs(leaf).max()) for leaf in map(np.asarray, leaves(self.plan.start)) if leaf.size]
        unit = 1.0 if self.batched else max(1.0, *sizes)
        return unit * np.geomspace(*_FREE, _TESTED)

    def _bound(self, at_start: tuple[Spectrum, ...], steepest: float | None) -> _Bound:
        """Return the largest rate that is stable both at the start and after a few steps."""
        facts = self.plan.method.facts
        bound = facts.bound
        if bound is None:
            return _Bound(None, facts.no_theory)
        if not at_start:
            return _Bound(None, "the examples cannot be sampled")
        own = bound / at_start[0].highest if not facts.scaled and at_start[0].highest > 0 else math.inf
        # The curvature of the first steps may be higher than at the start; a step that is surely stable leads there.
        careful = min(steepest or math.inf, _HEADROOM * own)
        steps = min(_STEPS_TO_SCALE if facts.scaled else _FIRST_STEPS, self.budget)
        if not math.isfinite(careful):
            careful = self.plan.method.default_rate / 100
        looks = sharpness(self.plan, careful, steps)
        self._spent(steps)
        highest = [look.preconditioned_highest for look in looks[1:]] if facts.scaled else [s.highest for s in looks]
        known = [float(λ) for λ in highest if λ is not None and math.isfinite(λ)]
        if not known:
            return _Bound(None, "the curvature is not finite or cannot be measured")
        if max(known) <= 0:
            return _Bound(None, "the ground curves upwards in no direction")
        return _Bound(bound / max(known))

    # --- the checks ---------------------------------------------------------------------------------------------------

    def _try_around(self, estimates: list[float]) -> None:
        """Run candidates around the estimates, further out while the outermost does best, then close in on the best."""
        low, high = min(estimates) / _SPREAD, max(estimates) * _SPREAD
        count = math.ceil(math.log(high / low, _SPREAD) - 1e-9) + 1
        self._try([*estimates, *np.geomspace(low, high, min(count, _MOST_APART))])
        for _ in range(_LONGEST_WAY):
            best, tried = self._best(), sorted(self.runs)
            if best is None:
                self._try([tried[0] / _SPREAD**2])
            elif best == tried[-1]:
                self._try([best * _SPREAD])
            elif best == tried[0]:
                self._try([best / _SPREAD])
            else:
                break
        # Candidates are a factor of four apart; close in to a factor of √2, finer than rates matter.
        for factor in (2.0, math.sqrt(2.0)):
            best = self._best()
            if best is not None:
                self._try([best * factor, best / factor])

    def _try(self, rates: Iterable[float]) -> None:
        """Run rates that were not run yet, rounded so that they can be typed; near ones count as run."""
        fresh: list[float] = []
        for rate in map(_rounded, rates):
            if all(abs(math.log(rate / other)) > 0.15 for other in (*self.runs, *fresh)):
                fresh.append(rate)
        subject = self.plan if self.crew.in_this_process else self.subject
        units = [Unit(_checked_at, subject, (rate, self.budget)) for rate in fresh]
        runs = self.crew.results(units, lambda _, run: self._spent(run.steps))
        self.runs |= dict(zip(fresh, runs, strict=True))

    def _best(self) -> float | None:
        """Return the rate that is best so far; None where none descends."""
        checks = self._checks()
        index = _picked(checks, self._equal)
        return None if index is None else checks[index].rate

    def _checks(self) -> tuple[RateCheck, ...]:
        """Return the checks of all runs, by rate."""
        checks = [self._check(rate, self.runs[rate]) for rate in sorted(self.runs)]
        ends = [check for check in checks if check.descends]
        if self.batched or not ends:
            return tuple(checks)
        best = min(ends, key=lambda check: check.after)
        target = best.after + self._equal * (best.before - best.after)
        return tuple(replace(check, pace=_pace(self.runs[check.rate], target)) for check in checks)

    def _check(self, rate: float, run: ShortRun) -> RateCheck:
        """Return the check of a run."""
        if not self.batched:
            before, after = float(run.values[0]), float(run.values[-1])
            return RateCheck(rate, before, after if run.finite else math.inf, 0.0, run.steps)
        window = max(self.budget // _WINDOW, 1)
        # Compare with the start's loss on the very same batches: the difference of batches cancels.
        still = self._at_start()[: self.budget + 1][-window:]
        before = float(still.mean())
        if not run.finite:
            return RateCheck(rate, before, math.inf, 0.0, run.steps)
        gained = still - run.values[-window:]
        return RateCheck(
            rate, before, before - float(gained.mean()), float(gained.std() / math.sqrt(window)), run.steps
        )

    def _at_start(self) -> np.ndarray:
        """Return the losses of the start on the batches of each step: those of a run at rate 0."""
        if self.control is None:
            self.control = short_run(self.plan, 0.0, max(self.budget, _TESTED)).values
            self._spent(len(self.control) - 1)
        return self.control

    def _paired(self, losses: np.ndarray) -> np.ndarray:
        """Return the losses of a range test without what differs from batch to batch, as the start shows it."""
        if not self.batched:
            return losses
        still = self._at_start()[: len(losses)]
        losses = losses[: len(still)]
        # Ratios suit losses above 0, whose spread grows with their size; differences suit all others.
        if np.all(still > 0) and np.all(losses >= 0):
            return losses / still * (still.mean() if len(still) else 1.0)
        return losses - still + still.mean()


def _checked_at(subject: Plan | Setup, rate: float, steps: int) -> ShortRun:
    """Return the first steps at a rate."""
    plan = with_task_of_this_process(subject).plan() if isinstance(subject, Setup) else subject
    return short_run(plan, rate, steps)


def _has_exploded(losses: list[float]) -> bool:
    """Tell whether a range test is over: the loss stands far higher above the start than it ever stood below."""
    if len(losses) <= _QUIET:
        return False
    fell = max(losses[0] - min(losses), float(np.ptp(losses[:_QUIET])))
    return fell > 0 and losses[-1] - losses[0] > _EXPLODED * fell


def _steepest(rates: np.ndarray, losses: np.ndarray, *, smooth: bool) -> float | None:
    """Return the rate at which the loss fell fastest before its lowest; None where it never fell."""
    if len(losses) < 3:
        return None
    course = _smoothed(losses) if smooth else losses
    lowest = int(np.argmin(course))
    if lowest == 0:
        return None
    index = int(np.argmax(course[:lowest] - course[1 : lowest + 1]))
    return float(rates[index])


def _smoothed(losses: np.ndarray, width: int = 7) -> np.ndarray:
    """Return running means, of fewer entries towards both ends."""
    ends = np.arange(len(losses))
    reach = np.minimum(np.minimum(ends, ends[::-1]), width // 2)
    total = np.concatenate([[0.0], np.cumsum(losses)])
    return (total[ends + reach + 1] - total[ends - reach]) / (2 * reach + 1)


def _pace(run: ShortRun, target: float) -> float:
    """Return the row from which a run stays at a target or below, ∞ if it does not end there."""
    above = np.flatnonzero(~(run.values <= target))
    if not run.finite or (len(above) and above[-1] == len(run.values) - 1):
        return math.inf
    return float(above[-1] + 1) if len(above) else 0.0


def _picked(checks: tuple[RateCheck, ...], equal: float) -> int | None:
    """Return the index of the rate to take: the lowest loss; of equal ones the fast, and of these the smallest."""
    descending = [index for index, check in enumerate(checks) if check.descends]
    if not descending:
        return None
    best = min((checks[index] for index in descending), key=lambda check: check.after)
    target = best.after + equal * (best.before - best.after)
    good = [index for index in descending if checks[index].after <= target]
    fastest = min(checks[index].pace for index in good)
    return next(index for index in good if checks[index].pace <= _NEARLY_AS_FAST * fastest)


def _rounded(rate: float) -> float:
    """Return a rate in two digits."""
    return float(f"{rate:.1e}")


_BUDGET, _BUDGET_OF_BATCHES = 200, 100


@door(RateSearchChoices)
def find_learning_rate(
    run: str | Formula | Objective | Callable[..., Any] | Plan | Setup | Training,
    start: Point = None,
    **choices: Unpack[RateSearchChoices],
) -> RateFinding:
    """Find a learning rate by two estimates, and check it by short runs.

    The run itself is not changed: trials start where it starts, with its method, its schedule and its
    order of examples, and are discarded.

    Args:
        run: a Plan; a Setup; a Training, whose setup is used; or whatever `plan` takes.
        start: the point at step 0, if `run` is an objective.
        **choices: as in `RateSearchChoices`; with a Plan, a Setup or a Training only `budget` and `progress`.

    Returns:
        The range test, the bound by curvature, the checks, and the chosen rate: the one with the lowest final loss, the
        smallest of equally good ones; None if no rate descends.

    Raises:
        SettingError: for a method without a learning rate, a schedule that includes one, or a stream readable only
            once.
        DownslopeError: as `plan` and `train`.

    >>> finding = find_learning_rate("f(x) = x²", {"x": 10})
    >>> finding.stable_bound, finding.learning_rate
    (1.0, 0.5)
    """
    if "learning_rate" in choices:
        raise SettingError("find_learning_rate chooses the learning rate", hint="leave learning_rate out")
    passed = checked(RateSearchChoices, choices, also=("run", "start"), settings=settings_of_own(choices))
    budget, progress = passed.pop("budget", None), checked_progress(passed.pop("progress", None))
    executor = passed.pop("executor", None)
    check_executor(executor)  # before data are read
    subject = _subject(run, start, passed)
    base = subject.plan() if isinstance(subject, Setup) else subject
    _check(base)
    usual = _BUDGET if base.objective.batched is None else _BUDGET_OF_BATCHES
    most = budget or max(min(base.steps, usual), 1)
    with progress_bar(progress, RateSearch.expected(most)) as show, crew_of(executor, base) as crew:
        return RateSearch(subject, base, most, show, crew).finding()


def _subject(run: Any, start: Point, choices: dict[str, Any]) -> Plan | Setup:
    """Return the plan or the setup that was passed, or the plan that the choices make."""
    if not isinstance(run, Plan | Setup | Training):
        return make_plan(run, start, choices)
    if start is not None or choices:
        kind = type(run).__name__.lower()
        raise SettingError(f"a {kind} holds its start and settings already", hint="pass it alone")
    if not isinstance(run, Training):
        return run
    if run.setup is None:
        raise SettingError("this training does not know its setup", hint="pass a Plan or a Setup")
    return run.setup


def _check(base: Plan) -> None:
    """Raise for a plan without a rate to look for."""
    if not base.method.takes_rate:
        why = "searches for the length of each step" if base.method.searches_line else "holds its own learning rate"
        raise SettingError(f"{base.method.name} {why}: there is no rate to find", hint='for example method="momentum"')
    if base.schedule.function is not None:
        raise SettingError(
            "the schedule is a function that holds its own rates: there is none to find",
            hint='name a schedule, such as schedule="cosine", or none',
        )
    batched = base.objective.batched
    if batched is not None and not getattr(batched.stream, "reads_again", True):
        raise SettingError(
            "the stream of batches can be read only once, and trying rates would use it up",
            hint="give something that can be read again from the start, such as a list or a loader",
        )
