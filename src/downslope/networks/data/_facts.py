"""What is true of the examples alone, before any training: how large they are, and what can be learnt from them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from downslope._types import Plain
from downslope.networks.data._examples import Examples
from downslope.networks.data._reading import scale_of
from downslope.networks.data._reference import Scores, score_on, scores_of
from downslope.networks.data._target import NUMBERS

_MOST_ROWS = 2000
_MOST_OUTPUTS = 8


def facts(examples: Examples, validation: Examples | None = None, seed: int = 0) -> Plain:
    """Return what is true of examples alone, as plain data; what cannot be told is None.

    Args:
        examples: to train on.
        validation: held back from them.
        seed: of the 2000 rows that references look at, and of their shuffles.

    Returns:
        rows, features, outputs: how many there are; features are the inputs of one row.
        input_mean, input_deviation, input_low, input_high: of all inputs, as the network sees them.
        largest_feature_mean: the mean of the feature whose mean is farthest from 0.
        smallest_feature_deviation, largest_feature_deviation: over the features that vary.
        constant_features: how many do not.
        target_kind: "numbers", "two classes" or "classes".
        class_counts: rows of each class, in the order of its place; None for numbers.
        target_low, target_high, target_mean, target_deviation: of all targets, as the network sees them; None for
            classes.
        reference_score, reference_by: the score of the better of nearest neighbours and, for numbers, ridge regression,
            a row left out at a time: the share of right classes, or R².
        chance_score: of always guessing the most common class, or the mean.
        shuffled_score, shuffled_deviation: mean and deviation of the reference's score over shuffled targets.
        validation_rows, validation_reference_score: how many there are, and the same reference's score on them.

    >>> from downslope.networks.data._examples import examples
    >>> found = facts(examples("iris"))
    >>> found["reference_by"], round(found["reference_score"], 3)
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
    """Return the mean, the deviation and the ends of an array's numbers."""
    return {
        f"{what}_mean": float(array.mean(dtype=np.float64)),
        f"{what}_deviation": float(array.std(dtype=np.float64)),
        f"{what}_low": float(array.min()),
        f"{what}_high": float(array.max()),
    }


def _references(examples: Examples, validation: Examples | None, seed: int) -> Plain:
    """Return what can be predicted without a network."""
    random = np.random.default_rng(seed)
    shown = _some(examples, random)
    features, scale = _features(shown.inputs)
    held = None if validation is None else _some(validation, random)
    counted = {"validation_rows": None if validation is None else len(validation), "validation_reference_score": None}
    if len(shown) < 3 or not np.ptp(shown.targets, axis=0).any():
        return {**_told(None), "chance_score": None, **counted}
    columns = _columns(shown.targets)
    scores = scores_of(features, columns(shown.targets), random)
    if held is not None:
        training, new = (features, columns(shown.targets)), (_features(held.inputs, scale)[0], columns(held.targets))
        counted["validation_reference_score"] = score_on(scores, training, new)
    numbers = examples.kind == NUMBERS
    chance = 0.0 if numbers else float(np.bincount(examples.targets).max() / len(examples))
    return {**_told(scores), "chance_score": chance, **counted}


def _told(scores: Scores | None) -> Plain:
    """Return the scores as plain data."""
    return {
        "reference_score": scores and scores.score,
        "reference_by": scores and scores.by,
        "shuffled_score": scores and float(scores.shuffled.mean()),
        "shuffled_deviation": scores and float(scores.shuffled.std()),
    }


def _some(examples: Examples, random: np.random.Generator) -> Examples:
    """Return the rows that references look at."""
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
    """Return which columns of targets to look at: eight that vary, evenly chosen, where there are many."""
    if targets.ndim == 1:
        return lambda array: array
    varying = np.flatnonzero(np.ptp(targets, axis=0))
    chosen = varying[np.linspace(0, len(varying) - 1, min(len(varying), _MOST_OUTPUTS)).round().astype(int)]
    return lambda array: array[:, chosen]
