"""Your own operations and derivative rules."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.graph import Bundle
from ..ir.node import Spec
from ..ir.op import REGISTRY
from ..ir.recording import Handle, record
from ..ops.custom import Custom, custom
from ..ops.kinds import Elementwise, Linear
from ..ops.structured import picked
from ..trace.handles import dtype_of, kind_of, lowered
from ..trace.memory import own
from ..trace.tree import TreeDef, flatten, matched, unflatten
from .rules import fit, spread, zeros_of
from .transforms import vjp

_mine: set[str] = set()


def _fresh(name: str) -> None:
    """Let a user declare an operation again, as notebooks do; the built-in ones stay."""
    if name in _mine:
        REGISTRY.pop(name, None)
    elif name in REGISTRY:
        raise InputError(f"{name!r} is an operation of chainrule already", "choose another name")
    _mine.add(name)


def elementwise(
    name: str, value: Callable[..., Any], partials: Sequence[Any] | Callable[..., Any], **facts: Any
) -> Elementwise:
    """Declare an operation that acts on each entry by itself.

    Args:
        name: unique; formulas know it by this name.
        value: computes it from NumPy arrays.
        partials: for each input, its local partial derivative as a function of (inputs..., output), written with operators
            and operations, so that it can be differentiated again; a number; or None where nothing flows.
        **facts: how it prints (`text`, `scalar`, `latex`), `aliases`, `domain`, `range`, `body`; see `chainrule.ir.op.Op`.

    Returns:
        The operation: callable on numbers, arrays and traced values, and in formulas.

    >>> cube = elementwise("cube_", lambda x: x**3, lambda x, y: 3 * x**2, text="{0.atom} ** 3")
    >>> vjp(cube, 2.0)[1](1.0)
    (12.0,)
    """
    _fresh(name)
    return Elementwise(name, value, (partials,) if callable(partials) else tuple(partials), **facts)


def linear(
    name: str, value: Callable[..., Any], transposes: Sequence[Any] | Callable[..., Any], **facts: Any
) -> Linear:
    """Declare an operation that is linear in its inputs, each taken alone.

    Args:
        name: unique.
        value: computes it from NumPy arrays.
        transposes: for each input, a function of (cotangent, *inputs) that applies the transpose of the linear map; None
            where it is not linear. A single function stands for an operation of one input.
        **facts: as for `elementwise`.

    >>> double = linear("double_", lambda x: 2 * x, lambda ct, x: 2 * ct)
    >>> vjp(double, 3.0)[1](1.0)
    (2.0,)
    """
    _fresh(name)
    return Linear(name, value, (transposes,) if callable(transposes) else tuple(transposes), **facts)


@dataclasses.dataclass(eq=False)
class Call:
    """One call of a function with a rule: its floating-point leaves are the inputs, all else is part of the call."""

    owner: Any
    leaves: list[Any]
    places: list[int]
    treedef: TreeDef
    out_tree: TreeDef | None = None
    results: list[Any] = dataclasses.field(default_factory=list)  # their shapes and dtypes

    @property
    def name(self) -> str:
        return self.owner.__name__

    @property
    def single(self) -> bool:
        return self.out_tree is None or self.out_tree.is_leaf

    def arguments(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments of the function, with these leaves."""
        leaves = list(self.leaves)
        for place, x in zip(self.places, inputs, strict=True):
            leaves[place] = own(x)
        return unflatten(self.treedef, leaves)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The leaves of the result."""
        results, self.out_tree = flatten(self.owner.function(*self.arguments(inputs)))
        self.results = [Spec(np.shape(r), dtype_of(r)) for r in results]
        return results

    def output(self, leaves: Any) -> Any:
        """The result, or its cotangent, as the tree that the function returns; zeros for None."""
        assert self.out_tree is not None
        return unflatten(self.out_tree, [own(x) for x in ([leaves] if self.single else leaves)])

    def real_for_real(self, x: Any, dtype: np.dtype[Any], rule: str, word: str) -> None:
        """Refuse a complex derivative of what is real."""
        if dtype_of(x).kind == "c" and dtype.kind != "c":
            raise InputError(
                f"the {rule} of {self.name} returned a complex {word} for {dtype}",
                f"return the real {word}: np.real of it",
            )


class _WithRule:
    """A function and its derivative rule."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def _ready(self) -> bool:
        raise NotImplementedError

    def __call__(self, *args: Any) -> Any:
        if not self._ready():
            raise InputError(
                f"{self.__name__} has no derivative rule yet", f"give it one with {self.__name__}.{self.how}(...)"
            )
        leaves, treedef = flatten(args)
        if not any(isinstance(x, Handle) for x in leaves):
            return self.function(*unflatten(treedef, [own(x) for x in leaves]))
        places = [k for k, x in enumerate(leaves) if dtype_of(x).kind in "fc"]
        call = Call(self, [None if k in places else x for k, x in enumerate(leaves)], places, treedef)
        made = record(custom, tuple(leaves[k] for k in places), {"call": call})
        if call.single:
            return made
        assert call.out_tree is not None
        return unflatten(call.out_tree, picked(made, len(call.results)))

    __name__: str
    how: str
    _reached = ("function", "forward", "backward", "rule")  # of it, when a compiled function reaches it


