"""Names of columns that are not single words: in backquotes, by their plain part, and parts of dates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from downslope._column_names import CALENDAR, plain_names, shared_part, typed
from downslope._errors import FormulaError, nearest
from downslope.formulas.expressions import SPELLINGS
from downslope.formulas.reading._letters import Token, lowered

QUOTED = "QUOTED"


def with_columns(tokens: list[Token], columns: Collection[str], text: str) -> list[Token]:
    """Return the tokens with those that name columns as names.

    `Time (s)` in backquotes is the column of this name, or of this plain part; the bare word Time is the column
    `Time (s)` where no other column begins so; month(date) is a column too where `date` holds dates.

    Raises:
        FormulaError: for backquotes around what is no column, and for a plain part that several columns have.
    """
    if not any(token.kind == QUOTED for token in tokens) and len(columns) == 0:
        return tokens
    parts = plain_names(columns)
    parts |= _with_lowered(columns, parts)
    named = [_named(token, _is_called(tokens, index), columns, parts, text) for index, token in enumerate(tokens)]
    return _with_dates(named, columns)


def _with_lowered(columns: Collection[str], parts: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the columns with lowered signs in their names by the word that the tokenizer makes of them: ε_1 of ε₁."""
    words: dict[str, tuple[str, ...]] = {}
    for name, named in [*((column, (column,)) for column in columns), *parts.items()]:
        word = name if name.isascii() else _written_out(name)
        if word != name and word not in columns and word not in parts:
            words[word] = (*words.get(word, ()), *named)
    return words


def _written_out(name: str) -> str:
    """Return a name with each run of lowered signs as a subscript: ε_1 for ε₁."""
    word, is_lowered = "", False
    for sign in name:
        plain = lowered(sign)
        word += sign if plain is None else plain if is_lowered else f"_{plain}"
        is_lowered = plain is not None
    return word


def _is_called(tokens: list[Token], index: int) -> bool:
    return index + 1 < len(tokens) and tokens[index + 1].kind == "OPEN"


def _named(
    token: Token, is_called: bool, columns: Collection[str], parts: dict[str, tuple[str, ...]], text: str
) -> Token:
    """Return a token as the name of a column, if it is one."""
    name = token.text
    if token.kind == QUOTED:
        # Without a table, backquotes make a variable of any text.
        if len(columns) == 0 or name in columns:
            return replace(token, kind="NAME")
        if name not in parts:
            # The suggestion is a name that works when it is typed: whole names are longer than what resembles them.
            close = nearest(name, columns) or next(iter(parts.get(nearest(name, parts) or "", ())), None)
            raise FormulaError(
                f"there is no column `{name}`; the table has {', '.join(typed(known) for known in columns)}",
                text=text,
                position=token.position,
                width=len(name) + 2,
                hint=f"did you mean {typed(close)}?" if close else None,
            )
    elif token.kind != "WORD" or name in columns or name not in parts or (is_called and name in SPELLINGS):
        return token
    if len(parts[name]) > 1:
        error = shared_part(name, parts[name])
        raise FormulaError(error.message, text=text, position=token.position, width=max(1, len(name)), hint=error.hint)
    return replace(token, kind="NAME", text=parts[name][0])


def _with_dates(tokens: list[Token], columns: Collection[str]) -> list[Token]:
    """Return the tokens with month(date) and its kin as one name each."""
    output: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        inside = tokens[index + 1 : index + 4]
        if (
            token.kind == "WORD"
            and token.text in CALENDAR
            and [piece.kind for piece in inside[::2]] == ["OPEN", "CLOSE"]
        ):
            name = f"{token.text}({inside[1].text})"
            if name in columns:
                output.append(replace(token, kind="NAME", text=name))
                index += 4
                continue
        output.append(token)
        index += 1
    return output
