"""`show`: the lab in a notebook cell. Its page talks to the kernel through messages: no port, no host name.

    the page in its frame ─▶ the page of the notebook ─▶ the kernel ─▶ a process of the lab
       js/notebook/frame.js      js/notebook/host.js         here

The kernel computes in a process of its own, as the lab does, so that a formula can neither block nor end the kernel.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import html
import io
import json
import re
import threading
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode

import downslope as ds
from downslope.lab._messages import LIMITS, Reply, Tables, UploadedFile, data_reply, error_reply
from downslope.lab._modules import joined
from downslope.lab._standalone import bare_page, static_texts, styles
from downslope.lab.replies import lists_of

_LEAST_HEIGHT = 100  # pixels
_METHOD, _STEPS = "gradient descent", 100
_VISITOR = re.compile(r"[\w-]{1,64}")


class LabWidget(Protocol):
    """The lab in a notebook, a widget of ipywidgets.

    Args:
        page: the name of its page.
        height: its height in pixels; None for the height of the page.
    """

    page: str
    height: int | None

    def close(self) -> None:
        """Remove the widget from the notebook."""


def show(
    shown: str | ds.Plan | ds.Trace | ds.Fit | None = None,
    *,
    page: str | None = None,
    start: Mapping[str, float] | None = None,
    learning_rate: float | None = None,
    method: str = _METHOD,
    steps: int = _STEPS,
    runs: str | Path = ".",
    height: int | None = None,
) -> LabWidget:
    """Show the lab in a cell of a notebook: Jupyter, Colab, VS Code, marimo. It needs the extra `notebook`.

    Args:
        shown: a formula, a plan, a descent or a fit; None for an empty page.
        page: the page, "descend", "learn", "fit", "network" or "runs"; None to choose by `shown`.
        start: the start of a formula's descent; None to choose one.
        learning_rate: its learning rate; None to choose one.
        method: its method.
        steps: its maximum number of steps.
        runs: folder to search for saved runs (3 levels).
        height: height in pixels; None for that of the page.

    Returns:
        The widget, which the notebook shows if it is the last value of a cell.

    Raises:
        MissingExtraError: if the extra `notebook` is not installed.
        SettingError: if what is shown has no page or another one, or a setting is out of range.
        FormulaError: if the formula cannot be read.
    """
    widget_class = _widget_class()
    folder = Path(runs)
    if not folder.is_dir():
        raise ds.SettingError(f"there is no folder {str(runs)!r} to look for runs in")
    if height is not None and (not isinstance(height, int) or isinstance(height, bool) or height < _LEAST_HEIGHT):
        raise ds.SettingError(f"a height is a whole number of pixels from {_LEAST_HEIGHT} on, not {height!r}")
    if isinstance(shown, str):
        choices = {"start": start, "learning_rate": learning_rate, "method": method, "steps": steps}
        name, state, table = "descend", _state_of_formula(shown, **choices), None
    elif (start, learning_rate, method, steps) != (None, None, _METHOD, _STEPS):
        raise ds.SettingError("start, learning_rate, method and steps belong to a formula", hint='show("x²", start=…)')
    else:
        name, state, table = _state_of(shown)
    if page is not None and page not in _page_names():
        raise ds.SettingError(f"there is no page {page!r}", hint=f"one of {', '.join(_page_names())}")
    if shown is not None and page not in (None, name):
        raise ds.SettingError(f"this is shown on the page {name!r}, not on {page!r}", hint="leave out the page")
    office = _office(folder.resolve())
    if table is not None:
        state = {"table": office.tables.keep(table), "name": table.name, **state}
    return widget_class(office, page or name, state, height)


def _page_names() -> list[str]:
    from downslope.lab.server._pages import PAGES

    return [page.name for page in PAGES]


# What is shown, as the state of a page.


def _state_of_formula(
    formula: str, *, start: Mapping[str, float] | None, learning_rate: float | None, method: Any, steps: int
) -> dict[str, str]:
    """Return the state of the page Descend for a formula, which is checked here: an error belongs below the cell."""
    objective = ds.objective(formula)
    state = {"f": formula}
    if start is not None or learning_rate is not None or (method, steps) != (_METHOD, _STEPS):
        some = start if start is not None else dict.fromkeys(objective.names or (), 1.0)
        rate: dict[str, Any] = {} if learning_rate is None else {"learning_rate": learning_rate}
        plan = ds.plan(objective, some, method=method, steps=steps, **rate)
        state |= {"method": plan.method.name, "steps": str(plan.steps)}
        state |= {} if start is None else {"at": _point(plan.start)}
        state |= {} if learning_rate is None else {"rate": repr(float(plan.learning_rate))}
    return state


def _state_of(shown: object) -> tuple[str, dict[str, str], UploadedFile | None]:
    """Return the page, its state, and the table that it needs.

    Raises:
        SettingError: for what no page shows.
    """
    if shown is None:
        return "descend", {}, None
    if isinstance(shown, ds.Fit):
        return "fit", *_state_of_fit(shown)
    if isinstance(shown, ds.Plan) and shown.objective.formula is not None and shown.batches is None:
        return "descend", _state_of_plan(shown.description, shown.start), None
    if isinstance(shown, ds.Trace) and not shown.is_training and _is_formula(shown.plan):
        return "descend", _state_of_plan(shown.plan, shown.start), None
    raise ds.SettingError(
        f"the lab shows a formula, its plan or descent, or a fit, not {type(shown).__name__}",
        hint='Save a training, and show its run: ds.lab.show(page="runs", runs=folder).',
    )


def _state_of_plan(plan: Any, start: Any) -> dict[str, str]:
    """Return the state of the page Descend for a plan as plain data."""
    state = {
        "f": plan["objective"]["read_as"],
        "at": _point(start),
        "method": plan["method"],
        "steps": str(plan["steps"]),
    }
    return state if plan["learning_rate"] is None else {**state, "rate": repr(plan["learning_rate"])}


def _is_formula(plan: Any) -> bool:
    """Return whether the objective of a plan as plain data is a formula and nothing else."""
    about = plan["objective"]
    try:
        return not about["columns"] and list(ds.objective(about["read_as"]).names or ()) == list(about["names"])
    except ds.DownslopeError:
        return False


def _state_of_fit(fit: ds.Fit) -> tuple[dict[str, str], UploadedFile]:
    """Return the state of the page Fit, and the rows of a fit as a file."""
    import polars

    written = io.BytesIO()
    polars.DataFrame({name: list(fit.data[name]) for name in fit.data}).write_csv(written)
    plan: Any = fit.trace.plan
    method = plan.method.name if isinstance(plan, ds.Plan) else plan["method"]
    state = {"f": fit.model.equation.text, "method": method, "loss": fit.loss}
    return state, UploadedFile("fit.csv", written.getvalue())


def _point(start: Any) -> str:
    return ",".join(f"{name}={float(value)!r}" for name, value in dict(start).items())


# The page in its frame.


@functools.cache
def page_text(name: str, query: str) -> str:
    """Return a page as one text, which loads nothing.

    Args:
        name: the name of the page.
        query: its state, as the query of an address.
    """
    sources = {path: content for path, content in static_texts().items() if path.endswith(".js")}
    scripts = [sources["vendor/d3.min.js"], joined(sources, "js/notebook/frame.js", f"js/{name}/main.js")]
    text = bare_page(name, styles("style", name, "notebook"), scripts, lists=lists_of)
    tail = "".join(f"<script>{script}</script>\n" for script in scripts)
    text = text.replace("<html", f'<html data-query="{html.escape(query)}"', 1)
    return text.replace("<body", '<body class="framed"', 1).replace("</body>", f"{tail}</body>", 1)


# The kernel's side of the messages.


class Office:
    """The processes that compute for the widgets of a kernel, on an event loop of their own.

    The kernel's loop may be busy with a cell, or be another one in each notebook.

    Args:
        runs: the folder to search for saved runs.
    """

    def __init__(self, runs: Path) -> None:
        from downslope.lab import replies
        from downslope.lab.processes._pool import Workers

        self.tables = Tables(LIMITS.tables)
        self._tasks: dict[tuple[str, int], asyncio.Future[None]] = {}
        limits = replace(LIMITS, warm=1)  # a kernel has one visitor, and often little memory
        warm = "downslope.lab.replies._descent:warm"
        self._loop = asyncio.new_event_loop()
        self._workers = Workers(replies.VERBS, limits, streams=replies.STREAMS, warm=warm, runs=runs)
        threading.Thread(target=self._run, daemon=True, name="downslope-widgets").start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._workers.open)
        self._loop.run_forever()

    def close(self) -> None:
        """End the processes and the loop."""
        self._loop.call_soon_threadsafe(self._workers.close)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def take(self, message: Mapping[str, Any], widget: Any) -> None:
        """Act on a message of a view: `ask`, `stop`, or `gone` with all that it waits for."""
        self._loop.call_soon_threadsafe(self._take, message, widget)

    def _take(self, message: Mapping[str, Any], widget: Any) -> None:
        view, number = str(message.get("view")), message.get("number", 0)
        if message.get("kind") == "ask":
            task = self._loop.create_task(self._answer(message, widget))
            self._tasks[view, number] = task
            task.add_done_callback(lambda _: self._tasks.pop((view, number), None))
            return
        for key in [(view, number)] if message.get("kind") == "stop" else list(self._tasks):
            if key[0] == view and key in self._tasks:
                self._tasks[key].cancel()

    async def _answer(self, message: Mapping[str, Any], widget: Any) -> None:
        """Send the reply to a request, piece by piece where it is a stream."""
        address = {"kind": "reply", "view": message["view"], "number": message["number"]}
        async with contextlib.aclosing(self._replies(message)) as replies:
            async for reply in replies:
                body, is_piece = reply.body.decode(), reply.is_piece
                widget.send({**address, "status": reply.status, "body": body, "is_piece": is_piece})

    async def _replies(self, message: Mapping[str, Any]) -> AsyncGenerator[Reply]:
        """Yield the replies to a request of the page."""
        path, _, query = str(message.get("path")).partition("?")
        body = message.get("body")
        if path == "alive":
            yield Reply(204, b"")
        elif path.startswith("static/") and path.removeprefix("static/") in static_texts():
            yield Reply(200, static_texts()[path.removeprefix("static/")].encode())
        elif path == "table":
            name = parse_qs(query).get("name", ["table.csv"])[0]
            yield self._kept(name, base64.b64decode(str(body)))
        elif path in self._workers.verbs or path in self._workers.streams:
            request, visitor = json.loads(str(body)), str(message.get("visitor"))
            key = request.get("table")
            table = None if key is None else self.tables.get(str(key))
            if key is not None and table is None:
                yield error_reply(410, "TableGoneError", "The kernel does not have this file, or no longer has it.")
                return
            visitor = visitor if _VISITOR.fullmatch(visitor) else "a"
            async for reply in self._workers.ask(visitor, path, str(body).encode(), table):
                yield reply
        else:
            yield error_reply(404, "RequestError", "There is nothing here.")

    def _kept(self, name: str, data: bytes) -> Reply:
        """Keep a file, and return the reply with its key."""
        if len(data) > LIMITS.table:
            return error_reply(413, "LimitError", f"This is longer than {LIMITS.table // 1024} kB.")
        table = UploadedFile(name, data)
        return data_reply({"table": self.tables.keep(table), "name": table.name})


@functools.cache
def _office(runs: Path) -> Office:
    """Return the processes for a folder of runs; they end with the kernel."""
    return Office(runs)


@functools.cache
def _widget_class() -> Any:
    """Return the class of widgets, made when the first one is shown: its base is of an extra.

    Raises:
        MissingExtraError: if the extra is not installed.
    """
    try:
        import anywidget  # pyright: ignore[reportMissingImports] - an extra
        import starlette  # noqa: F401 - imported only to see whether it is installed
        import traitlets  # pyright: ignore[reportMissingImports] - of the same extra
    except ModuleNotFoundError as missing:
        if missing.name not in ("anywidget", "starlette", "traitlets"):
            raise
        raise ds.MissingExtraError(
            f"the lab in a notebook needs {missing.name}, which is not installed",
            hint="Install it with the extra `notebook`: pip install 'downslope[notebook]'.",
        ) from None

    class Widget(anywidget.AnyWidget):
        """The lab in a notebook."""

        _esm = static_texts()["js/notebook/host.js"]
        height = traitlets.Int(None, allow_none=True).tag(sync=True)

        def __init__(self, office: Office, page: str, state: Mapping[str, str], height: int | None) -> None:
            super().__init__(height=height)
            self.page = page
            self._state = dict(state)
            self._office = office
            self.on_msg(self._on_message)

        def _on_message(self, _: object, message: Mapping[str, Any], __: object) -> None:
            """Act on a message of a view."""
            if message.get("kind") != "page":
                self._office.take(message, self)
                return
            theme = {} if message.get("theme") != "dark" else {"theme": "dark"}
            query = "?" + urlencode({**self._state, **(theme or {"theme": "light"})})
            self.send({"kind": "page", "view": message.get("view"), "page": page_text(self.page, query)})

    return Widget
