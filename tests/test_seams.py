"""Where two parts meet: every program of a table, in every mode and every language, against its own differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = np.array([0.5, -1.0, 2.0])
Z = X + 1j * np.array([1.0, -1.0, 2.0])

COUNTED: dict[str, Callable[[Any], Any]] = {  # integers and truth values beside floats
    "range": lambda x: np.min(x) - np.max(x),
    "share of a maximum": lambda x: x[1] - 3 * np.max(x * x),
    "place times value": lambda x: x[np.argmax(x)] ** 2 + np.argmin(x) * x[0],
    "powers of many": lambda x: np.sum(x ** np.arange(3)),
    "less a mask": lambda x: np.sum(x * (x - (x > 0))),
    "what a mask leaves": lambda x: (1 - (x > 0)) @ x,
    "minus a masked product": lambda x: np.sum(-((x > 0) * x) + x * (x > 1)),
    "ranks": lambda x: np.sort(x)[::-1] @ np.arange(3),
    "beside integers": lambda x: np.r_[1:4] @ (x * x) + np.einsum("i,i->", x, np.arange(3)),
    "a quadratic form": lambda x: np.einsum("i,j,ij->", x, x, np.arange(9.0).reshape(3, 3)),
}
TURNED: dict[str, Callable[[Any], Any]] = {  # complex numbers on the way, beside scalars
    "length": lambda x: np.abs(np.exp(1j * x[0]) + x[1]),
    "product": lambda x: np.abs((1j * x[0]) * x[1] * 2),
    "difference": lambda x: np.abs((2 + 1j) - x[0]),
    "imaginary part": lambda x: ((1j * x[0]) * x[1]).imag,
    "part of a part": lambda x: (1j * x[0]).imag * x[1],
    "scan": lambda x: np.abs(cr.scan(lambda c, y: (c * (1j * y + x[0]), y), 1.0 + 0j, x)[0]),
    "checkpoint": lambda x: np.abs(cr.checkpoint(lambda y: 1j * y[0] + y[1] * y[2])(x)),
}
ALL = COUNTED | TURNED


def differences(f: Callable[[Any], Any], x: Any, h: float = 1e-6) -> Any:
    return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(len(x))])


@pytest.mark.parametrize("name", ALL)
def test_modes(name: str):
    f = ALL[name]
    want = differences(f, X)
    for gradient in (cr.grad(f), cr.jit(cr.grad(f)), cr.grad(cr.jit(f)), cr.jacobian(f, mode="forward")):
        np.testing.assert_allclose(gradient(X), want, 1e-6, 1e-6)
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(X[None])[0], want, 1e-6, 1e-6)
    np.testing.assert_allclose(cr.hessian(f)(X), cr.jit(cr.hessian(f))(X), 1e-9, 1e-9)
    np.testing.assert_allclose(cr.hessian(f)(X), differences(cr.grad(f), X), 1e-5, 1e-5)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("language", ["python", "torch", "jax"])
def test_printed(name: str, language: str):
    pytest.importorskip("numpy" if language == "python" else language)
    f = COUNTED[name]
    program = cr.code(f, X, lang=language)
    if language == "torch":
        import torch

        given = torch.tensor(X, requires_grad=True)
        value = program.function.apply(given)
        value.backward()
        value, gradient = value.detach().numpy(), given.grad.numpy()
    else:
        value, gradient = program.function(X)
    single = 1e-5 if language == "jax" else 1e-9
    np.testing.assert_allclose(value, f(X), single, single)
    np.testing.assert_allclose(gradient, differences(f, X), 1e-4, 1e-4)


# ---- Jacobians of complex results --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["forward", "reverse", None])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_complex_result_of_real_arguments_has_a_complex_jacobian(mode: Any, compiled: bool):
    def f(x: Any) -> Any:
        return np.exp(1j * x) * x[0]

    jacobian = cr.jacobian(f, mode=mode)
    found = (cr.jit(jacobian) if compiled else jacobian)(X)
    np.testing.assert_allclose(found, differences(f, X).T, 1e-6, 1e-6)
    np.testing.assert_allclose(cr.jacobian(f, sparsity="auto")(X).toarray(), found, 1e-9, 1e-9)


def test_the_modes_agree_on_a_real_result_of_complex_arguments():
    np.testing.assert_allclose(cr.jacobian(np.abs, mode="forward")(Z), cr.jacobian(np.abs, mode="reverse")(Z))


@pytest.mark.parametrize("f", [np.conj, lambda z: z * np.abs(z), lambda z: z.real + 2j * z.imag])
def test_a_jacobian_that_no_complex_numbers_say_is_refused(f: Any):
    with pytest.raises(cr.InputError, match="not holomorphic"):
        cr.jacobian(f)(Z)
    np.testing.assert_allclose(cr.jacobian(lambda z: np.exp(z) * z[0])(Z)[0, 0], np.exp(Z[0]) * (1 + Z[0]))


def test_a_pattern_that_leaves_entries_out_is_refused():
    def f(x: Any) -> Any:
        return x * np.sum(x)

    with pytest.raises(cr.InputError, match="leaves out entries"):
        cr.jacobian(f, sparsity=np.eye(3, dtype=bool))(X)
    np.testing.assert_allclose(cr.jacobian(f, sparsity=np.ones((3, 3)))(X).toarray(), cr.jacobian(f)(X))


# ---- what is not a function, a number or an integer ---------------------------------------------------------------

TAKES_A_FUNCTION = [
    cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian, cr.checkpoint, cr.jit,
    lambda f: lambda x: cr.vmap(f)(x[None]), lambda f: lambda x: cr.vjp(f, x), lambda f: lambda x: cr.jvp(f, (x,), (x,)),
    lambda f: lambda x: cr.linearize(f, x), lambda f: lambda x: cr.hvp(f, x, x), lambda f: lambda x: cr.sparsity(f, x),
]  # fmt: skip


@pytest.mark.parametrize("transform", TAKES_A_FUNCTION)
@pytest.mark.parametrize("f", ["x^2", 3, [1]])
def test_what_is_no_function_is_refused(transform: Any, f: Any):
    with pytest.raises(cr.InputError, match="a function is needed"):
        transform(f)(X)


@pytest.mark.parametrize("name", ["sigmoid", "relu", "softplus", "gelu", "leaky_relu", "erf", "softmax", "log_softmax"])
@pytest.mark.parametrize(
    "given", ["abc", [[1, 2], [3]], np.array(["a"]), {"a": 1}, object()], ids=lambda g: type(g).__name__
)
def test_an_operation_of_what_is_no_number_is_refused(name: str, given: Any):
    with pytest.raises(cr.ChainruleError):
        getattr(cr, name)(given)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cr.fori_loop(0, 2.5, lambda i, c: c + 1, X),
        lambda: cr.switch(0.5, [np.sin, np.cos], X),
        lambda: cr.jit(lambda i: cr.switch(i, [np.sin, np.cos], X))(0.5),
        lambda: cr.cond(X > 0, np.sin, np.cos, X),
        lambda: cr.grad(lambda x: np.sum(cr.cond(x > 0, np.sin, np.cos, x)))(X),
        lambda: cr.scan(lambda c, x: (np.append(c, x), c), X, X),
        lambda: cr.prove("x = x", functions="3"),
        lambda: cr.prove("x = x", functions=3),
        lambda: cr.prove("x = x", given=3),
    ],
)
def test_what_would_be_cut_off_or_ignored_is_refused(call: Any):
    with pytest.raises(cr.ChainruleError):
        call()


def into_a_plain_array(x: Any) -> Any:
    made = np.zeros(3)
    made[0] = x[0]
    return np.sum(made * x)


@pytest.mark.parametrize(
    "transform",
    [
        cr.grad,
        cr.jit,
        lambda f: lambda x: cr.vmap(f)(x[None]),
        lambda f: cr.jit(lambda x: cr.fori_loop(0, 2, lambda i, c: f(c) * c, x)),
        lambda f: cr.jit(lambda x: cr.cond(x[0] > 0, f, f, x)),
    ],
)
def test_a_write_into_a_plain_array_is_refused_in_our_words(transform: Any):
    with pytest.raises(cr.TraceError, match="plain NumPy array"):
        transform(into_a_plain_array)(X)


# ---- where NaNs come from ----------------------------------------------------------------------------------------


def root(x: Any) -> Any:
    return np.sum(np.sqrt(x))


compiled, compiled_gradient = cr.jit(lambda x: np.sum(np.log(x))), cr.jit(cr.grad(root))
WATCHED = {
    "a compiled function": lambda: compiled(X),
    "a compiled gradient": lambda: compiled_gradient(np.zeros(3)),
    "a batch": lambda: cr.vmap(np.log)(X),
    "a gradient in a batch": lambda: cr.vmap(cr.grad(root))(np.zeros((2, 3))),
    "a tangent": lambda: cr.jvp(np.sqrt, (0.0,), (1.0,)),
    "a loop": lambda: cr.grad(lambda x: cr.scan(lambda c, y: (c * np.log(y), y), 1.0, x)[0])(X),
}


@pytest.mark.parametrize("name", WATCHED)
def test_nans_are_seen_in(name: str):
    compiled(abs(X)), compiled_gradient(abs(X))  # they run natively from here on
    with np.errstate(all="ignore"), pytest.raises(cr.DerivativeError, match=r"log|sqrt"), cr.debug_nans():
        WATCHED[name]()
    with cr.debug_nans():
        assert np.isfinite(compiled(abs(X)))


# ---- budgets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: cr.explain("+".join(f"relu(w{i}*x + b{i})" for i in range(30))).zeros("x", budget=0.5),
        lambda: cr.explain(
            "; ".join([*(f"a{i} = sin({f'a{i - 1}' if i else 'x'} + x)" for i in range(60)), "a59"])
        ).derivation(budget=0.5),
    ],
)
def test_a_search_ends_in_its_budget(call: Any):
    with pytest.raises(cr.InputError, match="the time was over"):
        call()


@pytest.mark.parametrize(
    "f", [np.std, lambda x: np.std(x, ddof=1), lambda x: np.std(x, where=np.array([True, True, False]))]
)
@pytest.mark.parametrize("x", [np.ones(3), np.full(3, 0.1), np.zeros(3)], ids=["ones", "rounded", "zeros"])
def test_where_nothing_varies_the_spread_has_no_slope(f: Any, x: Any):
    for gradient in (cr.grad(f), cr.jit(cr.grad(f)), cr.jacobian(f, mode="forward")):
        np.testing.assert_allclose(gradient(x), 0, atol=1e-12)
    np.testing.assert_allclose(cr.grad(f)(X), differences(f, X), 1e-6, 1e-6)
    np.testing.assert_allclose(cr.hessian(f)(X), differences(cr.grad(f), X), 1e-5, 1e-5)


# ---- arrays with rules of their own ------------------------------------------------------------------------------


def squares(x: Any) -> Any:
    return np.sum(x * x)


@pytest.mark.parametrize(
    "x", [np.ma.array([1.0, 2.0], mask=[0, 1]), np.ones((1, 2)).view(np.matrix)], ids=["masked", "matrix"]
)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: cr.explain(squares, x),
        lambda x: cr.explain("sum(x*x)", x=x),
        lambda x: cr.parse("sum(x*x)")(x),
        lambda x: cr.code(squares, x),
        lambda x: cr.cost(squares, x),
        lambda x: cr.trace_gradient(squares, "x", x),
        lambda x: cr.check_backward(squares, lambda ct, x: 2 * ct * x, (x,)),
        lambda x: cr.checkpoint(squares)(x),
        lambda x: cr.fori_loop(0, 2, lambda i, c: c * c, x),
    ],
)
def test_arrays_with_rules_of_their_own_are_refused_everywhere(call: Any, x: Any):
    with pytest.raises(cr.InputError, match="rules of its own"):
        call(x)


def test_a_gradient_does_not_go_to_data_of_another_shape():
    import chainrule.torch as torch

    x = torch.ones(2, 3, requires_grad=True)
    y = x * 2
    x.data = torch.ones(6)
    with pytest.raises(cr.ShapeError, match="given data of shape"):
        y.backward(torch.ones(2, 3))
    assert x.grad is None
