"""A Python function as a function of formulas: its values, and its derivatives by the best method available.

A function that uses JAX is differentiated by JAX. Any other is evaluated with an imaginary part of 1e-30 at a
parameter, which gives the slope exactly where its code allows complex numbers (Squire and Trapp, 1998); elsewhere by
differences of fourth order. A second slope is a difference of first ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

Way = Literal["jax", "complex step", "differences", "rule"]

_IMAGINARY = 1e-30
_STEP = 1e-3  # relative, of differences of fourth order: error and rounding are alike, about 1e-13


class ForeignFunction(str):
    """The name of a function in a tree, with the Python function that it stands for.

    Args:
        name: the name, for printing.
        function: takes columns, shape (rows,), and numbers; returns a number for each row.
        is_column: which of its arguments are columns.
        way: how its slopes are computed.
        orders: the positions of the arguments that it is differentiated by.
        rule: the derivative by an argument as a tree, of a function that takes arrays of any shape; None for others.
        in_jax: that function in JAX.
    """

    function: Callable[..., Any]
    is_column: tuple[bool, ...]
    way: Way
    orders: tuple[int, ...]
    rule: Callable[..., Any] | None
    in_jax: Callable[..., Any] | None

    def __new__(
        cls,
        name: str,
        function: Callable[..., Any],
        is_column: Sequence[bool],
        way: Way,
        orders: Sequence[int] = (),
        rule: Callable[..., Any] | None = None,
        in_jax: Callable[..., Any] | None = None,
    ) -> ForeignFunction:
        self = super().__new__(cls, name)
        self.rule, self.in_jax = rule, in_jax
        self.function, self.is_column, self.way, self.orders = function, tuple(is_column), way, tuple(orders)
        return self

    @property
    def _key(self) -> tuple[Any, ...]:
        return str(self), self.function, self.is_column, self.orders

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignFunction) and self._key == other._key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Any, ...]:
        own = (self.is_column, self.way, self.orders, self.rule, self.in_jax)
        return ForeignFunction, (str(self), self.function, *own)

    def slope(self, position: int) -> ForeignFunction:
        """Return the derivative by an argument."""
        orders = (*self.orders, position)
        return ForeignFunction(f"∂{self}", self.function, self.is_column, self.way, orders)

    def __call__(self, *arguments: Any) -> Any:
        if any(hasattr(argument, "aval") for argument in arguments):
            return _in_jax(self)(*arguments) if self.in_jax is None else self.in_jax(*arguments)
        if self.rule is not None:
            return self.function(*arguments)
        return self._over_points(arguments)

    def _over_points(self, arguments: Sequence[Any]) -> Any:
        """Return values at one point or many: parameters of shape (points, 1), or of (lanes,) beside (rows, lanes).

        Parameters that differ from row to row, shape (…, rows), are those of groups, each of which is a call.
        """
        import numpy

        arrays = [numpy.asarray(argument, float) for argument in arguments]
        columns = [array for array, is_column in zip(arrays, self.is_column, strict=True) if is_column]
        free = [array for array, is_column in zip(arrays, self.is_column, strict=True) if not is_column]
        if any(column.ndim > 1 for column in columns):
            shape = numpy.broadcast_shapes(*(array.shape for array in arrays))
            spread = [numpy.broadcast_to(array, shape) for array in arrays]
            lanes = [self._split([array[:, lane] for array in spread]) for lane in range(shape[1])]
            return numpy.stack([self.at(*each) for each in lanes], axis=1)
        count = max((len(array) for array in free if array.ndim == 2), default=0)
        if not count:
            return self._by_row(columns, free)
        if self.way == "jax" and len(self.orders) < 2 and all(array.shape[-1:] in ((), (1,)) for array in free):
            points = numpy.stack([numpy.broadcast_to(array.reshape(-1), count) for array in free], axis=1)
            return self._by_jax(columns, points)
        each = [
            [array[point] if array.ndim == 2 and len(array) > 1 else array for array in free] for point in range(count)
        ]
        return numpy.stack([self._by_row(columns, point) for point in each])

    def _by_row(self, columns: Sequence[Any], free: Sequence[Any]) -> Any:
        """Return values at a point whose parameters are numbers, or a number for each row."""
        import numpy

        if all(value.size == 1 for value in free):
            return self.at(columns, [float(value.reshape(())) for value in free])
        rows = numpy.broadcast_shapes(*(column.shape for column in columns))
        table = numpy.stack([numpy.broadcast_to(value.reshape(-1), rows) for value in free], axis=1)
        points, group = numpy.unique(table, axis=0, return_inverse=True)
        result = numpy.empty(rows)
        for number, point in enumerate(points):
            inside = group.reshape(-1) == number
            own = [numpy.broadcast_to(column, rows)[inside] for column in columns]
            result[inside] = self.at(own, [float(value) for value in point])
        return result

    def _by_jax(self, columns: Sequence[Any], points: Any) -> Any:
        """Return values, or slopes by a parameter, at many points at once, shape (points, rows)."""
        values, slopes = _programs(self.function, self.is_column)
        if not self.orders:
            return values(columns, points)
        (position,) = self.orders
        if self.is_column[position]:
            import numpy

            return numpy.stack([self._by_row(columns, [numpy.asarray(v) for v in point]) for point in points])
        return slopes(columns, points)[:, :, position - sum(self.is_column[:position])]

    def _split(self, arrays: Sequence[Any]) -> tuple[list[Any], list[float]]:
        """Return the columns and the parameters of one lane, whose parameters are the same in each row."""
        columns = [array for array, is_column in zip(arrays, self.is_column, strict=True) if is_column]
        return columns, [float(a[0]) for a, is_column in zip(arrays, self.is_column, strict=True) if not is_column]

    def at(self, columns: Sequence[Any], free: Sequence[Any]) -> Any:
        """Return the values in each row at one point, or the slopes that `orders` name; NaN where it has none."""
        import numpy

        rows = numpy.broadcast_shapes(*(column.shape for column in columns))
        if not self.orders and self.way == "jax":
            return self._by_jax(columns, numpy.array([free]))[0]
        if not self.orders:
            return numpy.broadcast_to(self._value(columns, free), rows)
        *before, position = self.orders
        if self.is_column[position]:
            return self._difference(columns, free, position, rows)
        index = position - sum(self.is_column[:position])
        if not before and self.way == "jax":
            return self._by_jax(columns, numpy.array([free]))[0]
        if not before and self.way == "complex step":
            shifted = [complex(value, _IMAGINARY) if k == index else value for k, value in enumerate(free)]
            return numpy.broadcast_to(numpy.imag(self._value(columns, shifted)) / _IMAGINARY, rows)
        return self._difference(columns, free, position, rows)

    def _difference(self, columns: Sequence[Any], free: Sequence[Any], position: int, rows: tuple[int, ...]) -> Any:
        """Return the last slope of `orders` by differences of fourth order of the function without it."""
        import numpy

        inner = ForeignFunction(str(self), self.function, self.is_column, self.way, self.orders[:-1])
        arguments = self._joined(columns, free)
        value = numpy.asarray(arguments[position], float)
        step = _STEP * numpy.where(value == 0, 1.0, numpy.abs(value))
        total = numpy.zeros(rows)
        for shift, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
            moved = list(arguments)
            moved[position] = value + shift * step
            total = total + weight * inner._over_points(moved)
        return total / (12 * step)

    def _joined(self, columns: Sequence[Any], free: Sequence[Any]) -> list[Any]:
        """Return columns and parameters in the order of the function's arguments."""
        given, numbers = iter(columns), iter(free)
        return [next(given) if is_column else next(numbers) for is_column in self.is_column]

    def _value(self, columns: Sequence[Any], free: Sequence[Any]) -> Any:
        """Return what the function returns; NaN where its arithmetic has no value."""
        import numpy

        try:
            with numpy.errstate(all="ignore"):
                return numpy.asarray(self.function(*self._joined(columns, free)))
        except (ArithmeticError, ValueError):  # `math.sqrt(-1)` and the like, far from where the fit ends
            return numpy.asarray(numpy.nan)


