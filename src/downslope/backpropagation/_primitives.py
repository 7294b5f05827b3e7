"""JAX's primitives in the words and signs of a textbook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from downslope._text import number
from downslope.backpropagation._notation import shape_text

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
# The local derivative by each input a, b of a result z; the same for each entry of an array.
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


def kind_of(primitive: str, settings: Mapping[str, Any]) -> str:
    """Return what an operation does, in a word or two.

    >>> kind_of("integer_pow", {"y": 2}), kind_of("dot_general", {}), kind_of("cumlogsumexp", {})
    ('square', 'matrix product', 'cumlogsumexp')
    """
    if primitive == "integer_pow":
        return {2: "square", 3: "cube"}.get(settings["y"], "power")
    return _WORDS.get(primitive, primitive.strip("_").replace("_", " "))


def written(primitive: str, settings: Mapping[str, Any], inputs: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """Return an operation on its inputs as a text, with how tightly its sign binds.

    Args:
        primitive: its name.
        settings: its parameters.
        inputs: the texts of its inputs, with how tightly each binds.

    >>> written("mul", {}, [("x", 2), ("y + 1", 0)])
    ('x·(y + 1)', 1)
    """
    texts = [text for text, _ in inputs]
    if primitive in _BETWEEN and len(inputs) == 2:
        sign, rank = _BETWEEN[primitive]
        first, second = (_inside(one, least) for one, least in zip(inputs, (rank, rank + 1), strict=True))
        return f"{first}{sign}{second}", rank
    if primitive == "neg":
        return f"-{_inside(inputs[0], _PRODUCT)}", _SUM
    if primitive in ("integer_pow", "square"):
        power = str(settings.get("y", 2)).translate(_SUPERSCRIPTS)
        return f"{_inside(inputs[0], _ATOM)}{power}", _PRODUCT
    return f"{_CALLED.get(primitive, primitive)}({', '.join(texts)})", _ATOM


def atom(text: str) -> tuple[str, int]:
    """Return the text of a name, which needs no parentheses."""
    return text, _ATOM


def constant(value: Any) -> tuple[str, int]:
    """Return a constant's text: its number, or its shape."""
    shape = getattr(value, "shape", ())
    if shape != ():
        return f"constant{shape_text(shape)}", _ATOM
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return str(bool(value)).lower(), _ATOM
    try:
        shown = number(float(value)).replace("−", "-")
    except (TypeError, ValueError):
        return "constant", _ATOM
    return shown, _SUM if shown.startswith("-") else _ATOM


def partial_texts(primitive: str, settings: Mapping[str, Any], inputs: Sequence[str], own: str) -> list[str] | None:
    """Return the local derivative by each input in symbols, or None where it has no short form."""
    if primitive == "integer_pow":
        power = settings["y"] - 1
        raised = str(power).translate(_SUPERSCRIPTS) if power != 1 else ""
        return [f"{settings['y']}{_grouped(inputs[0])}{raised}"]
    if primitive not in _PARTIALS or len(_PARTIALS[primitive]) != len(inputs):
        return None
    letters = dict(zip("ab", map(_grouped, inputs), strict=False))
    return [form.format(z=own, **letters) for form in _PARTIALS[primitive]]


def _grouped(text: str) -> str:
    """Return an input's text, in parentheses if it begins with a sign."""
    return f"({text})" if text.startswith("-") else text


def _inside(one: tuple[str, int], least: int) -> str:
    """Return a text, in parentheses if it binds less tightly than needed."""
    text, rank = one
    return text if rank >= least else f"({text})"
