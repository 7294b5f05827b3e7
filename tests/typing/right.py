"""Programs as people write them: a type checker has nothing to say of any line."""

from __future__ import annotations

import numpy as np
import optax

import downslope as ds


def programs() -> None:
    trace = ds.descend("f(x) = x² - 4x + 5", {"x": 0.0}, learning_rate=0.1, steps=20)
    trace = ds.descend("x²", start={"x": 1}, method="momentum", momentum=0.8, schedule="cosine", record=10)
    trace = ds.descend("x²", {"x": 1}, units={"x": "m"}, learning_rate=lambda step: 0.1, progress=False)
    trace = ds.descend(lambda point: (point["w"] ** 2).sum(), {"w": np.zeros(3)}, clip_norm=1.0)
    value: float = trace.value
    plan = ds.plan("x² + 2y²", {"x": 4.0, "y": 3.0}, method=ds.method("adam", beta1=0.8))
    python: str = plan.changed(learning_rate=0.2).as_python()
    diagnosis: ds.Diagnosis = ds.diagnose(trace)
    best: float = ds.sweep("x²", {"x": 1}, [0.1, 0.5]).best_rate
    race: ds.Race = ds.compare("x²", {"x": 1}, ["adam", "bfgs"], learning_rates={"adam": 0.1}, steps=50)
    valleys = ds.multistart("x⁴ - 4x² + x", {"x": (-3, 3)}, starts=100, seed=1).basins
    lowest: ds.Search = ds.search("x⁴ - 4x² + x", {"x": (-3, 3)}, confirmations=2, seconds=1)
    fit: ds.Fit = ds.fit("y = a×x + b", {"x": [1, 2, 3], "y": [2.0, 4.1, 5.9]}, loss="huber", fixed={"b": 0.0})
    fit = ds.fit("table.csv", "y = a×x", method="trust region", bounds={"a": (0, None)})
    training: ds.Training = ds.train("iris", hidden=16, activation="tanh", steps=100, loss="cross-entropy")
    training = ds.train([ds.Dense(8), ds.Dense(3)], "iris", method="adamw", weight_decay=1e-3, batch=None)
    training = ds.train(data="houses.csv", target="price", hidden=(32, 16), missing="mean", drop=["id"])
    replicates: ds.Replicates = ds.train("iris", hidden=16, steps=100, keep="best", seeds=3)
    low: float = replicates.scores["validation_accuracy"].low
    setup = ds.Setup.of("iris", hidden=[8]).changed(dropout=0.1, model=None)
    rate = ds.find_learning_rate("x²", {"x": 10}, budget=20).learning_rate
    mended: ds.Prescription = ds.prescribe(training, seeds=3, trainings=10)
    command: str | None = ds.as_command(plan)
    help_text: str = ds.choices(ds.train)["steps"].help
    page: str = ds.report(trace)
    with ds.watch(folder="runs/one", every=20, also="tensorboard:logs") as watch:
        watch.row(0, loss=1.0, learning_rate=0.1)
        watch.evaluation(validation_loss=1.0)
    watched: ds.Trace = watch.trace
    log: ds.Trace = ds.read_log("metrics.csv", names={"perte": "loss"})
    seen: str = ds.send(log, "wandb:offline", name="one")
    recording = ds.recorded(optax.adam(1e-3), every=10, capacity=200)
    started = recording.init({"w": np.zeros(3)})
