"""Indices and sizes: every bound index has its own range, sizes unify or are refused, and sums of nothing are 0."""

from __future__ import annotations

import mpmath
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("sum(i=0..n, x) = (n + 1)*x", {}),
        ("sum(i=1..n, x) = n*x", {}),
        ("sum(i=1..1000000000, x) = 1000000000*x", {}),
        ("sum(i=1..3, a[i]) = a[1] + a[2] + a[3]", {}),
        ("sum(i=1..5, x[i]) = sum(i=1..4, x[i]) + x[5]", {}),
        ("sum(i=1..n, x[i]) = sum(i=1..n-1, x[i]) + x[n]", {}),
        ("sum(i=1..n, x[i]) = x[1] + sum(i=2..n, x[i])", {}),
        ("sum(i=2..n-1, x[i]) = sum(i=1..n, x[i]) - x[1] - x[n]", dict(given="n >= 2")),
        ("sum(i=1..n, x[i]) = sum(j=0..n-1, x[j+1])", {}),
        ("sum(i=1..n, x[i]) = sum(i=1..n, x[n+1-i])", {}),
        ("sum(i=1..n-1, x[i+1] - x[i]) = x[n] - x[1]", {}),
        ("sum(i=1..m, x[i]) + sum(i=m+1..n, x[i]) = sum(i=1..n, x[i])", dict(x="n", given="m <= n")),
        ("sum(i=1..n, (i - 1)*z[i]) = sum(i=0..n-1, i*z[i+1])", {}),
        ("sum(i=1..n, i^2) = n*(n + 1)*(2*n + 1)/6", {}),
        ("sum(i=1..n, sum(j=1..m, A[i,j])) = sum(k=1..m, sum(l=1..n, A[l,k]))", {}),
        ("sum(i=1..n, sum(j=1..i, a[i]*b[j])) = sum(p=1..n, sum(q=1..p, a[p]*b[q]))", {}),
        ("sum(i=1..n, x[i])^2 = sum(i=1..n, sum(j=1..n, x[i]*x[j]))", {}),
        ("sum(i=1..K, i != j, z[i]) = sum(i=1..K, z[i]) - z[j]", dict(z="K")),
        ("sum(k=j..n, x[k]) = x[j] + sum(k=j+1..n, x[k])", dict(x="n")),
        ("d/dx[j] sum(i=2..n, x[i]) = 1[j != 1]", dict(x="n")),
        ("d/dx[j] sum(i=1..n-1, x[i+1]*x[i]) = 1[j != 1]*x[j-1] + 1[j != n]*x[j+1]", dict(x="n", given="1 < j; j < n")),
        ("d/dz[j] sum(i=1..K, softmax(z)[i]) = 0", dict(z="K")),
        ("z[j]*1[i == j] = z[i]*1[i == j]", dict(z="K")),
        ("E[sum(i=1..n, a[i])] = sum(i=1..n, E[a[i]])", dict(a="n", given="random(a)")),
    ],
)
def test_sums_over_ranges_that_agree_are_proved(statement, options):
    verdict = cr.prove(statement, **options)
    assert verdict.verdict == "proved", verdict
    assert "DISAGREES" not in str(verdict.certificate())


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("sum(i=0..n, x) = n*x", {}),
        ("sum(i=1..2, a[i]) = sum(i=1..3, a[i])", {}),
        ("sum(i=1..n, x[i]) = sum(i=2..n, x[i])", {}),
        ("sum(i=1..n, x[i]) = sum(i=1..n-1, x[i])", {}),
        ("sum(i=2..n-1, x[i]) = sum(i=1..n, x[i]) - x[1] - x[n]", {}),  # n = 1
        ("sum(i=1..n, x) = n*x + x", {}),
        ("sum(i=1..n, sum(j=1..m, A[i,j])) = sum(i=1..m, sum(j=1..n, B[i,j]))", {}),
        ("sum(i=1..n, sum(j=1..i, a[i]*b[j])) = sum(i=1..n, sum(j=1..i, a[j]*b[i]))", {}),
        ("sum(i=1..n, i*z[i]) = sum(i=0..n-1, i*z[i+1])", {}),
        ("d/dx[j] sum(i=2..n, x[i]) = 1", dict(x="n")),
        ("sum(i=1..n, sum(i=1..m, y)) = n*n*y", {}),  # the inner i is another one
        ("z[i] = z[j]", dict(z="K", given="i != j")),
        ("x[1] = x[n]", dict(x="n")),
    ],
)
def test_sums_over_other_ranges_are_refuted(statement, options):
    verdict = cr.prove(statement, **options)
    assert verdict.verdict == "refuted", verdict


