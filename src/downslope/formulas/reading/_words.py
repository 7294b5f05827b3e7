"""The meaning of a run of letters: a name, a constant, a function, a keyword, or a product of several of these.

Without a header and without a table, two letters are multiplied, and three or more are one name; a note says so. `e`
after a letter and before `^` is Euler's number. A name of mathematics that formulas do not have is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from downslope._column_names import LETTERS
from downslope._errors import FormulaError, nearest
from downslope.formulas.expressions import LETTER_OF, REDUCTIONS, SPELLINGS
from downslope.formulas.reading._foreign import ONLY_CALLED, SAME, near, refusal, refusal_of_letter
from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._tokens import KEYWORDS

CONSTANTS = ("π", "e")
_UNDECLARED = ("x", "y", "z")
_NOT_NUMBERS = ("nan", "inf", "infinity")
# Functions that are often typed without parentheses or a space: sinx, exp2x.
_CIRCULAR = ("sin", "cos", "tan", "sec", "csc", "cot")
_RUN_TOGETHER = (
    *("ln", "log", "exp", "sqrt", "cbrt", "cosec"),
    *(prefix + name for prefix in ("", "arc") for name in _CIRCULAR),
    *(prefix + name + "h" for prefix in ("", "ar", "arc") for name in ("sin", "cos", "tan")),
)
# Letters and words that are functions before a parenthesis only.
_ONLY_CALLED = {*ONLY_CALLED, "σ", "Γ", "gamma", "Gamma", "root", "factorial"}
_CHOICES = ("where", "piecewise", "Piecewise", "if", "If", "IF", "iif", "IIF", "ifelse", "IFS", "ifs")
_PAIRED = ("piecewise", "Piecewise", "IFS", "ifs")  # choices whose arguments are conditions and values in turn
# A letter with its index; ΔT is one quantity.
_UNIT = re.compile(
    rf"(?:Δ(?=[{LETTERS}]))?[{LETTERS}](?:½|[0-9]+|(?:_(?:[0-9]+|\{{[^}}]*\}}|[{LETTERS}](?![{LETTERS}0-9])))+)?"
)
_LOGARITHM = re.compile(rf"log(?:_([{LETTERS}](?:_[A-Za-z0-9]+)?)|_?([0-9]+))")
_BESSEL = re.compile(r"J_?([0-9]{1,2})")
_GREEK = re.compile("[α-ωΑ-Ω]+")
_ALWAYS_REFUSED = ("lim", "return", "def", "function", "choose", "minimize", "minimise", "maximize", "maximise")
_MOST_PRODUCT = 2  # letters that are multiplied
# What begins no argument: a function before it has none.
_AFTER_NAMES = {"PLUS", "TIMES", "SLASH", "CLOSE", "COMMA", "EQUALS", "RELATION"}
_EXTREME = re.compile(rf"[{LETTERS}](?:max|min)")  # Vmax, whose parenthesis is a factor


@dataclass
class Words:
    """The parser's context: the names that a formula may use, and the notes collected while reading it.

    Args:
        text: the source text, for error messages.
        declared: the header's names, or None if there is no header.
        columns: names of data columns.
        notes: sentences on how ambiguous notation was interpreted.
        name: the formula's name, for an error's example of a header.
        indices: the indices of sums, which are names inside them.
    """

    text: str
    declared: tuple[str, ...] | None
    columns: Collection[str]
    notes: list[str] = field(default_factory=list)
    name: str | None = None
    indices: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """The names that are declared, columns, or indices of a sum."""
        return (*(self.declared or ()), *self.columns, *self.indices)

    @property
    def alone(self) -> bool:
        """Whether nothing says which names there are: no header and no table."""
        return self.declared is None and not self.columns

    def note(self, sentence: str) -> None:
        """Add a sentence on how ambiguous notation was interpreted, unless it is there already."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def fail(self, message: str, token: Token, hint: str | None = None) -> FormulaError:
        """Return an error with a caret under a token."""
        width = max(1, len(token.text)) if not token.implied else 1
        return FormulaError(message, text=self.text, position=token.position, width=width, hint=hint)


def named(tokens: Sequence[Token], words: Words) -> Iterable[Token]:
    """Yield the tokens with every word classified."""
    reader = _Names(tokens, words)
    for index, token in enumerate(tokens):
        if token.kind == "WORD":
            yield from reader.meaning(index)
        else:
            yield token


