"""A number that is not finite names the step, the layer and the operation where it began."""

import jax.numpy as jnp
import numpy as np

import downslope as ds

INPUTS = np.random.default_rng(0).normal(size=(64, 3))
TARGETS = INPUTS @ [1.0, -2.0, 0.5]


def lost(**choices):
    """Return the trace of a training that is bound to fail, and what is told of its end."""
    made = ds.train(data=(INPUTS, TARGETS), **{"steps": 60, "progress": False, "probe_every": 0, **choices})
    assert made.trace.outcome is ds.Outcome.NOT_FINITE
    assert all(np.all(np.isfinite(leaf)) for leaf in made.trace.end.values())
    return made.trace, made.trace.facts["not_finite"]


def test_a_logarithm_of_zero_in_the_loss_is_told_and_the_diagnosis_says_it():
    # The default, which looks at the curvature of what is not finite as well.
    trace, told = lost(loss=lambda outputs, targets: jnp.mean(jnp.log(outputs * 0.0)), probe_every=None)
    assert trace.not_finite_step == 0
    assert (told["operation"], told["pass"]) == ("logarithm", "forward")
    diagnosis = ds.diagnose(trace)
    assert told["sentence"] in str(diagnosis)
    assert "not_finite" in diagnosis


def test_exponentials_that_overflow_name_their_layer():
    _, told = lost(model=[ds.Dense(8, "exponential", "normal_30"), ds.Dense(8, "exponential"), ds.Dense(1)])
    assert told["operation"] in ("exponential", "matrix product")
    assert told["layer"] in ("layers/0", "layers/1")
    assert told["pass"] == "forward"


def test_a_root_at_zero_has_no_slope():
    _, told = lost(loss=lambda outputs, targets: jnp.mean(jnp.sqrt(0.0 * outputs**2)))
    assert told["pass"] == "backward"


def test_an_update_that_divides_zero_by_zero():
    _, told = lost(model=[ds.Dense(4, "relu", bias=-100.0), ds.Dense(1)], method="adam", epsilon=0.0, steps=30)
    assert told["pass"] == "update"
