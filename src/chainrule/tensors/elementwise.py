"""torch's functions that act entry by entry, with torch's dtypes and torch's subgradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.op import Op
from ..ir.recording import Handle, record
from ..ops import arithmetic as ar
from ..ops import complex as cx
from ..ops import exponential as ex
from ..ops import piecewise as pw
from ..ops import special as sp
from ..ops import trigonometric as tr
from ..ops.shape import cast
from ..trace.handles import constant_like, plain
from .promotion import CATEGORY, converted, floating, number_dtype, result_type, together, wide
from .storage import decided
from .views import part


def require_real(name: str, input: Any) -> None:
    """Refuse complex numbers."""
    if input.dtype.kind == "c":
        raise InputError(f"{name} is not defined for complex tensors")


def _function(op: Op, bring: Callable[..., list[Any]], doc: str = "") -> Callable[..., Any]:
    """A function of one tensor."""
    if bring is together:

        def function(input: Any) -> Any:
            return record(op, (input,))
    else:

        def function(input: Any) -> Any:
            return record(op, (input if input.dtype.kind in "fc" else floating(input)[0],))

    function.__name__ = op.name
    function.__doc__ = doc or f"`{op.name}` of every entry."
    return function


def _question(op: Op) -> Callable[..., Any]:
    """A function that gives truth values."""

    def question(input: Any) -> Any:
        return decided(op, (input,))

    question.__name__, question.__doc__ = op.name, f"`{op.name}` of every entry."
    return question


def _of_reals(op: Op) -> Callable[..., Any]:
    """A function that is not defined here for complex numbers."""
    whole = _function(op, floating)

    def function(input: Any) -> Any:
        require_real(op.name, input)
        return whole(input)

    function.__name__, function.__doc__ = op.name, whole.__doc__
    return function


def _operator(op: Op, how: Callable[..., Any] = record) -> Callable[..., Any]:
    """A function of two tensors, or of a tensor and a number; `how` it is carried out."""

    def function(input: Any, other: Any) -> Any:
        a, b = together(input, other)
        return how(op, (a, b))

    function.__name__ = op.name
    function.__doc__ = f"`{op.name}` of corresponding entries."
    return function


exp, exp2, expm1 = (_function(op, floating) for op in (ex.exp, ex.exp2, ex.expm1))
log, log2, log10, log1p = (_function(op, floating) for op in (ex.log, ex.log2, ex.log10, ex.log1p))
sqrt, reciprocal, sigmoid = _function(ex.sqrt, floating), _function(ar.reciprocal, floating), _of_reals(ex.sigmoid)
sin, cos, tan, asin, acos, atan = (
    _function(op, floating) for op in (tr.sin, tr.cos, tr.tan, tr.arcsin, tr.arccos, tr.arctan)
)
sinh, cosh, tanh, asinh, acosh, atanh = (
    _function(op, floating) for op in (tr.sinh, tr.cosh, tr.tanh, tr.arcsinh, tr.arccosh, tr.arctanh)
)
erf, erfc, lgamma, digamma = (wide(_of_reals(op)) for op in (sp.erf, sp.erfc, sp.gammaln, sp.digamma))
deg2rad, rad2deg = _function(tr.deg2rad, floating), _function(tr.rad2deg, floating)
logical_not = _question(pw.logical_not)
_floor, _ceil, _rint, _trunc = (_function(op, together) for op in (pw.floor, pw.ceil, pw.rint, pw.trunc))


def require_numeric(name: str, *inputs: Any) -> None:
    """Refuse truth values."""
    for x in inputs:
        if (number_dtype(x) or x.dtype).kind == "b":
            raise InputError(f"{name} is not defined for bool tensors", "convert them: x.int()")


def neg(input: Any) -> Any:
    """-x."""
    require_numeric("neg", input)
    return record(ar.negative, (input,))


def positive(input: Any) -> Any:
    """The tensor itself."""
    require_numeric("positive", input)
    return input


def abs(input: Any) -> Any:
    """The absolute value; its derivative at 0 is 0."""
    require_numeric("abs", input)
    return record(pw.absolute, (input,))


def square(input: Any) -> Any:
    """x^2."""
    return record(ex.square, (to_dtype(input, np.dtype(np.int64)) if input.dtype.kind == "b" else input,))


def sign(input: Any) -> Any:
    """-1, 0 or 1."""
    require_real("sign", input)
    return input.clone() if input.dtype.kind == "b" else record(pw.sign, (input,))


def relu(input: Any) -> Any:
    """max(x, 0); its derivative at 0 is 0."""
    require_real("relu", input)
    require_numeric("relu", input)
    return record(pw.relu, (input,))


def floor(input: Any) -> Any:
    """The largest integer that is not greater."""
    return _rounded("floor", _floor, input)


def ceil(input: Any) -> Any:
    """The smallest integer that is not smaller."""
    return _rounded("ceil", _ceil, input)


def trunc(input: Any) -> Any:
    """The integer part."""
    return _rounded("trunc", _trunc, input)


def _rounded(name: str, function: Callable[..., Any], input: Any) -> Any:
    require_real(name, input)
    require_numeric(name, input)
    return function(input) if input.dtype.kind == "f" else input.clone()


def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest number with so many decimals, the even one at a tie; nothing flows."""
    if decimals and input.dtype.kind != "f":
        raise InputError("round: integers cannot be rounded to decimals", "leave decimals out")
    if not decimals:
        return _rounded("round", _rint, input)
    scale = 10.0 ** np.abs(decimals)
    return _rint(input * scale) / scale if decimals > 0 else _rint(input / scale) * scale


