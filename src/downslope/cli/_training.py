"""A training as a person reads it: the network, the method, its evaluations, how it ended and what the record cost.

Everything is told from the trace, so that a run that is being written, a saved one and one that has just ended look
the same, on the terminal and in a report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope.cli import _print as show
from downslope.cli._descend import method_of
from downslope.cli._network_options import as_typed

_SHOWN = 11  # evaluations of the table
_SETS = ("training", "validation")
_UNBELIEVABLE = 100.0  # shares of a time in which hardly a step was taken say nothing


def is_training(trace: ds.Trace) -> bool:
    """Tell whether a trace is one of a training over examples."""
    return bool(trace.plan.get("batches"))


def report(trace: ds.Trace, diagnosis: ds.Diagnosis, *, quiet: bool) -> None:
    """Print a training: what was read and trained, how, the evaluations, the end, what was found, what looking cost."""
    if quiet:
        print(trace.outcome.value)
        if scores := end_scores(trace):
            print(_sentence(scores))
    else:
        show.labelled("Read as", *notes_of(trace))
        show.labelled("Network", network_of(trace))
        show.labelled("Method", way_of(trace))
        print()
        if table := evaluations(trace):
            show.table(table)
            print()
        show.sentence(trace.outcome.value)
        print()
        if scores := end_scores(trace):
            show.table(scores_table(scores), words={"at the end"})
            print()
    show.findings(diagnosis, details=not quiet)
    if not quiet and (cost := cost_of(trace)):
        print()
        show.sentence(cost)


def notes_of(trace: ds.Trace) -> list[str]:
    """Return what was read of the data and decided, with options where Python has arguments; nothing of old runs."""
    return [as_typed(str(note)) for note in trace.facts.get("notes") or ()]


def network_of(trace: ds.Trace) -> str:
    """Return the network in words: its sizes, its parameters, its loss."""
    network = trace.facts.get("network") or {}
    told = network.get("description") or {}
    parameters = f"{network.get('parameters', 0)} parameters"
    loss = (network.get("loss") or {}).get("name", "loss")
    if told.get("kind") != "network":
        return f"{told.get('class', 'a function')} ({told.get('kind', 'custom')}), {parameters}, {loss}"
    shape = " × ".join(map(str, told["inputs"]))
    layers = [_layer(layer) for layer in told["layers"] if layer["kind"] != "flatten"]
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
    more += [f"dropout {show.number(layer['dropout'])}"] if layer.get("dropout") else []
    return " ".join(words) + (f" ({', '.join(more)})" if more else "")


def way_of(trace: ds.Trace) -> str:
    """Return the method in words, the batches and how often the rows were gone through."""
    batches = trace.plan["batches"]
    size, accumulate = batches.get("size"), batches.get("accumulate") or 1
    data = trace.facts.get("data") or {}
    rows = data.get("rows")
    words = [method_of(trace)]
    words += [
        f"gradients cut to {show.number(trace.plan[n])}" for n in ("clip_norm", "clip_value") if trace.plan.get(n)
    ]
    if size is None:
        words.append("all rows in each step" if not rows else f"all {rows} rows in each step")
    else:
        words.append(f"batches of {size}" if accumulate == 1 else f"{accumulate} batches of {size} in each step")
    steps, most = trace.last_step, trace.plan["steps"]
    words.append(f"{steps} steps" if steps == most else f"{steps} of {most} steps")
    if rows and size is not None and steps:
        words.append(f"{show.number(round(steps * size * accumulate / rows, 1))} times through the rows")
    return ", ".join(words)


def evaluations(trace: ds.Trace) -> dict[str, list[str]]:
    """Return about ten evaluations as columns of text by heading, the lowest validation loss marked; {} for none."""
    rows = _evaluated(trace)
    if not len(rows):
        return {}
    metric = _metric(trace)
    which = "validation" if _is_measured(trace, "validation_loss") else "training"
    names = list(dict.fromkeys(("training_loss", f"{which}_loss", f"{which}_{metric}")))
    names = [name for name in names if _is_measured(trace, name)]
    best = _lowest(trace, rows) if which == "validation" else None
    stride = -(-(len(rows) - 1) // (_SHOWN - 1)) or 1
    shown = np.union1d(rows[::stride], rows[-1:] if best is None else [best, rows[-1]])
    columns = {"step": [str(step) for step in np.asarray(trace.metrics["step"])[shown]]}
    columns |= {show.in_words(name): _column(name, np.asarray(trace.metrics[name])[shown]) for name in names}
    if best is not None and best != rows[-1]:
        columns[""] = ["◀ lowest" if row == best else "" for row in shown]
    return columns


def _evaluated(trace: ds.Trace) -> np.ndarray:
    """Return the places of the rows at which the network was evaluated, and not only its curvature looked at."""
    steps = np.asarray(trace.metrics.get("step", ()))
    every = trace.plan["batches"].get("evaluate_every") or 1
    return np.flatnonzero((steps % every == 0) | (steps == trace.plan["steps"]))


def _lowest(trace: ds.Trace, rows: np.ndarray) -> int | None:
    """Return the place of the lowest validation loss, if any is finite."""
    losses = np.asarray(trace.metrics["validation_loss"])[rows]
    return int(rows[np.nanargmin(losses)]) if np.isfinite(losses).any() else None


def end_scores(trace: ds.Trace) -> dict[str, dict[str, float]]:
    """Return what was measured at the last evaluation: numbers by measurement, and by the rows they are of."""
    rows = _evaluated(trace)
    if not len(rows):
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, column in trace.metrics.items():
        rows_of, _, what = name.partition("_")
        if rows_of in _SETS and what:
            found.setdefault(what, {})[rows_of] = float(np.asarray(column)[rows[-1]])
    return found


def scores_table(scores: Mapping[str, Mapping[str, float]]) -> dict[str, list[str]]:
    """Return the measurements at the end as columns of text by heading."""
    sets = [name for name in _SETS if any(name in one for one in scores.values())]
    texts = [_column(what, [one.get(name, math.nan) for name in sets]) for what, one in scores.items()]
    columns = {name: [row[place] for row in texts] for place, name in enumerate(sets)}
    return {"at the end": [show.in_words(what) for what in scores], **columns}


def _column(name: str, numbers: Sequence[float] | np.ndarray) -> list[str]:
    """Return the numbers of a measurement as text: scores, of which 1 is the best, with four decimals."""
    return show.decimals(numbers, 4 if name.endswith(("accuracy", "r2")) else None)


def _sentence(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return the measurements at the end on one line."""
    told = [
        f"{rows} {show.in_words(what)} {show.number(one[rows] + 0.0)}"
        for rows in _SETS
        for what, one in scores.items()
        if rows in one
    ]
    return ", ".join(told)


