"""What was left out in writing: parentheses of a function's argument, products of neighbours, which bar opens.

`1/2x` is (1/2)x and is said so; `1/xy` is refused, since half of its readers mean the other thing.
"""

from __future__ import annotations

from dataclasses import replace

from downslope.formulas._functions import SPELLINGS
from downslope.formulas._tokens import Token
from downslope.formulas._words import Words, named

_DEEPEST = 100
_ENDS_QUOTIENT = {"PLUS", "MINUS", "TIMES", "SLASH", "COMMA"}
_CLOSES = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ENDS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "CLOSE", "BAR_CLOSE"}
_BEGINS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "OPEN", "BAR_OPEN", "FUNCTION"}


def resolve(tokens: list[Token], words: Words) -> list[Token]:
    """Return tokens in which words are names, constants and functions, bars are told apart and products are typed.

    Raises:
        FormulaError: for unknown names, ambiguous quotients, functions without arguments, stray parentheses.
    """
    found = list(named(tokens, words))
    structured = _structured(_closed(found, words), words)
    return _multiplied(structured, words)


def _closed(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with bars told apart, after checking that everything that opens closes, and not too deep."""
    found: list[Token] = []
    opened: list[Token] = []
    for token in tokens:
        kind = token.kind
        if kind == "BAR":
            closes = bool(opened) and opened[-1].kind == "BAR" and bool(found) and found[-1].kind in _ENDS_OPERAND
            found.append(replace(token, kind="BAR_CLOSE" if closes else "BAR_OPEN"))
        else:
            closes = kind == "CLOSE"
            found.append(token)
        if kind not in {"OPEN", "CLOSE", "BAR"}:
            continue
        if not closes:
            opened.append(token)
            if len(opened) > _DEEPEST:
                raise words.fail(f"the parentheses are nested more than {_DEEPEST} deep", token)
        elif not opened or _CLOSES[opened[-1].text] != token.text:
            hint = f"the last one open is {opened[-1].text}" if opened else None
            raise words.fail(f"this {token.text} closes nothing", token, hint)
        else:
            opened.pop()
    if opened:
        raise words.fail(f"this {opened[-1].text} is never closed", opened[-1])
    return found


def _structured(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with roots, LaTeX fractions and functions without parentheses as plain calls and quotients."""
    reader = _Structure(tokens, words)
    reader.cut_fractions()
    return reader.read(0, len(reader.tokens))


class _Structure:
    """Rewrites prefix notation; it recurses only into parentheses, whose depth is bounded."""

    def __init__(self, tokens: list[Token], words: Words) -> None:
        self.tokens = tokens
        self.words = words

    def read(self, place: int, end: int) -> list[Token]:
        """Return tokens place … end rewritten."""
        found: list[Token] = []
        while place < end:
            piece, place = self._piece(place, end)
            found += piece
        return found

    def _piece(self, place: int, end: int, depth: int = 0) -> tuple[list[Token], int]:
        """Return the next token, or prefix and what it applies to, rewritten, and the place after it."""
        token = self.tokens[place]
        if depth > _DEEPEST:
            raise self.words.fail(f"functions are nested more than {_DEEPEST} deep", token)
        if token.kind == "FUNCTION":
            return self._call(place, end, depth)
        if token.kind == "ROOT":
            return self._root(place, end, depth)
        if token.kind == "FRACTION":
            above, place = self._argument(token, place + 1, end, depth)
            below, place = self._argument(token, place, end, depth)
            opened, closed = _parentheses(token)
            return [opened, *above, Token("SLASH", "/", token.position, implied=True), *below, closed], place
        return [token], place + 1

    def _call(self, place: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return a function with its argument in parentheses; a power between the two goes behind."""
        token = self.tokens[place]
        place += 1
        power: list[Token] = []
        if place < end and self.tokens[place].kind == "POWER":
            power, place = self._power(place, end, token)
        if place < end and self.tokens[place].kind == "OPEN":
            stop = self._closing(place)
            inside = self.read(place + 1, stop)
            argument = [self.tokens[place], *inside, self.tokens[stop]]
            place = stop + 1
        else:
            argument, place = self._bare_argument(token, place, end, depth)
        called = [token, *argument]
        if not power:
            return called, place
        opened, closed = _parentheses(token)
        return [opened, *called, closed, *power], place

    def _power(self, place: int, end: int, function: Token) -> tuple[list[Token], int]:
        """Return the power between a function's name and its argument, which must be a whole number above 0."""
        stop = place + 2
        if place + 1 < end and self.tokens[place + 1].kind == "OPEN":
            stop = self._closing(place + 1) + 1
        power = self.tokens[place:stop]
        digits = [token.text for token in power if token.kind not in {"POWER", "OPEN", "CLOSE"}]
        if len(digits) == 1 and digits[0].isdigit():
            return power, stop
        name = function.text
        inverse = f"a{name}" if f"a{name}" in SPELLINGS else "the inverse function"
        raise self.words.fail(
            f"{name} to a power other than a whole number can mean two things",
            function,
            hint=f"write {inverse}(x) for the inverse, or {name}(x)^(-1) for 1/{name}(x)",
        )

    def _bare_argument(self, function: Token, place: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return the product that follows a function without parentheses, in parentheses: sin 2x is sin(2x)."""
        opened, closed = _parentheses(function)
        found: list[Token] = []
        while place < end and self.tokens[place].kind == "MINUS" and not found:
            found.append(self.tokens[place])
            place += 1
        began = len(found)
        while place < end and self.tokens[place].kind in {*_BEGINS_OPERAND, "POWER", "ROOT", "FRACTION"}:
            token = self.tokens[place]
            if token.kind == "FUNCTION" and len(found) > began:
                break
            if token.kind == "POWER":
                stop = self._exponent_end(place, end)
                found += self.tokens[place:stop]
                place = stop
            elif token.kind in {"OPEN", "BAR_OPEN"}:
                if len(found) > began and token.kind == "OPEN":
                    raise self.words.fail(
                        f"what follows {function.text} can end before this parenthesis or after it",
                        token,
                        hint=f"write its whole argument in parentheses: {function.text}(…)",
                    )
                stop = self._closing(place)
                found += [token, *self.read(place + 1, stop), self.tokens[stop]]
                place = stop + 1
            else:
                piece, place = self._piece(place, end, depth + 1)
                found += piece
        if place < end and self.tokens[place].kind in {"SLASH", "TIMES"}:
            self.words.note(
                f"{function.text} without parentheses applies to what comes before {self.tokens[place].text} only"
            )
        if len(found) == began:
            raise self.words.fail(
                f"{function.text} is a function and needs an argument", function, hint=f"write {function.text}(x)"
            )
        return [opened, *found, closed], place

    def _exponent_end(self, place: int, end: int) -> int:
        """Return the place after the exponent that begins with the POWER at `place`."""
        place += 1
        while place < end and self.tokens[place].kind in {"MINUS", "PLUS"}:
            place += 1
        if place < end and self.tokens[place].kind == "OPEN":
            return self._closing(place) + 1
        return min(place + 1, end)

    def _root(self, place: int, end: int, depth: int) -> tuple[list[Token], int]:
        r"""Return √x, ∛x or \\sqrt[n]{x} as a call or a power."""
        token = self.tokens[place]
        place += 1
        index: list[Token] | None = None
        if token.text == "√" and place < end and self.tokens[place].text == "[":
            stop = self._closing(place)
            index = self.read(place + 1, stop)
            place = stop + 1
        argument, place = self._argument(token, place, end, depth)
        if index is None:
            return [replace(token, kind="FUNCTION", text="cbrt" if token.text == "∛" else "sqrt"), *argument], place
        opened, closed = _parentheses(token)
        exponent = [opened, Token("NUMBER", "1", token.position, True), Token("SLASH", "/", token.position, True)]
        return [
            opened,
            *argument,
            Token("POWER", "^", token.position, True),
            *exponent,
            opened,
            *index,
            closed,
            closed,
            closed,
        ], place

    def _argument(self, prefix: Token, place: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return the one thing that a root or a LaTeX command applies to, in parentheses."""
        opened, closed = _parentheses(prefix)
        if place >= end or self.tokens[place].kind not in {*_BEGINS_OPERAND, "ROOT", "FRACTION"}:
            raise self.words.fail(f"{prefix.text} needs something to apply to", prefix)
        if self.tokens[place].kind in {"OPEN", "BAR_OPEN"}:
            stop = self._closing(place)
            inside = [self.tokens[place], *self.read(place + 1, stop), self.tokens[stop]]
            return (inside, stop + 1) if inside[0].kind == "OPEN" else ([opened, *inside, closed], stop + 1)
        piece, place = self._piece(place, end, depth + 1)
        return [opened, *piece, closed], place

    def cut_fractions(self) -> None:
        """Cut the numbers that LaTeX reads digit by digit: a fraction's 12 is one half."""
        for place in reversed([place for place, token in enumerate(self.tokens) if token.kind == "FRACTION"]):
            self._cut_digits(place + 1)
            opens = place + 1 < len(self.tokens) and self.tokens[place + 1].kind == "OPEN"
            self._cut_digits(self._closing(place + 1) + 1 if opens else place + 2)

    def _cut_digits(self, place: int) -> None:
        """Cut a whole number after its first digit."""
        number = self.tokens[place] if place < len(self.tokens) else None
        if number is not None and number.kind == "NUMBER" and len(number.text) > 1 and number.text.isdigit():
            head = replace(number, text=number.text[0])
            self.tokens[place : place + 1] = [head, replace(number, text=number.text[1:], position=number.position + 1)]

    def _closing(self, place: int) -> int:
        """Return where what opens at `place` closes; `_closed` has made sure that it does."""
        depth = 0
        for where in range(place, len(self.tokens)):
            kind = self.tokens[where].kind
            depth += (kind in {"OPEN", "BAR_OPEN"}) - (kind in {"CLOSE", "BAR_CLOSE"})
            if depth == 0:
                return where
        raise self.words.fail(f"this {self.tokens[place].text} is never closed", self.tokens[place])


def _parentheses(token: Token) -> tuple[Token, Token]:
    """Return a pair of parentheses that were not typed."""
    return Token("OPEN", "(", token.position, True), Token("CLOSE", ")", token.position, True)


def _multiplied(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with a TIMES between neighbours that multiply."""
    found: list[Token] = []
    quotient: Token | None = None  # the first token of a denominator that nothing has ended yet
    depth, quotient_depth, begins = 0, 0, 0
    for token in tokens:
        if found and found[-1].kind in _ENDS_OPERAND and token.kind in _BEGINS_OPERAND:
            _check_call(found[-1], token, words)
            if quotient is not None and depth == quotient_depth:
                _check_quotient(found, begins, token, words)
                quotient = None
            if len(found) > 2 and found[-2].kind == "POWER" and found[-3].kind in {"NUMBER", "CONSTANT"}:
                words.note(f"the exponent in {found[-3].text}^{found[-1].text} is {found[-1].text} only")
            found.append(Token("TIMES", "·", token.position, implied=True))
        depth += (token.kind in {"OPEN", "BAR_OPEN"}) - (token.kind in {"CLOSE", "BAR_CLOSE"})
        if quotient is None and found and found[-1].kind == "SLASH":
            opens = token.kind in {"OPEN", "BAR_OPEN"}
            quotient, quotient_depth, begins = token, depth - opens, len(found)
        elif depth < quotient_depth or (depth == quotient_depth and token.kind in _ENDS_QUOTIENT):
            quotient = None
        found.append(token)
    return found


def _check_call(before: Token, token: Token, words: Words) -> None:
    """Note a product that looks like a call."""
    if before.kind == "NAME" and token.kind == "OPEN" and not token.implied:
        words.note(f"{before.text}(…) is a product: {before.text} is not a function")


def _check_quotient(found: list[Token], begins: int, token: Token, words: Words) -> None:
    """Note how 1/2x is read, and refuse 1/xy; the denominator is found[begins:], and `token` follows it."""
    denominator, slash = found[begins], found[begins - 1]
    if slash.implied:
        return
    above = found[begins - 2].text if begins == 2 and found[0].kind in {"NUMBER", "NAME"} else "…"
    below = words.text[denominator.position : token.position].strip()
    beside = {"OPEN": "(…)", "BAR_OPEN": "|…|", "FUNCTION": f"{token.text}(…)"}.get(token.kind, token.text)
    if denominator.kind != "NAME":
        gap = " " if below[-1].isalpha() else ""
        words.note(f"{above}/{below}{gap}{beside} is read as ({above}/{below})·{beside}, from left to right")
        return
    raise words.fail(
        f"what follows /{below} can belong below the line or beside it",
        denominator,
        hint=f"write {above}/({below}·{beside}) or ({above}/{below})·{beside}",
    )
