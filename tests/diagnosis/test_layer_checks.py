"""The checks of layers on traces whose facts are written by hand: what is found, and what is said where nothing is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import downslope as ds


def kernel(layer: str, inputs: int, units: int, depth: int, height: int, **entries):
    """Return the facts on a kernel of shape (inputs, units)."""
    return {
        "layer": layer, "leaf": f"{layer}/w", "bias": None, "input_axes": [0], "unit_axes": [1],
        "ranges": [[0, inputs], [0, units]], "positions": 1, "depth": depth, "height": height,
        "bypassed": False, "is_only_way": True, "normalised": False, **entries,
    }  # fmt: skip


def diagnosed(kernels, columns=None, nested=(), start=None, activations=None, size=1.0):
    """Return the diagnosis of a run whose loss does not fall, with the facts and one look at the layers."""
    names = tuple(entry["layer"] for entry in kernels)
    activations = list(activations or ["tanh"] * (len(names) - 1) + ["linear"])
    looks = {
        "activation_deviation": 1.0,
        "activation_variation": 1.0,
        "activation_gradient_norm": 1.0,
        "dead_share": 0.0,
        "saturated_share": 0.0,
    }
    looks = {name: column for name, column in (looks | (columns or {})).items() if column is not None}
    random = np.random.default_rng(0)
    sides = [[last - first for first, last in entry["ranges"]] for entry in kernels]
    weights = start or {
        entry["leaf"]: random.normal(size=shape) / np.sqrt(shape[0])
        for entry, shape in zip(kernels, sides, strict=True)
    }
    network = {
        "kernels": list(kernels), "nested": list(nested), "input_size": size, "activations": activations,
        "layers": list(names), "metric": "loss",
    }  # fmt: skip
    made = ds.trace_from({"step": np.arange(40), "loss": np.full(40, 2.0)}, facts={"network": network})
    return ds.diagnose(
        dataclasses.replace(
            made,
            layer_names=names,
            layer_columns={name: np.full((40, len(names)), column) for name, column in looks.items()},
            part_names=tuple(weights),
            start=weights,
            end=weights,
        )
    )


def reason(diagnosis, symptom: str) -> str:
    """Return why a check did not run."""
    (skipped,) = [entry.reason for entry in diagnosis.not_run if entry.symptom == symptom]
    return skipped


CHAIN = [kernel("a", 8, 16, 0, 2), kernel("b", 16, 16, 1, 1), kernel("c", 16, 4, 2, 0)]


def test_a_chain_that_keeps_its_signals_has_no_finding_of_layers() -> None:
    assert set(diagnosed(CHAIN).symptoms) <= {"plateau", "not_judged", "too_few_steps"}


@pytest.mark.parametrize(
    "per_step, length, found",
    [(0.33, 25, True), (0.45, 12, True), (0.45, 6, False), (0.62, 28, False), (0.62, 100, True), (1.0, 500, False)],
)
def test_a_recurrence_forgets_where_it_keeps_less_than_half_a_step_or_nothing_at_all(per_step, length, found) -> None:
    loop = {
        "leaves": ["turn"],
        "inside": "scan",
        "length": length,
        "per_step": per_step,
        "in_all": per_step ** (length - 1),
    }
    diagnosis = diagnosed(CHAIN, nested=[loop])
    assert ("vanishing_gradients" in diagnosis) is found
    if found:
        finding = next(entry for entry in diagnosis if entry.symptom == "vanishing_gradients")
        assert finding.parts == ("turn",)
        assert finding.evidence["per_step"] == per_step


def test_a_recurrence_that_grows_explodes() -> None:
    loop = {"leaves": ["turn"], "inside": "scan", "length": 20, "per_step": 1.6, "in_all": 1.6**19}
    assert "exploding_gradients" in diagnosed(CHAIN, nested=[loop])


@pytest.mark.parametrize("inside", ["while", "cond", "scan", "custom_vjp_call"])
def test_what_lies_inside_another_program_is_named_by_every_check_that_misses_it(inside: str) -> None:
    diagnosis = diagnosed(CHAIN, nested=[{"leaves": ["turn"], "inside": inside, "length": None}])
    for symptom in (
        "symmetric_units", "poor_initialisation", "missing_nonlinearity", "vanishing_gradients", "exploding_gradients",
        "dead_units", "saturated_units", "bottleneck",
    ):  # fmt: skip
        assert reason(diagnosis, symptom) == f"turn is used inside a {inside}, where layers are not recorded"


def test_gradients_fade_along_a_path_and_not_beside_an_identity() -> None:
    faded = {"activation_gradient_norm": 4.0 * np.array([1e-6, 1e-3, 1.0]) * np.sqrt([1, 1, 0.25])}
    diagnosis = diagnosed(CHAIN, faded)
    (finding,) = [entry for entry in diagnosis if entry.symptom == "vanishing_gradients"]
    assert finding.evidence["per_layer"] == pytest.approx(
        np.exp(np.polyfit([2, 1, 0], np.log([1e-6, 1e-3, 1.0]), 1)[0]), rel=0.01
    )
    beside = [CHAIN[0], {**CHAIN[1], "bypassed": True}, CHAIN[2]]
    assert "fewer than three lie on every path" in reason(diagnosed(beside, faded), "vanishing_gradients")


def test_first_weights_are_judged_by_the_spread_of_signals() -> None:
    small = {
        entry["leaf"]: 0.001 * np.random.default_rng(1).normal(size=np.diff(entry["ranges"]).ravel()) for entry in CHAIN
    }
    assert "poor_initialisation" in diagnosed(
        CHAIN, {"activation_deviation": np.array([3e-3, 1e-5, 1e-7])}, start=small
    )
    # The same weights behind a normalisation, beside an identity, or with signals that keep their spread.
    for kernels in (
        [{**entry, "normalised": True} for entry in CHAIN],
        [{**entry, "bypassed": True} for entry in CHAIN],
    ):
        assert "poor_initialisation" not in diagnosed(
            kernels, {"activation_deviation": np.array([3e-3, 1e-5, 1e-7])}, start=small
        )
    assert "poor_initialisation" not in diagnosed(
        CHAIN, {"activation_deviation": np.array([0.2, 0.2, 0.01])}, start=small
    )
    unseen = diagnosed(CHAIN, {"activation_deviation": np.nan}, start=small)
    assert "spread" in reason(unseen, "poor_initialisation")


def test_large_weights_show_in_the_spread_or_at_the_ends_of_a_bounded_activation() -> None:
    large = {
        entry["leaf"]: 10 * np.random.default_rng(1).normal(size=np.diff(entry["ranges"]).ravel()) for entry in CHAIN
    }
    grown = {"activation_deviation": np.array([30.0, 1e3, 3e4])}
    assert "poor_initialisation" in diagnosed(CHAIN, grown, start=large, activations=["relu", "relu", "linear"])
    ends = {"activation_deviation": np.array([1.0, 1.0, 3.0]), "saturated_share": np.array([0.7, 0.8, np.nan])}
    assert "poor_initialisation" in diagnosed(CHAIN, ends, start=large)


def test_only_a_narrow_layer_on_every_path_is_a_bottleneck() -> None:
    narrow = [kernel("a", 8, 1, 0, 2), kernel("b", 1, 16, 1, 1), kernel("c", 16, 10, 2, 0)]
    assert "bottleneck" in diagnosed(narrow)
    assert "bottleneck" not in diagnosed([{**narrow[0], "is_only_way": False}, *narrow[1:]])
    # One channel at each of 64 positions is no single number.
    assert "bottleneck" not in diagnosed([{**narrow[0], "positions": 64}, *narrow[1:]])


def test_copies_are_equal_in_weights_and_biases() -> None:
    kernels = [{**CHAIN[0], "bias": "a/b"}, *CHAIN[1:]]
    random = np.random.default_rng(0)
    weights = {entry["leaf"]: random.normal(size=np.diff(entry["ranges"]).ravel()) for entry in kernels}
    weights["a/w"] = np.repeat(weights["a/w"][:, :1], 16, 1)
    assert "symmetric_units" in diagnosed(kernels, start={**weights, "a/b": np.zeros(16)})
    assert "symmetric_units" not in diagnosed(kernels, start={**weights, "a/b": np.arange(16.0)})
    # A residual branch may begin at zero.
    zero = {**weights, "a/b": np.zeros(16), "a/w": np.zeros((8, 16))}
    assert "symmetric_units" not in diagnosed([{**kernels[0], "bypassed": True}, *kernels[1:]], start=zero)


def test_signals_explode_relative_to_the_inputs_and_not_before_a_normalisation() -> None:
    huge = {"activation_deviation": np.array([1e5, 1e5, 1.0])}
    assert "exploding_gradients" in diagnosed(CHAIN, huge)
    assert "exploding_gradients" not in diagnosed(CHAIN, huge, size=1000.0)
    assert "exploding_gradients" not in diagnosed([{**entry, "normalised": True} for entry in CHAIN], huge)


@pytest.mark.parametrize("step, found", [(0.3, True), (0.003, False)])
def test_a_first_step_as_long_as_the_weights_is_a_rate_that_is_too_large(step: float, found: bool) -> None:
    """Adam moves every weight by its rate at first: ‖update‖ = α √(inputs · units)."""
    network = {"kernels": CHAIN, "nested": [], "metric": "loss", "activations": ["tanh"] * 3, "layers": list("abc")}
    sides = np.array([[last - first for first, last in entry["ranges"]] for entry in CHAIN])
    columns = {
        "update_norm": np.tile(step * np.sqrt(sides.prod(1)), (40, 1)),
        "parameter_norm": np.tile(0.02 * np.sqrt(sides.prod(1)), (40, 1)),
    }
    made = ds.trace_from({"step": np.arange(40), "loss": np.full(40, 2.0)}, facts={"network": network})
    parts = tuple(entry["leaf"] for entry in CHAIN)
    trace = dataclasses.replace(made, layer_names=tuple("abc"), part_names=parts, part_columns=columns)
    assert ("rate_too_large" in ds.diagnose(trace)) is found


def test_what_dead_units_stop_does_not_vanish() -> None:
    relu, stopped = ["relu", "relu", "linear"], {"activation_gradient_norm": np.array([1e-37, 1e-37, 1.0])}
    dead = np.array([0.97, 1.0, np.nan])
    diagnosis = diagnosed(CHAIN, {**stopped, "dead_share": dead}, activations=relu)
    assert "vanishing_gradients" not in diagnosis
    assert "dead_units" in diagnosis
    assert "vanishing_gradients" in diagnosed(CHAIN, stopped, activations=relu)
    # A hundredth of the units passes a tenth of a gradient: the rest fades by itself.
    few, faint = np.array([0.99, 0.99, np.nan]), {"activation_gradient_norm": np.array([1e-4, 1e-2, 1.0])}
    assert "vanishing_gradients" not in diagnosed(CHAIN, {**faint, "dead_share": few}, activations=relu)
    fading = {"activation_gradient_norm": np.array([1e-12, 1e-6, 1.0])}
    assert "vanishing_gradients" in diagnosed(CHAIN, {**fading, "dead_share": few}, activations=relu)


def test_without_the_share_of_dead_units_it_is_not_said_what_fades() -> None:
    faded = {"activation_gradient_norm": np.array([1e-8, 1e-4, 1.0])}
    assert "may be dead" in reason(diagnosed(CHAIN, {**faded, "dead_share": None}), "vanishing_gradients")


def test_units_that_the_steps_pushed_out_of_use_are_those_of_a_rate_that_is_too_large() -> None:
    """Where the loss fell first and then rose; units that are dead from the start, or a loss that falls, are others."""

    def symptoms(dead_at_first: float, end: float) -> list[str]:
        loss = np.concatenate([np.linspace(1.4, 0.5, 40), np.linspace(0.5, end, 40)])
        shares = np.linspace(dead_at_first, 1.0, 80)[:, None] * np.array([0.0, 1.0, 0.0])
        network = {"kernels": CHAIN, "nested": [], "activations": ["relu", "relu", "linear"], "layers": ["a", "b", "c"]}
        data = {"rows": 800, "validation_rows": 200, "reference_score": 0.9, "validation_reference_score": 0.9}
        scores = {"validation_accuracy": [0.5, 0.6, 0.6, 0.5], "training_accuracy": [0.5, 0.6, 0.6, 0.5]}
        made = ds.trace_from(
            {"loss": loss},
            evaluations={"step": [0, 20, 40, 79], **scores},
            facts={"network": network | {"metric": "accuracy"}, "data": data | {"chance_score": 0.5}},
        )
        columns = {"dead_share": np.where(shares > 0.7, 1.0, shares)}
        return [*ds.diagnose(dataclasses.replace(made, layer_names=("a", "b", "c"), layer_columns=columns)).symptoms]

    pushed = symptoms(0.1, 1.2)
    assert pushed.index("rate_too_large") < pushed.index("dead_units")
    assert "rate_too_large" not in symptoms(1.0, 1.2)
    assert "rate_too_large" not in symptoms(0.1, 0.3)
