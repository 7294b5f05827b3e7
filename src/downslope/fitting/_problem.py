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
class FitProblem:
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

    def everything(self, free: Any, arguments: FitArguments) -> dict[str, Any]:
        """Return every parameter by name.

        Args:
            free: shape (free,).
            arguments: the fixed ones.
        """
        found = dict(arguments.fixed) | {name: free[place] for place, name in enumerate(self.free)}
        return found | {name: evaluate(tree, found, jax_functions()) for name, tree in self.ties}

    def predicted(self, free: Any, arguments: FitArguments) -> Any:
        """Return the model's side, shape (rows,)."""
        values = {**arguments.columns, **self.everything(free, arguments)}
        return evaluate(self.right, values, jax_functions()) + 0.0 * arguments.measured

    def residuals(self, free: Any, arguments: FitArguments) -> Any:
        """Return what is squared and added up, shape (rows,): weighted, and bent by the loss."""
        plain = (self.predicted(free, arguments) - arguments.measured) * arguments.weight
        return LOSSES[self.loss](plain / arguments.loss_scale, jax().numpy) * arguments.loss_scale


class FitArguments(NamedTuple):
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

    def rows(self, chosen: np.ndarray) -> FitArguments:
        """Return the same with some of the rows."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return self._replace(columns=columns, measured=self.measured[chosen], weight=self.weight[chosen])
