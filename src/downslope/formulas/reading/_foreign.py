"""Names from mathematics and other languages that formulas do not support, and what to suggest for each.

The nearest spelling is no help where the meaning is known: `cot` is not a misspelt `count`.
"""

from __future__ import annotations

from downslope._errors import nearest

# Names of the same function elsewhere, with the name here.
SAME: dict[str, str] = {
    **dict.fromkeys(("tg", "tang", "tangens"), "tan"),
    **dict.fromkeys(("ctg", "cotg", "cotan", "cotang", "ctan"), "cot"),
    **dict.fromkeys(("arctg", "arctang", "atg"), "atan"),
    **dict.fromkeys(("arcctg", "arccotg", "arcctan", "arccotan", "actg"), "acot"),
    **dict.fromkeys(("sen", "sinus"), "sin"),
    "cosinus": "cos",
    **dict.fromkeys(("arcsen", "asen"), "asin"),
    "arcos": "acos",
    **dict.fromkeys(("cosec", "cossec"), "csc"),
    **dict.fromkeys(("arccosec", "acosec"), "acsc"),
    **dict.fromkeys(("sh", "senh"), "sinh"),
    "ch": "cosh",
    **dict.fromkeys(("th", "tgh"), "tanh"),
    **dict.fromkeys(("cth", "cotgh", "ctgh"), "coth"),
    "sch": "sech",
    "cosech": "csch",
    **dict.fromkeys(("arsh", "argsh", "arcsh", "argsinh"), "asinh"),
    **dict.fromkeys(("arch", "argch", "arcch", "argcosh"), "acosh"),
    **dict.fromkeys(("arth", "argth", "arcth", "argtanh"), "atanh"),
    **dict.fromkeys(("pow", "power"), "pow"),
    **dict.fromkeys(("fabs", "absolute"), "abs"),
    **dict.fromkeys(("loge", "logn"), "ln"),
    **dict.fromkeys(("amax", "maximum", "fmax"), "max"),
    **dict.fromkeys(("amin", "minimum", "fmin"), "min"),
    **dict.fromkeys(("fmod", "remainder"), "mod"),
    **dict.fromkeys(("logistic", "logsig"), "sigmoid"),
    **dict.fromkeys(("tgamma", "gammafunction"), "gamma"),
    "gammln": "lgamma",
    **dict.fromkeys(("lb", "ld"), "log2"),
    **dict.fromkeys(("psi", "ψ"), "digamma"),
    **dict.fromkeys(("jv", "jn"), "besselj"),
    "avg": "mean",
}
# Of these, the ones that are ordinary letters or words elsewhere are functions before a parenthesis only.
_ONLY_CALLED_TEXT = """
sh ch th tg cth sch arch arth arsh power pow absolute remainder maximum minimum psi ψ jv jn avg loge logn lb ld
"""
ONLY_CALLED = frozenset(_ONLY_CALLED_TEXT.split())

_DERIVE = 'write the formula alone and derive it: derive("x² + 1"), or d/dx in front of it'
_DEGREES = "write sin(30°) or sin(x°) for an angle in degrees"
_COMPLEX = "formulas have real values only"
_MATRIX = "formulas have numbers as variables; write the entries out: f(x, y) = …"
_RANDOM = "a formula has one value at each point; put random numbers into a table"
_SEARCH = "use search or multistart for the lowest point, critical_points for all of them"

