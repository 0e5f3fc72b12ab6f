"""The derivatives of primitives: the declared one, and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.graph import Bundle
from ..ir.recording import Handle
from ..ops.primitive import Primitive
from ..trace.handles import kind_of
from .rules import fit, leaf, spread, zeros_of
from .walk import reverse


def _outputs(op: Primitive, out: Any) -> Any:
    return out if not op.outputs else op.unpacked(out)


def primitive_jvp(op: Primitive, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The declared tangent."""
    outputs = _outputs(op, out)
    found = op.jvp(ts, outputs, *args, **params)
    if not op.outputs:
        return spread(found, outputs)
    return Bundle(None if t is None else spread(t, o) for t, o in zip(found, outputs, strict=True))


def primitive_vjp(
    op: Primitive, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The declared cotangents, or the transpose of the tangent."""
    given = NotImplemented
    if op.vjp is not None:
        given = op.vjp(list(ct) if op.outputs else ct, _outputs(op, out), *args, **params)
    if given is NotImplemented:
        return _transposed(op, positions, ct, out, args, params)
    found = [given[k] if op.flows(k) else None for k in positions]
    return [None if c is None else fit(c, args[k]) for c, k in zip(found, positions, strict=True)]


def _transposed(
    op: Primitive, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The tangent is linear in the tangents of the inputs: go backward through it from zero."""
    moving = {k: leaf(zeros_of(args[k])) for k in positions if op.flows(k)}
    tangents = [moving.get(k) for k in range(len(args))]
    results = op.jvp(tangents, _outputs(op, out), *args, **params)
    pairs = zip([results], [ct], strict=True) if not op.outputs else zip(results, ct, strict=True)
    outputs = [(r.node, c) for r, c in pairs if isinstance(r, Handle) and c is not None]
    values = (*args, *(ct if isinstance(ct, tuple) else (ct,)))
    found = reverse(
        [n for n, _ in outputs], [c for _, c in outputs], [h.node for h in moving.values()], live=kind_of(values)
    )
    by_place = dict(zip(moving, found, strict=True))
    return [None if by_place.get(k) is None else fit(by_place[k], args[k]) for k in positions]
