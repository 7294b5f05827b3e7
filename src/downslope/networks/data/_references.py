"""Reference learners without a network, whose scores a network is compared with.

They are nearest neighbours and ridge regression, each scored on rows that it has not seen: one is left out, or they are
validation rows. The score is the share of right classes, or its mean over the classes where some are rare; for numbers
it is R², one less the squares of the residuals over those about the mean. Scores on shuffled targets show how much of a
score is luck.

Both are written out here: importing scikit-learn's takes two seconds, more than a whole training on a small table, and
one search for neighbours, or one eigendecomposition, serves every count, every penalty and every shuffle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

NEIGHBOURS, RIDGE = "nearest neighbours", "ridge"
_COUNTS = (1, 3, 5, 15)
_PENALTIES = (1e-8, 1e-4, 1e-2, 0.1, 1.0, 10.0)  # times the mean of the eigenvalues
_MOST_UNKNOWNS = 800  # an eigendecomposition of this size takes a twentieth of a second
_SHUFFLES = 20
_FAR = 3.0  # deviations

Guesses = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of learners without a network.

    Args:
        score: the score of the best learner, with one row left out at a time.
        by: the best learner, "nearest neighbours" or "ridge".
        setting: the index of its best count of neighbours, or penalty.
        shuffled: the best learner's score on each shuffle of the targets, shape (shuffles,).
        balanced: whether the score of classes is the mean over the classes.
    """

    score: float
    by: str
    setting: int
    shuffled: np.ndarray
    balanced: bool


class Learners:
    """The learners on some rows, which leave out the row to predict.

    Args:
        features: shape (rows, features), scaled.
        numbers: whether the targets are numbers.
    """

    def __init__(self, features: np.ndarray, numbers: bool) -> None:
        # One search for neighbours serves all targets of these rows.
        self._near = nearest_rows(features, features, itself=True)
        self._ridge = leaving_row_out(features) if numbers else None

    def guesses(self, targets: np.ndarray, balanced: bool = False) -> dict[str, Guesses]:
        """Return the guesses of each learner for each of its settings."""
        guesses = {NEIGHBOURS: by_neighbours(self._near, targets, balanced)}
        return guesses if self._ridge is None else {**guesses, RIDGE: self._ridge(targets)}

    def best(self, targets: np.ndarray, balanced: bool = False) -> tuple[float, str, int]:
        """Return the best score, the learner that has it, and the index of its setting."""
        guesses = self.guesses(targets, balanced)
        scores = {name: [score_of(guess, targets, balanced) for guess in each] for name, each in guesses.items()}
        by = max(scores, key=lambda name: max(scores[name]))
        return max(scores[by]), by, int(np.argmax(scores[by]))


def scores_of(learners: Learners, targets: np.ndarray, random: np.random.Generator, balanced: bool = False) -> Scores:
    """Return the scores of the learners, with one row left out at a time.

    Args:
        learners: the learners on the rows.
        targets: indices of classes, shape (rows,), or numbers, shape (rows, outputs), not all the same.
        random: the generator of the shuffles.
        balanced: whether the score of classes is the mean over the classes.
    """
    score, by, setting = learners.best(targets, balanced)
    # the best of every learner and setting, since so is the score
    luck = [learners.best(targets[random.permutation(len(targets))], balanced)[0] for _ in range(_SHUFFLES)]
    return Scores(score, by, setting, np.array(luck), balanced)


def score_on(
    scores: Scores, training: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray]
) -> float | None:
    """Return the score on validation rows of the best learner, trained on all training rows.

    Args:
        scores: the scores that name the learner.
        training: features (rows, features) and targets.
        validation: likewise, scaled as the former.
    """
    (features, targets), (new, wanted) = training, validation
    if not len(wanted) or (wanted.ndim == 2 and not np.ptp(wanted, axis=0).any()):
        return None
    if scores.by == NEIGHBOURS:
        guesses = by_neighbours(nearest_rows(features, new), targets, scores.balanced)
    else:
        guesses = by_ridge(features, targets, new)
    return score_of(guesses[scores.setting], wanted, scores.balanced)


def score_of(guess: np.ndarray, wanted: np.ndarray, balanced: bool = False) -> float:
    """Return the share of right classes, or its mean over the classes; or R², its mean over the columns that vary."""
    if wanted.ndim == 1:
        return balanced_accuracy(guess, wanted) if balanced else float(np.mean(guess == wanted))
    spread = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    left = np.square(wanted - guess).sum(axis=0)
    return float(np.mean(1 - left[spread > 0] / spread[spread > 0]))


def balanced_accuracy(guess: np.ndarray, wanted: np.ndarray) -> float:
    """Return the mean, over the classes that occur, of the share of a class's rows that are recognised.

    >>> balanced_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    0.5
    """
    counts = np.bincount(wanted)
    right = np.bincount(wanted, guess == wanted)
    return float(np.mean(right[counts > 0] / counts[counts > 0]))


def area_under_curve(ranking: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the probability that a positive row ranks above another one, ties counted half; None for one kind alone.

    It is the area under the curve of true over false positives (Hanley and McNeil 1982), from the sum of ranks.

    Args:
        ranking: shape (rows,).
        positive: which rows are positive, shape (rows,).

    >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    many = int(positive.sum())
    others = len(positive) - many
    if not many or not others or not np.isfinite(ranking).all():
        return None
    ordered = np.sort(ranking)
    # The mean of the first and last position of equal values is their rank.
    ranks = (np.searchsorted(ordered, ranking, "left") + np.searchsorted(ordered, ranking, "right") + 1) / 2
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * others))


