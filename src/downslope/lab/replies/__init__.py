"""The verbs of the pages: each a function from a request to a reply, both JSON, or to a stream of replies.

Numbers that are not finite are null. Every text of a reply is shown as it is, as text and never as markup.

Some replies are lists that never change: methods, examples, samples, settings. A page is served with those that it
shows, so that a menu can neither stay empty nor cost a request. They are kept as JSON in `lists.json`, since making
them takes some seconds and imports JAX. `tests/lab/lists.py` writes the file; a test compares it with the replies.
"""

import functools
import json
from pathlib import Path
from typing import Any

LISTS = Path(__file__).parent / "lists.json"
LISTS_OF_PAGES = {
    "descend": ("methods", "examples"),
    "fit": ("samples", "fit_choices"),
    "network": ("network_choices", "network_presets"),
}

VERBS = {
    name: f"downslope.lab.replies.{function}"
    for name, function in {
        "read": "_formula_verbs:read",
        "derive": "_formula_verbs:derive",
        "methods": "_formula_verbs:methods",
        "examples": "_examples:examples",
        "descend": "_descent:descend",
        "steps": "_descent:steps",
        "export": "_descent:export",
        "rates": "_formula_verbs:rates",
        "grid": "_formula_verbs:grid",
        "race": "_descent:race",
        "secants": "_slopes:secants",
        "slices": "_slopes:slices",
        "compass": "_slopes:compass",
        "sweep": "_descent:sweep",
        "samples": "_examples:samples",
        "columns": "_examples:columns",
        "equation": "_fit:equation",
        "fit_choices": "_fit:choices",
        "fit": "_fit:fit",
        "fit_grid": "_fit:fit_grid",
        "fit_export": "_fit:fit_export",
        "network_choices": "_network_choices:choices",
        "network_table": "_network_choices:table",
        "network_presets": "_examples:presets",
        "runs": "_saved_runs:runs",
        "run": "_saved_runs:run",
        "compare": "_saved_runs:compare",
        "network_graph": "_network_views:graph",
        "line": "_learning:line",
        "chain": "_learning:chain",
        "backprop": "_learning:backprop",
        "mend": "_learning:mend",
        "trained": "_learning:trained",
        "network_units": "_network_views:units",
        "network_check": "_network_choices:check",
    }.items()
}

STREAMS = {
    "train": "downslope.lab.replies._training:train",
    "prescribe": "downslope.lab.replies._training:prescribe",
    "page": "downslope.lab.recordings._streams:page",
    "animation": "downslope.lab.recordings._streams:animation",
}


@functools.cache
def _lists() -> dict[str, Any]:
    return json.loads(LISTS.read_text(encoding="utf-8"))


def lists_of(page: str) -> dict[str, Any]:
    """Return the lists that a page shows, by the verb that replies with them."""
    return {verb: _lists()[verb] for verb in LISTS_OF_PAGES.get(page, ())}
