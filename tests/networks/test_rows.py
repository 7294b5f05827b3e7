"""Facts on rows: repeats, columns that number them, rows held back from elsewhere, order, orders of magnitude."""

from __future__ import annotations

import numpy as np
import pytest

from downslope.networks.data import order_of
from downslope.networks.data._examples import examples, examples_like, prepare
from downslope.networks.data._facts import facts
from downslope.networks.data._references import area_under_curve, balanced_accuracy
from downslope.networks.data._samples import sample_names

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(200, 5))
NUMBERS = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.3 * RANDOM.normal(size=200)
CLASSES = (X[:, 0] + 0.4 * RANDOM.normal(size=200) > 0).astype(int)


@pytest.mark.parametrize("targets", [NUMBERS, CLASSES])
@pytest.mark.parametrize("times", [2, 3, 7])
def test_repeated_rows_make_the_reference_no_better(targets, times):
    single, repeated = (facts(examples((np.tile(X, (n, 1)), np.tile(targets, n)))) for n in (1, times))
    assert repeated["repeated_rows"] == (times - 1) * 200
    assert repeated["reference_score"] == pytest.approx(single["reference_score"], abs=0.02)


def test_a_class_drawn_several_times_makes_the_reference_no_better():
    rare = np.flatnonzero(X[:, 0] > 1)
    rows = np.concatenate([np.arange(200), np.repeat(rare, 9)])
    over = facts(examples((X[rows], CLASSES[rows])))
    assert over["repeated_rows"] == 9 * len(rare)
    assert over["reference_score"] < 0.9


def test_rows_of_few_values_repeat_by_nature():
    table = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])[RANDOM.integers(0, 4, 200)]
    truth, grid = facts(*prepare((table[:, :2], table[:, 2]))), RANDOM.integers(0, 4, (300, 3))
    assert truth["reference_score"] > 0.99  # the other copies of a row are what a table of truth tells
    assert truth["share_on_both_sides"] == 1
    assert truth["repeats_by_chance"] > 0.5
    three = facts(*prepare((grid, grid.sum(axis=1) % 2), validation=0.25))
    assert three["repeats_by_chance"] > 0.5


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_rows_on_both_sides_are_counted(dtype):
    rows = (1000 * RANDOM.normal(size=(120, 4))).astype(dtype)
    training = examples((rows[:80], rows[:80, 0]), task="numbers")
    held = examples_like(training, (rows[70:], rows[70:, 0]))
    both = facts(training, held)
    assert both["rows_on_both_sides"] == 10
    assert both["repeated_rows"] == 0
    assert both["repeats_by_chance"] < 0.02


def test_samples_hold_nothing_odd():
    for name in sample_names():
        known = facts(*prepare(name))
        assert (known["share_on_both_sides"] or 0) <= max(0.01, 3 * known["repeats_by_chance"]), name
        assert known["row_number"] is None, name
        assert known["shift_auc"] < 0.7, name
        assert known["metric"] in ("accuracy", "r2"), name


def number_columns():
    """Return columns that number 200 rows sorted by their classes, as they are and changed by a person."""
    order = np.arange(200.0)
    return [
        order,
        -order,
        order / 200,
        (order - order.mean()) / order.std(),
        7000 + 2 * order,
        np.sort(RANDOM.permutation(1500)[:200]),
        np.cumsum(RANDOM.uniform(0.1, 2, 200)),
    ]


@pytest.mark.parametrize("kind", range(7))
def test_a_number_of_sorted_rows_is_known(kind):
    order = np.argsort(CLASSES, kind="stable")
    rows = np.column_stack([X[order], number_columns()[kind]])
    known = facts(*prepare((rows, CLASSES[order])))
    assert known["row_number"] == "6"
    assert known["row_number_score"] > 0.97
    assert known["score_without"] < 0.9


def test_identities_of_shuffled_rows_are_known():
    order = np.argsort(NUMBERS)
    number = np.empty(200)
    number[order] = np.arange(200)
    known = facts(examples((np.column_stack([X, number]), NUMBERS)))
    assert known["row_number"] == "6"
    assert known["row_number_score"] > 0.95


def test_measurements_number_no_rows():
    whole = RANDOM.integers(0, 5000, 200)
    sorted_rows = np.sort(X[:, 0])
    for column in (X[:, 0], whole, sorted_rows, np.round(X[:, 1], 2)):
        assert facts(examples((np.column_stack([X[:, 1:], column]), NUMBERS)))["row_number"] is None
    assert facts(examples((np.arange(200.0)[:, None], 2.0 * np.arange(200))))["row_number"] is None


@pytest.mark.parametrize("column", [0, 3])
def test_the_end_of_a_sorted_table_comes_from_elsewhere(column):
    rows = X[np.argsort(X[:, column])]
    training = examples((rows[:160], rows[:160, 1]), task="numbers")
    moved = facts(training, examples_like(training, (rows[160:], rows[160:, 1])))
    assert moved["shift_column"] == str(column + 1)
    assert moved["shift_column_auc"] == 1
    assert facts(*prepare((X, NUMBERS)))["shift_auc"] < 0.65


def test_a_cloud_apart_is_told_by_its_neighbours_alone():
    angle = RANDOM.uniform(0, 2 * np.pi, 300)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.repeat([1.0, 0.3], [220, 80])[:, None]
    training = examples((ring[:220], angle[:220]))
    moved = facts(training, examples_like(training, (ring[220:], angle[220:])))
    assert moved["shift_auc"] > 0.95
    assert moved["shift_column_auc"] < 0.7


