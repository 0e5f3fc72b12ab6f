"""What an elementwise operation is, entry by entry: expressions over loads and constants, shared where equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ...ir.node import Node, Spec
from ...ir.op import Op
from ...ops import arithmetic as ar
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import shape as sh
from ...ops import special as sp
from ...ops import trigonometric as tr
from ...ops.conversion import cast
from ...ops.indexing import getitem
from ...ops.kinds import Elementwise
from ...ops.linalg import outer
from .index import Affine
from .memory import Buffer, Unsupported

TESTS = (pw.isnan, pw.isinf, pw.isfinite, pw.signbit)
LOGICAL = (pw.logical_and, pw.logical_or, pw.logical_xor, pw.logical_not)
TRUTHS = (*TESTS, *LOGICAL)
COMPARISONS = (pw.greater, pw.greater_equal, pw.less, pw.less_equal, pw.equal, pw.not_equal)
IN_STEPS = (
    ex.sigmoid,
    ex.softplus,
    ex.log_sigmoid,
    ex.log_at_least,
    pw.rect,
)  # NumPy's steps round integers on the way
Kind = Op | str
Row = TypeVar("Row")
# What every elementwise operation costs, about, in additions. An operation that is not here is not known.
COST: dict[Kind, int] = {
    **dict.fromkeys([ar.add, ar.subtract, ar.multiply, ar.negative, ar.positive, ar.alias, ar.stop_gradient, cast, ex.square, pw.where, outer], 1),
    **dict.fromkeys([pw.maximum, pw.minimum, pw.fmax, pw.fmin, pw.relu, pw.absolute, pw.sign, pw.copysign, pw.indicator, *TRUTHS, *COMPARISONS], 1),
    **dict.fromkeys([pw.floor, pw.ceil, pw.rint, pw.trunc, pw.heaviside, pw.rect, pw.leaky_relu, tr.deg2rad, tr.rad2deg, sh.tril, sh.triu, getitem], 2),
    **dict.fromkeys([ar.divide, ar.reciprocal, ex.sqrt, ar.floor_divide, ar.remainder], 4),
    **dict.fromkeys([ex.exp, ex.log, ex.expm1, ex.log1p, tr.tanh, ex.sigmoid, ex.exp2, ex.log2, ex.log10, ex.log_at_least], 20),
    **dict.fromkeys([ex.softplus, ex.log_sigmoid, ex.logaddexp, ex.power, ex.cbrt, tr.hypot, sp.erf, sp.erfc, sp.gammaln, tr.sin, tr.cos, tr.tan], 40),
    **dict.fromkeys([tr.arcsin, tr.arccos, tr.arctan, tr.sinh, tr.cosh, tr.arcsinh, tr.arccosh, tr.arctanh, tr.arctan2], 40),
}  # fmt: skip
LIBRARY: dict[Elementwise, str] = {  # what the C library calls them
    ex.exp: "exp", ex.expm1: "expm1", ex.exp2: "exp2", ex.log: "log", ex.log1p: "log1p", ex.log2: "log2", ex.log10: "log10",
    tr.sin: "sin", tr.cos: "cos", tr.tan: "tan", tr.arcsin: "asin", tr.arccos: "acos", tr.arctan: "atan", tr.arctan2: "atan2",
    tr.sinh: "sinh", tr.cosh: "cosh", tr.tanh: "tanh", tr.arcsinh: "asinh", tr.arccosh: "acosh", tr.arctanh: "atanh",
    ex.sqrt: "sqrt", ex.cbrt: "cbrt", tr.hypot: "hypot", ex.power: "pow", pw.absolute: "fabs", pw.copysign: "copysign",
    pw.floor: "floor", pw.ceil: "ceil", pw.rint: "rint", pw.trunc: "trunc", pw.fmax: "fmax", pw.fmin: "fmin",
    sp.erf: "erf", sp.erfc: "erfc", sp.gammaln: "lgamma",
}  # fmt: skip


COLUMNS = {"f": 0, "i": 1, "b": 2, "u": 3}  # floats, integers, booleans and unsigned integers, by the kind of a dtype


def found(table: Mapping[Kind, Sequence[Row | None]], op: Kind, dtype: str) -> Row:
    """What a language's table has of an operation on arguments of a dtype; empty, None or left out is what it does not have.

    Raises:
        Unsupported: it does not have it.
    """
    entry = (*table.get(op, ()), *[None] * len(COLUMNS))[COLUMNS[np.dtype(dtype).kind]]
    if not entry:
        raise Unsupported(f"{op.name if isinstance(op, Op) else op} of {dtype}")
    return entry


class Expr:
    """One value: `kind` is load, const, index, gather, or an operation."""

    __slots__ = ("args", "data", "dtype", "kind")

    def __init__(self, kind: Kind, dtype: str, args: tuple[Expr, ...] = (), data: Any = None) -> None:
        self.kind, self.dtype, self.args, self.data = kind, dtype, args, data


class Expressions:
    """Expressions in the order in which they were made, each once."""

    def __init__(self) -> None:
        self.made: dict[Any, Expr] = {}
        self.order: list[Expr] = []

    def shared(self, kind: Kind, dtype: str, args: tuple[Expr, ...] = (), data: Any = None, key: Any = None) -> Expr:
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
        except (OverflowError, ValueError):
            raise Unsupported(f"{value} as {dtype}") from None
        return self.shared("const", dtype, data=number, key=repr(number))

    def load(self, b: Buffer, address: Affine) -> Expr:
        """The entry of a buffer at an address."""
        return self.shared("load", b.dtype.name, data=(b, address), key=(b.number, address))

    def cast(self, e: Expr, dtype: str) -> Expr:
        """The value in another dtype."""
        if e.dtype == dtype:
            return e
        if e.kind == "const":
            return self.constant(e.data, dtype)
        return self.shared(cast, dtype, (e,))

    def operation(self, n: Node, args: list[Expr], dtype: str) -> Expr:
        """The expression of an elementwise node on its arguments."""
        op = ar.multiply if n.op is outer else n.op
        specs = [Spec.of(v) for v in n.values]
        if op in (*TRUTHS, *COMPARISONS) and dtype != "bool":
            raise Unsupported(f"{op.name} that gives {dtype}")
        if op in IN_STEPS and any(s.dtype.name != dtype for s in specs):
            raise Unsupported(f"{op.name} of {specs[0].dtype}")
        if op in (ar.alias, ar.stop_gradient, ar.positive, cast):
            return self.cast(args[0], dtype)
        if op in COMPARISONS:
            together = _together(specs).name
            return self.shared(op, "bool", tuple(self.cast(a, together) for a in args))
        if op in TESTS:
            return self.shared(op, "bool", tuple(args))
        if op is pw.where:
            return self.shared(op, dtype, (self.cast(args[0], "bool"), *(self.cast(a, dtype) for a in args[1:])))
        if op is pw.indicator:
            return self.cast(self.cast(args[0], "bool"), dtype)
        if op in LOGICAL:
            return self.shared(op, "bool", tuple(self.cast(a, "bool") for a in args))
        if op is ex.power:
            return self._power(n, args, dtype)
        if op is pw.leaky_relu:
            x = self.cast(args[0], dtype)
            positive = self.shared(pw.greater, "bool", (x, self.constant(0, dtype)))
            scaled = self.shared(ar.multiply, dtype, (x, self.constant(n.params.get("slope", 0.01), dtype)))
            return self.shared(pw.where, dtype, (positive, x, scaled))
        extra = (self.constant(n.params.get("low", -100.0), dtype),) if op is ex.log_at_least else ()
        return self.shared(op, dtype, (*(self.cast(a, dtype) for a in args), *extra))

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
                return self.shared(ex.power, dtype, (base, self.cast(args[1], dtype)))
            whole, square, k = None, base, int(abs(number))
            while k:
                if k & 1:
                    whole = square if whole is None else self.shared(ar.multiply, dtype, (whole, square))
                k >>= 1
                if k:
                    square = self.shared(ar.multiply, dtype, (square, square))
            assert whole is not None
            return whole if number > 0 else self.shared(ar.divide, dtype, (self.constant(1, dtype), whole))
        if number == 0.5 and dtype.startswith("float"):
            return self.shared(ex.sqrt, dtype, (base,))
        return self.shared(ex.power, dtype, (base, self.cast(args[1], dtype)))


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
