"""jit: the same answers as without it, for branches, trees, nested transforms and in-place code."""

import numpy as np
import pytest

import chainrule as cr
import chainrule.torch as ct


def objective(x):
    return np.sum(np.tanh(x) * np.exp(-x * x) + np.log1p(x * x) * cr.sigmoid(x))


X = np.linspace(-2, 2, 7)


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        cr.grad,
        cr.value_and_grad,
        cr.hessian,
        cr.jacobian,
        lambda f: cr.vmap(cr.grad(f)),
        lambda f: cr.grad(lambda x: np.sum(cr.grad(f)(x) ** 2)),
    ],
)
def test_it_equals_the_plain_function_and_nests_either_way(transform):
    f = transform(objective)
    at = X if "vmap" not in getattr(f, "__qualname__", "") else X[:, None]
    want = f(at)
    for got in (cr.jit(f)(at), transform(cr.jit(objective))(at), cr.jit(transform(cr.jit(objective)))(at)):
        for a, b in zip(
            np.atleast_1d(np.asarray(got, object)).ravel(), np.atleast_1d(np.asarray(want, object)).ravel(), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_branches_on_values_are_guarded_and_both_ways_are_kept():
    traced = []

    @cr.jit
    def f(x):
        traced.append(1)
        return x * 2 if x.sum() > 0 else x * 3

    one = np.ones(2)
    for _ in range(3):
        np.testing.assert_array_equal(f(one), 2 * one)
        np.testing.assert_array_equal(f(-one), -3 * one)
    assert len(traced) == 2


def test_loops_whose_length_depends_on_a_value():
    @cr.jit
    def f(x):
        while x < 100:
            x = x * 2
        return x

    assert [f(3.0), f(60.0), f(200.0), f(4.0)] == [192.0, 120.0, 200.0, 128.0]


def test_too_many_branches_warn_and_still_answer():
    @cr.jit
    def f(x, n):
        return x * int(n)

    for k in range(16):
        assert f(2.0, k) == 2.0 * k
    with pytest.warns(RuntimeWarning, match="different ways through its branches"):
        assert f(2.0, 99) == 198.0


def test_questions_to_arrays_are_guarded():
    @cr.jit
    def f(x):
        if np.any(x > 1):
            return x.sum()
        return x[np.nonzero(x)].sum() + np.all(x == 0)

    for x in ([0.5, 0.0], [2.0, 0.0], [0.0, 0.25], [0.0, 0.0]):
        a = np.array(x)
        assert f(a) == (a.sum() if np.any(a > 1) else a[np.nonzero(a)].sum() + np.all(a == 0))


def test_arguments_changed_in_place_are_changed():
    def f(x):
        x[0] = 5.0
        x *= 2
        return x.sum()

    a, b = np.ones(3), np.ones(3)
    assert f(a) == cr.jit(f)(b)
    np.testing.assert_array_equal(a, b)


def test_results_share_no_memory_with_arguments_or_each_other():
    f = cr.jit(lambda x: (x, x.T, x))
    x = np.ones((2, 3))
    for y in f(x):
        y += 1
    np.testing.assert_array_equal(x, 1)
    np.testing.assert_array_equal(f(x)[0], 1)


def test_dtypes_are_those_of_the_plain_function():
    def f(x, lr):
        return x - lr * np.exp(x), x.sum(), x > 0

    for dtype in (np.float32, np.float64):
        x = np.ones(3, dtype)
        assert [a.dtype for a in cr.jit(f)(x, 0.1)] == [np.asarray(a).dtype for a in f(x, 0.1)]
    assert type(cr.jit(lambda x: x * 2 + 1)(3.0)) is float
    assert type(cr.jit(lambda n: n * 2)(3)) is int


def test_trees_keyword_and_static_arguments():
    @cr.jit
    def f(p, *, scale):
        return {"w": p["w"] * scale, "name": "kept"}

    assert f({"w": 2.0}, scale=3.0) == {"w": 6.0, "name": "kept"}
    g = cr.jit(lambda x, n, how: x**n if how == "power" else x * n, static_argnums=(1, 2))
    assert (g(3.0, 2, "power"), g(3.0, 2, "times"), g(3.0, 3, "power")) == (9.0, 6.0, 27.0)
    with pytest.raises(cr.InputError, match="static argument"):
        g(3.0, [1], "power")


def test_dataclasses_are_trees():
    import dataclasses

    @dataclasses.dataclass
    class Params:
        w: object
        b: float

    f = cr.jit(cr.grad(lambda p: np.sum(p.w**2) * p.b))
    for _ in range(2):
        g = f(Params(np.array([1.0, 2.0]), 3.0))
        np.testing.assert_array_equal(g.w, [6, 12])
        assert g.b == 5


def test_a_tensor_closed_over_is_refused():
    t = ct.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(cr.InputError, match="pass it as an argument"):
        cr.jit(lambda x: x * t)(np.ones(2))


def test_no_gradient_flows_out_of_no_grad_inside():
    def f(x):
        with ct.no_grad():
            y = x * x
        return np.sum(y * x)

    np.testing.assert_array_equal(cr.jit(cr.grad(f))(np.array([3.0])), [9.0])
    np.testing.assert_array_equal(cr.jit(f)(np.array([2.0])), 8.0)


def test_drawn_numbers_are_drawn_at_every_call():
    f = cr.jit(lambda x: ct.nn.functional.dropout(x, 0.5))
    x = np.ones(1000)
    ct.manual_seed(1)
    a, b = f(x), f(x)
    assert np.any(a != b)
    ct.manual_seed(1)
    np.testing.assert_array_equal(f(x), a)


def test_masks_are_looked_at():
    f = cr.jit(lambda x: (np.mean(x[x > 0]), x[x > 1]))
    for x in (np.array([1.0, -1, 3]), np.array([2.0, 4, -1]), np.array([2.0, 4, 6])):
        want = np.mean(x[x > 0]), x[x > 1]
        for _ in range(2):
            value, taken = f(x)
            assert value == want[0]
            np.testing.assert_array_equal(taken, want[1])
