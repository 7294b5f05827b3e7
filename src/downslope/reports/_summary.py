"""A run for people to read: network, method, evaluations, scores at the end and the cost of the record.

Everything is read from the trace, so that a run that is being written, a saved one and one that has just ended look the
same, on the terminal, in a notebook and in a report.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._copies import fields_alone
from downslope._text import aligned, decimals, html_table, in_words, number, percent, rows_of
from downslope._types import Plain
from downslope.trace import HasTrace, Trace, as_trace, class_labels, judged_scores

_SHOWN = 11  # evaluations of the table
_SETS = ("training", "validation")
_CLASS_SCORES = ("precision", "recall", "f1", "auc")
_MOST_CONFUSED = 20  # classes of a matrix that is read
_UNBELIEVABLE = 100.0  # shares of a time in which hardly a step was taken say nothing
Table = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Summary:
    """A summary of a run in words and small tables.

    Args:
        trace: the trace of a descent or a training; the properties on networks and evaluations are empty for a descent.
    """

    trace: Trace

    __getstate__ = fields_alone

    @property
    def is_training(self) -> bool:
        """Whether the run is a training over examples."""
        return self.trace.is_training

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes on how the data were read; empty for runs of old versions."""
        return tuple(map(str, self.trace.facts.get("notes") or ()))

    @property
    def data(self) -> str:
        """The examples in words; "" where they are not known."""
        return _data(self.trace)

    @property
    def network(self) -> str:
        """The network in words: its sizes, its parameters, its loss; "" for a descent."""
        return _network(self.trace) if self.is_training else ""

    @property
    def method(self) -> str:
        """The method and its numbers in words; for a training also the batches and the passes through the rows."""
        return _training_method(self.trace) if self.is_training else _method(self.trace)

    @functools.cached_property
    def evaluations(self) -> Table:
        """About ten evaluations as columns of text by heading, the lowest validation loss marked; {} for none."""
        return _evaluations(self.trace) if self.is_training else {}

    @functools.cached_property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """The measurements at the last evaluation: numbers by measurement, and by the rows that they are of."""
        return _scores(self.trace) if self.is_training else {}

    @property
    def score_table(self) -> Table:
        """The measurements at the end as columns of text by heading; {} for none."""
        return _score_table(self.scores, self.trace) if self.scores else {}

    @property
    def class_table(self) -> Table:
        """The scores of each class at the end as columns of text by heading; {} for numbers and for old runs."""
        return _class_table(self.trace)

    @property
    def confusion_table(self) -> Table:
        """The rows by class and predicted class; {} where they are not known, and for more than 20 classes."""
        return _confusion_table(self.trace)

    @property
    def score_sentence(self) -> str:
        """The measurements at the end on one line."""
        return ", ".join(
            f"{rows} {in_words(measurement)} {number(values[rows] + 0.0)}"
            for rows in _SETS
            for measurement, values in self.scores.items()
            if rows in values
        )

    @property
    def cost(self) -> str:
        """The cost of the record as a sentence; "" where it is not known."""
        return _cost(self.trace)

    def as_dict(self) -> dict[str, Any]:
        """Return the run as plain data, for JSON."""
        trace = self.trace
        summary = {
            "read_as": _read_as(trace),
            "outcome": trace.outcome.identifier,
            "outcome_sentence": trace.ending,
            "steps": trace.steps_taken,
            "value": trace.value,
            "plan": {name: entry for name, entry in trace.plan.items() if name != "objective"},
        }
        return summary | (self._training_as_dict() if self.is_training else {"end": dict(trace.end)})

    def _training_as_dict(self) -> dict[str, Any]:
        """Return the part of `as_dict` that only a training has."""
        trace = self.trace
        names = [name for name in trace.metrics if name == "step" or name.partition("_")[0] in _SETS]
        return {
            "notes": list(self.notes),
            "metrics": {
                f"{rows}_{measurement}": value
                for measurement, values in self.scores.items()
                for rows, value in values.items()
            },
            "evaluations": [{name: trace.metrics[name][row] for name in names} for row in _evaluated(trace)],
            "network": trace.facts.get("network") or {},
            "data": trace.facts.get("data") or {},
            "scores": trace.facts.get("scores") or {},
            "classes": _labels(trace),
            "record_cost": trace.facts.get("record_cost") or {},
        }

    def __str__(self) -> str:
        facts = [("Read as", _read_as(self.trace)), ("Network", self.network), ("Method", self.method)]
        lines = [f"{label:<9}{text}" for label, text in facts if text]
        for table in (self.evaluations, self.score_table):
            if table:
                lines += ["", *aligned(rows_of(table), {0} if table is self.score_table else ())]
        return "\n".join([*lines, "", self.trace.ending, *([self.cost] if self.cost else [])])

    def __repr__(self) -> str:
        return f"<Summary of {self.trace.steps_taken} steps>"

    def _repr_html_(self) -> str:
        return "".join(html_table(rows_of(table)) for table in (self.evaluations, self.score_table) if table)


