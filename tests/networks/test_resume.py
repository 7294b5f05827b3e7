"""A run that is killed loses nothing that was acknowledged and goes on to the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.trace import Journal, _journal
from tests.equality import same
from tests.networks.train_until_killed import trained

SCRIPT = Path(__file__).with_name("train_until_killed.py")


def killed(folder, steps, after, seconds):
    """Run the script and kill it so long after that step was shown; return the first and the last step shown."""
    with subprocess.Popen([sys.executable, SCRIPT, str(folder), str(steps)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shown = [int(process.stdout.readline())]
        while shown[-1] < after:
            shown.append(int(process.stdout.readline()))
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        shown += [int(line) for line in process.stdout if line.endswith(b"\n")]
    return shown[0], shown[-1]


def test_a_run_that_is_killed_again_and_again_goes_on_to_the_same_bits(tmp_path):
    folder, steps, chance = tmp_path / "run", 1600, random.Random(0)
    expected = trained(tmp_path / "whole", steps).trace
    before = 0
    for after in (200, 600):
        first, last = killed(folder, steps, after, chance.uniform(0, 0.1))
        left = ds.load(folder)
        assert left.outcome is ds.Outcome.RUNNING
        assert first > before  # it went on from what was left
        assert len(left) >= last  # a row for each step, written before it was shown
        np.testing.assert_array_equal(left.recorded["value"], expected.recorded["value"][: len(left)])
        before = last
    made = trained(folder, steps).trace
    for name, leaf in expected.end.items():
        np.testing.assert_array_equal(made.end[name], leaf)
    np.testing.assert_array_equal(made.recorded["value"], expected.recorded["value"])
    for name, column in expected.metrics.items():
        np.testing.assert_array_equal(made.metrics[name], column)


def test_a_look_goes_on_from_the_directions_of_the_last_one(tmp_path, monkeypatch):
    monkeypatch.setattr("downslope.descent.batches._descent._WRITE_SECONDS", 0.0)
    monkeypatch.setattr("downslope.descent.batches._descent._SNAPSHOT_SHARE", 1.0)

    def run(name, progress, **choices):
        return ds.train(
            data="iris", hidden=(16,), steps=200, layers_every=5, probe_every=20, evaluate_every=10, seed=2,
            save=tmp_path / name, progress=progress, **choices,
        )  # fmt: skip

    def stopping_at(stop):
        def stopping(done, steps, value):
            if done >= stop:
                raise RuntimeError("stopped")

        return stopping

    straight = run("straight", False).trace
    for stop in (40, 110):
        name = f"stopped at {stop}"
        with pytest.raises(RuntimeError, match="stopped"):
            run(name, stopping_at(stop))
        left = ds.load(tmp_path / name)
        kept = [spectrum.has_directions for spectrum in left.spectra]
        assert kept == [True, *[False] * (len(kept) - 2), True]
        gone_on = run(name, False, resume=True).trace
        same(gone_on.spectra, straight.spectra)
        same(dict(gone_on.metrics), dict(straight.metrics))
        same(dict(gone_on.end), dict(straight.end))
        same(ds.load(tmp_path / name).spectra, straight.spectra)
        files = sorted(file.name for file in (tmp_path / name).glob("directions-*"))
        assert files == sorted(file.name for file in (tmp_path / "straight").glob("directions-*"))
        assert files[0] == "directions-0.npz"
        assert len(files) <= 3  # those behind the last state are kept as well


def test_a_second_training_into_a_run_is_refused_and_harms_nothing(tmp_path):
    """Whether it begins, resumes or replaces the run; and from another process."""
    choices = {"data": "iris", "hidden": (4,), "steps": 300, "evaluate_every": 100, "progress": False}
    answers = []

    def second(training):
        for others in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(ds.TraceError, match="is being written by this process"):
                ds.train(**choices, save=tmp_path / "run", **others)
        with pytest.raises(ds.TraceError, match="is being written"):
            ds.save(training, tmp_path / "run")
        code = "import sys; from downslope.trace import writing; writing(sys.argv[1]).__enter__()"
        process = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
        answers.append(process.stderr)
        ds.load(tmp_path / "run")

    saved = ds.train(**choices, save=tmp_path / "run", watch=second).trace
    assert answers
    assert all("is being written by process" in answer for answer in answers)
    same(dict(ds.load(tmp_path / "run").metrics), dict(saved.metrics))
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    ds.train(**choices, save=tmp_path / "run", resume=True)  # an error in the training would have kept no lock


def test_a_training_whose_folder_disappears_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("downslope.descent.batches._descent._WRITE_SECONDS", 0.0)

    def removing(training):
        if (tmp_path / "run").exists():
            (tmp_path / "run").rename(tmp_path / "moved")

    with pytest.raises(ds.TraceError, match=r"the folder .*run is gone"):
        ds.train(
            data="iris", hidden=(4,), steps=300, evaluate_every=100, progress=False,
            save=tmp_path / "run", watch=removing,
        )  # fmt: skip
    assert [entry.name for entry in tmp_path.iterdir()] == ["moved"]
    assert ds.load(tmp_path / "moved").outcome is ds.Outcome.RUNNING


def stopped_at(step):
    """Return a function of the progress that ends a run at a step, as a kill would."""

    def stop(done, steps, value):
        if done >= step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("layers_every", "probe_every", "validation", "stop"),
    [(0, 0, 0.0, 1), (0, 0, 0.2, 60), (0, 50, 0.2, 1), (1, 0, 0.0, 60), (10, 0, 0.2, 1), (10, 50, 0.0, 60)],
)
def test_streams_may_be_empty(tmp_path, monkeypatch, layers_every, probe_every, validation, stop):
    """Whatever a run does not record, and whenever it was cut off, it is resumed to the same bits."""
    monkeypatch.setattr("downslope.descent.batches._descent._WRITE_SECONDS", 0.0)
    monkeypatch.setattr("downslope.descent.batches._descent._SNAPSHOT_SHARE", 1.0)
    rows = np.random.default_rng(0).normal(size=(20, 2))

    def run(name, progress=False, resume=False):
        return ds.train(
            data={"x": rows[:, 0], "y": rows[:, 0] ** 2}, target="y", hidden=(2,), steps=100, validation=validation,
            layers_every=layers_every, probe_every=probe_every, evaluate_every=50, save=tmp_path / name,
            progress=progress, resume=resume,
        ).trace  # fmt: skip

    straight = run("straight")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stopped_at(stop))
    ds.diagnose(ds.load(tmp_path / "stopped"))
    resumed = run("stopped", resume=True)
    for columns in ("recorded", "metrics", "end", "layer_columns"):
        same(dict(getattr(resumed, columns)), dict(getattr(straight, columns)))
    same(ds.load(tmp_path / "stopped").spectra, straight.spectra)


def test_a_signal_before_the_first_step_leaves_a_run_that_was_interrupted(tmp_path, monkeypatch):
    choices = {"data": "xor", "hidden": (3,), "steps": 30, "progress": False}
    begin = Journal.begin
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "begin", lambda *arguments: (begin(*arguments), signal.raise_signal(signal.SIGINT))[0])
        left = ds.train(**choices, save=tmp_path / "run")
    assert left.trace.last_step == 0
    assert ds.load(tmp_path / "run").outcome is ds.Outcome.INTERRUPTED
    resumed = ds.train(**choices, save=tmp_path / "run", resume=True)
    same(dict(resumed.trace.recorded), dict(ds.train(**choices).trace.recorded))


def test_a_run_is_resumed_with_each_file_read_once(tmp_path, monkeypatch):
    choices = {"data": "xor", "hidden": (3,), "steps": 30, "save": tmp_path / "run", "progress": False}
    ds.train(**choices)
    read = []
    arrays = _journal.read_arrays
    monkeypatch.setattr(_journal, "read_arrays", lambda file, *rest: (read.append(file.name), arrays(file, *rest))[1])
    ds.train(**choices, resume=True)
    assert len(read) == 1
    assert read[0].startswith("state-")


# Every way to record, saved, stopped and resumed.


def recorded(seed: int) -> dict[str, Any]:
    """Return the choices of a training that records as a seed says: all combinations, in turn."""
    return {
        "layers_every": (0, 1, 7)[seed % 3],
        "probe_every": (0, 7)[seed // 3 % 2],
        "validation": (0.0, 0.25)[seed // 6 % 2],
        "keep": ("last", "best")[seed // 12 % 2],
    }


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_recorded_is_resumed_to_the_same_bits(tmp_path, monkeypatch, seed):
    """A finished run as well, and one that was stopped before its first state."""
    monkeypatch.setattr("downslope.descent.batches._descent._WRITE_SECONDS", 0.0)
    monkeypatch.setattr("downslope.descent.batches._descent._SNAPSHOT_SHARE", 1.0)
    rows = np.random.default_rng(0).normal(size=(20, 2))

    def run(name, progress=False, resume=False):
        return ds.train(
            data={"x": rows[:, 0], "y": np.sin(3 * rows[:, 0])}, target="y", hidden=(2,), steps=14, learning_rate=0.05,
            evaluate_every=7, batch=4, save=tmp_path / name, progress=progress, resume=resume, **recorded(seed),
        ).trace  # fmt: skip

    straight = run("run")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stopped_at(1 + seed % 13))
    for trace in (run("stopped", resume=True), run("run", resume=True), ds.load(tmp_path / "run")):
        for columns in ("recorded", "metrics", "end", "layer_columns"):
            same(dict(getattr(trace, columns)), dict(getattr(straight, columns)))
        assert trace.facts.get("kept") == straight.facts.get("kept")
        assert len(trace.spectra) == len(straight.spectra)


def test_learners_that_round_otherwise_are_no_other_choice(tmp_path, monkeypatch):
    """Of two neighbours as far as each other but for rounding, another process may take either."""
    from downslope.networks.tasks import _examples

    choices: dict[str, Any] = {
        "data": "iris",
        "steps": 6,
        "probe_every": 0,
        "save": tmp_path / "run",
        "progress": False,
    }
    ds.train(**choices)
    measured = _examples.facts
    changed = {"reference_score": 0.9, "shuffled_score": 0.3}
    monkeypatch.setattr(_examples, "facts", lambda *args: {**measured(*args), **changed})
    assert ds.train(**choices, resume=True).trace.last_step == 6
    monkeypatch.setattr(_examples, "facts", lambda *args: {**measured(*args), "input_mean": 0.5})
    with pytest.raises(ds.SettingError, match="input_mean"):
        ds.train(**choices, resume=True)
