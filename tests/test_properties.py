"""Laws on random programs: reverse = forward = differences, grad of grad = hessian, printed program = engine."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from programs import programs

import chainrule as cr

numbers = st.floats(-1.5, 1.5).map(lambda v: v if abs(v) > 1e-3 else 0.1)
vectors = st.lists(numbers, min_size=3, max_size=3).map(np.array)
slow = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def tame(*values):
    return all(np.all(np.abs(v) < 1e4) for v in values)


def differences(f, x, y, v, w, h=1e-4):
    return (
        8 * (f(x + h * v, y + h * w) - f(x - h * v, y - h * w))
        - (f(x + 2 * h * v, y + 2 * h * w) - f(x - 2 * h * v, y - 2 * h * w))
    ) / (12 * h)


def same_branches(f, x, y, v, w):
    """Whether the program is smooth around the point: its differences at two steps agree."""
    a, b = differences(f, x, y, v, w, 1e-4), differences(f, x, y, v, w, 1e-3)
    return abs(a - b) <= 1e-5 * (1 + abs(a))


def roundoff(f, *args):
    """The size that rounding errors are relative to: what every node contributes, before anything cancels."""
    rows = [r for r in cr.explain(f, *args).table() if r.gradient is not None]
    scale = 1 + sum(float(np.sum(np.abs(r.gradient) * (1 + np.abs(r.value)))) for r in rows)
    assume(scale < 1e6)
    assume(all(np.all(np.abs(r.value) < 50) for r in rows))  # a gradient may cancel before it reaches a huge value
    return scale


def check(f, x, y, seen):
    value, (gx, gy) = cr.value_and_grad(f, (0, 1))(x, y)
    assume(tame(value, gx, gy))
    assert value == pytest.approx(f(x, y), rel=1e-13)
    v, w = (
        np.cos(np.arange(np.size(x)) + 1.0).reshape(np.shape(x))[()],
        np.sin(np.arange(np.size(y)) + 2.0).reshape(np.shape(y))[()],
    )
    reverse = np.sum(gx * v) + np.sum(gy * w)
    forward = cr.jvp(f, (x, y), (v, w))[1]
    scale = roundoff(f, x, y)
    assert abs(forward - reverse) <= 1e-11 * scale
    seen["programs"] += 1
    seen["that depend on their inputs"] += bool(abs(reverse) > 1e-6)
    if same_branches(f, x, y, v, w):
        seen["compared with differences"] += 1
        assert abs(differences(f, x, y, v, w) - reverse) <= 1e-5 * scale
    program = cr.code(f, x, y)
    printed, (px, py) = program.function(x, y)
    assert printed == pytest.approx(value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(px, gx, rtol=1e-9, atol=1e-11 * scale)
    np.testing.assert_allclose(py, gy, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize(("vector", "inputs"), [(False, numbers), (True, vectors)])
def test_random_programs(vector, inputs):
    """Every law on every program, and most of the programs can break each of them."""
    seen = Counter()

    @slow
    @given(programs(vector=vector), inputs, inputs)
    def each(program, x, y):
        check(program[1], x, y, seen)

    each()
    assert all(n > 0.6 * seen["programs"] > 0 for n in seen.values()), seen


@settings(slow, max_examples=30)
@given(programs(vector=True, size=10), vectors, vectors)
def test_second_derivatives(program, x, y):
    f = lambda z: program[1](z[:3] * 1.0, z[3:] * 1.0)
    z = np.concatenate([x, y])
    assume(roundoff(f, z) < 1e3)
    H = cr.hessian(f)(z)
    assume(tame(H))
    scale = 1e-10 * (1 + np.max(np.abs(H)))
    np.testing.assert_allclose(cr.jacobian(cr.grad(f), mode="reverse")(z), H, rtol=1e-9, atol=scale)
    np.testing.assert_allclose(cr.jacobian(cr.jacobian(f, mode="forward"), mode="forward")(z), H, rtol=1e-9, atol=scale)
    np.testing.assert_allclose(H, H.T, rtol=1e-9, atol=scale)
    v = np.array([1.0, -2.0, 0.5, 0.0, 1.0, 3.0])
    np.testing.assert_allclose(cr.hvp(f, z, v), H @ v, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(H))))


@settings(slow, max_examples=30)
@given(programs(vector=False, size=12), numbers, numbers)
def test_scalar_second_derivatives(program, x, y):
    f = program[1]
    assume(roundoff(f, x, y) < 1e3)
    twice = cr.grad(cr.grad(f))(x, y)
    assume(tame(twice))
    assert cr.hessian(f)(x, y) == pytest.approx(twice, rel=1e-9, abs=1e-9)
    assert cr.jvp(lambda x: cr.jvp(lambda z: f(z, y), (x,), (1.0,))[1], (x,), (1.0,))[1] == pytest.approx(
        twice, rel=1e-9, abs=1e-9
    )


@settings(slow, max_examples=30)
@given(programs(vector=True, size=12), vectors, vectors)
def test_checkpoint_changes_nothing(program, x, y):
    f = program[1]
    plain, kept = cr.grad(f, (0, 1))(x, y), cr.grad(cr.checkpoint(f), (0, 1))(x, y)
    assume(tame(*plain))
    for a, b in zip(plain, kept, strict=True):
        assert np.array_equal(a, b)
