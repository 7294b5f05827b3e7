"""The contents of the files of a trace: its streams, its arrays by part, and its header as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._arrow import StoredColumns
from downslope.trace._disk import aligned
from downslope.trace._fields import encoded
from downslope.trace._header import DIRECTIONS, FORMAT, Header, StreamFile, is_point, plain_extent
from downslope.trace._trace import Spectrum, Trace

_SMALL = 64  # numbers; a larger point is stored as arrays, since as text it would fill a page or more
_NO_ROWS = {"step": np.zeros(0, np.int64), "value": np.zeros(0)}


def streams_of(trace: Trace) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns of each stream of a trace, without empty streams."""
    matrices = {"coordinates": trace.coordinates, "gradients": trace.gradients}
    steps = aligned(trace.recorded, len(trace)) | {
        name: matrix for name, matrix in matrices.items() if matrix is not None
    }
    layers = {} if trace.layer_steps is None else {"step": trace.layer_steps}
    layers |= trace.layer_columns
    streams = {"steps": steps, "layers": layers, "parts": dict(trace.part_columns), "metrics": dict(trace.metrics)}
    return {
        name: {key: np.asarray(column) for key, column in columns.items()}
        for name, columns in streams.items()
        if columns
    }


def arrays_of(trace: Trace) -> dict[str, np.ndarray]:
    """Return start, end and eigenvectors by name; nothing if they are small enough for the header."""
    points = {"start": trace.start, "end": trace.end}
    leaves = [np.asarray(leaf) for point in points.values() for leaf in point.values()]
    sizes = [sum(np.size(leaf) for leaf in point.values()) for point in points.values()]
    # Numbers of accelerators such as bfloat16 (kind V for NumPy) have no exact form in JSON, so they go into arrays.
    if max(sizes) <= _SMALL and all(leaf.dtype.kind != "V" for leaf in leaves):
        return {}
    for index, spectrum in enumerate(trace.spectra):
        if spectrum.has_directions:
            points |= {f"spectra/{index}/{name}": getattr(spectrum, name) for name in DIRECTIONS}
    return {f"{name}/{part}": np.asarray(leaf) for name, point in points.items() for part, leaf in point.items()}


def header_of(trace: Trace, streams: Mapping[str, Plain] | None, arrays: str | None) -> dict[str, Any]:
    """Return the header of a trace as JSON types.

    Args:
        trace: the trace.
        streams: the file of each stream, and how much of it counts; None while the trace is being written.
        arrays: the file of `arrays_of`; None if they are small and part of the header.
    """

    def inline(part: Any) -> Any:
        return None if arrays or part is None else encoded(part)

    return {
        "format": FORMAT,
        "outcome": trace.outcome.identifier,
        "streams": streams,
        "arrays": arrays,
        "plan": encoded(trace.plan),
        "facts": encoded(trace.facts),
        "versions": dict(trace.versions),
        "coordinate_names": list(trace.coordinate_names),
        "part_names": list(trace.part_names),
        "part_shapes": [list(np.shape(trace.start[name])) for name in trace.part_names if trace.start],
        "layer_names": list(trace.layer_names),
        "start": inline(trace.start),
        "end": inline(trace.end),
        "spectra": [
            {
                "step": int(spectrum.step),
                "eigenvalues": encoded(spectrum.eigenvalues),
                "complete": bool(spectrum.complete),
                "lowest_direction": inline(spectrum.lowest_direction),
                "highest_direction": inline(spectrum.highest_direction),
                "preconditioned_highest": encoded(spectrum.preconditioned_highest),
            }
            for spectrum in trace.spectra
        ],
        "not_finite_part": trace.not_finite_part,
        "not_finite_step": encoded(trace.not_finite_step),
    }


def plain_streams(streams: Mapping[str, StreamFile]) -> dict[str, Plain]:
    """Return the streams of a finished trace as the header has them."""
    return {name: {"file": stream.file, **plain_extent(stream.extent)} for name, stream in streams.items()}


def trace_of(header: Header, streams: Mapping[str, Columns], arrays: Columns, source: str) -> Trace:
    """Restore a trace from its header, its streams and its arrays.

    Args:
        header: the header.
        streams: the columns by stream.
        arrays: what `arrays_of` returned; empty if the header holds it.
        source: the name of the run, for messages.

    Raises:
        TraceError: if they do not fit together.
    """
    recorded = dict(streams.get("steps") or _NO_ROWS)
    coordinates, gradients = recorded.pop("coordinates", None), recorded.pop("gradients", None)
    layers, parts = (_own(streams.get(name, {})) for name in ("layers", "parts"))
    layer_steps = layers.pop("step", None)
    start = _point_of(header, "start", arrays, source)
    trace = Trace(
        outcome=header.outcome,
        recorded=recorded,
        coordinate_names=header.coordinate_names,
        coordinates=coordinates,
        gradients=gradients,
        part_names=header.part_names,
        part_columns=parts,
        start=start,
        end=_point_of(header, "end", arrays, source) or start,
        spectra=tuple(_with_directions(spectrum, arrays, index) for index, spectrum in enumerate(header.spectra)),
        plan=header.plan,
        versions=header.versions,
        not_finite_part=header.not_finite_part,
        not_finite_step=header.not_finite_step,
        layer_names=header.layer_names,
        layer_steps=layer_steps,
        layer_columns=layers,
        metrics=dict(streams.get("metrics", {})),
        facts=header.facts,
    )
    _check_columns(trace, source)
    return trace


