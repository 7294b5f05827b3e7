"""The search for what helps: every remedy tried once, those that did best proved beside two controls."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from downslope.diagnosis import Diagnosis
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy
from downslope.remedies._runs import Job, Run
from downslope.remedies._trial import Effect, Trial
from downslope.remedies._yardstick import Yardstick

_PAIRED = 3  # of the remedies that did best are tried two at once
_ROUNDS = 3  # of looking at what the best one still lacks
_DOUBTED = 3  # of the best ones, before each of these
_RUNS = 3  # of a remedy that is to be proved


class Cost(Protocol):
    """What the runs of a search cost so far."""

    spent: int
    seconds: float
    interrupted: bool


class Subject(Protocol):
    """What is to be mended: what a search must know of a training or of a descent."""

    @property
    def thing(self) -> Any:
        """The setup or plan as it is."""
        ...

    @property
    def yardstick(self) -> Yardstick:
        """What its runs are judged by."""
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
        """What was spent."""
        ...

    @property
    def proves(self) -> int:
        """How many of the remedies that did best are proved."""
        ...

    @property
    def doubts(self) -> int:
        """How many of them are tried with two more seeds first, as one run may have been luck; 0 where it is not."""
        ...

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The quantities that `falls_short` asks for."""
        ...

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield the remedies to try; each further group only where those before fall short."""
        ...

    def lacks(self, remedy: Remedy | None, mended: Any) -> Iterable[Sequence[Remedy]]:
        """Yield what a thing may still lack that was mended by a remedy, or by none yet, each together with that.

        First what its diagnosis asks for, then whatever else is known.
        """
        ...

    def changed(self, changes: Any) -> Any | None:
        """Return the thing with changes; None where it cannot be built."""
        ...

    def alike(self, one: Any, other: Any) -> bool:
        """Tell whether two things are the same in all but how they came about."""
        ...

    def affords(self, things: Sequence[Any]) -> bool:
        """Tell whether the budget bears a run of each thing."""
        ...

    def run(self, asked: Sequence[Job]) -> list[Run | None]:
        """Return what came of each run; None for those that were not made."""
        ...

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts, given the scores that were seen."""
        ...

    def falls_short(self, best: Run) -> bool:
        """Tell whether the best run so far leaves something to mend."""
        ...


def inquire(subject: Subject, diagnosis: Diagnosis, seeds: int) -> Prescription:
    """Return what helps: remedies are tried once as the run was, then proved with seeds that had no part in the choice.

    Args:
        subject: what is to be mended.
        diagnosis: what is wrong with it.
        seeds: pairs of runs to prove a remedy with.
    """
    search = _Search(subject, seeds)
    offered: list[Remedy] = []
    for wave in subject.waves(diagnosis):
        offered += wave
        search.attempt(wave)
        if not search.falls_short:
            break
    if search.falls_short:
        search.attempt(_pairs([one.remedy for one in search.leading(_PAIRED)] or offered[:2]))
    search.go_on()
    search.doubt(subject.doubts, _RUNS)
    search.doubt(min(subject.doubts, subject.proves), _RUNS)  # others may lead now
    chosen = search.leading(subject.proves)
    control, reseeded, trials = search.proved(chosen) if chosen else ((), (), ())
    return Prescription(
        thing=subject.thing,
        yardstick=subject.yardstick,
        diagnosis=diagnosis,
        score=subject.own,
        trials=trials,
        tried=tuple((one.remedy, one.score) for one in search.tried),
        control=control,
        reseeded=reseeded,
        steps=subject.cost.spent,
        seconds=subject.cost.seconds,
        interrupted=subject.cost.interrupted,
    )


@dataclass
class _Tried:
    """A remedy that was tried.

    Args:
        remedy: the remedy.
        thing: what it makes of the subject.
        runs: with the subject's own seed, and perhaps with others.
    """

    remedy: Remedy
    thing: Any
    runs: list[Run]

    @property
    def score(self) -> float:
        """The mean of what it came to."""
        return float(np.mean([run.score for run in self.runs]))


