"""The derivatives of primitives: the declared one, and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.graph import Bundle
from ..ir.node import reachable
from ..ir.recording import Handle
from ..ops.primitive import Primitive
from ..trace.handles import kind_of
from .rules import fit, leaf, spread, zeros_of
from .walk import active_nodes, reverse


def primitive_jvp(op: Primitive, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The declared tangent."""
    outputs = op.unpacked(out)
    made = [
        None if t is None else spread(t, o)
        for t, o in zip(_tangents(op, ts, outputs, args, params), outputs, strict=True)
    ]
    return Bundle(made) if op.outputs else made[0]


def _tangents(
    op: Primitive, ts: Sequence[Any], outputs: list[Any], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    found = op.jvp(ts, outputs, *args, **params) if op.outputs else [op.jvp(ts, outputs[0], *args, **params)]
    if not isinstance(found, (tuple, list)) or len(found) != len(outputs):
        raise InputError(
            f"the jvp of {op.name} returned no list of {len(outputs)} tangents",
            f"return one for each of {', '.join(op.outputs)}, None for zero",
        )
    for t, o in zip(found, outputs, strict=True):
        if t is not None:
            _reaches(op, "jvp", "a tangent", t, np.shape(t), np.shape(o))
    return list(found)


def primitive_vjp(
    op: Primitive, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The declared cotangents, or the transpose of the tangent."""
    outputs, given = op.unpacked(out), NotImplemented
    if op.vjp is not None:
        given = op.vjp(*((list(ct), outputs) if op.outputs else (ct, out)), *args, **params)
    if given is NotImplemented:
        return _transposed(op, positions, ct, outputs, args, params)
    count = len(args) if op.inputs is None else op.inputs
    if not isinstance(given, (tuple, list)) or len(given) != count:
        raise InputError(
            f"the vjp of {op.name} returned no tuple of {count} cotangents",
            "return one for each input, None for one through which nothing flows",
        )
    found: list[Any] = []
    for k in positions:
        c = given[k] if op.flows(k) else None
        if c is not None:
            c = c if hasattr(c, "shape") else np.asarray(c)[()]
            _reaches(op, "vjp", "a cotangent", c, np.shape(args[k]), c.shape)
            c = fit(c, args[k])
        found.append(c)
    return found


def _reaches(op: Primitive, rule: str, what: str, x: Any, small: tuple[int, ...], large: tuple[int, ...]) -> None:
    """Refuse what a rule gives in another shape than broadcasting could make of it."""
    if small == large:
        return
    try:
        fits = np.broadcast_shapes(small, large) == large
    except ValueError:
        fits = False
    if not fits:
        wanted = large if rule == "jvp" else small
        raise ShapeError(
            f"the {rule} of {op.name} returned {what} of shape {np.shape(x)}, where one of {wanted} belongs",
            "return it in that shape",
        )


def _transposed(
    op: Primitive, positions: Sequence[int], ct: Any, outputs: list[Any], args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The tangent is linear in the tangents of the inputs: go backward through it from zero."""
    moving = {k: leaf(zeros_of(args[k])) for k in positions if op.flows(k)}
    results = _tangents(op, [moving.get(k) for k in range(len(args))], outputs, args, params)
    cts = ct if op.outputs else (ct,)
    ends = [(r.node, c) for r, c in zip(results, cts, strict=True) if isinstance(r, Handle) and c is not None]
    leaves = [h.node for h in moving.values()]
    nodes = reachable([n for n, _ in ends], min((v.order for v in leaves), default=0))
    if any(n.op is op for n in active_nodes(nodes, leaves)):
        raise InputError(
            f"the jvp of {op.name} applies {op.name} itself to a tangent, so its transpose would need itself",
            "give a vjp too",
        )
    found = reverse([n for n, _ in ends], [c for _, c in ends], leaves, live=kind_of((*args, *cts)), nodes=nodes)
    by_place = dict(zip(moving, found, strict=True))
    return [None if by_place.get(k) is None else fit(by_place[k], args[k]) for k in positions]
