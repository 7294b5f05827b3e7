"""End points become basins: their kinds, their bottoms, and when two are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope.ensembles._basins import gathered, heights, level, point_in_words, relief, shown_row
from downslope.ensembles._space import Space, space_of


def square(text: str, half: float = 2.0) -> Space:
    objective = ds.objective(text)
    return space_of(objective, dict.fromkeys(objective.names, (-half, half)))


def test_heights_are_those_of_the_formula() -> None:
    space = square("x² - 3 y")
    points = np.random.default_rng(0).uniform(-2, 2, (7, 2))
    np.testing.assert_allclose(heights(space, points), points[:, 0] ** 2 - 3 * points[:, 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "end", "kind"),
    [
        ("x² + y²", (0, 0), "minimum"),
        ("x² - y²", (0, 0), "saddle"),
        ("-x² - y²", (0, 0), "maximum"),
        ("f(x, y) = 1 + 0x + 0y", (0.3, 0.2), "flat"),
        ("x + y²", (-2, 0), "edge"),
        ("x² + y²", (0.01, 0.01), "minimum"),  # near enough for Newton's steps in a bowl
        ("|x| + y²", (0, 0), "minimum"),  # a kink, where no gradient vanishes
        ("sin(9x) + y²", (1.0, 0), "not at rest"),
    ],
)
def test_kinds_are_read_from_gradient_and_curvature(text, end, kind) -> None:
    (basin,), index = gathered(square(text), np.array([end], float))
    assert (basin.kind, index.tolist()) == (kind, [0])


def test_ends_move_to_the_bottom_by_newtons_steps() -> None:
    space = square("(x - 0.3)⁴ + (x - 0.3)² + 5 (y + 0.7)²")
    basins, index = gathered(space, np.array([[0.3001, -0.7001], [0.29995, -0.69995]]))
    assert index.tolist() == [0, 0]
    assert basins[0].point == pytest.approx({"x": 0.3, "y": -0.7}, abs=1e-12)
    assert (basins[0].count, basins[0].share) == (2, 1.0)


def test_the_lowest_basin_comes_first_and_shares_add_up() -> None:
    space = square("x⁴ - 2x² + x/5 + y²")
    roots = sorted(np.roots([4, 0, -4, 0.2]).real)
    ends = np.array([[roots[2], 0.0]] * 3 + [[roots[0], 0.0]] * 2 + [[np.nan, 0.0], [1e9, 0.0]])
    basins, index = gathered(space, ends)
    assert [basin.point["x"] for basin in basins] == pytest.approx([roots[0], roots[2]], abs=1e-9)
    assert index.tolist() == [1, 1, 1, 0, 0, -1, -1]
    assert [basin.share for basin in basins] == pytest.approx([2 / 7, 3 / 7])


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_the_relief_scales_with_the_value_and_ignores_a_constant(scale, shift) -> None:
    space = square("x⁴ + y²")
    plain = relief(space)
    points = space.drawn(1024, 0)
    values = scale * (points[:, 0] ** 4 + points[:, 1] ** 2) + shift
    assert np.quantile(values, 0.1) - values.min() == pytest.approx(scale * plain, rel=1e-6, abs=1e-9 * abs(shift))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_level_is_symmetric_and_holds_for_equal_values(first, second, rise) -> None:
    assert level(first, second, rise) == level(second, first, rise)
    assert level(first, first, rise)


def test_what_is_level_depends_on_the_relief() -> None:
    assert not level(0.0, 1e-9, 1.0)
    assert level(0.0, 1e-9, 1e3)
    assert level(1e6, 1e6 + 1e-4, 0.0)


def test_rounding_is_shown_as_zero() -> None:
    space = square("x² + y²")
    (basin,), _ = gathered(space, np.array([[1e-15, 1e-14]]))
    assert shown_row(space, basin).tolist() == [0.0, 0.0]
    assert point_in_words(("x", "y"), np.array([-1.473, 2.0])) == "x = −1.473, y = 2"
    assert point_in_words(tuple("abcdefgh"), np.arange(8.0)).endswith("f = 5, …")
