"""Load a saved trace: verify it, restore it, and report what is damaged and what is intact."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from downslope._errors import SettingError, TraceError, described
from downslope._types import Columns
from downslope.trace._checksum import Extent
from downslope.trace._contents import check_points, entries, trace_of
from downslope.trace._folders import brief, identity, moved_aside
from downslope.trace._header import Header, read_header, stream_files
from downslope.trace._progress import is_journal, read_progress, read_spectra, stream_file
from downslope.trace._read_files import read_arrays, read_rows_until_damage
from downslope.trace._trace import Outcome, Trace

Damaged = Literal["refuse", "keep"]

# Prefixes of the names in a state: of the point, by part, and of the other arrays that a network carries, numbered.
_POINT, _MEMORY = "point/", "memory/"
_BY_LAYER = (*stream_files("layers"), *stream_files("parts"))
_LARGEST_READ = 2**27  # bytes of a stream by layer or by part that are read; beyond, its columns are when they are used
_WAITS = (0.01, 0.05, 0.25)  # seconds before each new attempt to read a folder that is being written


def load(folder: str | os.PathLike[str], *, damaged: Damaged = "refuse") -> Trace:
    """Load a saved trace; it equals the original to the last bit.

    The checksum of every file is verified. A trace that was saved before checksums were introduced is loaded with a
    caveat.

    A trace that is still being written, or whose writer was interrupted, can be loaded as well. It holds all rows
    acknowledged so far, its outcome is `Outcome.RUNNING`, and its `end` is the point of the last saved state (the start
    before the first); from then on `facts["memory"]` holds the other arrays that its network carries.

    Args:
        folder: a folder written by `save`, or by a training with `save=`.
        damaged: how to treat a damaged run. "refuse" raises; "keep" returns the rows before the damage, says in
            `caveats` what is missing, and puts NaN in place of points that are. A run whose `trace.json` is damaged is
            always refused.

    Raises:
        TraceError: if there is no trace, it is of another version, or it is damaged; names the file, and what of the
            run is intact.
    """
    named = checked_path(folder)
    if damaged not in ("refuse", "keep"):
        raise SettingError(f'damaged is "refuse" or "keep", not {described(damaged)}')
    _refuse_no_trace(_now_at(named))
    loaded = _settled(named)
    if loaded.damages and damaged == "refuse":
        raise loaded.refusal(named)
    return loaded.trace


def load_header(source: Path) -> Trace:
    """Load a trace without its rows.

    Raises:
        TraceError: if its header or its points are damaged.
    """
    header = read_header(source / "trace.json")
    arrays = read_arrays(source / header.arrays, header.is_verified) if header.arrays else {}
    return trace_of(header, {}, arrays, str(source))


@dataclass(frozen=True)
class Outline:
    """The entry of a run in a list of runs.

    Args:
        outcome: how it ended.
        read_as: the objective, as it was read.
        method: the name of the method.
    """

    outcome: Outcome
    read_as: str
    method: str


def outline(folder: Path) -> Outline:
    """Return the outline of a saved trace, from its header alone, which is checked as `load` does.

    Raises:
        TraceError: if the header is missing or damaged.
    """
    header = read_header(folder / "trace.json")
    return Outline(header.outcome, header.plan.get("read_as") or "", header.plan.get("method") or "")


def _settled(named: Path) -> _Loaded:
    """Restore a trace; again where a writer may have replaced files between two reads, which looks like damage."""
    for wait in _WAITS:
        source = _now_at(named)
        before, is_written = identity(source), is_journal(source)
        try:
            loaded = _restored(source)
        except TraceError:
            if not is_written and identity(source) == before:
                raise
        else:
            # Otherwise the folder was replaced while it was read, and the files may be of two traces.
            if identity(source) == before and not (loaded.damages and is_written):
                return loaded
        time.sleep(wait)
    return _restored(_now_at(named))


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return a path, or raise if it cannot be the name of a file."""
    if not isinstance(path, str | os.PathLike) or "\0" in str(path):
        raise TraceError(f"a path is a text or a pathlib.Path, not {described(path)}")
    return Path(path)


