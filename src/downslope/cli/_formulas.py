"""The commands on formulas alone: derive, chain, slope, backprop, critical."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope._files import written
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show
from downslope.cli import _values as values

_GRAPHS = (".svg", ".dot")
By = Annotated[str | None, typer.Option("--by", help="The variable; x,y for a mixed derivative; by default all.")]
Outer = Annotated[str, typer.Argument(metavar="OUTER", help='The outer formula: "y(u) = sin(u)".')]
Inner = Annotated[
    list[str],
    typer.Argument(metavar="INNER...", help='The formulas for its variables, and for theirs: "u = x²".'),
]
ChainBy = Annotated[str | None, typer.Option("--by", help="The variable to differentiate by, if several remain.")]
Order = Annotated[int, typer.Option("--order", min=1, max=12, help="How many times to differentiate.")]
Direction = Annotated[
    str | None, typer.Option("--direction", metavar="VECTOR", help="Differentiate along this vector: x=3,y=4.")
]
Implicit = Annotated[
    str | None,
    typer.Option(
        "--implicit", metavar="NAME", help="Treat this variable of an equation as a function of the other: y."
    ),
]
AtValue = Annotated[str | None, typer.Option("--at", metavar="POINT", help="Evaluate the derivative there: x=3,y=1.")]
Latex = Annotated[bool, typer.Option("--latex", help="Print LaTeX.")]
Graph = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Write the computation graph: .svg or .dot.")
]
Within = Annotated[
    str | None, typer.Option("--within", "--bounds", metavar="RANGES", help="The box to search: x=-3..3,y=0..1.")
]


@options.takes("descend", only=("units",))
def derive(
    formula: options.FormulaText,
    by: By = None,
    order: Order = 1,
    at: AtValue = None,
    direction: Direction = None,
    implicit: Implicit = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    latex: Latex = False,
    **choices: Any,
) -> None:
    """Differentiate a formula, with the rules used."""
    names = None if by is None else [values.plain_name(name.strip()) for name in by.split(",")]
    if implicit is not None:
        variable = names[0] if names is not None and len(names) == 1 else names
        derivations = [ds.derive(formula, variable, order=order, implicit=implicit)]
    else:
        parsed = ds.formula(formula, **choices)
        if not parsed.variables:
            raise ds.FormulaError(
                "there is no variable to differentiate by", hint="a header may name one: f(x) = " + parsed.read_as
            )
        if direction is not None:
            vector = values.point(direction, "--direction", parsed.variables, is_whole=False)
            derivations = [ds.derive(parsed, direction=vector)]
        else:
            every = [names] if names is not None else itertools.combinations_with_replacement(parsed.variables, order)
            derivations = [ds.derive(parsed, tuple(each), order=order) for each in every]
    read = derivations[0].read
    if at is not None:
        point = values.point(at, "--at", read.variables)
        derivations = [derivation.at_point(point) for derivation in derivations]
    if json:
        show.as_json(_derivations_as_dict(read, derivations))
    elif latex:
        print("\n".join(derivation.latex() for derivation in derivations))
    elif quiet:
        print("\n".join(_answer(derivation) for derivation in derivations))
    else:
        show.read_as(derivations[0].read_as, read.notes)
        for derivation in derivations:
            print(f"\n{derivation}")


def _answer(derivation: ds.Derivation) -> str:
    """Return what `--quiet` prints: the value at a point, else the derivative."""
    if derivation.point is None:
        return str(derivation.derivative)
    return "not defined" if derivation.value is None else show.number(derivation.value)


def _derivations_as_dict(formula: ds.Formula, derivations: list[ds.Derivation]) -> dict[str, Any]:
    """Return what `--json` prints: the steps of one derivative, or those of each by variable."""
    head = {"read_as": derivations[0].read_as, "notes": list(formula.notes)}
    if len(derivations) == 1:
        return head | derivations[0].as_dict()
    answers = {",".join(derivation.derivative.by): derivation.as_dict() for derivation in derivations}
    shown = [name for name in ("derivative", "steps", "gaps", "value") if name in next(iter(answers.values()))]
    return head | {name: {by: answer[name] for by, answer in answers.items()} for name in shown}


@options.takes("descend", only=("units",))
def chain(
    outer: Outer,
    inner: Inner,
    by: ChainBy = None,
    at: options.At = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    latex: Latex = False,
    **choices: Any,
) -> None:
    """Differentiate a composition of formulas by the chain rule."""
    result = ds.chain(outer, *inner, by=by, **choices)
    point = None if at is None else values.point(at, "--at", result.product.variables)
    value = {} if point is None else {"value": result.at(**point)}
    if json:
        show.as_json(result.as_dict() | value)
    elif latex:
        print(result.latex())
    elif quiet:
        print(show.number(value["value"]) if value else result.product)
    else:
        for member in result.formulas:
            show.read_as(member.read_as, member.notes)
        print(f"\n{result}")
        if value:
            unit = f" {result.unit}" if result.unit else ""
            print(f"at {at}: {show.number(value['value'])}{unit}")


@options.takes("descend", only=("data", "units", "table"))
def slope(
    formula: options.FormulaText,
    at: options.At = None,
    *,
    plot: options.Plot = None,
    bounds: options.Shown = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Print value, gradient, curvature and kind of a point."""
    objective = ds.objective(formula, **choices)
    point = values.point(at, "--at", objective.names or ())
    result = ds.slope(objective, at=point)
    written = {}
    if plot is not None:
        written["plot"] = str(_pictures.write_point(objective, point, values.ranges(bounds), plot))
    if json:
        show.as_json({"read_as": objective.read_as} | result.as_dict() | written)
        return
    if quiet:
        print(show.number(result.value))
    else:
        show.objective(objective)
        print(f"\n{result}")
    show.files(written)


