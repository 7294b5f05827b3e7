"""Recall, false alarms and right causes of `ds.diagnose` on runs with known faults, beside three tools' rules.

FILE holds recipes gathered from published fault benchmarks, in the form of `sick_runs.json`. Each is trained with this
library's own networks as it says (`sick_data.py`, `sick_faults.py`, `sick_losses.py` and `sick_networks.py` decide what
it leaves open), or descended if it is a formula, and the trace is diagnosed without anything else being known.

Outcome. A run is labelled by how it ended, not by what its recipe is called. Its metric is accuracy or R² at the last
step on the rows held back. It is sick if it was not finite, or if its metric lies more than 8 points of accuracy or 0.1
of R² below the best metric of any run on the same data (same name, same generator; scaling and damage apart). Where no
recipe that its source calls healthy was run on those data, a plain network is trained on them, undamaged, for that
comparison: two layers of 64 rectified units, Adam at 0.001, 2,000 steps, standardised. A harmless fault thus counts
among the healthy runs, where an alarm is a false one. A formula has no such metric: it is sick unless its source calls
it healthy, which is provable there, and it is run once, since there is no chance in it.

Rates, each with Wilson's 95 % interval. Recall: sick runs with any alarm, an alarm being a finding of the severity
PROBLEM. False alarms: healthy runs with any. Right cause first: sick runs, of those whose labels `meta.identifiers`
maps to anything, whose first problem is among the identifiers of their labels; anywhere: that have it among all their
problems. Runs of one recipe with several seeds resemble each other, so that the intervals are narrower than they
should be.

Heavy recipes take as many of their steps as fit into `--seconds-per-run` by the pace of a short trial, and are
evaluated ten times instead of forty; each run says how many `steps` and `epochs` it took. Evaluations and looks at the
curvature come on top of that time.

Parts. A recipe whose name's SHA-256 begins with a byte below 128 is tuned on; the others are looked at once.

In the results, `findings` are the problems in order; `notes` what else was found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from processes import Lost, results, single_thread
from sick_data import key_of
from sick_outcomes import Run, is_healthy_label, label_outcomes, part_of, summary, tables
from sick_recipes import uniform
from sick_training import Job, file_name, judged_again, trained
from timing import machine, publish

_BATCH_AGAIN = 16
# What nearly every recipe needs, and what takes seconds to import.
IMPORTS = ("equinox", "optax", "sklearn.datasets", "scipy.special", "downslope.networks", "downslope.remedies")
_PARTS = {"tuned": "tuned", "seen-once": "seen_once"}


def arguments() -> argparse.Namespace:
    parser = recipe_arguments((__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep every trace in this folder, and go on from those in it"
    )
    parser.add_argument("--again", type=Path, metavar="DIR", help="train nothing, diagnose the traces kept there")
    return parser.parse_args()


def recipe_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser of what benchmarks on a file of recipes have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("file", type=Path, metavar="FILE", help="the recipes, as JSON")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each recipe")
    parser.add_argument("--out", type=Path, help="write runs and summary to this file as JSON")
    parser.add_argument("--page", type=Path, help="put the tables into this page, between the marks with its name")
    parser.add_argument("--only", metavar="REGEX", help="only recipes whose name matches")
    parser.add_argument("--part", choices=("tuned", "seen-once", "all"), default="all", help="which recipes")
    parser.add_argument("--heavy", choices=("yes", "no"), default="yes", help="whether those marked as heavy as well")
    parser.add_argument("--seconds-per-run", type=float, default=60, help="how long the steps of a heavy one may take")
    parser.add_argument("--workers", type=int, default=2, help="processes that train side by side, a thread each")
    parser.add_argument(
        "--most-seconds",
        type=float,
        default=3600,
        metavar="S",
        help="of the processor, after which a recipe is given up",
    )
    return parser


def main() -> None:
    """Train every recipe, judge every run, and print the tables."""
    given = arguments()
    told = json.loads(given.file.read_text(encoding="utf-8"))
    recipes = list(chosen_recipes(told["recipes"], given))
    began = time.perf_counter()
    made = _kept(recipes, given) if given.again else trained_runs(recipes, given)
    runs = [one for one in made if "failed" not in one and not one.get("reference")]
    failed = [one for one in made if "failed" in one]
    label_outcomes(runs, {one["key"]: one for one in made if one.get("reference") and "failed" not in one})
    order = {recipe["id"]: place for place, recipe in enumerate(recipes)}
    runs.sort(key=lambda one: (order[one["id"]], one["seed"]))
    found = summary(runs, told.get("meta", {}).get("identifiers", {}))
    list_runs(runs, failed)
    text = f"{_told(runs, failed, recipes)}\n\n{tables(found, runs)}"
    print(f"\n{time.perf_counter() - began:.0f} s\n")
    publish(given, "sick_runs", text, {"runs": runs, "failed": failed, "summary": found})


def chosen_recipes(recipes: Sequence[Any], given: argparse.Namespace) -> Iterator[Any]:
    """Return the recipes that are asked for."""
    for recipe in uniform(recipes):
        wanted = not given.only or re.search(given.only, recipe["id"])
        part = given.part == "all" or part_of(recipe["id"]) == _PARTS[given.part]
        if wanted and part and (given.heavy == "yes" or not recipe.get("heavy")):
            yield recipe


# --- new runs --------------------------------------------------------------------------------------------------------


def trained_runs(recipes: Sequence[Any], given: argparse.Namespace) -> list[Run]:
    """Train all recipes and the references, and judge them; runs that `--keep` holds already are judged alone."""
    folder: Path | None = given.keep
    kept: list[str] = []
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = _kept_names(recipes, given.seeds, folder)
    jobs = [*_jobs(recipes, given, kept), *references(recipes, given)]
    single_thread()
    made = [] if folder is None else _judged_again(kept, folder, given)
    done = results(
        trained, [(job,) for job in jobs], workers=given.workers, seconds=given.most_seconds, imports=IMPORTS
    )
    for place, (index, result) in enumerate(done, 1):
        runs = [_lost(jobs[index], result)] if isinstance(result, Lost) else result
        made += runs
        print(f"{place:>3} of {len(jobs)}  {_line(runs)}", file=sys.stderr, flush=True)
    return made


def _jobs(recipes: Sequence[Any], given: argparse.Namespace, kept: Collection[str]) -> list[Job]:
    """Return a job a recipe, the heavy ones first, so that none of them is left over for one worker at the end.

    Seeds whose runs are kept are left out.
    """
    jobs = []
    for recipe in sorted(recipes, key=lambda recipe: not recipe.get("heavy")):
        seconds = given.seconds_per_run if recipe.get("heavy") else None
        seeds = tuple(seed for seed in range(given.seeds) if file_name(recipe["id"], seed) not in kept)
        if seeds:
            jobs.append(Job(recipe, seeds, seconds, given.keep))
    return jobs


def references(recipes: Sequence[Any], given: argparse.Namespace) -> list[Job]:
    """Return a job for each data set on which no recipe called healthy runs."""
    by_key: dict[str, Any] = {}
    healthy = set()
    for recipe in recipes:
        if not recipe.get("dataset", {}).get("name"):
            continue
        by_key.setdefault(key_of(recipe), recipe)
        if is_healthy_label(recipe.get("label") or ()):
            healthy.add(key_of(recipe))
    return [Job(recipe, (), None, given.keep) for key, recipe in by_key.items() if key not in healthy]


def _lost(job: Job, lost: Lost) -> Run:
    """Return what stands for a job without a result."""
    return {"id": job.recipe["id"] if job.seeds else "reference", "failed": lost.reason}


# --- kept runs -------------------------------------------------------------------------------------------------------


def _kept(recipes: Sequence[Any], given: argparse.Namespace) -> list[Run]:
    """Diagnose the kept traces of the recipes anew."""
    names = _kept_names(recipes, given.seeds, given.again)
    if not names:
        raise SystemExit(f"{given.again} holds no trace of these recipes: make them with --keep {given.again}")
    single_thread()
    references = [json.loads(file.read_text(encoding="utf-8")) for file in given.again.glob("reference_*.json")]
    return _judged_again(names, given.again, given) + references


def _kept_names(recipes: Sequence[Any], seeds: int, folder: Path) -> list[str]:
    """Return the names of the runs of the recipes that a folder holds."""
    names = [file_name(recipe["id"], seed) for recipe in recipes for seed in range(seeds)]
    return [name for name in names if (folder / f"{name}.json").is_file()]


def _judged_again(names: Sequence[str], folder: Path, given: argparse.Namespace) -> list[Run]:
    """Diagnose kept runs."""
    pieces = [names[at : at + _BATCH_AGAIN] for at in range(0, len(names), _BATCH_AGAIN)]
    made: list[Run] = []
    work = [(folder, piece) for piece in pieces]
    for index, result in results(
        judged_again, work, workers=given.workers, seconds=given.most_seconds, imports=IMPORTS
    ):
        made += [{"id": pieces[index][0], "failed": result.reason}] if isinstance(result, Lost) else result
    return made


# --- said ------------------------------------------------------------------------------------------------------------


def _line(runs: Sequence[Run]) -> str:
    """Return what became of a job in one line."""
    one = runs[0]
    if "failed" in one:
        return f"{one['id']}: {one['failed']}"
    if one.get("reference"):
        return f"reference on {one['key'][:60]}: {_number(one['metric'])}"
    metrics = " ".join(_number(run["metric"]) for run in runs)
    return f"{one['id']}: {metrics}; {one['steps']} steps, {one['seconds']:.1f} s a run"


def list_runs(runs: Sequence[Run], failed: Sequence[Run]) -> None:
    """Print every run: its outcome, and what was found."""
    for one in runs:
        outcome = "sick" if one["sick"] else "healthy"
        right = "!" if one["sick"] != bool(one["findings"]) else " "
        found = ", ".join(one["findings"]) or "–"
        print(f"{right} {one['id']:<36} {one['seed']} {outcome:<8}{_number(one['metric']):>8}  {found}", end="")
        print(f"   [{', '.join(one['labels'])}]")
    for one in failed:
        print(f"  {one['id']}: {one['failed']}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1e4 else f"{value:.1e}"


def _told(runs: Sequence[Run], failed: Sequence[Run], recipes: Sequence[Any]) -> str:
    """Return what was run, in a sentence."""
    sick = sum(one["sick"] for one in runs)
    left = f" {len({one['id'] for one in failed})} could not be built." if failed else ""
    return (
        f"{machine()}; {len(recipes)} recipes, {len(runs)} runs, {sick} of them sick.{left} "
        "Shares in percent, with 95 % intervals."
    )


if __name__ == "__main__":
    main()
