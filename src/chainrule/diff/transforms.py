"""grad, vjp, jvp, linearize and their kin: functions of functions, which nest to any order and in mixed modes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.entering import entering
from ..ir.recording import Handle, setting, state
from ..ops.arithmetic import stop_gradient as _stop
from ..trace.calls import Argnums, Trace, as_float, finished, name_of, owned, select, traced_call, users_warnings
from ..trace.handles import dtype_of, kind_of, lowered
from ..trace.tree import flatten, map_leaves, matched, unflatten
from .rules import leaf, zeros_of
from .walk import forward, reverse


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar-valued function.

    Args:
        f: a function of numbers, arrays, or trees of them, returning a scalar.
        argnums: which arguments to differentiate: a position, a name, or a tuple of them.
        has_aux: whether `f` returns a pair (value, aux); then the result is (gradient, aux).
        holomorphic: that `f` is a holomorphic function of complex arguments; then the result is its complex derivative.
            Without it, the gradient of a real-valued function of z = x + iy is df/dx - i df/dy.

    Returns:
        A function of the same arguments. Its result has the structure and shapes of the chosen argument
        (a tuple of those for several).

    Raises:
        InputError: an argument is missing, or is not floating point.
        ShapeError: the result of `f` is not a scalar.

    >>> grad(lambda x, y: x * y + x, argnums=(0, 1))(2.0, 3.0)
    (4.0, 2.0)
    """
    both = value_and_grad(f, argnums, has_aux=has_aux, holomorphic=holomorphic)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The value of a scalar-valued function and its gradient, from one evaluation.

    Args:
        f, argnums, has_aux, holomorphic: as for `grad`.

    Returns:
        A function of the same arguments, whose result is (value, gradient), or ((value, aux), gradient) with `has_aux`.

    Raises:
        InputError, ShapeError: as for `grad`.

    >>> value_and_grad(lambda x: x**3)(2.0)
    (8.0, 12.0)
    """

    @functools.wraps(f)
    def both(*args: Any, **kwargs: Any) -> Any:
        selection = select(f, args, kwargs, argnums)
        t = traced_call(f, selection, leaf, has_aux=has_aux)
        out = _scalar(f, t, holomorphic)
        found = pulled(t, [np.ones((), dtype_of(out))[()]], release=True)
        trees = _rebuilt(t, found)
        gradients = trees[0] if selection.single else tuple(trees)
        value = finished(out, t.live)
        if all(t.kinds):
            value = as_float(value) if isinstance(value, Handle) else float(value)
        return ((value, finished(t.aux, t.live)) if has_aux else value), gradients

    return both


def _scalar(f: Callable[..., Any], t: Trace, holomorphic: bool) -> Any:
    if len(t.outputs) != 1 or not t.output_tree.is_leaf:
        raise InputError(
            f"grad needs a function that returns one scalar; {name_of(f)} returned {_described(t)}",
            "return the value to differentiate, or use has_aux=True, vjp or jacobian",
        )
    out = t.outputs[0]
    if np.shape(out) != ():
        raise ShapeError(
            f"grad needs a scalar-valued function; {name_of(f)} returned shape {np.shape(out)}",
            "reduce it (np.sum, np.mean), or use jacobian or vjp",
        )
    if holomorphic:
        if any(v.dtype.kind != "c" for v in t.leaves) or dtype_of(out).kind != "c":
            raise InputError(
                "holomorphic=True is for complex arguments and results", "pass complex numbers, or leave it out"
            )
    elif dtype_of(out).kind == "c":
        raise InputError(
            f"grad needs a real-valued function; {name_of(f)} returned {dtype_of(out)}",
            "take np.real, np.imag or np.abs of it, or pass holomorphic=True for a holomorphic function",
        )
    if dtype_of(out).kind in "iub" and isinstance(out, Handle):
        raise InputError(
            f"{name_of(f)} returned {dtype_of(out)}: nothing can be differentiated through an integer",
            "return a floating-point value",
        )
    return out


def _described(t: Trace) -> str:
    kind = t.output_tree.kind
    return "nothing" if not t.outputs else f"a {getattr(kind, '__name__', kind)} of {len(t.outputs)} values"


def pulled(t: Trace, cotangents: Sequence[Any], release: bool = False) -> list[Any]:
    """The cotangents of a trace's variables, zeros where nothing flows."""
    pairs = [(o.node, c) for o, c in zip(t.outputs, cotangents, strict=True) if isinstance(o, Handle) and c is not None]
    live = t.live or kind_of(c for _, c in pairs)
    with setting(depth=state.depth + 1, recording=True), users_warnings():
        found = reverse([o for o, _ in pairs], [c for _, c in pairs], t.leaves, live=live, release=release)
    return [zeros_of(v.value) if c is None else c for v, c in zip(t.leaves, found, strict=True)]


