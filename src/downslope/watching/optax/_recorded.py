"""Rows of a training in the state of an Optax transformation, so that a compiled loop of any kind records itself.

The state has buffers of fixed size: a row for each of the last `capacity` steps, and at every k-th step, a look, the
norms by part. A step writes into them what it has at hand. Nothing is read back until the rows are asked for, so that a
loop may be jitted, scanned, mapped over seeds, donated or spread over devices. There are arrays in the state and
nothing else, the names of the parts among them as letters: a state that was saved says by itself whose norms it holds.

What is recorded is computed of gradients and updates behind a barrier. Without it the compiler would merge the norms
into the computation of the updates themselves, which may then differ in the last bit. Norms of the updates are taken at
looks alone: where nothing else needs them, a compiler adds updates to the weights without ever storing them.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from downslope._arrays import norms_by_part, sum_of_squares
from downslope._engine import jax
from downslope._errors import PointError, SettingError, described, in_a_line
from downslope._tree import part_names
from downslope._types import Columns, Tree

if TYPE_CHECKING:
    from jax import Array
    from optax import GradientTransformation, GradientTransformationExtraArgs

    RateLike = float | Array | Callable[[Array], Array]

_STEP_COLUMNS = ("loss", "gradient_norm", "learning_rate", "has_loss")
PART_NORMS = ("parameter_norm", "gradient_norm", "update_norm")
_SEPARATOR = "\0"  # no name holds it


class RecordedState(NamedTuple):
    """The state of a recorded transformation.

    The names are not those of other states, so that `optax.tree.get(state, "count")` finds one count as before.

    Args:
        inner_state: the state of the transformation itself.
        recorded_count: the updates so far.
        recorded_steps: shape (capacity, 4): the rows of the last steps, that of step n at n modulo the capacity.
        look_steps: shape (looks,): the steps of the last looks; −1 where there was none yet.
        look_norms: shape (looks, 3, parts): the norms by part at these looks.
        part_letters: the names of the parts in UTF-8, with a zero between two.
    """

    inner_state: Any
    recorded_count: Any
    recorded_steps: Any
    look_steps: Any
    look_norms: Any
    part_letters: Any


@dataclass(frozen=True, eq=False)
class RecordedRows:
    """The rows that a state holds, as `trace_from` takes them.

    Args:
        count: the updates in all; the rows are of the last of them.
        steps: `step`, `gradient_norm`, and where they are known `loss`, `learning_rate`, and at looks `update_norm`;
            masked where one was not measured.
        looks: the steps at which the parts were looked at.
        parts: `parameter_norm`, `gradient_norm` and `update_norm` at the looks, by name of the part.
    """

    count: int
    steps: Columns
    looks: np.ndarray
    parts: Mapping[str, Columns]

    @property
    def overwritten(self) -> int:
        """How many of the first steps the state no longer holds."""
        return self.count - len(self.steps["step"])

    def since(self, step: int) -> RecordedRows:
        """Return the rows from a step on."""
        rows, looks = self.steps["step"] >= step, self.looks >= step
        return dataclasses.replace(
            self,
            steps={name: column[rows] for name, column in self.steps.items()},
            looks=self.looks[looks],
            parts={
                part: {name: column[looks] for name, column in columns.items()} for part, columns in self.parts.items()
            },
        )


def recorded(
    transformation: GradientTransformation,
    *,
    every: int = 10,
    capacity: int = 100,
    learning_rate: RateLike | None = None,
) -> GradientTransformationExtraArgs:
    """Return an Optax transformation that also records each step in its state; its updates stay the same.

    Each step records the norm of the gradient, the loss where it is passed as `value=`, and the learning rate. Every
    k-th step also records the norms of parameters, gradients and updates by part. `recorded_rows` reads them.

    Args:
        transformation: the transformation, such as `optax.adam(1e-3)`. Gradients are recorded as it gets them: clipping
            belongs inside.
        every: steps between records of the parts; 0 for none.
        capacity: the number of steps that the state holds. Older ones are overwritten, so read them at least as often.
        learning_rate: the transformation's rate or schedule. If omitted,
            it is recorded if the state contains it, as with `optax.inject_hyperparams`.

    Raises:
        SettingError: for anything but a transformation, and for invalid numbers.

    >>> import numpy as np, optax
    >>> tx = recorded(optax.sgd(0.1), every=2, capacity=4)
    >>> state = tx.init({"w": np.ones(2)})
    >>> for loss in (3.0, 2.0, 1.0):
    ...     _, state = tx.update({"w": np.ones(2)}, state, {"w": np.ones(2)}, value=loss)
    >>> rows = recorded_rows(state)
    >>> rows.steps["loss"].tolist(), rows.looks.tolist()
    ([3.0, 2.0, 1.0], [0, 2])
    """
    import optax

    _check(transformation, every, capacity)
    bare = optax.with_extra_args_support(_as_transformation(transformation))
    rate = _rate_of(learning_rate)

    def init(params: Tree) -> RecordedState:
        return _begun(bare.init(params), params, every, capacity)

    def update(updates: Tree, state: Any, params: Tree | None = None, **extra: Any) -> tuple[Tree, RecordedState]:
        if not isinstance(state, RecordedState):
            raise SettingError(
                f"a recorded transformation takes the state that its init returned, not {described(state)}",
                hint="a checkpoint of the bare transformation: tx.init(params)._replace(inner_state=checkpoint)",
            )
        after, inner = bare.update(updates, state.inner_state, params, **extra)
        with jax().named_scope("downslope.recorded"):
            shown = _rate_in(inner) if rate is None else rate(state.recorded_count)
            written = _written(state, (updates, after, params), extra.get("value"), shown, every)
        return after, written._replace(inner_state=inner)

    return optax.GradientTransformationExtraArgs(init, update)


def recorded_rows(state: Tree, *, run: int | None = None) -> RecordedRows:
    """Read the rows that a recorded transformation left in its state.

    Args:
        state: its state, as the last step returned it, or what holds it: the state of a chain, a `TrainState` of Flax,
            an `Optimizer` of Flax NNX.
        run: the index of the run, if a loop maps several in parallel, like `vmap` over seeds.

    Raises:
        SettingError: if there is not exactly one such state, or it was donated to a later step.
    """
    held = recorded_state(state)
    try:
        arrays = jax().device_get(list(held[1:]))
    except RuntimeError as error:
        raise SettingError(
            f"the state cannot be read: {in_a_line(error)}",
            hint="a donated state is gone: read the one that the last step returned",
        ) from None
    count, steps, look_steps, norms, letters = map(np.asarray, arrays)
    if count.ndim != (0 if run is None else 1):
        runs = "one run" if count.ndim == 0 else f"{len(count)} runs side by side"
        hint = "leave run out" if count.ndim == 0 else "say which one: recorded_rows(state, run=0)"
        raise SettingError(f"the state is of {runs}, and run is {run}", hint=hint)
    if run is not None:
        count, steps, look_steps, norms, letters = (array[run] for array in (count, steps, look_steps, norms, letters))
    return _rows(int(count), steps, look_steps, norms, bytes(letters).decode())


# --- writing ---------------------------------------------------------------------------------------------------------


def _begun(inner: Any, params: Tree, every: int, capacity: int) -> RecordedState:
    """Return the state before the first step."""
    numpy = jax().numpy
    names = _names(params)
    kind = numpy.result_type(float)  # as wide as JAX is set to
    looks = -(-capacity // every) if every else 0
    mesh = _mesh_of(params)
    return RecordedState(
        inner_state=inner,
        recorded_count=numpy.zeros((), "int32"),
        recorded_steps=_on_mesh(numpy.zeros((capacity, len(_STEP_COLUMNS)), kind), mesh),
        look_steps=numpy.full(looks, -1, "int32"),
        look_norms=_on_mesh(numpy.zeros((looks, len(PART_NORMS), len(names)), kind), mesh),
        part_letters=numpy.asarray(np.frombuffer(_SEPARATOR.join(names).encode(), np.uint8)),
    )


def _written(
    state: RecordedState, trees: tuple[Tree, Tree, Tree | None], value: Any, rate: Any, every: int
) -> RecordedState:
    """Return the state with the row of a step written into it.

    Args:
        state: the state before the step.
        trees: gradients, updates, and parameters or None.
        value: the loss, or None.
        rate: the learning rate, or None.
        every: steps from one look to the next.
    """
    lax, numpy = jax().lax, jax().numpy
    # Nothing is differentiated by what is recorded, also where a loop learns how to learn.
    gradients, updates, params = lax.optimization_barrier(lax.stop_gradient(tuple(map(_measured, trees))))
    mesh = _mesh_of((gradients, updates))
    count, kind = state.recorded_count, state.recorded_steps.dtype
    numbers = [
        numpy.nan if value is None else _scalar(value),
        numpy.sqrt(sum_of_squares(_wide(gradients))),
        numpy.nan if rate is None else _scalar(rate),
        0.0 if value is None else 1.0,
    ]
    row = numpy.stack([numpy.asarray(entry).astype(kind) for entry in lax.stop_gradient(numbers)])
    rows, blocks = _on_mesh(state.recorded_steps, mesh), _on_mesh(state.look_norms, mesh)
    steps = lax.dynamic_update_index_in_dim(rows, _on_mesh(row, mesh), count % len(rows), 0)
    # A count that reached the end of its type stays there, as those of Optax do.
    following = numpy.where(count < np.iinfo(np.int32).max, count + 1, count)
    state = state._replace(recorded_count=following, recorded_steps=steps)
    if not every:
        return state
    index = (count // every) % len(state.look_steps)

    def looked() -> tuple[Array, Array]:
        unknown = numpy.full(len(gradients), numpy.nan, kind)
        norms = [
            _by_part(_wide(leaves), mesh).astype(kind) if leaves else unknown for leaves in (params, gradients, updates)
        ]
        block = _on_mesh(numpy.stack(norms).reshape(blocks.shape[1:]), mesh)
        return (
            lax.dynamic_update_index_in_dim(state.look_steps, count, index, 0),
            lax.dynamic_update_index_in_dim(blocks, block, index, 0),
        )

    look_steps, look_norms = lax.cond(count % every == 0, looked, lambda: (state.look_steps, blocks))
    return state._replace(look_steps=look_steps, look_norms=look_norms)


def _measured(tree: Tree | None) -> list[Array]:
    """Return the leaves of a tree that have a norm."""
    return [jax().numpy.asarray(leaf) for leaf in jax().tree.leaves(tree) if _has_norm(leaf)]


def _wide(leaves: list[Array]) -> list[Array]:
    """Return arrays as real ones of at least 32 bits; where a norm is taken, so that no wide copy is stored."""
    numpy = jax().numpy
    real = [numpy.abs(leaf) if numpy.iscomplexobj(leaf) else leaf for leaf in leaves]
    return [leaf.astype(numpy.promote_types(leaf.dtype, "float32")) for leaf in real]


def _has_norm(leaf: Any) -> bool:
    """Tell whether a leaf is one of numbers that can be trained."""
    return isinstance(leaf, float) or (
        hasattr(leaf, "dtype") and jax().numpy.issubdtype(leaf.dtype, jax().numpy.inexact)
    )


def _by_part(leaves: list[Array], mesh: Any) -> Array:
    """Return the norm of each leaf, shape (parts,)."""
    if mesh is None:
        return norms_by_part(leaves)
    # Arrays that lie apart are not joined, which would move them.
    return jax().numpy.stack([jax().numpy.sqrt(jax().numpy.sum(leaf * leaf)) for leaf in leaves])


def _mesh_of(tree: Tree) -> Any:
    """Return the mesh that arrays carry in their type, as those on explicit axes do; None for others."""
    for leaf in jax().tree.leaves(tree):
        sharding = getattr(jax().typeof(leaf), "sharding", None) if _has_norm(leaf) else None
        if sharding is not None and jax().sharding.AxisType.Explicit in (sharding.mesh.axis_types or ()):
            # While a program is traced there are no devices yet, and the mesh is an abstract one.
            return sharding.mesh if isinstance(leaf, jax().core.Tracer) else leaf.sharding.mesh
    return None


def _on_mesh(array: Array, mesh: Any) -> Array:
    """Return an array whole on every device of a mesh; as it is without one."""
    if mesh is None:
        return array
    whole = jax().sharding.NamedSharding(mesh, jax().sharding.PartitionSpec())
    is_abstract = isinstance(mesh, jax().sharding.AbstractMesh)
    return jax().sharding.reshard(array, whole) if is_abstract else jax().device_put(array, whole)


def _scalar(value: Any) -> Array:
    """Return one number as an array without axes."""
    array = jax().numpy.asarray(value)
    if array.size != 1:
        raise SettingError(f"value is the loss, one number, and has the shape {array.shape}")
    return array.reshape(())


def _names(params: Tree) -> tuple[str, ...]:
    """Return the names of the parts that have a norm."""
    nnx = sys.modules.get("flax.nnx")  # a variable of Flax exists only where Flax was imported
    if nnx is not None:
        # Flax wraps each parameter; its path without the wrapper is the name that a user knows.
        kind = nnx.Variable
        params = jax().tree.map(
            lambda node: _leaf(node) if isinstance(node, kind) else node,
            params,
            is_leaf=lambda node: isinstance(node, kind),
        )
    leaves = jax().tree.leaves(params)
    try:
        names = part_names(params)
    except PointError:  # two paths that print alike are no reason not to train
        names = tuple(f"part {index}" for index in range(len(leaves)))
    return tuple(name for name, leaf in zip(names, leaves, strict=True) if _has_norm(leaf))


def _rate_of(rate: RateLike | None) -> Callable[[Any], Any] | None:
    """Return the function from a step to the learning rate; None where it was not passed."""
    return rate if rate is None or callable(rate) else lambda _: rate


def _rate_in(state: Tree) -> Any:
    """Return the learning rate that a state shows, of several the first; None for none."""
    nodes = jax().tree.leaves(state, is_leaf=lambda node: hasattr(node, "hyperparams"))
    shown = (node.hyperparams for node in nodes if hasattr(node, "hyperparams"))
    return next((settings["learning_rate"] for settings in shown if "learning_rate" in settings), None)


def _check(transformation: Any, every: int, capacity: int) -> None:
    """Raise for arguments that make no sense."""
    if not (callable(getattr(transformation, "init", None)) and callable(getattr(transformation, "update", None))):
        raise SettingError(
            f"recorded takes a transformation of Optax, not {described(transformation)}",
            hint="ds.recorded(optax.adam(1e-3))",
        )
    if capacity < 1 or every < 0:
        what = f"capacity is {capacity}" if capacity < 1 else f"every is {every}"
        raise SettingError(f"{what}: at least 1 step is held, and every counts steps from 0 on")


def _as_transformation(transformation: Any) -> Any:
    """Return an object with `init` and `update`, as `optax.MultiSteps` is one, as a transformation."""
    wrapped = getattr(transformation, "gradient_transformation", None)
    return wrapped() if callable(wrapped) else transformation


# --- reading ---------------------------------------------------------------------------------------------------------


def recorded_state(tree: Tree) -> RecordedState:
    """Return the one recorded state in a tree, with arrays for fields."""
    if isinstance(tree, RecordedState):
        return RecordedState(tree.inner_state, *map(_leaf, tree[1:]))
    inside = getattr(tree, "opt_state", tree)
    nodes = jax().tree.leaves(inside, is_leaf=lambda node: isinstance(node, RecordedState))
    states = [node for node in nodes if isinstance(node, RecordedState)]
    if len(states) != 1:
        count = "no recorded transformation" if not states else f"{len(states)} recorded transformations"
        hint = "tx = ds.recorded(optax.adam(1e-3))" if not states else "read the state of one of them"
        raise SettingError(f"the state is of {count}", hint=hint)
    return recorded_state(states[0])


def _leaf(node: Any) -> Any:
    """Return the array in a node that holds one, such as a variable of Flax."""
    if isinstance(node, jax().Array):
        return node
    leaves = jax().tree.leaves(node)
    return leaves[0] if len(leaves) == 1 else node


def _rows(count: int, steps: np.ndarray, look_steps: np.ndarray, norms: np.ndarray, letters: str) -> RecordedRows:
    """Return the rows in the order of their steps."""
    first = max(count - len(steps), 0)
    step = np.arange(first, count)
    by_name = dict(zip(_STEP_COLUMNS, steps[step % len(steps)].astype(float).T, strict=True))
    without = by_name.pop("has_loss") == 0
    columns: dict[str, np.ndarray] = {"step": step, **by_name}
    if without.all():
        del columns["loss"]
    elif without.any():
        columns["loss"] = np.ma.masked_array(columns["loss"], without)
    if np.isnan(columns["learning_rate"]).all():
        del columns["learning_rate"]
    order = np.argsort(look_steps, kind="stable")
    order = order[look_steps[order] >= first]
    looks = look_steps[order].astype(np.int64)
    names = letters.split(_SEPARATOR) if letters and len(look_steps) else []
    parts = {
        name: {column: norms[order, row, index].astype(float) for row, column in enumerate(PART_NORMS)}
        for index, name in enumerate(names)
    }
    if len(looks) and parts:
        updates = np.ma.masked_all(len(step))
        updates[looks - first] = np.sqrt(sum(columns["update_norm"] ** 2 for columns in parts.values()))
        columns["update_norm"] = updates
    return RecordedRows(count, columns, looks, parts)
