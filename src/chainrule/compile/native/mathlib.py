"""Transcendental functions as straight-line code that LLVM vectorises, for float and double.

Each follows the classical scheme: reduce the argument, evaluate a polynomial, put the exponent back. Sources: Cody and Waite,
1980; the reductions and the logarithm's coefficients as published with fdlibm (Sun Microsystems, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ir.op import Op
from ...ops import exponential as ex
from ...ops import trigonometric as tr


class Value:
    """A value in LLVM's text, with Python's operators. `bits` is 32 or 64."""

    __slots__ = ("code", "name", "type")

    def __init__(self, code: Code, name: str, type: str) -> None:
        self.code, self.name, self.type = code, name, type

    def _with(self, op: str, other: Any, flip: bool = False) -> Value:
        b = other if isinstance(other, Value) else self.code.constant(other, self.type)
        x, y = (b, self) if flip else (self, b)
        return self.code.emit(f"{op} {self.type} {x.name}, {y.name}", self.type)

    def __add__(self, o: Any) -> Value:
        return self._with("fadd contract", o)

    def __radd__(self, o: Any) -> Value:
        return self._with("fadd contract", o, True)

    def __sub__(self, o: Any) -> Value:
        return self._with("fsub contract", o)

    def __rsub__(self, o: Any) -> Value:
        return self._with("fsub contract", o, True)

    def __mul__(self, o: Any) -> Value:
        return self._with("fmul contract", o)

    __rmul__ = __mul__

    def __truediv__(self, o: Any) -> Value:
        return self._with("fdiv", o)

    def __rtruediv__(self, o: Any) -> Value:
        return self._with("fdiv", o, True)

    def __neg__(self) -> Value:
        return self.code.emit(f"fneg {self.type} {self.name}", self.type)

    def __lt__(self, o: Any) -> Value:
        return self._compare("olt", o)

    def __gt__(self, o: Any) -> Value:
        return self._compare("ogt", o)

    def __ge__(self, o: Any) -> Value:
        return self._compare("oge", o)

    def _compare(self, how: str, o: Any) -> Value:
        b = o if isinstance(o, Value) else self.code.constant(o, self.type)
        return self.code.emit(f"fcmp {how} {self.type} {self.name}, {b.name}", "i1")

    def equals(self, o: Any) -> Value:
        """Whether two are equal, NaN being equal to nothing."""
        return self._compare("oeq", o)


def hexadecimal(x: float) -> str:
    """A double as LLVM writes it exactly."""
    return f"0x{np.float64(x).view(np.uint64):016X}"


class Code:
    """Lines of LLVM's text, and the intrinsics they need."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.declared: dict[str, str] = {}

    def fresh(self) -> str:
        """A new name."""
        self.count += 1
        return f"%t{self.count}"

    def emit(self, text: str, type: str) -> Value:
        """One instruction; its result."""
        name = self.fresh()
        self.lines.append(f"{name} = {text}")
        return Value(self, name, type)

    def constant(self, x: Any, type: str) -> Value:
        """A number."""
        if type in ("float", "double"):
            return Value(self, hexadecimal(float(np.float32(x)) if type == "float" else float(x)), type)
        return Value(self, str(int(x)), type)

    def call(self, function: str, type: str, *args: Value, fast: str = "") -> Value:
        """A call of an intrinsic or a function of libm."""
        given = ", ".join(f"{a.type} {a.name}" for a in args)
        self.declared[function] = f"declare {type} @{function}({', '.join(a.type for a in args)})"
        return self.emit(f"call {fast}{type} @{function}({given})", type)

    def intrinsic(self, name: str, *args: Value) -> Value:
        """An LLVM intrinsic on floats."""
        suffix = {"float": "f32", "double": "f64", "i64": "i64", "i32": "i32"}[args[0].type]
        return self.call(f"llvm.{name}.{suffix}", args[0].type, *args)

    def select(self, c: Value, a: Any, b: Any) -> Value:
        """a where c holds, else b."""
        some = a if isinstance(a, Value) else b
        a, b = (x if isinstance(x, Value) else self.constant(x, some.type) for x in (a, b))
        return self.emit(f"select i1 {c.name}, {a.type} {a.name}, {b.type} {b.name}", a.type)

    def fma(self, a: Value, b: Any, c: Any) -> Value:
        """a * b + c, rounded once where the processor can."""
        b, c = (x if isinstance(x, Value) else self.constant(x, a.type) for x in (b, c))
        return self.intrinsic("fma", a, b, c)

    def polynomial(self, x: Value, coefficients: list[float]) -> Value:
        """sum of c_k x^k, by Horner's rule."""
        total: Any = self.constant(coefficients[-1], x.type)
        for c in reversed(coefficients[:-1]):
            total = self.fma(total, x, c)
        return total

    def bits(self, x: Value) -> Value:
        """The bits of a float as an integer."""
        to = "i32" if x.type == "float" else "i64"
        return self.emit(f"bitcast {x.type} {x.name} to {to}", to)

    def from_bits(self, x: Value) -> Value:
        """The float with these bits."""
        to = "float" if x.type == "i32" else "double"
        return self.emit(f"bitcast {x.type} {x.name} to {to}", to)

    def integer(self, op: str, a: Value, b: Any) -> Value:
        """An operation on integers."""
        b = b if isinstance(b, Value) else self.constant(b, a.type)
        return self.emit(f"{op} {a.type} {a.name}, {b.name}", a.type)


