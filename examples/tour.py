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


RELU_UNIT = "z1 = b1*x + a1; h = relu(z1); z2 = b2*h + a2; p = sigma(z2); l = log(p)"
STATEMENTS = [
    ("d/dz[j] softmax(z)[j] = sum(i=1..K, i != j, exp(z[i] + z[j])) / sum(i=1..K, exp(z[i]))^2", {}),
    ("d/dh (beta + Omega@h) = Omega.T", {"Omega": "n, m", "h": "m", "beta": "n"}),
    ("E[relu(a)^2] = s^2/2", {"given": ["symmetric(a)", "Var[a] = s^2"]}),
    ("tanh(z) = -2/(exp(z) + 1) + 1", {}),
]


def diamond(x):
    f, g, h = cr.unknown("f"), cr.unknown("g"), cr.unknown("h")
    y = g(x)
    z = h(x)
    L = f(y, z)
    return L


def explained(console: Console) -> None:
    """Derivations, zero conditions, proofs, checks and search."""

    def show(title: str, what: object) -> None:
        console.print(Rule(title, align="left"))
        console.print(str(what), soft_wrap=True, markup=False)
        console.print()

    show("[bold]C7.12[/]  the derivation, in reverse order", cr.explain(c7_12, x=0.3).derivation())
    show(
        "[bold]B1b[/]  the second derivative of a diamond of unknown functions", cr.explain(diamond, x=1.0).second("x")
    )
    show("[bold]A7[/]  when is a gradient zero?", cr.explain(RELU_UNIT).zeros("b1"))
    for statement, options in STATEMENTS:
        show("[bold]Proofs[/]  " + statement.replace("[", "\\["), cr.prove(statement, **options))
    show("[bold]D2[/]  two claims checked", cr.check("g = x + y; f = g*z + x", "df/dx = 1 + z", "df/dy = 2*z"))
    corners = [(a, b) for a in (0, 1) for b in (0, 1)]
    unit = "sigma(b1*{0} + b2*{1} + b3*{0}*{1} + alpha) {2} 1/2"
    show("[bold]A6[/]  XOR from features", cr.find([unit.format(a, b, ">" if a != b else "<") for a, b in corners]))
    cr.explain(d4d, x=3.0, y=-4.0).animate(OUT / "D4d-animation.html")
    cr.explain(d4d, x=3.0, y=-4.0).derivation().save(OUT / "D4d-derivation.html")
    console.print(f"the two passes of D4d, one step a frame: {OUT / 'D4d-animation.html'}", soft_wrap=True)
    console.print(f"its derivation as a page with MathML: {OUT / 'D4d-derivation.html'}\n", soft_wrap=True)


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
    import chainrule.torch as torch

    u1, u2 = torch.tensor(3.0, requires_grad=True), torch.tensor(4.0, requires_grad=True)
    a9(u1, u2).backward()
    console.print(f"u1.grad: {u1.grad}\nu2.grad: {u2.grad}\n")
    explained(console)
    console.print(Rule("[bold]Networks[/]  trained on the problems of the sheets and on real data", align="left"))
    networks.main(OUT, lambda line: console.print(line, soft_wrap=True, markup=False))
    cr.explain(d4d, x=3.0, y=-4.0).save(OUT / "D4d.html")
    console.print(f"a page with everything about D4d: {OUT / 'D4d.html'}", soft_wrap=True)
    console.print(f"the tour took {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
