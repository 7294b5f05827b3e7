"""Piecewise formulas as they are written: {x² if x < 0, x otherwise}, LaTeX's cases, where(x < 0, x², x).

The tokens of a choice become PIECES_OPEN value IF condition SEPARATOR … PIECES_CLOSE, which the grammar reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._words import Words

Read = Callable[[int, int], list[Token]]
Closing = Callable[[int], int]
_MARKS = ("IF", "OTHERWISE", "RELATION")
_OPENS = ("OPEN", "BAR_OPEN")
_TRIMMED = ("COMMA", "SEMICOLON", "COLON", "AMPERSAND")


class _Case(NamedTuple):
    """A piece by the indices of its tokens: value, and condition; `otherwise` where it has none and needs none."""

    value: tuple[int, int]
    condition: tuple[int, int] | None
    otherwise: bool = False


class Cases:
    """Read choices in a list of tokens.

    Args:
        tokens: the tokens, with names and bars resolved.
        words: the context, for errors.
        read: function that resolves the tokens of a range that is no choice.
        closing: function from an opening sign to the index of its closing one.
    """

    def __init__(self, tokens: Sequence[Token], words: Words, read: Read, closing: Closing) -> None:
        self.tokens = tokens
        self.words = words
        self.read = read
        self.closing = closing

    def is_choice(self, begin: int, end: int) -> bool:
        """Tell whether a range of tokens is a choice of pieces."""
        return any(self.tokens[index].kind in _MARKS for index in self._level(begin, end))

    def choice(self, begin: int, end: int) -> list[Token]:
        """Return the tokens of a range that is a choice."""
        items = self._paired(list(self._items(begin, end)), begin)
        return self._written(items, self.tokens[begin])

    def call(self, token: Token, opening: int, end: int) -> list[Token]:
        """Return the tokens of where(condition, value, otherwise) and of piecewise((value, condition), …)."""
        arguments = list(self._split(opening + 1, end, ("COMMA", "SEMICOLON")))
        if token.text == "piecewise":
            items = []
            for begin, stop in arguments:
                inner = list(self._split(begin + 1, stop - 1, ("COMMA",))) if self._is_group(begin, stop) else []
                if len(inner) != 2:
                    raise self._fail("piecewise takes pairs of a value and a condition", token)
                value, condition = inner
                is_last = self.tokens[condition[0]].kind == "OTHERWISE" if condition[0] < condition[1] else False
                items.append(_Case(value, None if is_last else condition, is_last))
            return self._written(items, token)
        if len(arguments) not in (2, 3):
            raise self._fail("a choice takes a condition and two values: where(x < 0, x², x)", token)
        condition, value, *rest = arguments
        return self._written([_Case(value, condition), *(_Case(other, None, True) for other in rest)], token)

    # The pieces of a range.

    def _items(self, begin: int, end: int) -> Iterator[_Case]:
        """Yield the pieces in a range; a condition that stands alone belongs to the value before it."""
        kinds = {self.tokens[index].kind for index in self._level(begin, end)}
        separators = ("ROW", "SEMICOLON") if kinds & {"ROW", "SEMICOLON"} else ("COMMA",)
        for start, stop in self._split(begin, end, separators):
            yield from self._item(start, stop, separators)

    def _item(self, begin: int, end: int, separators: tuple[str, ...]) -> Iterator[_Case]:
        begin, end = self._trimmed(begin, end)
        if begin >= end:
            return
        level = list(self._level(begin, end))
        kind_at = {index: self.tokens[index].kind for index in level}
        marker = next((index for index in level if kind_at[index] in ("IF", "OTHERWISE")), None)
        if marker is None:
            relation = next((index for index in level if kind_at[index] in ("RELATION", "EQUALS")), None)
            if relation is None:
                yield _Case((begin, end), None)
                return
            border = [index for index in level if kind_at[index] in ("AMPERSAND", "COMMA") and index < relation]
            if border and "COMMA" not in separators:
                yield _Case(self._trimmed(begin, border[-1]), self._trimmed(border[-1] + 1, end))
            elif border:
                yield _Case(self._trimmed(begin, border[0]), self._trimmed(border[0] + 1, end))
            else:
                yield _Case((begin, begin), (begin, end))
            return
        value = self._trimmed(begin, marker)
        if kind_at[marker] == "OTHERWISE":
            yield _Case(value if value[0] < value[1] else self._trimmed(marker + 1, end), None, True)
            return
        # A if C else B: what follows else is an item of its own.
        other = next((index for index in level if index > marker and kind_at[index] == "OTHERWISE"), end)
        if other == marker + 1 and other < end:  # \text{if otherwise}
            yield _Case(value, None, True)
            return
        yield _Case(value, self._trimmed(marker + 1, other))
        if other < end:
            rest = list(self._item(other + 1, end, separators))
            yield from (item if item.condition else item._replace(otherwise=True) for item in rest)

    def _paired(self, items: list[_Case], begin: int) -> list[_Case]:
        """Return the items with a value and the condition after it joined: x², x < 0, x, x ≥ 0."""
        pieces: list[_Case] = []
        for item in items:
            lacks_value = item.value[0] >= item.value[1]
            if lacks_value and pieces and pieces[-1].condition is None and not pieces[-1].otherwise:
                pieces[-1] = _Case(pieces[-1].value, item.condition)
            elif lacks_value:
                signs = list(self._level(*(item.condition or (begin, begin + 1))))
                relation = next((index for index in signs if self.tokens[index].kind == "RELATION"), begin)
                raise self._comparison(self.tokens[relation])
            else:
                pieces.append(item)
        bare = [item for item in pieces if item.condition is None and not item.otherwise]
        if bare:
            raise self._fail(
                "a piece has no condition", self.tokens[bare[0].value[0]], "write it as x² if x < 0, or x² otherwise"
            )
        return pieces

    # Writing them out.

    def _written(self, items: list[_Case], token: Token) -> list[Token]:
        """Return the tokens that the grammar reads."""
        if not any(item.condition for item in items):
            raise self._fail("a choice has no condition", token, "write it as {x² if x < 0, x otherwise}")
        output = [Token("PIECES_OPEN", "{", token.position, True)]
        for number, item in enumerate(items):
            if number:
                output.append(Token("SEPARATOR", ",", token.position, True))
            output += self.read(*item.value)
            if item.condition is None:
                if number < len(items) - 1:
                    raise self._fail("no condition can follow otherwise", token)
                output.append(Token("OTHERWISE", "otherwise", token.position, True))
            else:
                output.append(Token("IF", "if", token.position, True))
                output += self._condition(*item.condition)
        output.append(Token("PIECES_CLOSE", "}", token.position, True))
        return output

    def _condition(self, begin: int, end: int) -> list[Token]:
        """Return the tokens of a condition: comparisons joined by and, or; a comma is an "and"."""
        output: list[Token] = []
        start = begin
        for index in (*self._level(begin, end), end):
            if index < end and self.tokens[index].kind not in ("AND", "OR", "COMMA"):
                continue
            output += self._comparisons(start, index)
            if index < end:
                output.append(replace(self.tokens[index], kind="OR" if self.tokens[index].kind == "OR" else "AND"))
            start = index + 1
        return output

    def _comparisons(self, begin: int, end: int) -> list[Token]:
        if begin >= end:
            raise self._fail(
                "a condition is missing", self.tokens[min(begin, len(self.tokens) - 1)], "x < 0, for example"
            )
        if self._is_group(begin, end) and self.is_choice(begin + 1, end - 1):
            return [self.tokens[begin], *self._condition(begin + 1, end - 1), self.tokens[end - 1]]
        signs = [index for index in self._level(begin, end) if self.tokens[index].kind in ("RELATION", "EQUALS")]
        if not signs:
            raise self._fail("a condition compares two values", self.tokens[begin], "write it as x < 0 or 0 ≤ x ≤ 1")
        output: list[Token] = []
        for start, stop in zip([begin, *(sign + 1 for sign in signs)], [*signs, end], strict=True):
            output += self.read(start, stop)
            if stop < end:
                output.append(replace(self.tokens[stop], kind="RELATION"))
        return output

    def _comparison(self, token: Token) -> Exception:
        return self._fail(
            "this is a comparison, an inequality or equation, and no formula",
            token,
            "write a formula with a condition as {x² if x < 3, 9 otherwise}",
        )

    # Ranges of tokens.

    def _level(self, begin: int, end: int) -> Iterator[int]:
        """Yield the indices of a range that are not inside of parentheses there."""
        index = begin
        while index < end:
            if self.tokens[index].kind in _OPENS:
                index = self.closing(index)
            else:
                yield index
            index += 1

    def _split(self, begin: int, end: int, kinds: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Yield the parts of a range between separators."""
        start = begin
        for index in self._level(begin, end):
            if self.tokens[index].kind in kinds:
                yield start, index
                start = index + 1
        yield start, end

    def _trimmed(self, begin: int, end: int) -> tuple[int, int]:
        """Return a range without commas and the like at its ends."""
        while begin < end and self.tokens[begin].kind in _TRIMMED:
            begin += 1
        while begin < end and self.tokens[end - 1].kind in _TRIMMED:
            end -= 1
        return begin, end

    def _is_group(self, begin: int, end: int) -> bool:
        return begin < end and self.tokens[begin].kind == "OPEN" and self.closing(begin) == end - 1

    def _fail(self, message: str, token: Token, hint: str | None = None) -> Exception:
        return self.words.fail(message, token, hint)
