"""The command as people type it: what it prints, what it writes, and how it exits."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import downslope as ds
from downslope.cli._main import run

PARABOLA = ["descend", "f(x) = x² - 4x + 5", "--start", "x=0", "--learning-rate", "0.1", "--steps", "20"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    code, out, _ = said(capsys, *words, "--json")
    assert code == 0
    assert out.count("\n") == 1
    return json.loads(out)


def test_the_parabola_of_the_article(capsys) -> None:
    found = as_json(capsys, *PARABOLA)
    x = [step["x"] for step in found["steps"]]
    assert x[1:4] == pytest.approx([0.4, 0.72, 0.976], rel=1e-14)
    assert x[10] == pytest.approx(1.7852516352, rel=1e-12)
    assert found["end"]["x"] == x[20] == pytest.approx(1.976941569907863, rel=1e-14)
    assert [step["step"] for step in found["steps"]] == list(range(21))
    assert set(found["steps"][0]) == {"step", "x", "value", "gradient_norm"}
    assert set(found) >= {"read_as", "outcome", "steps", "end", "value", "findings"}
    assert set(found["findings"][0]) >= {"symptom", "evidence", "sentence"}


def test_the_houses_of_the_article(capsys, houses: str) -> None:
    words = ["descend", "Loss(w) = mean((price - w×size)²)", "--data", houses, "--start", "w=0"]
    found = as_json(capsys, *words, "--learning-rate", "0.00001", "--steps", "100")
    assert found["steps"][0]["gradient_norm"] == pytest.approx(46666.6666667)
    assert found["end"]["w"] == pytest.approx(2, abs=1e-9)
    assert found["findings"][0]["symptom"] == "converged"


@pytest.mark.parametrize(
    ("rate", "steps", "symptom"),
    [
        ("1.0", "100", "oscillating"),
        ("1.01", "100", "rate_too_large"),
        ("0.001", "1000", "rate_too_small"),
        ("0.1", "200", "converged"),
    ],
)
def test_the_dilemma_of_the_article(capsys, rate: str, steps: str, symptom: str) -> None:
    words = ["descend", "f(x) = x²", "--start", "x=10", "--learning-rate", rate, "--steps", steps]
    finding = as_json(capsys, *words)["findings"][0]
    assert finding["symptom"] == symptom
    if symptom != "converged":
        assert finding["evidence"]["largest_stable_rate"] == pytest.approx(1)
    if symptom == "rate_too_small":
        assert finding["evidence"]["steps_to_go"] > 1000


def test_a_saddle_names_the_way_out(capsys) -> None:
    finding = as_json(capsys, "descend", "x² - y²", "--start", "x=1,y=0", "--learning-rate", "0.1")["findings"][0]
    assert finding["symptom"] == "saddle_point"
    direction = json.dumps(finding["evidence"])
    assert "y" in direction


def test_check_is_one_for_a_descent_with_a_problem(capsys) -> None:
    bad = ["descend", "x²", "--start", "x=10", "--learning-rate", "1.01"]
    assert said(capsys, *bad)[0] == 0
    assert said(capsys, *bad, "--check")[0] == 1
    assert said(capsys, *PARABOLA, "--check")[0] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["descend", "x² +", "--start", "x=1"], "^"),
        (["descend", "x²"], "--start is missing"),
        (["descend", "x²", "--start", "y=1"], "no variable 'y'"),
        (["descend", "x²", "--start", "x"], "not name=number"),
        (["descend", "x²", "--start", "x=one"], "must be a number"),
        (["descend", "x²", "--start", "x=1", "--method", "adm"], "adam"),
        (["descend", "x²", "--start", "x=1", "--learning-rate", "-1"], "above 0"),
        (["descend", "x²", "--start", "x=1", "--steps", "many"], "--steps"),
        (["descend", "mean(x×size)", "--start", "x=1", "--data", "nowhere.csv"], "no file"),
        (["descend", "x²", "--start", "x=1", "--plot", "picture.bmp"], "picture.bmp"),
        (["descend", "x²", "--start", "x=1", "--unit", "x=furlog"], "furlog"),
        (["descend", "x²", "--start", "x=1", "--set", "speed=3"], "no setting 'speed'"),
        (["diagnose", "nowhere"], "no file or folder nowhere"),
        (["slope", "x²"], "--at is missing"),
        (["derive", "f(x) = y"], "not declared"),
        (["derive", "f(x) = x²", "--by", "y"], "no variable 'y'"),
        (["draw", "x²", "--kind", "fresco"], "no picture"),
        (["draw", "x²", "--kind", "progress"], "where it starts"),
        (["draw", "x²", "--kind", "landscape"], "needs 2 variables"),
        (["draw", "x²", "--bounds", "x=3"], "low..high"),
        (["frobnicate"], "No such command"),
        (["minimize", "x²"], "downslope descend"),
        (["plot", "x²"], "downslope draw"),
        (["gradient", "x²"], "downslope slope"),
        (["diff", "x²"], "downslope derive"),
        (["descend", "x² + y²", "--start", "x=1 y=2"], "--start x=1,y=2"),
        (["descend", "x² + y²", "--start", "x=1"], "--start x=1,y=2"),
        (["slope", "x²", "--at", "x==3"], "not name=number"),
        (["critical", "x² + y²", "--bounds", "x=-1..1"], "--within x=-3..3,y=-3..3"),
        (["critical", "x²", "--bounds", "y=-1..1"], "no variable 'y'; it has x"),
        (["descend", "x²", "--start", "x=1", "--every", "0"], "--every must be"),
        (["descend", "x²", "--start", "x=1", "--steps", "-1"], "--steps must be"),
        (["descend", "x²", "--start", "x=1", "--save", "/proc/x"], "cannot be"),
        (["descend", "__import__('os').system('id')", "--start", "x=1"], "has no meaning"),
    ],
)
def test_bad_input_is_told_without_a_traceback(capsys, words: list[str], told: str) -> None:
    code, out, err = said(capsys, *words)
    assert code == 2
    assert told in err
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["slope", "x²", "--at", "3", "--json"], 9),
        (["slope", "x²", "--at", "π", "--json"], math.pi**2),
        (["slope", "x² + 10y", "--at", "1,2", "--json"], 21),
        (["slope", "x² + 10y", "--at", "(1, 2)", "--json"], 21),
        (["slope", "x² + 10y", "--at", "[1; 2]", "--json"], 21),
    ],
)
def test_numbers_alone_are_coordinates_in_order(capsys, words: list[str], value: float) -> None:
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert json.loads(out)["value"] == pytest.approx(value)


@pytest.mark.parametrize(("words", "same"), [("critical-points", "critical"), ("find-learning-rate", "find-rate")])
def test_verbs_of_python_are_commands_as_well(capsys, words: str, same: str) -> None:
    rest = ["--bounds", "x=-1..1"] if same == "critical" else ["--start", "x=1", "-n", "5"]
    assert said(capsys, words, "x²", *rest) == said(capsys, same, "x²", *rest)


def test_a_formula_that_begins_with_a_minus_sign(capsys) -> None:
    code, out, _ = said(capsys, "derive", "--quiet", "--", "-20p² + 200p - 300")
    assert (code, out.strip()) == (0, "-40p + 200")


@pytest.mark.parametrize(
    "words",
    [
        ["derive", "-x²", "--quiet"],
        ["derive", "--quiet", "-x²"],
        ["derive", "--quiet", "--", "-x²"],
        ["derive", "--", "-x²", "--quiet"],
        ["derive", "--by", "x", "-x²", "-q"],
    ],
    ids=" ".join,
)
def test_a_formula_may_begin_with_a_minus_sign(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    code, out, _ = said(capsys, *words)
    assert (code, out.strip()) == (0, "-2x")


def test_a_subscript_is_read_where_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "derive", "x₁²y", "--by", "x₁", "--at", "x₁=3,y=1", "--quiet")
    assert code == 0, out
    assert "6" in out


def test_slope_as_json(capsys) -> None:
    found = as_json(capsys, "slope", "h(x, y) = 100 - x² - 2y²", "--at", "x=3,y=1")
    assert found["gradient"] == {"x": -6.0, "y": -4.0}
    assert found["steepness"] == pytest.approx(52**0.5)
    assert found["kind"] == "slope"
    assert found["largest_stable_rate"] is None
    assert as_json(capsys, "slope", "x²", "--at", "x=0")["kind"] == "minimum"


def test_derive_as_json(capsys) -> None:
    found = as_json(capsys, "derive", "P(p) = -20p² + 200p - 300")
    assert found["derivative"] == "P'(p) = -40p + 200"
    assert found["steps"][-1]["rule"] == "sum"
    both = as_json(capsys, "derive", "h(x, y) = 100 - x² - 2y²")
    assert both["derivative"] == {"x": "∂h/∂x = -2x", "y": "∂h/∂y = -4y"}


def test_derive_further_derivatives(capsys) -> None:
    assert said(capsys, "derive", "f(x) = x³", "--order", "2", "--at", "x=2", "--quiet")[1].strip() == "12"
    assert said(capsys, "derive", "x²y", "--by", "x,y", "--quiet")[1].strip() == "2x"
    assert said(capsys, "derive", "x² + y² = 25", "--implicit", "y", "--at", "x=3,y=4", "-q")[1].strip() == "−0.75"
    assert (
        said(capsys, "derive", "x² + y² = 25", "--implicit", "y", "--order", "2", "-q")[1].strip() == "d²y/dx² = -25/y³"
    )
    assert said(capsys, "derive", "x²y", "--direction", "x=3,y=4", "--at", "x=1,y=2", "-q")[1].strip() == "3.2"
    assert said(capsys, "derive", "√x", "--at", "x=0", "-q")[1].strip() == "not defined"
    second = as_json(capsys, "derive", "h(x, y) = x²y", "--order", "2", "--at", "x=1,y=2")
    assert second["derivative"] == {"x,x": "∂²h/∂x² = 2y", "x,y": "∂²h/∂x∂y = 2x", "y,y": "∂²h/∂y² = 0"}
    assert second["value"] == {"x,x": 4.0, "x,y": 2.0, "y,y": 0.0}
    three = as_json(capsys, "chain", "y = sin(u)", "u = v²", "v = 3x", "--at", "x=0")
    assert three["rule"] == "dy/du · du/dv · dv/dx"
    assert three["value"] == 0


def test_numbers_may_be_expressions(capsys) -> None:
    assert as_json(capsys, "slope", "sin(x)", "--at", "x=π/2")["value"] == pytest.approx(1)


def test_save_then_diagnose(capsys, tmp_path: Path) -> None:
    code, out, _ = said(capsys, *PARABOLA, "--save", "run")
    assert code == 0
    assert "Saved: run" in out
    found = as_json(capsys, "diagnose", "run")
    assert found["findings"][0]["symptom"] == "still_descending"
    assert said(capsys, "diagnose", "run", "--plot", "run.png", "--check")[0] == 0
    assert (tmp_path / "run.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["a.png", "b.svg", "c.pdf", "deep/er/d.gif"])
def test_every_kind_of_picture(capsys, tmp_path: Path, name: str) -> None:
    code, out, _ = said(capsys, "descend", "x² + 2y²", "--start", "x=4,y=3", "--steps", "8", "--plot", name)
    assert code == 0
    assert name in out
    assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.parametrize("kind", ["curve", "progress", "animation"])
def test_draw_in_one_variable(capsys, tmp_path: Path, kind: str) -> None:
    file = "x.gif" if kind == "animation" else "x.png"
    assert said(capsys, "draw", "x²", "--kind", kind, "--start", "x=3", "--steps", "5", "--plot", file)[0] == 0
    assert (tmp_path / file).exists()


def test_draw_in_two_variables(capsys, tmp_path: Path) -> None:
    for kind in ("landscape", "surface"):
        assert (
            said(capsys, "draw", "x²+y²", "--kind", kind, "--bounds", "x=-2..2,y=-1..1", "--plot", f"{kind}.png")[0]
            == 0
        )
    assert said(capsys, "draw", "x²+y²", "--at", "x=1,y=1", "--plot", "at.png")[0] == 0
    assert {file.name for file in tmp_path.glob("*.png")} == {"landscape.png", "surface.png", "at.png"}


def test_quiet_prints_the_verdict_only(capsys) -> None:
    _, out, _ = said(capsys, *PARABOLA, "--quiet")
    assert "still_descending" in out
    assert "step " not in out.splitlines()[0]
    assert len(out.splitlines()) <= 4


def test_long_tables_leave_the_middle_out(capsys) -> None:
    _, out, _ = said(capsys, "descend", "x²", "--start", "x=10", "--steps", "500")
    assert "⋮" in out
    assert len(out.splitlines()) < 45


def test_units_stand_in_the_headings(capsys) -> None:
    words = ["slope", "P(p) = -20p² + 200p - 300", "--at", "p=2", "--unit", "P=dollar", "--unit", "p=euro"]
    _, out, _ = said(capsys, *words)
    assert "dollar/euro" in out or "$/€" in out


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m downslope descend 'x²' --start x=10 --steps 2000 --every 1 --json | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=os.environ)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_sweep_marks_the_stable_range_and_the_best(capsys, tmp_path: Path) -> None:
    code, out, _ = said(capsys, "sweep", "f(x) = x²", "--start", "x=10", "--plot", "sweep.png")
    assert code == 0
    assert next(one for one in out.splitlines() if "largest stable" in one).split()[0] == "1"
    assert next(one for one in out.splitlines() if "◀ best" in one).split()[0] == "0.5"
    assert (tmp_path / "sweep.png").stat().st_size > 10_000
    found = as_json(capsys, "sweep", "f(x) = x²", "--start", "x=10", "--learning-rates", "0.1,0.2")
    assert [one["learning_rate"] for one in found["rates"]] == [0.1, 0.2]
    assert len(as_json(capsys, "sweep", "x²", "--start", "x=1", "--learning-rates", "0.01..1")["rates"]) == 41


def test_a_race_on_the_command_line(capsys, tmp_path: Path) -> None:
    words = ["compare", "x² + 10y²", "--start", "x=4,y=3", "-m", "adam", "-m", "bfgs", "--steps", "40"]
    assert as_json(capsys, *words)["winner"] == "bfgs"
    assert said(capsys, *words, "--plot", "race.gif", "--quiet")[0] == 0
    assert (tmp_path / "race.gif").stat().st_size > 10_000


def test_valleys_on_the_command_line(capsys, tmp_path: Path) -> None:
    words = ["multistart", "x⁴ - 4x² + x", "--bounds", "x=-3..3"]
    code, out, _ = said(capsys, *words, "--plot", "valleys.png")
    assert code == 0
    assert "The other minimum is local." in out
    assert (tmp_path / "valleys.png").stat().st_size > 10_000
    deepest = as_json(capsys, *words)["basins"][0]
    assert deepest["point"]["x"] == pytest.approx(-1.473, abs=1e-3)
    assert as_json(capsys, *words, "--global")["best"]["point"]["x"] == pytest.approx(-1.473, abs=1e-3)


def test_a_fit_on_the_command_line(capsys, houses: str, tmp_path: Path) -> None:
    words = ["fit", houses, "price = w × size", "--unit", "price=k$", "--unit", "size=m²"]
    code, out, _ = said(capsys, *words, "--plot", "fit.png", "--save", "run")
    assert code == 0
    assert next(one for one in out.splitlines() if one.startswith("w ")).split()[1] == "2.0000"
    assert "k$/m²" in out
    assert (tmp_path / "fit.png").stat().st_size > 10_000
    assert as_json(capsys, *words)["parameters"]["w"]["value"] == pytest.approx(2, abs=1e-12)
    assert said(capsys, "diagnose", "run", "--check")[0] == 0


@pytest.mark.parametrize(
    ("rows", "equation", "told"),
    [
        ("size,price\n1,2\n2,4\n", "price = w × sise", "did you mean size"),
        ("size,price\n1,2\n2,4\n3,cheap\n", "price = w × size", "row 3, column price"),
        ("", "price = w × size", "is empty"),
        ("size,price\n", "price = w × size", "no rows"),
        ("size,price\n1,2\n", "price = w × size + b", "cannot determine 2 parameters"),
        ("size,price\n1,2\n2,4\n", "price = w × size +", "^"),
    ],
)
def test_tables_that_cannot_be_fitted(capsys, tmp_path: Path, rows: str, equation: str, told: str) -> None:
    (tmp_path / "table.csv").write_text(rows, encoding="utf-8")
    code, out, err = said(capsys, "fit", "table.csv", equation)
    assert (code, out) == (2, "")
    assert told in err


def test_what_the_data_cannot_determine_is_a_finding(capsys, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("size,price\n50,100\n50,110\n50,120\n", encoding="utf-8")
    found = as_json(capsys, "fit", "table.csv", "price = w × size + b")["findings"][0]
    assert found["symptom"] == "undetermined"
    assert found["evidence"]["constant_columns"] == ["size"]
    assert said(capsys, "fit", "table.csv", "price = w × size + b", "--check")[0] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sweep", "x²"], "--start is missing"),
        (["sweep", "x²", "--start", "x=1", "--learning-rates", "fast"], "neither a list nor a range"),
        (["sweep", "x²", "--start", "x=1", "--method", "bfgs"], "compare"),
        (["compare", "x²", "--start", "x=1", "-m", "adm"], "adam"),
        (["multistart", "x²"], "--bounds is missing"),
        (["multistart", "x²", "--bounds", "x=3..1"], "is empty"),
        (["multistart", "x²", "--bounds", "x=0..1", "--seconds", "3"], "--global"),
        (["multistart", "x²", "--bounds", "x=0..1", "--global", "--starts", "3"], "--global"),
        (["multistart", "x²", "--bounds", "x=0..1", "--global", "--set", "momentum=0.5"], "--global"),
    ],
)
def test_bad_requests_of_many_descents(capsys, words: list[str], told: str) -> None:
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


BAKING = ("chain", "Quality(time) = 5×time", "Time(temperature) = -2×temperature")
MINUTES = ("--unit", "Quality=points", "--unit", "time=minute", "--unit", "temperature=delta_degC")


def test_the_chain_rule_prints_its_factors_and_their_product(capsys) -> None:
    code, out, _ = said(capsys, *BAKING, *MINUTES, "--at", "temperature=180")
    assert code == 0
    assert "dQuality/dtemperature = 5 × (-2) = -10 points/°C" in out
    assert out.endswith("at temperature=180: −10 points/°C\n")
    assert said(capsys, "chain", "sin(u)", "u(x) = x²", "--quiet")[1] == "dy/dx = 2x·cos(x²)\n"
    assert said(capsys, "chain", "sin(u)", "u(x) = x²", "--quiet", "--at", "x=0")[1] == "0\n"
    assert said(capsys, "chain", "sin(u)", "u(x) = x²", "--latex")[1].startswith("\\begin{align*}\n")


def test_the_chain_rule_for_a_program(capsys) -> None:
    read = as_json(capsys, "chain", "sin(u)", "u(x) = x²", "--at", "x=π/2")
    assert read["derivative"] == "2x·cos(x²)"
    assert read["value"] == pytest.approx(math.pi * math.cos(math.pi**2 / 4))


@pytest.mark.parametrize(
    ("words", "words_of_error"),
    [
        (("chain", "x×y", "u = x²"), "a formula of one variable"),
        (("chain", "sin(u)", "u = x²", "--at", "y=1"), "has no variable 'y'"),
        ((*BAKING, "--unit", "time=kilogram", "--unit", "Time=minute"), "kilogram"),
        (("export", "nowhere", "steps.csv"), "there is no trace"),
        (("export", "run", "steps.doc"), "cannot export"),
    ],
)
def test_chain_and_export_explain_what_they_cannot_do(capsys, words, words_of_error) -> None:
    if "run" in words:
        said(capsys, *PARABOLA, "--save", "run")
    code, out, err = said(capsys, *words)
    assert (code, out) == (2, "")
    assert words_of_error in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_export_writes_the_steps_of_a_saved_run(capsys, suffix: str) -> None:
    import polars

    said(capsys, *PARABOLA, "--save", "run")
    written = as_json(capsys, "export", "run", f"tables/steps{suffix}")
    read = {".csv": polars.read_csv, ".parquet": polars.read_parquet, ".json": polars.read_json}[suffix]
    table = read(written["table"])
    assert (len(table), table.columns) == (written["rows"], written["columns"])
    assert table["value"][0] == 5
    code, out, _ = said(capsys, "export", "run", f"steps{suffix}")
    assert code == 0
    assert "Wrote 21 rows" in out
    assert f"Table: steps{suffix}" in out


def test_send_sends_a_saved_run_under_its_name(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    said(capsys, *PARABOLA, "--save", "run")
    sent = []
    with monkeypatch.context() as patch:
        patch.setattr(ds, "send", lambda trace, target, name: sent.append((len(trace), target, name)) or "there")
        code, out, _ = said(capsys, "send", "run", "tensorboard:logs")
        assert (code, out) == (0, "Sent 21 rows.\nSent: there\n")
        assert as_json(capsys, "send", "run", "wandb:offline", "--name", "mine") == {"sent": "there", "rows": 21}
    assert sent == [(21, "tensorboard:logs", "run"), (21, "wandb:offline", "mine")]
    code, _, err = said(capsys, "send", "run", "tensorbord:logs")
    assert code == 2
    assert "did you mean 'tensorboard'?" in err


def test_a_damaged_run_is_refused_or_read_as_far_as_it_is_intact(capsys, tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    assert said(capsys, "descend", "x²", "--start", "x=1", "--learning-rate", "0.01", "--save", folder)[0] == 0
    file = tmp_path / "run" / "steps.arrow"
    content = bytearray(file.read_bytes())
    content[len(content) * 3 // 4] ^= 8
    file.write_bytes(content)
    for command in (["diagnose", folder], ["export", folder, str(tmp_path / "steps.csv")]):
        code, _, told = said(capsys, *command)
        assert (code, "steps.arrow is damaged" in told) == (2, True)
        assert said(capsys, *command, "--damaged", "keep")[0] == 0
    assert "rows after step" in said(capsys, "diagnose", folder, "--damaged", "keep", "--quiet")[2]
    assert "rows after step" in as_json(capsys, "diagnose", folder, "--damaged", "keep")["caveats"][0]


def test_diagnose_is_told_which_column_of_a_log_is_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,my_total\n" + "".join(f"{step},{1 / (step + 1)}\n" for step in range(30)))
    assert run(["diagnose", str(log), "--names", "loss=my_total", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] is not None
    assert run(["diagnose", str(log), "--names", "loss=nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
    assert run(["diagnose", str(log), "--names", "my_total"]) == 2
    assert "--names" in capsys.readouterr().err
