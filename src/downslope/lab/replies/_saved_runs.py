"""Runs that lie on disk: a list of them, one of them, and several beside each other."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import in_words, number
from downslope.lab._limits import LIMITS
from downslope.lab._runs import Found, Runs, header_of, state_of
from downslope.lab.replies import _writing
from downslope.lab.replies._descent import coordinates_of, verdict
from downslope.lab.replies._grid import box_around, ground_in
from downslope.lab.replies._request import Request, RequestError, kept, shown
from downslope.lab.replies._training import layer_name, layers_of

_DIGITS = 7
_SETS = ("training", "validation")
_SCORES = {"loss": "loss", "accuracy": "accuracy", "r2": "R²"}
_PLAN = {
    "method": "method",
    "learning_rate": "learning rate",
    "schedule": "schedule",
    "steps": "steps",
    "seed": "seed",
    "clip_norm": "longest gradient",
}
_TIMES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def runs(told: dict[str, Any]) -> dict[str, Any]:
    """Return the runs in the folder, the latest first."""
    there = _runs(told)
    return {"folder": there.folder.name or str(there.folder), "runs": [_told(run) for run in there.found()]}


def run(told: dict[str, Any]) -> dict[str, Any]:
    """Return a run: its curves, what was found, and its plan."""
    (found,) = _named(told, [Request(told).text("run")])
    trace = ds.load(found.folder)
    has_steps = len(trace.columns["step"]) > 0
    place = os.path.relpath(found.folder)
    return {
        **_told(found),
        "outcome": trace.outcome.value,
        "verdict": verdict(ds.diagnose(trace)) if has_steps else None,
        "last": trace.last_step if has_steps else None,
        "charts": _charts(trace) if has_steps else [],
        "layers": _layers(trace) if has_steps else None,
        "landscape": _landscape(trace) if has_steps else None,
        "plan": [[label, text] for label, text in _plan(trace).items()],
        "python": _writing.run_python(place),
        "command": _writing.run_command(place),
    }


def compare(told: dict[str, Any]) -> dict[str, Any]:
    """Return runs beside each other: their curves in one chart each, and what differs between them."""
    names = list(dict.fromkeys(Request(told).names("runs_beside")))
    if not 2 <= len(names) <= LIMITS.compared:
        raise RequestError(f"From 2 to {LIMITS.compared} runs are shown beside each other.")
    found = _named(told, names)
    traces = [ds.load(one.folder) for one in found]
    if any(len(trace.columns["step"]) == 0 for trace in traces):
        raise ds.TraceError("one of these runs has not taken a step yet", hint="look again in a moment")
    tables = [_plan(trace) | _reached(trace) for trace in traces]
    labels = list(dict.fromkeys(label for table in tables for label in table))
    rows = [[label, *(table.get(label, "–") for table in tables)] for label in labels]
    return {
        "names": names,
        "charts": _beside(names, [_charts(trace) for trace in traces]),
        "rows": [row for row in rows if len(set(row[1:])) > 1],
        "same": [row[:2] for row in rows if len(set(row[1:])) == 1],
        "python": _writing.runs_python([os.path.relpath(one.folder) for one in found]),
    }


def _runs(told: Mapping[str, Any]) -> Runs:
    folder = told.get("runs")
    if not isinstance(folder, Path):
        raise RequestError("This lab has no folder of runs.")
    return Runs(folder, LIMITS.runs)


def _named(told: Mapping[str, Any], names: Sequence[str]) -> list[Found]:
    """Return the runs of these names."""
    there = {run.name: run for run in _runs(told).found()}
    for name in names:
        if name not in there:
            raise ds.TraceError(f"there is no run {name[:100]!r} here", hint="it may have been moved or removed")
    return [there[name] for name in names]


def _told(run: Found) -> dict[str, Any]:
    """Return what the list tells of a run."""
    header = header_of(run)
    return {
        "name": run.name,
        "state": state_of(run),
        "what": header.what if header else "",
        "method": header.method if header else "",
        "changed": _ago(time.time() - run.changed),
    }


def _ago(seconds: float) -> str:
    """Return how long ago something was, in words."""
    for size, name in _TIMES:
        count = int(seconds // size)
        if count:
            return f"{count} {name}{'s' * (count > 1)} ago"
    return "now"


def _charts(trace: ds.Trace) -> list[dict[str, Any]]:
    """Return the curves of a run, each chart with its lines."""
    columns, metrics = trace.columns, trace.metrics
    made = []
    for metric, title in _SCORES.items():
        lines = [_line(of, metrics["step"], metrics[f"{of}_{metric}"]) for of in _SETS if f"{of}_{metric}" in metrics]
        made += [{"title": title, "lines": lines}] if lines else []
    step = columns["step"]
    name = "loss of each batch" if made else "value"
    made.append({"title": name, "lines": [_line(name, step, columns["value"])]})
    made.append({"title": "gradient norm", "lines": [_line("gradient norm", step, columns["gradient_norm"])]})
    rates = columns["learning_rate"]
    if len(np.unique(rates[np.isfinite(rates)])) > 1:
        made.append({"title": "learning rate", "lines": [_line("learning rate", step, rates)]})
    return made


def _line(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    rows = kept(len(x), LIMITS.rows)
    return {"name": name, "x": [int(step) for step in x[rows]], "y": shown(y[rows], _DIGITS)}


def _beside(names: list[str], every: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the charts that all runs have, a line for each run: of scores that of the rows held back."""
    last_lines = [{chart["title"]: chart["lines"][-1] for chart in charts} for charts in every]
    return [
        {
            "title": title,
            "lines": [lines[title] | {"name": name} for name, lines in zip(names, last_lines, strict=True)],
        }
        for title in last_lines[0]
        if all(title in lines for lines in last_lines)
    ]


