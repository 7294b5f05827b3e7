"""Ensembles keep nothing alive: neither an objective nor the tables that its function or its columns hold."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import downslope as ds
from downslope._engine import _KEPT

ROWS = 1000


class Table(np.ndarray):
    """An array that can be referred to weakly."""


def table() -> Table:
    return np.linspace(0.1, 1.0, ROWS).view(Table)


def closing_over(columns: Table) -> ds.Objective:
    """Return an objective of one coordinate over a table that its function closes over."""

    def value(point):
        return ((point["w"] - columns) ** 2).mean() + 0.1 * point["w"] ** 4

    return ds.objective(value)


def cloud(objective: ds.Objective) -> None:
    ds.multistart(objective, spread=1.0, centre={"w": 0.0}, starts=8)


def by_method(objective: ds.Objective) -> None:
    ds.multistart(objective, spread=1.0, centre={"w": 0.0}, starts=8, method="gradient descent", steps=3)


def lowest(objective: ds.Objective) -> None:
    ds.search(objective, spread=1.0, centre={"w": 0.0}, evaluations=2000)


@pytest.mark.parametrize("verb", [cloud, by_method, lowest])
def test_a_table_that_a_function_closes_over_is_released(verb) -> None:
    columns = table()
    objective = closing_over(columns)
    verb(objective)
    alive = [weakref.ref(columns), weakref.ref(objective)]
    del columns, objective
    gc.collect()
    assert all(reference() is None for reference in alive)


@pytest.mark.parametrize("verb", ["multistart", "search"])
def test_the_columns_of_a_formula_are_released(verb) -> None:
    objective = ds.objective("mean((price - w×size)²) + w⁴/9", {"size": np.arange(ROWS), "price": np.arange(ROWS) * 2})
    choices = {"starts": 8} if verb == "multistart" else {"evaluations": 2000}
    getattr(ds, verb)(objective, bounds={"w": (-3, 3)}, **choices)
    alive = [weakref.ref(objective), *(weakref.ref(column) for column in objective.data.values())]
    del objective
    gc.collect()
    assert not any(reference() is not None for reference in alive)


def test_programs_are_compiled_once_in_the_life_of_an_objective() -> None:
    objective = ds.objective("x⁴ - 3x² + x/7")
    ds.multistart(objective, bounds={"x": (-3, 3)}, starts=8, engine="jax")
    programs = dict(_KEPT[objective.owner])
    ds.multistart(objective, bounds={"x": (-2, 3)}, starts=8, engine="jax")
    assert programs == dict(_KEPT[objective.owner])
