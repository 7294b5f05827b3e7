"""The ways in which a descent ends."""

from __future__ import annotations

import enum


class Outcome(enum.Enum):
    """How a descent ended; the value is the sentence that the user reads.

    What it means for the point reached (a minimum? a saddle?) is for `diagnose` to say.
    """

    CONVERGED = "The gradient fell below the tolerance."
    STALLED = "The steps became smaller than the precision of the numbers: nothing moves any more."
    STEPS_USED = "All the steps that were allowed were taken."
    NOT_FINITE = "A value or a gradient was no longer a finite number; the trace ends at the last finite point."
    INTERRUPTED = "Stopped by the user; the trace holds every step until then."
    STOPPED_EARLY = "The validation loss had stopped falling, so the run was ended early."
    RUNNING = "Not finished: it is still running or was cut off; the trace holds every step that was written down."

    @property
    def identifier(self) -> str:
        """The name in lower case, for files and programs: `steps_used`."""
        return self.name.lower()

    @classmethod
    def from_identifier(cls, identifier: str) -> Outcome:
        """Return the member whose `identifier` this is."""
        return cls[identifier.upper()]
