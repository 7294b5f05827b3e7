"""The contents of the files of a trace: its streams, its arrays by part, and its header as plain data.

The header is JSON; arrays and numbers that are not finite are encoded, so that they are restored exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._disk import aligned
from downslope.trace._trace import Outcome, Spectrum, Trace

FORMAT = 2  # of a folder; a reader refuses others
STREAMS = ("steps", "layers", "parts", "metrics")

_SMALL = 64  # numbers; a larger point is stored as arrays, since as text it would fill a page or more
_DIRECTIONS = ("lowest_direction", "highest_direction")
_NO_ROWS = {"step": np.zeros(0, np.int64), "value": np.zeros(0)}

_ARRAY, _FLOAT, _MAPPING = {"array", "shape", "type"}, {"float"}, {"mapping"}


def encoded(value: Any) -> Any:
    """Convert plain data to JSON types; arrays and numbers that are not finite become mappings.

    >>> encoded({"rate": float("inf"), "widths": (8, 8)})
    {'rate': {'float': 'inf'}, 'widths': [8, 8]}
    """
    if isinstance(value, Mapping):
        plain = {str(name): encoded(entry) for name, entry in value.items()}
        if len(plain) < len(value):
            raise TraceError(f"two of the keys {', '.join(map(repr, value))} are the same as text", hint="rename one")
        # A user's mapping with the same keys as an encoding must not be decoded as one.
        return {"mapping": plain} if plain.keys() in (_ARRAY, _FLOAT, _MAPPING) else plain
    if isinstance(value, np.ndarray):
        return {"array": encoded(value.ravel().tolist()), "shape": list(value.shape), "type": str(value.dtype)}
    if isinstance(value, np.generic):
        return encoded(value.item())
    if isinstance(value, list | tuple):
        return [encoded(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def decoded(value: Any) -> Any:
    """Invert `encoded`; tuples become lists."""
    if isinstance(value, list):
        return [decoded(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _ARRAY:
        return np.array(decoded(value["array"]), dtype=np.dtype(value["type"])).reshape(value["shape"])
    if value.keys() == _FLOAT:
        return float(value["float"])
    if value.keys() == _MAPPING:
        value = value["mapping"]
    return {name: decoded(entry) for name, entry in value.items()}


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
            points |= {f"spectra/{index}/{name}": getattr(spectrum, name) for name in _DIRECTIONS}
    return {f"{name}/{part}": np.asarray(leaf) for name, point in points.items() for part, leaf in point.items()}


def header_of(trace: Trace, streams: Mapping[str, Plain] | None, arrays: str | None) -> dict[str, Any]:
    """Return the header of a trace as JSON types.

    Args:
        trace: the trace.
        streams: the `file` of each stream and its `length` in bytes; None while the trace is being written.
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


def trace_of(header: Mapping[str, Any], streams: Mapping[str, Columns], arrays: Columns) -> Trace:
    """Restore a trace from its header, its streams and its arrays."""
    recorded = dict(streams.get("steps") or _NO_ROWS)
    coordinates, gradients = recorded.pop("coordinates", None), recorded.pop("gradients", None)
    layers = dict(streams.get("layers", {}))
    layer_steps = layers.pop("step", None)
    return Trace(
        outcome=Outcome.from_identifier(header["outcome"]),
        recorded=recorded,
        coordinate_names=tuple(header["coordinate_names"]),
        coordinates=coordinates,
        gradients=gradients,
        part_names=tuple(header["part_names"]),
        part_columns=dict(streams.get("parts", {})),
        start=_point(header["start"], arrays, "start"),
        end=_point(header["end"], arrays, "end"),
        spectra=tuple(_spectrum(entry, arrays, f"spectra/{index}") for index, entry in enumerate(header["spectra"])),
        plan=decoded(header["plan"]),
        versions=header["versions"],
        not_finite_part=header["not_finite_part"],
        not_finite_step=header["not_finite_step"],
        layer_names=tuple(header["layer_names"]),
        layer_steps=layer_steps,
        layer_columns=layers,
        metrics=dict(streams.get("metrics", {})),
        facts=decoded(header["facts"]),
    )


def _spectrum(entry: Mapping[str, Any], arrays: Columns, name: str) -> Spectrum:
    """Restore a spectrum; take its eigenvectors from the arrays where the header lacks them."""
    # Eigenvectors that are in neither were not kept.
    lowest, highest = (_point(entry[end], arrays, f"{name}/{end}") or None for end in _DIRECTIONS)
    return Spectrum(
        step=entry["step"],
        eigenvalues=decoded(entry["eigenvalues"]),
        complete=entry["complete"],
        lowest_direction=lowest,
        highest_direction=highest,
        preconditioned_highest=decoded(entry["preconditioned_highest"]),
    )


def _point(entry: Any, arrays: Columns, name: str) -> Columns:
    """Restore a point from the header or, where that lacks it, from the arrays."""
    if entry is not None:
        return decoded(entry)
    return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
