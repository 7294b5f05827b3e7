"""The search for a remedy of a training: remedies race over ever more steps, and the leaders are proved in pairs.

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

from collections.abc import Sequence

from downslope.diagnosis import Diagnosis
from downslope.remedies._prescription import Prescription
from downslope.remedies._race_board import FEWEST_PAIRS, ROUNDS, Board, Entrant, TrainingSubject, prescription_of
from downslope.remedies._taking_apart import take_apart
from downslope.remedies._trial import S

_HEAT = 6  # remedies that race at a time; of a structure of its own each costs a compilation
_FINAL = 3  # of them that are run at full length at most
_CLOSED = 0.5  # of the gap: with less, others are tried before it is proved


def race(subject: TrainingSubject[S], diagnosis: Diagnosis, pairs: int) -> Prescription:
    """Find what helps a training, within its budget.

    Args:
        subject: the run to be repaired.
        diagnosis: its diagnosis.
        pairs: the most pairs of runs to prove a remedy with.
    """
    board = Board(subject, pairs)
    waiting = board.fitted(subject.offered())
    rounds = 0
    # Until something is proved that leaves nothing to gain, the budget is spent, or nothing is left.
    while waiting and not board.is_over:
        heat, waiting = waiting[:_HEAT], waiting[_HEAT:]
        _final(board, board.raced(heat))
        leader = board.leader
        if leader is None or board.is_over or rounds >= ROUNDS or not board.affords_proof([leader.specification]):
            continue
        rounds += 1
        waiting = board.fitted(subject.further(leader.remedy, leader.specification)) + waiting
    if not subject.cost.interrupted:
        take_apart(board)
    return prescription_of(board, diagnosis)


def _final(board: Board[S], ranked: Sequence[Entrant[S]]) -> None:
    """Run the first at full length until one closes half of the gap, and prove it; else the one that gained most.

    A run at full length is half of the first pair of a proof.
    """
    for entrant in ranked[:_FINAL]:
        if board.is_over or not board.add_pair(entrant):
            return
        if _closes(board, entrant):
            _prove(board, entrant)
    best = board.leader
    # One with more pairs was proved, or refuted.
    if best is not None and not board.is_over and len(best.runs) < FEWEST_PAIRS:
        _prove(board, best)


def _closes(board: Board[S], entrant: Entrant[S]) -> bool:
    """Tell whether an entrant closes enough of the gap that it is proved at once."""
    gap = board.subject.enough - board.unchanged
    return board.gain(entrant) > max(_CLOSED * gap, board.matters)


def _prove(board: Board[S], entrant: Entrant[S]) -> None:
    """Add pairs until the difference clears 0, or does not look as if it would."""
    while len(entrant.runs) < board.pairs and board.add_pair(entrant):
        trial = board.trial(entrant)
        if trial.helped:
            best = board.best
            if best is not None and best.remedy is entrant.remedy:
                board.history.append((board.subject.cost.spent, entrant.remedy))
            return
        if trial.effect.mean <= board.matters or trial.moved is False:
            return
