"""`downslope derive`: the derivative and the rules used."""

from __future__ import annotations

from collections.abc import Mapping

import downslope as ds
from downslope.cli import _print as show


def run(text: str, by: str | None, units: Mapping[str, str], *, as_json: bool, quiet: bool, latex: bool) -> None:
    """Differentiate by one variable, or by each of them, and print what was asked for."""
    formula = ds.formula(text, units=units or None)
    variables = [by] if by is not None else list(formula.variables)
    if not variables:
        raise ds.FormulaError(
            "there is no variable to differentiate by", hint="a header may name one: f(x) = " + formula.read_as
        )
    derivations = [ds.derive(formula, variable) for variable in variables]
    if as_json:
        show.as_json(_as_dict(formula, derivations))
        return
    if latex:
        print("\n".join(derivation.latex() for derivation in derivations))
        return
    if quiet:
        for derivation in derivations:
            print(derivation.derivative)
        return
    print(f"Read as  {formula.read_as}")
    for note in formula.notes:
        print(f"         {note}")
    for derivation in derivations:
        print(f"\n{derivation}")


def _as_dict(formula: ds.Formula, derivations: list[ds.Derivation]) -> dict[str, object]:
    """Return what `--json` prints: one derivative's steps, or each one's by variable."""
    if len(derivations) == 1:
        only = derivations[0].as_dict()
        return {"read_as": formula.read_as, "notes": list(formula.notes)} | only
    return {
        "read_as": formula.read_as,
        "notes": list(formula.notes),
        "derivative": {one.variable: str(one.derivative) for one in derivations},
        "steps": {one.variable: one.as_dict()["steps"] for one in derivations},
    }
