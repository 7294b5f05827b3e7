"""The rows of a training under way: appended at a constant cost, with the same numbers as a plain list of them."""

import copy
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import downslope as ds
from downslope.descent.batches import _descent, _log
from downslope.descent.batches._log import BatchLog, GrowingColumns, Measurements
from downslope.trace import Journal, Spectrum
from downslope.trace._arrow import StoredColumns


def test_growing_columns_hold_what_was_appended() -> None:
    rows, rng = GrowingColumns(), np.random.default_rng(1)
    pieces = [{"step": np.arange(n), "norm": rng.normal(size=(n, 3))} for n in (0, 2, 1, 40, 0, 7)]
    for piece in pieces:
        rows.append(piece)
    for name in ("step", "norm"):
        np.testing.assert_array_equal(rows.since(0)[name], np.concatenate([piece[name] for piece in pieces]))
        np.testing.assert_array_equal(rows.since(43)[name], pieces[-1][name])


def test_the_first_rows_decide_on_the_columns_even_where_there_are_none() -> None:
    rows = GrowingColumns()
    rows.append({"step": np.zeros(0, np.int64)})
    rows.append({"step": np.arange(2), "norm": np.ones((2, 3))})
    assert rows.since(0)["norm"].shape == (2, 3)


def test_a_view_copies_nothing_and_is_not_changed_later() -> None:
    rows = GrowingColumns()
    rows.append({"value": np.arange(1e6)})
    tracemalloc.start()
    view = rows.since(0)["value"]
    assert tracemalloc.get_traced_memory()[1] < 10_000
    tracemalloc.stop()
    rows.replace_last("value", np.nan)
    assert view[-1] == 999_999
    assert np.isnan(rows.last("value"))


