"""Print what a diagnosis finds in networks written four ways: with our layers, in Equinox, in Flax NNX, as a function.

Twelve networks, six of them sick, begin with the same weights and see the same batches. What is found of layers must be
the same in all four, and so must be the first problem, but for a loss function, of which nothing says what outputs and
targets are. Later problems, such as `too_few_steps`, may hang on the rounding of a loss.

    python benchmarks/four_spellings.py [NAME …]
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import downslope as ds

# What a check says of layers; the others need a score, which a loss function does not have.
OF_LAYERS = (
    "symmetric_units", "poor_initialisation", "missing_nonlinearity", "exploding_gradients", "vanishing_gradients",
    "dead_units", "saturated_units", "bottleneck",
)  # fmt: skip
QUIET: dict[str, Any] = {"progress": False, "probe_every": 0, "standardise": False, "steps": 300, "batch": 32}


class Recipe(NamedTuple):
    """A network of dense layers.

    Args:
        sizes: inputs, units of each layer.
        activation: of the hidden layers.
        draw: from a random generator and a shape (inputs, units) to a kernel.
        bias: what the hidden layers' biases begin at.
        symptoms: what should be found; empty for a healthy one.
    """

    sizes: tuple[int, ...]
    activation: Literal["relu", "tanh", "sigmoid", "gelu", "silu"] = "relu"
    draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray] = lambda random, shape: (
        random.normal(size=shape) * np.sqrt(2 / shape[0])
    )
    bias: float = 0.0
    symptoms: tuple[str, ...] = ()


def glorot(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return random.normal(size=shape) * np.sqrt(2 / sum(shape))


def scaled(scale: float) -> Callable[[np.random.Generator, tuple[int, int]], np.ndarray]:
    return lambda random, shape: random.normal(size=shape) * scale


def constant(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.full(shape, 0.05)


RECIPES = {
    "shallow": Recipe((64, 32, 10)),
    "tanh": Recipe((64, 32, 32, 10), "tanh", glorot),
    "gelu": Recipe((64, 48, 10), "gelu"),
    "silu, deep": Recipe((64, 32, 32, 32, 32, 10), "silu"),
    "wide": Recipe((64, 128, 10)),
    "linear model": Recipe((64, 10), "relu", glorot),
    "copies": Recipe((64, 32, 10), "relu", constant, symptoms=("symmetric_units",)),
    "one unit": Recipe((64, 1, 32, 10), "tanh", glorot, symptoms=("bottleneck",)),
    "deep sigmoid": Recipe((64, *(32,) * 9, 10), "sigmoid", glorot, symptoms=("vanishing_gradients",)),
    "huge weights": Recipe(
        (64, *(32,) * 6, 10), "relu", scaled(3), symptoms=("exploding_gradients", "poor_initialisation")
    ),
    "small weights": Recipe((64, 32, 32, 32, 10), "tanh", scaled(0.001), symptoms=("poor_initialisation",)),
    "dead": Recipe((64, 32, 10), bias=-12.0, symptoms=("dead_units",)),
}


def digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    inputs, classes = load_digits(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(classes))
    inputs = ((inputs - inputs.mean()) / inputs.std()).astype(np.float32)[order]
    return (inputs[:1400], classes[order][:1400]), (inputs[1400:], classes[order][1400:])


class OfEquinox(eqx.Module):
    """The network in Equinox, which has kernels of shape (units, inputs)."""

    layers: list
    activation: Callable = eqx.field(static=True)

    def __init__(self, drawn: list, activation: Callable):
        plain = [eqx.nn.Linear(*w.shape, key=jax.random.key(0)) for w, _ in drawn]
        where = lambda it: (it.weight, it.bias)  # noqa: E731
        pairs = zip(plain, drawn, strict=True)
        self.layers = [eqx.tree_at(where, layer, (jnp.asarray(w.T), jnp.asarray(b))) for layer, (w, b) in pairs]
        self.activation = activation

    def __call__(self, x: Any) -> Any:
        """Return the outputs."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


class OfNnx(nnx.Module):
    """The network in Flax NNX, which calls kernels `kernel`."""

    def __init__(self, drawn: list, activation: Callable):
        self.linear = nnx.List([nnx.Linear(*w.shape, rngs=nnx.Rngs(0)) for w, _ in drawn])
        for layer, (w, b) in zip(self.linear, drawn, strict=True):
            assert layer.bias is not None
            layer.kernel[...], layer.bias[...] = jnp.asarray(w), jnp.asarray(b)
        self.activation = activation

    def __call__(self, x: Any) -> Any:
        """Return the outputs."""
        for layer in self.linear[:-1]:
            x = self.activation(layer(x))
        return self.linear[-1](x)


def trainings(recipe: Recipe) -> dict[str, Any]:
    """Return the network trained in each of its spellings."""
    random = np.random.default_rng(0)
    last = len(recipe.sizes) - 2
    drawn = [
        (recipe.draw(random, shape).astype(np.float32), np.full(shape[1], recipe.bias * (k < last), np.float32))
        for k, shape in enumerate(zip(recipe.sizes, recipe.sizes[1:], strict=False))
    ]
    rows, held = digits()
    choices = {**QUIET, "learning_rate": 0.003}
    activation = getattr(jax.nn, recipe.activation)
    plan = [ds.Dense(units, recipe.activation) for units in recipe.sizes[1:-1]]
    built_in = ds.network(recipe.sizes[0], [*plan, ds.Dense(recipe.sizes[-1])])
    built_in = built_in.with_weights(np.concatenate([leaf.ravel() for pair in drawn for leaf in pair]).tolist())

    def loss(params: Any, batch: Any) -> Any:
        x = batch["x"]
        for layer in params[:-1]:
            x = activation(x @ layer["w"] + layer["b"])
        outputs = x @ params[-1]["w"] + params[-1]["b"]
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch["t"]).mean()

    start = [{"w": jnp.asarray(w), "b": jnp.asarray(b)} for w, b in drawn]
    models = {"layers": built_in, "Equinox": OfEquinox(drawn, activation), "NNX": OfNnx(drawn, activation)}
    made = {name: ds.train(model, rows, validation=held, **choices) for name, model in models.items()}
    named, named_held = ({"x": x, "t": t} for x, t in (rows, held))
    plain = {name: value for name, value in choices.items() if name != "standardise"}
    return {**made, "function": ds.train(loss, named, start=start, validation=named_held, **plain)}


def main(names: list[str]) -> int:
    wrong = 0
    for name, recipe in RECIPES.items():
        if names and name not in names:
            continue
        found = {spelling: ds.diagnose(training.trace) for spelling, training in trainings(recipe).items()}
        problems = {key: [it.symptom for it in of if it.severity.value == "problem"] for key, of in found.items()}
        inside = {key: [symptom for symptom in of.symptoms if symptom in OF_LAYERS] for key, of in found.items()}
        same = len({tuple(problems[key][:1]) for key in ("layers", "Equinox", "NNX")}) == 1
        same &= len({tuple(sorted(symptoms)) for symptoms in inside.values()}) == 1
        right = set(recipe.symptoms) <= set(inside["layers"]) if recipe.symptoms else not inside["layers"]
        wrong += not (same and right)
        print(f"{name:14} {'same' if same else 'DIFFER'} {'right' if right else 'WRONG'}")
        for key in found if not (same and right) else ["layers"]:
            print(f"    {key:9} {', '.join(found[key].symptoms)}")
    print(f"{wrong} of {len(names or RECIPES)} are not as they should be")
    return int(wrong > 0)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    sys.exit(main(sys.argv[1:]))
