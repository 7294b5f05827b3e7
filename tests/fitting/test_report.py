"""Findings on a fit, and how it is shown."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import downslope as ds
from tests.fitting.problems import DECAY, decay


@pytest.mark.parametrize(
    ("equation", "columns", "names"),
    [
        ("y = a b x", decay(), ("a", "b")),
        ("y = a x + c u + d", {**decay(), "u": np.full(40, 2.0)}, ("c", "d")),
        ("y = a x + b e^(-k u)", {**decay(), "u": np.zeros(40)}, ("k",)),
    ],
)
def test_what_the_data_cannot_determine_is_named(equation, columns, names):
    found = ds.fit(equation, columns)
    finding = found.findings[0]
    assert finding.symptom == "undetermined"
    assert not found.findings.ok
    assert finding.parts == names
    for name in names:
        assert math.isinf(found.standard_errors[name])
    assert "not determined" in str(found)


def test_parameters_that_can_hardly_be_told_apart_are_named():
    x = np.linspace(1000, 1001, 30)
    found = ds.fit("y = a x + b", {"x": x, "y": 2 * x + 1 + np.cos(9 * x)})
    finding = next(one for one in found.findings if one.symptom == "ill_conditioned")
    assert set(finding.parts) == {"a", "b"}
    assert found.correlation[0, 1] < -0.999


def test_a_fit_shows_itself_in_text_in_html_and_as_plain_data():
    found = ds.fit(DECAY, decay())
    assert "0.503" in str(found)
    assert "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.as_dict()))["parameters"]["k"]["value"] == found["k"]
    assert "Fit a=3.0" in repr(found)
