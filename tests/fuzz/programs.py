"""Programs of NumPy code (views, writes, aliases, layouts, bodies): the same text with plain NumPy and traced.

A program is built by running it: a statement is kept when NumPy accepts it where it stands. What is judged: values and
dtypes against plain NumPy, reverse mode against forward mode and against differences, `jit` with the arguments after
the call, `vmap` against a Python loop. For the structured operations the reference is Python: a body is given copies.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir import deferred

from .harness import AGREED, Wrong, refused

# ---- arguments ---------------------------------------------------------------------------------------------------

SHAPES = ((4,), (3, 3), (2, 3), (3, 2), (2, 2, 3), (2, 3, 2), (), (1,), (2, 1, 3), (0,), (2, 0), (6,), (1, 4))
DTYPES = ("float64", "float64", "float64", "float64", "float32", "complex128")
LAYOUTS = ("C", "C", "F", "strided", "reversed", "moved")


@dataclass(frozen=True)
class Argument:
    """An array of an argument: `same` as the first one, or overlapping with it ("backward"), where it is not its own."""

    shape: tuple[int, ...]
    dtype: str = "float64"
    layout: str = "C"
    same: str = ""


@dataclass(frozen=True)
class Case:
    """A program f(x, y, p, s), p being {"w": array, "b": [array]}, s a number."""

    source: str
    x: Argument
    y: Argument
    w: Argument
    b: Argument

    @property
    def single(self) -> bool:
        """Whether single precision occurs somewhere."""
        return "float32" in self.source or "float32" in (self.x.dtype, self.y.dtype, self.w.dtype, self.b.dtype)

    def __repr__(self) -> str:
        arguments = ", ".join(repr(a).replace("Argument", "A") for a in (self.x, self.y, self.w, self.b))
        return f"Case(\n    {self.source!r},\n    {arguments},\n)".replace("A(", "Argument(")


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """An array of these values with the layout."""
    if layout == "F":
        return np.asfortranarray(values)
    if not values.ndim:
        return values
    if layout == "strided":
        room = np.zeros(tuple(2 * n for n in values.shape), values.dtype)
        view = room[(slice(None, None, 2),) * values.ndim]
    elif layout == "reversed":
        view = np.zeros_like(values)[..., ::-1]
    elif layout == "moved" and values.ndim > 1:
        view = np.moveaxis(np.zeros((values.shape[-1], *values.shape[:-1]), values.dtype), 0, -1)
    else:
        return values
    view[...] = values
    return view


def numbers(k: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers between -1 and 1 that belong to argument k."""
    rng = np.random.default_rng(k)
    values = rng.uniform(-1, 1, shape)
    return np.asarray(values + 1j * rng.uniform(-1, 1, shape) if dtype == "complex128" else values, dtype)


def arguments(case: Case, step: list[np.ndarray] | None = None) -> list[Any]:
    """The arguments, fresh, moved by a step."""
    arrays: list[np.ndarray] = []
    for k, a in enumerate((case.x, case.y, case.w, case.b)):
        if a.same:
            arrays.append(arrays[0] if a.same == "same" else arrays[0][::-1])
            continue
        values = numbers(k, a.shape, a.dtype)
        moved = values if step is None else np.asarray(values + step[k], a.dtype)
        arrays.append(laid_out(moved, a.layout))
    x, y, w, b = arrays
    return [x, y, {"w": w, "b": [b]}, np.float64(0.7)]


# ---- what bodies mean --------------------------------------------------------------------------------------------


def _mapped(f: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _mapped(f, v) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_mapped(f, v) for v in tree)
    return f(tree)


def own(tree: Any) -> Any:
    """A tree of arrays that nobody else holds, in C order; those without axes are scalars."""
    return _mapped(lambda x: np.array(x, order="C")[()] if isinstance(x, np.ndarray) else x, tree)


