"""Making tensors, with torch's names, and random numbers from one seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant
from ..ir.recording import Handle, record
from ..ops import piecewise as pw
from ..trace.drawn import draw
from ..trace.handles import plain
from .axes import sizes_of
from .devices import on_cpu
from .elementwise import to_dtype
from .promotion import SUPPORTED, Default, complex_of, dtype_named
from .storage import Shared, Storage
from .tensor import Tensor, tensor


class Generator:
    """A source of random numbers whose state can be saved.

    >>> g = Generator().manual_seed(0)
    >>> int(g.numbers.integers(100)) == int(Generator().manual_seed(0).numbers.integers(100))
    True
    """

    def __init__(self, device: Any = None) -> None:
        self.numbers = np.random.default_rng(device if isinstance(device, int) else None)
        if not isinstance(device, int):
            on_cpu(device)

    def manual_seed(self, seed: int) -> Generator:
        """Begin the sequence that belongs to a seed."""
        self.numbers = np.random.default_rng(seed % 2**64)
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


def get_rng_state() -> dict[str, Any]:
    """Where in its sequence the global generator stands."""
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Put the global generator at a place in its sequence."""
    default_generator.set_state(new_state)


def source(generator: Generator | None) -> np.random.Generator:
    """Where random numbers come from."""
    return (generator or default_generator).numbers


def _made(value: Any, requires_grad: bool = False) -> Tensor:
    made = Tensor(Node(constant, (), NO_PARAMS, value))
    if requires_grad:
        made.requires_grad = True
    return made


def _kind(dtype: Any) -> np.dtype[Any]:
    return Default.dtype if dtype is None else dtype_named(dtype)


def _ordinary(name: str, layout: Any, pin_memory: Any, memory_format: Any = None) -> None:
    """Raise for what only concerns other layouts and other devices."""
    if layout is not None or pin_memory or memory_format is not None:
        raise InputError(f"{name}: layout, pin_memory and memory_format are not supported", "leave them out")


def _filled(value: float, what: str) -> Callable[..., Tensor]:
    def create(
        *size: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, **named: Any,
    ) -> Tensor:  # fmt: skip
        shape = _size(what, size, named)
        on_cpu(device), _ordinary(what, layout, pin_memory)
        return _made(np.full(shape, value, _kind(dtype))[()], requires_grad)

    create.__name__ = what
    create.__doc__ = f"A tensor of {what}, of the default dtype unless said."
    return create


def _size(what: str, size: Sequence[Any], named: dict[str, Any]) -> tuple[int, ...]:
    """Lengths one by one, as a sequence, or as `size=`."""
    if not size and "size" in named:
        size = (named.pop("size"),)
    if named:
        raise InputError(f"{what}() got an unexpected keyword argument {next(iter(named))!r}")
    shape = sizes_of(size)
    if any(n < 0 for n in shape):
        raise ShapeError(f"{what}: trying to create a tensor with a negative length: {list(shape)}")
    return shape


