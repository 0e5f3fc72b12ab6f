"""Primitive: an operation that other operations do not make up, whose derivative they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .kinds import Operation
from .structured import picked


class Primitive(Operation):
    """A value from elsewhere (a factorisation, a solver), with its derivative written in other operations.

    Args:
        value: computes it from plain inputs; a `Bundle` where there are several outputs.
        jvp: a function of (tangents, output, *inputs, **params) giving the tangent of the output. A tangent is None where
            an input does not move. With several outputs, `output` and the result are lists.
        vjp: a function of (cotangent, output, *inputs, **params) giving a cotangent for each input, None where nothing
            flows, or NotImplemented. With several outputs, `cotangent` is a list with None for zero. When it is left out, or gives
            NotImplemented, the transpose of `jvp`.
        inputs: how many inputs a derivative can flow from (the first ones).
        outputs: the names of its values, where there are several.
    """

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        jvp: Callable[..., Any],
        vjp: Callable[..., Sequence[Any]] | None = None,
        *,
        inputs: int = 1,
        outputs: Sequence[str] = (),
        **facts: Any,
    ) -> None:
        super().__init__(name, value, **facts)
        self.jvp, self.vjp, self.inputs, self.outputs = jvp, vjp, inputs, tuple(outputs)

    def flows(self, i: int) -> bool:
        return i < self.inputs

    def results(self, *args: Any, **params: Any) -> list[Any]:
        """All its values, where calling it gives them as one."""
        return self.unpacked(self(*args, **params))

    def unpacked(self, made: Any) -> list[Any]:
        """The values in what a call gave."""
        if not self.outputs:
            return [made]
        return list(made) if isinstance(made, tuple) else picked(made, len(self.outputs))
