"""The end of a model: the activation of its output, and the part of a loss function behind its outputs.

The last layer of a program is the one from which no other is reached. What follows is run on numbers in place of its
pre-activation, and told by what it makes of them: a softmax by rows that add up to 1, a sigmoid by its values, a bound
by values that no longer change. So an activation of a library and one written out are told alike, and what is not
recognised has no name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._engine import jax, precision
from downslope._tree import leaves, part_names
from downslope._types import Plain, Point, Tree
from downslope.networks.layers import activation, activation_names
from downslope.programs import (
    VIEWS,
    Atom,
    Constant,
    ProgramLayer,
    StraightProgram,
    Value,
    evaluate,
    find_layers,
    straighten,
)

if TYPE_CHECKING:
    from jax import Array

# Beyond 30 a sigmoid is 0 or 1 to the last bit of a float32.
_CONSTANTS = np.array([-60, -30, -3, -1, -0.5, 0, 0.5, 1, 3, 30, 60], np.float32)
_MIXED = 3  # arrays of random numbers
_ROWS = 3
_NEAR = 1e-3
# Operations after which a number of the array still is a weighted sum of numbers of the array before.
_AFFINE = frozenset({"add", "sub", "neg", "concatenate", "reduce_sum", "pad", "cumsum"})
_SCALING = frozenset({"mul", "div"})
# The least and the largest value of the known activations; those that are not here have neither.
_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, None),
    "softplus": (0.0, None),
    "exponential": (0.0, None),
    "elu": (-1.0, None),
}


@dataclass(frozen=True)
class OutputForm:
    """The form of the last operations of a model.

    Args:
        name: "linear", the name of an activation, or "log_softmax"; "" where it is not recognised.
        low: the least value that it can take; None where there is none, or where it is not known.
        high: the largest value; likewise.
        bounds_known: whether None among these means that there is no bound.
    """

    name: str = ""
    low: float | None = None
    high: float | None = None
    bounds_known: bool = False

    @classmethod
    def of(cls, name: str | None) -> OutputForm:
        """Return the form of a known activation; one of which nothing is known without a name."""
        return cls(name, *_BOUNDS.get(name, (None, None)), bounds_known=True) if name else cls()

    @property
    def bounds(self) -> list[float | None] | None:
        """The least and the largest value; None where they are not known."""
        return [self.low, self.high] if self.bounds_known else None

    def facts(self, outputs: int) -> Plain:
        """Return the facts for a number of outputs."""
        return {"output": self.name, "output_bounds": self.bounds, "outputs": outputs}


_LINEAR = OutputForm.of("linear")


def output_form(function: Callable[..., Array], params: Point, *rest: Tree) -> OutputForm:
    """Return the form of the last operations of a function.

    Args:
        function: `function(params, *rest)`, the outputs of a few examples, shape (rows, …).
        params: a tree of arrays.
        rest: the other arguments.

    >>> import numpy as np
    >>> def squashed(params, inputs):
    ...     return 2 * jax().nn.sigmoid(inputs @ params["w"])
    >>> output_form(squashed, {"w": np.ones((3, 4), "float32")}, np.ones((2, 3), "float32")).bounds
    [0.0, 2.0]
    """
    return output_form_and_shape(function, params, *rest)[0]


def output_form_and_shape(
    function: Callable[..., Array], params: Point, *rest: Tree
) -> tuple[OutputForm, tuple[int, ...]]:
    """Return what the last operations of a function are, as `output_form` does, and the shape of what it returns.

    The function is traced once for both.
    """
    with precision("float32"):
        program, layers, shape = _program(function, params, rest)
        last = _last_layers(program, layers)
        if not last:
            return _form_of_rows(np.asarray(jax().jit(function)(params, *rest))), shape
        if _is_affine(program, last):
            return _LINEAR, shape
        return _form(*_responses(program, last, (params, *rest))), shape


def _program(
    function: Callable[..., Any], params: Point, rest: Any
) -> tuple[StraightProgram, tuple[ProgramLayer, ...], tuple[int, ...]]:
    """Return the program of a function, its layers, and the shape of its first result."""
    closed = jax().make_jaxpr(function)(params, *rest)
    paths = part_names(params)
    program = straighten(closed, len(paths))
    return program, find_layers(program, paths), closed.out_avals[0].shape


def _last_layers(program: StraightProgram, layers: tuple[ProgramLayer, ...]) -> list[ProgramLayer]:
    """Return the layers that reach the outputs and no other layer."""
    needed: set[Atom] = set(program.outputs[:1])
    leading: set[Atom] = set()
    for step in reversed(program.steps):
        if any(result in needed for result in step.results):
            needed.update(step.operands)
        if step.kernels or any(result in leading for result in step.results):
            leading.update(step.operands)
    return [layer for layer in layers if layer.pre in needed and layer.pre not in leading]


def _is_affine(program: StraightProgram, last: list[ProgramLayer]) -> bool:
    """Tell, without running anything, whether the outputs are weighted sums of the last layers' pre-activations."""
    moving: set[Atom] = {layer.pre for layer in last}
    for step in program.steps:
        if any(result in moving for result in step.results):
            continue
        touched = [operand in moving for operand in step.operands]
        if not any(touched):
            continue
        first_only = touched[0] and not any(touched[1:])
        scaled = step.primitive in _SCALING and (first_only or (step.primitive == "mul" and sum(touched) == 1))
        if not (step.primitive in VIEWS or step.primitive in _AFFINE or scaled):
            return False
        moving.update(step.results)
    return True


