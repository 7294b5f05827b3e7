"""The residuals of a fit as a function of the free parameters, in the form that compiled programs take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import jax
from downslope._types import Columns
from downslope.fitting._losses import LOSSES
from downslope.formulas import evaluate, jax_functions


@dataclass(frozen=True)
class Problem:
    """What a compiled program is made for; two fits of one equation share it.

    Args:
        right: the tree of the model's side.
        parameters: every parameter, in order.
        free: those to find.
        ties: those that follow from others, each with its tree.
        loss: how residuals count: a name of `LOSSES`.
    """

    right: Any
    parameters: tuple[str, ...]
    free: tuple[str, ...]
    ties: tuple[tuple[str, Any], ...]
    loss: str

    def everything(self, free: Any, given: Given) -> dict[str, Any]:
        """Return every parameter by name.

        Args:
            free: shape (free,).
            given: the fixed ones.
        """
        found = dict(given.fixed) | {name: free[place] for place, name in enumerate(self.free)}
        return found | {name: evaluate(tree, found, jax_functions()) for name, tree in self.ties}

    def predicted(self, free: Any, given: Given) -> Any:
        """Return the model's side, shape (rows,)."""
        values = {**given.columns, **self.everything(free, given)}
        return evaluate(self.right, values, jax_functions()) + 0.0 * given.measured

    def residuals(self, free: Any, given: Given) -> Any:
        """Return what is squared and added up, shape (rows,): weighted, and bent by the loss."""
        plain = (self.predicted(free, given) - given.measured) * given.weight
        return LOSSES[self.loss](plain / given.loss_scale, jax().numpy) * given.loss_scale


class Given(NamedTuple):
    """The data of a problem, handed to compiled programs as arguments.

    Args:
        columns: the columns of the model's side, each of shape (rows,).
        measured: the measured side, shape (rows,).
        weight: what each residual is multiplied by, shape (rows,).
        fixed: the parameters that are held, by name.
        loss_scale: the residual from which on a robust loss counts less.
    """

    columns: Columns
    measured: np.ndarray
    weight: np.ndarray
    fixed: Mapping[str, Any]
    loss_scale: Any

    def rows(self, chosen: np.ndarray) -> Given:
        """Return the same with some of the rows."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return self._replace(columns=columns, measured=self.measured[chosen], weight=self.weight[chosen])
