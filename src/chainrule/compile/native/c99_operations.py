"""One operation as an expression of C: a table with a column for each kind of number, as `instructions` has it for LLVM.

{0}, {1} are arguments, {f} is the suffix of math.h's functions in single precision, {t} the type and {u} its unsigned twin: signed
integers that overflow are undefined in C, and wrap around in NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from ...ops import arithmetic as ar
from ...ops import conversion as cv
from ...ops import exponential as ex
from ...ops import piecewise as pw
from ...ops import trigonometric as tr
from .elementwise import LIBRARY, Expr, Kind, found
from .memory import Unsupported

TYPES = {
    "float64": "double", "float32": "float", "int64": "int64_t", "int32": "int32_t", "int16": "int16_t", "int8": "int8_t",
    "uint8": "uint8_t", "bool": "bool",
}  # fmt: skip
OPERATIONS: dict[Kind, tuple[str, ...]] = {  # in the columns of `elementwise.COLUMNS`
    **{op: (f"{name}{{f}}({'{0}, {1}' if len(op.partials) == 2 else '{0}'})",) for op, name in LIBRARY.items()},
    pw.greater: ("{0} > {1}",) * 4, pw.greater_equal: ("{0} >= {1}",) * 4, pw.less: ("{0} < {1}",) * 4,
    pw.less_equal: ("{0} <= {1}",) * 4, pw.equal: ("{0} == {1}",) * 4, pw.not_equal: ("{0} != {1}",) * 4,
    pw.logical_and: ("", "", "{0} && {1}"), pw.logical_or: ("", "", "{0} || {1}"),
    pw.logical_xor: ("", "", "{0} != {1}"), pw.logical_not: ("", "", "!{0}"),
    pw.isnan: ("({0} != {0})", "false", "false", "false"),
    pw.isinf: ("(isinf({0}) != 0)", "false", "false", "false"),
    pw.isfinite: ("(isfinite({0}) != 0)", "true", "true", "true"),
    pw.signbit: ("(signbit({0}) != 0)", "{0} < 0", "false"),
    ar.add: ("{0} + {1}", "({t})(({u}){0} + ({u}){1})", "{0} || {1}"),
    ar.subtract: ("{0} - {1}", "({t})(({u}){0} - ({u}){1})"),
    ar.multiply: ("{0} * {1}", "({t})(({u}){0} * ({u}){1})", "{0} && {1}"),
    ar.divide: ("{0} / {1}",), ar.reciprocal: ("1 / {0}",),
    ar.negative: ("-{0}", "({t})(0 - ({u}){0})"),
    ex.square: ("{0} * {0}", "({t})(({u}){0} * ({u}){0})"),
    pw.absolute: ("fabs{f}({0})", "({0} < 0 ? ({t})(0 - ({u}){0}) : {0})"),
    pw.relu: ("({0} > 0 || {0} != {0} ? {0} : 0)", "({0} > 0 ? {0} : 0)"),
    pw.maximum: ("({0} > {1} || {0} != {0} ? {0} : {1})", "({0} > {1} ? {0} : {1})", "{0} || {1}"),
    pw.minimum: ("({0} < {1} || {0} != {0} ? {0} : {1})", "({0} < {1} ? {0} : {1})", "{0} && {1}"),
    pw.sign: ("({0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0})", "({0} > 0) - ({0} < 0)"),
    pw.heaviside: ("({0} > 0 ? 1 : {0} == 0 ? {1} : {0} < 0 ? 0 : {0})",),
    pw.rect: ("(fabs{f}({0}) < 0.5{f} ? 1 : fabs{f}({0}) == 0.5{f} ? 0.5{f} : 0)",),
    ex.sigmoid: ("({0} >= 0 ? 1 / (1 + exp{f}(-{0})) : exp{f}({0}) / (1 + exp{f}({0})))",),
    ex.softplus: ("({0} > 0 ? {0} + log1p{f}(exp{f}(-{0})) : log1p{f}(exp{f}({0})))",),
    ex.log_sigmoid: ("({0} < 0 ? {0} - log1p{f}(exp{f}({0})) : -log1p{f}(exp{f}(-{0})))",),
    ex.logaddexp: ("({0} == {1} ? {0} + log{f}(2) : ({0} > {1} ? {0} : {1}) + log1p{f}(exp{f}(-fabs{f}({0} - {1}))))",),
    ex.log_at_least: ("log_at_least{f}({0}, {1})",),
    tr.deg2rad: ("{0} * 0.017453292519943295{f}",), tr.rad2deg: ("{0} * 57.29577951308232{f}",),
    ar.floor_divide: ("floor_divide{f}({0}, {1})", "({t})floor_quotient({0}, {1})"),
    ar.remainder: ("floor_remainder{f}({0}, {1})", "({t})floor_modulus({0}, {1})"),
}  # fmt: skip

_FLOOR = """\
static {type} floor_divide{f}({type} a, {type} b)
{{
    if (b == 0) return a / b;
    {type} rest = fmod{f}(a, b), q = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) q -= 1;
    q = rint{f}(q);
    return q != 0 ? q : copysign{f}(0, a / b);
}}
"""
_REMAINDER = """\
static {type} floor_remainder{f}({type} a, {type} b)
{{
    {type} rest = fmod{f}(a, b);
    if (rest == 0) return b == 0 ? rest : copysign{f}(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}}
"""
_AT_LEAST = """\
static {type} log_at_least{f}({type} x, {type} low)
{{
    {type} y = log{f}(x);
    return y > low || y != y ? y : low;
}}
"""
HELPERS: dict[str, str] = {
    "wrapped": """\
static bool misplaced;
static size_t wrapped(int64_t i, int64_t n)
{
    i = i < 0 ? i + n : i;
    if (i >= 0 && i < n) return (size_t)i;
    misplaced = true;
    return 0;
}
""",
    "whole64": """\
static int64_t whole64(double x) { return x >= -0x1p63 && x < 0x1p63 ? (int64_t)x : INT64_MIN; }
""",
    "whole32": """\
static int32_t whole32(double x) { return x > -0x1p31 - 1 && x < 0x1p31 ? (int32_t)x : INT32_MIN; }
""",
    "floor_quotient": """\
static int64_t floor_quotient(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
""",
    "floor_modulus": """\
static int64_t floor_modulus(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return 0;
    int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
""",
}
"""Functions that a program may need, by the name that is called."""
for _f, _type in (("", "double"), ("f", "float")):
    HELPERS[f"floor_divide{_f}"] = _FLOOR.format(type=_type, f=_f)
    HELPERS[f"floor_remainder{_f}"] = _REMAINDER.format(type=_type, f=_f)
    HELPERS[f"log_at_least{_f}"] = _AT_LEAST.format(type=_type, f=_f)


def number(x: object, dtype: str) -> str:
    """A number as C writes it, in parentheses where it begins with a sign."""
    if dtype == "bool":
        return "true" if x else "false"
    value = np.dtype(dtype).type(x)
    if not dtype.startswith("float"):
        i = int(value)
        return "INT64_MIN" if i == -(2**63) else f"({i})" if i < 0 else str(i)
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "(-INFINITY)"
    text = repr(float(value)) if dtype == "float64" else str(value)
    text = (text if "." in text or "e" in text else text + ".0") + ("f" if dtype == "float32" else "")
    return f"({text})" if text.startswith("-") else text


def cast(x: str, have: str, want: str) -> str:
    """A value in another dtype, as NumPy converts: what has no place in an integer becomes the least one."""
    if want == "bool":
        return f"{x} != 0"
    if have.startswith("float") and not want.startswith("float"):
        return f"whole64({x})" if want == "int64" else f"({TYPES[want]})whole32({x})"
    return f"({TYPES[want]}){x}"


def operation(e: Expr, args: list[str]) -> str:
    """An operation on its arguments.

    Raises:
        Unsupported: the table of its kind of number does not have it.
    """
    dtype = e.args[0].dtype if e.args else e.dtype
    if e.kind is cv.cast:
        return cast(args[0], dtype, e.dtype)
    if e.kind is pw.where:
        return f"({args[0]} ? {args[1]} : {args[2]})"
    return found(OPERATIONS, e.kind, dtype).format(
        *args, f="f" if dtype == "float32" else "", t=TYPES.get(dtype), u=_unsigned(dtype)
    )


def _unsigned(dtype: str) -> str:
    return "uint64_t" if dtype == "int64" else "uint32_t"


def accumulated(mode: str, dtype: str, target: str, x: str) -> str:
    """The statement that adds an entry to a reduction."""
    if mode == "store":
        return f"{target} = {x};"
    if mode in ("add", "mul"):
        if not dtype.startswith("float"):
            if dtype in ("bool", "uint8"):
                raise Unsupported(f"a sum or product of {dtype}")
            wrapping = found(OPERATIONS, ar.add if mode == "add" else ar.multiply, dtype)
            return f"{target} = {wrapping.format(target, x, t=TYPES[dtype], u=_unsigned(dtype))};"
        return f"{target} {'+' if mode == 'add' else '*'}= {x};"
    nan = f" || {x} != {x}" if dtype.startswith("float") else ""
    return f"if ({x} {'>' if mode == 'max' else '<'} {target}{nan}) {target} = {x};"
