"""What checks read of layers: the same of the same weights in every spelling."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import downslope as ds
from downslope._engine import precision
from downslope._tree import leaves, part_names
from downslope.diagnosis._layer_evidence import LayerEvidence
from downslope.networks.models import facts_of_layers, facts_of_walk, model_of, walked

SIZES = (6, 8, 5, 3)
X = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
Y = np.zeros((20, 3), np.float32)


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


def weights(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return kernels, shape (inputs, units), and biases."""
    random = np.random.default_rng(seed)
    pairs = itertools.pairwise(SIZES)
    return [(random.normal(size=pair).astype(np.float32), np.zeros(pair[1], np.float32)) for pair in pairs]


def built_in(drawn):
    hidden = [ds.Dense(units, "relu") for units in SIZES[1:-1]]
    network = ds.network(SIZES[0], [*hidden, ds.Dense(SIZES[-1])])
    return network.with_weights(np.concatenate([leaf.ravel() for pair in drawn for leaf in pair]))


def equinox(drawn):
    model = eqx.nn.MLP(6, 3, 8, 2, key=jax.random.key(0))
    layers = [
        eqx.tree_at(
            lambda it: (it.weight, it.bias), eqx.nn.Linear(*w.shape, key=jax.random.key(0)), (jnp.asarray(w.T), b)
        )
        for w, b in drawn
    ]
    return eqx.tree_at(lambda it: it.layers, model, tuple(layers))


class OfNnx(nnx.Module):
    def __init__(self, drawn):
        self.linear = nnx.List([nnx.Linear(*w.shape, rngs=nnx.Rngs(0)) for w, _ in drawn])
        for layer, (w, b) in zip(self.linear, drawn, strict=True):
            layer.kernel[...], layer.bias[...] = jnp.asarray(w), jnp.asarray(b)

    def __call__(self, x):
        for layer in self.linear[:-1]:
            x = nnx.relu(layer(x))
        return self.linear[-1](x)


class OfLinen(linen.Module):
    @linen.compact
    def __call__(self, x):
        for units in SIZES[1:-1]:
            x = linen.relu(linen.Dense(units)(x))
        return linen.Dense(SIZES[-1])(x)


def of_linen(drawn):
    params = {f"Dense_{place}": {"kernel": w, "bias": b} for place, (w, b) in enumerate(drawn)}
    return lambda params, x: OfLinen().apply({"params": params}, x), params


def right_products(drawn):
    def forward(params, x):
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"] + params[-1]["b"]

    return forward, [{"w": w, "b": b} for w, b in drawn]


def left_products(drawn):
    def forward(params, x):
        x = x.T
        for layer in params[:-1]:
            x = jnp.maximum(layer["m"] @ x + layer["c"][:, None], 0)
        return (params[-1]["m"] @ x + params[-1]["c"][:, None]).T

    return forward, [{"m": w.T, "c": b} for w, b in drawn]


MODELS = {"built-in": built_in, "Equinox": equinox, "NNX": OfNnx}
FUNCTIONS = {"linen": of_linen, "x @ w": right_products, "w @ x": left_products}
SPELLINGS = [*MODELS, *FUNCTIONS]


def evidence_of(spelling: str, drawn) -> LayerEvidence:
    """Return the evidence of a network before its first step."""
    if spelling in FUNCTIONS:
        forward, point = FUNCTIONS[spelling](drawn)
        loss = lambda point, memory, batch, key: (jnp.mean((forward(point, batch[0]) - batch[1]) ** 2), memory)  # noqa: E731
        network = facts_of_walk(walked(loss, point, (), (X, Y), None), point, (), (X, Y), 20)
    else:
        model = model_of(MODELS[spelling](drawn))
        point = model.point
        if model.layers:
            network = facts_of_layers(model, X)
        else:
            forward = lambda point, x: model.forward(point, model.memory, x, None, True).outputs  # noqa: E731
            loss = lambda point, memory, batch, key: (jnp.mean((forward(point, batch[0]) - batch[1]) ** 2), memory)  # noqa: E731
            network = facts_of_walk(walked(loss, point, (), (X, Y), None), point, (), (X, Y), 20)
    start = dict(zip(part_names(point), map(np.asarray, leaves(point)), strict=True))
    trace = dataclasses.replace(
        ds.descend("x²", 1, steps=1), layer_names=tuple(network["layers"]), facts={"network": network}, start=start
    )
    return LayerEvidence(trace)