def summary(trace: Trace | HasTrace) -> Summary:
    """Return a summary of a run in words and small tables.

    Args:
        trace: the trace of a descent or a training, or a result that holds one, such as a Training.

    Raises:
        SettingError: for anything else.

    >>> import downslope as ds
    >>> summary(ds.descend("x²", {"x": 1}, learning_rate=0.1, steps=5)).method
    'gradient descent, α = 0.1'
    """
    return Summary(as_trace(trace, "summary", 'ds.summary(ds.load("run"))'))


def _read_as(trace: Trace) -> str:
    """Return the objective as it was read; a trace of someone else may lack it."""
    return str(trace.plan.get("read_as", "descent"))


def _method(trace: Trace) -> str:
    """Return the method and its numbers in words."""
    plan = trace.plan
    parts = [str(plan.get("method", ""))]
    if plan.get("learning_rate") is not None:
        parts.append(f"α = {number(plan['learning_rate'])}")
    if plan.get("schedule", "constant") not in (None, "constant"):
        parts.append(f"{plan['schedule']} schedule")
    parts += [f"{name.replace('_', ' ')} {number(setting)}" for name, setting in (plan.get("settings") or {}).items()]
    return ", ".join(parts)


def _training_method(trace: Trace) -> str:
    """Return the method of a training in words, the batches and the passes through the rows."""
    batches = trace.plan.get("batches")
    size, accumulate = (batches or {}).get("size"), (batches or {}).get("accumulate") or 1
    rows = (trace.facts.get("data") or {}).get("rows")
    words = [_method(trace)] if trace.plan.get("method") else []
    words += [f"gradients cut to {number(trace.plan[n])}" for n in ("clip_norm", "clip_value") if trace.plan.get(n)]
    if batches is None:
        pass  # made by hand, without a word on batches
    elif size is None:
        words.append("all rows in each step" if not rows else f"all {rows} rows in each step")
    else:
        words.append(f"batches of {size}" if accumulate == 1 else f"{accumulate} batches of {size} in each step")
    steps, most = trace.steps_taken, trace.plan.get("steps") or trace.steps_taken
    words.append(f"{steps} steps" if steps == most else f"{steps} of {most} steps")
    if rows and size is not None and steps:
        words.append(f"{number(round(steps * size * accumulate / rows, 1))} times through the rows")
    return ", ".join(words)


def _data(trace: Trace) -> str:
    """Return the examples in words."""
    data, encoding = trace.facts.get("data") or {}, trace.facts.get("encoding") or {}
    if not data:
        return ""
    words = [f"{data['rows']} rows to train on"] if data.get("rows") else []
    words += [f"{data['validation_rows']} to validate"] if data.get("validation_rows") else []
    columns = [str(column["name"]) for column in encoding.get("columns", ())]
    if data.get("features"):
        words.append(f"{data['features']} inputs" + (f" from {_first(columns)}" if columns else ""))
    classes = list((encoding.get("target") or {}).get("categories", ()))
    if classes or data.get("target_kind", "numbers") == "numbers":
        words.append(f"{len(classes)} classes: {_first(classes)}" if classes else "numbers to predict")
    return "; ".join(words)


