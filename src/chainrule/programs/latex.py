"""Computations as LaTeX: one aligned equation a stage."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.op import Op
from ..ops import arithmetic as ar
from ..ops.broadcasting import sum as total
from ..ops.exponential import exp
from ..ops.linalg import matmul, outer
from .expression_text import ATOM, PRODUCT, SUM, Language, Text, expression
from .staged import Staged

GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
]
LETTERS = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", GREEK, strict=True))


def symbol(name: str) -> str:
    """A name as mathematics writes it: `w0` as w_{0}, `sigma` as the letter, `loss` upright."""
    head, *rest = name.split("_")
    match = re.fullmatch(r"(.*?\D)(\d+)", head)
    if match:
        head, rest = match[1], [match[2], *rest]
    if head in GREEK:
        head = f"\\{head}"
    elif head in LETTERS:
        head = f"\\{LETTERS[head]}"
    elif len(head) > 1:
        head = rf"\mathrm{{{head}}}"
    return head + (f"_{{{', '.join(r for r in rest if r)}}}" if any(rest) else "")


def _number(x: Any) -> Text:
    value = np.asarray(x)[()]
    if np.isinf(value):
        return Text(r"\infty" if value > 0 else r"-\infty")
    text = f"{float(value):.6g}"
    mantissa, e, exponent = text.partition("e")
    return Text(rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else text)


def _template(op: Op) -> str | Callable[..., str]:
    def call(args: list[Any], node: Any) -> str:
        word = op.name.removeprefix("reduce_").replace("_", " ")
        return rf"\operatorname{{{word}}}({', '.join(args)})"

    return _OPERATORS.get(op) or op.latex or call


def _added(sign: str) -> Callable[..., Text]:
    return lambda args, node: Text(f"{args[0].within(SUM)} {sign} {args[1].within(SUM + (sign == '-'))}", SUM)


def _factor(x: Text) -> str:
    """A factor of a product: a sum in brackets, a condition as an indicator."""
    return rf"\mathbb{{1}}[{x}]" if x.binding == 5 else x.within(PRODUCT)


def _multiplied(args: list[Text], node: Any) -> Text:
    both = all(np.ndim(i.value if hasattr(i, "value") else i) for i in node.inputs)
    return Text((r" \odot " if both else r" \, ").join(map(_factor, args)), PRODUCT)


_OPERATORS: dict[Op, Callable[..., Text]] = {
    ar.add: _added("+"),
    ar.subtract: _added("-"),
    ar.multiply: _multiplied,
    ar.negative: lambda args, node: Text(f"-{args[0].within(PRODUCT)}", SUM),
    matmul: lambda args, node: Text(f"{args[0].within(PRODUCT)} {args[1].within(PRODUCT)}", PRODUCT),
    outer: lambda args, node: Text(rf"{args[0].within(PRODUCT)} {args[1].atom}^\top", PRODUCT),
    ar.divide: lambda args, node: Text(rf"\frac{{{args[0]}}}{{{args[1]}}}", PRODUCT),
    ar.reciprocal: lambda args, node: Text(rf"\frac{{1}}{{{args[0]}}}", PRODUCT),
    total: lambda args, node: Text(rf"\sum {args[0].within(PRODUCT)}", PRODUCT),
    exp: lambda args, node: Text(rf"e^{{{args[0]}}}", ATOM),
}


LATEX = Language("LaTeX", _template, _number, infix=False)


def latex(staged: Staged) -> str:
    """The forward stages as aligned equations."""
    names = {n: symbol(v) for n, v in staged.names.items()}
    rows = [f"{names[n]} &= {expression(n, names, LATEX, array_latex)}" for n in staged.live_stages]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def array_latex(x: Any) -> str:
    """A constant array: a matrix, its size where it is large, its number where all entries are equal."""
    if np.size(x) > 1 and np.all(x == np.reshape(x, -1)[0]):
        return _number(np.reshape(x, -1)[0])
    if np.size(x) > 16 or np.ndim(x) > 2:
        size = r" \times ".join(map(str, np.shape(x)))
        return rf"\mathrm{{const}}_{{{size}}}"
    rows = np.atleast_2d(x)
    return r"\begin{bmatrix} " + r" \\ ".join(" & ".join(map(_number, r)) for r in rows) + r" \end{bmatrix}"
