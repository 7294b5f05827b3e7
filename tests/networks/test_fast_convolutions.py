"""Oracle: the function as it was written, for values, gradients and what a training makes of it."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import downslope as ds
from downslope.networks.models import _fast_convolutions
from downslope.networks.models._fast_convolutions import rewritten

RNG = np.random.default_rng(6)
IMAGES = RNG.normal(size=(4, 9, 10, 2)).astype(np.float32)  # batch, height, width, channels
KERNEL = RNG.normal(size=(3, 2, 2, 4)).astype(np.float32)
CONVOLUTION = "conv_general_dilated"


def convolution(strides=(1, 1), padding="VALID", form=("NHWC", "HWIO", "NHWC"), **settings):
    def function(image, kernel):
        return jax.lax.conv_general_dilated(image, kernel, strides, padding, dimension_numbers=form, **settings)

    return function


def program(function, *given) -> str:
    return str(jax.make_jaxpr(function)(*given))


def the_same(function, *given):
    """Hold the values and the gradients of a rewritten function against its own."""

    def told_back(evaluated):
        value, back = jax.vjp(evaluated, *given)
        weights = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), value)
        return value, back(weights)

    found, wanted = (jax.jit(told_back, static_argnums=0)(each) for each in (rewritten(function), function))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


# --- what is rewritten ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "image", "kernel"),
    [
        ({}, "NHWC", "HWIO"),
        ({"strides": (2, 1), "padding": "SAME"}, "NHWC", "HWIO"),
        ({"strides": (1, 2), "padding": ((0, 2), (3, 1))}, "NCHW", "OIHW"),
        ({"strides": (3, 2), "padding": "SAME"}, "HWCN", "IOHW"),
    ],
)
def test_plain_convolutions_become_products(settings, image, kernel):
    places = ["NHWC".index(axis) for axis in image], ["HWIO".index(axis) for axis in kernel]
    given = IMAGES.transpose(places[0]), KERNEL.transpose(places[1])
    function = convolution(**settings, form=(image, kernel, "CWNH"))
    assert CONVOLUTION not in program(rewritten(function), *given)
    the_same(function, *given)


def test_every_shape_gets_its_own_program():
    fast = rewritten(convolution())
    for rows in (1, 3):
        found = fast(IMAGES[:rows], KERNEL)
        np.testing.assert_allclose(found, convolution()(IMAGES[:rows], KERNEL), rtol=1e-4, atol=1e-4)


def test_one_behind_calls_and_under_vmap_is_found():
    def one(image, kernel):
        return jax.jit(convolution(padding="SAME"))(image[None], kernel)[0]

    function = jax.jit(jax.vmap(one, in_axes=(0, None)))
    assert CONVOLUTION not in program(rewritten(function), IMAGES, KERNEL)
    the_same(function, IMAGES, KERNEL)


def test_a_checkpoint_stays_one():
    def function(image, kernel):
        return jax.checkpoint(lambda *given: jnp.tanh(convolution()(*given)))(image, kernel).sum()

    told = program(jax.grad(rewritten(function), argnums=1), IMAGES, KERNEL)
    assert "checkpoint" in told or "remat" in told
    assert CONVOLUTION not in told
    the_same(function, IMAGES, KERNEL)


def test_randomness_and_rules_of_ones_own_stay():
    @jax.custom_vjp
    def doubled(values):
        return values

    doubled.defvjp(lambda values: (values, None), lambda _, inward: (2 * inward,))

    def function(image, kernel):
        noise = jax.random.normal(jax.random.key(3), (4, 7, 9, 4))
        return doubled(convolution()(image, kernel)) + noise

    the_same(function, IMAGES, KERNEL)


def test_half_precision_stays():
    short = IMAGES.astype(jnp.bfloat16), KERNEL.astype(jnp.bfloat16)
    found, wanted = rewritten(convolution())(*short), convolution()(*short)
    assert found.dtype == wanted.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(np.float32), wanted.astype(np.float32), rtol=0.02, atol=0.05)


# --- what is left alone -----------------------------------------------------------------------------------------------


def in_a_scan(image, kernel):
    return jax.lax.map(lambda one: convolution()(one[None], kernel), image)


@pytest.mark.parametrize(
    ("function", "kernel"),
    [
        (convolution(feature_group_count=2), KERNEL[:, :, :1]),
        (convolution(rhs_dilation=(2, 1)), KERNEL),
        (convolution(padding=((0, 0), (0, 0)), lhs_dilation=(1, 2)), KERNEL),
        (convolution(padding=((0, 0), (-1, 0))), KERNEL),
        (in_a_scan, KERNEL),
    ],
)
def test_others_are_left_alone(function, kernel):
    assert program(rewritten(function), IMAGES, kernel) == program(function, IMAGES, kernel)


def test_windows_that_would_fill_the_memory_are_left_alone(monkeypatch):
    numbers = 4 * 7 * 9 * KERNEL[..., 0].size
    monkeypatch.setattr(_fast_convolutions, "_MOST_NUMBERS", numbers)
    assert CONVOLUTION not in program(rewritten(convolution()), IMAGES, KERNEL)
    monkeypatch.setattr(_fast_convolutions, "_MOST_NUMBERS", numbers - 1)
    assert CONVOLUTION in program(rewritten(convolution()), IMAGES, KERNEL)


def test_one_left_alone_beside_one_rewritten():
    def function(image, kernel):
        return in_a_scan(image, kernel)[:, 0] + convolution()(image, kernel)

    assert program(rewritten(function), IMAGES, KERNEL).count(f"{CONVOLUTION}[") == 1
    the_same(function, IMAGES, KERNEL)


def test_there_is_nothing_to_do_on_another_processor(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    function = convolution()
    assert rewritten(function) is function


# --- trainings --------------------------------------------------------------------------------------------------------


class Equinox(eqx.Module):
    first: eqx.nn.Conv2d
    grouped: eqx.nn.Conv2d
    dropout: eqx.nn.Dropout
    last: eqx.nn.Linear

    def __init__(self):
        one, two, three = jax.random.split(jax.random.key(1), 3)
        self.first = eqx.nn.Conv2d(1, 4, 3, stride=2, padding="SAME", key=one)
        self.grouped = eqx.nn.Conv2d(4, 4, 2, groups=2, key=two)
        self.dropout, self.last = eqx.nn.Dropout(0.2), eqx.nn.Linear(16, 2, key=three)

    def __call__(self, image, *, key):
        hidden = jax.nn.relu(self.first(image[None]))
        return self.last(self.dropout(self.grouped(hidden).reshape(-1), key=key))


class Flax(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.first = nnx.Conv(1, 4, (3, 3), strides=2, padding="SAME", rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.dilated = nnx.Conv(4, 3, (2, 2), padding="VALID", kernel_dilation=2, rngs=rngs)
        self.last = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, images):
        hidden = nnx.relu(self.norm(self.first(images[..., None])))
        return self.last(self.dilated(hidden).mean((1, 2)))


@pytest.mark.parametrize(("model", "probe_every"), [(Equinox, 6), (Flax, 0)])
def test_a_training_goes_as_it_would(model, probe_every, monkeypatch):
    images, targets = RNG.normal(size=(40, 6, 6)).astype(np.float32), RNG.normal(size=(40, 2))
    settings = {"steps": 6, "batch": 16, "layers_every": 2, "probe_every": probe_every, "progress": False}
    products, matmul = [], jnp.matmul

    def noted(*operands, **settings):
        products.extend(operands[:1] if "preferred_element_type" in settings else ())
        return matmul(*operands, **settings)

    monkeypatch.setattr(jnp, "matmul", noted)
    found = ds.train(model(), (images, targets), **settings).trace
    assert products
    products.clear()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # where nothing is rewritten
    wanted = ds.train(model(), (images, targets), **settings).trace
    assert not products
    np.testing.assert_allclose(found.columns["value"], wanted.columns["value"], rtol=1e-4)
    np.testing.assert_allclose(found.columns["gradient_norm"], wanted.columns["gradient_norm"], rtol=1e-3)
    assert found.layer_names == wanted.layer_names
    assert found.layer_columns.keys() == wanted.layer_columns.keys()
    # A mean that is near 0 beside the spread of its layer has no digits of its own.
    spread = wanted.layer_columns["activation_deviation"]
    for name, column in found.layer_columns.items():
        small = 1e-2 * spread if name == "activation_mean" else np.full_like(spread, 1e-5)
        np.testing.assert_array_less(abs(column - wanted.layer_columns[name]), 1e-2 * abs(column) + small)
    for one, other in zip(found.spectra, wanted.spectra, strict=True):
        assert one.highest == pytest.approx(other.highest, rel=1e-2)


def test_a_loss_function_goes_as_it_would():
    images, targets = RNG.normal(size=(30, 5, 5, 1)).astype(np.float32), RNG.normal(size=30).astype(np.float32)

    def loss(params, batch):
        made = jnp.tanh(convolution()(batch[0], params["kernel"]) + params["bias"])
        return jnp.mean((made.mean((1, 2, 3)) - batch[1]) ** 2)

    start = {"kernel": RNG.normal(size=(3, 3, 1, 2)), "bias": np.zeros(2)}
    made = ds.train(
        loss, (images, targets), start=start, method="gradient descent", learning_rate=0.1, batch=None, steps=5,
        validation=0, progress=False, probe_every=0,
    )  # fmt: skip
    params = {name: np.float32(leaf) for name, leaf in start.items()}
    for _ in range(5):
        params = jax.tree.map(lambda leaf, slope: leaf - 0.1 * slope, params, jax.grad(loss)(params, (images, targets)))
    np.testing.assert_allclose(made.model["kernel"], params["kernel"], rtol=1e-4, atol=1e-5)
