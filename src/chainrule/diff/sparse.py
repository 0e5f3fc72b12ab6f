"""Sparse Jacobians: the pattern from the graph, columns compressed by colouring (Curtis, Powell and Reid, 1974)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.node import Node, reachable
from ..ir.recording import Handle
from ..ops import Composite
from ..trace.calls import Trace, name_of, select, traced_call
from ..trace.tree import flatten
from .bodies import opened
from .rules import leaf
from .transforms import pushed

LARGEST = 50_000_000  # entries of a pattern; above it the Jacobian is dense in all but name


def sparsity(f: Callable[..., Any], *args: Any, argnum: int = 0) -> Any:
    """The pattern of the Jacobian of `f` at a point: where an entry can differ from zero, whatever the values.

    Args:
        f: a function of arrays that returns an array.
        args: the point; only its shapes, and the branches that are taken there, matter.
        argnum: by which argument.

    Returns:
        A boolean `scipy.sparse` array of shape (size of the output, size of the argument).

    >>> sparsity(lambda x: x[1:] - x[:-1], np.ones(3)).toarray().astype(int)
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    return _pattern(_single(f, args, argnum))


def _single(f: Callable[..., Any], args: Any, argnum: int) -> Trace:
    t = traced_call(f, select(f, tuple(args), {}, argnum), leaf)
    if len(t.leaves) != 1 or len(t.outputs) != 1:
        raise InputError(
            f"a sparse Jacobian is of one array by one array; {name_of(f)} has {len(t.leaves)} inputs and {len(t.outputs)} outputs",
            "ravel and concatenate them",
        )
    if t.live is not None:
        raise InputError("a sparse Jacobian cannot be differentiated further", "use jacobian without sparsity")
    return t


def _pattern(t: Trace) -> Any:
    import scipy.sparse as sp

    source, out = t.leaves[0], t.outputs[0]
    n = math.prod(source.shape)
    if not isinstance(out, Handle):
        return sp.csr_array((int(np.size(out)), n), dtype=bool)
    known: dict[Node, Any] = {source: sp.csr_array(sp.eye_array(n)).astype(np.int8)}
    for node in reachable([out.node], source.order):
        if node is not source and any(
            type(i) is Node and i in known and node.op.flows(k) for k, i in enumerate(node.inputs)
        ):
            known[node] = _of_node(node, known)
    found = known.get(out.node)
    return sp.csr_array((math.prod(out.shape), n), dtype=bool) if found is None else sp.csr_array(found.astype(bool))


def _of_node(node: Node, known: dict[Node, Any]) -> Any:
    """The pattern of a node from those of its inputs."""
    import scipy.sparse as sp

    n = next(iter(known.values())).shape[1]
    size = math.prod(node.shape)
    total = sp.csr_array((size, n), dtype=np.int8)
    for k, i in enumerate(node.inputs):
        if type(i) is Node and i in known and node.op.flows(k):
            local = _local(node, k)
            part = known[i] if local is None else local @ known[i]
            total = total + part
            if total.nnz > LARGEST:
                raise ShapeError(
                    f"the Jacobian has more than {LARGEST:,} entries that can differ from zero",
                    "use hvp, jvp or vjp products instead",
                )
    total.data[:] = 1
    return total


def _local(node: Node, k: int) -> Any:
    """The pattern of the map from input k to the node; None for the identity."""
    import scipy.sparse as sp

    i: Any = node.inputs[k]
    size, inner = math.prod(node.shape), math.prod(i.shape)
    op = node.op
    entries = np.arange(1, inner + 1).reshape(i.shape)
    if op.entrywise:
        where = np.broadcast_to(entries, node.shape).reshape(-1)
        return None if i.shape == node.shape else _selecting(where, size, inner)
    values = node.values
    if op.moves:
        moved = [entries if j == k else np.zeros(np.shape(v), int) if op.flows(j) else v for j, v in enumerate(values)]
        return _selecting(np.asarray(op.value(*moved, **node.params)).reshape(-1), size, inner)
    found = op.pattern and op.pattern(node, k)
    if found:
        return sp.csr_array((np.ones(len(found[0]), np.int8), found), shape=(size, inner))
    if isinstance(op, Composite):
        return _opened(node, k)
    if size * inner > LARGEST:
        raise ShapeError(
            f"every entry of {op.name} can depend on every entry of its input ({size:,} x {inner:,})",
            "use hvp, jvp or vjp products instead",
        )
    return sp.csr_array(np.ones((size, inner), np.int8))


def _opened(node: Node, k: int) -> Any:
    """A composite's pattern, through its body."""
    values = node.values
    leaves, result = opened(node.op.body, values, node.params)  # type: ignore[arg-type]
    inner = Trace([leaves[k]], [], [False], [result], flatten(0.0)[1], None, None)
    return _pattern(inner).astype(np.int8)


def _selecting(where: Any, size: int, inner: int) -> Any:
    """The pattern that takes entry `where[r] - 1` for row r, and nothing where it is zero."""
    import scipy.sparse as sp

    rows = np.flatnonzero(where)
    return sp.csr_array((np.ones(len(rows), np.int8), (rows, where[rows] - 1)), shape=(size, inner))


def colours(pattern: Any) -> Any:
    """A colour for every column such that columns of one colour share no row; greedy, in order.

    Returns:
        An integer array, colours counted from zero.
    """
    rows, columns = pattern.tocsr(), pattern.tocsc()
    indptr, indices, cptr, cind = (
        rows.indptr.tolist(),
        rows.indices.tolist(),
        columns.indptr.tolist(),
        columns.indices.tolist(),
    )
    colour = [-1] * pattern.shape[1]
    for c in range(pattern.shape[1]):
        used = {colour[j] for r in cind[cptr[c] : cptr[c + 1]] for j in indices[indptr[r] : indptr[r + 1]]}
        k = 0
        while k in used:
            k += 1
        colour[c] = k
    return np.array(colour)


def sparse_jacobian(f: Callable[..., Any], argnum: int, pattern: Any, args: tuple[Any, ...]) -> Any:
    """The Jacobian as a `scipy.sparse` array, from one forward pass for every colour."""
    import scipy.sparse as sp

    t = _single(f, args, argnum)
    source = t.leaves[0]
    pattern = _pattern(t) if isinstance(pattern, str) else sp.csr_array(pattern).astype(bool)
    shape = (math.prod(np.shape(t.outputs[0])), math.prod(source.shape))
    if pattern.shape != shape:
        raise ShapeError(
            f"the pattern has shape {pattern.shape}, the Jacobian {shape}",
            "give the pattern of output entries by input entries",
        )
    colour = colours(pattern)
    entries = pattern.tocoo()
    data = np.zeros(entries.nnz, source.dtype)
    for c in range(int(colour.max(initial=-1)) + 1):
        direction = (colour == c).astype(source.dtype).reshape(source.shape)[()]
        column = np.asarray(flatten(pushed(t, [s.build(iter([direction])) for s in t.structure]))[0][0]).reshape(-1)
        mine = colour[entries.col] == c
        data[mine] = column[entries.row[mine]]
    return sp.csr_array((data, (entries.row, entries.col)), shape=shape)