LN2 = {"double": (0.693147180369123816490, 1.90821492927058770002e-10), "float": (0.693359375, -2.12194440e-4)}
LIMITS = {"double": (-746.0, 710.0), "float": (-104.5, 89.0)}
MANTISSA = {"double": 52, "float": 23}
BIAS = {"double": 1023, "float": 127}
TERMS = {"double": 13, "float": 7}


def power_of_two(c: Code, n: Value) -> Value:
    """2^n for an integral float n within the exponents of normal numbers."""
    if n.type == "float":
        i = c.emit(f"fptosi float {n.name} to i32", "i32")
    else:  # few processors convert vectors of doubles to integers: the lowest bits of n + 1.5 * 2^52 are those of n
        i = c.bits(c.emit(f"fadd double {n.name}, {hexadecimal(1.5 * 2**52)}", "double"))
    shifted = c.integer("shl", c.integer("add", i, BIAS[n.type]), MANTISSA[n.type])
    return c.from_bits(shifted)


def _reduced(c: Code, x: Value, whole: float = 0.0) -> tuple[Value, Value]:
    """n and r with x = n ln 2 + r, |r| <= ln 2 / 2; below `whole`, n is 0."""
    high, low = LN2[x.type]
    n = c.intrinsic("rint", x * (1 / math.log(2)))
    if whole:
        n = c.select(c.intrinsic("fabs", x) < whole, 0.0, n)
    return n, c.fma(n, -low, c.fma(n, -high, x))


def _expm1_series(c: Code, r: Value, more: int = 0) -> Value:
    """e^r - 1 for small r: r + r^2 (1/2 + r/6 + ...)."""
    q = c.polynomial(r, [1 / math.factorial(k) for k in range(2, TERMS[r.type] + 1 + more)])
    return c.fma(r * r, q, r)


def exp(c: Code, x: Value) -> Value:
    """e^x."""
    low, high = LIMITS[x.type]
    within = c.intrinsic("minnum", c.intrinsic("maxnum", x, c.constant(low, x.type)), c.constant(high, x.type))
    n, r = _reduced(c, within)
    half = c.intrinsic("floor", n * 0.5)
    y = (1 + _expm1_series(c, r)) * power_of_two(c, half) * power_of_two(c, n - half)
    return c.select(c.emit(f"fcmp uno {x.type} {x.name}, {x.name}", "i1"), x, y)


def expm1(c: Code, x: Value) -> Value:
    """e^x - 1, accurate near 0."""
    low = {"double": -40.0, "float": -20.0}[x.type]
    within = c.intrinsic(
        "minnum", c.intrinsic("maxnum", x, c.constant(low, x.type)), c.constant(LIMITS[x.type][1], x.type)
    )
    n, r = _reduced(c, within, 0.55)  # 2 e^r - 1 would lose a bit there
    p = _expm1_series(c, r, 3)
    t = power_of_two(c, n - 1)
    y = c.fma(t, p, t - 0.5) * 2.0
    y = c.select(n.equals(0.0), p, y)
    y = c.select(x.equals(0.0), x, y)
    return c.select(c.emit(f"fcmp uno {x.type} {x.name}, {x.name}", "i1"), x, y)


LG = {
    "double": [
        6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
        1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
    ],
    "float": [2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11],
}  # fmt: skip


