"""The same derivatives as torch and jax, on the same code. Left out where they are not installed (`PEERS=1 make test`)."""

import importlib.util

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from programs import programs
from test_properties import numbers, tame

import chainrule as cr
import chainrule.torch as ct

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: run PEERS=1 make test"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="jax is not installed: run PEERS=1 make test"
)
pytestmark = pytest.mark.peers

A = np.random.default_rng(0).standard_normal((3, 4))
B = np.random.default_rng(1).standard_normal((4, 3))
V = np.random.default_rng(2).uniform(0.2, 1.5, 5)

# name: (chainrule, name in torch or function of (torch, tensor), name in jax)
UNARY = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh, "exp": np.exp, "expm1": np.expm1,
    "log": np.log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt, "arctan": np.arctan, "arcsinh": np.arcsinh,
    "abs": np.abs, "sigmoid": cr.sigmoid, "relu": cr.relu, "softplus": cr.softplus, "gelu": cr.gelu, "silu": cr.silu, "erf": cr.erf,
    "leaky_relu": cr.leaky_relu, "square": np.square, "exp2": np.exp2, "log_sigmoid": cr.log_sigmoid,
}  # fmt: skip


@needs_torch
@pytest.mark.parametrize("name", UNARY)
def test_elementwise_torch(name):
    import torch

    spaces = (torch, torch.nn.functional)
    theirs = {"log_sigmoid": "logsigmoid"}.get(name, name)
    f = next(getattr(s, theirs) for s in spaces if hasattr(s, theirs))
    t = torch.tensor(V, requires_grad=True)
    f(t).sum().backward()
    np.testing.assert_allclose(cr.grad(lambda x: np.sum(UNARY[name](x)))(V), t.grad.numpy(), rtol=1e-12)


@needs_jax
@pytest.mark.parametrize("name", UNARY)
def test_elementwise_jax(name):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    spaces = (jnp, jax.nn, jax.scipy.special)
    f = next(getattr(s, name) for s in spaces if hasattr(s, name))
    f = (lambda x: jax.nn.gelu(x, approximate=False)) if name == "gelu" else f
    second = jax.grad(lambda x: jnp.sum(jax.grad(lambda z: jnp.sum(f(z)))(x) * x))(V)
    ours = cr.grad(lambda x: np.sum(cr.grad(lambda z: np.sum(UNARY[name](z)))(x) * x))(V)
    np.testing.assert_allclose(ours, second, rtol=1e-9, atol=1e-12)


def arrays(np):
    """Functions of a (3, 4) and a (4, 3) array, in the namespace of NumPy or of jax."""
    return {
        "matmul": lambda a, b: np.sum((a @ b) ** 3),
        "einsum": lambda a, b: np.sum(np.einsum("ij,jk,kl->il", a, b, a) ** 2),
        "reductions": lambda a, b: np.sum(np.max(a, axis=0) * np.mean(b, axis=1)) + np.prod(a[0]) + np.std(b),
        "shapes": lambda a, b: np.sum(np.concatenate([a.T, b], axis=1).reshape(3, 8) @ np.tile(b, (2, 1))),
        "indexing": lambda a, b: np.sum(a[[0, 2, 0]][:, 1:] * b.T[:, np.array([0, 1, 3])]) + a[1, 2] * b[-1, -1],
        "where": lambda a, b: np.sum(np.where(a > b.T, np.sin(a), b.T**2)),
        "broadcasting": lambda a, b: np.sum((a[:, None, :] - b.T[None]) ** 2 / (1 + a[..., None, :] ** 2)),
        "cumsum": lambda a, b: np.sum(np.cumsum(a, axis=1) * b.T) + np.sum(np.sort(b, axis=0)[1] ** 2),
        "linalg": lambda a, b: (
            np.linalg.norm(a) * np.trace(a @ b) + np.sum(np.outer(a[0], b[:, 0])) + np.sum(np.tril(a @ b))
        ),
        "network": lambda a, b: np.mean((np.tanh(a @ b) @ a - np.maximum(b.T, 0)) ** 2),
    }


@needs_jax
@pytest.mark.parametrize("name", arrays(np))
def test_arrays_jax(name):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    f, g = arrays(np)[name], arrays(jnp)[name]
    if name == "indexing":
        g = lambda a, b: jnp.sum(a[jnp.array([0, 2, 0])][:, 1:] * b.T[:, jnp.array([0, 1, 3])]) + a[1, 2] * b[-1, -1]
    for mine, theirs in zip(cr.grad(f, (0, 1))(A, B), jax.grad(g, (0, 1))(A, B), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cr.hessian(f)(A, B), jax.hessian(g)(A, B), rtol=1e-8, atol=1e-10)


@needs_torch
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs(vector=False, size=25), numbers, numbers)
def test_random_programs_torch(program, x, y):
    """The very source of the program, with torch in the place of NumPy and of chainrule."""
    import torch

    source, f = program
    value, gradients = cr.value_and_grad(f, (0, 1))(x, y)
    assume(tame(value, *gradients))
    namespace = {"np": torch, "cr": torch}
    exec(source.replace("np.hypot(", "torch.hypot("), {"torch": torch, **namespace}, namespace)
    tx, ty = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, y))
    namespace["f"](tx, ty).backward()
    theirs = [0.0 if t.grad is None else t.grad.item() for t in (tx, ty)]
    np.testing.assert_allclose(gradients, theirs, rtol=1e-8, atol=1e-10)


@needs_torch
def test_a_torch_script_with_one_changed_import():
    import torch

    def train(torch):
        x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
        w = torch.tensor([[0.5, -0.3, 0.8], [0.2, 0.7, -0.6]], requires_grad=True)
        b = torch.tensor([0.1, -0.1, 0.0], requires_grad=True)
        v = torch.tensor([[0.4], [-0.9], [0.3]], requires_grad=True)
        losses = []
        for _ in range(100):
            h = torch.tanh(x @ w + b)
            loss = ((torch.sigmoid(h @ v) - y) ** 2).mean()
            loss.backward()
            with torch.no_grad():
                for p in (w, b, v):
                    p -= 0.5 * p.grad
                    p.grad.zero_()
            losses.append(loss.item())
        return losses

    np.testing.assert_allclose(train(ct), train(torch), rtol=1e-4)
