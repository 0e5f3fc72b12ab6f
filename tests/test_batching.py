"""vmap: the same as a loop over the examples, for every operation, under and over every derivative."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import programs
from test_operations import OPS, arity, as_function, differentiable, name, points

import chainrule as cr

N = 3
CASES = [(op, k) for op in OPS for k in range(max(1, len(op.examples)))]


def case(op, k):
    if op.examples:
        return op.examples[k]
    count = arity(op) if op.name not in ("heaviside",) else 2
    return [(2, 1), (3,), ()][:count] + [()] * (count - 3), {}


@pytest.mark.parametrize(("op", "k"), CASES, ids=name)
def test_every_operation_batches(op, k):
    """For every choice of which inputs have examples of their own: value, reverse and forward derivative."""
    shapes, params = case(op, k)
    examples = [points(op, shapes, seed=s) for s in range(N)]
    free = differentiable(op, examples[0])
    floating = [i for i, x in enumerate(examples[0]) if np.asarray(x).dtype.kind == "f"]
    if not floating:
        return
    f = as_function(op, examples[0], params, floating)
    for chosen in itertools.product([True, False], repeat=len(floating)):
        if not any(chosen):
            continue
        args = [
            np.stack([e[i] for e in examples]) if c else examples[0][i] for i, c in zip(floating, chosen, strict=True)
        ]
        axes = tuple(0 if c else None for c in chosen)
        one = [[a[s] if c else a for a, c in zip(args, chosen, strict=True)] for s in range(N)]
        np.testing.assert_allclose(cr.vmap(f, axes)(*args), [f(*o) for o in one], rtol=1e-12, atol=1e-14)
        if not free:
            continue

        def pull(*xs):
            out, pullback = cr.vjp(f, *xs)
            return pullback(np.cos(np.ones(np.shape(out))))

        mine = cr.vmap(pull, axes)(*args)
        loop = [pull(*o) for o in one]
        for j, m in enumerate(mine):
            np.testing.assert_allclose(m, [row[j] for row in loop], rtol=1e-10, atol=1e-12)
        push = lambda *xs: cr.jvp(f, xs, [np.ones(np.shape(x)) for x in xs])[1]
        np.testing.assert_allclose(cr.vmap(push, axes)(*args), [push(*o) for o in one], rtol=1e-10, atol=1e-12)


vectors = st.lists(st.floats(-1.5, 1.5).map(lambda v: round(v, 3) or 0.1), min_size=3, max_size=3)
batches = st.lists(vectors, min_size=1, max_size=4).map(np.array)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs(vector=True, size=10), batches)
def test_random_programs(program, xs):
    """Programs that branch on values are refused when the examples differ; all others agree with the loop."""
    f = lambda x: program[1](x * 1.0, x[::-1] * 0.5)
    with np.errstate(all="ignore"):
        try:
            mine = cr.vmap(cr.value_and_grad(f))(xs)
        except cr.TraceError as error:
            if "branch" in str(error):
                return
            raise
        loop = [cr.value_and_grad(f)(x) for x in xs]
        np.testing.assert_allclose(mine[0], [v for v, _ in loop], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(mine[1], [g for _, g in loop], rtol=1e-8, atol=1e-8)
        over = cr.grad(lambda x: np.sum(cr.vmap(f)(x)))(xs)
        np.testing.assert_allclose(over, [g for _, g in loop], rtol=1e-8, atol=1e-8)


X = np.random.default_rng(0).standard_normal((5, 3))
W = np.random.default_rng(1).standard_normal((3, 4))


def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)


def test_under_and_over_derivatives():
    per_example = [cr.grad(loss)(W, x) for x in X]
    np.testing.assert_allclose(cr.vmap(cr.grad(loss), (None, 0))(W, X), per_example)
    np.testing.assert_allclose(cr.grad(lambda w: np.sum(cr.vmap(loss, (None, 0))(w, X)))(W), sum(per_example))
    hessians = [cr.hessian(loss, 1)(W, x) for x in X]
    np.testing.assert_allclose(cr.vmap(cr.hessian(loss, 1), (None, 0))(W, X), hessians)
    np.testing.assert_allclose(
        cr.jacobian(lambda w: cr.vmap(cr.grad(loss), (None, 0))(w, X))(W), [cr.hessian(loss)(W, x) for x in X]
    )
    g = lambda w: np.sum(cr.vmap(lambda x: np.sum(cr.grad(loss, 1)(w, x) ** 2))(X))
    cr.check_grads(g, (W,), order=2)
    np.testing.assert_allclose(cr.vmap(lambda v: cr.hvp(lambda x: loss(W, x), X[0], v))(np.eye(3)), hessians[0])
    nested = cr.vmap(lambda x: cr.vmap(cr.grad(lambda y: loss(W, x * y)))(X))(X)
    np.testing.assert_allclose(nested, [[cr.grad(lambda y: loss(W, x * y))(y) for y in X] for x in X])


def test_axes_and_trees():
    f = lambda p, x: {"s": p["a"] * x, "t": (x.sum(), p["b"])}
    out = cr.vmap(f, in_axes=({"a": 1, "b": None}, 0), out_axes={"s": 1, "t": (0, None)})({"a": X.T, "b": 2.0}, X)
    np.testing.assert_allclose(out["s"], (X * X).T)
    np.testing.assert_allclose(out["t"][0], X.sum(axis=1))
    assert out["t"][1] == 2.0
    np.testing.assert_allclose(cr.vmap(lambda x: 1.0)(X), np.ones(5))
    np.testing.assert_allclose(cr.vmap(lambda x, y: x + y, in_axes=-1)(X, X), (X + X).T)
    np.testing.assert_allclose(
        cr.vmap(cr.vmap(lambda a, b: a * b, (None, 0)), (0, None))(np.arange(3.0), np.arange(4.0)),
        np.outer(np.arange(3), np.arange(4)),
    )


def test_in_place_and_creation():
    import chainrule.numpy as cnp

    h = lambda x: (lambda a: np.sum(a * x) + a[0] ** 2)(np.concatenate([x[1:2] * 2, x[:-1] ** 2]))

    def f(x):
        a = np.zeros_like(x)
        b = cnp.zeros(2)
        a[0] = x[1] * 2
        v = a[1:]
        v += x[:-1] ** 2
        b[1] = a[0]
        return np.sum(a * x) + b[1] * np.sum(b)

    np.testing.assert_allclose(cr.vmap(f)(X), [h(x) for x in X])
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(X), [cr.grad(h)(x) for x in X])


def test_branches():
    f = lambda x: x**2 if x > 0 else -x
    np.testing.assert_allclose(cr.vmap(f)(np.array([1.0, 2.0])), [1, 4])
    with pytest.raises(cr.TraceError, match="use np"):
        cr.vmap(f)(np.array([1.0, -2.0]))
    with pytest.raises(cr.TraceError, match="mask"):
        cr.vmap(lambda x: np.sum(x[x > 0]))(X)
    with pytest.raises(cr.TraceError, match="vmap"):
        cr.vmap(lambda x: x.item())(X[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.vmap(lambda x, y: x)(X, W), "different numbers"),
        (lambda: cr.vmap(lambda x: x)(2.0), "no axis 0"),
        (lambda: cr.vmap(lambda x: x, in_axes=None)(X), "no argument is mapped"),
        (lambda: cr.vmap(lambda x, y: x, in_axes=(0,))(X, X), "1 entries for 2"),
        (lambda: cr.vmap(lambda x: x, in_axes=({"a": 0},))([X]), "do not fit"),
        (lambda: cr.vmap(lambda x: x, out_axes=None)(X), "out_axes is None"),
        (lambda: cr.vmap(lambda x: x @ np.ones(7))(X), "matmul"),
    ],
)
def test_clear_errors(call, message):
    with pytest.raises(cr.ChainruleError, match=message):
        call()


def test_scalars_and_dtypes():
    assert cr.vmap(cr.grad(lambda x: x**3))(np.array([1.0, 2.0])).tolist() == [3.0, 12.0]
    x = X.astype(np.float32)
    assert cr.vmap(cr.grad(lambda x: np.sum(np.sin(x) * 2.0)))(x).dtype == np.float32


def test_scalars_of_an_example_are_scalars():
    def exchanged(x):
        y = x * 1.0
        y[0], y[1] = y[1], y[0]
        s = x[0]
        s += x[1]
        return y * s

    def counted(x):  # an array without axes is one, and no scalar
        total = np.zeros_like(x[0])
        same = total
        for v in x:
            total += v
        return total + same

    for f in (exchanged, counted):
        np.testing.assert_allclose(cr.vmap(f)(X), [f(x) for x in X])
        np.testing.assert_allclose(cr.vmap(cr.jacobian(f))(X), [cr.jacobian(f)(x) for x in X])


def test_results_share_nothing_with_arguments():
    x = X.copy()
    cr.vmap(lambda v: v)(x)[0] = 9.0
    np.testing.assert_array_equal(x, X)


def test_branches_of_a_batch_under_a_derivative_keep_the_examples_apart():
    f = lambda x: cr.cond(np.sum(x) > 0, lambda v: v * v, lambda v: 3 * v, x)
    loop = np.stack([2 * x if np.sum(x) > 0 else np.full(3, 3.0) for x in X])
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(cr.vmap(f)(x)))(X), loop)
    np.testing.assert_allclose(cr.jit(cr.vmap(f))(X), [f(x) for x in X])
