"""Pictures of trainings, by what they draw."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh

import downslope as ds
from downslope._numbers import evenly_spread
from downslope.descent import Record
from downslope.diagnosis import Finding, Severity
from downslope.draw._by_layer import in_blocks, short
from downslope.draw._layers import USUAL
from downslope.draw._sharpness import bound_of
from downslope.methods import facts_of

PICTURES = {
    "layers": ds.draw.layers,
    "activations": ds.draw.activations,
    "updates": ds.draw.updates,
    "training": lambda trace: ds.draw.training(trace, ds.diagnose(trace)),
    "sharpness": ds.draw.sharpness,
}
INPUTS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = np.array([0.0, 1, 1, 0])


@pytest.fixture(scope="module")
def digits() -> ds.Training:
    return ds.train(data="digits", steps=300, probe_every=100, progress=False)


@pytest.fixture(scope="module")
def iris() -> ds.Training:
    return ds.train(data="iris", hidden=(5,), steps=200, method="momentum", learning_rate=0.01, progress=False)


def line(axes: Axes, name: str) -> np.ndarray:
    """Return the points of the line whose label begins so."""
    return next(np.asarray(one.get_xydata()) for one in axes.get_lines() if str(one.get_label()).startswith(name))


def labels(axes: Axes) -> Sequence[str]:
    return [str(one.get_label()) for one in axes.get_lines()]


def first(found: Axes | list[Axes]) -> Axes:
    return found[0] if isinstance(found, list) else found


def norms(trace: ds.Trace, name: str) -> np.ndarray:
    """Return a norm by layer from the norms by part, the long way round."""
    columns = []
    for layer in trace.layer_names:
        owned = [place for place, part in enumerate(trace.part_names) if part.startswith(f"{layer}/")]
        columns.append(np.sqrt(sum(trace.part_columns[name][:, place] ** 2 for place in owned)))
    return np.column_stack(columns)


def test_layers_are_rows_of_their_gradients_the_first_at_the_bottom(digits) -> None:
    axes = ds.draw.layers(digits.trace)
    mesh = next(one for one in axes.collections if isinstance(one, QuadMesh))
    np.testing.assert_allclose(mesh.get_array(), norms(digits.trace, "gradient_norm").T)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(digits.trace.layer_names)
    assert list(axes.get_yticks()) == [0, 1, 2]
    bottom, top = axes.get_ylim()
    assert bottom < top
    left, right = axes.get_xlim()
    assert left <= 0 < 300 <= right
    assert axes.texts[0].get_text().startswith("in the end the first layer's is")


def test_a_layer_without_gradient_has_the_colour_of_none(digits) -> None:
    trace = digits.trace
    gradients = trace.part_columns["gradient_norm"].copy()
    gradients[:, :2] = 0
    axes = ds.draw.layers(trace.replace(part_columns={**trace.part_columns, "gradient_norm": gradients}))
    mesh = next(one for one in axes.collections if isinstance(one, QuadMesh))
    colours = mesh.to_rgba(mesh.get_array())
    assert np.all(colours[0] == mesh.cmap.get_under())
    assert not np.any(np.all(colours[1] == mesh.cmap.get_under(), axis=-1))
    assert axes.texts[0].get_text().startswith("none reaches the first layer; pale red")


def test_activations_have_a_column_of_panels_a_layer(digits) -> None:
    trace = digits.trace
    panels = ds.draw.activations(trace)
    assert len(panels) == 9
    for layer in range(3):
        upper, middle, lower = panels[layer], panels[3 + layer], panels[6 + layer]
        mean, deviation = (trace.layer_columns[f"activation_{name}"][:, layer] for name in ("mean", "deviation"))
        np.testing.assert_allclose(line(upper, "mean")[:, 1], mean)
        band = upper.collections[0].get_paths()[0].vertices[:, 1]
        assert band.min() == pytest.approx((mean - deviation).min())
        assert band.max() == pytest.approx((mean + deviation).max())
        variation = np.asarray(middle.get_lines()[0].get_ydata())
        np.testing.assert_allclose(variation, trace.layer_columns["activation_variation"][:, layer])
        for name in ("saturated", "dead"):
            np.testing.assert_allclose(line(lower, name)[:, 1], trace.layer_columns[f"{name}_share"][:, layer])
    assert panels[8].texts[0].get_text() == "never flat"
    assert panels[0].get_title() == f"{trace.layer_names[0]}\nrelu"


def test_layers_of_unknown_activation_leave_their_place_to_others(digits) -> None:
    trace = digits.trace
    unknown = {name: column.copy() for name, column in trace.layer_columns.items()}
    for column in unknown.values():
        column[:, 1] = np.nan
    panels = ds.draw.activations(trace.replace(layer_columns=unknown))
    assert [panel.get_title().split("\n")[0] for panel in panels[:2]] == [trace.layer_names[0], trace.layer_names[2]]
    assert "2 of 3 layers" in panels[0].figure.get_suptitle()


def test_updates_are_lengths_over_those_of_the_weights(digits) -> None:
    trace = digits.trace
    axes = ds.draw.updates(trace)
    ratios = norms(trace, "update_norm") / norms(trace, "parameter_norm")
    for place, layer in enumerate(trace.layer_names):
        np.testing.assert_allclose(line(axes, layer)[:, 1], ratios[:, place])
    assert axes.get_yscale() == "log"
    assert any(np.all(np.asarray(one.get_ydata()) == USUAL) for one in axes.get_lines())
    assert "0.001" in axes.texts[0].get_text()


def test_a_layer_that_stands_still_is_told(digits) -> None:
    trace = digits.trace
    lengths = trace.part_columns["update_norm"].copy()
    lengths[:, :2] = 0
    axes = ds.draw.updates(trace.replace(part_columns={**trace.part_columns, "update_norm": lengths}))
    assert f"{trace.layer_names[0]} (stands still)" in labels(axes)


def test_a_training_shows_loss_score_and_what_was_found(digits) -> None:
    trace = digits.trace
    loss, score, found = ds.draw.training(trace, ds.diagnose(trace))
    np.testing.assert_allclose(line(loss, "each step")[:, 1], trace.columns["value"])
    smooth = line(loss, "mean of 6 steps")
    assert smooth[0] == pytest.approx([2.5, np.mean(trace.columns["value"][:6])])
    validation = np.column_stack([trace.metrics["step"], trace.metrics["validation_loss"]])
    np.testing.assert_allclose(line(loss, "validation"), validation[np.isfinite(validation[:, 1])])
    assert line(score, "validation")[-1, 1] == digits.metrics["validation_accuracy"]
    assert line(score, "training")[-1, 1] == digits.metrics["training_accuracy"]
    reference = trace.facts["data"]["validation_reference_score"]
    assert line(score, "nearest neighbours")[0, 1] == reference
    assert [text.get_text() for text in found.texts] == [one.symptom.replace("_", " ") for one in ds.diagnose(trace)]
    assert len(ds.draw.training(trace)) == 2


def test_findings_lie_in_lanes_of_their_own_over_their_steps(digits) -> None:
    ranges = {"dead_units": (0, 300), "loss_spike": (250, 260), "rate_too_large": (40, 40)}
    given = [Finding(name, Severity.PROBLEM, "", {}, "", steps) for name, steps in ranges.items()]
    axes = ds.draw.training(digits.trace, given)[-1]
    for bar, (begin, end) in zip(axes.patches, ranges.values(), strict=True):
        assert bar.get_x() == begin
        assert bar.get_width() == pytest.approx(max(end - begin, 0.006 * 300))
    axes.figure.canvas.draw()
    boxes = [one.get_window_extent() for one in [*axes.patches, *axes.texts]]
    for place, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[place + 1 :])
    for text in axes.texts:
        box = text.get_window_extent()
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1


def test_sharpness_of_momentum_stands_beside_its_bound(iris) -> None:
    (axes,) = ds.draw.sharpness(iris.trace)
    spectra = iris.trace.spectra
    np.testing.assert_allclose(line(axes, "highest"), [[one.step, one.highest] for one in spectra])
    np.testing.assert_allclose(line(axes, "lowest"), [[one.step, one.lowest] for one in spectra])
    assert line(axes, "αλ = 2 + 2β:")[0, 1] == pytest.approx(3.8 / 0.01)
    assert spectra[-1].highest / 380 == pytest.approx(float(axes.get_title(loc="left").split()[4]), rel=0.1)


def test_sharpness_of_adam_is_that_of_the_scaled_hessian(digits) -> None:
    upper, lower = ds.draw.sharpness(digits.trace)
    known = [one for one in digits.trace.spectra if one.preconditioned_highest is not None]
    np.testing.assert_allclose(line(upper, "highest"), [[one.step, one.preconditioned_highest] for one in known])
    assert line(upper, "αλ = 38:")[0, 1] == pytest.approx(38 / 1e-3)
    np.testing.assert_allclose(line(lower, "highest")[:, 1], [one.highest for one in digits.trace.spectra])


def test_the_bound_follows_the_rate() -> None:
    settings = {"steps": 60, "method": "gradient descent", "schedule": "cosine", "learning_rate": 0.1}
    trace = ds.train(data="iris", hidden=(4,), layers_every=0, progress=False, **settings).trace
    bound = line(ds.draw.sharpness(trace)[0], "αλ = 2:")
    rates = trace.columns["learning_rate"]
    np.testing.assert_allclose(bound[:, 1], 2 / rates[rates > 0])


@pytest.mark.parametrize("name", ds.method_names())
def test_bounds_are_those_of_the_diagnosis(iris, name: str) -> None:
    trace = iris.trace.replace(plan={"method": name, "settings": {"momentum": 0.8, "beta1": 0.7}})
    found = bound_of(trace)
    assert (found and found[0]) == facts_of(trace.plan).bound


def test_a_slice_of_a_bowl_is_the_bowl() -> None:
    bowl = ds.objective("f(x, y, z) = x² + 3y² + 10z²")
    trace = ds.descend(bowl, {"x": 1, "y": 0.5, "z": 0.2}, learning_rate=0.04, steps=15)
    axes = ds.draw.slice(bowl, trace, reach=0.3)
    end = np.array([float(trace.end[name]) for name in "xyz"])
    slope = np.array([2, 6, 20]) * end
    beside = np.array([slope[0], slope[1], 0]) / np.hypot(*slope[:2])
    way = line(axes, "the path")
    np.testing.assert_allclose(way[:, 1], (trace.coordinates - end) @ beside, atol=1e-12)
    np.testing.assert_allclose(np.abs(way[:, 0]), np.abs(trace.coordinates[:, 2] - end[2]), atol=1e-12)
    assert "λ = 20" in axes.get_xlabel()
    bands = next(one for one in axes.collections if getattr(one, "levels", None) is not None)
    assert bands.levels[-1] > bands.levels[0] >= 0


def xor(point) -> jnp.ndarray:
    """Return the squared error of a network 2 → 3 → 1 on the exclusive or."""
    hidden = jnp.tanh(INPUTS @ point["0/weight"] + point["0/bias"])
    return jnp.mean((hidden @ point["1/weight"] + point["1/bias"] - TARGETS[:, None]) ** 2)


@pytest.fixture(scope="module")
def small() -> ds.Trace:
    random = np.random.default_rng(0)
    start = {"0/weight": random.normal(size=(2, 3)), "1/weight": random.normal(size=(3, 1))}
    start |= {"0/bias": np.zeros(3), "1/bias": np.zeros(1)}
    return ds.descend(ds.objective(xor), start, learning_rate=0.1, steps=100)


def test_a_slice_is_a_plane_through_the_end(small) -> None:
    from downslope.draw._slice import Plane

    objective = ds.objective(xor)
    plane = Plane(objective, small, None)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-9)
    assert plane.heights(np.zeros((1, 1)), np.zeros((1, 1)))[0, 0] == pytest.approx(small.value)
    step = 1e-3
    bent = plane.heights(np.array([[-step, 0, step]]), np.zeros((1, 3)))[0]
    assert (bent[0] + bent[2] - 2 * bent[1]) / step**2 == pytest.approx(small.end_spectrum.highest, rel=1e-2)
    offset = np.concatenate([np.ravel(small.start[part] - small.end[part]) for part in small.part_names])
    assert plane.away() ** 2 + plane.way()[0] @ plane.way()[0] == pytest.approx(offset @ offset)
    assert labels(ds.draw.slice(objective, small))[-1] == "the end"


def test_a_slice_takes_a_tree_like_the_point() -> None:
    def loss(tree) -> jnp.ndarray:
        return jnp.sum(tree["a"]["w"] ** 2) + 4 * tree["b"] ** 2 + tree["b"]

    start = {"a": {"w": np.array([1.0, 2.0])}, "b": np.array(3.0)}
    trace = ds.descend(ds.objective(loss), start, learning_rate=0.05, steps=20)
    axes = ds.draw.slice(ds.objective(loss), trace, like=start)
    assert "λ = 8" in axes.get_xlabel()
    with pytest.raises(ds.PointError, match="has others"):
        ds.draw.slice(ds.objective(loss), trace, like={"c": np.zeros(3)})


def test_a_network_is_a_graph_of_its_weights(iris) -> None:
    trace = iris.trace
    axes = ds.draw.network(trace)
    edges = [one for one in axes.collections if isinstance(one, LineCollection)]
    assert [len(one.get_segments()) for one in edges] == [20, 15]
    kernels = [np.asarray(trace.end[f"layers/{place}/weight"]) for place in (0, 1)]
    widest = max(np.abs(kernel).max() for kernel in kernels)
    for drawn, kernel in zip(edges, kernels, strict=True):
        shares = np.sort(np.abs(kernel), axis=None) / widest
        np.testing.assert_allclose(np.asarray(drawn.get_linewidths()) / 4.5, shares)
        blue = np.asarray(drawn.get_colors())[:, 2] > 0.5
        assert blue.sum() == (kernel > 0).sum()
    written = [text.get_text() for text in axes.texts]
    assert {"petal width", "setosa"} <= set(written)
    last = norms(trace, "gradient_norm")[-1, 0]
    assert any(text.startswith("layers/0\n") and f"{last:.2g}" in text for text in written)


def test_a_network_shows_the_gradients_that_were_kept(small) -> None:
    axes = ds.draw.network(small)
    written = [text.get_text() for text in axes.texts if text.get_text().startswith("∂")]
    assert len(written) == 9
    place = small.coordinate_names.index("0/weight[0,0]")
    assert written[0].endswith(f"{small.gradients[-1, place]:.2g}".replace("-", "−"))
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().startswith("∂")]
    for place, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[place + 1 :])


def test_axes_that_are_given_are_used(digits, iris) -> None:
    for picture, trace in [
        (ds.draw.layers, digits.trace),
        (ds.draw.updates, digits.trace),
        (ds.draw.network, iris.trace),
    ]:
        own = ds.draw.curve(ds.objective("x²"))
        assert picture(trace, axes=own) is own
    for picture in (ds.draw.training, ds.draw.activations, ds.draw.sharpness):
        panels = picture(digits.trace)
        assert picture(digits.trace, axes=panels) == panels


def test_a_descent_without_measurements_is_its_loss_alone() -> None:
    (loss,) = ds.draw.training(ds.descend("x²", 1, learning_rate=0.1, steps=40))
    assert labels(loss) == ["each step"]


@pytest.mark.parametrize(
    "choices",
    [
        {"hidden": (8,) * 4, "activation": "sigmoid", "initialisation": "uniform_0.05"},
        {"learning_rate": 1e4, "method": "gradient descent", "activation": "linear", "loss": "mean squared error"},
        {"learning_rate": 30.0, "method": "gradient descent"},
        {"learning_rate": 1e-30, "method": "gradient descent"},
    ],
    ids=["vanishing", "not finite", "too large", "standing still"],
)
def test_sick_trainings_can_be_looked_at(choices) -> None:
    trace = ds.train(data="iris", steps=40, progress=False, **choices).trace
    for name, picture in PICTURES.items():
        axes = first(picture(trace))
        axes.figure.canvas.draw()
        assert np.all(np.isfinite([*axes.get_xlim(), *axes.get_ylim()])), name


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (ds.draw.layers, "no layers"),
        (ds.draw.activations, "no layers"),
        (ds.draw.updates, "no layers"),
        (ds.draw.network, "dense layers"),
        (ds.draw.sharpness, "no curvature"),
    ],
)
def test_what_a_trace_does_not_hold_is_told(picture, told: str) -> None:
    trace = ds.descend("x²", 1, record=Record(spectrum=False), steps=5)
    with pytest.raises(ds.SettingError, match=told):
        picture(trace)


def test_larger_networks_are_no_graphs(digits) -> None:
    with pytest.raises(ds.SettingError, match="202 units, more than the 40") as raised:
        ds.draw.network(digits.trace)
    assert "draw.layers" in raised.value.hint


def test_a_slice_needs_two_directions_and_a_curvature() -> None:
    with pytest.raises(ds.PointError, match="has only one"):
        ds.draw.slice(ds.objective("x²"), ds.descend("x²", 1, steps=5))
    flat = ds.descend("x² + y²", {"x": 1, "y": 1}, record=Record(spectrum=False), steps=5)
    with pytest.raises(ds.PointError, match="no curvature"):
        ds.draw.slice(ds.objective("x² + y²"), flat)


def test_long_traces_are_drawn_by_medians() -> None:
    steps = np.arange(1000)
    rows = np.column_stack([steps.astype(float), np.where(steps < 500, np.nan, 7.0)])
    middles, medians = in_blocks(steps, rows, 100)
    assert len(middles) == 100
    np.testing.assert_allclose(middles, medians[:, 0])
    assert np.isnan(medians[:50, 1]).all()
    assert (medians[50:, 1] == 7).all()
    np.testing.assert_array_equal(evenly_spread(31, 6), [0, 6, 12, 18, 24, 30])
    assert len(short("blocks/0/attention/query/projection")) == 26
