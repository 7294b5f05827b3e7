"""A fit keeps nothing alive: neither the table nor what was made of it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import downslope as ds

X = np.linspace(0, 10, 60)
Y = 3 * np.exp(-0.5 * X) + 1 + np.random.default_rng(1).normal(0, 0.05, len(X))


@pytest.mark.parametrize(
    "choices",
    [
        {"start": {"a": 1, "k": 1, "c": 0}},
        {},
        {"start": {"a": 1, "k": 1, "c": 0}, "bounds": {"k": (0, 0.3)}, "ties": {"c": "a/3"}},
        {"start": {"a": 1, "k": 1, "c": 0}, "method": "trust region"},
        {"start": {"a": 1, "k": 1, "c": 0}, "loss": "huber"},
    ],
    ids=["start", "search", "bounds", "trust region", "huber"],
)
def test_the_table_of_a_fit_is_released(choices) -> None:
    fitted = ds.fit("y = a·e^(-k·x) + c", {"x": X.copy(), "y": Y.copy()}, **choices)
    fitted.predict({"x": X.copy()})
    arrays = [*fitted.data.values(), *fitted.arguments.columns.values(), fitted.arguments.measured, fitted.measured]
    alive = [weakref.ref(thing) for thing in (fitted, fitted.objective, fitted.trace, *arrays)]
    del fitted, arrays
    gc.collect()
    assert not any(reference() is not None for reference in alive)


def test_the_function_of_a_mean_square_holds_no_rows() -> None:
    fitted = ds.fit("y = a x + b", {"x": X, "y": Y})
    held = list(vars(fitted.objective.function).values())
    assert held
    arrays = [leaf for cell in held if isinstance(cell, tuple) for leaf in cell if isinstance(leaf, np.ndarray)]
    assert all(array.size < len(X) for array in arrays)
    assert not any(isinstance(cell, np.ndarray) for cell in held)
