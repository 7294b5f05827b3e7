"""The activation of an output, and the part of a loss function behind it, are read from programs."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from downslope.networks.models import loss_tail, model_of, output_form

ROWS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
PARAMS = {"w": np.ones((4, 5), np.float32), "b": np.zeros(5, np.float32)}


def form(last, params=PARAMS):
    return output_form(lambda params, rows: last(rows @ params["w"] + params["b"]), params, ROWS)


@pytest.mark.parametrize(
    ("name", "last", "bounds"),
    [
        ("linear", lambda z: z, [None, None]),
        ("linear", lambda z: 3 * z - 1, [None, None]),
        ("linear", lambda z: (z[:, :, None] + jnp.ones(2)).mean(-1), [None, None]),
        ("relu", jax.nn.relu, [0, None]),
        ("relu", lambda z: jnp.where(z > 0, z, 0), [0, None]),
        ("softplus", jax.nn.softplus, [0, None]),
        ("sigmoid", jax.nn.sigmoid, [0, 1]),
        ("sigmoid", lambda z: 1 / (1 + jnp.exp(-z)), [0, 1]),
        ("tanh", jnp.tanh, [-1, 1]),
        ("exponential", jnp.exp, [0, None]),
        ("softmax", jax.nn.softmax, [0, 1]),
        ("softmax", lambda z: jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True), [0, 1]),
        ("log_softmax", jax.nn.log_softmax, [None, 0]),
        ("", lambda z: 5 * jax.nn.sigmoid(z), [0, 5]),
        ("", lambda z: jnp.clip(z, -2, 3), [-2, 3]),
        ("", lambda z: z / jnp.linalg.norm(z, axis=-1, keepdims=True), None),
    ],
)
def test_an_output_is_known_by_what_it_makes_of_numbers(name, last, bounds):
    found = form(last)
    assert found.name == name
    assert found.bounds == (None if bounds is None else pytest.approx(bounds, abs=1e-3))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (
            lambda: eqx.nn.Sequential([eqx.nn.Linear(4, 3, key=jax.random.key(0)), eqx.nn.Lambda(jax.nn.softmax)]),
            "softmax",
        ),
        (lambda: eqx.nn.MLP(4, "scalar", 5, 1, final_activation=jax.nn.sigmoid, key=jax.random.key(0)), "sigmoid"),
        (lambda: eqx.nn.MLP(4, 3, 5, 2, key=jax.random.key(0)), "linear"),
        (
            lambda: nnx.Sequential(nnx.Linear(4, 5, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(5, 3, rngs=nnx.Rngs(0))),
            "linear",
        ),
        (lambda: nnx.Sequential(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.relu), "relu"),
    ],
)
def test_outputs_of_models_of_libraries(model, name):
    made = model_of(model())

    def outputs(point, memory, rows):
        return made.forward(point, memory, rows, None, False).outputs

    assert output_form(outputs, made.point, made.memory, ROWS).name == name


def test_two_heads_of_different_kinds_have_no_name():
    def heads(params, rows):
        z = rows @ params["w"]
        return jnp.concatenate([z, jax.nn.softplus(rows @ params["v"])], axis=1)

    params = {"w": np.ones((4, 1), np.float32), "v": np.ones((4, 1), np.float32)}
    assert output_form(heads, params, ROWS).name == ""


def test_the_part_of_a_loss_behind_the_outputs_is_the_loss():
    batch = {"t": np.arange(6, dtype=np.float32), "x": np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)}
    params = {"w": np.ones((4, 1), np.float32), "b": np.zeros(1, np.float32)}

    def loss(params, batch, key):
        return jnp.mean((jnp.tanh(batch["x"] @ params["w"] + params["b"])[:, 0] - batch["t"]) ** 2)

    tail = loss_tail(loss, params, batch, None)
    assert tail is not None
    assert (tail.form.name, tail.shape, tail.names) == ("tanh", (1,), ("t",))
    outputs = np.linspace(-1, 1, 6, dtype=np.float32)[:, None]
    expected = np.mean((outputs[:, 0] - batch["t"]) ** 2)
    assert float(tail.value(jnp.asarray(outputs), (jnp.asarray(batch["t"]),))) == pytest.approx(expected, rel=1e-5)


def test_a_loss_without_a_single_last_layer_has_no_outputs():
    def loss(params, batch, key):
        inside, border = (batch[name] @ params["w"] for name in ("inside", "border"))
        return jnp.mean(inside**2) + jnp.mean((border - 1) ** 2)

    batch = {"inside": ROWS, "border": ROWS + 1}
    assert loss_tail(loss, {"w": np.ones((4, 1), np.float32)}, batch, None) is None
