"""Tokens, and the letters, signs and LaTeX commands that formulas are written with."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass


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


# π is a constant of its own; ª and º are no letters of a name.
LETTERS = "A-Za-zͰ-ορ-ϿÀ-ÖØ-öø-ÿĀ-žА-яЁё"

_FRACTIONS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
SIGNS: dict[str, str] = {
    **dict.fromkeys("+﹢", "PLUS"),
    **dict.fromkeys("-−–‐‑‒﹣", "MINUS"),
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
