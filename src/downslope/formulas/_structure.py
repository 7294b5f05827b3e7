"""Insert what textbook notation leaves out: parentheses around arguments, multiplication signs, the kind of each bar.

`1/2x` is read as (1/2)x, with a note; `1/xy` is an error, since it is used for both (1/x)y and 1/(xy).
"""

from __future__ import annotations

from dataclasses import replace

from downslope.formulas._functions import SPELLINGS
from downslope.formulas._tokens import Token, Words, named

# Each level costs several Python frames; this stays well below the recursion limit.
_DEEPEST = 100
# Kinds of token that end a denominator, end an operand and begin one.
_ENDS_QUOTIENT = {"PLUS", "MINUS", "TIMES", "SLASH", "COMMA"}
_CLOSES = {"(": ")", "[": "]", "{": "}", "|": "|"}
_ENDS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "CLOSE", "BAR_CLOSE"}
_BEGINS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "OPEN", "BAR_OPEN", "FUNCTION"}


def resolve(tokens: list[Token], words: Words) -> list[Token]:
    """Return tokens with words classified, bars marked as opening or closing, and all implied signs inserted.

    Raises:
        FormulaError: for unknown names, ambiguous quotients, functions without arguments, unmatched parentheses.
    """
    resolved = list(named(tokens, words))
    structured = _structured(_closed(resolved, words), words)
    return _multiplied(structured, words)


