"""Shape rules that many operations share: the shape and dtype of a value that is not computed while tracing for `jit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.node import Spec
from ..ir.op import Op

Params = Mapping[str, Any]
_dtypes: dict[Any, np.dtype[Any]] = {}


def _example(v: Any) -> Any:
    """A number of the same dtype, strong or weak."""
    return v if type(v) in (bool, int, float, complex) else np.ones((), Spec.of(v).dtype)[()]


def _dtype(op: Op, values: Sequence[Any], params: Params, examples: Sequence[Any]) -> np.dtype[Any]:
    key = (
        op,
        tuple(type(v) if type(v) in (bool, int, float, complex) else Spec.of(v).dtype for v in values),
        repr(params),
    )
    if key not in _dtypes:
        with np.errstate(all="ignore"):
            _dtypes[key] = np.asarray(op.value(*examples, **params)).dtype
    return _dtypes[key]


def elementwise(op: Op, values: Sequence[Any], params: Params) -> Spec:
    """The shapes broadcast; the dtype is that of the value of numbers."""
    shape = np.broadcast_shapes(*(np.shape(v) for v in values))
    return Spec(shape, _dtype(op, values, params, [_example(v) for v in values]))


def reduced(op: Op, values: Sequence[Any], params: Params) -> Spec:
    """Without the axes that are reduced, or with length one there."""
    x = Spec.of(values[0])
    small = np.ones((1,) * len(x.shape), x.dtype)
    dtype = _dtype(op, values, {k: v for k, v in params.items() if k != "ddof"}, [small])
    axes = {a % len(x.shape) for a in params["axis"]} if x.shape else set()
    keep = params.get("keepdims", False)
    return Spec(tuple(1 if k in axes else n for k, n in enumerate(x.shape) if keep or k not in axes), dtype)


def like_first(op: Op, values: Sequence[Any], params: Params) -> Spec:
    """As the first input."""
    x = Spec.of(values[0])
    return Spec(x.shape, x.dtype)


def like_floats(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    """As the first input where that is floating point; integers may become something else."""
    return like_first(op, values, params) if Spec.of(values[0]).dtype.kind == "f" else None


def given(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    """The shape is a parameter."""
    shape = params["shape"]
    return None if -1 in shape else Spec(tuple(shape), Spec.of(values[0]).dtype)


def common(values: Sequence[Any]) -> np.dtype[Any]:
    """The dtype in which the inputs meet."""
    return np.result_type(*(Spec.of(v).dtype for v in values))
