"""What the verbs of the page "Network" reply, asked as functions."""

from __future__ import annotations

import ast
import json
from typing import Any

import numpy as np
import pytest
from lab.asking import ask

import downslope as ds
from downslope.lab import replies
from downslope.lab._messages import LIMITS, UploadedFile
from downslope.lab.processes import _main
from downslope.lab.replies import _network_choices, _network_views
from downslope.lab.replies._examples import _USUAL, PRESETS
from downslope.lab.replies._network_choices import _class_weights, fields_of, setup_of
from downslope.lab.replies._training import pieces

SMALL = _USUAL | {"hidden": [3], "steps": 40}
LINE = b"t,height\n" + b"".join(b"%d,%d\n" % (t, 3 * t + 1) for t in range(30))


def told(verb: str, **request: Any) -> list[dict[str, Any]]:
    """Return all that a stream tells, as it is after a way through JSON."""
    *found, last = _main.stream(replies.STREAMS[verb], request)
    if last.status != 200:
        raise AssertionError(last.body)
    return [json.loads(piece.body) for piece in found]


def refusal(verb: str, **request: Any) -> dict[str, Any]:
    *_, last = _main.stream(replies.STREAMS[verb], request)
    assert last.status == 400
    return json.loads(last.body)["error"]


@pytest.fixture(scope="module")
def run() -> list[dict[str, Any]]:
    return told("train", **SMALL)


def test_a_training_is_the_one_of_the_library(run):
    head, moments, end = run[0]["head"], run[1:-1], run[-1]["end"]
    training = ds.train(data="circles", hidden=(3,), activation="tanh", learning_rate=0.01, steps=40, progress=False)
    assert (head["kind"], head["classes"], head["metric"]) == ("plane", ["inner", "outer"], "accuracy")
    assert [moment["step"] for moment in moments] == [int(step) for step in training.trace.metrics["step"]]
    assert moments[-1]["metrics"]["validation_loss"] == training.metrics["validation_loss"]
    assert moments[0]["layers"] is None
    assert len(moments[-1]["layers"]["gradient_norm"]) == 2
    assert end["verdict"]["symptom"] == ds.diagnose(training.trace).symptoms[0]
    assert "data='circles', learning_rate=0.01, steps=40, hidden=(3,), activation='tanh'" in end["python"]
    assert end["command"] == "downslope train circles --activation tanh --hidden 3 --learning-rate 0.01 --steps 40"
    assert end["csv"].splitlines()[0].startswith("step,training_loss")


def test_a_rate_is_changed_on_its_way_and_the_weights_are_kept(run):
    onward = SMALL | {"steps": 60, "rate": 0.1, "earlier": {"40": 0.01}}
    whole = told("train", **onward)
    first, second = whole[1 : len(run) - 1], whole[len(run) - 1 : -1]
    assert [moment["metrics"] for moment in first] == [moment["metrics"] for moment in run[1:-1]]
    assert [moment["step"] for moment in second] == [40, 50, 60]
    assert second[0]["metrics"]["training_loss"] == pytest.approx(first[-1]["metrics"]["training_loss"], rel=1e-6)
    # With the weights that the page has, only what is new is computed.
    short = told("train", **onward, weights=run[-2]["weights"])
    assert [moment["step"] for moment in short[1:-1]] == [40, 50, 60]
    shown, known = short[-2]["metrics"]["training_loss"], second[-1]["metrics"]["training_loss"]
    assert shown == pytest.approx(known, rel=1e-4)
    end = whole[-1]["end"]
    assert "training = ds.train(training.model, data='circles', learning_rate=0.1, steps=20)" in end["python"]
    assert end["command"] is None
    assert [line.split(",")[0] for line in end["csv"].split()[-3:]] == ["40", "50", "60"]


@pytest.mark.parametrize("earlier", [{"40": 0.1, "x": 1}, {"60": 0.1}, {"0": 0.1}, {"40": "a"}, [40]])
def test_earlier_rates_that_make_no_sense_are_refused(earlier):
    assert refusal("train", **SMALL | {"steps": 60, "earlier": earlier})["kind"] == "RequestError"


def test_the_picture_of_a_unit_is_what_it_puts_out(run):
    weights, side = run[-2]["weights"], 18
    reply = _network_views.units(SMALL | {"weights": weights})
    assert (reply["side"], [len(layer) for layer in reply["layers"]]) == (side, [3, 1])
    (left, right), (low, high) = run[0]["head"]["box"]
    network = setup_of(SMALL).task.start.with_weights(weights)
    encoding = setup_of(SMALL).encoding
    assert encoding is not None
    for column, row in ((0, 0), (17, 0), (5, 12)):
        point = np.array([left + (right - left) * column / 17, low + (high - low) * row / 17])
        inputs = (point - encoding.mean) / encoding.deviation
        hidden = np.tanh(inputs @ np.asarray(network.layers[0].weight) + np.asarray(network.layers[0].bias))
        shown = [unit["cells"][row * side + column] / 100 * unit["largest"] for unit in reply["layers"][0]]
        assert shown == pytest.approx(hidden, abs=0.006)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"rate": -1.0}, "above 0"), ({"dropout": 1.5}, "below 1"), ({"hidden": [0]}, "at least one unit")],
)
def test_settings_are_refused_before_they_are_trained(change, words):
    with pytest.raises(ds.DownslopeError, match=words):
        _network_choices.check(SMALL | change)
    assert _network_choices.check(SMALL) == {}


