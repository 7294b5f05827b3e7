"""The axes of a kernel in its leaf, whatever lies between the two: held against the gradient of each product."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from downslope.programs import find_layers, straighten
from tests.networks.walks import normal


def axes_of(function, kernel, *arrays):
    """Return the axes of the one kernel of a function."""
    program = straighten(jax.make_jaxpr(function)(kernel, *arrays), 1)
    return [layer.axes for layer in find_layers(program, ("w",))]


X = np.ones((5, 3), np.float32)

MATRICES = {
    "x @ w": (lambda w, x: x @ w, (3, 4), (0,), (1,)),
    "w @ x": (lambda w, x: w @ x.T, (4, 3), (1,), (0,)),
    "x @ w.T": (lambda w, x: x @ w.T, (4, 3), (1,), (0,)),
    "vmap of w @ x": (lambda w, x: jax.vmap(lambda row: w @ row)(x), (4, 3), (1,), (0,)),
    "einsum": (lambda w, x: jnp.einsum("bi,oi->ob", x, w), (4, 3), (1,), (0,)),
    "einsum of three axes": (lambda w, x: jnp.einsum("bi,hid->bhd", x, w), (2, 3, 4), (1,), (0, 2)),
    "tensordot": (lambda w, x: jnp.tensordot(w, x, ((1,), (1,))), (4, 3), (1,), (0,)),
    "a vector": (lambda w, x: x @ w, (3,), (0,), ()),
    "heads, joined": (lambda w, x: x @ w.reshape(3, 8), (3, 2, 4), (0,), (1, 2)),
    "heads, parted": (lambda w, x: jnp.einsum("bi,ihd->bhd", x, w.reshape(3, 2, 4)), (3, 8), (0,), (1,)),
    "an axis of one": (lambda w, x: x @ w[:, 0], (3, 1, 4), (0,), (2,)),
    "half precision": (lambda w, x: x.astype("bfloat16") @ w.astype("bfloat16"), (3, 4), (0,), (1,)),
    "inside jit": (lambda w, x: jax.jit(lambda v: x @ v.T)(w), (4, 3), (1,), (0,)),
    "transposed by jit": (lambda w, x: x @ jax.jit(jnp.transpose)(w), (4, 3), (1,), (0,)),
    "checkpoint": (lambda w, x: jax.checkpoint(lambda v: x @ v)(w), (3, 4), (0,), (1,)),
    "an ensemble": (lambda w, x: jax.vmap(lambda v: x @ v)(w), (7, 3, 4), (1,), (0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_the_axes_of_a_matrix(name: str) -> None:
    function, shape, inputs, units = MATRICES[name]
    (axes,) = axes_of(function, np.ones(shape, np.float32), X)
    assert (axes.inputs, tuple(sorted(axes.units))) == (inputs, units)
    assert axes.ranges == tuple((0, side) for side in shape)


@pytest.mark.parametrize("layout", ["OIHW", "HWIO", "IHWO"])
def test_the_axes_of_a_convolution(layout: str) -> None:
    sides = {"O": 6, "I": 2, "H": 3, "W": 3}
    kernel = np.ones([sides[axis] for axis in layout], np.float32)
    images = np.ones((5, 2, 8, 8), np.float32)

    def convolve(w, x):
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NCHW", layout, "NCHW"))

    (axes,) = axes_of(convolve, kernel, images)
    assert axes.units == (layout.index("O"),)
    assert sorted(axes.inputs) == sorted(layout.index(axis) for axis in "IHW")


def test_a_depthwise_convolution_sums_over_its_window() -> None:
    kernel, images = np.ones((2, 1, 3, 3), np.float32), np.ones((5, 2, 8, 8), np.float32)
    (axes,) = axes_of(
        lambda w, x: lax.conv_general_dilated(x, w, (1, 1), "VALID", feature_group_count=2), kernel, images
    )
    sizes = [kernel.shape[axis] for axis in axes.inputs]
    assert (axes.units, int(np.prod(sizes))) == ((0,), 9)


def test_slices_of_one_leaf_are_parts_of_its_axes() -> None:
    def stacked(w, x):
        return sum(jnp.sum(x @ w[place]) for place in range(2))

    first, second = axes_of(stacked, np.ones((2, 3, 4), np.float32), X)
    assert (first.inputs, first.units) == (second.inputs, second.units) == ((1,), (2,))
    assert (first.ranges[0], second.ranges[0]) == ((0, 1), (1, 2))

    def joined(w, x):  # query, key and value in one leaf
        return [x @ part for part in jnp.split(w, 3, axis=1)]

    ranges = [axes.ranges for axes in axes_of(joined, np.ones((3, 12), np.float32), X)]
    assert ranges == [((0, 3), (0, 4)), ((0, 3), (4, 8)), ((0, 3), (8, 12))]


def test_what_cannot_be_told_is_not_guessed() -> None:
    def mixed(w, x):  # each axis of the kernel runs along both axes of the leaf
        return x @ w.reshape(3, 4)

    def shifted(w, x):
        return x @ lax.dynamic_slice(w, (x[0, 0].astype(int), 0), (3, 4))

    assert axes_of(mixed, np.ones((6, 2), np.float32), X) == [None]
    assert axes_of(shifted, np.ones((9, 4), np.float32), X) == [None]


@pytest.mark.parametrize("seed", range(12))
def test_random_rearrangements_leave_the_axes_that_the_gradient_shows(seed: int) -> None:
    """∂(one output)/∂w is not zero on one unit alone, and there on every input."""
    random = np.random.default_rng(seed)
    sides = {"i": 3, "j": 2, "o": 4, "p": 5}
    leaf, kernel = ("".join(random.permutation(list(sides))) for _ in range(2))
    out = "".join(random.permutation(["b", "o", "p"]))
    data = normal(6, 3, 2)

    def product(w, x):
        arranged = jnp.transpose(w, [leaf.index(axis) for axis in kernel])
        return jnp.einsum(f"bij,{kernel}->{out}", x, arranged)

    w = normal(*(sides[axis] for axis in leaf))
    (axes,) = axes_of(product, w, data)
    slope = np.asarray(jax.grad(lambda w: product(w, data).reshape(-1)[0])(w)) != 0
    moving = {
        axis for axis in range(4) if slope.any(axis=tuple(other for other in range(4) if other != axis)).sum() > 1
    }
    assert set(axes.inputs) == moving
    assert set(axes.units) == set(range(4)) - moving