def copied(x: np.ndarray) -> np.ndarray:
    """A copy with the same strides, also where they leave gaps."""
    low = sum(s * (n - 1) for s, n in zip(x.strides, x.shape, strict=True) if s < 0 and n)
    high = sum(s * (n - 1) for s, n in zip(x.strides, x.shape, strict=True) if s > 0 and n)
    room = np.zeros(high - low + x.itemsize, np.uint8)
    made = np.ndarray(x.shape, x.dtype, room, -low, x.strides)
    made[...] = x
    return made


def _stacked(trees: list[Any]) -> Any:
    first = trees[0]
    if isinstance(first, dict):
        return {k: _stacked([t[k] for t in trees]) for k in first}
    if isinstance(first, (list, tuple)):
        return type(first)(_stacked([t[k] for t in trees]) for k in range(len(first)))
    return None if first is None else np.stack(trees)


def _scan(f: Any, init: Any, xs: Any, length: int | None = None) -> Any:
    carry, ys = own(init), []
    for t in range(len(xs) if length is None else length):
        carry, y = own(f(carry, own(xs[t]) if xs is not None else None))
        ys.append(y)
    return carry, _stacked(ys)


def _fori_loop(lower: int, upper: int, body: Any, init: Any) -> Any:
    return _scan(lambda c, i: (body(i, c), None), init, np.arange(lower, upper))[0]


def _while_loop(test: Any, body: Any, init: Any) -> Any:
    carry = own(init)
    while test(own(carry)):
        carry = own(body(carry))
    return carry


def _cond(predicate: Any, true: Any, false: Any, *operands: Any) -> Any:
    return own((true if predicate else false)(*own(operands)))


def _switch(index: int, branches: Any, *operands: Any) -> Any:
    return own(branches[min(max(index, 0), len(branches) - 1)](*own(operands)))


PYTHON = SimpleNamespace(
    scan=_scan,
    fori_loop=_fori_loop,
    while_loop=_while_loop,
    cond=_cond,
    switch=_switch,
    checkpoint=lambda f: lambda *xs: own(f(*own(xs))),
    vmap=lambda f: lambda *xs: _stacked([f(*(own(x[k]) for x in xs)) for k in range(len(xs[0]))]),
)

# ---- statements --------------------------------------------------------------------------------------------------

PRELUDE = '''\
def swap(c):
    c[0], c[-1] = c[-1], c[0]
    return c

def scale(c):
    d = c[...]
    c *= 0.8
    d += 0.1
    return d

def write(c):
    c[0] = 0.5 * c[-1]
    return c * c

def flat(c):
    v = c.reshape(-1)
    v[0] *= 2.0
    return c + 0.1

def turned(c):
    c.T[0] += 0.2
    return c

def change(u, v):
    u *= 0.5
    v += 0.25
    return u[::-1]
'''  # fmt: skip
BODIES = ("swap", "scale", "write", "flat", "turned")

INDICES = ("0", "-1", "1:", ":-1", "::2", "::-1", ":", "...", "1:2", "None", "..., 0", ":, 1:", "0, 1:", ":, ::-1", "1::-1", "..., None", "0, ..., 1", ":, 0", "1, 0", "..., ::2, :", "0, ...", "2:0:-1")  # fmt: skip
TARGETS = ("1:", ":-1", "::2", "::-1", ":", "...", "0", "-1", "..., 0", ":, 1:", "0, 1:", ":, 0", "1, 0", "..., ::-1", "[0, -1]", "[0, 0]", "{a} > 0.1", "1:, [0, 1]", "[1, 0], [0, 1]", "0, ...", "(), ", "..., [0]")  # fmt: skip
SHAPED = ("-1", "(-1, 2)", "(2, -1)", "(3, -1)", "(-1, 3)", "(2, 3)", "(1, -1)", "(-1, 1)", "(3, 2)", "(2, 2, -1)", "()")  # fmt: skip

