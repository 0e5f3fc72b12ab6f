"""The kinds of operation. Each declares as little as possible; `chainrule.diff.rules` derives the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir.op import Op
from ..ir.recording import Handle, record
from . import shapes

Partial = Callable[..., Any] | float | None
Transpose = Callable[..., Any] | None
ENTRYWISE: dict[str, Any] = {"shape": shapes.elementwise, "batch": "elementwise"}


class Operation(Op):
    """An operation that can be called, on plain values or on traced ones.

    Args:
        entrywise: whether it acts on each entry by itself, with NumPy's broadcasting.
    """

    def __init__(self, name: str, value: Callable[..., Any], *, entrywise: bool = False, **facts: Any) -> None:
        super().__init__(name, value, **(ENTRYWISE if entrywise else {}) | facts)
        self.entrywise = entrywise

    def __call__(self, *args: Any, **params: Any) -> Any:
        """The value on plain inputs; a recorded value when any input is traced."""
        if self.variant is not None:
            other = self.variant(args)
            if other is not self:
                return other(*args, **params)  # type: ignore[operator]
        for a in args:
            if isinstance(a, Handle):
                return record(self, args, params)
        return self.value(*args, **params)


class Discrete(Operation):
    """Gives whole numbers or truth values (a place, an order), through which nothing flows."""

    inputs = 0


class Elementwise(Operation):
    """Acts on each entry by itself, with NumPy's broadcasting.

    Args:
        partials: one local partial derivative for each input: a function of (inputs..., output, **params)
            written with ordinary operators and operations, a number, or None where nothing flows.
    """

    def __init__(self, name: str, value: Callable[..., Any], partials: Sequence[Partial], **facts: Any) -> None:
        super().__init__(name, value, entrywise=True, **facts)
        self.partials = tuple(partials)

    def flows(self, i: int) -> bool:
        return self.partials[i] is not None


class Linear(Operation):
    """Linear in some of its inputs, each taken alone.

    Args:
        transposes: for each input, a function of (cotangent, *inputs, **params) that applies the transpose
            of the linear map in that input; None where the operation is not linear and nothing flows.
            A single function of (i, cotangent, *inputs, **params) serves any number of inputs.
        joint: whether it is linear in all those inputs together (as `concatenate`), instead of in each (as `@`).
        inputs: with a single function, in how many inputs it is linear (the first ones); all when left out.
        adds: a function of (array, cotangent, *other inputs, **params) that adds the transpose in the first input into an
            array, for operations that read few of many entries.
    """

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        transposes: Sequence[Transpose] | Callable[..., Any],
        *,
        joint: bool = False,
        inputs: int | None = None,
        adds: Callable[..., None] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(name, value, **facts)
        self.transposes, self.joint, self.inputs, self.adds = transposes, joint, inputs, adds

    def flows(self, i: int) -> bool:
        if callable(self.transposes):
            return self.inputs is None or i < self.inputs
        return self.transposes[i] is not None

    def transpose(self, i: int, ct: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply the transpose of the linear map in input `i` to `ct`."""
        if callable(self.transposes):
            return self.transposes(i, ct, *args, **params)
        rule = self.transposes[i]
        return None if rule is None else rule(ct, *args, **params)


class Composite(Operation):
    """Made of other operations, but kept whole for reading; opening it shows its body.

    Args:
        body: the operation in terms of others.
        value: a faster or more stable way to the same value; the body when left out.
        pullback: a function of (i, cotangent, output, *inputs, **params) better than differentiating the body.
        inputs: how many inputs a derivative can flow from (the first ones).
        whole: whether compilers do better with it than with its body.
    """

    body: Callable[..., Any]

    def __init__(
        self,
        name: str,
        body: Callable[..., Any],
        *,
        value: Callable[..., Any] | None = None,
        pullback: Callable[..., Any] | None = None,
        inputs: int = 1,
        entrywise: bool = False,
        whole: bool = False,
        **facts: Any,
    ) -> None:
        ways: dict[str, Any] = {} if entrywise else {"batch": "body"}
        super().__init__(name, value or body, body=body, entrywise=entrywise, **ways | facts)
        self.pullback, self.inputs, self.whole = pullback, inputs, whole

    def flows(self, i: int) -> bool:
        return i < self.inputs