def _first(names: Sequence[Any], most: int = 12) -> str:
    """Return the first of many names."""
    return ", ".join(map(str, names[:most])) + (", …" if len(names) > most else "")


def _network(trace: Trace) -> str:
    """Return the network in words."""
    network = trace.facts.get("network") or {}
    description = network.get("description") or {}
    loss = (network.get("loss") or {}).get("name", "loss")
    if not description and not network.get("parameters"):
        return "" if loss == "loss" else f"trained on {loss}"
    parameters = f"{network.get('parameters', 0)} parameters"
    if description.get("kind") != "network":
        kind = f"{description.get('class', 'a function')} ({description.get('kind', 'custom')})"
        return f"{kind}, {parameters}, {loss}"
    shape = " × ".join(map(str, description["inputs"]))
    layers = [_layer(layer) for layer in description["layers"] if layer["kind"] != "flatten"]
    return f"{' → '.join([shape, *layers])}; {parameters}, {loss}"


def _layer(layer: Mapping[str, Any]) -> str:
    """Return a layer in a few words."""
    kind = layer["kind"]
    if "units" not in layer and "channels" not in layer:
        size = layer.get("size", layer.get("share", layer.get("activation", "")))
        return f"{kind.rpartition('.')[2].replace('_', ' ').replace('maxpool', 'pool')} {size}".strip()
    words = [str(layer["units"]) if "units" in layer else f"convolution {layer['channels']}"]
    if layer.get("activation", "linear") != "linear":
        words.append(layer["activation"].replace("_", " "))
    more = [f"{layer['normalisation']} normalised"] if layer.get("normalisation", "none") != "none" else []
    more += ["skipped"] if layer.get("skip") else []
    more += [f"dropout {number(layer['dropout'])}"] if layer.get("dropout") else []
    return " ".join(words) + (f" ({', '.join(more)})" if more else "")


