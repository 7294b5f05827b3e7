"""The search for a start."""

from __future__ import annotations

import math

import numpy as np
import pytest

import downslope as ds
from tests.fitting.problems import BUMPS, DECAY, decay, noisy


@pytest.mark.slow
def test_two_bumps_on_a_decay_are_found_without_a_start():
    truth = {"a": 99, "k": 0.011, "b": 102, "m": 107, "w": 24, "c": 72, "n": 153, "v": 20}
    columns = noisy(BUMPS, np.arange(1.0, 251), truth, 2.5)
    wanted = ds.fit(BUMPS, columns, start=truth)
    for seed in range(2):
        assert ds.fit(BUMPS, columns, seed=seed).values == pytest.approx(wanted.values, rel=1e-5)


def test_a_start_is_searched_inside_any_kind_of_bounds():
    for bounds in ({"k": (1, None)}, {"k": (None, -1)}, {"k": (0.1, None), "c": (0.5, 2)}):
        found = ds.fit(DECAY, decay(), bounds=bounds)
        for name, (low, high) in bounds.items():
            assert (-math.inf if low is None else low) <= found[name] <= (math.inf if high is None else high)
        if "c" in bounds:
            assert found.values == pytest.approx(ds.fit(DECAY, decay()).values, rel=1e-6)
