"""A plan as one self-contained C99 file: the same loops as the native code, for a compiler of the reader's choice."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...ir.graph import Graph
from ...ir.node import Spec
from .expressions import Expr, Nest
from .index import Affine, count
from .plan import Planner
from .steps import Buffer, CopyStep, FillStep, LoopStep, ProductStep, ScanStep, Unsupported, View

TYPES = {
    "float64": "double", "float32": "float", "int64": "int64_t", "int32": "int32_t", "int16": "int16_t", "int8": "int8_t",
    "uint8": "uint8_t", "bool": "bool",
}  # fmt: skip
INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "greater": ">", "greater_equal": ">=", "less": "<",
    "less_equal": "<=", "equal": "==", "not_equal": "!=", "logical_and": "&&", "logical_or": "||", "logical_xor": "!=",
}  # fmt: skip
CALLS = {  # functions of math.h; float32 has the same with an f
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "tanh": "tanh", "sin": "sin", "cos": "cos", "tan": "tan",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "sinh": "sinh", "cosh": "cosh", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "sqrt": "sqrt", "cbrt": "cbrt", "abs": "fabs", "floor": "floor", "ceil": "ceil",
    "rint": "rint", "trunc": "trunc", "power": "pow", "hypot": "hypot", "erf": "erf", "erfc": "erfc", "gammaln": "lgamma",
    "exp2": "exp2", "log2": "log2", "log10": "log10", "copysign": "copysign", "fmax": "fmax", "fmin": "fmin",
}  # fmt: skip
WRITTEN: dict[str, str] = {  # {0}, {1} are arguments; {f} is the suffix of math.h's functions
    "negative": "-{0}",
    "reciprocal": "1 / {0}",
    "square": "{0} * {0}",
    "relu": "({0} > 0 || {0} != {0} ? {0} : 0)",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "where": "({0} ? {1} : {2})",
    "sign": "(({0} > 0) - ({0} < 0) + 0 * {0})",
    "logical_not": "!{0}",
    "isnan": "({0} != {0})",
    "isinf": "(isinf({0}) != 0)",
    "isfinite": "(isfinite({0}) != 0)",
    "signbit": "(signbit({0}) != 0)",
    "sigmoid": "({0} >= 0 ? 1 / (1 + exp{f}(-{0})) : exp{f}({0}) / (1 + exp{f}({0})))",
    "softplus": "(fmax{f}({0}, 0) + log1p{f}(exp{f}(-fabs{f}({0}))))",
    "log_sigmoid": "(fmin{f}({0}, 0) - log1p{f}(exp{f}(-fabs{f}({0}))))",
    "logaddexp": "({0} == {1} ? {0} + log{f}(2) : fmax{f}({0}, {1}) + log1p{f}(exp{f}(-fabs{f}({0} - {1}))))",
    "log_at_least": "fmax{f}(log{f}({0}), {1})",
    "heaviside": "({0} > 0 ? 1 : {0} == 0 ? {1} : {0} < 0 ? 0 : {0})",
    "rect": "(fabs{f}({0}) < 0.5 ? 1 : fabs{f}({0}) == 0.5 ? 0.5 : 0)",
    "deg2rad": "{0} * 0.017453292519943295",
    "rad2deg": "{0} * 57.29577951308232",
    "floor_divide": "floor{f}({0} / {1})",
    "remainder": "({0} - {1} * floor{f}({0} / {1}))",
}


class Names(dict[int, str]):
    """What buffers are called; one that nobody named is known by its number."""

    def __missing__(self, number: int) -> str:
        self[number] = f"v{number}"
        return self[number]


class Writer:
    """Writes one function."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names, self.lines, self.depth, self.fresh = names, [], 1, 0

    def line(self, text: str) -> None:
        """A line at the current depth."""
        self.lines.append("    " * self.depth + text)

    def open(self, text: str) -> None:
        """A line that begins a block."""
        self.line(text + " {")
        self.depth += 1

    def close(self) -> None:
        """The end of a block."""
        self.depth -= 1
        self.line("}")

    def loops(self, lengths: Sequence[int], letters: str = "ijklmnop") -> list[str]:
        """Nested loops; their counters."""
        counters: list[str] = []
        for k, n in enumerate(lengths):
            i = letters[k] if k < len(letters) else f"i{k}"
            self.open(f"for (size_t {i} = 0; {i} < {n}; {i}++)")
            counters.append(i)
        return counters

    def steps(self, planner: Planner, steps: Sequence[Any]) -> None:
        """All steps in order."""
        table: dict[type, Callable[..., None]] = {
            LoopStep: self.nest, FillStep: self.fill, CopyStep: self.copy, ProductStep: self.product, ScanStep: self.scan,
        }  # fmt: skip
        for s in steps:
            table[type(s)](planner, s)

    def fill(self, planner: Planner, s: FillStep) -> None:
        n = count(s.buffer.shape)
        self.line(
            f"for (size_t i = 0; i < {n}; i++) {self.names[s.buffer.number]}[i] = {number(s.value, s.buffer.dtype.name)};"
        )

    def copy(self, planner: Planner, s: CopyStep) -> None:
        self.line(f"memcpy({self.names[s.target.number]}, {self.names[s.source.number]}, {s.source.bytes});")

    def nest(self, planner: Planner, step: LoopStep) -> None:
        nest = step.nest(planner)
        if nest.empty:
            return
        counters = self.loops(nest.lengths)
        values: dict[int, str] = {}
        for e in nest.order:
            if self._unused(nest, e):
                continue
            values[id(e)] = self.value(e, values, counters)
        for e, b, address, mode, at in nest.results:
            place = affine(address, counters)
            for p, length, stride in at:
                place += f" + {stride} * wrapped({values[id(p)]}, {length})"
            target, x = f"{self.names[b.number]}[{place}]", values[id(e)]
            if mode == "store":
                self.line(f"{target} = {x};")
            elif mode in ("add", "mul"):
                self.line(f"{target} {'+' if mode == 'add' else '*'}= {x};")
            else:
                sign = ">" if mode == "max" else "<"
                self.line(f"if ({x} {sign} {target} || {x} != {x}) {target} = {x};")
        for _ in counters:
            self.close()

    def _unused(self, nest: Nest, e: Expr) -> bool:
        if not hasattr(nest, "needed"):
            seen: set[int] = set()
            stack = [r[0] for r in nest.results] + [p for r in nest.results for p, _, _ in r[4]]
            while stack:
                x = stack.pop()
                if id(x) not in seen:
                    seen.add(id(x))
                    stack += x.args
            nest.needed = seen  # type: ignore[attr-defined]
        return id(e) not in nest.needed  # type: ignore[attr-defined]

    def value(self, e: Expr, values: dict[int, str], counters: list[str]) -> str:
        """The text of an expression; operations get a line and a name."""
        if e.kind == "const":
            return number(e.data, e.dtype)
        if e.kind == "load":
            return f"{self.names[e.data[0].number]}[{affine(e.data[1], counters)}]"
        if e.kind == "index":
            return f"(int64_t)({affine(e.data, counters)})"
        args = [values[id(a)] for a in e.args]
        if e.kind == "gather":
            b, start, axes = e.data
            place = affine(start, counters) + "".join(
                f" + {s} * wrapped({a}, {n})" for a, (n, s) in zip(args, axes, strict=True)
            )
            return f"{self.names[b.number]}[{place}]"
        self.fresh += 1
        name = f"t{self.fresh}"
        self.line(f"{TYPES[e.dtype]} {name} = {operation(e, args)};")
        return name

    def product(self, planner: Planner, s: ProductStep) -> None:
        batch = self.loops(s.batch, "abcdefgh")
        nb = len(s.batch)
        m, k, n = s.sizes

        def at(v: View, rest: dict[int, str]) -> str:
            terms = [
                f"{st} * {i}" if st != 1 else i
                for i, st in zip(
                    [*batch, *rest.values()], [*v.strides[:nb], *(v.strides[nb + r] for r in rest)], strict=True
                )
                if st
            ]
            return f"{self.names[v.buffer.number]}[{' + '.join([*([str(v.start)] if v.start else []), *terms]) or '0'}]"

        type = TYPES[s.c.buffer.dtype.name]
        i, j = self.loops((m, n), "ij")
        self.line(f"{type} sum = 0;")
        self.line(f"for (size_t k = 0; k < {k}; k++) sum += {at(s.a, {0: i, 1: 'k'})} * {at(s.b, {0: 'k', 1: j})};")
        self.line(f"{at(s.c, {0: i, 1: j})} = sum;")
        for _ in (*batch, i, j):
            self.close()

    def scan(self, planner: Planner, s: ScanStep) -> None:
        if s.test is None:
            self.open(f"for (size_t step = 0; step < {s.length}; step++)")
        else:
            assert s.condition is not None
            self.open("for (;;)")
            self.steps(s.test.planner, s.test.steps)
            self.line(f"if (!{self.names[s.condition.number]}[0]) break;")
        for row, whole in s.rows:
            self.line(
                f"memcpy({self.names[row.number]}, (const char *){self.names[whole.number]} + step * {row.bytes}, {row.bytes});"
            )
        self.steps(s.body.planner, s.body.steps)
        for left, whole in s.stacked:
            self.line(
                f"memcpy((char *){self.names[whole.number]} + step * {left.bytes}, {self.names[left.number]}, {left.bytes});"
            )
        for to, fro in s.carry:
            if to is not fro:
                self.line(f"memcpy({self.names[to.number]}, {self.names[fro.number]}, {to.bytes});")
        self.close()