@pytest.mark.parametrize(
    ("statement", "options", "words"),
    [
        ("sum(i=1..m, A[i,j]) = sum(k=1..n, A[k,j])", dict(A="n, m"), "up to m, and its indices run from 1 to n"),
        ("sum(i=1..m, x[i]) = sum(k=1..n, x[k])", {}, "up to n in one place, and up to m here"),
        ("sum(i=0..n, x[i]) = 0", {}, "down to 0"),
        ("x[i]*y[i] = 0", dict(x="n", y="m"), "of size n, and over axis 1 of y, of size m"),
        ("x[0] = 1", {}, "begin at 1"),
        ("x[i*j] = 1", {}, "an index is a name or a number"),
        ("sum(i=1..x, y) = 0 + x[1]", {}, "a variable and a size"),
        ("sum(i=1..n, i=1..m, x) = 0", {}, "bound twice"),
        ("x = 1", dict(x=0), "at least 1"),
        ("d/dn sum(i=1..n, x) = x", {}, "whole number"),
        ("softmax(z, axis=1) = z", dict(z="K"), "cannot be given here"),
        ("f(x, y) = f(x)", dict(functions="f"), "2 arguments in one place and 1 here"),
        ("f_3(x, y) = 0", dict(functions="f"), "differentiated by another"),
        ("A.T = A", dict(A="n, m"), "different sizes"),
        ("abs(x) = x", dict(given="X > 0"), "X does not occur"),
    ],
)
def test_sizes_that_do_not_unify_are_refused_with_both(statement, options, words):
    with pytest.raises(ChainruleError, match=words):
        cr.prove(statement, **options)


def test_a_condition_on_a_size_is_said():
    assert cr.prove("sum(i=1..5, x[i]) = x[5] + sum(i=1..4, x[i])", x="n").conditions == ["n >= 5"]
    assert cr.prove("x[2] + x[3] = x[3] + x[2]", x="n").conditions == ["n >= 3"]
    assert cr.prove("x[2] + x[3] = x[3] + x[2]", x="n", given="n >= 3").conditions == []


def test_an_index_may_have_the_name_of_anything():
    assert cr.prove("x + sum(x=1..3, a[x]) = sum(_1=1..3, a[_1]) + x")
    assert cr.prove("sum(b1_0=1..n, x[b1_0]) = sum(i=1..n, x[i])")


def test_the_judge_of_generated_statements_sees_what_is_wrong(monkeypatch):
    from types import SimpleNamespace

    from fuzz import statements
    from fuzz.harness import Wrong

    x, n = ("var", "x"), ("n", 0)
    total = ("sum", "i", ("", 0), n, x)
    true = statements.Case(total, ("mul", ("add", ("index", n), ("num", "1")), x))
    false = statements.Case(total, ("mul", ("index", n), x))
    assert statements.judge(true) == statements.judge(false) == "agreed"
    refuted = cr.prove(str(false))

    def says(verdict):
        monkeypatch.setattr(statements.cr, "prove", lambda *_, **__: verdict)

    says(SimpleNamespace(verdict="proved", conditions=[], tried=[]))
    assert statements.judge(true) == "agreed"
    with pytest.raises(Wrong, match="proved, and yet"):
        statements.judge(false)
    says(refuted)
    with pytest.raises(Wrong, match="where the sides are equal"):
        statements.judge(true)


# ---- assumptions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("A.T = A", dict(given="A = A.T", A="n, n")),
        ("A.T@x = A@x", dict(given="symmetric(A)", A="n, n", x="n")),
        ("d/dx (x@(A@x)) = 2*A@x", dict(given="A = A.T", A="n, n", x="n")),
        ("sum(x) = 2*sum(y)", dict(given="x = 2*y", x="n", y="n")),
        ("sum(log(x)) = -sum(log(1/x))", dict(given="x > 0", x="n")),
        ("sum(abs(x)) = sum(x)", dict(given="x > 0", x="n")),
        ("sqrt(x^2) = x", dict(given="x >= 0")),
        ("max(x, y) = y", dict(given="y >= x")),
        ("d/dz[j] softmax(z)[i] = -softmax(z)[i]*softmax(z)[j]", dict(given="i != j", z="K")),
        ("Var[a] = E[(a - E[a])^2]", dict(given="random(a)")),
        ("E[E[a]*a] = E[a]^2", dict(given="random(a)")),
        ("f_12(x, y) = f_21(x, y)", dict(functions="f")),
        ("d/dx d/dy f(x, y) = d/dy d/dx f(x, y)", dict(functions="f")),
        ("d/dx (x - x) = 0", {}),
    ],
)
def test_what_is_given_is_used(statement, options):
    assert cr.prove(statement, **options).verdict == "proved"


