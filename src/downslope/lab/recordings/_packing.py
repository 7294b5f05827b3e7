"""Packing of a page with recorded replies into one file.

Everything stands in the file: styles, the page, and as compressed text d3, the scripts and the recording. A script of a
few lines, permitted by its hash like the other two, unpacks them. So the policy of the page refuses every request.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from downslope.lab._modules import joined
from downslope.lab._standalone import bare_page, static_texts, styles

_LEAST_SHARED = 60  # characters of JSON from which a part that comes several times is written once
_MARK = re.compile(r'(<img class="mark"[^>]*?src=)"[^"]*"')
_PAGES = re.compile(r'(<nav class="pages" id="pages"[^>]*>).*?</nav>', re.DOTALL)
_MAIN = re.compile(r'(<main id="main"[^>]*>)')
_FOOT = re.compile(r'<footer class="foot">.*?</footer>', re.DOTALL)
_OPTION = re.compile(r'<option value="[^"]*" lang="([^"]*)">[^<]*</option>')
_BLOCK = '<script type="text/plain" id="packed-{}">{}</script>'

_BOOT = """\
(async () => {
  const unpacked = async (id) => {
    const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  };
  const run = (text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
  };
  const [d3, page, data] = await Promise.all(["packed-d3", "packed-page", "packed-data"].map(unpacked));
  const recording = document.createElement("script");
  Object.assign(recording, { id: "recording", type: "application/json", textContent: data });
  document.body.append(recording);
  run(d3);
  run(page);
})().catch((error) => {
  const lost = document.getElementById("lost");
  lost.hidden = false;
  lost.textContent = "This browser cannot show this page; one from 2023 or later can.";
  throw error;
});
"""


def packed(data: Any) -> bytes:
    """Return data as compressed JSON, in which parts that come several times are written once."""
    return zlib.compress(_shared(data).encode(), 9)


def page_file(
    name: str,
    recording: bytes,
    *,
    note: str,
    entry: str,
    languages: Sequence[str] = ("en",),
) -> bytes:
    """Return a page with its recording as an HTML file.

    Args:
        name: the name of the page, as its part and its scripts are called.
        recording: the replies, packed.
        note: says what was recorded, for the head of the page.
        entry: the path of the script that begins, from the folder of scripts.
        languages: those that the page may be shown in, its own first.
    """
    files = static_texts()
    d3, page = files["vendor/d3.min.js"], joined(files, f"js/{entry}")
    icon = _image(files["favicon.svg"])
    links = f'<link rel="icon" type="image/svg+xml" href="{icon}">\n'
    text = bare_page(name, styles("style", name, "recorded"), [_BOOT, d3, page], links=links)
    parts = {"d3": zlib.compress(d3.encode(), 9), "page": zlib.compress(page.encode(), 9), "data": recording}
    blocks = "".join(
        f'<script type="text/plain" id="packed-{key}">{_base64(part)}</script>\n' for key, part in parts.items()
    )
    text = _MARK.sub(lambda match: f'{match[1]}"{icon}"', _FOOT.sub("", _PAGES.sub(r"\1</nav>", text)))
    said = f'<p class="recorded-note" id="recorded" data-text="recorded">{html.escape(note)}</p>'
    text = _MAIN.sub(lambda match: f"{match[1]}\n{said}", text)
    text = text.replace("</body>", f"{blocks}<script>{_BOOT}</script>\n</body>", 1)
    text = _OPTION.sub(lambda match: match[0] if match[1] in languages else "", text)
    text = text.replace('<html lang="en">', f'<html lang="{languages[0]}">', 1)
    return text.replace("<body", '<body class="recorded"', 1).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _image(svg: str) -> str:
    return f"data:image/svg+xml;base64,{_base64(svg.encode())}"


def _shared(data: Any) -> str:
    """Return data as JSON in which a part that comes several times is written once, and its number elsewhere."""
    counts: Counter[str] = Counter(_parts(data))
    numbers: dict[str, int] = {}
    shared: list[str] = []

    def text_of(value: Any) -> str:
        text = _text(value)
        if len(text) < _LEAST_SHARED or isinstance(value, int | float):
            return text
        if counts[text] < 2:
            return inside(value)
        if text not in numbers:
            written = inside(value)
            numbers[text] = len(shared)
            shared.append(written)
        return f'{{"$":{numbers[text]}}}'

    def inside(value: Any) -> str:
        if isinstance(value, list | tuple):
            return f"[{','.join(map(text_of, value))}]"
        if isinstance(value, dict):
            return "{" + ",".join(f"{_text(name)}:{text_of(entry)}" for name, entry in value.items()) + "}"
        return _text(value)

    whole = inside(data)
    return f'{{"shared":[{",".join(shared)}],"whole":{whole}}}'


def _parts(value: Any) -> Iterator[str]:
    """Yield each list, object and text in data as JSON, where it is long."""
    text = _text(value)
    if len(text) < _LEAST_SHARED:
        return
    yield text
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for entry in inner:
        if isinstance(entry, dict | list | tuple | str):
            yield from _parts(entry)


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
