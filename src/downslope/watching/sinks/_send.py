"""`send`: a trace to an experiment tracker, its numbers by step and its verdicts."""

from __future__ import annotations

import importlib.util

from downslope._errors import MissingExtraError, SettingError, described, nearest
from downslope._types import Plain
from downslope.diagnosis import diagnose
from downslope.trace import HasTrace, Trace, as_trace
from downslope.watching.sinks._mlflow import MlflowSink
from downslope.watching.sinks._scalars import Sink, scalars_of, texts_of
from downslope.watching.sinks._tensorboard import TensorBoardSink
from downslope.watching.sinks._wandb import WandbSink

_LIBRARIES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}  # the module of each tracker
_PACKAGES = {"mlflow": "mlflow-skinny"}  # those with another name than their module
_EXAMPLE = 'ds.send(trace, "tensorboard:logs")'


def send(trace: Trace | HasTrace, target: str, *, name: str | None = None) -> str:
    """Send a trace to TensorBoard, Weights & Biases or MLflow through their own libraries.

    The loss, the norms of gradient and update, the rate and the evaluations are sent by step under their names, those
    of layers as `layer/<layer>/<quantity>`, and each verdict of `diagnose` as a text, `verdict/<symptom>`. The
    trackers receive copies: the trace remains the record.

    Args:
        trace: the trace, or a result that holds one.
        target: `"tensorboard:FOLDER"`; `"wandb:offline"`, `"wandb:PROJECT"`, `"wandb:ENTITY/PROJECT"`, or `"wandb:"`
            for the run under way; `"mlflow:URI"`, such as a server, or `"mlflow:"` for the store that MLflow is set to.
        name: the name of the run there.

    Returns:
        The location of the run: its folder, address or identifier.

    Raises:
        SettingError: for a target that is none of these.
        MissingExtraError: if the tracker's library is not installed: `pip install 'downslope[trackers]'`.
    """
    sent = as_trace(trace, "send", _EXAMPLE)
    return SinkStream(target, name, sent.plan).close(sent)


class SinkStream:
    """A trace under way that is sent to a tracker as it grows.

    Args:
        target: where to, as `send` takes it.
        name: the name of the run there.
        plan: what the run is.
    """

    def __init__(self, target: str, name: str | None, plan: Plain) -> None:
        self._sink = _sink(target, name, plan)
        self._last: dict[str, int] = {}  # by column, since some come later than others

    def follow(self, trace: Trace) -> None:
        """Send the numbers after those that were sent before."""
        for step, numbers in scalars_of(trace, self._last):
            self._sink.scalars(step, numbers)
            self._last |= dict.fromkeys(numbers, step)
        self._sink.flush()

    def close(self, trace: Trace) -> str:
        """Send what is left and the verdicts, end it, and return where it can be seen."""
        try:
            self.follow(trace)
            self._sink.texts(trace.last_step, texts_of(diagnose(trace)))
        finally:
            seen = self._sink.close()
        return seen


def check_target(target: object) -> str:
    """Return a target, or raise if no tracker is meant by it.

    >>> check_target("tensorbord:logs")
    Traceback (most recent call last):
    downslope.SettingError: there is no tracker 'tensorbord'
    did you mean 'tensorboard'?
    """
    if not isinstance(target, str):
        raise SettingError(f"a tracker is written as a text, not {described(target)}", hint=_EXAMPLE)
    kind, _, _ = target.partition(":")
    if kind not in _LIBRARIES:
        close = nearest(kind, _LIBRARIES)
        known = f"a tracker begins with {', '.join(f'{tracker}:' for tracker in _LIBRARIES)}"
        raise SettingError(f"there is no tracker {kind!r}", hint=f"did you mean {close!r}?" if close else known)
    return target


def require_library(tracker: str) -> None:
    """Raise if the library of a tracker is not installed.

    Raises:
        MissingExtraError: with what to install.
    """
    module = _LIBRARIES[tracker]
    spec = importlib.util.find_spec(module)
    # A folder without a module is none either: runs of wandb stand in one of its name.
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"{_PACKAGES.get(module, module)} is not installed",
            hint="Install it with the extra `trackers`: pip install 'downslope[trackers]'.",
        )


def _sink(target: str, name: str | None, plan: Plain) -> Sink:
    """Return the sink of a target."""
    kind, _, rest = check_target(target).partition(":")
    require_library(kind)
    if kind == "tensorboard":
        return TensorBoardSink(rest, name)
    return WandbSink(rest, name, plan) if kind == "wandb" else MlflowSink(rest, name, plan)
