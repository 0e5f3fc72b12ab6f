"""Making tensors, with torch's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ir.node import NO_PARAMS, Node
from ..ir.op import constant
from ..ir.recording import Handle
from ..trace.handles import plain
from .axes import sizes_of
from .devices import on_cpu
from .elementwise import to_dtype
from .promotion import SUPPORTED, Default, complex_of, dtype_named
from .storage import Shared, Storage
from .tensor import Tensor


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
        self.numbers = np.random.default_rng(
            0
        )  # another object: who holds the one before sees that the sequence was left
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


def made_of(value: Any, requires_grad: bool = False) -> Tensor:
    """A tensor of a value that nobody else holds."""
    made = Tensor(Node(constant, (), NO_PARAMS, value))
    if requires_grad:
        made.requires_grad = True
    return made


def kind_of_entries(dtype: Any) -> np.dtype[Any]:
    """The dtype that was asked for, or the default."""
    return Default.dtype if dtype is None else dtype_named(dtype)


def ordinary(name: str, device: Any, layout: Any, pin_memory: Any, memory_format: Any = None) -> None:
    """Raise for other devices, and for what only concerns other layouts."""
    on_cpu(device)
    if layout is not None or pin_memory or memory_format is not None:
        raise InputError(f"{name}: layout, pin_memory and memory_format are not supported", "leave them out")


def _filled(value: float, what: str) -> Callable[..., Tensor]:
    def create(
        *size: Any, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, **named: Any,
    ) -> Tensor:  # fmt: skip
        shape = size_of(what, size, named)
        ordinary(what, device, layout, pin_memory)
        return made_of(np.full(shape, value, kind_of_entries(dtype))[()], requires_grad)

    create.__name__ = what
    create.__doc__ = f"A tensor of {what}, of the default dtype unless said."
    return create


def size_of(what: str, size: Sequence[Any], named: dict[str, Any]) -> tuple[int, ...]:
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
    ordinary("full", device, layout, pin_memory)
    value = plain(fill_value)
    kind = np.asarray(value).dtype
    if dtype is None:
        dtype = {"f": Default.dtype, "c": complex_of(Default.dtype)}.get(kind.kind, kind)
    return made_of(np.full(sizes_of((size,)), value, dtype_named(dtype))[()], requires_grad)


def _like(name: str, value: Any) -> Callable[..., Tensor]:
    def create(
        input: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
        pin_memory: bool = False, memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        ordinary(name, device, layout, pin_memory, memory_format)
        kind = input.dtype if dtype is None else dtype_named(dtype)
        with np.errstate(all="ignore"):
            return made_of(np.full(tuple(input.shape), np.asarray(value).astype(kind))[()], requires_grad)

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
    ordinary("arange", device, layout, pin_memory)
    start, end, step = _bounds(bounds, named)
    values = [plain(b) for b in (start, end, step)]
    if dtype is None:
        dtype = np.dtype(np.int64) if all(np.asarray(v).dtype.kind in "iub" for v in values) else Default.dtype
    dtype = dtype_named(dtype)
    start, end, step = (v.item() if hasattr(v, "item") else v for v in values)
    if dtype.kind in "iu" and any(isinstance(v, float) for v in (start, end, step)):
        raise InputError(f"arange of {dtype} with bounds that are floats is not supported", "give integers")
    if not step or (end - start) * step < 0:
        raise InputError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    count = math.ceil((end - start) / step)
    whole = all(isinstance(v, int) for v in (start, end, step))
    steps = np.arange(count, dtype=np.int64 if whole else np.float64)
    return made_of((start + steps * step).astype(dtype), requires_grad)


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
    ordinary("linspace", device, layout, pin_memory)
    if steps < 0:
        raise InputError(f"number of steps must be non-negative; got {steps}")
    first, last = (v.item() if hasattr(v, "item") else v for v in (plain(start), plain(end)))
    values = np.linspace(first, last, steps)
    if kind_of_entries(dtype).kind not in "fc":
        raise InputError("linspace gives floats", "round and convert the result")
    return made_of(values.astype(kind_of_entries(dtype)), requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` powers of the base, from base**start to base**end."""
    ordinary("logspace", device, layout, pin_memory)
    if kind_of_entries(dtype).kind not in "fc":
        raise InputError("logspace gives floats", "convert the result")
    first, last = (v.item() if hasattr(v, "item") else v for v in (plain(start), plain(end)))
    return made_of((float(base) ** np.linspace(first, last, steps)).astype(kind_of_entries(dtype)), requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The identity matrix."""
    ordinary("eye", device, layout, pin_memory)
    return made_of(np.eye(n, m, dtype=kind_of_entries(dtype)), requires_grad)


def _triangle_of(name: str, function: Any) -> Callable[..., Tensor]:
    def indices(
        row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
    ) -> Tensor:
        ordinary(name, device, layout, False)
        found = np.stack(function(row, offset, col))
        return made_of(found.astype(np.int64 if dtype is None else dtype_named(dtype)))

    indices.__name__ = name
    indices.__doc__ = "The indices of a triangle of a matrix: the rows, then the columns."
    return indices


tril_indices, triu_indices = (
    _triangle_of("tril_indices", np.tril_indices),
    _triangle_of("triu_indices", np.triu_indices),
)


# ---- from and to NumPy -------------------------------------------------------------------------------------------


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of `data`.

    Args:
        data: a number, nested lists, an array or a tensor (whose history is left behind).
        dtype: as for NumPy. When left out, arrays keep theirs; Python floats become float32, as in torch.
        device: only the CPU.
        requires_grad: whether `backward()` is to collect a gradient here.
        pin_memory: has no meaning on the CPU; must be False.

    >>> u = tensor(3.0, requires_grad=True)
    >>> loss = (u * u).sin(); loss.backward(); u.grad
    tensor(-5.4668)
    """
    on_cpu(device)
    if pin_memory:
        raise InputError("tensor: there is no memory to pin without an accelerator", "leave pin_memory out")
    values = _values(data)
    if dtype is None:
        if (
            values.dtype.kind in "fc"
            and not isinstance(data, (Handle, np.ndarray, np.generic))
            and not _holds_arrays(data)
        ):
            values = values.astype(Default.dtype if values.dtype.kind == "f" else np.result_type(Default.dtype, 1j))
        elif not values.size and not isinstance(data, (Handle, np.ndarray)):
            values = values.astype(Default.dtype)
        dtype_named(values.dtype)
    else:
        wanted = dtype_named(dtype)
        with np.errstate(all="ignore"):
            values = values.astype(wanted)
    made = Tensor(Node(constant, (), NO_PARAMS, values[()]))
    if requires_grad:
        made.requires_grad = True
    return made


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Handle))


