"""Pictures of fits, by what they draw."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from PIL import Image

import downslope as ds
from downslope.cli._main import run
from downslope.draw._column_axis import column_axis

DOSES = np.array([0, 0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30])
CONC = [0.02, 0.06, 0.11, 0.22, 0.56, 1.1] * 2
RATE = [76, 97, 123, 159, 191, 207, 67, 84, 98, 131, 144, 160]


def shaken(values: np.ndarray, size: float) -> np.ndarray:
    return values + size * np.sin(37 * np.arange(len(values)) ** 1.5)


@functools.cache
def dose_response() -> ds.Fit:
    response = shaken(5 + 95 * DOSES / (0.8 + DOSES), 2.0)
    columns = {"dose": [*DOSES, 0.5, 4.0], "response": [*response, np.nan, 40.0], "s": [2.0] * 9 + [4.0] * 3}
    choices: Any = {"sigma": "s", "absolute_sigma": True, "rows": ":11", "units": {"dose": "mg", "response": "mV"}}
    fit = ds.fit("response = base + rise × dose/(EC50 + dose)", columns, **choices)
    assert isinstance(fit, ds.Fit)
    return fit


@functools.cache
def enzyme(**choices: Any) -> Any:
    columns = {"conc": CONC, "rate": RATE, "state": ["treated"] * 6 + ["untreated"] * 6}
    return ds.fit("rate = Vm × conc/(K + conc)", columns, units={"conc": "ppm", "rate": "1/min"}, **choices)


@functools.cache
def straight(rows: int = 12) -> ds.Fit:
    x = np.linspace(1, 5, rows)
    return ds.fit("y = a x + b", {"x": x, "y": shaken(2 * x + 1, 0.2)})


def points(artist: Line2D) -> np.ndarray:
    return np.asarray(artist.get_xydata())


def line(axes: Axes, name: str) -> np.ndarray:
    return next(points(each) for each in axes.get_lines() if each.get_label() == name)


def legend_texts(axes: Axes) -> str:
    legend = axes.get_legend()
    legends = ([] if legend is None else [legend]) + list(axes.figure.legends)  # type: ignore[union-attr]  # a figure
    return "\n".join(t.get_text() for each in legends for t in (each.get_title(), *each.get_texts()))


@functools.cache
def drawn_doses() -> list[Axes]:
    return ds.draw.fit(dose_response())


@functools.cache
def drawn_enzyme() -> list[Axes]:
    return ds.draw.fit(enzyme())


@pytest.mark.parametrize("decades", [2.5, 6.0])
@pytest.mark.parametrize("count", [6, 40, 300])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_the_axis_is_logarithmic_where_the_logarithms_are_evenly_spaced(
    decades: float, count: int, shift: float
) -> None:
    even = np.linspace(0, decades, count)
    logarithmic = 10 ** (shaken(even, 0.2 * decades / count))
    for x, is_log in (
        (logarithmic, not shift),
        (np.array([0, *logarithmic]), not shift),
        (even + 0.01, False),
        (-logarithmic, False),
    ):
        assert column_axis("x", x + shift, None).is_log == is_log
    assert column_axis("x", even + 0.01, True).is_log


def test_an_option_overrides_the_data() -> None:
    assert drawn_enzyme()[0].get_xscale() == "linear"  # 1.7 decades
    assert drawn_doses()[0].get_xscale() == "log"
    upper, lower = ds.draw.fit(enzyme(), log="xy")
    scales = (upper.get_xscale(), upper.get_yscale(), lower.get_xscale(), lower.get_yscale())
    assert scales == ("log", "log", "log", "linear")
    assert ds.draw.fit(dose_response(), log="none")[0].get_xscale() == "linear"


def test_the_curve_is_evaluated_on_the_grid_of_its_scale() -> None:
    upper, _ = drawn_doses()
    x, y = line(upper, "fit").T
    np.testing.assert_allclose(np.diff(np.log(x)), np.diff(np.log(x))[0])
    np.testing.assert_allclose(y, dose_response().predict({"dose": x}).value)


def test_dose_0_is_set_apart_at_the_left_and_marked_0() -> None:
    upper, lower = drawn_doses()
    lower.figure.canvas.draw()
    ticks = [label.get_text() for label in lower.get_xticklabels()]
    assert ticks[0] == "0"
    assert "0.1" in ticks
    data = line(upper, "data ± σ")
    zero = lower.get_xticks()[0]
    np.testing.assert_allclose(data[:2, 0], zero)
    assert upper.get_xlim()[0] < zero < 0.01 / 2
    beside = next(points(each) for each in upper.get_lines() if each.get_label() == "_" and len(points(each)) == 2)
    np.testing.assert_allclose(beside[:, 1], dose_response()["base"])


def test_a_logarithmic_axis_of_negative_values_is_refused() -> None:
    turned = ds.fit("y = a x + b", {"x": [-1, 0, 1, 2], "y": [0, 1.1, 2, 2.9]})
    with pytest.raises(ds.SettingError, match="x is −1 in some row"):
        ds.draw.fit(turned, log="x")
    with pytest.raises(ds.SettingError, match="log is x, y, xy or none"):
        ds.draw.fit(turned, log="z")


def test_known_deviations_are_error_bars_and_divide_the_residuals() -> None:
    fit = dose_response()
    upper, lower = drawn_doses()
    bars = next(each for each in upper.collections if isinstance(each, LineCollection))
    halves = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(halves, [2.0] * 9 + [4.0])
    assert lower.get_ylabel() == "residual / σ"
    heights = {round(float(np.asarray(each.get_ydata())[0]), 9) for each in lower.get_lines()}
    assert {-2, -1, 1, 2} <= heights
    marks = next(e for e in lower.get_lines() if e.get_marker() == "o" and len(points(e)) == 10)
    np.testing.assert_allclose(points(marks)[:, 1], fit.residuals / ([2.0] * 9 + [4.0]))
    assert "next measurement: σ not known" in legend_texts(upper)


def test_deviations_that_are_only_relative_are_scaled_where_the_residuals_contradict_them() -> None:
    x = np.arange(12.0)
    y = shaken(2 * x, 0.3)
    near, far = (ds.fit("y = a x + b", {"x": x, "y": y}, sigma=size * (1 + x / 6)) for size in (0.2, 1e-4))
    assert near.deviations is not None
    assert far.deviations is not None
    np.testing.assert_allclose(near.deviations, 0.2 * (1 + x / 6))
    np.testing.assert_allclose(far.deviations, far.residual_standard_deviation * 1e-4 * (1 + x / 6))
    assert straight().deviations is None


def test_axes_have_units_and_residuals_that_of_what_was_measured() -> None:
    upper, lower = drawn_enzyme()
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("rate (1/min)", "conc (ppm)")
    assert lower.get_ylabel() == "residual (1/min)"


def test_rows_left_out_and_rows_far_off_are_marked() -> None:
    x = np.arange(20.0)
    y = shaken(x, 0.1)
    y[7] += 5
    y[3] = np.nan
    fit = ds.fit("y = a x + b", {"x": x, "y": y, "w": np.where(x == 11, 0, 1)}, weights="w")
    upper, _ = ds.draw.fit(fit)
    np.testing.assert_allclose(line(upper, "left out: 2"), [[11, y[11]]])
    np.testing.assert_allclose(line(upper, "standardised residual beyond 3: row 8"), [[7, y[7]]])
    assert fit.aside["x"].tolist() == [3, 11]


def test_parameters_and_quality_stand_in_the_picture_or_are_left_out() -> None:
    fit = enzyme()
    text = legend_texts(drawn_enzyme()[0])
    assert f"n = 12, R² = {fit.r_squared:.5g}" in text
    assert "Vm = 184" in text
    assert "± 13 1/min" in text
    assert f"χ²/ν = {dose_response().reduced_chi_square:.3g}" in legend_texts(drawn_doses()[0])
    assert "Vm" not in legend_texts(ds.draw.fit(fit, statistics=False)[0])


def test_the_formula_is_typeset_or_written_as_text() -> None:
    title = drawn_enzyme()[0].get_title(loc="left")
    assert title.startswith("$")
    assert r"\dfrac{" in title
    pieces = ds.fit("y = where(x < 3, a, b)", {"x": np.arange(8.0), "y": [1, 1.1, 0.9, 2, 2.1, 2, 1.9, 2]})
    assert ds.draw.fit(pieces)[0].get_title(loc="left") == pieces.read_as
    assert ds.draw.fit(enzyme(), labels={"title": "Kinetics"})[0].get_title(loc="left") == "Kinetics"


def test_labels_size_dots_grid_and_grey() -> None:
    upper, lower = ds.draw.fit(
        enzyme(), size=(3.5, 3), dpi=300, grid=False, grey=True, labels={"x": "c", "y": "v", "residual": "r"}
    )
    figure: Any = upper.figure
    assert (figure.get_size_inches().tolist(), figure.dpi) == ([3.5, 3], 300)
    file = io.BytesIO()
    figure.savefig(file)
    assert Image.open(file).size == (1050, 900)
    assert (lower.get_xlabel(), upper.get_ylabel(), lower.get_ylabel()) == ("c", "v", "r")
    colours = [to_rgba(each.get_color())[:3] for each in (*upper.get_lines(), *lower.get_lines())]
    colours += [to_rgba(colour)[:3] for band in upper.collections for colour in np.asarray(band.get_facecolor())]
    assert all(np.ptp(colour) == 0 for colour in colours)
    assert not any(grid.get_visible() for grid in upper.get_xgridlines())


@pytest.mark.parametrize(
    ("look", "message"),
    [
        ({"size": 3}, "width and a height"),
        ({"size": (0, 2)}, "width and a height"),
        ({"dpi": -1}, "dots per inch"),
        ({"labels": {"z": "t"}}, "no label 'z'"),
        ({"colour": "red"}, "no 'colour'"),
    ],
)
def test_a_look_that_makes_no_sense_is_answered_in_words(look: Any, message: str) -> None:
    with pytest.raises(ds.SettingError, match=message):
        ds.draw.fit(enzyme(), **look)


def test_many_rows_are_counted_in_cells_and_that_is_said() -> None:
    many = straight(6000)
    panels = ds.draw.fit(many)
    for panel in panels:
        mesh = next(each for each in panel.collections if isinstance(each, QuadMesh))
        assert np.ma.asarray(mesh.get_array()).sum() == 6000
        assert all(len(points(each)) <= 400 for each in panel.get_lines())
    assert "6\u2009000 rows, counted in cells" in legend_texts(panels[0])


def test_a_left_side_is_drawn_in_the_scale_of_its_column() -> None:
    kelvin = np.linspace(280, 350, 9)
    pressure = np.exp(shaken(21 - 5200 / kelvin, 0.02))
    fit = ds.fit("log(pressure) = A - B/T", {"T": kelvin, "pressure": pressure}, units={"pressure": "kPa"})
    upper, lower = ds.draw.fit(fit, own_scale=True)
    x, y = line(upper, "fit").T
    np.testing.assert_allclose(y, np.exp(fit["A"] - fit["B"] / x), rtol=1e-9)
    np.testing.assert_allclose(line(upper, "data")[:, 1], pressure)
    assert upper.get_ylabel() == "pressure (kPa)"
    assert lower.get_ylabel() == "residual of ln(pressure)"
    line_fit = ds.fit("log(y) = a + b x", {"x": [1, 2, 3.0], "y": [1.0, 2, 4.1]})
    with pytest.raises(ds.PointError, match="has no column 'z'"):
        ds.draw.fit(line_fit, own_scale="z")


def test_a_left_side_of_several_columns_is_drawn_row_by_row() -> None:
    age, total = np.arange(9.0, 17.0), np.array([376.0, 200, 93, 120, 90, 88, 105, 1049])
    share = 1 / (1 + np.exp(-1.6 * (age - 13)))
    columns = {"age": age, "menarche": np.round(total * share), "total": total}
    choices: Any = {"loss": "binomial", "weights": "total"}
    fit = ds.fit("menarche/total = 1/(1 + e^(-b (age - m)))", columns, **choices)
    upper, _ = ds.draw.fit(fit, own_scale=True)
    assert upper.get_ylabel() == "menarche"
    np.testing.assert_allclose(line(upper, "data ± σ"), np.column_stack([age, columns["menarche"]]))
    np.testing.assert_allclose(line(upper, "fit, row by row")[:, 1], fit.predicted * total, rtol=1e-9)
    bars = next(each for each in upper.collections if each.get_label() == "curve, 95 %")
    ends = np.array([np.asarray(each)[:, 1] for each in bars.get_segments()])  # type: ignore[attr-defined]  # lines
    low, high = (np.asarray(end) * total for end in fit.bands({"age": age, "total": total})[-1][1:])
    np.testing.assert_allclose(ends, np.column_stack([low, high]), rtol=1e-9)
    other, _ = ds.draw.fit(fit, own_scale="total")  # a share falls with the total
    np.testing.assert_allclose(line(other, "fit, row by row")[:, 1], columns["menarche"] / fit.predicted, rtol=1e-9)


def test_panels_of_groups_have_left_out_rows_and_bars_in_the_own_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)  # without shared ones, side by side
    x = np.tile(np.arange(6.0), 2)
    y = np.exp(shaken(1 + 0.5 * x, 0.02))
    columns = {"x": x, "y": y, "s": np.full(12, 0.1), "who": ["one"] * 6 + ["two"] * 6}
    choices: Any = {"by": "who", "sigma": "s", "absolute_sigma": True, "where": "y < 30 or x < 4.5"}
    for shared in ("b", ()):
        fit = ds.fit("log(y) = a + b x", columns, shared=shared, **choices)
        panels = ds.draw.groups(fit, own_scale=True)
        for panel, rows in zip(panels, (slice(0, 6), slice(6, 12)), strict=True):
            kept = y[rows] < 30
            np.testing.assert_allclose(line(panel, "data ± σ")[:, 1], y[rows][kept])
            np.testing.assert_allclose(line(panel, "left out: 1"), [[5, y[rows][5]]])
            bars = next(each for each in panel.collections if isinstance(each, LineCollection))
            ends = np.array([np.asarray(each)[:, 1] for each in bars.get_segments()])
            spread = np.exp([-0.1, 0.1])
            np.testing.assert_allclose(ends, y[rows][kept][:, None] * spread, rtol=1e-6)


def test_groups_are_small_multiples_on_common_scales() -> None:
    fit = enzyme(by="state", shared="K")
    panels = ds.draw.fit(fit)
    assert [panel.get_title() for panel in panels] == ["state = treated", "state = untreated"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    for panel, state in zip(panels, ("treated", "untreated"), strict=True):
        x, y = line(panel, "fit").T
        np.testing.assert_allclose(y, fit.predict({"conc": x, "state": [state] * len(x)}).value)
        rows = slice(0, 6) if state == "treated" else slice(6, 12)
        np.testing.assert_allclose(line(panel, "data"), np.column_stack([CONC[rows], RATE[rows]]))
    figure: Any = panels[0].figure
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "conc (ppm)"
    assert {text.get_text() for text in legend.get_texts()} == {
        "data", "fit", "curve, 95 %", "next measurement, 95 %"
    }  # fmt: skip
    figure.draw_without_rendering()
    top, bottom = legend.get_window_extent().y1, min(panel.get_tightbbox().y0 for panel in panels)
    assert top <= bottom
    with pytest.raises(ds.SettingError, match="has no groups"):
        ds.draw.groups(enzyme())


def test_groups_that_share_nothing_are_drawn_alike() -> None:
    day, who = np.tile(np.arange(6.0), 35), np.repeat(np.arange(35), 6)
    fit = ds.fit("y = a t + b", {"t": day, "y": shaken(day * (1 + who) + 2, 0.1), "who": who}, by="who")
    assert isinstance(fit, ds.GroupedFit)
    panels = ds.draw.groups(fit, most=3)
    assert "the first 3 of 35 groups" in panels[0].figure.get_suptitle()  # type: ignore[union-attr]  # a figure
    x, y = line(panels[2], "fit").T
    np.testing.assert_allclose(y, fit["a[2]"] * x + fit["b[2]"])
    assert len(ds.draw.residuals(fit)) == 3


def test_a_profile_is_drawn_beside_the_straight_line() -> None:
    fit = enzyme()
    axes = ds.draw.profile(fit, "K")
    shown = fit.profile("K")
    curve, straight_line = (
        next(points(e) for e in axes.get_lines() if str(e.get_label()).startswith(start))
        for start in ("profile", "linear")
    )
    np.testing.assert_allclose(curve, np.column_stack([shown.values, shown.zeta]))
    np.testing.assert_allclose(straight_line[:, 1], (shown.values - fit["K"]) / fit.standard_errors["K"])
    assert f"{shown.interval.low:.3g} … {shown.interval.high:.3g}" in legend_texts(axes)
    with pytest.raises(ds.SettingError, match="no free parameter"):
        ds.draw.profile(fit, "k")


def test_a_region_is_the_border_beside_its_ellipse() -> None:
    fit = enzyme()
    axes = ds.draw.region(fit)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Vm (1/min)", "K (ppm)")
    border = fit.confidence_region("Vm", "K", points=96)
    np.testing.assert_allclose(line(axes, "profile, 95 %"), border.points)
    np.testing.assert_allclose(line(axes, "linear, 95 %"), border.linear)
    assert line(axes, "fit").tolist() == [[fit["Vm"], fit["K"]]]


DAY, DEMAND = np.array([1, 2, 3, 4, 5, 7.0]), np.array([8.3, 10.3, 19, 16, 15.6, 19.8])


def of_demand(pairs: np.ndarray) -> np.ndarray:
    """Return the squares of the oxygen demand over their value at the border of the joint region at 95 %."""
    predicted = pairs[:, :1] * -np.expm1(-pairs[:, 1:] * DAY)
    squares = np.sum((DEMAND - predicted) ** 2, axis=1)
    fitted = scipy.optimize.least_squares(lambda at: at[0] * -np.expm1(-at[1] * DAY) - DEMAND, (19, 0.5), xtol=1e-14)
    lowest = 2 * fitted.cost
    return (squares - lowest) / (2 * lowest / 4 * scipy.stats.f.ppf(0.95, 2, 4))


@pytest.mark.parametrize("bound", [None, 2.0])
def test_an_open_region_is_cut_at_the_edge_and_never_closed_by_a_chord(bound: float | None) -> None:
    bounds: Any = {} if bound is None else {"k": (0, bound)}
    fit = ds.fit("demand = A (1 - e^(-k day))", {"day": DAY, "demand": DEMAND}, bounds=bounds)
    axes = ds.draw.region(fit, "A", "k")
    name = next(text for text in legend_texts(axes).split("\n") if text.startswith("profile"))
    assert name == "profile, 95 %, open at the edge" if bound is None else "open" not in name
    border = line(axes, name)
    border = border[np.all(np.isfinite(border), axis=1)]
    top = axes.get_ylim()[1] if bound is None else bound
    inside = (border[:, 1] < top) & (border[:, 0] < axes.get_xlim()[1])
    both = inside[1:] & inside[:-1]
    middles = (border[1:] + border[:-1]) / 2
    np.testing.assert_allclose(of_demand(border[inside]), 1, atol=1e-3)
    np.testing.assert_allclose(of_demand(middles[both]), 1, atol=0.03)
    grid = np.stack(np.meshgrid(np.linspace(11, 40, 40), np.linspace(0.01, top - 0.01, 40)), axis=-1).reshape(-1, 2)
    rises = of_demand(grid)
    clear = np.abs(rises - 1) > 0.1
    filled = [patch.get_path().contains_points(grid) for patch in axes.patches]
    np.testing.assert_array_equal(np.any(filled, axis=0)[clear], (rises < 1)[clear])


def test_a_bent_region_is_drawn_as_far_as_it_goes() -> None:
    x = np.linspace(0, 5, 20)
    fit = ds.fit("y = a e^(-k x) + c", {"x": x, "y": shaken(3 * np.exp(-0.15 * x) + 1, 0.05)})
    region = fit.confidence_region("a", "k", points=48)
    (low, high), (slowest, fastest) = region.extent
    assert not region.is_all
    (arc,) = fit.region_arcs(region, [(low - 1, high + 1), (slowest - 1, fastest + 1)])
    np.testing.assert_allclose([arc[:, 0].min(), arc[:, 0].max()], [low, high], rtol=1e-3)
    np.testing.assert_allclose([arc[:, 1].min(), arc[:, 1].max()], [slowest, fastest], rtol=1e-3)
    assert fit.confidence_region("a", "c", points=8).extent[0] == pytest.approx(region.extent[0], rel=1e-6)


def test_residuals_are_drawn_by_row_over_the_prediction_and_against_normal_quantiles() -> None:
    fit = straight()
    by_row, over, normal = ds.draw.residuals(fit)
    heights = fit.table()["standardised_residual"].to_numpy()

    def marks(axes: Axes) -> np.ndarray:
        return next(points(each) for each in axes.get_lines() if each.get_marker() == "o")

    np.testing.assert_allclose(marks(by_row), np.column_stack([np.arange(1, 13), heights]))
    np.testing.assert_allclose(marks(over), np.column_stack([fit.predicted, heights]))
    expected = [NormalDist().inv_cdf((i - 0.375) / 12.25) for i in range(1, 13)]
    np.testing.assert_allclose(marks(normal), np.column_stack([expected, np.sort(heights)]))


def test_residuals_of_many_counts_are_divided_by_the_roots_of_their_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.draw._fit_parts.MOST_MARKS", 50)
    x = np.linspace(0, 4, 60)
    counts = np.random.default_rng(0).poisson(np.exp(1 + 0.8 * x))
    fit = ds.fit("n = e^(a + b x)", {"x": x, "n": counts}, loss="poisson")
    expected = (counts - fit.predicted) / np.sqrt(fit.predicted)
    *_, normal = ds.draw.residuals(fit)
    np.testing.assert_allclose(points(normal.get_lines()[-1])[:, 1], np.sort(expected))


def test_residuals_of_groups_are_named_by_the_rows_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.fitting._grouped._MOST_TOGETHER", 0)  # side by side
    x = np.tile(np.arange(12.0), 2)
    y = shaken(2 * x + 1, 0.1)
    y[[2, 15]] = np.nan
    y[20] += 5
    who = ["one"] * 12 + ["two"] * 12
    fit = ds.fit("y = a x + b", {"x": x, "y": y, "who": who}, by="who", shared=())
    assert isinstance(fit, ds.GroupedFit)
    kept = np.flatnonzero(np.isfinite(y))
    by_row, over, _ = ds.draw.residuals(fit)
    expected, squares = np.full(24, np.nan), 0.0
    for rows in (kept[kept < 12], kept[kept >= 12]):
        slope, height = np.polyfit(x[rows], y[rows], 1)
        expected[rows] = y[rows] - slope * x[rows] - height
        squares += float(np.sum(expected[rows] ** 2))
    expected /= np.sqrt(squares / (len(kept) - 4))
    marks = next(points(each) for each in by_row.get_lines() if each.get_marker() == "o")
    np.testing.assert_allclose(marks, np.column_stack([kept + 1, expected[kept]]), rtol=1e-6, atol=1e-6)
    assert "row 21" in legend_texts(by_row)
    assert over.get_legend() is None  # the first panel's names the row


def test_the_command_draws_with_the_same_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ds.write_table({"x": [1.0, 2.0, 3.0, 4.0], "y": [2.1, 3.9, 6.2, 7.9]}, "t.csv")
    words = ["fit", "t.csv", "y = a x + b", "--quiet"]
    assert run([*words, "--plot", "t.tif", "--size", "3x2", "--dpi", "200", "--no-grid", "--label", "x=time (s)"]) == 0
    with Image.open("t.tif") as image:
        assert (image.size, image.mode) == ((600, 400), "RGB")
    assert run([*words, "--plot", "t.png", "--picture", "region:a,b", "--grey"]) == 0
    capsys.readouterr()
    for wrong, message in (
        (["--dpi", "300"], "--dpi applies to a picture; name its file with --plot"),
        (["--plot", "t.png", "--picture", "profle"], "did you mean profile?"),
        (["--plot", "t.png", "--picture", "profile", "--log", "x"], "has no --log"),
        (["--plot", "t.png", "--size", "3"], "width and a height"),
    ):
        assert run([*words, *wrong]) == 2
        assert message in capsys.readouterr().err