EXPRESSIONS = (
    "np.sin({a})", "{a} * 0.5 + 0.1", "{a} + {b}", "{a} - {b} * 0.3", "{a} * {b}", "np.tanh({a})", "-{a}", "+{a}",
    "np.where({a} > 0.123, {a}, {b})", "np.maximum({a}, 0.21)", "np.abs({a})", "{a} ** 2", "{a} / (1.5 + {b} * {b})",
    "{a}.copy()", "np.copy({a})", "np.copy({a}, order='F')", "{a}.copy(order='K')", "{a}.copy(order='F')",
    "np.zeros_like({a})", "np.ones_like({a}.T)", "np.full_like({a}, 0.3)", "np.zeros_like({a}, order='C')",
    "np.concatenate([{a}, {b}])", "np.concatenate([{a}, {b}], axis=-1)", "np.stack([{a}, {b}])",
    "np.stack([{a}, {b}], axis=-1)", "np.cumsum({a}, axis=0) * 0.3", "np.cumsum({a}) * 0.2", "np.sum({a}, axis=0)",
    "np.sum({a}, axis=-1, keepdims=True)", "{a}.sum()", "{a}.mean(axis=-1)", "np.max({a}, axis=0)", "np.prod({a}, axis=-1)",
    "np.sort({a}, axis=0)", "np.sort({a})", "{a} @ {b} * 0.3", "{a} @ {b}.T * 0.3", "np.dot({a}, {b}) * 0.3",
    "{a}[[0, -1]]", "{a}[:, [0, 0]]", "{a}[{a} > 0.05]", "np.take({a}, [1, 0], axis=-1)", "{a}.flatten()",
    "{a}.astype(np.float32)", "{a}.astype(int)", "{a}.astype(float)", "{a} + 0.5j * {b}",
    "np.roll({a}, 1)", "np.roll({a}, 1, axis=0)", "np.tile({a}, 2)", "np.outer({a}, {b}) * 0.5",
    "np.einsum('ij,jk->ki', {a}, {b}) * 0.3", "np.einsum('ij->i', {a})", "np.tensordot({a}, {b}, 1) * 0.3", "np.pad({a}, 1)",
    "np.diff({a})", "np.clip({a}, -0.55, 0.65)", "np.linalg.norm({a}) * 0.3", "{s} * {a}",
    "np.conj({a})", "{a}.real * 1.5", "{a} > {b}", "np.linalg.inv({a} * 0.1 + np.eye(3))", "np.linalg.solve({a} * 0.1 + np.eye(3), {b})", "np.mean({a}) * {b}", "np.append({a}, {b})",
    "np.vstack([{a}, {b}])", "np.hstack([{a}, {b}])", "{a} + 1", "np.float32(0.5) * {a}",
)  # fmt: skip
VIEWS = (
    "{a}[{i}]", "{a}[{i}]", "{a}[{i}]", "{a}[{i}]", "{a}.T", "np.moveaxis({a}, -1, 0)", "np.swapaxes({a}, 0, -1)",
    "{a}.reshape({n})", "{a}.reshape({n})", "np.reshape({a}, {n})", "{a}.ravel()", "np.ravel({a})", "np.squeeze({a})",
    "np.expand_dims({a}, 1)", "np.flip({a}, 0)", "np.flip({a})", "np.rot90({a})", "np.diagonal({a})", "np.diag({a})",
    "np.einsum('ii->i', {a})", "np.einsum('ij->ji', {a})", "np.broadcast_to({a}, (2, *{a}.shape))", "np.split({a}, 2)[0]",
    "np.array_split({a}, 2)[1]", "{a}.real", "{a}.imag", "{a}", "{a}[...]", "np.atleast_2d({a})", "np.atleast_1d({a})", "{a}.view()",
    "np.transpose({a}, (1, 0))", "np.transpose({a}, (2, 0, 1))", "{a}.mT", "{a}.reshape({n}, order='F')", "{a}.ravel(order='F')",
    "{a}.ravel(order='K')", "{a}.ravel(order='A')", "np.real({a})", "{a}.squeeze()", "{a}.swapaxes(0, 1)", "{a}.transpose()",
    "np.fliplr({a})", "np.ascontiguousarray({a})", "np.asfortranarray({a})", "{a}.diagonal()", "np.hsplit({a}, 2)[0]",
)  # fmt: skip
WRITES = (
    "{a} += {b}", "{a} -= {b} * 0.5", "{a} *= 0.7", "{a} /= 2.5", "{a} **= 2", "{a} *= {b}", "{a} += 1", "{a} //= 0.3", "{a} @= {b}",
    "{a}[{t}] = {b}", "{a}[{t}] = {b}", "{a}[{t}] += {b}", "{a}[{t}] *= 0.3", "{a}[{t}] = 0.4", "{a}[{t}] = {s}", "{a}[{t}] -= 0.2 * {s}",
    "{a}[{t}] = {a}[{i}]", "{a}[{t}] += {a}[{i}]", "{a}[{t}] *= {b}[{i}]", "{a}[:] = {a}[::-1]", "{a}[1:] = {a}[:-1]", "{a} += {a}.T",
    "{a}[1:] += {a}[:-1]", "{a}[...] = {b}", "{a} += {a}[::-1]", "{a}[{a} > 0.1] = 0.2", "{a}[{a} < 0] *= 0.5",
    "np.add({a}, {b}, out={a})", "np.add({a}[:-1], 0.3, out={a}[1:])", "np.multiply({a}, {b}, out={a}[...])", "np.sin({a}, out={a})",
    "np.add.at({a}, [0, 0], 0.4)", "np.add.at({a}, [0, 1], {b})", "np.add.at({a}, [0, 1, 2], {a}[1:])", "np.subtract.at({a}, 0, 0.3)",
    "{a}[0], {a}[1] = {a}[1], {a}[0]", "{a}.fill(0.3)", "{a}.flat[1] = 0.4", "{a}.flat[::2] = {b}", "{a}.flat = {b}", "{a}.flat[0] += 0.25",
    "{a}.real[...] = 0.2", "{a}.real *= 0.5", "{a}.imag[...] = 0.3", "{a}.imag += 0.1", "{a}.T[0] *= 0.6", "{a}.reshape(-1)[1] = {s}",
    "{a}.ravel()[::2] += 0.2", "{a} |= {b}", "{a} &= {b} > 0", "{a}[0][...] = 0.35", "np.copyto({a}, {b})", "np.sum({b}, axis=0, out={a})",
    "{a}.T[...] = {b}", "{a}[None][0, 0] = 0.15", "np.flip({a}, 0)[0] = {b}", "{a}.swapaxes(0, 1)[0] -= 0.3", "np.fill_diagonal({a}, 0.2)",
    "np.put({a}, [0, 1], 0.6)", "{a}.view()[0] += 0.5", "np.einsum('ii->i', {a})[...] = 0.45", "np.negative({a}, out={a}, where={a} > 0)", "{a}[{a} > 0.3] = {a}[{a} > 0.3] * 0.5", "np.diag({a})[0] = 0.3", "np.where({a} > 0, {a}, 0)[0] = 0.4",
)  # fmt: skip
COMPOUND = (
    "if {a}.sum() > 0.3:\n    {write}\nelse:\n    {other}",
    "if np.any({a} > 0.9):\n    {write}",
    "for k in range(2):\n    {write}\n    {other}",
    "for r in {a}:\n    r *= 0.9",
    "for r in [{a}, {b}]:\n    r *= 0.9",
    "change({a}, {b})",
    "{new} = change({a}, {b})",
    "{new} = {{'q': {a}}}\n{new}['q'] *= 0.9",
    "{new} = [{a}]\n{new}[0] += 0.1",
    "{new} = ({a}, {b})[1]\n{new} += 0.1",
    "{new} = {a}[0]\n{new} += {a}[1]",
    "{new} = {a}[1:]\n{new} *= 0.5\n{write}",
    "{new} = {a}.reshape(-1)\n{write}\n{new}[0] += 0.3",
    "while {a}.sum() > 1.5:\n    {a} *= 0.5",
    "{new} = {b} if {a}.sum() > 0 else {a}\n{write}",
)
STRUCTURED = (
    "{new} = cr.fori_loop(0, 2, lambda i, c: {body}(c), {a})",
    "{new} = cr.fori_loop(0, 2, lambda i, c: {body}(c) + i, {a})",
    "{new}, u{k} = cr.scan(lambda c, r: ({body}(c), c), {a}, {b})",
    "{new}, u{k} = cr.scan(lambda c, r: (c, {body}(c)), {a}, None, length=2)",
    "{new}, u{k} = cr.scan(lambda c, r: (c * 0.9 + {body}(r).sum() * 0.1, r), {a}, {b})",
    "{new}, (u{k}, _) = cr.scan(lambda c, r: (c, (c, {body}(r))), {a}, {b})",
    "({new}, u{k}), _ = cr.scan(lambda c, r: (({body}(c[0]), c[0]), None), ({a}, {a}), None, length=2)",
    "{new} = cr.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, {body}(c[1])), (0, {a}))[1]",
    "{new} = cr.cond({a}.sum() > 0.2, {body}, {also}, {a})",
    "{new} = cr.cond({a}.sum() > 0.2, lambda u, v: {body}(u) + v, lambda u, v: u + {also}(v), {a}, {a})",
    "{new} = cr.switch(1, [{body}, {also}], {a})",
    "{new} = cr.checkpoint({body})({a})",
    "{new} = cr.checkpoint(lambda u, v: change(u, v) + u + v)({a}, {b})",
    "{new} = cr.vmap({body})({a})",
    "{new} = cr.vmap(change)({a}, {b})",
    "{new} = cr.fori_loop(0, 2, lambda i, c: cr.cond(c.sum() > 0.3, {body}, {also}, c), {a})",
    "{new} = cr.fori_loop(0, 2, lambda i, c: cr.checkpoint({body})(c) + c, {a})",
    "{new} = cr.checkpoint(lambda c: cr.fori_loop(0, 2, lambda i, d: {body}(d), c) + c)({a})",
    "{new} = cr.vmap(lambda c: cr.fori_loop(0, 2, lambda i, d: {body}(d), c))({a})",
    "{new} = cr.vmap(lambda c: cr.checkpoint({body})(c) + c)({a})",
)

