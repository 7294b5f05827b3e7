"""Training as people type it: what it prints, what it says of a slip, and what can be done with a run afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars
import pytest

import downslope as ds
from downslope._text import decimals
from downslope.cli._main import run
from downslope.cli._options import as_typed

BLIND = ["--probe-every", "0"]
SMALL = ["--hidden", "8", "--steps", "60", *BLIND]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    """A table as people have them: a name for each row, text, whole numbers, and two cells that hold a "?"."""
    random = np.random.default_rng(0)
    lines = ["mpg,cylinders,horsepower,weight,origin,car name"]
    for place in range(60):
        cylinders = (4, 6, 8)[place % 3]
        weight = 1500 + 300 * cylinders + random.normal(0, 200)
        power = "?" if place in (32, 41) else f"{15 * cylinders + random.normal(40, 8):.0f}"
        mpg = 55 - 0.009 * weight + random.normal(0, 1)
        origin = ("usa", "europe", "japan")[place % 4 % 3]
        lines.append(f"{mpg:.1f},{cylinders},{power},{weight:.0f},{origin},car {place}")
    file = tmp_path / "cars.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_a_first_training(capsys) -> None:
    code, out, err = said(capsys, "train", "digits", "--hidden", "16", "--steps", "120", "--save", "run")
    assert (code, err) == (0, "")
    assert "1797 handwritten digits of 8 × 8 pixels" in out
    assert re.search(r"^Network  8 × 8 → 16 relu → 10; 1210 parameters, softmax cross-entropy$", out, re.MULTILINE)
    assert "Method adam, α = 0.001, beta1 0.9" in " ".join(out.split())
    assert "120 steps, 2.7 times through the rows" in " ".join(out.split())
    heading = next(line for line in out.splitlines() if line.startswith("step"))
    assert heading.split("   ") == ["step", "training loss", "validation loss", "validation accuracy"]
    table = out.split(heading)[1].split("\n\n")[0].splitlines()[2:]
    assert 6 <= len(table) <= 12
    assert [int(row.split()[0]) for row in (table[0], table[-1])] == [0, 120]
    assert float(table[-1].split()[3]) > 0.5
    assert "Stopped after the maximum of" in out
    assert re.search(r"^accuracy +0\.\d{4} +0\.\d{4}$", out, re.MULTILINE)
    assert out.splitlines()[-2:] == ["Saved: run", "Predict: downslope predict run digits"]
    assert max(map(len, out.splitlines())) <= 100


def test_a_table_of_cars(capsys, cars: Path) -> None:
    words = ["train", "cars.csv", "--target", "mpg", *SMALL]
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert "row 33, column horsepower: the cell is missing (2 such" in err
    assert "--missing drop leaves these rows out; --missing mean fills them in" in err
    code, out, err = said(capsys, *words, "--missing", "mean")
    assert (code, out) == (2, "")
    assert "60 different texts in 60 rows" in err
    assert "--drop 'car name' leaves it out" in err
    code, out, err = said(capsys, *words, "--missing", "mean", "--drop", "car name", "--plot", "loss.png")
    assert (code, err) == (0, "")
    assert "horsepower: missing cells, 2 of them, are filled with the mean of the others." in out
    assert "origin: text with 3 categories" in out
    assert "validation R²" in out
    assert not re.search(r"\br2\b", out)
    assert Path("loss.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere.csv"], "no file 'nowhere.csv'"),
        (["irsi"], "did you mean 'iris'?"),
        (["cars.csv"], "--target one of mpg, cylinders"),
        (["cars.csv", "--target", "mpgs"], "did you mean mpg?"),
        (["iris", "--activation", "rleu"], "did you mean 'relu'?"),
        (["iris", "--loss", "cross-entropi"], "did you mean 'cross-entropy'?"),
        (["iris", "--method", "adm"], "did you mean 'adam'?"),
        (["iris", "--schedule", "cosin"], "did you mean 'cosine'?"),
        (["iris", "--initialisation", "he_norml"], "did you mean 'he_normal'?"),
        (["iris", "--normalisation", "bach"], "did you mean 'batch'?"),
        (["iris", "--missing", "maen"], "did you mean 'mean'?"),
        (["iris", "--task", "numbrs"], "did you mean 'numbers'?"),
        (["diabetes", "--loss", "cross-entropy"], "--task classes reads them as classes"),
        (["iris", "--hidden", "64,x"], "'x' is not a whole number"),
        (["iris", "--batch", "some"], "--batch is a whole number of at least 1, or all"),
        (["iris", "--validation", "1.5"], "between 0 and 1"),
        (["iris", "--clip-norm", "0"], "--clip-norm must be above 0"),
        (["iris", "--dropout", "1"], "dropout"),
        (["iris", "--convolutions", "8"], "convolutions need images"),
        (["iris", "--set", "momentum=0.9"], "adam has no setting 'momentum'"),
        (["iris", "--set", "steps=9"], "it has an option: --steps"),
        (["iris", "--set", "weight_decay=9"], "it has an option: --weight-decay"),
        (["iris", "--overwrite"], "name the folder of the run with --save"),
        (["iris", "--save", "new", "--resume", "--overwrite"], "choose one of the two"),
        (["iris", "--layers-every", "-1"], "--layers-every must be a whole number of at least 0"),
        (["iris", "--resume"], "name the folder of the run with --save"),
        (["iris", "--plot", "loss.bmp"], "cannot draw into 'loss.bmp'"),
        (["iris", "--optimiser", "adam"], "No such option"),
    ],
)
def test_slips_are_told_without_a_traceback(capsys, cars: Path, words: list[str], told: str) -> None:
    code, out, err = said(capsys, "train", *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_a_run_from_its_saving_to_its_resuming(capsys) -> None:
    words = ["train", "iris", *SMALL, "--learning-rate", "0.03", "--save", "run"]
    assert said(capsys, *words, "--quiet")[0] == 0
    _predictions_of_iris(capsys)
    _diagnosis_of_iris(capsys)
    before = ds.load("run")
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert "there is a run in run already" in err
    assert "--resume continues it; --overwrite replaces it" in err
    assert ds.load("run").columns["value"].tolist() == before.columns["value"].tolist()
    assert said(capsys, *words, "--resume", "--quiet")[0] == 0
    after = ds.load("run")
    assert all(np.array_equal(before.end[name], after.end[name]) for name in before.end)
    code, _, err = said(capsys, *words, "--resume", "--activation", "tanh")
    assert code == 2
    assert "the run in run was" in err
    assert said(capsys, *words, "--overwrite", "--steps", "20", "--quiet")[0] == 0
    assert ds.load("run").last_step == 20


def _predictions_of_iris(capsys) -> None:
    Path("new.csv").write_text(
        'petal length;note;petal width;sepal width;sepal length\n1.4;"a;b";0.20;3.5;5.1\n\n6.0;;2.5;3.3;6.3\n',
        encoding="utf-8",
    )
    code, out, _ = said(capsys, "predict", "run", "new.csv")
    assert code == 0
    assert out.splitlines()[0].split() == ["row", "species"]
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["1", "2"]
    found = json.loads(said(capsys, "predict", "run", "new.csv", "--json")[1])
    assert (found["targets"], found["rows"]) == (["species"], 2)
    assert found["predicted"]["species"][0] == "setosa"
    assert said(capsys, "predict", "run", "new.csv", "--quiet")[1].splitlines() == found["predicted"]["species"]
    assert said(capsys, "predict", "run", "new.csv", "--out", "deep/told.csv")[0] == 0
    assert Path("deep/told.csv").read_text(encoding="utf-8").splitlines()[:2] == [
        "petal length,note,petal width,sepal width,sepal length,predicted_species",
        "1.4,a;b,0.20,3.5,5.1,setosa",
    ]
    assert said(capsys, "predict", "run", "deep/told.csv", "--out", "told.parquet")[0] == 0
    table = polars.read_parquet("told.parquet")
    assert table["predicted_species"].to_list() == found["predicted"]["species"]
    assert table["sepal width"].to_list() == [3.5, 3.3]
    code, out, _ = said(capsys, "predict", "run", "new.csv", "--probabilities")
    assert out.splitlines()[0].split() == ["row", "setosa", "versicolor", "virginica"]
    told = json.loads(said(capsys, "predict", "run", "new.csv", "--probabilities", "--json")[1])["probabilities"]
    assert [told["setosa"][0] > 0.5, told["virginica"][1] > 0.5] == [True, True]
    np.testing.assert_allclose(np.sum(list(told.values()), axis=0), 1)
    assert said(capsys, "predict", "run", "new.csv", "--probabilities", "--out", "sure.parquet")[0] == 0
    assert polars.read_parquet("sure.parquet")["probability_setosa"].to_list() == told["setosa"]
    code, out, _ = said(capsys, "predict", "run", "iris")
    assert "150 rows; --quiet prints every prediction" in out


def _diagnosis_of_iris(capsys) -> None:
    code, out, _ = said(capsys, "diagnose", "run", "--report", "report.html", "--plot", "loss.png")
    assert code == 0
    assert "Network  4 → 8 relu → 3" in out
    assert "Read as  iris: 150" in out
    assert "drawn by the seed 0" in " ".join(out.split())
    assert out.splitlines()[-1] == "Report: report.html"
    found = json.loads(said(capsys, "diagnose", "run", "--json")[1])
    assert found["steps"] == 60
    assert found["evaluations"][0]["step"] == 0
    assert set(found["metrics"]) >= {"training_loss", "validation_loss", "validation_accuracy"}
    assert found["findings"][0]["symptom"]
    page = Path("report.html").read_text(encoding="utf-8")
    assert "A network that predicts species" in page
    assert "drawn by the seed 0" in page
    assert page.count("<article class='card") == len(found["findings"])
    assert page.count("<figure><svg") >= 4
    assert ">loss</text>" in page
    assert "at the end" in page
    assert "downslope 0" in page
    _refers_to_nothing_outside(page)


def _refers_to_nothing_outside(page: str) -> None:
    assert "http" not in page
    assert not re.search(r"\b(src|href)\s*=\s*[\"'](?!#|data:)", page)
    assert not re.search(r"url\((?!#)|@import|<script|<link|<iframe", page)


def test_a_run_that_is_being_written(capsys) -> None:
    def killed(step: int, steps: int, value: float) -> None:
        if step >= 40:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ds.train(data="iris", hidden=(8,), steps=4000, probe_every=0, save="run", progress=killed)
    code, out, _ = said(capsys, "diagnose", "run", "--report", "report.html")
    assert code == 0
    assert re.search(r"\d+ of 4000 steps", out)
    assert "it is still running or was cut off" in out
    page = Path("report.html").read_text(encoding="utf-8")
    assert "of 4000 steps" in page
    _refers_to_nothing_outside(page)
    code, out, err = said(capsys, "predict", "run", "iris", "--quiet")
    assert (code, len(out.splitlines())) == (0, 150)
    assert err == "The run in run has not ended: predicted by the network as it was last written.\n"


def test_a_run_of_which_nothing_is_written_yet(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("downslope.descent.batches._descent.BatchDescent.run", killed)
    with pytest.raises(RuntimeError):
        ds.train(data="iris", hidden=(8,), save="run", progress=False)
    code, out, _ = said(capsys, "diagnose", "run", "--report", "report.html")
    assert code == 0
    assert "0 of 2000 steps" in out
    code, _, err = said(capsys, "diagnose", "run", "--plot", "loss.png")
    assert code == 2
    assert "this run has not written any rows yet" in err
    code, _, err = said(capsys, "predict", "run", "iris")
    assert code == 2
    assert "this run has not written a network yet" in err


def test_one_json_object(capsys) -> None:
    words = ["--validation", "0", "--batch", "all", "--skip", "--seed", "3", "--no-standardise", "--json", *BLIND]
    code, out, _ = said(capsys, "train", "diabetes", "--hidden", "4,4", "-n", "20", "--check", *words)
    assert code == 1  # so few steps lead nowhere
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["steps"] == 20
    assert found["plan"]["batches"]["size"] is None
    assert found["plan"]["seed"] == 3
    assert found["network"]["description"]["layers"][1]["skip"] is True
    assert set(found["metrics"]) >= {"training_loss", "training_r2"}
    assert not any(name.startswith("validation") for name in found["metrics"])
    assert not any("scaled to mean 0" in note for note in found["notes"])


def test_images_from_a_file(capsys) -> None:
    assert said(capsys, "train", "digits", *SMALL, "--save", "run", "--quiet")[0] == 0
    images = ds.examples("digits", standardise=False).inputs[:20]
    expected = [str(label) for label in ds.predict("run", images)]
    np.save("images.npy", images)
    polars.DataFrame(images.reshape(20, -1), schema=[f"p{place}" for place in range(64)]).write_csv("images.csv")
    for name in ("images.npy", "images.csv"):
        assert said(capsys, "predict", "run", name, "--quiet")[1].split() == expected
    assert len(said(capsys, "predict", "run", "images.csv")[1].splitlines()) == 2 + 14 + 2
    Path("few.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    code, _, err = said(capsys, "predict", "run", "few.csv")
    assert code == 2
    assert "a row has 2 numbers in few.csv, and the network takes 8 × 8" in err
    unreadable = {
        "torn.csv": (b"a,b\n1,2\n3\n", "torn.csv, row 2: 1 cell for 2 names"),
        "empty.csv": (b"", "empty.csv is empty"),
        "binary.csv": (b"\xff", "binary.csv has column names but no rows"),
        "torn.parquet": (b"x", "torn.parquet is not a Parquet file that can be read"),
    }
    for name, (rows, reason) in unreadable.items():
        Path(name).write_bytes(rows)
        code, _, err = said(capsys, "predict", "run", name)
        assert code == 2
        assert reason in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["predict", "nowhere", "iris"], "no trace in nowhere"),
        (["predict", "descent", "iris"], "network cannot be rebuilt from this trace"),
        (
            ["predict", "descent", "new.csv", "--out", "told.xlsx"],
            ".csv, .txt, .tsv, .tab, .parquet, .pq, .arrow, .feather, .ipc, .json, .jsonl or .ndjson",
        ),
        (["diagnose", "descent", "--report", "report.pdf"], "must end in .html"),
    ],
)
def test_slips_with_runs(capsys, words: list[str], told: str) -> None:
    ds.save(ds.descend("x²", {"x": 1}, learning_rate=0.1, steps=3), "descent")
    code, _, err = said(capsys, *words)
    assert code == 2
    assert told in err


def test_a_report_on_a_descent(capsys) -> None:
    ds.save(ds.descend("f(x) = x²", {"x": 1}, learning_rate=0.1, steps=30), "descent")
    assert said(capsys, "diagnose", "descent", "--report", "report.html")[0] == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert "f(x) = x²" in page
    _refers_to_nothing_outside(page)


def test_sentences_name_options() -> None:
    assert as_typed('missing="drop" leaves them out') == "--missing drop leaves them out"
    assert as_typed("drop='car name' leaves it out") == "--drop 'car name' leaves it out"
    assert as_typed("validation=0 trains on it alone") == "--validation 0 trains on it alone"
    assert as_typed("target= one of a, b") == "--target one of a, b"
    assert as_typed("nothing to change") == "nothing to change"


def test_points_stand_below_each_other() -> None:
    assert decimals([1.5, 0.02, float("nan")]) == ["1.5000", "0.0200", "–"]
    assert decimals([2.0, -1e-9]) == ["2.000e+00", "−1.000e−09"]
    assert decimals([-1e-9, 0.25], 2) == ["0.00", "0.25"]
    assert decimals([float("inf"), 0.0]) == ["∞", "0.000"]
