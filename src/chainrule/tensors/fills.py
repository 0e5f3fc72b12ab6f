"""What replaces the values of a tensor in place: numbers, other tensors, random numbers. Each is a function of the tensor
that gives the new values; `chainrule.tensors.namespace` makes the in-place methods of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.op import constant
from ..ir.recording import Handle, record
from ..ops import arithmetic as ar
from ..ops import indexing as ix
from ..trace import functions as fn
from ..trace.drawn import draw
from ..trace.handles import constant_like, plain
from .elementwise import to_dtype
from .promotion import CATEGORY, number_dtype


def fill(input: Any, value: Any) -> Any:
    """Every entry one number."""
    if number_dtype(value) is None and len(value.shape):
        raise InputError("fill_ only supports a 0-dimensional value tensor", "use copy_")
    kind = number_dtype(value) or value.dtype
    if kind.kind == "c" and input.dtype.kind != "c":
        raise InputError(f"a complex number cannot be put into a tensor of dtype {input.dtype}")
    if isinstance(value, Handle):
        return fn.broadcast_to(to_dtype(value, input.dtype), tuple(input.shape)) + np.zeros((), input.dtype)
    with np.errstate(all="ignore"):
        return _put(input, np.full(tuple(input.shape), np.asarray(value).astype(input.dtype))[()])


def _put(input: Any, values: Any) -> Any:
    """Values in the place of all that were there; a tensor with a history keeps it, though nothing flows back."""
    if input.node.op is constant:
        return constant_like(input, values)
    return record(ix.index_set, (input, values), {"index": (Ellipsis,)})


def zero(input: Any) -> Any:
    """Every entry zero."""
    return _put(input, np.zeros(tuple(input.shape), input.dtype)[()])


def copy(input: Any, src: Any, non_blocking: bool = False) -> Any:
    """The values of another tensor, broadcast and converted; `non_blocking` makes no difference on the CPU."""
    if not isinstance(src, Handle):
        raise InputError(f"copy_() takes a tensor; got {type(src).__name__}", "make it one with torch.tensor")
    new = to_dtype(src, input.dtype)
    if new.shape != input.shape:
        new = fn.broadcast_to(new, tuple(input.shape))
    node = new.node
    if input.node.op is not constant and new.node.op is constant:
        return _put(input, np.array(node.value)[()])
    return record(ar.alias, (new,), known=None if type(node.value) is not np.ndarray else node.value.copy())


def _numbers(generator: Any) -> np.random.Generator:
    from .creation import source

    return source(generator)


def _drawn(input: Any, name: str, sample: Any, kinds: str = "f") -> Any:
    if input.dtype.kind not in kinds:
        raise InputError(f"{name} is not defined for tensors of dtype {input.dtype}")
    shape, dtype = tuple(input.shape), input.dtype
    made = draw(lambda: np.asarray(sample(shape)).astype(dtype)[()])
    return made if isinstance(made, Handle) else _put(input, made)


def normal(input: Any, mean: float = 0, std: float = 1, *, generator: Any = None) -> Any:
    """Normal numbers."""
    if std < 0:
        raise InputError(f"normal expects std >= 0.0, but found std {std}")
    return _drawn(input, "normal_", lambda shape: _numbers(generator).standard_normal(shape) * std + mean)


def uniform(input: Any, to_from: float = 0, to: float = 1, *, generator: Any = None, **bounds: Any) -> Any:
    """Uniform numbers from a bound to another (`from`, `to`)."""
    low = bounds.pop("from", to_from)
    if bounds:
        raise InputError(f"uniform_() got an unexpected keyword argument {next(iter(bounds))!r}")
    if low > to:
        raise InputError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={to}")
    return _drawn(input, "uniform_", lambda shape: low + (to - low) * _numbers(generator).random(shape))


def exponential(input: Any, lambd: float = 1, *, generator: Any = None) -> Any:
    """Numbers distributed exponentially."""
    if lambd <= 0:
        raise InputError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _drawn(input, "exponential_", lambda shape: _numbers(generator).standard_exponential(shape) / lambd)


def bernoulli(input: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """1 with a probability, otherwise 0."""
    chance = np.asarray(plain(p))
    if np.any((chance < 0) | (chance > 1)):
        raise InputError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _drawn(input, "bernoulli_", lambda shape: _numbers(generator).random(shape) < chance, "fiub")


def random(input: Any, low: int | None = None, high: int | None = None, *, generator: Any = None) -> Any:
    """`random_(to)` or `random_(from, to)`: integers from a bound (0) up to another, that one left out."""
    if low is None or CATEGORY[input.dtype.kind] > 2:
        raise InputError("random_() without bounds is not supported", "give one: random_(to)")
    start, end = (0, low) if high is None else (low, high)
    if start >= end:
        raise InputError(f"random_ expects 'from' to be less than 'to', but got from={start} >= to={end}")
    return _drawn(input, "random_", lambda shape: _numbers(generator).integers(start, end, shape), "fiub")
