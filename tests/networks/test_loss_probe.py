"""A loss is known by its values: what it pairs, what it takes, where it leads; in any unit of loss and targets."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from downslope.networks._loss_probe import LossBehaviour, probed
from downslope.networks.tasks._tried_loss import dealt

RNG = np.random.default_rng(4)
NUMBERS = RNG.normal(size=200).astype(np.float32)
CLASSES = RNG.integers(0, 5, 200).astype(np.int32)
LABELS = RNG.integers(0, 2, 200).astype(np.int32)


def of_numbers(loss, targets=NUMBERS, outputs=1) -> LossBehaviour:
    return probed(lambda o, t: loss(o, t[0]), (outputs,), (targets,), 0)


def of_classes(loss, targets=CLASSES, outputs=5) -> LossBehaviour:
    return probed(lambda o, t: loss(o, t[0]), (outputs,), (targets,), 5 if outputs > 1 else 2)


def squares(o, t):
    return jnp.mean((o[:, 0] - t) ** 2)


def broadcast(o, t):
    return jnp.mean((o - t) ** 2)


def entropy(o, t):
    return optax.softmax_cross_entropy_with_integer_labels(o, t).mean()


def smoothed(share):
    return lambda o, t: optax.softmax_cross_entropy(o, optax.smooth_labels(jax.nn.one_hot(t, 5), share)).mean()


@pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (2219, 580), (500, 100), (2e5, 8e4), (-3, 1e-4), (0, 1e6)])
def test_neither_scale_nor_shift_of_targets_decides_whether_rows_are_paired(mean, deviation):
    targets = (mean + deviation * NUMBERS).astype(np.float32)
    paired, mixed = of_numbers(squares, targets), of_numbers(broadcast, targets)
    assert not paired.is_blind
    assert paired.unpaired > 0.1
    assert paired.descent < -0.01
    assert paired.form == "squares"
    assert not paired.unbounded
    assert mixed.is_blind


@pytest.mark.parametrize(
    "loss",
    [
        squares,
        lambda o, t: 1e6 * squares(o, t) + 3.0,
        lambda o, t: jnp.sqrt(squares(o, t)),
        lambda o, t: jnp.log(squares(o, t)),
        lambda o, t: jnp.mean(jnp.abs(o[:, 0] - t)),
        lambda o, t: jnp.mean(optax.huber_loss(o[:, 0], t)),
        lambda o, t: jnp.mean(jnp.log(jnp.cosh(o[:, 0] - t))),
        lambda o, t: jnp.mean(jnp.where(t > 0, 3.0, 1.0) * (o[:, 0] - t) ** 2),
    ],
)
def test_right_losses_of_numbers_show_nothing(loss):
    behaviour = of_numbers(loss)
    assert behaviour.unpaired > 0.05
    assert behaviour.not_additive < 0.05
    assert behaviour.descent < 0
    assert not behaviour.unbounded


def test_a_loss_of_a_mean_and_a_spread_shows_nothing():
    def likelihood(o, t):
        return jnp.mean(o[:, 1] + (t - o[:, 0]) ** 2 * jnp.exp(-o[:, 1]))

    behaviour = of_numbers(likelihood, outputs=2)
    assert not behaviour.is_blind
    assert behaviour.descent is None
    assert not behaviour.unbounded


@pytest.mark.parametrize(
    ("loss", "takes"),
    [
        (entropy, "logits"),
        (smoothed(0.1), "logits"),
        (lambda o, t: jnp.mean((1 - jnp.take_along_axis(jax.nn.softmax(o), t[:, None], 1)) ** 2), "logits"),
        (lambda o, t: optax.sigmoid_binary_cross_entropy(o, jax.nn.one_hot(t, 5)).mean(), "logits"),
        (lambda o, t: -jnp.mean(jnp.log(jnp.take_along_axis(o, t[:, None], 1) + 1e-9)), "probabilities"),
        (lambda o, t: -jnp.mean(jnp.log(jnp.clip(jnp.take_along_axis(o, t[:, None], 1), 1e-7, 1))), "probabilities"),
        (lambda o, t: -jnp.mean(jnp.take_along_axis(o, t[:, None], 1)), "log-probabilities"),
        (lambda o, t: jnp.mean((o - jax.nn.one_hot(t, 5)) ** 2), "numbers"),
    ],
)
def test_what_a_loss_of_classes_takes(loss, takes):
    behaviour = of_classes(loss)
    assert behaviour.takes == takes
    assert behaviour.unpaired > 0.05
    assert behaviour.not_additive < 0.05
    assert behaviour.descent < 0
    assert behaviour.label_gain > 0.3
    assert behaviour.squeezed is None
    # Nothing but the range of the outputs holds a sum of them up.
    assert bool(behaviour.unbounded) == (takes == "log-probabilities")


@pytest.mark.parametrize(
    ("loss", "takes"),
    [
        (lambda o, t: optax.sigmoid_binary_cross_entropy(o[:, 0], t).mean(), "logits"),
        (lambda o, t: jnp.mean(jax.nn.relu(1 - (2 * t - 1) * o[:, 0])), "logits"),
        (lambda o, t: -jnp.mean(t * jnp.log(o[:, 0]) + (1 - t) * jnp.log(1 - o[:, 0])), "probabilities"),
        (squares, "numbers"),
    ],
)
def test_what_a_loss_of_two_classes_takes_from_one_output(loss, takes):
    behaviour = of_classes(loss, LABELS, 1)
    assert behaviour.takes == takes
    assert behaviour.descent < 0


@pytest.mark.parametrize("share", [0.97, 0.999])
def test_labels_that_are_smoothed_away_are_not_told_apart(share):
    assert of_classes(smoothed(share)).label_gain < 0.1
    assert of_classes(smoothed(0.3)).label_gain > 0.3


def test_a_softmax_before_a_loss_of_logits_squeezes_them():
    assert of_classes(lambda o, t: entropy(jax.nn.softmax(o), t)).squeezed == pytest.approx(1, abs=0.01)
    assert of_classes(lambda o, t: entropy(2 * jnp.tanh(o), t)).squeezed == pytest.approx(4, abs=0.01)


def test_a_wrong_sign_and_a_loss_without_an_end():
    assert of_numbers(lambda o, t: -squares(o, t)).descent > 0
    assert of_classes(lambda o, t: -entropy(o, t)).descent > 0
    assert of_classes(lambda o, t: -entropy(o, t)).unbounded
    assert of_numbers(lambda o, t: -jnp.mean(o[:, 0] * t)).unbounded


def test_a_softmax_over_the_batch_mixes_rows():
    def over_rows(o, t):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(o, axis=0), t[:, None], 1))

    assert of_classes(over_rows).not_additive > 0.05


def test_two_sets_may_be_compared_without_pairs():
    def kernel(a, b):
        return jnp.mean(jnp.exp(-((a[:, None] - b[None]) ** 2)))

    def discrepancy(o, t):
        return kernel(o[:, 0], o[:, 0]) - 2 * kernel(o[:, 0], t) + kernel(t, t)

    behaviour = of_numbers(discrepancy)
    assert behaviour.unpaired < 5e-3
    assert not behaviour.is_blind


def test_nothing_is_told_of_targets_that_are_all_the_same_and_of_losses_that_fail():
    assert of_numbers(squares, np.ones(50, np.float32)) == LossBehaviour()
    assert of_numbers(lambda o, t: squares(o.reshape(7, 1), t)) == LossBehaviour()


def test_leaves_that_are_dealt_tell_a_broadcast_from_terms_of_their_own():
    x, t = RNG.normal(size=(100, 3)).astype(np.float32), RNG.normal(size=100).astype(np.float32)

    def outputs(x):
        return jnp.tanh(x.sum(1))

    crossed = dealt(lambda parts: jnp.mean((outputs(parts[0])[:, None] - parts[1]) ** 2), (x, t))
    paired = dealt(lambda parts: jnp.mean((outputs(parts[0]) - parts[1]) ** 2), (x, t))
    separate = dealt(lambda parts: jnp.mean(outputs(parts[0]) ** 2) + jnp.mean((parts[1] - 1) ** 2), (x, t))
    assert crossed.is_blind
    assert not paired.is_blind
    assert paired.unpaired > 0.05
    assert separate == LossBehaviour()
