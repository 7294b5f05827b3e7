"""A plan is checked at the door, and tells what came and what to type instead."""

from __future__ import annotations

import json

import numpy as np
import pytest

import downslope as ds


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"method": "adm"}, "did you mean 'adam'"),
        ({"method": 3}, "a name or an Optax transformation"),
        ({"method": "adam", "momentum": 0.9}, "no setting 'momentum'"),
        ({"method": "momentum", "momentum": 1.0}, "below 1"),
        ({"method": "momentum", "momentum": -0.1}, "of at least 0"),
        ({"method": "newton", "learning_rate": 0.1}, "searches for the length"),
        ({"learning_rate": 0}, "above 0"),
        ({"learning_rate": -0.1}, "already goes against the gradient"),
        ({"learning_rate": float("nan")}, "above 0"),
        ({"learning_rate": "fast"}, "must be a number"),
        ({"steps": -1}, "of at least 0"),
        ({"steps": 1.5}, "whole number"),
        ({"steps": 10**9}, "record every"),
        ({"tolerance": -1.0}, "0 or more"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"schedule": "cosine", "factor": 2.0}, "no setting 'factor'"),
        ({"clip_norm": 0.0}, "above 0"),
        ({"record": 0}, "of at least 1"),
        ({"nonsense": 1}, "unknown argument 'nonsense'"),
    ],
)
def test_bad_choices_are_told_at_the_door(choices, words: str) -> None:
    with pytest.raises(ds.SettingError, match=words):
        ds.descend("x²", 1.0, **choices)


def test_the_description_is_plain_data() -> None:
    plan = ds.plan("x² + y²", (1, 2), method="momentum", schedule="cosine", learning_rate=0.1)
    described = json.loads(json.dumps(plan.description))
    assert described["method"] == "momentum"
    assert described["settings"] == {"momentum": 0.9}
    assert described["schedule"] == "cosine"
    assert described["names"] == ["x", "y"]


@pytest.mark.parametrize(
    "spelling", ["L-BFGS", "lbfgs", "l_bfgs", "Gradient Descent", "gradient-descent", "SGD", "Adam"]
)
def test_names_of_methods_are_taken_in_any_spelling(spelling: str) -> None:
    assert ds.method(spelling).name in ds.method_names()


def test_numpy_numbers_are_numbers() -> None:
    assert ds.plan("x²", np.float32(1), learning_rate=np.float64(0.1), steps=np.int64(3)).steps == 3
