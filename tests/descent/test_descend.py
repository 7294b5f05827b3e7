"""The compiled descent against plain arithmetic, Optax itself, and closed forms."""

from __future__ import annotations

import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope.descent._descend import prepared
from downslope.trace import Outcome

ROSENBROCK = "100(y - x²)² + (1 - x)²"


def by_hand(x: float, rate: float, steps: int) -> list[float]:
    """Return the path of gradient descent on x² - 4x + 5."""
    path = [x]
    for _ in range(steps):
        path.append(path[-1] - rate * (2 * path[-1] - 4))
    return path


def test_parabola_takes_the_steps_of_the_formula() -> None:
    trace = ds.descend("f(x) = x² - 4x + 5", {"x": 0}, learning_rate=0.1, steps=20)
    assert trace.coordinates is not None
    np.testing.assert_allclose(trace.coordinates[:, 0], by_hand(0.0, 0.1, 20), rtol=1e-15)
    assert trace.outcome is Outcome.STEPS_USED
    assert len(trace) == 21


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 255, 256, 4999, 5000, 5001, 5003])
def test_any_number_of_steps_gives_one_row_more(steps: int) -> None:
    trace = ds.descend(ROSENBROCK, {"x": -1.2, "y": 1.0}, learning_rate=1e-4, steps=steps)
    assert len(trace) == steps + 1
    np.testing.assert_array_equal(trace.columns["step"], np.arange(steps + 1))
    assert trace.coordinates is not None
    assert float(trace.end["x"]) == trace.coordinates[-1, 0]


def test_running_ahead_changes_nothing() -> None:
    few = ds.descend(ROSENBROCK, {"x": -1.2, "y": 1.0}, learning_rate=1e-3, steps=300)
    many = ds.descend(ROSENBROCK, {"x": -1.2, "y": 1.0}, learning_rate=1e-3, steps=6001)
    assert few.coordinates is not None
    assert many.coordinates is not None
    np.testing.assert_allclose(few.coordinates, many.coordinates[:301], rtol=1e-12)


def test_stops_at_the_first_row_below_the_tolerance() -> None:
    for steps in (200, 20_000):
        trace = ds.descend("x²", 10.0, learning_rate=0.1, steps=steps, tolerance=1e-6)
        norms = trace.columns["gradient_norm"]
        assert trace.outcome is Outcome.CONVERGED
        assert norms[-1] <= 1e-6 < norms[-2]


@pytest.mark.parametrize("steps", [3000, 30_000])
def test_ends_at_the_last_finite_point(steps: int) -> None:
    trace = ds.descend("f(x) = x²", 10.0, learning_rate=1.1, steps=steps)
    assert trace.outcome is Outcome.NOT_FINITE
    assert trace.not_finite_part == "value"
    assert trace.not_finite_step == trace.last_step + 1
    assert np.isfinite(trace.columns["value"]).all()
    growth = 1.2**trace.last_step * 10
    assert abs(float(trace.end["x"])) == pytest.approx(growth, rel=1e-9)


def test_a_start_outside_the_domain_is_an_outcome() -> None:
    trace = ds.descend("ln(x)", -1.0)
    assert trace.outcome is Outcome.NOT_FINITE
    assert (trace.not_finite_step, trace.last_step) == (0, 0)


def test_stalls_where_the_steps_drown_in_rounding() -> None:
    trace = ds.descend("(x - 1)² + 1", 3.0, learning_rate=0.1, steps=5000, tolerance=0.0)
    assert trace.outcome in {Outcome.STALLED, Outcome.CONVERGED}
    assert float(trace.end["x"]) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "transformation"),
    [
        ("momentum", lambda rate: optax.sgd(rate, momentum=0.9)),
        ("nesterov", lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True)),
        ("adagrad", optax.adagrad),
        ("rmsprop", lambda rate: optax.rmsprop(rate, decay=0.9)),
        ("adam", optax.adam),
        ("adamw", optax.adamw),
        ("lion", optax.lion),
    ],
)
def test_methods_step_as_optax_does(name: str, transformation) -> None:
    with jax.enable_x64(True):
        rule = transformation(0.001)
        point = {"x": jnp.asarray(-1.2), "y": jnp.asarray(1.0)}
        state = rule.init(point)
        gradient = jax.grad(lambda p: 100 * (p["y"] - p["x"] ** 2) ** 2 + (1 - p["x"]) ** 2)
        for _ in range(40):
            update, state = rule.update(gradient(point), state, point)
            point = optax.apply_updates(point, update)
    trace = ds.descend(ROSENBROCK, {"x": -1.2, "y": 1.0}, method=name, learning_rate=0.001, steps=40)
    assert float(trace.end["x"]) == pytest.approx(float(point["x"]), rel=1e-12)
    assert float(trace.end["y"]) == pytest.approx(float(point["y"]), rel=1e-12)


