"""Which runs are sick, and what a diagnosis of them is worth: rates with 95 % intervals, and tables."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from timing import table

Run = dict[str, Any]
_ACCURACY_POINTS, _R2_POINTS = 0.08, 0.1
RATES = ("recall", "false_alarms", "cause_first", "cause_anywhere")


def is_healthy_label(labels: Iterable[str]) -> bool:
    """Tell whether a recipe is called healthy by its source."""
    return any(label.rstrip("?") == "healthy" for label in labels)


def part_of(identifier: str) -> str:
    """Return the part that a recipe belongs to, by a hash of its name: "tuned" or "seen_once"."""
    return "tuned" if hashlib.sha256(identifier.encode()).digest()[0] < 128 else "seen_once"


def label_outcomes(runs: Sequence[Run], references: Mapping[str, Run]) -> None:
    """Write into each run whether it is sick and what it was held against.

    Args:
        runs: what was trained; each has `key` (its data), `metric`, `measured_by`, `finite` and `labels`.
        references: the reference network of each data set that has one, by its key.
    """
    best: dict[tuple[str, str], float] = {}
    for one in (*runs, *references.values()):
        place = (one["key"], one["measured_by"])
        if one["metric"] is not None and math.isfinite(one["metric"]):
            best[place] = max(best.get(place, -math.inf), one["metric"])
    for one in runs:
        one["best"] = best.get((one["key"], one["measured_by"]))
        one["sick"] = _is_sick(one)


def _is_sick(one: Run) -> bool:
    """Tell whether a run did worse than the best on its data by more than 8 points of accuracy or 0.1 of R²."""
    if one["measured_by"] == "formula":
        return not is_healthy_label(one["labels"])
    metric, best = one["metric"], one["best"]
    if not one["finite"] or metric is None or not math.isfinite(metric):
        return True
    allowed = _ACCURACY_POINTS if one["measured_by"] == "accuracy" else _R2_POINTS
    # A share of rows is a multiple of 1/n: the slack keeps exactly 8 points from being more by rounding.
    return best is not None and metric < best - allowed - 1e-9


# --- rates -----------------------------------------------------------------------------------------------------------


def wilson(hits: int, count: int) -> dict[str, Any]:
    """Return a share with Wilson's 95 % interval.

    >>> wilson(9, 10)["low"] < 0.9 < wilson(9, 10)["high"]
    True
    """
    if not count:
        return {"value": None, "low": None, "high": None, "n": 0}
    z, share = 1.959964, hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return {"value": share, "low": max(centre - half, 0.0), "high": min(centre + half, 1.0), "n": count}


def rates(runs: Sequence[Run], causes: Mapping[str, Sequence[str]], named: Callable[[Run], list[set[str]]]) -> Run:
    """Return recall, false alarms, and how often a right cause is named first and anywhere.

    Args:
        runs: what was trained, with its outcome.
        causes: identifiers that are right for a label of a recipe.
        named: the alarms of a run in their order, each as the identifiers that it stands for.
    """
    sick, healthy = [one for one in runs if one["sick"]], [one for one in runs if not one["sick"]]
    judged = [(named(one), right) for one in sick if (right := right_causes(one, causes))]
    return {
        "recall": wilson(sum(bool(named(one)) for one in sick), len(sick)),
        "false_alarms": wilson(sum(bool(named(one)) for one in healthy), len(healthy)),
        "cause_first": wilson(sum(bool(alarms and alarms[0] & right) for alarms, right in judged), len(judged)),
        "cause_anywhere": wilson(sum(any(one & right for one in alarms) for alarms, right in judged), len(judged)),
    }


def right_causes(one: Run, causes: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the identifiers that are right for a run, by its labels; a label without an entry stands for itself."""
    return {name for label in one["labels"] for name in causes.get(label, (label,))}


# Recipes that were gathered before a symptom was split name the whole.
_EARLIER = {"imbalanced_classes": "label_problem"}


def ours(one: Run) -> list[set[str]]:
    """Return our own alarms of a run, each with the name that it had in earlier recipes."""
    return [{symptom, _EARLIER.get(symptom, symptom)} for symptom in map(str, one["findings"])]


def of_rival(name: str) -> Callable[[Run], list[set[str]]]:
    """Return the function that returns a tool's alarms of a run."""
    return lambda one: [set(fits) for _, fits in one["rivals"][name]]


def summary(runs: Sequence[Run], causes: Mapping[str, Sequence[str]]) -> Run:
    """Return all rates: overall, by source, by symptom, of the rivals, and of both parts."""
    labels = sorted({label for one in runs for label in one["labels"]})
    rivals = sorted({name for one in runs for name in one["rivals"]})
    parts = {part: [one for one in runs if one["part"] == part] for part in ("tuned", "seen_once")}
    return {
        **rates(runs, causes, ours),
        "by_source": {
            group: rates([one for one in runs if one["group"] == group], causes, ours)
            for group in sorted({one["group"] for one in runs})
        },
        "by_symptom": {label: rates([one for one in runs if label in one["labels"]], causes, ours) for label in labels},
        "rivals": {name: rates(runs, causes, of_rival(name)) for name in rivals},
        **{
            part: {
                **rates(some, causes, ours),
                "rivals": {name: rates(some, causes, of_rival(name)) for name in rivals},
            }
            for part, some in parts.items()
        },
    }


# --- tables ----------------------------------------------------------------------------------------------------------

_HEADS = ("recall", "false alarms", "right cause first", "anywhere")


def tables(found: Run, runs: Sequence[Run]) -> str:
    """Return the tables in Markdown."""
    whole = [("downslope, all", found)]
    whole += [
        (f"downslope, {part.replace('_', ' ')}", found[part])
        for part in ("tuned", "seen_once")
        if _counted(found[part])
    ]
    whole += [(f"{name}, all", rates_of) for name, rates_of in found["rivals"].items()]
    sources = [(f"{name} ({_counts(runs, name)})", one) for name, one in found["by_source"].items()]
    symptoms = [(name.replace("_", " "), one) for name, one in found["by_symptom"].items()]
    return "\n\n".join(
        _table(head, rows)
        for head, rows in (("rules", whole), ("source (sick of all)", sources), ("called by its source", symptoms))
    )


def _counted(one: Run) -> bool:
    return any(one[name]["n"] for name in RATES)


def _counts(runs: Sequence[Run], group: str) -> str:
    some = [one for one in runs if one["group"] == group]
    return f"{sum(one['sick'] for one in some)} of {len(some)}"


def _table(head: str, rows: Sequence[tuple[str, Run]]) -> str:
    return table((head, *_HEADS), [(name, *(_cell(one[rate]) for rate in RATES)) for name, one in rows])


def _cell(one: Run) -> str:
    """Return a share as people read it: percent, interval, count."""
    if not one["n"]:
        return "–"
    low, high = (round(100 * one[end]) for end in ("low", "high"))
    return f"{100 * one['value']:.0f} % ({low}–{high}) of {one['n']}"
