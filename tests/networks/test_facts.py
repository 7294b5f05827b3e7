"""Facts on examples, and the learners without a network."""

from __future__ import annotations

import json

import numpy as np
import pytest

from downslope.networks.data._examples import examples, prepare
from downslope.networks.data._facts import facts
from downslope.networks.data._references import by_neighbours, by_ridge, leaving_row_out, nearest_rows
from downslope.networks.data._samples import sample_names


def test_facts_are_plain_data():
    for name in sample_names():
        training, held = prepare(name)
        found = json.loads(json.dumps(facts(training, held), allow_nan=False))
        assert found["rows"] == len(training)
        assert found["constant_features"] == (3 if name == "digits" else 0)
        assert found["reference_score"] > found["shuffled_score"] + 5 * found["shuffled_deviation"]
        assert abs(found["validation_reference_score"] - found["reference_score"]) < 0.15


def test_facts_of_noise_are_those_of_shuffled_targets():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 5))
    for y in (random.integers(0, 4, 300), random.normal(size=300)):
        found = facts(examples((X, y)))
        assert abs(found["reference_score"] - found["shuffled_score"]) < 4 * found["shuffled_deviation"] + 0.02
    assert facts(examples((X, X @ np.arange(5.0))))["reference_by"] == "ridge"
    bent = facts(examples((X, np.sign(X[:, 0] * X[:, 1]) + X[:, 2] / 9)))
    assert bent["reference_by"] == "nearest neighbours"


def test_facts_tell_inputs_as_the_network_sees_them():
    X = np.stack([np.full(50, 7.0), np.linspace(1000, 2000, 50), np.linspace(-1e-3, 1e-3, 50)], axis=1)
    found = facts(examples((X, np.arange(50) % 2), standardise=False))
    assert found["features"] == 3
    assert found["largest_feature_mean"] == pytest.approx(1500)
    assert found["input_high"] == 2000
    assert found["constant_features"] == 1
    assert found["smallest_feature_deviation"] == pytest.approx(X[:, 2].std(), rel=1e-5)
    assert found["class_counts"] == [25, 25]
    assert found["target_mean"] is None


@pytest.mark.parametrize("y", [["one"] * 6, [2.5] * 6])
def test_facts_of_targets_that_are_all_the_same(y):
    found = facts(examples((np.arange(6), y)))
    assert found["reference_score"] is None
    assert found["rows"] == 6


def test_leaving_a_row_out_is_fitting_without_it():
    random = np.random.default_rng(0)
    for rows, features in ((12, 3), (8, 20)):
        X, y = random.normal(size=(rows, features)), random.normal(size=(rows, 1))
        centred = X - X.mean(axis=0)
        penalty = np.trace(centred @ centred.T) / min(rows - 1, features)
        guesses = leaving_row_out(X)(y)[4]  # the penalty that is the mean eigenvalue
        for row in range(rows):
            kept = np.arange(rows) != row
            middle, level = X[kept].mean(axis=0), y[kept].mean()
            A = X[kept] - middle
            weights = np.linalg.solve(A.T @ A + penalty * np.eye(features), A.T @ (y[kept] - level))
            assert guesses[row, 0] == pytest.approx(((X[row] - middle) @ weights)[0] + level, abs=1e-9)
        A = centred
        weights = np.linalg.solve(A.T @ A + penalty * np.eye(features), A.T @ (y - y.mean()))
        np.testing.assert_allclose(by_ridge(X, y, X)[4], A @ weights + y.mean(), atol=1e-9)


def test_neighbours_are_those_of_every_distance():
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 3)).astype(np.float32)
    near = nearest_rows(X, X, itself=True)
    far = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(far, np.inf)
    np.testing.assert_array_equal(near, np.argsort(far, axis=1)[:, :15])
    labels = random.integers(0, 3, 40)
    for count, guess in zip((1, 3, 5, 15), by_neighbours(near, labels), strict=True):
        for row in range(40):
            votes = np.bincount(labels[near[row, :count]])
            assert votes[guess[row]] == votes.max()


def test_the_reference_of_uneven_classes_does_not_ignore_the_rare_one():
    random = np.random.default_rng(4)
    X = random.normal(size=(1500, 5)).astype(np.float32)
    rare = (X[:, 0] + 0.3 * random.normal(size=1500) > 2).astype(int)
    known = facts(*prepare((X, rare), validation=0.25))
    assert known["metric"] == "balanced_accuracy"
    # The most frequent class among the neighbours would hardly ever be the rare one: 0.57.
    assert known["reference_score"] > 0.8
    assert known["validation_reference_score"] > 0.7
    assert known["shuffled_score"] < 0.6
    near = nearest_rows(X, X, itself=True)
    guesses = by_neighbours(near, rare, balanced=True)
    assert len(guesses) == 8
    share = rare[near].mean(axis=1) > rare.mean()  # of 15: more than among all rows
    np.testing.assert_array_equal(guesses[-1], share)
