"""Functions with derivative rules written by their users."""

from __future__ import annotations

from typing import Any

from ..ir.graph import Bundle
from .kinds import Operation


class Custom(Operation):
    """A call of a user's function whose derivative the user gives; `call` holds the function and its rules."""

    def flows(self, i: int) -> bool:
        return True


def _value(*args: Any, call: Any) -> Any:
    results = call.run(args)
    return results[0] if call.single else Bundle(results)


custom = Custom(
    "custom",
    _value,
    text=lambda args, node: f"{node.params['call'].name}({', '.join(args)})",
    public=False,
    doc="A function of the user's, with the user's derivative rule.",
)
