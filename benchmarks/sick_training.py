"""One recipe trained, kept and judged: what a worker process does, and what it hands back as plain data."""

from __future__ import annotations

import json
import math
import re
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sick_data import data_of, key_of
from sick_faults import Data, UnbuildableError
from sick_networks import choices_of, formula_of, method_of, network_of, steps_of
from sick_outcomes import Run, part_of
from sick_recipes import number_in
from sick_rivals import alarms_of

import downslope as ds

_TRIAL_STEPS = 20  # of which the first ten, which compile, are not timed
_LOOKS_OF_HEAVY = 10  # evaluations of a heavy run, which would otherwise take longer than its steps
_REFERENCE: Mapping[str, Any] = {"hidden": (64, 64), "activation": "relu", "learning_rate": 1e-3, "steps": 2000}


class Job(NamedTuple):
    """What a worker is asked for.

    Args:
        recipe: an entry of the file.
        seeds: the seeds to train it with; none to train the reference network of its data.
        seconds: how long the steps of a run may take, None for as long as they do.
        keep: the folder to keep traces in, or None.
    """

    recipe: Mapping[str, Any]
    seeds: tuple[int, ...]
    seconds: float | None
    keep: Path | None


def trained(job: Job) -> list[Run]:
    """Return the runs of a job; a recipe that cannot be built is one entry with `failed`, which says why."""
    began, recipe = time.perf_counter(), job.recipe
    try:
        if recipe.get("unreadable"):
            raise UnbuildableError(str(recipe["unreadable"]))
        if "dataset" not in recipe and "formula" not in recipe:
            raise UnbuildableError("the recipe has neither a dataset nor a formula")
        if not job.seeds:
            return [_reference(job)]
        runs = _descended(job) if "formula" in recipe else list(_networks(job))
    except (UnbuildableError, ds.DownslopeError) as error:
        return [{"id": recipe.get("id", "?"), "failed": f"failed to build: {error}"}]
    except Exception as error:  # one recipe that this script misreads must not take the others with it
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return [{"id": recipe.get("id", "?"), "failed": f"failed to build: {told}"}]
    for one in runs:
        one["seconds"] = round((time.perf_counter() - began) / len(runs), 2)
    return runs


def judged_again(folder: Path, names: Iterable[str]) -> list[Run]:
    """Return kept runs, their traces diagnosed anew."""
    runs = []
    for name in names:
        kept = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        try:
            runs.append(_judged(kept, ds.load_trace(folder / name)))
        except Exception as error:  # a check under work may fail; the others are still of use
            runs.append({"id": kept["id"], "seed": kept["seed"], "failed": f"{type(error).__name__}: {error}"})
    return runs


def file_name(identifier: str, seed: int) -> str:
    """Return the name that a run is kept by."""
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', identifier)}-{seed}"


# --- networks --------------------------------------------------------------------------------------------------------


