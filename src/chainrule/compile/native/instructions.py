"""One expression as instructions of LLVM: a table with a column for each kind of number."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable

import numpy as np

from ...ops import arithmetic as ar
from ...ops import conversion as cv
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import trigonometric as tr
from .elementwise import LIBRARY, Expr, Kind, found
from .mathlib import VECTORISED, Code, Value, log
from .memory import Unsupported

TYPES = {
    "float32": "float", "float64": "double", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "uint8": "i8", "bool": "i1",
}  # fmt: skip
MEMORY = {**TYPES, "bool": "i8"}
Rule = Callable[[Code, Expr, list[Value]], Value]
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


def _compared(ordered: str, signed: str, unsigned: str) -> tuple[Rule, ...]:
    """A comparison of each kind of number."""

    def of(how: str) -> Rule:
        return lambda c, e, a: c.emit(f"{how} {a[0].type} {a[0].name}, {a[1].name}", "i1")

    return of(f"fcmp {ordered}"), of(f"icmp {signed}"), *[of(f"icmp {unsigned}")] * 2


def _always(answer: bool) -> Rule:
    return lambda c, e, a: c.emit(f"icmp {'eq' if answer else 'ne'} i1 0, 0", "i1")


def _finite(c: Code, how: str, x: Value) -> Value:
    """How the size of a number compares with infinity."""
    top = c.constant(math.inf, x.type)
    return c.emit(f"fcmp {how} {x.type} {c.intrinsic('fabs', x).name}, {top.name}", "i1")


def _below(c: Code, x: Value) -> Value:
    """Whether the sign bit of an integer is set."""
    return c.emit(f"icmp slt {x.type} {x.name}, 0", "i1")


def _opposite(c: Code, x: Value) -> Value:
    return c.integer("sub", c.constant(0, x.type), x)


def _vectorised(function: Callable[..., Value]) -> Rule:
    return lambda c, e, a: function(c, *a)


def _intrinsic(name: str) -> Rule:
    return lambda c, e, a: c.intrinsic(name, *a)


def _integer(name: str) -> Rule:
    return lambda c, e, a: c.integer(name, *a)


def _library(function: str) -> Rule:
    return lambda c, e, a: libm(c, function, e.dtype, *a)


def _larger(mode: str) -> Rule:
    return lambda c, e, a: combine(c, mode, e.dtype, *a)


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


OPERATIONS: dict[Kind, tuple[Rule | None, ...]] = {  # in the columns of `elementwise.COLUMNS`
    **{op: (_library(function),) for op, function in LIBRARY.items()},
    **{op: (_vectorised(function),) for op, function in VECTORISED.items()},
    pw.greater: _compared("ogt", "sgt", "ugt"),
    pw.greater_equal: _compared("oge", "sge", "uge"),
    pw.less: _compared("olt", "slt", "ult"),
    pw.less_equal: _compared("ole", "sle", "ule"),
    pw.equal: _compared("oeq", "eq", "eq"),
    pw.not_equal: _compared("une", "ne", "ne"),
    pw.isnan: (lambda c, e, a: c.emit(f"fcmp uno {a[0].type} {a[0].name}, {a[0].name}", "i1"), *[_always(False)] * 3),
    pw.isinf: (lambda c, e, a: _finite(c, "oeq", a[0]), *[_always(False)] * 3),
    pw.isfinite: (lambda c, e, a: _finite(c, "olt", a[0]), *[_always(True)] * 3),
    pw.signbit: (lambda c, e, a: _below(c, c.bits(a[0])), lambda c, e, a: _below(c, a[0]), *[_always(False)] * 2),
    pw.logical_and: (None, None, _integer("and")),
    pw.logical_or: (None, None, _integer("or")),
    pw.logical_xor: (None, None, _integer("xor")),
    pw.logical_not: (None, None, lambda c, e, a: c.integer("xor", a[0], 1)),
    ar.add: (lambda c, e, a: a[0] + a[1], _integer("add"), _integer("or")),
    ar.subtract: (lambda c, e, a: a[0] - a[1], _integer("sub")),
    ar.multiply: (lambda c, e, a: a[0] * a[1], _integer("mul"), _integer("and")),
    ar.divide: (lambda c, e, a: a[0] / a[1],),
    ar.reciprocal: (lambda c, e, a: 1.0 / a[0],),
    ar.negative: (lambda c, e, a: -a[0], lambda c, e, a: _opposite(c, a[0])),
    ar.floor_divide: (lambda c, e, a: _floor_mod(c, e, a[0], a[1])[0],),
    ar.remainder: (lambda c, e, a: _floor_mod(c, e, a[0], a[1])[1],),
    ex.square: (lambda c, e, a: a[0] * a[0], lambda c, e, a: c.integer("mul", a[0], a[0])),
    ex.sqrt: (_intrinsic("sqrt"),),
    ex.log_at_least: (lambda c, e, a: c.intrinsic("maximum", log(c, a[0]), a[1]),),
    pw.absolute: (_intrinsic("fabs"), lambda c, e, a: combine(c, "max", e.dtype, a[0], _opposite(c, a[0]))),
    pw.floor: (_intrinsic("floor"),),
    pw.ceil: (_intrinsic("ceil"),),
    pw.trunc: (_intrinsic("trunc"),),
    pw.rint: (_intrinsic("rint"),),
    pw.maximum: (_intrinsic("maximum"), _larger("max"), _integer("or")),
    pw.minimum: (_intrinsic("minimum"), _larger("min"), _integer("and")),
    pw.fmax: (_intrinsic("maxnum"),),
    pw.fmin: (_intrinsic("minnum"),),
    pw.copysign: (_intrinsic("copysign"),),
    pw.relu: (
        lambda c, e, a: c.select(c.emit(f"fcmp ugt {a[0].type} {a[0].name}, {c.constant(0, a[0].type).name}", "i1"), a[0], 0.0),
        lambda c, e, a: combine(c, "max", e.dtype, a[0], c.constant(0, a[0].type)),
    ),
    pw.sign: (lambda c, e, a: c.select(a[0] > 0.0, 1.0, c.select(a[0] < 0.0, c.constant(-1.0, a[0].type), a[0] * 0.0 + 0.0)),),
    pw.heaviside: (lambda c, e, a: c.select(a[0] > 0.0, c.constant(1.0, a[0].type), c.select(a[0].equals(0.0), a[1], c.select(a[0] < 0.0, c.constant(0.0, a[0].type), a[0]))),),
    pw.rect: (lambda c, e, a: (lambda r: c.select(r < 0.5, c.constant(1.0, r.type), c.select(r.equals(0.5), c.constant(0.5, r.type), 0.0)))(c.intrinsic("fabs", a[0])),),
    tr.deg2rad: (lambda c, e, a: a[0] * (math.pi / 180),),
    tr.rad2deg: (lambda c, e, a: a[0] * (180 / math.pi),),
}  # fmt: skip


def instruction(c: Code, e: Expr, args: list[Value]) -> Value:
    """The value of an operation."""
    if e.kind is cv.cast:
        return cast(c, args[0], e.args[0].dtype, e.dtype)
    if e.kind is pw.where:
        return c.select(args[0], args[1], args[2])
    return found(OPERATIONS, e.kind, e.args[0].dtype)(c, e, args)


def spelled(e: Expr) -> Value:
    """One expression on arguments that are there already.

    Raises:
        Unsupported: LLVM's tables do not have it.
    """
    c = Code()
    return instruction(c, e, [Value(c, "%x", TYPES[a.dtype]) for a in e.args])
