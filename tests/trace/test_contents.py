"""Plain data as JSON and back, to the last bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from downslope.trace._fields import decoded, encoded
from tests.equality import same

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5)
ARRAYS = arrays.arrays(st.sampled_from([np.float64, np.float32, np.int32, np.bool_]), arrays.array_shapes(max_side=3))
PLAIN = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_encoded_comes_back(value) -> None:
    text = json.dumps(encoded(value), allow_nan=False)
    same(decoded(json.loads(text)), value)


@pytest.mark.parametrize(
    "value",
    [{"float": "inf"}, {"array": [1], "shape": [1], "type": "int64"}, {"mapping": {"float": "nan"}}, {"mapping": 3}],
)
def test_a_mapping_that_looks_like_an_encoding_stays_one(value) -> None:
    same(decoded(json.loads(json.dumps(encoded(value)))), value)


def test_numbers_that_json_has_no_name_for_are_written_by_name() -> None:
    assert encoded({"rate": math.inf, "steps": np.int64(3), "pair": (1, -math.inf)}) == {
        "rate": {"float": "inf"},
        "steps": 3,
        "pair": [1, {"float": "-inf"}],
    }
