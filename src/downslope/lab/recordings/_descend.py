"""The recording of the page Descend: the slider's rates at its start, a few of them at other starts, and the steps."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import downslope as ds
from downslope._text import listed, number
from downslope.lab.recordings._packing import packed, page_file
from downslope.lab.replies._descent import descend, steps
from downslope.lab.replies._formula_verbs import derive, grid, methods, rates, read
from downslope.lab.replies._request import Box, PageRequest, factor, filling

_RATE_DIGITS = 3  # as the slider of the live page has
_MOST_ACROSS = {1: 25, 2: 8}  # starts along each axis
_ROUND = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # leading digits of the distance of two starts
_SHAPES = ((1.0, 1.7), (0.55, 2.6))  # ratios of width to height for which the objective is recorded
_OF_BEST = (0.1, 0.4, 1.0)  # a few rates, as shares of the best one
_OF_BOUND = (0.97, 1.1)  # and of the largest stable one
_OF_PICTURE = ["grid", "box", "ratio", "equal", "heights"]  # fields of a request that only choose what is drawn
_VIEW = [-60, 30]  # degrees: the surface, as at a first visit
_OF_ARITHMETIC = 5  # digits
_SLACK = 2000  # bytes of the note, and of rounding

Point = dict[str, float]
Entry = tuple[str, dict[str, Any], Any]  # verb, request, reply


@dataclass
class Recording:
    """Replies to requests of the page, and what it needs to know of them.

    Args:
        about: the state in which it begins, and what may be changed.
        entries: verb, request and reply.
        ignored: verb → fields of its requests that change nothing of a recorded reply.
        lands: grids around the paths, the smallest box first.
    """

    about: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    lands: list[dict[str, Any]] = field(default_factory=list)

    def packed(self) -> bytes:
        """Return the recording as compressed JSON."""
        return packed(vars(self))


def descend_file(request: dict[str, Any], most: int) -> Iterator[str | bytes]:
    """Yield in words what is recorded next, and at last the file with the page.

    Args:
        request: formula, start, rate, method, steps and over, as the page sends them; start and rate may be missing.
        most: bytes of the file.
    """
    page = functools.partial(page_file, "descend", entry="descend/recorded.js")
    room = int((most - _SLACK - len(page(b"", note=""))) * 3 / 4)  # in base64, three bytes are four letters
    for piece in _recorded(request, room):
        yield piece if isinstance(piece, str) else page(piece.packed(), note=_note(piece.about))


def _note(about: dict[str, Any]) -> str:
    """Return the note on what was recorded."""
    rates_count, starts, few = (len(about[name]) for name in ("rates", "starts", "few"))
    kept = [f"{rates_count} learning rates"] if rates_count else []
    if starts > 1:
        kept.append(f"{starts} starts" + (f" with {few} learning rate{'s' if few > 1 else ''} each" if few else ""))
    what = listed([*kept, "the steps of each descent"])
    return (
        f"Recorded with downslope {ds.__version__}: {what}. The slider and the start move among these. Other formulas, "
        "methods and numbers of steps, and races, need “downslope lab”."
    )


def _recorded(request: dict[str, Any], most: int) -> Iterator[str | Recording]:
    """Yield in words what is recorded next, and at last the recording.

    The rates come first, then the other starts, a rate at a time while the file stays small enough.
    """
    yield "The slider"
    base, reading = _begun(request)
    first = descend({**base, "rate": request.get("rate"), "grid": False})
    over, home, box = first["over"], base["start"], {name: tuple(first["box"][name]) for name in first["over"]}
    all_rates, few = _rates(base, first["rate"])
    starts = [home, *_lattice(home, over, box)]
    state = {"f": base["formula"], "at": home, "rate": first["rate"], "surface": _VIEW if len(over) == 2 else None}
    about = {
        "first": {**state, "method": base["method"], "steps": base["steps"], "over": base["over"]},
        "starts": [home],
        "rates": all_rates,
        "few": [],
        "spans": {name: high - low for name, (low, high) in box.items()},
    }
    recording = Recording(about, ignored=dict.fromkeys(("descend", "steps", "grid"), _OF_PICTURE))
    recording.lands = _lands(base, over, box)
    recording.entries = [
        ("read", {"formula": base["formula"]}, reading),
        ("methods", {}, {"methods": [each for each in methods({})["methods"] if each["name"] == base["method"]]}),
        ("examples", {}, {"examples": []}),
        *_rates_at(base, home),
    ]
    with contextlib.suppress(ds.DownslopeError):
        recording.entries.append(("derive", {"formula": base["formula"]}, derive(base)))
    size, core = len(recording.packed()), _layer([{**base, "rate": rate} for rate in all_rates or [None]], reading)
    while size + len(packed(core)) > most and len(all_rates) > 1:
        about["rates"] = all_rates = sorted(
            {first["rate"], *[rate for rate in all_rates if rate != first["rate"]][1::2]}
        )
        core = [entry for entry in core if entry[1]["rate"] in all_rates]
    recording.entries += core
    size += len(packed(core))
    chosen = [first["rate"], *(rate for rate in few if rate in all_rates and rate != first["rate"])]
    for count, rate in enumerate(chosen if len(starts) > 1 else [], 1):
        yield f"{len(starts)} starts, learning rate {count} of {len(chosen)}"
        layer = _layer([{**base, "start": start, "rate": rate} for start in starts[1:]], reading)
        layer += [entry for start in starts[1:] for entry in _rates_at(base, start)] if count == 1 else []
        size += len(packed(layer))
        if size > most:
            break
        recording.entries += layer
        about["starts"], about["few"] = starts, sorted([*about["few"], *([] if rate is None else [rate])])
    yield recording


def _begun(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that all requests share, and how the formula is read."""
    fields = {"method": "gradient descent", "steps": 100, **{k: v for k, v in request.items() if v is not None}}
    reading = read(fields)
    objective = PageRequest(fields).objective
    start = fields.get("start") or reading["start"]
    fields["start"] = ds.plan(objective, start).start if isinstance(start, dict) else start
    fields["start"] = PageRequest(fields).start(objective)
    return {name: fields.get(name) for name in ("formula", "start", "method", "steps", "over")}, reading


