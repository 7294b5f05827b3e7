"""What `ds.prescribe` and its rivals mend of one training, against the trainings spent: a recipe of `repairs.py`."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from random_repairs import Draws, Try, best_within, tries
from sick_data import data_of
from sick_faults import Data, UnbuildableError
from sick_networks import choices_of, has_drawn_leaves, network_of, steps_of
from sick_outcomes import Run

import downslope as ds
from downslope.remedies import Effect
from downslope.remedies._remedy import TrainingCase
from downslope.remedies._training_remedies import makers
from downslope.remedies._trial import score_of

FRESH = 1000  # seeds from here on have no part in any choice
AT = (2, 5, 10, 20, 60)  # trainings
_PROOF_PAIRS = 3  # that a rival spends on a proof
_PROOF_SEEDS = 500
_UNSEEN: Mapping[str, Any] = {"probe_every": 0, "layers_every": 0}  # what is only scored is not looked into
_BLIND: Mapping[str, Any] = {
    "method": "adam",
    "learning_rate": 1e-3,
    "initialisation": "auto",
    "normalisation": "batch",
    "standardise": True,
}


def repaired_training(recipe: Mapping[str, Any], outcomes: Sequence[Run], seeds: int, trainings: int) -> Run:
    """Return the scores of every column with fresh seeds, by the trainings spent, and what was prescribed.

    Args:
        recipe: the recipe.
        outcomes: its runs, labelled.
        seeds: fresh seeds to score with.
        trainings: the most that is spent by each column.
    """
    sick = [run for run in outcomes if run["sick"]]
    first = (sick or outcomes)[0]
    if first["best"] is None:
        raise UnbuildableError("no run on these data has a finite score to be compared with")
    base = setup_of(recipe, data_of(recipe), first["seed"], first["steps"])
    inner = base.changed(validation=0.2)
    training = inner.train(progress=False)
    began = time.perf_counter()
    prescription = ds.prescribe(training, trainings=trainings, progress=False)
    seconds = time.perf_counter() - began
    unit = max(int(inner.choices["steps"]), 100)
    scored = _Scores(base, range(FRESH, FRESH + seeds))
    at = [count for count in AT if count <= trainings]
    best = prescription.best
    ours = {count: _proved_within(prescription, count * unit) for count in at}
    columns: dict[str, Any] = {"ours": {str(count): scored(ours[count]) for count in at}}
    columns["ours"]["end"] = scored({} if best is None else best.remedy.changes)
    entry = {
        "reference": first["best"],
        "findings": list(prescription.diagnosis.symptoms),
        "remedy": None if best is None else best.remedy.name,
        "changes": 0 if best is None else len(best.remedy.single_changes),
        "causes": list(prescription.causes),
        "first_proof": prescription.history[0][0] / unit if prescription.history else None,
        "trainings_spent": prescription.steps / unit,
        "seconds_spent": {"ours": round(seconds, 1)},
        "control": scored({}),
        "columns": columns,
    }
    if not sick:
        return entry
    columns["reseeded"] = {"end": _scores(base, range(FRESH + seeds, FRESH + 2 * seeds), {})}
    columns["blind_recipe"] = {"end": scored(_BLIND)}
    own, tried = score_of(training.trace), functools.partial(_tried, inner)
    proved = _Proofs(inner)
    for name, blind in (("random_search", False), ("random_search_blind", True)):
        draws = Draws(makers(), TrainingCase(inner, training.trace), recipe["id"], blind=blind)
        sequence = tries(draws, tried, trainings * unit)
        columns[name] = {str(count): scored(best_within(sequence, own, count * unit)[0]) for count in at}
        # What is left after the pairs of a proof is spent on tries.
        left = {count: (count - 2 * _PROOF_PAIRS) * unit for count in at}
        columns[f"{name}_proved"] = {
            str(count): scored(proved(best_within(sequence, own, left[count])[0])) for count in at
        }
        entry["seconds_spent"][name] = round(sum(each.seconds for each in sequence), 1)
    return entry


def setup_of(recipe: Mapping[str, Any], data: Data, seed: int, steps: int) -> ds.Setup:
    """Return a recipe as a setup, whose validation rows are those that it holds back."""
    network = network_of(recipe, data.inputs.shape[1:], seed)
    # A network with numbers that were drawn here begins with these; layers are drawn anew with every seed.
    drawn = has_drawn_leaves(recipe)
    choices: dict[str, Any] = choices_of(recipe, data, network)
    return ds.Setup.of(
        network if drawn else list(network.plan),
        (data.inputs, data.targets),
        validation=(data.held_inputs, data.held_targets),
        standardise=False,
        scale_targets=False,
        seed=seed,
        steps=steps,
        **choices,
    )


def inner_setup(recipe: Mapping[str, Any], seed: int) -> ds.Setup:
    """Return a recipe as a setup that holds back a fifth of its training rows, and does not see the others."""
    data = data_of(recipe)
    steps, _ = steps_of(recipe, len(data.inputs))
    return setup_of(recipe, data, seed, steps).changed(validation=0.2)


def _proved_within(prescription: ds.Prescription, steps: int) -> Mapping[str, Any]:
    """Return the changes of the best remedy that was proved within so many steps; none where nothing was."""
    best = prescription.best
    if best is not None and prescription.steps <= steps:
        return best.remedy.changes
    proved = [remedy.changes for spent, remedy in prescription.history if spent <= steps]
    return proved[-1] if proved else {}


class _Scores:
    """Scores changes with fresh seeds, the same changes once.

    Args:
        base: the setup without changes.
        seeds: the seeds.
    """

    def __init__(self, base: ds.Setup, seeds: Sequence[int]) -> None:
        self._base, self._seeds = base, seeds
        self._known: dict[str, list[float]] = {}

    def __call__(self, changes: Mapping[str, Any]) -> list[float]:
        key = json.dumps(changes, sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = _scores(self._base, self._seeds, changes)
        return self._known[key]


class _Proofs:
    """Proves what a rival has chosen as a prescription proves a remedy, with as many pairs as suffice it.

    Args:
        inner: the setup without changes.
    """

    def __init__(self, inner: ds.Setup) -> None:
        self._scored = _Scores(inner, range(_PROOF_SEEDS, _PROOF_SEEDS + _PROOF_PAIRS))

    def __call__(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the changes if they help beyond doubt, else none."""
        if not changes:
            return {}
        effect = Effect.apart(self._scored(changes), self._scored({}), least=0.01)
        return changes if effect.low > 0 else {}


def _scores(base: ds.Setup, seeds: Sequence[int], changes: Mapping[str, Any]) -> list[float]:
    """Return the scores on the rows held back, one a seed; 0 for what cannot be built."""
    try:
        setup = base.changed(**_UNSEEN, **changes)
        return [score_of(setup.train(seed, progress=False).trace) for seed in seeds]
    except ds.SettingError:
        return [0.0] * len(seeds)


def _tried(inner: ds.Setup, changes: Mapping[str, Any]) -> Try:
    """Return what the inner setup comes to with changes; −∞ for what cannot be built."""
    began = time.perf_counter()
    try:
        trace = inner.changed(**_UNSEEN, **changes).train(progress=False).trace
    except ds.SettingError:
        return Try(dict(changes), -math.inf, int(inner.choices["steps"]))
    return Try(dict(changes), score_of(trace), trace.last_step, time.perf_counter() - began)
