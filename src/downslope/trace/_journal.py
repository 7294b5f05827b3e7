"""A trace on disk while it is being made: appended to as training runs, whole again after `kill -9`.

The folder is that of `save`, with these beside:

    progress.json      how many bytes of each stream count, and the writer's note; replaced in one move
    state-<n>.npz      what training needs to go on, as it was last acknowledged
    spectrum-<n>.npz   the curvature where it was measured
    directions-<n>.npz the directions of its two ends: of the first, of the last one that the state goes with, and of
                       those behind it

Rows are *acknowledged* once progress.json tells of them: the state is written first, then the rows, both down to the
disk, then progress.json, and only then the state before is removed. Whatever stands in a file past what progress.json
tells is a torn piece and counts for nothing. So a reader sees every row that was acknowledged and no other, and who
goes on from the state has exactly the rows that led to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import TraceError
from downslope._types import Columns, Plain
from downslope.trace._contents import STREAMS, streams_of, told_of
from downslope.trace._disk import (
    aligned,
    append_stream,
    cut_stream,
    read_arrays,
    refuse_other,
    replace_folder,
    write_arrays,
    write_json,
)
from downslope.trace._progress import (
    AcknowledgedRows,
    JournalProgress,
    directions_kept,
    is_journal,
    read_progress,
    read_rows,
    spectrum_file,
    state_file,
    stream_file,
    write_progress,
    write_spectrum,
)
from downslope.trace._store import load, write_points, write_stream
from downslope.trace._trace import Outcome, Spectrum, Trace


class Journal:
    """A trace that is being made. One process writes it; any number may `load` it meanwhile.

    Made by `Journal.begin` or `Journal.reopen`.

    Args:
        folder: where it is.
        progress: what was acknowledged.
    """

    def __init__(self, folder: Path, progress: JournalProgress) -> None:
        self.folder = folder
        self._progress = progress
        self._finished = False

    @classmethod
    def begin(cls, folder: str | Path, header: Trace) -> Journal:
        """Begin a trace in a folder of its own, replacing a trace that is there.

        Args:
            folder: where to; its parents are made.
            header: a trace whose plan, names, start, versions and facts are those of the trace to be.

        Raises:
            TraceError: if something else than a trace is there, or it cannot be written.
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
        return cls(target, JournalProgress())

    @classmethod
    def reopen(cls, folder: str | Path) -> Journal:
        """Go on with a trace where its last state was acknowledged: rows that came after it are cut off.

        A trace that was finished can be gone on with as well; it is a running one from then on.

        Raises:
            TraceError: if the folder was not written by a journal, or is damaged.
        """
        source = Path(folder)
        if not is_journal(source):
            hint = "only a training that was saved while it ran can be gone on with"
            raise TraceError(f"there is no training to go on with in {source}", hint=hint)
        header = load(source)
        progress = read_progress(source).at_state()
        try:
            if header.outcome is not Outcome.RUNNING:
                _write_header(source, header)
            # Readers are told of the fewer rows before the others go.
            write_progress(source, progress)
            for name in STREAMS:
                cut_stream(source / stream_file(name), progress.lengths.get(name, 0))
            _remove_left_over(source, progress)
        except OSError as error:
            raise TraceError(f"{source} cannot be gone on with: {error.strerror or error}") from None
        return cls(source, progress)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The state that was last acknowledged, read from disk; empty where there is none yet."""
        file = self._progress.state_file
        return read_arrays(self.folder / file) if file else {}

    @property
    def note(self) -> Plain:
        """The note that was last acknowledged; empty where there is none yet."""
        return self._progress.note

    def rows(self) -> AcknowledgedRows:
        """Return everything that was acknowledged so far, read from disk."""
        return read_rows(self.folder, self._progress.lengths)

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
        """Add rows, and acknowledge them all at once.

        Each of the four takes the same columns, of the same types, every time; or None or no rows where there are none
        to add. A single number stands for every row.

        Args:
            steps: `step`, `value`, … of the steps, shape (rows,).
            layers: `step` of the layer rows, shape (layer rows,), and the columns by layer, shape (layer rows, layers).
            parts: the norms by part, shape (layer rows, parts); with `step` where `layers` has none.
            metrics: `step` of the evaluations, and what was measured, shape (evaluations,).
            spectra: the curvature where it was measured; its directions are dropped once a state goes with later ones,
                but for those of the first.
            state: what training needs to go on behind these rows, arrays by name; None to add rows only. Those are
                shown to readers, and are cut off where training goes on from the state before.
            note: plain data that goes with the rows; None to leave the one before.

        Raises:
            TraceError: if the columns are others than before, the trace is finished, or it cannot be written.
            ValueError: if columns differ in their number of rows, or come without their steps.
        """
        if self._finished:
            raise TraceError(f"{self.folder} is finished", hint="Journal.reopen goes on with a finished trace")
        streams = _streams(steps or {}, layers or {}, parts or {}, metrics or {})
        before = self._progress
        _refuse_gaps(streams, before.lengths)
        try:
            if state is not None:
                write_arrays(self.folder / state_file(before.states + 1), state)
            lengths = self._written(streams, spectra)
            after = replace(before, lengths=lengths, note=before.note if note is None else note)
            after = after if state is None else after.with_state()
            write_progress(self.folder, after)
        except OSError as error:
            raise TraceError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        self._progress = after
        if state is not None:
            (self.folder / state_file(before.states)).unlink(missing_ok=True)
            _remove_directions(self.folder, after)

    def finish(self, trace: Trace) -> None:
        """Write the finished trace, so that `load` gives it to the last bit; the last state stays beside it.

        Raises:
            TraceError: if it cannot be written.
        """
        try:
            streams = self._finished_streams(trace)
            points = write_points(trace, self.folder / "points-finished.npz")
            write_json(self.folder / "trace.json", told_of(trace, streams, points))
            (self.folder / "points.npz").unlink(missing_ok=True)
        except OSError as error:
            raise TraceError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        self._finished = True

    def _written(self, streams: Mapping[str, Columns], spectra: Sequence[Spectrum]) -> dict[str, int]:
        """Write rows and spectra behind those that count, and return how much there is then."""
        lengths = dict(self._progress.lengths)
        for name, columns in streams.items():
            lengths[name] = append_stream(self.folder / stream_file(name), lengths.get(name, 0), columns)
        count = lengths.get("spectra", 0)
        for place, spectrum in enumerate(spectra, start=count):
            write_spectrum(self.folder / spectrum_file(place), spectrum)
        return lengths | {"spectra": count + len(spectra)}

    def _finished_streams(self, trace: Trace) -> dict[str, dict[str, Any]]:
        """Return where the streams of a finished trace are: those that hold its columns stay as they are."""
        held, told = self.rows().streams, {}
        for name, columns in streams_of(trace).items():
            if _same(held.get(name, {}), columns):
                told[name] = {"file": stream_file(name), "length": self._progress.lengths[name]}
            else:
                told[name] = write_stream(self.folder / f"{name}-finished.arrow", columns)
        return told


def _write_header(folder: Path, header: Trace) -> None:
    """Write what is known of a trace before its first row."""
    begun = Trace(
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
    write_json(folder / "trace.json", told_of(begun, None, write_points(begun, folder / "points.npz")))


def _streams(steps: Columns, layers: Columns, parts: Columns, metrics: Columns) -> dict[str, Columns]:
    """Return the columns by stream, those of layers and parts with the same rows; a stream of no rows is left out."""
    if "step" in parts:
        layers = {"step": parts["step"], **layers}
        parts = {name: column for name, column in parts.items() if name != "step"}
    given = {
        "steps": (steps, steps),
        "layers": (layers, layers),
        "parts": (parts, layers),
        "metrics": (metrics, metrics),
    }
    streams: dict[str, Columns] = {}
    for name, (columns, with_steps) in given.items():
        if columns and "step" not in with_steps:
            raise ValueError(f"the {name} came without their steps")
        if columns and len(with_steps["step"]):
            streams[name] = aligned(columns, len(with_steps["step"]))
    return streams


def _refuse_gaps(streams: Mapping[str, Columns], lengths: Mapping[str, int]) -> None:
    """Raise where layers and parts, which share their rows, would no longer have as many."""
    if "layers" in streams and lengths.get("layers") and ("parts" in streams) != bool(lengths.get("parts")):
        raise ValueError("the layers and the parts have the same rows: give both at every append, or only ever one")


def _same(ours: Columns, theirs: Columns) -> bool:
    """Tell whether columns are the same to the last bit, and in the same order."""
    return list(ours) == list(theirs) and all(
        ours[name].dtype == theirs[name].dtype
        and ours[name].shape == theirs[name].shape
        and ours[name].tobytes() == theirs[name].tobytes()
        for name in ours
    )


def _remove_directions(folder: Path, progress: JournalProgress) -> None:
    """Remove the directions that nothing will ask for: a state was acknowledged with all the spectra that there are."""
    kept = directions_kept(folder, progress.lengths.get("spectra", 0))
    for file in folder.glob("directions-*.npz"):
        if file.name not in kept:
            file.unlink()


def _remove_left_over(folder: Path, progress: JournalProgress) -> None:
    """Remove what a cut-off or a finished run left and nothing tells of any more."""
    kept = {spectrum_file(place) for place in range(progress.lengths.get("spectra", 0))} | {progress.state_file}
    kept |= directions_kept(folder, progress.lengths.get("spectra", 0))
    for pattern in ("state-*.npz", "spectrum-*.npz", "directions-*.npz", "*-finished.*", ".*.new"):
        for file in folder.glob(pattern):
            if file.name not in kept:
                file.unlink()