Tape = list[tuple[int, ...]]


class Writer:
    """A program in the making, and the world after its last line."""

    def __init__(self, given: list[Any]) -> None:
        self.world: dict[str, Any] = {"np": np, "cr": PYTHON, **dict(zip("xyps", given, strict=True))}
        exec(PRELUDE, self.world)
        self.lines: list[str] = []
        self.count = 0

    @property
    def arrays(self) -> list[str]:
        """What stands for an array in the program."""
        found = ["x", "y", "p['w']", "p['b'][0]"]
        return found + [n for n in self.made() if isinstance(self.world[n], np.ndarray)]

    def made(self) -> list[str]:
        """The variables that statements have made."""
        return [n for n in self.world if n[0] in "uv" and n[1:].isdigit()]

    def statement(self, choice: Iterator[int]) -> str:
        """The text of a statement."""

        def of(options: Any) -> Any:
            return options[next(choice) % len(options)]

        names = self.arrays
        recent = names[-3:] + names
        kind = of((VIEWS, EXPRESSIONS, WRITES, WRITES, VIEWS, COMPOUND, STRUCTURED))
        new = f"v{self.count}"
        filling: dict[str, Any] = {"a": of(recent), "b": of(names), "new": new, "k": self.count}
        filling |= {"s": of(("s", "0.3", "x.sum()")), "i": of(INDICES), "n": of(SHAPED)}
        filling |= {"t": of(TARGETS).format(a=filling["a"]), "body": of(BODIES), "also": of(BODIES)}
        if kind is COMPOUND:
            filling |= {"write": of(WRITES).format(**filling), "other": of(WRITES).format(**filling)}
        text = of(kind).format(**filling)
        return f"{new} = {text}" if kind is VIEWS or kind is EXPRESSIONS else text

    def add(self, choice: Iterator[int]) -> None:
        """Add a statement, if NumPy accepts it."""
        text = self.statement(choice)
        before = copy.deepcopy({k: v for k, v in self.world.items() if k in "xyps" or k in self.made()})
        try:
            with np.errstate(all="ignore"):
                exec(text, self.world)
        except Exception:
            for name in self.made():
                del self.world[name]
            self.world.update(before)  # one deep copy: what was shared is shared
            return
        self.count += 1
        self.lines += text.split("\n")

    def source(self) -> str:
        """The program so far."""
        kept = [n for n in self.made() if isinstance(self.world[n], (np.ndarray, np.generic, float))]
        kept = [n for n in kept if not isinstance(self.world[n], np.ndarray) or self.world[n].size < 200]
        body = [*self.lines, f"return x, y, p, {', '.join(kept)}"]
        return "def f(x, y, p, s):\n" + "".join(f"    {line}\n" for line in body)


