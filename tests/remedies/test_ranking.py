"""Which remedies are tried first: the counts that are shipped, and the order that they lead to."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

import downslope as ds
from downslope.diagnosis import TRAINING_SYMPTOMS, Diagnosis, Finding, Severity
from downslope.remedies import _ranking
from downslope.remedies._ranking import TOGETHER, causes_of, chance, counts, counts_in_all, ranked, together
from downslope.remedies._remedy import Remedy, TrainingCase
from downslope.remedies._training_remedies import makers

KEYS = {maker.__name__ for maker in makers()}


def remedy(key: str, **changes: Any) -> Remedy:
    return Remedy(key, "because", changes, "training_score", key=key)


def test_the_counts_name_symptoms_and_remedies_that_exist() -> None:
    assert counts().keys() <= TRAINING_SYMPTOMS.keys()
    rows = [counts_in_all(), *counts().values()]
    assert {key for row in rows for key in row} <= KEYS | {TOGETHER}
    assert all(0 <= repaired <= tried for row in rows for repaired, tried in row.values())


def test_the_counts_say_where_they_come_from() -> None:
    text = (resources.files(ds) / "remedies" / "repair_counts.json").read_text(encoding="utf-8")
    assert "tuned half" in json.loads(text)["source"]


def test_every_maker_names_symptoms_that_exist() -> None:
    named = {symptom for maker in makers() for symptom in getattr(maker, "__helps__", ())}
    assert named <= TRAINING_SYMPTOMS.keys()


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the counts by made-up ones: 9 of 10 for relu where gradients vanish, 0 of 10 for skips."""
    monkeypatch.setattr(_ranking, "counts", lambda: {"vanishing_gradients": {"relu": (9, 10), "skips": (0, 10)}})
    monkeypatch.setattr(_ranking, "counts_in_all", lambda: {"relu": (9, 10), "skips": (0, 10)})


@pytest.mark.usefixtures("made_up")
def test_the_chance_lies_between_what_was_seen_and_the_prior() -> None:
    assert 0.6 < chance(["vanishing_gradients"], "relu") < 0.9
    assert 0.0 < chance(["vanishing_gradients"], "skips") < 0.15
    # Of a finding that was never seen the record decides.
    assert chance(["overfitting"], "dropout") > chance(["overfitting"], "larger_rate")


@pytest.mark.usefixtures("made_up")
def test_what_the_findings_ask_for_together_leaves_out_what_conflicts() -> None:
    both = together([remedy("relu", activation="relu"), remedy("standardised", standardise=True)],
                    ["unscaled_inputs", "vanishing_gradients"])  # fmt: skip
    assert both is not None
    assert both.changes == {"standardise": True, "activation": "relu"}
    assert both.key == TOGETHER
    first, second = remedy("larger_rate", learning_rate=1.0), remedy("smaller_rate", learning_rate=0.1)
    assert together([first, second], ["rate_too_small", "rate_too_large"]) is None


def test_a_bundle_names_its_changes_and_the_causes_that_they_are_for() -> None:
    choices: dict[str, Any] = {"hidden": (8,), "activation": "sigmoid", "probe_every": 0, "layers_every": 0}
    setup = ds.Setup.of(None, "iris", steps=2, **choices)
    case = TrainingCase(setup, setup.train(progress=False).trace)
    finding = Finding("vanishing_gradients", Severity.PROBLEM, "They vanish.", {}, "none", (0, 2))
    diagnosis = Diagnosis((finding,))
    offered = {remedy.key: remedy for remedy in ranked(case, diagnosis)}
    assert offered.keys() - {TOGETHER} <= KEYS
    usual = offered["usual"]
    assert {"relu", "suited_weights", "suited_output"} <= {change.key for change in usual.single_changes}
    merged = {name: value for change in usual.single_changes for name, value in change.changes.items()}
    assert merged == dict(usual.changes)
    assert "vanishing_gradients" in causes_of(usual, diagnosis)
    assert causes_of(offered["weight_decay"], diagnosis) == ()
