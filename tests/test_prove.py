"""Proofs: what holds is proved, what does not is refuted with numbers, and nothing is said wrongly."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli import app
from chainrule.errors import ChainruleError, FormulaError, InputError
from chainrule.symbolic.algebra.interval import Undefined, enclosure
from chainrule.symbolic.algebra.meaning import DEFINITIONS, SHOWN, opened

PROVED = [
    "tanh(z) = 2*sigma(2*z) - 1",
    "d/dz tanh(z) = 1 - tanh(z)^2",
    "d/dz sigma(z) = sigma(z)*(1 - sigma(z))",
    "∂/∂z sigma(z) = exp(-z)/(1 + exp(-z))^2",
    "d/dz[j] softmax(z)[j] = sum(i=1..K, i != j, exp(z[i] + z[j])) / sum(i=1..K, exp(z[i]))^2",
    "d/dz[j] softmax(z)[i] = softmax(z)[i]*(1[i == j] - softmax(z)[j])",
    "d/dz[j] logsumexp(z) = softmax(z)[j]",
    "d/df (y - f)^2 = 2*(f - y)",
    "d/df (-(1 - y)*log(1 - sigma(f)) - y*log(sigma(f))) = sigma(f) - y",
    "d/dx tanh(x) = 4*s(2*x)*(1 - s(2*x))",
    "softplus(x) - softplus(-x) = x",
    "relu(x) - relu(-x) = x",
    "max(x, y) = (x + y + abs(x - y))/2",
    "max(x, max(y, z)) = max(max(x, y), z)",
    "abs(x)*abs(y) = abs(x*y)",
    "relu(relu(x) - 1) = relu(x - 1)",
    "clip(x, 0, 1) = relu(x) - relu(x - 1)",
    "d/dx abs(x) = sign(x)",
    "sin(2*x) = 2*sin(x)*cos(x)",
    "sin(x + pi/2) = cos(x)",
    "sin(x)^2 + cos(x)^2 = 1",
    "cosh(x)^2 - sinh(x)^2 = 1",
    "arcsinh(sinh(x)) = x",
    "d/dx arctan(x) = 1/(1 + x^2)",
    "d/dx erf(x) = 2/sqrt(pi)*exp(-x^2)",
    "erf(-x) = -erf(x)",
    "sqrt(8) = 2*sqrt(2)",
    "sqrt(x^2) = abs(x)",
    "log(x^2*y) = 2*log(x) + log(y)",
    "x^(y + 1) = x*x^y",
    "d/dx d/dx (x^4) = 12*x^2",
    "d/dx log(d/dy (x*y^2)) = 1/x",
    "sum(i=1..K, i*z[i]) = sum(j=1..K, z[j]*j)",
    "z[i] + i = i + z[i]",
]
REFUTED = [
    "tanh(z) = 2*sigma(z) - 1",
    "tanh(z) = -2/(exp(z) + 1) + 1",
    "d/dz sigma(z) = exp(-z)/(1 + exp(-z))",
    "d/dz tanh(z) = 1 - tanh(z)",
    "d/dz[j] softmax(z)[j] = softmax(z)[j]^2",
    "d/df (y - f)^2 = f - y",
    "sqrt(x^2) = x",
    "log(x*y) = log(x) + 2*log(y)",
    "relu(x) = x",
    "max(x, y) = x",
    "abs(x + y) = abs(x) + abs(y)",
    "sin(x) = x",
    "floor(x) = x",
    "x*y = x + y + z",
    "z[i]*i = z[i]",
]


@pytest.mark.parametrize("statement", PROVED)
def test_what_holds_is_proved(statement):
    verdict = cr.prove(statement)
    assert verdict.verdict == "proved"
    assert verdict
    assert "Proved" in str(verdict)
    assert "DISAGREES" not in " ".join(verdict.certificate().values())


@pytest.mark.parametrize("statement", REFUTED)
def test_what_does_not_hold_is_refuted_with_numbers(statement):
    verdict = cr.prove(statement)
    assert verdict.verdict == "refuted"
    c = verdict.counterexample
    assert c.left.b < c.right.a or c.right.b < c.left.a


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("d/dh (beta + Omega@h) = Omega.T", dict(Omega="n, m", h="m", beta="n")),
        ("d/dh (beta + Omega@h) = Omega", dict(Omega="n, m", h="m", beta="n", layout="numerator")),
        (
            "d/dOmega l(beta + Omega@h) = outer(l'(beta + Omega@h), h)",
            dict(functions="l", Omega="n,m", h="m", beta="n"),
        ),
        ("d/dA (x@(A@y)) = outer(x, y)", dict(x="n", y="m", A="n, m")),
        ("d/dx (x@(A@x)) = (A + A.T)@x", dict(x="n", A="n, n")),
        ("trace(A@B) = trace(B@A)", dict(A="n, m", B="m, n")),
        ("(A@B).T = B.T@A.T", dict(A="n, m", B="m, k")),
        ("(A@B)@C = A@(B@C)", dict(A="n, m", B="m, k", C="k, p")),
        ("d/dh (W2@(W1@h)) = (W2@W1).T", dict(W1="n, m", W2="p, n", h="m")),
        ("d/dx (W1@x + W2@x) = (W1 + W2).T", dict(W1="n, m", W2="n, m", x="m")),
        ("sum(softmax(z)) = 1", dict(z="K")),
        ("logsumexp(z + c) = c + logsumexp(z)", dict(z="K")),
        ("d/dx sum(x^2) = 2*x", dict(x="n")),
        ("d/dx mean(x) = 1/n + 0*x", dict(x="n")),
        ("d/dx f(g(x), h(x)) = f_1(g(x), h(x))*g'(x) + f_2(g(x), h(x))*h'(x)", dict(functions="f, g, h")),
        (
            "d/dz f(softmax(z)) = softmax(z)*(f'(softmax(z)) - dot(f'(softmax(z)), softmax(z)))",
            dict(functions="f", z="K"),
        ),
        ("E[relu(a)^2] = s^2/2", dict(given=["symmetric(a)", "Var[a] = s^2"])),
        ("E[relu(a)] = E[abs(a)]/2", dict(given="symmetric(a)")),
        ("E[3*a^3 + b] = b", dict(given="symmetric(a)")),
        ("Var[c*a] = c^2*Var[a]", dict(given="random(a)")),
        ("sqrt(x^2) = x", dict(given="x > 0")),
        ("abs(x - y) = y - x", dict(given="x < y")),
    ],
)
def test_vectors_matrices_expectations_and_assumptions(statement, options):
    assert cr.prove(statement, **options).verdict == "proved"


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("d/dh (beta + Omega@h) = Omega", dict(Omega="n, n", h="n", beta="n")),
        ("A@B = B@A", dict(A="n, n", B="n, n")),
        ("d/dx (x@(A@x)) = 2*A@x", dict(x="n", A="n, n")),
        ("d/dx f(g(x), h(x)) = f_1(g(x), h(x))*g'(x)", dict(functions="f, g, h")),
        ("E[relu(a)^2] = s^2", dict(given=["symmetric(a)", "Var[a] = s^2"])),
        ("sqrt(x^2) = -x", dict(given="x > 0")),
    ],
)
def test_vectors_matrices_expectations_refuted(statement, options):
    assert cr.prove(statement, **options).verdict == "refuted"


def test_conditions_are_stated():
    assert cr.prove("log(x*y) = log(x) + log(y)").conditions == ["x > 0", "y > 0"]
    assert cr.prove("x/x = 1").conditions == ["x != 0"]
    assert cr.prove("d/dx abs(x) = sign(x)").conditions == ["x != 0 (a kink)"]
    assert cr.prove("d/dz sigma(z) = sigma(z)*(1 - sigma(z))").conditions == []


def test_steps_can_be_read():
    verdict = cr.prove("d/dz sigma(z) = sigma(z)*(1 - sigma(z))")
    text = str(verdict)
    assert "sigma(x) = 1/(1 + exp(-x))" in text
    assert "by definition" in text
    assert "the power rule" in text
    assert "<math" in verdict.html()
    assert r"\sigma" in verdict.latex()
    assert "$$" in verdict.markdown()
    assert "Case x > 0" in str(cr.prove("relu(x) - relu(-x) = x"))


def test_the_certificate_names_independent_ways():
    certificate = cr.prove("d/dz tanh(z) = 1 - tanh(z)^2").certificate()
    assert set(certificate) == {"normal form", "interval arithmetic", "differences"}
    assert "agrees at 12" in certificate["interval arithmetic"]


def test_what_cannot_be_decided_is_unknown():
    verdict = cr.prove("arctan(x) + arctan(1/x) = pi/2", given="x > 0")
    assert verdict.verdict == "unknown"
    assert not verdict
    assert verdict.tried


def test_what_is_defined_nowhere_is_not_proved():
    assert cr.prove("log(x) = log(-x)").verdict == "unknown"
    assert cr.prove("(-8)^(1/3) = 2").verdict == "unknown"


def test_random_variables_may_depend_on_each_other():
    assert cr.prove("E[a*b] = 0", given="symmetric(a, b)").verdict == "refuted"
    assert cr.prove("E[a*b] = E[a]*E[b]", given="random(a, b)").verdict == "refuted"
    assert cr.prove("E[a + b] = E[a] + E[b]", given="random(a, b)").verdict == "proved"
    assert cr.prove("E[a*b] = E[b*a]", given="symmetric(a, b)").verdict == "proved"


def test_an_assumption_is_not_divided_by_what_may_be_zero():
    assert cr.prove("b = c", given="a*b = a*c").verdict == "refuted"
    assert cr.prove("b = c", given=["a*b = a*c", "a > 0"]).verdict == "proved"
    assert cr.prove("a*b + d = a*c + d", given="a*b - a*c = 0").verdict != "refuted"


def test_the_simplest_numbers_are_found():
    assert cr.prove("sqrt(x^2) = x").counterexample.values == {"x": "-1"}


@pytest.mark.parametrize(
    ("statement", "options", "words"),
    [
        ("tahn(z) = 1", {}, "did you mean"),
        ("tanh(z)", {}, "states nothing"),
        ("tanh(z) == 1", {}, "states nothing"),
        ("tanh(z = 1", {}, "never closed"),
        ("d/dw tanh(z) = 1", {}, "w does not occur"),
        ("sum(i, exp(w)) = 1", {}, "no range"),
        ("A@x = x", dict(A="n, m", x="k"), "do not fit"),
        ("softmax(z) = 1", {}, "needs a vector"),
        ("d/dx floor(x) = 0", {}, "no derivative"),
        ("E[a] = 0", {}, "no variable is random"),
        ("x = x", dict(y="n"), "does not occur"),
        ("x = x", dict(layout="rows"), "layout"),
        ("x = x", dict(given="hello"), "no assumption"),
        ("z[i] + z[i, j] = 0", {}, "indices"),
        ("z[0] = z[1]", {}, "begin at 1"),
        ("sqrt(-1) = x", {}, "no real value"),
    ],
)
def test_bad_statements_are_errors_that_point_at_the_place(statement, options, words):
    with pytest.raises(ChainruleError, match=words):
        cr.prove(statement, **options)


def test_the_place_is_marked():
    with pytest.raises(FormulaError) as error:
        cr.prove("tanh(z) = 2*sgima(2*z) - 1")
    assert "^  (column 13)" in str(error.value)
    assert "sigma" in str(error.value)


# ---- laws -------------------------------------------------------------------------------------------------------

LEAVES = st.sampled_from(["x", "y", "1", "2", "x", "3"])


def _grown(inner):
    unary = st.sampled_from(["exp({})", "sigma({})", "tanh({})", "relu({})", "abs({})", "({})^2", "sin({})", "-({})"])
    binary = st.sampled_from(["({} + {})", "({} - {})", "{}*{}", "max({}, {})"])
    return st.one_of(
        st.builds(lambda t, a: t.format(a), unary, inner),
        st.builds(lambda t, a, b: t.format(f"({a})", f"({b})"), binary, inner, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, _grown, max_leaves=4)


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS)
def test_an_expression_equals_itself_written_otherwise(e):
    assert cr.prove(f"{e} = ({e})*sigma(x) + ({e})*sigma(-x)").verdict == "proved"


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.sampled_from(["1", "x", "y^2", "exp(x)", "relu(x)", "abs(y)"]))
def test_an_expression_never_equals_itself_and_more(e, more):
    assert cr.prove(f"{e} = {e} + {more}").verdict == "refuted"


@settings(max_examples=30, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS)
def test_verdicts_agree_with_numbers(a, b):
    verdict = cr.prove(f"{a} = {b}")
    f, g = cr.parse(a), cr.parse(b)
    points = np.random.default_rng(0).uniform(-2, 2, (40, 2))

    def at(h, p):
        return float(h(**{k: v for k, v in zip("xy", p, strict=True) if k in h.variables}))

    if not all(math.isclose(at(f, p), at(g, p), rel_tol=1e-9, abs_tol=1e-9) for p in points):
        assert verdict.verdict != "proved"
    if verdict.verdict == "refuted":
        numbers = {str(s): float(v) for s, v in verdict.counterexample.numbers.items()}
        point = (numbers.get("x", 0.0), numbers.get("y", 0.0))
        assert at(f, point) != at(g, point)


@pytest.mark.parametrize("op", [op for op in SHOWN if not op.keeps], ids=lambda op: op.name)
def test_the_meaning_of_every_operation_is_its_value(op):
    name = op.name
    domain = op.domain or ((0.1, 0.9), (0.2, 0.8), (0.3, 0.7))
    if op.infix and op.infix[1] == 5:
        domain = domain[:2]
    count = (
        SHOWN[op].__code__.co_argcount - len(SHOWN[op].__defaults__ or ())
        if hasattr(SHOWN[op], "__code__")
        else 2
        if name in ("maximum", "minimum", "fmax", "fmin", "heaviside")
        else 1
    )
    rng = np.random.default_rng(3)
    params = {"n": 1} if name == "polygamma" else {}
    for _ in range(5):
        at = [sp.Rational(str(round(rng.uniform(*domain[k % len(domain)]), 3))) for k in range(count)]
        if name.startswith("logical") or name in ("indicator", "where"):
            at[0] = sp.Integer(int(rng.integers(2)))
        numbers = [float(v) for v in at]
        if name.startswith("logical") or name in ("indicator", "where"):
            numbers[0] = bool(numbers[0])
        if name.startswith("logical") and count == 2:
            at[1], numbers[1] = sp.Integer(1), True
        symbols = [sp.Symbol(f"a{k}", real=True) for k in range(count)]
        meant = opened(SHOWN[op](*symbols, **params)).subs(dict(zip(symbols, at, strict=True)))
        assert complex(meant.evalf(30)).real == pytest.approx(float(op.value(*numbers, **params)), rel=1e-9)


def test_every_definition_is_an_identity_of_numbers():
    x = sp.Rational(7, 10)
    known = {
        "tanh": math.tanh(0.7),
        "sigma": 1 / (1 + math.exp(-0.7)),
        "softplus": math.log1p(math.exp(0.7)),
        "sinh": math.sinh(0.7),
        "atanh": math.atanh(0.7),
        "asinh": math.asinh(0.7),
        "acos": math.acos(0.7),
        "tan": math.tan(0.7),
    }
    for name, value in known.items():
        assert float(DEFINITIONS[name](x)) == pytest.approx(value, rel=1e-14)


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, st.integers(-30, 30), st.integers(-30, 30))
def test_enclosures_hold_the_value(e, p, q):
    from chainrule.symbolic.reading.statements import read_statement

    expression = opened(read_statement(f"{e} = 0", {}, (), "denominator").left.scalar)
    x, y = sp.Symbol("x", real=True), sp.Symbol("y", real=True)
    try:
        box = enclosure(expression, {x: sp.Rational(p, 7), y: sp.Rational(q, 11)})
    except Undefined:
        return
    f = cr.parse(e)
    value = float(f(**{k: v for k, v in (("x", p / 7), ("y", q / 11)) if k in f.variables}))
    if math.isfinite(value) and abs(value) < 1e200:
        slack = 1e-9 * (1 + abs(value))
        assert mpmath.mpf(box.a) - slack <= value <= mpmath.mpf(box.b) + slack


# ---- the command line ---------------------------------------------------------------------------------------------


def _run(*args):
    return CliRunner().invoke(app, ["prove", *args])


def test_the_exit_code_says_the_verdict(tmp_path):
    proved = _run("tanh(z) = 2*sigma(2*z) - 1")
    assert proved.exit_code == 0
    assert "Proved." in proved.stdout
    refuted = _run("sqrt(x^2) = x")
    assert refuted.exit_code == 1
    assert "x = -1" in refuted.stdout
    assert _run("arctan(x) + arctan(1/x) = pi/2", "--given", "x > 0").exit_code == 3
    assert _run("tahn(z) = 1").exit_code == 2
    shaped = _run("d/dh (W@h) = W.T", "--shape", "W=nxm,h=m", "-o", str(tmp_path / "p.html"))
    assert shaped.exit_code == 0
    assert "<math" in (tmp_path / "p.html").read_text(encoding="utf-8")
    assert _run("f(x) = f(x)", "--functions", "f").exit_code == 0


def test_input_that_is_no_text_is_an_error():
    with pytest.raises(InputError):
        cr.prove(3)
