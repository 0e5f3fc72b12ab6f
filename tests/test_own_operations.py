"""The promise: an operation of a user's own is one declaration, and works in every part."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops import REGISTRY, Elementwise, Linear, shapes
from chainrule.ops.arithmetic import multiply
from chainrule.ops.piecewise import equal, where
from chainrule.ops.shape import flip
from chainrule.ops.trigonometric import cos
from chainrule.showing.coverage import coverage


def _slope(x, y):
    a = where(equal(x, 0), 1.0, x)
    return where(equal(x, 0), 0.0, (cos(np.pi * a) - y) / a)


sinc = Elementwise("sinc_of_mine", np.sinc, (_slope,))
written = Elementwise(
    "written_sinc", np.sinc, (_slope,), text="np.sinc({0})", torch="torch.sinc", latex=r"\operatorname{{sinc}}({0})"
)
running = Linear(
    "running_of_mine",
    lambda x, axis: np.cumsum(x, axis=axis),
    (lambda ct, x, axis: flip(running(flip(ct, axis=axis), axis=axis), axis=axis),),
    shape=shapes.like_floats,
    batch="along",
    examples=((((2, 3),), {"axis": -1}),),
)
MINE = [sinc, written, running]
for op in MINE:
    del REGISTRY[op.name]  # declared for these tests only
X = np.linspace(0.2, 1.5, 6).reshape(2, 3)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """The registry with the operations of this file, for one test."""
    for op in MINE:
        monkeypatch.setitem(REGISTRY, op.name, op)
    before = {*REGISTRY}
    yield
    for name in {*REGISTRY} - before:
        del REGISTRY[name]


def f(x):
    return np.sum(running(sinc(x), axis=-1) ** 2)


def plain(x):
    return np.sum(np.cumsum(np.sinc(x), axis=-1) ** 2)


def differences(x):
    h, g = 1e-6, np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[at] = h
        g[at] = (plain(x + step) - plain(x - step)) / (2 * h)
    return g


def test_eager():
    assert f(X) == pytest.approx(plain(X))
    np.testing.assert_allclose(cr.grad(f)(X), differences(X), rtol=1e-7)
    cr.check_grads(f, (X,), order=2)


def test_formula():
    assert cr.grad(cr.parse("sinc_of_mine(x)"))(0.5) == pytest.approx(cr.grad(lambda x: sinc(x))(0.5))


def test_vmap():
    batch = np.stack([X, 2 * X, -X])
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(batch), [cr.grad(f)(x) for x in batch], rtol=1e-12)


def test_jit():
    np.testing.assert_allclose(cr.jit(cr.value_and_grad(f))(X)[1], cr.grad(f)(X), rtol=1e-12)


def test_a_large_array_is_known_by_its_shape():
    x = np.linspace(0, 1, 60_000).reshape(200, 300)
    np.testing.assert_allclose(cr.jit(f)(x), plain(x), rtol=1e-10)


def test_printed_program():
    program = cr.code(f, X)
    assert "sinc_of_mine(x)" in program
    assert "axis=-1" in program
    value, gradient = program.function(X)
    assert value == pytest.approx(plain(X))
    np.testing.assert_allclose(gradient, differences(X), rtol=1e-7)


def test_a_program_does_not_guess_a_function_of_the_same_name():
    """math has a gamma, and NumPy a sinc: a declaration says if it is meant."""
    mine = Elementwise("gamma", lambda x: 2.0 * x, (2,))
    program = cr.code(lambda x: mine(x) + 1.0, 3.0)
    assert program.function(3.0) == (7.0, 2.0)


def test_languages_without_a_text_refuse():
    for lang in ("torch", "jax"):
        with pytest.raises(cr.errors.InputError, match="cannot be written"):
            cr.code(lambda x: np.sum(sinc(x)), X, lang=lang)
    assert "torch.sinc(x)" in cr.code(lambda x: np.sum(written(x)), X, lang="torch")


def test_coverage():
    for op in (sinc, written, running):
        cells = coverage(op)
        for part in ("value", "reverse", "forward", "second order", "vmap", "printed NumPy"):
            assert cells[part] == "yes", (op.name, part, cells[part])
        assert cells["native"] in ("yes", "by NumPy")
        assert all(cells.values())
    assert coverage(written)["torch"] == "yes"


def test_sparsity():
    assert cr.sparsity(lambda x: sinc(x), np.ones(3)).nnz == 3
    assert cr.sparsity(lambda x: running(x, axis=-1), np.ones(3)).nnz == 9


def test_a_wrong_way_to_batch_is_refused():
    odd = Elementwise("odd_of_mine", np.negative, (-1,), batch="sideways")
    with pytest.raises(cr.errors.ChainruleError, match="sideways"):
        cr.vmap(lambda x: multiply(odd(x), 2.0))(np.ones(3))
