"""Tokens, and the characters of formulas: letters, signs, LaTeX commands, and numbers as people write them.

Digits that stand apart are one number or an error, never a product.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

from downslope._errors import FormulaError


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the text.

    Args:
        kind: NUMBER, WORD, NAME, CONSTANT, FUNCTION, PLUS, MINUS, TIMES, SLASH, POWER, OPEN, CLOSE, BAR, COMMA, EQUALS,
            ROOT, FRACTION and others of the tables below; and those that later stages put in place of them.
        text: its normalised text.
        position: its start in the original text.
        implied: whether it was inserted rather than typed.
    """

    kind: str
    text: str
    position: int
    implied: bool = False


_FRACTIONS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
SIGNS: dict[str, str] = {
    **dict.fromkeys("+﹢", "PLUS"),
    **dict.fromkeys("-−–—‐‑‒﹣", "MINUS"),
    **dict.fromkeys("*×·⋅∗∙•‧・✕⨯\u2062", "TIMES"),
    **dict.fromkeys("/÷∕⁄", "SLASH"),
    "^": "POWER",
    **dict.fromkeys("([{⌊⌈", "OPEN"),
    **dict.fromkeys(")]}⌋⌉", "CLOSE"),
    **dict.fromkeys("|∣", "BAR"),
    ",": "COMMA",
    ";": "SEMICOLON",
    ":": "COLON",
    "?": "QUESTION",
    **dict.fromkeys("=≔", "EQUALS"),
    **dict.fromkeys("√∛∜", "ROOT"),
    "π": "CONSTANT",
    "!": "BANG",
    **dict.fromkeys("°º˚", "DEGREE"),
    **dict.fromkeys("'′’", "PRIME"),
    "&": "AMPERSAND",
    "∂": "WORD",
    "∑": "SERIES",
    "∏": "SERIES",
    "∧": "AND",
    "∨": "OR",
    "_": "SUBSCRIPT",
    "→": "ARROW",
    "↦": "ARROW",
}
# Signs of several characters, the longest first.
LONG_SIGNS: tuple[tuple[str, str, str], ...] = (
    ("**", "POWER", "^"),
    (":=", "EQUALS", "="),
    ("==", "RELATION", "="),
    ("!=", "RELATION", "≠"),
    ("<=", "RELATION", "≤"),
    (">=", "RELATION", "≥"),
    ("=<", "RELATION", "≤"),
    ("=>", "RELATION", "≥"),
    ("&&", "AND", "and"),
    ("->", "ARROW", "→"),
    ("″", "PRIME", "''"),
    ("<", "RELATION", "<"),
    (">", "RELATION", ">"),
    ("≤", "RELATION", "≤"),
    ("≥", "RELATION", "≥"),
    ("⩽", "RELATION", "≤"),
    ("⩾", "RELATION", "≥"),
    ("≦", "RELATION", "≤"),
    ("≧", "RELATION", "≥"),
    ("≠", "RELATION", "≠"),
)
# Unified where several characters mean the same.
PLAIN_SIGN = {"∣": "|", "∧": "and", "∨": "or", "∂": "∂", "≔": "=", "\u2062": "·"}
COMMANDS: dict[str, tuple[str, str]] = {
    "cdot": ("TIMES", "*"),
    "times": ("TIMES", "*"),
    "ast": ("TIMES", "*"),
    "div": ("SLASH", "/"),
    "slash": ("SLASH", "/"),
    "over": ("SLASH", "/"),
    "pi": ("CONSTANT", "π"),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), ("FRACTION", "frac")),
    "sqrt": ("ROOT", "√"),
    **dict.fromkeys(("lvert", "rvert", "vert", "mid"), ("BAR", "|")),
    **dict.fromkeys(("lbrace", "lparen"), ("OPEN", "{")),
    **dict.fromkeys(("rbrace", "rparen"), ("CLOSE", "}")),
    "lbrack": ("OPEN", "["),
    "rbrack": ("CLOSE", "]"),
    "lfloor": ("OPEN", "⌊"),
    "rfloor": ("CLOSE", "⌋"),
    "lceil": ("OPEN", "⌈"),
    "rceil": ("CLOSE", "⌉"),
    "lt": ("RELATION", "<"),
    "gt": ("RELATION", ">"),
    **dict.fromkeys(("le", "leq", "leqslant", "leqq"), ("RELATION", "≤")),
    **dict.fromkeys(("ge", "geq", "geqslant", "geqq"), ("RELATION", "≥")),
    **dict.fromkeys(("ne", "neq"), ("RELATION", "≠")),
    **dict.fromkeys(("land", "wedge"), ("AND", "and")),
    **dict.fromkeys(("lor", "vee"), ("OR", "or")),
    **dict.fromkeys(("bmod", "mod", "pmod"), ("MODULO", "mod")),
    **dict.fromkeys(("to", "rightarrow", "mapsto"), ("ARROW", "→")),
    **dict.fromkeys(("circ", "degree"), ("DEGREE", "°")),
    "prime": ("PRIME", "'"),
    "partial": ("WORD", "∂"),
    "sum": ("SERIES", "∑"),
    "prod": ("SERIES", "∏"),
    "coloneqq": ("EQUALS", "="),
    "colon": ("COLON", ":"),
    "Re": ("WORD", "Re"),
    "Im": ("WORD", "Im"),
}
_IGNORED_COMMANDS_TEXT = """
left right middle quad qquad enspace thinspace displaystyle textstyle scriptstyle limits nolimits big Big bigg
Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr mathopen mathclose mathrel mathbin mathop rm it bf nonumber
notag strut mathstrut hfill allowbreak boldsymbol bm
"""
IGNORED_COMMANDS = frozenset(_IGNORED_COMMANDS_TEXT.split())
# Commands whose braces hold a name or words.
_WORD_COMMANDS_TEXT = """
mathrm text operatorname mathit textrm textit textbf textnormal mathbf mathsf mathcal mathbb mathfrak mbox hbox
mathnormal operatornamewithlimits
"""
WORD_COMMANDS = frozenset(_WORD_COMMANDS_TEXT.split())
# Marks above a letter, which become part of its name.
ACCENTS = {
    "hat": "hat",
    "widehat": "hat",
    "bar": "bar",
    "overline": "bar",
    "tilde": "tilde",
    "widetilde": "tilde",
    "vec": "vec",
    "dot": "dot",
    "ddot": "ddot",
}
# What is invisible and means nothing.
SKIPPED = frozenset("\u200b\u200c\u200d\u2060\u2061\u2063\ufeff\u00ad\u200e\u200f$")