def cost_of(trace: ds.Trace) -> str | None:
    """Return what the record cost as a sentence; None where it is not known."""
    cost = trace.facts.get("record_cost") or {}
    shares = {name: float(share) for name, share in cost.items() if share is not None and math.isfinite(share)}
    if not shares or sum(shares.values()) > _UNBELIEVABLE:
        return None
    shares = {name: share for name, share in shares.items() if share >= 0.0005}
    beside = shares.pop("probes", 0.0)
    told = ", ".join(f"{name} {show.percent(share)}" for name, share in shares.items())
    added = f"The record added {show.percent(sum(shares.values()))} to the time of the steps"
    looks = f" Looks at the curvature went on beside them for {show.percent(beside)} of it." if beside else ""
    return added + (f": {told}." if told else ".") + looks


def _metric(trace: ds.Trace) -> str:
    """Return the name of the metric that people read."""
    return str((trace.facts.get("network") or {}).get("metric", "loss"))


def _is_measured(trace: ds.Trace, name: str) -> bool:
    """Tell whether a measurement was taken at all."""
    return name in trace.metrics


def as_dict(trace: ds.Trace, diagnosis: ds.Diagnosis) -> dict[str, Any]:
    """Return what `--json` prints of a training."""
    rows = _evaluated(trace)
    names = [name for name in trace.metrics if name == "step" or name.partition("_")[0] in _SETS]
    return {
        "read_as": trace.plan["read_as"],
        "notes": notes_of(trace),
        "outcome": trace.outcome.identifier,
        "outcome_sentence": trace.outcome.value,
        "steps": trace.last_step,
        "value": trace.value,
        "metrics": {f"{of}_{what}": number for what, one in end_scores(trace).items() for of, number in one.items()},
        "evaluations": [{name: trace.metrics[name][row] for name in names} for row in rows],
        "findings": diagnosis.as_list(),
        "not_run": diagnosis.not_run,
        "network": trace.facts.get("network") or {},
        "data": trace.facts.get("data") or {},
        "plan": {name: entry for name, entry in trace.plan.items() if name != "objective"},
        "record_cost": trace.facts.get("record_cost") or {},
    }
