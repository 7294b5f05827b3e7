"""What of a trace goes into which file: the streams, the arrays by part, and what is small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._types import Columns, Plain
from downslope.trace._disk import aligned
from downslope.trace._trace import Outcome, Spectrum, Trace

# Plain data as JSON knows it, so that arrays and numbers that are not finite come back as they were.


_ARRAY, _FLOAT, _MAPPING = {"array", "shape", "type"}, {"float"}, {"mapping"}


def encoded(thing: Any) -> Any:
    """Return a thing as JSON knows it: arrays and numbers that are not finite by what they are.

    >>> encoded({"rate": float("inf"), "widths": (8, 8)})
    {'rate': {'float': 'inf'}, 'widths': [8, 8]}
    """
    if isinstance(thing, Mapping):
        plain = {str(name): encoded(entry) for name, entry in thing.items()}
        # A mapping that happens to look like one of ours must not be read as one.
        return {"mapping": plain} if plain.keys() in (_ARRAY, _FLOAT, _MAPPING) else plain
    if isinstance(thing, np.ndarray):
        return {"array": encoded(thing.ravel().tolist()), "shape": list(thing.shape), "type": str(thing.dtype)}
    if isinstance(thing, np.generic):
        return encoded(thing.item())
    if isinstance(thing, list | tuple):
        return [encoded(entry) for entry in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return {"float": str(thing)}
    return thing


def decoded(thing: Any) -> Any:
    """Return what `encoded` was given, with lists for tuples."""
    if isinstance(thing, list):
        return [decoded(entry) for entry in thing]
    if not isinstance(thing, dict):
        return thing
    if thing.keys() == _ARRAY:
        return np.array(decoded(thing["array"]), dtype=np.dtype(thing["type"])).reshape(thing["shape"])
    if thing.keys() == _FLOAT:
        return float(thing["float"])
    if thing.keys() == _MAPPING:
        thing = thing["mapping"]
    return {name: decoded(entry) for name, entry in thing.items()}


FORMAT = 2
STREAMS = ("steps", "layers", "parts", "metrics")

_SMALL = 64  # a point of more numbers is kept as arrays; as text it would take a page and more
_DIRECTIONS = ("lowest_direction", "highest_direction")
_NO_ROWS = {"step": np.zeros(0, np.int64), "value": np.zeros(0)}


def streams_of(trace: Trace) -> dict[str, dict[str, np.ndarray]]:
    """Return the columns of each stream of a trace; a stream that would hold nothing is left out."""
    matrices = {"coordinates": trace.coordinates, "gradients": trace.gradients}
    steps = aligned(trace.recorded, len(trace)) | {name: held for name, held in matrices.items() if held is not None}
    layers = {} if trace.layer_steps is None else {"step": trace.layer_steps}
    layers |= trace.layer_columns
    streams = {"steps": steps, "layers": layers, "parts": dict(trace.part_columns), "metrics": dict(trace.metrics)}
    return {name: {key: np.asarray(held) for key, held in one.items()} for name, one in streams.items() if one}


def arrays_of(trace: Trace) -> dict[str, np.ndarray]:
    """Return the start, the end and the directions of the spectra by name, or nothing where they are small."""
    points = {"start": trace.start, "end": trace.end}
    leaves = [np.asarray(leaf) for point in points.values() for leaf in point.values()]
    sizes = [sum(np.size(leaf) for leaf in point.values()) for point in points.values()]
    # JSON has no name for the numbers of accelerators, such as bfloat16, which NumPy counts as bare memory.
    if max(sizes) <= _SMALL and all(leaf.dtype.kind != "V" for leaf in leaves):
        return {}
    for place, spectrum in enumerate(trace.spectra):
        if spectrum.has_directions:
            points |= {f"spectra/{place}/{name}": getattr(spectrum, name) for name in _DIRECTIONS}
    return {f"{name}/{part}": np.asarray(leaf) for name, point in points.items() for part, leaf in point.items()}


def told_of(trace: Trace, streams: Mapping[str, Plain] | None, arrays: str | None) -> dict[str, Any]:
    """Return what is small of a trace, as JSON knows it.

    Args:
        trace: the trace.
        streams: the `file` of each stream and its `length` in bytes; None while the trace is being made.
        arrays: the file of `arrays_of`; None where they are small and told here.
    """

    def beside(part: Any) -> Any:
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
        "start": beside(trace.start),
        "end": beside(trace.end),
        "spectra": [
            {
                "step": int(spectrum.step),
                "eigenvalues": encoded(spectrum.eigenvalues),
                "complete": bool(spectrum.complete),
                "lowest_direction": beside(spectrum.lowest_direction),
                "highest_direction": beside(spectrum.highest_direction),
                "preconditioned_highest": encoded(spectrum.preconditioned_highest),
            }
            for spectrum in trace.spectra
        ],
        "not_finite_part": trace.not_finite_part,
        "not_finite_step": encoded(trace.not_finite_step),
    }


def trace_of(told: Mapping[str, Any], streams: Mapping[str, Columns], arrays: Columns) -> Trace:
    """Return the trace of what `told_of`, `streams_of` and `arrays_of` returned."""
    recorded = dict(streams.get("steps") or _NO_ROWS)
    coordinates, gradients = recorded.pop("coordinates", None), recorded.pop("gradients", None)
    layers = dict(streams.get("layers", {}))
    layer_steps = layers.pop("step", None)
    return Trace(
        outcome=Outcome.from_identifier(told["outcome"]),
        recorded=recorded,
        coordinate_names=tuple(told["coordinate_names"]),
        coordinates=coordinates,
        gradients=gradients,
        part_names=tuple(told["part_names"]),
        part_columns=dict(streams.get("parts", {})),
        start=_point(told["start"], arrays, "start"),
        end=_point(told["end"], arrays, "end"),
        spectra=tuple(_spectrum(one, arrays, f"spectra/{place}") for place, one in enumerate(told["spectra"])),
        plan=decoded(told["plan"]),
        versions=told["versions"],
        not_finite_part=told["not_finite_part"],
        not_finite_step=told["not_finite_step"],
        layer_names=tuple(told["layer_names"]),
        layer_steps=layer_steps,
        layer_columns=layers,
        metrics=dict(streams.get("metrics", {})),
        facts=decoded(told["facts"]),
    )


def _spectrum(told: Mapping[str, Any], arrays: Columns, name: str) -> Spectrum:
    """Return the spectrum that was told, its directions from beside where they are not in it."""
    # What is neither told nor beside was not kept.
    lowest, highest = (_point(told[one], arrays, f"{name}/{one}") or None for one in _DIRECTIONS)
    return Spectrum(
        step=told["step"],
        eigenvalues=decoded(told["eigenvalues"]),
        complete=told["complete"],
        lowest_direction=lowest,
        highest_direction=highest,
        preconditioned_highest=decoded(told["preconditioned_highest"]),
    )


def _point(told: Any, arrays: Columns, name: str) -> Columns:
    """Return a point that was told, or the one that is among the arrays."""
    if told is not None:
        return decoded(told)
    return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}
