"""The progress of a trace that is being written: how much of its files is valid, and the state to resume from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._contents import FORMAT, STREAMS, decoded, encoded
from downslope.trace._disk import read_arrays, read_stream, write_arrays, write_json
from downslope.trace._trace import Spectrum

_FILE = "progress.json"
_DIRECTIONS = ("lowest_direction", "highest_direction")


@dataclass(frozen=True)
class JournalProgress:
    """What was acknowledged so far, and what had been when the last state was.

    Args:
        lengths: number of valid bytes by stream; under `spectra`, the number of valid files of spectra.
        lengths_at_state: the same at the time of the last state, from which training resumes.
        states: number of acknowledged states; the last is in `state-<states>.npz`.
        note: plain data of the writer.
        note_at_state: the same at the time of the last state.
    """

    lengths: Mapping[str, int] = field(default_factory=dict)
    lengths_at_state: Mapping[str, int] = field(default_factory=dict)
    states: int = 0
    note: Plain = field(default_factory=dict)
    note_at_state: Plain = field(default_factory=dict)

    @property
    def state_file(self) -> str | None:
        """The file of the last state; None before the first."""
        return state_file(self.states) if self.states else None

    def at_state(self) -> JournalProgress:
        """Return the progress at the time of the last state."""
        return replace(self, lengths=self.lengths_at_state, note=self.note_at_state)

    def with_state(self) -> JournalProgress:
        """Return the progress with one more state, taken after everything acknowledged."""
        return replace(self, states=self.states + 1, lengths_at_state=self.lengths, note_at_state=self.note)


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


def directions_kept(folder: Path, count: int) -> set[str]:
    """Return the names of the files of eigenvectors to keep of the first `count` spectra: the first and the last."""
    files = [directions_of(folder / spectrum_file(index)) for index in range(count)]
    existing = [file.name for file in files if file.is_file()]
    return {directions_of(folder / spectrum_file(0)).name, *existing[-1:]}


def write_progress(folder: Path, progress: JournalProgress) -> None:
    """Acknowledge what the files hold, atomically."""
    fields = {
        "format": FORMAT,
        "lengths": dict(progress.lengths),
        "lengths_at_state": dict(progress.lengths_at_state),
        "states": progress.states,
        "note": encoded(progress.note),
        "note_at_state": encoded(progress.note_at_state),
    }
    write_json(folder / _FILE, fields)


def read_progress(folder: Path) -> JournalProgress:
    """Read what was acknowledged.

    Raises:
        TraceError: if the file is missing or damaged.
    """
    try:
        fields = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return JournalProgress(
            lengths=fields["lengths"],
            lengths_at_state=fields["lengths_at_state"],
            states=fields["states"],
            note=decoded(fields["note"]),
            note_at_state=decoded(fields["note_at_state"]),
        )
    except FileNotFoundError:
        raise TraceError(f"there is no {_FILE} in {folder}") from None
    except (ValueError, KeyError, TypeError, OSError):
        raise TraceError(f"{folder / _FILE} is damaged") from None


def is_journal(folder: Path) -> bool:
    """Return whether a folder was written by a `Journal`."""
    return (folder / _FILE).is_file()


def read_rows(folder: Path, lengths: Mapping[str, int]) -> AcknowledgedRows:
    """Read the valid rows and spectra."""
    streams = {
        name: read_stream(folder / stream_file(name), lengths[name]) if lengths.get(name) else {} for name in STREAMS
    }
    spectra = tuple(_read_spectrum(folder / spectrum_file(index)) for index in range(lengths.get("spectra", 0)))
    return AcknowledgedRows(**streams, spectra=spectra)


def write_spectrum(file: Path, spectrum: Spectrum) -> None:
    """Write a spectrum into a file, and its eigenvectors, if it has any, into another."""
    arrays = {
        "step": np.asarray(spectrum.step),
        "complete": np.asarray(spectrum.complete),
        "eigenvalues": spectrum.eigenvalues,
    }
    if spectrum.preconditioned_highest is not None:
        arrays["preconditioned_highest"] = np.asarray(float(spectrum.preconditioned_highest))
    ends = {name: getattr(spectrum, name) or {} for name in _DIRECTIONS}
    directions = {f"{name}/{part}": leaf for name, end in ends.items() for part, leaf in end.items()}
    # The spectrum counts as written once its own file is there, so the eigenvectors come first.
    if directions:
        write_arrays(directions_of(file), directions)
    else:
        directions_of(file).unlink(missing_ok=True)  # of an interrupted write
    write_arrays(file, arrays)


def _read_spectrum(file: Path) -> Spectrum:
    """Read a spectrum, with its eigenvectors from the file beside it or, as in early versions, from the same file."""
    arrays, beside = read_arrays(file), directions_of(file)
    directions: dict[str, dict[str, np.ndarray]] = {name: {} for name in _DIRECTIONS}
    for name, array in {**arrays, **(read_arrays(beside) if beside.is_file() else {})}.items():
        kind, _, part = name.partition("/")
        if part:
            directions[kind][part] = array
    highest = arrays.get("preconditioned_highest")
    return Spectrum(
        step=int(arrays["step"]),
        eigenvalues=arrays["eigenvalues"],
        complete=bool(arrays["complete"]),
        preconditioned_highest=None if highest is None else float(highest),
        **{kind: parts or None for kind, parts in directions.items()},
    )