class _Search:
    """What was tried so far.

    Args:
        subject: what is to be mended.
        seeds: pairs of runs to prove a remedy with.
    """

    def __init__(self, subject: Subject, seeds: int) -> None:
        self._subject, self._seeds = subject, seeds
        self.tried: list[_Tried] = []

    @property
    def falls_short(self) -> bool:
        """Whether none of what was tried mends all of it."""
        if not self.tried:
            return True
        best = max(self.tried, key=lambda one: one.score)
        return self._subject.falls_short(min(best.runs, key=lambda run: run.score))

    @property
    def matters(self) -> float:
        """The smallest gain that counts."""
        return max(self._subject.matters([one.score for one in self.tried]), np.finfo(float).tiny)

    def attempt(self, remedies: Sequence[Remedy]) -> None:
        """Try remedies once each as the run was, as many as the budget bears if one of them is to be proved."""
        subject, asked = self._subject, list[_Tried]()
        for remedy in remedies:
            thing = subject.changed(remedy.changes)
            if thing is None or any(subject.alike(thing, one.thing) for one in (*self.tried, *asked)):
                continue
            once = [*(one.thing for one in asked), thing]
            if self._affords_one_of(once, [*once, *self._at_stake]):
                asked.append(_Tried(remedy, thing, []))
        jobs = [Job(one.thing, subject.seed, subject.looked_at) for one in asked]
        for one, run in zip(asked, subject.run(jobs), strict=True):
            if run is not None:
                one.runs.append(run)
                self.tried.append(one)

    def go_on(self) -> None:
        """Add to the best remedy, or to none, what is still lacking, as long as that gains."""
        for _ in range(_ROUNDS):
            self.doubt(min(_DOUBTED, self._subject.doubts), 2)
            best = self.leading(1)
            remedy, thing = (best[0].remedy, best[0].thing) if best else (None, self._subject.thing)
            if not self.falls_short or not self._affords_one_of([thing], self._at_stake):
                return
            before = self._highest
            for wave in self._subject.lacks(remedy, thing):
                self.attempt(wave)
                if self._highest >= before + self.matters:
                    break
            else:
                return

    @property
    def _highest(self) -> float:
        return max([self._subject.own, *(one.score for one in self.tried)])

    def doubt(self, most: int, runs: int) -> None:
        """Give the best remedies so many runs each, with seeds that have no part in the proof either."""
        subject, first = self._subject, self._subject.seed + 2 * self._seeds
        asked = [(one, first + number) for one in self.leading(most) for number in range(len(one.runs), runs)]
        jobs = [Job(one.thing, seed, subject.looked_at) for one, seed in asked]
        if not jobs or not self._affords_one_of([job.thing for job in jobs], self._at_stake):
            return
        for (one, _), run in zip(asked, subject.run(jobs), strict=True):
            if run is not None:
                one.runs.append(run)

    @property
    def _at_stake(self) -> list[Any]:
        """What may come to be proved: the best ones so far, and the subject itself for what is not found yet."""
        return [self._subject.thing, *(one.thing for one in self.leading(_DOUBTED))]

    def _affords_one_of(self, once: Sequence[Any], proved: Sequence[Any]) -> bool:
        """Tell whether the budget bears runs of some things, and then a proof of any one of others."""
        return all(self._affords(once, [one]) for one in proved)

    def _affords(self, once: Sequence[Any], proved: Sequence[Any]) -> bool:
        """Tell whether the budget bears runs of some things, and proofs of others beside both controls."""
        twice = [self._subject.thing, self._subject.thing, *proved]
        return self._subject.affords([*once, *(thing for thing in twice for _ in range(self._seeds))])

    def leading(self, most: int) -> list[_Tried]:
        """Return the remedies that gained most, the earlier cause first among equals."""
        matters = self.matters
        gained = [one for one in self.tried if one.score > self._subject.own + matters]
        return sorted(gained, key=lambda one: -_grained(one.score, matters))[:most]

    def proved(self, chosen: Sequence[_Tried]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[Trial, ...]]:
        """Return the scores of both controls and a trial of each remedy, as many as the budget bears."""
        subject, seeds = self._subject, self._seeds
        fresh = range(subject.seed + 1, subject.seed + 1 + seeds)
        others = range(subject.seed + 1 + seeds, subject.seed + 1 + 2 * seeds)
        quantities = tuple(dict.fromkeys(one.remedy.moves for one in chosen))
        taken = list[_Tried]()
        for one in chosen:
            if self._affords([], [other.thing for other in (*taken, one)]):
                taken.append(one)
        if not taken:
            return (), (), ()
        asked = [Job(subject.thing, seed, quantities) for seed in fresh]
        asked += [Job(subject.thing, seed, quantities) for seed in others]  # by the same program
        for one in taken:
            asked += [Job(one.thing, seed, (one.remedy.moves,)) for seed in fresh]
        made = subject.run(asked)
        groups = [made[first : first + seeds] for first in range(0, len(made), seeds)]
        control, reseeded = (_scores(group) for group in groups[:2])
        if len(control) < seeds or len(reseeded) < seeds:
            return control, reseeded, ()
        trials = [
            _trial(one.remedy, groups[0], reseeded, group)
            for one, group in zip(taken, groups[2:], strict=True)
            if None not in group
        ]
        return control, reseeded, tuple(sorted(trials, key=lambda trial: _rank(trial, self.matters)))


def _pairs(remedies: Sequence[Remedy]) -> list[Remedy]:
    """Return every two remedies that can be made at once."""
    pairs = (one.with_other(other) for one, other in itertools.combinations(remedies, 2))
    return [both for both in pairs if both is not None]


def _scores(runs: Sequence[Run | None]) -> tuple[float, ...]:
    """Return the scores of the runs that were made."""
    return tuple(run.score for run in runs if run is not None)


def _trial(remedy: Remedy, control: Sequence[Any], reseeded: Sequence[float], treated: Sequence[Any]) -> Trial:
    """Return a trial from its runs and those it is held against."""
    scores = _scores(treated)
    return Trial(
        remedy=remedy,
        scores=scores,
        effect=Effect.of(scores, _scores(control)),
        net=Effect.apart(scores, [*_scores(control), *reseeded]),
        before=_median_of(remedy.moves, control),
        after=_median_of(remedy.moves, treated),
        steps=sum(run.steps for run in treated),
    )


def _rank(trial: Trial, matters: float) -> tuple[Any, ...]:
    """Return what trials are sorted by: those that helped, by how surely; of equals the smaller and cheaper change."""
    return not trial.helped, -_grained(trial.effect.low, matters), len(trial.remedy.changes), trial.steps


def _grained(score: float, matters: float) -> float:
    """Return a score in whole numbers of what matters."""
    return float(np.rint(score / matters))


def _median_of(name: str, runs: Sequence[Any]) -> float | None:
    """Return the median of a quantity over runs; None where it is not known of all."""
    found = [run.moved[name] for run in runs]
    return None if None in found else float(np.median(found))
