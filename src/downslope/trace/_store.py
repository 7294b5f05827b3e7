"""A trace on disk: a folder that survives being killed while it is written.

    trace.json      what is small: plan, outcome, versions, names, facts, which files there are; written last
    steps.arrow     what was recorded of the steps as an Arrow IPC stream, coordinates and gradients as lists with it
    layers.arrow    what was measured of the layers of a network, the layers along a list
    parts.arrow     norms by part, the parts along a list
    metrics.arrow   what was measured over whole sets of data
    points.npz      start, end and those directions of spectra that are kept, where they hold more than 64 numbers

Streams with nothing in them are left out. A folder is written beside its place and then put there, so that what stood
there before is kept until the new one is whole. Nothing is pickled. While training runs, a `Journal` writes the same
folder row by row, and `load` reads it at any moment. Export to CSV, Parquet or JSON with `export`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, TraceError
from downslope._types import Columns
from downslope.tables import table_suffixes, write_table
from downslope.trace._contents import FORMAT, arrays_of, streams_of, told_of, trace_of
from downslope.trace._disk import (
    read_arrays,
    read_stream,
    refuse_other,
    replace_file,
    replace_folder,
    stream_bytes,
    write_arrays,
    write_json,
)
from downslope.trace._progress import is_journal, read_progress, read_rows, stream_file
from downslope.trace._trace import Trace

# Begin the names of those entries of a state that are the point, by part, and what a network carries besides, counted.
_POINT, _MEMORY = "point/", "memory/"
_WAITS = (0.01, 0.05, 0.25)  # seconds before each new attempt to read what is being written


def save(trace: Trace, folder: str | Path) -> Path:
    """Write a trace into a folder of its own, replacing a trace that is there.

    Args:
        trace: the trace.
        folder: where to; its parents are made.

    Returns:
        The folder.

    Raises:
        TraceError: if something else than a trace is there, or it cannot be written.
    """
    target = Path(folder)
    refuse_other(target)
    try:
        replace_folder(target, lambda beside: _write(trace, beside))
    except OSError as error:
        raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def load(folder: str | Path) -> Trace:
    """Read a trace that `save` wrote; what comes back is equal to what was saved, to the last bit.

    A trace that a `Journal` is writing can be read as well, or one that was cut off. It holds what was written down so
    far, its outcome is `Outcome.RUNNING`, and its `end` is the point of the last state that was written, or its start;
    `facts["memory"]` is what its network carried then, and is not there before the first state is.

    Raises:
        TraceError: if there is no trace, or it is damaged or of another version.
    """
    source = Path(folder)
    if not (source / "trace.json").is_file():
        hint = "a trace is a folder made by save, or by descend --save"
        raise TraceError(f"there is no trace in {source}", hint=hint)
    for wait in _WAITS if is_journal(source) else ():
        try:
            return _load(source)
        except TraceError:  # a writer may have been replacing the files between two looks
            time.sleep(wait)
    return _load(source)


def export(trace: Trace, file: str | Path) -> Path:
    """Write the steps of a trace as a table: CSV, Parquet or JSON by the file's name.

    Raises:
        TraceError: if the name ends in none of these, or the file cannot be written.
    """
    target = Path(file)
    suffixes = table_suffixes("write")
    if target.suffix.lower() not in suffixes:
        hint = f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise TraceError(f"cannot export to {target.name!r}", hint=hint)
    try:
        return write_table(trace.steps, target)
    except DataError as error:
        raise TraceError(error.message) from None


def write_stream(file: Path, columns: Columns) -> dict[str, Any]:
    """Write a whole stream, and return how trace.json tells of it."""
    whole = stream_bytes(columns)
    replace_file(file, lambda opened: opened.write(whole))
    return {"file": file.name, "length": len(whole)}


def write_points(trace: Trace, file: Path) -> str | None:
    """Write the arrays by part into a file and return its name, or None where they are small and need none."""
    arrays = arrays_of(trace)
    if not arrays:
        return None
    write_arrays(file, arrays)
    return file.name


def _write(trace: Trace, folder: Path) -> None:
    """Write the files of a trace into an empty folder, the small one last."""
    streams = {name: write_stream(folder / stream_file(name), columns) for name, columns in streams_of(trace).items()}
    write_json(folder / "trace.json", told_of(trace, streams, write_points(trace, folder / "points.npz")))


def _load(source: Path) -> Trace:
    """Read a trace, as `load` does, from the files as they are at this moment."""
    try:
        told = json.loads((source / "trace.json").read_text(encoding="utf-8"))
        version = told["format"]
    except (ValueError, KeyError, TypeError, OSError):
        raise TraceError(f"{source / 'trace.json'} is damaged") from None
    if version != FORMAT:
        raise TraceError(f"{source} is of format {version}, and this version reads format {FORMAT}")
    try:
        return _trace_in(source, told)
    except TraceError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
        raise TraceError(f"{source} is damaged: {type(error).__name__} {error}") from None


def _trace_in(source: Path, told: Mapping[str, Any]) -> Trace:
    """Return the trace whose trace.json was read: a finished one, or one in the making."""
    arrays = read_arrays(source / told["arrays"]) if told["arrays"] else {}
    if told["streams"] is None:
        progress = read_progress(source)
        rows = read_rows(source, progress.lengths)
        begun = trace_of(told, rows.streams, arrays)
        state = read_arrays(source / progress.state_file) if progress.state_file else {}
        return begun.replace(
            end=_entries(state, _POINT) or begun.start,
            spectra=rows.spectra,
            facts={**begun.facts, **({"memory": list(_entries(state, _MEMORY).values())} if state else {})},
        )
    streams = {name: read_stream(source / one["file"], one["length"]) for name, one in told["streams"].items()}
    return trace_of(told, streams, arrays)


def _entries(state: Columns, beginning: str) -> dict[str, np.ndarray]:
    """Return those entries of a state whose names begin so, in their order, by the rest of the name."""
    return {name.removeprefix(beginning): array for name, array in state.items() if name.startswith(beginning)}
