"""A trace on disk that grows while training runs, and that survives `kill -9`.

The folder is that of `save`, with these files in addition:

    progress.json      the valid length of each stream, its checksums, the writer's note; replaced atomically
    state-<n>.npz      what training needs to resume, as last acknowledged
    spectrum-<n>.npz   the measured curvature
    directions-<n>.npz its two extreme eigenvectors: for the first spectrum, the last before the state, and later ones

Invariants:

- Rows are *acknowledged* once progress.json counts them. The order of writes is: state, rows, progress.json, each
  flushed to disk, and only then is the previous state removed. So a crash between any two writes leaves the previous
  progress.json with everything that it counts.
- What follows the valid length in a file is an incomplete write and is ignored: a reader sees all acknowledged rows and
  no others.
- Rows may be acknowledged without a state. progress.json holds the lengths at the last state as well; resuming
  truncates to those, so the state always belongs to exactly the rows before it.
- progress.json holds a checksum of the valid bytes of each stream, and of some of their beginnings. They come from a
  running checksum that each append takes further; a file is read again only when a run is resumed, once. The other
  files carry their checksum in themselves.
- One process writes: `writing` in `_folders` is held from before `begin` or `reopen` to the end.
  Readers need no lock. They may find a state removed between two reads, and read again (`load`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._arrow import StoredColumns
from downslope.trace._checksum import Extent, RunningChecksum
from downslope.trace._contents import header_of, plain_streams, streams_of
from downslope.trace._disk import (
    aligned,
    append_stream,
    cut_stream,
    write_arrays,
    write_json,
    write_stream,
)
from downslope.trace._folders import identity, refuse_other, replace_folder
from downslope.trace._header import STREAMS, StreamFile, stream_files
from downslope.trace._load import load_header
from downslope.trace._progress import (
    AcknowledgedRows,
    JournalProgress,
    directions_in,
    directions_of,
    is_journal,
    read_progress,
    read_rows,
    read_spectra,
    seal_arrays,
    spectrum_file,
    state_file,
    stream_file,
    superseded,
    write_progress,
    write_spectrum,
)
from downslope.trace._read_files import damage_of, opened, read_arrays
from downslope.trace._store import write_points
from downslope.trace._trace import Outcome, Spectrum, Trace


class Journal:
    """A trace that is being written. One process writes it; any number may `load` it meanwhile.

    Created by `Journal.begin` or `Journal.reopen`.

    Args:
        folder: the folder.
        progress: what was acknowledged so far.
        checksums: the running checksum of each stream.
    """

    def __init__(self, folder: Path, progress: JournalProgress, checksums: Mapping[str, RunningChecksum]) -> None:
        self.folder = folder
        self._progress = progress
        self._checksums = dict(checksums)
        self._directions = directions_in(folder, progress.spectra)  # the spectra with a file of eigenvectors
        self._finished = False
        self._header: Trace | None = None  # without rows, until it is read again
        self._read_state: dict[str, np.ndarray] | None = None  # as `reopen` read it, until it is taken
        self._process, self._identity = os.getpid(), identity(folder)

    @classmethod
    def begin(cls, folder: str | Path, header: Trace) -> Journal:
        """Begin a trace in a folder; an existing trace there is replaced.

        Args:
            folder: the folder; its parents are created.
            header: a trace with the plan, names, start, versions and facts of the trace to be written.

        Raises:
            TraceError: if the folder holds anything but a trace, or cannot be written.
        """
        target = Path(folder)
        refuse_other(target)

        def write(beside: Path) -> None:
            write_progress(beside, JournalProgress())
            _write_header(beside, header)

        try:
            replace_folder(target, write)
        except OSError as error:
            raise TraceError(f"{target} cannot be written: {error.strerror or error}") from None
        journal = cls(target, JournalProgress(), {})
        journal._header = header
        return journal

    @classmethod
    def reopen(cls, folder: str | Path, check: Callable[[Trace], None] = lambda header: None) -> Journal:
        """Resume a trace at its last acknowledged state; rows after it are removed.

        A finished trace can be resumed as well; its outcome is RUNNING from then on.

        Args:
            folder: the folder.
            check: raises if the trace, of which it gets all but the rows, is not the one to resume.

        Raises:
            TraceError: if the folder was not written by a journal, or is damaged.
        """
        source = Path(folder)
        if not is_journal(source):
            hint = "only a training that was saved while it ran can be resumed"
            raise TraceError(f"there is no training to resume in {source}", hint=hint)
        header = load_header(source)
        check(header)
        read = read_progress(source)
        progress = read.returned_to_state()
        # Read before anything is cut: rows after the state are worth more than a state that is damaged.
        read_spectra(source, progress.spectra, read.is_verified)
        state = read_arrays(source / progress.state_file, read.is_verified) if progress.state_file else None
        try:
            if not read.is_verified:
                seal_arrays(source)
            checksums = _checksums(source, progress.extents)
            extents = {name: checksum.extent for name, checksum in checksums.items()}
            progress = replace(progress, extents=extents, at_state=extents, is_verified=True)
            # First the shorter lengths, then the cut: a reader in between must not look for bytes that are gone. The
            # header comes between them: beside one with checksums, progress without them would be damaged.
            write_progress(source, progress)
            if header.outcome is not Outcome.RUNNING or not read.is_verified:
                _write_header(source, header)
            for name in STREAMS:
                cut_stream(source / stream_file(name), extents[name].length if name in extents else 0)
            _remove_unused(source, progress)
        except OSError as error:
            raise TraceError(f"{source} cannot be resumed: {error.strerror or error}") from None
        journal = cls(source, progress, checksums)
        journal._read_state = state
        return journal

    @property
    def has_state(self) -> bool:
        """Whether a state was acknowledged."""
        return self._progress.state_file is not None

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The last acknowledged state; empty before the first."""
        state, self._read_state = self._read_state, None  # it may be as large as all else, and is used once
        file = self._progress.state_file
        return state if state is not None else read_arrays(self.folder / file) if file else {}

    @property
    def note(self) -> Plain:
        """The last acknowledged note; empty before the first."""
        return self._progress.note

    def rows(self, without: Collection[str] = ()) -> AcknowledgedRows:
        """Read everything acknowledged so far from disk, except for some streams."""
        extents = {name: extent for name, extent in self._progress.extents.items() if name not in without}
        return read_rows(self.folder, replace(self._progress, extents=extents))

    def size(self, name: str) -> int:
        """Return the acknowledged bytes of a stream."""
        return self._progress.extents[name].length if name in self._progress.extents else 0

    def stored(
        self, name: Literal["layers", "parts"], without: tuple[str, ...] = (), then: Columns | None = None
    ) -> StoredColumns:
        """Return the acknowledged columns of a stream without reading them.

        Args:
            name: the stream.
            without: names of columns to leave out.
            then: rows after these, which are not written yet.
        """
        with opened(self.folder / stream_file(name)) as stream:
            return StoredColumns(stream, self.size(name), without, then)

    def append(
        self,
        *,
        steps: Columns | None = None,
        layers: Columns | None = None,
        parts: Columns | None = None,
        metrics: Columns | None = None,
        spectra: Sequence[Spectrum] = (),
        state: Mapping[str, np.ndarray] | None = None,
        note: Plain | None = None,
    ) -> None:
        """Append rows and acknowledge them at once.

        Each of the four takes the same columns, of the same types, every time; None or no rows to append nothing. A
        single number is broadcast to all rows.

        Args:
            steps: `step`, `value`, … of the steps, shape (rows,).
            layers: `step` of the layer rows, shape (layer rows,), and the columns by layer, shape (layer rows, layers).
            parts: the norms by part, shape (layer rows, parts); with `step` where `layers` has none.
            metrics: `step` of the evaluations, and the metrics, shape (evaluations,).
            spectra: the measured curvature; except for the first one, eigenvectors are removed once a state is
                acknowledged with later ones.
            state: what training needs to resume after these rows, arrays by name; None to append rows only. Readers see
                such rows; resuming from the previous state removes them.
            note: plain data that belongs to the rows; None to keep the previous note.

        Raises:
            TraceError: if the columns differ from the previous ones, the trace is finished, or it cannot be written.
            ValueError: if columns differ in their number of rows, or lack `step`.
        """
        if self._finished:
            raise TraceError(f"{self.folder} is finished", hint="Journal.reopen resumes a finished trace")
        self._refuse_other_home()
        # Checked before anything is written: a refused append leaves no file behind.
        streams = _streams(steps or {}, layers or {}, parts or {}, metrics or {})
        before = self._progress
        _refuse_gaps(streams, before.extents)
        try:
            if state is not None:
                write_arrays(self.folder / state_file(before.states + 1), state)
            checksums = self._written(streams, spectra)
            after = replace(
                before,
                extents={name: checksum.extent for name, checksum in checksums.items()},
                spectra=before.spectra + len(spectra),
                note=before.note if note is None else note,
            )
            after = after if state is None else after.with_state()
            write_progress(self.folder, after)
        except OSError as error:
            self._refuse_other_home()
            raise TraceError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        self._progress, self._checksums, self._read_state = after, checksums, None
        self._directions += [
            index for index, spectrum in enumerate(spectra, start=before.spectra) if spectrum.has_directions
        ]
        # Only now: until progress.json was replaced, the previous state was the one to resume from.
        if state is not None:
            (self.folder / state_file(before.states)).unlink(missing_ok=True)
            self._remove_directions()

    def renew(self, *, plan: Plain, facts: Plain) -> None:
        """Replace the plan and the facts of the trace that is being written; its names and its start stay.

        Raises:
            TraceError: if the trace is finished, or it cannot be written.
        """
        if self._finished:
            raise TraceError(f"{self.folder} is finished", hint="Journal.reopen resumes a finished trace")
        self._refuse_other_home()
        try:
            self._header = _header_alone(self._header or load_header(self.folder)).replace(plan=plan, facts=facts)
            # The points stay in the file that they are in, which would take long to write again.
            points = "points.npz" if (self.folder / "points.npz").is_file() else None
            write_json(self.folder / "trace.json", header_of(self._header, None, points))
        except OSError as error:
            raise TraceError(f"{self.folder} cannot be written: {error.strerror or error}") from None

    def finish(self, trace: Trace) -> None:
        """Write the finished trace, so that `load` restores it to the last bit; the last state stays in the folder.

        Raises:
            TraceError: if it cannot be written.
        """
        self._refuse_other_home()
        try:
            # trace.json names the files that hold the trace; until it is replaced, readers see the running one. So new
            # files have other names than those that the running trace is read from.
            streams = self._finished_streams(trace)
            points = write_points(trace, self.folder / "points-finished.npz")
            write_json(self.folder / "trace.json", header_of(trace, plain_streams(streams), points))
            (self.folder / "points.npz").unlink(missing_ok=True)
        except OSError as error:
            self._refuse_other_home()
            raise TraceError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        self._finished = True

    def _refuse_other_home(self) -> None:
        """Raise if the folder is no longer the one that this process began to write."""
        if os.getpid() != self._process:
            raise TraceError(f"{self.folder} is being written by process {self._process}, of which this one is a fork")
        now = identity(self.folder)
        if now is None:
            hint = "it was removed, renamed or closed to this user while it was being written"
            raise TraceError(f"the folder {self.folder} is gone", hint=hint)
        if now != self._identity:
            hint = "the folder that was being written was removed or renamed"
            raise TraceError(f"the folder {self.folder} was replaced by another", hint=hint)
        for name in self._progress.extents:
            if not (self.folder / stream_file(name)).is_file():
                raise TraceError(f"{stream_file(name)} is gone from the folder {self.folder}")

    def _written(self, streams: Mapping[str, Columns], spectra: Sequence[Spectrum]) -> dict[str, RunningChecksum]:
        """Write rows and spectra after the valid ones, and return the new checksums."""
        checksums = dict(self._checksums)
        for name, columns in streams.items():
            before = checksums.get(name, RunningChecksum())
            checksums[name] = append_stream(self.folder / stream_file(name), before, columns)
        for index, spectrum in enumerate(spectra, start=self._progress.spectra):
            write_spectrum(self.folder / spectrum_file(index), spectrum)
        return checksums

    def _remove_directions(self) -> None:
        """Delete the files of eigenvectors superseded by the last state."""
        # Known without a look at the folder, in which the files of all spectra are.
        for index in superseded(self._directions):
            directions_of(self.folder / spectrum_file(index)).unlink(missing_ok=True)
            self._directions.remove(index)

    def _finished_streams(self, trace: Trace) -> dict[str, StreamFile]:
        """Return the streams of a finished trace; write those that changed."""
        streams: dict[str, StreamFile] = {}
        for name, columns in (("layers", trace.layer_columns), ("parts", trace.part_columns)):
            if isinstance(columns, StoredColumns) and columns.is_all_on_disk:
                streams[name] = StreamFile(stream_file(name), self._progress.extents[name])
        others = trace.replace(
            **({"layer_steps": None, "layer_columns": {}} if "layers" in streams else {}),
            **({"part_columns": {}} if "parts" in streams else {}),
        )
        written = self.rows(without=streams).streams
        for name, columns in streams_of(others).items():
            running, finished = stream_files(name)
            if _same(written.get(name, {}), columns):
                streams[name] = StreamFile(running, self._progress.extents[name])
            else:
                streams[name] = StreamFile(finished, write_stream(self.folder / finished, columns))
        return streams


