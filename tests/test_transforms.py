"""The transforms: what they return, how they nest, and what they say about bad input."""

import dataclasses
import threading
from collections import namedtuple

import numpy as np
import pytest

import chainrule as cr

X = np.array([0.3, -1.2, 2.0])


def quadratic(x):
    return np.sum(x**2) + x[0] * x[1]


# ---- grad ----------------------------------------------------------------------------------------------------


def test_the_main_example():
    def f(x, y, z):
        g = x + y
        h = g * z
        return h + x

    assert cr.grad(f, argnums=(0, 1, 2))(-2.0, 5.0, -4.0) == (-3.0, -4.0, 3.0)
    assert cr.value_and_grad(f, "z")(-2.0, 5.0, -4.0) == (-14.0, 3.0)
    assert cr.grad(f, ("x", "z"))(-2.0, z=-4.0, y=5.0) == (-3.0, 3.0)
    assert cr.grad(f, -1)(-2.0, 5.0, -4.0) == 3.0


def test_trees():
    Point = namedtuple("Point", "x y")

    @dataclasses.dataclass
    class Layer:
        w: np.ndarray
        b: float
        name: str = "layer"

    def f(p):
        return np.sum(p["l"].w * p["pts"][0].x) + p["l"].b * p["pts"][1].y ** 2 + sum(p["list"])

    p = {"l": Layer(X, 2.0), "pts": (Point(3.0, 1.0), Point(1.0, 5.0)), "list": [1.0, 2.0], "none": None}
    g = cr.grad(f)(p)
    np.testing.assert_array_equal(g["l"].w, [3, 3, 3])
    assert g["l"].b == 25
    assert g["l"].name == "layer"
    assert g["pts"] == (Point(pytest.approx(X.sum()), 0.0), Point(0.0, 20.0))
    assert g["list"] == [1.0, 1.0]
    assert g["none"] is None


def test_has_aux():
    value, gradient = cr.value_and_grad(lambda x: (x**2, {"double": 2 * x}), has_aux=True)(3.0)
    assert value == (9.0, {"double": 6.0})
    assert gradient == 6.0
    assert cr.grad(lambda x: (x**2, x), has_aux=True)(3.0) == (6.0, 3.0)


def test_what_does_not_depend_has_gradient_zero():
    assert cr.grad(lambda x, y: y * 2, 0)(1.0, 3.0) == 0.0
    assert cr.grad(lambda x: 5.0)(1.0) == 0.0
    np.testing.assert_array_equal(cr.grad(lambda x: 5.0)(X), [0, 0, 0])


def test_float32_stays_float32():
    x = X.astype(np.float32)
    assert cr.grad(lambda x: np.sum(np.tanh(x) * 2.0 + x**2 / 3))(x).dtype == np.float32


def test_gradients_are_the_callers_own():
    g = cr.grad(lambda p: np.sum(p["a"] + p["b"]))({"a": X, "b": X})
    g["a"] *= 5
    np.testing.assert_array_equal(g["b"], [1, 1, 1])
    c = np.array([1.0, 2.0, 3.0])
    g = cr.grad(lambda x: x @ c)(X)
    g += 1
    np.testing.assert_array_equal(c, [1, 2, 3])
    assert cr.grad(np.sum)(X).flags.writeable


