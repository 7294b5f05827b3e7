"""Fits by groups: the same numbers as one equation over indicator columns, and as a fit of each group by itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

import downslope as ds

DECAY = "y = A×e^(-k×x) + c"


def decays(groups: int, rows: int = 20, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    x = np.tile(np.linspace(0, 5, rows), groups)
    amplitude, rate, offset = (
        np.repeat(random.uniform(low, high, groups), rows) for low, high in ((1, 5), (0.5, 1.5), (0, 1))
    )
    y = amplitude * np.exp(-rate * x) + offset + 0.02 * random.normal(size=len(x))
    return {"cup": np.repeat([f"cup {number}" for number in range(groups)], rows), "x": x, "y": y}


def test_a_shared_parameter_agrees_with_scipy_over_all_groups() -> None:
    table = decays(3)
    fit = ds.fit(DECAY, table, by="cup", shared="k")
    index = np.repeat(np.arange(3), 20)

    def residuals(free: np.ndarray) -> np.ndarray:
        return free[index] * np.exp(-free[3] * table["x"]) + free[4 + index] - table["y"]

    wanted = least_squares(residuals, [2, 2, 2, 1, 0, 0, 0], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    errors = np.sqrt(np.diag(np.linalg.inv(wanted.jac.T @ wanted.jac)) * 2 * wanted.cost / (60 - 7))
    names = [*(f"A[cup {number}]" for number in range(3)), "k", *(f"c[cup {number}]" for number in range(3))]
    assert tuple(fit.values) == tuple(names)
    assert [fit[name] for name in names] == pytest.approx(wanted.x, rel=1e-6)
    assert [fit.standard_errors[name] for name in names] == pytest.approx(errors, rel=1e-5)
    assert fit.degrees_of_freedom == 53
    assert fit.read_as == "y = A·e^(-k·x) + c"
    assert fit.findings.ok


def test_many_groups_agree_with_a_fit_of_each() -> None:
    table = decays(40)
    fit = ds.fit(DECAY, table, by="cup")
    assert isinstance(fit, ds.GroupedFit)
    rows = fit.parameter_table(pooled=False)
    for number in (0, 17, 39):
        chosen = slice(20 * number, 20 * number + 20)
        values, covariance = curve_fit(
            lambda x, a, k, c: a * np.exp(-k * x) + c, table["x"][chosen], table["y"][chosen], (2, 1, 0.3)
        )
        row = rows.row(number, named=True)
        assert row["cup"] == f"cup {number}"
        assert [row[name] for name in "Akc"] == pytest.approx(values, rel=1e-5)
        errors = [row[f"{name}_error"] for name in "Akc"]
        assert errors == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-4)
    pooled = float(np.sum(fit.errors.squares)) / (40 * 17)
    assert fit.residual_standard_deviation == pytest.approx(np.sqrt(pooled))
    assert fit.findings.ok
    assert fit.converged.all()


@pytest.mark.parametrize("start", [None, {"A": 2, "k": 1, "c": 0.3}])
def test_few_groups_and_many_are_the_same_fit(start: dict[str, float] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    table = decays(4)
    together = ds.fit(DECAY, table, by="cup", shared=(), start=start)
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    apart = ds.fit(DECAY, table, by="cup", shared=(), start=start)
    assert isinstance(together, ds.Fit)
    assert isinstance(apart, ds.GroupedFit)
    assert list(apart.values) == list(together.values)
    assert list(apart.values.values()) == pytest.approx(list(together.values.values()), rel=1e-6)
    assert list(apart.standard_errors.values()) == pytest.approx(list(together.standard_errors.values()), rel=1e-6)
    for name in ("r_squared", "aic", "bic", "degrees_of_freedom", "residual_sum_of_squares"):
        assert getattr(apart, name) == pytest.approx(getattr(together, name)), name
    new = {"cup": ["cup 2", "cup 0"], "x": [0.5, 6.0]}
    for band in ("confidence", "prediction"):
        for mine, joint in zip(apart.predict(new, band=band), together.predict(new, band=band), strict=True):
            assert mine == pytest.approx(joint, rel=1e-6)


def test_numbers_name_groups_and_missing_cells_leave_rows_out() -> None:
    dose = np.array([3.0, 3, 3, np.nan, 10, 10, 10, 10])
    table = {"dose": dose, "x": [0.0, 1, 2, 3, 0, 1, 2, np.nan], "y": [1.0, 3, 5, 9, 2, 2.5, 3, 3.5]}
    fit = ds.fit("y = a + b×x", table, by="dose")
    assert list(fit.values) == ["a[3]", "a[10]", "b[3]", "b[10]"]
    assert list(fit.values.values()) == pytest.approx([1, 2, 2, 0.5])
    assert fit.left_out == (4, 8)


def test_several_columns_tell_groups_apart() -> None:
    table = {"day": [1.0, 1, 1, 2, 2, 2], "cup": list("aababb"), "y": [1.0, 3, 5, 7, 11, 13]}
    fit = ds.fit("y = m", table, by=("day", "cup"))
    assert fit.values == pytest.approx({"m[1,a]": 2, "m[1,b]": 5, "m[2,a]": 7, "m[2,b]": 12})


def test_start_bounds_fixed_and_ties_hold_for_all_groups_or_for_one() -> None:
    table = decays(3)
    start = {"A": 2, "k": 1, "k[cup 1]": 0.7, "c": 0.1}
    fit = ds.fit(
        DECAY, table, by="cup", shared="c", start=start, bounds={"k": (0, None), "k[cup 2]": (0, 0.4)}, fixed={"c": 0.5}
    )
    assert fit["k[cup 2]"] == pytest.approx(0.4)
    assert fit.parameters["k[cup 2]"].role == "at bound"
    assert fit.parameters["c"].role == "fixed"
    tied = ds.fit(DECAY, table, by="cup", ties={"c": "A/10"})
    assert tied["c[cup 1]"] == pytest.approx(tied["A[cup 1]"] / 10)
    assert tied.standard_errors["c[cup 1]"] == pytest.approx(tied.standard_errors["A[cup 1]"] / 10)


def test_bounds_ties_and_robust_losses_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    table = decays(5)
    options = [
        {"bounds": {"k": (0.9, 1.1), "k[cup 2]": (0, None)}},
        {"ties": {"c": "A/10"}},
        {"fixed": {"c": 0.5}},
        {"loss": "huber", "loss_scale": 0.02},
        {"sigma": np.linspace(0.01, 0.04, 100), "absolute_sigma": True},
    ]
    joint = [ds.fit(DECAY, table, by="cup", **option) for option in options]
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    for fit, option in zip(joint, options, strict=True):
        apart = ds.fit(DECAY, table, by="cup", **option)
        assert list(apart.values.values()) == pytest.approx(list(fit.values.values()), rel=1e-5), option
        if option.get("loss") is None:  # the sandwich of single groups is each group's own
            errors = list(fit.standard_errors.values())
            assert list(apart.standard_errors.values()) == pytest.approx(errors, rel=1e-5, nan_ok=True), option
        assert [p.role for p in apart.parameters.values()] == [p.role for p in fit.parameters.values()], option


def test_groups_with_other_minima_are_searched_one_by_one() -> None:
    random = np.random.default_rng(3)
    x, frequency = np.linspace(0, 10, 40), random.uniform(0.3, 1.2, 21)
    y = np.concatenate([2 * np.sin(2 * np.pi * each * x + 1) + 0.1 * random.normal(size=40) for each in frequency])
    table = {"run": np.repeat(np.arange(21.0), 40), "x": np.tile(x, 21), "y": y}
    fit = ds.fit("y = A×sin(2π×f×x + p)", table, by="run")
    assert isinstance(fit, ds.GroupedFit)
    assert fit.parameter_table()["f"].to_numpy() == pytest.approx(frequency, rel=0.02)


def test_a_group_that_goes_badly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    table = decays(4)
    kept = np.r_[0:20, 20:22, 40:80]
    table = {name: column[kept] for name, column in table.items()}
    table["x"][22:42] = 1.0  # the third cup was measured at one time only
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    fit = ds.fit(DECAY, table, by="cup")
    assert not fit.findings.ok
    assert {finding.symptom: finding.evidence["groups"] for finding in fit.findings} == {
        "too_few_rows": ["cup 1"],
        "undetermined": ["cup 2"],
    }
    assert isinstance(fit, ds.GroupedFit)
    assert fit.parameter_table(pooled=False)["A_error"][0] < 0.05


def test_the_table_of_results_is_written(tmp_path) -> None:
    import polars

    fit = ds.fit(DECAY, decays(30), by="cup")
    assert isinstance(fit, ds.GroupedFit)
    read = polars.read_parquet(fit.write(tmp_path / "cups.parquet"))
    assert read.equals(fit.parameter_table())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "cupp"}, "there is no column 'cupp'"),
        ({"by": "x"}, "x defines the groups, so it cannot be in the equation"),
        ({"shared": "k"}, "shared needs by"),
        ({"by": "cup", "shared": "K"}, "'K' is shared, but"),
        ({"by": "cup", "shared": "c", "ties": {"c": "A/10"}}, "c is shared by all groups, but tied to A"),
        ({"by": "cup", "start": {"A": 1, "k[cup 1]": 1}}, r"the start lacks k\[cup 0\], k\[cup 2\], c"),
        ({"by": "cup", "bounds": {"A[cup 9]": (0, 1)}}, "no such parameter"),
        ({"by": 3}, "by is a column's name"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ds.DownslopeError, match=message):
        ds.fit(DECAY, decays(3), **options)


@pytest.mark.parametrize("start", [{"k": 0.8}, {"A": 3.0, "c": 0.2}])
def test_what_a_start_lacks_is_searched_for(start: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    table = decays(4)
    known = ds.fit(DECAY, table, by="cup")
    for most in (60, 0):
        monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", most)
        fit = ds.fit(DECAY, table, by="cup", start=start)
        assert list(fit.values.values()) == pytest.approx(list(known.values.values()), rel=1e-6)
        assert any(note.startswith("the start has no ") for note in fit.notes)


@pytest.mark.parametrize("loss", ["poisson", "huber"])
def test_quality_is_that_of_the_joint_fit(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    x, who = np.tile(np.arange(8.0), 3), np.repeat(list("abc"), 8)
    table = {"x": x, "n": random.poisson(30 * np.exp(-0.3 * x)).astype(float), "who": who}
    choices = {"by": "who", "loss": loss, "start": {"A": 30, "T": 3}} | ({"loss_scale": 2.0} if loss == "huber" else {})
    joint = ds.fit("n = A×e^(-x/T)", table, **choices)
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    apart = ds.fit("n = A×e^(-x/T)", table, **choices)
    for name in ("deviance", "chi_square", "reduced_chi_square", "p_value", "r_squared", "aic", "bic"):
        assert getattr(apart, name) == pytest.approx(getattr(joint, name), rel=1e-6, nan_ok=True), name
    if loss == "poisson":
        assert apart.standardised_residuals == pytest.approx(apart.residuals / np.sqrt(apart.predicted))
        assert apart.deviations == pytest.approx(joint.deviations)


def test_groups_are_called_as_their_cells_are_spelt() -> None:
    table = {"smoker": ["Ja", "Nein"] * 4, "x": [0, 0, 1, 1, 2, 2, 3, 3], "y": [1, 2, 2, 4, 3, 6, 4, 8.0]}
    fit = ds.fit("y = a + b×x", table, by="smoker")
    assert fit.values == pytest.approx({"a[Ja]": 1, "a[Nein]": 2, "b[Ja]": 1, "b[Nein]": 2})
    assert fit.predict({"smoker": ["Nein"], "x": [10]}).value == pytest.approx([22])


def test_merged_cells_name_the_group_of_all_their_rows() -> None:
    data = {"group": ["A", None, None, "B", "", ""], "x": [0, 1, 2, 0, 1, 2], "y": [1, 3, 5.1, 2, 3, 4.1]}
    fit = ds.fit("y = a + b x", data, by="group")
    assert fit["b[A]"] == pytest.approx(2.05)
    assert fit["b[B]"] == pytest.approx(1.05)
    assert "group: an empty cell belongs to the group above it, as of merged cells" in fit.notes
    # A name that comes again, or in every row but one, is no merged cell.
    data["group"] = ["A", "A", None, "B", "B", "B"]
    assert ds.fit("y = a + b x", data, by="group", shared="b").left_out == (3,)
