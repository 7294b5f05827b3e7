"""The records of symptoms, the rules of end states, and how numbers look in what a diagnosis says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from downslope.diagnosis import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS, Severity, Symptom, diagnose, quantity_names
from downslope.diagnosis._end_state import EndState, StateRule, state_of
from downslope.diagnosis._evidence import Evidence
from downslope.diagnosis._finding import evidence_texts, factor
from downslope.diagnosis.checks import DESCENT_CHECKS, TRAINING_CHECKS
from tests.numpy_descent import numpy_descent

# What is wrong with the rows is mended before a training, as their findings advise, and not by a choice of it.
OF_ROWS = {"data_leak", "data_order", "shifted_validation", "skewed_targets"}
RECORDS = [*DESCENT_SYMPTOMS.values(), *TRAINING_SYMPTOMS.values()]


@pytest.mark.parametrize("symptom", RECORDS, ids=lambda symptom: symptom.key)
def test_every_record_is_complete(symptom: Symptom) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", symptom.key)
    assert symptom.title[0].isupper()
    assert "_" not in symptom.title
    assert symptom.quantity in quantity_names()
    assert symptom.meaning.endswith(".")
    assert symptom.meaning[0].isupper()
    assert len(set(symptom.remedies)) == len(symptom.remedies)
    assert bool(symptom.remedies) or symptom.severity is Severity.GOOD or symptom.key in OF_ROWS


def test_ranks_decide_the_order_of_causes() -> None:
    for symptoms, checks in ((DESCENT_SYMPTOMS, DESCENT_CHECKS), (TRAINING_SYMPTOMS, TRAINING_CHECKS)):
        orders = [symptom.order for symptom in symptoms.values()]
        assert orders == sorted(set(orders))
        ranks = [check.order for check in checks]
        assert ranks == sorted(set(ranks))
        assert {check.symptom.key for check in checks} <= set(symptoms)


def test_a_check_may_bring_an_end_state_of_its_own() -> None:
    trace = numpy_descent(lambda x: float(x @ x), lambda x: 2 * x, lambda x: 2 * np.eye(1), {"x": 10.0}, steps=20)
    evidence = Evidence(trace)
    waits = EndState("waits")
    assert state_of(evidence) is EndState.FALLING
    assert state_of(evidence, [StateRule(55, lambda evidence: waits)]) is waits
    assert state_of(evidence, [StateRule(55, lambda evidence: None)]) is EndState.FALLING


@given(st.floats(1e-12, 1e12), st.floats(1e-8, 1.0))
@example(2.9999994682, 1.7726e-7)
def test_rates_that_differ_look_different(largest: float, share: float) -> None:
    texts = evidence_texts({"learning_rate": largest * (1 + share), "largest_stable_rate": largest})
    assert texts["learning rate"] != texts["largest stable rate"]


@given(st.floats(1e-8, 0.5))
def test_a_factor_below_1_does_not_read_as_1(share: float) -> None:
    assert factor(1 - share) != "1"
    assert factor(1.0) == "1"


@settings(max_examples=60)
@given(st.floats(0.1, 50.0), st.floats(1e-8, 0.3))
@example(1.0, 1e-7)
def test_a_rate_above_the_largest_stable_one_reads_so(curvature: float, share: float) -> None:
    rate = 2 / curvature * (1 + share)
    trace = numpy_descent(
        lambda x: float(curvature / 2 * (x @ x)),
        lambda x: curvature * x,
        lambda x: curvature * np.eye(1),
        {"x": 10.0},
        learning_rate=rate,
        steps=60,
    )
    for finding in diagnose(trace):
        compared = re.search(r"α = (\S+) is (above|below) the largest stable rate (\S+?)\.? ", finding.sentence + " ")
        if compared:
            assert compared[1] != compared[3].rstrip(".")
