"""Fixed, tied and bounded parameters."""

from __future__ import annotations

import math

import lmfit
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

import downslope as ds
from downslope.fitting._constraints import checked_start, constraints
from downslope.fitting._model import EquationModel, model_of
from downslope.tables import read_table
from tests.fitting.problems import DECAY, curve, decay


def test_bounds_hold_and_are_told():
    columns = decay()
    found = ds.fit(DECAY, columns, bounds={"k": (0, 0.3)})
    ended = scipy.optimize.least_squares(
        lambda p: curve(columns["x"], *p) - columns["y"], [1, 0.1, 1], bounds=([-np.inf, 0, -np.inf], [np.inf, 0.3, 99])
    )
    assert found["k"] == 0.3
    assert list(found.values.values()) == pytest.approx(ended.x, rel=1e-4)
    assert found.parameters["k"].role == "at bound"
    assert math.isnan(found.parameters["k"].standard_error)
    assert {"at_bound", "converged"} <= set(found.findings.symptoms)
    # The others are as sure as if k were known to be there.
    held = ds.fit(DECAY, columns, fixed={"k": 0.3})
    assert found.standard_errors["a"] == pytest.approx(held.standard_errors["a"], rel=1e-6)


def test_what_is_fixed_or_tied_is_as_if_it_were_written_so():
    columns = decay()
    start = {"a": 3, "k": 0.5}  # only the constrained fits search for theirs
    fixed, written = ds.fit(DECAY, columns, fixed={"c": 1}), ds.fit("y = a·e^(-k·x) + 1", columns, start=start)
    assert [fixed["a"], fixed["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert fixed.parameters["c"].standard_error == 0
    tied, written = ds.fit(DECAY, columns, ties={"c": "a/3"}), ds.fit("y = a·e^(-k·x) + a/3", columns, start=start)
    assert [tied["a"], tied["k"]] == pytest.approx([written["a"], written["k"]], rel=1e-9)
    assert tied["c"] == pytest.approx(tied["a"] / 3)
    assert tied.standard_errors["c"] == pytest.approx(tied.standard_errors["a"] / 3, rel=1e-9)
    assert tied.standard_errors["a"] == pytest.approx(written.standard_errors["a"], rel=1e-9)


def model() -> EquationModel:
    return model_of(DECAY, read_table(decay()), None, ())


def test_what_is_not_fixed_or_tied_is_free_in_order_of_appearance() -> None:
    limits = constraints(model(), {"k": 0.5}, {"c": "a/3"}, {"a": (0, None)})
    assert (limits.free, dict(limits.fixed), [name for name, _ in limits.ties]) == (("a",), {"k": 0.5}, ["c"])
    np.testing.assert_array_equal(limits.bounds, [[0.0], [np.inf]])
    assert not limits.none
    assert constraints(model(), None, None, None).none
    assert constraints(model(), {}, {}, {"a": (None, None)}).none


def test_a_start_is_clipped_and_says_so() -> None:
    limits = constraints(model(), None, None, {"a": (0, 2), "k": (None, 1)})
    start = {"a": 5.0, "k": 0.3, "c": -1.0}
    np.testing.assert_array_equal(limits.start(start), [2.0, 0.3, -1.0])
    assert limits.moved(start) == ("the start of a, 5, lies outside its bounds and was moved inside",)
    lacking = limits.start({"k": 0.3, "c": -1.0})
    assert lacking is not None
    np.testing.assert_array_equal(lacking, [np.nan, 0.3, -1.0])
    assert limits.start({}) is None
    assert limits.moved({"k": 3.0}) == ("the start of k, 3, lies outside its bounds and was moved inside",)


def test_pressed_is_what_lies_on_a_bound_and_is_pushed_outward() -> None:
    limits = constraints(model(), None, None, {"a": (0, 2), "k": (0, 2), "c": (0, 2)})
    gradient = np.array([1.0, -1.0, 1.0])
    assert limits.pressed(np.array([0.0, 0.0, 1.0]), gradient).tolist() == [True, False, False]
    assert limits.pressed(np.array([2.0, 2.0, 2.0]), gradient).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fixed": {"q": 1}}, "'q' is fixed, but"),
        ({"ties": {"kk": "a"}}, "did you mean k"),
        ({"bounds": {"q": (0, 1)}}, "'q' is bounded, but"),
        ({"fixed": {"a": "much"}}, "fixed a must be a number, not 'much'"),
        ({"fixed": {"a": math.nan}}, "fixed a must be a finite number"),
        ({"fixed": {"a": 1}, "ties": {"a": "k"}}, "a is both fixed and tied; choose one"),
        ({"fixed": {"a": 1}, "bounds": {"a": (0, 1)}}, "a has bounds, but it is fixed"),
        ({"ties": {"a": "c", "c": "2"}}, "a is tied to c, which is not a parameter that it can depend on"),
        ({"bounds": {"a": 3}}, r"the bounds of a are a pair \(low, high\), not 3"),
        ({"bounds": {"a": "12"}}, "are a pair"),
        ({"bounds": {"a": (0, "x")}}, "a bound of a must be a number or None, not 'x'"),
        ({"bounds": {"a": (math.nan, 1)}}, "not nan"),
        ({"bounds": {"a": (1, 1)}}, "the lower bound of a, 1.0, is not below the upper one, 1.0"),
    ],
)
def test_constraints_that_make_no_sense(arguments, words) -> None:
    given = {"fixed": None, "ties": None, "bounds": None} | arguments
    with pytest.raises(ds.SettingError, match=words):
        constraints(model(), **given)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (3, "a start is a mapping from parameters to numbers"),
        ({"q": 1}, "no parameter 'q'"),
        ({"a": None}, "the start of a must be a number, not None"),
        ({"a": math.inf}, "must be a finite number"),
    ],
)
def test_starts_that_make_no_sense(start, words) -> None:
    with pytest.raises(ds.PointError, match=words):
        checked_start(model(), start)


def test_ties_and_bounds_give_what_lmfit_gives() -> None:
    columns = decay()
    theirs = lmfit.Parameters()
    theirs.add("a", 2.0, min=0)
    theirs.add("k", 0.4, max=0.45)
    theirs.add("c", expr="a/3")
    ended = lmfit.minimize(
        lambda p: curve(columns["x"], p["a"].value, p["k"].value, p["c"].value) - columns["y"],
        theirs,
        xtol=1e-14,
        ftol=1e-14,
    )
    ours = ds.fit(
        DECAY, columns, ties={"c": "a/3"}, bounds={"a": (0, None), "k": (None, 0.45)}, start={"a": 2, "k": 0.4}
    )
    assert ours.values == pytest.approx(dict(ended.params.valuesdict()), rel=1e-5)
