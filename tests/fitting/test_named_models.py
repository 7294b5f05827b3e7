"""Models by name: each is its formula, with parameters of its own, and Voigt's profile is SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import voigt_profile

import downslope as ds
from downslope.formulas import ARRAYS, VOIGT, Call, Formula, Name, NumericFormula

X = np.linspace(-8, 8, 60)


@pytest.mark.parametrize("name", ds.models())
def test_every_model_reads_as_a_formula_of_its_parameters(name: str) -> None:
    model = ds.models()[name]
    read = ds.equation(f"y = {name.replace('_', '-')}(t)", {"t": [1.0, 2, 3], "y": [1.0, 2, 3]})
    assert set(read.parameters) == set(model.parameters)
    assert read.equation.right.columns == ("t",)


def test_parameters_of_models_that_occur_twice_are_numbered_and_no_name_is_taken_twice() -> None:
    table = {"x": [1.0, 2], "y": [1.0, 2], "width": [1.0, 2]}
    twice = ds.equation("y = gaussian(x) + gaussian(x) + linear(x)", {"x": [1.0, 2], "y": [1.0, 2]})
    assert twice.parameters == (
        *("height_1", "center_1", "width_1", "height_2", "center_2", "width_2", "slope", "intercept"),
    )
    beside = ds.equation("y = lorentzian(x - width) + height", table)
    assert beside.parameters == ("height_1", "center", "width_1", "height")
    assert "lorentzian(x - width) is height_1/(1 + (((x - width) - center)/width_1)²)" in beside.notes
    column = ds.equation("y = a×power", {"power": [1.0, 2], "y": [1.0, 2]})
    assert column.parameters == ("a",)


def test_peaks_are_fitted_without_a_start() -> None:
    y = 3 * np.exp(-((X - 1) ** 2) / (2 * 0.5**2)) + 2 / (1 + ((X + 3) / 0.8) ** 2) + 0.1 * X + 0.001 * np.sin(99 * X)
    fit = ds.fit("y = gaussian(x) + lorentzian(x) + linear(x)", {"x": X, "y": y})
    wanted = {"height_1": 3, "center_1": 1, "width_1": 0.5, "height_2": 2, "center_2": -3, "width_2": 0.8, "slope": 0.1}
    assert {name: fit[name] for name in wanted} == pytest.approx(wanted, rel=0.01)
    assert fit.findings.ok


def test_voigt_is_the_profile_with_a_name_or_with_widths() -> None:
    y = 5 * voigt_profile(X - 1, 0.7, 0.4) + 0.2
    start = {"area": 4, "center": 0.8, "sigma": 0.5, "gamma": 0.5, "level": 0}
    fit = ds.fit("y = voigt(x) + constant(x)", {"x": X, "y": y}, start=start)
    assert fit.values == pytest.approx({"area": 5, "center": 1, "sigma": 0.7, "gamma": 0.4, "level": 0.2}, rel=1e-6)
    own = ds.fit(
        "y = A×voigt(x - m, s, g) + b", {"x": X, "y": y}, start=dict(zip("Amsgb", start.values(), strict=True))
    )
    assert list(own.values.values()) == pytest.approx(list(fit.values.values()), rel=1e-6)
    assert own.read_as == "y = A·voigt(x - m, s, g) + b"


def test_the_slopes_of_voigt_are_those_of_scipy() -> None:
    profile = Formula(None, ("s", "g"), Call(VOIGT, (Name("x"), Name("s"), Name("g"))), ("x",))
    value, (by_s, by_g) = NumericFormula(profile, ARRAYS, {"x": X}).value_and_slopes([0.7, 0.4])
    step = 1e-5
    assert value == pytest.approx(voigt_profile(X, 0.7, 0.4), rel=1e-12)
    around = [voigt_profile(X, 0.7 + shift, 0.4) for shift in (step, -step)]
    assert by_s == pytest.approx((around[0] - around[1]) / (2 * step), abs=1e-9)
    around = [voigt_profile(X, 0.7, 0.4 + shift) for shift in (step, -step)]
    assert by_g == pytest.approx((around[0] - around[1]) / (2 * step), abs=1e-9)


@pytest.mark.parametrize(("sigma", "gamma"), [(0.7, 0.4), (0.01, 0.5), (1.0, 1e-6), (1.0, 0.0)])
def test_voigt_in_jax_is_scipys(sigma: float, gamma: float) -> None:
    import jax

    with jax.enable_x64(True):
        value = np.asarray(VOIGT.in_jax(jax.numpy.asarray(X), sigma, gamma))
    wanted = voigt_profile(X, sigma, gamma)
    assert value == pytest.approx(wanted, abs=1e-13 * wanted.max())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y = gaussian()", "gaussian takes one argument"),
        ("y = gaussian(x, 3)", "gaussian takes one argument"),
        ("y = gaussian(x", "not closed"),
    ],
)
def test_a_wrong_call_is_answered_with_the_formula(text: str, message: str) -> None:
    with pytest.raises(ds.FormulaError, match=message):
        ds.fit(text, {"x": X, "y": X})
