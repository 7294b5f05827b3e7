"""Examples: every kind of data, what is read of it, what is refused, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from downslope._errors import DataError, SettingError
from downslope.networks.data import _samples
from downslope.networks.data._encoding import Encoding
from downslope.networks.data._examples import examples, prepare, split_rows
from downslope.networks.data._facts import by_neighbours, by_ridge, facts, leaving_row_out, nearest_rows
from downslope.networks.data._samples import sample, sample_names

CARS = """mpg,cylinders,horsepower,origin,name
18,8,130,usa,chevrolet chevelle
15,8,165,usa,buick skylark
24.5,4,?,japan,toyota corona
22,6,95,usa,plymouth duster
27,4,88,japan,datsun pl510
26,4,46,europe,volkswagen sedan
25,4,NA,europe,peugeot 504
24,4,90,europe,audi 100 ls
,4,95,europe,saab 99e
26,4,113,europe,bmw 2002
21,6,90,usa,amc gremlin
10,8,215,usa,ford f250
"""


def fruit(rows: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    colour = np.array(["green", "red", "yellow"])[random.integers(0, 3, rows)]
    weight = random.normal(150, 20, rows)
    return {
        "weight": weight,
        "colour": colour,
        "ripe": random.integers(0, 2, rows).astype(bool),
        "price": weight / 100,
        "kind": np.where(weight > 150, "apple", "pear"),
    }


@pytest.fixture
def cars(tmp_path: Path) -> str:
    path = tmp_path / "cars.csv"
    path.write_text(CARS, encoding="utf-8")
    return str(path)


# every kind of data


@pytest.mark.parametrize("source", ["mapping", "pandas", "polars", "csv", "parquet", "pair"])
def test_every_kind_of_table_gives_the_same_examples(source, tmp_path):
    columns = fruit()
    frame = polars.DataFrame(columns)
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    inputs = pandas.DataFrame(columns).drop(columns="kind")
    data = {
        "mapping": columns,
        "pandas": pandas.DataFrame(columns),
        "polars": frame,
        "csv": tmp_path / "t.csv",
        "parquet": str(tmp_path / "t.parquet"),
        "pair": (inputs, columns["kind"]),
    }[source]
    found = examples(data, drop="ripe") if source == "pair" else examples(data, "kind", drop="ripe")
    wanted = examples(columns, "kind", drop=["ripe"])
    assert found.inputs.dtype == np.float32
    assert found.targets.dtype == np.int32
    np.testing.assert_array_equal(found.inputs, wanted.inputs)
    np.testing.assert_array_equal(found.targets, wanted.targets)
    assert found.encoding.features == ("weight", "colour=green", "colour=red", "colour=yellow", "price")
    assert found.encoding.target.categories == ("apple", "pear")


@pytest.mark.parametrize("source", ["mapping", "pandas", "polars", "parquet", "nullable"])
def test_true_and_false_are_classes_wherever_types_are_known(source, tmp_path):
    columns = fruit()
    polars.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    data = {
        "mapping": columns,
        "pandas": pandas.DataFrame(columns),
        "polars": polars.DataFrame(columns),
        "parquet": tmp_path / "t.parquet",
        "nullable": pandas.DataFrame(columns).convert_dtypes(),
    }[source]
    found = examples(data, "ripe")
    assert found.kind == "two classes"
    assert found.encoding.target.categories == (False, True)
    assert found.encoding.decode(np.where(columns["ripe"], 3.0, -3.0)).tolist() == columns["ripe"].tolist()


def test_the_articles_houses(houses):
    for path in (houses, "houses.csv"):
        found = examples(path, "price")
        assert found.kind == "numbers"
        assert found.inputs.shape == found.targets.shape == (3, 1)
        np.testing.assert_allclose(found.encoding.decode(found.targets), [100, 200, 300], rtol=1e-6)


@pytest.mark.parametrize("convert", [np.asarray, jax.numpy.asarray, np.ndarray.tolist, pandas.DataFrame])
def test_pairs_of_arrays_lists_and_frames(convert):
    X = np.random.default_rng(0).normal(3, 5, (30, 4))
    y = np.arange(30) % 3
    for found in (examples((convert(X), convert(y))), examples(convert(X), np.asarray(y))):
        assert found.inputs.shape == (30, 4)
        assert found.kind == "classes"
        assert found.encoding.target.categories == (0, 1, 2)
        np.testing.assert_allclose(found.inputs.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(found.inputs.std(axis=0), 1, atol=1e-5)


def test_a_single_column_and_several_targets():
    x = np.linspace(0, 1, 25)
    found = examples((x, np.stack([x**2, 3 * x], axis=1)))
    assert found.inputs.shape == (25, 1)
    assert found.targets.shape == (25, 2)
    assert found.encoding.target.names == ("target 1", "target 2")
    np.testing.assert_allclose(found.encoding.decode(found.targets), np.stack([x**2, 3 * x], axis=1), atol=1e-6)
    named = examples({"x": x, "a": x**2, "b": 3 * x}, "a, b")
    np.testing.assert_array_equal(named.targets, found.targets)
    assert examples({"x": x, "a, b": x}, "a, b").encoding.target.names == ("a, b",)


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
def test_images_share_one_mean_and_deviation(shape):
    pixels = np.random.default_rng(0).integers(0, 255, (20, *shape)).astype(np.uint8)
    found = examples((pixels, np.arange(20) % 2))
    assert found.inputs.shape == (20, *shape)
    assert found.encoding.mean == (pytest.approx(pixels.mean()),)
    assert found.encoding.deviation == (pytest.approx(pixels.std()),)
    np.testing.assert_array_equal(found.encoding.encode(pixels[3]), found.inputs[3:4])


# what is read


def test_text_becomes_zeros_and_ones():
    data = {"colour": ["red", "blue", "green", " red"] * 5, "sweet": ["yes", "no"] * 10, "price": np.arange(20) / 7}
    found = examples(data, "price", standardise=False)
    assert found.encoding.features == ("colour=blue", "colour=green", "colour=red", "sweet=yes")
    assert found.inputs[:4].tolist() == [[0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    "values,kind,categories",
    [
        (["a", "b", "c"] * 4, "classes", ("a", "b", "c")),
        (["b", "a"] * 4, "two classes", ("a", "b")),
        ([0, 1] * 2, "two classes", (0, 1)),
        ([0.0, 1.0] * 5, "two classes", (0, 1)),
        ([3, 1, 2] * 10, "classes", (1, 2, 3)),
        ([3, 1, 2] * 9, "numbers", ()),
        (list(range(21)) * 20, "numbers", ()),
        ([0.5, 1.5] * 20, "numbers", ()),
        (["only"] * 8, "classes", ("only",)),
        ([[1, 0, 0], [0, 0, 1], [0, 1, 0]] * 3, "classes", (0, 1, 2)),
        ([[1, 0], [1, 1], [0, 1]] * 3, "numbers", ()),
    ],
)
def test_which_targets_are_classes(values, kind, categories):
    found = examples((np.arange(len(values)), values))
    assert found.kind == kind
    assert found.encoding.target.categories == categories
    assert found.encoding.outputs == {"two classes": 1, "classes": len(categories)}.get(kind, np.ndim(values))


def test_the_task_decides_if_it_is_given():
    x = np.arange(20)
    assert examples((x, [0, 1] * 10), task="numbers").kind == "numbers"
    assert examples((x, [True, False] * 10), task="numbers").targets.dtype == np.float32
    assert examples((x, [0.5, 1.5] * 10), task="classes").encoding.target.categories == (0.5, 1.5)
    with pytest.raises(SettingError, match="did you mean 'classes'"):
        examples((x, x), task="class")
    with pytest.raises(DataError, match="20 different labels in 20 rows are no classes"):
        examples((x, x / 7), task="classes")


def test_what_was_decided_is_told():
    found = examples(fruit() | {"same": np.full(40, 0.1)}, "kind")
    assert str(found).splitlines() == [
        "40 rows of 5 columns: weight, colour, ripe, price, same.",
        "colour: text with 3 categories (green, red, yellow) → 3 inputs of 0 and 1.",
        "kind: 2 classes (apple 23, pear 17) → binary cross-entropy.",
        "1 of 7 inputs is constant (same): nothing can be learnt from it.",
        "Inputs are scaled to mean 0 and deviation 1, measured on 40 rows.",
    ]
    assert "Only one class" in str(examples((np.arange(9), ["one"] * 9)))
    assert "softmax cross-entropy" in str(examples("iris"))
    assert "mean squared error" in str(examples("diabetes"))


def test_a_constant_column_becomes_zero():
    found = examples({"x": [0.1] * 12, "y": np.arange(12) / 5}, "y")
    assert found.encoding.deviation == (1.0,)
    assert not found.inputs.any()


# missing cells


def test_missing_cells_are_refused(cars):
    with pytest.raises(DataError, match="row 3, column horsepower: the cell is missing \\(2 such") as caught:
        examples(cars, "mpg", drop="name")
    assert 'missing="drop"' in str(caught.value)
    assert 'missing="mean"' in str(caught.value)


def test_rows_with_missing_cells_are_left_out(cars):
    found = examples(cars, "mpg", missing="drop", drop="name")
    assert len(found) == 9
    assert "3 of 12; 9 remain" in found.notes[0]


def test_missing_numbers_are_filled_with_the_mean_of_their_column(cars):
    found = examples(cars, "mpg", missing="mean", drop="name", standardise=False)
    assert len(found) == 11  # one has no target
    power = found.inputs[:, 1]
    assert power[2] == power[6] == pytest.approx(np.mean([130, 165, 95, 88, 46, 90, 113, 90, 215]))
    assert "1 of 12; 11 remain" in found.notes[0]
    assert found.notes[1] == "horsepower: missing cells, 2 of them, are filled with the mean of the others."
    new = found.encoding.encode({"cylinders": [4], "horsepower": [None], "origin": ["usa"]})
    assert new[0, 1] == power[2]


def test_missing_text_is_a_category_of_its_own():
    data = {"colour": ["red", None, "blue", "?"] * 4, "y": np.arange(16) / 3}
    found = examples(data, "y", missing="mean")
    assert found.encoding.columns[0].categories == ("blue", "missing", "red")
    np.testing.assert_array_equal(found.encoding.encode({"colour": [""]}), found.inputs[1:2])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "object", "string"])
def test_what_pandas_calls_missing_is_missing(dtype):
    values = pandas.Series([1, None, 3] * 4, dtype=dtype)
    frame = pandas.DataFrame({"x": values, "y": np.arange(12) / 5})
    with pytest.raises(DataError, match="row 2, column x"):
        examples(frame, "y")
    assert len(examples(frame, "y", missing="drop")) == 8


def test_holes_in_arrays():
    X = np.arange(24.0).reshape(12, 2)
    X[4, 1] = np.nan
    y = np.arange(12) / 7
    with pytest.raises(DataError, match="row 5, column 2: the number is missing"):
        examples((X, y))
    assert len(examples((X, y), missing="drop")) == 11
    assert examples((X, y), missing="mean").inputs[4, 1] == pytest.approx(0, abs=1e-6)
    X[7, 0] = np.inf
    with pytest.raises(DataError, match="row 8, column 1: the number is infinite"):
        examples((X, y), missing="drop")
    X[:, 0] = np.nan
    with pytest.raises(DataError, match="column 1: every cell is missing"):
        examples((X, y), missing="mean")
    with pytest.raises(SettingError, match="did you mean 'drop'"):
        examples((X, y), missing="dorp")


def test_means_to_fill_in_are_those_of_the_rows_trained_on():
    x = np.arange(40.0)
    x[::5] = np.nan
    training, _ = prepare({"x": x, "y": np.arange(40) / 3}, "y", missing="mean", standardise=False, seed=3)
    kept = {float(number) for number in training.inputs[:, 0]}
    (fill,) = training.encoding.fill
    assert fill == pytest.approx(np.mean(sorted(kept - {np.float32(fill)})))


# what is refused


def test_a_misspelt_target_is_hinted_at(houses):
    with pytest.raises(DataError, match="no column 'prize'; the table has size, price\ndid you mean price"):
        examples(houses, "prize")
    with pytest.raises(DataError, match="which column is to be predicted"):
        examples(houses)
    with pytest.raises(DataError, match="no column to drop 'sise'"):
        examples(houses, "price", drop="sise")
    with pytest.raises(DataError, match="no column is left"):
        examples(houses, "price", drop="size")


def test_a_column_that_names_its_rows_is_refused_unless_it_is_dropped(cars):
    with pytest.raises(DataError, match="column name: 11 different texts in 11 rows") as caught:
        examples(cars, "mpg", missing="mean")
    assert "drop='name'" in str(caught.value)
    assert examples(cars, "mpg", missing="mean", drop="name").encoding.features[-1] == "origin=usa"


def test_text_among_numbers_is_a_slip():
    data = {"x": ["1.5", "2", "3", "4,5", "5", "6"], "y": np.arange(6) / 3}
    with pytest.raises(DataError, match="row 4, column x: '4,5' is not a number"):
        examples(data, "y")
    with pytest.raises(DataError, match="row 4, column x: '4,5' is not a number"):
        examples({"x": data["x"], "y": data["y"]}, "x")
    with pytest.raises(DataError, match="row 1, column kind: 'pear' is not a number"):
        examples({"kind": ["pear", "apple"] * 4, "y": np.arange(8)}, "kind", task="numbers")


@pytest.mark.parametrize(
    "data,target,message",
    [
        (([[1, 2], [3]], [0, 1]), None, "not of one length"),
        ((np.zeros((3, 2)), np.zeros(4)), None, "3 rows of inputs, but 4 of targets"),
        ((np.zeros((3, 2)), np.zeros(3)), "y", "stand in the pair already"),
        ((np.zeros((2, 2, 2, 2, 2)), np.zeros(2)), None, "inputs are"),
        ((np.zeros(3, complex), np.zeros(3)), None, "inputs are numbers, not complex"),
        ((np.zeros((4, 1)), np.zeros((4, 2, 2))), None, "targets are one number or class a row"),
        (np.zeros((4, 2)), None, "the targets are missing"),
        ("irsi", None, "did you mean 'iris'"),
        ("nothing.csv", "y", "there is no file"),
        (([[1e200], [-1e200]], [1.5, 2.5]), None, "too large"),
        ({"x": [1, 2], "y": [1, 2], "z": ["a", "b"]}, "y, z", "is not a number"),
    ],
)
def test_what_cannot_be_used_is_told(data, target, message):
    with pytest.raises(DataError, match=message):
        examples(data, target)


def test_new_rows_are_checked():
    made = examples(fruit(), "kind", drop="ripe").encoding
    row = {"price": 1.5, "extra": "x", "colour": "red", "weight": 150}
    assert made.encode(row).shape == (1, 5)
    np.testing.assert_array_equal(made.encode(pandas.DataFrame([row])), made.encode(row))
    with pytest.raises(DataError, match="row 2, column colour: 'gren' is none of its 3 categories\ndid you mean green"):
        made.encode({"weight": [1, 2], "colour": ["red", "gren"], "price": [1, 2]})
    with pytest.raises(DataError, match="row 2, column weight: the cell is missing"):
        made.encode({"weight": [1, None], "colour": ["red", "green"], "price": [1, 2]})
    with pytest.raises(DataError, match="row 1, column colour: the cell is missing"):
        made.encode({"weight": [1], "colour": [None], "price": [1]})
    with pytest.raises(DataError, match="row 1, column weight: 'heavy' is not a number"):
        made.encode({"weight": ["heavy"], "colour": ["red"], "price": [1]})
    with pytest.raises(DataError, match="no column 'colour'"):
        made.encode({"weight": [1], "price": [1]})
    with pytest.raises(DataError, match="name the columns: weight, colour, price"):
        made.encode([[1, 2, 3]])
    plain = examples((np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2)).encoding
    with pytest.raises(DataError, match="a row has 3 numbers, but here it has 4"):
        plain.encode(np.zeros((5, 4)))
    with pytest.raises(DataError, match="row 1, column 3: 'a' is not a number"):
        plain.encode([[1, 2, "a"]])
    with pytest.raises(DataError, match="row 2, column 3: the number is missing"):
        plain.encode([[1, 2, 3], [1, 2, None]])


def test_an_array_of_numbers_and_text_is_a_table_without_names():
    rows = [["red", 1], ["blue", 2], ["red", 3]] * 4
    made = examples((rows, [0, 1, 0] * 4))
    assert made.encoding.features == ("1=red", "2")
    np.testing.assert_array_equal(made.encoding.encode(rows[:2]), made.inputs[:2])
    with pytest.raises(DataError, match="a row has 2 numbers, but here it has 3"):
        made.encoding.encode([["red", 1, 3]])


def test_a_frame_whose_columns_are_numbered():
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(20, 3)))
    assert examples(frame, 2).encoding.features == ("0", "1")


# the way back


@given(
    arrays.arrays(np.float64, (8, 2), elements=st.floats(-1e6, 1e6, width=32)),
    st.lists(st.sampled_from(["red", "green", "blue", "α", "true"]), min_size=8, max_size=8),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=8, max_size=8),
)
def test_an_encoding_survives_json(numbers, colours, wanted):
    data = {"a": numbers[:, 0], "b": numbers[:, 1], "colour": [*colours[:7], "violet"], "y": wanted}
    made = examples(data, "y", task="numbers")
    again = Encoding.from_dict(json.loads(json.dumps(made.encoding.as_dict(), allow_nan=False)))
    assert again == made.encoding
    shuffled = {name: np.asarray(data[name])[::-1] for name in ("colour", "b", "y", "a")}
    np.testing.assert_array_equal(again.encode(shuffled), made.inputs[::-1])
    np.testing.assert_allclose(
        again.decode(made.targets), np.asarray(wanted), atol=1e-6 * max(1e-6, float(np.max(np.abs(wanted))))
    )


@given(
    st.sampled_from([("b", "a"), (False, True), (3, 1, 2), ("x", "y", "z"), (0.5, 2)]),
    st.lists(st.integers(0, 2), min_size=4, max_size=30),
)
def test_labels_come_back_as_they_were(labels, places):
    given_labels = [labels[place % len(labels)] for place in [*range(len(labels)), *range(len(labels)), *places]]
    made = examples((np.arange(len(given_labels)), given_labels), task="classes")
    again = Encoding.from_dict(json.loads(json.dumps(made.encoding.as_dict())))
    logits = np.eye(len(labels))[made.targets] if len(labels) > 2 else 2.0 * made.targets[:, None] - 1
    assert again.decode(logits).tolist() == given_labels
    if len(labels) == 2:
        assert again.decode(made.targets * 0.4 + 0.3, from_logits=False).tolist() == given_labels
        assert again.decode(np.eye(2)[made.targets]).tolist() == given_labels
    with pytest.raises(DataError, match="there are 7 outputs"):
        again.decode(np.zeros((3, 7)))


def test_data_that_are_no_encoding_are_refused():
    with pytest.raises(DataError, match="not the data of an encoding"):
        Encoding.from_dict({"columns": []})


def test_an_encoding_prints_its_inputs():
    made = examples(fruit(), "kind", drop=["ripe", "price"]).encoding
    assert "colour=yellow" in str(made)
    assert "predicts kind: two classes (apple, pear)" in str(made)
    assert "<table>" in made._repr_html_()
    assert "each its own" in str(examples((np.eye(20), np.arange(20) / 7)).encoding)


# rows to validate


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 5), st.integers(1, 4))
def test_a_split_is_of_all_rows_and_in_proportion(rows, share, seed, groups):
    classes = np.random.default_rng(rows).integers(0, groups, rows)
    for given_classes in (None, classes):
        training, held = split_rows(rows, given_classes, share, seed)
        assert sorted([*training, *held]) == list(range(rows))
        assert len(training) > 0
        assert len(held) > 0 or given_classes is not None
    counts = np.bincount(classes, minlength=groups)
    if counts.min() >= 2:
        taken = np.bincount(classes[held], minlength=groups)
        assert np.all(np.abs(taken - counts * len(held) / rows) <= 1 + 1e-9)
        assert np.all(taken < counts)


def test_a_split_is_decided_by_its_seed():
    found = examples("iris")
    training, held = found.split(0.2, seed=1)
    again, _ = found.split(0.2, seed=1)
    other, _ = found.split(0.2, seed=2)
    np.testing.assert_array_equal(training.inputs, again.inputs)
    assert not np.array_equal(training.inputs, other.inputs)
    assert np.bincount(held.targets).tolist() == [10, 10, 10]
    assert len(set(training.targets[:20])) > 1
    with pytest.raises(SettingError, match="between 0 and 1"):
        found.split(1.0, seed=0)
    with pytest.raises(DataError, match="a single row"):
        prepare(([[1.0]], [1.0]), validation=0.5)


def test_means_are_those_of_the_rows_trained_on():
    training, held = prepare("iris", validation=0.3, seed=4)
    assert held is not None
    np.testing.assert_allclose(training.inputs.mean(axis=0), 0, atol=1e-5)
    assert np.abs(held.inputs.mean(axis=0)).max() > 1e-3
    assert held.encoding is training.encoding
    whole, none = prepare("iris", validation=0)
    assert none is None
    np.testing.assert_array_equal(whole.inputs, examples("iris").inputs)


def test_a_category_that_only_validation_rows_have_is_known():
    data = {"colour": ["red", "blue"] * 20 + ["green"], "y": np.arange(41) / 3}
    for seed in range(8):
        training, _ = prepare(data, "y", seed=seed, validation=0.5)
        assert training.inputs.shape == (20, 3) or training.inputs.shape == (21, 3)
        assert np.isfinite(training.inputs).all()


# what is true of examples


def test_facts_are_plain_data():
    for name in sample_names():
        training, held = prepare(name)
        found = json.loads(json.dumps(facts(training, held), allow_nan=False))
        assert found["rows"] == len(training)
        assert found["constant_features"] == (3 if name == "digits" else 0)
        assert found["reference_score"] > found["shuffled_score"] + 5 * found["shuffled_deviation"]
        assert abs(found["validation_reference_score"] - found["reference_score"]) < 0.15


def test_facts_of_noise_are_those_of_shuffled_targets():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 5))
    for y in (random.integers(0, 4, 300), random.normal(size=300)):
        found = facts(examples((X, y)))
        assert abs(found["reference_score"] - found["shuffled_score"]) < 4 * found["shuffled_deviation"] + 0.02
    assert facts(examples((X, X @ np.arange(5.0))))["reference_by"] == "ridge"
    bent = facts(examples((X, np.sign(X[:, 0] * X[:, 1]) + X[:, 2] / 9)))
    assert bent["reference_by"] == "nearest neighbours"


def test_facts_tell_inputs_as_the_network_sees_them():
    X = np.stack([np.full(50, 7.0), np.linspace(1000, 2000, 50), np.linspace(-1e-3, 1e-3, 50)], axis=1)
    found = facts(examples((X, np.arange(50) % 2), standardise=False))
    assert found["features"] == 3
    assert found["largest_feature_mean"] == pytest.approx(1500)
    assert found["input_high"] == 2000
    assert found["constant_features"] == 1
    assert found["smallest_feature_deviation"] == pytest.approx(X[:, 2].std(), rel=1e-5)
    assert found["class_counts"] == [25, 25]
    assert found["target_mean"] is None


@pytest.mark.parametrize("y", [["one"] * 6, [2.5] * 6])
def test_facts_of_targets_that_are_all_the_same(y):
    found = facts(examples((np.arange(6), y)))
    assert found["reference_score"] is None
    assert found["rows"] == 6


def test_leaving_a_row_out_is_fitting_without_it():
    random = np.random.default_rng(0)
    for rows, features in ((12, 3), (8, 20)):
        X, y = random.normal(size=(rows, features)), random.normal(size=(rows, 1))
        centred = X - X.mean(axis=0)
        penalty = np.trace(centred @ centred.T) / min(rows - 1, features)
        guesses = leaving_row_out(X)(y)[4]  # the penalty that is the mean eigenvalue
        for row in range(rows):
            kept = np.arange(rows) != row
            middle, level = X[kept].mean(axis=0), y[kept].mean()
            A = X[kept] - middle
            weights = np.linalg.solve(A.T @ A + penalty * np.eye(features), A.T @ (y[kept] - level))
            assert guesses[row, 0] == pytest.approx(((X[row] - middle) @ weights)[0] + level, abs=1e-9)
        A = centred
        weights = np.linalg.solve(A.T @ A + penalty * np.eye(features), A.T @ (y - y.mean()))
        np.testing.assert_allclose(by_ridge(X, y, X)[4], A @ weights + y.mean(), atol=1e-9)


def test_neighbours_are_those_of_every_distance():
    random = np.random.default_rng(0)
    X = random.normal(size=(40, 3)).astype(np.float32)
    near = nearest_rows(X, X, itself=True)
    far = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(far, np.inf)
    np.testing.assert_array_equal(near, np.argsort(far, axis=1)[:, :15])
    labels = random.integers(0, 3, 40)
    for count, guess in zip((1, 3, 5, 15), by_neighbours(near, labels), strict=True):
        for row in range(40):
            votes = np.bincount(labels[near[row, :count]])
            assert votes[guess[row]] == votes.max()


# data that ship


@pytest.mark.parametrize(
    "name,loader",
    [
        ("iris", "load_iris"),
        ("wine", "load_wine"),
        ("breast cancer", "load_breast_cancer"),
        ("digits", "load_digits"),
        ("diabetes", "load_diabetes"),
    ],
)
def test_samples_are_those_of_scikit_learn(name, loader):
    found = examples(name, standardise=False, scale_targets=False)
    datasets = pytest.importorskip("sklearn.datasets")
    bunch = datasets.load_diabetes(scaled=False) if name == "diabetes" else getattr(datasets, loader)()
    np.testing.assert_allclose(found.inputs.reshape(len(found), -1), bunch.data, rtol=1e-6)
    if found.kind == "numbers":
        np.testing.assert_allclose(found.targets[:, 0], bunch.target)
    else:
        assert len(set(zip(found.targets.tolist(), bunch.target.tolist(), strict=True))) == len(set(bunch.target))
    source = _samples._SOURCES[name]
    np.testing.assert_array_equal(_samples._numbers(source), np.column_stack([bunch.data, bunch.target]))


def test_a_sample_is_a_table_of_which_any_column_can_be_predicted():
    assert sample("Breast_Cancer").target == "diagnosis"
    assert examples("iris", "petal width").kind == "numbers"
    assert examples("digits").inputs.shape == (1797, 8, 8)
    assert examples("digits").encoding.target.names == ("digit",)


@pytest.mark.parametrize("name", ["blobs", "circles", "moons", "spirals", "xor"])
def test_points_in_the_plane_are_the_same_each_time_and_told_apart_by_their_neighbours(name):
    points = sample(name).data
    again = sample(name).data
    assert all(np.array_equal(points[column], again[column]) for column in ("x", "y", "class"))
    _, counts = np.unique(points["class"], return_counts=True)
    assert set(counts) == {150}
    places = np.stack([points["x"], points["y"]], axis=1)
    away = np.linalg.norm(places[:, None] - places, axis=2) + np.diag(np.full(len(places), np.inf))
    assert np.mean(points["class"][away.argmin(axis=1)] == points["class"]) > 0.9
