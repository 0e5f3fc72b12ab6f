"""What one entry of a loop computes: loads, constants and operations, shared where equal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.node import Node, Spec
from ...ir.optimize import uniform
from .gather import gathered
from .index import Affine, Index, broadcast, flat_index, moves, offset, source_index, strides_of
from .steps import Unsupported

if TYPE_CHECKING:
    from .plan import Planner
    from .steps import Buffer, LoopStep

# What every elementwise operation costs, about, in additions. An operation that is not here is not known.
COST: dict[str, int] = {
    **dict.fromkeys(["add", "subtract", "multiply", "negative", "positive", "alias", "stop_gradient", "cast", "square", "maximum", "minimum", "relu", "outer"], 1),
    **dict.fromkeys(["greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "where", "abs", "sign", "copysign", "signbit"], 1),
    **dict.fromkeys(["logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite", "indicator", "fmax", "fmin"], 1),
    **dict.fromkeys(["floor", "ceil", "rint", "trunc", "heaviside", "rect", "leaky_relu", "tril", "triu", "getitem", "deg2rad", "rad2deg"], 2),
    **dict.fromkeys(["divide", "reciprocal", "sqrt", "floor_divide", "remainder"], 4),
    **dict.fromkeys(["exp", "log", "expm1", "log1p", "tanh", "sigmoid", "exp2", "log2", "log10", "log_at_least"], 20),
    **dict.fromkeys(["softplus", "log_sigmoid", "logaddexp", "sin", "cos", "tan", "power", "cbrt", "hypot", "erf", "erfc"], 40),
    **dict.fromkeys(["arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arccosh", "arctanh", "arctan2", "gammaln"], 40),
}  # fmt: skip


TRUTHS = ("logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite", "signbit")
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
IN_STEPS = ("sigmoid", "softplus", "log_sigmoid", "log_at_least", "rect")  # NumPy's steps round integers on the way


def known(n: Node) -> bool:
    """Whether native code has the operation, entry by entry."""
    return n.op.name in COST


class Expr:
    """One value: `kind` is load, const, index, gather, or the name of an operation."""

    __slots__ = ("args", "data", "dtype", "kind")

    def __init__(self, kind: str, dtype: str, args: tuple[Expr, ...] = (), data: Any = None) -> None:
        self.kind, self.dtype, self.args, self.data = kind, dtype, args, data


class Builder:
    """Expressions for the writes of one loop. What the loop itself is `writing` is computed, not loaded."""

    def __init__(self, planner: Planner, writing: set[Any]) -> None:
        self.planner, self.writing = planner, writing
        self.made: dict[Any, Expr] = {}
        self.order: list[Expr] = []

    def _shared(self, kind: str, dtype: str, args: tuple[Expr, ...] = (), data: Any = None, key: Any = None) -> Expr:
        full = (kind, dtype, tuple(map(id, args)), repr(data) if key is None else key)
        if full not in self.made:
            self.made[full] = Expr(kind, dtype, args, data)
            self.order.append(self.made[full])
        return self.made[full]

    def constant(self, value: Any, dtype: str) -> Expr:
        """A number in a dtype."""
        try:
            number = (
                np.asarray(value).astype(dtype).item()
                if np.dtype(dtype).kind == "f"
                else np.dtype(dtype).type(value).item()
            )
        except OverflowError:
            raise Unsupported(f"{value} as {dtype}") from None
        return self._shared("const", dtype, data=number, key=repr(number))

    def load(self, b: Buffer, address: Affine) -> Expr:
        """The entry of a buffer at an address."""
        return self._shared("load", b.dtype.name, data=(b, address), key=(b.number, address))

    def cast(self, e: Expr, dtype: str) -> Expr:
        """The value in another dtype."""
        if e.dtype == dtype:
            return e
        if e.kind == "const":
            return self.constant(e.data, dtype)
        return self._shared("cast", dtype, (e,))

    def value(self, n: Any, index: Index) -> Expr:
        """The entry of a node, or of a constant, at an index."""
        if type(n) is not Node:
            return self._constant(n, index)
        root = (n, index)
        known_ = self.made.get(("node", root))
        if known_ is not None:
            return known_
        # depth first without recursion: `visit` yields what it needs
        stack = [self._visit(n, index)]
        sent: Any = None
        while stack:
            try:
                need = stack[-1].send(sent)
                found = self.made.get(("node", need)) if type(need[0]) is Node else self._constant(*need)
                if found is None:
                    stack.append(self._visit(*need))
                    sent = None
                else:
                    sent = found
            except StopIteration as done:
                stack.pop()
                sent = done.value
        return self.made[("node", root)]

    def _constant(self, x: Any, index: Index) -> Expr:
        number = uniform(x)
        spec = Spec.of(x)
        if number is not None:
            return self.constant(number, spec.dtype.name)
        b = self.planner.buffer(x)
        return self.load(b, offset(broadcast(index, b.shape), strides_of(b.shape)))

    def _visit(self, n: Node, index: Index) -> Any:
        made = yield from self._made(n, index)
        self.made[("node", (n, index))] = made
        return made

    def _made(self, n: Node, index: Index) -> Any:
        p = self.planner
        if (n in p.home or n in p.stored) and n not in self.writing:
            b = p.buffer(n)
            return self.load(b, offset(index, strides_of(b.shape)))
        made = yield from self._operation(n, index)
        return made

    def _operation(self, n: Node, index: Index) -> Any:
        name = n.op.name
        dtype = Spec.of(n.value).dtype.name
        if moves(n):
            source = n.inputs[0]
            given = source.shape if type(source) is Node else np.shape(source)
            at = source_index(n, index, given)
            if at is None:
                b = self.planner.buffer(source)
                return self.load(b, flat_index(index, n.shape))
            made = yield (source, at)
            return made
        if name == "getitem":
            made = yield from self._gather(n, index)
            return made
        if name == "outer":
            a = yield (n.inputs[0], (index[0],))
            b = yield (n.inputs[1], (index[1],))
            return self._shared("multiply", dtype, (self.cast(a, dtype), self.cast(b, dtype)))
        args: list[Expr] = []
        for i in n.inputs:
            shape = i.shape if type(i) is Node else np.shape(i)
            e = yield (i, broadcast(index, shape))
            args.append(e)
        if name in ("tril", "triu"):
            row, column = (self._shared("index", "int64", data=i) for i in index[-2:])
            limit = self._shared("add", "int64", (row, self.constant(n.params.get("k", 0), "int64")))
            keep = self._shared("less_equal" if name == "tril" else "greater_equal", "bool", (column, limit))
            return self._shared("where", dtype, (keep, args[0], self.constant(0, dtype)))
        return self.operation(n, args, dtype)

    def operation(self, n: Node, args: list[Expr], dtype: str) -> Expr:
        """The expression of an elementwise node on its arguments."""
        name = n.op.name
        specs = [Spec.of(v) for v in n.values]
        if name in (*TRUTHS, *COMPARISONS) and dtype != "bool":
            raise Unsupported(f"{name} that gives {dtype}")
        if name in IN_STEPS and any(s.dtype.name != dtype for s in specs):
            raise Unsupported(f"{name} of {specs[0].dtype}")
        if name in ("alias", "stop_gradient", "positive", "cast"):
            return self.cast(args[0], dtype)
        if name in COMPARISONS:
            together = _together(specs).name
            return self._shared(name, "bool", tuple(self.cast(a, together) for a in args))
        if name in ("isnan", "isinf", "isfinite", "signbit"):
            return self._shared(name, "bool", tuple(args))
        if name == "where":
            return self._shared(name, dtype, (self.cast(args[0], "bool"), *(self.cast(a, dtype) for a in args[1:])))
        if name == "indicator":
            return self.cast(self.cast(args[0], "bool"), dtype)
        if name.startswith("logical_"):
            return self._shared(name, "bool", tuple(self.cast(a, "bool") for a in args))
        if name == "power":
            return self._power(n, args, dtype)
        if name == "leaky_relu":
            x = self.cast(args[0], dtype)
            positive = self._shared("greater", "bool", (x, self.constant(0, dtype)))
            scaled = self._shared("multiply", dtype, (x, self.constant(n.params.get("slope", 0.01), dtype)))
            return self._shared("where", dtype, (positive, x, scaled))
        extra = (self.constant(n.params.get("low", -100.0), dtype),) if name == "log_at_least" else ()
        return self._shared(name, dtype, (*(self.cast(a, dtype) for a in args), *extra))

    def _power(self, n: Node, args: list[Expr], dtype: str) -> Expr:
        base = self.cast(args[0], dtype)
        number = args[1].data if args[1].kind == "const" else None
        if (
            number is not None
            and float(number).is_integer()
            and 1 <= abs(number) <= 8
            and dtype.startswith(("float", "int"))
        ):
            if number < 0 and dtype.startswith("int"):
                return self._shared("power", dtype, (base, self.cast(args[1], dtype)))
            whole, square, k = None, base, int(abs(number))
            while k:
                if k & 1:
                    whole = square if whole is None else self._shared("multiply", dtype, (whole, square))
                k >>= 1
                if k:
                    square = self._shared("multiply", dtype, (square, square))
            assert whole is not None
            return whole if number > 0 else self._shared("divide", dtype, (self.constant(1, dtype), whole))
        if number == 0.5 and dtype.startswith("float"):
            return self._shared("sqrt", dtype, (base,))
        return self._shared("power", dtype, (base, self.cast(args[1], dtype)))

    def _gather(self, n: Node, index: Index) -> Any:
        source = n.inputs[0]
        b = self.planner.buffer(source)
        start, at = gathered(n.params["index"], n.inputs[1:], index, b.shape)
        places: list[Expr] = []
        for array, inner, _, _ in at:
            e = yield (array, inner)
            places.append(self.cast(e, "int64"))
        key = (b.number, start, tuple((length, stride) for _, _, length, stride in at))
        return self._shared(
            "gather",
            b.dtype.name,
            tuple(places),
            (b, start, [(length, stride) for _, _, length, stride in at]),
            key=key,
        )


def _together(specs: list[Spec]) -> np.dtype[Any]:
    """The dtype in which NumPy compares these."""
    strong = [s.dtype for s in specs if not s.weak]
    weak = [s.dtype for s in specs if s.weak]
    if not strong:
        return np.result_type(*weak)
    dtype = np.result_type(*strong)
    for w in weak:
        if w.kind == "f" and dtype.kind in "iub":
            dtype = np.dtype(np.float64)
        elif w.kind == "i" and dtype.kind == "b":
            dtype = np.dtype(np.int64)
    return dtype


class Nest:
    """The loops of one step, after neighbours have been merged: lengths, and expressions with their addresses rewritten."""

    def __init__(self, planner: Planner, step: LoopStep) -> None:
        own = {w.node for w in step.writes if type(w.node) is Node and planner.home.get(w.node) is w.buffer}
        build = Builder(planner, own)
        self.results: list[tuple[Expr, Buffer, Affine, str, list[tuple[Expr, int, int]]]] = []
        for w in step.writes:
            if isinstance(w.node, tuple):
                x, reduction = w.node
                e = build.value(x, step.index)
                e = build.cast(e, Spec.of(reduction.value).dtype.name)
            else:
                shape = w.node.shape if type(w.node) is Node else np.shape(w.node)
                e = build.cast(build.value(w.node, broadcast(step.index, shape)), w.buffer.dtype.name)
            at = [(build.cast(build.value(a, i), "int64"), length, stride) for a, i, length, stride in w.at or ()]
            self.results.append((e, w.buffer, w.address, w.mode, at))
        self.order = build.order
        self._merge(step.shape)

    def _addresses(self) -> list[Affine]:
        found = [address for _, _, address, _, _ in self.results]
        for e in self.order:
            if e.kind in ("load", "gather"):
                found.append(e.data[1])
            elif e.kind == "index":
                found.append(e.data)
        return found

    def _merge(self, shape: tuple[int, ...]) -> None:
        """Merge neighbouring loops that every address steps through as if they were one."""
        variables = [k for k, n in enumerate(shape) if n != 1]
        addresses = self._addresses()
        groups: list[list[int]] = []
        for k in variables:
            n = shape[k]
            if groups and all(a.coefficient(groups[-1][-1]) == a.coefficient(k) * n for a in addresses):
                groups[-1].append(k)
            else:
                groups.append([k])
        self.lengths = [math.prod(shape[k] for k in g) for g in groups]
        new = {g[-1]: i for i, g in enumerate(groups)}

        def rewritten(a: Affine) -> Affine:
            return Affine(a.constant, tuple((new[v], c) for v, c in a.terms if v in new))

        self.results = [(e, b, rewritten(a), mode, at) for e, b, a, mode, at in self.results]
        for e in self.order:
            if e.kind in ("load", "gather"):
                e.data = (e.data[0], rewritten(e.data[1]), *e.data[2:])
            elif e.kind == "index":
                e.data = rewritten(e.data)
        self.empty = any(n == 0 for n in shape)

    def buffers(self) -> list[Buffer]:
        """All memory that the nest touches, each once, in order of number."""
        found = {b.number: b for _, b, _, _, _ in self.results}
        for e in self.order:
            if e.kind in ("load", "gather"):
                found[e.data[0].number] = e.data[0]
        return [found[k] for k in sorted(found)]

    def work(self) -> int:
        """About how many operations the whole nest does."""
        return math.prod(self.lengths) * sum(COST.get(e.kind, 1) for e in self.order)

    def parallel(self) -> bool:
        """Whether threads may share the outermost loop: what they all add to must be small, and no address read from arrays."""
        for _, b, address, mode, at in self.results:
            if at:
                return False
            if not address.coefficient(0) and (mode == "store" or b.bytes > 1 << 14):
                return False
            if mode != "store" and address.coefficient(0) and _overlaps(address):
                return False
        return bool(self.lengths) and self.lengths[0] > 1


def _overlaps(address: Affine) -> bool:
    """Whether two values of the outermost variable may reach the same place: windows that overlap."""
    own = abs(address.coefficient(0))
    return any(abs(c) >= own for v, c in address.terms if v != 0)
