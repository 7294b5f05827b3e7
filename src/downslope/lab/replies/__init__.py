"""What the page asks for: one verb a function, from a request as JSON to a reply as JSON, or to a stream of them.

Numbers that are not finite go out as null. Every text is ready to be shown, and is shown as text.
"""

VERBS = {
    name: f"downslope.lab.replies.{place}"
    for name, place in {
        "read": "_reading:read",
        "derive": "_reading:derive",
        "methods": "_reading:methods",
        "examples": "_examples:examples",
        "descend": "_descent:descend",
        "steps": "_descent:steps",
        "export": "_descent:export",
        "rates": "_rates:rates",
        "ground": "_ground:ground",
        "race": "_race:race",
        "surface": "_surface:surface",
        "samples": "_tables:samples",
        "columns": "_tables:columns",
        "equation": "_fit:equation",
        "fit_choices": "_fit:choices",
        "fit": "_fit:fit",
        "fit_ground": "_fit:fit_ground",
        "fit_export": "_fit:fit_export",
        "network_choices": "_network_choices:choices",
        "network_table": "_network_choices:table",
        "network_presets": "_presets:presets",
        "runs": "_saved_runs:runs",
        "run": "_saved_runs:run",
        "compare": "_saved_runs:compare",
        "network_graph": "_unit_graph:graph",
    }.items()
}

STREAMS = {
    "train": "downslope.lab.replies._train:train",
    "prescribe": "downslope.lab.replies._prescribing:prescribe",
}
