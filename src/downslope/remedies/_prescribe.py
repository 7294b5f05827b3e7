"""Prescribe: the verb from a run that falls short to remedies that were tried and shown to help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from downslope._errors import SettingError, whole
from downslope.descent import Plan, Show, progress_bar
from downslope.diagnosis import Diagnosis, diagnose
from downslope.ensembles import count
from downslope.networks import Setup, Training
from downslope.remedies._case import Case
from downslope.remedies._inquiry import inquire
from downslope.remedies._plan_trials import of_plan
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy
from downslope.remedies._runs import Job, Run, Runner, score_of
from downslope.remedies._training_remedies import everything, proposals
from downslope.remedies._yardstick import HELD_BACK
from downslope.trace import Trace, load

_BUDGET = 60  # times the steps of the run
_FEWEST = 100  # steps that a run counts as in this
_MATTERS = 0.01  # less of a gain is none
_ENOUGH = 0.97  # of accuracy or R², above which nothing further is looked for, if a simple learner has no more


def prescribe(
    thing: Plan | Training | Setup | str | Path,
    *,
    seeds: int = 5,
    budget: int | None = None,
    progress: bool | Show | None = None,
    data: Any = None,
) -> Prescription:
    """Find what mends a run: try remedies for what is wrong with it, and prove the best beside a control.

    Each remedy that theory knows for the findings is tried once. Those that do best, alone or two at once, are run
    again in pairs with the unchanged run: a training with the same seeds, on the rows held back; a descent from the
    same starts close by. A remedy helped if the 95 % interval of the mean difference lies above 0, also against runs
    that only luck sets apart, and the quantity it was to move has moved.

    Args:
        thing: the plan of a descent, a training, the folder of a saved one, or the setup of one, which is then trained
            first.
        seeds: pairs to prove a remedy with, from 2 up.
        budget: the most steps to spend in all; 60 times those of a training, 400 times those of a descent if None,
            where a run of less than 100 counts as that.
        progress: as for `descend`.
        data: what a saved run was trained on, where that was no file and no sample.

    Returns:
        The remedies that were tried, ranked, what they cost, and the changed plan or setup as `mended`. That nothing is
        wrong, or that nothing helped, are answers as well.

    Raises:
        SettingError: for something that cannot be run again, or a number that makes no sense.

    References: Student, "The probable error of a mean", 1908.

    >>> import downslope as ds
    >>> found = prescribe(ds.plan("f(x) = x²", {"x": 1.0}, learning_rate=1.1, steps=20))
    >>> found.best.remedy.name, found.mended.as_python()
    ('rate 0.5, from the curvature', 'ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.5, steps=20)')
    """
    pairs = whole("seeds", seeds, least=2)
    most = None if budget is None else whole("budget", budget)
    if isinstance(thing, str | Path) and Path(thing).is_dir():
        setup, trace = _saved(thing, data)
        return of_training(setup, trace, pairs, most, progress)
    if data is not None:
        raise SettingError("data are the rows of a saved run", hint="a plan, a training and a setup hold theirs")
    if isinstance(thing, Plan):
        return of_plan(thing, None, pairs, most, progress)
    setup, trace = _trained(thing)
    return of_training(setup, trace, pairs, most, progress)


def _saved(folder: str | Path, data: Any) -> tuple[Setup, Trace]:
    """Return what a saved training was asked for and what came of it."""
    trace = load(folder)
    if "asked" not in trace.facts:
        raise SettingError(
            f"{folder} does not tell what its run was asked for",
            hint="a formula is prescribed for as a plan: ds.prescribe(ds.plan(formula, start, …))",
        )
    return Setup.from_plain(trace.facts["asked"], data=data), trace


def _trained(thing: Any) -> tuple[Setup, Trace]:
    """Return what a training was asked for and what came of it."""
    if isinstance(thing, Setup):
        training = thing.train(progress=False)
        return thing, training.trace
    if isinstance(thing, Training):
        if thing.setup is None:
            raise SettingError("this training does not know what it was asked for", hint="train it with ds.train")
        return thing.setup, thing.trace
    if isinstance(thing, Trace):
        raise SettingError(
            "a trace tells what happened, and cannot be run again",
            hint="prescribe for its plan: ds.prescribe(ds.plan(formula, start, …)), or for the training",
        )
    raise SettingError(
        f"what is to be mended is a plan or a training, not {type(thing).__name__}"
        + (f"; and {str(thing)!r} is no folder of a saved one" if isinstance(thing, str | Path) else ""),
        hint="for example ds.prescribe(ds.plan('x² - y² + y⁴', {'x': 1, 'y': 0}))",
    )


def of_training(
    setup: Setup,
    trace: Trace,
    seeds: int,
    budget: int | None,
    progress: bool | Show | None,
) -> Prescription:
    """Return what helps a training.

    Args:
        setup: what was asked for.
        trace: what came of it.
        seeds: pairs of runs to prove a remedy with.
        budget: the most steps to spend in all; 60 times those of the run, or of 100, if None.
        progress: as for `descend`.
    """
    diagnosis = diagnose(trace)
    if diagnosis.ok and (score_of(trace) >= _ENOUGH or not proposals(Case(setup, trace), diagnosis)):
        return Prescription(setup, HELD_BACK, diagnosis, score_of(trace))
    if setup.task.objective.batched is None or setup.task.objective.batched.held_out is None:
        raise SettingError(
            "remedies are judged on rows held back, and there are none", hint="train with validation=0.2"
        )
    most = _BUDGET * max(int(setup.choices["steps"]), _FEWEST) if budget is None else budget
    with progress_bar(progress, most) as show:
        return inquire(_Trained(setup, trace, diagnosis, Runner(count(), most, show)), diagnosis, seeds)


class _Trained:
    """A training that is to be mended.

    Args:
        setup: what was asked for.
        trace: what came of it.
        diagnosis: what is wrong with it; where nothing is, only what was noted is looked after.
        runner: makes the runs.
    """

    yardstick = HELD_BACK
    looked_at = ()
    proves, doubts = 2, 6

    def __init__(self, setup: Setup, trace: Trace, diagnosis: Diagnosis, runner: Runner) -> None:
        self.thing, self.cost = setup, runner
        self.own, self.seed = score_of(trace), int(setup.choices["seed"])
        self._case = Case(setup, trace)
        self._enough = min(_ENOUGH, self._case.reference) if not diagnosis.ok else 0.0

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield all remedies at once, to be run side by side."""
        yield proposals(self._case, diagnosis)

    def lacks(self, remedy: Remedy | None, mended: Setup) -> Iterable[Sequence[Remedy]]:
        """Yield what is prescribed for the run with a remedy, then all that applies, each together with that."""
        if remedy is None:
            yield everything(self._case)
            return
        (run,) = self.run([Job(mended, self.seed, traced=True)])
        if run is None or run.trace is None:
            return
        case = Case(mended, run.trace)
        for further in (proposals(case, diagnose(run.trace)), everything(case)):
            yield [remedy.then(other) for other in further]

    def changed(self, changes: Any) -> Setup | None:
        """Return the setup with changes; None where it cannot be built."""
        try:
            changed = self.thing.changed(**changes)
            _ = changed.plan()
        except SettingError:
            return None
        return changed

    def alike(self, one: Setup, other: Setup) -> bool:
        """Tell whether two setups train the same."""
        same_model = one.model is other.model or (one.layers is not None and one.layers == other.layers)
        return same_model and one.as_python() == other.as_python()

    def affords(self, things: Sequence[Setup]) -> bool:
        """Tell whether the budget bears a run of each setup."""
        return self.cost.affords(things)

    def run(self, asked: Sequence[Job]) -> list[Run | None]:
        """Return what came of each run."""
        return self.cost.run(asked)

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts."""
        return _MATTERS

    def falls_short(self, best: Run) -> bool:
        """Tell whether the best run leaves something to gain."""
        return best.score < self._enough
