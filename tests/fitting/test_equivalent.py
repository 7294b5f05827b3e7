"""Of equivalent parameters the conventional ones."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds
from tests.fitting.problems import WAVES, noisy


def test_of_like_terms_the_slower_stands_first():
    x = np.linspace(0, 5, 60)
    y = 2 * np.exp(-0.5 * x) + 3 * np.exp(-3 * x) + np.random.default_rng(0).normal(0, 0.001, 60)
    for seed in range(4):
        found = ds.fit("y = a e^(-k x) + b e^(-l x)", {"x": x, "y": y}, seed=seed)
        assert list(found.values.values()) == pytest.approx([2, 0.5, 3, 3], rel=0.05)


def test_of_waves_that_fit_alike_the_slow_one_is_meant_and_the_slowest_stands_first():
    truth = {"b": 10.5, "a": -1.6, "c": 0.5, "T": 44.0, "d": 0.2, "f": -1.5, "S": 27.0}
    columns = noisy(WAVES, np.arange(1.0, 169), truth, 0.5, "t")
    found, wanted = ds.fit(WAVES, columns), ds.fit(WAVES, columns, start=truth)
    assert found.values == pytest.approx(wanted.values, rel=1e-5)


def test_amplitudes_are_positive_and_phases_small():
    text = "y = a sin(w x + p) + c"
    truth = {"a": 2.0, "w": 3.1, "p": -2.5, "c": 5.0}
    columns = noisy(text, np.linspace(0, 20, 150), truth, 0.2)
    for seed in range(4):
        assert ds.fit(text, columns, seed=seed).values == pytest.approx(truth, abs=0.2)