class _Names:
    """Classify the words of a formula."""

    def __init__(self, tokens: Sequence[Token], words: Words) -> None:
        self.tokens = tokens
        self.words = words
        # Letters that occur by themselves: ab is their product where a and b do.
        self.single = {token.text for token in tokens if token.kind == "WORD" and _UNIT.fullmatch(token.text)}
        self._grow_single()
        self.spellings = {_plain(name): name for name in words.known}
        # Where σ is a parameter as well, σ(…) is no sigmoid.
        self.bare = {
            token.text
            for index, token in enumerate(tokens)
            if token.kind == "WORD" and token.text in ("σ", "Γ") and not self._is_called(index)
        }

    def _grow_single(self) -> None:
        """Add the letters of products to those that occur by themselves, as they do once the formula is printed."""
        words = [(token.text, index) for index, token in enumerate(self.tokens) if token.kind == "WORD"]
        size = -1
        while size < len(self.single):
            size = len(self.single)
            for word, index in words:
                following = self.following(index)
                if not _known_word(word):
                    before_power = following is not None and following.kind == "POWER"
                    self.single.update(self._product(word, before_power, self._applies(index)) or ())

    def following(self, index: int) -> Token | None:
        """Return the token after one, if there is any."""
        return self.tokens[index + 1] if index + 1 < len(self.tokens) else None

    def _is_called(self, index: int) -> bool:
        following = self.following(index)
        return following is not None and following.kind == "OPEN" and not following.implied

    def meaning(self, index: int) -> list[Token]:
        """Return the tokens that a word stands for."""
        token, words = self.tokens[index], self.words
        word, called = token.text, self._is_called(index)
        # Declared names win over functions and constants: a header `f(e) = e²` means the variable e.
        known = self._known(word)
        if known is not None:
            if word in SPELLINGS and called:
                words.note(f"{word} is a declared name here, not the function")
            return [replace(token, kind="NAME", text=known)]
        special = self._special(index, token, called)
        if special is not None:
            return special
        is_operator = word == "D" and called and self.tokens[index + 1].text == "["  # D[x^2, x] of Mathematica
        message = refusal("Derivative" if is_operator else word)
        if message and (is_operator or (len(word) > 1 and (called or word in _ALWAYS_REFUSED))):
            raise words.fail(message[0], token, message[1])
        if word.endswith("½"):
            if words.declared is not None and word[:-1] in words.known:
                return self._half_of(token)
            words.note(f"{word} is read as one name")
        if len(_letters(word)) == 1 and called:
            self._check_letter(index, token)
        return self._name_or_product(index, token, called)

    def _half_of(self, token: Token) -> list[Token]:
        """Return the tokens of T·½, where the header declares T and no T½."""
        name, position = token.text[:-1], token.position
        self.words.note(f"{token.text} is read as {name}·½")
        pieces = (("OPEN", "("), ("NUMBER", "1"), ("SLASH", "/"), ("NUMBER", "2"), ("CLOSE", ")"))
        return [Token("NAME", name, position), *(Token(kind, text, position + 1, True) for kind, text in pieces)]

    def _known(self, word: str) -> str | None:
        """Return the declared name that a word is; x₁ and x1 are one name where only one of them is declared."""
        if word in self.words.known or not self.words.known:
            return word if word in self.words.known else None
        head, _, subscript = word.rpartition("_")
        if not head and not re.fullmatch(rf"[{LETTERS}][0-9]+", word):
            return None
        if subscript.strip("{}").partition("+")[0].partition("-")[0] in self.words.indices and head:
            return word  # x_i, whose index becomes a number
        return self.spellings.get(_plain(word))

    def _special(self, index: int, token: Token, called: bool) -> list[Token] | None:
        """Return the tokens of a function, a constant or a keyword; None for an ordinary word."""
        word, words = token.text, self.words
        as_function = called and not self._follows_operand(index)
        if word in ("if", "If", "IF") and any(token.text in ("then", "Then", "THEN") for token in self.tokens):
            return [replace(token, kind="IF")]
        if word in KEYWORDS and not (as_function and (word in _CHOICES or word.lower() == "mod")):
            return [replace(token, kind=KEYWORDS[word])]
        if word in _CHOICES and as_function:
            return [replace(token, kind="CHOICE", text="piecewise" if word in _PAIRED else "where")]
        if word == "where":
            return [replace(token, kind="IF")]
        if word == "∂":
            raise words.fail("∂ belongs to a derivative", token, "write ∂/∂x before a formula, or use derive")
        if word in ("deg", "degree", "degrees") and index and self.tokens[index - 1].kind == "NUMBER":
            return [replace(token, kind="DEGREE")]
        if word in self.bare and called:
            both = f"write {word}·(…) for a product, or {SPELLINGS[word]}(…) for the function"
            raise words.fail(f"{word} is a parameter and stands before a parenthesis", token, both)
        # A function name is always the function, even before a letter: `sin x` is no product.
        if word in SPELLINGS and (called or word not in _ONLY_CALLED):
            return [self._function(index, token, SPELLINGS[word])]
        if match := _LOGARITHM.fullmatch(word):
            return [replace(token, kind="LOGARITHM", text=match.group(1) or match.group(2))]
        if called and (match := _BESSEL.fullmatch(word)):
            return [replace(token, kind="BESSEL", text=match.group(1))]
        # A variable called nan or inf is a number that was pasted into the formula.
        if word.lower() in _NOT_NUMBERS:
            raise words.fail(f"{word} is not a number to compute with", token)
        if word in ("π", "pi") or (word in ("PI", "Pi") and not words.known):
            if word == "Pi":
                words.note("Pi is read as π")
            return [replace(token, kind="CONSTANT", text="π")]
        if word == "e":
            return [replace(token, kind="CONSTANT")]
        return self._foreign(index, token, called)

    def _follows_operand(self, index: int) -> bool:
        """Tell whether a value stands before a word, so that if (…) and mod (…) are no functions there."""
        before = self.tokens[index - 1].kind if index else ""
        return before in ("NUMBER", "WORD", "NAME", "CONSTANT", "CLOSE", "BANG", "BAR", "DEGREE", "AMPERSAND")

    def _foreign(self, index: int, token: Token, called: bool) -> list[Token] | None:
        """Return the function that another language or program calls by a word."""
        word, words = token.text, self.words
        operand = called or (word not in ("power", "pow") and self._begins_operand(index))
        if word in SAME and (operand if word in ONLY_CALLED else True):
            if word != SAME[word]:
                words.note(f"{word} is read as {SAME[word]}")
            return [self._function(index, token, SAME[word])]
        if not called or len(word) < 2:
            return None
        lower = word.lower()
        # ATAN(x) of a spreadsheet, Sin[x] of Mathematica. Atan(x) may be A·tan(x) as well.
        if word != lower and (lower in SPELLINGS or lower in SAME) and lower not in _ONLY_CALLED - {"power", "gamma"}:
            same = SPELLINGS.get(lower) or SAME[lower]
            if not word.isupper() and lower[1:] in SPELLINGS and len(lower) > 3:
                hint = f"write {word[0]}·{lower[1:]}(…) for a product, or {lower}(…) for the function"
                raise words.fail(f"{word}(…) can be {lower}(…) or {word[0]}·{lower[1:]}(…)", token, hint)
            words.note(f"{word} is read as {same}")
            return [self._function(index, token, same)]
        return None

    def _begins_operand(self, index: int) -> bool:
        following = self.following(index)
        return following is not None and following.kind in ("WORD", "NUMBER", "CONSTANT")

    def _function(self, index: int, token: Token, name: str) -> Token:
        """Return a word as a function token, after checking that an argument follows."""
        following = self.following(index)
        if following is None or following.kind in {"PLUS", "TIMES", "SLASH", "CLOSE", "COMMA", "EQUALS", "RELATION"}:
            raise self.words.fail(
                f"{token.text} is a function and needs an argument", token, hint=f"write {token.text}(x)"
            )
        if token.text == "log" and following.kind != "SUBSCRIPT":
            self.words.note("log is the natural logarithm; write log10 for the decimal one")
        return replace(token, kind="FUNCTION", text=name)

    def _check_letter(self, index: int, token: Token) -> None:
        """Raise for f(x) and H(x), which can be functions, where the argument is a name."""
        inside = self.tokens[index + 2 : index + 4]
        is_name = len(inside) > 1 and inside[0].kind == "WORD" and inside[1].kind in ("CLOSE", "COMMA")
        # The unit step is applied to differences: H(x - 1).
        if not is_name and token.text not in ("H", "Θ"):
            return
        refused = refusal_of_letter(token.text, inside[0].text if is_name else "…")
        if refused is not None and self.words.declared is None and token.text not in self.words.columns:
            raise self.words.fail(refused[0], token, refused[1])

    # Products and names.

    def _name_or_product(self, index: int, token: Token, called: bool) -> list[Token]:
        word, words = token.text, self.words
        letters = (*words.known, *CONSTANTS) if words.declared is not None else (*words.known, *_UNDECLARED, *CONSTANTS)
        applies = self._applies(index)
        pieces = _pieces(word, letters, applies)
        if pieces is not None:
            return self._split(index, token, pieces)
        before_power = (following := self.following(index)) is not None and following.kind == "POWER"
        pieces = self._product(word, before_power, applies)
        if pieces is not None and words.text[token.position : token.position + 1] == "\\" and words.declared is None:
            # \mathrm{Re} is one name, set upright, but Re is printed and read again as R·e.
            hint = f"declare it in a header, f({word}) = …, or write {'·'.join(pieces)} for a product"
            raise words.fail(f"{word}, set upright, is one name, and without a header a product", token, hint)
        if pieces is not None and not (called and words.declared is None and pieces[-1] not in SPELLINGS):
            return self._split(index, token, pieces)
        self._check_run_together(token)
        if words.declared is not None:
            raise self._undeclared(token, called)
        if called and len(_units(word) or _letters(word)) > 1 and not _EXTREME.fullmatch(word):
            raise self._uncallable(token, pieces)
        if len(_letters(word)) > 1 and word not in words.columns:
            units = "·".join(_UNIT.findall(word.replace("Δ", "Δ ", 1))) if words.alone else ""
            spelled = f"; write {units} for a product" if units and len(_letters(word)) <= 5 else ""
            words.note(f"{word} is read as one name{spelled}")
        return [replace(token, kind="NAME")]

    def _applies(self, index: int) -> Callable[[str], bool]:
        """Return whether a function at the end of a word has an argument: `ksin(x)` is k·sin(x), Vmax·S has no max."""
        following, called = self.following(index), self._is_called(index)
        if following is None or following.kind in _AFTER_NAMES:
            return lambda function: False
        return lambda function: function not in ("max", "min") or (called and self._has_comma(index + 1))

    def _has_comma(self, opening: int) -> bool:
        """Return whether a parenthesis holds several arguments."""
        depth = 0
        for token in self.tokens[opening:]:
            depth += {"OPEN": 1, "CLOSE": -1}.get(token.kind, 0)
            if depth == 0:
                return False
            if depth == 1 and token.kind == "COMMA":
                return True
        return False

    def _product(self, word: str, before_power: bool, applies: Callable[[str], bool]) -> list[str] | None:
        """Return the letters of a word that is a product of them; None if it is one name."""
        known, words = {*self.words.known, *_UNDECLARED}, self.words
        ends = (word[cut:] for cut in (1, 2, 3, 4))
        suffix = next((end for end in ends if _is_common_function(end) and applies(end)), None)
        if suffix is not None and (units := _units(word.removesuffix(suffix))) and len(units) <= _MOST_PRODUCT:
            return [*units, suffix]
        units = _units(word)
        if units and "Δ" in word[1:]:  # no word: TΔS is T·ΔS
            return units
        if units is None or len(units) < 2 or _letters(word) in LETTER_OF or word.startswith("Δ"):
            return None
        unknown = [unit for unit in units if unit not in known and not (unit == "e" and before_power)]
        # Euler's number: N₀e^(-λt), also over a table.
        if before_power and units[-1] == "e" and (len(units) == 2 or len(unknown) < 2) and len(units) <= 3:
            return units
        if words.declared is not None:
            return None
        if words.columns:
            has_column = any(unit in words.known for unit in units)
            return units if len(units) == 2 and has_column else None
        parts = re.findall(rf"[{LETTERS}]+[^{LETTERS}]*", re.sub(r"_([A-Za-z])", r"_\1 ", word))
        separated = all(len(_letters(part)) <= _MOST_PRODUCT for part in parts) and "_" in word
        every = all(unit in self.single for unit in units)
        return units if len(units) <= _MOST_PRODUCT or separated or every or len(unknown) < 2 else None

    def _split(self, index: int, token: Token, pieces: list[str]) -> list[Token]:
        """Return the parts of a word as separate tokens."""
        if len(pieces) > 1:
            self.words.note(f"{token.text} is read as {'·'.join(pieces)}")
        parts, position = [], token.position
        for piece in pieces:
            own = piece in self.words.known
            part = Token("NAME", piece, position)
            if piece in SPELLINGS and not own and not _UNIT.fullmatch(piece):
                part = self._function(index, replace(part, text=piece), SPELLINGS[piece])
            elif piece in CONSTANTS and not own:
                part = replace(part, kind="CONSTANT")
            parts.append(part)
            position += len(piece)
        return parts

    # Errors.

    def _check_run_together(self, token: Token) -> None:
        """Raise for a function joined to its argument: sinx, exp2x, xsinx."""
        known = {*self.words.known, *(() if self.words.declared is not None else _UNDECLARED), *CONSTANTS}
        # Longest first, so that sinhx is reported as sinh(x), not sin(hx).
        for function in sorted(_RUN_TOGETHER, key=len, reverse=True):
            before, joined, argument = token.text.partition(function)
            letters = argument.lstrip("0123456789")
            if not joined or not (_pieces(letters, known) or _GREEK.fullmatch(letters) or _runs_on(letters, known)):
                continue
            units = [] if not before else _pieces(before, known) or _units(before)
            if units is None or len(units) > _MOST_PRODUCT:
                continue
            hint = f"write {'·'.join([*units, f'{function}({argument})'])}"
            if function == "log" and argument.startswith(("2", "10")) and letters:
                base = argument.removesuffix(letters)
                hint += f", or log{base}({letters}) for the base {base}" if base in ("2", "10") else ""
            raise self.words.fail(f"{token.text} is one word; write a function's argument in parentheses", token, hint)

    def _undeclared(self, token: Token, called: bool) -> FormulaError:
        """Return the error for a name that the header does not declare."""
        words, declared = self.words, self.words.declared or ()
        if token.text == words.name:
            # Otherwise the advice would be to declare a function as its own variable.
            message = f"{token.text} stands on both sides: a formula cannot contain its own value"
            raise words.fail(message, token, "bring it to one side, or give one of them another name")
        candidates = [*declared, *words.columns, *(SPELLINGS if called else ())]
        close = near(token.text, candidates) or (nearest(token.text, candidates) if len(token.text) >= 4 else None)
        listed = ", ".join([*declared, *words.columns]) or "no names"
        message = f"{token.text} is not declared; the formula has {listed}"
        if close:
            return words.fail(message, token, f"did you mean {close}?")
        return words.fail(
            message,
            token,
            f"declare every variable in the header: {words.name or 'f'}({', '.join(self._all_names())}) = …",
        )

    def _all_names(self) -> Iterator[str]:
        """Yield the declared names and those that a header would have to declare as well."""
        declared = self.words.declared or ()
        yield from declared
        seen = {*declared, *self.words.columns, *self.words.indices, *CONSTANTS, "pi"}
        for token in self.tokens:
            if token.kind != "WORD" or token.text in KEYWORDS or self._known(token.text):
                continue
            if token.text in SPELLINGS and token.text not in self.bare:
                continue
            units = _units(token.text) or [token.text]
            for unit in units if len(units) <= _MOST_PRODUCT or units[-1] == "e" else [token.text]:
                if unit not in seen:
                    seen.add(unit)
                    yield unit

    def _uncallable(self, token: Token, pieces: list[str] | None) -> FormulaError:
        """Return the error for a name of several letters before a parenthesis, which is no function."""
        close = near(token.text, [name for name in SPELLINGS if len(name) > 2])
        if close is not None:
            return self.words.fail(f"there is no function {token.text}", token, hint=f"did you mean {close}?")
        product = "·".join(pieces or [token.text])
        return self.words.fail(f"there is no function {token.text}", token, hint=f"write {product}·(…) for a product")


