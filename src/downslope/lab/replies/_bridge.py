"""From work that calls back to pieces that can be sent one by one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

Piece = dict[str, Any]


def pieces(work: Callable[[Callable[[Piece], None]], None]) -> Iterator[Piece]:
    """Yield what work tells as it goes on.

    Args:
        work: called with the function that takes a piece; it runs on a thread of its own, and what it raises is raised
            here once all that it told before has been taken.
    """
    told: queue.SimpleQueue[Piece | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            work(told.put)
        except BaseException as wrong:
            told.put(wrong)
        else:
            told.put(None)

    threading.Thread(target=run, daemon=True).start()
    while (piece := told.get()) is not None:
        if isinstance(piece, BaseException):
            raise piece
        yield piece
