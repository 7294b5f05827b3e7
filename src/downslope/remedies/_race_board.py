"""The board of a race of remedies: the runs so far, their results, and the races over few steps.

What decides in which order runs are made is a search: `_race`, or `_wide_race`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol

import numpy as np

from downslope._numbers import median
from downslope.diagnosis import Diagnosis, has_moved
from downslope.remedies._prescription import Prescription
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import Effect, S, Trial, TrialJob, TrialRun, TrialSubject

LEVEL = 0.05  # the share of searches that may prescribe what does not help
FEWEST_PAIRS = 2
SHORT = 0.1  # of the steps: how long remedies race
ROUNDS = 3  # of adding remedies to the best
SPARE = 0.1  # of the gain: what a change that is left out may cost
_LIKELY = 6  # of them whose proofs idle workers begin


class TrainingSubject(TrialSubject[S], Protocol[S]):
    """A training to be repaired."""

    @property
    def enough(self) -> float:
        """The score that leaves nothing to gain."""
        ...

    @property
    def unit(self) -> float:
        """The least by which luck changes a score."""
        ...

    def offered(self) -> Sequence[Remedy]:
        """Return the remedies to try, the likeliest first."""
        ...

    def further(self, remedy: Remedy, mended: S) -> Sequence[Remedy]:
        """Return a remedy that is not enough combined with others, the likeliest first."""
        ...

    def combined(self, remedy: Remedy) -> Sequence[Remedy]:
        """Return a remedy combined with all others that apply, the likeliest first, without a run."""
        ...

    def before(self, quantity: str) -> float | None:
        """Return a quantity of the run as it was."""
        ...

    def shows_early(self, quantity: str, value: float | None) -> bool:
        """Tell whether the value of a quantity after ten steps is as bad as it was in the end."""
        ...

    def shortened(self, specification: S, share: float) -> S | None:
        """Return the specification with a share of the steps, with ten for 0; None where that says nothing."""
        ...

    def run(self, jobs: Sequence[TrialJob[S]], likely: Iterable[TrialJob[S]] = ()) -> list[TrialRun | None]:
        """Return the result of each job; None for those that were not run. Idle workers may begin the likely ones."""
        ...


@dataclass(eq=False)
class Entrant(Generic[S]):
    """A remedy in the race.

    Args:
        remedy: the remedy.
        specification: the subject's specification with its changes.
        early: its last short run.
        runs: its full runs with the seeds of the proof, in their order.
        turn: its rank among those that were run at full length, from 1; 0 for none yet.
        level: of its look, where that was set beforehand; None for one that its rank and its pairs decide.
    """

    remedy: Remedy
    specification: S
    early: TrialRun | None = None
    runs: list[TrialRun] = field(default_factory=list)
    turn: int = 0
    level: float | None = None

    @property
    def score(self) -> float:
        """The mean over its full runs; without any, what it came to in a short one."""
        if self.runs:
            return float(np.mean([run.score for run in self.runs]))
        return 0.0 if self.early is None else self.early.score


class Board(Generic[S]):
    """The runs so far.

    Args:
        subject: the run to be repaired.
        pairs: the most pairs of runs to prove a remedy with.
    """

    def __init__(self, subject: TrainingSubject[S], pairs: int) -> None:
        self.subject, self.pairs = subject, pairs
        self.entered: list[Entrant[S]] = []
        self.controls: list[TrialRun] = []
        self.history: list[tuple[int, Remedy]] = []
        self.needed: tuple[tuple[Remedy, float], ...] = ()
        self._turns = 0

    # --- what is known --------------------------------------------------------------------------------------------

    @property
    def tried(self) -> list[Entrant[S]]:
        """Those that were run for more than a look."""
        return [entrant for entrant in self.entered if entrant.early is not None or entrant.runs]

    @property
    def proved(self) -> list[Entrant[S]]:
        """Those that were compared in pairs."""
        return [entrant for entrant in self.entered if len(entrant.runs) >= FEWEST_PAIRS]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of those that were compared in pairs, those that helped first, the best of them first."""
        trials = [self.trial(entrant) for entrant in self.proved]
        matters = self.matters

        def rank(trial: Trial) -> tuple[Any, ...]:
            # In multiples of the smallest gain that counts; of equals the smaller change.
            return not trial.helped, -round(float(np.mean(trial.scores)) / matters), len(trial.remedy.changes)

        return tuple(sorted(trials, key=rank))

    @property
    def matters(self) -> float:
        """The smallest gain that counts."""
        return max(self.subject.matters([entrant.score for entrant in self.tried]), np.finfo(float).tiny)

    @property
    def unchanged(self) -> float:
        """The mean score of unchanged runs: those with fresh seeds, since the subject's own may be an unlucky one."""
        return float(np.mean([run.score for run in self.controls])) if self.controls else self.subject.own

    @property
    def best(self) -> Trial | None:
        """The trial that helped most; None where nothing did."""
        return next((trial for trial in self.trials if trial.helped), None)

    @property
    def is_done(self) -> bool:
        """Whether what was proved leaves nothing to gain."""
        best = self.best
        return best is not None and float(np.mean(best.scores)) >= self.subject.enough - self.matters

    def trial(self, entrant: Entrant[S]) -> Trial:
        """Return the trial of an entrant from its pairs so far."""
        subject, count = self.subject, len(entrant.runs)
        scores, unchanged = ([run.score for run in runs] for runs in (entrant.runs, self.controls))
        level = _level(count, max(entrant.turn, 1)) if entrant.level is None else entrant.level
        highest = max(1.0 - float(np.mean(unchanged)), 0.0)
        effect = Effect.apart(scores, unchanged, sure=1 - level, least=subject.unit)
        effect = replace(effect.within(-float(np.mean(unchanged)), max(highest, effect.mean)), pairs=count)
        moved = [run.moved[entrant.remedy.moves] for run in entrant.runs]
        known = [value for value in moved if value is not None]
        return Trial(
            remedy=entrant.remedy,
            scores=tuple(scores),
            effect=effect,
            net=effect,
            before=subject.before(entrant.remedy.moves),
            after=float(median(np.array(known))) if len(known) == count else None,
            steps=sum(run.steps for run in entrant.runs),
        )

    # --- the search -----------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to gain, or too little to spend for the proof of anything."""
        return self.is_done or self.subject.cost.interrupted or not self.affords_proof([])

    @property
    def leader(self) -> Entrant[S] | None:
        """The entrant that gained most at full length, if any gained."""
        gained = [entrant for entrant in self.entered if entrant.runs and self.gain(entrant) > self.matters]
        return max(gained, key=lambda entrant: entrant.score, default=None)

    def gain(self, entrant: Entrant[S]) -> float:
        """Return how much better than an unchanged run an entrant is."""
        return entrant.score - self.unchanged

    def fitted(self, remedies: Iterable[Remedy], most: int | None = None) -> list[Entrant[S]]:
        """Return entrants for the first remedies that can be built and differ from all that entered."""
        fresh: list[Entrant[S]] = []
        for remedy in remedies:
            if len(fresh) == most:
                break
            changed = self.subject.changed(remedy.changes)
            if changed is None or self.subject.alike(changed, self.subject.specification):
                continue
            # Two remedies may come to the same run, such as a schedule that is the present one.
            if not any(self.subject.alike(changed, other.specification) for other in (*self.entered, *fresh)):
                fresh.append(Entrant(remedy, changed))
        self.entered += fresh
        return fresh

    def raced(self, entrants: Sequence[Entrant[S]]) -> list[Entrant[S]]:
        """Return entrants in the order in which they did best over few steps, as far as they did better than none.

        First those are dropped that do not stay finite over ten steps, or do not move their quantity.
        """
        looks = self.looks(entrants)
        if looks and self.affords_proof([job.specification for job in looks]):
            likely = itertools.chain(self.shorts(entrants)[1:], self.pairs_of(entrants))
            entrants = self.moving(entrants, dict(zip(looks, self.subject.run(looks, likely), strict=True)))
        shorts = self.shorts(entrants)
        if not shorts or not self.affords_proof([job.specification for job in shorts]):
            return list(entrants)
        return self.ranked(entrants, dict(zip(shorts, self.subject.run(shorts, self.pairs_of(entrants)), strict=True)))

    def raced_at_once(self, entrants: Sequence[Entrant[S]], likely: Iterable[TrialJob[S]] = ()) -> list[Entrant[S]]:
        """Return the same after all these runs at once: those that the first steps drop are then made in vain.

        Args:
            entrants: the remedies that race.
            likely: what idle workers begin meanwhile.
        """
        jobs = [*self.looks(entrants), *self.shorts(entrants)]
        if not jobs or not self.affords_proof([job.specification for job in jobs]):
            return list(entrants)
        runs = dict(zip(jobs, self.subject.run(jobs, likely), strict=True))
        return self.ranked(self.moving(entrants, runs), runs)

    def ranked(self, entrants: Sequence[Entrant[S]], runs: Mapping[TrialJob[S], TrialRun | None]) -> list[Entrant[S]]:
        """Return entrants that did better than none over few steps, by what these promise.

        Those that are too short to race come behind the others in their own order: nothing speaks against them.
        """
        shorts = self.shorts(entrants)
        of_entrant = {job.specification: runs.get(job) for job in shorts[1:]}
        control = runs.get(shorts[0]) if shorts else None
        shortened = [(entrant, self.subject.shortened(entrant.specification, SHORT)) for entrant in entrants]
        for entrant, short in shortened:
            if short is not None:
                entrant.early = of_entrant.get(short)
        if control is None:
            return []
        ahead = [(entrant.early.promise, entrant) for entrant, _ in shortened if entrant.early is not None]
        ahead = sorted((pair for pair in ahead if pair[0] > control.promise), key=lambda pair: -pair[0])
        return [*(entrant for _, entrant in ahead), *(entrant for entrant, short in shortened if short is None)]

    def shorts(self, entrants: Sequence[Entrant[S]]) -> list[TrialJob[S]]:
        """Return the short runs of the subject and of entrants that are not too short to race; [] if it is itself."""
        subject, seed = self.subject, self.subject.seed
        unchanged = subject.shortened(subject.specification, SHORT)
        if unchanged is None:
            return []
        shortened = [(entrant, subject.shortened(entrant.specification, SHORT)) for entrant in entrants]
        jobs = [TrialJob(short, seed, (e.remedy.moves,)) for e, short in shortened if short is not None]
        return [TrialJob(unchanged, seed), *jobs]

    def looks(self, entrants: Sequence[Entrant[S]]) -> list[TrialJob[S]]:
        """Return the first ten steps of the subject and of entrants, where so few tell; [] where they do not."""
        subject, seed = self.subject, self.subject.seed
        unchanged = subject.shortened(subject.specification, 0.0)
        if unchanged is None:
            return []
        looks = [(entrant, subject.shortened(entrant.specification, 0.0)) for entrant in entrants]
        jobs = [TrialJob(look, seed, (entrant.remedy.moves,)) for entrant, look in looks if look is not None]
        quantities = tuple(dict.fromkeys(name for job in jobs for name in job.quantities))
        return [TrialJob(unchanged, seed, quantities), *jobs]

    def pairs_of(self, entrants: Sequence[Entrant[S]]) -> Iterator[TrialJob[S]]:
        """Yield the runs that prove entrants and were not made, seed by seed."""
        for number in range(self.pairs):
            for entrant in entrants[:_LIKELY]:
                if number >= len(entrant.runs):
                    yield from self.pair(entrant, number)

    def missing_controls(self) -> list[TrialJob[S]]:
        """Return the unchanged runs of the proofs that were not made."""
        subject = self.subject
        return [
            TrialJob(subject.specification, subject.seed + 1 + number)
            for number in range(len(self.controls), self.pairs)
        ]

    def pair(self, entrant: Entrant[S], number: int) -> list[TrialJob[S]]:
        """Return the runs of a pair: of an entrant and, if it was not made, of the subject."""
        seed = self.subject.seed + 1 + number
        jobs = [TrialJob(entrant.specification, seed, (entrant.remedy.moves,))]
        return jobs + ([TrialJob(self.subject.specification, seed)] if number >= len(self.controls) else [])

    def moving(self, entrants: Sequence[Entrant[S]], runs: Mapping[TrialJob[S], TrialRun | None]) -> list[Entrant[S]]:
        """Return the entrants that stay finite over ten steps and move their quantity, where so few steps tell."""
        looks = self.looks(entrants)
        control = runs.get(looks[0]) if looks else None
        shown = {} if control is None else control.moved
        of_look = {job.specification: runs.get(job) for job in looks[1:]}
        kept = []
        for entrant in entrants:
            look, name = self.subject.shortened(entrant.specification, 0.0), entrant.remedy.moves
            run = None if look is None else of_look.get(look)
            if run is None or (run.finite and not (self._shows(name, shown) and _stays(name, shown, run.moved))):
                kept.append(entrant)
        return kept

    def _shows(self, name: str, shown: Mapping[str, float | None]) -> bool:
        return name in shown and self.subject.shows_early(name, shown[name])

    def add_pair(self, entrant: Entrant[S]) -> bool:
        """Run an entrant with the next seed, and the subject with it if it was not; False where that failed."""
        subject = self.subject
        jobs = self.pair(entrant, len(entrant.runs))
        if not subject.affords([job.specification for job in jobs]):
            return False
        self.take_turn(entrant)
        treated, *control = subject.run(jobs, self.pairs_of([entrant]))
        if treated is None or None in control:
            return False
        entrant.runs.append(treated)
        self.controls += [run for run in control if run is not None]
        return True

    def take_turn(self, entrant: Entrant[S]) -> None:
        """Rank an entrant among those that are run at full length, behind those that were before it."""
        if not entrant.turn:
            self._turns += 1
            entrant.turn = self._turns

    def affords_proof(self, specifications: Sequence[S]) -> bool:
        """Tell whether the budget bears these runs and a proof of something as long as the subject after them."""
        missing = max(FEWEST_PAIRS - len(self.controls), 0)
        return self.subject.affords([*specifications, *[self.subject.specification] * (FEWEST_PAIRS + missing)])


