"""The tokenizer: split a formula's text into numbers, words, operators and parentheses; decide what words are.

LaTeX commands, superscripts and Unicode signs are normalised to the same few token kinds, so later stages do not
depend on the notation typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from downslope._errors import FormulaError, nearest
from downslope.formulas._functions import SPELLINGS

# Greek letters and their LaTeX commands.


# A letter may have several commands; the last of each letter is the one that is printed.
_TABLE = """
alpha α, beta β, gamma γ, delta δ, epsilon ε, zeta ζ, eta η, vartheta θ, theta θ, iota ι, kappa κ, lambda λ, mu μ, nu ν,
xi ξ, omicron ο, rho ρ, sigma σ, tau τ, upsilon υ, varphi φ, phi φ, chi χ, psi ψ, omega ω, Gamma Γ, Delta Δ, Theta Θ,
Lambda Λ, Xi Ξ, Sigma Σ, Phi Φ, Psi Ψ, Omega Ω, varepsilon ε
"""
LETTER_OF: dict[str, str] = {pair.split()[0]: pair.split()[1] for pair in _TABLE.split(",")}
COMMAND_OF: dict[str, str] = {letter: command for command, letter in LETTER_OF.items()} | {"π": "pi"}


# Parsing is linear, but derivation and layout are not: longer text is refused before any work is done.
LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the text.

    Args:
        kind: NUMBER, WORD, NAME, CONSTANT, FUNCTION, PLUS, MINUS, TIMES, SLASH, POWER, OPEN, CLOSE, BAR, COMMA, EQUALS,
            ROOT, FRACTION; and BAR_OPEN, BAR_CLOSE after `_structure` has distinguished opening from closing bars.
        text: its normalised text.
        position: its start in the original text.
        implied: whether it was inserted rather than typed.
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
_LETTERS = "A-Za-zͰ-ορ-ϿÀ-ÖØ-öø-ÿ"  # without π, which is a constant of its own
_WORD = re.compile(rf"[{_LETTERS}](?:[{_LETTERS}0-9]|_\{{[A-Za-z0-9]+\}}|_[A-Za-z0-9]+|[₀-₉])*")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SUBSCRIPT = re.compile(r"_(?:\{([A-Za-z0-9]+)\}|([A-Za-z0-9]))")
_BRACED_WORD = re.compile(r"\s*\{([^{}]*)\}")
# Fraction("1e999999999") would allocate hundreds of megabytes.
_MOST_DIGITS = 400  # of an exponent of ten: 1e400 is beyond every float already


def tokens(text: str) -> list[Token]:
    """Split a text into tokens.

    Raises:
        FormulaError: at the first character that cannot be part of a formula.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters, more than {LONGEST}")
    output: list[Token] = []
    text = _plain_letters(text)
    position = 0
    while position < len(text):
        character = text[position]
        if character.isspace() or character == "$":
            position += 1
        elif character in "0123456789." and _NUMBER.match(text, position):
            position = _number(text, position, output)
        elif character == "\\":
            position = _command(text, position, output)
        elif text.startswith("**", position):
            output.append(Token("POWER", "^", position))
            position += 2
        elif character in _SIGNS:
            output.append(Token(_SIGNS[character], character, position))
            position += 1
        elif character in _SUPERSCRIPTS:
            position = _superscript(text, position, output)
        elif character in _FRACTIONS:
            _fraction(character, position, output)
            position += 1
        elif match := _WORD.match(text, position):
            output.append(Token("WORD", _plain_name(match.group()), position))
            position = match.end()
        else:
            raise _unknown(text, position)
    return output


def _plain_letters(text: str) -> str:
    """Return the text with 𝑥, µ and other letter variants as plain letters; positions do not change."""
    if text.isascii():
        return text
    return "".join(map(_plain_letter, text))


def _plain_letter(character: str) -> str:
    """Return the plain letter of a letter variant; any other character as it is."""
    if not character.isalpha() or character in _SUPERSCRIPTS:
        return character
    # NFKC of a ligature has several letters, which would shift the positions in error messages.
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


def _number(text: str, position: int, output: list[Token]) -> int:
    """Append the number at `position` and return where it ends."""
    match = _NUMBER.match(text, position)
    assert match is not None
    number = match.group()
    _, _, exponent = number.lower().partition("e")
    if len(number) > _MOST_DIGITS or (exponent and abs(int(exponent[:9])) > _MOST_DIGITS):
        raise FormulaError("this number is too long or too large", text=text, position=position, width=len(number))
    # 1.2.3 would otherwise be the product 1.2·0.3.
    if text[match.end() : match.end() + 1] == ".":
        raise FormulaError(
            "a number has one decimal point at most", text=text, position=position, width=len(number) + 1
        )
    output.append(Token("NUMBER", number, position))
    return match.end()


