"""Activations known by their values, however they are written."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from downslope.networks.layers import activation as activation_of
from downslope.networks.layers import activation_names
from downslope.programs import find_layers, straighten


def layers_of(function, *arrays):
    """Return the layers of a function whose first argument is a dict of parameters."""
    program = straighten(jax.make_jaxpr(function)(*arrays), len(arrays[0]))
    return find_layers(program, tuple(sorted(arrays[0])))


def name_of(activation):
    """Return the name that an activation gets between two layers."""
    params = {"a": np.ones((3, 4), np.float32), "b": np.ones((4, 2), np.float32)}
    first, _ = layers_of(lambda p, x: jnp.sum(activation(x @ p["a"]) @ p["b"]), params, np.ones((5, 3), np.float32))
    return first.activation


def sigmoid_by_hand(z):
    return 1 / (1 + jnp.exp(-z))


SPELLINGS = {
    "relu": [
        jax.nn.relu,
        nnx.relu,
        lambda z: z * (z > 0),
        lambda z: jnp.where(z < 0, 0, z),
        lambda z: (z + abs(z)) / 2,
    ],
    "tanh": [jnp.tanh, lambda z: jnp.sinh(z) / jnp.cosh(z), lambda z: 2 * sigmoid_by_hand(2 * z) - 1],
    "sigmoid": [jax.nn.sigmoid, sigmoid_by_hand, lambda z: 0.5 * (1 + jnp.tanh(z / 2)), lax.logistic],
    "softplus": [
        jax.nn.softplus,
        lambda z: jnp.log(1 + jnp.exp(z)),
        lambda z: jnp.log1p(jnp.exp(-abs(z))) + jnp.maximum(z, 0),
        jnp.vectorize(jax.nn.softplus),
    ],
    "gelu": [jax.nn.gelu, lambda z: jax.nn.gelu(z, approximate=False), lambda z: z / 2 * (1 + lax.erf(z / 2**0.5))],
    "silu": [jax.nn.silu, lambda z: z * jax.nn.sigmoid(z), jax.jit(lambda z: z / (1 + jnp.exp(-z)))],
    "elu": [jax.nn.elu, lambda z: jnp.where(z > 0, z, jnp.exp(z) - 1)],
    "selu": [jax.nn.selu],
    "leaky_relu": [jax.nn.leaky_relu, lambda z: jnp.maximum(z, 0.2 * z), lambda z: jnp.where(z > 0, z, z / 10)],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_an_activation_has_one_name_in_every_spelling(name: str) -> None:
    assert [name_of(spelling) for spelling in SPELLINGS[name]] == [name] * len(SPELLINGS[name])


def test_every_built_in_activation_that_maps_single_numbers_is_known() -> None:
    names = set(activation_names()) - {"linear", "exponential", "softmax"}
    assert {name: name_of(activation_of(name).function) for name in names} == {name: name for name in names}


@pytest.mark.parametrize(
    "activation",
    [
        jax.nn.relu6,
        jnp.sin,
        jnp.exp,
        jax.nn.softmax,
        lambda z: jnp.exp(z) / jnp.exp(z).sum(1, keepdims=True),
        lambda z: z**2,
        lambda z: jnp.maximum(z, 1),
        lambda z: jnp.tanh(2 * z),
        lambda z: z + jax.nn.relu(z),
        lambda z: z * jax.nn.sigmoid(z).mean(1, keepdims=True),
        lambda z: jnp.maximum(z, z[:1]),
        lambda z: z + jnp.roll(z, 1),
        lambda z: lax.sort(z),
        lambda z: z.astype(jnp.int32).astype(jnp.float32),
        lambda z: z - z.mean(1, keepdims=True),
    ],
)
def test_what_is_not_known_has_no_name(activation) -> None:
    assert name_of(activation) is None


def test_what_goes_into_the_next_product_as_it_is_is_linear() -> None:
    assert [name_of(lambda z: z), name_of(lambda z: z.T.T)] == ["linear", "linear"]
    assert name_of(lambda z: 2 * z) is None


def test_behind_dropout_and_scaling_an_activation_keeps_its_name_and_its_own_values() -> None:
    params = {"a": np.ones((3, 4), np.float32), "b": np.ones((4, 2), np.float32)}

    def loss(p, x, mask):
        return jnp.sum(jnp.where(mask, jax.nn.relu(x @ p["a"]) / 0.9, 0) @ p["b"])

    first, _ = layers_of(loss, params, np.ones((5, 3), np.float32), np.ones((5, 4), bool))
    assert first.activation == "relu"
    assert first.post is not first.pre


@pytest.mark.parametrize("output", [jax.nn.softmax, lambda z: z / jnp.linalg.norm(z), lambda z: z**3])
def test_an_output_that_is_not_known_is_never_called_linear(output) -> None:
    model = eqx.nn.MLP(3, 4, 8, 1, key=jax.random.key(0))
    params, fixed = eqx.partition(model, eqx.is_inexact_array)
    leaves, form = jax.tree.flatten(params)

    def loss(p, x, t):
        whole = eqx.combine(jax.tree.unflatten(form, list(p.values())), fixed)
        return jnp.mean((jax.vmap(lambda row: output(whole(row)))(x) - t) ** 2)

    named = {str(index): leaf for index, leaf in enumerate(leaves)}
    (*_, last) = layers_of(loss, named, np.ones((5, 3), np.float32), np.ones((5, 4), np.float32))
    assert last.activation is None
