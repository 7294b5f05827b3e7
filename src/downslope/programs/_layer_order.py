"""The order of the layers of a program: depth, parallel layers, bypasses, and following normalisations.

The layers are the nodes of a graph. An edge goes from one to another where the second reads the first with no layer in
between. Signals pass along the paths of this graph and gradients back along them, so that a factor per layer means
something only along a path: query, key and value are side by side, and a residual branch is a path beside one of
length zero, whose factor is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from downslope.programs._provenance import Source, StraightProgram, TracedStep, Value
from downslope.programs._walk import called, walk

DATA = -1  # stands for what the program is given among the layers that reach a value
_REDUCING = ("reduce_", "dot_general", "psum", "cumsum", "argm")
_ROOTS = frozenset({"sqrt", "rsqrt", "pow"})


@dataclass(frozen=True)
class LayerOrder:
    """The position of a layer among the others.

    Args:
        depth: how many layers lie before it on the longest path from the data.
        height: how many lie behind it on the longest path to the loss.
        bypassed: whether a path without a layer leads from a layer before it to one behind it, or to the loss, as
            around a residual branch.
        is_only_way: whether all that reaches the loss from the data passes it.
        normalised: whether its scale is divided out before another layer, or the loss, reads it.
    """

    depth: int
    height: int
    bypassed: bool
    is_only_way: bool
    normalised: bool


class _Reach(NamedTuple):
    """The layers that reach a value with no layer in between.

    Args:
        any: all of them, and `DATA`.
        raw: those with whose outputs it grows.
        reduced: those over whose outputs it is a sum, or a product with others.
        rooted: those of the reduced ones of which a root was taken since: a deviation, or a norm.
    """

    any: frozenset[int] = frozenset()
    raw: frozenset[int] = frozenset()
    reduced: frozenset[int] = frozenset()
    rooted: frozenset[int] = frozenset()


def layer_orders(program: StraightProgram, layers: Sequence[TracedStep]) -> tuple[LayerOrder, ...]:
    """Return the position of each layer, by the step that is its product.

    Args:
        program: the program; its first output is the loss.
        layers: the products of data with a leaf. Products with what is computed from leaves, and loops with kernels
            inside, count as layers between these.
    """
    nodes = [step for step in program.steps if step.kernels]
    numbers = {step: number for number, step in enumerate(nodes)}
    reach: dict[Any, _Reach] = {
        value: _Reach(frozenset({DATA}) if _is_data(value) else frozenset()) for value in program.inputs
    }
    read: list[_Reach] = []
    for step in program.steps:
        operands = [reach.get(operand, _Reach()) for operand in step.operands]
        if step in numbers:
            read.append(_joined(operands))
            own = frozenset({numbers[step]})
            results = [_Reach(own, own)] * len(step.results)
        else:
            results = _passed(step.equation, operands)
        reach.update(zip(step.results, results, strict=True))
    loss = reach.get(program.outputs[0], _Reach()) if program.outputs else _Reach()
    graph = _LayerGraph(tuple(entry.any for entry in read), loss.any)
    raw = frozenset().union(loss.raw, *(entry.raw for entry in read))
    return tuple(_order(numbers[layer], graph, raw) for layer in layers)


@dataclass(frozen=True, eq=False)
class _LayerGraph:
    """The graph of the layers, numbered in the order in which they run.

    Args:
        sources: what each layer reads with no layer in between: others, and `DATA`.
        ends: what the loss reads so.
    """

    sources: tuple[frozenset[int], ...]
    ends: frozenset[int]

    def before(self, layer: int) -> set[int]:
        """Return the layers from which one is reached."""
        reached: set[int] = set()
        waiting = list(self.sources[layer])
        while waiting:
            source = waiting.pop()
            if source != DATA and source not in reached:
                reached.add(source)
                waiting.extend(self.sources[source])
        return reached

    def behind(self, layer: int) -> set[int]:
        """Return the layers that are reached from one."""
        reached = {layer}
        # A layer reads only those that run before it.
        for other in range(layer + 1, len(self.sources)):
            if reached & self.sources[other]:
                reached.add(other)
        return reached - {layer}


def orders_of(sources: tuple[frozenset[int], ...], ends: frozenset[int], raw: frozenset[int]) -> tuple[LayerOrder, ...]:
    """Return the position of each layer in a graph that was not read from a JAX program.

    Args:
        sources: what each layer reads with no layer in between: the numbers of others, and `DATA`.
        ends: what the loss reads so.
        raw: the layers with whose outputs another layer, or the loss, grows.
    """
    graph = _LayerGraph(sources, ends)
    return tuple(_order(layer, graph, raw) for layer in range(len(sources)))


def _order(layer: int, graph: _LayerGraph, raw: frozenset[int]) -> LayerOrder:
    """Return the position of a layer."""
    before, behind = graph.before(layer), graph.behind(layer)
    jumps = [graph.sources[other] for other in behind] + [graph.ends]
    beside = set(range(len(graph.sources))) - before - behind - {layer}
    # Targets go from the data to the loss past all layers.
    is_reached_past = any(DATA in sources for sources in jumps[:-1])
    bypassed = any(before & sources for sources in jumps)
    return LayerOrder(
        depth=_longest(before, graph, layer),
        height=_height(layer, graph),
        bypassed=bypassed,
        is_only_way=not (bypassed or beside or is_reached_past),
        normalised=layer not in raw,
    )


def _longest(before: set[int], graph: _LayerGraph, layer: int) -> int:
    """Return the number of layers on the longest path from the data to a layer."""
    depths: dict[int, int] = {}
    for other in sorted(before | {layer}):
        depths[other] = 1 + max((depths[source] for source in graph.sources[other] if source in depths), default=-1)
    return depths[layer]


def _height(layer: int, graph: _LayerGraph) -> int:
    """Return the number of layers on the longest path from a layer to the loss."""
    heights = {layer: 0}
    for other in range(layer + 1, len(graph.sources)):
        lengths = [heights[source] for source in graph.sources[other] if source in heights]
        if lengths:
            heights[other] = 1 + max(lengths)
    # What leads away from the loss, to running means for example, is no path of its gradient.
    return max((length for other, length in heights.items() if other in graph.ends), default=max(heights.values()))


def _is_data(value: Value) -> bool:
    """Tell whether an input of the program is data: no parameter, and no random key, which reaches every dropout."""
    return value.origin is Source.DATA and getattr(value.dtype, "kind", "V") in "biuf"


def _joined(operands: Sequence[_Reach]) -> _Reach:
    return _Reach(*(frozenset().union(*sets) for sets in zip(*operands, strict=True))) if operands else _Reach()


def _passed(equation: Any, operands: Sequence[_Reach]) -> list[_Reach]:
    """Return what reaches the results of an equation without layers."""
    inner = called(equation, ruled=True)
    if inner is not None:
        arguments = inner.operands(operands, _Reach())
        return walk(inner.jaxpr, inner.constants, arguments, _passed, lambda value: _Reach())
    name, joined = equation.primitive.name, _joined(operands)
    if name.startswith(_REDUCING):
        joined = joined._replace(reduced=joined.reduced | joined.raw)
    elif name in _ROOTS:
        joined = joined._replace(rooted=joined.rooted | joined.reduced)
    elif name in ("mul", "div") and len(operands) == 2:
        # x over its own deviation, or times its inverse, no longer grows with x.
        (left, right) = operands
        divided = (left.raw - left.rooted) & right.rooted | (right.raw - right.rooted) & left.rooted
        joined = _Reach(joined.any, *(sets - divided for sets in joined[1:]))
    return [joined] * len(equation.outvars)
