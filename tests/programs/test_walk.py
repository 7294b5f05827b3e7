"""The walker of JAX programs against the JAX that is installed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

from downslope.programs import (
    Nesting,
    _first_not_finite,
    called,
    evaluate,
    first_not_finite,
    inner_programs,
    nesting_of,
    walk,
)
from downslope.programs._walk import NESTING


@jax.custom_vjp
def own_vjp(x):
    return jnp.log(x)


own_vjp.defvjp(lambda x: (own_vjp(x), x), lambda x, gradient: (gradient / x,))


@jax.custom_jvp
def own_jvp(x):
    return jnp.log(x)


own_jvp.defjvp(lambda primals, tangents: (own_jvp(primals[0]), tangents[0] / primals[0]))


@jax.custom_batching.custom_vmap
def own_vmap(x):
    return x * 2


own_vmap.def_vmap(lambda size, batched, x: (x * 2, batched[0]))


def _shards(x):
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    return jax.shard_map(lambda y: y * 2, mesh=mesh, in_specs=PartitionSpec("rows"), out_specs=PartitionSpec("rows"))(x)


PROGRAMS = {
    "jit": (lambda x: jax.jit(lambda y: y * 2)(x), Nesting.CALL),
    "checkpoint": (lambda x: jax.checkpoint(lambda y: jnp.log(y))(x), Nesting.CALL),
    "composite": (lambda x: lax.composite(lambda y: y * 2, "own.double")(x), Nesting.CALL),
    "custom_jvp": (own_jvp, Nesting.RULED_CALL),
    "relu": (jax.nn.relu, Nesting.RULED_CALL),
    "custom_vjp": (own_vjp, Nesting.RULED_CALL),
    "custom_vmap": (own_vmap, Nesting.RULED_CALL),
    "cond": (lambda x: lax.cond(x[0] > 0, lambda y: y, lambda y: -y, x), Nesting.BRANCHES),
    "switch": (lambda x: lax.switch(1, [lambda y: y, lambda y: -y, lambda y: 2 * y], x), Nesting.BRANCHES),
    "scan": (lambda x: lax.scan(lambda carry, y: (carry + y, carry), 0.0, x)[0], Nesting.SCAN),
    "map": (lambda x: lax.map(jnp.log, x), Nesting.SCAN),
    "fori_loop": (lambda x: lax.fori_loop(0, 3, lambda _, carry: carry * 2, x), Nesting.SCAN),
    "while": (lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: c * 2, x), Nesting.WHILE),
    "reduce": (lambda x: lax.reduce(x, 0.0, lambda a, b: a * b + a, (0,)), Nesting.COMBINER),
    "reduce_window": (
        lambda x: lax.reduce_window(x, 1.0, lambda a, b: a * b + a, (1,), (1,), "VALID"),
        Nesting.COMBINER,
    ),
    "scatter": (lambda x: x.at[0].apply(jnp.sin), Nesting.COMBINER),
    "scatter-add": (lambda x: x.at[0].add(1.0), Nesting.COMBINER),
    "linear_solve": (
        lambda x: lax.custom_linear_solve(lambda v: 2 * v, x, lambda _, b: b / 2, lambda _, b: b / 2),
        Nesting.COMBINER,
    ),
    "shard_map": (_shards, Nesting.COMBINER),
}


def _nested(jaxpr):
    """Yield every equation that holds a program, at any depth."""
    for equation in jaxpr.eqns:
        if nesting_of(equation) is not None:
            yield equation
        for inner in inner_programs(equation) if nesting_of(equation) is not None else ():
            yield from _nested(inner.jaxpr)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_nested_program_of_the_installed_jax_is_in_the_list(name: str) -> None:
    function, expected = PROGRAMS[name]
    equations = list(_nested(jax.make_jaxpr(function)(jnp.ones(3)).jaxpr))
    assert equations
    assert {equation.primitive.name for equation in equations} <= NESTING.keys()
    assert expected in {nesting_of(equation) for equation in equations}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ("while", "reduce_window", "scatter")])
def test_so_is_every_one_of_its_gradient(name: str) -> None:
    function, _ = PROGRAMS[name]
    if name in ("reduce", "custom_vmap", "composite"):  # of which JAX has no reverse derivative
        pytest.skip("JAX has no reverse derivative of it")
    gradient = jax.make_jaxpr(jax.grad(lambda x: jnp.sum(function(x))))(jnp.ones(3))
    assert {equation.primitive.name for equation in _nested(gradient.jaxpr)} <= NESTING.keys()


def test_operations_that_jax_checks_by_a_rule_of_their_own_are_in_the_list() -> None:
    core = pytest.importorskip("jax._src.core")
    with_programs = {
        primitive.name
        for primitive in core.custom_typechecks
        if primitive.name.removesuffix("_call") != primitive.name
        or primitive.name in ("jit", "cond", "scan", "while", "shard_map")
    }
    assert with_programs <= NESTING.keys()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_walk_that_evaluates_gives_what_the_function_gives(name: str) -> None:
    function, _ = PROGRAMS[name]
    x = jnp.array([0.5, 1.5, 2.5])

    def step(equation, operands):
        inner = called(equation, ruled=True)
        if inner is None:
            return evaluate(equation, operands)
        return walk(inner.jaxpr, inner.constants, inner.operands(operands, None), step, lambda value: value)

    program = jax.make_jaxpr(function)(x)
    (result,) = walk(program.jaxpr, program.consts, [x], step, lambda value: value)
    np.testing.assert_allclose(result, function(x), rtol=1e-6)


def test_a_call_by_a_new_name_is_still_a_call() -> None:
    class Renamed:
        def __init__(self, equation):
            self.primitive = type("Primitive", (), {"name": "jit3"})()
            self.params, self.invars, self.outvars = equation.params, equation.invars, equation.outvars

    (equation,) = jax.make_jaxpr(jax.jit(lambda x: x * 2))(1.0).jaxpr.eqns
    assert "jit3" not in NESTING
    assert nesting_of(Renamed(equation)) is Nesting.CALL


@jax.custom_vjp
def _bad_gradient(x):
    return x * 1.0


_bad_gradient.defvjp(lambda x: (x * 1.0, x), lambda x, gradient: (gradient * jnp.log(x),))

W = {"w": np.float32(0)}


@pytest.mark.parametrize(
    "loss, rounds",
    [
        (lambda p: jnp.log(p["w"]) * 1.0, ""),
        (lambda p: jax.checkpoint(lambda w: jnp.log(w) * 1.0)(p["w"]), ""),
        (lambda p: jax.jit(lambda w: jnp.log(w) * 1.0)(p["w"]), ""),
        (lambda p: lax.cond(p["w"] > -1, lambda w: jnp.log(w), lambda w: w, p["w"]), ""),
        (lambda p: lax.switch(2, [jnp.sin, jnp.cos, lambda w: jax.checkpoint(jnp.log)(w) + 1], p["w"]), ""),
        (lambda p: lax.scan(lambda c, x: (c + x * jnp.log(p["w"]), c), 0.0, jnp.ones(4))[0], " at step 1 of a scan,"),
        (lambda p: jnp.sum(lax.map(lambda x: jnp.log(p["w"] * x), jnp.ones(4))), " at step 1 of a scan,"),
        (
            lambda p: lax.fori_loop(0, 5, lambda i, c: lax.cond(i == 2, jnp.log, jnp.sin, c), p["w"]),
            " at step 3 of a scan,",
        ),
        (
            lambda p: lax.scan(lambda c, x: (lax.cond(x > 2, jnp.log, jnp.sin, c), c), p["w"], jnp.arange(4.0))[0],
            " at step 4 of a scan,",
        ),
        (lambda p: own_jvp(p["w"]), ""),
        (lambda p: own_vjp(p["w"]), ""),
        (lambda p: jax.vmap(jnp.log)(p["w"][None])[0], ""),
    ],
)
def test_a_logarithm_is_named_wherever_it_is_taken(loss, rounds: str) -> None:
    origin = first_not_finite(loss, W)
    assert origin["operation"] == "logarithm"
    assert origin["layer"] == "w"
    assert origin["pass"] == "forward"
    assert origin["sentence"] == f"It began on the way forward behind w, in a logarithm{rounds} of numbers up to 0."


def test_so_it_is_in_a_while_loop_and_on_the_way_back() -> None:
    def loop(p):
        after = lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.log(c[1])), (0, p["w"]))[1]
        return p["w"] + lax.stop_gradient(after)

    assert first_not_finite(loop, W)["sentence"].endswith(
        "in a logarithm at step 1 of a while loop, of numbers up to 0."
    )
    back = first_not_finite(lambda p: _bad_gradient(p["w"]), W)
    assert (back["operation"], back["pass"]) == ("logarithm", "backward")


def test_a_loop_that_overflows_only_in_a_later_round_is_followed_to_that_round() -> None:
    loss = lambda p: lax.scan(lambda c, _: (c * c, None), p["w"], None, length=60)[0]  # noqa: E731
    origin = first_not_finite(loss, {"w": np.float32(10)})
    assert origin["operation"] == "product"
    assert origin["value_before"] == pytest.approx(1e32, rel=1e-3)


def test_a_finite_program_has_no_origin() -> None:
    assert first_not_finite(lambda p: lax.cond(p["w"] > 1, jnp.log, jnp.sin, p["w"]), W) == {}


def test_the_origin_takes_one_program_for_each_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    run_once = _first_not_finite.run_once
    monkeypatch.setattr(
        _first_not_finite, "run_once", lambda function, *values: (compiled.append(1), run_once(function, *values))[1]
    )
    assert first_not_finite(lambda p: jnp.log(p["w"]) + jnp.sin(p["w"]), W)["pass"] == "forward"
    assert len(compiled) == 1
    assert first_not_finite(lambda p: jnp.sqrt(p["w"]), W)["pass"] == "backward"
    assert len(compiled) == 3


def test_the_origin_does_without_the_options_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_first_not_finite, "_QUICKLY", {"an_option_of_no_release": True})
    assert first_not_finite(lambda p: jnp.log(p["w"]), W)["operation"] == "logarithm"


def test_rounds_of_nested_loops_are_counted_from_the_inside_and_backwards_by_their_slice() -> None:
    def grid(p):
        def row(carry, x):
            return lax.scan(lambda c, y: (c + jnp.log(x + y + p["w"]), None), carry, jnp.arange(3.0)[::-1])[0], None

        return lax.scan(row, 0.0, jnp.array([2.0, 0.0]))[0]

    assert "at step 3 of a scan at step 2 of a scan," in first_not_finite(grid, W)["sentence"]
    # √ has an infinite slope at 0 alone, in the second slice; the way back comes to it from the end.
    back = first_not_finite(
        lambda p: lax.scan(lambda c, x: (c + jnp.sqrt(x * p["w"]), None), 0.0, jnp.array([1.0, 0.0, 4.0]))[0],
        {"w": np.float32(1)},
    )
    assert back["pass"] == "backward"
    assert "at step 2 of a scan," in back["sentence"]
