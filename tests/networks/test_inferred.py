"""Layers inferred from a jaxpr: their names, their activations, and a function that computes what the original does."""

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
from downslope._errors import DataError, ObjectiveError, PointError
from downslope.networks._inferred import Walk, walk


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


def normal(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def at_rest(found: Walk) -> tuple:
    return tuple(jnp.zeros(shape) for shape in found.shapes)


def assert_same(function, params, *rest) -> Walk:
    """Walk the function and hold value, aux and gradient against the original's, bit for bit when both are compiled."""
    found = walk(function, params, *rest)
    assert len(found.layers) == len(found.activations) == len(found.shapes)

    def tapped(params, perturbations, *rest):
        value, aux, *_ = found.tapped(params, perturbations, *rest)
        return value, aux

    wanted = jax.jit(jax.value_and_grad(function, has_aux=True))(params, *rest)
    got = jax.jit(jax.value_and_grad(tapped, has_aux=True))(params, at_rest(found), *rest)
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(np.testing.assert_array_equal, got, wanted)
    _, _, pre, post = found.tapped(params, at_rest(found), *rest)
    assert tuple(array.shape for array in pre) == found.shapes
    assert tuple(array is None for array in post) == tuple(name is None for name in found.activations)
    return found


def mean_square(outputs):
    return jnp.mean(outputs**2), outputs


def plain():
    params = {
        "w1": normal(3, 4),
        "b1": normal(4, seed=1),
        "w2": normal(4, 6, seed=2),
        "b2": normal(6, seed=3),
        "w3": normal(6, 2, seed=4),
    }

    def function(params, inputs):
        hidden = jax.nn.relu(inputs @ params["w1"] + params["b1"])
        hidden = jnp.tanh(params["b2"] + hidden @ params["w2"])
        return mean_square(hidden @ params["w3"])

    return function, params, normal(5, 3, seed=9)


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


def of_equinox(model, apply=jax.vmap):
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return lambda params, inputs: mean_square(apply(eqx.combine(params, static))(inputs)), params


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
    assert found.activations == (None,) * 5 + ("linear",)
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
        (jax.nn.gelu, None),
        (functools.partial(jax.nn.gelu, approximate=False), None),
        (jax.nn.silu, None),
        (lambda x: x * jax.nn.sigmoid(x), None),
        (jax.nn.leaky_relu, None),
        (jax.nn.elu, None),
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


@pytest.mark.parametrize("ending", [jax.nn.log_softmax, lambda x: jnp.log1p(jnp.exp(-jnp.abs(x))) + jnp.maximum(x, 0)])
def test_what_follows_the_last_layer_is_the_loss(ending):
    params = {"w": normal(3, 4), "b": normal(4)}
    found = assert_same(lambda p, x: (-ending(x @ p["w"] + p["b"]).mean(), None), params, normal(5, 3))
    assert found.activations == ("linear",)


def test_the_last_known_layer_is_not_final_before_one_that_is_not():
    params = {"w": normal(3, 4), "a": normal(4, 1), "b": normal(1, 2)}

    def function(params, inputs):
        return mean_square((inputs @ params["w"]) @ (params["a"] @ params["b"]))

    found = assert_same(function, params, normal(5, 3))
    assert (found.layers, found.activations) == (("w",), (None,))
    assert [sentence.split(":")[0] for sentence in found.skipped] == ["a", "b"]


# Names.


def test_a_kernel_that_is_used_twice_is_numbered():
    params = {"in": {"w": normal(3, 4)}, "loop": {"w": normal(4, 4), "b": normal(4)}}

    def function(params, inputs):
        hidden = inputs @ params["in"]["w"]
        for _ in range(2):
            hidden = jnp.tanh(hidden @ params["loop"]["w"] + params["loop"]["b"])
        return mean_square(hidden @ params["in"]["w"].T)

    found = assert_same(function, params, normal(5, 3))
    assert found.layers == ("in", "loop", "loop (2)", "in (2)")
    assert found.activations == (None, "tanh", "tanh", "linear")


def test_kernels_that_share_a_branch_go_by_their_own_names():
    cell = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
    params, static = eqx.partition({"cell": cell}, eqx.is_inexact_array)

    def function(params, inputs):
        step = eqx.combine(params, static)["cell"]
        return mean_square(jax.vmap(step)(inputs, jnp.zeros((5, 4))))

    assert set(assert_same(function, params, normal(5, 3)).layers) == {"cell/weight_ih", "cell/weight_hh"}


def test_a_kernel_called_value_keeps_its_name():
    params = {"heads": {"query": normal(3, 4), "value": normal(3, 4)}}

    def function(params, inputs):
        return mean_square((inputs @ params["heads"]["query"]) * (inputs @ params["heads"]["value"]))

    assert assert_same(function, params, normal(5, 3)).layers == ("heads/query", "heads/value")


def test_slices_of_stacked_kernels_are_layers():
    params = {"w": normal(3, 4, 4), "b": normal(3, 4)}

    def function(params, inputs):
        for place in range(3):
            inputs = jax.nn.relu(inputs @ params["w"][place] + params["b"][place])
        return mean_square(inputs)

    found = assert_same(function, params, normal(5, 4))
    assert (found.layers, found.activations) == (("w", "w (2)", "w (3)"), ("relu",) * 3)


def test_data_that_the_function_closes_over_is_data():
    inputs, params = normal(5, 3), {"w1": normal(3, 4), "w2": normal(4, 2)}
    found = assert_same(lambda p: mean_square(jnp.tanh(inputs @ p["w1"]) @ p["w2"]), params)
    assert (found.layers, found.activations) == (("w1", "w2"), ("tanh", "linear"))


def test_weight_decay_is_no_layer():
    def function(params, inputs):
        value, outputs = mean_square(inputs @ params["w"])
        return value + jnp.vdot(params["w"], params["w"]) + jnp.vdot(params["v"], params["v"]), outputs

    assert assert_same(function, {"w": normal(3, 4), "v": normal(4)}, normal(5, 3)).layers == ("w",)


# What holds programs of its own.


def test_calls_are_opened_where_a_layer_is_inside():
    linear = jax.jit(lambda w, b, x: jnp.einsum("bi,ij->bj", x, w) + b)
    params = {"a": {"w": normal(3, 3), "b": normal(3)}, "c": {"w": normal(3, 3), "b": normal(3)}}

    def function(params, inputs):
        hidden = jax.nn.relu(linear(params["a"]["w"], params["a"]["b"], inputs))
        last = jax.checkpoint(lambda x: jnp.tanh(linear(params["c"]["w"], params["c"]["b"], x)))
        return mean_square(last(hidden))

    found = assert_same(function, params, normal(5, 3))
    assert (found.layers, found.activations) == (("a", "c"), ("relu", "tanh"))
    opened = str(jax.make_jaxpr(found.tapped)(params, at_rest(found), normal(5, 3)))
    assert "custom_jvp_call" in opened  # relu's own rule at 0
    assert "einsum" not in opened


def test_a_program_called_twice_is_two_layers():
    params = [{"w": normal(4, 4, seed=seed), "b": normal(4)} for seed in range(2)]
    layer = jax.jit(lambda layer, x: jax.nn.relu(x @ layer["w"] + layer["b"]))
    found = assert_same(lambda p, x: mean_square(layer(p[1], layer(p[0], x))), params, normal(5, 4))
    assert (found.layers, found.activations) == (("0", "1"), ("relu", "relu"))


@jax.custom_vjp
def doubled_gradient(kernel, inputs):
    return inputs @ kernel


doubled_gradient.defvjp(
    lambda kernel, inputs: (inputs @ kernel, (kernel, inputs)),
    lambda saved, cotangent: (2 * saved[1].T @ cotangent, cotangent @ saved[0].T),
)


@jax.custom_jvp
def scaled(inputs):
    return inputs * 1.0


scaled.defjvp(lambda primals, tangents: (scaled(primals[0]), 3 * tangents[0]))


def test_derivative_rules_stay():
    params = {"w1": normal(3, 4), "w2": normal(4, 4), "w3": normal(4, 2)}

    def function(params, inputs):
        hidden = scaled(jnp.tanh(inputs @ params["w1"]))
        return mean_square(doubled_gradient(params["w2"], hidden) @ params["w3"])

    found = assert_same(function, params, normal(5, 3))
    assert found.layers == ("w1", "w3")
    assert found.skipped == ("w2: used inside a function with a derivative rule of its own, which has to stay whole.",)


def test_layers_in_a_scan_are_skipped_with_a_sentence():
    params = {
        "in": {"w": normal(3, 4)},
        "layers": {"w": normal(6, 4, 4), "b": normal(6, 4)},
        "out": {"w": normal(4, 1)},
    }

    def function(params, inputs):
        def layer(hidden, layer):
            return jax.nn.relu(hidden @ layer["w"] + layer["b"]), None

        hidden, _ = jax.lax.scan(layer, inputs @ params["in"]["w"], params["layers"])
        return mean_square(hidden @ params["out"]["w"])

    found = assert_same(function, params, normal(5, 3))
    assert (found.layers, found.activations) == (("in", "out"), (None, "linear"))
    (sentence,) = found.skipped
    assert sentence.startswith("layers/w: used inside a `scan`")


def test_layers_in_a_cond_and_a_while_loop_are_skipped():
    params = {"w1": normal(3, 3), "w2": normal(3, 3)}

    def function(params, inputs):
        hidden = jax.lax.cond(inputs.sum() > 0, lambda x: x @ params["w1"], lambda x: x, inputs)
        _, frozen = jax.lax.while_loop(
            lambda state: state[0] < 2,
            lambda state: (state[0] + 1, state[1] @ params["w2"]),
            (0, jax.lax.stop_gradient(hidden)),
        )
        return hidden.sum() + frozen.sum(), None

    found = walk(function, params, normal(5, 3))
    assert found.layers == ()
    assert [(sentence[:2], sentence.split("`")[1]) for sentence in found.skipped] == [("w1", "cond"), ("w2", "while")]
    value, *_ = found.tapped(params, (), normal(5, 3))
    np.testing.assert_array_equal(value, function(params, normal(5, 3))[0])


def test_an_embedding_is_no_layer_until_it_is_multiplied():
    params = {"table": normal(10, 4), "out": {"w": normal(4, 4)}}
    tokens = jnp.asarray([[1, 2, 3], [4, 5, 6]])

    def lookup(params, tokens):
        return mean_square(params["table"][tokens] @ params["out"]["w"])

    def tied(params, tokens):
        return mean_square(params["table"][tokens] @ params["out"]["w"] @ params["table"].T)

    found = assert_same(lookup, params, tokens)
    assert found.layers == ("out",)
    assert [sentence.split(":")[0] for sentence in found.skipped] == ["table"]
    found = assert_same(tied, params, tokens)
    assert (found.layers, found.skipped) == (("out", "table"), ())


# Perturbations.


def test_units_stand_last_also_where_the_kernel_does_first():
    params = {"w": normal(4, 3), "b": normal(4, 1)}

    def function(params, columns):
        hidden = params["w"] @ columns + params["b"]
        return jnp.tanh(hidden).sum(), hidden

    found = assert_same(function, params, normal(3, 5))
    assert found.shapes == ((5, 4),)
    nudge = normal(5, 4, seed=7)
    _, hidden, (pre,), (post,) = found.tapped(params, (nudge,), normal(3, 5))
    np.testing.assert_array_equal(post, jnp.tanh(pre))
    np.testing.assert_allclose(hidden, params["w"] @ normal(3, 5) + params["b"] + nudge.T, rtol=1e-6)
    np.testing.assert_array_equal(pre, hidden.T)
    gradient = jax.grad(lambda nudge: found.tapped(params, (nudge,), normal(3, 5))[0])(nudge)
    np.testing.assert_allclose(gradient, 1 - jnp.tanh(pre) ** 2, rtol=1e-5, atol=1e-6)


def test_gradients_of_the_pre_activations_by_hand():
    function, params, inputs = plain()
    found = walk(function, params, inputs)

    def value(perturbations):
        return found.tapped(params, perturbations, inputs)[0]

    _, outputs, pre, post = found.tapped(params, at_rest(found), inputs)
    third = 2 * outputs / outputs.size
    second = (third @ params["w3"].T) * (1 - post[1] ** 2)
    first = (second @ params["w2"].T) * (pre[0] > 0)
    for got, wanted in zip(jax.grad(value)(at_rest(found)), (first, second, third), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_gradients_of_the_pre_activations_by_finite_differences():
    with precision("float64"):
        model = eqx.nn.MLP(3, 1, 4, 2, activation=jnp.tanh, key=jax.random.key(0), dtype=jnp.float64)
        function, params = of_equinox(model)
        inputs = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)))
        found = walk(function, params, inputs)
        value = jax.jit(lambda perturbations: found.tapped(params, perturbations, inputs)[0])
        gradients = jax.grad(value)(at_rest(found))
        for layer, shape in enumerate(found.shapes):
            for index in np.ndindex(*shape):
                nudge = [jnp.zeros(shape) for shape in found.shapes]
                nudge[layer] = nudge[layer].at[index].set(1e-5)
                back = tuple(-array for array in nudge)
                difference = (value(tuple(nudge)) - value(back)) / 2e-5
                np.testing.assert_allclose(gradients[layer][index], difference, rtol=1e-6, atol=1e-9)


