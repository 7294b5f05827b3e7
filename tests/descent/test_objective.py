"""What can be descended, and what is said of the rest."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pandas
import polars
import pytest

import downslope as ds

LOSS = "Loss(w) = mean((price - w×size)²)"
HOUSES = {"size": [50, 100, 150], "price": [100, 200, 300]}


@pytest.mark.parametrize(
    "data",
    [HOUSES, polars.DataFrame(HOUSES), pandas.DataFrame(HOUSES), {k: np.array(v) for k, v in HOUSES.items()}],
    ids=["mapping", "polars", "pandas", "arrays"],
)
def test_every_kind_of_table(data) -> None:
    loss = ds.objective(LOSS, data)
    assert loss({"w": 1.0}) == pytest.approx(np.mean((np.array([100, 200, 300]) - np.array([50, 100, 150])) ** 2))
    assert float(ds.slope(loss, at={"w": 0}).gradient["w"]) == pytest.approx(-140000 / 3)
    assert loss.names == ("w",)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("size,price\n50,100\n100,200\nabout 3,300\n", "row 3, column size: 'about 3'"),
        ("size,price\n50,100\n,200\n", "row 2, column size: the number is missing"),
        ("size,price\n50,100\n100\n", "row 2: 1 cell for 2 names"),
        ("size,price\n50,100\ninf,200\n", "infinite"),
        ("size,size,price\n1,2,3\n", "2 columns have the name 'size': columns 1 and 2"),
        ("size,\n1,2\n", "price is not declared"),  # column 2 is called column_2
        ("50,100\n100,200\n", "not declared|names no column"),  # column_1 and column_2
        ("size,price\n", "no rows"),
        ("", "empty"),
        ("width,price\n1,2\n", "size is not declared|names no column"),
    ],
)
def test_bad_tables_are_told_by_row_and_column(tmp_path, text: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises((ds.DataError, ds.FormulaError), match=told):
        ds.objective(LOSS, tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("hauses.csv", "no file"),
        ({"size": [1, 2], "price": [1]}, "has 1 rows"),
        ({"size": [[1, 3], [2, 4]], "price": [1, 2]}, "one number per row"),
        ({}, "no columns"),
        ({"size": [], "price": []}, "no rows"),
        (3.0, "not float"),
        (["size"], "not list"),
    ],
)
def test_bad_sources(data, told: str) -> None:
    with pytest.raises(ds.DataError, match=told):
        ds.objective(LOSS, data)


def test_the_same_text_is_the_same_objective() -> None:
    assert ds.objective("x² + 17") is ds.objective("x² + 17")
    assert ds.objective(ds.objective("x²")) is ds.objective("x²")


@pytest.mark.parametrize(
    ("thing", "at", "told"),
    [
        (lambda p: p * jnp.ones(3), 1.0, r"array of shape \(3,\)"),
        (lambda p: jnp.asarray(3), 1.0, "type int"),
        (lambda p: 1.0 if p > 0 else 0.0, 1.0, "fails when JAX traces it"),
        (lambda p: p["w"] ** 2, {"v": 1.0}, "fails when JAX traces it"),
        (lambda p: {"loss": p}, 1.0, "one real number is needed"),
        (3, 1.0, "a formula or a function"),
    ],
)
def test_what_is_no_objective(thing, at, told: str) -> None:
    with pytest.raises(ds.ObjectiveError, match=told):
        ds.slope(thing, at=at)


def test_a_column_outside_the_mean_is_told() -> None:
    with pytest.raises(ds.ObjectiveError, match="average over the rows"):
        ds.objective("f(w) = w×size", HOUSES)


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({"x": 1}, "has no value for y"),
        ({"x": 1, "y": 1, "z": 1}, "no variable 'z'"),
        ({"x": "one", "y": 1}, "must be one number"),
        ({"x": float("nan"), "y": 1}, "must be a finite number"),
        ({"x": [1, 2], "y": 1}, "must be one number"),
        ((1, 2, 3), "3 numbers were passed"),
        (None, "no point is given"),
    ],
)
def test_points_that_do_not_fit(point, told: str) -> None:
    with pytest.raises(ds.PointError, match=told):
        ds.slope("x² + y²", at=point)


def test_points_may_be_given_in_several_ways() -> None:
    assert ds.slope("x²", at=3).value == ds.slope("x²", at={"x": 3}).value == 9
    assert ds.slope("f(a, b) = a - b", at=(3, 1)).value == 2
    assert ds.slope(lambda p: jnp.sum(p["w"] ** 2), at={"w": [1, 2, 3]}).value == 14


def test_formulas_that_read_alike_share_their_programs_and_not_their_tables() -> None:
    text = "Loss(w) = mean((y - w×x)²)"
    tables = [{"x": [1.0, 2.0], "y": [3.0, 6.0]}, {"x": [1.0, 2.0], "y": [5.0, 10.0]}, {"x": [2.0], "y": [1.0]}]
    goals = [ds.objective(text, table) for table in tables]
    assert len({id(goal.structure) for goal in goals}) == 1
    ends = [float(ds.descend(goal, {"w": 0.0}, method="newton", steps=5).end["w"]) for goal in goals]
    assert ends == pytest.approx([3.0, 5.0, 0.5])
    # Of other texts, and where other names are columns, programs are others.
    others = [("Loss(w) = mean((y - w×x)⁴)", tables[0]), ("mean((y - w×x)²)", {"w": [1.0, 2.0], "y": [3.0, 6.0]})]
    owners = [ds.objective(*other).structure for other in others]
    assert len({id(structure) for structure in (*owners, goals[0].structure)}) == 3
