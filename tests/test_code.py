"""The staged program: how it reads, and that it runs."""

import ast

import numpy as np
import pytest

import chainrule as cr


def lines_of(program):
    """The statements of the program with their numbers, comments aligned away."""
    return [" ".join(line.split()) for line in str(program).splitlines() if "#" in line]


def test_d2_reads_as_by_hand():
    def f(x, y, z):
        g = x + y
        h = g * z
        return h + x

    program = cr.code(f)
    assert str(program) == (
        "def f_grad(x, y, z):\n"
        "    # forward\n"
        "    g = x + y  # (1)\n"
        "    h = g * z  # (2)\n"
        "    f = h + x  # (3)\n"
        "    # backward\n"
        "    dx = 1.0   # (3)\n"
        "    dg = z     # (2)\n"
        "    dz = g     # (2)\n"
        "    dx += dg   # (1)\n"
        "    dy = dg    # (1)\n"
        "    return f, (dx, dy, dz)\n"
    )
    assert program.function(-2.0, 5.0, -4.0) == (-14.0, (-3.0, -4.0, 3.0))
    assert repr(program) == str(program)


def test_d4d_with_the_users_names():
    def f(x, y):
        sigy = cr.sigmoid(y)
        num = x + sigy
        sigx = cr.sigmoid(x)
        xpy = x + y
        xpysqr = xpy**2
        den = sigx + xpysqr
        invden = 1 / den
        return num * invden

    program = cr.code(f)
    assert lines_of(program) == [
        "# forward",
        "sigy = sigmoid(y) # (1)",
        "num = x + sigy # (2)",
        "sigx = sigmoid(x) # (3)",
        "xpy = x + y # (4)",
        "xpysqr = xpy ** 2 # (5)",
        "den = sigx + xpysqr # (6)",
        "invden = 1 / den # (7)",
        "f = num * invden # (8)",
        "# backward",
        "dnum = invden # (8)",
        "dinvden = num # (8)",
        "dden = -dinvden * invden / den # (7)",
        "dsigx = dden # (6)",
        "dxpysqr = dden # (6)",
        "dxpy = 2 * xpy * dxpysqr # (5)",
        "dx = dxpy # (4)",
        "dy = dxpy # (4)",
        "dx += dsigx * ((1 - sigx) * sigx) # (3)",
        "dx += dnum # (2)",
        "dsigy = dnum # (2)",
        "dy += dsigy * ((1 - sigy) * sigy) # (1)",
    ]
    value, gradients = program.function(3.0, -4.0)
    assert value == pytest.approx(f(3.0, -4.0))
    assert gradients == pytest.approx(cr.grad(f, (0, 1))(3.0, -4.0))


def test_opening_sigma():
    formula = "sigma(w0*x0 + w1*x1 + w2)"
    whole, opened = cr.code(formula), cr.code(formula, open="sigma")
    assert "sigmoid" in whole
    assert "sigmoid" not in opened
    text = "\n".join(lines_of(opened))
    for stage in ("w0x0 = w0 * x0", "mul1 = -1 * add2", "exp_mul1 = exp(mul1)", "add3 = 1 + exp_mul1", "f = 1 / add3"):
        assert stage in text
    at = (2.0, -1.0, -3.0, -2.0, -3.0)
    (a, da), (b, db) = whole.function(*at), opened.function(*at)
    assert a == pytest.approx(b) == pytest.approx(0.7310585786)
    assert da == pytest.approx(db)


def test_matrices_print_as_matrices():
    def loss(W, b, V, x, y):
        z = x @ W + b
        h = cr.relu(z)
        e = h @ V - y
        return np.sum(e**2)

    rng = np.random.default_rng(0)
    args = [rng.standard_normal(s) for s in ((3, 4), (4,), (4, 2), (5, 3), (5, 2))]
    program = cr.code(loss, *args, wrt="W,b,V")
    text = str(program)
    for line in ("dh = dhV @ V.T", "dV = h.T @ dhV", "dz = dh * (z > 0)", "db = np.sum(dz, axis=0)", "dW = x.T @ dxW"):
        assert line in " ".join(text.split())
    assert "dx " not in text
    value, gradients = program.function(*args)
    assert value == pytest.approx(loss(*args))
    for mine, engine in zip(gradients, cr.grad(loss, (0, 1, 2))(*args), strict=True):
        np.testing.assert_allclose(mine, engine, rtol=1e-12)


def test_names_from_the_source():
    def layer(x, w):
        return np.tanh(x * w)

    def f(params, x):
        h = layer(x, params["w"])
        h = layer(h, params["v"][0])
        out = h * 2
        return out

    program = cr.code(f, {"w": 0.5, "v": [1.5]}, 2.0)
    assert program.startswith("from math import tanh\n\n\ndef f_grad(w, v_0, x):")
    for stage in ("xw = x * w", "h = tanh(xw)", "h2 = tanh(mul1)", "out = h2 * 2", "return out, (dw, dv_0, dx)"):
        assert stage in program


def test_names_of_formulas_and_collisions():
    program = cr.code("g = x + dx; h = g*g; h + g", x=1, dx=2)
    assert program.function(1.0, 2.0) == (12.0, (7.0, 7.0))
    program = cr.code("exp = x*y; np = exp + x; np^2", x=1, y=2)
    assert program.function(1.0, 2.0)[0] == 9.0
    program = cr.code("f = x^2; f")
    assert program.function(3.0) == (9.0, 6.0)


