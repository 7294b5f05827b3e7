"""The derivatives of known functions: each with its law in letters."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from downslope.formulas.expressions._foreign_function import ForeignFunction
from downslope.formulas.expressions._functions import ORDERED
from downslope.formulas.expressions._tree import (
    TWO,
    UNITY,
    ZERO,
    Call,
    Comparison,
    Expression,
    MathConstant,
    Negative,
    Number,
    Piecewise,
    Power,
    Product,
    Quotient,
    Sum,
)

Outer = Callable[[Expression], Expression]
RULE_REASONS: dict[str, str] = {
    "power": "The exponent comes down as a factor and falls by one.",
    "exponential": "An exponential grows in proportion to itself.",
    "logarithm": "A logarithm grows by the reciprocal.",
    "trigonometric": "From the table of trigonometric functions.",
    "inverse_trigonometric": "From the table of inverse trigonometric functions.",
    "hyperbolic": "From the table of hyperbolic functions.",
    "root": "A root is a power with a fraction as its exponent.",
    "remainder": "A remainder changes as its dividend does; at multiples of the divisor it jumps.",
    "rounding": "Between two jumps nothing changes; at a jump there is no derivative.",
    "absolute_value": "The slope of |u| is the sign of u; at 0 there is none.",
    "function": "From the table of known functions.",
}


def _call(function: str) -> Outer:
    return lambda u: Call(function, (u,))


def _by_sign(u: Expression) -> Expression:
    """Return 1 where u is above 0, and 0 elsewhere, at the kink as well: a descent that lands there goes on."""
    return Piecewise((UNITY, ZERO), (Comparison(u, ">", ZERO),))


def _number(value: int) -> Expression:
    return Number(Fraction(value))


def _unity_and_square(u: Expression, sign: int) -> Expression:
    """Return 1 + u² or 1 - u²."""
    square = Power(u, TWO)
    return Sum((UNITY, square if sign > 0 else Negative(square)))


def _over_magnitude(u: Expression, sign: int) -> Expression:
    """Return 1/(|u|·√(u² ± 1))."""
    radicand = Sum((Power(u, TWO), UNITY if sign > 0 else Negative(UNITY)))
    return Quotient(UNITY, Product((Call("abs", (u,)), _root(radicand))))


def _bell(u: Expression) -> Expression:
    """Return 2·e^(-u²)/√π."""
    return Quotient(Product((TWO, Power(MathConstant("e"), Negative(Power(u, TWO))))), _root(MathConstant("π")))


def _square_of(function: str, u: Expression) -> Expression:
    return Power(Call(function, (u,)), TWO)


def _root(inside: Expression) -> Expression:
    return Call("sqrt", (inside,))


FUNCTION_RULES: dict[str, tuple[str, str, Outer]] = {
    # At 0 the sign is 0, but there is no derivative, as the notes on gaps say.
    "abs": ("absolute_value", "|u|' = sign(u)", _call("sign")),
    "acos": (
        "inverse_trigonometric",
        "acos(u)' = -1/√(1 - u²)",
        lambda u: Negative(Quotient(UNITY, _root(_unity_and_square(u, -1)))),
    ),
    "acosh": (
        "hyperbolic",
        "acosh(u)' = 1/√(u² - 1)",
        lambda u: Quotient(UNITY, _root(Sum((Power(u, TWO), Negative(UNITY))))),
    ),
    "asin": (
        "inverse_trigonometric",
        "asin(u)' = 1/√(1 - u²)",
        lambda u: Quotient(UNITY, _root(_unity_and_square(u, -1))),
    ),
    "asinh": ("hyperbolic", "asinh(u)' = 1/√(1 + u²)", lambda u: Quotient(UNITY, _root(_unity_and_square(u, 1)))),
    "atan": ("inverse_trigonometric", "atan(u)' = 1/(1 + u²)", lambda u: Quotient(UNITY, _unity_and_square(u, 1))),
    "atanh": ("hyperbolic", "atanh(u)' = 1/(1 - u²)", lambda u: Quotient(UNITY, _unity_and_square(u, -1))),
    "cbrt": (
        "root",
        "∛u' = 1/(3·∛u²)",
        lambda u: Quotient(UNITY, Product((_number(3), Power(Call("cbrt", (u,)), TWO)))),
    ),
    "cos": ("trigonometric", "cos(u)' = -sin(u)", lambda u: Negative(Call("sin", (u,)))),
    "cosh": ("hyperbolic", "cosh(u)' = sinh(u)", _call("sinh")),
    "acot": (
        "inverse_trigonometric",
        "acot(u)' = -1/(1 + u²)",
        lambda u: Negative(Quotient(UNITY, _unity_and_square(u, 1))),
    ),
    "acoth": ("hyperbolic", "acoth(u)' = 1/(1 - u²)", lambda u: Quotient(UNITY, _unity_and_square(u, -1))),
    "acsc": ("inverse_trigonometric", "acsc(u)' = -1/(|u|·√(u² - 1))", lambda u: Negative(_over_magnitude(u, -1))),
    "acsch": ("hyperbolic", "acsch(u)' = -1/(|u|·√(u² + 1))", lambda u: Negative(_over_magnitude(u, 1))),
    "asec": ("inverse_trigonometric", "asec(u)' = 1/(|u|·√(u² - 1))", lambda u: _over_magnitude(u, -1)),
    "asech": (
        "hyperbolic",
        "asech(u)' = -1/(u·√(1 - u²))",
        lambda u: Negative(Quotient(UNITY, Product((u, _root(_unity_and_square(u, -1)))))),
    ),
    "ceil": ("rounding", "⌈u⌉' = 0", lambda u: ZERO),
    "cot": ("trigonometric", "cot(u)' = -csc(u)²", lambda u: Negative(_square_of("csc", u))),
    "coth": ("hyperbolic", "coth(u)' = -csch(u)²", lambda u: Negative(_square_of("csch", u))),
    "csc": (
        "trigonometric",
        "csc(u)' = -csc(u)·cot(u)",
        lambda u: Negative(Product((Call("csc", (u,)), Call("cot", (u,))))),
    ),
    "csch": (
        "hyperbolic",
        "csch(u)' = -csch(u)·coth(u)",
        lambda u: Negative(Product((Call("csch", (u,)), Call("coth", (u,))))),
    ),
    "digamma": ("function", "digamma(u)' = polygamma(1, u)", lambda u: Call("polygamma", (UNITY, u))),
    "erf": ("function", "erf(u)' = 2·e^(-u²)/√π", _bell),
    "erfc": ("function", "erfc(u)' = -2·e^(-u²)/√π", lambda u: Negative(_bell(u))),
    "factorial": (
        "function",
        "(u!)' = u!·digamma(u + 1)",
        lambda u: Product((Call("factorial", (u,)), Call("digamma", (Sum((u, UNITY)),)))),
    ),
    "floor": ("rounding", "⌊u⌋' = 0", lambda u: ZERO),
    "gamma": (
        "function",
        "gamma(u)' = gamma(u)·digamma(u)",
        lambda u: Product((Call("gamma", (u,)), Call("digamma", (u,)))),
    ),
    "lgamma": ("function", "lgamma(u)' = digamma(u)", _call("digamma")),
    "sec": (
        "trigonometric",
        "sec(u)' = sec(u)·tan(u)",
        lambda u: Product((Call("sec", (u,)), Call("tan", (u,)))),
    ),
    "sech": (
        "hyperbolic",
        "sech(u)' = -sech(u)·tanh(u)",
        lambda u: Negative(Product((Call("sech", (u,)), Call("tanh", (u,))))),
    ),
    "exp": ("exponential", "exp(u)' = exp(u)", _call("exp")),
    "ln": ("logarithm", "ln(u)' = 1/u", lambda u: Quotient(UNITY, u)),
    "log10": (
        "logarithm",
        "log10(u)' = 1/(u·ln(10))",
        lambda u: Quotient(UNITY, Product((u, Call("ln", (_number(10),))))),
    ),
    "log2": ("logarithm", "log2(u)' = 1/(u·ln(2))", lambda u: Quotient(UNITY, Product((u, Call("ln", (TWO,)))))),
    "relu": ("function", "relu(u)' = {1 if u > 0, 0 otherwise}", _by_sign),
    "sigmoid": (
        "function",
        "σ(u)' = σ(u)·(1 - σ(u))",
        lambda u: Product((Call("sigmoid", (u,)), Sum((UNITY, Negative(Call("sigmoid", (u,))))))),
    ),
    "sign": ("function", "sign(u)' = 0", lambda u: ZERO),
    "sin": ("trigonometric", "sin(u)' = cos(u)", _call("cos")),
    "sinh": ("hyperbolic", "sinh(u)' = cosh(u)", _call("cosh")),
    "softplus": ("function", "softplus(u)' = σ(u)", _call("sigmoid")),
    "sqrt": ("root", "√u' = 1/(2·√u)", lambda u: Quotient(UNITY, Product((TWO, _root(u))))),
    "step": ("function", "step(u)' = 0", lambda u: ZERO),
    # Not 1/cos(u)²: in terms of tan(u) nothing new has to be evaluated.
    "tan": ("trigonometric", "tan(u)' = 1 + tan(u)²", lambda u: Sum((UNITY, Power(Call("tan", (u,)), TWO)))),
    "tanh": ("hyperbolic", "tanh(u)' = 1 - tanh(u)²", lambda u: Sum((UNITY, Negative(Power(Call("tanh", (u,)), TWO))))),
}


# Functions that only computed forms contain.
_STABLE_RULES: dict[str, Outer] = {
    "cosm1": lambda u: Negative(Call("sin", (u,))),
    "exp_neg_asinh": lambda u: Negative(Quotient(Call("exp_neg_asinh", (u,)), _root(_unity_and_square(u, 1)))),
    "expm1": _call("exp"),
    "log1p": lambda u: Quotient(UNITY, Sum((UNITY, u))),
    "sqrt1pm1": lambda u: Quotient(UNITY, Product((TWO, _root(Sum((UNITY, u)))))),
}


# Functions of two arguments. A rule is for one of them; the other is an order or a degree, which stays.


def index_of_argument(function: str) -> int:
    """Return which argument a function is differentiated by: the second where the first is an order."""
    return 1 if function in ORDERED else 0


def with_order(function: str, arguments: tuple[Expression, ...]) -> tuple[str, str, Outer]:
    """Return the rule of a function with an order or a degree, as in `FUNCTION_RULES`."""
    order = arguments[1 - index_of_argument(function)]
    match function:
        case "besselj" if order == ZERO:
            return "function", "J₀(u)' = -J₁(u)", lambda u: Negative(Call("besselj", (UNITY, u)))
        case "besselj":
            lower, higher = _shifted(order, -1), _shifted(order, 1)
            law = "Jₙ(u)' = (Jₙ₋₁(u) - Jₙ₊₁(u))/2"
            return (
                "function",
                law,
                lambda u: Quotient(Sum((Call("besselj", (lower, u)), Negative(Call("besselj", (higher, u))))), TWO),
            )
        case "polygamma":
            law = "polygamma(n, u)' = polygamma(n + 1, u)"
            return "function", law, lambda u: Call("polygamma", (_shifted(order, 1), u))
        case "root":
            lower = _shifted(order, -1)
            law = "root(u, n)' = 1/(n·root(u, n)^(n - 1))"
            return "root", law, lambda u: Quotient(UNITY, Product((order, Power(Call("root", (u, order)), lower))))
    raise AssertionError(function)


def partial(function: str, arguments: tuple[Expression, ...], index: int) -> Expression:
    """Return the derivative of a function by one of its arguments, in terms of its arguments."""
    if isinstance(function, ForeignFunction):
        if function.rule is not None:
            return function.rule(arguments, index)
        return Call(function.slope(index), arguments)
    # u mod v = u − v·⌊u/v⌋, in which the floor is constant between two jumps.
    if function == "mod":
        return UNITY if index == 0 else Negative(Call("floor", (Quotient(*arguments),)))
    if function in _STABLE_RULES:
        return _STABLE_RULES[function](arguments[index])
    # An order or a degree is a number, and does not change.
    if index != index_of_argument(function):
        return ZERO
    _, _, outer = FUNCTION_RULES[function] if len(arguments) == 1 else with_order(function, arguments)
    return outer(arguments[index])


def _shifted(order: Expression, by: int) -> Expression:
    """Return an order that is larger by a whole number."""
    if isinstance(order, Number):
        value = order.value + by
        return Number(value) if value >= 0 else Negative(Number(-value))
    return Sum((order, UNITY if by > 0 else Negative(UNITY)))
