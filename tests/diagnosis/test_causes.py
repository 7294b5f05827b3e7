"""Causes that lie in the loss, the output or the program, from the facts on them alone."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds

STEPS = np.arange(300)
LOSS = 0.4 + 2 * np.exp(-STEPS / 20)
# A classifier that falls short of what the data allow, and one that does not.
SHORT = {"validation_accuracy": [0.1, 0.3, 0.3, 0.3, 0.3], "training_accuracy": [0.1, 0.3, 0.3, 0.3, 0.3]}
WELL = {"validation_accuracy": [0.1, 0.9, 0.95, 0.95, 0.95], "training_accuracy": [0.1, 0.9, 0.95, 0.95, 0.95]}
DATA = {
    "rows": 1000, "validation_rows": 300, "outputs": 10, "class_counts": [100] * 10, "chance_score": 0.1,
    "reference_score": 0.95, "validation_reference_score": 0.95, "reference_by": "nearest neighbours",
    "shuffled_score": 0.1, "shuffled_deviation": 0.02,
}  # fmt: skip
NUMBERS = {**DATA, "class_counts": None, "target_low": -2.0, "target_high": 3.0, "outputs": 1, "chance_score": 0.0}
LINEAR = {"output": "linear", "output_bounds": [None, None], "outputs": 10}
NETWORK = {"kind": "classes", "metric": "accuracy", "loss": {"name": "custom", "from_logits": None}, **LINEAR}
RIGHT = {"unpaired": 0.4, "not_additive": 0.0, "joint": 0.3, "descent": -0.2, "takes": "logits", "label_gain": 0.9}


def diagnosed(network=(), loss=(), data=(), scores=SHORT, parts=None, losses=None, **steps):
    facts = {"data": {**DATA, **dict(data)}, "network": {**NETWORK, **dict(network)}, "loss": {**RIGHT, **dict(loss)}}
    evaluations = {"step": [0, 75, 150, 225, 299], **scores, **({} if losses is None else {"training_loss": losses})}
    return ds.diagnose(
        ds.trace_from(
            {"step": STEPS, "loss": LOSS, **steps},
            evaluations=evaluations,
            facts=facts,
            parts=parts,
            plan={"method": "adam", "learning_rate": 1e-3, "settings": {}, "batches": {"size": 32}},
        )
    )


def problems(diagnosis):
    return [finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM]


def lacking(diagnosis):
    return {skipped.symptom: skipped.reason for skipped in diagnosis.not_run}


def test_a_right_loss_and_a_right_output_are_no_cause():
    assert problems(diagnosed()) == ["plateau"]
    assert diagnosed(scores=WELL).ok


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ({"unpaired": 1e-5}, "whichever row"),
        ({"unpaired": 1e-5, "joint": 1e-6}, "whatever the targets are"),
        ({"descent": 0.2}, "its sign is wrong"),
        ({"label_gain": 0.02}, "right labels from wrong ones"),
        ({"squeezed": 1.0}, "its own softmax"),
        ({"unbounded": True}, "no lower bound"),
        ({"not_additive": 0.4}, "rows are mixed"),
        ({"form": "squares", "takes": "numbers"}, "squared error"),
    ],
)
def test_faults_of_a_loss_come_first(loss, words):
    diagnosis = diagnosed(loss=loss)
    assert problems(diagnosis)[0] == "wrong_loss"
    assert words in diagnosis[0].sentence


@pytest.mark.parametrize("loss", [{"unpaired": 1e-5}, {"descent": 0.2}, {"unbounded": True}])
def test_a_loss_that_is_wrong_in_any_network_needs_no_reference(loss):
    unknown = {"reference_score": None, "validation_reference_score": None}
    assert problems(diagnosed(loss=loss, data=unknown))[0] == "wrong_loss"
    assert "wrong_loss" not in diagnosed(loss={"not_additive": 0.4}, data=unknown)[:1]


def test_what_compares_two_sets_needs_no_pairs_and_bounded_outputs_no_bounded_loss():
    assert "wrong_loss" not in diagnosed(loss={"unpaired": 1e-5, "not_additive": 0.3}, scores=WELL).symptoms[:1]
    away = {"unpaired": 1e-5, "not_additive": 0.3, "descent": 0.2}
    assert "wrong_loss" not in diagnosed(loss=away, scores=WELL).symptoms[:1]
    assert "wrong_loss" not in diagnosed({"kind": None}, {"descent": 0.2}).symptoms
    held = {"output": "log_softmax", "output_bounds": [None, 0.0]}
    assert "wrong_loss" not in diagnosed(held, {"unbounded": True, "takes": "log-probabilities"})


@pytest.mark.parametrize(
    ("network", "loss", "words"),
    [
        ({"output": "softmax", "output_bounds": [0.0, 1.0]}, {}, "squeezed twice"),
        ({"output": "tanh", "output_bounds": [-1.0, 1.0]}, {}, "squeezed twice"),
        ({"output": "", "output_bounds": [0.0, 3.0]}, {}, "squeezed twice"),
        ({"output": "relu", "output_bounds": [0.0, None]}, {}, "cut off"),
        ({}, {"takes": "probabilities"}, "takes probabilities"),
        ({}, {"takes": "log-probabilities"}, "logarithms of probabilities"),
        ({"outputs": 1}, {}, "predicted by one output"),
    ],
)
def test_outputs_that_the_loss_does_not_expect(network, loss, words):
    diagnosis = diagnosed(network, loss)
    assert problems(diagnosis)[0] == "wrong_output_activation"
    assert words in diagnosis[0].sentence


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        ({"output": "", "output_bounds": None}, {}),
        ({}, {"takes": ""}),
        ({"output": "softmax", "output_bounds": [0.0, 1.0]}, {"takes": ""}),
    ],
)
def test_what_is_not_known_is_not_judged(network, loss):
    diagnosis = diagnosed(network, loss)
    assert problems(diagnosis) == ["plateau"]
    assert "wrong_output_activation" in lacking(diagnosis)


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        ({"output": "softmax", "output_bounds": [0.0, 1.0]}, {"takes": "probabilities"}),
        ({"output": "log_softmax", "output_bounds": [None, 0.0]}, {}),
        ({"output": "softplus", "output_bounds": [0.0, None]}, {}),
        ({"output": "", "output_bounds": [-30.0, 30.0]}, {}),
    ],
)
def test_outputs_that_the_loss_can_do_with(network, loss):
    assert problems(diagnosed(network, loss)) == ["plateau"]


@pytest.mark.parametrize(
    ("bounds", "low", "wrong"),
    [([0.0, 1.0], -2.0, True), ([0.0, None], 0.5, False), ([0.0, None], -2.0, True), ([-5.0, 5.0], -2.0, False)],
)
def test_outputs_that_cannot_reach_the_targets(bounds, low, wrong):
    network = {"kind": "numbers", "metric": "accuracy", "output": "", "output_bounds": bounds, "outputs": 1}
    loss = {"form": "squares", "takes": "numbers", "label_gain": None}
    diagnosis = diagnosed(network, loss, {**NUMBERS, "target_low": low})
    assert problems(diagnosis)[:1] == (["wrong_output_activation"] if wrong else ["plateau"])


def norms(*columns):
    names = ("first/kernel", "second/kernel", "second/bias")
    return {
        name: {
            "parameter_norm": np.ones(300),
            "gradient_norm": np.full(300, gradient, float),
            "update_norm": np.full(300, update, float),
        }
        for name, (gradient, update) in zip(names, columns, strict=True)
    }


def test_parts_that_no_derivative_reaches_are_frozen():
    parts = norms((0, 0), (1, 0.01), (1, 0.01))
    diagnosis = diagnosed({"cut_off": ["first/kernel"]}, parts=parts)
    assert problems(diagnosis)[0] == "frozen_parameters"
    assert diagnosis[0].parts == ("first/kernel",)
    assert "no derivative leads" in diagnosis[0].sentence
    assert diagnosed({"cut_off": ["first/kernel"]}, parts=parts, scores=WELL).ok


def test_parts_that_the_method_leaves_out_are_frozen_and_small_rates_are_not():
    left_out = diagnosed(parts=norms((1, 0), (1, 0.01), (1, 0.01)))
    assert "makes no step" in next(f for f in left_out if f.symptom == "frozen_parameters").sentence
    assert "frozen_parameters" not in diagnosed(parts=norms((1e-12, 1e-15), (1, 0.01), (1, 0.01)))
    # Which of a cut and of dead units it is, nothing says without the layers.
    assert "frozen_parameters" in lacking(diagnosed(parts=norms((0, 0), (1, 0.01), (1, 0.01))))


@pytest.mark.parametrize(("counts", "verdict"), [([1, 1], "problem"), ([32, 3], "note"), ([32, 64], None), ([], None)])
def test_statistics_over_one_value_or_a_few(counts, verdict):
    findings = [f for f in diagnosed({"normalised_over": counts}) if f.symptom == "degenerate_normalisation"]
    assert [f.severity.value for f in findings] == ([] if verdict is None else [verdict])


@pytest.mark.parametrize(
    ("shares", "heavy"), [([0.95], True), ([0.7, 0.7], True), ([0.5, 0.5, 0.5], False), ([], False)]
)
def test_dropout_that_lets_next_to_nothing_pass(shares, heavy):
    diagnosis = diagnosed({"dropout": shares, "l2": 0.0})
    assert (problems(diagnosis)[:1] == ["over_regularised"]) is heavy
    assert diagnosed({"dropout": shares, "l2": 0.0}, scores=WELL).ok


@pytest.mark.parametrize(("moves", "words"), [(False, "never move"), (True, "something else")])
def test_evaluations_far_above_the_steps(moves, words):
    diagnosis = diagnosed({"statistics_move": moves}, losses=[2.4, 4.0, 4.0, 5.0, 6.0])
    finding = next(f for f in diagnosis if f.symptom == "evaluation_mismatch")
    assert finding.severity is ds.Severity.PROBLEM
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("moves", "losses"),
    [(True, [2.4, 0.5, 0.42, 0.4, 0.41]), (None, [2.4, 4, 4, 5, 6]), (True, [2.4, 0.5, 0.42, 9.0, 0.45])],
)
def test_evaluations_near_the_steps_or_without_statistics(moves, losses):
    assert "evaluation_mismatch" not in diagnosed({"statistics_move": moves}, losses=losses)


def test_a_schedule_that_decays_to_nothing_is_named():
    rates = 0.5 ** (STEPS / 4)
    parts = {"kernel": {"parameter_norm": np.ones(300), "gradient_norm": np.ones(300), "update_norm": 0.01 * rates}}
    finding = next(f for f in diagnosed(parts=parts) if f.symptom == "rate_too_small")
    assert "schedule" in finding.sentence
    # A descent that has arrived stops as well, since its gradients do.
    arrived = {"kernel": {"parameter_norm": np.ones(300), "gradient_norm": rates, "update_norm": 0.2 * rates}}
    assert "rate_too_small" not in diagnosed(parts=arrived)


@pytest.mark.parametrize(("score", "words"), [(0.3, "about where it began"), (0.8, "on its way")])
def test_a_network_that_has_learnt_much_is_not_where_it_began(score, words):
    columns = {"parameter_norm": np.ones(300), "gradient_norm": np.ones(300), "update_norm": np.full(300, 1e-3)}
    scores = {f"{of}_accuracy": [0.1, 0.2, score, score, score] for of in ("training", "validation")}
    finding = next(f for f in diagnosed(parts={"kernel": columns}, scores=scores) if f.symptom == "rate_too_small")
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("bounds", "last", "harmful"),
    [([0.0, None], 1.2, True), ([0.0, 1.0], 1.6, True), ([0.0, None], 0.02, False), ([-10.0, 10.0], 1.2, False)],
)
def test_an_output_that_a_loss_function_suffers_from_needs_no_score(bounds, last, harmful):
    """A loss function has no score: what it cannot say shows in a loss that stays."""
    network = {"kind": None, "metric": "loss", "output": "", "output_bounds": bounds}
    output = {"output": "relu"} if bounds[1] is None else {}
    diagnosis = diagnosed({**network, **output}, losses=[2.3, 1.9, *[last] * 3], scores={})
    assert "wrong_output_activation" in diagnosis
    assert ("wrong_output_activation" in problems(diagnosis)) is harmful


@pytest.mark.parametrize(
    ("network", "data"),
    [
        ({"kind": "numbers", "metric": "r2", "output": "softmax", "output_bounds": [0.0, 1.0], "outputs": 1}, NUMBERS),
        ({"output": "sigmoid", "output_bounds": [0.0, 1.0], "outputs": 1}, {}),
    ],
)
def test_one_output_that_can_say_nothing_needs_no_reference(network, data):
    unknown = {"reference_score": None, "validation_reference_score": None}
    assert "wrong_output_activation" in problems(diagnosed(network, {"takes": ""}, {**data, **unknown}))


def test_without_a_reference_a_problem_leaves_open_whether_the_network_does_well():
    unknown = {"reference_score": None, "validation_reference_score": None}
    assert "healthy" in lacking(diagnosed(loss={"unpaired": 1e-5}, data=unknown))
    assert "healthy" not in lacking(diagnosed(loss={"unpaired": 1e-5}))


def accuracies(held, training):
    """Return evaluations that end at the two accuracies."""
    return {"validation_accuracy": [0.1, *[held] * 4], "training_accuracy": [0.1, *[training] * 4]}


def test_rows_held_back_that_are_easier_than_the_others_set_the_reference():
    """Labels that are noise on the rows trained on alone: the same learner has 0.4 there and 0.75 on clean rows."""
    noisy = {"reference_score": 0.4, "validation_reference_score": 0.75}
    # (1000 · 0.4 + 300 · 0.75) / 1300 is 0.48, of which 0.46 is within the margin; of 0.75 ± 0.05 it is not.
    assert problems(diagnosed(data=noisy, scores=accuracies(0.46, 0.8))) == ["plateau"]
    assert diagnosed(data=noisy, scores=accuracies(0.72, 0.8)).symptoms[0] == "healthy"
    # Within the error of so few rows, the rows of both kinds say more than either alone.
    close = {"reference_score": 0.80, "validation_reference_score": 0.84}
    assert diagnosed(data=close, scores=accuracies(0.75, 0.9)).symptoms[0] == "healthy"


def evaluated(losses):
    """Return the problems of a network that falls short with such losses on the rows trained on."""
    many = np.linspace(0, 299, len(losses)).round()
    short = np.r_[0.1, np.full(len(losses) - 1, 0.6)]
    trace = ds.trace_from(
        {"step": STEPS, "loss": LOSS},
        evaluations={"step": many, "training_loss": losses, "training_accuracy": short, "validation_accuracy": short},
        facts={"data": DATA, "network": NETWORK, "loss": RIGHT},
        plan={"method": "adam", "learning_rate": 1e-3, "settings": {}, "batches": {"size": 32}},
    )
    return problems(ds.diagnose(trace))


def test_a_loss_that_swings_and_falls_is_not_said_to_get_no_lower():
    first = np.linspace(2.3, 0.2, 18)
    swings = np.tile([1.0, -1.0, 0.5, -0.5, -1.0, 1.0], 3)
    level, falling = np.full(18, 0.11), np.r_[np.linspace(0.2, 0.07, 14), np.full(4, 0.08)]
    assert "rate_too_large" in evaluated(np.r_[first, level + 0.06 * swings])
    assert "rate_too_large" not in evaluated(np.r_[first, falling + 0.02 * swings])


def test_a_bottleneck_comes_before_the_units_that_it_leaves_without_a_gradient():
    """Units that read one number of one sign are flat for all rows, half of them, without any step too long."""
    symptoms = ds.symptoms("trainings")
    assert symptoms["bottleneck"].order < min(symptoms[key].order for key in ("dead_units", "saturated_units"))
