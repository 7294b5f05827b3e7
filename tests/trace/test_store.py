"""What is saved comes back to the last bit, and damage is told."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import polars
import pytest

import downslope as ds
from downslope.trace import Outcome, Spectrum, Trace
from tests.equality import same

NAN = float("nan")


def runs() -> list[Trace]:
    return [
        ds.descend("f(x) = x² - 4x + 5", 0, learning_rate=0.1, steps=20),
        ds.descend("x²", 10.0, learning_rate=1.1, steps=3000),
        ds.descend("100(y - x²)² + (1 - x)²", {"x": -1.2, "y": 1}, method="adam", steps=50, record=7),
        ds.descend(lambda p: (p["w"] ** 2).sum() + p["b"] ** 2, {"w": np.ones((4, 5)), "b": 1.0}, steps=9),
    ]


@pytest.mark.parametrize("place", range(4))
def test_round_trip_is_exact(tmp_path, place: int) -> None:
    trace = runs()[place]
    back = ds.load(ds.save(trace, tmp_path / "run"))
    assert back.outcome is trace.outcome
    assert back.plan == json.loads(json.dumps(trace.plan))
    assert back.coordinate_names == trace.coordinate_names
    for name, column in trace.columns.items():
        np.testing.assert_array_equal(back.columns[name], column)
    for name, leaf in trace.end.items():
        np.testing.assert_array_equal(back.end[name], leaf)
        assert back.end[name].shape == leaf.shape
    assert back.parts.equals(trace.parts)
    for ours, theirs in zip(trace.spectra, back.spectra, strict=True):
        np.testing.assert_array_equal(ours.eigenvalues, theirs.eigenvalues)
        assert ours.preconditioned_highest == theirs.preconditioned_highest
    assert ds.diagnose(back).symptoms == ds.diagnose(trace).symptoms


def test_saving_again_replaces_the_trace(tmp_path) -> None:
    first, second, *_ = runs()
    ds.save(first, tmp_path / "run")
    ds.save(second, tmp_path / "run")
    assert len(ds.load(tmp_path / "run")) == len(second)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_other_folders_are_left_alone(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ds.TraceError, match="is not a trace"):
        ds.save(runs()[0], tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_damage_is_told(tmp_path) -> None:
    folder = ds.save(runs()[0], tmp_path / "run")
    steps = folder / "steps.arrow"
    whole = steps.read_bytes()
    steps.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ds.TraceError):
        ds.load(folder)
    steps.unlink()
    with pytest.raises(ds.TraceError, match="missing"):
        ds.load(folder)
    (folder / "trace.json").write_text("{")
    with pytest.raises(ds.TraceError, match="damaged"):
        ds.load(folder)
    with pytest.raises(ds.TraceError, match="no trace"):
        ds.load(tmp_path / "nowhere")


def test_another_format_is_told(tmp_path) -> None:
    folder = ds.save(runs()[0], tmp_path / "run")
    told = json.loads((folder / "trace.json").read_text())
    (folder / "trace.json").write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(ds.TraceError, match="format 99"):
        ds.load(folder)


@pytest.mark.parametrize(("suffix", "read"), [("csv", polars.read_csv), ("parquet", polars.read_parquet)])
def test_exports_hold_the_steps(tmp_path, suffix: str, read) -> None:
    trace = runs()[0]
    frame = read(ds.export(trace, tmp_path / f"steps.{suffix}"))
    np.testing.assert_array_equal(frame["x"].to_numpy(), trace.coordinates[:, 0])
    with pytest.raises(ds.TraceError, match="csv"):
        ds.export(trace, tmp_path / "steps.xls")


WRONG_PATHS = [None, 3, 1.5, [], {}, b"run", "a null \0 in it", object()]


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_what_is_no_path_is_answered(path) -> None:
    trace = runs()[0]
    for call in (lambda: ds.load(path), lambda: ds.save(trace, path), lambda: ds.export(trace, path)):
        with pytest.raises(ds.TraceError, match=r"a path is a text or a pathlib\.Path, not"):
            call()


@pytest.mark.parametrize("value", [None, 3, [], "run", {"step": [0]}])
def test_what_is_no_trace_is_answered(value, tmp_path) -> None:
    with pytest.raises(ds.SettingError, match="save takes a trace, not"):
        ds.save(value, tmp_path / "run")
    with pytest.raises(ds.SettingError, match="export takes a trace, not"):
        ds.export(value, tmp_path / "steps.csv")
    assert not list(tmp_path.iterdir())


def test_of_a_result_its_trace_is_saved(tmp_path) -> None:
    fitted = ds.fit("y = a x", {"x": [1, 2, 3], "y": [2, 4, 6.1]})
    loaded = ds.load_trace(ds.save(fitted, tmp_path / "run"))
    np.testing.assert_array_equal(loaded.coordinates, fitted.trace.coordinates)
    exported = polars.read_csv(ds.export(fitted, tmp_path / "steps.csv"))
    assert exported["a"].to_list() == fitted.trace.steps["a"].to_list()


def test_files_and_folders_that_are_no_trace_are_answered(tmp_path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("x")
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    trace = runs()[0]
    for path in (file, folder, tmp_path / "nowhere", file / "below"):
        with pytest.raises(ds.TraceError, match="there is no trace in"):
            ds.load(path)
    for path in (file, folder):
        with pytest.raises(ds.TraceError, match="exists and is not a trace"):
            ds.save(trace, path)
    for call in (lambda: ds.save(trace, file / "below"), lambda: ds.export(trace, file / "below.csv")):
        with pytest.raises(ds.TraceError, match="cannot be written"):
            call()
    for path in ("", folder, file):
        with pytest.raises(ds.TraceError, match="cannot export"):
            ds.export(trace, path)
    assert file.read_text() == "x"
    assert [entry.name for entry in folder.iterdir()] == ["notes.txt"]


def network(width: int, dtype: type = np.float32) -> Trace:
    """Return the trace of a training that never was, with a row in three for the layers."""
    dice = np.random.default_rng(width)
    names = ("layers/0/bias", "layers/0/weight", "layers/1/weight", "layers/10/weight")
    start, end, lowest, highest = ({name: dice.normal(size=(width, 2)).astype(dtype) for name in names} for _ in "1234")
    norms = ("parameter_norm", "gradient_norm", "update_norm")
    return Trace(
        outcome=Outcome.STOPPED_EARLY,
        recorded={
            "step": np.arange(9),
            "value": dice.normal(size=9),
            "gradient_norm": dice.random(9),
            "cosine": np.asarray(NAN),
        },
        coordinate_names=(),
        coordinates=None,
        gradients=None,
        part_names=names,
        part_columns={name: dice.random((3, 4)) for name in norms},
        start=start,
        end=end,
        spectra=(Spectrum(8, np.array([-1.0, 2.0]), False, lowest, highest),),
        plan={"read_as": "a network", "method": "adam"},
        layer_names=("layers/0", "layers/1", "layers/10"),
        layer_steps=np.array([0, 3, 6]),
        layer_columns={"dead_share": dice.random((3, 3)).astype(np.float32), "saturated_share": np.full((3, 3), NAN)},
        metrics={
            "step": np.array([0, 8]),
            "training_loss": np.array([1.0, 0.5]),
            "validation_loss": np.array([2, NAN]),
        },
        facts={"widths": [8, 8], "shares": np.array([0.5, NAN]), "type": {"float": "of 32 bits"}, "loss": NAN},
    )


@pytest.mark.parametrize("trace", [network(2), network(300), network(2, ml_dtypes.bfloat16)], ids=str)
def test_a_network_comes_back_to_the_last_bit(tmp_path, trace: Trace) -> None:
    folder = ds.save(trace, tmp_path / "run")
    back = ds.load(folder)
    assert back.layer_names == trace.layer_names
    np.testing.assert_array_equal(back.layer_steps, trace.layer_steps)
    for name in ("layer_columns", "metrics", "part_columns", "start", "end"):
        held, kept = getattr(trace, name), getattr(back, name)
        assert held.keys() == kept.keys()
        for key, column in held.items():
            assert (kept[key].dtype, kept[key].shape) == (column.dtype, column.shape)
            assert kept[key].tobytes() == column.tobytes()
    for name, leaf in trace.spectra[0].lowest_direction.items():
        assert back.spectra[0].lowest_direction[name].tobytes() == leaf.tobytes()
    for name in ("steps", "parts", "layers", "evaluations"):
        assert getattr(back, name).equals(getattr(trace, name))
    assert back.facts["type"] == {"float": "of 32 bits"}
    assert np.isnan(back.facts["loss"])
    np.testing.assert_array_equal(back.facts["shares"], trace.facts["shares"])


@pytest.mark.parametrize("width", [2, 300])
def test_directions_that_were_not_kept_are_none(tmp_path, width: int) -> None:
    trace = network(width)
    last = trace.spectra[0]
    trace = trace.replace(spectra=(last, last.without_directions(), last))
    back = ds.load(ds.save(trace, tmp_path / "run"))
    same(back.spectra, trace.spectra)
    assert [one.has_directions for one in back.spectra] == [True, False, True]


def test_only_large_points_go_beside(tmp_path) -> None:
    small = ds.save(network(2), tmp_path / "small")
    large = ds.save(network(3000), tmp_path / "large")
    assert not (small / "points.npz").exists()
    assert (large / "trace.json").stat().st_size < 4000
    (large / "points.npz").write_bytes(b"PK")
    with pytest.raises(ds.TraceError, match="damaged"):
        ds.load(large)
    (large / "points.npz").unlink()
    with pytest.raises(ds.TraceError, match="missing"):
        ds.load(large)


def test_layers_gather_the_norms_of_their_parts() -> None:
    trace = network(2)
    frame = trace.layers
    columns = ["step", "layer", "parameter_norm", "gradient_norm", "update_norm", "dead_share", "saturated_share"]
    assert frame.columns == columns
    assert frame["step"].to_list() == [0, 0, 0, 3, 3, 3, 6, 6, 6]
    assert frame["layer"].to_list() == list(trace.layer_names) * 3
    norms = trace.part_columns["gradient_norm"]
    gathered = np.column_stack([np.hypot(norms[:, 0], norms[:, 1]), norms[:, 2], norms[:, 3]])
    np.testing.assert_allclose(frame["gradient_norm"].to_numpy().reshape(3, 3), gathered)
    np.testing.assert_array_equal(frame["dead_share"].to_numpy().reshape(3, 3), trace.layer_columns["dead_share"])
    assert frame["saturated_share"].null_count() == 9
    assert trace.parts["step"].unique().sort().to_list() == [0, 3, 6]
    assert trace.evaluations["validation_loss"].to_list() == [2, None]
    assert trace.replace(part_columns={}).layers["update_norm"].null_count() == 9


def test_traces_without_layers_have_empty_tables() -> None:
    trace = runs()[0]
    assert trace.layers.schema == {
        "step": polars.Int64,
        "layer": polars.String,
        **dict.fromkeys(("parameter_norm", "gradient_norm", "update_norm"), polars.Float64),
    }
    assert len(trace.layers) == len(trace.evaluations) == 0
    layered = runs()[3].replace(layer_names=("w",))
    assert layered.layers["step"].to_list() == layered.steps["step"].to_list()


def test_large_points_are_not_printed() -> None:
    assert "a point of 2400 numbers in 4 parts" in str(network(300))
    assert len(str(network(300))) < 300
    ragged = network(2).replace(end={"w": np.array([[1.5]]), "v": np.zeros((4, 4))})
    assert "at w = 1.5, v = array(4, 4)" in str(ragged)


def test_columns_do_not_depend_on_how_the_point_lies_in_memory(tmp_path) -> None:
    widths = np.linspace(0.5, 3, 12)
    trace = ds.descend(lambda p: (widths * p["w"] ** 2).sum() + (p["w"] ** 4).sum(), {"w": np.linspace(-1, 1, 12)})
    back = ds.load(ds.save(trace, tmp_path / "run"))
    for name, column in trace.columns.items():
        np.testing.assert_array_equal(back.columns[name], column)
