"""The objective: a differentiable scalar of a point, perhaps over data."""

from __future__ import annotations

import copyreg
import functools
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from downslope import _tree
from downslope._copies import check_functions, fields_alone
from downslope._engine import Structure, jax, kept, precision, structure_of, structure_of_function
from downslope._errors import (
    DataError,
    FormulaError,
    ObjectiveError,
    PointError,
    described,
    in_a_line,
    mapping,
    nearest,
    unknown_variable,
)
from downslope._numbers import reals, refuse_complex, unmasked
from downslope._text import own_names
from downslope._types import Columns, Plain, Point
from downslope.descent.batches._batched import Batched
from downslope.formulas import (
    ARRAYS,
    FLOATS,
    Formula,
    NumericFormula,
    evaluate,
    formula,
    jax_functions,
    names_in,
    stable,
    with_limits,
)
from downslope.tables import Table, check_numbers, read_table


@dataclass(frozen=True, eq=False)
class Objective:
    """A differentiable scalar of a point.

    Args:
        function: the value of a point given the data, `function(point, data)`; JAX can trace it.
        name: its name in tables and pictures.
        read_as: how it was read: a formula in book notation, or the name of a callable.
        names: the coordinates' names in order, for a formula; None if points have any form.
        data: columns by name, handed to `function` as its second argument; empty if there are none.
        formula: the formula it came from, or None.
        units: units by name, the objective's own under `name`.
        precision: "float64" or "float32".
        batched: how it is averaged over batches of examples, or None; `function` is then its value over `data`.
        file: the file that `data` was read from, or None.
        table: the options for reading that file, if any.
        recipe: the call that makes it, if it is pickled as this call; None if it is pickled as its fields.
        structure: the key of its compiled programs, the same for equal objectives whatever their data; None for
            this object alone.
    """

    function: Callable[[Point, Columns], Any]
    name: str
    read_as: str
    names: tuple[str, ...] | None = None
    data: Columns = field(default_factory=dict)
    formula: Formula | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    precision: str = "float64"
    batched: Batched | None = None
    file: str | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    recipe: functools.partial[Objective] | None = field(default=None, repr=False)
    structure: Structure | None = field(default=None, repr=False)

    def __call__(self, point: Point) -> float:
        """Return the value at `point`, as a float."""
        checked = check_point(self, point)
        if self.numeric is not None and self.precision == "float64":
            return float(self.numeric.value([checked[name] for name in self.numeric.variables]))
        with precision(self.precision):
            return float(self.function(checked, self.data))

    @functools.cached_property
    def numeric(self) -> NumericFormula | None:
        """The formula with its derivatives, in float64 and without JAX; None for a function."""
        if self.formula is None:
            return None
        return NumericFormula(self.formula, ARRAYS if self.data else FLOATS, self.data)

    @functools.cached_property
    def _many(self) -> NumericFormula:
        assert self.formula is not None
        return NumericFormula(self.formula, ARRAYS, self.data)

    def values(self, points: Columns) -> np.ndarray:
        """Return the values at many points.

        Args:
            points: the numbers of each part at every point, shape (points,) each.
        """
        count = len(next(iter(points.values())))
        rows = len(next(iter(self.data.values()), ()))
        if self.numeric is None or self.precision != "float64" or count * max(rows, 1) > _MOST_AT_ONCE:
            with precision(self.precision):
                return np.array(_compiled_values(self)(dict(points), self.data), dtype=float)
        many = self._many
        block = max(1, _BLOCK // rows) if rows else count
        pieces = [slice(first, first + block) for first in range(0, count, block)]
        return np.concatenate([_values_in(many, points, piece) for piece in pieces])

    @property
    def owner(self) -> object:
        """The object for whose life its compiled programs are kept."""
        return self.structure or self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.recipe is not None:
            return self.recipe, ()
        function = self.function.function if isinstance(self.function, _FunctionValue) else self.function
        check_functions(f"the objective {self.name}", function)
        return copyreg.__newobj__, (Objective,), fields_alone(self)  # pyright: ignore[reportAttributeAccessIssue]

    def describe(self) -> Plain:
        """Return a description as plain data."""
        return {
            "name": self.name,
            "read_as": self.read_as,
            "names": list(self.names) if self.names is not None else None,
            "columns": sorted(self.data),
            "units": dict(self.units),
            "precision": self.precision,
        }


_BLOCK = 1 << 20  # numbers of an intermediate result over points and rows
_MOST_AT_ONCE = 1 << 27  # points times rows that are left to NumPy: about a second's work


def _values_in(many: NumericFormula, points: Columns, piece: slice) -> np.ndarray:
    """Return the values at some of many points; beside a table, points have an axis of their own."""
    own = [points[name][piece] for name in many.variables]
    result = many.value([values[:, None] for values in own] if many.reduces_rows else own)
    return np.broadcast_to(np.reshape(result, -1) if np.ndim(result) else result, own[0].shape).astype(float)


def _compiled_values(objective: Objective) -> Any:
    """Return the compiled value at many points."""
    return kept(objective.owner, "values", lambda: jax().jit(jax().vmap(objective.function, in_axes=(0, None))))


def objective(
    source: str | Formula | Objective | Callable[[Point], Any],
    data: Any = None,
    *,
    units: Mapping[str, str] | None = None,
    table: Mapping[str, Any] | None = None,
    name: str | None = None,
    precision: str | None = None,
) -> Objective:
    """Return an objective.

    Args:
        source: a formula's text, a Formula, a JAX function of a point that returns a real number, or an Objective.
        data: the table whose columns the formula names: a file, a mapping of columns, a frame; see `read_table`. Names
            in the table are columns, other names are variables.
        units: units by name, for a formula.
        table: how the table is read, where it is not as its cells suggest: {"decimal": "comma"}.
        name: its name; by default that of the formula or function.
        precision: "float64", the default, or "float32" for large functions.

    An Objective is returned unchanged, and takes no further arguments.

    Returns:
        The objective. The same text gives the same object, so that nothing is compiled twice.

    Raises:
        FormulaError: for text that cannot be read.
        DataError: for a table that cannot be used.
        ObjectiveError: for anything but a scalar function of a point.

    >>> loss = objective("Loss(w) = mean((price - w×size)²)", {"size": [50, 100, 150], "price": [100, 200, 300]})
    >>> loss({"w": 1.0})
    11666.666666666666
    """
    if name is not None and not isinstance(name, str):
        raise ObjectiveError(f"the name is a text, not {described(name)}")
    if isinstance(source, Objective):
        same_precision = precision == source.precision
        further = {
            "data": data,
            "units": units,
            "table": table,
            "name": name,
            "precision": None if same_precision else precision,
        }
        _refuse_further("an objective", further)
        return source
    units = mapping("units", units, '{"t": "hour"}')
    table = mapping("table", table, '{"decimal": "comma"}')
    if table is not None and data is None:
        raise ObjectiveError(
            "table= says how data are read, but there are no data", hint='for example data="houses.csv"'
        )
    precision = "float64" if precision is None else precision
    if not isinstance(precision, str) or precision not in ("float64", "float32"):
        raise ObjectiveError(f"the precision is float64 or float32, not {described(precision)}")
    if isinstance(source, str | Formula):
        if data is None:
            read = _of_formula(source, tuple(sorted((units or {}).items())))
        else:
            read = _with_data(source, read_table(data, **(table or {})), units)
        changes: dict[str, Any] = {} if precision == read.precision else {"precision": precision}
        if name is not None and name != read.name:
            changes |= {"name": name, "units": {name if n == read.name else n: unit for n, unit in read.units.items()}}
        if isinstance(data, str | os.PathLike):
            changes |= {"file": os.fspath(data), "table": dict(table or {})}
        return replace(read, **changes) if changes else read
    if callable(source):
        _refuse_further("a function", {"units": units or None})
        if data is not None:
            raise ObjectiveError("a function holds its own data", hint="close over the data inside the function")
        return _of_function(source, name, precision)
    raise ObjectiveError(
        f"an objective must be a formula or a function of a point, not {type(source).__name__}",
        hint='for example "f(x) = x² - 4x + 5", or a JAX function that returns one number',
    )


def _refuse_further(what: str, arguments: Mapping[str, Any]) -> None:
    """Raise for an argument that the objective already holds, or that does not apply to it."""
    idle = [name for name, value in arguments.items() if value is not None]
    if idle:
        raise ObjectiveError(f"{idle[0]} does not apply to {what}", hint="it belongs to the text of a formula")


@functools.lru_cache(maxsize=256)
def _of_formula(source: str | Formula, units: tuple[tuple[str, str], ...]) -> Objective:
    """Return the objective of a formula without data."""
    return _from(formula(source, units=dict(units) or None), {})


def _with_data(source: str | Formula, table: Table, units: Mapping[str, str] | None) -> Objective:
    """Return the objective of a formula whose columns stand in a table."""
    read = formula(source, units=units, columns=table)
    read = replace(read, notes=tuple(dict.fromkeys((*table.notes_on(read.columns), *read.notes))))
    if not read.columns:
        close = [(n, nearest(n, table)) for n in read.variables]
        alike = next((f"did you mean {column} for {n}?" for n, column in close if column), None)
        raise DataError(f"{read.read_as} names no column of the table, which has {', '.join(table)}", hint=alike)
    return _from(read, check_numbers(table, read.columns))


def _from(read: Formula, columns: Columns) -> Objective:
    """Return the objective of a formula that was read."""
    if not read.variables:
        raise FormulaError(f"{read.read_as} has no variable to move along", hint="name one in a header: f(x) = …")
    goal = Objective(
        function=_FormulaValue(read),
        name=read.name or "f",
        read_as=read.read_as,
        names=read.variables,
        data=columns,
        formula=read,
        units=read.units,
        structure=structure_of(("formula", read.body, read.variables)),
    )
    if columns:
        _check_scalar(goal)
    return goal


def _check_scalar(goal: Objective) -> None:
    """Raise if a formula over data is not averaged or summed to one number."""
    if goal.numeric is not None and goal.numeric.by_row:
        rows = len(next(iter(goal.data.values())))
        raise ObjectiveError(
            f"{goal.read_as} is one number for each of the {rows} rows, not one number",
            hint="average over the rows with mean(…), or add them with sum(…)",
        )


def _of_function(function: Callable[[Point], Any], name: str | None, kind: str) -> Objective:
    """Return the objective of a JAX function of a point."""
    called = name or getattr(function, "__name__", "") or type(function).__name__
    shown = "f" if called == "<lambda>" else called
    return Objective(_FunctionValue(function), shown, shown, precision=kind, structure=structure_of_function(function))


# What programs are compiled from. They must not hold the structure that they are kept for, or neither would be
# released.


@dataclass(frozen=True)
class _FormulaValue:
    """The value of a formula at a point.

    Args:
        formula: the formula.
    """

    formula: Formula

    def __call__(self, point: Point, data: Columns) -> Any:
        tree = stable(with_limits(self.formula.body, frozenset(data)) if data else self.formula.body)
        result = evaluate(tree, {**point, **data}, jax_functions())
        # A header may name variables that the body does not use: f(x, y) = x². A multiple of zero keeps the result as
        # large as all entries of the point together, where these are the rows and columns of a grid.
        unused = [name for name in self.formula.variables if name not in names_in(tree)]
        return result + 0.0 * sum(point[name] for name in unused) if unused else result


@dataclass(frozen=True)
class _FunctionValue:
    """The value of a user's function at a point.

    Args:
        function: the function of a point.
    """

    function: Callable[[Point], Any]

    def __call__(self, point: Point, data: Columns) -> Any:
        value = self.function(point)
        return (
            jax().numpy.asarray(value) if isinstance(value, float) else value
        )  # a constant, which JAX leaves as it is

    # An object that is called may compare its arrays.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _FunctionValue) and self.function is other.function

    def __hash__(self) -> int:
        return id(self.function)


def check_point(goal: Objective, point: Point) -> Point:
    """Return a point of an objective, its numbers as floats.

    Args:
        goal: the objective.
        point: for a formula a mapping of names to numbers, a bare number for one variable, or a sequence in the
            variables' order; for a function any pytree of arrays.

    Raises:
        PointError: for a name that is missing or unknown, or something that is not a finite number.
    """
    if goal.names is not None:
        return _named_point(goal, goal.names, point)
    return _tree_point(goal, point)


def _named_point(goal: Objective, names: tuple[str, ...], point: Point) -> dict[str, float]:
    """Return the point of a formula."""
    example = "{" + ", ".join(f'"{name}": {number}.0' for number, name in enumerate(names, start=1)) + "}"
    if point is None:
        raise PointError("no point is given", hint=f"give every variable a number: {example}")
    if not isinstance(point, Mapping):
        # A number for one variable, or numbers in the order of the variables, as on paper.
        numbers = [point] if np.ndim(point) == 0 else list(point)
        if len(numbers) != len(names):
            raise PointError(
                f"{goal.read_as} has {len(names)} variables, and {len(numbers)} numbers were passed",
                hint=f"write {example}",
            )
        point = dict(zip(names, numbers, strict=True))
    point = own_names(point, names)
    for name in point:
        if name not in names:
            raise unknown_variable(goal.read_as, name, names)
    missing = [name for name in names if name not in point]
    if missing:
        raise PointError(
            f"the point has no value for {', '.join(missing)}", hint=f"give every variable a number: {example}"
        )
    return {name: _number(name, point[name]) for name in names}


def _number(name: str, value: Any) -> float:
    """Return a coordinate as a float."""
    array = unmasked(value)
    refuse_complex(name, array.reshape(()) if array.size == 1 else array, PointError)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise PointError(f"{name} must be one number, not {described(value)}")
    number = float(array.reshape(()))
    if not math.isfinite(number):
        raise PointError(f"{name} must be a finite number, not {number}")
    return number


def _tree_point(goal: Objective, point: Point) -> Point:
    """Return the point of a function, its leaves as arrays, after trying the function on their shapes."""
    dtype = np.dtype(goal.precision)
    tree = jax().tree
    _tree.leaves(point)  # raises for keys without an order
    leaves, shape = tree.flatten(_lists_as_arrays(point))
    if not any(map(np.size, leaves)):
        raise PointError("the point holds no numbers", hint="for example {'w': np.zeros(3)}")
    arrays = []
    for part, leaf in zip(_tree.part_names(tree.unflatten(shape, leaves)), leaves, strict=True):
        array = unmasked(leaf)
        if array.dtype.kind not in "biuf":
            raise PointError(f"{part} must hold real numbers, not {array.dtype}")
        if not np.all(np.isfinite(array)):
            raise PointError(f"{part} holds a number that is not finite")
        arrays.append(array.astype(dtype))
    checked = tree.unflatten(shape, arrays)
    _check_function(goal, checked)
    return checked


def _lists_as_arrays(point: Point) -> Point:
    """Return the point with a plain list of numbers taken as one array."""
    return jax().tree.map(
        lambda leaf: reals("the point", leaf, PointError) if _is_row(leaf) else leaf, point, is_leaf=_is_row
    )


def _is_row(leaf: Any) -> bool:
    """Tell whether a part of a point is a plain list of numbers."""
    return isinstance(leaf, list | tuple) and bool(leaf) and all(isinstance(number, int | float) for number in leaf)


def _check_function(goal: Objective, point: Point) -> None:
    """Raise if the function does not return one real number there; functions of a structure are tried once a shape."""
    leaves, form = jax().tree.flatten((point, goal.data))
    shapes = tuple((np.shape(leaf), str(getattr(leaf, "dtype", type(leaf)))) for leaf in leaves)
    kept(goal.owner, ("checked", form, shapes), lambda: _try_function(goal, point))


def _try_function(goal: Objective, point: Point) -> None:
    """Raise if the function, traced, does not return one real number."""
    with precision(goal.precision):
        try:
            result = jax().eval_shape(goal.function, point, goal.data)
        except Exception as error:  # the user's function may raise anything
            raise ObjectiveError(
                f"{goal.name} fails when JAX traces it: {in_a_line(error)}",
                hint="write it with jax.numpy, without if on values, and check the point's names and shapes",
            ) from error
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if shape != () or dtype is None or dtype.kind != "f":
        what = f"an array of shape {shape} and type {dtype}" if shape is not None else type(result).__name__
        raise ObjectiveError(
            f"{goal.name} returns {what}, but one real number is needed", hint="reduce it: .mean() or .sum()"
        )
