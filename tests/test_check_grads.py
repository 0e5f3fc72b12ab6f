"""check_grads: what is wrong is found whatever its size; what cannot be checked is said, and not called wrong."""

import numpy as np
import pytest

import chainrule as cr

X = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("f", "args"),
    [
        ("x^2*sin(y)", (2.0, 1.0)),
        (np.log, (1e-9,)),
        (lambda x: np.sum(np.sqrt(x)), (np.array([1e-12, 1.0]),)),
        (lambda x: x**3, (1e8,)),
        (lambda x: 1e9 + np.sin(x), (1.0,)),
        (lambda x: 1e-12 * np.sin(x), (1.0,)),
        (lambda x: (x + 1e8) - 1e8, (1.0,)),
        (np.sin, (1e5,)),
        (lambda x: (x * 2, {"a": np.sin(x)}), (X,)),
        (lambda p: p["a"] * p["b"], ({"a": 1.0, "b": X},)),
        (lambda x: 3.0, (X,)),
        (lambda x: np.sum(x / np.sum(x)), (X,)),
        (lambda x: np.sum(np.exp(x)), ((3 * X).astype(np.float32),)),
        (lambda x: np.sum(np.sin(x)), (X.astype(np.float16),)),
        (lambda x: x * 2, (np.zeros((0, 2)),)),
        (lambda x: np.floor(x) + x, (1.5,)),
    ],
)
def test_what_is_right_passes(f, args):
    cr.check_grads(f, args)


def sine(factor):
    """A sine with a rule of its own, scaled by a factor."""

    @cr.custom_vjp
    def f(x):
        return np.sin(x)

    f.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (factor * ct * np.cos(x),))
    return f


@pytest.mark.parametrize("size", [1e-15, 1e-6, 1.0, 1e12])
@pytest.mark.parametrize("factor", [0.0, 0.5, -1.0, 1.001])
def test_what_is_wrong_is_found_whatever_its_size(size, factor):
    cr.check_grads(lambda x: size * sine(1.0)(x), (0.7,), order=1)
    with pytest.raises(cr.DerivativeError, match=r"wrong in|disagree"):
        cr.check_grads(lambda x: size * sine(factor)(x), (0.7,), order=1)


@pytest.mark.parametrize(
    ("f", "args", "what"),
    [
        (np.abs, (0.0,), "lies on a kink"),
        (lambda x: np.maximum(x, 0), (np.array([0.0, 1.0]),), "lies on a kink"),
        (np.max, (np.array([1.0, 1.0]),), "lies on a kink"),
        (lambda x: x * np.random.default_rng().standard_normal(), (1.0,), "cannot be checked"),
        (lambda x: np.log(x), (-1.0,), "not finite"),
        (lambda x: 1 / x, (0.0,), "not finite"),
        (lambda x: x * 1j, (1.0,), "complex"),
        (lambda x: np.abs(x), (1 + 1j,), "complex"),
        (lambda x: x > 0, (1.0,), "no floating-point number"),
        (lambda x: None, (1.0,), "no floating-point number"),
        (lambda x: x, 1.0, "as a tuple"),
        (lambda x: x, X, "as a tuple"),
        (lambda: 1.0, (), "as a tuple"),
        (3, (1.0,), "expected a function"),
        (lambda x: x, (3,), "integer"),
    ],
)
def test_what_cannot_be_checked_is_said(f, args, what):
    with np.errstate(all="ignore"), pytest.raises(cr.InputError, match=what):
        cr.check_grads(f, args)


@pytest.mark.parametrize("options", [{"order": 0}, {"order": 1.5}, {"directions": 0}])
def test_options_are_handled_or_refused(options):
    with pytest.raises(cr.InputError, match="whole number"):
        cr.check_grads(np.sin, (1.0,), **options)
    with pytest.raises(cr.DerivativeError):
        cr.check_grads(lambda x: x / 3 + np.sin(x), (1.0,), rtol=0.0, atol=0.0)
