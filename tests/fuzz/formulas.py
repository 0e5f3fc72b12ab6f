"""Formulas in every spelling, explained: the value, every gradient, every partial, every path, every derived formula.

The judge reads the same tree as Python and takes differences; where a program is explained, the gradient of a stage is compared
with the difference that a push on that stage makes.
"""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr
from chainrule.documents import Formula

from .harness import AGREED, Wrong

NAMES = ("x", "y", "θ", "x₁")
UNARY = {"exp": "np.exp", "sin": "np.sin", "tanh": "np.tanh", "sigma": "S", "relu": "R", "abs": "np.abs", "cos": "np.cos", "arctan": "np.arctan"}  # fmt: skip
DERIVED = 40  # characters; a longer formula takes seconds to derive
SPACE: dict[str, Any] = {
    "np": np,
    "S": lambda x: 1 / (1 + np.exp(-x)),
    "R": lambda x: np.maximum(x, 0),
    "T": lambda x: 1.0 if x else 0.0,
}


@dataclass(frozen=True)
class Case:
    """Statements, each as the formula and as Python, and the point."""

    statements: tuple[tuple[str, str, str], ...]
    at: tuple[tuple[str, float], ...]


def identifier(name: str) -> str:
    return name.replace("₁", "_1")


def written(rng: random.Random, depth: int, names: list[str]) -> tuple[str, str, int]:
    """An expression as a formula, as Python, and how strongly it binds: 0 a sum, 1 a product, 2 a sign, 3 a power, 4 an atom."""
    if depth == 0 or rng.random() < 0.12:
        if rng.random() < 0.3:
            n = rng.choice(("2", "0.5", "3", "1e-1", ".25", "4.", "1e0"))
            return n, f"({float(n)})", 4
        name = rng.choice(names)
        return name, identifier(name), 4
    a, pa, ka = written(rng, depth - 1, names)
    kind = rng.choice(("+", "-", "*", "/", "neg", "square", "power", "call", "call", "bars", "max", "where", "root"))
    space = rng.choice(("", " "))

    def bound(text: str, strength: int, least: int) -> str:
        return text if strength >= least and rng.random() < 0.9 else f"({text})"

    if kind in ("+", "-"):
        b, pb, kb = written(rng, depth - 1, names)
        sign = kind if kind == "+" or rng.random() < 0.6 else "−"
        return f"{bound(a, ka, 0)}{space}{sign}{space}{bound(b, kb, 1)}", f"({pa} {kind} {pb})", 0
    if kind in ("*", "/"):
        b, pb, kb = written(rng, depth - 1, names)
        sign = kind if kind == "/" else rng.choice(("*", "·", "×", "⋅", "⊙"))
        right = f"(1.5 + {pb}**2)" if kind == "/" else pb
        b, kb = (f"(1.5 + ({b})²)", 4) if kind == "/" else (b, kb)
        return f"{bound(a, ka, 1)}{space}{sign}{space}{bound(b, kb, 2)}", f"({pa} {kind} {right})", 1
    if kind == "neg":
        return rng.choice("-−") + bound(a, ka, 2), f"(-{pa})", 2
    if kind == "square":
        n, sup = rng.choice((("2", "²"), ("3", "³"), ("2", "^2"), ("2", "**2"), ("3", " ^ 3")))
        return bound(a, ka, 4) + sup, f"({pa}**{n})", 3
    if kind == "power":
        b, pb, kb = written(rng, 0, names)
        return f"(1.2 + {a}²)^{bound(b, kb, 2)}" if ka == 4 else f"(1.2 + ({a})²)^{bound(b, kb, 2)}", f"((1.2 + {pa}**2)**{pb})", 3  # fmt: skip
    if kind == "root":
        return f"√(1 + ({a})²)", f"np.sqrt(1 + {pa}**2)", 2
    if kind == "bars":
        return rng.choice(("|{}|", "‖{}‖", "abs({})")).format(a if "|" not in a and "‖" not in a else f"x*0 + {names[0]}"), f"np.abs({pa if '|' not in a and '‖' not in a else identifier('x*0 + ' + names[0])})", 4  # fmt: skip
    if kind == "max":
        b, pb, _ = written(rng, depth - 1, names)
        f = rng.choice(("max", "min"))
        return f"{f}({a},{space}{b})", f"np.{f}imum({pa}, {pb})", 4
    if kind == "where":
        b, pb, _ = written(rng, depth - 1, names)
        sign, python = rng.choice(((">", ">"), ("≤", "<="), ("<", "<")))
        return f"1[{a} {sign} {b}]", f"T({pa} {python} {pb})", 4
    f = rng.choice(list(UNARY))
    return f"{f}({a})", f"{UNARY[f]}({pa})", 4


@st.composite
def _cases(draw: Any) -> Case:
    rng = random.Random(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 4))
    known = list(NAMES[: draw(st.integers(1, 4))])
    variables = list(known)
    statements = []
    for k in range(count):
        text, python, _ = written(rng, draw(st.integers(1, 3)), known)
        name = f"u{k}" if k < count - 1 else "out"
        statements.append((name, text, python))
        known.append(name)
    at = tuple((identifier(v), round(rng.uniform(-1.5, 1.5), 3)) for v in variables)
    return Case(tuple(statements), at)


