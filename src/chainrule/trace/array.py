"""Array: the handle that users hold. It behaves as the NumPy array or scalar whose computation it records."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ..errors import ShapeError, TraceError
from ..ir.deferred import settled
from ..ir.op import Op
from ..ir.recording import Handle, record, record_with_number, state
from ..ops import arithmetic as ar
from ..ops import complex as cx
from ..ops import exponential as ex
from ..ops import indexing as ix
from ..ops import linalg as la
from ..ops import piecewise as pw
from ..ops import shape as sh
from . import functions as fn
from .handles import dtype_of, operand, split_index, view_of, written
from .lost import lost


def _binary(op: Op, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            return record_with_number(op, self, other, reflected)
        other = operand(other)
        return record(op, (other, self) if reflected else (self, other))

    return method


def _unary(op: Op) -> Callable[..., Any]:
    def method(self: Array) -> Any:
        return record(op, (self,))

    return method


def _inplace(op: Op) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        result = record(op, (self, operand(other)))
        if self.rebinds_scalars and self.ndim == 0 and self._view is None:
            return result
        self.assign(result)
        return self

    return method


def known_here(what: str) -> None:
    """Raise where values stand for any: in the body of a loop, or where no point was given."""
    if state.abstract is not None:
        raise TraceError(
            state.abstract or what,
            "use chainrule.cond, or np.where"
            if state.abstract
            else "give the point at which to trace, for instance x=2.0, or --at x=2.0",
        )


class Array(Handle):
    """A traced array or scalar.

    It supports NumPy's operators, functions and methods, indexing, and in-place assignment. Python control
    flow on its value works, since the value is known while tracing.
    """

    __slots__ = ()
    __array_priority__ = 1000
    rebinds_scalars = True  # NumPy scalars are immutable: `x += 1` binds the name anew

    # ---- what it is ----------------------------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Array({np.array2string(np.asarray(settled(self.node.value)), separator=', ', prefix='Array(')})"

    def __str__(self) -> str:
        return str(settled(self.node.value))

    def __format__(self, spec: str) -> str:
        return format(settled(self.node.value), spec)

    def __bool__(self) -> bool:
        if state.abstract is not None:
            known_here("the branch taken here depends on a value, and no values were given")
        if state.observed is None or state.level:
            return bool(self.value)
        state.observed.setdefault(self.node, "truth")
        return bool(settled(self.node.value))

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    __hash__ = None  # type: ignore[assignment]

    # ---- operators -----------------------------------------------------------------------------------------

    __add__, __radd__, __iadd__ = _binary(ar.add), _binary(ar.add, True), _inplace(ar.add)
    __sub__, __rsub__, __isub__ = _binary(ar.subtract), _binary(ar.subtract, True), _inplace(ar.subtract)
    __mul__, __rmul__, __imul__ = _binary(ar.multiply), _binary(ar.multiply, True), _inplace(ar.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _binary(ar.divide), _binary(ar.divide, True), _inplace(ar.divide)
    __pow__, __rpow__, __ipow__ = _binary(ex.power), _binary(ex.power, True), _inplace(ex.power)
    __matmul__, __rmatmul__, __imatmul__ = _binary(la.matmul), _binary(la.matmul, True), _inplace(la.matmul)
    __floordiv__, __rfloordiv__ = _binary(ar.floor_divide), _binary(ar.floor_divide, True)
    __mod__, __rmod__ = _binary(ar.remainder), _binary(ar.remainder, True)
    __ifloordiv__, __imod__ = _inplace(ar.floor_divide), _inplace(ar.remainder)
    __gt__, __ge__, __lt__, __le__ = map(_binary, (pw.greater, pw.greater_equal, pw.less, pw.less_equal))
    __and__, __rand__ = _binary(pw.logical_and), _binary(pw.logical_and, True)
    __or__, __ror__ = _binary(pw.logical_or), _binary(pw.logical_or, True)
    __xor__, __rxor__ = _binary(pw.logical_xor), _binary(pw.logical_xor, True)
    __neg__, __pos__, __abs__ = _unary(ar.negative), _unary(ar.positive), _unary(pw.absolute)
    __floor__, __ceil__, __trunc__ = _unary(pw.floor), _unary(pw.ceil), _unary(pw.trunc)

    def __eq__(self, other: Any) -> Any:
        return False if other is None or isinstance(other, str) else record(pw.equal, (self, operand(other)))

    def __ne__(self, other: Any) -> Any:
        return True if other is None or isinstance(other, str) else record(pw.not_equal, (self, operand(other)))

    def __invert__(self) -> Any:
        if self.dtype != bool:
            raise TraceError(f"~ on a traced value of dtype {self.dtype}", "~ works on comparisons; for -x write -x")
        return record(pw.logical_not, (self,))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __round__(self, digits: int = 0) -> Any:
        return record(pw.rint, (self,)) if not digits else record(pw.rint, (self * 10.0**digits,)) / 10.0**digits

    # ---- where NumPy or Python would drop the derivative ---------------------------------------------------

    def __float__(self) -> NoReturn:
        raise lost("float")

    def __complex__(self) -> NoReturn:
        raise lost("complex")

    def __int__(self) -> int:
        known_here("an integer is made of a value here, and no values were given")
        return int(self.value)  # an integer has no derivative to lose

    def __index__(self) -> int:
        known_here("an index is made of a value here, and no values were given")
        return operator.index(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise lost("array")

    def item(self) -> NoReturn:
        """Refused: a Python number would lose the derivative."""
        raise lost("item")

    # ---- indexing and assignment ---------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        template, arrays = split_index(index)
        if arrays:
            return record(ix.getitem, (self, *arrays), {"index": template})
        return view_of(self, ix.getitem, {"index": template})

    def __setitem__(self, index: Any, value: Any) -> None:
        template, arrays = split_index(index)
        view = value._view if isinstance(value, Handle) else None
        if view is not None and view.base is self and view.op is ix.getitem and view.params["index"] == template:
            return  # the end of a[i] += v: the view has written through already
        value = operand(value)
        if self.dtype.kind != "c" and dtype_of(value).kind == "c":
            raise TraceError("assigning a complex value into a real array would drop its imaginary part")
        self.assign(record(ix.index_set, (self, value, *arrays), {"index": template}))

    def assign(self, new: Handle) -> None:
        """Give this array a new value, as in-place code does; a view writes through to its base."""
        old, node = self.node.value, new.node
        if new.shape != self.shape:
            raise ShapeError(
                f"an in-place operation cannot change the shape {self.shape} to {np.shape(new)}",
                "write a = a + b instead of a += b",
            )
        want, have = self.dtype, dtype_of(new)
        if want != have:
            if not np.can_cast(have, want, "same_kind"):
                raise TraceError(
                    f"cannot put values of dtype {have} into an array of dtype {want}",
                    "make the array with dtype=float",
                )
            node = record(sh.cast, (new,), {"dtype": want}).node
        if node.given_name is None:
            node.given_name = self._node.given_name
        if type(old) is type(node.value) is np.ndarray and old.flags.c_contiguous and not node.value.flags.c_contiguous:
            node.value = np.ascontiguousarray(node.value)  # what shares memory in the user's code depends on the layout
        view = self._view
        self._node = node
        if new.rank > self.rank:  # it was the same for all examples of a batch, and no longer is
            self.__class__ = type(new)  # type: ignore[assignment]
        if view is not None:
            base: Any = view.base
            base.assign(written(view, type(self)(node)))
            view.seen = base.node

    # ---- NumPy's functions and methods ---------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return fn.call_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return fn.call_function(function, args, options, self)

    @property
    def T(self) -> Any:
        """The axes reversed."""
        return fn.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return fn.swapaxes(self, -1, -2)

    @property
    def real(self) -> Any:
        """The real part."""
        return record(cx.real, (self,))

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return record(cx.imag, (self,))

    @property
    def flat(self) -> Any:
        """The entries in order, one after another."""
        return iter(fn.ravel(self))

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """The same entries in another shape; one length may be -1."""
        return fn.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """The axes permuted; reversed when none are given."""
        return fn.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    def astype(self, dtype: Any, **_: Any) -> Any:
        """The value in another dtype; nothing flows through an integer."""
        return record(sh.cast, (self,), {"dtype": np.dtype(dtype)})

    def tolist(self) -> NoReturn:
        """Refused: Python numbers would lose the derivative."""
        raise lost("item")

    sum, mean, prod, max, min = fn.sum_, fn.mean, fn.prod, fn.max_, fn.min_
    var, std, all, any = fn.var, fn.std, fn.all_, fn.any_
    argmax, argmin, argsort, cumsum = fn.argmax, fn.argmin, fn.argsort, fn.cumsum
    dot, ravel, flatten, squeeze, swapaxes = fn.dot, fn.ravel, fn.flatten, fn.squeeze, fn.swapaxes
    clip, copy, take, repeat, round = fn.clip, fn.copy, fn.take, fn.repeat, fn.round_
    diagonal, trace, nonzero, fill = fn.diagonal, fn.trace, fn.nonzero, fn.fill
    conj = conjugate = _unary(cx.conj)


@functools.lru_cache(maxsize=64)
def array_at(level: int) -> type[Array]:
    """The type of handle that records inside that many batches (`vmap`)."""
    return Array if level == 0 else type("Array", (Array,), {"__slots__": (), "rank": 10 * level})


def recording_kind() -> type[Array]:
    """The type of handle that records at the current level."""
    return state.array or Array
