"""The command line: what it prints, and one clear message with exit code 2 on bad input."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app

runner = CliRunner()


def run(*args, code=0):
    result = runner.invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


FILE = """
import numpy as np

def f(x, y, z):
    g = x + y
    h = g * z
    return h + x

def vector(x, n: int = 2):
    return np.sum(x ** n)

def branch(x):
    return x if x > 0 else -x

def broken(x):
    return x[5]

def raising(x):
    raise RuntimeError("mine")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "user.py"
    path.write_text(FILE)
    return path


def test_explain():
    out = run("explain", "(x + y)*z + x", "--at", "x=-2,y=5,z=-4")
    assert "xpy = x + y" in out
    assert "-14" in out


def test_explain_a_file(file):
    out = run("explain", f"{file}:f", "--at", "x=-2,y=5", "--at", "z=-4", "--wrt", "x,z")
    assert "g = x + y" in out
    assert "return f, (dx, dz)" in out


def test_grad():
    assert run("grad", "(x + y)*z + x", "--at", "x=-2,y=5,z=-4").splitlines() == [
        "f = -14.0",
        "df/dx = -3.0",
        "df/dy = -4.0",
        "df/dz = 3.0",
    ]
    data = json.loads(run("grad", "x^2", "--at", "x=3", "--format", "json"))
    assert data == {"value": 9.0, "gradients": {"x": 6.0}}


def test_the_gradient_of_an_array_is_refused():
    assert "returns an array of shape (2,), not a single number" in run("grad", "x^2", "--at", "x=[1,2]", code=2)
    assert "df/dx" in run("grad", "sum(x^2)", "--at", "x=[1,2]")


def test_printed_conditions(file):
    out = run("code", f"{file}:branch", "--at", "x=-2")
    assert "this program was printed for not x > 0 (user.py:13: return x if x > 0 else -x)" in out
    for lang in ("torch", "jax", "c"):
        assert "printed for not x > 0" in run("code", f"{file}:branch", "--at", "x=-2", "--lang", lang)
    assert "choose python, torch, jax or c" in run("code", "x", "--lang", "fortran", code=2)


def test_arrays(tmp_path, file):
    np.save(tmp_path / "data.npy", np.arange(3.0))
    (tmp_path / "data.csv").write_text("0,1,2\n")
    (tmp_path / "data.json").write_text("[0, 1, 2]")
    for source in ("[0,1,2]", *(f"@{tmp_path}/data{s}" for s in (".npy", ".csv", ".json"))):
        assert "df/dx = [0., 2., 4.]" in run("grad", "sum(x^2)", "--at", f"x={source}")
    assert "dvector/dx = [0., 3.]" in run("grad", f"{file}:vector", "--at", "x=[0,1],n=3")


def test_code_runs():
    out = run("code", "(x + s(y)) / (s(x) + (x + y)^2)", "--open", "divide")
    namespace = {}
    exec(out, namespace)
    value, _ = namespace["f_grad"](3.0, -4.0)
    assert value == pytest.approx(1.5456448841066441)
    assert "z = Wx" not in run("code", "W @ x", "--shape", "W=2x3,x=3")


@pytest.mark.parametrize("suffix", ["svg", "png", "dot", "mmd"])
def test_draw(tmp_path, suffix):
    path = tmp_path / f"graph.{suffix}"
    assert str(path) in run("draw", "(x + y)*z + x", "--at", "x=-2,y=5,z=-4", "-o", path, "--partials").replace(
        "\n", ""
    )
    assert path.stat().st_size > 100


@pytest.mark.parametrize(
    ("format", "start"), [("md", "# f"), ("html", "<!doctype html>"), ("json", "{"), ("text", "x*y")]
)
def test_formats(tmp_path, format, start):
    assert run("explain", "x*y", "--at", "x=1,y=2", "--format", format).startswith(start)
    run("explain", "x*y", "--at", "x=1,y=2", "--format", format, "-o", tmp_path / "out")
    assert (tmp_path / "out").read_text().startswith(start)
    run("explain", "x*y", "--at", "x=1,y=2", "-o", tmp_path / "out.html")
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


