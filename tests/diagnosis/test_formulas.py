"""Verdicts on descents of formulas: what the ground around the end shows that the path does not."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import numpy as np
import pytest

import downslope as ds
from tests.diagnosis.sentences import broken_relations, rates_to_follow

DESCENT = "gradient descent"
TAILS = [
    ("atan(2x - 1)", {"x": 0}, "bfgs"),
    ("x/√(4 + x²)", {"x": 1}, "bfgs"),
    ("ln(1 + e^(-x))", {"x": 0}, "newton"),
    ("3e^(-x) + 1", {"x": 0}, "newton"),
    ("1/(2 + x²)", {"x": 1}, "bfgs"),
    ("y² + e^(-x)", {"x": 0, "y": 1}, "newton"),
    ("2atan(x) + y²", {"x": 0, "y": 1}, "newton"),  # ends at −5e9: what moves x says nothing of y
    ("tanh(x)", {"x": 0}, "bfgs"),
    ("tanh(x)", {"x": 0}, "newton"),  # ends so far away that squares of distances overflow
    ("x²y² + e^(-x)", {"x": 1, "y": 1}, "bfgs"),  # a jitter of y moves the value by more than is left along x
    ("1/(x² + y² + 1)", {"x": 1, "y": 1}, "bfgs"),  # falls along both tangents and outward, rises inward
    ("1/(1 + x² + 3y² + z²)", {"x": 1, "y": 1, "z": 2}, "bfgs"),
]
SADDLES = [
    ("2x² - y⁶", {"x": 1, "y": 0}),
    ("x² - (y + 2)⁴", {"x": 1, "y": -2}),
    ("x² + (y - 1)³", {"x": 1, "y": 1}),
    ("(y - x²)(y - 2x²)", {"x": 0, "y": 0}),
    ("x² + y² - z⁴", {"x": 1, "y": -1, "z": 0}),
    ("x⁴ - y⁴", {"x": 0, "y": 0}),
]
MINIMA = [
    ("(x - 3)² + 1e16", {"x": 0}),
    ("x² + 2y² - 1e12", {"x": 1, "y": 1}),
    ("x² + y⁴", {"x": 1, "y": 0}),
    ("1e-6x² + 1e6y²", {"x": 0, "y": 0}),
    ("(x + y)²", {"x": 1, "y": 2}),
    ("x² + 1/x²", {"x": 2}),
    ("(x - 1)⁴", {"x": 1}),
    ("x⁶ + (y - 2)⁴", {"x": 0, "y": 2}),
]
KINKS = [
    ("|x - 1|", {"x": 3}, DESCENT, 0.3),
    ("√((x - 1)² + 4y²)", {"x": 3, "y": 1}, DESCENT, 0.2),
    ("cbrt(x - 1)^2", {"x": 3}, DESCENT, 0.1),
    ("√|x|", {"x": 2}, DESCENT, 0.1),
    ("max(x, -2x)", {"x": 1}, DESCENT, 0.1),
    ("|x| + |y|", {"x": 1, "y": 0.5}, "momentum", 0.1),
    ("|x|^1.5", {"x": 1}, DESCENT, 0.1),
]


def descended(formula, start, method=DESCENT, rate=0.1, steps=300):
    rates: dict[str, Any] = {} if method in ("bfgs", "newton") else {"learning_rate": rate}
    return ds.descend(formula, start, method=method, steps=steps, **rates)


@pytest.mark.parametrize(
    ("formula", "start", "method", "rate"),
    [("x·e^(-x)", 2, DESCENT, 0.1), ("x/(1 + |x|)", 0, "adam", 0.1), ("-x²/(1 + x²)", 1, "adam", 0.01)],
)
def test_on_a_tail_no_bottom_is_promised(formula, start, method, rate):
    diagnosis = ds.diagnose(ds.descend(f"f(x) = {formula}", start, method=method, learning_rate=rate, steps=1000))
    assert "rate_too_small" not in diagnosis
    assert "converged" not in diagnosis
    assert not any("more steps at" in finding.sentence for finding in diagnosis)


@pytest.mark.parametrize(("formula", "start", "method"), TAILS)
def test_a_tail_is_no_minimum(formula, start, method):
    diagnosis = ds.diagnose(descended(formula, start, method, steps=1000))
    assert "converged" not in diagnosis
    assert set(diagnosis.symptoms) & {"plateau", "still_descending"}


@pytest.mark.parametrize(("formula", "start"), SADDLES)
def test_a_saddle_of_higher_order_is_no_minimum(formula, start):
    diagnosis = ds.diagnose(descended(formula, start))
    assert "converged" not in diagnosis
    assert "saddle_point" in diagnosis


def test_a_curvature_that_fades_on_the_way_proves_no_minimum():
    # Along y the curvature 2x is above 0 all the way, and 0 at the saddle: x² + xy² is −y⁴/4 on x = −y²/2.
    for method in ("momentum", "gradient descent"):
        assert "converged" not in ds.diagnose(descended("x² + xy²", {"x": 1, "y": 0}, method))


@pytest.mark.parametrize(("formula", "start"), MINIMA)
def test_a_minimum_at_any_scale_and_offset(formula, start):
    rate = 1e-7 if "1e6" in formula else 0.05
    assert ds.diagnose(descended(formula, start, rate=rate, steps=2000)).symptoms[0] == "converged"


def test_level_ground_is_no_inflection():
    above = ds.diagnose(ds.descend("sign(x)", {"x": 1}))[0].sentence
    assert "inflection" not in above
    assert "level" in above
    assert "inflection" in ds.diagnose(ds.descend("(x - 1)³ + (x - 1)⁴", {"x": 1}))[0].sentence
    everywhere = ds.diagnose(ds.descend("f(x) = 5", {"x": 1}))[0].sentence
    assert "the value is the same" in everywhere


def test_steps_of_one_length_are_not_said_to_reach_the_bottom_in_one():
    diagnosis = ds.diagnose(ds.descend("x²", {"x": 1}, method="lion", learning_rate=0.01, steps=300))
    assert "converged" not in diagnosis
    assert "1 more step" not in str(diagnosis)


def test_a_slope_that_looks_the_same_has_not_fallen():
    sentence = ds.diagnose(descended("x²e^(-x²)", {"x": 5}, rate=0.5, steps=2000))[0].sentence
    assert sentence.startswith("The slope is 3.333")


def test_a_flat_limit_that_is_a_minimum_is_no_saddle():
    for formula in ("x²y²", "(x - 1)²(y + 1)²"):
        diagnosis = ds.diagnose(descended(formula, {"x": 2, "y": 1}, steps=1000))
        assert not {"saddle_point", "maximum"} & set(diagnosis.symptoms)


@pytest.mark.parametrize(("formula", "start", "method", "rate"), KINKS)
def test_no_fixed_rate_settles_at_a_kink(formula, start, method, rate):
    diagnosis = ds.diagnose(descended(formula, start, method, rate))
    assert diagnosis.symptoms[0] == "kink"
    assert not {"converged", "diverged"} & set(diagnosis.symptoms)
    assert not rates_to_follow(diagnosis[0].sentence)


@pytest.mark.parametrize(("formula", "start", "rate"), [("|x - 1|", {"x": 3}, 0.3), ("√(x² + 4y²)", (3, 1), 0.2)])
def test_a_decaying_rate_is_advised_at_a_kink_once_it_has_settled(formula, start, rate):
    trace = descended(formula, start, rate=rate)
    tried = trace.facts["decay_tried"]
    assert tried["is_sound"]
    assert "a decaying one settles: with schedule" in ds.diagnose(trace)[0].sentence
    again = ds.descend(formula, start, learning_rate=rate, steps=300, schedule=tried["schedule"])
    assert again.value == tried["value"] < 0.1 * trace.value
    unsettled = trace.replace(facts={**trace.facts, "decay_tried": {**tried, "is_sound": False}})
    assert "decay" not in str(ds.diagnose(unsettled)[0])


@pytest.mark.parametrize("formula", ["x^(2/3) + y^(2/3)", "|x - 2| + (x + y - 3)²", "cbrt(x - 1)^2 + 2y²"])
def test_a_stop_at_a_tip_is_called_one(formula):
    for method in (DESCENT, "bfgs"):
        diagnosis = ds.diagnose(descended(formula, {"x": 3, "y": 0}, method))
        assert not {"plateau", "saddle_point", "diverged", "unbounded", "converged"} & set(diagnosis.symptoms)


@pytest.mark.parametrize(
    ("formula", "start"),
    [("-1/x²", {"x": 1}), ("-1/(x - 2)⁴", {"x": 1}), ("ln(x² + y²)", {"x": 1, "y": 1}), ("-1/√(x² + y²)", (1, 2))],
)
def test_a_line_search_that_ran_into_a_pole_is_at_no_minimum(formula, start):
    diagnosis = ds.diagnose(descended(formula, start, "bfgs"))
    assert not {"converged", "plateau", "saddle_point", "oscillating"} & set(diagnosis.symptoms)
    assert "pole" in diagnosis


def test_a_slope_that_its_value_hides_is_no_plateau():
    trace = descended("0.001x² + 1e16", {"x": 2}, rate=1, steps=50)
    assert ds.diagnose(trace).symptoms == ("rate_too_small",)


def test_a_line_search_stalls_at_a_kink():
    diagnosis = ds.diagnose(descended("10|y - x²| + (2 - x)²", {"x": 0.5, "y": 1}, "bfgs"))
    assert diagnosis.symptoms[0] in ("kink", "still_descending")
    assert "plateau" not in diagnosis


@pytest.mark.parametrize(
    ("formula", "start", "method"),
    [
        ("x", {"x": 0}, DESCENT),
        ("2y - x", {"x": 0, "y": 0}, "bfgs"),
        ("-ln(x)", {"x": 1}, DESCENT),
        ("x³", {"x": 1}, "bfgs"),
        ("x² - y²", {"x": 1, "y": 0.1}, DESCENT),
        ("-√(1 + x²)", {"x": 1}, DESCENT),
    ],
)
def test_an_objective_without_a_lowest_value(formula, start, method):
    diagnosis = ds.diagnose(descended(formula, start, method))
    assert "unbounded" in diagnosis
    assert "converged" not in diagnosis
    assert "until the gradient is below" not in str(diagnosis)


@pytest.mark.parametrize("formula", ["1/(1 + x²)", "e^(-x)", "atan(x)", "x² + |y|", "(x² - 1)²", "x - ln(x)"])
def test_a_bounded_objective_is_not_called_unbounded(formula):
    start = {"x": 2, "y": 1} if "y" in formula else {"x": 2}
    assert "unbounded" not in ds.diagnose(descended(formula, start, steps=30))


@pytest.mark.parametrize(("formula", "start"), [("1/x", -1), ("-1/(x - 2)²", 1), ("tan(x)", 0), ("ln(x)", 1)])
def test_a_pole_is_named(formula, start):
    diagnosis = ds.diagnose(descended(formula, start))
    assert diagnosis.symptoms[0] == "pole"
    assert "converged" not in diagnosis


def test_what_fails_is_said_as_it_is():
    newton = ds.diagnose(descended("x + 2y", {"x": 0, "y": 0}, "newton"))
    assert "domain" not in str(newton)
    tip = ds.diagnose(descended("(√(x² + 4y²))²", {"x": 1, "y": 0}, rate=0.5))
    assert "landed on a minimum" in tip[0].sentence
    edge = ds.diagnose(descended("x - ln(x)", {"x": 1.5}, rate=6.0, steps=1))
    assert "pole" not in edge
    outside = ds.diagnose(descended("x - √x", {"x": 4}, rate=6.0))
    assert "outside the domain" in str(outside)


@pytest.mark.parametrize(
    ("formula", "start", "rate", "steps", "more"),
    [
        # x^(p+2) grows by (p + 2)·pα a step on 1/xᵖ; on |x|ᵖ, x^(2−p) grows by p(p − 2)α.
        ("1/x²", 1.0, 0.1, 1000, ((2 / 1e-10) ** (4 / 3)) / 0.8),
        ("x⁴", 2.0, 0.01, 3000, ((1e-10 / 4) ** (-2 / 3)) / 0.08),
        ("x⁶ + 1", 1.0, 0.05, 3000, ((1e-10 / 6) ** (-4 / 5)) / 1.2),
        ("x² + 30y²", 1.0, 0.03, 60, math.log(2 * 0.94**60 / 1e-10) / -math.log(0.94)),
        ("e^(-x)", 0.0, 0.5, 1000, 2e10),
        ("x ln x", 1.0, 0.01, 100, 784),  # the curvature rises from 1 to e
    ],
)
def test_forecasts_of_the_steps_to_go(formula, start, rate, steps, more):
    start = {"x": start, "y": start} if "y" in formula else {"x": start}
    found = ds.diagnose(descended(formula, start, rate=rate, steps=steps))[0].evidence.get("steps_to_go")
    assert found == pytest.approx(more, rel=0.5)


@pytest.mark.parametrize(
    ("formula", "start", "rate"),
    [
        ("x² + 40y²", {"x": 1, "y": 1}, 0.06),
        ("12 + x² - 12cos(2πx)", {"x": 3.3}, 0.006),
        ("x² + 2sin(9x)", {"x": 2}, 0.06),
        ("x⁴ - 3x²", {"x": 2}, 0.2),
        ("e^x - x", {"x": 2}, 2.5),
        ("(1 - x)² + 50(y - x²)²", {"x": -1, "y": 1}, 0.01),
        ("x²", {"x": 1}, 1e-5),
        ("x⁴ + y²", {"x": 1, "y": 1}, 1e-6),
    ],
)
def test_advice_can_be_followed(formula, start, rate):
    diagnosis = ds.diagnose(descended(formula, start, rate=rate, steps=150))
    for advised in {rate for finding in diagnosis for rate in rates_to_follow(finding.sentence)}:
        trace = descended(formula, start, rate=advised, steps=150)
        values = trace.columns["value"]
        assert trace.outcome is not ds.Outcome.NOT_FINITE
        assert values[-1] < values[0] >= np.max(values[len(values) // 2 :])
        assert not rates_to_follow(" ".join(finding.sentence for finding in ds.diagnose(trace)))


def test_a_saved_run_is_judged_as_the_run_itself(tmp_path):
    for formula, start, rate in [("x² + 2sin(9x)", {"x": 2}, 0.06), ("1/x", {"x": -1}, 0.1), ("|x|", {"x": 1}, 0.3)]:
        trace = descended(formula, start, rate=rate)
        ds.save(trace, tmp_path / "run")
        assert ds.diagnose(ds.load(tmp_path / "run")).as_list() == ds.diagnose(trace).as_list()
        without = trace.replace(facts={})
        assert len(ds.diagnose(without)) >= 1  # a run of an earlier version


TERMS = "x² x³ x⁴ |x| √(x²+1) e^(-x) sin(x) cos(3x) 1/x ln(x) atan(x) cbrt(x) max(x,1) √x 1/(1+x²) e^x 1e17 1e-9x²"


@pytest.mark.parametrize("seed", range(60))
def test_no_sentence_contradicts_its_numbers(seed):
    random_ = random.Random(seed)
    one = " + ".join(random_.choice(["", "2", "-", "1e6·", "1e-6·"]) + random_.choice(TERMS.split()) for _ in range(2))
    formula = "f(x) = " + one.replace("+ -", "- ").replace("21e", "2·1e")
    start: dict[str, float] = {"x": random_.choice([0, 1, -1, 2.5, 10, -0.3])}
    if random_.random() < 0.4:
        formula, start["y"] = (
            f"{formula.replace('(x) =', '(x, y) =', 1)} + {random_.choice(['y²', '|y|', 'y⁴', '-y²', '100y²'])}",
            0.5,
        )
    method = random_.choice([DESCENT, DESCENT, "momentum", "nesterov", "adam", "bfgs", "newton", "rmsprop"])
    rate, steps = random_.choice([1e-4, 0.01, 0.1, 0.5, 1, 3]), random_.choice([1, 7, 40, 200])
    diagnosis = ds.diagnose(descended(formula, start, method, rate, steps))
    for finding in diagnosis:
        assert not broken_relations(finding.sentence), (formula, start, method, rate, finding.sentence)
        assert finding.sentence.endswith(".")
    assert not re.search(r"\bnan\b", diagnosis.as_text(evidence=True))


def test_a_value_that_came_back_to_its_start_is_not_said_to_have_risen():
    sentence = ds.diagnose(ds.descend("x mod 1", {"x": 0.5}, learning_rate=0.1)).findings[0].sentence
    assert "0.5 at the start and is 0.5" not in sentence
