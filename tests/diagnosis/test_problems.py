"""Every named problem: no alarm on its healthy plans, the right symptom on its sick ones."""

from __future__ import annotations

import json
import math

import pytest

import downslope as ds
from downslope.diagnosis import Diagnosis, Severity, diagnose
from tests.numpy_descent import numpy_descent
from tests.problems import PROBLEMS, SICK_GROUNDS, Problem, Run

HEALTHY = [(problem, run) for problem in PROBLEMS for run in problem.healthy]
SICK = [(problem, run) for problem in PROBLEMS + SICK_GROUNDS for run in problem.sick]


def descended(problem: Problem, run: Run):
    start = run.start or problem.start
    return numpy_descent(*problem.functions, start, learning_rate=run.learning_rate, steps=run.steps, method=run.method)


def reads_and_serialises(diagnosis: Diagnosis) -> None:
    """Hold that what is said can be read, printed and kept."""
    assert len(diagnosis) >= 1
    json.dumps(diagnosis.as_list(), allow_nan=False)
    text = str(diagnosis)
    assert "nan" not in text.lower().replace("dominant", "")
    assert diagnosis._repr_html_().startswith("<p>")
    for finding in diagnosis:
        assert finding.symptom in diagnosis.symptoms
        assert finding.sentence.endswith(".")
        assert finding.steps[0] <= finding.steps[1]
        assert all(not isinstance(number, float) or math.isfinite(number) for number in finding.evidence.values())


@pytest.mark.parametrize(("problem", "run"), HEALTHY, ids=str)
def test_no_alarm_on_a_healthy_run(problem: Problem, run: Run) -> None:
    trace = descended(problem, run)
    diagnosis = diagnose(trace)
    reads_and_serialises(diagnosis)
    assert diagnosis.ok, diagnosis
    if run.symptom:
        assert diagnosis[0].symptom == run.symptom
    if run.symptom == "converged" and problem.name not in {"Himmelblau", "Styblinski-Tang"}:
        assert trace.value >= problem.minimum - 1e-9


@pytest.mark.parametrize(("problem", "run"), SICK, ids=str)
def test_the_symptom_of_a_sick_run(problem: Problem, run: Run) -> None:
    diagnosis = diagnose(descended(problem, run))
    reads_and_serialises(diagnosis)
    assert diagnosis[0].symptom == run.symptom, diagnosis
    assert diagnosis[0].severity is Severity.PROBLEM
    assert not diagnosis.ok


def test_there_are_enough_named_problems() -> None:
    assert len({problem.name for problem in PROBLEMS}) >= 20


def test_another_start_that_ends_lower_makes_an_end_local():
    formula = "x⁴ - 2x² + 0.3x"
    right, left = (ds.descend(formula, start, learning_rate=0.02, steps=300) for start in (1.5, -1.5))
    assert ds.diagnose(right).symptoms == ("converged",) or ds.diagnose(right).ok
    assert ds.diagnose(right, [left]).symptoms[0] == "local_minimum"
    assert ds.diagnose(left, [right]).ok
