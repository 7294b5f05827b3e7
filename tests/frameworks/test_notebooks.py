"""The lab where people sit: in a kernel, in JupyterLab and marimo in a browser, and behind jupyter-server-proxy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from lab.browser import chromium
from playwright.sync_api import Browser, FrameLocator, Page, expect
from ports import free_port

from tests.needing import needs

needs("anywidget", "jupyterlab", "nbclient", "ipykernel", "jupyter_server_proxy", "marimo")

import jupyter_client  # noqa: E402
import nbclient  # noqa: E402
import nbformat  # noqa: E402

from downslope.lab.replies._examples import _USUAL  # noqa: E402
from downslope.lab.server._serve import running  # noqa: E402

SHOWN = 'import downslope as ds\nds.lab.show("x² + 2y²", start={"x": 4, "y": 3}, learning_rate=0.1)'
TRAINING = {**_USUAL, "hidden": [3], "steps": 40}
PATIENCE = 180_000  # milliseconds; JupyterLab is 10 MB of scripts


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of Jupyter: kernels that run this Python, and nothing of the user's."""
    home = tmp_path_factory.mktemp("jupyter")
    folders = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    environment = {**os.environ, **folders, "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "PYTHONPATH": _path()}
    kernel = [sys.executable, "-m", "ipykernel", "install", "--prefix", str(home / "kernels"), "--name", "python3"]
    subprocess.run(kernel, check=True, env=environment, capture_output=True)
    return {**environment, "JUPYTER_PATH": str(home / "kernels" / "share" / "jupyter")}


def _path() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry)


@contextmanager
def served(words: Callable[[int], list[str]], path: str, **choices: Any) -> Iterator[str]:
    """Run a server until its path answers; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", *words(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **choices
    )
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end and process.poll() is None:
            try:
                if httpx.get(address + path, timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.3)
        else:
            pytest.fail(f"{words(port)} does not answer")
        yield address
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def jupyter(application: str, folder: Path, settings: dict[str, str]) -> Iterator[str]:
    def words(port: int) -> list[str]:
        return [
            *application.split(), "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
            "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}",
            "--ServerApp.base_url=/user/ada/", "--ServerApp.disable_check_xsrf=True",
        ]  # fmt: skip

    with served(words, "/user/ada/api", env=settings, cwd=folder) as address:
        yield f"{address}/user/ada/"


def slid(page: Page | FrameLocator) -> None:
    """Hold that the page draws, and that the slider moves the path."""
    way = page.locator("#way")
    expect(way).to_have_attribute("d", re.compile("^M"), timeout=PATIENCE)
    before = way.get_attribute("d")
    page.locator("#rate-slider").press("ArrowRight")
    expect(way).not_to_have_attribute("d", before or "", timeout=PATIENCE)
    expect(page.locator("#verdict")).to_contain_text("At a minimum", timeout=PATIENCE)


def test_a_kernel_answers_the_page_through_messages(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    cells = [nbformat.v4.new_code_cell(SHOWN.replace("\nds", "\nwidget = ds") + "\nwidget")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3")
    with client.setup_kernel():
        client.execute_cell(notebook.cells[0], 0)
        (output,) = notebook.cells[0].outputs
        model = output["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]

        # A second client, as the page in a browser is.
        kernel = jupyter_client.BlockingKernelClient()
        kernel.load_connection_info(client.km.get_connection_info())
        kernel.start_channels()
        kernel.wait_for_ready(timeout=120)

        def send(**content: object) -> None:
            data = {"method": "custom", "content": {"view": "1", **content}}
            kernel.shell_channel.send(kernel.session.msg("comm_msg", {"comm_id": model, "data": data}))

        def received(count: int) -> list[dict[str, Any]]:
            replies: list[dict[str, Any]] = []
            while len(replies) < count:
                message = kernel.get_iopub_msg(timeout=120)
                data = message["content"].get("data", {})
                if message["msg_type"] == "comm_msg" and data.get("method") == "custom":
                    replies.append(data["content"])
            return replies

        send(kind="page", theme="dark")
        assert "theme=dark" in received(1)[0]["page"]
        send(kind="ask", number=1, path="read", body='{"formula": "x³"}', visitor="v")
        assert received(1)[0] | {"body": ""} == {
            "kind": "reply", "view": "1", "number": 1, "status": 200, "body": "", "is_piece": False,
        }  # fmt: skip
        send(kind="ask", number=2, path="read", body='{"formula": "x +"}', visitor="v")
        send(kind="ask", number=3, path="nowhere", body="{}", visitor="v")
        statuses = {reply["number"]: reply["status"] for reply in received(2)}
        assert statuses == {2: 400, 3: 404}
        send(kind="ask", number=4, path="table?name=a.csv", body="eCx5CjEsMgoyLDQKMyw2Cg==", visitor="v")
        assert '"table"' in received(1)[0]["body"]
        send(kind="ask", number=5, path="train", body=json.dumps(TRAINING), visitor="v")
        pieces = received(2)
        assert [(piece["status"], piece["is_piece"]) for piece in pieces] == [(206, True)] * 2
        send(kind="gone")
        kernel.stop_channels()
    state = notebook.metadata.get("widgets", {})
    assert len(str(state)) < 20_000  # a saved notebook holds no page


def test_the_widget_in_jupyterlab(browser: Browser, tmp_path: Path, settings: dict[str, str]) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SHOWN)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "shown.ipynb")
    with jupyter("jupyterlab", tmp_path, settings) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.goto(f"{address}lab/tree/shown.ipynb?reset")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=PATIENCE)
        page.locator(".jp-Notebook .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        slid(page.frame_locator("iframe[title=downslope]"))
        page.close()


def test_the_widget_in_marimo(browser: Browser, tmp_path: Path, settings: dict[str, str]) -> None:
    cell = SHOWN.replace("ds.lab.show", "shown = ds.lab.show").replace("\n", "\n    ")
    (tmp_path / "shown.py").write_text(
        f"import marimo\napp = marimo.App()\n\n@app.cell\ndef _():\n    {cell}\n    shown\n    return\n\n"
        'if __name__ == "__main__":\n    app.run()\n'
    )

    def words(port: int) -> list[str]:
        return ["marimo", "run", "shown.py", "--headless", "--no-token", "--port", str(port)]

    with served(words, "/health", env=settings, cwd=tmp_path) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.goto(address)
        slid(page.frame_locator("iframe[title=downslope]"))
        page.close()


def test_the_lab_behind_jupyter_server_proxy(browser: Browser, tmp_path: Path, settings: dict[str, str]) -> None:
    with running(port=0) as lab, jupyter("jupyter_server", tmp_path, settings) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1100})
        page.goto(f"{address}proxy/{lab.address.port}/?f=x%C2%B2&at=x%3D4&rate=0.1&token={lab.token}")
        slid(page)
        assert "token" not in page.url
        (cookie,) = (cookie for cookie in page.context.cookies() if cookie["name"] == lab.entry.cookie)
        assert cookie["path"] == f"/user/ada/proxy/{lab.address.port}"
        page.get_by_role("link", name="Network").click()
        expect(page.locator("#train")).to_have_text(
            "Train again", timeout=PATIENCE
        )  # it trains by itself, piece by piece
        page.close()
