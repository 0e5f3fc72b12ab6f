"""Jacobians, Hessians and their products."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle
from ..ops.broadcasting import reshape
from ..ops.shape import stack
from ..trace.calls import Argnums, Selection, Trace, select, traced_call
from ..trace.handles import dtype_of, plain
from ..trace.tree import flatten, unflatten
from .rules import leaf
from .transforms import grad, jvp, pulled, pushed

Mode = Literal["forward", "reverse"]


def jacobian(f: Callable[..., Any], argnums: Argnums = 0, *, mode: Mode | None = None) -> Callable[..., Any]:
    """The matrix of all partial derivatives of a function.

    Args:
        f: a function of arrays (or trees) returning an array (or a tree).
        argnums: which arguments, as for `grad`.
        mode: "forward" (one pass for each input entry) or "reverse" (one for each output entry); the
            cheaper one when left out.

    Returns:
        A function of the same arguments. For an array argument and result, an array of shape
        `out.shape + x.shape`; for trees, that at the leaves, the structure of the result outside.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    if mode not in (None, "forward", "reverse"):
        raise InputError(f"mode={mode!r} is unknown", "use mode='forward', mode='reverse', or leave it out")

    @functools.wraps(f)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = select(f, args, kwargs, argnums)
        t = traced_call(f, selection, leaf)
        ins = sum(int(np.size(v.value)) for v in t.leaves)
        outs = sum(int(np.size(plain(o))) for o in t.outputs)
        forward = ins < outs if mode is None else mode == "forward"
        return _assembled(t, selection, _by_columns(t) if forward else _by_rows(t))

    return matrix


def _basis(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[Any]:
    for k in range(int(np.prod(shape))):
        e = np.zeros(shape, dtype)
        e.reshape(-1)[k] = 1
        yield e[()]


def _by_rows(t: Trace) -> list[list[Any]]:
    """Blocks [output][input], by one pullback for each output entry."""
    blocks: list[list[Any]] = []
    for k, o in enumerate(t.outputs):
        rows = [
            pulled(t, [e if j == k else None for j in range(len(t.outputs))])
            for e in _basis(np.shape(plain(o)), _floating(o))
        ]
        blocks.append(
            [
                _stacked([r[i] for r in rows], (*np.shape(plain(o)), *v.shape), v.dtype, -1)
                for i, v in enumerate(t.leaves)
            ]
        )
    return blocks


def _by_columns(t: Trace) -> list[list[Any]]:
    """Blocks [output][input], by one tangent for each input entry."""
    blocks: list[list[Any]] = [[] for _ in t.outputs]
    for k, v in enumerate(t.leaves):
        columns: list[list[Any]] = []
        for e in _basis(v.shape, v.dtype):
            direction = [e if j == k else np.zeros(u.shape, u.dtype)[()] for j, u in enumerate(t.leaves)]
            rest = iter(direction)
            columns.append(flatten(pushed(t, [s.build(rest) for s in t.structure]))[0])
        for i, o in enumerate(t.outputs):
            blocks[i].append(
                _stacked([c[i] for c in columns], (*np.shape(plain(o)), *v.shape), _floating(o), np.ndim(plain(o)))
            )
    return blocks


def _floating(o: Any) -> np.dtype[Any]:
    dtype = dtype_of(o)
    return dtype if dtype.kind in "fc" else np.dtype(float)


def _stacked(parts: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype[Any], axis: int) -> Any:
    """Rows (axis -1: stacked first) or columns (stacked after `axis` axes of the output) as one block."""
    if not parts:
        return np.zeros(shape, dtype)
    where = 0 if axis == -1 else axis
    joined = stack(*parts, axis=where - np.ndim(plain(parts[0])) - 1)
    return reshape(joined, shape=shape) if np.shape(plain(joined)) != shape else joined


def _assembled(t: Trace, selection: Selection, blocks: list[list[Any]]) -> Any:
    results: list[Any] = []
    for row in blocks:
        rest = iter(x if isinstance(x, Handle) or np.ndim(x) else (float(x) if all(t.kinds) else x) for x in row)
        trees = [s.build(rest) for s in t.structure]
        results.append(trees[0] if selection.single else tuple(trees))
    return unflatten(t.output_tree, results)


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar-valued function: forward mode over reverse mode.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The product of the Hessian of a scalar-valued function with a direction, without the Hessian.

    Args:
        primals: the argument, or a tuple of arguments.
        tangents: the direction, of the same structure.

    Returns:
        The product, of the same structure. It costs a small multiple of one evaluation of `f`.

    >>> hvp(lambda x: x[0] ** 2 * x[1], np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([4., 2.])
    """
    single = not isinstance(primals, tuple)
    xs, vs = ((primals,), (tangents,)) if single else (primals, tangents)
    _, product = jvp(grad(f, tuple(range(len(xs)))), xs, vs)
    return product[0] if single else product
