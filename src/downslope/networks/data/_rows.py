"""Facts on rows: repeats, columns that number them, shifted validation rows, the order of batches.

Each is measured on a bounded number of rows, so that it costs some milliseconds before a training. What is normal for
data of few different values, such as a truth table, is told from what is not by the values themselves.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from downslope._numbers import evenly_spread
from downslope._types import Plain
from downslope.networks.data._references import Learners, area_under_curve, nearest_rows

MOST_NUMBERS = 8_000_000  # that are compared to find repeated rows
REPEAT_FACTS: tuple[str, ...] = (
    "rows_compared",
    "repeated_rows",
    "rows_on_both_sides",
    "share_on_both_sides",
    "repeats_by_chance",
)
ORDER_FACTS: tuple[str, ...] = ("between_batches", "between_batches_shuffled", "between_batches_deviation")
_MOST_ROWS = 2000
_MOST_COLUMNS = 64
_CHUNK = 65536


class Repeats(NamedTuple):
    """The rows that repeat others.

    Args:
        training: indices of the rows for training that repeat no earlier one; all of them where repeats are normal.
        validation: likewise of the rows held back, which repeat no row for training either.
        facts: the numbers of repeated rows.
    """

    training: np.ndarray
    validation: np.ndarray
    facts: Plain


Pair = tuple[np.ndarray, np.ndarray]  # inputs (rows, …) and targets (rows, …)


def repeats_of(training: Pair, validation: Pair | None, random: np.random.Generator) -> Repeats:
    """Return which rows repeat others in inputs and targets, and facts on them.

    Args:
        training: the rows for training.
        validation: the rows held back, or None.
        random: the generator of the rows that are compared, where there are too many.

    Returns:
        With the facts `rows_compared`, `repeated_rows` among those for training, `rows_on_both_sides` (rows held back
        that repeat one for training) and `share_on_both_sides` of them, and `repeats_by_chance`, the share of rows that
        would repeat another one if the columns were drawn apart from each other.
    """
    own, held = _looked_at(training, random), None if validation is None else _looked_at(validation, random)
    keys = _keys(training, own)
    first = np.sort(np.unique(keys, return_index=True)[1])
    repeated, across, across_share = len(keys) - len(first), None, None
    new = np.zeros(0, int)
    if validation is not None and held is not None:
        others = _keys(validation, held)
        known = np.isin(others, keys)
        across, across_share = int(known.sum()), float(known.mean())
        new = np.sort(np.unique(others, return_index=True)[1])
        new = new[~known[new]]
    some = own[first[evenly_spread(len(first), _MOST_ROWS)]]
    chance = _by_chance(training[0][some], len(keys)) if repeated or across else 0.0
    share = max(repeated / max(len(keys), 1), across_share or 0.0)
    facts: Plain = dict(zip(REPEAT_FACTS, (len(keys), repeated, across, across_share, chance), strict=True))
    everything = np.arange(len(training[0])), np.arange(0 if validation is None else len(validation[0]))
    if share <= 2 * chance or not (repeated or across):
        return Repeats(*everything, facts)
    return Repeats(own[first], everything[1] if held is None else held[new], facts)


def _looked_at(pair: Pair, random: np.random.Generator) -> np.ndarray:
    """Return the indices of the rows that are compared, in their order."""
    rows = len(pair[0])
    most = max(MOST_NUMBERS // max(math.prod(pair[0].shape[1:]), 1), _MOST_ROWS)
    return np.arange(rows) if rows <= most else np.sort(random.permutation(rows)[:most])


def _keys(pair: Pair, rows: np.ndarray) -> np.ndarray:
    """Return a number for each row that equal rows share, and other rows next to never."""
    keys = np.zeros(len(rows), np.uint64)
    for at in range(0, len(rows), _CHUNK):
        some = rows[at : at + _CHUNK]
        flat = [array[some].reshape(len(some), -1).astype(np.float32) for array in pair]
        # Adding 0 makes +0 of −0, which equals it and has other bits.
        bits = (np.concatenate(flat, axis=1) + np.float32(0)).view(np.uint32)
        odd = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64) * 2 + 1
        keys[at : at + _CHUNK] = (bits.astype(np.uint64) * odd).sum(axis=1, dtype=np.uint64)
    return keys


def _by_chance(distinct: np.ndarray, rows: int) -> float:
    """Return the share of rows that equal another by chance, among a number of rows.

    The probability that two rows agree is at most that of all columns agreeing independently of each other, raised to
    a power below 1 as they are not. A half is for columns of which each second one repeats another.

    Args:
        distinct: the inputs of rows that differ, shape (rows, …).
        rows: the number of rows that each is compared with.
    """
    columns = _columns(distinct.reshape(len(distinct), -1))
    many = len(distinct)
    # Few values of a single column say nothing: they may be all that there are.
    if many < 3 or (len(columns) == 1 and many < 50):
        return 1.0
    logarithm = 0.0
    for column in columns:
        counts = np.unique(column, return_counts=True)[1]
        agree = float(np.sum(counts * (counts - 1))) / (many * (many - 1))
        if agree == 0:
            return 0.0
        logarithm += math.log(agree)
    return min(1.0, rows * math.exp(logarithm / 2))


def _columns(flat: np.ndarray) -> np.ndarray:
    """Return columns that vary, at most 64 evenly spaced ones, shape (columns, rows)."""
    varying = np.flatnonzero(np.ptp(flat, axis=0)) if len(flat) else np.zeros(0, int)
    return flat.T[varying[evenly_spread(len(varying), _MOST_COLUMNS)]]


_MOST_FEATURES = 12  # of a truth table, which has 4096 rows then


def holds_every_combination(features: np.ndarray) -> bool:
    """Tell whether rows hold every combination of at least two features that have two values each.

    Then there can be no new row, and memorising them is learning all that there is.

    >>> holds_every_combination(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    True
    >>> holds_every_combination(np.array([[0, 0], [0, 1], [1, 1], [1, 1]]))
    False
    """
    rows, many = features.shape
    if not 2 <= many <= _MOST_FEATURES or rows < 2**many:
        return False
    low, high = features.min(axis=0), features.max(axis=0)
    if np.any((features != low) & (features != high)):
        return False
    return bool(np.all(np.bincount((features == high) @ 2 ** np.arange(many), minlength=2**many)))


# --- rows held back that come from elsewhere -------------------------------------------------------------------------

_MOST_POOLED, _FEWEST_HELD = 300, 5
_NEIGHBOURS = 15


def shift_of(features: np.ndarray, held: np.ndarray, names: tuple[str, ...], random: np.random.Generator) -> Plain:
    """Return facts on whether rows held back can be told from the others.

    Args:
        features: of the rows for training, shape (rows, features), scaled.
        held: of the rows held back, scaled likewise.
        names: the names of the features; () where they have none.
        random: the generator of the rows that are looked at: 300 of each kind.

    Returns:
        shift_auc: the area under the curve by which the share of held-back rows among the 15 nearest ones tells a
            held-back row from another; 0.5 where they are alike.
        shift_column, shift_column_auc: the feature that tells them apart best, and its area.
        shift_error: the standard error of these areas where the rows are alike.
        All of them None where fewer than 5 rows are held back.
    """
    if len(held) < _FEWEST_HELD or len(features) < _FEWEST_HELD:
        return dict.fromkeys(("shift_auc", "shift_error", "shift_column", "shift_column_auc"))
    kept = [rows[np.sort(random.permutation(len(rows))[:_MOST_POOLED])] for rows in (features, held)]
    pool, is_held = np.concatenate(kept), np.repeat([False, True], [len(rows) for rows in kept])
    # A neighbourhood as large as the pool would hold the same rows for all.
    near = nearest_rows(pool, pool, itself=True)[:, : max(min(_NEIGHBOURS, len(pool) // 10), 1)]
    areas = {}
    for index in evenly_spread(pool.shape[1], _MOST_COLUMNS):
        area = area_under_curve(pool[:, index], is_held) or 0.5
        areas[int(index)] = max(area, 1 - area)
    column = max(areas, key=areas.__getitem__)
    many, others = is_held.sum(), (~is_held).sum()
    return {
        "shift_auc": area_under_curve(is_held[near].mean(axis=1), is_held),
        "shift_error": math.sqrt((many + others + 1) / (12 * many * others)),
        "shift_column": names[column] if names else str(column + 1),
        "shift_column_auc": areas[column],
    }


# --- columns that number the rows ------------------------------------------------------------------------------------

_LOOSE, _NEAR_WHOLE = 0.4, 0.05  # of a step
_COLLISIONS = 5.0


def numbering_of(
    features: np.ndarray,
    targets: np.ndarray,
    positions: np.ndarray | None,
    names: tuple[str, ...],
    balanced: bool,
    dates: Collection[str] = (),
) -> Plain:
    """Return facts on the column that numbers the rows, if there is one and it tells the targets.

    Such a column is a straight line over the rows' positions; or rises with them where the rows are sorted by class; or
    holds whole numbers that are all different, though so many drawn from their range would collide. Numbers to be
    predicted must rise or fall along it as well: one that only follows it may be a trend in time.

    Args:
        features: shape (rows, features), scaled.
        targets: indices of classes, shape (rows,), or numbers, shape (rows, outputs).
        positions: of the rows in the data as they came; None where they are not known.
        names: the names of the features; () where they have none.
        balanced: whether the score of classes is the mean over the classes.
        dates: the names of those that are dates, which may well tell the target.

    Returns:
        row_number: the column; row_number_score: the score of nearest neighbours by it alone; score_without: the score
        of the learners by all the others. All None without such a column.
    """
    nothing: Plain = dict.fromkeys(("row_number", "row_number_score", "score_without"))
    # The only column of a table is what the target is a function of.
    if features.ndim != 2 or features.shape[1] < 2 or len(features) < 10:
        return nothing
    numbering = [
        int(index)
        for index in np.flatnonzero(_number_rows(features, targets, positions))
        if not (names and names[index] in dates)
    ]
    if not numbering:
        return nothing
    scores = {
        index: Learners(features[:, [index]], numbers=False).best(targets, balanced)[0] for index in numbering[:3]
    }
    best = max(scores, key=lambda index: scores[index])
    others = np.delete(features, numbering, axis=1)
    return {
        "row_number": names[best] if names else str(best + 1),
        "row_number_score": scores[best],
        "score_without": Learners(others, targets.ndim == 2).best(targets, balanced)[0] if others.shape[1] else None,
    }


_COPY = {"classes": 0.95, "numbers": 0.999}  # of a column's variance, which the targets explain


def copy_of(features: np.ndarray, targets: np.ndarray, names: tuple[str, ...], balanced: bool) -> Plain:
    """Return facts on a column that holds the targets again, in any unit and with little noise.

    Args:
        features: shape (rows, features), scaled.
        targets: indices of classes, shape (rows,), or numbers, shape (rows, outputs).
        names: the names of the features; () where they have none.
        balanced: whether the score of classes is the mean over the classes.

    Returns:
        copy_column: the column; copy_explained: the share of its variance that lies between classes, or that a straight
        line of the targets explains; score_without_copy: the score of the learners by all other columns. All None
        without such a column, and for a table of one column.
    """
    nothing: Plain = dict.fromkeys(("copy_column", "copy_explained", "score_without_copy"))
    if (
        features.ndim != 2
        or features.shape[1] < 2
        or len(features) < 10
        or (targets.ndim == 2 and targets.shape[1] > 1)
    ):
        return nothing
    explained = _explained(features.astype(float), targets)
    copies = np.flatnonzero(explained >= _COPY["classes" if targets.ndim == 1 else "numbers"])
    others = np.delete(features, copies, axis=1)
    if not len(copies) or not others.shape[1]:
        return nothing
    column = int(copies[np.argmax(explained[copies])])
    return {
        "copy_column": names[column] if names else str(column + 1),
        "copy_explained": float(explained[column]),
        "score_without_copy": Learners(others, targets.ndim == 2).best(targets, balanced)[0],
    }


def _explained(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the share of the variance of each feature that the targets explain; 0 for one that does not vary."""
    centred = features - features.mean(axis=0)
    whole = np.square(centred).sum(axis=0)
    if targets.ndim == 1:
        counts = np.bincount(targets)
        sums = np.stack([np.bincount(targets, column) for column in centred.T], axis=1)
        between = (np.square(sums[counts > 0]) / counts[counts > 0, None]).sum(axis=0)
    else:
        wanted = targets[:, 0] - targets[:, 0].mean()
        between = np.square(wanted @ centred) / (np.square(wanted).sum() or 1.0)
    return between / np.where(whole > 0, whole, np.inf)


def _number_rows(features: np.ndarray, targets: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """Return which columns number their rows, shape (features,)."""
    # One row a feature, which is sorted and compared in order of memory.
    columns = np.ascontiguousarray(features.T, dtype=np.float64)
    ordered = np.sort(columns, axis=1)
    gaps = np.diff(ordered, axis=1)
    differ = np.all(gaps > 0, axis=1)
    smallest = np.where(differ, gaps.min(axis=1), 1.0)
    steps = (ordered - ordered[:, :1]) / smallest[:, None]
    whole = np.max(np.abs(steps - np.round(steps)), axis=1) <= _NEAR_WHOLE
    # Of n numbers drawn from a range of r about n² / 2r pairs would be equal.
    number = differ & whole & (columns.shape[1] ** 2 / (2 * (steps[:, -1] + 1)) > _COLLISIONS)
    if positions is not None:
        order = np.argsort(positions)
        along, at = columns[:, order], positions[order] - positions[order[0]]
        slope = (along[:, -1] - along[:, 0]) / at[-1]
        away = np.max(np.abs(along - along[:, :1] - slope[:, None] * at), axis=1)
        number |= differ & (away < _LOOSE * np.abs(slope))
        if targets.ndim == 1 and _is_sorted(targets[order]):
            number |= differ & np.array([_is_monotone(column) for column in along])
    if targets.ndim == 2:
        for index in np.flatnonzero(number):
            by_column = targets[np.argsort(columns[index])]
            number[index] = any(_is_monotone(target) for target in by_column.T)
    return number


def _is_monotone(column: np.ndarray) -> bool:
    steps = np.diff(column)
    return bool(np.all(steps >= 0) or np.all(steps <= 0))


def _is_sorted(classes: np.ndarray) -> bool:
    """Tell whether the rows of each class stand together."""
    return np.count_nonzero(np.diff(classes)) == len(np.unique(classes)) - 1 > 0


# --- the order of batches --------------------------------------------------------------------------------------------

_WINDOW, _FEWEST_WINDOWS, _PERMUTATIONS = 32, 4, 20


def order_of(targets: np.ndarray, batch: int, random: np.random.Generator) -> Plain:
    """Return facts on the order of rows that are not shuffled: how much of the spread of targets lies between batches.

    Args:
        targets: in the order of the rows: indices of classes, shape (rows,), or numbers, shape (rows, outputs).
        batch: rows of a batch; smaller ones are joined to 32 rows.
        random: the generator of the permutations.

    Returns:
        between_batches: the share of the targets' variance that lies between batches, 1 where each batch is of one
            class.
        between_batches_shuffled, between_batches_deviation: mean and deviation of that share over permutations.
        All None for fewer than four batches, and for targets that are all the same.
    """
    size = batch * -(-_WINDOW // batch)
    windows = len(targets) // size
    if windows < _FEWEST_WINDOWS or not np.ptp(targets, axis=0).any():
        return dict.fromkeys(ORDER_FACTS)
    kept = targets[: windows * size]
    # A class is a column of 0 and 1, whose variances add up.
    columns = (kept[:, None] == np.unique(kept)).astype(float) if kept.ndim == 1 else kept.astype(float)
    columns = columns - columns.mean(axis=0)
    whole = float(np.sum(columns**2)) or 1.0

    def between(rows: np.ndarray) -> float:
        return float(size * np.sum(rows.reshape(windows, size, -1).mean(axis=1) ** 2) / whole)

    shuffled = [between(columns[random.permutation(len(columns))]) for _ in range(_PERMUTATIONS)]
    return dict(zip(ORDER_FACTS, (between(columns), float(np.mean(shuffled)), float(np.std(shuffled))), strict=True))


# --- targets over orders of magnitude --------------------------------------------------------------------------------

_SPREAD = 10.0  # of the middle nine tenths
_LOST = 0.01  # of the rows: so few zeros may be small numbers that were rounded


def logarithms_of(learners: Learners, targets: np.ndarray) -> Plain:
    """Return facts on the benefit of a logarithm, for positive numbers that spread over more than a factor of ten.

    Args:
        learners: the learners on the rows.
        targets: in their own unit, shape (rows, outputs).

    Returns:
        target_ratio: the 95th percentile over the 5th.
        log_reference_score: R² of the learners on the logarithms, taken back; log_reference_of_logs: their R² on the
        logarithms themselves. All None for other targets.
    """
    names = ("target_ratio", "log_reference_score", "log_reference_of_logs")
    if targets.shape[1] != 1:
        return dict.fromkeys(names)
    # Scaled to float32 and back, a small target is off by so much, and may have become 0 or less.
    rounding = 4 * float(np.finfo(np.float32).eps) * float(np.abs(targets).mean() + targets.std())
    lost = np.mean(targets < rounding)
    if targets.min() < -rounding or lost > _LOST:
        return dict.fromkeys(names)
    targets = np.maximum(targets, rounding)
    low, high = np.quantile(targets, [0.05, 0.95])
    if high < _SPREAD * low:
        return dict.fromkeys(names)
    logs = np.log(targets)
    level, size = logs.mean(), logs.std()
    guesses = [size * guess + level for each in learners.guesses((logs - level) / size).values() for guess in each]
    back = max(score for guess in guesses for score in _taken_back(guess, logs, targets))
    explained = max(1 - float(np.mean((logs - guess) ** 2)) / size**2 for guess in guesses)
    return dict(zip(names, (float(high / low), back, float(explained)), strict=True))


def _taken_back(guess: np.ndarray, logs: np.ndarray, targets: np.ndarray) -> list[float]:
    """Return R² of guessed logarithms taken back, as they are, and times the mean of what the residuals do to it."""
    with np.errstate(over="ignore", invalid="ignore"):
        plain = np.exp(guess)
        # Duan 1983: the exponential of a mean lies below the mean of exponentials.
        scores = [
            1 - float(np.mean((targets - back) ** 2)) / float(np.var(targets))
            for back in (plain, plain * np.mean(np.exp(logs - guess)))
        ]
    return [score if math.isfinite(score) else -math.inf for score in scores]
