"""Checking derivations: what is right is called right, every planted fault is found at its line, none is invented."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
from chainrule.cli import app
from chainrule.errors import FormulaError, InputError

F = "g = x + y; h = g*z; f = h + x"


@pytest.mark.parametrize(
    "claim",
    [
        "df/dx = 1 + z",
        "df/dx=z+1",
        "∂f/∂y = z",
        "d f / d z = g",
        "df/dz = x + y",
        "df/dg = z",
        "df/dh = 1",
        "dh/dx = z",
        "dg/dx = 1",
        "df/df = 1",
        "dg/dz = 0",
    ],
)
def test_right_claims_are_right(claim):
    made = cr.check(F, claim)
    assert made
    assert made.claims[0].right is True
    assert made.claims[0].exact


@pytest.mark.parametrize(
    ("claim", "why", "right"),
    [
        ("df/dx = z", "the term 1 is missing", "df/dx = z + 1"),
        ("df/dy = -z", "the sign is wrong", "df/dy = z"),
        ("df/dy = 2*z", "a factor 2 too much", "df/dy = z"),
        ("df/dz = x", "", "df/dz = g"),
        ("df/dx = 2*z + 1", "the term z is there twice", "df/dx = z + 1"),
        ("df/dy = z/2", "a factor 2 is missing", "df/dy = z"),
    ],
)
def test_wrong_claims_are_wrong_with_numbers_and_the_right_one(claim, why, right):
    made = cr.check(F, claim)
    assert not made
    wrong = made.first_wrong
    assert wrong.why == why
    assert wrong.correct == right
    assert wrong.counterexample is not None
    assert "normal form" in made.certificate()


def test_claims_of_functions_with_kinks_and_of_python_functions():
    assert cr.check("f = relu(a*x + b)", "df/dx = a*1[a*x + b > 0]", "df/db = 1[a*x + b > 0]")
    assert not cr.check("f = relu(a*x + b)", "df/dx = a")
    assert cr.check("f = log(sigma(z))", "df/dz = 1 - sigma(z)", "df/dz = sigma(-z)")

    def f(x, y):
        g = x * y
        return g**2

    assert cr.check(f, "df/dx = 2*g*y", "df/dx = 2*x*y^2")


def test_numbers_at_a_point():
    made = cr.check(F, "df/dx = -3", "df/dy = -4", "df/dz = 2", at={"x": -2, "y": 5, "z": -4})
    assert [c.right for c in made.claims] == [True, True, False]
    assert "here 3" in made.first_wrong.correct


D4D = """
sigy = 1.0 / (1 + math.exp(-y))  # (1)
num = x + sigy  # (2)
sigx = 1.0 / (1 + math.exp(-x))  # (3)
xpy = x + y  # (4)
xpysqr = xpy**2  # (5)
den = sigx + xpysqr  # (6)
invden = 1.0 / den  # (7)
f = num * invden  # (8)
dnum = invden  # (8)
dinvden = num  # (8)
dden = (-1.0 / (den**2)) * dinvden  # (7)
dsigx = (1) * dden  # (6)
dxpysqr = (1) * dden  # (6)
dxpy = (2 * xpy) * dxpysqr  # (5)
dx = (1) * dxpy  # (4)
dy = (1) * dxpy  # (4)
dx += ((1 - sigx) * sigx) * dsigx  # (3)
dx += (1) * dnum  # (2)
dsigy = (1) * dnum  # (2)
dy += ((1 - sigy) * sigy) * dsigy  # (1)
"""


def test_a_right_program_is_right_line_by_line():
    made = cr.check(D4D)
    assert made
    assert [c.line for c in made.claims] == list(range(9, 21))
    assert "through sigx" in str(made)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("(-1.0 / (den**2))", "(1.0 / (den**2))", 11, "sign"),
        ("(2 * xpy)", "xpy", 14, "factor 2 is missing"),
        ("dx += (1) * dnum", "dx = (1) * dnum", 18, "overwrites"),
        ("dx += ((1 - sigx) * sigx) * dsigx  # (3)\n", "", 17, "lost"),
        ("((1 - sigy) * sigy)", "(1 - sigy)", 20, ""),
        ("dy += ((1", "dy += dxpy + ((1", 20, ""),
        ("dx += (1) * dnum", "dx += (1) * dxpy", 18, "added already"),
        ("dnum = invden", "dnum = den", 9, ""),
        ("dinvden = num", "dinvden = -num", 10, "sign"),
        ("dsigx = (1) * dden", "dsigx = (2) * dden", 12, "factor 2 too much"),
        ("dy = (1) * dxpy", "dy = (1) * dxpysqr", 16, ""),
    ],
)
def test_every_planted_fault_is_found_at_its_line_and_no_other(old, new, line, why):
    assert old in D4D
    made = cr.check(D4D.replace(old, new, 1))
    assert [c.line for c in made.wrong] == [line]
    assert why in made.first_wrong.why
    assert made.first_wrong.correct


def test_the_other_ways_to_name_gradients():
    for names in (
        ("dfd_h", "dfd_g", "dfd_x", "dfd_y", "dfd_z"),
        ("df_dh", "df_dg", "df_dx", "df_dy", "df_dz"),
        ("h_grad", "g_grad", "x_grad", "y_grad", "z_grad"),
        ("grad_h", "grad_g", "grad_x", "grad_y", "grad_z"),
    ):
        h, g, x, y, z = names
        assert cr.check(
            f"g = x + y\nh = g*z\nf = h + x\n{h} = 1.0\n{g} = {h}*z\n{z} = {h}*g\n{x} = 1.0 + {g}*1.0\n{y} = {g}"
        )


def test_vectors_read_entry_by_entry_and_functions():
    program = """
    def f(w, x):
        dot = w[0]*x[0] + w[1]*x[1] + w[2]
        f = 1.0 / (1 + math.exp(-dot))
        ddot = (1 - f) * f
        dx0 = w[0] * ddot
        dx1 = w[1] * ddot
        dw0 = x[0] * ddot
        dw1 = x[1] * ddot
        dw2 = 1.0 * ddot
        return f, (dw0, dw1, dw2)
    """
    assert cr.check(program)
    assert not cr.check(program.replace("(1 - f) * f", "(1 - f)"))


def test_a_name_close_to_a_value_is_understood_and_said():
    assert "read as the gradient of invden" in str(cr.check(D4D.replace("dinvden", "dinven")))


def test_the_printed_program_of_chainrule_is_right():
    code = str(cr.code("(x + s(y)) / (s(x) + (x + y)^2)"))
    assert cr.check(code[code.index("def f_grad") :])


def test_forward_and_backward_as_two_texts():
    made = cr.check(F, "df_dh = 1\ndf_dg = df_dh*g")
    assert [c.right for c in made.claims] == [True, False]
    assert made.first_wrong.line == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("f = x*y",), "nothing to check"),
        (("f = x*y", "hello"), "claims no derivative"),
        (("f = x*y", "df/dw = 1"), "w is not known"),
        (("f = x*y", "df/dx = q"), "q is not known"),
        (("f = x*y", "df/dx = (y"), "never closed"),
        (("f = x*y\ng = ",), "no Python"),
        (("f = x*y\nf = f + 1",), "no backward line"),
        (("f = x*y\nfor i in x: pass",), "only assignments"),
        (("dx = 1\ndy = 2",), "no backward line"),
    ],
)
def test_errors(arguments, words):
    with pytest.raises((FormulaError, InputError), match=words):
        cr.check(*arguments)


def test_the_command_line(tmp_path):
    run = CliRunner().invoke(app, ["check", F, "df/dx = 1 + z"])
    assert run.exit_code == 0
    assert CliRunner().invoke(app, ["check", F, "df/dx = z"]).exit_code == 1
    program = tmp_path / "p.py"
    program.write_text(D4D, encoding="utf-8")
    assert CliRunner().invoke(app, ["check", str(program)]).exit_code == 0
    assert CliRunner().invoke(app, ["check", F, "df/dq = z"]).exit_code == 2
    assert CliRunner().invoke(app, ["check", F, "df/dx = -3", "--at", "x=-2,y=5,z=-4"]).exit_code == 0


def test_claims_on_random_formulas_agree_with_gradients():
    """A claim made from the recorded gradient is right, and a perturbed one is wrong."""
    rng = np.random.default_rng(1)
    parts = ["sin(x)*y", "exp(x - y)", "tanh(x*y)", "x^2/(1 + y^2)", "relu(x - y)", "log(1 + x^2)*y"]
    for _ in range(12):
        a, b = rng.choice(len(parts), 2, replace=False)
        f = f"f = {parts[a]} + {parts[b]}"
        right = cr.explain(f, wrt="x").derivation().results["x"]
        from chainrule.symbolic.algebra.printing import text
        from chainrule.symbolic.algebra.scalars import Scalars

        whole = text(Scalars(cr.explain(f).staged).written_out(right))
        assert cr.check(f, f"df/dx = {whole}")
        assert not cr.check(f, f"df/dx = {whole} + y^2")


def test_a_claimed_number_is_right_to_the_decimals_that_are_written():
    assert cr.check("f = exp(x)", "df/dx = 2.718", at={"x": 1})
    assert not cr.check("f = exp(x)", "df/dx = 2.719", at={"x": 1})
    assert cr.check("f = sqrt(x)", "df/dx = 3", at={"x": 0}).claims[0].right is None
    for at, words in (({"x": 1}, "y has none"), ({"x": float("nan")}, "no number"), ({"q": 1}, "not known")):
        with pytest.raises(InputError, match=words):
            cr.check("f = x*y", "df/dx = 3", at=at)


def test_expectations_are_no_part_of_a_claim():
    with pytest.raises(FormulaError, match="no random variable"):
        cr.check("f = x*y", "df/dx = E[y]")
