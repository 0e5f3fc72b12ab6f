"""The rows of the benchmark: for each, what every library runs, and the result to compare.

A row is a function that returns {implementation: make}, where `make()` imports its library, prepares, and
returns (call, result): the timed callable, and a function giving numbers that all implementations must agree on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Made = tuple[Callable[[], Any], Callable[[], Any]]
ROWS: dict[str, tuple[str, Callable[[], dict[str, Callable[[], Made]]], int]] = {}


def row(title: str, repeats: int):
    def register(f):
        ROWS[f.__name__] = title, f, repeats
        return f

    return register


def torch_two_threads():
    import torch

    torch.set_num_threads(2)
    return torch


def d4d(exp, x, y):
    s = lambda z: 1 / (1 + exp(-z))
    return (x + s(y)) / (s(x) + (x + y) ** 2)


def by_hand(x, y, exp=math.exp):
    sigy = 1 / (1 + exp(-y))
    num = x + sigy
    sigx = 1 / (1 + exp(-x))
    xpy = x + y
    den = sigx + xpy * xpy
    inv = 1 / den
    f = num * inv
    dnum = inv
    dden = -inv * inv * num
    dxpy = 2 * xpy * dden
    return f, (dxpy + (1 - sigx) * sigx * dden + dnum, dxpy + (1 - sigy) * sigy * dnum)


@row("value and gradient of D4d, called from Python (us)", 2000)
def scalar_gradient():
    def ours():
        import chainrule as cr

        f = cr.code("(x + s(y)) / (s(x) + (x + y)^2)").function
        return lambda: f(3.0, -4.0), lambda: f(3.0, -4.0)[1]

    def ours_eager():
        import chainrule as cr

        g = cr.value_and_grad(lambda x, y: (x + cr.sigmoid(y)) / (cr.sigmoid(x) + (x + y) ** 2), (0, 1))
        return lambda: g(3.0, -4.0), lambda: g(3.0, -4.0)[1]

    def ours_jit():
        import chainrule as cr

        g = cr.jit(cr.value_and_grad(lambda x, y: (x + cr.sigmoid(y)) / (cr.sigmoid(x) + (x + y) ** 2), (0, 1)))
        return lambda: g(3.0, -4.0), lambda: g(3.0, -4.0)[1]

    def jax_jit():
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        g = jax.jit(jax.value_and_grad(lambda x, y: d4d(jnp.exp, x, y), argnums=(0, 1)))
        return lambda: jax.block_until_ready(g(3.0, -4.0)), lambda: g(3.0, -4.0)[1]

    def torch_eager():
        torch = torch_two_threads()

        def call():
            x = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
            y = torch.tensor(-4.0, dtype=torch.float64, requires_grad=True)
            d4d(torch.exp, x, y).backward()
            return x.grad.item(), y.grad.item()

        return call, call

    def autograd():
        import autograd as ag
        import autograd.numpy as anp

        g = ag.value_and_grad(lambda v: d4d(anp.exp, v[0], v[1]))
        at = np.array([3.0, -4.0])
        return lambda: g(at), lambda: g(at)[1]

    return {
        "by hand": lambda: (lambda: by_hand(3.0, -4.0), lambda: by_hand(3.0, -4.0)[1]),
        "chainrule, printed program": ours,
        "chainrule jit": ours_jit,
        "chainrule, eager": ours_eager,
        "jax jit": jax_jit,
        "torch eager": torch_eager,
        "autograd": autograd,
    }


STEPS = 200_000


def chain(sin, x):
    for i in range(STEPS):
        x = sin(x) if i % 10 == 0 else x * 0.999 + 0.001
    return x


@row("a graph of 200,000 scalar steps (380,000 operations), built and differentiated (s)", 3)
def eager_graph():
    def ours():
        import chainrule as cr

        g = cr.grad(lambda x: chain(np.sin, x))
        return lambda: g(0.5), lambda: [g(0.5)]

    def torch_eager():
        torch = torch_two_threads()

        def call():
            x = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
            chain(torch.sin, x).backward()
            return [x.grad.item()]

        return call, call

    def autograd():
        import autograd as ag
        import autograd.numpy as anp

        g = ag.grad(lambda x: chain(anp.sin, x))
        return lambda: g(0.5), lambda: [g(0.5)]

    return {"chainrule": ours, "torch eager": torch_eager, "autograd": autograd}


def network(m, relu, P, x, y):
    (W, b), (V, c) = P
    return m.mean((relu(x @ W + b) @ V + c - y) ** 2)


@row("value and gradient of a 64-32-10 network, batch 32, float32, eager (us)", 300)
def small_network():
    rng = np.random.default_rng(0)
    data = [rng.standard_normal(s).astype("f4") for s in ((64, 32), (32,), (32, 10), (10,), (32, 64), (32, 10))]
    W, b, V, c, x, y = data

    def ours():
        import chainrule as cr

        g = cr.value_and_grad(lambda P: network(np, cr.relu, P, x, y))
        P = [(W, b), (V, c)]
        return lambda: g(P), lambda: [a for layer in g(P)[1] for a in layer]

    def torch_eager():
        torch = torch_two_threads()
        tensors = [torch.tensor(a, requires_grad=True) for a in data[:4]]
        tx, ty = torch.tensor(x), torch.tensor(y)

        def call():
            for t in tensors:
                t.grad = None
            network(torch, torch.relu, [tensors[:2], tensors[2:]], tx, ty).backward()
            return [t.grad.numpy() for t in tensors]

        return call, call

    def autograd():
        import autograd as ag
        import autograd.numpy as anp

        g = ag.value_and_grad(lambda P: network(anp, lambda z: anp.maximum(z, 0), P, x, y))
        P = [(W, b), (V, c)]
        return lambda: g(P), lambda: [a for layer in g(P)[1] for a in layer]

    return {"chainrule": ours, "torch eager": torch_eager, "autograd": autograd}


SIZES = (64, 32, 10)


@row("gradients of a 64-32-10 network for each of 1,000 examples, float32, eager (us)", 20)
def per_example_gradients():
    rng = np.random.default_rng(0)
    W, V = rng.standard_normal((64, 32)).astype("f4"), rng.standard_normal((32, 10)).astype("f4")
    x, y = rng.standard_normal((1000, 64)).astype("f4"), rng.standard_normal((1000, 10)).astype("f4")

    def loss(m, P, x, y):
        return m.sum((m.tanh(x @ P[0]) @ P[1] - y) ** 2)

    def ours():
        import chainrule as cr

        g = cr.vmap(cr.grad(lambda P, x, y: loss(np, P, x, y)), (None, 0, 0))
        return lambda: g([W, V], x, y), lambda: [a.sum(0) for a in g([W, V], x, y)]

    def ours_batched():
        import chainrule as cr

        g = cr.grad(lambda P: loss(np, P, x, y))
        return lambda: g([W, V]), lambda: g([W, V])

    def torch_func():
        torch = torch_two_threads()
        tensors = [torch.tensor(a) for a in (W, V, x, y)]
        g = torch.func.vmap(torch.func.grad(lambda P, x, y: loss(torch, P, x, y)), (None, 0, 0))
        return lambda: g(tensors[:2], *tensors[2:]), lambda: [a.sum(0).numpy() for a in g(tensors[:2], *tensors[2:])]

    def jax_jit():
        import jax
        import jax.numpy as jnp

        g = jax.jit(jax.vmap(jax.grad(lambda P, x, y: loss(jnp, P, x, y)), (None, 0, 0)))
        return lambda: jax.block_until_ready(g([W, V], x, y)), lambda: [a.sum(0) for a in g([W, V], x, y)]

    return {
        "chainrule vmap(grad)": ours,
        "chainrule, one batched pass": ours_batched,
        "torch eager": torch_func,
        "jax jit": jax_jit,
    }


@row("full Hessian, logistic loss, 200 weights x 2,000 rows, float64 (us)", 9)
def hessian():
    r = np.random.default_rng(0)
    X, y, w = r.standard_normal((2000, 200)), (r.random(2000) > 0.5) * 1.0, r.standard_normal(200) * 0.1

    def ours():
        import chainrule as cr

        H = cr.hessian(lambda w: np.mean(np.logaddexp(0.0, X @ w) - y * (X @ w)))
        return lambda: H(w), lambda: [H(w)]

    def jax_jit():
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        H = jax.jit(jax.hessian(lambda w: jnp.mean(jnp.logaddexp(0.0, X @ w) - y * (X @ w))))
        return lambda: jax.block_until_ready(H(w)), lambda: [H(w)]

    def torch_func():
        torch = torch_two_threads()
        tX, ty, tw = map(torch.tensor, (X, y, w))
        H = torch.func.hessian(lambda w: (torch.logaddexp(torch.zeros(()), tX @ w) - ty * (tX @ w)).mean())
        return lambda: H(tw), lambda: [H(tw).numpy()]

    def closed_form():
        def limit():
            s = 1 / (1 + np.exp(-(X @ w)))
            return (X.T * (s * (1 - s) / 2000)) @ X

        return limit, lambda: [limit()]

    return {"chainrule": ours, "jax jit": jax_jit, "torch eager": torch_func, "closed form, NumPy": closed_form}
