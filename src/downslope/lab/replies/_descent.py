"""Descents: the path, the table of steps, the arithmetic of each step, the verdict; and races of several methods."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope._types import plain
from downslope.lab._messages import LIMITS, scheduler
from downslope.lab.replies._formula_verbs import grid_reply, read
from downslope.lab.replies._request import (
    Box,
    PageRequest,
    RequestError,
    are_alike,
    factor,
    filling,
    plan_of,
    program,
    rounded,
)

_FIELDS_OF_PLAN = ("formula", "start", "method", "rate", "steps")
_DESCENTS = 4  # that are kept: the table of steps is requested a moment after the picture
_DIGITS = 5  # of the numbers in the arithmetic
_RACE_ROWS = 300  # of each path in a race, which has several
_RATE_SHARES = (0.01, 0.05, 0.2, 0.6, 0.95, 1.05)  # of the largest stable rate
_SWEEP_STEPS = 2000  # in which the stable rates are looked for
_RACE_MARGIN = 0.08  # of the heights that a race shows


def warm() -> None:
    """Make a picture over one variable and one over two, so that the first one waits for no import."""
    request = {"start": {"x": 4, "y": 3}, "method": "gradient descent", "steps": 100, "grid": True}
    for formula in ("f(x) = x²", "f(x, y) = x² + 2y²"):
        descend({"formula": formula, **request})


def descend(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a descent: its path, the verdict, and the same as Python and as a command.

    The table of steps is a verb of its own: numbers as text take longer than the rest, and are not looked at first. A
    request with `grid` gets the objective around the path as well, since each request of its own waits for its turn;
    one without a start also gets how the formula is read, and begins at the start that suits it.
    """
    reading = read(fields) if fields.get("start") is None else None
    fields = fields if reading is None else {**fields, "start": reading["start"]}
    request = PageRequest(fields)
    plan, trace = descent_of(fields)
    over, rows = request.over(plan.objective), _shown_rows(trace)
    box = ds.draw.box(trace, over, objective=plan.objective)
    columns = {name: column[rows] for name, column in trace.columns.items()}
    points, gradients = coordinates_of(trace)[rows], np.asarray(trace.gradients)[rows]
    index = {name: position for position, name in enumerate(trace.coordinate_names)}
    return {
        "reading": reading,
        "name": plan.objective.name,
        "read_as": plan.objective.read_as,
        "over": list(over),
        "box": {name: list(span) for name, span in box.items()},
        "path": {name: rounded(points[:, index[name]]) for name in over},
        "gradients": {name: rounded(gradients[:, index[name]]) for name in over},
        "tangents": {"slope": rounded(gradients[:, 0])} if len(index) == 1 else None,
        "values": rounded(columns["value"]),
        "steps": [int(step) for step in columns["step"]],
        "outcome": trace.ending,
        "steps_taken": trace.last_step,
        "rate": plain(plan.learning_rate),
        "verdict": verdict_reply(ds.diagnose(trace)),
        "end": {name: plain(float(coordinate)) for name, coordinate in trace.end.items()},
        "first_text": number(float(columns["value"][0])),
        "value": plain(trace.value),
        "value_text": number(trace.value),
        "python": program("trace", plan.as_python(), "trace", "ds.diagnose(trace)"),
        "command": ds.as_command(plan),
        "grid": _grid_around(request, plan, over, box) if fields.get("grid") else None,
    }


def _grid_around(request: PageRequest, plan: ds.Plan, over: tuple[str, ...], box: Box) -> dict[str, Any] | None:
    """Return the objective in the box of a request, else around a path; None if the verb `grid` would say why not."""
    ratio, is_equal = request.number_or_none("ratio"), request.truth_or_none("equal")
    box = filling(request.box("box", over) or box, over, ratio, is_equal=is_equal)
    try:
        return grid_reply(plan.objective, over, box, plan.start, with_heights=bool(request.truth_or_none("heights")))
    except ds.DownslopeError:
        return None


