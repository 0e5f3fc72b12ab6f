"""The names that torch has for a tensor's methods, where NumPy's differ."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..ops import Composite, Elementwise, by_name
from ..trace import functions as fn
from ..trace.array import Array
from ..trace.handles import plain


class Extreme(NamedTuple):
    """What `max(dim)` and `min(dim)` return."""

    values: Any
    indices: Any


def with_dim(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction that knows torch's `dim` and `keepdim` beside NumPy's `axis` and `keepdims`."""

    @functools.wraps(function)
    def reduced(x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        axis, keepdims = options.pop("axis", dim), options.pop("keepdims", keepdim)
        return function(x, axis=axis, **({"keepdims": keepdims} if keepdims else {}), **options)

    return reduced


def _extreme(function: Callable[..., Any], where: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if dim is None:
            return function(x, **options)
        found = where(x, axis=dim)
        return Extreme(function(x, axis=dim, keepdims=keepdim), fn.expand_dims(found, dim) if keepdim else found)

    return extreme


def _moment(function: Callable[..., Any]) -> Callable[..., Any]:
    def moment(
        x: Any,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        correction: float | None = None,
        **options: Any,
    ) -> Any:
        ddof = options.pop("ddof", correction if correction is not None else float(unbiased))
        axis, keepdims = options.pop("axis", dim), options.pop("keepdims", keepdim)
        return function(x, axis=axis, keepdims=keepdims, ddof=ddof)

    return moment


class TorchNames(Array):
    """Methods under torch's names; each is the NumPy function of `chainrule.trace.functions`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = None if name.startswith("_") else by_name(name)
        if isinstance(op, (Elementwise, Composite)):
            return functools.partial(op, self)
        raise AttributeError(f"a Tensor has no attribute {name!r}")

    sum, mean, prod = with_dim(fn.sum_), with_dim(fn.mean), with_dim(fn.prod)
    argmax, argmin = with_dim(fn.argmax), with_dim(fn.argmin)
    all, any, logsumexp = with_dim(fn.all_), with_dim(fn.any_), with_dim(fn.logsumexp)
    max, min = _extreme(fn.max_, fn.argmax), _extreme(fn.min_, fn.argmin)
    var, std = _moment(fn.var), _moment(fn.std)

    def softmax(self, dim: Any = -1) -> Any:
        """Softmax along `dim`."""
        return fn.softmax(self, dim)

    def log_softmax(self, dim: Any = -1) -> Any:
        """log(softmax(x)) along `dim`."""
        return fn.log_softmax(self, dim)

    def view(self, *shape: Any) -> Any:
        """The same entries in another shape."""
        return self.reshape(*shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes from `start_dim` to `end_dim` made one."""
        shape, n = self.shape, max(self.ndim, 1)
        start, stop = start_dim % n, end_dim % n + 1
        return self.reshape(*shape[:start], -1, *shape[stop:])

    def permute(self, *dims: Any) -> Any:
        """The axes in another order."""
        return fn.transpose(self, dims[0] if len(dims) == 1 else dims)

    def transpose(self, *dims: Any) -> Any:
        """Two axes exchanged, as in torch; with other than two, NumPy's transpose."""
        return fn.swapaxes(self, *dims) if len(dims) == 2 else super().transpose(*dims)

    def unsqueeze(self, dim: int) -> Any:
        """A new axis of length one."""
        return fn.expand_dims(self, dim)

    def squeeze(self, dim: Any = None) -> Any:
        """Axes of length one left out; `dim`, if it has length one."""
        return self if dim is not None and self.shape[dim] != 1 else fn.squeeze(self, dim)

    def t(self) -> Any:
        """The transpose of a matrix."""
        return fn.transpose(self)

    def size(self, dim: int | None = None) -> Any:  # type: ignore[override]
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of entries."""
        return int(np.prod(self.shape))

    def expand(self, *shape: Any) -> Any:
        """Broadcast to a shape; -1 keeps a length."""
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        have = (1,) * (len(wanted) - self.ndim) + self.shape
        return fn.broadcast_to(self, tuple(h if w == -1 else w for h, w in zip(have, wanted, strict=True)))

    def float(self) -> Any:
        """In float32."""
        return self.astype(np.float32)

    def double(self) -> Any:
        """In float64."""
        return self.astype(np.float64)

    def long(self) -> Any:
        """In int64."""
        return self.astype(np.int64)

    def bool(self) -> Any:
        """In bool."""
        return self.astype(np.bool_)

    def type_as(self, other: Any) -> Any:
        """In the dtype of another tensor."""
        return self.astype(other.dtype)

    def to(self, *where: Any, dtype: Any = None, **_: Any) -> Any:
        """In another dtype. The only device is the CPU."""
        for w in where:
            if isinstance(w, str) and w.split(":")[0] in ("cpu", "cuda", "mps", "xpu"):
                if w != "cpu":
                    raise InputError(
                        f"there is no device {w!r}: chainrule's tensors live on the CPU", "leave .to(...) out"
                    )
            else:
                dtype = w
        return self if dtype is None else self.astype(dtype)

    def cpu(self) -> Any:
        """The tensor itself: it is on the CPU."""
        return self

    def contiguous(self) -> Any:
        """The tensor itself: the layout in memory is no concern here."""
        return self

    def requires_grad_(self, requires_grad: Any = True) -> Any:
        """Set whether `backward()` collects a gradient here."""
        self.requires_grad = requires_grad
        return self

    def zero_(self) -> Any:
        """Set every entry to zero, in place."""
        return self.copy_(np.zeros((), self.dtype))

    def fill_(self, value: Any) -> Any:
        """Set every entry to a number, in place."""
        return self.copy_(np.asarray(value, self.dtype))

    def copy_(self, other: Any) -> Any:
        """Take the values of another tensor, in place."""
        new = other if isinstance(other, TorchNames) else type(self)._constant(np.asarray(plain(other)))
        self.assign(fn.broadcast_to(new, self.shape).astype(self.dtype))
        return self

    @classmethod
    def _constant(cls, value: Any) -> Any:
        raise NotImplementedError

    def add_(self, other: Any, alpha: Any = 1) -> Any:
        """Add in place."""
        self += other if alpha == 1 else alpha * other
        return self

    def sub_(self, other: Any, alpha: Any = 1) -> Any:
        """Subtract in place."""
        self -= other if alpha == 1 else alpha * other
        return self

    def mul_(self, other: Any) -> Any:
        """Multiply in place."""
        self *= other
        return self

    def div_(self, other: Any) -> Any:
        """Divide in place."""
        self /= other
        return self

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """Kept between two bounds."""
        return fn.clip(self, min, max)

    def eq(self, other: Any) -> Any:
        """Where two are equal."""
        return self == other

    def pow(self, exponent: Any) -> Any:
        """Raised to a power."""
        return self**exponent

    def matmul(self, other: Any) -> Any:
        """The matrix product."""
        return self @ other

    mm = matmul
