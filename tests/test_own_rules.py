"""Your own operations and rules: usable wherever a built-in one is, and checked by check_grads."""

import numpy as np
import pytest

import chainrule as cr

X = np.array([0.5, 1.2, -0.7])


def sine():
    @cr.custom_vjp
    def f(x, y):
        return np.sin(x) * y

    f.defvjp(lambda x, y: (np.sin(x) * y, (x, y)), lambda r, ct: (ct * np.cos(r[0]) * r[1], ct * np.sin(r[0])))
    return f


def sine_forward():
    @cr.custom_jvp
    def f(x, y):
        return np.sin(x) * y

    f.defjvp(lambda p, t: (np.sin(p[0]) * p[1], t[0] * np.cos(p[0]) * p[1] + t[1] * np.sin(p[0])))
    return f


@pytest.mark.parametrize("make", [sine, sine_forward])
def test_rules_work_in_every_mode_and_order(make):
    f = make()
    assert f(0.5, 2.0) == np.sin(0.5) * 2
    cr.check_grads(lambda x, y: f(x, y) * x, (0.5, 0.7), order=3)
    cr.check_grads(lambda x, y: np.sum(f(x, y) * x), (X, X + 1), order=2)
    plain = lambda x, y: np.sin(x) * y
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(X, X), cr.vmap(cr.grad(plain))(X, X))
    np.testing.assert_allclose(
        cr.grad(lambda x: np.sum(cr.vmap(f)(x, x)))(X), cr.grad(lambda x: np.sum(plain(x, x)))(X)
    )
    np.testing.assert_allclose(cr.jacobian(f)(X, X), cr.jacobian(plain)(X, X))


def test_trees_and_static_arguments():
    @cr.custom_vjp
    def f(p, n):
        return {"a": p["u"] ** n, "b": p["v"] * 2}

    f.defvjp(
        lambda p, n: (f.function(p, n), (p, n)),
        lambda r, ct: ({"u": ct["a"] * r[1] * r[0]["u"] ** (r[1] - 1), "v": 2 * ct["b"]}, None),
    )

    def g(u, v):
        out = f({"u": u, "v": v}, 3)
        return np.sum(out["a"]) * np.sum(out["b"] ** 2)

    cr.check_grads(g, (X, X + 1), order=2)


def test_the_rule_is_used():
    @cr.custom_vjp
    def clipped(x):
        return x * 1.0

    clipped.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1, 1),))
    assert cr.grad(lambda x: clipped(x) * 5)(3.0) == 1.0


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: x, lambda r, ct: (ct,), "pair"),
        (lambda x: (x, None), lambda r, ct: (ct, ct), "2 cotangents for 1"),
        (lambda x: (x, None), lambda r, ct: (np.ones(7),), r"shape \(7,\)"),
    ],
)
def test_wrong_rules_are_explained(forward, backward, message):
    f = cr.custom_vjp(lambda x: x)
    with pytest.raises(cr.InputError, match="no derivative rule"):
        f(1.0)
    f.defvjp(forward, backward)
    with pytest.raises(cr.ChainruleError, match=message):
        cr.grad(lambda x: np.sum(f(x)))(X)


def test_wrong_numbers_are_caught():
    f = cr.custom_vjp(lambda x: x**2)
    f.defvjp(lambda x: (x**2, x), lambda x, ct: (3 * x * ct,))
    with pytest.raises(cr.DerivativeError, match=r"x\[0\] is wrong"):
        cr.check_grads(lambda x: f(x), (X,))


def test_declared_operations():
    swish = cr.elementwise(
        "swish_test",
        lambda x: x / (1 + np.exp(-x)),
        lambda x, y: cr.sigmoid(x) + y * (1 - cr.sigmoid(x)),
        text="{0.atom} * sigmoid({0})",
        prelude=cr.ops.by_name("sigmoid").prelude,
    )
    cr.check_grads(swish, (X,), order=3)
    assert cr.grad(cr.parse("swish_test(x)"))(0.5) == pytest.approx(cr.grad(cr.silu)(0.5))
    np.testing.assert_allclose(
        cr.code("sum(swish_test(x))", x=X).function(X)[1], cr.grad(lambda x: np.sum(cr.silu(x)))(X)
    )
    np.testing.assert_allclose(cr.vmap(cr.grad(swish))(X), cr.grad(lambda x: np.sum(swish(x)))(X))
    again = cr.elementwise("swish_test", np.sin, lambda x, y: cr.cos(x))
    assert cr.grad(again)(0.0) == 1.0
    assert cr.parse("swish_test(x)")(0.5) == np.sin(0.5)
    with pytest.raises(cr.InputError, match="already"):
        cr.elementwise("sin", np.sin, lambda x, y: x)
    blur = cr.linear(
        "blur_test", lambda x: np.convolve(x, [1, 2, 1], "same"), lambda ct, x: blur(ct), examples=[(((4,),), {})]
    )
    cr.check_grads(lambda x: blur(x) ** 2, (X,), order=2)
    np.testing.assert_allclose(cr.vmap(blur)(np.eye(3)), [blur(e) for e in np.eye(3)])


def test_printing_a_custom_function():
    f = sine()
    program = cr.code(lambda x: f(x, 2.0) * x, 0.5)
    assert "f(x, 2.0)" in program
    value, gradient = program.function(0.5)
    assert value == pytest.approx(np.sin(0.5))
    assert gradient == pytest.approx(cr.grad(lambda x: np.sin(x) * 2 * x)(0.5))
