"""Work between two chunks: update the progress bar, and notice Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from downslope._errors import SettingError, described

Show = Callable[[int, int, float], None]
_PATIENCE = 1.0  # seconds before a bar appears unasked


class Interruption:
    """A context in which Ctrl-C is noted and not raised, so that the chunk under way is kept.

    A second Ctrl-C is raised as usual. Outside the main thread signals cannot be caught, and nothing is changed.

    Args:
        armed: False for work too short to be worth watching over.
    """

    def __init__(self, armed: bool = True) -> None:
        self.requested = False
        self._armed = armed
        self._before: Any = None

    def __enter__(self) -> Interruption:
        if self._armed and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def checked_progress(progress: Any) -> Any:
    """Return the checked choice of how to show progress.

    Raises:
        SettingError: if it is neither true nor false nor a function.
    """
    if progress is None or isinstance(progress, bool) or callable(progress):
        return progress
    raise SettingError(f"progress is true, false or a function, not {described(progress)}")


@contextlib.contextmanager
def progress_bar(wanted: bool | Show | None, steps: int) -> Iterator[Show]:
    """Yield the function that shows progress: the caller's own, a bar on the terminal, or one that does nothing.

    Args:
        wanted: True for a bar, False for none, None for a bar on a terminal after a second, or a function.
        steps: the steps allowed.
    """
    if callable(wanted):
        yield wanted
    elif wanted is False or (wanted is None and not sys.stderr.isatty()):
        yield lambda done, steps, value: None
    else:
        bar = _Bar(steps, patience=0.0 if wanted else _PATIENCE)
        try:
            yield bar.show
        finally:
            bar.close()


class _Bar:
    """A Rich progress bar that appears once the work has lasted."""

    def __init__(self, steps: int, patience: float) -> None:
        self._steps = steps
        self._appears = time.perf_counter() + patience
        self._bar: Any = None
        self._task: Any = None

    def show(self, done: int, steps: int, value: float) -> None:
        """Show how many steps are done and the value reached."""
        if self._bar is None:
            if time.perf_counter() < self._appears:
                return
            self._bar = self._opened()
        self._bar.update(self._task, completed=done, value=f"{value:.6g}")

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def _opened(self) -> Any:
        """Return the bar, shown on the terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("descending"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("value {task.fields[value]}"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        bar.start()
        self._task = bar.add_task("descending", total=self._steps, value="")
        return bar
