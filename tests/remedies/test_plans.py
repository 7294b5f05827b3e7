"""Sick descents: each is diagnosed, what is prescribed helps, and what is printed does it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import downslope as ds
from downslope.diagnosis import DESCENT_SYMPTOMS, TRAINING_SYMPTOMS, diagnose, quantity_names
from downslope.remedies import _descent_remedies, _model_remedies, _start_points, _training_remedies
from downslope.remedies._descent_remedies import clipping, descent_makers
from downslope.remedies._remedy import DescentCase, OtherStart, helps, makers_for
from downslope.remedies._training_remedies import training_makers

SADDLE = "f(x, y) = x² - y² + y⁴"
ROSENBROCK = "f(x, y) = (1 - x)² + 100(y - x²)²"


@dataclass(frozen=True)
class Sick:
    """A descent that falls short, with what is to be found and where the mended one must end.

    Args:
        name: what it is called.
        formula, start, choices: the plan.
        symptom: one of its findings.
        ends_below: the value of the mended descent.
        changed: an argument of `plan` that the remedy changes.
    """

    name: str
    formula: str
    start: Mapping[str, float]
    symptom: str
    ends_below: float
    changed: str
    choices: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def plan(self) -> ds.Plan:
        return ds.plan(self.formula, dict(self.start), **self.choices)


SICK = (
    Sick("saddle", SADDLE, {"x": 1, "y": 0}, "saddle_point", -0.2499, "start", {"steps": 200}),
    Sick("near a saddle", SADDLE, {"x": 1, "y": 1e-9}, "saddle_point", -0.2499, "start", {"steps": 50}),
    Sick(
        "saddle elsewhere", "f(x, y) = (x - 1)² - (y - 2)² + (y - 2)⁴", {"x": 3, "y": 2}, "saddle_point", -0.24, "start"
    ),
    Sick("diagonal saddle", "f(x, y) = x⁴ + y⁴ - 4x·y", {"x": 1, "y": -1}, "saddle_point", -1.99, "start"),
    Sick("maximum", "f(x) = x⁴ - x²", {"x": 0}, "maximum", -0.2499, "start"),
    Sick(
        "local minimum",
        "f(x) = x⁴ - 4x² + x",
        {"x": 2},
        "local_minimum",
        -5.4,
        "start",
        {"learning_rate": 0.01, "steps": 500},
    ),
    Sick("rate too large", "f(x) = x²", {"x": 1}, "rate_too_large", 1e-9, "learning_rate", {"learning_rate": 1.1}),
    Sick("rate too small", "f(x) = x²", {"x": 10}, "rate_too_small", 1e-9, "learning_rate", {"learning_rate": 1e-3}),
    Sick("oscillating", "f(x) = x²", {"x": 1}, "oscillating", 1e-9, "learning_rate", {"learning_rate": 1.0}),
    Sick("cliff", "f(x) = x⁴ + x²", {"x": 5}, "not_finite", 1e-9, "method"),
    Sick("out of the domain", "f(x) = x - ln x", {"x": 5}, "not_finite", 1.001, "learning_rate", {"learning_rate": 10}),
    Sick("plateau", "f(x) = -e^(-x²)", {"x": 5}, "plateau", -0.99, "start"),
    Sick(
        "out of steps",
        "f(x) = x²",
        {"x": 1},
        "still_descending",
        1e-9,
        "learning_rate",
        {"learning_rate": 0.05, "steps": 20},
    ),
)


def test_every_record_of_a_symptom_names_remedies_that_exist() -> None:
    for symptom in DESCENT_SYMPTOMS:
        assert all(callable(maker) for maker in descent_makers(symptom))
    for symptom in TRAINING_SYMPTOMS:
        assert all(callable(maker) for maker in training_makers(symptom))
    with pytest.raises(KeyError):
        makers_for("plateau", {"plateau": replace(DESCENT_SYMPTOMS["plateau"], remedies=("smaler_rate",))}, {})


def test_a_remedy_that_names_its_symptoms_is_tried_after_those_that_their_records_name() -> None:
    records = {**DESCENT_SYMPTOMS, **TRAINING_SYMPTOMS}
    for module in (_descent_remedies, _start_points, _training_remedies, _model_remedies):
        for maker in vars(module).values():
            assert set(getattr(maker, "__helps__", ())) <= records.keys(), maker

    @helps("plateau")
    def shaken(case: DescentCase) -> ds.Remedy | None:
        """Shake the point."""

    plateau = DESCENT_SYMPTOMS["plateau"]
    makers = {name: name for name in plateau.remedies}
    assert makers_for("plateau", {"plateau": plateau}, {"shaken": shaken, **makers}) == (*plateau.remedies, shaken)
    assert makers_for("nothing", {"plateau": plateau}, makers) == ()


@pytest.mark.parametrize("sick", SICK, ids=str)
def test_every_remedy_says_why_and_what_it_moves(sick: Sick) -> None:
    plan = sick.plan
    trace = ds.descend(plan, progress=False)
    case = DescentCase(plan, trace, (OtherStart(dict.fromkeys(sick.start, 0.5), -1.0),))
    for symptom in DESCENT_SYMPTOMS:
        for maker in descent_makers(symptom):
            remedy = maker(case)
            if remedy is not None:
                assert remedy.why.endswith(".")
                assert remedy.moves in quantity_names()
                assert isinstance(plan.changed(**remedy.changes), ds.Plan)


def test_a_longer_gradient_is_cut_at_a_cliff() -> None:
    plan = ds.plan("f(x) = x⁴ + x²", {"x": 5}, learning_rate=0.02)
    remedy = clipping(DescentCase(plan, ds.descend(plan, progress=False)))
    assert remedy is not None
    assert remedy.changes["clip_norm"] <= 510
    assert ds.descend(plan.changed(clip_norm=1.0, steps=500), progress=False).value < 1e-3


@pytest.mark.parametrize("sick", SICK, ids=str)
def test_it_is_diagnosed_and_mended(sick: Sick) -> None:
    plan = sick.plan
    found = ds.prescribe(plan, progress=False)
    assert sick.symptom in found.diagnosis
    assert found.best is not None, str(found)
    assert found.best.helped
    assert found.best.effect.low > 0
    assert sick.changed in found.best.remedy.changes
    assert isinstance(found.mended, ds.Plan)
    mended = ds.descend(found.mended, progress=False)
    assert mended.value < sick.ends_below < ds.descend(plan, progress=False).value
    assert diagnose(mended).ok


@pytest.mark.parametrize("sick", SICK[:1] + SICK[5:7], ids=str)
def test_what_is_printed_does_it_again(sick: Sick) -> None:
    found = ds.prescribe(sick.plan, progress=False)
    kept = str(found).split("Keep: ")[1]
    assert found.mended is not None
    assert kept == found.mended.as_python()
    again = called(kept)
    assert again.value == ds.descend(found.mended, progress=False).value


def called(text: str, **known: Any) -> ds.Trace:
    """Return what a printed call makes."""
    return eval(text, {"ds": ds, "np": np, **known})  # noqa: S307 - what our own code printed


def test_a_narrow_valley() -> None:
    found = ds.prescribe(ds.plan(ROSENBROCK, {"x": -1.2, "y": 1}, learning_rate=1e-4, steps=200), progress=False)
    assert not ds.descend(found.specification, progress=False).value < 4
    assert found.best is not None
    assert found.best.remedy.changes == {"method": "newton"}
    assert ds.descend(found.mended, progress=False).value < 1e-12


def test_a_healthy_descent_is_left_alone() -> None:
    found = ds.prescribe(ds.plan("f(x) = x²", {"x": 1}, learning_rate=0.3), progress=False)
    assert found.verdict == "Nothing is wrong, so nothing was changed."
    assert found.mended is None
    assert found.trials == found.tried == ()


def test_what_has_no_bottom_cannot_be_mended() -> None:
    found = ds.prescribe(ds.plan("f(x) = -x²", {"x": 1}, learning_rate=0.1), progress=False)
    assert found.diagnosis[0].symptom == "diverged"
    assert found.mended is None
    assert found.verdict.startswith("Nothing helped")


def test_leaving_a_saddle_for_nowhere_does_not_count() -> None:
    found = ds.prescribe(ds.plan("f(x, y) = x² - y²", {"x": 1, "y": 0}, steps=60), progress=False)
    assert "saddle_point" in found.diagnosis
    assert found.trials
    assert found.best is None
    assert "what was wrong did not" in found.verdict


def test_all_of_it_can_be_told() -> None:
    found = ds.prescribe(ds.plan("f(x) = x⁴ + x²", {"x": 5}, learning_rate=0.1, steps=50), seeds=2, progress=False)
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["judged_by"] == "value"
    assert told["control"] == [-score for score in found.control]
    assert told["keep"] == found.mended.as_python()
    assert len(told["trials"][0]["scores"]) == 2
    text = str(found)
    assert "counts as if it had stayed there" in text
    assert "score on rows held back" not in text
    assert found._repr_html_().startswith("<pre>")
    assert "value goes from" in repr(found)


def test_the_steps_that_were_spent_are_counted_and_bounded() -> None:
    plan = ds.plan("f(x) = x²", {"x": 1.0}, learning_rate=1.1, steps=20)
    seen: list[tuple[int, int, float]] = []
    found = ds.prescribe(plan, trainings=6, progress=lambda *told: seen.append(told))
    assert 0 < found.steps <= 600
    assert seen[-1][:2] == (found.steps, 600)
    nothing = ds.prescribe(plan, trainings=1, progress=False)
    assert nothing.mended is None
    assert nothing.tried == ()


def test_functions_of_arrays_and_tables() -> None:
    def saddle(point: Any) -> Any:
        return point["w"][0] ** 2 - point["w"][1] ** 2 + point["w"][1] ** 4

    found = ds.prescribe(ds.plan(saddle, {"w": np.array([1.0, 0.0])}), progress=False)
    assert found.mended is not None
    assert called(found.mended.as_python(), saddle=saddle).value == pytest.approx(-0.25)
    table = {"size": [50, 100, 150], "price": [100, 200, 300]}
    plan = ds.plan("Loss(w) = mean((price - w×size)²)", {"w": 1.0}, data=table, learning_rate=1e-3)
    found = ds.prescribe(plan, progress=False)
    assert found.mended is not None
    assert called(found.mended.as_python(), data=table).value < 1e-12


def test_points_of_many_numbers() -> None:
    def bowl(point: Any) -> Any:
        return jnp.sum(point["w"] ** 2) + point["b"] ** 2

    plan = ds.plan(bowl, {"w": np.ones((4, 10)), "b": 1.0}, learning_rate=1.2, steps=30)
    found = ds.prescribe(plan, progress=False)
    assert found.mended is not None
    assert ds.descend(found.mended, progress=False).value < 1e-9


@pytest.mark.parametrize(
    ("thing", "choices", "words"),
    [
        ("x²", {}, "a plan or a training, not 'x²'; and there is no folder of that name"),
        (ds.descend("x²", 1.0, steps=3), {}, "a trace is only a record and cannot be run again"),
        (ds.plan("x²", 1.0), {"seeds": 1}, "seeds must be a whole number of at least 2, not 1"),
        (ds.plan("x²", 1.0), {"seeds": 2.5}, "seeds must be a whole number"),
        (ds.plan("x²", 1.0), {"seeds": True}, "seeds must be a whole number"),
        (ds.plan("x²", 1.0), {"trainings": 0}, "trainings must be a whole number of at least 1, not 0"),
        (ds.plan("x²", 1.0), {"data": {"x": [1]}}, "rows of a saved run"),
    ],
    ids=lambda thing: thing if isinstance(thing, str) else "",
)
def test_bad_input(thing: Any, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ds.SettingError, match=words):
        ds.prescribe(thing, **choices)


def test_the_plan_of_a_training_is_refused() -> None:
    table = {"x": [0.0, 1.0, 2.0, 3.0] * 5, "y": [0.0, 1.0, 2.0, 3.0] * 5}
    training = ds.train(data=table, target="y", hidden=(2,), steps=2, progress=False)
    assert training.setup is not None
    with pytest.raises(ds.SettingError, match="plan of a training"):
        ds.prescribe(training.setup.plan())


# --- plans that are changed and written ------------------------------------------------------------------------------


def test_a_changed_plan_keeps_what_was_not_changed() -> None:
    plan = ds.plan(
        "x²",
        1.0,
        method="momentum",
        momentum=0.5,
        schedule="step",
        factor=0.3,
        clip_norm=2.0,
        steps=7,
        record=2,
        seed=3,
    )
    assert plan.changed().description == plan.description
    other = plan.changed(learning_rate=0.2, start=2.0)
    assert (other.learning_rate, other.start, other.method.settings) == (0.2, {"x": 2.0}, {"momentum": 0.5})
    assert plan.changed(clip_norm=None).clip_norm is None
    assert plan.changed(schedule=None).schedule.name == "constant"
    assert plan.changed(method="adam").method.settings["beta1"] == 0.9
    newton = plan.changed(method="newton")
    assert (newton.schedule.name, newton.record.every, newton.seed) == ("constant", 2, 3)
    with pytest.raises(ds.SettingError, match="learning_rate must be above 0"):
        plan.changed(learning_rate=-1)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"learning_rate": 0.3, "steps": 5},
        {"method": "momentum", "momentum": 0.5, "learning_rate": 0.01},
        {"method": "adam"},
        {"method": "bfgs"},
        {"schedule": "step", "factor": 0.3, "learning_rate": 0.01},
        {"schedule": "cosine", "clip_norm": 1.5, "clip_value": 0.5, "learning_rate": 0.01, "tolerance": 1e-3},
        {"record": 3, "learning_rate": 1 / 3},
    ],
    ids=str,
)
def test_a_written_plan_takes_the_same_steps(choices: dict[str, Any]) -> None:
    plan = ds.plan(ROSENBROCK, {"x": -1.2, "y": 1.0}, **choices)
    made, again = ds.descend(plan), called(plan.as_python())
    assert again.plan == made.plan
    assert np.array_equal(again.recorded["value"], made.recorded["value"])


def test_what_cannot_be_written_stands_by_its_name() -> None:
    plan = ds.plan("x²", 1.0, method=optax.sgd(0.1))
    assert plan.as_python() == 'ds.descend("x²", {"x": 1.0}, method=method, steps=100)'
    plan = ds.plan("x²", 1.0, learning_rate=optax.constant_schedule(0.1))
    assert plan.as_python() == 'ds.descend("x²", {"x": 1.0}, schedule=schedule, steps=100)'


@pytest.mark.parametrize(("text", "start"), [("x³", 0.5), ("x - y² + 0.1x²", (1.0, 0.5)), ("-x⁴", 0.1)])
def test_of_a_function_without_a_minimum_the_prescription_says_so(text: str, start: Any) -> None:
    prescription = ds.prescribe(ds.plan(text, start, steps=30))
    assert "There is no minimum to be found" in prescription.verdict
    assert "unbounded" in {finding.symptom for finding in prescription.diagnosis.findings}
