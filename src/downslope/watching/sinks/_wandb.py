"""A sink for Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from downslope._errors import SettingError
from downslope._types import Plain, plain

_PROJECT = "downslope"
_OFFLINE = "offline"


class WandbSink:
    """Logs into a run of Weights & Biases.

    A run that is under way goes on with its own steps: there everything is named `downslope/…` and drawn over
    `downslope/step`.

    Args:
        target: `offline` for a run on disk that `wandb sync` uploads later; a project, or an entity and a project with
            a slash between them, for a new run online; empty for the run that is under way.
        name: the name of a new run.
        plan: what the run was, for its configuration.

    Raises:
        SettingError: for a target that is none of these, and where no run can be begun.
    """

    def __init__(self, target: str, name: str | None, plan: Plain) -> None:
        import wandb  # pyright: ignore[reportMissingImports]

        self._is_own = bool(target)
        self._before = "" if target else "downslope/"
        self._last = 0
        if not target:
            if wandb.run is None:
                raise SettingError("no W&B run is active", hint='"wandb:offline" or "wandb:PROJECT" begins one')
            self._run: Any = wandb.run
        else:
            try:
                self._run = wandb.init(**_run_settings(target, name), config=plain(plan), settings=_quiet(wandb))
            except (wandb.errors.Error, OSError) as error:
                hint = '"wandb:offline" writes it down, to be uploaded later' if target != _OFFLINE else None
                raise SettingError(f"wandb cannot start a run: {error}", hint=hint) from None
        # Rows may come late, such as those of an evaluation, and wandb drops a row of an earlier step than its last:
        # the step is a column as well, over which all others are drawn.
        self._run.define_metric(f"{self._before}*", step_metric=f"{self._before}step")

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        row = {f"{self._before}{name}": number for name, number in {**numbers, "step": step}.items()}
        self._last = max(step, self._last)
        self._run.log(row, **({"step": self._last} if self._is_own else {}))

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Send texts into the summary of the run."""
        for name, text in texts.items():
            self._run.summary[f"{self._before}{name}"] = text

    def flush(self) -> None:
        """Let readers see what was sent, which wandb does by itself."""

    def close(self) -> str:
        """End the run unless it is the user's, and return where it can be seen."""
        seen = str(Path(self._run.dir).parent) if self._run.offline else str(self._run.url)
        if self._is_own:
            self._run.finish()
        return seen


def _run_settings(target: str, name: str | None) -> dict[str, Any]:
    """Return what `wandb.init` takes, of a target."""
    if target == _OFFLINE:
        project = os.environ.get("WANDB_PROJECT", _PROJECT)
        return {"mode": _OFFLINE, "project": project, "name": name, "reinit": "create_new"}
    entity, _, project = target.rpartition("/")
    if not project or "/" in entity:
        raise SettingError(f"{target!r} is not a W&B project", hint='"wandb:PROJECT" or "wandb:ENTITY/PROJECT"')
    return {"entity": entity or None, "project": project, "name": name, "reinit": "create_new"}


def _quiet(wandb: Any) -> Any:
    """Return settings by which wandb neither prints nor takes over what the program prints."""
    return wandb.Settings(silent=True, console="off", x_disable_stats=True)
