"""Several methods from one start, each at its own best rate."""

from __future__ import annotations

import math
from typing import Any

import downslope as ds
from downslope._text import number
from downslope.lab._limits import LIMITS
from downslope.lab.replies import _writing
from downslope.lab.replies._descent import coordinates_of
from downslope.lab.replies._numbers import kept, plain, shown
from downslope.lab.replies._request import Request, RequestError

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
    return {
        "over": list(over),
        "lanes": [_lane(entry, over) for entry in found.entries],
        "winner": found.winner.name,
        "sentence": found.sentence,
        "rows": {
            "headings": ["method", "α", "steps to rest", objective.name, "verdict"],
            "cells": [_cells(entry) for entry in found.entries],
        },
        "python": _writing.race_python(objective.read_as, start, methods, steps),
        "command": _writing.race_command(objective.read_as, start, methods, steps),
    }


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


def _cells(entry: ds.Entry) -> list[str]:
    rate = "–" if entry.learning_rate is None else number(entry.learning_rate, 3)
    steps = "–" if math.isinf(entry.steps) else str(int(entry.steps))
    return [entry.name, rate, steps, number(entry.trace.value), entry.diagnosis[0].sentence]
