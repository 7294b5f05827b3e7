"""How often each remedy repairs a training that shows a finding, on the tuned half of the recipes of `sick_runs.py`.

FILE holds recipes as for `sick_runs.py`. Each recipe of a network is trained as it says, with a fifth of its training
rows held back, with the seeds 0, 1, … until a run shows a problem. Each remedy that applies is then tried once at full
length with that seed, and what the findings ask for together as well. A remedy repaired the run if it closed at least
half of the gap between the unchanged run and the best that any try, or the simple learner that a diagnosis compares
with, came to; a gap of less than 0.05 is none, and such a run is left out.

What is tried is written to `--out`, one recipe a line, as it comes; recipes that are there already are not run again.
`--write` puts the counts by finding and remedy, with where they come from, into the package, where `prescribe` reads
them. Only recipes of the tuned half enter, so that repairs can be reported on the other half.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from processes import Lost, results, single_thread
from repairs_of_trainings import inner_setup
from sick_outcomes import part_of
from sick_runs import IMPORTS

import downslope as ds
from downslope.remedies._ranking import TOGETHER, problems_of, together
from downslope.remedies._remedy import TrainingCase
from downslope.remedies._training_remedies import everything, proposals
from downslope.remedies._trial import promise_of, score_of

_SEEDS = 3  # that are tried for one that shows a problem
_HALF, _LEAST_GAP = 0.5, 0.05
_SHARES = (0.1, 0.3)  # of the steps, at which a course is written down
_UNSEEN: Mapping[str, Any] = {"probe_every": 0, "layers_every": 0}  # what is only scored is not looked into


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the recipes, as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the tries, as JSON lines; gone on with if it is there")
    parser.add_argument("--most", type=int, help="only so many recipes, drawn at random with a fixed seed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no recipe after so many seconds")
    parser.add_argument("--workers", type=int, default=2, help="processes that train side by side, a thread each")
    parser.add_argument("--write", action="store_true", help="write the counts into the package, and run nothing")
    return parser.parse_args()


def main() -> None:
    """Try what applies to each recipe, or write the counts of what was tried."""
    choices = arguments()
    if choices.write:
        write(choices.out, choices.file.name)
        return
    recipes = chosen(json.loads(choices.file.read_text(encoding="utf-8"))["recipes"], choices.most)
    known = {entry["id"] for entry in entries_of(choices.out)}
    waiting = [recipe for recipe in recipes if recipe["id"] not in known]
    single_thread()
    end = time.time() + choices.seconds
    pieces = [(recipe, end) for recipe in waiting]
    for count, (index, result) in enumerate(results(tries_of, pieces, workers=choices.workers, imports=IMPORTS), 1):
        entry = {"id": waiting[index]["id"], "failed": result.reason} if isinstance(result, Lost) else result
        if entry is None:
            continue
        with choices.out.open("a", encoding="utf-8") as file:
            print(json.dumps(entry), file=file)
        print(f"{count:>3} of {len(pieces)}  {_line(entry)}", file=sys.stderr, flush=True)


def chosen(recipes: Sequence[Any], most: int | None) -> list[Any]:
    """Return the light recipes of networks in the tuned half, or some of them."""
    tuned = [recipe for recipe in recipes if part_of(recipe["id"]) == "tuned" and "formula" not in recipe]
    light = [recipe for recipe in tuned if not recipe.get("heavy")]
    order = np.random.default_rng(20).permutation(len(light))
    return [light[index] for index in order[:most]]


def entries_of(file: Path) -> list[dict[str, Any]]:
    """Return what was tried before."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# --- one recipe ------------------------------------------------------------------------------------------------------


def tries_of(recipe: Mapping[str, Any], end: float = float("inf")) -> dict[str, Any] | None:
    """Return what each remedy came to on a recipe; None where no time is left to begin."""
    if time.time() > end:
        return None
    began = time.perf_counter()
    try:
        entry = _tries_of(recipe)
    except Exception as error:  # one recipe must not end the others
        entry = {"failed": f"{type(error).__name__}: {error}"}
    return {"id": recipe["id"], **entry, "seconds": round(time.perf_counter() - began, 1)}


