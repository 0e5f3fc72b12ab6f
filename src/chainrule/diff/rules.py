"""The derivatives of elementwise and linear operations, on plain values and on traced ones alike.

The kinds made of others (composite, structured) have theirs in `chainrule.diff.bodies`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        return type(x)(
            Node(alias, (x.node,), NO_PARAMS, np.asarray(value)[()] if type(value) in (float, complex) else value)
        )
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


# ---- reverse: the cotangent of input k -----------------------------------------------------------------------


def _elementwise_vjp(op: Elementwise, k: int, ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    partial = op.partials[k]
    if callable(partial):
        return fit(ct * (partial(*args, out, **params) if params else partial(*args, out)), args[k])
    if partial is None:
        return None
    return fit(ct if partial == 1 else -ct if partial == -1 else ct * partial, args[k])


def _linear_vjp(op: Linear, k: int, ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    if not op.flows(k) or dtype_of(out).kind not in "fcO":
        return None
    back = op.transpose(k, ct, args, params)
    return back if isinstance(back, tuple) else _typed(back, dtype_of(args[k]))


VJP: ByKind[Any] = ByKind({Elementwise: _elementwise_vjp, Linear: _linear_vjp})

# For operations with bodies, all inputs at once: functions of (op, positions, ct, out, args, params) giving a list.
WHOLE_VJP: ByKind[Any] = ByKind()


def pulled_back(op: Op, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: Any) -> list[Any]:
    """The cotangents of the inputs at `positions` (None where nothing flows)."""
    rule = VJP[type(op)]
    if rule is None:
        return _known(WHOLE_VJP, op)(op, positions, ct, out, args, params)
    return [rule(op, k, ct, out, args, params) for k in positions]


# ---- forward: the tangent of the output ----------------------------------------------------------------------


def _elementwise_jvp(op: Elementwise, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    total = None
    for partial, t in zip(op.partials, ts, strict=True):
        if t is None or partial is None:
            continue
        term = t * partial(*args, out, **params) if callable(partial) else t if partial == 1 else t * partial
        total = term if total is None else total + term
    return None if total is None else spread(total, out)


def _linear_jvp(op: Linear, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
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


JVP: ByKind[Any] = ByKind({Elementwise: _elementwise_jvp, Linear: _linear_jvp})


def pushed_forward(op: Op, ts: Sequence[Any], out: Any, args: Sequence[Any], params: Any) -> Any:
    """The tangent of the output, given those of the inputs (None for zero)."""
    return _known(JVP, op)(op, ts, out, args, params)


def _known(rules: ByKind[Any], op: Op) -> Callable[..., Any]:
    rule = rules[type(op)]
    if rule is None:
        raise DerivativeError(
            f"{op.name} is a {type(op).__name__}, a kind of operation that has no derivative rule",
            "declare it with chainrule.ops.Elementwise, Linear or Composite",
        )
    return rule
