"""The scores at the end of a training, class by class, and the weights of classes."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

import downslope as ds
from downslope.networks._losses import loss, measured
from downslope.networks._scores import scores_at_end
from downslope.networks.data import TWO_CLASSES, Target, class_weights

QUIET = {"progress": False, "probe_every": 0, "layers_every": 0}
LOGITS = {"name": "softmax cross-entropy", "from_logits": True}


def test_scores_of_classes_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    outputs, targets = random.normal(size=(90, 3)), random.choice(3, 90, p=[0.7, 0.2, 0.1])
    scores = scores_at_end("classes", outputs, targets, LOGITS, {"categories": ["a", "b", "c"]})
    guesses = outputs.argmax(axis=1)
    precision, recall, f1, rows = metrics.precision_recall_fscore_support(targets, guesses)
    chances = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores["precision"], precision)
    np.testing.assert_allclose(scores["recall"], recall)
    np.testing.assert_allclose(scores["f1"], f1)
    assert scores["rows"] == rows.tolist()
    assert scores["confusion"] == metrics.confusion_matrix(targets, guesses).tolist()
    areas = [metrics.roc_auc_score(targets == index, chances[:, index]) for index in range(3)]
    np.testing.assert_allclose(scores["auc"], areas)
    assert scores["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(targets, guesses))
    assert json.dumps(scores, allow_nan=False)


def test_a_class_without_rows_has_no_recall():
    scores = scores_at_end("classes", np.eye(3)[[0, 0, 1]], np.array([0, 0, 1]), LOGITS, {"categories": [1, 2, 3]})
    assert scores["recall"] == [1, 1, None]
    assert scores["precision"] == [1, 1, None]
    assert scores["auc"][2] is None
    assert scores["balanced_accuracy"] == 1
    assert 0 < scores["accuracy_error"] < 0.5  # three right rows of three prove little


def test_outputs_that_exploded_are_scored_without_a_warning():
    wild = np.array([[np.inf, 0.0], [np.nan, 1.0], [1e300, -1e300], [0.0, 1.0]])
    scores = scores_at_end("two classes", wild, np.array([0, 1, 0, 1]), LOGITS, {"categories": ["a", "b"]})
    assert scores["auc"] == [None, None]
    numbers = scores_at_end("numbers", np.full((4, 1), 1e200), np.arange(4.0)[:, None], {}, None)
    assert json.dumps([scores, numbers], allow_nan=False)


def test_errors_of_scores_are_their_scatter_over_samples():
    random = np.random.default_rng(5)
    rows, r2, accuracy = 80, [], []
    for _ in range(60):
        wanted = random.normal(size=(rows, 1))
        numbers = scores_at_end("numbers", wanted + 0.7 * random.normal(size=(rows, 1)), wanted, {}, None)
        r2.append((numbers["r2"], numbers["r2_error"]))
        label = random.integers(0, 2, rows)
        logit = np.where(random.uniform(size=rows) < 0.8, 2.0 * label - 1, 1 - 2.0 * label)[:, None]
        classes = scores_at_end(
            "two classes", logit, label, {"name": "binary cross-entropy", "from_logits": True}, None
        )
        accuracy.append((classes["accuracy"], classes["accuracy_error"]))
    for scores in (r2, accuracy):
        values, errors = np.array(scores).T
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_numbers_are_scored_in_their_own_unit_and_by_their_logarithms():
    logs = np.linspace(0, 6, 50)
    raw = np.exp(logs)
    target = {"mean": [raw.mean()], "deviation": [raw.std()]}
    encoded = ((raw - raw.mean()) / raw.std())[:, None]
    scores = scores_at_end("numbers", encoded + 0.1, encoded, {}, target)
    assert scores["mean_absolute_error"] == pytest.approx(0.1 * raw.std())
    off = np.log(raw + 0.1 * raw.std())
    assert scores["r2_of_logs"] == pytest.approx(1 - np.mean((logs - off) ** 2) / np.var(logs))
    assert scores_at_end("numbers", np.full((50, 1), np.nan), encoded, {}, target)["r2"] is None


def uneven():
    random = np.random.default_rng(4)
    X = random.normal(size=(400, 3)).astype("float32")
    return X, np.where(X[:, 0] + 0.4 * random.normal(size=400) > 1.7, "yes", "no")


def test_a_training_keeps_the_scores_of_each_class(tmp_path):
    training = ds.train(hidden=(8,), data=uneven(), steps=40, **QUIET)
    held = training.class_scores["validation"]
    assert held.classes == ("no", "yes")
    assert held.confusion.sum() == 80
    assert training.metrics["validation_balanced_accuracy"] == pytest.approx(held.balanced_accuracy)
    assert training.trace.facts["network"]["metric"] == "balanced_accuracy"
    assert "yes" in str(held)
    again = ds.load(ds.save(training.trace, tmp_path / "run"))
    assert again.facts["scores"] == training.trace.facts["scores"]
    run = ds.summary(training.trace)
    assert run.class_table["class"] == ["no", "yes"]
    assert list(run.confusion_table) == ["class", "as no", "as yes"]
    assert run.as_dict()["scores"]["validation"]["confusion"] == held.confusion.tolist()
    numbers = ds.train(hidden=(4,), data=(uneven()[0], uneven()[0][:, 0]), steps=5, **QUIET)
    assert numbers.class_scores == {}
    assert numbers.trace.facts["scores"]["validation"]["r2_error"] > 0


def test_weights_of_classes_raise_the_recall_of_a_rare_one():
    plain, balanced, named = (
        ds.train(hidden=(8,), data=uneven(), steps=150, class_weights=weights, **QUIET)
        for weights in (None, "balanced", {"yes": 10})
    )
    recall = [run.class_scores["training"].recall[1] for run in (plain, balanced, named)]
    assert recall[0] < recall[1] - 0.1
    assert recall[0] < recall[2] - 0.1
    assert balanced.trace.facts["network"]["class_weights"] == pytest.approx(
        class_weights("balanced", balanced.encoding.target, balanced.setup.task.objective.data["targets"])
    )
    assert "class_weights='balanced'" in balanced.setup.as_python()


def test_a_weighted_loss_is_the_weighted_mean_and_can_be_copied():
    outputs, targets = np.random.default_rng(0).normal(size=(7, 3)).astype("float32"), np.array([0, 1, 2, 2, 1, 0, 2])
    plain, weighted = loss("cross-entropy"), loss("cross-entropy").weighted((1.0, 2.0, 5.0))
    each = [float(plain.of_batch(outputs[k : k + 1], targets[k : k + 1])) for k in range(7)]
    wanted = np.mean(np.array([1.0, 2.0, 5.0])[targets] * each)
    assert float(weighted.of_batch(outputs, targets)) == pytest.approx(wanted, rel=1e-5)
    again = copy.deepcopy(weighted)  # by way of __reduce__, as a pickle goes
    assert float(again.of_batch(outputs, targets)) == pytest.approx(wanted, rel=1e-5)


def test_balanced_weights_are_those_of_scikit_learn():
    utilities = pytest.importorskip("sklearn.utils")
    targets = np.random.default_rng(1).choice(4, 200, p=[0.6, 0.2, 0.15, 0.05])
    target = Target(("kind",), "classes", ("a", "b", "c", "d"))
    wanted = utilities.compute_class_weight("balanced", classes=np.arange(4), y=targets)
    np.testing.assert_allclose(class_weights("balanced", target, targets), wanted)


@pytest.mark.parametrize(
    "weights, match",
    [
        ("even", "'balanced' or numbers"),
        ({"maybe": 2}, "no class 'maybe' to weigh; there are no, yes"),
        ((1, 2, 3), "2 numbers, one for each class"),
        ((1, -2), "0 or more"),
        ((0, 0), "not all 0"),
        ((1, float("nan")), "0 or more"),
        (3, "2 numbers"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights, match):
    with pytest.raises(ds.SettingError, match=match):
        class_weights(weights, Target(("answer",), TWO_CLASSES, ("no", "yes")), np.array([0, 1, 1]))


def test_numbers_and_functions_are_not_weighed():
    X, _ = uneven()
    with pytest.raises(ds.SettingError, match="the targets are numbers"):
        ds.train(data=(X, X[:, 0]), class_weights="balanced", **QUIET)
    with pytest.raises(ds.SettingError, match="this loss is a function"):
        ds.train(data=uneven(), loss=lambda o, t: ((o[:, 0] - t) ** 2).mean(), class_weights="balanced", **QUIET)
    with pytest.raises(ds.SettingError, match="class_weights does not apply to a loss function"):
        ds.train(lambda p, b: (p * b).sum(), np.ones(20), start=1.0, class_weights="balanced", **QUIET)


def test_measurements_are_balanced_on_request():
    scores = measured("classes", np.eye(3)[[0, 0, 0, 0]], np.array([0, 0, 0, 2]), from_logits=True, balanced=True)
    assert scores == {"accuracy": 0.75, "balanced_accuracy": 0.5}
