"""What chance does to losses and scores: the loss of a constant prediction, and the standard errors of scores.

A loss that settles at that of a constant prediction has learned nothing.

A cross-entropy rests at the logarithm of the number of classes, the square of an error at 0.25 for targets 0 and 1. The
number of classes may not be known. But few networks that learn rest, to a few parts in a thousand, at such a number,
on the rows trained on and on those held back alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from downslope.diagnosis._blocks import Blocks

_STILL = 0.002  # of the loss: what it may move by over the half in which it rests
_ALIKE = 0.005  # of the loss: what the two sets may differ by
_NEAR = 0.005  # of a level of chance
_OF_GAP = 0.25  # of the gap to the next one: for many classes such levels lie close together
_ALONE = 0.4  # of the tolerance, where nothing but the loss on rows trained on is known
_MOST_CLASSES = 200
_FEWEST, _UNEVEN = 100, 0.75  # steps; the share of the most common class beyond which accuracy says little
_SCORE = 0.02  # what an accuracy may differ from that of guessing


class ChanceLevel(NamedTuple):
    """A loss that guessing has.

    Args:
        loss: how large it is.
        words: what is guessed.
        accuracy: the share of right guesses; None where there is none.
    """

    loss: float
    words: str
    accuracy: float | None


def chance_level(losses: np.ndarray, held: np.ndarray, accuracy: float | None) -> ChanceLevel | None:
    """Return the level of chance at which two losses have come to rest; None where they have not.

    Args:
        losses: on rows trained on.
        held: on rows held back; empty where it is not known.
        accuracy: on rows held back at the end, if it is known.
    """
    alone = not len(held) and accuracy is None
    level = _dead_rest(losses) if alone else _rest(losses)
    if level is None or not level > 0:
        return None
    other = _rest(held)
    if len(held) and (other is None or abs(other - level) > _ALIKE * level):
        return None
    near = min(_LEVELS, key=lambda known: abs(known.loss - level))
    if abs(near.loss - level) > _tolerance(near) * (_ALONE if alone else 1.0) or not _is_guessing(near, accuracy):
        return None
    return near


def ends_at_guessing(losses: np.ndarray, counts: Sequence[float], accuracy: float | None) -> ChanceLevel | None:
    """Return the level of even guesses where a cross-entropy ends no lower, however it came there; None elsewhere.

    Args:
        losses: on the rows trained on.
        counts: rows of each class.
        accuracy: at the end; None if not known.

    A loss that is summed, or smoothed, may be that high without a fault; so the accuracy must be that of guessing the
    most common class too, which says little where one class has most of the rows.
    """
    present = [count for count in counts if count]
    share = max(present, default=0.0) / max(sum(present), 1.0)
    if accuracy is None or len(losses) < _FEWEST or len(present) < 2 or share > _UNEVEN or accuracy > share + _SCORE:
        return None
    level = ChanceLevel(math.log(len(present)), f"{len(present)} classes", 1 / len(present))
    late = Blocks(losses).rows[-1]
    error = float(np.std(late)) / math.sqrt(len(late))
    return level if float(np.mean(late)) - 2 * error >= level.loss else None


def _rest(numbers: np.ndarray) -> float | None:
    """Return the level of a column over its second half; None if it moves there."""
    if len(numbers) < 10:
        return None
    blocks = Blocks(numbers)
    late = blocks.medians[len(blocks.medians) // 2 :]
    level = float(np.mean(late))
    return level if np.ptp(late) <= max(_STILL * abs(level), blocks.limit * blocks.error) else None


def _dead_rest(numbers: np.ndarray) -> float | None:
    """Return the level of a column that does not move at all from its third block on; None if it moves."""
    if len(numbers) < 20:
        return None
    late = Blocks(numbers).medians[2:]
    level = float(np.mean(late))
    return level if np.ptp(late) <= _STILL * abs(level) else None


def _tolerance(level: ChanceLevel) -> float:
    """Return the tolerance within which a loss is at a level of chance."""
    others = [abs(other.loss - level.loss) for other in _LEVELS if other.loss != level.loss]
    return min(_NEAR * level.loss, _OF_GAP * min(others))


def _is_guessing(level: ChanceLevel, accuracy: float | None) -> bool:
    """Tell whether an accuracy, if it is known, is that of guessing."""
    return accuracy is None or level.accuracy is None or accuracy < level.accuracy + _SCORE


_LEVELS = (
    ChanceLevel(0.25, "targets 0 and 1, as many of each,", None),
    *(ChanceLevel(math.log(classes), f"{classes} classes", 1 / classes) for classes in range(2, _MOST_CLASSES)),
)


def r2_error(score: float, rows: float) -> float:
    """Return the standard error of R² over so many rows: its variance is about 4 R² (1 − R²)² / n.

    Reference: Olkin and Finn, "Correlations redux", 1995.
    """
    share = min(max(score, 0.0), 1.0)
    return 2 * math.sqrt(share / rows) * (1 - share)


def share_error(share: float, rows: float) -> float:
    """Return the standard error of a share over so many rows; near 0 and 1 that of 1 in 20."""
    share = min(max(share, 0.05), 0.95)
    return math.sqrt(share * (1 - share) / rows)
