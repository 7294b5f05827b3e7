"""A flipped bit is never silent: every file of every kind of run is checked, and what is kept is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.trace import Journal, Outcome
from downslope.trace._arrow import StoredColumns
from downslope.trace._checksum import RunningChecksum
from tests.equality import same
from tests.trace import damaged_runs, journal_writer

FORMAT_2 = Path(__file__).with_name("format_2")


@pytest.fixture(scope="module", params=damaged_runs.RUNS)
def run(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "run"
    damaged_runs.RUNS[request.param](folder)
    return folder


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch) -> None:
    """No other process writes these runs, so nothing is waited for."""
    monkeypatch.setattr("downslope.trace._load._WAITS", ())


def test_no_flipped_bit_is_silent(run) -> None:
    whole = ds.load(run)
    for file, byte, bit in damaged_runs.flips(run, 40, seed=1):
        damaged_runs.flip(file, byte, bit)
        assert damaged_runs.outcome(run, whole, file) != "silent", (file.name, byte, bit)
        damaged_runs.flip(file, byte, bit)
    damaged_runs.same_run(ds.load(run), whole)


def test_no_flipped_bit_of_a_header_is_silent(run) -> None:
    """Each byte at both ends of the small files, where the checksum and the format are."""
    whole = ds.load(run)
    for name in ("trace.json", "progress.json", "fit_state.json"):
        file = run / name
        for byte in (*range(60), *range(-4, 0)) if file.is_file() else ():
            at = byte % file.stat().st_size
            damaged_runs.flip(file, at, byte % 8)
            assert damaged_runs.outcome(run, whole, file) != "silent", (name, at)
            damaged_runs.flip(file, at, byte % 8)


def test_a_run_without_its_checksums_is_no_earlier_one(run) -> None:
    """Neither the format of the earlier version nor a lost checksum makes a run unverified."""
    header = run / "trace.json"
    text = header.read_bytes()
    assert b'"format": 3' in text
    for changed in (
        text.replace(b'"format": 3', b'"format": 2'),
        text.replace(b'"checksum"', b'"bhecksum"', 1),
        text.replace(b'"checksum"', b'"bhecksum"', 1).replace(b'"format": 3', b'"format": 2'),
    ):
        header.write_bytes(changed)
        with pytest.raises(ds.TraceError, match="damaged"):
            ds.load(run)
    header.write_bytes(text)


def test_the_last_value_of_a_descent(tmp_path) -> None:
    trace = ds.descend("f(x) = x² - 4x + 5", start={"x": 0}, learning_rate=0.1, steps=200, tolerance=0)
    folder = ds.save(trace, tmp_path / "run")
    file = folder / "steps.arrow"
    content = bytearray(file.read_bytes())
    place = bytes(content).rfind(np.float64(trace.recorded["value"][-1]).tobytes())
    content[place + 7] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(ds.TraceError, match=r"steps\.arrow is damaged") as caught:
        ds.load(folder)
    kept = ds.load(folder, damaged="keep")
    assert 150 < len(kept) < len(trace)
    assert f"rows up to step {kept.last_step}" in str(caught.value)
    assert 'damaged="keep"' in str(caught.value)
    assert kept.outcome is Outcome.RUNNING
    assert f"after step {kept.last_step}" in kept.caveats[0]
    assert f"after step {kept.last_step}" in str(kept)
    assert f"after step {kept.last_step}" in str(ds.diagnose(kept))
    assert float(kept.end["x"]) == trace.coordinates[kept.last_step, 0]
    assert kept.end_spectrum is None
    ds.diagnose(kept)


def test_points_that_are_damaged_are_missing(tmp_path) -> None:
    folder = tmp_path / "run"
    damaged_runs.large_descent(folder)
    whole = ds.load(folder)
    damaged_runs.flip(folder / "points.npz", 700, 3)
    with pytest.raises(ds.TraceError, match=r"points\.npz is damaged.*the start and the end"):
        ds.load(folder)
    kept = ds.load(folder, damaged="keep")
    assert len(kept) == len(whole)
    assert np.isnan(kept.end["w"]).all()
    assert kept.end["w"].shape == (80,)
    assert "the start and the end" in kept.caveats[0]


def test_a_damaged_state_costs_the_state_alone(tmp_path) -> None:
    folder = tmp_path / "run"
    damaged_runs.running(folder)
    whole = ds.load(folder)
    (state,) = folder.glob("state-*.npz")
    damaged_runs.flip(state, 100, 3)
    with pytest.raises(ds.TraceError, match=f"{state.name} is damaged.*network"):
        ds.load(folder)
    kept = ds.load(folder, damaged="keep")
    same(kept.recorded, whole.recorded)
    assert "memory" not in kept.facts
    with pytest.raises(ds.TraceError, match=r"state.*is damaged"):
        Journal.reopen(folder)


def test_a_damaged_spectrum_costs_itself_alone(tmp_path) -> None:
    folder = tmp_path / "run"
    damaged_runs.running(folder)
    whole = ds.load(folder)
    damaged_runs.flip(folder / "spectrum-1.npz", 300, 1)
    kept = ds.load(folder, damaged="keep")
    same(kept.spectra, whole.spectra[:1])
    assert "curvature" in kept.caveats[0]


@pytest.mark.parametrize("stream", ["steps", "layers", "parts", "metrics"])
def test_the_rows_before_the_damage_of_a_journal_are_kept(tmp_path, stream: str) -> None:
    folder = tmp_path / "run"
    damaged_runs.running(folder)
    whole = ds.load(folder)
    file = folder / f"{stream}.arrow"
    damaged_runs.flip(file, file.stat().st_size - 20, 1)
    with pytest.raises(ds.TraceError, match=f"{stream}.arrow is damaged"):
        Journal.reopen(folder)
    damaged_runs.assert_kept(folder, whole)
    kept = ds.load(folder, damaged="keep")
    columns = {
        "steps": kept.recorded,
        "layers": kept.layer_columns,
        "parts": kept.part_columns,
        "metrics": kept.metrics,
    }
    rows = {"steps": 90}.get(stream, 18)
    assert rows * 0.9 <= len(next(iter(columns[stream].values()))) < rows


def test_checksums_of_a_long_stream_stay_few_and_even() -> None:
    checksum = RunningChecksum()
    for length in range(1, 2000):
        checksum = checksum.after(bytes(length % 7 + 1))
    ends = [0, *(prefix.length for prefix in checksum.extent.prefixes)]
    assert len(ends) < 40
    assert max(np.diff(ends)) < checksum.extent.length / 8


def test_a_running_checksum_goes_on_where_it_was(tmp_path) -> None:
    straight = damaged_runs.running(tmp_path / "straight", 90)
    damaged_runs.running(tmp_path / "resumed", 45)
    resumed = journal_writer.go_on(Journal.reopen(tmp_path / "resumed"), 90)
    for name, extent in straight._progress.extents.items():
        assert resumed._progress.extents[name].whole == extent.whole


def test_a_stream_is_not_read_again_while_it_is_written(tmp_path, monkeypatch) -> None:
    journal = damaged_runs.running(tmp_path / "run", 45)
    monkeypatch.setattr("downslope.trace._checksum._pieces", None)
    for first in range(45, 90, journal_writer.CHUNK):
        journal.append(**journal_writer.rows(first))
    monkeypatch.undo()
    assert len(ds.load(tmp_path / "run")) == 90


@pytest.mark.parametrize("name", ["descent", "points", "journal"])
def test_runs_without_checksums_are_loaded_with_a_caveat(tmp_path, name: str) -> None:
    trace = ds.load(FORMAT_2 / name)
    assert "checksums" in trace.caveats[0]
    saved = ds.load(ds.save(trace, tmp_path / "run"))
    assert saved.caveats == ()
    same(saved, trace.replace(caveats=()))
    assert "checksums" in str(ds.diagnose(trace))


def test_a_resumed_run_without_checksums_gets_them(tmp_path) -> None:
    folder = damaged_runs.copied(FORMAT_2 / "journal", tmp_path / "old")
    new = tmp_path / "new"
    damaged_runs.running(new, 65)
    resumed = Journal.reopen(folder)
    # The kept run was written on another machine, whose exponentials may differ by a rounding.
    same(ds.load(folder), ds.load(Journal.reopen(new).folder), within=1e-6)
    journal_writer.go_on(resumed, 90)
    damaged_runs.running(new, 90)
    same(ds.load(folder), ds.load(new), within=1e-6)
    whole = ds.load(folder)
    for file, byte, bit in damaged_runs.flips(folder, 15, seed=2):
        damaged_runs.flip(file, byte, bit)
        assert damaged_runs.outcome(folder, whole, file) != "silent", (file.name, byte, bit)
        damaged_runs.flip(file, byte, bit)


@pytest.mark.parametrize("damaged", [None, True, "ignore", 3])
def test_other_choices_are_answered(damaged, tmp_path) -> None:
    with pytest.raises(ds.SettingError, match='damaged is "refuse" or "keep"'):
        ds.load(tmp_path, damaged=damaged)


def test_every_file_is_one_that_is_checked(run) -> None:
    """No file of a run is read without a checksum: those of JSON and of arrays begin or end with one."""
    streams = json.loads((run / "trace.json").read_bytes())["streams"]
    for file in run.iterdir():
        if file.name == "fit.json":
            continue  # for other programs: nothing reads it back
        if file.suffix == ".json":
            assert file.read_bytes().startswith(b'{\n "checksum": "')
        elif file.suffix == ".npz":
            assert b"downslope XXH3 " in file.read_bytes()[-31:]
        else:
            assert streams is None or file.name.removesuffix(".arrow").removesuffix("-finished") in streams


def test_large_rows_by_layer_stay_on_disk_and_are_checked(run, monkeypatch) -> None:
    whole = ds.load_trace(run)
    monkeypatch.setattr("downslope.trace._load._LARGEST_READ", 0)
    stored = ds.load_trace(run)
    for columns in (stored.layer_columns, stored.part_columns):
        assert isinstance(columns, StoredColumns) or not columns
    same(stored.replace(layer_columns=dict(stored.layer_columns), part_columns=dict(stored.part_columns)), whole)
    for file in (*run.glob("layers*.arrow"), *run.glob("parts*.arrow")):
        damaged_runs.flip(file, file.stat().st_size // 2, 3)
    if stored.layer_columns or stored.part_columns:
        with pytest.raises(ds.TraceError, match=r"(layers|parts).*arrow is damaged"):
            ds.load(run)
    for file in (*run.glob("layers*.arrow"), *run.glob("parts*.arrow")):
        damaged_runs.flip(file, file.stat().st_size // 2, 3)
