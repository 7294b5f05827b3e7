"""Graphs of JAX functions against `jax.grad`."""

from __future__ import annotations

import json
import math

import jax
import numpy as np
import pytest
from graph_pictures import overlaps
from jax import numpy as jnp

import downslope as ds


def layer(point: dict) -> jax.Array:
    hidden = jnp.tanh(point["w"] @ point["x"] + point["b"])
    return jnp.sum(hidden**2) + jax.nn.softplus(jnp.sum(hidden)) * point["b"][0]


def test_a_function_of_arrays() -> None:
    rng = np.random.default_rng(1)
    point = {"w": rng.normal(size=(3, 2)), "x": rng.normal(size=2), "b": rng.normal(size=3)}
    found = ds.backprop(layer, at=point)
    with jax.enable_x64(True):
        true = jax.grad(layer)(point)
    for name in point:
        np.testing.assert_allclose(found.gradient[name], true[name], rtol=1e-12)
    assert found.largest_difference < 1e-12
    assert [node.label for node in found.nodes][:3] == ["b", "w", "x"]
    product = next(edge for edge in found.edges if edge.source == "w")
    assert (product.operation, product.local) == ("matrix product", None)
    assert f"norm {np.linalg.norm(true['w']):.4g}" in str(found)


@pytest.mark.parametrize(
    ("function", "at"),
    [
        (lambda x: x * x * jnp.sin(x) + jnp.where(x > 0, x**3, 2.0) + jax.nn.silu(x) / x - 2 * x, 0.7),
        (lambda x: jax.lax.fori_loop(0, 3, lambda _, carried: carried * x, x), 1.5),
        (lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x) + jax.lax.stop_gradient(x) * x, 1.5),
        (jax.jit(lambda x: jax.jit(jnp.sin)(x) + jax.checkpoint(jnp.exp)(x)), 0.3),
        (lambda x: jnp.sort(x) @ jnp.arange(3.0), [3.0, 1.0, 2.0]),
        (lambda x: jnp.linalg.eigh(x + x.T)[0][0], np.array([[1.0, 2.0], [0.0, 3.0]])),
        (lambda x: -jax.nn.log_softmax(x)[1], [3.0, 1.0, 2.0]),
        (lambda x: x[jnp.argmax(x)] ** 2, [1.0, 5.0, 2.0]),
        (lambda p: jnp.mean(jax.vmap(lambda t: jnp.sin(t * p["w"]))(jnp.arange(4.0))), {"w": 0.3}),
        (lambda p: p["a"][0] * p["a"][1]["b"] - p["c"] + p["c"], {"a": (1.0, {"b": 2.0}), "c": 3.0}),
        (lambda p: p["x"], {"x": 1.0, "y": 2.0}),
        (lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)[1:]) ** 3) * jnp.abs(jnp.sum(x) * (1 + 2j)), [1.0, 5.0, 2.0]),
        (lambda x: jnp.float32(3.0) * jnp.ones(()), 1.0),
    ],
)
def test_programs_against_jax(function, at) -> None:
    found = ds.backprop(function, at=at)
    assert found.largest_difference <= 1e-12
    assert max(map(len, str(found).splitlines())) <= 100
    assert not overlaps(found.svg())
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_rule_of_ones_own_is_followed() -> None:
    @jax.custom_vjp
    def loud(x):
        return x**2

    loud.defvjp(lambda x: (x**2, x), lambda x, arriving: (100 * x * arriving,))
    found = ds.backprop(lambda x: 3 * loud(x), at=2.0)
    assert found.gradient["value"] == 600
    assert found.largest_difference == 0
    assert [node.operation for node in found.nodes] == ["given", "loud", "product"]


def test_scalar_edges_of_a_program_have_symbols_and_numbers() -> None:
    found = ds.backprop(lambda p: jnp.tanh(p["w"] * p["x"]) / p["w"], at={"w": 0.5, "x": 2.0})
    edges = {(edge.source, edge.target): (edge.symbol, edge.local) for edge in found.edges}
    assert edges[("z₁", "z₂")] == ("1 - z₂²", pytest.approx(1 - math.tanh(1) ** 2))
    assert edges[("w", "z₁")] == ("x", 2)
    assert edges[("w", "f")] == ("-f/w", pytest.approx(-math.tanh(1) / 0.25))
    assert found["f"].name == "tanh(w·x)/w"


def test_an_objective_of_either_kind() -> None:
    one = ds.backprop(ds.objective("f(x) = x³"), at={"x": 2})
    other = ds.backprop(ds.objective(lambda point: point["x"] ** 3, name="cubed", precision="float32"), at={"x": 2.0})
    assert one.gradient["x"] == other.gradient["x"] == 12
    assert other.name == "cubed"
    assert other.nodes[0].value.dtype == np.float32
