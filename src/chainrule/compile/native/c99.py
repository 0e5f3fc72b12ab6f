"""A plan as one self-contained C99 file: the same loops as the native code, for a compiler of the reader's choice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ...ir.graph import Graph
from ...ir.node import Spec
from .c99_names import Namer
from .c99_operations import HELPERS, TYPES, accumulated, number, operation
from .elementwise import Expr
from .index import Affine, count
from .lowerable import Lowerable
from .memory import Buffer, Unsupported, View
from .nests import Nest
from .plan import Planner
from .steps import CallStep, CopyStep, FillStep, ProductStep, ScanStep


class Names(dict[int, str]):
    """What buffers are called; one that nobody named is known by its number."""

    def __init__(self, call: Namer, known: Iterable[tuple[int, str]]) -> None:
        super().__init__(known)
        self.call = call

    def __missing__(self, number: int) -> str:
        self[number] = self.call(f"v{number}")
        return self[number]


class Writer:
    """Writes one function."""

    def __init__(self, names: Names, call: Namer) -> None:
        self.names, self.call, self.lines, self.depth = names, call, [], 1
        self.sum, self.step, self.inner = call("sum"), call("step"), call("k")
        self.counters = [call(c) for c in "ijlmnop"]
        self.batch = [call(c) for c in "abcdefgh"]

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

    def loops(self, lengths: Sequence[int], letters: list[str] | None = None) -> list[str]:
        """Nested loops; their counters."""
        letters = [self.counters[0], self.counters[1], self.inner, *self.counters[2:]] if letters is None else letters
        counters: list[str] = []
        for k, n in enumerate(lengths):
            while k >= len(letters):
                letters.append(self.call("i"))
            i = letters[k]
            self.open(f"for (size_t {i} = 0; {i} < {n}; {i}++)")
            counters.append(i)
        return counters

    def steps(self, steps: Sequence[Any]) -> None:
        """All steps in order."""
        table: dict[type, Callable[..., None]] = {
            Nest: self.nest, FillStep: self.fill, CopyStep: self.copy, ProductStep: self.product, ScanStep: self.scan,
        }  # fmt: skip
        for s in steps:
            if isinstance(s, CallStep):
                raise Unsupported(s.words())
            table[type(s)](s)

    def fill(self, s: FillStep) -> None:
        n = count(s.buffer.shape)
        i, entry = self.counters[0], number(s.value, s.buffer.dtype.name)
        if n:
            self.line(f"for (size_t {i} = 0; {i} < {n}; {i}++) {self.names[s.buffer.number]}[{i}] = {entry};")

    def copy(self, s: CopyStep) -> None:
        self.line(f"memcpy({self.names[s.target.number]}, {self.names[s.source.number]}, {s.source.bytes});")

    def nest(self, nest: Nest) -> None:
        if nest.empty:
            return
        counters = self.loops(nest.lengths)
        values: dict[int, str] = {}
        for e in nest.order:
            values[id(e)] = self.value(e, values, counters)
        for e, b, address, mode, at in nest.results:
            place = affine(address, counters)
            for p, length, stride in at:
                place += f" + {stride} * wrapped({values[id(p)]}, {length})"
            self.line(accumulated(mode, b.dtype.name, f"{self.names[b.number]}[{place}]", values[id(e)]))
        for _ in counters:
            self.close()

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
        name = self.call("t")
        self.line(f"{TYPES[e.dtype]} {name} = {operation(e, args)};")
        return name

    def product(self, s: ProductStep) -> None:
        batch = self.loops(s.batch, self.batch)
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
        if not s.c.buffer.dtype.name.startswith("float"):
            raise Unsupported(f"a product of {s.c.buffer.dtype}")
        i, j = self.loops((m, n))
        t, total = self.inner, self.sum
        self.line(f"{type} {total} = 0;")
        terms = f"{at(s.a, {0: i, 1: t})} * {at(s.b, {0: t, 1: j})}"
        self.line(f"for (size_t {t} = 0; {t} < {k}; {t}++) {total} += {terms};")
        self.line(f"{at(s.c, {0: i, 1: j})} = {total};")
        for _ in (*batch, i, j):
            self.close()

    def scan(self, s: ScanStep) -> None:
        if s.test is None:
            self.open(f"for (size_t {self.step} = 0; {self.step} < {s.length}; {self.step}++)")
        else:
            assert s.condition is not None
            self.open("for (;;)")
            self.steps(s.test.steps)
            self.line(f"if (!{self.names[s.condition.number]}[0]) break;")
        for row, whole in s.rows:
            self.line(
                f"memcpy({self.names[row.number]}, (const char *){self.names[whole.number]} + {self.step} * {row.bytes}, {row.bytes});"
            )
        self.steps(s.body.steps)
        for left, whole in s.stacked:
            self.line(
                f"memcpy((char *){self.names[whole.number]} + {self.step} * {left.bytes}, {self.names[left.number]}, {left.bytes});"
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


def c_source(
    graph: Graph, name: str, inputs: Sequence[str], outputs: Sequence[str], doc: str, conditions: Sequence[str] = ()
) -> str:
    """A C file with the function `name`, which takes pointers to its inputs and to where its outputs go.

    Args:
        graph: gives the outputs, then a truth value for each condition.
        inputs, outputs: what the parameters are to be called.
        conditions: under which the program is right, in words. With them, or where an index is computed, the function returns
            0, or which one does not hold, and then every result is NaN.

    Raises:
        InputError: an operation has no form in C.
    """
    pool: list[Buffer] = []
    given = [_input(i, pool) for i in graph.inputs]
    call = Namer([name])
    inputs, outputs = [call(n) for n in inputs], [call(n) for n in outputs]
    try:
        plan = Planner(graph, given, pool, Lowerable(lambda e: operation(e, ["x"] * len(e.args)))).plan()
        plan.checked({b.number for b in given})
        names = Names(call, ((b.number, n) for b, n in zip(given, inputs, strict=True)))
        copies = _results(plan.outputs, outputs, names)
        tests = [names[b.number] for b in plan.outputs[len(outputs) :]]
        writer = Writer(names, call)
        writer.steps(plan.steps)
        for b in pool:
            if b.dtype.name not in TYPES:
                raise Unsupported(f"it holds values of {b.dtype.name}")
        statics = [_constant(b, names[b.number]) for b in pool if b.role == "constant" and b.number in names]
    except Unsupported as error:
        raise InputError(
            f"this program cannot be written in C: {error}", "print it as Python, or compile it with jit", where=""
        ) from None
    body = "\n".join([*writer.lines, *copies])
    memory = [
        f"    static {_declared(b, names[b.number])};"
        for b in pool
        if b.role == "temporary" and b.number in names and names[b.number] not in outputs
    ]
    results = list(zip(plan.outputs, outputs, strict=False))
    parameters = [f"const {_declared(b, n)}" for b, n in zip(given, inputs, strict=True)]
    parameters += [_declared(b, n) for b, n in results]
    returns = bool(conditions) or "wrapped(" in body
    helpers = [h for f, h in HELPERS.items() if f"{f}(" in body]
    return "\n".join(
        [
            f"/* {doc} */",
            *_contract(conditions, "wrapped(" in body),
            *(f"#include <{h}.h>" for h in ("math", "stdbool", "stddef", "stdint", "string")),
            "",
            *statics,
            *([""] if statics else []),
            *helpers,
            f"{'int' if returns else 'void'} {name}({', '.join(parameters)})",
            "{",
            *memory,
            *(f"    (void){n};" for n in (*inputs, *outputs) if not re.search(rf"\b{n}\b", body)),
            *(
                f"    (void){names[b.number]};"
                for b in pool
                if names.get(b.number) and _only_written(names[b.number], body)
            ),
            *(["    misplaced = false;"] if "wrapped(" in body else []),
            body,
            *(_ending(tests, "wrapped(" in body, results) if returns else []),
            "}",
            "",
        ]
    )


def _input(n: Any, pool: list[Buffer]) -> Buffer:
    spec = Spec.of(n.value)
    made = Buffer("input", spec.shape, spec.dtype)
    made.number = len(pool)
    pool.append(made)
    return made


def _results(buffers: Sequence[Buffer], outputs: Sequence[str], names: Names) -> list[str]:
    """The names of the results: memory is computed in place, what is an input, a constant or another result is copied."""
    copies: list[str] = []
    for b, n in zip(buffers, outputs, strict=False):
        if b.role == "temporary" and b.number not in names:
            names[b.number] = n
        elif b.role == "constant" and b.bytes and np.all(b.data == (first := np.ravel(b.data)[0])):
            entry = number(first, b.dtype.name)
            size = count(b.shape)
            at = "" if size == 1 else f"for (size_t at = 0; at < {size}; at++) "
            copies.append(f"    {at}{n}[{'0' if size == 1 else 'at'}] = {entry};")
        elif b.bytes:
            copies.append(f"    memcpy({n}, {names[b.number]}, {b.bytes});")
    return copies


def _only_written(name: str, body: str) -> bool:
    """Whether a name stands nowhere but where something is put: what a compiler would warn of."""
    places = len(re.findall(rf"\b{name}\b", body))
    puts = re.findall(rf"(?:^|[;{{)]) *{name}\[[^\]=]*\] = |memcpy\({name}, ", body, re.MULTILINE)
    return 0 < places == len(puts) and name.startswith("v")


def _declared(b: Buffer, name: str) -> str:
    return f"{TYPES[b.dtype.name]} {name}[{max(count(b.shape), 1)}]"


def _constant(b: Buffer, name: str) -> str:
    entries = ", ".join(number(v, b.dtype.name) for v in np.ravel(b.data))
    return f"static const {_declared(b, name)} = {{{entries or 0}}};"


def _contract(conditions: Sequence[str], indexed: bool) -> list[str]:
    """What the function returns, as a comment."""
    if not conditions and not indexed:
        return []
    cases = [f" * {k}: it was printed for {c}" for k, c in enumerate(conditions, 1)]
    if indexed:
        cases.append(" * -1: every index is within its axis")
    head = "/* It returns 0, or the number of the condition that does not hold; then every result is NaN. Print it again there."
    return [head, *(c.replace("*/", "* /") for c in cases), " */"]


def _ending(tests: Sequence[str], indexed: bool, results: Sequence[tuple[Buffer, str]]) -> list[str]:
    """The status, and NaN in every result where it is not 0."""
    choice = "".join(f"!{t}[0] ? {k} : " for k, t in enumerate(tests, 1))
    return [
        f"    const int status = {'misplaced ? -1 : ' if indexed else ''}{choice}0;",
        *(
            f"    if (status) for (size_t at = 0; at < {count(b.shape)}; at++) {n}[at] = NAN;"
            for b, n in results
            if b.dtype.kind == "f" and b.bytes
        ),
        "    return status;",
    ]
