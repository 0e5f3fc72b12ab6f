"""One expression as instructions of LLVM: a table for each kind of number."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable

import numpy as np

from .elementwise import Expr
from .mathlib import VECTORISED, Code, Value
from .memory import Unsupported

TYPES = {
    "float32": "float", "float64": "double", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "i8", "bool": "i1",
}  # fmt: skip
MEMORY = {**TYPES, "bool": "i8"}
COMPARE = {
    "greater": ("ogt", "sgt", "ugt"), "greater_equal": ("oge", "sge", "uge"), "less": ("olt", "slt", "ult"),
    "less_equal": ("ole", "sle", "ule"), "equal": ("oeq", "eq", "eq"), "not_equal": ("une", "ne", "ne"),
}  # fmt: skip
LIBM = {
    "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "sinh": "sinh", "cosh": "cosh",
    "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2", "cbrt": "cbrt", "hypot": "hypot", "erf": "erf",
    "erfc": "erfc", "gammaln": "lgamma", "power": "pow", "exp2": "exp2", "log2": "log2", "log10": "log10",
}  # fmt: skip
PURE = " memory(none) nounwind willreturn"


def is_float(dtype: str) -> bool:
    """Whether a dtype is floating point."""
    return dtype.startswith("float")


def libm(c: Code, name: str, dtype: str, *args: Value) -> Value:
    """A call of the C library's function, in the precision of the arguments."""
    type = TYPES[dtype]
    function = name + ("f" if dtype == "float32" else "")
    given = ", ".join(f"{type} {a.name}" for a in args)
    c.declared[function] = f"declare {type} @{function}({', '.join([type] * len(args))}){PURE}"
    return c.emit(f"call {type} @{function}({given})", type)


def combine(c: Code, mode: str, dtype: str, a: Value, b: Value) -> Value:
    """Two partial results of a reduction made one."""
    type = TYPES[dtype]
    if is_float(dtype):
        if mode in ("add", "mul"):
            return c.emit(f"f{mode} reassoc contract {type} {a.name}, {b.name}", type)
        return c.intrinsic("maximum" if mode == "max" else "minimum", a, b)
    if dtype == "bool":
        return c.emit(f"{'or' if mode in ('add', 'max') else 'and'} i1 {a.name}, {b.name}", "i1")
    if mode in ("add", "mul"):
        return c.integer(mode, a, b)
    sign = "u" if dtype == "uint8" else "s"
    larger = c.emit(f"icmp {sign}{'gt' if mode == 'max' else 'lt'} {type} {a.name}, {b.name}", "i1")
    return c.select(larger, a, b)


def cast(c: Code, x: Value, have: str, want: str) -> Value:
    """A value in another dtype, as NumPy converts."""
    a, b = TYPES[have], TYPES[want]
    if want == "bool":
        zero = c.constant(0, a)
        return c.emit(f"fcmp une {a} {x.name}, {zero.name}" if is_float(have) else f"icmp ne {a} {x.name}, 0", "i1")
    if is_float(have) and is_float(want):
        return c.emit(f"{'fpext' if want == 'float64' else 'fptrunc'} {a} {x.name} to {b}", b)
    if is_float(want):
        return c.emit(f"{'uitofp' if have in ('bool', 'uint8') else 'sitofp'} {a} {x.name} to {b}", b)
    if is_float(have):
        return _truncated(c, x, want)
    wide, narrow = np.dtype(want).itemsize, 0 if have == "bool" else np.dtype(have).itemsize
    if wide == narrow:
        return x
    if wide < narrow:
        return c.emit(f"trunc {a} {x.name} to {b}", b)
    return c.emit(f"{'zext' if have in ('bool', 'uint8') else 'sext'} {a} {x.name} to {b}", b)


