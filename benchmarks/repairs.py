"""What `ds.prescribe` mends, beside luck, a random remedy, random search at equal budget, and a blind recipe.

FILE holds recipes as for `sick_runs.py`. Each recipe of a network is trained with every seed and labelled by outcome as
there. Of a recipe with a sick run the first such run is prescribed for, on its training rows alone: a fifth of them is
held back inside, and the rows that the recipe itself holds back are not seen. What was prescribed is then trained on
all training rows with fresh seeds, and so is everything beside it, and scored on the rows held back.

Columns. Repaired: at least half of the gap between the unchanged recipe and the best run on the same data is closed,
with p < 0.05 by a paired t-test over the fresh seeds. `reseeded`: the same recipe with further seeds. `random remedy`:
one that applies, drawn at random, untried. `random search`: one, two or three remedies drawn at random and combined,
each tried once on the same inner rows, until as many steps were spent as the prescription spent; the best of them.
`blind recipe`: Adam at 0.001, He's or Glorot's weights, batch normalisation, standardised inputs, whatever is wrong.
Harm: of recipes without a sick run, how many are made significantly worse by what is prescribed.

A formula is prescribed for once: its score is the negative of the value that descents from starts close by end at, no
worse than that of the start, and its reference the lowest value that a search finds. The blind recipe is Adam there.

Recipes that are finished are written beside `--out` as they come, and a benchmark that was cut off goes on from there.

Rates are over recipes, with Wilson's 95 % interval; differences of rates have the interval of paired proportions.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from processes import Lost, results, single_thread
from random_repairs import Draws, searched
from repairs_of_formulas import repaired_formula
from sick_data import data_of
from sick_faults import Data, UnbuildableError
from sick_networks import choices_of, has_drawn_leaves, network_of
from sick_outcomes import Run, label_outcomes, part_of, wilson
from sick_runs import IMPORTS, chosen_recipes, recipe_arguments, trained_runs
from timing import machine, publish, table

import downslope as ds
from downslope.remedies._remedy import TrainingCase
from downslope.remedies._training_remedies import makers
from downslope.remedies._trial import score_of

_FRESH = 1000  # seeds from here on have no part in any choice
_HALF = 0.5
COLUMNS = ("ours", "reseeded", "random_remedy", "random_search", "blind_recipe")
_UNSEEN = {"probe_every": 0, "layers_every": 0}  # what is only scored is not looked into
_BLIND: Mapping[str, Any] = {
    "method": "adam",
    "learning_rate": 1e-3,
    "initialisation": "auto",
    "normalisation": "batch",
    "standardise": True,
}


def arguments() -> argparse.Namespace:
    parser = recipe_arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, help="outcomes that `sick_runs.py --out` wrote; trained anew without")
    parser.set_defaults(keep=None, most_seconds=4 * 3600.0)
    return parser.parse_args()


def main() -> None:
    """Mend every sick recipe, and print the table."""
    given = arguments()
    told = json.loads(given.file.read_text(encoding="utf-8"))
    recipes = {recipe["id"]: recipe for recipe in chosen_recipes(told["recipes"], given)}
    began = time.perf_counter()
    outcomes = _outcomes(recipes, given)
    made = _finished(given.out, recipes)
    left = [name for name in outcomes if all(one["id"] != name for one in made)]
    single_thread()
    pieces = [(recipes[name], outcomes[name], given.seeds) for name in left]
    for index, result in results(repaired, pieces, workers=given.workers, seconds=given.most_seconds, imports=IMPORTS):
        lost = {"id": left[index], "failed": result.reason} if isinstance(result, Lost) else None
        made.append(lost or result)
        _keep(given.out, made[-1])
        print(f"{len(made):>3} of {len(outcomes)}  {_line(made[-1])}", file=sys.stderr, flush=True)
    made.sort(key=lambda one: list(recipes).index(one["id"]))
    failed = [one for one in made if "failed" in one]
    runs = [one for one in made if "failed" not in one]
    found = summary(runs)
    print(f"\n{time.perf_counter() - began:.0f} s\n")
    publish(given, "repairs", _text(found, runs, failed), {"runs": runs, "failed": failed, "summary": found})


def _finished(out: Path | None, recipes: Mapping[str, Any]) -> list[Run]:
    """Return the recipes that an earlier run which was cut off had finished."""
    if out is None or not (kept := _beside(out)).exists():
        return []
    made = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    return [one for one in made if one["id"] in recipes]


def _keep(out: Path | None, made: Run) -> None:
    """Write a recipe that is finished beside the file for all of them."""
    if out is not None:
        with _beside(out).open("a", encoding="utf-8") as file:
            print(json.dumps(made), file=file)


def _beside(out: Path) -> Path:
    return out.with_suffix(".jsonl")


def _outcomes(recipes: Mapping[str, Any], given: argparse.Namespace) -> dict[str, list[Run]]:
    """Return the runs of each recipe, labelled."""
    if given.runs is not None:
        runs = json.loads(given.runs.read_text(encoding="utf-8"))["runs"]
    else:
        made = trained_runs(list(recipes.values()), given)
        runs = [one for one in made if "failed" not in one and not one.get("reference")]
        label_outcomes(runs, {one["key"]: one for one in made if one.get("reference") and "failed" not in one})
    found: dict[str, list[Run]] = {}
    for one in runs:
        if one["id"] in recipes:
            found.setdefault(one["id"], []).append(one)
    return found


# --- one recipe ------------------------------------------------------------------------------------------------------


def repaired(recipe: Mapping[str, Any], outcomes: Sequence[Run], seeds: int) -> Run:
    """Return what became of one recipe: scores of every column with the fresh seeds, and what was prescribed."""
    began = time.perf_counter()
    try:
        made = _repaired(recipe, outcomes, seeds)
    except Exception as error:  # one recipe must not end the others; it is printed, and counted as failed
        return {"id": recipe["id"], "failed": f"{type(error).__name__}: {error}"}
    return {**made, "seconds": round(time.perf_counter() - began, 1)}


def _repaired(recipe: Mapping[str, Any], outcomes: Sequence[Run], seeds: int) -> Run:
    if "formula" in recipe:
        return {"id": recipe["id"], **told_of(recipe, outcomes[0]), **repaired_formula(recipe, outcomes[0], seeds)}
    sick = [one for one in outcomes if one["sick"]]
    first = (sick or outcomes)[0]
    if first["best"] is None:
        raise UnbuildableError("no run on these data has a finite score to be compared with")
    base = _setup(recipe, data_of(recipe), first["seed"], first["steps"])
    inner = base.changed(validation=0.2)
    training = inner.train(progress=False)
    prescription = ds.prescribe(training, progress=False)
    best = prescription.best
    made = {
        "id": recipe["id"],
        **told_of(recipe, first),
        "reference": first["best"],
        "findings": list(prescription.diagnosis.symptoms),
        "remedy": None if best is None else best.remedy.name,
        "steps_spent": prescription.steps,
    }
    fresh = range(_FRESH, _FRESH + seeds)
    control = _scores(base, fresh)
    scores = {"control": control, "ours": control if best is None else _scores(base, fresh, best.remedy.changes)}
    if sick:
        draws = Draws(makers(), TrainingCase(inner, training.trace), recipe["id"])
        own, tried = score_of(training.trace), functools.partial(_tried, inner)
        scores |= {
            "reseeded": _scores(base, range(_FRESH + seeds, _FRESH + 2 * seeds)),
            "random_remedy": _scores(base, fresh, draws.one()),
            "random_search": _scores(base, fresh, searched(draws, tried, own, prescription.steps)),
            "blind_recipe": _scores(base, fresh, _BLIND),
        }
    return {**made, "scores": scores}


def told_of(recipe: Mapping[str, Any], outcome: Run) -> Run:
    """Return what is known of a recipe and of the run that is mended."""
    return {
        "group": recipe.get("group", "none"),
        "labels": list(recipe.get("label") or ()),
        "part": part_of(recipe["id"]),
        "sick": outcome["sick"],
    }


def _setup(recipe: Mapping[str, Any], data: Data, seed: int, steps: int) -> Any:
    """Return a recipe as a setup, whose validation rows are those that it holds back."""
    network = network_of(recipe, data.inputs.shape[1:], seed)
    # A network with numbers that were drawn here begins with these; layers are drawn anew with every seed.
    drawn = has_drawn_leaves(recipe)
    return ds.Setup.of(
        network if drawn else list(network.plan),
        (data.inputs, data.targets),
        validation=(data.held_inputs, data.held_targets),
        standardise=False,
        scale_targets=False,
        seed=seed,
        steps=steps,
        **choices_of(recipe, data, network),
    )


def _scores(base: Any, seeds: Sequence[int], changes: Mapping[str, Any] | None = None) -> list[float]:
    """Return the scores on the rows held back, one a seed; 0 for what cannot be built."""
    try:
        setup = base.changed(**_UNSEEN, **(changes or {}))
        return [score_of(setup.train(seed, progress=False).trace) for seed in seeds]
    except ds.SettingError:
        return [0.0] * len(seeds)


def _tried(inner: Any, changes: Mapping[str, Any]) -> tuple[float, int]:
    """Return the score of the inner setup with changes, and the steps that it took; −∞ for what cannot be built."""
    try:
        trace = inner.changed(**_UNSEEN, **changes).train(progress=False).trace
    except ds.SettingError:
        return -math.inf, int(inner.choices["steps"])
    return score_of(trace), trace.last_step


# --- judged ----------------------------------------------------------------------------------------------------------


def is_repaired(control: Sequence[float], treated: Sequence[float], reference: float) -> bool:
    """Tell whether half of the gap is closed, significantly."""
    gap = reference - float(np.mean(control))
    closed = float(np.mean(treated)) - float(np.mean(control))
    return gap > 0 and closed >= _HALF * gap and _p_value(treated, control) < 0.05


def _p_value(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the p-value of a paired t-test; 0 where all pairs differ by the same."""
    from scipy import stats

    differences = np.subtract(one, other)
    if np.allclose(differences, differences[0], atol=1e-12):
        return 0.0 if abs(differences[0]) > 1e-9 else 1.0
    return float(stats.ttest_rel(one, other).pvalue)


