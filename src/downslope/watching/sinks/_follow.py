"""Trackers that receive the trace of a watch as it grows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

from downslope._errors import in_a_line
from downslope.trace import Trace
from downslope.watching.sinks._send import SinkStream, check_target, require_library


class FollowingSink:
    """A tracker that follows a watch; what fails in it is said once, and never stops the training.

    Args:
        target: the tracker, as `send` takes it.
        name: the name of the run there.

    Raises:
        SettingError: for a target that is none.
        MissingExtraError: if its library is not installed.
    """

    def __init__(self, target: str, name: str | None) -> None:
        self._target, self._name = check_target(target), name
        # Now, not when the first rows arrive: by then the training is under way.
        require_library(target.partition(":")[0])
        self._stream: SinkStream | None = None
        self._failed = False

    def follow(self, trace: Trace) -> None:
        """Send what is new."""
        self._try(lambda stream: stream.follow(trace), trace)

    def close(self, trace: Trace) -> None:
        """Send what is left, and the verdicts."""
        self._try(lambda stream: stream.close(trace), trace)

    def _try(self, send: Callable[[SinkStream], object], trace: Trace) -> None:
        """Send something, or give up for good."""
        if self._failed or not len(trace):
            return
        try:
            # Begun with the first rows, when the plan is known.
            self._stream = self._stream or SinkStream(self._target, self._name, trace.plan)
            send(self._stream)
        except Exception as error:
            self._failed = True
            warnings.warn(f"downslope: nothing more is sent to {self._target}: {in_a_line(error)}", stacklevel=4)


def following(also: str | Sequence[str], name: str | None = None) -> tuple[FollowingSink, ...]:
    """Return the trackers that a watch sends to, of one target or several."""
    targets = [also] if isinstance(also, str) else list(also)
    return tuple(FollowingSink(target, name) for target in targets)
