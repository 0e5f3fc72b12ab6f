"""In-place code, views, and everything that would silently lose a derivative."""

import math

import numpy as np
import pytest

import chainrule as cr
import chainrule.numpy as cnp

X = np.array([0.5, -1.5, 2.0, 3.0])
M = np.arange(1.0, 13.0).reshape(3, 4) / 7


def agrees(f, x=X, plain=None):
    """The traced value is the plain one, and the derivatives agree with differences."""
    np.testing.assert_allclose(cr.vjp(f, x)[0], (plain or f)(x.copy()))
    cr.check_grads(plain or f, (x,), order=2) if plain is None else cr.check_grads(f, (x,), order=2)


# ---- in place ------------------------------------------------------------------------------------------------


def test_assignment():
    def f(x):
        a = np.zeros_like(x)
        a[0] = x[1] * 2
        a[1:3] = x[:2] ** 2
        a[-1] = 7.0
        return np.sum(a * x)

    agrees(f)


def test_augmented_assignment():
    def f(x):
        a = x * 1.0
        a += x**2
        a *= 2
        a[1] -= x[0]
        a[a > 1.1] += np.sin(x[0])
        a[[0, 2]] /= x[3]
        a **= 2
        return a

    agrees(f)


def test_repeated_indices_keep_the_last_write():
    def f(x):
        a = x * 0.0
        a[[0, 0, 1]] = x[[1, 2, 3]]
        a[[2, 2]] += x[0]
        return a * x

    agrees(f)


def test_add_at():
    def f(x):
        a = np.zeros_like(x)
        np.add.at(a, [0, 0, 2], x[1:])
        np.subtract.at(a, [1], x[:1])
        return a**2

    agrees(f)


def test_views_write_through():
    def f(x):
        a = x * 1.0
        v = a[1:]
        v *= 2
        w = v[1:]
        w[0] = x[0] ** 2
        v += 1
        return a * np.sum(v) + np.sum(w)

    agrees(f)


def test_views_follow_their_base():
    def f(x):
        a = x * 1.0
        v = a[::2]
        a[0] = 5 * x[1]
        a += x
        return v**2

    agrees(f)


def test_views_of_matrices():
    def f(m):
        a = m * 1.0
        a.T[0] = m[0, 0] ** 2
        a.reshape(-1)[5] = m[1, 1] * m[2, 2]
        a[1][2:] += m[0, :2]
        row = a[2]
        row[:] = row[::-1] * 2
        np.flip(a, 0)[0, 0] = m[0, 3]
        a.ravel()[-1] *= 3
        return a * m

    agrees(f, M)


def test_copies_stay():
    def f(x):
        a = x * 1.0
        b = a.copy()
        c = a[[0, 1]]
        s = a[0]
        a[:] = 0.0
        return np.sum(a) + np.sum(b**2) + np.sum(c) * s

    agrees(f)


def test_aliases_share():
    def f(x):
        a = x * 1.0
        b = a
        b += 1
        b[0] = x[3]
        return a * b

    agrees(f)


def test_scalars_are_immutable():
    def f(x):
        a = x[0] * x[1]
        b = a
        b += x[2]
        b *= 2
        return a * b

    agrees(f)


def test_arguments_are_not_changed():
    x = X.copy()

    def f(x):
        x[0] = 0.0
        x += 1
        return np.sum(x**2)

    np.testing.assert_allclose(cr.grad(f)(x), 2 * (np.array([0, *X[1:]]) + 1) * np.array([0, 1, 1, 1]))
    np.testing.assert_array_equal(x, X)


def test_out_argument():
    def f(x):
        a = np.zeros_like(x)
        np.multiply(x, x, out=a)
        np.add(a, x, out=a, where=x > 0)
        return np.sum(a)

    agrees(f)


