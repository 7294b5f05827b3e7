"""Buffer of recorded rows: flushed to disk between chunks, turned into a trace at the end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._types import Columns, Plain
from downslope.descent.batches._batched import GRADIENT_COLUMN, LAYER_COLUMNS, PART_COLUMNS
from downslope.descent.batches._loop import BatchChunk, BatchRecipe
from downslope.trace import Journal, Spectrum, with_few_directions

_LAYERS = (*LAYER_COLUMNS, GRADIENT_COLUMN)


class BatchLog:
    """The rows of a training so far.

    Args:
        recipe: what the compiled program records.
        part_names: the names of the parts.
        journal: where the rows are written as well, or None; rows that it holds already are read back.
    """

    def __init__(self, recipe: BatchRecipe, part_names: tuple[str, ...], journal: Journal | None) -> None:
        self._recipe, self._journal = recipe, journal
        self._steps: list[Columns] = []
        self._layers: list[Columns] = []
        self._parts: list[Columns] = []
        self._metrics: list[tuple[int, dict[str, float]]] = []
        self._spectra: list[Spectrum] = []
        self._written = [0, 0, 0, 0]  # rows of each stream that the journal holds, so that only new ones are appended
        self._written_spectra = 0
        self._metric_names: tuple[str, ...] = ()
        self.not_finite: tuple[int, str, Plain] | None = None
        if journal is not None and journal.state:
            self._take_up(journal)

    @property
    def writes(self) -> bool:
        """Whether rows are written to disk."""
        return self._journal is not None

    @property
    def has_steps(self) -> bool:
        """Whether any step was taken."""
        return bool(self._steps)

    @property
    def metrics(self) -> Columns:
        """The measurements so far, as columns; NaN where one was not taken."""
        return self._metric_columns(0, self._names_so_far())

    @property
    def value(self) -> float:
        """The loss of the last step."""
        return float(self._steps[-1]["value"][-1])

    @property
    def last_spectrum(self) -> Spectrum | None:
        """The last spectrum that is finite, which is the last that has directions."""
        known = [spectrum for spectrum in self._spectra if spectrum.has_directions]
        return known[-1] if known else None

    @property
    def last_measured(self) -> int | None:
        """The step at which anything was measured last."""
        return self._metrics[-1][0] if self._metrics else None

    def since_best(self, name: str) -> int:
        """Return how many evaluations came after the lowest finite measurement of a name."""
        results = [row[name] for _, row in self._metrics if np.isfinite(row.get(name, np.nan))]
        return len(results) - 1 - int(np.argmin(results)) if results else 0

    def add_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add what was measured at a step."""
        index = len(self._metrics)
        while index and self._metrics[index - 1][0] > step:  # a look that went on beside later steps
            index -= 1
        if index and self._metrics[index - 1][0] == step:
            self._metrics[index - 1][1].update(metrics)
        else:
            self._metrics.insert(index, (step, dict(metrics)))

    def add_spectrum(self, spectrum: Spectrum) -> None:
        """Add the curvature at a step."""
        # The last but one keeps its directions: where the run ends before the last, it is the last.
        self._spectra = with_few_directions([*self._spectra, spectrum], last=2)

    def add_steps(self, first: int, count: int, chunk: BatchChunk) -> None:
        """Add the rows of a chunk that began at step `first`."""
        every = self._recipe.every
        # The arrays have the room of the whole capacity: only `count` columns were written.
        numbers = np.asarray(chunk.every_step)[:, :count].astype(np.float64)
        at = np.arange(0, count, every) if every else np.zeros(0, int)
        recorded = np.asarray(chunk.recorded)[: len(at)].astype(np.float64)
        named = self._named(recorded)
        # Update norm and decrease are known at recording steps only; NaN says so, where 0 would be a number.
        sparse = {name: np.full(count, np.nan) for name in ("update_norm", "first_order_decrease")}
        sparse["update_norm"][at] = np.sqrt(np.sum(named["update_norm"] ** 2, axis=1))
        sparse["first_order_decrease"][at] = named["first_order_decrease"][:, 0]
        steps = first + np.arange(count)
        self._steps.append({"step": steps, "value": numbers[0], "gradient_norm": numbers[1], **sparse})
        self._parts.append({"step": first + at, **{name: named[name] for name in PART_COLUMNS}})
        layers = {name: named[f"layer/{name}"] for name in _LAYERS if named[f"layer/{name}"].shape[1]}
        self._layers.append({"step": first + at, **layers})

    def end_with_last_row(self) -> None:
        """Take the step that leaves the last row back, and what was measured behind it."""
        steps, parts = self._steps[-1], self._parts[-1]
        end = steps["step"][-1]
        for name in ("update_norm", "first_order_decrease"):
            steps[name][-1] = np.nan
        if len(parts["step"]) and parts["step"][-1] == end:
            parts["update_norm"][-1] = np.nan
        self._metrics = [(step, row) for step, row in self._metrics if step <= end]
        self._spectra = [spectrum for spectrum in self._spectra if spectrum.step <= end]

    def _named(self, recorded: np.ndarray) -> Columns:
        """Return the recorded steps' numbers by name, each of shape (rows, width)."""
        widths = self._recipe.widths
        ends = itertools.accumulate(widths.values())
        return {name: recorded[:, end - width : end] for (name, width), end in zip(widths.items(), ends, strict=True)}

    def gathered(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Columns, Columns, tuple[Spectrum, ...]]:
        """Return all rows: steps, layers with their `step`, norms by part, metrics, spectra."""
        parts, spectra = _joined(self._parts), with_few_directions(self._spectra)
        parts.pop("step")
        return _joined(self._steps), _joined(self._layers), parts, self.metrics, tuple(spectra)

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Write the rows that are not on disk yet, with the state behind them."""
        assert self._journal is not None
        self._metric_names = self._metric_names or self._names_so_far()  # the columns on disk stay as they began
        pieces = (self._steps, self._layers, self._parts)
        new = [_joined(rows[done:]) for rows, done in zip(pieces, self._written[:3], strict=True)]
        leaves = None if state is None else {name: np.asarray(leaf) for name, leaf in state.items()}
        with_layers = len(new[1]) > 1
        self._journal.append(
            steps=new[0],
            layers=new[1] if with_layers else None,
            parts=new[2],
            metrics=self._metric_columns(self._written[3], self._metric_names),
            spectra=self._spectra[self._written_spectra :],
            state=leaves,
        )
        self._written = [len(self._steps), len(self._layers), len(self._parts), len(self._metrics)]
        self._written_spectra = len(self._spectra)

    def _names_so_far(self) -> tuple[str, ...]:
        """Return the names of all that was measured."""
        return tuple(dict.fromkeys(name for _, row in self._metrics for name in row))

    def _metric_columns(self, first: int, names: tuple[str, ...]) -> Columns:
        """Return the metrics of these names from the `first` row on as columns, NaN where one was not measured."""
        rows = self._metrics[first:]
        columns = {"step": np.array([step for step, _ in rows], dtype=np.int64)}
        return columns | {name: np.array([row.get(name, np.nan) for _, row in rows], dtype=float) for name in names}

    def _take_up(self, journal: Journal) -> None:
        """Take up the rows that stand on disk."""
        rows = journal.rows()
        self._steps.append(dict(rows.steps))
        self._parts.append({"step": rows.layers["step"], **rows.parts})
        self._layers.append(dict(rows.layers))
        names = [name for name in rows.metrics if name != "step"]
        self._metric_names = tuple(names)
        for index, step in enumerate(rows.metrics["step"]):
            row = {name: float(rows.metrics[name][index]) for name in names}
            self._metrics.append((int(step), {name: number for name, number in row.items() if not np.isnan(number)}))
        self._spectra = list(rows.spectra)
        self._written = [1, 1, 1, len(self._metrics)]
        self._written_spectra = len(self._spectra)


def _joined(pieces: list[Columns]) -> dict[str, np.ndarray]:
    """Return pieces of the same columns as one."""
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}