@pytest.mark.parametrize("ratio", [1.6, 0.7])
def test_a_plane_fills_its_picture_with_one_unit_along_both_axes(ratio):
    head = told("train", **SMALL | {"steps": 1, "ratio": ratio})[0]["head"]
    (left, right), (low, high) = head["box"]
    assert head["has_equal_units"]
    assert (right - left) / (high - low) == pytest.approx(ratio)
    assert left < min(head["x"])
    assert low < min(head["y"])
    assert right > max(head["x"])
    assert high > max(head["y"])


def test_a_plane_is_known_wherever_a_picture_of_two_shapes_shows_it():
    head = told("train", **SMALL | {"steps": 1, "ratio": [1.6, 0.7]})[0]["head"]
    (left, right), (low, high) = head["box"]
    wide, tall = (data[1] - data[0] for data in head["least"])
    assert right - left == pytest.approx(max(wide, 1.6 * max(tall, wide / 1.6)))
    assert high - low == pytest.approx(max(tall, wide / 0.7))


def test_the_regions_are_what_the_network_predicts(run):
    training = ds.train(data="circles", hidden=(3,), activation="tanh", learning_rate=0.01, steps=40, progress=False)
    cells, head = run[-2]["picture"]["cells"], run[0]["head"]
    side = round(len(cells) ** 0.5)
    x, y = np.meshgrid(*(np.linspace(low, high, side) for low, high in head["box"]))
    sure = training.predict({"x": x.ravel(), "y": y.ravel()}, probabilities=True)
    clear = np.abs(sure[:, 0] - 0.5) > 1e-3
    assert np.array_equal(np.array(cells)[clear] // 1000, sure.argmax(axis=1)[clear])
    assert np.array(cells) % 1000 == pytest.approx(1000 * sure.max(axis=1), abs=1.01)


def test_the_gradients_of_the_units_are_those_of_finite_differences(run):
    weights = run[-2]["weights"]

    def graph(changed: list[float]) -> dict[str, Any]:
        return ask("network_graph", **SMALL, weights=changed, example=5)

    found = graph(weights)
    assert [len(layer["after"]) for layer in found["layers"]] == [3, 1]
    # The first kernel is the first of the parts: its entries run over units within inputs.
    for place, slope in enumerate(np.ravel(found["layers"][0]["weight_gradients"])):
        moved = [ask_loss(weights, place, by) for by in (1e-2, -1e-2)]
        assert slope == pytest.approx((moved[0] - moved[1]) / 2e-2, rel=0.05, abs=2e-4)
    ways = [stage["way"] for stage in found["stages"]]
    assert ways == ["forward"] * 3 + ["loss"] + ["backward"] * 2
    text = found["stages"][1]["text"]
    z, a = found["layers"][0]["before"][0], found["layers"][0]["after"][0]
    assert f"{abs(z):.3g}" in text.replace("−", "-")
    assert np.tanh(z) == pytest.approx(a, abs=1e-4)


def ask_loss(weights: list[float], place: int, by: float) -> float:
    """Return the loss of the example with one weight moved, exactly."""
    setup = setup_of(SMALL)
    moved = [*weights]
    moved[place] += by
    graph = ask("network_graph", **SMALL, weights=moved, example=5)
    output = graph["layers"][1]["before"][0]
    _, targets = setup.task.objective.batched.examples
    return float(np.logaddexp(0, output) - targets[5] * output)


def test_numbers_are_drawn_as_a_line_or_as_predicted_against_true():
    line = told("train", **SMALL | {"table": UploadedFile("line.csv", LINE), "target": "height"})
    assert (line[0]["head"]["kind"], line[0]["head"]["over"]) == ("line", ["t"])
    assert len(line[-2]["picture"]["curve"]["x"]) == 120
    assert "data='line.csv', target='height'" in line[-1]["end"]["python"]
    many = told("train", **SMALL | {"sample": "diabetes"})
    assert many[0]["head"]["kind"] == "agreement"
    assert len(many[-2]["picture"]["true"]) == len(many[-2]["picture"]["predicted"])


def test_images_are_counted_by_what_they_are_taken_for():
    found = told("train", **SMALL | {"sample": "digits", "hidden": [16], "activation": "relu"})
    counts = np.array(found[-2]["picture"]["confusion"])
    assert counts.shape == (10, 10)
    held = found[-2]["metrics"]["validation_accuracy"]
    assert np.trace(counts) / counts.sum() == pytest.approx(held)
    assert found[-2]["weights"] is None
    assert "dense" in found[0]["head"]["no_graph"]


def test_what_a_remedy_changes_goes_through_the_fields_of_the_page_unchanged():
    setup = ds.Setup.of(
        None, "circles", hidden=(4,), schedule="cosine", clip_norm=2.0, method="momentum", momentum=0.8, skip=True
    )
    fields = fields_of(setup)
    assert setup_of(_USUAL | fields).explicit_choices == setup.explicit_choices
    words = ds.as_command(setup)
    assert words is not None
    assert set(words.split(" --")[1:]) == {
        *("method momentum", "schedule cosine", "clip-norm 2.0", "hidden 4", "skip", "set momentum=0.8")
    }


@pytest.mark.parametrize("title,what,own", PRESETS, ids=[title for title, *_ in PRESETS])
def test_presets_can_be_built_and_written_down(title, what, own):
    setup = setup_of(_USUAL | own)
    assert setup.task.start is not None
    assert ast.parse(setup.as_python())
    assert ds.as_command(setup)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"hidden": [8] * (LIMITS.network_layers + 1)}, "SettingError"),
        ({"hidden": [LIMITS.network_units + 1]}, "SettingError"),
        ({"hidden": "8,8"}, "RequestError"),
        ({"hidden": [-1]}, "RequestError"),
        ({"steps": LIMITS.network_steps + 1}, "SettingError"),
        ({"activation": "__import__('os')"}, "SettingError"),
        ({"method": "newton"}, "SettingError"),
        ({"rate": "0.1"}, "RequestError"),
        ({"skip": "yes"}, "RequestError"),
        ({"more": '{"save": "/tmp/x"}'}, "RequestError"),
        ({"more": '{"drop": "x"}'}, "RequestError"),
        ({"more": '{"start": 1}'}, "RequestError"),
        ({"more": '{"probe_every": 1}'}, "RequestError"),
        ({"more": "[1"}, "RequestError"),
        ({"more": '{"validation": "/etc/passwd"}'}, "RequestError"),
        ({"more": '{"schedule": "no schedule"}'}, "SettingError"),
        ({"sample": "../secret"}, "RequestError"),
        ({"class_weights": "heavy=much"}, "SettingError"),
        ({"class_weights": [1, 2]}, "RequestError"),
        ({"table": UploadedFile("same.csv", b"a,b\n1,x\n2,\n3,z\n4,w\n")}, "DataError"),
    ],
)
def test_what_cannot_be_trained_is_told(change, kind):
    assert refusal("train", **SMALL | change)["kind"] == kind


