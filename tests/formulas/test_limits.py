"""Powers, roots and x·ln x at a base of 0: value, slope and curvature are limits, in both engines."""

import mpmath
import numpy as np
import pytest

import downslope as ds
from downslope.formulas import ARRAYS, NumericFormula, evaluate, formula, jax_functions, with_limits

TABLE = {"x": np.array([0.0, 0.5, 3.0])}
POINT = {"T": 2.0, "b": 0.7}
FORMULAS = {
    "(x/T)^b": lambda x, T, b: (x / T) ** b,
    "exp(-(x/T)^b)": lambda x, T, b: mpmath.exp(-((x / T) ** b)),
    "√(T x) + b": lambda x, T, b: mpmath.sqrt(T * x) + b,
    "(1 - e^(-T x))^b": lambda x, T, b: (1 - mpmath.exp(-T * x)) ** b,
    "|T x|^b": lambda x, T, b: abs(T * x) ** b,
    "b x ln(x/T)": lambda x, T, b: b * x * mpmath.log(x / T),
    "where(x < 1, (x/T)^b, b)": lambda x, T, b: (x / T) ** b if x < 1 else b,
    "√(T x + b x²)": lambda x, T, b: mpmath.sqrt(T * x + b * x**2),
    "x^b": lambda x, T, b: x**b,
}


def limits(function, orders):
    """Return a derivative at each row, at 0 as the limit from the right."""
    with mpmath.workdps(60):
        rows = [mpmath.mpf(x) if x else mpmath.mpf(10) ** -300 for x in TABLE["x"]]
        return [float(mpmath.diff(lambda T, b, x=x: function(x, T, b), (POINT["T"], POINT["b"]), orders)) for x in rows]


@pytest.mark.parametrize("text", FORMULAS)
def test_slopes_are_limits_in_numpy_and_jax(text):
    import jax

    expected = np.array([limits(FORMULAS[text], orders) for orders in ((1, 0), (0, 1))])
    read = formula(text, columns=["x"])
    numeric = NumericFormula(ds.Formula(None, ("T", "b"), read.body, ("x",)), ARRAYS, TABLE)
    _, slopes = numeric.value_and_slopes([POINT["T"], POINT["b"]])
    assert np.array([np.broadcast_to(slope, 3) for slope in slopes]) == pytest.approx(expected, rel=1e-9, abs=1e-12)

    tree = with_limits(read.body, frozenset(["x"]))
    with jax.enable_x64(True):
        jacobian = jax.jacfwd(lambda at: evaluate(tree, {"x": TABLE["x"], "T": at[0], "b": at[1]}, jax_functions()))(
            np.array([POINT["T"], POINT["b"]])
        )
    assert pytest.approx(expected, rel=1e-9, abs=1e-12) == np.asarray(jacobian).T


@pytest.mark.parametrize("exponent", ["-1", "0", "0.3", "1", "1.7", "2", "3"])
def test_powers_of_a_quotient_are_their_limits(exponent):
    body = formula(f"(x/T)^({exponent})", columns=["x"]).body
    numeric = NumericFormula(ds.Formula(None, ("T",), body, ("x",)), ARRAYS, {"x": np.array([0.0])})
    value, gradient, hessian = numeric.value_gradient_hessian([2.0])
    if exponent == "-1":
        assert not np.isfinite(value)
        return
    assert value == float(exponent == "0")
    assert np.all(np.array(gradient, float) == 0)
    assert np.all(np.array(hessian, float) == 0)


def test_the_curvature_of_a_sum_of_squares_is_a_limit_too():
    body = formula("sum(((x/T)^b - 1)²)", columns=["x"]).body
    at = [POINT["T"], POINT["b"]]
    numeric = NumericFormula(ds.Formula(None, ("T", "b"), body, ("x",)), ARRAYS, TABLE)
    without = NumericFormula(ds.Formula(None, ("T", "b"), body, ("x",)), ARRAYS, {"x": TABLE["x"][1:]})
    assert np.array(numeric.hessian(at), float) == pytest.approx(np.array(without.hessian(at), float))


def test_where_a_column_has_no_zero_nothing_changes():
    body = formula("(x/T)^b", columns=["x"]).body
    from downslope.formulas.evaluation import limited

    assert limited(body, {"x": np.array([1.0, 2.0])}) is body
    assert limited(body, TABLE) is not body


@pytest.mark.parametrize("text", ["a x²", "a x^0.5", "e^(-k x)", "x^(-2)/T", "sin(x/T)"])
def test_what_the_chain_rule_knows_is_left_alone(text):
    body = formula(text, columns=["x"]).body
    assert with_limits(body, frozenset(["x"])) == body
