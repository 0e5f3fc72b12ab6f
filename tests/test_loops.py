"""scan, fori_loop, while_loop, cond, switch: the same as Python's loops and branches, in every mode and order."""

import numpy as np
import pytest

import chainrule as cr

rng = np.random.default_rng(0)
W, XS, H = rng.standard_normal((3, 3)) * 0.5, rng.standard_normal((6, 3)), np.ones(3)


def scanned(W, xs, h):
    h, ys = cr.scan(lambda h, x: (np.tanh(W @ h + x), {"y": np.sum(h * x)}), h, xs)
    return np.sum(h**2) + np.sum(ys["y"] ** 2)


def looped(W, xs, h):
    total = 0.0
    for x in xs:
        total = total + np.sum(h * x) ** 2
        h = np.tanh(W @ h + x)
    return np.sum(h**2) + total


def test_scan():
    assert scanned(W, XS, H) == pytest.approx(looped(W, XS, H))
    for mine, theirs in zip(cr.grad(scanned, (0, 1, 2))(W, XS, H), cr.grad(looped, (0, 1, 2))(W, XS, H), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)
    cr.check_grads(scanned, (W, XS, H), order=2)
    np.testing.assert_allclose(cr.hessian(scanned)(W, XS, H), cr.hessian(looped)(W, XS, H), rtol=1e-10, atol=1e-12)
    batch = np.stack([XS, 2 * XS])
    np.testing.assert_allclose(
        cr.vmap(cr.grad(scanned, 1), (None, 0, None))(W, batch, H), [cr.grad(looped, 1)(W, x, H) for x in batch]
    )
    over = cr.grad(lambda W: np.sum(cr.vmap(scanned, (None, 0, None))(W, batch, H)))(W)
    np.testing.assert_allclose(over, sum(cr.grad(looped)(W, x, H) for x in batch))


def test_scan_is_one_node_traced_once():
    calls = []

    def f(x):
        def step(c, _):
            calls.append(1)
            return c * x, c

        c, ys = cr.scan(step, x, None, length=1000)
        return c + ys[3]

    assert cr.grad(f)(1.001) == pytest.approx(cr.jvp(f, (1.001,), (1.0,))[1])
    assert len(calls) == 2


def test_scan_trees_and_empty():
    c, ys = cr.scan(lambda c, x: ({"a": c["a"] + x[0]}, (x[1], c["a"])), {"a": 0.0}, (np.arange(3.0), np.ones(3)))
    assert c == {"a": 3.0}
    np.testing.assert_array_equal(ys[1], [0, 0, 1])
    assert cr.grad(lambda x: cr.scan(lambda c, x: (c * 2, None), x, np.zeros(0))[0])(3.0) == 1.0


def test_fori_loop():
    f = lambda x: cr.fori_loop(0, 5, lambda i, c: c * x + i, x)
    g = lambda x: ((((x * x + 0) * x + 1) * x + 2) * x + 3) * x + 4
    assert f(2.0) == g(2.0)
    assert cr.grad(f)(2.0) == cr.grad(g)(2.0)
    table = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(cr.grad(lambda t: cr.fori_loop(0, 3, lambda i, c: c * t[i], 1.0))(table), [6, 3, 2])


def test_while_loop():
    f = lambda x: cr.while_loop(lambda c: c < 100, lambda c: c * x, x)
    assert f(3.0) == 243.0
    assert cr.grad(f)(3.0) == 405.0
    assert cr.jvp(f, (3.0,), (1.0,)) == (243.0, 405.0)
    assert cr.grad(cr.grad(f))(3.0) == 5 * 4 * 3.0**3

    def newton(a):
        return cr.while_loop(
            lambda s: abs(s["x"] ** 2 - a) > 1e-12, lambda s: {"x": 0.5 * (s["x"] + a / s["x"])}, {"x": a}, max_steps=50
        )["x"]

    assert cr.grad(newton)(2.0) == pytest.approx(0.5 / np.sqrt(2))
    with pytest.raises(cr.ChainruleError, match="after 3 steps"):
        cr.grad(lambda x: cr.while_loop(lambda c: c > 0, lambda c: c + x, x, max_steps=3))(1.0)
    with pytest.raises(cr.ChainruleError, match="after 3 steps"):
        cr.while_loop(lambda c: True, lambda c: c, 1.0, max_steps=3)