def program(given: tuple[tuple[Argument, ...], Tape]) -> Case:
    """The program that a tape of choices means."""
    spec, tape = given
    x, y, w, b = spec
    if y.same and not x.shape:
        y = Argument((3,))
    made = Case("", x, y, w, b)
    writer = Writer(arguments(made))
    for choices in tape:
        writer.add(iter((*choices, *choices)))
    return Case(writer.source(), x, y, w, b)


arrays = st.builds(Argument, st.sampled_from(SHAPES), st.sampled_from(DTYPES), st.sampled_from(LAYOUTS))
second = st.one_of(arrays, arrays, arrays, st.builds(Argument, st.just(()), same=st.sampled_from(("same", "backward"))))
choices = st.tuples(*[st.integers(0, 2**12)] * 10)
cases = st.tuples(st.tuples(arrays, second, arrays, arrays), st.lists(choices, min_size=1, max_size=9)).map(program)

# ---- judging -----------------------------------------------------------------------------------------------------


def function(case: Case, module: Any) -> Any:
    """The program, with structured operations from a module."""
    world: dict[str, Any] = {"np": np, "cr": module}
    exec(PRELUDE + case.source, world)
    return world["f"]


def leaves(tree: Any) -> list[Any]:
    """What stands in a tree, in order."""
    if isinstance(tree, dict):
        return [v for part in tree.values() for v in leaves(part)]
    if isinstance(tree, (list, tuple)):
        return [v for part in tree for v in leaves(part)]
    return [tree]


