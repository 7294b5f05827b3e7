"""Buffer of recorded rows: flushed to disk between chunks, turned into a trace at the end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from downslope._types import Columns, Plain
from downslope.descent.batches._batched import GRADIENT_COLUMN, LAYER_COLUMNS, PART_COLUMNS
from downslope.descent.batches._layout import DeviceLayout
from downslope.descent.batches._loop import BatchChunk, BatchRecipe
from downslope.trace import Journal, Spectrum

# Growing tables of numbers: rows are appended at a cost that does not depend on how many there are.


class GrowingColumns:
    """Columns of one length that rows are appended to.

    Each column is the beginning of a buffer with room to spare, so that a view of all rows copies nothing.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def append(self, columns: Columns) -> None:
        """Append rows; each time with the same columns, except that the first rows decide which these are."""
        if not self._rows:
            self._buffers = {name: np.array(column) for name, column in columns.items()}
            self._rows = _length(columns.values())
            return
        rows = self._rows + _length(columns.values())
        for name, column in columns.items():
            buffer = self._buffers[name] = _with_room(self._buffers[name], self._rows, rows)
            buffer[self._rows : rows] = column
        self._rows = rows

    def clear(self) -> None:
        """Forget all rows."""
        self._buffers, self._rows = {}, 0

    def since(self, first: int) -> dict[str, np.ndarray]:
        """Return the rows from `first` on, as views."""
        return {name: buffer[first : self._rows] for name, buffer in self._buffers.items()}

    @property
    def bytes(self) -> int:
        """The memory that all rows take."""
        return sum(column.nbytes for column in self.since(0).values())

    def last(self, name: str) -> np.ndarray:
        """Return the last entry of a column."""
        return self._buffers[name][self._rows - 1]

    def replace_last(self, name: str, value: float) -> None:
        """Replace the last entry of a column, here but not in the views of it."""
        self._buffers[name] = self._buffers[name][: self._rows].copy()
        self._buffers[name][-1] = value


class Measurements:
    """The evaluations of a training: one row a step at which anything was measured, NaN where a metric was not."""

    def __init__(self) -> None:
        self._steps = np.zeros(0, np.int64)
        self._columns: dict[str, np.ndarray] = {}
        self._rows = 0
        # By name: the lowest finite measurement, and how many finite ones came after it.
        self._best: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that was measured."""
        return tuple(self._columns)

    @property
    def last_step(self) -> int | None:
        """The step at which anything was measured last."""
        return int(self._steps[self._rows - 1]) if self._rows else None

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add what was measured at a step, which may lie before those of the last rows."""
        row = int(np.searchsorted(self._steps[: self._rows], step))
        if row == self._rows or self._steps[row] != step:
            self._insert(row, step)
        for name, value in metrics.items():
            if name not in self._columns:
                self._columns[name] = np.full(len(self._steps), np.nan)
            in_order = not np.any(np.isfinite(self._columns[name][row : self._rows]))
            self._columns[name][row] = value
            if not in_order:
                self._best.pop(name, None)
            elif name in self._best and np.isfinite(value):
                lowest, after = self._best[name]
                self._best[name] = (value, 0) if value < lowest else (lowest, after + 1)

    def since_best(self, name: str) -> int:
        """Return the number of evaluations after the lowest finite measurement of a name."""
        if name not in self._best:
            values = self._columns.get(name, np.zeros(0))[: self._rows]
            values = values[np.isfinite(values)]
            if not len(values):
                return 0
            best = int(np.argmin(values))
            self._best[name] = (float(values[best]), len(values) - 1 - best)
        return self._best[name][1]

    def columns(self, first: int = 0, names: Iterable[str] | None = None) -> Columns:
        """Return the rows from `first` on: `step`, and the metrics of these names, or of all."""
        rows = slice(first, self._rows)
        unknown = np.full(self._rows, np.nan)
        wanted = self.names if names is None else names
        metrics = {name: self._columns.get(name, unknown)[rows].copy() for name in wanted}
        return {"step": self._steps[rows].copy(), **metrics}

    def cut_after(self, step: int) -> None:
        """Remove the rows after a step."""
        self._rows = int(np.searchsorted(self._steps[: self._rows], step, side="right"))
        self._best.clear()

    def _insert(self, row: int, step: int) -> None:
        """Insert a row in which nothing was measured yet."""
        rows = self._rows
        self._steps = _with_room(self._steps, rows, rows + 1)
        self._steps[row + 1 : rows + 1] = self._steps[row:rows]
        self._steps[row] = step
        for name, column in self._columns.items():
            buffer = self._columns[name] = _with_room(column, rows, rows + 1)
            buffer[row + 1 : rows + 1] = buffer[row:rows]
            buffer[row] = np.nan
        self._rows = rows + 1