def prescription_of(board: Board[S], diagnosis: Diagnosis) -> Prescription:
    """Return the prescription of a search."""
    subject = board.subject
    control = board.controls[: max([len(entrant.runs) for entrant in board.proved], default=0)]
    return Prescription(
        specification=subject.specification,
        yardstick=subject.yardstick,
        diagnosis=diagnosis,
        score=subject.own,
        trials=board.trials,
        tried=tuple((entrant.remedy, entrant.score) for entrant in board.tried),
        control=tuple(run.score for run in control),
        steps=subject.cost.spent,
        seconds=subject.cost.seconds,
        interrupted=subject.cost.interrupted,
        needed=board.needed,
        history=tuple(board.history),
    )


def _level(pairs: int, turn: int) -> float:
    """Return the level of an interim look after a number of pairs, for a remedy of a rank.

    >>> 0.049 < sum(_level(pairs, turn) for pairs in range(2, 40) for turn in range(1, 100)) <= 0.05
    True
    """
    spent = 0.25 if pairs == FEWEST_PAIRS else 0.75 * 0.5 ** (pairs - FEWEST_PAIRS)
    return LEVEL * spent / (turn * (turn + 1))


def _stays(name: str, before: Mapping[str, float | None], after: Mapping[str, float | None]) -> bool:
    """Tell whether a quantity is known not to have moved as it should."""
    return has_moved(name, before.get(name), after.get(name)) is False


def without(remedy: Remedy, change: Remedy) -> Remedy | None:
    """Return a remedy without one of its changes; None where nothing would be left."""
    rest = tuple(other for other in remedy.single_changes if other.name != change.name)
    if not rest:
        return None
    return Remedy(
        name=" + ".join(part.name for part in rest),
        why=" ".join(part.why for part in rest),
        changes={name: value for part in rest for name, value in part.changes.items()},
        moves=rest[0].moves,
        symptom=remedy.symptom,
        parts=rest if len(rest) > 1 else (),
        key=rest[0].key if len(rest) == 1 else "",
    )
