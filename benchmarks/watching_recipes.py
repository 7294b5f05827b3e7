"""Recall, false alarms and right causes of `ds.diagnose` on runs with known faults in PyTorch, under `ds.watch`.

FILE holds recipes as `sick_runs.py` takes them, read by the same code, with the same rule for the outcome. Each recipe
that PyTorch can express is trained by a loop of PyTorch in one thread (`torch_recipes.py`), from the weights that the
library draws. The loop has the one line `watch.loss(loss)`, and evaluates the rows held back twenty times. What cannot
be expressed is listed with the reason.
"""

from __future__ import annotations

import json
import math
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # `make test-frameworks` installs it
from processes import Lost, results, single_thread
from sick_data import data_of, key_of
from sick_faults import Data, UnbuildableError
from sick_networks import batch_of, network_of, steps_of
from sick_outcomes import Run, label_outcomes, part_of, summary, tables
from sick_runs import IMPORTS, chosen_recipes, list_runs, recipe_arguments, references
from sick_training import Job, file_name, trained
from timing import machine, publish
from torch_recipes import TorchNetwork, torch_loss, torch_optimizer

import downslope as ds

_EVALUATIONS, _TRIAL_STEPS = 20, 30
# What the first optimizer and the first diagnosis load.
_IMPORTS = ("torch._dynamo", "downslope.watching.torch", "downslope.diagnosis", "scipy.stats", "scipy.linalg")


