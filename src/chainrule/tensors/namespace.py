"""The one table: every name of torch's that exists here, what it means, and in which forms it comes.

A row gives a function and its forms: "f" a function of the namespace, "m" a method of tensors, "i" a method that works in
place, under the name with an underscore. A name that is not here is not there: nothing is looked up anywhere else.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ChainruleError, InputError, MissingError
from ..ir.recording import Handle
from ..trace.handles import plain
from . import arranging as ar
from . import choices as ch
from . import elementwise as el
from . import fills
from . import products as pr
from . import reductions as rd
from . import selection as se
from . import shapes as sh
from .devices import is_device, on_cpu
from .promotion import dtype_named


def missing(what: str, among: Iterable[str] = (), name: str = "", fix: str = "") -> MissingError:
    """The error for a name that is not there, with the nearest of those that are."""
    near = difflib.get_close_matches(name, list(among), 3, 0.7)
    return MissingError(what, fix or (f"the nearest: {', '.join(near)}" if near else ""))


def missing_from(module: str, names: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module of torch's that has these names."""

    def absent(name: str) -> Any:
        raise missing(f"{module}.{name} is not here", names, name)

    return absent


def told(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that says in words what is wrong where its arguments do not fit it."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if isinstance(error, ChainruleError):
                raise
            try:
                signature.bind(*args, **kwargs)
            except TypeError as wrong:
                raise InputError(f"{name}(): {wrong}", f"it takes {', '.join(signature.parameters)}") from None
            raise

    return call


# ---- what is neither arithmetic nor movement ---------------------------------------------------------------------


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have one shape and equal entries."""
    return input.shape == other.shape and bool(np.all(np.equal(plain(input), plain(other))))


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all entries are close."""
    _one_dtype("allclose", input, other)
    return bool(np.allclose(plain(input), plain(other), rtol, atol, equal_nan))


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Where entries are close."""
    _one_dtype("isclose", input, other)
    from ..trace.handles import constant_like

    return constant_like(input, np.asarray(np.isclose(plain(input), plain(other), rtol, atol, equal_nan))[()])


def _one_dtype(name: str, a: Any, b: Any) -> None:
    if a.dtype != b.dtype:
        raise InputError(f"{name}: {a.dtype} did not match {b.dtype}", "convert one: x.to(y.dtype)")


def asked(args: Sequence[Any], dtype: Any, device: Any, copy: bool, memory_format: Any) -> tuple[Any, bool]:
    """What the arguments of `to` ask for: a dtype, or None, and whether to copy."""
    if memory_format is not None:
        raise InputError("to: memory_format is not supported", "leave it out")
    names = ["dtype", "non_blocking", "copy"]
    for k, x in enumerate(args):
        if k == 0 and isinstance(x, Handle):
            dtype, names = x.dtype, ["other", "non_blocking", "copy"]
        elif k == 0 and is_device(x):
            device, names = x, ["device", "dtype", "non_blocking", "copy"]
        elif k < len(names) and names[k] == "dtype":
            dtype = x
        elif k < len(names) and names[k] == "copy":
            copy = x
        elif k >= len(names):
            raise InputError(f"to() takes {', '.join(names)}; got {len(args)} arguments", "leave the others out")
    on_cpu(device)
    return None if dtype is None else dtype_named(dtype), copy


def to(input: Any, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False,
       memory_format: Any = None) -> Any:  # fmt: skip
    """In another dtype: the tensor itself where it has it, unless `copy`. The only device is the CPU."""
    dtype, copy = asked(args, dtype, device, copy, memory_format)
    found = input if dtype is None else el.to_dtype(input, dtype)
    return found.clone() if copy and found is input else found


def _as(name: str, dtype: str) -> Callable[..., Any]:
    kind = np.dtype(dtype)

    def convert(input: Any) -> Any:
        return el.to_dtype(input, kind)

    convert.__name__ = name
    convert.__doc__ = f"In {dtype}."
    return convert


def type_(input: Any, dtype: Any = None, non_blocking: bool = False) -> Any:
    """In another dtype: `x.type(torch.float64)`."""
    if dtype is None:
        raise InputError("type() without a dtype would give torch's name of a class", "look at x.dtype")
    return el.to_dtype(input, dtype_named(dtype))


def type_as(input: Any, other: Any) -> Any:
    """In the dtype of another tensor."""
    return el.to_dtype(input, other.dtype)


def where_method(input: Any, condition: Any, y: Any) -> Any:
    """The tensor where the condition holds, another elsewhere."""
    return ch.where(condition, input, y)


def cpu(input: Any) -> Any:
    """The tensor itself: it is on the CPU."""
    return input


def requires_grad_(input: Any, requires_grad: bool = True) -> Any:
    """Set whether `backward()` collects a gradient here."""
    input.requires_grad = requires_grad
    return input


def numel(input: Any) -> int:
    """The number of entries."""
    return input.numel()


def is_floating_point(input: Any) -> bool:
    """Whether the entries are floats."""
    return input.dtype.kind == "f"


def is_complex(input: Any) -> bool:
    """Whether the entries are complex."""
    return input.dtype.kind == "c"


def is_nonzero(input: Any) -> bool:
    """Whether the single entry is not zero."""
    return bool(input)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy with the same history and memory of its own."""
    return input.clone(memory_format=memory_format)


def detach(input: Any) -> Any:
    """The same memory without history."""
    return input.detach()


def numpy_T(input: Any) -> Any:
    """The axes reversed."""
    return sh.permute(input, tuple(range(len(input.shape)))[::-1])


def mT(input: Any) -> Any:
    """The last two axes exchanged."""
    return sh.transpose(input, -2, -1)


# ---- the table ---------------------------------------------------------------------------------------------------

_ROWS: list[tuple[str, str, Any]] = []


def _rows(forms: str, names: str, module: Any, **others: Any) -> None:
    _ROWS.extend((name, forms, getattr(module, name)) for name in names.split())
    _ROWS.extend((name, forms, function) for name, function in others.items())


_rows(
    "fmi",
    "abs neg exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan asin acos atan sinh cosh tanh "
    "asinh acosh atanh sigmoid relu erf erfc lgamma digamma deg2rad rad2deg floor ceil round trunc frac sign "
    "add sub mul div pow floor_divide remainder fmod atan2 hypot "
    "logical_not logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not",
    el,
    absolute=el.abs, negative=el.neg, arcsin=el.asin, arccos=el.acos, arctan=el.atan, arcsinh=el.asinh, arccosh=el.acosh,
    arctanh=el.atanh, fix=el.trunc, subtract=el.sub, multiply=el.mul, divide=el.div, true_divide=el.div,
    arctan2=el.atan2,
)  # fmt: skip
_rows(
    "fm",
    "positive isnan isinf isfinite maximum minimum fmax fmin logaddexp",
    el,
)
_rows("fmi", "nan_to_num clamp clamp_min clamp_max masked_fill lerp addcmul addcdiv", ch, clip=ch.clamp)
_rows("f", "where", ch)
_rows("f", "real imag conj rsub", el)
_rows("m", "conj", el, where=where_method)
_rows(
    "fmi", "eq ne gt ge lt le", el,
    not_equal=el.ne, greater=el.gt, greater_equal=el.ge, less=el.lt, less_equal=el.le,
)  # fmt: skip
_rows(
    "fm",
    "sum mean prod nansum nanmean amax amin max min aminmax argmax argmin var std logsumexp softmax log_softmax norm dist "
    "all any count_nonzero",
    rd,
)
_rows("f", "var_mean std_mean", rd)
_rows(
    "fm",
    "sort argsort msort topk kthvalue median mode gather take_along_dim index_select masked_select take nonzero argwhere "
    "unique bincount",
    se,
)
_rows("f", "searchsorted isin", se)
_rows("fmi", "scatter scatter_add index_add index_copy index_fill", se)
_rows(
    "fm",
    "reshape flatten ravel unflatten permute transpose swapaxes t movedim unsqueeze squeeze broadcast_to narrow select "
    "diagonal diag split chunk tensor_split unbind",
    sh, swapdims=sh.swapaxes, moveaxis=sh.movedim,
)  # fmt: skip
_rows("fm", "tile repeat_interleave flip fliplr flipud roll diff cummax cummin", ar)
_rows("m", "view view_as reshape_as expand expand_as", sh)
_rows("m", "repeat", ar)
_rows("f", "meshgrid cartesian_prod", ar)
_rows("f", "broadcast_tensors cat stack hstack vstack column_stack atleast_1d atleast_2d", sh,
      concat=sh.cat, concatenate=sh.cat, row_stack=sh.vstack)  # fmt: skip
_rows("fmi", "tril triu cumsum cumprod", ar)
_rows("fm", "matmul mm bmm mv dot vdot inner outer trace kron cross", pr, ger=pr.outer)
_rows("f", "einsum tensordot block_diag", pr)
_rows("fmi", "addmm addmv baddbmm", pr)
_rows("i", "fill zero copy normal uniform exponential bernoulli random", fills)
_rows("fm", "", None, equal=equal, allclose=allclose, isclose=isclose, is_floating_point=is_floating_point,
      is_complex=is_complex, is_nonzero=is_nonzero)  # fmt: skip
_rows("f", "", None, numel=numel, clone=clone, detach=detach)
_rows("m", "", None, to=to, type=type_, type_as=type_as, cpu=cpu, requires_grad_=requires_grad_)
for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip
    _ROWS.append((_name, "m", _as(_name, _dtype)))

_NUMPYS_NAMES = {"dim": ("axis",), "keepdim": ("keepdims",), "input": ("x", "a", "x1"), "other": ("x2",)}


def _called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes NumPy's names for torch's arguments, as torch does, and refuses what it does not know."""
    known, answer = inspect.signature(function).parameters, told(name, function)
    renamed = {n: t for t, ns in _NUMPYS_NAMES.items() if t in known for n in ns if n not in known}
    takes_tensor = next(iter(known), "") in ("input", "tensor", "condition")
    either = name in ("pow", "where", "result_type", "isin")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {renamed.get(k, k): v for k, v in kwargs.items()}
            if "out" in kwargs and "out" not in known:
                raise InputError(f"{name}: out= is not supported", "assign the result, or use .copy_()")
        if takes_tensor and not either and args and not isinstance(args[0], Handle):
            raise InputError(
                f"{name}(): the first argument must be a tensor, not {type(args[0]).__name__}",
                "make it one with torch.tensor",
            )
        return answer(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    return call


FUNCTIONS: dict[str, Callable[..., Any]] = {n: _called(n, f) for n, forms, f in _ROWS if "f" in forms}
METHODS: dict[str, Any] = {n: _called(n, f) for n, forms, f in _ROWS if "m" in forms}
IN_PLACE: dict[str, Callable[..., Any]] = {f"{n}_": _called(f"{n}_", f) for n, forms, f in _ROWS if "i" in forms}
METHODS["T"] = property(numpy_T)
METHODS["mT"] = property(mT)
METHODS["real"], METHODS["imag"] = property(el.real), property(el.imag)

# NumPy's names for methods that torch does not have.
NUMPYS = ("astype", "fill", "copy", "conjugate", "flat", "put", "searchsorted")


def in_place_method(name: str, change: Callable[..., Any]) -> Callable[..., Any]:
    """The method that gives a tensor the value of a function of it."""
    function = IN_PLACE[name]

    @functools.wraps(function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return change(function, self, args, kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In place: {function.__doc__}"
    return method


_INSTEAD = {
    "astype": ".to(dtype)",
    "copy": ".clone()",
    "fill": ".fill_(value)",
    "conjugate": ".conj()",
    "flat": ".flatten()",
}


def absent(name: str) -> property:
    """An attribute that NumPy's arrays have and torch's tensors do not."""

    def refuse(self: Any) -> Any:
        raise MissingError(f"a tensor has no {name!r}, which is NumPy's", fix=f"use {_INSTEAD.get(name, 'torch')}")

    return property(refuse)
