"""Facts on examples before any training: their size, and the scores of learners without a network.

The learners are nearest neighbours and ridge regression, each scored on rows that it has not seen: one is left out, or
they are validation rows. The score is the share of right classes; for numbers it is R², one less the squares of the
residuals over those about the mean. Scores on shuffled targets show how much of a score is luck.

Both are written out here: importing scikit-learn's takes two seconds, more than a whole training on a small table, and
one search for neighbours, or one eigendecomposition, serves every count, every penalty and every shuffle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from downslope._types import Plain
from downslope.networks.data._encoding import scale_of
from downslope.networks.data._examples import Examples
from downslope.networks.data._target import NUMBERS

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
    """

    score: float
    by: str
    setting: int
    shuffled: np.ndarray


def scores_of(features: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> Scores:
    """Return the scores of the learners, with one row left out at a time.

    Args:
        features: shape (rows, features), scaled.
        targets: indices of classes, shape (rows,), or numbers, shape (rows, outputs), not all the same.
        random: the generator of the shuffles.
    """
    # One search for neighbours serves all shuffles, since they change the targets alone.
    near = nearest_rows(features, features, itself=True)
    learners: dict[str, Callable[[np.ndarray], Guesses]] = {NEIGHBOURS: lambda wanted: by_neighbours(near, wanted)}
    if targets.ndim == 2:
        learners[RIDGE] = leaving_row_out(features)
    scores = {name: [score_of(guess, targets) for guess in learn(targets)] for name, learn in learners.items()}
    best = max(scores, key=lambda name: max(scores[name]))
    luck = []
    for _ in range(_SHUFFLES):
        shuffled = targets[random.permutation(len(targets))]
        # every learner and setting, since the best of them is taken above
        luck.append(max(score_of(guess, shuffled) for learn in learners.values() for guess in learn(shuffled)))
    return Scores(max(scores[best]), best, int(np.argmax(scores[best])), np.array(luck))


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
    if wanted.ndim == 2 and not np.ptp(wanted, axis=0).any():
        return None
    if scores.by == NEIGHBOURS:
        guesses = by_neighbours(nearest_rows(features, new), targets)
    else:
        guesses = by_ridge(features, targets, new)
    return score_of(guesses[scores.setting], wanted)


def score_of(guess: np.ndarray, wanted: np.ndarray) -> float:
    """Return the share of right classes, or R², its mean over the columns that vary."""
    if wanted.ndim == 1:
        return float(np.mean(guess == wanted))
    spread = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
    left = np.square(wanted - guess).sum(axis=0)
    return float(np.mean(1 - left[spread > 0] / spread[spread > 0]))


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


def by_neighbours(near: np.ndarray, targets: np.ndarray) -> Guesses:
    """Return the guesses of 1, 3, 5 and 15 neighbours: the most frequent class, the nearest of a tie; or the mean.

    Args:
        near: indices of the neighbours, shape (rows, most).
        targets: shape (rows,) or (rows, outputs).
    """
    counts = [min(count, near.shape[1]) for count in _COUNTS]
    around = targets[near]
    if targets.ndim == 2:
        return [around[:, :count].mean(axis=1) for count in counts]
    guesses = []
    for count in counts:
        labels = around[:, :count]
        # Each neighbour counts how many agree with it; argmax takes the first, hence the nearest, of a tie.
        votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2, dtype=np.uint8)
        guesses.append(labels[np.arange(len(labels)), votes.argmax(axis=1)])
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


_MOST_ROWS = 2000
_MOST_OUTPUTS = 8


def facts(examples: Examples, validation: Examples | None = None, seed: int = 0) -> Plain:
    """Return facts on examples as plain data; None for what cannot be measured.

    Args:
        examples: the examples for training.
        validation: the examples for validation, or None.
        seed: of the 2000 rows that learners see, and of their shuffles.

    Returns:
        rows, features, outputs: their numbers; features are the inputs of one row.
        input_mean, input_deviation, input_low, input_high: of all encoded inputs.
        largest_feature_mean: the mean of the feature whose mean is farthest from 0.
        smallest_feature_deviation, largest_feature_deviation: over the features that vary.
        constant_features: the number of features that do not vary.
        target_kind: "numbers", "two classes" or "classes".
        class_counts: the number of rows of each class, in order; None for numbers.
        target_low, target_high, target_mean, target_deviation: of all encoded targets; None for classes.
        reference_score, reference_by: the score of the better of nearest neighbours and, for numbers, ridge regression,
            a row left out at a time: the share of right classes, or R².
        chance_score: of always guessing the most common class, or the mean.
        shuffled_score, shuffled_deviation: mean and deviation of the reference's score over shuffled targets.
        validation_rows, validation_reference_score: their number, and the same reference's score on them.

    >>> from downslope.networks.data._examples import examples
    >>> iris = facts(examples("iris"))
    >>> iris["reference_by"], round(iris["reference_score"], 3)
    ('nearest neighbours', 0.967)
    """
    return {**_sizes(examples), **_inputs(examples), **_targets(examples), **_references(examples, validation, seed)}


