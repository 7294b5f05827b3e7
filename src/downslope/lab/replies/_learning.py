"""Verbs of the lessons on learning: a line through data, linked rates, gradients through a graph, repaired runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope._types import plain
from downslope.lab.replies._descent import common_box, coordinates_of, that_came_lower, verdict_reply
from downslope.lab.replies._formula_verbs import grid_reply, start_of
from downslope.lab.replies._network_choices import setup_of
from downslope.lab.replies._request import Box, PageRequest, RequestError, plan_of, program, rounded, rounded_number
from downslope.lab.replies._training import layer_name

_POINTS = (2, 12)  # of a table that is typed
_WEIGHTS, _OFFSETS = 41, 41  # positions of a line's weight and offset
_LINE_NAMES = ("w", "b")
_CHAIN_POSITIONS = 41
_CHAIN_SPANS = ((-3.0, 3.0), (0.2, 3.0), (1.0, 5.0))  # of x, tried in turn where none is sent
_ROWS = 121  # of a path
_DIGITS = 6
_NODES = 60  # of a graph; more cannot be told apart
_TRAINING_STEPS = 500  # of a training that is waited for as a whole
_PARTS = 8  # moments of a training, at least


def line(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the loss of a line y = w·x + b through typed points, with its slopes, at a lattice of lines.

    The loss is also spelled as a formula, which the verbs `descend` and `steps` take.
    """
    x, y = _typed_points(PageRequest(fields).text("points"))
    formula = _loss_formula(x, y)
    objective = ds.objective(formula)
    weight, offset = np.polyfit(x, y, 1)
    box = PageRequest(fields).box("box", _LINE_NAMES) or _box_of_lines(x, float(weight), float(offset))
    weights, offsets = (
        np.linspace(*box[name], count) for name, count in zip(_LINE_NAMES, (_WEIGHTS, _OFFSETS), strict=True)
    )
    heights, by_weight, by_offset = _lattice(objective, weights, offsets)
    return {
        "formula": formula,
        "x": x.tolist(),
        "y": y.tolist(),
        "best": {"w": plain(float(f"{weight:.9g}")), "b": plain(round(float(offset), 9))},
        "box": {name: list(span) for name, span in box.items()},
        "w": rounded(weights),
        "b": rounded(offsets),
        "loss": [rounded(row, _DIGITS) for row in heights],
        "by_w": [rounded(row, _DIGITS) for row in by_weight],
        "by_b": [rounded(row, _DIGITS) for row in by_offset],
    }


