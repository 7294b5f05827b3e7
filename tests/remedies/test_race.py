"""The race of remedies for a training, on a made-up subject whose runs cost nothing and are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.diagnosis import Diagnosis
from downslope.remedies._race import race
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import HELD_BACK, TrialJob, TrialRun
from downslope.remedies._wide_race import wide_race

NOTHING = Diagnosis((), ())
LOOK, SHORT, LONGER = "a look", "a tenth", "a third"
STEPS = {LOOK: 1, SHORT: 10, LONGER: 30}


def remedy(name: str, moves: str = "training_score", **changes: Any) -> Remedy:
    return Remedy(name, "because", changes, moves)


@dataclass
class Cost:
    """What was spent; a run is 100 steps."""

    budget: int
    spent: int = 0
    seconds: float = 0.0
    interrupted: bool = False


@dataclass
class Training:
    """A subject whose score is a sum over what was changed, with luck by the seed.

    Args:
        worth: what each change adds to the score.
        remedies: what is offered.
        later: what is combined with a remedy that is not enough.
        budget: in runs.
        luck: the standard deviation from seed to seed.
        early: what each change adds over few steps, where that differs.
        lucky: changes that only help with the subject's own seed.
        still: changes that do not move the quantity that they are to move.
        explodes: changes that end in no number.
    """

    worth: Mapping[str, float]
    remedies: Sequence[Remedy]
    later: Sequence[Remedy] = ()
    budget: float = 60
    luck: float = 0.002
    early: Mapping[str, float] = field(default_factory=dict)
    lucky: frozenset[str] = frozenset()
    still: frozenset[str] = frozenset()
    explodes: frozenset[str] = frozenset()
    jobs: list[TrialJob] = field(default_factory=list)
    waves: list[int] = field(default_factory=list)

    specification, own, seed, enough, unit = frozenset(), 0.1, 0, 0.9, 0.001
    yardstick = HELD_BACK

    def __post_init__(self) -> None:
        self.cost = Cost(int(100 * self.budget))

    def offered(self) -> Sequence[Remedy]:
        return self.remedies

    def further(self, remedy: Remedy, mended: Any) -> Sequence[Remedy]:
        self.run([TrialJob(mended, self.seed)])
        return [remedy.then(other) for other in self.later]

    def combined(self, remedy: Remedy) -> Sequence[Remedy]:
        return [remedy.then(other) for other in self.remedies if other is not remedy]

    def before(self, quantity: str) -> float:
        return 0.0

    def shows_early(self, quantity: str, value: float | None) -> bool:
        return True

    def changed(self, changes: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(changes)

    def alike(self, first: Any, second: Any) -> bool:
        return first == second

    def shortened(self, specification: Any, share: float) -> frozenset[str]:
        return specification | {LOOK if not share else SHORT if share < 0.2 else LONGER}

    def affords(self, specifications: Sequence[Any]) -> bool:
        return self.cost.spent + self._steps(specifications) <= self.cost.budget

    def run(self, jobs: Sequence[TrialJob], likely: Iterable[TrialJob] = ()) -> list[TrialRun | None]:
        self.jobs += jobs
        self.waves.append(self._steps([job.specification for job in jobs]))
        self.cost.spent += self._steps([job.specification for job in jobs])
        return [self._run(job) for job in jobs]

    def matters(self, scores: Sequence[float]) -> float:
        return 0.01

    def _steps(self, specifications: Iterable[Any]) -> int:
        return sum(min([STEPS.get(name, 100) for name in names], default=100) for names in specifications)

    def _run(self, job: TrialJob) -> TrialRun:
        names = job.specification - STEPS.keys()
        short = len(names) < len(job.specification)
        counted = [name for name in names if name not in self.lucky or job.seed == self.seed]
        worth = {**self.worth, **self.early} if short else self.worth
        luck = self.luck * np.random.default_rng([job.seed, *map(ord, "".join(sorted(names)))]).normal()
        score = min(max(self.own + luck + sum(worth.get(name, 0.0) for name in counted), 0.0), 1.0)
        moved = dict.fromkeys(job.quantities, float(bool(names - self.still)))
        finite = not names & self.explodes
        return TrialRun(score, moved, 100, 0.0, finite=finite, promise=score if finite else -np.inf)


def names_of(prescription: ds.Prescription) -> list[str]:
    return [trial.remedy.name for trial in prescription.trials if trial.helped]


def full(subject: Training) -> list[TrialJob]:
    """Return the runs at full length."""
    return [job for job in subject.jobs if not job.specification & STEPS.keys()]


def test_what_leads_over_few_steps_is_proved() -> None:
    subject = Training({"a": 0.3, "b": 0.85}, [remedy("first", a=1), remedy("second", b=1)])
    prescription = race(subject, NOTHING, 5)
    assert names_of(prescription) == ["second"]
    assert len(full(subject)) <= 6
    assert prescription.history[0][1].name == "second"


def test_a_large_effect_is_proved_within_ten_trainings() -> None:
    remedies = [remedy(name, **{name: 1}) for name in "abcdefghijkl"]
    for winner in "adf":
        subject = Training({winner: 0.8}, remedies, luck=0.03, budget=10)
        assert names_of(race(subject, NOTHING, 5)) == [winner]


def test_what_was_luck_is_not_prescribed() -> None:
    """Of runs that only luck sets apart, whatever the noise, at most a few in a hundred are prescribed for."""
    prescribed = 0
    for number in range(60):
        remedies = [remedy(f"{name}{number}", **{f"{name}{number}": 1}) for name in "abcdefghijkl"]
        prescribed += bool(names_of(race(Training({}, remedies, luck=0.1), NOTHING, 5)))
    assert prescribed <= 4


def test_what_only_helps_with_one_seed_is_not_prescribed() -> None:
    remedies = [remedy("luck", a=1), remedy("more luck", b=1), remedy("skill", c=1)]
    subject = Training({"a": 0.8, "b": 0.7, "c": 0.6}, remedies, lucky=frozenset("ab"))
    assert names_of(race(subject, NOTHING, 5)) == ["skill"]


def test_no_seed_of_the_proof_has_a_part_in_the_choice() -> None:
    subject = Training({"a": 0.3, "b": 0.2, "c": 0.82}, [remedy(name, **{name: 1}) for name in "abc"])
    race(subject, NOTHING, 3)
    short = [job for job in subject.jobs if job.specification & STEPS.keys()]
    assert {job.seed for job in short} == {subject.seed}
    assert subject.seed not in {job.seed for job in full(subject)}


def test_what_does_not_move_its_quantity_is_dropped_for_the_price_of_a_look() -> None:
    remedies = [remedy("still", a=1), remedy("explodes", b=1), remedy("moves", c=1)]
    subject = Training(dict.fromkeys("abc", 0.8), remedies, still=frozenset("a"), explodes=frozenset("b"))
    prescription = race(subject, NOTHING, 3)
    assert names_of(prescription) == ["moves"]
    assert {tried.name for tried, _ in prescription.tried} == {"moves"}


def test_what_does_worse_than_the_unchanged_run_over_few_steps_is_not_run_further() -> None:
    subject = Training({"a": 0.8}, [remedy("worse", b=1), remedy("better", a=1)], early={"b": -0.05})
    assert names_of(race(subject, NOTHING, 3)) == ["better"]
    assert not any("b" in job.specification for job in full(subject))


def test_what_is_not_enough_is_combined_with_others() -> None:
    subject = Training({"a": 0.5, "c": 0.35}, [remedy("first", a=1)], [remedy("vain", d=1), remedy("then", c=1)])
    prescription = race(subject, NOTHING, 5)
    assert names_of(prescription)[0] == "first + then"


def test_a_partial_gain_is_proved_too() -> None:
    subject = Training({"a": 0.2}, [remedy("part", a=1), remedy("none", b=1)])
    assert names_of(race(subject, NOTHING, 5)) == ["part"]


def test_unchanged_runs_are_shared_by_all_proofs() -> None:
    subject = Training({"a": 0.2, "b": 0.25, "c": 0.3}, [remedy(name, **{name: 1}) for name in "abc"])
    race(subject, NOTHING, 5)
    unchanged = [job.seed for job in full(subject) if not job.specification]
    assert len(unchanged) == len(set(unchanged))


@pytest.mark.parametrize("budget", [0.5, 1, 2, 3, 4, 5, 6, 7, 10, 15, 23])
def test_the_budget_is_never_overrun(budget: float) -> None:
    remedies = [remedy(name, **{name: 1}) for name in "abcdefghij"]
    subject = Training(dict.fromkeys("abcdefghij", 0.07), remedies, remedies, budget=budget)
    race(subject, NOTHING, 3)
    assert subject.cost.spent <= subject.cost.budget


def test_what_comes_to_the_same_is_run_once() -> None:
    subject = Training({"a": 0.85}, [remedy("first", a=1), remedy("the same", a=1)])
    assert [tried.name for tried, _ in race(subject, NOTHING, 2).tried] == ["first"]


def test_a_bundle_is_taken_apart_and_what_is_needed_is_named() -> None:
    bundle = remedy("a", a=1).then(remedy("b", b=1)).then(remedy("c", c=1))
    subject = Training({"a": 0.0, "b": 0.8, "c": 0.0}, [bundle])
    prescription = race(subject, NOTHING, 5)
    assert prescription.best is not None
    assert prescription.best.remedy.name == "b"
    assert [(change.name, score < 0.2) for change, score in prescription.needed] == [("b", True)]


def test_of_a_bundle_that_is_needed_whole_nothing_is_left_out() -> None:
    bundle = remedy("a", a=1).then(remedy("b", b=1))
    prescription = race(Training({"a": 0.4, "b": 0.4}, [bundle]), NOTHING, 5)
    assert prescription.best is not None
    assert prescription.best.remedy.name == "a + b"
    assert [change.name for change, _ in prescription.needed] == ["a", "b"]


def test_intervals_have_a_width_and_stay_within_what_is_possible() -> None:
    subject = Training({"a": 0.89}, [remedy("a", a=1)], luck=0.0)
    best = race(subject, NOTHING, 5).best
    assert best is not None
    assert best.effect.low < best.effect.mean <= best.effect.high <= 1 - subject.own + 1e-9
    assert best.effect.wins == best.effect.pairs


def test_a_later_remedy_replaces_what_it_changes() -> None:
    both = remedy("rate 0.1", rate=0.1).then(remedy("relu", activation="relu")).then(remedy("rate 0.2", rate=0.2))
    assert both.name == "relu + rate 0.2"
    assert both.changes == {"rate": 0.2, "activation": "relu"}
    assert remedy("a", a=1).with_other(remedy("b", a=2)) is None
    assert remedy("a", a=1).with_other(remedy("b", a=1)) is None


# --- the wide search --------------------------------------------------------------------------------------------------

LETTERS = "abcdefghijkl"
TWELVE = [remedy(name, **{name: 1}) for name in LETTERS]


def wide(subject: Training, pairs: int = 5, width: int = 64) -> ds.Prescription:
    return wide_race(subject, NOTHING, pairs, width)


@pytest.mark.parametrize("winner", ["a", "f", "l"])
def test_a_wide_search_makes_all_its_full_runs_at_once(winner: str) -> None:
    subject = Training({winner: 0.8}, TWELVE, luck=0.03)
    prescription = wide(subject)
    assert prescription.best is not None
    assert prescription.best.remedy.name == winner
    assert len([steps for steps in subject.waves if steps >= 1000]) == 1
    assert subject.cost.spent > 0.6 * subject.cost.budget


def test_a_wide_search_combines_remedies_without_a_full_run_between() -> None:
    subject = Training({"c": 0.4, "k": 0.4}, TWELVE)
    prescription = wide(subject)
    assert prescription.best is not None
    assert set(prescription.best.remedy.changes) == {"c", "k"}
    assert {change.name for change, score in prescription.needed if score < 0.6} == {"c", "k"}
    assert len(subject.waves) == 3  # two races, and the proofs


def test_a_wide_search_leaves_out_what_a_bundle_does_not_need() -> None:
    bundle = TWELVE[0].then(TWELVE[1]).then(TWELVE[2])
    best = wide(Training({"b": 0.8}, [bundle, *TWELVE])).best
    assert best is not None
    assert best.remedy.name == "b"


def test_a_wide_search_prescribes_no_luck() -> None:
    prescribed = 0
    for number in range(12):
        remedies = [remedy(f"{name}{number}", **{f"{name}{number}": 1}) for name in LETTERS]
        prescribed += bool(names_of(wide(Training({}, remedies, luck=0.1))))
    assert prescribed <= 1


@pytest.mark.parametrize("budget", [0.5, 5, 9, 16, 61])
@pytest.mark.parametrize("width", [2, 40, 1000])
def test_a_wide_search_keeps_to_its_budget_and_width(budget: float, width: int) -> None:
    subject = Training(dict.fromkeys(LETTERS, 0.07), TWELVE, TWELVE, budget=budget)
    wide(subject, 3, width)
    assert subject.cost.spent <= subject.cost.budget
    assert max(subject.waves, default=0) <= 100 * max(width, 9)


def test_a_small_budget_is_spent_step_by_step() -> None:
    narrow, other = (Training({"d": 0.8}, TWELVE, luck=0.03, budget=10) for _ in range(2))
    assert repr(race(narrow, NOTHING, 5)) == repr(wide(other))
    assert narrow.jobs == other.jobs


def test_what_a_further_wave_adds_is_a_diagnosis_of_the_mended_run() -> None:
    subject = Training({"a": 0.3, "z": 0.5}, TWELVE, [remedy("z", z=1)], budget=200)
    best = wide(subject).best
    assert best is not None
    assert set(best.remedy.changes) == {"a", "z"}
