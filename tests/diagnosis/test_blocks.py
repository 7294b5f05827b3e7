"""Whether a column rose is decided by its own noise, whatever its unit, its trend and its tails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from downslope.diagnosis._blocks import ALARM, Blocks

Noise = Callable[[np.random.Generator, int], np.ndarray]


def white(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.normal(size=rows)


def long_tails(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.standard_t(3, size=rows)


def slow(random: np.random.Generator, rows: int) -> np.ndarray:
    """Return noise of which each row has half of the one before."""
    noise = random.normal(size=rows)
    for row in range(1, rows):
        noise[row] = 0.5 * noise[row - 1] + np.sqrt(0.75) * noise[row]
    return noise


@pytest.mark.parametrize("noise", [white, long_tails, slow])
@pytest.mark.parametrize("rows", [6, 12, 30, 120])
def test_columns_in_which_nothing_happens_seldom_rise(noise: Noise, rows: int) -> None:
    columns = [1.0 + 0.01 * noise(np.random.default_rng(seed), rows) for seed in range(40)]
    # Twice the rate, and as much again for so few columns.
    assert sum(Blocks(column).rose for column in columns) <= 40 * 4 * ALARM


@pytest.mark.parametrize("rows", [12, 30, 120])
def test_falling_columns_do_not_rise(rows: int) -> None:
    fall = 0.5 + 2 * np.exp(-np.arange(rows) * 8 / rows)
    assert sum(Blocks(fall * (1 + 0.01 * white(np.random.default_rng(seed), rows))).rose for seed in range(30)) <= 3


@pytest.mark.parametrize("rows", [12, 30, 120])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_rise_of_many_noises_is_seen_in_any_unit(rows: int, unit: float) -> None:
    along = np.arange(rows) / rows
    turned = 0.5 + 2 * np.exp(-20 * along) + 0.25 * np.maximum(along - 0.3, 0)
    for seed in range(10):
        assert Blocks(unit * turned * (1 + 0.01 * white(np.random.default_rng(seed), rows))).rose


def test_few_numbers_rise_only_one_after_the_other() -> None:
    assert Blocks(np.array([0.32, 0.33, 0.35, 0.36])).rises_each_time
    assert not Blocks(np.array([0.35, 0.32, 0.33, 0.36])).rises_each_time
    assert not Blocks(np.array([0.32, 0.33])).rises_each_time
    assert not Blocks(np.array([0.32, 0.35, 0.33, 0.36, 0.37])).rises_each_time


def test_columns_without_noise_and_of_a_few_rows_raise_no_error() -> None:
    for numbers in ([], [1.0], [1.0, 2.0], [1.0] * 50, [0.0] * 30, np.linspace(2, 1, 40)):
        blocks = Blocks(np.asarray(numbers, dtype=float))
        assert not blocks.rose
        assert not blocks.rises_each_time


def test_a_smooth_loss_that_turns_has_risen_although_its_bend_is_no_noise():
    n = np.arange(40)
    for bend in (8, 20):
        assert Blocks(2.3 * 0.85 ** np.minimum(n, bend) + 0.05 * np.maximum(n - bend, 0)).rose
    assert not Blocks(2.3 * 0.85**n).rose