def _log_parts(c: Code, x: Value) -> tuple[Value, Value]:
    """k and f with x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), for positive finite x, subnormal ones included."""
    mantissa, bias = MANTISSA[x.type], BIAS[x.type]  # k is kept positive: vectors have no arithmetic shift of 64 bits
    tiny = x < float(np.finfo(np.float32 if x.type == "float" else np.float64).tiny)
    scaled = c.select(tiny, x * float(2.0 ** (mantissa + 2)), x)
    bits = c.bits(scaled)
    root = (
        int(np.float32(math.sqrt(0.5)).view(np.int32))
        if x.type == "float"
        else int(np.float64(math.sqrt(0.5)).view(np.int64))
    )
    over = bias + 1
    shifted = c.integer("add", bits, (over << mantissa) - root)
    k = c.integer("lshr", shifted, mantissa)
    m = c.from_bits(c.integer("sub", bits, c.integer("sub", c.integer("shl", k, mantissa), over << mantissa)))
    if x.type == "float":
        kf = c.emit(f"uitofp i32 {k.name} to float", "float") - float(over)
    else:  # as above, the other way
        kf = c.from_bits(c.integer("or", k, 0x4330000000000000)) - (2.0**52 + over)
    return c.select(tiny, kf - float(mantissa + 2), kf), m - 1.0


def _log_core(c: Code, k: Value, f: Value) -> Value:
    """k ln 2 + log(1 + f)."""
    high, low = LN2[f.type]
    s = f / (2.0 + f)
    z = s * s
    r = z * c.polynomial(z, LG[f.type])
    half = f * f * 0.5
    tail = c.fma(s, half + r, k * low)
    return c.fma(k, high, f - (half - tail))


def _log_edges(c: Code, x: Value, y: Value) -> Value:
    """The values of a logarithm at infinity, at zero, and below."""
    y = c.select(x.equals(math.inf), x, y)
    y = c.select(x.equals(0.0), -math.inf, y)
    bad = c.emit(f"fcmp ult {x.type} {x.name}, {c.constant(0.0, x.type).name}", "i1")
    return c.select(bad, math.nan, y)


def log(c: Code, x: Value) -> Value:
    """log x."""
    return _log_edges(c, x, _log_core(c, *_log_parts(c, x)))


def log1p(c: Code, x: Value) -> Value:
    """log(1 + x), accurate near 0."""
    u = 1.0 + x
    lost = c.select(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    k, f = _log_parts(c, u)
    back = power_of_two(c, c.intrinsic("maxnum", -k, c.constant(2.0 - BIAS[x.type], x.type)))
    y = _log_core(c, k, c.fma(lost, back, f))  # what 1 + x lost, put back where it still counts
    y = _log_edges(c, u, y)
    small = c.intrinsic("fabs", x) < {"double": 1e-300, "float": 1e-37}[x.type]
    return c.select(small, x, y)


def tanh(c: Code, x: Value) -> Value:
    """tanh x."""
    a = c.intrinsic("fabs", x)
    t = expm1(c, c.intrinsic("minnum", a, c.constant(22.0 if x.type == "double" else 10.0, x.type)) * 2.0)
    large = a > 0.55  # one division for both: t / (t + 2), and 1 - 2 / (t + 2) where that is more accurate
    q = c.select(large, 2.0, t) / (t + 2.0)
    y = c.intrinsic("copysign", c.select(large, 1.0 - q, q), x)
    return c.select(c.emit(f"fcmp uno {x.type} {x.name}, {x.name}", "i1"), x, y)


def sigmoid(c: Code, x: Value) -> Value:
    """1 / (1 + e^-x)."""
    e = exp(c, -c.intrinsic("fabs", x))
    return c.select(x >= 0.0, 1.0, e) / (1.0 + e)


def softplus(c: Code, x: Value) -> Value:
    """log(1 + e^x)."""
    return c.intrinsic("maximum", x, c.constant(0.0, x.type)) + log1p(c, exp(c, -c.intrinsic("fabs", x)))


def logaddexp(c: Code, a: Value, b: Value) -> Value:
    """log(e^a + e^b); equal infinities are themselves."""
    top = c.intrinsic("maximum", a, b)
    y = top + log1p(c, exp(c, -c.intrinsic("fabs", a - b)))
    return c.select(a.equals(b), a + math.log(2), y)


def log_sigmoid(c: Code, x: Value) -> Value:
    """log(1 / (1 + e^-x))."""
    return -softplus(c, -x)


VECTORISED: dict[Op, Callable[..., Value]] = {
    ex.exp: exp, ex.expm1: expm1, ex.log: log, ex.log1p: log1p, tr.tanh: tanh, ex.sigmoid: sigmoid, ex.softplus: softplus,
    ex.log_sigmoid: log_sigmoid, ex.logaddexp: logaddexp,
}  # fmt: skip
