"""Derivations with vectors and matrices: each gradient in matrix notation, from those that are there already."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..documents import Line, formula, heading, words
from ..errors import InputError
from ..ir.node import Node
from ..ir.op import Op, constant
from ..ir.simplify import Simplifier
from ..ops.arithmetic import add, multiply
from ..ops.exponential import sigmoid
from ..ops.piecewise import relu
from ..programs.expression_text import NUMPY, PRODUCT, Language, Text, expression, python_number, write
from ..programs.latex import LATEX, array_latex, symbol
from ..programs.staged import Line as BackwardLine
from ..programs.staged import Staged
from ..symbolic.algebra.scalars import inner_stages, rule_of

LAYOUTS = {
    "denominator": "Every gradient has the shape of its variable (denominator layout): entry (i, j) of ∂L/∂W is the derivative by W[i, j].",
    "numerator": "Every gradient is written transposed (numerator layout): entry (j, i) of ∂L/∂W is the derivative by W[i, j].",
}


_WORDS: dict[Op, str] = {relu: "relu({0})", sigmoid: "sigma({0})"}
WORDS = Language("mathematics", lambda op: _WORDS.get(op) or NUMPY.template(op), python_number)


class Composer:
    """Rebuilds expressions with the stages inside a statement put in, simplified.

    Args:
        staged: the computation.
        inner: the stages that are part of the statement that reads them.
    """

    def __init__(self, staged: Staged, inner: set[Node]) -> None:
        self.inner, self.simplifier = inner, Simplifier()
        cotangents = {staged.cotangents[n]: n for n in staged.cotangents}
        seeds = set(staged.seeds.values())
        self.stop = (
            {n for n in staged.names if n not in inner} | {v for v, n in cotangents.items() if n not in inner} | seeds
        )
        self.put: dict[Node, Any] = {}  # cotangent of an inner stage -> its expression

    def __call__(self, root: Any) -> Any:
        """The expression, rebuilt."""
        if type(root) is not Node:
            return root
        done: dict[Node, Any] = {}
        stack = [root]
        while stack:
            n = stack[-1]
            if n in done:
                stack.pop()
            elif n in self.stop:
                done[n] = n
            elif n in self.put:
                done[n] = self.put[n]
            elif n.op is constant or not n.inputs:
                done[n] = n.value
            elif waiting := [i for i in n.inputs if type(i) is Node and i not in done]:
                stack += waiting
            else:
                done[n] = self._made(n, [done[i] if type(i) is Node else i for i in n.inputs])
        return done[root]

    def _made(self, n: Node, inputs: list[Any]) -> Any:
        if n.op.keeps and not np.ndim(inputs[0]) and type(inputs[0]) is not Node:
            return inputs[0]
        if n.op is multiply:  # a constant array of one number times an array of the same shape
            shapes = [np.shape(i.value if type(i) is Node else i) for i in n.inputs]
            inputs = [_scalar(i) if shapes[1 - k] == n.shape else i for k, i in enumerate(inputs)]
        return self.simplifier.make(n.op, tuple(inputs), n.params)


def _scalar(x: Any) -> Any:
    """A constant array of equal numbers as that number."""
    if type(x) is Node or np.ndim(x) == 0 or not np.size(x):
        return x
    first = np.reshape(x, -1)[0]
    return float(first) if np.all(np.asarray(x) == first) else x


def matrix_lines(staged: Staged, layout: str) -> list[Line]:
    """The statements, and the gradient of each in reverse order."""
    inner = inner_stages(staged)
    compose = Composer(staged, inner)
    out = staged.output
    names: dict[Node, Any] = {n: v for n, v in staged.names.items() if n not in inner}
    latexes: dict[Node, Any] = {n: symbol(v) for n, v in names.items()}
    forward = [heading(f"The derivatives of {staged.names[out]}"), words(LAYOUTS[layout])]
    for n in staged.live_stages:
        if n not in inner:
            right = expression(n, names, WORDS), expression(n, latexes, LATEX)
            forward.append(formula(f"{names[n]} = {_plain(right[0])}", f"{latexes[n]} = {right[1]}", _shape(n.shape)))

    def partial(n: Node) -> tuple[str, str]:
        return (
            f"∂{staged.names[out]}/∂{staged.names[n]}",
            rf"\frac{{\partial {symbol(staged.names[out])}}}{{\partial {symbol(staged.names[n])}}}",
        )

    for n, v in (*staged.cotangents.items(), *staged.seeds.items()):
        if n not in inner:
            said = partial(n)
            names[v], latexes[v] = Text(said[0], PRODUCT), Text(said[1], PRODUCT)
    back = _backward(staged, compose, partial, names, latexes, layout)
    return [*forward, heading("Reverse order: from the result back to the variables"), *back]


def _backward(staged: Staged, compose: Composer, partial: Any, names: Any, latexes: Any, layout: str) -> list[Line]:
    lines: list[Line] = []
    parts: dict[Node, list[tuple[Any, Node]]] = {}
    for line in staged.lines:
        if not isinstance(line, BackwardLine):
            raise InputError("a derivation through a loop is not written", 'open it: open="scan"', where="")
        stage = staged.stages[line.undoes - 1]
        if stage in compose.inner and stage in staged.cotangents:
            _close(staged, stage, parts, compose)
        parts.setdefault(line.target, []).append((compose(line.expression), stage))
    order = [*reversed([n for n in staged.live_stages if n not in compose.inner]), *staged.wrt]
    for n in order:
        if n not in parts:
            continue
        left = partial(n)
        texts = [_plain(write(e, names, WORDS, _array)) for e, _ in parts[n]]
        maths = [str(write(e, latexes, LATEX, array_latex)) for e, _ in parts[n]]
        if layout == "numerator":
            texts, maths = [f"({t}).T" for t in texts], [rf"\left({m}\right)^\top" for m in maths]
        rules = "; ".join(dict.fromkeys(r for _, stage in parts[n] for r in _rules(stage, staged, compose.inner)))
        branches = f"sum over {len(parts[n])} branches; " if len(parts[n]) > 1 else ""
        lines.append(
            formula(
                f"{left[0]} = {' + '.join(texts)}",
                f"{left[1]} = {' + '.join(maths)}",
                f"{branches}{rules}; {_shape(n.shape)}",
            )
        )
    lines += [
        formula(f"{partial(v)[0]} = 0", f"{partial(v)[1]} = 0", "no path leads there")
        for v in staged.wrt
        if v not in parts
    ]
    return lines


def _rules(stage: Node, staged: Staged, inner: set[Node]) -> list[str]:
    """The rules on the way from a statement to a stage of it; bookkeeping only where there is nothing else."""
    found = [rule_of(stage)]
    while stage in inner:
        stage = next(n for n in staged.live_stages if stage in n.inputs)
        found.append(rule_of(stage))
    telling = [r for r in found if r not in ("sum rule", "transpose", "sum over what was broadcast")]
    return telling or found[:1]


def _close(staged: Staged, n: Node, parts: dict[Node, list[tuple[Any, Node]]], compose: Composer) -> None:
    """The gradient of an inner stage is complete: whoever refers to it gets its expression."""
    variable = staged.cotangents[n]
    if variable in compose.put or n not in parts:
        return
    total = parts[n][0][0]
    for e, _ in parts[n][1:]:
        total = compose.simplifier.build(add, total, e)
    compose.put[variable] = total


def _plain(text: str) -> str:
    return str(text).replace("np.", "").replace("special.", "").replace(", axis=None", "").replace("**", "^")


def _array(x: Any) -> str:
    """A constant array; one of equal entries as their number."""
    single = _scalar(x)
    return python_number(single).removesuffix(".0") if np.ndim(single) == 0 else WORDS.array(x)


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "a number"
