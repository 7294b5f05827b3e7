"""The data that checks need: the one place that turns a missing fact, column or plan entry into a reason.

A need is a dotted name, with alternatives between bars:

    start, end, spectra            the weights at the start and the end, the measured curvature
    layers, layers.dead_share      the names of the layers; a column of them with a finite number
    parts.update_norm              a column of the parts with a finite number
    steps.gradient_norm            a column of the steps with a finite number
    metrics.training_loss          an evaluation with a finite number
    evaluated.training_loss        the same; known as well where the plan does not say that rows were evaluated
    plan.settings                  an entry of the plan
    data.rows, network.loss.name   a fact; anything that is none of the above

A fact that is None, or NaN, is missing as well; `network.loss.from_logits?` asks only that the trace has the entry, for
facts of which None says something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from downslope.trace import Trace

LACKS = "the trace has "  # before the name of what is missing


def lacking(needs: Iterable[str], trace: Trace) -> str | None:
    """Return the first need that a trace does not meet, as a reason; None where it meets all.

    >>> import downslope as ds
    >>> trace = ds.descend("x²", 1, steps=3)
    >>> lacking(("steps.value", "plan.method"), trace), lacking(("data.rows|network.kind", "layers"), trace)
    (None, 'the trace has neither data.rows nor network.kind')
    """
    for need in needs:
        names = need.split("|")
        if any(is_known(name, trace) for name in names):
            continue
        return without(*(name.removesuffix("?") for name in names))
    return None


def without(*names: str) -> str:
    """Return as a reason that a trace has none of these.

    >>> without("layers"), without("data.rows", "network.kind")
    ('the trace has no layers', 'the trace has neither data.rows nor network.kind')
    """
    *others, last = names
    return f"{LACKS}neither {', '.join(others)} nor {last}" if others else f"{LACKS}no {last}"


def is_known(name: str, trace: Trace) -> bool:
    """Tell whether a trace has what a dotted name stands for."""
    group, _, rest = name.partition(".")
    if group in _GROUPS:
        return _GROUPS[group](trace, rest)
    return _has_entry(trace.facts, name)


def _has_entry(entries: Mapping[str, Any], name: str) -> bool:
    """Tell whether nested plain data have an entry of a dotted name that says something."""
    entry: Any = entries
    for key in name.removesuffix("?").split("."):
        if not isinstance(entry, Mapping) or key not in entry:
            return False
        entry = entry[key]
    return name.endswith("?") or not (entry is None or (isinstance(entry, float) and math.isnan(entry)))


def _has_column(columns: Mapping[str, np.ndarray], name: str) -> bool:
    """Tell whether a column is there and holds a finite number."""
    return name in columns and bool(np.any(np.isfinite(np.asarray(columns[name], dtype=float))))


def _is_whole(point: Mapping[str, np.ndarray], parts: tuple[str, ...]) -> bool:
    """Tell whether a point is there with all its parts."""
    return bool(point) and all(part in point for part in parts)


_EVERY = "batches.evaluate_every"
_GROUPS: Mapping[str, Callable[[Trace, str], bool]] = {
    "start": lambda trace, _: _is_whole(trace.start, trace.part_names),
    "end": lambda trace, _: _is_whole(trace.end, trace.part_names),
    "spectra": lambda trace, _: bool(trace.spectra),
    "layers": lambda trace, name: bool(trace.layer_names) and (not name or _has_column(trace.layer_columns, name)),
    "parts": lambda trace, name: _has_column(trace.part_columns, name),
    "steps": lambda trace, name: _has_column(trace.columns, name),
    "metrics": lambda trace, name: _has_column(trace.metrics, name),
    "evaluated": lambda trace, name: _has_column(trace.metrics, name) or not _has_entry(trace.plan, _EVERY),
    "plan": lambda trace, name: _has_entry(trace.plan, name),
}
