"""The verb: a formula, a function or a network at a point, forward and backward."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._errors import DownslopeError, ObjectiveError, PointError, SettingError
from downslope._types import Columns, Point
from downslope.backpropagation._draft import Draft, with_gradients
from downslope.backpropagation._expression_graph import formula_graph
from downslope.backpropagation._notation import free_result
from downslope.backpropagation._program_graph import program_graph
from downslope.backpropagation._result import Backpropagation
from downslope.descent import Objective, check_point, objective

# An Equinox network on one example, and any function of a network, as a function of named arrays.


Named = dict[str, Any]


def is_network(thing: Any) -> bool:
    """Tell whether something is an Equinox module that holds arrays; Equinox is not loaded for the question."""
    equinox = sys.modules.get("equinox")
    return equinox is not None and isinstance(thing, equinox.Module) and bool(_parts(thing)[0])


def on_example(network: Any, example: Any, loss: Callable[[Any], Any] | None) -> tuple[Callable[[Named], Any], Named]:
    """Return a network's value on one example as a function of its parameters and of the example, and these.

    Args:
        network: an Equinox module that is called with the example.
        example: one input, without an axis for a batch.
        loss: what makes one number of the prediction; None where the prediction is one number.

    Raises:
        ObjectiveError: if the module cannot be called.
    """
    if not callable(network):
        raise ObjectiveError(f"{type(network).__name__} cannot be called with an example", hint="give it a __call__")
    parameters, rebuilt = _parts(network)
    inputs, fed = _example(example, "input" if "input" not in parameters else free_result("example", list(parameters)))

    def value(parts: Named) -> Any:
        prediction = rebuilt({name: parts[name] for name in parameters})(fed({name: parts[name] for name in inputs}))
        if loss is not None:
            return loss(prediction)
        return prediction.reshape(()) if getattr(prediction, "shape", ()) != () and prediction.size == 1 else prediction

    return value, parameters | inputs


def of_network(function: Callable[[Any], Any], network: Any) -> tuple[Callable[[Named], Any], Named]:
    """Return a function of a network as a function of its parameters, and these."""
    parameters, rebuilt = _parts(network)
    return (lambda parts: function(rebuilt(parts))), parameters


def _parts(module: Any) -> tuple[Named, Callable[[Named], Any]]:
    """Return the arrays of real numbers in a module by name, and what puts such arrays in their place."""
    equinox = sys.modules["equinox"]
    arrays, rest = equinox.partition(module, equinox.is_inexact_array)
    _, shape = jax().tree.flatten(arrays)
    names = _tree.part_names(arrays)

    def rebuilt(parts: Named) -> Any:
        return equinox.combine(jax().tree.unflatten(shape, [parts[name] for name in names]), rest)

    return dict(zip(names, _tree.leaves(arrays), strict=True)), rebuilt


def _example(example: Any, called: str) -> tuple[Named, Callable[[Named], Any]]:
    """Return the parts of an example by name, and what puts such parts together; whole numbers in arrays stay."""
    listed = jax().tree.map(lambda part: np.asarray(part, float) if _is_row(part) else part, example, is_leaf=_is_row)
    leaves, shape = jax().tree.flatten(listed)
    names = [called if name == "value" else f"{called}/{name}" for name in _tree.part_names(listed)]
    moving = {
        name: leaf
        for name, leaf in zip(names, leaves, strict=True)
        if getattr(leaf, "dtype", np.dtype(float)).kind == "f"
    }

    def fed(parts: Named) -> Any:
        return jax().tree.unflatten(shape, [parts.get(name, leaf) for name, leaf in zip(names, leaves, strict=True)])

    return moving, fed


def _is_row(part: Any) -> bool:
    """Tell whether a part of an example is a plain list of numbers, or of such lists."""
    return isinstance(part, list) and bool(part) and all(isinstance(one, int | float) or _is_row(one) for one in part)


def backprop(thing: Any, at: Point, *, data: Any = None, loss: Callable[[Any], Any] | None = None) -> Backpropagation:
    r"""Go through a computation forward and backward, keeping every value, local derivative and gradient.

    A node z that is used in z₁, …, zₙ has the gradient ∂L/∂z = Σᵢ ∂L/∂zᵢ · ∂zᵢ/∂z. Going back from L, where it is 1,
    all gradients are found in one pass. Those of the point are held against `jax.grad`.

    Args:
        thing: a formula's text, a Formula, an Objective, a JAX function of a point, or an Equinox network.
        at: the point: a mapping of names to numbers for a formula, any pytree of arrays for a function, one example for
            a network. For a function, a network may be the point.
        data: the table of a formula's data columns.
        loss: for a network, what makes one number of its prediction; not needed where that is one number.

    Returns:
        The graph, with every part of the point, every operation between it and the result, and the gradients.

    Raises:
        FormulaError: for text that cannot be read, or a formula with too many operations to show.
        PointError: for a point that does not fit.
        DataError: for a table that cannot be used.
        ObjectiveError: for something that is not a scalar of a point, or that JAX cannot differentiate backwards.
        SettingError: for a loss where there is no network.

    >>> found = backprop("L = (y - w·x)²", at={"w": 0.5, "x": 2, "y": 1.25})
    >>> for line in found.chain_rule():
    ...     print(line)
    ∂L/∂L = 1
    ∂L/∂z₂ = 2z₂ = 0.5
    ∂L/∂z₁ = ∂L/∂z₂ · ∂z₂/∂z₁ = 0.5 × (−1) = −0.5
    ∂L/∂x = ∂L/∂z₁ · ∂z₁/∂x = −0.5 × 0.5 = −0.25
    ∂L/∂w = ∂L/∂z₁ · ∂z₁/∂w = −0.5 × 2 = −1
    ∂L/∂y = ∂L/∂z₂ · ∂z₂/∂y = 0.5 × 1 = 0.5
    """
    if at is None:
        raise PointError("where? no point is given", hint='for example at={"w": 0.5, "x": 2}')
    goal, point = _goal(thing, at, data, loss)
    with precision(goal.precision):
        drafts = _graph(goal, point)
        try:
            nodes, edges = with_gradients(drafts)
            true = jax().grad(goal.function)(point, goal.data)
        except Exception as error:
            raise _not_differentiable(goal, error) from error
    parts, slopes = _by_part(point), _by_part(true)
    order = goal.names if goal.formula is not None and goal.names is not None else tuple(parts)
    gradient = {name: node.gradient for name, node in zip(order, nodes, strict=False)}
    return Backpropagation(
        read_as=goal.read_as,
        name=nodes[-1].label,
        nodes=nodes,
        edges=edges,
        point={name: parts[name] for name in order},
        gradient=gradient,
        largest_difference=_largest_difference(gradient, slopes),
    )


def _goal(thing: Any, at: Any, data: Any, loss: Any) -> tuple[Objective, Point]:
    """Return the objective that something makes, and the point."""
    if not is_network(thing):
        if loss is not None:
            raise SettingError("loss= is for a network", hint="put it into the function, or into the formula")
        if callable(thing) and not isinstance(thing, Objective) and data is None and is_network(at):
            function, at = of_network(thing, at)
            goal = objective(function, name=getattr(thing, "__name__", None))
            return goal, check_point(goal, at)
        goal = objective(thing, data)
        return goal, check_point(goal, at)
    if data is not None:
        raise SettingError("a network has no table", hint="give one example: at=x, and close over the target in loss=")
    function, parts = on_example(thing, at, loss)
    made = objective(function, name="f" if loss is None else "L")
    goal = dataclasses.replace(made, read_as=f"{type(thing).__name__} on one example")
    try:
        return goal, check_point(goal, parts)
    except ObjectiveError as error:
        hint = "say how the prediction is judged: loss=lambda prediction: ((prediction - y) ** 2).sum()"
        raise ObjectiveError(error.message, hint=hint if loss is None else error.hint) from error


def _graph(goal: Objective, point: Point) -> list[Draft]:
    """Return the graph of an objective, its gradients still unknown."""
    if goal.formula is not None:
        return formula_graph(goal.formula, goal.name, point, goal.data)
    try:
        return program_graph(lambda place: goal.function(place, goal.data), goal.name, point)
    except DownslopeError:
        raise
    except Exception as error:
        raise _not_differentiable(goal, error) from error


def _not_differentiable(goal: Objective, error: Exception) -> ObjectiveError:
    """Return the error of a function that JAX can run but not go back through."""
    return ObjectiveError(
        f"JAX cannot differentiate {goal.name} backwards: {type(error).__name__}: {str(error).splitlines()[0]}",
        hint="a loop must have a fixed number of turns: jax.lax.scan, or fori_loop with plain numbers",
    )


def _by_part(point: Point) -> Columns:
    """Return the leaves of a point as arrays by name."""
    return dict(zip(_tree.part_names(point), map(np.asarray, _tree.leaves(point)), strict=True))


def _largest_difference(ours: Columns, theirs: Columns) -> float:
    """Return the largest difference between two gradients; equal infinities do not differ."""
    largest = 0.0
    for name, gradient in ours.items():
        one, other = np.asarray(gradient, float), np.asarray(theirs[name], float)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(all="ignore"):
            largest = float(np.maximum(largest, np.max(np.where(same, 0.0, np.abs(one - other)), initial=0.0)))
    return largest
