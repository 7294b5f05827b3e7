"""The value, gradient and Hessian of a formula at a point, by automatic differentiation in NumPy.

A list of the operations that an answer needs, of those of `_calculus`, is run in any `Algebra`. What depends on no
variable is computed once.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from downslope.formulas.evaluation._algebra import FLOATS, Algebra
from downslope.formulas.evaluation._calculus import Listing, Result, calculus
from downslope.formulas.evaluation._limits import limited
from downslope.formulas.evaluation._stable_forms import stable

if TYPE_CHECKING:
    from downslope.formulas._formula import Formula

Answer = Callable[[Iterable[Any]], Sequence[Any]]


class NumericFormula:
    """A formula in an algebra: its value and derivatives at points, exact but for rounding.

    A point is a sequence of values in the order of the formula's variables; with `ARRAYS` each may be an array, for
    many points at once. An entry of an answer that no variable enters is a single value there, to be broadcast.

    Args:
        formula: the formula.
        algebra: what it is evaluated on.
        data: the table's columns by name.

    >>> from downslope.formulas import formula
    >>> valley = NumericFormula(formula("f(x, y) = x² + 2y²"))
    >>> valley.value_and_gradient([4.0, 3.0])
    (34.0, [8.0, 12.0])
    >>> valley.hessian([4.0, 3.0])
    [[2.0, 0.0], [0.0, 4.0]]
    """

    def __init__(self, formula: Formula, algebra: Algebra = FLOATS, data: Mapping[str, Any] | None = None) -> None:
        self.variables = formula.variables
        self.algebra = algebra
        self._data = data or {}
        tree = limited(formula.body, self._data)
        tree = stable(tree) if algebra.rounds else tree
        self._calculus = calculus(tree, formula.variables, formula.columns, algebra.rounds)

    @property
    def reduces_rows(self) -> bool:
        """Whether columns of a table enter the value."""
        return bool(self._data)

    @property
    def by_row(self) -> bool:
        """Whether the value is a number for each row of the table, instead of a single one."""
        return self._calculus.by_row

    @property
    def operations(self) -> int:
        """The number of operations that compute the value and the gradient."""
        return len(self._calculus.listing("gradient").nodes)

    def value(self, point: Iterable[Any]) -> Any:
        """Return the value at a point."""
        return self._of_value(point)[0]

    def value_and_gradient(self, point: Iterable[Any]) -> tuple[Any, Sequence[Any]]:
        """Return the value and the derivative by each variable."""
        value, *gradient = self._of_gradient(point)
        return value, gradient

    def value_and_slopes(self, point: Iterable[Any]) -> tuple[Any, Sequence[Any]]:
        """Return the value and the derivative by each variable; of a value for each row of a table, for each row."""
        value, *slopes = self._of_slopes(point)
        return value, slopes

    def hessian(self, point: Iterable[Any]) -> list[list[Any]]:
        """Return the second derivatives as rows of a square matrix."""
        return self.value_gradient_hessian(point)[2]

    def value_gradient_hessian(self, point: Iterable[Any]) -> tuple[Any, Sequence[Any], list[list[Any]]]:
        """Return the value, the derivative by each variable, and the second derivatives as rows."""
        value, *rest = self._of_hessian(point)
        count = len(self.variables)
        entries = iter(rest[count:])
        matrix: list[list[Any]] = [[None] * count for _ in range(count)]
        for row in range(count):
            for column in range(row, count):
                matrix[row][column] = matrix[column][row] = next(entries)
        return value, rest[:count], matrix

    def hessian_times(self, point: Iterable[Any], direction: Iterable[Any]) -> Sequence[Any]:
        """Return the Hessian times a direction: the derivative of the gradient along it."""
        return self._of_product([*point, *direction])[1 + len(self.variables) :]

    @functools.cached_property
    def _of_value(self) -> Answer:
        return self._bound("value")

    @functools.cached_property
    def _of_gradient(self) -> Answer:
        return self._bound("gradient")

    @functools.cached_property
    def _of_slopes(self) -> Answer:
        return self._bound("slopes")

    @functools.cached_property
    def _of_hessian(self) -> Answer:
        return self._bound("hessian")

    @functools.cached_property
    def _of_product(self) -> Answer:
        return self._bound("product")

    def _bound(self, answer: str) -> Answer:
        """Return the function from the inputs to the answers; what no input enters is computed here, once."""
        if self.algebra.context is None:
            return self._bound_plainly(answer)
        with self.algebra.context():
            plain = self._bound_plainly(answer)
        context = self.algebra.context

        def within(inputs: Iterable[Any]) -> Sequence[Any]:
            with context():
                return plain(inputs)

        return within

    def _bound_plainly(self, answer: str) -> Answer:
        listing = self._calculus.listing(answer)
        register = {("variable", name): number for number, name in enumerate(self.variables)}
        if answer == "product":
            register |= {("direction", name): len(register) + number for number, name in enumerate(self.variables)}
        code, fixed, registers = self._code(listing, register)
        fixed.append(self.algebra.number(Fraction(0)))
        outputs = [
            registers[index] if index is not None else len(register) + len(fixed) - 1 for index in listing.outputs
        ]
        # Of a single index, itemgetter returns no tuple.
        picked = operator.itemgetter(*outputs) if len(outputs) > 1 else lambda results: [results[outputs[0]]]

        def run(inputs: Iterable[Any]) -> Any:
            # Every step of a descent runs this loop, hence registers by index, without names and starred calls.
            results = [*inputs, *fixed]
            keep = results.append
            for function, first, second, third in code:
                if second < 0:
                    keep(function(results[first] if first >= 0 else results))
                elif third < 0:
                    keep(function(results[first], results[second]))
                else:
                    keep(function(results[first], results[second], results[third]))
            return picked(results)

        return run

    def _code(
        self, listing: Listing, register: Mapping[tuple[str, str], int]
    ) -> tuple[list[tuple[Any, int, int, int]], list[Any], dict[int, int]]:
        """Return the operations on registers, the values known beforehand, and the register of each result."""
        known: dict[int, Any] = {}
        rest: list[tuple[int, Result]] = []
        registers: dict[int, int] = {}
        for index, node in listing.nodes:
            if node.operation in ("variable", "direction"):
                registers[index] = register[node.operation, node.detail]
            # What depends on no variable is computed here, once.
            elif all(source in known for source in node.inputs):
                known[index] = self._known(node, known)
            else:
                rest.append((index, node))
        used = {source for _, node in rest for source in node.inputs} | set(listing.outputs)
        fixed = [index for index in known if index in used]
        registers |= {index: len(register) + number for number, index in enumerate(fixed)}
        first = len(register) + len(fixed) + 1  # after the zero that stands for derivatives that vanish
        registers |= {index: first + number for number, (index, _) in enumerate(rest)}
        code = []
        for _, node in rest:
            sources = [registers[source] for source in node.inputs]
            if len(sources) > 3:  # a Python function of many arguments, which takes them from the list of results
                code.append((_of_many(_operation(node, self.algebra), sources), -1, -1, -1))
                continue
            first, second, third, *_ = (*sources, -1, -1)
            code.append((_operation(node, self.algebra), first, second, third))
        return code, [known[index] for index in fixed], registers

    def _known(self, node: Result, known: Mapping[int, Any]) -> Any:
        match node.operation:
            case "number":
                return self.algebra.number(node.detail)
            case "constant":
                return self.algebra.constants[node.detail]
            case "column":
                return self._data[node.detail]
            case _:
                return _operation(node, self.algebra)(*(known[source] for source in node.inputs))


def _of_many(function: Callable[..., Any], sources: Sequence[int]) -> Callable[..., Any]:
    """Return a function of all results, of which it takes some as its arguments."""
    return lambda results: function(*(results[source] for source in sources))


_OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "negative": operator.neg,
}


def _operation(node: Result, algebra: Algebra) -> Callable[..., Any]:
    """Return the function that computes a result from its inputs."""
    match node.operation:
        case "divide":
            return algebra.divide
        case "power":
            return algebra.power
        case "integer power":
            power, exponent = algebra.integer_power, node.detail
            return operator.pos if exponent == 1 else lambda base: power(base, exponent)
        case "call":
            return algebra.function(node.detail)
        case _:
            return _OPERATORS[node.operation]
