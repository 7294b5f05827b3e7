"""The task of a loss function: any tree of parameters, any tree of arrays as a batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox
import numpy as np

from downslope import _tree
from downslope._copies import check_functions
from downslope._engine import Structure, jax, kept, precision, structure_of_function
from downslope._errors import DataError, ObjectiveError, PointError, described, in_a_line
from downslope._numbers import reals, refuse_complex, unmasked
from downslope._types import Plain, Point, Tree
from downslope.descent import Batched, Objective
from downslope.networks._loss_probe import LossBehaviour
from downslope.networks._trained import Batching, Task, Training, end_point
from downslope.networks.data import facts_of_arrays, share_of, split_rows, suited_metric
from downslope.networks.models import Walk, facts_of_walk, look_through, rewritten, walked, with_fast_convolutions
from downslope.networks.tasks._scoring import Assessment, Score, Scoring, outputs_program
from downslope.networks.tasks._stream import Stream, is_stream
from downslope.networks.tasks._tried_loss import tried
from downslope.programs import follows_batch, penalty, program_traits
from downslope.trace import Trace

if TYPE_CHECKING:
    from jax import Array

_MOST_ASSESSED = 5000


def function_task(
    function: Any,
    start: Tree,
    data: Any,
    validation: Any,
    batching: Batching,
    seed: int,
    scoring: Scoring | None = None,
    own: Callable[[Any], Structure] = structure_of_function,
) -> Task:
    """Return the task of a loss function and data.

    Args:
        function: `function(params, batch)`, or `function(params, batch, key)`, a number that JAX differentiates.
        start: the parameters at step 0: a tree of arrays, or an Equinox module.
        data: a tree of arrays with one entry an example along their first axes, from which batches are drawn; or a
            stream of batches, each any tree of arrays.
        validation: the share of the examples held back, or examples of its own, as one batch.
        batching: how many examples a step sees.
        seed: of the examples held back.
        scoring: the functions of outputs and targets, for a score beside the loss; None for the loss alone.
        own: the function from the loss function to the structure that its programs are kept for.

    Raises:
        ObjectiveError, DataError, PointError: for a function, data or parameters that cannot be trained.
    """
    if not callable(function) or isinstance(function, equinox.Module):
        raise ObjectiveError(
            f"start= goes with a loss function, and the model is a {type(function).__name__}",
            hint="a network begins with its own weights: leave start out",
        )
    if start is None:
        raise PointError(
            f"{_name_of(function)} has no parameters to start at",
            hint="train(loss, data, start=params), with loss(params, batch)",
        )
    if is_stream(data, pairs=False):
        return _streamed(function, start, Stream.of(data), validation, batching.accumulate, scoring, own)
    return _drawn(function, start, _arrays(data), validation, batching, seed, scoring, own)


def _drawn(
    function: Any,
    start: Tree,
    examples: Tree,
    validation: Any,
    batching: Batching,
    seed: int,
    scoring: Scoring | None,
    own: Callable[[Any], Structure],
) -> Task:
    """Return the task of examples from which batches are drawn."""
    rows = _rows(examples, "the data")
    held = None
    if validation is None or isinstance(validation, int | float):
        share = share_of(validation, rows)
        if share:
            kept, back = split_rows(rows, None, share, seed)
            examples, held = (jax().tree.map(lambda leaf, of=of: leaf[of], examples) for of in (kept, back))
            rows = len(kept)
    else:
        held = _arrays(validation)
        _rows(held, "validation")
    batch = batching.of(rows)
    loss_function = _LossFunction(function, start, scoring)
    objective = loss_function.objective(examples, examples, held, batch or rows, None, own, seed)
    return Task(objective, loss_function.point, batch, loss_function.training)


def _streamed(
    function: Any,
    start: Tree,
    stream: Stream,
    validation: Any,
    accumulate: int,
    scoring: Scoring | None,
    own: Callable[[Any], Structure],
) -> Task:
    """Return the task of a stream of batches."""
    if stream.common_rows is None and accumulate > 1:
        raise DataError(
            "batches whose arrays have no common first axis cannot be accumulated", hint="leave accumulate out"
        )
    stream.refuse_share(validation)
    held = None if validation is None or isinstance(validation, int | float) else _arrays(validation)
    size = stream.common_rows
    loss_function = _LossFunction(function, start, scoring)
    objective = loss_function.objective(stream.first, stream.sample(), held, size, stream, own)
    return Task(objective, loss_function.point, size, loss_function.training)


class _LossValue:
    """The loss of the examples, as a function of the parameters.

    Args:
        loss: the loss of a batch.
    """

    def __init__(self, loss: Callable[..., Any]) -> None:
        self._loss = loss

    def __call__(self, point: Point, data: Any) -> Any:
        return self._loss(point, (), data["batch"], None)[0]


class _LossFunction:
    """A loss function with its parameters at step 0.

    Args:
        function: the loss.
        start: the parameters; of an Equinox module its float arrays are trained.
        scoring: the functions of outputs and targets; None if they are unknown.
    """

    def __init__(self, function: Callable[..., Any], start: Any, scoring: Scoring | None = None) -> None:
        self.name = _name_of(function)
        # A list of numbers is a vector, not a tree of scalars: {"w": [0, 0]} is what people type.
        self.point, self._fixed = _with_rows(start), None
        # Inside of a module integers and functions are no parameters, and stay fixed.
        if any(isinstance(node, equinox.Module) for node in _modules(start)):
            self.point, self._fixed = equinox.partition(start, equinox.is_inexact_array)
        self._function, self._start, self._scoring = function, start, scoring
        self._takes_key = "key" in _parameters(function)

    def __reduce__(self) -> tuple[Any, ...]:
        check_functions("the loss function", self._function)
        return _LossFunction, (self._function, self._start, self._scoring)

    def loss(self, point: Point, memory: Tree, batch: Tree, key: Array | None) -> tuple[Array, Tree]:
        """Return the loss of a batch, and the memory, which stays empty."""
        params = self._parameters(point)
        # Where nothing is random a key is passed nevertheless: the function may require one.
        chance = jax().random.key(0) if key is None else key
        value = self._function(params, batch, **({"key": chance} if self._takes_key else {}))
        return jax().numpy.asarray(value) if isinstance(value, float) else value, memory  # a constant

    @property
    def _point(self) -> Point:
        """The parameters at step 0 in the type that they are trained in."""
        return jax().tree.map(lambda leaf: np.asarray(leaf, np.float32), self.point)

    def _parameters(self, point: Point) -> Any:
        """Return the parameters as the loss function takes them."""
        return point if self._fixed is None else equinox.combine(point, self._fixed)

    def _outputs(self, point: Point, batch: Tree) -> Any:
        """Return the outputs of a batch."""
        assert self._scoring is not None
        return self._scoring.outputs(self._parameters(point), batch)

    def objective(
        self,
        batch: Any,
        sample: Any,
        held: Any,
        size: int | None,
        stream: Stream | None,
        own: Callable[[Any], Structure] = structure_of_function,
        seed: int = 0,
    ) -> Objective:
        """Return the objective.

        Args:
            batch: examples for a trial call of the function.
            sample: the examples to measure on, all of them unless they come as a stream; or None.
            held: examples for validation, or None.
            size: examples of one batch; None where batches have no common first axis.
            stream: the stream of batches, or None.
            own: the function from the loss function to the structure that its programs are kept for.
            seed: of the rows that learners without a network see.
        """
        structure = own(self._function)
        # A trial on one batch finds errors of the function before the loop is compiled.
        trial = batch if stream is not None else jax().tree.map(lambda leaf: leaf[: size or 1], batch)
        self._check(trial)
        walk = self._walked(trial)
        behaviour, outputs = self._tried(sample)
        score = self._score(trial, sample)
        behaviour = self._with_unread(behaviour, walk, trial, score)
        data = _data_facts(sample, held, stream)
        network = {**self._facts(walk, trial, size, score), **self._traits(walk, trial), **outputs}
        if score is not None:
            data = {**data, **score.facts(sample, held, seed), "rows": data["rows"]}
            network["metric"] = data.get("metric") or suited_metric(score.target.kind, None)
        assess = Assessment(
            kept(structure, ("assess", size), lambda: _means(rewritten(self.loss), size)),
            None if score is None else outputs_program(self._outputs, size),
            score,
            behaviour.takes,
            data.get("metric") == "balanced_accuracy",
        )
        batched = Batched(
            loss=self.loss,
            memory=(),
            examples=sample if stream is None else None,
            stream=stream,
            held_out=held,
            layers=walk.layers,
            **look_through(walk),
            assess=assess,
            facts={
                "data": data,
                "network": network,
                "loss": behaviour.describe(),
            },
            sample=sample,
            structure=structure,
        )
        return Objective(
            function=_LossValue(self.loss),
            name="loss",
            read_as=self.name,
            data={"batch": trial},
            precision="float32",
            batched=with_fast_convolutions(batched),
            structure=structure,
            recipe=functools.partial(
                self.objective,
                batch,
                sample,
                held,
                size,
                stream,
                structure.again,
                seed,
            ),
        )

    def training(self, trace: Trace) -> Training:
        """Return the training that a trace belongs to."""
        with precision("float32"):
            point = jax().tree.map(jax().numpy.asarray, end_point(self.point, trace))
        model = point if self._fixed is None else equinox.combine(point, self._fixed)
        return Training(model, trace, None, (), None)

    def _check(self, batch: Tree) -> None:
        """Raise if the function does not return one number for a batch."""
        try:
            with precision("float32"):
                value, _ = jax().eval_shape(self.loss, self._point, (), batch, jax().random.key(0))
        except Exception as error:
            raise ObjectiveError(
                f"{self.name} fails on a batch: {in_a_line(error)}",
                hint="it is called as loss(params, batch), and written with jax.numpy",
            ) from error
        if getattr(value, "shape", None) != ():
            what = f"an array of shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
            raise ObjectiveError(
                f"{self.name} returns {what}, but one number is needed", hint="average over the batch: .mean()"
            )

    def _walked(self, batch: Tree) -> Walk:
        """Return the layers inferred from the function."""
        return walked(self.loss, self._point, (), batch, None)

    def _tried(self, sample: Tree) -> tuple[LossBehaviour, Plain]:
        """Return the behaviour of the loss on artificial outputs, and the facts on its outputs."""
        if sample is None:
            return LossBehaviour(), {}
        with precision("float32"):
            key = jax().random.key(0)
            return tried(lambda point, batch, key: self.loss(point, (), batch, key)[0], self._point, sample, key)

    def _score(self, batch: Tree, sample: Tree) -> Score | None:
        """Return the score of the outputs; None where they are not known."""
        if self._scoring is None:
            return None
        wanted = self._scoring.wanted(batch if sample is None else sample)
        return Score.of(self._scoring, self._parameters(self._point), batch, wanted)

    def _with_unread(self, behaviour: LossBehaviour, walk: Walk, batch: Tree, score: Score | None) -> LossBehaviour:
        """Return the behaviour of a loss, with the leaves of a batch that it does not read, its targets above all."""
        names, begin = _tree.part_names(batch), len(_tree.leaves(self.point))
        inputs = [range(begin + index, begin + index + 1) for index in range(len(names))]
        read = {index for index, each in enumerate(inputs) if follows_batch(walk.closed, each)[0]}
        if score is not None:
            ignores = not score.scoring.leaves_of_targets(batch) & read and read <= set(score.reads)
            return replace(behaviour, unpaired=0.0, not_additive=0.0, joint=0.0) if ignores else behaviour
        # A batch may hold more than a loss needs; but one array alone is seldom all that is to be learnt.
        unread = [name for index, name in enumerate(names) if index not in read] if len(read) == 1 else []
        return replace(behaviour, unread=", ".join(unread))

    def _penalty(self, walk: Walk) -> float | None:
        """Return the part of the loss at the start that depends on the parameters alone; None where it is not known."""
        try:
            with precision("float32"):
                return penalty(walk.closed, list(map(jax().numpy.asarray, _tree.leaves(self._point))))
        except Exception:  # what cannot be computed apart from the examples is not known
            return None

    def _traits(self, walk: Walk, batch: Tree) -> Plain:
        """Return what the program does beside its layers."""
        return program_traits(walk.closed, _tree.part_names(self.point), 0, len(_tree.leaves(batch)))

    def _facts(self, walk: Walk, batch: Tree, size: int | None, score: Score | None) -> Plain:
        """Return the facts on the parameters before training."""
        return {
            "description": {"kind": "function", "class": self.name},
            **facts_of_walk(walk, self._point, (), batch, size),
            "parameters": _tree.size(self.point),
            "loss": {"name": self.name, "from_logits": None},
            "kind": None if score is None else score.target.kind,
            "metric": "loss",
            "l2": 0.0,
            "penalty": self._penalty(walk),
            "normalised": False,
            "mixed_precision": False,
        }


def _means(loss: Callable[..., Any], size: int | None) -> Callable[..., Any]:
    """Return the program of the loss on sets of examples, in blocks of one batch without an incomplete last one."""

    def mean(point: Point, memory: Tree, examples: Tree) -> Array:
        rows = min(int(jax().tree.leaves(examples)[0].shape[0]), _MOST_ASSESSED) if size else 0
        if size is None or rows < size:
            return loss(point, memory, examples, None)[0]
        # Blocks of the size of a batch, since a loss may depend on it, as a contrastive one does.
        whole, each = rows // size * size, size
        shaped = jax().tree.map(lambda leaf: leaf[:whole].reshape(-1, each, *leaf.shape[1:]), examples)
        return jax().lax.map(lambda batch: loss(point, memory, batch, None)[0], shaped).mean()

    # One program for all sets, compiled once for each combination of shapes.
    return jax().jit(lambda point, memory, sets: {of: mean(point, memory, sets[of]) for of in sets})


def _data_facts(sample: Tree, held: Tree, stream: Stream | None) -> Plain:
    """Return the facts on the examples."""
    own, back = (None if tree is None else list(map(np.asarray, jax().tree.leaves(tree))) for tree in (sample, held))
    batch = None if stream is None else stream.common_rows
    return {
        **(facts_of_arrays(own, back, batch) if own and (stream is None or batch) else {}),
        "rows": None if stream is not None else _rows(sample, "the data"),
        "validation_rows": None if held is None else int(np.shape(jax().tree.leaves(held)[0])[0]),
    }


def _arrays(data: Tree) -> Tree:
    """Return data with arrays for leaves."""
    if data is None:
        raise DataError("no training data", hint="give a tree of arrays, or a list of batches")
    if isinstance(data, str):
        raise DataError(f"a loss function takes arrays or batches, not {described(data)}", hint="read the file first")
    return jax().tree.map(unmasked, data)


def _rows(data: Tree, what: str) -> int:
    """Return the number of examples, or raise if the arrays do not agree."""
    shapes = {name: np.shape(leaf) for name, leaf in zip(_tree.part_names(data), _tree.leaves(data), strict=True)}
    counts = {shape[0] if shape else None for shape in shapes.values()}
    if len(counts) != 1 or None in counts or counts == {0}:
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing"
        raise DataError(
            f"the arrays of {what} need one entry an example along their first axes, and there is {shown}",
            hint="a list of batches is a stream; examples are a tuple or a mapping of arrays",
        )
    return counts.pop() or 0


def _with_rows(start: Tree) -> Tree:
    """Return parameters with each plain list of numbers as one array."""

    def is_row(node: object) -> bool:
        return isinstance(node, list) and bool(node) and all(isinstance(number, int | float) for number in node)

    def checked(node: Any) -> Any:
        if isinstance(node, complex | np.ma.MaskedArray | np.ndarray):
            array = unmasked(node)
            refuse_complex("the start", array, PointError)
            return array if isinstance(node, np.ma.MaskedArray) else node
        return reals("the start", node, PointError) if is_row(node) else node

    _tree.leaves(start)  # raises for keys without an order
    return jax().tree.map(checked, start, is_leaf=is_row)


def _modules(start: Tree) -> list[Any]:
    """Return the leaves of a tree, each Equinox module as one."""
    return jax().tree.leaves(start, is_leaf=lambda node: isinstance(node, equinox.Module))


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters; () where they cannot be inspected."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


def _name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, "loss" for a lambda."""
    called = getattr(function, "__name__", "") or type(function).__name__
    return "loss" if called == "<lambda>" else called