@functools.lru_cache(maxsize=64)
def _programs(
    function: Callable[..., Any], is_column: tuple[bool, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return two functions of columns and points, shape (points, parameters): to the values, and to all slopes."""
    from downslope._engine import double_precision, jax

    def value(free: Any, columns: Any) -> Any:
        given, numbers = iter(columns), iter(free)
        result = function(*(next(given) if each else next(numbers) for each in is_column))
        return result + 0.0 * sum(columns)

    module = jax()
    values = module.jit(module.vmap(value, in_axes=(0, None)))
    slopes = module.jit(module.vmap(module.jacfwd(value), in_axes=(0, None)))
    known: dict[Any, Any] = {}

    def of_values(columns: Sequence[Any], points: Any) -> Any:
        with double_precision():
            return module.device_get(values(points, list(columns)))

    def of_slopes(columns: Sequence[Any], points: Any) -> Any:
        # All slopes come at once, and are wanted one after another.
        key = (points.tobytes(), *(column.tobytes() for column in columns))
        if key not in known:
            with double_precision():
                computed = module.device_get(slopes(points, list(columns)))
            known.clear()
            known[key] = computed
        return known[key]

    return of_values, of_slopes


@functools.lru_cache(maxsize=64)
def _in_jax(function: ForeignFunction) -> Callable[..., Any]:
    """Return a function in JAX: itself, or a call back into Python with its slopes beside it."""
    from downslope._engine import jax

    module = jax()
    if function.way == "jax" and not function.orders:
        return function.function

    import numpy

    def on_host(*bits: Any) -> Any:
        arguments = [numpy.ascontiguousarray(each).view(numpy.float64)[..., 0] for each in bits]
        values = numpy.asarray(function._over_points(arguments), numpy.float64)
        return numpy.ascontiguousarray(values)[..., None].view(numpy.uint32)

    # As bits: what calls back runs in a thread of its own, in which JAX would round to single precision.
    def bits_of(value: Any) -> Any:
        return module.lax.bitcast_convert_type(module.numpy.asarray(value, numpy.float64), numpy.uint32)

    @module.custom_jvp
    def called(*arguments: Any) -> Any:
        shape = numpy.broadcast_shapes(*(numpy.shape(argument) for argument in arguments))
        result = module.ShapeDtypeStruct((*shape, 2), numpy.uint32)
        bits = module.pure_callback(on_host, result, *map(bits_of, arguments), vmap_method="sequential")
        return module.lax.bitcast_convert_type(bits, numpy.float64)

    @called.defjvp
    def _pushed(primals: Any, tangents: Any) -> Any:
        value = called(*primals)
        slopes = [_in_jax(function.slope(position))(*primals) for position in range(len(primals))]
        return value, sum(slope * tangent for slope, tangent in zip(slopes, tangents, strict=True))

    return called


def way_of(
    function: Callable[..., Any], columns: Sequence[Any], free: Sequence[float], is_column: Sequence[bool]
) -> Way:
    """Return how the slopes of a function can be computed: exactly where a check agrees with differences."""
    import numpy

    if _uses_jax(function):
        return "jax"
    exact = ForeignFunction("f", function, is_column, "complex step")
    plain = ForeignFunction("f", function, is_column, "differences")
    for position in (position for position, each in enumerate(is_column) if not each):
        try:
            ours = exact.slope(position).at(columns, free)
        except (TypeError, NotImplementedError):  # code that takes no complex numbers
            return "differences"
        wanted = plain.slope(position).at(columns, free)
        level = numpy.isfinite(wanted)
        scale = numpy.max(numpy.abs(wanted[level]), initial=1e-300)
        if not numpy.all(numpy.abs(ours - wanted)[level] <= 1e-5 * scale):
            return "differences"
    return "complex step"


def _uses_jax(function: Callable[..., Any]) -> bool:
    """Return whether the names that a function uses lead to JAX."""
    inner = function
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code, names = getattr(inner, "__code__", None), getattr(inner, "__globals__", {})
    used = [names.get(name) for name in getattr(code, "co_names", ())]
    cells = getattr(inner, "__closure__", None) or ()
    used += [cell.cell_contents for cell in cells]
    used += [inner]
    return any(_home(value) in ("jax", "jaxlib") for value in used)


def _home(value: Any) -> str:
    """Return the name of the package that a module, a function or a class is from; "" for anything else."""
    import types

    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(name or "").split(".")[0]
