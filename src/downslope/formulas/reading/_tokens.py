"""The tokenizer: split a formula's text into numbers, words, operators and parentheses.

LaTeX commands, superscripts and Unicode signs are normalised to the same few token kinds, so later stages do not
depend on the notation typed.
"""

from __future__ import annotations

import re
from fractions import Fraction

from downslope._column_names import LETTERS
from downslope._errors import FormulaError
from downslope.formulas.expressions import LETTER_OF, SPELLINGS
from downslope.formulas.reading._foreign import SAME, near, refusal
from downslope.formulas.reading._letters import (
    ACCENTS,
    COMMANDS,
    IGNORED_COMMANDS,
    LONG_SIGNS,
    PLAIN_SIGN,
    SIGNS,
    SKIPPED,
    WORD_COMMANDS,
    Token,
    commas_checked,
    fraction,
    lowered,
    numeral,
    plain_letters,
    raised,
)

# Parsing is linear, but derivation and layout are not: longer text is refused before any work is done.
LONGEST = 20_000


# What a word in \text{…} says, where it is not a name.
KEYWORDS: dict[str, str] = {
    **dict.fromkeys(("if", "when", "for", "If", "For", "When", "IF"), "IF"),
    **dict.fromkeys(("otherwise", "else", "elsewhere", "Otherwise", "Else", "True"), "OTHERWISE"),
    **dict.fromkeys(("and", "And", "AND"), "AND"),
    **dict.fromkeys(("or", "Or", "OR"), "OR"),
    **dict.fromkeys(("then", "Then", "THEN"), "THEN"),
    **dict.fromkeys(("mod", "Mod", "MOD"), "MODULO"),
}
_LONG_BEGINS = frozenset(sign[0] for sign, _, _ in LONG_SIGNS)
_WORD = re.compile(rf"[{LETTERS}](?:[{LETTERS}0-9])*")
_PLAIN_SUBSCRIPT = re.compile(r"_[A-Za-z0-9]+")
_SHORT_SUBSCRIPT = re.compile(rf"_\s*(?:\\([A-Za-z]+)|([0-9]+|[{LETTERS}]))")
_BRACED_SUBSCRIPT = re.compile(r"_\s*(?:\\(?:text|mathrm|rm|operatorname|mathit|textrm)\s*)?\{")
_BRACED_LETTERS = re.compile(rf"\{{\s*\\?([{LETTERS}]+)\s*\}}\s*(?=_)")
_CHANGING = re.compile(rf"\s*(?:\\([A-Za-z]+)|([{LETTERS}])|\{{([{LETTERS}])\}})")
_INDEX = re.compile(r"\[([0-9]+)\]")
# A half as a subscript: t½, t_½, t_{1/2}, t₁/₂. After one of x, y and z a bare ½ is a factor.
_HALF = re.compile(r"_?½|_\s*\{\s*(?:1\s*[/⁄∕]\s*2|½|\\[td]?frac\s*(?:12|\{1\}\s*\{2\}))\s*\}|₁[/⁄∕]₂")
_BASE = re.compile(r"_\s*\{([^{}]*)\}")
_SIMPLE_BASE = re.compile(rf"\s*\\?[{LETTERS}0-9_]+\s*")
_POWER_OF_POWER = re.compile(rf"([{LETTERS}])([0-9]+)")
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?")
_INSIDE_BRACES = re.compile(r"\s*(?:\{([^{}]*)\}|([A-Za-z0-9]))")
_PROGRAM = re.compile(
    r"(?:Math|math|np|numpy|jnp|jax\.numpy|torch|tf|tf\.math|sp|sympy|cmath|scipy\.special)\.(?=[A-Za-z])"
)
_ENVIRONMENT = re.compile(r"\s*\{([a-z]+)\*?\}(?:\s*\{[lcr| ]*\})?(?:\s*\[[a-z]\])?")
_CASES = ("cases", "dcases", "rcases")
_LAYOUT = ("equation", "align", "aligned", "gather", "gathered", "displaymath", "math", "split", "array", "multline")
_WITH_ARGUMENT = ("tag", "label", "hspace", "vspace", "phantom", "color", "textcolor", "hphantom", "vphantom")


