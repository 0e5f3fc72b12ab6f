"""Jacobians, Hessians and their products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle
from ..ops.broadcasting import reshape
from ..ops.shape import concatenate, transpose
from ..trace.calls import Argnums, Selection, Trace, select, traced_call
from ..trace.handles import dtype_of
from ..trace.tree import flatten, unflatten
from .batching import vmap
from .rules import leaf
from .sparse import sparse_jacobian
from .transforms import grad, jvp, pulled, pushed, vjp

Mode = Literal["forward", "reverse"]


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, *, mode: Mode | None = None, sparsity: Any = None
) -> Callable[..., Any]:
    """The matrix of all partial derivatives of a function.

    Args:
        f: a function of arrays (or trees) returning an array (or a tree).
        argnums: which arguments, as for `grad`.
        mode: "forward" (one pass for each input entry) or "reverse" (one for each output entry); the
            cheaper one when left out.
        sparsity: "auto" to find the pattern of zeros from the graph, or a boolean (sparse) matrix of output entries by
            input entries; then columns that share no row are computed together, and the result is a `scipy.sparse`
            array. For one array argument and one array result.

    Returns:
        A function of the same arguments. For an array argument and result, an array of shape
        `out.shape + x.shape`; for trees, that at the leaves, the structure of the result outside.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    if mode not in (None, "forward", "reverse"):
        raise InputError(f"mode={mode!r} is unknown", "use mode='forward', mode='reverse', or leave it out")

    if sparsity is not None:
        if not isinstance(argnums, int) or (isinstance(sparsity, str) and sparsity != "auto"):
            raise InputError("a sparse Jacobian takes one argument by position, and sparsity='auto' or a matrix")
        return functools.wraps(f)(lambda *args: sparse_jacobian(f, argnums, sparsity, args))

    @functools.wraps(f)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = select(f, args, kwargs, argnums)
        t = traced_call(f, selection, leaf)
        ins = sum(int(np.size(v.value)) for v in t.leaves)
        outs = sum(int(np.size(o)) for o in t.outputs)
        forward = ins < outs if mode is None else mode == "forward"
        return _assembled(t, selection, _by_columns(t) if forward else _by_rows(t))

    return matrix


CHUNK = 1024  # rows or columns computed in one batch


def _by_rows(t: Trace) -> list[list[Any]]:
    """Blocks [output][input], by a pullback of every output entry, a batch of them at once."""
    blocks: list[list[Any]] = []
    for k, o in enumerate(t.outputs):

        def pull(e: Any, k: int = k) -> list[Any]:
            return pulled(t, [e if j == k else None for j in range(len(t.outputs))])

        rows = _batches(pull, np.shape(o), _floating(o))
        blocks.append([reshape(r, shape=(*np.shape(o), *v.shape)) for r, v in zip(rows, t.leaves, strict=True)])
    return blocks


def _by_columns(t: Trace) -> list[list[Any]]:
    """Blocks [output][input], by a tangent for every input entry, a batch of them at once."""
    blocks: list[list[Any]] = [[] for _ in t.outputs]
    for k, v in enumerate(t.leaves):

        def push(e: Any, k: int = k) -> list[Any]:
            rest = iter([e if j == k else np.zeros(u.shape, u.dtype)[()] for j, u in enumerate(t.leaves)])
            return flatten(pushed(t, [s.build(rest) for s in t.structure]))[0]

        columns = _batches(push, v.shape, v.dtype)
        for i, (c, o) in enumerate(zip(columns, t.outputs, strict=True)):
            n = np.ndim(o)
            turned = transpose(c, axes=(*range(-n, 0), -n - 1))
            blocks[i].append(reshape(turned, shape=(*np.shape(o), *v.shape)))
    return blocks


def _batches(f: Callable[[Any], list[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]) -> list[Any]:
    """`f` of every unit vector of a shape, the results stacked in front."""
    n = math.prod(shape)
    parts: list[list[Any]] = []
    for start in range(0, n, CHUNK):
        rows = np.eye(min(CHUNK, n - start), n, start, dtype).reshape(-1, *shape)
        parts.append(vmap(f)(rows))
    if not parts:
        zero = f(np.zeros(shape, dtype))
        return [np.zeros((0, *np.shape(z)), dtype_of(z)) for z in zero]
    return [p[0] if len(p) == 1 else concatenate(*p, axis=-np.ndim(p[0])) for p in zip(*parts, strict=True)]


def _floating(o: Any) -> np.dtype[Any]:
    dtype = dtype_of(o)
    return dtype if dtype.kind in "fc" else np.dtype(float)


def _assembled(t: Trace, selection: Selection, blocks: list[list[Any]]) -> Any:
    results: list[Any] = []
    for row in blocks:
        rest = iter(x if isinstance(x, Handle) or np.ndim(x) else (float(x) if all(t.kinds) else x) for x in row)
        trees = [s.build(rest) for s in t.structure]
        results.append(trees[0] if selection.single else tuple(trees))
    return unflatten(t.output_tree, results)


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar-valued function: forward mode over reverse mode.

    Args:
        f: a function of arrays (or trees) returning a scalar.
        argnums: which arguments, as for `grad`.

    Returns:
        A function of the same arguments. For an array argument, an array of shape `x.shape + x.shape`; for trees and for
        several arguments, that at the leaves, the structure of the first derivative outside.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums, mode="forward")


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The product of the Hessian of a scalar-valued function with a direction, without the Hessian.

    Args:
        f: a function returning a scalar.
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


def gnvp(model: Callable[..., Any], loss: Callable[[Any], Any], primals: Any, tangents: Any) -> Any:
    """The product of the generalised Gauss-Newton matrix of `loss(model(x))` with a direction: J^T H J v.

    J is the Jacobian of the model and H the Hessian of the loss in the model's output. For a loss that is the negative
    log-likelihood of an exponential family in its natural parameter (squared error, cross entropy of logits), it is the
    Fisher information matrix (Martens, 2020, section 9).

    Args:
        model: a function of the parameters.
        loss: a scalar-valued function of the model's output.
        primals: the parameters, or a tuple of arguments.
        tangents: the direction, of the same structure.

    Returns:
        The product, of the same structure. It costs a small multiple of one evaluation.

    >>> gnvp(lambda w: w**2, lambda out: np.sum(out**2), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([8., 0.])
    """
    single = not isinstance(primals, tuple)
    xs, vs = ((primals,), (tangents,)) if single else (primals, tangents)
    out, pullback = vjp(model, *xs)
    _, moved = jvp(model, xs, vs)
    product = pullback(hvp(loss, (out,), (moved,))[0])
    return product[0] if single else product