def test_creating_arrays():
    def f(x):
        a = cnp.zeros(4)
        b = cnp.full((2, 2), 1.0)
        c = cnp.array([[x[0], 1.0], [x[1], x[2] * x[3]]])
        d = np.full_like(x, x[0])
        e = np.zeros(4, like=x)
        for i in range(4):
            a[i] = x[i] ** i
            e[i] = x[i]
        b[0] = x[:2]
        return np.sum(a) + np.sum(b @ c) + np.sum(d * x) + np.sum(e * e)

    cr.check_grads(f, (X,), order=2)
    cr.check_grads(lambda x: np.sum((x[:2] + [1.0, x[2]]) ** 2), (X,))
    assert type(cnp.zeros(3)) is np.ndarray


# ---- views and memory order: NumPy itself says what is a view ------------------------------------------------

LAYOUTS = {
    "C": lambda m: m.copy(),
    "F": np.asfortranarray,
    "strided": lambda m: np.repeat(np.repeat(m, 2, 0), 2, 1)[::2, ::2],
    "reversed": lambda m: m[..., ::-1].copy()[..., ::-1],
}


def moved_copy(m):
    v = np.moveaxis(m, -1, 0).copy()
    v.reshape(-1)[0] *= 3
    return v


def diagonal_follows(m):
    a = m[:, :3] * 1.0
    d = np.diag(a)
    a *= 2
    return d * 1.0


def written_diagonal(m):
    a = m[:, :3] * 1.0
    np.einsum("ii->i", a)[1:] *= 2
    np.einsum("ij->ji", a)[0] += 1
    return a


def layout_of_zeros(m):
    a = np.zeros_like(m.T)
    a.ravel()[1] = m[0, 0]
    a.reshape(-1)[2] = m[1, 0]
    return a + m.T


def copies_in_orders(m):
    a, b, c = np.copy(m, order="F"), m.copy(), np.copy(m)
    for v in (a, b, c):
        v.reshape(-1)[1] = 5 * m[0, 0]
        v.T.reshape(-1)[2] = 7 * m[0, 0]
    return a + b + c


def order_after_writes(m):
    a = m.T + 1.0
    a += m.T
    a[0] = 2.0
    a.T.reshape(-1)[5] *= 3
    a.reshape(-1)[6] *= 4
    return a


def argument_itself(m):
    m.reshape(-1)[3] = 5.0
    m.ravel()[4] = 6.0
    m.T.ravel()[5] = 7.0
    m.flat[6] = 8.0
    m.flat[[0, 2]] = [1.0, 2.0]
    return m * 1.0


def composed(m):
    a, b = np.sort(m, axis=0), np.take(m, [1, 0], axis=-1)
    c, d = np.repeat(m, 2, axis=1), np.tensordot(m.T, m, 1)
    for v in (a, b, c, d):
        v.reshape(-1)[1] += m[0, 0]
    return np.sum(a) + np.sum(b * b) + np.sum(c * c) + np.sum(d * d)


def overlapping_writes(m):
    a = m * 1.0
    a[1:] = a[:-1]
    a[:, 1:] += a[:, :-1]
    a[:] = a[::-1]
    np.add(a[:-1], 1, out=a[1:])
    a[:, :3] += a[:, :3].T
    return a