def _tries_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    for seed in range(_SEEDS):
        inner = inner_setup(recipe, seed)
        trace = inner.train(progress=False).trace
        diagnosis = ds.diagnose(trace)
        if not diagnosis.ok:
            break
    else:
        return {"ok": True}
    case, problems = TrainingCase(inner, trace), problems_of(diagnosis)
    remedies = list({remedy.key: remedy for remedy in (*everything(case), *proposals(case, diagnosis))}.values())
    both = together(remedies, problems)
    tried = {remedy.key: remedy.changes for remedy in remedies} | ({} if both is None else {TOGETHER: both.changes})
    return {
        "seed": seed,
        "symptoms": list(problems),
        "steps": int(inner.choices["steps"]),
        "reference": case.reference,
        "own": _course(trace),
        "tries": {key: _tried(inner, changes) for key, changes in tried.items()},
    }


def _tried(inner: ds.Setup, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how a run with changes went; None where it cannot be built."""
    began = time.perf_counter()
    try:
        changed = inner.changed(**changes)
        every = -(-int(changed.choices["steps"]) // 10)
        trace = changed.changed(**_UNSEEN, evaluate_every=every).train(progress=False).trace
    except ds.SettingError:
        return None
    return {**_course(trace), "steps": trace.last_step, "seconds": round(time.perf_counter() - began, 2)}


def _course(trace: ds.Trace) -> dict[str, Any]:
    """Return the score at the end, and the score and the losses at shares of the steps."""
    metric = trace.facts["network"]["metric"]
    steps = np.asarray(trace.metrics["step"])
    columns = {"score": f"validation_{metric}", "held": "validation_loss", "loss": "training_loss"}
    looks = [int(np.argmin(np.abs(steps - share * trace.plan["steps"]))) for share in _SHARES]
    early = {
        name: [_plain(trace.metrics[column][0])] + [_plain(trace.metrics[column][look]) for look in looks]
        for name, column in columns.items()
        if column in trace.metrics
    }
    return {"end": score_of(trace), "promise": _plain(promise_of(trace)), **early}


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


# --- counted ---------------------------------------------------------------------------------------------------------


def write(tries: Path, source: str) -> None:
    """Write the counts into the package."""
    entries = [entry for entry in entries_of(tries) if entry.get("tries")]
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    whatever = defaultdict[str, list[int]](lambda: [0, 0])  # was found: each run counts once
    counted = 0
    for entry in entries:
        repaired = repairs_of(entry)
        counted += bool(repaired)
        for key, mended in repaired.items():
            for cell in (whatever[key], *(counts[symptom][key] for symptom in entry["symptoms"])):
                cell[0] += mended
                cell[1] += 1
    text = (
        f"benchmarks/repair_counts.py on {counted} sick recipes of the tuned half of {source}: by finding and remedy, "
        "how many runs the remedy repaired, and on how many it was tried"
    )
    plain = {symptom: dict(sorted(counts[symptom].items())) for symptom in sorted(counts)}
    file = Path(str(resources.files(ds) / "remedies" / "repair_counts.json"))
    every = json.dumps(dict(sorted(whatever.items())))
    lines = ",\n".join(f"  {json.dumps(symptom)}: {json.dumps(cells)}" for symptom, cells in plain.items())
    file.write_text(
        f'{{\n "source": {json.dumps(text)},\n "whatever": {every},\n "counts": {{\n{lines}\n }}\n}}\n',
        encoding="utf-8",
    )


def repairs_of(entry: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether each remedy closed half of the gap; nothing where there was none to close."""
    tries = {key: tried["end"] for key, tried in entry["tries"].items() if tried is not None}
    own = entry["own"]["end"]
    best = max([*tries.values(), min(entry["reference"], 1.0) if entry["reference"] < 1 else 0.0])
    if best - own < _LEAST_GAP:
        return {}
    return {key: bool(score - own >= _HALF * (best - own)) for key, score in tries.items()}


def _line(entry: Mapping[str, Any]) -> str:
    """Return what became of a recipe in one line."""
    if not entry.get("tries"):
        return f"{entry['id']:<28} {entry.get('failed', 'no problem')}; {entry.get('seconds', 0)} s"
    repaired = [key for key, mended in repairs_of(entry).items() if mended]
    return f"{entry['id']:<28} {entry['own']['end']:.3f}; {', '.join(repaired) or 'none'}; {entry.get('seconds', 0)} s"


if __name__ == "__main__":
    main()
