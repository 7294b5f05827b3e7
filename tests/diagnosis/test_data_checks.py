"""Faults of the data are named from facts; each fact may be missing, and twins raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds

# Facts of a healthy training on two even classes.
DATA = {
    "rows": 800,
    "validation_rows": 200,
    "features": 6,
    "outputs": 1,
    "target_kind": "two classes",
    "metric": "accuracy",
    "class_counts": [400, 400],
    "target_low": None,
    "target_high": None,
    "reference_score": 0.9,
    "validation_reference_score": 0.9,
    "reference_by": "nearest neighbours",
    "chance_score": 0.5,
    "shuffled_score": 0.52,
    "shuffled_deviation": 0.02,
    "rows_compared": 800,
    "repeated_rows": 0,
    "rows_on_both_sides": 0,
    "share_on_both_sides": 0.0,
    "repeats_by_chance": 0.0,
    "every_combination": False,
    **dict.fromkeys(("row_number", "row_number_score", "score_without")),
    **dict.fromkeys(("copy_column", "copy_explained", "score_without_copy")),
    "shift_auc": 0.5,
    "shift_error": 0.02,
    "shift_column": "2",
    "shift_column_auc": 0.53,
    **dict.fromkeys(("target_ratio", "log_reference_score", "log_reference_of_logs")),
    **dict.fromkeys(("between_batches", "between_batches_shuffled", "between_batches_deviation")),
}
NETWORK = {"metric": "accuracy", "kind": "two classes", "parameters": 200}
SCORES = {
    "rows": [100, 100],
    "precision": [0.9, 0.9],
    "recall": [0.9, 0.9],
    "f1": [0.9, 0.9],
    "auc": [0.95, 0.95],
    "confusion": [[90, 10], [10, 90]],
    "accuracy": 0.9,
    "accuracy_error": 0.02,
    "balanced_accuracy": 0.9,
    "balanced_accuracy_error": 0.02,
}


def diagnosed(
    score: float = 0.9, data=(), network=(), scores=(), own: float | None = None, has_ended: bool = True
) -> ds.Diagnosis:
    """Return the diagnosis of a training that ends at a score, with other facts than those of a healthy one."""
    facts = {
        "data": {**DATA, **dict(data)},
        "network": {**NETWORK, **dict(network)},
        "scores": {
            "validation": None if scores is None else {**SCORES, **dict(scores)},
            "training": {**SCORES, **dict(scores or ())},
        },
    }
    if not has_ended:
        del facts["scores"]
    metric = facts["network"]["metric"]
    steps = np.arange(0, 200, 20)
    rising = np.linspace(0.0, 1.0, 10) ** 0.3
    metrics = {"step": steps, "training_loss": 0.7 - 0.5 * rising, "validation_loss": 0.7 - 0.45 * rising}
    metrics[f"training_{metric}"] = 0.5 + ((score if own is None else own) - 0.5) * rising
    if facts["data"].get("validation_rows", 200):
        metrics[f"validation_{metric}"] = 0.5 + (score - 0.5) * rising
    value = 0.2 + 0.5 * np.exp(-np.arange(200) / 30) + 0.01 * np.random.default_rng(0).normal(size=200)
    trace = ds.Trace(
        outcome=ds.Outcome.STEPS_USED,
        recorded={"step": np.arange(200), "value": value, "gradient_norm": np.ones(200)},
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=(),
        part_columns={},
        start={},
        end={},
        spectra=(),
        metrics=metrics,
        facts=facts,
        plan={
            "read_as": "a log",
            "method": "adam",
            "settings": {},
            "learning_rate": 1e-3,
            "schedule": "constant",
            "steps": 200,
            "batches": {"size": 32},
        },
    )
    return ds.diagnose(trace)


def test_a_healthy_training_has_no_fault_of_its_data():
    diagnosis = diagnosed()
    assert diagnosis.ok, str(diagnosis)
    assert diagnosis.symptoms[0] == "healthy"


RARE = {"class_counts": [980, 20], "metric": "balanced_accuracy", "chance_score": 0.5, "shuffled_score": 0.5}
TRUTH = {"every_combination": True, "repeats_by_chance": 1.0}
BALANCED = {"metric": "balanced_accuracy"}
NEVER = {"recall": [1.0, 0.0], "accuracy": 0.98, "accuracy_error": 0.01, "balanced_accuracy": 0.5}
NUMBERS = {
    "class_counts": None,
    "target_kind": "numbers",
    "metric": "r2",
    "chance_score": 0.0,
    "shuffled_score": -0.1,
    "target_low": -2.0,
    "target_high": 2.0,
}
R2 = {"metric": "r2", "kind": "numbers"}
FORTY = {"rows": 40, "reference_score": 0.7, "validation_reference_score": 0.7}
OF_NUMBERS = {"r2": 0.9, "r2_error": 0.02, "recall": None}


@pytest.mark.parametrize(
    "symptom, case",
    [
        (
            "imbalanced_classes",
            {"score": 0.5, "data": {**RARE, "reference_score": 0.75}, "network": BALANCED, "scores": NEVER},
        ),
        # The others are even no better than the reference on shuffled targets: too few positive rows to tell.
        (
            "imbalanced_classes",
            {
                "score": 0.5,
                "data": {
                    **RARE,
                    "reference_score": 0.62,
                    "validation_reference_score": 0.9,
                    "shuffled_deviation": 0.05,
                },
                "network": BALANCED,
                "scores": NEVER,
            },
        ),
        ("label_problem", {"score": 0.5, "data": {"class_counts": [800, 0], "reference_score": None}}),
        ("label_problem", {"score": 0.5, "data": {**NUMBERS, "target_low": 1.0, "target_high": 1.0}, "network": R2}),
        ("label_problem", {"score": 0.5, "data": {"reference_score": 0.52, "validation_reference_score": 0.5}}),
        ("data_leak", {"data": {"row_number": "id", "row_number_score": 0.89, "score_without": 0.7}}),
        ("data_leak", {"data": {"copy_column": "paid", "copy_explained": 0.99, "score_without_copy": 0.7}}),
        ("data_leak", {"data": {"rows_on_both_sides": 60, "share_on_both_sides": 0.3}}),
        ("data_order", {"score": 0.7, "data": {"between_batches": 0.9, "between_batches_shuffled": 0.03}}),
        ("shifted_validation", {"score": 0.6, "data": {"shift_column_auc": 0.98}}),
        ("shifted_validation", {"score": 0.6, "data": {"shift_auc": 0.8}}),
        ("too_few_rows", {"data": {"validation_rows": 4}, "scores": {"accuracy_error": 0.17}}),
        ("too_few_rows", {"data": {"validation_rows": 12}, "scores": {"accuracy_error": 0.12}}),
        ("too_few_rows", {"score": 1.0, "data": {"validation_rows": None, "rows": 8}, "scores": None}),
        (
            "too_few_rows",
            {"score": 0.75, "own": 1.0, "data": FORTY, "scores": {"accuracy": 0.75, "accuracy_error": 0.03}},
        ),
        (
            "skewed_targets",
            {
                "score": 0.39,
                "data": {
                    **NUMBERS,
                    "reference_score": 0.36,
                    "validation_reference_score": 0.36,
                    "target_ratio": 900.0,
                    "log_reference_score": 0.9,
                    "log_reference_of_logs": 0.95,
                },
                "network": R2,
                "scores": {**OF_NUMBERS, "r2": 0.39, "r2_of_logs": -0.5},
            },
        ),
    ],
)
def test_faults_of_the_data_come_first(symptom, case):
    diagnosis = diagnosed(**case)
    assert diagnosis.symptoms[0] == symptom, str(diagnosis)
    assert not diagnosis.ok


@pytest.mark.parametrize(
    "case",
    [
        # uneven classes that are recognised, and uneven classes by chance alone
        {
            "score": 0.88,
            "data": {**RARE, "reference_score": 0.85, "validation_reference_score": 0.85},
            "network": BALANCED,
            "scores": {"recall": [0.99, 0.77], "balanced_accuracy": 0.88},
        },
        # a number of the rows that tells no more than the others do, or hardly anything
        {"data": {"row_number": "time", "row_number_score": 0.89, "score_without": 0.9}},
        {"data": {"row_number": "time", "row_number_score": 0.6, "score_without": 0.7}},
        # a column that holds the targets again where the others say as much, and a network that does not use it
        {"data": {"copy_column": "paid", "copy_explained": 0.99, "score_without_copy": 0.88}},
        # one that the target may follow from, since the others tell nothing
        {"data": {"copy_column": "paid", "copy_explained": 0.99, "score_without_copy": 0.52}},
        # few rows that are learnt, as those held back are
        {"score": 0.95, "own": 1.0, "data": FORTY, "scores": {"accuracy": 0.95, "accuracy_error": 0.02}},
        # data of few values, whose rows repeat by nature
        {"data": {"rows_on_both_sides": 200, "share_on_both_sides": 1.0, "repeats_by_chance": 1.0}},
        # an order that is that of chance, and one that does no harm
        {"data": {"between_batches": 0.05, "between_batches_shuffled": 0.03, "between_batches_deviation": 0.01}},
        {"data": {"between_batches": 0.3, "between_batches_shuffled": 0.03, "between_batches_deviation": 0.01}},
        # a split by time that the network bears
        {"data": {"shift_column_auc": 1.0}},
        # a score three errors from guessing
        {
            "score": 0.68,
            "data": {"validation_rows": 36, "reference_score": 0.7, "validation_reference_score": 0.7},
            "scores": {"accuracy": 0.68, "accuracy_error": 0.07},
        },
        # 200 rows are enough, however far off the network is
        {
            "score": 0.92,
            "data": {**NUMBERS, "reference_score": 0.9},
            "network": R2,
            "scores": {**OF_NUMBERS, "r2": -1e9, "r2_error": 1e8},
        },
        # a table of truth, which has no other rows: all of them learnt, and held back as well
        {"data": {**TRUTH, "validation_rows": 0, "rows": 4}, "scores": None},
        {
            "data": {
                "validation_rows": 4,
                "every_combination": True,
                "share_on_both_sides": 1.0,
                "repeats_by_chance": 1.0,
            }
        },
        # targets over orders of magnitude that are learnt
        {
            "data": {**NUMBERS, "target_ratio": 900.0, "log_reference_score": 0.93, "log_reference_of_logs": 0.8},
            "network": R2,
            "scores": {**OF_NUMBERS, "r2_of_logs": 0.2},
        },
    ],
)
def test_what_only_looks_like_a_fault_is_no_problem(case):
    diagnosis = diagnosed(**case)
    assert diagnosis.ok, str(diagnosis)


def test_uneven_classes_are_never_called_unrelated_to_the_inputs():
    diagnosis = diagnosed(
        score=0.5,
        data={**RARE, "reference_score": 0.5, "validation_reference_score": 0.5},
        network=BALANCED,
        scores=NEVER,
    )
    assert "label_problem" not in diagnosis
    assert "nothing to do with the inputs" not in str(diagnosis)


def test_few_rows_are_never_called_unrelated_to_the_inputs():
    few = {"rows": 8, "reference_score": 0.4, "validation_reference_score": None, "shuffled_deviation": 0.18}
    assert "label_problem" not in diagnosed(score=0.5, data=few)


@pytest.mark.parametrize(
    "fact, symptoms",
    [
        ("class_counts", {"imbalanced_classes", "label_problem"}),
        ("row_number", {"data_leak"}),
        ("rows_on_both_sides", {"data_leak"}),
        ("between_batches", {"data_order"}),
        ("shift_auc", {"shifted_validation"}),
        ("log_reference_score", {"skewed_targets"}),
        ("validation_rows", {"too_few_rows"}),
        ("every_combination", {"too_few_rows"}),
    ],
)
def test_a_missing_fact_is_named(fact, symptoms, monkeypatch):
    monkeypatch.delitem(DATA, fact)
    skipped = {skip.symptom: skip.reason for skip in diagnosed().not_run}
    for symptom in symptoms:
        assert fact in skipped[symptom]


def test_scores_that_come_at_the_end_are_lacking_only_where_they_matter():
    """A run that goes on has none yet; even classes and many rows need none."""
    even = diagnosed(has_ended=False)
    assert "healthy" in even, str(even)
    for data, network, symptom in (
        (RARE, BALANCED, "imbalanced_classes"),
        ({"validation_rows": 12}, {}, "too_few_rows"),
        (
            {**NUMBERS, "target_ratio": 900.0, "log_reference_score": 0.99, "reference_score": 0.5},
            R2,
            "skewed_targets",
        ),
    ):
        left_out = {
            skip.symptom: skip.reason for skip in diagnosed(data=data, network=network, has_ended=False).not_run
        }
        assert left_out[symptom] == "the trace has no scores.validation"


def test_a_missing_recall_is_named():
    diagnosis = diagnosed(data=RARE, network=BALANCED, scores={"recall": None})
    assert any(skip.symptom == "imbalanced_classes" for skip in diagnosis.not_run) or "imbalanced_classes" in diagnosis


def test_a_leak_makes_no_network_fall_short():
    leak = {"rows_on_both_sides": 60, "share_on_both_sides": 0.3}
    short = diagnosed(score=0.5, data=leak)
    assert [finding.severity for finding in short if finding.symptom == "data_leak"] == [ds.Severity.NOTE]
    # Nor does it where the score is that of guessing, and nothing is known to compare it with.
    unknown = {**leak, "reference_score": None, "validation_reference_score": None}
    assert [finding.severity for finding in diagnosed(score=0.5, data=unknown)] == [ds.Severity.GOOD, ds.Severity.NOTE]


def test_few_rows_are_no_cause_where_they_are_not_learnt():
    few = {"validation_rows": 12}
    finding = next(finding for finding in diagnosed(score=0.5, own=0.6, data=few, scores={"accuracy_error": 0.14}))
    assert finding.symptom != "too_few_rows"


@pytest.mark.parametrize(("shuffled", "falls_short"), [(0.27, True), (0.36, False), (None, False)])
def test_a_loss_that_never_moved_falls_short_only_on_targets_that_can_be_learnt(shuffled, falls_short):
    """0.29 beside 0.38 over 200 rows is within chance; whether it learnt nothing depends on what there is to learn."""
    noise = np.random.default_rng(0).normal(scale=0.002, size=125)
    trace = ds.trace_from(
        {"loss": np.log(4) + noise, "learning_rate": np.full(125, 1e-2)},
        evaluations={"step": [25, 75, 125], "validation_accuracy": [0.29, 0.28, 0.29]},
        facts={
            "data": {
                **dict.fromkeys(DATA),
                **{"rows": 300, "validation_rows": 200, "class_counts": [91, 108, 96, 121], "metric": "accuracy"},
                **{"target_kind": "classes", "reference_score": 0.38, "chance_score": 0.29},
                **{"shuffled_score": shuffled, "shuffled_deviation": None if shuffled is None else 0.02},
            },
            "network": {"metric": "accuracy", "kind": "classes"},
        },
    )
    assert ("plateau" in ds.diagnose(trace).symptoms) is falls_short


def test_a_copied_target_is_named_by_its_column_and_by_what_is_left_without_it():
    copied = {"copy_column": "paid", "copy_explained": 0.99, "score_without_copy": 0.7}
    (finding,) = [finding for finding in diagnosed(data=copied) if finding.symptom == "data_leak"]
    assert "Column paid holds the targets again" in finding.sentence
    assert "Without it a simple learner scores 0.7" in finding.sentence
    for name in copied:
        fewer = diagnosed(data={key: entry for key, entry in copied.items() if key != name})
        assert "data_leak" in {skip.symptom for skip in fewer.not_run}


def test_targets_far_out_are_said_where_the_others_seem_unrelated():
    far = {**NUMBERS, "target_mean": 0.0, "target_deviation": 1.0, "target_high": 7.0}
    unrelated = {"reference_score": 0.0, "validation_reference_score": 0.0, "shuffled_score": 0.0}
    diagnosis = diagnosed(score=0.0, data={**far, **unrelated}, network=R2, scores={**OF_NUMBERS, "r2": 0.0})
    assert diagnosis.symptoms[0] == "label_problem"
    assert "7 deviations from their mean" in diagnosis[0].sentence
    assert "Huber" in diagnosis[0].remedies[1]


def test_one_row_of_a_long_tail_is_neither_a_long_step_nor_a_spike():
    """A target 25 deviations out adds 625 / 32 to the loss of its batch, whatever the steps are."""

    def seen(high, at, batch=32, **facts):
        loss = 0.3 + np.exp(-np.arange(300) / 40)
        loss[at] = 18.0
        data = {**DATA, **NUMBERS, "target_mean": 0.0, "target_deviation": 1.0, "target_high": high, **facts}
        scores = {"validation_r2": [0.0, 0.2, 0.2, 0.2], "training_r2": [0.0, 0.2, 0.2, 0.2]}
        trace = ds.trace_from(
            {"loss": loss},
            evaluations={"step": [0, 100, 200, 299], **scores},
            facts={"data": data, "network": R2},
            plan={"method": "adam", "batches": {"size": batch}} if batch else {"method": "adam"},
        )
        diagnosis = ds.diagnose(trace)
        return set(diagnosis.symptoms), {skip.symptom for skip in diagnosis.not_run}

    for at, symptom in ((20, "rate_too_large"), (200, "loss_spike")):
        assert symptom not in seen(25.0, at)[0]
        assert symptom in seen(4.0, at)[0]
        for lacking in ({"target_high": None}, {"batch": None}):
            found, left_out = seen(**{"high": 25.0, "at": at, **lacking})
            assert symptom not in found
            assert symptom in left_out


def test_inputs_that_do_not_vary_are_said_to_be_the_cause():
    unrelated = {"reference_score": 0.5, "validation_reference_score": 0.5, "shuffled_score": 0.5}
    diagnosis = diagnosed(score=0.5, data={**unrelated, "constant_features": 6})
    assert diagnosis.symptoms[0] == "label_problem"
    assert "No input varies" in diagnosis[0].sentence