def test_a_perturbation_reaches_everything_that_reads_the_layer():
    params = {"w": normal(3, 4)}

    def function(params, inputs):
        hidden = inputs @ params["w"]
        return hidden.sum() + jnp.tanh(hidden).sum(), hidden

    found = walk(function, params, normal(5, 3))
    value, hidden, (pre,), (post,) = found.tapped(params, (jnp.ones((5, 4)),), normal(5, 3))
    np.testing.assert_array_equal(hidden, normal(5, 3) @ params["w"] + 1)
    np.testing.assert_array_equal(hidden, pre)
    np.testing.assert_array_equal(hidden, post)
    np.testing.assert_allclose(value, hidden.sum() + jnp.tanh(hidden).sum(), rtol=1e-6)


def test_half_precision_takes_perturbations_of_any_type():
    params = {"w": normal(3, 4).astype(jnp.bfloat16)}
    found = walk(lambda p, x: ((x.astype(jnp.bfloat16) @ p["w"]).sum(), None), params, normal(5, 3))
    _, _, (pre,), _ = found.tapped(params, at_rest(found), normal(5, 3))
    assert pre.dtype == jnp.bfloat16


# Where it is used.


def test_a_compiled_descent_over_it_is_the_descent_over_the_original():
    function, params, inputs = plain()
    found = walk(function, params, inputs)
    batches = normal(20, 5, 3, seed=5)

    def descend(gradient):
        def step(params, batch):
            slope, record = gradient(params, batch)
            return jax.tree.map(lambda leaf, change: leaf - 0.1 * change, params, slope), record

        return jax.jit(lambda params: jax.lax.scan(step, params, batches))(params)

    def tapped(params, batch):
        def value(params, perturbations):
            value, _, pre, post = found.tapped(params, perturbations, batch)
            return value, (value, pre, post)

        (slope, of_layers), (value, pre, post) = jax.grad(value, argnums=(0, 1), has_aux=True)(params, at_rest(found))
        return slope, (value, [jnp.abs(array).mean() for array in (*of_layers, *pre, *post)])

    def original(params, batch):
        value, slope = jax.value_and_grad(lambda params: function(params, batch)[0])(params)
        return slope, value

    end, (values, records) = descend(tapped)
    wanted_end, wanted_values = descend(original)
    np.testing.assert_allclose(values, wanted_values, rtol=1e-5)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6), end, wanted_end)
    assert all(np.all(record > 0) for record in records)


