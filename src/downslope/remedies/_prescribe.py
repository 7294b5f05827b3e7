"""Prescribe: the verb from a run that falls short to remedies that were tried and shown to help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from downslope._choices import checked, defaults, door
from downslope._errors import SettingError, described
from downslope.descent import Plan, Show, checked_progress, progress_bar
from downslope.diagnosis import Diagnosis, diagnose
from downslope.ensembles import count
from downslope.networks import Setup, Training
from downslope.remedies._choices import PrescribeChoices
from downslope.remedies._descent_trials import of_plan
from downslope.remedies._inquiry import inquire
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy, TrainingCase
from downslope.remedies._training_remedies import everything, proposals
from downslope.remedies._trial import HELD_BACK, Runner, TrialJob, TrialRun, score_of
from downslope.trace import Trace, load

_PARTS = ("data", "model", "target", "validation", "loss", "start")  # of a saved run, which a file may not hold
_BUDGET = 60  # times the steps of the run
_FEWEST = 100  # steps that a run counts as in this
_MATTERS = 0.01  # less of a gain is none
_ENOUGH = 0.97  # of accuracy or R², above which nothing further is looked for, if a simple learner has no more


@door(PrescribeChoices)
def prescribe(run: Plan | Training | Setup | str | Path, **choices: Unpack[PrescribeChoices]) -> Prescription:
    """Find what mends a run: try remedies for what is wrong with it, and prove the best beside a control.

    Each remedy that theory knows for the findings is tried once. Those that do best, alone or two at once, are run
    again in pairs with the unchanged run: a training with the same seeds, on the rows held back; a descent from the
    same starts close by. A remedy helped if the 95 % interval of the mean difference lies above 0, also against runs
    that only luck sets apart, and the quantity it was to move has moved.

    Args:
        run: the plan of a descent, a training, the folder of a saved one, or the setup of one, which is then trained
            first.
        **choices: as in `PrescribeChoices`.

    Returns:
        The remedies that were tried, ranked, what they cost, and the changed plan or setup as `mended`. That nothing is
        wrong, or that nothing helped, are answers as well.

    Raises:
        SettingError: for something that cannot be run again, or a number that makes no sense.

    References: Student, "The probable error of a mean", 1908.

    >>> import downslope as ds
    >>> prescription = prescribe(ds.plan("f(x) = x²", {"x": 1.0}, learning_rate=1.1, steps=20))
    >>> prescription.best.remedy.name, prescription.mended.as_python()
    ('rate 0.5, from the curvature', 'ds.descend("f(x) = x²", {"x": 1.0}, learning_rate=0.5, steps=20)')
    """
    chosen = {**defaults(PrescribeChoices), **checked(PrescribeChoices, choices, also=("run",))}
    pairs, most = chosen["seeds"], chosen["budget"]
    parts = {name: chosen[name] for name in _PARTS if chosen[name] is not None}
    progress = checked_progress(chosen["progress"])
    if isinstance(run, str | Path) and Path(run).is_dir():
        setup, trace = _saved(run, parts)
        return of_training(setup, trace, pairs, most, progress)
    if parts:
        name = next(iter(parts))
        what = "data are the rows" if name == "data" else f"{name} is a part"
        raise SettingError(f"{what} of a saved run", hint="a plan, a training and a setup hold their own")
    if isinstance(run, Plan):
        return of_plan(run, None, pairs, most, progress)
    setup, trace = _trained(run)
    return of_training(setup, trace, pairs, most, progress)


def _saved(folder: str | Path, parts: Mapping[str, Any]) -> tuple[Setup, Trace]:
    """Return the setup and the trace of a saved training, with the parts of it that no file holds."""
    trace = load(folder)
    if "asked" not in trace.facts:
        raise SettingError(
            f"{folder} does not hold the setup of its run",
            hint="a formula is prescribed for as a plan: ds.prescribe(ds.plan(formula, start, …))",
        )
    lost = [name for name in trace.facts["asked"]["untold"] if name not in _PARTS]
    if lost:
        raise SettingError(
            f"{folder} does not hold the {lost[0]} of its run",
            hint="prescribe for a setup with it: ds.prescribe(ds.Setup.of(model, data, …))",
        )
    return Setup.from_plain(trace.facts["asked"], **parts), trace


def _trained(run: Any) -> tuple[Setup, Trace]:
    """Return the setup and the trace of a training."""
    if isinstance(run, Setup):
        training = run.train(progress=False)
        return run, training.trace
    if isinstance(run, Training):
        if run.setup is None:
            raise SettingError("this training does not know its setup", hint="train it with ds.train")
        return run.setup, run.trace
    if isinstance(run, Trace):
        raise SettingError(
            "a trace is a record, and cannot be run again",
            hint="prescribe for its plan: ds.prescribe(ds.plan(formula, start, …)), or for the training",
        )
    raise SettingError(
        f"prescribe takes a plan or a training, not {described(run)}"
        + ("; and there is no folder of that name" if isinstance(run, str | Path) else ""),
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
        setup: its setup.
        trace: its trace.
        seeds: pairs of runs to prove a remedy with.
        budget: the most steps to spend in all; 60 times those of the run, or of 100, if None.
        progress: as for `descend`.
    """
    diagnosis = diagnose(trace)
    if diagnosis.ok and (score_of(trace) >= _ENOUGH or not proposals(TrainingCase(setup, trace), diagnosis)):
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
        setup: its setup.
        trace: its trace.
        diagnosis: its diagnosis; if it has no problem, only its notes are treated.
        runner: makes the runs.
    """

    yardstick = HELD_BACK
    looked_at = ()
    proves, doubts = 2, 6

    def __init__(self, setup: Setup, trace: Trace, diagnosis: Diagnosis, runner: Runner) -> None:
        self.specification, self.cost = setup, runner
        self.own, self.seed = score_of(trace), int(setup.choices["seed"])
        self._case = TrainingCase(setup, trace)
        self._enough = min(_ENOUGH, self._case.reference) if not diagnosis.ok else 0.0

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield all remedies at once, to be run side by side."""
        yield proposals(self._case, diagnosis)

    def lacks(self, remedy: Remedy | None, mended: Setup) -> Iterable[Sequence[Remedy]]:
        """Yield the remedies for the mended run's diagnosis, then all that apply, each combined with its remedy."""
        if remedy is None:
            yield everything(self._case)
            return
        (run,) = self.run([TrialJob(mended, self.seed, traced=True)])
        if run is None or run.trace is None:
            return
        case = TrainingCase(mended, run.trace)
        for further in (proposals(case, diagnose(run.trace)), everything(case)):
            yield [remedy.then(other) for other in further]

    def changed(self, changes: Mapping[str, Any]) -> Setup | None:
        """Return the setup with changes; None where it cannot be built."""
        try:
            changed = self.specification.changed(**changes)
            _ = changed.plan()
        except SettingError:
            return None
        return changed

    def alike(self, first: Setup, second: Setup) -> bool:
        """Tell whether two setups train the same."""
        same_model = first.model is second.model or (first.layers is not None and first.layers == second.layers)
        return same_model and first.as_python() == second.as_python()

    def affords(self, specifications: Sequence[Setup]) -> bool:
        """Tell whether the budget bears a run of each setup."""
        return self.cost.affords(specifications)

    def run(self, jobs: Sequence[TrialJob[Setup]]) -> list[TrialRun | None]:
        """Return the result of each run."""
        return self.cost.run(jobs)

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts."""
        return _MATTERS

    def falls_short(self, best: TrialRun) -> bool:
        """Tell whether the best run leaves something to gain."""
        return best.score < self._enough