def test_an_optax_transformation_is_taken_as_it_is() -> None:
    own = ds.descend(ROSENBROCK, (-1.2, 1.0), method="adam", learning_rate=0.01, steps=50)
    theirs = ds.descend(ROSENBROCK, (-1.2, 1.0), method=optax.adam(0.01), steps=50)
    np.testing.assert_allclose(own.coordinates, theirs.coordinates, rtol=1e-12)
    assert np.isnan(theirs.columns["learning_rate"]).all()


@pytest.mark.parametrize("name", ["newton", "bfgs", "l-bfgs"])
def test_second_order_methods_reach_the_bottom_of_the_narrow_valley(name: str) -> None:
    trace = ds.descend(ROSENBROCK, (-1.2, 1.0), method=name, steps=100)
    assert trace.value < 1e-18
    assert trace.last_step < 60


def test_newton_goes_down_from_beside_a_maximum() -> None:
    trace = ds.descend("x⁴ - 2x²", 0.1, method="newton", steps=50)
    assert abs(float(trace.end["x"])) == pytest.approx(1.0, abs=1e-9)


def test_another_rate_start_or_number_of_steps_compiles_nothing() -> None:
    plan = ds.plan("f(x) = x² - 4x + 5.25", {"x": 0}, learning_rate=0.1, steps=20, engine="jax")
    ds.descend(plan)
    begin = prepared(plan).program.begin
    before = begin._cache_size()
    for rate, start, steps in [(0.2, 1.0, 20), (0.05, -3.0, 40), (0.01, 2.5, 99)]:
        ds.descend("f(x) = x² - 4x + 5.25", start, learning_rate=rate, steps=steps, engine="jax")
    other = ds.plan("f(x) = x² - 4x + 5.25", 4.0, learning_rate=0.3, steps=77, engine="jax")
    assert prepared(other).program.begin is begin
    assert begin._cache_size() == before == 1


def test_another_setting_of_a_method_compiles_nothing() -> None:
    plans = [
        ds.plan(ROSENBROCK, (0, 0), method="adam", beta1=beta, clip_norm=clip, engine="jax")
        for beta, clip in [(0.9, 1), (0.5, 9)]
    ]
    for plan in plans:
        ds.descend(plan)
    begin = prepared(plans[0]).program.begin
    assert prepared(plans[1]).program.begin is begin
    assert begin._cache_size() == 1


