"""The gradient by the state of a scan, step by step, against factors by hand and backpropagation in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from downslope._engine import precision
from downslope.networks.models import facts_of_walk, walked
from tests.networks.walks import normal

STEPS, WIDTH = 9, 4
BATCH = {"x": normal(6, STEPS, 3), "t": normal(6, seed=2)}


@pytest.fixture(autouse=True)
def _single_precision() -> Iterator[None]:
    with precision("float32"):
        yield


def nested_of(loss, params):
    """Return the facts on the kernels inside loops of a loss function."""
    walk = walked(lambda point, memory, batch, key: (loss(point, batch), memory), params, (), BATCH, None)
    return facts_of_walk(walk, params, (), BATCH, 6)["nested"]


def recurrent(squash, turn):
    """Return a loss on the last state of h ← squash(x W + h T), and its parameters."""
    params = {"into": normal(3, WIDTH, seed=3), "turn": jnp.asarray(turn, jnp.float32), "out": normal(WIDTH, seed=4)}

    def loss(params, batch):
        def step(state, rows):
            return squash(rows @ params["into"] + state @ params["turn"]), None

        state, _ = lax.scan(step, jnp.zeros((6, WIDTH)), jnp.swapaxes(batch["x"], 0, 1))
        return jnp.mean((state @ params["out"] - batch["t"]) ** 2)

    return loss, params


@pytest.mark.parametrize("gain", [0.1, 0.5, 1.0, 3.0])
def test_a_linear_recurrence_has_its_own_factor(gain: float) -> None:
    (entry,) = nested_of(*recurrent(lambda z: z, gain * np.eye(WIDTH)))
    assert (entry["inside"], entry["length"]) == ("scan", STEPS)
    assert set(entry["leaves"]) == {"into", "turn"}
    assert entry["per_step"] == pytest.approx(gain, rel=1e-4)
    assert entry["in_all"] == pytest.approx(gain ** (STEPS - 1), rel=1e-3)


def test_a_rotation_keeps_everything() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))
    (entry,) = nested_of(*recurrent(lambda z: z, turn))
    assert entry["per_step"] == pytest.approx(1, rel=1e-4)


def test_a_recurrence_of_tanh_has_the_factor_of_backpropagation_by_hand() -> None:
    turn = 0.4 * np.random.default_rng(1).normal(size=(WIDTH, WIDTH))
    loss, params = recurrent(jnp.tanh, turn)
    into, out = (np.asarray(params[name], float) for name in ("into", "out"))
    states = [np.zeros((6, WIDTH))]
    for step in range(STEPS):
        states.append(np.tanh(np.asarray(BATCH["x"], float)[:, step] @ into + states[-1] @ turn))
    slope = 2 / 6 * (states[-1] @ out - np.asarray(BATCH["t"], float))[:, None] * out
    norms = []
    for state in reversed(states[1:]):  # ∂loss/∂(the state that enters the step)
        slope = (slope * (1 - state**2)) @ turn.T
        norms.insert(0, np.linalg.norm(slope))
    line = np.polyfit(np.arange(STEPS), np.log(norms), 1)[0]
    (entry,) = nested_of(loss, params)
    assert entry["per_step"] == pytest.approx(np.exp(-line), rel=1e-4)


def test_a_scan_from_the_end_is_followed_in_its_own_order() -> None:
    def loss(params, batch):
        def step(state, rows):
            return rows @ params["into"] + 0.5 * state @ params["turn"], None

        state, _ = lax.scan(step, jnp.zeros((6, WIDTH)), jnp.swapaxes(batch["x"], 0, 1), reverse=True)
        return jnp.mean(state)

    params = {"into": normal(3, WIDTH), "turn": jnp.eye(WIDTH)}
    assert nested_of(loss, params)[0]["per_step"] == pytest.approx(0.5, rel=1e-4)


def test_a_part_of_the_state_that_keeps_is_enough() -> None:
    def loss(params, batch):
        def step(state, rows):
            cell, output, count = state
            gate = jnp.tanh(rows @ params["into"] + 0.01 * output @ params["turn"])
            return (cell + gate, jnp.tanh(cell), count + 1), None

        zeros = jnp.zeros((6, WIDTH))
        (cell, _, _), _ = lax.scan(step, (zeros, zeros, 0), jnp.swapaxes(batch["x"], 0, 1))
        return jnp.mean(cell)

    (entry,) = nested_of(loss, {"into": normal(3, WIDTH), "turn": jnp.eye(WIDTH)})
    assert entry["per_step"] == pytest.approx(1, rel=0.05)


def test_a_state_that_is_multiplied_entry_by_entry_is_followed_too() -> None:
    def loss(params, batch):
        def step(state, rows):
            return params["decay"] * state + rows, None

        state, _ = lax.scan(step, jnp.zeros((6, 3)), jnp.swapaxes(batch["x"], 0, 1))
        return jnp.mean(state)

    (entry,) = nested_of(loss, {"decay": jnp.full(3, 0.25)})
    assert (entry["leaves"], entry["per_step"]) == (["decay"], pytest.approx(0.25, rel=1e-4))


def test_layers_that_are_stacked_and_scanned_have_a_factor_per_layer() -> None:
    params = {"w": 0.5 * jnp.stack([jnp.eye(3)] * 6)}

    def loss(params, batch):
        hidden, _ = lax.scan(lambda x, w: (x @ w, None), batch["x"][:, 0], params["w"])
        return jnp.mean(hidden)

    (entry,) = nested_of(loss, params)
    assert (entry["length"], entry["per_step"]) == (6, pytest.approx(0.5, rel=1e-4))


def test_loops_of_unknown_length_and_branches_are_named_without_a_factor() -> None:
    def loss(params, batch):
        x = lax.cond(batch["x"].sum() > 0, lambda x: x @ params["a"], lambda x: x, batch["x"][:, 0])
        _, frozen = lax.while_loop(
            lambda state: state[0] < 2, lambda state: (state[0] + 1, state[1] @ params["b"]), (0, lax.stop_gradient(x))
        )
        return jnp.mean(x) + jnp.mean(frozen)

    entries = nested_of(loss, {"a": jnp.eye(3), "b": jnp.eye(3)})
    assert [(entry["leaves"], entry["inside"]) for entry in entries] == [(["a"], "cond"), (["b"], "while")]
    assert not any("per_step" in entry for entry in entries)


def test_the_cells_of_libraries_are_followed() -> None:
    cell = eqx.nn.GRUCell(3, WIDTH, key=jax.random.key(0))
    params, fixed = eqx.partition(cell, eqx.is_inexact_array)

    def of_equinox(params, batch):
        step = eqx.combine(params, fixed)
        states = jax.vmap(lambda rows: lax.scan(lambda s, x: (step(x, s), None), jnp.zeros(WIDTH), rows)[0])(batch["x"])
        return jnp.mean(states**2)

    (entry,) = nested_of(of_equinox, params)
    assert 0 < entry["per_step"] < 1
    network = nnx.RNN(nnx.SimpleCell(3, WIDTH, rngs=nnx.Rngs(0)))
    definition, state, rest = nnx.split(network, nnx.Param, ...)

    def of_nnx(state, batch):
        return jnp.mean(nnx.merge(definition, state, rest, copy=True)(batch["x"])[:, -1] ** 2)

    (entry,) = nested_of(of_nnx, state)
    assert entry["inside"] == "scan"
    assert 0 < entry["per_step"] < 2
