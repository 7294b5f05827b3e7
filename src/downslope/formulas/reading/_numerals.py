"""Numbers as people write them: groups of three digits, decimal commas, powers of ten.

Digits that stand apart are one number or an error, never a product.
"""

from __future__ import annotations

import re

from downslope._errors import FormulaError
from downslope.formulas.reading._letters import Token

# Fraction("1e999999999") would allocate hundreds of megabytes.
_MOST_DIGITS = 400  # of an exponent of ten: 1e400 is beyond every float already
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPACES = " \u00a0\u2007\u2008\u2009\u202f"
# 1 000 000.5 with any space, or LaTeX's thin one, between groups of three.
_GROUPED = re.compile(rf"[0-9]{{1,3}}(?:(?:[{_SPACES}]|\\[,;:! ]|\{{,\}})[0-9]{{3}})+(?![0-9])(?:\.[0-9]+)?(?![0-9.])")
_MARKED = re.compile(r"[0-9]{1,3}(?:['’_][0-9]{3})+(?![0-9])")
_COMMAS = re.compile(r"[0-9]+(?:,[0-9]+)+")


def numeral(text: str, position: int, output: list[Token], notes: list[str]) -> int:
    """Append the number at a position and return where it ends."""
    if marked := _MARKED.match(text, position):
        plain = re.sub(r"\D", "", marked.group())
        raise _fail("digits of a number stand together", text, position, marked.end(), f"write {plain}")
    grouped = _GROUPED.match(text, position)
    match = grouped or _NUMBER.match(text, position)
    assert match is not None
    number = re.sub(r"[^0-9.]", "", match.group()) if grouped else match.group()
    _, _, exponent = number.lower().partition("e")
    if len(number) > _MOST_DIGITS or (exponent and abs(int(exponent[:9])) > _MOST_DIGITS):
        raise _fail("this number is too long or too large", text, position, match.end())
    # 1.2.3 would otherwise be the product 1.2·0.3.
    if text[match.end() : match.end() + 1] == "." and text[match.end() + 1 : match.end() + 2].isdigit():
        raise _fail("a number has one decimal point at most", text, position, match.end() + 1)
    before = output[-1] if output else None
    is_digit_of_fraction = len(output) > 1 and output[-2].kind == "FRACTION"  # \frac1 2
    if before is not None and before.kind == "NUMBER" and not before.implied and not is_digit_of_fraction:
        begin, joined = before.position, before.text + number
        hint = f"write {before.text}·{number} for a product, or {joined} for one number"
        raise _fail("two numbers stand side by side", text, begin, match.end(), hint)
    if grouped:
        notes.append(f"{match.group()} is read as the number {number}")
    output.append(Token("NUMBER", number, position))
    return match.end()


def commas_checked(output: list[Token], text: str) -> None:
    """Raise for a comma between digits outside of a function's arguments: 3,5x, 1,000x."""
    opened: list[bool] = []  # for each open parenthesis, whether it follows a word, as in max(2,5)
    for index, token in enumerate(output):
        if token.kind == "OPEN":
            before = [piece.kind for piece in output[max(index - 2, 0) : index]]
            compares = before[:1] == ["CLOSE"] and before[1:] in (["RELATION"], ["EQUALS"])  # (x, y) = (0, 0)
            opened.append(compares or (before[-1:] == ["WORD"] and token.text != "{"))
        elif token.kind == "CLOSE" and opened:
            opened.pop()
        elif token.kind == "COMMA" and text[token.position + 1 : token.position + 2].isdigit() and index:
            before = output[index - 1]
            match = _COMMAS.match(text, before.position) if before.kind == "NUMBER" else None
            if match is None or token.position >= match.end():
                continue
            whole, *groups = match.group().split(",")
            thousands = all(len(group) == 3 for group in groups) and len(whole) <= 3
            if not (opened and opened[-1]) or (thousands and groups[0] == "000"):
                raise _comma(text, token.position, whole, groups, thousands)


def _comma(text: str, position: int, whole: str, groups: list[str], thousands: bool) -> FormulaError:
    """Return the error for a comma that may be a decimal one or separate thousands."""
    decimal = f"write a decimal point: {whole}.{groups[0]}" if len(groups) == 1 else ""
    together = f"write {whole}{''.join(groups)} for thousands" if thousands else ""
    hint = "; ".join(filter(None, (decimal, together))) or "a comma separates the arguments of a function"
    return _fail("unexpected comma: it separates the arguments of a function", text, position, position + 1, hint)


def _fail(message: str, text: str, begin: int, end: int, hint: str | None = None) -> FormulaError:
    return FormulaError(message, text=text, position=begin, width=max(1, end - begin), hint=hint)
