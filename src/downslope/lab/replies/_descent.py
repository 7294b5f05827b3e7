"""The way down: its path, its table, its arithmetic, and what was found."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import in_words, number
from downslope.lab._limits import LIMITS
from downslope.lab.replies import _writing
from downslope.lab.replies._grid import box_around, ground_in
from downslope.lab.replies._request import Box, Request, RequestError, evidence, kept, plain, plan_of, shown
from downslope.lab.replies._writing import enclosed

# The arithmetic of a step, as it is written by hand: x = 0.4 − 0.1 × (−3.2) = 0.72.


_DIGITS = 5


def arithmetic(trace: ds.Trace, rows: np.ndarray) -> list[list[str]]:
    """Return for each row how it leads to the next step, a line for each variable; nothing for the last row.

    Gradient descent is written with its rate and gradient; the step of another method as what it moved by.

    Args:
        trace: a descent that kept its coordinates.
        rows: the places of the rows that are shown.
    """
    points, gradients = trace.coordinates, trace.gradients
    assert points is not None
    assert gradients is not None
    rates = trace.columns["learning_rate"]
    by_hand = trace.plan["method"] == "gradient descent"
    told = []
    for row in rows:
        if row + 1 >= len(points) or not np.all(np.isfinite(points[row + 1])):
            told.append([])
            continue
        told.append(
            [
                _with_rate(name, points[row, place], float(rates[row]), gradients[row, place], points[row + 1, place])
                if by_hand
                else _moved(name, points[row, place], points[row + 1, place])
                for place, name in enumerate(trace.coordinate_names)
            ]
        )
    return told


def _with_rate(name: str, at: float, rate: float, slope: float, then: float) -> str:
    start, by, end = (number(value, _DIGITS) for value in (at, rate, then))
    return f"{name} = {start} − {by} × {enclosed(slope, _DIGITS)} = {end}"


def _moved(name: str, at: float, then: float) -> str:
    sign = "+" if then >= at else "−"
    return f"{name} = {number(at, _DIGITS)} {sign} {number(abs(then - at), _DIGITS)} = {number(then, _DIGITS)}"


def descend(told: dict[str, Any]) -> dict[str, Any]:
    """Return a descent: its path, the verdict, and how to do the same without the page.

    What is read and not seen at once is in `steps`: numbers as text take longer than all the rest.
    """
    request = Request(told)
    made = plan_of(request)
    over = request.over(made.objective)
    trace, rows = _descent(made)
    columns = {name: column[rows] for name, column in trace.columns.items()}
    points, gradients = coordinates_of(trace)[rows], np.asarray(trace.gradients)[rows]
    place = {name: number for number, name in enumerate(trace.coordinate_names)}
    return {
        "name": made.objective.name,
        "read_as": made.objective.read_as,
        "over": list(over),
        "box": {name: list(span) for name, span in box_around(trace, over).items()},
        "path": {name: shown(points[:, place[name]]) for name in over},
        "gradients": {name: shown(gradients[:, place[name]]) for name in over},
        "tangents": {"slope": shown(gradients[:, 0])} if len(place) == 1 else None,
        "values": shown(columns["value"]),
        "steps": [int(step) for step in columns["step"]],
        "outcome": trace.outcome.value,
        "steps_taken": trace.last_step,
        "rate": plain(made.learning_rate),
        "verdict": verdict(ds.diagnose(trace)),
        "end": {name: plain(float(at)) for name, at in trace.end.items()},
        "first_text": number(float(columns["value"][0])),
        "value": plain(trace.value),
        "value_text": number(trace.value),
        "python": _writing.python(made),
        "command": _writing.command(made),
    }


def steps(told: dict[str, Any]) -> dict[str, Any]:
    """Return the same descent to be read: a table of the steps, and the arithmetic of each."""
    made = plan_of(Request(told))
    trace, rows = _descent(made)
    return {
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "headings": _headings(trace, made),
        "cells": _cells(trace, rows),
        "lines": arithmetic(trace, rows),
    }


def export(told: dict[str, Any]) -> dict[str, Any]:
    """Return every step of a descent as a table in a file."""
    trace = ds.descend(plan_of(Request(told)), progress=False)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", *trace.coordinate_names, "value", "gradient_norm"])
    columns = [trace.columns["value"], trace.columns["gradient_norm"]]
    for step, point, *others in zip(trace.columns["step"], coordinates_of(trace), *columns, strict=True):
        writer.writerow([int(step), *(repr(float(one)) for one in (*point, *others))])
    return {"name": "descent.csv", "text": file.getvalue()}


def _descent(made: ds.Plan) -> tuple[ds.Trace, np.ndarray]:
    """Return a descent and the places of the rows that are shown."""
    trace = ds.descend(made, progress=False)
    return trace, kept(len(trace.columns["step"]), LIMITS.rows)


def coordinates_of(trace: ds.Trace) -> np.ndarray:
    """Return where each recorded step was, shape (rows, variables)."""
    assert trace.coordinates is not None  # the lab's limit of variables is below that of a record
    return trace.coordinates


def verdict(diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return what was found, the first finding being the verdict."""
    first = diagnosis.findings[0] if diagnosis.findings else None
    return {
        "ok": diagnosis.ok,
        "symptom": first.symptom if first else None,
        "sentence": first.sentence if first else "",
        "findings": [
            {
                "symptom": finding.symptom,
                "severity": finding.severity.value,
                "title": in_words(finding.symptom).capitalize(),
                "sentence": finding.sentence,
                "remedies": list(finding.remedies),
                "evidence": [[in_words(name), evidence(one)] for name, one in finding.evidence.items()],
            }
            for finding in diagnosis.findings
        ],
    }


