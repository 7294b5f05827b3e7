"""The way down: its path, its table, its arithmetic, and what was found."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import in_words, number
from downslope.lab._limits import LIMITS
from downslope.lab.replies import _arithmetic, _writing
from downslope.lab.replies._ground import box_around
from downslope.lab.replies._numbers import evidence, kept, plain, shown
from downslope.lab.replies._request import Request

_GENTLE = 0.5  # of what is stable at the start is the rate where none is asked for
_NICE = (1.0, 2.0, 5.0)


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
        "lines": _arithmetic.lines(trace, rows),
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


def plan_of(request: Request) -> ds.Plan:
    """Return the plan of a request, with a rate that suits the start where none is asked for."""
    made = request.plan
    if request.number_or_none("rate") is None and made.method.name == "gradient descent":
        return made.changed(learning_rate=_gentle_rate(made))
    return made


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


def _gentle_rate(made: ds.Plan) -> float:
    """Return a round rate, well within what is stable at the start, and no more than the usual one."""
    usual = made.learning_rate
    hessian = np.asarray(ds.slope(made.objective, made.start).hessian, dtype=float)
    if not np.all(np.isfinite(hessian)):
        return usual
    steepest = float(np.abs(np.linalg.eigvalsh(np.atleast_2d(hessian))).max())
    if steepest <= 2 * _GENTLE / usual:
        return usual
    wanted = 2 * _GENTLE / steepest
    power = 10.0 ** math.floor(math.log10(wanted))
    return float(f"{power * max(one for one in _NICE if one * power <= wanted * (1 + 1e-12)):.1g}")


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