# Operators and functions that formulas do not have: their names, what they are, and what to do instead.
_TABLE: tuple[tuple[str, str, str], ...] = (
    ("lim limit limsup liminf Limit", "a limit", "slope(…) says how a formula behaves beside a gap"),
    (
        "∫ ∬ ∭ ∮ iint iiint oint integral integrate Integrate NIntegrate quad",
        "an integral",
        "integrals are not supported; write the antiderivative out",
    ),
    ("int", "an integral", "integrals are not supported; for the whole part of a number write floor(x)"),
    ("∇ nabla grad gradient", "a gradient", "derive(formula) gives all partial derivatives, slope their values"),
    ("diff deriv derivative Derivative Dt", "a derivative", _DERIVE),
    ("div curl rot laplacian hess hessian jacobian", "a vector operator", _DERIVE),
    (
        "solve fsolve roots nsolve Solve NSolve FindRoot",
        "solving an equation",
        "equations are not solved; minimise (left - right)² instead",
    ),
    ("argmin argmax", "the place of an extreme value", _SEARCH),
    ("sup inf supremum infimum minimize maximize minimise maximise", "an extreme value", _SEARCH),
    ("Re Im re im arg conj conjugate cis complex", "a complex number", _COMPLEX),
    ("det tr trace transpose inv diag rank dot cross eye Matrix", "a matrix operation", _MATRIX),
    ("matrix begin end pmatrix bmatrix", "a matrix or a table", _MATRIX),
    ("norm Vert lVert rVert ‖ ∥", "a norm", "write it out: √(x² + y²)"),
    ("rand random randn randint RAND", "a random number", _RANDOM),
    ("sind cosd tand asind acosd atand cotd", "a function of degrees", _DEGREES),
    (
        "degrees deg radians rad deg2rad rad2deg DEGREES RADIANS toRadians toDegrees Degree",
        "a change of units",
        _DEGREES,
    ),
    ("atan2 arctan2", "the angle of a point", "write atan(y/x), where x > 0; it has no other quadrants"),
    ("hypot", "a distance", "write √(x² + y²)"),
    ("binom comb choose nCr ncr dbinom tbinom", "a binomial coefficient", "write n!/(k!·(n - k)!)"),
    ("perm nPr", "a number of arrangements", "write n!/(n - k)!"),
    ("return def function import print", "a word of a program", "write the expression alone: x**2 + 1"),
    ("gcd lcm hcf isprime prime totient", "a function of whole numbers", "it has no derivative"),
    ("round rint nint", "rounding", "write floor(x + 1/2)"),
    ("clip clamp", "a value held between two bounds", "write min(max(x, 0), 1)"),
    ("trunc fix", "rounding towards zero", "write sign(x)·floor(|x|)"),
    ("frac fract", "the fractional part", "write x - floor(x) or mod(x, 1)"),
    ("log1p", "a logarithm", "write ln(1 + x)"),
    ("expm1", "an exponential", "write e^x - 1"),
    ("exp2", "a power", "write 2^x"),
    ("exp10", "a power", "write 10^x"),
    ("sqr square", "a square", "write x²"),
    ("sinc", "sin(x)/x", "write sin(x)/x or sin(πx)/(πx), as you mean it"),
    ("versin vers ver", "a versed sine", "write 1 - cos(x)"),
    ("haversin hav haversine", "a haversine", "write sin(x/2)²"),
    ("elu", "an activation", "write {x if x > 0, e^x - 1 otherwise}"),
    ("gelu", "an activation", "write x·(1 + erf(x/√2))/2"),
    ("silu swish", "an activation", "write x·sigmoid(x)"),
    ("leakyrelu leaky_relu", "an activation", "write max(x, 0.01x)"),
    ("logit", "the log-odds", "write ln(x/(1 - x))"),
    ("softmax logsumexp lse", "a function of a list", "write it out: ln(e^x + e^y)"),
    (
        "var std stdev median mode cov corr percentile quantile",
        "a statistic",
        "of the rows of a table, formulas have mean, sum and count",
    ),
    (
        "erfi erfinv erfcinv erfcx probit norminv normcdf Phi Φ",
        "a relative of the error function",
        "formulas have erf and erfc: (1 + erf(x/√2))/2 is the normal distribution",
    ),
    (
        "zeta ζ polylog Li li Ei Si Ci expint beta Beta betainc gammainc hyper hyp2f1 lambertw LambertW",
        "a special function",
        "formulas have gamma, digamma, erf, erfc and J₀, J₁, …",
    ),
    (
        "airy Ai Bi ellipk ellipe elliptic legendre hermite laguerre chebyshev sph_harm fresnel",
        "a special function",
        "formulas have gamma, digamma, erf, erfc and J₀, J₁, …",
    ),
    (
        "besseli besselk bessely i0 i1 k0 k1 y0 y1 iv kv yv",
        "a Bessel function",
        "formulas have those of the first kind: J₀(x), J₁(x), …",
    ),
    *(
        (
            f"{letter}_{order}",
            "a Bessel function",
            f"formulas have those of the first kind: J₀(x), J₁(x), …; write {letter}{'₀₁'[order]}·(…) for a product",
        )
        for letter in "YIK"
        for order in (0, 1)
    ),
    ("DiracDelta dirac kronecker", "a delta function", "it has no value as a formula"),
    ("rect tri boxcar", "a function by cases", "write {1 if |x| < 1/2, 0 otherwise}"),
    ("in ∈", "membership in a set", "write an interval as 0 ≤ x ≤ 1"),
    ("not xor ∉ forall ∀ exists ∃", "logic", "conditions are comparisons joined by and, or"),
    ("∞ infty", "infinity", "infinity is not a number to compute with"),
    ("… ldots dots cdots dotsb dotsc vdots", "dots", r"write the terms out, or a sum with bounds: \sum_{k=0}^{5} x^k"),
    ("± ∓ pm mp", "two formulas in one", "write one of them, with + or with -"),
    ("≈ ≃ ≅ ∼ ∝ approx sim simeq propto equiv ≡", "a relation", "a formula is one expression: y = …"),
    ("over atop", "an old notation for a fraction", r"write \frac{…}{…}"),
    ("⟨ ⟩ langle rangle", "an inner product or a mean", "write it out: x·u + y·v"),
    ("∪ ∩ ⊂ cup cap subset ⊗ ⊕ otimes oplus", "an operation on sets or spaces", "formulas have + - · / ^"),
)
_OPERATORS = {name: (what, instead) for names, what, instead in _TABLE for name in names.split()}

