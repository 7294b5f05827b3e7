"""Errors in columns of the right side: those of ODRPACK and of closed forms; refused where they make no sense."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import downslope as ds

# name, equation, the same as a function of SciPy's, true parameters, deviations of x, whether σ is absolute
_MODELS: list[tuple[str, str, Any, list[float], float, bool]] = [
    ("decay", "y = a e^(-b x) + c", lambda p, x: p[0] * np.exp(-p[1] * x) + p[2], [5, 0.4, 1], 0.2, False),
    ("wave", "y = a sin(b x + c)", lambda p, x: p[0] * np.sin(p[1] * x + p[2]), [5, 1, 1], 0.1, True),
    (
        "hill",
        "y = a x^c/(b^c + x^c)",
        lambda p, x: p[0] * x ** p[2] / (p[1] ** p[2] + x ** p[2]),
        [5, 3, 2],
        0.15,
        False,
    ),
    ("parabola", "y = a + b x + c x^2", lambda p, x: p[0] + p[1] * x + p[2] * x * x, [1, 2, -0.3], 0.3, True),
]


def _measured(function: Any, true: list[float], spread: float, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    exact = np.linspace(0.5, 10, 24)
    s_x = spread * random.uniform(0.5, 1.5, len(exact))
    s_y = random.uniform(0.05, 0.15, len(exact))
    x, y = exact + s_x * random.normal(size=len(exact)), function(true, exact) + s_y * random.normal(size=len(exact))
    return {"x": x, "y": y, "s_x": s_x, "s_y": s_y}


@pytest.mark.parametrize("case", _MODELS, ids=[case[0] for case in _MODELS])
def test_a_fit_is_that_of_odrpack(case) -> None:
    _, equation, function, true, spread, absolute = case
    data = _measured(function, true, spread, seed=5)
    fit = ds.fit(equation, data, sigma="s_y", sigma_x="s_x", absolute_sigma=absolute)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns that the module will leave it
        from scipy import odr

        measured = odr.RealData(data["x"], data["y"], sx=data["s_x"], sy=data["s_y"])
        known = odr.ODR(measured, odr.Model(function), beta0=true, maxit=500, sstol=1e-15, partol=1e-15).run()
    errors = np.sqrt(np.diag(known.cov_beta)) if absolute else known.sd_beta
    assert [fit[name] for name in "abc"] == pytest.approx(known.beta, rel=2e-6)
    assert [fit.standard_errors[name] for name in "abc"] == pytest.approx(errors, rel=1e-5)
    assert fit.residual_sum_of_squares == pytest.approx(known.sum_square, rel=1e-9)
    assert fit.estimated_columns["x"] == pytest.approx(data["x"] + known.delta, abs=1e-5)
    assert fit.findings.ok


def test_a_straight_line_is_deming_s() -> None:
    data = _measured(lambda p, x: p[0] + p[1] * x, [1, 2], 0.4, seed=2)
    x, y, ratio = data["x"], data["y"], (0.3 / 0.4) ** 2
    fit = ds.fit("y = a + b x", {"x": x, "y": y}, sigma=0.3, sigma_x=0.4)
    covariance = np.cov(x, y)[0, 1]
    apart = np.var(y, ddof=1) - ratio * np.var(x, ddof=1)
    slope = (apart + np.sqrt(apart**2 + 4 * ratio * covariance**2)) / (2 * covariance)
    assert fit["b"] == pytest.approx(slope, rel=1e-10)
    assert fit["a"] == pytest.approx(y.mean() - slope * x.mean(), rel=1e-9)
    # The profile's ends have the squares that the level allows.
    low, high = fit.profile_intervals()["b"]
    allowed = fit.residual_sum_of_squares * (1 + 2.0738730679040147**2 / 22)  # Student's t of 22 degrees of freedom
    for end in (low, high):
        held = ds.fit("y = a + b x", {"x": x, "y": y}, sigma=0.3, sigma_x=0.4, fixed={"b": end})
        assert held.residual_sum_of_squares == pytest.approx(allowed, rel=1e-7)


def test_columns_of_no_error_are_exact() -> None:
    data = _measured(lambda p, x: p[0] * np.exp(-p[1] * x), [5, 0.4], 0.0, seed=2)
    plain, none = (
        ds.fit("y = a e^(-b x)", data, sigma="s_y"),
        ds.fit("y = a e^(-b x)", data, sigma="s_y", sigma_x="s_x"),
    )
    assert none["b"] == pytest.approx(plain["b"], rel=1e-10)
    assert none.standard_errors["b"] == pytest.approx(plain.standard_errors["b"], rel=1e-9)


def test_several_columns_have_deviations_of_their_own() -> None:
    random = np.random.default_rng(4)
    exact = random.uniform(1, 3, (2, 40))
    y = 1 + 2 * exact[0] * exact[1] + 0.1 * random.normal(size=40)
    data = {"width": exact[0] + 0.1 * random.normal(size=40), "height": exact[1], "y": y}
    fit = ds.fit("y = a + b width × height", data, sigma=0.1, sigma_x={"width": 0.1})
    # The slope by width is b·height, so the weights are those of an exact column with the error of propagation.
    weighted = ds.fit("y = a + b width × height", data, sigma=np.hypot(0.1, fit["b"] * exact[1] * 0.1))
    assert fit.standard_errors["b"] == pytest.approx(weighted.standard_errors["b"], rel=0.1)
    assert list(fit.estimated_columns) == ["width"]
    assert "width is measured with errors too" in " ".join(fit.notes)


def test_groups_functions_and_saved_fits_have_errors_in_columns_too(tmp_path) -> None:
    data = _measured(lambda p, x: p[0] + p[1] * x, [1, 2], 0.4, seed=2)
    one = ds.fit("y = a + b x", data, sigma=0.3, sigma_x=0.4)
    twice = {"x": np.tile(data["x"], 2), "y": np.r_[data["y"], data["y"] + 3], "run": ["first"] * 24 + ["second"] * 24}
    both = ds.fit("y = a + b x", twice, by="run", shared="b", sigma=0.3, sigma_x=0.4)
    assert both["b"] == pytest.approx(one["b"], rel=1e-9)
    assert both["a[second]"] - both["a[first]"] == pytest.approx(3, rel=1e-9)

    def line(x: Any, a: Any, b: Any) -> Any:
        return a + b * x

    assert ds.fit(line, data, y="y", sigma=0.3, sigma_x=0.4)["b"] == pytest.approx(one["b"], rel=1e-9)
    again = ds.load(ds.save(one, tmp_path / "line"))
    assert again.residual_sum_of_squares == one.residual_sum_of_squares
    assert one.table().columns[:4] == ["row", "x", "y", "estimated_x"]
    assert one.as_dict()["errors_in"] == ["x"]
    assert ("errors in", "y and x") in one.summary()


@pytest.mark.parametrize("absolute", [False, True])
def test_groups_side_by_side_are_those_of_the_joint_fit(absolute: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [_measured(_MODELS[0][2], [5 + run, 0.4, 1], 0.2, seed=run) for run in range(3)]
    data = {name: np.concatenate([part[name] for part in parts])[:-3] for name in parts[0]}
    data["run"] = np.repeat(["first", "second", "third"], 24)[:-3]  # one of them is shorter
    choices: dict[str, Any] = {"by": "run", "sigma": "s_y", "sigma_x": "s_x", "absolute_sigma": absolute}
    joint = ds.fit("y = a e^(-b x) + c", data, **choices)
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)
    apart = ds.fit("y = a e^(-b x) + c", data, **choices)
    assert isinstance(apart, ds.GroupedFit)
    assert list(apart.values.values()) == pytest.approx(list(joint.values.values()), rel=1e-5)
    assert list(apart.standard_errors.values()) == pytest.approx(list(joint.standard_errors.values()), rel=1e-4)
    for name in ("residual_sum_of_squares", "aic", "chi_square", "p_value", "r_squared"):
        assert getattr(apart, name) == pytest.approx(getattr(joint, name), rel=1e-6, nan_ok=True), name
    spread = 1.0 if absolute else apart.residual_standard_deviation
    assert np.sum((apart.standardised_residuals * spread) ** 2) == pytest.approx(apart.residual_sum_of_squares)
    assert ("errors in", "y and x") in apart.summary()


_TABLE = {"x": [1.0, 2, 3, 4], "z": [1.0, 4, 9, 16], "y": [1.1, 2.1, 2.9, 4.2], "s": [0.1, 0.1, -0.1, 0.1]}


@pytest.mark.parametrize(
    ("equation", "choices", "words"),
    [
        ("y = a + b x", {"sigma_x": 0.1}, "sigma_x needs sigma"),
        ("y = a + b x", {"sigma": 1, "sigma_x": 0.1, "loss": "cauchy"}, "least squares, not for the cauchy loss"),
        ("y = a + b x + c z", {"sigma": 1, "sigma_x": 0.1}, "the columns x and z"),
        ("y = a + b x", {"sigma": 1, "sigma_x": {"z": 0.1}}, "z is no column of the right side"),
        ("y = a + b x", {"sigma": 1, "sigma_x": {"y": 0.1}}, "also on the left side"),
        ("y = a + b x", {"sigma": 1, "sigma_x": "s"}, "row 3: sigma_x of x must be 0 or more"),
        ("y = a + b x", {"sigma": 1, "sigma_x": {}}, "names no column"),
        ("y = a + b x", {"sigma": 1, "sigma_x": {1: 0.1}}, "names of columns"),
    ],
)
def test_what_makes_no_sense_is_refused(equation, choices, words) -> None:
    with pytest.raises(ds.DownslopeError, match=words):
        ds.fit(equation, _TABLE, **choices)


def test_residuals_of_two_kinds_are_not_resampled() -> None:
    data = _measured(lambda p, x: p[0] + p[1] * x, [1, 2], 0.4, seed=2)
    fit = ds.fit("y = a + b x", data, sigma=0.3, sigma_x=0.4)
    with pytest.raises(ds.SettingError, match="residuals cannot be resampled"):
        fit.bootstrap(10, "residuals")
    assert fit.bootstrap(40, seed=1).standard_errors["b"] == pytest.approx(fit.standard_errors["b"], rel=0.4)
