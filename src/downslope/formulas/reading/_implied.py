"""What textbook notation leaves out: which bars open and which close, and multiplication signs.

Notes say where a quotient or an exponent ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._words import Words

# Kinds of token that end a term, end a denominator, end an operand and begin one.
ENDS_TERM = {"PLUS", "MINUS", "COMMA", "IF", "OTHERWISE", "SEPARATOR", "RELATION", "AND", "OR", "EQUALS"}
_ENDS_QUOTIENT = {*ENDS_TERM, "TIMES", "SLASH", "MODULO"}
ENDS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "CLOSE", "BAR_CLOSE", "PIECES_CLOSE", "BANG", "DEGREE"}
CALLS = {"FUNCTION", "LOGARITHM", "BESSEL", "CHOICE", "SERIES", "DERIVATIVE"}
BEGINS_OPERAND = {"NUMBER", "NAME", "CONSTANT", "OPEN", "BAR_OPEN", "PIECES_OPEN", *CALLS}
_BEGINS_FACTOR = {*BEGINS_OPERAND, "BAR", "WORD", "ROOT", "FRACTION"}
_MOST_PAIRINGS = 4096  # tried before bars are paired from left to right
_MOST_BARS = 100


def closing_bars(tokens: Sequence[Token]) -> tuple[frozenset[int], bool]:
    """Return the indices of the bars that close, and whether the bars can be paired in another way as well.

    A bar after an operand closes if one is open; |a|b|c| is |a|·b·|c|. It opens instead if the text has no other
    reading, as in |x|x - 2||, or if only a number would stand between the bars, whose absolute value nobody writes:
    |2|x| - 3|. Where no reading is found, bars are paired from left to right, and the error says what is missing.
    """
    pairing = _BarPairing(tokens)
    if sum(token.kind == "BAR" for token in tokens) <= _MOST_BARS:
        pairing.go_on(0, (), frozenset())
    if not pairing.pairings:
        return pairing.from_left_to_right(), False
    return pairing.pairings[0], len(pairing.pairings) > 1 and not pairing.chose_by_number


class _BarPairing:
    """The pairings of the bars of a text, the preferred one first."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.pairings: list[frozenset[int]] = []
        self.chose_by_number = False
        self.left = _MOST_PAIRINGS

    def go_on(self, index: int, opened: tuple[int, ...], closing: frozenset[int]) -> None:
        """Pair the bars from an index on."""
        while index < len(self.tokens):
            kind = self.tokens[index].kind
            if kind == "OPEN":
                opened = (*opened, index)
            elif kind == "CLOSE":
                if not opened or self.tokens[opened[-1]].kind != "OPEN":
                    return
                opened = opened[:-1]
            elif kind == "BAR":
                break
            index += 1
        else:
            if not opened:
                self.pairings.append(closing)
            return
        self.left -= 1
        if self.left < 0 or len(self.pairings) > 1:
            return
        for closes in self._choices(index, opened, closing):
            if closes:
                self.go_on(index + 1, opened[:-1], closing | {index})
            else:
                self.go_on(index + 1, (*opened, index), closing)

    def _choices(self, index: int, opened: tuple[int, ...], closing: frozenset[int]) -> tuple[bool, ...]:
        """Return the possible roles of a bar, the likelier first."""
        if not (opened and self.tokens[opened[-1]].kind == "BAR" and self._ends_operand(index - 1, closing)):
            return (False,)
        if index + 1 >= len(self.tokens) or self.tokens[index + 1].kind not in _BEGINS_FACTOR:
            return (True,)
        if index - opened[-1] == 2 and self.tokens[index - 1].kind == "NUMBER":
            self.chose_by_number = True
            return False, True
        return True, False

    def _ends_operand(self, index: int, closing: frozenset[int]) -> bool:
        return self.tokens[index].kind in ENDS_OPERAND or index in closing

    def from_left_to_right(self) -> frozenset[int]:
        """Return the bars that close if each does that can."""
        opened: list[Token] = []
        closing: set[int] = set()
        for index, token in enumerate(self.tokens):
            inside = token.kind == "BAR" and bool(opened) and opened[-1].kind == "BAR"
            if inside and self._ends_operand(index - 1, frozenset(closing)):
                closing.add(index)
                opened.pop()
            elif token.kind in ("OPEN", "BAR"):
                opened.append(token)
            elif token.kind == "CLOSE" and opened:
                opened.pop()
        return frozenset(closing)


# Products