def affine(a: Affine, counters: list[str]) -> str:
    """An address."""
    terms = [counters[v] if c == 1 else f"{c} * {counters[v]}" for v, c in a.terms]
    if a.constant or not terms:
        terms.append(str(a.constant))
    return " + ".join(terms).replace("+ -", "- ")


def number(x: Any, dtype: str) -> str:
    """A number as C writes it."""
    if dtype == "bool":
        return "true" if x else "false"
    if not dtype.startswith("float"):
        return str(int(x))
    x = float(np.float32(x)) if dtype == "float32" else float(x)
    if math.isnan(x):
        return "NAN"
    if math.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    text = repr(x) if dtype == "float64" else str(np.float32(x))
    text = text if "." in text or "e" in text else text + ".0"
    return (f"({text})" if x < 0 else text) + ("f" if dtype == "float32" else "")


def operation(e: Expr, args: list[str]) -> str:
    """An operation on its arguments."""
    if e.kind == "cast":
        return f"{args[0]} != 0" if e.dtype == "bool" else f"({TYPES[e.dtype]}){args[0]}"
    if e.kind in INFIX:
        return f"{args[0]} {INFIX[e.kind]} {args[1]}"
    suffix = "f" if e.dtype == "float32" else ""
    if e.kind in WRITTEN:
        return WRITTEN[e.kind].format(*args, f=suffix)
    if e.kind in CALLS and e.dtype.startswith("float"):
        return f"{CALLS[e.kind]}{suffix}({', '.join(args)})"
    raise Unsupported(f"{e.kind} of {e.dtype}")