def exact(number: str) -> Fraction:
    """Return the exact value of a numeral.

    >>> exact("0.26")
    Fraction(13, 50)
    """
    return Fraction(number)


def _command(text: str, position: int, output: list[Token]) -> int:
    """Append the LaTeX command at `position` and return where it ends."""
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
        output.append(Token("WORD", _plain_name(word.group(1).strip()), position))
        return word.end()
    if name in _COMMANDS:
        output.append(Token(*_COMMANDS[name], position))
    elif name in LETTER_OF or name in SPELLINGS:
        subscript = _SUBSCRIPT.match(text, match.end())
        word = LETTER_OF.get(name, name) + (f"_{subscript.group(1) or subscript.group(2)}" if subscript else "")
        output.append(Token("WORD", word, position))
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


def _superscript(text: str, position: int, output: list[Token]) -> int:
    """Append a run of superscripts as a power in implied parentheses and return where it ends."""
    end = position
    while end < len(text) and text[end] in _SUPERSCRIPTS:
        end += 1
    try:
        # Superscripts are a small formula of their own: x⁻¹, x²ⁿ, e⁻⁽ˣ⁺¹⁾.
        inner = tokens("".join(_SUPERSCRIPTS[character] for character in text[position:end]))
    except FormulaError as error:
        raise FormulaError(error.message, text=text, position=position, width=end - position, hint=error.hint) from None
    output.append(Token("POWER", "^", position))
    output.append(Token("OPEN", "(", position, implied=True))
    output += [Token(token.kind, token.text, position + token.position) for token in inner]
    output.append(Token("CLOSE", ")", position, implied=True))
    return end


def _fraction(character: str, position: int, output: list[Token]) -> None:
    """Append a fraction character such as ½ as a quotient in parentheses."""
    # In parentheses, so that x½ is a product and 2^½ a square root.
    above, below = _FRACTIONS[character]
    for kind, piece in (("OPEN", "("), ("NUMBER", str(above)), ("SLASH", "/"), ("NUMBER", str(below)), ("CLOSE", ")")):
        output.append(Token(kind, piece, position, implied=True))


def _plain_name(name: str) -> str:
    """Return a name with subscripts normalised: x₁ and x_{1} become x_1."""
    plain = name.replace("{", "").replace("}", "")
    head = plain.rstrip("₀₁₂₃₄₅₆₇₈₉")
    if head == plain:
        return plain
    return head + "_" + "".join(_SUBSCRIPTS[digit] for digit in plain[len(head) :])


def _unknown(text: str, position: int) -> FormulaError:
    """Return the error for a character that cannot be part of a formula."""
    character = text[position]
    hints = {
        "'": "use derive for a derivative; primes are not supported",
        "∞": "infinity is not a number to compute with",
        "_": "a subscript follows a letter: w_1",
        "<": "a formula is one expression, not a comparison",
        ">": "a formula is one expression, not a comparison",
        "!": "factorials are not supported; write the product out",
        "%": "write 5% as 5/100",
        ";": "a formula is one expression",
    }
    return FormulaError(
        f"{character!r} has no meaning in a formula", text=text, position=position, hint=hints.get(character)
    )


# Classify words: a word is a name, a constant, a function, or a product of names.


CONSTANTS = ("π", "e")
_UNDECLARED = ("x", "y", "z")
_NOT_NUMBERS = ("nan", "inf", "infinity")
# Functions that are often typed without parentheses or a space: sinx, exp2x.
_RUN_TOGETHER = ("sin", "cos", "tan", "ln", "log", "exp", "sqrt", "sinh", "cosh", "tanh")


@dataclass
class Words:
    """The parser's context: the names that a formula may use, and the notes collected while reading it.

    Args:
        text: the source text, for error messages.
        declared: the header's names, or None if there is no header.
        columns: names of data columns.
        notes: sentences on how ambiguous notation was interpreted.
    """

    text: str
    declared: tuple[str, ...] | None
    columns: Collection[str]
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Add a sentence on how ambiguous notation was interpreted, unless it is there already."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def fail(self, message: str, token: Token, hint: str | None = None) -> FormulaError:
        """Return an error with a caret under a token."""
        return FormulaError(message, text=self.text, position=token.position, width=len(token.text), hint=hint)


def named(tokens: list[Token], words: Words) -> Iterable[Token]:
    """Yield the tokens with every word classified."""
    for index, token in enumerate(tokens):
        if token.kind != "WORD":
            yield token
            continue
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        yield from _meaning(token, following, words)