def nearest_rows(features: np.ndarray, new: np.ndarray, itself: bool = False) -> np.ndarray:
    """Return the indices of the rows nearest to each new row, the nearest first, shape (new, most).

    Args:
        features: shape (rows, features).
        new: shape (new, features).
        itself: whether the new rows are the rows, so that each is left out of its own neighbours.
    """
    # in a feature that hardly varies a rare value lies far out, and would decide alone who is near
    features, new = np.clip(features, -_FAR, _FAR), np.clip(new, -_FAR, _FAR)
    most = min(max(_COUNTS), len(features) - itself)
    # a square of each new row's own length changes no order
    # |a − b|² = |a|² + |b|² − 2ab as one matrix product.
    distance = np.square(features).sum(axis=1) - 2 * (new @ features.T)
    if itself:
        np.fill_diagonal(distance, np.inf)
    # Partition before sorting: only the nearest few need an order.
    near = np.argpartition(distance, most - 1, axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(distance, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1)


def by_neighbours(near: np.ndarray, targets: np.ndarray, balanced: bool = False) -> Guesses:
    """Return the guesses of 1, 3, 5 and 15 neighbours: the most frequent class, the nearest of a tie; or the mean.

    Args:
        near: indices of the neighbours, shape (rows, most).
        targets: shape (rows,) or (rows, outputs).
        balanced: whether to guess the class that is most frequent beside its share of all rows as well: the most
            frequent one is right about most rows, and may never be a rare one.
    """
    counts = [min(count, near.shape[1]) for count in _COUNTS]
    around = targets[near]
    if targets.ndim == 2:
        return [around[:, :count].mean(axis=1) for count in counts]
    guesses, sizes = [], np.bincount(targets)
    for count in counts:
        labels = around[:, :count]
        # Each neighbour counts how many agree with it; argmax takes the first, hence the nearest, of a tie.
        votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2, dtype=np.uint8)
        guesses.append(labels[np.arange(len(labels)), votes.argmax(axis=1)])
        if balanced:
            guesses.append(labels[np.arange(len(labels)), (votes / sizes[labels]).argmax(axis=1)])
    return guesses


def leaving_row_out(features: np.ndarray) -> Callable[[np.ndarray], Guesses]:
    """Return ridge regression that leaves out the row to predict, for each penalty.

    With U s Uᵀ the products of the centred rows and f = s / (s + penalty), the prediction is H y, H = 1/n + U f Uᵀ.
    Without row i the residual is (y − H y)ᵢ / (1 − Hᵢᵢ).

    Args:
        features: shape (rows, features).
    """
    # Large tables are cut: an eigendecomposition takes time with the cube of its size.
    rows = len(features) if min(features.shape) <= _MOST_UNKNOWNS else _MOST_UNKNOWNS
    axes, eigenvalues = _axes(features[:rows] - features[:rows].mean(axis=0, dtype=np.float64))
    shrunk = [eigenvalues / (eigenvalues + penalty) for penalty in _penalties(eigenvalues)]
    left = [np.maximum(1 - 1 / rows - np.square(axes) @ factor, 1e-10)[:, None] for factor in shrunk]

    def learn(targets: np.ndarray) -> Guesses:
        wanted = targets[:rows].astype(np.float64)
        centred = wanted - wanted.mean(axis=0)
        along = axes.T @ centred
        residuals = [(centred - axes @ (f[:, None] * along)) / part for f, part in zip(shrunk, left, strict=True)]
        return [wanted - residual for residual in residuals]

    return learn


def by_ridge(features: np.ndarray, targets: np.ndarray, new: np.ndarray) -> Guesses:
    """Return the predictions of ridge regression for new rows, for each penalty."""
    rows = len(features) if min(features.shape) <= _MOST_UNKNOWNS else _MOST_UNKNOWNS
    mean, level = features[:rows].mean(axis=0, dtype=np.float64), targets[:rows].mean(axis=0, dtype=np.float64)
    centred = features[:rows] - mean
    axes, eigenvalues = _axes(centred)
    along = axes.T @ (targets[:rows] - level)
    products = ((new - mean) @ centred.T) @ axes
    return [level + products @ (along / (eigenvalues + penalty)[:, None]) for penalty in _penalties(eigenvalues)]


def _axes(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return U, shape (rows, rank), and s, shape (rank,), of the products of rows, from the smaller of two matrices."""
    rows, features = centred.shape
    if rows <= features:
        eigenvalues, vectors = np.linalg.eigh(centred @ centred.T)
    else:
        eigenvalues, vectors = np.linalg.eigh(centred.T @ centred)
    # Directions without variance are rounding; dividing by their square roots would blow it up.
    held = eigenvalues > 1e-12 * max(eigenvalues[-1], 0) * max(rows, features) ** 0.5
    eigenvalues, vectors = eigenvalues[held], vectors[:, held]
    return (vectors if rows <= features else centred @ vectors / np.sqrt(eigenvalues)), eigenvalues


def _penalties(eigenvalues: np.ndarray) -> list[float]:
    mean = float(eigenvalues.mean()) if len(eigenvalues) else 1.0
    return [penalty * mean for penalty in _PENALTIES]
