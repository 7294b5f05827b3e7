"""Traces made of columns: what they are made of, what is refused, and every verb on the smallest of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

import downslope as ds
from downslope.cli._main import run
from downslope.trace import TraceFacts, TracePlan, known_keys
from downslope.trace._header import _FACTS, _PLAN

LOSS = 2 * 0.97 ** np.arange(60)
PART = {"gradient_norm": [1.0, 0.5], "update_norm": [0.1, None]}
SMALLEST = {
    "loss alone": {"steps": {"loss": LOSS}},
    "one row": {"steps": {"loss": [1.0]}},
    "not finite from the start": {"steps": {"loss": [float("nan")] * 5}},
    "evaluations": {"steps": {"loss": LOSS}, "evaluations": {"step": [0, 59], "validation_accuracy": [0.1, None]}},
    "parts": {"steps": {"loss": LOSS}, "parts": {"w": PART, "b": PART}, "looks": [0, 30]},
    "layers": {"steps": {"loss": LOSS}, "layers": {"a": {"dead_share": [0.1, 0.2]}}, "looks": [0, 30]},
    "plan": {"steps": {"loss": LOSS}, "plan": {"method": "adam", "batches": {"size": 8, "best_by": "validation_loss"}}},
    "facts": {"steps": {"loss": LOSS}, "facts": {"data": {"rows": 90}, "network": {"kind": "classes"}}},
    "points": {"steps": {"loss": LOSS}, "start": {"w": np.ones((3, 2))}, "end": {"w": np.zeros((3, 2))}},
}


@pytest.mark.parametrize("name", SMALLEST)
def test_every_verb_takes_the_smallest_traces(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = ds.trace_from(**SMALLEST[name])
    diagnosis = ds.diagnose(trace)
    assert len(diagnosis) > 0
    assert all(map(str, (ds.summary(trace), ds.summary(trace).as_dict(), trace, repr(trace))))
    assert len(trace.steps) == len(trace)
    assert min(map(len, (trace.layers, trace.parts, trace.evaluations))) >= 0
    ds.export(trace, tmp_path / "steps.csv")
    again = ds.load_trace(ds.save(trace, tmp_path / "run"))
    assert str(ds.diagnose(again)) == str(diagnosis)
    np.testing.assert_array_equal(again.columns["value"], trace.columns["value"])
    if len(trace):
        ds.draw.training(trace, diagnosis)
    ds.report(trace, tmp_path / "report.html")
    for words in (["diagnose", str(tmp_path / "run")], ["diagnose", str(tmp_path / "run"), "--json"]):
        assert run(words) == 0
    assert run(["export", str(tmp_path / "run"), str(tmp_path / "again.csv")]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_what_was_not_measured_is_told_from_what_is_not_finite() -> None:
    gaps = [1.0, None, 2.0, float("nan"), 1.0]
    frame = polars.DataFrame({"loss": [5.0, 4.0, 3.0, 2.0, 1.0], "gradient_norm": gaps}, strict=False)
    for steps in (frame, {"loss": [5, 4, 3, 2, 1], "gradient_norm": gaps}):
        trace = ds.trace_from(steps)
        assert trace.facts["not_measured"] == {"gradient_norm": [1]}
        assert "At step 3 the gradient's norm is not finite" in ds.diagnose(trace)[0].sentence
    masked = np.ma.masked_invalid([1.0, np.nan, 2.0, 1.0, 1.0])
    assert "not_finite" not in ds.diagnose(ds.trace_from({"loss": [5, 4, 3, 2, 1], "gradient_norm": masked}))


def test_rows_without_a_loss_are_left_out() -> None:
    trace = ds.trace_from({"step": [1, 2, 5], "loss": [3.0, None, 2.0], "learning_rate": [0.1, 0.1, 0.2]})
    assert trace.columns["step"].tolist() == [1, 5]
    assert trace.columns["learning_rate"].tolist() == [0.1, 0.2]


def test_how_it_ended_follows_from_the_loss() -> None:
    ends = ds.trace_from({"step": [0, 10, 20], "loss": [1.0, 2.0, float("inf")]})
    assert (ends.outcome, ends.not_finite_step, ends.last_step) == (ds.Outcome.NOT_FINITE, 20, 10)
    assert ds.trace_from({"loss": [1.0]}, outcome="interrupted").outcome is ds.Outcome.INTERRUPTED
    assert ds.trace_from({"loss": [2.0, 1.0]}).outcome is ds.Outcome.STEPS_USED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": {"los": [1.0]}}, "did you mean 'loss'"),
        ({"steps": {"loss": ["a"]}}, "must hold only numbers"),
        ({"steps": {"loss": [[1.0], [2.0]]}}, "one number per row"),
        ({"steps": {"step": [2, 1], "loss": [1.0, 2.0]}}, "ascend"),
        ({"steps": {"step": [0.5, 1], "loss": [1.0, 2.0]}}, "whole numbers"),
        ({"steps": {"loss": [1.0, 2.0], "gradient_norm": [1.0]}}, "has 1 rows"),
        ({"steps": [1.0, 2.0]}, "columns by name"),
        ({"steps": {"loss": [1.0]}, "evaluations": {"training_loss": [1.0]}}, "need a column step"),
        ({"steps": {"loss": [1.0]}, "facts": {"data": {"refrence_score": 0.9}}}, "did you mean 'reference_score'"),
        ({"steps": {"loss": [1.0]}, "facts": {"data": {"rows": "many"}}}, "facts.data.rows must be a whole number"),
        ({"steps": {"loss": [1.0]}, "plan": {"methd": "adam"}}, "did you mean 'method'"),
        ({"steps": {"loss": [1.0]}, "plan": {"learning_rate": "small"}}, "plan.learning_rate must be a number"),
        ({"steps": {"loss": [1.0]}, "outcome": "stoped_early"}, "did you mean 'stopped_early'"),
        ({"steps": {"loss": [1.0]}, "start": {"w": [1.0]}}, "start and end come together"),
        ({"steps": {"loss": [1.0]}, "parts": {"w": {"norm": [1.0]}}}, "no column 'norm' of a part"),
    ],
)
def test_what_no_reader_knows_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ds.SettingError) as error:
        ds.trace_from(**arguments)
    assert message in f"{error.value} {error.value.hint}"


def test_the_keys_that_are_documented_are_those_that_are_checked() -> None:
    facts, plan = known_keys(TraceFacts), known_keys(TracePlan)
    for group in ("data", "network", "loss"):
        checked = _FACTS[group] if isinstance(_FACTS[group], dict) else {}
        assert {
            f"{group}.{key}" for key in checked if key not in ("skipped", "inferred", "mixed_precision", "description")
        } <= facts.keys()
    assert {"read_as", "method", "schedule", "settings", "steps", "learning_rate"} <= plan.keys() <= {*_PLAN, *plan}
    assert all(meaning for meaning in (*facts.values(), *plan.values()))