def _typed_points(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the abscissae and ordinates of points such as "50 100; 100 200"."""
    points = [_typed_point(row) for row in text.replace("\n", ";").split(";") if row.strip()]
    least, most = _POINTS
    if not least <= len(points) <= most:
        hint = "write two numbers a point: 50 100; 100 200; 150 300"
        raise ds.DataError(f"{len(points)} points were given; a line needs {least} to {most}", hint=hint)
    x, y = np.array(points).T
    if np.ptp(x) == 0:
        raise ds.DataError("all points have the same first number, so that any slope suits them")
    return x, y


def _typed_point(row: str) -> tuple[float, float]:
    """Return two numbers; a comma within a number is a decimal comma."""
    pieces = row.replace("−", "-").split()
    if len(pieces) == 1:
        pieces = pieces[0].split(",")
    try:
        first, second = (float(piece.strip(",").replace(",", ".")) for piece in pieces)
    except ValueError:
        hint = "write each point as two numbers, and semicolons between points: 50 100; 100 200"
        raise ds.DataError(f"{row.strip()[:40]!r} is not a point", hint=hint) from None
    if not (math.isfinite(first) and math.isfinite(second)):
        raise ds.DataError(f"{row.strip()[:40]!r} is not finite")
    return first, second


def _loss_formula(x: np.ndarray, y: np.ndarray) -> str:
    """Return the mean square of the distances from a line as a formula of its weight and its offset."""
    terms = " + ".join(f"({_figure(up)} - {_figure(across)}·w - b)²" for across, up in zip(x, y, strict=True))
    return f"Loss(w, b) = ({terms})/{len(x)}"


def _figure(value: float) -> str:
    text = f"{value:.12g}"
    return f"({text})" if text.startswith("-") else text


def _box_of_lines(x: np.ndarray, weight: float, offset: float) -> Box:
    """Return ranges of weight and offset around the best line, with the flat line through 0 among them."""
    span = max(abs(weight), abs(offset) / float(np.abs(x).max()), 1e-6)
    reach = span * float(np.abs(x).mean())
    return {
        "w": (min(0.0, weight - span), max(0.0, weight + span)),
        "b": (min(0.0, offset - reach), max(0.0, offset + reach)),
    }


def _lattice(objective: ds.Objective, weights: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the loss and its two slopes, each of shape (offsets, weights)."""
    numeric = objective.numeric
    assert numeric is not None  # every objective of the lab is a formula
    order = [_LINE_NAMES.index(name) for name in numeric.variables]
    shape = (len(offsets), len(weights))
    heights, slopes = np.empty(shape), np.empty((2, *shape))
    for row, offset in enumerate(offsets):
        for column, weight in enumerate(weights):
            line = (float(weight), float(offset))
            heights[row, column], gradient = numeric.value_and_gradient([line[index] for index in order])
            slopes[order, row, column] = gradient
    return heights, slopes[0], slopes[1]


def chain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return y = f(u) and u = g(x) at positions of x, each with its rate, and the rate of the whole."""
    request = PageRequest(fields)
    outer, inner = _two_formulas(request.text("formula"))
    linked = ds.chain(outer, inner)
    if len(linked.links) != 2 or len(linked.inner.variables) != 1 or len(linked.outer.variables) != 1:
        raise ds.FormulaError("each of the two formulas has one variable", hint="y = sin(u); u = x²")
    x, (u,) = linked.variable, linked.outer.variables
    y = linked.outer.name or "y"
    span = (request.box("box", (x,)) or {x: _span_of_chain(linked)})[x]
    rows = [_chain_row(linked, float(position)) for position in np.linspace(*span, _CHAIN_POSITIONS)]
    facts = linked.as_dict()
    columns = dict(zip(("x", "u", "y", "inner", "outer", "whole"), zip(*rows, strict=True), strict=True))
    return {
        "names": {"x": x, "u": u, "y": y},
        "formulas": facts["formulas"],
        "derivatives": facts["derivatives"],
        "derivative": facts["derivative"],
        "rule": facts["rule"],
        **{name: rounded(column, _DIGITS) for name, column in columns.items()},
    }


def _two_formulas(text: str) -> tuple[str, str]:
    formulas = [formula.strip() for formula in text.split(";") if formula.strip()]
    if len(formulas) != 2:
        raise ds.FormulaError(
            f"{len(formulas)} formulas were given; a chain needs two",
            hint="write y = f(u), a semicolon, and u = g(x): y = sin(u); u = x²",
        )
    return formulas[0], formulas[1]


def _chain_row(linked: ds.Chain, position: float) -> tuple[float, ...]:
    """Return x, u, y, du/dx, dy/du and dy/dx; NaN where there is none."""
    outer, inner = linked.links

    def at(formula: ds.Formula, value: float) -> float:
        try:
            with np.errstate(all="ignore"):
                return float(formula(**dict.fromkeys(formula.variables, value)))
        except (ArithmeticError, ValueError):
            return math.nan

    u = at(linked.inner, position)
    rates = at(inner.derivative, position), at(outer.derivative, u)
    return position, u, at(linked.outer, u), *rates, at(linked.product, position)


def _span_of_chain(linked: ds.Chain) -> tuple[float, float]:
    """Return a range of x at most of whose positions both formulas have a value."""

    def missing(span: tuple[float, float]) -> int:
        return sum(not math.isfinite(_chain_row(linked, float(x))[2]) for x in np.linspace(*span, 13))

    return min(_CHAIN_SPANS, key=missing)


def backprop(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a formula as a graph: each node with its value and its gradient, and the value after a step downhill.

    The step changes the variables that `moved` names, by `rate` times their gradients.
    """
    request = PageRequest(fields)
    objective = request.objective
    point = {name: float(value) for name, value in request.point("at", objective.names or ()).items()}
    result = ds.backprop(request.text("formula"), at=point)
    if len(result.nodes) > _NODES:
        raise ds.FormulaError(f"this formula has {len(result.nodes)} nodes; the lab draws up to {_NODES}")
    rate, moved = request.number_or_none("rate") or 0.0, request.names("moved")
    after = point | {name: point[name] - rate * float(result.gradient[name]) for name in moved if name in point}
    names = {node.label: node.name for node in result.nodes}
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "nodes": [
            {
                "name": node.name,
                "role": node.role,
                "value": rounded_number(node.value),
                "gradient": rounded_number(node.gradient),
            }
            for node in result.nodes
        ],
        "edges": [
            {"source": names[edge.source], "target": names[edge.target], "local": rounded_number(edge.local)}
            for edge in result.edges
        ],
        "after": {name: rounded_number(after[name]) for name in moved if name in after},
        "value_after": rounded_number(ds.backprop(request.text("formula"), at=after).nodes[-1].value),
    }


