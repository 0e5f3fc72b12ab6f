"""What native code leaves to NumPy runs between its steps, on the same memory: nothing changes but the speed, and `schedule` says it."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.compile.native.engine import llvm

pytestmark = pytest.mark.skipif(llvm() is None, reason="llvmlite is not installed")

UNARY = (
    "np.cumsum(a)", "np.sort(a)", "np.cumsum(a, -1)", "np.sort(a, axis=0)", "np.roll(a, 1)", "a[::-1]", "a.T", "np.argsort(a)", "a.ravel()",
    "a.reshape(-1, 1)", "a[..., :2]", "np.flip(a)", "np.sum(a)", "np.sum(a, axis=-1)", "np.max(a, initial=0)", "np.real(a)", "np.imag(a)",
    "np.abs(a)", "np.conj(a)", "np.exp(a * 0.1)", "np.tanh(a)", "a * 1j", "a * 2", "a / 4", "a + True", "a - 0.5", "a * a", "np.square(a)",
    "a.astype('f4')", "a.astype('f2')", "a.astype('i2')", "a.astype('u4')", "a.astype('c8')", "a.astype('?')", "a.astype('f8')", "a.astype('i8')",
    "np.where(a > 0, a, 1)", "np.stack([a, a])", "np.concatenate([np.ravel(a), np.ones(2)])", "np.broadcast_to(a, (2, *np.shape(a)))",
    "np.einsum('...,...->...', a, a)", "np.outer(a, a)", "np.pad(a, 1)", "np.prod(a)", "cr.cond(np.sum(np.real(a)) > 0, np.cumsum, np.ravel, np.ravel(a))",
    "cr.fori_loop(0, 3, lambda i, c: np.cumsum(c) * 0.5 + i, np.ravel(a) * 1.0)",
    "cr.scan(lambda c, r: (c + np.sum(np.sort(r)), np.cumsum(np.ravel(r))), 0.0 * np.sum(a), np.atleast_2d(a))[1]",
)  # fmt: skip
BINARY = (
    "a + b", "a - b", "a * b", "np.where(a > b, a, b)", "np.maximum(a, b)", "np.ravel(a)[:1] @ np.ravel(b)[:1]", "a[..., None] * b", "np.outer(a, b)",
    "np.einsum('i,j->ji', np.ravel(a), np.ravel(b))", "np.concatenate([np.ravel(a), np.ravel(b)])", "a // b", "a % b",
)  # fmt: skip
INPUTS = {
    "float64": np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]]),
    "float32": np.array([1.5, -2.0, 0.5, 4.0], np.float32),
    "int": np.array([[3], [-1], [2]]),
    "bool": np.array([True, False, True]),
    "uint16": np.array([7, 0, 65535], np.uint16),
    "complex": np.array([1 + 2j, -0.5j, 3.0]),
    "half": np.array([[1.0, -2.0]], np.float16),
    "0-d": np.array(1.5),
    "scalar": np.float32(-0.5),
    "number": 0.75,
    "whole": 3,
    "empty": np.zeros((0, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::-2],
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


@st.composite
def programs(draw):
    """Lines of a function of x and y, and what it is called with."""
    x, y = draw(st.sampled_from(list(INPUTS))), draw(st.sampled_from(list(INPUTS)))
    names, lines = ["x", "y"], []
    for k in range(draw(st.integers(1, 6))):
        text = draw(st.sampled_from(UNARY) | st.sampled_from(BINARY))
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        lines.append(f"v{k} = (lambda a, b: {text})({a}, {b})")
        names.append(f"v{k}")
    return x, y, "\n    ".join(["def f(x, y):", *lines, f"return {', '.join(names[2:])},"])


def agree(got, want, beside=()):
    """Same dtype and shape; numbers to the rounding of the least precise among them and what they were computed from."""
    a, b = np.asarray(got), np.asarray(want)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    rounding = {"float16": 5e-3, "float32": 3e-5, "complex64": 3e-5}
    rtol = max(rounding.get(np.asarray(x).dtype.name, 1e-10) for x in (a, *beside))
    scale = np.max(np.abs(b[np.isfinite(b)]), initial=1e-12).astype(float) if b.size else 1.0
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale if a.dtype.kind in "fc" else 0)


@settings(max_examples=80, deadline=None)
@given(programs())
def test_programs_with_operations_that_only_numpy_has(program):
    x, y, source = program
    scope = {"np": np, "cr": cr}
    exec(source, scope)
    f, given_ = scope["f"], (INPUTS[x], INPUTS[y])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            want = f(*given_)
        except Exception:
            return
        g = cr.jit(f)
        try:
            first = g(*given_)
        except cr.ChainruleError:
            return  # what cannot be traced
        for got in (first, g(*given_)):
            for a, b in zip(got, want, strict=True):
                agree(a, b, (*given_, *want))


def test_what_only_moves_entries_is_not_read_before_it_is_written():
    f = lambda x, y: (y[::-1], x[::-1], y + x[::-1], np.sum(y * x[::-1], axis=0))
    x, y = np.array([1.0, 2.0, 3.0]), np.arange(6.0).reshape(2, 3)
    junk = [np.full(3, np.nan) for _ in range(50)]
    for _ in range(5):
        junk.clear()
        for a, b in zip(cr.jit(f)(x, y), f(x, y), strict=True):
            agree(a, b)
        junk = [np.full(3, np.nan) for _ in range(50)]


def test_the_schedule_says_what_numpy_runs_and_why():
    f = cr.jit(lambda x: np.sum(np.tanh(np.cumsum(np.sin(x))) ** 2))
    assert "when it is first called" in f.schedule()
    f(np.linspace(0, 1, 100))
    text = f.schedule()
    assert "cumsum by NumPy: native code has no cumsum" in text
    assert "sin" in text.split("cumsum by NumPy")[0]
    assert "tanh" in text.split("cumsum by NumPy")[1]
    g = cr.jit(lambda x: x * 2, backend="numpy")
    g(1.0)
    assert "its backend is numpy" in g.schedule()
    h = cr.jit(lambda z: np.real(z * 1j) * 2)
    h(np.ones(3))
    assert "native code has no complex128" in h.schedule()


def test_loops_keep_their_native_steps_around_a_call():
    f = cr.jit(lambda x: cr.fori_loop(0, 20, lambda i, c: np.sort(c) * 0.9 + np.sin(x), x))
    x = np.linspace(2, 0, 9)
    agree(f(x), f.f(x))
    inside = f.schedule().split("20 times:")[1]
    assert "sort by NumPy" in inside
    assert "loop over 9" in inside


def test_an_operation_of_a_users_own_is_called_and_may_keep_what_it_is_given():
    kept = []

    @cr.custom_vjp
    def double(x):
        kept.append(x)
        return np.asarray(x) * 2

    double.defvjp(lambda x: (double(x), None), lambda _, g: (2 * g,))
    f = cr.jit(lambda x: np.sum(double(np.sin(x) + 1) ** 2))
    first = f(np.arange(3.0))
    before = [np.array(k) for k in kept if isinstance(k, np.ndarray)]
    agree(f(np.arange(3.0) + 1), f.f(np.arange(3.0) + 1))
    agree(f(np.arange(3.0)), first)
    for a, b in zip(kept, before, strict=False):
        np.testing.assert_array_equal(a, b)


class Odd(Exception):
    """What a user's operation raises."""


