"""Logs made by seeded generators, of rare symptoms and of their traps, in every format that is read.

Each maker writes a file below a folder and returns its path; beside it stands what must be named as a problem, and
whether nothing may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.watching import log_writers as write


class Handmade(NamedTuple):
    """A log made by hand.

    Args:
        make: writes it for a seed.
        wanted: the problems that must be named; none for a healthy log.
    """

    make: Callable[[Path, int], Path]
    wanted: frozenset[str]


def noise(seed: int, rows: int, size: float) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=rows)


def fall(rows: int, first: float, last: float, seed: int, size: float = 0.03, pace: float = 7.0) -> np.ndarray:
    """Return a loss that settles, with noise in proportion to it."""
    return (last + (first - last) * np.exp(-pace * np.arange(rows) / rows)) * (1 + noise(seed, rows, size))


def hugging_face(folder: Path, loss: np.ndarray, every: int = 10, evaluations: dict | None = None, **columns) -> Path:
    steps = every * (1 + np.arange(len(loss)))
    total = int(steps[-1])
    rate = columns.pop("learning_rate", 5e-5 * (1 - steps / total))
    maximum = columns.pop("max_steps", total)
    rows = write.rows_of(step=steps, epoch=steps / 100, loss=loss, learning_rate=rate, **columns)
    for step, evaluation in (evaluations or {}).items():
        rows.append({"step": step, **evaluation})
    rows.sort(key=lambda row: row["step"] or 0)
    steps_a_row = {"logging_steps": every, "max_steps": maximum, "num_train_epochs": 3, "train_batch_size": 8}
    return write.trainer_state(folder / "trainer_state.json", rows, **steps_a_row)


def nan_to_the_end(folder: Path, seed: int) -> Path:
    loss = fall(200, 3.0, 0.8, seed)
    loss[140 + seed % 20 :] = math.nan
    rows = write.rows_of(epoch=np.arange(200) // 20, step=50 * np.arange(200) + 49, train_loss=loss)
    return write.table(folder / "metrics.csv", rows)


def infinite(folder: Path, seed: int) -> Path:
    loss = fall(150, 4.0, 1.0, seed)
    loss[90:] = math.inf
    return hugging_face(folder, loss, grad_norm=np.exp(noise(seed, 150, 0.3)))


def half_precision_lost(folder: Path, seed: int) -> Path:
    loss, norm = fall(160, 2.5, 0.9, seed), np.exp(noise(seed, 160, 0.3))
    loss[100:], norm[100:] = 0.0, math.nan
    return hugging_face(folder, loss, grad_norm=norm)


def skipped_step(folder: Path, seed: int) -> Path:
    norm = np.exp(noise(seed, 200, 0.3))
    norm[[3, 111]] = math.nan
    return hugging_face(folder, fall(200, 4.0, 0.5, seed), grad_norm=norm)


def norm_explodes(folder: Path, seed: int) -> Path:
    loss, norm = fall(240, 5.0, 2.0, seed), np.exp(noise(seed, 240, 0.3))
    norm[180:] *= np.geomspace(1, 1e6, 60)
    loss[190:] += np.linspace(0, 4, 50)
    return hugging_face(folder, loss, grad_norm=norm)


def norm_peaks(folder: Path, seed: int) -> Path:
    norm = np.exp(noise(seed, 240, 0.3))
    norm[np.random.default_rng(seed).integers(30, 240, 6)] *= 400
    return hugging_face(folder, fall(240, 3.0, 0.6, seed), grad_norm=norm)


def rate_gone(folder: Path, seed: int) -> Path:
    steps = np.arange(300)
    rate = 1e-3 * np.maximum(1 - steps / 120, 0)
    way = np.cumsum(rate) / rate.sum()
    return hugging_face(folder, (3.0 - 1.2 * way) * (1 + noise(seed, 300, 0.01)), learning_rate=rate)


def rate_as_planned(folder: Path, seed: int) -> Path:
    return hugging_face(folder, fall(300, 3.0, 0.7, seed))


def resumed(folder: Path, seed: int) -> Path:
    steps = 90_000 + 50 * np.arange(160)
    loss = 2.4 + noise(seed, 160, 0.08)
    rows = write.rows_of(epoch=steps // 4000, step=steps, train_loss_step=loss)
    held = 2.38 + noise(seed + 1, 4, 0.004)
    rows += write.rows_of(epoch=[22, 23, 24, 24], step=[91_999, 94_000, 96_001, 97_900], val_loss=held)
    rows.sort(key=lambda row: row["step"] or 0)
    return write.table(folder / "metrics.csv", rows)


def sessions(folder: Path, seed: int) -> Path:
    first = np.r_[fall(25, 2.0, 0.4, seed, 0.01), np.linspace(0.5, 6.0, 12)]
    losses = [first, fall(40, 2.0, 0.3, seed + 1, 0.02, pace=9)]
    rows = [{"epoch": epoch, "loss": loss} for session in losses for epoch, loss in enumerate(session)]
    return write.table(folder / "log.csv", rows)


def torn_events(folder: Path, seed: int) -> Path:
    rows = write.rows_of(step=10 * np.arange(220), **{"Loss/train": fall(220, 2.0, 0.3, seed)})
    return write.events(folder / "events.out.tfevents.1.host", rows, cut=5 + seed % 30)


def diverged_events(folder: Path, seed: int) -> Path:
    loss = np.r_[fall(140, 2.5, 0.5, seed), np.linspace(0.5, 3.5, 60)] + noise(seed, 200, 0.02)
    rows = write.rows_of(step=5 * np.arange(200), **{"train/loss": loss})
    return write.events(folder / "events.out.tfevents.2.host", rows, tensors=bool(seed % 2))


def overfitting_wandb(folder: Path, seed: int) -> Path:
    epochs = np.arange(60)
    held = 1.2 * np.exp(-epochs / 6) + 0.5 + 0.012 * np.maximum(epochs - 15, 0)
    columns = {"train/loss": fall(60, 2.0, 0.02, seed), "val/loss": held + noise(seed, 60, 0.01), "epoch": epochs}
    return write.wandb_run(folder / "run-abc.wandb", write.rows_of(**columns), {"batch_size": 32}, cut=9)


def plateau_mlflow(folder: Path, seed: int) -> Path:
    columns = {
        "train_loss": math.log(10) + noise(seed, 80, 0.01),
        "val_loss": math.log(10) + noise(seed + 1, 80, 0.004),
    }
    rows = write.rows_of(step=np.arange(80), **columns)
    return write.mlflow_run(folder / "mlruns" / "0" / "aa11", rows, batch_size=64)


def overfitting_of_the_loss(folder: Path, seed: int) -> Path:
    epochs = np.arange(40)
    held = 0.9 * np.exp(-epochs / 4) + 0.6 + 0.03 * np.maximum(epochs - 8, 0) + noise(seed, 40, 0.01)
    accuracy = 0.8 - 0.4 * np.exp(-epochs / 5)
    columns = {"loss": fall(40, 1.8, 0.01, seed), "accuracy": 1 - 0.5 * np.exp(-epochs / 6)}
    return write.history(folder / "history.json", **columns, val_loss=held, val_accuracy=accuracy)


def gap_without_a_rise(folder: Path, seed: int) -> Path:
    columns = {"loss": fall(80, 2.0, 0.1, seed), "val_loss": fall(80, 1.6, 0.7, seed + 1, 0.01, pace=9)}
    rows = write.rows_of(epoch=np.arange(80), **columns, learning_rate=np.full(80, 1e-3))
    return write.table(folder / "training.csv", rows, empty="NA")


def few_steps(folder: Path, seed: int) -> Path:
    loss = 10.9 - 3.4 * np.linspace(0, 1, 110) ** 0.9 + noise(seed, 110, 0.03)
    lines = [f"step {step} | loss: {value:.5f} | lr 6.0e-04 | norm: 1.2 | dt: 93ms" for step, value in enumerate(loss)]
    (folder / "train.log").write_text("\n".join(["using device: cuda", *lines]), encoding="utf-8")
    return folder / "train.log"


def spike(folder: Path, seed: int) -> Path:
    loss = 2.4 - 0.002 * np.arange(260) + noise(seed, 260, 0.02)
    at = 170 + seed % 30
    loss[at : at + 4] = [8.5, 7.0, 5.0, 3.1]
    rows = [{"mode": "train", "iter": 50 * row, "lr": 2e-4, "loss": value} for row, value in enumerate(loss)]
    return write.json_rows(folder / "20260101.log.json", rows)


def validation_lost(folder: Path, seed: int) -> Path:
    held = fall(30, 2.0, 0.6, seed, 0.01)
    held[20:] = math.nan
    rows = write.rows_of(epoch=np.arange(30), train_loss=fall(30, 2.2, 0.5, seed + 1, 0.01), val_loss=held)
    return write.table(folder / "metrics.csv", rows)


def several_sets(folder: Path, seed: int) -> Path:
    steps, evaluations = 10 * (1 + np.arange(200)), {}
    for count in range(16):
        row = {
            f"eval_{name}_loss": base
            + 0.08 * max(count - 3, 0)
            - 0.2 * min(count, 3)
            + float(noise(seed + count, 1, 0.01)[0])
            for name, base in (("easy", 1.3), ("hard", 2.1))
        }
        evaluations[int(steps[-1] * (count + 1) // 16)] = row
    return hugging_face(folder, fall(200, 1.5, 0.05, seed), evaluations=evaluations)


def fall_to_chance(folder: Path, seed: int) -> Path:
    level = math.log(12)
    columns = {"Loss": level * (1 + 1.2 * np.exp(-np.arange(150) / 3)) + noise(seed, 150, 4e-4)}
    columns["ValLoss"] = level * (1 + np.exp(-np.arange(150) / 3)) + noise(seed + 1, 150, 4e-4)
    return write.table(folder / "losses.csv", write.rows_of(**columns))


def opponent(folder: Path, seed: int) -> Path:
    rise = 0.2 + 0.25 * (1 - np.exp(-np.arange(160) / 40))
    task = fall(160, 0.5, 0.2, seed)
    rows = write.rows_of(step=50 * np.arange(160), train_loss=task + rise, train_task_loss=task, train_domain_loss=rise)
    held = fall(10, 0.5, 0.22, seed + 1, 0.005)
    rows += write.rows_of(step=50 * np.linspace(15, 159, 10).astype(int), val_loss=held)
    rows.sort(key=lambda row: row["step"] or 0)
    return write.table(folder / "metrics.csv", rows)


def folds(folder: Path, seed: int) -> Path:
    rows = [
        {"fold": fold, "epoch": epoch, "train_loss": loss, "valid_loss": held}
        for fold in range(4)
        for epoch, (loss, held) in enumerate(
            zip(fall(25, 1.8, 0.3, seed + fold), fall(25, 1.7, 0.4, seed + 9 + fold, 0.02), strict=True)
        )
    ]
    return write.table(folder / "cv.csv", rows)


def tensor_cells(folder: Path, seed: int) -> Path:
    lines = ["epoch,train_loss,val_loss"]
    for epoch, (loss, held) in enumerate(zip(fall(50, 2, 0.3, seed), fall(50, 1.9, 0.35, seed + 1), strict=True)):
        lines.append(f"{epoch},\"tensor({loss:.4f}, device='cuda:0', grad_fn=<MeanBackward0>)\",tensor({held:.4f})")
    (folder / "results.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "results.csv"


HANDMADE: dict[str, Handmade] = {
    maker.__name__: Handmade(maker, frozenset(wanted))
    for maker, wanted in (
        (nan_to_the_end, {"not_finite"}),
        (infinite, {"not_finite"}),
        (half_precision_lost, {"not_finite"}),
        (skipped_step, set()),
        (norm_explodes, {"exploding_gradients"}),
        (norm_peaks, set()),
        (rate_gone, {"rate_ended_early"}),
        (rate_as_planned, set()),
        (resumed, set()),
        (sessions, set()),
        (torn_events, set()),
        (diverged_events, {"diverged"}),
        (overfitting_wandb, {"overfitting"}),
        (plateau_mlflow, {"plateau"}),
        (overfitting_of_the_loss, {"overfitting"}),
        (gap_without_a_rise, set()),
        (few_steps, {"too_few_steps"}),
        (spike, {"loss_spike"}),
        (validation_lost, {"evaluation_mismatch"}),
        (several_sets, {"overfitting"}),
        (fall_to_chance, {"plateau"}),
        (opponent, set()),
        (folds, set()),
        (tensor_cells, set()),
    )
}