@functools.lru_cache(maxsize=4096)
def raised(character: str) -> str | None:
    """Return the plain letter of a superscript; None for any other character.

    >>> raised("²"), raised("ˣ"), raised("⁻"), raised("x")
    ('2', 'x', '-', None)
    """
    return _shifted(character, "<super>")


@functools.lru_cache(maxsize=4096)
def lowered(character: str) -> str | None:
    """Return the plain letter of a subscript; None for any other character.

    >>> lowered("₂"), lowered("ᵢ"), lowered("x")
    ('2', 'i', None)
    """
    return _shifted(character, "<sub>")


def _shifted(character: str, mark: str) -> str | None:
    if character.isascii() or character in "ªº":
        return None
    tag, *codes = unicodedata.decomposition(character).split() or [""]
    if tag != mark:
        return None
    return unicodedata.normalize("NFKC", character).replace("−", "-") if len(codes) == 1 else None


def fraction(character: str) -> tuple[int, int] | None:
    """Return numerator and denominator of a fraction character; None for any other.

    >>> fraction("⅝")
    (5, 8)
    """
    if character not in _FRACTIONS:
        return None
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return int(above), int(below)


def plain_letters(text: str) -> str:
    """Return the text with 𝑥, µ, （ and other variants as plain letters and signs; positions do not change."""
    return text if text.isascii() else "".join(map(_plain_letter, text))


@functools.lru_cache(maxsize=4096)
def _plain_letter(character: str) -> str:
    if character == "∆":  # the sign of an increment looks like the letter
        return "Δ"
    if character.isascii() or raised(character) or lowered(character) or character in "ªº":
        return character
    # NFKC of a ligature has several letters, which would shift the positions in error messages.
    plain = unicodedata.normalize("NFKC", character)
    is_wide = 0xFF01 <= ord(character) <= 0xFF5E
    variant = is_wide or character.isalpha() or (character.isdigit() and plain.isascii())
    return plain if variant and len(plain) == 1 else character


# Numbers: groups of three digits, decimal commas, powers of ten.

# Fraction("1e999999999") would allocate hundreds of megabytes.
_MOST_DIGITS = 400  # of an exponent of ten: 1e400 is beyond every float already
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPACES = " \u00a0\u2007\u2008\u2009\u202f"
# 1 000 000.5 with any space, or LaTeX's thin one, between groups of three.
_GROUPED = re.compile(rf"[0-9]{{1,3}}(?:(?:[{_SPACES}]|\\[,;:! ]|\{{,\}})[0-9]{{3}})+(?![0-9])(?:\.[0-9]+)?(?![0-9.])")
_MARKED = re.compile(r"[0-9]{1,3}(?:['’_][0-9]{3})+(?![0-9])")
_COMMAS = re.compile(r"[0-9]+(?:,[0-9]+)+")
# 1,000.5 and 1.000,5, with the decimals last.
_BOTH_MARKS = re.compile(r"[0-9]{1,3}(?:(?:,[0-9]{3})+\.|(?:\.[0-9]{3})+,)[0-9]+(?![0-9.,])")


def numeral(text: str, position: int, output: list[Token], notes: list[str]) -> int:
    """Append the number at a position and return where it ends."""
    if marked := _MARKED.match(text, position):
        plain = re.sub(r"\D", "", marked.group())
        raise _fail("digits of a number must be adjacent", text, position, marked.end(), f"write {plain}")
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
        raise _fail("two numbers are adjacent", text, begin, match.end(), hint)
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
            both = _BOTH_MARKS.match(text, before.position) if before.kind == "NUMBER" else None
            if both is not None and token.position < both.end() and not (opened and opened[-1]):
                *thousands_typed, decimals = re.split("[.,]", both.group())
                hint = f"write {''.join(thousands_typed)}.{decimals}"
                message = "the digits of a number must be adjacent, with a decimal point"
                raise _fail(message, text, before.position, both.end(), hint)
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
