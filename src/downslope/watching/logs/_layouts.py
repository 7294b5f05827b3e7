"""Other layouts of the same numbers: a row for each measurement, columns of several runs beside each other.

MLflow, ClearML and others export a row for each measurement, with its name in one cell and its value in another. W&B
exports a chart with the run before each name, and the lowest and highest value of each point behind it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from downslope.watching.logs._log import Log, LogColumn, as_number, refusal
from downslope.watching.logs._names import is_epoch, is_step

# Entries of a row that say whether it is of training or of evaluation: MMEngine, fairseq and others write them.
MODES = ("mode", "phase", "split", "stage", "prefix")
ROWS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "eval": "val"}
_KEYS = ("key", "metric", "name", "tag", "metric_name", "variable", "scalar")
_VALUES = ("value", "val")
_RUNS = ("run_id", "run_uuid", "run", "run_name")
_SPAN = re.compile(r"(?P<column>.+)__(?:MIN|MAX)")
_OF_RUN = re.compile(r"(?P<run>.+?) - (?P<name>.+)")


def is_long(header: Iterable[str]) -> bool:
    """Tell whether rows with these names hold a measurement each.

    >>> is_long(["run_id", "key", "value", "step"]), is_long(["step", "loss", "val"])
    (True, False)
    """
    names = [name.lower() for name in header]
    return _first(names, _KEYS) is not None and _first(names, _VALUES) is not None


def rows_by_step(name: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, float]]:
    """Yield the measurements of one step together, under their names.

    Raises:
        DataError: for measurements of several runs.
    """
    run: Any = None
    row: dict[str, float] = {}
    steps: dict[str, float] = {}
    for cells in rows:
        names = {str(key).lower(): key for key in cells}
        key, value = _first(names, _KEYS), _first(names, _VALUES)
        if key is None or value is None:
            continue
        of = _first(names, _RUNS)
        if of is not None:
            if run is not None and cells[names[of]] != run:
                raise refusal(name, "holds measurements of several runs", "keep the rows of one of them")
            run = cells[names[of]]
        counts = {each: as_number(cells[each]) for each in cells if is_step(str(each)) or is_epoch(str(each))}
        known = {each: count for each, count in counts.items() if count is not None}
        number, measured = as_number(cells[names[value]]), str(cells[names[key]])
        if number is None:
            continue
        if known != steps or measured in row:
            if row:
                yield row
            row, steps = dict(known), known
        row[measured] = number
    if row:
        yield row


def named_by_run(columns: Mapping[str, LogColumn]) -> tuple[dict[str, LogColumn], tuple[str, ...]]:
    """Return columns under the names of what they measure, and the runs that they are of where these are several.

    >>> columns, runs = named_by_run({"Step": None, "swift-1 - loss": None, "swift-1 - loss__MIN": None})
    >>> list(columns), runs
    (['Step', 'loss'], ())
    """
    spans = {column: match for column in columns if (match := _SPAN.fullmatch(column)) and match["column"] in columns}
    if not spans:
        return dict(columns), ()
    kept = {column: numbers for column, numbers in columns.items() if column not in spans}
    matches = {match["column"]: _OF_RUN.fullmatch(match["column"]) for match in spans.values()}
    runs = tuple(dict.fromkeys(match["run"] for match in matches.values() if match))
    if len(runs) > 1:
        return kept, runs
    named = {column: match["name"] for column, match in matches.items() if match}
    return {named.get(column, column): numbers for column, numbers in kept.items()}, ()


def of_run(log: Log, column: str) -> Log:
    """Return a log of several runs without the columns of all but the one that a column is of."""
    run = next((run for run in log.runs if column.startswith(f"{run} - ")), None)
    others = tuple(f"{other} - " for other in log.runs if other != run)
    kept = {name: numbers for name, numbers in log.columns.items() if not name.startswith(others)}
    return dataclasses.replace(log, columns=kept, runs=())


def _first(names: Iterable[str], known: Sequence[str]) -> str | None:
    """Return the first of the known names that is there."""
    there = set(names)
    return next((name for name in known if name in there), None)


def flat(row: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """Return the numbers of a row by name, those of inner mappings too, marked by what the row is of."""
    mode = next(
        (str(row[key]).strip().lower() for key in row if str(key).lower() in MODES and isinstance(row[key], str)), ""
    )
    mark = f"{ROWS[mode]}_" if mode in ROWS else ""
    numbers: dict[str, float] = {}
    for key, cell in row.items():
        if isinstance(cell, Mapping):
            numbers |= flat(cell, f"{before}{key}/")
            continue
        number = as_number(cell)
        if number is not None:
            counts = is_epoch(str(key)) or str(key) in ("step", "iter", "lr", "iteration", "global_step")
            numbers[str(key) if counts else f"{before}{mark}{key}"] = number
    return numbers
