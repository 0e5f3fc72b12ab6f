"""Training rows: the whole of figure 7.8, an epoch on handwritten digits, and the imperative loop; the same weights everywhere."""

from __future__ import annotations

import itertools

import numpy as np
from rows import row, torch_two_threads


def figure_data():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((100, 10)).astype("f4"), rng.standard_normal((100, 5)).astype("f4")
    sizes = [10, 40, 40, 5]
    weights = [
        ((rng.standard_normal((b, a)) * np.sqrt(2 / a)).astype("f4"), np.zeros(b, "f4"))
        for a, b in itertools.pairwise(sizes)
    ]
    return x, y, weights


def network(nn, weights, put):
    layers = []
    for k, (W, b) in enumerate(weights):
        layer = nn.Linear(W.shape[1], W.shape[0])
        put(layer, W, b)
        layers += [layer, nn.ReLU()] if k < len(weights) - 1 else [layer]
    return nn.Sequential(*layers)


def ours_put(layer, W, b):
    layer.weight.data, layer.bias.data = W, b


def torch_put(layer, W, b):
    import torch

    layer.weight.data, layer.bias.data = torch.tensor(W), torch.tensor(b)


@row("C7.16, the whole training: 1,000 steps called from Python (us)", 5)
def figure_training():
    x, y, weights = figure_data()

    def ours():
        import chainrule as cr
        from chainrule.torch import nn, optim
        from chainrule.torch.utils.data import DataLoader, TensorDataset

        net, f = network(nn, weights, ours_put), nn.MSELoss()
        opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        start = {k: np.array(v) for k, v in net.state_dict().items()}

        def call():
            net.load_state_dict(start)
            opt.state.clear()
            opt.param_groups[0]["lr"] = 0.1
            loader = DataLoader(TensorDataset(x, y), batch_size=10)
            return cr.train.fit(
                net, f, loader, epochs=100, optimizer=opt, scheduler=optim.lr_scheduler.StepLR(opt, 10, 0.5)
            )

        return call, lambda: [call().loss[-1]]

    def torch_eager():
        torch = torch_two_threads()

        def call():
            net = network(torch.nn, weights, torch_put)
            opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
            scheduler = torch.optim.lr_scheduler.StepLR(opt, 10, 0.5)
            f = torch.nn.MSELoss()
            data = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
            loader = torch.utils.data.DataLoader(data, batch_size=10)
            total = 0.0
            for _ in range(100):
                total = 0.0
                for a, b in loader:
                    opt.zero_grad()
                    loss = f(net(a), b)
                    loss.backward()
                    opt.step()
                    total += loss.item() / 10
                scheduler.step()
            return total

        return call, lambda: [call()]

    def jax_jit():
        import jax
        import jax.numpy as jnp

        def loss(P, a, b):
            for k, (W, c) in enumerate(P):
                a = a @ W.T + c
                a = jax.nn.relu(a) if k < len(P) - 1 else a
            return jnp.mean((a - b) ** 2)

        @jax.jit
        def step(P, V, a, b, lr):
            value, G = jax.value_and_grad(loss)(P, a, b)
            V = jax.tree.map(lambda v, g: 0.9 * v + g, V, G)
            return jax.tree.map(lambda p, v: p - lr * v, P, V), V, value

        def call():
            P = jax.tree.map(jnp.asarray, weights)
            V = jax.tree.map(jnp.zeros_like, P)
            lr, total = 0.1, 0.0
            for epoch in range(100):
                total = 0.0
                for k in range(10):
                    P, V, value = step(P, V, x[10 * k : 10 * k + 10], y[10 * k : 10 * k + 10], lr)
                    total += float(value) / 10
                if (epoch + 1) % 10 == 0:
                    lr *= 0.5
            return total

        return call, lambda: [call()]

    return {"chainrule fit": ours, "jax jit": jax_jit, "torch eager": torch_eager}


