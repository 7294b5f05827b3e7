"""What is saved comes back to the last bit, and damage is told."""

from __future__ import annotations

import json

import numpy as np
import polars
import pytest

import downslope as ds
from downslope.trace import Trace


def runs() -> list[Trace]:
    return [
        ds.descend("f(x) = x² - 4x + 5", 0, learning_rate=0.1, steps=20),
        ds.descend("x²", 10.0, learning_rate=1.1, steps=3000),
        ds.descend("100(y - x²)² + (1 - x)²", {"x": -1.2, "y": 1}, method="adam", steps=50, record=7),
        ds.descend(lambda p: (p["w"] ** 2).sum() + p["b"] ** 2, {"w": np.ones((4, 5)), "b": 1.0}, steps=9),
    ]


@pytest.mark.parametrize("place", range(4))
def test_round_trip_is_exact(tmp_path, place: int) -> None:
    trace = runs()[place]
    back = ds.load(ds.save(trace, tmp_path / "run"))
    assert back.outcome is trace.outcome
    assert back.plan == json.loads(json.dumps(trace.plan))
    assert back.coordinate_names == trace.coordinate_names
    for name, column in trace.columns.items():
        np.testing.assert_array_equal(back.columns[name], column)
    for name, leaf in trace.end.items():
        np.testing.assert_array_equal(back.end[name], leaf)
        assert back.end[name].shape == leaf.shape
    assert back.parts.equals(trace.parts)
    for ours, theirs in zip(trace.spectra, back.spectra, strict=True):
        np.testing.assert_array_equal(ours.eigenvalues, theirs.eigenvalues)
        assert ours.preconditioned_highest == theirs.preconditioned_highest
    assert ds.diagnose(back).symptoms == ds.diagnose(trace).symptoms


def test_saving_again_replaces_the_trace(tmp_path) -> None:
    first, second, *_ = runs()
    ds.save(first, tmp_path / "run")
    ds.save(second, tmp_path / "run")
    assert len(ds.load(tmp_path / "run")) == len(second)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_other_folders_are_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ds.TraceError, match="is no trace"):
        ds.save(runs()[0], tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_damage_is_told(tmp_path) -> None:
    folder = ds.save(runs()[0], tmp_path / "run")
    steps = folder / "steps.arrow"
    whole = steps.read_bytes()
    steps.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ds.TraceError):
        ds.load(folder)
    steps.unlink()
    with pytest.raises(ds.TraceError, match="missing"):
        ds.load(folder)
    (folder / "trace.json").write_text("{")
    with pytest.raises(ds.TraceError, match="damaged"):
        ds.load(folder)
    with pytest.raises(ds.TraceError, match="no trace"):
        ds.load(tmp_path / "nowhere")


def test_another_format_is_told(tmp_path) -> None:
    folder = ds.save(runs()[0], tmp_path / "run")
    told = json.loads((folder / "trace.json").read_text())
    (folder / "trace.json").write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(ds.TraceError, match="format 99"):
        ds.load(folder)


@pytest.mark.parametrize(("suffix", "read"), [("csv", polars.read_csv), ("parquet", polars.read_parquet)])
def test_exports_hold_the_steps(tmp_path, suffix: str, read) -> None:
    trace = runs()[0]
    frame = read(ds.export(trace, tmp_path / f"steps.{suffix}"))
    np.testing.assert_array_equal(frame["x"].to_numpy(), trace.coordinates[:, 0])
    with pytest.raises(ds.TraceError, match="csv"):
        ds.export(trace, tmp_path / "steps.xls")
