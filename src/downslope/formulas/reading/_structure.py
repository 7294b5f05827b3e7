"""Insert what textbook notation omits: parentheses around arguments, multiplication signs, the kind of each bar.

`1/2x` is read as (1/2)x, with a note; `1/xy` is an error, since it is used for both (1/x)y and 1/(xy).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from downslope.formulas.expressions import SPELLINGS
from downslope.formulas.reading._cases import Cases
from downslope.formulas.reading._header import marked_derivatives
from downslope.formulas.reading._implied import BEGINS_OPERAND, CALLS, ENDS_TERM, closing_bars, multiplied
from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._words import Words, named

# Each level costs several Python frames; this stays well below the recursion limit.
_DEEPEST = 100
_CLOSES = {"(": ")", "[": "]", "{": "}", "|": "|", "⌊": "⌋", "⌈": "⌉"}
_ROUNDS = {"⌊": "floor", "⌈": "ceil"}
# Signs of other notations, with what to say where they are left over.
_LEFT_OVER = {
    "PRIME": (
        "a prime is the derivative of something that this formula does not define",
        "use derive for a derivative",
    ),
    "ARROW": ("an arrow belongs to a limit or a rule", "a formula is one expression: f(x) = x²"),
    "COLON": ("a colon has no meaning here", "a quotient is written with /"),
    "SEMICOLON": ("a semicolon has no meaning here", "arguments are separated by commas"),
    "QUESTION": ("'?' has no meaning here", "write a choice as {x² if x < 0, x otherwise}"),
    "THEN": ("then has no meaning here", "write a choice as {x² if x < 0, x otherwise}"),
    "SUBSCRIPT": ("'_' has no meaning here", "a subscript follows a letter: w_1"),
    "AMPERSAND": ("'&' has no meaning here", "conditions are joined by and"),
    "ROW": ("a formula is one line", None),
}


def resolve(tokens: list[Token], words: Words) -> list[Token]:
    """Return tokens with words classified, bars marked as opening or closing, and all implied signs inserted.

    Raises:
        FormulaError: for unknown names, ambiguous quotients, functions without arguments, unmatched parentheses.
    """
    tokens = marked_derivatives(tokens, words.known, words.text)
    words.indices = tuple(_indices(tokens))
    resolved = list(named(tokens, words))
    structured = _structured(_closed(resolved, words), words)
    for token in structured:
        if token.kind in _LEFT_OVER:
            raise words.fail(_LEFT_OVER[token.kind][0], token, _LEFT_OVER[token.kind][1])
    return multiplied(structured, words)


def _indices(tokens: list[Token]) -> Iterator[str]:
    """Yield the names of the indices of sums and products: i of ∑_{i=1}^{3}."""
    for index, token in enumerate(tokens):
        if token.kind == "SERIES":
            for start, following in enumerate(tokens[index + 1 : index + 10], index + 1):
                if following.kind == "SUBSCRIPT" and [t.kind for t in tokens[start + 1 : start + 4 : 2]] == [
                    "OPEN",
                    "EQUALS",
                ]:
                    yield tokens[start + 2].text


def _closed(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with bars marked as opening or closing; check that parentheses match and their depth."""
    output: list[Token] = []
    opened: list[Token] = []
    closing, is_ambiguous = closing_bars(tokens)
    if is_ambiguous:
        words.note("the bars of absolute values are paired from left to right; write abs(…) for another reading")
    for index, token in enumerate(tokens):
        kind = token.kind
        if kind == "BAR":
            closes = index in closing
            output.append(replace(token, kind="BAR_CLOSE" if closes else "BAR_OPEN"))
        else:
            closes = kind == "CLOSE"
            # ⌊x⌋ is floor(x).
            if token.text in _ROUNDS and kind == "OPEN":
                output.append(replace(token, kind="FUNCTION", text=_ROUNDS[token.text]))
            is_round = token.text in "⌊⌋⌈⌉"
            output.append(replace(token, text=")" if closes else "(") if is_round else token)
        if kind not in {"OPEN", "CLOSE", "BAR"}:
            continue
        if not closes:
            opened.append(token)
            if len(opened) > _DEEPEST:
                raise words.fail(f"the parentheses are nested more than {_DEEPEST} deep", token)
        elif not opened or _CLOSES[opened[-1].text] != token.text:
            hint = f"the last open sign is {opened[-1].text}" if opened else None
            raise words.fail(f"this {token.text} has no matching opening sign", token, hint)
        else:
            opened.pop()
    if opened:
        raise words.fail(f"this {opened[-1].text} is never closed", opened[-1])
    return output