@row("an epoch of handwritten digits, MLP 64-128-64-10, AdamW, batch 32 (us)", 5)
def digits_epoch():
    from sklearn.datasets import load_digits

    found = load_digits()
    x, y = (found.data[:1437] / 16).astype("f4"), found.target[:1437].astype("i8")
    rng = np.random.default_rng(0)
    sizes = [64, 128, 64, 10]
    weights = [
        ((rng.standard_normal((b, a)) * np.sqrt(2 / a)).astype("f4"), np.zeros(b, "f4"))
        for a, b in itertools.pairwise(sizes)
    ]

    def ours():
        import chainrule as cr
        from chainrule.torch import nn, optim
        from chainrule.torch.utils.data import DataLoader, TensorDataset

        net = network(nn, weights, ours_put)
        step = cr.train.Step(net, nn.CrossEntropyLoss(), optim.AdamW(net.parameters(), lr=1e-3))
        loader = DataLoader(TensorDataset(x, y), batch_size=32)
        first = []

        def call():
            losses = [step(batch)[0] for batch in loader.arrays(loader.order())]
            first.append(np.mean(losses))

        return call, lambda: first[:1]

    def torch_eager():
        torch = torch_two_threads()
        net = network(torch.nn, weights, torch_put)
        opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
        f = torch.nn.CrossEntropyLoss()
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=32
        )
        first = []

        def call():
            losses = []
            for a, b in loader:
                opt.zero_grad()
                loss = f(net(a), b)
                loss.backward()
                opt.step()
                losses.append(loss.item())
            first.append(np.mean(losses))

        return call, lambda: first[:1]

    return {"chainrule compiled step": ours, "torch eager": torch_eager}


@row("the imperative loop, 64-32-10, batch 32, not compiled (us)", 300)
def imperative_loop():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 64)).astype("f4"), rng.integers(0, 10, 32)
    weights = [(rng.standard_normal((b, a)).astype("f4") / 8, np.zeros(b, "f4")) for a, b in ((64, 32), (32, 10))]

    def loop(torch, nn, optim, put):
        net = network(nn, weights, put)
        opt = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        f = nn.CrossEntropyLoss()
        a, b = torch.tensor(x), torch.tensor(y)
        first = []

        def call():
            opt.zero_grad()
            output = net(a)
            loss = f(output, b)
            loss.backward()
            opt.step()
            if len(first) < 20:
                first.append(loss.item())

        return call, lambda: (([call() for _ in range(20)]), first[:20])[1]

    def ours():
        import chainrule.torch as ct

        return loop(ct, ct.nn, ct.optim, ours_put)

    def torch_eager():
        torch = torch_two_threads()
        return loop(torch, torch.nn, torch.optim, torch_put)

    return {"chainrule, eager": ours, "torch eager": torch_eager}


MEMORY = """
import sys
import numpy as np
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
rng = np.random.default_rng(0)
x, y = rng.standard_normal((1280, 784)).astype("f4"), rng.integers(0, 10, 1280)
ours = sys.argv[1] == "chainrule"
if ours:
    import chainrule.torch as torch
    from chainrule.torch import nn, optim
    from chainrule.train import Step
else:
    import torch
    from torch import nn, optim
    torch.set_num_threads(2)
net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
opt, f = optim.SGD(net.parameters(), lr=0.01, momentum=0.9), nn.CrossEntropyLoss()
def train(net, opt, x, y, n):
    if ours:
        step = Step(net, f, opt)
        for _ in range(n):
            step((x, y))
    else:
        for _ in range(n):
            opt.zero_grad(); loss = f(net(torch.tensor(x)), torch.tensor(y)); loss.backward(); opt.step(); loss.item()
train(net, opt, x[:4, :2], y[:4] % 2, 3)
before = peak()
net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
opt = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for k in range(1):
    train(net, opt, x[:128], y[:128], 30)
print(peak() - before)
"""
