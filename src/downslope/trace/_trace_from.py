"""`trace_from`: a trace from plain columns, for runs that something else recorded."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast, get_args

import numpy as np

from downslope._errors import SettingError, described, nearest
from downslope._types import Columns, Frame, Plain
from downslope.trace._header import refusal_of
from downslope.trace._known_facts import TraceFacts, TracePlan, known_keys
from downslope.trace._trace import Outcome, Trace

ColumnLike = Sequence[float | None] | np.ndarray | Iterable[float | None]
OutcomeName = Literal["converged", "stalled", "steps_used", "not_finite", "interrupted", "stopped_early", "running"]

_OF_STEPS = ("step", "loss", "gradient_norm", "update_norm", "learning_rate", "cosine", "curvature")
_OF_PARTS = ("parameter_norm", "gradient_norm", "update_norm")
_SCORES = ("accuracy", "r2")
_MISSPELT = 0.8  # of the letters are those of a key that readers know


def trace_from(
    steps: Mapping[str, ColumnLike] | Frame,
    *,
    evaluations: Mapping[str, ColumnLike] | Frame | None = None,
    parts: Mapping[str, Mapping[str, ColumnLike]] | None = None,
    layers: Mapping[str, Mapping[str, ColumnLike]] | None = None,
    looks: Sequence[int] | np.ndarray | None = None,
    start: Mapping[str, Any] | None = None,
    end: Mapping[str, Any] | None = None,
    plan: TracePlan | None = None,
    facts: TraceFacts | None = None,
    outcome: Outcome | OutcomeName | None = None,
) -> Trace:
    """Make a trace from the numbers of a training that another program recorded.

    Only the loss is needed. A check that lacks a column or a fact is listed in `Diagnosis.not_run`, with its name.
    None, a Polars null and a masked number mean "not measured"; NaN and ∞ mean measured but not
    finite.

    Args:
        steps: columns of the steps: `loss`, and where they are known `step` (0, 1, 2, … if left out), `gradient_norm`,
            `update_norm`, `learning_rate`, `cosine` and `curvature`. Rows without a loss are left out.
        evaluations: columns of evaluations over whole sets: `step`, and names such as `training_loss`,
            `validation_loss`, `training_accuracy`, `validation_r2`.
        parts: by name of a part of the weights, such as `layers/0/weight`, its columns `parameter_norm`,
            `gradient_norm` and `update_norm`.
        layers: by name of a layer, the first one first, its columns: `activation_deviation`, `dead_share`, ….
        looks: the steps of the rows of `parts` and `layers`; those of `steps` if None.
        start: the weights at the first step, an array by part.
        end: the weights at the last step, an array by part.
        plan: the plan of the training; see `TracePlan` for the keys.
        facts: facts that were measured once; see `TraceFacts` for the keys.
        outcome: how it ended. If None, `not_finite` where the loss is not finite from some row to the end, else
            `steps_used`.

    Raises:
        SettingError: for a column or a key of another name or type than readers know.

    >>> trace = trace_from({"loss": [2.3, 1.1, 0.6]}, plan={"method": "adam"})
    >>> trace.last_step, trace.plan["method"], trace.outcome.identifier
    (2, 'adam', 'steps_used')
    """
    table = _columns(steps, "steps")
    unknown = next((name for name in table if name not in (*_OF_STEPS, "value")), None)
    if unknown is not None:
        raise _no_such(
            f"column of the steps {unknown!r}", unknown, _OF_STEPS, "scores over whole sets belong in evaluations"
        )
    recorded, gaps = _recorded(table)
    metrics = _evaluated(_columns(evaluations, "evaluations"), gaps)
    rows = recorded["step"] if looks is None else _as_steps(np.asarray(looks), "looks")
    part_columns = _by_name(parts or {}, len(rows), "parts", _OF_PARTS)
    layer_columns = _by_name(layers or {}, len(rows), "layers")
    beginning, ending = _point(start, end, tuple(parts or ()), "start"), _point(end, start, tuple(parts or ()), "end")
    how, bad_step = _outcome(outcome, recorded)
    kept = slice(None) if bad_step is None else slice(int(np.searchsorted(recorded["step"], bad_step)))
    last = int(recorded["step"][kept][-1]) if len(recorded["step"][kept]) else 0
    trace = Trace(
        outcome=how,
        recorded={name: column[kept] for name, column in recorded.items()},
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=tuple(beginning or parts or ()),
        part_columns=part_columns,
        start=beginning,
        end=ending,
        spectra=(),
        plan={"read_as": "a training", "method": "", "steps": last, **_plain(plan or {})},
        not_finite_part=None if bad_step is None else "value",
        not_finite_step=bad_step,
        layer_names=tuple(layers or ()),
        layer_steps=rows if (parts or layers) and not (looks is None and bad_step is None) else None,
        layer_columns=layer_columns,
        metrics=metrics,
        facts=_with_defaults(_plain(facts or {}), metrics, gaps),
    )
    _check_keys("plan", trace.plan, TracePlan)
    _check_keys("facts", trace.facts, TraceFacts)
    wrong = refusal_of(trace.plan, trace.facts)
    if wrong is not None:
        raise SettingError(wrong)
    return trace


# --- columns ---------------------------------------------------------------------------------------------------------


def _columns(table: Mapping[str, ColumnLike] | Frame | None, what: str) -> dict[str, ColumnLike]:
    """Return the columns of a mapping or a frame by name."""
    if table is None:
        return {}
    if isinstance(table, Mapping):
        return {str(name): column for name, column in table.items()}
    if isinstance(table, Frame) and hasattr(table, "__getitem__"):
        return {str(name): cast(Any, table)[name] for name in cast(Any, table).columns}
    raise SettingError(f"{what} are columns by name or a frame, not {described(table)}")


def _cells(column: ColumnLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of a column, and which of them were not measured, shape (rows,) each."""
    if isinstance(column, np.ndarray) and hasattr(column, "mask"):  # a masked array, whose module need not be loaded
        masked: Any = column
        return masked.astype(float).filled(math.nan), np.broadcast_to(masked.mask, masked.shape)
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        numbers = column.astype(float)
        missing = np.zeros(numbers.shape, dtype=bool)
    else:
        series: Any = column
        entries = list(series.to_list() if hasattr(series, "to_list") else series)
        # pandas has a missing value of its own, which is not a number and equals nothing.
        missing = np.array([entry is None or type(entry).__name__ == "NAType" for entry in entries], dtype=bool)
        try:
            numbers = np.array([math.nan if gap else entry for entry, gap in zip(entries, missing, strict=True)], float)
        except (TypeError, ValueError):
            raise SettingError(f"the column {name} must hold only numbers") from None
    if numbers.ndim != 1:
        raise SettingError(f"the column {name} must be one number per row, not an array of shape {numbers.shape}")
    return numbers, missing