@pytest.fixture(params=SPELLINGS)
def evidence(request: pytest.FixtureRequest) -> LayerEvidence:
    return evidence_of(request.param, WEIGHTS)


WEIGHTS = weights()
# Equinox's MLP has hidden layers of one width, which `tree_at` replaces.


def test_kernels_are_read_alike_in_every_spelling(evidence: LayerEvidence) -> None:
    assert evidence.widths.tolist() == list(SIZES[1:])
    assert evidence.inputs.tolist() == list(SIZES[:-1])
    assert evidence.numbers.tolist() == list(SIZES[1:])
    for index, (kernel, bias) in enumerate(WEIGHTS):
        np.testing.assert_array_equal(evidence.weight(index, evidence.trace.start), kernel)
        np.testing.assert_array_equal(evidence.bias(index, evidence.trace.start), bias)


def test_so_are_activations_and_the_way_the_layers_lie(evidence: LayerEvidence) -> None:
    assert evidence.activations == ("relu", "relu", "linear")
    assert evidence.hidden.tolist() == [0, 1]
    assert (evidence.output, evidence.output_width) == (2, 3)
    keys = ("depth", "height", "bypassed", "is_only_way", "normalised", "positions")
    assert [[kernel[key] for key in keys] for kernel in evidence.kernels] == [
        [place, 2 - place, False, True, False, 1] for place in range(3)
    ]
    size = evidence.trace.facts["network"]["input_size"]
    assert size == pytest.approx(float(np.sqrt(np.mean(X.astype(float) ** 2))), rel=1e-6)


def test_nothing_is_read_by_the_name_of_a_leaf() -> None:
    known = evidence_of("x @ w", WEIGHTS)
    network = {**known.trace.facts["network"], "kernels": []}
    blind = LayerEvidence(dataclasses.replace(known.trace, facts={"network": network}))
    assert np.isnan(blind.widths).all()
    assert blind.weight(0, known.trace.start) is None


def test_layers_side_by_side_are_one_level_and_bypassed_ones_none() -> None:
    sizes, heights, bypassed = [4.0, 1.0, 3.0, 0.5, 0.01, 0.25], [3, 2, 2, 1, 1, 0], [False] * 4 + [True, False]
    kernels = [
        {"layer": str(place), "leaf": "w", "unit_axes": [0], "input_axes": [], "ranges": [[0, 1]], "height": height,
         "depth": 3 - height, "bypassed": jump}
        for place, (height, jump) in enumerate(zip(heights, bypassed, strict=True))
    ]  # fmt: skip
    trace = dataclasses.replace(
        ds.descend("x²", 1, steps=1),
        layer_names=tuple(map(str, range(6))),
        layer_columns={"activation_gradient_norm": np.array([sizes])},
        facts={"network": {"kernels": kernels}},
    )
    levels = LayerEvidence(trace).gradient_levels
    assert levels == pytest.approx({0: 0.25, 1: 0.5, 2: np.sqrt(5), 3: 4.0})
    slope = np.polyfit(range(4), np.log([0.25, 0.5, np.sqrt(5), 4.0]), 1)[0]
    assert LayerEvidence(trace).gradient_rate == pytest.approx((np.exp(slope), np.exp(3 * slope)))


def test_the_findings_are_those_of_the_weights_in_every_spelling() -> None:
    copied = [(np.repeat(kernel[:, :1], kernel.shape[1], 1), bias) for kernel, bias in WEIGHTS[:-1]]
    found = {}
    for spelling in SPELLINGS:
        trace = evidence_of(spelling, [*copied, WEIGHTS[-1]]).trace
        looks = dict.fromkeys(("activation_deviation", "activation_gradient_norm", "dead_share"), np.ones((1, 3)))
        parts = {"part_names": tuple(trace.start), "end": trace.start, "layer_columns": looks, "facts": trace.facts}
        logged = ds.trace_from({"step": np.arange(40), "loss": np.full(40, 2.0)})
        diagnosis = ds.diagnose(dataclasses.replace(logged, layer_names=trace.layer_names, start=trace.start, **parts))
        skipped = {entry.symptom for entry in diagnosis.not_run} & {"symmetric_units", "bottleneck", "dead_units"}
        found[spelling] = diagnosis.symptoms, skipped
    assert "symmetric_units" in found["built-in"][0]
    assert "dead_units" in found["built-in"][0]
    assert found == dict.fromkeys(SPELLINGS, found["built-in"])
