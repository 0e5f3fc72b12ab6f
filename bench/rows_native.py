"""Compiled rows: training steps, loops, elementwise work, mixtures, Hessians; each against jax, torch, autograd and the floor."""

from __future__ import annotations

import itertools
import os

import numpy as np
from rows import row, torch_two_threads


def mlp(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((a, b)).astype("f4") * np.float32(np.sqrt(2 / a)), np.zeros(b, "f4"))
        for a, b in itertools.pairwise(sizes)
    ]


def jax_64():
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    return jax, jnp


def step_row(sizes, batch, loss, act, lr, momentum):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((batch, sizes[0])).astype("f4")
    Y = rng.integers(0, sizes[-1], batch) if loss == "xent" else rng.standard_normal((batch, sizes[-1])).astype("f4")

    def forward(P, x, f):
        for i, (W, b) in enumerate(P):
            x = x @ W + b
            x = f(x) if i < len(P) - 1 else x
        return x

    def updated(P, V, G):
        V = [(momentum * v + g, momentum * w + h) for (v, w), (g, h) in zip(V, G, strict=True)]
        return [(W - lr * v, b - lr * w) for (W, b), (v, w) in zip(P, V, strict=True)], V

    def ours():
        import chainrule as cr
        from chainrule.torch import nn

        f = cr.relu if act == "relu" else np.tanh

        def objective(P, X, Y):
            h = forward(P, X, f)
            return nn.functional.cross_entropy(h, Y) if loss == "xent" else np.mean((h - Y) ** 2)

        both = cr.value_and_grad(objective)

        def step(P, V, X, Y):
            value, G = both(P, X, Y)
            return (*updated(P, V, G), value)

        compiled = cr.jit(step, donate=(0, 1))
        state = [mlp(sizes), [(0 * W, 0 * b) for W, b in mlp(sizes)]]

        def call():
            state[0], state[1], value = compiled(state[0], state[1], X, Y)
            return value

        return call, lambda: [compiled(mlp(sizes), [(0 * W, 0 * b) for W, b in mlp(sizes)], X, Y)[2]]

    def jax_jit():
        jax, jnp = jax_64()
        f = jax.nn.relu if act == "relu" else jnp.tanh

        def objective(P, X, Y):
            h = forward(P, X, f)
            return -jnp.mean(jax.nn.log_softmax(h)[jnp.arange(batch), Y]) if loss == "xent" else jnp.mean((h - Y) ** 2)

        def step(P, V, X, Y):
            value, G = jax.value_and_grad(objective)(P, X, Y)
            V = jax.tree.map(lambda v, g: momentum * v + g, V, G)
            return jax.tree.map(lambda p, v: p - lr * v, P, V), V, value

        compiled = jax.jit(step, donate_argnums=(0, 1))
        fresh = lambda: (jax.tree.map(jnp.asarray, mlp(sizes)), jax.tree.map(jnp.zeros_like, mlp(sizes)))
        state = list(fresh())
        x, y = jnp.asarray(X), jnp.asarray(Y)

        def call():
            state[0], state[1], value = compiled(state[0], state[1], x, y)
            return jax.block_until_ready(value)

        return call, lambda: [compiled(*fresh(), x, y)[2]]

    def torch_with(compile_):
        def make():
            torch = torch_two_threads()

            def network():
                layers = []
                for i, (W, b) in enumerate(mlp(sizes)):
                    layer = torch.nn.Linear(*W.shape)
                    layer.weight.data, layer.bias.data = torch.tensor(W.T.copy()), torch.tensor(b)
                    layers.append(layer)
                    if i < len(sizes) - 2:
                        layers.append(torch.nn.ReLU() if act == "relu" else torch.nn.Tanh())
                return torch.nn.Sequential(*layers)

            net = network()
            opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
            f = torch.nn.CrossEntropyLoss() if loss == "xent" else torch.nn.MSELoss()
            x, y = torch.tensor(X), torch.tensor(Y)
            run = lambda: f(net(x), y)
            run = torch.compile(run) if compile_ else run

            def call():
                opt.zero_grad()
                value = run()
                value.backward()
                opt.step()

            return call, lambda: [f(network()(x), y).item()]

        return make

    def floor():
        products = []
        for i, (W, _) in enumerate(mlp(sizes)):
            h, z = np.ones((batch, W.shape[0]), "f4"), np.ones((batch, W.shape[1]), "f4")
            products.append((h, W, z, np.empty_like(z), np.empty_like(W), np.empty_like(h), i > 0))

        def call():
            for h, W, z, o, dW, dh, more in products:
                np.dot(h, W, out=o)
                np.dot(h.T, z, out=dW)
                if more:
                    np.dot(z, W.T, out=dh)

        return call, None

    made = {
        "chainrule jit": ours,
        "jax jit": jax_jit,
        "torch eager": torch_with(False),
        "its matrix products, NumPy": floor,
    }
    if os.environ.get("TORCH_COMPILE"):
        made["torch compile"] = torch_with(True)
    return made


