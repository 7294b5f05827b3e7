"""Fixed, tied and bounded parameters."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import downslope as ds
from tests.fitting.problems import DECAY, curve, decay


def test_bounds_hold_and_are_told():
    columns = decay()
    found = ds.fit(DECAY, columns, bounds={"k": (0, 0.3)})
    ended = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], [1, 0.1, 1], bounds=([-np.inf, 0, -np.inf], [np.inf, 0.3, 99])
    )
    assert found["k"] == 0.3
    assert list(found.values.values()) == pytest.approx(ended.x, rel=1e-4)
    assert found.parameters["k"].role == "at bound"
    assert math.isnan(found.parameters["k"].standard_error)
    assert {"at_bound", "converged"} <= set(found.findings.symptoms)
    # The others are as sure as if k were known to be there.
    held = ds.fit(DECAY, columns, fixed={"k": 0.3})
    assert found.standard_errors["a"] == pytest.approx(held.standard_errors["a"], rel=1e-6)


@pytest.mark.usefixtures("optimised")
def test_what_is_fixed_or_tied_is_as_if_it_were_written_so():
    columns = decay()
    start = {"a": 3, "k": 0.5}  # only the constrained fits search for theirs
    fixed, written = ds.fit(DECAY, columns, fixed={"c": 1}), ds.fit("y = a·e^(-k·x) + 1", columns, start=start)
    assert [fixed["a"], fixed["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert fixed.parameters["c"].standard_error == 0
    tied, written = ds.fit(DECAY, columns, ties={"c": "a/3"}), ds.fit("y = a·e^(-k·x) + a/3", columns, start=start)
    assert [tied["a"], tied["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert tied["c"] == pytest.approx(tied["a"] / 3)
    assert tied.standard_errors["c"] == pytest.approx(tied.standard_errors["a"] / 3, rel=1e-9)
    assert tied.standard_errors["a"] == pytest.approx(written.standard_errors["a"], rel=1e-9)
