"""Layers inferred from a jaxpr: their names, and those inside of programs of their own."""

from __future__ import annotations

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope._engine import precision
from downslope.networks.models._inferred import walk
from tests.networks.walks import assert_same, at_rest, mean_square, normal


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


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
    assert found.activations == ("linear", "tanh", "tanh", "linear")


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
