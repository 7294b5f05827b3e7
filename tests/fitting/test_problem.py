"""Losses and residuals against SciPy's definitions and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from downslope.fitting._problem import LOSSES, scores


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_scores_are_the_slopes_of_half_the_loss(loss):
    residuals = np.array([-3.0, -0.7, -0.2, 0.1, 0.5, 2.2])
    scale, step = 0.6, 1e-5

    def half(at):
        return (LOSSES[loss](at / scale, np) * scale) ** 2 / 2

    first, second = scores(loss, residuals, scale)
    assert first == pytest.approx((half(residuals + step) - half(residuals - step)) / (2 * step), rel=1e-6)
    curvature = (half(residuals + step) - 2 * half(residuals) + half(residuals - step)) / step**2
    assert second == pytest.approx(curvature, abs=1e-4)