def _rebuilt(t: Trace, leaves: Sequence[Any]) -> list[Any]:
    rest = iter(owned(leaves, t.kinds))
    return [treedef.build(rest) for treedef in t.structure]


def vjp(f: Callable[..., Any], *args: Any, has_aux: bool = False) -> Any:
    """The value of `f` and its pullback: cotangents of the output to cotangents of the arguments.

    Args:
        f: a function of numbers, arrays, or trees of them, returning such.
        args: where it is evaluated.
        has_aux: whether `f` returns a pair (out, aux), of which aux is not differentiated.

    Returns:
        (out, pullback), or (out, pullback, aux). `pullback(ct)` takes a tree like `out` and returns a tuple,
        one entry for each argument; it may be called many times.

    >>> out, pullback = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> pullback(1.0)
    (3.0, 2.0)
    """
    selection = select(f, args, {}, range(len(args)))
    t = traced_call(f, selection, leaf, has_aux=has_aux, copy=True)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given = _matching(cotangent, t, "cotangent")
        return tuple(_rebuilt(t, pulled(t, given)))

    out = finished(unflatten(t.output_tree, [_released(o, t.live) for o in t.outputs]), t.live)
    return (out, pullback, finished(t.aux, t.live)) if has_aux else (out, pullback)


def _released(x: Any, live: Any) -> Any:
    """An output whose memory the graph does not share."""
    return _own_copy(lowered(x)) if not live and isinstance(x, Handle) else x


def _own_copy(x: Any) -> Any:
    return x if isinstance(x, Handle) else np.array(x)[()]


def _matching(tree: Any, t: Trace, word: str) -> list[Any]:
    """Cotangents checked against the outputs they belong to, in the outputs' dtypes."""
    leaves = matched(tree, t.output_tree)
    if leaves is None:
        raise InputError(
            f"the {word} ({len(flatten(tree)[0])} values) has another structure than the output ({len(t.outputs)} values)",
            f"give a {word} of the same structure as the output",
        )
    leaves = list(map(entering, leaves))
    for c, o in zip(leaves, t.outputs, strict=True):
        if np.shape(c) != np.shape(o):
            raise ShapeError(
                f"the {word} has shape {np.shape(c)}, the output {np.shape(o)}",
                f"give a {word} of the output's shape",
            )
    return [_like(c, o) for c, o in zip(leaves, t.outputs, strict=True)]


def _like(c: Any, o: Any) -> Any:
    dtype = dtype_of(o)
    _real_for_real(c, dtype, "cotangent", "output")
    if isinstance(c, Handle):
        return c
    return np.array(c, dtype if dtype.kind in "fc" else None)[()]