def _networks(job: Job) -> Iterable[Run]:
    """Train the network of a recipe once for each seed, one after another, so that its program is compiled once."""
    recipe = job.recipe
    data = data_of(recipe)
    choices = choices_of(recipe, data, network_of(recipe, data.inputs.shape[1:], job.seeds[0]))
    steps, epochs = steps_of(recipe, len(data.inputs))
    if job.seconds is not None:
        steps, epochs = _within(job.seconds, recipe, data, choices, steps, epochs)
        choices["evaluate_every"] = -(-steps // _LOOKS_OF_HEAVY)
    for seed in job.seeds:
        made = network_of(recipe, data.inputs.shape[1:], seed)
        training = train_as_is(made, data, {**choices, "steps": steps}, seed)
        told = {"steps": steps, "epochs": round(epochs, 2), **_scored(training)}
        yield _finished(job, seed, training.trace, {**told, "key": key_of(recipe)})


def train_as_is(made: ds.Network, data: Data, choices: Mapping[str, Any], seed: int) -> ds.Training:
    """Return a network trained on data as they are, without any scaling of ours."""
    others: dict[str, Any] = {"progress": False, **choices}
    return ds.train(
        made,
        (data.inputs, data.targets),
        validation=(data.held_inputs, data.held_targets),
        standardise=False,
        scale_targets=False,
        seed=seed,
        **others,
    )


def _scored(training: ds.Training) -> Run:
    """Return how well a network does on the rows held back, and whether all stayed finite."""
    name = training.trace.facts["network"]["metric"]
    finite = training.trace.outcome is not ds.Outcome.NOT_FINITE and math.isfinite(training.trace.value)
    metric = training.metrics.get(f"validation_{name}", math.nan)
    return {"measured_by": name, "metric": metric if finite and math.isfinite(metric) else None, "finite": finite}


def _within(
    seconds: float, recipe: Any, data: Data, choices: Mapping[str, Any], steps: int, epochs: float
) -> tuple[int, float]:
    """Return the steps that fit into a time, by the pace of a short trial, and how many epochs that is."""
    looks: list[tuple[int, float]] = []
    made = network_of(recipe, data.inputs.shape[1:], 0)
    watched = {"progress": lambda step, *_: looks.append((step, time.perf_counter()))}
    train_as_is(made, data, {**choices, **watched, "steps": _TRIAL_STEPS, "probe_every": 0}, 0)
    (first, began), (last, ended) = looks[0], looks[-1]
    pace = (last - first) / max(ended - began, 1e-6)
    fits = max(int(seconds * pace), _TRIAL_STEPS)
    return (steps, epochs) if fits >= steps else (fits, epochs * fits / steps)


def _reference(job: Job) -> Run:
    """Return how well a plain network does on the data of a recipe, undamaged, and scaled as it should be."""
    data = data_of({**job.recipe, "layers": []}, damaged=False)
    training = ds.train(
        None,
        (data.inputs, data.targets),
        validation=(data.held_inputs, data.held_targets),
        task=data.task,
        progress=False,
        **_REFERENCE,
    )
    key = key_of(job.recipe)
    made = {"id": "reference", "reference": True, "key": key, **_scored(training)}
    if job.keep is not None:
        _write(job.keep / f"{file_name('reference ' + key, 0)}.json", made)
    return made


# --- formulas --------------------------------------------------------------------------------------------------------


def _descended(job: Job) -> list[Run]:
    """Go down a formula, once: there is no chance in it."""
    text, start = formula_of(job.recipe)
    steps = int(number_in(job.recipe.get("epochs") or job.recipe.get("steps") or 1000, "steps"))
    trace = ds.descend(text, start, steps=steps, progress=False, **method_of(job.recipe))
    finite = trace.outcome is not ds.Outcome.NOT_FINITE and math.isfinite(trace.value)
    told = {"steps": steps, "epochs": steps, "key": "formula", "measured_by": "formula", "finite": finite}
    return [_finished(job, job.seeds[0], trace, {**told, "metric": trace.value if finite else None})]


# --- kept and judged -------------------------------------------------------------------------------------------------


def _finished(job: Job, seed: int, trace: ds.Trace, told: Run) -> Run:
    """Return a run, kept if that is asked for, and judged."""
    recipe = job.recipe
    made = {
        "id": recipe["id"],
        "seed": seed,
        "group": recipe.get("group", "none"),
        "labels": list(recipe.get("label") or ()),
        "part": part_of(recipe["id"]),
        "outcome": trace.outcome.identifier,
        **told,
    }
    if job.keep is not None:
        name = file_name(recipe["id"], seed)
        ds.save(trace, job.keep / name)
        _write(job.keep / f"{name}.json", made)
    return _judged(made, trace)


def _judged(made: Run, trace: ds.Trace) -> Run:
    """Return a run with what our checks and the rivals' rules say of it."""
    began = time.perf_counter()
    diagnosis = ds.diagnose(trace, _from_other_starts(trace))
    seconds = time.perf_counter() - began
    problems = [one.symptom for one in diagnosis if one.severity is ds.Severity.PROBLEM]
    rivals = {name: [[alarm.name, list(alarm.fits)] for alarm in found] for name, found in alarms_of(trace).items()}
    return {
        **made,
        "findings": problems,
        "notes": [one.symptom for one in diagnosis if one.severity is not ds.Severity.PROBLEM],
        "could_not_run": [one.symptom for one in diagnosis.not_run],
        "seconds_to_diagnose": round(seconds, 4),
        "rivals": rivals,
    }


def _from_other_starts(trace: ds.Trace) -> list[ds.Trace]:
    """Return descents of a formula from eight starts about as far from its own as that is from 0; none of a network.

    Only they can tell a local minimum from the lowest, and they cost milliseconds.
    """
    plan, names = trace.plan, trace.coordinate_names
    if not plan["objective"].get("names") or trace.coordinates is None:
        return []
    start = trace.coordinates[0]
    starts = start + np.random.default_rng(0).normal(size=(8, len(start))) * max(1.0, float(np.max(np.abs(start))))
    choices = {"method": plan["method"], "learning_rate": plan["learning_rate"], "steps": plan["steps"]}
    made = (dict(zip(names, point, strict=True)) for point in starts.tolist())
    return [ds.descend(plan["read_as"], point, progress=False, **choices, **plan["settings"]) for point in made]


def _write(file: Path, made: Run) -> None:
    file.write_text(json.dumps(made, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(thing: Any) -> Any:
    """Return a NumPy number as Python's own."""
    return thing.item() if isinstance(thing, np.generic) else str(thing)