def _checksums(folder: Path, extents: Mapping[str, Extent]) -> dict[str, RunningChecksum]:
    """Return the running checksums of streams, each read once up to its extent.

    Raises:
        TraceError: if a stream is not what its checksum says.
    """
    checksums = {}
    for name, extent in extents.items():
        with opened(folder / stream_file(name)) as file:
            checksums[name] = RunningChecksum.of_file(file, extent)
        if extent.whole.checksum not in (None, checksums[name].extent.whole.checksum):
            path = folder / stream_file(name)
            raise TraceError(damage_of(path, path.stat().st_size, extent))
    return checksums


def _header_alone(header: Trace) -> Trace:
    """Return a trace before its first row."""
    return Trace(
        outcome=Outcome.RUNNING,
        recorded={"step": np.zeros(0, np.int64), "value": np.zeros(0)},
        coordinate_names=header.coordinate_names,
        coordinates=None,
        gradients=None,
        part_names=header.part_names,
        part_columns={},
        start=header.start,
        end={},
        spectra=(),
        plan=header.plan,
        versions=header.versions,
        layer_names=header.layer_names,
        facts=header.facts,
    )


def _write_header(folder: Path, header: Trace) -> None:
    """Write the header of a trace before its first row."""
    begun = _header_alone(header)
    write_json(folder / "trace.json", header_of(begun, None, write_points(begun, folder / "points.npz")))


