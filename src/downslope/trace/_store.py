"""Save, load and export traces.

A trace is saved as a folder:

    trace.json      the header: plan, outcome, versions, names, facts, and which files there are; written last
    steps.arrow     the recorded columns as an Arrow IPC stream, with coordinates and gradients as lists
    layers.arrow    the columns of a network's layers, one list entry per layer
    parts.arrow     the norms by part, one list entry per part
    metrics.arrow   the evaluations over whole data sets
    points.npz      start, end and the kept eigenvectors of spectra, if they hold more than 64 numbers

Empty streams have no file. A folder is written beside its target and renamed, so an interrupted save leaves the old
trace as it was. Nothing is pickled, so a trace from elsewhere cannot run code. While training runs, a `Journal` writes
the same folder row by row, and `load` reads it at any moment.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import DataError, TraceError
from downslope._types import Columns
from downslope.tables import table_suffixes, write_table
from downslope.trace._contents import FORMAT, arrays_of, header_of, streams_of, trace_of
from downslope.trace._disk import (
    read_arrays,
    read_stream,
    replace_file,
    stream_bytes,
    write_arrays,
    write_json,
)
from downslope.trace._folders import brief, identity, moved_aside, refuse_other, replace_folder
from downslope.trace._lock import writing
from downslope.trace._progress import is_journal, read_progress, read_rows, stream_file
from downslope.trace._trace import HasTrace, Trace, as_trace

# Prefixes of the names in a state: of the point, by part, and of the other arrays that a network carries, numbered.
_POINT, _MEMORY = "point/", "memory/"
_WAITS = (0.01, 0.05, 0.25)  # seconds before each new attempt to read a folder that is being written


def save(trace: Trace | HasTrace, folder: str | os.PathLike[str]) -> Path:
    """Save a trace in a folder; an existing trace there is replaced, and lost only once the new one is complete.

    Args:
        trace: the trace, or a result that holds one, such as a Fit, whose parameters are saved as well.
        folder: the folder; its parents are created. A symbolic link is followed, and stays.

    Returns:
        The folder.

    Raises:
        SettingError: if the first argument is not a trace.
        TraceError: if the folder holds anything but a trace, is being written, or cannot be written.
    """
    saved = as_trace(trace, "save", 'ds.save(trace, "run")')
    texts = dict(getattr(trace, "saved_texts", {}))
    target = _checked_path(folder)
    with writing(target) as real:
        try:
            refuse_other(real)
            replace_folder(real, lambda beside: _write(saved, beside, texts))
        except OSError as error:
            raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def load(folder: str | os.PathLike[str]) -> Trace:
    """Load a saved trace; it equals the original to the last bit.

    A trace that is still being written, or whose writer was interrupted, can be loaded as well. It holds all rows
    acknowledged so far, its outcome is `Outcome.RUNNING`, and its `end` is the point of the last saved state (the start
    before the first); from then on `facts["memory"]` holds the other arrays that its network carries.

    Args:
        folder: a folder written by `save`, or by a training with `save=`.

    Raises:
        TraceError: if there is no trace, or it is damaged or of another version.
    """
    named = _checked_path(folder)
    _refuse_no_trace(_now_at(named))
    for wait in _WAITS:
        source = _now_at(named)
        before, is_written = identity(source), is_journal(source)
        try:
            trace = _load(source)
        except TraceError:
            if not is_written and identity(source) == before:
                raise
        else:
            # Otherwise the folder was replaced while it was read, and the files may be of two traces.
            if identity(source) == before:
                return trace
        time.sleep(wait)
    return _load(_now_at(named))


def export(trace: Trace | HasTrace, file: str | os.PathLike[str]) -> Path:
    """Export the steps of a trace as a table, in the format of the file's suffix: CSV, TSV, Parquet or JSON.

    Args:
        trace: the trace, or a result that holds one, such as a Fit.
        file: the file; its parents are created.

    Returns:
        The file.

    Raises:
        SettingError: if the first argument is not a trace.
        TraceError: if the suffix is unknown, or the file cannot be written.
    """
    exported = as_trace(trace, "export", 'ds.export(trace, "steps.csv")')
    target = _checked_path(file)
    suffixes = table_suffixes("write")
    if target.suffix.lower() not in suffixes:
        hint = f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise TraceError(f"cannot export to {target.name!r}", hint=hint)
    try:
        return write_table(exported.steps, target)
    except DataError as error:
        raise TraceError(error.message) from None


def _checked_path(path: str | os.PathLike[str]) -> Path:
    """Return a path, or raise if it cannot be the name of a file."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise TraceError(f"a path is a text or a pathlib.Path, not {path!r}")
    return Path(path)


