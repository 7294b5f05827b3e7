"""The instrument of a compiled loop that hides its gradients: measurements on a kept batch, between two steps.

The loop says when a step begins and when it has ended. Before a step that is looked at, the layers and gradients of the
kept batch are computed at the weights that the step begins with; after it, how far it moved them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._types import Columns, Tree
from downslope.watching._looks import MOST_WEIGHTS, ended_by
from downslope.watching._rows import WatchedRows
from downslope.watching.optax._loss_looks import CurvatureLooks, LossLooks, compared, facts_of_batch


class KeptBatchInstrument:
    """What looks at a model on a kept batch.

    Args:
        rows: the rows that it adds to.
        weights: the function that returns the weights as they are now, by part.
        loss: `loss(weights, batch)`.
        batch: the examples of the looks, a pair of inputs and targets.
        data: the examples that simple learners see.
        every: steps from one look to the next; 0 for none.
        curvature_every: steps from one look at the curvature to the next, 0 for none; None for looks at the start, at
            step 100, and each time that the steps have doubled.
        most_rows: the most rows of the batch that simple learners see; 0 for none.
    """

    def __init__(
        self,
        rows: WatchedRows,
        weights: Callable[[], Mapping[str, Any]],
        loss: Callable[..., Any],
        batch: Tree,
        data: Tree,
        *,
        every: int = 10,
        curvature_every: int | None = None,
        most_rows: int = 2000,
    ) -> None:
        self._rows, self._weights, self._every = rows, weights, every
        start = weights()
        self._is_small = sum(np.size(leaf) for leaf in start.values()) <= MOST_WEIGHTS
        self._looks = LossLooks(loss, start, batch)
        self._before: Columns | None = None
        self._row: tuple[Columns, Columns] | None = None
        self._curvature = CurvatureLooks(self._looks, rows, curvature_every)
        self.next_step = 0
        self._data = facts_of_batch(data, most_rows)
        self._looks.describe(rows, self._data, self._kept(start))

    def is_due(self, step: int) -> bool:
        """Tell whether a step is looked at."""
        return self._every > 0 and step % self._every == 0

    def before(self, step: int) -> None:
        """Look at the weights that a step begins with; a failure ends the looks, and never the training."""
        if not self.is_due(step):
            return
        try:
            weights = self._weights()
            look = jax().device_get(self._looks.look(weights))
            layers = dict(zip(self._looks.layer_columns, np.asarray(look.layers, float)[:, None], strict=True))
            norms = {"parameter_norm": look.parameter_norms, "gradient_norm": look.gradient_norms}
            self._row = {name: np.asarray(norm, float)[None] for name, norm in norms.items()}, layers
            self._before = self._kept(weights)
            if self._curvature.is_due(step):
                self._curvature.look(weights, step)
        except Exception as error:
            self._every, self._row = 0, None
            self._rows.note(ended_by(error, step))

    def after(self, step: int, steps: int = 1) -> None:
        """Add the row of a look once its step is done; of several steps at once the move is that of all."""
        self.next_step = step + steps
        if self._row is None:
            return
        (parts, layers), self._row = self._row, None
        moved = np.full(len(self._looks.parts), np.nan)
        if self._before and steps == 1:
            after = self._kept(self._weights())
            moved = np.array([np.linalg.norm(after[name] - array) for name, array in self._before.items()])
        self._rows.add_looks([step], {**parts, "update_norm": moved[None]}, layers)

    def _kept(self, weights: Mapping[str, Any]) -> Columns:
        """Return a copy of the weights in the order of the parts; nothing where they are too many."""
        if not self._is_small:
            return {}
        return {name: np.array(weights[name], np.float32) for name in self._looks.parts}

    @property
    def end(self) -> Columns | None:
        """The current weights."""
        return self._kept(self._weights()) or None

    def loss(self, value: Any) -> None:
        """Take no loss: the rows of the steps come by `Watch.row`."""

    def flush(self) -> None:
        """Compare the network by what the loop measures of it; rows are added as they come."""
        self._rows.facts |= compared(self._rows, self._data)

    def score(self) -> dict[str, float]:
        """Return nothing: the batch of a step is not seen."""
        return {}

    @property
    def rows_evaluated(self) -> int | None:
        """The number of rows of an evaluation, which is not available."""
        return None

    def resume(self, step: int) -> None:
        """Number the next step."""
        self.next_step = step
        self._curvature.resume(step)

    def close(self) -> None:
        """Do nothing: nothing was put into the loop."""
