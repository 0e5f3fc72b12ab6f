"""What an elementwise operation is, entry by entry: expressions over loads and constants, shared where equal."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir.node import Node, Spec
from .index import Affine
from .memory import Buffer, Unsupported

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


class Expressions:
    """Expressions in the order in which they were made, each once."""

    def __init__(self) -> None:
        self.made: dict[Any, Expr] = {}
        self.order: list[Expr] = []

    def shared(self, kind: str, dtype: str, args: tuple[Expr, ...] = (), data: Any = None, key: Any = None) -> Expr:
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
        return self.shared("cast", dtype, (e,))

    def operation(self, n: Node, args: list[Expr], dtype: str) -> Expr:
        """The expression of an elementwise node on its arguments."""
        name = "multiply" if n.op.name == "outer" else n.op.name
        specs = [Spec.of(v) for v in n.values]
        if name in (*TRUTHS, *COMPARISONS) and dtype != "bool":
            raise Unsupported(f"{name} that gives {dtype}")
        if name in IN_STEPS and any(s.dtype.name != dtype for s in specs):
            raise Unsupported(f"{name} of {specs[0].dtype}")
        if name in ("alias", "stop_gradient", "positive", "cast"):
            return self.cast(args[0], dtype)
        if name in COMPARISONS:
            together = _together(specs).name
            return self.shared(name, "bool", tuple(self.cast(a, together) for a in args))
        if name in ("isnan", "isinf", "isfinite", "signbit"):
            return self.shared(name, "bool", tuple(args))
        if name == "where":
            return self.shared(name, dtype, (self.cast(args[0], "bool"), *(self.cast(a, dtype) for a in args[1:])))
        if name == "indicator":
            return self.cast(self.cast(args[0], "bool"), dtype)
        if name.startswith("logical_"):
            return self.shared(name, "bool", tuple(self.cast(a, "bool") for a in args))
        if name == "power":
            return self._power(n, args, dtype)
        if name == "leaky_relu":
            x = self.cast(args[0], dtype)
            positive = self.shared("greater", "bool", (x, self.constant(0, dtype)))
            scaled = self.shared("multiply", dtype, (x, self.constant(n.params.get("slope", 0.01), dtype)))
            return self.shared("where", dtype, (positive, x, scaled))
        extra = (self.constant(n.params.get("low", -100.0), dtype),) if name == "log_at_least" else ()
        return self.shared(name, dtype, (*(self.cast(a, dtype) for a in args), *extra))

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
                return self.shared("power", dtype, (base, self.cast(args[1], dtype)))
            whole, square, k = None, base, int(abs(number))
            while k:
                if k & 1:
                    whole = square if whole is None else self.shared("multiply", dtype, (whole, square))
                k >>= 1
                if k:
                    square = self.shared("multiply", dtype, (square, square))
            assert whole is not None
            return whole if number > 0 else self.shared("divide", dtype, (self.constant(1, dtype), whole))
        if number == 0.5 and dtype.startswith("float"):
            return self.shared("sqrt", dtype, (base,))
        return self.shared("power", dtype, (base, self.cast(args[1], dtype)))


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
