"""An equation read over a table, without a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import downslope as ds

TABLE = {"minutes": [0.0, 5.0, 10.0], "temperature": [80.0, 60.0, 45.0]}


def test_names_of_the_table_are_columns_and_all_others_parameters() -> None:
    model = ds.equation("temperature = room + excess × e^(-k×minutes)", TABLE)
    assert model.columns == ("minutes", "temperature")
    assert model.parameters == ("room", "excess", "k")
    assert "room, excess and k are parameters" in model.notes[-1]


def test_it_predicts_at_any_parameters() -> None:
    model = ds.equation("temperature = a + b × minutes", TABLE)
    assert model.predicted({"a": 1, "b": 2}, {"minutes": np.array([0.0, 3.0])}).tolist() == [1.0, 7.0]


def test_numbers_stand_in_place_of_parameters() -> None:
    model = ds.equation("temperature = a + b × minutes", TABLE)
    assert model.with_values({"a": 80.0, "b": -3.5}) == "temperature = 80 - 3.5·minutes"


def test_a_name_like_a_column_is_a_slip_unless_it_is_called_a_parameter() -> None:
    with pytest.raises(ds.FormulaError, match="did you mean minutes"):
        ds.equation("temperature = a × minute", TABLE)
    assert ds.equation("temperature = a × minute", TABLE, parameters=["minute"]).parameters == ("a", "minute")


@pytest.mark.parametrize(
    ("text", "data"), [("", TABLE), ("1 = 1", TABLE), (None, TABLE), ("y = a", 3), ("y = a", None)]
)
def test_what_cannot_be_read_is_an_error_of_ours(text: object, data: object) -> None:
    with pytest.raises(ds.DownslopeError):
        ds.equation(text, data)


def test_a_fit_says_the_same_as_its_report() -> None:
    result = ds.fit("temperature = a + b × minutes", TABLE)
    headings, *rows = result.rows()
    assert headings[:2] == ("parameter", "value")
    assert [row[0] for row in rows] == ["a", "b"]
    assert all(text in str(result) for _, text in result.summary())


def test_a_curve_goes_a_little_beyond_the_data_and_its_bands_lie_around_it() -> None:
    result = ds.fit("temperature = a + b × minutes", TABLE)
    assert result.along == "minutes"
    columns = result.columns_along("minutes", 50)
    assert columns["minutes"][0] == 0.0  # data from 0 up have no curve below
    assert 10 < columns["minutes"][-1] < 11
    curve = result.model.predicted(result.values, columns)
    for _, low, high in result.bands(columns):
        assert np.all(low <= curve)
        assert np.all(curve <= high)


def test_the_tilde_of_r_is_an_equals_sign(tmp_path):
    table = {"x": [1.0, 2, 3], "y": [2.0, 4, 6]}
    assert ds.fit("y ~ a*x", table).read_as == "y = a·x"
    assert ds.fit(table, "y ~ a*x")["a"] == pytest.approx(2)
    with pytest.raises(ds.DataError, match="there is no file"):
        ds.fit("y = a×x", "~/none.csv")


def test_a_column_in_another_case_is_suggested():
    table = {"time (h)": [0.0, 1, 2], "conc (mg/L)": [4.0, 2, 1]}
    for equation, hint in (("Conc = A e^(-k time)", "`conc (mg/L)`"), ("conc = A e^(-k×Time)", "`time (h)`")):
        with pytest.raises(ds.FormulaError) as error:
            ds.fit(equation, table)
        assert f"did you mean {hint}?" in (error.value.hint or "")


def test_names_with_lowered_signs_are_columns() -> None:
    fit = ds.fit("ε₁ = a + b×x₁", {"x₁ (s)": [1, 2, 3], "ε₁": [1, 2, 4], "ε": [0, 0, 1]})
    assert fit.read_as == "ε₁ = a + b·`x₁ (s)`"
    assert fit["b"] == pytest.approx(1.5)
    assert ds.fit("ε_1 = a + b×x", {"x": [1, 2, 3], "ε_1": [1, 2, 4], "ε₁": [0, 0, 1]})["b"] == pytest.approx(1.5)


def test_names_in_other_letters_are_written_in_backquotes(tmp_path: Path) -> None:
    data = {"時間": [1, 2, 3], "電圧": [1, 2, 4]}
    with pytest.raises(ds.FormulaError, match="write a name of such letters in backquotes: `電圧`"):
        ds.fit("電圧 = a + b×時間", data)
    fit = ds.fit("`電圧` = a + b×`時間`", data)
    assert fit.read_as == "`電圧` = a + b·`時間`"
    ds.save(fit, tmp_path / "fit")
    again = ds.load(tmp_path / "fit")
    assert isinstance(again, ds.Fit)
    assert again.predict({"時間": [4]}).value == pytest.approx([16 / 3])
