"""Several methods from one start, each at its own best rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import downslope as ds
from downslope._text import number
from downslope.lab._limits import LIMITS
from downslope.lab.replies import _writing
from downslope.lab.replies._descent import coordinates_of
from downslope.lab.replies._ground import box_around, ground_in
from downslope.lab.replies._numbers import kept, plain, shown
from downslope.lab.replies._request import Box, Request, RequestError

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
            "cells": [_cells(entry) for entry in found.entries],
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


def _cells(entry: ds.Entry) -> list[str]:
    rate = "–" if entry.learning_rate is None else number(entry.learning_rate, 3)
    steps = "–" if math.isinf(entry.steps) else str(int(entry.steps))
    return [entry.name, rate, steps, number(entry.trace.value), entry.diagnosis[0].sentence]
