"""`downslope diagnose --report`: one HTML file that holds everything it shows, to keep, to send and to print."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import downslope as ds
from downslope.cli import _training as course
from downslope.cli._descend import method_of

_STYLE = """
:root { color-scheme: light dark; --ink: #23303b; --soft: #5b6975; --paper: #ffffff; --card: #f5f7f9; --line: #d9dee3;
  --good: #00785a; --note: #8a6200; --problem: #b92c10; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ed; --soft: #9fadb8; --paper: #14181c; --card: #1d2329;
  --line: #36404a; --good: #3fc79a; --note: #e0b04a; --problem: #ff7a5c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; font-weight: 600; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; font-weight: 600; margin: 2.5rem 0 .75rem; }
p { margin: .5rem 0; }
.soft, figcaption, footer, small { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.4rem .3rem 0; text-align: right; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid var(--line); }
.told th, .told td, .card td:first-child { text-align: left; border: 0; }
.told th, .card td:first-child { font-weight: 400; color: var(--soft); white-space: nowrap; }
.scroll { overflow-x: auto; margin-bottom: 1.5rem; }
.scroll td { white-space: nowrap; }
.card { margin: .75rem 0; padding: .6rem 1rem; background: var(--card); border-left: 4px solid var(--line);
  border-radius: 4px; break-inside: avoid; }
.card.good { border-color: var(--good); } .card.note { border-color: var(--note); }
.card.problem { border-color: var(--problem); }
.card summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
.card ul { margin: .5rem 0 .2rem; padding-left: 1.2rem; }
.card ul::before { content: "What to try"; display: block; margin-left: -1.2rem; color: var(--soft); font-size: .9rem; }
figure { margin: 1rem 0 2rem; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: system-ui, sans-serif !important; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }
@media screen and (prefers-color-scheme: dark) { figure svg { filter: invert(.92) hue-rotate(180deg); } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --card: #fff; --line: #bbb;
  --good: #00785a; --note: #8a6200; --problem: #b92c10; }
  body { max-width: none; padding: 0; font-size: 10.5pt; } h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; } }
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
_NEEDLESS = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<!--.*?-->|\sxmlns(:\w+)?=\"[^\"]*\"", re.DOTALL
)


