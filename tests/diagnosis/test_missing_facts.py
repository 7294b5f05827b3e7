"""Without a fact, a column or an entry of the plan, a finding stays, or its check says that it could not run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.diagnosis import TRAINING_SYMPTOMS
from downslope.diagnosis.checks import TRAINING_CHECKS
from tests.diagnosis import test_logs as logs

MAPPINGS = ("recorded", "part_columns", "start", "end", "layer_columns", "metrics")


@functools.cache
def trace(name: str) -> ds.Trace:
    """Return a trace to take something from."""
    if name == "healthy":
        return ds.train(data="iris", hidden=(8,), steps=400, layers_every=100, progress=False).trace
    if name == "deep sigmoids":
        choices = {"hidden": (12,) * 7, "activation": "sigmoid", "layers_every": 50}
        return ds.train(data="iris", steps=250, probe_every=0, progress=False, **choices).trace
    if name == "rare classes":
        rows = np.random.default_rng(0).normal(size=(600, 4)).astype("float32")
        rare = (rows[:, 0] > 1.9).astype(int)
        return ds.train(data=(rows, rare), hidden=(8,), steps=60, probe_every=0, progress=False).trace
    if name == "shuffled labels":
        rows = np.random.default_rng(2).normal(size=(420, 6)).astype("float32")
        coin = np.random.default_rng(3).integers(0, 2, 420)
        return ds.train(data=(rows, coin), hidden=(16,), steps=300, probe_every=0, progress=False).trace
    if name == "normalised over one":
        choices = {"normalisation": "batch", "batch": 1, "learning_rate": 0.1, "layers_every": 20}
        return ds.train(data="iris", hidden=(8, 8), steps=200, probe_every=0, progress=False, **choices).trace
    if name == "a leap with a long gradient":
        loss = 1.0 + 0.01 * np.random.default_rng(1).normal(size=200)
        norms = np.ones(200)
        loss[150], norms[149] = 2.5, 40.0
        return ds.trace_from({"loss": loss, "gradient_norm": norms})
    return getattr(logs, name)()


NAMES = (
    *("healthy", "deep sigmoids", "rare classes", "normalised over one", "a leap with a long gradient"),
    *("shuffled labels", "short_of_its_reference", "by_heart", "spike"),
)
EXPECTED = {
    "rare classes": "imbalanced_classes",
    "shuffled labels": "label_problem",
    "normalised over one": "degenerate_normalisation",
    "a leap with a long gradient": "loss_spike",
}


@pytest.mark.parametrize(("name", "symptom"), EXPECTED.items())
def test_what_is_taken_from_shows_its_symptom(name: str, symptom: str) -> None:
    assert symptom in ds.diagnose(trace(name))


def fewer(full: ds.Trace) -> Iterator[tuple[str, ds.Trace]]:
    """Yield each trace that lacks one thing, with the name of what it lacks."""
    for group in ("facts", "plan"):
        whole = getattr(full, group)
        for name, less in _without_each(whole):
            yield f"{group}.{name}", dataclasses.replace(full, **{group: less})
    for field in MAPPINGS:
        columns = getattr(full, field)
        for key in columns:
            if key not in ("step", "value"):
                less = {name: column for name, column in columns.items() if name != key}
                yield f"{field}.{key}", dataclasses.replace(full, **{field: less})
    if full.spectra:
        yield "spectra", dataclasses.replace(full, spectra=())


def _without_each(whole: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield plain data without each of their entries, at any depth."""
    for key, entry in whole.items():
        yield key, {name: other for name, other in whole.items() if name != key}
        if isinstance(entry, Mapping):
            for inner, less in _without_each(entry):
                yield f"{key}.{inner}", {**whole, key: less}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_silent(name: str) -> None:
    full = trace(name)
    before = set(ds.diagnose(full).symptoms)
    silent = {}
    for lacking, less in fewer(full):
        diagnosis = ds.diagnose(less)
        after, left_out = set(diagnosis.symptoms), {skipped.symptom for skipped in diagnosis.not_run}
        lost, gained = before - after - left_out, after - before - {"not_judged"}
        if "not_judged" in after:
            lost -= {"healthy", "plateau"}
        if (before - after) & left_out:
            gained -= {"plateau"}
        if lost or gained:
            silent[lacking] = lost, gained
    assert silent == {}


def test_every_check_of_a_training_says_what_it_needs() -> None:
    """Those that read nothing but the loss, which every trace has, need nothing."""
    of_losses = {"not_finite", "diverged", "evaluation_mismatch", "loss_spike", "too_few_steps"}
    lacking = {check.symptom.key for check in TRAINING_CHECKS if not check.needs and not check.reads}
    assert lacking <= of_losses | {"rate_too_large"}
    bare = ds.diagnose(ds.trace_from({"loss": [3.0, 2.0, 1.0] * 40}))
    assert {check.symptom.key for check in TRAINING_CHECKS} - of_losses <= {one.symptom for one in bare.not_run}
    assert TRAINING_SYMPTOMS.keys() >= {one.symptom for one in bare.not_run}