def _streams(steps: Columns, layers: Columns, parts: Columns, metrics: Columns) -> dict[str, Columns]:
    """Return the columns by stream without empty streams; layers and parts share their steps."""
    if "step" in parts:
        layers = {"step": parts["step"], **layers}
        parts = {name: column for name, column in parts.items() if name != "step"}
    with_steps = {
        "steps": (steps, steps),
        "layers": (layers, layers),
        "parts": (parts, layers),
        "metrics": (metrics, metrics),
    }
    streams: dict[str, Columns] = {}
    for name, (columns, owner) in with_steps.items():
        if columns and "step" not in owner:
            raise ValueError(f"the {name} lack their steps")
        if columns and len(owner["step"]):
            streams[name] = aligned(columns, len(owner["step"]))
    return streams


def _refuse_gaps(streams: Mapping[str, Columns], written: Mapping[str, Extent]) -> None:
    """Raise if layers and parts, which share their rows, would differ in number."""
    if "layers" in streams and "layers" in written and ("parts" in streams) != ("parts" in written):
        raise ValueError(
            "the layers and the parts have the same rows: append both every time, or always only one of them"
        )


def _same(ours: Columns, theirs: Columns) -> bool:
    """Return whether two sets of columns are equal to the last bit and in the same order."""
    # Bytes and not values: NaN must equal NaN, and −0 must not equal 0.
    return list(ours) == list(theirs) and all(
        ours[name].dtype == theirs[name].dtype
        and ours[name].shape == theirs[name].shape
        and ours[name].tobytes() == theirs[name].tobytes()
        for name in ours
    )


def _remove_unused(folder: Path, progress: JournalProgress) -> None:
    """Delete files of an interrupted or finished run that progress.json does not count."""
    kept = {spectrum_file(index) for index in range(progress.spectra)} | {progress.state_file}
    directions = directions_in(folder, progress.spectra)
    kept |= {
        directions_of(Path(spectrum_file(index))).name for index in directions if index not in superseded(directions)
    }
    for pattern in ("state-*.npz", "spectrum-*.npz", "directions-*.npz", "*-finished.*", ".*.new"):
        for file in folder.glob(pattern):
            if file.name not in kept:
                file.unlink()
