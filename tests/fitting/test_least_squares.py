"""The iterations of a solver as a trace."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds
from tests.fitting.problems import DECAY, curve, decay


def test_the_trace_holds_the_way_of_the_mean_square():
    columns = decay()
    found = ds.fit(DECAY, columns, start={"a": 1, "k": 1, "c": 0})
    trace = found.trace
    assert trace.coordinate_names == ("a", "c", "k")
    for row in (0, len(trace) // 2, -1):
        a, c, k = trace.coordinates[row]
        residuals = curve(columns["x"], a, k, c) - columns["y"]
        assert trace.columns["value"][row] == pytest.approx(np.mean(residuals**2), rel=1e-12)
        slope = 2 * np.mean(residuals * np.exp(-k * columns["x"]))
        assert trace.gradients[row, 0] == pytest.approx(slope, rel=1e-9, abs=1e-12)
    assert np.all(np.diff(trace.columns["value"]) <= 1e-15)
    assert found.objective(found.values) == pytest.approx(trace.value)
    assert trace.start == {"a": 1, "k": 1, "c": 0}
    assert trace.end_spectrum.lowest > 0


def test_a_trace_of_a_fit_is_kept_like_any_other(tmp_path):
    trace = ds.fit(DECAY, decay()).trace
    ds.save(trace, tmp_path / "run")
    again = ds.load(tmp_path / "run")
    assert np.array_equal(again.coordinates, trace.coordinates)
    assert again.plan["method"] == "levenberg-marquardt"
