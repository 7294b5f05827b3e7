"""The graph of elementary operations that compute a formula and its derivatives.

The tree becomes a graph of operations on shared results. Its gradient is more operations in the same graph, added in
reverse: each result hands its adjoint, the derivative of the value by it, to what it was computed from (Griewank and
Walther, Evaluating Derivatives, 2008, chapter 3). Derivatives of the gradient along a direction are added forward
again, so a Hessian times a vector costs a few times the value, whatever the number of variables.

No rule is written here but those of +, −, ·, /, powers and selections: a function's derivative is that of
`_function_rules`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from downslope.formulas.evaluation._operations import evaluate
from downslope.formulas.evaluation._stable_forms import stable_partial
from downslope.formulas.expressions import (
    SELECTIONS,
    Call,
    Comparison,
    Condition,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    harmless_point,
    partial,
    power_form,
)

_LEAVES = ("number", "constant", "variable", "direction", "column")


class Result(NamedTuple):
    """A result: the operation that computes it, the indices of its inputs, and what else decides it.

    Args:
        operation: "add", "subtract", "multiply", "divide", "negative", "power", "integer power", "call"; or a leaf:
            "number", "constant", "variable", "direction", "column".
        inputs: indices of the inputs, which are smaller than its own.
        detail: the number, the exponent, or the name.
    """

    operation: str
    inputs: tuple[int, ...] = ()
    detail: Any = None


class _Graph:
    """A growing list of results, no two of which are the same."""

    def __init__(self, columns: Sequence[str], rounded: bool) -> None:
        self._partial = stable_partial if rounded else partial
        self.nodes: list[Result] = []
        self.by_row: list[bool] = []  # whether a result differs from row to row of the table
        self.varies: list[bool] = []  # whether it is computed from a variable or a direction
        self._indices: dict[Result, int] = {}
        self._columns = frozenset(columns)

    def put(self, operation: str, *inputs: int, detail: Any = None) -> int:
        """Return the index of a result, which is added if it is new."""
        node = Result(operation, inputs, detail)
        if node not in self._indices:
            self._indices[node] = len(self.nodes)
            reduced = operation == "call" and detail in ("mean", "sum", "count")
            self.nodes.append(node)
            self.by_row.append(operation == "column" or (not reduced and any(self.by_row[i] for i in inputs)))
            self.varies.append(operation in ("variable", "direction") or any(self.varies[i] for i in inputs))
        return self._indices[node]

    def number(self, value: Fraction | int) -> int:
        return self.put("number", detail=Fraction(value))

    def is_number(self, index: int, value: int) -> bool:
        node = self.nodes[index]
        return node.operation == "number" and node.detail == value

    # What a tree computes, in the order in which it is written.

    def grow(self, tree: Expression, letters: Mapping[str, int]) -> int:
        """Add what a tree computes; `letters` are the results that some names stand for."""
        match tree:
            case Number(value):
                return self.number(value)
            case Name(name):
                known = letters.get(name)
                return known if known is not None else self._leaf(name)
            case MathConstant(name):
                return self.put("constant", detail=name)
            case Negative(operand):
                return self.put("negative", self.grow(operand, letters))
            case Sum(terms):
                return self._grow_sum(terms, letters)
            case Product(factors):
                grown = [self.grow(factor, letters) for factor in factors]
                return functools.reduce(lambda a, b: self.put("multiply", a, b), grown)
            case Quotient(numerator, denominator):
                return self.put("divide", self.grow(numerator, letters), self.grow(denominator, letters))
            case Power(base, exponent):
                return self._grow_power(base, exponent, letters)
            case Call(function, arguments):
                return self._grow_call(function, [self.grow(argument, letters) for argument in arguments])
            case Piecewise():
                return self._grow_piecewise(tree, letters)

    def _grow_piecewise(self, tree: Piecewise, letters: Mapping[str, int]) -> int:
        """Add the pieces, each computed at a harmless point where it is not in force; the selection comes last."""
        pieces: list[tuple[int, Expression]] = []
        before = None
        for value, condition in zip(tree.values, tree.conditions, strict=False):
            mask = self._grow_condition(condition, letters)
            pieces.append((mask if before is None else self._both(mask, before), value))
            before = mask if before is None else self.put("call", before, mask, detail="or")
        if tree.otherwise is None:
            result = self.put("divide", self.number(0), self.number(0))
        else:
            assert before is not None
            otherwise = self.put("call", before, detail="not")
            result = self._grow_within(tree.otherwise, otherwise, letters)
        for mask, value in reversed(pieces):
            result = self.put("call", mask, self._grow_within(value, mask, letters), result, detail="where")
        return result

    def _both(self, mask: int, before: int) -> int:
        """Return where a condition holds and no earlier one does."""
        return self.put("call", mask, self.put("call", before, detail="not"), detail="and")

    def _grow_within(self, value: Expression, mask: int, letters: Mapping[str, int]) -> int:
        harmless = harmless_point(value, evaluate) or {}
        inside = {
            name: self.put(
                "call", mask, letters.get(name, self._leaf(name)), self.number(Fraction(number)), detail="where"
            )
            for name, number in harmless.items()
        }
        return self.grow(value, {**letters, **inside})

    def _grow_condition(self, condition: Condition, letters: Mapping[str, int]) -> int:
        if isinstance(condition, Comparison):
            sides = (self.grow(side, letters) for side in (condition.left, condition.right))
            return self.put("call", *sides, detail=condition.sign)
        parts = [self._grow_condition(part, letters) for part in condition.conditions]
        return functools.reduce(lambda a, b: self.put("call", a, b, detail=condition.word), parts)

    def _leaf(self, name: str) -> int:
        return self.put("column" if name in self._columns else "variable", detail=name)

    def _grow_sum(self, terms: tuple[Expression, ...], letters: Mapping[str, int]) -> int:
        total = self.grow(terms[0], letters)
        for term in terms[1:]:
            # a - b, not a + (-b): the order of rounding is that of the text.
            if isinstance(term, Negative):
                total = self.put("subtract", total, self.grow(term.operand, letters))
            else:
                total = self.put("add", total, self.grow(term, letters))
        return total

    def _grow_power(self, base: Expression, exponent: Expression, letters: Mapping[str, int]) -> int:
        form = power_form(base, exponent)
        if form.kind == "exponential":
            return self.put("call", self.grow(exponent, letters), detail="exp")
        below = self.grow(base, letters)
        if form.kind == "integer":
            return self.put("integer power", below, detail=int(form.exponent))
        if form.kind == "square root":
            return self.put("call", below, detail="sqrt")
        if form.kind == "root":
            root = self.put("call", below, self.number(form.degree), detail="root")
            return root if form.exponent == 1 else self.put("integer power", root, detail=int(form.exponent))
        above = self.number(form.exponent) if form.kind == "number" else self.grow(exponent, letters)
        return self.put("power", below, above)

    def _grow_call(self, function: str, arguments: list[int]) -> int:
        if function in ("mean", "sum", "count") and not self.by_row[arguments[0]]:
            # One number, not one for each row.
            return self.number(1) if function == "count" else arguments[0]
        if len(arguments) > 2 and function in ("max", "min"):
            return functools.reduce(lambda a, b: self.put("call", a, b, detail=function), arguments)
        return self.put("call", *arguments, detail=function)

    # Sums, products and signs of derivatives; unlike what a person wrote, they may be shortened.

    def add(self, first: int | None, second: int | None) -> int | None:
        """Return a sum; None is an exact zero."""
        if first is None or second is None:
            return second if first is None else first
        node = self.nodes[second]
        return (
            self.put("subtract", first, *node.inputs)
            if node.operation == "negative"
            else self.put("add", first, second)
        )

    def times(self, first: int, second: int) -> int:
        """Return a product; with a reciprocal it is a quotient, which rounds once."""
        for factor, other in ((first, second), (second, first)):
            node = self.nodes[factor]
            if self.is_number(factor, 1):
                return other
            if node.operation == "negative":
                return self.put("negative", self.times(node.inputs[0], other))
            if node.operation == "divide" and self.is_number(node.inputs[0], 1):
                return self.put("divide", other, node.inputs[1])
        return self.put("multiply", first, second)

    # The derivative of a result by its inputs, times a factor.

    def along(self, index: int, position: int, factor: int) -> int | None:
        """Return a factor times the derivative of a result by one of its inputs; None where that is 0."""
        node = self.nodes[index]
        match node.operation:
            case "add":
                return factor
            case "subtract":
                return factor if position == 0 else self.put("negative", factor)
            case "negative":
                return self.put("negative", factor)
            case "multiply":
                return self.times(factor, node.inputs[1 - position])
            case "divide" if position == 0:
                return self.put("divide", factor, node.inputs[1])
            case "divide":
                return self.put("negative", self.put("divide", self.times(factor, index), node.inputs[1]))
            case "integer power":
                return self._along_integer_power(node.inputs[0], node.detail, factor)
            case "power":
                return self._along_power(index, position, factor)
            case _:
                return self._along_call(index, position, factor)

    def _along_integer_power(self, base: int, exponent: int, factor: int) -> int | None:
        if exponent == 0:
            return None
        lower = base if exponent == 2 else self.put("integer power", base, detail=exponent - 1)
        slope = self.number(1) if exponent == 1 else self.times(self.number(exponent), lower)
        return self.times(factor, slope)

    def _along_power(self, index: int, position: int, factor: int) -> int | None:
        base, exponent = self.nodes[index].inputs
        if position == 1:
            # 0^b is 0 for all b > 0, so its slope by b is 0 and not 0·ln 0.
            is_zero = self.put("call", base, self.number(0), detail="=")
            apart = self.put("call", is_zero, self.number(1), base, detail="where")
            return self.times(factor, self.times(index, self.put("call", apart, detail="ln")))
        node = self.nodes[exponent]
        lower = (
            self.number(node.detail - 1)
            if node.operation == "number"
            else self.put("subtract", exponent, self.number(1))
        )
        return self.times(factor, self.times(exponent, self.put("power", base, lower)))

    def _along_call(self, index: int, position: int, factor: int) -> int | None:
        node = self.nodes[index]
        u = node.inputs[position]
        if node.detail in ("max", "min"):
            # (1 + sign)/2: 1 where this argument is selected, 0 where the other is, ½ at a tie.
            other = node.inputs[1 - position]
            ahead = (u, other) if node.detail == "max" else (other, u)
            sign = self.put("call", self.put("subtract", *ahead), detail="sign")
            share = self.put("add", self.number(1), sign)
            return self.times(factor, self.put("divide", share, self.number(2)))
        if node.detail == "where":
            # Zero where the piece is not in force. It was computed at a harmless point there, and has no NaN to add.
            zero, mask = self.number(0), node.inputs[0]
            chosen = (factor, zero) if position == 1 else (zero, factor)
            return None if position == 0 else self.put("call", mask, *chosen, detail="where")
        if node.detail in SELECTIONS:
            return None
        letters = {f"u{number}": index for number, index in enumerate(node.inputs)}
        sources = [self.nodes[index] for index in node.inputs]
        # An order or a degree is a number, so that the derivative of x^(1/3) has a number as its exponent.
        arguments = tuple(
            Number(source.detail) if source.operation == "number" and len(sources) > 1 else Name(letter)
            for letter, source in zip(letters, sources, strict=True)
        )
        slope = self.grow(self._partial(node.detail, arguments, position), letters)
        return None if self.is_number(slope, 0) else self.times(factor, slope)

    # Reverse and forward.

    def adjoints(self, result: int) -> dict[int, int]:
        """Return the derivative of a result by every result that it was computed from."""
        adjoint: dict[int, int] = {result: self.number(1)}
        for index in reversed(self.needed([result])):
            node, own = self.nodes[index], adjoint.get(index)
            if own is None:
                continue
            for position, source in enumerate(node.inputs):
                if not self.varies[source]:
                    continue
                share = self._shared_back(index, position, own)
                total = self.add(adjoint.get(source), share)
                if total is not None:
                    adjoint[source] = total
        return adjoint

    def _shared_back(self, index: int, position: int, adjoint: int) -> int | None:
        """Return what an input's adjoint gets from a result's."""
        node = self.nodes[index]
        source = node.inputs[position]
        if node.operation == "call" and node.detail in ("mean", "sum", "count"):
            # The same number for each row.
            if node.detail == "count":
                return None
            return adjoint if node.detail == "sum" else self.put("divide", adjoint, self._count(source))
        share = self.along(index, position, adjoint)
        if share is None or self.by_row[source] or not self.by_row[index]:
            return share
        # A single number enters every row.
        return self._total(share, index)

    def _total(self, share: int, rows: int) -> int:
        """Return the sum over the rows, as many as a result has, of what each of them adds."""
        return self.put("call", share, detail="sum") if self.by_row[share] else self.times(share, self._count(rows))

    def _count(self, rows: int) -> int:
        # Of a column where there is one, so that the count is known without evaluating anything.
        column = next(i for i in self.needed([rows]) if self.nodes[i].operation == "column")
        return self.put("call", column, detail="count")

    def tangents(self, results: Sequence[int], seeds: Mapping[int, int]) -> list[int | None]:
        """Return the derivative of results along a direction, whose entries are the seeds of variables."""
        tangent: dict[int, int | None] = dict(seeds)
        for index in self.needed(results):
            node = self.nodes[index]
            if node.operation not in _LEAVES:
                tangent[index] = self._tangent(index, node, tangent)
        return [tangent.get(index) for index in results]

    def _tangent(self, index: int, node: Result, tangent: Mapping[int, int | None]) -> int | None:
        total = None
        for position, source in enumerate(node.inputs):
            inner = tangent.get(source)
            if inner is None:
                continue
            if node.operation == "call" and node.detail in ("mean", "sum", "count"):
                if node.detail == "count":
                    return None
                if node.detail == "mean":
                    return self.put("call", inner, detail="mean") if self.by_row[inner] else inner
                return self._total(inner, source)
            total = self.add(total, self.along(index, position, inner))
        return total

    def needed(self, results: Sequence[int]) -> list[int]:
        """Return the results that some are computed from and they themselves, in order of evaluation."""
        seen, stack = set(results), list(results)
        while stack:
            for source in self.nodes[stack.pop()].inputs:
                if source not in seen:
                    seen.add(source)
                    stack.append(source)
        return sorted(seen)


class Listing(NamedTuple):
    """The operations to run for some results.

    Args:
        nodes: the operations in order, by index.
        outputs: the indices of the answers, None for an exact zero.
    """

    nodes: tuple[tuple[int, Result], ...]
    outputs: tuple[int | None, ...]


class Calculus:
    """The graph of a formula, to which derivatives are added when they are first needed."""

    def __init__(self, tree: Expression, variables: tuple[str, ...], columns: tuple[str, ...], rounded: bool) -> None:
        self.variables = variables
        self._graph = _Graph(columns, rounded)
        self._lock = threading.Lock()
        self._listings: dict[str, Listing] = {}
        self._inputs = [self._graph.put("variable", detail=name) for name in variables]
        self._value = self._graph.grow(tree, {})
        self.by_row = self._graph.by_row[self._value]  # whether the value differs from row to row of the table

    def listing(self, answer: str) -> Listing:
        """Return what to run for "value", then "gradient", then "hessian" or "product"; or "slopes", forward."""
        with self._lock:
            if answer not in self._listings:
                outputs = [self._value, *self._derivatives(answer)]
                needed = self._graph.needed([index for index in outputs if index is not None])
                nodes = tuple((index, self._graph.nodes[index]) for index in needed)
                self._listings[answer] = Listing(nodes, tuple(outputs))
            return self._listings[answer]

    def _derivatives(self, answer: str) -> list[int | None]:
        if answer == "value":
            return []
        graph = self._graph
        if answer == "slopes":
            unit = graph.number(1)
            return [graph.tangents([self._value], {variable: unit})[0] for variable in self._inputs]
        adjoint = graph.adjoints(self._value)
        gradient = [adjoint.get(index) for index in self._inputs]
        if answer == "gradient":
            return list(gradient)
        sloped = [index for index in gradient if index is not None]
        if answer == "product":
            directions = [graph.put("direction", detail=name) for name in self.variables]
            bent = dict(
                zip(sloped, graph.tangents(sloped, dict(zip(self._inputs, directions, strict=True))), strict=True)
            )
            return [*gradient, *(None if index is None else bent[index] for index in gradient)]
        rows: list[int | None] = []
        for number, variable in enumerate(self._inputs):
            later = [index for index in gradient[number:] if index is not None]
            bent = dict(zip(later, graph.tangents(later, {variable: graph.number(1)}), strict=True))
            rows += [None if index is None else bent[index] for index in gradient[number:]]
        return [*gradient, *rows]


@functools.lru_cache(maxsize=256)
def calculus(tree: Expression, variables: tuple[str, ...], columns: tuple[str, ...], rounded: bool) -> Calculus:
    return Calculus(tree, variables, columns, rounded)
