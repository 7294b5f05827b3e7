"""A training that writes a journal, for tests that kill it: `python journal_writer.py FOLDER ROWS`.

Every number of a row follows from its step alone, and the state is a sum that only the right rows lead to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from downslope.trace import Journal, Outcome, Spectrum, Trace

CHUNK, STATES = 5, 3  # rows an append, appends a state
PARTS = ("layers/0/bias", "layers/0/weight", "layers/1/weight")
LAYERS = ("layers/0", "layers/1")


def header(parts: int = 30) -> Trace:
    start = {name: np.full((parts, 2), place, np.float32) for place, name in enumerate(PARTS)}
    return Trace(
        outcome=Outcome.RUNNING,
        recorded={"step": np.zeros(0, np.int64), "value": np.zeros(0)},
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=PARTS,
        part_columns={},
        start=start,
        end=start,
        spectra=(),
        plan={"read_as": "a network", "method": "adam", "learning_rate": 0.1},
        versions={"python": "3"},
        layer_names=LAYERS,
        facts={"data": {"rows": 120, "shares": [0.5, float("nan")]}},
    )


def rows(first: int) -> dict[str, Any]:
    """Return a chunk of rows from a step on: one layer row and one evaluation for each five steps."""
    step = np.arange(first, first + CHUNK)
    width = np.arange(1, 4)
    chunk = {
        "steps": {"step": step, "value": np.cos(step), "gradient_norm": np.exp(-step / 100), "learning_rate": 0.1},
        "layers": {"step": step[:1], "activation_mean": np.sin(first + width[None, :2]).astype(np.float32)},
        "parts": {name: np.sqrt(first + width[None] + place) for place, name in enumerate(NORMS)},
        "metrics": {"step": step[:1], "training_loss": np.sqrt(step[:1]), "validation_loss": np.array([np.nan])},
    }
    return chunk | {"spectra": [spectrum(first)] if first % 50 == 0 else []}


def spectrum(step: int) -> Spectrum:
    lowest, highest = ({name: np.full((2, 2), step + sign) for name in PARTS} for sign in (-1, 1))
    return Spectrum(step, np.array([-1.0, step]), False, lowest, highest, None if step == 0 else 0.5 * step)


def go_on(journal: Journal, last: int, tell: bool = False) -> Journal:
    """Append rows up to a step, from where the journal is."""
    first = int(journal.note.get("rows", 0))
    total = journal.state.get("total/of all", np.zeros(()))
    for begun in range(first, last, CHUNK):
        chunk = rows(begun)
        total = total + np.sum(chunk["steps"]["value"])
        with_state = (begun // CHUNK) % STATES == STATES - 1
        journal.append(**chunk, state={"total/of all": total} if with_state else None, note={"rows": begun + CHUNK})
        if tell:
            print(begun + CHUNK, flush=True)
    return journal


NORMS = ("parameter_norm", "gradient_norm", "update_norm")


def main(folder: Path, last: int) -> None:
    is_there = (folder / "progress.json").is_file()
    go_on(Journal.reopen(folder) if is_there else Journal.begin(folder, header()), last, tell=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
