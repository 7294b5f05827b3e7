"""The surroundings of a formula: LaTeX delimiters, a closing full stop, and the header with its variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from downslope._errors import FormulaError
from downslope.formulas.expressions import SPELLINGS
from downslope.formulas.reading._building import DEEPEST
from downslope.formulas.reading._letters import Token
from downslope.formulas.reading._tokens import KEYWORDS

_PUNCTUATION = ("PERIOD", "COMMA", "SEMICOLON", "COLON", "ROW")
_CHOOSES = ("RELATION", "AMPERSAND", "ROW")
_SEPARATES = ("COMMA", "SEMICOLON", "BAR")
# f(x) = x² stands beside {\displaystyle f(x)=x^{2}} where a page shows it twice.
_TWICE = re.compile(r"\S\s*\{\\displaystyle")


# The left side of xy = 1 is a product, and no name.
_USUAL_PRODUCT = re.compile("[xyz]{2,3}")


class LeftSide(NamedTuple):
    """The left side of a formula, and the tokens of its right side.

    Args:
        name: the formula's name, or None.
        declared: its variables, or None without a list of them.
        body: the right side.
        note: a remark on how the left side was read, or "".
    """

    name: str | None
    declared: tuple[str, ...] | None
    body: list[Token]
    note: str = ""


def unwrapped(tokens: list[Token], text: str) -> list[Token]:
    """Return the tokens without delimiters around the formula and punctuation after it.

    Raises:
        FormulaError: for signs that have a meaning elsewhere only.
    """
    if _TWICE.search(text):
        raise FormulaError(
            "text stands before {\\displaystyle …}",
            hint="the page copied the formula as text and as LaTeX: keep one of the two",
        )
    tokens = _without_idle_braces(tokens)
    if tokens and tokens[0].kind == "EQUALS" and len(tokens) > 1:  # =A*EXP(-x) of a spreadsheet
        tokens = tokens[1:]
    while tokens:
        if tokens[-1].kind in _PUNCTUATION:
            tokens = tokens[:-1]
        elif _is_wrapped(tokens):
            tokens = tokens[1:-1]
        else:
            break
    depth, output = 0, []
    for index, token in enumerate(tokens):
        depth += (token.kind == "OPEN") - (token.kind == "CLOSE")
        # f(x) &= x² of an aligned environment.
        if (
            depth == 0
            and token.kind == "AMPERSAND"
            and "EQUALS" in {t.kind for t in tokens[max(index - 1, 0) : index + 2]}
        ):
            continue
        if depth == 0 and token.kind == "ROW":
            raise _fail("a formula is one line", text, token, "read each line by itself")
        if token.kind == "PERIOD":
            raise _fail("'.' has no meaning here", text, token, "write · for a product and 0.5 for a number")
        output.append(token)
    return output


def _without_idle_braces(tokens: list[Token]) -> list[Token]:
    """Return a sign that was typed as a power as such a sign, 30^°, f^{'}, and a keyword without braces: {if}."""
    output: list[Token] = []
    index = 0
    while index < len(tokens):
        following = [token.kind for token in tokens[index : index + 4]]
        marks = {"DEGREE", "PRIME"}
        if following[:1] == ["POWER"] and len(following) > 1 and following[1] in marks:
            index += 1
        elif following == ["POWER", "OPEN", *following[2:3], "CLOSE"] and following[2] in marks:
            output.append(tokens[index + 2])
            index += 4
            continue
        elif following[:3] == ["OPEN", "WORD", "CLOSE"] and tokens[index + 1].text in (*KEYWORDS, "where"):
            output.append(tokens[index + 1])
            index += 3
            continue
        elif following[:3] == ["WORD", "OPEN", "CLOSE"] and tokens[index].text.lower() == "pi":  # PI() of a spreadsheet
            output.append(tokens[index])
            index += 3
            continue
        output.append(tokens[index])
        index += 1
    return output


def _is_wrapped(tokens: list[Token]) -> bool:
    """Tell whether braces that mean nothing stand around the whole formula."""
    if tokens[0].text != "{" or tokens[0].kind != "OPEN" or tokens[-1].text != "}":
        return False
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.kind == "OPEN") - (token.kind == "CLOSE")
        if depth == 0 and index < len(tokens) - 1:
            return False
        is_choice = token.kind in _CHOOSES or (token.kind == "WORD" and token.text in ("if", "otherwise", "for"))
        if depth == 1 and is_choice:
            return False
    return True


def header(text: str, tokens: list[Token]) -> LeftSide:
    """Split tokens into the formula's name, its declared variables, and the right side."""
    arrow = _by_arrow(tokens)
    if arrow is not None:
        return arrow
    equals = next(_equals_signs(tokens), None)
    if equals is None:
        return LeftSide(None, None, tokens)
    left, right = tokens[:equals], tokens[equals + 1 :]
    second = next(_equals_signs(right), None)
    if second is not None and len(left) == 1 and left[0].kind == "WORD" and _is_header(right[:second]):
        return header(text, right)  # y = f(x) = x²
    if second is not None:
        raise _fail("a formula has at most one equals sign", text, right[second])
    return _of_left_side(text, left, right, tokens[equals])