def _now_at(folder: Path) -> Path:
    """Return where a trace is at this moment: aside, if its writer was killed before the new one had the name."""
    try:
        return moved_aside(Path(os.path.realpath(folder))) or folder
    except OSError:  # a link of another user, which must not be read
        return folder


def _refuse_no_trace(source: Path) -> None:
    """Raise, saying why, if a path does not lead to a trace that can be read."""
    hint = "a trace is a folder written by ds.save, or by descend --save"
    try:
        if stat.S_ISDIR(source.stat().st_mode):
            (source / "trace.json").stat()
            return
        raise TraceError(f"there is no trace in {source}: it is a file", hint=hint)
    except (FileNotFoundError, NotADirectoryError):
        raise TraceError(f"there is no trace in {source}", hint=hint) from None
    except OSError as error:
        raise TraceError(f"{brief(source)} cannot be read: {error.strerror or error}") from None


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A restored trace.

    Args:
        trace: the trace, of a damaged run what is intact.
        damages: what is damaged, and what is missing for it.
    """

    trace: Trace
    damages: tuple[tuple[str, str], ...]

    def refusal(self, source: Path) -> TraceError:
        """Return the error for a damaged run."""
        what = "; ".join(f"{damage}: lost are {missing}" for damage, missing in self.damages)
        rows = f"the rows up to step {self.trace.last_step}" if len(self.trace) else "what is beside the rows"
        return TraceError(what, hint=f'ds.load({str(source)!r}, damaged="keep") returns what is intact: {rows}')


def _restored(source: Path) -> _Loaded:
    """Restore a trace from the files as they are at this moment."""
    header = read_header(source / "trace.json")
    try:
        return _Restoration(source, header).restored()
    except MemoryError:
        raise TraceError(f"{source} needs more memory than there is") from None


class _Restoration:
    """The reading of the files of a trace beside its header, with a note of each damage.

    Args:
        source: the folder.
        header: its header.
    """

    def __init__(self, source: Path, header: Header) -> None:
        self._source, self._header = source, header
        self._damages: list[tuple[str, str]] = []
        self._has_lost_steps = False

    def restored(self) -> _Loaded:
        """Return the trace, finished or being written."""
        header = self._header
        arrays = self._arrays(header.arrays, "the start and the end") if header.arrays else {}
        if arrays is None:
            header, arrays = _with_lost_points(header), {}
        trace = self._running(header, arrays) if header.streams is None else self._finished(header, arrays)
        check_points(trace, header, str(self._source))
        if self._has_lost_steps:
            trace = _until_last_row(trace)
        caveats = () if header.is_verified else (_UNVERIFIED,)
        caveats += tuple(f"{damage}: without {missing}" for damage, missing in self._damages)
        return _Loaded(trace.replace(caveats=caveats), tuple(self._damages))

    def _finished(self, header: Header, arrays: Columns) -> Trace:
        """Restore a finished trace."""
        streams = {name: self._rows(stream.file, stream.extent) for name, stream in (header.streams or {}).items()}
        return trace_of(header, self._even(streams), arrays, str(self._source))

    def _running(self, header: Header, arrays: Columns) -> Trace:
        """Restore a trace that is being written, or was cut off."""
        progress = read_progress(self._source, header.is_verified)
        streams = {name: self._rows(stream_file(name), extent) for name, extent in progress.extents.items()}
        # The header of a running trace has no end and no facts on it: they come from the last state.
        begun = trace_of(header, self._even(streams), arrays, str(self._source))
        state = self._arrays(progress.state_file, "the network as last saved") if progress.state_file else {}
        end = _with_lost_points(header).end if state is None else entries(state, _POINT)
        if end and set(end) != set(header.part_names):
            raise TraceError(f"{self._source} is damaged: its state has other parts")
        memory = {"memory": list(entries(state, _MEMORY).values())} if state else {}
        spectra = read_spectra(self._source, progress.spectra, header.is_verified, self._note)
        # A finished run that is resumed was of the step that it kept; its end is now the last state.
        facts = {name: fact for name, fact in begun.facts.items() if name != "kept"}
        return begun.replace(end=end or begun.start, spectra=spectra, facts={**facts, **memory})

    def _rows(self, file: str, extent: Extent) -> Columns:
        """Read the intact rows of a stream."""
        most = _LARGEST_READ if file in _BY_LAYER else math.inf
        columns, damage = read_rows_until_damage(self._source / file, extent, most)
        if damage is not None:
            steps = columns.get("step", np.zeros(0))
            last = (
                f"after step {steps[-1]}" if len(steps) else f"after the first {len(next(iter(columns.values()), ()))}"
            )
            self._note(damage, f"the rows {last}")
            self._has_lost_steps |= file in stream_files("steps")
        return columns

    def _arrays(self, file: str, what: str) -> Columns | None:
        """Read a file of arrays; None if it is damaged."""
        try:
            return read_arrays(self._source / file, self._header.is_verified)
        except TraceError as error:
            if not self._header.is_verified:  # the shapes of what is lost are not known
                raise
            self._note(error.message, what)
            return None

    def _even(self, streams: Mapping[str, Columns]) -> Mapping[str, Columns]:
        """Return streams of which those that share their rows have equally many, as far as damage cut them off."""
        return _even(streams) if self._damages else streams

    def _note(self, damage: str, missing: str) -> None:
        """Note a damage and what is missing for it."""
        self._damages.append((damage, missing))


_UNVERIFIED = "saved by an earlier version without checksums: damage would not show"


def _with_lost_points(header: Header) -> Header:
    """Return a header with NaN in place of its start and its end, which are damaged."""
    shapes = zip(header.part_names, header.part_shapes or (), strict=False)
    lost = {name: np.full(shape, np.nan) for name, shape in shapes}
    return replace(header, start=lost, end=lost)


def _even(streams: Mapping[str, Columns]) -> dict[str, Columns]:
    """Return streams of which the parts have as many rows as the layers, or the steps, whose rows they share."""
    owner = "layers" if "layers" in streams else "steps"
    if "parts" not in streams or owner not in streams:
        return dict(streams)
    both = {name: streams[name] for name in (owner, "parts")}
    rows = min(len(next(iter(columns.values()), ())) for columns in both.values())
    return {**streams, **{name: _first(columns, rows) for name, columns in both.items()}}


def _first(columns: Columns, rows: int) -> Columns:
    """Return the first rows of columns; none of them for no rows."""
    return {name: column[:rows] for name, column in columns.items()} if rows else {}


def _until_last_row(trace: Trace) -> Trace:
    """Return a trace whose rows were cut off as one that was cut off there: nothing in it is of a later step."""
    last = trace.last_step if len(trace) else -1
    layers = slice(0) if trace.layer_steps is None else slice(int(np.sum(trace.layer_steps <= last)))
    evaluations = slice(int(np.sum(trace.metrics["step"] <= last))) if trace.metrics else slice(0)
    rows = slice(len(trace)) if trace.layer_steps is None else layers
    return trace.replace(
        outcome=Outcome.RUNNING,
        end=_last_point(trace) or trace.end,
        part_columns={name: column[rows] for name, column in trace.part_columns.items()},
        layer_steps=None if trace.layer_steps is None else trace.layer_steps[layers],
        layer_columns={name: column[layers] for name, column in trace.layer_columns.items()},
        metrics={name: column[evaluations] for name, column in trace.metrics.items()},
        spectra=tuple(spectrum for spectrum in trace.spectra if spectrum.step <= last),
        not_finite_part=None,
        not_finite_step=None,
    )


def _last_point(trace: Trace) -> Columns:
    """Return the point of the last row, an array by part; empty if points are not recorded."""
    if trace.coordinates is None:
        return {}
    row, point, first = trace.coordinates[-1], {}, 0
    for name in trace.part_names:
        start = np.asarray(trace.start[name])
        point[name] = row[first : first + start.size].reshape(start.shape).astype(start.dtype)
        first += start.size
    return point
