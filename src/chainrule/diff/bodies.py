"""The derivatives of operations that have a body: by running the body and walking over what it recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir.graph import Bundle
from ..ir.recording import Handle
from ..ops.kinds import Composite
from ..ops.structured import Structured
from ..trace.handles import dtype_of, kind_of
from .rules import fit, leaf
from .walk import forward, reverse


def opened(
    body: Callable[..., Any], args: Sequence[Any], params: dict[str, Any], listed: bool = False
) -> tuple[list[Any], Any]:
    """Run the body of an operation on fresh variables: their nodes, and the result."""
    handles = [leaf(a) if isinstance(a, Handle) or dtype_of(a).kind in "fc" else a for a in args]
    nodes = [h.node if isinstance(h, Handle) else None for h in handles]
    return nodes, body(handles) if listed else body(*handles, **params)


def composite_vjp(
    op: Composite, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The declared pullback, or backward through the body."""
    if op.pullback is not None:
        return [fit(op.pullback(k, ct, out, *args, **params), args[k]) if op.flows(k) else None for k in positions]
    leaves, result = opened(op.body, args, params)
    if not isinstance(result, Handle):
        return [None] * len(positions)
    wanted = [k for k in positions if leaves[k] is not None and op.flows(k)]
    found = reverse([result.node], [ct], [leaves[k] for k in wanted], live=kind_of((ct, *args)))
    return [dict(zip(wanted, found, strict=True)).get(k) for k in positions]


def structured_vjp(
    op: Structured, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """Backward through the graph, whose values are computed again."""
    leaves, results = opened(params["graph"].replay, args, {}, listed=True)
    outputs = [(r.node, c) for r, c in zip(results, ct, strict=True) if isinstance(r, Handle) and c is not None]
    live = kind_of((*args, *ct))
    return reverse(
        [o for o, _ in outputs], [c for _, c in outputs], [leaves[k] for k in positions], live=live, release=True
    )


def composite_jvp(op: Composite, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """Forward through the body."""
    leaves, result = opened(op.body, args, params)
    pairs = [(v, t) for v, t in zip(leaves, ts, strict=True) if v is not None and t is not None]
    if not isinstance(result, Handle) or not pairs:
        return None
    live = kind_of((*args, *ts))
    return forward([v for v, _ in pairs], [t for _, t in pairs], [result.node], live=live)[0]


def structured_jvp(op: Structured, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """Forward through the graph."""
    leaves, results = opened(params["graph"].replay, args, {}, listed=True)
    pairs = [(v, t) for v, t in zip(leaves, ts, strict=True) if v is not None and t is not None]
    live = kind_of((*args, *ts))
    nodes = [r.node for r in results if isinstance(r, Handle)]
    found = iter(forward([v for v, _ in pairs], [t for _, t in pairs], nodes, live=live))
    return Bundle(next(found) if isinstance(r, Handle) else None for r in results)
