"""The runs that lie in a folder: found by looking, and named by their place in it.

A name that comes from a page is only ever looked up among those that were found, and never made into a path.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FILES = ("trace.json", "progress.json")
_DEEPEST = 3  # folders below the one that is looked through
_MOST_LOOKED_INTO = 3000  # folders
_PASSED_OVER = frozenset({"node_modules", "site-packages", "__pycache__"})
_FRESH = 15.0  # seconds without a change after which a run that is not finished counts as cut off
RUNNING, CUT_OFF, FINISHED, DAMAGED = "running", "cut off", "finished", "damaged"


@dataclass(frozen=True)
class Found:
    """A run.

    Args:
        name: its place in the folder, with `/`.
        folder: where it is.
        changed: when it was written last, in seconds since 1970.
        mark: what is another one after each change.
    """

    name: str
    folder: Path
    changed: float
    mark: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Header:
    """What the trace.json of a run tells of it.

    Args:
        outcome: how it ended, as an identifier.
        what: what was gone down, as it was read.
        method: how.
    """

    outcome: str
    what: str
    method: str


class Runs:
    """The runs in a folder and those within.

    Args:
        folder: where to look.
        most: how many are found, the latest first.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self._most = most

    def found(self) -> list[Found]:
        """Return the runs that are there now, the latest first."""
        every = [found_in(place, self.folder) for place in _folders(self.folder)]
        there = [one for one in every if one is not None]
        return sorted(there, key=lambda one: (-one.changed, one.name))[: self._most]

    def named(self, name: str) -> Found | None:
        """Return the run of a name, or None if there is none."""
        return next((one for one in self.found() if one.name == name), None)


def found_in(place: Path, root: Path) -> Found | None:
    """Return the run that a folder is, as it is now; None if it is none."""
    stats = []
    for file in _FILES:
        try:
            stats.append((place / file).stat())
        except OSError:
            stats.append(None)
    if stats[0] is None:
        return None
    there = [one for one in stats if one is not None]
    name = place.relative_to(root).as_posix()
    mark = tuple((one.st_mtime_ns, one.st_size) for one in there)
    return Found(root.resolve().name if name == "." else name, place, max(one.st_mtime for one in there), mark)


def state_of(run: Found) -> str:
    """Return how a run stands."""
    header = header_of(run)
    if header is None:
        return DAMAGED
    if header.outcome != RUNNING:
        return FINISHED
    return RUNNING if time.time() - run.changed < _FRESH else CUT_OFF


@functools.lru_cache(maxsize=512)
def header_of(run: Found) -> Header | None:
    """Return what the trace.json of a run tells of it, or None if it cannot be read; read once after each change."""
    try:
        told = json.loads((run.folder / "trace.json").read_text(encoding="utf-8"))
        plan = told["plan"]
        return Header(str(told["outcome"]), str(plan.get("read_as", "")), str(plan.get("method", "")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders that may be runs: not what is within one, hidden, linked to, or too deep."""
    waiting, looked_into = [(root, 0)], 0
    while waiting and looked_into < _MOST_LOOKED_INTO:
        place, depth = waiting.pop(0)
        looked_into += 1
        if (place / "trace.json").is_file():
            yield place
            continue
        if depth == _DEEPEST:
            continue
        try:
            with os.scandir(place) as entries:
                inner = [entry.path for entry in entries if _is_looked_into(entry)]
        except OSError:
            continue
        waiting += [(Path(path), depth + 1) for path in sorted(inner)]


def _is_looked_into(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name not in _PASSED_OVER and entry.is_dir(follow_symlinks=False)