# One letter is a variable, but before a parenthesis these are functions of mathematics that formulas do not have, or
# may be: `H(x)` is written for the unit step, for Hermite's polynomials and for H·x.
_LETTERS: dict[str, str] = {
    "H": "write heaviside(x) for the unit step",
    "u": "write heaviside(t) for the unit step",
    "Θ": "write heaviside(x) for the unit step",
    "θ": "write heaviside(x) for the unit step",
    "ζ": "the zeta function is not supported",
    "Φ": "write (1 + erf(x/√2))/2 for the normal distribution",
    "φ": "write e^(-x²/2)/√(2π) for the normal density",
    "δ": "a delta function has no value as a formula",
    "B": "the beta function is Γ(x)·Γ(y)/Γ(x + y)",
    "W": "Lambert's W is not supported",
    "P": "a polynomial or a probability is written out",
    "E": "a mean over the rows of a table is mean(…)",
}
# Ordinary names of functions of one's own.
_OWN = ("f", "g", "h", "F", "G")


def refusal(name: str) -> tuple[str, str] | None:
    """Return the message and the hint for a name of mathematics that formulas do not have; None for any other.

    >>> refusal("lim")
    ('lim is a limit, which formulas do not have', 'slope(…) says how a formula behaves beside a gap')
    """
    meaning = _OPERATORS.get(name)
    if meaning is None:
        return None
    what, instead = meaning
    return f"{name} is {what}, which formulas do not have", instead


def refusal_of_letter(letter: str, argument: str) -> tuple[str, str] | None:
    """Return the message and the hint for a letter before a parenthesis; None where it can only be a product."""
    if letter in _LETTERS:
        message = f"{letter}({argument}) can be a function or a product"
        return message, f"{_LETTERS[letter]}, or {letter}·({argument}) for a product"
    if letter in _OWN:
        message = f"{letter}({argument}) is a function that this formula does not define"
        return message, f"write its formula in place of it, or {letter}·({argument}) for a product"
    return None


def near(name: str, known: list[str]) -> str | None:
    """Return the known name that a person probably meant: one that differs by a letter, in names of four and more.

    >>> near("sine", ["sin", "sinh"]), near("cot", ["count"]), near("sqtr", ["sqrt"])
    ('sin', None, 'sqrt')
    """
    close = nearest(name, known)
    return close if close is not None and len(name) >= 4 and _distance(name, close) <= 1 else None


def _distance(first: str, second: str) -> int:
    """Return the number of letters inserted, left out, changed or exchanged with a neighbour."""
    rows = [list(range(len(second) + 1))]
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            best = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
