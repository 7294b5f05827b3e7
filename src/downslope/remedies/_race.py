"""The search for what mends a training: remedies race over ever more steps, and the first are proved pair by pair.

    by chance ─▶ ten steps ─▶ a tenth of the steps ─▶ pairs with fresh seeds, one by one ─▶ taken apart
                 (its quantity   (half of them        (unchanged and mended, until the     (which of its changes
                  must move)      are left)            difference clears 0 or does not)     are needed)

No run at full length is spent on choosing: the first full run of a remedy is half of the first pair of its proof, and
an unchanged run serves the proofs of all remedies. The seeds of the proof have no part in what leads up to it.

The proof looks at the difference after each pair, and at several remedies, one after the other. Each look at each
remedy spends a share of the 5 % by which such a search may go wrong:

    level(n, k) = 0.05 · w_n / (k (k + 1)),    w_2 = 1/4, w_3 = 3/8, w_4 = 3/16, …,    Σ level ≤ 0.05

after n pairs of the k-th remedy that was run at full length.

An interval with the level of the look at which its runs ended holds although the data decided when to stop.

References: Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", 2013 (successive halving);
Lan and DeMets, "Discrete sequential boundaries for clinical trials", 1983 (spending a level over looks).
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
from downslope.remedies._trial import Cost, Effect, S, Trial, TrialJob, TrialRun, Yardstick

_LEVEL = 0.05
_HEAT = 6  # remedies that race at a time; of a structure of its own each costs a compilation
_SHORT, _LONGER = 0.1, 0.3  # of the steps: how long they race, and how long a mend is taken apart
_LIKELY = 6  # of them whose proofs idle workers begin
_FINAL = 3  # of them that are run at full length at most
_FEWEST_PAIRS = 2
_CLOSED = 0.5  # of the gap: with less, others are tried before it is proved
_ROUNDS = 3  # of adding remedies to the best
_SPARE = 0.1  # of the gain: what a change that is left out may cost


class Racing(Protocol[S]):
    """A training that is to be mended."""

    @property
    def specification(self) -> S:
        """The setup as it is."""
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
    def enough(self) -> float:
        """The score that leaves nothing to gain."""
        ...

    @property
    def unit(self) -> float:
        """The least by which luck changes a score."""
        ...

    @property
    def cost(self) -> Cost:
        """What was spent."""
        ...

    def offered(self) -> Sequence[Remedy]:
        """Return the remedies to try, the likeliest first."""
        ...

    def further(self, remedy: Remedy, mended: S) -> Sequence[Remedy]:
        """Return a remedy that is not enough combined with others, the likeliest first."""
        ...

    def before(self, quantity: str) -> float | None:
        """Return a quantity of the run as it was."""
        ...

    def shows_early(self, quantity: str, value: float | None) -> bool:
        """Tell whether the value of a quantity after ten steps is as bad as it was in the end."""
        ...

    def changed(self, changes: Mapping[str, Any]) -> S | None:
        """Return the specification with changes; None where it cannot be built."""
        ...

    def alike(self, first: S, second: S) -> bool:
        """Tell whether two specifications run the same."""
        ...

    def shortened(self, specification: S, share: float) -> S | None:
        """Return the specification with a share of the steps, with ten for 0; None where that says nothing."""
        ...

    def affords(self, specifications: Sequence[S]) -> bool:
        """Tell whether the budget bears a run of each specification."""
        ...

    def run(self, jobs: Sequence[TrialJob[S]], likely: Iterable[TrialJob[S]] = ()) -> list[TrialRun | None]:
        """Return the result of each job; None for those that were not run. Idle workers may begin the likely ones."""
        ...

    def matters(self, scores: Sequence[float]) -> float:
        """Return the smallest gain that counts."""
        ...


def race(subject: Racing[S], diagnosis: Diagnosis, pairs: int) -> Prescription:
    """Find what helps a training, within its budget.

    Args:
        subject: what is to be mended.
        diagnosis: its diagnosis.
        pairs: the most pairs of runs to prove a remedy with.
    """
    search = _Race(subject, pairs)
    search.go()
    control = search.controls[: max([len(entrant.runs) for entrant in search.proved], default=0)]
    return Prescription(
        specification=subject.specification,
        yardstick=subject.yardstick,
        diagnosis=diagnosis,
        score=subject.own,
        trials=search.trials,
        tried=tuple((entrant.remedy, entrant.score) for entrant in search.tried),
        control=tuple(run.score for run in control),
        steps=subject.cost.spent,
        seconds=subject.cost.seconds,
        interrupted=subject.cost.interrupted,
        needed=search.needed,
        history=tuple(search.history),
    )


@dataclass(eq=False)
class _Entrant(Generic[S]):
    """A remedy in the race.

    Args:
        remedy: the remedy.
        specification: the subject's specification with its changes.
        early: its last short run.
        runs: its full runs with the seeds of the proof, in their order.
        turn: its rank among those that were run at full length, from 1; 0 for none yet.
    """

    remedy: Remedy
    specification: S
    early: TrialRun | None = None
    runs: list[TrialRun] = field(default_factory=list)
    turn: int = 0

    @property
    def score(self) -> float:
        """The mean over its full runs; without any, what it came to in a short one."""
        if self.runs:
            return float(np.mean([run.score for run in self.runs]))
        return 0.0 if self.early is None else self.early.score


class _Race(Generic[S]):
    """All that was run so far.

    Args:
        subject: what is to be mended.
        pairs: the most pairs of runs to prove a remedy with.
    """

    def __init__(self, subject: Racing[S], pairs: int) -> None:
        self._subject, self._pairs = subject, pairs
        self.entered: list[_Entrant[S]] = []
        self.controls: list[TrialRun] = []
        self.history: list[tuple[int, Remedy]] = []
        self.needed: tuple[tuple[Remedy, float], ...] = ()
        self._turns = 0

    # --- what is known --------------------------------------------------------------------------------------------

    @property
    def tried(self) -> list[_Entrant[S]]:
        """Those that were run for more than a look."""
        return [entrant for entrant in self.entered if entrant.early is not None or entrant.runs]

    @property
    def proved(self) -> list[_Entrant[S]]:
        """Those that were compared in pairs."""
        return [entrant for entrant in self.entered if len(entrant.runs) >= _FEWEST_PAIRS]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials of those that were compared in pairs, those that helped first, the best of them first."""
        trials = [self._trial(entrant) for entrant in self.proved]
        matters = self._matters

        def rank(trial: Trial) -> tuple[Any, ...]:
            # In multiples of the smallest gain that counts; of equals the smaller change.
            return not trial.helped, -round(float(np.mean(trial.scores)) / matters), len(trial.remedy.changes)

        return tuple(sorted(trials, key=rank))

    @property
    def _matters(self) -> float:
        return max(self._subject.matters([entrant.score for entrant in self.tried]), np.finfo(float).tiny)

    @property
    def _unchanged(self) -> float:
        """The mean score of unchanged runs: those with fresh seeds, since the subject's own may be an unlucky one."""
        return float(np.mean([run.score for run in self.controls])) if self.controls else self._subject.own

    @property
    def _best(self) -> Trial | None:
        return next((trial for trial in self.trials if trial.helped), None)

    @property
    def _done(self) -> bool:
        """Whether what was proved leaves nothing to gain."""
        best = self._best
        return best is not None and float(np.mean(best.scores)) >= self._subject.enough - self._matters

    def _trial(self, entrant: _Entrant[S]) -> Trial:
        """Return what the pairs of an entrant show so far."""
        subject, count = self._subject, len(entrant.runs)
        scores, unchanged = ([run.score for run in runs] for runs in (entrant.runs, self.controls))
        sure = 1 - _level(count, max(entrant.turn, 1))
        highest = max(1.0 - float(np.mean(unchanged)), 0.0)
        effect = Effect.apart(scores, unchanged, sure=sure, least=subject.unit)
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

    def go(self) -> None:
        """Search until something is proved that leaves nothing to gain, the budget is spent, or nothing is left."""
        waiting = self._fitted(self._subject.offered())
        rounds = 0
        while waiting and not self._over:
            heat, waiting = waiting[:_HEAT], waiting[_HEAT:]
            self._final(self._heat(heat))
            leader = self._leader
            if leader is None or self._over or rounds >= _ROUNDS or not self._affords_proof([leader.specification]):
                continue
            rounds += 1
            waiting = self._fitted(self._subject.further(leader.remedy, leader.specification)) + waiting
        if not self._subject.cost.interrupted:
            self._take_apart()

    @property
    def _over(self) -> bool:
        return self._done or self._subject.cost.interrupted or not self._affords_proof([])

    @property
    def _leader(self) -> _Entrant[S] | None:
        """The entrant that gained most at full length, if any gained."""
        gained = [entrant for entrant in self.entered if entrant.runs and self._gain(entrant) > self._matters]
        return max(gained, key=lambda entrant: entrant.score, default=None)

    def _gain(self, entrant: _Entrant[S]) -> float:
        return entrant.score - self._unchanged

    def _fitted(self, remedies: Iterable[Remedy]) -> list[_Entrant[S]]:
        """Return entrants for the remedies that can be built and differ from all that entered."""
        fresh: list[_Entrant[S]] = []
        for remedy in remedies:
            changed = self._subject.changed(remedy.changes)
            if changed is None or self._subject.alike(changed, self._subject.specification):
                continue
            # Two remedies may come to the same run, such as a schedule that is the present one.
            if not any(self._subject.alike(changed, other.specification) for other in (*self.entered, *fresh)):
                fresh.append(_Entrant(remedy, changed))
        self.entered += fresh
        return fresh

    def _heat(self, entrants: Sequence[_Entrant[S]]) -> list[_Entrant[S]]:
        """Return entrants in the order in which they did best over few steps, as far as they did better than none.

        Those that are too short to race come behind the others in their own order: nothing speaks against them.
        """
        subject, seed = self._subject, self._subject.seed
        entrants = self._moving(entrants)
        shortened = [(entrant, subject.shortened(entrant.specification, _SHORT)) for entrant in entrants]
        racing = [(entrant, short) for entrant, short in shortened if short is not None]
        unchanged = subject.shortened(subject.specification, _SHORT)
        if unchanged is None or not self._affords_proof([unchanged, *(short for _, short in racing)]):
            return list(entrants)
        jobs = [TrialJob(unchanged, seed), *self._shorts(entrants)]
        (control, *runs) = subject.run(jobs, self._pairs_of(entrants))
        for (entrant, _), run in zip(racing, runs, strict=True):
            entrant.early = run
        if control is None:
            return []
        ahead = [(entrant.early.promise, entrant) for entrant, _ in racing if entrant.early is not None]
        ahead = sorted((pair for pair in ahead if pair[0] > control.promise), key=lambda pair: -pair[0])
        return [*(entrant for _, entrant in ahead), *(entrant for entrant, short in shortened if short is None)]

    def _shorts(self, entrants: Sequence[_Entrant[S]]) -> list[TrialJob[S]]:
        """Return the short runs of entrants, as far as they are not too short to race."""
        subject = self._subject
        shortened = [(entrant, subject.shortened(entrant.specification, _SHORT)) for entrant in entrants]
        return [TrialJob(short, subject.seed, (e.remedy.moves,)) for e, short in shortened if short is not None]

    def _pairs_of(self, entrants: Sequence[_Entrant[S]]) -> Iterator[TrialJob[S]]:
        """Yield the runs that prove entrants, seed by seed."""
        for number in range(self._pairs):
            for entrant in entrants[:_LIKELY]:
                yield from self._pair(entrant, number)

    def _pair(self, entrant: _Entrant[S], number: int) -> list[TrialJob[S]]:
        """Return the runs of a pair: of an entrant and, if it was not made, of the subject."""
        seed = self._subject.seed + 1 + number
        jobs = [TrialJob(entrant.specification, seed, (entrant.remedy.moves,))]
        return jobs + ([TrialJob(self._subject.specification, seed)] if number >= len(self.controls) else [])

    def _moving(self, entrants: Sequence[_Entrant[S]]) -> list[_Entrant[S]]:
        """Return the entrants that stay finite over ten steps and move their quantity, where so few steps tell."""
        subject, seed = self._subject, self._subject.seed
        looks = [(entrant, subject.shortened(entrant.specification, 0.0)) for entrant in entrants]
        jobs = [TrialJob(look, seed, (entrant.remedy.moves,)) for entrant, look in looks if look is not None]
        unchanged = subject.shortened(subject.specification, 0.0)
        if unchanged is None or not self._affords_proof([unchanged, *(job.specification for job in jobs)]):
            return list(entrants)
        quantities = tuple(dict.fromkeys(name for job in jobs for name in job.quantities))
        likely = itertools.chain(self._shorts(entrants), self._pairs_of(entrants))
        (control, *runs) = subject.run([TrialJob(unchanged, seed, quantities), *jobs], likely)
        shown = {} if control is None else control.moved
        results = iter(runs)
        kept = []
        for entrant, look in looks:
            run, name = None if look is None else next(results), entrant.remedy.moves
            if run is None or (run.finite and not (self._shows(name, shown) and _stays(name, shown, run.moved))):
                kept.append(entrant)
        return kept

    def _shows(self, name: str, shown: Mapping[str, float | None]) -> bool:
        return name in shown and self._subject.shows_early(name, shown[name])

    def _final(self, ranked: Sequence[_Entrant[S]]) -> None:
        """Run the first at full length until one closes half of the gap, and prove it; else the one that gained most.

        A run at full length is half of the first pair of a proof.
        """
        for entrant in ranked[:_FINAL]:
            if self._over or not self._add_pair(entrant):
                return
            if self._closes(entrant):
                self._prove(entrant)
        best = self._leader
        # One with more pairs was proved, or refuted.
        if best is not None and not self._over and len(best.runs) < _FEWEST_PAIRS:
            self._prove(best)

    def _closes(self, entrant: _Entrant[S]) -> bool:
        """Tell whether an entrant closes enough of the gap that it is proved at once."""
        gap = self._subject.enough - self._unchanged
        return self._gain(entrant) > max(_CLOSED * gap, self._matters)

    def _prove(self, entrant: _Entrant[S]) -> None:
        """Add pairs until the difference clears 0, or does not look as if it would."""
        while len(entrant.runs) < self._pairs and self._add_pair(entrant):
            trial = self._trial(entrant)
            if trial.helped:
                best = self._best
                if best is not None and best.remedy is entrant.remedy:
                    self.history.append((self._subject.cost.spent, entrant.remedy))
                return
            if trial.effect.mean <= self._matters or trial.moved is False:
                return

    def _add_pair(self, entrant: _Entrant[S]) -> bool:
        """Run an entrant with the next seed, and the subject with it if it was not; False where that failed."""
        subject = self._subject
        jobs = self._pair(entrant, len(entrant.runs))
        if not subject.affords([job.specification for job in jobs]):
            return False
        if not entrant.turn:
            self._turns += 1
            entrant.turn = self._turns
        treated, *control = subject.run(jobs, self._pairs_of([entrant]))
        if treated is None or None in control:
            return False
        entrant.runs.append(treated)
        self.controls += [run for run in control if run is not None]
        return True

    def _affords_proof(self, specifications: Sequence[S]) -> bool:
        """Tell whether the budget bears these runs and a proof of something as long as the subject after them."""
        missing = max(_FEWEST_PAIRS - len(self.controls), 0)
        return self._subject.affords([*specifications, *[self._subject.specification] * (_FEWEST_PAIRS + missing)])

    # --- what is needed of it -------------------------------------------------------------------------------------

    def _take_apart(self) -> None:
        """Leave out the changes of the best remedy that are not needed, and prove what is left with the same seeds."""
        best, subject = self._best, self._subject
        if best is None or len(best.remedy.single_changes) < 2:
            return
        entrant = next(entrant for entrant in self.entered if entrant.remedy is best.remedy)
        whole = self._short_score(entrant.specification)
        if whole is None:
            return
        # Luck apart a change that costs less than a tenth of what the whole gained is not needed for it.
        spare = max(_SPARE * best.effect.mean, self._matters)
        kept, needed = entrant, list[tuple[Remedy, float]]()
        for change in reversed(best.remedy.single_changes):
            rest = _without(kept.remedy, change)
            if rest is None:
                needed.append((change, self._unchanged))
                continue
            changed = subject.changed(rest.changes)
            if changed is None:
                continue
            # What the run does already is left out without a run.
            score = whole if subject.alike(changed, kept.specification) else self._short_score(changed)
            if score is None:
                return
            if score >= whole - spare:
                kept = _Entrant(rest, changed, turn=entrant.turn)
            else:
                needed.append((change, score))
        self.needed = tuple(reversed(needed))
        if kept is not entrant:
            self._prove_smaller(kept, entrant, spare)

    def _short_score(self, specification: S) -> float | None:
        """Return the score after a third of the steps; None where that cannot be paid for."""
        short = self._subject.shortened(specification, _LONGER) or specification
        if not self._subject.affords([short]):
            return None
        (run,) = self._subject.run([TrialJob(short, self._subject.seed)])
        return None if run is None else run.score

    def _prove_smaller(self, smaller: _Entrant[S], whole: _Entrant[S], spare: float) -> None:
        """Prove what is left of a remedy; it takes the place of the whole unless it falls behind."""
        while len(smaller.runs) < len(whole.runs):
            if not self._add_pair(smaller):
                return
        if self._trial(smaller).helped and smaller.score >= whole.score - spare:
            self.entered = [smaller if entrant is whole else entrant for entrant in self.entered]


def _level(pairs: int, turn: int) -> float:
    """Return the level of a look after so many pairs of the remedy with that rank.

    >>> 0.049 < sum(_level(pairs, turn) for pairs in range(2, 40) for turn in range(1, 100)) <= 0.05
    True
    """
    spent = 0.25 if pairs == _FEWEST_PAIRS else 0.75 * 0.5 ** (pairs - _FEWEST_PAIRS)
    return _LEVEL * spent / (turn * (turn + 1))


def _stays(name: str, before: Mapping[str, float | None], after: Mapping[str, float | None]) -> bool:
    """Tell whether a quantity is known not to have moved as it should."""
    return has_moved(name, before.get(name), after.get(name)) is False


def _without(remedy: Remedy, change: Remedy) -> Remedy | None:
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
