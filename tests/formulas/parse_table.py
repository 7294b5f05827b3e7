"""Make `grammar.json`, the table of the formulas' parser, from `grammar.lark`; run it after a change of the grammar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lark import Lark
from lark.lexer import Lexer

import downslope

FOLDER = Path(downslope.__file__).parent / "formulas" / "reading"


class _NoLexer(Lexer):
    """The tokens come finished."""

    def __init__(self, configuration: Any) -> None:
        pass

    def lex(self, data: Any) -> Any:
        return data


def made() -> dict[str, Any]:
    """Return the table of the grammar, with states in the order in which they are reached."""
    grammar = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    lark = Lark(grammar, parser="lalr", lexer=_NoLexer, maybe_placeholders=False)
    automaton = lark.parser.parser._parse_table
    start, end = automaton.start_states["start"], automaton.end_states["start"]
    # Lark numbers states and rules as its sets happen to be ordered.
    order, rules = [start], []
    for state in order:
        for _, (action, target) in sorted(automaton.states[state].items()):
            if str(action) == "Shift" and target not in order:
                order.append(target)
            elif str(action) == "Reduce" and target not in rules:
                rules.append(target)
    states = []
    for state in order:
        row = sorted(automaton.states[state].items())
        states.append(
            {name: order.index(to) if str(how) == "Shift" else -1 - rules.index(to) for name, (how, to) in row}
        )
    return {
        "end": order.index(end),
        "rules": [[rule.origin.name, len(rule.expansion), _method(rule)] for rule in rules],
        "states": states,
    }


def _method(rule: Any) -> str | None:
    """Return the builder's method of a rule: its alias or its name; None for a single part, "" for a repetition."""
    if rule.origin.name.startswith("__"):
        return ""
    if rule.options.expand1 and rule.alias is None and len(rule.expansion) == 1:
        return None
    return rule.alias or str(rule.origin.name)


def as_text(table: dict[str, Any]) -> str:
    """Return a table as the file holds it: a rule or state on each line."""

    def lines(rows: list[Any]) -> str:
        return ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)

    return f'{{"end":{table["end"]},\n"rules":[\n{lines(table["rules"])}],\n"states":[\n{lines(table["states"])}]}}\n'


if __name__ == "__main__":
    (FOLDER / "grammar.json").write_text(as_text(made()), encoding="utf-8")
