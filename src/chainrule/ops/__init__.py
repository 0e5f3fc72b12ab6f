"""The vocabulary: every operation, declared once. Importing this package declares them all."""

from collections.abc import Callable, Iterable

from ..ir.op import REGISTRY, Op
from . import (
    arithmetic,
    bitwise,
    broadcasting,
    complex,
    conversion,
    custom,
    exponential,
    factorizations,
    indexing,
    linalg,
    loops,
    network,
    piecewise,
    reduction,
    shape,
    shapes,
    special,
    structured,
    trigonometric,
    windows,
)
from .kinds import Composite, Discrete, Elementwise, Linear, Operation
from .primitive import Primitive
from .structured import Structured

__all__ = [
    "REGISTRY",
    "Composite",
    "Discrete",
    "Elementwise",
    "Linear",
    "Op",
    "Operation",
    "Primitive",
    "Structured",
    "by_name",
    "by_ufunc",
]

_FAMILIES = (
    arithmetic, broadcasting, piecewise, exponential, trigonometric, special, complex, shape, reduction, linalg, factorizations,
    indexing, structured, loops, custom, windows, network, shapes, bitwise, conversion,
)  # fmt: skip


def by_name(name: str) -> Op | None:
    """The operation that a formula means by `name`, or None."""
    return _names().get(name)


def by_ufunc(ufunc: object) -> Op | None:
    """The operation that implements a NumPy or SciPy function, or None."""
    found = _cache.get("functions", _NOTHING)[1].get(ufunc) or _functions().get(ufunc)
    if found is None and getattr(ufunc, "signature", "") is None:  # an elementwise ufunc of another library
        found = _names().get(getattr(ufunc, "__name__", ""))
    return found


_NOTHING: tuple[int, dict[object, Op]] = (-1, {})
_cache: dict[str, tuple[int, dict[object, Op]]] = {}


def _names() -> dict[object, Op]:
    return _indexed("names", lambda op: (op.name, *op.aliases) if op.public else ())


def _functions() -> dict[object, Op]:
    return _indexed("functions", lambda op: op.numpy)


def _indexed(which: str, keys: Callable[[Op], Iterable[object]]) -> dict[object, Op]:
    newest = next(reversed(REGISTRY.values())).number
    at, table = _cache.get(which, _NOTHING)
    if at != newest:  # operations were declared since
        table = {key: op for op in REGISTRY.values() for key in keys(op)}
        _cache[which] = newest, table
    return table
