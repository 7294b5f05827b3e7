"""Layers inferred from a jaxpr: those of networks of every kind, and their activations."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from downslope._engine import precision
from downslope.networks.models._inferred import walk
from tests.networks.walks import assert_same, at_rest, mean_square, normal, of_equinox, plain


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


# Networks of every kind.


def test_a_plain_dict_is_named_by_its_kernels():
    found = assert_same(*plain())
    assert found.layers == ("w1", "w2", "w3")
    assert found.activations == ("relu", "tanh", "linear")
    assert found.shapes == ((5, 4), (5, 6), (5, 2))
    assert found.skipped == ()


def test_pre_and_post_are_what_the_layers_compute():
    function, params, inputs = plain()
    found = walk(function, params, inputs)
    _, aux, pre, post = found.tapped(params, at_rest(found), inputs)
    first = inputs @ params["w1"] + params["b1"]
    second = jnp.maximum(first, 0) @ params["w2"] + params["b2"]
    for got, wanted in zip(
        (*pre, *post), (first, second, aux, jnp.maximum(first, 0), jnp.tanh(second), aux), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_lists_of_pairs_and_two_lists_name_layers_by_their_place():
    pairs = {"net": [(normal(3, 4), normal(4)), (normal(4, 2), normal(2))]}
    lists = {"weights": [normal(3, 4), normal(4, 2)], "biases": [normal(4), normal(2)]}

    def of_pairs(params, inputs):
        (w1, b1), (w2, b2) = params["net"]
        return mean_square(jax.nn.softplus(inputs @ w1 + b1) @ w2 + b2)

    def of_lists(params, inputs):
        hidden = jax.nn.sigmoid(inputs @ params["weights"][0] + params["biases"][0])
        return mean_square(hidden @ params["weights"][1] + params["biases"][1])

    found = assert_same(of_pairs, pairs, normal(5, 3))
    assert (found.layers, found.activations) == (("net/0", "net/1"), ("softplus", "linear"))
    found = assert_same(of_lists, lists, normal(5, 3))
    assert (found.layers, found.activations) == (("weights/0", "weights/1"), ("sigmoid", "linear"))
    _, aux, pre, _ = found.tapped(lists, at_rest(found), normal(5, 3))
    np.testing.assert_array_equal(pre[-1], aux)  # the bias is in


class Perceptron(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(3, 8, rngs=rngs), nnx.Linear(8, 8, use_bias=False, rngs=rngs)])
        self.out = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, inputs):
        hidden = nnx.relu(self.layers[0](inputs))
        return self.out(nnx.sigmoid(self.layers[1](hidden)))


def of_nnx(model):
    definition, state = nnx.split(model)
    return lambda state, inputs: mean_square(nnx.merge(definition, state)(inputs)), state


def test_an_nnx_model():
    function, state = of_nnx(Perceptron(nnx.Rngs(0)))
    found = assert_same(function, state, normal(5, 3))
    assert found.layers == ("layers/0", "layers/1", "out")
    assert found.activations == ("relu", "sigmoid", "linear")
    assert found.shapes == ((5, 8), (5, 8), (5, 2))
    assert found.skipped == ()


@pytest.mark.parametrize("bias", [True, False])
def test_an_equinox_model_under_vmap_has_its_batch_in_front(bias):
    model = eqx.nn.MLP(3, 1, 4, 2, activation=jax.nn.softplus, use_bias=bias, key=jax.random.key(0))
    found = assert_same(*of_equinox(model), normal(5, 3))
    assert found.layers == ("layers/0", "layers/1", "layers/2")
    assert found.activations == ("softplus", "softplus", "linear")
    assert found.shapes == ((5, 4), (5, 4), (5, 1))


def test_convolutions_under_vmap():
    keys = jax.random.split(jax.random.key(0), 3)
    model = eqx.nn.Sequential(
        [
            eqx.nn.Conv2d(1, 4, 3, key=keys[0]),
            eqx.nn.Lambda(jax.nn.relu),
            eqx.nn.MaxPool2d(2, stride=2),
            eqx.nn.Conv2d(4, 2, 2, use_bias=False, key=keys[1]),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(8, 3, key=keys[2]),
        ]
    )
    found = assert_same(*of_equinox(model), normal(5, 1, 8, 8))
    assert found.layers == ("layers/0", "layers/3", "layers/6")
    assert found.activations == ("relu", "tanh", "linear")
    assert found.shapes == ((5, 4, 6, 6), (5, 2, 2, 2), (5, 3))
    assert found.skipped == ()


def test_an_ensemble_with_a_kernel_for_each_member():
    params = {"first": {"w": normal(7, 3, 4), "b": normal(7, 4)}, "second": {"w": normal(7, 4, 2)}}

    def one(params, inputs):
        return jnp.tanh(inputs @ params["first"]["w"] + params["first"]["b"]) @ params["second"]["w"]

    found = assert_same(lambda p, x: mean_square(jax.vmap(one, (0, None))(p, x)), params, normal(5, 3))
    assert (found.layers, found.activations) == (("first", "second"), ("tanh", "linear"))
    assert found.shapes == ((7, 5, 4), (7, 5, 2))


class Normalised(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(3, 8, rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.out = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, inputs):
        return self.out(nnx.relu(self.norm(self.hidden(inputs))))


def test_behind_a_layer_norm_the_activation_is_not_known():
    function, state = of_nnx(Normalised(nnx.Rngs(0)))
    found = assert_same(function, state, normal(5, 3))
    assert (found.layers, found.activations) == (("hidden", "out"), (None, "linear"))


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(2, 8, rngs=rngs, decode=False)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.up = nnx.Linear(8, 16, rngs=rngs)
        self.down = nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, inputs):
        inputs = inputs + self.attention(self.norm(inputs))
        return inputs + self.down(nnx.relu(self.up(inputs)))


def test_in_a_transformer_block_the_products_of_attention_are_no_layers():
    function, state = of_nnx(Block(nnx.Rngs(0)))
    found = assert_same(function, state, normal(2, 3, 8))
    projections = ("attention/query", "attention/key", "attention/value", "attention/out")
    assert sorted(found.layers[:3]) == sorted(projections[:3])
    assert found.layers[3:] == ("attention/out", "up", "down")
    assert found.activations == (None, None, None, None, "relu", "linear")
    assert found.shapes[:3] == ((2, 3, 2, 4),) * 3
    assert found.skipped == ()


class EquinoxBlock(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, key) -> None:
        keys = jax.random.split(key, 3)
        self.attention = eqx.nn.MultiheadAttention(2, 8, key=keys[0])
        self.up = eqx.nn.Linear(8, 16, key=keys[1])
        self.down = eqx.nn.Linear(16, 8, key=keys[2])

    def __call__(self, inputs):
        inputs = inputs + self.attention(inputs, inputs, inputs)
        return inputs + jax.vmap(lambda row: self.down(jax.nn.gelu(self.up(row))))(inputs)


def test_a_transformer_block_in_equinox():
    found = assert_same(*of_equinox(EquinoxBlock(jax.random.key(0))), normal(2, 3, 8))
    names = {f"attention/{name}_proj" for name in ("query", "key", "value")}
    assert set(found.layers[:3]) == names
    assert found.layers[3:] == ("attention/output_proj", "up", "down")
    assert found.activations == (None,) * 4 + ("gelu", "linear")
    assert found.shapes[-2:] == ((2, 3, 16), (2, 3, 8))


def test_dropout_and_batch_statistics_pass_through():
    class Model(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.hidden = nnx.Linear(3, 8, rngs=rngs)
            self.norm = nnx.BatchNorm(8, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, inputs):
            return self.dropout(nnx.relu(self.norm(self.hidden(inputs))))

    definition, weights, others = nnx.split(Model(nnx.Rngs(0)), nnx.Param, ...)

    def function(weights, others, inputs):
        model = nnx.merge(definition, weights, others, copy=True)
        value, _ = mean_square(model(inputs))
        return value, nnx.state(model, nnx.BatchStat)

    found = walk(function, weights, others, normal(5, 3))
    assert found.layers == ("hidden",)
    value, statistics, _, _ = found.tapped(weights, at_rest(found), others, normal(5, 3))
    wanted, wanted_statistics = function(weights, others, normal(5, 3))
    np.testing.assert_array_equal(value, wanted)
    jax.tree.map(np.testing.assert_array_equal, statistics, wanted_statistics)


# What is known of the activation.


@pytest.mark.parametrize(
    "activation, name",
    [
        (jax.nn.relu, "relu"),
        (lambda x: jnp.maximum(x, 0), "relu"),
        (lambda x: jnp.maximum(0.0, x), "relu"),
        (lambda x: jnp.maximum(x, jnp.zeros_like(x)), "relu"),
        (lambda x: jnp.clip(x, 0), "relu"),
        (jax.jit(lambda x: jnp.maximum(x, 0)), "relu"),
        (jnp.tanh, "tanh"),
        (jax.jit(jnp.tanh), "tanh"),
        (jax.nn.sigmoid, "sigmoid"),
        (jax.nn.softplus, "softplus"),
        (lambda x: jnp.logaddexp(x, 0.0), "softplus"),
        (lambda x: jax.nn.relu(x.astype(jnp.bfloat16)).astype(jnp.float32), "relu"),
        (jax.nn.relu6, None),
        (jax.nn.gelu, "gelu"),
        (functools.partial(jax.nn.gelu, approximate=False), "gelu"),
        (jax.nn.silu, "silu"),
        (lambda x: x * jax.nn.sigmoid(x), "silu"),
        (jax.nn.leaky_relu, "leaky_relu"),
        (jax.nn.elu, "elu"),
        (lambda x: jnp.maximum(x, 1), None),
        (lambda x: jnp.logaddexp(x, 1.0), None),
        (lambda x: x + jax.nn.relu(x), None),
        (lambda x: jnp.maximum(x, x[0]), None),
        (lambda x: jax.nn.relu(x[:, :2]).repeat(2, axis=1), None),
    ],
)
def test_only_what_is_certain_is_named(activation, name):
    params = {"first": {"w": normal(3, 4), "b": normal(4)}, "second": {"w": normal(4, 2)}}

    def function(params, inputs):
        hidden = activation(inputs @ params["first"]["w"] + params["first"]["b"])
        return mean_square(hidden @ params["second"]["w"])

    assert walk(function, params, normal(5, 3)).activations == (name, "linear")


def test_an_activation_that_ignores_the_layer_is_not_its_own():
    params = {"scale": normal(5, 4), "w1": normal(3, 4), "w2": normal(4, 2)}

    @jax.jit
    def gate(scale, hidden):
        return jax.nn.relu(scale) + 0 * hidden

    def function(params, inputs):
        return mean_square(gate(params["scale"], inputs @ params["w1"]) @ params["w2"])

    assert assert_same(function, params, normal(5, 3)).activations == (None, "linear")


@pytest.mark.parametrize("ending", [jax.nn.log_softmax, lambda x: x - jax.nn.logsumexp(x), lambda x: x * x[::-1]])
def test_of_a_loss_that_does_not_say_where_the_network_ends_the_output_is_not_known(ending):
    # Softmax belongs to the network or to the loss: what follows the last layer was once taken for the loss.
    params = {"w": normal(3, 4), "b": normal(4)}
    found = assert_same(lambda p, x: (-ending(x @ p["w"] + p["b"]).mean(), None), params, normal(5, 3))
    assert found.activations == (None,)


def test_a_residual_and_a_returned_output_say_that_it_is_linear():
    params = {"w": normal(3, 4), "b": normal(4)}
    found = assert_same(lambda p, x: (jnp.mean((x @ p["w"] + p["b"] - 1) ** 2), None), params, normal(5, 3))
    assert found.activations == ("linear",)
    found = assert_same(lambda p, x: mean_square(x @ p["w"] + p["b"]), params, normal(5, 3))
    assert found.activations == ("linear",)


def test_the_last_known_layer_is_not_final_before_one_that_is_not():
    params = {"w": normal(3, 4), "a": normal(4, 1), "b": normal(1, 2)}

    def function(params, inputs):
        return mean_square((inputs @ params["w"]) @ (params["a"] @ params["b"]))

    found = assert_same(function, params, normal(5, 3))
    assert (found.layers, found.activations) == (("w",), (None,))
    assert [sentence.split(":")[0] for sentence in found.skipped] == ["a", "b"]
