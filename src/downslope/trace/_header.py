"""The header of a saved trace as a typed record: every field is checked before any other file is opened.

Readers of a trace may rely on the types of what is listed here. Other entries of the plan and of the facts are plain
data of any kind.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from downslope._errors import TraceError, described
from downslope._types import Columns, Plain
from downslope.trace._checksum import DIGITS, Extent, Prefix
from downslope.trace._fields import Fields, is_list_of, is_mapping_of, is_number, is_text, is_whole, optional
from downslope.trace._read_files import read_json
from downslope.trace._trace import Outcome, Spectrum

FORMAT = 3  # of a folder
WITHOUT_CHECKSUMS = 2  # the format before; still read, and written to no more
STREAMS = ("steps", "layers", "parts", "metrics")
DIRECTIONS = ("lowest_direction", "highest_direction")
POINTS = ("points.npz", "points-finished.npz")


def stream_files(name: str) -> tuple[str, str]:
    """Return the names of the files that a stream may have: as it is written, and as it was finished."""
    return f"{name}.arrow", f"{name}-finished.arrow"


@dataclass(frozen=True)
class StreamFile:
    """A stream of a finished trace.

    Args:
        file: the name of its file.
        extent: how much of it counts.
    """

    file: str
    extent: Extent


@dataclass(frozen=True, eq=False)
class Header:
    """The header of a saved trace; see `Trace` for the fields that are not listed.

    Args:
        is_verified: whether the run has checksums.
        streams: by name; None while the trace is being written.
        arrays: the file of the arrays of the points; None if they are small and in the header.
        part_shapes: the shape of each part; None in runs without checksums.
        start: None if it is among the arrays.
        end: None if it is among the arrays; empty while the trace is being written.
        spectra: without eigenvectors if those are among the arrays.
    """

    is_verified: bool
    outcome: Outcome
    streams: Mapping[str, StreamFile] | None
    arrays: str | None
    plan: Plain
    facts: Plain
    versions: Mapping[str, str]
    coordinate_names: tuple[str, ...]
    part_names: tuple[str, ...]
    layer_names: tuple[str, ...]
    part_shapes: tuple[tuple[int, ...], ...] | None
    start: Columns | None
    end: Columns | None
    spectra: tuple[Spectrum, ...]
    not_finite_part: str | None
    not_finite_step: int | None


_NAMES = frozenset(
    [
        "format",
        "outcome",
        "streams",
        "arrays",
        "plan",
        "facts",
        "versions",
        "coordinate_names",
        "part_names",
        "layer_names",
        "start",
        "end",
        "spectra",
        "not_finite_part",
        "not_finite_step",
    ]
)
_SPECTRUM = frozenset(
    ["step", "eigenvalues", "complete", "lowest_direction", "highest_direction", "preconditioned_highest"]
)


def read_header(file: Path) -> Header:
    """Read the header of a trace.

    Raises:
        TraceError: if it is missing, damaged, of another format, or holds anything that is not written there.
    """
    value, sealed = read_json(file)
    is_verified = verified_format(value, sealed, file)
    fields = Fields(value, str(file), _NAMES | ({"checksum", "part_shapes"} if is_verified else set()))
    parts = fields.names("part_names")
    shapes = fields.each("part_shapes", _shape) if is_verified else None
    # A trace that was made of columns alone may have parts without a point.
    if shapes is not None and len(shapes) != len(parts) and not (shapes == () and value["start"] == value["end"] == {}):
        raise fields.refusal("part_shapes", f"a list of {len(parts)} shapes")
    start, end = (_point(fields, name, parts) for name in ("start", "end"))
    header = Header(
        is_verified=is_verified,
        outcome=Outcome.from_identifier(
            fields.checked("outcome", lambda value: is_text(value) and value in _OUTCOMES, "an outcome")
        ),
        streams=None if value["streams"] is None else _streams(fields.inner("streams"), is_verified),
        arrays=fields.checked("arrays", (None, *POINTS).__contains__, f"null or {POINTS[0]}"),
        plan=_known(fields, "plan", _PLAN),
        facts=_known(fields, "facts", _FACTS),
        versions=fields.checked("versions", is_mapping_of(is_text), "texts by name"),
        coordinate_names=fields.names("coordinate_names"),
        part_names=parts,
        layer_names=fields.names("layer_names"),
        part_shapes=shapes,
        start=start,
        end=end,
        spectra=fields.each("spectra", lambda value, path: _spectrum(value, path, parts)),
        not_finite_part=fields.checked("not_finite_part", optional(is_text), "a text or null"),
        not_finite_step=fields.checked("not_finite_step", optional(is_whole), "a whole number or null"),
    )
    if header.arrays is None and (start is None or end is None):
        raise fields.refusal("start" if start is None else "end", "a point, since no file holds it")
    return header


def verified_format(value: Mapping[str, Any], sealed: bool, file: Path) -> bool:
    """Return whether a file has a checksum; raise if it should have one, or if its format is not known.

    Raises:
        TraceError: in these cases.
    """
    version = value.get("format")
    if version == FORMAT and sealed:
        return True
    # An entry that only files with a checksum have shows that one was lost.
    if version == WITHOUT_CHECKSUMS and not sealed and "checksum" not in value:
        return False
    if version == FORMAT or not is_whole(version):
        raise TraceError(f"{file} is damaged: its checksum is wrong")
    raise TraceError(
        f"{file} is of format {version}, and this version reads format {FORMAT}, and {WITHOUT_CHECKSUMS} unverified"
    )


def read_extent(value: object, path: str, is_verified: bool) -> Extent:
    """Return the valid extent of a stream, from its entry in a file."""
    fields = Fields(value, path)
    length = fields.whole("length", 1)
    if not is_verified:
        return Extent(Prefix(length, None))
    whole = Prefix(length, fields.checked("checksum", _is_checksum, f"{DIGITS} hexadecimal digits"))
    earlier = fields.each("earlier", _prefix)
    lengths = [0, *(prefix.length for prefix in earlier), length]
    if any(later <= sooner for sooner, later in itertools.pairwise(lengths)):
        raise fields.refusal("earlier", "a list of ascending lengths")
    return Extent(whole, earlier)


def plain_extent(extent: Extent) -> Plain:
    """Return the valid extent of a stream as JSON types."""
    earlier = [[prefix.length, prefix.checksum] for prefix in extent.earlier]
    return {"length": extent.length, "checksum": extent.whole.checksum, "earlier": earlier}


_CHECKSUM = re.compile(f"[0-9a-f]{{{DIGITS}}}")
_ARE_WHOLE = is_list_of(is_whole)


def _is_checksum(value: Any) -> bool:
    return is_text(value) and _CHECKSUM.fullmatch(value) is not None


def _prefix(value: object, path: str) -> Prefix:
    """Return a beginning of a stream with its checksum."""
    if not (isinstance(value, list) and len(value) == 2 and is_whole(value[0], 1) and _is_checksum(value[1])):
        raise TraceError(f"{path} is damaged: a length and a checksum are needed, not {described(value)}")
    return Prefix(value[0], value[1])


def _shape(value: object, path: str) -> tuple[int, ...]:
    """Return the shape of a part."""
    if not _ARE_WHOLE(value) or len(value) > 32 or math.prod(value) > 2**40:  # type: ignore[arg-type]
        raise TraceError(f"{path} is damaged: a shape is needed, not {described(value)}")
    return tuple(value)  # type: ignore[arg-type]


def _streams(fields: Fields, is_verified: bool) -> dict[str, StreamFile]:
    """Return the streams of a finished trace; their files have known names, so that none is elsewhere."""
    names = frozenset({"file", "length"} | ({"checksum", "earlier"} if is_verified else set()))
    streams = {}
    for name in fields.value:
        if name not in STREAMS:
            raise fields.refusal(name[:100], f"one of {', '.join(STREAMS)}")
        entry = fields.inner(name, names)
        file = entry.checked("file", stream_files(name).__contains__, f"{name}.arrow")
        streams[name] = StreamFile(file, read_extent(entry.value, f"{name}.arrow", is_verified))
    return streams


def _point(fields: Fields, name: str, parts: tuple[str, ...]) -> Columns | None:
    """Return a point of the header, or None if it is elsewhere."""
    if fields.value[name] is None:
        return None
    point = fields.mapping(name)
    is_written = name == "end" and fields.value["streams"] is None
    unknown = not point and (is_written or fields.value.get("part_shapes") == [])
    if set(point) != set(parts) and not unknown:
        raise fields.refusal(name, "a point with the parts of part_names")
    if not is_point(point):
        raise fields.refusal(name, "numbers by part")
    return point


def is_point(point: Mapping[str, Any]) -> bool:
    """Tell whether each part of a point is numbers."""
    return all(is_number(leaf) or (isinstance(leaf, np.ndarray) and _is_numeric(leaf)) for leaf in point.values())


def _is_numeric(array: np.ndarray) -> bool:
    """Tell whether an array holds real numbers; V are those of accelerators, such as bfloat16."""
    return array.dtype.kind in "biufV"


def _spectrum(value: object, path: str, parts: tuple[str, ...]) -> Spectrum:
    """Return a spectrum of the header."""
    fields = Fields(value, path, _SPECTRUM)
    eigenvalues, highest = fields.plain("eigenvalues"), fields.plain("preconditioned_highest")
    if not is_spectrum(eigenvalues):
        raise fields.refusal("eigenvalues", "a row of numbers")
    if not optional(is_number)(highest):
        raise fields.refusal("preconditioned_highest", "a number or null")
    directions: dict[str, Columns | None] = {}
    for name in DIRECTIONS:
        kept = None if fields.value[name] is None else fields.mapping(name)
        if kept is not None and not set(kept) <= set(parts):
            raise fields.refusal(name, "a point with the parts of part_names")
        if kept is not None and not is_point(kept):
            raise fields.refusal(name, "numbers by part")
        directions[name] = kept
    return Spectrum(
        step=fields.whole("step"),
        eigenvalues=eigenvalues,
        complete=fields.flag("complete"),
        preconditioned_highest=highest,
        **directions,
    )


def is_spectrum(eigenvalues: Any) -> bool:
    """Tell whether something is a row of eigenvalues."""
    return (
        isinstance(eigenvalues, np.ndarray)
        and eigenvalues.ndim == 1
        and len(eigenvalues) > 0
        and (eigenvalues.dtype.kind == "f")
    )


def _is_description(value: Any) -> bool:
    """Tell whether a value describes a network layer by layer, or one that no file describes."""
    if not isinstance(value, dict) or value.get("kind") != "network":
        return isinstance(value, dict)
    layers = value.get("layers")
    return is_list_of(is_whole)(value.get("inputs")) and isinstance(layers, list) and all(map(_is_layer, layers))


def _is_layer(value: Any) -> bool:
    """Tell whether a value describes a layer: its kind, and what words are made of."""
    if not isinstance(value, dict) or not is_text(value.get("kind")):
        return False
    texts, numbers = ("activation", "normalisation"), ("dropout", "units", "channels")
    return all(is_text(value[name]) for name in texts if name in value) and all(
        is_number(value[name]) for name in numbers if name in value
    )


def _is_kernel(value: Any) -> bool:
    """Tell whether a value says how a kernel lies in its leaf: axes of it, and a part of each."""
    if not isinstance(value, dict) or not is_text(value.get("layer")) or not is_text(value.get("leaf")):
        return False
    if not all(optional(is_whole)(value.get(name)) for name in ("depth", "height", "positions")):
        return False
    ranges, axes = value.get("ranges"), (value.get("input_axes"), value.get("unit_axes"))
    if ranges is None or None in axes:
        return True
    if not isinstance(ranges, list) or not all(is_list_of(is_whole)(pair) and len(pair) == 2 for pair in ranges):
        return False
    return all(
        isinstance(some, list)
        and is_list_of(is_whole)(some)
        and all(0 <= axis < len(ranges) for axis in some)
        and len(set(some)) == len(some)
        for some in axes
    )


def _is_nested(value: Any) -> bool:
    """Tell whether a value names kernels inside another program."""
    if not isinstance(value, dict) or not is_list_of(is_text)(value.get("leaves")):
        return False
    return is_text(value.get("inside")) and all(
        optional(is_number)(value.get(name)) for name in ("length", "per_step", "in_all")
    )


def _is_trial(value: Any) -> bool:
    """Tell whether a value is the result of a rate that was tried."""
    return (
        isinstance(value, dict)
        and is_number(value.get("learning_rate"))
        and is_number(value.get("value"))
        and isinstance(value.get("is_sound"), bool)
    )


def _is_plain(value: Any) -> bool:
    """Tell whether a value is a number, a text, or true or false."""
    return is_number(value) or is_text(value) or isinstance(value, bool)


Kind: TypeAlias = "tuple[Callable[[Any], bool], str] | Mapping[str, Kind]"

_OUTCOMES = frozenset(outcome.identifier for outcome in Outcome)
_TEXT: Kind = (optional(is_text), "a text")
_NUMBER: Kind = (optional(is_number), "a number")
_WHOLE: Kind = (optional(is_whole), "a whole number")
_FLAG: Kind = (optional(lambda value: isinstance(value, bool)), "true or false")
_MAPPING: Kind = (optional(lambda value: isinstance(value, dict)), "a mapping")
_TEXTS: Kind = (optional(is_list_of(optional(is_text))), "a list of texts")
_NUMBERS: Kind = (optional(is_list_of(is_number)), "a list of numbers")
_ARRAYS: Kind = (is_list_of(lambda value: isinstance(value, np.ndarray)), "a list of arrays")

_PLAN: Mapping[str, Kind] = {
    **dict.fromkeys(("read_as", "schedule"), _TEXT),
    "method": (is_text, "a text"),
    **dict.fromkeys(("learning_rate", "tolerance", "clip_norm", "clip_value", "seed"), _NUMBER),
    **dict.fromkeys(("steps", "every"), _WHOLE),
    "settings": (optional(is_mapping_of(is_number)), "numbers by name"),
    "schedule_settings": _MAPPING,
    "theory": _MAPPING,
    "units": _MAPPING,
    "objective": _MAPPING,
    "batches": {
        **dict.fromkeys(("size", "evaluate_every", "patience", "probe_every"), _WHOLE),
        "best_by": _TEXT,
        "accumulate": (is_whole, "a whole number"),
    },
}
_SHARES: Kind = (optional(is_list_of(optional(is_number))), "a list of numbers")
_SCORES: Mapping[str, Kind] = {
    **dict.fromkeys(("precision", "recall", "f1", "auc"), _SHARES),
    "confusion": (optional(is_list_of(is_list_of(is_whole))), "a table of whole numbers"),
    **dict.fromkeys(("accuracy", "accuracy_error", "balanced_accuracy", "balanced_accuracy_error"), _NUMBER),
    **dict.fromkeys(("r2", "r2_error", "mean_absolute_error", "root_mean_square_error", "r2_of_logs"), _NUMBER),
}
_FACTS: Mapping[str, Kind] = {
    "scores": {"training": _SCORES, "validation": _SCORES},
    "data": {
        **dict.fromkeys(("reference_by", "target_kind", "metric", "row_number", "shift_column", "copy_column"), _TEXT),
        "class_counts": _NUMBERS,
        "every_combination": _FLAG,
        **dict.fromkeys(("rows_compared", "repeated_rows", "rows_on_both_sides"), _WHOLE),
        **dict.fromkeys(("share_on_both_sides", "repeats_by_chance", "row_number_score", "score_without"), _NUMBER),
        **dict.fromkeys(("copy_explained", "score_without_copy"), _NUMBER),
        **dict.fromkeys(("shift_auc", "shift_error", "shift_column_auc"), _NUMBER),
        **dict.fromkeys(("target_ratio", "log_reference_score", "log_reference_of_logs"), _NUMBER),
        **dict.fromkeys(("between_batches", "between_batches_shuffled", "between_batches_deviation"), _NUMBER),
        **dict.fromkeys(("rows", "validation_rows", "features", "outputs", "constant_features"), _WHOLE),
        **dict.fromkeys(
            (f"{what}_{number}" for what in ("input", "target") for number in ("mean", "deviation", "low", "high")),
            _NUMBER,
        ),
        **dict.fromkeys(("largest_feature_mean", "largest_feature_deviation", "smallest_feature_deviation"), _NUMBER),
        **dict.fromkeys(("reference_score", "balanced_reference_score"), _NUMBER),
        **dict.fromkeys(("validation_reference_score", "chance_score"), _NUMBER),
        **dict.fromkeys(("shuffled_score", "shuffled_deviation"), _NUMBER),
    },
    "network": {
        **dict.fromkeys(("metric", "kind", "output", "moving_target"), _TEXT),
        **dict.fromkeys(("activations", "layers", "skipped", "cut_off", "held", "not_stepped"), _TEXTS),
        **dict.fromkeys(("normalised", "inferred", "mixed_precision", "statistics_move"), _FLAG),
        **dict.fromkeys(("evaluated_as_trained", "trained_as_evaluated", "gradients_kept"), _FLAG),
        **dict.fromkeys(("dropout", "normalised_over"), _NUMBERS),
        "output_bounds": (optional(is_list_of(optional(is_number))), "a list of two numbers or None"),
        "l2": _NUMBER,
        "penalty": _NUMBER,
        "input_size": _NUMBER,
        "kernels": (optional(is_list_of(_is_kernel)), "a list of kernels, each with its axes"),
        "nested": (optional(is_list_of(_is_nested)), "a list of kernels inside other programs"),
        "weights": (optional(is_mapping_of(is_mapping_of(is_number))), "numbers by layer and name"),
        **dict.fromkeys(("parameters", "outputs"), _WHOLE),
        "loss": {"name": _TEXT, "from_logits": _FLAG},
        "description": (lambda value: value is None or _is_description(value), "the description of a network"),
    },
    "loss": (lambda value: is_number(value) or is_mapping_of(optional(_is_plain))(value), "numbers or texts by name"),
    "record_cost": (optional(is_mapping_of(optional(is_number))), "numbers by name"),
    "encoding": _MAPPING,
    "asked": _MAPPING,
    "kept": {"step": (is_whole, "a whole number"), "by": (is_text, "a text"), "value": (is_number, "a number")},
    "not_finite": _MAPPING,
    "notes": _TEXTS,
    "not_measured": (optional(is_mapping_of(is_list_of(is_whole))), "lists of steps by column"),
    "memory": _ARRAYS,
    "surroundings": {
        "judged": _TEXT,
        **dict.fromkeys(("rises", "edge", "blocked"), _FLAG),
        "scale": _NUMBER,
        "falls": {"along": _NUMBERS, "distance": _NUMBER, "change": _NUMBER, "both_ways": _FLAG},
        "endless": {"along": _NUMBERS, "distance": _NUMBER, "value": _NUMBER},
        "crossing": {
            "kind": _TEXT,
            "point": _NUMBERS,
            **dict.fromkeys(("value", "order", "slope", "curvature"), _NUMBER),
            "row": _WHOLE,
        },
        "failure": {"kind": _TEXT, "point": _NUMBERS, "value": _NUMBER, "lowest": _FLAG},
    },
    "decay_tried": {"schedule": _TEXT, "value": _NUMBER, "is_sound": _FLAG},
    "rates_tried": (
        lambda value: isinstance(value, list) and all(map(_is_trial, value)),
        "a list of rates with their results",
    ),
}


def refusal_of(plan: Plain, facts: Plain) -> str | None:
    """Return what is wrong with the first entry of a plan or of facts that is of another kind than readers rely on."""
    return _other_kind(plan, _PLAN, "plan") or _other_kind(facts, _FACTS, "facts")


def _known(fields: Fields, name: str, kinds: Mapping[str, Kind]) -> Plain:
    """Return a mapping of plain data whose known entries are of their kind."""
    value = fields.mapping(name)
    wrong = _other_kind(value, kinds, name)
    if wrong is not None:
        raise fields.error(wrong)
    return value


def _other_kind(value: Plain, kinds: Mapping[str, Kind], path: str) -> str | None:
    """Return what is wrong with the first entry that is of another kind than it should be; None if nothing is."""
    for name, kind in kinds.items():
        if name not in value:
            continue
        entry, where = value[name], f"{path}.{name}"
        if isinstance(kind, Mapping):
            wrong = _other_kind(entry, kind, where) if isinstance(entry, dict) else f"{where} must be a mapping"
            if wrong is not None and entry is not None:
                return wrong
        elif not kind[0](entry):
            return f"{where} must be {kind[1]}, not {described(entry)}"
    return None
