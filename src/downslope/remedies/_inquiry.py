"""The search for a remedy of a descent: each is tried once, and the best are proved against two controls.

    every remedy once ─▶ pairs of the best ─▶ proof from starts close by
                         (if none suffices)   (unchanged, from other starts close by, mended)

The starts of the proof play no part in the choice, so that a remedy chosen by luck loses its lead there. A descent
costs milliseconds, so that nothing is gained by stopping early; trainings are searched by `_race`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from downslope.diagnosis import Diagnosis
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import Effect, S, Trial, TrialJob, TrialRun, TrialSubject

_PAIRED = 3  # this many of the best are tried two at once
_AT_STAKE = 3  # of the best, which may come to be proved


class DescentSubject(TrialSubject[S], Protocol[S]):
    """A descent to be repaired."""

    @property
    def proves(self) -> int:
        """The number of best remedies that are proved."""
        ...

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The quantities that `falls_short` reads."""
        ...

    def waves(self, diagnosis: Diagnosis) -> Iterable[Sequence[Remedy]]:
        """Yield the remedies to try; each further group only where those before fall short."""
        ...

    def run(self, jobs: Sequence[TrialJob[S]]) -> list[TrialRun | None]:
        """Return the result of each job; None for those that were not run."""
        ...

    def falls_short(self, best: TrialRun) -> bool:
        """Tell whether the best run so far leaves something to repair."""
        ...


def inquire(subject: DescentSubject[S], diagnosis: Diagnosis, seeds: int) -> Prescription:
    """Find what helps: try each remedy once as the run was, then prove the best with seeds not used to choose them.

    Args:
        subject: the run to be repaired.
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
        run: with the subject's own seed.
    """

    remedy: Remedy
    specification: S
    run: TrialRun

    @property
    def score(self) -> float:
        """The score of the run."""
        return self.run.score


class _Inquiry(Generic[S]):
    """The trials so far.

    Args:
        subject: the run to be repaired.
        seeds: pairs of runs to prove a remedy with.
    """

    def __init__(self, subject: DescentSubject[S], seeds: int) -> None:
        self._subject, self._seeds = subject, seeds
        self.tried: list[_Attempt[S]] = []

    @property
    def falls_short(self) -> bool:
        """Whether no attempt so far suffices."""
        if not self.tried:
            return True
        best = max(self.tried, key=lambda attempt: attempt.score)
        return self._subject.falls_short(best.run)

    @property
    def matters(self) -> float:
        """The smallest gain that counts."""
        return max(self._subject.matters([attempt.score for attempt in self.tried]), np.finfo(float).tiny)

    def attempt(self, remedies: Sequence[Remedy]) -> None:
        """Try remedies once each as the run was, as many as the budget bears if one of them is to be proved."""
        subject, single = self._subject, list[tuple[Remedy, S]]()
        for remedy in remedies:
            changed = subject.changed(remedy.changes)
            # Two remedies may come to the same run, such as a schedule that is the present one.
            known = [*(attempt.specification for attempt in self.tried), *(other for _, other in single)]
            if changed is None or any(subject.alike(changed, other) for other in known):
                continue
            runs = [*(other for _, other in single), changed]
            # Never spend so much on trying that what comes of it could not be proved.
            if self._affords_any_proof(runs, [*runs, *self._at_stake]):
                single.append((remedy, changed))
        jobs = [TrialJob(changed, subject.seed, subject.looked_at) for _, changed in single]
        for (remedy, changed), run in zip(single, subject.run(jobs), strict=True):
            if run is not None:
                self.tried.append(_Attempt(remedy, changed, run))

    @property
    def _at_stake(self) -> list[S]:
        """What may come to be proved: the best so far, and the subject itself in the place of remedies to come."""
        return [self._subject.specification, *(attempt.specification for attempt in self.leading(_AT_STAKE))]

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
        # Seeds: own | proof | re-seeded control. None is used twice.
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
    """Return the sort key of trials: those that helped, by certainty; among equals the smaller and cheaper change."""
    return not trial.helped, -_grained(trial.effect.low, matters), len(trial.remedy.changes), trial.steps


def _grained(score: float, matters: float) -> float:
    """Return a score in whole multiples of the smallest gain that counts, so that luck does not rank equals."""
    return float(np.rint(score / matters))


def _median_of(name: str, runs: Sequence[Any]) -> float | None:
    """Return the median of a quantity over runs; None where it is not known of all."""
    values = [run.moved[name] for run in runs]
    return None if None in values else float(np.median(values))
