"""NumPy's functions on traced values: each line says which operation a function is, with NumPy's own signature."""

from __future__ import annotations

import itertools
import operator
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError, TraceError
from ..ir.recording import Handle, record
from ..ops import arithmetic as ar
from ..ops import by_ufunc
from ..ops import exponential as ex
from ..ops import indexing as ix
from ..ops import linalg as la
from ..ops import piecewise as pw
from ..ops import reduction as rd
from ..ops import shape as sh
from .handles import constant_like, dtype_of, from_nested, operand, plain, split_index, view_of
from .lost import ufunc_of

FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the traced version of NumPy functions."""

    def register(version: Callable[..., Any]) -> Callable[..., Any]:
        for f in functions:
            FUNCTIONS[f] = version
        return version

    return register


def call_function(function: Any, args: tuple[Any, ...], options: dict[str, Any], traced: Handle) -> Any:
    """What `__array_function__` does: NumPy's function on arguments some of which are traced."""
    if function in CREATORS:  # np.zeros(3, like=x)
        return constant_like(traced, function(*args, **options))
    version = FUNCTIONS.get(function)
    if version is not None:
        out = options.pop("out", None)
        result = version(*args, **options)
        return result if out is None else _put(out, result)
    op = by_ufunc(function)
    if op is not None:
        return op(*args, **options)  # type: ignore[operator]
    name = f"{getattr(function, '__module__', 'numpy').replace('numpy', 'np', 1)}.{function.__name__}"
    raise TraceError(
        f"{name} of a traced value is not supported",
        "write it in other operations; chainrule.numpy lists the functions that are",
    )


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What `__array_ufunc__` does: a ufunc, or a method of one, on arguments some of which are traced."""
    if method == "__call__":
        out = options.pop("out", (None,))[0]
        condition = options.pop("where", True)
        dtype = options.pop("dtype", None)
        _none_left(ufunc, options)
        result = record(ufunc_of(ufunc), tuple(operand(i) for i in inputs))
        if dtype is not None:
            result = result.astype(dtype)
        if condition is not True:
            if out is None:
                raise TraceError(
                    f"np.{ufunc.__name__}(..., where=...) leaves entries undefined", "use np.where(condition, a, b)"
                )
            result = pw.where(condition, result, out)
        return result if out is None else _put(out, result)
    if method == "at":
        return _at(ufunc, *inputs)
    reductions: dict[Any, Any] = {
        np.add: sum_,
        np.multiply: prod,
        np.maximum: max_,
        np.minimum: min_,
        np.logical_and: all_,
        np.logical_or: any_,
    }
    if method == "reduce" and ufunc in reductions:
        options.setdefault("axis", 0)
        return reductions[ufunc](*inputs, **options)
    if method == "accumulate" and ufunc is np.add:
        return cumsum(*inputs, **{"axis": 0, **options})
    if method == "outer":
        a, b = (operand(i) for i in inputs)
        return ufunc_of(ufunc)(reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b)  # type: ignore[operator]
    raise TraceError(f"np.{ufunc.__name__}.{method} of a traced value is not supported", "write it in other operations")


def _none_left(ufunc: np.ufunc, options: dict[str, Any]) -> None:
    if options:
        raise TraceError(f"np.{ufunc.__name__} of a traced value: the option {next(iter(options))!r} is not supported")


def _put(out: Any, result: Any) -> Any:
    if not isinstance(out, Handle):
        raise TraceError(
            "writing a traced result into a plain NumPy array (out=, or a += b with a plain a) would lose its derivative",
            "write a = a + b, or create a with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)",
        )
    out.assign(result)  # type: ignore[attr-defined]
    return out


def _at(ufunc: np.ufunc, target: Any, index: Any, values: Any = None) -> None:
    if ufunc not in (np.add, np.subtract) or not isinstance(target, Handle):
        fix = "create the target with np.zeros_like(x) of a traced x or chainrule.numpy.zeros(...)"
        raise TraceError(f"np.{ufunc.__name__}.at is supported for add and subtract on a traced target", fix)
    template, arrays = split_index(index)
    values = operand(values) if ufunc is np.add else -operand(values)
    target.assign(record(ix.index_add, (target, values, *arrays), {"index": template}))  # type: ignore[attr-defined]


# ---- axes ----------------------------------------------------------------------------------------------------


def axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis argument as a sorted tuple of negative ints; all axes for None."""
    if axis is None:
        return tuple(range(-ndim, 0))
    found = tuple(one_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(found)) < len(found):
        raise ShapeError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def one_axis(axis: Any, ndim: int) -> int:
    """One axis as a negative int."""
    a = operator.index(axis)
    if not -ndim <= a < ndim:
        raise ShapeError(f"axis {a} is out of bounds for an array with {ndim} axes")
    return a if a < 0 else a - ndim


