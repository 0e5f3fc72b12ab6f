"""Animations and comparisons of derivations."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import InputError

F = "g = x + y; h = g*z; f = h + x"
AT = dict(x=-2.0, y=5.0, z=-4.0)


def test_every_step_is_a_frame_in_order():
    a = cr.explain(F, **AT).animate()
    assert [f.phase for f in a.frames] == ["start"] + ["forward"] * 3 + ["backward"] * 6
    assert "f = h + x = -14" in a.frames[3].caption
    assert a.frames[-1].caption.startswith("(1) d")
    for f in a.frames:
        ET.fromstring(f.svg)


def test_values_and_gradients_appear_when_they_are_known():
    a = cr.explain(F, **AT).animate()
    texts = ["".join(ET.fromstring(f.svg).itertext()) for f in a.frames]
    assert "-14" not in texts[2]
    assert "-14" in texts[3]
    final = "".join(ET.fromstring(cr.explain(F, **AT).draw().svg).itertext())
    assert texts[-1] == final


def test_accumulated_gradients_are_shown_as_they_grow():
    captions = [f.caption for f in cr.explain(F, **AT).animate().frames]
    first, second = (c for c in captions if " dx " in c)
    assert "now 1" in first
    assert "+=" in second
    assert "now -3" in second


def test_the_page_is_self_contained_and_has_controls(tmp_path):
    path = tmp_path / "a.html"
    a = cr.explain(F, **AT).animate(path)
    page = path.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"']https?:", page)
    for word in ('data-do="play"', 'data-do="next"', 'data-do="back"', 'type="range"'):
        assert word in page
    assert page.count("<figure") == len(a)
    assert "iframe" in a._repr_html_()
    with pytest.raises(InputError, match=r"use \.html"):
        a.save(tmp_path / "a.gif")


def test_arrays_are_animated_too():
    rng = np.random.default_rng(0)
    a = cr.explain(lambda W, x: np.sum(np.tanh(W @ x)), rng.normal(size=(3, 2)), rng.normal(size=2)).animate()
    assert len(a) == 9


def _one(W1, b1, W2, b2, x, y):
    s1 = W1.T @ x + b1
    a1 = 3 * cr.relu(s1)
    s2 = W2.T @ a1 + b2
    C = np.sum((y - s2) ** 2)
    return C


def _two(W1, b1, W2, b2, x, y):
    s1 = W1.T @ x + b1
    a1 = cr.tanh(s1)
    s2 = W2.T @ a1 + b2
    p = cr.sigmoid(s2)
    C = -np.sum(y * cr.log(p) + (1 - y) * cr.log(1 - p))
    return C


def test_a_comparison_shows_what_changed_and_nothing_else():
    rng = np.random.default_rng(0)
    at = [rng.uniform(0.1, 0.9, size=s) for s in ((4, 3), (3,), (3, 2), (2,), (4,), (2,))]
    wrt = "W1,b1,W2,b2"
    c = cr.explain(_one, *at, wrt=wrt).compare(cr.explain(_two, *at, wrt=wrt))
    before = {x.before.partition(" = ")[0] for x in c.changes}
    assert {"a1", "C", "∂C/∂s2", "∂C/∂s1"} <= before
    assert "∂C/∂W1" not in before
    assert "∂C/∂W2" not in before
    assert "- a1 = 3 * relu(s1)" in str(c)
    assert "+ a1 = tanh(s1)" in str(c)
    assert "<mark" in c.html()
    assert c.markdown().startswith("```diff")
    assert cr.explain(_one, *at).compare(cr.explain(_one, *at)).changes == []
