"""Networks of the sheets and of real data, trained: XOR from a hundred seeds, figure 7.8, digits, moons, a transformer."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import numpy as np

import chainrule as cr
import chainrule.torch as torch
from chainrule.torch import nn, optim
from chainrule.train import Step, predict, task

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
XOR_Y = np.array([[0], [1], [1], [0]], float)


def xor_network(values, x):
    h = cr.relu(x @ values["W"] + values["b"])
    return h @ values["V"] + values["c"]


def xor_loss(values):
    return nn.functional.binary_cross_entropy_with_logits(xor_network(values, XOR_X), XOR_Y)


def xor_hundred(units=3, seeds=100, steps=3000, lr=0.3):
    """Train XOR with a few ReLU units from every seed, all at once, and say why those that fail do."""
    drawn = [np.random.default_rng(seed) for seed in range(seeds)]
    values = {
        "W": np.stack([r.standard_normal((2, units)) for r in drawn]),
        "b": np.zeros((seeds, units)),
        "V": np.stack([r.standard_normal((units, 1)) for r in drawn]),
        "c": np.zeros((seeds, 1)),
    }
    gradients = cr.vmap(cr.value_and_grad(xor_loss))
    step = cr.jit(lambda v: {k: p - lr * g for (k, p), g in zip(v.items(), gradients(v)[1].values(), strict=True)})
    for _ in range(steps):
        values = step(values)
    losses, slopes = gradients(values)
    report = {}
    for seed in np.flatnonzero(losses > 0.05):
        one = {k: v[seed] for k, v in values.items()}
        active = XOR_X @ one["W"] + one["b"] > 0
        dead = [k for k in range(units) if not active[:, k].any()]
        norm = np.sqrt(sum(np.sum(g[seed] ** 2) for g in slopes.values()))
        zero = [k for k in dead if not slopes["W"][seed][:, k].any()]
        why = [f"units {dead} are dead (gradient exactly zero: {zero == dead})"] if dead else []
        why.append(f"{units - len(dead)} working units cannot separate the rest: norm of the gradient {norm:.1e}")
        report[int(seed)] = f"loss {losses[seed]:.3f}; " + ", ".join(why)
    return seeds - len(report), report


def boundary(model, data, path):
    """The decision boundary of a network with two inputs."""
    from matplotlib.figure import Figure

    x, y = data.arrays[0], data.arrays[-1]
    low, high = x.min(0) - 0.5, x.max(0) + 0.5
    a, b = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    out = predict(model, np.stack([a.ravel(), b.ravel()], 1).astype("f4")).reshape(a.shape)
    figure = Figure(figsize=(5, 4), layout="constrained")
    ax = figure.subplots()
    ax.contourf(a, b, 1 / (1 + np.exp(-out)), levels=20, cmap="RdBu_r", alpha=0.35)
    ax.contour(a, b, out, levels=[0.0], colors="black")
    ax.scatter(x[:, 0], x[:, 1], c=y[:, 0], cmap="RdBu_r", edgecolors="black", linewidths=0.4, s=18)
    figure.savefig(path, dpi=120)


def decisions(model, data, path):
    """The probability that a network with several binary outputs gives each example, by what it should be."""
    from matplotlib.figure import Figure

    y = data.arrays[-1]
    p = 1 / (1 + np.exp(-predict(model, data.arrays[0])))
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    ax = figure.subplots()
    side = np.random.default_rng(0).uniform(-0.12, 0.12, y.shape)
    for target, color in ((0, "C0"), (1, "C3")):
        hit = y == target
        ax.scatter(
            (np.arange(y.shape[1]) + 0.17 * (2 * target - 1) + side)[hit],
            p[hit],
            s=10,
            color=color,
            label=f"target {target}",
        )
    ax.axhline(0.5, color="black", lw=1)
    ax.set_xlabel("output")
    ax.set_ylabel("probability")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=120)


def text():
    """A text that is shipped with Python: the Zen."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        import this  # noqa: F401
    from this import d, s

    del out
    return "".join(d.get(c, c) for c in s)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        h = self.norm1(x)
        n = np.shape(h)[-2]
        hidden = np.triu(np.ones((n, n), bool), 1)  # no letter sees those after it
        x = x + self.attention(h, h, h, attn_mask=hidden, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Characters in, the logits of the next ones out. x: (batch, length) of integers."""

    def __init__(self, letters, length, width=32, heads=4, blocks=2):
        super().__init__()
        self.embed, self.place = nn.Embedding(letters, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.out = nn.Linear(width, letters)

    def forward(self, x):
        h = self.embed(x) + self.place(np.arange(x.shape[-1]))
        return self.out(self.blocks(h))


def transformer(steps=150, length=32, batch=16, seed=0):
    """Train on the Zen of Python; the losses, and a few characters written by the model."""
    torch.manual_seed(seed)
    written = text()
    letters = sorted(set(written))
    codes = np.array([letters.index(c) for c in written])
    model = Transformer(len(letters), length)
    step = Step(
        model,
        lambda out, y: nn.functional.cross_entropy(np.reshape(out, (-1, len(letters))), np.reshape(y, -1)),
        optim.AdamW(model.parameters(), lr=3e-3),
    )
    numbers = np.random.default_rng(seed)
    losses = []
    for _ in range(steps):
        starts = numbers.integers(0, len(codes) - length - 1, batch)
        windows = codes[starts[:, None] + np.arange(length + 1)]
        losses.append(step((windows[:, :-1], windows[:, 1:]))[0])
    made = codes[:length].tolist()
    for _ in range(60):
        made.append(int(np.argmax(predict(model, np.array([made[-length:]]))[0, -1])))
    return losses, "".join(letters[k] for k in made[length:])


def main(out: Path, show=print) -> None:
    out.mkdir(exist_ok=True)
    start = time.perf_counter()
    solved, failed = xor_hundred()
    show(
        f"XOR, three ReLU units, 100 seeds: {solved} converge, {len(failed)} do not ({time.perf_counter() - start:.1f} s)"
    )
    lines = [f"seed {seed}: {failed.get(seed, 'converges')}" for seed in range(solved + len(failed))]
    (out / "xor-100.txt").write_text("\n".join(lines) + "\n")
    for seed in list(failed)[:4]:
        show(f"  {lines[seed]}")
    show(f"  all of them: {out / 'xor-100.txt'}")
    for name, title in (
        ("figure7.8", "C7.16"),
        ("figure7.8-binary", "C7.17"),
        ("moons", "two moons"),
        ("digits", "digits, two hidden layers"),
        ("digits-cnn", "digits, convolutional"),
    ):
        start = time.perf_counter()
        made = task(name, 0)
        history = made.run()
        history.plot(out / f"{name}.png")
        show(f"{title}: {history} ({time.perf_counter() - start:.1f} s)")
        if name == "moons":
            boundary(made.model, made.data, out / "moons-boundary.png")
        if name == "figure7.8-binary":
            decisions(made.model, made.data, out / "figure7.8-decisions.png")
            right = np.mean((predict(made.model, made.data.arrays[0]) > 0) == made.data.arrays[1], axis=0)
            show(f"  share of right answers by output: {np.round(right, 2).tolist()}")
    start = time.perf_counter()
    losses, written = transformer()
    show(
        f"a transformer on the Zen of Python: loss {losses[0]:.2f} to {losses[-1]:.2f} ({time.perf_counter() - start:.1f} s), writes {written!r}"
    )


if __name__ == "__main__":
    main(Path(__file__).parent.parent / "tour")