def test_the_order_of_batches_is_their_variance_beside_that_of_shuffled_ones():
    random = np.random.default_rng(0)
    labels, numbers = np.sort(random.integers(0, 5, 640)), np.cumsum(random.normal(size=640))[:, None]
    for targets, least in ((labels, 0.85), (numbers, 0.8)):
        share = order_of(targets, 32, random)
        assert share["between_batches"] > least
        # By chance, of W batches of n rows in all, (W − 1) / (n − 1) of the variance.
        assert share["between_batches_shuffled"] == pytest.approx(19 / 639, rel=0.3)
        shuffled = order_of(random.permutation(targets), 32, random)
        away = shuffled["between_batches"] - shuffled["between_batches_shuffled"]
        assert abs(away) < 4 * shuffled["between_batches_deviation"]
    single = order_of(labels, 1, random)
    assert single["between_batches"] > 0.85
    assert order_of(np.tile(np.arange(5), 128), 32, random)["between_batches"] < 0.03
    assert order_of(labels[:64], 32, random)["between_batches"] is None


def test_logarithms_are_tried_on_positive_numbers_of_several_sizes():
    effect = 2 * X[:, 0] + X[:, 1]
    for unit in (1.0, 1e-4, 1e6):
        known = facts(examples((X, unit * np.exp(effect))))
        assert known["log_reference_score"] > known["reference_score"] + 0.2
        assert known["log_reference_of_logs"] > 0.95
    for other in (effect, 1000 + effect, np.exp(0.2 * effect)):
        assert facts(examples((X, other)))["log_reference_score"] is None


def test_balanced_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(2)
    for classes in (2, 4):
        wanted, guess = random.integers(0, classes, (2, 60))
        assert balanced_accuracy(guess, wanted) == pytest.approx(metrics.balanced_accuracy_score(wanted, guess))
    ranking = np.round(random.normal(size=60), 1)  # with ties
    positive = random.uniform(size=60) < 0.3
    assert area_under_curve(ranking, positive) == pytest.approx(metrics.roc_auc_score(positive, ranking))


def test_uneven_classes_are_scored_by_class():
    positive = X[:, 0] > 1.6
    known = facts(examples((X, positive.astype(int))))
    assert known["metric"] == "balanced_accuracy"
    assert known["chance_score"] == 0.5
    assert 0.45 < known["shuffled_score"] < 0.65
    assert known["reference_score"] > known["shuffled_score"]
    assert facts(examples((X, CLASSES)))["metric"] == "accuracy"


def test_a_trend_in_time_is_no_leak():
    days = np.arange("2021-01-01", "2021-07-20", dtype="datetime64[D]").astype(str)[:200]
    trend = np.arange(200) / 20 + 0.3 * RANDOM.normal(size=200)
    assert facts(examples((np.column_stack([X, np.arange(200)]), trend)))["row_number"] is None
    table = {"when": days, "other": X[:, 0], "up": np.arange(200) > 99}
    assert facts(examples(table, "up"))["row_number"] is None


def test_a_table_of_truth_holds_every_combination():
    table = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    assert facts(examples((table[:, :2], table[:, 2])))["every_combination"]
    assert not facts(examples((table[:3, :2], table[:3, 2])))["every_combination"]
    assert not facts(examples((RANDOM.normal(size=(40, 2)), table[RANDOM.integers(0, 4, 40), 2])))["every_combination"]
    # Two rows of one column may be any numbers.
    assert not facts(examples((np.array([[0.0], [1.0], [0.0]]), np.array([0, 1, 0]))))["every_combination"]


@pytest.mark.parametrize("of_classes", [True, False])
def test_a_column_that_holds_the_targets_again_is_known(of_classes):
    targets = CLASSES if of_classes else NUMBERS
    again = 3.0 - 0.2 * targets + 1e-3 * RANDOM.normal(size=200)
    known = facts(examples((np.column_stack([X[:, :2], again, X[:, 2:]]), targets)))
    assert known["copy_column"] == "3"
    assert known["copy_explained"] > 0.999
    assert known["score_without_copy"] == pytest.approx(facts(examples((X, targets)))["reference_score"], abs=1e-6)


def test_what_the_target_follows_from_is_no_copy_of_it():
    above = (X[:, 0] > 0).astype(int)
    loud = 2 * X[:, 0] + 0.1 * RANDOM.normal(size=200)
    alone = examples((X[:, :1], 2 * X[:, 0]))
    for data in (examples((X, above)), examples((X, X[:, 0] ** 3)), examples((X, loud)), alone):
        assert facts(data)["copy_column"] is None
    for name in sample_names():
        known = facts(*prepare(name))
        assert known["copy_column"] is None, name


def test_small_targets_that_scaling_rounds_away_still_have_logarithms():
    targets = 10 ** (1.3 * X[:, 0])
    targets[5] = 1e-7
    known = facts(examples((X.astype("float32"), targets.astype("float32"))))
    assert known["target_ratio"] == pytest.approx(np.divide(*np.quantile(targets, [0.95, 0.05])), rel=0.05)
    assert facts(examples((X, np.where(X[:, 1] > 1.5, 0, targets))))["target_ratio"] is None
    assert facts(examples((X, targets - 1e-3 * targets.max())))["target_ratio"] is None
