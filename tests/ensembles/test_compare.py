"""Races: methods at their own best rates, ranked."""

from __future__ import annotations

import json

import optax
import pytest

import downslope as ds


def test_a_race_ranks_methods_at_their_own_best_rates():
    race = ds.compare("f(x, y) = x² + 10y²", {"x": 4, "y": 3})
    assert race.winner.name == "bfgs"
    ranks = [(one.steps, one.value) for one in race.entries]
    assert ranks == sorted(ranks)
    for one in race.entries:
        if one.sweep is not None:
            assert one.learning_rate == one.sweep.best_rate
            assert one.trace.plan["learning_rate"] == pytest.approx(one.learning_rate)
    assert race["adam"] is next(one.trace for one in race.entries if one.name == "adam")
    plain = json.loads(json.dumps(race.as_dict()))
    assert plain["winner"] == "bfgs"
    assert "bfgs" in str(race)
    assert "<table>" in race._repr_html_()


def test_a_race_at_rates_that_are_told():
    race = ds.compare("x²", {"x": 4}, ["adam", "gradient descent"], learning_rates={"gradient descent": 0.25}, steps=50)
    told = next(one for one in race.entries if one.name == "gradient descent")
    assert (told.learning_rate, told.sweep) == (0.25, None)


def test_methods_race_with_their_own_settings_and_optax_may_join():
    light = ds.method("momentum", momentum=0.5)
    race = ds.compare("x² + 3y²", {"x": 1, "y": 2}, [light, "momentum", optax.adabelief(0.1)], steps=200)
    assert {one.name for one in race.entries} == {"momentum (momentum 0.5)", "momentum", "custom"}
    assert race["momentum (momentum 0.5)"].plan["settings"] == {"momentum": 0.5}


@pytest.mark.parametrize(
    ("methods", "choices", "told"),
    [
        ([], {}, "at least one"),
        (["adm"], {}, "adam"),
        (["adam"], {"learning_rate": 0.1}, "its own rate"),
        (["adam"], {"learning_rates": {"momentum": 0.1}}, "which is not among the methods"),
    ],
)
def test_races_that_make_no_sense(methods, choices, told):
    with pytest.raises(ds.SettingError, match=told):
        ds.compare("x²", {"x": 1}, methods, **choices)