def _is_header(left: list[Token]) -> bool:
    """Tell whether tokens are a name with a list of variables."""
    name, rest = _name(left)
    is_list = name is not None and len(rest) > 2 and rest[0].kind == "OPEN" and rest[-1].kind == "CLOSE"
    return is_list and _names(rest[1:-1]) is not None


def _equals_signs(tokens: Sequence[Token]):
    """Yield the indices of equals signs outside of parentheses and conditions."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.kind == "OPEN") - (token.kind == "CLOSE")
        if token.kind == "WORD" and token.text in ("if", "for", "when", "where") and depth == 0:
            return
        if token.kind == "EQUALS" and depth == 0:
            yield index


def _by_arrow(tokens: list[Token]) -> LeftSide | None:
    """Return the header of x ↦ x², f: x ↦ x² or lambda x: x**2; None for any other text."""
    kinds = [token.kind for token in tokens]
    match kinds:
        case ["WORD", "ARROW", *_]:
            return LeftSide(None, (tokens[0].text,), tokens[2:])
        case ["WORD", "COLON", "WORD", "ARROW", *_]:
            return LeftSide(tokens[0].text, (tokens[2].text,), tokens[4:])
    if kinds[:1] == ["WORD"] and tokens[0].text in ("lambda", "λ") and "COLON" in kinds:
        colon = kinds.index("COLON")
        names = _names(tokens[1:colon])
        if names is not None:
            return LeftSide(None, names, tokens[colon + 1 :])
    return None


def _of_left_side(text: str, left: list[Token], right: list[Token], equals: Token) -> LeftSide:
    """Return the header of a left side: a name, a name with its variables, or the name of a derivative."""
    note = ""
    name, rest = _name(left)
    if name is not None and ("'" in name or "/" in name):
        note = f"{name} is the name of this formula, which is its right side; derive gives its derivative"
    if name is not None and not rest and not _USUAL_PRODUCT.fullmatch(name):
        return LeftSide(name, None, right, note)
    if left and left[0].text in SPELLINGS and (len(left) < 2 or left[1].kind != "OPEN" or left[0].text != "gamma"):
        raise _fail(
            f"the left side is the function {left[0].text}, not a name",
            text,
            left[0],
            "give the formula a name of its own: y = …",
        )
    if name is not None and len(rest) > 2 and rest[0].kind == "OPEN" and rest[-1].kind == "CLOSE":
        declared = _names(rest[1:-1])
        if declared is not None:
            for token in rest[1:-1]:
                if declared.count(token.text) > 1:
                    raise FormulaError(f"{token.text} is declared twice", text=text, position=token.position)
            return LeftSide(name, declared, right, note)
    where = left[0].position if left else equals.position
    raise FormulaError(
        "the left side of the equals sign is neither a name nor a name with its variables",
        text=text,
        position=where,
        width=max(1, equals.position - where),
        hint="a header is y = … or f(x, y) = …; for dy/dx on the curve of an equation use derive(…, implicit='y')",
    )


def _name(left: list[Token]) -> tuple[str | None, list[Token]]:
    """Return the name at the beginning of a left side, and what follows it."""
    if not left:
        return None, left
    if (quotient := _derivative_name(left)) is not None:
        return quotient, []
    if left[0].kind not in {"WORD", "CONSTANT"}:
        return None, left
    primes = 1
    while primes < len(left) and left[primes].kind == "PRIME":
        primes += 1
    marks = "".join("''" if token.text == "''" else "'" for token in left[1:primes])
    return left[0].text + marks, left[primes:]


def _derivative_name(left: list[Token]) -> str | None:
    """Return dy/dx, ∂f/∂x or the same as a LaTeX fraction as a name; None for any other left side."""
    letters = "".join(token.text for token in left if token.kind not in ("OPEN", "CLOSE", "FRACTION", "SLASH"))
    kinds = {token.kind for token in left}
    is_quotient = bool(kinds & {"SLASH", "FRACTION"}) and kinds <= {"WORD", "OPEN", "CLOSE", "FRACTION", "SLASH"}
    match = re.fullmatch(r"([d∂])(\w)\1(\w)", letters)
    return f"{match[1]}{match[2]}/{match[1]}{match[3]}" if is_quotient and match else None


def _names(tokens: Sequence[Token]) -> tuple[str, ...] | None:
    """Return the names of a list with separators between them; None for any other tokens."""
    if len(tokens) % 2 == 0:
        return None
    for index, token in enumerate(tokens):
        if token.kind not in (_SEPARATES if index % 2 else ("WORD",)):
            return None
    return tuple(token.text for token in tokens[::2])


def marked_derivatives(tokens: list[Token], known: Sequence[str], text: str) -> list[Token]:
    """Return the tokens with d/dx, ∂/∂x and their LaTeX forms as one token DERIVATIVE, whose text is the variable.

    Raises:
        FormulaError: for the derivative of a name, as in df/dx, which the formula does not define.
    """
    if "d" in known:
        return tokens
    output: list[Token] = []
    index = 0
    while index < len(tokens):
        match = _derivative_at(tokens, index, text)
        if match is None:
            output.append(tokens[index])
            index += 1
        else:
            token, inside, index = match
            output += [token, *inside]
    return output


_LOWER = re.compile(r"([d∂])(.+)")


def _derivative_at(tokens: list[Token], index: int, text: str) -> tuple[Token, list[Token], int] | None:
    """Return the derivative that begins at an index: its token, what it applies to already, and the index after it."""
    begun = tokens[index]
    if begun.kind == "FRACTION":
        # Braces inside braces are each searched for their end: only those that begin with a d are, and not too deep.
        if index + 2 >= len(tokens) or tokens[index + 2].text[:1] not in ("d", "∂"):
            return None
        above, after = _braces(tokens, index + 1)
        below, after = _braces(tokens, after)
    elif begun.kind == "WORD" and begun.text[:1] in ("d", "∂"):
        slash, last = index + 1, min(index + 7, len(tokens))
        while slash < last and tokens[slash].kind not in ("SLASH", "PLUS", "MINUS", "TIMES"):
            slash += 1
        if slash == last or tokens[slash].kind != "SLASH":
            return None
        above, after = tokens[index:slash], slash + 1
        below = []
        while after < len(tokens) and tokens[after].kind == "WORD" and _is_below(tokens, after, begun.text[0]):
            taken = 2 if tokens[after].text == "∂" else 1
            taken += _power_length(tokens, after + taken)
            below += tokens[after : after + taken]
            after += taken
    else:
        return None
    variables = _variables(below)
    if not variables or not above or above[0].kind != "WORD" or above[0].text[:1] != below[0].text[0]:
        return None
    order, rest = _order(above)
    if order is None:
        return None
    if order != len(variables):
        raise _fail("the order above and below the line of a derivative differ", text, begun)
    if len(rest) == 1 and rest[0].kind == "WORD":
        mark, name, by = below[0].text[0], rest[0].text, variables[0]
        raise _fail(
            f"{mark}{name}/{mark}{by} is the derivative of {name}, which this formula does not define",
            text,
            begun,
            f"write the formula alone and derive it, or {mark}/{mark}{by} in front of it",
        )
    inside = (
        [Token("OPEN", "(", begun.position, True), *rest, Token("CLOSE", ")", begun.position, True)] if rest else []
    )
    return Token("DERIVATIVE", ",".join(variables), begun.position), inside, after


def _is_below(tokens: list[Token], index: int, mark: str) -> bool:
    """Tell whether dx or ∂x begins at an index."""
    text = tokens[index].text
    if text == "∂":
        return mark == "∂" and index + 1 < len(tokens) and tokens[index + 1].kind == "WORD"
    return mark == "d" and text[0] == "d" and len(text) > 1


def _power_length(tokens: list[Token], index: int) -> int:
    """Return how many tokens a power at an index has."""
    if index >= len(tokens) or tokens[index].kind != "POWER":
        return 0
    if index + 1 < len(tokens) and tokens[index + 1].kind == "OPEN":
        return 4 if index + 3 < len(tokens) and tokens[index + 3].kind == "CLOSE" else 0
    return 2 if index + 1 < len(tokens) else 0


def _braces(tokens: list[Token], index: int) -> tuple[list[Token], int]:
    """Return what braces at an index hold, and the index after them."""
    if index >= len(tokens) or tokens[index].kind != "OPEN":
        return [], index
    depth = 0
    for stop in range(index, len(tokens)):
        depth += (tokens[stop].kind == "OPEN") - (tokens[stop].kind == "CLOSE")
        if depth == 0:
            return tokens[index + 1 : stop], stop + 1
        if depth > DEEPEST:
            break
    return [], index


def _variables(below: list[Token]) -> list[str]:
    """Return the variables of a denominator: dx is x, ∂x∂y is x, y, dx² is x twice; none for any other."""
    variables: list[str] = []
    index = 0
    while index < len(below):
        token = below[index]
        index += 1
        if token.kind != "WORD" or token.text[:1] not in ("d", "∂"):
            return []
        name = token.text[1:]
        if not name:
            if index >= len(below) or below[index].kind != "WORD":
                return []
            name = below[index].text
            index += 1
        length = _power_length(below, index)
        count = below[index + (2 if length == 4 else 1)].text if length else "1"
        if not count.isdigit() or not 1 <= int(count) <= 4:
            return []
        variables += [name] * int(count)
        index += length
    return variables


def _order(above: list[Token]) -> tuple[int | None, list[Token]]:
    """Return the order of a derivative from its numerator, and what the numerator holds beside it."""
    head = above[0]
    if head.text in ("d", "∂"):
        length = _power_length(above, 1)
        order = above[1 + (2 if length == 4 else 1)].text if length else "1"
        return (int(order) if order.isdigit() else None), above[1 + length :]
    # df is one word.
    if head.text[0] == "d" and len(above) == 1:
        return 1, [replace(head, text=head.text[1:])]
    return None, []


def _fail(message: str, text: str, token: Token, hint: str | None = None) -> FormulaError:
    return FormulaError(message, text=text, position=token.position, width=max(1, len(token.text)), hint=hint)