def multiplied(tokens: list[Token], words: Words) -> list[Token]:
    """Return the tokens with an implied TIMES between factors that stand side by side."""
    output: list[Token] = []
    quotient: Token | None = None  # the first token of the denominator that is still open
    # The denominator begins at output[begins], on the nesting level quotient_depth.
    depth, quotient_depth, begins = 0, 0, 0
    opening, closing = {"OPEN", "BAR_OPEN", "PIECES_OPEN"}, {"CLOSE", "BAR_CLOSE", "PIECES_CLOSE"}
    for index, token in enumerate(tokens):
        if output and output[-1].kind in ENDS_OPERAND and token.kind in BEGINS_OPERAND:
            _check_call(output[-1], token, words)
            # Only a factor on the level of the slash can belong to the denominator.
            if quotient is not None and depth == quotient_depth:
                raised = index + 1 < len(tokens) and tokens[index + 1].kind == "POWER"
                _check_quotient(output, begins, token, words, raised)
                quotient = None
            _note_exponent(output, words)
            if token.kind == "NUMBER" and output[-1].kind == "NAME":
                name = output[-1].text
                words.note(f"{name} {token.text} is read as {name}·{token.text}; write {name}^{token.text} for a power")
            output.append(Token("TIMES", "·", token.position, implied=True))
        if token.kind == "SLASH" and not token.implied and index + 1 < len(tokens):
            _note_root_exponent(output, tokens[index + 1], words)
        depth += (token.kind in opening) - (token.kind in closing)
        # Remember where a denominator begins, until a sign ends it: + - × / , or a closing parenthesis.
        if quotient is None and output and output[-1].kind == "SLASH":
            opens = token.kind in opening
            quotient, quotient_depth, begins = token, depth - opens, len(output)
        elif depth < quotient_depth or (depth == quotient_depth and token.kind in _ENDS_QUOTIENT):
            quotient = None
        output.append(token)
    return output


def _note_exponent(output: list[Token], words: Words) -> None:
    """Say where the exponent of a number ends, to which a factor was added: 2^-2x is (2^-2)·x."""
    exponent = output[-2:] if len(output) > 2 and output[-2].kind == "MINUS" else output[-1:]
    before = output[: -len(exponent)]
    if len(before) > 1 and before[-1].kind == "POWER" and before[-2].kind in {"NUMBER", "CONSTANT"}:
        shown = "".join(token.text for token in exponent)
        words.note(f"the exponent in {before[-2].text}^{shown} is {shown} only")


def _note_root_exponent(output: list[Token], below: Token, words: Words) -> None:
    """Say that x^1/2, whose exponent nobody would write, is x/2 and no root."""
    signs = 1 if output and output[-1].kind == "NUMBER" and output[-1].text == "1" else 0
    negative = signs and len(output) > 1 and output[-2].kind == "MINUS"
    before = output[: -2 if negative else -1]
    if signs and below.kind == "NUMBER" and len(before) > 1 and before[-1].kind == "POWER":
        exponent = f"{'-' if negative else ''}1/{below.text}"
        base = before[-2].text if before[-2].kind in {"NAME", "NUMBER", "CONSTANT"} else "(…)"
        words.note(f"{base}^{exponent} is a quotient; write {base}^({exponent}) for a root")


def _check_call(before: Token, token: Token, words: Words) -> None:
    """Add a note for a product that looks like a call."""
    if before.kind == "NAME" and token.kind == "OPEN" and not token.implied:
        words.note(f"{before.text}(…) is a product: {before.text} is not a function")


def _check_quotient(output: list[Token], begins: int, token: Token, words: Words, raised: bool) -> None:
    """Add a note for 1/2x and raise for 1/xy; the denominator is output[begins:], followed by `token`."""
    denominator, slash = output[begins], output[begins - 1]
    # The slash of ½ and \frac is unambiguous.
    if slash.implied:
        return
    above = output[begins - 2].text if begins == 2 and output[0].kind in {"NUMBER", "NAME"} else "…"
    below = words.text[denominator.position : token.position].strip()
    beside = {"OPEN": "(…)", "BAR_OPEN": "|…|", "FUNCTION": f"{token.text}(…)"}.get(token.kind, token.text)
    beside += "^…" if raised else ""
    if denominator.kind != "NAME":
        gap = " " if below[-1].isalpha() else ""
        words.note(f"{above}/{below}{gap}{beside} is read as ({above}/{below})·{beside}, from left to right")
        return
    raise words.fail(
        f"what follows /{below} can belong to the denominator or not",
        denominator,
        hint=f"write {above}/({below}·{beside}) or ({above}/{below})·{beside}",
    )