def c_source(graph: Graph, name: str, inputs: Sequence[str], outputs: Sequence[str], doc: str) -> str:
    """A C file with the function `name`, which takes pointers to its inputs and to where its outputs go.

    Raises:
        InputError: an operation has no form in C.
    """
    pool: list[Buffer] = []
    given: list[Buffer] = []
    for i in graph.inputs:
        spec = Spec.of(i.value)
        b = Buffer("input", spec.shape, spec.dtype)
        b.number = len(pool)
        pool.append(b)
        given.append(b)
    try:
        planner = Planner(graph, given, pool)
        plan = planner.plan()
        names = Names((b.number, n) for b, n in zip(given, inputs, strict=True))
        results: list[tuple[str, Buffer]] = []
        copies: list[str] = []
        for o, b, n in zip(graph.outputs, plan.outputs, outputs, strict=True):
            if b.role == "temporary" and b.number not in names:
                names[b.number] = n
            else:
                copies.append(f"    memcpy({n}, {{{b.number}}}, {b.bytes});")
            results.append((n, b))
            del o
        writer = Writer(names)
        writer.steps(planner, plan.steps)
        statics: list[str] = []
        for b in pool:
            if b.role == "constant" and b.number in names:
                entries = ", ".join(number(v, b.dtype.name) for v in np.ravel(b.data))
                size = max(count(b.shape), 1)
                statics.append(f"static const {TYPES[b.dtype.name]} {names[b.number]}[{size}] = {{{entries}}};")
    except Unsupported as error:
        raise InputError(
            f"this program cannot be written in C: {error}", "print it as Python, or compile it with jit", where=""
        ) from None
    body = "\n".join(writer.lines)
    used = [
        b
        for b in pool
        if b.role == "temporary"
        and names[b.number].startswith("v")
        and names[b.number] not in outputs
        and re.search(rf"\b{names[b.number]}\b", body)
    ]
    memory = [f"    static {TYPES[b.dtype.name]} {names[b.number]}[{max(count(b.shape), 1)}];" for b in used]
    parameters = [
        f"const {TYPES[b.dtype.name]} {n}[{max(count(b.shape), 1)}]" for b, n in zip(given, inputs, strict=True)
    ]
    parameters += [f"{TYPES[b.dtype.name]} {n}[{max(count(b.shape), 1)}]" for n, b in results]
    copied = [re.sub(r"\{(\d+)\}", lambda m: names[int(m[1])], line) for line in copies]
    helper = (
        ["static size_t wrapped(int64_t i, int64_t n) { return (size_t)(i < 0 ? i + n : i); }", ""]
        if "wrapped(" in body
        else []
    )
    return "\n".join(
        [
            f"/* {doc} */", "#include <math.h>", "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "#include <string.h>",
            "", *statics, *([""] if statics else []), *helper, f"void {name}({', '.join(parameters)})", "{", *memory, body, *copied, "}", "",
        ]
    )  # fmt: skip
