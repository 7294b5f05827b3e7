"""What `ds.prescribe` mends and proves within N trainings, beside random search, luck and a blind recipe.

FILE holds recipes as for `sick_runs.py`. Each recipe of a network is trained with every seed and labelled by outcome as
there. Of a recipe with a sick run the first such run is prescribed for, on its training rows alone: a fifth of them is
held back inside, and the rows that the recipe itself holds back are not seen. What was prescribed is then trained on
all training rows with fresh seeds, and so is everything beside it, and scored on the rows held back.

Repaired: at least half of the gap between the unchanged recipe and the best run on the same data is closed, with p <
0.05 by a paired t-test over the fresh seeds. A training is as many steps as the recipe takes, or 100 if it takes less;
whatever is run counts, the unchanged runs of a proof as well.

Columns, each at N = 2, 5, 10, 20 and 60 trainings: `downslope`: the best remedy that was *proved* by then. `random
search`: one, two or three of the same remedies drawn at random and combined, each tried once on the same inner rows;
the best so far, unproved. Its remedies are fitted to the same trace, so that it profits from what a diagnosis measures,
such as a rate from the curvature. `random search, rates drawn`: the same with rates from 1e-4 to 1e-1 and all other
numbers that remedies take from the trace drawn as well. `…, proved`: the best of N − 6 tries, if three pairs with fresh
seeds prove it. And whatever N is, the same recipe re-seeded, and the blind recipe: Adam at 0.001, He's or Glorot's
weights, batch normalisation, standardised inputs. Harm: of recipes without a sick run, how many are made significantly
worse by what is prescribed.

A formula is prescribed for once: its score is the negative of the value that descents from starts close by end at, no
worse than that of the start, and its reference the lowest value that a search finds. The blind recipe is Adam there.

Recipes that are finished are written beside `--out` as they come, and a benchmark that was cut off goes on from there.
`--most` takes some recipes at random, with a fixed seed; `--trainings` spends less than 60.

Rates are over recipes, with Wilson's 95 % interval; differences of rates have the interval of paired proportions.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from processes import Lost, results, single_thread
from repairs_of_formulas import repaired_formula
from repairs_of_trainings import AT, repaired_training
from sick_outcomes import Run, label_outcomes, part_of, wilson
from sick_runs import IMPORTS, chosen_recipes, recipe_arguments, trained_runs
from timing import machine, publish, table

_HALF = 0.5
CURVES = ("ours", "random_search", "random_search_proved", "random_search_blind", "random_search_blind_proved")


def arguments() -> argparse.Namespace:
    parser = recipe_arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, help="outcomes that `sick_runs.py --out` wrote; trained anew without")
    parser.add_argument("--trainings", type=int, default=AT[-1], help="the most that each column spends on a recipe")
    parser.add_argument("--most", type=int, help="only so many recipes, drawn at random with a fixed seed")
    parser.set_defaults(keep=None, most_seconds=4 * 3600.0)
    return parser.parse_args()


def main() -> None:
    """Mend every sick recipe, and print the tables."""
    choices = arguments()
    recipes = list(chosen_recipes(json.loads(choices.file.read_text(encoding="utf-8"))["recipes"], choices))
    order = np.random.default_rng(20).permutation(len(recipes))[: choices.most]
    by_name = {recipes[index]["id"]: recipes[index] for index in order}
    began = time.perf_counter()
    outcomes = _outcomes(by_name, choices)
    entries = _finished(choices.out, by_name)
    known = {entry["id"] for entry in entries}
    left = [name for name in by_name if name in outcomes and name not in known]
    single_thread()
    pieces = [(by_name[name], outcomes[name], choices.seeds, choices.trainings) for name in left]
    work = results(repaired, pieces, workers=choices.workers, seconds=choices.most_seconds, imports=IMPORTS)
    for index, result in work:
        entries.append({"id": left[index], "failed": result.reason} if isinstance(result, Lost) else result)
        _keep(choices.out, entries[-1])
        print(f"{len(entries):>3} of {len(outcomes)}  {_line(entries[-1])}", file=sys.stderr, flush=True)
    entries.sort(key=lambda entry: list(by_name).index(entry["id"]))
    failed = [entry for entry in entries if "failed" in entry]
    runs = [entry for entry in entries if "failed" not in entry]
    print(f"\n{time.perf_counter() - began:.0f} s\n")
    publish(choices, "repairs", _text(runs, failed), {"runs": runs, "failed": failed, "summary": summary(runs)})


def _finished(out: Path | None, recipes: Mapping[str, Any]) -> list[Run]:
    """Return the recipes that an earlier run which was cut off had finished."""
    if out is None or not (kept := _beside(out)).exists():
        return []
    entries = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    return [entry for entry in entries if entry["id"] in recipes]


def _keep(out: Path | None, entry: Run) -> None:
    """Write a recipe that is finished beside the file for all of them."""
    if out is not None:
        with _beside(out).open("a", encoding="utf-8") as file:
            print(json.dumps(entry), file=file)


def _beside(out: Path) -> Path:
    return out.with_suffix(".jsonl")


def _outcomes(recipes: Mapping[str, Any], choices: argparse.Namespace) -> dict[str, list[Run]]:
    """Return the runs of each recipe, labelled."""
    if choices.runs is not None:
        runs = json.loads(choices.runs.read_text(encoding="utf-8"))["runs"]
    else:
        every = trained_runs(list(recipes.values()), choices)
        runs = [run for run in every if "failed" not in run and not run.get("reference")]
        label_outcomes(runs, {run["key"]: run for run in every if run.get("reference") and "failed" not in run})
    outcomes: dict[str, list[Run]] = {}
    for run in runs:
        if run["id"] in recipes:
            outcomes.setdefault(run["id"], []).append(run)
    return outcomes


def repaired(recipe: Mapping[str, Any], outcomes: Sequence[Run], seeds: int, trainings: int) -> Run:
    """Return what became of one recipe: scores of every column with the fresh seeds, and what was prescribed."""
    began = time.perf_counter()
    sick = [run for run in outcomes if run["sick"]]
    known = {
        "id": recipe["id"],
        "group": recipe.get("group", "none"),
        "labels": list(recipe.get("label") or ()),
        "part": part_of(recipe["id"]),
        "sick": bool(sick),
        "sick_runs": f"{len(sick)} of {len(outcomes)}",
    }
    try:
        if "formula" in recipe:
            entry = repaired_formula(recipe, outcomes[0], seeds)
        else:
            entry = repaired_training(recipe, outcomes, seeds, trainings)
    except Exception as error:  # one recipe must not end the others; it is printed, and counted as failed
        return {**known, "failed": f"{type(error).__name__}: {error}"}
    return {**known, **entry, "seconds": round(time.perf_counter() - began, 1)}


# --- judged ----------------------------------------------------------------------------------------------------------


def is_repaired(control: Sequence[float], treated: Sequence[float], reference: float) -> bool:
    """Tell whether half of the gap is closed, significantly."""
    gap = reference - float(np.mean(control))
    closed = float(np.mean(treated)) - float(np.mean(control))
    return gap > 0 and closed >= _HALF * gap and _p_value(treated, control) < 0.05


def _p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the p-value of a paired t-test; 0 where all pairs differ by the same."""
    from scipy import stats

    differences = np.subtract(first, second)
    if np.allclose(differences, differences[0], atol=1e-12):
        return 0.0 if abs(differences[0]) > 1e-9 else 1.0
    return float(stats.ttest_rel(first, second).pvalue)


