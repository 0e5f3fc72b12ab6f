"""The staged program: how it reads, and that it runs."""

import ast

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct


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
        if op.name == "eig":  # of complex numbers there are no programs
            continue
        cases = op.examples or [([(2,)] * (len(getattr(op, "partials", ())) or op.inputs), {})]
        for shapes, params in cases:
            xs = points(op, shapes, seed=1)
            free = differentiable(op, xs)
            if not free or (not isinstance(op, cr.ops.Primitive) and 0 in np.shape(op(*xs, **params))):
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


# ---- what a program was printed for -----------------------------------------------------------------------------


def mean_of_positive(x):
    return np.mean(x[x > 0])


def by_name(x):
    return x * {"True": 2.0, "False": 5.0}[f"{x > 1}"]


def rounds(x):
    for _ in range(int(x)):
        x = x * 1.1
    return x


def until(x):
    while x < 10:
        x = x * 2
    return x


def halted(x):
    with ct.no_grad():
        top = np.max(x)
    return np.sum(x - top)


V = np.array([1.0, -2.0, 3.0])
QUESTIONS = [  # a function, where it is printed, where the program still is right, where it says that it is not
    (lambda x: x if x > 0 else -x, -3.0, -1.0, 2.0),
    (lambda x: x * 2 if 0 < x < 5 else x, 1.0, 4.0, 7.0),
    (lambda x: np.sum(x) if np.any(x > 2) else x[0], V, -V * 2, np.zeros(3)),
    (lambda x: np.sum(x) if np.all(x > -3) else x[0], V, V / 2, V * 2),
    (lambda x: x[int(np.argmax(x))] * 2, V, V * 2, -V),
    (lambda x: np.sum(x[np.nonzero(x > 0)[0]] ** 2), V, V * 2, -V),
    (lambda x: np.count_nonzero(x > 0) * x[0], V, V * 2, -V),
    (mean_of_positive, V, V[::-1].copy(), -V),
    (by_name, 3.0, None, 0.5),
    (rounds, 2.5, None, 3.5),
    (until, 3.0, 4.0, 1.0),
    (lambda x: x * 3 if bool(x.value > 2) else x, 2.5, None, 1.0),
    (lambda x: max(x, 1.0) * 2, 3.0, 2.0, 0.5),
    (lambda x: sorted([x, 1.0])[0] ** 2, 0.3, 0.4, 2.0),
]


@pytest.mark.parametrize(("f", "at", "same", "other"), QUESTIONS)
def test_a_program_carries_the_conditions_it_was_printed_under(f, at, same, other):
    program = cr.code(f, at)
    for point in (at, same):
        if point is not None:
            value, gradient = program.function(point)
            want, slope = cr.value_and_grad(f)(point)
            assert value == pytest.approx(want)
            np.testing.assert_allclose(gradient, slope)
    with pytest.raises(ValueError, match=r"this program was printed for .*print it again"):
        program.function(other)


def test_a_condition_reads_like_the_users():
    def f(x):
        h = x * 2
        if h > 1:
            return h**2
        return h

    line = f.__code__.co_firstlineno + 2
    assert [" ".join(text.split()) for text in str(cr.code(f, 3.0)).splitlines()] == [
        "def f_grad(x):",
        "# forward",
        "h = x * 2 # (1)",
        "if not h > 1:",
        f'raise ValueError("this program was printed for h > 1 (test_code.py:{line}: if h > 1:); print it again at the new point")',
        "f = h ** 2 # (2)",
        "# backward",
        "dh = 2 * h # (2)",
        "dx = 2 * dh # (1)",
        "return f, dx",
    ]


def test_what_is_only_asked_is_written_without_a_number():
    def f(x):
        size = np.sqrt(np.sum(x * x))
        if size > 1:
            return np.sum(x)
        return x[0]

    program = cr.code(f, np.array([1.0, 2.0]))
    assert "    size = np.sqrt(np.sum(x * x))\n    if not size > 1:\n" in program
    with pytest.raises(ValueError, match="size > 1"):
        program.function(np.array([0.1, 0.2]))


