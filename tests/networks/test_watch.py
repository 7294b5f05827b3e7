"""Watching a training: what is seen at each evaluation, and that it changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds

SETTINGS = {"data": "moons", "hidden": (6,), "steps": 60, "evaluate_every": 20, "progress": False}


def test_who_watches_sees_each_evaluation_and_changes_no_number(tmp_path):
    plain = ds.train(**SETTINGS)
    seen: list[ds.Training] = []
    watched = ds.train(**SETTINGS, watch=seen.append, save=tmp_path / "run")
    assert watched.metrics == plain.metrics
    for name, leaf in plain.trace.end.items():
        np.testing.assert_array_equal(watched.trace.end[name], leaf)
    assert [int(so_far.trace.metrics["step"][-1]) for so_far in seen] == [0, 20, 40]
    assert [len(so_far.trace) for so_far in seen] == [0, 20, 40]
    for so_far in seen:
        last = int(so_far.trace.metrics["step"][-1])
        place = list(plain.trace.metrics["step"]).index(last)
        assert so_far.metrics["validation_loss"] == plain.trace.metrics["validation_loss"][place]
        assert so_far.predict({"x": [0.0], "y": [0.5]}, probabilities=True).shape == (1, 2)
    assert ds.diagnose(seen[-1].trace).symptoms
    assert set(ds.load(tmp_path / "run").metrics) == set(plain.trace.metrics)


def test_what_a_watcher_raises_ends_the_training():
    def refuse(so_far: ds.Training) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        ds.train(**SETTINGS, watch=refuse)
