"""Save and export traces.

A trace is saved as a folder:

    trace.json      the header: plan, outcome, versions, names, facts, and which files there are; written last
    steps.arrow     the recorded columns as an Arrow IPC stream, with coordinates and gradients as lists
    layers.arrow    the columns of a network's layers, one list entry per layer
    parts.arrow     the norms by part, one list entry per part
    metrics.arrow   the evaluations over whole data sets
    points.npz      start, end and the kept eigenvectors of spectra, if they hold more than 64 numbers

Each file carries a checksum, and the header those of the streams; see `_checksum`. Empty streams have no file. A folder
is written beside its target and renamed, so an interrupted save leaves the old trace as it was. Nothing is pickled, so
a trace from elsewhere cannot run code. While training runs, a `Journal` writes the same folder row by row, and `load`
reads it at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope._errors import DataError, TraceError
from downslope.tables import table_suffixes, write_table
from downslope.trace._contents import arrays_of, header_of, plain_streams, streams_of
from downslope.trace._disk import replace_file, write_arrays, write_json, write_stream
from downslope.trace._folders import refuse_other, replace_folder, writing
from downslope.trace._header import POINTS, StreamFile, stream_files
from downslope.trace._load import checked_path
from downslope.trace._trace import HasTrace, Trace, as_trace

if TYPE_CHECKING:
    import numpy as np


class Attached(NamedTuple):
    """Files beside a trace, each by its name.

    Args:
        texts: for people and other programs; nothing reads them back.
        documents: JSON types, written with a checksum for `read_json`.
        arrays: arrays by name, written with a checksum for `read_arrays`.
    """

    texts: Mapping[str, str]
    documents: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, Mapping[str, np.ndarray]]

    def write(self, folder: Path) -> None:
        """Write the files into a folder."""
        for name, text in self.texts.items():
            content = text.encode()
            replace_file(folder / name, lambda file, content=content: file.write(content))
        for name, arrays in self.arrays.items():
            write_arrays(folder / name, arrays)
        for name, document in self.documents.items():
            write_json(folder / name, document)


def save(trace: Trace | HasTrace, folder: str | os.PathLike[str], attached: Attached | None = None) -> Path:
    """Save a trace in a folder; an existing trace there is replaced, and lost only once the new one is complete.

    Args:
        trace: the trace, or a result that holds one.
        folder: the folder; its parents are created. A symbolic link is followed and kept.
        attached: what else belongs to the result.

    Returns:
        The folder.

    Raises:
        SettingError: if the first argument is not a trace.
        TraceError: if the folder holds anything but a trace, is being written, or cannot be written.
    """
    saved = as_trace(trace, "save", 'ds.save(trace, "run")')
    files = attached or Attached({}, {}, {})
    target = checked_path(folder)
    with writing(target) as real:
        try:
            refuse_other(real)
            replace_folder(real, lambda beside: _write(saved, beside, files))
        except OSError as error:
            raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def save_attached(attached: Attached, folder: str | os.PathLike[str], mark: str) -> Path:
    """Save files in a folder as `save` does, without a trace.

    Args:
        attached: the files.
        folder: the folder.
        mark: the file by which a folder of this kind is known; one without it is not replaced.

    Raises:
        TraceError: if the folder holds anything else, or cannot be written.
    """
    target = checked_path(folder)
    with writing(target) as real:
        try:
            if not (real / mark).is_file():
                refuse_other(real)
            replace_folder(real, attached.write)
        except OSError as error:
            raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


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
    target = checked_path(file)
    suffixes = table_suffixes("write")
    if target.suffix.lower() not in suffixes:
        hint = f"the name must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise TraceError(f"cannot export to {target.name!r}", hint=hint)
    try:
        return write_table(exported.steps, target)
    except DataError as error:
        raise TraceError(error.message) from None


def write_points(trace: Trace, file: Path) -> str | None:
    """Write the arrays by part into a file and return its name; None if they are small enough for the header."""
    arrays = arrays_of(trace)
    if not arrays:
        return None
    write_arrays(file, arrays)
    return file.name


def _write(trace: Trace, folder: Path, attached: Attached) -> None:
    """Write the files of a trace, and what is attached to it, into an empty folder; the header last."""
    attached.write(folder)
    streams = {}
    for name, columns in streams_of(trace).items():
        file, _ = stream_files(name)
        streams[name] = StreamFile(file, write_stream(folder / file, columns))
    points = write_points(trace, folder / POINTS[0])
    write_json(folder / "trace.json", header_of(trace, plain_streams(streams), points))