def main() -> None:
    """Train every recipe, judge every run, and print the tables."""
    parser = recipe_arguments((__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep traces there; those that are there are not trained again"
    )
    parser.add_argument("--criterion", action="store_true", help="pass the loss to the watch as well, to be tried")
    given = parser.parse_args()
    file = json.loads(given.file.read_text(encoding="utf-8"))
    recipes = list(chosen_recipes(file["recipes"], given))
    began = time.perf_counter()
    single_thread()
    jobs = [(Job(r, tuple(range(given.seeds)), given.seconds_per_run if r.get("heavy") else None, given.keep),
             given.criterion) for r in recipes]  # fmt: skip
    compared = [(job, False) for job in references(recipes, given)]
    runs: list[Run] = []
    for count, (index, result) in enumerate(
        results(
            watched_job,
            [*jobs, *compared],
            workers=given.workers,
            seconds=given.most_seconds,
            imports=(*IMPORTS, *_IMPORTS),
        ),
        1,
    ):
        lost = isinstance(result, Lost)
        new = [{"id": (jobs + compared)[index][0].recipe["id"], "failed": result.reason}] if lost else result
        runs += new
        print(f"{count} of {len(jobs) + len(compared)}  {_line(new)}", file=sys.stderr, flush=True)
    failed = [run for run in runs if "failed" in run]
    judged = [run for run in runs if "failed" not in run and not run.get("reference")]
    label_outcomes(judged, {run["key"]: run for run in runs if run.get("reference") and "failed" not in run})
    order = {recipe["id"]: index for index, recipe in enumerate(recipes)}
    judged.sort(key=lambda run: (order[run["id"]], run["seed"]))
    rates = summary(judged, file.get("meta", {}).get("identifiers", {}))
    list_runs(judged, failed)
    print(f"\n{time.perf_counter() - began:.0f} s\n")
    skipped = len({run["id"] for run in failed})
    sick = sum(run["sick"] for run in judged)
    text = (
        f"{machine()}, PyTorch {torch.__version__.partition('+')[0]}; {len(recipes)} recipes, {len(judged)} runs, "
        f"{sick} of them sick. {skipped} recipes were left out, each with its reason. Shares in percent, with 95 % "
        f"intervals.\n\n{tables(rates, judged)}"
    )
    publish(given, "watching_recipes", text, {"runs": judged, "failed": failed, "summary": rates})


def watched_job(job: Job, criterion: bool) -> list[Run]:
    """Return the runs of a recipe; one entry with `failed` where PyTorch cannot express it."""
    if not job.seeds:
        return trained(job)  # the plain network of its data, by the library
    recipe = job.recipe
    torch.set_num_threads(1)
    try:
        if recipe.get("unreadable"):
            raise UnbuildableError(str(recipe["unreadable"]))
        if "dataset" not in recipe:
            raise UnbuildableError("it is a formula, and no network")
        data = data_of(recipe)
        return [_run(job, data, seed, criterion) for seed in job.seeds]
    except (UnbuildableError, ds.DownslopeError) as error:
        return [{"id": recipe["id"], "failed": f"left out: {error}"}]
    except Exception as error:  # a recipe that this script misreads must not take the others with it
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return [{"id": recipe["id"], "failed": f"FAILED: {reason}"}]


def _run(job: Job, data: Data, seed: int, criterion: bool) -> Run:
    """Train a recipe once, or take what was kept of it, and judge what the watch left."""
    recipe, began = job.recipe, time.perf_counter()
    kept = None if job.keep is None else job.keep / f"{file_name(recipe['id'], seed)}.json"
    if kept is not None and kept.is_file():
        return _judged(json.loads(kept.read_text(encoding="utf-8")), ds.load_trace(kept.with_suffix("")))
    torch.manual_seed(seed)
    network = network_of(recipe, data.inputs.shape[1:], seed)
    model = TorchNetwork(network)
    loss_of_batch = torch_loss(recipe, data, network.outputs)
    optimizer, clip = torch_optimizer(recipe, model)
    inputs, targets, held, held_targets = tensors_of(data)
    steps, epochs = steps_of(recipe, len(inputs))
    of_batch = batch_of(recipe, len(inputs)) or len(inputs)
    watch = ds.watch(model, optimizer, criterion=loss_of_batch if criterion else None)
    order, taken, measured = torch.randperm(len(inputs)), 0, math.nan
    every = max(steps // _EVALUATIONS, 1)
    started = time.perf_counter()
    for step in range(steps):
        rows, taken = order[taken : taken + of_batch], taken + of_batch
        loss = loss_of_batch(model(inputs[rows]), targets[rows])
        watch.loss(loss)
        loss.backward()
        clip()
        optimizer.step()
        optimizer.zero_grad()
        if taken >= len(inputs):
            order, taken = torch.randperm(len(inputs)), 0
        spent = time.perf_counter() - started
        is_over = job.seconds is not None and step >= _TRIAL_STEPS and spent > job.seconds
        if step % every == every - 1 or step == steps - 1 or is_over:
            model.eval()
            with torch.no_grad():
                outputs = model(held)
                measured = score(outputs, held_targets, data.task, recipe)
                measurements: dict[str, Any] = {"validation_loss": loss_of_batch(outputs, held_targets)}
                name = f"validation_{'accuracy' if data.task == 'classes' else 'r2'}"
                measurements[name] = measured
                watch.evaluation(**measurements)
            model.train()
        if is_over:
            epochs, steps = epochs * (step + 1) / steps, step + 1
            break
    trace = watch.close()
    finite = math.isfinite(trace.value) and math.isfinite(measured)
    run: Run = {
        "id": recipe["id"],
        "seed": seed,
        "group": recipe.get("group", "none"),
        "labels": list(recipe.get("label") or ()),
        "part": part_of(recipe["id"]),
        "key": key_of(recipe),
        "steps": steps,
        "epochs": round(epochs, 2),
        "measured_by": "accuracy" if data.task == "classes" else "r2",
        "metric": measured if finite else None,
        "finite": finite,
        "rivals": {},
        "seconds": round(time.perf_counter() - began, 2),
    }
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        ds.save(trace, kept.with_suffix(""))
        kept.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    return _judged(run, trace)


def _judged(run: Run, trace: ds.Trace) -> Run:
    """Return a run with what the diagnosis of its trace says."""
    diagnosis = ds.diagnose(trace)
    return {
        **run,
        "findings": [each.symptom for each in diagnosis if each.severity is ds.Severity.PROBLEM],
        "notes": [each.symptom for each in diagnosis if each.severity is not ds.Severity.PROBLEM],
        "could_not_run": {each.symptom: each.reason for each in diagnosis.not_run},
    }


def _line(runs: Sequence[Run]) -> str:
    """Return what became of a job in one line."""
    run = runs[0]
    if "failed" in run:
        return f"{run['id']}: {run['failed']}"
    found = "; ".join(", ".join(each.get("findings", ())) or "–" for each in runs)
    metrics = " ".join("–" if each["metric"] is None else f"{each['metric']:.3f}" for each in runs)
    return f"{run['id']}: {metrics}; {run.get('seconds', 0)} s; {found}"


def tensors_of(data: Data) -> tuple[Any, Any, Any, Any]:
    """Return inputs and targets, those of training and those held back: classes (rows,), numbers (rows, columns)."""

    def of(targets: np.ndarray) -> Any:
        return (
            torch.tensor(targets).long()
            if data.task == "classes"
            else torch.tensor(targets.reshape(len(targets), -1)).float()
        )

    inputs, held = (torch.tensor(np.ascontiguousarray(rows)).float() for rows in (data.inputs, data.held_inputs))
    return inputs, of(data.targets), held, of(data.held_targets)


def score(outputs: Any, targets: Any, task: str, recipe: Mapping[str, Any]) -> float:
    """Return the accuracy of classes, or R² of numbers, as the library measures them."""
    from sick_losses import spelled_loss

    if task == "classes":
        rows = outputs.reshape(len(outputs), -1)
        edge = 0.0 if spelled_loss(recipe)[1] else 0.5
        guesses = rows.argmax(1) if rows.shape[1] > 1 else (rows[:, 0] > edge).long()
        return float((guesses == targets).float().mean())
    outputs = outputs.reshape(len(outputs), -1)
    wrong = targets - outputs.double()
    around = targets.double() - targets.double().mean(0)
    return float(1 - wrong.square().mean() / around.square().mean())


if __name__ == "__main__":
    main()
