"""The commands on formulas alone: derive, chain, slope, backprop, critical-points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import downslope as ds
from downslope._files import written
from downslope.cli import _options as options
from downslope.cli import _print as _pictures
from downslope.cli import _print as show

_GRAPHS = (".svg", ".dot")
By = Annotated[str | None, typer.Option("--by", help="The variable; all of them if none is given.")]
Outer = Annotated[str, typer.Argument(metavar="OUTER", help='The outer formula, of one variable: "y(u) = sin(u)".')]
Inner = Annotated[str, typer.Argument(metavar="INNER", help='What stands for that variable: "u(x) = x²".')]
Latex = Annotated[bool, typer.Option("--latex", help="Print LaTeX.")]
Graph = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Write the computation graph: .svg or .dot.")
]


@options.takes("descend", only=("units",))
def derive(
    formula: options.FormulaText,
    by: By = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    latex: Latex = False,
    **choices: Any,
) -> None:
    """Differentiate a formula, with the rules used."""
    parsed = ds.formula(formula, **choices)
    variables = [by] if by is not None else list(parsed.variables)
    if not variables:
        raise ds.FormulaError(
            "there is no variable to differentiate by", hint="a header may name one: f(x) = " + parsed.read_as
        )
    derivations = [ds.derive(parsed, variable) for variable in variables]
    if json:
        show.as_json(_derivations_as_dict(parsed, derivations))
    elif latex:
        print("\n".join(derivation.latex() for derivation in derivations))
    elif quiet:
        print("\n".join(str(derivation.derivative) for derivation in derivations))
    else:
        show.read_as(parsed.read_as, parsed.notes)
        for derivation in derivations:
            print(f"\n{derivation}")


def _derivations_as_dict(formula: ds.Formula, derivations: list[ds.Derivation]) -> dict[str, Any]:
    """Return what `--json` prints: the steps of one derivative, or those of each by variable."""
    head = {"read_as": formula.read_as, "notes": list(formula.notes)}
    if len(derivations) == 1:
        return head | derivations[0].as_dict()
    return {
        **head,
        "derivative": {derivation.variable: str(derivation.derivative) for derivation in derivations},
        "steps": {derivation.variable: derivation.as_dict()["steps"] for derivation in derivations},
    }


@options.takes("descend", only=("units",))
def chain(
    outer: Outer,
    inner: Inner,
    at: options.At = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    latex: Latex = False,
    **choices: Any,
) -> None:
    """Differentiate a composition of two formulas by the chain rule."""
    result = ds.chain(outer, inner, **choices)
    point = None if at is None else options.point(at, "--at", result.inner.variables)
    value = {} if point is None else {"value": result.at(**point)}
    if json:
        show.as_json(result.as_dict() | value)
    elif latex:
        print(result.latex())
    elif quiet:
        print(show.number(value["value"]) if value else result.product)
    else:
        show.read_as(result.outer.read_as, result.outer.notes)
        show.read_as(result.inner.read_as, result.inner.notes)
        print(f"\n{result}")
        if value:
            unit = f" {result.unit}" if result.unit else ""
            print(f"at {at}: {show.number(value['value'])}{unit}")


@options.takes("descend", only=("data", "units"))
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
    """Say what is true at one point: value, gradient, steepness, kind, rates."""
    objective = ds.objective(formula, **choices)
    point = options.point(at, "--at", objective.names or ())
    result = ds.slope(objective, at=point)
    written = {}
    if plot is not None:
        written["plot"] = str(_pictures.write_point(objective, point, options.ranges(bounds), plot))
    if json:
        show.as_json({"read_as": objective.read_as} | result.as_dict() | written)
        return
    if quiet:
        print(show.number(result.value))
    else:
        show.objective(objective)
        print(f"\n{result}")
    show.files(written)


@options.takes("descend", only=("data", "units"))
def backprop(
    formula: options.FormulaText,
    at: options.At = None,
    *,
    plot: Graph = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Go through a formula forward and backward: every value, local derivative and gradient."""
    if plot is not None and plot.suffix.lower() not in _GRAPHS:
        raise ds.SettingError(
            f"cannot write the graph into {plot.name!r}", hint=f"the file's name must end in {' or '.join(_GRAPHS)}"
        )
    objective = ds.objective(formula, **choices)
    result = ds.backprop(objective, at=options.point(at, "--at", objective.names or ()))
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
def critical_points(
    formula: options.FormulaText,
    bounds: options.Bounds = None,
    *,
    json: options.Json = False,
    quiet: options.Quiet = False,
    **choices: Any,
) -> None:
    """Find every point in a box where the gradient is zero, and say what kind each is."""
    box = options.ranges(bounds)
    if box is None:
        raise ds.PointError("where to look? --bounds is missing", hint="give every variable a range: --bounds x=-3..3")
    parsed = ds.formula(formula, **choices)
    result = ds.critical_points(parsed, box)
    if json:
        points = [
            {"point": dict(p.point), "value": p.value, "kind": p.kind, "eigenvalues": list(p.eigenvalues)}
            for p in result
        ]
        show.as_json({"read_as": parsed.read_as, "points": points, "sentence": result.sentence})
    elif quiet:
        print("\n".join(map(str, result)))
    else:
        show.read_as(parsed.read_as, parsed.notes)
        print(f"\n{result}")