def _pieces(
    word: str, known: Collection[str], applies: Callable[[str], bool] = lambda function: True
) -> list[str] | None:
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
        if start > 0 and _is_common_function(word[start:]) and applies(word[start:]):
            reached.setdefault(len(word), [*reached[start], word[start:]])
    pieces = reached.get(len(word))
    # `ee` and `eπ` are names rather than products of constants.
    if pieces is None or all(piece in CONSTANTS for piece in pieces):
        return None
    return pieces


def _runs_on(word: str, known: Collection[str]) -> bool:
    """Tell whether a word goes on with a further function and its argument: x, sin and x of cosxsinx."""
    for function in _RUN_TOGETHER:
        before, joined, argument = word.partition(function)
        if joined and _pieces(before, known) and (_pieces(argument, known) or _runs_on(argument, known)):
            return True
    return False


def _is_common_function(word: str) -> bool:
    """Tell whether a word is a function that letters may stand before: xsin(x), kln(t)."""
    return len(word) > 1 and word in SPELLINGS and word not in _ONLY_CALLED and word not in (*REDUCTIONS, "step", "lg")


def _known_word(word: str) -> bool:
    """Tell whether a word means something of its own."""
    return word in SPELLINGS or word in SAME or word in KEYWORDS or word in _CHOICES or refusal(word) is not None


def _units(word: str) -> list[str] | None:
    """Return the single letters of a word, each with its index: N₀e is N₀, e; None for a word that is not made so."""
    units = _UNIT.findall(word)
    return units if units and "".join(units) == word else None


def _letters(word: str) -> str:
    """Return the letters of a word without subscript and digits."""
    return word.partition("_")[0].rstrip("0123456789½")


def _plain(name: str) -> str:
    return name.replace("_", "")