class custom_vjp(_WithRule):
    """A function whose reverse-mode derivative you give.

    Use as a decorator, then `f.defvjp(forward, backward)`: `forward(*args)` returns (result, residuals), and
    `backward(residuals, cotangent)` a tuple with the cotangent of every argument. Forward mode and higher orders follow
    from these, provided that they are written in differentiable operations.

    >>> @custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
    >>> vjp(clipped, 3.0)[1](5.0)
    (1.0,)
    """

    how = "defvjp"

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.forward: Any = None
        self.backward: Any = None

    def _ready(self) -> bool:
        return self.forward is not None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the rule.

        Args:
            forward: a function of the same arguments that returns (out, saved); `saved` is any tree.
            backward: a function of (saved, cotangent of out) that returns a cotangent for each argument, None for zero.
        """
        self.forward, self.backward = forward, backward

    def cotangents(self, call: Call, args: Sequence[Any], ct: Any) -> list[Any]:
        """The cotangents of the inputs of a call."""
        given = call.arguments(args)
        pair = self.forward(*given)
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(f"the forward rule of {call.name} must return a pair (result, residuals)")
        found = self.backward(pair[1], call.output(ct))
        found = found if isinstance(found, (tuple, list)) else (found,)
        if len(found) != len(given):
            raise InputError(
                f"the backward rule of {call.name} returned {len(found)} cotangents for {len(given)} arguments",
                "return a tuple with one for each argument, None for one through which nothing flows",
            )
        filled = [_zeros(a) if c is None else c for a, c in zip(given, found, strict=True)]
        leaves = matched(tuple(filled), call.treedef)
        if leaves is None:
            raise InputError(
                f"the backward rule of {call.name} returned cotangents of another structure",
                "return for each argument what has its structure, or None",
            )
        result = [leaves[k] for k in call.places]
        for c, x in zip(result, args, strict=True):
            if np.shape(c) != np.shape(x):
                raise ShapeError(
                    f"the backward rule of {call.name} returned a cotangent of shape {np.shape(c)} for an input of shape {np.shape(x)}",
                    "sum over the axes along which the input was broadcast",
                )
            call.real_for_real(c, dtype_of(x), "backward rule", "cotangent")
        typed = [c if hasattr(c, "shape") else np.asarray(c)[()] for c in result]
        return [fit(c, x) if hasattr(x, "shape") else c for c, x in zip(typed, args, strict=True)]

    def tangent(self, call: Call, args: Sequence[Any], ts: Sequence[Any], out: Any) -> Any:
        """Forward mode: the pullback is linear in its cotangent, and its transpose is the derivative."""
        zero = Bundle(map(zeros_of, out)) if isinstance(out, tuple) else zeros_of(out)
        flat = list(zero) if isinstance(zero, tuple) else [zero]

        def pull(*cts: Any) -> Any:
            return tuple(self.cotangents(call, args, cts[0] if call.single else cts))

        found = vjp(pull, *flat)[1](tuple(zeros_of(x) if t is None else t for x, t in zip(args, ts, strict=True)))
        return found[0] if call.single else Bundle(found)


class custom_jvp(_WithRule):
    """A function whose forward-mode derivative you give; reverse mode is its transpose.

    Use as a decorator, then `f.defjvp(rule)`: `rule(primals, tangents)` returns (result, tangent of the result), linear in
    the tangents and written in differentiable operations.

    >>> @custom_jvp
    ... def cubed(x):
    ...     return x**3
    >>> cubed.defjvp(lambda xs, ts: (xs[0] ** 3, 3 * xs[0] ** 2 * ts[0]))
    >>> vjp(cubed, 2.0)[1](1.0)
    (12.0,)
    """

    how = "defjvp"

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.rule: Any = None

    def _ready(self) -> bool:
        return self.rule is not None

    def defjvp(self, rule: Callable[..., Any]) -> None:
        """Give the rule."""
        self.rule = rule

    def _tangent(self, call: Call, args: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        pair = self.rule(call.arguments(args), _tangents(call, ts))
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise InputError(f"the rule of {call.name} must return a pair (result, tangent)")
        assert call.out_tree is not None
        found = matched(pair[1], call.out_tree)
        if found is None:
            raise InputError(
                f"the rule of {call.name} returned a tangent of another structure than its result",
                "return a tangent for every part of the result",
            )
        for t, spec in zip(found, call.results, strict=True):
            if np.shape(t) != spec.shape:
                raise ShapeError(
                    f"the rule of {call.name} returned a tangent of shape {np.shape(t)} for a result of shape {spec.shape}",
                    "return a tangent of the result's shape",
                )
            call.real_for_real(t, spec.dtype, "rule", "tangent")
        return found

    def tangent(self, call: Call, args: Sequence[Any], ts: Sequence[Any], out: Any) -> Any:
        """The tangent of the result of a call."""
        found = self._tangent(call, args, [zeros_of(x) if t is None else t for x, t in zip(args, ts, strict=True)])
        outs = out if isinstance(out, tuple) else (out,)
        typed = [spread(t, o) for t, o in zip(found, outs, strict=True)]
        return typed[0] if call.single else Bundle(typed)

    def cotangents(self, call: Call, args: Sequence[Any], ct: Any) -> list[Any]:
        """The transpose of the rule."""
        zeros = [zeros_of(x) for x in args]
        _, pullback = vjp(lambda *ts: tuple(self._tangent(call, args, ts)), *zeros)
        cts = [ct] if call.single else list(ct)
        return list(pullback(tuple(cts)))


def _tangents(call: Call, ts: Sequence[Any]) -> tuple[Any, ...]:
    """Tangents as the arguments are structured: zero for what cannot be differentiated."""
    leaves = [0.0 if x is None else 0 for x in call.leaves]
    for place, t in zip(call.places, ts, strict=True):
        leaves[place] = t
    return unflatten(call.treedef, leaves)


def _zeros(tree: Any) -> Any:
    leaves, treedef = flatten(tree)
    return unflatten(treedef, [zeros_of(x) for x in leaves])


def _levelled(found: list[Any], live: Any) -> list[Any]:
    """Rules run transforms of their own; what they return is plain where the walk is."""
    return found if live else [lowered(x) for x in found]


def custom_op_vjp(
    op: Custom, positions: Sequence[int], ct: Any, out: Any, args: Sequence[Any], params: dict[str, Any]
) -> list[Any]:
    """The cotangents that the user's rule gives."""
    call: Call = params["call"]
    if isinstance(ct, tuple):
        values = getattr(out, "value", out)
        ct = Bundle(zeros_of(v) if c is None else c for c, v in zip(ct, values, strict=True))
    found = call.owner.cotangents(call, args, ct)
    live = kind_of((*args, *(ct if isinstance(ct, tuple) else (ct,))))
    return _levelled([found[k] for k in positions], live)


def custom_op_jvp(op: Custom, ts: Sequence[Any], out: Any, args: Sequence[Any], params: dict[str, Any]) -> Any:
    """The tangent that the user's rule gives."""
    call: Call = params["call"]
    values = getattr(out, "value", out)
    found = call.owner.tangent(call, args, ts, values)
    live = kind_of((*args, *ts))
    if isinstance(found, tuple):
        return Bundle(_levelled(list(found), live))
    return _levelled([found], live)[0]
