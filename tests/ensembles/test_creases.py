"""Points beside kinks go to the lowest point that the kinks lead to."""

from __future__ import annotations

import numpy as np
import pytest

import downslope as ds
from downslope.ensembles._basins import gathered
from downslope.ensembles._creases import Creases
from downslope.ensembles._space import space_of

BUKIN = "f(x, y) = 100√|y - 0.01x²| + 0.01|x + 10|"


@pytest.mark.parametrize(
    ("text", "box", "point", "bottom"),
    [
        (BUKIN, ((-15, -5), (-3, 3)), (-9.3, 0.865), (-10, 1)),
        ("f(x, y) = |x - y²| + (y - 2)²/9", ((-5, 5), (-5, 5)), (1.4401, 1.2), (4, 2)),
        ("f(x, y, z) = 3|x + y - z| + x² + (y - 1)² + z²", ((-3, 3),) * 3, (0.1, 0.5, 0.6), (-1 / 3, 2 / 3, 1 / 3)),
        ("f(x, y) = max(x² + y, 2 - y) + x⁴", ((-3, 3), (-3, 3)), (0.5, 0.87501), (0, 1)),
        ("f(x, y) = cbrt(x - y)^2 + y²", ((-3, 3), (-3, 3)), (0.700001, 0.7), (0, 0)),
    ],
)
def test_a_point_beside_a_crease_is_lowered_along_it(text, box, point, bottom) -> None:
    objective = ds.objective(text)
    space = space_of(objective, dict(zip(objective.names, box, strict=True)))
    lowered = Creases(space).lowered(np.array(point))
    np.testing.assert_allclose(lowered, bottom, atol=2e-7)


def test_a_crease_ends_at_the_edge_of_the_box() -> None:
    space = space_of(ds.objective("f(x, y) = |y - x²| + x"), {"x": (0.5, 3), "y": (-1, 9)})
    np.testing.assert_allclose(Creases(space).lowered(np.array([2.0, 4.0001])), [0.5, 0.25], atol=1e-9)


def test_points_far_from_kinks_and_smooth_formulas_stay() -> None:
    space = space_of(ds.objective("f(x, y) = |x - y| + x²"), {"x": (-3, 3), "y": (-3, 3)})
    point = np.array([1.0, 2.0])
    assert Creases(space).lowered(point) is point
    assert not Creases(space_of(ds.objective("x² + y²"), {"x": (-3, 3), "y": (-3, 3)}))


def test_ends_along_one_crease_are_the_minimum_that_it_leads_to() -> None:
    space = space_of(ds.objective(BUKIN), {"x": (-15, -5), "y": (-3, 3)})
    along = np.linspace(-12, -7, 3)
    (basin,), index = gathered(space, np.stack([along, 0.01 * along**2 + 1e-9], axis=1), along_creases=True)
    assert (basin.kind, basin.count, basin.value) == ("minimum", 3, 0.0)
    assert basin.point == pytest.approx({"x": -10, "y": 1}, abs=1e-9)
    assert index.tolist() == [0] * 3
