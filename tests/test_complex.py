"""Complex numbers: the gradient is df/dx - i df/dy, holomorphic functions have their complex derivative."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
Z = rng.standard_normal(3) + 1j * rng.standard_normal(3)
A = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
X = rng.standard_normal(3)

REAL = {
    "abs": lambda z: np.sum(np.abs(z) ** 3),
    "abs2": lambda z: np.sum(z.real**2 + z.imag**2),
    "angle": lambda z: np.sum(np.angle(z) * np.abs(z)),
    "conj": lambda z: np.real(np.sum(np.conj(z) ** 2 * z)),
    "exp": lambda z: np.imag(np.sum(np.exp(z) * np.log(z))),
    "sqrt": lambda z: np.sum(np.abs(np.sqrt(z) + np.sin(z))),
    "matmul": lambda z: np.sum(np.abs(A @ z + 1j) ** 2),
    "divide": lambda z: np.real(np.sum(1 / z + z**3 / (z + 2))),
    "mixed": lambda z: np.sum(np.real(z * X) * X) + np.sum(X * np.abs(z)),
    "methods": lambda z: np.sum((z * z.conj()).real) + z.imag.mean(),
}


def by_differences(f, z, h=1e-6):
    g = np.zeros(z.shape, complex)
    for k in range(z.size):
        e = np.zeros(z.shape)
        e.reshape(-1)[k] = h
        g.reshape(-1)[k] = (f(z + e) - f(z - e)) / (2 * h) - 1j * (f(z + 1j * e) - f(z - 1j * e)) / (2 * h)
    return g


@pytest.mark.parametrize("name", REAL)
def test_gradients(name):
    f = REAL[name]
    g = cr.grad(f)(Z)
    np.testing.assert_allclose(g, by_differences(f, Z), rtol=1e-6, atol=1e-8)
    v = rng.standard_normal(3) + 1j * rng.standard_normal(3)
    out, tangent = cr.jvp(f, (Z,), (v,))
    assert np.isrealobj(tangent)
    assert tangent == pytest.approx(np.real(np.sum(g * v)))
    assert tangent == pytest.approx((f(Z + 1e-6 * v) - f(Z - 1e-6 * v)) / 2e-6, rel=1e-6)
    assert out == pytest.approx(f(Z))


@pytest.mark.parametrize("f", [np.exp, np.log, np.sqrt, np.sin, np.tanh, lambda z: z**3 / (1 + z), lambda z: 1 / z])
def test_holomorphic(f):
    z, h = 0.7 + 0.4j, 1e-6
    assert cr.grad(f, holomorphic=True)(z) == pytest.approx((f(z + h) - f(z - h)) / (2 * h), rel=1e-8)
    second = cr.grad(cr.grad(f, holomorphic=True), holomorphic=True)(z)
    assert second == pytest.approx((f(z + 1e-4) - 2 * f(z) + f(z - 1e-4)) / 1e-8, rel=1e-5)


def test_real_arguments_stay_real():
    f = lambda x: np.sum(np.abs(np.exp(1j * x) * x + (1 + 2j) * x) ** 2)
    g = cr.grad(f)(X)
    assert np.isrealobj(g)
    cr.check_grads(f, (X,), order=2)
    H = cr.hessian(f)(X)
    assert np.isrealobj(H)


def test_second_order():
    f = lambda z: np.sum(np.abs(z) ** 4)
    norm = lambda z: np.sum(np.abs(cr.grad(f)(z)) ** 2)
    np.testing.assert_allclose(cr.grad(norm)(Z), by_differences(norm, Z), rtol=1e-6)


def test_errors_and_kinks():
    with pytest.raises(cr.InputError, match="real-valued"):
        cr.grad(lambda z: z * z)(1j)
    with pytest.raises(cr.InputError, match="complex arguments"):
        cr.grad(lambda z: z * z, holomorphic=True)(1.0)
    assert cr.grad(np.abs)(0j) == 0
    assert cr.grad(lambda z: np.real(z) + 0 * np.imag(z))(1 + 1j) == 1


def test_vmap():
    f = lambda z: np.abs(z) ** 2 * np.angle(z)
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(Z), [cr.grad(f)(z) for z in Z])


def test_like_jax():
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    for name in ("abs", "angle", "conj", "exp", "matmul", "divide"):
        theirs = {
            "abs": lambda z: jnp.sum(jnp.abs(z) ** 3),
            "angle": lambda z: jnp.sum(jnp.angle(z) * jnp.abs(z)),
            "conj": lambda z: jnp.real(jnp.sum(jnp.conj(z) ** 2 * z)),
            "exp": lambda z: jnp.imag(jnp.sum(jnp.exp(z) * jnp.log(z))),
            "matmul": lambda z: jnp.sum(jnp.abs(A @ z + 1j) ** 2),
            "divide": lambda z: jnp.real(jnp.sum(1 / z + z**3 / (z + 2))),
        }[name]
        np.testing.assert_allclose(cr.grad(REAL[name])(Z), jax.grad(theirs)(Z), rtol=1e-10)
