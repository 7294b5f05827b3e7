"""Printing of an expression tree in textbook notation, which parses back to the same tree, and as LaTeX."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from fractions import Fraction

from downslope._column_names import typed
from downslope.formulas.expressions._functions import FUNCTIONS
from downslope.formulas.expressions._tree import (
    Call,
    Combination,
    Comparison,
    Condition,
    Expression,
    MathConstant,
    Name,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
    walk,
)

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_LETTERS = ("x", "y", "z", "π")  # juxtaposable without a header that declares them
_WORD = re.compile(r"[^\W\d_⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉]+")
_INDEX = re.compile("[0-9_₀-₉]")
_SUM, _NEGATIVE, _PRODUCT, _POWER, _ATOM = range(5)

# Greek letters and their LaTeX commands. A letter may have several; the last of each letter is the one that is printed.
_GREEK = """
alpha α, beta β, gamma γ, delta δ, epsilon ε, zeta ζ, eta η, vartheta θ, theta θ, iota ι, kappa κ, lambda λ, mu μ, nu ν,
xi ξ, omicron ο, varrho ρ, rho ρ, varsigma σ, sigma σ, tau τ, upsilon υ, varphi φ, phi φ, chi χ, psi ψ, omega ω,
Gamma Γ, Delta Δ, Theta Θ, Lambda Λ, Xi Ξ, Sigma Σ, Phi Φ, Psi Ψ, Omega Ω, varepsilon ε,
hbar ħ, ell l
"""
LETTER_OF: dict[str, str] = {pair.split()[0]: pair.split()[1] for pair in _GREEK.split(",")}
COMMAND_OF: dict[str, str] = {letter: command for command, letter in LETTER_OF.items() if not letter.isascii()} | {
    "π": "pi"
}


def book(tree: Expression) -> str:
    """Return a tree in textbook notation.

    >>> from downslope.formulas import formula
    >>> book(formula("2*x^2 - 3*sin(x)*time").body)
    '2x² - 3sin(x)·time'
    """
    match tree:
        case Number(value, decimal):
            return number(value, decimal)
        case Name(name):
            return book_name(name)
        case MathConstant(name):
            return name
        case Negative(operand):
            return "-" + _inside(operand, _PRODUCT)
        case Sum(terms):
            return _book_sum(terms)
        case Product(factors):
            return _book_product(factors)
        case Quotient(numerator, denominator):
            above = _inside(numerator, _PRODUCT)
            return f"{above}/{_inside(denominator, _POWER)}"
        case Power(base, exponent):
            return _book_power(base, exponent)
        # |x - |y|| cannot be parsed without guessing which bar closes; the inner absolute value is printed as a call.
        case Call("abs", (argument,)) if not _has_bars(argument):
            return f"|{book(argument)}|"
        case Call("sqrt" | "cbrt" as function, (argument,)):
            # √x needs no parentheses, but √xy is read as √(x)·y.
            simple = isinstance(argument, Name | MathConstant | Number) and len(book(argument)) == 1
            root = "√" if function == "sqrt" else "∛"
            return f"{root}{book(argument)}" if simple else f"{root}({book(argument)})"
        case Call("floor" | "ceil" as function, (argument,)):
            opening, closing = "⌊⌋" if function == "floor" else "⌈⌉"
            return f"{opening}{book(argument)}{closing}"
        case Call("factorial", (argument,)):
            return _book_factorial(argument)
        case Call("besselj", (Number(order, _), argument)) if order.denominator == 1:
            return f"J{str(order).translate(_SUBSCRIPTS)}({book(argument)})"
        case Call(function, arguments):
            return f"{function}({', '.join(map(book, arguments))})"
        case Piecewise(values, conditions):
            pieces = [
                f"{book(value)} if {_condition(condition, book)}"
                for value, condition in zip(values, conditions, strict=False)
            ]
            if tree.otherwise is not None:
                pieces.append(f"{book(tree.otherwise)} otherwise")
            return f"{{{', '.join(pieces)}}}"


def _condition(condition: Condition, spell: Callable[[Expression], str]) -> str:
    """Return a condition in textbook notation, such as 0 < x ≤ 1."""
    if isinstance(condition, Comparison):
        return f"{spell(condition.left)} {condition.sign} {spell(condition.right)}"
    text, before = "", None
    for part in condition.conditions:
        if before is None:
            text = _grouped(part, condition, spell)
        # 0 < x and x < 1 is written as a chain.
        elif condition.word == "and" and isinstance(part, Comparison) and before == part.left:
            text += f" {part.sign} {spell(part.right)}"
        else:
            text += f" {condition.word} {_grouped(part, condition, spell)}"
        before = part.right if isinstance(part, Comparison) else part
    return text


def _grouped(part: Condition, outer: Combination, spell: Callable[[Expression], str]) -> str:
    """Return a part of a combination of conditions, in parentheses if it binds more loosely."""
    text = _condition(part, spell)
    needs = isinstance(part, Combination) and (outer.word == "and" or part.word == "and")
    return f"({text})" if needs else text


def _book_factorial(argument: Expression) -> str:
    """Return n!, with parentheses unless the argument is a name, a number or a call."""
    text = book(argument)
    simple = isinstance(argument, Name | Number | MathConstant) and _rank(argument) == _ATOM
    plain = simple and (not isinstance(argument, Number) or "e" not in text)
    return f"{text}!" if plain else f"({text})!"


def book_name(name: str) -> str:
    """Return a name as it is typed: w_1 becomes w₁, and what is no single word stands in backquotes.

    >>> book_name("w_1"), book_name("Time (s)")
    ('w₁', '`Time (s)`')
    """
    return subscripted(name) if (text := typed(name)) == name else text


def subscripted(name: str) -> str:
    """Return a name with its number as a subscript; one that is no single word, such as ∂f/∂x, stays as it is.

    >>> subscripted("w_1"), subscripted("∂f/∂x")
    ('w₁', '∂f/∂x')
    """
    head, underscore, subscript = name.rpartition("_")
    if underscore and subscript.isdecimal() and subscript.isascii() and head:
        return head + subscript.translate(_SUBSCRIPTS)
    return name


def number(value: Fraction, decimal: bool) -> str:
    """Return an exact number: an integer, a decimal if `decimal` and its expansion is finite, else a fraction."""
    if value.denominator == 1:
        # 10^20 prints as 1e20, but 12345678901234567890 keeps its digits: nothing may be lost in printing.
        whole = str(value.numerator)
        digits = whole.rstrip("0")
        return whole if len(whole) <= 15 or len(digits) > 15 else _scientific(digits, len(whole) - len(digits))
    if decimal and terminates(value):
        return _decimal(value)
    return f"{value.numerator}/{value.denominator}"


def terminates(value: Fraction) -> bool:
    """Return whether a number has a finite decimal expansion."""
    # A fraction in lowest terms terminates if its denominator has no prime factors but those of ten.
    below = value.denominator
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _decimal(value: Fraction) -> str:
    """Return the exact decimal form of a number, with an exponent beyond 12 digits."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    sign, scaled = "-" if value < 0 else "", abs(int(value * 10**digits))
    if digits > 12:
        return sign + _scientific(str(scaled), -digits)
    text = str(scaled).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def _scientific(digits: str, exponent: int) -> str:
    """Return digits × 10^exponent in scientific notation."""
    sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{exponent + len(digits) - 1}"


