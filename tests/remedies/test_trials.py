"""Effects against SciPy's paired t-test, and when a trial counts as having helped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from downslope.diagnosis import has_moved
from downslope.remedies import Effect, Remedy, Trial


@pytest.mark.parametrize("pairs", [2, 3, 5, 20])
@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_that_of_the_paired_t_test(pairs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    control = random.normal(size=pairs)
    treated = control + random.normal(0.5, 1.0, size=pairs)
    effect, interval = Effect.of(treated, control), stats.ttest_rel(treated, control).confidence_interval(0.95)
    assert effect.mean == pytest.approx(float(np.mean(treated - control)))
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.pairs == pairs


@pytest.mark.parametrize(("one", "other"), [(2, 2), (5, 10), (20, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_runs_that_are_no_pairs_is_that_of_welch(one: int, other: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    control, treated = random.normal(size=other), random.normal(0.5, 3.0, size=one)
    effect = Effect.apart(treated, control)
    interval = stats.ttest_ind(treated, control, equal_var=False).confidence_interval(0.95)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))


def test_runs_that_all_end_alike_leave_no_doubt() -> None:
    effect = Effect.apart([0.5, 0.5], [0.25] * 4)
    assert (effect.mean, effect.low, effect.high) == (0.25, 0.25, 0.25)
    assert Effect.apart([0.5], [0.25, 0.0]).low == -math.inf


def test_one_pair_tells_nothing() -> None:
    effect = Effect.of([1.0], [0.0])
    assert (effect.mean, effect.low, effect.high) == (1.0, -math.inf, math.inf)


def trial(effect: Effect, net: Effect, before: float | None = 1.0, after: float | None = 0.5) -> Trial:
    return Trial(Remedy("less", "", {"learning_rate": 0.1}, "end_stability"), (0.0,), effect, net, before, after, 0)


def test_a_trial_helps_only_beyond_doubt_beyond_luck_and_for_its_reason() -> None:
    sure, unsure = Effect(1.0, 0.5, 1.5, 5), Effect(1.0, -0.5, 2.5, 5)
    assert trial(sure, sure).helped
    assert trial(sure, sure, after=None).helped
    assert not trial(unsure, sure).helped
    assert not trial(sure, unsure).helped
    assert not trial(sure, sure, after=2.0).helped


def test_what_was_infinite_and_is_not_has_moved() -> None:
    assert has_moved("highest_value", math.inf, 1e300)
    assert not has_moved("highest_value", math.inf, math.inf)
    assert not has_moved("distance", math.inf, 1.0)
    assert has_moved("lowest_curvature", -2.0, 2.0)
    assert has_moved("steps_to_go", None, 3.0) is None


def test_two_remedies_at_once() -> None:
    start, rate = (
        Remedy("start", "", {"start": {"w": np.ones(2)}}, "end_value"),
        Remedy("rate", "", {"learning_rate": 0.1}, "end_value"),
    )
    both = start.with_other(rate)
    assert both is not None
    assert set(both.changes) == {"start", "learning_rate"}
    assert start.with_other(Remedy("other", "", {"start": {"w": np.zeros(2)}}, "end_value")) is None
    assert start.with_other(start) is None