def _headings(trace: ds.Trace, made: ds.Plan) -> list[str]:
    slope = f"{made.objective.name}′" if len(trace.coordinate_names) == 1 else f"‖∇{made.objective.name}‖"
    rate = ["α"] if made.method.takes_rate else []
    return ["step", *trace.coordinate_names, made.objective.name, slope, *rate]


def _cells(trace: ds.Trace, rows: np.ndarray) -> list[list[str]]:
    """Return the table as text."""
    points, columns = coordinates_of(trace), trace.columns
    single = len(trace.coordinate_names) == 1
    slopes = np.asarray(trace.gradients)[:, 0] if single else columns["gradient_norm"]
    rates = [] if trace.plan["learning_rate"] is None else [columns["learning_rate"]]
    return [
        [
            str(int(columns["step"][row])),
            *(number(float(one)) for one in points[row]),
            *(number(float(column[row])) for column in (columns["value"], slopes, *rates)),
        ]
        for row in rows
    ]


# Several methods from one start, each at its own best rate.


_MARGIN = 0.08
_ROWS = 300  # of each way; there are several


def race(told: dict[str, Any]) -> dict[str, Any]:
    """Return the ways of several methods, the best first."""
    request = Request(told)
    objective = request.objective
    start, over, steps = request.start(objective), request.over(objective), max(request.steps, 1)
    methods = list(dict.fromkeys(ds.method(name).name for name in request.names("methods")))
    if not 1 <= len(methods) <= LIMITS.methods:
        raise RequestError(f"A race is of 1 to {LIMITS.methods} methods.")
    found = ds.compare(objective, start, methods, steps=steps)
    lower = [entry for entry in found.entries if _came_lower(entry)] or list(found.entries)
    ground = ground_in(objective, over, _box(lower, over), start)
    if len(over) == 1:
        ground["f_range"] = _heights(lower, ground["curve"]["f"])
    return {
        "ground": ground,
        "lanes": [_lane(entry, over) for entry in found.entries],
        "winner": found.winner.name,
        "sentence": found.sentence,
        "rows": {
            "headings": ["method", "α", "steps to rest", objective.name, "verdict"],
            "cells": [_race_cells(entry) for entry in found.entries],
        },
        "python": _writing.race_python(objective.read_as, start, methods, steps),
        "command": _writing.race_command(objective.read_as, start, methods, steps),
    }


def _box(entries: Sequence[ds.Entry], over: tuple[str, ...]) -> Box:
    """Return the range that shows the ways of all of these."""
    boxes = [box_around(entry.trace, over) for entry in entries]
    return {name: (min(box[name][0] for box in boxes), max(box[name][1] for box in boxes)) for name in over}


def _came_lower(entry: ds.Entry) -> bool:
    return entry.trace.value < entry.trace.columns["value"][0]


def _heights(entries: Sequence[ds.Entry], curve: Sequence[float | None]) -> list[float]:
    """Return the heights that show the ways of all of these, on a curve whose walls may be far higher."""
    seen = [value for entry in entries for value in entry.trace.columns["value"] if math.isfinite(value)]
    low = min([value for value in curve if value is not None], default=min(seen))
    margin = _MARGIN * (max(seen) - low)
    return [low - margin, max(seen) + margin]


def _lane(entry: ds.Entry, over: tuple[str, ...]) -> dict[str, Any]:
    trace = entry.trace
    rows = kept(len(trace.columns["step"]), _ROWS)
    place = {name: number for number, name in enumerate(trace.coordinate_names)}
    points = coordinates_of(trace)[rows]
    return {
        "method": entry.name,
        "rate": plain(entry.learning_rate),
        "path": {name: shown(points[:, place[name]]) for name in over},
        "values": shown(trace.columns["value"][rows]),
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "end": {name: plain(float(at)) for name, at in trace.end.items()},
        "value_text": number(trace.value),
        "verdict_sentence": entry.diagnosis[0].sentence,
    }


def _race_cells(entry: ds.Entry) -> list[str]:
    rate = "–" if entry.learning_rate is None else number(entry.learning_rate, 3)
    steps = "–" if math.isinf(entry.steps) else str(int(entry.steps))
    return [entry.name, rate, steps, number(entry.trace.value), entry.diagnosis[0].sentence]
