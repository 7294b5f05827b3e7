"""The verb `backprop`: evaluate a formula, function or network at a point and backpropagate through it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import DownslopeError, ObjectiveError, PointError, SettingError, UnitError, in_a_line
from downslope._types import Columns, Point
from downslope.backpropagation._graph import Draft, Edge, Node, formula_graph, with_gradients
from downslope.backpropagation._notation import free_result
from downslope.backpropagation._program_graph import program_graph
from downslope.backpropagation._result import Backpropagation
from downslope.descent import Objective, check_point
from downslope.descent import objective as as_objective
from downslope.formulas import Formula, check_units

NamedArrays = dict[str, Any]


def is_network(value: Any) -> bool:
    """Return whether a value is an Equinox module that holds arrays, without importing Equinox."""
    # A value can only be an Equinox module if somebody has imported Equinox.
    equinox = sys.modules.get("equinox")
    return equinox is not None and isinstance(value, equinox.Module) and bool(_parts(value)[0])


def on_example(
    network: Any, example: Any, loss: Callable[[Any], Any] | None
) -> tuple[Callable[[NamedArrays], Any], NamedArrays]:
    """Return a network's output on an example as a function of named arrays, and these arrays.

    Args:
        network: an Equinox module that is called with the example.
        example: a single input, without a batch axis.
        loss: function of the prediction that returns a scalar; None if the prediction is a scalar.

    Returns:
        The function, and its argument: the network's parameters and the floating-point arrays of the example.

    Raises:
        ObjectiveError: if the module cannot be called.
    """
    if not callable(network):
        raise ObjectiveError(f"{type(network).__name__} cannot be called with an example", hint="give it a __call__")
    parameters, rebuilt = _parts(network)
    # Both become parts of one point, so their names must differ.
    inputs, fed = _example(example, "input" if "input" not in parameters else free_result("example", list(parameters)))

    def value(parts: NamedArrays) -> Any:
        prediction = rebuilt({name: parts[name] for name in parameters})(fed({name: parts[name] for name in inputs}))
        if loss is not None:
            return loss(prediction)
        # A network with a single output returns shape (1,).
        return prediction.reshape(()) if getattr(prediction, "shape", ()) != () and prediction.size == 1 else prediction

    names = (*parameters, *inputs)
    _tree.distinct(
        names, "arrays", [f"{name!r} of the network" for name in parameters] + [f"{name!r}" for name in inputs]
    )
    return value, parameters | inputs


def of_network(function: Callable[[Any], Any], network: Any) -> tuple[Callable[[NamedArrays], Any], NamedArrays]:
    """Return a function of a network as a function of the network's named parameters, and these parameters."""
    parameters, rebuilt = _parts(network)
    return (lambda parts: function(rebuilt(parts))), parameters


def _parts(module: Any) -> tuple[NamedArrays, Callable[[NamedArrays], Any]]:
    """Return a module's floating-point arrays by name, and a function that rebuilds the module from such arrays."""
    equinox = sys.modules["equinox"]
    # Only floating-point arrays are differentiated; integers, functions and static fields are closed over.
    arrays, rest = equinox.partition(module, equinox.is_inexact_array)
    _, shape = jax().tree.flatten(arrays)
    names = _tree.part_names(arrays)

    def rebuilt(parts: NamedArrays) -> Any:
        return equinox.combine(jax().tree.unflatten(shape, [parts[name] for name in names]), rest)

    return dict(zip(names, _tree.leaves(arrays), strict=True)), rebuilt


