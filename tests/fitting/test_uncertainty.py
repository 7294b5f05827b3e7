"""Covariance, intervals and undetermined directions against NumPy and SciPy."""

from __future__ import annotations

import math

import pytest

import downslope as ds


def test_with_as_many_rows_as_parameters_nothing_is_known_of_errors():
    found = ds.fit("y = w x + b", {"x": [1, 2], "y": [3, 5]})
    assert [found["w"], found["b"]] == pytest.approx([2, 1])
    assert math.isnan(found.standard_errors["w"])
    assert "not known" in str(found)


def test_a_model_without_numbers_is_a_finding():
    found = ds.fit("y = a ln(x) + b", {"x": [0, 1, 2, 3], "y": [1, 2, 3, 4]})
    assert not found.findings.ok
    assert all(math.isnan(error) for error in found.standard_errors.values())
