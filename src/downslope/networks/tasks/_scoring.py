"""The outputs and the targets of a loss function: its score beside the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import DataError, ObjectiveError, SettingError, described, in_a_line
from downslope._types import Plain, Point, Tree
from downslope.networks._losses import measured
from downslope.networks.data import CLASSES, NUMBERS, TWO_CLASSES, Target
from downslope.networks.tasks._stream import facts_of_pairs

if TYPE_CHECKING:
    from jax import Array

_MOST_ASSESSED = 5000


@dataclass(frozen=True, eq=False)
class Scoring:
    """The functions that return the outputs and the targets of a loss function.

    Args:
        outputs: `outputs(params, batch)`, the outputs of a batch, one row an example.
        targets: the leaf of a batch that holds the targets, by its name, or `targets(batch)`.
    """

    outputs: Callable[[Any, Tree], Array]
    targets: str | Callable[[Tree], Any]

    @classmethod
    def of(cls, outputs: Any, targets: Any) -> Scoring | None:
        """Return the scoring; None without outputs and targets.

        Raises:
            SettingError: for one of them alone, or for others than described above.
        """
        if outputs is None and targets is None:
            return None
        if outputs is None or targets is None:
            missing = "targets" if targets is None else "outputs"
            raise SettingError(
                f"{missing} are missing: a score compares outputs with targets",
                hint='for example outputs=lambda params, batch: batch["x"] @ params["w"], targets="y"',
            )
        if not isinstance(outputs, Callable):
            raise SettingError(f"outputs is a function of (params, batch), not {described(outputs)}")
        if not callable(targets) and not isinstance(targets, str | int):
            raise SettingError(f"targets is the name of a leaf of the batch, or a function of it, not {targets!r}")
        return cls(outputs, targets if callable(targets) else str(targets))

    def wanted(self, batch: Tree) -> np.ndarray:
        """Return the targets of a batch, shape (rows,) for classes or (rows, …).

        Raises:
            DataError: for a name that no leaf has.
        """
        if callable(self.targets):
            with precision("float32"):
                return np.asarray(self.targets(batch))
        names = _tree.part_names(batch)
        if self.targets not in names:
            raise DataError(f"the batch has no {self.targets!r}", hint=f"its leaves are {', '.join(names)}")
        return np.asarray(_tree.leaves(batch)[names.index(self.targets)])

    def leaves_of_targets(self, batch: Tree) -> set[int]:
        """Return the leaves of a batch that the targets are made of, by their indices."""
        if not callable(self.targets):
            return {_tree.part_names(batch).index(self.targets)}
        with precision("float32"):
            program = jax().make_jaxpr(self.targets)(batch).jaxpr
        read = {atom for equation in program.eqns for atom in equation.invars if not hasattr(atom, "val")}
        read |= {atom for atom in program.outvars if not hasattr(atom, "val")}
        return {index for index, variable in enumerate(program.invars) if variable in read}


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a loss function's outputs.

    Args:
        scoring: the functions of outputs and targets.
        target: what the targets are.
        reads: the leaves of a batch that the outputs are computed from, by their indices.
    """

    scoring: Scoring
    target: Target
    reads: tuple[int, ...]

    @classmethod
    def of(cls, scoring: Scoring, params: Any, batch: Tree, wanted: np.ndarray) -> Score:
        """Return the score for outputs of these parameters.

        Args:
            scoring: the functions of outputs and targets.
            params: the parameters.
            batch: some examples.
            wanted: the targets of all examples.

        Raises:
            ObjectiveError: for outputs that have not one row an example.
        """
        try:
            with precision("float32"):
                closed, returned = jax().make_jaxpr(scoring.outputs, return_shape=True)(params, batch)
        except Exception as error:
            raise ObjectiveError(
                f"outputs fails on a batch: {in_a_line(error)}",
                hint="it is called as outputs(params, batch)",
            ) from error
        rows = len(_tree.leaves(batch)[0])
        shape = getattr(returned, "shape", ())
        if shape[:1] != (rows,):
            raise ObjectiveError(f"outputs returns {shape} for {rows} examples", hint="one row for each")
        read = {atom for equation in closed.jaxpr.eqns for atom in equation.invars if not hasattr(atom, "val")}
        inputs = closed.jaxpr.invars[-len(_tree.leaves(batch)) :]
        reads = tuple(index for index, variable in enumerate(inputs) if variable in read)
        return cls(scoring, target_of(wanted, int(np.prod(shape[1:]))), reads)

    def pair(self, batch: Tree) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, shape (rows, features), and targets as a network has them."""
        leaves, wanted = _tree.leaves(batch), self.scoring.wanted(batch)
        inputs = [np.asarray(leaves[index], np.float32).reshape(len(wanted), -1) for index in self.reads]
        if self.target.kind == NUMBERS:
            return np.concatenate(inputs, axis=1), wanted.reshape(len(wanted), -1).astype(np.float32)
        return np.concatenate(inputs, axis=1), wanted.reshape(-1).astype(np.int32)

    def facts(self, examples: Tree, held: Tree | None, seed: int) -> Plain:
        """Return the facts on the examples, with what a learner without a network scores on them."""
        if not self.reads:
            return {}
        back = None if held is None else self.pair(held)
        return facts_of_pairs(*self.pair(examples), back, self.target, seed)

    def measured(self, outputs: np.ndarray, batch: Tree, takes: str, balanced: bool) -> dict[str, float]:
        """Return the scores of the outputs of the first rows of a batch."""
        _, wanted = self.pair(jax().tree.map(lambda leaf: np.asarray(leaf)[: len(outputs)], batch))
        of_logits = takes not in ("probabilities", "numbers")
        rows = outputs.reshape(len(outputs), -1)
        return measured(self.target.kind, rows, wanted, from_logits=of_logits, balanced=balanced)


def target_of(wanted: np.ndarray, outputs: int) -> Target:
    """Return what targets are: whole numbers, one a row, are classes where the outputs can tell them apart."""
    whole = wanted.dtype.kind in "biu" and wanted.size == len(wanted)
    classes = max(int(wanted.max()) + 1, outputs, 2) if whole else 0
    if whole and wanted.min() >= 0 and (outputs > 1 or classes == 2):
        return Target(("target",), TWO_CLASSES if classes == 2 else CLASSES, tuple(range(classes)))
    count = max(int(np.prod(wanted.shape[1:])), 1)
    return Target(("target",) * count, NUMBERS, (), (0.0,) * count, (1.0,) * count)


@dataclass(frozen=True, eq=False)
class Assessment:
    """The measurements of a point: the loss on each set of examples, and the score of the outputs.

    Args:
        means: the program of the loss on sets of examples.
        outputs: the program of the outputs of sets of examples; None where they are not known.
        score: the score; likewise.
        takes: what the loss takes, as `LossBehaviour` has it.
        balanced: whether the mean accuracy over the classes is measured as well.
    """

    means: Callable[..., Any]
    outputs: Callable[..., Any] | None
    score: Score | None
    takes: str
    balanced: bool

    def __call__(self, point: Point, memory: Any, sets: Any) -> dict[str, float]:
        """Return the measurements by name."""
        measurements = {f"{of}_loss": float(value) for of, value in self.means(point, memory, sets).items()}
        if self.outputs is None or self.score is None:
            return measurements
        for of, outputs in self.outputs(point, sets).items():
            scores = self.score.measured(np.asarray(outputs), sets[of], self.takes, self.balanced)
            measurements |= {f"{of}_{name}": value for name, value in scores.items()}
        return measurements


def outputs_program(outputs: Callable[..., Any], size: int | None) -> Callable[..., Any]:
    """Return the program of the outputs of sets of examples, in blocks of one batch, of at most 5000 rows."""

    def of_set(point: Point, examples: Tree) -> Array:
        rows = min(int(jax().tree.leaves(examples)[0].shape[0]), _MOST_ASSESSED)
        each = min(size or rows, rows)
        whole = rows // each * each
        shaped = jax().tree.map(lambda leaf: leaf[:whole].reshape(-1, each, *leaf.shape[1:]), examples)
        mapped = jax().lax.map(lambda batch: outputs(point, batch), shaped)
        return mapped.reshape(whole, *mapped.shape[2:])

    return jax().jit(lambda point, sets: {of: of_set(point, sets[of]) for of in sets})