def _example(example: Any, prefix: str) -> tuple[NamedArrays, Callable[[NamedArrays], Any]]:
    """Return an example's floating-point arrays by name, and a function that rebuilds the example from such arrays."""
    # A list of numbers is an array to a user but a tree of scalars to JAX: convert it, else each number is a part.
    listed = jax().tree.map(lambda part: np.asarray(part, float) if _is_row(part) else part, example, is_leaf=_is_row)
    leaves, shape = jax().tree.flatten(listed)
    names = [prefix if name == "value" else f"{prefix}/{name}" for name in _tree.part_names(listed)]
    moving = {
        name: leaf
        for name, leaf in zip(names, leaves, strict=True)
        if getattr(leaf, "dtype", np.dtype(float)).kind == "f"
    }

    def fed(parts: NamedArrays) -> Any:
        return jax().tree.unflatten(shape, [parts.get(name, leaf) for name, leaf in zip(names, leaves, strict=True)])

    return moving, fed


def _is_row(part: Any) -> bool:
    """Return whether a part of an example is a list of numbers, or of such lists."""
    return (
        isinstance(part, list)
        and bool(part)
        and all(isinstance(entry, int | float) or _is_row(entry) for entry in part)
    )


def backprop(
    objective: str | Formula | Objective | Callable[..., Any],
    at: Point,
    *,
    data: Any = None,
    loss: Callable[[Any], Any] | None = None,
    units: Mapping[str, str] | None = None,
) -> Backpropagation:
    r"""Evaluate a computation and backpropagate through it, keeping every value, local derivative and gradient.

    A node z with the uses z₁, …, zₙ has the gradient ∂L/∂z = Σᵢ ∂L/∂zᵢ · ∂zᵢ/∂z. Starting from ∂L/∂L = 1, one backward
    pass computes all gradients. The gradient of the point is compared with that of `slope` for a formula, with
    `jax.grad` for a function.

    Args:
        objective: a formula's text, a Formula, an Objective, a JAX function of a point, or an Equinox network.
        at: the point: a mapping of names to numbers for a formula, any pytree of arrays for a function, a single
            example for a network. For a function, a network may be the point.
        data: the table with a formula's data columns.
        loss: for a network, a function of its prediction that returns a scalar; optional if the prediction is a scalar.
        units: units by name, for a formula; the gradient then has units as well.

    Returns:
        The computation graph, with the value and gradient of every node.

    Raises:
        FormulaError: for text that cannot be parsed, or a formula with too many operations to show.
        PointError: for a point that does not match the objective.
        DataError: for a table that cannot be used.
        ObjectiveError: for an objective that is not a scalar function, or that JAX cannot differentiate backwards.
        SettingError: for a loss without a network.
        UnitError: for unknown units, or units of names that do not occur.

    >>> result = backprop("L = (y - w·x)²", at={"w": 0.5, "x": 2, "y": 1.25})
    >>> for line in result.chain_rule():
    ...     print(line)
    ∂L/∂L = 1
    ∂L/∂z₂ = 2z₂ = 0.5
    ∂L/∂z₁ = ∂L/∂z₂ · ∂z₂/∂z₁ = 0.5 × (−1) = −0.5
    ∂L/∂x = ∂L/∂z₁ · ∂z₁/∂x = −0.5 × 0.5 = −0.25
    ∂L/∂w = ∂L/∂z₁ · ∂z₁/∂w = −0.5 × 2 = −1
    ∂L/∂y = ∂L/∂z₂ · ∂z₂/∂y = 0.5 × 1 = 0.5
    """
    if at is None:
        raise PointError("no point is given", hint='for example at={"w": 0.5, "x": 2}')
    if loss is not None and not callable(loss):
        raise SettingError(f"loss is a function of the prediction, not {type(loss).__name__}")
    target, point = _target(objective, at, data, loss, units)
    plain = target.numeric if target.precision == "float64" else None
    if plain is not None:
        nodes, edges = with_gradients(_graph(target, point))
        true = dict(zip(plain.variables, plain.value_and_gradient(point[n] for n in plain.variables)[1], strict=True))
    else:
        nodes, edges, true = _by_jax(target, point)
    parts, slopes = _tree.arrays_by_part(point), _tree.arrays_by_part(true)
    # A formula's gradient is reported in the order of its header; a pytree's in JAX's own order.
    order = target.names if target.formula is not None and target.names is not None else tuple(parts)
    gradient = {name: node.gradient for name, node in zip(order, nodes, strict=False)}
    return Backpropagation(
        read_as=target.read_as,
        name=nodes[-1].label,
        nodes=nodes,
        edges=edges,
        point={name: parts[name] for name in order},
        gradient=gradient,
        largest_difference=_largest_difference(gradient, slopes),
        checked_by="jax.grad" if plain is None else "ds.slope",
        units=target.units,
    )