def _closed(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with bars marked as opening or closing; check that parentheses match and their depth."""
    output: list[Token] = []
    opened: list[Token] = []
    for token in tokens:
        kind = token.kind
        # A bar closes if the last open sign is a bar and an operand precedes it; |a|b|c| is read as |a|·b·|c|.
        if kind == "BAR":
            closes = bool(opened) and opened[-1].kind == "BAR" and bool(output) and output[-1].kind in _ENDS_OPERAND
            output.append(replace(token, kind="BAR_CLOSE" if closes else "BAR_OPEN"))
        else:
            closes = kind == "CLOSE"
            output.append(token)
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
    return reader.read(0, len(reader.tokens))


class _Structure:
    """Rewrite prefix notation (functions, roots, LaTeX fractions).

    It recurses into parentheses and prefixes only, whose depth is bounded, so no input exhausts the stack.
    """

    def __init__(self, tokens: list[Token], words: Words) -> None:
        self.tokens = tokens
        self.words = words

    def read(self, index: int, end: int) -> list[Token]:
        """Return the tokens from `index` up to `end`, rewritten."""
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
        if token.kind == "FUNCTION":
            return self._call(index, end, depth)
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
        if index < end and self.tokens[index].kind == "POWER":
            power, index = self._power(index, end, token)
        if index < end and self.tokens[index].kind == "OPEN":
            stop = self._closing(index)
            inside = self.read(index + 1, stop)
            argument = [self.tokens[index], *inside, self.tokens[stop]]
            index = stop + 1
        else:
            argument, index = self._bare_argument(token, index, end, depth)
        called = [token, *argument]
        if not power:
            return called, index
        opened, closed = _parentheses(token)
        return [opened, *called, closed, *power], index

    def _power(self, index: int, end: int, function: Token) -> tuple[list[Token], int]:
        """Return the power between a function's name and its argument; it must be a positive integer."""
        stop = index + 2
        if index + 1 < end and self.tokens[index + 1].kind == "OPEN":
            stop = self._closing(index + 1) + 1
        power = self.tokens[index:stop]
        # sin²x is (sin x)², but sin⁻¹x is used for asin as well as for 1/sin: only positive integers are clear.
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

    def _bare_argument(self, function: Token, index: int, end: int, depth: int) -> tuple[list[Token], int]:
        """Return a function's argument without parentheses, the product that follows: sin 2x is sin(2x)."""
        opened, closed = _parentheses(function)
        output: list[Token] = []
        # sin -x is sin(-x).
        while index < end and self.tokens[index].kind == "MINUS" and not output:
            output.append(self.tokens[index])
            index += 1
        began = len(output)
        while index < end and self.tokens[index].kind in {*_BEGINS_OPERAND, "POWER", "ROOT", "FRACTION"}:
            token = self.tokens[index]
            # sin x cos x is sin(x)·cos(x): the next function ends the argument.
            if token.kind == "FUNCTION" and len(output) > began:
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

    def _exponent_end(self, index: int, end: int) -> int:
        """Return the place after the exponent that begins with the POWER at `place`."""
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
        if index >= end or self.tokens[index].kind not in {*_BEGINS_OPERAND, "ROOT", "FRACTION"}:
            raise self.words.fail(f"{prefix.text} needs something to apply to", prefix)
        if self.tokens[index].kind in {"OPEN", "BAR_OPEN"}:
            stop = self._closing(index)
            inside = [self.tokens[index], *self.read(index + 1, stop), self.tokens[stop]]
            return (inside, stop + 1) if inside[0].kind == "OPEN" else ([opened, *inside, closed], stop + 1)
        piece, index = self._piece(index, end, depth + 1)
        return [opened, *piece, closed], index

    def cut_fractions(self) -> None:
        r"""Split the numbers that LaTeX reads digit by digit: \\frac12 is one half."""
        for index in reversed([index for index, token in enumerate(self.tokens) if token.kind == "FRACTION"]):
            self._cut_digits(index + 1)
            opens = index + 1 < len(self.tokens) and self.tokens[index + 1].kind == "OPEN"
            self._cut_digits(self._closing(index + 1) + 1 if opens else index + 2)

    def _cut_digits(self, index: int) -> None:
        """Split an integer after its first digit."""
        number = self.tokens[index] if index < len(self.tokens) else None
        if number is not None and number.kind == "NUMBER" and len(number.text) > 1 and number.text.isdigit():
            head = replace(number, text=number.text[0])
            self.tokens[index : index + 1] = [head, replace(number, text=number.text[1:], position=number.position + 1)]

    def _closing(self, index: int) -> int:
        """Return the index of the matching closing sign; `_closed` has checked that there is one."""
        depth = 0
        for position in range(index, len(self.tokens)):
            kind = self.tokens[position].kind
            depth += (kind in {"OPEN", "BAR_OPEN"}) - (kind in {"CLOSE", "BAR_CLOSE"})
            if depth == 0:
                return position
        raise self.words.fail(f"this {self.tokens[index].text} is never closed", self.tokens[index])


def _parentheses(token: Token) -> tuple[Token, Token]:
    """Return a pair of implied parentheses at a token's position."""
    return Token("OPEN", "(", token.position, True), Token("CLOSE", ")", token.position, True)


def _multiplied(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with an implied TIMES between factors that stand side by side."""
    output: list[Token] = []
    quotient: Token | None = None  # the first token of the denominator that is still open
    # The denominator begins at output[begins], on the nesting level quotient_depth.
    depth, quotient_depth, begins = 0, 0, 0
    for token in tokens:
        if output and output[-1].kind in _ENDS_OPERAND and token.kind in _BEGINS_OPERAND:
            _check_call(output[-1], token, words)
            # Only a factor on the level of the slash can belong to the denominator.
            if quotient is not None and depth == quotient_depth:
                _check_quotient(output, begins, token, words)
                quotient = None
            if len(output) > 2 and output[-2].kind == "POWER" and output[-3].kind in {"NUMBER", "CONSTANT"}:
                words.note(f"the exponent in {output[-3].text}^{output[-1].text} is {output[-1].text} only")
            output.append(Token("TIMES", "·", token.position, implied=True))
        depth += (token.kind in {"OPEN", "BAR_OPEN"}) - (token.kind in {"CLOSE", "BAR_CLOSE"})
        # Remember where a denominator begins, until a sign ends it: + - × / , or a closing parenthesis.
        if quotient is None and output and output[-1].kind == "SLASH":
            opens = token.kind in {"OPEN", "BAR_OPEN"}
            quotient, quotient_depth, begins = token, depth - opens, len(output)
        elif depth < quotient_depth or (depth == quotient_depth and token.kind in _ENDS_QUOTIENT):
            quotient = None
        output.append(token)
    return output


def _check_call(before: Token, token: Token, words: Words) -> None:
    """Add a note for a product that looks like a call."""
    if before.kind == "NAME" and token.kind == "OPEN" and not token.implied:
        words.note(f"{before.text}(…) is a product: {before.text} is not a function")


def _check_quotient(output: list[Token], begins: int, token: Token, words: Words) -> None:
    """Add a note for 1/2x and raise for 1/xy; the denominator is output[begins:], followed by `token`."""
    denominator, slash = output[begins], output[begins - 1]
    # The slash of ½ and \frac is unambiguous.
    if slash.implied:
        return
    above = output[begins - 2].text if begins == 2 and output[0].kind in {"NUMBER", "NAME"} else "…"
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