def without_axes(m):
    a = m[0] * 1.0
    s, t, u = a[0], a[..., 1], np.squeeze(a[2:3])
    s += 10
    t += 20
    u += 30
    return a + s


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "f",
    [
        moved_copy,
        diagonal_follows,
        written_diagonal,
        layout_of_zeros,
        copies_in_orders,
        order_after_writes,
        argument_itself,
        composed,
        overlapping_writes,
        without_axes,
    ],
)
def test_a_view_is_what_numpy_says(f, layout):
    """In eager code, compiled (with the argument afterwards), and for every example of a batch; the derivative too."""
    fresh = lambda: LAYOUTS[layout](M)
    after, traced = fresh(), fresh()
    value = f(after)
    np.testing.assert_allclose(cr.vjp(f, traced)[0], value)
    np.testing.assert_array_equal(traced, M)
    compiled = fresh()
    np.testing.assert_allclose(cr.jit(f)(compiled), value)
    np.testing.assert_array_equal(compiled, after)
    own = f(M.copy())  # a body gets copies in C order
    np.testing.assert_allclose(cr.vmap(f)(np.stack([fresh(), fresh()])), [own, own])
    np.testing.assert_allclose(cr.checkpoint(f)(fresh()), own)
    step = lambda h, v: f(LAYOUTS[layout](M + h * v))
    v = np.cos(np.arange(12.0)).reshape(3, 4)
    slope = (step(1e-6, v) - step(-1e-6, v)) / 2e-6
    np.testing.assert_allclose(cr.jvp(f, (fresh(),), (v,))[1], slope, rtol=1e-6, atol=1e-6)
    w = np.sin(np.arange(np.size(value))).reshape(np.shape(value))
    gradient = cr.vjp(f, fresh())[1](w)[0]
    np.testing.assert_allclose(np.sum(gradient * v), np.sum(w * slope), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("f", [
    lambda a: np.take(a, [1, 0], 0), lambda a: np.take(a, [1, 0], -1), lambda a: np.repeat(a, 2, 0), lambda a: np.repeat(a, 2, -1),
    lambda a: np.sort(a, 0), lambda a: np.sort(a, -1), lambda a: np.tensordot(a, a.T, 1), lambda a: np.inner(a, a), lambda a: np.dot(a, a.T),
    lambda a: np.cross(a[:, :3], a[:, 1:]), lambda a: np.median(np.stack([a, a + 1]), 1), lambda a: np.stack([a, a.T.T]),
    lambda a: np.take_along_axis(a, np.argsort(a.T.T, -1), -1), lambda a: np.einsum("ij,ik->kj", a, a), lambda a: a @ a.T,
])  # fmt: skip
def test_results_lie_in_memory_as_numpys(f, layout):
    """Whatever operations they are made of; so a write into what `reshape` gives of them goes where it goes in NumPy."""

    def written(a):
        y = f(a)
        y.reshape(-1)[1] = 100 * a[0, 0]
        return y

    value = written(LAYOUTS[layout](M))
    np.testing.assert_allclose(cr.vjp(written, LAYOUTS[layout](M))[0], value)
    np.testing.assert_allclose(cr.jit(written)(LAYOUTS[layout](M)), value)


def test_large_arrays_are_not_computed_to_know_what_is_a_view():
    big = np.asfortranarray(np.random.default_rng(0).standard_normal((300, 200)))

    def f(x):
        y = x * 2.0
        v = y.reshape(-1)  # of an array in Fortran order: a copy
        y[0, 1] = 5.0
        w = y.T.reshape(-1)
        w[1] = 7.0
        return np.sum(y * v.reshape(300, 200))

    np.testing.assert_allclose(cr.jit(f)(big), f(big))


def test_parts_of_complex_arrays_are_views():
    def f(x):
        z = x + 1j * x[::-1]
        z.real *= 2
        z.imag[1:] += z.real[:-1]
        np.real(z)[0] = 3 * x[1]
        return z.real * z.imag

    agrees(f)
    with np.errstate(all="ignore"), pytest.raises(cr.TraceError, match="not finite"):
        cr.grad(lambda x: np.sum(infinite(x).real))(X)


def infinite(x):
    z = x + 1j * np.where(x > 0, np.inf, x)
    z.real[0] = 1.0
    return z


def changing(u, v):
    u += 1
    return np.sum(u * v)


def test_arguments_that_share_memory_are_not_written_into():
    for argnums in (0, 1, (0, 1)):
        with pytest.raises(cr.TraceError, match=r"u and v share memory|v and u share memory"):
            cr.grad(changing if argnums != 1 else lambda v, u: changing(u, v), argnums)(X, X)
    with pytest.raises(cr.TraceError, match="share memory"):
        cr.grad(lambda p: changing(p["a"], p["b"]))({"a": X, "b": X[::-1]})
    with pytest.raises(cr.TraceError, match="share memory"):
        cr.grad(lambda x: np.sum(cr.grad(changing)(x[:3], x[1:])))(X)
    np.testing.assert_allclose(cr.grad(changing)(X, X.copy()), X)
    np.testing.assert_allclose(cr.grad(changing)(X[:2], X[2:]), X[2:])  # of one array, with nothing in common
    np.testing.assert_allclose(cr.grad(lambda u, v: np.sum(u * v), (0, 1))(X, X), [X, X])  # reading is fine


def test_scalars_are_not_written_into():
    with pytest.raises(cr.TraceError, match="scalar"):
        cr.grad(lambda x: x[0].fill(3.0))(X)


def test_inplace_rules_of_numpy():
    with pytest.raises(cr.ShapeError, match="cannot change the shape"):

        def grows(x):
            x += np.ones((2, 4))
            return np.sum(x)

        cr.grad(grows)(X)
    with pytest.raises(cr.TraceError, match="dtype"):

        def narrows(x):
            a = np.zeros_like(x, dtype=int)
            a[0] = 1
            a += x
            return np.sum(a)

        cr.grad(narrows)(X)
    with pytest.raises(cr.TraceError, match="read-only"):

        def broadcast(x):
            a = np.broadcast_to(x, (2, 4))
            a[0] = 1.0
            return np.sum(a)

        cr.grad(broadcast)(X)


# ---- what would lose a derivative ----------------------------------------------------------------------------


def into_plain(x):
    a = np.zeros(3)
    a[0] = x
    return a.sum()


def slice_into_plain(x):
    a = np.zeros(3)
    a[:] = x
    return a.sum()


def augmented_plain(x):
    a = np.zeros(3)
    a += x
    return a.sum()


def add_at_plain(x):
    a = np.zeros(3)
    np.add.at(a, [0], x)
    return a.sum()


def with_array(x):
    return np.array([x, x]).sum()


def with_asarray(x):
    return np.asarray([[x]]).sum()


def with_float(x):
    return float(x)


def with_complex(x):
    return complex(x).real


def with_item(x):
    return x.item()


def with_math(x):
    return math.sin(x)


def with_math_atan2(x):
    return 2 * math.atan2(x, 1.0)


def with_math_erf(x):
    return math.erf(x)


def with_tolist(x):
    return x.tolist()


@pytest.mark.parametrize(
    ("f", "what", "fix"),
    [
        (into_plain, "assigning", "chainrule.numpy.zeros"),
        (slice_into_plain, "assigning", "np.zeros_like"),
        (augmented_plain, "plain NumPy array", "a = a \\+ b"),
        (add_at_plain, "add", "zeros_like"),
        (with_array, "np.array", "np.stack"),
        (with_asarray, "np.array", "chainrule.numpy.array"),
        (with_float, "float", "stop_gradient"),
        (with_complex, "complex", "stop_gradient"),
        (with_item, "item", "stop_gradient"),
        (with_tolist, "item", "stop_gradient"),
        (with_math, "math.sin", "np.sin"),
        (with_math_atan2, "math.atan2", "np.arctan2"),
        (with_math_erf, "math.erf", "chainrule.erf"),
    ],
)
def test_nothing_is_lost_silently(f, what, fix):
    with pytest.raises(cr.TraceError, match=what) as caught:
        cr.grad(f)(1.5)
    import re

    assert re.search(fix, str(caught.value))
    assert "test_tracing.py" in str(caught.value)


def test_math_floor_and_int_work():
    assert cr.grad(lambda x: x * math.floor(x) + int(x) * x + round(x))(2.6) == 4.0
    assert cr.grad(lambda x: x * range(5)[int(x)])(2.6) == 2.0


def test_values_can_be_seen(capsys):
    def f(x):
        assert x > 0
        print(x, f"{x:.2f}", repr(x))
        return x * x

    assert cr.grad(f)(1.5) == 3.0
    assert capsys.readouterr().out == "1.5 1.50 Array(1.5)\n"


def test_other_types_are_refused():
    with pytest.raises(cr.TraceError, match="str"):
        cr.grad(lambda x: x + "a")(1.0)
    with pytest.raises(cr.TraceError, match="index"):
        cr.grad(lambda x: x[0.5])(X)
    with pytest.raises(cr.TraceError, match="~"):
        cr.grad(lambda x: np.sum(~x))(X)
    assert cr.grad(lambda x: x if x is not None and x != "a" else 0.0)(1.0) == 1.0
