"""A run that is killed loses nothing that was acknowledged and goes on to the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import downslope as ds
from tests.equality import same
from tests.networks.train_until_killed import trained

SCRIPT = Path(__file__).with_name("train_until_killed.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the trace of the run that nothing stops."""

    def run(steps):
        folder = tmp_path_factory.mktemp("whole") / str(steps)
        return trained(folder, steps).trace

    return run


def killed(folder, steps, seconds):
    """Run the script and kill it so long after its first chunk."""
    with subprocess.Popen([sys.executable, SCRIPT, str(folder), str(steps)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def check(folder, steps, kills, chance, expected):
    """Kill a run again and again, let it end, and hold it against the one that nothing stopped."""
    running = 0
    for _ in range(kills):
        killed(folder, steps, chance.uniform(0, 1.5))
        left = ds.load(folder)
        running += left.outcome is ds.Outcome.RUNNING
        np.testing.assert_array_equal(left.recorded["value"], expected.recorded["value"][: len(left)])
    assert running
    made = trained(folder, steps).trace
    for name, leaf in expected.end.items():
        np.testing.assert_array_equal(made.end[name], leaf)
    np.testing.assert_array_equal(made.recorded["value"], expected.recorded["value"])
    for name, column in expected.metrics.items():
        np.testing.assert_array_equal(made.metrics[name], column)


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path, whole):
    check(tmp_path / "run", 30_000, 2, random.Random(0), whole(30_000))


@pytest.mark.parametrize("stop", [40, 110])
def test_a_look_goes_on_from_the_directions_of_the_last_one(tmp_path, monkeypatch, stop):
    monkeypatch.setattr("downslope.descent._batch_descent._WRITE_SECONDS", 0.0)
    monkeypatch.setattr("downslope.descent._batch_descent._SNAPSHOT_SHARE", 1.0)

    def run(name, progress, **choices):
        return ds.train(
            data="iris", hidden=(16,), steps=200, layers_every=5, probe_every=20, evaluate_every=10, seed=2,
            save=tmp_path / name, progress=progress, **choices,
        )  # fmt: skip

    def stopping(done, steps, value):
        if done >= stop:
            raise RuntimeError("stopped")

    straight = run("straight", False).trace
    with pytest.raises(RuntimeError, match="stopped"):
        run("stopped", stopping)
    left = ds.load(tmp_path / "stopped")
    kept = [spectrum.has_directions for spectrum in left.spectra]
    assert kept == [True, *[False] * (len(kept) - 2), True]
    gone_on = run("stopped", False, resume=True).trace
    same(gone_on.spectra, straight.spectra)
    same(dict(gone_on.metrics), dict(straight.metrics))
    same(dict(gone_on.end), dict(straight.end))
    same(ds.load(tmp_path / "stopped").spectra, straight.spectra)
    files = sorted(file.name for file in (tmp_path / "stopped").glob("directions-*"))
    assert files == sorted(file.name for file in (tmp_path / "straight").glob("directions-*"))
    assert files[0] == "directions-0.npz"
    assert len(files) <= 3  # those behind the last state are kept as well


@pytest.mark.slow
def test_many_kills_change_no_bit(tmp_path, whole):
    check(tmp_path / "run", 40_000, 5, random.Random(1), whole(40_000))
