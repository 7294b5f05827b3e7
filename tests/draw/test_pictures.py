"""Pictures, by what they draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

import downslope as ds
from downslope.draw import levels

VALLEY = ds.objective("f(x, y) = x² + 2y²", units={"x": "metre", "f": "joule"})


def line(axes: Axes, name: str) -> np.ndarray:
    """Return the points of the line with this label."""
    return next(np.asarray(one.get_xydata()) for one in axes.get_lines() if one.get_label() == name)


def labels(axes: Axes) -> Sequence[str]:
    return [str(one.get_label()) for one in axes.get_lines()]


def test_a_curve_is_the_function_with_the_way_on_it() -> None:
    objective = ds.objective("f(x) = x² - 4x + 5")
    trace = ds.descend(objective, 0, learning_rate=0.1, steps=20)
    axes = ds.draw.curve(objective, trace)
    curve = line(axes, "f")
    np.testing.assert_allclose(curve[:, 1], curve[:, 0] ** 2 - 4 * curve[:, 0] + 5)
    way = line(axes, "20 steps")
    np.testing.assert_allclose(way[:, 0], trace.coordinates[:, 0])
    np.testing.assert_allclose(way[:, 1], trace.columns["value"])
    low, high = axes.get_xlim()
    assert low < 0 < 2 < high
    assert axes.get_title(loc="left") == "f(x) = x² - 4x + 5"


def test_the_tangent_has_the_slope_of_the_function() -> None:
    objective = ds.objective("P(p) = -20p² + 200p - 300", units={"P": "dollar", "p": "euro"})
    axes = ds.draw.curve(objective, at={"p": 2})
    (start, end) = line(axes, "tangent, slope 120")
    assert (end[1] - start[1]) / (end[0] - start[0]) == pytest.approx(120)
    assert axes.get_xlabel() == "p (euro)"
    assert axes.get_ylabel() == "P (dollar)"


def test_a_landscape_has_the_way_over_rising_contours() -> None:
    trace = ds.descend(VALLEY, {"x": 4, "y": 3}, learning_rate=0.1, steps=20)
    axes = ds.draw.landscape(VALLEY, trace)
    np.testing.assert_allclose(line(axes, "20 steps"), trace.coordinates)
    np.testing.assert_allclose(line(axes, "start"), [[4, 3]])
    np.testing.assert_allclose(line(axes, "end"), trace.coordinates[-1:])
    assert axes.get_xlabel() == "x (metre)"
    bands = [one for one in axes.collections if getattr(one, "levels", None) is not None]
    assert len(bands) == 2
    for band in bands:
        assert np.all(np.diff(band.levels) > 0)
    way = next(one for one in axes.get_lines() if one.get_label() == "20 steps")
    assert way.get_zorder() > max(band.get_zorder() for band in bands)


def test_levels_lie_close_at_the_floor_of_a_valley() -> None:
    x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
    height = 100 * (y - x**2) ** 2 + (1 - x) ** 2
    found = levels(height)
    assert len(found) >= 12
    assert np.all(np.diff(found) > 0)
    assert np.sum(found < np.median(height)) > len(found) / 2
    assert len(levels(np.ones((5, 5)))) == 0
    assert len(levels(np.full((5, 5), np.nan))) == 0


def test_arrows_point_up_and_down_the_gradient() -> None:
    axes = ds.draw.landscape(VALLEY, at={"x": 3, "y": 1})
    assert {"uphill ∇f", "downhill −∇f"} <= set(labels(axes))
    tips = np.array([text.xy for text in axes.texts]) - [3, 1]
    np.testing.assert_allclose(tips[0] / np.linalg.norm(tips[0]), np.array([6, 4]) / np.sqrt(52))
    np.testing.assert_allclose(tips[0], -tips[1])


def test_a_surface_carries_the_way() -> None:
    trace = ds.descend(VALLEY, {"x": 4, "y": 3}, learning_rate=0.1, steps=20)
    axes = ds.draw.surface(VALLEY, trace)
    x, y, height = axes.get_lines()[0].get_data_3d()
    np.testing.assert_allclose(np.column_stack([x, y]), trace.coordinates)
    assert np.all(height >= trace.columns["value"])
    assert axes.get_zlabel() == "f (joule)"


def test_progress_has_three_panels_and_marks_what_was_found() -> None:
    trace = ds.descend("x²", 10, learning_rate=1.01)
    panels = ds.draw.progress(trace, ds.diagnose(trace))
    assert [panel.get_ylabel() for panel in panels] == ["value", "‖gradient‖", "learning rate α"]
    np.testing.assert_allclose(np.asarray(panels[0].get_lines()[0].get_ydata()), trace.columns["value"])
    assert "rate too large" in panels[0].get_legend_handles_labels()[1]
    falling = ds.descend("x²", 10, learning_rate=0.1, steps=50)
    assert ds.draw.progress(falling)[0].get_yscale() == "log"


def test_axes_that_are_given_are_used() -> None:
    own = ds.draw.curve(ds.objective("x²"))
    assert ds.draw.curve(ds.objective("x³"), axes=own) is own
    assert len([one for one in own.get_lines() if one.get_label() == "f"]) == 2


def test_a_moving_picture_moves(tmp_path) -> None:
    trace = ds.descend(VALLEY, {"x": 4, "y": 3}, learning_rate=0.1, steps=10)
    with Image.open(ds.draw.animate(VALLEY, trace, tmp_path / "way.gif")) as picture:
        assert picture.n_frames >= 11
        duration = picture.info["duration"]
    with Image.open(ds.draw.animate(VALLEY, trace, tmp_path / "way.apng")) as picture:
        assert picture.format == "PNG"
        assert picture.n_frames >= 11
        assert picture.info["duration"] == pytest.approx(duration, abs=10)
    with pytest.raises(ds.SettingError, match="GIF"):
        ds.draw.animate(VALLEY, trace, tmp_path / "way.mp4")


@pytest.mark.parametrize(
    ("text", "start", "choices"),
    [
        ("ln(x)", 1, {"learning_rate": 1.0}),
        ("f(x) = 3", 1, {}),
        ("x²", 10, {"learning_rate": 1.1, "steps": 3000}),
        ("1/x", 1, {"learning_rate": 0.5}),
        ("x²", 0, {}),
        ("x² - y²", {"x": 1, "y": 1e-3}, {"learning_rate": 0.1, "steps": 200}),
        ("100(y - x²)² + (1 - x)²", {"x": -1.2, "y": 1}, {"learning_rate": 1e-3, "steps": 20_000}),
    ],
)
def test_sick_runs_can_be_looked_at(text: str, start, choices) -> None:
    objective = ds.objective(text)
    trace = ds.descend(objective, start, **choices)
    picture = ds.draw.curve if len(objective.names or ()) == 1 else ds.draw.landscape
    axes = picture(objective, trace)
    axes.figure.canvas.draw()
    assert np.all(np.isfinite([*axes.get_xlim(), *axes.get_ylim()]))
    ds.draw.progress(trace, ds.diagnose(trace))[0].figure.canvas.draw()


def test_the_whole_of_a_long_valley_is_shown() -> None:
    objective = ds.objective("100(y - x²)² + (1 - x)²")
    trace = ds.descend(objective, {"x": -1.2, "y": 1}, learning_rate=1e-3, steps=20_000)
    axes = ds.draw.landscape(objective, trace)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert np.all((trace.coordinates >= [left, bottom]) & (trace.coordinates <= [right, top]))


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (lambda: ds.draw.landscape(ds.objective("x²")), "needs 2 variables"),
        (lambda: ds.draw.curve(VALLEY, over="z"), "no variable 'z'"),
        (lambda: ds.draw.curve(ds.objective(lambda p: p**2)), "needs 1 variable"),
    ],
)
def test_errors(picture, told: str) -> None:
    with pytest.raises(ds.PointError, match=told):
        picture()


def test_a_sweep_shows_three_ways_and_every_rate() -> None:
    found = ds.sweep("f(x) = x²", {"x": 10})
    *ways, chart = ds.draw.sweep(found)
    assert [way.get_title(loc="left").split(",")[0] for way in ways] == ["too small", "just right", "too large"]
    assert line(chart, "largest stable rate 1")[0, 0] == pytest.approx(1)
    rests = line(chart, "came to rest")
    np.testing.assert_allclose(rests[:, 0], found.rates[np.isfinite(found.steps)])
    np.testing.assert_allclose(rests[:, 1], found.steps[np.isfinite(found.steps)])
    assert ds.draw.sweep(found, axes=chart) == [chart]


def test_a_race_shows_every_method_by_step_and_on_the_ground(tmp_path) -> None:
    rates = {"gradient descent": 0.09, "adam": 0.3}  # told, not swept for
    methods = ["gradient descent", "adam", "bfgs"]
    race = ds.compare("f(x, y) = x² + 10y²", {"x": 4, "y": 3}, methods, learning_rates=rates, steps=40)
    values, ways = ds.draw.race(race)
    for name, trace in race.lanes.items():
        shown = line(ways, name)
        np.testing.assert_allclose(shown, trace.coordinates[: len(shown)])
        np.testing.assert_allclose(line(values, name)[:3, 1], trace.columns["value"][:3])
    with Image.open(ds.draw.animate_race(race, tmp_path / "race.gif")) as picture:
        assert picture.n_frames >= 11
    with pytest.raises(ds.SettingError, match="GIF"):
        ds.draw.animate_race(race, tmp_path / "race.mp4")


def test_every_racer_is_seen_and_steps_are_steps() -> None:
    methods = ds.method_names()
    rates = {name: 0.1 for name in methods if ds.method(name).takes_rate}  # told, not swept for
    race = ds.compare("f(x, y) = x² + 3y²", {"x": 1, "y": 2}, methods, learning_rates=rates, steps=200, record=10)
    values, ways = ds.draw.race(race)
    for panel in (values, ways):
        assert set(race.lanes) <= set(labels(panel))
    shown = line(values, "adam")
    np.testing.assert_array_equal(shown[:, 0], race["adam"].columns["step"][: len(shown)])


def test_a_race_that_nobody_begins_can_be_looked_at() -> None:
    race = ds.compare("ln(x)", {"x": -1}, ["gradient descent", "adam"], steps=20)
    ds.draw.race(race)[0].figure.canvas.draw()


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("x⁴ - 4x² + x", {"x": (-3, 3)}), ("(x² + y - 11)² + (x + y² - 7)²", {"x": (-5, 5), "y": (-5, 5)})],
)
def test_basins_show_every_start_in_the_colour_of_its_valley(text: str, bounds) -> None:
    found = ds.multistart(text, bounds, starts=300)
    axes = ds.draw.basins(found)
    stars = [one for one in axes.get_lines() if one.get_marker() == "*"]
    assert len(stars) == len(found.basins)
    shown = {one.get_color(): len(np.asarray(one.get_xdata())) for one in axes.get_lines() if one.get_alpha() == 0.55}
    counts = {str(star.get_color()): basin.count for star, basin in zip(reversed(stars), found.basins, strict=True)}
    assert shown == counts


def test_basins_of_three_variables_cannot_be_drawn() -> None:
    with pytest.raises(ds.PointError, match="one or two"):
        ds.draw.basins(ds.multistart("x² + y² + z²", dict.fromkeys("xyz", (-1, 1)), starts=10))


def test_a_fit_shows_data_curve_bands_and_residuals() -> None:
    x = np.linspace(0, 10, 30)
    found = ds.fit("y = a e^(-k x) + c", {"x": x, "y": 3 * np.exp(-0.5 * x) + 1 + 0.1 * np.cos(9 * x)})
    upper, lower = ds.draw.fit(found)
    np.testing.assert_allclose(line(upper, "data"), np.column_stack([x, found.measured]))
    curve = line(upper, "fit")
    np.testing.assert_allclose(curve[:, 1], found.predict({"x": curve[:, 0]}).value)
    residuals = lower.get_lines()[-1]
    np.testing.assert_allclose(np.asarray(residuals.get_ydata()), found.residuals)
    with pytest.raises(ds.PointError, match="no column 'z'"):
        ds.draw.fit(found, over="z")


def test_the_loss_of_a_fit_is_a_landscape_with_the_way_on_it() -> None:
    x = np.linspace(0, 10, 30)
    columns = {"x": x, "y": 2 * np.exp(-0.3 * x) + 0.02 * np.sin(7 * x)}
    found = ds.fit("y = a e^(-k x)", columns, start={"a": 1, "k": 1})
    axes = ds.draw.landscape(found.objective, found.trace)
    np.testing.assert_allclose(line(axes, "end")[0], [found["a"], found["k"]])


def curve_of(axes: Axes, name: str = "f") -> np.ndarray:
    """Return the points of the curve."""
    return line(axes, name)


@pytest.mark.parametrize(("text", "at", "pole"), [("1/x", 1, 0), ("tan(x)", 0.5, np.pi / 2), ("1/(x-1)²", 3, 1)])
def test_a_pole_has_two_branches_and_no_stroke_across(text: str, at: float, pole: float) -> None:
    axes = ds.draw.curve(f"f(x) = {text}", at=at)
    x, y = curve_of(axes).T
    assert axes.get_xlim()[0] < pole < axes.get_xlim()[1]
    (gaps,) = np.nonzero(~np.isfinite(y))
    near = gaps[np.abs(x[gaps] - pole) < 1e-6]
    assert len(near)
    # The line is broken at the pole, and both branches leave the picture there.
    assert x[near[0] - 1] < pole < x[near[-1] + 1]
    low, high = axes.get_ylim()
    assert not low < y[near[0] - 1] < high
    assert not low < y[near[-1] + 1] < high
    # The rest is no flat line: the tangent's point is well inside.
    assert 0.02 < (float(ds.formula(text)(x=at)) - low) / (high - low) < 0.98


@pytest.mark.parametrize("text", ["floor(x)", "sign(x - 1)"])
def test_a_jump_is_no_stroke(text: str) -> None:
    y = curve_of(ds.draw.curve(f"f(x) = {text}", at=1.5))[:, 1]
    steps = np.abs(np.diff(y))
    assert np.nanmax(steps) == 0
    assert np.isnan(y).any()


@pytest.mark.parametrize("text", ["x³ - 3x", "e^x", "|x|", "√(x+4)", "1000x", "x⁹"])
def test_a_curve_without_poles_is_not_broken(text: str) -> None:
    assert np.isfinite(curve_of(ds.draw.curve(f"f(x) = {text}", at=0.5))[:, 1]).all()


@pytest.mark.parametrize(
    ("text", "at", "shown"),
    [("x³ - 3x", 0.5, (-1, 1)), ("|x-1| + |x+1|", 0.2, (-1, 1)), ("sin(x)", 1, (np.pi / 2,)), ("x²", 3, (0,))],
)
def test_the_neighbourhood_of_a_point_shows_what_is_near(text: str, at: float, shown: tuple[float, ...]) -> None:
    low, high = ds.draw.curve(f"f(x) = {text}", at=at).get_xlim()
    assert all(low < x < high for x in shown)
    assert high - low < 12


def test_axes_of_one_kind_have_one_scale() -> None:
    trace = ds.descend("x² + 2y²", {"x": 4, "y": 3}, steps=5)
    assert ds.draw.landscape("x² + 2y²", trace).get_aspect() == 1
    units = {"x": "metre", "y": "second"}
    assert ds.draw.landscape("x² + 2y²", trace, units=units).get_aspect() == "auto"
    far = ds.descend("(x/1e6)² + y²", {"x": 1e6, "y": 1}, steps=3)
    axes = ds.draw.landscape("(x/1e6)² + y²", far)
    assert axes.get_aspect() == "auto"
    assert np.diff(axes.get_ylim())[0] < 10


@pytest.mark.parametrize("text", ["x² + 2y²", "x² - y²", "100 - x² - 2y²", "x + y", "100(y-x²)² + (1-x)²", "1/(x²+y²)"])
def test_contour_levels_are_round_numbers(text: str) -> None:
    _, heights = ds.draw.grid(text, {"x": (-2, 2.1), "y": (-1.5, 2)}, count=80)
    found = levels(heights)
    assert 5 <= len(found) <= 20
    assert all(float(f"{level:.3g}") == pytest.approx(level, rel=1e-12, abs=1e-12) for level in found)


def test_contour_labels_keep_off_the_path() -> None:
    trace = ds.descend(VALLEY, {"x": 4, "y": 3}, learning_rate=0.1, steps=20)
    axes = ds.draw.landscape(VALLEY, trace)
    values = [text for text in axes.texts if text.get_text()]
    assert len(values) >= 3
    size = np.array([np.diff(axes.get_xlim())[0], np.diff(axes.get_ylim())[0]])
    for text in values:
        apart = np.linalg.norm((trace.coordinates - np.array(text.xy)) / size, axis=1)
        assert apart.min() > 0.05


def test_a_saddle_that_was_left_lies_inside() -> None:
    trace = ds.descend("x² - y²", {"x": 1, "y": 1e-3}, learning_rate=0.1, steps=40)
    for axes in (ds.draw.landscape("x² - y²", trace), ds.draw.surface("x² - y²", trace)):
        for low, high in (axes.get_xlim(), axes.get_ylim()):
            assert low < -0.2 < 0.2 < high
    assert "40 steps" in labels(axes)


def test_a_sweep_invents_no_height() -> None:
    found = ds.sweep("x²", 10)
    chart = ds.draw.sweep(found)[-1]
    shown = {one.get_label(): one for one in chart.get_lines()}
    settled = next(name for name in shown if str(name).startswith("converged"))
    # These stand above the picture, in its own coordinates, not at a number of steps.
    for name in (settled, "unstable"):
        assert np.all(np.asarray(shown[name].get_ydata()) == 1.03)
        assert shown[name].get_transform() == chart.get_xaxis_transform()
    rates = np.asarray(shown[settled].get_xdata())
    verdicts = dict(zip(found.rates, found.verdicts, strict=True))
    assert all(verdicts[rate] == "converged" for rate in rates)


def test_a_picture_of_two_of_three_variables_names_the_third():
    trace = ds.descend("x² + y² + (z - 2)²", {"x": 1, "y": 1, "z": 2}, learning_rate=0.1)
    for draw in (ds.draw.landscape, ds.draw.surface):
        axes = draw("x² + y² + (z - 2)²", trace)
        texts = [text.get_text() for text in axes.texts]
        assert "at z = 2" in texts
    assert not any(text.get_text().startswith("at ") for text in ds.draw.landscape("x² + y²").texts)