cases = _cases()


def judge(case: Case) -> str:
    """Value, gradients of variables and stages, partials and paths, and what the derivation says."""
    text = "; ".join(f"{n} = {t}" for n, t, _ in case.statements)
    f = cr.parse(text)
    at = {k: v for k, v in case.at if k in f.variables}
    if not at:
        return "a constant"

    def program(push: tuple[str, float] = ("", 0.0), **values: float) -> float:
        space: dict[str, Any] = {**SPACE, **dict(case.at), **values}
        if push[0] in values:
            space[push[0]] = space[push[0]] + push[1]
        for name, _, python in case.statements:
            space[name] = eval(python, space)
            if name == push[0]:
                space[name] = space[name] + push[1]
        return float(space["out"])

    try:
        value = program(**at)
    except OverflowError:  # Python's power of floats
        return "not finite"
    if not math.isfinite(value) or abs(value) > 1e6:
        return "not finite"
    _same("the value", f(**at), value)
    e = cr.explain(text, **at)
    _same("the value explained", e.value, value)
    names = [] if _at_a_kink(case) else [*at, *(n for n, _, _ in case.statements)]
    slopes = {name: _slope(program, name, at) for name in names}
    rows = {r.name: r for r in e.table()}
    for name, slope in slopes.items():
        if slope is not None and name in rows and rows[name].gradient is not None:
            _same(f"the gradient of {name}", float(rows[name].gradient), slope, 2e-5)
    whole = cr.grad(f, tuple(range(len(at))))(*(at[v] for v in f.variables))
    for v, g in zip(f.variables, whole, strict=True):
        _same(f"the gradient of {v} by grad", g, e.gradients[v], 1e-9)
        paths = e.paths(v)
        _same(f"the sum over the paths from {v}", paths.total, e.gradients[v], 1e-9)
        if paths.listed:
            _same(f"the paths from {v}, added", sum(float(p.contribution) for p in paths), e.gradients[v], 1e-9)
            for p in paths.listed[:20]:
                _same(f"the product along {p}", _product(p.partials, rows), p.contribution, 1e-9)
    data = json.loads(e.json())
    for v in at:
        _same(f"the gradient of {v} in the file", float(data["gradients"][v]), e.gradients[v], 1e-12)
    made = e.code().function(**at)
    _same("the value of the printed program", made[0], value)
    if len(text) < DERIVED:
        _derived(e, rows)
    return AGREED


def _derived(e: Any, rows: dict[str, Any]) -> None:
    """The last formula of every line of the derivation, evaluated at the point."""
    for order in ("reverse", "chains", "forward"):
        for line in e.derivation(order).lines:
            head, *parts = line.text.split(" = ")
            if not isinstance(line, Formula) or not head.startswith(f"∂{e.staged.name}/∂") or not parts:
                continue
            names = {n: () for n in rows if re.search(rf"(?<!\w){re.escape(n)}(?!\w)", parts[-1])}
            value = cr.parse(parts[-1], **names)(**{n: float(rows[n].value) for n in names})
            _same(f"{line.text} ({order})", value, rows[head.split("/∂")[1]].gradient, 1e-8)


def _product(partials: tuple[str, ...], rows: dict[str, Any]) -> float:
    from scipy import special

    values = {n: float(r.value) for n, r in rows.items()}
    space: dict[str, Any] = {**vars(math), "sign": np.sign, "np": np, "math": math, "special": special, **values}
    return math.prod(float(eval(p, space)) for p in partials)


def _at_a_kink(case: Case) -> bool:
    """Whether an operation stands at its kink: two of them may cancel in the differences, and the subgradients of each need not."""
    met: list[bool] = []

    def noted(f: Any) -> Any:
        def tied(a: Any, b: Any = 0.0) -> Any:
            met.append(bool(abs(a - b) < 1e-5))
            return f(a, b) if f is not np.abs else f(a)

        return tied

    kinked = {k: noted(getattr(np, k)) for k in ("maximum", "minimum", "abs")}
    space: dict[str, Any] = {**SPACE, **dict(case.at), "np": SimpleNamespace(**{**vars(np), **kinked})}
    space["R"] = lambda x: kinked["maximum"](x, 0)
    for name, _, python in case.statements:
        space[name] = eval(python, space)
    return any(met)


def _slope(program: Any, name: str, at: dict[str, float]) -> float | None:
    """By differences that agree with each other; None beside a kink."""
    found = [(program((name, h), **at) - program((name, -h), **at)) / (2 * h) for h in (1e-5, 2e-5)]
    sides = [(program((name, h), **at) - program(**at)) / h for h in (1e-6, -1e-6)]
    size = 1 + abs(found[0])
    if abs(found[0] - found[1]) > 1e-6 * size or abs(sides[0] - sides[1]) > 1e-3 * size:
        return None
    return found[0]


def _same(what: str, a: Any, b: Any, tolerance: float = 1e-10) -> None:
    if not abs(float(a) - float(b)) <= tolerance * (1 + abs(float(b))):
        raise Wrong(f"{what}: {float(a)!r}, and by the judge {float(b)!r}")
