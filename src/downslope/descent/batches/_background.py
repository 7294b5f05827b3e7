"""Work that goes on beside the steps, on a thread of its own: what is computed releases the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Beside:
    """One piece of work at a time on a thread of its own; what comes of it is taken when it is asked for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="downslope-look")
        self._under_way: tuple[Future[Any], Callable[[Any], None]] | None = None

    def begin(self, work: Callable[[], Any], take: Callable[[Any], None]) -> None:
        """Begin a piece of work, the one before being taken first.

        Args:
            work: what to do, on the other thread.
            take: called with what it returned, on this one.
        """
        self.settle()
        self._under_way = self._thread.submit(work), take

    def settle(self) -> None:
        """Wait for the work under way, if any, and take what came of it."""
        if self._under_way is None:
            return
        (waiting, take), self._under_way = self._under_way, None
        take(waiting.result())

    def close(self) -> None:
        """Let the thread end; what was not taken is lost."""
        self._under_way = None
        self._thread.shutdown(wait=True)
