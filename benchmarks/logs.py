"""Logs of finished trainings, labelled by hand: is what a person sees in them named, and are healthy ones left alone?

    python benchmarks/logs.py FILE        FILE is JSON: {"logs": [{"file": …, "label": […], "sure": true, …}, …]}

The files stand beside it. Recall is over the labels of which the labeller was sure; a false alarm is a problem that is
named in a log that surely is healthy. Problems that are named in sick logs beside their labels are listed as well, as
are files that cannot be read. Halves drawn at random show how much the figures depend on which logs were looked at.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from timing import arguments, publish, table

import downslope as ds

# What people call it, and the symptom; of `noise` a log alone cannot say more than that nothing was learnt.
SYMPTOMS: Mapping[str, tuple[str, ...]] = {
    "not_finite": ("not_finite",),
    "diverged": ("diverged",),
    "loss_spike": ("loss_spike",),
    "plateau": ("plateau",),
    "overfitting": ("overfitting",),
    "still_falling": ("too_few_steps",),
    "exploding_gradients": ("exploding_gradients",),
    "rate_ended_early": ("rate_ended_early",),
}
HALVES = 200


class Answer(NamedTuple):
    """What was said of a log.

    Args:
        labels: what a person said.
        sure: whether they were sure.
        problems: the symptoms that were named as problems.
        error: why the file could not be read; "" if it was.
        seconds: for reading and diagnosing.
    """

    labels: tuple[str, ...]
    sure: bool
    problems: tuple[str, ...]
    error: str
    seconds: float

    @property
    def sought(self) -> list[str]:
        """The labels that have a symptom."""
        return [label for label in self.labels if label in SYMPTOMS]

    @property
    def named(self) -> list[str]:
        """The labels whose symptom was named."""
        return [label for label in self.sought if set(SYMPTOMS[label]) & set(self.problems)]

    @property
    def beside(self) -> list[str]:
        """The problems that no label is about."""
        meant = {symptom for label in self.labels for symptom in SYMPTOMS.get(label, ())}
        return [symptom for symptom in self.problems if symptom not in meant]

    @property
    def is_healthy(self) -> bool:
        """Whether the labeller saw nothing wrong."""
        return self.labels == ("healthy",)


def main() -> None:
    """Read and diagnose each log, and print the figures and the lists behind them."""
    chosen = _arguments()
    entries = json.loads(chosen.file.read_text(encoding="utf-8"))["logs"]
    answers = {entry["file"]: answer_of(chosen.file.parent, entry) for entry in entries}
    for file, answer in answers.items():
        if chosen.all or answer.error or answer.named != answer.sought or answer.beside:
            labels = ", ".join(answer.labels) + ("" if answer.sure else " (not sure)")
            print(f"{file}: {labels}: {answer.error or ', '.join(answer.problems) or 'no problem'}")
    figures = {"all": summary(list(answers.values())), "sure": summary([a for a in answers.values() if a.sure])}
    plain = [{"file": file, **answer._asdict()} for file, answer in answers.items()]
    publish(chosen, "logs", _text(figures), {"summary": figures, "answers": plain})


def _arguments() -> argparse.Namespace:
    parser = arguments((__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the list of logs, as JSON")
    parser.add_argument("--all", action="store_true", help="print every log")
    return parser.parse_args()


def answer_of(folder: Path, entry: Mapping[str, Any]) -> Answer:
    """Return what is said of a log."""
    began = time.perf_counter()
    problems: tuple[str, ...] = ()
    error = ""
    try:
        diagnosis = ds.diagnose(ds.read_log(folder / entry["file"]))
        problems = tuple(finding.symptom for finding in diagnosis if finding.severity is ds.Severity.PROBLEM)
    except Exception as failure:  # each file is a case, and a failure is its answer
        error = f"{type(failure).__name__}: {failure}"
    labels = tuple(entry["label"])
    return Answer(labels, bool(entry.get("sure", True)), problems, error, time.perf_counter() - began)


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the figures of some logs."""
    healthy = [answer for answer in answers if answer.is_healthy]
    sick = [answer for answer in answers if not answer.is_healthy]
    by_label = {
        label: (sum(label in a.named for a in sick), sum(label in a.sought for a in sick))
        for label in SYMPTOMS
        if any(label in a.sought for a in sick)
    }
    first = [a for a in sick if a.sought]
    return {
        "logs": len(answers),
        "unreadable": sum(bool(a.error) for a in answers),
        "recall": _share(sum(len(a.named) for a in sick), sum(len(a.sought) for a in sick)),
        "alarms": _share(sum(bool(a.problems) for a in healthy), len(healthy)),
        "right_first": _share(sum(a.problems[:1] != () and a.problems[0] not in a.beside for a in first), len(first)),
        "beside": sum(len(a.beside) for a in sick),
        "by_label": by_label,
        "seconds": float(max((a.seconds for a in answers), default=0.0)),
        "halves": _halves(answers),
    }


def _halves(answers: Sequence[Answer]) -> dict[str, list[float]]:
    """Return the range of recall and of alarms, without the lowest and highest twentieth, over halves of the logs."""
    random = np.random.default_rng(0)
    recalls, alarms = [], []
    for _ in range(HALVES):
        half = [answers[index] for index in random.permutation(len(answers))[: len(answers) // 2]]
        sought = sum(len(a.sought) for a in half)
        healthy = [a for a in half if a.is_healthy]
        if sought and healthy:
            recalls.append(sum(len(a.named) for a in half) / sought)
            alarms.append(sum(bool(a.problems) for a in healthy) / len(healthy))
    quantiles = (0.05, 0.95)
    return {
        name: [round(float(np.quantile(shares, at)), 3) for at in quantiles] if shares else []
        for name, shares in (("recall", recalls), ("alarms", alarms))
    }


def _share(part: int, whole: int) -> dict[str, float]:
    return {"of": whole, "number": part, "share": round(part / whole, 3) if whole else 0.0}


def _text(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures as a table."""
    rows = []
    for of, numbers in figures.items():
        recall, alarms, first = numbers["recall"], numbers["alarms"], numbers["right_first"]
        rows.append(
            [
                of,
                str(numbers["logs"]),
                str(numbers["unreadable"]),
                f"{recall['number']} of {recall['of']} ({100 * recall['share']:.0f} %)",
                f"{alarms['number']} of {alarms['of']} ({100 * alarms['share']:.0f} %)",
                f"{first['number']} of {first['of']}",
                str(numbers["beside"]),
            ]
        )
    text = table(["labels", "logs", "unreadable", "recall", "false alarms", "right first", "named beside"], rows)
    sure = figures["sure"]
    by_label = ", ".join(f"{label} {named} of {sought}" for label, (named, sought) in sure["by_label"].items())
    return f"{text}\n\n{by_label}; halves {sure['halves']}; slowest log {sure['seconds']:.2f} s"


if __name__ == "__main__":
    main()
