"""The saved runs of a folder, named by their path below it.

A name from a page is only looked up among the runs that the search lists, and never becomes a path: so no name,
whatever its dots and slashes, reaches a file outside the folder.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from downslope._errors import TraceError

if TYPE_CHECKING:
    from downslope.trace import Outline

_FILES = ("trace.json", "progress.json")
_DEEPEST = 3  # levels below the folder that is searched
_MOST_FOLDERS = 3000  # that are searched, so that a home folder takes no minutes
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__"})
_FRESH = 15.0  # seconds without a change after which a run whose writer is not known counts as cut off
RUNNING, CUT_OFF, FINISHED, DAMAGED = "running", "cut off", "finished", "damaged"


@dataclass(frozen=True)
class SavedRun:
    """A saved run, as it is now.

    Args:
        name: its path below the searched folder, with `/`.
        folder: its own folder.
        changed: the time of the last change, in seconds since 1970.
        mark: times and sizes of its files, which differ after each change.
    """

    name: str
    folder: Path
    changed: float
    mark: tuple[tuple[int, int], ...]


class Runs:
    """The runs in a folder and its subfolders.

    Args:
        folder: the folder to search.
        most: how many are listed, the latest first.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self._most = most

    def listed(self) -> list[SavedRun]:
        """Return the runs that exist now, the latest first."""
        runs = [run for folder in _folders(self.folder) if (run := run_in(folder, self.folder)) is not None]
        return sorted(runs, key=lambda run: (-run.changed, run.name))[: self._most]

    def named(self, name: str) -> SavedRun | None:
        """Return the run of a name, or None if there is none."""
        return next((run for run in self.listed() if run.name == name), None)


def run_in(folder: Path, root: Path) -> SavedRun | None:
    """Return the run that a folder holds, as it is now; None if it holds none."""
    stats = []
    for file in _FILES:
        with contextlib.suppress(OSError):
            stats.append((folder / file).stat())
        if not stats:  # no trace.json, the first of them
            return None
    name = folder.relative_to(root).as_posix()
    mark = tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)
    changed = max(stat.st_mtime for stat in stats)
    return SavedRun(root.resolve().name if name == "." else name, folder, changed, mark)


def state_of(run: SavedRun) -> str:
    """Return whether a run is running, cut off, finished or damaged."""
    header = header_of(run)
    if header is None:
        return DAMAGED
    if header.outcome.identifier != RUNNING:
        return FINISHED
    from downslope.trace import is_written

    written = is_written(run.folder)
    if written is None:
        written = time.time() - run.changed < _FRESH
    return RUNNING if written else CUT_OFF


@functools.lru_cache(maxsize=512)
def header_of(run: SavedRun) -> Outline | None:
    """Return the outline of a run, or None if it cannot be read: once after each change, since `mark` is in the key."""
    # Imported here: NumPy would take up most of the time in which the server starts.
    from downslope.trace import outline

    try:
        return outline(run.folder)
    except TraceError:
        return None


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders that may be runs, breadth first; none within a run, hidden, linked to, or too deep."""
    waiting, count = [(root, 0)], 0
    while waiting and count < _MOST_FOLDERS:
        folder, depth = waiting.pop(0)
        count += 1
        if _is_run(folder):
            yield folder
            continue
        if depth == _DEEPEST:
            continue
        try:
            with os.scandir(folder) as entries:
                inner = [entry.path for entry in entries if _is_searched(entry)]
        except OSError:
            continue
        waiting += [(Path(path), depth + 1) for path in sorted(inner)]


def _is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run that may be read."""
    try:
        return (folder / "trace.json").is_file()
    except OSError:
        return False


def _is_searched(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name not in _SKIPPED and entry.is_dir(follow_symlinks=False)
