"""A network is trained on a stream of batches (inputs, targets) as they come."""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import downslope as ds

RNG = np.random.default_rng(8)
X = RNG.normal(size=(160, 3)).astype(np.float32)
NUMBERS = X @ np.array([1.0, 2.0, -1.0])
CLASSES = np.argmax(X @ RNG.normal(size=(3, 3)), axis=1)
QUIET = {"progress": False, "probe_every": 0, "layers_every": 0}
TINY = {**QUIET, "layers_every": 1, "steps": 6}


def batches(targets, size: int = 16) -> list:
    return [(X[at : at + size], targets[at : at + size]) for at in range(0, 160, size)]


def test_numbers_are_learnt_from_a_stream():
    made = ds.train(None, batches(NUMBERS), hidden=(16,), steps=400, learning_rate=0.02, **QUIET)
    assert made.trace.outcome is ds.Outcome.STEPS_USED
    assert made.metrics["training_r2"] > 0.98
    np.testing.assert_allclose(made.predict(X), NUMBERS, atol=1.0)
    assert made.trace.plan["batches"]["size"] == 16
    assert made.trace.facts["data"]["rows"] is None
    assert "stream" in str(made)


def test_classes_are_told_by_whole_numbers_and_their_count_by_the_first_batches(tmp_path: Path):
    made = ds.train(
        None, iter(batches(CLASSES) * 40), hidden=(16,), steps=300, learning_rate=0.02, save=tmp_path / "run", **QUIET
    )
    assert made.model.outputs == (3,)
    assert np.mean(made.predict(X) == CLASSES) > 0.9
    np.testing.assert_array_equal(ds.predict(tmp_path / "run", X), made.predict(X))


def test_truth_values_are_two_classes_and_a_pair_may_be_held_back():
    truth = X[:, 0] > 0
    made = ds.train(
        None, batches(truth), hidden=(8,), validation=(X[:40], truth[:40]), steps=200, learning_rate=0.02, **QUIET
    )
    assert made.model.outputs == (1,)
    assert made.metrics["validation_accuracy"] > 0.9
    assert made.trace.facts["network"]["loss"]["name"] == "binary cross-entropy"
    assert made.trace.facts["data"]["validation_rows"] == 40


def test_whole_numbers_may_be_numbers():
    made = ds.train(None, batches(CLASSES), task="numbers", hidden=(4,), **TINY)
    assert made.trace.facts["network"]["kind"] == "numbers"


def test_the_same_batches_make_the_same_steps_as_examples_in_memory():
    size = 16
    chosen = np.random.default_rng([0, 0]).permutation(160)
    stream = [(X[chosen[at : at + size]], NUMBERS[chosen[at : at + size]]) for at in range(0, 160, size)]
    plain = {"standardise": False, "scale_targets": False, "validation": 0}
    one = ds.train(data=(X, NUMBERS), hidden=(4,), batch=size, **plain, **{**TINY, "steps": 9})
    other = ds.train(data=stream, hidden=(4,), **{**TINY, "steps": 9})
    np.testing.assert_allclose(one.trace.columns["value"], other.trace.columns["value"], rtol=1e-5)
    np.testing.assert_allclose(
        one.trace.layer_columns["activation_mean"], other.trace.layer_columns["activation_mean"], rtol=1e-4
    )


def test_layers_and_curvature_are_looked_at():
    made = ds.train([ds.Dense(4, "tanh"), ds.Dense(3)], batches(CLASSES), steps=20, progress=False)
    assert np.isfinite(made.trace.layer_columns["activation_mean"]).all()
    assert len(made.trace.spectra) == 2
    assert np.isfinite(made.trace.spectra[-1].highest)
    assert "training_accuracy" in made.metrics


class Words(eqx.Module):
    """A module of whole numbers: an embedding, summed."""

    embedding: eqx.nn.Embedding
    last: eqx.nn.Linear

    def __init__(self):
        one, other = jax.random.split(jax.random.key(0))
        self.embedding, self.last = eqx.nn.Embedding(10, 6, key=one), eqx.nn.Linear(6, 2, key=other)

    def __call__(self, words):
        return self.last(jax.vmap(self.embedding)(words).sum(0))