def _truncated(c: Code, x: Value, want: str) -> Value:
    """A float without its fraction, as NumPy on this processor converts: what has no place becomes the least integer."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Unsupported(f"a float as {want}")
    wide = "i64" if want == "int64" else "i32"
    bound = 2.0 ** (63 if wide == "i64" else 31)
    below = c.emit(f"fcmp olt {x.type} {x.name}, {c.constant(bound, x.type).name}", "i1")
    least = -bound if wide == "i64" or x.type == "float" else -bound - 1
    above = c.emit(
        f"fcmp {'oge' if least == -bound else 'ogt'} {x.type} {x.name}, {c.constant(least, x.type).name}", "i1"
    )
    inside = c.emit(f"and i1 {below.name}, {above.name}", "i1")
    safe = c.select(inside, x, 0.0)
    whole = c.select(inside, c.emit(f"fptosi {x.type} {safe.name} to {wide}", wide), c.constant(-int(bound), wide))
    return whole if TYPES[want] == wide else c.emit(f"trunc {wide} {whole.name} to {TYPES[want]}", TYPES[want])


def compare(c: Code, e: Expr, args: list[Value]) -> Value:
    """A comparison."""
    dtype = e.args[0].dtype
    ordered, signed, unsigned = COMPARE[e.kind]
    a, b = args
    if is_float(dtype):
        return c.emit(f"fcmp {ordered} {a.type} {a.name}, {b.name}", "i1")
    return c.emit(f"icmp {unsigned if dtype in ('bool', 'uint8') else signed} {a.type} {a.name}, {b.name}", "i1")


def _floor_mod(c: Code, e: Expr, a: Value, b: Value) -> tuple[Value, Value]:
    """Python's quotient rounded down, and remainder with the divisor's sign, of floats."""
    whole = libm(c, "fmod", e.dtype, a, b)
    m = whole
    differs = c.emit(f"xor i1 {(m < 0.0).name}, {(b < 0.0).name}", "i1")
    nonzero = c.emit(f"fcmp one {m.type} {m.name}, {c.constant(0.0, m.type).name}", "i1")
    fix = c.emit(f"and i1 {differs.name}, {nonzero.name}", "i1")
    m = c.select(
        fix,
        m + b,
        c.select(nonzero, m, c.select(m.equals(0.0), c.intrinsic("copysign", c.constant(0.0, m.type), b), m)),
    )
    q = (a - whole) / b
    q = c.intrinsic("rint", c.select(fix, q - 1.0, q))
    q = c.select(q.equals(0.0), c.intrinsic("copysign", c.constant(0.0, m.type), a / b), q)
    return c.select(b.equals(0.0), a / b, q), m


FLOATS: dict[str, Callable[[Code, Expr, list[Value]], Value]] = {
    "add": lambda c, e, a: a[0] + a[1],
    "subtract": lambda c, e, a: a[0] - a[1],
    "multiply": lambda c, e, a: a[0] * a[1],
    "divide": lambda c, e, a: a[0] / a[1],
    "reciprocal": lambda c, e, a: 1.0 / a[0],
    "negative": lambda c, e, a: -a[0],
    "square": lambda c, e, a: a[0] * a[0],
    "sqrt": lambda c, e, a: c.intrinsic("sqrt", a[0]),
    "abs": lambda c, e, a: c.intrinsic("fabs", a[0]),
    "floor": lambda c, e, a: c.intrinsic("floor", a[0]),
    "ceil": lambda c, e, a: c.intrinsic("ceil", a[0]),
    "trunc": lambda c, e, a: c.intrinsic("trunc", a[0]),
    "rint": lambda c, e, a: c.intrinsic("rint", a[0]),
    "maximum": lambda c, e, a: c.intrinsic("maximum", *a),
    "minimum": lambda c, e, a: c.intrinsic("minimum", *a),
    "fmax": lambda c, e, a: c.intrinsic("maxnum", *a),
    "fmin": lambda c, e, a: c.intrinsic("minnum", *a),
    "copysign": lambda c, e, a: c.intrinsic("copysign", *a),
    "relu": lambda c, e, a: c.select(c.emit(f"fcmp ugt {a[0].type} {a[0].name}, {c.constant(0, a[0].type).name}", "i1"), a[0], 0.0),
    "sign": lambda c, e, a: c.select(a[0] > 0.0, 1.0, c.select(a[0] < 0.0, c.constant(-1.0, a[0].type), a[0] * 0.0 + 0.0)),
    "deg2rad": lambda c, e, a: a[0] * (math.pi / 180),
    "rad2deg": lambda c, e, a: a[0] * (180 / math.pi),
    "floor_divide": lambda c, e, a: _floor_mod(c, e, a[0], a[1])[0],
    "remainder": lambda c, e, a: _floor_mod(c, e, a[0], a[1])[1],
    "heaviside": lambda c, e, a: c.select(a[0] > 0.0, c.constant(1.0, a[0].type), c.select(a[0].equals(0.0), a[1], c.select(a[0] < 0.0, c.constant(0.0, a[0].type), a[0]))),
    "rect": lambda c, e, a: (lambda r: c.select(r < 0.5, c.constant(1.0, r.type), c.select(r.equals(0.5), c.constant(0.5, r.type), 0.0)))(c.intrinsic("fabs", a[0])),
    "log_at_least": lambda c, e, a: c.intrinsic("maximum", VECTORISED["log"](c, a[0]), a[1]),
}  # fmt: skip
INTEGERS: dict[str, Callable[[Code, Expr, list[Value]], Value]] = {
    "add": lambda c, e, a: c.integer("add", *a),
    "subtract": lambda c, e, a: c.integer("sub", *a),
    "multiply": lambda c, e, a: c.integer("mul", *a),
    "negative": lambda c, e, a: c.integer("sub", c.constant(0, a[0].type), a[0]),
    "square": lambda c, e, a: c.integer("mul", a[0], a[0]),
    "maximum": lambda c, e, a: combine(c, "max", e.dtype, *a),
    "minimum": lambda c, e, a: combine(c, "min", e.dtype, *a),
    "relu": lambda c, e, a: combine(c, "max", e.dtype, a[0], c.constant(0, a[0].type)),
    "abs": lambda c, e, a: combine(c, "max", e.dtype, a[0], c.integer("sub", c.constant(0, a[0].type), a[0])),
}
BOOLEANS: dict[str, Callable[[Code, Expr, list[Value]], Value]] = {
    "add": lambda c, e, a: c.integer("or", *a),
    "multiply": lambda c, e, a: c.integer("and", *a),
    "maximum": lambda c, e, a: c.integer("or", *a),
    "minimum": lambda c, e, a: c.integer("and", *a),
    "logical_and": lambda c, e, a: c.integer("and", *a),
    "logical_or": lambda c, e, a: c.integer("or", *a),
    "logical_xor": lambda c, e, a: c.integer("xor", *a),
    "logical_not": lambda c, e, a: c.integer("xor", a[0], 1),
}


def instruction(c: Code, e: Expr, args: list[Value]) -> Value:
    """The value of an operation."""
    if e.kind == "cast":
        return cast(c, args[0], e.args[0].dtype, e.dtype)
    if e.kind in COMPARE:
        return compare(c, e, args)
    if e.kind == "where":
        return c.select(args[0], args[1], args[2])
    if e.kind in ("isnan", "isinf", "isfinite", "signbit"):
        return _test(c, e, args[0])
    if is_float(e.dtype):
        if e.kind in FLOATS:
            return FLOATS[e.kind](c, e, args)
        if e.kind in VECTORISED:
            return VECTORISED[e.kind](c, *args)
        if e.kind in LIBM:
            return libm(c, LIBM[e.kind], e.dtype, *args)
    table = BOOLEANS if e.dtype == "bool" else INTEGERS
    if e.kind not in table or e.dtype == "uint8":
        raise Unsupported(f"{e.kind} of {e.dtype}")
    return table[e.kind](c, e, args)


def spelled(e: Expr) -> Value:
    """One expression on arguments that are there already.

    Raises:
        Unsupported: LLVM's tables do not have it.
    """
    c = Code()
    return instruction(c, e, [Value(c, "%x", TYPES[a.dtype]) for a in e.args])


def _test(c: Code, e: Expr, x: Value) -> Value:
    dtype = e.args[0].dtype
    if e.kind == "signbit" and dtype.startswith("int"):
        return c.emit(f"icmp slt {x.type} {x.name}, 0", "i1")
    if not is_float(dtype):
        return c.emit(f"icmp {'eq' if e.kind == 'isfinite' else 'ne'} i1 0, 0", "i1")
    if e.kind == "isnan":
        return c.emit(f"fcmp uno {x.type} {x.name}, {x.name}", "i1")
    if e.kind == "signbit":
        return c.emit(f"icmp slt {c.bits(x).type} {c.bits(x).name}, 0", "i1")
    a = c.intrinsic("fabs", x)
    top = c.constant(math.inf, x.type)
    return c.emit(f"fcmp {'oeq' if e.kind == 'isinf' else 'olt'} {x.type} {a.name}, {top.name}", "i1")