def _real_for_real(x: Any, dtype: np.dtype[Any], word: str, of: str) -> None:
    if dtype_of(x).kind == "c" and dtype.kind != "c":
        raise InputError(f"a {word} is complex, its {of} {dtype}", f"give a real {word}: np.real of it")


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, has_aux: bool = False) -> Any:
    """The value of `f` and its derivative along a direction (forward mode).

    Args:
        f: a function of numbers, arrays, or trees of them, returning such.
        primals: the arguments, a tuple or list.
        tangents: a direction for each, of the same structure and shapes.
        has_aux: whether `f` returns a pair (out, aux), of which aux is not differentiated.

    Returns:
        (out, tangent), or (out, tangent, aux).

    >>> jvp(lambda x: x**3, (2.0,), (1.0,))
    (8.0, 12.0)
    """
    if (
        not isinstance(primals, (tuple, list))
        or not isinstance(tangents, (tuple, list))
        or len(primals) != len(tangents)
    ):
        raise InputError(
            "jvp takes the primals and the tangents as two tuples of the same length", "write jvp(f, (x,), (v,))"
        )
    t = traced_call(f, select(f, tuple(primals), {}, range(len(primals))), leaf, has_aux=has_aux)
    out = finished(unflatten(t.output_tree, [_released(o, t.live) for o in t.outputs]), t.live)
    tangent = pushed(t, tangents)
    if all(t.kinds):
        out, tangent = (map_leaves(as_float, y) for y in (out, tangent))
    return (out, tangent, finished(t.aux, t.live)) if has_aux else (out, tangent)


def pushed(t: Trace, tangents: Sequence[Any]) -> Any:
    """The tangent of a trace's output, given trees of tangents of its arguments."""
    given: list[Any] = []
    for tree, treedef in zip(tangents, t.structure, strict=True):
        leaves = matched(tree, treedef)
        if leaves is None:
            raise InputError(
                "a tangent does not have the structure of its primal", "give tangents of the same structure"
            )
        given += map(entering, leaves)
    for v, x in zip(t.leaves, given, strict=True):
        if np.shape(x) != v.shape:
            raise ShapeError(
                f"a tangent has shape {np.shape(x)}, its primal {v.shape}",
                "give tangents of the primals' shapes",
            )
        if dtype_of(x).kind not in "fc" and not isinstance(x, (int, float)):
            raise InputError(f"a tangent has dtype {dtype_of(x)}", "give tangents in floating point")
        _real_for_real(x, v.dtype, "tangent", "primal")
    live = t.live or kind_of(given)
    typed = [x if isinstance(x, Handle) else np.asarray(x, v.dtype)[()] for v, x in zip(t.leaves, given, strict=True)]
    nodes = [o.node for o in t.outputs if isinstance(o, Handle)]
    with setting(depth=state.depth + 1, recording=True), users_warnings():
        found = iter(forward(t.leaves, typed, nodes, live=live))
    result = [next(found) if isinstance(o, Handle) else None for o in t.outputs]
    filled = [zeros_of(o) if r is None else r for o, r in zip(t.outputs, result, strict=True)]
    return finished(unflatten(t.output_tree, filled), live)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of `f`, and its derivative as a linear function of tangents that runs without calling `f` again.

    Args:
        f: a function of numbers, arrays, or trees of them, returning such.
        primals: where it is evaluated and linearized.

    Returns:
        (out, derivative). `derivative(*tangents)` takes a tangent like each argument, and returns one like `out`.

    Raises:
        InputError: as many tangents as arguments are not given.

    >>> out, derivative = linearize(lambda x: x**3, 2.0)
    >>> derivative(1.0)
    12.0
    """
    t = traced_call(f, select(f, primals, {}, range(len(primals))), leaf, copy=True)
    out = finished(unflatten(t.output_tree, [_released(o, t.live) for o in t.outputs]), t.live)

    def derivative(*tangents: Any) -> Any:
        if len(tangents) != len(primals):
            raise InputError(f"the linear function takes {len(primals)} tangents, got {len(tangents)}")
        result = pushed(t, tangents)
        return map_leaves(as_float, result) if all(t.kinds) else result

    return out, derivative


def stop_gradient(x: Any) -> Any:
    """The same values (of a tree), through which no derivative flows."""
    return map_leaves(lambda v: v.detach() if hasattr(v, "detach") and state.observed is None else _stop(v), x)