# ---- reductions ----------------------------------------------------------------------------------------------


def _reduction(op: Any, *functions: Any) -> Callable[..., Any]:
    def version(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **params: Any
    ) -> Any:
        where, initial = params.pop("where", True), params.pop("initial", None)
        if where is not True or initial is not None:
            raise TraceError(
                f"np.{op.name} of a traced value: where= and initial= are not supported",
                "use np.where(condition, x, 0) first",
            )
        a = from_nested(a)
        if dtype is not None:
            a = sh.cast(a, dtype=np.dtype(dtype))
        return op(a, axis=axes(axis, np.ndim(a)), keepdims=bool(keepdims), **params)

    version.__name__ = version.__qualname__ = op.name.removeprefix("reduce_")
    version.__doc__ = f"`np.{version.__name__}` of a traced value."
    return implements(*functions)(version)


sum_ = _reduction(rd.sum, np.sum)
mean = _reduction(rd.mean, np.mean)
prod = _reduction(rd.prod, np.prod)
max_ = _reduction(rd.reduce_max, np.max, np.amax)
min_ = _reduction(rd.reduce_min, np.min, np.amin)
var = _reduction(rd.var, np.var)
std = _reduction(rd.std, np.std)
logsumexp = _reduction(rd.logsumexp)


def _along(op: Any) -> Callable[..., Any]:
    def version(x: Any, axis: Any = -1) -> Any:
        return op(x, axis=axes(axis, np.ndim(x)))

    version.__name__ = op.name
    version.__doc__ = op.__doc__
    return version


softmax, log_softmax = _along(rd.softmax), _along(rd.log_softmax)


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """`np.average`."""
    if weights is None:
        return mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        weights = broadcast_to(
            expand_dims(weights, tuple(k for k in range(np.ndim(a)) if k != axis % np.ndim(a))), np.shape(a)
        )
    return sum_(a * weights, axis=axis, keepdims=keepdims) / sum_(weights, axis=axis, keepdims=keepdims)


