"""Networks, and objects that backprop refuses with a sentence."""

from __future__ import annotations

import math
import re

import equinox
import jax
import numpy as np
import pytest
from graph_pictures import overlaps
from jax import numpy as jnp

import downslope as ds


@pytest.fixture
def network() -> equinox.nn.MLP:
    return equinox.nn.MLP(2, 1, 3, 2, activation=jnp.tanh, key=jax.random.key(0))


def test_a_network_on_one_example(network: equinox.nn.MLP) -> None:
    example = np.array([0.5, -1.0])
    found = ds.backprop(network, at=example, loss=lambda prediction: (prediction[0] - 1) ** 2)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(float) if equinox.is_array(leaf) else leaf, network)
        true = equinox.filter_grad(lambda net: (net(example)[0] - 1) ** 2)(wide)
    np.testing.assert_allclose(found.gradient["layers/0/weight"], true.layers[0].weight, rtol=1e-10)
    np.testing.assert_allclose(found.gradient["layers/2/bias"], true.layers[2].bias, rtol=1e-10)
    assert found.gradient["input"].shape == (2,)
    assert found["z₁"].name == "layers/0/weight @ input"
    assert found.read_as == "MLP on one example"
    assert not overlaps(found.svg())


def test_a_network_that_gives_one_number_needs_no_loss(network: equinox.nn.MLP) -> None:
    one = ds.backprop(network, at=[0.5, -1.0])
    other = ds.backprop(lambda net: net(jnp.array([0.5, -1.0]))[0], at=network)
    np.testing.assert_allclose(one.gradient["layers/1/weight"], other.gradient["layers/1/weight"], rtol=1e-12)


@pytest.mark.parametrize(
    ("thing", "settings", "error", "told"),
    [
        ("x·y", {"at": {"x": 1}}, ds.PointError, "has no value for y"),
        ("x·y", {"at": {"x": 1, "yy": 2, "y": 1}}, ds.PointError, "did you mean y"),
        ("x", {"at": None}, ds.PointError, "no point is given"),
        ("x", {"at": {"x": math.nan}}, ds.PointError, "finite"),
        ("x² +", {"at": {"x": 1}}, ds.FormulaError, "^"),
        ("+".join(f"sin({i}x)" for i in range(1, 400)), {"at": {"x": 1}}, ds.FormulaError, "too many"),
        (3, {"at": {"x": 1}}, ds.ObjectiveError, "a formula or a function"),
        (lambda x: x**2, {"at": [1.0, 2.0]}, ds.ObjectiveError, "one real number"),
        (lambda x: x.foo, {"at": 1.0}, ds.ObjectiveError, "fails when JAX traces it"),
        ("x²", {"at": {"x": 1}, "loss": abs}, ds.SettingError, "for a network"),
        ("mean(w·size)", {"at": {"w": 1}, "data": {"price": [1, 2]}}, ds.DataError, "no column"),
        ("w·size", {"at": {"w": 1}, "data": {"size": [1, 2]}}, ds.ObjectiveError, "mean"),
    ],
)
def test_bad_input_says_what_to_do(thing, settings, error, told) -> None:
    with pytest.raises(error, match=re.escape(told)):
        ds.backprop(thing, **settings)


def test_bad_functions_and_networks(network: equinox.nn.MLP) -> None:
    with pytest.raises(ds.ObjectiveError, match="fixed number of iterations"):
        ds.backprop(lambda x: jax.lax.while_loop(lambda y: y < 10, lambda y: y * 2, x), at=1.0)
    with pytest.raises(ds.ObjectiveError, match="too many to show"):
        ds.backprop(lambda x: sum(jnp.sin(i * x) for i in range(200)), at=1.0)
    wide = equinox.nn.MLP(2, 3, 4, 1, key=jax.random.key(0))
    with pytest.raises(ds.ObjectiveError, match="loss=lambda prediction"):
        ds.backprop(wide, at=[1.0, 2.0])
    with pytest.raises(ds.SettingError, match="no table"):
        ds.backprop(network, at=[1.0, 2.0], data={"x": [1]})
    with pytest.raises(ds.PointError, match="did you mean z₁"):
        ds.backprop("sin(2x)", at=1)["z₁₁"]
