"""What may stand in a graph: numbers, and NumPy's own arrays of booleans, integers, floats and complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError

KINDS = "?bhilqBHILQefdFD"  # NumPy's letters; longdouble, objects, text, dates and records have no place here
NATIVE = frozenset(map(np.dtype, KINDS))
NUMBERS = frozenset({bool, int, float, complex, *(np.dtype(c).type for c in KINDS)})
ARRAYS = frozenset({np.ndarray, np.memmap})


def entering(x: Any) -> Any:
    """A value as it may stand in a graph: an array in the machine's byte order; what is no array is left to others.

    Raises:
        InputError: a subclass of arrays with a meaning of its own (masked arrays, matrices), or a dtype with no derivative.
    """
    if x.__class__ in NUMBERS or (x.__class__ is np.ndarray and x.dtype in NATIVE):
        return x
    if not isinstance(x, (np.ndarray, np.generic)):
        return x
    if isinstance(x, np.ndarray) and x.__class__ not in ARRAYS:
        name = f"{type(x).__module__.partition('.')[0]}.{type(x).__name__}"
        fix = INSTEAD.get(type(x).__name__, "np.asarray(x)")
        raise InputError(f"{name} has rules of its own, which a traced computation does not know", f"pass {fix}")
    dtype = allowed(x.dtype)
    if dtype is not x.dtype or x.__class__ is np.memmap:
        return np.asarray(x, dtype)
    return x


INSTEAD = {
    "MaskedArray": "x.filled(value) and the mask as two arrays, with np.where(mask, a, b) where it counts",
    "matrix": "np.asarray(x), and write @ for its products",
    "recarray": "the fields as arrays, one by one",
}


def allowed(dtype: Any) -> np.dtype[Any]:
    """A dtype that values in a graph may have, in the machine's byte order.

    Raises:
        InputError: it is none of them.
    """
    dtype = np.dtype(dtype)
    if dtype in NATIVE:
        return dtype
    if dtype.newbyteorder("=") in NATIVE:
        return dtype.newbyteorder("=")
    fix = "pass float64" if dtype.kind == "f" else "pass complex128" if dtype.kind == "c" else "pass numbers"
    raise InputError(f"values of dtype {dtype} cannot be computed with here", fix)
