"""What an encoding lacks is spelled in ASCII, so that people read it and the parser reads it to the same expression."""

from __future__ import annotations

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.cli._spelling import spelled

GREEK = {"α": "alpha", "β₁": "beta₁", "λ": "lambda", "x": "x", "w₁": "w₁"}


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("x² − 4x⁻¹⁰", "x^2 - 4x^-10"),
        ("e⁻⁽ˣ⁺¹⁾, x²ⁿ, 3²5", "e^(-(x+1)), x^(2n), 3^(2)5"),
        ("√x + √12 + √(x + y) + ∛α", "sqrt(x) + sqrt(12) + sqrt(x + y) + cbrt(alpha)"),
        ("2πr² xπy π·√π", "2pi*r^2 x*pi*y pi*sqrt(pi)"),
        ("w₁₂·xᵢ → zₜ₊₁", "w_12*x_i -> z_(t+1)"),
        ("‖∇f‖ ≤ ∂f/∂z₂ ∇²f −∇", "|grad f| <= df/dz_2 grad^2f -grad"),
        ("½x ± 3 °C … ∞", "(1/2)x +- 3 degC ... inf"),
        ("✓ converged\n✗ stuck\n· note", "ok converged\nx stuck\n- note"),
        ("Größe, naïve, 中, Ω, ς", "Gro\\xdfe, naive, \\u4e2d, Omega, sigma"),
        ("┤▁▂▃▄▅▆▇█\n─────", "|_.-:=+*#\n-----"),
    ],
)
def test_letters_have_a_spelling(text: str, ascii_text: str) -> None:
    assert spelled(text, "ascii") == ascii_text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "x⁴ + √α"),
        ("cp1252", "x^4 + x² ± µ·é"),
        ("latin-1", "x^10 + x² ± µ·é"),
        ("cp437", "x² + √π·α ─ █"),
    ],
)
def test_what_an_encoding_has_stays(encoding: str, text: str) -> None:
    assert spelled(text, encoding) == text


def test_a_caret_stays_under_what_it_marks() -> None:
    with pytest.raises(ds.FormulaError) as raised:
        ds.formula("√x·α⁴ + )")
    _, line, caret, *_ = spelled(str(raised.value), "ascii").splitlines()
    assert line[caret.index("^")] == ")"


def test_columns_stay_below_each_other_where_a_gap_has_room() -> None:
    rows = ["largest stable α      1", "best fixed rate       2"]
    assert len({spelled(row, "ascii").index(digit) for row, digit in zip(rows, "12", strict=True)}) == 1


leaves = st.sampled_from([*GREEK, "2", "π", "0.5"])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("{}·{}".format, inner, inner),
        st.builds("({})/({})".format, inner, inner),
        st.builds("({})²".format, inner),
        st.builds("({})⁻¹⁰".format, inner),
        st.builds("√({})".format, inner),
        st.builds("sin({})".format, inner),
    ),
    max_leaves=8,
)


@given(trees)
@settings(max_examples=60)
def test_a_spelled_formula_is_read_to_the_same_expression(text: str) -> None:
    try:
        printed = ds.formula(text).read_as
    except ds.FormulaError:  # (sin(π))⁻¹⁰ has no value, however it is spelled
        reject()
    again = ds.formula(spelled(printed, "ascii")).read_as
    named = printed
    for letter, word in GREEK.items():
        named = named.replace(letter, word)
    assert spelled(again, "ascii") == spelled(ds.formula(named).read_as, "ascii")
    point = {name: 0.7 + 0.1 * number for number, name in enumerate(ds.formula(printed).variables)}
    words = [name.replace("α", "alpha").replace("β", "beta").replace("λ", "lambda") for name in point]
    value = ds.formula(printed)(point)
    again_value = ds.formula(spelled(printed, "ascii"))(dict(zip(words, point.values(), strict=True)))
    assert again_value == pytest.approx(value, nan_ok=True)  # √(sin 4) is no real number, however it is spelled