def test_nothing_is_asked_where_no_point_is_given():
    for f in (lambda x: x * int(x), lambda x: x * 2 if x.value > 0 else x, lambda x: x * float(f"{x}")):
        with pytest.raises(cr.TraceError, match="give the point"):
            cr.code(f)


def test_values_that_stop_gradients_are_computed_anew():
    program = cr.code(halted, V)
    np.testing.assert_allclose(program.function(V * 2)[0], halted(V * 2))


def test_shapes_and_dtypes_are_said_and_checked():
    def f(W, x):
        return np.sum(np.tanh(x @ W)) / len(x)

    W, x = np.ones((3, 2)), np.ones((4, 3))
    program = cr.code(f, W, x)
    assert "# printed for W: f64[3, 2], x: f64[4, 3]" in program
    for bad in ((W, np.ones((5, 3))), (np.ones((3, 3)), x), (W, np.ones((4, 3), int))):
        with pytest.raises(ValueError, match="other shapes or dtypes"):
            program.function(*bad)


def test_the_length_of_a_batch_is_free_where_the_program_is_the_same():
    def loss(W, x, y):
        return np.sum((np.tanh(x @ W) - y) ** 2)

    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, 2))
    program = cr.code(loss, W, rng.standard_normal((4, 3)), rng.standard_normal((4, 2)))
    assert "# printed for W: f64[3, 2], x: f64[n, 3], y: f64[n, 2]" in program
    for n in (1, 4, 9):
        x, y = rng.standard_normal((n, 3)), rng.standard_normal((n, 2))
        value, gradients = program.function(W, x, y)
        want, slopes = cr.value_and_grad(loss, (0, 1, 2))(W, x, y)
        assert value == pytest.approx(want)
        for a, b in zip(gradients, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    for bad in ((W, np.ones((4, 3)), np.ones((5, 2))), (W, np.ones((4, 2)), np.ones((4, 2)))):
        with pytest.raises(ValueError, match="other shapes"):
            program.function(*bad)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x) / len(x), lambda x: np.sum(x) / x.shape[0], lambda x: np.mean(x), lambda x: np.sum(x) * x.size,
        lambda x: sum(e * 2 for e in x), lambda x: np.sum(x) if np.ndim(x) == 1 else x, lambda x: np.sum(x * np.arange(3.0)),
        lambda x: np.sum(x) if x.sum() > 0 else x[0], lambda x: np.prod(x), lambda x: np.sum(x) * np.size(x),
    ],
)  # fmt: skip
def test_the_length_is_not_free_where_the_program_may_depend_on_it(f):
    program = cr.code(f, np.array([1.0, 2.0, 4.0]))
    assert "x: f64[3]" in program
    with pytest.raises(ValueError, match="other shapes"):
        program.function(np.ones(4))


def test_constants_are_named():
    data = np.linspace(0, 1, 100)
    program = cr.code(lambda x, n, flag: np.sum((data * n - x) ** 2) if flag else x, 0.3, 2, True)
    assert "# printed for x: f64, c1: f64[100] a constant, n = 2 a constant, flag = True a constant" in program


def test_results_that_are_arguments():
    assert cr.code("x").function(3.0) == (3.0, 1.0)
    assert cr.code(lambda x, y: y, 1.0, 2.0).function(5.0, 6.0) == (6.0, (0.0, 1.0))
    value, (dx, dy) = cr.code(lambda x, y: x, V, V).function(V, 2 * V, np.ones(3))
    np.testing.assert_array_equal(dx, np.ones(3))
    np.testing.assert_array_equal(dy, np.zeros(3))


