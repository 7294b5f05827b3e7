"""Fits against certified figures, closed forms and SciPy; what a person may pass."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from tests.fitting.problems import DECAY, curve, decay, digits

CERTIFIED = json.loads(
    (Path(__file__).parents[1] / "data" / "nist_nonlinear_regression.json").read_text(encoding="utf-8")
)["problems"]
# A search for a start is compiled for each problem: of every level the hard ones; benchmarks/fits.py has them all.
FROM_NONE = ("Gauss1", "Lanczos3", "MGH17", "Nelson", "Eckerle4", "MGH09", "Rat43")


@pytest.mark.slow
@pytest.mark.parametrize("problem", CERTIFIED, ids=lambda problem: problem["name"])
def test_certified_parameters_and_deviations_from_every_start_and_from_none(problem):
    from_none = [None] if problem["name"] in FROM_NONE else []
    for start in (problem["start_1"], problem["start_2"], *from_none):
        found = ds.fit(problem["formula"], problem["columns"], start=start)
        assert digits(found.values, problem["certified"]) >= 6
        assert digits(found.standard_errors, problem["certified_standard_deviation"]) >= 4
        assert found.residual_sum_of_squares == pytest.approx(problem["residual_sum_of_squares"], rel=1e-5)


def test_the_articles_houses_cost_two_thousand_a_square_metre(houses):
    found = ds.fit("price = w × size", houses, units={"price": "k$", "size": "m^2"})
    assert found["w"] == pytest.approx(2.0, abs=1e-12)
    assert found.parameters["w"].unit == "k$/m²"
    assert "converged" in found.findings


@pytest.mark.parametrize("source", ["frame", "polars", "csv", "parquet", "mapping"])
def test_every_kind_of_table_gives_the_same_fit(source, tmp_path):
    columns = decay()
    frame = polars.DataFrame(columns)
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    tables = {
        "frame": pandas.DataFrame(columns),
        "polars": frame,
        "csv": tmp_path / "t.csv",
        "parquet": str(tmp_path / "t.parquet"),
        "mapping": {name: list(column) for name, column in columns.items()},
    }
    found = ds.fit(DECAY, tables[source])
    values, covariance = scipy.optimize.curve_fit(curve, columns["x"], columns["y"], [1, 1, 1])
    assert list(found.values.values()) == pytest.approx(values, rel=1e-6)
    assert list(found.standard_errors.values()) == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-4)


@pytest.mark.parametrize("absolute", [False, True])
def test_deviations_weigh_as_they_do_in_scipy(absolute):
    columns = decay()
    sigma = np.linspace(0.02, 0.2, 40)
    wanted, covariance = scipy.optimize.curve_fit(
        curve, columns["x"], columns["y"], [1, 1, 1], sigma=sigma, absolute_sigma=absolute
    )
    by_sigma = ds.fit(DECAY, {**columns, "s": sigma}, sigma="s", absolute_sigma=absolute)
    assert list(by_sigma.values.values()) == pytest.approx(wanted, rel=1e-6)
    assert by_sigma.covariance == pytest.approx(covariance, rel=1e-4)
    by_weight = ds.fit(DECAY, columns, weights=1 / sigma**2, absolute_sigma=absolute)
    assert list(by_weight.values.values()) == pytest.approx(wanted, rel=1e-6)


@settings(max_examples=40)
@given(
    st.sampled_from([5, 6, 13, 30]),  # each number of rows is compiled for
    st.floats(-6, 6),
    st.floats(-6, 6),
    st.integers(0, 10_000),
)
def test_a_line_is_the_one_of_the_closed_form_whatever_its_scales(rows, scale_x, scale_y, seed):
    random = np.random.default_rng(seed)
    x = 10**scale_x * random.normal(1, 2, rows)
    y = 10**scale_y * (2 * x / 10**scale_x - 1 + random.normal(0, 0.5, rows))
    found = ds.fit("y = w x + b", {"x": x, "y": y})
    design = np.column_stack([x / 10**scale_x, np.ones(rows)])
    values, squares, _, _ = np.linalg.lstsq(design, y / 10**scale_y, rcond=None)
    units = np.array([10 ** (scale_y - scale_x), 10**scale_y])
    variance = squares[0] / (rows - 2)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
    spread = np.abs(values).max()
    assert np.array(list(found.values.values())) / units == pytest.approx(values, rel=1e-8, abs=1e-8 * spread)
    assert np.array(list(found.standard_errors.values())) / units == pytest.approx(errors, rel=1e-7)
    assert found.r_squared == pytest.approx(1 - squares[0] / np.sum((y - y.mean()) ** 2) * 10 ** (2 * scale_y))
    assert "converged" in found.findings


@pytest.mark.parametrize(
    ("equation", "columns", "choices", "kind", "words"),
    [
        ("prize = w size", {"size": [1, 2], "price": [1, 2]}, {}, ds.FormulaError, "did you mean price"),
        ("price = w sise", {"size": [1, 2], "price": [1, 2]}, {}, ds.FormulaError, "did you mean size"),
        ("price = w size", {"size": [1, 2, "x"], "price": [1, 2, 3]}, {}, ds.DataError, "row 3, column size"),
        ("price = w size + b", {"size": [1], "price": [1]}, {}, ds.DataError, "1 row cannot determine 2 parameters"),
        ("price = 2 size", {"size": [1, 2], "price": [1, 2]}, {}, ds.FormulaError, "no parameter to fit"),
        ("w size", {"size": [1, 2], "price": [1, 2]}, {}, ds.FormulaError, "needs an equation"),
        ("ln(y) = a x", {"x": [1, 2], "y": [1, -2]}, {}, ds.DataError, "row 2"),
        (DECAY, decay(), {"start": {"q": 1}}, ds.PointError, "no parameter 'q'"),
        (
            DECAY,
            decay(),
            {"bounds": {"k": (1, 0)}},
            ds.SettingError,
            "the lower bound of k, 1.0, is not below the upper one, 0.0",
        ),
        (DECAY, decay(), {"fixed": {"a": 1, "k": 1, "c": 1}}, ds.SettingError, "nothing is left to fit"),
        (DECAY, decay(), {"ties": {"c": "z"}}, ds.SettingError, "not a parameter that it can depend on"),
        (DECAY, decay(), {"sigma": "s"}, ds.DataError, "no column 's'"),
        (DECAY, decay(), {"sigma": -1.0}, ds.DataError, "above zero"),
        (DECAY, decay(), {"sigma": 1.0, "weights": 1.0}, ds.DataError, "one of them"),
        (DECAY, decay(), {"loss": "hubber"}, ds.SettingError, "did you mean huber"),
        (DECAY, decay(), {"loss": "huber", "loss_scale": 0.0}, ds.SettingError, "above 0"),
        (DECAY, decay(), {"method": "simplex"}, ds.SettingError, "levenberg-marquardt"),
        (DECAY, decay(), {"momentum": 0.9}, ds.SettingError, "takes no momentum"),
        (DECAY, decay(), {"method": "adam", "bounds": {"k": (0, 1)}}, ds.SettingError, "does not support bounds"),
        (DECAY, decay(), {"confidence": 95}, ds.SettingError, "between 0 and 1"),
        (DECAY, decay(), {"steps": -1}, ds.SettingError, "whole number"),
        (DECAY, decay(), {"units": {"x": "sekunde"}}, ds.UnitError, "sekunde"),
    ],
)
def test_bad_input_is_told_clearly(equation, columns, choices, kind, words):
    with pytest.raises(kind) as caught:
        ds.fit(equation, columns, **choices)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"absolute_sigma": True}, "needs sigma or weights"),
        ({"absolute_sigma": True, "sigma": 0.1, "loss": "huber"}, "no effect"),
        ({"loss_scale": 2.0}, "no scale"),
    ],
)
def test_settings_that_say_nothing_together(choices, told):
    with pytest.raises(ds.SettingError, match=told):
        ds.fit(DECAY, decay(), **choices)


def test_columns_of_a_millionth_and_a_million_in_one_formula():
    x, u = np.linspace(1e-6, 5e-6, 30), 1e6 * np.linspace(1, 3, 30) ** 2
    noise = np.random.default_rng(0).normal(0, 0.01, 30)
    found = ds.fit("y = p x + q u", {"x": x, "u": u, "y": 2e6 * x + 3e-6 * u + noise})
    assert found["p"] == pytest.approx(2e6, rel=0.05)
    assert found["q"] == pytest.approx(3e-6, rel=0.05)
    assert found.findings.ok


def test_small_services():
    x = decay()["x"]
    columns = {"x": x, "y": 3 * np.exp(-((x - 4) ** 2) / 8), "sigma_y": np.full(40, 0.1)}
    text = "y = a e^(-(x - mu)²/(2 sigma²))"
    assert "sigma" in ds.fit(text, columns, sigma="sigma_y", start={"a": 2, "mu": 5, "sigma": 2}).values
    moved = ds.fit(DECAY, decay(), bounds={"k": (0, 1)}, start={"a": 3, "k": 3, "c": 1})
    assert any("moved inside" in note for note in moved.notes)
    with pytest.raises(ds.DataError, match="row 3, column x: the number is infinite"):
        ds.fit("y = a x", {"x": [np.nan, 1, np.inf], "y": [1, 2, 3]})
    line = ds.fit("y = a x + b", {"x": [1, 2, 3], "y": [1, 2, 4]})
    for data, told in (({"x": ["5", "?"]}, "numbers are needed"), ("nowhere.csv", "no file"), ({"z": [1]}, "column x")):
        with pytest.raises(ds.DataError, match=told):
            line.predict(data)
    assert math.isnan(ds.fit("y = a + 0 x", {"x": [1, 2, 3], "y": [0.1, 0.1, 0.1]}).r_squared)


def test_habits_of_scipy_are_answered_with_what_to_type():
    table = {"x": [1, 2, 3, 4], "y": [2.1, 3.9, 6.2, 7.8]}
    with pytest.raises(ds.SettingError) as raised:
        ds.fit("y = a x + b", table, bounds=([0, -1], [1, np.inf]))
    assert raised.value.hint == "bounds={'a': (0, 1), 'b': (-1, None)}"
    with pytest.raises(ds.PointError) as refused:
        ds.fit("y = a x + b", table, start=[2.0, 0.5])
    assert refused.value.hint == "start={'a': 2.0, 'b': 0.5}"
    assert ds.fit(table, "y = a x + b").values == ds.fit("y = a x + b", table).values
    with pytest.raises(ds.SettingError, match="unknown argument 'p0'"):
        ds.fit("y = a x + b", table, p0=[1, 1])


def test_a_column_far_from_zero_is_said():
    year = np.arange(1950.0, 2011, 5)
    fit = ds.fit("N = a + b year", {"year": year, "N": 3 + 0.5 * (year - 1950) + 0.1 * np.sin(year)})
    note = next(finding for finding in fit.findings if finding.symptom == "off_centre")
    assert "year - 1950" in note.sentence
    centred = ds.fit("N = a + b (year - 1950)", {"year": year, "N": 3 + 0.5 * (year - 1950) + 0.1 * np.sin(year)})
    assert "off_centre" not in centred.findings


@pytest.mark.parametrize(
    ("choices", "lacking"),
    [
        ({"start": {"a": 2.0}}, "the start has no k and c: searched for beside a"),
        ({"start": {"k": 0.5, "c": 1.0}}, "the start has no a: searched for beside k and c"),
        ({"start": {"k": 0.5}, "loss": "huber"}, "the start has no a and c: searched for beside k"),
        ({"start": {"c": 1.0}, "fixed": {"k": 0.5}}, "the start has no a: searched for beside c"),
        ({"start": {"k": 0.5}, "bounds": {"a": (0, None)}, "method": "bfgs"}, None),
    ],
)
def test_what_a_start_lacks_is_searched_for(choices, lacking):
    if lacking is None:  # what a method does not take is still refused
        with pytest.raises(ds.SettingError, match="does not support bounds"):
            ds.fit(DECAY, decay(), **choices)
        return
    fit = ds.fit(DECAY, decay(), **choices)
    known = ds.fit(DECAY, decay(), **{name: choice for name, choice in choices.items() if name != "start"})
    assert fit.values == pytest.approx(known.values, rel=1e-5)
    assert lacking in fit.notes
    assert all(fit.trace.start[name] == choices["start"][name] for name in choices["start"])


def test_a_half_life_is_a_parameter():
    t = np.arange(10.0)
    data = {"t": t, "y": 8 * 0.5 ** (t / 2.5)}
    for text in ("y = A×0.5^(t/T½)", "y = A×0.5^(t/T_{1/2})", "y = A×0.5^(t/T₁/₂)"):
        fit = ds.fit(text, data)
        assert fit.values == pytest.approx({"A": 8, "T½": 2.5})
    assert ds.fit("y = A×0.5^(t/T½)", data, start={"T½": 2}, bounds={"T½": (0, None)})["T½"] == pytest.approx(2.5)
    assert r"T_{1/2}" in fit.to_latex()
    assert fit.derived("k = ln(2)/T½").value == pytest.approx(math.log(2) / 2.5)