def _rank(tree: Expression) -> int:
    """Return the precedence of the tree's outermost operator."""
    match tree:
        case Sum():
            return _SUM
        case Negative():
            return _NEGATIVE
        case Number(value, decimal):
            # A negative number binds like a negation: (-2)², not -2².
            if value < 0:
                return _NEGATIVE
            return _ATOM if value.denominator == 1 or (decimal and terminates(value)) else _PRODUCT
        case Product() | Quotient():
            return _PRODUCT
        case Power():
            return _POWER
        case _:
            return _ATOM


def _inside(tree: Expression, least: int) -> str:
    """Return a tree, in parentheses if its precedence is below `least`."""
    text = book(tree)
    return text if _rank(tree) >= least else f"({text})"


def _book_sum(terms: tuple[Expression, ...]) -> str:
    """Return terms with their signs between them."""
    text = _inside(terms[0], _NEGATIVE)
    for term in terms[1:]:
        match term:
            case Negative(operand):
                text += f" - {_inside(operand, _PRODUCT)}"
            case Number(value, decimal) if value < 0:
                text += f" - {number(-value, decimal)}"
            case _:
                text += f" + {_inside(term, _PRODUCT)}"
    return text


def _book_product(factors: tuple[Expression, ...]) -> str:
    """Return factors side by side where the parser reads that as a product, else with a dot between them."""
    text = last = _inside(factors[0], _POWER)
    before = factors[0]
    for factor in factors[1:]:
        piece = _inside(factor, _POWER)
        text += piece if _joins(before, factor, last, piece) else f"·{piece}"
        before, last = factor, piece
    return text


