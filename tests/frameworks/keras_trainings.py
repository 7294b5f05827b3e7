"""Trainings of Keras on the backend in KERAS_BACKEND, watched and not; prints what the tests compare, as JSON.

A process has one backend, so that each is asked for in a process of its own.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np

import downslope as ds
from downslope.watching.keras import WatchCallback

BATCH, EPOCHS, ROWS = 32, 3, 176  # the last batch of an epoch has 16 rows
BACKEND = keras.backend.backend()


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.integers(3, size=count)
    return (np.eye(3, 4)[y] * 3 + random.normal(size=(count, 4))).astype(np.float32), y


X, Y = rows(ROWS, 0)
HELD = rows(64, 1)


def compiled(scheduled: bool = True) -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(16, "relu"), layers.BatchNormalization(), layers.Dense(16), layers.Dense(3)]
    )
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.8) if scheduled else 0.01
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def fit(model: Any, *callbacks: Any, epochs: int = EPOCHS, **choices: Any) -> Any:
    choices = {"validation_data": HELD, "shuffle": False, **choices}
    return model.fit(X, Y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=list(callbacks), **choices)


def by_hand() -> dict[str, list[float]]:
    """Return what Keras says of each step of the same training, batch by batch."""
    model = compiled()
    kept: dict[str, list[float]] = {"loss": [], "rate": [], "gradient_norm": []}
    for _ in range(EPOCHS):
        for first in range(0, ROWS, BATCH):
            kept["rate"].append(float(model.optimizer.learning_rate))
            kept["loss"].append(float(model.train_on_batch(X[first : first + BATCH], Y[first : first + BATCH])[0]))
            if BACKEND == "torch":
                gradients = [variable.value.grad.numpy() for variable in model.trainable_variables]
                kept["gradient_norm"].append(float(np.sqrt(sum(np.sum(g.astype(float) ** 2) for g in gradients))))
    return kept


def gradient_of_sample() -> list[float]:
    """Return the norms of the gradient at the first weights by part, in the order of the names."""
    import jax

    model = compiled()
    model(X[:1])
    held = [variable.value for variable in model.non_trainable_variables]
    names = [variable.path for variable in model.trainable_variables]

    def loss(weights: list[Any]) -> Any:
        outputs, _ = model.stateless_call(weights, held, X, training=True)
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(Y, outputs, from_logits=True))

    gradients = jax.grad(loss)([variable.value for variable in model.trainable_variables])
    norms = dict(zip(names, (float(np.linalg.norm(g)) for g in gradients), strict=True))
    return [norms[name] for name in sorted(names)]


def main() -> None:
    """Print all of it."""
    callback, watched = WatchCallback(every=4, sample=(X, Y)), compiled()
    history = fit(watched, callback).history
    trace = callback.trace
    fit(bare := compiled())
    numbers = WatchCallback()
    fit(compiled(), numbers, epochs=1)
    same = all(map(np.array_equal, watched.get_weights(), bare.get_weights()))
    again = WatchCallback(every=4, sample=(X, Y))
    fit(watched, again, epochs=1)
    print(
        json.dumps(
            {
                "recorded": {name: column.tolist() for name, column in trace.recorded.items()},
                "by_hand": by_hand(),
                "metrics": {name: column.tolist() for name, column in trace.metrics.items()},
                "history": history,
                "layers": list(trace.layer_names),
                "looks": None if trace.layer_steps is None else trace.layer_steps.tolist(),
                "part_names": list(trace.part_names),
                "parts": {name: column.tolist() for name, column in trace.part_columns.items()},
                "sample_gradient": gradient_of_sample() if BACKEND == "jax" else None,
                "same_weights": same,
                "moved": float(np.abs(trace.end[trace.part_names[0]] - trace.start[trace.part_names[0]]).max()),
                "attributes": [
                    name for name in ("compute_loss", "apply") if name in vars(watched) | vars(watched.optimizer)
                ],
                "plan": {key: trace.plan[key] for key in ("method", "learning_rate", "steps")},
                "numbers": {"layers": list(numbers.trace.layer_names), "steps": len(numbers.trace.recorded["step"])},
                "again": again.trace.recorded["value"].tolist(),
                "symptoms": ds.diagnose(trace).symptoms,
            }
        )
    )


if __name__ == "__main__":
    main()