def summary(runs: Sequence[Run]) -> Run:
    """Return all rates: repaired by each column, how far ours is ahead, and harm."""
    sick, healthy = [one for one in runs if one["sick"]], [one for one in runs if not one["sick"]]
    mended = {column: [_is_mended(one, column) for one in sick] for column in COLUMNS}
    worse = [
        float(np.mean(one["scores"]["ours"])) < float(np.mean(one["scores"]["control"]))
        and _p_value(one["scores"]["ours"], one["scores"]["control"]) < 0.05
        for one in healthy
    ]
    return {
        "repaired": wilson(sum(mended["ours"]), len(sick)),
        "net_of_reseeding": difference(mended["ours"], mended["reseeded"]),
        **{column: wilson(sum(mended[column]), len(sick)) for column in COLUMNS[1:]},
        "net_of_random_search": difference(mended["ours"], mended["random_search"]),
        "harm": wilson(sum(worse), len(healthy)),
    }


def _is_mended(one: Run, column: str) -> bool:
    return is_repaired(one["scores"]["control"], one["scores"][column], one["reference"])


def difference(ours: Sequence[bool], theirs: Sequence[bool]) -> Run:
    """Return the difference of two shares of the same cases, with its 95 % interval (Agresti and Min 2005)."""
    count = len(ours)
    if not count:
        return {"value": None, "low": None, "high": None, "n": 0}
    only_ours = sum(one and not other for one, other in zip(ours, theirs, strict=True))
    only_theirs = sum(other and not one for one, other in zip(ours, theirs, strict=True))
    # Half a case is added to each of the four cells.
    b, c, n = only_ours + 0.5, only_theirs + 0.5, count + 2
    mean, error = (b - c) / n, math.sqrt((b + c) - (b - c) ** 2 / n) / n
    return {
        "value": (only_ours - only_theirs) / count,
        "low": max(mean - 1.959964 * error, -1.0),
        "high": min(mean + 1.959964 * error, 1.0),
        "n": count,
    }