@implements(np.nansum)
def nansum(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.nansum`."""
    return sum_(pw.where(pw.isnan(a), 0, a), axis=axis, keepdims=keepdims)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.ptp`."""
    return max_(a, axis=axis, keepdims=keepdims) - min_(a, axis=axis, keepdims=keepdims)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.cumsum`."""
    return sh.cumsum(ravel(a), axis=-1) if axis is None else sh.cumsum(a, axis=one_axis(axis, np.ndim(a)))


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.argmax`: an integer, nothing flows."""
    return rd.argmax(a, axis=axis)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, **_: Any) -> Any:
    """`np.argmin`: an integer, nothing flows."""
    return rd.argmin(a, axis=axis)


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, **_: Any) -> Any:
    """`np.argsort` (stable): integers, nothing flows."""
    return rd.argsort(a, axis=axis)


@implements(np.sort)
def sort(a: Any, axis: int = -1, **_: Any) -> Any:
    """`np.sort`: each entry's derivative goes to where it came from."""
    return take_along_axis(a, rd.argsort(a, axis=axis), axis)


@implements(np.median)
def median(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.median` over all entries or one axis."""
    if axis is None:
        result = median(ravel(a), axis=0)
        return reshape(result, (1,) * np.ndim(a)) if keepdims else result
    ordered, n = sort(a, axis), np.shape(a)[axis]
    return mean(take(ordered, [(n - 1) // 2, n // 2], axis), axis=axis, keepdims=keepdims)


# ---- products ------------------------------------------------------------------------------------------------


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """`np.dot`."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return ar.multiply(operand(a), operand(b))
    if np.ndim(b) <= 2 and np.ndim(a) <= 2:
        return la.matmul(operand(a), operand(b))
    return tensordot(a, b, ((-1,), (-1 if np.ndim(b) == 1 else -2,)))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """`np.vdot`."""
    return la.matmul(ravel(a), ravel(b))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    """`np.inner`."""
    return ar.multiply(a, b) if np.ndim(a) == 0 or np.ndim(b) == 0 else tensordot(a, b, ((-1,), (-1,)))


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    """`np.outer`."""
    return la.outer(ravel(a), ravel(b))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """`np.tensordot`."""
    na, nb = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        axes = (range(na - axes, na), range(axes))
    left, right = (
        [i % n for i in (x if isinstance(x, (Sequence, range)) else (x,))] for x, n in zip(axes, (na, nb), strict=True)
    )
    letters = string.ascii_letters
    ta, tb = list(letters[:na]), list(letters[na : na + nb])
    for i, j in zip(left, right, strict=True):
        tb[j] = ta[i]
    out = [c for k, c in enumerate(ta) if k not in left] + [c for k, c in enumerate(tb) if k not in right]
    return la.einsum(a, b, subscripts=f"{''.join(ta)},{''.join(tb)}->{''.join(out)}")


@implements(np.einsum)
def einsum(subscripts: str, *operands: Any, **_: Any) -> Any:
    """`np.einsum` with a string of subscripts."""
    if not isinstance(subscripts, str):
        raise TraceError(
            "np.einsum of traced values takes its subscripts as a string", "write np.einsum('ij,jk->ik', a, b)"
        )
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ShapeError(f"np.einsum: {subscripts!r} names {len(terms)} operands, {len(operands)} were given")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    extra = [np.ndim(x) - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, operands, strict=True)]
    dots = "".join(spare[: max(extra)])
    terms = [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, extra, strict=True)]
    if not arrow:
        joined = "".join(terms)
        output = ("..." if dots else "") + "".join(sorted(c for c in set(joined) - set(dots) if joined.count(c) == 1))
    output = output.replace("...", dots)
    whole = [_unit_axes_dropped(x, t, terms, operands) for x, t in zip(operands, terms, strict=True)]
    return la.einsum(*(x for x, _ in whole), subscripts=f"{','.join(t for _, t in whole)}->{output}")


def _unit_axes_dropped(x: Any, term: str, terms: list[str], operands: tuple[Any, ...]) -> tuple[Any, str]:
    """An operand without the axes of length one that einsum broadcasts against longer ones."""
    length: dict[str, int] = {}
    for t, o in zip(terms, operands, strict=True):
        for c, n in zip(t, np.shape(o), strict=True):
            length[c] = max(n, length.get(c, 1))
    keep = [k for k, (c, n) in enumerate(zip(term, np.shape(x), strict=True)) if n == length[c]]
    if len(keep) == len(term):
        return x, term
    return reshape(x, tuple(np.shape(x)[k] for k in keep)), "".join(term[k] for k in keep)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`np.trace`."""
    return sum_(diagonal(a, offset, axis1, axis2), axis=-1)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`np.diagonal`."""
    moved = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = np.shape(moved)[-2:]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    k = np.arange(n)
    return ix.getitem(moved, k - min(offset, 0), k + max(offset, 0), index=(Ellipsis, ix.HERE, ix.HERE))


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """`np.diag`."""
    if np.ndim(v) == 2:
        return diagonal(v, k)
    n = np.shape(v)[0] + abs(k)
    i = np.arange(np.shape(v)[0])
    return ix.scatter(v, i - min(k, 0), i + max(k, 0), index=(ix.HERE, ix.HERE), shape=(n, n))


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """`np.kron` of arrays with the same number of axes."""
    n = np.ndim(a)
    left = expand_dims(a, tuple(range(1, 2 * n, 2)))
    right = expand_dims(b, tuple(range(0, 2 * n, 2)))
    return reshape(left * right, tuple(p * q for p, q in zip(np.shape(a), np.shape(b), strict=True)))


