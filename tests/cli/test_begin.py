"""Settings for the first steps, as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

import downslope as ds
from downslope.cli._values import beginning
from downslope.reports._commands import option_words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps=100,learning_rate=1", {"steps": 100, "learning_rate": 1}),
        ("steps=5; clip_norm=none", {"steps": 5, "clip_norm": None}),
        ("steps=5,revive=True", {"steps": 5, "revive": True}),
        ("steps=5,revive=false", {"steps": 5, "revive": False}),
        ("method=gradient descent,learning_rate=1e-3", {"method": "gradient descent", "learning_rate": 0.001}),
    ],
)  # fmt: skip
def test_it_is_read(text: str, told: dict[str, Any]) -> None:
    assert beginning(text) == told


def test_what_is_printed_is_read_to_the_same() -> None:
    told = {"steps": 100, "method": "adam", "learning_rate": 0.05, "clip_norm": None, "revive": True}
    option, text = option_words(ds.choices(ds.train)["begin"], told)
    assert (option, beginning(text.strip("'"))) == ("--begin", told)


def test_a_piece_without_a_value_is_told() -> None:
    with pytest.raises(ds.SettingError, match="--begin: 'steps' is not name=value"):
        beginning("steps")
