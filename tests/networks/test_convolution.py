"""Oracle: XLA's own convolution, for values and for both gradients."""

import jax
import numpy as np
import pytest

from downslope.networks.layers._convolution import convolved

RNG = np.random.default_rng(4)


def library(image, weight, stride, padding):
    form = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(image, weight, (stride, stride), padding.upper(), dimension_numbers=form)


@pytest.mark.parametrize(
    ("sides", "side", "stride", "padding"),
    [
        ((5, 5), 3, 1, "same"),
        ((6, 9), 3, 2, "same"),
        ((8, 7), 2, 3, "same"),
        ((7, 8), 4, 1, "same"),
        ((6, 9), 1, 2, "valid"),
        ((8, 7), 5, 2, "valid"),
        ((5, 6), 5, 1, "valid"),
    ],
)
def test_it_is_the_convolution_of_the_library(sides, side, stride, padding):
    image = RNG.normal(size=(3, *sides, 2)).astype(np.float32)
    weight = RNG.normal(size=(side, side, 2, 4)).astype(np.float32)
    cotangent = RNG.normal(size=library(image, weight, stride, padding).shape).astype(np.float32)

    def told_back(convolution):
        value, back = jax.vjp(lambda *given: convolution(*given, stride, padding), image, weight)
        return value, *back(cotangent)

    for found, wanted in zip(jax.jit(told_back, static_argnums=0)(convolved), told_back(library), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)
