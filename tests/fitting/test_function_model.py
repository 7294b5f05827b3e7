"""Python functions as models: the fit of the same formula, whatever way their slopes are had."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds
from downslope.fitting import _least_squares, _numeric_problem

X = np.linspace(0, 5, 30)
Y = 3 * np.exp(-0.8 * X) + 0.5 + 0.01 * np.sin(37 * X)
TABLE = {"x": X, "y": Y}
START = {"A": 1, "k": 1, "c": 1}


def decay(x: Any, A: float, k: float, c: float) -> Any:
    return A * np.exp(-k * x) + c


def in_jax(x: Any, A: float, k: float, c: float) -> Any:
    return A * jnp.exp(-k * x) + c


def row_by_row(x: Any, A: float, k: float, c: float) -> Any:
    return np.array([A * math.exp(-k * each) + c for each in x])


def magnitude(x: Any, A: float, k: float, c: float) -> Any:
    return np.abs(A) * np.exp(-k * x) + c  # |A| of a complex A has no imaginary part


def begun(x: Any, A: float = 2.0, k: float = 1.0, c: float = 0.0) -> Any:
    return decay(x, A, k, c)


@pytest.mark.parametrize(
    ("function", "way"),
    [(decay, "imaginary step"), (in_jax, "by JAX"), (row_by_row, "differences"), (magnitude, "differences")],
)
def test_a_function_is_fitted_as_its_formula(function: Any, way: str) -> None:
    wanted = ds.fit("y = A×e^(-k×x) + c", TABLE)
    fit = ds.fit(function, TABLE, y="y", start=START)
    assert list(fit.values.values()) == pytest.approx(list(wanted.values.values()), rel=1e-7)
    assert list(fit.standard_errors.values()) == pytest.approx(list(wanted.standard_errors.values()), rel=1e-6)
    assert way in fit.notes[0]
    assert fit.findings.ok
    assert fit.read_as == f"y = {function.__name__}(x, A, k, c)"
    for mine, theirs in zip(fit.predict({"x": [0.5, 9]}), wanted.predict({"x": [0.5, 9]}), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_a_start_is_searched_for_or_taken_from_the_defaults() -> None:
    searched = ds.fit(TABLE, decay, y="y")
    assert searched["k"] == pytest.approx(0.8, rel=0.02)
    taken = ds.fit(begun, TABLE, y="y", steps=0)
    assert taken.values == {"A": 2, "k": 1, "c": 0}


def test_a_function_need_not_be_elementwise_and_groups_are_called_apart() -> None:
    def from_first(x: Any, A: float, k: float) -> Any:
        return A * np.exp(-k * (x - x[0]))

    table = {"x": np.r_[X, X + 10], "y": np.r_[3 * np.exp(-X), 2 * np.exp(-X)], "g": np.repeat(["a", "b"], 30)}
    fit = ds.fit(from_first, table, y="y", by="g", shared="k")
    assert fit.values == pytest.approx({"A[a]": 3, "A[b]": 2, "k": 1}, rel=1e-6)


def test_a_left_side_may_be_a_formula() -> None:
    fit = ds.fit(lambda x, a, b: a - b * x, {"x": X, "y": np.exp(2 - X)}, y="ln(y)")
    assert fit.values == pytest.approx({"a": 2, "b": 1})


def test_many_rows_run_in_jax_with_calls_back_into_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_numeric_problem, _least_squares):
        monkeypatch.setattr(module, "MOST_ROWS", 4096)
    x = np.linspace(0, 5, 5000)
    table = {"x": x, "y": 3 * np.exp(-0.8 * x) + 0.5}
    fit = ds.fit(decay, table, y="y", start=START)
    assert list(fit.values.values()) == pytest.approx([3, 0.8, 0.5], rel=1e-6)


def test_a_fitted_function_is_pickled_and_loaded_with_the_function(tmp_path: Path) -> None:
    fit = ds.fit(decay, TABLE, y="y", start=START)
    run = ds.save(fit, tmp_path / "run")
    again = ds.load(run, function=decay)
    for other in (again, pickle.loads(pickle.dumps(fit))):  # noqa: S301  # our own bytes
        assert isinstance(other, ds.Fit)
        assert other.predict({"x": [2.0]}).low.tolist() == fit.predict({"x": [2.0]}).low.tolist()
    with pytest.raises(ds.TraceError, match="is the Python function decay"):
        ds.load(run)


@pytest.mark.parametrize(
    ("function", "y", "message"),
    [
        (decay, None, "decay is the model, but no measured column is named"),
        (decay, "z", "z"),
        (decay, 3, "y is a column's name"),
        (lambda q, a: q * a, "y", "no argument of f\\(q, a\\) is a column"),
        (lambda x: x, "y", "f has no parameter to fit"),
        (lambda x, *a: x, "y", "f takes a without a position"),
        (lambda x, a="mean": x, "y", "a of f has the default"),
        (lambda x, a: x[:3] * a, "y", "of shape \\(3,\\), not a number for each of the 30 rows"),
        (lambda x, a: missing * a, "y", "f failed on the columns: NameError"),  # noqa: F821  # what is tested
        ("y = a×x", "y", "y names the measured column of a Python function"),
    ],
)
def test_errors_say_what_is_wrong(function: Any, y: Any, message: str) -> None:
    with pytest.raises(ds.DownslopeError, match=message):
        ds.fit(function, TABLE, y=y)