@pytest.mark.parametrize("seed", range(5))
def test_measurements_equal_a_plain_list_of_them(seed: int) -> None:
    rng, table, plain = np.random.default_rng(seed), Measurements(), cast("dict[int, dict[str, float]]", {})
    step = 0
    for _ in range(60):
        step += int(rng.integers(0, 3))
        # A look at the curvature ends later than steps that were taken beside it.
        at = max(0, step - int(rng.integers(0, 5))) if rng.random() < 0.3 else step
        row = {name: float(rng.choice([rng.normal(), np.nan, np.inf, 0.0])) for name in "abc" if rng.random() < 0.6}
        table.add(at, row)
        plain.setdefault(at, {}).update(row)
        for name in "abcd":
            values = [plain[key][name] for key in sorted(plain) if np.isfinite(plain[key].get(name, np.nan))]
            assert table.since_best(name) == (len(values) - 1 - int(np.argmin(values)) if values else 0)
    for end in (step, step // 2):
        table.cut_after(end)
        columns = table.columns()
        assert columns["step"].tolist() == [key for key in sorted(plain) if key <= end]
        for name in table.names:
            expected = [plain[key].get(name, np.nan) for key in sorted(plain) if key <= end]
            np.testing.assert_array_equal(columns[name], expected)


def test_the_lowest_measurement_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    argmin = np.argmin
    monkeypatch.setattr(np, "argmin", lambda values: searches.append(len(values)) or argmin(values))
    table = Measurements()
    for step in range(500):
        table.add(step, {"validation_loss": float(step % 7)})
        assert table.since_best("validation_loss") == step
    assert len(searches) == 1


def test_only_the_first_and_the_last_spectra_keep_their_directions() -> None:
    log = BatchLog(cast("Any", SimpleNamespace()), ("w",), None)
    end = {"w": np.ones(2)}
    for step in range(6):
        whole = Spectrum(step, np.array([1.0, 2.0]), False, end, end)
        log.add_spectrum(whole if step not in (2, 5) else whole.without_directions())
    for table in (log._steps, log._layer_steps):
        table.append({"step": np.arange(1)})
    # The last but one keeps them as well, since the run may end before the last.
    assert [spectrum.has_directions for spectrum in log._spectra] == [True, False, False, True, True, False]
    kept = [spectrum.has_directions for spectrum in log.gathered()[-1]]
    assert kept == [True, False, False, False, True, False]
    assert log.last_spectrum is not None
    assert log.last_spectrum.step == 4


def test_a_record_beyond_the_memory_for_it_stays_on_disk_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices: dict[str, Any] = {"hidden": (3, 3), "steps": 400, "layers_every": 1, "probe_every": 50, "progress": False}
    choices |= {"data": "iris", "evaluate_every": 20, "batch": 30}
    whole = ds.train(save=tmp_path / "whole", **choices).trace
    monkeypatch.setattr(_log, "_MOST_KEPT", 1000)
    monkeypatch.setattr(_descent, "_WRITE_SECONDS", 0.0)
    held, seen = [], []
    gathered = BatchLog.gathered

    def watched(log: BatchLog) -> Any:
        held.append(log._layers.bytes + log._parts.bytes)
        return gathered(log)

    monkeypatch.setattr(BatchLog, "gathered", watched)
    watch = lambda training: seen.append({**training.trace.layer_columns, **training.trace.part_columns})  # noqa: E731
    large = ds.train(save=tmp_path / "large", watch=watch, **choices).trace
    row = sum(column[0].nbytes for column in (*whole.layer_columns.values(), *whole.part_columns.values()))
    assert max(held) < 100 * row, "at most the rows of a chunk"
    assert isinstance(large.layer_columns, StoredColumns)
    for columns in seen:
        for name, column in columns.items():
            expected = (whole.layer_columns | whole.part_columns)[name][: len(column)]
            np.testing.assert_array_equal(column[:-1], expected[:-1])
    for trace in (large, ds.load(tmp_path / "large"), copy.deepcopy(large)):
        for name in ("layer_columns", "part_columns", "recorded"):
            ours, theirs = getattr(trace, name), getattr(whole, name)
            assert list(ours) == list(theirs)
            assert all(ours[key].tobytes() == theirs[key].tobytes() for key in theirs)
        assert str(ds.diagnose(trace)) == str(ds.diagnose(whole))
    # The rows stand in the folder once.
    assert not list((tmp_path / "large").glob("layers-finished*"))
    shutil.rmtree(tmp_path / "large")
    assert large.layer_columns["activation_mean"].shape == whole.layer_columns["activation_mean"].shape


def test_a_last_row_that_changes_after_it_was_dropped_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_MOST_KEPT", 0)
    header = ds.descend("x²", {"x": 1.0}, learning_rate=0.1, steps=1, progress=False).replace(
        coordinates=None, gradients=None, coordinate_names=(), layer_names=("a",)
    )
    log = BatchLog(cast("Any", SimpleNamespace()), ("x",), Journal.begin(tmp_path / "run", header))
    norms = {"parameter_norm": np.ones((2, 1)), "gradient_norm": np.ones((2, 1)), "update_norm": np.ones((2, 1))}
    numbers = {name: np.ones(2) for name in ("value", "gradient_norm", "update_norm", "first_order_decrease")}
    log._steps.append({"step": np.arange(2), **numbers})
    log._layer_steps.append({"step": np.arange(2)})
    log._layers.append({"activation_mean": np.ones((2, 1))})
    log._parts.append(norms)
    log.write(None)
    assert len(log._parts) == 0
    log.end_with_last_row()
    _, _, layers, parts, _, _ = log.gathered()
    np.testing.assert_array_equal(parts["update_norm"], [[1], [np.nan]])
    np.testing.assert_array_equal(parts["gradient_norm"], [[1], [1]])
    np.testing.assert_array_equal(layers["activation_mean"], [[1], [1]])


class Together:
    """The layout of one of two processes, of which the first leaves its arrays for the second."""

    hosts, sent = 2, dict[str, np.ndarray]()

    def __init__(self, number: int) -> None:
        self.writes = number == 0

    def arrays_of_first(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.writes:
            Together.sent = {name: np.array(array) for name, array in arrays.items()}
        return Together.sent


@pytest.mark.parametrize("count", [0, 1, 12])
def test_another_process_takes_up_rows_and_spectra_that_the_first_read_from_disk(count: int) -> None:
    rng = np.random.default_rng(5)
    first, second = (BatchLog(cast(Any, None), (), None) for _ in range(2))
    for step in range(count):
        ends = [{"weights": rng.normal(size=(2, 3)), "a/b": np.ones(1, np.float32)} for _ in range(2)]
        lowest, highest = ends if step != 5 else (None, None)
        scaled = None if step % 3 else 1.5 * step
        first.add_spectrum(Spectrum(50 * step, np.array([-1.0, step]), False, lowest, highest, scaled))
        first.add_metrics(50 * step, {"training_loss": 1.0 / (step + 1)})
    for number, log in enumerate((first, second)):
        log.share(cast(Any, Together(number)))
    here, there = first._spectra, second._spectra
    assert len(here) == len(there) == count
    for one, other in zip(here, there, strict=True):
        assert (one.step, one.complete, one.preconditioned_highest, one.has_directions) == (
            other.step,
            other.complete,
            other.preconditioned_highest,
            other.has_directions,
        )
        np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)
    if count:
        last, taken = first.last_spectrum, second.last_spectrum
        assert last is not None
        assert taken is not None
        for end in ("lowest_direction", "highest_direction"):
            for name, leaf in getattr(last, end).items():
                np.testing.assert_array_equal(getattr(taken, end)[name], leaf)
                assert getattr(taken, end)[name].dtype == leaf.dtype
        np.testing.assert_array_equal(second.metrics["training_loss"], first.metrics["training_loss"])
