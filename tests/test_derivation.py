"""Derivations: every line is right, in every order; matrices, unknown functions, second derivatives."""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy as sp
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli import app
from chainrule.documents import Formula
from chainrule.errors import InputError
from chainrule.symbolic.algebra.declared import OPERATIONS, declared_partial
from chainrule.symbolic.algebra.derivative import derivative
from chainrule.symbolic.algebra.meaning import kept, opened
from chainrule.symbolic.answers.prove import prove

FORMULAS = [
    ("g = x + y; h = g*z; h + x", dict(x=-2.0, y=5.0, z=-4.0)),
    ("u3 = u1*u2; u4 = u1 + u2; u5 = 2*u3*u4; (u5 - u1 - u2 - u3 - u4)^2", dict(u1=3.0, u2=4.0)),
    ("f1 = exp(x); f2 = f1^2; f3 = f1 + f2; f4 = exp(f3); f5 = sin(f3); f4 + f5", dict(x=0.3)),
    ("(x + s(y)) / (s(x) + (x + y)^2)", dict(x=3.0, y=-4.0)),
    ("z1 = b1*x + a1; h = relu(z1); z2 = b2*h + a2; log(sigma(z2))", dict(b1=0.4, x=1.3, a1=0.2, b2=-0.7, a2=0.1)),
    ("max(x, y)*tanh(x) + abs(y)/sqrt(x)", dict(x=1.3, y=0.4)),
    ("x^y + log(x*y)", dict(x=1.3, y=0.4)),
]


def _number(expression, at):
    return float(opened(expression).subs({sp.Symbol(k, real=True): v for k, v in at.items()}).evalf(20))


@pytest.mark.parametrize(("formula", "at"), FORMULAS)
@pytest.mark.parametrize("order", ["reverse", "forward", "chains"])
def test_results_are_the_gradient_in_every_order(formula, at, order):
    e = cr.explain(formula, **at)
    d = e.derivation(order)
    names = {r.name: float(r.value) for r in e.table()}
    for variable, expression in d.results.items():
        assert _number(expression, names) == pytest.approx(e.gradients[variable], rel=1e-12)


@pytest.mark.parametrize(("formula", "at"), FORMULAS)
def test_every_line_of_a_derivation_holds_in_numbers(formula, at):
    """Each ∂f/∂n = ... = result, evaluated at the point, is the gradient that the table shows."""
    e = cr.explain(formula, **at)
    rows = {r.name: r for r in e.table()}
    seen = 0
    for line in e.derivation().lines:
        if isinstance(line, Formula) and line.text.startswith("∂"):
            head, *parts = line.text.split(" = ")
            name = head.split("/∂")[1]
            result = cr.parse(parts[-1], **{n: () for n in rows if re.search(rf"\b{n}\b", parts[-1])})
            value = (
                result(**{v: float(rows[v].value) for v in result.variables}) if result.variables else float(parts[-1])
            )
            assert value == pytest.approx(float(rows[name].gradient), rel=1e-9)
            seen += 1
    assert seen >= len(at)


def test_a_derivation_reads_like_a_teacher():
    text = str(cr.explain("g = x + y; h = g*z; h + x").derivation())
    assert "∂f/∂g = ∂f/∂h · ∂h/∂g = 1 · z = z" in text
    assert "sum over 2 branches" in text
    assert "product rule" in text


def test_cross_entropy_simplifies_to_the_textbook_form():
    d = cr.explain("p = sigma(f); -(1 - y)*log(1 - p) - y*log(p)", wrt="f").derivation()
    assert "sigma(f) - y" in str(d)


def test_chains_are_written_factor_by_factor():
    text = str(
        cr.explain(
            "h1 = sin(f0); f1 = w1*h1; h2 = exp(f1); f2 = w2*h2; h3 = cos(f2); f3 = w3*h3; f3^2", wrt="f0"
        ).derivation("chains")
    )
    assert "∂h1/∂f0 · ∂f1/∂h1 · ∂h2/∂f1 · ∂f2/∂h2 · ∂h3/∂f2 · ∂f3/∂h3 · ∂f/∂f3" in text
    assert "cos(f0) · w1 · h2 · w2 · (-sin(f2)) · w3 · (2*f3)" in text


