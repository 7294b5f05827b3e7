"""Facts on examples before training: their size, anomalies of their rows, and the scores of reference learners."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import numpy as np

from downslope._engine import kept, structure_of
from downslope._numbers import digest_of, evenly_spread
from downslope._types import Plain
from downslope.networks.data._encoding import scale_of
from downslope.networks.data._examples import Examples
from downslope.networks.data._references import Learners, Scores, score_on, scores_of
from downslope.networks.data._rows import (
    MOST_NUMBERS,
    ORDER_FACTS,
    REPEAT_FACTS,
    copy_of,
    holds_every_combination,
    logarithms_of,
    numbering_of,
    order_of,
    repeats_of,
    shift_of,
)
from downslope.networks.data._target import NUMBERS

_MOST_ROWS = 2000
_MOST_OUTPUTS = 8
_RARE = 0.5  # of an even share of the rows


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
        every_combination: whether the rows hold every combination of features with two values each, as a truth table.
        target_kind: "numbers", "two classes" or "classes".
        class_counts: the number of rows of each class, in order; None for numbers.
        metric: "accuracy", "balanced_accuracy" where a class has less than half of an even share, or "r2"; of all
            scores here.
        target_low, target_high, target_mean, target_deviation: of all encoded targets; None for classes.
        reference_score, reference_by: the score of the better of nearest neighbours and, for numbers, ridge regression,
            a row left out at a time, on rows that repeat no other; of balanced accuracy also of neighbours that weigh
            the classes.
        chance_score: of always guessing the most common class, or the mean.
        shuffled_score, shuffled_deviation: mean and deviation of the reference's score over shuffled targets.
        validation_rows, validation_reference_score: their number, and the same reference's score on them.
        rows_compared, repeated_rows, rows_on_both_sides, share_on_both_sides, repeats_by_chance: of rows that repeat
            others.
        row_number, row_number_score, score_without: of a column that numbers the rows.
        copy_column, copy_explained, score_without_copy: of a column that holds the targets again.
        shift_auc, shift_error, shift_column, shift_column_auc: of rows held back that can be told from the others.
        target_ratio, log_reference_score, log_reference_of_logs: of positive numbers over orders of magnitude.
        between_batches, between_batches_shuffled, between_batches_deviation: of the order of a stream, see `order_of`;
            None for rows in memory, which are shuffled.

    >>> from downslope.networks.data._examples import examples
    >>> iris = facts(examples("iris"))
    >>> iris["reference_by"], round(iris["reference_score"], 3)
    ('nearest neighbours', 0.967)
    """
    held = () if validation is None else (validation.inputs, validation.targets)
    arrays = examples.inputs, examples.targets, examples.positions, *held
    key = (
        seed,
        json.dumps(examples.encoding.as_dict()),
        *(None if array is None else (array.shape, array.dtype.str, digest_of(array)) for array in arrays),
    )
    # The trainings of a prescription see the same rows again and again; to measure them takes as long as a short one.
    return {**kept(structure_of("facts on examples"), key, lambda: _measured(examples, validation, seed))}


def _measured(examples: Examples, validation: Examples | None, seed: int) -> Plain:
    return {**_sizes(examples), **_inputs(examples), **_targets(examples), **_references(examples, validation, seed)}


def suited_metric(kind: str, counts: np.ndarray | list[int] | None) -> str:
    """Return the metric that people read: balanced accuracy where some class has less than half of an even share.

    >>> suited_metric("classes", [50, 50, 40]), suited_metric("two classes", [980, 20])
    ('accuracy', 'balanced_accuracy')
    """
    if kind == NUMBERS:
        return "r2"
    present = np.array([count for count in ([] if counts is None else counts) if count])
    return "balanced_accuracy" if len(present) > 1 and present.min() < _RARE * present.mean() else "accuracy"


def facts_of_arrays(
    training: Sequence[np.ndarray], validation: Sequence[np.ndarray] | None, batch: int | None
) -> Plain:
    """Return the facts on rows of which it is not known what is input and what is target: repeats, and their order.

    Args:
        training: arrays with one entry a row; of a stream in the order in which they come.
        validation: the same arrays of the rows held back, or None.
        batch: rows of a batch of a stream; None for rows that are shuffled.
    """
    random = np.random.default_rng(0)
    own = [array for array in training if array.dtype.kind in "biuf"]
    if batch is not None:
        narrow = [array for array in own if array.size <= _MOST_OUTPUTS * len(array) and len(array) == len(own[0])]
        # Whole numbers may be classes; of several columns each is looked at, since one alone may be in order.
        columns = [
            column.astype(int) if array.dtype.kind in "biu" else column[:, None]
            for array in narrow
            for column in array.reshape(len(array), -1).T
        ]
        orders = [order_of(column, batch, random) for column in columns]
        known = [order for order in orders if order["between_batches"] is not None]
        return max(known, key=lambda order: order["between_batches"], default=dict.fromkeys(ORDER_FACTS))
    held = None if validation is None else [array for array in validation if array.dtype.kind in "biuf"]
    pairs = [None if arrays is None else _joined(arrays) for arrays in (own, held)]
    if pairs[0] is None or (held is not None and pairs[1] is None):
        return dict.fromkeys((*REPEAT_FACTS, *ORDER_FACTS))
    return {**repeats_of(pairs[0], pairs[1], random).facts, **dict.fromkeys(ORDER_FACTS)}


