"""Classify words: a word is a name, a constant, a function, or a product of names.

The rules follow textbook usage:

  - a header declares the names; any other name is an error;
  - a word is a declared name, else a known function or constant, else a product if all its parts are declared (x, y
    and z if there is no header), else a single name;
  - `name(` is a call only for known functions, so `2x(x + 1)` is a product.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from downslope._errors import FormulaError, nearest
from downslope.formulas._functions import SPELLINGS
from downslope.formulas._tokens import Token

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
