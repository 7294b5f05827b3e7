"""The rows of a watched training: gathered in memory, written to a folder, read back as a trace.

The folder is that of `train` with `save=`: a journal, which survives `kill -9` and which the lab follows. What cannot
change in a journal is begun anew, with all rows: the columns that were measured, and the names of parts and layers,
which a watch only learns as it goes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from downslope._errors import SettingError, TraceError, described
from downslope._types import Columns
from downslope.trace import Journal, Outcome, Spectrum, Trace, load, writing
from downslope.watching._chunks import Chunks, arrays, joined, reordered

STEP_COLUMNS = ("gradient_norm", "update_norm", "learning_rate")  # beside `step` and `value`
_WRITE_SECONDS = 1.0  # from one writing to disk to the next, at the least
_MOST_KEPT = 2**26  # bytes of rows by layer and by part; beyond, those that the journal holds are dropped from memory


class WatchedRows:
    """The rows of a watched training so far.

    Args:
        folder: the folder that they are written into; None to keep them in memory.
        overwrite: whether a run that is there is replaced.
        plan: what was to be done, as far as it is known; see `TracePlan`. It may be changed meanwhile.
        facts: what was measured once; see `TraceFacts`. They may be changed meanwhile.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        plan: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        if folder is not None and (not isinstance(folder, str | os.PathLike) or "\0" in os.fspath(folder)):
            raise SettingError(f"folder is the path of a folder, not {described(folder)}")
        # Absolute, since the working directory may change meanwhile.
        self.folder = None if folder is None else Path(folder).absolute()
        self.plan: dict[str, Any] = {"read_as": "a training", "method": "", **(plan or {})}
        self.facts: dict[str, Any] = dict(facts or {})
        self.writes = True  # also to trackers; of several processes that train together only the first
        self.versions: dict[str, str] = {}
        self.start: Columns = {}
        self.part_names: tuple[str, ...] = ()
        self.layer_names: tuple[str, ...] = ()
        self.bad_parts: dict[int, str] = {}  # by step, the first part whose gradient was not finite
        self._steps, self._parts, self._layers = Chunks(), Chunks(), Chunks()
        self._looks: list[int] = []  # the steps of the rows of parts and layers
        self._dropped = 0  # of these, rows that the journal holds and memory no longer does
        self._measured: dict[int, dict[str, float]] = {}  # by step
        self._gaps: dict[str, list[int]] = {}  # by column of the steps, those at which it was not measured
        self._spectra: list[Spectrum] = []
        self._overwrite = overwrite
        self._store: _Store | None = None
        self._lock: contextlib.ExitStack | None = None

    # --- what is added -------------------------------------------------------------------------------------------

    @property
    def last_step(self) -> int | None:
        """The step of the last row; None before the first."""
        return int(self._steps.since(len(self._steps) - 1)["step"][0]) if len(self._steps) else None

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def measured(self) -> Mapping[int, Mapping[str, float]]:
        """The measurements so far, by step."""
        return self._measured

    def add_step(self, step: int, value: float, **columns: float | None) -> None:
        """Add a row; a column that is None was not measured.

        Raises:
            SettingError: for a step that is not above that of the last row.
        """
        numbers = {name: np.array([np.nan if number is None else number], float) for name, number in columns.items()}
        gaps = {name: [step] for name, number in columns.items() if number is None}
        self.add_steps({"step": np.array([step]), "value": np.array([value], float), **numbers}, gaps)

    def add_steps(self, columns: Columns, gaps: Mapping[str, Sequence[int]] | None = None) -> None:
        """Add rows.

        Args:
            columns: `step`, `value`, and those of `STEP_COLUMNS` that were measured.
            gaps: by column, the steps at which it was not measured, where it is NaN.

        Raises:
            SettingError: for steps that do not ascend.
        """
        steps = np.asarray(columns["step"], np.int64)
        last = self.last_step
        if len(steps) and (np.any(np.diff(steps) <= 0) or steps[0] <= (-1 if last is None else last)):
            hint = f"the last row is of step {last}" if last is not None else "the first step is 0, or later"
            raise SettingError(f"steps must ascend, but the next row is of step {steps[0]}", hint=hint)
        self.claim()
        known = {name: np.asarray(columns[name], float) for name in ("value", *STEP_COLUMNS) if name in columns}
        self._steps.append({"step": steps, **known})
        for name in STEP_COLUMNS:
            missing = (gaps or {}).get(name, ()) if name in columns else steps.tolist()
            self._gaps.setdefault(name, []).extend(missing)

    def name_parts(self, names: Iterable[str], start: Columns) -> None:
        """Set the names of the parts of the weights, and the weights at the first step; before any look."""
        self.part_names, self.start = tuple(names), start

    def name_layers(self, names: Iterable[str]) -> None:
        """Set the names of the layers, in forward order; columns that are there already are put in the new order."""
        before, self.layer_names = self.layer_names, tuple(names)
        if before == self.layer_names or not len(self._looks):
            return
        self._read_back()
        if not before:
            self._layers.replace({"activation_mean": np.full((len(self._looks), len(self.layer_names)), np.nan)})
            return
        self._layers.replace(
            {name: reordered(column, before, self.layer_names) for name, column in self._layers.since().items()}
        )

    def add_looks(self, steps: Sequence[int], parts: Columns, layers: Columns) -> None:
        """Add rows of looks, shape (looks, parts) and (looks, layers) for each column; no layers where none are known.

        `parts` has the same columns every time.
        """
        if not len(steps):
            return
        self._looks.extend(map(int, steps))
        self._parts.append(parts)
        if self.layer_names:
            empty = {"activation_mean": np.full((len(steps), len(self.layer_names)), np.nan)}
            self._layers.append(layers or empty)

    def measure(self, step: int, measured: Mapping[str, float]) -> None:
        """Add what was measured at a step, beside what was measured there before."""
        self.claim()
        self._measured.setdefault(int(step), {}).update(measured)

    def add_spectrum(self, spectrum: Spectrum) -> None:
        """Add the curvature at a step."""
        self._spectra.append(spectrum)

    def note(self, sentence: str) -> None:
        """Keep a sentence on what could not be measured among the facts, once."""
        self.facts["notes"] = list(dict.fromkeys([*(self.facts.get("notes") or ()), sentence]))

    # --- as a trace ----------------------------------------------------------------------------------------------

    def trace(self, outcome: Outcome | None = Outcome.RUNNING, end: Columns | None = None) -> Trace:
        """Return the rows so far as a trace.

        Args:
            outcome: how it ended; None to say by the rows whether it ended with numbers that are not finite, else that
                the steps were used.
            end: the weights after the last step, by part; the start if None.
        """
        steps = self._steps.since() or {"step": np.zeros(0, np.int64), "value": np.zeros(0)}
        bad_step, bad_part = (None, None) if outcome is not None else self._first_bad(steps)
        if outcome is None:
            outcome = Outcome.STEPS_USED if bad_step is None else Outcome.NOT_FINITE
        kept = slice(None) if bad_step is None else slice(int(np.searchsorted(steps["step"], bad_step)))
        looks, parts, layers = self._gathered()
        measured = self._metrics()
        recorded = {name: column[kept] for name, column in steps.items() if name not in self._unmeasured()}
        ended = Trace(
            outcome=outcome,
            recorded=recorded,
            coordinate_names=(),
            coordinates=None,
            gradients=None,
            part_names=self.part_names,
            part_columns=parts,
            start=self.start,
            end=self.start if end is None else end,
            spectra=tuple(self._spectra),
            plan=self.plan,
            versions=self.versions,
            not_finite_part=bad_part,
            not_finite_step=bad_step,
            layer_names=self.layer_names,
            layer_steps=looks if self.part_names or self.layer_names else None,
            layer_columns=layers,
            metrics=measured,
            facts=self._facts(measured),
        )
        return ended if outcome is Outcome.RUNNING else ended.replace(plan={**self.plan, "steps": ended.steps_taken})

    def _facts(self, measured: Columns) -> dict[str, Any]:
        """Return the facts, with the cells that were not measured."""
        looked = bool(self._looks)
        # Of a column that is measured at looks alone the looks say it, and most rows would be listed.
        gaps = {
            name: steps
            for name, steps in self._gaps.items()
            if steps and name not in self._unmeasured() and not (looked and name == "update_norm")
        }
        for name, column in measured.items():
            missing = [step for step, row in self._measured.items() if name not in row and name != "step"]
            if missing and np.isnan(column).any():
                gaps[name] = sorted(missing)
        before = self.facts.get("not_measured") or {}
        facts = {**self.facts, **self._scores(measured), **self._unrecorded()}
        return {**facts, "not_measured": {**before, **gaps}} if gaps or before else facts

    def _unrecorded(self) -> dict[str, int]:
        """Return that a step follows the last row, as a fact; a loop that counts from 1 has counted it."""
        steps = self._steps.since()
        return {"unrecorded_steps": 1} if steps and steps["step"][0] == 0 else {}

    def _scores(self, measured: Columns) -> dict[str, Any]:
        """Return the last scores on rows held back as facts, where it is known how many rows these are."""
        if not (self.facts.get("data") or {}).get("validation_rows"):
            return {}
        names = (name for name in ("accuracy", "balanced_accuracy", "r2") if f"validation_{name}" in measured)
        columns = {name: measured[f"validation_{name}"] for name in names}
        known = {name: column[np.isfinite(column)] for name, column in columns.items()}
        scores = {name: float(column[-1]) for name, column in known.items() if len(column)}
        training = (self.facts.get("scores") or {}).get("training")
        return {"scores": {"training": training, "validation": scores}} if scores else {}

    def _unmeasured(self) -> frozenset[str]:
        """The columns of the steps that were measured at none of them."""
        return frozenset(name for name in STEP_COLUMNS if len(self._gaps.get(name, ())) >= len(self._steps))

    def _metrics(self) -> dict[str, np.ndarray]:
        """Return the measurements as columns; NaN where one was not taken."""
        if not self._measured:
            return {}
        rows = sorted(self._measured.items())
        names = dict.fromkeys(name for _, row in rows for name in row)
        columns = {name: np.array([row.get(name, np.nan) for _, row in rows], float) for name in names}
        return {"step": np.array([step for step, _ in rows], np.int64), **columns}

    def _first_bad(self, steps: Columns) -> tuple[int | None, str | None]:
        """Return the step from which on loss or gradient is not finite to the end, and the part; None for none."""
        good = np.isfinite(steps["value"])
        if "gradient_norm" in steps and "gradient_norm" not in self._unmeasured():
            skipped = np.isin(steps["step"], self._gaps.get("gradient_norm", ()))
            good = good & (np.isfinite(steps["gradient_norm"]) | skipped)
        first = int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0
        if first >= len(good):
            return None, None
        step = int(steps["step"][first])
        return step, self.bad_parts.get(step, "value") if np.isfinite(steps["value"][first]) else "value"

    def _gathered(self) -> tuple[np.ndarray, Columns, Columns]:
        """Return the steps of the looks, and the columns by part and by layer."""
        parts, layers = self._parts.since(), self._layers.since()
        if self._dropped and self._store is not None:
            parts = self._store.journal.stored("parts", then=parts)
            layers = self._store.journal.stored("layers", without=("step",), then=layers) if self.layer_names else {}
        return np.array(self._looks, np.int64), parts, layers

    # --- on disk -------------------------------------------------------------------------------------------------

    def write(self, force: bool = False) -> None:
        """Write the rows that are not on disk yet; unless forced, once a second at most.

        Raises:
            TraceError: if the folder is being written by another process, or cannot be written.
        """
        if self.folder is None or not (len(self._steps) or self._measured):
            return
        now = time.monotonic()
        if not force and self._store is not None and now - self._store.wrote < _WRITE_SECONDS:
            return
        names = (self.part_names, self.layer_names, self._unmeasured(), tuple(self._metrics()))
        if self._store is None or self._store.names != names:
            self._read_back()
            self._store = _Store(Journal.begin(self.folder, self.trace()), names)
        self._append(self._store)
        self._store.wrote = time.monotonic()

    def _append(self, store: _Store) -> None:
        """Append the rows that the journal does not hold yet, and renew its facts where they changed."""
        steps, looks = self._steps.since(store.steps), self._looks[store.looks :]
        held = store.looks - self._dropped
        unmeasured, measured = self._unmeasured(), self._metrics()
        # A row of evaluations may get more of them until the next step has a row.
        known = int(np.searchsorted(measured.get("step", np.zeros(0)), self.last_step or 0))
        settled = {name: column[store.evaluations : known] for name, column in measured.items()}
        store.journal.append(
            steps={name: column for name, column in steps.items() if name not in unmeasured},
            parts={"step": np.array(looks, np.int64), **self._parts.since(held)} if looks else {},
            layers=self._layers.since(held) if looks else {},
            metrics=settled if len(settled.get("step", ())) else {},
            spectra=self._spectra[store.spectra :],
        )
        store.steps, store.looks, store.spectra = len(self._steps), len(self._looks), len(self._spectra)
        store.evaluations += len(settled.get("step", ()))
        facts, plan = self._facts(measured), dict(self.plan)
        if (facts, plan) != store.facts:
            store.journal.renew(plan=plan, facts=facts)
            store.facts = facts, plan
        if self._parts.bytes + self._layers.bytes > _MOST_KEPT:
            self._dropped = len(self._looks)
            self._parts.replace({})
            self._layers.replace({})

    def finish(self, trace: Trace) -> None:
        """Write the finished trace, where there is a folder, and let others write it."""
        if self.folder is None:
            return
        try:
            self.write(force=True)
            if self._store is not None:
                self._store.journal.finish(trace)
        finally:
            self.release()

    @property
    def is_written(self) -> bool:
        """Whether rows were written already."""
        return self._store is not None

    def keep_in_memory(self) -> None:
        """Stop writing to disk."""
        with contextlib.suppress(TraceError):
            self._read_back()
        self.release()
        self.folder = None

    def leave_writing(self) -> None:
        """Write nothing, and send nothing: another process of the training does."""
        self.folder, self.writes = None, False

    def release(self) -> None:
        """Release the folder for other writers."""
        if self._lock is not None:
            self._lock.close()

    def claim(self) -> None:
        """Become the only writer of the folder, before the first row.

        Raises:
            SettingError: if there is a run in it that is not to be replaced.
            TraceError: if it is being written by another process, or cannot be written.
        """
        if self.folder is None or self._lock is not None:
            return
        if not self._overwrite and os.path.lexists(self.folder / "trace.json"):
            raise SettingError(
                f"there is a run in {self.folder} already",
                hint="use another folder; overwrite=True replaces the run; load_state_dict(…) continues it",
            )
        lock = contextlib.ExitStack()
        self.folder = lock.enter_context(writing(self.folder))
        self._lock = lock

    def _read_back(self) -> None:
        """Read the rows by layer and by part back into memory, to write them anew."""
        if not self._dropped or self._store is None:
            return
        rows = self._store.journal.rows()
        self._parts.replace(joined([dict(rows.parts), self._parts.since()]))
        layers = {name: column for name, column in rows.layers.items() if name != "step"}
        self._layers.replace(joined([layers, self._layers.since()]))
        self._dropped = 0

    # --- to go on later ------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what is needed to go on from these rows, as plain data: of a folder, up to which step it counts."""
        self.write(force=True)
        state: dict[str, Any] = {"version": 1, "last_step": self.last_step}
        if self.folder is None:
            state |= {
                "steps": {name: column.tolist() for name, column in self._steps.since().items()},
                "gaps": {name: list(steps) for name, steps in self._gaps.items()},
                "looks": list(self._looks),
                "parts": {name: column.tolist() for name, column in self._parts.since().items()},
                "layers": {name: column.tolist() for name, column in self._layers.since().items()},
                "layer_names": list(self.layer_names),
                "measured": {str(step): dict(row) for step, row in self._measured.items()},
            }
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, in place of the rows there are.

        Raises:
            SettingError: for anything but what `state` returned, and if rows were added already.
            TraceError: if the folder holds no run, or a damaged one.
        """
        if not isinstance(state, Mapping) or state.get("version") != 1 or "last_step" not in state:
            raise SettingError(f"a state is what state_dict() returned, not {described(state)}")
        if len(self):
            raise SettingError(
                "a state must be loaded before the first row", hint="call load_state_dict before the loop"
            )
        last = state["last_step"]
        if "steps" in state:
            self._steps.replace(arrays(state["steps"]))
            self._gaps = {name: list(steps) for name, steps in state["gaps"].items()}
            self._looks, self.layer_names = list(state["looks"]), tuple(state["layer_names"])
            self._parts.replace(arrays(state["parts"]))
            self._layers.replace(arrays(state["layers"]))
            self._measured = {int(step): dict(row) for step, row in state["measured"].items()}
        elif self.folder is not None:
            self._overwrite = True  # it is gone on with
            if last is not None:
                self._take(load(self.folder), int(last))

    def _take(self, there: Trace, last: int) -> None:
        """Take the rows of a trace up to a step, and what is known of its network."""
        kept = int(np.searchsorted(there.recorded["step"], last, side="right"))
        self._steps.replace({name: np.asarray(column)[:kept] for name, column in there.recorded.items()})
        gaps = there.facts.get("not_measured") or {}
        for name in STEP_COLUMNS:
            missing = gaps.get(name, []) if name in there.recorded else there.recorded["step"].tolist()
            self._gaps[name] = [step for step in missing if step <= last]
        looks = np.zeros(0, np.int64) if there.layer_steps is None else there.layer_steps
        count = int(np.searchsorted(looks, last, side="right"))
        self._looks = looks[:count].tolist()
        self._parts.replace({name: np.asarray(column)[:count] for name, column in there.part_columns.items()})
        self._layers.replace({name: np.asarray(column)[:count] for name, column in there.layer_columns.items()})
        self.part_names, self.layer_names, self.start = there.part_names, there.layer_names, there.start
        steps = there.metrics.get("step", np.zeros(0))
        for row, step in enumerate(steps):
            numbers = {name: float(column[row]) for name, column in there.metrics.items() if name != "step"}
            # After the last step that counts come evaluations of the point that it led to.
            if step <= last + 1:
                missing = {name for name in numbers if int(step) in gaps.get(name, ())}
                self._measured[int(step)] = {name: x for name, x in numbers.items() if name not in missing}
        self._spectra = [spectrum for spectrum in there.spectra if spectrum.step <= last]
        self.facts = {**{name: fact for name, fact in there.facts.items() if name != "not_measured"}, **self.facts}


class _Store:
    """The journal of a watched training, and how many rows of each kind it holds."""

    def __init__(self, journal: Journal, names: tuple[Any, ...]) -> None:
        self.journal, self.names = journal, names
        self.steps = self.looks = self.spectra = self.evaluations = 0
        self.facts: tuple[Any, Any] | None = None
        self.wrote = -float("inf")
