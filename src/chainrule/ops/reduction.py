"""Reductions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shapes
from .arithmetic import stop_gradient
from .broadcasting import AXES, Axes, axes_text, count, dtype_of, expand, kept, reduction_text, reshape, sum
from .complex import conj, real
from .exponential import exp, log, sqrt
from .indexing import getitem
from .kinds import Composite, Discrete
from .kinks import ties
from .piecewise import equal, isfinite, where
from .shape import cast, concatenate
from .torch_text import torch_extreme, torch_moment, torch_place, torch_products, torch_reduced

ALONG = ((((2, 3),), {"axis": (-1,)}), (((2, 3),), {"axis": (-2, -1)}), (((4,),), {"axis": (-1,)}))


def _inexact(x: Any) -> Any:
    """Integers and truth values as doubles, in which NumPy averages them."""
    return cast(x, dtype=np.dtype(float)) if dtype_of(x).kind in "iub" else x


mean = Composite(
    "mean",
    lambda x, axis, keepdims=False: sum(_inexact(x), axis=axis, keepdims=keepdims) / count(x, axis),
    value=lambda x, axis, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    pullback=lambda i, ct, y, x, axis, keepdims=False: expand(ct / count(x, axis), x, axis, keepdims),
    text=reduction_text("mean"),
    shape=shapes.reduced,
    batch="along",
    rule="a mean gives each term its share",
    examples=AXES,
    latex=r"\operatorname{{mean}}({0})",
    torch=torch_reduced("mean"),
)


def _share(x: Any, y: Any, axis: Axes, keepdims: bool) -> Any:
    hit = equal(x, kept(y, x, axis, keepdims))
    return hit / sum(hit, axis=axis, keepdims=len(axis) < np.ndim(x))


def _extreme_text(name: str) -> Any:
    """The largest of truth values is whether any holds."""
    plain, truth = reduction_text(name), reduction_text({"max": "any", "min": "all"}[name])
    return lambda args, node: (truth if dtype_of(node.value).kind == "b" else plain)(args, node)


def _extreme(name: str, function: Any) -> Composite:
    def value(x: Any, axis: Axes, keepdims: bool = False) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    def body(x: Any, axis: Axes, keepdims: bool = False) -> Any:
        y = stop_gradient(op(stop_gradient(x), axis=axis, keepdims=keepdims))
        share = _share(stop_gradient(x), y, axis, keepdims)
        return sum(
            where(equal(share, 0), 0, x) * share, axis=axis, keepdims=keepdims
        )  # an infinite loser counts nothing

    def pullback(i: int, ct: Any, y: Any, x: Any, axis: Axes, keepdims: bool = False) -> Any:
        return kept(ct, x, axis, keepdims) * _share(x, y, axis, keepdims)

    op = Composite(
        name,
        body,
        value=value,
        pullback=pullback,
        text=_extreme_text(name.removeprefix("reduce_")),
        shape=shapes.reduced,
        batch="along",
        whole=True,
        kink=ties,
        torch=torch_extreme(name.removeprefix("reduce_")),
        word=name.removeprefix("reduce_"),
        examples=AXES,
        latex=rf"\{name.removeprefix('reduce_')} {{0}}",
        doc=f"The {name.removeprefix('reduce_')}imum along axes; at a tie the derivative is shared equally.",
    )
    return op


reduce_max = _extreme("reduce_max", np.max)
reduce_min = _extreme("reduce_min", np.min)


def _prod(x: Any, axis: Axes, keepdims: bool = False) -> Any:
    """A tree of products: its derivative needs no division, so zeros are no trouble."""
    whole = x
    for a in axis:
        n = np.shape(whole)[a]
        while n > 1:
            half = n // 2
            paired = _cut(whole, a, 0, half) * _cut(whole, a, half, 2 * half)
            whole = paired if n % 2 == 0 else _joined(paired, _cut(whole, a, 2 * half, n), a)
            n = n - half
        if n == 0:
            return np.prod(np.ones(np.shape(x), dtype_of(x)), axis=axis, keepdims=keepdims) + 0 * sum(
                x, axis=axis, keepdims=keepdims
            )
    if keepdims:
        return whole
    shape = tuple(m for k, m in enumerate(np.shape(x)) if k - np.ndim(x) not in axis)
    return reshape(whole, shape=shape)


def _cut(x: Any, axis: int, start: int, stop: int) -> Any:
    return getitem(x, index=(Ellipsis, slice(start, stop)) + (slice(None),) * (-axis - 1))


def _joined(a: Any, b: Any, axis: int) -> Any:
    return concatenate(a, b, axis=axis)


prod = Composite(
    "prod",
    _prod,
    value=lambda x, axis, keepdims=False: np.prod(x, axis=axis, keepdims=keepdims),
    text=reduction_text("prod"),
    shape=shapes.reduced,
    batch="along",
    whole=True,
    examples=AXES,
    latex=r"\prod {0}",
    torch=torch_products,
)


def _var(x: Any, axis: Axes, keepdims: bool = False, ddof: float = 0) -> Any:
    centred = x - mean(x, axis=axis, keepdims=True)
    squared = real(centred * conj(centred)) if np.iscomplexobj(x) else centred * centred
    return sum(squared, axis=axis, keepdims=keepdims) / (count(x, axis) - ddof)


def root(spread: Any) -> Any:
    """The square root of a mean of squares, which has a kink where nothing varies: zero is a subgradient there, as of a norm."""
    none = equal(spread, 0)
    return where(none, 0.0, sqrt(where(none, 1.0, spread)))


def _std(x: Any, axis: Axes, keepdims: bool = False, ddof: float = 0) -> Any:
    return root(var(x, axis=axis, keepdims=keepdims, ddof=ddof))


def _std_pullback(i: int, ct: Any, y: Any, x: Any, axis: Axes, keepdims: bool = False, ddof: float = 0) -> Any:
    ct, y = kept(ct, x, axis, keepdims), kept(y, x, axis, keepdims)
    centred = x - mean(x, axis=axis, keepdims=True)
    centred = centred - mean(
        centred, axis=axis, keepdims=True
    )  # where nothing varies but the rounding, nothing is left
    if np.iscomplexobj(x):
        centred = conj(centred)
    return ct * centred / (where(equal(y, 0), 1.0, y) * (count(x, axis) - ddof))


def _moment_text(name: str) -> Any:
    plain = reduction_text(name)

    def text(args: list[Any], node: Any) -> str:
        ddof = node.params.get("ddof", 0)
        return plain(args, node)[:-1] + (f", ddof={ddof})" if ddof else ")")

    return text


var = Composite(
    "var",
    _var,
    value=lambda x, axis, keepdims=False, ddof=0: np.var(x, axis=axis, keepdims=keepdims, ddof=ddof),
    text=_moment_text("var"),
    shape=shapes.reduced,
    batch="along",
    cost=4,
    examples=AXES[:3],
    torch=torch_moment("var"),
)
std = Composite(
    "std",
    _std,
    pullback=_std_pullback,
    value=lambda x, axis, keepdims=False, ddof=0: np.std(x, axis=axis, keepdims=keepdims, ddof=ddof),
    text=_moment_text("std"),
    shape=shapes.reduced,
    batch="along",
    cost=4,
    examples=AXES[:3],
    torch=torch_moment("std"),
)


def _in_floats(x: Any) -> Any:
    """Integers and booleans as what exp makes of them: their own differences wrap around."""
    dtype = dtype_of(x)
    return x if dtype.kind in "fc" else cast(x, dtype=np.exp(np.zeros((), dtype)).dtype)


def _peak(x: Any, axis: Axes) -> Any:
    m = reduce_max(stop_gradient(x), axis=axis, keepdims=True)
    return stop_gradient(where(isfinite(m), m, 0))


def _logsumexp(x: Any, axis: Axes, keepdims: bool = False) -> Any:
    x = _in_floats(x)
    m = _peak(x, axis)
    total = log(sum(exp(x - m), axis=axis, keepdims=True)) + m
    return (
        total
        if keepdims
        else reshape(total, shape=tuple(n for k, n in enumerate(np.shape(x)) if k - np.ndim(x) not in axis))
    )


def _quiet(function: Any) -> Any:
    """Values for which log(0) = -inf is the right answer and no news."""

    def value(x: Any, **params: Any) -> Any:
        with np.errstate(divide="ignore"):
            return function(x, **params)

    return value


def _logsumexp_pullback(i: int, ct: Any, y: Any, x: Any, axis: Axes, keepdims: bool = False) -> Any:
    top = kept(y, x, axis, keepdims)
    return kept(ct, x, axis, keepdims) * exp(x - where(isfinite(top), top, 0))


def _softmax(x: Any, axis: Axes) -> Any:
    x = _in_floats(x)
    e = exp(x - _peak(x, axis))
    return e / sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: Axes) -> Any:
    x = _in_floats(x)
    y = x - _peak(x, axis)  # first: a logarithm added to a large number loses its digits
    return y - log(sum(exp(y), axis=axis, keepdims=True))


def _shifted(x: Any, axis: Axes) -> Any:
    """Plain values less their largest along axes, so that exp cannot overflow."""
    x = _in_floats(x)
    m = np.maximum.reduce(x, axis=axis, keepdims=True)
    finite = np.isfinite(m)
    return x - (m if finite.all() else np.where(finite, m, m.dtype.type(0)))


def _softmax_value(x: Any, axis: Axes) -> Any:
    e = np.exp(_shifted(x, axis))
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


def _log_softmax_value(x: Any, axis: Axes) -> Any:
    y = _shifted(x, axis)
    total = np.add.reduce(np.exp(y), axis=axis, keepdims=True)  # at least 1, or NaN, or 0 where every entry is -inf
    if total.all():
        return y - np.log(total)
    with np.errstate(divide="ignore"):
        return y - np.log(total)


def _softmax_text(name: str) -> Any:
    def text(args: list[Any], node: Any) -> str:
        return f"{name}({args[0]}{axes_text(node.params['axis'], np.ndim(node.inputs[0].value)) or ', axis=None'})"

    return text


logsumexp = Composite(
    "logsumexp",
    _logsumexp,
    value=_quiet(_logsumexp),
    pullback=_logsumexp_pullback,
    shape=shapes.reduced,
    batch="along",
    cost=4,
    examples=AXES[:3],
    text=lambda args, node: reduction_text("logsumexp")(args, node).replace("np.", "special.", 1),
    latex=r"\log \sum e^{{{0}}}",
    prelude="from scipy import special\n",
    doc="log(sum(exp(x))) along axes, without overflow.",
    torch=torch_reduced("logsumexp", always=True),
)
softmax = Composite(
    "softmax",
    _softmax,
    value=_softmax_value,
    shape=shapes.like_floats,
    batch="along",
    cost=4,
    examples=ALONG,
    pullback=lambda i, ct, y, x, axis: y * (ct - sum(ct * y, axis=axis, keepdims=True)),
    text=_softmax_text("special.softmax"),
    latex=r"\operatorname{{softmax}}({0})",
    range=(0, 1),
    prelude="from scipy import special\n",
    doc="exp(x) / sum(exp(x)) along axes, without overflow.",
    torch=lambda args, node: f"torch.softmax({args[0]}, dim={node.params['axis'][0]})",
    jax=lambda args, node: f"jax.nn.softmax({args[0]}, axis={node.params['axis']})",
)
log_softmax = Composite(
    "log_softmax",
    _log_softmax,
    value=_log_softmax_value,
    shape=shapes.like_floats,
    batch="along",
    cost=4,
    examples=ALONG,
    pullback=lambda i, ct, y, x, axis: ct - exp(y) * sum(ct, axis=axis, keepdims=True),
    text=_softmax_text("special.log_softmax"),
    latex=r"\log\operatorname{{softmax}}({0})",
    prelude="from scipy import special\n",
    doc="log(softmax(x)) along axes, accurate for any x.",
    torch=lambda args, node: f"torch.log_softmax({args[0]}, dim={node.params['axis'][0]})",
    jax=lambda args, node: f"jax.nn.log_softmax({args[0]}, axis={node.params['axis']})",
)


def _search_batch(op: Any, values: list[Any], each: list[bool], params: dict[str, Any], n: int) -> Any:
    axis = params.get("axis")
    if axis is None:
        return op(reshape(values[0], shape=(n, int(np.prod(np.shape(values[0])[1:])))), axis=-1)
    return op(values[0], axis=axis if axis < 0 else axis + 1)


def _search_text(name: str) -> Any:
    def text(args: list[Any], node: Any) -> str:
        options = "".join(f", {k}={v!r}" for k, v in node.params.items() if v is not None)
        return f"np.{name}({args[0]}{options})"

    return text


argmax = Discrete(
    "argmax",
    lambda x, axis=None: np.argmax(x, axis=axis),
    text=_search_text("argmax"),
    batch=_search_batch,
    examples=((((2, 3),), {}), (((2, 3),), {"axis": -1})),
    doc="The index of the largest entry: an integer, so nothing flows.",
    torch=torch_place("argmax"),
)
argmin = Discrete(
    "argmin",
    lambda x, axis=None: np.argmin(x, axis=axis),
    text=_search_text("argmin"),
    batch=_search_batch,
    examples=((((2, 3),), {}), (((2, 3),), {"axis": -1})),
    doc="The index of the smallest entry: an integer, so nothing flows.",
    torch=torch_place("argmin"),
)
argsort = Discrete(
    "argsort",
    lambda x, axis=-1, kind=None: np.argsort(x, axis=axis, kind=kind),
    text=_search_text("argsort"),
    batch=_search_batch,
    examples=((((3,),), {}), (((2, 3),), {"axis": -2, "kind": "stable"})),
    doc="The order that sorts: integers, so nothing flows.",
    torch=lambda args, node: f"torch.argsort({args[0]}, dim={node.params.get('axis', -1)}, stable=True)",
    jax=lambda args, node: f"jnp.argsort({args[0]}, axis={node.params.get('axis', -1)}, stable=True)",
)
