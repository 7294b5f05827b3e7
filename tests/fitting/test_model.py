"""An equation over a table: its rows, its units, its sides."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds
from tests.fitting.problems import DECAY, decay


def test_rows_with_missing_cells_are_left_out_and_counted():
    columns = decay()
    short = {name: column[2:] for name, column in columns.items()}
    columns["y"][0], columns["x"][1] = np.nan, np.nan
    start = {"a": 3, "k": 0.5, "c": 1}
    found = ds.fit(DECAY, columns, start=start)
    assert found.left_out == (1, 2)
    assert found["k"] == pytest.approx(ds.fit(DECAY, short, start=start)["k"], rel=1e-9)
    assert "2 more left out" in str(found)


def test_a_left_side_may_be_an_expression():
    x = np.linspace(1, 5, 20)
    found = ds.fit("ln(y) = a + b x", {"x": x, "y": np.exp(0.5 + 0.25 * x)})
    assert [found["a"], found["b"]] == pytest.approx([0.5, 0.25])
    assert ds.fit("y(x) = a x", {"x": x, "y": 3 * x})["a"] == pytest.approx(3)


def test_without_a_column_on_the_right_the_mean_is_found():
    found = ds.fit("y = a", {"x": [0, 1, 2, 3], "y": [1, 2, 3, 4.5]})
    assert found["a"] == pytest.approx(2.625)
    assert found.parameters["a"].standard_error == pytest.approx(np.std([1, 2, 3, 4.5], ddof=1) / 2)


def test_units_of_parameters_follow_from_those_of_the_columns():
    units = {"x": "s", "y": "V"}
    found = ds.fit(DECAY, decay(), units=units)
    assert {name: one.unit for name, one in found.parameters.items()} == {"a": "V", "k": "1/s", "c": "V"}
    bare = ds.fit(DECAY, decay())
    assert bare.parameters["k"].unit is None  # 1/x would look like a unit and be none


@pytest.mark.parametrize(
    ("equation", "hint"),
    [
        ("Force = k x", "did you mean `Force F [N]`?"),
        ("`Force F [N]` = k x", "did you mean `x/m` for x?"),
        ("`Force F [N]` = k sin(2theta) + c `x/m`", "did you mean `2theta`?"),
    ],
)
def test_suggested_columns_are_typed_as_they_stand(equation, hint):
    table = {"Force F [N]": [1.0, 2, 3], "x/m": [1.0, 2, 3], "2theta": [1.0, 2, 3]}
    with pytest.raises(ds.FormulaError) as error:
        ds.fit(equation + (" + q" if "theta" not in equation else ""), table)
    assert error.value.hint is not None
    assert error.value.hint.startswith(hint)