def _layers(trace: ds.Trace) -> dict[str, Any] | None:
    """Return what the last look inside the layers found."""
    if not trace.layer_names or len(trace.layers) == 0:
        return None
    return {"names": [layer_name(name, place) for place, name in enumerate(trace.layer_names)], **layers_of(trace)}


def _landscape(trace: ds.Trace) -> dict[str, Any] | None:
    """Return the ground and the way on it, for a formula of one or two variables."""
    names = tuple(trace.coordinate_names)
    if not 1 <= len(names) <= 2 or trace.coordinates is None:
        return None
    try:
        objective = ds.objective(str(trace.plan["read_as"]))
    except ds.DownslopeError:  # a function, or a fit: it cannot be computed from what it is called
        return None
    if set(objective.names or ()) != set(names):
        return None
    rows = kept(len(trace.columns["step"]), LIMITS.rows)
    end = {name: float(trace.end[name]) for name in names}
    path = {name: shown(column[rows]) for name, column in zip(names, coordinates_of(trace).T, strict=True)}
    ground = ground_in(objective, names, box_around(trace, names), end)
    return {"ground": ground, "path": path, "values": shown(trace.columns["value"][rows])}


def _plan(trace: ds.Trace) -> dict[str, str]:
    """Return what a run was asked for, as labels and texts."""
    plan = trace.plan
    told = {"of": str(plan.get("read_as", ""))}
    told |= {label: _text(plan[name]) for name, label in _PLAN.items() if plan.get(name) is not None}
    told |= {in_words(name): _text(setting) for name, setting in (plan.get("settings") or {}).items()}
    batch = (plan.get("batches") or {}).get("size")
    told |= {} if batch is None else {"batch": str(batch)}
    asked = trace.facts.get("asked") or {}
    more = {in_words(name): _text(choice) for name, choice in asked.items() if name not in ("untold", "model")}
    return told | {label: text for label, text in more.items() if label not in told and text != "–"}


def _reached(trace: ds.Trace) -> dict[str, str]:
    """Return how a run ended, as labels and texts."""
    scores = {name: float(column[-1]) for name, column in trace.metrics.items() if name.startswith(_SETS)}
    symptoms = ds.diagnose(trace).symptoms
    return {
        "last step": str(trace.last_step),
        "last value": number(trace.value),
        **{in_words(name): number(score) for name, score in scores.items()},
        "found": ", ".join(map(in_words, symptoms)),
        "outcome": in_words(trace.outcome.identifier),
    }


def _text(thing: Any) -> str:
    """Return a plain thing as it is shown."""
    if thing is None:
        return "–"
    if isinstance(thing, bool):
        return "yes" if thing else "no"
    if isinstance(thing, int | float):
        return number(thing)
    if isinstance(thing, list | tuple):
        return ", ".join(map(_text, thing))
    return str(thing)[:200]
