"""numpy.linalg on traced values: values, derivatives of first and second order, batches, complex matrices, what is refused."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
A = rng.standard_normal((3, 3)) + 3 * np.eye(3)
B = rng.standard_normal((2, 3, 3)) + 3 * np.eye(3)
SIX = rng.standard_normal((6, 6)) + 3 * np.eye(6)
TALL, WIDE, b = rng.standard_normal((4, 3)), rng.standard_normal((3, 4)), rng.standard_normal(3)


def symmetric(a):
    return (a + np.conj(np.swapaxes(a, -1, -2))) / 2


def definite(a):
    return a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(a.shape[-1])


# Eigenvectors and singular vectors are known up to their signs: their squares are not.
FUNCTIONS = {
    "solve a vector": (lambda a: np.linalg.solve(a, b), A),
    "solve for the right side": (lambda x: np.linalg.solve(A, x), TALL[:3]),
    "solve a batch": (lambda a: np.linalg.solve(a, TALL[:3]), B),
    "solve one matrix, many sides": (lambda x: np.linalg.solve(A, x), B),
    "inv": (np.linalg.inv, B),
    "det": (np.linalg.det, B),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], B),
    "slogdet, negative": (lambda a: np.linalg.slogdet(-a).logabsdet, A),
    "pinv tall": (np.linalg.pinv, TALL),
    "pinv wide": (np.linalg.pinv, WIDE),
    "cholesky": (lambda a: np.linalg.cholesky(definite(a)), B),
    "eigenvalues of symmetric": (lambda a: np.linalg.eigvalsh(symmetric(a)), B),
    "eigenvectors of symmetric": (lambda a: np.linalg.eigh(symmetric(a), "U").eigenvectors ** 2, B),
    "eigenvalues": (lambda a: np.abs(np.linalg.eigvals(a)), A),
    "eigenvectors": (lambda a: np.real(np.linalg.eig(a)[1]), A),
    "singular values": (lambda a: np.linalg.svd(a, compute_uv=False), TALL),
    "singular vectors, left": (lambda a: np.linalg.svd(a, full_matrices=False)[0] ** 2, TALL),
    "singular vectors, right": (lambda a: np.linalg.svd(a, full_matrices=False)[2] ** 2, WIDE),
    "nearest orthogonal matrix": (lambda a: np.linalg.svd(a)[0] @ np.linalg.svd(a)[2], B),
    "qr tall": (lambda a: np.linalg.qr(a)[0] @ np.linalg.qr(a)[1] + np.linalg.qr(a)[0], TALL),
    "qr wide": (lambda a: np.linalg.qr(a, mode="r"), WIDE),
    "qr batch": (lambda a: np.linalg.qr(a).Q, B),
    "powers": (lambda a: np.linalg.matrix_power(a, -3) + np.linalg.matrix_power(a, 5) / 1e3, A),
    "chain": (lambda a: np.linalg.multi_dot([a, a.T, b]), A),
    "condition": (lambda a: np.linalg.cond(a), A),
    "least squares": (lambda a: np.linalg.lstsq(a, WIDE.T[:, :2], rcond=None)[0], TALL),
    "condition by the largest sum": (lambda a: np.linalg.cond(a, np.inf), A),
    "condition of tall": (lambda a: np.linalg.cond(a, -2), TALL),
    "spectral norm": (lambda a: np.linalg.norm(a, 2), TALL),
    "smallest singular value, kept": (lambda a: np.linalg.norm(a, -2, axis=(0, 2), keepdims=True), B),
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc", axis=(-2, -1)), B),
    "Frobenius norm": (lambda a: np.linalg.matrix_norm(a), B),
    "norm of a vector along two axes": (lambda a: np.linalg.vector_norm(a, axis=(0, 1), ord=3), B),
    "tensorsolve": (lambda a: np.linalg.tensorsolve(np.reshape(a, (3, 2, 6)), WIDE[:, :2]), SIX),
    "tensorsolve, axes": (lambda a: np.linalg.tensorsolve(np.reshape(a, (3, 6, 2)), np.ones(6), axes=(0,)), SIX),
    "tensorinv": (lambda a: np.linalg.tensorinv(np.reshape(a, (6, 3, 2)), ind=1), SIX),
    "its residuals": (lambda a: np.linalg.lstsq(a, WIDE.T[:, 0], rcond=None)[1], TALL),
}
EACH = pytest.mark.parametrize(("f", "x"), FUNCTIONS.values(), ids=FUNCTIONS)


@EACH
def test_values_are_numpys_and_derivatives_agree_to_second_order(f, x):
    np.testing.assert_allclose(cr.vjp(f, x)[0], f(x), rtol=1e-12, atol=1e-13)
    cr.check_grads(f, [x], order=2)


@EACH
def test_jit_and_single_precision(f, x):
    gradient = cr.grad(lambda a: np.sum(np.sin(f(a))))
    want = gradient(x)
    np.testing.assert_allclose(cr.jit(gradient)(x), want, rtol=1e-9, atol=1e-12)
    single = gradient(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if "least" not in n and "residuals" not in n])
def test_vmap_is_a_loop(name):
    f, x = FUNCTIONS[name]
    batch = np.stack([x, 1.1 * x])
    np.testing.assert_allclose(cr.vmap(f)(batch), np.stack([f(a) for a in batch]), rtol=1e-9)
    gradient = cr.grad(lambda a: np.sum(np.sin(f(a))))
    np.testing.assert_allclose(cr.vmap(gradient)(batch), np.stack([gradient(a) for a in batch]), rtol=1e-8, atol=1e-11)


TURN = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("f", [np.linalg.eigvals, lambda a: np.linalg.eig(a)[1]])
def test_compiled_eigenvalues_are_real_or_complex_as_the_matrix_has_them(f):
    total = lambda a: np.sum(np.abs(f(a) + 0.1) * np.arange(3))
    compiled, gradient = cr.jit(f), cr.jit(cr.grad(total))
    for a in (np.diag([1.0, 2, 4]), TURN, A, np.diag([1.0, 2, 4])):
        assert compiled(a).dtype == f(a).dtype
        np.testing.assert_allclose(compiled(a), f(a))
        np.testing.assert_allclose(gradient(a), cr.grad(total)(a), atol=1e-12)


def test_compiled_least_squares_looks_at_the_rank():
    f = cr.jit(lambda a: np.linalg.lstsq(a, np.ones(4), rcond=None)[0])
    np.testing.assert_allclose(f(2 * TALL), np.linalg.lstsq(2 * TALL, np.ones(4), rcond=None)[0])
    with pytest.raises(cr.TraceError, match="full column rank"):
        f(np.ones((4, 3)))


OPTIONS = {
    "pinv rcond": (lambda a: np.linalg.pinv(a, 0.5), TALL),
    "pinv rtol": (lambda a: np.linalg.pinv(a, rtol=0.5), TALL),
    "pinv rtol None": (lambda a: np.linalg.pinv(a, rtol=None), TALL),
    "cholesky upper": (lambda a: np.linalg.cholesky(definite(a), upper=True), B),
    "qr complete": (lambda a: np.linalg.qr(a, mode="complete").R, WIDE),
    "multi_dot of vectors": (lambda a: np.linalg.multi_dot([b, a, a.T, b]), WIDE),
    "matrix_power 0": (lambda a: np.linalg.matrix_power(a, 0) * np.sum(a), B),
    "matrix_power of integers": (lambda a: np.linalg.matrix_power((10 * a).astype(int), 3) * np.sum(a), A),
    "lstsq rcond": (lambda a: np.linalg.lstsq(a, np.ones(4), rcond=-1)[3], TALL),
    "rank": (lambda a: np.linalg.matrix_rank(a, tol=0.1) * a, TALL),
    "norm, one axis of 3": (lambda a: np.linalg.norm(a, axis=1, ord=-1, keepdims=True), B),
}


@pytest.mark.parametrize(("f", "x"), OPTIONS.values(), ids=OPTIONS)
def test_options(f, x):
    np.testing.assert_allclose(cr.vjp(f, x)[0], f(x), rtol=1e-12, atol=1e-13)


COMPLEX = {
    "solve": lambda a: np.linalg.solve(a, b),
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: np.linalg.slogdet(a)[1],
    "pinv": np.linalg.pinv,
    "cholesky": lambda a: np.linalg.cholesky(definite(a)),
    "eigvalsh": lambda a: np.linalg.eigvalsh(symmetric(a)),
    "eigenvectors of hermitian": lambda a: np.abs(np.linalg.eigh(symmetric(a))[1]),
    "eigvals": np.linalg.eigvals,
    "eigenvectors": lambda a: np.linalg.eig(a)[1],
    "singular values": lambda a: np.linalg.svd(a)[1],
    "singular vectors": lambda a: np.abs(np.linalg.svd(a)[0]),
    "nearest unitary matrix": lambda a: np.linalg.svd(a)[0] @ np.linalg.svd(a)[2],
    "q": lambda a: np.linalg.qr(a)[0],
    "r": lambda a: np.linalg.qr(a)[1],
}


@pytest.mark.parametrize("f", COMPLEX.values(), ids=COMPLEX)
def test_complex_matrices_by_differences(f):
    """The gradient of a real function of z = x + iy is d/dx - i d/dy."""

    def real(a):
        y = f(a)
        return np.sum(np.cos(np.real(y)) + np.sin(np.imag(y)))

    at, h = A + 1j * TALL[:3], 1e-6
    want = np.zeros((3, 3), complex)
    for k in np.ndindex(3, 3):
        for direction, factor in ((1, 1), (1j, -1j)):
            step = np.zeros((3, 3), complex)
            step[k] = direction * h
            want[k] += factor * (real(at + step) - real(at - step)) / (2 * h)
    np.testing.assert_allclose(cr.grad(real)(at), want, atol=1e-6)


def test_a_singular_matrix_has_a_gradient_of_its_determinant():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(cr.grad(np.linalg.det)(a), [[4, -2], [-2, 1]], atol=1e-12)
    with pytest.raises(cr.InputError, match="Singular matrix"):
        cr.hessian(np.linalg.det)(a)


def test_equal_eigenvalues_and_singular_values():
    """The values have derivatives; the vectors, which are not determined, have none."""
    np.testing.assert_allclose(cr.grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(2 * np.eye(3)), 4 * np.eye(3))
    np.testing.assert_allclose(cr.grad(lambda a: np.sum(np.linalg.svd(a)[1]))(np.eye(3)), np.eye(3), atol=1e-12)
    with np.errstate(all="ignore"):
        assert np.isnan(cr.grad(lambda a: np.sum(np.linalg.eigh(a)[1] * TALL[:3]))(np.eye(3))).any()
        assert np.isnan(cr.grad(lambda a: np.sum(np.linalg.svd(a)[0] @ np.linalg.svd(a)[2]))(np.eye(3))).any()


def regression(a, y):
    w = np.linalg.solve(a.T @ a, a.T @ y)
    return np.sum((a @ w - y) ** 2)


def likelihood(a, y):
    s = a.T @ a + np.eye(3)
    _, logdet = np.linalg.slogdet(s)
    low = np.linalg.cholesky(s)
    return logdet + np.sum(np.linalg.solve(low, y[:3]) ** 2) + np.linalg.det(s / 5) + np.sum(np.linalg.inv(s))


def spectrum(a, y):
    w, v = np.linalg.eigh(a.T @ a)
    _, s, vh = np.linalg.svd(a, full_matrices=False)
    q, r = np.linalg.qr(a)
    return np.sum(w * v[0] ** 2) + np.sum(s * (vh @ y[:3]) ** 2) + np.sum((q.T @ y) ** 2) + r[0, 0] ** 2 + w[0]


PRINTED = pytest.mark.parametrize("f", [regression, likelihood, spectrum])


@PRINTED
def test_printed_programs(f):
    y = np.array([0.3, -1.0, 0.7, 0.2])
    value, gradients = cr.code(f, TALL, y).function(TALL, y)
    want, expected = cr.value_and_grad(f, argnums=(0, 1))(TALL, y)
    np.testing.assert_allclose(value, want)
    for mine, engine in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(mine, engine, atol=1e-12)
    with pytest.raises(cr.InputError, match="cannot be written in C"):
        cr.code(f, TALL, y, lang="c")


@PRINTED
def test_printed_for_torch_and_jax_and_handed_to_them(f):
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    y = np.array([0.3, -1.0, 0.7, 0.2])
    want, expected = cr.value_and_grad(f, argnums=(0, 1))(TALL, y)
    value, gradients = cr.code(f, TALL, y, lang="jax").function(TALL, y)
    a, b = (torch.tensor(x, requires_grad=True) for x in (TALL, y))
    code, namespace = cr.code(f, TALL, y, lang="torch"), {}
    exec(str(code), namespace)
    result = namespace[code.name].apply(a, b)
    result.backward()
    found = [(value, gradients), (result.detach(), (a.grad, b.grad))]
    found += [cr.jit(cr.value_and_grad(f, argnums=(0, 1)), backend=k)(TALL, y) for k in ("torch", "jax")]
    for value, gradients in found:
        np.testing.assert_allclose(value, want)
        for mine, engine in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(mine, engine, rtol=1e-6, atol=1e-12)


def test_a_system_reads_as_a_person_writes_it():
    program = cr.code(regression, TALL, np.ones(4))
    assert "w = np.linalg.solve(" in program
    assert ".T, dw)" in program
    assert "v * dw @ v.T" in cr.code(lambda a: np.sum(np.linalg.eigvalsh(a)[:2]), definite(A))


def test_textbook_gradients():
    s = definite(A)
    np.testing.assert_allclose(cr.grad(lambda a: np.linalg.slogdet(a)[1])(s), np.linalg.inv(s).T)
    w, v = np.linalg.eigh(s)
    np.testing.assert_allclose(cr.grad(lambda a: np.linalg.eigvalsh(a)[0])(s), np.outer(v[:, 0], v[:, 0]), atol=1e-12)
    x = np.linalg.solve(A, b)
    np.testing.assert_allclose(
        cr.grad(lambda a: np.sum(np.linalg.solve(a, b)))(A), -np.outer(np.linalg.solve(A.T, np.ones(3)), x)
    )


@pytest.mark.parametrize(
    ("f", "x", "says"),
    [
        (np.linalg.inv, np.zeros((2, 2)), "Singular matrix"),
        (np.linalg.cholesky, A, "not symmetric"),
        (lambda a: np.linalg.eigh(a)[0], A, "not symmetric"),
        (np.linalg.cholesky, -np.eye(2), "not positive definite"),
        (lambda a: np.linalg.svd(a)[0], TALL, "full_matrices=False"),
        (lambda a: np.linalg.qr(a, mode="complete")[0], TALL, "mode='reduced'"),
        (np.linalg.det, TALL, "square"),
        (lambda a: np.linalg.solve(a, np.ones(4)), A, "do not fit"),
        (lambda a: np.linalg.lstsq(a, b, rcond=None)[0], WIDE, "rank"),
        (lambda a: np.linalg.svd(a, hermitian=True)[1], A, "hermitian"),
        (lambda a: np.linalg.pinv(a, hermitian=True), A, "hermitian"),
        (lambda a: np.linalg.pinv(a, rcond=0.1, rtol=0.1), A, "both"),
        (lambda a: np.linalg.norm(a, 3), A, "ord=3"),
        (lambda a: np.linalg.norm(a, "nuc"), b, "ord='nuc'"),
        (lambda a: np.linalg.eigh(a, "X")[0], A, "UPLO"),
        (lambda a: np.linalg.tensorinv(a), A, "ind"),
        (lambda a: np.linalg.solve(a.astype(np.float16), b), A, "float16"),
    ],
)
def test_what_has_no_derivative_is_refused(f, x, says):
    with pytest.raises(cr.ChainruleError, match=says):
        cr.grad(lambda a: np.sum(f(a)))(x)


def test_a_primitive_of_the_users_own_nests():
    """Only its tangent is declared: the cotangent is the transpose, and both can be differentiated again."""
    from chainrule.ops import Primitive
    from chainrule.ops.linalg import matmul

    root = Primitive(
        "fixed_point_", lambda x: np.sqrt(x), lambda ts, y, x: ts[0] / (2 * y), doc="The y with y * y = x."
    )
    cr.check_grads(lambda x: root(x), [np.array([2.0, 3.0])], order=3)
    both = Primitive(
        "half_and_square_",
        lambda x: cr.ops.structured.Bundle((x / 2, x @ x)),
        lambda ts, out, x: [ts[0] / 2, matmul(ts[0], x) + matmul(x, ts[0])],
        outputs=("half", "square"),
    )
    cr.check_grads(lambda x: both.results(x)[0] * both.results(x)[1], [A], order=2)
    np.testing.assert_allclose(cr.vmap(lambda x: both.results(x)[1])(B), B @ B)
