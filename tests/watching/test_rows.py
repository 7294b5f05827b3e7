"""Watches of scalars alone: rows in memory and in a folder, killed and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from downslope.trace import load


def filled(watch: ds.Watch, first: int, last: int) -> ds.Watch:
    """Add the rows of a training that goes down as 1 / (1 + step)."""
    for step in range(first, last):
        watch.row(step, loss=1 / (1 + step), learning_rate=0.1, gradient_norm=1.0 if step % 2 else None)
        if step % 5 == 4:
            watch.evaluation(validation_loss=2 / (1 + step))
    return watch


def test_scalars_alone_make_a_trace() -> None:
    trace = filled(ds.watch(), 0, 20).close()
    assert trace.last_step == 19
    assert trace.outcome is ds.Outcome.STEPS_USED
    np.testing.assert_allclose(trace.columns["value"], 1 / np.arange(1, 21))
    assert trace.metrics["step"].tolist() == [4, 9, 14, 19]
    # What was not measured is told from what is not finite.
    assert trace.facts["not_measured"]["gradient_norm"] == list(range(0, 20, 2))
    assert "update_norm" not in trace.recorded
    assert ds.diagnose(trace).ok


def test_a_second_close_returns_the_same() -> None:
    watch = filled(ds.watch(), 0, 3)
    assert watch.close() is watch.close() is watch.trace


def test_a_folder_holds_what_memory_does(tmp_path: Path) -> None:
    inner = filled(ds.watch(), 0, 250).close()
    with filled(ds.watch(folder=tmp_path / "run", name="scalars"), 0, 250) as watch:
        running = load(tmp_path / "run")
        assert running.outcome is ds.Outcome.RUNNING
        assert running.plan["read_as"] == "scalars"
    saved = ds.load_trace(tmp_path / "run")
    assert saved.outcome is ds.Outcome.STEPS_USED
    for name, column in inner.recorded.items():
        np.testing.assert_array_equal(column, saved.recorded[name])
    assert dict(inner.facts) == dict(saved.facts)
    assert watch.trace.last_step == 249


def test_numbers_that_are_not_finite_end_the_rows() -> None:
    watch = filled(ds.watch(), 0, 5)
    for step in range(5, 8):
        watch.row(step, loss=float("nan"))
    trace = watch.close()
    assert (trace.outcome, trace.not_finite_step, trace.last_step) == (ds.Outcome.NOT_FINITE, 5, 4)
    assert ds.diagnose(trace)[0].symptom == "not_finite"


def test_a_run_in_the_folder_is_not_lost(tmp_path: Path) -> None:
    filled(ds.watch(folder=tmp_path / "run"), 0, 5).close()
    with pytest.raises(ds.SettingError, match="there is a run"):
        ds.watch(folder=tmp_path / "run").row(0, loss=1.0)
    filled(ds.watch(folder=tmp_path / "run", overwrite=True), 0, 3).close()
    assert ds.load_trace(tmp_path / "run").last_step == 2


def test_two_watches_do_not_write_one_folder(tmp_path: Path) -> None:
    first = filled(ds.watch(folder=tmp_path / "run"), 0, 5)
    with pytest.raises(ds.TraceError, match="being written"):
        ds.watch(folder=tmp_path / "run", overwrite=True).row(0, loss=1.0)
    first.close()


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_state_goes_on_to_the_rows_of_an_unbroken_run(tmp_path: Path, in_folder: bool) -> None:
    folder = tmp_path / "run" if in_folder else None
    whole = filled(ds.watch(), 0, 60).close()
    broken = filled(ds.watch(folder=folder), 0, 30)
    state = json.loads(json.dumps(broken.state_dict()))  # plain data
    filled(broken, 30, 45).close()
    again = ds.watch(folder=folder)
    again.load_state_dict(state)
    trace = filled(again, 30, 60).close()
    for name, column in whole.recorded.items():
        np.testing.assert_array_equal(column, trace.recorded[name])
    for name, column in whole.metrics.items():
        np.testing.assert_array_equal(column, trace.metrics[name])
    assert trace.facts["not_measured"] == whole.facts["not_measured"]


def test_rows_that_were_written_survive_a_kill(tmp_path: Path) -> None:
    script = f"""
import os, signal, downslope as ds
watch = ds.watch(folder={str(tmp_path / "run")!r})
for step in range(300):
    watch.row(step, loss=1.0 / (1 + step))
watch.state_dict()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    trace = load(tmp_path / "run")
    assert (trace.outcome, trace.last_step) == (ds.Outcome.RUNNING, 299)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda watch: watch.row(-1, loss=1.0),
        lambda watch: watch.row(2, loss="low"),
        lambda watch: watch.row(1.5, loss=1.0),
        lambda watch: (watch.row(3, loss=1.0), watch.row(3, loss=1.0)),
        lambda watch: watch.evaluation(accuracy=0.5),
        lambda watch: watch.loss(1.0),
        lambda watch: watch.load_state_dict({"rows": []}),
    ],
)
def test_what_is_no_row_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ds.SettingError):
        wrong(ds.watch())


def test_rows_of_sets_are_facts() -> None:
    watch = filled(ds.watch(), 0, 5)
    watch.evaluation(validation_accuracy=0.9, validation_rows=397)
    assert watch.trace.facts["data"] == {"validation_rows": 397}


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ds.SettingError, match=r"torch\.nn\.Module"):
        ds.watch(3, None)


@pytest.mark.parametrize(("choice", "wrong"), [("every", -1), ("rows", True), ("name", 3), ("steps", 0), ("evry", 3)])
def test_choices_are_checked_by_their_schema(choice: str, wrong: object) -> None:
    with pytest.raises(ds.SettingError, match=choice):
        ds.watch(**{choice: wrong})  # type: ignore[arg-type]
    assert ds.choices(ds.watch)["every"].default == 10


def test_a_training_that_runs_is_not_said_to_have_too_few_steps() -> None:
    watch = ds.watch(steps=400)
    for step in range(120):
        watch.row(step, loss=2.3 * 0.99**step)
    reasons = {each.symptom: each.reason for each in ds.diagnose(watch.trace).not_run}
    assert reasons["too_few_steps"] == "the run has not ended: 120 of 400 steps"
    assert "too_few_steps" in ds.diagnose(watch.close()).symptoms
