"""What a book would print, and that it reads back."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from downslope._errors import FormulaError
from downslope.formulas import Formula, formula
from downslope.formulas.expressions import (
    Call,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    book,
    latex,
    with_numbers,
)

X, Y, W, SIZE = Name("x"), Name("y"), Name("w"), Name("size")
E = MathConstant("e")


def _whole(value: int) -> Number:
    return Number(Fraction(value))


@pytest.mark.parametrize(
    ("tree", "text", "in_latex"),
    [
        (Power(X, _whole(2)), "x²", "x^{2}"),
        (Power(X, _whole(100)), "x^100", "x^{100}"),
        (Power(X, Negative(_whole(1))), "x⁻¹", "x^{-1}"),
        (Power(Negative(X), _whole(2)), "(-x)²", r"\left(-x\right)^{2}"),
        (Power(Power(X, _whole(2)), _whole(3)), "(x²)³", r"\left(x^{2}\right)^{3}"),
        (Power(E, Negative(Quotient(Power(X, _whole(2)), _whole(2)))), "e^(-x²/2)", r"e^{-\frac{x^{2}}{2}}"),
        (Product((_whole(2), X, Y)), "2xy", "2 x y"),
        (Product((W, SIZE)), "w·size", r"w \cdot \mathrm{size}"),
        (Product((X, _whole(2))), "x·2", r"x \cdot 2"),
        (Product((X, Negative(Y))), "x·(-y)", r"x \left(-y\right)"),
        (Product((Quotient(_whole(1), _whole(2)), X)), "(1/2)x", r"\frac{1}{2} x"),
        (Quotient(_whole(1), Product((X, Y))), "1/(xy)", r"\frac{1}{x y}"),
        (Sum((X, Negative(Sum((Y, _whole(1)))))), "x - (y + 1)", r"x - \left(y + 1\right)"),
        (Negative(Product((_whole(2), X))), "-2x", "-2 x"),
        (Number(Fraction("0.26"), decimal=True), "0.26", "0.26"),
        (Number(Fraction("1.5e-20"), decimal=True), "1.5e-20", r"1.5 \cdot 10^{-20}"),
        (Call("sqrt", (Sum((Power(X, _whole(2)), _whole(1))),)), "√(x² + 1)", r"\sqrt{x^{2} + 1}"),
        (Power(Call("sqrt", (X,)), _whole(2)), "(√x)²", r"\sqrt{x}^{2}"),
        (Call("abs", (Sum((X, Negative(Call("abs", (Y,))))),)), "abs(x - |y|)", r"\left|x - \left|y\right|\right|"),
        (Product((_whole(2), Call("sin", (X,)), Call("cos", (Y,)))), "2sin(x)cos(y)", None),
        (Name("w_1"), "w₁", "w_{1}"),
        (Name("alpha"), "alpha", r"\mathrm{alpha}"),
        (Name("α"), "α", r"\alpha"),
    ],
)
def test_as_a_book_prints_it(tree: Expression, text: str, in_latex: str | None) -> None:
    assert book(tree) == text
    if in_latex is not None:
        assert latex(tree) == in_latex


_LEAVES = st.one_of(
    st.integers(0, 12).map(_whole),
    st.sampled_from(["0.26", "2.5", "1e-9", "3e20"]).map(lambda text: Number(Fraction(text), decimal=True)),
    st.sampled_from(["x", "y", "z", "w", "size", "x1", "w_1", "α"]).map(Name),
    st.sampled_from(["π", "e"]).map(MathConstant),
)


def _larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=2, max_size=4).map(tuple)
    exponents = st.one_of(inner, st.integers(0, 3).map(_whole), st.integers(1, 3).map(lambda n: Negative(_whole(n))))
    return st.one_of(
        inner.map(Negative),
        several.map(Sum),
        several.map(Product),
        st.builds(Quotient, inner, inner),
        st.builds(Power, inner, exponents),
        st.builds(Call, st.sampled_from(["sin", "exp", "sqrt", "abs", "ln", "sigmoid"]), inner.map(lambda x: (x,))),
        st.builds(Call, st.sampled_from(["max", "min"]), several),
    )


_POINT = {"x": 0.7, "y": -1.3, "z": 2.1, "w": 0.4, "size": 1.9, "x1": -0.2, "w_1": 1.1, "α": 0.6}


def _read(text: str) -> Formula:
    """Return the formula; trees such as 0^(-1), which no one can compute, are passed over."""
    try:
        return formula(text)
    except FormulaError as error:
        if "no finite real value" in error.message or "exponent is larger" in error.message:
            reject()
        raise


def _value(tree: Expression) -> float:
    return Formula(None, tuple(_POINT), tree)(_POINT)


def _same(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-300) or (math.isnan(found) and math.isnan(expected))


@given(st.recursive(_LEAVES, _larger, max_leaves=12))
@settings(max_examples=300)
def test_what_is_printed_reads_back(tree: Expression) -> None:
    read = _read(f"f({', '.join(_POINT)}) = {book(tree)}")
    assert book(read.body) == book(tree)
    assert _same(read(_POINT), _value(tree))


@given(st.recursive(_LEAVES, _larger, max_leaves=12))
@settings(max_examples=300)
def test_latex_reads_back(tree: Expression) -> None:
    named = {**_POINT, "x_1": _POINT["x1"]}
    read = _read(f"f({', '.join(named)}) = {latex(tree)}")
    assert _same(read(named), _value(tree))


@given(st.recursive(_LEAVES, _larger, max_leaves=12))
@settings(max_examples=300)
def test_numbers_in_the_place_of_names_change_no_value(tree: Expression) -> None:
    values = {name: -value if place % 2 else value for place, (name, value) in enumerate(_POINT.items())}
    written = with_numbers(tree, values, digits=17)
    expected = Formula(None, tuple(values), tree)(values)
    if not math.isfinite(expected):  # an exact exponent can give more than one that is bound later
        reject()
    assert _same(Formula(None, (), written)(), expected)


@pytest.mark.parametrize(
    ("text", "values", "printed"),
    [
        ("a + b·e^(-k·x)", {"a": -17.6, "b": 67.8, "k": -0.044183219}, "-17.6 + 67.8e^(0.044183x)"),
        ("a·x² + b·x + c", {"a": 1, "b": -2, "c": float("nan")}, "1x² - 2x + c"),
        ("a/x - b·c·x", {"a": -3, "b": -2, "c": -1.5}, "-3/x - 2·1.5x"),
        ("a^b", {"a": -2, "b": -0.5}, "(-2)^(-0.5)"),
    ],
)
def test_numbers_have_their_signs_where_a_book_has_them(text: str, values: dict[str, float], printed: str) -> None:
    assert book(with_numbers(formula(text).body, values)) == printed


def test_a_notebook_shows_the_latex() -> None:
    assert formula("f(x) = x^2/2")._repr_latex_() == r"$\displaystyle f(x) = \frac{x^{2}}{2}$"


@pytest.mark.parametrize(
    ("text", "in_latex"),
    [
        ("`2024`", r"\mathrm{2024}"),
        ("`50% off`", r"\mathrm{50\%\ off}"),
        ("`a & b`", r"\mathrm{a\ \&\ b}"),
        ("`#1`", r"\#_{1}"),
        ("`cost $`", r"\mathrm{cost\ \$}"),
    ],
)
def test_quoted_columns_are_latex_too(text: str, in_latex: str) -> None:
    assert latex(formula(f"2{text}").body) == rf"2 {in_latex}"