def _by_jax(target: Objective, point: Point) -> tuple[tuple[Node, ...], tuple[Edge, ...], Point]:
    """Return the nodes and edges with their gradients, and the gradient of `jax.grad`."""
    with precision(target.precision):
        drafts = _graph(target, point)
        try:
            return *with_gradients(drafts), jax().grad(target.function)(point, target.data)
        except Exception as error:
            raise _not_differentiable(target, error) from error


def _target(
    subject: Any, at: Any, data: Any, loss: Callable[[Any], Any] | None, units: Mapping[str, str] | None
) -> tuple[Objective, Point]:
    """Return the subject as an objective, and the point checked against it."""
    if units is not None:
        check_units(units)
        if not isinstance(subject, str | Formula):
            raise UnitError("units= is for a formula", hint="leave it out")
    if not is_network(subject):
        if loss is not None:
            raise SettingError("loss= is for a network", hint="make it part of the function or formula")
        # backprop(loss, at=network): the network's arrays are the point; the function gets the network rebuilt.
        if callable(subject) and not isinstance(subject, Objective) and data is None and is_network(at):
            function, at = of_network(subject, at)
            target = as_objective(function, name=getattr(subject, "__name__", None))
            return target, check_point(target, at)
        target = as_objective(subject, data, units=units)
        return target, check_point(target, at)
    if data is not None:
        raise SettingError("a network has no table", hint="give an example as at=x, and close over the target in loss=")
    function, parts = on_example(subject, at, loss)
    plain = as_objective(function, name="f" if loss is None else "L")
    target = dataclasses.replace(plain, read_as=f"{type(subject).__name__} on one example")
    try:
        return target, check_point(target, parts)
    except ObjectiveError as error:
        # Without a loss, the likely cause of the error is a prediction with several entries.
        hint = "give a loss: loss=lambda prediction: ((prediction - y) ** 2).sum()"
        raise ObjectiveError(error.message, hint=hint if loss is None else error.hint) from error


def _graph(target: Objective, point: Point) -> list[Draft]:
    """Return the graph of an objective before the backward pass."""
    if target.formula is not None:
        return formula_graph(target.formula, target.name, point, target.data)
    try:
        return program_graph(lambda moved: target.function(moved, target.data), target.name, point)
    except DownslopeError:
        raise
    except Exception as error:
        raise _not_differentiable(target, error) from error


def _not_differentiable(target: Objective, error: Exception) -> ObjectiveError:
    """Return the error for a function that JAX can evaluate but not differentiate in reverse mode."""
    return ObjectiveError(
        f"JAX cannot differentiate {target.name} backwards: {in_a_line(error)}",
        hint="a loop needs a fixed number of iterations: jax.lax.scan, or fori_loop with plain numbers",
    )


def _largest_difference(ours: Columns, theirs: Columns) -> float:
    """Return the largest difference between two gradients; equal infinities and two NaNs count as equal."""
    largest = 0.0
    for name, gradient in ours.items():
        first, second = np.asarray(gradient, float), np.asarray(theirs[name], float)
        # inf - inf is NaN: equal entries are set to zero before the maximum.
        same = (first == second) | (np.isnan(first) & np.isnan(second))
        with np.errstate(all="ignore"):
            largest = float(np.maximum(largest, np.max(np.where(same, 0.0, np.abs(first - second)), initial=0.0)))
    return largest
