"""The quantiles of the intervals of fits, beside SciPy's."""

import math

import pytest
from scipy import special

from downslope.fitting._quantiles import f_quantile, t_quantile

CONFIDENCES = (0.01, 0.3, 0.5, 0.6827, 0.9, 0.95, 0.99, 0.9973, 0.99999)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("freedom", [1, 2, 2.5, 3, 5, 10, 30, 99, 101, 1000, 1e4, 1e6])
def test_student_t(freedom, confidence):
    expected = special.stdtrit(freedom, 0.5 + confidence / 2)
    assert t_quantile(confidence, freedom) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("confidence", CONFIDENCES)
@pytest.mark.parametrize("above", [1, 2, 3, 7, 50, 400])
def test_f(above, confidence):
    for below in (1, 2, 5, 20, 100, 1e4, 1e6):
        expected = special.fdtri(above, below, confidence)
        assert f_quantile(confidence, above, below) == pytest.approx(expected, rel=1e-10)


def test_the_normal_distribution_and_no_degrees_of_freedom():
    assert t_quantile(0.95, math.inf) == pytest.approx(special.ndtri(0.975), rel=1e-14)
    assert math.isnan(t_quantile(0.95, 0))
    assert math.isnan(f_quantile(0.95, 3, 0))
