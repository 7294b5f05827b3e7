"""A layer type is one class: one defined here trains, is saved, predicts, is diagnosed and mended like any other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import downslope as ds
from downslope._exports import exports
from downslope.networks.layers._layer import from_dict
from downslope.trace._checksum import sealed_text
from tests.equality import same

RNG = np.random.default_rng(5)
X = RNG.normal(size=(120, 3)).astype(np.float32)
CLASSES = np.argmax(X @ RNG.normal(size=(3, 3)), axis=1)
TINY = {"progress": False, "probe_every": 0, "layers_every": 1, "steps": 12, "batch": 16}


@dataclass(frozen=True)
class Gated(ds.Layer):
    """φ(xW + b) σ(g), with a running mean of what reaches it, which is subtracted at rest and in training."""

    units: int
    activation: str = "tanh"
    initialisation: str = "auto"
    bias: float = 0.0
    gate: float = 0.0
    skip: bool = False

    def output_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if len(inputs) != 1:
            raise ds.SettingError(f"rows of numbers are needed, not {inputs}")
        return (self.units,)

    def initialise(self, inputs: tuple[int, ...], random: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "weight": random.normal(0, inputs[0] ** -0.5, (inputs[0], self.units)),
            "bias": np.full(self.units, self.bias),
            "gate": np.full(self.units, self.gate),
        }

    def memory(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"mean": np.zeros(weights["weight"].shape[0], np.float32)}

    def forward(self, weights: dict[str, Any], values: Any, context: ds.ForwardContext) -> Any:
        if context.training:
            context.memory["mean"] = 0.9 * context.memory["mean"] + 0.1 * values.mean(0)
        centred = values - context.memory["mean"]
        outputs = context.activated(centred @ weights["weight"] + weights["bias"], self.activation)
        outputs = outputs * jax.nn.sigmoid(weights["gate"])
        return values + outputs if self.skip else outputs


@dataclass(frozen=True)
class Plain(ds.Layer):
    """What `Dense` is, written by a user."""

    units: int
    activation: str = "linear"
    dropout: float = 0.0

    def output_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return (self.units,)

    def initialise(self, inputs: tuple[int, ...], random: np.random.Generator) -> dict[str, np.ndarray]:
        kernel, units = ds.Dense(self.units, "linear", "glorot_uniform").initialise(inputs, random), self.units
        return {"weight": kernel.weight, "bias": np.zeros(units, np.float32)}

    def memory(self, weights: Any) -> dict[str, np.ndarray]:
        return {}

    def forward(self, weights: Any, values: Any, context: ds.ForwardContext) -> Any:
        outputs = context.activated(values @ weights["weight"] + weights["bias"], self.activation)
        return context.dropped(outputs, self.dropout)


@dataclass(frozen=True)
class Scale(ds.Layer):
    """A factor for each number; nothing in it is recorded."""

    begin: float = 1.0

    def output_shape(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        return inputs

    def initialise(self, inputs: tuple[int, ...], random: np.random.Generator) -> dict[str, np.ndarray]:
        return {"factor": np.full(inputs, self.begin, np.float32)}

    def memory(self, weights: Any) -> dict[str, np.ndarray]:
        return {}

    def forward(self, weights: Any, values: Any, context: ds.ForwardContext) -> Any:
        return values * weights["factor"]


# --- a layer of one's own is a layer like any other -------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[ds.Training, Path]:
    """Return a training with layers that are defined here, and the folder that it was saved in."""
    folder = tmp_path_factory.mktemp("layers") / "run"
    layers = [Gated(6), Scale(2.0), Gated(6, "sigmoid", skip=True), ds.Dense(3)]
    return ds.train(layers, (X, CLASSES), **{**TINY, "steps": 200}, learning_rate=0.01, save=folder), folder


def test_it_is_trained_and_recorded(run: tuple[ds.Training, Path]) -> None:
    training, _ = run
    trace = training.trace
    assert training.metrics["validation_accuracy"] > 0.6
    assert trace.layer_names == ("layers/0", "layers/2", "layers/3")
    assert trace.facts["network"]["activations"] == ["tanh", "sigmoid", "linear"]
    assert "layers/0/gate" in trace.part_names
    assert "layers/1/factor" in trace.part_names
    assert all(not np.array_equal(trace.start[name], trace.end[name]) for name in trace.part_names)
    assert all(leaf.dtype == np.float32 for leaf in trace.start.values())
    known = {name: np.asarray(column, float) for name, column in trace.layer_columns.items()}
    assert all(np.isfinite(column[:, :2]).all() for column in known.values() if column.ndim == 2)
    assert not np.allclose(trace.facts["memory"][0], 0)
    assert "network 3 → 6 → Scale → 6 → 3" in trace.plan["read_as"]


def test_it_is_saved_and_predicts(run: tuple[ds.Training, Path]) -> None:
    training, folder = run
    same(ds.predict(folder, X), training.predict(X))
    same(ds.predict(training.trace, X), training.predict(X))
    saved = ds.load(folder).facts["network"]["description"]["layers"]
    assert saved[0]["kind"] == f"{__name__}.Gated"
    assert [from_dict(layer) for layer in saved[:3]] == [Gated(6), Scale(2.0), Gated(6, "sigmoid", skip=True)]


def test_it_is_exported_and_drawn(run: tuple[ds.Training, Path], tmp_path: Path) -> None:
    training, folder = run
    exported = ds.read_table(ds.export(training, tmp_path / "steps.csv"))
    same(np.asarray(exported["value"], float), training.trace.recorded["value"])
    loaded = ds.load(folder)
    rows = ds.draw.layers(loaded)
    assert len(rows.get_yticklabels()) == len(loaded.layer_names)
    assert len(ds.draw.activations(loaded)) >= 2
    assert set(loaded.layer_names) <= {line.get_label() for line in ds.draw.updates(loaded).lines}
    assert len(ds.draw.training(loaded, ds.diagnose(loaded))) >= 2


def test_the_list_of_its_own_file_alone_makes_it_public() -> None:
    """Of the package no other file is touched by a new layer."""

    class Edited:
        """Reads the package as it would be with one more class in the file of the layers without weights."""

        def get_data(self, path: str) -> bytes:
            text = Path(path).read_bytes()
            return text.replace(b"__all__ = [", b'__all__ = ["Gated", ') if path.endswith("_shaping.py") else text

    assert "Gated" not in ds.__all__
    public = exports("downslope", Edited(), ds.__file__)
    assert public.pop("Gated") == "downslope.networks.layers._shaping"
    assert sorted(public) == sorted(ds.__all__)


def test_it_is_diagnosed(run: tuple[ds.Training, Path]) -> None:
    training, _ = run
    assert "dead_units" not in ds.diagnose(training.trace)
    dead = ds.train([Gated(8, "relu", bias=-50.0), ds.Dense(3)], (X, CLASSES), **{**TINY, "steps": 60})
    assert "dead_units" in ds.diagnose(dead.trace)


def test_it_is_mended() -> None:
    settings = {**TINY, "steps": 60, "learning_rate": 0.01}
    sick = ds.train([Gated(8, "relu", bias=-50.0), ds.Dense(3)], (X, CLASSES), **settings)
    prescription = ds.prescribe(sick, seeds=2, trainings=20, progress=False)
    assert prescription.mended is not None
    assert "Gated(8, activation='relu'" in prescription.mended.as_python()
    assert prescription.best is not None
    assert prescription.best.helped
    assert "dead_units" not in ds.diagnose(prescription.mended.train(progress=False))


def test_choices_are_made_in_the_fields_that_it_has() -> None:
    setup = ds.Setup.of([Gated(4), Scale(), Gated(4), Gated(4), ds.Dense(3)], (X, CLASSES))
    assert setup.layers is not None
    other = setup.changed(activation="relu", bias=1.0, normalisation="batch", least_units=8, skip=True)
    assert other.layers == (
        Gated(8, "relu", bias=1.0),
        Scale(),
        Gated(8, "relu", bias=1.0),  # what stands before it is not alike
        Gated(8, "relu", bias=1.0, skip=True),
        ds.Dense(3, bias=1.0),
    )


def test_it_is_written_and_read() -> None:
    setup = ds.Setup.of([Gated(4, gate=0.5), ds.Dense(3, "tanh")], "iris", steps=3)
    assert setup.as_python() == "ds.train([Gated(4, gate=0.5), ds.Dense(3, activation='tanh')], 'iris', steps=3)"
    told = json.loads(json.dumps(setup.as_plain()))
    assert ds.Setup.from_plain(told).model == [Gated(4, gate=0.5), ds.Dense(3, "tanh")]


def test_the_same_arithmetic_gives_the_same_bits_as_a_built_in_layer() -> None:
    ours = [ds.Dense(5, "tanh", "glorot_uniform", dropout=0.3), ds.Dense(3, initialisation="glorot_uniform")]
    built_in = ds.train(ours, (X, CLASSES), **TINY, seed=4)
    own = ds.train([Plain(5, "tanh", dropout=0.3), Plain(3)], (X, CLASSES), **TINY, seed=4)
    for name in built_in.trace.part_names:
        same(own.trace.start[name], built_in.trace.start[name])
        same(own.trace.end[name], built_in.trace.end[name])
    for name in built_in.trace.layer_columns:
        same(own.trace.layer_columns[name], built_in.trace.layer_columns[name])


def test_weights_do_not_depend_on_what_stands_before() -> None:
    one = ds.network(4, [ds.Dense(4), ds.Dense(2)], seed=3)
    other = ds.network(4, [ds.Dense(4, "relu", "he_uniform"), ds.Dense(2)], seed=3)
    same(one.layers[1].weight, other.layers[1].weight)
    assert not np.array_equal(one.layers[0].weight, other.layers[0].weight)


# --- what is said where it cannot be used -----------------------------------------------------------------------------


def test_a_class_that_is_not_defined_is_named(run: tuple[ds.Training, Path], tmp_path: Path) -> None:
    training, _ = run
    folder = ds.save(training.trace, tmp_path / "run")
    file = folder / "trace.json"
    fields = json.loads(file.read_text(encoding="utf-8").replace(f"{__name__}.Gated", "mine.Gone"))
    fields.pop("checksum")
    file.write_bytes(sealed_text(json.dumps(fields, indent=1).encode()))
    with pytest.raises(ds.TraceError, match=r"class mine\.Gone, which is not defined here\nimport mine before"):
        ds.predict(folder, X)
    told = ds.load(folder).facts["asked"]
    with pytest.raises(ds.TraceError, match=r"mine\.Gone"):
        ds.Setup.from_plain(told, data=(X, CLASSES))
    assert ds.Setup.from_plain(told, data=(X, CLASSES), model=[Gated(4), ds.Dense(3)]).layers == (
        Gated(4),
        ds.Dense(3),
    )


@dataclass(frozen=True)
class Shaped(Plain):
    """A layer with a field that no file holds."""

    function: Any = jnp.tanh


@dataclass(frozen=True)
class Newer(Plain):
    """A layer that has lost a field since it was saved."""


def test_fields_that_no_file_holds_are_named(tmp_path: Path) -> None:
    training = ds.train([Shaped(4), ds.Dense(3)], (X, CLASSES), **TINY, save=tmp_path / "run")
    assert training.trace.facts["asked"]["untold"] == ["data"]
    with pytest.raises(ds.TraceError, match="Shaped whose function could not be saved"):
        ds.predict(tmp_path / "run", X)
    with pytest.raises(ds.TraceError, match="Newer with other fields than the class has now"):
        from_dict({**Newer(3).as_dict(), "channels": 4})


@dataclass(frozen=True)
class Forgetful(Plain):
    """A layer that records nothing of what it should."""

    def forward(self, weights: Any, values: Any, context: ds.ForwardContext) -> Any:
        return values @ weights["weight"]


@dataclass(frozen=True)
class Shapeless(Plain):
    """A layer whose shape is none."""

    def output_shape(self, inputs: tuple[int, ...]) -> Any:
        return self.units


@dataclass(frozen=True)
class Listed(Plain):
    """A layer that cannot be hashed."""

    sizes: list[int] = field(default_factory=list)


class Bare(Plain):
    """A class that is no dataclass of its own, and takes the fields of another."""

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([Forgetful(4, "tanh"), ds.Dense(3)], r"layer 1, Forgetful.*records neither"),
        ([Shapeless(4), ds.Dense(3)], "layer 1, Shapeless.*output shape as 4"),
        ([Plain(4), Listed(3)], "layer 2: a Listed cannot be compared and hashed"),
        ([Bare(3)], "layer 1: a Bare cannot be compared and hashed"),
        ([ds.Flatten(), ds.Dropout(0.5)], "needs a layer with weights"),
        ([ds.Dense(4), ds.Dense(0)], "layer 2: units must be a whole number of at least 1, not 0"),
        ([ds.Dense(4, dropout=1.0)], "layer 1: dropout must be at least 0 and below 1"),
        ([ds.Dense(4, "reluu")], "layer 1: .*reluu"),
        ([ds.Dense(4, initialisation="he")], "layer 1: there is no initialisation 'he'"),
        ([ds.Dense(4, normalisation="bach")], "layer 1: normalisation is 'none', 'batch' or 'layer', not 'bach'"),
        ([ds.Dense(4, skip=True)], "layer 1: a skip connection needs equal shapes"),
        ([ds.Convolution(4)], "layer 1: it needs an image"),
    ],
)
def test_what_makes_no_layer_is_refused(layers: list[Any], match: str) -> None:
    with pytest.raises(ds.DownslopeError, match=match):
        ds.train(layers, (X, CLASSES), **TINY)


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([ds.Dense(4)], "layer 1: a dense layer takes rows of numbers"),
        ([ds.Convolution(2, 9)], "layer 1: it slides a window of 9, but the image is only 6×6"),
        ([ds.Convolution(2, padding="some")], "layer 1: padding is 'valid' or 'same'"),
        (
            [ds.Convolution(2, padding="same"), ds.MaxPool(7)],
            "layer 2: it pools squares of 7, but the image is only 6×6",
        ),
        (
            [ds.Convolution(2, skip=True)],
            r"layer 1: a skip connection needs equal shapes, but this layer turns \(.*\) into \(4, 4, 2\)",
        ),
    ],
)
def test_layers_of_images_are_held_against_their_shape(layers: list[Any], match: str) -> None:
    with pytest.raises(ds.SettingError, match=match):
        ds.network((6, 6), layers)
