"""NumPy's namespace for traced code: functions that create arrays make arrays which traced values can be written into.

>>> import chainrule as cr, chainrule.numpy as cnp
>>> def powers(x):
...     a = cnp.zeros(3)
...     for k in range(3):
...         a[k] = x**k
...     return a.sum()
>>> cr.grad(powers)(2.0)
5.0
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from .ir.entering import entering
from .ir.node import NO_PARAMS, Node
from .ir.op import constant
from .ir.recording import Handle, state
from .trace.array import recording_kind
from .trace.handles import from_nested, plain
from .trace.memory import copied

_CREATORS = {"zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "logspace", "tri", "fromiter"}


def _made(value: Any) -> Any:
    """An array to write traced values into; outside every transform, a plain one."""
    return (
        value if state.depth == state.level == 0 else recording_kind()(Node(constant, (), NO_PARAMS, entering(value)))
    )


def array(x: Any, dtype: Any = None) -> Any:
    """`np.array` of nested lists in which traced values may stand: a copy, where it is an array already."""
    made = from_nested(x)
    if made is x and isinstance(made, Handle):
        made = copied(made)
    if not isinstance(made, Handle):
        return _made(_np.array(made, dtype=dtype))
    return made if dtype is None else made.astype(dtype)  # type: ignore[attr-defined]


def asarray(x: Any, dtype: Any = None) -> Any:
    """`np.asarray`: the array itself, where it is one already."""
    return x if isinstance(x, Handle) and dtype in (None, x.dtype) else array(x, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`np.full`; the value may be traced."""
    made = _made(_np.zeros(shape, dtype or _np.asarray(plain(fill_value)).dtype))
    made[...] = fill_value
    return made


def __getattr__(name: str) -> Any:
    try:
        function = getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"chainrule.numpy has no {name!r}, as numpy has none") from None
    if name not in _CREATORS:
        return function

    def create(*args: Any, **options: Any) -> Any:
        return _made(function(*args, **options))

    create.__name__ = name
    create.__doc__ = f"`np.{name}`, as an array that traced values can be written into."
    return create


def __dir__() -> list[str]:
    return sorted({*dir(_np), "array", "asarray"})
