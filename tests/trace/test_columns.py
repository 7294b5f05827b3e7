"""Derived columns against their definitions, and frames that say null for what is not there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import downslope as ds
from downslope.trace import median_over_looks
from downslope.trace._columns import DerivedColumns

COORDINATES = arrays.arrays(np.float64, (5, 3), elements=st.floats(-100, 100))


@given(COORDINATES, COORDINATES)
def test_norms_angles_and_decreases_are_those_of_their_definitions(points, gradients) -> None:
    value, bend = np.arange(5.0)[::-1] ** 2, np.linspace(-1, 3, 5)
    columns = DerivedColumns({"step": np.arange(5), "value": value, "curvature": bend}, points, gradients)
    for row in range(4):
        update = points[row + 1] - points[row]
        assert columns["gradient_norm"][row] == pytest.approx(np.linalg.norm(gradients[row]))
        assert columns["update_norm"][row] == pytest.approx(np.linalg.norm(update))
        assert columns["actual_decrease"][row] == value[row] - value[row + 1]
        predicted = -gradients[row] @ update - bend[row] * (update @ update) / 2
        assert columns["predicted_decrease"][row] == pytest.approx(predicted, abs=1e-6)
        if row:
            before = points[row] - points[row - 1]
            lengths = np.linalg.norm(update) * np.linalg.norm(before)
            if lengths > 1e-9:
                assert columns["cosine"][row] == pytest.approx(update @ before / lengths, abs=1e-6)
    for name in ("update_norm", "cosine", "actual_decrease", "predicted_decrease"):
        assert np.isnan(columns[name][-1])
    assert np.isnan(columns["cosine"][0])


def test_on_a_quadratic_the_predicted_decrease_is_the_actual_one() -> None:
    trace = ds.descend("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, learning_rate=0.03, steps=20)
    actual, predicted = trace.columns["actual_decrease"][:-1], trace.columns["predicted_decrease"][:-1]
    np.testing.assert_allclose(predicted, actual, rtol=1e-9)


def test_where_steps_are_left_out_nothing_follows_from_their_differences() -> None:
    columns = DerivedColumns({"step": np.array([0, 10, 20]), "value": np.ones(3)}, np.eye(3), np.eye(3))
    assert np.all(np.isnan(columns["update_norm"]))
    assert np.all(np.isnan(columns["actual_decrease"]))
    np.testing.assert_array_equal(columns["gradient_norm"], 1)


@given(arrays.arrays(np.float64, (4, 3), elements=st.floats(-10, 10) | st.just(np.nan) | st.just(np.inf)))
def test_medians_are_of_what_is_finite(rows) -> None:
    medians = median_over_looks(rows)
    for column, median in zip(rows.T, medians, strict=True):
        known = column[np.isfinite(column)]
        assert np.isnan(median) if not len(known) else median == np.median(known)


def test_frames_say_null_and_never_nan() -> None:
    trace = ds.descend("x²", {"x": 1.0}, learning_rate=0.1, steps=3)
    frame = trace.steps
    assert frame["update_norm"].to_list()[-1] is None
    assert frame.select("x", "gradient(x)").rows()[0] == (1.0, 2.0)
    assert trace.parts["part"].unique().to_list() == ["x"]
    assert trace.evaluations.columns == ["step"]
    assert len(trace.layers) == 0