def _structured(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with roots, LaTeX fractions and bare function arguments rewritten as calls and quotients."""
    reader = _Structure(tokens, words)
    # Before everything else, since splitting changes the indices of the tokens.
    reader.cut_fractions()
    reader.match_parentheses()
    return reader.read(0, len(reader.tokens))


class _Structure:
    """Rewrite prefix notation (functions, roots, LaTeX fractions).

    It recurses into parentheses and prefixes only, whose depth is bounded, so no input exhausts the stack.
    """

    def __init__(self, tokens: list[Token], words: Words) -> None:
        self.tokens = tokens
        self.words = words
        self.cases = Cases(tokens, words, self.read, self._closing)
        self._closed_by: dict[int, int] = {}

    def read(self, index: int, end: int) -> list[Token]:
        """Return the tokens from `index` up to `end`, rewritten."""
        if self.cases.is_choice(index, end):
            return self.cases.choice(index, end)
        output: list[Token] = []
        while index < end:
            piece, index = self._piece(index, end)
            output += piece
        return output

    def _piece(self, index: int, end: int, depth: int = 0) -> tuple[list[Token], int]:
        """Return the next token, or prefix with its operand, rewritten; and the index after it."""
        token = self.tokens[index]
        if depth > _DEEPEST:
            raise self.words.fail(f"functions are nested more than {_DEEPEST} deep", token)
        if token.kind in ("FUNCTION", "LOGARITHM", "BESSEL"):
            return self._call(index, end, depth)
        if token.kind == "OPEN":
            stop = self._closing(index)
            if self.cases.is_factor(index, stop):
                return self.cases.factor(index, stop), stop + 1
            return [token, *self.read(index + 1, stop), self.tokens[stop]], stop + 1
        if token.kind == "CHOICE":
            stop = self._closing(index + 1)
            return self.cases.call(token, index + 1, stop), stop + 1
        if token.kind == "SERIES":
            return self._series(index, end)
        if token.kind == "DERIVATIVE":
            opened, closed = _parentheses(token)
            operand, stop = self._term(token, index + 1, end, "derivative")
            return [token, opened, *operand, closed], stop
        if token.kind == "ROOT":
            return self._root(index, end, depth)
        if token.kind == "FRACTION":
            above, index = self._argument(token, index + 1, end, depth)
            below, index = self._argument(token, index, end, depth)
            opened, closed = _parentheses(token)
            return [opened, *above, Token("SLASH", "/", token.position, implied=True), *below, closed], index
        return [token], index + 1

    def _call(self, index: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return a function with its argument in parentheses; a power between the two moves behind: sin²(x)."""
        token = self.tokens[index]
        index += 1
        power: list[Token] = []
        base: list[Token] = []
        if token.text == "ln" and index < end and self.tokens[index].kind == "SUBSCRIPT":  # \log_{a+1} x
            stop = self._closing(index + 1)
            base, index = [self.tokens[index + 1], *self.read(index + 2, stop), self.tokens[stop]], stop + 1
        if index < end and self.tokens[index].kind == "POWER":
            power, index = self._power(index, end, token)
        if index < end and self.tokens[index].kind == "OPEN":
            stop = self._closing(index)
            inside = self.read(index + 1, stop)
            argument = [self.tokens[index], *inside, self.tokens[stop]]
            index = stop + 1
        else:
            argument, index = self._bare_argument(token, index, end, depth)
        opened, closed = _parentheses(token)
        if token.kind == "LOGARITHM":
            number = Token("NUMBER" if token.text.isdigit() else "NAME", token.text, token.position, True)
            number = replace(number, kind="CONSTANT") if token.text == "e" else number
            base = [opened, number, closed]
        if base:
            logarithm = replace(token, kind="FUNCTION", text="ln", implied=True)
            slash = Token("SLASH", "/", token.position, True)
            called = [opened, logarithm, *argument, slash, logarithm, *base, closed]
        elif token.kind == "BESSEL":
            order = Token("NUMBER", token.text, token.position, True)
            comma = Token("COMMA", ",", token.position, True)
            called = [replace(token, kind="FUNCTION", text="besselj"), argument[0], order, comma, *argument[1:]]
        else:
            called = [token, *argument]
        if not power:
            return called, index
        return [opened, *called, closed, *power], index

    def _power(self, index: int, end: int, function: Token) -> tuple[list[Token], int]:
        """Return the power between a function's name and its argument; it must be a positive integer."""
        stop = index + 2
        if index + 1 < end and self.tokens[index + 1].kind == "MINUS":
            stop = min(index + 3, end)
        elif index + 1 < end and self.tokens[index + 1].kind == "OPEN":
            stop = self._closing(index + 1) + 1
        power = self.tokens[index:stop]
        # sin²x is (sin x)², but sin⁻¹x is used for asin as well as for 1/sin: only positive integers are clear.
        digits = [token.text for token in power if token.kind not in {"POWER", "OPEN", "CLOSE"}]
        if len(digits) == 1 and digits[0].isdigit():
            return power, stop
        name = function.text if function.kind == "FUNCTION" else "log"
        shown = "".join(token.text for token in power if not token.implied)
        if digits == ["-", "1"]:
            inverse = f"a{name}(x), also called arc{name}(x)," if f"a{name}" in SPELLINGS else "the inverse function"
            raise self.words.fail(
                f"{name} to the power -1 can mean its inverse or its reciprocal",
                function,
                hint=f"write {inverse} for the inverse, or 1/{name}(x) for the reciprocal",
            )
        raise self.words.fail(
            f"a power between {name} and its argument is a positive whole number",
            function,
            hint=f"write ({name}(x)){shown if shown.startswith('^') else '^(…)'} for a power of the value",
        )

    def _bare_argument(self, function: Token, index: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return a function's argument without parentheses, the product that follows: sin 2x is sin(2x)."""
        opened, closed = _parentheses(function)
        output: list[Token] = []
        # sin -x is sin(-x).
        while index < end and self.tokens[index].kind == "MINUS" and not output:
            output.append(self.tokens[index])
            index += 1
        began = len(output)
        while index < end and self.tokens[index].kind in {
            *BEGINS_OPERAND,
            "POWER",
            "ROOT",
            "FRACTION",
            "BANG",
            "DEGREE",
        }:
            token = self.tokens[index]
            # sin x cos x is sin(x)·cos(x): the next function ends the argument.
            if token.kind in CALLS and len(output) > began:
                break
            if token.kind == "POWER":
                stop = self._exponent_end(index, end)
                output += self.tokens[index:stop]
                index = stop
            elif token.kind in {"OPEN", "BAR_OPEN"}:
                # sin 2(x + 1) can mean sin(2(x + 1)) or sin(2)·(x + 1).
                if len(output) > began and token.kind == "OPEN":
                    raise self.words.fail(
                        f"what follows {function.text} can end before this parenthesis or after it",
                        token,
                        hint=f"write its whole argument in parentheses: {function.text}(…)",
                    )
                stop = self._closing(index)
                output += [token, *self.read(index + 1, stop), self.tokens[stop]]
                index = stop + 1
            else:
                piece, index = self._piece(index, end, depth + 1)
                output += piece
        # sin x/2 is read as sin(x)/2; the note says so, as many would expect sin(x/2).
        if index < end and self.tokens[index].kind in {"SLASH", "TIMES"}:
            self.words.note(
                f"{function.text} without parentheses applies to what comes before {self.tokens[index].text} only"
            )
        if len(output) == began:
            raise self.words.fail(
                f"{function.text} is a function and needs an argument", function, hint=f"write {function.text}(x)"
            )
        return [opened, *output, closed], index

    def _term(self, sign: Token, index: int, end: int, what: str) -> tuple[list[Token], int]:
        """Return what a sum or a derivative applies to: the product up to the next + or -."""
        stop = index
        while stop < end and self.tokens[stop].kind in ("MINUS", "PLUS"):
            stop += 1
        while stop < end and self.tokens[stop].kind not in ENDS_TERM:
            # The sign in x^-2 and 2·-3 belongs to the product.
            is_sign = self.tokens[stop].kind in ("POWER", "TIMES", "SLASH")
            stop = self._closing(stop) + 1 if self.tokens[stop].kind in ("OPEN", "BAR_OPEN") else stop + 1
            while is_sign and stop < end and self.tokens[stop].kind in ("MINUS", "PLUS"):
                stop += 1
        if stop == index:
            raise self.words.fail(f"this {what} has nothing to apply to", sign, "write it before a formula: d/dx x²")
        if stop < end and self.tokens[stop].kind in ("PLUS", "MINUS"):
            self.words.note(f"the {what} applies up to the next {self.tokens[stop].text} only")
        return self.read(index, stop), stop

    def _series(self, index: int, end: int) -> tuple[list[Token], int]:
        """Return a sum or a product over an index as SERIES(index, first, last, term)."""
        token = self.tokens[index]
        name = "sum" if token.text == "∑" else "product"
        example = rf"\{'sum' if name == 'sum' else 'prod'}_{{i=1}}^{{3}} i x"
        index += 1
        bounds: dict[str, list[Token]] = {}
        while index < end and self.tokens[index].kind in ("SUBSCRIPT", "POWER") and len(bounds) < 2:
            kind = self.tokens[index].kind
            stop = self._closing(index + 1) + 1 if self._opens(index + 1, end) else min(index + 2, end)
            bounds[kind] = self.tokens[index + 1 : stop]
            index = stop
        lower, upper = bounds.get("SUBSCRIPT", []), bounds.get("POWER", [])
        named = [piece.kind for piece in lower[1:3]] == ["NAME", "EQUALS"]
        if not upper or not named:
            hint = f"write {example}; for the rows of a table write sum(…) or mean(…)"
            raise self.words.fail(f"a {name} needs its index and its bounds", token, hint)
        term, index = self._term(token, index, end, name)
        opened, closed = _parentheses(token)
        comma = Token("COMMA", ",", token.position, True)
        first, last = ([opened, *piece, closed] for piece in (lower[3:-1], upper))
        return [token, opened, lower[1], comma, *first, comma, *last, comma, *term, closed], index

    def _opens(self, index: int, end: int) -> bool:
        return index < end and self.tokens[index].kind == "OPEN"

    def _exponent_end(self, index: int, end: int) -> int:
        """Return the index after the exponent that begins with the POWER at an index."""
        index += 1
        while index < end and self.tokens[index].kind in {"MINUS", "PLUS"}:
            index += 1
        if index < end and self.tokens[index].kind == "OPEN":
            return self._closing(index) + 1
        return min(index + 1, end)

    def _root(self, index: int, end: int, depth: int) -> tuple[list[Token], int]:
        r"""Return √x, ∛x or \\sqrt[n]{x} as a call or a power."""
        token = self.tokens[index]
        index += 1
        # \sqrt[n]{x} is x^(1/n), as there is no function for other roots.
        degree: list[Token] | None = None
        if token.text == "√" and index < end and self.tokens[index].text == "[":
            stop = self._closing(index)
            degree = self.read(index + 1, stop)
            index = stop + 1
        elif token.text == "∜":
            degree = [Token("NUMBER", "4", token.position, True)]
        argument, index = self._argument(token, index, end, depth)
        if degree is None:
            return [replace(token, kind="FUNCTION", text="cbrt" if token.text == "∛" else "sqrt"), *argument], index
        opened, closed = _parentheses(token)
        exponent = [opened, Token("NUMBER", "1", token.position, True), Token("SLASH", "/", token.position, True)]
        return [
            opened,
            *argument,
            Token("POWER", "^", token.position, True),
            *exponent,
            opened,
            *degree,
            closed,
            closed,
            closed,
        ], index

    def _argument(self, prefix: Token, index: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return the operand of a root or LaTeX command in parentheses."""
        opened, closed = _parentheses(prefix)
        if index >= end or self.tokens[index].kind not in {*BEGINS_OPERAND, "ROOT", "FRACTION"}:
            following = self.tokens[index + 1] if index + 1 < end and self.tokens[index].kind == "MINUS" else None
            hint = None if following is None else f"write {prefix.text}(-{following.text})"
            raise self.words.fail(f"{prefix.text} needs something to apply to", prefix, hint)
        if self.tokens[index].kind in {"OPEN", "BAR_OPEN"}:
            stop = self._closing(index)
            inside = [self.tokens[index], *self.read(index + 1, stop), self.tokens[stop]]
            return (inside, stop + 1) if inside[0].kind == "OPEN" else ([opened, *inside, closed], stop + 1)
        piece, after = self._piece(index, end, depth + 1)
        if prefix.text == "√" and after == index + 1 < end and self.tokens[index].kind == "NUMBER":
            self._note_root(self.tokens[index], self.tokens[after])
        return [opened, *piece, closed], after

    def _note_root(self, number: Token, beside: Token) -> None:
        """Say where a root ends that stands before a number and, without a space, a name: √2x."""
        if beside.kind in {"NAME", "CONSTANT"} and beside.position == number.position + len(number.text):
            both = f"{number.text}{beside.text}"
            self.words.note(f"√{both} is read as √{number.text}·{beside.text}; write √({both}) for the root of both")

    def cut_fractions(self) -> None:
        r"""Split the numbers that LaTeX reads digit by digit: \\frac12 is one half."""
        for index in reversed([index for index, token in enumerate(self.tokens) if token.kind == "FRACTION"]):
            self._cut_digits(index + 1)
            opens = index + 1 < len(self.tokens) and self.tokens[index + 1].kind == "OPEN"
            self._cut_digits(self._counted_closing(index + 1) + 1 if opens else index + 2)

    def _cut_digits(self, index: int) -> None:
        """Split an integer after its first digit."""
        number = self.tokens[index] if index < len(self.tokens) else None
        if number is not None and number.kind == "NUMBER" and len(number.text) > 1 and number.text.isdigit():
            head = replace(number, text=number.text[0])
            self.tokens[index : index + 1] = [head, replace(number, text=number.text[1:], position=number.position + 1)]

    def _closing(self, index: int) -> int:
        """Return the index of the matching closing sign; `_closed` has checked that there is one."""
        return self._closed_by[index]

    def _counted_closing(self, index: int) -> int:
        """Return the index of the closing sign, while tokens are still being split."""
        depth = 0
        for position in range(index, len(self.tokens)):
            kind = self.tokens[position].kind
            depth += (kind in {"OPEN", "BAR_OPEN"}) - (kind in {"CLOSE", "BAR_CLOSE"})
            if depth == 0:
                return position
        raise self.words.fail(f"this {self.tokens[index].text} is never closed", self.tokens[index])

    def match_parentheses(self) -> None:
        """Remember which sign closes which."""
        opened: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind in ("OPEN", "BAR_OPEN"):
                opened.append(index)
            elif token.kind in ("CLOSE", "BAR_CLOSE"):
                self._closed_by[opened.pop()] = index


def _parentheses(token: Token) -> tuple[Token, Token]:
    """Return a pair of implied parentheses at a token's position."""
    return Token("OPEN", "(", token.position, True), Token("CLOSE", ")", token.position, True)