def _evaluations(trace: Trace) -> Table:
    """Return about ten evaluations as columns of text by heading; {} for none."""
    rows = _evaluated(trace)
    if not len(rows):
        return {}
    metric = str((trace.facts.get("network") or {}).get("metric", "loss"))
    best_of = "validation" if "validation_loss" in trace.metrics else "training"
    names = dict.fromkeys(("training_loss", f"{best_of}_loss", f"{best_of}_{metric}"))
    best = _lowest(trace, rows) if best_of == "validation" else None
    stride = -(-(len(rows) - 1) // (_SHOWN - 1)) or 1
    ends = {int(rows[-1]), _kept(trace, rows)} | (set() if best is None else {best})
    shown = np.union1d(rows[::stride], sorted(ends))
    columns = {"step": [str(step) for step in np.asarray(trace.metrics["step"])[shown]]}
    columns |= {
        in_words(name): _column(name, np.asarray(trace.metrics[name])[shown]) for name in names if name in trace.metrics
    }
    kept = _kept(trace, rows)
    marks = {} if best is None or best == rows[-1] else {best: "◀ lowest"}
    marks |= {kept: "◀ kept"} if "kept" in trace.facts else {}
    if marks:
        columns[""] = [marks.get(row, "") for row in shown]
    return columns


def _evaluated(trace: Trace) -> np.ndarray:
    """Return the indices of the rows at which the network was evaluated, and not only its curvature measured."""
    steps = np.asarray(trace.metrics.get("step", ()))
    every = (trace.plan.get("batches") or {}).get("evaluate_every") or 1
    return np.flatnonzero((steps % every == 0) | (steps == trace.plan.get("steps")))


def _kept(trace: Trace, rows: np.ndarray) -> int:
    """Return the row of the evaluation at the end of the trace: the last one, or the best where it was kept."""
    steps = np.asarray(trace.metrics["step"])[rows]
    return int(rows[max(int(np.searchsorted(steps, trace.end_step, side="right")) - 1, 0)])


def _lowest(trace: Trace, rows: np.ndarray) -> int | None:
    """Return the row of the lowest validation loss, if any is finite."""
    losses = np.asarray(trace.metrics["validation_loss"])[rows]
    return int(rows[np.nanargmin(losses)]) if np.isfinite(losses).any() else None


def _scores(trace: Trace) -> dict[str, dict[str, float]]:
    """Return the measurements of the network, at the last evaluation or the one that was kept, by set of rows."""
    rows = _evaluated(trace)
    if not len(rows):
        return {}
    row, scores = _kept(trace, rows), dict[str, dict[str, float]]()
    for name, column in trace.metrics.items():
        measured_on, _, measurement = name.partition("_")
        if measured_on in _SETS and measurement:
            scores.setdefault(measurement, {})[measured_on] = float(np.asarray(column)[row])
    return scores


def _score_table(scores: Mapping[str, Mapping[str, float]], trace: Trace) -> Table:
    """Return the measurements of the network as columns of text by heading."""
    sets = [name for name in _SETS if any(name in values for values in scores.values())]
    texts = [_column(name, [values.get(rows, math.nan) for rows in sets]) for name, values in scores.items()]
    columns = {name: [row[index] for row in texts] for index, name in enumerate(sets)}
    heading = f"at step {trace.end_step}" if "kept" in trace.facts else "at the end"
    return {heading: [in_words(name) for name in scores], **columns}


def _class_scores(trace: Trace) -> Plain:
    """Return the scores of classes on rows held back, or on those trained on where none were; {} without any."""
    judged = judged_scores(trace.facts)
    return dict(judged) if judged.get("recall") else {}


def _labels(trace: Trace) -> list[str]:
    """Return the labels of the classes, or their indices; none for numbers."""
    target = (trace.facts.get("encoding") or {}).get("target") or {}
    return class_labels(trace.facts, len(_class_scores(trace).get("recall", target.get("categories") or ())))


def _class_table(trace: Trace) -> Table:
    """Return the scores of each class as columns of text by heading."""
    scores = _class_scores(trace)
    if not scores:
        return {}
    return {
        "class": _labels(trace),
        "rows": [str(rows) for rows in scores.get("rows", ())],
        **{
            name: ["–" if share is None else f"{share:.4f}" for share in scores[name]]
            for name in _CLASS_SCORES
            if name in scores
        },
    }


def _confusion_table(trace: Trace) -> Table:
    """Return the confusion matrix as columns of text by heading, one for each predicted class."""
    labels, confusion = _labels(trace), _class_scores(trace).get("confusion")
    if not confusion or len(labels) > _MOST_CONFUSED or any(len(row) != len(labels) for row in confusion):
        return {}
    predicted = {f"as {label}": [str(row[index]) for row in confusion] for index, label in enumerate(labels)}
    return {"class": labels, **predicted}


def _column(name: str, numbers: Iterable[float]) -> list[str]:
    """Return the numbers of a measurement as text: scores, of which 1 is the best, with four decimals."""
    return decimals(numbers, 4 if name.endswith(("accuracy", "r2")) else None)


def _cost(trace: Trace) -> str:
    """Return the cost of the record as a sentence; "" where it is not known."""
    cost = trace.facts.get("record_cost") or {}
    shares = {name: float(share) for name, share in cost.items() if share is not None and math.isfinite(share)}
    if not shares or sum(shares.values()) > _UNBELIEVABLE:
        return ""
    shares = {name: share for name, share in shares.items() if share >= 0.0005}
    in_background = shares.pop("probes", 0.0)
    parts = ", ".join(f"{name} {percent(share)}" for name, share in shares.items())
    added = f"The record added {percent(sum(shares.values()))} to the time of the steps" + (
        f": {parts}." if parts else "."
    )
    looks = f" Curvature probes ran in the background for {percent(in_background)} of it." if in_background else ""
    return added + looks
