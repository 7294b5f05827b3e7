"""Traces of columns alone: what a log shows is named, and what it cannot show is not claimed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import downslope as ds
from downslope.diagnosis._course import Course, scatter
from downslope.diagnosis._training_evidence import TrainingEvidence

REFERENCE: ds.TraceFacts = {
    "data": {
        "rows": 800,
        "validation_rows": 150,
        "reference_score": 0.9,
        "validation_reference_score": 0.88,
        "chance_score": 0.25,
        "shuffled_score": 0.25,
        "shuffled_deviation": 0.02,
        "reference_by": "nearest neighbours",
        "class_counts": [200, 200, 200, 200],
    },
    "network": {"metric": "accuracy", "kind": "classes"},
}


def noise(rows: int, size: float, seed: int = 0) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=rows)


def falling(rows: int, first: float, last: float, part: float = 6, seed: int = 0) -> np.ndarray:
    """Return a loss that has come down after a part of its rows, with 3 % of noise."""
    course = last + (first - last) * np.exp(-np.arange(rows) * part / rows)
    return course * (1 + noise(rows, 0.03, seed))


def log(loss: np.ndarray, **columns) -> ds.Trace:
    """Return a trace of losses; the other columns are those of the steps, and `evaluations` and `facts`."""
    others = {name: columns.pop(name) for name in ("evaluations", "facts", "plan") if name in columns}
    return ds.trace_from({"loss": loss, **columns}, **others)


def evaluated(rows: int, every: int, **columns) -> dict[str, object]:
    return {"step": np.arange(0, rows, every), **columns}


def flat() -> ds.Trace:
    return log(0.8 + noise(300, 0.15, 3))


def resumed() -> ds.Trace:
    return ds.trace_from({"step": 5000 + np.arange(120), "loss": 2.1 + noise(120, 0.02, 4)})


def probed() -> ds.Trace:
    columns = {"training_loss": [1.4, 0.5, 0.3, None], "curvature": [None, None, None, 12.0]}
    scores = {"training_accuracy": [0.2, 0.8, 0.92, None], "validation_accuracy": [0.2, 0.8, 0.9, None]}
    return log(falling(150, 1.4, 0.3), evaluations={"step": [0, 50, 100, 149], **columns, **scores}, facts=REFERENCE)


def late_norm() -> ds.Trace:
    return log(falling(400, 3.0, 0.4), gradient_norm=np.exp(noise(400, 0.4)) * np.where(np.arange(400) < 330, 0.2, 4e3))


def spike() -> ds.Trace:
    loss, norm = 1.1 + noise(90, 0.01), 0.5 + noise(90, 0.02, 1)
    loss[60:64], norm[59:62] = [3.1, 2.6, 2.0, 1.4], [6, 14, 9]
    return log(loss, gradient_norm=norm)


def spike_without_norm() -> ds.Trace:
    loss = 4.0 + noise(260, 0.05)
    loss[200:203] = [11, 9, 6]
    return log(loss)


def by_heart() -> ds.Trace:
    held = np.r_[2.2, 1.4, 1.1, 1.2, 1.5, 1.9, 2.4, 2.9]
    return log(falling(320, 2.2, 0.02), evaluations=evaluated(320, 40, validation_loss=held))


def close_scores() -> ds.Trace:
    held = np.r_[0.6, 0.2, 0.08, 0.047, 0.05, 0.053, 0.056, 0.058]
    scores = {"training_accuracy": np.r_[0.6, 0.9, 0.96, 0.98, 0.985, 0.987, 0.988, 0.988]}
    scores["validation_accuracy"] = np.r_[0.6, 0.9, 0.96, 0.97, 0.97, 0.97, 0.97, 0.97]
    return log(falling(320, 2.2, 0.02), evaluations=evaluated(320, 40, validation_loss=held, **scores))


def falls_at_once() -> ds.Trace:
    loss = 1.2 * np.exp(-np.arange(600) / 20) + 4e-5 * np.exp(noise(600, 0.5))
    loss[220] = 0.035  # an odd batch, a thirtieth of the way down
    return log(loss)


def half() -> ds.Trace:
    loss, norm = falling(120, 4.0, 0.5), np.full(120, 2.0)
    loss[35:], norm[35:] = 0.0, np.nan
    return log(loss, gradient_norm=norm)


def linear() -> ds.Trace:
    return log(np.linspace(7, 5, 150) + noise(150, 0.02))


def at_ln(classes: int, kind: str) -> ds.Trace:
    facts: ds.TraceFacts = {"network": {"kind": kind, "metric": "accuracy"}, "data": {"class_counts": [50] * classes}}
    loss = np.log(classes) + noise(240, 0.015, classes)
    scores = evaluated(240, 30, validation_accuracy=np.full(8, 1 / classes))
    return log(loss, evaluations=scores, facts=facts)


def lost_validation() -> ds.Trace:
    columns = {"training_loss": np.linspace(3, 0.4, 12), "validation_loss": np.r_[3.0, 1.9, np.full(10, np.inf)]}
    return log(falling(240, 3, 0.4), evaluations=evaluated(240, 20, **columns))


def sparse_validation() -> ds.Trace:
    held = [2.0 if row == 0 else 0.6 if row % 4 == 0 else None for row in range(10)]
    columns = {"training_loss": np.linspace(2, 0.5, 10), "validation_loss": held}
    return log(falling(200, 2, 0.5), evaluations=evaluated(200, 20, **columns))


def rises() -> ds.Trace:
    return log(np.r_[falling(150, 5, 2), np.linspace(2, 9, 60)])


def rises_below_its_start() -> ds.Trace:
    return log(np.r_[falling(150, 3, 0.6), np.linspace(0.6, 2.6, 90)] + noise(240, 0.02))


def plunges() -> ds.Trace:
    return log(0.5 - np.exp(np.arange(200) / 25) + noise(200, 0.02))


def nan_in_the_end() -> ds.Trace:
    loss = falling(90, 2, 1)
    loss[52:] = np.nan
    return log(loss)


def nan_once() -> ds.Trace:
    loss = falling(90, 2, 1)
    loss[52] = np.nan
    return log(loss)


def nan_from_the_start() -> ds.Trace:
    return log(np.full(40, np.nan))


def healthy() -> ds.Trace:
    score = np.r_[0.25, 0.6, 0.8, np.full(7, 0.9)]
    columns = {"training_loss": 1.4 * 0.6 ** np.arange(10), "training_accuracy": score}
    columns |= {"validation_loss": 1.4 * 0.7 ** np.arange(10), "validation_accuracy": score - 0.01}
    return log(falling(400, 1.4, 0.02), evaluations=evaluated(400, 40, **columns), facts=REFERENCE)


def short_of_its_reference() -> ds.Trace:
    score = np.r_[0.25, 0.4, np.full(8, 0.55)]
    columns = {"training_loss": np.r_[1.4, 1.0, np.full(8, 0.9)]}
    columns |= {"training_accuracy": score, "validation_accuracy": score}
    return log(falling(400, 1.4, 0.9), evaluations=evaluated(400, 40, **columns), facts=REFERENCE)


SHOWN: list[tuple[Callable[[], ds.Trace], set[str], set[str]]] = [
    (flat, {"not_judged", "plateau"}, {"diverged", "healthy", "loss_spike", "too_few_steps"}),
    (resumed, {"not_judged"}, {"plateau", "diverged", "healthy"}),
    (probed, {"healthy"}, {"not_finite", "evaluation_mismatch", "diverged", "plateau"}),
    (late_norm, {"exploding_gradients"}, {"healthy", "loss_spike"}),
    (spike, {"loss_spike"}, {"diverged", "not_finite", "healthy"}),
    (spike_without_norm, {"loss_spike"}, {"diverged", "healthy"}),
    (by_heart, {"overfitting"}, {"healthy", "diverged", "not_judged"}),
    (close_scores, {"not_judged"}, {"diverged", "plateau"}),
    (falls_at_once, {"not_judged"}, {"loss_spike"}),
    (half, {"not_finite"}, {"healthy", "plateau", "not_judged"}),
    (linear, {"too_few_steps"}, {"healthy", "plateau", "diverged", "not_judged"}),
    (lambda: at_ln(3, "classes"), {"plateau"}, {"healthy", "diverged", "not_judged"}),
    (lambda: at_ln(10, "classes"), {"plateau"}, {"healthy", "diverged", "not_judged"}),
    (lost_validation, {"evaluation_mismatch"}, {"healthy", "diverged", "not_judged"}),
    (sparse_validation, {"not_judged"}, {"evaluation_mismatch", "not_finite", "healthy"}),
    (rises, {"diverged"}, {"healthy", "not_judged"}),
    (rises_below_its_start, {"diverged"}, {"healthy", "not_judged"}),
    (plunges, {"diverged"}, {"healthy", "not_judged"}),
    (nan_in_the_end, {"not_finite"}, {"healthy", "not_judged"}),
    (nan_once, {"not_finite"}, {"healthy", "not_judged"}),
    (nan_from_the_start, {"not_finite"}, {"healthy", "not_judged", "still_descending"}),
    (healthy, {"healthy"}, {"plateau", "overfitting", "too_few_steps", "loss_spike", "exploding_gradients"}),
    (short_of_its_reference, {"plateau"}, {"healthy", "not_judged"}),
]


@pytest.mark.parametrize(("make", "wanted", "unwanted"), SHOWN)
def test_a_log_is_read_for_what_it_shows(make: Callable[[], ds.Trace], wanted: set[str], unwanted: set[str]) -> None:
    seen = set(ds.diagnose(make()).symptoms)
    assert seen & wanted, seen
    assert not seen & unwanted, seen


def test_a_verdict_says_what_it_rests_on() -> None:
    well, unknown = ds.diagnose(healthy())[0], ds.diagnose(log(falling(200, 2, 0.1)))[0]
    assert "150 rows held back, where nearest neighbours score" in well.sentence
    assert well.evidence["standard_error"] == pytest.approx((0.89 * 0.11 / 150) ** 0.5, rel=0.1)
    assert "no score was measured" in unknown.sentence
    assert unknown.symptom == "not_judged"
    own = {"step": [0, 100, 199], "training_accuracy": [0.2, 0.8, 0.95]}
    none_held: ds.TraceFacts = {**REFERENCE, "data": {**REFERENCE["data"], "validation_rows": None}}
    seen = ds.diagnose(log(falling(200, 2, 0.1), evaluations=own, facts=none_held))[0]
    assert (seen.symptom, "no rows were held back" in seen.sentence) == ("not_judged", True)


def test_the_cause_before_the_first_step_is_no_long_step() -> None:
    trace = nan_from_the_start()
    assert "long" not in " ".join(ds.diagnose(trace)[0].causes)
    assert "before the first step" in ds.diagnose(trace)[0].sentence.lower()
    facts = {**trace.facts, "not_finite": {"operation": "gather", "sentence": "In a gather."}}
    labels = ds.diagnose(trace.replace(facts={**facts, "data": {"class_counts": [5, 5, 5]}}))[0]
    assert "Labels lie in 0 … 2." in labels.sentence


@pytest.mark.parametrize("size", [0.01, 0.1, 0.3])
def test_what_does_not_move_is_seldom_said_to(size: float) -> None:
    wrong = 0
    for seed in range(100):
        course = Course(np.arange(150), 1.5 + noise(150, size, seed))
        wrong += course.rose + course.relapsed + ((course.late_pace or 0) > 0.5)
    assert wrong <= 2


def test_the_scatter_is_that_of_the_noise_whatever_the_trend() -> None:
    for trend in (np.zeros(500), np.linspace(9, 1, 500), np.exp(-np.arange(500) / 100)):
        assert scatter(trend + noise(500, 0.05)) == pytest.approx(0.05, rel=0.15)


@pytest.mark.parametrize(
    ("last", "accuracy", "counts", "falls_short"),
    [
        (0.9, 0.6, [240, 400], True),  # thrown up at the start, and no better than guessing since
        (0.9, 0.9, [240, 400], None),  # a sum over rows, or another weight: most rows are right
        (0.5, 0.6, [240, 400], None),
        (0.9, 0.9, [60, 580], None),  # nine in ten are guessed
    ],
)
def test_a_loss_that_ends_above_guessing_falls_short(
    last: float, accuracy: float, counts: list[int], falls_short: bool | None
) -> None:
    loss = last + 9 * np.exp(-np.arange(240) / 12) + noise(240, 0.03)
    facts: ds.TraceFacts = {
        "network": {"kind": "two classes", "metric": "accuracy", "loss": {"name": "softmax cross-entropy"}},
        "data": {"class_counts": counts},
    }
    trace = log(loss, evaluations=evaluated(240, 30, validation_accuracy=np.full(8, accuracy)), facts=facts)
    assert TrainingEvidence(trace).falls_short is falls_short
