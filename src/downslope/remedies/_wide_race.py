"""The wide search for a remedy of a training: few decisions, each after many independent runs.

    ten steps, and a tenth ─▶ the same of the leaders ─▶ all pairs of the first,
    of the steps, of all      combined with all others   and of them with a change left out

The search of `_race` decides after each run at full length, so that it spends least and gains little from many workers.
This one knows beforehand what it runs next: of so many trainings at a time, the width, each begins without waiting for
another. Runs at full length take place at the end alone, all at once, so that a search takes little longer than its
longest run where there are as many workers as it is wide. The width decides what is run, and the workers decide
nothing.

The K remedies that a wave proves are looked at once, after all pairs, at the level 0.05 / (K w (w + 1)) each in wave w.

References: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht and Talwalkar, "A system for massively parallel
hyperparameter tuning", 2020: many short runs at once instead of decisions one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from downslope.diagnosis import Diagnosis
from downslope.remedies._prescription import Prescription
from downslope.remedies._race import race
from downslope.remedies._race_board import (
    LEVEL,
    ROUNDS,
    SHORT,
    SPARE,
    Board,
    Entrant,
    TrainingSubject,
    prescription_of,
    without,
)
from downslope.remedies._remedy import Remedy, same
from downslope.remedies._taking_apart import take_apart
from downslope.remedies._trial import S, TrialJob

_LEADERS = 4  # that are combined with others
_FINALISTS = 2  # that a wave must be able to prove, or the budget is too small for waves


def wide_race(subject: TrainingSubject[S], diagnosis: Diagnosis, pairs: int, width: int) -> Prescription:
    """Find what helps a training, within its budget, by waves of runs.

    Args:
        subject: the run to be repaired.
        diagnosis: its diagnosis.
        pairs: pairs of runs to prove a remedy with.
        width: runs that are begun before the next decision; of a single one, and with a budget for fewer than two
            proofs, decisions come one by one.
    """
    if width <= 1 or not subject.affords(_reserve(subject, pairs)):
        return race(subject, diagnosis, pairs)
    board = Board(subject, pairs)
    waiting = board.fitted(subject.offered())
    for wave in range(1, ROUNDS + 2):
        if not waiting or board.is_over:
            break
        heat = _affordable(board, waiting[:width])
        waiting = waiting[len(heat) :]
        # Idle workers begin what the last wave will need: the unchanged runs, and those of leaders, which are proved
        # themselves or as what a bundle is without a change.
        ranked = board.raced_at_once(heat, board.missing_controls())
        leaders = [entrant for entrant in ranked if entrant.early is not None][:_LEADERS]
        more = board.fitted(_in_turns([subject.combined(leader.remedy) for leader in leaders]), width)
        ahead = itertools.chain(board.missing_controls(), board.pairs_of(leaders))
        ranked = _by_promise([*ranked, *board.raced_at_once(_affordable(board, more), ahead)])
        if not _prove_all(board, _finalists(board, ranked, max(width, (_FINALISTS + 1) * pairs)), wave):
            break
        leader = board.leader
        if leader is not None and not board.is_over and board.affords_proof([leader.specification]):
            waiting = board.fitted(subject.further(leader.remedy, leader.specification), width) + waiting
    if not subject.cost.interrupted:
        _name_needed(board)
    return prescription_of(board, diagnosis)


def _reserve(subject: TrainingSubject[S], pairs: int) -> list[S]:
    """Return the runs that prove two remedies, if they are as long as the subject."""
    return [subject.specification] * ((_FINALISTS + 1) * pairs)


def _affordable(board: Board[S], entrants: Sequence[Entrant[S]]) -> list[Entrant[S]]:
    """Return the first entrants whose race leaves enough to prove two."""
    subject = board.subject
    runs = _reserve(subject, board.pairs)[len(board.controls) :] + _short_runs(subject, subject.specification)
    for count, entrant in enumerate(entrants):
        runs += _short_runs(subject, entrant.specification)
        if not subject.affords(runs):
            return list(entrants[:count])
    return list(entrants)


def _short_runs(subject: TrainingSubject[S], specification: S) -> list[S]:
    """Return the runs of a race, as far as they say something."""
    return [short for share in (0.0, SHORT) if (short := subject.shortened(specification, share)) is not None]


def _in_turns(lists: Sequence[Sequence[Remedy]]) -> Iterator[Remedy]:
    """Yield the first of each list, then the second of each, and so on."""
    for entries in itertools.zip_longest(*lists):
        yield from (entry for entry in entries if entry is not None)


def _by_promise(entrants: Sequence[Entrant[S]]) -> list[Entrant[S]]:
    """Return entrants by what their short runs promise; behind them those that are too short to race."""
    return sorted(
        entrants, key=lambda entrant: (entrant.early is None, -(entrant.early.promise if entrant.early else 0))
    )


def _finalists(board: Board[S], ranked: Sequence[Entrant[S]], width: int) -> list[Entrant[S]]:
    """Return the remedies to prove in a wave: the first, and each of them with one change left out."""
    subject, pairs = board.subject, board.pairs
    chosen: list[Entrant[S]] = []
    runs = [subject.specification] * (pairs - len(board.controls))
    for entrant in ranked:
        if len(runs) + pairs > width:
            break
        for other in (entrant, *(smaller for _, smaller in _smaller(board, entrant))):
            more = [*runs, *[other.specification] * pairs]
            if other not in chosen and not other.runs and len(more) <= width and subject.affords(more):
                chosen.append(other)
                runs = more
    return chosen


def _smaller(board: Board[S], entrant: Entrant[S]) -> Iterator[tuple[Remedy, Entrant[S]]]:
    """Yield each change of a bundle, and the remedy without it; not what comes to the unchanged run."""
    subject = board.subject
    for change in entrant.remedy.single_changes if len(entrant.remedy.single_changes) > 1 else ():
        rest = without(entrant.remedy, change)
        if rest is None:
            continue
        known = next((other for other in board.entered if same(other.remedy.changes, rest.changes)), None)
        changed = None if known is not None else subject.changed(rest.changes)
        if changed is not None and not subject.alike(changed, subject.specification):
            # Another remedy may come to the same run.
            known = next((other for other in board.entered if subject.alike(changed, other.specification)), None)
            known = known or board.fitted([rest])[0]
        if known is not None:
            yield change, known


def _prove_all(board: Board[S], chosen: Sequence[Entrant[S]], wave: int) -> bool:
    """Run all pairs of some remedies at once; False where there are none, or runs are missing."""
    subject, seeds = board.subject, range(board.pairs)
    jobs: dict[Entrant[S] | None, list[TrialJob[S]]] = {None: board.missing_controls()}
    for entrant in chosen:
        board.take_turn(entrant)
        entrant.level = LEVEL / (len(chosen) * wave * (wave + 1))
        jobs[entrant] = [
            TrialJob(entrant.specification, subject.seed + 1 + number, (entrant.remedy.moves,)) for number in seeds
        ]
    results = iter(subject.run([job for group in jobs.values() for job in group]) if chosen else ())
    for whose, group in jobs.items():
        runs = [run for run in itertools.islice(results, len(group)) if run is not None]
        if len(runs) < len(group):
            return False
        if whose is None:
            board.controls += runs
        else:
            whose.runs = runs
    _drop_larger(board)
    if board.best is not None:
        board.history.append((subject.cost.spent, board.best.remedy))
    return bool(chosen)


def _drop_larger(board: Board[S]) -> None:
    """Leave out the best remedy for as long as another does as well with some of its changes."""
    while (best := board.best) is not None:
        spare = max(SPARE * best.effect.mean, board.matters)
        whole = _entrant_of(board, best.remedy)
        names = {change.name for change in best.remedy.single_changes}
        if not any(
            {change.name for change in other.remedy.single_changes} < names
            and board.trial(other).helped
            and other.score >= whole.score - spare
            for other in board.proved
        ):
            return
        board.entered.remove(whole)


def _name_needed(board: Board[S]) -> None:
    """Name the changes that the best remedy needs, by the proofs of what is left without each; else take it apart."""
    best = board.best
    if best is None or len(best.remedy.single_changes) < 2:
        return
    rests = {change.name: rest for change, rest in _smaller(board, _entrant_of(board, best.remedy))}
    if not all(rest.runs for rest in rests.values()):
        take_apart(board)
        return
    board.needed = tuple(
        (change, rests[change.name].score if change.name in rests else board.unchanged)
        for change in best.remedy.single_changes
    )


def _entrant_of(board: Board[S], remedy: Remedy) -> Entrant[S]:
    return next(entrant for entrant in board.entered if entrant.remedy is remedy)
