"""What the nodes of a graph are called, and how a derivative by one of them is written."""

from __future__ import annotations

import re
from collections.abc import Collection

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS = ("z", "u", "v", "s", "t", "q")
_RESULTS = ("f", "L", "F", "G")
_PLAIN = re.compile(r"[\w′']+")


def free_letter(names: Collection[str]) -> str:
    """Return a letter that no name begins with, so that with a number it names a node.

    >>> free_letter({"w", "x"}), free_letter({"z_1"})
    ('z', 'u')
    """
    letters = (*_LETTERS, *("z" * count for count in range(2, 2 + len(names))))
    return next((one for one in letters if not _begins_any(one, names)), "node")


def free_result(wanted: str, names: Collection[str]) -> str:
    """Return what the result is called: as wanted, or by another letter where a part of the point has that name."""
    choices = (wanted, *_RESULTS, *(f"{wanted}_{count}" for count in range(len(names) + 1)))
    return next(one for one in choices if one not in names)


def numbered(letter: str, number: int) -> str:
    """Return a letter with a subscript: z₁₂."""
    return letter + str(number).translate(_SUBSCRIPTS)


def printable(text: str) -> str:
    """Return a text on one line, without characters that cannot be shown."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def shortened(text: str, length: int) -> str:
    """Return a text cut to so many characters, its end marked where it was cut."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the shape of an array: (3) or (3, 2)."""
    return f"({', '.join(map(str, shape))})"


def partial(above: str, below: str) -> str:
    """Return a derivative as it is written: ∂L/∂w, with parentheses where a name is no plain word.

    >>> partial("L", "layers/0/weight")
    '∂L/∂(layers/0/weight)'
    """
    return f"∂{_grouped(above)}/∂{_grouped(below)}"


def _grouped(name: str) -> str:
    """Return a name, in parentheses if it is more than a word."""
    return name if _PLAIN.fullmatch(name) else f"({name})"


def _begins_any(letter: str, names: Collection[str]) -> bool:
    return any(name.startswith(letter) for name in names)