def _meaning(token: Token, following: Token | None, words: Words) -> list[Token]:
    """Return the tokens that a word stands for."""
    word = token.text
    known = {*(words.declared or ()), *words.columns}
    # Declared names win over functions and constants: a header `f(e) = e²` means the variable e.
    if word in known:
        if word in SPELLINGS and following is not None and following.kind == "OPEN":
            words.note(f"{word} is a declared name here, not the function")
        return [replace(token, kind="NAME")]
    # A function name is always the function, even before a letter: `sin x` is no product.
    if word in SPELLINGS:
        return [_function(token, following, words)]
    # A variable called nan or inf is a number that was pasted into the formula.
    if word.lower() in _NOT_NUMBERS:
        raise words.fail(f"{word} is not a number to compute with", token)
    if word in ("π", "pi"):
        return [replace(token, kind="CONSTANT", text="π")]
    if word == "e":
        return [replace(token, kind="CONSTANT")]
    pieces = _pieces(word, (*known, *CONSTANTS) if words.declared is not None else (*known, *_UNDECLARED, *CONSTANTS))
    if pieces is not None:
        return _split(token, pieces, following, words)
    _check_run_together(token, {*known, *(() if words.declared is not None else _UNDECLARED)}, words)
    if words.declared is not None:
        raise _undeclared(token, following, words)
    _check_misspelt(token, following, words)
    if len(word.partition("_")[0].rstrip("0123456789")) > 1 and word not in words.columns:
        words.note(f"{word} is read as one name")
    return [replace(token, kind="NAME")]


def _function(token: Token, following: Token | None, words: Words) -> Token:
    """Return a word as a function token, after checking that an argument follows."""
    if following is None or following.kind in {"PLUS", "TIMES", "SLASH", "CLOSE", "COMMA", "EQUALS"}:
        raise words.fail(f"{token.text} is a function and needs an argument", token, hint=f"write {token.text}(x)")
    if token.text == "log":
        words.note("log is the natural logarithm; write log10 for the decimal one")
    return replace(token, kind="FUNCTION", text=SPELLINGS[token.text])


def _pieces(word: str, known: Collection[str]) -> list[str] | None:
    """Split a word into known names, longest first, optionally with a function at its end; None if impossible."""
    # Dynamic programming over split positions: the word has a split if its end is reachable. setdefault keeps the first
    # path to each position, which took the longest names.
    reached: dict[int, list[str]] = {0: []}
    longest_first = sorted(set(known), key=len, reverse=True)
    for start in range(len(word)):
        if start not in reached:
            continue
        for name in longest_first:
            if word.startswith(name, start):
                reached.setdefault(start + len(name), [*reached[start], name])
        if start > 0 and word[start:] in SPELLINGS:
            reached.setdefault(len(word), [*reached[start], word[start:]])
    pieces = reached.get(len(word))
    # `ee` and `eπ` are names rather than products of constants.
    if pieces is None or all(piece in CONSTANTS for piece in pieces):
        return None
    return pieces


def _split(token: Token, pieces: list[str], following: Token | None, words: Words) -> list[Token]:
    """Return the parts of a word as separate tokens."""
    if len(pieces) > 1:
        words.note(f"{token.text} is read as {'·'.join(pieces)}")
    parts, position = [], token.position
    for piece in pieces:
        part = Token("NAME", piece, position)
        if piece in SPELLINGS and piece not in words.columns and piece not in (words.declared or ()):
            part = _function(part, following, words)
        elif piece in CONSTANTS and piece not in words.columns and piece not in (words.declared or ()):
            part = replace(part, kind="CONSTANT")
        parts.append(part)
        position += len(piece)
    return parts


def _undeclared(token: Token, following: Token | None, words: Words) -> FormulaError:
    """Return the error for a name that the header does not declare."""
    declared = words.declared or ()
    candidates = [*declared, *words.columns]
    if following is not None and following.kind == "OPEN":
        candidates += SPELLINGS
    close = nearest(token.text, candidates)
    listed = ", ".join([*declared, *words.columns]) or "no names"
    hint = f"did you mean {close}?" if close else f"add {token.text} to the header if it is a variable"
    return words.fail(f"{token.text} is not declared; the formula has {listed}", token, hint)


def _check_run_together(token: Token, known: Collection[str], words: Words) -> None:
    """Raise for a function joined to its argument: sinx, exp2x."""
    # Longest first, so that sinhx is reported as sinh(x), not sin(hx).
    for function in sorted(_RUN_TOGETHER, key=len, reverse=True):
        argument = token.text.removeprefix(function)
        if argument == token.text or not _pieces(argument.lstrip("0123456789"), (*known, *CONSTANTS)):
            continue
        hint = f"write {function}({argument})"
        raise words.fail(f"{token.text} is one word; write a function's argument in parentheses", token, hint)


def _check_misspelt(token: Token, following: Token | None, words: Words) -> None:
    """Raise if a name before a parenthesis looks like a misspelt function."""
    if following is None or following.kind != "OPEN" or len(token.text) < 3:
        return
    close = nearest(token.text, [name for name in SPELLINGS if len(name) > 2])
    if close is not None:
        raise words.fail(f"there is no function {token.text}", token, hint=f"did you mean {close}?")
