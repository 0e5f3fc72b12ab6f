"""Where did it go wrong; what does it cost; which entries can differ from zero."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct

quiet = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@quiet
def test_the_first_bad_value_is_named():
    def f(x):
        a = x - 1.0
        b = np.log(a)
        return np.sum(b * 0.0)

    with pytest.raises(cr.DerivativeError, match="the value of b is infinite: log of") as caught, cr.debug_nans():
        cr.grad(f)(np.array([1.0, 2.0]))
    assert "b = np.log(a)" in caught.value.where
    assert "a = shape (2,), from 0 to 1" in str(caught.value)
    assert np.isnan(cr.grad(f)(np.array([1.0, 2.0]))).any()


@quiet
def test_the_first_bad_gradient_is_named():
    def g(x):
        r = np.sqrt(x)
        return r * 2

    with pytest.raises(cr.DerivativeError, match="the gradient of x is infinite, from undoing r"), cr.debug_nans():
        cr.grad(g)(0.0)
    w = ct.tensor(0.0, requires_grad=True)
    with pytest.raises(cr.DerivativeError, match="infinite"), cr.debug_nans():
        (w.sqrt() * 2).backward()
    with cr.debug_nans():
        assert cr.grad(g)(4.0) == 0.5


def test_blocked_gradients():
    def h(x, y):
        a = cr.relu(x)
        b = cr.stop_gradient(y) * a
        unused = np.sin(y)
        m = y > 0
        k = np.floor(y)
        assert unused is not None
        return b + np.where(m, y, 0.0) + k

    trace = cr.trace_gradient(h, "y", -1.0, -2.0)
    found = {s.name: s.blocked for s in trace.steps}
    assert found["stop_gradient(...)"] == "stop_gradient"
    assert found["unused"] == "never reaches the output"
    assert found["m"] == "comparison"
    assert found["k"] == "derivative zero everywhere"
    assert found["b"] == "zero partial"
    assert trace.total == 0
    assert "test_diagnose.py" in str(trace)
    assert [s.name for s in cr.trace_gradient(h, "x", -1.0, 2.0).blocked] == ["a"]
    assert cr.trace_gradient("x*y", "x", x=2.0, y=3.0).total == 3.0
    with pytest.raises(cr.InputError, match="no variable"):
        cr.trace_gradient("x*y", "z", x=2.0, y=3.0)


def tridiagonal(x):
    y = -2 * x
    y[1:] += x[:-1]
    y[:-1] += x[1:] ** 2
    return np.sin(y)


SPARSE = {
    "tridiagonal": (tridiagonal, np.linspace(0, 1, 7), 3),
    "blocks": (
        lambda x: (
            (x.reshape(3, 2) @ np.array([[1.0, 2.0], [3.0, 4.0]])).ravel()
            if False
            else np.sum(x.reshape(3, 2) ** 2, axis=1)
        ),
        np.arange(6.0),
        2,
    ),
    "mixed": (lambda x: np.concatenate([np.cumsum(x[:3]), x[3:] * x[0], [1.0], x[[5, 5]]]), np.arange(6.0) / 3, None),
    "dense row": (lambda x: np.stack([np.sum(x), x[0]]), np.ones(4), 4),
    "max and softmax": (
        lambda x: np.concatenate([cr.softmax(x[:2]), np.max(x[2:4], keepdims=True), x[4:]]),
        np.arange(6.0),
        None,
    ),
    "clip": (lambda x: np.clip(x, 0.5, 2.5) * np.where(x > 1, x, 1.0)[::-1], np.arange(4.0) + 0.1, 2),
    "constant matrix": (lambda x: (np.eye(4) + np.eye(4, k=1)) @ x, np.ones(4), 2),
    "nothing": (lambda x: np.ones(3), np.ones(2), 1),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_jacobians(name):
    from chainrule.diff.sparse import colours

    f, x, count = SPARSE[name]
    dense = cr.jacobian(f)(x)
    sparse = cr.jacobian(f, sparsity="auto")(x)
    np.testing.assert_allclose(sparse.toarray(), dense)
    pattern = cr.sparsity(f, x)
    assert np.all(pattern.toarray() | (dense == 0))
    found = colours(pattern)
    for r in range(pattern.shape[0]):
        inside = found[pattern.indices[pattern.indptr[r] : pattern.indptr[r + 1]]]
        assert len(set(inside)) == len(inside)
    if count is not None:
        assert found.max(initial=0) + 1 == count
    np.testing.assert_allclose(cr.jacobian(f, sparsity=dense != 0)(x).toarray(), dense)


def test_a_large_tridiagonal_jacobian():
    calls = []

    def f(x):
        calls.append(1)
        return tridiagonal(x)

    J = cr.jacobian(f, sparsity="auto")(np.linspace(0, 1, 100_000))
    assert J.shape == (100_000, 100_000)
    assert J.nnz == 299_998
    assert len(calls) == 1


def test_sparse_errors():
    with pytest.raises(cr.ShapeError, match="pattern"):
        cr.jacobian(tridiagonal, sparsity=np.ones((2, 2)))(np.ones(3))
    with pytest.raises(cr.InputError, match="one array"):
        cr.jacobian(lambda x: (x, x), sparsity="auto")(np.ones(3))
    with pytest.raises(cr.InputError, match="auto"):
        cr.jacobian(tridiagonal, sparsity="yes")
    with pytest.raises(cr.ShapeError, match="every entry"):
        cr.sparsity(lambda x: np.cumsum(x), np.ones(10_000))


def test_a_pattern_can_be_plotted(tmp_path):
    path = cr.plot_sparsity(cr.sparsity(tridiagonal, np.ones(12)), tmp_path / "pattern.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(cr.InputError, match="cannot draw into"):
        cr.plot_sparsity(np.eye(2), tmp_path / "pattern.txt")


def test_gauss_newton_products():
    rng = np.random.default_rng(0)
    A, v = rng.standard_normal((4, 3)), rng.standard_normal(3)
    model, loss = (lambda w: np.tanh(A @ w)), (lambda o: np.sum(np.exp(o) * o))
    w = rng.standard_normal(3)
    J, H = cr.jacobian(model)(w), cr.hessian(loss)(model(w))
    np.testing.assert_allclose(cr.gnvp(model, loss, w, v), J.T @ H @ J @ v, rtol=1e-12)
    pair = cr.gnvp(lambda a, b: a * b, lambda o: np.sum(o**2), (w, w + 1), (v, v))
    assert len(pair) == 2


def test_cost():
    c = cr.cost("(x + y)*z + x", x=1.0, y=2.0, z=3.0)
    assert (c.value, c.gradient) == (3, 4)
    for f, args in (
        (lambda W, x: np.mean(np.tanh(x @ W) ** 2), (np.ones((8, 4)), np.ones((5, 8)))),
        (lambda x: np.sum(cr.softmax(x) * x), (np.ones(9),)),
    ):
        assert 1 <= cr.cost(f, *args).ratio <= 4


def test_cost_of_every_problem_of_the_tour(monkeypatch):
    import importlib.util
    from pathlib import Path

    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "examples")
    spec = importlib.util.spec_from_file_location("tour", Path(__file__).parent.parent / "examples" / "tour.py")
    tour = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tour)
    for _, _, f, at, _ in tour.PROBLEMS:
        assert cr.cost(f, **{k: float(v) for k, v in at.items()}).ratio <= 4


# ---- checkpoint_sequential -----------------------------------------------------------------------------------


def counted(name):
    """sin as an operation that counts how often it is computed."""
    calls = []

    def value(x):
        calls.append(1)
        return np.sin(x)

    return cr.elementwise(
        name, value, lambda x, y: np.cos(x) if isinstance(x, (float, np.ndarray)) else cr.cos(x), public=False
    ), calls


@pytest.mark.parametrize(("length", "memory"), [(1, 1), (2, 1), (10, 1), (10, 2), (20, 3), (50, 4), (37, 5), (8, 20)])
def test_the_binomial_schedule_is_optimal(length, memory):
    """Never more recomputation than the closed form, which no schedule can beat."""
    op, calls = counted(f"counted_{length}_{memory}")
    g = cr.grad(lambda x: cr.checkpoint_sequential([op] * length, x, memory=memory))(0.5)
    assert len(calls) == length + cr.recomputations(length, memory)

    def plain(x):
        for _ in range(length):
            x = np.sin(x)
        return x

    assert g == cr.grad(plain)(0.5)


def test_every_kth():
    op, calls = counted("counted_every")
    g = cr.grad(lambda x: cr.checkpoint_sequential([op] * 12, x, every=4))(0.5)
    assert len(calls) == 24
    w = ct.tensor(0.5, requires_grad=True, dtype=ct.float64)
    cr.checkpoint_sequential([lambda x: x.sin()] * 12, w, every=4).backward()
    assert w.grad.item() == g
    assert cr.checkpoint_sequential([np.sin, np.cos], 0.5, memory=2) == np.cos(np.sin(0.5))
    with pytest.raises(cr.InputError, match="either"):
        cr.checkpoint_sequential([np.sin], 0.5)
    with pytest.raises(cr.InputError, match="at least 1"):
        cr.checkpoint_sequential([np.sin], 0.5, memory=0)


def test_checkpoint_and_vmap():
    x = np.linspace(0.1, 1, 4)
    f = lambda x: cr.checkpoint(lambda y: np.sin(y) * x)(x * 2)
    plain = lambda x: np.sin(2 * x) * x
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(x), cr.vmap(cr.grad(plain))(x))
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(cr.vmap(f)(x)))(x), cr.grad(lambda x: np.sum(plain(x)))(x))
