"""The recording of the page Descend: the rates of the slider at its start, a few of them at other starts, and the steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import downslope as ds
from downslope._text import number
from downslope.lab.recordings._packing import Recording
from downslope.lab.replies._descent import descend, steps
from downslope.lab.replies._formula_verbs import derive, grid, rates, read
from downslope.lab.replies._request import Box, PageRequest, factor, filling

_RATE_DIGITS = 3  # as the slider of the live page has
_MOST_ACROSS = {1: 25, 2: 8}  # starts along each axis
_ROUND = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # leading digits of the distance of two starts
_SHAPES = ((1.0, 1.7), (0.55, 2.6))  # ratios of width to height for which the objective is recorded
_OF_BEST = (0.1, 0.4, 1.0)  # a few rates, as shares of the best one
_OF_BOUND = (0.97, 1.1)  # and of the largest stable one
_OF_PICTURE = ["grid", "box", "ratio", "equal", "heights"]  # fields of a request that only choose what is drawn
_OF_ARITHMETIC = 5  # digits

Point = dict[str, float]


def recorded(request: dict[str, Any], most: int) -> Iterator[str | Recording]:
    """Yield in words what is recorded next, and at last the recording.

    The rates come first, then the other starts, a rate at a time while the file stays small enough.

    Args:
        request: formula, start, rate, method, steps and over, as the page sends them; start and rate may be missing.
        most: bytes of the compressed recording.
    """
    yield "The slider"
    base, reading = _begun(request)
    first = descend({**base, "rate": request.get("rate"), "grid": False})
    over, home, box = first["over"], base["start"], {name: tuple(first["box"][name]) for name in first["over"]}
    all_rates, few = _rates(base, first["rate"])
    starts = [home, *_lattice(home, over, box)]
    about = {
        "first": {
            "f": base["formula"],
            "at": home,
            "rate": first["rate"],
            "method": base["method"],
            "steps": base["steps"],
            "over": base["over"],
        },
        "starts": [home],
        "rates": all_rates,
        "few": few,
        "spans": {name: high - low for name, (low, high) in box.items()},
    }
    recording = Recording(about, ignored={"descend": _OF_PICTURE, "steps": _OF_PICTURE, "grid": _OF_PICTURE})
    recording.lands = _lands(base, over, box)
    recording.entries = [("read", {"formula": base["formula"]}, reading)]
    with contextlib.suppress(ds.DownslopeError):
        recording.entries.append(("derive", {"formula": base["formula"]}, derive(base)))
    _add_rates(recording, base, home)
    while True:
        core = [entry for rate in all_rates or [None] for entry in _descents({**base, "rate": rate}, reading)]
        recording.entries += core
        if len(recording.packed()) <= most or len(all_rates) < 2:
            break
        recording.entries = recording.entries[: -len(core)]
        about["rates"] = all_rates = sorted({*all_rates[::2], first["rate"]})
    if len(starts) == 1:
        yield recording
        return
    about["few"] = [rate for rate in few if rate in all_rates] or all_rates[:1]
    chosen: list[float | None] = [first["rate"], *(rate for rate in about["few"] if rate != first["rate"])]
    about["few"] = []
    kept = list(recording.entries)
    for start in starts[1:]:
        _add_rates(recording, base, start)
    for count, rate in enumerate(chosen, 1):
        yield f"{len(starts)} starts, rate {count} of {len(chosen)}"
        for start in starts[1:]:
            recording.entries += _descents({**base, "start": start, "rate": rate}, reading)
        if len(recording.packed()) > most:
            break
        about["starts"], kept = starts, list(recording.entries)
        about["few"] = sorted([*about["few"], *([] if rate is None else [rate])])
    recording.entries = kept
    yield recording


def _begun(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that all requests share, and how the formula is read."""
    fields = {"method": "gradient descent", "steps": 100, **{k: v for k, v in request.items() if v is not None}}
    reading = read(fields)
    start = fields.get("start") or reading["start"]
    fields["start"] = PageRequest({**fields, "start": start}).start(PageRequest(fields).objective)
    return {name: fields.get(name) for name in ("formula", "start", "method", "steps", "over")}, reading


def _rates(base: dict[str, Any], chosen: float | None) -> tuple[list[float], list[float]]:
    """Return the rates of the slider, and a few of them that go down slowly, quickly and not at all."""
    reply = rates(base)
    if reply["slider"] is None or chosen is None:
        return [], []
    every = sorted({chosen, *(float(f"{rate:.{_RATE_DIGITS}g}") for rate in reply["curve"]["rates"])})
    wanted = [share * reply["best"] for share in _OF_BEST if reply["best"]]
    wanted += [share * reply["bound"] for share in _OF_BOUND if reply["bound"]]
    return every, sorted({chosen, *(min(every, key=lambda known: abs(math.log(known / rate))) for rate in wanted)})


