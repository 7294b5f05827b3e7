"""An executor of one thread, to which everything is sent as bytes, and which fails as a script says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Fake:
    """An executor whose only worker takes the newest call first, and is struck by what a script says.

    Args:
        fate: from the number of calls begun before to an error that keeps this one from an answer, or None.
    """

    def __init__(self, fate: Callable[[int], BaseException | None] = lambda number: None) -> None:
        self.fate, self.calls, self.begun = fate, 0, 0
        self.orders: list[Any] = []
        self._waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            self.orders.append(arguments)
            self._waiting.append((future, function, arguments))
            self.calls += 1
            self._changed.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                future, function, arguments = self._waiting.pop()
            if not future.set_running_or_notify_cancel():
                continue
            error = self.fate(self.begun)
            self.begun += 1
            if error is None:
                future.set_result(function(*arguments))
            else:
                future.set_exception(error)
