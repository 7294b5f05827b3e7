"""The search for remedies that help: each is tried once, and the best are proved against two controls.

    every remedy once ─▶ pairs of the best ─▶ further remedies on the best ─▶ proof with fresh seeds
                         (if none suffices)   (if that does not suffice)      (unchanged, re-seeded, mended)

The seeds of the proof play no part in the choice, so that a remedy chosen by luck loses its lead there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from downslope.diagnosis import Diagnosis
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import Effect, S, Trial, TrialJob, TrialRun, Yardstick

_PAIRED = 3  # this many of the best are tried two at once
_ROUNDS = 3  # of adding remedies to the best
_DOUBTED = 3  # this many of the best are run again before each round
_RUNS = 3  # of a remedy before it is proved


class Cost(Protocol):
    """What the runs have cost so far."""

    spent: int
    seconds: float
    interrupted: bool


class Subject(Protocol[S]):
    """A training or a descent that is to be mended."""

    @property
    def specification(self) -> S:
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
        """How many of them are first run with two more seeds, as a single run may be luck; 0 for none."""
        ...

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The quantities that `falls_short` reads."""
        ...

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield the remedies to try; each further group only where those before fall short."""
        ...

    def lacks(self, remedy: Remedy | None, mended: S) -> Iterable[Sequence[Remedy]]:
        """Yield further remedies for a mended specification, each combined with the remedy that mended it, if any.

        First those for its new diagnosis, then every other that is known.
        """
        ...

    def changed(self, changes: Mapping[str, Any]) -> S | None:
        """Return the specification with changes; None where it cannot be built."""
        ...

    def alike(self, first: S, second: S) -> bool:
        """Tell whether two specifications run the same."""
        ...

    def affords(self, specifications: Sequence[S]) -> bool:
        """Tell whether the budget bears a run of each specification."""
        ...

    def run(self, jobs: Sequence[TrialJob[S]]) -> list[TrialRun | None]:
        """Return the result of each job; None for those that were not run."""
        ...

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts, given the scores that were seen."""
        ...

    def falls_short(self, best: TrialRun) -> bool:
        """Tell whether the best run so far leaves something to mend."""
        ...


def inquire(subject: Subject[S], diagnosis: Diagnosis, seeds: int) -> Prescription:
    """Find what helps: try each remedy once as the run was, then prove the best with seeds not used to choose them.

    Args:
        subject: what is to be mended.
        diagnosis: its diagnosis.
        seeds: pairs of runs to prove a remedy with.
    """
    inquiry = _Inquiry(subject, seeds)
    offered: list[Remedy] = []
    for wave in subject.waves(diagnosis):
        offered += wave
        inquiry.attempt(wave)
        if not inquiry.falls_short:
            break
    if inquiry.falls_short:
        inquiry.attempt(_pairs([attempt.remedy for attempt in inquiry.leading(_PAIRED)] or offered[:2]))
    inquiry.extend_best()
    inquiry.doubt(subject.doubts, _RUNS)
    inquiry.doubt(min(subject.doubts, subject.proves), _RUNS)  # others may lead now
    chosen = inquiry.leading(subject.proves)
    control, reseeded, trials = inquiry.proved(chosen) if chosen else ((), (), ())
    return Prescription(
        specification=subject.specification,
        yardstick=subject.yardstick,
        diagnosis=diagnosis,
        score=subject.own,
        trials=trials,
        tried=tuple((attempt.remedy, attempt.score) for attempt in inquiry.tried),
        control=control,
        reseeded=reseeded,
        steps=subject.cost.spent,
        seconds=subject.cost.seconds,
        interrupted=subject.cost.interrupted,
    )


@dataclass
class _Attempt(Generic[S]):
    """A remedy that was tried.

    Args:
        remedy: the remedy.
        specification: the subject's specification with its changes.
        runs: with the subject's own seed, and perhaps with others.
    """

    remedy: Remedy
    specification: S
    runs: list[TrialRun]

    @property
    def score(self) -> float:
        """The mean over its runs."""
        return float(np.mean([run.score for run in self.runs]))


