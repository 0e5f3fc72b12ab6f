"""How each kind of operation is carried out on a whole batch; axes are counted from the end, so most work as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TraceError
from ..ir.graph import Bundle
from ..ir.op import Op
from ..ir.recording import Handle, setting
from ..ops import Composite, Elementwise
from ..ops import indexing as ix
from ..ops import linalg as la
from ..ops import shape as sh
from ..ops.broadcasting import reshape
from ..ops.structured import Structured, picked
from ..trace.array import array_at
from .batching import BY_KIND, RULES, bottom, spread, vmap
from .checkpointing import checkpoint


def _ndim(x: Any, each: bool) -> int:
    return len(np.shape(x)) - each


def lifted(x: Any, each: bool, ndim: int) -> Any:
    """A batched value with axes of length one behind its batch axis, so that its examples have `ndim` axes."""
    missing = ndim - _ndim(x, each)
    if not each or missing <= 0:
        return x
    shape = np.shape(x)
    return reshape(x, shape=(shape[0], *(1,) * missing, *shape[1:]))


def elementwise(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Broadcasting aligns axes from the end; the batch axis stays in front."""
    ndim = max(map(_ndim, values, each))
    return op(*map(lifted, values, each, (ndim,) * len(values)), **params)


def along(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Operations whose axes are counted from the end work as they are, once every input has the batch axis."""
    return op(*(spread(v, e, n) for v, e in zip(values, each, strict=True)), **params)


def body(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A composite of the user's: batch what it is made of."""
    return _mapped(lambda *args: op.body(*args, **params), values, each)


def one_by_one(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Any operation: for one example after another."""
    if n == 0:
        raise TraceError(f"{op.name} over a batch of no examples: the shape of its result is not known", "give one")
    results = [op(*(v[k] if e else v for v, e in zip(values, each, strict=True)), **params) for k in range(n)]
    found = bottom(results[0])
    if not isinstance(found, tuple):
        return sh.stack(*results, axis=-1 - np.ndim(found))
    several = [picked(r, len(found)) if isinstance(r, Handle) else r for r in results]
    return Bundle(sh.stack(*r, axis=-1 - np.ndim(r[0])) for r in zip(*several, strict=True))


def _mapped(f: Callable[..., Any], values: list[Any], each: list[bool]) -> Any:
    return vmap(f, in_axes=tuple(0 if e else None for e in each))(*values)


def _reshape(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], shape=(n, *params["shape"]))


def _transpose(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], axes=(-len(params["axes"]) - 1, *params["axes"]))


def _broadcast(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(lifted(values[0], True, len(params["shape"])), shape=(n, *params["shape"]))


def _pad(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return op(values[0], width=((0, 0), *params["width"]))


def _search(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    axis = params.get("axis")
    if axis is None:
        return op(reshape(values[0], shape=(n, int(np.prod(np.shape(values[0])[1:])))), axis=-1)
    return op(values[0], axis=axis if axis < 0 else axis + 1)


def _matmul(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """Vectors become matrices with one row or column; then the batch axes broadcast.

    A batch of vectors times one matrix is a product of two matrices.
    """
    (a, b), (na, nb) = values, map(_ndim, values, each)
    if na == 1 and nb == 2 and not each[1]:
        return op(a, b)
    if na == 2 and nb == 1 and not each[0]:
        return op(b, la.matrix_transpose(a))
    if na == 1:
        a = reshape(a, shape=(*np.shape(a)[:-1], 1, np.shape(a)[-1]))
    if nb == 1:
        b = reshape(b, shape=(*np.shape(b), 1))
    ndim = max(na, nb, 2)
    out = op(lifted(a, each[0], ndim), lifted(b, each[1], ndim))
    shape = np.shape(out)
    tail = (() if na == 1 else shape[-2:-1]) + (() if nb == 1 else shape[-1:])
    return out if na > 1 and nb > 1 else reshape(out, shape=(*shape[:-2], *tail))


def _outer(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    left, right = (("z" if e else "") + letter for e, letter in zip(each, "ij", strict=True))
    return la.einsum(*values, subscripts=f"{left},{right}->zij")


def _einsum(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    inputs, output = params["subscripts"].split("->")
    letter = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in params["subscripts"])
    terms = [letter * e + t for t, e in zip(inputs.split(","), each, strict=True)]
    return op(*values, subscripts=f"{','.join(terms)}->{letter}{output}")


# ---- indexing ------------------------------------------------------------------------------------------------


def _index(template: tuple[Any, ...], arrays: list[Any], each: list[bool], n: int) -> tuple[tuple[Any, ...], list[Any]]:
    """The index of the whole batch, its batch axis in front, for arrays that stand together or are the same for all."""
    if not any(each) and _adjacent(template):
        return (slice(None), *template), arrays
    if any(np.asarray(bottom(a)).dtype == bool and e for a, e in zip(arrays, each, strict=True)):
        raise TraceError(
            "indexing with a mask that differs between examples has no fixed shape under vmap",
            "use np.where(mask, x, 0)",
        )
    expanded: list[Any] = []
    flags: list[bool] = []
    slots: list[Any] = []
    rest = iter(zip(arrays, each, strict=True))
    for part in template:
        if part is not ix.HERE:
            slots.append(part)
            continue
        a, e = next(rest)
        found = np.nonzero(a) if np.asarray(bottom(a)).dtype == bool else (a,)
        slots += [ix.HERE] * len(found)
        expanded += found
        flags += [e] * len(found)
    ndim = max(map(_ndim, expanded, flags))
    lead = np.arange(n).reshape(n, *(1,) * ndim)
    return (ix.HERE, *slots), [lead, *(lifted(a, e, ndim) for a, e in zip(expanded, flags, strict=True))]


def _adjacent(template: tuple[Any, ...]) -> bool:
    """Whether the arrays of an index stand next to each other, so that their axes stay in their place."""
    kinds = [part is ix.HERE or isinstance(part, (int, np.integer)) for part in template]
    if not any(part is ix.HERE for part in template):
        return True
    first, last = kinds.index(True), len(kinds) - kinds[::-1].index(True)
    return all(kinds[first:last])


def _front(template: tuple[Any, ...]) -> bool:
    """Whether the axes of the arrays come first in what is taken."""
    return not _adjacent(template) or template[0] is ix.HERE


def _getitem(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, *arrays = values
    template = params["index"]
    if each[0] and not any(each[1:]) and _adjacent(template):
        return op(x, *arrays, index=(slice(None), *template))
    if not _front(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[1:] or [False], n)
    return op(spread(x, each[0], n), *arrays, index=index)


def _scatter(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    v, *arrays = values
    template = params["index"]
    if (any(each[1:]) and not _front(template)) or not _adjacent(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[1:], n)
    return op(spread(v, each[0], n), *arrays, index=index, shape=(n, *params["shape"]))


def _write(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    x, v, *arrays = values
    template = params["index"]
    if (any(each[2:]) and not _front(template)) or not _adjacent(template):
        return one_by_one(op, values, each, params, n)
    index, arrays = _index(template, arrays, each[2:], n)
    x = spread(x, each[0], n)
    probe = np.empty(np.shape(x), bool)[ix.filled(index, tuple(bottom(a) for a in arrays))]
    more = _ndim(v, each[1]) - (probe.ndim - 1)
    if more > 0:  # NumPy drops axes of length one in front of what is written
        shape = np.shape(v)
        v = reshape(v, shape=shape[:1] + shape[1 + more :] if each[1] else shape[more:])
    return op(x, lifted(v, each[1], probe.ndim - 1), *arrays, index=index)


def _call(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A checkpointed call: its body is batched, and stays checkpointed where it is recorded."""

    def run(*args: Any) -> list[Any]:
        return _mapped(lambda *xs: params["graph"].replay(xs), list(args), each)

    level = max(((v.rank + 5) // 10 for v in values if isinstance(v, Handle)), default=0)
    with setting(level=level, array=array_at(level) if level else None, depth=0):  # where the values are recorded
        return Bundle(checkpoint(run)(*values))


def _pick(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    return values[0][params["index"]]


def _loop(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    """A loop of a fixed number of steps: one loop over the whole batch."""
    return Bundle(_mapped(lambda *xs: list(op.value(*xs, **params)), values, each))


RULES.update(
    {
        "reshape": _reshape,
        "transpose": _transpose,
        "broadcast_to": _broadcast,
        "pad": _pad,
        "argmax": _search,
        "argmin": _search,
        "argsort": _search,
        "matmul": _matmul,
        "outer": _outer,
        "einsum": _einsum,
        "getitem": _getitem,
        "scatter": _scatter,
        "index_set": _write,
        "index_add": _write,
        "cast": elementwise,
        "pick": _pick,
        "scan": _loop,
        **dict.fromkeys(("sum", "concatenate", "stack", "flip", "roll", "tril", "triu", "cumsum"), along),
        **dict.fromkeys(
            ("mean", "prod", "var", "std", "reduce_max", "reduce_min", "logsumexp", "softmax", "log_softmax"), along
        ),
    }
)
BY_KIND.update({Op: one_by_one, Elementwise: elementwise, Composite: body, Structured: _call})
