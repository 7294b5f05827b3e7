"""What the tests of inferred layers share: small networks, and a walk held against its original."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from downslope.networks.models._inferred import Walk, walk


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
    _, _, pre, post = jax.eval_shape(found.tapped, params, at_rest(found), *rest)
    assert tuple(array.shape for array in pre) == found.shapes
    assert tuple(array.shape for array in post) == found.shapes
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


def of_equinox(model, apply=jax.vmap):
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return lambda params, inputs: mean_square(apply(eqx.combine(params, static))(inputs)), params