@pytest.mark.parametrize(
    ("statement", "options"),
    [
        ("A@B = B@A", dict(given=["A = A.T", "B = B.T"], A="n, n", B="n, n")),
        ("A = 0*A", dict(given="A = A.T", A="n, n")),
        ("sum(x) = 3*sum(y)", dict(given="x = 2*y", x="n", y="n")),
        ("Var[a] = E[a^2]", dict(given="random(a)")),
        ("f_1(x, y) = f_2(x, y)", dict(functions="f")),
    ],
)
def test_numbers_that_refute_satisfy_what_is_given(statement, options):
    verdict = cr.prove(statement, **options)
    assert verdict.verdict == "refuted"
    values = verdict.counterexample.numbers
    if "A = A.T" in str(options):
        assert not any(f"A[{k[4]}, {k[2]}]" in values and k[2] != k[5] for k in values if k[0] == "A" and k[2] < k[5])


# ---- kinks ---------------------------------------------------------------------------------------------------------------


def test_kinks_are_conditions_on_the_entries_they_speak_of():
    assert cr.prove("d/df sum(relu(f)) = 1[f > 0]", f="n").conditions == ["f[i] != 0 for i=1..n (a kink)"]
    assert cr.prove("d/df sum(abs(f)) = sign(f)", f="n").conditions == ["f[i] != 0 for i=1..n (a kink)"]
    assert cr.prove("d/df[j] sum(i=1..n, relu(f[i])) = 1[f[j] > 0]", f="n").conditions == ["f[j] != 0 (a kink)"]
    assert cr.prove("d/df sum(relu(f)) = sign(f)", f="n").verdict == "refuted"
    whole = cr.prove("d/dx sum(relu(A@x)) = A.T@1[A@x > 0]", A="n, m", x="m")
    assert whole.conditions == ["sum(j=1..m, A[i, j]*x[j]) != 0 for i=1..n (a kink)"]


# ---- budgets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "max(a,b,c,d,f,g,h,k) = max(k,h,g,f,d,c,b,a)",
        "(x + y + z + w)^90 = (x + y + z + w)^89*(x + y + z + w + x - x)",
        "9^9^9^9 = x",
        "10^(10^6) = x",
        "exp(exp(exp(exp(10)))) = x",
        "floor(exp(100000)) = x",
        "gammaln(10^9) = x",
        "x^(10^9) + x = x",
        "-" * 3000 + "x = x",
        "^".join(["x"] * 300) + " = x",
        "sum(i=1..100000000, sin(i*x)) = x",
        "0*1e400 = sin(10^30)",
    ],
)
def test_what_is_too_large_ends_in_time_without_an_exception(statement):
    verdict = cr.prove(statement, budget=0.5)
    assert verdict.verdict in ("unknown", "refuted", "proved")
    if verdict.verdict == "unknown":
        assert verdict.tried
        assert "Unknown" in str(verdict)


@pytest.mark.parametrize(
    "statement",
    ["", "=", "x =", "= x", "0/0 = 0", "1/0 = 1/0", "1/(x - x) = 1", "log(0) = 1", "(" * 10_000 + "x" + ")" * 10_000 + " = x", "x = \u0000", "🙂 = 1", "x = y = z"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(statement):
    with pytest.raises(ChainruleError):
        cr.prove(statement)


def test_many_terms_are_no_deep_nest():
    names = [f"x{k}" for k in range(400)]
    assert cr.prove(f"{' + '.join(names)} = {' + '.join(reversed(names))}")
    assert cr.prove("1/sin(2) = x").verdict == "refuted"


def test_a_budget_is_a_positive_number():
    for wrong in (0, -1, "10", True, float("nan")):
        with pytest.raises(ChainruleError, match="budget"):
            cr.prove("x = x", budget=wrong)
        with pytest.raises(ChainruleError, match="budget"):
            cr.find("x > 1", budget=wrong)
        with pytest.raises(ChainruleError, match="budget"):
            cr.check("f = x*x", "df/dx = 2*x", budget=wrong)


def test_a_budget_holds_in_any_thread_and_inside_another():
    from concurrent.futures import ThreadPoolExecutor

    from chainrule.symbolic.algebra.budget import within

    def forever():
        while True:
            sum(range(100))

    def nested():
        inner = within(0.05, forever, lambda why: why)
        assert "the time was over" in inner
        return within(0.05, lambda: within(60, forever, lambda why: "the inner one"), lambda why: "the outer one")

    before = mpmath.mp.prec, mpmath.iv.prec
    assert nested() == "the outer one"
    assert (mpmath.mp.prec, mpmath.iv.prec) == before
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: nested(), range(6))) == ["the outer one"] * 6
    assert within(5, lambda: "done", lambda why: why) == "done"


def test_checks_and_searches_have_budgets():
    f = "f = " + "*".join(f"(sin(x{k}) + {k})^{k + 2}" for k in range(12))
    made = cr.check(f, "df/dx1 = 1", "df/dx2 = x1", budget=0.2)
    assert len(made.claims) == 2
    assert not made
    hard = [f"sin({k}*a + b*c) + cos(d*{k + 1}) > 3/2" for k in range(8)]
    assert cr.find(hard, budget=0.2).verdict in ("not found", "found")