def _lattice(home: Point, over: Sequence[str], box: dict[str, tuple[float, float]]) -> list[Point]:
    """Return starts around the first one, in round distances within the picture."""
    axes = []
    for name in over:
        low, high = box[name]
        step = _round_step((high - low) / _MOST_ACROSS[len(over)])
        near = range(math.ceil((low - home[name]) / step), math.floor((high - home[name]) / step) + 1)
        axes.append([float(f"{home[name] + count * step:.9g}") for count in near])
    points = [{over[0]: across} for across in axes[0]]
    if len(axes) == 2:
        points = [{**point, over[1]: up} for point in points for up in axes[1]]
    starts = [{**home, **point} for point in points]
    return [start for start in starts if start != home and _has_value(start)]


def _has_value(start: Point) -> bool:
    return all(map(math.isfinite, start.values()))


def _round_step(least: float) -> float:
    """Return a round number that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in _ROUND if digit * power >= least * (1 - 1e-9))


def _lands(base: dict[str, Any], over: Sequence[str], box: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Return the objective in boxes that hold what pictures of several shapes show."""
    if len(over) == 1:
        return [grid({**base, "box": {name: list(span) for name, span in box.items()}})]
    boxes: list[Box] = []
    for shapes in _SHAPES:
        filled = [filling(box, tuple(over), ratio) for ratio in shapes]
        boxes.append({n: (min(each[n][0] for each in filled), max(each[n][1] for each in filled)) for n in over})
    return [grid({**base, "box": {name: list(span) for name, span in each.items()}}) for each in boxes]


def _add_rates(recording: Recording, base: dict[str, Any], start: Point) -> None:
    request = {"formula": base["formula"], "start": start, "method": base["method"], "steps": base["steps"]}
    with contextlib.suppress(ds.DownslopeError):
        recording.entries.append(("rates", request, rates({**base, "start": start})))


def _descents(request: dict[str, Any], reading: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    """Return the entries of a descent and its table; none where there is no descent, such as from a pole."""
    try:
        descent, table = descend(request), steps(request)
    except ds.DownslopeError:
        return []
    for kind in ("rate", "length"):
        if _derived(kind, table["headings"], reading["variables"], descent) == table:
            # The page writes the table from the numbers of the path, which are most of the file already.
            table = {"derived": kind, "headings": table["headings"], "variables": reading["variables"]}
            break
    return [("descend", request, descent), ("steps", request, table)]


def _derived(kind: str, headings: list[str], variables: list[str], descent: dict[str, Any]) -> dict[str, Any] | None:
    """Return the table that `recorded-table.js` makes of a descent; None where that lacks a variable."""
    if any(name not in descent["path"] for name in variables):
        return None
    points = list(zip(*(_floats(descent["path"][name]) for name in variables), strict=True))
    slopes = list(zip(*(_floats(descent["gradients"][name]) for name in variables), strict=True))
    values, rate = _floats(descent["values"]), descent["rate"]
    rates_column = [number(rate)] if len(headings) > len(variables) + 3 and rate is not None else []
    cells = [
        [str(step), *map(number, point), number(value), number(slope[0] if len(slope) == 1 else math.hypot(*slope)), *rates_column]
        for step, point, value, slope in zip(descent["steps"], points, values, slopes, strict=True)
    ]
    lines: list[list[str]] = []
    for row in range(len(points)):
        after = points[row + 1] if row + 1 < len(points) else (math.nan,)
        if not all(map(math.isfinite, after)):
            lines.append([])
            continue
        lines.append([_line(kind, *parts, rate) for parts in zip(variables, points[row], after, slopes[row], strict=True)])
    return {"steps": descent["steps"], "headings": headings, "cells": cells, "lines": lines}


def _line(kind: str, name: str, before: float, after: float, slope: float, rate: float | None) -> str:
    start, end = number(before, _OF_ARITHMETIC), number(after, _OF_ARITHMETIC)
    if kind == "length" or rate is None:
        return f"{name} = {start} {'+' if after >= before else '−'} {number(abs(after - before), _OF_ARITHMETIC)} = {end}"
    return f"{name} = {start} − {number(rate, _OF_ARITHMETIC)} × {factor(slope, _OF_ARITHMETIC)} = {end}"


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