def _joined(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return arrays side by side as inputs, and no targets; None for more numbers than are compared."""
    if not arrays or sum(array.size for array in arrays) > MOST_NUMBERS:
        return None
    flat = np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in arrays], axis=1)
    return flat, flat[:, :0]


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
        "every_combination": holds_every_combination(flat[:, ~constant]),
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


_UNKNOWN = (
    *("reference_score", "reference_by", "shuffled_score", "shuffled_deviation", "chance_score"),
    *("row_number", "row_number_score", "score_without"),
    *("copy_column", "copy_explained", "score_without_copy"),
    *("target_ratio", "log_reference_score", "log_reference_of_logs"),
    *ORDER_FACTS,
)


def _references(examples: Examples, validation: Examples | None, seed: int) -> Plain:
    """Return the facts on rows, and on learners without a network."""
    # Generators of their own: what is drawn for one fact leaves the others as they are.
    random, aside = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    repeats = repeats_of(_pair(examples), None if validation is None else _pair(validation), aside)
    shown = _some(_taken(examples, repeats.training), random)
    features, scale = _features(shown.inputs)
    held = None if validation is None else _some(_taken(validation, repeats.validation), random)
    new = None if held is None else _features(held.inputs, scale)[0]
    names = examples.encoding.features
    shift = shift_of(features, features[:0] if new is None else new, names, aside)
    return {
        **repeats.facts,
        **shift,
        "validation_rows": None if validation is None else len(validation),
        **_scored(examples, shown, features, held, new, random),
    }


def _scored(
    examples: Examples,
    shown: Examples,
    features: np.ndarray,
    held: Examples | None,
    new: np.ndarray | None,
    random: np.random.Generator,
) -> Plain:
    """Return the facts on learners without a network.

    Args:
        examples: all the examples for training.
        shown: those that learners see, and their features.
        features: shape (rows, features), scaled.
        held: the examples for validation, or None.
        new: their features, scaled likewise.
        random: the generator of the shuffles.
    """
    numbers = examples.kind == NUMBERS
    counts = None if numbers else np.bincount(examples.targets)
    metric = suited_metric(examples.kind, counts)
    known: Plain = {**dict.fromkeys(_UNKNOWN), "metric": metric, "validation_reference_score": None}
    # With two rows, or one value, leaving a row out leaves nothing to learn from.
    if len(shown) < 3 or not np.ptp(shown.targets, axis=0).any():
        return known
    # Many targets, such as the pixels of an autoencoder, would make the references slower than the training.
    columns, balanced = _columns(shown.targets), metric == "balanced_accuracy"
    learners, targets = Learners(features, numbers), columns(shown.targets)
    scores = scores_of(learners, targets, random, balanced)
    if held is not None and new is not None:
        known["validation_reference_score"] = score_on(scores, (features, targets), (new, columns(held.targets)))
    own_unit = examples.encoding.target
    raw = shown.targets * np.array(own_unit.deviation) + np.array(own_unit.mean) if numbers else None
    flat = features if examples.inputs.ndim == 2 else features[:, :0]
    dates = [column.name for column in examples.encoding.columns if column.since]
    return {
        **known,
        **_as_plain(scores),
        "chance_score": _chance(counts, balanced),
        **copy_of(flat, targets, examples.encoding.features, balanced),
        **numbering_of(flat, targets, shown.positions, examples.encoding.features, balanced, dates),
        **({} if raw is None else logarithms_of(learners, raw)),
    }


def _chance(counts: np.ndarray | None, balanced: bool) -> float:
    """Return the score of always guessing the most common class, or the mean."""
    if counts is None:
        return 0.0  # guessing the mean explains nothing: R² = 0
    # Of the classes that occur all rows of one are right and none of the others.
    return 1 / np.count_nonzero(counts) if balanced else float(counts.max() / counts.sum())


def _as_plain(scores: Scores) -> Plain:
    """Return the scores as plain data."""
    return {
        "reference_score": scores.score,
        "reference_by": scores.by,
        "shuffled_score": float(scores.shuffled.mean()),
        "shuffled_deviation": float(scores.shuffled.std()),
    }


def _pair(examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    return examples.inputs, examples.targets


def _taken(examples: Examples, rows: np.ndarray) -> Examples:
    """Return some of the examples, by index; the same object for all of them, which may be large."""
    return examples if len(rows) == len(examples) else examples.take(rows)


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
    flat = inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))
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
    chosen = varying[evenly_spread(len(varying), _MOST_OUTPUTS)]
    return lambda array: array[:, chosen]