def mends(entry: Run, column: str, at: str) -> bool | None:
    """Tell whether a column repaired a recipe by so many trainings; None where it was not run that far."""
    scores = entry["columns"].get(column, {}).get(at)
    return None if scores is None else is_repaired(entry["control"], scores, entry["reference"])


def summary(runs: Sequence[Run]) -> Run:
    """Return all rates: repaired by each column against the trainings spent, how far ours is ahead, and harm."""
    trainings = [entry for entry in runs if "first_proof" in entry]
    sick = [entry for entry in trainings if entry["sick"]]
    healthy = [entry for entry in runs if not entry["sick"]]
    worse = [
        float(np.mean(entry["columns"]["ours"]["end"])) < float(np.mean(entry["control"]))
        and _p_value(entry["columns"]["ours"]["end"], entry["control"]) < 0.05
        for entry in healthy
    ]
    curves = {column: {str(at): _rate(sick, column, str(at)) for at in AT} for column in CURVES}
    repairable = [entry for entry in sick if _by_any(entry)]
    formulas = [entry for entry in runs if "first_proof" not in entry and entry["sick"]]
    return {
        "curves": curves,
        "ahead": {
            column: {str(at): _ahead(sick, column, str(at)) for at in AT} for column in CURVES if column != "ours"
        },
        "reseeded": _rate(sick, "reseeded", "end"),
        "blind_recipe": _rate(sick, "blind_recipe", "end"),
        "of_repairable": _rate(repairable, "ours", "end"),
        "first_proof": [entry["first_proof"] for entry in sick if entry["first_proof"] is not None],
        "spent": [entry["trainings_spent"] for entry in sick],
        "seconds": {
            name: [entry["seconds_spent"][name] for entry in sick if name in entry["seconds_spent"]]
            for name in ("ours", "random_search")
        },
        "formulas": {column: _rate(formulas, column, "end") for column in ("ours", "random_search", "blind_recipe")},
        "harm": wilson(sum(worse), len(healthy)),
    }


def _rate(entries: Sequence[Run], column: str, at: str) -> Run:
    known = [mended for entry in entries if (mended := mends(entry, column, at)) is not None]
    return wilson(sum(known), len(known))


def _ahead(entries: Sequence[Run], column: str, at: str) -> Run:
    """Return how far ours is ahead of a column on the same recipes."""
    pairs = [(mends(entry, "ours", at), mends(entry, column, at)) for entry in entries]
    known = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    return difference([ours for ours, _ in known], [theirs for _, theirs in known])


def _by_any(entry: Run) -> bool:
    """Tell whether any column repaired a recipe at any time."""
    return any(mends(entry, column, at) for column, scores in entry["columns"].items() for at in scores)