def steps(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the table of the steps of a descent, and the arithmetic of each."""
    plan, trace = descent_of(fields)
    rows = _shown_rows(trace)
    return {
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "headings": _headings(trace, plan),
        "cells": _cells(trace, rows),
        "lines": _arithmetic(trace, rows),
    }


def export(fields: dict[str, Any]) -> dict[str, Any]:
    """Return every step of a descent as a file of comma-separated values."""
    _, trace = descent_of(fields)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", *trace.coordinate_names, "value", "gradient_norm"])
    columns = [trace.columns["value"], trace.columns["gradient_norm"]]
    for step, point, *others in zip(trace.columns["step"], coordinates_of(trace), *columns, strict=True):
        writer.writerow([int(step), *(repr(float(value)) for value in (*point, *others))])
    return {"name": "descent.csv", "text": file.getvalue()}


def coordinates_of(trace: ds.Trace) -> np.ndarray:
    """Return the coordinates of each recorded step, shape (rows, variables)."""
    assert trace.coordinates is not None  # the lab's limit of variables is below that of a record
    return trace.coordinates


def verdict_reply(diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return the findings of a diagnosis; the first of them is the verdict."""
    first = diagnosis.findings[0] if diagnosis.findings else None
    return {
        "ok": diagnosis.ok,
        "symptom": first.symptom if first else None,
        "sentence": first.sentence if first else "",
        "findings": [
            {
                "symptom": finding.symptom,
                "severity": finding.severity.value,
                "title": finding.title,
                "sentence": finding.sentence,
                "remedies": list(finding.remedies),
                "evidence": [list(pair) for pair in finding.evidence_texts().items()],
            }
            for finding in diagnosis.findings
        ],
    }


def descent_of(fields: dict[str, Any]) -> tuple[ds.Plan, ds.Trace]:
    """Return the plan of a request and its trace, the same again where a request has followed with the same plan."""
    return _descent_of(json.dumps([fields.get(name) for name in _FIELDS_OF_PLAN]))


@functools.lru_cache(maxsize=_DESCENTS)
def _descent_of(packed: str) -> tuple[ds.Plan, ds.Trace]:
    plan = plan_of(PageRequest(dict(zip(_FIELDS_OF_PLAN, json.loads(packed), strict=True))))
    return plan, ds.descend(plan, progress=False)


def _shown_rows(trace: ds.Trace) -> np.ndarray:
    """Return the indices of the rows that are shown."""
    return evenly_spread(len(trace.columns["step"]), LIMITS.rows)


def _headings(trace: ds.Trace, plan: ds.Plan) -> list[str]:
    slope = f"{plan.objective.name}′" if len(trace.coordinate_names) == 1 else f"‖∇{plan.objective.name}‖"
    rate = ["α"] if plan.method.takes_rate else []
    return ["step", *trace.coordinate_names, plan.objective.name, slope, *rate]


def _cells(trace: ds.Trace, rows: np.ndarray) -> list[list[str]]:
    """Return the table as text."""
    points, columns = coordinates_of(trace), trace.columns
    is_single = len(trace.coordinate_names) == 1
    slopes = np.asarray(trace.gradients)[:, 0] if is_single else columns["gradient_norm"]
    rates = [] if trace.plan.get("learning_rate") is None else [columns["learning_rate"]]
    return [
        [
            str(int(columns["step"][row])),
            *(number(float(coordinate)) for coordinate in points[row]),
            *(number(float(column[row])) for column in (columns["value"], slopes, *rates)),
        ]
        for row in rows
    ]


def _arithmetic(trace: ds.Trace, rows: np.ndarray) -> list[list[str]]:
    """Return for each row how it leads to the next step, as written by hand: x = 0.4 − 0.1 × (−3.2) = 0.72.

    There is a line for each variable, and none for the last row. The step of a method other than gradient descent is
    written as its length.

    Args:
        trace: a descent with coordinates.
        rows: the indices of the rows.
    """
    points, gradients = trace.coordinates, trace.gradients
    assert points is not None
    assert gradients is not None
    rates = trace.columns["learning_rate"]
    is_plain = trace.plan.get("method") == "gradient descent"
    lines: list[list[str]] = []
    for row in rows:
        if row + 1 >= len(points) or not np.all(np.isfinite(points[row + 1])):
            lines.append([])
            continue
        before, after = points[row], points[row + 1]
        lines.append(
            [
                _line_with_rate(name, before[index], float(rates[row]), gradients[row, index], after[index])
                if is_plain
                else _line_with_length(name, before[index], after[index])
                for index, name in enumerate(trace.coordinate_names)
            ]
        )
    return lines


def _line_with_rate(name: str, before: float, rate: float, slope: float, after: float) -> str:
    start, step, end = (number(value, _DIGITS) for value in (before, rate, after))
    return f"{name} = {start} − {step} × {factor(slope, _DIGITS)} = {end}"


def _line_with_length(name: str, before: float, after: float) -> str:
    sign = "+" if after >= before else "−"
    start, length, end = (number(value, _DIGITS) for value in (before, abs(after - before), after))
    return f"{name} = {start} {sign} {length} = {end}"


def race(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the paths of several methods from one start, each at its own best rate, the best method first."""
    request = PageRequest(fields)
    objective = request.objective
    start, over, most = request.start(objective), request.over(objective), max(request.steps, 1)
    methods = list(dict.fromkeys(ds.method(name).name for name in request.names("methods")))
    if not 1 <= len(methods) <= LIMITS.methods:
        raise RequestError(f"A race compares 1 to {LIMITS.methods} methods.")
    result = ds.compare(objective, start, methods, steps=most, executor=scheduler())
    return {
        "grid": _common_grid(request, objective, over, start, [entry.trace for entry in result.entries]),
        "lanes": [
            _lane(entry.name, entry.learning_rate, entry.trace, entry.diagnosis, over) for entry in result.entries
        ],
        "winner": result.winner.name,
        "sentence": result.sentence,
        "rows": {
            "headings": ["method", "α", "steps to rest", objective.name, "verdict"],
            "cells": [_race_cells(entry) for entry in result.entries],
        },
        "python": program("race", f"ds.compare({objective.read_as!r}, {start!r}, {methods!r}, steps={most})", "race"),
        "command": ds.as_command(ds.compare, objective.read_as, start, methods, steps=most),
    }


def sweep(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the paths of one method from one start at several rates, from far too small to too large."""
    request = PageRequest(fields)
    plan, over = request.plan, request.over(request.objective)
    objective, start, steps = plan.objective, dict(plan.start), max(plan.steps, 1)
    if not plan.method.takes_rate:
        raise ds.SettingError(
            f"{plan.method.name} finds the length of each step by itself", hint="Choose another method."
        )
    known = ds.sweep(objective, start, method=plan.method, steps=min(steps, _SWEEP_STEPS), executor=scheduler())
    top = known.largest_stable_rate or float(known.rates[-1])
    rates = sorted({float(f"{rate:.2g}") for rate in (*(share * top for share in _RATE_SHARES), known.best_rate)})
    traces = {rate: ds.descend(plan.changed(learning_rate=rate, steps=steps), progress=False) for rate in rates}
    names = {rate: f"α = {number(rate, 2)}" for rate in rates}
    diagnoses = {rate: ds.diagnose(trace) for rate, trace in traces.items()}
    best = float(f"{known.best_rate:.2g}")
    return {
        "grid": _common_grid(request, objective, over, start, list(traces.values())),
        "lanes": [_lane(names[rate], rate, trace, diagnoses[rate], over) for rate, trace in traces.items()],
        "winner": names[best],
        "sentence": f"{names[best]} is best: {number(traces[best].value)} in {traces[best].last_step} steps.",
        "rows": {
            "headings": ["rate", "steps", objective.name, "verdict"],
            "cells": [
                [names[rate], str(trace.last_step), number(trace.value), diagnoses[rate][0].sentence]
                for rate, trace in traces.items()
            ],
        },
        "python": program(
            "sweep",
            f"ds.sweep({objective.read_as!r}, {start!r}, {rates!r}, method={plan.method.name!r}, steps={steps})",
            "sweep",
        ),
        "command": ds.as_command(ds.sweep, objective.read_as, start, rates, method=plan.method.name, steps=steps),
    }


def that_came_lower(traces: Sequence[ds.Trace]) -> list[ds.Trace]:
    """Return the descents that ended below their start. One that ran away would shrink the others to a dot."""
    return [trace for trace in traces if trace.value < trace.columns["value"][0]]


def common_box(traces: Sequence[ds.Trace], over: tuple[str, ...], objective: ds.Objective | None = None) -> Box:
    """Return the range that shows the paths of all traces."""
    boxes = [ds.draw.box(trace, over, objective=objective) for trace in traces]
    return {name: (min(box[name][0] for box in boxes), max(box[name][1] for box in boxes)) for name in over}


def _common_grid(
    request: PageRequest,
    objective: ds.Objective,
    over: tuple[str, ...],
    start: dict[str, float],
    traces: Sequence[ds.Trace],
) -> dict[str, Any]:
    """Return the objective in the range that shows the paths that came lower, or all where none did."""
    shown = that_came_lower(traces) or traces
    box = common_box(shown, over)
    is_equal = len(over) == 2 and are_alike([box[name] for name in over])
    grid = grid_reply(objective, over, filling(box, over, request.number_or_none("ratio")), start)
    if len(over) == 1:
        grid["f_range"] = _common_heights(shown, grid["curve"]["f"])
    return grid | {"has_equal_units": is_equal}


def _common_heights(traces: Sequence[ds.Trace], curve: Sequence[float | None]) -> list[float]:
    """Return the heights that show the paths of all traces, on a curve whose walls may be far higher."""
    values = [value for trace in traces for value in trace.columns["value"] if math.isfinite(value)]
    low = min([value for value in curve if value is not None], default=min(values))
    margin = _RACE_MARGIN * (max(values) - low)
    return [low - margin, max(values) + margin]


def _lane(
    name: str, rate: float | None, trace: ds.Trace, diagnosis: ds.Diagnosis, over: tuple[str, ...]
) -> dict[str, Any]:
    """Return the path of one method, or of one rate."""
    rows = evenly_spread(len(trace.columns["step"]), _RACE_ROWS)
    index = {name: position for position, name in enumerate(trace.coordinate_names)}
    points = coordinates_of(trace)[rows]
    return {
        "method": name,
        "rate": plain(rate),
        "path": {name: rounded(points[:, index[name]]) for name in over},
        "values": rounded(trace.columns["value"][rows]),
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "end": {name: plain(float(coordinate)) for name, coordinate in trace.end.items()},
        "value_text": number(trace.value),
        "verdict_sentence": diagnosis[0].sentence,
    }


def _race_cells(entry: ds.Entry) -> list[str]:
    rate = "–" if entry.learning_rate is None else number(entry.learning_rate, 3)
    steps = "–" if math.isinf(entry.steps) else str(int(entry.steps))
    return [entry.name, rate, steps, number(entry.trace.value), entry.diagnosis[0].sentence]
