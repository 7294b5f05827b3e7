"""Encodings: they survive JSON, labels come back as they were, and they print their inputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from downslope._errors import DataError
from downslope.networks.data._encoding import Encoding
from downslope.networks.data._examples import examples
from tests.networks.tables import fruit


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


@pytest.mark.parametrize("kind", ["mapping", "array", "table"])
def test_dates_are_numbers_counted_from_one_day(kind):
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]").astype(str)
    rise, other = np.arange(len(days)) / 7, np.cos(np.arange(len(days)))
    new = {"when": days[40:43], "other": other[40:43]}
    if kind == "array":
        read = examples((np.column_stack([days, other.astype(object)]).astype(object), rise))
        again = read.encoding.encode(np.column_stack([new["when"], new["other"]]).astype(object))
    elif kind == "mapping":
        read = examples(({"when": days, "other": other}, rise))
        again = read.encoding.encode(new)
    else:
        read = examples({"when": days, "other": other, "rise": rise}, "rise")
        again = read.encoding.encode(new)
    assert np.corrcoef(read.inputs[:, 0], rise)[0, 1] == pytest.approx(1)
    np.testing.assert_allclose(again, read.inputs[40:43], atol=1e-6)
