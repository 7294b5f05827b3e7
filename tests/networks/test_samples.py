"""The samples that ship."""

from __future__ import annotations

import numpy as np
import pytest

from downslope.networks.data import _samples
from downslope.networks.data._examples import examples
from downslope.networks.data._samples import sample


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