def alike(mine: Any, numpys: Any, what: str, single: bool) -> None:
    """Equal values and dtypes, leaf by leaf; in single precision, to fewer digits."""
    a, b = leaves(mine), leaves(numpys)
    if len(a) != len(b):
        raise Wrong(f"{what}: {len(a)} results instead of {len(b)}")
    for k, (m, n) in enumerate(zip(a, b, strict=True)):
        m, n = np.asarray(m), np.asarray(n)
        if m.shape != n.shape or m.dtype != n.dtype:
            raise Wrong(f"{what}, result {k}: {m.dtype}{m.shape} instead of {n.dtype}{n.shape}")
        if not np.allclose(m, n, 1e-4 if single else 1e-9, 1e-5 if single else 1e-9, equal_nan=True):
            raise Wrong(f"{what}, result {k}: {m} instead of {n}")


def weighted(outputs: Any) -> tuple[float, list[Any]]:
    """A number made of all results, and the cotangents that belong to it."""
    total, cotangents = 0.0, []
    for k, out in enumerate(leaves(outputs)):
        out = np.asarray(out)
        weight = np.cos(np.arange(out.size) * 1.7 + k).reshape(out.shape)
        if out.dtype.kind == "c":
            weight = weight * (1 + 0.5j)
        if out.dtype.kind in "fc":
            total += float(np.sum(weight * out).real)
        cotangents.append(weight.astype(out.dtype) if out.dtype.kind in "fc" else np.zeros(out.shape, out.dtype))
    return total, cotangents


