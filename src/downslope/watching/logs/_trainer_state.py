"""The log of Hugging Face's Trainer: `trainer_state.json`, whose `log_history` has a row per entry.

Traps: `train_loss` is the mean of the whole run, written once at the end; rows of evaluations have names that begin
with `eval_`, with the name of the set after it where there are several; a loss of exactly 0 beside a gradient norm of
NaN is one that overflowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downslope.trace import TracePlan
from downslope.watching.logs._log import Log, as_number, columns_of

# Written once, at the end: means and costs of the whole run.
_OF_THE_RUN = frozenset(
    {
        *("train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second"),
        *("total_flos", "train_samples", "train_tokens_per_second"),
    }
)


def is_trainer_state(content: Any) -> bool:
    """Tell whether the content of a JSON file is the state of a Trainer."""
    return isinstance(content, Mapping) and isinstance(content.get("log_history"), list)


def read_trainer_state(content: Mapping[str, Any]) -> Log:
    """Return the log in the state of a Trainer."""
    rows = [row for row in content["log_history"] if isinstance(row, Mapping)]
    length, columns = columns_of(map(_numbers, rows))
    if "loss" not in columns:
        # Of a run shorter than logging_steps the mean is all there is.
        means = [{"step": as_number(row.get("step")), "loss": as_number(row.get("train_loss"))} for row in rows]
        known = [{key: cell for key, cell in row.items() if cell is not None} for row in means]
        length, columns = columns_of([*map(_numbers, rows), *(row for row in known if "loss" in row)])
    plan = TracePlan()
    steps = as_number(content.get("max_steps"))
    if steps is not None and steps > 0:
        plan["steps"] = int(steps)
    size = as_number(content.get("train_batch_size"))
    if size is not None and size > 0:
        plan["batches"] = {"size": int(size)}
    means_of = as_number(content.get("logging_steps"))
    return Log(
        "Hugging Face Trainer",
        length,
        columns,
        plan,
        axis="step",
        # Below 1 it is a share of the run.
        means_of=int(means_of) if means_of is not None and means_of >= 1 else None,
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a row but those of the whole run."""
    numbers = {}
    for name, cell in row.items():
        if name in _OF_THE_RUN:
            continue
        number = as_number(cell)
        if number is not None:
            numbers[name] = number
    return numbers
