"""The derivatives of elementwise and linear operations, on plain values and on traced ones alike.

Which kind has which rule is one table, in `chainrule.diff.kinds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DerivativeError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import ByKind, Op, variable
from ..ir.recording import Handle
from ..ops.arithmetic import alias
from ..ops.broadcasting import broadcast_to, sum_to
from ..ops.complex import real
from ..ops.kinds import Elementwise, Linear
from ..ops.shape import cast
from ..trace.array import Array, recording_kind
from ..trace.handles import dtype_of, recorded

_float64 = np.float64


def leaf(x: Any) -> Array:
    """A fresh variable with the value of `x`, tied to `x` when that is traced itself."""
    if recorded(x):
        value = x.node.value
        return type(x)(Node(alias, (x.node,), NO_PARAMS, _float64(value) if type(value) is float else value))
    value = x if isinstance(x, (Handle, np.ndarray)) else np.asarray(x)[()]
    return recording_kind()(Node(variable, (), NO_PARAMS, value))


def zeros_of(x: Any) -> Any:
    """A plain zero of the same shape and dtype."""
    return np.zeros(np.shape(x), dtype_of(x))[()]


def fit(ct: Any, x: Any) -> Any:
    """A cotangent brought to the shape and dtype of the input it belongs to."""
    if type(ct) is _float64 and type(x) is _float64:
        return ct
    if ct.shape != x.shape:
        ct = sum_to(ct, x.shape)
    return ct if ct.dtype == x.dtype else _typed(ct, x.dtype)


def spread(t: Any, out: Any) -> Any:
    """A tangent brought to the shape and dtype of the output it belongs to."""
    if np.shape(t) != np.shape(out):
        t = broadcast_to(t, shape=np.shape(out))
    return _typed(t, dtype_of(out))


def _typed(x: Any, dtype: np.dtype[Any]) -> Any:
    have = dtype_of(x)
    if dtype.kind not in "fc" or have == dtype:
        return x
    if have.kind == "c" and dtype.kind == "f":  # only the real part reaches a real number
        x = real(x)
    return x if dtype_of(x) == dtype else cast(x, dtype=dtype)


# ---- elementwise: the local partials -------------------------------------------------------------------------


def elementwise_vjp(
    op: Elementwise, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The cotangent times the local partial."""
    found: list[Any] = []
    for k in positions:
        partial, c = op.partials[k], None
        if callable(partial):
            c = fit(ct * (partial(*args, out, **params) if params else partial(*args, out)), args[k])
        elif partial is not None:
            c = fit(ct if partial == 1 else -ct if partial == -1 else ct * partial, args[k])
        found.append(c)
    return found


def elementwise_jvp(op: Elementwise, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The sum of the tangents times the local partials."""
    total = None
    for partial, t in zip(op.partials, ts, strict=True):
        if t is None or partial is None:
            continue
        term = t * partial(*args, out, **params) if callable(partial) else t if partial == 1 else t * partial
        total = term if total is None else total + term
    return None if total is None else spread(total, out)


# ---- linear: the operation itself, and its transposes --------------------------------------------------------


def linear_vjp(
    op: Linear, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The transposes of the cotangent."""
    if dtype_of(out).kind not in "fcO":
        return [None] * len(positions)
    found: list[Any] = []
    for k in positions:
        back = op.transpose(k, ct, args, params) if op.flows(k) else None
        found.append(back if back is None or isinstance(back, tuple) else _typed(back, dtype_of(args[k])))
    return found


def linear_jvp(op: Linear, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The operation on the tangents: on all of them at once, or on each beside the other inputs."""
    moving = [k for k, t in enumerate(ts) if t is not None and op.flows(k)]
    if not moving or dtype_of(out).kind not in "fcO":
        return None
    if op.joint:
        linear = range(len(args) if op.inputs is None else op.inputs)
        return op(
            *((zeros_of(a) if ts[k] is None else ts[k]) if k in linear else a for k, a in enumerate(args)), **params
        )
    total = None
    for k in moving:
        term = op(*(ts[k] if j == k else a for j, a in enumerate(args)), **params)
        total = term if total is None else total + term
    return total


# ---- every kind ----------------------------------------------------------------------------------------------


def nothing_back(op: Op, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: Any) -> list[Any]:
    """Of whole numbers nothing flows."""
    return [None] * len(positions)


def nothing_forward(op: Op, ts: Sequence[Any], out: Any, args: Sequence[Any], params: Any) -> None:
    """Of whole numbers nothing flows."""


def unknown(op: Op, *given: Any) -> Any:
    """Refuse an operation of no kind."""
    raise DerivativeError(
        f"{op.name} is a {type(op).__name__}, a kind of operation that has no derivative rule",
        "declare it with chainrule.ops.Elementwise, Linear, Primitive or Composite",
    )


VJP: ByKind[Any] = ByKind()  # functions of (op, positions, cotangent, output, inputs, params)
JVP: ByKind[Any] = ByKind()  # functions of (op, tangents, output, inputs, params); filled in by `chainrule.diff.kinds`


def pulled_back(op: Op, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: Any) -> list[Any]:
    """The cotangents of the inputs at `positions` (None where nothing flows)."""
    return VJP[type(op)](op, positions, ct, out, args, params)


def pushed_forward(op: Op, ts: Sequence[Any], out: Any, args: Sequence[Any], params: Any) -> Any:
    """The tangent of the output, given those of the inputs (None for zero)."""
    return JVP[type(op)](op, ts, out, args, params)
