"""The lab in a notebook, as far as it goes without one: what is shown, and the page that loads nothing."""

from __future__ import annotations

import re
import sys

import pytest

import downslope as ds
from downslope.lab import _widget
from downslope.lab.server._pages import PAGES


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    _widget._widget_class.cache_clear()
    with pytest.raises(ds.MissingExtraError, match="anywidget") as caught:
        ds.lab.show("x²")
    assert "downslope[notebook]" in str(caught.value)


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_a_page_in_a_notebook_loads_nothing_and_holds_its_state(name: str) -> None:
    text = _widget.page_text(name, '?f=x"&theme=dark')
    assert '<html data-query="?f=x&quot;&amp;theme=dark"' in text
    policy = re.findall(r"default-src 'none'; script-src ('sha256-[^']+' ?){2}; style-src 'sha256-[^']+'", text)
    assert len(policy) == 1
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|srcset)="([^"]*)"', body))
    assert "<link" not in body
    assert text.count("<script>") == 2
    assert text.count("</script>") == 2 + text.count('<script type="application/json" id="lists">')


def test_plans_descents_and_fits_become_the_states_of_pages() -> None:
    plan = ds.plan("x² + 2y²", {"x": 4, "y": 3}, learning_rate=0.1, steps=20)
    state = {"f": "x² + 2y²", "at": "x=4.0,y=3.0", "rate": "0.1", "method": "gradient descent", "steps": "20"}
    assert _widget._state_of(plan) == ("descend", state, None)
    assert _widget._state_of(ds.descend("x² + 2y²", {"x": 4, "y": 3}, learning_rate=0.1, steps=20))[1] == state
    page, state, table = _widget._state_of(ds.fit("y = a×x", {"x": [1, 2, 3.0], "y": [2, 4, 6.1]}))
    assert (page, state) == ("fit", {"f": "y = a×x", "method": "levenberg-marquardt", "loss": "linear"})
    assert table is not None
    assert table.data == b"x,y\n1.0,2.0\n2.0,4.0\n3.0,6.1\n"


def test_a_formula_is_checked_where_it_is_typed() -> None:
    choices = {"start": None, "learning_rate": None, "method": "gradient descent", "steps": 100}
    assert _widget._state_of_formula("x² + y", **choices) == {"f": "x² + y"}
    with_rate = _widget._state_of_formula("x²", **{**choices, "learning_rate": 0.25, "method": "momentum"})
    assert with_rate == {"f": "x²", "method": "momentum", "steps": "100", "rate": "0.25"}
    with pytest.raises(ds.FormulaError):
        _widget._state_of_formula("x² +", **choices)
    with pytest.raises(ds.DownslopeError, match="steps"):
        _widget._state_of_formula("x²", **{**choices, "steps": -1})


def test_what_no_page_shows_is_refused() -> None:
    for shown in (3, ds.slope("x²", {"x": 1})):
        with pytest.raises(ds.SettingError, match="the lab shows a formula"):
            _widget._state_of(shown)
