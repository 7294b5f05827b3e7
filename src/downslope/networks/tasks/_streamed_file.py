"""The task of a network and a file whose rows are streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from downslope._engine import Structure
from downslope._errors import SettingError
from downslope._types import Plain
from downslope.networks._objective import network_objective
from downslope.networks._trained import Task
from downslope.networks.data import NUMBERS, FileBatches, StreamedRows, examples_like, facts, survey
from downslope.networks.tasks._examples import fitted, network_task, weighing
from downslope.networks.tasks._sizes import NetworkChoices
from downslope.tables import RowGroups


def survey_file(data: Any, target: Any, validation: Any, seed: int, reading: Plain) -> StreamedRows:
    """Return the result of a pass over a file; see `survey`.

    Args:
        data: its path.
        target: the column to predict.
        validation: the share of the rows held back, or data of its own.
        seed: of the rows held back.
        reading: the choices of `RowChoices`, by name.
    """
    if not hasattr(data, "__fspath__") and not isinstance(data, str):
        raise SettingError("only a Parquet file can be streamed", hint="leave streaming out for data in memory")
    rest = {name: choice for name, choice in reading.items() if name not in ("streaming", "table")}
    is_share = validation is None or isinstance(validation, int | float)
    share = validation if is_share else 0
    rows = survey(RowGroups.of(data, reading["table"]), target, validation=share, seed=seed, **rest)
    if is_share:
        return rows
    return rows._replace(held=examples_like(rows.sample, validation, target, missing=reading["missing"]))


def file_task(
    model: Any,
    choices: NetworkChoices,
    rows: StreamedRows,
    batch: int | None,
    *,
    seed: int,
    computing: Plain,
    own: Callable[[Any], Structure],
) -> Task:
    """Return the task of a network and a file whose rows are streamed.

    Args:
        model: the model, as for `train`.
        choices: the choices of a network.
        rows: the rows, as `survey_file` returns them.
        batch: rows of a batch.
        seed: of weights and order.
        computing: the choices of `ComputationChoices`, by name.
        own: the function from a model or a loss of the user's to the structure that its programs are kept for.

    Raises:
        SettingError: for steps over all rows, and a network that does not fit.
    """
    if batch is None:
        raise SettingError("streamed rows need a batch size", hint="for example batch=256")
    sample, held, encoding = rows.sample, rows.held, rows.encoding
    seen, loss = fitted(model, choices, sample.inputs, encoding.target, seed)
    if computing.get("class_weights") == "balanced" and encoding.target.kind != NUMBERS:
        computing = {**computing, "class_weights": _balanced(rows.class_counts)}
    computing = weighing(computing, encoding.target, sample.targets)
    counted = {"rows": sum(rows.counts), **({"class_counts": list(rows.class_counts)} if rows.class_counts else {})}
    objective = network_objective(
        seen,
        (sample.inputs, sample.targets),
        None if held is None else (held.inputs, held.targets),
        loss,
        sample.kind,
        batch=batch,
        facts={
            "data": {**facts(sample, held, seed), **counted},
            "encoding": encoding.as_dict(),
            "notes": list(rows.notes),
        },
        stream=FileBatches(rows, batch, seed),
        computing=computing,
        own=own,
    )
    return network_task(model, choices, seen, sample, rows.notes, objective, batch)


def _balanced(counts: tuple[int, ...]) -> list[float]:
    """Return rows / (classes × rows of the class) for each class."""
    numbers = np.array(counts, float)
    return (numbers.sum() / (np.count_nonzero(numbers) * np.maximum(numbers, 1))).tolist()
