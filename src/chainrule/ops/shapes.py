"""The shapes and dtypes of results, for operations whose value is not computed while tracing for `jit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir.deferred import SHAPES, settled
from ..ir.graph import Bundle
from ..ir.node import Spec
from ..ir.op import Op

Params = Mapping[str, Any]
_dtypes: dict[Any, np.dtype[Any]] = {}


def shape_rule(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the rule of operations."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        for n in names:
            SHAPES[n] = rule
        return rule

    return register


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


@shape_rule("elementwise")
def _elementwise(op: Op, values: Sequence[Any], params: Params) -> Spec:
    shape = np.broadcast_shapes(*(np.shape(v) for v in values))
    return Spec(shape, _dtype(op, values, params, [_example(v) for v in values]))


@shape_rule("sum", "reduce_max", "reduce_min", "prod", "mean", "var", "std", "logsumexp")
def _reduction(op: Op, values: Sequence[Any], params: Params) -> Spec:
    x = Spec.of(values[0])
    small = np.ones((1,) * len(x.shape), x.dtype)
    dtype = _dtype(op, values, {k: v for k, v in params.items() if k != "ddof"}, [small])
    axes = {a % len(x.shape) for a in params["axis"]} if x.shape else set()
    keep = params.get("keepdims", False)
    return Spec(tuple(1 if k in axes else n for k, n in enumerate(x.shape) if keep or k not in axes), dtype)


@shape_rule("softmax", "log_softmax", "cumsum", "flip", "roll", "tril", "triu", "gelu", "silu")
def _same(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    x = Spec.of(values[0])
    return Spec(x.shape, x.dtype) if x.dtype.kind == "f" or op.name in ("flip", "roll", "tril", "triu") else None


@shape_rule("reshape", "broadcast_to", "scatter")
def _given(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    shape = params["shape"]
    return None if -1 in shape else Spec(tuple(shape), Spec.of(values[0]).dtype)


@shape_rule("index_set", "index_add", "alias")
def _first(op: Op, values: Sequence[Any], params: Params) -> Spec:
    x = Spec.of(values[0])
    return Spec(x.shape, x.dtype)


@shape_rule("cast")
def _cast(op: Op, values: Sequence[Any], params: Params) -> Spec:
    return Spec(Spec.of(values[0]).shape, np.dtype(params["dtype"]))


@shape_rule("transpose")
def _transpose(op: Op, values: Sequence[Any], params: Params) -> Spec:
    x = Spec.of(values[0])
    return Spec(tuple(x.shape[a] for a in params["axes"]), x.dtype)


@shape_rule("getitem")
def _getitem(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    from .indexing import filled

    x = Spec.of(values[0])
    arrays = tuple(settled(v) for v in values[1:])
    if any(np.asarray(a).dtype.kind == "b" for a in arrays):
        return None
    empty = np.broadcast_to(np.zeros((), np.int8), x.shape)
    return Spec(empty[filled(params["index"], arrays)].shape, x.dtype)


@shape_rule("matmul")
def _matmul(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    a, b = Spec.of(values[0]), Spec.of(values[1])
    if not a.shape or not b.shape or a.shape[-1] != b.shape[-2 if len(b.shape) > 1 else -1]:
        return None  # NumPy says what is wrong
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, *(a.shape[-2:-1] if len(a.shape) > 1 else ()), *(b.shape[-1:] if len(b.shape) > 1 else ()))
    return Spec(shape, np.result_type(a.dtype, b.dtype))


@shape_rule("affine")
def _affine(op: Op, values: Sequence[Any], params: Params) -> Spec | None:
    x, w = Spec.of(values[0]), Spec.of(values[1])
    if not x.shape or x.shape[-1] != w.shape[1]:
        return None
    return Spec((*x.shape[:-1], w.shape[0]), np.result_type(*(Spec.of(v).dtype for v in values)))


@shape_rule("outer")
def _outer(op: Op, values: Sequence[Any], params: Params) -> Spec:
    a, b = Spec.of(values[0]), Spec.of(values[1])
    return Spec((*a.shape, *b.shape), np.result_type(a.dtype, b.dtype))


@shape_rule("einsum")
def _einsum(op: Op, values: Sequence[Any], params: Params) -> Spec:
    terms, out = params["subscripts"].split("->")
    sizes: dict[str, int] = {}
    for t, v in zip(terms.split(","), values, strict=True):
        sizes.update(zip(t, Spec.of(v).shape, strict=True))
    return Spec(tuple(sizes[c] for c in out), np.result_type(*(Spec.of(v).dtype for v in values)))


@shape_rule("concatenate", "stack")
def _joined(op: Op, values: Sequence[Any], params: Params) -> Spec:
    shapes = [list(Spec.of(v).shape) for v in values]
    dtype = np.result_type(*(Spec.of(v).dtype for v in values))
    if op.name == "stack":
        at = params["axis"] % (len(shapes[0]) + 1)
        return Spec((*shapes[0][:at], len(shapes), *shapes[0][at:]), dtype)
    at = params["axis"] % len(shapes[0])
    return Spec((*shapes[0][:at], sum(s[at] for s in shapes), *shapes[0][at + 1 :]), dtype)


@shape_rule("pick")
def _pick(op: Op, values: Sequence[Any], params: Params) -> Spec:
    return Spec.of(values[0][params["index"]])


@shape_rule("scan")
def _scan(op: Op, values: Sequence[Any], params: Params) -> Bundle:
    from .loops import rows, split

    carry, xs, same = split([settled(v) for v in values], dict(params))
    out = params["body"].run([*carry, *rows(xs, 0), *same])
    carried, length = params["carried"], params["length"]
    stacked = [Spec((length, *np.shape(y)), np.asarray(y).dtype) for y in out[carried:]]
    return Bundle([*map(Spec.of, out[:carried]), *stacked])


@shape_rule("while_loop")
def _while(op: Op, values: Sequence[Any], params: Params) -> Bundle:
    from .loops import split_while

    carry, _, inside = split_while([settled(v) for v in values], dict(params))
    return Bundle(map(Spec.of, params["body"].run([*carry, *inside])[: len(carry)]))
