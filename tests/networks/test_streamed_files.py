"""Rows of a Parquet file that are streamed: the same encodings, batches and losses as rows in memory."""

from __future__ import annotations

import itertools
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import downslope as ds
from downslope.networks.data import FileBatches, StreamedRows, survey
from downslope.tables import RowGroups

ROWS, GROUP = 800, 60
QUIET: dict[str, Any] = {"hidden": (4,), "probe_every": 0, "layers_every": 0}
CHOICES: dict[str, Any] = {
    **QUIET, "target": "y", "validation": 0, "steps": 160, "batch": 50, "evaluate_every": 40, "drop": "number",
    "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    random = np.random.default_rng(0)
    large = random.normal(1e6, 3, ROWS)
    colour = random.choice(["red", "green", "blue", "white"], ROWS, p=[0.5, 0.3, 0.15, 0.05])
    return pl.DataFrame(
        {
            "number": np.arange(ROWS),
            "large": large,
            "same": np.full(ROWS, 0.1),
            "colour": colour,
            "open": random.random(ROWS) < 0.3,
            "grade": random.integers(0, 3, ROWS),
            "y": 2 * (large - 1e6) - (colour == "red") + random.normal(0, 0.1, ROWS),
        }
    )


@pytest.fixture(scope="module")
def file(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.write_parquet(path, row_group_size=GROUP)
    return path


def surveyed(file: Path, target: str = "y", **choices: Any) -> StreamedRows:
    usual: dict[str, Any] = {
        "validation": None, "seed": 3, "standardise": True, "scale_targets": True, "missing": "refuse", "task": None,
        "drop": (),
    }  # fmt: skip
    return survey(RowGroups.of(file), target, **{**usual, **choices})


def test_means_deviations_and_counts_are_those_of_polars(frame: pl.DataFrame, file: Path) -> None:
    rows = surveyed(file, validation=0)
    expected = frame.drop("y").with_columns(
        *(pl.col("colour").eq(name).alias(f"colour={name}") for name in ("blue", "green", "red", "white"))
    )
    encoding = rows.encoding
    for feature, mean, deviation in zip(encoding.features, encoding.mean, encoding.deviation, strict=True):
        column = expected[feature].cast(float)
        spread = column.std(ddof=0)
        np.testing.assert_allclose(mean, column.mean(), rtol=1e-13)
        np.testing.assert_allclose(deviation, 1.0 if feature == "same" else spread, rtol=1e-9)
    np.testing.assert_allclose(encoding.target.mean, frame["y"].mean(), rtol=1e-12)
    np.testing.assert_allclose(encoding.target.deviation, frame["y"].std(ddof=0), rtol=1e-12)
    grades = surveyed(file, "grade", validation=0)
    assert grades.encoding.target.categories == (0, 1, 2)
    assert grades.class_counts == tuple(frame["grade"].value_counts().sort("grade")["count"])
    assert surveyed(file, "open").encoding.target.categories == ds.examples(file, "open").encoding.target.categories


def test_a_training_on_streamed_rows_has_the_losses_of_one_in_memory(file: Path) -> None:
    choices = {**CHOICES, "steps": 40}
    streamed, read = (ds.train(data=file, streaming=streaming, **choices) for streaming in (True, None))
    np.testing.assert_allclose(streamed.trace.columns["value"], read.trace.columns["value"], rtol=1e-5)
    assert streamed.predict(file).shape == (ROWS,)


def test_every_row_comes_once_a_round_and_those_held_back_never(file: Path) -> None:
    rows = surveyed(file, standardise=False, drop="colour")
    assert rows.held is not None
    held = set(rows.held.inputs[:, 0].tolist())
    assert 0.15 * ROWS < len(held) < 0.25 * ROWS
    batches = FileBatches(rows, 50, 0, window_bytes=4 * 7 * 240)
    assert batches.lanes > 1
    seen = np.concatenate([batch[0][:, 0] for batch in itertools.islice(batches, 40)])
    assert set(range(ROWS)) - set(seen.tolist()) == held
    for lane in range(batches.lanes):
        size = 50 // batches.lanes
        taken = seen.reshape(-1, batches.lanes, size)[:, lane].ravel()
        own = len(set(taken.tolist()))
        assert len(set(taken[:own].tolist())) == len(set(taken[own : 2 * own].tolist())) == own
        assert list(taken[:own]) != list(taken[own : 2 * own])


def test_batches_begin_anywhere_and_are_the_same_in_parts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = surveyed(file)
    batches = FileBatches(rows, 60, 0, window_bytes=4 * 8 * 280)
    assert batches.lanes == 4
    whole = list(itertools.islice(batches.batches_from(0, 7), 40))
    read: list[int] = []
    training_rows = StreamedRows.training_rows
    monkeypatch.setattr(StreamedRows, "training_rows", lambda rows, n: read.append(n) or training_rows(rows, n))
    for parts in ([slice(0, 60)], [slice(0, 30), slice(30, 60)], [slice(45, 60)]):
        read.clear()
        for number, batch in enumerate(itertools.islice(batches.batches_from(30, 7, parts), 10), start=30):
            part = parts[number % len(parts)]
            for ours, theirs in zip(batch, whole[number], strict=True):
                np.testing.assert_array_equal(ours[part], theirs[part])
        if parts == [slice(45, 60)]:  # a lane of four: a quarter of the file
            assert len(set(read)) <= -(-len(rows.counts) // 4)


def test_a_streamed_training_goes_on_to_the_same_bits(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileBatches.__init__, "__defaults__", (4 * 8 * 240,))
    choices = {**CHOICES, "streaming": True}
    whole = ds.train(data=file, **choices)

    def stop(training: ds.Training) -> None:
        if training.trace.last_step >= 80:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        ds.train(data=file, **choices, save=tmp_path / "run", watch=stop)
    again = ds.train(data=file, **choices, save=tmp_path / "run", resume=True)
    for name, leaf in whole.trace.end.items():
        np.testing.assert_array_equal(again.trace.end[name], leaf)
    assert again.metrics == whole.metrics


def test_missing_cells_are_filled_dropped_or_named(frame: pl.DataFrame, tmp_path: Path) -> None:
    holes = frame.with_columns(
        pl.when(pl.col("number") % 160 == 159).then(None).otherwise(pl.col("large")).alias("large"),
        pl.when(pl.col("number") == 500).then(None).otherwise(pl.col("colour")).alias("colour"),
    )
    file = tmp_path / "holes.parquet"
    holes.write_parquet(file, row_group_size=GROUP)
    with pytest.raises(ds.DataError, match="row 160, column large: the cell is missing"):
        surveyed(file)
    dropped = surveyed(file, missing="drop", validation=0)
    assert sum(dropped.counts) == ROWS - 6
    np.testing.assert_allclose(dropped.encoding.mean[1], holes.drop_nulls()["large"].mean(), rtol=1e-13)
    filled, in_memory = surveyed(file, missing="mean", validation=0), ds.examples(file, "y", missing="mean")
    assert sum(filled.counts) == ROWS
    for name in ("mean", "deviation", "fill"):
        np.testing.assert_allclose(
            getattr(filled.encoding, name), getattr(in_memory.encoding, name), rtol=1e-9, atol=1e-12
        )
    assert filled.encoding.columns == in_memory.encoding.columns


@pytest.mark.parametrize(
    ("change", "choices", "sentence"),
    [
        ({"day": pl.lit(date(2024, 5, 1))}, {}, "column day holds dates, which are not streamed"),
        ({"large": pl.lit(np.inf)}, {}, "row 1, column large: the cell is infinite"),
        ({"name": pl.col("number").cast(str) + "x"}, {}, "too many for categories"),
        ({}, {"batch": None}, "streamed rows need a batch size"),
        ({}, {"begin": {"steps": 5}}, "begin does not apply to rows that are streamed"),
        ({}, {"target": None}, "the target of rows that are streamed is the name of a column"),
        ({}, {"validation": 1.5}, "lies between 0 and 1"),
        ({"y": pl.lit("text ") + pl.col("number").cast(str)}, {}, "different labels in .* rows are not classes"),
    ],
)
def test_what_cannot_be_streamed_is_refused(
    frame: pl.DataFrame, tmp_path: Path, change: dict[str, pl.Expr], choices: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "rows.parquet"
    frame.with_columns(**change).write_parquet(file, row_group_size=GROUP)
    with pytest.raises(ds.DownslopeError, match=sentence):
        ds.Setup.of(None, file, **{"target": "y", "streaming": True, **QUIET, **choices}).plan()


def test_only_parquet_files_are_streamed(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_csv(tmp_path / "rows.csv")
    with pytest.raises(ds.SettingError, match="not a Parquet file"):
        ds.Setup.of(None, tmp_path / "rows.csv", "y", streaming=True).plan()
    with pytest.raises(ds.SettingError, match="only a Parquet file can be streamed"):
        ds.Setup.of(None, frame, "y", streaming=True).plan()


def test_a_file_that_does_not_fit_into_memory_is_streamed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ds.Setup.of(None, file, "y").task.objective.batched.stream is None
    monkeypatch.setattr("downslope.tables._row_groups.memory_of_machine", lambda: 100_000)
    assert isinstance(ds.Setup.of(None, file, "y").task.objective.batched.stream, FileBatches)
    assert ds.Setup.of(None, file, "y", streaming=False).task.objective.batched.stream is None
