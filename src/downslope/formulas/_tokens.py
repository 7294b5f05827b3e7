"""From characters to tokens: what is a number, a name, a function, an operator, and where it stood in the text.

LaTeX commands, superscripts and Unicode signs become the same few kinds of token, so that what follows need not know
how a thing was typed. Names are still runs of letters here; `_words` decides what a run means.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from downslope._errors import FormulaError, nearest
from downslope.formulas._functions import SPELLINGS
from downslope.formulas._letters import LETTER_OF

LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text.

    Args:
        kind: NUMBER, WORD, NAME, CONSTANT, FUNCTION, PLUS, MINUS, TIMES, SLASH, POWER, OPEN, CLOSE, BAR, COMMA, EQUALS,
            ROOT, FRACTION, and BAR_OPEN, BAR_CLOSE once bars are told apart.
        text: the text it stands for, in plain letters.
        position: where it began in the text as it was typed.
        implied: whether it was not typed but follows from the notation.
    """

    kind: str
    text: str
    position: int
    implied: bool = False


_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿˣʸᵃᵇᵐᵏᵗ", "0123456789+-()nxyabmkt", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅛": (1, 8)}
_SIGNS = {
    "+": "PLUS",
    "-": "MINUS",
    "−": "MINUS",
    "–": "MINUS",
    "*": "TIMES",
    "×": "TIMES",
    "·": "TIMES",
    "⋅": "TIMES",
    "∗": "TIMES",
    "∙": "TIMES",
    "/": "SLASH",
    "÷": "SLASH",
    "∕": "SLASH",
    "^": "POWER",
    "(": "OPEN",
    "[": "OPEN",
    "{": "OPEN",
    ")": "CLOSE",
    "]": "CLOSE",
    "}": "CLOSE",
    "|": "BAR",
    ",": "COMMA",
    "=": "EQUALS",
    "√": "ROOT",
    "∛": "ROOT",
    "π": "CONSTANT",
}
_COMMANDS = {
    "cdot": ("TIMES", "*"),
    "times": ("TIMES", "*"),
    "div": ("SLASH", "/"),
    "pi": ("CONSTANT", "π"),
    "frac": ("FRACTION", "frac"),
    "dfrac": ("FRACTION", "frac"),
    "tfrac": ("FRACTION", "frac"),
    "sqrt": ("ROOT", "√"),
    "lvert": ("BAR", "|"),
    "rvert": ("BAR", "|"),
    "vert": ("BAR", "|"),
}
_IGNORED_COMMANDS = {"left", "right", "quad", "qquad", "displaystyle", "big", "Big", "bigl", "bigr"}
_WORD_COMMANDS = {"mathrm", "text", "operatorname", "mathit", "textrm", "mathbf"}
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LETTERS = "A-Za-zͰ-ορ-ϿÀ-ÖØ-öø-ÿ"  # π stands for itself
_WORD = re.compile(rf"[{_LETTERS}](?:[{_LETTERS}0-9]|_\{{[A-Za-z0-9]+\}}|_[A-Za-z0-9]+|[₀-₉])*")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SUBSCRIPT = re.compile(r"_(?:\{([A-Za-z0-9]+)\}|([A-Za-z0-9]))")
_BRACED_WORD = re.compile(r"\s*\{([^{}]*)\}")
_MOST_DIGITS = 400  # of an exponent of ten: 1e400 is beyond every float already


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text.

    Raises:
        FormulaError: at the first character that means nothing in a formula.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters, more than {LONGEST}")
    found: list[Token] = []
    text = _plain_letters(text)
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace() or character == "$":
            position += 1
        elif character in "0123456789." and _NUMBER.match(text, position):
            position = _number(text, position, found)
        elif character == "\\":
            position = _command(text, position, found)
        elif text.startswith("**", position):
            found.append(Token("POWER", "^", position))
            position += 2
        elif character in _SIGNS:
            found.append(Token(_SIGNS[character], character, position))
            position += 1
        elif character in _SUPERSCRIPTS:
            position = _superscript(text, position, found)
        elif character in _FRACTIONS:
            _fraction(character, position, found)
            position += 1
        elif match := _WORD.match(text, position):
            found.append(Token("WORD", _plain_name(match.group()), position))
            position = match.end()
        else:
            raise _unknown(text, position)
    return found


def _plain_letters(text: str) -> str:
    """Return the text with 𝑥, µ and other dressed-up letters as the plain ones, each in its place."""
    if text.isascii():
        return text
    return "".join(map(_plain_letter, text))


def _plain_letter(character: str) -> str:
    """Return the plain letter that a character is a variant of, or the character."""
    if not character.isalpha() or character in _SUPERSCRIPTS:
        return character
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


