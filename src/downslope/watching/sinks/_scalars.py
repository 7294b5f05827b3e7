"""The data that a tracker receives: numbers by step under the names of its columns, and each verdict as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from downslope.diagnosis import Diagnosis
from downslope.trace import Trace
from downslope.watching._rows import STEP_COLUMNS


class Sink(Protocol):
    """Where numbers and texts go."""

    def scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        """Send the numbers of a step."""
        ...

    def texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Send texts that belong to a step; later ones of the same name replace the earlier."""
        ...

    def flush(self) -> None:
        """Let readers see what was sent."""
        ...

    def close(self) -> str:
        """End it, and return where it can be seen."""
        ...


def scalars_of(trace: Trace, after: Mapping[str, int] | None = None) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the numbers of each step of a trace, in the order of the steps.

    A number that was not measured is left out; a loss that is not finite is sent as it is.

    Args:
        trace: the trace.
        after: the step after which to begin, by name of the column, since some come later than others.

    >>> from downslope.trace import trace_from
    >>> trace = trace_from({"loss": [2.0, 1.0]}, evaluations={"step": [1], "validation_loss": [1.5]})
    >>> list(scalars_of(trace))
    [(0, {'loss': 2.0}), (1, {'loss': 1.0, 'validation_loss': 1.5})]
    """
    rows: dict[int, dict[str, float]] = {}
    for name, steps, column in _columns(trace):
        steps, column = np.asarray(steps), np.asarray(column, dtype=float)
        known = ~np.isnan(column)
        if name in ("loss", "value"):
            known |= ~np.isin(steps, _unmeasured(trace, name))
        known &= steps > (after or {}).get(name, -1)
        for step, number in zip(steps[known].tolist(), column[known].tolist(), strict=True):
            rows.setdefault(int(step), {})[name] = number
    for step in sorted(rows):
        yield step, rows[step]


def texts_of(diagnosis: Diagnosis) -> dict[str, str]:
    """Return each verdict as a text, by `verdict/` and the symptom."""
    return {f"verdict/{finding.symptom}": str(finding) for finding in diagnosis}


def _columns(trace: Trace) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the name, the steps and the numbers of each column of a trace."""
    steps = trace.columns["step"]
    yield "loss" if trace.is_training else "value", steps, trace.columns["value"]
    for name in STEP_COLUMNS:
        yield name, steps, trace.columns[name]
    for name, column in trace.metrics.items():
        if name != "step":
            yield name, trace.metrics["step"], column
    # By layer where they are known, which is fewer than by part.
    kind, names = ("layer", trace.layer_names) if trace.layer_names else ("part", trace.part_names)
    frame = trace.layers if trace.layer_names else trace.parts
    if trace.is_training and names and len(frame):
        looks = frame["step"].to_numpy()[:: len(names)]
        for quantity in frame.columns[2:]:
            table = frame[quantity].to_numpy().astype(float).reshape(len(looks), len(names))
            for index, name in enumerate(names):
                yield f"{kind}/{name}/{quantity}", looks, table[:, index]


def _unmeasured(trace: Trace, name: str) -> list[int]:
    """Return the steps at which the loss was not measured."""
    gaps = trace.facts.get("not_measured") or {}
    return list(gaps.get("value") or gaps.get(name) or ())
