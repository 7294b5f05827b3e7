"""Examples: every kind of data, what is read of it, and how rows are split."""

from __future__ import annotations

import jax
import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope as ds
from downslope._errors import DataError, SettingError
from downslope.networks.data._examples import examples, prepare, split_rows
from tests.networks.tables import fruit

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
    assert found.encoding.features == ("colour=blue", "colour=green", "colour=red", "sweet")  # yes is 1
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
    with pytest.raises(DataError, match="20 different labels in 20 rows are not classes"):
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


@pytest.mark.parametrize(
    ("data", "validation", "words"),
    [
        (
            (np.ones((20, 3)), np.arange(20.0)),
            (np.ones((5, 2)), np.arange(5.0)),
            "a row has 3 numbers, but here it has 2",
        ),
        (
            {"a": np.arange(20.0), "b": np.arange(20.0) ** 2, "t": np.arange(20.0) / 7},
            {"a": np.arange(5.0), "t": np.arange(5.0)},
            "there is no column 'b'",
        ),
    ],
)
def test_rows_held_back_have_the_columns_of_those_to_train_on(data, validation, words):
    target = "t" if isinstance(data, dict) else None
    with pytest.raises(ds.DataError, match=words):
        ds.train(data=data, target=target, validation=validation, hidden=2, steps=2, progress=False)


def test_what_is_no_layer_is_named_by_its_number():
    rows = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ds.SettingError, match="layer 2 is a str"):
        ds.train([ds.Dense(3), "relu"], (rows, rows[:, 0]), steps=2, progress=False)
