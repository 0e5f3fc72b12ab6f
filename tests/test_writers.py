"""The writers: C compiled by gcc, torch functions under gradcheck, graphs handed to jax and torch; all give the same numbers."""

import ctypes
import importlib.util
import shutil
import subprocess

import numpy as np
import pytest
from test_native import cases, same
from test_operations import points

import chainrule as cr

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
R = np.random.default_rng(0)


def mlp(W, b, x):
    z = x @ W + b
    h = np.tanh(z)
    return np.sum(h**2)


def piecewise(x, y):
    a = cr.relu(x) + np.maximum(x, y) * np.abs(y)
    b = np.where(x > y, x * y, np.sin(x))
    return np.sum(a * b) + np.max(x)


def pieces(x):
    y = x[1:] * x[:-1]
    z = np.concatenate([y[::-1], x[:1]])
    z[1] += 2 * x[0]
    return np.sum(cr.softmax(z) * x)


def einsum(A, B):
    return np.sum(np.einsum("kij,nkj->nki", A, B) ** 2)


def gather(x, W):
    rows = np.array([0, 2, 1, 2])
    return np.sum(W[rows] * x) + np.mean(np.log1p(x * x))


PROGRAMS = {
    "mlp": (mlp, {"W": R.standard_normal((3, 2)), "b": R.standard_normal(2), "x": R.standard_normal((4, 3))}),
    "piecewise": (piecewise, {"x": R.standard_normal(5), "y": R.standard_normal(5)}),
    "pieces": (pieces, {"x": R.standard_normal(6)}),
    "einsum": (einsum, {"A": R.standard_normal((2, 3, 4)), "B": R.standard_normal((5, 2, 4))}),
    "gather": (gather, {"x": R.standard_normal((4, 3)), "W": R.standard_normal((3, 3))}),
    "d4d": (cr.parse("(x + s(y)) / (s(x) + (x + y)^2)"), {"x": 3.0, "y": -4.0}),
    "vector": (lambda x, y: np.tanh(x) * y, {"x": R.standard_normal(3), "y": R.standard_normal(3)}),
}  # fmt: skip


def cotangent(f, values):
    shape = np.shape(f(**values))
    return None if shape == () else np.ones(shape)


def gradients(f, values):
    out, pullback = cr.vjp(lambda *a: f(**dict(zip(values, a, strict=True))), *values.values())
    return out, pullback(np.ones(np.shape(out))[()])