def test_nothing_dead_nothing_times_one():
    def f(x, y):
        unused = np.exp(y)
        value = x * 1.0 + 0.0
        return value + unused * 0.0 if y > 100 else value

    text = cr.code(f, 2.0, 3.0, wrt="x")
    assert "exp" not in text
    assert "dy" not in text
    backward = text.split("# backward")[1]
    assert " * 1" not in backward
    assert "1.0 *" not in backward


def test_vector_valued_functions_take_a_cotangent():
    program = cr.code("W @ x", W=np.ones((2, 3)), x=np.ones(3))
    assert "def f_grad(W, x, df):" in program
    value, (dW, dx) = program.function(np.ones((2, 3)), np.ones(3), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(dW, [[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(dx, [3, 3, 3])


def test_accumulation_does_not_alias():
    """`dx = dg` then `dx += ...` must not change dg, though both are arrays."""

    def f(x, y):
        g = x + y
        return np.sum(g * y + np.sin(x)) + np.sum(g.reshape(3, 1) ** 2)

    x, y = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])
    _, gradients = cr.code(f, x, y).function(x, y)
    for mine, engine in zip(gradients, cr.grad(f, (0, 1))(x, y), strict=True):
        np.testing.assert_allclose(mine, engine)


def test_large_constants_become_arguments():
    data = np.linspace(0, 1, 100)
    program = cr.code(lambda x: np.sum((data - x) ** 2), 0.3)
    assert list(program.constants) == ["c1"]
    value, gradient = program.function(0.3)
    assert value == pytest.approx(np.sum((data - 0.3) ** 2))
    assert gradient == pytest.approx(cr.grad(lambda x: np.sum((data - x) ** 2))(0.3))


@pytest.mark.parametrize(
    "formula",
    [
        "x / y / (x - y)", "x - (y - x) - -y", "-(x + y)^2", "(-x)^2 + 2^-x", "x^y^0.5", "(x^y)^2", "log(x) / -y", "-x / (y * x)",
        "max(x, y) * min(x, y)", "1[x > y] * x", "clip(x, 0.1, y)", "atan2(x, y) + hypot(x, y)", "softplus(x) + log_sigmoid(y)",
        "gelu(x) + silu(y)", "erf(x) + lgamma(y)", "abs(x - y) * sign(x)", "leaky_relu(x - y)", "where(x > y, x, y^2)", "mod(x, y)",
        "asinh(x) * atanh(x/2) + acosh(1 + y)", "log2(x) + log10(y) + log1p(x) + expm1(y) + exp2(x)", "cbrt(x) + sqrt(y) + square(x)",
        "heaviside(x, 0.5) * y + rect(x) + floor(y) * x", "fmax(x, y) + logaddexp(x, y)", "deg2rad(x) + tan(y)", "reciprocal(x)*cos(y)",
    ],
)  # fmt: skip
def test_every_form_runs_and_agrees(formula):
    f = cr.parse(formula)
    at = {"x": 0.83, "y": 1.37}
    args = [at[v] for v in f.variables]
    program = cr.code(formula)
    ast.parse(program)
    for values in (args, [np.array([v, v / 2]) for v in args]):
        p = cr.code(f, *values)
        ct = (np.array([1.0, -0.5]),) if np.ndim(values[0]) else ()
        value, gradients = p.function(*values, *ct)
        out, pullback = cr.vjp(f, *values)
        np.testing.assert_allclose(value, out, rtol=1e-12)
        gradients = gradients if len(args) > 1 else (gradients,)
        for mine, engine in zip(gradients, pullback(ct[0] if ct else 1.0), strict=True):
            np.testing.assert_allclose(mine, engine, rtol=1e-9, atol=1e-12)


def test_every_operation_can_be_printed():
    """Each declared operation, in a program of its own, printed, run and compared."""
    from test_operations import OPS, as_function, differentiable, points

    for op in OPS:
        cases = op.examples or [([(2,)] * (len(getattr(op, "partials", ())) or op.inputs), {})]
        for shapes, params in cases:
            xs = points(op, shapes, seed=1)
            free = differentiable(op, xs)
            if not free or 0 in np.shape(op(*xs, **params)):
                continue
            f = as_function(op, xs, params, free)
            args = [xs[k] for k in free]
            out, pullback = cr.vjp(lambda *a: np.sum(f(*a) * 1.7), *args)
            program = cr.code(lambda *a: np.sum(f(*a) * 1.7), *args)
            value, gradients = program.function(*args)
            np.testing.assert_allclose(value, out, rtol=1e-9, err_msg=op.name)
            gradients = gradients if len(args) > 1 else (gradients,)
            for mine, engine in zip(gradients, pullback(1.0), strict=True):
                np.testing.assert_allclose(mine, engine, rtol=1e-9, atol=1e-12, err_msg=f"{op.name}\n{program}")


def test_branches_need_a_point():
    def f(x):
        return x**2 if x > 0 else -x

    assert "x ** 2" in cr.code(f, 2.0)
    with pytest.raises(cr.TraceError, match="give the point"):
        cr.code(f)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.code("x + y", wrt="q"), "no variable 'q'"),
        (lambda: cr.code("x + y", open="exp"), "cannot open 'exp': it is primitive"),
        (lambda: cr.code("x + y", open="nothing"), "no operation"),
        (lambda: cr.code(lambda x: 3.0), "does not depend"),
        (lambda: cr.code(lambda x: (x, x)), "returned a tuple"),
        (lambda: cr.code(lambda x: x > 1, 2.0), "returned bool"),
        (lambda: cr.code(42), "expected a function"),
        (lambda: cr.code(lambda x: x, 3), "integer"),
    ],
)
def test_clear_errors(call, message):
    with pytest.raises(cr.ChainruleError, match=message):
        call()
