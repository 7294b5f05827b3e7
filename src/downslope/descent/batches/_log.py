"""Buffer of recorded rows: flushed to disk between chunks, turned into a trace at the end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._types import Columns, Plain
from downslope.descent.batches._batched import GRADIENT_COLUMN, LAYER_COLUMNS, PART_COLUMNS
from downslope.descent.batches._loop import BatchChunk, BatchRecipe
from downslope.descent.batches._rows import GrowingColumns, Measurements
from downslope.trace import Journal, Spectrum

_LAYERS = (*LAYER_COLUMNS, GRADIENT_COLUMN)
_MOST_KEPT = 2**26  # bytes of rows by layer and by part; beyond, those that the journal holds are dropped from memory


class BatchLog:
    """The rows of a training so far.

    Args:
        recipe: what the compiled program records.
        part_names: the names of the parts.
        journal: where the rows are written as well, or None; rows that it holds already are read back.
    """

    def __init__(self, recipe: BatchRecipe, part_names: tuple[str, ...], journal: Journal | None) -> None:
        self._recipe, self._journal = recipe, journal
        self._steps, self._layer_steps = GrowingColumns(), GrowingColumns()
        self._layers, self._parts = GrowingColumns(), GrowingColumns()  # the rows of `_layer_steps`
        self._measurements = Measurements()
        self._spectra: list[Spectrum] = []
        self._with_directions: list[int] = []  # the indices of the spectra that still have them
        # Rows and spectra that the journal holds, so that only new ones are appended.
        self._written = dict.fromkeys(("steps", "layers", "metrics", "spectra"), 0)
        self._dropped = 0  # rows of layers and parts that the journal holds and memory no longer does
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
        return bool(len(self._steps))

    @property
    def metrics(self) -> Columns:
        """The measurements so far, as columns; NaN where one was not taken."""
        return self._measurements.columns()

    @property
    def value(self) -> float:
        """The loss of the last step."""
        return float(self._steps.last("value"))

    @property
    def last_spectrum(self) -> Spectrum | None:
        """The last spectrum that is finite, which is the last that has directions."""
        return self._spectra[self._with_directions[-1]] if self._with_directions else None

    @property
    def last_measured(self) -> int | None:
        """The step at which anything was measured last."""
        return self._measurements.last_step

    def since_best(self, name: str) -> int:
        """Return how many evaluations came after the lowest finite measurement of a name."""
        return self._measurements.since_best(name)

    def add_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add what was measured at a step; a look that went on beside later steps comes after theirs."""
        self._measurements.add(step, metrics)

    def add_spectrum(self, spectrum: Spectrum) -> None:
        """Add the curvature at a step; only the first and the last two spectra keep their directions."""
        if spectrum.has_directions:
            self._with_directions.append(len(self._spectra))
        self._spectra.append(spectrum)
        # The last but one keeps its directions: where the run ends before the last, it is the last.
        later = [index for index in self._with_directions if index]
        for index in later[:-2]:
            self._spectra[index] = self._spectra[index].without_directions()
            self._with_directions.remove(index)

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
        self._layer_steps.append({"step": first + at})
        self._parts.append({name: named[name] for name in PART_COLUMNS})
        self._layers.append({name: named[f"layer/{name}"] for name in _LAYERS if named[f"layer/{name}"].shape[1]})

    def end_with_last_row(self) -> None:
        """Take the step that leaves the last row back, and what was measured behind it."""
        end = int(self._steps.last("step"))
        for name in ("update_norm", "first_order_decrease"):
            self._steps.replace_last(name, np.nan)
        if len(self._layer_steps) and self._layer_steps.last("step") == end:
            if not len(self._parts):
                self._return_to_memory()
            self._parts.replace_last("update_norm", np.nan)
        self._measurements.cut_after(end)
        self._spectra = [spectrum for spectrum in self._spectra if spectrum.step <= end]
        self._with_directions = [index for index in self._with_directions if index < len(self._spectra)]

    def _named(self, recorded: np.ndarray) -> Columns:
        """Return the recorded steps' numbers by name, each of shape (rows, width)."""
        widths = self._recipe.widths
        ends = itertools.accumulate(widths.values())
        return {name: recorded[:, end - width : end] for (name, width), end in zip(widths.items(), ends, strict=True)}

    def gathered(self) -> tuple[Columns, np.ndarray, Columns, Columns, Columns, tuple[Spectrum, ...]]:
        """Return all rows: steps, the steps of the layer rows, layers, norms by part, metrics, spectra."""
        spectra = list(self._spectra)
        for index in [index for index in self._with_directions if index][:-1]:
            spectra[index] = spectra[index].without_directions()
        layers, parts = self._layers.since(0), self._parts.since(0)
        if self._dropped:
            assert self._journal is not None
            layers = self._journal.stored("layers", without=("step",), then=layers)
            parts = self._journal.stored("parts", then=parts)
        return self._steps.since(0), self._layer_steps.since(0)["step"], layers, parts, self.metrics, tuple(spectra)

    def write(self, state: Mapping[str, Any] | None) -> None:
        """Write the rows that are not on disk yet, with the state behind them."""
        assert self._journal is not None
        self._metric_names = self._metric_names or self._measurements.names  # the columns on disk stay as they began
        held = self._written["layers"] - self._dropped
        self._journal.append(
            steps=self._steps.since(self._written["steps"]),
            layers=self._layers.since(held),
            parts=self._layer_steps.since(self._written["layers"]) | self._parts.since(held),
            metrics=self._measurements.columns(self._written["metrics"], self._metric_names),
            spectra=self._spectra[self._written["spectra"] :],
            state=None if state is None else {name: np.asarray(leaf) for name, leaf in state.items()},
        )
        self._count_as_written()
        if self._dropped or self._layers.bytes + self._parts.bytes > _MOST_KEPT:
            self._dropped = len(self._layer_steps)
            self._layers.clear()
            self._parts.clear()

    def end(self) -> None:
        """Write what is left of a record of which a part is on disk alone."""
        if self._dropped:
            self.write(None)

    def _count_as_written(self) -> None:
        """Note that the journal holds all rows and spectra."""
        self._written = {
            "steps": len(self._steps),
            "layers": len(self._layer_steps),
            "metrics": len(self._measurements),
            "spectra": len(self._spectra),
        }

    def _return_to_memory(self) -> None:
        """Read the rows by layer and by part back, to change the last of them."""
        assert self._journal is not None
        for table, columns in (
            (self._layers, self._journal.stored("layers", without=("step",))),
            (self._parts, self._journal.stored("parts")),
        ):
            table.append(columns)
        self._dropped = 0

    def _take_up(self, journal: Journal) -> None:
        """Take up the rows that stand on disk."""
        stays = journal.size("layers") + journal.size("parts") > _MOST_KEPT
        rows = journal.rows(without=("layers", "parts") if stays else ())
        self._steps.append(rows.steps)
        if stays:
            self._layer_steps.append({"step": journal.stored("layers")["step"]})
            self._dropped = len(self._layer_steps)
        else:
            # Without a step at which layers were recorded there is no stream of them.
            self._layer_steps.append({"step": rows.layers.get("step", np.zeros(0, np.int64))})
            self._layers.append({name: column for name, column in rows.layers.items() if name != "step"})
            self._parts.append(rows.parts)
        self._metric_names = tuple(name for name in rows.metrics if name != "step")
        for index, step in enumerate(rows.metrics.get("step", ())):
            row = {name: float(rows.metrics[name][index]) for name in self._metric_names}
            self._measurements.add(int(step), {name: number for name, number in row.items() if not np.isnan(number)})
        for spectrum in rows.spectra:
            self.add_spectrum(spectrum)
        self._count_as_written()
