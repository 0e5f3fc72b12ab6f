"""Views: tensors that share the memory of another, and follow it when it is changed."""

from __future__ import annotations

from typing import Any

from ..ir.op import Op
from ..ir.recording import Handle, View, record


def view(base: Any, op: Op, **params: Any) -> Any:
    """The result of an operation that only looks at `base` in another way, tied to it; plain values are looked at as they are."""
    if not isinstance(base, Handle):
        return op(base, **params)  # type: ignore[operator]
    made = record(op, (base,), params)
    return type(made)(made.node, View(base, op, params))
