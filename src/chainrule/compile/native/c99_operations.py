"""One operation as an expression of C: a table for each kind of number, as `instructions` has them for LLVM.

{0}, {1} are arguments, {f} is the suffix of math.h's functions in single precision, {t} the type and {u} its unsigned twin: signed
integers that overflow are undefined in C, and wrap around in NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from .elementwise import Expr
from .memory import Unsupported

TYPES = {
    "float64": "double", "float32": "float", "int64": "int64_t", "int32": "int32_t", "int16": "int16_t", "int8": "int8_t",
    "uint8": "uint8_t", "bool": "bool",
}  # fmt: skip
COMPARE = {
    "greater": "{0} > {1}", "greater_equal": "{0} >= {1}", "less": "{0} < {1}", "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}", "not_equal": "{0} != {1}",
}  # fmt: skip
FLOATS: dict[str, str] = {
    "add": "{0} + {1}", "subtract": "{0} - {1}", "multiply": "{0} * {1}", "divide": "{0} / {1}",
    "negative": "-{0}", "reciprocal": "1 / {0}", "square": "{0} * {0}",
    "relu": "({0} > 0 || {0} != {0} ? {0} : 0)",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
    "sign": "({0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0})",
    "isnan": "({0} != {0})", "isinf": "(isinf({0}) != 0)", "isfinite": "(isfinite({0}) != 0)", "signbit": "(signbit({0}) != 0)",
    "sigmoid": "({0} >= 0 ? 1 / (1 + exp{f}(-{0})) : exp{f}({0}) / (1 + exp{f}({0})))",
    "softplus": "({0} > 0 ? {0} + log1p{f}(exp{f}(-{0})) : log1p{f}(exp{f}({0})))",
    "log_sigmoid": "({0} < 0 ? {0} - log1p{f}(exp{f}({0})) : -log1p{f}(exp{f}(-{0})))",
    "logaddexp": "({0} == {1} ? {0} + log{f}(2) : ({0} > {1} ? {0} : {1}) + log1p{f}(exp{f}(-fabs{f}({0} - {1}))))",
    "log_at_least": "log_at_least{f}({0}, {1})",
    "heaviside": "({0} > 0 ? 1 : {0} == 0 ? {1} : {0} < 0 ? 0 : {0})",
    "rect": "(fabs{f}({0}) < 0.5{f} ? 1 : fabs{f}({0}) == 0.5{f} ? 0.5{f} : 0)",
    "deg2rad": "{0} * 0.017453292519943295{f}", "rad2deg": "{0} * 57.29577951308232{f}",
    "floor_divide": "floor_divide{f}({0}, {1})", "remainder": "floor_remainder{f}({0}, {1})",
}  # fmt: skip
_UNARY = {  # functions of math.h
    name: f"{function}{{f}}({{0}})"
    for name, function in {
        "exp": "exp", "expm1": "expm1", "exp2": "exp2", "log": "log", "log1p": "log1p", "log2": "log2", "log10": "log10",
        "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
        "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
        "sqrt": "sqrt", "cbrt": "cbrt", "abs": "fabs", "floor": "floor", "ceil": "ceil", "rint": "rint", "trunc": "trunc",
        "erf": "erf", "erfc": "erfc", "gammaln": "lgamma",
    }.items()
}  # fmt: skip
_BINARY = {
    name: f"{function}{{f}}({{0}}, {{1}})"
    for name, function in {
        "power": "pow", "arctan2": "atan2", "hypot": "hypot", "copysign": "copysign", "fmax": "fmax", "fmin": "fmin",
    }.items()
}  # fmt: skip
FLOATS.update(_UNARY | _BINARY)
INTEGERS: dict[str, str] = {
    "add": "({t})(({u}){0} + ({u}){1})", "subtract": "({t})(({u}){0} - ({u}){1})", "multiply": "({t})(({u}){0} * ({u}){1})",
    "negative": "({t})(0 - ({u}){0})", "square": "({t})(({u}){0} * ({u}){0})", "abs": "({0} < 0 ? ({t})(0 - ({u}){0}) : {0})",
    "maximum": "({0} > {1} ? {0} : {1})", "minimum": "({0} < {1} ? {0} : {1})", "relu": "({0} > 0 ? {0} : 0)",
    "sign": "({0} > 0) - ({0} < 0)",
    "floor_divide": "({t})floor_quotient({0}, {1})", "remainder": "({t})floor_modulus({0}, {1})",
    "isnan": "false", "isinf": "false", "isfinite": "true", "signbit": "{0} < 0",
}  # fmt: skip
BOOLEANS: dict[str, str] = {
    "add": "{0} || {1}", "multiply": "{0} && {1}", "maximum": "{0} || {1}", "minimum": "{0} && {1}",
    "logical_and": "{0} && {1}", "logical_or": "{0} || {1}", "logical_xor": "{0} != {1}", "logical_not": "!{0}",
    "isnan": "false", "isinf": "false", "isfinite": "true", "signbit": "false",
}  # fmt: skip
UNSIGNED = ("isnan", "isinf", "isfinite")  # what is known of uint8; its arithmetic is not

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
    if e.kind == "cast":
        return cast(args[0], dtype, e.dtype)
    if e.kind == "where":
        return f"({args[0]} ? {args[1]} : {args[2]})"
    if e.kind in COMPARE:
        return COMPARE[e.kind].format(*args)
    table = FLOATS if dtype.startswith("float") else BOOLEANS if dtype == "bool" else INTEGERS
    if e.kind not in table or (dtype == "uint8" and e.kind not in UNSIGNED):
        raise Unsupported(f"{e.kind} of {dtype}")
    unsigned = "uint64_t" if dtype == "int64" else "uint32_t"
    return table[e.kind].format(*args, f="f" if dtype == "float32" else "", t=TYPES.get(dtype), u=unsigned)


def accumulated(mode: str, dtype: str, target: str, x: str) -> str:
    """The statement that adds an entry to a reduction."""
    if mode == "store":
        return f"{target} = {x};"
    if mode in ("add", "mul"):
        if not dtype.startswith("float"):
            wrapping = INTEGERS["add" if mode == "add" else "multiply"]
            if dtype in ("bool", "uint8"):
                raise Unsupported(f"a sum or product of {dtype}")
            unsigned = "uint64_t" if dtype == "int64" else "uint32_t"
            return f"{target} = {wrapping.format(target, x, t=TYPES[dtype], u=unsigned)};"
        return f"{target} {'+' if mode == 'add' else '*'}= {x};"
    nan = f" || {x} != {x}" if dtype.startswith("float") else ""
    return f"if ({x} {'>' if mode == 'max' else '<'} {target}{nan}) {target} = {x};"