def _own(columns: Columns) -> dict[str, np.ndarray] | StoredColumns:
    """Return columns in a mapping that may be changed, without reading those that stay on disk."""
    return columns if isinstance(columns, StoredColumns) else dict(columns)


def _point_of(header: Header, name: str, arrays: Columns, source: str) -> Columns:
    """Return a point of the header or, where that lacks it, of the arrays."""
    point = getattr(header, name)
    if point is not None:
        return point
    held = entries(arrays, f"{name}/")
    if not held and name == "end" and header.streams is None:
        return {}  # a trace that is being written has no end yet
    if set(held) != set(header.part_names) or not is_point(held):
        raise TraceError(f"{source} is damaged: {header.arrays} lacks parts of the {name}")
    return held


def check_points(trace: Trace, header: Header, source: str) -> None:
    """Raise if the points of a trace have other shapes than its header says.

    Raises:
        TraceError: if they have.
    """
    if not trace.start and not trace.end:
        return  # made of columns alone
    starts = [np.shape(trace.start[name]) for name in trace.part_names]
    for what, point in (("start", trace.start), ("end", trace.end)):
        if [np.shape(point[name]) for name in trace.part_names] != list(header.part_shapes or starts):
            raise TraceError(f"{source} is damaged: the {what} has another shape than its parts")
    for spectrum in trace.spectra if trace.gradients is not None else ():
        for name in DIRECTIONS:
            direction = getattr(spectrum, name)
            if direction is not None and [np.shape(leaf) for leaf in direction.values()] != starts:
                raise TraceError(f"{source} is damaged: an eigenvector has another shape than the point")


def _with_directions(spectrum: Spectrum, arrays: Columns, index: int) -> Spectrum:
    """Return a spectrum with its eigenvectors from the arrays, where the header lacks them."""
    # Eigenvectors that are in neither were not kept.
    held = {name: entries(arrays, f"spectra/{index}/{name}/") for name in DIRECTIONS}
    return replace(spectrum, **{name: point for name, point in held.items() if point})


def entries(arrays: Columns, prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names have a prefix, without it, in order."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _check_columns(trace: Trace, source: str) -> None:
    """Raise if the columns of a trace have other shapes or types than its header says."""
    count, rows = len(trace.coordinate_names), len(trace.recorded.get("step", ()))
    matrices = {"coordinates": trace.coordinates, "gradients": trace.gradients}
    kept = {name: matrix for name, matrix in matrices.items() if matrix is not None}
    if kept and count != sum(np.size(leaf) for leaf in trace.start.values()):
        raise TraceError(f"{source} is damaged: its point has other coordinates than coordinate_names")
    _check(trace.recorded, (rows,), ("step", "value"), f"{source}: steps")
    _check(kept, (rows, count), (), f"{source}: steps")
    if trace.layer_steps is not None:
        _check({"step": trace.layer_steps}, trace.layer_steps.shape[:1], ("step",), f"{source}: layers")
        rows = len(trace.layer_steps)
    _check(trace.layer_columns, (rows, len(trace.layer_names)), (), f"{source}: layers")
    _check(trace.part_columns, (rows, len(trace.part_names)), (), f"{source}: parts")
    if trace.metrics:
        steps = trace.metrics.get("step", np.zeros(0))
        _check(trace.metrics, steps.shape[:1], ("step",), f"{source}: metrics")


def _check(columns: Columns, shape: tuple[int, ...], needed: tuple[str, ...], source: str) -> None:
    """Raise unless columns have a shape, are numbers, and have the needed ones among them, with ascending steps."""
    for name in needed:
        if name not in columns:
            raise TraceError(f"{source} is damaged: it lacks the column {name}")
    shapes = columns.shapes if isinstance(columns, StoredColumns) else {n: c.shape for n, c in columns.items()}
    for name in columns:
        if shapes[name] != shape or (name == "step" and columns[name].dtype.kind not in "iu"):
            raise TraceError(f"{source} is damaged: the column {name} has another shape or type")
    steps = columns["step"] if "step" in columns else np.zeros(0)
    if len(steps) and (steps[0] < 0 or np.any(steps[1:] <= steps[:-1]) or steps[-1] > 2**62):
        raise TraceError(f"{source} is damaged: its steps do not ascend")