def _joins(before: Expression, factor: Expression, last: str, piece: str) -> bool:
    """Return whether two factors, with the texts `last` and `piece`, may stand side by side."""
    # Each rule below is an exception of the tokenizer: bars that would merge, digits that would extend a number, `2e3`
    # that would be a power of ten, names that would grow together.
    if "|" in last[-1] + piece[0] or piece[0] in "0123456789.":
        return False
    if last[0] == "(" and _rank(before) < _POWER:
        return True
    if (isinstance(before, Power) and "^" in last) or (
        isinstance(before, Call) and last[0] in "√∛" and last[-1] != ")"
    ):
        return False
    word, is_call = _first_word(piece), isinstance(factor.base if isinstance(factor, Power) else factor, Call)
    if isinstance(before, Number):
        named = isinstance(factor.base if isinstance(factor, Power) else factor, Name)
        if (before.value == 1 and not named) or isinstance(factor, Negative):  # 1·√x and 5·(-2), not 1√x and 5(-2)
            return False
        reads_as_power_of_ten = piece[0] in "eE" and piece[1:2].isdigit()
        return "e" not in last and not reads_as_power_of_ten and (piece[0] in "(√∛" or len(word) == 1 or is_call)
    if isinstance(before, Name | MathConstant):
        both = (last in _LETTERS and word in _LETTERS) or ("π" in (last, word) and len(last) == len(word) == 1)
        return both and last != word and not _INDEX.match(piece, len(word))  # xy0 would be one name
    return piece[0] == "(" or len(word) == 1 or is_call


def _first_word(text: str) -> str:
    """Return the leading name of a text without its subscript; empty if it begins with a sign."""
    match = _WORD.match(text)
    return match.group() if match else ""


def _book_power(base: Expression, exponent: Expression) -> str:
    """Return a power; integer exponents of up to two digits as superscripts."""
    below = _inside(base, _ATOM)
    # √x² would look like √(x²).
    if below[0] == "∛" or (below[0] == "√" and below[-1] != ")"):
        below = f"({below})"
    match exponent:
        case Number(value, _) if value.denominator == 1 and abs(value) < 100:
            return below + str(value.numerator).translate(SUPERSCRIPTS)
        case Negative(Number(value, _)) if value.denominator == 1 and 0 <= value < 100:
            return below + str(-value.numerator).translate(SUPERSCRIPTS)
        case Number() | Name() | MathConstant() if _rank(exponent) == _ATOM:
            return f"{below}^{book(exponent)}"
        case _:
            return f"{below}^({book(exponent)})"


def _has_bars(tree: Expression) -> bool:
    """Return whether a tree's text contains bars; nested bars would be ambiguous."""
    return any(isinstance(node, Call) and node.function == "abs" for node in walk(tree))


def latex(tree: Expression) -> str:
    r"""Return a tree as LaTeX.

    >>> from downslope.formulas import formula
    >>> print(latex(formula("x^2/2 + sqrt(x)").body))
    \frac{x^{2}}{2} + \sqrt{x}
    """
    match tree:
        case Number(value, decimal):
            text = number(value, decimal)
            if "e" in text:
                mantissa, _, power = text.partition("e")
                return rf"{mantissa} \cdot 10^{{{power}}}"
            above, slash, below = text.partition("/")
            return rf"\frac{{{above}}}{{{below}}}" if slash else text
        case Name(name):
            return latex_name(name)
        case MathConstant(name):
            return r"\pi" if name == "π" else name
        case Negative(operand):
            return "-" + _latex_inside(operand, _PRODUCT)
        case Sum(terms):
            return _latex_sum(terms)
        case Product(factors):
            return _latex_product(factors)
        case Quotient(numerator, denominator):
            return rf"\frac{{{latex(numerator)}}}{{{latex(denominator)}}}"
        case Power(base, exponent):
            below = _latex_inside(base, _ATOM)
            return f"{below}^{{{latex(exponent)}}}"
        case Call("abs", (argument,)):
            return rf"\left|{latex(argument)}\right|"
        case Call("sqrt", (argument,)):
            return rf"\sqrt{{{latex(argument)}}}"
        case Call("cbrt", (argument,)):
            return rf"\sqrt[3]{{{latex(argument)}}}"
        case Call("floor" | "ceil" as function, (argument,)):
            return rf"\left\l{function} {latex(argument)} \right\r{function}"
        case Call("factorial", (argument,)):
            simple = isinstance(argument, Name | Number) and _rank(argument) == _ATOM
            return f"{latex(argument)}!" if simple else rf"\left({latex(argument)}\right)!"
        case Call("besselj", (Number(order, _), argument)) if order.denominator == 1:
            return rf"J_{{{order}}}\left({latex(argument)}\right)"
        case Call("mod", (above, below)):
            return rf"\left({_latex_inside(above, _PRODUCT)} \bmod {_latex_inside(below, _POWER)}\right)"
        case Call(function, arguments):
            command = (FUNCTIONS[function].latex if function in FUNCTIONS else "") or rf"\operatorname{{{function}}}"
            return rf"{command}\left({', '.join(map(latex, arguments))}\right)"
        case Piecewise():
            return _latex_piecewise(tree)


