"""The coverage table: a row for each operation, a column for each part that works with operations, found by trying."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..compile.jit import jit
from ..diff.batching import vmap
from ..diff.checkpointing import checkpoint
from ..diff.control_flow import cond, scan, while_loop
from ..diff.custom import custom_vjp
from ..diff.transforms import jvp, vjp
from ..errors import ChainruleError, InputError
from ..ir.op import REGISTRY, Op
from ..ops import by_name, custom, loops, structured
from ..ops.kinds import Composite, Elementwise, Operation
from ..ops.primitive import Primitive
from ..ops.unknown import shown_as
from ..symbolic.algebra.index_notation import STRUCTURAL
from ..symbolic.algebra.meaning import SHOWN
from ..trace.handles import dtype_of
from ..trace.vocabulary import closest
from .explain import code

YES, BY_NUMPY, NOTHING = "yes", "by NumPy", "nothing flows"


@custom_vjp
def _cube(x: Any) -> Any:
    return x**3


_cube.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * x**2 * ct,))

USES: dict[Op, Callable[[Any], Any]] = {  # for operations that no declaration gives examples of
    loops.scan: lambda x: scan(lambda c, u: (c * u, c + u), x[0], x)[1],
    loops.while_loop: lambda x: while_loop(lambda c: np.sum(c) < 100, lambda c: 2 * c, x),
    loops.switch: lambda x: cond(np.sum(x) > 0, np.sin, np.cos, x),
    structured.call: checkpoint(np.sin),
    structured.pick: lambda x: checkpoint(lambda y: (np.sin(y), np.cos(y)))(x)[1],
    custom.custom: _cube,
}


@dataclass(frozen=True)
class Use:
    """An operation as a function of the inputs that a derivative can be taken by, and values for these.

    Attributes:
        flows: whether a derivative flows through it.
    """

    op: Op
    f: Callable[..., Any]
    xs: Sequence[Any]
    flows: bool

    @classmethod
    def of(cls, op: Op) -> Use:
        """The operation on the first of its examples."""
        if op in USES:
            return cls(op, USES[op], [np.array([0.5, 1.5, 2.0])], True)
        if not isinstance(op, Operation):
            raise InputError(f"{op.name} is not called: it stands for a value", "name an operation")
        shapes, params = op.examples[0] if op.examples else ([(3,)] * _arity(op), {})
        given = [_point(op, k, s) for k, s in enumerate(shapes)]
        free = [k for k, x in enumerate(given) if op.flows(k) and dtype_of(x).kind == "f"]
        moving = free or [k for k, s in enumerate(shapes) if not isinstance(s, np.ndarray)]

        def f(*xs: Any) -> Any:
            args = list(given)
            for k, x in zip(moving, xs, strict=True):
                args[k] = x
            return joined(op.results(*args, **params)) if isinstance(op, Primitive) else op(*args, **params)

        value = f(*[given[k] for k in moving])
        return cls(op, f, [given[k] for k in moving], bool(free) and dtype_of(value).kind in "fc")


def joined(results: Sequence[Any]) -> Any:
    """Several results as one array of real numbers, one alone as it is."""
    if len(results) == 1:
        return results[0]
    parts = [p for r in results for p in ([np.real(r), np.imag(r)] if dtype_of(r).kind == "c" else [r])]
    return np.concatenate([np.ravel(p) for p in parts])


def _arity(op: Operation) -> int:
    if isinstance(op, Elementwise):
        return len(op.partials)
    count: Any = getattr(op, "inputs", None)
    return count or 1


def _point(op: Op, k: int, shape: Any) -> Any:
    """A value for input k, in the domain; what is given as an array is taken as it is."""
    if isinstance(shape, np.ndarray):
        return shape
    types: Sequence[str] = getattr(op.numpy[0], "types", ()) if op.numpy else ()
    rng = np.random.default_rng(k)
    if types and not any("d" in t for t in types):  # of integers only
        return rng.integers(1, 9, shape)
    low, high = op.domain[min(k, len(op.domain) - 1)] if op.domain else (0.2 + k, 1.2 + k)
    return rng.uniform(low, high, shape)


# ---- the columns: each does something with the operation, and raises an error that says why it cannot -----------------


def _value(use: Use) -> str:
    use.f(*use.xs)
    return YES


def _gradients(use: Use) -> Callable[..., tuple[Any, ...]]:
    def gradients(*xs: Any) -> tuple[Any, ...]:
        out, back = vjp(use.f, *xs)
        return back(np.ones(np.shape(out), dtype_of(out)))

    return gradients


def _flowing(column: Callable[[Use], str]) -> Callable[[Use], str]:
    """Of what has a derivative."""
    return lambda use: column(use) if use.flows else NOTHING


@_flowing
def _reverse(use: Use) -> str:
    _gradients(use)(*use.xs)
    return YES


@_flowing
def _forward(use: Use) -> str:
    jvp(use.f, list(use.xs), [np.ones(np.shape(x)) for x in use.xs])
    return YES


@_flowing
def _second(use: Use) -> str:
    vjp(lambda *xs: sum(np.sum(g) for g in _gradients(use)(*xs)), *use.xs)[1](1.0)
    return YES


def _vmap(use: Use) -> str:
    vmap(use.f)(*(np.stack([x, x]) for x in use.xs))
    return "one by one" if use.op.batch == "one by one" else YES


@_flowing
def _sparsity(use: Use) -> str:
    op = use.op
    return YES if op.entrywise or op.moves or op.pattern else "by its body" if isinstance(op, Composite) else "dense"


def _native(use: Use) -> str:
    compiled = jit(lambda *xs: np.sum(use.f(*xs)))
    compiled(*use.xs)
    said = compiled.schedule()
    return BY_NUMPY if "by NumPy" in said or "no native code" in said else YES


def _printed(lang: str) -> Callable[[Use], str]:
    def column(use: Use) -> str:
        if all(dtype_of(x).kind != "f" for x in use.xs):
            return "integers are constants of a program"
        write = functools.partial(
            code, lambda z, *xs: z * np.sum(use.f(*xs)), 2.0, *use.xs, wrt="z", lang=lang.split()[-1].lower()
        )
        try:
            program = write()
            if lang == "Python":
                program.function(2.0, *use.xs)
        except InputError:
            if use.op.body is None:
                return "no loops" if isinstance(use.op, loops.Loop) else f"no form in {lang}"
            write(open=use.op.name)
            return "by its body"
        return YES

    return column


def _latex(use: Use) -> str:
    return YES if use.op.latex else "by its name"


def _meaning(use: Use) -> str:
    op = use.op
    if op in SHOWN:
        return YES
    if {op.name, op.word, *op.aliases} & STRUCTURAL.keys():
        return "of arrays"
    if isinstance(op, Elementwise):
        return "by its partials"
    return "by its body" if op.body is not None else "of programs only"


def _tests(use: Use) -> str:
    return "from its declaration" if use.op not in USES else "written by hand"


COLUMNS: dict[str, Callable[[Use], str]] = {
    "value": _value,
    "reverse": _reverse,
    "forward": _forward,
    "second order": _second,
    "vmap": _vmap,
    "sparsity": _sparsity,
    "native": _native,
    "C": _printed("C"),
    "torch": _printed("torch"),
    "jax": _printed("jax"),
    "printed NumPy": _printed("Python"),
    "LaTeX": _latex,
    "meaning": _meaning,
    "tests": _tests,
}


def covered() -> list[Op]:
    """The operations of the table, in the order of their declaration."""
    return [op for op in REGISTRY.values() if isinstance(op, Operation) and shown_as(op) is None]


def named(name: str) -> Op:
    """The operation of that name, or that formulas call so.

    Raises:
        InputError: there is none.
    """
    op = REGISTRY.get(name) or by_name(name)
    if op is None:
        raise InputError(f"there is no operation {name!r}", closest(name), where="")
    return op


@functools.cache
def coverage(op: Op) -> dict[str, str]:
    """What each part makes of an operation: "yes", how it is done instead, or why it is not."""
    use = Use.of(op)
    with np.errstate(all="ignore"):
        return {name: _cell(column, use) for name, column in COLUMNS.items()}


def _cell(column: Callable[[Use], str], use: Use) -> str:
    try:
        return column(use)
    except ChainruleError as error:
        return error.what.splitlines()[0]


def page() -> str:
    """The table of all operations, as Markdown."""
    head = ["operation", *COLUMNS]
    rows = [[f"`{op.name}`", *coverage(op).values()] for op in covered()]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([*PREFACE, "", *(f"| {' | '.join(r)} |" for r in lines), ""])


PREFACE = [
    "# Operations",
    "",
    "What each part does with each operation, found by trying; `chainrule ops NAME` says it of one. This page is written by",
    "`chainrule ops --output docs/operations.md`, and a test fails where it is stale.",
]


def described(op: Op) -> str:
    """One operation: what it is, what is declared of it, and its row of the table, as text."""
    facts = {
        "kind": type(op).__name__.lower(),
        "in formulas": ", ".join((op.name, *op.aliases)) if op.public else "",
        "of NumPy": ", ".join(f"np.{f.__name__}" for f in op.numpy),
        "domain": " x ".join(f"[{a:g}, {b:g}]" for a, b in op.domain or ()),
        "range": f"[{op.range[0]:g}, {op.range[1]:g}]" if op.range != (-np.inf, np.inf) else "",
        "zero where": f"x {op.zero}" if op.zero else "",
        "on a batch": op.batch if isinstance(op.batch, str) else "by a rule of its own",
    } | coverage(op)
    width = max(map(len, facts))
    return "\n".join([op.name, op.__doc__ or "", "", *(f"{k:<{width}}  {v}" for k, v in facts.items() if v)])