def write(trace: ds.Trace, diagnosis: ds.Diagnosis, file: Path) -> Path:
    """Write the report on a trace, and return its file.

    Raises:
        SettingError: if the file's name does not end in .html.
        TraceError: if it cannot be written.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise ds.SettingError(f"cannot write a report into {file.name!r}", hint="the name must end in .html")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(trace, diagnosis), encoding="utf-8")
    except OSError as error:
        raise ds.TraceError(f"{file} cannot be written: {error.strerror or error}") from None
    return file


def page(trace: ds.Trace, diagnosis: ds.Diagnosis) -> str:
    """Return the report as HTML that needs no other file."""
    title = html.escape(_title(trace))
    parts = [
        f"<h1>{title}</h1><p class='soft'>{html.escape(trace.plan['read_as'])}. {html.escape(trace.outcome.value)}</p>",
        _section("What was found", _cards(diagnosis)),
        _section("What was trained" if course.is_training(trace) else "What was descended", _what(trace)),
        *(_trained(trace) if course.is_training(trace) else ()),
        _section("Pictures", _pictures(trace, diagnosis)),
        _footer(trace),
    ]
    body = "\n".join(part for part in parts if part)
    return _PAGE.format(title=title, style=_STYLE, body=body)


def _title(trace: ds.Trace) -> str:
    """Return what the report is on."""
    target = (trace.facts.get("encoding") or {}).get("target") or {}
    names = ", ".join(map(str, target.get("names", ())))
    return f"A network that predicts {names}" if names and names != "target" else str(trace.plan["read_as"])


def _section(heading: str, content: str) -> str:
    """Return a section; nothing where there is nothing in it."""
    return f"<section><h2>{heading}</h2>\n{content}\n</section>" if content else ""


def _cards(diagnosis: ds.Diagnosis) -> str:
    """Return the findings, each on a card of its own, and what could not be judged."""
    cards = [
        f"<article class='card {finding.severity.value}'>{ds.Diagnosis((finding,))._repr_html_()}</article>"
        for finding in diagnosis
    ]
    return "\n".join([*cards, ds.Diagnosis((), diagnosis.not_run)._repr_html_()])


def _what(trace: ds.Trace) -> str:
    """Return what was trained and how, as labels and texts."""
    if not course.is_training(trace):
        return _told({"Method": method_of(trace), "Steps": str(trace.last_step)})
    notes = [html.escape(note) for note in course.notes_of(trace)]
    table = _told(
        {
            "Data": _data(trace),
            "Network": course.network_of(trace),
            "Method": course.way_of(trace),
            "Seed": str(trace.plan["seed"]),
        }
    )
    return "".join(f"<p>{note}</p>" for note in notes) + table


def _data(trace: ds.Trace) -> str:
    """Return what is known of the examples, in words."""
    data, encoding = trace.facts.get("data") or {}, trace.facts.get("encoding") or {}
    if not data:
        return "not known"
    words = [f"{data['rows']} rows to train on"]
    words += [f"{data['validation_rows']} to validate"] if data.get("validation_rows") else []
    columns = [str(column["name"]) for column in encoding.get("columns", ())]
    inputs = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    words.append(f"{data['features']} inputs" + (f" from {inputs}" if columns else ""))
    target = encoding.get("target") or {}
    classes = list(target.get("categories", ()))
    named = ", ".join(map(str, classes[:12])) + (", …" if len(classes) > 12 else "")
    words.append(f"{len(classes)} classes: {named}" if classes else "numbers to predict")
    return "; ".join(words)


def _trained(trace: ds.Trace) -> list[str]:
    """Return the sections that only a training has."""
    scores = course.end_scores(trace)
    ended = _table(course.scores_table(scores), words=("at the end",)) if scores else ""
    table = course.evaluations(trace)
    cost = course.cost_of(trace)
    return [
        _section("How it went", (_table(table) if table else "") + ended),
        _section("What the record cost", f"<p>{html.escape(cost)}</p>" if cost else ""),
    ]


def _pictures(trace: ds.Trace, diagnosis: ds.Diagnosis) -> str:
    """Return every picture that the trace has something to show in, with its caption."""
    found = []
    kind = "training" if course.is_training(trace) else "descent"
    for picture in ds.draw.PICTURES if len(trace) else ():
        if picture.shows != kind:
            continue
        try:
            drawn = picture.of(trace, diagnosis)
        except ds.SettingError:
            continue
        axes = drawn[0] if isinstance(drawn, Sequence) else drawn
        caption = html.escape(picture.caption)
        found.append(f"<figure>{svg(axes.figure, str(len(found)))}<figcaption>{caption}</figcaption></figure>")
    return "\n".join(found)


def svg(figure: Any, salt: str) -> str:
    """Return a Matplotlib figure as SVG that stands in HTML: text as text, nothing that points outside.

    Args:
        figure: the figure.
        salt: what makes its names other than those of another figure on the page.
    """
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _NEEDLESS.sub("", written.getvalue()).replace("xlink:href=", "href=").strip()


def _footer(trace: ds.Trace) -> str:
    """Return which versions made the trace."""
    versions = ", ".join(f"{name} {version}" for name, version in trace.versions.items())
    return f"<footer>Made with {html.escape(versions)}.</footer>" if versions else ""


def _told(pairs: Mapping[str, str]) -> str:
    """Return labels and texts as a table."""
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in pairs.items())
    return f"<table class='told'>{rows}</table>"


def _table(columns: Mapping[str, Sequence[str]], words: Sequence[str] = ()) -> str:
    """Return columns as a table, those of words to the left."""
    left = [" style='text-align:left'" if heading in words or not heading else "" for heading in columns]

    def row(cells: Sequence[str], kind: str) -> str:
        told = (f"<{kind}{edge}>{html.escape(cell)}</{kind}>" for edge, cell in zip(left, cells, strict=True))
        return f"<tr>{''.join(told)}</tr>"

    body = "".join(row(cells, "td") for cells in zip(*columns.values(), strict=True))
    return f"<div class='scroll'><table>{row(list(columns), 'th')}{body}</table></div>"