def test_what_a_call_raises_reaches_the_caller_and_nothing_is_lost():
    from chainrule.ops import Elementwise

    def value(x):
        if np.any(np.asarray(x) > 1):
            raise Odd("too large")
        return np.asarray(x) + 1

    op = Elementwise("raises_when_large", value, [1.0])
    f = cr.jit(lambda x: op(x * 2) * 3)
    small, large = np.zeros(300), np.ones(300)
    agree(f(small), np.full(300, 3.0))
    for _ in range(3):
        with pytest.raises(Odd, match="too large"):
            f(large)
        agree(f(small), np.full(300, 3.0))
    count = sys.getrefcount(large)
    for _ in range(50):
        with pytest.raises(Odd):
            f(large)
    assert sys.getrefcount(large) == count


def test_results_of_calls_own_their_memory():
    f = cr.jit(lambda x: (np.sort(x), np.cumsum(x), np.real(x * 1j), x[::-1]))
    x = np.array([3.0, 1.0, 2.0])
    first = f(x)
    second = f(x + 1)
    for a, b in zip(first, f.f(x), strict=True):
        agree(a, b)
        assert a.flags.owndata
        assert a.flags.writeable
    for a, b in zip(second, f.f(x + 1), strict=True):
        agree(a, b)


def test_what_is_written_into_donated_memory_is_read_there():
    w, x = np.full((3, 3), 2.0), np.arange(9.0).reshape(3, 3) / 7
    for f in (
        lambda w, x: (w - np.cumsum(w, 0) * x, np.sort(w)),
        lambda w, x: (w - x, np.cumsum(w - x, 0)),
        lambda w, x: (w - x, (w - x) @ x),
        lambda w, x: (w - x, np.stack([w - x, x])),
        lambda w, x: (cr.fori_loop(0, 3, lambda i, c: c @ x, w - x), w - x),
    ):
        g = cr.jit(f, donate=0)
        for _ in range(2):
            for a, b in zip(g(w.copy(), x), f(w, x), strict=True):
                agree(a, b)


def test_calls_from_many_threads():
    from concurrent.futures import ThreadPoolExecutor

    f = cr.jit(lambda x: np.sum(np.cumsum(np.sin(x)) * np.sort(x)))
    xs = [np.random.default_rng(k).standard_normal(20_000) for k in range(8)]
    want = [f.f(x) for x in xs]
    f(xs[0])
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            np.testing.assert_allclose(list(pool.map(f, xs)), want, rtol=1e-10)