def difference(ours: Sequence[bool], theirs: Sequence[bool]) -> Run:
    """Return the difference of two shares of the same cases, with its 95 % interval (Agresti and Min 2005)."""
    count = len(ours)
    if not count:
        return {"value": None, "low": None, "high": None, "n": 0}
    only_ours = sum(first and not second for first, second in zip(ours, theirs, strict=True))
    only_theirs = sum(second and not first for first, second in zip(ours, theirs, strict=True))
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
    "ours": "downslope, proved",
    "random_search": "random search, unproved",
    "random_search_proved": "random search, proved",
    "random_search_blind": "random search, rates drawn, unproved",
    "random_search_blind_proved": "random search, rates drawn, proved",
}


def _text(runs: Sequence[Run], failed: Sequence[Run]) -> str:
    """Return the tables in Markdown: all recipes, then both parts, then what is not repaired."""
    sick = [entry for entry in runs if entry["sick"] and "first_proof" in entry]
    left = f" {len(failed)} failed: {', '.join(entry['id'] for entry in failed)}." if failed else ""
    parts = [f"{machine()}; {len(runs)} recipes, {len(sick)} of networks with a sick run.{left}"]
    for part, words in (("seen_once", "Seen once"), ("tuned", "Tuned")):
        of_part = [entry for entry in runs if entry["part"] == part]
        if any(entry["sick"] for entry in of_part):
            parts += [f"{words}:", _curves(summary(of_part)), _facts(summary(of_part))]
    unrepaired = [[entry["id"], ", ".join(entry["labels"]), _why(entry)] for entry in sick if not _by_ours(entry)]
    if unrepaired:
        parts.append(table(["not repaired", "called by its source", "what came"], unrepaired))
    return "\n\n".join(parts)


def _curves(rates: Run) -> str:
    """Return the share repaired against the trainings spent."""
    known = [str(at) for at in AT if rates["curves"]["ours"][str(at)]["n"]]
    rows = [[words, *(_share(rates["curves"][column][at]) for at in known)] for column, words in _WORDS.items()]
    rows += [
        [f"downslope beyond {_WORDS[column]}", *(_share(ahead[at]) for at in known)]
        for column, ahead in rates["ahead"].items()
    ]
    return table(["repaired within … trainings", *known], rows)


def _facts(rates: Run) -> str:
    """Return the rates that have no curve, and the costs."""
    rows = [
        ["the same recipe, re-seeded", _share(rates["reseeded"])],
        ["the blind recipe", _share(rates["blind_recipe"])],
        ["downslope in the end, of those that any column repaired", _share(rates["of_repairable"])],
        ["formulas: downslope", _share(rates["formulas"]["ours"])],
        ["formulas: random search at equal budget", _share(rates["formulas"]["random_search"])],
        ["healthy recipes made worse", _share(rates["harm"])],
        ["trainings to the first proof, median", _median(rates["first_proof"])],
        ["trainings spent in all, median", _median(rates["spent"])],
        ["seconds: downslope, median", _median(rates["seconds"]["ours"])],
        ["seconds: random search, median", _median(rates["seconds"]["random_search"])],
    ]
    return table(["", "value"], rows)


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.1f} of {len(values)}" if values else "–"


def _by_ours(entry: Run) -> bool:
    return any(mends(entry, "ours", at) for at in entry["columns"]["ours"])


def _why(entry: Run) -> str:
    """Return what came of a recipe that ours did not repair."""
    gap = entry["reference"] - float(np.mean(entry["control"]))
    if gap <= 0:
        return f"no gap on average: {entry['sick_runs']} runs are sick"
    by: list[str] = [
        _WORDS.get(column) or str(column) for column in entry["columns"] if column != "ours" and _any(entry, column)
    ]
    best = float(np.mean(entry["columns"]["ours"]["end"]))
    other = f"; repaired by {', '.join(by)}" if by else "; by no column"
    remedy = entry["remedy"] or "no remedy"
    return f"{np.mean(entry['control']):.2f} → {best:.2f} of {entry['reference']:.2f} by {remedy}{other}"


def _any(entry: Run, column: str) -> bool:
    return any(mends(entry, column, at) for at in entry["columns"][column])


def _share(rate: Run) -> str:
    if rate["value"] is None:
        return "–"
    value, low, high = (round(100 * rate[name]) for name in ("value", "low", "high"))
    return f"{value} % ({low} to {high}) of {rate['n']}"


def _line(entry: Run) -> str:
    """Return what became of a recipe in one line."""
    if "failed" in entry:
        return f"{entry['id']}: {entry['failed']}"
    scores = ", ".join(f"{column} {np.mean(list(by.values())[-1]):.3f}" for column, by in entry["columns"].items())
    kind = "sick" if entry["sick"] else "healthy"
    head = f"{entry['id']} ({kind}, unchanged {np.mean(entry['control']):.3f}, best {entry['reference']:.3f})"
    return f"{head}: {scores}; {entry['remedy']}; {entry['seconds']} s"


if __name__ == "__main__":
    main()
