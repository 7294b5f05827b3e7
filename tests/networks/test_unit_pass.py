"""One example through a network, unit by unit: the gradients against finite differences, the values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import downslope as ds

LAYERS = [ds.Dense(3, "tanh"), ds.Dense(2, "sigmoid")]
EXAMPLE, TARGET = [0.5, -1.0], [0.25, 0.75]


@pytest.fixture(scope="module")
def network() -> ds.Network:
    return ds.network(2, LAYERS, seed=1)


def flat(network: ds.Network) -> list[float]:
    """Return all weights and biases in the order of `with_weights`."""
    return [float(x) for layer in network.layers for part in (layer.weight, layer.bias) for x in np.ravel(part)]


def test_values_are_those_of_the_network(network: ds.Network) -> None:
    result = ds.unit_pass(network, EXAMPLE, TARGET)
    first, second = network.layers
    z = np.asarray(EXAMPLE) @ first.weight + first.bias
    assert result.before[0] == pytest.approx(z, rel=1e-6)
    assert result.after[0] == pytest.approx(np.tanh(z), rel=1e-6)
    assert result.after[1] == pytest.approx(np.asarray(network(np.asarray(EXAMPLE, np.float32))), rel=1e-6)
    assert result.before[1] == pytest.approx(np.tanh(z) @ second.weight + second.bias, rel=1e-5)
    assert result.loss == pytest.approx(np.mean((result.after[1] - TARGET) ** 2), rel=1e-6)
    assert result.slopes[0] == pytest.approx(1 - np.tanh(z) ** 2, rel=1e-5)


def test_gradients_are_those_of_finite_differences(network: ds.Network) -> None:
    result = ds.unit_pass(network, EXAMPLE, TARGET)
    weights, step = flat(network), 1e-3

    def moved(index: int, by: float) -> float:
        other = list(weights)
        other[index] += by
        return ds.unit_pass(network.with_weights(other), EXAMPLE, TARGET).loss

    for index, gradient in enumerate(np.ravel(result.weight_gradients[0])):
        assert gradient == pytest.approx((moved(index, step) - moved(index, -step)) / (2 * step), abs=2e-4)
    for axis in range(2):
        ends = [list(EXAMPLE), list(EXAMPLE)]
        ends[0][axis] += step
        ends[1][axis] -= step
        high, low = (ds.unit_pass(network, end, TARGET).loss for end in ends)
        assert result.input_gradients[axis] == pytest.approx((high - low) / (2 * step), abs=2e-4)


def test_the_gradient_of_a_bias_is_that_of_its_unit(network: ds.Network) -> None:
    result, weights, step = ds.unit_pass(network, EXAMPLE, TARGET), flat(network), 1e-3
    for unit in range(3):
        losses = []
        for sign in (1, -1):
            other = list(weights)
            other[6 + unit] += sign * step  # behind the 2 × 3 weights of the first layer
            losses.append(ds.unit_pass(network.with_weights(other), EXAMPLE, TARGET).loss)
        assert result.gradients[0][unit] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=2e-4)


def test_a_class_is_a_target_of_a_cross_entropy() -> None:
    network = ds.network(1, [ds.Dense(2)]).with_weights([1, -1, 0, 0])
    result = ds.unit_pass(network, [2.0], 1, loss="softmax cross-entropy")
    assert result.loss == pytest.approx(math.log(1 + math.exp(4)), rel=1e-6)
    assert result.gradients[0] == pytest.approx([1 / (1 + math.exp(-4)), -1 / (1 + math.exp(-4))], rel=1e-5)


@pytest.mark.parametrize("layers", [[ds.Dense(2, "softmax")], [ds.Dense(2), ds.Dropout(0.5), ds.Dense(1)]])
def test_networks_with_other_layers_are_refused(layers: list[ds.Layer]) -> None:
    with pytest.raises(ds.SettingError, match="dense layers"):
        ds.unit_pass(ds.network(2, layers), EXAMPLE, [0.0])


@pytest.mark.parametrize("values", [[1.0], [math.nan] * 17, "weights", None])
def test_weights_are_as_many_finite_numbers_as_there_are(network: ds.Network, values: object) -> None:
    with pytest.raises(ds.SettingError, match="17 weights"):
        network.with_weights(values)


def test_outputs_become_classes_and_probabilities() -> None:
    training = ds.train(data="blobs", hidden=(4,), steps=20, progress=False)
    outputs = np.array([[5.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert training.classes(outputs).tolist() == [0, 2]
    sure = training.probabilities(outputs)
    assert sure.sum(axis=1) == pytest.approx([1, 1])
    assert sure[0, 0] == pytest.approx(math.exp(5) / (math.exp(5) + 2), rel=1e-6)