def test_all_formats(tmp_path):
    d = cr.explain("g = x + y; g*z").derivation()
    assert r"\frac{\partial f}{\partial g}" in d.latex()
    assert d.markdown().count("$$") % 2 == 0
    assert "<math" in d.html()
    assert "<script" not in d.html()
    for suffix in (".txt", ".tex", ".md", ".html"):
        assert d.save(tmp_path / f"d{suffix}").stat().st_size > 100
    with pytest.raises(InputError, match="cannot write"):
        d.save(tmp_path / "d.pdf")


def _cost(W1, b1, W2, b2, x, y):
    s1 = W1.T @ x + b1
    a1 = 3 * cr.relu(s1)
    s2 = W2.T @ a1 + b2
    C = np.sum((y - s2) ** 2)
    return C


RNG = np.random.default_rng(0)
AT = [RNG.normal(size=s) for s in ((4, 3), (3,), (3, 2), (2,), (4,), (2,))]


def test_matrices_in_matrix_notation():
    e = cr.explain(_cost, *AT, wrt="W1,b1,W2,b2")
    text = str(e.derivation())
    for line in (
        "∂C/∂s2 = -2 * (y - s2)",
        "∂C/∂a1 = W2 @ (∂C/∂s2)",
        "∂C/∂W1 = outer(x, ∂C/∂s1)",
        "∂C/∂W2 = outer(a1, ∂C/∂s2)",
        "denominator layout",
        "product of matrices",
    ):
        assert line in text
    assert r"W_{2} \frac{\partial C}{\partial s_{2}}" in e.derivation().latex()
    assert "numerator layout" in str(e.derivation(layout="numerator"))


def test_lines_in_matrix_notation_are_the_gradients():
    e = cr.explain(_cost, *AT, wrt="W1,b1,W2,b2")
    values = {r.name: np.asarray(r.value) for r in e.table()}
    known = {"relu": lambda v: np.maximum(v, 0), "outer": np.outer, "sum": np.sum}
    gradients = {}
    for line in e.derivation().lines:
        if line.text.startswith("∂C/∂"):
            head, right = line.text.split(" = ")
            code = right.replace("^", "**")
            for name in sorted(gradients, key=len, reverse=True):
                code = code.replace(f"∂C/∂{name}", f"g_{name}")
            gradients[head.removeprefix("∂C/∂")] = eval(
                code, known | values | {f"g_{k}": v for k, v in gradients.items()}
            )
    for name, gradient in e.gradients.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-12)


def test_shared_weights_add_their_branches():
    def f(W, x):
        h = W @ x
        y = W @ h
        return np.sum(y)

    text = str(cr.explain(f, RNG.normal(size=(3, 3)), RNG.normal(size=3), wrt="W").derivation())
    assert "sum over 2 branches" in text


# ---- unknown functions and second derivatives ------------------------------------------------------------------------


def _diamond(x):
    f, g, h = cr.unknown("f"), cr.unknown("g"), cr.unknown("h")
    y = g(x)
    z = h(x)
    return f(y, z)


def test_the_diamond_of_unknown_functions():
    e = cr.explain(_diamond, 1.0)
    text = str(e.derivation())
    assert "f_1(y, z)*g'(x) + f_2(y, z)*h'(x)" in text
    assert e.gradients["x"] == pytest.approx((float(_diamond(1 + 1e-6)) - float(_diamond(1 - 1e-6))) / 2e-6, rel=1e-7)
    assert "f_1(y, z)*g'(x)" in str(cr.explain("y = g(x); z = h(x); f(y, z)", functions="f, g, h").derivation())


def test_the_second_derivative_of_the_diamond_has_every_cross_term():
    s = cr.explain(_diamond, 1.0).second("x")
    assert len(s.terms) == 5
    assert len(s.lost) == 5
    assert "2*f_12(y, z)*g'(x)*h'(x)" in str(s)
    assert "It is wrong" in str(s)
    h = 1e-4
    assert s.value == pytest.approx(
        (float(_diamond(1 + h)) - 2 * float(_diamond(1)) + float(_diamond(1 - h))) / h**2, rel=1e-5
    )