def run_from(program: StraightProgram, inputs: list[Array], known: dict[Value, Array]) -> Array:
    """Run a program with some of its values replaced, and return its first output."""
    known = {**dict(zip(program.inputs, inputs, strict=True)), **known}

    def read(atom: Atom) -> Any:
        return atom.value if isinstance(atom, Constant) else known[atom]

    for step in program.steps:
        if not all(result in known for result in step.results):
            results = evaluate(step.equation, [read(operand) for operand in step.operands])
            for value, array in zip(step.results, results, strict=True):
                known.setdefault(value, array)
    return read(program.outputs[0])


def _responses(
    program: StraightProgram, last: list[ProgramLayer], arguments: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the outputs for constants and for random numbers, shape (cases, rows, …), and the numbers put in."""
    random = np.random.default_rng(0)
    shapes = [layer.pre.shape for layer in last]
    steady = [np.broadcast_to(_CONSTANTS.reshape(-1, *[1] * len(shape)), (len(_CONSTANTS), *shape)) for shape in shapes]
    first, second = ([random.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(2))
    chosen = [random.choice(_CONSTANTS, shape) for shape in shapes]
    cases = [
        np.concatenate([constant, np.stack([drawn, other, drawn + other, mixed])])
        for constant, drawn, other, mixed in zip(steady, first, second, chosen, strict=True)
    ]
    flat = [jax().numpy.asarray(leaf) for leaf in jax().tree.leaves(arguments)]

    def respond(cases: list[Array], flat: list[Array]) -> Array:
        pre = [layer.pre for layer in last]
        return jax().lax.map(lambda case: run_from(program, flat, dict(zip(pre, case, strict=True))), cases)

    typed = [jax().numpy.asarray(case, layer.pre.dtype) for case, layer in zip(cases, last, strict=True)]
    # What leads up to the last layer is not computed: nothing reads it.
    return np.asarray(jax().jit(respond)(typed, flat), np.float64), chosen


def _form(responses: np.ndarray, chosen: list[np.ndarray]) -> OutputForm:
    """Return what makes such outputs of constants, two arrays of random numbers, their sum, and a mixture of constants.

    Args:
        responses: shape (constants + 4, rows, …).
        chosen: the mixture.
    """
    count = len(_CONSTANTS)
    constants, (first, second, added, mixed) = responses[:count].reshape(count, -1), responses[count:]
    rest = responses[int(np.flatnonzero(_CONSTANTS == 0)[0])]
    with np.errstate(all="ignore"):
        if _are_close(added - first, second - rest):
            return _LINEAR
        form = _form_of_rows(np.concatenate([first, second, mixed]))
        if form.name or not _are_close(constants, constants[:, :1]):
            return form
        # Each number on its own: a mixture of constants gives what the constants gave, in whatever order of the axes.
        expected = constants[np.searchsorted(_CONSTANTS, chosen[0]), 0] if len(chosen) == 1 else np.zeros(0)
        if expected.size != mixed.size or not _are_close(np.sort(expected, axis=None), np.sort(mixed, axis=None)):
            return form
        return _form_of_each(constants[:, 0])


def _form_of_rows(outputs: np.ndarray) -> OutputForm:
    """Return what makes rows add up to 1, or their exponentials; a form without a name for other rows."""
    if outputs.ndim < 2 or not np.all(np.isfinite(outputs)):
        return OutputForm()
    if _are_close(outputs.sum(axis=-1), 1.0) and outputs.min() >= 0 and (outputs.shape[-1] > 1 or np.ptp(outputs) == 0):
        return OutputForm("softmax", 0.0, 1.0, bounds_known=True)
    if outputs.shape[-1] > 1 and outputs.max() <= 0 and _are_close(np.exp(outputs).sum(axis=-1), 1.0):
        return OutputForm("log_softmax", None, 0.0, bounds_known=True)
    return OutputForm()


def _form_of_each(values: np.ndarray) -> OutputForm:
    """Return what makes these values of the constants, number by number."""
    if not np.all(np.isfinite(values[1:-1])):
        return OutputForm()
    # A sigmoid ends at 1e-26, which is 0 to all intents.
    low, high = (float(np.round(end, 6)) + 0.0 for end in (np.nanmin(values), np.nanmax(values)))
    settled = []
    for edge, before in ((0, 1), (-1, -2)):
        change = values[edge] - values[before]
        settled.append(0 if abs(change) <= _NEAR * (1 + abs(values[before])) else change)
    bounds = (None if min(settled) < 0 else low, None if max(settled) > 0 or not np.isfinite(high) else high)
    name = next((name for name in activation_names() if name != "softmax" and _is_activation(name, values)), "")
    return OutputForm(name, *bounds, bounds_known=True)


def _is_activation(name: str, values: np.ndarray) -> bool:
    """Tell whether the values are those of an activation at the constants."""
    middle = slice(2, -2)  # at 30 an exponential is all there is to see
    return _are_close(np.asarray(activation(name).function(jax().numpy.asarray(_CONSTANTS[middle]))), values[middle])


def _are_close(values: np.ndarray, others: np.ndarray | float) -> bool:
    scale = max(float(np.max(np.abs(values), initial=0)), 1e-6)
    return bool(np.allclose(values, others, rtol=_NEAR, atol=_NEAR * min(scale, 1.0)))


# --- the part of a loss behind the outputs ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LossTail:
    """A loss function from its outputs on.

    Args:
        form: the activation behind the last layer, linear for none.
        shape: the shape of the outputs of one example.
        names: the leaves of the batch that are compared with the outputs, by name.
        targets: these leaves, shape (rows, …) each.
        value: the loss from outputs, shape (rows, …), and such leaves.
    """

    form: OutputForm
    shape: tuple[int, ...]
    names: tuple[str, ...]
    targets: tuple[np.ndarray, ...]
    value: Callable[[Array, tuple[Array, ...]], Array]


def loss_tail(loss: Callable[..., Any], params: Point, batch: Tree, key: Any) -> LossTail | None:
    """Return a loss function from its outputs on; None where they are not found, or nothing is compared with them.

    The outputs are what the last layer makes. There must be one last layer, with a row for each example.

    Args:
        loss: `loss(params, batch, key)`, a number.
        params: a tree of arrays.
        batch: examples, a tree of arrays.
        key: a random key.
    """
    rows = len(leaves(batch)[0])
    with precision("float32"):
        program, layers, _ = _program(loss, params, (batch, key))
    last = _last_layers(program, layers)
    if len(last) != 1:
        return None
    layer = last[0]
    # An activation that is recognised belongs to the outputs; what is not, to the loss.
    named = layer.activation not in (None, "linear")
    outputs = layer.post if named else layer.pre
    if outputs.shape[:1] != (rows,):
        return None
    begin, count = len(part_names(params)), len(leaves(batch))
    read = _read_beside(program, outputs)
    indices = [index for index in range(begin, begin + count) if program.inputs[index] in read]
    names = part_names(batch)
    if not indices:
        return None
    flat = [*map(jax().numpy.asarray, jax().tree.leaves((params, batch))), *jax().tree.leaves(key)]

    def value(artificial: Array, targets: tuple[Array, ...]) -> Array:
        inputs = list(flat)
        for index, target in zip(indices, targets, strict=True):
            inputs[index] = target
        return run_from(program, inputs, {outputs: artificial.astype(outputs.dtype)})

    return LossTail(
        OutputForm.of(layer.activation) if named else _LINEAR,
        outputs.shape[1:],
        tuple(names[index - begin] for index in indices),
        tuple(np.asarray(leaves(batch)[index - begin]) for index in indices),
        value,
    )


def _read_beside(program: StraightProgram, outputs: Value) -> set[Atom]:
    """Return the values that the loss reads otherwise than through the outputs."""
    read: set[Atom] = set(program.outputs[:1])
    for step in reversed(program.steps):
        if outputs not in step.results and any(result in read for result in step.results):
            read.update(step.operands)
    return read
