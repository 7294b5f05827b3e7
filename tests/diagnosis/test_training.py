"""Trainings made sick on purpose are named, and healthy ones are left alone."""

import numpy as np

import downslope as ds

BLIND = {"probe_every": 0}  # where curvature has no say, no look at it is compiled


DEEP = {**BLIND, "steps": 300}  # what depth does to gradients shows early


def trained(**choices):
    """Return the trace and the diagnosis of a training on the digits."""
    made = ds.train(data="digits", progress=False, **{"steps": 600, **choices})
    return made.trace, ds.diagnose(made.trace)


def test_a_healthy_training_is_called_healthy_and_so_it_is_when_it_was_saved(tmp_path):
    trace, diagnosis = trained()
    assert diagnosis.symptoms[0] == "healthy"
    assert diagnosis.ok
    again = ds.diagnose(ds.load(ds.save(trace, tmp_path / "run")))
    assert str(again) == str(diagnosis)


def test_a_deep_sigmoid_network_has_vanishing_gradients_with_their_rate():
    trace, diagnosis = trained(hidden=(64,) * 11, activation="sigmoid", **DEEP)
    assert diagnosis.symptoms[0] == "vanishing_gradients"
    # A sigmoid's slope is at most 1/4, and Glorot's weights keep the rest: the rate per layer is about that.
    assert 0.1 < diagnosis[0].evidence["per_layer"] < 0.3
    assert diagnosis[0].parts[0] == trace.layer_names[0]


def test_the_same_depth_with_relu_he_and_skips_has_none():
    _, diagnosis = trained(hidden=(64,) * 11, activation="relu", initialisation="he_normal", skip=True, **DEEP)
    assert "vanishing_gradients" not in diagnosis
    assert "exploding_gradients" not in diagnosis


def test_huge_first_weights_explode():
    _, diagnosis = trained(hidden=(64,) * 8, initialisation="normal_2", **DEEP)
    assert "exploding_gradients" in diagnosis.symptoms
    assert not diagnosis.ok


def test_a_bias_far_below_zero_kills_relu_units():
    _, diagnosis = trained(model=[ds.Flatten(), ds.Dense(64, "relu", bias=-10.0), ds.Dense(10)], **BLIND)
    assert diagnosis.symptoms[0] == "dead_units"
    assert diagnosis[0].evidence["dead_share"] == 1


def test_equal_weights_are_symmetric():
    _, diagnosis = trained(initialisation="constant_0.05", **BLIND)
    assert diagnosis.symptoms[0] == "symmetric_units"


def test_the_edge_of_stability_is_no_alarm():
    _, diagnosis = trained(batch=None, method="gradient descent", learning_rate=0.3)
    assert diagnosis.ok


def test_a_tiny_rate_is_too_small():
    _, diagnosis = trained(learning_rate=1e-6)
    assert diagnosis.symptoms[0] == "rate_too_small"


def test_a_huge_rate_is_too_large_before_what_follows_from_it():
    _, diagnosis = trained(method="gradient descent", learning_rate=10.0)
    problems = [finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM]
    assert problems.index("rate_too_large") < problems.index("dead_units")


def test_inputs_in_the_thousands_are_unscaled():
    rng = np.random.default_rng(0)
    angle, inside = rng.uniform(0, 2 * np.pi, 400), rng.integers(0, 2, 400)
    inputs = 1000 * (1 - inside / 2)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    made = ds.train([ds.Dense(32, "tanh"), ds.Dense(1)], (inputs, inside), standardise=False, steps=400, progress=False)
    assert ds.diagnose(made.trace).symptoms[0] == "unscaled_inputs"


def test_shuffled_labels_are_a_label_problem():
    rng = np.random.default_rng(1)
    made = ds.train(data=(rng.normal(size=(400, 5)), rng.integers(0, 2, 400)), steps=400, progress=False, **BLIND)
    assert ds.diagnose(made.trace).symptoms[0] == "label_problem"


def test_targets_out_of_reach_of_the_output():
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(400, 3))
    targets = 3 + inputs @ [1.0, -2.0, 0.5]
    made = ds.train(
        data=(inputs, targets), output_activation="sigmoid", scale_targets=False, steps=400, progress=False, **BLIND
    )
    assert ds.diagnose(made.trace).symptoms[0] == "wrong_output_activation"


def test_a_loss_that_broadcasts_is_wrong():
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(400, 3))
    targets = inputs @ [1.0, -2.0, 0.5]

    def broadcasts(outputs, targets):
        return ((outputs - targets.reshape(-1)) ** 2).mean()

    made = ds.train(data=(inputs, targets), loss=broadcasts, steps=400, progress=False, **BLIND)
    assert ds.diagnose(made.trace).symptoms[0] == "wrong_loss"


def test_linear_layers_are_one_layer():
    rng = np.random.default_rng(5)
    inputs = rng.uniform(-1, 1, size=(400, 2))
    classes = (inputs.prod(axis=1) > 0).astype(int)
    made = ds.train(data=(inputs, classes), activation="linear", steps=400, progress=False, **BLIND)
    assert ds.diagnose(made.trace).symptoms[0] == "missing_nonlinearity"


def test_a_heavy_penalty_is_over_regularised():
    _, diagnosis = trained(l2=1.0, **BLIND)
    assert diagnosis.symptoms[0] == "over_regularised"


def test_no_finding_advises_the_method_that_the_run_uses():
    training = ds.train("iris", hidden=8, steps=200, learning_rate=1e-5, progress=False, **BLIND)
    descent = ds.descend("1/(1 + e^(-x))", {"x": -30}, method="adam", learning_rate=1e-4, steps=50)
    for diagnosis, symptom in ((ds.diagnose(training), "rate_too_small"), (ds.diagnose(descent), None)):
        assert symptom is None or symptom in diagnosis.symptoms
        assert not any("Adam" in remedy for finding in diagnosis.findings for remedy in finding.remedies)
    plain = ds.train(
        "iris", hidden=8, steps=200, method="gradient descent", learning_rate=1e-6, progress=False, **BLIND
    )
    (finding,) = (each for each in ds.diagnose(plain).findings if each.symptom == "rate_too_small")
    assert any("Adam" in remedy for remedy in finding.remedies)


def test_more_steps_are_advised_only_while_the_rows_held_back_gain_from_them():
    noise = np.random.default_rng(4).normal(size=(2, 60))
    step = np.arange(60)
    falling = {"step": 25 * step, "training_loss": 4 - 0.02 * step + 0.01 * noise[0]}

    def first_symptom(slope):
        held_back = {"validation_loss": 4.2 + slope * step + 0.02 * noise[1]}
        losses = {"step": falling["step"], "loss": falling["training_loss"]}
        return ds.diagnose(ds.trace_from(losses, evaluations=falling | held_back))[0].symptom

    assert first_symptom(0.03) == "overfitting"
    assert first_symptom(-0.015) == "too_few_steps"
