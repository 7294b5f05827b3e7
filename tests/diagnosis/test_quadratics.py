"""Closed-form bowls: verdicts follow from α against the eigenvalues, whatever the scale, the rotation or the start."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.diagnosis import diagnose
from tests.numpy_descent import numpy_descent

SEEDS = st.integers(0, 2**32 - 1)
METHODS = st.sampled_from(["gradient descent", "momentum", "nesterov"])
BOUNDS = {"gradient descent": 2.0, "momentum": 3.8, "nesterov": 3.8 / 2.8}


class Bowl:
    """½ c (x/s − x*)ᵀ Q Λ Qᵀ (x/s − x*), with a start whose every mode is excited."""

    def __init__(self, seed: int, eigenvalues: list[float], *, factor: float = 1.0, stretch: float = 1.0) -> None:
        generator = np.random.default_rng(seed)
        size = len(eigenvalues)
        rotation, _ = np.linalg.qr(generator.normal(size=(size, size)))
        self.matrix = rotation @ np.diag(eigenvalues) @ rotation.T
        self.centre = generator.normal(size=size)
        offset = rotation @ (generator.uniform(0.5, 2, size) * generator.choice([-1, 1], size))
        self.factor, self.stretch = factor, stretch
        self.start = {f"x{i}": stretch * (self.centre + offset)[i] for i in range(size)}

    def run(self, rate: float, steps: int, method: str = "gradient descent", tolerance: float = 1e-10):
        c, s = self.factor, self.stretch
        return numpy_descent(
            lambda x: float(0.5 * c * (x / s - self.centre) @ self.matrix @ (x / s - self.centre)),
            lambda x: c / s * (self.matrix @ (x / s - self.centre)),
            lambda x: c / s**2 * self.matrix,
            self.start,
            learning_rate=rate * s * s / c,
            steps=steps,
            method=method,
            tolerance=tolerance * c / s,
        )


def eigenvalues(least: float = 0.05) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(least, 1.0), min_size=1, max_size=4).map(lambda some: [*some, 1.0])


@settings(max_examples=80, deadline=None)
@given(SEEDS, eigenvalues(), st.floats(0.06, 0.97), st.integers(1, 300), METHODS)
@example(0, [1.0, 1.0], 0.6875, 144, "momentum")  # a swing that passes through zero where it was looked at before
def test_a_stable_rate_raises_no_alarm(seed: int, values: list[float], share: float, steps: int, method: str) -> None:
    diagnosis = diagnose(Bowl(seed, values).run(share * BOUNDS[method], steps, method))
    assert diagnosis.ok, diagnosis
    assert diagnosis[0].symptom in {"converged", "still_descending"}
    assert diagnosis[0].evidence["largest_stable_rate"] == pytest.approx(BOUNDS[method], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, eigenvalues(), st.floats(1.005, 5.0), METHODS)
def test_a_rate_past_the_bound_is_too_large(seed: int, values: list[float], share: float, method: str) -> None:
    trace = Bowl(seed, values).run(share * BOUNDS[method], 600, method)
    diagnosis = diagnose(trace)
    assert diagnosis[0].symptom == "rate_too_large", diagnosis
    assert diagnosis[0].evidence["largest_stable_rate"] == pytest.approx(BOUNDS[method], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(SEEDS, eigenvalues(), st.floats(1e-6, 0.01), st.integers(3, 100))
def test_a_tiny_rate_is_too_small(seed: int, values: list[float], share: float, steps: int) -> None:
    diagnosis = diagnose(Bowl(seed, values).run(2 * share, steps))
    assert diagnosis[0].symptom == "rate_too_small", diagnosis
    assert diagnosis[0].evidence["best_rate"] == pytest.approx(2 / (1 + min(values)), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(SEEDS, eigenvalues(), st.floats(0.1, 0.95))
def test_the_steps_to_go_are_those_it_takes(seed: int, values: list[float], share: float) -> None:
    bowl = Bowl(seed, values)
    diagnosis = diagnose(bowl.run(2 * share, 40))
    assume("converged" not in diagnosis)
    taken = bowl.run(2 * share, 100_000).last_step - 40
    # In three dimensions and more, what lies between the two ends counts as slow.
    margin = {"rel": 0.02, "abs": 2} if len(values) <= 2 else {"rel": 0.35, "abs": 30}
    assert taken == pytest.approx(diagnosis[0].evidence["steps_to_go"], **margin)


@pytest.mark.parametrize("method", ["momentum", "nesterov"])
def test_the_steps_to_go_with_momentum(method: str) -> None:
    bowl = Bowl(1, [0.3, 1.0])
    foreseen = diagnose(bowl.run(0.1, 40, method))[0].evidence["steps_to_go"]
    assert bowl.run(0.1, 100_000, method).last_step - 40 == pytest.approx(foreseen, rel=0.2)


@settings(max_examples=60, deadline=None)
@given(
    SEEDS,
    eigenvalues(),
    st.sampled_from([0.001, 0.1, 0.5, 0.9, 0.99, 1.0, 1.01, 1.5]),
    st.floats(-12, 12),
    st.floats(-6, 6),
    METHODS,
)
def test_verdicts_do_not_depend_on_units(
    seed: int, values: list[float], share: float, factor: float, stretch: float, method: str
) -> None:
    rate = share * BOUNDS[method]
    plain = diagnose(Bowl(seed, values).run(rate, 150, method))
    scaled = diagnose(
        Bowl(seed, values, factor=2.0 ** round(3 * factor), stretch=2.0 ** round(3 * stretch)).run(rate, 150, method)
    )
    assert plain.symptoms == scaled.symptoms


@settings(max_examples=60, deadline=None)
@given(SEEDS, eigenvalues(), st.floats(0.05, 2.0), st.floats(0.1, 0.9), st.integers(0, 400))
def test_a_saddle_entered_along_its_stable_directions(
    seed: int, values: list[float], down: float, share: float, steps: int
) -> None:
    """The start has nothing along the way down, up to rounding: whatever is said, it is never `converged`."""
    size = len(values)
    curvatures = np.array([*values, -down])
    start = {f"x{i}": 1.0 + i for i in range(size)} | {"z": 0.0}
    trace = numpy_descent(
        lambda x: 0.5 * float(curvatures @ x**2),
        lambda x: curvatures * x,
        lambda x: np.diag(curvatures),
        start,
        learning_rate=2 * share,
        steps=steps,
    )
    diagnosis = diagnose(trace)
    assert "converged" not in diagnosis
    if steps == 400:
        assert diagnosis[0].symptom == "saddle_point"
        assert diagnosis[0].parts == ("z",)


@settings(max_examples=80, deadline=None)
@given(SEEDS, st.lists(st.floats(-1, 1), min_size=1, max_size=4), st.floats(0.01, 0.9), st.integers(0, 300))
def test_never_converged_where_the_ground_curves_down(seed: int, values: list[float], rate: float, steps: int) -> None:
    assume(min(values) < -1e-3)
    assert "converged" not in diagnose(Bowl(seed, values).run(rate, steps))


def test_predicted_contraction_is_observed() -> None:
    trace = Bowl(3, [0.2, 1.0]).run(0.5, 200, tolerance=0)
    (finding,) = diagnose(trace.replace(plan={**trace.plan, "tolerance": 1e-10}))
    assert finding.evidence["predicted_contraction"] == pytest.approx(0.9)
    assert finding.evidence["observed_contraction"] == pytest.approx(0.9, rel=1e-6)


def test_ill_conditioned_is_worth_a_note_and_no_alarm() -> None:
    diagnosis = diagnose(Bowl(5, [0.001, 1.0]).run(1.8, 3000))
    assert diagnosis.symptoms == ("still_descending", "ill_conditioned")
    assert diagnosis.ok
    assert diagnosis[1].evidence["condition_number"] == pytest.approx(1000)


def test_ill_conditioned_is_an_alarm_where_the_steps_ran_out_far_from_the_bottom() -> None:
    diagnosis = diagnose(Bowl(5, [0.001, 1.0]).run(1.8, 300))
    assert diagnosis.symptoms == ("ill_conditioned", "still_descending")
    assert not diagnosis.ok
    assert diagnosis[1].evidence["steps_to_go"] > math.log(1e6) / 0.0018 / 2


def test_lingering_at_a_saddle_is_told_from_passing_it() -> None:
    """At rate α the way out of −y² grows by 1 + 2α a step: from 1e-6, it takes about 700 steps at 0.01."""
    formula = "x² - y² + 0.25y⁴"
    assert "saddle_point" in diagnose(ds.descend(formula, {"x": 1, "y": 1e-6}, learning_rate=0.01, steps=300))
    assert diagnose(ds.descend(formula, {"x": 1, "y": 1e-6}, learning_rate=0.01, steps=2000)).ok