def _as_steps(numbers: np.ndarray, what: str) -> np.ndarray:
    """Return steps as whole numbers, or raise unless they ascend from 0 or later."""
    whole = np.asarray(numbers, dtype=float)
    if whole.ndim != 1 or not np.all(np.isfinite(whole)) or np.any(whole != np.round(whole)):
        raise SettingError(f"the steps of {what} are whole numbers")
    if len(whole) and (whole[0] < 0 or np.any(np.diff(whole) <= 0)):
        raise SettingError(f"the steps of {what} ascend from 0 or later", hint="sort them, and keep each step once")
    return whole.astype(np.int64)


def _recorded(table: Mapping[str, ColumnLike]) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Return the columns of the steps as a trace records them, and the steps at which some were not measured."""
    cells = {name: _cells(column, name) for name, column in table.items()}
    loss = cells.pop("loss", None) or cells.pop("value", None)
    if loss is None:
        raise SettingError("the steps need a column loss", hint='ds.trace_from({"loss": [2.3, 1.1, 0.6]})')
    rows = len(loss[0])
    odd = next((name for name, (numbers, _) in cells.items() if len(numbers) != rows), None)
    if odd is not None:
        raise SettingError(f"the column {odd} has {len(cells[odd][0])} rows, and the loss has {rows}")
    kept = ~loss[1]
    step = cells.pop("step", (np.arange(float(rows)), None))[0][kept]
    recorded = {"step": _as_steps(step, "the loss"), "value": loss[0][kept]}
    gaps: dict[str, list[int]] = {}
    for name, (numbers, missing) in cells.items():
        if not missing[kept].all():
            recorded[name] = numbers[kept]
            gaps |= _gaps(name, recorded["step"], numbers[kept], missing[kept])
    return recorded, gaps


def _evaluated(table: Mapping[str, ColumnLike], gaps: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Return the evaluations that were taken, and note the steps at which some were not."""
    cells = {name: _cells(column, name) for name, column in table.items()}
    if not cells:
        return {}
    if "step" not in cells:
        raise SettingError("evaluations need a column step: the steps at which they were taken")
    steps = cells.pop("step")[0]
    odd = next((name for name, (numbers, _) in cells.items() if len(numbers) != len(steps)), None)
    if odd is not None:
        raise SettingError(f"the column {odd} has {len(cells[odd][0])} rows, and there are {len(steps)} steps")
    taken = {name: pair for name, pair in cells.items() if not pair[1].all()}
    if not taken:
        return {}
    rows = ~np.all([missing for _, missing in taken.values()], axis=0)
    metrics = {"step": _as_steps(steps[rows], "the evaluations")}
    for name, (numbers, missing) in taken.items():
        metrics[name] = numbers[rows]
        gaps |= _gaps(name, metrics["step"], numbers[rows], missing[rows])
    return metrics