def _with_room(buffer: np.ndarray, used: int, rows: int) -> np.ndarray:
    """Return a buffer with the given capacity that begins with the used rows."""
    if rows <= len(buffer):
        return buffer
    # By half again, so that appending n rows copies at most 3n; the spare room takes no memory before it is written.
    grown = np.empty((max(rows, len(buffer) + len(buffer) // 2, 16), *buffer.shape[1:]), buffer.dtype)
    grown[:used] = buffer[:used]
    return grown


def _length(columns: Iterable[np.ndarray]) -> int:
    """Return the number of rows of columns."""
    return next((len(column) for column in columns), 0)


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
        if journal is not None and journal.has_state:
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
    def last_step(self) -> int:
        """The step of the last row."""
        return int(self._steps.last("step"))

    @property
    def last_spectrum(self) -> Spectrum | None:
        """The last spectrum that is finite, which is the last that has directions."""
        return self._spectra[self._with_directions[-1]] if self._with_directions else None

    @property
    def last_measured(self) -> int | None:
        """The step at which anything was measured last."""
        return self._measurements.last_step

    def since_best(self, name: str) -> int:
        """Return the number of evaluations after the lowest finite measurement of a name."""
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
        end = self.last_step
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

    def write(self, state: Mapping[str, Any] | None, note: Plain | None = None) -> None:
        """Write the rows that are not on disk yet, with the state behind them, and a note of what is kept elsewhere."""
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
            note=note,
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
        """Read the rows that are on disk."""
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
        self._take_metrics(rows.metrics)
        for spectrum in rows.spectra:
            self.add_spectrum(spectrum)
        self._count_as_written()

    def share(self, layout: DeviceLayout) -> None:
        """Give the rows that process 0 read from disk to the others; those that it left there stay its own."""
        if layout.hosts == 1:
            return
        tables = {"steps": self._steps}
        if not self._dropped:
            tables |= {"layer_steps": self._layer_steps, "layers": self._layers, "parts": self._parts}
        rows = {name: table.since(0) for name, table in tables.items()} | {"metrics": self._measurements.columns()}
        spectra = _arrays_of_spectra(self._spectra)
        arrays = layout.arrays_of_first({f"{of}/{name}": rows[of][name] for of in rows for name in rows[of]} | spectra)
        if layout.writes:
            return
        for spectrum in _spectra_of_arrays(arrays):
            self.add_spectrum(spectrum)
        named: dict[str, dict[str, np.ndarray]] = {}
        for name, column in arrays.items():
            of, _, column_name = name.partition("/")
            named.setdefault(of, {})[column_name] = column
        for of, table in tables.items():
            if of in named:
                table.append(named[of])
        self._take_metrics(named.get("metrics", {}))

    def _take_metrics(self, columns: Columns) -> None:
        """Take up measurements."""
        names = [name for name in columns if name != "step"]
        for index, step in enumerate(columns.get("step", ())):
            row = {name: float(columns[name][index]) for name in names}
            self._measurements.add(int(step), {name: number for name, number in row.items() if not np.isnan(number)})


# Spectra as arrays by name, which processes send each other.

_SPECTRUM = "spectrum-"
_ENDS = ("lowest_direction", "highest_direction")


def _arrays_of_spectra(spectra: Sequence[Spectrum]) -> dict[str, np.ndarray]:
    """Return spectra with the directions that they have."""
    arrays: dict[str, np.ndarray] = {}
    for index, spectrum in enumerate(spectra):
        scaled = spectrum.preconditioned_highest
        numbers = [spectrum.step, spectrum.complete, scaled is not None, scaled or 0.0]
        arrays[f"{_SPECTRUM}{index}/numbers"] = np.array(numbers, float)
        arrays[f"{_SPECTRUM}{index}/eigenvalues"] = spectrum.eigenvalues
        for end in _ENDS:
            for part, leaf in (getattr(spectrum, end) or {}).items():
                arrays[f"{_SPECTRUM}{index}/{end}/{part}"] = leaf
    return arrays


def _spectra_of_arrays(arrays: Mapping[str, np.ndarray]) -> list[Spectrum]:
    """Return the spectra that are among arrays, in their order."""
    spectra: list[Spectrum] = []
    while (name := f"{_SPECTRUM}{len(spectra)}") + "/numbers" in arrays:
        step, complete, is_scaled, scaled = arrays[f"{name}/numbers"].tolist()
        ends: dict[str, Any] = {
            end: {key.removeprefix(prefix): leaf for key, leaf in arrays.items() if key.startswith(prefix)} or None
            for end, prefix in ((end, f"{name}/{end}/") for end in _ENDS)
        }
        eigenvalues = arrays[f"{name}/eigenvalues"]
        spectra.append(
            Spectrum(
                int(step), eigenvalues, bool(complete), preconditioned_highest=scaled if is_scaled else None, **ends
            )
        )
    return spectra
