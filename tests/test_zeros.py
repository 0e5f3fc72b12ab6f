"""When gradients vanish: sufficient, minimal, verified; limits kept apart from what is exact."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import iv

import chainrule as cr
from chainrule.errors import InputError
from chainrule.ir.relation import Relation
from chainrule.ops.piecewise import relu
from chainrule.symbolic.algebra.and_or import FALSE, TRUE, Gate, all_of, any_of, minimal_conditions, simplified
from chainrule.symbolic.algebra.interval import certain

RELU = "z1 = b1*x + a1; h = relu(z1); z2 = b2*h + a2; p = sigma(z2); log(p)"
RESIDUAL = "z1 = b1*x + a1; h = sigma(z1); z2 = z1 + b2*h + a2; p = sigma(z2); log(p)"


def test_the_conditions_of_a_relu_unit():
    z = cr.explain(RELU).zeros("b1")
    assert {str(c) for c in z.conditions} == {"x = 0", "z1 <= 0", "b2 = 0"}
    assert all(c.exact and "zero at 5 points" in c.how for c in z.conditions)
    assert [str(c) for c in z.limits] == ["p = 1 (only in the limit z2 → ∞)"]
    assert str(z.formula) == "x = 0 or z1 <= 0 or b2 = 0"
    assert "∂h/∂z1" in {str(c): c.cuts for c in z.conditions}["z1 <= 0"]
    assert [str(c) for c in cr.explain(RELU).zeros("b2").conditions] == ["z1 <= 0"]
    assert cr.explain(RELU).zeros("a2").conditions == []


def test_saturation_in_floating_point():
    saturates = dict(cr.explain(RELU).zeros("a2").limits[0].saturates)
    for dtype in (np.float32, np.float64):
        v = saturates[np.dtype(dtype).name]
        f = cr.grad(lambda z: cr.log(cr.sigmoid(z)))
        sigma = lambda z: 1 - cr.sigmoid(dtype(z))
        assert sigma(v * 1.001) == 0
        assert sigma(v * 0.98) != 0
        assert f(1.0) != 0


def test_a_residual_connection_has_a_cancellation():
    z = cr.explain(RESIDUAL).zeros("b1")
    assert [str(c) for c in z.conditions] == ["x = 0"]
    assert len(z.cancellations) == 1
    assert "solved" in z.cancellations[0].how
    assert {str(c).split(" (")[0] for c in cr.explain(RESIDUAL).zeros("b2").limits} == {"h = 0", "p = 1"}


def test_two_branches_are_an_and_of_ors():
    f = "g1 = relu(t01 + t11*x); g2 = relu(t02 + t12*x); k1 = p01 + p11*g1 + p21*g2; k2 = p02 + p12*g1 + p22*g2; f0 + f1*relu(k1) + f2*relu(k2)"
    z = cr.explain(f).zeros("t01")
    assert z.formula.kind == "or"
    assert any(isinstance(p, Gate) and p.kind == "and" for p in z.formula.parts)
    assert {str(c) for c in z.conditions} >= {"t01 + t11*x <= 0", "f1 = 0 and f2 = 0", "k1 <= 0 and k2 <= 0"}
    assert len(z.conditions) == 10
    assert z.paths == 2


def test_every_condition_makes_the_gradient_zero_at_other_points():
    f = cr.parse(RELU)
    g = cr.grad(lambda b1, x, a1, b2, a2: f(b1=b1, x=x, a1=a1, b2=b2, a2=a2))
    for _ in range(20):
        v = np.random.default_rng(_).normal(size=5)
        assert g(v[0], 0.0, v[2], v[3], v[4]) == 0
        assert g(v[0], v[1], v[2], 0.0, v[4]) == 0
        assert g(v[0], v[1], -abs(v[2]) - abs(v[0] * v[1]), v[3], v[4]) == 0


def test_no_flow_is_always_zero_and_no_fact_is_never():
    assert "Always" in str(cr.explain("heaviside(x, 0.5)*y").zeros("x"))
    assert cr.explain("y = x^2; log(y)").zeros("x").formula == FALSE
    assert cr.explain("exp(x)*y").zeros("y").conditions == []


def test_networks_of_arrays():
    rng = np.random.default_rng(0)

    def net(x, W1, W2, v):
        h1 = cr.relu(W1 @ x)
        h2 = cr.tanh(W2 @ h1)
        return v @ h2

    z = cr.explain(net, rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)).zeros(
        "W1"
    )
    assert {"x = 0", "W2 = 0", "v = 0"} <= {str(c) for c in z.conditions}
    assert any("<= 0" in str(c) for c in z.conditions)
    assert "every entry" in str(z)


def test_ten_layers_are_quick_and_complete():
    def net(x, W1, W2, W3, W4, W5, W6, W7, W8, W9, W10):
        h = x
        for W in (W1, W2, W3, W4, W5, W6, W7, W8, W9, W10):
            h = cr.relu(W @ h)
        return np.sum(h)

    rng = np.random.default_rng(0)
    z = cr.explain(net, rng.normal(size=6), *(rng.normal(size=(6, 6)) for _ in range(10))).zeros("x")
    assert {f"W{k} = 0" for k in range(1, 11)} <= {str(c) for c in z.conditions}
    assert len(z.conditions) == 20


def test_names_with_underscores_are_words_in_latex_and_in_mathml():
    z = cr.explain("h_1 = relu(w_1*x); l = v_2*h_1").zeros("w_1")
    assert r"\text{x = 0 or v\_2 = 0" in z.latex() or r"v\_2" in z.latex()
    assert "v_2" in z.html()
    assert "\\_" not in z.html()


def test_formats_and_errors():
    z = cr.explain(RELU).zeros("b1")
    assert "<math" in z.html()
    assert r"\le 0" in z.latex()
    with pytest.raises(InputError, match="no variable"):
        cr.explain(RELU).zeros("w")


# ---- and/or formulas ---------------------------------------------------------------------------------------------

FORMULAS = st.recursive(
    st.sampled_from("abcd"),
    lambda inner: st.builds(
        lambda kind, parts: Gate(kind, tuple(parts)), st.sampled_from(["and", "or"]), st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


def _true(formula, facts):
    if not isinstance(formula, Gate):
        return formula in facts
    return (all if formula.kind == "and" else any)(_true(p, facts) for p in formula.parts)


@settings(max_examples=200, deadline=None)
@given(FORMULAS)
def test_simplification_and_minimal_conditions_keep_the_truth_table(formula):
    short, minimal = simplified(formula), minimal_conditions(formula)
    for r in range(5):
        for facts in map(set, itertools.combinations("abcd", r)):
            truth = _true(formula, facts)
            assert _true(short, facts) == truth
            assert any(m <= facts for m in minimal) == truth
    assert not any(a < b for a in minimal for b in minimal)


def test_empty_gates():
    assert any_of([]) == FALSE
    assert all_of([]) == TRUE
    assert str(TRUE) == "always"
    assert str(FALSE) == "never"


@pytest.mark.parametrize("relation", Relation)
def test_an_interval_has_a_relation_to_zero_where_every_number_in_it_has(relation):
    for low, high in itertools.combinations_with_replacement(range(-2, 3), 2):
        every = all(relation.holds(Fraction(k)) for k in range(low, high + 1))
        assert certain(iv.mpf([low, high]), relation) is every, (low, high)
    assert all(certain(Fraction(k), relation) is relation.holds(k) for k in range(-2, 3))


def test_where_an_operation_is_zero_is_said_by_a_relation_or_refused():
    assert Relation("<= 0") is relu.zero is Relation.NONPOSITIVE
    with pytest.raises(InputError, match="no relation '=0'"):
        Relation("=0")
