"""Folders of format 1, which the first versions wrote: a column a coordinate, norms by part in one long column."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._types import Columns
from downslope.trace._contents import trace_of
from downslope.trace._streams import read_stream
from downslope.trace._trace import Trace

_PREFIXES = {"coordinates": "coordinate/", "gradients": "gradient/"}


def load_format_1(folder: Path, told: Mapping[str, Any]) -> Trace:
    """Return the trace in a folder of format 1, whose trace.json was read."""
    columns = read_stream(folder / "steps.arrow")
    steps = {name: column for name, column in columns.items() if not name.startswith(tuple(_PREFIXES.values()))}
    steps |= {name: _matrix(columns, prefix) for name, prefix in _PREFIXES.items() if f"{prefix}0" in columns}
    streams: dict[str, Columns] = {"steps": steps}
    if told["has_part_columns"]:
        flat = read_stream(folder / "parts.arrow")
        streams["parts"] = {name: column.reshape(-1, len(told["part_names"])) for name, column in flat.items()}
    return trace_of({**told, "layer_names": [], "facts": {}}, streams, {})


def _matrix(columns: Columns, prefix: str) -> np.ndarray:
    """Return the columns of a prefix side by side."""
    count = sum(name.startswith(prefix) for name in columns)
    return np.column_stack([columns[f"{prefix}{place}"] for place in range(count)])
