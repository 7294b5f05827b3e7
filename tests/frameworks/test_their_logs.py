"""Logs that the frameworks themselves write are read to the last row, without the frameworks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from waiting import until

import downslope as ds

STEPS = np.arange(0, 400, 4)
LOSS = np.round(0.3 + 2.0 * np.exp(-STEPS / 90.0), 6)
HELD = np.round(0.4 + 1.8 * np.exp(-STEPS / 80.0), 6)
Framework = Callable[..., ModuleType]


def check(trace: ds.Trace) -> None:
    assert trace.recorded["step"].tolist() == STEPS.tolist()
    assert trace.recorded["value"] == pytest.approx(LOSS, rel=1e-6)
    assert trace.metrics["validation_loss"] == pytest.approx(HELD[::10], rel=1e-6)


def test_what_tensorboardx_writes(tmp_path: Path, framework: Framework) -> None:
    writer = framework("tensorboardX").SummaryWriter(str(tmp_path))
    for row, step in enumerate(STEPS):
        writer.add_scalar("Loss/train", LOSS[row], int(step))
        if row % 10 == 0:
            writer.add_scalar("Loss/valid", HELD[row], int(step))
            writer.add_histogram("weights", np.arange(5.0), int(step))
    writer.close()
    check(ds.read_log(tmp_path))


def test_what_wandb_keeps_offline(tmp_path: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = framework("wandb")
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    run = wandb.init(mode="offline", dir=str(tmp_path), project="p", config={"batch_size": 32, "max_steps": 400})
    for row, step in enumerate(STEPS):
        held = {"val/loss": HELD[row]} if row % 10 == 0 else {}
        run.log({"train/loss": LOSS[row], "global_step": int(step), **held})
    run.finish()
    file = next(tmp_path.rglob("run-*.wandb"))
    until(lambda: ds.read_log(file).steps_taken >= STEPS[-1], 60)  # a process of wandb's own writes the last rows
    trace = ds.read_log(file)
    check(trace)
    assert (trace.plan["steps"], trace.plan["batches"]["size"]) == (400, 32)


def test_what_mlflow_keeps_in_files(tmp_path: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = framework("mlflow")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run():
        mlflow.log_param("batch_size", 16)
        for row, step in enumerate(STEPS):
            mlflow.log_metric("train_loss", LOSS[row], step=int(step))
            if row % 10 == 0:
                mlflow.log_metric("val_loss", HELD[row], step=int(step))
    check(ds.read_log(tmp_path / "mlruns"))


def test_what_the_csv_logger_of_lightning_writes(tmp_path: Path, framework: Framework) -> None:
    loggers = framework("lightning.pytorch.loggers")
    logger = loggers.CSVLogger(str(tmp_path), name="run")
    for row, step in enumerate(STEPS):
        logger.log_metrics({"train_loss": LOSS[row], "epoch": row // 10}, step=int(step))
        if row % 10 == 0:
            logger.log_metrics({"val_loss": HELD[row], "epoch": row // 10}, step=int(step))
    logger.save()
    check(ds.read_log(Path(logger.log_dir)))


def test_the_history_of_keras(tmp_path: Path, framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "jax"))
    keras = framework("keras")
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
    model.compile(optimizer="adam", loss="mse")
    logged = keras.callbacks.CSVLogger(str(tmp_path / "training.csv"))
    history = model.fit(x, x[:, :1], epochs=4, validation_split=0.25, verbose=0, callbacks=[logged])
    trace = ds.read_log(tmp_path / "training.csv")
    assert trace.recorded["value"] == pytest.approx(history.history["loss"])
    assert trace.metrics["validation_loss"] == pytest.approx(history.history["val_loss"])
    assert trace.facts["log"]["unit"] == "epoch"


def test_the_state_of_a_trainer(tmp_path: Path, framework: Framework) -> None:
    state = framework("transformers.trainer_callback").TrainerState(max_steps=400, logging_steps=4, train_batch_size=8)
    for row, step in enumerate(STEPS):
        state.log_history.append({"loss": LOSS[row], "grad_norm": 1.0, "learning_rate": 1e-4, "step": int(step)})
        if row % 10 == 0:
            state.log_history.append({"eval_loss": HELD[row], "step": int(step)})
    state.save_to_json(str(tmp_path / "trainer_state.json"))
    trace = ds.read_log(tmp_path)
    check(trace)
    assert trace.plan["steps"] == 400