class _Inquiry(Generic[S]):
    """All that was tried so far.

    Args:
        subject: what is to be mended.
        seeds: pairs of runs to prove a remedy with.
    """

    def __init__(self, subject: Subject[S], seeds: int) -> None:
        self._subject, self._seeds = subject, seeds
        self.tried: list[_Attempt[S]] = []

    @property
    def falls_short(self) -> bool:
        """Whether no attempt so far suffices."""
        if not self.tried:
            return True
        best = max(self.tried, key=lambda attempt: attempt.score)
        return self._subject.falls_short(min(best.runs, key=lambda run: run.score))

    @property
    def matters(self) -> float:
        """The smallest gain that counts."""
        return max(self._subject.matters([attempt.score for attempt in self.tried]), np.finfo(float).tiny)

    def attempt(self, remedies: Sequence[Remedy]) -> None:
        """Try remedies once each as the run was, as many as the budget bears if one of them is to be proved."""
        subject, attempts = self._subject, list[_Attempt[S]]()
        for remedy in remedies:
            changed = subject.changed(remedy.changes)
            # Two remedies may come to the same run, such as a schedule that is the present one.
            known = (attempt.specification for attempt in (*self.tried, *attempts))
            if changed is None or any(subject.alike(changed, other) for other in known):
                continue
            single = [*(attempt.specification for attempt in attempts), changed]
            # Never spend so much on trying that what was found could not be proved.
            if self._affords_any_proof(single, [*single, *self._at_stake]):
                attempts.append(_Attempt(remedy, changed, []))
        jobs = [TrialJob(attempt.specification, subject.seed, subject.looked_at) for attempt in attempts]
        for attempt, run in zip(attempts, subject.run(jobs), strict=True):
            if run is not None:
                attempt.runs.append(run)
                self.tried.append(attempt)

    def extend_best(self) -> None:
        """Add further remedies to the best one, or to none, as long as that gains."""
        for _ in range(_ROUNDS):
            self.doubt(min(_DOUBTED, self._subject.doubts), 2)
            best = self.leading(1)
            remedy, mended = (best[0].remedy, best[0].specification) if best else (None, self._subject.specification)
            if not self.falls_short or not self._affords_any_proof([mended], self._at_stake):
                return
            # A round is worth it only if it raises the best score; the loop ends with the first that does not.
            before = self._highest
            for wave in self._subject.lacks(remedy, mended):
                self.attempt(wave)
                if self._highest >= before + self.matters:
                    break
            else:
                return

    @property
    def _highest(self) -> float:
        return max([self._subject.own, *(attempt.score for attempt in self.tried)])

    def doubt(self, most: int, runs: int) -> None:
        """Give the best remedies so many runs each, with seeds that the proof does not use either."""
        subject, first = self._subject, self._subject.seed + 2 * self._seeds
        further = [
            (attempt, first + number) for attempt in self.leading(most) for number in range(len(attempt.runs), runs)
        ]
        jobs = [TrialJob(attempt.specification, seed, subject.looked_at) for attempt, seed in further]
        if not jobs or not self._affords_any_proof([job.specification for job in jobs], self._at_stake):
            return
        for (attempt, _), run in zip(further, subject.run(jobs), strict=True):
            if run is not None:
                attempt.runs.append(run)

    @property
    def _at_stake(self) -> list[S]:
        """What may come to be proved: the best so far, and the subject itself in the place of remedies to come."""
        return [self._subject.specification, *(attempt.specification for attempt in self.leading(_DOUBTED))]

    def _affords_any_proof(self, single: Sequence[S], candidates: Sequence[S]) -> bool:
        """Tell whether the budget bears single runs, and after them a proof of whichever candidate costs most."""
        return all(self._affords(single, [candidate]) for candidate in candidates)

    def _affords(self, single: Sequence[S], proved: Sequence[S]) -> bool:
        """Tell whether the budget bears single runs, and proofs together with both controls."""
        repeated = [self._subject.specification, self._subject.specification, *proved]
        return self._subject.affords([*single, *(each for each in repeated for _ in range(self._seeds))])

    def leading(self, most: int) -> list[_Attempt[S]]:
        """Return the remedies that gained most, the earlier cause first among equals."""
        matters = self.matters
        gained = [attempt for attempt in self.tried if attempt.score > self._subject.own + matters]
        return sorted(gained, key=lambda attempt: -_grained(attempt.score, matters))[:most]

    def proved(self, chosen: Sequence[_Attempt[S]]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[Trial, ...]]:
        """Return the scores of both controls and a trial of each remedy, as many as the budget bears."""
        subject, seeds = self._subject, self._seeds
        # Seeds: own | proof | re-seeded control | further runs before the proof. None is used twice.
        fresh = range(subject.seed + 1, subject.seed + 1 + seeds)
        others = range(subject.seed + 1 + seeds, subject.seed + 1 + 2 * seeds)
        quantities = tuple(dict.fromkeys(attempt.remedy.moves for attempt in chosen))
        affordable = list[_Attempt[S]]()
        for attempt in chosen:
            if self._affords([], [other.specification for other in (*affordable, attempt)]):
                affordable.append(attempt)
        if not affordable:
            return (), (), ()
        jobs = [TrialJob(subject.specification, seed, quantities) for seed in fresh]
        # The second control shows what luck alone does; its runs are not paired with the others.
        jobs += [TrialJob(subject.specification, seed, quantities) for seed in others]  # by the same program
        for attempt in affordable:
            jobs += [TrialJob(attempt.specification, seed, (attempt.remedy.moves,)) for seed in fresh]
        runs = subject.run(jobs)
        groups = [runs[first : first + seeds] for first in range(0, len(runs), seeds)]
        control, reseeded = (_scores(group) for group in groups[:2])
        if len(control) < seeds or len(reseeded) < seeds:
            return control, reseeded, ()
        trials = [
            _trial(attempt.remedy, groups[0], reseeded, group)
            for attempt, group in zip(affordable, groups[2:], strict=True)
            if None not in group
        ]
        return control, reseeded, tuple(sorted(trials, key=lambda trial: _rank(trial, self.matters)))


def _pairs(remedies: Sequence[Remedy]) -> list[Remedy]:
    """Return every two remedies that can be applied at once."""
    pairs = (first.with_other(second) for first, second in itertools.combinations(remedies, 2))
    return [both for both in pairs if both is not None]


def _scores(runs: Sequence[TrialRun | None]) -> tuple[float, ...]:
    """Return the scores of the runs that took place."""
    return tuple(run.score for run in runs if run is not None)


def _trial(remedy: Remedy, control: Sequence[Any], reseeded: Sequence[float], treated: Sequence[Any]) -> Trial:
    """Return a trial from its runs and those it is compared with."""
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
    """Return a score in whole multiples of the smallest gain that counts, so that luck does not rank equals."""
    return float(np.rint(score / matters))


def _median_of(name: str, runs: Sequence[Any]) -> float | None:
    """Return the median of a quantity over runs; None where it is not known of all."""
    values = [run.moved[name] for run in runs]
    return None if None in values else float(np.median(values))