def test_cond_and_switch():
    f = lambda x: cr.cond(x > 0, lambda y: y**2 * x, lambda y: -y, x)
    assert [f(3.0), f(-3.0)] == [27.0, 3.0]
    assert [cr.grad(f)(v) for v in (3.0, -3.0)] == [27.0, -1.0]
    assert cr.grad(cr.grad(f))(3.0) == 18.0
    assert cr.jvp(f, (3.0,), (1.0,)) == (27.0, 27.0)
    np.testing.assert_allclose(cr.vmap(f)(np.array([1.0, -2.0])), [1, 2])
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(np.array([1.0, -2.0])), [3, -1])
    g = lambda x, k: cr.switch(k, [lambda y: y, lambda y: y**2, lambda y: y**3 * x], x)
    assert [cr.grad(g)(2.0, k) for k in (-1, 0, 1, 2, 9)] == [1.0, 1.0, 4.0, 32.0, 32.0]
    h = lambda x: cr.fori_loop(0, 4, lambda i, c: cr.cond(c > 10, lambda c: c + x, lambda c: c * x, c), x)
    assert h(3.0) == 33.0
    assert cr.grad(h)(3.0) == 29.0
    with np.errstate(all="raise"):
        assert cr.grad(lambda x: cr.cond(x > 0, lambda y: np.sqrt(y), lambda y: y * 0.0, x))(-1.0) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.grad(lambda x: cr.scan(lambda c, v: (c if c > 0 else -c, v), x, XS)[0])(1.0), "cond"),
        (lambda: cr.grad(lambda x: cr.scan(lambda c, v: c, x, XS)[0])(1.0), "pair"),
        (lambda: cr.grad(lambda x: np.sum(cr.scan(lambda c, v: (c * v, v), x, XS)[0]))(1.0), "changes its shape"),
        (lambda: cr.grad(lambda x: cr.scan(lambda c, v: ((c, c), v), x, XS)[0])(1.0), "structure"),
        (lambda: cr.scan(lambda c, v: (c, v), 1.0, None), "length"),
        (lambda: cr.scan(lambda c, v: (c, v), 1.0, (XS, XS[:2])), "first axes"),
        (lambda: cr.grad(lambda x: cr.cond(x > 0, lambda y: y, lambda y: (y, y), x))(1.0), "different structures"),
        (lambda: cr.grad(lambda x: np.sum(cr.cond(x > 0, lambda y: y, lambda y: y * XS, x)))(1.0), "different shapes"),
    ],
)
def test_clear_errors(call, message):
    with pytest.raises(cr.ChainruleError, match=message):
        call()


def rnn(W, xs, h0):
    def step(h, x):
        z = W @ h + x
        new = np.tanh(z)
        return new, np.sum(h * x)

    h, losses = cr.scan(step, h0, xs)
    return np.sum(h**2) + np.sum(losses**2)


def agrees(f, *args):
    """The printed program, run, is the engine."""
    program = cr.code(f, *args)
    value, gradients = program.function(*args)
    expected, theirs = cr.value_and_grad(f, tuple(range(len(args))))(*args)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for mine, engine in zip(gradients if len(args) > 1 else (gradients,), theirs, strict=True):
        np.testing.assert_allclose(mine, engine, rtol=1e-10, atol=1e-12)
    return program


def test_a_loop_reads_as_a_loop():
    program = agrees(rnn, W, XS, H)
    text = " ".join(program.split())
    for part in (
        "h, losses = h_loop(h0, xs, W)",
        "for t in range(6): x = x_all[t] Wh = W @ h z = Wh + x new = np.tanh(z)",
        "for t in reversed(range(6)): h = kept[t]",
        "dh0, dxs, dW = h_loop_grad(h0, xs, W, dh, dlosses)",
        "dz = dnew * (1 - new * new)",
    ):
        assert part in text
    e = cr.explain(rnn, W, XS, H)
    assert [r.operation for r in e.table()].count("scan(h0, xs, W)") == 1
    assert len(e.draw().vertices) == 11
    assert len(cr.draw(rnn, W, XS, H, open="scan").vertices) > 30
    assert "scan" in e.json()
    assert "scan" in e.latex()


