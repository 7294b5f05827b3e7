"""Formulas as textbooks, encyclopaedias, spreadsheets and other languages write them: their value, or a refusal."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import pytest

import downslope as ds
from downslope._errors import FormulaError, PointError
from downslope.formulas import formula

E = math.e
VALUES: list[tuple[str, dict[str, float], float]] = [
    # Euler's number after a letter
    ("ke^{-at}", {"k": 2, "a": 0.3, "t": 1.5}, 2 * math.exp(-0.45)),
    ("V = V₀e^(-t/τ)", {"V_0": 2, "t": 1, "τ": 3}, 2 * math.exp(-1 / 3)),
    ("P0e^(rt)", {"P0": 3, "r": 0.1, "t": 2}, 3 * math.exp(0.2)),
    ("Axe^(-x)", {"A": 2, "x": 0.3}, 0.6 * math.exp(-0.3)),
    ("Ae⁻ˣ + 1", {"A": 2, "x": 0.3}, 2 * math.exp(-0.3) + 1),
    ("rate^2·2", {"rate": 3}, 18),
    # products of two letters
    ("2πr²h", {"r": 2, "h": 3}, 24 * math.pi),
    ("Gm₁m₂/r²", {"G": 2, "m_1": 3, "m_2": 4, "r": 2}, 6),
    ("y = ax³ + bx² + cx + d", {"a": 1, "b": 2, "c": 3, "d": 4, "x": 2}, 26),
    ("3x1x2", {"x1": 2, "x2": 3}, 18),
    ("abc + a + b + c", {"a": 2, "b": 3, "c": 4}, 33),
    ("w×size + learning_rate + mu_0", {"w": 2, "size": 3, "learning_rate": 1, "mu_0": 1}, 8),
    # numbers
    ("12 500 - 3x", {"x": 2}, 12494),
    ("1\u2009000x", {"x": 2}, 2000),
    ("1½x", {"x": 2}, 3),
    ("2x½ + 3y½", {"x": 2, "y": 4}, 8),
    ("A e^(-ln(2) t/t½)", {"A": 4, "t": 3, "t½": 3}, 2),
    ("bh½", {"b": 3, "h": 4}, 6),
    ("f(T) = T½", {"T": 3}, 1.5),
    ("f(t; T½) = 2^(-t/T½)", {"t": 2, "T½": 2}, 0.5),
    (r"2 t_{1/2} + t_{\frac{1}{2}} + t₁/₂ + t_½", {"t½": 2}, 10),
    (r"\tau_{1/2}/\ln 2", {"τ½": math.log(2)}, 1),
    # functions
    ("x sec x + cot²(x)", {"x": 0.5}, 0.5 / math.cos(0.5) + 1 / math.tan(0.5) ** 2),
    ("arccot(x) + sech(x)", {"x": 2}, math.atan(0.5) + 1 / math.cosh(2)),
    (r"\left\lfloor x/2 \right\rfloor + ⌈x⌉", {"x": 5.2}, 8),
    ("2x mod 5 + 1", {"x": 4}, 4),
    ("mod(x, 3) - sgn x", {"x": 7.5}, 0.5),
    ("Γ(x)/(n!)", {"x": 4.5, "n": 3}, math.gamma(4.5) / 6),
    ("erfc(x) + J₀(x)", {"x": 0.0}, 2),
    ("log_5 x + log₃(y)", {"x": 25, "y": 9}, 4),
    (r"\log_{a}{x}", {"a": 2, "x": 8}, 3),
    ("sin(30°) + x°", {"x": 180}, 0.5 + math.pi),
    (r"\cos(60^{\circ})x", {"x": 2}, 1),
    # real roots
    ("x^(3/5) + ∜16", {"x": -32}, -6),
    (r"x^{\frac{2}{3}} + ³√y", {"x": -8, "y": -27}, 1),
    # piecewise
    ("{1 if x > 0; 0 if x = 0; -1 if x < 0}", {"x": 0}, 0),
    ("{x² if 0 ≤ x < 1, 2 - x if 1 ≤ x ≤ 2, 0 otherwise}", {"x": 1.5}, 0.5),
    ("{1 if (x < 0 or x > 1) and y > 0, 0 otherwise}", {"x": 2, "y": -1}, 0),
    ("x² if x > 0 else -x", {"x": -2}, 2),
    ("np.where(x < 0, x², x)", {"x": -2}, 4),
    ("Piecewise((x**2, x < 0), (x, True))", {"x": -2}, 4),
    (r"f(x)=\begin{cases}x^2,&x\leq 1\\2x-1,&x>1\end{cases}", {"x": 3}, 5),
    (r"f(x)=\left\{\begin{array}{ll} x^2 & x<0 \\ x & x\geq 0 \end{array}\right.", {"x": -3}, 9),
    ("{ln(x) if x > 0, 0 otherwise}", {"x": -1}, 0),
    # derivatives and sums
    ("3 d/dx x²", {"x": 2}, 12),
    (r"\frac{\partial}{\partial x}(x^2 y)", {"x": 2, "y": 3}, 12),
    ("f''(x) = 2x", {"x": 3}, 6),
    (r"\sum_{i=1}^{2} (x_{i+1}-x_i)^2", {"x_1": 1, "x_2": 2, "x_3": 4}, 5),
    ("∑ᵢ₌₁³ ix + 1", {"x": 2}, 13),
    (r"\prod_{i=1}^{3} (x+i)", {"x": 1}, 24),
    # σ, LaTeX, Unicode
    ("σ² + 1/(σ√(2π))", {"σ": 2}, 4 + 1 / (2 * math.sqrt(2 * math.pi))),
    ("f(x; μ, σ) = (x-μ)/σ", {"x": 3, "μ": 1, "σ": 2}, 1),
    (r"{\displaystyle f(x)={\begin{cases}x&{\text{if }}x>0\\0&{\text{otherwise}}\end{cases}}}", {"x": 2}, 2),
    (r"\begin{align} f(x) &= x^2 + 1. \end{align}", {"x": 3}, 10),
    (r"\mathrm{e}^{-x} + \hat{y} + {g}_{k}", {"x": 0, "y_hat": 1, "g_k": 2}, 4),
    (r"\frac x2 + \frac12", {"x": 3}, 2),
    ("（ｘ＋1）（x－1）", {"x": 3}, 8),
    # other languages and programs
    ("tg x + ctg(x)", {"x": 0.3}, math.tan(0.3) + 1 / math.tan(0.3)),
    ("sh(x) + sen(x)", {"x": 0.3}, math.sinh(0.3) + math.sin(0.3)),
    ("=A*EXP(-x) + PI()", {"A": 2, "x": 1}, 2 / E + math.pi),
    ("Math.pow(x, 3) + np.exp(x)", {"x": 0}, 1),
    ("lambda x: x**2", {"x": 3}, 9),
    ("kcos(x) + xln(x)", {"k": 2, "x": 1}, 2 * math.cos(1)),
    # choices of other programs: Desmos, C, Mathematica, MATLAB, spreadsheets
    ("{x < 0: x², x < 1: x, 1}", {"x": 0.5}, 0.5),
    ("{x < 0: x², x}", {"x": 3}, 3),
    ("{x²: x ≤ 1; 2x - 1: x > 1}", {"x": 3}, 5),
    ("x < 0 ? x^2 : x < 1 ? 7 : x", {"x": 0.5}, 7),
    ("if x < 0 then x^2 else if x < 1 then 7 else x", {"x": 0.5}, 7),
    ("Piecewise[{{x^2, x < 0}, {x, x < 1}}, 9]", {"x": 3}, 9),
    ("piecewise({x < 0, x^2}, {x >= 0, x})", {"x": -3}, 9),
    ("piecewise(x < 0, x^2, x < 1, 7, x)", {"x": 0.5}, 7),
    ("IFS(x<0, x^2, x>=0, x)", {"x": -3}, 9),
    ("2(x<0)*x^2 + (x>=0)*x", {"x": -3}, 18),
    ("[x > 1]x + y*(0 < y & y < 1)", {"x": 2, "y": 0.5}, 2.5),
    ("{xy/(x² + y²) if (x, y) ≠ (0, 0), 7 otherwise}", {"x": 0, "y": 0}, 7),
    (r"\begin{cases} x^2 & \mbox{if } x < 0 \\ x & \mbox{otherwise.} \end{cases}", {"x": 3}, 3),
    # quantities, bases, indices
    ("ΔH - TΔS", {"ΔH": 10, "T": 3, "ΔS": 2}, 4),
    (r"Q = mc\Delta T", {"m": 2, "c": 3, "ΔT": 4}, 24),
    (r"\log_{1/2} x + \log_{a+1} 9", {"x": 8, "a": 2}, -1),
    ("x[1]^2 + x[2]", {"x_1": 2, "x_2": 3}, 7),
    ("e⁻ˣ²", {"x": 0.5}, math.exp(-0.25)),
    ("Pi x", {"x": 2}, 2 * math.pi),
    ("z = f(x, y) = x² + y", {"x": 2, "y": 3}, 7),
    # bars
    ("|2|x| - 3|", {"x": -1}, 1),
    ("|3|x - 1| - 2|", {"x": 1}, 2),
    ("|x|x - 2||", {"x": -1}, 3),
    ("|2x|x||", {"x": -3}, 18),
    ("|x + |x|x| - 2||", {"x": -1}, 2),
    ("|x||x - 1|", {"x": -1}, 2),
    ("|2|x", {"x": -3}, -6),
    ("x² — 3x", {"x": 2}, -2),
    ("lb(8) + ld(x)", {"x": 4}, 5),
]


@pytest.mark.parametrize(("text", "point", "value"), VALUES, ids=[text for text, _, _ in VALUES])
def test_the_value_is_as_meant(text: str, point: dict[str, float], value: float) -> None:
    read = formula(text)
    assert read(point) == pytest.approx(value, rel=1e-12, abs=1e-12)
    assert formula(read.read_as).read_as == read.read_as
    again = formula(read.latex)  # where x1 is x_{1}
    renamed = dict(zip(again.variables, (point[name] for name in read.variables), strict=True))
    assert again(renamed) == pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("3,5x", "3.5"),
        ("1,000x", "1000"),
        ("1'000x", "1000"),
        ("12 5x", "two numbers are adjacent"),
        ("sin⁻¹(x)", "asin"),
        ("sind(x)", "°"),
        ("H(x)", "heaviside"),
        ("f(x) + 1", "does not define"),
        ("mass(x)", "there is no function"),
        ("round(x)", "floor"),
        ("zeta(x)", "special function"),
        ("log(x, 3)", "log_3"),
        ("{x² if x < 0, x}", "no condition"),
        ("x otherwise", "no condition"),
        ("x² if", "condition is missing"),
        ("H(x - 1)", "heaviside"),
        ("x_1y_2(x)", "there is no function"),
        ("x >= 3", "comparison"),
        ("dy/dx", "derivative"),
        (r"\frac{\partial f}{\partial x}", "derivative"),
        ("∫x²dx", "integral"),
        (r"\lim_{x \to 0} x", "limit"),
        (r"\nabla f", "gradient"),
        (r"\sum_{i=1}^{n} x", "whole numbers"),
        (r"\sum_{n=0}^{\infty} x^n", "infinity"),
        ("e^(ix)", "complex"),
        ("det(A)", "matrix"),
        ("Atan(x)", "A·tan"),
        ("xsinx", "x·sin(x)"),
        ("f(x) = ax² + bx + c", "f(x, a, b, c)"),
        ("x² + y² = 25", "equation"),
        ("besselj(x, 2)", "whole number"),
        ("cosxsinx", "one word"),
        ("mod(x, 0)", "no finite real value"),
        ("D[x^2, x]", "derivative"),
        (r"\mathrm{Re}^2 + 1", "f(Re)"),
        ("lim_{x→0} sin(x)/x", "limit"),
        ("Integrate[x^2, x]", "integral"),
        ("deg2rad(x)", "°"),
        ("xy = 1", "equation"),
        ("z = xy + yz²", "equation"),
        ("N(t) = N₀e^(-λt)", "N(t, N_0, λ)"),
        ("(x < 3)", "comparison"),
        ("{xy if (x, y) < (0, 0), 1 otherwise}", "equal or different"),
        ("arcsinx", "arcsin(x)"),
        ("secx + 1", "sec(x)"),
        ("xcot2x", "x·cot(2x)"),
        ("log2x", "log2(x)"),
        ("I₀(x)", "I₀·(…)"),
        ("1,000.5x", "1000.5"),
        ("1.000,5x", "1000.5"),
        ("V/R e^(-t/τ)", "(V/R)·e^…"),
        ("U(r) = 4ε((σ/r)^12 - (σ/r)^6)", "U(r, ε, σ)"),
        ("f(x) = f(x) + 1", "both sides"),
        ("f(x) = 2f + x", "both sides"),
        ("max(x)", "2 arguments or more"),
        ("√-x", "√(-x)"),
        ("clip(x, 0, 1)", "min(max("),
    ],
)
def test_a_refusal_says_what_to_write(text: str, mention: str) -> None:
    with pytest.raises(FormulaError) as caught:
        formula(text)
    assert mention in f"{caught.value.message} {caught.value.hint}"
    assert "did you mean" not in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("E = mc²", "mc is read as m·c"),
        ("nRT/V", "write n·R·T for a product"),
        ("1 000x", "the number 1000"),
        ("x^(2/3)", "real one"),
        ("sin(30°)x", "30° is π/6"),
        ("tg(x)", "tg is read as tan"),
        ("d/dx x² + 1", "up to the next + only"),
        ("2¾x", "2 + 3/4"),
        ("x^1/2", "write x^(1/2)"),
        ("(x + 1)^-1/3", "^(-1/3)"),
        ("2^-2x", "the exponent in 2^-2 is -2 only"),
        ("x 2 + 3x", "write x^2 for a power"),
        ("√2x", "√2·x"),
        ("|x|y|z|", "from left to right"),
    ],
)
def test_a_guess_is_noted(text: str, note: str) -> None:
    assert any(note in each for each in formula(text).notes)


@pytest.mark.parametrize("text", ["x^2/2", "|x| + |y|", "2 x", "√(2)x", "√x", "x^(1/2)", "||x| - 1|", "|x|/2"])
def test_plain_notation_has_no_note(text: str) -> None:
    assert formula(text).notes == ()


def test_a_formula_in_backquotes_is_no_name() -> None:
    assert formula("`x^2 + 1`")(x=3) == 10
    assert formula("`Time (s)` + 1", columns=["Time (s)"]).columns == ("Time (s)",)
    assert formula("`Time (s)`", columns=["Time (s)"]).columns == ("Time (s)",)


def test_over_a_table_a_letter_before_a_column_is_its_factor() -> None:
    assert formula("Ae^(-kx) + ab", columns=["x"]).variables == ("A", "k", "ab")


def test_mutated_formulas_are_read_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    benchmark = sys.modules.pop("formulas", None)
    import formulas

    chance = random.Random(7)
    for _ in range(60):
        text = formulas.mutated(chance.choice(VALUES)[0], chance)
        try:
            read = formula(text)
        except FormulaError:
            continue
        assert formula(read.read_as).read_as == read.read_as
        assert read.latex
    del sys.modules["formulas"]
    if benchmark is not None:
        sys.modules["formulas"] = benchmark


def test_points_name_variables_as_a_formula_or_a_book_does() -> None:
    for point in ({"x₁": 2, "x₂": 3}, {"x_1": 2, "x2": 3}):
        assert formula("x₁² + x₂")(point) == 7
    with pytest.raises(PointError, match="has no variable 'x3'; it has"):
        formula("x₁² + x₂")({"x1": 2, "x_2": 3, "x3": 1})
    assert formula("x₁² + x₂").variable("x₁") == "x_1"


@pytest.mark.parametrize("text", ["v = Vmax*S/(Km + S)", "v = Vmax S/(Km + S)", "v = Vmax(1 - e^(-S/Km))", "v = Vmax"])
def test_a_name_that_ends_in_max_is_a_name_where_nothing_has_an_extreme(text):
    read = ds.equation(text, {"S": [1.0, 2.0], "v": [1.0, 2.0]})
    assert "Vmax" in read.parameters


def test_a_function_at_the_end_of_a_word_is_one_before_its_argument():
    assert formula("f(k, x) = kmax(x, 1)")(k=2.0, x=3.0) == 6
    assert formula("f(k, x) = ksin(x)")(k=2.0, x=0.0) == 0