def test_inside_a_while_loop():
    function, params, inputs = plain()
    found = walk(function, params, inputs)
    gradient = jax.grad(lambda params: found.tapped(params, at_rest(found), inputs)[0])

    def body(state):
        count, params = state
        return count + 1, jax.tree.map(lambda leaf, change: leaf - 0.1 * change, params, gradient(params))

    _, end = jax.jit(lambda params: jax.lax.while_loop(lambda state: state[0] < 30, body, (0, params)))(params)
    assert function(end, inputs)[0] < function(params, inputs)[0]


def test_a_walk_inside_a_trace():
    function, params, inputs = plain()

    @jax.jit
    def value(params, inputs):
        found = walk(function, params, inputs)
        return found.tapped(params, at_rest(found), inputs)[0]

    np.testing.assert_allclose(value(params, inputs), function(params, inputs)[0], rtol=1e-6)


def test_second_derivatives():
    function, params, inputs = plain()
    found = walk(function, params, inputs)

    def curvature(function):
        return jax.jvp(jax.grad(function), (params,), (params,))[1]

    got = curvature(lambda params: found.tapped(params, at_rest(found), inputs)[0])
    wanted = curvature(lambda params: function(params, inputs)[0])
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), got, wanted)


# At the door.


def test_another_shape_is_refused_with_its_name():
    function, params, inputs = plain()
    found = walk(function, params, inputs)
    with pytest.raises(DataError, match=r"argument 2 is float32\[7, 3\], but .* float32\[5, 3\]"):
        found.tapped(params, at_rest(found), normal(7, 3))
    with pytest.raises(PointError, match=r"w1 is float32\[3, 5\]"):
        found.tapped(params | {"w1": normal(3, 5)}, at_rest(found), inputs)
    with pytest.raises(PointError, match="other names"):
        found.tapped(params | {"w4": normal(3, 5)}, at_rest(found), inputs)
    with pytest.raises(DataError, match="perturbations"):
        found.tapped(params, at_rest(found)[:2], inputs)


def test_arguments_in_trees_are_named():
    def function(params, batch):
        return mean_square(batch["x"] @ params["w"])

    found = walk(function, {"w": normal(3, 4)}, {"x": normal(5, 3)})
    with pytest.raises(DataError, match=r"argument 2, x, is"):
        found.tapped({"w": normal(3, 4)}, at_rest(found), {"x": normal(6, 3)})


@pytest.mark.parametrize("returned", [lambda y: y.sum(), lambda y: (y, None), lambda y: (y.sum(), None, None)])
def test_a_function_that_returns_no_pair_is_refused(returned):
    with pytest.raises(ObjectiveError, match="a pair"):
        walk(lambda params: returned(params["w"]), {"w": normal(3)})