def rebuilt(tree: Any, parts: Iterator[Any]) -> Any:
    """The tree with other leaves."""
    return _mapped(lambda _: next(parts), tree)


def steep(case: Case, direction: list[np.ndarray], h: float) -> float:
    """The difference quotient of the program, in plain NumPy."""
    f = function(case, PYTHON)
    ends = [weighted(f(*arguments(case, [t * h * d for d in direction])))[0] for t in (1, -1)]
    return (ends[0] - ends[1]) / (2 * h)


def judge(case: Case) -> str:
    """See the module."""
    with np.errstate(all="ignore"):
        return _judged(case)


def _judged(case: Case) -> str:
    given = arguments(case)
    try:
        expected = own(function(case, PYTHON)(*given))
    except Exception:  # only while hypothesis shrinks
        return AGREED
    f = function(case, cr)
    args = arguments(case)
    before = own(args)
    try:
        out, pull = cr.vjp(f, *args)
        alike(out, expected, "value", case.single)
    except cr.ChainruleError as error:
        return refused(error)
    alike(args, before, "arguments under vjp", case.single)
    chosen = zlib.crc32(case.source.encode())
    _derivatives(case, f, out, pull)
    for k, (mode, part) in enumerate(((_jitted, 3), (_large, 6), (_batched, 4), (_nested, 9), (_plain, 3))):
        if chosen // (7 + 2 * k) % part == 0:
            try:
                mode(case, f, expected, given)
            except cr.ChainruleError:
                continue  # a refusal that the others have not
    return AGREED


def _plain(case: Case, f: Any, expected: Any, after: list[Any]) -> None:
    """Called as it is, the structured operations mean what Python means."""
    args = arguments(case)
    alike(f(*args), expected, "plain call", case.single)
    alike(args, after, "arguments after a plain call", case.single)


def _derivatives(case: Case, f: Any, out: Any, pull: Any) -> None:
    """Reverse mode, forward mode and differences along one direction."""
    _, cotangents = weighted(out)
    args = arguments(case)
    direction = [numbers(10 + k, np.shape(a), str(a.dtype)) for k, a in enumerate(leaves(args)[:4])]
    if case.y.same:
        direction[1] = direction[0] if case.y.same == "same" else direction[0][::-1]
    gradients = leaves(list(pull(rebuilt(out, iter(cotangents)))))
    reverse = sum(float(np.sum(g * d).real) for g, d in zip(gradients, direction, strict=False))
    try:
        tangents = cr.jvp(f, args, rebuilt(args, iter([*direction, 0.0])))[1]
    except cr.ChainruleError as error:
        if case.y.same:
            return
        raise Wrong(f"forward mode refuses what reverse mode does: {error}") from error
    forward = sum(float(np.sum(c * t).real) for c, t in zip(cotangents, leaves(tangents), strict=True))
    if not np.isfinite(reverse) or abs(reverse) > 1e6:
        return
    if case.single:
        if abs(reverse - forward) > 1e-3 * (1 + abs(forward)):
            raise Wrong(f"reverse mode {reverse}, forward mode {forward}")
        return
    if abs(reverse - forward) > 1e-8 * (1 + abs(forward)):
        raise Wrong(f"reverse mode {reverse}, forward mode {forward}")
    slopes = [steep(case, direction, h) for h in (1e-4, 5e-5)]
    best = (4 * slopes[1] - slopes[0]) / 3
    if abs(slopes[0] - slopes[1]) > 1e-5 * (1 + abs(best)):
        return  # near a kink
    if abs(best - reverse) > 1e-5 * (1 + abs(best)):
        slopes = [steep(case, direction, h) for h in (1e-6, 1e-5)]
        if any(abs(s - reverse) < 1e-4 * (1 + abs(s)) for s in slopes):
            return  # a jump or a kink between the two
        raise Wrong(f"reverse mode {reverse}, differences {best}")


