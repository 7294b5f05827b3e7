"""Textbook notation for graphs: node labels, derivatives, values, and the names and signs of JAX's primitives."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from downslope._text import number

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS = ("z", "u", "v", "s", "t", "q")
_RESULTS = ("f", "L", "F", "G")
_PLAIN = re.compile(r"[\w′']+")


_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUM, _PRODUCT, _ATOM = range(3)

_WORDS = {
    "abs": "absolute value",
    "add": "sum",
    "add_any": "sum",
    "broadcast_in_dim": "broadcast",
    "concatenate": "joined",
    "conv_general_dilated": "convolution",
    "convert_element_type": "conversion",
    "cumsum": "running sum",
    "div": "quotient",
    "dot_general": "matrix product",
    "exp": "exponential",
    "log": "logarithm",
    "logistic": "sigmoid",
    "max": "maximum",
    "min": "minimum",
    "mul": "product",
    "neg": "negative",
    "pow": "power",
    "reduce_max": "largest",
    "reduce_min": "smallest",
    "reduce_prod": "product of all",
    "reduce_sum": "sum of all",
    "rsqrt": "reciprocal root",
    "select_n": "choice",
    "sqrt": "root",
    "square": "square",
    "sub": "difference",
}
_CALLED = {
    "dot_general": "matmul",
    "broadcast_in_dim": "broadcast",
    "convert_element_type": "convert",
    "log": "ln",
    "logistic": "sigmoid",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "select_n": "choose",
}
_BETWEEN = {
    "add": (" + ", _SUM),
    "add_any": (" + ", _SUM),
    "sub": (" - ", _SUM),
    "mul": ("·", _PRODUCT),
    "div": ("/", _PRODUCT),
    "dot_general": (" @ ", _PRODUCT),
}
# The local derivative by each input a, b of a result z, for elementwise primitives.
_PARTIALS: dict[str, tuple[str, ...]] = {
    "abs": ("sign({a})",),
    "add": ("1", "1"),
    "add_any": ("1", "1"),
    "cos": ("-sin({a})",),
    "cosh": ("sinh({a})",),
    "div": ("1/{b}", "-{z}/{b}"),
    "exp": ("{z}",),
    "expm1": ("{z} + 1",),
    "log": ("1/{a}",),
    "log1p": ("1/(1 + {a})",),
    "logistic": ("{z}·(1 - {z})",),
    "mul": ("{b}", "{a}"),
    "neg": ("-1",),
    "pow": ("{b}·{z}/{a}", "{z}·ln({a})"),
    "relu": ("step({a})",),
    "rsqrt": ("-{z}/(2{a})",),
    "sin": ("cos({a})",),
    "sinh": ("cosh({a})",),
    "sqrt": ("1/(2{z})",),
    "square": ("2{a}",),
    "stop_gradient": ("0",),
    "sub": ("1", "-1"),
    "tan": ("1 + {z}²",),
    "tanh": ("1 - {z}²",),
}


def free_letter(names: Collection[str]) -> str:
    """Return a letter that no name begins with, as the prefix of node labels.

    >>> free_letter({"w", "x"}), free_letter({"z_1"})
    ('z', 'u')
    """
    # z_1 as a user's name would look like the label z₁.
    letters = (*_LETTERS, *("z" * count for count in range(2, 2 + len(names))))
    return next((choice for choice in letters if not _begins_any(choice, names)), "node")


def free_result(wanted: str, names: Collection[str]) -> str:
    """Return the label of the result: the wanted label, or another letter if a part of the point has that name."""
    # With n names, one of n + 1 numbered candidates must be free.
    choices = (wanted, *_RESULTS, *(f"{wanted}_{count}" for count in range(len(names) + 1)))
    return next(choice for choice in choices if choice not in names)


def numbered(letter: str, number: int) -> str:
    """Return a letter with a subscript: z₁₂."""
    return letter + str(number).translate(_SUBSCRIPTS)


def printable(text: str) -> str:
    """Return a text with unprintable characters, line breaks included, replaced by �."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def shortened(text: str, length: int) -> str:
    """Return a text truncated to `length` characters, with an ellipsis if it is."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the shape of an array: (3) or (3, 2)."""
    return f"({', '.join(map(str, shape))})"


def partial(above: str, below: str) -> str:
    """Return a partial derivative in textbook notation: ∂L/∂w, with parentheses around names that are not words.

    >>> partial("L", "layers/0/weight")
    '∂L/∂(layers/0/weight)'
    """
    return f"∂{_in_parentheses(above)}/∂{_in_parentheses(below)}"


