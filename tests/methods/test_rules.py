"""The update rules of the table, in NumPy and in JAX, beside Optax's."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope._arrays import JAX_ARRAYS, NUMPY_ARRAYS
from downslope.methods import METHODS, RuleInput, method, rule_of
from downslope.methods._noise import normal

STEPS = 50
START = np.array([-1.237, 1.031, 0.4519])
_SEARCH = optax.scale_by_zoom_linesearch(30, initial_guess_strategy="one")
OPTAX = {
    "momentum": optax.trace(0.9),
    "nesterov": optax.trace(0.9, nesterov=True),
    "adagrad": optax.scale_by_rss(0.1, 1e-7),
    "rmsprop": optax.scale_by_rms(0.9, 1e-8),
    "adam": optax.scale_by_adam(0.9, 0.999, 1e-8),
    "lion": optax.scale_by_lion(0.9, 0.99),
    "l-bfgs": optax.chain(optax.scale_by_lbfgs(10), optax.scale(-1.0), _SEARCH),
}


class Valley:
    """(1 − x)² + 3(y − x²)² + (z − y)² + z⁴/10 with its derivatives, for NumPy."""

    def __call__(self, point: Any) -> Any:
        x, y, z = point
        return (1 - x) ** 2 + 3 * (y - x**2) ** 2 + (z - y) ** 2 + z**4 / 10

    def value_and_gradient(self, point: np.ndarray) -> tuple[Any, np.ndarray]:
        x, y, z = point
        slopes = [-2 * (1 - x) - 12 * x * (y - x**2), 6 * (y - x**2) - 2 * (z - y), 2 * (z - y) + 0.4 * z**3]
        return self(point), np.array(slopes)

    def hessian(self, point: np.ndarray) -> np.ndarray:
        x, y, z = point
        return np.array([[2 - 12 * y + 36 * x**2, -12 * x, 0.0], [-12 * x, 8.0, -2.0], [0.0, -2.0, 2 + 1.2 * z**2]])


def path(name: str, arrays: Any, rate: float = 0.01) -> np.ndarray:
    """Return the points of a method's first steps."""
    chosen, valley = method(name, **({"weight_decay": 0.0} if method(name).decays else {})), Valley()
    rule = rule_of(chosen, arrays)
    settings = {key: np.float64(value) for key, value in chosen.settings.items()} | {"seed": np.uint32(7)}

    def step(point: Any, state: Any) -> Any:
        value, gradient = arrays.value_and_gradient(valley, point)
        change, state = rule.update(RuleInput(point, value, gradient, rate, settings, valley), state)
        return point + change, state

    step = step if arrays is NUMPY_ARRAYS else jax.jit(step)
    point, points = arrays.numpy.asarray(START), [START]
    state = rule.init(point, settings)
    for _ in range(STEPS):
        point, state = step(point, state)
        points.append(np.asarray(point))
    return np.array(points)


@pytest.fixture(autouse=True)
def _double() -> Any:
    with jax.enable_x64(True), np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", OPTAX)
def test_a_rule_steps_as_optax_does(name: str) -> None:
    valley, rule, rate = Valley(), OPTAX[name], 0.01
    whole: Any = optax.with_extra_args_support(rule)
    searches = method(name).searches_line
    point, points = jnp.asarray(START), [START]
    state = rule.init(point)

    @jax.jit
    def step(point: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(valley)(point)
        extra = {"value": value, "grad": gradient, "value_fn": valley} if searches else {}
        change, state = whole.update(gradient, state, point, **extra)
        return point + (change if searches else -rate * change), state

    for _ in range(STEPS):
        point, state = step(point, state)
        points.append(np.asarray(point))
    np.testing.assert_allclose(path(name, NUMPY_ARRAYS, rate), points, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [spec.name for spec in METHODS])
def test_a_rule_steps_alike_in_numpy_and_in_jax(name: str) -> None:
    np.testing.assert_allclose(path(name, NUMPY_ARRAYS), path(name, JAX_ARRAYS), rtol=1e-12, atol=1e-14)


def test_every_record_of_the_table_is_written_in_the_array_interface() -> None:
    assert all(method(name).is_plain for name in ds.method_names())
    assert not method(optax.sgd(0.1)).is_plain


def test_noise_is_normal_and_the_same_in_numpy_and_in_jax() -> None:
    drawn = np.array([normal(np, np.uint32(3), step, 0, np.zeros(200)) for step in range(200)])
    again = normal(jnp, jnp.uint32(3), jnp.int32(5), 40, jnp.zeros(3))
    np.testing.assert_allclose(again, drawn[5, 40:43], rtol=1e-13)
    assert abs(drawn.mean()) < 0.02
    assert drawn.std() == pytest.approx(1, abs=0.02)
    assert (drawn**4).mean() == pytest.approx(3, abs=0.1)
    for first, second in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs((first * second).mean()) < 0.02
    assert not np.allclose(drawn[0], normal(np, np.uint32(4), 0, 0, np.zeros(200)))
