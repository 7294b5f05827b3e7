"""What `import downslope` gives, and what it costs."""

from __future__ import annotations

import doctest
import gc
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import downslope as ds

HEAVY = (
    "jax",
    "sympy",
    "scipy.special",
    "scipy.optimize",
    "polars",
    "matplotlib",
    "pint",
    "optax",
    "lark",
    "numpy.ma",
    "numpy.polynomial",
)


def loaded_after(code: str) -> set[str]:
    """Return which of the heavy libraries a fresh process has loaded after running some code."""
    report = f"{code}\nimport sys\nprint('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().splitlines()[-1].removeprefix("loaded:").split())


def test_every_public_name_is_there_and_sorted() -> None:
    assert list(ds.__all__) == sorted(ds.__all__)
    for name in ds.__all__:
        assert getattr(ds, name) is not None
    assert set(ds.__all__) <= set(dir(ds))


@pytest.mark.parametrize(
    "folder",
    [
        "descent",
        "diagnosis",
        "draw",
        "backpropagation",
        "ensembles",
        "fitting",
        "formulas",
        "networks",
        "remedies",
        "tables",
        "trace",
    ],
)
def test_folders_give_what_they_say(folder: str) -> None:
    module = importlib.import_module(f"downslope.{folder}")
    assert list(module.__all__) == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_a_verb_is_never_hidden_by_a_folder() -> None:
    for module in pkgutil.iter_modules(ds.__path__):
        assert module.name not in ds.__all__ or module.name in ("draw", "lab"), module.name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ascend'"):
        ds.ascend  # noqa: B018 - looking it up is the test


def test_public_types_print_where_people_find_them() -> None:
    ds.descend("x²", {"x": 1.0}, steps=1)
    assert repr(ds.Trace) == "<class 'downslope.Trace'>"
    for name in ds.__all__:
        if name not in ("draw", "lab"):
            assert getattr(ds, name).__module__ == "downslope", name


def test_examples_of_public_classes_run() -> None:
    """The finder of doctests passes over what says that it is from another module."""
    for name in ds.__all__:
        value = getattr(ds, name)
        if isinstance(value, type):
            written_in = next((part.__globals__ for part in vars(value).values() if hasattr(part, "__globals__")), {})
            for example in doctest.DocTestFinder().find(value, name, module=False, globs={**vars(ds), **written_in}):
                assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0, example.name


def test_importing_loads_nothing_heavy() -> None:
    assert loaded_after("import downslope") == set()


def test_help_loads_nothing_heavy() -> None:
    assert loaded_after("from downslope.cli._main import run\nrun(['--help'])") == set()
    assert loaded_after("from downslope.cli._main import run\nrun(['descend', '--help'])") == set()


def test_a_descent_loads_only_what_it_needs() -> None:
    code = "from downslope.cli._main import run\nrun(['descend', 'x²', '--start', 'x=1', '--json'])"
    assert loaded_after(code) == set()


def test_a_fit_of_a_small_table_loads_no_part_of_scipy() -> None:
    table, equation = Path(ds.__file__).parent / "examples" / "coffee.csv", "temperature = room + excess×e^(-k×minutes)"
    code = f"from downslope.cli._main import run\nrun(['fit', {str(table)!r}, {equation!r}, '--json'])"
    assert loaded_after(code) & {"jax", "sympy", "scipy.special", "scipy.optimize", "matplotlib"} == set()


def test_bad_input_does_not_wait_for_jax() -> None:
    assert "jax" not in loaded_after("from downslope.cli._main import run\nrun(['descend', 'x² +', '--start', 'x=1'])")


def test_no_text_is_run_as_code() -> None:
    source = Path(ds.__file__).parent
    for file in source.rglob("*.py"):
        # Units of work travel as bytes to workers that run what they are handed, and only there.
        travels = file == source / "executors" / "_units.py"
        for word in ("eval(", "exec(", "sympify(", "parse_expr(", *(() if travels else ("pickle",))):
            for line in file.read_text(encoding="utf-8").splitlines():
                code = line.split("#")[0].replace(f"_{word}", "").replace(f".{word}", "")
                code = code.replace("cloudpickle", "")  # another library
                assert word not in code or '"""' in line or "pickled" in line, f"{file.name}: {line.strip()}"


def test_every_built_in_layer_is_public_and_has_a_place_in_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer is named in the `__all__` of its file alone; the stub, the reference and errors read it from there."""
    from downslope.networks.layers._layer import built_in

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "website"))
    import reference

    gc.collect()  # an example of a docstring defines a layer, in a module of the library
    assert set(built_in()) <= set(ds.__all__)
    assert set(built_in()) <= {name for group in reference.GROUPS for name in group.names}
    with pytest.raises(ds.SettingError) as caught:
        ds.network(3, [4])
    assert all(name in (caught.value.hint or "") for name in built_in())


def test_commands_on_formulas_load_neither_jax_nor_sympy() -> None:
    commands = [
        ["descend", "x² - 4x + 5", "--start", "x=0"],
        ["slope", "x² - 4x + 5", "--at", "x=1"],
        ["derive", "(x² + 1)/x"],
        ["backprop", "L = (y - w·x)²", "--at", "w=0.5,x=2,y=1.25"],
    ]
    code = (
        f"import contextlib, sys, downslope.cli\nfor words in {commands!r}:\n    sys.argv = ['downslope', *words]\n"
        "    with contextlib.suppress(SystemExit):\n        downslope.cli.main()"
    )
    assert loaded_after(code) == set()
