"""Missing cells and data that cannot be used."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from downslope._errors import DataError, SettingError
from downslope.networks.data._examples import examples, prepare
from tests.networks.tables import fruit

# missing cells


def test_missing_cells_are_refused(cars):
    with pytest.raises(DataError, match="row 3, column horsepower: the cell is missing \\(2 such") as caught:
        examples(cars, "mpg", drop="name")
    assert 'missing="drop"' in str(caught.value)
    assert 'missing="mean"' in str(caught.value)


def test_rows_with_missing_cells_are_left_out(cars):
    found = examples(cars, "mpg", missing="drop", drop="name")
    assert len(found) == 9
    assert "3 of 12; 9 remain" in found.notes[0]


def test_missing_numbers_are_filled_with_the_mean_of_their_column(cars):
    found = examples(cars, "mpg", missing="mean", drop="name", standardise=False)
    assert len(found) == 11  # one has no target
    power = found.inputs[:, 1]
    assert power[2] == power[6] == pytest.approx(np.mean([130, 165, 95, 88, 46, 90, 113, 90, 215]))
    assert "1 of 12; 11 remain" in found.notes[0]
    assert found.notes[1] == "horsepower: missing cells, 2 of them, are filled with the mean of the others."
    new = found.encoding.encode({"cylinders": [4], "horsepower": [None], "origin": ["usa"]})
    assert new[0, 1] == power[2]


def test_missing_text_is_a_category_of_its_own():
    data = {"colour": ["red", None, "blue", "?"] * 4, "y": np.arange(16) / 3}
    found = examples(data, "y", missing="mean")
    assert found.encoding.columns[0].categories == ("blue", "missing", "red")
    np.testing.assert_array_equal(found.encoding.encode({"colour": [""]}), found.inputs[1:2])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "object", "string"])
def test_what_pandas_calls_missing_is_missing(dtype):
    values = pandas.Series([1, None, 3] * 4, dtype=dtype)
    frame = pandas.DataFrame({"x": values, "y": np.arange(12) / 5})
    with pytest.raises(DataError, match="row 2, column x"):
        examples(frame, "y")
    assert len(examples(frame, "y", missing="drop")) == 8


def test_holes_in_arrays():
    X = np.arange(24.0).reshape(12, 2)
    X[4, 1] = np.nan
    y = np.arange(12) / 7
    with pytest.raises(DataError, match="row 5, column 2: the number is missing"):
        examples((X, y))
    assert len(examples((X, y), missing="drop")) == 11
    assert examples((X, y), missing="mean").inputs[4, 1] == pytest.approx(0, abs=1e-6)
    X[7, 0] = np.inf
    with pytest.raises(DataError, match="row 8, column 1: the number is infinite"):
        examples((X, y), missing="drop")
    X[:, 0] = np.nan
    with pytest.raises(DataError, match="column 1: every cell is missing"):
        examples((X, y), missing="mean")
    with pytest.raises(SettingError, match="did you mean 'drop'"):
        examples((X, y), missing="dorp")


def test_means_to_fill_in_are_those_of_the_rows_trained_on():
    x = np.arange(40.0)
    x[::5] = np.nan
    training, _ = prepare({"x": x, "y": np.arange(40) / 3}, "y", missing="mean", standardise=False, seed=3)
    kept = {float(number) for number in training.inputs[:, 0]}
    (fill,) = training.encoding.fill
    assert fill == pytest.approx(np.mean(sorted(kept - {np.float32(fill)})))


# what is refused


def test_a_misspelt_target_is_hinted_at(houses):
    with pytest.raises(DataError, match="no column 'prize'; the table has size, price\ndid you mean price"):
        examples(houses, "prize")
    with pytest.raises(DataError, match="name the column to predict"):
        examples(houses)
    with pytest.raises(DataError, match="no column to drop 'sise'"):
        examples(houses, "price", drop="sise")
    with pytest.raises(DataError, match="no column is left"):
        examples(houses, "price", drop="size")


def test_a_column_that_names_its_rows_is_refused_unless_it_is_dropped(cars):
    with pytest.raises(DataError, match="column name: 11 different texts in 11 rows") as caught:
        examples(cars, "mpg", missing="mean")
    assert "drop='name'" in str(caught.value)
    assert examples(cars, "mpg", missing="mean", drop="name").encoding.features[-1] == "origin=usa"


def test_text_among_numbers_is_a_slip():
    data = {"x": ["1.5", "2", "3", "4,5", "5", "6"], "y": np.arange(6) / 3}
    with pytest.raises(DataError, match="row 4, column x: '4,5' is not a number"):
        examples(data, "y")
    with pytest.raises(DataError, match="row 4, column x: '4,5' is not a number"):
        examples({"x": data["x"], "y": data["y"]}, "x")
    with pytest.raises(DataError, match="row 1, column kind: 'pear' is not a number"):
        examples({"kind": ["pear", "apple"] * 4, "y": np.arange(8)}, "kind", task="numbers")


@pytest.mark.parametrize(
    "data,target,message",
    [
        (([[1, 2], [3]], [0, 1]), None, "differ in length"),
        ((np.zeros((3, 2)), np.zeros(4)), None, "3 rows of inputs, but 4 of targets"),
        ((np.zeros((3, 2)), np.zeros(3)), "y", "the pair already holds the targets"),
        ((np.zeros((2, 2, 2, 2, 2)), np.zeros(2)), None, "inputs are"),
        ((np.zeros(3, complex), np.zeros(3)), None, "inputs are numbers, not complex"),
        ((np.zeros((4, 1)), np.zeros((4, 2, 2))), None, "targets are one number or class per row"),
        (np.zeros((4, 2)), None, "the targets are missing"),
        ("irsi", None, "did you mean 'iris'"),
        ("nothing.csv", "y", "there is no file"),
        (([[1e200], [-1e200]], [1.5, 2.5]), None, "too large"),
        ({"x": [1, 2], "y": [1, 2], "z": ["a", "b"]}, "y, z", "is not a number"),
    ],
)
def test_what_cannot_be_used_is_told(data, target, message):
    with pytest.raises(DataError, match=message):
        examples(data, target)


def test_new_rows_are_checked():
    made = examples(fruit(), "kind", drop="ripe").encoding
    row = {"price": 1.5, "extra": "x", "colour": "red", "weight": 150}
    assert made.encode(row).shape == (1, 5)
    np.testing.assert_array_equal(made.encode(pandas.DataFrame([row])), made.encode(row))
    with pytest.raises(DataError, match="'gren' is not one of its 3 categories\ndid you mean green"):
        made.encode({"weight": [1, 2], "colour": ["red", "gren"], "price": [1, 2]})
    with pytest.raises(DataError, match="row 2, column weight: the cell is missing"):
        made.encode({"weight": [1, None], "colour": ["red", "green"], "price": [1, 2]})
    with pytest.raises(DataError, match="row 1, column colour: the cell is missing"):
        made.encode({"weight": [1], "colour": [None], "price": [1]})
    with pytest.raises(DataError, match="row 1, column weight: 'heavy' is not a number"):
        made.encode({"weight": ["heavy"], "colour": ["red"], "price": [1]})
    with pytest.raises(DataError, match="no column 'colour'"):
        made.encode({"weight": [1], "price": [1]})
    with pytest.raises(DataError, match="name the columns: weight, colour, price"):
        made.encode([[1, 2, 3]])
    plain = examples((np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2)).encoding
    with pytest.raises(DataError, match="a row has 3 numbers, but here it has 4"):
        plain.encode(np.zeros((5, 4)))
    with pytest.raises(DataError, match="row 1, column 3: 'a' is not a number"):
        plain.encode([[1, 2, "a"]])
    with pytest.raises(DataError, match="row 2, column 3: the number is missing"):
        plain.encode([[1, 2, 3], [1, 2, None]])


def test_an_array_of_numbers_and_text_is_a_table_without_names():
    rows = [["red", 1], ["blue", 2], ["red", 3]] * 4
    made = examples((rows, [0, 1, 0] * 4))
    assert made.encoding.features == ("1=red", "2")
    np.testing.assert_array_equal(made.encoding.encode(rows[:2]), made.inputs[:2])
    with pytest.raises(DataError, match="a row has 2 numbers, but here it has 3"):
        made.encoding.encode([["red", 1, 3]])


def test_a_frame_whose_columns_are_numbered():
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)))
    assert examples(frame, 2).encoding.features == ("0", "1")
