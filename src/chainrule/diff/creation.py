"""Making tensors, with torch's names, and random numbers from one seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant
from ..ir.recording import Handle
from ..trace import functions as fn
from ..trace.drawn import draw
from ..trace.handles import kind_of, plain
from .tensor import Tensor, tensor
from .tensor_names import with_dim as with_dim


class Generator:
    """A source of random numbers whose state can be saved.

    >>> g = Generator().manual_seed(0)
    >>> int(g.numbers.integers(100)) == int(Generator().manual_seed(0).numbers.integers(100))
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.numbers = np.random.default_rng(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Begin the sequence that belongs to a seed."""
        self.numbers = np.random.default_rng(seed)
        return self

    def get_state(self) -> dict[str, Any]:
        """Where in its sequence the generator stands: a tree of numbers and strings."""
        return dict(self.numbers.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to a place in the sequence."""
        self.numbers.bit_generator.state = state


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Begin the sequence of all random numbers that chainrule draws anew. The numbers differ from torch's."""
    return default_generator.manual_seed(seed)


def _source(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).numbers


def _wrapped(value: Any, requires_grad: bool = False) -> Tensor:
    made = Tensor(Node(constant, (), NO_PARAMS, value))
    if requires_grad:
        made.requires_grad = True
    return made


def _shape(shape: Sequence[Any]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)


def _filled(value: float, what: str) -> Callable[..., Tensor]:
    def create(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
        return _wrapped(np.full(_shape(shape), value, dtype), requires_grad)

    create.__name__ = what
    create.__doc__ = f"A tensor of {what}, float32 unless said."
    return create


zeros, ones = _filled(0, "zeros"), _filled(1, "ones")


def empty(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A tensor to be filled; here it holds zeros."""
    return zeros(*shape, dtype=dtype, requires_grad=requires_grad)


def full(shape: Sequence[int], fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor full of one number."""
    dtype = dtype or (np.float32 if isinstance(fill_value, float) else None)
    return _wrapped(np.full(tuple(shape), fill_value, dtype), requires_grad)


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros in the shape and dtype of `x`."""
    return _wrapped(np.zeros(np.shape(plain(x)), dtype or np.asarray(plain(x)).dtype))


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones in the shape and dtype of `x`."""
    return _wrapped(np.ones(np.shape(plain(x)), dtype or np.asarray(plain(x)).dtype))


def arange(*bounds: Any, dtype: Any = None) -> Tensor:
    """Numbers from start to stop by step, as NumPy's `arange`; floats are float32."""
    values = np.arange(*bounds, dtype=dtype)
    return _wrapped(values if dtype or values.dtype.kind != "f" else values.astype(np.float32))


def linspace(start: float, end: float, steps: int, dtype: Any = np.float32) -> Tensor:
    """`steps` numbers from start to end, both included."""
    return _wrapped(np.linspace(start, end, steps).astype(dtype))


def eye(n: int, m: int | None = None, dtype: Any = np.float32) -> Tensor:
    """The identity matrix."""
    return _wrapped(np.eye(n, m, dtype=dtype))


def _random(sample: Callable[[np.random.Generator, tuple[int, ...]], Any], doc: str) -> Callable[..., Tensor]:
    def create(
        *shape: Any, dtype: Any = np.float32, generator: Generator | None = None, requires_grad: bool = False
    ) -> Tensor:
        made = draw(lambda: np.asarray(sample(_source(generator), _shape(shape))).astype(dtype))
        return made if isinstance(made, Handle) else _wrapped(made, requires_grad)  # type: ignore[return-value]

    create.__doc__ = doc
    return create


rand = _random(lambda g, shape: g.random(shape), "Uniform numbers from 0 to 1.")
randn = _random(lambda g, shape: g.standard_normal(shape), "Standard normal numbers.")


def randint(low: int, high: int | None = None, size: Sequence[int] = (), generator: Generator | None = None) -> Tensor:
    """Integers from low (0 when one bound is given) up to but not including high."""
    low, high = (0, low) if high is None else (low, high)
    return _wrapped(_source(generator).integers(low, high, tuple(size)))


def randperm(n: int, generator: Generator | None = None) -> Tensor:
    """The integers below n in random order."""
    return _wrapped(_source(generator).permutation(n))


def normal(mean: float, std: float, size: Sequence[int], generator: Generator | None = None) -> Tensor:
    """Normal numbers with a mean and a standard deviation."""
    return randn(*size, generator=generator) * std + mean


def bernoulli(p: Any, generator: Generator | None = None) -> Tensor:
    """1 with probability p, entry by entry; otherwise 0."""
    probability = np.asarray(plain(p))
    return _wrapped((_source(generator).random(probability.shape) < probability).astype(probability.dtype))


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor with the values and dtype of an array (a copy)."""
    return tensor(array)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """The tensor itself, or one made of the data."""
    return data if isinstance(data, Tensor) and dtype in (None, data.dtype) else tensor(data, dtype)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor."""
    return isinstance(x, Tensor)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors joined along an axis that they have."""
    return fn.concatenate(list(tensors), axis=dim)


def stack(tensors: Sequence[Any], dim: int = 0, axis: int | None = None) -> Any:
    """Tensors joined along a new axis."""
    items = list(tensors)
    joined = fn.stack if kind_of(items) else np.stack
    return joined(items, axis=dim if axis is None else axis)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """Kept between two bounds."""
    return fn.clip(x, min, max)


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Whether all entries are close."""
    return bool(np.allclose(plain(a), plain(b), rtol=rtol, atol=atol))


def set_printoptions(**options: Any) -> None:
    """NumPy's print options, which tensors follow."""
    np.set_printoptions(**options)
