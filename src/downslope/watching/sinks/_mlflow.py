"""A sink for MLflow, using only its client: the light package `mlflow-skinny` is enough."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from downslope._errors import SettingError
from downslope._types import Plain

_EXPERIMENT = "downslope"
_MOST_METRICS = 1000  # of one request
_LONGEST = 5000  # letters of a tag
_UNKNOWN_LETTERS = re.compile(r"[^/\w.\- ]")


class MlflowSink:
    """Logs into a run of MLflow.

    Args:
        target: the tracking URI: a server, `sqlite:///mlflow.db`, a folder; empty for that which MLflow is set to.
        name: the name of the run.
        plan: what the run was, for its parameters.

    Raises:
        SettingError: where no run can be begun.
    """

    def __init__(self, target: str, name: str | None, plan: Plain) -> None:
        from mlflow.entities import Metric, Param, RunTag  # pyright: ignore[reportMissingImports]
        from mlflow.exceptions import MlflowException  # pyright: ignore[reportMissingImports]
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

        self._metric, self._tag = Metric, RunTag
        self._pending: list[Any] = []
        self._texts: dict[str, str] = {}
        try:
            self._client = MlflowClient(tracking_uri=target or None)
            called = os.environ.get("MLFLOW_EXPERIMENT_NAME", _EXPERIMENT)
            experiment = self._client.get_experiment_by_name(called)
            number = experiment.experiment_id if experiment else self._client.create_experiment(called)
            self._run = self._client.create_run(number, run_name=name).info.run_id
            params = [Param(key, text[:_LONGEST]) for key, text in _parameters(plan).items()]
            self._client.log_batch(self._run, params=params)
        except (MlflowException, OSError, ModuleNotFoundError) as error:
            raise SettingError(
                f"MLflow cannot start a run in {target or 'its store'}: {error}",
                hint='"mlflow:http://localhost:5000" is a server, "mlflow:sqlite:///mlflow.db" a file',
            ) from None

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        now = int(time.time() * 1000)
        self._pending += [self._metric(_key(name), number, now, step) for name, number in numbers.items()]
        while len(self._pending) >= _MOST_METRICS:
            self._send()

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Send texts as tags, and all of them as the description of the run."""
        self._texts |= texts
        note = "\n\n".join(self._texts.values())
        tags = {**{name.replace("/", "."): text for name, text in texts.items()}, "mlflow.note.content": note}
        self._client.log_batch(self._run, tags=[self._tag(name, text[:_LONGEST]) for name, text in tags.items()])

    def flush(self) -> None:
        """Let readers see what was sent."""
        while self._pending:
            self._send()

    def close(self) -> str:
        """End the run, and return its identifier."""
        self.flush()
        self._client.set_terminated(self._run)
        return str(self._run)

    def _send(self) -> None:
        """Send as many metrics as a request takes."""
        rows, self._pending = self._pending[:_MOST_METRICS], self._pending[_MOST_METRICS:]
        self._client.log_batch(self._run, metrics=rows)


def _key(name: str) -> str:
    """Return a name in the letters that MLflow takes."""
    return _UNKNOWN_LETTERS.sub("_", name)


def _parameters(plan: Plain) -> dict[str, str]:
    """Return what a run was in short texts."""
    wanted = ("read_as", "method", "learning_rate", "schedule", "steps", "seed")
    batch = (plan.get("batches") or {}).get("size")
    known = {name: plan.get(name) for name in wanted} | dict(plan.get("settings") or {}) | {"batch": batch}
    return {_key(str(name)): str(entry) for name, entry in known.items() if entry not in (None, "")}