def frac(input: Any) -> Any:
    """The part behind the point, with the sign of x."""
    if input.dtype.kind != "f":
        raise InputError(f"frac is not defined for tensors of dtype {input.dtype}", "convert it: x.float()")
    return input - record(pw.trunc, (input,))


def rsqrt(input: Any) -> Any:
    """1 / sqrt(x)."""
    (x,) = floating(input)
    return record(ar.reciprocal, (record(ex.sqrt, (x,)),))


isnan, isinf, isfinite = map(_question, (pw.isnan, pw.isinf, pw.isfinite))


# ---- two operands ------------------------------------------------------------------------------------------------


def _scaled(name: str, other: Any, alpha: Any, input: Any) -> Any:
    """alpha * other, for `add` and `sub`."""
    if alpha == 1 and not isinstance(alpha, bool):
        return other
    dtype = result_type(input, other)
    if CATEGORY[number_dtype(alpha).kind] > CATEGORY[dtype.kind]:  # type: ignore[union-attr]
        raise InputError(f"{name}: for {dtype} tensors, alpha must not be {type(alpha).__name__}")
    return alpha * converted(other, dtype) if isinstance(other, Handle) else converted(alpha * other, dtype)


def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """x + alpha y."""
    a, b = together(input, _scaled("add", other, alpha, input))
    return record(ar.add, (a, b))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """x - alpha y."""
    require_numeric("sub", input, other)
    a, b = together(input, _scaled("sub", other, alpha, input))
    return record(ar.subtract, (a, b))


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """y - alpha x."""
    require_numeric("rsub", input, other)
    a, b = together(other, _scaled("rsub", input, alpha, other))
    return record(ar.subtract, (a, b))