def _now_at(folder: Path) -> Path:
    """Return where a trace is at this moment: aside, if its writer was killed before the new one had the name."""
    return moved_aside(Path(os.path.realpath(folder))) or folder


def _refuse_no_trace(source: Path) -> None:
    """Raise, saying why, if a path does not lead to a trace that can be read."""
    hint = "a trace is a folder written by ds.save, or by descend --save"
    try:
        if stat.S_ISDIR(source.stat().st_mode):
            (source / "trace.json").stat()
            return
        raise TraceError(f"there is no trace in {source}: it is a file", hint=hint)
    except (FileNotFoundError, NotADirectoryError):
        raise TraceError(f"there is no trace in {source}", hint=hint) from None
    except OSError as error:
        raise TraceError(f"{brief(source)} cannot be read: {error.strerror or error}") from None


def write_stream(file: Path, columns: Columns) -> dict[str, Any]:
    """Write a complete stream, and return its entry in the header."""
    whole = stream_bytes(columns)
    replace_file(file, lambda opened: opened.write(whole))
    return {"file": file.name, "length": len(whole)}


def write_points(trace: Trace, file: Path) -> str | None:
    """Write the arrays by part into a file and return its name; None if they are small enough for the header."""
    arrays = arrays_of(trace)
    if not arrays:
        return None
    write_arrays(file, arrays)
    return file.name


def _write(trace: Trace, folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a trace, and texts by the names of their files, into an empty folder; the header last."""
    for name, text in texts.items():
        replace_file(folder / name, lambda file, text=text: file.write(text.encode()))
    streams = {name: write_stream(folder / stream_file(name), columns) for name, columns in streams_of(trace).items()}
    write_json(folder / "trace.json", header_of(trace, streams, write_points(trace, folder / "points.npz")))


def _load(source: Path) -> Trace:
    """Load a trace from the files as they are at this moment."""
    try:
        header = json.loads((source / "trace.json").read_text(encoding="utf-8"))
        version = header["format"]
    except OSError as error:
        raise TraceError(f"{source / 'trace.json'} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise TraceError(f"{source / 'trace.json'} is damaged") from None
    if version != FORMAT:
        raise TraceError(f"{source} is of format {version}, and this version reads format {FORMAT}")
    try:
        return _trace_in(source, header)
    except TraceError:
        raise
    except OSError as error:
        file = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        raise TraceError(f"{file} in {source} cannot be read: {error.strerror or error}") from None
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise TraceError(f"{source} is damaged: {type(error).__name__} {error}") from None


def _trace_in(source: Path, header: Mapping[str, Any]) -> Trace:
    """Read the other files of a trace, finished or being written, and restore it."""
    arrays = read_arrays(source / header["arrays"]) if header["arrays"] else {}
    if header["streams"] is None:
        progress = read_progress(source)
        rows = read_rows(source, progress.lengths)
        # The header of a running trace has no end and no facts on it: they come from the last state.
        begun = trace_of(header, rows.streams, arrays)
        state = read_arrays(source / progress.state_file) if progress.state_file else {}
        return begun.replace(
            end=_entries(state, _POINT) or begun.start,
            spectra=rows.spectra,
            facts={**begun.facts, **({"memory": list(_entries(state, _MEMORY).values())} if state else {})},
        )
    streams = {name: read_stream(source / entry["file"], entry["length"]) for name, entry in header["streams"].items()}
    return trace_of(header, streams, arrays)


def _entries(state: Columns, prefix: str) -> dict[str, np.ndarray]:
    """Return the entries of a state whose names have a prefix, without it, in order."""
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
