"""Array: the handle that users hold. It behaves as the NumPy array or scalar whose computation it records."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from ..errors import MissingError, ShapeError, TraceError
from ..ir.deferred import Deferred, settled
from ..ir.node import NO_PARAMS
from ..ir.op import Op
from ..ir.recording import Cell, Handle, Shared, View, record, record_with_number, state
from ..ops import arithmetic as ar
from ..ops import bitwise as bw
from ..ops import complex as cx
from ..ops import exponential as ex
from ..ops import indexing as ix
from ..ops import linalg as la
from ..ops import piecewise as pw
from ..ops import shape as sh
from . import functions as fn
from .bodies import outside
from .flat import Flat
from .handles import dtype_of, operand, seen_plain, split_index, view_of, written
from .lost import lost
from .memory import as_seen, kept_layout


def _binary(op: Op, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        if other.__class__ is float or other.__class__ is int:
            return record_with_number(op, self, other, reflected)
        if isinstance(other, (list, tuple)) and type(self.node.value) in (
            int,
            float,
        ):  # Python's numbers do not compute with lists
            if op is ar.multiply:
                return other * operator.index(self)
            raise TraceError(f"{op.name} of a number and a {type(other).__name__}", "write np.array(...) around it")
        other = operand(other)
        return record(op, (other, self) if reflected else (self, other))

    return method


def _bitwise(op: Op, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        other = operand(other)
        values = (other, self) if reflected else (self, other)
        return record(op if op.variant is None else op.variant(values), values)  # on booleans it is a logical operation

    return method


def _unary(op: Op) -> Callable[..., Any]:
    def method(self: Array) -> Any:
        return record(op, (self,))

    return method


def _lie_alike(a: Any, b: Any) -> bool:
    return type(a) is type(b) is np.ndarray and a.strides == b.strides


def _whole(op: Op, python: Callable[[Any], int]) -> Callable[..., Any]:
    """What `math` makes of a number: an integer where Python's own number stands there, which the result depends on by value."""

    def method(self: Array) -> Any:
        made = record(op, (self,))
        return python(made.value) if type(self.node.value) in (int, float) and seen_plain(self) else made

    return method


