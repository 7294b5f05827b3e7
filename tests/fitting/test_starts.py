"""The search for a start."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import numpy as np
import pytest

import downslope as ds
from downslope.fitting._constraints import constraints
from downslope.fitting._model import model_of
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._starts import _apart, _crossed, _drawn, _least_squares, _or_infinite, _ranked, search_start
from downslope.fitting._waves import waves_in
from downslope.tables import read_table
from tests.fitting.problems import BUMPS, DECAY, decay, noisy


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


OPEN = (np.full(3, -np.inf), np.full(3, np.inf))


def decaying() -> tuple:
    columns = decay()
    model = model_of(DECAY, read_table(columns), None, ())
    problem = FitProblem(model.equation.right.body, model.parameters, model.parameters, (), "linear")
    return model, problem, FitArguments({"x": columns["x"]}, columns["y"], np.ones(40), {}, np.float64(1))


def test_linear_parameters_are_those_of_least_squares() -> None:
    _, problem, arguments = decaying()
    guesses = np.array([[9.0, 0.5, 9.0], [0.0, 2.0, -3.0]])
    with jax.enable_x64(True):
        starts, squares = jax.device_get(_ranked(problem, ("a", "c"))(guesses, arguments, OPEN))
    for guess, start, height in zip(guesses, starts, squares, strict=True):
        design = np.column_stack([np.exp(-guess[1] * arguments.columns["x"]), np.ones(40)])
        wanted, left, _, _ = np.linalg.lstsq(design, arguments.measured, rcond=None)
        np.testing.assert_allclose(start, [wanted[0], guess[1], wanted[1]], rtol=1e-8)
        assert height == pytest.approx(left[0], rel=1e-8)


def test_the_normal_equations_bear_columns_of_any_length_and_of_none() -> None:
    random = np.random.default_rng(0)
    slopes = random.normal(size=(3, 25)) * np.array([[1e-8], [1.0], [1e8]])
    target = random.normal(size=25)
    with jax.enable_x64(True):
        found = np.asarray(_least_squares(np, slopes, target))
        dead = np.asarray(_least_squares(np, slopes * np.array([[1], [0], [1]]), target))
    np.testing.assert_allclose(found, np.linalg.lstsq(slopes.T / 1.0, target, rcond=1e-30)[0], rtol=1e-6)
    assert dead[1] == 0
    assert np.all(np.isfinite(dead))


def test_a_start_reaches_the_lowest_squares() -> None:
    model, problem, arguments = decaying()
    with jax.enable_x64(True):
        start = search_start(model, problem, arguments, OPEN, seed=0)
    found = ds.fit(DECAY, decay(), start=dict(zip("akc", start, strict=True)))
    assert found.values == pytest.approx(ds.fit(DECAY, decay(), start={"a": 3, "k": 0.5, "c": 1}).values, rel=1e-6)


def test_a_linear_model_needs_no_search() -> None:
    columns = decay()
    model = model_of("y = w x + b", read_table(columns), None, ())
    problem = FitProblem(model.equation.right.body, ("w", "b"), ("w", "b"), (), "linear")
    arguments = FitArguments({"x": columns["x"]}, columns["y"], np.ones(40), {}, np.float64(1))
    limits = constraints(model, None, None, {"w": (1, 2)})
    np.testing.assert_array_equal(search_start(model, problem, arguments, limits.bounds, 0), [1.0, 0.0])


def test_guesses_are_of_the_order_of_their_columns() -> None:
    columns = {"x": np.linspace(100, 200, 30)}
    random = np.random.default_rng(0)
    inverse = np.abs(_drawn({"x": -1.0}, columns, random))
    assert 1 / 200 < np.median(inverse) < 1 / 20  # one over the size or over the spread of the column
    positions = _drawn({"x": 1.0}, columns, random)
    assert np.mean((positions >= 100) & (positions <= 200)) > 0.5  # half of them lie on the axis
    plain = np.abs(_drawn({}, columns, random))
    assert np.median(plain) == pytest.approx(1, rel=0.1)
    assert np.std(np.log10(plain)) == pytest.approx(1, rel=0.1)


def test_crossed_guesses_come_from_parents_and_half_stay() -> None:
    random = np.random.default_rng(0)
    crossed = _crossed(np.full((4000, 2), -1.0), np.arange(10.0)[:, None] * np.ones((1, 2)), random)
    shares = np.mean(crossed >= 0)
    assert shares == pytest.approx(0.5 * 0.75, abs=0.02)
    assert np.mean(np.all(crossed == -1, axis=1)) == pytest.approx(0.5 + 0.5 * 0.25**2, abs=0.02)


def test_the_best_that_differ_come_first() -> None:
    starts = np.concatenate([np.full((100, 1), 1.0), np.full((100, 1), 2.0), np.linspace(3, 9, 100)[:, None]])
    squares = np.concatenate([np.linspace(1, 2, 100), np.linspace(2, 3, 100), np.linspace(3, 4, 100)])
    chosen = _apart(starts, squares)
    assert chosen[:2].tolist() == [0, 100]
    assert len(chosen) == len(set(chosen.tolist()))
    assert _or_infinite(np.array([[1.0], [np.nan]]), np.array([1.0, 1.0])).tolist() == [1.0, np.inf]


@pytest.mark.parametrize(
    ("equation", "period"),
    [
        ("y = a sin(w t) + b cos(w t) + c", lambda fit: 2 * math.pi / fit["w"]),
        ("y = a sin(2π t/P + p) + c", lambda fit: fit["P"]),
    ],
)
@pytest.mark.parametrize(("rows", "length", "truth", "even"), [(300, 40, 0.3632, False), (20_000, 1000, 1.9, True)])
def test_fast_waves_are_found_without_a_start(
    equation: str, period: Callable[[ds.Fit], float], rows: int, length: float, truth: float, even: bool
) -> None:
    for seed in (4, 6)[: 1 if even else 2]:
        random = np.random.default_rng(seed)
        t = np.linspace(0, length, rows) if even else np.sort(random.uniform(0, length, rows))
        y = np.sin(math.tau * t / truth) + 0.5 * np.cos(math.tau * t / truth) + 3 + 0.4 * random.normal(size=rows)
        fit = ds.fit(equation, {"t": t, "y": y})
        assert period(fit) == pytest.approx(truth, rel=2e-3)
        assert fit.residual_standard_deviation == pytest.approx(0.4, rel=0.1)


def test_the_peaks_of_the_rows_are_those_of_the_wave() -> None:
    t = np.sort(np.random.default_rng(0).uniform(0, 40, 300))
    columns = {"t": t, "y": np.sin(17.3 * t)}
    model = model_of("y = a sin(w(t - s)) + b cos(2π (t - u)/P) + m t", read_table(columns), None, ())
    waves = waves_in(model, model.parameters, FitArguments({"t": t}, columns["y"], np.ones(300), {}, np.float64(1)))
    assert {name: wave.power for name, wave in waves.items()} == {"w": 1, "P": -1}
    assert waves["w"].peaks[0] / waves["w"].turns == pytest.approx(17.3, abs=0.02)
    assert waves["P"].turns / waves["P"].peaks[0] == pytest.approx(math.tau / 17.3, rel=2e-3)
    assert len(waves["w"].peaks) <= 24
