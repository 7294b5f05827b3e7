"""A number that is not finite is never healthy, wherever it stands in a trace and however it came there."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import pytest

import downslope as ds
from tests.trace import damaged_runs


@functools.cache
def trace(name: str) -> ds.Trace:
    """Return a healthy trace."""
    if name == "descent":
        return ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, learning_rate=0.05, steps=400)
    if name == "adam":
        return ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, method="adam", learning_rate=0.1, steps=50, record=5)
    if name == "scheduled":
        return ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, learning_rate=0.05, schedule="cosine", steps=400)
    if name == "scheduled training":
        choices = {"schedule": "cosine", "learning_rate": 0.02, "probe_every": 0, "layers_every": 100}
        return ds.train(data="iris", hidden=(4,), steps=300, progress=False, **choices).trace
    if name == "fit":
        return ds.fit("y = a x + b", damaged_runs.FITTED).trace
    return ds.train(data="iris", hidden=(4,), steps=300, probe_every=100, progress=False).trace


def is_good(trace: ds.Trace) -> bool:
    """Return whether a diagnosis says of a trace that it is well."""
    diagnosis = ds.diagnose(trace)
    assert "nan" not in str(diagnosis).lower().split()
    return diagnosis.ok or "healthy" in str(diagnosis).lower() or "✓" in str(diagnosis)


def changed(column: np.ndarray, row: int, number: float) -> np.ndarray:
    """Return a column with another number in a row."""
    copy = np.array(column, dtype=float)
    copy[row] = number
    return copy


@pytest.mark.parametrize("name", ["descent", "adam", "scheduled", "fit", "training", "scheduled training"])
def test_a_healthy_trace_stays_healthy(name) -> None:
    assert "not_finite" not in ds.diagnose(trace(name)).symptoms


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["descent", "adam", "fit", "training"])
def test_no_recorded_number_that_is_not_finite_is_healthy(name, number) -> None:
    healthy = trace(name)
    rows = len(healthy)
    for column, numbers in healthy.recorded.items():
        whole = np.broadcast_to(np.asarray(numbers, dtype=float), (rows,))
        for row in (rows - 1, rows // 2, 0):
            if np.isnan(number) and np.isnan(whole[row]):
                continue  # nothing is changed: a step that was not measured, or that no row has
            if np.isnan(number) and column in ("cosine", "first_order_decrease", "update_norm") and name != "descent":
                continue  # these are not known at each step, and NaN says so
            broken = healthy.replace(recorded={**healthy.recorded, column: changed(whole, row, number)})
            assert not is_good(broken), (column, row)
    for column in ("coordinates", "gradients"):
        matrix = getattr(healthy, column)
        for row in (-1, rows // 2) if matrix is not None else ():
            broken = np.array(matrix)
            broken[row, -1] = number
            assert not is_good(healthy.replace(**{column: broken})), (column, row)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_no_measurement_that_is_not_finite_is_healthy(number) -> None:
    healthy = trace("training")
    for column in ("training_loss", "validation_loss", "training_accuracy"):
        for row in (-1, len(healthy.metrics["step"]) // 2):
            metrics = {**healthy.metrics, column: changed(healthy.metrics[column], row, number)}
            assert not is_good(healthy.replace(metrics=metrics)), (column, row)
    for group in ("layer_columns", "part_columns"):
        for column, numbers in getattr(healthy, group).items():
            broken = np.array(numbers)
            broken[len(broken) // 2, 0] = np.inf
            assert not is_good(healthy.replace(**{group: {**getattr(healthy, group), column: broken}})), column
    end = {name: np.full(np.shape(leaf), number) for name, leaf in healthy.end.items()}
    assert not is_good(healthy.replace(end=end))


GROUPS = ("recorded", "metrics", "layer_columns", "part_columns")
# Rows of a column: one, some together, the first, the last, every other one, all.
ROWS = (slice(4, 5), slice(5, 9), slice(0, 3), slice(-3, None), slice(None, None, 2), slice(None))


def broken_trainings(seed: int, count: int) -> Iterator[tuple[tuple[object, ...], ds.Trace]]:
    """Yield trainings in which some rows of one column are not finite though the healthy one's are."""
    random = np.random.default_rng(seed)
    while count:
        healthy = trace(("training", "scheduled training")[random.integers(2)])
        group = GROUPS[random.integers(4)]
        columns = getattr(healthy, group)
        column = [name for name in columns if name != "step"][random.integers(len(columns) - ("step" in columns))]
        whole = np.asarray(columns[column], dtype=float)
        whole = np.array(whole if whole.ndim else np.broadcast_to(whole, (len(healthy),)))
        rows, number = ROWS[random.integers(6)], (np.nan, np.inf, -np.inf)[random.integers(3)]
        part = whole if whole.ndim == 1 else whole[:, random.integers(whole.shape[1])]
        if np.isnan(part[rows]).all():
            continue  # nothing would change
        part[rows] = number
        yield (group, column, rows, number), healthy.replace(**{group: {**columns, column: whole}})
        count -= 1


@pytest.mark.parametrize("seed", range(3))
def test_no_training_with_a_column_that_is_not_finite_is_called_healthy(seed) -> None:
    for what, broken in broken_trainings(seed, 12):
        diagnosis = ds.diagnose(broken)
        # NaN in the columns of layers and parts, or in a score, means that it was not measured there.
        may_lack = what[0] in ("layer_columns", "part_columns") and np.isnan(np.asarray(what[3], float))
        assert may_lack or "healthy" not in diagnosis.symptoms, what
        assert "nan" not in str(diagnosis).lower().split(), what
        if "loss" in str(what[1]) or what[1] == "value":
            assert not diagnosis.ok, what


@pytest.mark.parametrize("column", ["loss", "validation_loss", "gradient_norm"])
@pytest.mark.parametrize("rows", ROWS)
def test_no_log_with_a_column_that_is_not_finite_is_called_healthy(column, rows) -> None:
    steps = np.arange(200.0)
    noise = 1 + 0.02 * np.sin(37 * steps**1.5)
    log = {"loss": np.exp(-steps / 60) * noise, "gradient_norm": 1.0 * noise}
    evaluations = {"step": steps[9::10], "validation_loss": np.exp(-steps[9::10] / 70)}
    for number in (np.nan, np.inf):
        (log if column in log else evaluations)[column][rows] = number
        diagnosis = ds.diagnose(ds.trace_from(log, evaluations=evaluations))
        assert "healthy" not in diagnosis.symptoms
        assert "nan" not in str(diagnosis).lower().split()


@pytest.mark.parametrize("name", ["descent", "training"])
def test_a_trace_without_a_row_is_answered(name) -> None:
    whole = trace(name)
    none = {column: np.asarray(numbers)[:0] for column, numbers in whole.recorded.items() if np.ndim(numbers)}
    empty = dataclasses.replace(
        whole, recorded=none, coordinates=None, gradients=None, spectra=(), metrics={}, part_columns={},
        layer_columns={}, layer_steps=None, outcome=ds.Outcome.RUNNING,
    )  # fmt: skip
    assert "No step was taken yet" in str(ds.diagnose(empty))
