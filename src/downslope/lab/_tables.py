"""The files that visitors gave: kept in memory, and only for as long as there is room."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A file with a table.

    Args:
        name: what the visitor calls it.
        data: what it holds.
    """

    name: str
    data: bytes


class Tables:
    """All of them, the longest unused making room for new ones.

    Args:
        room: how many bytes they may hold together.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[str, Table] = OrderedDict()

    def keep(self, table: Table) -> str:
        """Keep a table and return its key, which follows from what it holds and how it is called."""
        key = hashlib.sha256(table.name.encode() + b"\n" + table.data).hexdigest()[:24]
        self._kept[key] = table
        self._kept.move_to_end(key)
        while sum(len(one.data) for one in self._kept.values()) > self._room:
            self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> Table | None:
        """Return the table of a key, or None if it is not there, or no more."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)