@row("SGD step, MLP 2-8-1, batch 4, float32 (us)", 3000)
def xor_step():
    return step_row([2, 8, 1], 4, "mse", "tanh", 0.1, 0.0)


@row("SGD-momentum step, MLP 10-40-40-5, batch 10, float32 (us)", 2000)
def figure_step():
    return step_row([10, 40, 40, 5], 10, "mse", "relu", 0.1, 0.9)


@row("SGD-momentum step, MLP 64-32-10, batch 32, float32 (us)", 2000)
def small_step():
    return step_row([64, 32, 10], 32, "xent", "relu", 0.05, 0.9)


@row("SGD-momentum step, MLP 784-512-512-10, batch 128, float32 (us)", 40)
def large_step():
    return step_row([784, 512, 512, 10], 128, "xent", "relu", 0.05, 0.9)


@row("SGD-momentum step, 50 layers of 256, batch 256, float32 (us)", 7)
def deep_step():
    return step_row([256] * 51, 256, "mse", "tanh", 1e-3, 0.9)


@row("10,000 XOR steps in one call (us)", 5)
def xor_loop():
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "f4")
    Y = np.array([[0], [1], [1], [0]], "f4")

    def ours():
        import chainrule as cr

        def loss(P):
            z = np.tanh(X @ P[0][0] + P[0][1]) @ P[1][0] + P[1][1]
            return np.mean(np.logaddexp(np.float32(0), z) - Y * z)

        def body(i, P):
            G = cr.grad(loss)(P)
            return [(W - 0.1 * a, b - 0.1 * c) for (W, b), (a, c) in zip(P, G, strict=True)]

        run = cr.jit(lambda P: cr.fori_loop(0, 10_000, body, P))
        P = mlp([2, 8, 1])
        return lambda: run(P), lambda: [a for layer in run(P) for a in layer]

    def jax_jit():
        jax, jnp = jax_64()

        def loss(P):
            z = jnp.tanh(X @ P[0][0] + P[0][1]) @ P[1][0] + P[1][1]
            return jnp.mean(jnp.logaddexp(0.0, z) - Y * z)

        body = lambda i, P: jax.tree.map(lambda p, g: p - 0.1 * g, P, jax.grad(loss)(P))
        run = jax.jit(lambda P: jax.lax.fori_loop(0, 10_000, body, P))
        P = jax.tree.map(jnp.asarray, mlp([2, 8, 1]))
        return lambda: jax.block_until_ready(run(P)), lambda: [a for layer in run(P) for a in layer]

    return {"chainrule jit": ours, "jax jit": jax_jit}


def elementwise(dtype, n):
    def make():
        x = np.random.default_rng(0).standard_normal(n).astype(dtype)

        def f(m, s, x):
            return m.sum(m.tanh(x) * m.exp(-x * x) + m.log1p(x * x) * s(x))

        def ours():
            import chainrule as cr

            g = cr.jit(cr.value_and_grad(lambda x: f(np, cr.sigmoid, x)))
            return lambda: g(x), lambda: [g(x)[1]]

        def jax_jit():
            jax, jnp = jax_64()
            g = jax.jit(jax.value_and_grad(lambda x: f(jnp, jax.nn.sigmoid, x)))
            a = jnp.asarray(x)
            return lambda: jax.block_until_ready(g(a)), lambda: [g(a)[1]]

        def torch_eager():
            torch = torch_two_threads()
            base = torch.tensor(x)

            def call():
                a = base.detach().requires_grad_()
                f(torch, torch.sigmoid, a).backward()
                return a.grad

            return call, lambda: [call().numpy()]

        def autograd():
            import autograd as ag
            import autograd.numpy as anp

            g = ag.grad(lambda x: f(anp, lambda z: 1 / (1 + anp.exp(-z)), x))
            return lambda: g(x), lambda: [g(x)]

        def copied():
            a = np.empty_like(x)
            return lambda: np.copyto(a, x), None

        made = {"chainrule jit": ours, "jax jit": jax_jit, "torch eager": torch_eager, "a copy": copied}
        return made if n > 1_000_000 else {**made, "autograd": autograd}

    return make


