"""Traces sent to TensorBoard, Weights & Biases and MLflow, read back from what was written."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from needing import needs

import downslope as ds

STEPS = 12


def traced() -> ds.Trace:
    """Return a trace with two layers, evaluations, and a loss that is not finite at the end."""
    steps = np.arange(STEPS)
    loss = 2.0 - 0.1 * steps
    loss[7] = np.inf
    looks = steps[::4]
    return ds.trace_from(
        {"loss": loss, "gradient_norm": 1.0 + steps, "learning_rate": np.full(STEPS, 0.25)},
        evaluations={"step": [5, 11], "validation_loss": [1.5, 1.25]},
        layers={name: {"activation_deviation": looks * scale} for name, scale in (("first", 0.5), ("second 2", 2.0))},
        looks=looks,
        plan={"read_as": "a test", "method": "adam", "learning_rate": 0.25},
    )


EXPECTED: dict[str, dict[int, float]] = {
    "gradient_norm": {step: 1.0 + step for step in range(STEPS)},
    "learning_rate": dict.fromkeys(range(STEPS), 0.25),
    "validation_loss": {5: 1.5, 11: 1.25},
    "layer/first/activation_deviation": {0: 0.0, 4: 2.0, 8: 4.0},
    "loss": {step: np.inf if step == 7 else 2.0 - 0.1 * step for step in range(STEPS)},
}


def events(folder: Path) -> tuple[dict[str, dict[int, float]], dict[str, str]]:
    """Return the scalars and the texts in the event files of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    scalars: dict[str, dict[int, float]] = {}
    texts = {}
    for file in folder.rglob("events.out.tfevents.*"):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.setdefault(value.tag, {})[event.step] = value.simple_value
                elif value.tensor.string_val:
                    texts[value.tag] = value.tensor.string_val[0].decode()
    return scalars, texts


def test_tensorboard_holds_every_scalar_and_verdict(tmp_path: Path) -> None:
    needs("tensorboardX")
    trace = traced()
    assert ds.send(trace, f"tensorboard:{tmp_path / 'logs'}", name="run") == str(tmp_path / "logs" / "run")
    scalars, texts = events(tmp_path / "logs" / "run")
    for name, column in EXPECTED.items():
        assert scalars[name] == pytest.approx(column, rel=1e-6), name
    assert scalars["layer/second_2/activation_deviation"][8] == 16.0
    for finding in ds.diagnose(trace):
        assert any(text == str(finding) for tag, text in texts.items() if finding.symptom in tag)


def test_wandb_offline_holds_every_scalar_and_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb: Any = needs("wandb")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    trace = traced()
    folder = Path(ds.send(trace, "wandb:offline", name="run"))
    assert wandb.run is None
    history, summary = records(folder)
    for name, column in EXPECTED.items():
        rows = {int(row["step"]): float(row[name]) for row in history if name in row}
        assert rows == pytest.approx(column), name
        assert {int(row["_step"]) for row in history if name in row} == set(column)
    for finding in ds.diagnose(trace):
        assert summary[f"verdict/{finding.symptom}"] == str(finding)


def test_a_run_of_wandb_that_is_under_way_keeps_its_own_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb: Any = needs("wandb")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ds.SettingError, match="no W&B run is active"):
        ds.send(traced(), "wandb:")
    with wandb.init(mode="offline", project="own", settings=wandb.Settings(silent=True, console="off")) as run:
        run.log({"own": 1.0}, step=1000)
        ds.send(traced(), "wandb:")
        run.log({"own": 2.0})
        folder = Path(run.dir).parent
    history, _ = records(folder)
    assert {int(row["downslope/step"]) for row in history if "downslope/loss" in row} == set(range(STEPS))
    assert [row["own"] for row in history if "own" in row] == [1.0, 2.0]


def records(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what an offline run holds; its file may be written a moment after the run has ended."""
    for _ in range(50):
        history, summary = _records(next(folder.glob("*.wandb")))
        if len(history) >= STEPS and summary:
            return history, summary
        time.sleep(0.2)
    raise AssertionError(f"{folder} holds {len(history)} rows")


def _records(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of the history and the summary in an offline run, by its own protocol."""
    from wandb.proto.wandb_internal_pb2 import Record

    history, summary = [], {}
    for data in _messages(file.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
        if record.HasField("summary"):
            summary |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
    return history, summary


def _messages(content: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log in blocks of 32768 bytes, behind a header of 7."""
    at, message = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        message += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield message
            message = b""


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def test_mlflow_holds_every_scalar_and_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = needs("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    trace = traced()
    run = ds.send(trace, f"mlflow:{tmp_path / 'mlruns'}", name="run")
    client = mlflow.MlflowClient(tracking_uri=str(tmp_path / "mlruns"))
    for name, column in EXPECTED.items():
        rows = {metric.step: metric.value for metric in client.get_metric_history(run, name)}
        assert rows == pytest.approx(column), name
    there = client.get_run(run)
    assert there.info.status == "FINISHED"
    assert there.data.params["method"] == "adam"
    for finding in ds.diagnose(trace):
        assert there.data.tags[f"verdict.{finding.symptom}"] == str(finding)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")


def test_a_watch_is_followed(tmp_path: Path) -> None:
    needs("tensorboardX")
    with ds.watch(folder=tmp_path / "run", flush=10, also=f"tensorboard:{tmp_path / 'logs'}") as watch:
        for step in range(25):
            watch.row(step, loss=2.0 - step / 25)
        watch.evaluation(validation_loss=1.0)
    scalars, texts = events(tmp_path / "logs")
    assert sorted(scalars["loss"]) == list(range(25))
    assert scalars["validation_loss"] == {24: 1.0}
    assert texts
