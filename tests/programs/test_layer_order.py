"""Depth as the longest path, branches, bypasses and normalisations, from programs written by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope.programs import find_layers, straighten

X = np.ones((5, 4), np.float32)


def orders(function, kernels: str, *arrays, square: int = 4):
    """Return where each layer lies, by its kernel, of a loss of (kernels by letter, inputs, …)."""
    params = {letter: np.eye(square, dtype=np.float32) for letter in sorted(kernels)}
    program = straighten(jax.make_jaxpr(function)(params, *arrays), len(params))
    names = tuple(params)
    return {names[layer.kernel]: layer.order for layer in find_layers(program, names)}


def norm(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6)


def test_a_chain_is_as_deep_as_it_is_long() -> None:
    found = orders(lambda p, x: jnp.sum(jnp.tanh(jnp.tanh(x @ p["a"]) @ p["b"]) @ p["c"]), "abc", X)
    assert [(order.depth, order.height) for order in found.values()] == [(0, 2), (1, 1), (2, 0)]
    assert all(order.is_only_way and not order.bypassed and not order.normalised for order in found.values())


def attention(p, x):
    return jax.nn.softmax((x @ p["q"]) @ (x @ p["k"]).T) @ (x @ p["v"])


def test_query_key_and_value_are_side_by_side() -> None:
    found = orders(lambda p, x: jnp.sum(attention(p, x @ p["a"]) @ p["o"]), "aqkvo", X)
    assert {name: (order.depth, order.height) for name, order in found.items()} == {
        "a": (0, 2), "q": (1, 1), "k": (1, 1), "v": (1, 1), "o": (2, 0),
    }  # fmt: skip
    assert [name for name, order in found.items() if order.is_only_way] == ["a", "o"]
    assert not any(order.bypassed for order in found.values())


def test_around_a_residual_branch_there_is_a_path_without_a_layer() -> None:
    def loss(p, x):
        x = x @ p["a"]
        x = x + jax.nn.relu(x @ p["b"]) @ p["c"]
        return jnp.sum(x @ p["d"])

    found = orders(loss, "abcd", X)
    assert {name: order.bypassed for name, order in found.items()} == {"a": False, "b": True, "c": True, "d": False}
    assert [name for name, order in found.items() if order.is_only_way] == ["a", "d"]
    assert [order.depth for order in found.values()] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, y: jnp.concatenate([x, y], 1),
        lambda x, y: 0.3 * x + 0.7 * y,
        lambda x, y: norm(x + y),
        lambda x, y: jnp.where(x > 0, x, y),
    ],
)
def test_so_there_is_beside_concatenations_gates_and_normalised_sums(joined) -> None:
    def loss(p, x):
        x = x @ p["a"]
        return jnp.sum(joined(x, jnp.tanh(x @ p["b"]))[:, :4] @ p["c"])

    found = orders(loss, "abc", X)
    assert [order.bypassed for order in found.values()] == [False, True, False]


def test_branches_of_unequal_length_are_no_bypass() -> None:
    def loss(p, x):
        x = x @ p["a"]
        return jnp.sum((x @ p["b"] + jnp.tanh(x @ p["c"]) @ p["d"]) @ p["e"])

    found = orders(loss, "abcde", X)
    assert [(order.depth, order.height) for order in found.values()] == [(0, 3), (1, 1), (1, 2), (2, 1), (3, 0)]
    assert not any(order.bypassed for order in found.values())


def test_inputs_that_are_read_again_later_make_a_second_way_but_carry_no_gradient() -> None:
    found = orders(lambda p, x: jnp.sum((jnp.tanh(x @ p["a"]) @ p["b"] + x) @ p["c"]), "abc", X)
    assert [order.bypassed for order in found.values()] == [False] * 3
    assert [order.is_only_way for order in found.values()] == [False, False, True]


def test_a_random_key_is_no_data() -> None:
    def loss(p, x, key):
        hidden = jnp.tanh(x @ p["a"]) * jax.random.bernoulli(key, 0.5, x.shape)
        return jnp.sum(hidden @ p["b"])

    assert all(order.is_only_way for order in orders(loss, "ab", X, jax.random.key(0)).values())


NORMS = {
    "layer norm": norm,
    "root mean square": lambda x: x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6),
    "batch norm": lambda x: (x - x.mean(0)) / jnp.sqrt(jnp.var(x, 0) + 1e-5) * 2 + 1,
    "scaled inverse": lambda x: (x - x.mean(0)) * (jax.lax.rsqrt(jnp.var(x, 0) + 1e-5) * jnp.arange(4.0)),
    "standardize": lambda x: jax.nn.standardize(x),
    "unit length": lambda x: x / jnp.linalg.norm(x, axis=-1, keepdims=True),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_normalisation_behind_a_layer_is_seen(name: str) -> None:
    def loss(p, x):
        return jnp.sum(jax.nn.relu(NORMS[name](x @ p["a"])) @ p["b"])

    found = orders(loss, "ab", X)
    assert [order.normalised for order in found.values()] == [True, False]


def test_so_it_is_behind_a_residual_sum_for_all_that_goes_into_the_sum() -> None:
    def loss(p, x):
        x = x @ p["a"]
        x = norm(x + attention(p, x))
        return jnp.sum(x @ p["o"])

    found = orders(loss, "aqkvo", X)
    # What the first layer makes is read by query, key and value as it is.
    assert {name for name, order in found.items() if order.normalised} == {"q", "k", "v"}


@pytest.mark.parametrize(
    "between",
    [
        jax.nn.softmax,
        lambda x: x - x.mean(-1, keepdims=True),
        lambda x: x / jnp.sqrt(x.shape[1]),
        lambda x: x.mean(0, keepdims=True) * jnp.ones((5, 4)),
        lambda x: jnp.sqrt(jnp.abs(x)),
        lambda x: x + norm(x),
    ],
)
def test_what_keeps_the_scale_is_no_normalisation(between) -> None:
    found = orders(lambda p, x: jnp.sum(between(x @ p["a"]) @ p["b"]), "ab", X)
    assert not found["a"].normalised