def test_check_grad(file):
    assert "agree to order 3" in run("check-grad", "log(1 + exp(x))", "--at", "x=0.5", "--order", "3")
    assert "agree" in run("check-grad", f"{file}:f", "--at", "x=1,y=2,z=3")
    assert "the point lies on a kink" in run("check-grad", "abs(x)", "--at", "x=0", code=2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["explain", "(x + ) * 2"], "unexpected ')'"),
        (["explain", "x + y", "--at", "x=1"], "missing a required argument: 'y'"),
        (["explain", "x + y", "--at", "x=1,y=2,q=3"], "unexpected keyword argument 'q'"),
        (["explain", "x", "--at", "x"], "name=value"),
        (["explain", "x", "--at", "x=one"], "cannot read 'one'"),
        (["explain", "x", "--at", "x=[[1],[1,2]]"], "rows must have the same length"),
        (["explain", "x", "--at", "x=@nothing.npy"], "no file nothing.npy"),
        (["explain", "x", "--at", 'x="a"'], "no number"),
        (["explain", "nothing.py:f"], "no file nothing.py"),
        (["explain", "nothing.py"], "which function"),
        (["explain", "x", "--wrt", "q"], "no variable 'q'"),
        (["explain", "x", "--open", "exp"], "primitive"),
        (["explain", "W@x", "--shape", "W=ax"], "--shape W=3x2"),
        (["draw", "x*y", "-o", "graph.bmp"], "use one of"),
        (["draw", "x*y", "-o", "/nowhere/graph.svg"], "nowhere"),
        (["grad", "x*y"], "no point was given"),
        (["grad", "x", "--at", "x=1", "--format", "html"], "text or json"),
        (["grad", "x @ y", "--at", "x=[1,2],y=[1,2,3]"], "mismatch"),
        (["explain", "x", "--format", "docx"], "docx"),
        (["grad", "x*2", "--at", "x=1,5"], "cannot read '5'"),
        (["grad", "x*2", "--at", "x=1e400"], "beyond the range"),
        (["grad", "x*2", "--at", "x=1e-400"], "beyond the range"),
        (["grad", "x*2", "--at", "x=[1, 1e400]"], "beyond the range"),
        (["grad", "x*2", "--at", "x=1_000"], "cannot read '1_000'"),
        (["grad", "x*2", "--at", "x=１"], "cannot read '１'"),
        (["grad", "x*2", "--at", "x=1/2"], "cannot read '1/2'"),
        (["grad", "x*2", "--at", "x=1,x=2"], "x is given twice"),
        (["grad", "x*2", "--at", "x=[1,null]"], "holds null"),
        (["grad", "x*2", "--at", "x=[true]"], "holds true"),
        (["grad", "x*2", "--at", "x={}"], "the value of x is a dict"),
        (["explain", "x*y", "-o", "a.svg", "--format", "md"], "does not go into a.svg"),
        (["derive", "x*y", "--second", "x,y,x"], "by one or two variables"),
        (["derive", "x*y", "--second", "x", "--order", "chains"], "in one order"),
        (["check", "f=x²", "df/dx = 6", "--at", "y=3"], "not known"),
        (["check", "f=x²", "df/dx = 6", "--at", "x=[3]"], "no number"),
        (["check", "f=x²", "df/dx = 2x"], "write products with *"),
        (["explain"], "Missing argument"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_input(args, message):
    assert message in " ".join(run(*args, code=2).replace("│", " ").split())


def test_bad_files(tmp_path, file):
    assert "has no function 'q'" in " ".join(run("explain", f"{file}:q", code=2).split())
    out = run("explain", f"{file}:broken", "--at", "x=[1,2]", code=2)
    assert "out of bounds" in out
    assert "return x[5]" in out
    assert "give the point" in run("code", f"{file}:branch", code=2)
    bad = tmp_path / "bad.py"
    bad.write_text("def f(:\n")
    assert "SyntaxError" in run("explain", f"{bad}:f", code=2)


def test_a_failure_of_the_users_function_is_told_with_its_line(file):
    out = run("grad", f"{file}:raising", "--at", "x=1", code=2)
    assert "RuntimeError: mine" in out
    assert 'raise RuntimeError("mine")' in out


def test_files_that_hold_no_real_numbers(tmp_path):
    np.save(tmp_path / "complex.npy", np.array([1 + 2j]))
    np.save(tmp_path / "text.npy", np.array(["a"]))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "object.json").write_text('{"a": 1}')
    (tmp_path / "ragged.csv").write_text("1,2\n3\n")
    for name in ("complex.npy", "text.npy", "empty.csv", "object.json", "ragged.csv"):
        assert run("grad", "sum(x)", "--at", f"x=@{tmp_path / name}", code=2).startswith("error")


def test_formulas_are_read_alike_by_every_command():
    for text in ("2x", "sin x", "sin²(x)", "df/dx", "x₁ + x1", "exp[x]", "x^T"):
        for command in (["explain", text], ["code", text], ["draw", text], ["derive", text], ["prove", f"{text} = 1"], ["check", text, "df/dx = 1"]):  # fmt: skip
            assert run(*command, code=2).startswith("error")
    assert "2 * x" in run("code", "x²")
    assert "Proved" in run("prove", "x² = x·x")
    assert "All right" in run("check", "f = x²", "df/dx = 2·x")


def test_version_and_help():
    assert run("--version").startswith("chainrule ")
    for command in ("explain", "code", "draw", "grad", "check-grad"):
        assert "Example" in run(command, "--help")


def test_as_a_program_piped_and_without_colour(tmp_path):
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "chainrule", "explain", "(x + y)*z + x", "--at", "x=-2,y=5,z=-4"],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "f     mul1 + x   -14    1" in done.stdout
    done = subprocess.run([sys.executable, "-m", "chainrule", "explain", "(x"], capture_output=True, text=True, env=env)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: this '(' is never closed")
