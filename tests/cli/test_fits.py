"""Fits as people type them: options that predict, report, save and derive, against the same fit from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars
import pytest

import downslope as ds
from downslope.cli._main import run

PUROMYCIN = """conc,rate,state
0.02,76,treated
0.06,97,treated
0.11,123,treated
0.22,159,treated
0.56,191,treated
1.1,207,treated
0.02,67,untreated
0.06,84,untreated
0.11,98,untreated
0.22,131,untreated
0.56,144,untreated
1.1,160,untreated
"""
GROUPED = ("puromycin.csv", "rate = Vm × conc/(K + conc)", "--by", "state", "--shared", "K")
COOLING = ("coffee.csv", "temperature = room + excess × e^(-k×minutes)")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    Path("puromycin.csv").write_text(PUROMYCIN, encoding="utf-8")
    Path("new.csv").write_text("minutes\n5\n90\n", encoding="utf-8")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    code, out, err = said(capsys, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_new_rows_are_predicted_with_the_band_and_written(capsys) -> None:
    expected = ds.fit(*reversed(COOLING)).predict({"minutes": [5, 90]})
    printed = as_json(capsys, "fit", *COOLING, "--predict", "new.csv")["predictions"]
    assert printed["predicted"] == pytest.approx(expected.value)
    assert printed["low"] == pytest.approx(expected.low)
    code, out, _ = said(capsys, "fit", *COOLING, "--predict", "new.csv", "--out", "predicted.csv")
    assert code == 0
    assert "predicted.csv" in out
    written = polars.read_csv("predicted.csv")
    assert written.columns == ["minutes", "predicted", "low", "high"]
    assert written["high"].to_numpy() == pytest.approx(expected.high)
    code, _, err = said(capsys, "fit", *COOLING, "--predict", "new.csv", "--out", "new.csv")
    assert (code, "would replace the rows" in err) == (2, True)


def test_a_saved_fit_predicts_a_table_written_as_its_owner_says(capsys) -> None:
    assert said(capsys, "fit", *COOLING, "--save", "cup", "--quiet")[0] == 0
    expected = ds.fit(*reversed(COOLING)).predict({"minutes": [5.5, 90]}).value
    Path("comma.txt").write_text("minutes;note\n5,5;a\n90,0;b\n-999;c\n", encoding="utf-8")
    words = ("predict", "cup", "comma.txt", "--table", "decimal=comma", "--table", "separator=semicolon")
    printed = as_json(capsys, *words, "--missing=-999")
    assert printed["targets"] == ["temperature"]
    assert printed["predicted"][:2] == pytest.approx(expected)
    assert printed["predicted"][2] is None or np.isnan(printed["predicted"][2])
    code, _, err = said(capsys, "predict", "cup", "comma.txt", "--table", "comma=decimal")
    assert code == 2
    assert "a table has no choice 'comma'" in err


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("fit.md", "| room | 21.51 |"),
        ("fit.tex", r"\toprule"),
        ("fit.html", "<!doctype html>"),
        ("fit.txt", "Read as  temperature"),
    ],
)
def test_the_report_is_written_as_its_name_says(capsys, file, words) -> None:
    code, out, _ = said(capsys, "fit", *COOLING, "--report", file)
    assert code == 0
    assert file in out
    assert words in Path(file).read_text(encoding="utf-8")


def test_groups_share_what_is_said_and_derive_in_each(capsys) -> None:
    expected = ds.fit(GROUPED[1], GROUPED[0], by="state", shared="K")
    printed = as_json(capsys, "fit", *GROUPED, "--derive", "slope = Vm/K", "--derive", "half = K/2")
    assert {name: part["value"] for name, part in printed["parameters"].items()} == pytest.approx(expected.values)
    assert list(printed["derived"]) == ["slope[treated]", "slope[untreated]", "half"]
    slope = printed["derived"]["slope[treated]"]
    assert slope["value"] == pytest.approx(expected["Vm[treated]"] / expected["K"])
    # By hand: relative errors of a quotient, with their covariance.
    covariance = expected.covariance[np.ix_([0, 2], [0, 2])]
    gradient = slope["value"] * np.array([1 / expected["Vm[treated]"], -1 / expected["K"]])
    assert slope["standard_error"] == pytest.approx(np.sqrt(gradient @ covariance @ gradient))
    code, _, err = said(capsys, "fit", *GROUPED[:2], "--shared", "K")
    assert (code, "shared needs --by" in err or "by" in err) == (2, True)


def test_a_quantity_of_groups_says_which_are_meant() -> None:
    fit = ds.fit(GROUPED[1], GROUPED[0], by="state", shared="K")
    assert isinstance(fit, ds.Fit)
    with pytest.raises(ds.FormulaError, match="Vm differs between groups") as error:
        fit.derived("Vm/K")
    assert "`Vm[treated]`" in (error.value.hint or "")
    assert fit.derived("`Vm[treated]`/K").value == fit.derived_in_groups("Vm/K")[0].value


def test_profile_intervals_take_the_place_of_the_linear_ones(capsys) -> None:
    expected = ds.fit(*reversed(COOLING)).profile_intervals()
    printed = as_json(capsys, "fit", *COOLING, "--intervals", "profile")["parameters"]
    for name, ends in expected.items():
        assert (printed[name]["low"], printed[name]["high"]) == pytest.approx(tuple(ends), rel=1e-6)
    assert "95 % by profile" in said(capsys, "fit", *COOLING, "--intervals", "profile")[1]


def test_a_derived_quantity_has_the_error_of_the_delta_method(capsys) -> None:
    fit = ds.fit(*reversed(COOLING))
    printed = as_json(capsys, "fit", *COOLING, "--derive", "half_time = ln(2)/k")["derived"]["half_time"]
    assert printed["value"] == pytest.approx(np.log(2) / fit["k"])
    assert printed["standard_error"] == pytest.approx(np.log(2) / fit["k"] ** 2 * fit.standard_errors["k"])


def test_errors_in_x_are_typed_for_one_column_or_by_name(capsys) -> None:
    words = ("fit", *COOLING, "--sigma", "0.5", "--sigma-x")
    expected = ds.fit(*reversed(COOLING), sigma=0.5, sigma_x=0.2)
    assert isinstance(expected, ds.Fit)
    for typed in ("0.2", "minutes=0.2"):
        printed = as_json(capsys, *words, typed)
        assert printed["parameters"]["k"]["value"] == expected["k"]
        assert printed["errors_in"] == ["minutes"]
    code, _, err = said(capsys, "fit", *COOLING, "--sigma-x", "0.2")
    assert code == 2
    assert "--sigma-x needs sigma" in err
    assert "--sigma 0.5, --sigma-x 0.1" in err


def test_the_table_of_an_objective_is_read_as_its_owner_says(capsys) -> None:
    Path("houses.txt").write_text("size;price\n50,0;100,5\n100,0;200,0\n", encoding="utf-8")
    loss = "L(w) = mean((price - w×size)²)"
    options = ("--data", "houses.txt", "--table", "decimal=comma", "--table", "separator=semicolon")
    code, out, err = said(capsys, "slope", loss, *options, "--at", "w=1", "--quiet")
    assert (code, err) == (0, "")
    assert float(out) == pytest.approx((50.5**2 + 100**2) / 2)
    objective = ds.objective(loss, "houses.txt", table={"decimal": "comma"})
    assert objective({"w": 1.0}) == pytest.approx((50.5**2 + 100**2) / 2)
    with pytest.raises(ds.DownslopeError, match="there are no data"):
        ds.objective("f(x) = x²", table={"decimal": "comma"})