def tokens(text: str, notes: list[str] | None = None) -> list[Token]:
    """Split a text into tokens.

    Args:
        text: the text.
        notes: a list that takes sentences on how ambiguous notation was interpreted.

    Raises:
        FormulaError: at the first character that cannot be part of a formula.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"the formula has {len(text)} characters, more than {LONGEST}")
    reader = _Reader(plain_letters(text), [] if notes is None else notes)
    reader.typed = text
    reader.read_all()
    commas_checked(reader.output, reader.text)
    return reader.output


def exact(number: str) -> Fraction:
    """Return the exact value of a numeral.

    >>> exact("0.26")
    Fraction(13, 50)
    """
    return Fraction(number)


class _Reader:
    """Read tokens from left to right; each method takes a position and returns the one after what it read."""

    def __init__(self, text: str, notes: list[str]) -> None:
        self.text = self.typed = text  # names in backquotes keep the letters that were typed
        self.notes = notes
        self.output: list[Token] = []
        self.is_latex = "\\" in text

    def put(self, kind: str, text: str, position: int, implied: bool = False) -> None:
        """Append a token."""
        self.output.append(Token(kind, text, position, implied))

    def fail(self, message: str, position: int, width: int = 1, hint: str | None = None) -> FormulaError:
        """Return an error with a caret."""
        return FormulaError(message, text=self.text, position=position, width=width, hint=hint)

    def read_all(self) -> None:
        """Read the whole text."""
        position = 0
        while position < len(self.text):
            position = self._next(position)

    def _next(self, position: int) -> int:
        character = self.text[position]
        if character.isspace() or character in SKIPPED or character == "~":
            return position + 1
        if character in "0123456789" or (character == "." and self.text[position + 1 : position + 2].isdecimal()):
            return numeral(self.text, position, self.output, self.notes)
        if character == "\\":
            return self._command(position)
        if character == "`":
            return self._quoted(position)
        if raised(character):
            return self._superscript(position)
        if lowered(character):
            return self._loose_subscript(position)
        if fraction(character):
            return self._fraction(position)
        if _PROGRAM.match(self.text, position) and not self.text[position - 1 : position].isalpha():
            return _end(_PROGRAM.match(self.text, position))
        if _WORD.match(self.text, position):
            return self._word(position)
        if character == "{" and _BRACED_LETTERS.match(self.text, position):
            match = _BRACED_LETTERS.match(self.text, position)
            assert match is not None
            return self._subscripted(LETTER_OF.get(match.group(1), match.group(1)), position, match.end())
        return self._sign(position)

    def _sign(self, position: int) -> int:
        for sign, kind, plain in LONG_SIGNS if self.text[position] in _LONG_BEGINS else ():
            if self.text.startswith(sign, position):
                self.put(kind, plain, position)
                return position + len(sign)
        character = self.text[position]
        if character == "." and self.text[position + 1 : position + 2] in ("*", "/", "^"):  # element by element
            return position + 1
        if character == ".":
            self.put("PERIOD", ".", position)
        elif character == "_" and not any(token.kind == "SERIES" for token in self.output):
            raise self.fail("'_' has no meaning here", position, hint="a subscript follows a letter: w_1")
        elif character in SIGNS:
            self.put(SIGNS[character], PLAIN_SIGN.get(character, character), position)
        else:
            raise self._unknown(position)
        return position + 1

    def _quoted(self, position: int) -> int:
        """Append the name of a column in backquotes: `Time (s)`."""
        end = self.text.find("`", position + 1)
        if end < 0:
            raise self.fail(
                "nothing closes this backquote", position, hint="a column's name stands between two: `Time (s)`"
            )
        if not self.typed[position + 1 : end].strip():
            raise self.fail(
                "the backquotes are empty", position, 2, hint="a column's name stands between them: `Time (s)`"
            )
        self.put("QUOTED", self.typed[position + 1 : end], position)
        return end + 1

    # Words and their subscripts.

    def _word(self, position: int) -> int:
        match = _WORD.match(self.text, position)
        assert match is not None
        # \\frac xy takes one character each.
        kinds = [token.kind for token in self.output[-2:]]
        if kinds[-1:] == ["FRACTION"] or (kinds[:1] == ["FRACTION"] and kinds[-1] in ("WORD", "NUMBER")):
            self.put("WORD", match.group()[0], position)
            return position + 1
        # Σ with bounds is a sum, by itself a letter.
        after = self.text[match.end() : match.end() + 1]
        if match.group() in ("Σ", "Π") and (after == "_" or lowered(after)):
            self.put("SERIES", "∑" if match.group() == "Σ" else "∏", position)
            return match.end()
        return self._subscripted(match.group(), position, match.end())

    def _subscripted(self, word: str, position: int, end: int) -> int:
        """Append a word with the subscripts that follow it: x₁, x_1, x_{max}, w_{i+1}, x[0]."""
        if word == "log" and (match := _BASE.match(self.text, end)) and not _SIMPLE_BASE.fullmatch(match.group(1)):
            self.put("WORD", word, position)
            self.put("SUBSCRIPT", "_", end, implied=True)
            self._group(match.group(1), match.start(1), match.end(1))
            return match.end()
        while True:
            begun = end
            if (match := _HALF.match(self.text, end)) and _takes_half(word, match.group()):
                word, end = f"{word}½", match.end()
            if (match := _INDEX.match(self.text, end)) and word.lower() not in SPELLINGS:
                self.notes.append(f"{word}{match.group()} is read as {word}_{match.group(1)}")
                word, end = f"{word}_{match.group(1)}", match.end()
            if match := _BRACED_SUBSCRIPT.match(self.text, end):
                word, end = self._braced_subscript(word, position, match.end())
            elif self.text[end : end + 1] == "_":
                match = (_SHORT_SUBSCRIPT if self.is_latex else _PLAIN_SUBSCRIPT).match(self.text, end)
                if match is None:
                    raise self.fail("'_' has no meaning here", end, hint="a subscript follows a letter: w_1")
                below = match.group()[1:].strip()
                word, end = f"{word}_{LETTER_OF.get(below[1:], below.removeprefix(chr(92)))}", match.end()
            elif lowered(self.text[end : end + 1]):
                below = ""
                while lowered(self.text[end : end + 1]):
                    below += lowered(self.text[end]) or ""
                    end += 1
                word += f"_{_plain_index(below)}"
            if end == begun:
                break
        self.put("WORD", word, position)
        return end

    def _braced_subscript(self, word: str, position: int, begin: int) -> tuple[str, int]:
        end, depth = begin, 1
        while end < len(self.text) and depth:
            depth += (self.text[end] == "{") - (self.text[end] == "}")
            end += 1
        inside = re.sub(
            r"\\(?:text|mathrm|rm|mathit|textrm|operatorname)\b|\\[,;:! ]|[{}\s,~]", "", self.text[begin : end - 1]
        )
        inside = re.sub(r"\\([A-Za-z]+)", lambda match: LETTER_OF.get(match.group(1), match.group(1)), inside)
        if depth or not re.fullmatch(rf"[{LETTERS}0-9]+(?:[+-][0-9]+)?", inside):
            if refusal(word):
                raise self._foreign(word, position, len(word))
            raise self.fail(
                "a subscript is a name or a number",
                begin - 1,
                max(1, end - begin + 1),
                hint="for example x_1 or x_{max}",
            )
        return f"{word}_{_plain_index(inside)}", end

    def _loose_subscript(self, position: int) -> int:
        """Append a run of subscripts that belongs to a sign, as in ∑ᵢ₌₁³."""
        end = position
        while lowered(self.text[end : end + 1]):
            end += 1
        if not self.output or self.output[-1].kind != "SERIES":
            raise self.fail("a subscript follows a letter", position, end - position, hint="for example x₁")
        self.put("SUBSCRIPT", "_", position, implied=True)
        self._group("".join(lowered(character) or "" for character in self.text[position:end]), position, end)
        return end

    def _group(self, inside: str, position: int, end: int) -> None:
        """Append the tokens of a small formula in implied parentheses."""
        try:
            inner = tokens(inside, self.notes)
        except FormulaError as error:
            raise self.fail(error.message, position, end - position, hint=error.hint) from None
        self.put("OPEN", "(", position, implied=True)
        self.output += [Token(token.kind, token.text, min(position + token.position, end - 1)) for token in inner]
        self.put("CLOSE", ")", end - 1, implied=True)

    def _superscript(self, position: int) -> int:
        """Append a run of superscripts as a power, or as the degree of the root that follows: ³√x."""
        end = position
        while raised(self.text[end : end + 1]):
            end += 1
        # Superscripts are a small formula of their own: x⁻¹, x²ⁿ, e⁻⁽ˣ⁺¹⁾.
        inside = "".join(raised(character) or "" for character in self.text[position:end])
        if inside.isascii() and (power := _POWER_OF_POWER.search(inside)):
            inside = _POWER_OF_POWER.sub(r"\1^\2", inside)
            self.notes.append(
                f"the exponent {self.text[position:end]} is read as {inside}, with {power[0][0]} to a power"
            )
        begins = not self.output or self.output[-1].kind in (
            "PLUS",
            "MINUS",
            "TIMES",
            "SLASH",
            "OPEN",
            "EQUALS",
            "COMMA",
        )
        if self.text[end : end + 1] == "√" and begins:
            self.put("ROOT", "√", end)
            self.put("OPEN", "[", position)
            self.output += [Token(token.kind, token.text, position) for token in tokens(inside)]
            self.put("CLOSE", "]", position)
            return end + 1
        self.put("POWER", "^", position)
        self._group(inside, position, end)
        return end

    def _fraction(self, position: int) -> int:
        """Append a fraction character as a quotient in parentheses; after a whole number it is added to that."""
        above, below = fraction(self.text[position]) or (0, 1)
        before = self.output[-1] if self.output else None
        if before is not None and before.kind == "NUMBER" and before.text.isdigit() and not before.implied:
            self.notes.append(f"{before.text}{self.text[position]} is read as {before.text} + {above}/{below}")
            above += below * int(self.output.pop().text)
        # In parentheses, so that x½ is a product and 2^½ a square root.
        pieces = (("OPEN", "("), ("NUMBER", str(above)), ("SLASH", "/"), ("NUMBER", str(below)), ("CLOSE", ")"))
        for kind, piece in pieces:
            self.put(kind, piece, position, implied=True)
        return position + 1

    # LaTeX commands.

    def _command(self, position: int) -> int:
        match = _COMMAND.match(self.text, position)
        if match is None:
            return self._short_command(position)
        name = match.group(1)
        if name in ("left", "right") and self.text[match.end() :].lstrip()[:1] == ".":
            # \left\{ … \right. : the invisible delimiter closes the visible one.
            self.put(*(("OPEN", "{") if name == "left" else ("CLOSE", "}")), position, implied=True)
            return self.text.index(".", match.end()) + 1
        if name in IGNORED_COMMANDS:
            return match.end()
        if name in ("begin", "end"):
            return self._environment(name, position, match.end())
        if name in _WITH_ARGUMENT:
            return _end(_INSIDE_BRACES.match(self.text, match.end())) or match.end()
        if name in WORD_COMMANDS:
            return self._words_in_braces(name, position, match.end())
        if name in ACCENTS:
            return self._accented(name, position, match.end())
        if name in COMMANDS:
            self.put(*COMMANDS[name], position)
        elif name == "Delta" and (letter := self._letter_of_change(match.end())):  # one quantity: ΔT
            return self._subscripted(f"Δ{letter[0]}", position, letter[1])
        elif name in LETTER_OF or name in SPELLINGS or name in SAME:
            return self._subscripted(LETTER_OF.get(name, name), position, match.end())
        else:
            raise self._unknown_command(name, position, match.end() - position)
        return match.end()

    def _letter_of_change(self, position: int) -> tuple[str, int] | None:
        r"""Return the letter that \Delta belongs to, and where it ends; None for any other sign."""
        match = _CHANGING.match(self.text, position)
        letter = (LETTER_OF.get(match[1]) or "" if match[1] else match[2] or match[3]) if match else ""
        return (letter, match.end()) if match and letter else None

    def _short_command(self, position: int) -> int:
        following = self.text[position + 1 : position + 2]
        if following in {",", ";", "!", ":", ">", " ", "/", "(", ")", "[", "]", "\n"}:  # spaces and delimiters
            return position + 2
        if following in {"{", "}", "&"}:  # the plain signs
            return position + 1
        if following == "\\":
            self.put("ROW", "\\\\", position)
            return _end(re.compile(r"\\\\\s*\[[^\]]*\]").match(self.text, position)) or position + 2
        if following == "|":
            raise self._foreign("‖", position, 2)
        if following == "%":
            raise self._unknown(position + 1)
        raise self.fail("a backslash begins a LaTeX command such as \\frac or \\cdot", position)

    def _environment(self, which: str, position: int, end: int) -> int:
        match = _ENVIRONMENT.match(self.text, end)
        name = match.group(1) if match else ""
        if match is None or name not in (*_CASES, *_LAYOUT):
            raise self._foreign("matrix" if "matrix" in name else "begin", position, end - position)
        if name in _CASES:
            self.put(*(("OPEN", "{") if which == "begin" else ("CLOSE", "}")), position, implied=True)
        return match.end()

    def _words_in_braces(self, name: str, position: int, end: int) -> int:
        match = _INSIDE_BRACES.match(self.text, end)
        if match is None:
            raise self.fail(f"\\{name} needs a name in braces", position, end - position)
        inside = re.sub(r"\\[,;:! ]", "", (match.group(1) or match.group(2) or "")).strip()
        if inside.rstrip(".,;") in KEYWORDS:
            inside = inside.rstrip(".,;")
        words = inside.replace("~", " ").split()
        if len(words) == 1 and re.fullmatch(rf"\\?[{LETTERS}](?:[{LETTERS}0-9_])*", inside):
            word = LETTER_OF.get(inside[1:], inside[1:]) if inside[0] == "\\" else inside
            return self._subscripted(word, position, match.end())
        if len(words) > 1 and not any(word.strip(",") in KEYWORDS for word in words) and "$" not in inside:
            raise self.fail(f"\\{name} needs a name in braces", position, end - position)
        inner = _Reader(plain_letters(inside), self.notes)
        inner.read_all()
        self.output += [Token(token.kind, token.text, position) for token in inner.output]
        return match.end()

    def _accented(self, name: str, position: int, end: int) -> int:
        match = _INSIDE_BRACES.match(self.text, end)
        letter = (match.group(1) or match.group(2) or "").strip().removeprefix("\\") if match else ""
        letter = LETTER_OF.get(letter, letter)
        if match is None or not _WORD.fullmatch(letter):
            raise self.fail(f"\\{name} needs a letter in braces", position, end - position)
        return self._subscripted(f"{letter}_{ACCENTS[name]}", position, match.end())

    # Errors.

    def _unknown_command(self, name: str, position: int, width: int) -> FormulaError:
        if refusal(name):
            return self._foreign(name, position, width)
        close = near(name, [*COMMANDS, *LETTER_OF, *SPELLINGS])
        hint = f"did you mean \\{close}?" if close else None
        return self.fail(f"the LaTeX command \\{name} is not known", position, width, hint)

    def _foreign(self, name: str, position: int, width: int = 1) -> FormulaError:
        message, hint = refusal(name) or (f"{name} is not known", "")
        return self.fail(message, position, width, hint)

    def _unknown(self, position: int) -> FormulaError:
        """Return the error for a character that cannot be part of a formula."""
        character = self.text[position]
        if refusal(character):
            return self._foreign(character, position)
        hints = {
            "%": "write 5/100 for 5 %, and x mod 2 for a remainder",
            "@": "a formula has + - · / ^ and functions",
        }
        if character.isalpha():
            word = re.match(r"[^\W\d_]+", self.text[position:])
            hints[character] = f"write a name of such letters in backquotes: `{word[0] if word else character}`"
        return self.fail(f"{character!r} has no meaning in a formula", position, hint=hints.get(character))


def _end(match: re.Match[str] | None) -> int:
    return match.end() if match else 0


def _plain_index(index: str) -> str:
    """Return a subscript; one that is computed, as in x_{i+1}, keeps its braces."""
    return f"{{{index}}}" if "+" in index or "-" in index else index


def _takes_half(word: str, half: str) -> bool:
    """Tell whether a half belongs to a name, as in T½ and t_{1/2}, and is no factor, as in x½ and 2πr½."""
    if half == "½":
        return len(word) == 1 and word not in "xyzπe"
    return len(word) == 1 or word not in SPELLINGS
