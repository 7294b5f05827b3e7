"""Saved runs: the list of them, one of them, and a comparison of several."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import in_words, number
from downslope.lab._messages import LIMITS
from downslope.lab._runs import Runs, SavedRun, header_of, state_of
from downslope.lab.replies._descent import coordinates_of, verdict_reply
from downslope.lab.replies._formula_verbs import grid_reply
from downslope.lab.replies._request import PageRequest, RequestError, are_alike, filling, program, rounded
from downslope.lab.replies._training import layer_name, layers_of

_DIGITS = 7
_WIDE = 1.8  # the width of the picture of a path over its height, about
_SETS = ("training", "validation")
_SCORES = {"loss": "loss", "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "r2": "R²"}
_PLAN = {
    "method": "method",
    "learning_rate": "learning rate",
    "schedule": "schedule",
    "steps": "steps",
    "seed": "seed",
    "clip_norm": "longest gradient",
}
_TIMES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))


def runs(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the runs in the folder, the latest first."""
    folder = _runs(fields)
    return {"folder": folder.folder.name or str(folder.folder), "runs": [_listing(run) for run in folder.listed()]}


def run(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a run: its curves, its findings, and its plan."""
    (saved,) = _named(fields, [PageRequest(fields).text("run")])
    trace = ds.load_trace(saved.folder)
    has_steps = len(trace.columns["step"]) > 0
    path = os.path.relpath(saved.folder)
    return {
        **_listing(saved),
        "outcome": trace.ending,
        "verdict": verdict_reply(ds.diagnose(trace)) if has_steps else None,
        "last": trace.steps_taken if has_steps else None,
        "charts": _charts(trace) if has_steps else [],
        "layers": _layers(trace) if has_steps else None,
        "landscape": _landscape(trace) if has_steps else None,
        "plan": [[label, text] for label, text in _plan(trace).items()],
        "python": program("trace", f"ds.load({path!r})", "trace", "ds.diagnose(trace)"),
        "command": ds.as_command(path),
    }


def compare(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison of runs: their curves in common charts, and the settings in which they differ."""
    names = list(dict.fromkeys(PageRequest(fields).names("runs_beside")))
    if not 2 <= len(names) <= LIMITS.compared:
        raise RequestError(f"From 2 to {LIMITS.compared} runs can be compared.")
    saved = _named(fields, names)
    traces = [ds.load_trace(run.folder) for run in saved]
    if any(len(trace.columns["step"]) == 0 for trace in traces):
        raise ds.TraceError("one of these runs has not taken a step yet", hint="try again in a moment")
    tables = [_plan(trace) | _reached(trace) for trace in traces]
    labels = list(dict.fromkeys(label for table in tables for label in table))
    rows = [[label, *(table.get(label, "–") for table in tables)] for label in labels]
    return {
        "names": names,
        "charts": _common_charts(names, [_charts(trace) for trace in traces]),
        "rows": [row for row in rows if len(set(row[1:])) > 1],
        "same": [row[:2] for row in rows if len(set(row[1:])) == 1],
        "python": _python([os.path.relpath(run.folder) for run in saved]),
    }


def _python(folders: Sequence[str]) -> str:
    return (
        f"import downslope as ds\n\nfor folder in {list(folders)!r}:\n    trace = ds.load(folder)\n"
        "    print(folder, trace.value, ds.diagnose(trace).symptoms)\n"
    )


def _runs(fields: Mapping[str, Any]) -> Runs:
    folder = fields.get("runs")
    if not isinstance(folder, Path):
        raise RequestError("This lab has no folder of runs.")
    return Runs(folder, LIMITS.runs)


def _named(fields: Mapping[str, Any], names: Sequence[str]) -> list[SavedRun]:
    """Return the runs of these names."""
    runs = {run.name: run for run in _runs(fields).listed()}
    for name in names:
        if name not in runs:
            raise ds.TraceError(f"there is no run {name[:100]!r} here", hint="it may have been moved or removed")
    return [runs[name] for name in names]


def _listing(run: SavedRun) -> dict[str, Any]:
    """Return the entry of a run in the list."""
    header = header_of(run)
    return {
        "name": run.name,
        "state": state_of(run),
        "what": header.read_as if header else "",
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
    charts = []
    for metric, title in _SCORES.items():
        lines = [
            _line(part, metrics["step"], metrics[f"{part}_{metric}"]) for part in _SETS if f"{part}_{metric}" in metrics
        ]
        charts += [{"title": title, "lines": lines}] if lines else []
    step = columns["step"]
    name = "loss of each batch" if charts else "value"
    charts.append({"title": name, "lines": [_line(name, step, columns["value"])]})
    charts.append({"title": "gradient norm", "lines": [_line("gradient norm", step, columns["gradient_norm"])]})
    rates = columns["learning_rate"]
    if len(np.unique(rates[np.isfinite(rates)])) > 1:
        charts.append({"title": "learning rate", "lines": [_line("learning rate", step, rates)]})
    return charts


def _line(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    rows = evenly_spread(len(x), LIMITS.rows)
    return {"name": name, "x": [int(step) for step in x[rows]], "y": rounded(y[rows], _DIGITS)}


def _common_charts(names: list[str], charts_of_runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the charts that all runs have, with a line for each run; a score is that of the rows held back."""
    last_lines = [{chart["title"]: chart["lines"][-1] for chart in charts} for charts in charts_of_runs]
    return [
        {
            "title": title,
            "lines": [lines[title] | {"name": name} for name, lines in zip(names, last_lines, strict=True)],
        }
        for title in last_lines[0]
        if all(title in lines for lines in last_lines)
    ]


def _layers(trace: ds.Trace) -> dict[str, Any] | None:
    """Return the last statistics of the layers."""
    if not trace.layer_names or len(trace.layers) == 0:
        return None
    return {"names": [layer_name(name, index) for index, name in enumerate(trace.layer_names)], **layers_of(trace)}


def _landscape(trace: ds.Trace) -> dict[str, Any] | None:
    """Return the grid and the path on it, for a formula of one or two variables."""
    names = tuple(trace.coordinate_names)
    if not 1 <= len(names) <= 2 or trace.coordinates is None:
        return None
    try:
        objective = ds.objective(str(trace.plan["read_as"]))
    except ds.DownslopeError:  # a function or a fit, which its name does not compute
        return None
    if set(objective.names or ()) != set(names):
        return None
    rows = evenly_spread(len(trace.columns["step"]), LIMITS.rows)
    end = {name: float(trace.end[name]) for name in names}
    path = {name: rounded(column[rows]) for name, column in zip(names, coordinates_of(trace).T, strict=True)}
    box = ds.draw.box(trace, names)
    is_equal = len(names) == 2 and are_alike(list(box.values()))
    grid = grid_reply(objective, names, filling(box, names, _WIDE), end) | {"has_equal_units": is_equal}
    return {"grid": grid, "path": path, "values": rounded(trace.columns["value"][rows])}


def _plan(trace: ds.Trace) -> dict[str, str]:
    """Return the plan of a run, as labels and texts."""
    plan = trace.plan
    texts = {"of": str(plan.get("read_as", ""))}
    texts |= {label: _text(plan[name]) for name, label in _PLAN.items() if plan.get(name) is not None}
    texts |= {in_words(name): _text(setting) for name, setting in (plan.get("settings") or {}).items()}
    batch = (plan.get("batches") or {}).get("size")
    texts |= {} if batch is None else {"batch": str(batch)}
    choices = trace.facts.get("asked") or {}
    more = {in_words(name): _text(choice) for name, choice in choices.items() if name not in ("untold", "model")}
    return texts | {label: text for label, text in more.items() if label not in texts and text != "–"}


def _reached(trace: ds.Trace) -> dict[str, str]:
    """Return how a run ended, as labels and texts."""
    scores = {name: trace.at_end(name) for name in trace.metrics if name.startswith(_SETS)}
    symptoms = ds.diagnose(trace).symptoms
    return {
        "steps taken": str(trace.steps_taken),
        "last value": number(trace.value),
        **{in_words(name): number(score) for name, score in scores.items()},
        "found": ", ".join(map(in_words, symptoms)),
        "outcome": in_words(trace.outcome.identifier),
    }


def _text(value: Any) -> str:
    """Return plain data as text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)[:200]
