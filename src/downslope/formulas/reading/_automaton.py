"""The LALR(1) automaton that recognises formulas: a loop over the table that Lark generated from `grammar.lark`.

Making the table takes longer than reading a hundred formulas, and importing Lark as long as the rest of a command, so
that the table is kept beside the grammar, in `grammar.json`; a test compares the two. Each state maps terminals and
rules to numbers: n ≥ 0 is the next state, and −n − 1 the rule n that is complete.

References: Aho, Lam, Sethi and Ullman, Compilers, 2nd edition, 2006, section 4.5.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

END = "$END"


class Leaf(NamedTuple):
    """A token as the automaton sees it.

    Args:
        type: the terminal of the grammar that it is.
        value: what the builder gets of it.
    """

    type: str
    value: Any


class GrammarRule(NamedTuple):
    """A rule of the grammar.

    Args:
        origin: what its parts make.
        length: how many parts it has.
        method: the builder's method that gets them; None to pass a single part on, "" to list them for another rule.
    """

    origin: str
    length: int
    method: str | None


class ParseTable(NamedTuple):
    """The states and rules of an automaton that begins in state 0.

    Args:
        states: by terminal or rule, the next state or the complete rule.
        rules: the rules, by number.
        end: the state of a whole formula.
    """

    states: list[dict[str, int]]
    rules: list[GrammarRule]
    end: int


class UnexpectedLeafError(Exception):
    """A token that no formula has at its position."""

    def __init__(self, leaf: Leaf, expected: Iterable[str]) -> None:
        super().__init__(leaf.type)
        self.leaf = leaf
        self.expected = frozenset(name for name in expected if name.isupper())


@functools.cache
def table() -> ParseTable:
    """Return the table of `grammar.json`."""
    data = json.loads(Path(__file__).with_name("grammar.json").read_text(encoding="utf-8"))
    return ParseTable(data["states"], [GrammarRule(*rule) for rule in data["rules"]], data["end"])


def parsed(leaves: Iterable[Leaf], builder: Any) -> Any:
    """Return the result of a builder for tokens; its method for a rule is called with the results of the rule's parts.

    Raises:
        UnexpectedLeafError: for tokens that are no formula.
    """
    states, rules, end = table()
    path, values = [0], []
    for leaf in (*leaves, Leaf(END, None)):
        while True:
            number = states[path[-1]].get(leaf.type)
            if number is None:
                raise UnexpectedLeafError(leaf, states[path[-1]])
            if number >= 0:
                path.append(number)
                values.append(leaf)
                break
            _reduce(rules[-number - 1], path, values, builder)
            path.append(states[path[-1]][rules[-number - 1].origin])
            if path[-1] == end and leaf.type == END:
                return values[-1]
    raise AssertionError("the last token ends or fails")


def _reduce(rule: GrammarRule, path: list[int], values: list[Any], builder: Any) -> None:
    """Replace the parts of a rule on both stacks by what they make."""
    del path[len(path) - rule.length :]
    if rule.method is None:
        return
    parts: list[Any] = []
    for value in values[-rule.length :]:
        # Repetitions are rules of their own, which no other value looks like.
        parts += value if isinstance(value, list) else [value]
    values[-rule.length :] = [parts if rule.method == "" else getattr(builder, rule.method)(*parts)]
