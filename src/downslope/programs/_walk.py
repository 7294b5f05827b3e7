"""Walk a JAX program, and classify each operation by the programs inside it.

A jaxpr nests: an operation may hold programs of its own, and JAX renames these operations every few releases. `NESTING`
is the one list of them. Everything that reads programs goes through `walk`, which carries values of any kind from the
inputs to the outputs, and `inner_programs`, which says what each nested program reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


class Nesting(Enum):
    """The relation of an operation to the programs inside it."""

    CALL = "the program inside reads its operands and returns its results"
    RULED_CALL = "the same, with a derivative or batching rule of its own, which opening it would lose"
    BRANCHES = "one of the programs inside runs, chosen by the first operand"
    SCAN = "the program inside runs once for each slice of the last operands"
    WHILE = "the second program inside runs as long as the first one says so"
    COMBINER = "the program inside says how numbers are combined or a system is solved: a single operation"


NESTING: Mapping[str, Nesting] = {
    # Calls, by the names of all releases since 0.4: a saved program or another release may hold an older one.
    **dict.fromkeys(("jit", "pjit", "closed_call", "core_closed_call", "call", "core_call"), Nesting.CALL),
    **dict.fromkeys(("remat2", "remat", "checkpoint", "remat_opt"), Nesting.CALL),
    **dict.fromkeys(("composite", "compute_on", "xla_call", "named_call", "eval_jaxpr"), Nesting.CALL),
    **dict.fromkeys(("custom_jvp_call", "custom_jvp_call_jaxpr"), Nesting.RULED_CALL),
    **dict.fromkeys(("custom_vjp_call", "custom_vjp_call_jaxpr", "custom_vmap_call"), Nesting.RULED_CALL),
    "cond": Nesting.BRANCHES,
    "scan": Nesting.SCAN,
    "while": Nesting.WHILE,
    **dict.fromkeys(("reduce", "reduce_window", "select_and_scatter", "sort"), Nesting.COMBINER),
    **dict.fromkeys(("scatter", "scatter-add", "scatter_add", "scatter_sub", "scatter_mul"), Nesting.COMBINER),
    **dict.fromkeys(("scatter_min", "scatter_max", "custom_linear_solve", "linear_call"), Nesting.COMBINER),
    # Programs over shards, kernels or references, which can only run as a whole.
    **dict.fromkeys(("shard_map", "xla_pmap", "pallas_call", "custom_partitioning", "run_state"), Nesting.COMBINER),
}


@dataclass(frozen=True, eq=False)
class InnerProgram:
    """A program inside an operation.

    Args:
        jaxpr: the open program.
        constants: the values of its constants.
        reads: the operand of the operation that each of its inputs is, by index; None where it is none of them.
    """

    jaxpr: Any
    constants: Sequence[Any]
    reads: tuple[int | None, ...]

    def operands(self, values: Sequence[T], missing: T) -> list[T]:
        """Return what its inputs are, from the operands of the operation."""
        return [missing if index is None else values[index] for index in self.reads]


def nesting_of(equation: Any) -> Nesting | None:
    """Return the role of the programs inside an operation; None if it has none.

    An operation that is not in the list counts as a call if a single program inside fits its operands and results:
    calls are what JAX renames and adds. Anything else that is not in the list stays whole.
    """
    programs = list(_programs(equation))
    if not programs:
        return None
    known = NESTING.get(equation.primitive.name)
    if known is not None:
        return known
    fits = len(programs) == 1 and (
        _shapes(programs[0][0].invars) == _shapes(equation.invars)
        and _shapes(programs[0][0].outvars) == _shapes(equation.outvars)
    )
    return Nesting.CALL if fits else Nesting.COMBINER


def called(equation: Any, *, ruled: bool = False) -> InnerProgram | None:
    """Return the program that an operation only calls, or None.

    Args:
        equation: the operation.
        ruled: whether to open calls with a derivative rule of their own as well.
    """
    nesting = nesting_of(equation)
    if nesting is Nesting.CALL or (ruled and nesting is Nesting.RULED_CALL):
        return next(inner_programs(equation))
    return None


def inner_programs(equation: Any) -> Iterator[InnerProgram]:
    """Yield the programs inside an operation: of a call its own, the body of a loop, the branches of a `cond`."""
    count, settings, nesting = len(equation.invars), equation.params, nesting_of(equation)
    for index, (jaxpr, constants) in enumerate(_programs(equation)):
        reads = range(count)
        if nesting is Nesting.BRANCHES:
            reads = range(1, count)
        elif nesting is Nesting.WHILE:
            # The operands are the constants of the condition, those of the body, then what is carried.
            of_condition, of_body = settings["cond_nconsts"], settings["body_nconsts"]
            own = range(of_condition) if index == 0 else range(of_condition, of_condition + of_body)
            yield InnerProgram(jaxpr, constants, (*own, *range(of_condition + of_body, count)))
            continue
        # Whatever else it reads comes last: the programs of a combiner begin with inputs that are no operands.
        missing = max(len(jaxpr.invars) - len(reads), 0)
        yield InnerProgram(jaxpr, constants, (*[None] * missing, *reads[len(reads) - len(jaxpr.invars) + missing :]))


def walk(
    jaxpr: Any,
    constants: Sequence[Any],
    arguments: Sequence[T],
    step: Callable[[Any, list[T]], Sequence[T]],
    wrap: Callable[[Any], T],
    wrap_constant: Callable[[Any], T] | None = None,
) -> list[T]:
    """Carry values of any kind through a program and return those of its outputs.

    Args:
        jaxpr: the open program.
        constants: the values of its constants.
        arguments: what is carried in at its inputs.
        step: what an equation makes of what is carried to it.
        wrap: what is carried for a literal number.
        wrap_constant: what is carried for a constant array; as for a literal if None.
    """
    carried: dict[Any, T] = dict(zip(jaxpr.constvars, map(wrap_constant or wrap, constants), strict=True))
    carried |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> T:
        return wrap(atom.val) if hasattr(atom, "val") else carried[atom]

    for equation in jaxpr.eqns:
        results = step(equation, [read(atom) for atom in equation.invars])
        carried |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def evaluate(equation: Any, operands: Sequence[Any]) -> list[Any]:
    """Evaluate one equation as `jax.core.eval_jaxpr` does, which leaves its derivative rule as it is."""
    settings = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        outcome = equation.primitive.bind(*operands, **settings)
    return list(outcome) if equation.primitive.multiple_results else [outcome]


def _programs(equation: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Yield the open programs among the parameters of an equation, with their constants."""
    for parameter in equation.params.values():
        for candidate in parameter if isinstance(parameter, tuple | list) else (parameter,):
            inner = getattr(candidate, "jaxpr", candidate)
            if hasattr(inner, "eqns"):
                yield inner, getattr(candidate, "consts", ())


def _shapes(atoms: Sequence[Any]) -> list[Any]:
    return [(getattr(atom.aval, "shape", None), getattr(atom.aval, "dtype", None)) for atom in atoms]
