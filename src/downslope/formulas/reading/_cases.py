"""Piecewise formulas in their spellings: {x² if x < 0, x otherwise}, LaTeX's cases, where(x < 0, x², x).

Also {x < 0: x², x} of Desmos, x < 0 ? x² : x of C, if x < 0 then x² else x, and the factor (x < 0), which is 1 where
it holds. The tokens of a choice become PIECES_OPEN value IF condition SEPARATOR … PIECES_CLOSE, for the grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._words import Words

Read = Callable[[int, int], list[Token]]
Closing = Callable[[int], int]
_MARKS = ("IF", "OTHERWISE", "RELATION", "QUESTION", "THEN")
_OPENS = ("OPEN", "BAR_OPEN")
_JOINS = ("AND", "OR", "COMMA", "AMPERSAND")
_FACTOR = ("RELATION", "AND", "OR", "AMPERSAND")  # of the signs of a choice, those of a condition alone
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

    def is_factor(self, begin: int, end: int) -> bool:
        """Tell whether the group from one index to another is a condition that is a factor, as in (x < 0)·x²."""
        kinds = {self.tokens[index].kind for index in self._level(begin + 1, end)}
        signs = kinds & {*_MARKS, "COMMA", "SEMICOLON", "COLON", "ROW", *_FACTOR}
        is_whole = begin == 0 and end == len(self.tokens) - 1
        return "RELATION" in signs and signs <= {*_FACTOR} and self.tokens[begin].text in "([" and not is_whole

    def factor(self, begin: int, end: int) -> list[Token]:
        """Return the tokens of a condition that is a factor: 1 where it holds, 0 elsewhere."""
        token = self.tokens[begin]
        typed = self.words.text[token.position : self.tokens[end].position + 1]
        self.words.note(f"{typed} is read as 1 where it holds and 0 elsewhere")
        one, zero = (Token("NUMBER", digit, token.position, True) for digit in "10")
        condition = self._condition(begin + 1, end)
        return [
            *(
                Token("PIECES_OPEN", "{", token.position, True),
                one,
                Token("IF", "if", token.position, True),
                *condition,
            ),
            *(Token("SEPARATOR", ",", token.position, True), zero),
            *(Token("OTHERWISE", "otherwise", token.position, True), Token("PIECES_CLOSE", "}", token.position, True)),
        ]

    def call(self, token: Token, opening: int, end: int) -> list[Token]:
        """Return the tokens of where(condition, value, otherwise) and of piecewise((value, condition), …)."""
        arguments = list(self._split(opening + 1, end, ("COMMA", "SEMICOLON")))
        if token.text == "piecewise" and self._is_group(*arguments[0]):
            return self._written(list(self._pairs(arguments, token)), token)
        if token.text == "piecewise":
            return self._written(list(self._alternating(arguments)), token)
        if len(arguments) not in (2, 3):
            raise self._fail("a choice takes a condition and two values: where(x < 0, x², x)", token)
        condition, value, *rest = arguments
        return self._written([_Case(value, condition), *(_Case(other, None, True) for other in rest)], token)

    def _pairs(self, arguments: list[tuple[int, int]], token: Token) -> Iterator[_Case]:
        """Yield the pieces of (x², x < 0), (x, True), also in one more list: {{x², x < 0}, {x, x ≥ 0}}, 1."""
        begin, stop = arguments[0]
        if self._is_group(begin + 1, next(self._split(begin + 1, stop - 1, ("COMMA",)))[1]):
            lists = list(self._split(begin + 1, stop - 1, ("COMMA",)))
            yield from self._pairs(lists, token)
            if len(arguments) == 2:
                yield _Case(arguments[1], None, True)
            return
        for begin, stop in arguments:
            inner = list(self._split(begin + 1, stop - 1, ("COMMA",))) if self._is_group(begin, stop) else []
            if len(inner) != 2:
                raise self._fail("piecewise takes pairs of a value and a condition", token)
            value, condition = inner
            if self._compares(value) and not self._compares(condition):
                value, condition = condition, value
            is_last = self.tokens[condition[0]].kind == "OTHERWISE" if condition[0] < condition[1] else False
            yield _Case(value, None if is_last else condition, is_last)

    def _alternating(self, arguments: list[tuple[int, int]]) -> Iterator[_Case]:
        """Yield the pieces of x < 0, x², x ≥ 0, x: each condition before its value, and a last value for the rest."""
        for condition, value in zip(arguments[::2], arguments[1::2], strict=False):
            is_last = self.tokens[condition[0]].kind == "OTHERWISE" if condition[0] < condition[1] else False
            yield _Case(value, None if is_last else condition, is_last)
        if len(arguments) % 2:
            yield _Case(arguments[-1], None, True)

    def _compares(self, span: tuple[int, int]) -> bool:
        """Tell whether a range is a condition."""
        return any(self.tokens[index].kind in ("RELATION", "EQUALS") for index in self._level(*span))

    # The pieces of a range.

    def _items(self, begin: int, end: int) -> Iterator[_Case]:
        """Yield the pieces in a range; a condition that stands alone belongs to the value before it."""
        kinds = {self.tokens[index].kind for index in self._level(begin, end)}
        separators = ("ROW", "SEMICOLON") if kinds & {"ROW", "SEMICOLON"} else ("COMMA",)
        spans = list(self._split(begin, end, separators))
        for start, stop in spans:
            # {x < 0: x², x}: where conditions stand before their values, the last value needs none.
            is_last = "COLON" in kinds and (start, stop) == spans[-1] and len(spans) > 1
            items = list(self._item(start, stop, separators))
            yield from (item if item.condition or not is_last else item._replace(otherwise=True) for item in items)

    def _item(self, begin: int, end: int, separators: tuple[str, ...]) -> Iterator[_Case]:
        begin, end = self._trimmed(begin, end)
        if begin >= end:
            return
        level = list(self._level(begin, end))
        kind_at = {index: self.tokens[index].kind for index in level}
        if (question := next((index for index in level if kind_at[index] == "QUESTION"), None)) is not None:
            yield from self._by_question(begin, question, end, separators)
            return
        marker = next((index for index in level if kind_at[index] in ("IF", "OTHERWISE")), None)
        if marker is None:
            relation = next((index for index in level if kind_at[index] in ("RELATION", "EQUALS")), None)
            if relation is None:
                yield _Case((begin, end), None)
                return
            border = [
                index for index in level if kind_at[index] in ("AMPERSAND", "COMMA", "COLON") and index < relation
            ]
            colon = next((index for index in level if kind_at[index] == "COLON" and index > relation), None)
            if colon is not None and not border:
                yield _Case((colon + 1, end), (begin, colon))
            elif border and "COMMA" not in separators:
                yield _Case(self._trimmed(begin, border[-1]), self._trimmed(border[-1] + 1, end))
            elif border:
                yield _Case(self._trimmed(begin, border[0]), self._trimmed(border[0] + 1, end))
            else:
                yield _Case((begin, begin), (begin, end))
            return
        value = self._trimmed(begin, marker)
        then = next((index for index in level if kind_at[index] == "THEN"), None)
        if then is not None and value[0] >= value[1]:
            other = next((index for index in level if index > then and kind_at[index] == "OTHERWISE"), end)
            yield _Case(self._trimmed(then + 1, other), self._trimmed(marker + 1, then))
            rest = list(self._item(other + 1, end, separators))
            yield from (item if item.condition else item._replace(otherwise=True) for item in rest)
            return
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

    def _by_question(self, begin: int, question: int, end: int, separators: tuple[str, ...]) -> Iterator[_Case]:
        """Yield the pieces of x < 0 ? x² : x; a choice in place of the last value goes on."""
        depth, colon = 0, end
        for index in self._level(question + 1, end):
            depth += (self.tokens[index].kind == "QUESTION") - (self.tokens[index].kind == "COLON")
            if depth < 0:
                colon = index
                break
        yield _Case((question + 1, colon), (begin, question))
        rest = list(self._item(colon + 1, end, separators))
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
            if index < end and self.tokens[index].kind not in _JOINS:
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
        if len(signs) == 1 and self._is_group(begin, signs[0]) and self._is_group(signs[0] + 1, end):
            lists = [
                list(self._split(start + 1, stop - 1, ("COMMA",)))
                for start, stop in ((begin, signs[0]), (signs[0] + 1, end))
            ]
            if len(lists[0]) == len(lists[1]) > 1:
                return self._of_points(lists, self.tokens[signs[0]])
        if not signs:
            raise self._fail("a condition compares two values", self.tokens[begin], "write it as x < 0 or 0 ≤ x ≤ 1")
        output: list[Token] = []
        for start, stop in zip([begin, *(sign + 1 for sign in signs)], [*signs, end], strict=True):
            output += self.read(start, stop)
            if stop < end:
                output.append(replace(self.tokens[stop], kind="RELATION"))
        return output

    def _of_points(self, lists: list[list[tuple[int, int]]], sign: Token) -> list[Token]:
        """Return the tokens of (x, y) = (0, 0) or (x, y) ≠ (0, 0), coordinate by coordinate."""
        if sign.text not in ("=", "≠"):
            raise self._fail("two points are equal or different, neither is below the other", sign)
        output = [Token("OPEN", "(", sign.position, True)]
        joint = Token("AND", "and", sign.position, True) if sign.text == "=" else Token("OR", "or", sign.position, True)
        for number, (left, right) in enumerate(zip(*lists, strict=True)):
            output += [joint] if number else []
            output += [*self.read(*left), replace(sign, kind="RELATION"), *self.read(*right)]
        return [*output, Token("CLOSE", ")", sign.position, True)]

    def _comparison(self, token: Token) -> Exception:
        return self._fail(
            "this is a comparison, an inequality or an equation, not a formula",
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
