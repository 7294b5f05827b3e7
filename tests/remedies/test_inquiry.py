"""The search for what helps, on a made-up subject whose runs cost nothing and are known beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import downslope as ds
from downslope.diagnosis import Diagnosis
from downslope.remedies._inquiry import inquire
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import HELD_BACK, TrialJob, TrialRun

NOTHING = Diagnosis((), ())


def remedy(name: str, **changes: Any) -> Remedy:
    return Remedy(name, "because", changes, "training_score")


@dataclass
class Cost:
    """What was spent; every run is one step."""

    budget: int
    spent: int = 0
    seconds: float = 0.0
    interrupted: bool = False


@dataclass
class Made:
    """A subject whose score is a sum over what was changed, with luck by the seed.

    Args:
        worth: what each change adds to the score.
        offered: what is prescribed at first.
        each: what a run costs.
        costs: what a run with a change costs, where that is less.
    """

    worth: Mapping[str, float]
    offered: Sequence[Remedy]
    each: int = 1
    costs: Mapping[str, int] = field(default_factory=dict)
    budget: int = 60
    jobs: list[TrialJob] = field(default_factory=list)

    specification, own, seed, looked_at = frozenset(), 0.1, 0, ()
    proves = 2
    yardstick = HELD_BACK

    def __post_init__(self) -> None:
        self.cost = Cost(self.budget)

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        yield self.offered

    def changed(self, changes: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(changes)

    def alike(self, one: Any, other: Any) -> bool:
        return one == other

    def affords(self, things: Sequence[Any]) -> bool:
        return self.cost.spent + self._steps(things) <= self.cost.budget

    def run(self, asked: Sequence[TrialJob]) -> list[TrialRun | None]:
        self.jobs += asked
        self.cost.spent += self._steps([job.specification for job in asked])
        return [TrialRun(self._score(job), dict.fromkeys(job.quantities), 1, 0.0) for job in asked]

    def _steps(self, things: Iterable[Any]) -> int:
        return sum(min([self.costs.get(name, self.each) for name in thing], default=self.each) for thing in things)

    def _score(self, job: TrialJob) -> float:
        return self.own + 0.001 * (job.seed % 7) + sum(self.worth.get(name, 0.0) for name in job.specification)

    def matters(self, scores: Sequence[float]) -> float:
        return 0.01

    def falls_short(self, best: TrialRun) -> bool:
        return best.score < 0.9


def names_of(found: ds.Prescription) -> list[str]:
    return [trial.remedy.name for trial in found.trials]


def test_the_best_of_single_ones_is_proved_first() -> None:
    subject = Made({"a": 0.3, "b": 0.85}, [remedy("one", a=1), remedy("other", b=1)])
    found = inquire(subject, NOTHING, 3)
    assert names_of(found)[0] == "other"
    assert found.best is not None
    assert found.best.effect.pairs == 3


def test_two_at_once_where_one_is_not_enough() -> None:
    subject = Made({"a": 0.4, "b": 0.45}, [remedy("one", a=1), remedy("other", b=1)])
    assert names_of(inquire(subject, NOTHING, 2))[0] == "other + one"


def test_nothing_further_is_tried_where_nothing_is_lacking() -> None:
    subject = Made({"a": 0.85, "b": 0.1}, [remedy("one", a=1), remedy("other", b=1)])
    assert {tried.name for tried, _ in inquire(subject, NOTHING, 2).tried} == {"one", "other"}


def test_no_seed_of_the_proof_had_a_part_in_the_choice() -> None:
    subject = Made({"a": 0.3, "b": 0.2, "c": 0.25}, [remedy("one", a=1), remedy("two", b=1), remedy("three", c=1)])
    inquire(subject, NOTHING, 3)
    proof = range(1, 7)
    first = next(place for place, job in enumerate(subject.jobs) if job.seed in proof)
    assert not any(job.seed in proof for job in subject.jobs[:first])
    assert all(job.seed in proof for job in subject.jobs[first:])


def test_the_budget_is_never_overrun() -> None:
    offered = [remedy(name, **{name: 1}) for name in "abcdef"]
    for budget in range(1, 40):
        subject = Made(dict.fromkeys("abcdef", 0.05), offered, budget=budget)
        inquire(subject, NOTHING, 3)
        assert subject.cost.spent <= budget


def test_what_was_found_can_be_paid_for_to_be_proved() -> None:
    shorter = [remedy(name, **{name: 1}) for name in "bcdefghij"]
    costs = dict.fromkeys("bcdefghij", 1)
    for budget in range(40, 80):
        subject = Made({"a": 0.5}, [remedy("a", a=1), *shorter], each=3, costs=costs, budget=budget)
        assert names_of(inquire(subject, NOTHING, 3))


def test_what_comes_to_the_same_is_tried_once() -> None:
    subject = Made({"a": 0.85}, [remedy("one", a=1), remedy("the same", a=1)])
    assert [tried.name for tried, _ in inquire(subject, NOTHING, 2).tried] == ["one"]