@pytest.mark.parametrize(("formula", "at"), FORMULAS)
def test_second_derivatives_are_those_of_the_hessian(formula, at):
    e = cr.explain(formula, **at)
    names = {r.name: float(r.value) for r in e.table()}
    f = cr.parse(formula)
    variables = list(at)
    H = cr.hessian(lambda v: f(**dict(zip(variables, v, strict=True))))([at[k] for k in variables])
    for i, a in enumerate(variables):
        for j, b in enumerate(variables[i:], i):
            s = e.second(a, b)
            assert s.value == pytest.approx(float(H[i][j]), rel=1e-9, abs=1e-12)
            assert _number(s.expression, names) == pytest.approx(float(H[i][j]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"sign", "floor", "ceiling", "loggamma"}))
def test_declared_derivatives_are_those_of_the_definitions(name):
    """Two sources: what the operation declares, and the derivative of its definition in elementary functions."""
    x, y = sp.symbols("x y", real=True)
    f = kept(name)(x, y) if name in ("max", "min") else getattr(sp, name, kept(name))(x)
    difference = opened(declared_partial(f, 0)) - derivative(opened(f), x)
    from chainrule.symbolic.algebra.decide import Assumptions, decide, kinks_of

    decision = decide(difference, sp.Integer(0), Assumptions(kinks=kinks_of([f])))
    assert decision.equal


# ---- errors, command line -------------------------------------------------------------------------------------------


def test_an_operation_of_the_users_own_is_known_by_its_name():
    bump = cr.elementwise("bump_of_test", lambda x: np.exp(-x * x), [lambda x, y: -2 * x * y])
    e = cr.explain(lambda x, y: bump(x) * y, 0.5, 2.0)
    assert "bump_of_test" in str(e.derivation())
    assert e.derivation().results["x"].free_symbols


def test_partials_are_written_as_in_a_textbook():
    results = cr.explain("x^y", x=2.0, y=3.0).derivation().results
    assert str(results["x"]) in ("x**(y - 1)*y", "y*x**(y - 1)")
    assert str(results["y"]) == "x**y*log(x)"
    text = str(
        cr.explain("p = softmax(z); l = -sum(y*log(p))", z=RNG.normal(size=3), y=np.array([0.0, 1, 0])).derivation()
    )
    assert "p = softmax(z)" in text
    assert "∂f/∂q = 1 " in str(cr.explain("q = x^2; f = sum(q)", x=np.ones(3)).derivation())


def test_loops_say_how_to_open_them():
    def f(x):
        return cr.scan(lambda c, _: (np.tanh(c) * 1.1, c), x, None, length=3)[0]

    e = cr.explain(f, 0.3)
    for call in (e.derivation, lambda: e.zeros("x"), e.animate, lambda: e.second("x")):
        with pytest.raises(InputError, match="open"):
            call()
    assert "tanh" in str(cr.explain(f, 0.3, open="scan").derivation())


def test_errors():
    e = cr.explain("x*y")
    with pytest.raises(InputError, match="order"):
        e.derivation("sideways")
    with pytest.raises(InputError, match="layout"):
        e.derivation(layout="rows")
    with pytest.raises(InputError, match="no variable"):
        e.second("w")
    with pytest.raises(InputError, match="for numbers"):
        cr.explain(_cost, *AT).derivation("forward")
    with pytest.raises(InputError, match="array"):
        cr.explain(_cost, *AT).second("x")


def test_the_command_line(tmp_path):
    run = CliRunner().invoke(app, ["derive", "g = x + y; g*z", "--order", "chains"])
    assert run.exit_code == 0
    assert "∂g/∂x · ∂f/∂g" in run.stdout
    run = CliRunner().invoke(
        app, ["derive", "x^3*y", "--second", "x,y", "--at", "x=2,y=3", "-o", str(tmp_path / "s.html")]
    )
    assert run.exit_code == 0
    assert "<math" in (tmp_path / "s.html").read_text(encoding="utf-8")
    assert prove("d/dx d/dy (x^3*y) = 3*x^2")