@pytest.mark.parametrize(
    "source",
    [
        "def f(el, ef): return el * ef", "def f(exp, log): return np.exp(exp) * np.log(log)", "def f(sin, np_): return np.sin(sin) * np_",
        "def f(x, dx): return x * dx", "def f(df, f_grad): return df * f_grad", "def f(t1, t2): return np.hypot(t1, t2) * t1", "def f(β, x1): return β * x1",
        "def f(sigmoid, maximum): return cr.sigmoid(sigmoid) * np.maximum(maximum, 0.1)", "def f(E, N): return E * N", "def f(lambda_, int): return lambda_ ** 2 * int",
        "def f(scatter, index_set): return np.tanh(scatter) * index_set", "def f(math, special): return cr.erf(math) * special", "def f(ddx, x): return ddx * x * x",
        "def f(self, cls): return self / cls", "def f(_, __): return _ * __", "def f(ctx, torch): return ctx * torch",
    ],
)  # fmt: skip
def test_any_name_of_the_users(source):
    namespace = {"np": np, "cr": cr}
    exec(source, namespace)
    f = namespace["f"]
    for point in ((0.7, 1.3), (np.array([0.7, 0.2]), np.array([1.3, 0.4]))):
        value, pullback = cr.vjp(f, *point)
        seed = [np.ones(2)] if np.ndim(value) else []
        got, found = cr.code(f, *point).function(*point, *seed)
        np.testing.assert_allclose(got, value)
        for a, b in zip(found, pullback(*(seed or [1.0])), strict=True):
            np.testing.assert_allclose(a, b)


def test_numbers_that_are_not_finite_are_written():
    odd = np.array([np.nan, np.inf, -0.0, 5e-324])
    value, gradient = cr.code(lambda x: np.sum(x[2:] * odd[2:]) + x[0] * -np.inf, np.ones(4)).function(np.ones(4))
    np.testing.assert_array_equal(gradient, [-np.inf, 0, 0, 5e-324])
    assert value == -np.inf
    _, gradient = cr.code(lambda x: np.sum(x * odd), np.ones(4)).function(np.ones(4))
    np.testing.assert_array_equal(gradient, odd)


@pytest.mark.parametrize(
    "formula",
    [
        "max(x, y)",
        "max(y, x)",
        "min(x, y)",
        "min(y, x)",
        "sign(x)*y",
        "clip(x, 0, 1)*y",
        "heaviside(x, 1)*y",
        "relu(x)*y",
    ],
)
def test_scalar_programs_keep_nan(formula):
    assert np.isnan(cr.code(formula).function(float("nan"), 2.0)[0])


def test_scalar_programs_make_no_complex_numbers():
    program = cr.code("x^0.5 + y^(1/3)")
    with pytest.raises(ValueError, match="math domain error"):
        program.function(-8.0, 1.0)
    assert program.function(4.0, 8.0)[0] == pytest.approx(4.0)


def test_options_of_operations_are_written():
    x = np.array([[3.0, 1.0], [2.0, 5.0], [0.0, 9.0]])
    for f in (
        lambda x: np.sum(np.argmax(x, axis=0) * x),
        lambda x: np.sum(np.argmin(x, axis=1) * x[:, 0]),
        lambda x: np.sum(np.sort(x, axis=0)[0]),
        lambda x: np.sum(x[np.argsort(x, axis=0)[:, 1]] * x),
        lambda x: cr.leaky_relu(-x[0, 0], slope=0.3),
    ):
        for point in (x, x[::-1] * 2):
            value, gradient = cr.code(f, x).function(point)
            want, slope = cr.value_and_grad(f)(point)
            assert value == pytest.approx(want)
            np.testing.assert_allclose(gradient, slope)
    assert cr.code("leaky_relu(x, slope=0.3)").function(-1.0) == (-0.3, 0.3)


def test_a_limited_loop_ends():
    program = cr.code(lambda x: cr.while_loop(lambda c: c < 100, lambda c: c * 2, x, max_steps=9), 3.0)
    assert program.function(3.0)[0] == 192.0
    with pytest.raises(ValueError, match="still holds after 9 steps"):
        program.function(1e-9)


def test_programs_in_single_precision_stay_there():
    x = np.array([1.0, -2.0, 3.0], "f4")
    program = cr.code(lambda x: np.sum((x > 0) * np.tanh(x) * 0.3) + x[0] * (x[1] > 5), x)
    value, gradient = program.function(x)
    assert value.dtype == gradient.dtype == np.float32


def test_a_program_of_thousands_of_statements():
    def f(x):
        for k in range(2500):
            x = np.sin(x) if k % 2 else x * 1.01
        return x

    assert cr.code(f, 0.5).function(0.5) == pytest.approx(cr.value_and_grad(f)(0.5))