def _number(text: str, position: int, found: list[Token]) -> int:
    """Read a number and return where it ends."""
    match = _NUMBER.match(text, position)
    assert match is not None
    number = match.group()
    _, _, exponent = number.lower().partition("e")
    if len(number) > _MOST_DIGITS or (exponent and abs(int(exponent[:9])) > _MOST_DIGITS):
        raise FormulaError("this number is too long or too large", text=text, position=position, width=len(number))
    if text[match.end() : match.end() + 1] == ".":
        raise FormulaError(
            "a number has one decimal point at most", text=text, position=position, width=len(number) + 1
        )
    found.append(Token("NUMBER", number, position))
    return match.end()


def exact(number: str) -> Fraction:
    """Return the exact value of a number's text.

    >>> exact("0.26")
    Fraction(13, 50)
    """
    return Fraction(number)


def _command(text: str, position: int, found: list[Token]) -> int:
    """Read a LaTeX command and return where it ends."""
    match = _COMMAND.match(text, position)
    if match is None:  # \, \; \! \: are spaces; \{ and \| are the plain signs
        if text[position + 1 : position + 2] in {",", ";", "!", ":", " "}:
            return position + 2
        if text[position + 1 : position + 2] in {"{", "}", "|"}:
            return position + 1
        raise FormulaError("a backslash begins a LaTeX command such as \\frac or \\cdot", text=text, position=position)
    name = match.group(1)
    if name in _IGNORED_COMMANDS:
        return match.end()
    if name in _WORD_COMMANDS:
        word = _BRACED_WORD.match(text, match.end())
        if word is None or not _WORD.fullmatch(word.group(1).strip()):
            raise FormulaError(
                f"\\{name} needs a name in braces", text=text, position=position, width=len(match.group())
            )
        found.append(Token("WORD", _plain_name(word.group(1).strip()), position))
        return word.end()
    if name in _COMMANDS:
        found.append(Token(*_COMMANDS[name], position))
    elif name in LETTER_OF or name in SPELLINGS:
        subscript = _SUBSCRIPT.match(text, match.end())
        word = LETTER_OF.get(name, name) + (f"_{subscript.group(1) or subscript.group(2)}" if subscript else "")
        found.append(Token("WORD", word, position))
        return subscript.end() if subscript else match.end()
    else:
        close = nearest(name, [*_COMMANDS, *LETTER_OF, *SPELLINGS])
        raise FormulaError(
            f"the LaTeX command \\{name} is not known",
            text=text,
            position=position,
            width=len(match.group()),
            hint=f"did you mean \\{close}?" if close else None,
        )
    return match.end()


def _superscript(text: str, position: int, found: list[Token]) -> int:
    """Read a run of superscripts as a power, in parentheses that were not typed, and return where it ends."""
    end = position
    while end < len(text) and text[end] in _SUPERSCRIPTS:
        end += 1
    try:
        inner = tokens("".join(_SUPERSCRIPTS[character] for character in text[position:end]))
    except FormulaError as error:
        raise FormulaError(error.message, text=text, position=position, width=end - position, hint=error.hint) from None
    found.append(Token("POWER", "^", position))
    found.append(Token("OPEN", "(", position, implied=True))
    found += [Token(token.kind, token.text, position + token.position) for token in inner]
    found.append(Token("CLOSE", ")", position, implied=True))
    return end


def _fraction(character: str, position: int, found: list[Token]) -> None:
    """Read ½ and its like as a quotient in parentheses."""
    above, below = _FRACTIONS[character]
    for kind, piece in (("OPEN", "("), ("NUMBER", str(above)), ("SLASH", "/"), ("NUMBER", str(below)), ("CLOSE", ")")):
        found.append(Token(kind, piece, position, implied=True))


def _plain_name(name: str) -> str:
    """Return a name with its subscripts in one spelling: x₁ and x_{1} as x_1."""
    plain = name.replace("{", "").replace("}", "")
    head = plain.rstrip("₀₁₂₃₄₅₆₇₈₉")
    if head == plain:
        return plain
    return head + "_" + "".join(_SUBSCRIPTS[digit] for digit in plain[len(head) :])


def _unknown(text: str, position: int) -> FormulaError:
    """Return the error for a character that means nothing in a formula."""
    character = text[position]
    hints = {
        "'": "a derivative is asked for with derive, not typed with a prime",
        "∞": "infinity is not a number to compute with",
        "_": "a subscript follows a letter: w_1",
        "<": "a formula is one expression, not a comparison",
        ">": "a formula is one expression, not a comparison",
        "!": "factorials are not known; write the product out",
        "%": "write 5% as 5/100",
        ";": "a formula is one expression",
    }
    return FormulaError(
        f"{character!r} means nothing in a formula", text=text, position=position, hint=hints.get(character)
    )