def test_every_kind_of_loop_is_printed_and_runs():
    agrees(lambda x, a: cr.while_loop(lambda c: c < 100, lambda c: c * x + a, x) ** 2, 3.0, 0.5)
    for x in (3.0, -3.0):
        agrees(lambda x, w: cr.cond(x > 0, lambda v: np.sin(v) * w, lambda v: -v, x) * x, x, 0.5)
    for k in (0, 1, 2):
        agrees(lambda x: np.sum(cr.switch(k, [lambda v: v, lambda v: v**2, lambda v: np.exp(v) * x], x)), H)
    agrees(lambda x: cr.fori_loop(0, 5, lambda i, c: c * x + i, x), 1.5)

    def nested(x, w):
        def outer(c, row):
            return cr.fori_loop(0, 3, lambda j, d: np.tanh(d * w) + c, c * row), c

        c, seen = cr.scan(outer, x, XS[:, :1])
        return np.sum(c**2) + np.sum(seen)

    agrees(nested, H, 0.7)

    def shared(x):
        c, ys = cr.scan(lambda c, y: (c * y + x, c * y + x), x, XS)
        return np.sum(c * ys[0]) + np.sum(ys**2) + np.sum(x)

    agrees(shared, H)

    def unchanged(x, w):
        (a, b), _ = cr.scan(lambda c, y: ((c[0], c[0] * c[1] + y[0]), None), (x, w), XS)
        return a * b

    agrees(unchanged, 0.5, 0.7)


def test_loops_can_be_opened_and_checkpoints_are_written_out():
    def f(w, x):
        h = cr.fori_loop(0, 3, lambda i, h: np.tanh(h * w), x)
        return cr.checkpoint(lambda h: h * h + w)(h)

    agrees(f, 0.5, 2.0)
    program = cr.code(f, 0.5, 2.0, open="fori_loop")
    assert program.count("tanh(") == 3
    value, gradients = program.function(0.5, 2.0)
    assert value == pytest.approx(f(0.5, 2.0))
    assert gradients == pytest.approx(cr.grad(f, (0, 1))(0.5, 2.0))
    with pytest.raises(cr.InputError, match="stages"):
        cr.code(lambda x: cr.fori_loop(0, 5000, lambda i, c: c * x, x), 1.0, open="scan")


# ---- a body owns copies of what it is given, and writes into nothing else ------------------------------------


def write(c):
    c[0] = 0.5 * c[1]
    return c * c


def swap(c):
    c[0], c[1] = c[1], c[0]
    s = c[2]
    s += c[0]
    c *= 0.9
    return c


def through_views(c):
    v = c[1:]
    v *= 1.5
    v[::-1][0] += c[0] * c[0]
    c.reshape(-1)[0] += 0.1
    return np.sin(v[::-1].sum()) * c * 0.5


def python_scan(f, c, xs, length):
    ys = []
    for t in range(length):
        c, y = f(c.copy(), None if xs is None else xs[t].copy())
        ys.append(np.copy(y))
    return np.copy(c), np.stack(ys)


MUTATING = {  # the operation, and what it means in Python
    "fori_loop": (
        lambda b, x: cr.fori_loop(0, 3, lambda i, c: b(c), x),
        lambda b, x: b(b(b(x.copy()).copy()).copy()),
    ),
    "the carry twice": (
        lambda b, x: sum(np.sum(v, axis=0) for v in cr.scan(lambda c, _: (lambda d: (d, d))(b(c)), x, None, length=2)),
        lambda b, x: sum(np.sum(v, axis=0) for v in python_scan(lambda c, _: (lambda d: (d, d))(b(c)), x, None, 2)),
    ),
    "scanned": (
        lambda b, x: cr.scan(lambda c, r: (c * 0.5 + b(r), r), x, np.stack([1.0, 2.0])[:, None] * x)[1][1] + x,
        lambda b, x: python_scan(lambda c, r: (c * 0.5 + b(r), r), x, np.stack([1.0, 2.0])[:, None] * x, 2)[1][1] + x,
    ),
    "while_loop": (
        lambda b, x: cr.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, b(c[1])), (0, x))[1],
        lambda b, x: b(b(x.copy()).copy()),
    ),
    "cond": (lambda b, x: cr.cond(x.sum() > 0, b, lambda u: u * 2, x) + x, lambda b, x: b(x.copy()) + x),
    "switch": (lambda b, x: cr.switch(1, [lambda u: u, b], x) + x, lambda b, x: b(x.copy()) + x),
    "checkpoint": (lambda b, x: cr.checkpoint(b)(x) + x, lambda b, x: b(x.copy()) + x),
    "vmap": (
        lambda b, x: cr.vmap(b)(np.stack([x, x * 2])).sum(axis=0) + x,
        lambda b, x: b(x.copy()) + b(x * 2) + x,
    ),
    "nested": (
        lambda b, x: cr.fori_loop(0, 2, lambda i, c: cr.cond(c[1] > 9, lambda u: u, b, cr.checkpoint(b)(c)), x),
        lambda b, x: b(b(b(b(x.copy()).copy()).copy()).copy()),
    ),
}


