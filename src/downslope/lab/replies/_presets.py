"""Networks to begin with: some that train well, and the classic ways in which training fails."""

from __future__ import annotations

from typing import Any

_USUAL: dict[str, Any] = {
    "sample": "circles",
    "hidden": [8, 8],
    "activation": "tanh",
    "initialisation": "auto",
    "normalisation": "none",
    "skip": False,
    "dropout": 0.0,
    "method": "adam",
    "rate": 0.01,
    "batch": 32,
    "steps": 800,
    "seed": 0,
    "more": None,
}
_ILL: dict[str, Any] = {"method": "gradient descent", "steps": 600}
PRESETS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Circles", "Two hidden layers bend a line into a ring.", {}),
    ("Moons", "Two half circles that reach into each other.", {"sample": "moons"}),
    (
        "Spirals",
        "The hardest of the plane: wider layers, and more steps.",
        {"sample": "spirals", "hidden": [24, 24], "steps": 2000},
    ),
    ("XOR", "No line tells these apart, and six hidden units do.", {"sample": "xor", "hidden": [6]}),
    ("Three blobs", "Three classes, so three outputs.", {"sample": "blobs", "hidden": [6]}),
    (
        "Digits",
        "Images of 8 × 8 pixels, ten classes.",
        {"sample": "digits", "hidden": [64, 32], "activation": "relu", "steps": 1000},
    ),
    (
        "Vanishing gradients",
        "Twelve layers of sigmoids: nothing arrives at the first.",
        {"hidden": [8] * 12, "activation": "sigmoid", "rate": 0.001, "steps": 600},
    ),
    (
        "Exploding gradients",
        "Weights far too large for ten layers.",
        {**_ILL, "hidden": [8] * 10, "activation": "relu", "initialisation": "normal_3", "rate": 0.01},
    ),
    (
        "Dead units",
        "A step so large that relu passes nothing any more.",
        {
            **_ILL,
            "sample": "moons",
            "hidden": [16, 16],
            "activation": "relu",
            "initialisation": "normal_0.05",
            "rate": 8.0,
        },
    ),
    (
        "Rate too large",
        "The loss jumps about and does not settle.",
        {**_ILL, "sample": "moons", "hidden": [16, 16], "rate": 12.0},
    ),
    ("Rate too small", "Downhill, but hardly moving.", {**_ILL, "hidden": [16], "rate": 0.0001}),
    (
        "All weights zero",
        "Every unit learns the same as its neighbour.",
        {"sample": "xor", "hidden": [8], "initialisation": "constant_0", "rate": 0.01, "steps": 600},
    ),
)


def presets(told: dict[str, Any]) -> dict[str, Any]:
    """Return the networks to begin with, each with all of its settings."""
    return {"presets": [{"title": title, "what": what, "settings": _USUAL | own} for title, what, own in PRESETS]}