# --- said ------------------------------------------------------------------------------------------------------------

_WORDS = {
    "repaired": "downslope",
    "reseeded": "the same recipe, re-seeded",
    "random_remedy": "a random remedy",
    "random_search": "random search at equal budget",
    "blind_recipe": "the blind recipe",
    "net_of_reseeding": "downslope beyond re-seeding",
    "net_of_random_search": "downslope beyond random search",
    "harm": "healthy recipes made worse",
}


def _text(found: Run, runs: Sequence[Run], failed: Sequence[Run]) -> str:
    """Return the tables in Markdown."""
    sick = [one for one in runs if one["sick"]]
    rows = [[words, _share(found[name])] for name, words in _WORDS.items()]
    for part in ("tuned", "seen_once"):
        of_part = summary([one for one in runs if one["part"] == part])
        rows.append([f"downslope, {part.replace('_', ' ')}", _share(of_part["repaired"])])
    left = f" {len(failed)} could not be built." if failed else ""
    head = f"{machine()}; {len(runs)} recipes, {len(sick)} of them with a sick run.{left}"
    by_group = [
        [group, _share(summary([one for one in sick if one["group"] == group])["repaired"])]
        for group in sorted({one["group"] for one in sick})
    ]
    parts = [head, table(["", "repaired"], rows), table(["source", "repaired"], by_group)]
    return "\n\n".join(parts)


def _share(rate: Run) -> str:
    if rate["value"] is None:
        return "–"
    value, low, high = (round(100 * rate[name]) for name in ("value", "low", "high"))
    return f"{value} % ({low} to {high}) of {rate['n']}"


def _line(one: Run) -> str:
    """Return what became of a recipe in one line."""
    if "failed" in one:
        return f"{one['id']}: {one['failed']}"
    scores = ", ".join(f"{name} {float(np.mean(told)):.3f}" for name, told in one["scores"].items())
    kind = "sick" if one["sick"] else "healthy"
    return f"{one['id']} ({kind}, best {one['reference']:.3f}): {scores}; {one['remedy']}; {one['seconds']} s"


if __name__ == "__main__":
    main()
