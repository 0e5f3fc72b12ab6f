"""Errors for code that would turn a traced value into a plain one, with the fix that the user's line suggests."""

from __future__ import annotations

import linecache
import re
from typing import Any

from ..errors import TraceError, caller
from ..ir.op import Op
from ..ir.recording import state
from ..ops import by_ufunc

_MATH = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "pow": "power", "fabs": "abs", "fsum": "sum", "dist": "linalg.norm", "lgamma": "", "erf": "", "erfc": "",
}  # fmt: skip
_EXTRA = {"lgamma": "chainrule.gammaln", "erf": "chainrule.erf", "erfc": "chainrule.erfc"}


def lost(what: str) -> TraceError:
    """The error for code that would turn a traced value into a plain one, with the fix that its line suggests."""
    error = _lost(what)
    if not state.level:
        state.refused = error
    return error


def _lost(what: str) -> TraceError:
    frame = caller()
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno) if frame else ""
    found = re.search(r"(?<![\w.])math\.(\w+)", line) or re.search(
        r"(?<![\w.])(" + "|".join(_MATH) + r"|sin|cos|tan|exp|log|sqrt|tanh)\(", line
    )
    if what in ("float", "complex") and found and "float(" not in line and not re.search(r"\]\s*=[^=]", line):
        name = found[1]
        return TraceError(
            f"math.{name} of a traced value would lose its derivative",
            f"use {_EXTRA.get(name) or 'np.' + _MATH.get(name, name)} instead of math.{name}",
        )
    if re.search(r"\]\s*[-+*/@]?=[^=]", line):
        return TraceError(
            "assigning a traced value into a plain NumPy array would lose its derivative",
            "create the array with np.zeros_like(x) of a traced x, or with chainrule.numpy.zeros(...)",
        )
    if re.search(r"\b(array|asarray)\(", line):
        return TraceError(
            "np.array(...) of traced values would lose their derivatives",
            "use np.stack([...]) or chainrule.numpy.array([...])",
        )
    fix = "keep the value as it is; if no derivative should flow, use chainrule.stop_gradient(x) or x.value"
    if what == "array":
        fix = "use np.stack([...]) for a list of traced values, or chainrule.numpy.array([...])"
    name = {"array": "conversion to a plain NumPy array", "item": ".item()"}.get(what, f"{what}()")
    return TraceError(f"{name} of a traced value would lose its derivative", fix)


def ufunc_of(ufunc: Any) -> Op:
    """The operation behind a ufunc, or an error that names it."""
    op = by_ufunc(ufunc)
    if op is None:
        raise TraceError(
            f"np.{getattr(ufunc, '__name__', ufunc)} has no derivative rule in chainrule",
            "write it in other operations, or declare it with chainrule.ops.Elementwise (see CONTRIBUTING.md)",
        )
    return op