@pytest.mark.parametrize("body", [write, swap, through_views])
@pytest.mark.parametrize("operation", MUTATING)
def test_a_body_owns_what_it_is_given(operation, body):
    """A plain call, every transform, and transforms of transforms mean what the loop in Python means."""
    x = np.array([0.4, -0.3, 0.8])
    batch = np.stack([x, 0.9 * x, 1.1 * x])
    mine, plain = MUTATING[operation]
    f, g = (lambda v: mine(body, v)), (lambda v: plain(body, v))
    score = lambda h: lambda v: np.sum(np.sin(h(v) + 0.3))
    slopes = lambda h, v, e=1e-5: np.stack([(h(v + d) - h(v - d)) / (2 * e) for d in e * np.eye(3)], -1)
    close = lambda a, b, tol=1e-7: np.testing.assert_allclose(a, b, rtol=tol, atol=tol)
    value, gradients = g(x), np.stack([slopes(score(g), v) for v in batch])
    close(f(x), value, 1e-12)
    close(cr.vjp(f, x)[0], value, 1e-12)
    close(cr.jit(f)(x), value, 1e-12)
    np.testing.assert_array_equal(x, [0.4, -0.3, 0.8])
    close(cr.jvp(f, (x,), (np.ones(3),))[1], slopes(g, x) @ np.ones(3))
    close(cr.grad(score(f))(x), gradients[0])
    close(cr.grad(cr.jit(score(f)))(x), gradients[0])
    close(cr.jit(cr.grad(score(f)))(x), gradients[0])
    close(cr.grad(score(cr.checkpoint(f)))(x), gradients[0])
    close(cr.hessian(score(f))(x), slopes(lambda v: slopes(score(g), v, 1e-4), x, 1e-4), 1e-4)
    close(cr.vmap(f)(batch), [g(v) for v in batch], 1e-12)
    close(cr.jit(cr.vmap(f))(batch), [g(v) for v in batch], 1e-12)
    close(cr.vmap(cr.grad(score(f)))(batch), gradients)
    close(cr.grad(lambda b: np.sum(np.sin(cr.vmap(f)(b) + 0.3)))(batch), gradients)


@pytest.mark.parametrize(
    "run",
    [
        lambda b, x: cr.fori_loop(0, 2, lambda i, c: b(c), x),
        lambda b, x: cr.scan(lambda c, _: (b(c), None), x, None, length=2)[0],
        lambda b, x: cr.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, b(c[1])), (0, x))[1],
        lambda b, x: cr.cond(x[0] > 0, b, lambda c: c, x),
        lambda b, x: cr.checkpoint(b)(x),
        lambda b, x: cr.vmap(b)(np.stack([x, x])),
    ],
)
def test_a_body_does_not_write_outside(run):
    def traced(x):
        a = x * 1.0
        v = a[1:]

        def body(c):
            v[0] = c[0]
            return c * 2

        return np.sum(run(body, x)) + np.sum(a)

    def plain(x):
        seen = np.zeros(3)

        def body(c):
            seen[0] += 1
            return c * seen[0]

        return np.sum(run(body, x))

    def copied(x):
        a = x * 1.0

        def body(c):
            b, z = a.copy(), np.zeros_like(a)
            b[0] = c[0]
            z[1:] = b[:-1]
            return c * z

        return np.sum(run(body, x))

    for f in (traced, plain):
        with pytest.raises(cr.TraceError, match="from outside"):
            cr.grad(f)(H)
    assert np.all(np.isfinite(cr.grad(copied)(H)))


def test_rules_of_the_users_own_get_copies():
    @cr.custom_vjp
    def f(x):
        x *= 2
        return x

    def backward(_, ct):
        ct *= 2
        return (ct,)

    f.defvjp(lambda x: (2 * x, None), backward)

    def loss(x):
        y = x * 1.0
        return np.sum(f(y) + y)

    np.testing.assert_array_equal(cr.grad(loss)(H), 3 * H)
    np.testing.assert_array_equal(f(H), 2 * H)
    np.testing.assert_array_equal(H, np.ones(3))
