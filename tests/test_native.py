"""Native code: every operation and program gives what NumPy gives, on every dtype, at the edges too."""

import importlib
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from programs import programs
from test_operations import OPS, differentiable, points, with_free
from test_properties import numbers, tame

import chainrule as cr
from chainrule.compile.native.engine import llvm
from chainrule.compile.native.program import native
from chainrule.compile.native.steps import CallStep, ScanStep
from chainrule.ops.kinds import Elementwise

jit_module = importlib.import_module("chainrule.compile.jit")
pytestmark = pytest.mark.skipif(llvm() is None, reason="llvmlite is not installed")
BY_NUMPY = {  # what native code leaves to NumPy: whole, for some examples, or in the pullback; every other call fails the test
    **{k: (k,) for k in (
        "argmax", "argmin", "argsort", "cumsum", "roll", "bitwise_or", "bitwise_xor", "bitwise_and", "left_shift", "right_shift", "invert",
        "rounded", "polygamma", "digamma", "float_power", "sign",
    )},
    **dict.fromkeys(("real", "imag", "conj", "angle", "make_complex", "phase"), ("real", "imag", "conj", "angle", "complex", "phase")),
    "digamma": ("digamma", "polygamma"), "einsum": ("einsum ",), "gammaln": ("digamma",), "getitem": ("boolean index",), "scatter": ("boolean index",),
    "index_set": ("boolean index",), "index_add": ("boolean index",),
}  # fmt: skip


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Why NumPy was called, in all that a test compiles."""
    found = []

    def compiled(*args):
        made = native(*args)
        found.extend(f"{n.op.name}: {why}" for s in every(made.plan) for n, why in s.reasons.items())
        return made

    monkeypatch.setattr(jit_module, "native", compiled)
    return found


def every(plan):
    """The calls of a plan, in its loops too."""
    for s in plan.steps:
        if isinstance(s, CallStep):
            yield s
        elif isinstance(s, ScanStep):
            yield from every(s.body)


def same(a, b, dtype, ulps=64, least=1e-30):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    if a.dtype.kind == "f":
        scale = np.max(np.abs(b[np.isfinite(b)]), initial=least)
        np.testing.assert_allclose(a, b, rtol=ulps * np.finfo(dtype).eps, atol=ulps * np.finfo(dtype).eps * scale)
    else:
        np.testing.assert_array_equal(a, b)


def cases():
    for op in OPS:
        count = len(op.domain) if op.domain else len(op.partials) if isinstance(op, Elementwise) else op.inputs or 1
        for k, (shapes, params) in enumerate(op.examples or [([(2, 3)] * count, {})]):
            yield pytest.param(op, shapes, params, id=f"{op.name}-{k}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "shapes", "params"), list(cases()))
def test_every_operation_and_its_pullback(op, shapes, params, dtype, calls):
    xs = [x.astype(dtype) if np.asarray(x).dtype.kind == "f" else x for x in points(op, shapes)]
    xs = [x if isinstance(x, np.ndarray) else np.asarray(x) for x in xs]
    want = op(*xs, **params)
    if isinstance(want, tuple) or np.asarray(want).dtype.kind == "c":
        pytest.skip("no array")
    same(cr.jit(lambda *a: op(*a, **params))(*xs), want, dtype)
    free = list(differentiable(op, xs))
    if free and np.asarray(want).dtype.kind == "f":
        ct = np.random.default_rng(1).standard_normal(np.shape(want)).astype(np.asarray(want).dtype)
        f = with_free(op, xs, params, free)
        back = lambda *a: cr.vjp(f, *a)[1](ct)
        at = [xs[k] for k in free]
        for a, b in zip(cr.jit(back)(*at), back(*at), strict=True):
            same(
                a, b, dtype, 256, least=1.0 if op.name == "phase" else 1e-30
            )  # its derivative is a difference that is zero
    for why in calls:
        factored = isinstance(op, cr.ops.Primitive) or op.name == "independent"
        assert factored or any(text in why for text in BY_NUMPY.get(op.name, ())), why


@settings(max_examples=60, deadline=None)
@given(programs(vector=True, size=25), numbers, numbers)
def test_random_programs(program, a, b):
    source, f = program
    x, y = np.array([a, b, 0.3]), np.array([b, 0.7, a])
    with np.errstate(all="ignore"):
        want, gradients = cr.value_and_grad(f, (0, 1))(x, y)
        assume(tame(want, gradients))
        got = cr.jit(cr.value_and_grad(f, (0, 1)))
        for _ in range(2):  # the general call, then the native entry
            value, found = got(x, y)
            np.testing.assert_allclose(value, want, rtol=1e-9, atol=1e-9, err_msg=source)
            for c, d in zip(found, gradients, strict=True):
                np.testing.assert_allclose(c, d, rtol=1e-8, atol=1e-8, err_msg=source)


FUNCTIONS = {
    "exp": (np.exp, -760, 720), "expm1": (np.expm1, -50, 720), "log": (np.log, 0, 1e300), "log1p": (np.log1p, -1, 1e10),
    "tanh": (np.tanh, -30, 30), "sigmoid": (cr.sigmoid, -760, 760), "softplus": (cr.softplus, -760, 760),
}  # fmt: skip


def exact(name_, x):
    import mpmath

    with mpmath.workprec(160):
        z = mpmath.mpf(float(x))
        return {
            "exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "log1p": mpmath.log1p, "tanh": mpmath.tanh,
            "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)), "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
        }[name_](z)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name_", FUNCTIONS)
def test_transcendental_functions_to_two_units_in_the_last_place(name_, dtype):
    pytest.importorskip("mpmath")
    import mpmath

    function, low, high = FUNCTIONS[name_]
    info = np.finfo(dtype)
    rng = np.random.default_rng(0)
    if name_ == "log":
        x = np.exp(rng.uniform(np.log(float(info.smallest_subnormal)), np.log(float(info.max)), 2000))
        x = np.concatenate([x, rng.uniform(0.5, 2, 1000), 1 + rng.standard_normal(500) * 1e-5])
    else:
        scale = min(high, float(info.max) ** 0.9)
        x = np.concatenate(
            [rng.uniform(max(low, -110 if dtype == "float32" else low), min(scale, 95 if dtype == "float32" else scale), 1000),
             rng.uniform(-1, 1, 1000), rng.standard_normal(1000) * 10.0 ** rng.uniform(-20, 0, 1000)]
        )  # fmt: skip
    x = x.astype(dtype)
    x = x[(x > -1) | (name_ not in ("log1p",))]
    with np.errstate(all="ignore"):  # tracing runs NumPy's
        got = cr.jit(lambda x: function(x))(x)
    worst = 0.0
    for a, y in zip(x, got, strict=True):
        want = exact(name_, a)
        if abs(want) > float(info.max):
            assert np.isinf(y)
            continue
        ulp = max(float(np.spacing(np.abs(np.asarray(float(want), dtype)))), float(info.smallest_subnormal))
        worst = max(worst, abs(float((mpmath.mpf(float(y)) - want) / ulp)))
    assert worst <= 2, worst


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges_are_numpys(dtype, calls):
    info = np.finfo(dtype)
    edges = np.array(
        [
            0.0,
            -0.0,
            np.inf,
            -np.inf,
            np.nan,
            1,
            -1,
            info.max,
            -info.max,
            info.tiny,
            info.smallest_subnormal,
            -info.tiny,
            0.5,
            -0.5,
            1e4,
            -1e4,
        ],
        dtype,
    )
    unary = [
        np.exp, np.expm1, np.log, np.log1p, np.tanh, cr.sigmoid, cr.softplus, cr.log_sigmoid, np.sqrt, np.abs, np.sign, np.floor, np.ceil,
        np.rint, np.trunc, np.square, np.isnan, np.isinf, np.isfinite, np.signbit, cr.relu, np.sin, np.cos, np.arctan, cr.erf, cr.rect,
        np.reciprocal,
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        for f in unary:
            want, got = f(edges), cr.jit(lambda x: f(x))(edges)
            np.testing.assert_allclose(got, want, rtol=8 * info.eps, err_msg=str(f))
            if want.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]), err_msg=str(f))
        a, b = (np.array(v, dtype) for v in zip(*itertools.product(edges, edges), strict=True))
        for f in (np.add, np.multiply, np.divide, np.maximum, np.minimum, np.fmax, np.fmin, np.copysign, np.logaddexp, np.greater, np.equal,
                  np.not_equal, np.less_equal, np.hypot, np.arctan2, np.power, np.heaviside):  # fmt: skip
            np.testing.assert_allclose(cr.jit(lambda a, b: f(a, b))(a, b), f(a, b), rtol=8 * info.eps, err_msg=str(f))
        for x in (edges, np.array([np.nan, 1], dtype), np.array([1, np.nan], dtype)):
            for f in (np.max, np.min, np.sum):
                np.testing.assert_array_equal(cr.jit(lambda x: f(x))(x), f(x))
    assert not calls


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 31, 4095, 4096, 4097, 10_001])
def test_lengths_around_vectors_and_blocks(n):
    x = np.random.default_rng(0).standard_normal(n).astype("f4")
    f = lambda x: (np.sum(x * x), np.tanh(x), np.sum(x > 0))
    for a, b in zip(cr.jit(f)(x), f(x), strict=True):
        same(a, b, "float32")


def test_sums_are_accurate():
    x = np.random.default_rng(0).random(1_000_001).astype("f4")
    assert cr.jit(np.sum)(x) == pytest.approx(float(np.sum(x, dtype=float)), rel=3e-7)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 1), (2, 0, 3)])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 2), (1, 2)])
def test_reductions_over_any_axes_of_strided_arrays(shape, axis):
    x = np.random.default_rng(0).standard_normal(shape)
    for f in (np.sum, np.mean, np.max):
        if 0 in shape and f is not np.sum:
            continue
        g = lambda x: f(np.transpose(x, (2, 0, 1)) * 2, axis=axis)
        same(cr.jit(g)(x), g(x), "float64")


def test_not_contiguous_and_foreign_arrays():
    f = cr.jit(lambda x: x * 2 + 1)
    whole = np.arange(24.0).reshape(4, 6)
    for x in (
        whole,
        whole.T,
        whole[::2],
        whole[:, ::-1],
        whole[1:3, 2:4],
        np.asfortranarray(whole),
        whole.astype(">f8"),
    ):
        np.testing.assert_array_equal(f(x), x * 2 + 1)
    g = cr.jit(lambda x, i: x[i])
    np.testing.assert_array_equal(g(np.arange(3.0), np.array([1, -1])), [1, 2])
    for bad in ([1, 3], [0, -4]):
        with pytest.raises(cr.ShapeError, match="out of range"):
            g(np.arange(3.0), np.array(bad))


def test_loops_are_compiled_whole(calls):
    def f(x):
        return cr.fori_loop(0, 50, lambda i, c: c * 0.9 + np.sin(x) * i, x)

    x = np.array([0.3, 0.4])
    same(cr.jit(f)(x), f(x), "float64")
    g = lambda x: cr.scan(lambda c, row: (c + row, c * row), np.zeros(2), x)
    rows = np.random.default_rng(0).standard_normal((7, 2))
    for a, b in zip(cr.jit(g)(rows), g(rows), strict=True):
        same(a, b, "float64")
    h = lambda x: cr.while_loop(lambda c: c[0] < 100, lambda c: (c[0] * 2, c[1] + 1), (x, 0.0))
    assert cr.jit(h)(3.0) == h(3.0)
    assert not calls
    x64 = np.array([0.3, 0.4])
    np.testing.assert_allclose(
        cr.jit(cr.grad(lambda x: f(x).sum()))(x64), cr.grad(lambda x: f(x).sum())(x64), rtol=1e-12
    )


def test_products_of_every_layout(calls):
    rng = np.random.default_rng(0)
    for m, k, n in ((1, 1, 1), (2, 3, 4), (40, 30, 20), (1, 64, 80), (64, 80, 1), (128, 1, 64), (33, 65, 17)):
        a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        for f in (
            lambda a, b: a @ b,
            lambda a, b: b.T @ a.T,
            lambda a, b: a.T.copy().T @ b,
            lambda a, b: a[::-1] @ b[:, ::-1] * 2,
        ):
            for dtype in ("f4", "f8"):
                x, y = a.astype(dtype), b.astype(dtype)
                same(cr.jit(f)(x, y), f(x, y), np.dtype(dtype))
    for sa, sb in (
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((50, 20, 30), (30, 40)),
    ):
        a, b = rng.standard_normal(sa), rng.standard_normal(sb)
        same(cr.jit(np.matmul)(a, b), a @ b, "float64")
    x, y = rng.standard_normal((4, 3, 5)), rng.standard_normal((7, 4, 5))
    f = lambda x, y: np.einsum("kij,nkj->nki", x, y)
    same(cr.jit(f)(x, y), f(x, y), "float64")
    assert not calls


EINSUMS = (
    "nd,mdo->mno",
    "nmd,do->nmo",
    "nmd,do->omn",
    "bnd,bmdo->bmno",
    "nm,do->ndmo",
    "nd,od->on",
    "dn,mod->omn",
    "bmd,nd->nbm",
)


@pytest.mark.parametrize("text", EINSUMS)
def test_einsums_whose_axes_do_not_step_as_one_are_products_in_batches(text, calls):
    rng, sizes = np.random.default_rng(0), {"n": 4, "m": 3, "d": 5, "o": 7, "b": 2}
    x, y = (rng.standard_normal([sizes[c] for c in term]) for term in text.split("->")[0].split(","))
    f = lambda x, y: np.einsum(text, x, y)
    for a, b in ((x, y), (x[::-1], y), (np.asfortranarray(x), y * 2)):
        same(cr.jit(f)(a, b), f(a, b), "float64")
    assert not calls
    g = cr.grad(lambda x, y: np.sum(f(x, y) ** 2), (0, 1))
    for p, q in zip(cr.jit(g)(x, y), g(x, y), strict=True):
        same(p, q, "float64", 256)


def test_calls_from_many_threads_at_once():
    from concurrent.futures import ThreadPoolExecutor

    f = cr.jit(cr.value_and_grad(lambda w, x: np.sum(np.tanh(x @ w) ** 2)))
    rng = np.random.default_rng(0)
    jobs = [(rng.standard_normal((60, 50)), rng.standard_normal((80, 60))) for _ in range(24)]
    want = [cr.value_and_grad(lambda w, x: np.sum(np.tanh(x @ w) ** 2))(*j) for j in jobs]
    with ThreadPoolExecutor(8) as pool:
        for (v, g), (a, b) in zip(pool.map(lambda j: f(*j), jobs * 4), want * 4, strict=True):
            np.testing.assert_allclose(v, a, rtol=1e-10)
            np.testing.assert_allclose(g, b, rtol=1e-9, atol=1e-12)


def test_results_own_their_memory_and_nothing_leaks():
    import gc
    import sys

    f = cr.jit(lambda p: {"a": (p[0] * 2, [p[1]]), "b": p[0].sum(), "same": p[0]})
    x = np.ones(1000)
    gc.collect()  # what earlier tests left
    before = sys.getrefcount(x), sys.getrefcount(np.dtype("float64"))
    for _ in range(1000):
        out = f((x, 3.0))
    del out
    gc.collect()
    assert sys.getrefcount(x) == before[0]
    assert abs(sys.getrefcount(np.dtype("float64")) - before[1]) < 50
    r = f((x, 3.0))
    r["same"][0] = 7
    assert x[0] == 1


def test_the_cache_survives_damage_and_serves_other_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    f = lambda x: np.exp(x) * 3 - 1
    x = np.linspace(0, 1, 5)
    want = f(x)
    np.testing.assert_allclose(cr.jit(f)(x), want, rtol=1e-15)
    files = list(tmp_path.glob("*.o"))
    assert files
    for file in files:
        data = file.read_bytes()
        for damaged in (b"", data[:40], data[:-3], data[:100] + b"xyz" + data[103:]):
            file.write_bytes(damaged)
            np.testing.assert_allclose(cr.jit(f)(x), want, rtol=1e-15)
            assert file.read_bytes() == data


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v2", "x86-64-v3"])
def test_older_processors_get_code_they_can_run(cpu):
    import platform
    import subprocess
    import sys

    if platform.machine() != "x86_64":
        pytest.skip("another architecture")
    code = (
        "import numpy as np, chainrule as cr\n"
        "f = lambda x: np.sum(np.tanh(x) * np.exp(-x * x) + np.log1p(x * x))\n"
        "x = np.linspace(-2, 2, 101)\n"
        "np.testing.assert_allclose(cr.jit(cr.grad(f))(x), cr.grad(f)(x), rtol=1e-12)\n"
        "v = [p for vs in [] for p in vs]\n"
        "from chainrule.compile.native.engine import machine\n"
        "print(machine()[0])\n"
    )
    import os

    env = {**os.environ, "CHAINRULE_CPU": cpu, "CHAINRULE_CACHE_DIR": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == cpu, done.stderr


def test_without_llvm_everything_works():
    import os
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "import numpy as np, chainrule as cr\n"
        "assert cr.jit(cr.grad(lambda x: np.sum(x**2)))(np.ones(3)).tolist() == [2, 2, 2]\n"
        "print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True)
    assert done.stdout.strip() == "fine", done.stderr
