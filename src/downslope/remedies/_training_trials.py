"""Trials of remedies of a training: the same rows and steps, with a remedy and without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from downslope._errors import SettingError
from downslope.descent import Show, progress_bar
from downslope.diagnosis import Diagnosis, TrainingEvidence, diagnose, has_moved, measure
from downslope.ensembles import count
from downslope.executors import Crew, ExecutorLike
from downslope.networks import Setup
from downslope.remedies._prescription import Prescription
from downslope.remedies._ranking import causes_of, combined, problems_of, ranked
from downslope.remedies._remedy import Remedy, TrainingCase
from downslope.remedies._training_remedies import everything, proposals
from downslope.remedies._trial import HELD_BACK, Runner, TrialJob, TrialRun, score_of
from downslope.remedies._wide_race import wide_race
from downslope.trace import Trace

_BUDGET = 60  # trainings
_FEWEST = 100  # steps that a run counts as in this
_MATTERS = 0.01  # less of a gain is none
_ENOUGH = 0.97  # of accuracy or R², above which nothing further is looked for, if a simple learner has no more
_LOOK = 10  # steps that tell whether a quantity moves
_SHORTEST = 30  # steps that tell how a training goes
_FEW_ROWS = 100  # held back, where their number is not known
# What ten steps say nothing about: these are what a training is for.
_LATE = frozenset({"training_score", "training_loss", "score_gap", "still_falling", "noise_ratio"})


def of_training(
    setup: Setup,
    trace: Trace,
    seeds: int,
    trainings: int | None,
    progress: bool | Show | None,
    executor: ExecutorLike = None,
    width: int = 1,
) -> Prescription:
    """Return the prescription for a training.

    Args:
        setup: its setup.
        trace: its trace.
        seeds: the most pairs of runs to prove a remedy with.
        trainings: the most to spend in all, in trainings of so many steps, or of 100; 60 if None.
        progress: as for `descend`.
        executor: where the runs take place.
        width: runs that are begun before the next decision.
    """
    diagnosis = diagnose(trace)
    if diagnosis.ok and (score_of(trace) >= _ENOUGH or not proposals(TrainingCase(setup, trace), diagnosis)):
        return Prescription(setup, HELD_BACK, diagnosis, score_of(trace))
    if setup.task.objective.batched is None or setup.task.objective.batched.held_out is None:
        raise SettingError(
            "remedies are judged on rows held back, but there are none", hint="train with validation=0.2"
        )
    most = (_BUDGET if trainings is None else trainings) * max(int(setup.choices["steps"]), _FEWEST)
    with progress_bar(progress, most) as show, Crew(executor, threads=count) as crew:
        runner = Runner(crew, most, show)
        prescription = wide_race(_Trained(setup, trace, diagnosis, runner), diagnosis, seeds, width)
    causes = () if prescription.best is None else causes_of(prescription.best.remedy, diagnosis)
    return replace(prescription, causes=causes, note=runner.note)


class _Trained:
    """A training that is to be mended.

    Args:
        setup: its setup.
        trace: its trace.
        diagnosis: its diagnosis; if it has no problem, only its notes are treated.
        runner: makes the runs.
    """

    yardstick = HELD_BACK

    def __init__(self, setup: Setup, trace: Trace, diagnosis: Diagnosis, runner: Runner) -> None:
        self.specification, self.cost = setup, runner
        self.own, self.seed = score_of(trace), int(setup.choices["seed"])
        self._case, self._diagnosis = TrainingCase(setup, trace), diagnosis
        self._texts: dict[int, tuple[Setup, str]] = {}  # by number, each with its setup, of which many are compared
        # By text: building a network only to find that it is known would take most of a wide search's own time.
        self._changed: dict[str, list[tuple[Setup, bool]]] = {}
        self._before: dict[str, float | None] = {}  # the race asks at each look
        # With the setup itself, whose number would else be another's one day.
        self._shortened: dict[tuple[int, float], tuple[Setup, Setup | None]] = {}
        # Nothing is left to gain where a network is as good as a healthy one, which the margin allows for.
        margin = TrainingEvidence(trace).margin if self._case.reference < 1 else 0.0
        self.enough = min(_ENOUGH, self._case.reference - margin) if not diagnosis.ok else 0.0
        # A score is a share of the rows held back, so that one more or less of them is the least that luck can do.
        self.unit = 1 / float(trace.facts["data"].get("validation_rows") or _FEW_ROWS)

    def offered(self) -> Sequence[Remedy]:
        """Return the remedies to try, the likeliest first."""
        return ranked(self._case, self._diagnosis)

    def further(self, remedy: Remedy, mended: Setup) -> Sequence[Remedy]:
        """Return the remedy combined with those for the mended run's diagnosis, then with all that apply."""
        (run,) = self.run([TrialJob(mended, self.seed, traced=True)])
        if run is None or run.trace is None:
            return ()
        case, diagnosis = TrainingCase(mended, run.trace), diagnose(run.trace)
        symptoms = problems_of(diagnosis)
        first = proposals(case, diagnosis)
        return [*combined(remedy, first, symptoms), *combined(remedy, everything(case), symptoms)]

    def combined(self, remedy: Remedy) -> Sequence[Remedy]:
        """Return the remedy combined with all that apply to the run as it was, the likeliest first."""
        return combined(remedy, everything(self._case), problems_of(self._diagnosis))

    def before(self, quantity: str) -> float | None:
        """Return a quantity of the run as it was."""
        if quantity not in self._before:
            self._before[quantity] = measure(quantity, self._case.trace)
        return self._before[quantity]

    def shows_early(self, quantity: str, value: float | None) -> bool:
        """Tell whether the value of a quantity after ten steps is as bad as it was in the end."""
        return quantity not in _LATE and has_moved(quantity, self.before(quantity), value) is False

    def shortened(self, specification: Setup, share: float) -> Setup | None:
        """Return the setup with a share of many steps, and with ten for 0; None if that says nothing.

        It is the same each time, so that a run of it that was made ahead is known again.
        """
        key = id(specification), share
        if key not in self._shortened:
            self._shortened[key] = specification, self._cut(specification, share)
        return self._shortened[key][1]

    def _cut(self, specification: Setup, share: float) -> Setup | None:
        whole, base = int(specification.choices["steps"]), int(self.specification.choices["steps"])
        steps = max(round(share * base), _SHORTEST) if share else _LOOK
        begin = specification.choices.get("begin")
        # Of so few steps a part would say nothing, and all of them cost little.
        if share and whole <= 2 * _SHORTEST:
            return specification
        if 2 * steps > whole or (begin is not None and int(begin["steps"]) >= steps):
            return None
        changes: dict[str, Any] = {"steps": steps}
        if specification.choices.get("warm_up"):
            changes["warm_up"] = max(round(int(specification.choices["warm_up"]) * steps / whole), 1)
        short = specification.changed(**changes)
        # Of a remedy that only changes the number of steps, or which network is kept, the first of them say nothing.
        keep = self.specification.choices.get("keep", "last")
        late = whole != base or specification.choices.get("keep", "last") != keep
        if late and self.alike(specification.changed(steps=base, keep=keep), self.specification):
            return None
        return short if _can_be_built(short) else None

    def changed(self, changes: Mapping[str, Any]) -> Setup | None:
        """Return the setup with changes, the same one for changes that train the same; None if it cannot be built."""
        try:
            changed = self.specification.changed(**changes)
        except SettingError:
            return None
        known = self._changed.setdefault(self._text_of(changed), [])
        for other, valid in known:
            if self.alike(changed, other):
                return other if valid else None
        valid = _can_be_built(changed)
        known.append((changed, valid))
        return changed if valid else None

    def alike(self, first: Setup, second: Setup) -> bool:
        """Tell whether two setups train the same."""
        same_model = first.model is second.model or (first.layers is not None and first.layers == second.layers)
        return same_model and self._text_of(first) == self._text_of(second)

    def _text_of(self, setup: Setup) -> str:
        if id(setup) not in self._texts:
            # Bundles that differ in the order of their changes train the same.
            in_order = replace(setup, choices=dict(sorted(setup.choices.items())))
            self._texts[id(setup)] = setup, in_order.as_python()
        return self._texts[id(setup)][1]

    def affords(self, specifications: Sequence[Setup]) -> bool:
        """Tell whether the budget bears a run of each setup."""
        return self.cost.affords(specifications)

    def run(self, jobs: Sequence[TrialJob[Setup]], likely: Iterable[TrialJob[Setup]] = ()) -> list[TrialRun | None]:
        """Return the result of each run."""
        return self.cost.run(jobs, likely)

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts."""
        return _MATTERS


def _can_be_built(setup: Setup) -> bool:
    """Tell whether a setup can be trained."""
    try:
        _ = setup.plan()
    except SettingError:
        return False
    return True
