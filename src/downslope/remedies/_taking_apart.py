"""Taking a bundle of changes apart: each is left out over a third of the steps, and the rest is proved."""

from __future__ import annotations

from downslope.remedies._race_board import SPARE, Board, Entrant, without
from downslope.remedies._remedy import Remedy
from downslope.remedies._trial import S, TrialJob

_LONGER = 0.3  # of the steps


def take_apart(board: Board[S]) -> None:
    """Leave out the changes of the best remedy that are not needed, and prove what is left with the same seeds."""
    best, subject = board.best, board.subject
    if best is None or len(best.remedy.single_changes) < 2:
        return
    entrant = next(entrant for entrant in board.entered if entrant.remedy is best.remedy)
    whole = _short_score(board, entrant.specification)
    if whole is None:
        return
    # Luck apart a change that costs less than a tenth of what the whole gained is not needed for it.
    spare = max(SPARE * best.effect.mean, board.matters)
    kept, needed = entrant, list[tuple[Remedy, float]]()
    for change in reversed(best.remedy.single_changes):
        rest = without(kept.remedy, change)
        if rest is None:
            needed.append((change, board.unchanged))
            continue
        changed = subject.changed(rest.changes)
        if changed is None:
            continue
        # What the run does already is left out without a run.
        score = whole if subject.alike(changed, kept.specification) else _short_score(board, changed)
        if score is None:
            return
        if score >= whole - spare:
            kept = Entrant(rest, changed, turn=entrant.turn, level=entrant.level)
        else:
            needed.append((change, score))
    board.needed = tuple(reversed(needed))
    if kept is not entrant:
        _prove_smaller(board, kept, entrant, spare)


def _short_score(board: Board[S], specification: S) -> float | None:
    """Return the score after a third of the steps; None where that cannot be paid for."""
    short = board.subject.shortened(specification, _LONGER) or specification
    if not board.subject.affords([short]):
        return None
    (run,) = board.subject.run([TrialJob(short, board.subject.seed)])
    return None if run is None else run.score


def _prove_smaller(board: Board[S], smaller: Entrant[S], whole: Entrant[S], spare: float) -> None:
    """Prove what is left of a remedy; it takes the place of the whole unless it falls behind."""
    while len(smaller.runs) < len(whole.runs):
        if not board.add_pair(smaller):
            return
    if board.trial(smaller).helped and smaller.score >= whole.score - spare:
        board.entered = [smaller if entrant is whole else entrant for entrant in board.entered]