def _jitted(case: Case, f: Any, expected: Any, after: list[Any]) -> None:
    args = arguments(case)
    g = cr.jit(f, backend="native" if zlib.crc32(case.source.encode()) % 16 == 0 else "numpy")
    alike(g(*args), expected, "jit", case.single)
    alike(args, after, "arguments after jit", case.single)
    args = arguments(case)
    alike(g(*args), expected, "jit, called again", case.single)
    alike(args, after, "arguments after jit, called again", case.single)


def _large(case: Case, f: Any, expected: Any, after: list[Any]) -> None:
    """Compiled as for arrays so large that their values are not computed while tracing."""
    before, deferred.LARGE = deferred.LARGE, 2
    try:
        _jitted(case, f, expected, after)
    finally:
        deferred.LARGE = before


def _nested(case: Case, f: Any, expected: Any, after: list[Any]) -> None:
    """Gradients of a batch: of every example, and of their sum, against one example after another."""
    if case.y.same or any(a.dtype != "float64" for a in (case.x, case.y, case.w, case.b)) or "j *" in case.source:
        return

    def value(x: Any, y: Any, p: Any, s: Any) -> Any:
        total = 0.0
        for k, out in enumerate(leaves(f(x, y, p, s))):
            if out.dtype.kind == "f":
                total = total + np.sum(out * np.cos(np.arange(np.size(out)) * 1.7 + k).reshape(np.shape(out)))
        return total

    steps = [[0.01 * k * numbers(30, np.shape(a), "float64") for a in leaves(arguments(case))[:4]] for k in range(3)]
    examples = [own(arguments(case, step)) for step in steps]  # a batch gives every example in C order
    try:
        function(case, PYTHON)(*own(examples[0]))
    except Exception:  # without axes, an example is a scalar
        return
    batch = rebuilt(examples[0], iter([np.stack(parts) for parts in zip(*map(leaves, examples), strict=True)]))
    each = np.stack([cr.grad(value)(*own(e)) for e in examples])
    alike(cr.vmap(cr.grad(value))(*batch), each, "gradients of a batch", case.single)
    alike(cr.grad(lambda x: np.sum(cr.vmap(value)(x, *batch[1:])))(batch[0]), each, "gradient of a batch", case.single)
    alike(
        cr.jit(cr.grad(value), backend="numpy")(*_mapped(lambda v: v.copy(), examples[0])),
        each[0],
        "compiled gradient",
        case.single,
    )


def _batched(case: Case, f: Any, expected: Any, after: list[Any]) -> None:
    """Three examples that differ a little, so that branches mostly go the same way."""
    direction = [numbers(20 + k, np.shape(a), str(a.dtype)) for k, a in enumerate(leaves(arguments(case))[:4])]
    given = [arguments(case, [0.01 * k * d for d in direction]) for k in range(3)]
    if case.y.same:
        return
    batches = []
    for parts in zip(*map(leaves, given), strict=True):
        one = np.asarray(parts[0])
        room = np.stack([copied(one).ravel(order="K")] * 3)  # every example has the layout of the argument
        batch = np.ndarray((3, *one.shape), one.dtype, room, strides=(room.strides[0], *_dense(one)))
        batch[...] = np.stack(parts)
        batches.append(batch)
    try:
        each = [function(case, PYTHON)(*own(_example(given[0], batches, k))) for k in range(3)]
    except Exception:
        return
    if len({tuple(np.shape(x) for x in leaves(e)) for e in each}) > 1:
        return
    out = cr.vmap(f)(*rebuilt(given[0], iter(batches)))
    alike(out, [np.stack(parts) for parts in zip(*map(leaves, each), strict=True)], "vmap", case.single)


def _dense(x: np.ndarray) -> tuple[int, ...]:
    return np.empty_like(x, order="K").strides


def _example(tree: Any, batches: list[np.ndarray], k: int) -> Any:
    return rebuilt(tree, iter([b[k] for b in batches]))