def _rates(base: dict[str, Any], chosen: float | None) -> tuple[list[float], list[float]]:
    """Return the rates of the slider, and a few of them that go down slowly, quickly and not at all."""
    reply = rates(base)
    if reply["slider"] is None or chosen is None:
        return [], []
    every = sorted({chosen, *(float(f"{rate:.{_RATE_DIGITS}g}") for rate in reply["curve"]["rates"])})
    wanted = [share * reply["best"] for share in _OF_BEST if reply["best"]]
    wanted += [share * reply["bound"] for share in _OF_BOUND if reply["bound"]]
    return every, [min(every, key=lambda known: abs(math.log(known / rate))) for rate in wanted]


def _lattice(home: Point, over: Sequence[str], box: dict[str, tuple[float, float]]) -> list[Point]:
    """Return the starts around the first one, in round distances within the picture."""
    starts = [home]
    for name in over:
        low, high = box[name]
        step = _round_step((high - low) / _MOST_ACROSS[len(over)])
        near = range(math.ceil((low - home[name]) / step), math.floor((high - home[name]) / step) + 1)
        values = [float(f"{home[name] + count * step:.9g}") for count in near]
        starts = [{**start, name: value} for start in starts for value in values]
    return [start for start in starts if start != home]


def _round_step(least: float) -> float:
    """Return a round number that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in _ROUND if digit * power >= least * (1 - 1e-9))


def _lands(base: dict[str, Any], over: Sequence[str], box: dict[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Return the objective in boxes that hold what pictures of several shapes show."""
    boxes: list[Box] = [box]
    if len(over) == 2:
        filled = [[filling(box, tuple(over), ratio) for ratio in shapes] for shapes in _SHAPES]
        boxes = [{n: (min(b[n][0] for b in each), max(b[n][1] for b in each)) for n in over} for each in filled]
    return [grid({**base, "box": {name: list(span) for name, span in each.items()}, "heights": True}) for each in boxes]


def _rates_at(base: dict[str, Any], start: Point) -> list[Entry]:
    """Return the entry of the stable rates from a start; none where they are not known."""
    request = {"formula": base["formula"], "start": start, "method": base["method"], "steps": base["steps"]}
    try:
        return [("rates", request, rates({**base, "start": start}))]
    except ds.DownslopeError:
        return []


def _layer(requests: Sequence[dict[str, Any]], reading: dict[str, Any]) -> list[Entry]:
    """Return the entries of several descents."""
    return [entry for request in requests for entry in _descents(request, reading["variables"])]


def _descents(request: dict[str, Any], variables: list[str]) -> list[Entry]:
    """Return the entries of a descent and its table; none where there is no descent, such as from a pole."""
    try:
        descent, table = descend(request), steps(request)
    except ds.DownslopeError:
        return []
    for kind in ("rate", "length"):
        # The page writes the table from the numbers of the path, wherever that gives the very same.
        if _derived(kind, table["headings"], variables, descent) == table:
            table = {"derived": kind, "headings": table["headings"], "variables": variables}
            break
    return [("descend", request, descent), ("steps", request, table)]


def _derived(kind: str, headings: list[str], variables: list[str], descent: dict[str, Any]) -> dict[str, Any] | None:
    """Return the table that `recorded-table.js` makes of a descent; None where that lacks a variable."""
    if any(name not in descent["path"] for name in variables):
        return None
    points = list(zip(*(_floats(descent["path"][name]) for name in variables), strict=True))
    slopes = list(zip(*(_floats(descent["gradients"][name]) for name in variables), strict=True))
    sizes = [slope[0] if len(slope) == 1 else math.hypot(*slope) for slope in slopes]
    rate = descent["rate"]
    of_rate = [number(rate)] if len(headings) > len(variables) + 3 and rate is not None else []
    columns = zip(descent["steps"], points, _floats(descent["values"]), sizes, strict=True)
    cells = [[str(step), *map(number, (*point, value, size)), *of_rate] for step, point, value, size in columns]
    lines: list[list[str]] = []
    for row, (point, slope) in enumerate(zip(points, slopes, strict=True)):
        after = points[row + 1] if row + 1 < len(points) else (math.nan,)
        is_there = all(map(math.isfinite, after))
        parts = zip(variables, point, after, slope, strict=True) if is_there else ()
        lines.append([_line(kind, rate, *part) for part in parts])
    return {"steps": descent["steps"], "headings": headings, "cells": cells, "lines": lines}


def _line(kind: str, rate: float | None, name: str, before: float, after: float, slope: float) -> str:
    start, end, length = (number(value, _OF_ARITHMETIC) for value in (before, after, abs(after - before)))
    if kind == "length" or rate is None:
        return f"{name} = {start} {'+' if after >= before else '−'} {length} = {end}"
    return f"{name} = {start} − {number(rate, _OF_ARITHMETIC)} × {factor(slope, _OF_ARITHMETIC)} = {end}"


def _floats(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