@implements(np.cross)
def cross(a: Any, b: Any) -> Any:
    """`np.cross` of vectors along the last axis, of length 3."""
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise ShapeError(
            f"np.cross of traced values needs vectors of length 3, got shapes {np.shape(a)} and {np.shape(b)}"
        )
    ahead, behind = [1, 2, 0], [2, 0, 1]
    return take(a, ahead, -1) * take(b, behind, -1) - take(a, behind, -1) * take(b, ahead, -1)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """`np.linalg.norm`: Frobenius and vector norms; zero has gradient zero (a subgradient)."""
    if ord not in (None, 2, "fro") and not (np.ndim(x) == 1 or isinstance(axis, int)):
        raise TraceError(f"np.linalg.norm of a traced matrix with ord={ord!r} is not supported")
    if ord in (None, "fro") or (ord == 2 and (np.ndim(x) == 1 or isinstance(axis, int))):
        total = sum_(pw.absolute(x) ** 2, axis=axis, keepdims=keepdims)
        zero = pw.equal(total, 0)
        return pw.where(zero, 0.0, ex.sqrt(pw.where(zero, 1.0, total)))
    size = pw.absolute(x)
    if ord == 1:
        return sum_(size, axis=axis, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        return (max_ if ord > 0 else min_)(size, axis=axis, keepdims=keepdims)
    if (isinstance(ord, (int, float)) and np.ndim(x) == 1) or isinstance(axis, int):
        return sum_(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)
    raise TraceError(f"np.linalg.norm of a traced value with ord={ord!r} is not supported")


# ---- shape ---------------------------------------------------------------------------------------------------


@implements(np.reshape)
def reshape(a: Any, shape: Any = None, order: str = "C", **options: Any) -> Any:
    """`np.reshape`."""
    if order != "C":
        raise TraceError(
            f"reshape with order={order!r} of a traced value is not supported", "transpose before and after instead"
        )
    want = options.get("newshape", shape)
    sizes = [operator.index(n) for n in (want if isinstance(want, (tuple, list)) else (want,))]
    total = int(np.size(plain(a)))
    if sizes.count(-1) == 1:
        known = -int(np.prod(sizes))
        sizes[sizes.index(-1)] = total // known if known else 0
    if int(np.prod(sizes)) != total or min(sizes, default=0) < 0:
        raise ShapeError(f"cannot reshape an array of shape {np.shape(a)} ({total} entries) into {tuple(sizes)}")
    return _view(a, sh.reshape, shape=tuple(sizes))


def _view(a: Any, op: Any, **params: Any) -> Any:
    return view_of(a, op, params) if isinstance(a, Handle) else op(a, **params)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """`np.ravel`."""
    return reshape(a, (int(np.size(plain(a))),), order=order)


def flatten(a: Any, order: str = "C") -> Any:
    """A copy with one axis."""
    return copy(ravel(a, order))


@implements(np.transpose, np.permute_dims if hasattr(np, "permute_dims") else np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """`np.transpose`."""
    n = np.ndim(a)
    if axes is None:
        axes = range(-1, -n - 1, -1)
    found = tuple(one_axis(k, n) for k in axes)
    if sorted(found) != list(range(-n, 0)):
        raise ShapeError(f"axes {tuple(axes)} are no permutation of the {n} axes")
    return _view(a, sh.transpose, axes=found)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """`np.swapaxes`."""
    order = list(range(np.ndim(a)))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(a, order)


if hasattr(np, "matrix_transpose"):

    @implements(np.matrix_transpose)
    def matrix_transpose(a: Any) -> Any:
        """`np.matrix_transpose`."""
        return swapaxes(a, -1, -2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """`np.moveaxis`."""
    n = np.ndim(a)
    src = [k % n for k in (source if isinstance(source, (tuple, list)) else (source,))]
    dst = [k % n for k in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    order = [k for k in range(n) if k not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(a, order)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """`np.squeeze`."""
    shape = np.shape(a)
    drop = (
        [k for k, n in enumerate(shape) if n == 1] if axis is None else [k + len(shape) for k in axes(axis, len(shape))]
    )
    if any(shape[k] != 1 for k in drop):
        raise ShapeError(f"cannot squeeze axis {axis} of shape {shape}: its length is not one")
    return reshape(a, tuple(n for k, n in enumerate(shape) if k not in drop))


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """`np.expand_dims`."""
    new = axis if isinstance(axis, (tuple, list)) else (axis,)
    n = np.ndim(a) + len(new)
    where = {one_axis(k, n) + n for k in new}
    rest = iter(np.shape(a))
    return reshape(a, tuple(1 if k in where else next(rest) for k in range(n)))


@implements(np.atleast_1d)
def atleast_1d(a: Any) -> Any:
    """`np.atleast_1d`."""
    return reshape(a, (1,)) if np.ndim(a) == 0 else a


@implements(np.atleast_2d)
def atleast_2d(a: Any) -> Any:
    """`np.atleast_2d`."""
    return a if np.ndim(a) >= 2 else reshape(a, (1, int(np.size(plain(a)))))


@implements(np.broadcast_to)
def broadcast_to(a: Any, shape: Any, **_: Any) -> Any:
    """`np.broadcast_to`."""
    return _view(a, sh.broadcast_to, shape=tuple(shape) if isinstance(shape, (tuple, list)) else (shape,))


@implements(np.broadcast_arrays)
def broadcast_arrays(*arrays: Any, **_: Any) -> Any:
    """`np.broadcast_arrays`."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    return tuple(broadcast_to(a, shape) for a in arrays)


@implements(np.concatenate, np.concat if hasattr(np, "concat") else np.concatenate)
def concatenate(arrays: Any, axis: Any = 0, dtype: Any = None, **_: Any) -> Any:
    """`np.concatenate`."""
    parts = [from_nested(a) if dtype is None else sh.cast(from_nested(a), dtype=np.dtype(dtype)) for a in arrays]
    if axis is None:
        parts, axis = [ravel(p) for p in parts], 0
    if any(np.ndim(p) == 0 for p in parts):
        raise ShapeError(
            "np.concatenate: zero-dimensional arrays cannot be concatenated", "use np.stack([...]) for scalars"
        )
    return sh.concatenate(*parts, axis=one_axis(axis, np.ndim(parts[0])))


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, **_: Any) -> Any:
    """`np.stack`."""
    parts = [from_nested(a) for a in arrays]
    return sh.stack(*parts, axis=one_axis(axis, np.ndim(parts[0]) + 1))


@implements(np.vstack)
def vstack(arrays: Any, **_: Any) -> Any:
    """`np.vstack`."""
    return concatenate([atleast_2d(a) for a in arrays], 0)


@implements(np.hstack)
def hstack(arrays: Any, **_: Any) -> Any:
    """`np.hstack`."""
    parts = [atleast_1d(a) for a in arrays]
    return concatenate(parts, 0 if np.ndim(parts[0]) == 1 else 1)


@implements(np.column_stack)
def column_stack(arrays: Any) -> Any:
    """`np.column_stack`."""
    return concatenate([a if np.ndim(a) >= 2 else reshape(a, (-1, 1)) for a in arrays], 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """`np.append`."""
    return concatenate([arr, values] if axis is not None else [ravel(operand(arr)), ravel(operand(values))], axis or 0)


@implements(np.split, np.array_split)
def split(a: Any, sections: Any, axis: int = 0) -> Any:
    """`np.split` and `np.array_split`."""
    n = np.shape(a)[axis]
    if isinstance(sections, int):
        size, more = divmod(n, sections)
        sections = list(np.cumsum([size + (k < more) for k in range(sections)]))[:-1]
    bounds = [0, *(int(s) for s in sections), n]
    k = one_axis(axis, np.ndim(a))
    tail = (slice(None),) * (-k - 1)
    return [_view(a, ix.getitem, index=(Ellipsis, slice(i, j), *tail)) for i, j in itertools.pairwise(bounds)]


@implements(np.tile)
def tile(a: Any, reps: Any) -> Any:
    """`np.tile`."""
    reps = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    n = max(len(reps), np.ndim(a))
    shape = (1,) * (n - np.ndim(a)) + tuple(np.shape(a))
    reps = (1,) * (n - len(reps)) + reps
    wide = reshape(a, tuple(m for s in shape for m in (1, s)))
    wide = broadcast_to(wide, tuple(m for r, s in zip(reps, shape, strict=True) for m in (r, s)))
    return reshape(wide, tuple(r * s for r, s in zip(reps, shape, strict=True)))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """`np.repeat`."""
    if axis is None:
        return repeat(ravel(a), repeats, 0)
    return take(a, np.repeat(np.arange(np.shape(a)[axis]), repeats), axis)


@implements(np.flip)
def flip(a: Any, axis: Any = None) -> Any:
    """`np.flip`."""
    return _view(a, sh.flip, axis=axes(axis, np.ndim(a)))


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """`np.roll`."""
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), np.shape(a))
    k = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    shifts = tuple(shift) if isinstance(shift, (tuple, list)) else (shift,) * len(k)
    return sh.roll(a, shift=shifts, axis=tuple(one_axis(i, np.ndim(a)) for i in k))


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0, **_: Any) -> Any:
    """`np.pad` with zeros."""
    if mode != "constant" or np.any(constant_values != 0):
        raise TraceError(
            f"np.pad of a traced value pads with zeros only, not mode={mode!r}", "add the border with np.concatenate"
        )
    width = np.broadcast_to(np.asarray(pad_width, int), (np.ndim(array), 2)).tolist()
    return sh.pad(array, width=tuple((a, b) for a, b in width))


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """`np.tril`."""
    return sh.tril(m, k=k)


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """`np.triu`."""
    return sh.triu(m, k=k)


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """`np.diff`."""
    for _ in range(n):
        tail = (slice(None),) * (-one_axis(axis, np.ndim(a)) - 1)
        a = a[(Ellipsis, slice(1, None), *tail)] - a[(Ellipsis, slice(None, -1), *tail)]
    return a


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, **_: Any) -> Any:
    """`np.take`."""
    if axis is None:
        return ravel(a)[indices]
    return a[(Ellipsis, indices, *(slice(None),) * (-one_axis(axis, np.ndim(a)) - 1))]


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """`np.take_along_axis`."""
    if axis is None:
        return ravel(arr)[indices]
    k, n = one_axis(axis, np.ndim(arr)) + np.ndim(arr), np.ndim(arr)
    grid = [np.arange(m).reshape((1,) * i + (m,) + (1,) * (n - i - 1)) for i, m in enumerate(np.shape(arr))]
    return arr[tuple(indices if i == k else g for i, g in enumerate(grid))]


@implements(np.meshgrid)
def meshgrid(*xs: Any, indexing: str = "xy", **_: Any) -> Any:
    """`np.meshgrid`."""
    n = len(xs)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    grids = broadcast_arrays(
        *(reshape(x, tuple(-1 if order[j] == k else 1 for j in range(n))) for k, x in enumerate(xs))
    )
    return list(grids)


# ---- values --------------------------------------------------------------------------------------------------


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`np.where`; with the condition alone, the concrete indices where it holds."""
    if x is None and y is None:
        return nonzero(condition)
    condition = operand(condition)
    return pw.where(
        condition if dtype_of(condition).kind == "b" else pw.not_equal(condition, 0), operand(x), operand(y)
    )


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, **options: Any) -> Any:
    """`np.clip`."""
    low, high = options.get("min", a_min), options.get("max", a_max)
    if low is None:
        return pw.minimum(a, high) if high is not None else a
    return pw.maximum(a, low) if high is None else pw.clip(a, low, high)


@implements(np.nan_to_num)
def nan_to_num(x: Any, nan: float = 0.0, **_: Any) -> Any:
    """`np.nan_to_num` for NaN; infinities stay."""
    return pw.where(pw.isnan(x), nan, x)


@implements(np.round, np.around)
def round_(a: Any, decimals: int = 0, **_: Any) -> Any:
    """`np.round`: nothing flows."""
    return pw.rint(a) if decimals == 0 else pw.rint(a * 10.0**decimals) / 10.0**decimals


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """`np.sinc`, smooth through zero."""
    from ..ops.trigonometric import sin

    near = pw.absolute(x) < 1e-3
    y = np.pi * pw.where(near, 1.0, x)
    z = (np.pi * x) ** 2
    return pw.where(near, 1 - z / 6 * (1 - z / 20 * (1 - z / 42)), sin(y) / y)


@implements(np.copy)
def copy(a: Any, *_: Any, **__: Any) -> Any:
    """`np.copy`: a handle of its own."""
    return type(a)(a.node) if isinstance(a, Handle) else np.array(a)


def fill(a: Any, value: Any) -> None:
    """Set every entry."""
    a[...] = value


def _filled(function: Any) -> Callable[..., Any]:
    def version(a: Any, *args: Any, **options: Any) -> Any:
        return constant_like(a, np.array(function(plain(a), *args, **options)))

    version.__doc__ = f"`np.{function.__name__}`: a traced array to write into."
    return implements(function)(version)


zeros_like, ones_like, empty_like = _filled(np.zeros_like), _filled(np.ones_like), _filled(np.empty_like)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
    """`np.full_like`."""
    base = (
        zeros_like(a, dtype=dtype, shape=shape) if isinstance(a, Handle) else np.zeros_like(a, dtype=dtype, shape=shape)
    )
    if isinstance(fill_value, Handle):
        return pw.where(True, fill_value, base)
    base[...] = fill_value
    return base


CREATORS = (np.zeros, np.ones, np.empty, np.full, np.eye, np.identity, np.arange)


@implements(np.array, np.asarray, np.asanyarray, np.ascontiguousarray)
def array(x: Any, dtype: Any = None, **_: Any) -> Any:
    """`np.array(..., like=x)`, in which traced values may stand."""
    made = from_nested(x)
    if dtype is not None:
        made = sh.cast(made, dtype=np.dtype(dtype))
    return made


# ---- questions: plain answers, from which no derivative can flow ---------------------------------------------


def _plainly(*functions: Any) -> None:
    def about(function: Any) -> Callable[..., Any]:
        def version(*args: Any, **options: Any) -> Any:
            return function(*(_bare(a) for a in args), **{k: _bare(v) for k, v in options.items()})

        return version

    for f in functions:
        FUNCTIONS[f] = about(f)


def _bare(x: Any) -> Any:
    return [_bare(i) for i in x] if isinstance(x, (list, tuple)) else plain(x)


_plainly(
    np.shape, np.ndim, np.size, np.count_nonzero, np.isclose, np.allclose, np.array_equal, np.result_type, np.can_cast,
    np.may_share_memory, np.shares_memory, np.iscomplexobj, np.isrealobj, np.nonzero, np.flatnonzero, np.argwhere,
    np.searchsorted, np.array_repr, np.array_str, np.array2string, np.digitize, np.min_scalar_type, np.common_type,
)  # fmt: skip


def nonzero(a: Any) -> Any:
    """The indices of the entries that are not zero, as plain arrays."""
    return np.nonzero(plain(a))


@implements(np.all)
def all_(a: Any, axis: Any = None, **options: Any) -> Any:
    """`np.all`: a plain truth value."""
    return np.all(plain(a), axis=axis, **options)


@implements(np.any)
def any_(a: Any, axis: Any = None, **options: Any) -> Any:
    """`np.any`: a plain truth value."""
    return np.any(plain(a), axis=axis, **options)