def _sizes(examples: Examples) -> Plain:
    return {
        "rows": len(examples),
        "features": math.prod(examples.inputs.shape[1:]),
        "outputs": examples.encoding.outputs,
        "target_kind": examples.kind,
    }


def _inputs(examples: Examples) -> Plain:
    """Return the facts on inputs."""
    flat = examples.inputs.reshape(len(examples), -1)
    means, deviations, constant = scale_of(flat)
    varying = deviations[~constant]
    return {
        **_spread("input", flat),
        "largest_feature_mean": float(means[np.argmax(np.abs(means))]),
        "smallest_feature_deviation": float(varying.min()) if len(varying) else None,
        "largest_feature_deviation": float(varying.max()) if len(varying) else None,
        "constant_features": int(constant.sum()),
    }


def _targets(examples: Examples) -> Plain:
    """Return the facts on targets."""
    if examples.kind == NUMBERS:
        return {"class_counts": None, **_spread("target", examples.targets)}
    counts = np.bincount(examples.targets, minlength=len(examples.encoding.target.categories))
    none = dict.fromkeys(("target_mean", "target_deviation", "target_low", "target_high"))
    return {"class_counts": counts.tolist(), **none}


def _spread(what: str, array: np.ndarray) -> Plain:
    """Return the mean, the deviation and the extremes of an array."""
    return {
        f"{what}_mean": float(array.mean(dtype=np.float64)),
        f"{what}_deviation": float(array.std(dtype=np.float64)),
        f"{what}_low": float(array.min()),
        f"{what}_high": float(array.max()),
    }


def _references(examples: Examples, validation: Examples | None, seed: int) -> Plain:
    """Return the facts on learners without a network."""
    random = np.random.default_rng(seed)
    shown = _some(examples, random)
    features, scale = _features(shown.inputs)
    held = None if validation is None else _some(validation, random)
    counted = {"validation_rows": None if validation is None else len(validation), "validation_reference_score": None}
    # With two rows, or one value, leaving a row out leaves nothing to learn from.
    if len(shown) < 3 or not np.ptp(shown.targets, axis=0).any():
        return {**_as_plain(None), "chance_score": None, **counted}
    # Many targets, such as the pixels of an autoencoder, would make the references slower than the training.
    columns = _columns(shown.targets)
    scores = scores_of(features, columns(shown.targets), random)
    if held is not None:
        training, new = (features, columns(shown.targets)), (_features(held.inputs, scale)[0], columns(held.targets))
        counted["validation_reference_score"] = score_on(scores, training, new)
    numbers = examples.kind == NUMBERS
    # Guessing the mean explains nothing: R² = 0.
    chance = 0.0 if numbers else float(np.bincount(examples.targets).max() / len(examples))
    return {**_as_plain(scores), "chance_score": chance, **counted}


def _as_plain(scores: Scores | None) -> Plain:
    """Return the scores as plain data."""
    return {
        "reference_score": scores and scores.score,
        "reference_by": scores and scores.by,
        "shuffled_score": scores and float(scores.shuffled.mean()),
        "shuffled_deviation": scores and float(scores.shuffled.std()),
    }


def _some(examples: Examples, random: np.random.Generator) -> Examples:
    """Return the rows that learners see."""
    if len(examples) <= _MOST_ROWS:
        return examples
    return examples.take(random.permutation(len(examples))[:_MOST_ROWS])


def _features(
    inputs: np.ndarray, scale: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return inputs as float32 (rows, features) less their mean over their deviation, and both of these.

    All pixels of images share one deviation, since those at the rim, which hardly vary, would drown the others.
    """
    flat = inputs.reshape(len(inputs), -1)
    if scale is None:
        mean, deviation, constant = scale_of(flat)
        if inputs.ndim > 2 and not constant.all():
            deviation = np.full_like(deviation, np.sqrt(np.mean(np.square(np.where(constant, 0, deviation)))))
        scale = mean.astype(np.float32), deviation.astype(np.float32)
    return (flat - scale[0]) / scale[1], scale


def _columns(targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the selection of target columns that learners see: of many, eight that vary, evenly spaced."""
    if targets.ndim == 1:
        return lambda array: array
    varying = np.flatnonzero(np.ptp(targets, axis=0))
    chosen = varying[np.linspace(0, len(varying) - 1, min(len(varying), _MOST_OUTPUTS)).round().astype(int)]
    return lambda array: array[:, chosen]
