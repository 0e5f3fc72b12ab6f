"""How NumPy's functions reach operations: the table, ufuncs and their methods, and axis arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.recording import Handle, record
from ...ops import broadcasting as bc
from ...ops import by_ufunc
from ...ops import indexing as ix
from ...ops import piecewise as pw
from ..handles import constant_like, operand, split_index
from ..lost import ufunc_of
from ..memory import lying

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
CREATORS = (np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange)
REDUCTIONS: dict[Any, Any] = {  # what `ufunc.reduce` is
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the traced version of NumPy functions."""

    def register(version: Callable[..., Any]) -> Callable[..., Any]:
        version = lying(version, functions)
        for f in functions:
            FUNCTIONS[f] = version
        return version

    return register


def call_function(function: Any, args: tuple[Any, ...], options: dict[str, Any], traced: Handle) -> Any:
    """What `__array_function__` does: NumPy's function on arguments some of which are traced."""
    if function in CREATORS:  # np.zeros(3, like=x)
        return constant_like(traced, function(*args, **options))
    version = FUNCTIONS.get(function)
    if version is not None:
        out = options.pop("out", None)
        result = version(*args, **options)
        return result if out is None else _put(out, result)
    op = by_ufunc(function)
    if op is not None:
        return op(*args, **options)  # type: ignore[operator]
    name = f"{getattr(function, '__module__', 'numpy').replace('numpy', 'np', 1)}.{function.__name__}"
    raise TraceError(
        f"{name} of a traced value is not supported",
        "write it in other operations; a linear map can be declared with chainrule.linear",
    )


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `__array_ufunc__` does: a ufunc, or a method of one, on arguments some of which are traced."""
    if method == "__call__" and not options:
        return record(ufunc_of(ufunc), tuple(operand(i) for i in inputs))
    if method == "__call__":
        out = options.pop("out", (None,))[0]
        condition = options.pop("where", True)
        dtype = options.pop("dtype", None)
        _none_left(ufunc, options)
        result = record(ufunc_of(ufunc), tuple(operand(i) for i in inputs))
        if dtype is not None:
            result = result.astype(dtype)
        if condition is not True:
            if out is None:
                raise TraceError(
                    f"np.{ufunc.__name__}(..., where=...) leaves entries undefined", "use np.where(condition, a, b)"
                )
            result = pw.where(condition, result, out)
        return result if out is None else _put(out, result)
    if method == "at":
        return _at(ufunc, *inputs)
    if method == "reduce" and ufunc in REDUCTIONS:
        options.setdefault("axis", 0)
        return FUNCTIONS[REDUCTIONS[ufunc]](*inputs, **options)
    if method == "accumulate" and ufunc is np.add:
        return FUNCTIONS[np.cumsum](*inputs, **{"axis": 0, **options})
    if method == "outer":
        a, b = (operand(i) for i in inputs)
        return ufunc_of(ufunc)(bc.reshape(a, shape=(*np.shape(a), *(1,) * np.ndim(b))), b)  # type: ignore[operator]
    raise TraceError(f"np.{ufunc.__name__}.{method} of a traced value is not supported", "write it in other operations")


def _none_left(ufunc: np.ufunc, options: dict[str, Any]) -> None:
    if options:
        raise TraceError(f"np.{ufunc.__name__} of a traced value: the option {next(iter(options))!r} is not supported")


def _put(out: Any, result: Any) -> Any:
    if not isinstance(out, Handle):
        raise TraceError(
            "writing a traced result into a plain NumPy array (out=, or a += b with a plain a) would lose its derivative",
            "write a = a + b, or create a with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)",
        )
    out.assign(result)  # type: ignore[attr-defined]
    return out


def _at(ufunc: np.ufunc, target: Any, index: Any, values: Any = None) -> None:
    if ufunc not in (np.add, np.subtract) or not isinstance(target, Handle):
        fix = "create the target with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)"
        raise TraceError(f"np.{ufunc.__name__}.at is supported for add and subtract on a traced target", fix)
    template, arrays = split_index(index)
    values = operand(values) if ufunc is np.add else -operand(values)
    target.assign(record(ix.index_add, (target, values, *arrays), {"index": template}))  # type: ignore[attr-defined]


def axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument as a sorted tuple of negative ints; all axes for None."""
    if axis is None:
        return tuple(range(-ndim, 0))
    found = tuple(one_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(found)) < len(found):
        raise ShapeError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def one_axis(axis: Any, ndim: int) -> int:
    """One axis as a negative int."""
    a = operator.index(axis)
    if not -ndim <= a < ndim:
        raise ShapeError(f"axis {a} is out of bounds for an array with {ndim} axes")
    return a if a < 0 else a - ndim