def _gaps(name: str, steps: np.ndarray, numbers: np.ndarray, missing: np.ndarray) -> dict[str, list[int]]:
    """Return the steps at which a column was not measured, by its name; nothing where no NaN needs an explanation."""
    # A column of NaN alone is left to its readers: of gradients it says that there were none to measure.
    some = np.isnan(numbers).any() and (missing.any() or not np.isnan(numbers).all())
    return {name: steps[missing].tolist()} if some else {}


def _by_name(
    tables: Mapping[str, Mapping[str, ColumnLike]], rows: int, what: str, known: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Return the columns of parts or layers, shape (rows, names) each; NaN where one of them lacks a column."""
    names = dict.fromkeys(column for columns in tables.values() for column in columns)
    arrays = {column: np.full((rows, len(tables)), np.nan) for column in names}
    for index, (name, columns) in enumerate(tables.items()):
        for column, entries in columns.items():
            if known and column not in known:
                raise _no_such(f"column {column!r} of a part", column, known)
            numbers, _ = _cells(entries, f"{column} of {name}")
            if len(numbers) != rows:
                raise SettingError(f"{column} of {name} has {len(numbers)} rows, and there are {rows} looks at {what}")
            arrays[column][:, index] = numbers
    return arrays


# --- the rest --------------------------------------------------------------------------------------------------------


def _point(
    point: Mapping[str, Any] | None, other: Mapping[str, Any] | None, parts: tuple[str, ...], what: str
) -> Columns:
    """Return a point, or no part of one where neither is known."""
    if point is None:
        if other is not None:
            raise SettingError(f"start and end come together, and the {what} is missing")
        return {}
    arrays = {str(name): np.asarray(leaf) for name, leaf in point.items()}
    text = next((name for name, leaf in arrays.items() if leaf.dtype.kind not in "biuf"), None)
    if text is not None:
        raise SettingError(f"the {what} must map parts to numbers, and {text} holds something else")
    if parts and tuple(arrays) != parts:
        raise SettingError(f"the {what} has the parts {', '.join(arrays)}, and the columns those of {', '.join(parts)}")
    return arrays


def _outcome(outcome: Outcome | str | None, recorded: Columns) -> tuple[Outcome, int | None]:
    """Return how a run ended, and the step from which on its loss is not finite, if there is one."""
    if isinstance(outcome, str):
        if outcome not in get_args(OutcomeName):
            raise _no_such(f"outcome {outcome!r}", outcome, get_args(OutcomeName))
        outcome = Outcome.from_identifier(outcome)
    if outcome is not None and outcome is not Outcome.NOT_FINITE:
        return outcome, None
    finite = np.flatnonzero(np.isfinite(recorded["value"]))
    first = int(finite[-1]) + 1 if len(finite) else 0
    if first < len(recorded["value"]):
        return Outcome.NOT_FINITE, int(recorded["step"][first])
    if outcome is None:
        return Outcome.STEPS_USED, None
    # It says so itself: the step after the last that was written down.
    return outcome, int(recorded["step"][-1]) + 1 if first else 0


def _with_defaults(facts: dict[str, Any], metrics: Columns, gaps: Mapping[str, list[int]]) -> dict[str, Any]:
    """Return facts with the metric that the evaluations hold, and with what was not measured."""
    scores = (score for score in _SCORES if any(name.endswith(f"_{score}") for name in metrics))
    network = {"metric": next(scores, "loss"), **(facts.get("network") or {})}
    unmeasured = {**gaps, **(facts.get("not_measured") or {})}
    return {**facts, "network": network} | ({"not_measured": unmeasured} if unmeasured else {})


def _plain(value: Any) -> Any:
    """Return nested mappings and sequences as plain data with Python's own numbers."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _check_keys(group: str, entries: Plain, of: type) -> None:
    """Raise for a key that no reader knows: it is misspelt, or belongs elsewhere, and would be lost without a word.

    Beside the groups there may be others, for readers of one's own.
    """
    known = known_keys(of)
    for name in _dotted(entries):
        before, _, key = name.rpartition(".")
        beside = [other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == before]
        if beside and key not in beside and (before or difflib.get_close_matches(key, beside, cutoff=_MISSPELT)):
            raise _no_such(f"key {name!r} of the {group}", key, beside)


def _dotted(entries: Plain, before: str = "") -> list[str]:
    """Return the keys of nested mappings as dotted names."""
    names: list[str] = []
    for name, entry in entries.items():
        names.append(f"{before}{name}")
        if isinstance(entry, Mapping):
            names += _dotted(entry, f"{before}{name}.")
    return names


def _no_such(what: str, name: str, known: Iterable[str], else_hint: str | None = None) -> SettingError:
    """Return the error for a name that is not known, with the nearest that is."""
    close = nearest(name, known)
    return SettingError(f"there is no {what}", hint=f"did you mean {close!r}?" if close else else_hint)