for _dtype, _n in (("f4", 10_000), ("f4", 1_000_000), ("f8", 1_000_000), ("f8", 10_000_000)):
    row(f"sum(tanh(x) exp(-x^2) + log1p(x^2) s(x)), value and gradient, n={_n:,}, {_dtype} (us)", 15)(
        type("", (), {"__name__": f"elementwise_{_dtype}_{_n}", "__call__": staticmethod(elementwise(_dtype, _n))})()
    )


def mixture(n, d, k):
    def make():
        r = np.random.default_rng(1)
        al, mu, icf, x = (
            r.standard_normal(k), r.standard_normal((k, d)), r.standard_normal((k, d * (d + 1) // 2)) * 0.1, r.standard_normal((n, d)),
        )  # fmt: skip
        pos, c = np.zeros((d, d), int), d
        for j in range(d):
            for i in range(j + 1, d):
                pos[i, j] = c
                c += 1
        mask = np.tril(np.ones((d, d)), -1)

        def objective(m, lse, al, mu, icf, einsum):
            q = m.exp(icf[:, :d])
            L = icf[:, pos] * mask
            xc = x[:, None, :] - mu[None]
            qx = q * xc + einsum("kij,nkj->nki", L, xc)
            main = lse(al + icf[:, :d].sum(1) - 0.5 * (qx**2).sum(2))
            wish = 0.5 * ((q**2).sum() + (L**2).sum())
            return main.sum() - n * lse(al[None]).sum() + wish

        def ours():
            import chainrule as cr

            g = cr.jit(
                cr.value_and_grad(
                    lambda a, m, i: objective(np, lambda z: cr.logsumexp(z, axis=1), a, m, i, np.einsum), (0, 1, 2)
                )
            )
            return lambda: g(al, mu, icf), lambda: g(al, mu, icf)[1]

        def jax_jit():
            jax, jnp = jax_64()
            lse = lambda z: jax.nn.logsumexp(z, 1)
            g = jax.jit(jax.value_and_grad(lambda a, m, i: objective(jnp, lse, a, m, i, jnp.einsum), (0, 1, 2)))
            return lambda: jax.block_until_ready(g(al, mu, icf)), lambda: g(al, mu, icf)[1]

        def torch_eager():
            torch = torch_two_threads()
            tx, tmask, tpos = torch.tensor(x), torch.tensor(mask), torch.tensor(pos)

            def call():
                a, m, i = (torch.tensor(v, requires_grad=True) for v in (al, mu, icf))
                q, L, xc = i[:, :d].exp(), i[:, tpos] * tmask, tx[:, None, :] - m[None]
                qx = q * xc + torch.einsum("kij,nkj->nki", L, xc)
                main = torch.logsumexp(a + i[:, :d].sum(1) - 0.5 * (qx**2).sum(2), 1).sum()
                (main - n * torch.logsumexp(a, 0) + 0.5 * ((q**2).sum() + (L**2).sum())).backward()
                return [v.grad for v in (a, m, i)]

            return call, lambda: [g.numpy() for g in call()]

        return {"chainrule jit": ours, "jax jit": jax_jit, "torch eager": torch_eager}

    return make


for _n, _d, _k in ((1000, 20, 25), (1000, 64, 50)):
    row(f"Gaussian mixture gradient, n={_n} d={_d} K={_k}, float64 (us)", 5)(
        type("", (), {"__name__": f"mixture_{_d}", "__call__": staticmethod(mixture(_n, _d, _k))})()
    )


@row("full Hessian compiled, logistic loss, 200 weights x 2,000 rows, float64 (us)", 9)
def hessian_compiled():
    r = np.random.default_rng(0)
    X, y, w = r.standard_normal((2000, 200)), (r.random(2000) > 0.5) * 1.0, r.standard_normal(200) * 0.1

    def ours():
        import chainrule as cr

        H = cr.jit(cr.hessian(lambda w: np.mean(np.logaddexp(0.0, X @ w) - y * (X @ w))))
        return lambda: H(w), lambda: [H(w)]

    def jax_jit():
        jax, jnp = jax_64()
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

    return {"chainrule jit": ours, "jax jit": jax_jit, "torch eager": torch_func, "closed form, NumPy": closed_form}