def test_places_of_words_stay_whole_numbers():
    words = RNG.integers(0, 10, (160, 5))
    labels = (words == 3).any(1).astype(int)
    stream = [(words[at : at + 16], labels[at : at + 16]) for at in range(0, 160, 16)]
    made = ds.train(Words(), stream, steps=300, learning_rate=0.02, **QUIET)
    assert made.encoding is None
    assert np.mean(made.predict(words).argmax(1) == labels) > 0.9
    assert made.trace.layer_names == ("last",)
    assert "embedding" in made.trace.facts["network"]["skipped"][0]


def test_images_go_through_a_stream():
    images = RNG.normal(size=(40, 6, 6, 2))
    stream = [(images[at : at + 10], images[at : at + 10].mean((1, 2, 3))) for at in range(0, 40, 10)]
    made = ds.train(None, stream, convolutions=(3,), hidden=(4,), **TINY)
    assert made.model.inputs == (6, 6, 2)


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"data": iter([])}, "empty"),
        ({"data": iter([X[:10]] * 9)}, "pair"),
        ({"data": [(X[:10], NUMBERS[:9])]}, "shape"),
        ({"data": [(X[:10], np.array(["a"] * 10))]}, "numbers are needed"),
        ({"data": batches(NUMBERS), "validation": 0.2}, "share"),
        ({"data": batches(NUMBERS), "target": "y"}, "target does not apply to a"),
        ({"data": batches(NUMBERS), "task": "colours"}, "task"),
        ({"data": batches(CLASSES), "model": [ds.Dense(2)]}, "class 2"),
        ({"data": batches(NUMBERS), "patience": 2}, "held back"),
        ({"data": [(X, CLASSES)] * 39 + [(X, CLASSES + 5), (X, CLASSES)], "steps": 60}, "batch 40 holds the class"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, match):
    with pytest.raises(ds.DownslopeError, match=match):
        ds.train(**{"hidden": (3,) if "model" not in settings else (64, 64), **TINY, **settings})


class Loader:
    """A loader that can be read again and has no length."""

    def __init__(self, entries: list):
        self.entries, self.read = entries, 0

    def __iter__(self):
        for entry in self.entries:
            self.read += 1
            yield entry


@pytest.mark.parametrize("read", [list, Loader])
def test_a_sorted_stream_is_looked_at_all_over(read):
    long = [(np.full((40, 2), float(k)), np.full(40, k // 20)) for k in range(60)]
    facts = ds.Setup.of(None, read(long), hidden=(4,)).task.objective.batched.facts["data"]
    assert len(facts["class_counts"]) == 3
    assert min(facts["class_counts"]) > 200
    assert facts["between_batches"] > 0.9
    assert facts["between_batches_shuffled"] < 0.1


def test_a_stream_that_comes_once_keeps_its_first_batches():
    seen = ds.Setup.of(None, iter(batches(CLASSES) * 40), hidden=(4,)).task.objective.batched
    assert len(seen.sample[0]) == 512
    np.testing.assert_array_equal(seen.sample[0][:160], X)


def test_a_loader_is_not_gone_through_for_ever():
    endless = Loader(batches(CLASSES) * 100)
    assert len(ds.Setup.of(None, endless, hidden=(4,)).task.objective.batched.sample[0]) <= 1100
    assert endless.read <= 256 + 32 + 2


def test_small_batches_are_taken_with_their_neighbours():
    single = [(X[k : k + 1], CLASSES[k : k + 1]) for k in np.argsort(CLASSES, kind="stable")] * 9
    facts = ds.Setup.of(None, single, hidden=(4,)).task.objective.batched.facts["data"]
    assert sum(facts["class_counts"]) > 900
    assert facts["between_batches"] > facts["between_batches_shuffled"] + 0.3
