"""A training loop of JAX to watch: a network of two layers, its loss, and the loop."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import downslope as ds

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(64, 4)).astype("float32")
TARGETS = (INPUTS.sum(1) > 0).astype(int)
BATCH = (INPUTS, TARGETS)


def start(scale: float = 0.5) -> dict[str, Any]:
    """Return the weights of a network of two layers."""
    random = np.random.default_rng(1)
    return {
        "first": {"bias": jnp.zeros(8), "kernel": jnp.asarray(scale * random.normal(size=(4, 8)), "float32")},
        "second": {"bias": jnp.zeros(2), "kernel": jnp.asarray(scale * random.normal(size=(8, 2)), "float32")},
    }


def loss(params: Any, batch: Any) -> Any:
    """Return the cross-entropy of the network."""
    inputs, targets = batch
    hidden = jnp.tanh(inputs @ params["first"]["kernel"] + params["first"]["bias"])
    logits = hidden @ params["second"]["kernel"] + params["second"]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def run(watch: ds.Watch, tx: Any, params: Any, steps: int, losses: list[float] | None = None) -> Any:
    """Take steps in a loop that donates its state; return the parameters. A list of losses is reported to the watch."""

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, BATCH)
        updates, state = tx.update(gradient, state, params, **({"value": value} if losses is None else {}))
        return optax.apply_updates(params, updates), state, value

    state = tx.init(params)
    for _ in range(steps):
        params, state, value = step(params, state)
        if losses is not None:
            losses.append(float(watch.loss(value)))
        watch.step(state, params)
    return params