zeros, ones, empty = _filled(0, "zeros"), _filled(1, "ones"), _filled(0, "empty")


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A tensor full of one number, in whose dtype it is unless said."""
    on_cpu(device), _ordinary("full", layout, pin_memory)
    value = plain(fill_value)
    kind = np.asarray(value).dtype
    if dtype is None:
        dtype = {"f": Default.dtype, "c": complex_of(Default.dtype)}.get(kind.kind, kind)
    return _made(np.full(sizes_of((size,)), value, dtype_named(dtype))[()], requires_grad)


def _like(name: str, value: Any) -> Callable[..., Tensor]:
    def create(
        input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        on_cpu(device), _ordinary(name, layout, pin_memory, memory_format)
        kind = input.dtype if dtype is None else dtype_named(dtype)
        with np.errstate(all="ignore"):
            return _made(np.full(tuple(input.shape), np.asarray(value).astype(kind))[()], requires_grad)

    create.__name__ = name
    create.__doc__ = f"As `{name.removesuffix('_like')}`, in the shape and dtype of a tensor."
    return create


zeros_like, ones_like, empty_like = _like("zeros_like", 0), _like("ones_like", 1), _like("empty_like", 0)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """Full of one number, in the shape and dtype of a tensor."""
    create = _like("full_like", plain(fill_value))
    return create(
        input, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad, pin_memory=pin_memory,
        memory_format=memory_format,
    )  # fmt: skip


def arange(
    *bounds: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """`arange(end)`, `arange(start, end)`, `arange(start, end, step)`: integers unless a bound is a float."""
    on_cpu(device), _ordinary("arange", layout, pin_memory)
    start, end, step = _bounds(bounds, named)
    values = [plain(b) for b in (start, end, step)]
    if dtype is None:
        dtype = np.dtype(np.int64) if all(np.asarray(v).dtype.kind in "iub" for v in values) else Default.dtype
    dtype = dtype_named(dtype)
    start, end, step = (v.item() if hasattr(v, "item") else v for v in values)
    if not step or (end - start) * step < 0:
        raise InputError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    count = math.ceil((end - start) / step)
    whole = all(isinstance(v, int) for v in (start, end, step))
    steps = np.arange(count, dtype=np.int64 if whole else np.float64)
    return _made((start + steps * step).astype(dtype), requires_grad)


def _bounds(bounds: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any, Any]:
    unknown = [k for k in named if k not in ("start", "end", "step")]
    if unknown or not 1 <= len(bounds) + len(named) <= 3:
        raise InputError(f"arange takes end; start, end; or start, end, step: got {bounds} {named}")
    order = ("end",) if len(bounds) == 1 and "end" not in named else ("start", "end", "step")
    given = {**dict(zip(order, bounds, strict=False)), **named}
    if "end" not in given:
        raise InputError("arange needs an end")
    return given.get("start", 0), given["end"], given.get("step", 1)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` numbers from start to end, both included."""
    on_cpu(device), _ordinary("linspace", layout, pin_memory)
    if steps < 0:
        raise InputError(f"number of steps must be non-negative; got {steps}")
    first, last = (v.item() if hasattr(v, "item") else v for v in (plain(start), plain(end)))
    values = np.linspace(first, last, steps)
    kind = _kind(dtype)
    return _made(values.astype(kind) if kind.kind in "fc" else np.trunc(values).astype(kind), requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` powers of the base, from base**start to base**end."""
    on_cpu(device), _ordinary("logspace", layout, pin_memory)
    if _kind(dtype).kind not in "fc":
        raise InputError("logspace gives floats", "convert the result")
    first, last = (v.item() if hasattr(v, "item") else v for v in (plain(start), plain(end)))
    return _made((float(base) ** np.linspace(first, last, steps)).astype(_kind(dtype)), requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The identity matrix."""
    on_cpu(device), _ordinary("eye", layout, pin_memory)
    return _made(np.eye(n, m, dtype=_kind(dtype)), requires_grad)


def _triangle_of(name: str, function: Any) -> Callable[..., Tensor]:
    def indices(
        row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
    ) -> Tensor:
        on_cpu(device), _ordinary(name, layout, False)
        found = np.stack(function(row, offset, col))
        return _made(found.astype(np.int64 if dtype is None else dtype_named(dtype)))

    indices.__name__ = name
    indices.__doc__ = "The indices of a triangle of a matrix: the rows, then the columns."
    return indices


tril_indices, triu_indices = (
    _triangle_of("tril_indices", np.tril_indices),
    _triangle_of("triu_indices", np.triu_indices),
)


# ---- random numbers ----------------------------------------------------------------------------------------------

Sample = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _random(name: str, sample: Sample, doc: str) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """A function of a size, and its twin that takes the size of a tensor."""

    def drawn(shape: tuple[int, ...], kind: Any, generator: Any, requires_grad: bool) -> Tensor:
        if kind.kind != "f":
            raise InputError(f"{name} is not defined for dtype {kind}", "draw floats and convert them")
        made = draw(lambda: np.asarray(sample(source(generator), shape)).astype(kind)[()])
        return made if isinstance(made, Handle) else _made(made, requires_grad)  # type: ignore[return-value]

    def create(
        *size: Any, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, **named: Any,
    ) -> Tensor:  # fmt: skip
        shape = _size(name, size, named)
        on_cpu(device), _ordinary(name, layout, pin_memory)
        return drawn(shape, _kind(dtype), generator, requires_grad)

    def like(
        input: Any, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        on_cpu(device), _ordinary(name, layout, pin_memory, memory_format)
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
    on_cpu(device), _ordinary("randint", layout, pin_memory)
    low, high, size = int(given.get("low", 0)), int(given["high"]), sizes_of((given["size"],))
    if low >= high:
        raise InputError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    kind = np.dtype(np.int64) if dtype is None else dtype_named(dtype)
    made = draw(lambda: np.asarray(source(generator).integers(low, high, size)).astype(kind)[()])
    return made if isinstance(made, Handle) else _made(made, requires_grad)  # type: ignore[return-value]


def randint_like(input: Any, *args: Any, dtype: Any = None, generator: Generator | None = None, **named: Any) -> Tensor:
    """`randint` in the shape and dtype of a tensor."""
    kind = input.dtype if dtype is None else dtype
    return randint(*args, size=tuple(input.shape), dtype=kind, generator=generator, **named)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The integers below n in random order."""
    on_cpu(device), _ordinary("randperm", layout, pin_memory)
    kind = np.dtype(np.int64) if dtype is None else dtype_named(dtype)
    return _made(source(generator).permutation(n).astype(kind), requires_grad)


def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers with means and standard deviations: numbers and a size, or tensors."""
    on_cpu(device), _ordinary("normal", layout, pin_memory)
    tensors = [x for x in (mean, std) if isinstance(x, Handle)]
    if size is None:
        if not tensors:
            raise InputError("normal needs a size, or tensors of means or deviations")
        shape = np.broadcast_shapes(*(tuple(x.shape) for x in tensors))
        kind = tensors[0].dtype if dtype is None else dtype_named(dtype)
    else:
        if tensors:
            raise InputError("normal takes a size with numbers only", "leave the size out")
        shape, kind = sizes_of((size,)), _kind(dtype)
    if any(x.requires_grad for x in tensors):
        raise InputError(
            "normal: no derivative flows to the means and deviations of random numbers",
            "detach them, or write mean + std * torch.randn_like(mean)",
        )
    if np.any(np.less(plain(std), 0)):
        raise InputError("normal expects all elements of std >= 0.0")
    m, s = plain(mean), plain(std)
    made = draw(lambda: np.asarray(source(generator).standard_normal(shape) * s + m).astype(kind)[()])
    return made if isinstance(made, Handle) else _made(made, requires_grad)  # type: ignore[return-value]


def bernoulli(input: Any, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each entry is, otherwise 0."""
    if input.dtype.kind != "f" or np.any((plain(input) < 0) | (plain(input) > 1)):
        raise InputError("bernoulli takes probabilities: floats between 0 and 1")
    draws = draw(lambda: source(generator).random(tuple(input.shape)))
    made = draws if isinstance(draws, Handle) else _made(draws)
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
    return made if isinstance(made, Handle) else _made(made)  # type: ignore[return-value]


# ---- from and to NumPy -------------------------------------------------------------------------------------------


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the memory of an array: each sees what the other writes."""
    if not isinstance(ndarray, np.ndarray):
        raise InputError(f"expected np.ndarray (got {type(ndarray).__name__})", "use torch.tensor")
    if ndarray.dtype not in SUPPORTED or not ndarray.dtype.isnative:
        raise InputError(f"can't convert np.ndarray of type {ndarray.dtype}", "convert it first: a.astype(np.float32)")
    if any(s < 0 for s in ndarray.strides):
        raise InputError("some of the strides of the array are negative", "take a copy first: a.copy()")
    made = _made(np.asarray(ndarray))
    storage = Storage(made._node.value, exported=True)
    storage.hold(made._node)
    made._view = Shared(storage)  # type: ignore[assignment]
    return made


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The tensor itself, a tensor that shares an array's memory, or one made of the data; a copy where the dtype differs."""
    on_cpu(device)
    kind = None if dtype is None else dtype_named(dtype)
    if isinstance(data, Handle):
        return data if kind is None else to_dtype(data, kind)  # type: ignore[return-value]
    if isinstance(data, np.ndarray) and kind in (None, data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def new(name: str, create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that makes a tensor of the dtype of another."""

    def method(self: Tensor, *args: Any, dtype: Any = None, **options: Any) -> Tensor:
        return create(*args, dtype=self.dtype if dtype is None else dtype, **options)

    method.__name__ = name
    method.__doc__ = f"As `torch.{name.removeprefix('new_')}`, in the dtype of this tensor unless said."
    return method


def set_printoptions(
    precision: int | None = None, threshold: int | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: Any = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """How many entries are printed; NumPy's print options, which tensors follow."""
    if profile is not None or sci_mode is not None:
        raise InputError("set_printoptions: profile and sci_mode are not supported", "leave them out")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    np.set_printoptions(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