def _inplace(op: Op) -> Callable[..., Any]:
    def method(self: Array, other: Any) -> Any:
        other = operand(other)
        result = record(op, (self, other)) if op.variant is None else op(self, other)  # type: ignore[operator]
        if self.rebinds_scalars and not self.shape and not self.tied and type(as_seen(self)) is not np.ndarray:
            return result
        self.assign(self._laid(result))
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

    @Handle.shape.setter
    def shape(self, shape: Any) -> NoReturn:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise TraceError("the shape of a traced array is not assigned to", "write x = x.reshape(shape)")

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
        if seen_plain(self):
            return repr(self.value)
        return f"Array({np.array2string(np.asarray(settled(self.node.value)), separator=', ', prefix='Array(')})"

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

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
    __and__, __rand__, __iand__ = _bitwise(bw.bitwise_and), _bitwise(bw.bitwise_and, True), _inplace(bw.bitwise_and)
    __or__, __ror__, __ior__ = _bitwise(bw.bitwise_or), _bitwise(bw.bitwise_or, True), _inplace(bw.bitwise_or)
    __xor__, __rxor__, __ixor__ = _bitwise(bw.bitwise_xor), _bitwise(bw.bitwise_xor, True), _inplace(bw.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = _binary(bw.left_shift), _binary(bw.left_shift, True), _inplace(bw.left_shift)
    __rshift__, __rrshift__ = _binary(bw.right_shift), _binary(bw.right_shift, True)
    __irshift__ = _inplace(bw.right_shift)
    __neg__, __pos__ = _unary(ar.negative), _unary(ar.positive)
    __floor__, __ceil__, __trunc__ = (
        _whole(pw.floor, math.floor),
        _whole(pw.ceil, math.ceil),
        _whole(pw.trunc, math.trunc),
    )

    def __abs__(self) -> Any:
        value = self.node.value
        return record(pw.absolute, (self,), known=abs(value) if type(value) in (int, float) else None)

    def __eq__(self, other: Any) -> Any:
        return (
            self._never(False) if other is None or isinstance(other, str) else record(pw.equal, (self, operand(other)))
        )

    def __ne__(self, other: Any) -> Any:
        return (
            self._never(True)
            if other is None or isinstance(other, str)
            else record(pw.not_equal, (self, operand(other)))
        )

    def _never(self, answer: bool) -> Any:
        """What NumPy answers, entry by entry, when an array is compared with something that is no number."""
        return np.full(self.shape, answer)[()] if self.shape else answer

    def __invert__(self) -> Any:
        if self.dtype.kind not in "biu":
            raise TraceError(
                f"~ on a traced value of dtype {self.dtype}", "~ takes booleans and integers; write -x for -x"
            )
        return bw.invert(self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __contains__(self, value: Any) -> bool:
        return bool(fn.any_(self == value))

    def __round__(self, digits: int | None = None) -> Any:
        if type(self.node.value) in (int, float) and seen_plain(self):  # Python rounds decimal digits exactly
            return round(self.value, digits) if digits is not None else int(record(pw.rint, (self,)))
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

    def __copy__(self) -> Any:
        return fn.copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return fn.copy(self)  # the same value with the same history

    def __reduce__(self) -> NoReturn:
        raise TraceError("pickling a traced value would lose its derivative", "return it, and pickle the result")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise MissingError(f"x.{name} of a traced array is not supported", "write it in other operations")

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
        self.assign(self._laid(record(ix.index_set, (self, value, *arrays), {"index": template})))

    def assign(self, new: Any) -> None:
        """Give this array a new value, as in-place code does; a view writes through to its base."""
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
            new = self._laid(record(sh.cast, (new,), {"dtype": want}))
        value = new.node.value
        if not _lie_alike(value, self.node.value):
            value = kept_layout(value, as_seen(self))
            if value is not new.node.value:
                new = record(ar.alias, (new,), NO_PARAMS, value)
        view: Any = self._view if self._view is not None and self.tied else None
        if type(view) is Shared:
            raise TraceError(view.why, "pass a copy of one of them: x.copy()")
        if type(view) is View:
            base: Any = view.base
            base.assign(written(view, new))
            view.seen = base.node
        elif self._node.order < state.body:
            raise outside()
        elif self.rebinds_scalars and not self.shape and view is None:
            if type(as_seen(self)) not in (np.ndarray, Deferred):
                raise TraceError("a scalar is being written into", "NumPy's scalars do not change: write x = ...")
            self._view = None if self.records and type(value) in (np.ndarray, Deferred) else Cell()
        node = new.node
        if node.given_name is None:
            node.given_name = self._node.given_name
        self._node = node
        if new.rank > self.rank:  # it was the same for all examples of a batch, and no longer is
            self.__class__ = type(new)

    def _laid(self, new: Any) -> Any:
        """A new value that nobody else holds yet, lying in memory as this array does."""
        node = new.node
        if not _lie_alike(node.value, self.node.value) and new.shape == self.shape and new.dtype == self.dtype:
            node.value = kept_layout(node.value, as_seen(self))
        return new

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
        """The real part; a view, as in NumPy."""
        return view_of(self, cx.real, {}, take=np.real) if self.dtype.kind == "c" else self

    @real.setter
    def real(self, values: Any) -> None:
        self._put_part(self.real, values)

    @property
    def imag(self) -> Any:
        """The imaginary part; a view, as in NumPy."""
        return view_of(self, cx.imag, {}, take=np.imag) if self.dtype.kind == "c" else record(cx.imag, (self,))

    @imag.setter
    def imag(self, values: Any) -> None:
        if self.dtype.kind != "c":
            raise TraceError("a real array has no imaginary part to assign to", "make it complex first: x = x + 0j")
        self._put_part(self.imag, values)

    def _put_part(self, part: Any, values: Any) -> None:
        """Write into a view, if it has not been written into already, as `x.real += v` does."""
        view = values._view if isinstance(values, Handle) else None
        if values is not self and (view is None or view.base is not self or view.op is not part._view.op):
            part[...] = values

    @property
    def flat(self) -> Flat:
        """The entries in order, one after another; writing into it writes into the array."""
        return Flat(self)

    @flat.setter
    def flat(self, values: Any) -> None:
        Flat(self)[:] = values

    def view(self, *options: Any) -> Any:
        """The same memory under another name; other dtypes and types are refused."""
        if options:
            raise TraceError("view() of a traced array takes no dtype or type", "use astype for another dtype")
        return view_of(self, ix.getitem, {"index": (Ellipsis,)})

    all, any, sum, prod, mean, var, std, max, min, argmax, argmin = map(
        fn.method, ("all", "any", "sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin")
    )
    reshape, transpose, ravel, flatten, squeeze, swapaxes = map(
        fn.method, ("reshape", "transpose", "ravel", "flatten", "squeeze", "swapaxes")
    )
    argsort, sort, searchsorted, nonzero, cumsum, dot, trace, diagonal = map(
        fn.method, ("argsort", "sort", "searchsorted", "nonzero", "cumsum", "dot", "trace", "diagonal")
    )
    astype, clip, compress, copy, conj, conjugate, fill, item, repeat, round, take, tolist = map(
        fn.method,
        (
            "astype",
            "clip",
            "compress",
            "copy",
            "conj",
            "conjugate",
            "fill",
            "item",
            "repeat",
            "round",
            "take",
            "tolist",
        ),
    )


@functools.lru_cache(maxsize=64)
def array_at(level: int) -> type[Array]:
    """The type of handle that records inside that many batches (`vmap`)."""
    return Array if level == 0 else type("Array", (Array,), {"__slots__": (), "rank": 10 * level, "least": 10 * level})


def recording_kind() -> type[Array]:
    """The type of handle that records at the current level."""
    return state.array or Array