def test_data_changed_after_recording_does_not_matter():
    buffer = np.ones(3)

    def f(x):
        total = 0.0
        for k in range(3):
            buffer[:] = k
            total = total + np.sum(x * buffer)
        return total

    np.testing.assert_array_equal(cr.grad(f)(X), [3, 3, 3])
    x = X.copy()
    out, pullback = cr.vjp(lambda x: x**2, x)
    x[:] = 0
    out[:] = 7
    np.testing.assert_array_equal(pullback(np.ones(3))[0], 2 * X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.grad(lambda x: x * 2)(X), cr.ShapeError, r"shape \(3,\)"),
        (lambda: cr.grad(lambda x: x**2)(3), cr.InputError, "x is an integer"),
        (lambda: cr.grad(lambda p: p["n"] * 1.0)({"n": np.arange(3)}), cr.InputError, r"p\['n'\] is an integer"),
        (lambda: cr.grad(lambda x: x)(True), cr.InputError, "boolean"),
        (lambda: cr.grad(lambda x: x)("a"), cr.InputError, "nothing in it to differentiate"),
        (lambda: cr.grad(lambda x, y: x, 1)(1.0), cr.InputError, "argument 1 .'y'. is missing"),
        (lambda: cr.grad(lambda x: x, "z")(1.0), cr.InputError, "no argument named 'z'"),
        (lambda: cr.grad(lambda x: (x, x))(1.0), cr.InputError, "tuple of 2 values"),
        (lambda: cr.grad(lambda x: None)(1.0), cr.InputError, "nothing"),
        (lambda: cr.grad(lambda x: x, has_aux=True)(1.0), cr.InputError, "pair"),
        (lambda: cr.grad(lambda x: np.argmax(x))(X), cr.InputError, "integer"),
        (lambda: cr.jvp(lambda x: x, (X,), (X[:2],)), cr.ShapeError, r"\(2,\)"),
        (lambda: cr.jvp(lambda x: x, X, X), cr.InputError, "two tuples"),
        (lambda: cr.vjp(lambda x: x, X)[1](X[:2]), cr.ShapeError, r"\(2,\)"),
        (lambda: cr.vjp(lambda x: (x, x), X)[1](X), cr.InputError, "leaves"),
        (lambda: cr.jacobian(lambda x: x, mode="sideways")(X), cr.InputError, "sideways"),
    ],
)
def test_clear_errors(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, cr.ChainruleError)


def test_errors_name_the_users_line():
    def f(x):
        y = x[:2]
        return np.sum(y + x)

    with pytest.raises(cr.ShapeError) as caught:
        cr.grad(f)(X)
    assert "test_transforms.py" in str(caught.value)
    assert "return np.sum(y + x)" in str(caught.value)
    assert "y = x[:2]" in str(caught.value)


def test_numpys_warnings_point_at_the_users_line():
    import warnings

    def f(x):
        a = np.log(x)
        return np.sum(a)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        cr.grad(f)(np.array([0.0, 1.0]))
    assert {w.filename for w in seen} == {__file__}
    assert seen[0].lineno == f.__code__.co_firstlineno + 1
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        cr.grad(f)(np.array([0.0, 1.0]))


# ---- the others ----------------------------------------------------------------------------------------------


def test_vjp_and_jvp_of_trees():
    f = lambda x, p: {"a": x * p[0], "b": np.sum(x) + p[1]}
    out, pullback = cr.vjp(f, X, [2.0, 3.0])
    gx, gp = pullback({"a": np.ones(3), "b": 2.0})
    np.testing.assert_allclose(gx, [4, 4, 4])
    assert gp == [pytest.approx(X.sum()), 2.0]
    out2, tangent = cr.jvp(f, (X, [2.0, 3.0]), (np.ones(3), [1.0, 0.0]))
    np.testing.assert_allclose(out2["a"], out["a"])
    np.testing.assert_allclose(tangent["a"], 2 + X)
    assert tangent["b"] == 3.0


def test_linearize_runs_without_calling_again():
    calls = []

    def f(x):
        calls.append(1)
        return np.sin(x)

    out, derivative = cr.linearize(f, X)
    for v in (np.ones(3), X):
        np.testing.assert_allclose(derivative(v), np.cos(X) * v)
    assert len(calls) == 1
    np.testing.assert_allclose(out, np.sin(X))


@pytest.mark.parametrize("mode", [None, "forward", "reverse"])
def test_jacobian(mode):
    A = np.arange(12.0).reshape(4, 3)
    np.testing.assert_allclose(cr.jacobian(lambda x: A @ x, mode=mode)(X), A)
    J = cr.jacobian(lambda x, y: {"o": np.outer(x, y)}, argnums=(0, 1), mode=mode)(X, X[:2])
    assert J["o"][0].shape == (3, 2, 3)
    np.testing.assert_allclose(J["o"][1], np.einsum("i,jk->ijk", X, np.eye(2)))
    assert cr.jacobian(lambda x: x**2, mode=mode)(3.0) == 6.0


