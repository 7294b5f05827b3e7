"""A sink for TensorBoard: event files, by tensorboardX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from downslope._errors import SettingError

_FLUSH_SECONDS = 5  # what is sent waits in a queue of the writer, which `flush` of it does not empty


class TensorBoardSink:
    """Writes event files into a folder.

    Args:
        target: the folder.
        name: the name of the run, a folder in it; none for the folder itself.

    Raises:
        SettingError: without a folder.
    """

    def __init__(self, target: str, name: str | None) -> None:
        if not target:
            raise SettingError("tensorboard needs a folder", hint='ds.send(trace, "tensorboard:logs")')
        from tensorboardX import SummaryWriter  # pyright: ignore[reportMissingImports]

        self._folder = Path(target) / (name or "")
        try:
            self._writer = SummaryWriter(str(self._folder), flush_secs=_FLUSH_SECONDS)
        except OSError as error:
            raise SettingError(f"{self._folder} cannot be written: {error.strerror or error}") from None

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        for name, number in numbers.items():
            self._writer.add_scalar(name, number, step)

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Send texts that belong to a step."""
        for name, text in texts.items():
            self._writer.add_text(name, text, step)

    def flush(self) -> None:
        """Let readers see what was sent."""
        self._writer.flush()

    def close(self) -> str:
        """End it, and return the folder."""
        self._writer.close()
        return str(self._folder)