_LATEX_SIGNS = {"≤": r"\le", "≥": r"\ge", "≠": r"\ne", " and ": r" \text{ and } ", " or ": r" \text{ or } "}


def _latex_piecewise(tree: Piecewise) -> str:
    """Return a piecewise expression as LaTeX's cases."""
    rows = []
    for value, condition in zip(tree.values, tree.conditions, strict=False):
        text = _condition(condition, latex)
        for sign, command in _LATEX_SIGNS.items():
            text = text.replace(sign, command)
        rows.append(rf"{latex(value)} & \text{{if }} {text}")
    if tree.otherwise is not None:
        rows.append(rf"{latex(tree.otherwise)} & \text{{otherwise}}")
    return r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"


# Of quoted names, which may hold any character: what LaTeX takes for something else.
_LATEX_ESCAPES = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "%#&$_{} "}, "\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim "}
)


def latex_name(name: str) -> str:
    r"""Return a name as LaTeX: Greek letters as commands, subscripts as subscripts, words upright.

    >>> latex_name("α_max"), latex_name("50% off")
    ('\\alpha_{max}', '\\mathrm{50\\%\\ off}')
    """
    head, _, subscript = name.partition("_")
    if subscript.startswith("{") and subscript.endswith("}"):
        subscript = subscript[1:-1]
    letters = head.rstrip("0123456789½")
    if not letters:  # a quoted column may be called `2024`
        letters = head
    digits = head[len(letters) :].replace("½", "1/2")
    if letters in COMMAND_OF:
        text = "\\" + COMMAND_OF[letters]
    elif len(letters) == 1:
        text = letters.translate(_LATEX_ESCAPES)
    elif letters.startswith("Δ") and len(letters) == 2:
        text = rf"\Delta {latex_name(letters[1])}"
    else:
        text = rf"\mathrm{{{letters.translate(_LATEX_ESCAPES)}}}"
    below = ",".join(piece for piece in (digits, subscript.translate(_LATEX_ESCAPES)) if piece)
    return f"{text}_{{{below}}}" if below else text


def _latex_inside(tree: Expression, least: int) -> str:
    """Return a tree's LaTeX, in parentheses if its precedence is below `least`; fractions in products need none."""
    # \frac groups by itself, so a quotient binds like a power inside products and sums.
    rank = _POWER if isinstance(tree, Quotient) and least <= _POWER else _rank(tree)
    if isinstance(tree, Number) and "e" in number(tree.value, tree.decimal):
        rank = _PRODUCT  # 3 · 10^20
    return latex(tree) if rank >= least else rf"\left({latex(tree)}\right)"


def _latex_sum(terms: tuple[Expression, ...]) -> str:
    """Return terms with their signs between them, as LaTeX."""
    text = _latex_inside(terms[0], _NEGATIVE)
    for term in terms[1:]:
        match term:
            case Negative(operand):
                text += f" - {_latex_inside(operand, _PRODUCT)}"
            case _:
                text += f" + {_latex_inside(term, _PRODUCT)}"
    return text


def _latex_product(factors: tuple[Expression, ...]) -> str:
    """Return factors as LaTeX, with a dot before a number and between long names."""
    pieces = [_latex_inside(factors[0], _PRODUCT)]
    for before, factor in itertools.pairwise(factors):
        piece = _latex_inside(factor, _POWER)
        words = isinstance(before, Name) and isinstance(factor, Name) and len(before.name) + len(factor.name) > 2
        dotted = piece[0].isdigit() or words or piece.startswith(r"\frac")
        pieces.append((r" \cdot " if dotted else " ") + piece)
    return "".join(pieces)
