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
    same(cr.jit(lambda *a: op(*a, **params), backend=backend)(*xs), want, "float64", 1e6)


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
    with pytest.raises(cr.InputError, match="call the function first"):
        f.schedule()
    f(np.linspace(0, 1, 1000))
    text = f.schedule()
    assert text.count("loop over 1000") == 1
    assert "roofline" in text
