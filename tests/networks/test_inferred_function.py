"""The function that computes what the original does: perturbations, where it is used, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope._engine import precision
from downslope._errors import DataError, ObjectiveError, PointError
from downslope.networks.models._inferred import walk
from tests.networks.walks import assert_same, at_rest, mean_square, normal, of_equinox, plain


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


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
