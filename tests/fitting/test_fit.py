"""Fits against certified figures, closed forms and SciPy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.fitting._problem import LOSSES, scores

CERTIFIED = json.loads(
    (Path(__file__).parents[1] / "data" / "nist_nonlinear_regression.json").read_text(encoding="utf-8")
)["problems"]
# A search for a start is compiled for each problem: of every level the hard ones; benchmarks/fits.py has them all.
FROM_NONE = ("Gauss1", "Lanczos3", "MGH17", "Nelson", "Eckerle4", "MGH09", "Rat43")
DECAY = "y = a·e^(-k·x) + c"


def decay(noise: float = 0.05, rows: int = 40, seed: int = 1) -> dict[str, np.ndarray]:
    x = np.linspace(0, 10, rows)
    return {"x": x, "y": 3 * np.exp(-0.5 * x) + 1 + np.random.default_rng(seed).normal(0, noise, rows)}


def curve(x: np.ndarray, a: float, k: float, c: float) -> np.ndarray:
    return a * np.exp(-k * x) + c


def digits(found: dict[str, float], wanted: dict[str, float]) -> float:
    return min(-math.log10(max(abs(found[name] / value - 1), 1e-16)) for name, value in wanted.items())


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


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_robust_losses_find_what_scipy_finds_at_the_same_scale(loss):
    columns = decay()
    columns["y"][[3, 20]] += 5
    ended = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], [3, 0.5, 1], loss=loss, f_scale=0.1, xtol=1e-14, ftol=1e-14
    )
    found = ds.fit(DECAY, columns, loss=loss, loss_scale=0.1, start={"a": 3, "k": 0.5, "c": 1})
    assert list(found.values.values()) == pytest.approx(ended.x, rel=1e-5)


@pytest.mark.parametrize("loss", ["huber", "soft-L1", "cauchy"])
def test_a_robust_fit_finds_its_scale_and_is_not_moved_by_outliers(loss):
    columns = decay()
    clean = ds.fit(DECAY, columns)
    columns["y"][[3, 20]] += 5
    robust, plain = ds.fit(DECAY, columns, loss=loss), ds.fit(DECAY, columns)
    for name in clean.free:
        moved = abs(robust[name] - clean[name])
        assert moved < 3 * clean.standard_errors[name]
        assert moved < abs(plain[name] - clean[name])
        assert 0.3 < robust.standard_errors[name] / clean.standard_errors[name] < 3


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_scores_are_the_slopes_of_half_the_loss(loss):
    residuals = np.array([-3.0, -0.7, -0.2, 0.1, 0.5, 2.2])
    scale, step = 0.6, 1e-5

    def half(at):
        return (LOSSES[loss](at / scale, np) * scale) ** 2 / 2

    first, second = scores(loss, residuals, scale)
    assert first == pytest.approx((half(residuals + step) - half(residuals - step)) / (2 * step), rel=1e-6)
    curvature = (half(residuals + step) - 2 * half(residuals) + half(residuals - step)) / step**2
    assert second == pytest.approx(curvature, abs=1e-4)


def test_bounds_hold_and_are_told():
    columns = decay()
    found = ds.fit(DECAY, columns, bounds={"k": (0, 0.3)})
    ended = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], [1, 0.1, 1], bounds=([-np.inf, 0, -np.inf], [np.inf, 0.3, 99])
    )
    assert found["k"] == 0.3
    assert list(found.values.values()) == pytest.approx(ended.x, rel=1e-4)
    assert found.parameters["k"].role == "at bound"
    assert math.isnan(found.parameters["k"].standard_error)
    assert {"at_bound", "converged"} <= set(found.findings.symptoms)
    # The others are as sure as if k were known to be there.
    held = ds.fit(DECAY, columns, fixed={"k": 0.3})
    assert found.standard_errors["a"] == pytest.approx(held.standard_errors["a"], rel=1e-6)


@pytest.mark.usefixtures("optimised")
def test_what_is_fixed_or_tied_is_as_if_it_were_written_so():
    columns = decay()
    start = {"a": 3, "k": 0.5}  # only the constrained fits search for theirs
    fixed, written = ds.fit(DECAY, columns, fixed={"c": 1}), ds.fit("y = a·e^(-k·x) + 1", columns, start=start)
    assert [fixed["a"], fixed["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert fixed.parameters["c"].standard_error == 0
    tied, written = ds.fit(DECAY, columns, ties={"c": "a/3"}), ds.fit("y = a·e^(-k·x) + a/3", columns, start=start)
    assert [tied["a"], tied["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert tied["c"] == pytest.approx(tied["a"] / 3)
    assert tied.standard_errors["c"] == pytest.approx(tied.standard_errors["a"] / 3, rel=1e-9)
    assert tied.standard_errors["a"] == pytest.approx(written.standard_errors["a"], rel=1e-9)


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


def test_a_band_is_the_one_of_the_text_books():
    columns = decay(0.3)
    found = ds.fit("y = w x + b", columns)
    x, at = columns["x"], np.array([0.0, 4.0, 20.0])
    s, width = found.residual_standard_deviation, scipy.stats.t.ppf(0.975, len(x) - 2)
    leverage = 1 / len(x) + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)
    value, low, high = found.predict({"x": at})
    assert high - value == pytest.approx(width * s * np.sqrt(leverage), rel=1e-8)
    assert value - low == pytest.approx(high - value)
    value, _, high = found.predict({"x": at}, band="prediction")
    assert high - value == pytest.approx(width * s * np.sqrt(1 + leverage), rel=1e-8)
    one = found.parameters["w"]
    assert one.high - one.value == pytest.approx(width * one.standard_error)


def test_columns_of_a_millionth_and_a_million_in_one_formula():
    x, u = np.linspace(1e-6, 5e-6, 30), 1e6 * np.linspace(1, 3, 30) ** 2
    noise = np.random.default_rng(0).normal(0, 0.01, 30)
    found = ds.fit("y = p x + q u", {"x": x, "u": u, "y": 2e6 * x + 3e-6 * u + noise})
    assert found["p"] == pytest.approx(2e6, rel=0.05)
    assert found["q"] == pytest.approx(3e-6, rel=0.05)
    assert found.findings.ok


def test_the_trace_holds_the_way_of_the_mean_square():
    columns = decay()
    found = ds.fit(DECAY, columns, start={"a": 1, "k": 1, "c": 0})
    trace = found.trace
    assert trace.coordinate_names == ("a", "c", "k")
    for row in (0, len(trace) // 2, -1):
        a, c, k = trace.coordinates[row]
        residuals = curve(columns["x"], a, k, c) - columns["y"]
        assert trace.columns["value"][row] == pytest.approx(np.mean(residuals**2), rel=1e-12)
        slope = 2 * np.mean(residuals * np.exp(-k * columns["x"]))
        assert trace.gradients[row, 0] == pytest.approx(slope, rel=1e-9, abs=1e-12)
    assert np.all(np.diff(trace.columns["value"]) <= 1e-15)
    assert found.objective(found.values) == pytest.approx(trace.value)
    assert trace.start == {"a": 1, "k": 1, "c": 0}
    assert trace.end_spectrum.lowest > 0


def test_a_trace_of_a_fit_is_kept_like_any_other(tmp_path):
    trace = ds.fit(DECAY, decay()).trace
    ds.save(trace, tmp_path / "run")
    again = ds.load(tmp_path / "run")
    assert np.array_equal(again.coordinates, trace.coordinates)
    assert again.plan["method"] == "levenberg-marquardt"


@pytest.mark.parametrize("method", ["gradient descent", "adam", "bfgs", "newton", "trust region", "LM"])
def test_other_methods_come_to_the_same_place(method):
    start = {"a": 2.5, "k": 0.7, "c": 0.5}
    steps = {} if method in ("trust region", "LM") else {"steps": 20_000}
    found = ds.fit(DECAY, decay(), start=start, method=method, **steps)
    assert list(found.values.values()) == pytest.approx(list(ds.fit(DECAY, decay()).values.values()), rel=1e-5)
    assert "converged" in found.findings


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


def test_of_like_terms_the_slower_stands_first():
    x = np.linspace(0, 5, 60)
    y = 2 * np.exp(-0.5 * x) + 3 * np.exp(-3 * x) + np.random.default_rng(0).normal(0, 0.001, 60)
    for seed in range(4):
        found = ds.fit("y = a e^(-k x) + b e^(-l x)", {"x": x, "y": y}, seed=seed)
        assert list(found.values.values()) == pytest.approx([2, 0.5, 3, 3], rel=0.05)


@pytest.mark.parametrize(
    ("equation", "columns", "names"),
    [
        ("y = a b x", decay(), ("a", "b")),
        ("y = a x + c u + d", {**decay(), "u": np.full(40, 2.0)}, ("c", "d")),
        ("y = a x + b e^(-k u)", {**decay(), "u": np.zeros(40)}, ("k",)),
    ],
)
def test_what_the_data_cannot_determine_is_named(equation, columns, names):
    found = ds.fit(equation, columns)
    finding = found.findings[0]
    assert finding.symptom == "undetermined"
    assert not found.findings.ok
    assert finding.parts == names
    for name in names:
        assert math.isinf(found.standard_errors[name])
    assert "not determined" in str(found)


def test_parameters_that_can_hardly_be_told_apart_are_named():
    x = np.linspace(1000, 1001, 30)
    found = ds.fit("y = a x + b", {"x": x, "y": 2 * x + 1 + np.cos(9 * x)})
    finding = next(one for one in found.findings if one.symptom == "ill_conditioned")
    assert set(finding.parts) == {"a", "b"}
    assert found.correlation[0, 1] < -0.999


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
        (DECAY, decay(), {"start": {"a": 1}}, ds.PointError, "lacks k, c"),
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


def test_units_of_parameters_follow_from_those_of_the_columns():
    units = {"x": "s", "y": "V"}
    found = ds.fit(DECAY, decay(), units=units)
    assert {name: one.unit for name, one in found.parameters.items()} == {"a": "V", "k": "1/s", "c": "V"}
    bare = ds.fit(DECAY, decay())
    assert bare.parameters["k"].unit == "1/x"


def test_a_fit_shows_itself_in_text_in_html_and_as_plain_data():
    found = ds.fit(DECAY, decay())
    assert "0.503" in str(found)
    assert "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.as_dict()))["parameters"]["k"]["value"] == found["k"]
    assert "Fit a=3.0" in repr(found)


def test_with_as_many_rows_as_parameters_nothing_is_known_of_errors():
    found = ds.fit("y = w x + b", {"x": [1, 2], "y": [3, 5]})
    assert [found["w"], found["b"]] == pytest.approx([2, 1])
    assert math.isnan(found.standard_errors["w"])
    assert "not known" in str(found)


WAVES = "y = b + a cos(2π t/T) + c sin(2π t/T) + d cos(2π t/S) + f sin(2π t/S)"
BUMPS = "y = a e^(-k x) + b e^(-(x - m)²/w²) + c e^(-(x - n)²/v²)"


def noisy(text: str, x: np.ndarray, truth: dict[str, float], noise: float, column: str = "x") -> dict[str, np.ndarray]:
    model = ds.formula(text.split("= ", 1)[1], columns=[column])
    y = model(**{column: x}, **truth) + np.random.default_rng(0).normal(0, noise, len(x))
    return {column: x, "y": y}


def test_of_waves_that_fit_alike_the_slow_one_is_meant_and_the_slowest_stands_first():
    truth = {"b": 10.5, "a": -1.6, "c": 0.5, "T": 44.0, "d": 0.2, "f": -1.5, "S": 27.0}
    columns = noisy(WAVES, np.arange(1.0, 169), truth, 0.5, "t")
    found, wanted = ds.fit(WAVES, columns), ds.fit(WAVES, columns, start=truth)
    assert found.values == pytest.approx(wanted.values, rel=1e-5)


def test_amplitudes_are_positive_and_phases_small():
    text = "y = a sin(w x + p) + c"
    truth = {"a": 2.0, "w": 3.1, "p": -2.5, "c": 5.0}
    columns = noisy(text, np.linspace(0, 20, 150), truth, 0.2)
    for seed in range(4):
        assert ds.fit(text, columns, seed=seed).values == pytest.approx(truth, abs=0.2)


@pytest.mark.slow
def test_two_bumps_on_a_decay_are_found_without_a_start():
    truth = {"a": 99, "k": 0.011, "b": 102, "m": 107, "w": 24, "c": 72, "n": 153, "v": 20}
    columns = noisy(BUMPS, np.arange(1.0, 251), truth, 2.5)
    wanted = ds.fit(BUMPS, columns, start=truth)
    for seed in range(2):
        assert ds.fit(BUMPS, columns, seed=seed).values == pytest.approx(wanted.values, rel=1e-5)


def test_a_start_is_searched_inside_any_kind_of_bounds():
    for bounds in ({"k": (1, None)}, {"k": (None, -1)}, {"k": (0.1, None), "c": (0.5, 2)}):
        found = ds.fit(DECAY, decay(), bounds=bounds)
        for name, (low, high) in bounds.items():
            assert (-math.inf if low is None else low) <= found[name] <= (math.inf if high is None else high)
        if "c" in bounds:
            assert found.values == pytest.approx(ds.fit(DECAY, decay()).values, rel=1e-6)


def test_a_model_without_numbers_is_a_finding():
    found = ds.fit("y = a ln(x) + b", {"x": [0, 1, 2, 3], "y": [1, 2, 3, 4]})
    assert not found.findings.ok
    assert all(math.isnan(error) for error in found.standard_errors.values())


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_unit_of_the_deviations_changes_no_band(scale):
    plain, scaled = ds.fit(DECAY, decay()), ds.fit(DECAY, decay(), sigma=scale)
    for band in ("confidence", "prediction"):
        for wanted, part in zip(plain.predict(band=band), scaled.predict(band=band), strict=True):
            assert part == pytest.approx(wanted, rel=1e-6)


def test_a_prediction_band_holds_as_many_measurements_as_it_says():
    sigma = np.linspace(0.02, 0.3, 40)
    inside, count = 0, 0
    for seed in range(30):
        noise = np.random.default_rng(seed).normal(0, 1, (2, 40)) * sigma
        x = np.linspace(0, 10, 40)
        truth = 3 * np.exp(-0.5 * x) + 1
        found = ds.fit(DECAY, {"x": x, "y": truth + noise[0]}, sigma=sigma, absolute_sigma=True)
        band = found.predict(band="prediction", confidence=0.9)
        inside += int(np.sum((truth + noise[1] >= band.low) & (truth + noise[1] <= band.high)))
        count += 40
    assert inside / count == pytest.approx(0.9, abs=0.03)
    with pytest.raises(ds.SettingError, match="that of a new measurement is unknown"):
        found.predict({"x": [3.0]}, band="prediction")
    assert np.isfinite(found.predict({"x": [3.0]}, band="prediction", sigma=0.1).high[0])


def test_known_deviations_give_normal_intervals():
    found = ds.fit("y = a x", {"x": [1, 2, 3], "y": [2, 4.1, 5.9]}, sigma=0.1, absolute_sigma=True)
    half = (found.parameters["a"].high - found.parameters["a"].low) / 2
    assert found.standard_errors["a"] == pytest.approx(0.1 / math.sqrt(14))
    assert half == pytest.approx(1.959964 * found.standard_errors["a"], rel=1e-6)


def test_what_is_determined_has_a_band_though_the_parameters_are_not():
    columns = {"x": [1, 2, 3], "y": [2, 4, 6.1]}
    direct = {"start": {"a": 1, "b": 1}, "steps": 200}  # no other way is tried where it ends badly
    lost, plain = ds.fit("y = a b x", columns, **direct), ds.fit("y = c x", columns)
    assert lost.predict().high == pytest.approx(plain.predict().high)
    tied = ds.fit("y = a b c x", columns, ties={"c": "a/2"}, **direct)
    assert math.isinf(tied.standard_errors["c"])
    unknown = ds.fit("y = a x + b", {"x": [1], "y": [2]}, ties={"b": "2a"})
    assert math.isnan(unknown.standard_errors["b"])


def test_robust_errors_are_those_of_repeated_measurements():
    ends = []
    for seed in range(60):
        columns = decay(seed=seed)
        columns["y"][[3, 20]] += 5
        found = ds.fit(DECAY, columns, loss="cauchy", start={"a": 3, "k": 0.5, "c": 1})
        ends.append((found["k"], found.standard_errors["k"]))
    spread = np.std([end for end, _ in ends])
    assert np.median([error for _, error in ends]) == pytest.approx(spread, rel=0.35)


def test_a_robust_fit_begins_where_it_is_told():
    start = {"a": 1.0, "k": 1.0, "c": 0.0}
    found = ds.fit(DECAY, decay(), loss="huber", start=start)
    assert dict(zip(found.trace.coordinate_names, found.trace.coordinates[0], strict=True)) == pytest.approx(start)


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
