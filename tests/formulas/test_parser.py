"""What people type is read as they mean it, or refused with a caret and a hint."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from work import calls_of

from downslope._errors import FormulaError
from downslope.formulas import Formula, formula
from downslope.formulas.reading._automaton import table
from downslope.formulas.reading._building import Build
from tests.formulas.parse_table import FOLDER, as_text, made

# The ten formulas that the best reader found elsewhere got four of.
AS_TYPED = {
    "x² - 4x + 5": {"x": (3.0, 2.0)},
    "-20p² + 200p - 300": {"p": (5.0, 200.0)},
    "100 - 10×time": {"time": (2.0, 80.0)},
    "h(x, y) = 100 - x² - 2y²": {"x": (3.0, None), "y": (1.0, 89.0)},
    "√(x²+1)": {"x": (0.75, 1.25)},
    "2sin(x)cos(3y)": {"x": (0.5, None), "y": (0.0, 0.958851077208406)},
    "|x|": {"x": (-3.0, 3.0)},
    "e^(-x²/2)": {"x": (1.0, 0.6065306597126334)},
    "w×size": {"w": (2.0, None), "size": (50.0, 100.0)},
    r"\frac{1}{2}x^2": {"x": (4.0, 8.0)},
}


@pytest.mark.parametrize("text", AS_TYPED)
def test_the_ten_formulas(text: str) -> None:
    point = {name: value for name, (value, _) in AS_TYPED[text].items()}
    (expected,) = [value for _, value in AS_TYPED[text].values() if value is not None]
    read = formula(text)
    assert read.variables == tuple(point)
    assert read(point) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("2x y0", "2x·y0"),
        ("f(x) = x^2 - 4*x + 5", "f(x) = x² - 4x + 5"),
        ("P(p) = -20p² + 200p - 300", "P(p) = -20p² + 200p - 300"),
        ("Predicted_Price = w × size", "Predicted_Price = w·size"),
        ("2x(x+1)", "2x·(x + 1)"),
        ("x(x)", "x·x"),
        ("-x²", "-x²"),
        ("2^3^x", "2^(3^x)"),
        ("x**2", "x²"),
        ("2^-x", "2^(-x)"),
        ("x^-1", "x⁻¹"),
        ("x²³", "x²³"),
        ("2ⁿ", "2^n"),
        ("1/2x", "(1/2)x"),
        ("½x", "(1/2)x"),
        ("10x/3", "10x/3"),
        ("5πx/2", "5πx/2"),
        ("1/(8π)", "1/(8π)"),
        ("sin²x", "sin(x)²"),
        ("sin 2x cos y", "sin(2x)cos(y)"),
        ("sin cos x", "sin(cos(x))"),
        ("ln|x|", "ln(|x|)"),
        ("2|x||y|", "2·|x|·|y|"),
        ("|x - |y||", "abs(x - |y|)"),
        ("√2x", "√2·x"),
        ("σ(2x)", "sigmoid(2x)"),
        ("xsin(x)", "x·sin(x)"),
        ("xe^(-x)", "x·e^(-x)"),
        ("2e3x", "2000x"),
        ("2e - x", "2e - x"),
        ("time", "time"),
        ("xyz", "xyz"),
        ("w_1 x₁ + α", "w₁·x₁ + α"),
        ("𝑥² + µ", "x² + μ"),
        (r"\sqrt[3]{x} + \sin^{2} \alpha", "x^(1/3) + sin(α)²"),
        (r"\left(x+1\right)^{2} \cdot \frac12", "(x + 1)²(1/2)"),
        (r"$\mathrm{Loss}(w) = \log_{10} w$", "Loss(w) = log10(w)"),
        ("[(100 - w×50)² + (200 - w×100)²] / 2", "((100 - w·50)² + (200 - w·100)²)/2"),
    ],
)
def test_read_as(text: str, read_as: str) -> None:
    assert formula(text).read_as == read_as


def test_a_header_declares_the_names_in_order() -> None:
    read = formula("f(y, x, time) = x·y")
    assert (read.name, read.variables, read.has_header) == ("f", ("y", "x", "time"), True)


def test_letters_of_a_run_are_multiplied_when_all_are_declared() -> None:
    assert formula("f(a, b) = ab")(a=2, b=3) == 6
    assert formula("f(x1, x2) = 3x1x2")(x1=2, x2=5) == 30
    # Without a header two letters are a product as well, as in every textbook; a word stays one name.
    assert formula("ab").variables == ("a", "b")
    assert formula("abc").variables == ("abc",)


def test_a_declared_name_wins_over_constants_and_functions() -> None:
    assert formula("f(e) = e²")(e=3) == 9
    assert formula("f(sin) = sin(2)")(sin=3) == 6


def test_columns_may_occur_beside_declared_names() -> None:
    read = formula("Loss(w) = mean((price - w×size)²)", columns=["price", "size", "rooms"])
    assert read.variables == ("w",)
    assert read.columns == ("price", "size")
    assert read(w=1, price=[100, 200, 300], size=[50, 100, 150]) == pytest.approx(11666.666666666666)


def test_a_formula_is_handed_back() -> None:
    read = formula("x²")
    assert formula(read) is read
    assert isinstance(read, Formula)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("log(x)", "log is the natural logarithm"),
        ("1/2x", "1/2x is read as (1/2)·x"),
        ("x(x + 1)", "x is not a function"),
        ("f(a, b) = ab", "ab is read as a·b"),
        ("e^2x", "the exponent in e^2 is 2 only"),
        ("sin x/2", "sin without parentheses applies to what comes before / only"),
        ("100 - 10×time", "time is read as one name"),
    ],
)
def test_notes_say_how_it_was_read(text: str, note: str) -> None:
    assert any(note in one for one in formula(text).notes)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("__import__('os').system('id')", 0, "'_'"),
        ("f(x) = x + y", 11, "y is not declared"),
        ("f(price) = prcie²", 11, "did you mean price?"),
        ("1/xy", 2, "1/(x·y) or (1/x)·y"),
        ("1/x²y", 2, "1/(x²·y) or (1/x²)·y"),
        ("sin^-1 x", 0, "asin(x)"),
        ("sin(x) + sin", 9, "needs an argument"),
        ("sine(x)", 0, "did you mean sin?"),
        ("sinx", 0, "sin(x)"),
        ("sin 2(x + 1)", 5, "parentheses"),
        ("0,5x", 1, "0.5"),
        ("1.2.3", 0, "decimal point"),
        ("(x + 1", 0, "never closed"),
        ("x + 1)", 5, "this ) has no matching opening sign"),
        ("[x)", 2, "this ) has no matching opening sign"),
        ("x +", 3, "ends"),
        ("x * / y", 4, "'/'"),
        ("2x = 3", 0, "header"),
        ("log(y) = x", 0, "log"),
        ("f(x, x) = x", 2, "twice"),
        ("y = x = 2", 6, "equals"),
        ("1e999999999", 0, "too large"),
        ("10^10^10", 2, "power"),
        ("x^999999999", 1, "exponent"),
        ("x + nan", 4, "nan"),
        ("x + inf", 4, "inf"),
        ("max(x)", 0, "2 arguments"),
        (r"\foo{x}", 0, "LaTeX"),
        ("x < 3", 2, "comparison"),
        ("", None, "empty"),
        ("f(x) =", None, "empty"),
    ],
)
def test_errors_point_at_the_place(text: str, place: int | None, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        formula(text)
    assert caught.value.position == place
    assert words in str(caught.value)
    if place is not None:
        excerpt, carets = str(caught.value).splitlines()[1:3]
        assert carets.index("^") - excerpt.index(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "x" * 20_001,
        "(" * 5000 + "x" + ")" * 5000,
        "(" * 6000,
        "-" * 15_000 + "x",
        "x^" * 5000 + "x",
        "1^" * 5000 + "1",
        "sin " * 4000 + "x",
        "√" * 15_000 + "x",
        "|" * 10_000,
        r"\frac{" * 3000,
        r"\frac{d" * 2800,
        "x²" * 5000,
        "9" * 15_000,
        "²" * 15_000,
    ],
    ids=lambda text: text[:8],
)
def test_what_is_too_long_or_too_deep_is_refused_at_once(text: str) -> None:
    def read() -> None:
        with pytest.raises(FormulaError):
            formula(text)

    calls_of(read, at_most=2_000_000)


@pytest.mark.parametrize(
    "text",
    ["abs(" * 60 + "x" + ")" * 60, "2^(" * 30 + "x" + "·y)" * 30, "(x+y)" * 80, "x^" * 99 + "x"],
    ids=lambda text: text[:8],
)
def test_what_is_deep_is_printed_at_once(text: str) -> None:
    def read() -> None:
        read = formula(text)
        assert len(read.read_as) > 50
        assert read.latex

    calls_of(read, at_most=2_000_000)


_WORDS = "x y z e π pi sin cos ln log sqrt exp max min mean sum sigmoid time w_1 x1 α 1 2 0 0.5 1e3 10 nan f(x)="
_SIGNS = "( ) ( ) | { } [ ] + - * / ^ ** × · ÷ − √ ∛ ² ³ ⁿ ⁻¹ ½ , = . _ _{2} $ ' é ∞"
_COMMANDS = r"\frac \frac{1}{2} \sqrt \left| \right| \pi \alpha \text{a}"
_PIECES = st.sampled_from([" ", *_WORDS.split(), *_SIGNS.split(), *_COMMANDS.split()])
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=16).map("".join))


def _reads_or_refuses(text: str) -> None:
    try:
        read = formula(text)
    except FormulaError:
        return
    assert formula(read.read_as).read_as == read.read_as
    assert isinstance(read(dict.fromkeys(read.variables, 0.7)), float)
    assert read.latex


@given(_TEXTS)
@example("\\frac1e-3x")
@example("x^(10^300*10^300)")
@example("1/0")
@example("0 E0")
@example("`0`")
@settings(max_examples=500)
def test_any_text_gives_an_answer_or_a_clear_error(text: str) -> None:
    _reads_or_refuses(text)


def test_the_parser_table_is_that_of_the_grammar() -> None:
    """Run `python tests/formulas/parse_table.py` after a change of the grammar."""
    assert (FOLDER / "grammar.json").read_text(encoding="utf-8") == as_text(made())


def test_every_rule_has_a_method_of_the_builder() -> None:
    methods = {rule.method for rule in table().rules if rule.method}
    assert methods == {name for name in vars(Build) if not name.startswith("_")}