def _in_parentheses(name: str) -> str:
    """Return a name, in parentheses if it is not a plain word."""
    return name if _PLAIN.fullmatch(name) else f"({name})"


def _begins_any(letter: str, names: Collection[str]) -> bool:
    return any(name.startswith(letter) for name in names)


def is_number(value: np.ndarray) -> bool:
    """Return whether a value is a real scalar; other values are shown by their norms."""
    return value.ndim == 0 and not np.iscomplexobj(value)


def shown(array: np.ndarray) -> str:
    """Return a number, or the shape and norm of an array, as text."""
    return magnitude(array) if array.ndim == 0 else f"{shape_text(array.shape)}, {magnitude(array)}"


def magnitude(array: np.ndarray) -> str:
    """Return a number, or the norm of an array, as text."""
    return number(float(array)) if is_number(array) else f"norm {number(float(np.linalg.norm(array)), 4)}"


def kind_of(primitive: str, settings: Mapping[str, Any]) -> str:
    """Return the kind of an operation in a word or two.

    >>> kind_of("integer_pow", {"y": 2}), kind_of("dot_general", {}), kind_of("cumlogsumexp", {})
    ('square', 'matrix product', 'cumlogsumexp')
    """
    if primitive == "integer_pow":
        return {2: "square", 3: "cube"}.get(settings["y"], "power")
    return _WORDS.get(primitive, primitive.strip("_").replace("_", " "))


def written(primitive: str, settings: Mapping[str, Any], inputs: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """Return an operation applied to its inputs as text, and the precedence of that text.

    Args:
        primitive: the primitive's name.
        settings: the primitive's parameters.
        inputs: the inputs' texts with their precedences.

    >>> written("mul", {}, [("x", 2), ("y + 1", 0)])
    ('x·(y + 1)', 1)
    """
    texts = [text for text, _ in inputs]
    if primitive in _BETWEEN and len(inputs) == 2:
        sign, rank = _BETWEEN[primitive]
        # Left-associative: a - (b - c) needs parentheses on the right, (a - b) - c none on the left.
        first, second = (_inside(operand, least) for operand, least in zip(inputs, (rank, rank + 1), strict=True))
        return f"{first}{sign}{second}", rank
    if primitive == "neg":
        return f"-{_inside(inputs[0], _PRODUCT)}", _SUM
    if primitive in ("integer_pow", "square"):
        power = str(settings.get("y", 2)).translate(_SUPERSCRIPTS)
        return f"{_inside(inputs[0], _ATOM)}{power}", _PRODUCT
    return f"{_CALLED.get(primitive, primitive)}({', '.join(texts)})", _ATOM


def atom(text: str) -> tuple[str, int]:
    """Return a name with the precedence of an atom, which needs no parentheses."""
    return text, _ATOM


def constant(value: Any) -> tuple[str, int]:
    """Return a constant as text with its precedence: its value, or its shape."""
    shape = getattr(value, "shape", ())
    if shape != ():
        return f"constant{shape_text(shape)}", _ATOM
    # bool before float: True would print as 1.
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return str(bool(value)).lower(), _ATOM
    try:
        shown = number(float(value)).replace("−", "-")
    except (TypeError, ValueError):
        return "constant", _ATOM
    return shown, _SUM if shown.startswith("-") else _ATOM


def partial_texts(primitive: str, settings: Mapping[str, Any], inputs: Sequence[str], own: str) -> list[str] | None:
    """Return the local derivative by each input in symbols, or None if it has no short form."""
    if primitive == "integer_pow":
        # d(xⁿ)/dx = n·xⁿ⁻¹; an exponent of 1 is not written.
        power = settings["y"] - 1
        raised = str(power).translate(_SUPERSCRIPTS) if power != 1 else ""
        return [f"{settings['y']}{_signed_in_parentheses(inputs[0])}{raised}"]
    if primitive not in _PARTIALS or len(_PARTIALS[primitive]) != len(inputs):
        return None
    letters = dict(zip("ab", map(_signed_in_parentheses, inputs), strict=False))
    return [form.format(z=own, **letters) for form in _PARTIALS[primitive]]


def _signed_in_parentheses(text: str) -> str:
    """Return a text, in parentheses if it begins with a minus sign."""
    return f"({text})" if text.startswith("-") else text


def _inside(operand: tuple[str, int], least: int) -> str:
    """Return an operand's text, in parentheses if its precedence is below `least`."""
    text, rank = operand
    return text if rank >= least else f"({text})"