def mend(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a descent as it is and as a prescription mends it, both with what a diagnosis says.

    A request without a start begins at the start that suits the formula. Without a sickness, or a remedy that helps,
    there is one run only.
    """
    request = PageRequest(fields)
    objective = request.objective
    assert objective.formula is not None
    plan = plan_of(PageRequest({**fields, "start": fields.get("start") or start_of(objective.formula)}))
    prescription = ds.prescribe(plan, progress=False)
    mended = prescription.mended
    runs = [_run(plan, prescription.diagnosis)]
    if isinstance(mended, ds.Plan):
        runs.append(_run(mended))
    over = request.over(objective)
    traces = [trace for trace, _, _ in runs]
    # Of paths that did not come lower, the last one decides.
    box = request.box("box", over) or common_box(that_came_lower(traces) or traces[-1:], over, objective)
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "over": list(over),
        "grid": grid_reply(objective, over, box, plan.start),
        "runs": [_run_reply(trace, plan, diagnosis, over) for trace, plan, diagnosis in runs],
        "verdict": prescription.verdict,
    }


_Run = tuple[ds.Trace, ds.Plan, ds.Diagnosis]


def _run(plan: ds.Plan, diagnosis: ds.Diagnosis | None = None) -> _Run:
    trace = ds.descend(plan, progress=False)
    return trace, plan, diagnosis or ds.diagnose(trace)


def _run_reply(trace: ds.Trace, plan: ds.Plan, diagnosis: ds.Diagnosis, over: tuple[str, ...]) -> dict[str, Any]:
    rows = evenly_spread(len(trace.columns["step"]), _ROWS)
    index = {name: position for position, name in enumerate(trace.coordinate_names)}
    points, gradients = coordinates_of(trace)[rows], np.asarray(trace.gradients)[rows]
    return {
        "start": {name: plain(float(value)) for name, value in plan.start.items()},
        "method": plan.method.name,
        "rate": plain(plan.learning_rate) if plan.method.takes_rate else None,
        "path": {name: rounded(points[:, index[name]]) for name in over},
        "gradients": {name: rounded(gradients[:, index[name]]) for name in over},
        "values": rounded(trace.columns["value"][rows]),
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "end": {name: plain(float(value)) for name, value in trace.end.items()},
        "value": plain(trace.value),
        "value_text": number(trace.value),
        "findings": verdict_reply(diagnosis)["findings"],
        "python": program("trace", plan.as_python(), "trace", "ds.diagnose(trace)"),
    }


def trained(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a short training of a network as a whole: its loss, and the gradient that reaches each layer.

    The request has the fields of `train`.
    """
    if PageRequest(fields).steps > _TRAINING_STEPS:
        raise RequestError(f"A training in one reply has up to {_TRAINING_STEPS} steps.")
    setup = setup_of(fields).changed(probe_every=0, evaluate_every=max(1, PageRequest(fields).steps // _PARTS))
    training = setup.train(progress=False)
    trace = training.trace
    layers = trace.layers
    depth = len(trace.layer_names)
    moments = layers["step"].to_numpy()[::depth]
    gradients = layers["activation_gradient_norm"].to_numpy().reshape(-1, depth)
    return {
        "layers": [layer_name(name, index) for index, name in enumerate(trace.layer_names)],
        "steps": [int(step) for step in moments],
        "gradients": [rounded(row, _DIGITS) for row in gradients],
        "metrics": {name: rounded(column, _DIGITS) for name, column in _metrics(trace).items()},
        "findings": verdict_reply(ds.diagnose(trace))["findings"],
        "python": program("training", setup_of(fields).as_python(), "ds.diagnose(training.trace)"),
    }


def _metrics(trace: ds.Trace) -> Mapping[str, np.ndarray]:
    return {name: np.asarray(column, float) for name, column in trace.metrics.items()}
