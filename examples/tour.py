"""The tour: problems of the sheets, each as function, staged program, table of values and gradients, and drawing."""

from __future__ import annotations

import time
from pathlib import Path

import networks
import numpy as np
from rich.console import Console
from rich.rule import Rule

import chainrule as cr

OUT = Path(__file__).parent.parent / "tour"


def d2(x, y, z):
    g = x + y
    h = g * z
    f = h + x
    return f


def d4d(x, y):
    sigy = cr.sigmoid(y)
    num = x + sigy
    sigx = cr.sigmoid(x)
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1 / den
    f = num * invden
    return f


def a9(u1, u2):
    u3 = u1 * u2
    u4 = u1 + u2
    u5 = 2 * u3 * u4
    L = (u5 - u1 - u2 - u3 - u4) ** 2
    return L


def c7_12(x):
    f1 = np.exp(x)
    f2 = f1**2
    f3 = f1 + f2
    f4 = np.exp(f3)
    f5 = np.sin(f3)
    y = f4 + f5
    return y


SIGMOID = "dot = w0*x0 + w1*x1 + w2; f = sigma(dot)"
WEIGHTS = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}

PROBLEMS = [
    ("D2", "a circuit with three gates", d2, {"x": -2.0, "y": 5.0, "z": -4.0}, ()),
    ("D4a", "a neuron, its sigmoid whole", SIGMOID, WEIGHTS, ()),
    ("D4c", "the neuron opened into add, multiply, exp and reciprocal", SIGMOID, WEIGHTS, ("sigma",)),
    ("D4d", "eight stages forward, and what undoes them", d4d, {"x": 3.0, "y": -4.0}, ()),
    ("A9", "five paths to each variable", a9, {"u1": 3.0, "u2": 4.0}, ()),
    ("C7.12", "branches that meet, in reverse", c7_12, {"x": 0.3}, ()),
]


def main() -> None:
    start = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    console = Console(highlight=False)
    for name, title, f, at, opened in PROBLEMS:
        console.print(Rule(f"[bold]{name}[/]  {title}", align="left"))
        e = cr.explain(f, open=opened, **at)
        console.print(e)
        console.print()
        for suffix in (".svg", ".png"):
            console.print(
                f"drawing: {e.draw(OUT / f'{name}{suffix}', partials=True)!r} in {OUT / name}{suffix}", soft_wrap=True
            )
        console.print()

    console.print(Rule("[bold]C7.13[/]  the same derivative in forward mode", align="left"))
    value, tangent = cr.jvp(c7_12, (0.3,), (1.0,))
    console.print(f"y = {value:.6f}, dy/dx = {tangent:.6f}; reverse mode: {cr.grad(c7_12)(0.3):.6f}\n")

    console.print(Rule("[bold]A9[/]  once more, as the torch script with one changed import", align="left"))
    import chainrule as torch

    u1, u2 = torch.tensor(3.0, requires_grad=True), torch.tensor(4.0, requires_grad=True)
    a9(u1, u2).backward()
    console.print(f"u1.grad: {u1.grad}\nu2.grad: {u2.grad}\n")
    console.print(Rule("[bold]Networks[/]  trained on the problems of the sheets and on real data", align="left"))
    networks.main(OUT, lambda line: console.print(line, soft_wrap=True, markup=False))
    cr.explain(d4d, x=3.0, y=-4.0).save(OUT / "D4d.html")
    console.print(f"a page with everything about D4d: {OUT / 'D4d.html'}", soft_wrap=True)
    console.print(f"the tour took {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