@pytest.mark.parametrize(
    ("typed", "weights"),
    [
        ("balanced", "balanced"),
        ("1,20", [1.0, 20.0]),
        ("inner=1, outer=2.5", {"inner": 1.0, "outer": 2.5}),
        ("a=b=3", {"a=b": 3.0}),
    ],
)
def test_weights_of_classes_are_typed_as_in_the_command(typed, weights):
    assert _class_weights({"class_weights": typed}) == {"class_weights": weights}
    setup = setup_of({**SMALL, "class_weights": "inner=2,outer=1"})
    assert setup.explicit_choices["class_weights"] == {"inner": 2.0, "outer": 1.0}
    assert setup_of({**SMALL, **fields_of(setup)}).explicit_choices == setup.explicit_choices
    old = setup_of({**SMALL, "more": '{"class_weights": "balanced"}'})  # links from before the field
    assert fields_of(old)["class_weights"] == "balanced"
    assert fields_of(old)["more"] is None
    comma = fields_of(old.changed(class_weights={"a, b": 2.0}))
    assert comma["class_weights"] is None
    assert json.loads(comma["more"]) == {"class_weights": {"a, b": 2.0}}


def test_choices_without_a_field_of_their_own_reach_the_setup():
    more = {"beta1": 0.8, "mixed_precision": True, "missing": "drop"}
    assert more.items() <= setup_of({**SMALL, "more": json.dumps(more)}).explicit_choices.items()


@pytest.mark.parametrize("weights", [None, [1.0], ["a"] * 13, [float("nan")] * 13])
def test_weights_that_do_not_fit_are_refused(weights):
    reply = _main.answer(replies.VERBS["network_graph"], {**SMALL, "weights": weights, "example": 0})
    assert reply.status == 400


def test_what_work_raises_comes_after_what_it_told():
    def work(send):
        send({"one": 1})
        raise ds.SettingError("enough")

    found = pieces(work)
    assert next(found) == {"one": 1}
    with pytest.raises(ds.SettingError, match="enough"):
        next(found)
