"""Ufuncs and their methods on traced values, with NumPy's options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError, TraceError
from ...ir.entering import allowed
from ...ir.op import Op
from ...ir.recording import REJECTED, Handle, record
from ...ops import arithmetic as ar
from ...ops import broadcasting as bc
from ...ops import indexing as ix
from ...ops import piecewise as pw
from ...ops import shape as sh
from ..handles import dtype_of, operand, split_index
from ..lost import ufunc_of
from .binding import INSTEAD, Callee, put, rejected
from .dispatch import FUNCTIONS
from .signatures import EQUAL, NO_VALUE, UFUNC_METHODS

REDUCTIONS: dict[Any, Any] = {  # what `ufunc.reduce` is
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
ANYWHERE = (0.0, 1.0)  # a domain for operations that are smooth everywhere


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `__array_ufunc__` does: a ufunc, or a method of one, on arguments some of which are traced."""
    if method == "__call__":
        if ufunc is np.divmod and not options:
            return tuple(call_ufunc(u, method, inputs, options) for u in (np.floor_divide, np.remainder))
        values = tuple([operand(i) for i in inputs])
        op = ufunc_of(ufunc)
        if options:
            return _with_options(ufunc, op, values, options)
        return record(op if op.variant is None else op.variant(values), values)
    if method == "outer":
        a, b = (operand(i) for i in inputs)
        a = bc.reshape(a, shape=(*np.shape(a), *(1,) * np.ndim(b)))
        return call_ufunc(ufunc, "__call__", (a, b), options)
    name = f"np.{ufunc.__name__}.{method}"
    version = METHODS_OF_UFUNCS.get(method)
    if version is None:
        raise TraceError(f"{name} of a traced value is not supported", "write it in other operations")
    callee = _callees.get((ufunc, method))
    if callee is None:
        callee = _callees[ufunc, method] = Callee(name, UFUNC_METHODS[method], version(ufunc, name))
    return callee(inputs, options)


_callees: dict[tuple[np.ufunc, str], Callee] = {}


# ---- options of a call ---------------------------------------------------------------------------------------


def _with_options(ufunc: np.ufunc, op: Op, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    name = f"np.{ufunc.__name__}"
    rest = {k: v for k, v in options.items() if k not in HANDLED and not (v is NO_VALUE or v in EQUAL.get(k, ()))}
    order = options.get("order", "K")
    if order != "K" or rest:
        option = "order" if order != "K" else next(iter(rest))
        raise TraceError(
            f"{name} of a traced value does not take {option}={options[option]!r:.60}",
            INSTEAD.get(option, "leave it out, or write it in other operations"),
        )
    out = options.get("out", (None,))[0]
    casting, condition = options.get("casting", "same_kind"), options.get("where", True)
    if condition is not True and out is None:
        raise TraceError(f"{name}(..., where=...) leaves entries undefined", "use np.where(condition, a, b)")
    try:
        inputs = _cast_inputs(ufunc, inputs, options, casting)
        if condition is not True:
            return put(out, _masked(op, inputs, operand(condition), out), name, casting)
    except REJECTED as error:
        raise rejected(name, error) from error
    result = op(*inputs)  # type: ignore[operator]
    return result if out is None else put(out, result, name, casting)


HANDLED = ("out", "where", "dtype", "signature", "sig", "casting", "order")


def _cast_inputs(ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any], casting: str) -> tuple[Any, ...]:
    """The inputs in the dtypes of the loop that NumPy chooses for `dtype=`, `signature=` and `casting=`."""
    wanted = {k: options[k] for k in ("dtype", "signature", "sig") if options.get(k) is not None}
    if not wanted and casting == "same_kind":
        return inputs
    signature: Any = wanted.get("signature", wanted.get("sig"))
    if "dtype" in wanted:
        if signature is not None:
            raise TypeError("both dtype and signature were given")
        signature = (*(None,) * ufunc.nin, np.dtype(wanted["dtype"]))
    given = (*(type(i) if type(i) in (int, float, complex) else dtype_of(i) for i in inputs), *(None,) * ufunc.nout)
    typed = {} if signature is None else {"signature": _dtypes(signature)}
    loop = ufunc.resolve_dtypes(given, casting=casting, **typed)  # type: ignore[arg-type, call-overload]
    return tuple(sh.cast(i, dtype=allowed(d)) if dtype_of(i) != d else i for i, d in zip(inputs, loop, strict=False))


def _dtypes(signature: Any) -> Any:
    """A signature such as 'dd->d' as a tuple of dtypes."""
    if not isinstance(signature, str):
        return signature
    if "->" not in signature:
        raise TraceError(f"signature={signature!r} of a ufunc on traced values", "write it as in 'dd->d'")
    return tuple(map(np.dtype, signature.replace("->", "")))


def _masked(op: Op, inputs: tuple[Any, ...], condition: Any, out: Any) -> Any:
    """The operation where the condition holds, what `out` holds elsewhere; masked entries are out of harm's way."""
    if dtype_of(condition).kind != "b":
        raise TypeError(f"where= takes booleans, not {dtype_of(condition)}")
    smooth = op.domain or (ANYWHERE,) * len(inputs)
    kept = [
        pw.where(condition, i, dtype_of(i).type((low + high) / 2)) if dtype_of(i).kind in "fc" else i
        for i, (low, high) in zip(inputs, smooth, strict=True)
    ]
    return pw.where(condition, op(*kept), out)  # type: ignore[operator]


# ---- methods -------------------------------------------------------------------------------------------------


def _reduce(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    version = FUNCTIONS.get(REDUCTIONS.get(ufunc))
    if version is None:
        raise TraceError(f"{name} of a traced value is not supported", "write it in other operations")

    def reduce(
        array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
    ) -> Any:
        given = {"dtype": (dtype, None), "initial": (initial, NO_VALUE), "where": (where, True)}
        return version(array, axis, keepdims=keepdims, **{k: v for k, (v, d) in given.items() if v is not d})

    return reduce


def _accumulate(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    if ufunc is not np.add:
        raise TraceError(f"{name} of a traced value is not supported", "write it in other operations")

    def accumulate(array: Any, axis: Any = 0, dtype: Any = None) -> Any:
        if axis is None:
            raise ShapeError(f"{name} runs along one axis, not None")
        return FUNCTIONS[np.cumsum](array, axis=axis, dtype=dtype)

    return accumulate


def _at(ufunc: np.ufunc, name: str) -> Callable[..., Any]:
    def at(a: Any, indices: Any, b: Any = None) -> None:
        if ufunc not in (np.add, np.subtract) or not isinstance(a, Handle):
            fix = "create the target with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)"
            raise TraceError(f"{name} is supported for add and subtract on a traced target", fix)
        template, arrays = split_index(indices)
        values = operand(b) if ufunc is np.add else ar.negative(operand(b))
        if not np.can_cast(dtype_of(values), a.dtype, "same_kind"):
            raise ShapeError(f"{name}: the values are {dtype_of(values)}, and the array {a.dtype}")
        a.assign(record(ix.index_add, (a, values, *arrays), {"index": template}))  # type: ignore[attr-defined]

    return at


METHODS_OF_UFUNCS = {"reduce": _reduce, "accumulate": _accumulate, "at": _at}