mul = _operator(ar.multiply)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """x / y, rounded "floor" or "trunc" where asked for."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode not in (None, "trunc"):
        raise InputError(f"div: there is no rounding_mode {rounding_mode!r}", "choose None, 'trunc' or 'floor'")
    if rounding_mode is None:
        a, b = floating(input, other)
        return record(ar.divide, (a, b))
    a, b = together(input, other)
    dtype = result_type(a, b)
    if dtype.kind in "iub":
        _no_zero("div", b)
        a, b = np.asarray(plain(a)), np.asarray(plain(b))
        return constant_like(input, (np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(dtype)[()])
    return record(pw.trunc, (record(ar.divide, (a, b)),))


def _no_zero(name: str, divisor: Any) -> None:
    if np.any(np.equal(plain(divisor), 0)):
        raise InputError(
            f"{name}: ZeroDivisionError: an integer is divided by zero", "divide floats, or skip the zeros"
        )


def _dividing(name: str, op: Op) -> Callable[..., Any]:
    def function(input: Any, other: Any) -> Any:
        a, b = together(input, other)
        dtype = result_type(a, b)
        require_numeric(name, *(x for x in (a, b) if not isinstance(x, (int, float))))
        if dtype.kind == "c":
            raise InputError(f"{name} is not defined for complex tensors")
        if dtype.kind in "iu":
            _no_zero(name, b)
        return record(op, (a, b))

    function.__name__ = name
    function.__doc__ = f"`{name}` of corresponding entries; its sign is that of the divisor."
    return function


floor_divide, remainder = _dividing("floor_divide", ar.floor_divide), _dividing("remainder", ar.remainder)


@wide
def fmod(input: Any, other: Any) -> Any:
    """The remainder of a division, with the sign of x."""
    a, b = together(input, other)
    require_numeric("fmod", *(x for x in (a, b) if not isinstance(x, (int, float))))
    if result_type(a, b).kind in "iu":
        _no_zero("fmod", b)
        return constant_like(input, np.fmod(plain(a), plain(b)))
    a, b = (x if isinstance(x, Handle) else converted(np.asarray(x), result_type(a, b)) for x in (a, b))
    return a - b * record(pw.trunc, (record(ar.divide, (a, b)),))


def pow(input: Any, exponent: Any) -> Any:
    """x to a power. Integers to negative integer powers are refused."""
    if not isinstance(input, Handle) and not isinstance(exponent, Handle):
        raise InputError("pow takes a tensor", "make one with torch.tensor")
    a, b = together(input, exponent)
    dtype = result_type(a, b)
    if dtype.kind == "b":
        raise InputError("pow is not defined for bool tensors", "convert them: x.int()")
    if dtype.kind in "iu" and np.any(np.less(plain(b), 0)):
        if not isinstance(b, Handle):
            raise InputError("Integers to negative integer powers are not allowed", "convert the base: x.float()")
        values = np.asarray(plain(b))
        return constant_like(b, _integer_power(np.asarray(plain(a), dtype), values))
    if isinstance(b, (int, float)) and b == 2:
        return record(ex.square, (a,))
    return record(ex.power, (a, b))


def _integer_power(a: Any, b: Any) -> Any:
    """Integers to powers of which some are negative: only 1 and -1 have an inverse."""
    whole = np.power(a, np.maximum(b, 0))
    inverse = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0))
    return np.where(b < 0, inverse, whole).astype(whole.dtype)[()]


eq, ne = _operator(pw.equal, decided), _operator(pw.not_equal, decided)
_greater, _greater_equal, _less, _less_equal = (
    _operator(op, decided) for op in (pw.greater, pw.greater_equal, pw.less, pw.less_equal)
)


def _ordered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def compared(input: Any, other: Any) -> Any:
        if result_type(input, other).kind == "c":
            raise InputError(f"{name}: complex numbers have no order", "compare x.abs() or x.real")
        return function(input, other)

    compared.__name__ = name
    compared.__doc__ = f"`{name}` of corresponding entries."
    return compared


gt, ge = _ordered("gt", _greater), _ordered("ge", _greater_equal)
lt, le = _ordered("lt", _less), _ordered("le", _less_equal)
maximum, minimum = (_ordered(op.name, _operator(op)) for op in (pw.maximum, pw.minimum))
fmax, fmin = (_ordered(op.name, _operator(op)) for op in (pw.fmax, pw.fmin))


def _logical(op: Op) -> Callable[..., Any]:
    def function(input: Any, other: Any) -> Any:
        return decided(op, (input, other))

    function.__name__ = op.name
    function.__doc__ = f"`{op.name}` of the truth of corresponding entries."
    return function


logical_and, logical_or, logical_xor = map(_logical, (pw.logical_and, pw.logical_or, pw.logical_xor))


def _bitwise(name: str, of_truth: Op, of_integers: Any) -> Callable[..., Any]:
    def function(input: Any, other: Any) -> Any:
        a, b = together(input, other)
        dtype = result_type(a, b)
        if dtype.kind == "b":
            return decided(of_truth, (a, b))
        if dtype.kind not in "iu":
            raise InputError(f"{name} is not defined for tensors of dtype {dtype}", "use logical_and for truth values")
        return constant_like(input if isinstance(input, Handle) else other, of_integers(plain(a), plain(b)))

    function.__name__ = name
    function.__doc__ = f"`{name}` of integers, or of truth values."
    return function


bitwise_and = _bitwise("bitwise_and", pw.logical_and, np.bitwise_and)
bitwise_or = _bitwise("bitwise_or", pw.logical_or, np.bitwise_or)
bitwise_xor = _bitwise("bitwise_xor", pw.logical_xor, np.bitwise_xor)


def bitwise_not(input: Any) -> Any:
    """The bits of integers inverted, or the truth."""
    if input.dtype.kind == "b":
        return decided(pw.logical_not, (input,))
    if input.dtype.kind not in "iu":
        raise InputError(f"bitwise_not is not defined for tensors of dtype {input.dtype}")
    return constant_like(input, np.invert(plain(input)))


def atan2(input: Any, other: Any) -> Any:
    """The angle of the point (other, input)."""
    a, b = floating(input, other)
    return record(tr.arctan2, (a, b))


def hypot(input: Any, other: Any) -> Any:
    """sqrt(x^2 + y^2)."""
    a, b = together(input, other)
    if result_type(a, b).kind not in "f":
        raise InputError(f"hypot is not defined for tensors of dtype {result_type(a, b)}")
    return record(tr.hypot, (a, b))


def logaddexp(input: Any, other: Any) -> Any:
    """log(e^x + e^y), without overflow."""
    a, b = together(input, other)
    if result_type(a, b).kind != "f":
        raise InputError(f"logaddexp is not defined for tensors of dtype {result_type(a, b)}")
    return record(ex.logaddexp, (a, b))


# ---- complex numbers ---------------------------------------------------------------------------------------------


def real(input: Any) -> Any:
    """The real part."""
    return input if input.dtype.kind != "c" else part(input, cx.real, {})


def imag(input: Any) -> Any:
    """The imaginary part of a complex tensor."""
    if input.dtype.kind != "c":
        raise InputError("imag is not implemented for tensors with non-complex dtypes.")
    return part(input, cx.imag, {})


def conj(input: Any) -> Any:
    """The conjugate."""
    return input if input.dtype.kind != "c" else part(input, cx.conj, {})


def to_dtype(input: Any, dtype: Any) -> Any:
    """In another dtype: the tensor itself where it has it. Nothing flows through an integer."""
    if input.dtype == dtype:
        return input
    if input.dtype.kind == "c" and dtype.kind != "c":
        input = record(cx.real, (input,))
        if input.dtype == dtype:
            return input
    return (record if dtype.kind in "fc" else decided)(cast, (input,), {"dtype": dtype})
