"""Names made from paths: each stands for one leaf, or the point is refused with both paths named."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope import _tree
from tests.equality import same


def function(tree: Any) -> Any:
    import jax

    return sum(((leaf - 1.0) ** 2).sum() for leaf in jax.tree.leaves(tree))


ALIKE = [
    ({"a/b": 2.0, "a": {"b": 1.0}}, "['a/b'] and ['a']['b']"),
    ({"a": {"b/c": 2.0}, "a/b": {"c": 1.0}}, "['a']['b/c'] and ['a/b']['c']"),
    ({"a": [2.0, {"b": 1.0}], "a/0": 3.0}, "['a'][0] and ['a/0']"),
    ({"": {"b": 1.0}, "/b": 2.0}, "['']['b'] and ['/b']"),
    ({"": {"": 2.0}, "/": 1.0}, "['']['']"),
    ({1: {2: 1.0}, 3: {"x": 2.0}, 4: ({5: 1.0},)}, None),
    ({"a": {"0": 1.0}, "b": [2.0, {"c": 1.0}], "b/1": {"c": 2.0}}, "['b'][1]['c'] and ['b/1']['c']"),
]


@pytest.mark.parametrize(("point", "paths"), ALIKE)
def test_paths_that_print_alike_are_refused_by_name(point: Any, paths: str | None) -> None:
    if paths is None:
        assert len(set(_tree.part_names(point))) == 3
        return
    with pytest.raises(ds.PointError, match="two parts would have the name") as refused:
        ds.descend(function, point, learning_rate=0.1, steps=2)
    assert all(path in str(refused.value) for path in paths.split(" and "))


def test_keys_of_several_kinds_are_refused() -> None:
    for point in (
        {1: 2.0, "1": 3.0},
        {"a": {1: 2.0, "1": 3.0}},
        {"a": [{None: 1.0, 2: 2.0}]},
        {1.5: 1.0, "x": np.ones(2)},
    ):
        with pytest.raises(ds.PointError, match="of several kinds"):
            ds.descend(function, point, learning_rate=0.1, steps=2)


def test_coordinates_that_print_alike_are_refused() -> None:
    for point in ({"w": np.ones(2), "w[0]": 3.0}, {"w": {"x": np.ones((1, 2))}, "w/x[0,1]": 3.0}):
        with pytest.raises(ds.PointError, match="two coordinates would have the name"):
            ds.descend(function, point, learning_rate=0.1, steps=2)


def test_names_that_files_cannot_hold_are_refused() -> None:
    for name in ("a\0", "\ud800"):
        with pytest.raises(ds.PointError, match="letters that a file cannot hold"):
            ds.descend(function, {name: 1.0}, learning_rate=0.1, steps=2)


ODD = [
    "",
    "a/b",
    "a[0]",
    "[",
    "value",
    "step",
    "gradient(x)",
    "x",
    "start",
    "point/x",
    "1",
    "é ∂",
    " ",
    "float",
    "\n",
    "coordinate(value)",
]


def test_odd_names_come_back_each_with_its_own_numbers(tmp_path) -> None:
    point = {name: 2.0 + index for index, name in enumerate(ODD)}
    trace = ds.descend(function, point, learning_rate=0.1, steps=3)
    loaded = ds.load(ds.save(trace, tmp_path / "run"))
    for each in (trace, loaded):
        assert {name: float(leaf) for name, leaf in each.start.items()} == point
        assert len(each.end) == len(point)
        assert len(each.steps.columns) == len(each.columns) + 2 * len(point)
        np.testing.assert_array_equal(each.steps["value"], each.columns["value"])
        np.testing.assert_array_equal(each.steps["step"], np.arange(4))
        np.testing.assert_array_equal(each.steps["coordinate(step)"][0], point["step"])
        np.testing.assert_array_equal(each.steps["gradient(x)"][0], 2 * (point["x"] - 1))
        assert set(each.parts["part"]) == set(point)
    same(loaded.end, trace.end)


def test_parts_of_arrays_have_their_own_norms() -> None:
    trace = ds.descend(function, {"a[0]": np.array([3.0, 5.0]), "a": np.zeros(1), "b": 1.0}, learning_rate=0.1, steps=2)
    norms = {row["part"]: row["parameter_norm"] for row in trace.parts.filter(step=0).to_dicts()}
    assert norms == {"a[0]": np.sqrt(34.0), "a": 0.0, "b": 1.0}


def test_random_trees_are_refused_or_keep_every_leaf() -> None:
    """Trees of few short keys, in which paths often print alike: names are as many as leaves, or there is an error."""
    generator = np.random.default_rng(5)
    keys, refused = ["a", "b", "a/b", "", "0", "a/0", "/"], 0

    def tree(depth: int) -> Any:
        if depth == 0 or generator.random() < 0.3:
            return 1.0
        if generator.random() < 0.2:
            return [tree(depth - 1) for _ in range(2)]
        return {key: tree(depth - 1) for key in generator.choice(keys, 3, replace=False)}

    for _ in range(200):
        point = tree(3)
        try:
            names = _tree.part_names(point)
        except ds.PointError:
            refused += 1
            continue
        assert len(set(names)) == len(_tree.leaves(point))
    assert 5 < refused < 180


def test_the_command_keeps_variables_apart_from_its_own_columns(capsys) -> None:
    import json

    from downslope.cli._main import run

    for name, value in itertools.product(("step", "value", "gradient"), (3.0,)):
        assert run(["descend", f"f({name}) = {name}²", "--start", f"{name}={value}", "--steps", "1", "--json"]) == 0
        row = json.loads(capsys.readouterr().out)["steps"][0]
        heading = f"coordinate({name})" if name != "gradient" else name
        assert (row["step"], row["value"], row[heading]) == (0, 9.0, 3.0)
        assert run(["descend", f"f({name}) = {name}²", "--start", f"{name}={value}", "--steps", "1"]) == 0
        capsys.readouterr()
