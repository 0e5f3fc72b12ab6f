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
