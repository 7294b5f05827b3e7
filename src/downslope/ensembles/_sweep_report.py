"""A sweep as a short report, in text and in HTML."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import aligned, html_table, number

if TYPE_CHECKING:
    from downslope.ensembles._compare import Race
    from downslope.ensembles._sweep import Sweep

_MOST_ROWS = 17


def sweep_sentence(found: Sweep) -> str:
    """Return what a sweep found, in a sentence or two."""
    rate, steps, bound = found.best_rate, found.steps[found.best], found.largest_stable_rate
    if math.isfinite(steps):
        did = f"after {_counted(steps)} the gradient is below {found.tolerance:g}"
    else:
        did = f"the value is {number(found.values[found.best])} after {_counted(found.traces[found.best].last_step)}"
    best = f"The best of {len(found.rates)} rates is α = {rate:.6g}: {did}."
    if bound is None:
        return best
    return f"{best} The largest stable rate is {bound:.6g}, from the curvature where it ended."


def sweep_as_text(found: Sweep) -> str:
    """Return a sweep as aligned lines, a middle choice of its rates."""
    rows = sweep_rows(found)
    return as_text(
        f"Read as  {found.objective.read_as}\nMethod   {found.traces[0].plan['method']}", rows, found.sentence
    )


def sweep_as_html(found: Sweep) -> str:
    """Return a sweep as an HTML table."""
    return as_html(found.objective.read_as, sweep_rows(found), found.sentence)


def sweep_rows(found: Sweep) -> list[tuple[str, ...]]:
    """Return rates, steps, end values and verdicts as rows of text, the headings first; best and bound are marked."""
    count = len(found.rates)
    shown = set(np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).round().astype(int)))
    bound = found.largest_stable_rate
    at_bound = None
    if bound is not None:
        near = int(np.argmin(np.abs(found.rates - bound)))
        at_bound = near if abs(found.rates[near] / bound - 1) < 1e-9 else None
    shown |= {found.best} | ({at_bound} if at_bound is not None else set())
    rows = [("learning rate", "steps", found.objective.name + " at the end", "verdict", "")]
    for place in sorted(shown):
        mark = "◀ best" if place == found.best else "◀ largest stable" if place == at_bound else ""
        rows.append(
            (
                f"{found.rates[place]:.6g}",
                _reached(float(found.steps[place])),
                _reached(float(found.values[place])),
                found.verdicts[place].replace("_", " "),
                mark,
            )
        )
    return rows


def race_rows(found: Race) -> list[tuple[str, ...]]:
    """Return methods, rates, steps, end values and verdicts as rows of text, the headings first, the best first."""
    rows = [("method", "learning rate", "steps", found.objective.name + " at the end", "verdict")]
    for lane in found.entries:
        rate = "" if lane.learning_rate is None else f"{lane.learning_rate:.4g}"
        verdict = lane.diagnosis[0].symptom.replace("_", " ")
        rows.append((lane.name, rate, _reached(lane.steps), _reached(lane.value), verdict))
    return rows


def as_text(head: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Return a head, a table and a sentence as text."""
    words = {place for place, heading in enumerate(rows[0]) if heading in ("method", "verdict", "")}
    return "\n".join([head, "", *aligned(rows, words), "", sentence])


def as_html(caption: str, rows: list[tuple[str, ...]], sentence: str) -> str:
    """Return a table and a sentence as HTML."""
    return f"{html_table(rows, caption)}<p>{html.escape(sentence)}</p>"


def _reached(value: float) -> str:
    """Return what a descent came to, a dash for what it never did."""
    return number(value) if math.isfinite(value) else "–"


def _counted(steps: float) -> str:
    return "1 step" if steps == 1 else f"{int(steps)} steps"