def _values(data: Any) -> np.ndarray[Any, Any]:
    """A fresh array of the numbers in nested lists, in which tensors may stand."""

    def bare(x: Any) -> Any:
        return (
            [bare(i) for i in x]
            if isinstance(x, (list, tuple))
            else np.asarray(x.value)
            if isinstance(x, Handle)
            else x
        )

    try:
        values = np.array(bare(data))
    except ValueError as error:
        raise ShapeError(f"expected sequences of equal length: {error}", "make all rows equally long") from None
    if values.dtype.kind not in "fciub":
        raise InputError(
            f"could not infer dtype of {type(data).__name__}: it holds something that is no number",
            "give numbers, nested lists of numbers, or arrays",
        )
    return values


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the memory of an array: each sees what the other writes."""
    if not isinstance(ndarray, np.ndarray):
        raise InputError(f"expected np.ndarray (got {type(ndarray).__name__})", "use torch.tensor")
    if ndarray.dtype not in SUPPORTED or not ndarray.dtype.isnative:
        raise InputError(f"can't convert np.ndarray of type {ndarray.dtype}", "convert it first: a.astype(np.float32)")
    if any(s < 0 for s in ndarray.strides):
        raise InputError("some of the strides of the array are negative", "take a copy first: a.copy()")
    made = made_of(np.asarray(ndarray))
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