@options.takes("descend", only=("data", "units", "table"))
def backprop(
    formula: options.FormulaText,
    at: options.At = None,
    *,
    plot: Graph = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Show the forward and backward pass of a formula."""
    if plot is not None and plot.suffix.lower() not in _GRAPHS:
        raise ds.SettingError(
            f"cannot write the graph into {plot.name!r}", hint=f"the file's name must end in {' or '.join(_GRAPHS)}"
        )
    objective = ds.objective(formula, **choices)
    result = ds.backprop(objective, at=values.point(at, "--at", objective.names or ()))
    written = {} if plot is None else {"plot": str(_write_graph(result, plot))}
    if json:
        show.as_json(result.as_dict() | written)
        return
    if quiet:
        for node in result.nodes:
            if node.role == "given":
                print(f"∂{result.name}/∂{node.label} = {show.number(float(node.gradient))}")
    else:
        show.objective(objective)
        print(f"\n{result}")
    show.files(written)


def _write_graph(result: ds.Backpropagation, plot: Path) -> Path:
    """Write the graph in the form that the file's name says, and return the file."""
    text = result.svg() if plot.suffix.lower() == ".svg" else result.dot()
    with written(plot) as partial:
        partial.write_text(text, encoding="utf-8")
    return plot


@options.takes("descend", only=("units",))
def critical(
    formula: options.FormulaText,
    within: Within = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Find every critical point in a box, with a proof.

    Critical points are those where the gradient is zero or does not exist: minima, maxima, saddles, inflections, kinks.
    The last lines say what was proved.
    """
    box = values.ranges(within, "--within")
    if box is None:
        raise ds.PointError("give a box to search: --within is missing", hint="for example --within x=-3..3,y=0..1")
    parsed = ds.formula(formula, **choices)
    missing = [name for name in parsed.variables if name not in box]
    if missing and all(name in parsed.variables for name in box):
        example = ",".join(f"{name}=-3..3" for name in parsed.variables)
        raise ds.PointError(f"--within has no range for {', '.join(missing)}", hint=f"for example --within {example}")
    result = ds.critical_points(parsed, box)
    if json:
        show.as_json({"read_as": parsed.read_as} | result.as_dict())
    elif quiet:
        print("\n".join(map(str, result.points)))
    else:
        show.read_as(parsed.read_as, parsed.notes)
        print(f"\n{result}")
