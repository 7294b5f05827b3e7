"""A trace on disk: a folder that survives being killed while it is written.

    trace.json     what is small: plan, outcome, versions, start, end, spectra, names; written last, in one piece
    steps.arrow    the columns as an Arrow IPC stream, coordinates and gradients with them
    parts.arrow    norms by part, where they are no columns of their own

A folder is written beside its place and then put there, so that what stood there before is kept until the new one is
whole. Nothing is pickled. Export to CSV, Parquet or JSON with `export`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns
from downslope.trace._outcome import Outcome
from downslope.trace._trace import Spectrum, Trace

if TYPE_CHECKING:
    import polars

_FORMAT = 1
_COORDINATE, _GRADIENT = "coordinate/", "gradient/"


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
    if target.exists() and not (target / "trace.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise TraceError(f"{target} is there and is no trace", hint="choose a folder that does not exist yet")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            _write(trace, beside)
            _put_in_place(beside, target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def load(folder: str | Path) -> Trace:
    """Read a trace that `save` wrote; what comes back is equal to what was saved, to the last bit.

    Raises:
        TraceError: if there is no trace, or it is damaged or of another version.
    """
    source = Path(folder)
    if not (source / "trace.json").is_file():
        hint = "a trace is a folder made by save, or by descend --save"
        raise TraceError(f"there is no trace in {source}", hint=hint)
    try:
        told = json.loads((source / "trace.json").read_text(encoding="utf-8"))
        version = told["format"]
    except (ValueError, KeyError, TypeError, OSError):
        raise TraceError(f"{source / 'trace.json'} is damaged") from None
    if version != _FORMAT:
        raise TraceError(f"{source} is of format {version}, and this version reads format {_FORMAT}")
    try:
        return _assembled(told, _read(source / "steps.arrow"), _read_parts(source, told))
    except TraceError:
        raise
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise TraceError(f"{source} is damaged: {type(error).__name__} {error}") from None


def export(trace: Trace, file: str | Path) -> Path:
    """Write the steps of a trace as a table: CSV, Parquet or JSON by the file's name.

    Raises:
        TraceError: if the name ends in none of these, or the file cannot be written.
    """
    target = Path(file)
    writers = {".csv": "write_csv", ".parquet": "write_parquet", ".json": "write_json"}
    if target.suffix.lower() not in writers:
        raise TraceError(f"cannot export to {target.name!r}", hint="the name must end in .csv, .parquet or .json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        getattr(trace.steps, writers[target.suffix.lower()])(target)
    except OSError as error:
        raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
    return target


def _write(trace: Trace, folder: Path) -> None:
    """Write the files of a trace into an empty folder, the small one last."""
    columns = {name: np.broadcast_to(column, (len(trace),)) for name, column in trace.recorded.items()}
    for prefix, matrix in ((_COORDINATE, trace.coordinates), (_GRADIENT, trace.gradients)):
        if matrix is not None:
            columns |= {f"{prefix}{place}": matrix[:, place] for place in range(matrix.shape[1])}
    _frame(columns).write_ipc_stream(folder / "steps.arrow")
    if trace.part_columns:
        flat = {name: np.ravel(norms) for name, norms in trace.part_columns.items()}
        _frame(flat).write_ipc_stream(folder / "parts.arrow")
    text = json.dumps(_told(trace), ensure_ascii=False, indent=1, allow_nan=False)
    (folder / "trace.json").write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())


def _put_in_place(beside: Path, target: Path) -> None:
    """Move a finished folder to its place; what was there is removed only afterwards."""
    if not target.exists():
        beside.rename(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    target.rename(old / target.name)
    beside.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _frame(columns: Mapping[str, np.ndarray]) -> polars.DataFrame:
    """Return columns as a frame."""
    import polars

    return polars.DataFrame({name: np.ascontiguousarray(column) for name, column in columns.items()})


def _read(file: Path) -> Columns:
    """Return the columns of an Arrow stream."""
    import polars

    if not file.is_file():
        raise TraceError(f"{file} is missing")
    try:
        frame = polars.read_ipc_stream(file)
    except Exception as error:  # Polars raises kinds of its own for a torn stream
        raise TraceError(f"{file} is torn or no Arrow stream: {error}") from None
    return {name: frame[name].to_numpy() for name in frame.columns}


def _read_parts(folder: Path, told: Mapping[str, Any]) -> Columns:
    """Return the norms by part, shape (rows, parts), where they were written."""
    if not told["has_part_columns"]:
        return {}
    return {name: column.reshape(-1, len(told["part_names"])) for name, column in _read(folder / "parts.arrow").items()}


def _told(trace: Trace) -> dict[str, Any]:
    """Return what is small of a trace, as JSON knows it."""
    return {
        "format": _FORMAT,
        "outcome": trace.outcome.identifier,
        "plan": _encoded(trace.plan),
        "versions": dict(trace.versions),
        "coordinate_names": list(trace.coordinate_names),
        "part_names": list(trace.part_names),
        "has_part_columns": bool(trace.part_columns),
        "start": _encoded(trace.start),
        "end": _encoded(trace.end),
        "spectra": [
            {
                "step": spectrum.step,
                "eigenvalues": _encoded(spectrum.eigenvalues),
                "complete": spectrum.complete,
                "lowest_direction": _encoded(spectrum.lowest_direction),
                "highest_direction": _encoded(spectrum.highest_direction),
                "preconditioned_highest": _encoded(spectrum.preconditioned_highest),
            }
            for spectrum in trace.spectra
        ],
        "not_finite_part": trace.not_finite_part,
        "not_finite_step": trace.not_finite_step,
    }


def _assembled(told: Mapping[str, Any], columns: Columns, part_columns: Columns) -> Trace:
    """Return the trace that was read."""
    recorded = {name: column for name, column in columns.items() if not name.startswith((_COORDINATE, _GRADIENT))}
    return Trace(
        outcome=Outcome.from_identifier(told["outcome"]),
        recorded=recorded,
        coordinate_names=tuple(told["coordinate_names"]),
        coordinates=_matrix(columns, _COORDINATE),
        gradients=_matrix(columns, _GRADIENT),
        part_names=tuple(told["part_names"]),
        part_columns=part_columns,
        start=_decoded(told["start"]),
        end=_decoded(told["end"]),
        spectra=tuple(Spectrum(**{name: _decoded(entry) for name, entry in one.items()}) for one in told["spectra"]),
        plan=_decoded(told["plan"]),
        versions=told["versions"],
        not_finite_part=told["not_finite_part"],
        not_finite_step=told["not_finite_step"],
    )


def _matrix(columns: Columns, prefix: str) -> np.ndarray | None:
    """Return the columns of a prefix side by side, or None if there are none."""
    count = sum(name.startswith(prefix) for name in columns)
    return np.column_stack([columns[f"{prefix}{place}"] for place in range(count)]) if count else None


def _encoded(thing: Any) -> Any:
    """Return a thing as JSON knows it: arrays and numbers that are not finite by what they are."""
    if isinstance(thing, Mapping):
        return {name: _encoded(entry) for name, entry in thing.items()}
    if isinstance(thing, np.ndarray):
        return {"array": _encoded(thing.ravel().tolist()), "shape": list(thing.shape), "type": str(thing.dtype)}
    if isinstance(thing, np.generic):
        return _encoded(thing.item())
    if isinstance(thing, list | tuple):
        return [_encoded(entry) for entry in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return {"float": str(thing)}
    return thing


def _decoded(thing: Any) -> Any:
    """Return what `_encoded` was given."""
    if isinstance(thing, list):
        return [_decoded(entry) for entry in thing]
    if not isinstance(thing, dict):
        return thing
    if thing.keys() == {"array", "shape", "type"}:
        return np.array(_decoded(thing["array"]), dtype=np.dtype(thing["type"])).reshape(thing["shape"])
    if thing.keys() == {"float"}:
        return float(thing["float"])
    return {name: _decoded(entry) for name, entry in thing.items()}
