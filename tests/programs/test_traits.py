"""What a program does beside its layers is read from its operations, however they are written."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from downslope.networks.models import model_of
from downslope.programs import program_traits

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
WEIGHTS = {"a": np.ones((4, 4), np.float32), "b": np.ones((4, 1), np.float32)}


def traits(function, params=None, memory=(), rows=ROWS):
    params = WEIGHTS if params is None else params
    closed = jax.make_jaxpr(function)(params, memory, rows, jax.random.key(0))
    names = tuple(sorted(params)) if isinstance(params, dict) else tuple(map(str, jax.tree.leaves(params)))
    return program_traits(closed, names, len(jax.tree.leaves(memory)), 1)


def of_model(model, rows=ROWS):
    made = model_of(model)

    def loss(point, memory, rows, key):
        passed = made.forward(point, memory, rows, key, True)
        return passed.outputs.sum(), passed.memory

    leaves = jax.tree.leaves(made.point)
    closed = jax.make_jaxpr(loss)(made.point, made.memory, rows, jax.random.key(0))
    return program_traits(closed, tuple(f"part {i}" for i in range(len(leaves))), len(jax.tree.leaves(made.memory)), 1)


def hand_made(cut):
    def loss(params, memory, rows, key):
        return (cut(jnp.tanh(rows @ params["a"])) @ params["b"]).sum(), memory

    return loss


@pytest.mark.parametrize(
    ("cut", "parts"),
    [
        (lambda h: h, []),
        (jax.lax.stop_gradient, ["a"]),
        (jnp.round, ["a"]),
        (lambda h: (h > 0).astype(jnp.float32), ["a"]),
        (lambda h: jax.nn.one_hot(h.argmax(1), 4), ["a"]),
        (lambda h: h + jax.lax.stop_gradient(jnp.round(h) - h), []),
        (lambda h: jax.jit(jax.lax.stop_gradient)(h), ["a"]),
        (jax.checkpoint(jnp.sin), []),
        (jax.nn.relu, []),
    ],
)
def test_parts_without_a_derivative(cut, parts):
    function = hand_made(cut)
    assert traits(function)["cut_off"] == parts
    gradient = jax.grad(lambda params: function(params, (), ROWS, None)[0])(WEIGHTS)
    assert [name for name in WEIGHTS if not np.any(gradient[name])] == parts


def masked(rate, way):
    def loss(params, memory, rows, key):
        hidden = rows @ params["a"]
        keep = jax.random.bernoulli(key, 1 - rate, hidden.shape)
        return (way(keep, hidden / (1 - rate)) @ params["b"]).sum(), memory

    return loss


@pytest.mark.parametrize(
    "way",
    [
        lambda keep, h: jnp.where(keep, h, 0),
        lambda keep, h: jnp.where(~keep, 0.0, h),
        lambda keep, h: keep * h,
        lambda keep, h: h * keep.astype(jnp.float32),
    ],
)
def test_the_share_that_dropout_takes(way):
    assert traits(masked(0.3, way))["dropout"] == pytest.approx([0.3])
    assert traits(hand_made(jnp.sin))["dropout"] == []


def test_dropout_of_libraries():
    dropping = eqx.nn.Sequential([eqx.nn.Linear(4, 4, key=jax.random.key(0)), eqx.nn.Dropout(0.8)])
    assert of_model(dropping)["dropout"] == pytest.approx([0.8])
    rngs = nnx.Rngs(0)
    assert of_model(nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), nnx.Dropout(0.95, rngs=rngs)))[
        "dropout"
    ] == pytest.approx([0.95])


class Normed(eqx.Module):
    """A layer and a batch normalisation."""

    layer: eqx.nn.Linear
    norm: eqx.nn.BatchNorm

    def __init__(self, mode: str = "batch", momentum: float = 0.9):
        self.layer = eqx.nn.Linear(4, 3, key=jax.random.key(0))
        self.norm = eqx.nn.BatchNorm(3, axis_name="batch", mode=mode, momentum=momentum)

    def __call__(self, x, state):
        return self.norm(self.layer(x), state)


@pytest.mark.parametrize("rows", [1, 3, 6])
def test_statistics_over_a_batch_are_over_its_rows(rows):
    assert of_model(eqx.nn.make_with_state(Normed)(), ROWS[:rows])["normalised_over"] == [rows]
    flax = nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(0)))
    assert of_model(flax, ROWS[:rows])["normalised_over"] == [rows]


def test_statistics_over_units_and_pixels():
    over_units = eqx.nn.Sequential([eqx.nn.Linear(4, 5, key=jax.random.key(0)), eqx.nn.LayerNorm(5)])
    assert of_model(over_units)["normalised_over"] == [5]
    images = np.ones((2, 6, 6, 1), np.float32)
    rngs = nnx.Rngs(0)
    convolved = nnx.Sequential(nnx.Conv(1, 2, (3, 3), padding="VALID", rngs=rngs), nnx.BatchNorm(2, rngs=rngs))
    assert of_model(convolved, images)["normalised_over"] == [2 * 4 * 4]

    def by_hand(params, memory, rows, key):
        hidden = rows @ params["a"]
        spread = jnp.sqrt(jnp.mean((hidden - hidden.mean(0)) ** 2, 0) + 1e-5)
        return (((hidden - hidden.mean(0)) / spread) @ params["b"]).sum(), memory

    assert traits(by_hand)["normalised_over"] == [6]


def test_what_is_no_normalisation():
    def distances(params, memory, rows, key):
        return jnp.sqrt(jnp.sum((rows @ params["a"] - rows) ** 2)), memory

    assert traits(distances)["normalised_over"] == []
    assert traits(hand_made(jax.nn.softmax))["normalised_over"] == []


def test_running_statistics_that_never_move():
    assert of_model(eqx.nn.make_with_state(Normed)())["statistics_move"] is True
    assert of_model(eqx.nn.make_with_state(Normed)(momentum=1.0))["statistics_move"] is False
    assert traits(hand_made(jnp.sin))["statistics_move"] is None
