"""A journal can be read at any moment, loses nothing that was acknowledged, and goes on as if it had never stopped."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import ml_dtypes
import numpy as np
import pytest

import downslope as ds
from downslope.trace import Journal, Outcome, Spectrum, Trace, load, save
from downslope.trace._disk import write_arrays
from tests.equality import same

_WRITER = Path(__file__).with_name("journal_writer.py")


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("journal_writer", _WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


writer = _writer()


def uninterrupted(folder: Path, last: int) -> Journal:
    return writer.go_on(Journal.begin(folder, writer.header()), last)


def finished(journal: Journal) -> Trace:
    """Return the trace that a training makes of its journal."""
    rows = journal.rows()
    layers = dict(rows.layers)
    end = {name: leaf + 1 for name, leaf in writer.header().start.items()}
    return writer.header().replace(
        outcome=Outcome.STOPPED_EARLY,
        recorded=rows.steps,
        part_columns=rows.parts,
        layer_steps=layers.pop("step"),
        layer_columns=layers,
        metrics=rows.metrics,
        spectra=rows.spectra,
        end=end,
    )


def kill_somewhere(folder: Path, last: int, dice: random.Random) -> int:
    """Run the writer, kill it at a random moment, and return how many rows it was told are safe."""
    seconds = dice.uniform(0, 0.08)
    child = subprocess.Popen([sys.executable, str(_WRITER), str(folder), str(last)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(seconds)
    child.kill()
    told = [first, *child.stdout.read().splitlines()]
    child.stdout.close()
    child.wait()
    return int([line for line in told if line.strip()][-1])


def test_nothing_is_lost_where_the_writer_is_killed_again_and_again(tmp_path) -> None:
    folder, dice = tmp_path / "killed", random.Random(0)
    for _ in range(8):
        safe = kill_somewhere(folder, 10**6, dice)
        trace = load(folder)
        assert trace.outcome is Outcome.RUNNING
        assert len(trace) >= safe
        np.testing.assert_array_equal(trace.recorded["step"], np.arange(len(trace)))
        np.testing.assert_array_equal(trace.recorded["value"], np.cos(np.arange(len(trace))))
        assert len(trace.layer_steps) == len(trace.part_columns["update_norm"]) == len(trace) // writer.CHUNK
        journal = Journal.reopen(folder)
        at_state = int(journal.note.get("rows", 0))  # none is written yet where the first chunks were cut off
        assert safe - at_state < writer.CHUNK * writer.STATES
        assert len(journal.rows().steps.get("step", ())) == at_state == len(load(folder))
        kept = [folder / journal._progress.state_file] if at_state else []
        assert sorted(folder.glob("state-*")) == kept
    last = at_state + 40
    straight = uninterrupted(tmp_path / "straight", last)
    mended = writer.go_on(journal, last)
    same(mended.rows(), straight.rows())
    same(mended.state, straight.state)
    same(load(folder), load(tmp_path / "straight"))


class Stopped(BaseException):
    """What stands for `kill -9` at one certain call."""


def life(folder: Path) -> None:
    """Live through all that a journal does; the rows are acknowledged one append after another."""
    for last in (20, 35):
        journal = Journal.begin(folder, writer.header()) if last == 20 else Journal.reopen(folder)
        writer.go_on(journal, last)
        journal.finish(finished(journal).replace(metrics={}))


def test_it_can_be_stopped_between_any_two_writes(tmp_path, monkeypatch) -> None:
    calls = {"left": 0}

    def counted(function):
        def call(*arguments, **choices):
            calls["left"] -= 1
            if calls["left"] == 0:
                raise Stopped
            return function(*arguments, **choices)

        return call

    straight = uninterrupted(tmp_path / "straight", 45)
    rows, whole = straight.rows(), load(tmp_path / "straight")
    for stop in range(1, 1000, 3):  # every third write: some dozens of stops, over all kinds of files
        folder, calls["left"] = tmp_path / str(stop), stop
        with monkeypatch.context() as patched:
            for name in ("replace", "fsync", "unlink"):
                patched.setattr(os, name, counted(getattr(os, name) if name != "fsync" else lambda file: None))
            try:
                life(folder)
                break
            except Stopped:
                pass
        if folder.exists():
            trace = load(folder)
            np.testing.assert_array_equal(trace.recorded["step"], np.arange(len(trace)))
            journal = writer.go_on(Journal.reopen(folder), 45)
            same(journal.rows(), rows)
            same(journal.state, straight.state)
            same(load(folder), whole)
    assert 30 < stop < 999


@pytest.mark.parametrize("stream", ["steps", "layers", "parts", "metrics"])
def test_torn_pieces_are_cut_off(tmp_path, stream: str) -> None:
    straight = uninterrupted(tmp_path / "straight", 60).rows()
    journal = uninterrupted(tmp_path / "torn", 45)
    file = tmp_path / "torn" / f"{stream}.arrow"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[-777:-100])
    assert len(load(tmp_path / "torn")) == 45
    same(writer.go_on(Journal.reopen(tmp_path / "torn"), 60).rows(), straight)
    # The same where the writer lives on after a failed write.
    journal = uninterrupted(tmp_path / "torn", 45)
    file.write_bytes(whole + b"torn")
    same(writer.go_on(journal, 60).rows(), straight)


def test_bytes_that_are_missing_are_told(tmp_path) -> None:
    uninterrupted(tmp_path / "run", 45)
    file = tmp_path / "run" / "steps.arrow"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ds.TraceError, match="torn"):
        load(tmp_path / "run")
    with pytest.raises(ds.TraceError, match="torn"):
        Journal.reopen(tmp_path / "run")


def test_rows_go_back_to_the_state_that_they_led_to(tmp_path) -> None:
    journal = Journal.begin(tmp_path / "run", writer.header())
    journal.append(**writer.rows(0))
    assert len(load(tmp_path / "run")) == 5
    assert len(Journal.reopen(tmp_path / "run").rows().steps) == 0
    assert len(load(tmp_path / "run")) == 0
    assert not list((tmp_path / "run").glob("*.arrow"))
    journal = Journal.reopen(tmp_path / "run")
    journal.append(**writer.rows(0), state={"place": np.asarray(5)}, note={"rows": 5})
    journal.append(**writer.rows(50), note={"rows": 10})
    assert len(load(tmp_path / "run").spectra) == 2
    again = Journal.reopen(tmp_path / "run")
    assert (int(again.state["place"]), again.note) == (5, {"rows": 5})
    assert again.rows().steps["step"].tolist() == [0, 1, 2, 3, 4]
    assert [held.step for held in load(tmp_path / "run").spectra] == [0]
    assert not (tmp_path / "run" / "spectrum-1.npz").exists()


def test_a_running_trace_can_be_read(tmp_path) -> None:
    journal = Journal.begin(tmp_path / "run", writer.header())
    empty = load(tmp_path / "run")
    assert empty.outcome is Outcome.RUNNING
    assert (len(empty), empty.last_step) == (0, 0)
    assert len(empty.steps) == len(empty.parts) == len(empty.layers) == len(empty.evaluations) == 0
    assert "still running" in str(empty)
    trouble, seen, over = [], [], threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                seen.append(len(load(tmp_path / "run")))
            except Exception as error:
                trouble.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        writer.go_on(journal, 150)
        journal.finish(finished(journal))
        journal = writer.go_on(Journal.reopen(tmp_path / "run"), 300)
        journal.finish(finished(journal))
    finally:
        over.set()
        reader.join()
    assert trouble == []
    assert max(seen) > 0
    assert load(tmp_path / "run").outcome is Outcome.STOPPED_EARLY


def test_a_finished_journal_is_the_trace_that_was_saved(tmp_path) -> None:
    journal = uninterrupted(tmp_path / "run", 60)
    trace = finished(journal)
    journal.finish(trace)
    save(trace, tmp_path / "saved")
    same(load(tmp_path / "run"), load(tmp_path / "saved"))
    same(load(tmp_path / "run"), trace)
    assert not list((tmp_path / "run").glob("*-finished.arrow"))  # what was written already is not written again
    assert journal.state.keys() == {"total/of all"}
    with pytest.raises(ds.TraceError, match="finished"):
        journal.append(**writer.rows(60))


def test_what_is_finished_may_differ_from_what_was_written(tmp_path) -> None:
    journal = uninterrupted(tmp_path / "run", 60)
    trace = finished(journal)
    shorter = {name: column[:-1] for name, column in trace.recorded.items()}
    trace = trace.replace(recorded=shorter, metrics={}, spectra=trace.spectra[:1], outcome=Outcome.CONVERGED)
    journal.finish(trace)
    same(load(tmp_path / "run"), trace)


def test_a_finished_journal_can_be_gone_on_with(tmp_path) -> None:
    straight = uninterrupted(tmp_path / "straight", 90)
    journal = uninterrupted(tmp_path / "run", 60)
    journal.finish(finished(journal).replace(metrics={}))
    longer = writer.go_on(Journal.reopen(tmp_path / "run"), 90)
    same(longer.rows(), straight.rows())
    same(load(tmp_path / "run"), load(tmp_path / "straight"))
    longer.finish(finished(longer))
    same(load(tmp_path / "run"), finished(straight))


def test_state_of_any_type_comes_back(tmp_path) -> None:
    state = {
        "network/layers/0/weight": np.linspace(-3, 3, 7).astype(ml_dtypes.bfloat16),
        "network/scale": np.asarray(1.5, ml_dtypes.bfloat16),
        "narrow": np.linspace(-3, 3, 7).astype(ml_dtypes.float8_e4m3fn),
        "key": np.array([1, 2**32 - 1], np.uint32),
        "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "moved": np.array([True, False]),
        "nothing": np.zeros((0, 3), np.float32),
    }
    Journal.begin(tmp_path / "run", writer.header()).append(**writer.rows(0), state=state)
    journal = Journal.reopen(tmp_path / "run")
    same(journal.state, state)
    with pytest.raises(TypeError, match="objects"):
        journal.append(state={"function": np.array([print])})


def test_directions_are_dropped_once_a_state_goes_with_later_ones(tmp_path) -> None:
    journal = Journal.begin(tmp_path / "run", writer.header())
    for place in range(5):
        state = {"place": np.asarray(place)} if place in (1, 3) else None
        journal.append(steps=writer.rows(5 * place)["steps"], spectra=[writer.spectrum(place)], state=state)

    def kept() -> list[bool]:
        return [spectrum.has_directions for spectrum in load(tmp_path / "run").spectra]

    assert kept() == [True, False, False, True, True]
    again = Journal.reopen(tmp_path / "run")
    assert kept() == [True, False, False, True]
    same(again.rows().spectra[3], writer.spectrum(3))
    not_finite = Spectrum(5, np.full(2, np.nan), False, None, None)
    again.append(steps=writer.rows(20)["steps"], spectra=[not_finite], state={"place": np.asarray(4)})
    assert kept() == [True, False, False, True, False]  # the last one that a look can go on from
    again.append(steps=writer.rows(25)["steps"], spectra=[writer.spectrum(6)], state={"place": np.asarray(5)})
    assert kept() == [True, False, False, False, False, True]
    trace = finished_steps(again)
    again.finish(trace)
    same(load(tmp_path / "run").spectra, trace.spectra)


def test_directions_that_stand_with_their_spectrum_are_read(tmp_path) -> None:
    """Journals of the first versions had both in one file."""
    spectrum = writer.spectrum(50)
    journal = Journal.begin(tmp_path / "run", writer.header())
    journal.append(steps=writer.rows(0)["steps"], spectra=[spectrum.without_directions()], state={"x": np.ones(1)})
    arrays = {"step": np.asarray(50), "complete": np.asarray(False), "eigenvalues": spectrum.eigenvalues}
    arrays["preconditioned_highest"] = np.asarray(25.0)
    for name in ("lowest_direction", "highest_direction"):
        arrays |= {f"{name}/{part}": leaf for part, leaf in getattr(spectrum, name).items()}
    write_arrays(tmp_path / "run" / "spectrum-0.npz", arrays)
    same(load(tmp_path / "run").spectra, (spectrum,))
    same(Journal.reopen(tmp_path / "run").rows().spectra, (spectrum,))


def finished_steps(journal: Journal) -> Trace:
    """Return the finished trace of a journal of steps and spectra alone."""
    rows = journal.rows()
    return writer.header().replace(outcome=Outcome.STEPS_USED, recorded=rows.steps, spectra=rows.spectra)


def test_notes_are_plain_data(tmp_path) -> None:
    journal = Journal.begin(tmp_path / "run", writer.header())
    note = {"best": float("inf"), "by": {"float": "32 bits"}, "at": np.arange(3)}
    journal.append(**writer.rows(0), state={}, note=note)
    same(Journal.reopen(tmp_path / "run").note, note)


def test_other_columns_are_refused_and_leave_no_trace(tmp_path) -> None:
    journal = uninterrupted(tmp_path / "run", 15)
    steps = writer.rows(15)["steps"]
    with pytest.raises(ds.TraceError, match="other columns"):
        journal.append(steps=steps | {"cosine": np.zeros(5)})
    with pytest.raises(ds.TraceError, match="other columns"):
        journal.append(steps=steps | {"value": steps["value"].astype(np.float32)})
    with pytest.raises(ValueError, match="4 rows instead of 5"):
        journal.append(steps=steps | {"value": steps["value"][:4]})
    with pytest.raises(ValueError, match="the parts lack their steps"):
        journal.append(parts=writer.rows(15)["parts"])
    with pytest.raises(ValueError, match="same rows"):
        journal.append(layers=writer.rows(15)["layers"])
    same(writer.go_on(journal, 60).rows(), uninterrupted(tmp_path / "straight", 60).rows())


def test_norms_by_part_may_bring_their_own_steps(tmp_path) -> None:
    journal = Journal.begin(tmp_path / "run", writer.header())
    for first in (0, 5):
        chunk = writer.rows(first)
        journal.append(steps=chunk["steps"], parts={"step": np.array([first]), **chunk["parts"]})
    trace = load(tmp_path / "run")
    assert trace.layer_steps is not None
    assert trace.layer_steps.tolist() == [0, 5]
    assert trace.parts["step"].to_list() == [0, 0, 0, 5, 5, 5]
    assert trace.layers.columns == ["step", "layer", *writer.NORMS]


def test_other_folders_are_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ds.TraceError, match="is not a trace"):
        Journal.begin(tmp_path, writer.header())
    with pytest.raises(ds.TraceError, match="no training to resume"):
        Journal.reopen(tmp_path)
    trace = ds.descend("x²", 1.0, steps=3)
    save(trace, tmp_path / "run")
    with pytest.raises(ds.TraceError, match="no training to resume"):
        Journal.reopen(tmp_path / "run")
    Journal.begin(tmp_path / "run", writer.header())
    assert load(tmp_path / "run").outcome is Outcome.RUNNING
    save(trace, tmp_path / "run")
    assert load(tmp_path / "run").outcome is trace.outcome
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run", "thesis.txt"]


def test_damaged_progress_is_told(tmp_path) -> None:
    uninterrupted(tmp_path / "run", 15)
    (tmp_path / "run" / "progress.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(ds.TraceError, match="damaged"):
        load(tmp_path / "run")
