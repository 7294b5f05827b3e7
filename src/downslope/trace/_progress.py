"""The progress of a trace that is being written: how much of its files is valid, and the state to resume from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._checksum import Extent, Prefix
from downslope.trace._disk import write_arrays, write_json
from downslope.trace._fields import Fields, encoded
from downslope.trace._header import (
    DIRECTIONS,
    FORMAT,
    STREAMS,
    is_spectrum,
    plain_extent,
    read_extent,
    verified_format,
)
from downslope.trace._read_files import read_arrays, read_json, read_rows_until_damage
from downslope.trace._trace import Spectrum

_FILE = "progress.json"
_NAMES = frozenset(
    ["format", "checksum", "streams", "at_state", "spectra", "spectra_at_state", "states", "note", "note_at_state"]
)
_NAMES_BEFORE = frozenset(["format", "lengths", "lengths_at_state", "states", "note", "note_at_state"])


@dataclass(frozen=True)
class JournalProgress:
    """What was acknowledged so far, and what had been when the last state was.

    Args:
        extents: how much of each stream counts.
        spectra: the number of files of spectra that count.
        at_state: the extents at the time of the last state, from which training resumes.
        spectra_at_state: the number of spectra then.
        states: number of acknowledged states; the last is in `state-<states>.npz`.
        note: plain data of the writer.
        note_at_state: the same at the time of the last state.
        is_verified: whether there are checksums.
    """

    extents: Mapping[str, Extent] = field(default_factory=dict)
    spectra: int = 0
    at_state: Mapping[str, Extent] = field(default_factory=dict)
    spectra_at_state: int = 0
    states: int = 0
    note: Plain = field(default_factory=dict)
    note_at_state: Plain = field(default_factory=dict)
    is_verified: bool = True

    @property
    def state_file(self) -> str | None:
        """The file of the last state; None before the first."""
        return state_file(self.states) if self.states else None

    def returned_to_state(self) -> JournalProgress:
        """Return the progress at the time of the last state."""
        return replace(self, extents=self.at_state, spectra=self.spectra_at_state, note=self.note_at_state)

    def with_state(self) -> JournalProgress:
        """Return the progress with one more state, taken after everything acknowledged."""
        return replace(
            self,
            states=self.states + 1,
            at_state=self.extents,
            spectra_at_state=self.spectra,
            note_at_state=self.note,
        )


@dataclass(frozen=True, eq=False)
class AcknowledgedRows:
    """Everything acknowledged so far; see `Trace` for the columns.

    Args:
        steps: the columns of the steps.
        layers: the `step` of each layer row, and the layer columns, shape (layer rows, layers).
        parts: the norms by part, shape (layer rows, parts).
        metrics: the `step` of each evaluation, and the metrics.
        spectra: the measured curvature.
    """

    steps: Columns
    layers: Columns
    parts: Columns
    metrics: Columns
    spectra: tuple[Spectrum, ...]

    @property
    def streams(self) -> dict[str, Columns]:
        """The columns by stream, without the empty ones."""
        return {name: getattr(self, name) for name in STREAMS if getattr(self, name)}


def state_file(number: int) -> str:
    """Return the name of the file of a state."""
    return f"state-{number}.npz"


def stream_file(name: str) -> str:
    """Return the name of the file of a stream."""
    return f"{name}.arrow"


def spectrum_file(index: int) -> str:
    """Return the name of the file of a spectrum."""
    return f"spectrum-{index}.npz"


def directions_of(file: Path) -> Path:
    """Return the file of the eigenvectors of a spectrum, from the file of the spectrum."""
    return file.with_name(file.name.replace("spectrum-", "directions-"))


def directions_in(folder: Path, count: int) -> list[int]:
    """Return the indices of those of the first `count` spectra that have a file of eigenvectors, in order."""
    prefix, suffix = "directions-", ".npz"
    names = (file.name.removeprefix(prefix).removesuffix(suffix) for file in folder.glob(f"{prefix}*{suffix}"))
    return sorted(index for name in names if name.isdecimal() and (index := int(name)) < count)


def superseded(directions: Sequence[int]) -> list[int]:
    """Return which spectra lose their eigenvectors once a state is acknowledged: all but the first and the last."""
    return [index for index in directions[:-1] if index]


def write_progress(folder: Path, progress: JournalProgress) -> None:
    """Acknowledge what the files hold, atomically."""
    fields = {
        "format": FORMAT,
        "streams": {name: plain_extent(extent) for name, extent in progress.extents.items()},
        "spectra": progress.spectra,
        "at_state": {name: plain_extent(Extent(extent.whole)) for name, extent in progress.at_state.items()},
        "spectra_at_state": progress.spectra_at_state,
        "states": progress.states,
        "note": encoded(progress.note),
        "note_at_state": encoded(progress.note_at_state),
    }
    write_json(folder / _FILE, fields)


def read_progress(folder: Path, verified: bool = False) -> JournalProgress:
    """Read what was acknowledged.

    Args:
        folder: the folder.
        verified: whether progress without checksums is damaged.

    Raises:
        TraceError: if the file is missing or damaged.
    """
    file = folder / _FILE
    value, sealed = read_json(file)
    is_verified = verified_format(value, sealed, file)
    if verified and not is_verified:
        raise TraceError(f"{file} is damaged: its checksum is missing")
    fields = Fields(value, str(file), _NAMES if is_verified else _NAMES_BEFORE)
    counted = _counted if is_verified else _counted_before
    extents, spectra, at_state, spectra_at_state = counted(fields, folder)
    return JournalProgress(
        extents=extents,
        spectra=spectra,
        at_state={name: extents.get(name, extent).until(extent.whole) for name, extent in at_state.items()},
        spectra_at_state=spectra_at_state,
        states=fields.whole("states"),
        note=fields.mapping("note"),
        note_at_state=fields.mapping("note_at_state"),
        is_verified=is_verified,
    )


_Counted = tuple[dict[str, Extent], int, dict[str, Extent], int]


def _counted(fields: Fields, folder: Path) -> _Counted:
    """Return what was acknowledged, and what had been at the last state."""
    extents, at_state = (_extents(fields.inner(name), folder, True) for name in ("streams", "at_state"))
    for name, extent in at_state.items():
        if name not in extents or extent.length > extents[name].length:
            raise fields.refusal("at_state", "no longer than what streams has")
    return extents, fields.whole("spectra"), at_state, fields.whole("spectra_at_state")


def _counted_before(fields: Fields, folder: Path) -> _Counted:
    """Return the same from a file of the format before, which has lengths alone."""
    both = [fields.inner(name) for name in ("lengths", "lengths_at_state")]
    spectra, spectra_at_state = (part.whole("spectra") if "spectra" in part.value else 0 for part in both)
    lengths, lengths_at_state = (
        {
            name: Extent(Prefix(part.whole(name), None))
            for name in part.value
            if name != "spectra" and part.value[name] != 0
        }
        for part in both
    )
    if not set(lengths) | set(lengths_at_state) <= set(STREAMS):
        raise fields.refusal("lengths", f"lengths of {', '.join(STREAMS)}")
    return lengths, spectra, lengths_at_state, spectra_at_state


def _extents(fields: Fields, folder: Path, is_verified: bool) -> dict[str, Extent]:
    """Return how much of each stream counts."""
    for name in fields.value:
        if name not in STREAMS:
            raise fields.refusal(name[:100], f"one of {', '.join(STREAMS)}")
    return {name: read_extent(entry, f"{folder / _FILE}: {name}", is_verified) for name, entry in fields.value.items()}


def is_journal(folder: Path) -> bool:
    """Return whether a folder was written by a `Journal`."""
    return (folder / _FILE).is_file()


def read_rows(folder: Path, progress: JournalProgress) -> AcknowledgedRows:
    """Read the rows and spectra that count.

    Raises:
        TraceError: if any of them is damaged.
    """
    streams: dict[str, Columns] = {name: {} for name in STREAMS}
    for name, extent in progress.extents.items():
        streams[name], damage = read_rows_until_damage(folder / stream_file(name), extent)
        if damage is not None:
            raise TraceError(damage)
    return AcknowledgedRows(**streams, spectra=read_spectra(folder, progress.spectra, progress.is_verified))


def read_spectra(
    folder: Path, count: int, verified: bool, lost: Callable[[str, str], None] | None = None
) -> tuple[Spectrum, ...]:
    """Read the first `count` spectra.

    Args:
        folder: the folder.
        count: their number.
        verified: whether a file without a checksum is damaged.
        lost: called with each damage and what is missing for it; None to raise instead.

    Raises:
        TraceError: for damage, unless `lost` is there to note it.
    """
    spectra = []
    for index in range(count):
        try:
            spectra.append(_read_spectrum(folder / spectrum_file(index), verified))
        except TraceError as error:
            if lost is None or not verified:
                raise
            lost(error.message, f"the curvature measured as number {index + 1}")
    return tuple(spectra)


def seal_arrays(folder: Path) -> None:
    """Give the files of arrays of a run without checksums theirs."""
    for file in sorted(folder.glob("*.npz")):
        write_arrays(file, read_arrays(file, sealed=False))


def write_spectrum(file: Path, spectrum: Spectrum) -> None:
    """Write a spectrum into a file, and its eigenvectors, if it has any, into another."""
    arrays = {
        "step": np.asarray(spectrum.step),
        "complete": np.asarray(spectrum.complete),
        "eigenvalues": spectrum.eigenvalues,
    }
    if spectrum.preconditioned_highest is not None:
        arrays["preconditioned_highest"] = np.asarray(float(spectrum.preconditioned_highest))
    ends = {name: getattr(spectrum, name) or {} for name in DIRECTIONS}
    directions = {f"{name}/{part}": leaf for name, end in ends.items() for part, leaf in end.items()}
    # The spectrum counts as written once its own file is there, so the eigenvectors come first.
    if directions:
        write_arrays(directions_of(file), directions)
    else:
        directions_of(file).unlink(missing_ok=True)  # of an interrupted write
    write_arrays(file, arrays)


def _read_spectrum(file: Path, verified: bool) -> Spectrum:
    """Read a spectrum, with its eigenvectors from the file beside it or, as in early versions, from the same file."""
    arrays, beside = read_arrays(file, verified), directions_of(file)
    directions: dict[str, dict[str, np.ndarray]] = {name: {} for name in DIRECTIONS}
    for name, array in {**arrays, **(read_arrays(beside, verified) if beside.is_file() else {})}.items():
        kind, _, part = name.partition("/")
        if part and kind in directions:
            directions[kind][part] = array
    numbers = {name: arrays[name] for name in ("step", "complete", "preconditioned_highest") if name in arrays}
    eigenvalues = arrays.get("eigenvalues")
    if eigenvalues is None or not is_spectrum(eigenvalues) or not {"step", "complete"} <= set(numbers):
        raise TraceError(f"{file} is damaged: it holds no spectrum")
    if any(array.shape or array.dtype.kind not in "biuf" for array in numbers.values()):
        raise TraceError(f"{file} is damaged: it holds no spectrum")
    highest = numbers.get("preconditioned_highest")
    return Spectrum(
        step=int(numbers["step"]),
        eigenvalues=eigenvalues,
        complete=bool(numbers["complete"]),
        preconditioned_highest=None if highest is None else float(highest),
        **{kind: parts or None for kind, parts in directions.items()},
    )
