"""Random numbers, with torch's names, from one seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.recording import Handle, record
from ..ops import piecewise as pw
from ..trace.drawn import draw
from ..trace.handles import plain
from .axes import sizes_of
from .creation import Generator, kind_of_entries, made_of, ordinary, size_of, source
from .elementwise import to_dtype
from .promotion import dtype_named
from .tensor import Tensor

Sample = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _random(name: str, sample: Sample, doc: str) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """A function of a size, and its twin that takes the size of a tensor."""

    def drawn(shape: tuple[int, ...], kind: Any, generator: Any, requires_grad: bool) -> Tensor:
        if kind.kind != "f":
            raise InputError(f"{name} is not defined for dtype {kind}", "draw floats and convert them")
        made = draw(lambda: np.asarray(sample(source(generator), shape)).astype(kind)[()])
        return made if isinstance(made, Handle) else made_of(made, requires_grad)  # type: ignore[return-value]

    def create(
        *size: Any, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, **named: Any,
    ) -> Tensor:  # fmt: skip
        shape = size_of(name, size, named)
        ordinary(name, device, layout, pin_memory)
        return drawn(shape, kind_of_entries(dtype), generator, requires_grad)

    def like(
        input: Any, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        ordinary(name, device, layout, pin_memory, memory_format)
        return drawn(tuple(input.shape), input.dtype if dtype is None else dtype_named(dtype), generator, requires_grad)

    create.__name__, like.__name__ = name, f"{name}_like"
    create.__doc__, like.__doc__ = doc, f"{doc} In the shape and dtype of a tensor."
    return create, like


rand, rand_like = _random("rand", lambda g, shape: g.random(shape), "Uniform numbers from 0 to 1.")
randn, randn_like = _random("randn", lambda g, shape: g.standard_normal(shape), "Standard normal numbers.")


def randint(
    *args: Any, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """`randint(high, size)` or `randint(low, high, size)`: integers from low (0) up to but not including high."""
    order = ("low", "high", "size") if len(args) + len(named) == 3 else ("high", "size")
    given = {**dict(zip(order, args, strict=False)), **named}
    if len(args) + len(named) > 3 or set(given) - {"low", "high", "size"} or not {"high", "size"} <= set(given):
        raise InputError(f"randint takes high, size; or low, high, size: got {args} {named}")
    ordinary("randint", device, layout, pin_memory)
    low, high, size = int(given.get("low", 0)), int(given["high"]), sizes_of((given["size"],))
    if low >= high:
        raise InputError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    kind = np.dtype(np.int64) if dtype is None else dtype_named(dtype)
    made = draw(lambda: np.asarray(source(generator).integers(low, high, size)).astype(kind)[()])
    return made if isinstance(made, Handle) else made_of(made, requires_grad)  # type: ignore[return-value]


def randint_like(input: Any, *args: Any, dtype: Any = None, generator: Generator | None = None, **named: Any) -> Tensor:
    """`randint` in the shape and dtype of a tensor."""
    kind = input.dtype if dtype is None else dtype
    return randint(*args, size=tuple(input.shape), dtype=kind, generator=generator, **named)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The integers below n in random order."""
    ordinary("randperm", device, layout, pin_memory)
    kind = np.dtype(np.int64) if dtype is None else dtype_named(dtype)
    return made_of(source(generator).permutation(n).astype(kind), requires_grad)


def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers with means and standard deviations: numbers and a size, or tensors."""
    ordinary("normal", device, layout, pin_memory)
    tensors: list[Any] = [x for x in (mean, std) if isinstance(x, Handle)]
    if size is None:
        if not tensors:
            raise InputError("normal needs a size, or tensors of means or deviations")
        shape = np.broadcast_shapes(*(tuple(x.shape) for x in tensors))
        kind = tensors[0].dtype if dtype is None else dtype_named(dtype)
    else:
        if tensors:
            raise InputError("normal takes a size with numbers only", "leave the size out")
        shape, kind = sizes_of((size,)), kind_of_entries(dtype)
    if any(x.requires_grad for x in tensors):
        raise InputError(
            "normal: no derivative flows to the means and deviations of random numbers",
            "detach them, or write mean + std * torch.randn_like(mean)",
        )
    if np.any(np.less(plain(std), 0)):
        raise InputError("normal expects all elements of std >= 0.0")
    m, s = plain(mean), plain(std)
    made = draw(lambda: np.asarray(source(generator).standard_normal(shape) * s + m).astype(kind)[()])
    return made if isinstance(made, Handle) else made_of(made, requires_grad)  # type: ignore[return-value]


def bernoulli(input: Any, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each entry is, otherwise 0."""
    if input.dtype.kind != "f" or np.any((plain(input) < 0) | (plain(input) > 1)):
        raise InputError("bernoulli takes probabilities: floats between 0 and 1")
    draws = draw(lambda: source(generator).random(tuple(input.shape)))
    made = draws if isinstance(draws, Handle) else made_of(draws)
    return to_dtype(record(pw.less, (made, input)), input.dtype)


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the probabilities that the entries of a row are in proportion to. input: (n,) or (rows, n)."""
    weights = np.asarray(plain(input), np.float64)
    if weights.ndim not in (1, 2) or input.dtype.kind != "f":
        raise InputError("multinomial takes one or two axes of floats")
    rows = np.atleast_2d(weights)
    if not np.all(np.isfinite(rows)) or np.any(rows < 0) or np.any(rows.sum(1) <= 0):
        raise InputError("probability tensor contains either `inf`, `nan` or element < 0, or a row sums to zero")
    if not replacement and np.any((rows > 0).sum(1) < num_samples):
        raise InputError("cannot sample n_sample > number of non-zero probabilities without replacement")

    def sample() -> Any:
        numbers = source(generator)
        drawn = [numbers.choice(len(r), num_samples, replacement, r / r.sum()) for r in rows]
        return np.stack(drawn).reshape((*weights.shape[:-1], num_samples)).astype(np.int64)

    made = draw(sample)
    return made if isinstance(made, Handle) else made_of(made)  # type: ignore[return-value]
