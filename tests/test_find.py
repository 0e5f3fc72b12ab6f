"""Search: what is found holds rigorously; what is called impossible is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import chainrule as cr
from chainrule.errors import ChainruleError

CORNERS = [(a, b) for a in (0, 1) for b in (0, 1)]


def _xor(unit, level="1/2"):
    return [f"{unit(a, b)} {'>' if a != b else '<'} {level}" for a, b in CORNERS]


def test_xor_from_polynomial_features_is_a_linear_program():
    made = cr.find(_xor(lambda a, b: f"sigma(b1*{a} + b2*{b} + b3*{a * b} + b4*{a * a} + b5*{b * b} + alpha)"))
    assert made
    v = {k: float(x) for k, x in made.values.items()}
    for a, b in CORNERS:
        z = v["b1"] * a + v["b2"] * b + v["b3"] * a * b + v["b4"] * a * a + v["b5"] * b * b + v["alpha"]
        assert (1 / (1 + math.exp(-z)) > 0.5) == (a != b)
    assert made.margin > 0.2
    assert len(made.certificate()) == 4
    assert "means" in str(made)


def test_xor_from_linear_features_is_impossible_with_a_certificate():
    made = cr.find(_xor(lambda a, b: f"sigma(b1*{a} + b2*{b} + alpha)"))
    assert made.verdict == "impossible"
    assert not made
    assert [k for k, _ in made.reason.parts] == [1, 1, 1, 1]
    assert "never holds" in str(made)


def test_xor_with_sigmoid_units_that_share_weights():
    shared = lambda a, b: f"v1*sigma({a + b}) + v2*sigma({a + b - 1})"
    assert cr.find(_xor(shared, "0")).verdict == "impossible"
    assert cr.find(_xor(lambda a, b: f"{shared(a, b)} + v0", "0"), domain=(-100, 100))


def test_xor_with_two_free_sigmoid_units():
    made = cr.find(
        _xor(lambda a, b: f"sigma(v1*sigma(g1*{a} + g2*{b} + g0) + v2*sigma(k1*{a} + k2*{b} + k0) + v0)"),
        domain=(-20, 20),
    )
    assert made
    v = {k: float(x) for k, x in made.values.items()}
    s = lambda z: 1 / (1 + math.exp(-z))
    for a, b in CORNERS:
        z = (
            v["v1"] * s(v["g1"] * a + v["g2"] * b + v["g0"])
            + v["v2"] * s(v["k1"] * a + v["k2"] * b + v["k0"])
            + v["v0"]
        )
        assert (s(z) > 0.5) == (a != b)


def test_equations():
    made = cr.find(["x^2 + y^2 = 1", "x = y", "x > 0"])
    assert made.values["x"] == pytest.approx(math.sqrt(0.5), rel=1e-15)
    assert "Krawczyk" in made.certificate()["x^2 + y^2 = 1"]
    assert cr.find(["x^2 = 4", "x < 0"]).values == {"x": -2}
    assert cr.find("exp(x) = 2").values["x"] == pytest.approx(math.log(2))
    assert cr.find(["2*a + b = 3", "a - b = 0"]).values == {"a": 1, "b": 1}


def test_what_the_domain_excludes_is_proved_by_intervals():
    made = cr.find("exp(x) = x", domain=(-5, 5))
    assert made.verdict == "impossible"
    assert "boxes" in str(made)
    assert cr.find(["x^2 + 1 < 0"], domain=(-3, 3)).verdict == "impossible"
    assert cr.find(["sigma(x) > 2"]).verdict == "impossible"


def test_small_whole_numbers_come_first():
    assert cr.find(["x*y > 1", "x < y"]).values in ({"x": 1, "y": 2}, {"x": -2, "y": -1})


def test_a_domain_can_be_too_small():
    made = cr.find(["a > 100"], domain=(-1, 1))
    assert made.verdict == "not found"
    assert "outside" in str(made)
    assert cr.find(["a > 0.5", "a < 0.6"], domain={"a": (0, 1)})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([],), "no conditions"),
        ((["a + b"],), "no condition"),
        ((["a > b"], "a"), "no parameter"),
        ((["a > 1"], "a b"), "stands in no condition"),
        ((["a > 1"], "a", (1, 0)), "domain"),
        ((["a > (1"],), "never closed"),
        ((["a != 1"],), "no condition"),
        ((["a > 1"], "a", 5), "domain"),
        ((["E[a] > 1"],), "no random variable"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises(ChainruleError, match=words):
        cr.find(*arguments)


NUMBERS = st.integers(-4, 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=6))
def test_linear_programs_agree_with_floating_point(rows):
    rows = [r for r in dict.fromkeys(rows) if r[0] or r[1]]
    if not rows:
        return
    conditions = [f"({a})*x + ({b})*y + ({c}) > 0" for a, b, c in rows]
    if not all(any(r[k] for r in rows) for k in (0, 1)):
        return
    made = cr.find(conditions, domain=(-1000, 1000))
    A = np.array([[-a, -b, 1] for a, b, _ in rows], float)
    peer = linprog([0, 0, -1], A, [c for _, _, c in rows], bounds=[(-1000, 1000), (-1000, 1000), (None, 1)])
    possible = -peer.fun > 1e-7
    assert (made.verdict == "found") == possible
    if made:
        x, y = made.values["x"], made.values["y"]
        assert all(a * x + b * y + c > 0 for a, b, c in rows)
    else:
        assert made.verdict == "impossible"
        weights = {text: k for k, text in made.reason.parts}
        assert all(k >= 0 for k in weights.values())
        totals = [sum(weights.get(t, 0) * r[k] for t, r in zip(conditions, rows, strict=True)) for k in range(3)]
        assert totals[0] == totals[1] == 0
        assert totals[2] <= 0


def test_conditions_without_parameters_hold_or_do_not():
    assert cr.find("1 > 0").verdict == "found"
    assert cr.find("0 > 1").verdict == "impossible"
    assert cr.find("x^2 = -1").verdict == "impossible"
