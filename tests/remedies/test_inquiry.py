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
        later: what is prescribed once a change was made, by its name.
        known: what else may help, whatever is wrong.
        each: what a run costs.
        costs: what a run with a change costs, where that is less.
        lucky: changes that only help with the subject's own seed.
    """

    worth: Mapping[str, float]
    offered: Sequence[Remedy]
    later: Mapping[str, Sequence[Remedy]] = field(default_factory=dict)
    known: Sequence[Remedy] = ()
    each: int = 1
    costs: Mapping[str, int] = field(default_factory=dict)
    lucky: frozenset[str] = frozenset()
    budget: int = 60
    jobs: list[TrialJob] = field(default_factory=list)

    specification, own, seed, looked_at = frozenset(), 0.1, 0, ()
    proves, doubts = 2, 6
    yardstick = HELD_BACK

    def __post_init__(self) -> None:
        self.cost = Cost(self.budget)

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        yield self.offered

    def lacks(self, remedy: Remedy | None, mended: Any) -> Iterable[Sequence[Remedy]]:
        if remedy is None:
            yield self.known
            return
        self.run([TrialJob(mended, self.seed)])
        yield [remedy.then(other) for name in mended for other in self.later.get(name, ())]
        yield [remedy.then(other) for other in self.known]

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
        counted = [name for name in job.specification if name not in self.lucky or job.seed == self.seed]
        return self.own + 0.001 * (job.seed % 7) + sum(self.worth.get(name, 0.0) for name in counted)

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


def test_what_the_mended_run_lacks_is_found_by_looking_again() -> None:
    later = {"a": [remedy("then", c=1), remedy("in vain", d=1)]}
    subject = Made({"a": 0.4, "c": 0.4}, [remedy("one", a=1)], later)
    found = inquire(subject, NOTHING, 2)
    assert names_of(found)[0] == "one + then"
    assert {"one", "one + then", "one + in vain"} == {tried.name for tried, _ in found.tried}


def test_what_no_finding_asks_for_is_tried_where_that_is_not_enough() -> None:
    known = [remedy("else", c=1), remedy("in vain", d=1)]
    subject = Made({"a": 0.4, "c": 0.45}, [remedy("one", a=1), remedy("none", b=1)], known=known)
    assert names_of(inquire(subject, NOTHING, 2))[0] == "one + else"


def test_what_no_finding_asks_for_is_tried_where_nothing_else_helps() -> None:
    subject = Made({"c": 0.85}, [remedy("none", b=1)], known=[remedy("else", c=1)])
    assert names_of(inquire(subject, NOTHING, 2)) == ["else"]


def test_nothing_further_is_tried_where_nothing_is_lacking() -> None:
    subject = Made({"a": 0.85, "b": 0.1}, [remedy("one", a=1), remedy("other", b=1)], {"a": [remedy("then", c=1)]})
    assert {tried.name for tried, _ in inquire(subject, NOTHING, 2).tried} == {"one", "other"}


def test_what_was_luck_is_not_chosen() -> None:
    offered = [remedy("luck", a=1), remedy("more luck", b=1), remedy("skill", c=1), remedy("more skill", d=1)]
    subject = Made({"a": 0.8, "b": 0.7, "c": 0.5, "d": 0.6}, offered, lucky=frozenset("ab"))
    found = inquire(subject, NOTHING, 3)
    assert found.best is not None
    assert {"c", "d"} & set(found.best.remedy.changes)


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
        subject = Made(dict.fromkeys("abcdef", 0.05), offered, {"a": offered}, budget=budget)
        inquire(subject, NOTHING, 3)
        assert subject.cost.spent <= budget


def test_what_was_found_can_be_paid_for_to_be_proved() -> None:
    shorter = [remedy(name, **{name: 1}) for name in "bcdefghij"]
    costs = dict.fromkeys("bcdefghij", 1)
    for budget in range(40, 80):
        subject = Made({"a": 0.5}, [remedy("a", a=1)], known=shorter, each=3, costs=costs, budget=budget)
        assert names_of(inquire(subject, NOTHING, 3))


def test_what_comes_to_the_same_is_tried_once() -> None:
    subject = Made({"a": 0.85}, [remedy("one", a=1), remedy("the same", a=1)])
    assert [tried.name for tried, _ in inquire(subject, NOTHING, 2).tried] == ["one"]


def test_a_later_remedy_replaces_what_it_changes() -> None:
    both = remedy("rate 0.1", rate=0.1).then(remedy("relu", activation="relu")).then(remedy("rate 0.2", rate=0.2))
    assert both.name == "relu + rate 0.2"
    assert both.changes == {"rate": 0.2, "activation": "relu"}
    assert remedy("a", a=1).with_other(remedy("b", a=2)) is None
    assert remedy("a", a=1).with_other(remedy("b", a=1)) is None
