"""Predictions and their bands against text books and repeated measurements."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import downslope as ds
from tests.fitting.problems import DECAY, decay


def test_a_band_is_the_one_of_the_text_books():
    columns = decay(0.3)
    found = ds.fit("y = w x + b", columns)
    x, at = columns["x"], np.array([0.0, 4.0, 20.0])
    s, width = found.residual_standard_deviation, scipy.stats.t.ppf(0.975, len(x) - 2)
    leverage = 1 / len(x) + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)
    value, low, high = found.predict({"x": at})
    assert high - value == pytest.approx(width * s * np.sqrt(leverage), rel=1e-8)
    assert value - low == pytest.approx(high - value)
    value, _, high = found.predict({"x": at}, band="prediction")
    assert high - value == pytest.approx(width * s * np.sqrt(1 + leverage), rel=1e-8)
    one = found.parameters["w"]
    assert one.high - one.value == pytest.approx(width * one.standard_error)


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_unit_of_the_deviations_changes_no_band(scale):
    plain, scaled = ds.fit(DECAY, decay()), ds.fit(DECAY, decay(), sigma=scale)
    for band in ("confidence", "prediction"):
        for wanted, part in zip(plain.predict(band=band), scaled.predict(band=band), strict=True):
            assert part == pytest.approx(wanted, rel=1e-6)


def test_a_prediction_band_holds_as_many_measurements_as_it_says():
    sigma = np.linspace(0.02, 0.3, 40)
    inside, count = 0, 0
    for seed in range(30):
        noise = np.random.default_rng(seed).normal(0, 1, (2, 40)) * sigma
        x = np.linspace(0, 10, 40)
        truth = 3 * np.exp(-0.5 * x) + 1
        found = ds.fit(DECAY, {"x": x, "y": truth + noise[0]}, sigma=sigma, absolute_sigma=True)
        band = found.predict(band="prediction", confidence=0.9)
        inside += int(np.sum((truth + noise[1] >= band.low) & (truth + noise[1] <= band.high)))
        count += 40
    assert inside / count == pytest.approx(0.9, abs=0.03)
    with pytest.raises(ds.SettingError, match="that of a new measurement is unknown"):
        found.predict({"x": [3.0]}, band="prediction")
    assert np.isfinite(found.predict({"x": [3.0]}, band="prediction", sigma=0.1).high[0])


def test_known_deviations_give_normal_intervals():
    found = ds.fit("y = a x", {"x": [1, 2, 3], "y": [2, 4.1, 5.9]}, sigma=0.1, absolute_sigma=True)
    half = (found.parameters["a"].high - found.parameters["a"].low) / 2
    assert found.standard_errors["a"] == pytest.approx(0.1 / math.sqrt(14))
    assert half == pytest.approx(1.959964 * found.standard_errors["a"], rel=1e-6)


def test_what_is_determined_has_a_band_though_the_parameters_are_not():
    columns = {"x": [1, 2, 3], "y": [2, 4, 6.1]}
    direct = {"start": {"a": 1, "b": 1}, "steps": 200}  # no other way is tried where it ends badly
    lost, plain = ds.fit("y = a b x", columns, **direct), ds.fit("y = c x", columns)
    assert lost.predict().high == pytest.approx(plain.predict().high)
    tied = ds.fit("y = a b c x", columns, ties={"c": "a/2"}, **direct)
    assert math.isinf(tied.standard_errors["c"])
    unknown = ds.fit("y = a x + b", {"x": [1], "y": [2]}, ties={"b": "2a"})
    assert math.isnan(unknown.standard_errors["b"])