@pytest.mark.parametrize("every", [1, 2, 7, 50, 100, 101])
def test_every_kth_step_is_recorded_as_it_would_be_anyway(every: int) -> None:
    whole = ds.descend(ROSENBROCK, (-1.2, 1.0), learning_rate=1e-3, steps=100)
    some = ds.descend(ROSENBROCK, (-1.2, 1.0), learning_rate=1e-3, steps=100, record=every)
    rows = np.unique([*range(0, 101, every), 100])
    np.testing.assert_array_equal(some.columns["step"], rows)
    for name in whole.columns:
        expected = whole.columns[name][rows]
        np.testing.assert_allclose(some.columns[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_predicted_decrease_is_exact_on_a_quadratic() -> None:
    for method in ("gradient descent", "momentum", "adam"):
        trace = ds.descend("3x² + x y + 2y²", (4, 3), method=method, learning_rate=0.05, steps=30)
        columns = trace.columns
        np.testing.assert_allclose(
            columns["predicted_decrease"][:-1], columns["actual_decrease"][:-1], rtol=1e-9, atol=1e-12
        )


def test_curvature_is_along_the_gradient() -> None:
    trace = ds.descend("x² + 2y²", (4, 3), learning_rate=0.1, steps=5)
    assert trace.gradients is not None
    g = trace.gradients
    expected = (2 * g[:, 0] ** 2 + 4 * g[:, 1] ** 2) / (g**2).sum(axis=1)
    np.testing.assert_allclose(trace.columns["curvature"], expected, rtol=1e-12)


def test_spectra_at_both_ends() -> None:
    trace = ds.descend("x⁴ + 3y²", (1, 1), learning_rate=0.01, steps=10)
    first, last = trace.spectra
    np.testing.assert_allclose(first.eigenvalues, [6, 12], rtol=1e-12)
    np.testing.assert_allclose(last.eigenvalues, sorted([6, 12 * float(trace.end["x"]) ** 2]), rtol=1e-9)


def test_a_function_of_arrays_keeps_norms_by_part() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.normal(size=(30, 5)), rng.normal(size=30)

    def loss(point):
        return jnp.mean((matrix @ point["w"] + point["b"] - target) ** 2)

    start = {"w": np.ones(25).reshape(5, 5)[0] * 0.5, "b": 0.0}
    trace = ds.descend(loss, start, learning_rate=0.1, steps=500)
    expected, *_ = np.linalg.lstsq(np.c_[matrix, np.ones(30)], target, rcond=None)
    np.testing.assert_allclose(np.r_[trace.end["w"], trace.end["b"]], expected, rtol=1e-6)
    assert trace.parts.columns == ["step", "part", "parameter_norm", "gradient_norm", "update_norm"]
    assert set(trace.parts["part"]) == {"w", "b"}


def test_large_points_keep_norms_and_ends_only() -> None:
    diagonal = np.linspace(1, 10, 40)
    trace = ds.descend(lambda p: jnp.sum(diagonal * p["w"] ** 2) / 2, {"w": np.ones(40)}, learning_rate=0.1, steps=50)
    assert trace.coordinates is None
    np.testing.assert_allclose(trace.end["w"], (1 - 0.1 * diagonal) ** 50, atol=1e-12)
    np.testing.assert_allclose(trace.columns["gradient_norm"][0], np.linalg.norm(diagonal), rtol=1e-12)
    assert trace.end_spectrum is not None
    assert trace.end_spectrum.highest == pytest.approx(10, rel=1e-3)
    assert trace.end_spectrum.lowest == pytest.approx(1, rel=2e-2)


def test_float32_stays_float32_and_the_callers_setting_is_left_alone() -> None:
    objective = ds.objective(lambda p: jnp.sum(p["w"] ** 2), precision="float32")
    trace = ds.descend(objective, {"w": np.ones(40)}, learning_rate=0.1, steps=5)
    assert trace.end["w"].dtype == np.float32
    assert jnp.ones(1).dtype == jnp.float32


@pytest.mark.parametrize(
    ("schedule", "settings", "expected"),
    [
        ("constant", {}, lambda t: 1.0),
        ("step", {"factor": 0.5, "every": 10}, lambda t: 0.5 ** (t // 10)),
        ("exponential", {"factor": 0.01}, lambda t: 0.01 ** (t / 40)),
        ("cosine", {}, lambda t: (1 + np.cos(np.pi * t / 40)) / 2),
        ("warm-up", {"warm_up": 8}, lambda t: min(1.0, (t + 1) / 8)),
    ],
)
def test_schedules_move_the_point_by_their_rate(schedule, settings, expected) -> None:
    trace = ds.descend("x²", 5.0, learning_rate=0.05, steps=40, schedule=schedule, **settings)
    assert trace.coordinates is not None
    x = 5.0
    for t in range(40):
        rate = 0.05 * expected(t)
        assert trace.columns["learning_rate"][t] == pytest.approx(rate, rel=1e-12)
        x -= rate * 2 * x
        assert trace.coordinates[t + 1, 0] == pytest.approx(x, rel=1e-9)


def test_an_optax_schedule_is_a_rate() -> None:
    trace = ds.descend("x²", 5.0, learning_rate=optax.cosine_decay_schedule(0.1, 30), steps=30)
    expected = [float(optax.cosine_decay_schedule(0.1, 30)(t)) for t in range(30)]
    np.testing.assert_allclose(trace.columns["learning_rate"][:-1], expected, rtol=1e-5)


def test_clipping_bounds_the_update_and_not_the_record() -> None:
    free = ds.descend("x² + y²", (30, 40), learning_rate=0.1, steps=1)
    by_norm = ds.descend("x² + y²", (30, 40), learning_rate=0.1, steps=1, clip_norm=1.0)
    by_value = ds.descend("x² + y²", (30, 40), learning_rate=0.1, steps=1, clip_value=2.0)
    assert free.columns["gradient_norm"][0] == by_norm.columns["gradient_norm"][0] == 100
    assert by_norm.columns["update_norm"][0] == pytest.approx(0.1)
    np.testing.assert_allclose([float(by_value.end["x"]), float(by_value.end["y"])], [29.8, 39.8])


def test_noise_follows_its_seed() -> None:
    paths = [
        ds.descend("x²", 3.0, method="gradient descent with noise", steps=20, seed=seed, noise=0.5).coordinates
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(paths[0], paths[1])
    assert not np.array_equal(paths[0], paths[2])


def test_chunks_join_without_a_seam() -> None:
    def rosenbrock(point):
        return 100 * (point["y"] - point["x"] ** 2) ** 2 + (1 - point["x"]) ** 2

    seen: list[int] = []
    chunked = ds.descend(
        rosenbrock,
        {"x": -1.2, "y": 1.0},
        learning_rate=1e-3,
        steps=5000,
        progress=lambda done, steps, value: seen.append(done),
    )
    whole = ds.descend(ROSENBROCK, (-1.2, 1.0), learning_rate=1e-3, steps=5000)
    assert seen[0] == 1024
    assert seen[-1] == 5000
    np.testing.assert_allclose(chunked.coordinates, whole.coordinates, rtol=1e-9)
    np.testing.assert_allclose(chunked.columns["cosine"], whole.columns["cosine"], rtol=1e-6, atol=1e-9)


def test_ctrl_c_keeps_what_was_done() -> None:
    def interrupt(done: int, steps: int, value: float) -> None:
        if done < steps:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    trace = ds.descend(lambda p: p["x"] ** 2, {"x": 5.0}, learning_rate=1e-5, steps=50_000, progress=interrupt)
    assert trace.outcome is Outcome.INTERRUPTED
    assert 0 < trace.last_step < 50_000
    assert len(trace) == trace.last_step + 1
    assert signal.getsignal(signal.SIGINT) is before


def test_works_outside_the_main_thread() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(ds.descend("x²", 1.0, steps=3).last_step))
    thread.start()
    thread.join()
    assert found == [3]


def test_a_plan_is_the_same_descent() -> None:
    plan = ds.plan("x² + y²", (1, 2), learning_rate=0.1, steps=7)
    assert ds.descend(plan).value == ds.descend("x² + y²", (1, 2), learning_rate=0.1, steps=7).value
    with pytest.raises(ds.SettingError, match="holds its start"):
        ds.descend(plan, (1, 2))


def test_houses_of_the_article(houses: str) -> None:
    trace = ds.descend("Loss(w) = mean((price - w×size)²)", 0, data=houses, learning_rate=1e-5, steps=100)
    assert trace.coordinates is not None
    assert trace.gradients is not None
    assert trace.gradients[0, 0] == pytest.approx(-140000 / 3, rel=1e-14)
    np.testing.assert_allclose(trace.coordinates[1:4, 0], [0.46666667, 0.82444444, 1.09874074], rtol=1e-8)
    assert float(trace.end["w"]) == pytest.approx(2, abs=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "jax"])
@pytest.mark.parametrize("scale", ["1e-6", "1", "1e12", "1e20", "1e100"])
def test_second_order_methods_reach_the_minimum_at_any_scale_of_the_value(scale, engine):
    for method in ("newton", "bfgs", "l-bfgs"):
        trace = ds.descend(f"{scale}·((x - 1)² + 3(y + 2)²)", {"x": 3, "y": 1}, method=method, engine=engine)
        assert [float(trace.end[name]) for name in "xy"] == pytest.approx(
            [1, -2], abs=1e-3 if scale == "1e-6" else 1e-6
        )
