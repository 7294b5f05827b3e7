"""Logs in JSON: a Trainer's state, the history of Keras (a list by name), rows, and rows one a line.

The history of Keras holds means over an epoch, `{"loss": […], "val_loss": […]}`. Lists of other lengths are of other
cadences, such as losses by step beside evaluations by epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from downslope.watching.logs._layouts import flat, is_long, rows_by_step
from downslope.watching.logs._log import Log, as_number, columns_of, refusal, spread
from downslope.watching.logs._names import is_epoch
from downslope.watching.logs._trainer_state import is_trainer_state, read_trainer_state

_FIRST = 10  # rows that show the layout of all
_DEEP = 3  # levels of mappings that are looked into for a history


def read_json(name: str, text: str) -> Log:
    """Return the log in the text of a JSON file."""
    try:
        content = json.loads(text)
    except ValueError as error:
        rows = _lines(text)
        if rows:
            return _of_rows(name, rows)
        raise refusal(name, f"is not valid JSON: {error}") from None
    if is_trainer_state(content):
        return read_trainer_state(content)
    if isinstance(content, list) and any(isinstance(row, Mapping) for row in content):
        return _of_rows(name, content)
    measured = _by_measurement(content)
    if measured:
        length, columns = columns_of(measured)
        return Log("measurements by name", length, columns)
    lists = _history(_as_lists(content), _DEEP)
    if lists:
        length, columns = spread(lists)
        axis = next((key for key in columns if is_epoch(key)), None)
        return Log("a history by epoch", length, columns, axis=axis)
    if isinstance(content, Mapping):
        by_key = [entry for entry in content.values() if isinstance(entry, Mapping)]
        if len(by_key) > 1:
            return _of_rows(name, by_key)
        if any(as_number(entry) is not None for entry in content.values()):
            return _of_rows(name, [content])
    raise refusal(name, "holds no log: neither rows of numbers nor a list of numbers by name")


def is_json_rows(text: str) -> bool:
    """Tell whether a text has one JSON object a line."""
    first = text.lstrip()[:1]
    return first == "{" and bool(_lines(text[:20_000].rpartition("\n")[0] or text))


def _lines(text: str) -> list[Mapping[str, Any]]:
    """Return the objects of a text that has one a line; a last line that was cut off is left out."""
    rows = []
    for line in text.splitlines():
        line = line.strip().rstrip(",")
        if not line.startswith("{"):
            continue
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, Mapping):
            rows.append(row)
    return rows


def _history(content: Any, depth: int) -> dict[str, Sequence[Any]]:
    """Return the lists of numbers by name in nested mappings, by dotted names; the outermost that has some."""
    if not isinstance(content, Mapping) or not depth:
        return {}
    lists = {str(key): cells for key, cells in content.items() if _is_numbers(cells)}
    if lists:
        return lists
    inner = {key: _history(entry, depth - 1) for key, entry in content.items()}
    named = {key: lists for key, lists in inner.items() if lists}
    if len(named) == 1:
        return next(iter(named.values()))
    return {f"{key}/{name}": cells for key, lists in named.items() for name, cells in lists.items()}


def _as_lists(content: Any) -> Any:
    """Return columns that are written by row number, `{"loss": {"0": 2.1, "1": 1.7}}` as pandas does, as lists."""
    if not isinstance(content, Mapping) or not content:
        return content
    if not all(isinstance(cells, Mapping) and cells and all(map(str.isdigit, cells)) for cells in content.values()):
        return content
    return {name: list(cells.values()) for name, cells in content.items()}


def _by_measurement(content: Any) -> list[dict[str, float]]:
    """Return the rows of measurements that are written as lists of steps and values by name, as Sacred does."""
    if not isinstance(content, Mapping):
        return []
    rows: dict[float, dict[str, float]] = {}
    for name, entry in content.items():
        if not isinstance(entry, Mapping) or not {"steps", "values"} <= entry.keys():
            return []
        if not (_is_numbers(entry["steps"]) and _is_numbers(entry["values"])):
            return []
        for step, cell in zip(entry["steps"], entry["values"], strict=False):
            at, number = as_number(step), as_number(cell)
            if at is not None and number is not None:
                rows.setdefault(at, {"step": at})[str(name)] = number
    return [rows[at] for at in sorted(rows)]


def _is_numbers(cells: Any) -> bool:
    """Tell whether something is a list of numbers, among which some may be missing."""
    if not isinstance(cells, list) or not cells:
        return False
    return any(as_number(cell) is not None for cell in cells) and not any(
        isinstance(cell, list | Mapping) for cell in cells
    )


def _of_rows(name: str, rows: Sequence[Any]) -> Log:
    """Return the log of rows that are mappings."""
    mappings = [row for row in rows if isinstance(row, Mapping)]
    long = bool(mappings) and all(is_long(map(str, row)) for row in mappings[:_FIRST])
    length, columns = columns_of(rows_by_step(name, mappings) if long else map(flat, mappings))
    return Log("rows of JSON", length, columns)