def test_jacobian_chooses_the_cheaper_mode():
    passes = []

    @cr.checkpoint
    def f(x):
        passes.append(1)
        return x

    assert cr.jacobian(lambda x: np.stack([x[0]] * 50))(X).shape == (50, 3)
    assert cr.jacobian(lambda x: x[0])(np.ones(50)).shape == (50,)


def test_hessian_and_hvp():
    H = cr.hessian(quadratic)(X)
    np.testing.assert_allclose(H, 2 * np.eye(3) + np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(cr.hvp(quadratic, X, np.ones(3)), H @ np.ones(3))
    a, b = cr.hvp(lambda x, y: np.sum(x * y), (X, X), (np.ones(3), 2 * np.ones(3)))
    np.testing.assert_array_equal(a, [2, 2, 2])
    np.testing.assert_array_equal(b, [1, 1, 1])
    (hxx, hxy), (hyx, hyy) = cr.hessian(lambda x, y: x**2 * y**3, (0, 1))(2.0, 3.0)
    assert (hxx, hxy, hyx, hyy) == (54.0, 108.0, 108.0, 72.0)


def test_stop_gradient():
    assert cr.grad(lambda x: x * cr.stop_gradient(x))(3.0) == 3.0
    assert cr.grad(lambda x: cr.stop_gradient({"a": x})["a"] + x)(3.0) == 1.0


# ---- nesting -------------------------------------------------------------------------------------------------


def test_no_perturbation_confusion():
    assert cr.grad(lambda x: x * cr.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert cr.grad(lambda x: x * cr.jvp(lambda y: x + y, (1.0,), (1.0,))[1])(1.0) == 1.0
    assert cr.jvp(lambda x: x * cr.grad(lambda y: x * y)(2.0), (3.0,), (1.0,)) == (9.0, 6.0)
    assert cr.grad(lambda x: x * cr.grad(lambda y: cr.grad(lambda z: x * y * z)(4.0))(5.0))(2.0) == 4.0


def test_any_order_any_mode():
    f = lambda x: np.exp(2 * x) * np.sin(x)
    derivative = {
        "r": lambda g: cr.grad(g),
        "f": lambda g: lambda x: cr.jvp(g, (x,), (1.0,))[1],
        "l": lambda g: lambda x: cr.linearize(g, x)[1](1.0),
        "v": lambda g: lambda x: cr.vjp(g, x)[1](1.0)[0],
    }
    z = complex(2, 1)
    for modes in ("rrr", "rfr", "frf", "fff", "lrv", "vlr", "rvlf"):
        g = f
        for m in modes:
            g = derivative[m](g)
        expected = (z ** len(modes) * np.exp(z * 0.4)).imag
        assert g(0.4) == pytest.approx(expected, rel=1e-12)


def test_mixed_jacobians_nest():
    f = lambda x: np.array([1.0, 2.0, 3.0]) * np.sin(x) * x[0]
    g = lambda x: np.sum(cr.jacobian(f, mode="reverse")(x) ** 2)
    h = lambda x: np.sum(cr.jacobian(f, mode="forward")(x) ** 2)
    np.testing.assert_allclose(cr.grad(g)(X), cr.grad(h)(X), rtol=1e-12)
    cr.check_grads(g, (X,), order=2)


def test_inside_closures_and_loops():
    def sqrt(a):
        x = a
        while abs(x * x - a) > 1e-12:
            x = 0.5 * (x + a / x)
        return x

    assert cr.grad(sqrt)(2.0) == pytest.approx(0.5 / np.sqrt(2))

    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    assert cr.grad(power)(2.0, 5) == 80.0
    scale = 3.0
    assert cr.grad(lambda x: (lambda y: y * scale)(x) if x > 0 else -x)(2.0) == 3.0


def test_deep_graphs_do_not_recurse():
    def chain(x):
        for _ in range(100_000):
            x = x * 1.0 + 0.0
        return x

    assert cr.grad(chain)(2.0) == 1.0
    assert cr.jvp(chain, (2.0,), (3.0,))[1] == 3.0


def test_threads():
    results = {}

    def work(k):
        results[k] = cr.grad(lambda x: cr.grad(lambda y: x * y**2)(x) * k)(1.0 + k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert results == {k: pytest.approx(4 * k * (1 + k)) for k in range(8)}


# ---- checkpoint ----------------------------------------------------------------------------------------------


def test_checkpoint_is_bit_identical():
    rng = np.random.default_rng(0)
    W = [rng.standard_normal((4, 4)) for _ in range(5)]
    x = rng.standard_normal(4)

    def run(layer):
        def f(W, x):
            for w in W:
                x = layer(w, x)
            return np.sum(x**2)

        return cr.grad(f, (0, 1))(W, x)

    plain = run(lambda w, x: np.tanh(w @ x))
    kept = run(cr.checkpoint(lambda w, x: np.tanh(w @ x)))
    for a, b in zip((*plain[0], plain[1]), (*kept[0], kept[1]), strict=True):
        assert np.array_equal(a, b)


def test_checkpoint_of_closures_trees_and_orders():
    def f(x, y):
        g = cr.checkpoint(lambda p: {"a": p["u"] * y, "b": np.sin(p["u"]) * x})
        out = g({"u": x * y})
        return np.sum(out["a"] * out["b"])

    plain = lambda x, y: np.sum((x * y * y) * (np.sin(x * y) * x))
    np.testing.assert_allclose(cr.grad(f, (0, 1))(X, X + 1), cr.grad(plain, (0, 1))(X, X + 1), rtol=1e-14)
    np.testing.assert_allclose(cr.hessian(f)(X, X + 1), cr.hessian(plain)(X, X + 1), rtol=1e-12)
    cr.check_grads(f, (X, X + 1), order=2)
    np.testing.assert_allclose(cr.checkpoint(plain)(X, X), plain(X, X))


def test_checkpoint_frees_memory():
    """Only the inputs of a checkpointed block are held until the reverse pass."""
    import tracemalloc

    def block(x):
        for _ in range(50):
            x = np.sin(x)
        return x

    def peak(f):
        tracemalloc.start()
        cr.grad(lambda x: np.sum(f(f(f(f(x))))))(np.ones(20_000))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(cr.checkpoint(block)) < 0.5 * peak(block)


# ---- check_grads ---------------------------------------------------------------------------------------------


def test_check_grads_finds_a_wrong_rule():
    from chainrule.ops import Elementwise

    wrong = Elementwise(
        "wrong_for_test", np.sin, (lambda x, y: 1.001 * np.cos(x) if not hasattr(x, "node") else x,), public=False
    )
    with pytest.raises(cr.DerivativeError, match=r"order 1 with respect to v\[0\] is wrong in forward mode: expected"):
        cr.check_grads(lambda v: wrong(v), (X,))
    with pytest.raises(cr.InputError, match="integer"):
        cr.check_grads(lambda v: v, (3,))


def test_check_grads_finds_a_wrong_second_order():
    from chainrule.ops import Elementwise

    slope = Elementwise("slope_for_test", np.cos, (lambda x, y: 0.5 * x,), public=False)
    value = Elementwise("value_for_test", np.sin, (lambda x, y: slope(x),), public=False)
    cr.check_grads(lambda v: value(v), (1.0,), order=1)
    with pytest.raises(cr.DerivativeError, match="order 2"):
        cr.check_grads(lambda v: value(v), (1.0,), order=2)


def test_check_grads_finds_a_wrong_transpose():
    from chainrule.ops import Linear

    wrong = Linear("wrong_linear_for_test", lambda x: 3 * x, (lambda ct, x: 2 * ct,), public=False)
    with pytest.raises(cr.DerivativeError, match="reverse mode"):
        cr.check_grads(lambda v: wrong(v), (X,))


def test_check_grads_in_float32():
    cr.check_grads(lambda x: np.sum(np.tanh(x) ** 2), (X.astype(np.float32),), order=2)


def test_what_is_put_into_another_argument_is_there_also_where_two_arguments_share_memory():
    x, log = np.array([1.0, 2.0]), {}

    def f(x, y, log):
        log["calls"] = log.get("calls", 0) + 1
        return np.sum(x * y)

    cr.grad(f)(x, x.copy(), log)
    cr.grad(f)(x, x[:], log)
    assert log == {"calls": 2}
