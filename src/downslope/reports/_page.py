"""A run as one self-contained HTML file, to keep, to send and to print."""

from __future__ import annotations

import html
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downslope import draw
from downslope._errors import SettingError, TraceError
from downslope._files import refuse_unwritable, written
from downslope.diagnosis import Diagnosis, diagnose
from downslope.reports._summary import Summary, summary
from downslope.trace import HasTrace, Trace

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
.facts th, .facts td, .card td:first-child { text-align: left; border: 0; }
.facts th, .card td:first-child { font-weight: 400; color: var(--soft); white-space: nowrap; }
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


def report(
    trace: Trace | HasTrace, file: str | os.PathLike[str] | None = None, diagnosis: Diagnosis | None = None
) -> str:
    """Return a report on a run as self-contained HTML, and write it to a file if one is given.

    Args:
        trace: the trace of a descent or a training, or a result that holds one, such as a Training.
        file: the file to write; its name must end in .html.
        diagnosis: the findings to show; those of `diagnose` if None.

    Raises:
        SettingError: for something that is no trace, or if the file's name does not end in .html.
        TraceError: for a file that cannot be written.

    >>> import downslope as ds
    >>> "<h2>Findings</h2>" in report(ds.descend("x²", {"x": 1.0}, learning_rate=0.1, steps=50))
    True
    """
    target = None if file is None else _file_of(file)
    run = summary(trace)
    page = _page(run, diagnose(run.trace) if diagnosis is None else diagnosis)
    if target is not None:
        with written(target, TraceError) as partial:
            partial.write_text(page, encoding="utf-8")
    return page


def _file_of(file: str | os.PathLike[str]) -> Path:
    """Return the path of a report, checked."""
    if not isinstance(file, str | os.PathLike) or Path(file).suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"cannot write a report into {str(file)!r}", hint="the name must end in .html")
    refuse_unwritable(Path(file), TraceError)
    return Path(file)


def _page(run: Summary, diagnosis: Diagnosis) -> str:
    """Return the report."""
    trace = run.trace
    title = html.escape(_title(trace))
    read_as = html.escape(str(trace.plan.get("read_as", "descent")))
    parts = [
        f"<h1>{title}</h1><p class='soft'>{read_as}. {html.escape(trace.ending)}</p>",
        _section("Findings", _cards(diagnosis)),
        _section("Training" if run.is_training else "Descent", _setup(run)),
        _section("Evaluations", _scored(run)),
        _section("Cost of the record", f"<p>{html.escape(run.cost)}</p>" if run.is_training and run.cost else ""),
        _section("Pictures", _pictures(run, diagnosis)),
        _footer(trace),
    ]
    body = "\n".join(part for part in parts if part)
    return _PAGE.format(title=title, style=_STYLE, body=body)


def _title(trace: Trace) -> str:
    """Return the title of the report."""
    # A training on arrays has no columns; its target is called "target", which says no more than the plan does.
    target = (trace.facts.get("encoding") or {}).get("target") or {}
    names = ", ".join(map(str, target.get("names", ())))
    return (
        f"A network that predicts {names}" if names and names != "target" else str(trace.plan.get("read_as", "descent"))
    )


def _section(heading: str, content: str) -> str:
    """Return a section; nothing where there is nothing in it."""
    return f"<section><h2>{heading}</h2>\n{content}\n</section>" if content else ""


def _cards(diagnosis: Diagnosis) -> str:
    """Return the findings, each on a card of its own, and the checks that could not run."""
    cards = [
        f"<article class='card {finding.severity.value}'>{Diagnosis((finding,))._repr_html_()}</article>"
        for finding in diagnosis
    ]
    return "\n".join([*cards, Diagnosis((), diagnosis.not_run)._repr_html_()])


def _setup(run: Summary) -> str:
    """Return data, network and method as labels and texts."""
    if not run.is_training:
        return _labelled({"Method": run.method, "Steps": str(run.trace.steps_taken)})
    table = _labelled(
        {
            "Data": run.data or "not known",
            "Network": run.network,
            "Method": run.method,
            "Seed": str(run.trace.plan.get("seed", "")),
        }
    )
    return "".join(f"<p>{html.escape(note)}</p>" for note in run.notes) + table


def _scored(run: Summary) -> str:
    """Return the evaluations and the scores at the end as tables."""
    tables = [
        (run.evaluations, ()),
        (run.score_table, list(run.score_table)[:1]),
        (run.class_table, ("class",)),
        (run.confusion_table, ("class",)),
    ]
    return "".join(_table(table, words) for table, words in tables if table)


def _pictures(run: Summary, diagnosis: Diagnosis) -> str:
    """Return every picture that the trace has something to show in, with its caption."""
    trace, figures = run.trace, []
    kind = "training" if run.is_training else "descent"
    for picture in draw.PICTURES if len(trace) else ():
        if picture.shows != kind:
            continue
        try:
            axes = picture.of(trace, diagnosis)
        except SettingError:  # the trace lacks what this picture draws
            continue
        first = axes[0] if isinstance(axes, Sequence) else axes
        caption = html.escape(picture.caption)
        figures.append(f"<figure>{svg(first.figure, str(len(figures)))}<figcaption>{caption}</figcaption></figure>")
    return "\n".join(figures)


def svg(figure: Any, salt: str) -> str:
    """Return a Matplotlib figure as SVG that stands in HTML: text as text, nothing that points outside.

    Args:
        figure: the figure.
        salt: what makes its names other than those of another figure on the page.
    """
    from matplotlib import rc_context

    written = io.StringIO()
    # Names of clip paths are hashes: with a salt of its own, no figure refers to the paths of another on the page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    return _NEEDLESS.sub("", written.getvalue()).replace("xlink:href=", "href=").strip()


def _footer(trace: Trace) -> str:
    """Return the versions that made the trace."""
    versions = ", ".join(f"{name} {version}" for name, version in trace.versions.items())
    return f"<footer>Made with {html.escape(versions)}.</footer>" if versions else ""


def _labelled(pairs: Mapping[str, str]) -> str:
    """Return labels and texts as a table."""
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in pairs.items())
    return f"<table class='facts'>{rows}</table>"


def _table(columns: Mapping[str, Sequence[str]], words: Sequence[str] = ()) -> str:
    """Return columns as a table, those of words to the left."""
    left = [" style='text-align:left'" if heading in words or not heading else "" for heading in columns]

    def row(cells: Sequence[str], kind: str) -> str:
        texts = (f"<{kind}{edge}>{html.escape(cell)}</{kind}>" for edge, cell in zip(left, cells, strict=True))
        return f"<tr>{''.join(texts)}</tr>"

    body = "".join(row(cells, "td") for cells in zip(*columns.values(), strict=True))
    return f"<div class='scroll'><table>{row(list(columns), 'th')}{body}</table></div>"