@needs_gcc
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_c_compiles_without_warnings_and_agrees(tmp_path, name, dtype):
    f, values = PROGRAMS[name]
    if dtype == "f4" and name == "d4d":
        pytest.skip("Python floats are doubles")
    values = {k: np.asarray(v, dtype) if np.ndim(v) else v for k, v in values.items()}
    code = cr.code(f, lang="c", **values)
    (tmp_path / "f.c").write_text(str(code))
    done = subprocess.run(
        ["gcc", "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", tmp_path / "f.so", tmp_path / "f.c", "-lm"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{code}"
    out, grads = gradients(f, values)
    inputs = [np.ascontiguousarray(v) for v in values.values()]
    if np.shape(out):
        inputs.append(np.ones(np.shape(out), dtype))
    results = [np.empty(np.shape(r), np.asarray(r).dtype) for r in (out, *grads)]
    function = getattr(ctypes.CDLL(str(tmp_path / "f.so")), code.name)
    function(*(ctypes.c_void_p(a.ctypes.data) for a in (*inputs, *results)))
    for a, b in zip(results, (out, *grads), strict=True):
        same(a, b, np.dtype(dtype), 256)


@needs_gcc
def test_c_of_a_loop(tmp_path):
    def f(x):
        return np.sum(cr.fori_loop(0, 20, lambda i, c: c * 0.9 + np.sin(x), x))

    x = np.array([0.3, 0.4])
    (tmp_path / "f.c").write_text(str(cr.code(f, x, lang="c")))
    subprocess.run(
        ["gcc", "-std=c99", "-shared", "-fPIC", "-o", tmp_path / "f.so", tmp_path / "f.c", "-lm"], check=True
    )
    value, gradient = np.empty(1), np.empty(2)
    ctypes.CDLL(str(tmp_path / "f.so")).f_grad(*(ctypes.c_void_p(a.ctypes.data) for a in (x, value, gradient)))
    want = cr.value_and_grad(f)(x)
    np.testing.assert_allclose(value[0], want[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, want[1], rtol=1e-12)


def in_c(tmp_path, program, inputs, results):
    """Compile a program without a warning, call it, and give its status."""
    (tmp_path / "f.c").write_text(str(program))
    done = subprocess.run(
        ["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", tmp_path / "f.so", tmp_path / "f.c", "-lm"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\n{program}"
    arrays = [np.ascontiguousarray(x) for x in inputs]
    function = getattr(ctypes.CDLL(str(tmp_path / "f.so")), program.name)
    return function(*(ctypes.c_void_p(a.ctypes.data) for a in (*arrays, *results)))


@needs_gcc
@pytest.mark.parametrize(
    ("formula", "point"),
    [
        ("2*x + 3*y", {"x": 1.0, "y": 2.0}), ("x", {"x": 3.0}), ("x + 0*y", {"x": 3.0, "y": 2.0}), ("int*double + i*v3 + t1", dict.fromkeys(["int", "double", "i", "v3", "t1"], 2.0)),
        ("np.exp(exp)*NAN", {"exp": 0.5, "NAN": 2.0}), ("β*Δx", {"β": 2.0, "Δx": 3.0}), ("x // 0.7 + x % 0.7", {"x": -2.0}), ("x' * x'", {"x_prime": 3.0}),
        ("sum + step*k + status + a", dict.fromkeys(["sum", "step", "k", "status", "a"], 2.0)), ("f*df", {"f": 2.0, "df": 3.0}), ("sign(x)*round(y)", {"x": -0.0, "y": 2.5}),
    ],
)  # fmt: skip
def test_any_formula_in_c(tmp_path, formula, point):
    try:
        f = cr.parse(formula)
    except cr.FormulaError:
        f = eval(f"lambda {', '.join(point)}: {formula}")
    program = cr.code(f, lang="c", **point)
    value, gradients = np.empty(1), [np.empty(1) for _ in point]
    in_c(tmp_path, program, list(point.values()), [value, *gradients])
    want, slopes = cr.value_and_grad(f, tuple(range(len(point))))(*point.values())
    assert value[0] == pytest.approx(want)
    np.testing.assert_allclose(np.ravel(gradients), slopes)


@needs_gcc
def test_c_says_where_it_is_not_right(tmp_path):
    def f(x):
        size = x @ x
        if size > 1:
            return x[0] * size if np.any(x > 2) else size
        return x[1]

    program = cr.code(f, np.array([1.0, 3.0]), lang="c")
    assert "1: it was printed for size > 1 (test_writers.py:" in program
    for x, status in (([1.0, 3.0], 0), ([4.0, 0.1], 0), ([0.1, 0.2], 1), ([1.5, 1.0], 2)):
        x = np.array(x)
        value, gradient = np.zeros(1), np.zeros(2)
        assert in_c(tmp_path, program, [x], [value, gradient]) == status
        if status:
            assert np.isnan([*value, *gradient]).all()
        else:
            np.testing.assert_allclose(value, f(x))
            np.testing.assert_allclose(gradient, cr.grad(f)(x))


@needs_gcc
def test_c_says_where_an_index_is_out_of_range(tmp_path):
    def f(x, table):
        return np.sum(table[np.floor(x).astype(int)] * x)

    table = np.array([2.0, 3.0, 5.0])
    program = cr.code(f, np.array([0.5, 1.5]), table, lang="c")
    for x, status in (([2.5, -1.0], 0), ([3.5, 0.0], -1), ([0.0, -4.0], -1), ([np.nan, 0.0], -1), ([1e300, 0.0], -1)):
        value, gradients = np.zeros(1), [np.zeros(2), np.zeros(3)]
        assert in_c(tmp_path, program, [np.array(x), table], [value, *gradients]) == status
        assert np.isnan(value[0]) == bool(status)
        if not status:
            np.testing.assert_allclose(value, f(np.array(x), table))


@needs_gcc
def test_c_is_in_single_precision_where_the_program_is(tmp_path):
    text = str(cr.code(lambda x: np.sum(np.sin(x) * 0.1 + np.exp(x)), np.ones(3, "f4"), lang="c"))
    assert "sinf(" in text
    assert "0.1f" in text
    assert "double" not in text


def test_what_c_cannot_say_is_named():
    with pytest.raises(cr.InputError, match=r"cannot be written in C: .*cumsum"):
        cr.code(lambda x: np.sum(np.cumsum(x) ** 2), np.ones(3), lang="c")
    with pytest.raises(cr.InputError, match="no language"):
        cr.code("x*y", lang="fortran")


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: run PEERS=1 make test"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed: run PEERS=1 make test"
)


@pytest.mark.peers
@needs_torch
@pytest.mark.parametrize("name", PROGRAMS)
def test_torch_functions_pass_gradcheck(name):
    import torch

    f, values = PROGRAMS[name]
    code = cr.code(f, lang="torch", **values)
    namespace = {}
    exec(str(code), namespace)
    given = [torch.tensor(np.asarray(v, float), requires_grad=True) for v in values.values()]
    assert torch.autograd.gradcheck(namespace[code.name].apply, given), str(code)
    np.testing.assert_allclose(namespace[code.name].apply(*given).detach(), f(**values), rtol=1e-12)


def torch_function(code):
    namespace = {}
    exec(str(code), namespace)
    return namespace[code.name].apply


@pytest.mark.peers
@needs_torch
def test_a_torch_program_stays_in_single_precision_and_takes_any_batch():
    import torch

    def loss(W, b, x):
        z = x @ W + b
        h = np.where(z > 0, z, 0.1 * z)
        return np.sum(h * np.array([0.3, 0.7]) + (h > 1) * 0.1)

    call = torch_function(cr.code(loss, np.ones((3, 2)), np.zeros(2), np.ones((4, 3)), wrt="W,b", lang="torch"))
    rng = np.random.default_rng(0)
    for n in (1, 4, 9):
        given = [rng.standard_normal(s).astype("f4") for s in ((3, 2), (2,), (n, 3))]
        tensors = [torch.tensor(g, requires_grad=k < 2) for k, g in enumerate(given)]
        value = call(*tensors)
        value.backward()
        assert value.dtype == tensors[0].grad.dtype == torch.float32
        want, slopes = cr.value_and_grad(loss, (0, 1))(*(g.astype(float) for g in given))
        np.testing.assert_allclose(value.item(), want, rtol=1e-5)
        for t, slope in zip(tensors[:2], slopes, strict=True):
            np.testing.assert_allclose(t.grad, slope, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="other shapes"):
        call(*tensors[:2], torch.ones(4, 2))


@pytest.mark.peers
@needs_torch
def test_a_torch_program_says_what_it_was_printed_for():
    import torch

    call = torch_function(
        cr.code(lambda x: np.sum(x * x) if np.any(x > 2) else x[0], np.array([1.0, 3.0]), lang="torch")
    )
    assert float(call(torch.tensor([3.0, 1.0]))) == 10
    with pytest.raises(ValueError, match=r"printed for torch.any\(x > 2\)"):
        call(torch.tensor([1.0, 1.0]))
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="first derivatives"):  # a second derivative would be wrong
        torch.autograd.grad(call(x), x, create_graph=True)


@pytest.mark.peers
@needs_jax
@pytest.mark.parametrize("name", PROGRAMS)
def test_jax_programs_agree(name):
    import jax

    f, values = PROGRAMS[name]
    program = cr.code(f, lang="jax", **values)
    out, grads = gradients(f, values)
    seed = [np.ones(np.shape(out))] if np.shape(out) else []
    with jax.enable_x64(True):
        for run in (program.function, jax.jit(program.function)):
            value, found = run(*values.values(), *seed)
            np.testing.assert_allclose(value, out, rtol=1e-12)
            for a, b in zip(found if len(values) > 1 else [found], grads, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.peers
@needs_jax
def test_a_jax_program_says_what_it_was_printed_for():
    import jax

    program = cr.code(lambda x: x * x if x > 0 else x, 3.0, lang="jax")
    assert program.function(2.0) == (4.0, 4.0)
    with pytest.raises(ValueError, match="printed for x > 0"):
        program.function(-2.0)
    with pytest.raises(jax.errors.TracerBoolConversionError):  # under jit jax itself refuses what it cannot check
        jax.jit(program.function)(2.0)


UNWRITTEN = {"jax": (), "torch": ("phase",)}


@pytest.mark.peers
@pytest.mark.parametrize("backend", [pytest.param("jax", marks=needs_jax), pytest.param("torch", marks=needs_torch)])
@pytest.mark.parametrize(("op", "shapes", "params"), list(cases()))
def test_every_operation_is_handed_over(op, shapes, params, backend):
    xs = [np.asarray(x) for x in points(op, shapes)]
    want = op(*xs, **params)
    if isinstance(want, tuple) or np.asarray(want).dtype.kind == "c":
        pytest.skip("no array")
    if backend == "jax" and any(x.dtype == bool for x in xs[1:]) and "index" in params:
        pytest.skip("jax has no arrays whose shape depends on values")
    f = cr.jit(lambda *a: op(*a, **params), backend=backend)
    if op.name in UNWRITTEN[backend]:
        with pytest.raises(cr.InputError, match="cannot be written"):
            f(*xs)
        return
    same(f(*xs), want, "float64", 1e6)


@pytest.mark.peers
@pytest.mark.parametrize("backend", [pytest.param("jax", marks=needs_jax), pytest.param("torch", marks=needs_torch)])
def test_gradients_and_loops_are_handed_over(backend):
    for name, (f, values) in PROGRAMS.items():
        if name == "vector":
            continue
        g = cr.value_and_grad(f, tuple(range(len(values))))
        for a, b in zip(_flat(cr.jit(g, backend=backend)(*values.values())), _flat(g(*values.values())), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)
    loop = lambda x: cr.fori_loop(0, 7, lambda i, c: c * 0.9 + np.sin(x) * i, x).sum()
    x = np.array([0.3, 0.4])
    np.testing.assert_allclose(cr.jit(loop, backend=backend)(x), loop(x), rtol=1e-6)
    wh = lambda x: cr.while_loop(lambda c: c < 100, lambda c: c * 2, x)
    assert float(cr.jit(wh, backend=backend)(3.0)) == 192
    branch = lambda x: cr.cond(x.sum() > 0, lambda x: x * 2, lambda x: x * 3, x).sum()
    np.testing.assert_allclose(cr.jit(branch, backend=backend)(x), branch(x), rtol=1e-6)
    np.testing.assert_allclose(cr.jit(branch, backend=backend)(-x), branch(-x), rtol=1e-6)


def _flat(x):
    return [y for part in x for y in _flat(part)] if isinstance(x, tuple) else [x]


def test_unknown_backends_are_refused():
    with pytest.raises(cr.InputError, match="no backend"):
        cr.jit(lambda x: x, backend="gpu")


def test_the_schedule_says_what_became_one_loop():
    f = cr.jit(cr.value_and_grad(lambda x: np.sum(np.tanh(x) * np.exp(-x * x))))
    assert "when it is first called" in f.schedule()
    f(np.linspace(0, 1, 1000))
    text = f.schedule()
    assert text.count("loop over 1000") == 1
    assert "roofline" in text
