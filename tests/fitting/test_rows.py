"""Which rows take part: by number, by condition, by weight."""

import numpy as np
import pytest

import downslope as ds

TABLE = {"x": [0.0, 1, 2, 3, 4, 5], "y": [1.0, 3.1, 4.9, 7.0, 50.0, 11.0]}


def test_a_weight_of_zero_leaves_a_row_out_and_says_so():
    fit = ds.fit("y = a + b x", TABLE, weights=[1, 1, 1, 1, 0, 1])
    assert fit["b"] == pytest.approx(2.0, abs=0.05)
    assert fit.degrees_of_freedom == 3
    assert "row 5 is left out: the weight is 0" in fit.notes
    assert fit.row_numbers.tolist() == [1, 2, 3, 4, 6]
    assert fit.left_out == ()


def test_a_deviation_of_zero_is_refused_with_the_row_and_a_way_out():
    with pytest.raises(ds.DataError, match="row 5") as raised:
        ds.fit("y = a + b x", TABLE, sigma=[1, 1, 1, 1, 0, 1])
    assert "weight" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [("2:4", [2, 3, 4]), (":3", [1, 2, 3]), ("4:", [4, 5, 6]), ("1,3:4, 6", [1, 3, 4, 6]), ([2, 3, 5], [2, 3, 5])],
)
def test_rows_are_chosen_by_number(rows, kept):
    assert ds.fit("y = a x", TABLE, rows=rows).row_numbers.tolist() == kept


@pytest.mark.parametrize(
    ("condition", "kept"),
    [("x < 3", [1, 2, 3]), ("y ≤ 20 and x > 0", [2, 3, 4, 6]), ("1 < x < 4", [3, 4]), ("x ≠ 4", [1, 2, 3, 4, 6])],
)
def test_rows_are_chosen_by_a_condition(condition, kept):
    fit = ds.fit("y = a x", TABLE, where=condition)
    assert fit.row_numbers.tolist() == kept
    assert any("rows were chosen" in note for note in fit.notes)


def test_a_condition_may_use_a_column_beside_the_equation_and_a_missing_cell_meets_none():
    fit = ds.fit("y = a x", {**TABLE, "z": [1, 1, 1, np.nan, 2, 1]}, where="z = 1")
    assert fit.row_numbers.tolist() == [1, 2, 3, 6]


@pytest.mark.parametrize("choices", [{"rows": "7:9"}, {"rows": "a"}, {"rows": "4:2"}, {"rows": "0:2"}, {"rows": 3.5}])
def test_rows_that_cannot_be_are_refused(choices):
    with pytest.raises(ds.SettingError, match="rows"):
        ds.fit("y = a x", TABLE, **choices)


def test_a_condition_that_no_row_meets_or_with_an_unknown_column_is_refused():
    with pytest.raises(ds.DataError, match="no row"):
        ds.fit("y = a x", TABLE, where="x > 90")
    with pytest.raises(ds.DataError, match="no column"):
        ds.fit("y = a x", TABLE, where="time > 90")


def test_deviations_may_be_a_formula_of_columns():
    counts = {"t": [0, 1, 2, 3, 4], "n": [52, 36, 20, 16, 8], "s": [2.0, 2, 1, 1, 1]}
    by_formula = ds.fit("n = A e^(-k t)", counts, sigma="sqrt(n)", absolute_sigma=True)
    by_numbers = ds.fit("n = A e^(-k t)", counts, sigma=np.sqrt(counts["n"]), absolute_sigma=True)
    assert by_formula.standard_errors == by_numbers.standard_errors
    weighted = ds.fit("n = A e^(-k t)", counts, weights="1/s^2")
    assert weighted["k"] == ds.fit("n = A e^(-k t)", counts, sigma="s")["k"]
    with pytest.raises(ds.DataError, match=r"there is no column 'sqrt\(m\)'"):
        ds.fit("n = A e^(-k t)", counts, sigma="sqrt(m)")


@pytest.mark.parametrize("choice", ["sigma", "weights"])
def test_text_among_the_errors_is_named_by_its_row(choice: str) -> None:
    data = {"x": [1, 2, 3, 4], "y": [1, 2, 3, 5], "s": ["0.1", "0.2", "small", "0.1"]}
    with pytest.raises(ds.DataError, match="row 3, column s: 'small' is not a number"):
        ds.fit("y = a + b x", data, **{choice: "s"})  # pyright: ignore[reportArgumentType]
